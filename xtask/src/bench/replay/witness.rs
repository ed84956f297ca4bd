//! Which compilers and linkers a build starts, by what the kernel is asked: no tool is believed.

use std::collections::HashSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use super::record::Witnessed;
use crate::Failure;
use crate::process;

const COMPILERS: [&str; 2] = ["rustc", "clippy-driver"];
const LINKERS: [&str; 9] = [
    "cc", "gcc", "clang", "collect2", "ld", "ld.lld", "rust-lld", "mold", "wild",
];

/// Whether this machine can watch a build.
pub(super) fn available() -> bool {
    process::works("strace", &["-V"])
}

/// The same command, watched; what is seen goes to `trace`.
pub(super) fn watched(command: &Command, trace: &Path) -> Command {
    let mut watched = process::command("strace");
    watched
        .args([
            "-f",
            "-qq",
            "--seccomp-bpf",
            "-s",
            "300",
            "-e",
            "trace=execve",
            "-o",
        ])
        .arg(trace)
        .arg("--")
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            watched.env(name, value);
        }
    }
    if let Some(dir) = command.get_current_dir() {
        watched.current_dir(dir);
    }
    watched
}

pub(super) fn read(trace: &Path) -> Result<Witnessed, Failure> {
    fs::read_to_string(trace)
        .map(|text| count(&text))
        .map_err(|error| format!("cannot read `{}`: {error}", trace.display()))
}

/// Counts processes, not calls: a name is looked for in each directory of the path, and `rustc` may
/// be a proxy that becomes the compiler.
fn count(trace: &str) -> Witnessed {
    let mut compilers = HashSet::new();
    let mut linkers = HashSet::new();
    for line in trace.lines() {
        let Some((process, call)) = line.split_once(' ') else {
            continue;
        };
        let Some(call) = call.trim_start().strip_prefix("execve(\"") else {
            continue;
        };
        // Failed attempts end in `= -1 ENOENT (…)`.
        if call.contains(") = -1 ") {
            continue;
        }
        let Some((program, arguments)) = call.split_once('"') else {
            continue;
        };
        let name = program.rsplit('/').next().unwrap_or(program);
        let asks = ["\"-vV\"", "\"-V\"", "\"--version\"", "\"--print"]
            .iter()
            .any(|question| arguments.contains(question));
        if COMPILERS.contains(&name) && !asks {
            compilers.insert(process);
        }
        if LINKERS.contains(&name) && !asks {
            linkers.insert(process);
        }
    }
    Witnessed {
        compilers: compilers.len() as u64,
        linkers: linkers.len() as u64,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn questions_and_failed_searches_are_not_counted() {
        let trace = "\
10  execve(\"/bin/cargo\", [\"cargo\", \"build\"], 0x1 /* 9 vars */) = 0
11  execve(\"/a/rustc\", [\"rustc\", \"-vV\"], 0x1 /* 9 vars */) = 0
12  execve(\"/a/rustc\", [\"rustc\", \"-\", \"--crate-name\", \"___\", \"--print=file-names\"], 0x1 /* 9 vars */) = 0
13  execve(\"/a/rustc\", [\"rustc\", \"--crate-name\", \"a\"], 0x1 /* 9 vars */) = 0
13  execve(\"/b/rustc\", [\"/b/rustc\", \"--crate-name\", \"a\"], 0x1 /* 9 vars */) = 0
14  execve(\"/x/cc\", [\"cc\", \"-m64\"], 0x1 /* 9 vars */) = -1 ENOENT (No such file or directory)
15  execve(\"/y/cc\", [\"cc\", \"-m64\"], 0x1 /* 9 vars */ <unfinished ...>
15  <... execve resumed>) = 0
16  execve(\"/store/rekindle-rustc\", [\"rekindle-rustc\", \"rustc\"], 0x1 /* 9 vars */) = 0
";
        assert_eq!(
            count(trace),
            Witnessed {
                compilers: 1,
                linkers: 1
            }
        );
    }

    #[test]
    fn a_real_process_is_seen() {
        if !available() {
            eprintln!("skipped: no strace that may trace here");
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let mut command = process::command("sh");
        command.args(["-c", "cp /bin/true rustc && ./rustc --crate-name a"]);
        command.current_dir(dir.path());
        command.env("PATH", "/bin:/usr/bin");
        let trace = dir.path().join("trace");
        process::run(&mut watched(&command, &trace)).unwrap();
        assert_eq!(read(&trace).unwrap().compilers, 1);
    }
}
