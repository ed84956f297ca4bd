//! Plain cargo and the caches that are compared: where each is found, and how it is driven.
//!
//! Each has its own store, home and environment; nothing of the person who measures reaches it but
//! the toolchain. A daemon is started before a clock runs and stopped after, for its own good.

use std::ffi::OsString;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::projects::{make_dir, remove};
use crate::Failure;
use crate::process::{self, capture, cargo};

/// Who builds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// A developer's own machine: one checkout, its target directory kept.
    Kept,
    Plain,
    Rekindle,
    /// Archives of the dependencies' outputs and of `CARGO_HOME`.
    RustCache,
    Sccache,
    Kache,
    Mbx,
}

impl Kind {
    /// With the target directory removed.
    pub(super) const UNIT_CACHE: [Self; 5] = [
        Self::Plain,
        Self::Rekindle,
        Self::Sccache,
        Self::Kache,
        Self::Mbx,
    ];
    /// With the whole checkout removed.
    pub(super) const REPLAY: [Self; 7] = [
        Self::Kept,
        Self::Plain,
        Self::Rekindle,
        Self::RustCache,
        Self::Sccache,
        Self::Kache,
        Self::Mbx,
    ];

    /// With a store that machines share.
    pub(super) const REMOTE: [Self; 5] = [
        Self::Rekindle,
        Self::RustCache,
        Self::Sccache,
        Self::Kache,
        Self::Mbx,
    ];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Plain => "plain",
            Self::Rekindle => "rekindle",
            Self::RustCache => "rust-cache",
            Self::Sccache => "sccache",
            Self::Kache => "kache",
            Self::Mbx => "mbx",
        }
    }

    /// How it was set up, for the reader of the figures.
    const fn note(self) -> &'static str {
        match self {
            Self::Kept => {
                "the limit: `cargo build` where the version before was built, nothing removed"
            }
            Self::Plain => "`cargo build`",
            Self::Rekindle => "`rekindle build`",
            Self::RustCache => {
                "what Swatinem/rust-cache does, with tar and zstd on the local disk: packed and \
                 unpacked within the measured time; packed only when the key changed; \
                 `CARGO_INCREMENTAL=0`, as it sets"
            }
            Self::Sccache => {
                "`RUSTC_WRAPPER`; `CARGO_INCREMENTAL=0`, as its documentation asks; server started beforehand"
            }
            Self::Kache => "`RUSTC_WRAPPER`; daemon started beforehand",
            Self::Mbx => "`mbx build`; its managed target removed together with `target/`",
        }
    }

    /// How it was set up with a store that machines share.
    pub(super) const fn remote_note(self) -> &'static str {
        match self {
            Self::RustCache => {
                "what Swatinem/rust-cache does, with `CARGO_HOME` and the target directory, by tar, zstd and curl; \
                 sent only when the key changed; `CARGO_INCREMENTAL=0`, as it sets"
            }
            Self::Kache => {
                "`RUSTC_WRAPPER`; daemon started beforehand; `kache sync --pull` and, of all it has, `kache sync \
                 --push` within the measured time"
            }
            Self::Mbx => {
                "`mbx build`; through a relay on its own machine, as it takes HTTP from there alone"
            }
            _ => self.note(),
        }
    }

    /// Those of the names, or all that take part.
    pub(super) fn choose(names: Option<&str>, part: &[Self]) -> Result<Vec<Self>, Failure> {
        let Some(names) = names else {
            return Ok(part.to_vec());
        };
        names
            .split(',')
            .map(|name| {
                part.iter()
                    .copied()
                    .find(|kind| kind.name() == name)
                    .ok_or_else(|| {
                        let known: Vec<&str> = part.iter().map(|kind| kind.name()).collect();
                        format!("`{name}` is no tool here; choose from {}", known.join(", "))
                    })
            })
            .collect()
    }
}

/// Another machine, on which a tool's commands run.
#[derive(Clone, Debug)]
pub(super) struct Far {
    /// A network namespace.
    pub(super) namespace: String,
    /// How the tool is told of the store that machines share; nothing where it is not to use any.
    pub(super) environment: Vec<(String, String)>,
}

/// A tool that was found, with its own places.
pub(super) struct Tool {
    pub(super) kind: Kind,
    /// What it says of its version.
    pub(super) version: String,
    program: PathBuf,
    /// Below the scratch directory.
    dir: PathBuf,
    /// Sockets want short paths.
    runtime: PathBuf,
    port: u16,
    /// Where its commands run, if not just here.
    pub(super) far: Option<Far>,
}

impl Tool {
    /// Finds a tool; the error says why it is not measured.
    pub(super) fn find(kind: Kind, scratch: &Path, rivals: Option<&Path>) -> Result<Self, Failure> {
        let program = match kind {
            Kind::RustCache if !process::works("zstd", &["--version"]) => {
                return Err("`zstd` is not installed; the system's package brings it".to_owned());
            }
            Kind::Kept | Kind::Plain | Kind::RustCache => PathBuf::from(cargo().get_program()),
            Kind::Rekindle => build_rekindle()?,
            _ => find_program(kind.name(), rivals)?,
        };
        Self::at(kind, program, scratch)
    }

    /// A tool whose program is known.
    pub(super) fn at(kind: Kind, program: PathBuf, scratch: &Path) -> Result<Self, Failure> {
        let version = capture(process::command(&program.to_string_lossy()).arg("--version"))
            .map(|said| said.lines().next().unwrap_or_default().trim().to_owned())?;
        let runtime =
            std::env::temp_dir().join(format!("rk-bench-{}-{}", std::process::id(), kind.name()));
        Ok(Self {
            kind,
            version,
            program,
            dir: scratch.join("tools").join(kind.name()),
            runtime,
            port: free_port()?,
            far: None,
        })
    }

    pub(super) fn note(&self) -> &'static str {
        self.kind.note()
    }

    /// Where it keeps what it caches.
    pub(super) fn store(&self) -> PathBuf {
        self.dir.join("store")
    }

    /// Where a project is built by this tool.
    pub(super) fn checkout(&self, place: &str) -> PathBuf {
        self.dir.join(place)
    }

    /// Forgets all that it ever cached.
    pub(super) fn empty_store(&self) -> Result<(), Failure> {
        for dir in [
            self.store(),
            self.dir.join("home"),
            self.managed_targets(),
            self.runtime.clone(),
        ] {
            remove(&dir)?;
            make_dir(&dir)?;
        }
        Ok(())
    }

    /// Removes what a build left in a checkout, where the tool put it elsewhere as well.
    pub(super) fn remove_target(&self, checkout: &Path, cargo_home: &Path) -> Result<(), Failure> {
        if self.kind == Kind::Mbx && checkout.exists() {
            // Its own way first, so that its records agree; whether there was one does not matter.
            let mut clean = self.command(checkout, cargo_home);
            let _ = clean
                .arg("clean")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            remove(&self.managed_targets())?;
            make_dir(&self.managed_targets())?;
        }
        remove(&checkout.join("target"))
    }

    /// As [`Tool::remove_target`], but what the tool learnt of the checkout stays in its store, as
    /// it would between two machines.
    pub(super) fn forget_checkout(&self, checkout: &Path) -> Result<(), Failure> {
        remove(&self.managed_targets())?;
        make_dir(&self.managed_targets())?;
        remove(checkout)
    }

    /// A `CARGO_HOME` of its own.
    pub(super) fn cargo_home(&self) -> PathBuf {
        self.dir.join("cargo-home")
    }

    /// The same with nothing in it.
    pub(super) fn empty_cargo_home(&self) -> Result<PathBuf, Failure> {
        let home = self.cargo_home();
        remove(&home)?;
        make_dir(&home)?;
        Ok(home)
    }

    fn managed_targets(&self) -> PathBuf {
        self.dir.join("targets")
    }

    /// Starts what runs in the background.
    pub(super) fn start(&self, checkout: &Path, cargo_home: &Path) -> Result<(), Failure> {
        match self.kind {
            Kind::Sccache => self.drive(checkout, cargo_home, &["--start-server"]),
            Kind::Kache => self.drive(checkout, cargo_home, &["daemon", "start"]),
            _ => Ok(()),
        }
    }

    /// Stops what runs in the background.
    pub(super) fn stop(&self, checkout: &Path, cargo_home: &Path) -> Result<(), Failure> {
        match self.kind {
            Kind::Sccache => self.drive(checkout, cargo_home, &["--stop-server"]),
            Kind::Kache => self.drive(checkout, cargo_home, &["daemon", "stop"]),
            _ => Ok(()),
        }
    }

    /// What brings what a checkout needs from the store that machines share, where a build does not see to all of it itself.
    pub(super) fn fetch(&self, checkout: &Path, cargo_home: &Path) -> Option<Command> {
        if self.kind != Kind::Kache {
            return None;
        }
        let mut command = self.command(checkout, cargo_home);
        // Where nobody has pushed yet, that is no failure.
        command.args(["sync", "--pull", "--allow-partial"]);
        Some(command)
    }

    /// What sends to the store that machines share, where a build does not see to it itself.
    pub(super) fn save(&self, cargo_home: &Path) -> Option<Command> {
        if self.kind != Kind::Kache {
            return None;
        }
        // In a workspace it sends the members alone and leaves dependencies to the daemon, which is about to be stopped;
        // where no `Cargo.toml` is it sends all.
        let mut command = self.command(&self.store(), cargo_home);
        command.args(["sync", "--push"]);
        Some(command)
    }

    fn drive(&self, dir: &Path, cargo_home: &Path, arguments: &[&str]) -> Result<(), Failure> {
        // Not `capture`: a daemon would keep the pipe open.
        let mut command = self.command(dir, cargo_home);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        process::run(&mut command)
    }

    /// The command that is measured: cargo's, with its arguments.
    pub(super) fn build(&self, checkout: &Path, cargo_home: &Path, arguments: &[&str]) -> Command {
        let wrapped = matches!(self.kind, Kind::Sccache | Kind::Kache);
        let mut command = if wrapped {
            self.command_of(cargo().get_program().into(), checkout, cargo_home)
        } else {
            self.command(checkout, cargo_home)
        };
        command.args(arguments).args(["--offline", "--locked"]);
        command
    }

    /// What Rekindle says of the last run, as JSON.
    pub(super) fn statistics(&self, checkout: &Path, cargo_home: &Path) -> Option<String> {
        if self.kind != Kind::Rekindle {
            return None;
        }
        let mut command = self.command(checkout, cargo_home);
        capture(command.args(["stats", "--format", "json"])).ok()
    }

    fn command(&self, dir: &Path, cargo_home: &Path) -> Command {
        self.command_of(self.program.clone().into(), dir, cargo_home)
    }

    fn command_of(&self, program: OsString, dir: &Path, cargo_home: &Path) -> Command {
        let mut command = match &self.far {
            Some(far) => {
                let mut ip = Command::new("ip");
                ip.args(["netns", "exec", &far.namespace]).arg(program);
                ip
            }
            None => Command::new(program),
        };
        command.current_dir(dir).stdin(Stdio::null()).env_clear();
        for name in ["PATH", "LANG", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN", "TMPDIR"] {
            if let Some(value) = std::env::var_os(name) {
                command.env(name, value);
            }
        }
        if std::env::var_os("RUSTUP_HOME").is_none()
            && let Some(home) = std::env::var_os("HOME")
        {
            command.env("RUSTUP_HOME", Path::new(&home).join(".rustup"));
        }
        command
            .env("HOME", self.dir.join("home"))
            .env("CARGO_HOME", cargo_home)
            .env("CARGO_TERM_COLOR", "never")
            // As a shell sets it: scripts and their shells ask for it.
            .env("PWD", dir)
            // Build scripts that ask git must not find the repository around the scratch directory.
            .env("GIT_CEILING_DIRECTORIES", &self.dir);
        self.set_up(&mut command);
        if let Some(far) = self.far.as_ref().filter(|far| !far.environment.is_empty()) {
            command.env_remove("KACHE_LOCAL_ONLY");
            command.envs(far.environment.iter().map(|(name, value)| (name, value)));
        }
        command
    }

    fn set_up(&self, command: &mut Command) {
        let store = self.store();
        match self.kind {
            Kind::Kept | Kind::Plain => {}
            Kind::RustCache => {
                command.env("CARGO_INCREMENTAL", "0");
            }
            Kind::Rekindle => {
                command
                    .env("REKINDLE_DIR", store)
                    .env("REKINDLE_CACHE_SIZE", "50G");
            }
            Kind::Sccache => {
                command
                    .env("RUSTC_WRAPPER", &self.program)
                    .env("CARGO_INCREMENTAL", "0")
                    .env("SCCACHE_DIR", store)
                    .env("SCCACHE_CACHE_SIZE", "50G")
                    .env("SCCACHE_IDLE_TIMEOUT", "0")
                    .env("SCCACHE_SERVER_PORT", self.port.to_string());
            }
            Kind::Kache => {
                command
                    .env("RUSTC_WRAPPER", &self.program)
                    .env("KACHE_CACHE_DIR", store)
                    .env("KACHE_RUNTIME_DIR", &self.runtime)
                    .env("KACHE_HOST_CONFIG", "")
                    .env("KACHE_LOCAL_ONLY", "1")
                    .env("KACHE_MAX_SIZE", "50GiB");
            }
            Kind::Mbx => {
                command
                    .env("MBX_CACHE_DIR", store)
                    .env("MBX_TARGET_ROOT", self.managed_targets())
                    .env("MBX_DISPLAY", "plain");
            }
        }
    }
}

impl Drop for Tool {
    fn drop(&mut self) {
        // Best effort: it is in the temporary directory.
        let _ = std::fs::remove_dir_all(&self.runtime);
    }
}

/// The program of this workspace, as users would install it.
fn build_rekindle() -> Result<PathBuf, Failure> {
    let mut build = cargo();
    process::run(build.args(["build", "--release", "--package", "rekindle", "--bins"]))?;
    Ok(process::target_dir()?.join("release/rekindle"))
}

fn find_program(name: &str, rivals: Option<&Path>) -> Result<PathBuf, Failure> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let given = rivals
        .into_iter()
        .flat_map(|dir| [dir.join("bin"), dir.to_owned()]);
    given
        .chain(std::env::split_paths(&path))
        .map(|dir| dir.join(name))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            format!(
                "`{name}` is neither on PATH nor in --rivals-path; `cargo install {name}` brings it"
            )
        })
}

fn free_port() -> Result<u16, Failure> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .map_err(|error| format!("no free port on 127.0.0.1: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tool(kind: Kind) -> Tool {
        Tool {
            kind,
            version: String::new(),
            program: PathBuf::from(kind.name()),
            dir: PathBuf::from("scratch/tools").join(kind.name()),
            runtime: PathBuf::from("no-such-runtime-dir"),
            port: 1,
            far: None,
        }
    }

    #[test]
    fn tools_are_chosen_by_name() {
        let unit_cache = |names| Kind::choose(names, &Kind::UNIT_CACHE);
        assert_eq!(unit_cache(None).unwrap().len(), 5);
        assert_eq!(
            unit_cache(Some("plain,mbx")).unwrap(),
            [Kind::Plain, Kind::Mbx]
        );
        assert!(unit_cache(Some("rust-cache")).is_err());
        assert_eq!(
            Kind::choose(Some("rust-cache"), &Kind::REPLAY).unwrap(),
            [Kind::RustCache]
        );
    }

    #[test]
    fn each_tool_sees_its_own_settings_only() {
        for kind in Kind::REPLAY {
            let tool = tool(kind);
            let command = tool.build(Path::new("checkout"), Path::new("home"), &["build"]);
            let names: Vec<String> = command
                .get_envs()
                .filter(|(_, value)| value.is_some())
                .map(|(name, _)| name.to_string_lossy().into_owned())
                .collect();
            for other in [
                "SCCACHE_DIR",
                "KACHE_CACHE_DIR",
                "MBX_CACHE_DIR",
                "REKINDLE_DIR",
            ] {
                let own = other.to_lowercase().starts_with(kind.name());
                assert_eq!(
                    names.iter().any(|name| name == other),
                    own,
                    "{kind:?} {other}"
                );
            }
        }
    }

    #[test]
    fn a_missing_rival_is_named() {
        let failure = find_program("no-such-rival", None).unwrap_err();
        assert!(failure.contains("no-such-rival"));
    }
}
