//! The S3 server at the far end, and how its bucket is reached.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::Duration;

use super::link::{FAR, Link, inside};
use crate::Failure;
use crate::bench::projects::{make_dir, remove};
use crate::process;
use crate::servers;

const PORT: u16 = 8014;
/// The server's own port where a relay stands before it.
const BEHIND_PORT: u16 = 8015;
pub(in crate::bench) const BUCKET: &str = "rekindle";
const ACCESS_KEY: &str = "AKIDREKINDLEBENCH";
const SECRET_KEY: &str = "nobody-else-is-in-this-namespace";
/// A tenth of a second each.
const START_ATTEMPTS: usize = 100;

/// The server, with an empty bucket at the start; it ends with this.
pub(super) struct Server {
    running: Vec<Child>,
    dir: PathBuf,
}

impl Server {
    /// The server's program, where `cargo xtask servers` put it.
    pub(super) fn program() -> Result<PathBuf, Failure> {
        let program = servers::directory().join("s3s-fs-0.14.1/bin/s3s-fs");
        if program.exists() {
            Ok(program)
        } else {
            Err("s3s-fs is not there: `cargo xtask servers` installs it".to_owned())
        }
    }

    pub(super) fn start(link: &Link, dir: &Path) -> Result<Self, Failure> {
        remove(dir)?;
        make_dir(&dir.join(BUCKET))?;
        let mut server = Self {
            running: Vec::new(),
            dir: dir.to_owned(),
        };
        let (host, port) = if link.delayed {
            (FAR, PORT)
        } else {
            ("127.0.0.1", BEHIND_PORT)
        };
        let mut s3 = inside(&link.far, &Self::program()?.to_string_lossy());
        s3.args(["--host", host, "--port", &port.to_string()])
            .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
            .arg(dir);
        server.spawn(&mut s3)?;
        if !link.delayed {
            let behind = format!("127.0.0.1:{BEHIND_PORT}");
            let one_way_ms = link.distance.round_trip_ms() / 2;
            server.relay(&link.far, (&format!("{FAR}:{PORT}"), &behind), one_way_ms)?;
        }
        let (loopback, far) = (format!("127.0.0.1:{PORT}"), format!("{FAR}:{PORT}"));
        server.relay(&link.near, (&loopback, &far), 0)?;
        for _ in 0..START_ATTEMPTS {
            let mut ask = inside(&link.near, "curl");
            ask.args(["--silent", "--output", "/dev/null", &endpoint()]);
            if ask.status().is_ok_and(|status| status.success()) {
                return Ok(server);
            }
            thread::sleep(Duration::from_millis(100));
        }
        Err(format!("s3s-fs does not answer at {}", endpoint()))
    }

    fn relay(
        &mut self,
        namespace: &str,
        (listen, target): (&str, &str),
        delay_ms: u64,
    ) -> Result<(), Failure> {
        let own = std::env::current_exe()
            .map_err(|error| format!("cannot find this program: {error}"))?;
        let mut relay = inside(namespace, &own.to_string_lossy());
        relay.args(["bench", "relay", listen, target, &delay_ms.to_string()]);
        self.spawn(&mut relay)
    }

    fn spawn(&mut self, command: &mut Command) -> Result<(), Failure> {
        // It logs each request that it refuses; nobody would read that.
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let shown = process::shown(command);
        self.running
            .push(child.map_err(|error| format!("{shown} could not be started: {error}"))?);
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        for child in &mut self.running {
            let _ = child.kill();
            let _ = child.wait();
        }
        // Best effort: the next one starts with an empty bucket anyway.
        let _ = remove(&self.dir);
    }
}

pub(in crate::bench) fn endpoint() -> String {
    format!("http://{FAR}:{PORT}")
}

/// The same, for who takes no HTTP but from its own machine.
pub(in crate::bench) fn loopback_endpoint() -> String {
    format!("http://127.0.0.1:{PORT}")
}

/// What every client of S3 reads.
pub(super) fn credentials() -> Vec<(String, String)> {
    [
        ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
        ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
        ("AWS_REGION", "us-east-1"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

/// Brings a file from the bucket or to it, by curl; fails where there is none.
pub(super) fn curl(link: &Link, key: &str, file: &Path, up: bool) -> Command {
    let mut curl = inside(&link.near, "curl");
    curl.args(["--silent", "--show-error", "--fail"])
        .args(["--aws-sigv4", "aws:amz:us-east-1:s3", "--user"])
        .arg(format!("{ACCESS_KEY}:{SECRET_KEY}"))
        .args(["--header", "x-amz-content-sha256: UNSIGNED-PAYLOAD"])
        .arg(if up { "--upload-file" } else { "--output" })
        .arg(file)
        .arg(format!("{}/{BUCKET}/{key}", endpoint()));
    curl
}
