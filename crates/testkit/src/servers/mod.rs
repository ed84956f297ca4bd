//! Real servers on this machine, each started for one test, gone with it, and bound to 127.0.0.1.
//!
//! `cargo xtask test` installs what is missing, where it can, below `~/.cache/rekindle-test-servers`, or where
//! `REKINDLE_TEST_SERVERS` says. A test whose server is not there skips itself: [`missing`](Missing) says why.

mod azurite;
mod nginx;
mod redis;
mod s3;

use std::fmt;
use std::fs::File;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;

pub use azurite::Azurite;
pub use nginx::Nginx;
pub use redis::Redis;
pub use s3::{ACCESS_KEY, BUCKET, S3, S3Kind, SECRET_KEY};

/// How long a server may take to start; the machine may be busy.
const START: Duration = Duration::from_secs(60);
/// How often another port is tried: between looking for a free one and taking it another process may take it.
const TRIES: usize = 5;

/// That a server is not installed here.
#[derive(Clone, Debug)]
pub struct Missing(String);

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A process that listens on a port of its own, with a directory of its own.
pub struct Running {
    child: Child,
    /// What started it.
    command: Command,
    port: u16,
    dir: TempDir,
}

impl Running {
    /// Starts what `command` makes of a free port and an empty directory, and waits until it takes connections.
    fn start(name: &str, command: impl Fn(u16, &Path) -> Command) -> Self {
        for _ in 0..TRIES {
            let dir = TempDir::with_prefix(format!("rekindle-{name}-")).unwrap();
            let port = free_port();
            let log = dir.path().join("log");
            let out = File::create(&log).unwrap();
            let mut command = command(port, dir.path());
            command
                .stdin(Stdio::null())
                .stdout(out.try_clone().unwrap())
                .stderr(out);
            let mut child = command
                .spawn()
                .unwrap_or_else(|error| panic!("{name} could not be started: {error}"));
            if listens(&mut child, port) {
                return Self {
                    child,
                    command,
                    port,
                    dir,
                };
            }
            let _ = child.kill();
            let _ = child.wait();
            let mut text = String::new();
            let _ = File::open(&log).and_then(|mut log| log.read_to_string(&mut text));
            eprintln!("{name} on port {port} did not start: {text}");
        }
        panic!("{name} did not start in {TRIES} tries");
    }

    /// Starts it again, on the same port and directory.
    pub fn restart(&mut self) {
        self.kill();
        self.child = self.command.spawn().unwrap();
        assert!(
            listens(&mut self.child, self.port),
            "it did not start again"
        );
    }

    /// The port on 127.0.0.1.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The server's own directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Ends it, as a crash does.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

/// Whether the server takes connections; it has no other way to tell.
fn listens(child: &mut Child, port: u16) -> bool {
    let began = Instant::now();
    while began.elapsed() < START {
        if child.try_wait().unwrap().is_some() {
            return false;
        }
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return true;
        }
        thread::sleep(Duration::from_millis(10));
    }
    false
}

/// One request, whose answer must be one of success.
fn request(port: u16, method: &str, target: &str, headers: &[(&str, &str)]) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let mut text = format!(
        "{method} {target} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\ncontent-length: 0\r\nconnection: close\r\n"
    );
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    stream.write_all(format!("{text}\r\n").as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8_lossy(&answer);
    assert!(
        answer.starts_with("HTTP/1.1 20"),
        "{method} {target}: {answer}"
    );
}

/// Where `cargo xtask test` installs servers.
#[must_use]
pub fn installed() -> PathBuf {
    match std::env::var_os("REKINDLE_TEST_SERVERS") {
        Some(dir) => PathBuf::from(dir),
        None => {
            let home = std::env::var_os("HOME").unwrap_or_else(|| "/".into());
            Path::new(&home).join(".cache/rekindle-test-servers")
        }
    }
}

/// A program that is installed there, or in the system.
fn program(inside: &[&str], name: &str) -> Result<PathBuf, Missing> {
    let root = installed();
    let own = inside.iter().map(|inside| root.join(inside));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let system = std::env::split_paths(&path)
        .chain(["/usr/sbin", "/usr/bin"].map(PathBuf::from))
        .map(|dir| dir.join(name));
    let found = own.chain(system).find(|path| path.is_file());
    found.ok_or_else(|| {
        Missing(format!(
            "`{name}` is not installed; `cargo xtask test` tries to"
        ))
    })
}
