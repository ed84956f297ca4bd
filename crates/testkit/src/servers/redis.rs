//! Redis.

use std::process::Command;

use super::{Missing, Running, program};

/// A Redis server with a password.
pub struct Redis {
    /// The process.
    pub running: Running,
}

impl Redis {
    /// The password.
    pub const PASSWORD: &str = "a-password-that-no-message-may-hold";

    /// Starts it.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn start() -> Result<Self, Missing> {
        let program = program(&[], "redis-server")?;
        let running = Running::start("redis", |port, dir| {
            let mut command = Command::new(&program);
            command
                .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
                .args(["--save", "", "--appendonly", "no"])
                .args(["--requirepass", Self::PASSWORD, "--dir"])
                .arg(dir);
            command
        });
        Ok(Self { running })
    }

    /// The address, with the password.
    #[must_use]
    pub fn address(&self) -> String {
        let port = self.running.port();
        format!(
            "redis://:{}@127.0.0.1:{port}/0?prefix=rekindle",
            Self::PASSWORD
        )
    }
}
