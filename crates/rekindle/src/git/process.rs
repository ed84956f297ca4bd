//! One question to `git`.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use super::NoGit;
use crate::Surroundings;

/// An answer takes milliseconds, a cold disk a few hundred.
pub(super) const DEADLINE: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(1);

/// An answer is no longer than this: messages of 500 commits are far less.
const ANSWER_MAX_BYTES: u64 = 16 << 20;

/// Where the repository is, is for git to find from the directory: in a hook, these lead elsewhere.
const PLACES: &[&str] = &[
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_COMMON_DIR",
    "GIT_PREFIX",
    "GIT_NAMESPACE",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_SHALLOW_FILE",
    "GIT_GRAFT_FILE",
];

/// No lock is taken, nothing is fetched, nobody is asked, messages are in the language that we show.
const ENVIRONMENT: &[(&str, &str)] = &[
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_LAZY_FETCH", "1"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_TERMINAL_PROMPT", "0"),
    ("LC_ALL", "C"),
];

/// Programs that a repository's configuration could name.
const CONFIGURATION: &[&str] = &[
    "core.fsmonitor=false",
    "core.hooksPath=/dev/null",
    "log.showSignature=false",
    "submodule.recurse=false",
    "protocol.allow=never",
];

/// A running `git`.
pub(super) struct Query {
    child: Child,
    answer: Receiver<(Vec<u8>, Vec<u8>)>,
    deadline: Instant,
}

impl Query {
    pub(super) fn start(
        surroundings: &Surroundings,
        dir: &Path,
        arguments: &[&str],
    ) -> Result<Self, NoGit> {
        let mut command = Command::new("git");
        command.env_clear().envs(&surroundings.vars);
        for name in PLACES {
            command.env_remove(name);
        }
        command.envs(ENVIRONMENT.iter().copied()).arg("--no-pager");
        for setting in CONFIGURATION {
            command.args(["-c", setting]);
        }
        let mut child = command
            .args(arguments)
            .current_dir(dir)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(NoGit::NotRun)?;
        let (sender, answer) = mpsc::channel();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        std::thread::spawn(move || {
            // What it says when it fails is a few lines, which the pipe holds.
            let words = (all(stdout), all(stderr));
            // Nobody waits any more when it took too long.
            let _ = sender.send(words);
        });
        Ok(Self {
            child,
            answer,
            deadline: Instant::now() + DEADLINE,
        })
    }

    #[cfg(test)]
    pub(super) fn set_deadline(&mut self, deadline: Instant) {
        self.deadline = deadline;
    }

    /// Waits for its standard output.
    pub(super) fn answer(mut self) -> Result<Vec<u8>, NoGit> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        let (stdout, stderr) = self.answer.recv_timeout(left).map_err(|_| NoGit::TooSlow)?;
        let success = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status.success(),
                Ok(None) if Instant::now() < self.deadline => std::thread::sleep(POLL),
                _ => return Err(NoGit::TooSlow),
            }
        };
        if success {
            return Ok(stdout);
        }
        let said = String::from_utf8_lossy(&stderr);
        let first = said.lines().next().unwrap_or("nothing").trim();
        Err(NoGit::Refused(
            first.strip_prefix("fatal: ").unwrap_or(first).to_owned(),
        ))
    }
}

impl Drop for Query {
    fn drop(&mut self) {
        // Does nothing to one that has ended and was waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn all(pipe: Option<impl Read>) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Some(pipe) = pipe {
        let _ = pipe.take(ANSWER_MAX_BYTES).read_to_end(&mut bytes);
    }
    bytes
}

/// The lines of an answer, without their ends.
pub(super) fn lines(answer: &[u8]) -> Vec<&[u8]> {
    let answer = answer.strip_suffix(b"\n").unwrap_or(answer);
    answer.split(|byte| *byte == b'\n').collect()
}
