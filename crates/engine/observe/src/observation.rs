//! What was seen: plain data, which a caller judges by its own rules.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::SeenPaths;

/// What a process tree read, looked for, wrote and talked to.
///
/// Paths are absolute and have no `.`, `..` or link in them but in their last part, and that only
/// where [`Seen::LINK`] says so: a file read through links stands under its real path, and every
/// link on the way stands under its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observation {
    /// What was looked at, as it was when it was *first* looked at. What the tree itself had
    /// written before is not here. What is here and in [`Self::writes`] was changed after it was
    /// looked at: its present content is not what was read.
    pub files: SeenPaths,
    /// Which variables of the environment were read.
    pub env: EnvReads,
    /// Executables that were started, interpreters of scripts included. Each is in
    /// [`Self::files`] as well, as read.
    pub programs: BTreeSet<PathBuf>,
    /// What was created, written, renamed (both names), changed in mode or removed.
    pub writes: BTreeSet<PathBuf>,
    /// What no file and no variable can stand for.
    pub contacts: BTreeSet<Contact>,
    /// Why this is not all that happened. Only where it is empty may a caller believe that the tree
    /// read nothing else.
    pub blind: BTreeSet<Blind>,
}

/// What was done with a path, as a set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Seen(u8);

impl Seen {
    /// Opened to be read, mapped or run: its content is an input.
    pub const READ: Self = Self(1);
    /// Asked for and there: its existence and its kind are an input. Where times or sizes were
    /// asked for as well cannot be told apart.
    pub const THERE: Self = Self(2);
    /// Asked for in any way, and not there.
    pub const MISSING: Self = Self(4);
    /// A directory whose entries were read.
    pub const LISTED: Self = Self(8);
    /// A symbolic link whose target was followed or read.
    pub const LINK: Self = Self(16);

    /// Whether all of `other` is in it.
    #[must_use]
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether nothing is in it.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Which variables were read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvReads {
    /// Names that were asked for, set or not.
    pub names: BTreeSet<OsString>,
    /// Programs that may have read others, or all. Where it is not empty and the caller knows
    /// nothing of them, every variable is an input: see [`Self::all`].
    pub doubts: BTreeMap<PathBuf, BTreeSet<EnvDoubt>>,
}

impl EnvReads {
    /// Whether every variable counts as read.
    #[must_use]
    pub fn all(&self) -> bool {
        !self.doubts.is_empty()
    }
}

/// Why a program may have read any variable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum EnvDoubt {
    /// It never said that it can be watched: static, of another C library, or without the preload
    /// library. Nor was it seen whether it read a clock.
    Unreported,
    /// The object at this path, the program itself or what it loaded, can reach `environ`, as
    /// `std::env::vars` does and as starting a child with a changed environment does.
    Environ(PathBuf),
    /// It is not a Rust program, and such a program may read the third argument of `main`.
    /// The names that it asked for are known nevertheless.
    Main,
    /// It opened `/proc/self/environ`.
    Proc,
    /// It took a copy of all, in which it looks for names: so the `cc` crate does. Which names is not known.
    Copied,
}

/// Something outside of files and variables.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Contact {
    /// A socket of this address family (`AF_INET`, …) was made or connected; `peer` where it is known.
    Network {
        /// The address family, as the kernel numbers it.
        family: u16,
        /// `address:port`.
        peer: Option<String>,
    },
    /// A socket of the Unix family was connected; the path, or the abstract name after `@`.
    Socket(PathBuf),
    /// A device was opened, other than the ones that hold nothing (`/dev/null`, …).
    Device(PathBuf),
    /// State of the kernel or the machine: a file under `/proc` or `/sys`; `/proc/self` stands
    /// for the reader itself, and [`rekindle_fsx::MACHINE_NAMES`] for what `uname` gives.
    Kernel(PathBuf),
    /// The host's name, asked for by `hostname` or `uname -n` below a `configure` script of autoconf's,
    /// which writes it into its log.
    HostName,
    /// Another process: its memory, a trace, a FIFO, or its files under `/proc`.
    Process {
        /// What was done, or the path.
        what: PathBuf,
    },
    /// The calendar's clock was read, by the object at this path. Never seen where
    /// [`EnvDoubt::Unreported`] holds; monotonic clocks are not noted.
    Clock {
        /// The program or library that asked.
        by: PathBuf,
    },
    /// Randomness of the kind that reaches outputs was read: `/dev/urandom`, `/dev/random`, or
    /// `getrandom` without the flags by which hash tables and names of temporary files ask.
    Random {
        /// The program or library that asked.
        by: PathBuf,
    },
    /// A process of the tree was still running when the first one had ended.
    LeftBehind,
}

/// Why not everything was seen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Blind {
    /// Observing is off by the caller's word.
    Off,
    /// Not Linux on x86-64 or ARM64.
    Unsupported,
    /// The kernel, or a container's rules, refused; the error number.
    Refused(i32),
    /// Another program observes already, and is not one of ours.
    AnotherListener,
    /// A call of a process could not be read; the error number.
    Unreadable(i32),
    /// More happened than the bounds allow to keep.
    TooMuch,
    /// A process changed what paths mean to it: mounts, `chroot`, namespaces.
    OtherRoot,
    /// A process used an interface whose calls cannot be seen; its name.
    Unseen(String),
    /// The observer itself failed; the reason.
    Failed(String),
}
