//! Every finding that doctor knows, in one table. `docs/doctor.md` is generated from it.

use serde::Serialize;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Severity {
    /// Builds fail, or Rekindle does nothing. Doctor's exit code tells.
    Error,
    /// Builds work, and are slower or less certain than they need be.
    Warning,
    /// Worth knowing.
    Note,
}

impl Severity {
    /// The word for people.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// One kind of finding.
#[derive(Debug)]
pub(crate) struct Kind {
    /// Its name, which never changes.
    pub(crate) id: &'static str,
    /// The check that finds it.
    pub(crate) check: &'static str,
    /// How bad it is.
    pub(crate) severity: Severity,
    /// What it means.
    pub(crate) meaning: &'static str,
    /// What `--fix` does about it; `None` where that is for a person.
    pub(crate) fix: Option<&'static str>,
}

macro_rules! fix_of {
    () => {
        None
    };
    ($fix:literal) => {
        Some($fix)
    };
}

macro_rules! kinds {
    ($($name:ident = $id:literal, $check:literal, $severity:ident, $meaning:literal $(, fix $fix:literal)?;)+) => {
        $(#[doc = $meaning] pub(crate) static $name: Kind = Kind {
            id: $id,
            check: $check,
            severity: Severity::$severity,
            meaning: $meaning,
            fix: fix_of!($($fix)?),
        };)+
        /// All of them, in the order of the page.
        pub(crate) static ALL: &[&Kind] = &[$(&$name,)+];
    };
}

kinds! {
    CARGO_MISSING = "cargo-missing", "toolchain", Error,
        "No `cargo` or no `rustc` is on PATH, or it does not start.";
    TOOLCHAIN_MISSING = "toolchain-missing", "toolchain", Error,
        "The toolchain that `rust-toolchain.toml`, an override or a variable names is not installed.",
        fix "`rustup toolchain install`; `rustup toolchain uninstall` undoes it";
    TARGET_MISSING = "target-missing", "toolchain", Error,
        "A target that the project builds for has no standard library in this toolchain.",
        fix "`rustup target add`; `rustup target remove` undoes it";
    COMPONENT_MISSING = "component-missing", "toolchain", Warning,
        "A component that `rust-toolchain.toml` asks for is not installed.",
        fix "`rustup component add`; `rustup component remove` undoes it";
    REKINDLE_DISABLED = "rekindle-disabled", "wrapper", Warning,
        "`REKINDLE_DISABLE` switches Rekindle off.";
    WRAPPER_BROKEN = "wrapper-broken", "wrapper", Error,
        "A tiny program was built twice through the real chain, and the second build did not come from the store, or gave other bytes.";
    WRAPPER_FOREIGN = "wrapper-foreign", "wrapper", Error,
        "A compiler wrapper whose effect is not known stands between cargo and rustc, so nothing can be reused.",
        fix "comments out the line of cargo's configuration that sets it; a copy of the file is kept";
    WRAPPER_MISSING = "wrapper-missing", "wrapper", Error,
        "cargo's compiler wrapper is set to a program that is not there.",
        fix "comments out the line of cargo's configuration that sets it; a copy of the file is kept";
    WRAPPER_VERSION = "wrapper-version", "wrapper", Warning,
        "The wrapper that plain cargo would call is of another installation than this `rekindle`.";
    PROBE_FAILED = "probe-failed", "wrapper", Error,
        "A tiny program cannot be built here, for a reason that no other check names.";
    SECOND_CACHE = "second-cache", "other-caches", Warning,
        "Another compile cache is set as cargo's compiler wrapper: what is compiled is stored twice.",
        fix "comments out the line of cargo's configuration that sets it; a copy of the file is kept";
    CACHE_LEFTOVER = "cache-leftover", "other-caches", Warning,
        "Variables or configuration hand compilers of C, or of other steps, to another cache, or name one that is not installed.",
        fix "comments out the line of cargo's configuration that sets it; a copy of the file is kept";
    INCREMENTAL_CONFLICT = "incremental-conflict", "incremental", Warning,
        "Two places say opposite things of incremental compilation, and the one that wins is not the one in the project.",
        fix "comments out the line of cargo's configuration that loses; a copy of the file is kept";
    INCREMENTAL_SCCACHE = "incremental-with-sccache", "incremental", Warning,
        "Incremental compilation is asked for while sccache, which stores no such unit, is the wrapper.",
        fix "comments out the line of cargo's configuration that asks for it; a copy of the file is kept";
    INCREMENTAL_REFUSED = "incremental-refused", "incremental", Error,
        "`CARGO_INCREMENTAL=1` is set while sccache is the wrapper, which then ends every compile with an error.";
    LINKER_MISSING = "linker-missing", "linker", Error,
        "The program that links (`cc`, or the one that configuration names) is not on PATH.";
    LINKER_REQUESTED_MISSING = "linker-requested-missing", "linker", Error,
        "Flags or configuration ask for a linker that is not installed.",
        fix "comments out the line of cargo's configuration that asks for it; a copy of the file is kept";
    LINKER_NOT_USED = "linker-not-used", "linker", Warning,
        "A linker was asked for, and a program that was just linked says that another one made it.";
    STORE_UNREACHABLE = "store-unreachable", "store", Error,
        "The store's directory is not there and cannot be made, or is no directory.";
    STORE_READ_ONLY = "store-read-only", "store", Error,
        "Nothing can be written into the store.",
        fix "gives the owner the right to write, where only that lacks; the old mode is shown";
    STORE_SLOW = "store-slow", "store", Warning,
        "Writing and reading the store takes so long that compiling may be quicker.";
    STORE_VOLATILE = "store-volatile", "store", Note,
        "The store is in memory: it is gone after a restart, and takes memory from builds.";
    STORE_NETWORK = "store-network", "store", Warning,
        "The local store is on a network's file system, where locks and times cannot be relied on.";
    STORE_OVER_BUDGET = "store-over-budget", "store", Warning,
        "The store holds more than its budget.",
        fix "evicts what was used least recently; it is compiled again when it is needed";
    STORE_BUDGET_TOO_LARGE = "store-budget-too-large", "store", Note,
        "The store's budget is more than its disk has room for.";
    DISK_FULL = "disk-full", "disk", Error,
        "A disk that builds write to has hardly any room left.",
        fix "evicts from the store and removes what cargo makes again by itself: unpacked sources of packages, target directories that nothing has touched for a month";
    DISK_LOW = "disk-low", "disk", Warning,
        "A disk that builds write to is nearly full.",
        fix "as `disk-full`";
    JOBS_OVER_CORES = "jobs-over-cores", "parallel", Warning,
        "cargo is told to run more jobs at once than there are processors for this process.",
        fix "comments out the line of cargo's configuration that says so; a copy of the file is kept";
    JOBS_OVER_QUOTA = "jobs-over-quota", "parallel", Warning,
        "A control group lets this process use fewer processors than cargo counts, so that builds are throttled.";
    MEMORY_FOR_LINKS = "memory-for-links", "parallel", Warning,
        "There is little memory for as many links at once as cargo starts.";
    CLOCK_WRONG = "clock-wrong", "clock", Error,
        "The system's clock is plainly wrong: it is before the day on which the toolchain was made.";
    CLOCK_SKEW = "clock-skew", "clock", Warning,
        "The file system stamps files with another time than the system's: cargo builds too much or too little.";
    FILES_IN_FUTURE = "files-in-future", "clock", Error,
        "Sources have a time in the future: the clock is wrong, or was. cargo builds them again each time.",
        fix "gives these files the present time; their old times are shown";
    REMOTE_DEAD = "remote-dead", "remote", Error,
        "A remote cache that is configured does not answer.";
    REMOTE_CREDENTIALS = "remote-credentials-missing", "remote", Warning,
        "A remote cache is configured without credentials that it needs.";
    REMOTE_REGION = "remote-region-missing", "remote", Warning,
        "A bucket is configured without its region.";
    GITHUB_TOKENS = "github-cache-tokens-missing", "github", Warning,
        "GitHub's cache is configured, and the job has no token for it.";
    GITHUB_V1 = "github-cache-v1", "github", Error,
        "The job is given the address of GitHub's first cache service alone, which was switched off.";
    RUNNER_STOPPED = "runner-service-stopped", "runner", Error,
        "A runner of GitHub's is installed as a service that does not run.",
        fix "`systemctl start`; `systemctl stop` undoes it";
    RUNNER_STALE = "runner-service-stale", "runner", Error,
        "A runner's service is left from an installation that is gone, or a runner names a service that is gone.",
        fix "moves what is left of it out of the way; it is kept beside";
    RUNNER_REFUSED = "runner-version-refused", "runner", Error,
        "GitHub gives no jobs to a runner of this version.";
    RUNNER_OLD = "runner-version-old", "runner", Warning,
        "A newer version of the runner is out for more than the month that GitHub grants.";
    RUNNER_ERRORS = "runner-errors", "runner", Warning,
        "The last thing in the runner's own log is an error.";
    SCCACHE_IDLE = "sccache-not-caching", "sccache", Warning,
        "sccache is in use and has cached next to nothing.";
    SCCACHE_ERRORS = "sccache-errors", "sccache", Warning,
        "sccache counts errors, or its server does not answer.";
    UNDECLARED_READ = "undeclared-read", "undeclared", Warning,
        "A macro or build script of the workspace reads something that cargo does not watch: plain cargo goes on with stale results.";
    SCRIPT_EACH_TIME = "script-each-time", "scripts", Warning,
        "A build script that takes more than a second runs in every build, since what it makes may depend on the time, on something random, or on a network.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_unique_and_of_checks_that_exist() {
        let mut ids: Vec<_> = ALL.iter().map(|kind| kind.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), ALL.len());
        let checks: Vec<_> = super::super::checks::ALL.iter().map(|c| c.id).collect();
        for kind in ALL {
            assert!(checks.contains(&kind.check), "{}", kind.id);
            assert!(kind.meaning.ends_with('.'), "{}", kind.id);
        }
        for check in checks {
            assert!(ALL.iter().any(|kind| kind.check == check), "{check}");
        }
    }
}
