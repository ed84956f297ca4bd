//! Azurite: Microsoft's own stand-in for Azure Blob Storage.

use std::process::Command;

use super::{Missing, Running, program};

/// An Azurite, without a container.
pub struct Azurite {
    /// The process.
    pub running: Running,
}

impl Azurite {
    /// Its account.
    pub const ACCOUNT: &str = "devstoreaccount1";
    /// The key of it, which is the same everywhere and in every documentation.
    pub const KEY: &str =
        "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

    /// Starts it.
    ///
    /// # Errors
    /// [`Missing`].
    pub fn start() -> Result<Self, Missing> {
        let program = program(
            &["azurite-3.35.0/node_modules/.bin/azurite-blob"],
            "azurite-blob",
        )?;
        let running = Running::start("azurite", |port, dir| {
            let mut command = Command::new(&program);
            command
                .args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()])
                .args(["--skipApiVersionCheck", "--silent", "-l"])
                .arg(dir);
            command
        });
        Ok(Self { running })
    }

    /// `http://127.0.0.1:PORT/devstoreaccount1`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}/{}", self.running.port(), Self::ACCOUNT)
    }

    /// A connection string with the account's key.
    #[must_use]
    pub fn connection(&self) -> String {
        format!(
            "DefaultEndpointsProtocol=http;AccountName={};AccountKey={};BlobEndpoint={};",
            Self::ACCOUNT,
            Self::KEY,
            self.endpoint()
        )
    }
}
