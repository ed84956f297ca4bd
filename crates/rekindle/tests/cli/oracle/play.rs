//! Plays a sequence with real programs, and judges what came of it.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;

use super::edits::{Supply, apply, create};
use super::render::{Files, files};
use super::site::{check_out, git, scribble, set_times, sync, update};
use super::steps::{Ambient, Goal, Place, Source, Step, Trouble, Turn};
use super::world::{Around, Layout, World};
use crate::project::{Done, Project};

/// What was done, for the report.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub(super) sequences: u64,
    pub(super) steps: u64,
    /// Builds in a checkout that had no target directory.
    pub(super) fresh: u64,
    /// Builds whose behaviour was judged.
    pub(super) judged: u64,
    /// Builds by a plain cargo, clean.
    pub(super) plain: u64,
    /// Builds that were killed or ended at a failpoint.
    pub(super) killed: u64,
}

impl Tally {
    pub(super) fn add(&mut self, other: &Self) {
        self.sequences += other.sequences;
        self.steps += other.steps;
        self.fresh += other.fresh;
        self.judged += other.judged;
        self.plain += other.plain;
        self.killed += other.killed;
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{} sequences, {} steps, {} fresh checkouts, {} builds judged, {} killed, {} clean builds by plain cargo",
            self.sequences, self.steps, self.fresh, self.judged, self.killed, self.plain
        )
    }
}

/// Why a sequence is wrong.
pub(super) type Wrong = String;

/// A sequence under way.
pub(super) struct Play {
    pub(super) project: Project,
    supply: Supply,
    pub(super) world: World,
    pub(super) around: Around,
    branches: BTreeMap<String, World>,
    branch: String,
    history: Vec<World>,
    /// What is committed, with `Cargo.lock`.
    files: Files,
    place: usize,
    /// The checkout that the last step left, if the next may use it.
    pub(super) kept: Option<Kept>,
    pub(super) tally: Tally,
}

/// What a target directory has seen, as far as it makes a plain cargo miss a change.
#[derive(Default)]
pub(super) struct Kept {
    /// A source has an older time than its content: cargo cannot know.
    is_stale: bool,
    /// Files that build scripts could list, by crate.
    listed: BTreeSet<(String, String)>,
    /// Values of the vendored crate, by version.
    leaves: BTreeMap<u32, u32>,
    /// What is read that nobody declares, by crate.
    aside: BTreeMap<String, u32>,
    /// Whether there may be units that Rekindle knows nothing of.
    is_unknown: bool,
}

impl Kept {
    /// Notes what is about to be built; says whether a plain cargo can be relied upon.
    pub(super) fn note(&mut self, world: &World, trouble: &Trouble) -> bool {
        self.is_unknown |= match trouble {
            Trouble::Killed(_)
            | Trouble::Failpoint(_)
            | Trouble::PlainFirst
            | Trouble::Bare
            | Trouble::Evicted(_) => true,
            Trouble::None
            | Trouble::Broken(_)
            | Trouble::Cleaned(_)
            | Trouble::Meanwhile
            | Trouble::Scribbled => false,
        };
        let undeclared = world.members.iter().filter(|one| one.is_read_undeclared());
        for member in undeclared {
            let before = self.aside.insert(member.name.clone(), member.template);
            let changed = before.is_some_and(|before| before != member.template);
            self.is_stale |= changed && self.is_unknown;
        }
        for member in &world.members {
            let gone = |(dir, part): &(String, String)| {
                *dir == member.dir && !member.parts.contains_key(part)
            };
            if member.hides_deletions() && self.listed.iter().any(gone) {
                self.is_stale = true;
            }
            let parts = member
                .parts
                .keys()
                .map(|part| (member.dir.clone(), part.clone()));
            self.listed.extend(parts);
        }
        let (version, value) = world.leaf;
        if *self.leaves.entry(version).or_insert(value) != value {
            self.is_stale = true;
        }
        !self.is_stale
    }
}

/// Directories of checkouts: of several lengths, one with a space.
const PLACES: [&str; 3] = ["one/repo", "an other/repo", "a/much/longer/way/to/the/repo"];

/// Plays a sequence from the beginning, in a directory of its own.
pub(super) fn play(
    parent: &Path,
    genesis: &[(u8, u8, u8)],
    steps: &[Step],
) -> Result<Tally, Wrong> {
    let mut play = Play::new(parent, genesis);
    let mut outcome = Ok(());
    for (at, step) in steps.iter().enumerate() {
        outcome = play
            .step(step)
            .map_err(|wrong| told(genesis, &steps[..=at], &wrong));
        if outcome.is_err() {
            break;
        }
        play.tally.steps += 1;
    }
    // Outputs may share their bytes with the store, which checks them before it serves them.
    let scribbled = |step: &Step| matches!(step.trouble, Trouble::Scribbled);
    if outcome.is_ok() && !steps.iter().any(scribbled) {
        outcome = succeeded(play.rekindle(&["cache", "verify"])).map(drop);
    }
    if let Err(wrong) = outcome {
        let kept = std::env::var_os("REKINDLE_ORACLE_KEEP").map(|_| play.project.keep());
        let kept = kept.map_or(String::new(), |dir| format!("\nkept in {}", dir.display()));
        return Err(wrong + &kept);
    }
    play.tally.sequences = 1;
    Ok(play.tally)
}

/// A failure, with all that led to it.
fn told(genesis: &[(u8, u8, u8)], steps: &[Step], wrong: &str) -> Wrong {
    let steps: String = steps.iter().map(|step| format!("\n  {step:?}")).collect();
    format!("{wrong}\nof {genesis:?}, at the last of these steps:{steps}")
}

pub(super) fn succeeded(done: Done) -> Result<Done, Wrong> {
    match done.code {
        Some(0) => Ok(done),
        code => Err(format!(
            "ended with {code:?}\n{}\n{}",
            done.stdout, done.stderr
        )),
    }
}

impl Play {
    fn new(parent: &Path, genesis: &[(u8, u8, u8)]) -> Self {
        let project = Project::new_in(parent, "");
        let mut supply = Supply::new();
        let world = create(genesis, &mut supply);
        let play = Self {
            branches: BTreeMap::from([("main".to_owned(), world.clone())]),
            branch: "main".to_owned(),
            history: vec![world.clone()],
            world,
            around: Around {
                word: Some(supply.number()),
                script: Some(supply.number()),
                extra: false,
                incremental: true,
                layout: Layout::Default,
            },
            files: Files::new(),
            place: 0,
            kept: None,
            tally: Tally::default(),
            supply,
            project,
        };
        let origin = play.origin();
        std::fs::create_dir_all(&origin).unwrap();
        git(&origin, &["init", "-q", "-b", "main"]);
        play
    }

    pub(super) fn origin(&self) -> PathBuf {
        self.project.path("origin")
    }

    pub(super) fn root(&self) -> PathBuf {
        self.project.path(PLACES[self.place])
    }

    fn step(&mut self, step: &Step) -> Result<(), Wrong> {
        self.turn(&step.turn);
        for edit in &step.edits {
            apply(edit, &mut self.world, &mut self.supply);
        }
        self.history.push(self.world.clone());
        self.ambient(&step.ambient);
        let reliable = self.arrive(step)?;
        self.before(step, reliable)?;
        let other = matches!(step.trouble, Trouble::Meanwhile).then(|| self.elsewhere(step.goal));
        let done = self.rekindle(&self.arguments(step.goal));
        if let Some(other) = other {
            self.judge_elsewhere(step.goal, other)?;
        }
        self.judge(step.goal, &done, &self.target(), reliable)?;
        if reliable || done.code == Some(0) {
            self.assert_fresh(step.goal)?;
        }
        if step.again {
            // Another commit's or checkout's snapshot may be nearer, and what a plain cargo, another
            // command or a run that was killed built is not captured: this one may have to build once.
            let found = [Source::Clone, Source::Shallow, Source::Detached];
            let strict = source_of(step).is_some_and(|source| found.contains(&source))
                && !matches!(
                    step.trouble,
                    Trouble::PlainFirst
                        | Trouble::Bare
                        | Trouble::Killed(_)
                        | Trouble::Failpoint(_)
                        | Trouble::Meanwhile
                );
            if !strict {
                self.again(step.goal, false)?;
            }
            self.again(step.goal, true)?;
        }
        if step.plain {
            self.plain(step.goal)?;
        }
        if let Trouble::Scribbled = step.trouble {
            scribble(&self.target());
            self.kept = None;
        }
        Ok(())
    }

    fn turn(&mut self, turn: &Turn) {
        match turn {
            Turn::Stay => {}
            Turn::Branch if self.history.len() > 1 => {
                let name = format!("branch{}", self.branches.len());
                git(&self.origin(), &["checkout", "-q", "-b", &name]);
                self.branches
                    .insert(self.branch.clone(), self.world.clone());
                self.branches.insert(name.clone(), self.world.clone());
                self.branch = name;
            }
            // Nothing is committed that a branch could begin at.
            Turn::Branch => {}
            Turn::Switch(which) => {
                self.branches
                    .insert(self.branch.clone(), self.world.clone());
                let at = usize::from(*which) % self.branches.len();
                let (name, world) = self.branches.iter().nth(at).unwrap();
                if *name != self.branch {
                    git(&self.origin(), &["checkout", "-q", "--force", name]);
                    (self.branch, self.world) = (name.clone(), world.clone());
                }
            }
            Turn::Back(which) => {
                let at = usize::from(*which) % self.history.len();
                self.world = self.history[at].clone();
            }
        }
    }

    fn ambient(&mut self, ambient: &Ambient) {
        let around = &mut self.around;
        match ambient {
            Ambient::Same => {}
            Ambient::Word(set) => around.word = set.then(|| self.supply.number()),
            Ambient::Script(set) => around.script = set.then(|| self.supply.number()),
            Ambient::Extra => around.extra = !around.extra,
            Ambient::Incremental => around.incremental = !around.incremental,
            Ambient::Layout(which) => {
                let layouts = [Layout::Default, Layout::BuildDir, Layout::TargetDir];
                around.layout = layouts[usize::from(*which) % layouts.len()];
            }
        }
    }

    /// Commits the world and checks it out. Says whether what is built there must be right, even if
    /// it is cargo alone that decides what to build.
    fn arrive(&mut self, step: &Step) -> Result<bool, Wrong> {
        let source = match self.kept {
            Some(_) => source_of(step),
            None => source_of(step).or(Some(Source::Clone)),
        };
        if let Place::Moved(_) = step.place {
            let _ = std::fs::remove_dir_all(self.root());
            self.place = (self.place + 1) % PLACES.len();
        }
        let (origin, root) = (self.origin(), self.root());
        // The first commit cannot be left out.
        let is_dirty = source == Some(Source::Dirty) && self.history.len() > 2;
        if is_dirty {
            check_out(&origin, &root, Source::Dirty);
        }
        self.commit()?;
        match source {
            Some(_) if is_dirty => drop(sync(&root, &self.files)),
            Some(source) => check_out(&origin, &root, source),
            None => update(&origin, &root, &self.files),
        }
        let has_set = set_times(&root, step.times);
        if source.is_some() {
            self.kept = Some(Kept::default());
            self.tally.fresh += 1;
        }
        let kept = self.kept.get_or_insert_default();
        kept.is_stale |= has_set && source.is_none();
        Ok(kept.note(&self.world, &step.trouble))
    }

    /// Brings the origin to the world.
    fn commit(&mut self) -> Result<(), Wrong> {
        let origin = self.origin();
        let mut files = files(&self.world);
        let lock = "ws/Cargo.lock".to_owned();
        let manifests = |files: &Files| {
            let all = files
                .iter()
                .filter(|(name, _)| name.ends_with("Cargo.toml"));
            all.map(|(name, text)| (name.clone(), text.clone()))
                .collect::<Files>()
        };
        let stale = manifests(&files) != manifests(&self.files);
        if !stale && let Some(text) = self.files.get(&lock) {
            files.insert(lock.clone(), text.clone());
        }
        sync(&origin, &files);
        if stale {
            let generate = ["generate-lockfile", "--offline", "-q"];
            let mut command = self.command("cargo", &generate);
            command.current_dir(origin.join("ws"));
            succeeded(command.output().unwrap().into())?;
            let text = std::fs::read_to_string(origin.join(&lock)).unwrap();
            files.insert(lock, text);
        }
        self.files = files;
        git(&origin, &["add", "-A"]);
        git(&origin, &["commit", "-q", "--allow-empty", "-m", "step"]);
        Ok(())
    }

    /// What goes before the build that is judged.
    fn before(&mut self, step: &Step, reliable: bool) -> Result<(), Wrong> {
        let goal = self.arguments(step.goal);
        match step.trouble {
            Trouble::None | Trouble::Scribbled | Trouble::Meanwhile => {}
            Trouble::Bare => {
                let mut words = vec![goal[0].clone(), "--no-snapshot".to_owned()];
                words.extend_from_slice(&goal[1..]);
                let done = self.rekindle(&words);
                self.judge(step.goal, &done, &self.target(), reliable)?;
            }
            Trouble::Cleaned(which) => {
                let members = &self.world.members;
                let member = &members[usize::from(which) % members.len()];
                succeeded(self.rekindle(&["clean", "-p", &member.name]))?;
            }
            Trouble::Evicted(true) => {
                succeeded(self.rekindle(&["cache", "gc", "--size", "0"]))?;
            }
            Trouble::Evicted(false) => {
                let _ = std::fs::remove_dir_all(self.project.path("store"));
            }
            Trouble::Broken(which) if reliable => self.broken(which, step.goal)?,
            Trouble::Broken(_) => {}
            Trouble::Killed(lines) => {
                self.killed(lines, &goal);
                self.tally.killed += 1;
            }
            Trouble::Failpoint(at) => {
                let mut command = self.command(env!("CARGO_BIN_EXE_rekindle"), &goal);
                command.env("REKINDLE_FAILPOINT", at.to_string());
                // Whatever comes of it.
                command.output().unwrap();
                // cargo remembers that a compiler was killed while it answered a question, and does not ask
                // again.
                for dir in [self.target(), self.root().join("ws/target")] {
                    let _ = std::fs::remove_file(dir.join(".rustc_info.json"));
                }
                self.tally.killed += u64::from(cfg!(feature = "failpoints"));
            }
            Trouble::PlainFirst => {
                let done = self.cargo(&goal);
                let verdict = self.judge(step.goal, &done, &self.target(), reliable);
                if verdict.is_ok() || done.code == Some(0) {
                    return verdict;
                }
                // A plain cargo may fail, loudly, at a placeholder; there is a way out.
                succeeded(self.rekindle(&["materialise"])).map_err(|way_out| {
                    format!("a plain cargo: {}\n{way_out}", verdict.unwrap_err())
                })?;
                let done = self.cargo(&goal);
                self.judge(step.goal, &done, &self.target(), reliable)?;
            }
        }
        Ok(())
    }

    /// Begins to build another checkout.
    fn elsewhere(&mut self, goal: Goal) -> JoinHandle<Done> {
        let here = self.place;
        self.place = (here + 1) % PLACES.len();
        check_out(&self.origin(), &self.root(), Source::Clone);
        let mut command = self.command(env!("CARGO_BIN_EXE_rekindle"), &self.arguments(goal));
        self.place = here;
        std::thread::spawn(move || command.output().unwrap().into())
    }

    /// Judges it, and removes it.
    fn judge_elsewhere(&mut self, goal: Goal, other: JoinHandle<Done>) -> Result<(), Wrong> {
        let done = other.join().unwrap();
        let here = self.place;
        self.place = (here + 1) % PLACES.len();
        let verdict = self.judge(goal, &done, &self.target(), true);
        let _ = std::fs::remove_dir_all(self.root());
        self.place = here;
        verdict.map_err(|wrong| format!("in another checkout at the same time: {wrong}"))
    }

    /// An error in a crate that is built, then the crate as it was.
    fn broken(&self, which: u8, goal: Goal) -> Result<(), Wrong> {
        let root = self.root();
        let view = self.view(goal, &root);
        let reached = view.reached();
        let member = reached[usize::from(which) % reached.len()];
        let file = view.directory(member) + "/src/lib.rs";
        let text = std::fs::read_to_string(&file).unwrap();
        std::fs::write(&file, format!("{text}compile_error!(\"on purpose\");\n")).unwrap();
        let done = self.rekindle(&self.arguments(goal));
        std::fs::write(&file, text).unwrap();
        if done.code == Some(101) && done.stderr.contains("on purpose") {
            return Ok(());
        }
        let (code, stderr) = (done.code, done.stderr);
        Err(format!(
            "an error in {file} was not found: {code:?}\n{stderr}"
        ))
    }

    /// Starts a build and kills it after so many lines of its output.
    fn killed(&self, lines: u8, goal: &[String]) {
        let mut command = self.command(env!("CARGO_BIN_EXE_rekindle"), goal);
        command.arg("-v").process_group(0);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        // Ends earlier where the build does.
        let _ = stderr.lines().take(lines.into()).count();
        let group = rustix::process::Pid::from_child(&child);
        // It may be over.
        let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
        child.wait().unwrap();
    }

    /// The target directory, as far as people know it.
    pub(super) fn target(&self) -> PathBuf {
        let dir = match self.around.layout {
            Layout::Default | Layout::BuildDir => "ws/target",
            Layout::TargetDir => "ws/build/target",
        };
        self.root().join(dir)
    }

    pub(super) fn rekindle(&self, arguments: &[impl AsRef<str>]) -> Done {
        let mut command = self.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
        command.output().unwrap().into()
    }

    fn cargo(&self, arguments: &[impl AsRef<str>]) -> Done {
        self.command("cargo", arguments).output().unwrap().into()
    }

    pub(super) fn arguments(&self, goal: Goal) -> Vec<String> {
        let program = &self.world.members.last().unwrap().name;
        let words: &[&str] = match goal {
            Goal::Build => &["build"],
            Goal::Test => &[
                "test",
                "--no-fail-fast",
                "--",
                "--nocapture",
                "--test-threads=1",
            ],
            Goal::Check => &["check"],
            Goal::Release => &["build", "--release"],
            Goal::Package => &["build", "-p", program],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// A program in the checkout's workspace, with what is set around.
    pub(super) fn command(&self, program: &str, arguments: &[impl AsRef<str>]) -> Command {
        let mut command = self.project.command(program, &[]);
        command.env_remove("REKINDLE_SNAPSHOT");
        command.args(arguments.iter().map(AsRef::as_ref));
        for name in [
            "RUSTFLAGS",
            "SOURCE_DATE_EPOCH",
            "LIBRARY_PATH",
            "COMPILER_PATH",
            "ORACLE_WORD",
            "ORACLE_SCRIPT",
        ] {
            command.env_remove(name);
        }
        let workspace = self.root().join("ws");
        command
            .current_dir(&workspace)
            .env("RUST_BACKTRACE", "0")
            .env("CARGO_NET_OFFLINE", "true")
            .env("CARGO_TERM_COLOR", "never");
        let around = &self.around;
        if let Some(word) = around.word {
            command.env("ORACLE_WORD", word.to_string());
        }
        if let Some(script) = around.script {
            command.env("ORACLE_SCRIPT", script.to_string());
        }
        if around.extra {
            command.env("RUSTFLAGS", "--cfg extra");
        }
        if !around.incremental {
            command.env("CARGO_INCREMENTAL", "0");
        }
        match around.layout {
            Layout::Default => {}
            Layout::BuildDir => {
                command.env("CARGO_BUILD_BUILD_DIR", workspace.join("build/between"));
            }
            Layout::TargetDir => {
                command.env("CARGO_TARGET_DIR", workspace.join("build/target"));
            }
        }
        command
    }
}

/// How a step's checkout comes to be; `None` where the one before is kept.
fn source_of(step: &Step) -> Option<Source> {
    match step.place {
        Place::Fresh(source) | Place::Moved(source) => Some(source),
        Place::Kept => None,
    }
}
