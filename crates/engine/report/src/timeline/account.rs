//! Where the wall time went.

use std::collections::BTreeMap;

use rekindle_events::PhaseName;

use super::{Bar, Phase};

/// A part of the wall time, or of a unit's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// The command gets ready.
    Prepare,
    /// A remote is asked for a save.
    Pull,
    /// Snapshot and packages are restored before cargo.
    RestoreSnapshot,
    /// cargo, before the first unit: it reads manifests and lock file, and looks what is fresh.
    CargoStart,
    /// A unit or a script's run is looked up.
    Lookup,
    /// It is restored from the store.
    RestoreUnit,
    /// Placeholders become real.
    Materialise,
    /// A unit or a script's run waits for what a remote has.
    RemoteWait,
    /// A compiler, until metadata is ready.
    Frontend,
    /// A compiler, after that, without linking.
    Codegen,
    /// A compiler that announces no metadata, as for a program; without linking.
    Compile,
    /// A linker.
    Link,
    /// A build script.
    Script,
    /// What was made is stored.
    Publish,
    /// Time of a unit that no event tells anything of.
    Unnamed,
    /// cargo, while no unit runs, between the first and the last.
    CargoBetween,
    /// cargo, after the last unit; also the tests or the program that it runs.
    CargoEnd,
    /// What people collect is made real.
    Collect,
    /// The target becomes a snapshot.
    Capture,
    /// What was made is saved to a remote.
    Push,
    /// Lines are printed, reports written, the store is kept within its size.
    Finish,
}

impl Part {
    /// All of them, in the order of time.
    pub const ALL: [Self; 21] = [
        Self::Prepare,
        Self::Pull,
        Self::RestoreSnapshot,
        Self::CargoStart,
        Self::Lookup,
        Self::RestoreUnit,
        Self::Materialise,
        Self::RemoteWait,
        Self::Frontend,
        Self::Codegen,
        Self::Compile,
        Self::Link,
        Self::Script,
        Self::Publish,
        Self::Unnamed,
        Self::CargoBetween,
        Self::CargoEnd,
        Self::Collect,
        Self::Capture,
        Self::Push,
        Self::Finish,
    ];

    /// Its name in JSON.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Prepare => "prepare",
            Self::Pull => "pull",
            Self::RestoreSnapshot => "restore_snapshot",
            Self::CargoStart => "cargo_start",
            Self::Lookup => "lookup",
            Self::RestoreUnit => "restore_unit",
            Self::Materialise => "materialise",
            Self::RemoteWait => "remote_wait",
            Self::Frontend => "frontend",
            Self::Codegen => "codegen",
            Self::Compile => "compile",
            Self::Link => "link",
            Self::Script => "script",
            Self::Publish => "publish",
            Self::Unnamed => "unnamed",
            Self::CargoBetween => "cargo_between",
            Self::CargoEnd => "cargo_end",
            Self::Collect => "collect",
            Self::Capture => "capture",
            Self::Push => "push",
            Self::Finish => "finish",
        }
    }

    /// Its name for people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Prepare => "Getting ready",
            Self::Pull => "Asking the remote",
            Self::RestoreSnapshot => "Restoring the snapshot",
            Self::CargoStart => "cargo before the first unit",
            Self::Lookup => "Looking up",
            Self::RestoreUnit => "Restoring units",
            Self::Materialise => "Filling placeholders",
            Self::RemoteWait => "Waiting for the remote",
            Self::Frontend => "Compiling: front end",
            Self::Codegen => "Compiling: code generation",
            Self::Compile => "Compiling: programs",
            Self::Link => "Linking",
            Self::Script => "Build scripts",
            Self::Publish => "Storing units",
            Self::Unnamed => "Not accounted for",
            Self::CargoBetween => "cargo between units",
            Self::CargoEnd => "cargo after the last unit",
            Self::Collect => "Collecting programs",
            Self::Capture => "Capturing the snapshot",
            Self::Push => "Saving to the remote",
            Self::Finish => "Finishing",
        }
    }
}

/// What a part took of the wall time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PartTime {
    /// Which.
    pub part: Part,
    /// How long, in microseconds.
    pub time_us: u64,
}

/// Accounts for `wall_us`. Without phases all of it is cargo's.
pub(super) fn parts(phases: &[Phase], bars: &[Bar], wall_us: u64) -> Vec<PartTime> {
    let whole = [Phase {
        name: PhaseName::Cargo,
        at_us: 0,
        time_us: wall_us,
    }];
    let phases = if phases.is_empty() { &whole } else { phases };
    let edges = Edges::of(bars);
    let mut sums: BTreeMap<Part, f64> = BTreeMap::new();
    let mut accounted_to_us = 0;
    for phase in phases {
        // Phases follow each other; what a damaged log leaves between them has no name.
        let at_us = phase.at_us.max(accounted_to_us);
        let end_us = phase.at_us.saturating_add(phase.time_us).max(at_us);
        add(&mut sums, Part::Unnamed, at_us - accounted_to_us);
        accounted_to_us = end_us;
        let part = match phase.name {
            PhaseName::Prepare => Part::Prepare,
            PhaseName::Pull => Part::Pull,
            PhaseName::Push => Part::Push,
            PhaseName::Restore => Part::RestoreSnapshot,
            PhaseName::Collect => Part::Collect,
            PhaseName::Capture => Part::Capture,
            PhaseName::Finish => Part::Finish,
            PhaseName::Other => Part::Unnamed,
            PhaseName::Cargo => {
                edges.divide(at_us, end_us, &mut sums);
                continue;
            }
        };
        add(&mut sums, part, end_us - at_us);
    }
    add(
        &mut sums,
        Part::Unnamed,
        wall_us.saturating_sub(accounted_to_us),
    );
    rounded(&sums, wall_us.max(accounted_to_us))
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a time in microseconds is far below 2^52"
)]
fn add(sums: &mut BTreeMap<Part, f64>, part: Part, time_us: u64) {
    *sums.entry(part).or_default() += time_us as f64;
}

/// Whole microseconds that still add up: what rounding lost or added goes to the largest part, which does not feel it.
#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "sums of times: not negative, and below 2^52"
)]
fn rounded(sums: &BTreeMap<Part, f64>, whole_us: u64) -> Vec<PartTime> {
    let mut parts: Vec<PartTime> = sums
        .iter()
        .map(|(part, sum)| PartTime {
            part: *part,
            time_us: sum.round() as u64,
        })
        .collect();
    let counted_us = parts
        .iter()
        .map(|of| of.time_us)
        .fold(0, u64::saturating_add);
    if let Some(largest) = parts.iter_mut().max_by_key(|of| of.time_us) {
        let others_us = counted_us - largest.time_us;
        largest.time_us = whole_us.saturating_sub(others_us);
    }
    parts.retain(|of| of.time_us > 0);
    parts
}

/// Where segments begin and end, in the order of time.
struct Edges {
    /// Time, which part, and whether it begins.
    edges: Vec<(u64, Part, bool)>,
}

impl Edges {
    fn of(bars: &[Bar]) -> Self {
        let mut edges = Vec::new();
        for bar in bars {
            for segment in &bar.segments {
                let at_us = bar.at_us.saturating_add(segment.at_us);
                edges.push((at_us, segment.part, true));
                edges.push((at_us.saturating_add(segment.time_us), segment.part, false));
            }
        }
        edges.sort_unstable();
        Self { edges }
    }

    /// Divides the time from `from_us` to `to_us`, which is cargo's, among the parts that run.
    #[allow(
        clippy::cast_precision_loss,
        reason = "a time in microseconds is far below 2^52"
    )]
    fn divide(&self, from_us: u64, to_us: u64, sums: &mut BTreeMap<Part, f64>) {
        let mut running: BTreeMap<Part, u32> = BTreeMap::new();
        let mut now_us = from_us;
        let mut has_begun = false;
        // What runs between the first and the last unit; without a unit all is before the first.
        let mut idle_us = 0;
        let mut pass = |running: &BTreeMap<Part, u32>, until_us: u64, has_begun: bool| {
            let until_us = until_us.clamp(now_us, to_us);
            let span_us = until_us - now_us;
            now_us = until_us;
            let all: u32 = running.values().sum();
            if all == 0 && has_begun {
                idle_us += span_us;
                return;
            }
            if all == 0 {
                add(sums, Part::CargoStart, span_us);
                return;
            }
            add(sums, Part::CargoBetween, std::mem::take(&mut idle_us));
            for (part, count) in running {
                let share = span_us as f64 * f64::from(*count) / f64::from(all);
                *sums.entry(*part).or_default() += share;
            }
        };
        let edges = self.edges.iter();
        for (at_us, part, begins) in edges.take_while(|(at_us, ..)| *at_us < to_us) {
            pass(&running, *at_us, has_begun);
            if *begins {
                *running.entry(*part).or_default() += 1;
                // What ended before this time is of an earlier cargo.
                has_begun |= *at_us >= from_us;
            } else if let Some(count) = running.get_mut(part) {
                *count = count.saturating_sub(1);
            }
        }
        pass(&running, to_us, has_begun);
        add(sums, Part::CargoEnd, idle_us);
    }
}
