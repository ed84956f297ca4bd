use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::placeholder::Known;

const TIME_NS: i64 = 1_700_000_000_123_456_789;

struct Field {
    dir: tempfile::TempDir,
    store: LocalStore,
}

impl Field {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("store"));
        Self { dir, store }
    }

    fn path(&self, name: &str) -> PathBuf {
        let path = self.dir.path().join("target").join(name);
        rekindle_fsx::create_dir_all(path.parent().unwrap()).unwrap();
        path
    }

    /// What stands for these bytes, which the store has.
    fn placeholder(&self, bytes: &[u8]) -> Placeholder {
        let source = self.dir.path().join("source");
        rekindle_fsx::atomic::write(&source, bytes).unwrap();
        let wish = Wish {
            hardlink: false,
            executable: false,
        };
        let stored = self.store.put_object(&source, wish).unwrap();
        Placeholder {
            digest: stored.digest,
            size: stored.size,
            mode: 0o640,
            store: self.dir.path().join("store"),
            known: Some(Known {
                closure: Digest::of(b"closure"),
                externs: vec!["/x".into()],
            }),
            replacements: Vec::new(),
        }
    }

    fn text(&self, name: &str, placeholder: &Placeholder) -> PathBuf {
        let path = self.path(name);
        rekindle_fsx::atomic::write(&path, &placeholder.to_bytes(&path, None)).unwrap();
        rekindle_fsx::set_mtime(&path, TIME_NS).unwrap();
        path
    }

    fn link(&self, name: &str, placeholder: &Placeholder) -> PathBuf {
        let path = self.path(name);
        rekindle_fsx::symlink(&placeholder.to_link(), &path).unwrap();
        rekindle_fsx::set_mtime(&path, TIME_NS).unwrap();
        path
    }

    fn object(&self, digest: &Digest) -> PathBuf {
        let hex = digest.to_hex();
        let objects = self.dir.path().join("store/v1/objects");
        objects.join(&hex[..1]).join(&hex[1..])
    }

    fn record(&self, path: &Path) -> Option<record::OutputRecord> {
        record::read(&[&self.store], path)
    }
}

fn names_in(dir: &Path) -> Vec<OsString> {
    rekindle_fsx::list_names(dir).unwrap()
}

#[test]
fn a_library_shares_its_inode_where_its_metadata_has_the_later_time() {
    const LATER_NS: i64 = 4_000_000_000_000_000_000;
    let check = |with_metadata: bool, name: &str, time_ns: i64, expected_links: u64| {
        let field = Field::new();
        let mut placeholder = field.placeholder(b"bytes");
        placeholder.mode = 0o644;
        let path = field.text(name, &placeholder);
        rekindle_fsx::set_mtime(&path, time_ns).unwrap();
        if with_metadata {
            field.text("deps/libx.rmeta", &placeholder);
        }
        materialise(&path).unwrap();
        let sig = rekindle_fsx::stat(&path).unwrap();
        // A file system with reflinks shares blocks, not inodes.
        let shares = sig.nlink == 2;
        assert!(
            sig.nlink <= expected_links,
            "{name} {time_ns}: {}",
            sig.nlink
        );
        assert_eq!(sig.mtime_ns == time_ns, !shares, "{name} {time_ns}");
        assert_eq!(rekindle_fsx::read(&path).unwrap(), b"bytes");
    };
    check(true, "deps/libx.rlib", LATER_NS, 2);
    check(true, "deps/libx.rlib", TIME_NS, 1);
    check(false, "deps/libx.rlib", LATER_NS, 1);
    check(true, "deps/libx.so", LATER_NS, 1);
}

#[test]
fn a_library_that_came_from_elsewhere_shares_its_inode_though_its_place_is_older() {
    let field = Field::new();
    let placeholder = field.placeholder(b"bytes");
    let path = field.text("deps/libx.rlib", &placeholder);
    field.text("deps/libx.rmeta", &placeholder);
    let far = b"from far".as_slice();
    let come = |digest: Digest, name: &str| {
        let placeholder = Placeholder {
            digest,
            size: far.len() as u64,
            mode: 0o644,
            ..placeholder.clone()
        };
        rekindle_fsx::atomic::write(&path, &placeholder.to_bytes(&path, None)).unwrap();
        rekindle_fsx::set_mtime(&path, TIME_NS).unwrap();
        materialise(&path).unwrap();
        let sig = rekindle_fsx::stat(&path).unwrap();
        // A copy, or what shares blocks, has its place's time.
        let is_copied = sig.mtime_ns == TIME_NS && has_reflinks(&field);
        assert!(sig.nlink == 2 || is_copied, "{name}: {sig:?}");
        assert!(sig.mtime_ns <= TIME_NS, "{name}: {sig:?}");
        rekindle_fsx::remove_file(&field.object(&digest)).unwrap();
    };
    let digest = Digest::of(far);
    field.store.put_object_of(&digest, far, false).unwrap();
    come(digest, "bytes");
    let size = far.len() as u64;
    let (store, mut reader) = (&field.store, far);
    store
        .put_object_from((&digest, size), false, &mut reader)
        .unwrap();
    come(digest, "a reader");
}

fn has_reflinks(field: &Field) -> bool {
    rekindle_fsx::disk::can_reflink(field.dir.path()).unwrap()
}

#[test]
fn metadata_shares_its_inode_with_the_store_alone_and_has_its_places_time() {
    let field = Field::new();
    let mut placeholder = field.placeholder(b"bytes");
    placeholder.mode = 0o644;
    let expected_links = if has_reflinks(&field) { 1 } else { 2 };
    let first = field.text("deps/libx.rmeta", &placeholder);
    materialise(&first).unwrap();
    let sig = rekindle_fsx::stat(&first).unwrap();
    assert_eq!((sig.nlink, sig.mtime_ns), (expected_links, TIME_NS));
    // Another directory has another time, which must not become the first one's.
    let second = field.text("deps/liby.rmeta", &placeholder);
    rekindle_fsx::set_mtime(&second, TIME_NS + 5).unwrap();
    materialise(&second).unwrap();
    let sig = rekindle_fsx::stat(&second).unwrap();
    assert_eq!((sig.nlink, sig.mtime_ns), (1, TIME_NS + 5));
    let sig = rekindle_fsx::stat(&first).unwrap();
    assert_eq!((sig.nlink, sig.mtime_ns), (expected_links, TIME_NS));
    // Once nobody has it, it may be lent again; a mode that is not the object's is not given to it.
    rekindle_fsx::remove_file(&first).unwrap();
    placeholder.mode = 0o640;
    let third = field.text("deps/libz.rmeta", &placeholder);
    materialise(&third).unwrap();
    let sig = rekindle_fsx::stat(&third).unwrap();
    assert_eq!((sig.nlink, sig.mode & 0o777), (1, 0o640));
    assert_eq!(sig.mtime_ns, TIME_NS);
}

#[test]
fn time_mode_bytes_and_what_is_known_stay() {
    let field = Field::new();
    let placeholder = field.placeholder(b"bytes");
    for path in [
        field.text("text", &placeholder),
        field.link("link", &placeholder),
    ] {
        let before = field.record(&path);
        let done = materialise(&path).unwrap();
        assert_eq!((done.files, done.bytes), (1, 5));
        let sig = rekindle_fsx::stat(&path).unwrap();
        assert_eq!(sig.mtime_ns, TIME_NS);
        assert_eq!(sig.mode, 0o100_640);
        assert_eq!(sig.nlink, 1, "nobody's writing reaches the store");
        assert_eq!(rekindle_fsx::read(&path).unwrap(), b"bytes");
        if before.is_some() {
            assert_eq!(field.record(&path), before);
        }
        assert_eq!(materialise(&path).unwrap(), Materialised::default());
    }
    assert_eq!(names_in(&field.path("")), ["link", "text"]);
}

#[test]
fn what_is_gone_or_damaged_leaves_the_placeholder() {
    let field = Field::new();
    let placeholder = field.placeholder(b"bytes");
    let path = field.text("text", &placeholder);
    let object = field.object(&placeholder.digest);
    rekindle_fsx::atomic::write(&object, b"BYTES").unwrap();
    let error = materialise(&path).unwrap_err();
    assert!(matches!(error, MaterialiseError::Damaged { .. }), "{error}");
    let error = materialise(&path).unwrap_err();
    assert!(matches!(error, MaterialiseError::Missing { .. }), "{error}");
    assert!(error.is_lost() && error.to_string().contains("`rekindle`"));
    assert!(Placeholder::read(&path).unwrap().is_some());
    assert_eq!(names_in(&field.path("")), ["text"]);
    let outcome = materialise_all(&[path.clone(), field.path("none")], None);
    assert_eq!((outcome.failed.len(), outcome.paths.len()), (2, 0));
    assert!(!outcome.failed.iter().all(MaterialiseError::is_lost));
}

#[test]
fn names_of_one_inode_share_the_new_one() {
    let field = Field::new();
    let placeholder = field.placeholder(b"bytes");
    let first = field.text("debug/deps/app-1", &placeholder);
    rekindle_fsx::create_dir_all(&field.path("debug/.fingerprint")).unwrap();
    let second = field.path("debug/app");
    rekindle_fsx::hard_link(&first, &second).unwrap();
    assert_eq!(names(&second), [second.clone(), first.clone()]);
    assert_eq!(names(&first), [first.clone(), second.clone()]);
    let stranger = field.text("debug/other", &placeholder);
    let all = [second.clone(), stranger.clone(), first.clone()];
    let outcome = materialise_all(&all, None);
    assert_eq!(outcome.done.files, 2);
    let inode = |path: &Path| rekindle_fsx::stat(path).unwrap().ino;
    assert_eq!(inode(&first), inode(&second));
    assert_ne!(inode(&first), inode(&stranger));
    for path in &all {
        assert_eq!(rekindle_fsx::read(path).unwrap(), b"bytes");
    }
    // A name that has become another file's meanwhile is left alone.
    let third = field.text("third", &placeholder);
    let theirs = field.path("theirs");
    rekindle_fsx::atomic::write(&theirs, b"theirs").unwrap();
    materialise_names(&[third, theirs.clone()], None).unwrap();
    assert_eq!(rekindle_fsx::read(&theirs).unwrap(), b"theirs");
}

#[test]
fn many_at_once_do_it_once() {
    let field = Field::new();
    let placeholder = field.placeholder(&vec![7; 1 << 20]);
    for path in [
        field.text("text", &placeholder),
        field.link("link", &placeholder),
    ] {
        let done: u64 = std::thread::scope(|scope| {
            let all: Vec<_> = (0..16)
                .map(|_| scope.spawn(|| materialise(&path).unwrap().files))
                .collect();
            all.into_iter().map(|one| one.join().unwrap()).sum()
        });
        assert_eq!(done, 1);
        assert_eq!(rekindle_fsx::stat(&path).unwrap().size, 1 << 20);
    }
    assert_eq!(names_in(&field.path("")), ["link", "text"]);
}

/// Does something again and again while all of these are filled.
fn meanwhile(paths: &[PathBuf], mut doing: impl FnMut()) {
    let over = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let outcome = materialise_all(paths, None);
            over.store(1, Ordering::SeqCst);
            assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
            assert_eq!(outcome.done.files, paths.len() as u64);
        });
        while over.load(Ordering::SeqCst) == 0 {
            doing();
        }
    });
}

/// Another wrapper looks a unit up while this one puts a crate of its command line in place.
#[test]
fn an_output_is_known_all_the_while() {
    let field = Field::new();
    let placeholder = field.placeholder(&vec![7; 1 << 16]);
    let paths: Vec<PathBuf> = (0..200)
        .map(|number| field.text(&format!("lib{number}.rmeta"), &placeholder))
        .collect();
    meanwhile(&paths, || {
        for path in &paths {
            let digest = field.record(path).map(|record| record.digest);
            assert_eq!(digest, Some(placeholder.digest), "{}", path.display());
        }
    });
}

#[test]
fn programs_get_real_paths() {
    let field = Field::new();
    let own = rekindle_fsx::read(&std::env::current_exe().unwrap()).unwrap();
    let mut placeholder = field.placeholder(&own);
    let pair = (b"outputs/src/".to_vec(), b"OUTPUTS/SRC/".to_vec());
    placeholder.replacements = vec![pair];
    placeholder.mode = 0o755;
    let path = field.text("program", &placeholder);
    materialise(&path).unwrap();
    let (digest, _) = rekindle_fsx::hash_file(&path).unwrap();
    assert_ne!(digest, placeholder.digest);
    let (canonical, _) = localise::canonical_digest(&path, &placeholder.replacements).unwrap();
    assert_eq!(canonical, placeholder.digest);
    assert_eq!(rekindle_fsx::stat(&path).unwrap().mtime_ns, TIME_NS);
    let stores = [&field.store];
    assert_eq!(record::read(&stores, &path), None);
    let read = record::read_program(&stores, &path, &placeholder.replacements);
    assert_eq!(read.unwrap().digest, placeholder.digest);
}

/// Build scripts that start at once all fill what the others may read.
#[test]
fn who_walks_where_another_fills_finds_nothing_amiss() {
    let field = Field::new();
    let placeholder = field.placeholder(b"bytes");
    let link = |number| field.link(&format!("lib{number}.a"), &placeholder);
    let paths: Vec<PathBuf> = (0..1000).map(link).collect();
    meanwhile(&paths, || {
        let mut links = rekindle_fsx::walk_links(&field.path("")).unwrap();
        links.retain(|link| !paths.contains(link));
        let outcome = materialise_all(&links, None);
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    });
    // What a killed process left under such a name stands for nothing.
    let left = field.link(".rekindle-0123456789abcdef", &placeholder);
    let outcome = materialise_all(std::slice::from_ref(&left), None);
    assert_eq!((outcome.done.files, outcome.failed.len()), (0, 0));
    assert!(Placeholder::read(&left).unwrap().is_some());
}
