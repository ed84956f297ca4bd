//! The lines that follow cargo's own output: never more than three.

use std::collections::BTreeSet;

use rekindle_events::{Event, EventKind, MissReason, Refusal};

use crate::words::{count, duration};
use crate::{Snapshots, Summary};

/// No more lines than this.
pub const MAX_LINES: usize = 3;

/// Less saved time than this is not worth a line.
const SAVED_MIN_MS: u64 = 100;

/// Nor are scripts that take less than this and run each time.
const EACH_TIME_MIN_MS: u64 = 1000;

/// The lines, without Rekindle's name before them. `is_build` says whether the command is one that
/// builds: another one gets lines only where units were compiled after all, or for warnings.
///
/// The first line counts units; then come warnings, then what was saved and where to look next,
/// as far as there is room.
#[must_use]
pub fn lines(summary: &Summary, events: &[Event], is_build: bool) -> Vec<String> {
    let units = summary.requests();
    // cargo found a fault before it looked at any unit, and has said so.
    let stopped_early =
        summary.exit_code.is_some_and(|code| code != 0) && units + summary.fresh.unwrap_or(0) == 0;
    let mut lines = Vec::new();
    if units > 0 || (is_build && !stopped_early) {
        lines.push(counts(summary));
    }
    add_warnings(&mut lines, summary);
    let room = MAX_LINES - lines.len();
    lines.extend(restored(&summary.snapshot).into_iter().take(room));
    let scripts = summary.replayed_scripts + summary.refused_scripts;
    if units + scripts > 0 {
        let each_time = each_time(events);
        // It leads there as well.
        let hint = hint(summary, events).filter(|_| each_time.is_none());
        let rest = each_time.into_iter().chain(saved(summary)).chain(hint);
        lines.extend(rest.take(MAX_LINES - lines.len()));
    }
    lines
}

fn counts(summary: &Summary) -> String {
    let compiled = format!(
        "{}, {}, {} uncacheable",
        count(summary.hits, "hit", "hits"),
        count(summary.misses, "miss", "misses"),
        summary.uncacheable
    );
    match summary.fresh {
        Some(fresh) => format!("{fresh} fresh, {compiled}"),
        None => format!("{compiled} (fresh not counted)"),
    }
}

fn add_warnings(lines: &mut Vec<String>, summary: &Summary) {
    let room = MAX_LINES - lines.len();
    let all = summary.warnings.len();
    let shown = if all > room { room - 1 } else { all };
    for warning in &summary.warnings[..shown] {
        lines.push(format!("warning: {}", warning.message));
    }
    if all > shown {
        let more = count(
            (all - shown) as u64,
            "more kind of warning",
            "more kinds of warnings",
        );
        lines.push(format!("{more}: see `rekindle stats`"));
    }
}

/// What cargo found fresh because it was there before it looked.
fn restored(snapshots: &Snapshots) -> Option<String> {
    let base = snapshots.base.as_ref()?;
    let units = count(snapshots.restored, "unit", "units");
    (snapshots.restored > 0).then(|| format!("{units} restored from {base}"))
}

fn saved(summary: &Summary) -> Option<String> {
    let saved_ms = summary.saved_us / 1000;
    let what = match summary.replayed_scripts {
        0 => "compiling".to_owned(),
        scripts => format!(
            "compiling and of running {}",
            count(scripts, "build script", "build scripts")
        ),
    };
    (saved_ms >= SAVED_MIN_MS).then(|| {
        format!(
            "saved about {} of {} (estimated from recorded {} times)",
            duration(saved_ms),
            what,
            if summary.replayed_scripts > 0 {
                "run"
            } else {
                "compile"
            }
        )
    })
}

/// Build scripts that took their time and will each time, where the user can do something about it.
fn each_time(events: &[Event]) -> Option<String> {
    let mut packages = BTreeSet::new();
    let mut took_us = 0;
    for event in events {
        if let EventKind::Step(step) = &event.kind
            && step.kind == "build-script"
            && step.refused.as_ref().is_some_and(Refusal::can_be_trusted)
        {
            packages.insert(step.package.as_str());
            took_us += step.times.run_us;
        }
    }
    if took_us / 1000 < EACH_TIME_MIN_MS {
        return None;
    }
    let packages: Vec<&str> = packages.into_iter().collect();
    let (whose, run) = match packages.as_slice() {
        [one] => (format!("the build script of {one}"), "runs"),
        [one, two] => (format!("the build scripts of {one} and {two}"), "run"),
        more => (format!("{} build scripts", more.len()), "run"),
    };
    Some(format!(
        "{whose} took {} and {run} each time: see `rekindle explain`",
        duration(took_us / 1000)
    ))
}

/// Where to look next: at the reasons, where there are any that a person can do something about.
fn hint(summary: &Summary, events: &[Event]) -> Option<String> {
    let surprising = events.iter().any(|event| match &event.kind {
        EventKind::Unit(unit) => {
            unit.uncacheable.is_some()
                || !matches!(
                    unit.miss,
                    None | Some(MissReason::NeverSeen | MissReason::Recache)
                )
        }
        EventKind::Step(step) => {
            step.refused.is_some() || matches!(step.miss, Some(MissReason::Changed { .. }))
        }
        _ => false,
    });
    if surprising && summary.misses + summary.uncacheable == 0 {
        Some("see `rekindle explain` for why build scripts were started".to_owned())
    } else if surprising {
        let compiled = summary.misses + summary.uncacheable;
        Some(format!(
            "see `rekindle explain` for why {} compiled",
            count(compiled, "unit was", "units were")
        ))
    } else if summary.misses > 0 {
        Some("see `rekindle stats` for times and sizes".to_owned())
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use rekindle_events::{ChangeKind, StepFate};

    use super::*;
    use crate::fixtures::{
        changed, finished, hit, log, missed, never_seen, started, step, warning,
    };

    fn check(mut kinds: Vec<EventKind>, fresh: Option<u64>, is_build: bool, expected: &[&str]) {
        kinds.insert(0, started("r"));
        kinds.push(finished(fresh));
        let events = log(kinds);
        let summary = Summary::of_run("r", &events);
        assert_eq!(lines(&summary, &events, is_build), expected);
    }

    #[test]
    fn a_build_says_counts_savings_and_where_to_look() {
        let mut restored = hit("serde");
        restored.saved_us = 134_000_000;
        let source = changed(&[(ChangeKind::Source, "src/lib.rs")]);
        check(
            vec![
                EventKind::Unit(restored),
                EventKind::Unit(missed("app", source)),
            ],
            Some(12),
            true,
            &[
                "12 fresh, 1 hit, 1 miss, 0 uncacheable",
                "saved about 2m 14s of compiling (estimated from recorded compile times)",
                "see `rekindle explain` for why 1 unit was compiled",
            ],
        );
    }

    #[test]
    fn scripts_that_take_long_each_time_are_named() {
        let ran = |package: &str, run_ms: u64, refused: Refusal| {
            let mut step = step(package, StepFate::Refused);
            step.times.run_us = run_ms * 1000;
            step.refused = Some(refused);
            EventKind::Step(step)
        };
        let random = || Refusal::Random {
            program: "/usr/bin/perl".into(),
        };
        let outside = Refusal::WroteOutside { path: "/x".into() };
        let hits = "9 fresh, 0 hits, 0 misses, 0 uncacheable";
        let explain = "see `rekindle explain` for why build scripts were started";
        check(
            vec![
                ran("openssl-sys", 64_000, random()),
                ran("x", 9000, outside),
            ],
            Some(9),
            true,
            &[
                hits,
                "the build script of openssl-sys took 1m 04s and runs each time: see `rekindle explain`",
            ],
        );
        check(
            vec![ran("b", 600, random()), ran("a", 500, random())],
            Some(9),
            true,
            &[
                hits,
                "the build scripts of a and b took 1.1s and run each time: see `rekindle explain`",
            ],
        );
        check(
            vec![ran("a", 999, random())],
            Some(9),
            true,
            &[hits, explain],
        );
    }

    #[test]
    fn a_first_build_has_nothing_to_explain() {
        check(
            vec![EventKind::Unit(missed("app", never_seen()))],
            None,
            true,
            &[
                "0 hits, 1 miss, 0 uncacheable (fresh not counted)",
                "see `rekindle stats` for times and sizes",
            ],
        );
    }

    #[test]
    fn other_commands_get_lines_only_where_something_was_compiled() {
        check(vec![], None, false, &[]);
        check(
            vec![EventKind::Unit(hit("a"))],
            None,
            false,
            &["1 hit, 0 misses, 0 uncacheable (fresh not counted)"],
        );
    }

    #[test]
    fn warnings_come_once_each_and_within_the_three_lines() {
        check(
            vec![warning("a"), warning("a")],
            Some(1),
            true,
            &[
                "1 fresh, 0 hits, 0 misses, 0 uncacheable",
                "warning: about a",
            ],
        );
        check(
            vec![warning("a"), warning("b"), warning("c")],
            Some(1),
            true,
            &[
                "1 fresh, 0 hits, 0 misses, 0 uncacheable",
                "warning: about a",
                "2 more kinds of warnings: see `rekindle stats`",
            ],
        );
    }
}
