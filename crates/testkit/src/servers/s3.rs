//! Servers that speak S3: behaviour differs, so that both are worth a test.

use std::process::Command;

use super::{Missing, Running, program, request};

/// The bucket that is there at the start.
pub const BUCKET: &str = "rekindle";
/// Whom the servers know.
pub const ACCESS_KEY: &str = "AKIDREKINDLETESTS";
/// With which secret.
pub const SECRET_KEY: &str = "a-secret-that-no-message-may-hold";

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum S3Kind {
    /// s3s-fs: checks signatures; its conditional creates are not atomic.
    S3sFs,
    /// moto: its conditional creates are atomic; takes any secret.
    Moto,
}

/// One of them, with a bucket.
pub struct S3 {
    /// The process.
    pub running: Running,
}

impl S3 {
    /// Starts it.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn start(kind: S3Kind) -> Result<Self, Missing> {
        match kind {
            S3Kind::S3sFs => s3s_fs(),
            S3Kind::Moto => moto(),
        }
    }

    /// `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.running.port())
    }

    /// The address of the bucket, or of a prefix in it.
    #[must_use]
    pub fn address(&self, prefix: &str) -> String {
        let endpoint = self.endpoint();
        format!("s3://{BUCKET}/{prefix}?region=us-east-1&endpoint={endpoint}")
    }
}

fn s3s_fs() -> Result<S3, Missing> {
    let program = program(&["s3s-fs-0.14.1/bin/s3s-fs"], "s3s-fs")?;
    let running = Running::start("s3s-fs", |port, dir| {
        let root = dir.join("root");
        std::fs::create_dir_all(root.join(BUCKET)).unwrap();
        let mut command = Command::new(&program);
        command
            .args(["--host", "127.0.0.1", "--port", &port.to_string()])
            .args(["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY])
            .arg(root);
        command
    });
    Ok(S3 { running })
}

fn moto() -> Result<S3, Missing> {
    let program = program(&["moto-5.2.1/bin/moto_server"], "moto_server")?;
    let running = Running::start("moto", |port, _| {
        let mut command = Command::new(&program);
        command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
        command
    });
    request(running.port(), "PUT", &format!("/{BUCKET}"), &[]);
    Ok(S3 { running })
}
