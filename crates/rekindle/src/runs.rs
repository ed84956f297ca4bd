//! Run directories: `<store>/v1/runs/<run>/events.jsonl`.
//!
//! A run's name begins with its UTC time, so that names sort as runs began. The command makes the
//! directory and writes first and last event; wrappers append what happens between. Under a plain
//! cargo wrappers make a directory of their own, without a first and last event. Evictions of the store
//! remove old ones.

use std::io;
use std::path::{Path, PathBuf};

use rekindle_base::{Moment, civil};
use rekindle_events::{Event, Log, read_log};
use rekindle_store::LocalStore;

/// File name of the event log in a run's directory.
pub const LOG: &str = "events.jsonl";

/// The directory of all runs of a store.
#[must_use]
pub fn runs_dir(store_dir: &Path) -> PathBuf {
    LocalStore::open(store_dir).runs_dir()
}

/// A run's name: UTC time to the millisecond and the process, as in `20261122T184500.123Z-4711`.
#[must_use]
pub fn run_id(now: Moment, pid: u32) -> String {
    let (days, ms) = (now.0 / 86_400_000, now.0 % 86_400_000);
    let (year, month, day) = civil(days);
    let (hour, minute, second) = (ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60);
    let ms = ms % 1000;
    format!("{year:04}{month:02}{day:02}T{hour:02}{minute:02}{second:02}.{ms:03}Z-{pid}")
}

/// The directory of the run that a plain cargo process is, for the wrappers that it starts, and whether
/// it was made just now. The name holds the process and its start, so that all of them find one; `None`
/// where it cannot be made.
#[must_use]
pub fn of_caller(store_dir: &Path) -> Option<(PathBuf, bool)> {
    let pid = std::os::unix::process::parent_id();
    let ticks = start_ticks(pid)?;
    let ending = format!("Z-{pid}-{ticks}");
    let known = list(store_dir)
        .ok()?
        .into_iter()
        .find(|name| name.ends_with(&ending));
    if let Some(known) = known {
        return Some((runs_dir(store_dir).join(known), false));
    }
    let started = Moment(rekindle_fsx::time::boot_ms() + ticks * TICK_MS);
    let id = format!("{}-{ticks}", run_id(started, pid));
    Some((create(store_dir, &id).ok()?, true))
}

/// The unit of `/proc/PID/stat`, on every Linux that Rust runs on.
const TICK_MS: u64 = 10;

/// When a process began, in ticks since boot.
fn start_ticks(pid: u32) -> Option<u64> {
    let stat = rekindle_fsx::read(Path::new(&format!("/proc/{pid}/stat"))).ok()?;
    let text = String::from_utf8_lossy(&stat);
    // The program's name, in parentheses, may hold spaces; the 20th field behind it is the start.
    text.rsplit_once(')')?
        .1
        .split_whitespace()
        .nth(19)?
        .parse()
        .ok()
}

/// Makes the directory of a run.
///
/// # Errors
/// Where it cannot be made, or nothing can be written into it.
pub fn create(store_dir: &Path, id: &str) -> io::Result<PathBuf> {
    let dir = runs_dir(store_dir).join(id);
    rekindle_fsx::create_dir_all(&dir)?;
    rekindle_fsx::append(&dir.join(LOG), b"")?;
    Ok(dir)
}

/// Appends an event to a run's log.
///
/// # Errors
/// As appending.
pub fn append(run_dir: &Path, event: &Event) -> io::Result<()> {
    rekindle_fsx::append(&run_dir.join(LOG), &event.to_line())
}

/// Reads a run's log.
///
/// # Errors
/// As reading.
pub fn read(run_dir: &Path) -> io::Result<Log> {
    Ok(read_log(&rekindle_fsx::read(&run_dir.join(LOG))?))
}

/// The names of all runs, oldest first.
///
/// # Errors
/// As listing a directory, but for a missing one.
pub fn list(store_dir: &Path) -> io::Result<Vec<String>> {
    let names = rekindle_fsx::list_names(&runs_dir(store_dir))?;
    Ok(names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with(|first: char| first.is_ascii_digit()))
        .collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_utc_times() {
        for (ms, name) in [
            (0, "19700101T000000.000Z-7"),
            (951_782_400_000, "20000229T000000.000Z-7"),
            (1_795_373_100_123, "20261122T184500.123Z-7"),
            (4_107_542_399_999, "21000228T235959.999Z-7"),
        ] {
            assert_eq!(run_id(Moment(ms), 7), name);
        }
    }
}
