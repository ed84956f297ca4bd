//! One step of a sequence: what is edited and committed, and how it is checked out and built.

use proptest::prelude::*;

use super::edits::{Edit, edit};

/// A step.
#[derive(Clone, Debug)]
pub(super) struct Step {
    pub(super) turn: Turn,
    pub(super) edits: Vec<Edit>,
    pub(super) ambient: Ambient,
    pub(super) place: Place,
    pub(super) times: Times,
    pub(super) trouble: Trouble,
    pub(super) goal: Goal,
    /// Build once more in a fresh checkout: nothing may be compiled.
    pub(super) again: bool,
    /// Build the same without Rekindle: what is expected must be what cargo does.
    pub(super) plain: bool,
}

/// What happens to the branch before the edits.
#[derive(Clone, Debug)]
pub(super) enum Turn {
    Stay,
    /// A new branch from here.
    Branch,
    /// Another branch.
    Switch(u8),
    /// The contents of an earlier commit.
    Back(u8),
}

/// A change that is not committed.
#[derive(Clone, Debug)]
pub(super) enum Ambient {
    Same,
    Word(bool),
    Script(bool),
    Extra,
    Incremental,
    Layout(u8),
}

/// Where the build takes place.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The directory of before, emptied.
    Fresh(Source),
    /// Another directory.
    Moved(Source),
    /// As the step before left it, with its target directory.
    Kept,
}

/// How a checkout comes to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Clone,
    /// With one commit.
    Shallow,
    /// No branch is checked out.
    Detached,
    /// As for pull requests: a merge that exists nowhere else.
    Merge,
    /// Files without a repository.
    Tarball,
    /// What is built is not committed.
    Dirty,
}

/// The sources' times.
#[derive(Clone, Copy, Debug)]
pub(super) enum Times {
    Natural,
    /// Every file is old, also those that just changed.
    Old,
    /// Every second file is.
    Mixed,
}

/// What happens before or after.
#[derive(Clone, Debug)]
pub(super) enum Trouble {
    None,
    /// A build that ends with a compile error.
    Broken(u8),
    /// A build that is killed, with all that it started, after so many lines.
    Killed(u8),
    /// Every program of Rekindle's dies at its change of this number to the file system.
    Failpoint(u8),
    /// A build by a plain cargo goes before.
    PlainFirst,
    /// A build without snapshots goes before.
    Bare,
    /// One package's outputs are removed.
    Cleaned(u8),
    /// The store loses everything, or is gone.
    Evicted(bool),
    /// Another checkout is built at the same time.
    Meanwhile,
    /// Afterwards somebody writes into the outputs.
    Scribbled,
}

/// What is built.
#[derive(Clone, Copy, Debug)]
pub(super) enum Goal {
    Build,
    Test,
    Check,
    Release,
    /// The program and what it uses.
    Package,
}

fn source() -> impl Strategy<Value = Source> {
    prop_oneof![
        6 => Just(Source::Clone),
        2 => Just(Source::Shallow),
        2 => Just(Source::Detached),
        2 => Just(Source::Merge),
        1 => Just(Source::Tarball),
        3 => Just(Source::Dirty),
    ]
}

fn ambient() -> impl Strategy<Value = Ambient> {
    // Mostly to another value, seldom to none.
    let set = || proptest::bool::weighted(0.8);
    prop_oneof![
        9 => Just(Ambient::Same),
        2 => set().prop_map(Ambient::Word),
        2 => set().prop_map(Ambient::Script),
        2 => Just(Ambient::Extra),
        1 => Just(Ambient::Incremental),
        1 => any::<u8>().prop_map(Ambient::Layout),
    ]
}

fn trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        14 => Just(Trouble::None),
        2 => any::<u8>().prop_map(Trouble::Broken),
        2 => (0u8..10).prop_map(Trouble::Killed),
        2 => (1u8..120).prop_map(Trouble::Failpoint),
        2 => Just(Trouble::PlainFirst),
        1 => Just(Trouble::Bare),
        1 => any::<u8>().prop_map(Trouble::Cleaned),
        2 => any::<bool>().prop_map(Trouble::Evicted),
        1 => Just(Trouble::Meanwhile),
        1 => Just(Trouble::Scribbled),
    ]
}

/// Any step.
pub(super) fn step() -> impl Strategy<Value = Step> {
    let turn = prop_oneof![
        8 => Just(Turn::Stay),
        1 => Just(Turn::Branch),
        3 => any::<u8>().prop_map(Turn::Switch),
        2 => any::<u8>().prop_map(Turn::Back),
    ];
    let edits = prop_oneof![
        1 => Just(Vec::new()),
        5 => proptest::collection::vec(edit(), 1),
        2 => proptest::collection::vec(edit(), 2..=4),
    ];
    let place = prop_oneof![
        6 => source().prop_map(Place::Fresh),
        2 => source().prop_map(Place::Moved),
        4 => Just(Place::Kept),
    ];
    let times = prop_oneof![
        6 => Just(Times::Natural),
        2 => Just(Times::Old),
        1 => Just(Times::Mixed),
    ];
    let goal = prop_oneof![
        7 => Just(Goal::Build),
        2 => Just(Goal::Test),
        1 => Just(Goal::Check),
        1 => Just(Goal::Release),
        1 => Just(Goal::Package),
    ];
    let samples = (0u8..4, 0u8..6);
    (
        turn,
        edits,
        ambient(),
        place,
        times,
        trouble(),
        goal,
        samples,
    )
        .prop_map(
            |(turn, edits, ambient, place, times, trouble, goal, (again, plain))| Step {
                turn,
                edits,
                ambient,
                place,
                times,
                trouble,
                goal,
                again: again == 1,
                plain: plain == 1,
            },
        )
}
