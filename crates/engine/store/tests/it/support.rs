//! What the tests share.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use rekindle_base::{Digest, Moment};
use rekindle_fsx::place::Wish;
use rekindle_store::{LocalStore, Space, Store, Stored};

pub(crate) const HARDLINK: Wish = Wish {
    hardlink: true,
    executable: false,
};
pub(crate) const COPY: Wish = Wish {
    hardlink: false,
    executable: false,
};
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const HOUR: Duration = Duration::from_secs(3600);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

/// A store in a directory that goes with it.
pub(crate) struct Fixture {
    pub(crate) store: LocalStore,
    pub(crate) dir: tempfile::TempDir,
}

impl Fixture {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self {
            store: LocalStore::open(&dir.path().join("store")),
            dir,
        }
    }

    /// A path outside the store.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A file outside the store.
    pub(crate) fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A path inside the store.
    pub(crate) fn inside(&self, name: &str) -> PathBuf {
        self.path("store/v1").join(name)
    }

    pub(crate) fn object_path(&self, digest: &Digest) -> PathBuf {
        sharded(&self.inside("objects"), digest)
    }

    pub(crate) fn record_path(&self, space: Space, key: &Digest) -> PathBuf {
        sharded(&self.inside(space.name()), key)
    }

    pub(crate) fn put(&self, bytes: &[u8], wish: Wish) -> Stored {
        let source = self.file("put-source", bytes);
        let stored = self.store.put_object(&source, wish).unwrap();
        fs::remove_file(source).unwrap();
        stored
    }

    /// An entry named `name`, with one object of `bytes`.
    pub(crate) fn entry(&self, name: &str, bytes: &[u8]) -> (Digest, Digest) {
        let object = self.put(bytes, COPY).digest;
        let key = key(name);
        self.store
            .put_record(Space::Entries, &key, &[object], name.as_bytes())
            .unwrap();
        (key, object)
    }

    pub(crate) fn has(&self, space: Space, key: &Digest) -> bool {
        self.record_path(space, key).exists()
    }

    /// Says that a record was last used `ago`.
    pub(crate) fn age(&self, space: Space, key: &Digest, ago: Duration) {
        set_age(&self.record_path(space, key), ago);
    }
}

pub(crate) fn key(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

fn sharded(dir: &Path, digest: &Digest) -> PathBuf {
    let hex = digest.to_hex();
    dir.join(&hex[..1]).join(&hex[1..])
}

pub(crate) fn set_age(path: &Path, ago: Duration) {
    let time = SystemTime::now() - ago;
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// The present, moved ahead: change times cannot be set back, so tests let time pass.
pub(crate) fn later(by: Duration) -> Moment {
    Moment::from_system(SystemTime::now() + by)
}

/// The regular files below a directory.
pub(crate) fn files_below(dir: &Path) -> usize {
    rekindle_fsx::walk_files(dir).unwrap().len()
}

/// Says on the real standard error, which the test harness does not capture, that a test cannot run.
pub(crate) fn skipped(test: &str, why: &str) {
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {why}");
}

/// This test binary again, running one test that is another in the presence of `variables`.
pub(crate) fn helper(test: &str, variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--test-threads=1", "--quiet"])
        .envs(variables.iter().copied())
        .env_remove("REKINDLE_FAILPOINT");
    command
}
