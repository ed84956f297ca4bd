//! How the variables of a step's environment are keyed: which are left out and why, which hold paths
//! that are named relative to their roots, and what stands for a value.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_base::DigestHasher;

use crate::roots::Roots;

/// What stands for the value of a variable that is not set.
pub const NOT_SET: &str = "not set";

/// Some variables that are left out. A name that ends in `*` stands for all that begin so.
#[derive(Clone, Copy, Debug)]
pub struct LeftOut {
    /// Their names.
    pub names: &'static [&'static str],
    /// Why.
    pub reason: &'static str,
}

/// Left out however they were read.
pub const NEVER_KEYED: &[LeftOut] = &[
    LeftOut {
        names: &[
            "MAKEFLAGS",
            "MFLAGS",
            "CARGO_MAKEFLAGS",
            "NUM_JOBS",
            "MAKELEVEL",
        ],
        reason: "they bound parallelism, and name the pipes of a jobserver",
    },
    LeftOut {
        names: &["REKINDLE_*", "RUSTC_WRAPPER"],
        reason: "they are how Rekindle hands on its own settings; a wrapper that runs is keyed as a program",
    },
    LeftOut {
        names: &["LD_PRELOAD"],
        reason: "libraries that it loads are keyed by content, and the observer sets it",
    },
    LeftOut {
        names: &["_"],
        reason: "shells set it to what they start",
    },
];

/// Left out where a step read its variables as a whole, as shells do. Where the value of one turns up in
/// what was made, it is keyed all the same.
pub const NOT_KEYED_AS_A_WHOLE: &[LeftOut] = &[
    LeftOut {
        names: &[
            "PWD", "OLDPWD", "SHLVL", "HOSTNAME", "LOGNAME", "USER", "USERNAME", "MAIL",
        ],
        reason: "who runs it, from where; a step that wants to know asks by name",
    },
    LeftOut {
        names: &[
            "TERM",
            "TERM_*",
            "COLORTERM",
            "COLORFGBG",
            "COLUMNS",
            "LINES",
            "LS_COLORS",
            "CARGO_TERM_*",
            "CARGO_LOG",
            "RUST_BACKTRACE",
            "RUST_LOG",
            "PAGER",
            "EDITOR",
            "VISUAL",
            "LESS*",
            "SHELL",
        ],
        reason: "they change how things are shown",
    },
    LeftOut {
        names: &[
            "SSH_*",
            "GPG_*",
            "DISPLAY",
            "WAYLAND_DISPLAY",
            "XAUTHORITY",
            "DBUS_*",
            "XDG_SESSION_*",
            "XDG_RUNTIME_DIR",
            "XDG_SEAT",
            "XDG_VTNR",
            "INVOCATION_ID",
            "JOURNAL_STREAM",
            "TMUX*",
            "STY",
            "WINDOWID",
            "WSL_*",
            "VSCODE_*",
            "NEXTEST*",
        ],
        reason: "they belong to a login or a program around it",
    },
    LeftOut {
        names: &[
            "GITHUB_*",
            "RUNNER_*",
            "ACTIONS_*",
            "CI_JOB_*",
            "CI_PIPELINE_*",
            "CI_COMMIT_*",
            "CI_RUNNER_*",
            "BUILDKITE_*",
            "CIRCLE_*",
            "TRAVIS_*",
            "BUILD_ID",
            "BUILD_NUMBER",
            "BUILD_URL",
            "BUILD_TAG",
            "JENKINS_*",
            "DRONE_*",
            "TEAMCITY_*",
            "TF_BUILD*",
            "SYSTEM_*",
            "AGENT_*",
            "ImageOS",
            "ImageVersion",
        ],
        reason: "each run, or each week's image, of a CI service has others",
    },
    LeftOut {
        names: &[
            "ACCEPT_EULA",
            "ANDROID_*",
            "ANT_HOME",
            "BOOTSTRAP_HASKELL_NONINTERACTIVE",
            "CHROMEWEBDRIVER",
            "CHROME_BIN",
            "CONDA",
            "DEPLOYMENT_BASEPATH",
            "DOTNET_*",
            "EDGEWEBDRIVER",
            "ENABLE_RUNNER_TRACING",
            "GECKOWEBDRIVER",
            "GHCUP_INSTALL_BASE_PREFIX",
            "GOROOT_*",
            "GRADLE_HOME",
            "HOMEBREW_*",
            "JAVA_HOME_*",
            "LEIN_*",
            "NVM_DIR",
            "PIPX_*",
            "POWERSHELL_*",
            "PSModulePath",
            "SELENIUM_JAR_PATH",
            "SGX_AESM_ADDR",
            "SWIFT_PATH",
            "VCPKG_INSTALLATION_ROOT",
        ],
        reason: "where a CI service's image has its tools, in which version this week; what uses one asks by name",
    },
    LeftOut {
        names: &[
            "CARGO_HOME",
            "CARGO_TARGET_DIR",
            "CARGO_BUILD_*",
            "CARGO_INCREMENTAL",
            "RUSTUP_*",
            "RUST_RECURSION_COUNT",
        ],
        reason: "cargo's and rustup's settings: they reach a step as other variables, or as the programs that it starts",
    },
    LeftOut {
        names: &["CLIPPY_ARGS", "CLIPPY_TERMINAL_WIDTH"],
        reason: "`cargo clippy` sets them for everything that it starts; its driver asks by name",
    },
    LeftOut {
        names: &[
            "AWS_ACCESS_KEY_ID",
            "AWS_SECRET_ACCESS_KEY",
            "AWS_SESSION_TOKEN",
            "AWS_SECURITY_TOKEN",
            "AWS_CREDENTIAL_EXPIRATION",
            "AWS_PROFILE",
            "AWS_REGION",
            "AWS_DEFAULT_REGION",
            "AWS_ROLE_*",
            "AWS_WEB_IDENTITY_*",
            "AWS_CONTAINER_*",
            "AWS_ENDPOINT_URL*",
            "AWS_CA_BUNDLE",
            "AWS_CONFIG_FILE",
            "AWS_SHARED_CREDENTIALS_FILE",
            "AZURE_*",
            "GOOGLE_*",
            "GCLOUD_*",
            "CLOUDSDK_*",
            "ALIBABA_CLOUD_*",
            "SCCACHE_*",
            "CARGO_REGISTRY_*",
            "CARGO_REGISTRIES_*",
            "CODECOV_TOKEN",
            "NODE_AUTH_TOKEN",
            "NPM_TOKEN",
            "VAULT_TOKEN",
        ],
        reason: "services and their credentials, of which each job has others; what talks to a network is not reused",
    },
    LeftOut {
        names: &["SSL_CERT_FILE", "SSL_CERT_DIR"],
        reason: "cargo sets them for itself, to where the system keeps certificates; what talks to a network is not reused",
    },
];

/// Variables that cargo makes, from what it watches itself: the manifest, the profile, the target and its flags,
/// the toolchain, and what the build scripts of dependencies said. Beside them those that rustup sets for it.
pub const SET_BY_CARGO: &[LeftOut] = &[
    LeftOut {
        names: &[
            "CARGO",
            "CARGO_BIN_*",
            "CARGO_CFG_*",
            "CARGO_CRATE_NAME",
            "CARGO_ENCODED_RUSTFLAGS",
            "CARGO_FEATURE_*",
            "CARGO_MANIFEST_*",
            "CARGO_PKG_*",
            "CARGO_PRIMARY_PACKAGE",
            "CARGO_TARGET_TMPDIR",
            "DEBUG",
            "DEP_*",
            "HOST",
            "LD_LIBRARY_PATH",
            "OPT_LEVEL",
            "OUT_DIR",
            "PROFILE",
            "RUSTC",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTDOC",
            "TARGET",
        ],
        reason: "another value makes another unit, or a dirty one",
    },
    LeftOut {
        names: &["CARGO_HOME", "RUSTUP_*", "RUST_RECURSION_COUNT"],
        reason: "a snapshot is restored only where cargo's home and the toolchain are the same",
    },
    LeftOut {
        names: &["RUSTC_LINKER"],
        reason: "a snapshot is restored only where cargo's settings of linkers are the same, from which cargo makes it",
    },
];

/// Left out of what says nothing: they choose the language of messages, and how numbers, times and letters are written.
pub const OF_MESSAGES: &[LeftOut] = &[LeftOut {
    names: &["LANG", "LANGUAGE", "LC_*", "LOCPATH"],
    reason: "compilers translate what they say, and do nothing else with them",
}];

/// Where programs are looked for. What a search finds is keyed, for every name that was looked for: its
/// value counts where a step listed one of its directories, or made something of it.
pub const SEARCHED: &[u8] = b"PATH";

/// Variables whose values are paths, or lists of them, of this machine.
const PATHS: &[&str] = &[
    "OUT_DIR",
    "PATH",
    "HOME",
    "CARGO",
    "CARGO_HOME",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_RUSTC_CURRENT_DIR",
    "LD_LIBRARY_PATH",
    "RUSTC",
    "RUSTDOC",
    "RUSTC_LINKER",
    "RUSTC_WORKSPACE_WRAPPER",
    "RUSTUP_HOME",
    "PWD",
    "OLDPWD",
    "CARGO_ENCODED_RUSTFLAGS",
    "XDG_CACHE_HOME",
    "XDG_CONFIG_HOME",
    "XDG_DATA_HOME",
];

/// What a shell calls the directory that it is in. Those who ask for it use it where it is the one that they
/// run in, and only then.
pub const SHELLS_DIRECTORY: &[u8] = b"PWD";

/// What stands for the value of [`SHELLS_DIRECTORY`]: where cargo was started is not where a step runs, and
/// no input where nothing below it was looked at.
#[must_use]
pub fn shells_directory(value: Option<&OsStr>, roots: &Roots) -> String {
    let Some(value) = value else {
        return NOT_SET.to_owned();
    };
    let path = Path::new(value);
    let canonical = roots.canonical(path);
    if path == roots.absolute(Path::new("")) {
        "here".to_owned()
    } else if canonical.first() == Some(&b'{') {
        secret(SHELLS_DIRECTORY, &canonical)
    } else {
        ELSEWHERE.to_owned()
    }
}

/// See [`shells_directory`].
pub const ELSEWHERE: &str = "elsewhere";

/// Whether `name` is among some variables.
#[must_use]
pub fn is_among(name: &[u8], all: &[LeftOut]) -> bool {
    all.iter()
        .flat_map(|row| row.names)
        .any(|pattern| match pattern.strip_suffix('*') {
            Some(beginning) => name.starts_with(beginning.as_bytes()),
            None => name == pattern.as_bytes(),
        })
}

/// Whether the value of a variable that is left out is looked for in what was made: where it is long enough to mean
/// something.
#[must_use]
pub fn is_telling(value: &OsStr) -> bool {
    const MIN_BYTES: usize = 4;
    value.len() >= MIN_BYTES
}

/// Whether the value of a variable is of paths: cargo's own and the system's, and what other packages'
/// build scripts hand on.
#[must_use]
pub fn holds_paths(name: &[u8]) -> bool {
    PATHS.iter().any(|path| path.as_bytes() == name) || name.starts_with(b"DEP_")
}

/// What stands for the value of a variable: a digest, of the canonical form where it holds paths.
#[must_use]
pub fn value_of(name: &[u8], value: Option<&OsStr>, roots: &Roots) -> String {
    let Some(value) = value else {
        return NOT_SET.to_owned();
    };
    if holds_paths(name) {
        secret(name, &canonical_list(value, roots))
    } else {
        secret(name, value.as_bytes())
    }
}

/// A value that may be a secret, as a digest that differs from variable to variable.
#[must_use]
pub fn secret(name: &[u8], value: &[u8]) -> String {
    DigestHasher::new()
        .field(b"value of")
        .field(name)
        .field(value)
        .finish()
        .to_hex()
}

/// A value with its paths named relative to roots. What separates them in lists and flags stays.
#[must_use]
pub fn canonical_list(value: &OsStr, roots: &Roots) -> Vec<u8> {
    let value = value.as_bytes();
    let mut canonical = Vec::with_capacity(value.len());
    for piece in value.split_inclusive(|byte| b":=, \x1f".contains(byte)) {
        let (path, end) = match piece.split_last() {
            Some((last, rest)) if b":=, \x1f".contains(last) => (rest, std::slice::from_ref(last)),
            _ => (piece, &[][..]),
        };
        if path.first() == Some(&b'/') {
            canonical.extend(roots.canonical(Path::new(OsStr::from_bytes(path))));
        } else {
            canonical.extend_from_slice(path);
        }
        canonical.extend_from_slice(end);
    }
    canonical
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::roots::Root;

    fn roots(home: &str) -> Roots {
        let home = Path::new(home);
        Roots::new(
            home,
            [
                (Root::Home, home.to_owned()),
                (Root::CargoHome, home.join(".cargo")),
            ],
        )
    }

    #[test]
    fn paths_are_the_same_for_every_user() {
        let of = |name: &str, value: &str, home: &str| {
            let value = value.replace('~', home);
            value_of(name.as_bytes(), Some(OsStr::new(&value)), &roots(home))
        };
        let same = |name: &str, value: &str| of(name, value, "/home/a") == of(name, value, "/root");
        assert!(same("PATH", "~/.cargo/bin:/usr/bin:~/bin"));
        assert!(same("DEP_Z_ROOT", "~/.cargo/x"));
        assert!(same("CARGO_ENCODED_RUSTFLAGS", "-L\x1fnative=~/lib"));
        assert!(!same("GREETING", "~"), "any other value is what it is");
        assert_ne!(of("PATH", "/a:/b", "/h"), of("PATH", "/b:/a", "/h"));
        assert_eq!(value_of(b"X", None, &roots("/h")), NOT_SET);
        assert_ne!(of("X", "", "/h"), NOT_SET);
    }

    #[test]
    fn a_value_is_never_seen() {
        let value = value_of(b"TOKEN", Some(OsStr::new("hunter2")), &Roots::default());
        assert_eq!(value.len(), 64);
        assert_ne!(
            value,
            value_of(b"OTHER", Some(OsStr::new("hunter2")), &Roots::default())
        );
    }

    #[test]
    fn the_shells_directory_counts_where_it_is_of_use() {
        let roots = roots("/home/a");
        let check = |value: &str, expected: &str| {
            let value = shells_directory(Some(OsStr::new(value)), &roots);
            assert_eq!(value.len() == 64, expected.is_empty(), "{value}");
            assert!(expected.is_empty() || value == expected, "{value}");
        };
        check("/home/a", "here");
        check("/home/a/.cargo/x", "");
        check("/w/project", ELSEWHERE);
        assert_eq!(shells_directory(None, &roots), NOT_SET);
    }

    #[test]
    fn patterns_are_beginnings() {
        assert!(is_among(b"GITHUB_RUN_ID", NOT_KEYED_AS_A_WHOLE));
        assert!(!is_among(b"GITHUB", NOT_KEYED_AS_A_WHOLE));
        assert!(is_among(b"NUM_JOBS", NEVER_KEYED) && !is_among(b"NUM_JOBS2", NEVER_KEYED));
        let rows = NEVER_KEYED.iter().chain(NOT_KEYED_AS_A_WHOLE);
        assert!(
            rows.clone()
                .all(|row| !row.reason.is_empty() && !row.names.is_empty())
        );
    }
}
