//! Azurite: Microsoft's own stand-in for Azure Blob Storage.

use std::process::Command;

use super::{Missing, Running, program};

/// Arguments: endpoint, account, key, name.
const MAKE_CONTAINER: &str = r#"
const [endpoint, account, key, name] = process.argv.slice(1);
const date = new Date().toUTCString();
const headers = `x-ms-date:${date}\nx-ms-version:2021-08-06\n`;
const resource = `/${account}/${account}/${name}\nrestype:container`;
const text = 'PUT' + '\n'.repeat(12) + headers + resource;
const hmac = require('crypto').createHmac('sha256', Buffer.from(key, 'base64'));
const signature = hmac.update(text, 'utf8').digest('base64');
const url = new URL(`${endpoint}/${name}?restype=container`);
require('http').request(url, { method: 'PUT', headers: {
    'x-ms-date': date, 'x-ms-version': '2021-08-06', 'content-length': 0,
    authorization: `SharedKey ${account}:${signature}`,
} }, (answer) => {
    if (answer.statusCode !== 201) { console.error(answer.statusCode, answer.headers); process.exit(1); }
    answer.resume();
}).end();
"#;

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

    /// Makes a container. Only a signed request may, and node, which Azurite runs on, signs.
    pub fn make_container(&self, name: &str) {
        let made = Command::new("node")
            .args(["-e", MAKE_CONTAINER])
            .args([&self.endpoint(), Self::ACCOUNT, Self::KEY, name])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&made.stderr).into_owned();
        assert!(made.status.success(), "{said}");
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
