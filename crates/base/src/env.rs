//! Every environment variable that Rekindle reads, declared once. The reference page is generated
//! from [`ALL`]; only the CLI crate reads them.

/// Who sets a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// People and CI files set it.
    Public,
    /// Understood because another tool's users have it set already.
    Alias,
    /// One Rekindle process sets it for another; not for people.
    Internal,
}

/// One environment variable.
#[derive(Clone, Copy, Debug)]
pub struct EnvVar {
    /// Its name.
    pub name: &'static str,
    /// Who sets it.
    pub audience: Audience,
    /// What it does, in one sentence, with units and default.
    pub help: &'static str,
}

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $ident:ident = $audience:ident;)+) => {
        $($(#[doc = $doc])+ pub const $ident: &str = stringify!($ident);)+
        /// All of them, in the order of the reference page.
        pub const ALL: &[EnvVar] = &[
            $(EnvVar { name: stringify!($ident), audience: Audience::$audience, help: concat!($($doc, " "),+) },)+
        ];
    };
}

variables! {
    /// Directory of the local store. Default: `rekindle` in `$XDG_CACHE_HOME`, else `~/.cache/rekindle`.
    REKINDLE_DIR = Public;
    /// Size budget of the local store, as in `10G`. Default: `10G`.
    REKINDLE_CACHE_SIZE = Public;
    /// `1` compiles every unit again and replaces what the store holds for it. Default: `0`.
    REKINDLE_RECACHE = Public;
    /// `1` compiles every hit again and compares the outputs bit by bit. Default: `0`.
    REKINDLE_VERIFY = Public;
    /// `0` keeps real paths in outputs, so that another directory is a miss. Default: `1`.
    REKINDLE_REMAP = Public;
    /// `auto`, `system`, or the name of a linker (`lld`, `rust-lld`, `mold`, `wild`). Default: `auto`.
    REKINDLE_LINKER = Public;
    /// `0` neither restores nor captures snapshots of target directories. Default: `1`.
    REKINDLE_SNAPSHOT = Public;
    /// `0` observes neither compilers nor build scripts: units are keyed by what they declare. Default: `1`.
    REKINDLE_OBSERVE = Public;
    /// `0` starts every build script that cargo wants to run. Default: `1`.
    REKINDLE_SCRIPTS = Public;
    /// `1` runs cargo without Rekindle's wrapper. Default: `0`.
    REKINDLE_DISABLE = Public;
    /// `1` silences the lines that Rekindle prints after cargo's. Default: `0`.
    REKINDLE_QUIET = Public;
    /// Where saves are shared with other machines, as in `s3://bucket/prefix` or `file:///mnt/cache`. Default: nowhere.
    REKINDLE_REMOTE = Public;
    /// `read-only`, `read-write` or `off`. Default: in CI `read-write` for pushes to the default branch and to protected ones,
    /// else `read-only`; elsewhere `read-write`.
    REKINDLE_REMOTE_MODE = Public;
    /// What saves are signed with: `secret:TEXT`, `ed25519:SEED`, or `ed25519-public:KEY` for who only reads. Others' saves
    /// are left alone then. Default: none.
    REKINDLE_REMOTE_KEY = Public;
    /// The longest that one request to the remote takes, as in `10s` or `500ms`, besides what its bytes need. Default: `10s`.
    REKINDLE_REMOTE_DEADLINE = Public;
    /// The longest that a run spends on requests that come to nothing; after that it goes on without the remote. Default: `20s`.
    REKINDLE_REMOTE_PATIENCE = Public;
    /// The longest that a run's end waits for what goes to the remote. Default: `60s`.
    REKINDLE_REMOTE_LINGER = Public;
    /// Path of a configuration file read instead of the user's own.
    REKINDLE_CONFIG = Public;
    /// As `REKINDLE_DIR`, when that is unset: a directory of its own is made inside.
    SCCACHE_DIR = Alias;
    /// As `REKINDLE_CACHE_SIZE`, when that is unset.
    SCCACHE_CACHE_SIZE = Alias;
    /// As `REKINDLE_RECACHE`, when that is unset.
    SCCACHE_RECACHE = Alias;
    /// The frozen settings of a run, as JSON, for the wrapper.
    REKINDLE_SETTINGS = Internal;
    /// The user's own `RUSTC_WRAPPER`, for the wrapper to call: `rekindle env` sets it.
    REKINDLE_INNER_WRAPPER = Internal;
    /// What the linker shim needs to know of the unit that it links, as JSON.
    REKINDLE_LINK = Internal;
    /// `1` tells Rekindle's own programs that they run inside of an observed step: they do nothing but
    /// start what they stand for.
    REKINDLE_OBSERVED = Internal;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_explained() {
        let mut names: Vec<_> = ALL.iter().map(|var| var.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|var| var.help.len() > 20));
        assert!(ALL.iter().any(|var| var.name == REKINDLE_DIR));
    }
}
