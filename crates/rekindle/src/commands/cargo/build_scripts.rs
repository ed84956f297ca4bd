//! Build scripts that ran, and how long: cargo writes `invoked.timestamp` before it starts one and
//! `root-output` after it ended.

use std::path::{Path, PathBuf};

use rekindle::layout::Layout;
use rekindle_base::{Clock, SystemClock};
use rekindle_events::{Event, EventKind, ScriptRanEvent, StepFate};

/// What ran.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BuildScripts {
    /// How many.
    pub(super) runs: u64,
    /// Time inside them, added up.
    pub(super) time_ms: u64,
    /// Each of them.
    each: Vec<ScriptRanEvent>,
}

impl BuildScripts {
    /// Those that were started: cargo sees no difference between them and what was replayed.
    pub(super) fn without_replayed(mut self, events: &[Event]) -> Self {
        for event in events {
            if let EventKind::Step(step) = &event.kind
                && step.fate == StepFate::Hit
                && !step.is_tool()
            {
                self.runs = self.runs.saturating_sub(1);
                self.time_ms = self.time_ms.saturating_sub(step.times.total_us / 1000);
            }
        }
        self
    }

    /// Those that no launcher has written an event of, as events.
    pub(super) fn unseen(&self, events: &[Event]) -> Vec<Event> {
        let is_seen = |ran: &&ScriptRanEvent| {
            events.iter().any(|event| match &event.kind {
                EventKind::Step(step) => step.id == ran.id,
                _ => false,
            })
        };
        let unseen = self.each.iter().filter(|ran| !is_seen(ran));
        unseen
            .map(|ran| {
                let kind = EventKind::ScriptRan(ran.clone());
                Event::new(SystemClock::default().now(), kind)
            })
            .collect()
    }
}

const NS_PER_MS: i64 = 1_000_000;

/// Counts what ran since a time by the clock that files are stamped from, in the directory that cargo
/// builds in.
pub(super) fn count(layout: &Layout, since_ns: i64) -> BuildScripts {
    let mut counted = BuildScripts::default();
    for profile in profile_dirs(&layout.build_dir) {
        count_below(&profile.join("build"), NESTED_MAX, since_ns, &mut counted);
    }
    counted
}

/// `debug`, `release`, `x86_64-unknown-linux-gnu/debug` and so on.
fn profile_dirs(target: &Path) -> Vec<PathBuf> {
    let below = |dir: &Path| -> Vec<PathBuf> {
        let names = rekindle_fsx::list_names(dir).unwrap_or_default();
        names.into_iter().map(|name| dir.join(name)).collect()
    };
    let mut profiles = Vec::new();
    for dir in below(target) {
        if rekindle_fsx::exists(&dir.join("build")) {
            profiles.push(dir);
        } else {
            let nested = below(&dir).into_iter();
            profiles.extend(nested.filter(|dir| rekindle_fsx::exists(&dir.join("build"))));
        }
    }
    profiles
}

/// `build/<package>-<hash>/` in the older layout, `build/<package>/<hash>/<what>/` in the newer.
const NESTED_MAX: usize = 3;

fn count_below(dir: &Path, depth: usize, since_ns: i64, counted: &mut BuildScripts) {
    if depth == 0 {
        return;
    }
    for name in rekindle_fsx::list_names(dir).unwrap_or_default() {
        let dir = dir.join(name);
        match rekindle_fsx::stat(&dir.join("invoked.timestamp")) {
            Ok(invoked) => {
                if invoked.mtime_ns >= since_ns && is_script_run(&dir) {
                    // The last file that is written; `output` is set back to the begin.
                    let ended = rekindle_fsx::stat(&dir.join("root-output"));
                    let ended_ns = ended.map_or(invoked.mtime_ns, |file| file.mtime_ns);
                    let time_ms = (ended_ns - invoked.mtime_ns) / NS_PER_MS;
                    let time_ms = u64::try_from(time_ms).unwrap_or(0);
                    counted.runs += 1;
                    counted.time_ms += time_ms;
                    let (package, id) = names(&dir);
                    counted.each.push(ScriptRanEvent {
                        package,
                        id,
                        began_ms: u64::try_from(invoked.mtime_ns / NS_PER_MS).unwrap_or(0),
                        time_ms,
                    });
                }
            }
            Err(_) => count_below(&dir, depth - 1, since_ns, counted),
        }
    }
}

/// Package and hash, from `PACKAGE-HASH` and from `PACKAGE/HASH/run`.
fn names(dir: &Path) -> (String, String) {
    let name = |dir: Option<&Path>| {
        let name = dir.and_then(Path::file_name).unwrap_or_default();
        name.to_string_lossy().into_owned()
    };
    if dir.ends_with("run") {
        let unit = dir.parent();
        return (name(unit.and_then(Path::parent)), name(unit));
    }
    let name = name(Some(dir));
    match name.rsplit_once('-') {
        Some((package, id)) => (package.to_owned(), id.to_owned()),
        None => (name.clone(), name),
    }
}

/// Whether a directory with an `invoked.timestamp` is a build script's: other units have that file
/// too in the newer layout. Where the script failed, `root-output` is missing.
fn is_script_run(dir: &Path) -> bool {
    dir.ends_with("run")
        || rekindle_fsx::exists(&dir.join("root-output"))
        || rekindle_fsx::exists(&dir.join("out"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts_are_counted_and_other_units_are_not() {
        let target = tempfile::tempdir().unwrap();
        for file in [
            "debug/build/a-1/invoked.timestamp",
            "debug/build/a-1/root-output",
            "debug/build/a-2/build-script-build",
            "x86_64-unknown-linux-gnu/release/build/b/1/run/invoked.timestamp",
            "x86_64-unknown-linux-gnu/release/build/b/2/fingerprint/invoked.timestamp",
        ] {
            let file = target.path().join(file);
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::append(&file, b"x").unwrap();
        }
        let count_since = |since_ns| {
            let layout = Layout {
                workspace_root: "/nowhere".into(),
                target_dir: "/nowhere/target".into(),
                build_dir: target.path().to_owned(),
            };
            count(&layout, since_ns).runs
        };
        assert_eq!(count_since(0), 2);
        let layout = Layout {
            workspace_root: "/nowhere".into(),
            target_dir: "/nowhere/target".into(),
            build_dir: target.path().to_owned(),
        };
        let mut names: Vec<_> = count(&layout, 0)
            .each
            .into_iter()
            .map(|ran| (ran.package, ran.id))
            .collect();
        names.sort_unstable();
        let expected = [("a", "1"), ("b", "1")];
        assert_eq!(names, expected.map(|(a, b)| (a.to_owned(), b.to_owned())));
        let made = rekindle_fsx::stat(&target.path().join("debug/build/a-1/invoked.timestamp"));
        let made_ns = made.unwrap().mtime_ns;
        assert_ne!(count_since(made_ns), 0);
        assert_eq!(count_since(made_ns + 60 * 1000 * NS_PER_MS), 0);
    }
}
