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

/// A compiler, identified.
#[derive(Clone, Debug)]
pub(crate) struct Toolchain {
    /// Digest of compiler and sysroot.
    pub(crate) identity: Digest,
    /// Where it lies.
    pub(crate) sysroot: PathBuf,
    /// The compiler behind any proxy.
    pub(crate) rustc: PathBuf,
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
    let (rustc, own) = locate(environment, rustc)?;
    let sysroot = sysroot.map_or(own, |given| environment.cwd.join(given));
    let target = target.filter(|target| !target.ends_with(".json"));
    let key = DigestHasher::new()
        .field(b"toolchain 1")
        .field(rustc.as_os_str().as_bytes())
        .field(sysroot.as_os_str().as_bytes())
        .field(target.unwrap_or_default().as_bytes())
        .finish();
    let memo = files.memo::<Memo>(&key).filter(|memo| {
        memo.files.iter().all(|(path, seen)| {
            rekindle_fsx::stat_follow(path).is_ok_and(|sig| parts(sig) == *seen)
        })
    });
    let identity = match memo {
        Some(memo) => memo.identity,
        None => {
            let memo = hash(files, &rustc, &sysroot, target)
                .map_err(|error| format!("{}: {error}", sysroot.display()))?;
            files.remember(&key, &memo);
            memo.identity
        }
    };
    let gcc_ld = host_dirs(&sysroot)
        .into_iter()
        .map(|dir| dir.join("bin/gcc-ld"))
        .find(|dir| rekindle_fsx::exists(dir));
    Ok(Toolchain {
        identity,
        sysroot,
        rustc,
        gcc_ld,
    })
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

fn hash(
    files: &Files<'_>,
    rustc: &Path,
    sysroot: &Path,
    target: Option<&str>,
) -> std::io::Result<Memo> {
    let mut trees = host_dirs(sysroot);
    if let Some(target) = target {
        trees.push(sysroot.join("lib/rustlib").join(target));
    }
    let mut paths = vec![rustc.to_owned()];
    let lib = sysroot.join("lib");
    for name in rekindle_fsx::list_names(&lib)? {
        if name.as_bytes().starts_with(b"lib") {
            paths.push(lib.join(name));
        }
    }
    let mut memo = Memo {
        files: Vec::new(),
        identity: Digest::of(b""),
    };
    let mut pending: Vec<PathBuf> = Vec::new();
    for tree in trees {
        pending.extend(["lib", "bin", "codegen-backends"].map(|part| tree.join(part)));
    }
    while let Some(dir) = pending.pop() {
        let Ok(sig) = rekindle_fsx::stat_follow(&dir) else {
            continue;
        };
        memo.files.push((dir.clone(), parts(sig)));
        for name in rekindle_fsx::list_names(&dir)? {
            let path = dir.join(name);
            match rekindle_fsx::stat_follow(&path)?.kind() {
                FileKind::Dir => pending.push(path),
                _ => paths.push(path),
            }
        }
    }
    memo.files
        .push((lib.clone(), parts(rekindle_fsx::stat_follow(&lib)?)));
    paths.sort_unstable();
    paths.dedup();
    // Half a gigabyte: with a new store, the first thing that a build waits for.
    let digests = parallel::map(&paths, |path| {
        let sig = rekindle_fsx::stat_follow(path)?;
        let is_file = sig.kind() == FileKind::File;
        let digest = is_file.then(|| rekindle_fsx::hash_file(path)).transpose()?;
        std::io::Result::Ok(digest.map(|(digest, _)| (sig, digest)))
    });
    let mut hasher = DigestHasher::new();
    for (path, digest) in paths.into_iter().zip(digests) {
        let Some((sig, digest)) = digest? else {
            continue;
        };
        // Build scripts that start the compiler are seen to read it, and would have it read again.
        if sig.size >= LARGE_BYTES {
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
