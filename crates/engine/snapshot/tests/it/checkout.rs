//! A checkout that is built with plain cargo, and its snapshot.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rekindle_base::{Digest, Moment};
use std::collections::HashMap;

use rekindle_outputs::environment::Environment;
use rekindle_snapshot::base::{self, Made, Wanted};
use rekindle_snapshot::capture::{self, Captured, Saw};
use rekindle_snapshot::inputs::Where;
use rekindle_snapshot::restore::{self, Restored};
use rekindle_store::LocalStore;

/// A workspace of three members, and a store.
pub(crate) struct Checkout {
    root: tempfile::TempDir,
    store: LocalStore,
    pub(crate) trees: Vec<(String, Digest)>,
    /// What a capture is told of the units.
    pub(crate) saw: Saw,
    began_ns: i64,
}

/// What cargo said of a build.
pub(crate) struct Built {
    pub(crate) text: String,
    pub(crate) ok: bool,
}

impl Built {
    /// Packages that cargo built, in order.
    pub(crate) fn compiled(&self) -> Vec<&str> {
        let lines = self.text.lines().map(str::trim);
        let names = lines.filter_map(|line| {
            let rest = line.strip_prefix("Compiling ")?;
            rest.split(' ').next()
        });
        names.collect()
    }
}

impl Checkout {
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&root.path().join("store"));
        let checkout = Self {
            root,
            store,
            trees: Vec::new(),
            saw: Saw::default(),
            began_ns: 0,
        };
        checkout.write(&[
            (
                "Cargo.toml",
                "[workspace]\nmembers = [\"leaf\", \"mid\", \"app\"]\nresolver = \"2\"\n",
            ),
            ("leaf/Cargo.toml", &manifest("leaf", "")),
            (
                "leaf/src/lib.rs",
                "pub fn leaf() -> u32 { include_str!(\"../data\").len() as u32 }",
            ),
            ("leaf/data", "one"),
            (
                "mid/Cargo.toml",
                &manifest("mid", "leaf = { path = \"../leaf\" }"),
            ),
            (
                "mid/build.rs",
                "fn main() { println!(\"cargo:rerun-if-changed=declared\"); }",
            ),
            ("mid/declared", "x"),
            (
                "mid/src/lib.rs",
                "mod other; pub fn mid() -> u32 { leaf::leaf() + other::other() }",
            ),
            ("mid/src/other.rs", "pub fn other() -> u32 { 0 }"),
            (
                "app/Cargo.toml",
                &manifest("app", "mid = { path = \"../mid\" }"),
            ),
            (
                "app/src/main.rs",
                "fn main() { println!(\"{}\", mid::mid()); }",
            ),
        ]);
        checkout
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.path().join("ws").join(name)
    }

    pub(crate) fn write(&self, files: &[(&str, &str)]) {
        for (name, text) in files {
            let path = self.path(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
    }

    pub(crate) fn here(&self) -> Where {
        self.here_at("ws")
    }

    pub(crate) fn here_at(&self, dir: &str) -> Where {
        let workspace = self.root.path().join(dir);
        Where {
            build_dir: workspace.join("target"),
            workspace,
            cargo_home: self.root.path().join("home"),
            sysroot: None,
        }
    }

    pub(crate) fn cargo(&mut self, arguments: &[&str]) -> Built {
        self.began_ns = rekindle_fsx::time::realtime_ns();
        cargo(&self.path(""), arguments)
    }

    pub(crate) fn capture(&mut self) -> Captured {
        let captured = capture::capture(
            &self.store,
            &capture::Request {
                here: &self.here(),
                revision: None,
                began_ns: self.began_ns,
                saw: &self.saw,
                launcher: Path::new("/nonexistent/rekindle-rustc"),
                incremental: true,
                environment: &Environment::default(),
                trees: &HashMap::new(),
            },
        )
        .unwrap();
        self.trees.clone_from(&captured.trees);
        captured
    }

    /// Publishes what was captured last as the snapshot of a commit, and takes for the next restore what
    /// that commit then leads to.
    pub(crate) fn publish(&mut self, wanted: &Wanted) {
        let made = Made {
            trees: self.trees.clone(),
            clean: true,
            at: Moment(1),
        };
        base::publish(&self.store, wanted, &made).unwrap();
        self.trees = base::choose(&self.store, wanted).unwrap().pointer.trees;
    }

    pub(crate) fn store(&self) -> &LocalStore {
        &self.store
    }

    pub(crate) fn restore_at(&self, dir: &str) -> Restored {
        self.restore_from(dir, false)
    }

    /// Restores in a directory what was built from the same sources, or from others.
    pub(crate) fn restore_from(&self, dir: &str, same: bool) -> Restored {
        restore::restore(
            &self.store,
            &restore::Request {
                here: &self.here_at(dir),
                trees: &self.trees,
                launcher: Path::new("/nonexistent/rekindle-rustc"),
                environment: &Environment::default(),
                early: false,
                same,
                only: None,
            },
        )
        .unwrap()
    }

    pub(crate) fn restore(&self) -> Restored {
        self.restore_at("ws")
    }

    /// Everything as a new clone has it: all sources with the present as their time, no target.
    pub(crate) fn fresh_clone(&self) {
        self.clone_to("new");
        fs::remove_dir_all(self.path("")).unwrap();
        fs::rename(self.root.path().join("new"), self.path("")).unwrap();
    }

    pub(crate) fn clone_to(&self, dir: &str) {
        copy(&self.path(""), &self.root.path().join(dir));
    }

    /// Puts the bytes in every placeholder's place, as the wrapper does for what it needs.
    pub(crate) fn materialise(&self) {
        let files = rekindle_fsx::walk_all(&self.path("target")).unwrap();
        let paths: Vec<PathBuf> = files.into_iter().map(|entry| entry.path).collect();
        let outcome = rekindle_outputs::materialise::materialise_all(&paths, None);
        assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    }

    pub(crate) fn run(&self) -> String {
        let output = Command::new(self.path("target/debug/app"))
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }
}

pub(crate) fn cargo(dir: &Path, arguments: &[&str]) -> Built {
    let output = Command::new("cargo")
        .args(arguments)
        .current_dir(dir)
        .env_remove("RUSTC_WRAPPER")
        .env_remove("CARGO_TARGET_DIR")
        .output()
        .unwrap();
    Built {
        text: String::from_utf8_lossy(&output.stderr).into_owned(),
        ok: output.status.success(),
    }
}

fn manifest(name: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
         [dependencies]\n{dependencies}\n"
    )
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        if entry.file_name() == "target" {
            continue;
        }
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::write(to, fs::read(entry.path()).unwrap()).unwrap();
        }
    }
}
