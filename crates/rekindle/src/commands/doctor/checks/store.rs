//! Whether the store can be reached and written, how fast it is, and on what it is.

use std::path::Path;
use std::time::{Duration, Instant};

use rekindle_base::{ByteSize, env};
use rekindle_store::{LocalStore, Usage};

use super::super::context::Context;
use super::super::fix::{Fix, Step};
use super::super::kinds::{
    STORE_BUDGET_TOO_LARGE, STORE_NETWORK, STORE_OVER_BUDGET, STORE_READ_ONLY, STORE_SLOW,
    STORE_UNREACHABLE, STORE_VOLATILE,
};
use super::super::machine::{Mount, nearest};
use super::super::model::{Finding, Outcome};

/// What is written and read to measure.
const SAMPLE_BYTES: usize = 8 << 20;
/// Slower than this a compile is likely to be quicker than its restoring.
const SLOW_BYTES_PER_S: f64 = 20.0 * 1_048_576.0;
/// A small file takes longer than this only on a disk that is far away.
const SLOW_FILE: Duration = Duration::from_millis(100);
/// Evictions come after builds: this much above the budget is no sign of a fault.
const OVER_BUDGET: f64 = 1.25;
/// Objects may be waiting for their record for an hour.
const YOUNG_NS: i64 = 90 * 60 * 1_000_000_000;

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let dir = &context.resolved.settings.store_dir;
    let mount = context.machine.mount_of(dir);
    let kind = mount
        .as_ref()
        .map_or("an unknown file system", |mount| mount.kind.as_str());
    if let Some(finding) = unreachable(dir) {
        return Outcome::new("", vec![finding]);
    }
    let mut findings: Vec<Finding> = mount.iter().filter_map(|mount| on(mount, dir)).collect();
    if let Err(finding) = writable(dir) {
        findings.push(*finding);
        return Outcome::new("", findings);
    }
    let room = rekindle_fsx::disk::room(dir).ok();
    // A full disk is the affair of another check.
    let has_room = room.is_some_and(|room| room.available_bytes > 2 * SAMPLE_BYTES as u64);
    let speed = has_room.then(|| measure(dir)).flatten();
    findings.extend(speed.as_ref().and_then(|speed| slow(speed, dir, kind)));
    let reflinks = rekindle_fsx::disk::can_reflink(dir).unwrap_or(false);
    let usage = LocalStore::open(dir).usage().unwrap_or_default();
    findings.extend(over_budget(context, &usage));
    if let Some(room) = room {
        findings.extend(budget_too_large(context, &usage, room.available_bytes));
    }
    let held = usage.total_bytes();
    let line = format!(
        "{} on {kind}{}: {} of {}{}",
        dir.display(),
        if reflinks { " with reflinks" } else { "" },
        ByteSize(held),
        context.resolved.size,
        speed.map_or_else(String::new, |speed| format!(
            "; writes {} and reads {} a second",
            ByteSize(speed.write_bytes_per_s as u64),
            ByteSize(speed.read_bytes_per_s as u64)
        ))
    );
    Outcome::new(line, findings)
}

fn elsewhere() -> String {
    format!(
        "set {} (or `cache.dir`) to a directory on a local disk",
        env::REKINDLE_DIR
    )
}

fn unreachable(dir: &Path) -> Option<Finding> {
    let finding = |why: String| {
        let title = format!("the store `{}` cannot be reached", dir.display());
        Finding::new(&STORE_UNREACHABLE, title, elsewhere()).seen(why)
    };
    let near = nearest(dir)?;
    let sig = match rekindle_fsx::stat_follow(&near) {
        Ok(sig) => sig,
        Err(error) => return Some(finding(error.to_string())),
    };
    if sig.kind() != rekindle_fsx::FileKind::Dir {
        return Some(finding(format!("`{}` is not a directory", near.display())));
    }
    let dangling = dir
        .ancestors()
        .find(|path| rekindle_fsx::exists(path) && rekindle_fsx::canonicalize(path).is_err());
    dangling.map(|path| finding(format!("the link `{}` leads nowhere", path.display())))
}

/// Writes something small where objects go.
fn writable(dir: &Path) -> Result<(), Box<Finding>> {
    let tried = rekindle_fsx::create_dir_all(dir)
        .and_then(|()| rekindle_fsx::disk::write_through(&rekindle_fsx::atomic::unique_in(dir), 1));
    // Where there is no room the directory can be written all the same.
    let error = match tried {
        Err(error) if error.kind() != std::io::ErrorKind::StorageFull => error,
        _ => return Ok(()),
    };
    let near = nearest(dir).unwrap_or_else(|| dir.to_owned());
    let sig = rekindle_fsx::stat_follow(&near).ok();
    let mounted = rekindle_fsx::disk::room(&near).is_ok_and(|room| room.read_only);
    let mut finding = Finding::new(
        &STORE_READ_ONLY,
        format!("the store `{}` cannot be written", dir.display()),
        elsewhere(),
    )
    .seen(error.to_string());
    if mounted {
        finding = finding.seen("its file system is mounted read-only");
    }
    // Directories above are not ours to open.
    let is_own = near == rekindle_fsx::canonicalize(dir).unwrap_or_default();
    if let Some(sig) = sig.filter(|sig| is_own && !mounted && sig.mode & 0o200 == 0) {
        let (from, to) = (sig.mode & 0o7777, (sig.mode & 0o7777) | 0o700);
        let step = Step::Mode {
            path: near.clone(),
            from,
            to,
        };
        let summary = format!("let the owner of {} write", near.display());
        finding = finding
            .seen(format!("`{}` has the mode {from:o}", near.display()))
            .fixed_by(Fix::new(summary, vec![step]));
    }
    Err(Box::new(finding))
}

fn on(mount: &Mount, dir: &Path) -> Option<Finding> {
    let seen = format!("{} is mounted at {}", mount.kind, mount.point.display());
    if mount.is_network() {
        let title = format!(
            "the store `{}` is on a network's file system",
            dir.display()
        );
        return Some(Finding::new(&STORE_NETWORK, title, elsewhere()).seen(seen));
    }
    mount.is_memory().then(|| {
        let title = format!("the store `{}` is in memory", dir.display());
        Finding::new(&STORE_VOLATILE, title, elsewhere()).seen(seen)
    })
}

/// What was measured.
struct Speed {
    write_bytes_per_s: f64,
    read_bytes_per_s: f64,
    /// Writing, naming and removing one small file.
    file: Duration,
}

fn measure(dir: &Path) -> Option<Speed> {
    let per_s = |time: Duration| SAMPLE_BYTES as f64 / time.as_secs_f64().max(1e-6);
    let path = rekindle_fsx::atomic::unique_in(dir);
    // Not all the same: some file systems keep none of these.
    let bytes: Vec<u8> = (0..SAMPLE_BYTES).map(|at| ((at * 31) >> 7) as u8).collect();
    let began = Instant::now();
    rekindle_fsx::atomic::write(&path, &bytes).ok()?;
    let write = began.elapsed();
    let began = Instant::now();
    let read = rekindle_fsx::hash_file(&path);
    let read_time = began.elapsed();
    let _ = rekindle_fsx::remove_file(&path);
    read.ok()?;
    let began = Instant::now();
    rekindle_fsx::atomic::write(&path, b"small").ok()?;
    let _ = rekindle_fsx::remove_file(&path);
    Some(Speed {
        write_bytes_per_s: per_s(write),
        read_bytes_per_s: per_s(read_time),
        file: began.elapsed(),
    })
}

fn slow(speed: &Speed, dir: &Path, kind: &str) -> Option<Finding> {
    let is_slow = speed.write_bytes_per_s < SLOW_BYTES_PER_S
        || speed.read_bytes_per_s < SLOW_BYTES_PER_S
        || speed.file > SLOW_FILE;
    is_slow.then(|| {
        Finding::new(
            &STORE_SLOW,
            format!("the store `{}` is slow", dir.display()),
            elsewhere(),
        )
        .seen(format!(
            "{} a second written, {} a second read, {} ms for a small file, on {kind}",
            ByteSize(speed.write_bytes_per_s as u64),
            ByteSize(speed.read_bytes_per_s as u64),
            speed.file.as_millis()
        ))
    })
}

fn over_budget(context: &Context<'_>, usage: &Usage) -> Option<Finding> {
    let (held, budget) = (usage.total_bytes(), context.resolved.size);
    if held as f64 <= budget.0 as f64 * OVER_BUDGET {
        return None;
    }
    let store = context.resolved.settings.store_dir.clone();
    // What is young no eviction takes: after a large build the store is above its budget for a while.
    let young = young_bytes(&store, context.machine.now_ns);
    if held.saturating_sub(young) <= budget.0 {
        return None;
    }
    let step = Step::Evict {
        store,
        budget,
        urgent: false,
    };
    Some(
        Finding::new(
            &STORE_OVER_BUDGET,
            format!(
                "the store holds {}, more than its budget of {budget}",
                ByteSize(held)
            ),
            "`rekindle cache gc`, or set a larger REKINDLE_CACHE_SIZE",
        )
        .fixed_by(Fix::new("bring the store within its budget", vec![step])),
    )
}

fn young_bytes(store: &Path, now_ns: i64) -> u64 {
    let objects = store.join("v1/objects");
    let files = rekindle_fsx::walk_files(&objects).unwrap_or_default();
    let young = files
        .iter()
        .filter(|file| file.sig.ctime_ns > now_ns - YOUNG_NS);
    young.map(|file| file.sig.size).sum()
}

fn budget_too_large(context: &Context<'_>, usage: &Usage, available: u64) -> Option<Finding> {
    let (held, budget) = (usage.total_bytes(), context.resolved.size.0);
    if budget.saturating_sub(held) <= available {
        return None;
    }
    Some(
        Finding::new(
            &STORE_BUDGET_TOO_LARGE,
            "the disk is full before the store is",
            "set a smaller REKINDLE_CACHE_SIZE, or make room",
        )
        .seen(format!(
            "the store may grow by {}, and its disk has {} left",
            ByteSize(budget.saturating_sub(held)),
            ByteSize(available)
        )),
    )
}

#[cfg(test)]
mod tests {
    use rekindle::Surroundings;
    use rekindle::cargo_config::CargoConfig;

    use super::*;

    #[test]
    fn a_store_above_its_budget_is_found_once_an_eviction_could_help() {
        let dir = tempfile::tempdir().unwrap();
        let mut surroundings = Surroundings {
            home: Some(dir.path().to_owned()),
            ..Surroundings::default()
        };
        surroundings
            .vars
            .insert("REKINDLE_DIR".into(), dir.path().into());
        surroundings
            .vars
            .insert("REKINDLE_CACHE_SIZE".into(), "100K".into());
        let resolved = rekindle::settings::resolve(&surroundings).unwrap();
        let config = CargoConfig::read(&surroundings, dir.path(), &[]);
        let mut context = Context::new(&surroundings, &config, None, &resolved);
        let shard = dir.path().join("v1/objects/ab");
        rekindle_fsx::create_dir_all(&shard).unwrap();
        rekindle_fsx::atomic::write(&shard.join("cd"), &[7; 300_000]).unwrap();
        let usage = Usage {
            object_bytes: 300_000,
            ..Usage::default()
        };
        assert!(over_budget(&context, &usage).is_none());
        context.machine.now_ns += 2 * YOUNG_NS;
        let finding = over_budget(&context, &usage).unwrap();
        assert_eq!(finding.kind.id, "store-over-budget");
        let within = Usage {
            object_bytes: 110_000,
            ..Usage::default()
        };
        assert!(over_budget(&context, &within).is_none());
    }
}
