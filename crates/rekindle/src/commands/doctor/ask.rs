//! Asking other programs, with an end to the waiting.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};

/// What a program answered.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// Whether it ended with exit code 0.
    pub(crate) ok: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub(crate) enum NoAnswer {
    #[error("it could not be started: {0}")]
    NotStarted(String),
    #[error("it did not answer within {} s", .0.as_secs())]
    TooLate(Duration),
}

/// Runs a program without standard input, for at most this long; then it, and what it started, is killed.
pub(crate) fn ask(command: &mut Command, deadline: Duration) -> Result<Answer, NoAnswer> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    let mut child = command
        .spawn()
        .map_err(|error| NoAnswer::NotStarted(error.to_string()))?;
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (tell, told) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = tell.send(wait(child, stdout, stderr));
    });
    match told.recv_timeout(deadline) {
        Ok(answer) => answer,
        Err(_) => {
            if let Some(pid) = pid {
                let _ = kill_process_group(pid, Signal::KILL);
            }
            Err(NoAnswer::TooLate(deadline))
        }
    }
}

fn wait(
    mut child: Child,
    stdout: Option<impl Read>,
    stderr: Option<impl Read + Send + 'static>,
) -> Result<Answer, NoAnswer> {
    let errors = std::thread::spawn(move || all(stderr));
    let stdout = all(stdout);
    let stderr = errors.join().unwrap_or_default();
    let status = child
        .wait()
        .map_err(|error| NoAnswer::NotStarted(error.to_string()))?;
    Ok(Answer {
        ok: status.success(),
        stdout,
        stderr,
    })
}

fn all(stream: Option<impl Read>) -> String {
    let mut bytes = Vec::new();
    if let Some(mut stream) = stream {
        // What came before a broken pipe is what there is.
        let _ = stream.read_to_end(&mut bytes);
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_has_both_streams_and_the_outcome() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo out; echo err >&2; exit 3"]);
        let answer = ask(&mut command, Duration::from_secs(60)).unwrap();
        assert_eq!(
            (answer.ok, &*answer.stdout, &*answer.stderr),
            (false, "out\n", "err\n")
        );
    }

    #[test]
    fn a_program_that_hangs_is_ended_with_its_children() {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & sleep 600"]);
        let error = ask(&mut command, Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, NoAnswer::TooLate(_)));
    }

    #[test]
    fn a_program_that_is_not_there_is_no_answer() {
        let error = ask(&mut Command::new("/no/such"), Duration::from_secs(1)).unwrap_err();
        assert!(matches!(error, NoAnswer::NotStarted(_)));
    }
}
