//! The linker shim: what rustc starts in place of the linker's driver, so that the choice of linker,
//! the list of files that it reads and the time that it takes need no flag of the user's.
//!
//! The wrapper makes a directory for one compile with `cc`, a link to this program (rustc tells the
//! driver's flavour from that name), and `link.json`, a [`Plan`]. Each link adds a [`LinkRun`] as a
//! line to `runs.jsonl` there. Nothing goes through the environment, where macros could see it.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Instant;

use serde::{Deserialize, Serialize};

/// The driver's name in the directory.
pub(crate) const DRIVER: &str = "cc";
const PLAN: &str = "link.json";
const RUNS: &str = "runs.jsonl";

/// What the shim is to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// The driver that rustc would have started: raw bytes of its path or name.
    pub(crate) driver: Vec<u8>,
    /// Arguments that choose the linker; tried without when the link fails.
    pub(crate) choice: Vec<Vec<u8>>,
    /// Whether what is made keeps its symbols, also where the profile strips them.
    pub(crate) keeps_symbols: bool,
}

/// How rustc has the linker leave out all symbols, and how it has it leave out debug information alone.
const STRIP_ALL: &str = "-Wl,--strip-all";
const STRIP_DEBUG: &str = "-Wl,--strip-debug";

/// One link.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LinkRun {
    /// Time that it took, in microseconds.
    pub(crate) link_us: u64,
    /// Linkers that were started.
    pub(crate) started: u32,
    /// Whether it worked.
    pub(crate) ok: bool,
    /// Whether our choice failed and the driver's own linker was taken.
    pub(crate) fell_back: bool,
    /// Of the arguments, those that choose linker and programs.
    pub(crate) choosing: Vec<Vec<u8>>,
}

/// Makes the directory for one compile.
pub(crate) fn prepare(directory: &Path, program: &Path, plan: &Plan) -> std::io::Result<()> {
    rekindle_fsx::create_dir_all(directory)?;
    rekindle_fsx::symlink(program, &directory.join(DRIVER))?;
    let json = serde_json::to_vec(plan)?;
    rekindle_fsx::atomic::write(&directory.join(PLAN), &json)
}

/// The links that were done through a directory, in order.
pub(crate) fn runs(directory: &Path) -> Vec<LinkRun> {
    let bytes = rekindle_fsx::read(&directory.join(RUNS)).unwrap_or_default();
    bytes
        .split(|byte| *byte == b'\n')
        .filter_map(|line| serde_json::from_slice(line).ok())
        .collect()
}

/// Where the linker lists what it read.
pub(crate) fn dependency_file(directory: &Path) -> PathBuf {
    directory.join("link.d")
}

/// The directory of the shim that this process is, if it is one: started by a path that ends in the
/// driver's name, beside a plan.
#[must_use]
pub fn directory_of(argument_zero: &OsStr) -> Option<PathBuf> {
    let path = Path::new(argument_zero);
    let directory = path.parent()?;
    let named = path.file_name() == Some(OsStr::new(DRIVER));
    (named && rekindle_fsx::exists(&directory.join(PLAN))).then(|| directory.to_owned())
}

/// Links. The exit code is the driver's.
pub fn run(directory: &Path, arguments: &[OsString], stderr: &mut dyn Write) -> i32 {
    let plan: Option<Plan> = rekindle_fsx::read(&directory.join(PLAN))
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok());
    let Some(plan) = plan else {
        let _ = writeln!(
            stderr,
            "rekindle: the plan of this link is gone; build again"
        );
        return 1;
    };
    let start = Instant::now();
    let mut record = LinkRun {
        link_us: 0,
        started: 1,
        ok: false,
        fell_back: false,
        choosing: choosing(arguments),
    };
    let mut status = link(
        directory,
        &plan,
        true,
        arguments,
        plan.choice.is_empty(),
        stderr,
    );
    if !plan.choice.is_empty() && !status.is_ok_and(|status| status.success()) {
        record.started += 1;
        record.fell_back = true;
        status = link(directory, &plan, false, arguments, true, stderr);
    }
    record.ok = status.is_ok_and(|status| status.success());
    record.link_us = u64::try_from(start.elapsed().as_micros()).unwrap_or(u64::MAX);
    if let Ok(mut line) = serde_json::to_vec(&record) {
        line.push(b'\n');
        let _ = rekindle_fsx::append(&directory.join(RUNS), &line);
    }
    status.map_or(1, crate::execute::exit_code)
}

/// Starts the driver once. What it prints is the user's, unless another try follows.
fn link(
    directory: &Path,
    plan: &Plan,
    chosen: bool,
    arguments: &[OsString],
    last_try: bool,
    stderr: &mut dyn Write,
) -> Result<ExitStatus, ()> {
    let mut list = OsString::from("-Wl,--dependency-file=");
    list.push(dependency_file(directory));
    let driver = OsStr::from_bytes(&plan.driver);
    let mut command = Command::new(driver);
    command.args(arguments.iter().map(|word| {
        let is_kept = plan.keeps_symbols && word == STRIP_ALL;
        if is_kept {
            OsStr::new(STRIP_DEBUG)
        } else {
            word
        }
    }));
    command.arg(list);
    if chosen {
        command.args(plan.choice.iter().map(|word| OsStr::from_bytes(word)));
    }
    if last_try {
        return command.status().map_err(|error| {
            let _ = writeln!(
                stderr,
                "rekindle: cannot start the linker driver `{}`: {error}",
                driver.display()
            );
        });
    }
    let output = command.output().map_err(|_| ())?;
    if output.status.success() {
        let _ = stderr.write_all(&output.stderr);
    }
    Ok(output.status)
}

fn choosing(arguments: &[OsString]) -> Vec<Vec<u8>> {
    arguments
        .iter()
        .filter(|argument| {
            let bytes = argument.as_bytes();
            bytes.starts_with(b"-fuse-ld")
                || bytes.starts_with(b"--ld-path")
                || bytes.starts_with(b"-B")
        })
        .map(|argument| argument.clone().into_vec())
        .collect()
}
