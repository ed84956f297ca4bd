//! What cargo writes of a unit's fingerprint, and the hash that it makes of it.
//!
//! The shapes follow cargo's own (`Fingerprint` and `LocalFingerprint` of its `fingerprint` module, 1.95):
//! the derived hashes below depend on the order of variants and on the types of fields. Nothing relies on
//! them being right: [`Fingerprint::parse`] is believed only where it gives the hash that cargo recorded.

use std::borrow::Cow;
use std::hash::{Hash, Hasher};
use std::path::{Path, PathBuf};

use rustc_stable_hash::hashers::StableSipHasher128;
use serde::{Deserialize, Serialize};

/// A unit's fingerprint, as in its `.json` file, its fields in the order in which cargo writes them.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fingerprint<'a> {
    rustc: u64,
    features: String,
    declared_features: String,
    target: u64,
    profile: u64,
    /// Of where the root of the crate is.
    pub(super) path: u64,
    #[serde(borrow)]
    pub(super) deps: Vec<Dependency<'a>>,
    pub(super) local: Vec<Local>,
    rustflags: Vec<String>,
    config: u64,
    compile_kind: u64,
}

/// A unit that a fingerprint depends on: the hash of its package, the name that it is known by, whether it
/// is public, and the hash of its fingerprint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Dependency<'a>(u64, #[serde(borrow)] Cow<'a, str>, bool, pub(super) u64);

/// What a fingerprint says beside flags and dependencies. The order of the variants is hashed.
#[derive(Clone, Debug, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) enum Local {
    /// A text. For packages of a directory: their newest file and its time.
    Precalculated(String),
    /// Files that rustc read.
    CheckDepInfo { dep_info: PathBuf, checksum: bool },
    /// Files that a build script declared.
    RerunIfChanged {
        output: PathBuf,
        paths: Vec<PathBuf>,
    },
    /// A variable that a build script declared.
    RerunIfEnvChanged { var: String, val: Option<String> },
}

impl Hash for Fingerprint<'_> {
    /// In cargo's order, which is not that of the fields.
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.rustc.hash(state);
        self.features.hash(state);
        self.declared_features.hash(state);
        self.target.hash(state);
        self.path.hash(state);
        self.profile.hash(state);
        self.local.hash(state);
        self.config.hash(state);
        self.compile_kind.hash(state);
        self.rustflags.hash(state);
        state.write_usize(self.deps.len());
        for Dependency(package, name, public, hash) in &self.deps {
            package.hash(state);
            name.hash(state);
            public.hash(state);
            state.write_u64(*hash);
        }
    }
}

impl<'a> Fingerprint<'a> {
    /// What a `.json` file says; `None` where it has another form than cargo 1.95 gives it.
    pub(super) fn parse(json: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(json).ok()
    }

    /// The bytes of a `.json` file.
    pub(super) fn to_json(&self) -> Option<Vec<u8>> {
        serde_json::to_vec(self).ok()
    }

    /// cargo's hash.
    pub(super) fn hash_u64(&self) -> u64 {
        let mut hasher = StableSipHasher128::new();
        self.hash(&mut hasher);
        Hasher::finish(&hasher)
    }

    /// Whether cargo made `hash` of `json`, and both say no more than `self` does.
    pub(super) fn is_what_was_recorded(&self, hash: u64, json: &[u8]) -> bool {
        self.hash_u64() == hash && self.to_json().is_some_and(|own| own == json)
    }
}

/// cargo's hash of where the root of a crate is.
pub(super) fn hash_of_path(path: &Path) -> u64 {
    let mut hasher = StableSipHasher128::new();
    path.hash(&mut hasher);
    Hasher::finish(&hasher)
}

/// Such a hash in a fingerprint of whatever form.
pub(super) fn path_in(json: &[u8]) -> Option<u64> {
    #[derive(Deserialize)]
    struct Loose {
        path: u64,
    }
    serde_json::from_slice(json).ok().map(|Loose { path }| path)
}

/// The texts of a fingerprint of whatever form.
pub(super) fn texts(json: &[u8]) -> Vec<String> {
    #[derive(Deserialize)]
    struct Loose {
        local: Vec<serde_json::Value>,
    }
    let Ok(Loose { local }) = serde_json::from_slice(json) else {
        return Vec::new();
    };
    let text = |value: serde_json::Value| Some(value.get("Precalculated")?.as_str()?.to_owned());
    local.into_iter().filter_map(text).collect()
}

/// The 16 hex digits that cargo writes for a hash: its bytes, the lowest first.
pub(super) fn to_hex(hash: u64) -> Vec<u8> {
    format!("{:016x}", hash.swap_bytes()).into_bytes()
}

/// The hash that 16 hex digits stand for.
pub(super) fn from_hex(digits: &[u8]) -> Option<u64> {
    let canonical = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    if digits.len() != 16 || !digits.iter().all(canonical) {
        return None;
    }
    let digits = std::str::from_utf8(digits).ok()?;
    u64::from_str_radix(digits, 16).ok().map(u64::swap_bytes)
}
