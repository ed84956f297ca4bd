//! Which system calls are stopped, and what each means.

use super::listener::Call;

/// What a call does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Opens; the flags are this argument.
    Open(usize),
    /// `openat2`: the flags are in the structure that this argument points to.
    Open2(usize),
    /// `creat`.
    #[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "an old call"))]
    Create,
    /// Asks whether it is there; the flags are this argument, where there are some.
    Look(Option<usize>),
    /// As [`Self::Look`], of the link itself.
    LookAtLink,
    /// Reads a link.
    ReadLink,
    /// Runs a program.
    Exec,
    /// Reads a directory's entries.
    List,
    /// Makes a directory or a special file, which must not be there yet.
    Make,
    /// Removes.
    Remove,
    /// Changes an existing file in place.
    Change,
    /// Renames: another directory and path follow at these arguments.
    Rename(Option<usize>, usize),
    /// Links: as [`Self::Rename`].
    Link(Option<usize>, usize),
    /// Makes a symbolic link.
    Symlink,
    /// Makes a socket.
    Socket,
    /// Connects a socket.
    Connect,
    /// Touches another process.
    Process(&'static str),
    /// Asks for the names of the system and the machine.
    Machine,
    /// Changes what paths mean.
    Root,
    /// Cannot be followed.
    Unseen(&'static str),
    /// Reads randomness.
    Random,
}

/// How the filter decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    /// Not where the argument is this value.
    Unless(usize, u32),
    /// Only where the argument is one of these two values.
    Only(usize, u32, u32),
    /// Only where the argument has one of these bits.
    Bits(usize, u32),
    /// Never: it fails with `ENOSYS`.
    Absent,
}

/// Whether the preload library makes this call itself, having written down what it reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quiet {
    Never,
    Always,
    /// Where the argument has none of these bits.
    Without(usize, u32),
}

/// A call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rule {
    pub(super) number: libc::c_long,
    pub(super) act: Act,
    /// Where the directory (none: the current one) and the path are.
    pub(super) path: Option<(Option<usize>, usize)>,
    pub(super) when: When,
    pub(super) quiet: Quiet,
}

const fn at(number: libc::c_long, act: Act) -> Rule {
    Rule {
        number,
        act,
        path: Some((Some(0), 1)),
        when: When::Always,
        quiet: Quiet::Never,
    }
}

const fn plain(number: libc::c_long, act: Act) -> Rule {
    Rule {
        number,
        act,
        path: Some((None, 0)),
        when: When::Always,
        quiet: Quiet::Never,
    }
}

const fn other(number: libc::c_long, act: Act) -> Rule {
    Rule {
        number,
        act,
        path: None,
        when: When::Always,
        quiet: Quiet::Never,
    }
}

impl Rule {
    const fn when(mut self, when: When) -> Self {
        self.when = when;
        self
    }

    const fn quiet(mut self, quiet: Quiet) -> Self {
        self.quiet = quiet;
        self
    }

    const fn path(mut self, directory: Option<usize>, path: usize) -> Self {
        self.path = Some((directory, path));
        self
    }
}

// A file descriptor's own state, which `fstat` of the C library asks for in this way. A path that
// is not empty never comes with these flags and nothing else in practice.
const OWN_STATE: u32 = libc::AT_EMPTY_PATH as u32;

/// Flags of `open` with which a file may be changed.
pub(super) const WRITES: u32 = (libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC) as u32;

const NEW_ROOT: u32 = (libc::CLONE_NEWNS | libc::CLONE_NEWUSER) as u32;

/// Calls of every architecture, most frequent first.
const COMMON: &[Rule] = &[
    at(libc::SYS_openat, Act::Open(2)).quiet(Quiet::Without(2, WRITES)),
    at(libc::SYS_newfstatat, Act::Look(Some(3)))
        .when(When::Unless(3, OWN_STATE))
        .quiet(Quiet::Always),
    at(libc::SYS_statx, Act::Look(Some(2)))
        .when(When::Unless(2, OWN_STATE))
        .quiet(Quiet::Always),
    at(libc::SYS_faccessat, Act::Look(None)).quiet(Quiet::Always),
    at(libc::SYS_faccessat2, Act::Look(Some(3))).quiet(Quiet::Always),
    at(libc::SYS_readlinkat, Act::ReadLink).quiet(Quiet::Always),
    plain(libc::SYS_execve, Act::Exec),
    at(libc::SYS_execveat, Act::Exec),
    other(libc::SYS_getdents64, Act::List),
    at(libc::SYS_openat2, Act::Open2(2)),
    plain(libc::SYS_chdir, Act::Look(None)),
    plain(libc::SYS_statfs, Act::Look(None)),
    plain(libc::SYS_getxattr, Act::Look(None)),
    plain(libc::SYS_lgetxattr, Act::LookAtLink),
    plain(libc::SYS_listxattr, Act::Look(None)),
    plain(libc::SYS_llistxattr, Act::LookAtLink),
    at(libc::SYS_mkdirat, Act::Make),
    at(libc::SYS_mknodat, Act::Make),
    at(libc::SYS_unlinkat, Act::Remove),
    at(libc::SYS_renameat, Act::Rename(Some(2), 3)),
    at(libc::SYS_renameat2, Act::Rename(Some(2), 3)),
    at(libc::SYS_linkat, Act::Link(Some(2), 3)),
    other(libc::SYS_symlinkat, Act::Symlink).path(Some(1), 2),
    plain(libc::SYS_truncate, Act::Change),
    at(libc::SYS_fchmodat, Act::Change),
    at(libc::SYS_fchownat, Act::Change),
    at(libc::SYS_utimensat, Act::Change),
    plain(libc::SYS_setxattr, Act::Change),
    plain(libc::SYS_lsetxattr, Act::Change),
    plain(libc::SYS_removexattr, Act::Change),
    other(libc::SYS_socket, Act::Socket).when(When::Unless(0, libc::AF_UNIX as u32)),
    other(libc::SYS_connect, Act::Connect),
    other(libc::SYS_getrandom, Act::Random).when(When::Only(2, 0, libc::GRND_RANDOM)),
    other(libc::SYS_uname, Act::Machine),
    other(libc::SYS_ptrace, Act::Process("ptrace")),
    other(libc::SYS_process_vm_readv, Act::Process("process_vm_readv")),
    other(
        libc::SYS_process_vm_writev,
        Act::Process("process_vm_writev"),
    ),
    other(libc::SYS_pidfd_getfd, Act::Process("pidfd_getfd")),
    other(libc::SYS_shmget, Act::Process("shmget")),
    other(libc::SYS_semget, Act::Process("semget")),
    other(libc::SYS_msgget, Act::Process("msgget")),
    other(libc::SYS_mq_open, Act::Process("mq_open")),
    other(libc::SYS_chroot, Act::Root),
    other(libc::SYS_pivot_root, Act::Root),
    other(libc::SYS_mount, Act::Root),
    other(libc::SYS_umount2, Act::Root),
    other(libc::SYS_move_mount, Act::Root),
    other(libc::SYS_open_tree, Act::Root),
    other(libc::SYS_setns, Act::Root),
    other(libc::SYS_unshare, Act::Root).when(When::Bits(0, NEW_ROOT)),
    other(libc::SYS_clone, Act::Root).when(When::Bits(0, NEW_ROOT)),
    other(
        libc::SYS_open_by_handle_at,
        Act::Unseen("open_by_handle_at"),
    ),
    // Its calls pass by every filter; whoever uses it can do without, as containers forbid it too.
    other(libc::SYS_io_uring_setup, Act::Unseen("io_uring")).when(When::Absent),
];

/// Calls that only x86-64 still has.
#[cfg(target_arch = "x86_64")]
const OLD: &[Rule] = &[
    plain(libc::SYS_open, Act::Open(1)),
    plain(libc::SYS_stat, Act::Look(None)),
    plain(libc::SYS_lstat, Act::LookAtLink),
    plain(libc::SYS_access, Act::Look(None)),
    plain(libc::SYS_readlink, Act::ReadLink),
    other(libc::SYS_getdents, Act::List),
    plain(libc::SYS_creat, Act::Create),
    plain(libc::SYS_mkdir, Act::Make),
    plain(libc::SYS_mknod, Act::Make),
    plain(libc::SYS_unlink, Act::Remove),
    plain(libc::SYS_rmdir, Act::Remove),
    plain(libc::SYS_rename, Act::Rename(None, 1)),
    plain(libc::SYS_link, Act::Link(None, 1)),
    other(libc::SYS_symlink, Act::Symlink).path(None, 1),
    plain(libc::SYS_chmod, Act::Change),
    plain(libc::SYS_chown, Act::Change),
    plain(libc::SYS_lchown, Act::Change),
    plain(libc::SYS_utime, Act::Change),
    plain(libc::SYS_utimes, Act::Change),
    at(libc::SYS_futimesat, Act::Change),
];

#[cfg(not(target_arch = "x86_64"))]
const OLD: &[Rule] = &[];

/// Every rule.
pub(super) fn rules() -> impl Iterator<Item = &'static Rule> {
    COMMON.iter().chain(OLD)
}

/// The rule for a stopped call.
pub(super) fn rule(call: &Call) -> Option<&'static Rule> {
    rules().find(|rule| rule.number == libc::c_long::from(call.number))
}
