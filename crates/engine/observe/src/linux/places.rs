//! Places that are no files: devices, and what the kernel tells of itself and of processes.

/// What a device gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Device {
    /// Nothing, or what a process was given anyway: a terminal.
    Nothing,
    /// Randomness.
    Random,
    Other,
}

/// What a device gives, by its path.
pub(super) fn device(path: &[u8]) -> Device {
    match path.strip_prefix(b"/dev/").unwrap_or_default() {
        b"null" | b"zero" | b"full" | b"tty" | b"ptmx" | b"console" => Device::Nothing,
        b"random" | b"urandom" => Device::Random,
        rest if rest.starts_with(b"pts/") => Device::Nothing,
        _ => Device::Other,
    }
}

/// What is under `/proc` and `/sys`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Special {
    /// Only about the reader, and the same whenever it does the same.
    Nothing,
    /// The reader's environment.
    Environ,
    /// The reader's program.
    Program,
    /// A path from the reader's current directory.
    Through(Vec<u8>),
    /// A path from the root.
    FromRoot(Vec<u8>),
    /// The machine's state. The reader itself is `/proc/self`.
    Kernel(Vec<u8>),
    /// Another process.
    Process(Vec<u8>),
}

/// Parts of `/proc/self` that say nothing of what is outside.
const HARMLESS: &[&[u8]] = &[
    b"",
    b"fd",
    b"fdinfo",
    b"maps",
    b"smaps",
    b"stat",
    b"statm",
    b"status",
    b"cmdline",
    b"comm",
    b"auxv",
    b"task",
    b"oom_score_adj",
    b"coredump_filter",
    b"pagemap",
    b"mem",
    b"syscall",
];

/// Sorts a path under `/proc` or `/sys`; `own` tells whether a number is the reader's.
pub(super) fn special(path: &[u8], own: impl Fn(i32) -> bool) -> Special {
    let Some(rest) = path.strip_prefix(b"/proc/") else {
        return Special::Kernel(path.to_vec());
    };
    let (first, rest) = split(rest);
    let number = std::str::from_utf8(first)
        .ok()
        .and_then(|text| text.parse::<i32>().ok());
    match number {
        Some(number) if !own(number) => return Special::Process(path.to_vec()),
        None if first != b"self" && first != b"thread-self" => {
            return Special::Kernel(path.to_vec());
        }
        _ => {}
    }
    let (mut part, mut rest) = split(rest);
    if part == b"task" && !rest.is_empty() {
        (part, rest) = split(split(rest).1);
    }
    match part {
        b"environ" => Special::Environ,
        b"exe" => Special::Program,
        b"cwd" => Special::Through(rest.to_vec()),
        b"root" => Special::FromRoot(rest.to_vec()),
        _ if HARMLESS.contains(&part) => Special::Nothing,
        _ if rest.is_empty() => Special::Kernel([b"/proc/self/", part].concat()),
        _ => Special::Kernel([b"/proc/self/", part, b"/", rest].concat()),
    }
}

fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().position(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (path, b""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(path: &str, expected: &Special) {
        assert_eq!(
            &special(path.as_bytes(), |number| number == 7),
            expected,
            "{path}"
        );
    }

    #[test]
    fn places_are_sorted() {
        let kernel = |path: &str| Special::Kernel(path.as_bytes().to_vec());
        check("/proc/self/maps", &Special::Nothing);
        check("/proc/self", &Special::Nothing);
        check("/proc/7/fd/3", &Special::Nothing);
        check("/proc/7/task/9/stat", &Special::Nothing);
        check("/proc/self/task/7/environ", &Special::Environ);
        check("/proc/self/exe", &Special::Program);
        check("/proc/7/cgroup", &kernel("/proc/self/cgroup"));
        check("/proc/self/net/tcp", &kernel("/proc/self/net/tcp"));
        check("/proc/cpuinfo", &kernel("/proc/cpuinfo"));
        check(
            "/sys/devices/system/cpu/online",
            &kernel("/sys/devices/system/cpu/online"),
        );
        check("/proc/8/stat", &Special::Process(b"/proc/8/stat".to_vec()));
        check("/proc/self/cwd/a/b", &Special::Through(b"a/b".to_vec()));
        check("/proc/self/root/a", &Special::FromRoot(b"a".to_vec()));
    }

    #[test]
    fn devices_are_sorted() {
        assert_eq!(device(b"/dev/null"), Device::Nothing);
        assert_eq!(device(b"/dev/urandom"), Device::Random);
        assert_eq!(device(b"/dev/nvidia0"), Device::Other);
    }
}
