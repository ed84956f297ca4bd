//! What the CLI decided for a run, frozen, as every wrapper of the run reads it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Which linker to use where the user's own flags name none.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkerChoice {
    /// The toolchain's own lld where it has one, else what the system's driver uses.
    #[default]
    Auto,
    /// What rustc and the system's driver use without us.
    System,
    /// A linker by name, as gcc's `-fuse-ld=` knows it, or `rust-lld`.
    Named(String),
}

/// Settings of the unit cache. Written as JSON into `REKINDLE_SETTINGS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// The version of Rekindle that wrote them: a wrapper of another version resolves its own.
    pub rekindle: String,
    /// Directory of the local store.
    pub store_dir: PathBuf,
    /// Directory of the run: events go to `events.jsonl` in it. `None` where it could not be made.
    pub run_dir: Option<PathBuf>,
    /// Whether paths are mapped to names that are the same in every directory.
    pub remap: bool,
    /// Whether everything is compiled again and replaced.
    pub recache: bool,
    /// Whether hits are compiled again and compared.
    pub verify: bool,
    /// Which linker.
    pub linker: LinkerChoice,
    /// cargo's home: registry and git sources below it are named relative to it.
    pub cargo_home: PathBuf,
    /// The user's own `RUSTC_WRAPPER`, called as cargo would have called it.
    pub inner_wrapper: Option<PathBuf>,
    /// The user's own `RUSTDOC`; `None` for the one on `PATH`, as cargo would find it.
    pub rustdoc: Option<PathBuf>,
    /// What `RUSTDOC` was before something of ours stood in for it; `None` where it was not set.
    pub rustdoc_variable: Option<String>,
    /// File names of wrappers that the user declares to leave outputs alone.
    pub trusted_wrappers: Vec<String>,
    /// Whether compilers with macros, links that nobody can be asked about, and build scripts, are observed.
    pub observe: bool,
    /// Whether the runs of build scripts are looked up and stored.
    pub scripts: bool,
    /// Packages whose build scripts may talk to whom they like.
    pub trusted_scripts: Vec<String>,
    /// How long to wait for what lies beyond the store, in milliseconds; `None` where nothing does.
    pub beyond_wait_ms: Option<u64>,
}

impl Settings {
    /// Whether compiles may be observed. What a wrapper around the compiler reads is its own affair.
    pub(crate) fn can_observe(&self) -> bool {
        self.observe && self.inner_wrapper.is_none()
    }
}
