//! The stand-in for GitHub's service, judged by GitHub's own client: what that saves, it restores, by the rules that GitHub
//! documents. And our client against Azurite, a second opinion about Azure's protocol.

use std::path::Path;
use std::process::Command;

use rekindle_testkit::github_cache::{CacheService, Rights};
use rekindle_testkit::servers::Azurite;

use crate::conformance;
use crate::github::cache;
use crate::support::{noise, run, skipped};
use crate::tools::{OFFICIAL_CLIENT, kept, ran};

const MAIN: &str = "refs/heads/main";

/// Does with `@actions/cache` what its arguments say, and prints what came of it.
const SCRIPT: &str = r"
import { pathToFileURL } from 'node:url';
const [client, verb, key, ...rest] = process.argv.slice(2);
const cache = await import(pathToFileURL(client));
if (verb === 'save') {
    console.log('=> ' + await cache.saveCache(['data'], key));
} else {
    console.log('=> ' + await cache.restoreCache(['data'], key, rest));
}
";

/// Makes a container, and prints its address with a signature that may read and write blobs.
const CONTAINER: &str = r"
import { createRequire } from 'node:module';
const [client, connection] = process.argv.slice(2);
const { BlobServiceClient, ContainerSASPermissions } = createRequire(client)('@azure/storage-blob');
const container = BlobServiceClient.fromConnectionString(connection).getContainerClient('caches');
await container.create();
const permissions = ContainerSASPermissions.parse('rcw');
console.log('=> ' + await container.generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 3600e3) }));
";

struct Client<'a> {
    module: &'a Path,
    dir: &'a Path,
    url: String,
}

impl Client<'_> {
    /// Runs the official client as one step of a job; the last line is what it gives.
    fn step(&self, token: &str, words: &[&str]) -> String {
        let script = self.dir.join("step.mjs");
        std::fs::write(&script, SCRIPT).unwrap();
        let said = ran(Command::new("node")
            .arg(script)
            .arg(self.module)
            .args(words)
            .current_dir(self.dir)
            .env("ACTIONS_CACHE_SERVICE_V2", "1")
            .env("ACTIONS_RESULTS_URL", &self.url)
            .env("ACTIONS_RUNTIME_TOKEN", token)
            .env("GITHUB_SERVER_URL", "https://github.com")
            .env("GITHUB_WORKSPACE", self.dir)
            .env("RUNNER_TEMP", self.dir))
        .unwrap();
        let last = said.lines().rev().find_map(|line| line.strip_prefix("=> "));
        last.unwrap_or_else(|| panic!("{said}")).to_owned()
    }
}

#[test]
fn the_official_client_saves_and_restores_through_the_stand_in() {
    const NAME: &str = "github_client::the_official_client_saves_and_restores_through_the_stand_in";
    let module = match kept(OFFICIAL_CLIENT, "node") {
        Ok(module) => module,
        Err(why) => return skipped(NAME, &why),
    };
    let service = CacheService::start();
    let home = tempfile::tempdir().unwrap();
    let client = Client {
        module: &module,
        dir: home.path(),
        url: service.url(),
    };
    let main = service.token(&[MAIN], Rights::All);
    let feature = service.token(&["refs/heads/feature", MAIN], Rights::All);
    let stranger = service.token(&["refs/pull/1/merge", MAIN], Rights::Read);
    let data = home.path().join("data");
    let put = |text: &[u8]| std::fs::write(&data, text).unwrap();
    let restored = |token: &str, words: &[&str]| {
        let _ = std::fs::remove_file(&data);
        let key = client.step(token, &[&["restore"], words].concat());
        (key, std::fs::read(&data).ok())
    };

    put(b"one");
    assert_ne!(client.step(&main, &["save", "k-1"]), "-1");
    put(b"two");
    assert_ne!(client.step(&main, &["save", "k-2"]), "-1");
    assert_eq!(
        client.step(&main, &["save", "k-2"]),
        "-1",
        "keys never change"
    );
    assert_eq!(
        restored(&main, &["k-1"]),
        ("k-1".into(), Some(b"one".to_vec()))
    );
    assert_eq!(
        restored(&main, &["none", "k-"]),
        ("k-2".into(), Some(b"two".to_vec()))
    );
    assert_eq!(restored(&main, &["none"]), ("undefined".into(), None));
    assert_eq!(
        restored(&feature, &["k-1"]).0,
        "k-1",
        "the default branch's"
    );
    put(b"three");
    assert_ne!(client.step(&feature, &["save", "k-3"]), "-1");
    assert_eq!(restored(&feature, &["none", "k-"]).0, "k-3");
    assert_eq!(restored(&main, &["none", "k-"]).0, "k-2", "a branch's own");
    put(b"four");
    assert_eq!(client.step(&stranger, &["save", "k-4"]), "-1", "read-only");
    assert_eq!(restored(&stranger, &["k-1"]).0, "k-1");

    // More than the 128 MiB that the client sends in one piece, so with blocks and a list of them.
    let large = noise(140 << 20, 5);
    put(&large);
    assert_ne!(client.step(&main, &["save", "large"]), "-1");
    let blocks = service
        .requests()
        .iter()
        .filter(|sent| sent.ends_with("comp=block"))
        .count();
    assert!(blocks > 1, "{blocks}");
    let (key, bytes) = restored(&main, &["large"]);
    assert_eq!(key, "large");
    assert!(bytes.is_some_and(|bytes| bytes == large));
}

#[test]
fn azurite_keeps_our_bytes() {
    const NAME: &str = "github_client::azurite_keeps_our_bytes";
    let azurite = match Azurite::start() {
        Ok(azurite) => azurite,
        Err(missing) => return skipped(NAME, &missing.to_string()),
    };
    let module = match kept(OFFICIAL_CLIENT, "node") {
        Ok(module) => module,
        Err(why) => return skipped(NAME, &why),
    };
    let home = tempfile::tempdir().unwrap();
    let script = home.path().join("container.mjs");
    std::fs::write(&script, CONTAINER).unwrap();
    let said = ran(Command::new("node")
        .arg(script)
        .arg(module)
        .arg(azurite.connection()))
    .unwrap();
    let container = said.lines().find_map(|line| line.strip_prefix("=> "));
    let service = CacheService::start();
    service.keep_bytes_in(container.unwrap());
    run(conformance::all(&cache(&service, &[MAIN])));
}
