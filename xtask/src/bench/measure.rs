//! One build under the clock.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use super::projects::entries;
use crate::Failure;
use crate::process::shown;

/// `/proc` counts processor time in hundredths of a second, on every Linux.
const TICK_MS: u64 = 10;

/// What one build took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Taken {
    pub(super) wall_ms: u64,
    /// User and system time of the process tree; daemons are not in it.
    pub(super) cpu_ms: u64,
    /// User and system time of the whole machine meanwhile; daemons are.
    pub(super) machine_cpu_ms: u64,
    /// How long at least one build script ran.
    pub(super) build_scripts_ms: u64,
}

impl std::ops::AddAssign for Taken {
    /// One thing after the other.
    fn add_assign(&mut self, more: Self) {
        self.wall_ms += more.wall_ms;
        self.cpu_ms += more.cpu_ms;
        self.machine_cpu_ms += more.machine_cpu_ms;
        self.build_scripts_ms += more.build_scripts_ms;
    }
}

/// Builds, with output to `log`.
pub(super) fn build(command: &mut Command, checkout: &Path, log: &Path) -> Result<Taken, Failure> {
    let output = File::create(log)
        .and_then(|file| Ok((file.try_clone()?, file)))
        .map_err(|error| format!("cannot write `{}`: {error}", log.display()))?;
    command.stdout(output.0).stderr(output.1);
    // What earlier runs wrote must not be written back on this one's time.
    crate::process::run(&mut crate::process::command("sync"))?;

    let began = SystemTime::now();
    let cpu_before = children_cpu_ms();
    let machine_before = machine_cpu_ms();
    let clock = Instant::now();
    let status = command
        .status()
        .map_err(|error| format!("{} could not be started: {error}", shown(command)))?;
    let wall = clock.elapsed();
    let taken = Taken {
        wall_ms: u64::try_from(wall.as_millis()).unwrap_or(u64::MAX),
        cpu_ms: children_cpu_ms().saturating_sub(cpu_before),
        machine_cpu_ms: machine_cpu_ms().saturating_sub(machine_before),
        build_scripts_ms: build_scripts_ms(&checkout.join("target"), epoch_ms(began)),
    };
    if status.success() {
        Ok(taken)
    } else {
        Err(format!(
            "{} ended with {status}; see `{}`",
            shown(command),
            log.display()
        ))
    }
}

/// Processor time of all children that ended and were waited for.
fn children_cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    children_ticks(&stat) * TICK_MS
}

/// Fields 16 and 17 of `/proc/PID/stat`; the name before them may hold spaces and parentheses.
fn children_ticks(stat: &str) -> u64 {
    let behind_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let fields: Vec<&str> = behind_name.split_whitespace().collect();
    let ticks = |index: usize| {
        fields
            .get(index)
            .and_then(|field| field.parse::<u64>().ok())
    };
    ticks(13).unwrap_or(0) + ticks(14).unwrap_or(0)
}

fn machine_cpu_ms() -> u64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    machine_ticks(&stat) * TICK_MS
}

/// User, nice and system time of the line that sums all processors.
fn machine_ticks(stat: &str) -> u64 {
    let line = stat
        .lines()
        .find(|line| line.starts_with("cpu "))
        .unwrap_or_default();
    line.split_whitespace()
        .skip(1)
        .take(3)
        .filter_map(|field| field.parse::<u64>().ok())
        .sum()
}

fn epoch_ms(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// From the times of what cargo writes before and after each run of a build script. A run that was
/// restored has times from before `began_ms`, or no length.
fn build_scripts_ms(target: &Path, began_ms: u64) -> u64 {
    let mut spans = Vec::new();
    collect_spans(target, 0, &mut spans);
    covered_ms(spans, began_ms)
}

fn collect_spans(dir: &Path, depth: usize, spans: &mut Vec<(u64, u64)>) {
    // target/[triple/]profile/build/[package/]hash
    const DEPTH_MAX: usize = 5;
    let written = |name: &str| {
        let time = fs::metadata(dir.join(name)).and_then(|found| found.modified());
        time.ok().map(epoch_ms)
    };
    // cargo gives `output` the time of the start; what it writes behind it has the time of the end.
    let end = ["output", "stdout", "stderr", "root-output"]
        .into_iter()
        .filter_map(written)
        .max();
    if let (Some(start), Some(end)) = (written("invoked.timestamp"), end) {
        spans.push((start, end));
        return;
    }
    if depth == DEPTH_MAX {
        return;
    }
    for path in entries(dir).unwrap_or_default() {
        let name = path.file_name().unwrap_or_default();
        let dull = name == "deps" || name == "incremental" || name == ".fingerprint";
        if !dull && path.is_dir() {
            collect_spans(&path, depth + 1, spans);
        }
    }
}

/// The length of the union of all spans that begin in time.
fn covered_ms(mut spans: Vec<(u64, u64)>, began_ms: u64) -> u64 {
    spans.retain(|(start, end)| start >= &began_ms && end > start);
    spans.sort_unstable();
    let mut covered = 0;
    let mut reached = 0;
    for (start, end) in spans {
        let start = start.max(reached);
        if end > start {
            covered += end - start;
            reached = end;
        }
    }
    covered
}

/// Bytes on disk below a directory; a file with several names counts once.
pub(super) fn disk_bytes(dir: &Path) -> u64 {
    let mut seen = std::collections::HashSet::new();
    let mut pending = vec![dir.to_owned()];
    let mut bytes = 0;
    while let Some(dir) = pending.pop() {
        for path in entries(&dir).unwrap_or_default() {
            let Ok(found) = fs::symlink_metadata(&path) else {
                continue;
            };
            if found.is_dir() {
                pending.push(path);
            } else if seen.insert((found.dev(), found.ino())) {
                bytes += found.blocks() * 512;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_are_counted_behind_any_name() {
        let stat = "7 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 11 12 130 17 20 0 1 0 5 6 7";
        assert_eq!(children_ticks(stat), 147);
    }

    #[test]
    fn the_machine_is_counted_without_idling() {
        assert_eq!(machine_ticks("cpu  10 2 30 4000 5 0 0\ncpu0 1 1 1 1\n"), 42);
    }

    #[test]
    fn overlapping_runs_count_once_and_restored_ones_not_at_all() {
        assert_eq!(
            covered_ms(
                vec![(100, 200), (150, 300), (400, 450), (1, 90), (500, 500)],
                95
            ),
            250
        );
    }

    #[test]
    fn a_script_ran_from_its_first_file_to_its_last() {
        let dir = tempfile::tempdir().unwrap();
        let script = dir.path().join("debug/build/a-1");
        fs::create_dir_all(&script).unwrap();
        for (name, ms) in [
            ("invoked.timestamp", 5_000),
            ("output", 5_000),
            ("stderr", 5_250),
        ] {
            let file = File::create(script.join(name)).unwrap();
            let time = UNIX_EPOCH + std::time::Duration::from_millis(ms);
            file.set_modified(time).unwrap();
        }
        assert_eq!(build_scripts_ms(dir.path(), 4_000), 250);
        assert_eq!(build_scripts_ms(dir.path(), 6_000), 0);
    }

    #[test]
    fn a_real_build_is_timed() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let mut command = crate::process::command("sh");
        command.args([
            "-c",
            "i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done; echo done",
        ]);
        let taken = build(&mut command, dir.path(), &log).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "done\n");
        assert!(taken.wall_ms > 0 && taken.cpu_ms > 0, "{taken:?}");
        assert!(disk_bytes(dir.path()) > 0);
    }
}
