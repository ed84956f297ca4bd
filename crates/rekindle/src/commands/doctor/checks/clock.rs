//! The system's clock against the file system's, against the toolchain's birthday, and files from the future.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rekindle_fsx::FileKind;

use super::super::context::Context;
use super::super::fix::{Fix, Step};
use super::super::kinds::{CLOCK_SKEW, CLOCK_WRONG, FILES_IN_FUTURE};
use super::super::machine::utc;
use super::super::model::{Finding, Outcome};
use super::toolchain;

const SECOND_NS: i64 = 1_000_000_000;
/// Two clocks on a network are rarely closer.
const SKEW_NS: i64 = 2 * SECOND_NS;
/// What is so near will be past before anybody acts.
const SOON_NS: i64 = 30 * SECOND_NS;
/// The walk through the workspace ends here.
const FILES_MAX: usize = 50_000;
const LOOK: Duration = Duration::from_secs(5);
const SHOWN_MAX: usize = 5;

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let mut findings = Vec::new();
    let date = toolchain::commit_date(context);
    findings.extend(date.and_then(|date| before_toolchain(context.machine.now_ns, date)));
    let mut places: Vec<&Path> = vec![&context.resolved.settings.store_dir];
    places.extend(context.build_dir());
    for place in places {
        findings.extend(skew(place));
    }
    if let Some(layout) = &context.layout {
        findings.extend(from_future(context, &layout.workspace_root));
    }
    Outcome::new(format!("it is {}", utc(context.machine.now_ns)), findings)
}

fn before_toolchain(now_ns: i64, date: &str) -> Option<Finding> {
    // Dates of one form compare as text.
    let today = utc(now_ns);
    let today = today.split(' ').next()?;
    (today < date).then(|| {
        Finding::new(
            &CLOCK_WRONG,
            format!("it is {today} by the system's clock, and the toolchain is of {date}"),
            "set the clock: `timedatectl set-ntp true`, or `date -s`; then touch what was written meanwhile",
        )
    })
}

/// Writes a file, and compares its time with the clock's before and after.
fn skew(dir: &Path) -> Option<Finding> {
    if !rekindle_fsx::exists(dir) {
        return None;
    }
    let file = rekindle_fsx::atomic::unique_in(dir);
    let before = rekindle_fsx::time::coarse_ns();
    let written = rekindle_fsx::atomic::write(&file, b"x");
    let after = rekindle_fsx::time::realtime_ns();
    let stamp = rekindle_fsx::stat(&file).map(|sig| sig.mtime_ns);
    let _ = rekindle_fsx::remove_file(&file);
    written.ok()?;
    skewed(dir, (before, after), stamp.ok()?)
}

fn skewed(dir: &Path, (before, after): (i64, i64), stamp: i64) -> Option<Finding> {
    let off = if stamp < before - SKEW_NS {
        before - stamp
    } else if stamp > after + SKEW_NS {
        stamp - after
    } else {
        return None;
    };
    let side = if stamp < before { "behind" } else { "ahead of" };
    Some(
        Finding::new(
            &CLOCK_SKEW,
            format!(
                "the file system of {} is {} s {side} the system",
                dir.display(),
                off / SECOND_NS
            ),
            "let both machines set their clocks by the same source (chrony, systemd-timesyncd)",
        )
        .seen(format!(
            "a file written at {} has the time {}",
            utc(after),
            utc(stamp)
        )),
    )
}

fn from_future(context: &Context<'_>, root: &Path) -> Option<Finding> {
    let horizon = context.machine.now_ns + SOON_NS;
    let mut files = future_files(root, horizon);
    if files.is_empty() {
        return None;
    }
    files.sort();
    let built = context
        .build_dir()
        .is_some_and(|dir| has_future_fingerprint(dir, horizon));
    let mut finding = Finding::new(
        &FILES_IN_FUTURE,
        match files.len() {
            1 => "a file has a time in the future".to_owned(),
            many => format!("{many} files have a time in the future"),
        },
        "check the clock; then let `--fix` give them the present time",
    );
    for (path, mtime_ns) in files.iter().take(SHOWN_MAX) {
        finding = finding.seen(format!("{} is of {}", path.display(), utc(*mtime_ns)));
    }
    if built {
        // Sources of the present would be older than what was built from others: fresh, and stale.
        finding.next = "check the clock; then `cargo clean`: the target has times in the future as well, so that \
                        cargo would not see a change"
            .to_owned();
        return Some(finding);
    }
    let steps = files.into_iter().map(|(path, mtime_ns)| Step::Touch {
        path,
        was_s: mtime_ns / SECOND_NS,
    });
    Some(finding.fixed_by(Fix::new(
        "give these files the present time",
        steps.collect(),
    )))
}

/// Files of the workspace, without what git, cargo and other tools keep for themselves.
fn future_files(root: &Path, horizon: i64) -> Vec<(PathBuf, i64)> {
    let until = Instant::now() + LOOK;
    let mut found = Vec::new();
    let mut pending = vec![root.to_owned()];
    let mut seen = 0;
    while let Some(dir) = pending.pop() {
        if seen > FILES_MAX || Instant::now() > until {
            break;
        }
        for entry in rekindle_fsx::list_dir(&dir).unwrap_or_default() {
            seen += 1;
            match entry.sig.kind() {
                FileKind::Dir => {
                    let skipped = [".git", ".jj", "node_modules"]
                        .iter()
                        .any(|name| entry.name == **name);
                    if !skipped && !rekindle_fsx::exists(&entry.path.join("CACHEDIR.TAG")) {
                        pending.push(entry.path);
                    }
                }
                FileKind::File if entry.sig.mtime_ns > horizon => {
                    found.push((entry.path, entry.sig.mtime_ns));
                }
                _ => {}
            }
        }
    }
    found
}

/// Whether anything was built at a time in the future.
fn has_future_fingerprint(build_dir: &Path, horizon: i64) -> bool {
    let dirs = rekindle_fsx::disk::holders(build_dir, ".fingerprint", 2);
    dirs.iter().any(|dir| {
        let units = rekindle_fsx::list_dir(&dir.join(".fingerprint")).unwrap_or_default();
        units.iter().any(|unit| {
            let files = rekindle_fsx::list_dir(&unit.path).unwrap_or_default();
            files.iter().any(|file| file.sig.mtime_ns > horizon)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_NS: i64 = 24 * 3600 * SECOND_NS;

    #[test]
    fn a_clock_before_the_toolchain_is_wrong() {
        let at = |now_ns| before_toolchain(now_ns, "2026-04-14").map(|finding| finding.title);
        let april_14 = 20_557 * DAY_NS;
        assert!(utc(april_14).starts_with("2026-04-14"));
        assert_eq!(at(april_14), None);
        assert_eq!(at(april_14 + 300 * DAY_NS), None);
        assert!(at(april_14 - DAY_NS).unwrap().contains("2026-04-13"));
        assert!(at(0).unwrap().contains("1970-01-01"));
    }

    #[test]
    fn stamps_outside_of_the_span_are_skewed() {
        let check = |stamp: i64, expected: Option<&str>| {
            let span = (1000 * SECOND_NS, 1001 * SECOND_NS);
            let found = skewed(Path::new("/x"), span, stamp * SECOND_NS);
            assert_eq!(found.map(|finding| finding.title).as_deref(), expected);
        };
        check(1000, None);
        check(999, None);
        check(1003, None);
        check(990, Some("the file system of /x is 10 s behind the system"));
        check(
            1061,
            Some("the file system of /x is 60 s ahead of the system"),
        );
    }
}
