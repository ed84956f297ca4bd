//! Eviction: mark and sweep under a size budget.
//!
//! 1. One at a time, by `gc.lock`. What running builds used since they started stays (`active`).
//! 2. A census: every record with its refs and last use, every object with its size.
//! 3. `evict` chooses records; they go first, so that a kill leaves no record without its objects.
//! 4. Objects that no remaining record refers to go, unless they are young: a publisher puts objects
//!    first and the record last, and an object that is stored again is made young.
//! 5. Leftovers go: temporaries, files of dead builds, old runs.
//!
//! A publisher may yet refer to an old object without storing it, just as it goes. That entry is a
//! miss; it is never wrong. Called by the CLI, after a build and for `cache gc`.

use std::collections::{HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use rekindle_base::{ByteSize, Digest, Moment, progress};
use rekindle_fsx::{self as fsx, DirEntry, FileKind};
use serde::{Deserialize, Serialize};

use crate::evict::{Bounds, Candidate, choose};
use crate::layout::{Layout, digest_of};
use crate::{LocalStore, Space, account, active, at, frame};

const SECOND_NS: i64 = 1_000_000_000;
const MINUTE_NS: i64 = 60 * SECOND_NS;
const HOUR_NS: i64 = 60 * MINUTE_NS;
const DAY_NS: i64 = 24 * HOUR_NS;

/// Twice as long as a use of an entry may go unwritten (see `local`).
const ACTIVE_MARGIN_NS: i64 = 120 * SECOND_NS;
/// An object that no record referred to may be waiting for its record: a unit's outputs are stored
/// one by one, and a suspended laptop may wake between two of them.
const ORPHAN_GRACE_NS: i64 = HOUR_NS;
/// An object whose last record went just now had one already; only a publisher that stored it again
/// may be waiting, and that made it young (`local` does when it is older than half of this).
const FREED_GRACE_NS: i64 = 20 * MINUTE_NS;
const TEMPORARY_AGE_NS: i64 = DAY_NS;
const RUN_AGE_NS: i64 = 30 * DAY_NS;
const MAX_RUNS: usize = 200;

/// What an eviction did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GcReport {
    /// Whether another one was running, so that this one did nothing.
    pub busy: bool,
    /// Entries dropped.
    pub evicted_entries: u64,
    /// Records of the other spaces dropped.
    pub dropped_records: u64,
    /// Damaged records removed.
    pub damaged_records: u64,
    /// Objects removed.
    pub removed_objects: u64,
    /// Bytes of the records and objects removed.
    pub freed_bytes: u64,
    /// Bytes of the records and objects that remain.
    pub kept_bytes: u64,
    /// Of these, bytes of objects that no record refers to, kept because they are young.
    pub young_bytes: u64,
    /// Leftover temporaries removed.
    pub removed_temporaries: u64,
    /// Files of dead builds removed.
    pub stale_builds: u64,
    /// Directories of runs removed.
    pub removed_runs: u64,
    /// What could not be read or removed: the first few messages. The eviction goes on without.
    pub problems: Vec<String>,
}

const MAX_PROBLEMS: usize = 10;

impl GcReport {
    #[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
    fn problem(&mut self, error: io::Error) {
        if self.problems.len() < MAX_PROBLEMS {
            self.problems.push(error.to_string());
        }
    }

    /// Notes a failed removal; true where it worked.
    fn removed(&mut self, path: &Path, result: io::Result<()>) -> bool {
        let result = result.map_err(at("remove", path));
        result.map_err(|error| self.problem(error)).is_ok()
    }
}

struct SeenObject {
    path: PathBuf,
    size_bytes: u64,
    ctime_ns: i64,
}

struct Census {
    records: Vec<Candidate>,
    /// The path of each record, at the same index.
    paths: Vec<PathBuf>,
    objects: HashMap<Digest, SeenObject>,
}

impl LocalStore {
    /// Drops the least recently used entries until what they refer to fits the budget, and all
    /// that is no longer referred to, left over or too old. A missing store is fine.
    ///
    /// # Errors
    /// Where the store cannot be locked or listed; what cannot be removed is only reported.
    pub fn gc(&self, budget: ByteSize, now: Moment) -> io::Result<GcReport> {
        let layout = &self.layout;
        let mut report = GcReport::default();
        if !fsx::exists(&layout.root) {
            return Ok(report);
        }
        let lock_path = layout.gc_lock();
        let Some(_lock) = fsx::lock::try_exclusive(&lock_path).map_err(at("lock", &lock_path))?
        else {
            report.busy = true;
            return Ok(report);
        };
        let growth_units = account::growth_units(layout);
        let active = active::scan(layout)?;
        report.stale_builds = active.stale;
        let bounds = Bounds {
            budget,
            now_ns: nanoseconds(now),
            horizon_ns: active
                .oldest_start_ns
                .map_or(i64::MAX, |start| start.saturating_sub(ACTIVE_MARGIN_NS)),
        };
        let census = take_census(layout, &mut report)?;
        let live = drop_records(&census, bounds, &mut report);
        sweep_objects(&census, &live, bounds, &mut report);
        sweep_temporaries(layout, bounds, &mut report)?;
        sweep_runs(layout, bounds, &mut report)?;
        let walked = account::Walked {
            bytes: report.kept_bytes,
            growth_units,
            at: now,
        };
        // Only an estimate: where it cannot be written, the next run walks again.
        let _ = account::store(layout, walked);
        Ok(report)
    }

    /// An eviction if one is due: `None` where none is. Costs two small reads when not due, which
    /// is decided from an estimate of the store's size (see `account`): when that exceeds the
    /// budget, or the last walk was a day ago.
    ///
    /// # Errors
    /// As [`LocalStore::gc`].
    pub fn maybe_gc(&self, budget: ByteSize, now: Moment) -> io::Result<Option<GcReport>> {
        if !fsx::exists(&self.layout.root) || !account::is_due(&self.layout, budget, now) {
            return Ok(None);
        }
        self.gc(budget, now).map(Some)
    }
}

pub(crate) fn nanoseconds(moment: Moment) -> i64 {
    i64::try_from(moment.0.saturating_mul(1_000_000)).unwrap_or(i64::MAX)
}

/// The files of a directory and below, and nothing where there is none.
pub(crate) fn files(dir: &Path) -> io::Result<Vec<DirEntry>> {
    fsx::walk_files(dir).map_err(at("list", dir))
}

fn take_census(layout: &Layout, report: &mut GcReport) -> io::Result<Census> {
    let mut census = Census {
        records: Vec::new(),
        paths: Vec::new(),
        objects: HashMap::new(),
    };
    // Records first: an object that is stored after this look is young when it is seen.
    for space in Space::ALL {
        for file in files(&layout.records(space))? {
            let Some(key) = digest_of(&file.path) else {
                continue;
            };
            let (bytes, sig) = match fsx::read_with_sig(&file.path, frame::MAX_BYTES + 1) {
                Ok(Some(read)) => read,
                // Vanished: what it referred to is no concern of ours.
                Ok(None) => continue,
                // One bad sector must not end all eviction, and what nobody can read nobody uses:
                // at worst its objects go, and are misses.
                Err(error) => {
                    report.problem(at("read", &file.path)(error));
                    continue;
                }
            };
            let Ok(frame) = frame::parse(&bytes, space, &key) else {
                if report.removed(&file.path, fsx::remove_file(&file.path)) {
                    report.damaged_records += 1;
                    report.freed_bytes += sig.size;
                }
                continue;
            };
            census.records.push(Candidate {
                space,
                used_ns: sig.mtime_ns,
                size_bytes: sig.size,
                refs: frame.refs().collect(),
            });
            census.paths.push(file.path);
        }
    }
    for file in files(&layout.objects())? {
        let Some(digest) = digest_of(&file.path) else {
            continue;
        };
        let seen = SeenObject {
            size_bytes: file.sig.size,
            ctime_ns: file.sig.ctime_ns,
            path: file.path,
        };
        census.objects.insert(digest, seen);
    }
    Ok(census)
}

/// Drops what was chosen and not used meanwhile; returns the objects that the rest refers to.
fn drop_records(census: &Census, bounds: Bounds, report: &mut GcReport) -> HashSet<Digest> {
    let sizes = census
        .objects
        .iter()
        .map(|(digest, seen)| (*digest, seen.size_bytes))
        .collect();
    let mut gone = HashSet::new();
    for index in choose(&census.records, &sizes, bounds) {
        let (record, path) = (&census.records[index], &census.paths[index]);
        let used_meanwhile = fsx::stat(path).is_ok_and(|sig| sig.mtime_ns != record.used_ns);
        if used_meanwhile || !report.removed(path, fsx::remove_file(path)) {
            continue;
        }
        gone.insert(index);
        report.freed_bytes += record.size_bytes;
        if record.space == Space::Entries {
            report.evicted_entries += 1;
        } else {
            report.dropped_records += 1;
        }
    }
    let mut live = HashSet::new();
    for (index, record) in census.records.iter().enumerate() {
        if !gone.contains(&index) {
            report.kept_bytes += record.size_bytes;
            live.extend(record.refs.iter().copied());
        }
    }
    live
}

fn sweep_objects(census: &Census, live: &HashSet<Digest>, bounds: Bounds, report: &mut GcReport) {
    let had_record: HashSet<&Digest> = census
        .records
        .iter()
        .flat_map(|record| &record.refs)
        .collect();
    progress().expect(census.objects.len() as u64);
    for (digest, seen) in &census.objects {
        progress().did(1);
        if live.contains(digest) {
            report.kept_bytes += seen.size_bytes;
            continue;
        }
        let grace_ns = if had_record.contains(digest) {
            FREED_GRACE_NS
        } else {
            ORPHAN_GRACE_NS
        };
        let is_young = |ctime_ns: i64| {
            ctime_ns >= bounds.horizon_ns || bounds.now_ns.saturating_sub(ctime_ns) < grace_ns
        };
        // A second look: it may have been stored again since the census.
        let keep = is_young(seen.ctime_ns)
            || fsx::stat(&seen.path).is_ok_and(|sig| sig.ctime_ns != seen.ctime_ns);
        if keep {
            report.young_bytes += seen.size_bytes;
        }
        if keep || !report.removed(&seen.path, fsx::remove_file(&seen.path)) {
            report.kept_bytes += seen.size_bytes;
            continue;
        }
        report.removed_objects += 1;
        report.freed_bytes += seen.size_bytes;
    }
}

fn sweep_temporaries(layout: &Layout, bounds: Bounds, report: &mut GcReport) -> io::Result<()> {
    for file in files(&layout.temporaries())? {
        // By change time: a hardlink of an old file has the old file's modification time.
        let age_ns = bounds.now_ns.saturating_sub(file.sig.ctime_ns);
        if age_ns > TEMPORARY_AGE_NS && report.removed(&file.path, fsx::remove_file(&file.path)) {
            report.removed_temporaries += 1;
        }
    }
    Ok(())
}

fn sweep_runs(layout: &Layout, bounds: Bounds, report: &mut GcReport) -> io::Result<()> {
    let dir = layout.runs();
    let mut runs = fsx::found(fsx::list_dir(&dir))
        .map_err(at("list", &dir))?
        .unwrap_or_default();
    runs.retain(|run| run.sig.kind() == FileKind::Dir);
    runs.sort_by_key(|run| std::cmp::Reverse(run.sig.mtime_ns));
    for (newer, run) in runs.iter().enumerate() {
        let age_ns = bounds.now_ns.saturating_sub(run.sig.mtime_ns);
        let goes = newer >= MAX_RUNS || age_ns > RUN_AGE_NS;
        let may_go = run.sig.mtime_ns < bounds.horizon_ns;
        if goes && may_go && report.removed(&run.path, fsx::remove_dir_all(&run.path)) {
            report.removed_runs += 1;
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(
    clippy::disallowed_methods,
    reason = "tests make files as others would"
)]
mod tests {
    use rekindle_fsx::place::Wish;

    use super::*;
    use crate::Store;

    const WISH: Wish = Wish {
        hardlink: false,
        executable: false,
    };

    /// Everything is old, and nothing fits.
    const BOUNDS: Bounds = Bounds {
        budget: ByteSize(0),
        now_ns: i64::MAX,
        horizon_ns: i64::MAX,
    };

    fn store_with_an_entry(dir: &Path) -> (LocalStore, Digest, Digest) {
        let store = LocalStore::open(&dir.join("store"));
        let source = dir.join("source");
        std::fs::write(&source, b"bytes").unwrap();
        let object = store.put_object(&source, WISH).unwrap().digest;
        let key = Digest::of(b"key");
        store
            .put_record(Space::Entries, &key, &[object], b"")
            .unwrap();
        (store, key, object)
    }

    #[test]
    fn an_entry_used_since_the_census_stays_with_its_object() {
        for used in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let (store, key, object) = store_with_an_entry(dir.path());
            let path = store.layout.record(Space::Entries, &key);
            let old = std::time::SystemTime::UNIX_EPOCH;
            std::fs::File::open(&path)
                .unwrap()
                .set_modified(old)
                .unwrap();
            let mut report = GcReport::default();
            let census = take_census(&store.layout, &mut report).unwrap();
            if used {
                store.get_record(Space::Entries, &key).unwrap();
            }
            let live = drop_records(&census, BOUNDS, &mut report);
            sweep_objects(&census, &live, BOUNDS, &mut report);
            assert_eq!(path.exists(), used);
            assert_eq!(store.layout.object(&object).exists(), used);
        }
    }

    #[test]
    fn an_object_stored_again_since_the_census_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (store, key, object) = store_with_an_entry(dir.path());
        store.remove_record(Space::Entries, &key).unwrap();
        let mut report = GcReport::default();
        let mut census = take_census(&store.layout, &mut report).unwrap();
        // As if it had been seen a moment before its change time was set.
        census.objects.get_mut(&object).unwrap().ctime_ns -= 1;
        sweep_objects(&census, &HashSet::new(), BOUNDS, &mut report);
        assert!(store.layout.object(&object).exists());
        assert_eq!((report.removed_objects, report.young_bytes), (0, 5));
    }
}
