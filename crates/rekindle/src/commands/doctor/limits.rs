//! What this process may use: processors, their time, memory; control groups of both versions included.

use std::path::{Path, PathBuf};

use super::machine::Machine;

/// What this process may use.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Limits {
    /// Processors that it may run on.
    pub(super) cores: u64,
    /// How many processors' time it gets, where a control group says.
    pub(super) quota: Option<f64>,
    /// Which file says so.
    pub(super) quota_file: String,
    /// Memory: the machine's, or less where a control group says.
    pub(super) memory_bytes: Option<u64>,
    /// Which file says so.
    pub(super) memory_file: String,
}

pub(super) fn of(machine: &Machine) -> Limits {
    let mut limits = Limits {
        cores: cores(machine),
        ..Limits::default()
    };
    let meminfo = machine.proc.join("meminfo");
    limits.memory_bytes = total_memory(&text(&meminfo));
    limits.memory_file = meminfo.display().to_string();
    let groups = text(&machine.proc.join("self/cgroup"));
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':');
        let (_, Some(controllers), Some(path)) = (parts.next(), parts.next(), parts.next()) else {
            continue;
        };
        for (root, group) in roots(machine, controllers) {
            for dir in upwards(&root, path) {
                apply(&mut limits, &dir, group);
            }
        }
    }
    limits
}

/// Which version's files are in a directory.
#[derive(Clone, Copy, PartialEq)]
enum Version {
    One,
    Two,
}

/// Where the hierarchy of these controllers is mounted. Version 2 has no controllers in this file.
fn roots(machine: &Machine, controllers: &str) -> Vec<(PathBuf, Version)> {
    if controllers.is_empty() {
        let unified = machine.cgroup.join("unified");
        let root = if rekindle_fsx::exists(&unified) {
            unified
        } else {
            machine.cgroup.clone()
        };
        return vec![(root, Version::Two)];
    }
    let wanted = |name: &&str| matches!(*name, "cpu" | "memory");
    controllers
        .split(',')
        .filter(wanted)
        .map(|name| (machine.cgroup.join(name), Version::One))
        .collect()
}

/// A group's directory and those above. In a container the path is one of the host's, and the mount is the group.
fn upwards(root: &Path, path: &str) -> Vec<PathBuf> {
    let below = Path::new(path.trim_start_matches('/'));
    let mut dirs: Vec<PathBuf> = below
        .ancestors()
        .map(|dir| root.join(dir))
        .filter(|dir| rekindle_fsx::exists(dir))
        .collect();
    if dirs.is_empty() {
        dirs.push(root.to_owned());
    }
    dirs
}

fn apply(limits: &mut Limits, dir: &Path, version: Version) {
    let (quota, quota_file) = match version {
        Version::Two => {
            let file = dir.join("cpu.max");
            (quota_two(&text(&file)), file)
        }
        Version::One => {
            let file = dir.join("cpu.cfs_quota_us");
            let period = text(&dir.join("cpu.cfs_period_us"));
            (quota_one(&text(&file), &period), file)
        }
    };
    if let Some(quota) = quota
        && limits.quota.is_none_or(|least| quota < least)
    {
        limits.quota = Some(quota);
        limits.quota_file = quota_file.display().to_string();
    }
    let file = dir.join(match version {
        Version::Two => "memory.max",
        Version::One => "memory.limit_in_bytes",
    });
    if let Ok(bytes) = text(&file).trim().parse::<u64>()
        && limits.memory_bytes.is_none_or(|least| bytes < least)
    {
        limits.memory_bytes = Some(bytes);
        limits.memory_file = file.display().to_string();
    }
}

fn text(file: &Path) -> String {
    rekindle_fsx::read_to_string(file).unwrap_or_default()
}

/// `max 100000`, `150000 100000`.
fn quota_two(text: &str) -> Option<f64> {
    let (quota, period) = text.trim().split_once(' ')?;
    ratio(quota, period)
}

/// No limit is -1.
fn quota_one(quota: &str, period: &str) -> Option<f64> {
    ratio(quota.trim(), period.trim())
}

fn ratio(quota: &str, period: &str) -> Option<f64> {
    let (quota, period): (f64, f64) = (quota.parse().ok()?, period.parse().ok()?);
    (quota > 0.0 && period > 0.0).then_some(quota / period)
}

fn cores(machine: &Machine) -> u64 {
    let status = text(&machine.proc.join("self/status"));
    let list = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"));
    list.map_or(1, |list| count(list.trim())).max(1)
}

/// How many numbers a list like `0-3,8` has.
fn count(list: &str) -> u64 {
    let number = |text: &str| text.trim().parse::<u64>().ok();
    list.split(',')
        .filter_map(|part| match part.split_once('-') {
            Some((from, to)) => Some(number(to)?.checked_sub(number(from)?)? + 1),
            None => number(part).map(|_| 1),
        })
        .sum()
}

fn total_memory(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn machine(files: &[(&str, &str)]) -> (tempfile::TempDir, Machine) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = dir.path().join(name);
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&file, text.as_bytes()).unwrap();
        }
        let machine = Machine {
            proc: dir.path().join("proc"),
            cgroup: dir.path().join("cgroup"),
            units: Vec::new(),
            now_ns: 0,
        };
        (dir, machine)
    }

    const MACHINE: [(&str, &str); 2] = [
        (
            "proc/meminfo",
            "MemTotal:       16000000 kB\nMemFree: 1 kB\n",
        ),
        (
            "proc/self/status",
            "Name:\tx\nCpus_allowed_list:\t0-5,8,10-11\n",
        ),
    ];

    #[test]
    fn the_second_version_limits_at_every_level() {
        let mut files = MACHINE.to_vec();
        files.extend([
            ("proc/self/cgroup", "0::/a/b\n"),
            ("cgroup/a/cpu.max", "150000 100000\n"),
            ("cgroup/a/memory.max", "max\n"),
            ("cgroup/a/b/cpu.max", "max 100000\n"),
            ("cgroup/a/b/memory.max", "1073741824\n"),
        ]);
        let (_dir, machine) = machine(&files);
        let limits = of(&machine);
        assert_eq!(limits.cores, 9);
        assert_eq!(limits.quota, Some(1.5));
        assert!(limits.quota_file.ends_with("a/cpu.max"));
        assert_eq!(limits.memory_bytes, Some(1 << 30));
        assert!(limits.memory_file.ends_with("b/memory.max"));
    }

    #[test]
    fn the_first_version_has_a_hierarchy_for_each_controller() {
        let mut files = MACHINE.to_vec();
        files.extend([
            (
                "proc/self/cgroup",
                "5:memory:/docker/x\n4:cpu,cpuacct:/docker/x\n3:name=systemd:/\n",
            ),
            // In a container the mount is the group itself.
            ("cgroup/cpu/cpu.cfs_quota_us", "250000\n"),
            ("cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            ("cgroup/memory/memory.limit_in_bytes", "2147483648\n"),
        ]);
        let (_dir, machine) = machine(&files);
        let limits = of(&machine);
        assert_eq!(limits.quota, Some(2.5));
        assert_eq!(limits.memory_bytes, Some(2 << 30));
    }

    #[test]
    fn no_limit_is_none() {
        let mut files = MACHINE.to_vec();
        files.extend([
            ("proc/self/cgroup", "4:cpu:/\n5:memory:/\n0::/\n"),
            ("cgroup/cpu/cpu.cfs_quota_us", "-1\n"),
            ("cgroup/cpu/cpu.cfs_period_us", "100000\n"),
            (
                "cgroup/memory/memory.limit_in_bytes",
                "9223372036854771712\n",
            ),
        ]);
        let (_dir, machine) = machine(&files);
        let limits = of(&machine);
        assert_eq!(limits.quota, None);
        assert_eq!(limits.memory_bytes, Some(16_000_000 * 1024));
    }
}
