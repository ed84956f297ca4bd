//! Which compiler it is, by content.
//!
//! The digest covers the compiler, its libraries, the host's and the target's part of the sysroot
//! (standard library, linkers, codegen backends), each file by its path within the sysroot and its
//! bytes. Hashing some 300 MiB takes a moment, so the digest is remembered with the signatures of
//! all those files and their directories: any change, addition or removal gives another signature.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher, parallel};
use rekindle_fsx::{FileKind, StatSig};
use serde::{Deserialize, Serialize};

use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_store::LocalStore;

/// A compiler, identified.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// Digest of compiler and sysroot.
    pub(crate) identity: Digest,
    /// Where it lies.
    pub(crate) sysroot: PathBuf,
    /// Directory with the toolchain's own linkers under the names that gcc looks for.
    pub(crate) gcc_ld: Option<PathBuf>,
}

/// A file that is larger is known for itself as well.
const LARGE_BYTES: u64 = 1 << 20;

#[derive(Serialize, Deserialize)]
struct Memo {
    files: Vec<(PathBuf, [i64; 5])>,
    identity: Digest,
}

/// Finds the sysroot behind a compiler: a plain installation has it beside the `bin` directory; a
/// rustup proxy is followed through the variables that rustup sets for cargo.
pub(crate) fn locate(
    environment: &Environment,
    rustc: &OsStr,
) -> Result<(PathBuf, PathBuf), String> {
    let found = environment
        .find_program(rustc)
        .ok_or_else(|| format!("`{}` is not on PATH", rustc.to_string_lossy()))?;
    let real = rekindle_fsx::canonicalize(&found)
        .map_err(|error| format!("{}: {error}", found.display()))?;
    if let Some(sysroot) = sysroot_of(&real) {
        return Ok((real, sysroot));
    }
    let home = match environment.get("RUSTUP_HOME") {
        Some(home) => PathBuf::from(home),
        None => Path::new(environment.get("HOME").unwrap_or_default()).join(".rustup"),
    };
    environment
        .get("RUSTUP_TOOLCHAIN")
        .map(|toolchain| home.join("toolchains").join(toolchain).join("bin/rustc"))
        .and_then(|real| rekindle_fsx::canonicalize(&real).ok())
        .and_then(|real| sysroot_of(&real).map(|sysroot| (real, sysroot)))
        .ok_or_else(|| {
            format!(
                "{} has no sysroot beside it, and no rustup toolchain is named",
                real.display()
            )
        })
}

fn sysroot_of(rustc: &Path) -> Option<PathBuf> {
    let sysroot = rustc.parent()?.parent()?;
    rekindle_fsx::exists(&sysroot.join("lib/rustlib")).then(|| sysroot.to_owned())
}

/// Identifies the compiler that `rustc` names.
pub(crate) fn identify(
    files: &Files<'_>,
    environment: &Environment,
    rustc: &OsStr,
    sysroot: Option<&Path>,
    target: Option<&str>,
) -> Result<Toolchain, String> {
    let asked = Asked::new(environment, rustc, (sysroot, target))?;
    let identity = asked.identity(files)?;
    Ok(asked.identified(identity))
}

/// A compiler by the signatures of its files, which tell on this machine alone whether it is another; no file is read.
pub(crate) struct Signed {
    /// The compiler behind any proxy.
    pub(crate) rustc: PathBuf,
    /// Digest of all paths and signatures.
    pub(crate) signature: Digest,
}

/// Finds the compiler that `rustc` names, without reading it.
pub(crate) fn signed(
    environment: &Environment,
    rustc: &OsStr,
    target: Option<&str>,
) -> Result<Signed, String> {
    let asked = Asked::new(environment, rustc, (None, target))?;
    let listed = asked.list()?;
    let mut hasher = DigestHasher::new();
    let (dirs, files) = (listed.dirs.iter(), listed.files.iter());
    for (path, sig) in dirs.chain(files) {
        hasher.field(path.as_os_str().as_bytes());
        for part in parts(*sig) {
            hasher.field(&part.to_le_bytes());
        }
    }
    Ok(Signed {
        rustc: asked.rustc,
        signature: hasher.finish(),
    })
}

/// Whether nothing is left for [`read_ahead`] to read.
#[must_use]
pub fn was_read(
    store: &LocalStore,
    environment: &Environment,
    (sysroot, targets): (&Path, &[String]),
) -> bool {
    let files = Files::new(store);
    of_sysroot(environment, sysroot, targets).all(|asked| asked.known(&files).is_some())
}

/// Reads a compiler before the first unit asks for it: `sysroot` with the libraries of its host, then those of each of
/// `targets` that it has.
pub fn read_ahead(
    store: &LocalStore,
    environment: &Environment,
    (sysroot, targets): (&Path, &[String]),
) {
    let files = Files::new(store);
    for asked in of_sysroot(environment, sysroot, targets) {
        // What fails here fails again where it counts, and is said there.
        let _ = asked.identity(&files);
    }
}

/// What units of a build for these targets ask for.
fn of_sysroot<'a>(
    environment: &'a Environment,
    sysroot: &'a Path,
    targets: &'a [String],
) -> impl Iterator<Item = Asked<'a>> {
    let rustc = sysroot.join("bin/rustc");
    let has = |target: &&str| rekindle_fsx::exists(&sysroot.join("lib/rustlib").join(target));
    let targets = targets.iter().map(String::as_str).filter(has).map(Some);
    let all = std::iter::once(None).chain(targets);
    all.filter_map(move |target| Asked::new(environment, rustc.as_os_str(), (None, target)).ok())
}

/// A compiler that is asked for.
struct Asked<'a> {
    rustc: PathBuf,
    sysroot: PathBuf,
    target: Option<&'a str>,
    /// Where its memo is.
    key: Digest,
}

impl<'a> Asked<'a> {
    fn new(
        environment: &Environment,
        rustc: &OsStr,
        (sysroot, target): (Option<&Path>, Option<&'a str>),
    ) -> Result<Self, String> {
        let (rustc, own) = locate(environment, rustc)?;
        let sysroot = sysroot.map_or(own, |given| environment.cwd.join(given));
        let target = target.filter(|target| !target.ends_with(".json"));
        let key = DigestHasher::new()
            .field(b"toolchain 1")
            .field(rustc.as_os_str().as_bytes())
            .field(sysroot.as_os_str().as_bytes())
            .field(target.unwrap_or_default().as_bytes())
            .finish();
        Ok(Self {
            rustc,
            sysroot,
            target,
            key,
        })
    }

    fn identity(&self, files: &Files<'_>) -> Result<Digest, String> {
        if let Some(identity) = self.known(files) {
            return Ok(identity);
        }
        // With a new store all that run at once want it: one reads half a gigabyte, the others wait for what it found. Where
        // there can be no lock, each reads.
        let _held = files.lock_toolchain();
        self.known(files).map_or_else(|| self.read(files), Ok)
    }

    /// What is remembered of it, where all its files are as they were.
    fn known(&self, files: &Files<'_>) -> Option<Digest> {
        let memo = files.memo::<Memo>(&self.key)?;
        let is_same = |(path, seen): &(PathBuf, [i64; 5])| {
            rekindle_fsx::stat_follow(path).is_ok_and(|sig| parts(sig) == *seen)
        };
        memo.files.iter().all(is_same).then_some(memo.identity)
    }

    fn list(&self) -> Result<Listed, String> {
        list(&self.rustc, &self.sysroot, self.target).map_err(self.at())
    }

    fn read(&self, files: &Files<'_>) -> Result<Digest, String> {
        let memo = hash(files, &self.sysroot, self.list()?).map_err(self.at())?;
        files.remember(&self.key, &memo);
        Ok(memo.identity)
    }

    fn at(&self) -> impl Fn(std::io::Error) -> String {
        |error| format!("{}: {error}", self.sysroot.display())
    }

    fn identified(self, identity: Digest) -> Toolchain {
        let gcc_ld = host_dirs(&self.sysroot)
            .into_iter()
            .map(|dir| dir.join("bin/gcc-ld"))
            .find(|dir| rekindle_fsx::exists(dir));
        Toolchain {
            identity,
            sysroot: self.sysroot,
            gcc_ld,
        }
    }
}

fn parts(sig: StatSig) -> [i64; 5] {
    [
        sig.dev.cast_signed(),
        sig.ino.cast_signed(),
        sig.size.cast_signed(),
        sig.mtime_ns,
        sig.ctime_ns,
    ]
}

/// The directories of `lib/rustlib` that hold the host's programs; every target's where none does.
fn host_dirs(sysroot: &Path) -> Vec<PathBuf> {
    let rustlib = sysroot.join("lib/rustlib");
    let targets: Vec<PathBuf> = rekindle_fsx::list_names(&rustlib)
        .unwrap_or_default()
        .into_iter()
        .map(|name| rustlib.join(name))
        .filter(|dir| rekindle_fsx::exists(&dir.join("lib")))
        .collect();
    let hosts: Vec<PathBuf> = targets
        .iter()
        .filter(|dir| rekindle_fsx::exists(&dir.join("bin/rust-lld")))
        .cloned()
        .collect();
    if hosts.is_empty() { targets } else { hosts }
}

/// The files that a compiler is identified by, in order, and the directories that they were found in.
struct Listed {
    files: Vec<(PathBuf, StatSig)>,
    dirs: Vec<(PathBuf, StatSig)>,
}

fn list(rustc: &Path, sysroot: &Path, target: Option<&str>) -> std::io::Result<Listed> {
    let mut trees = host_dirs(sysroot);
    if let Some(target) = target {
        trees.push(sysroot.join("lib/rustlib").join(target));
    }
    let mut found = vec![(rustc.to_owned(), rekindle_fsx::stat_follow(rustc)?)];
    let lib = sysroot.join("lib");
    for name in rekindle_fsx::list_names(&lib)? {
        if name.as_bytes().starts_with(b"lib") {
            let path = lib.join(name);
            let sig = rekindle_fsx::stat_follow(&path)?;
            found.push((path, sig));
        }
    }
    let mut dirs = Vec::new();
    let mut pending: Vec<PathBuf> = Vec::new();
    for tree in trees {
        pending.extend(["lib", "bin", "codegen-backends"].map(|part| tree.join(part)));
    }
    while let Some(dir) = pending.pop() {
        let Ok(sig) = rekindle_fsx::stat_follow(&dir) else {
            continue;
        };
        dirs.push((dir.clone(), sig));
        for name in rekindle_fsx::list_names(&dir)? {
            let path = dir.join(name);
            let sig = rekindle_fsx::stat_follow(&path)?;
            match sig.kind() {
                FileKind::Dir => pending.push(path),
                _ => found.push((path, sig)),
            }
        }
    }
    dirs.push((lib.clone(), rekindle_fsx::stat_follow(&lib)?));
    found.retain(|(_, sig)| sig.kind() == FileKind::File);
    found.sort_unstable_by(|(a, _), (b, _)| a.cmp(b));
    found.dedup_by(|(a, _), (b, _)| a == b);
    Ok(Listed { files: found, dirs })
}

fn hash(files: &Files<'_>, sysroot: &Path, listed: Listed) -> std::io::Result<Memo> {
    // What the host's and a target's part share is read once for both.
    let known = |(path, sig): (PathBuf, StatSig)| {
        let is_large = sig.size >= LARGE_BYTES;
        let known = is_large.then(|| files.known_tool(&path, sig)).flatten();
        (path, sig, known)
    };
    let found: Vec<_> = listed.files.into_iter().map(known).collect();
    let mut memo = Memo {
        files: listed
            .dirs
            .into_iter()
            .map(|(dir, sig)| (dir, parts(sig)))
            .collect(),
        identity: Digest::of(b""),
    };
    let digests = parallel::map(&found, |(path, _, known)| match known {
        Some(digest) => Ok(*digest),
        None => rekindle_fsx::hash_file(path).map(|(digest, _)| digest),
    });
    let mut hasher = DigestHasher::new();
    for ((path, sig, known), digest) in found.into_iter().zip(digests) {
        let digest = digest?;
        // Build scripts that start the compiler are seen to read it, and would have it read again.
        if sig.size >= LARGE_BYTES && known.is_none() {
            files.remember_tool(&path, sig, digest);
        }
        let name = path.strip_prefix(sysroot).unwrap_or(&path);
        hasher
            .field(name.as_os_str().as_bytes())
            .field(digest.as_bytes());
        memo.files.push((path, parts(sig)));
    }
    memo.identity = hasher.finish();
    Ok(memo)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "x86_64-unknown-linux-gnu";
    const OTHER: &str = "x86_64-unknown-linux-musl";

    /// A sysroot for two targets, and a store.
    struct Field {
        dir: tempfile::TempDir,
        store: LocalStore,
    }

    impl Field {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let store = LocalStore::open(&dir.path().join("store"));
            let field = Self { dir, store };
            field.put("bin/rustc", b"rustc");
            field.put("lib/librustc_driver.so", &vec![1; 2 << 20]);
            field.put(&format!("lib/rustlib/{HOST}/bin/rust-lld"), b"lld");
            for target in [HOST, OTHER] {
                field.put(&format!("lib/rustlib/{target}/lib/libstd.rlib"), b"std");
            }
            field
        }

        fn sysroot(&self) -> PathBuf {
            self.dir.path().join("rust")
        }

        fn put(&self, name: &str, bytes: &[u8]) {
            let path = self.sysroot().join(name);
            rekindle_fsx::create_dir_all(path.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&path, bytes).unwrap();
        }

        fn rustc(&self) -> PathBuf {
            self.sysroot().join("bin/rustc")
        }

        fn environment(&self) -> Environment {
            Environment::new([], self.sysroot(), "rekindle-rustc".into())
        }

        fn signature(&self, target: Option<&str>) -> Digest {
            let rustc = self.rustc();
            let signed = signed(&self.environment(), rustc.as_os_str(), target);
            signed.unwrap().signature
        }

        fn identity(&self, target: Option<&str>) -> Digest {
            let files = Files::new(&self.store);
            let rustc = self.rustc();
            let found = identify(&files, &self.environment(), rustc.as_os_str(), None, target);
            found.unwrap().identity
        }

        /// What is remembered.
        fn known(&self, target: Option<&str>) -> Option<Digest> {
            let rustc = self.rustc();
            let environment = self.environment();
            let asked = Asked::new(&environment, rustc.as_os_str(), (None, target)).unwrap();
            asked.known(&Files::new(&self.store))
        }
    }

    #[test]
    fn another_file_is_another_compiler() {
        let field = Field::new();
        let both = || (field.signature(None), field.identity(None));
        let mut before = both();
        assert_eq!(both(), before);
        let std = format!("lib/rustlib/{HOST}/lib/libstd.rlib");
        let changes: [(&str, &[u8]); 4] = [
            ("bin/rustc", b"other"),
            ("lib/librustc_driver.so", &[2; 2 << 20]),
            (&std, b"other"),
            ("lib/libLLVM.so", b"added"),
        ];
        for (name, bytes) in changes {
            field.put(name, bytes);
            let after = both();
            assert_ne!(after.0, before.0, "{name}");
            assert_ne!(after.1, before.1, "{name}");
            before = after;
        }
        rekindle_fsx::remove_file(&field.sysroot().join("lib/libLLVM.so")).unwrap();
        assert_ne!(field.signature(None), before.0);
        assert_ne!(field.identity(None), before.1);
    }

    #[test]
    fn the_part_of_another_target_counts_where_it_is_asked_for() {
        let field = Field::new();
        let (host, other) = (field.signature(None), field.signature(Some(OTHER)));
        field.put(&format!("lib/rustlib/{OTHER}/lib/libstd.rlib"), b"new");
        assert_ne!(field.signature(Some(OTHER)), other);
        assert_eq!(field.signature(None), host);
    }

    #[test]
    fn what_is_read_ahead_is_known() {
        let field = Field::new();
        let targets = [OTHER, "none"].map(str::to_owned);
        let (environment, sysroot) = (field.environment(), field.sysroot());
        let was_read = || was_read(&field.store, &environment, (&sysroot, &targets));
        assert!(!was_read());
        read_ahead(&field.store, &environment, (&sysroot, &targets));
        for target in [None, Some(OTHER)] {
            assert_eq!(field.known(target), Some(field.identity(target)));
        }
        assert_eq!(field.known(Some("none")), None);
        assert!(was_read());
        field.put("lib/librustc_driver.so", b"new");
        assert!(!was_read());
    }

    #[test]
    fn who_waits_takes_what_the_other_found() {
        let field = Field::new();
        let planted = Digest::of(b"planted");
        let held = field.store.lock_toolchain().unwrap();
        std::thread::scope(|scope| {
            let waiting = scope.spawn(|| field.identity(None));
            let files = Files::new(&field.store);
            let (rustc, environment) = (field.rustc(), field.environment());
            let asked = Asked::new(&environment, rustc.as_os_str(), (None, None)).unwrap();
            let mut memo = hash(&files, &asked.sysroot, asked.list().unwrap()).unwrap();
            memo.identity = planted;
            // Who does not wait is done long before this.
            std::thread::sleep(std::time::Duration::from_millis(200));
            assert!(!waiting.is_finished());
            files.remember(&asked.key, &memo);
            drop(held);
            assert_eq!(waiting.join().unwrap(), planted);
        });
    }
}
