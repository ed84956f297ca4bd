//! Room on the disks that builds write to; where there is little, what takes it, and what may go.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rekindle_base::ByteSize;
use rekindle_fsx::disk::{Room, room};

use super::super::context::Context;
use super::super::fix::Fix;
use super::super::kinds::{DISK_FULL, DISK_LOW, Kind};
use super::super::machine::nearest;
use super::super::model::{Finding, Outcome};
use super::super::takers::{self, Taker};

const GIB: u64 = 1 << 30;
/// Less than this much, and less than one part in 20, is low.
const LOW_BYTES: u64 = 5 * GIB;
/// Less than this much, and less than one part in 20, is full: a link of a large program fails.
const FULL_BYTES: u64 = GIB / 2;

/// A disk that builds write to.
struct Disk {
    /// A directory on it that is there.
    dir: PathBuf,
    /// What is on it, for people.
    used_for: Vec<&'static str>,
    room: Room,
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let disks = disks(context);
    let mut findings = Vec::new();
    for (device, disk) in &disks {
        if let Some(kind) = state(&disk.room) {
            findings.push(finding(context, kind, *device, disk));
        }
    }
    let lines: Vec<String> = disks
        .values()
        .map(|disk| {
            format!(
                "{} of {} free for {}",
                ByteSize(disk.room.available_bytes),
                ByteSize(disk.room.total_bytes),
                disk.used_for.join(", ")
            )
        })
        .collect();
    Outcome::new(lines.join("; "), findings)
}

/// By device, each once.
fn disks(context: &Context<'_>) -> BTreeMap<u64, Disk> {
    let temporary = context.surroundings.path("TMPDIR");
    let places = [
        ("target", context.build_dir().map(Path::to_owned)),
        ("store", Some(context.resolved.settings.store_dir.clone())),
        ("cargo's home", context.surroundings.cargo_home()),
        (
            "temporary files",
            Some(temporary.unwrap_or_else(|| "/tmp".into())),
        ),
    ];
    let mut disks: BTreeMap<u64, Disk> = BTreeMap::new();
    for (name, place) in places {
        let Some(dir) = place.as_deref().and_then(nearest) else {
            continue;
        };
        let (Ok(sig), Ok(room)) = (rekindle_fsx::stat_follow(&dir), room(&dir)) else {
            continue;
        };
        let disk = disks.entry(sig.dev).or_insert(Disk {
            dir,
            used_for: Vec::new(),
            room,
        });
        disk.used_for.push(name);
    }
    disks
}

/// Whether there is too little room. A read-only disk, or one without sizes, has none to lose.
fn state(room: &Room) -> Option<&'static Kind> {
    if room.read_only || room.total_bytes == 0 {
        return None;
    }
    let (total, available) = (room.total_bytes, room.available_bytes);
    let no_names = room.total_files > 0 && room.available_files < room.total_files / 100;
    let part = available < total / 20;
    if no_names || available < total / 100 || (part && available < FULL_BYTES) {
        return Some(&DISK_FULL);
    }
    (part && available < LOW_BYTES).then_some(&DISK_LOW)
}

fn finding(context: &Context<'_>, kind: &'static Kind, device: u64, disk: &Disk) -> Finding {
    let title = format!(
        "the disk of {} has {} of {} left",
        disk.dir.display(),
        ByteSize(disk.room.available_bytes),
        ByteSize(disk.room.total_bytes)
    );
    let found = takers::on(context, device);
    let mut finding = Finding::new(kind, title, next(&found));
    finding = finding.seen(format!("it holds: {}", disk.used_for.join(", ")));
    if disk.room.total_files > 0 && disk.room.available_files < disk.room.total_files / 100 {
        finding = finding.seen("it has no room for more files, however small");
    }
    for taker in &found {
        finding = finding.seen(taker.shown());
    }
    let wanted = disk.room.total_bytes / 10;
    let lacking = wanted.saturating_sub(disk.room.available_bytes);
    let steps = takers::steps(&found, lacking);
    let fix = (!steps.is_empty()).then(|| Fix::new("free what is made again by itself", steps));
    finding.fixed_by(fix)
}

fn next(found: &[Taker]) -> String {
    let advice: Vec<String> = found.iter().filter_map(Taker::advice).collect();
    if advice.is_empty() {
        "make room, or move the store and the target elsewhere".to_owned()
    } else {
        advice.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(total: u64, available: u64, files: (u64, u64), expected: Option<&str>) {
        let room = Room {
            total_bytes: total,
            available_bytes: available,
            total_files: files.0,
            available_files: files.1,
            read_only: false,
        };
        assert_eq!(state(&room).map(|kind| kind.id), expected, "{room:?}");
    }

    #[test]
    fn full_and_low_are_told_by_part_and_size() {
        check(250 * GIB, 70 * GIB, (0, 0), None);
        check(250 * GIB, 4 * GIB, (0, 0), Some("disk-low"));
        check(250 * GIB, 2 * GIB, (0, 0), Some("disk-full"));
        check(10_000 * GIB, 200 * GIB, (0, 0), None);
        check(14 * GIB, GIB, (0, 0), None);
        check(14 * GIB, 400 << 20, (0, 0), Some("disk-full"));
        check(100 << 20, 40 << 20, (0, 0), None);
        check(100 << 20, 0, (0, 0), Some("disk-full"));
        check(250 * GIB, 70 * GIB, (1000, 3), Some("disk-full"));
        check(0, 0, (0, 0), None);
    }
}
