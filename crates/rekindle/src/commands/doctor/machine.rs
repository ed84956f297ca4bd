//! Where the system says things of itself: a place for tests to put others.

use std::path::{Path, PathBuf};

use rekindle::Surroundings;

/// Directories of the system, and the present.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    /// `/proc`.
    pub(super) proc: PathBuf,
    /// `/sys/fs/cgroup`.
    pub(super) cgroup: PathBuf,
    /// Where systemd looks for units.
    pub(super) units: Vec<PathBuf>,
    /// Nanoseconds since 1970.
    pub(super) now_ns: i64,
}

/// Where services are installed; `SYSTEMD_UNIT_PATH` says others, to systemd as to us.
const UNITS: &[&str] = &[
    "/etc/systemd/system",
    "/usr/local/lib/systemd/system",
    "/usr/lib/systemd/system",
];

impl Machine {
    pub(super) fn real(surroundings: &Surroundings) -> Self {
        let units = match surroundings.non_empty("SYSTEMD_UNIT_PATH") {
            // An empty last part stands for the usual places.
            Some(path) => std::env::split_paths(path)
                .filter(|dir| !dir.as_os_str().is_empty())
                .collect(),
            None => UNITS.iter().map(PathBuf::from).collect(),
        };
        Self {
            proc: "/proc".into(),
            cgroup: "/sys/fs/cgroup".into(),
            units,
            now_ns: rekindle_fsx::time::realtime_ns(),
        }
    }

    /// The file system that a path is on.
    pub(super) fn mount_of(&self, path: &Path) -> Option<Mount> {
        let real = nearest(path)?;
        let text = rekindle_fsx::read_to_string(&self.proc.join("self/mountinfo")).ok()?;
        mount_of(&text, &real)
    }
}

/// The first of a path and its parents that is there, links resolved.
pub(super) fn nearest(path: &Path) -> Option<PathBuf> {
    path.ancestors()
        .find_map(|dir| rekindle_fsx::canonicalize(dir).ok())
}

/// A mounted file system.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mount {
    /// Where.
    pub(super) point: PathBuf,
    /// What kind, as in `ext4`.
    pub(super) kind: String,
}

impl Mount {
    /// Whether another machine keeps it.
    pub(super) fn is_network(&self) -> bool {
        const NETWORK: &[&str] = &[
            "nfs",
            "nfs4",
            "cifs",
            "smb3",
            "smbfs",
            "afs",
            "ceph",
            "glusterfs",
            "lustre",
            "beegfs",
        ];
        const OVER_FUSE: &[&str] = &[
            "fuse.sshfs",
            "fuse.s3fs",
            "fuse.gcsfuse",
            "fuse.glusterfs",
            "fuse.rclone",
            "fuse.mount-s3",
        ];
        let kind = self.kind.as_str();
        NETWORK.contains(&kind) || OVER_FUSE.contains(&kind)
    }

    /// Whether it is gone after a restart.
    pub(super) fn is_memory(&self) -> bool {
        matches!(self.kind.as_str(), "tmpfs" | "ramfs")
    }
}

/// The last mount whose point is the longest beginning of a path.
fn mount_of(mountinfo: &str, path: &Path) -> Option<Mount> {
    let mut best: Option<Mount> = None;
    for line in mountinfo.lines() {
        let (head, tail) = line.split_once(" - ")?;
        let point = unescaped(head.split(' ').nth(4)?);
        let kind = tail.split(' ').next()?.to_owned();
        let longer = best
            .as_ref()
            .is_none_or(|best| point.as_os_str().len() >= best.point.as_os_str().len());
        if path.starts_with(&point) && longer {
            best = Some(Mount { point, kind });
        }
    }
    best
}

/// The kernel writes spaces and the like in octal.
fn unescaped(text: &str) -> PathBuf {
    let mut plain = text.to_owned();
    for (escaped, character) in [
        ("\\040", " "),
        ("\\011", "\t"),
        ("\\012", "\n"),
        ("\\134", "\\"),
    ] {
        plain = plain.replace(escaped, character);
    }
    plain.into()
}

/// A time as people write it: `2026-11-26 17:00:00 UTC`.
pub(super) fn utc(time_ns: i64) -> String {
    let ms = u64::try_from(time_ns / 1_000_000).unwrap_or(0);
    // `20261126T170000.000Z-0`
    let id = rekindle::runs::run_id(rekindle_base::Moment(ms), 0);
    let part = |from: usize, to: usize| id.get(from..to).unwrap_or_default().to_owned();
    format!(
        "{}-{}-{} {}:{}:{} UTC",
        part(0, 4),
        part(4, 6),
        part(6, 8),
        part(9, 11),
        part(11, 13),
        part(13, 15)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_and_last_mount_counts() {
        let text = "1 0 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n\
                    2 1 0:5 / /tmp rw - tmpfs tmpfs rw\n\
                    3 1 0:6 / /tmp/a\\040b rw master:2 - nfs4 host:/x rw\n\
                    4 1 0:7 / /tmp rw - overlay overlay rw\n";
        let kind = |path: &str| mount_of(text, Path::new(path)).unwrap().kind;
        assert_eq!(kind("/home"), "ext4");
        assert_eq!(kind("/tmp/x"), "overlay");
        assert_eq!(kind("/tmp/a b/c"), "nfs4");
        assert_eq!(kind("/tmpx"), "ext4");
    }

    #[test]
    fn times_are_shown_in_utc() {
        assert_eq!(utc(951_782_400_000_000_000), "2000-02-29 00:00:00 UTC");
    }
}
