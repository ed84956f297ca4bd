//! How far a command is: a bar on a terminal, lines in CI, nothing elsewhere. A remote that answers when it is told to makes
//! the work as long as the test needs it.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};

use crate::project::{Project, skip};

const HELLO: &str = "fn main() {}";

/// What a bar is drawn with: the terminal cuts the line.
const FRAME: &str = "\x1b[?7l";
/// What clears it.
const CLEAR: &str = "\r\x1b[K";

/// A remote that has nothing, and says so once it is told to.
struct Remote {
    address: String,
    may_answer: Arc<(Mutex<bool>, Condvar)>,
}

impl Remote {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("webdav://{}/saves", listener.local_addr().unwrap());
        let may_answer = Arc::new((Mutex::new(false), Condvar::new()));
        let told = Arc::clone(&may_answer);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let told = Arc::clone(&told);
                std::thread::spawn(move || answer(stream.unwrap(), &told));
            }
        });
        Self {
            address,
            may_answer,
        }
    }

    fn answer(&self) {
        *self.may_answer.0.lock().unwrap() = true;
        self.may_answer.1.notify_all();
    }

    /// `rekindle` with this remote.
    fn command(&self, project: &Project, arguments: &[&str]) -> Command {
        self.about(project.command(env!("CARGO_BIN_EXE_rekindle"), arguments))
    }

    /// The same on a terminal of its own.
    fn on_terminal(&self, project: &Project, arguments: &str) -> Option<Child> {
        let program = env!("CARGO_BIN_EXE_rekindle");
        let line = format!("'{program}' {arguments}");
        let mut command = self.about(project.command("script", &["-qec", &line, "/dev/null"]));
        command.env("TERM", "xterm").stdin(Stdio::piped());
        command.stdout(Stdio::piped()).spawn().ok()
    }

    fn about(&self, mut command: Command) -> Command {
        command
            .env("REKINDLE_REMOTE", &self.address)
            .env("REKINDLE_REMOTE_DEADLINE", "60s")
            .env("REKINDLE_SNAPSHOT", "1")
            .env("CARGO_TERM_COLOR", "never");
        command
    }
}

fn answer(mut stream: TcpStream, told: &(Mutex<bool>, Condvar)) {
    let (mut request, mut some) = (Vec::new(), [0; 4096]);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut some) {
            Ok(0) | Err(_) => return,
            Ok(count) => request.extend_from_slice(&some[..count]),
        }
    }
    let mut may_answer = told.0.lock().unwrap();
    while !*may_answer {
        may_answer = told.1.wait(may_answer).unwrap();
    }
    let _ = stream
        .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

/// Reads until a text comes; all that has come.
fn read_until(from: &mut impl Read, wanted: &str) -> String {
    let (mut all, mut some) = (Vec::new(), [0; 4096]);
    loop {
        let text = String::from_utf8_lossy(&all).into_owned();
        if text.contains(wanted) {
            return text;
        }
        let count = from.read(&mut some).unwrap_or(0);
        assert!(count > 0, "`{wanted}` did not come: {text:?}");
        all.extend_from_slice(&some[..count]);
    }
}

fn read_all(from: &mut impl Read) -> String {
    let mut all = Vec::new();
    let _ = from.read_to_end(&mut all);
    String::from_utf8_lossy(&all).into_owned()
}

/// What a person sees at the end: what a carriage return and "clear to the end of the line" leave.
fn screen(text: &str) -> Vec<String> {
    let (mut lines, mut at) = (vec![Vec::new()], 0);
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let line = lines.last_mut().unwrap();
        match char {
            '\n' => {
                lines.push(Vec::new());
                at = 0;
            }
            '\r' => at = 0,
            '\x1b' => {
                let code: String = chars.by_ref().take_while(|c| !c.is_alphabetic()).collect();
                if code == "[" {
                    line.truncate(at);
                }
            }
            char => {
                line.resize(line.len().max(at + 1), ' ');
                line[at] = char;
                at += 1;
            }
        }
    }
    let lines = lines.into_iter().map(|line| line.into_iter().collect());
    lines.filter(|line: &String| !line.is_empty()).collect()
}

#[test]
fn a_terminal_has_a_bar_that_leaves_nothing() {
    let (project, remote) = (Project::new(HELLO), Remote::start());
    let Some(mut child) = remote.on_terminal(&project, "cache pull") else {
        return skip(
            "a_terminal_has_a_bar_that_leaves_nothing",
            "there is no `script`",
        );
    };
    let mut terminal = child.stdout.take().unwrap();
    let mut text = read_until(&mut terminal, "Pulling");
    remote.answer();
    text.push_str(&read_all(&mut terminal));
    assert!(child.wait().unwrap().success(), "{text:?}");
    assert!(text.contains(FRAME), "{text:?}");
    assert_eq!(screen(&text), ["the remote has no save for this"]);
}

#[test]
fn a_command_with_a_bar_is_interrupted_from_the_keyboard() {
    let (project, remote) = (Project::new(HELLO), Remote::start());
    let Some(mut child) = remote.on_terminal(&project, "cache pull") else {
        return skip(
            "a_command_with_a_bar_is_interrupted_from_the_keyboard",
            "there is no `script`",
        );
    };
    let mut terminal = child.stdout.take().unwrap();
    read_until(&mut terminal, "Pulling");
    child.stdin.as_mut().unwrap().write_all(b"\x03").unwrap();
    // The remote still does not answer: only the interruption ends it.
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(130), "{:?}", read_all(&mut terminal));
}

#[test]
fn no_bar_is_drawn_while_cargo_prints() {
    let (project, remote) = (Project::new(HELLO), Remote::start());
    let Some(mut child) = remote.on_terminal(&project, "build") else {
        return skip("no_bar_is_drawn_while_cargo_prints", "there is no `script`");
    };
    let mut terminal = child.stdout.take().unwrap();
    let mut text = read_until(&mut terminal, "Pulling");
    remote.answer();
    text.push_str(&read_all(&mut terminal));
    assert!(child.wait().unwrap().success(), "{text:?}");
    let (before, rest) = text.split_once("Compiling tiny").unwrap();
    let (during, _) = rest.split_once("Finished").unwrap();
    assert!(before.trim_end_matches(' ').contains(CLEAR), "{text:?}");
    assert!(!during.contains(FRAME), "{text:?}");
    let screen = screen(&text);
    let cargos = screen.iter().filter(|line| line.contains("tiny v0.1.0"));
    assert_eq!(cargos.count(), 1, "{screen:?}");
    assert!(
        !screen.iter().any(|line| line.contains("Pulling")),
        "{screen:?}"
    );
}

#[test]
fn ci_has_plain_lines() {
    let (project, remote) = (Project::new(HELLO), Remote::start());
    let mut command = remote.command(&project, &["cache", "pull"]);
    command.env("CI", "true").stdout(Stdio::piped());
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = child.stderr.take().unwrap();
    let mut text = read_until(&mut stderr, "rekindle: pulling: ");
    remote.answer();
    text.push_str(&read_all(&mut stderr));
    assert!(child.wait().unwrap().success(), "{text:?}");
    assert!(!text.contains(['\r', '\x1b']), "{text:?}");
    assert!(text.ends_with(" s\n"), "{text:?}");
}

/// The remote answers nothing, so that the command ends when its deadline is over: after the time of several lines.
#[test]
fn nothing_is_shown_where_it_is_unwanted() {
    let (project, remote) = (Project::new(HELLO), Remote::start());
    let start = |arguments: &[&str], (name, value): (&str, &str)| {
        let mut command = remote.command(&project, arguments);
        command
            .env("CI", "true")
            .env(name, value)
            .env("REKINDLE_REMOTE_DEADLINE", "4s")
            .env("REKINDLE_REMOTE_PATIENCE", "4s");
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    };
    let is_shown = |child: Child| {
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(text.contains("the remote"), "it was waited for: {text}");
        text.contains("pulling: ")
    };
    let pull = ["cache", "pull"];
    let children = [
        start(&pull, ("REKINDLE_QUIET", "0")),
        start(&pull, ("REKINDLE_QUIET", "1")),
        start(&pull, ("CARGO_TERM_PROGRESS_WHEN", "never")),
        start(
            &["cache", "pull", "--format", "json"],
            ("REKINDLE_QUIET", "0"),
        ),
    ];
    assert_eq!(children.map(is_shown), [true, false, false, false]);
}
