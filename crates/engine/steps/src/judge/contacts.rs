//! What a run that talked to something is keyed by, or why it is refused.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use memchr::memmem;
use rekindle_events::Refusal;
use rekindle_key::pathset::Name;
use rekindle_observe::{Contact, Observation, Seen, is_of_kind};
use rekindle_outputs::launch;
use rekindle_outputs::present::{HOST_NAME, PROCESSOR, is_machine_name};

/// What a contact means.
pub(super) enum Contacted<'a> {
    Harmless,
    /// It was asked which processor or which kernel this is, as this file says.
    Keyed(&'a [u8]),
    /// The name of the host was written into a log.
    HostName,
    /// The time was read by a program that writes it only on request.
    Stamp,
    /// The time was read by another program.
    Timed(Refusal),
    /// Something random was read by a program that writes it only where its sources ask for that: see [`draws`].
    Drawn(Refusal),
    /// Something random was read by a program that does so at each start: see [`SEEDED`].
    Seeded(Refusal),
    Refused(Refusal),
}

/// What describes the process itself or bounds parallelism: see the table of exclusions.
const HARMLESS: &[&str] = &[
    "/proc/self",
    "/proc/thread-self",
    "/proc/stat",
    "/proc/meminfo",
    "/proc/loadavg",
    "/proc/filesystems",
    "/proc/mounts",
    "/proc/sys/kernel/ngroups_max",
    "/proc/sys/kernel/pid_max",
    "/proc/sys/kernel/cap_last_cap",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/max_map_count",
    "/sys/fs/cgroup",
    "/sys/fs/selinux",
    "/sys/devices/system/cpu",
    "/sys/devices/system/node",
    "/sys/kernel/mm",
];

/// Name services: what they answer is in files that are read where nobody listens.
const NAME_SERVICES: &[&str] = &["/run/nscd/socket", "/var/run/nscd/socket"];

/// Programs that ask for the time to measure themselves, to name temporary files or to compare it with
/// those of files, and write it only where a source asks for it: see [`crate::outputs`].
const STAMPING: &[&str] = &[
    "cc1",
    "cc1plus",
    "lto1",
    "collect2",
    "as",
    "ld",
    "ar",
    "ranlib",
    "make",
    "gmake",
    "ninja",
    "cmake",
    "ctest",
    "rustc",
    "cargo",
    "rustdoc",
    "sh",
    "bash",
    "dash",
    "perl",
    "pkg-config",
    "pkgconf",
    "git",
    "nasm",
    "yasm",
    "m4",
    "autoconf",
    "automake",
    "libtool",
    "infocmp",
    "tput",
    "sed",
    "awk",
    "gawk",
    "mawk",
    "install",
    "cp",
    "mv",
    "rm",
    "touch",
    "mktemp",
    "gcc",
    "g++",
    "cc",
    "c++",
    "clang",
    "lld",
    "mold",
];

/// The name under which a contact is keyed, if it needs one.
///
/// # Errors
/// Why what was made after it cannot be stored.
pub fn contacted(contact: &Contact) -> Result<Option<Name>, Refusal> {
    match contact_of(contact) {
        Contacted::Harmless | Contacted::Stamp => Ok(None),
        Contacted::Keyed(path) => Ok(Some(Name::File(path.to_vec()))),
        // Not every caller looks for it in outputs.
        Contacted::HostName => Ok(Some(Name::File(HOST_NAME.to_vec()))),
        Contacted::Timed(refusal)
        | Contacted::Drawn(refusal)
        | Contacted::Seeded(refusal)
        | Contacted::Refused(refusal) => Err(refusal),
    }
}

pub(super) fn contact_of(contact: &Contact) -> Contacted<'_> {
    Contacted::Refused(match contact {
        Contact::Network { family, peer } => Refusal::Network {
            peer: peer
                .clone()
                .unwrap_or_else(|| format!("address family {family}")),
        },
        Contact::Socket(path)
            if NAME_SERVICES
                .iter()
                .any(|service| path == Path::new(service)) =>
        {
            return Contacted::Harmless;
        }
        Contact::Socket(path) => Refusal::Process {
            what: path.display().to_string(),
        },
        Contact::Device(path) => Refusal::Device {
            path: path.display().to_string(),
        },
        Contact::Kernel(path) if is_keyed(path) => {
            return Contacted::Keyed(path.as_os_str().as_bytes());
        }
        Contact::Kernel(path) if HARMLESS.iter().any(|harmless| path.starts_with(harmless)) => {
            return Contacted::Harmless;
        }
        Contact::Kernel(path) => Refusal::Kernel {
            path: path.display().to_string(),
        },
        Contact::HostName => return Contacted::HostName,
        Contact::Process { what } => Refusal::Process {
            what: what.display().to_string(),
        },
        Contact::Clock { by } if stamps(by) => return Contacted::Stamp,
        Contact::Clock { by } => {
            let program = launch::known_as(by).display().to_string();
            return Contacted::Timed(Refusal::Clock { program });
        }
        Contact::Random { by } if names_at_random(by) => return Contacted::Harmless,
        Contact::Random { by } => {
            let program = launch::known_as(by).display().to_string();
            if is_of_kind(by, DRAWING) {
                return Contacted::Drawn(Refusal::Random { program });
            }
            if is_of_kind(by, SEEDED) {
                return Contacted::Seeded(Refusal::Random { program });
            }
            Refusal::Random { program }
        }
        Contact::LeftBehind => Refusal::LeftBehind,
    })
}

/// Whether what the kernel makes up there has a value: see [`crate::present`].
fn is_keyed(path: &Path) -> bool {
    let path = path.as_os_str().as_bytes();
    path == PROCESSOR || is_machine_name(path)
}

/// Compilers and linkers, which draw names of temporary files, and of what no other object may name.
const NAMING: &[&str] = &[
    "clang", "clang++", "gcc", "g++", "cc1", "cc1plus", "lto1", "as", "collect2", "ld", "lld",
    "mold", "wild",
];

fn names_at_random(program: &Path) -> bool {
    is_of_kind(program, NAMING)
}

/// Programs that name directories at random in which they try compilers, and give random numbers to scripts of theirs that say
/// [`RANDOM`].
const DRAWING: &[&str] = &["cmake", "ctest"];

/// Interpreters that draw a seed when they start, so that the order of their tables cannot be foretold. Whether a script of theirs
/// makes use of it is not seen.
const SEEDED: &[&str] = &["perl", "python", "python2", "python3", "ruby", "php"];

/// How such a script asks for one: `string(RANDOM …)`. As part of another word it is none.
const RANDOM: &[u8] = b"RANDOM";

/// Names of files that no script of such a program has: those of C and of what is made of it.
const OF_C: &[&str] = &[
    "c", "cc", "cpp", "cxx", "C", "h", "hh", "hpp", "hxx", "H", "inc", "inl", "ipp", "tpp", "def",
    "s", "S", "asm", "o", "a", "so", "d", "rs",
];

/// Whether a file that was read asks a program of [`DRAWING`] for random numbers. What is gone was made by the run.
pub(super) fn draws(observation: &Observation) -> bool {
    let is_script = |path: &Path, seen: Seen| {
        let is_of_c = path
            .extension()
            .and_then(OsStr::to_str)
            .is_some_and(|extension| OF_C.contains(&extension));
        seen.has(Seen::READ) && !is_of_c && !observation.programs.contains(path)
    };
    let mut files = observation.files.iter();
    files.any(|(path, seen)| {
        is_script(path, seen)
            && match rekindle_fsx::found(rekindle_fsx::read_unless_binary(path)) {
                Ok(text) => text.flatten().is_some_and(|text| says_random(&text)),
                Err(_) => !path.is_dir(),
            }
    })
}

fn says_random(text: &[u8]) -> bool {
    let is_of_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    memmem::find_iter(text, RANDOM).any(|at| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        !is_of_word(before) && !is_of_word(text.get(at + RANDOM.len()))
    })
}

/// Whether it is one of [`STAMPING`], or one of git's own.
pub(super) fn stamps(program: &Path) -> bool {
    let directory = program.parent().and_then(Path::file_name);
    directory == Some(OsStr::new("git-core")) || is_of_kind(program, STAMPING)
}
