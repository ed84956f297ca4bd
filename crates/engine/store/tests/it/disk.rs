//! Disks that are full, read-only, or cannot link.

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rekindle_base::{ByteSize, Digest};
use rekindle_fsx::place::Method;
use rekindle_store::{LocalStore, Space, Store, StoreError};

use crate::support::{COPY, HARDLINK, HOUR, files_below, key, later, set_age, skipped};

/// A small file system of its own, unmounted at the end.
struct Mount {
    dir: tempfile::TempDir,
}

impl Mount {
    fn new(test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=1m", "rekindle-test"])
            .arg(dir.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self { dir }),
            Ok(output) => {
                let why = String::from_utf8_lossy(&output.stderr);
                skipped(test, why.trim());
                None
            }
            Err(error) => {
                skipped(test, &error.to_string());
                None
            }
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn make_read_only(&self) {
        let status = Command::new("mount")
            .args(["-o", "remount,ro"])
            .arg(self.dir.path())
            .status();
        assert!(status.unwrap().success());
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a child that another test is starting may have a copy of a descriptor in it.
        let _ = Command::new("umount")
            .arg("-l")
            .arg(self.dir.path())
            .status();
    }
}

/// The error is of this kind and says where.
fn check<T: std::fmt::Debug>(result: Result<T, StoreError>, kind: ErrorKind, path: &Path) {
    let Err(StoreError::Io(error)) = result else {
        panic!("{result:?}");
    };
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error.to_string().contains(path.to_str().unwrap()),
        "{error}"
    );
}

fn modes_do_not_bind_us() -> bool {
    let dir = tempfile::tempdir().unwrap();
    fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o555)).unwrap();
    fs::write(dir.path().join("probe"), b"").is_ok()
}

fn fill(mount: &Mount) {
    let mut filler = fs::File::create(mount.path("filler")).unwrap();
    while filler.write_all(&[0; 1024]).is_ok() {}
}

#[test]
fn a_full_disk_is_an_error_that_leaves_nothing_half_written() {
    let Some(mount) = Mount::new("a_full_disk_is_an_error_that_leaves_nothing_half_written") else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let source = elsewhere.path().join("source");
    let store = LocalStore::open(&mount.path("store"));
    fs::write(&source, vec![1; 100_000]).unwrap();
    let good = store.put_object(&source, HARDLINK).unwrap();
    store
        .put_record(Space::Entries, &key("good"), &[good.digest], b"good")
        .unwrap();

    // Full in the middle of an object.
    fs::write(&source, vec![2; 2 << 20]).unwrap();
    for wish in [COPY, HARDLINK] {
        let put = store.put_object(&source, wish);
        check(put, ErrorKind::StorageFull, mount.dir.path());
    }
    assert_eq!(files_below(&mount.path("store/v1/tmp")), 0);

    // Full before a record; the one that is there stays as it was.
    fill(&mount);
    for name in ["good", "new"] {
        let put = store.put_record(Space::Entries, &key(name), &[], &[3; 50_000]);
        check(put, ErrorKind::StorageFull, mount.dir.path());
    }
    let record = store
        .get_record(Space::Entries, &key("good"))
        .unwrap()
        .unwrap();
    assert_eq!(record.payload, b"good");
    assert_eq!(store.get_record(Space::Entries, &key("new")).unwrap(), None);
    let dest = mount.path("dest");
    let placed = store.place_object(&good.digest, &dest, COPY);
    check(placed, ErrorKind::StorageFull, &dest);
    assert_eq!(fs::read_dir(mount.dir.path()).unwrap().count(), 2);
    assert_eq!(files_below(&mount.path("store/v1/tmp")), 0);
    assert!(store.verify(false).unwrap().is_clean());

    // An eviction makes room without needing any.
    let report = store.gc(ByteSize(0), later(2 * HOUR)).unwrap();
    assert_eq!((report.removed_objects, report.kept_bytes), (1, 0));
    fs::write(&source, vec![4; 50_000]).unwrap();
    store.put_object(&source, COPY).unwrap();
    assert!(store.verify(false).unwrap().is_clean());
}

fn fill_for_reading(dir: &Path) -> Digest {
    let store = LocalStore::open(&dir.join("store"));
    let source = dir.join("source");
    let put = |name: &str| {
        fs::write(&source, name).unwrap();
        let object = store.put_object(&source, COPY).unwrap().digest;
        store
            .put_record(Space::Entries, &key(name), &[object], name.as_bytes())
            .unwrap();
        object
    };
    let (good, _) = (put("good"), put("damaged"));
    let path_of = |space: &str, digest: &Digest| {
        let hex = digest.to_hex();
        dir.join("store/v1")
            .join(space)
            .join(&hex[..1])
            .join(&hex[1..])
    };
    fs::write(path_of("objects", &Digest::of(b"damaged")), "DAMAGED").unwrap();
    fs::write(path_of("entries", &key("damaged")), "rubbish").unwrap();
    set_age(&path_of("entries", &key("good")), HOUR);
    good
}

fn check_read_only(dir: &Path, good: &Digest, kind: ErrorKind) {
    let store = LocalStore::open(&dir.join("store"));
    let elsewhere = tempfile::tempdir().unwrap();
    let (source, dest) = (
        elsewhere.path().join("source"),
        elsewhere.path().join("dest"),
    );
    let record = store
        .get_record(Space::Entries, &key("good"))
        .unwrap()
        .unwrap();
    assert_eq!(record.payload, b"good");
    store.place_object(good, &dest, HARDLINK).unwrap();
    assert_eq!(fs::read(&dest).unwrap(), b"good");
    // What is damaged cannot be removed, and is not served either.
    for _ in 0..2 {
        let read = store.get_record(Space::Entries, &key("damaged"));
        assert!(matches!(read, Err(StoreError::Corrupt)), "{read:?}");
        let placed = store.place_object(&Digest::of(b"damaged"), &dest, COPY);
        assert!(matches!(placed, Err(StoreError::Corrupt)), "{placed:?}");
    }
    let report = store.verify(true).unwrap();
    assert_eq!(
        (
            report.bad.len(),
            report.bad.iter().filter(|bad| bad.removed).count()
        ),
        (2, 0)
    );
    assert_eq!(store.usage().unwrap().objects, 2);

    fs::write(&source, b"new").unwrap();
    check(store.put_object(&source, COPY), kind, dir);
    check(
        store.put_record(Space::Memos, &key("new"), &[], b""),
        kind,
        dir,
    );
    check(store.remove_record(Space::Entries, &key("good")), kind, dir);
    let (budget, now) = (ByteSize(0), later(HOUR));
    check(store.gc(budget, now).map_err(StoreError::Io), kind, dir);
    check(
        store.maybe_gc(budget, now).map_err(StoreError::Io),
        kind,
        dir,
    );
    check(store.register_active().map_err(StoreError::Io), kind, dir);
}

/// Modes do not bind root, so root mounts the store read-only; others take their own right to write.
#[test]
fn a_read_only_store_is_read() {
    if modes_do_not_bind_us() {
        let Some(mount) = Mount::new("a_read_only_store_is_read") else {
            return;
        };
        let good = fill_for_reading(mount.dir.path());
        mount.make_read_only();
        check_read_only(mount.dir.path(), &good, ErrorKind::ReadOnlyFilesystem);
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let good = fill_for_reading(dir.path());
    let chmod = |mode: &str| {
        let changed = Command::new("chmod")
            .args(["-R", mode])
            .arg(dir.path())
            .status();
        assert!(changed.unwrap().success());
    };
    chmod("a-w");
    check_read_only(dir.path(), &good, ErrorKind::PermissionDenied);
    chmod("u+w");
}

/// Another file system than the source's and the destination's: no link can lead there.
#[test]
fn without_links_everything_is_copied() {
    let Some(mount) = Mount::new("without_links_everything_is_copied") else {
        return;
    };
    let elsewhere = tempfile::tempdir().unwrap();
    let (source, dest) = (
        elsewhere.path().join("source"),
        elsewhere.path().join("dest"),
    );
    fs::write(&source, b"bytes").unwrap();
    let store = LocalStore::open(&mount.path("store"));
    let stored = store.put_object(&source, HARDLINK).unwrap();
    let placed = store.place_object(&stored.digest, &dest, HARDLINK).unwrap();
    assert_eq!(placed.method, Method::Copy);
    assert_eq!(fs::read(&dest).unwrap(), b"bytes");
    assert_eq!(files_below(&mount.path("store/v1/tmp")), 0);
}
