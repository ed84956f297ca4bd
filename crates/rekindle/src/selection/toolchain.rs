//! Which compiler cargo will use, as far as it can be told without starting one.
//!
//! The same toolchain is the same on every machine and under each of its names (`stable`, `1.95.0`):
//! names and sizes of its files are looked at, not their times. That is weaker than what the unit
//! cache goes by (contents), and enough for a guess.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};

use super::Call;
use crate::Surroundings;
use crate::cargo_config::CargoConfig;

/// A compiler, as far as it can be told.
#[derive(Debug)]
pub(super) struct Toolchain {
    /// The same on every machine.
    pub(super) identity: Digest,
    /// Where it is, where that is known.
    pub(super) sysroot: Option<PathBuf>,
}

impl Toolchain {
    fn at(sysroot: PathBuf) -> Self {
        Self {
            identity: of_sysroot(&sysroot),
            sysroot: Some(sysroot),
        }
    }

    const fn elsewhere(identity: Digest) -> Self {
        Self {
            identity,
            sysroot: None,
        }
    }
}

/// Identifies the compiler.
pub(super) fn identify(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
    call: Call<'_>,
) -> Toolchain {
    let set = config.rustc();
    let program = set.as_deref().unwrap_or(Path::new("rustc"));
    let real =
        located(surroundings, program).and_then(|path| rekindle_fsx::canonicalize(&path).ok());
    // `+nightly` is for rustup's proxies, but a compiler that is named goes before.
    let by_rustup = call.toolchain.is_some() && set.is_none();
    if !by_rustup && let Some(real) = &real {
        if let Some(sysroot) = sysroot_of(real) {
            return Toolchain::at(sysroot);
        }
        if !is_proxy(real) {
            let mut hasher = DigestHasher::new();
            hasher.field(b"rekindle compiler 1");
            program_alone(&mut hasher, real);
            return Toolchain::elsewhere(hasher.finish());
        }
    }
    let name = rustup_name(surroundings, call.toolchain).unwrap_or_default();
    match rustup_dir(surroundings, &name) {
        Some(sysroot) => Toolchain::at(sysroot),
        // One that rustup is about to install.
        None => Toolchain::elsewhere(
            DigestHasher::new()
                .field(b"rekindle toolchain name 1")
                .field(name.as_bytes())
                .finish(),
        ),
    }
}

/// The toolchain that rustup's proxies would choose, and its directory, where it is installed. `None` where
/// the compiler is not rustup's.
#[must_use]
pub fn of_rustup(
    surroundings: &Surroundings,
    config: &CargoConfig<'_>,
) -> Option<(String, Option<PathBuf>)> {
    let program = config.rustc().unwrap_or_else(|| "rustc".into());
    if !is_rustups(surroundings, &program) {
        return None;
    }
    let name = rustup_name(surroundings, None)?;
    let dir = rustup_dir(surroundings, &name);
    Some((name, dir))
}

/// Where rustup keeps toolchains.
#[must_use]
pub fn rustup_toolchains(surroundings: &Surroundings) -> Option<PathBuf> {
    Some(rustup_home(surroundings)?.join("toolchains"))
}

/// Whether a program that is started by this name is one of rustup's proxies.
pub(crate) fn is_rustups(surroundings: &Surroundings, program: &Path) -> bool {
    located(surroundings, program)
        .and_then(|path| rekindle_fsx::canonicalize(&path).ok())
        .is_some_and(|real| is_proxy(&real))
}

/// rustup's proxies are links to it, of either kind.
fn is_proxy(program: &Path) -> bool {
    program.file_name() == Some(OsStr::new("rustup"))
        || rekindle_fsx::exists(&program.with_file_name("rustup"))
}

/// A program as a shell in the working directory finds it.
#[must_use]
pub fn located(surroundings: &Surroundings, program: &Path) -> Option<PathBuf> {
    if program.components().count() > 1 {
        return Some(surroundings.cwd.join(program));
    }
    let dirs = surroundings.non_empty("PATH")?;
    std::env::split_paths(dirs)
        .map(|dir| surroundings.cwd.join(dir).join(program))
        .find(|path| rekindle_fsx::stat_follow(path).is_ok_and(|sig| sig.is_executable()))
}

fn sysroot_of(rustc: &Path) -> Option<PathBuf> {
    let sysroot = rustc.parent()?.parent()?;
    rekindle_fsx::exists(&sysroot.join("lib/rustlib")).then(|| sysroot.to_owned())
}

/// The compiler proper is a library whose name holds a hash of how it was built.
const DRIVER: &[u8] = b"librustc_driver";

fn of_sysroot(sysroot: &Path) -> Digest {
    let mut hasher = DigestHasher::new();
    hasher.field(b"rekindle sysroot 1");
    let lib = sysroot.join("lib");
    let mut has_driver = false;
    for name in rekindle_fsx::list_names(&lib).unwrap_or_default() {
        if name.as_bytes().starts_with(DRIVER) {
            has_driver = true;
            size_of(&mut hasher, name.as_bytes(), &lib.join(&name));
        }
    }
    for program in ["bin/rustc", "bin/cargo"] {
        size_of(&mut hasher, program.as_bytes(), &sysroot.join(program));
    }
    if !has_driver {
        // A distribution's: its library is elsewhere, but all its times are those of the package.
        program_alone(&mut hasher, &sysroot.join("bin/rustc"));
    }
    hasher.finish()
}

fn size_of(hasher: &mut DigestHasher, name: &[u8], path: &Path) {
    let size = rekindle_fsx::stat_follow(path).map_or(0, |sig| sig.size);
    hasher.field(name).field(&size.to_le_bytes());
}

fn program_alone(hasher: &mut DigestHasher, program: &Path) {
    hasher.field(program.as_os_str().as_bytes());
    if let Ok(sig) = rekindle_fsx::stat_follow(program) {
        hasher
            .field(&sig.size.to_le_bytes())
            .field(&sig.mtime_ns.to_le_bytes());
    }
}

/// The toolchain that rustup's proxies choose: an argument, a variable, then from the working
/// directory up an override or a file, whichever is nearer; else the default.
fn rustup_name(surroundings: &Surroundings, named: Option<&OsStr>) -> Option<String> {
    if let Some(named) = named {
        let name = named.to_str()?;
        return Some(name.strip_prefix('+').unwrap_or(name).to_owned());
    }
    if let Some(name) = surroundings.non_empty("RUSTUP_TOOLCHAIN") {
        return Some(name.to_str()?.to_owned());
    }
    let settings = settings(surroundings);
    let overrides = settings.get("overrides");
    for dir in surroundings.cwd.ancestors() {
        let by_override = dir
            .to_str()
            .and_then(|dir| overrides?.get(dir)?.as_str())
            .map(str::to_owned);
        if let Some(name) = by_override.or_else(|| file(dir)) {
            return Some(name);
        }
    }
    Some(settings.get("default_toolchain")?.as_str()?.to_owned())
}

/// What `rust-toolchain` or `rust-toolchain.toml` in a directory names. The first may be a bare name.
fn file(dir: &Path) -> Option<String> {
    for name in ["rust-toolchain", "rust-toolchain.toml"] {
        let Ok(text) = rekindle_fsx::read_to_string(&dir.join(name)) else {
            continue;
        };
        if let Ok(values) = text.parse::<toml::Table>() {
            let toolchain = values.get("toolchain")?;
            if let Some(channel) = toolchain.get("channel") {
                return Some(channel.as_str()?.to_owned());
            }
            let path = dir.join(toolchain.get("path")?.as_str()?);
            return Some(path.to_str()?.to_owned());
        }
        return Some(text.trim().to_owned()).filter(|name| !name.is_empty());
    }
    None
}

fn rustup_home(surroundings: &Surroundings) -> Option<PathBuf> {
    surroundings
        .path("RUSTUP_HOME")
        .or_else(|| Some(surroundings.home.as_ref()?.join(".rustup")))
}

fn settings(surroundings: &Surroundings) -> toml::Table {
    rustup_home(surroundings)
        .and_then(|home| rekindle_fsx::read_to_string(&home.join("settings.toml")).ok())
        .and_then(|text| text.parse().ok())
        .unwrap_or_default()
}

/// The directory of a toolchain, where it is installed. Most names leave out the host.
fn rustup_dir(surroundings: &Surroundings, name: &str) -> Option<PathBuf> {
    if name.is_empty() {
        return None;
    }
    if Path::new(name).is_absolute() {
        return Some(name.into());
    }
    let all = rustup_home(surroundings)?.join("toolchains");
    let settings = settings(surroundings);
    let text = |key: &str| settings.get(key).and_then(toml::Value::as_str);
    let mut tried = vec![name.to_owned()];
    if let Some(host) = text("default_host_triple") {
        tried.push(format!("{name}-{host}"));
    }
    for environment in ["gnu", "musl"] {
        let architecture = std::env::consts::ARCH;
        tried.push(format!("{name}-{architecture}-unknown-linux-{environment}"));
    }
    tried
        .into_iter()
        .map(|name| all.join(name))
        .find(|dir| rekindle_fsx::exists(&dir.join("lib/rustlib")))
}
