//! BuildGrid, another Remote Execution server: in Python, with gRPC's own implementation below.

use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use rekindle_remote::reapi::{ReapiCache, Settings};

use crate::conformance;
use crate::support::{run, skipped};
use crate::tools::{BUILDGRID, kept};

struct BuildGrid(Child);

impl Drop for BuildGrid {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Caches in memory, in an instance of this name.
fn configuration(authority: &str) -> String {
    format!(
        "server:
  - !channel
    address: {authority}
    insecure-mode: true
authorization:
  method: none
instances:
  - name: main
    storages:
      - !lru-storage &storage
        size: 1G
    caches:
      - !lru-action-cache &cache
        storage: *storage
        max-cached-refs: 1000
        allow-updates: true
    services:
      - !action-cache
        cache: *cache
      - !cas
        storage: *storage
      - !bytestream
        storage: *storage
"
    )
}

#[test]
fn buildgrid_keeps_blobs() {
    const NAME: &str = "reapi_buildgrid::buildgrid_keeps_blobs";
    let packages = match kept(BUILDGRID, "python3") {
        Ok(packages) => packages,
        Err(why) => return skipped(NAME, &why),
    };
    let dir = tempfile::tempdir().unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let authority = port.local_addr().unwrap().to_string();
    drop(port);
    let file = dir.path().join("buildgrid.yml");
    std::fs::write(&file, configuration(&authority)).unwrap();
    let child = Command::new("python3")
        .args([
            "-u",
            "-c",
            "from buildgrid.server.app.cli import cli; cli()",
            "server",
            "start",
        ])
        .arg(&file)
        .env("PYTHONPATH", &packages)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut server = BuildGrid(child);
    // It says that it starts before it listens, and nothing after.
    while std::net::TcpStream::connect(&authority).is_err() {
        let ended = server.0.try_wait().unwrap();
        assert!(ended.is_none(), "BuildGrid ended before it listened");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let cache = ReapiCache::new(
        Settings {
            authority,
            instance: "main".into(),
            ..Settings::default()
        },
        Arc::default(),
    );
    run(conformance::all(&cache.unwrap()));
}
