//! Starting programs in the workspace's root, with a stdin that is always empty.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use crate::Failure;

/// The workspace's root.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// The workspace's target directory, wherever the environment or the configuration put it.
pub(crate) fn target_dir() -> Result<PathBuf, Failure> {
    #[derive(serde::Deserialize)]
    struct Metadata {
        target_directory: PathBuf,
    }
    let metadata: Metadata = serde_json::from_str(&metadata()?)
        .map_err(|error| format!("cannot read what `cargo metadata` printed: {error}"))?;
    Ok(metadata.target_directory)
}

/// What `cargo metadata` says of the workspace, as JSON; asks no registry.
pub(crate) fn metadata() -> Result<String, Failure> {
    capture(cargo().args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version",
        "1",
    ]))
}

/// The cargo that started this chore, else the one on the path.
pub(crate) fn cargo() -> Command {
    command(&std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned()))
}

/// A setting, as every cargo takes it.
pub(crate) fn of_config(setting: Option<&str>) -> impl Iterator<Item = &str> {
    setting
        .into_iter()
        .flat_map(|setting| ["--config", setting])
}

/// A program, in the workspace's root.
pub(crate) fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).stdin(Stdio::null());
    command
}

/// Whether a program starts at all and succeeds, silently.
pub(crate) fn works(program: &str, arguments: &[&str]) -> bool {
    command(program)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// Runs to the end; its output is ours.
pub(crate) fn run(command: &mut Command) -> Result<(), Failure> {
    let status = command
        .status()
        .map_err(|error| unstartable(command, &error))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{} ended with {status}", shown(command)))
    }
}

/// Runs to the end and returns what it wrote on stdout; its stderr is quoted when it fails.
pub(crate) fn capture(command: &mut Command) -> Result<String, Failure> {
    let output = command
        .output()
        .map_err(|error| unstartable(command, &error))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(format!(
            "{} ended with {}: {}",
            shown(command),
            output.status,
            said.trim()
        ));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| format!("{} printed bytes that are not UTF-8", shown(command)))
}

/// Runs to the end, passing both outputs on line by line, and hands every line to `watch`; says
/// whether it succeeded.
pub(crate) fn watch(command: &mut Command, mut watch: impl FnMut(&str)) -> Result<bool, Failure> {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command
        .spawn()
        .map_err(|error| unstartable(command, &error))?;
    let (sender, lines) = std::sync::mpsc::channel();
    let readers = [
        child
            .stdout
            .take()
            .map(|pipe| tee(pipe, std::io::stdout(), sender.clone())),
        child
            .stderr
            .take()
            .map(|pipe| tee(pipe, std::io::stderr(), sender)),
    ];
    for line in lines {
        watch(&line);
    }
    for reader in readers.into_iter().flatten() {
        // A reader only ends early when our own stdout is gone; the child's verdict still counts.
        let _ = reader.join();
    }
    let status = child.wait().map_err(|error| unstartable(command, &error))?;
    Ok(status.success())
}

/// Copies a pipe to an output and a channel, line by line.
fn tee(
    pipe: impl Read + Send + 'static,
    mut output: impl Write + Send + 'static,
    lines: std::sync::mpsc::Sender<String>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        let mut reader = BufReader::new(pipe);
        let mut line = Vec::new();
        while reader
            .read_until(b'\n', &mut line)
            .is_ok_and(|read| read > 0)
        {
            // Somebody closed our output: keep draining, so that the child is not blocked.
            let _ = output.write_all(&line).and_then(|()| output.flush());
            let _ = lines.send(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    })
}

/// A command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let program = Path::new(command.get_program());
    let name = program.file_name().unwrap_or(program.as_os_str());
    let mut text = format!("`{}", name.to_string_lossy());
    for argument in command.get_args() {
        text.push(' ');
        text.push_str(&argument.to_string_lossy());
    }
    text.push('`');
    text
}

fn unstartable(command: &Command, error: &std::io::Error) -> Failure {
    format!(
        "{} could not be started: {error}; is it installed?",
        shown(command)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_outputs_are_watched_and_the_verdict_returned() {
        let mut seen = Vec::new();
        let mut child = command("sh");
        child.args(["-c", "echo one; echo two >&2; exit 3"]);
        let good = watch(&mut child, |line| seen.push(line.to_owned()));
        seen.sort();
        assert_eq!(good, Ok(false));
        assert_eq!(seen, ["one", "two"]);
    }

    #[test]
    fn a_missing_program_is_named() {
        let failure = run(&mut command("no-such-program-here")).unwrap_err();
        assert!(failure.contains("no-such-program-here"), "{failure}");
    }
}
