//! What a build must have come to.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use super::play::{Kept, Play, Wrong, succeeded};
use super::site::check_out;
use super::steps::{Goal, Source, Trouble};
use super::world::{Member, View};
use crate::project::Done;

impl Play {
    /// Whether a build did what the world says.
    pub(super) fn judge(
        &mut self,
        goal: Goal,
        done: &Done,
        target: &Path,
        reliable: bool,
    ) -> Result<(), Wrong> {
        let root = self.root();
        if !reliable {
            return match done.code {
                Some(_) => Ok(()),
                None => Err(format!("killed\n{}", done.stderr)),
            };
        }
        let view = self.view(goal, &root);
        let is_odd = |member: &&Member| member.value % 2 == 1;
        let fails = matches!(goal, Goal::Test) && view.selected.iter().any(is_odd);
        let said = format!("{}\n{}", done.stdout, done.stderr);
        same(
            "exit code",
            &done.code,
            &Some(if fails { 101 } else { 0 }),
            &said,
        )?;
        same("warnings", &warnings(&done.stderr), &view.warnings(), &said)?;
        match goal {
            Goal::Check => {}
            Goal::Test => same_lines(
                "tests",
                &tested(&done.stdout),
                &expected_tests(&view),
                &said,
            )?,
            Goal::Build | Goal::Release | Goal::Package => {
                let program = self.world.members.last().unwrap();
                let profile = if view.release { "release" } else { "debug" };
                let path = target.join(profile).join(&program.name);
                let output = Command::new(&path)
                    .output()
                    .map_err(|error| format!("{}: {error}\n{said}", path.display()))?;
                let shown = String::from_utf8_lossy(&output.stdout);
                let shown: Vec<String> = shown.lines().map(str::to_owned).collect();
                same_lines("program", &shown, &view.lines(program), &said)?;
            }
        }
        self.tally.judged += 1;
        Ok(())
    }

    /// A second build has nothing to do, whoever does it.
    pub(super) fn assert_fresh(&self, goal: Goal) -> Result<(), Wrong> {
        let mut words = self.arguments(goal);
        if let Goal::Test = goal {
            words = vec!["test".to_owned(), "--no-run".to_owned()];
        }
        words.extend(["-v", "--message-format=json"].map(str::to_owned));
        for program in ["cargo", env!("CARGO_BIN_EXE_rekindle")] {
            if let Err((wrong, by_scripts)) = self.nothing_to_do(program, &words)?
                && (!by_scripts || self.nothing_to_do(program, &words)?.is_err())
            {
                return Err(wrong);
            }
        }
        Ok(())
    }

    /// Builds, and says what was done; and whether that is only because a package's script ran twice, for
    /// hosts and targets, and wrote the same source after the first compile began. Plain cargo builds such a
    /// unit once more, too.
    fn nothing_to_do(
        &self,
        program: &str,
        words: &[String],
    ) -> Result<Result<(), (Wrong, bool)>, Wrong> {
        let done = succeeded(self.command(program, words).output().unwrap().into())?;
        let began = ["Dirty", "Compiling", "Checking", "Running"];
        let works = |line: &&str| began.iter().any(|word| line.trim_start().starts_with(word));
        let status: Vec<&str> = done.stderr.lines().filter(works).collect();
        let rebuilt = done
            .stdout
            .lines()
            .filter(|line| line.contains("\"fresh\":false"));
        let rebuilt = rebuilt.count();
        if status.is_empty() && rebuilt == 0 && done.stdout.contains("\"fresh\":true") {
            return Ok(Ok(()));
        }
        let mut dirty = status
            .iter()
            .filter(|line| line.contains("Dirty"))
            .peekable();
        let by_scripts = dirty.peek().is_some()
            && dirty.all(|line| {
                let written = line.contains("/generated.rs` has changed");
                written || line.contains("` was rebuilt")
            });
        let root = self.root();
        let wrong = format!("a second build in {root:?} by {program} built {rebuilt}: {status:#?}");
        Ok(Err((wrong, by_scripts)))
    }

    /// Once more from nothing, at the same place: no compiler and no linker starts. Build scripts may run, and
    /// units that depend on them come from the unit cache: a script that wrote among the sources has to write
    /// again where version control does not have what it wrote.
    pub(super) fn again(&mut self, goal: Goal, strict: bool) -> Result<(), Wrong> {
        let (origin, root) = (self.origin(), self.root());
        check_out(&origin, &root, Source::Clone);
        self.kept = Some(Kept::default());
        let reliable = self
            .kept
            .get_or_insert_default()
            .note(&self.world, &Trouble::None);
        let done = self.rekindle(&self.arguments(goal));
        self.judge(goal, &done, &self.target(), reliable)?;
        let stats = succeeded(self.rekindle(&["stats", "--format", "json"]))?;
        let stats: serde_json::Value = serde_json::from_str(&stats.stdout).unwrap();
        let explain = self.rekindle(&["explain"]).stdout;
        let said = format!("{stats:#}\n{explain}");
        let nothing = ["/processes/rustc", "/processes/linker"];
        for what in nothing.iter().filter(|_| strict) {
            let started = stats.pointer(what).and_then(serde_json::Value::as_u64);
            same(what, &started, &Some(0), &said)?;
        }
        self.tally.fresh += 1;
        self.assert_fresh(goal)
    }

    /// Without Rekindle, from nothing.
    pub(super) fn plain(&mut self, goal: Goal) -> Result<(), Wrong> {
        let target = self.project.path("plain");
        let _ = std::fs::remove_dir_all(&target);
        let mut command = self.command("cargo", &self.arguments(goal));
        command
            .env("CARGO_TARGET_DIR", &target)
            .env_remove("CARGO_BUILD_BUILD_DIR");
        let done: Done = command.output().unwrap().into();
        self.tally.plain += 1;
        self.judge(goal, &done, &target, true)
            .map_err(|wrong| format!("what is expected is wrong, says a plain cargo: {wrong}"))
    }

    pub(super) fn view<'a>(&'a self, goal: Goal, root: &'a Path) -> View<'a> {
        let members = &self.world.members;
        let selected = match goal {
            Goal::Package => members.iter().rev().take(1).collect(),
            _ => members.iter().collect(),
        };
        View {
            world: &self.world,
            around: &self.around,
            root,
            release: matches!(goal, Goal::Release),
            selected,
        }
    }
}

fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    is: &T,
    expected: &T,
    said: &str,
) -> Result<(), Wrong> {
    if is == expected {
        return Ok(());
    }
    Err(format!("{what}: {is:?}, expected {expected:?}\n{said}"))
}

/// As [`same`], and shows only what differs.
fn same_lines(what: &str, is: &[String], expected: &[String], said: &str) -> Result<(), Wrong> {
    if is == expected {
        return Ok(());
    }
    let other = |lines: &[String], others: &[String]| -> BTreeSet<String> {
        let lines = lines.iter().filter(|line| !others.contains(line));
        lines.cloned().collect()
    };
    let (wrong, missing) = (other(is, expected), other(expected, is));
    Err(format!(
        "{what}: {wrong:#?}\nexpected: {missing:#?}\n{said}"
    ))
}

/// The warnings of ours in what cargo printed.
fn warnings(stderr: &str) -> BTreeSet<String> {
    let begin = "warning: use of deprecated function `";
    let noted = stderr
        .lines()
        .filter_map(|line| line.strip_prefix(begin)?.split_once("`: "));
    noted.map(|(_, note)| note.trim().to_owned()).collect()
}

/// The lines that tests printed, in order of their text.
fn tested(stdout: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for line in stdout.lines() {
        // The first line of a test stands behind its name.
        let line = line.rsplit_once(" ... ").map_or(line, |(_, line)| line);
        if line.starts_with("shown ") || line.starts_with("whole ") {
            lines.push(line.to_owned());
        }
    }
    lines.sort();
    lines
}

fn expected_tests(view: &View<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for member in &view.selected {
        let shown = view.lines(member);
        lines.extend(shown.iter().map(|line| format!("shown {line}")));
        if member.is_program {
            lines.extend(shown.iter().map(|line| format!("whole {line}")));
        }
    }
    lines.sort();
    lines
}
