//! What the machine does while a command runs: processor time and memory, sampled by a thread.
//!
//! Where a control group limits this process (a container, a CI job), its figures are read; else those of the
//! whole machine. A sample reads two small files of the kernel's. The number of samples is bounded: when
//! the bound is reached, every other one is merged with its neighbour and the pace halves.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rekindle_events::SamplesEvent;

/// The pace to begin with: short builds get a curve, too.
const PACE: Duration = Duration::from_millis(250);
/// No more samples than this are kept.
const MAX_SAMPLES: usize = 512;

/// Where figures come from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    /// `/proc/stat` and `/proc/meminfo`.
    Machine,
    /// `cpu.stat`, `memory.current` and `memory.stat` in this directory.
    Unified(PathBuf),
    /// `cpuacct.usage` in the first, `memory.usage_in_bytes` and `memory.stat` in the second.
    Split(PathBuf, PathBuf),
}

/// What this process may use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Processors.
    pub cores: u32,
    /// Memory in bytes; 0 where it is not known.
    pub memory_bytes: u64,
    /// Whether a control group sets a limit.
    pub limited: bool,
    source: Source,
}

impl Limits {
    /// Finds out.
    #[must_use]
    pub fn of_process() -> Self {
        Self::read(&Root::default())
    }

    fn read(root: &Root) -> Self {
        let machine_bytes = root.meminfo("MemTotal:").unwrap_or(0);
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let mut limits = Self {
            cores: u32::try_from(cores).unwrap_or(u32::MAX),
            memory_bytes: machine_bytes,
            limited: false,
            source: Source::Machine,
        };
        let Some((source, cpu_limited, memory_max)) = root.group() else {
            return limits;
        };
        let memory_limited = memory_max.is_some_and(|max| max < machine_bytes);
        if cpu_limited || memory_limited {
            limits.limited = true;
            limits.source = source;
        }
        if let Some(max) = memory_max.filter(|_| memory_limited) {
            limits.memory_bytes = max;
        }
        limits
    }
}

/// Where the kernel's files are; tests make up their own.
struct Root(PathBuf);

impl Default for Root {
    fn default() -> Self {
        Self(PathBuf::from("/"))
    }
}

impl Root {
    fn text(&self, path: &str) -> Option<String> {
        let path = self.0.join(path.trim_start_matches('/'));
        text(&path).ok()
    }

    fn meminfo(&self, name: &str) -> Option<u64> {
        let text = self.text("/proc/meminfo")?;
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib * 1024)
    }

    /// The control group, whether its processor time is limited, and how much memory it may use.
    fn group(&self) -> Option<(Source, bool, Option<u64>)> {
        let own = self.text("/proc/self/cgroup")?;
        let mut unified = None;
        let (mut cpu, mut memory) = (None, None);
        for line in own.lines() {
            let mut fields = line.splitn(3, ':').skip(1);
            let (controllers, path) = (fields.next()?, fields.next()?);
            let has = |name| controllers.split(',').any(|one| one == name);
            if controllers.is_empty() {
                unified = Some(path.to_owned());
            }
            if has("cpuacct") {
                cpu = Some(path.to_owned());
            }
            if has("memory") {
                memory = Some(path.to_owned());
            }
        }
        if let (Some(cpu), Some(memory)) = (cpu, memory) {
            return self.split(&cpu, &memory);
        }
        self.unified(&unified?)
    }

    /// In a container the path is that of the host, and the group's files are at the mount's top.
    fn directory(&self, mount: &str, path: &str, file: &str) -> Option<PathBuf> {
        let mount = self.0.join(mount.trim_start_matches('/'));
        let whole = mount.join(path.trim_start_matches('/'));
        [whole, mount]
            .into_iter()
            .find(|dir| rekindle_fsx::exists(&dir.join(file)))
    }

    fn unified(&self, path: &str) -> Option<(Source, bool, Option<u64>)> {
        let dir = self.directory("/sys/fs/cgroup", path, "memory.current")?;
        let quota = text(&dir.join("cpu.max")).unwrap_or_default();
        let max = text(&dir.join("memory.max")).ok();
        let max = max.and_then(|max| max.trim().parse().ok());
        let cpu_limited = !quota.is_empty() && !quota.starts_with("max");
        Some((Source::Unified(dir), cpu_limited, max))
    }

    fn split(&self, cpu: &str, memory: &str) -> Option<(Source, bool, Option<u64>)> {
        let accounts = ["/sys/fs/cgroup/cpuacct", "/sys/fs/cgroup/cpu,cpuacct"];
        let cpu = accounts
            .iter()
            .find_map(|mount| self.directory(mount, cpu, "cpuacct.usage"))?;
        let memory = self.directory("/sys/fs/cgroup/memory", memory, "memory.usage_in_bytes")?;
        let quota = number(&cpu.join("cpu.cfs_quota_us"));
        let max = number(&memory.join("memory.limit_in_bytes"));
        let max = max.and_then(|max| u64::try_from(max).ok());
        let cpu_limited = quota.is_some_and(|quota| quota > 0);
        Some((Source::Split(cpu, memory), cpu_limited, max))
    }
}

fn text(path: &Path) -> io::Result<String> {
    rekindle_fsx::read_to_string(path)
}

fn number(path: &Path) -> Option<i64> {
    text(path).ok()?.trim().parse().ok()
}

/// A value behind a name in the kernel's lists.
fn listed(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        let (found, value) = line.split_once(' ')?;
        (found == name).then(|| value.trim().parse().ok())?
    })
}

impl Source {
    /// Processor time used so far, in microseconds, and memory in use, in bytes: what only caches files is
    /// not counted.
    fn read(&self, root: &Root) -> Option<(u64, u64)> {
        match self {
            Self::Machine => {
                let stat = root.text("/proc/stat")?;
                let used = root.meminfo("MemTotal:")? - root.meminfo("MemAvailable:")?;
                Some((busy_us(&stat)?, used))
            }
            Self::Unified(dir) => {
                let cpu = listed(&text(&dir.join("cpu.stat")).ok()?, "usage_usec")?;
                let all = number(&dir.join("memory.current"))?;
                Some((cpu, without_files(dir, all, "inactive_file")?))
            }
            Self::Split(cpu, memory) => {
                let ns = number(&cpu.join("cpuacct.usage"))?;
                let all = number(&memory.join("memory.usage_in_bytes"))?;
                let used = without_files(memory, all, "total_inactive_file")?;
                Some((u64::try_from(ns).ok()? / 1000, used))
            }
        }
    }
}

fn without_files(dir: &Path, all: i64, name: &str) -> Option<u64> {
    let stat = text(&dir.join("memory.stat")).unwrap_or_default();
    let files = listed(&stat, name).unwrap_or(0);
    Some(u64::try_from(all).ok()?.saturating_sub(files))
}

/// The unit of `/proc/stat`, on every Linux that Rust runs on.
const TICK_US: u64 = 10_000;

/// Time that all processors together were not idle, from the first line of `/proc/stat`: user, nice,
/// system, idle, iowait, irq, softirq, steal.
fn busy_us(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = line
        .split_whitespace()
        .map_while(|field| field.parse().ok())
        .collect();
    let busy = [0, 1, 2, 5, 6].map(|at| ticks.get(at).copied().unwrap_or(0));
    Some(busy.iter().sum::<u64>() * TICK_US)
}

/// Samples, bounded.
#[derive(Default)]
struct Kept {
    at_ms: Vec<u64>,
    cpu_us: Vec<u64>,
    memory_mib: Vec<u32>,
    last_cpu_us: u64,
}

impl Kept {
    fn add(&mut self, at: Duration, (cpu_us, memory_bytes): (u64, u64)) {
        let used = cpu_us.saturating_sub(self.last_cpu_us);
        self.last_cpu_us = cpu_us;
        self.at_ms
            .push(u64::try_from(at.as_millis()).unwrap_or(u64::MAX));
        self.cpu_us.push(used);
        self.memory_mib
            .push(u32::try_from(memory_bytes >> 20).unwrap_or(u32::MAX));
    }

    /// Merges neighbours: processor time adds up, memory keeps its peak.
    fn halve(&mut self) {
        let pairs = |length: usize| (0..length).step_by(2);
        let length = self.at_ms.len();
        let last = |at: usize| (at + 1).min(length - 1);
        self.at_ms = pairs(length).map(|at| self.at_ms[last(at)]).collect();
        self.cpu_us = pairs(length)
            .map(|at| self.cpu_us[at..=last(at)].iter().sum())
            .collect();
        let peak = |at: usize| self.memory_mib[at].max(self.memory_mib[last(at)]);
        self.memory_mib = pairs(length).map(peak).collect();
    }

    fn event(&self, begin_ms: u64) -> SamplesEvent {
        let mut last_ms = begin_ms;
        let mut cpu_milli = Vec::with_capacity(self.at_ms.len());
        for (at_ms, cpu_us) in self.at_ms.iter().zip(&self.cpu_us) {
            let span_ms = at_ms.saturating_sub(last_ms).max(1);
            last_ms = *at_ms;
            cpu_milli.push(u32::try_from(cpu_us / span_ms).unwrap_or(u32::MAX));
        }
        SamplesEvent {
            taken_ms: self.at_ms.clone(),
            cpu_milli,
            memory_mib: self.memory_mib.clone(),
        }
    }
}

/// The thread that takes samples.
pub struct Sampler {
    stop: Sender<()>,
    thread: JoinHandle<SamplesEvent>,
}

impl Sampler {
    /// Begins. Times count from `began`. `None` where nothing can be read, or no thread be had.
    #[must_use]
    pub fn start(limits: &Limits, began: Instant) -> Option<Self> {
        let root = Root::default();
        let source = limits.source.clone();
        let first = source.read(&root)?;
        let (stop, stopped) = mpsc::channel();
        let sample = move || {
            let mut kept = Kept {
                last_cpu_us: first.0,
                ..Kept::default()
            };
            let begin_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(0);
            let mut pace = PACE;
            loop {
                let is_over = stopped.recv_timeout(pace) != Err(RecvTimeoutError::Timeout);
                if let Some(sample) = source.read(&root) {
                    kept.add(began.elapsed(), sample);
                }
                if is_over {
                    return kept.event(begin_ms);
                }
                if kept.at_ms.len() >= MAX_SAMPLES {
                    kept.halve();
                    pace *= 2;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("sampler".to_owned())
            .spawn(sample)
            .ok()?;
        Some(Self { stop, thread })
    }

    /// Ends, with a last sample.
    #[must_use]
    pub fn stop(self) -> Option<SamplesEvent> {
        // Its end is asked for either way.
        let _ = self.stop.send(());
        self.thread.join().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kernel(files: &[(&str, &str)]) -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let file = dir.path().join(name);
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::append(&file, text.as_bytes()).unwrap();
        }
        let root = Root(dir.path().to_owned());
        (dir, root)
    }

    const MEMINFO: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       4096 kB\nMemFree: 1 kB\nMemAvailable:   1024 kB\n",
    );
    const STAT: (&str, &str) = ("proc/stat", "cpu  100 1 20 500 9 3 4 50 0 0\ncpu0 1 1\n");

    #[test]
    fn a_machine_without_limits_is_read_as_a_whole() {
        let (_dir, root) = kernel(&[
            MEMINFO,
            STAT,
            ("proc/self/cgroup", "0::/user.slice\n"),
            ("sys/fs/cgroup/user.slice/memory.current", "7\n"),
            ("sys/fs/cgroup/user.slice/memory.max", "max\n"),
            ("sys/fs/cgroup/user.slice/cpu.max", "max 100000\n"),
        ]);
        let limits = Limits::read(&root);
        assert_eq!(limits.source, Source::Machine);
        assert_eq!((limits.memory_bytes, limits.limited), (4096 << 10, false));
        // 128 ticks busy, waiting for disks and what the host took away not counted.
        assert_eq!(
            limits.source.read(&root),
            Some((128 * TICK_US, (4096 - 1024) << 10))
        );
    }

    #[test]
    fn a_limited_group_is_read_instead() {
        let (_dir, root) = kernel(&[
            MEMINFO,
            ("proc/self/cgroup", "0::/far/away/on/the/host\n"),
            ("sys/fs/cgroup/memory.current", "3000000\n"),
            ("sys/fs/cgroup/memory.max", "3145728\n"),
            (
                "sys/fs/cgroup/memory.stat",
                "anon 1\ninactive_file 1000000\n",
            ),
            ("sys/fs/cgroup/cpu.max", "200000 100000\n"),
            ("sys/fs/cgroup/cpu.stat", "usage_usec 77\nuser_usec 1\n"),
        ]);
        let limits = Limits::read(&root);
        assert!(limits.limited);
        assert_eq!(limits.memory_bytes, 3 << 20);
        assert_eq!(limits.source.read(&root), Some((77, 2_000_000)));
    }

    #[test]
    fn the_older_layout_is_read_too() {
        let (_dir, root) = kernel(&[
            MEMINFO,
            (
                "proc/self/cgroup",
                "9:memory:/job\n4:cpu,cpuacct:/job\n0::/\n",
            ),
            ("sys/fs/cgroup/cpu,cpuacct/job/cpuacct.usage", "9000\n"),
            ("sys/fs/cgroup/cpu,cpuacct/job/cpu.cfs_quota_us", "-1\n"),
            ("sys/fs/cgroup/memory/job/memory.usage_in_bytes", "500\n"),
            (
                "sys/fs/cgroup/memory/job/memory.limit_in_bytes",
                "1048576\n",
            ),
            (
                "sys/fs/cgroup/memory/job/memory.stat",
                "total_inactive_file 100\n",
            ),
        ]);
        let limits = Limits::read(&root);
        assert_eq!((limits.memory_bytes, limits.limited), (1 << 20, true));
        assert_eq!(limits.source.read(&root), Some((9, 400)));
    }

    #[test]
    fn samples_stay_within_their_bound_and_lose_no_time() {
        let mut kept = Kept::default();
        let (mut pace_ms, mut at_ms) = (250, 0);
        for _ in 0..5_000 {
            at_ms += pace_ms;
            kept.add(Duration::from_millis(at_ms), (at_ms * 1500, at_ms << 20));
            if kept.at_ms.len() >= MAX_SAMPLES {
                kept.halve();
                pace_ms *= 2;
            }
        }
        assert!(kept.at_ms.len() < MAX_SAMPLES);
        let event = kept.event(0);
        assert_eq!(kept.cpu_us.iter().sum::<u64>(), at_ms * 1500);
        assert!(event.cpu_milli.iter().all(|milli| *milli == 1500));
        assert_eq!(event.taken_ms.last(), Some(&at_ms));
    }

    #[test]
    fn a_thread_takes_a_last_sample() {
        let limits = Limits::of_process();
        let sampler = Sampler::start(&limits, Instant::now()).unwrap();
        let samples = sampler.stop().unwrap();
        assert_eq!(samples.taken_ms.len(), 1);
        assert_eq!(samples.cpu_milli.len(), 1);
        assert!(limits.cores >= 1);
    }
}
