use std::path::PathBuf;

use rekindle_base::Moment;
use rekindle_snapshot::base::{self, Made, Why};
use rekindle_store::{LocalStore, Space, Store};

use super::*;
use crate::git::fixture::Fixture;

// Which compiler.

/// A home with toolchains of rustup's, whose proxies are found first.
struct Toolchains {
    dir: tempfile::TempDir,
    surroundings: Surroundings,
}

impl Toolchains {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name);
        let mut surroundings = Surroundings {
            cwd: path("ws/deep/er"),
            home: Some(path("home")),
            ..Surroundings::default()
        };
        surroundings
            .vars
            .insert("PATH".into(), path("proxies").into());
        let toolchains = Self { dir, surroundings };
        toolchains.put("proxies/rustup", "proxy");
        toolchains.put("proxies/rustc", "proxy");
        toolchains.executable("proxies/rustc");
        toolchains.put(
            "home/.rustup/settings.toml",
            "default_host_triple = 'h'\ndefault_toolchain = 'stable-h'",
        );
        for (name, driver) in [
            ("stable-h", "librustc_driver-1.so"),
            ("1.95.0-h", "librustc_driver-1.so"),
            ("nightly-h", "librustc_driver-2.so"),
            ("beta-h", "librustc_driver-3.so"),
        ] {
            toolchains.install(&format!("home/.rustup/toolchains/{name}"), driver);
        }
        toolchains
    }

    fn install(&self, dir: &str, driver: &str) {
        self.put(&format!("{dir}/lib/rustlib/x"), "");
        self.put(&format!("{dir}/lib/{driver}"), driver);
        self.put(&format!("{dir}/bin/rustc"), "rustc");
        self.executable(&format!("{dir}/bin/rustc"));
    }

    fn put(&self, name: &str, text: &str) {
        let file = self.dir.path().join(name);
        rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
        rekindle_fsx::atomic::write(&file, text.as_bytes()).unwrap();
    }

    fn executable(&self, name: &str) {
        rekindle_fsx::set_mode(&self.dir.path().join(name), 0o755).unwrap();
    }

    fn var(&mut self, name: &str, value: &str) {
        let vars = &mut self.surroundings.vars;
        vars.insert(name.into(), value.into());
    }

    fn identity(&self, named: Option<&str>) -> Digest {
        let cwd = &self.surroundings.cwd;
        let config = CargoConfig::read(&self.surroundings, cwd, &[]);
        let call = Call {
            toolchain: named.map(OsStr::new),
            ..Call::default()
        };
        toolchain::identify(&self.surroundings, &config, call).identity
    }
}

#[test]
fn the_toolchain_is_the_one_that_rustup_chooses() {
    let mut here = Toolchains::new();
    let [stable, nightly, beta] =
        ["+stable", "+nightly-h", "+beta"].map(|name| here.identity(Some(name)));
    assert!(stable != nightly && stable != beta && nightly != beta);
    // By what it is, not by its name.
    assert_eq!(here.identity(Some("+1.95.0")), stable);
    assert_eq!(here.identity(None), stable);
    here.put("rust-toolchain.toml", "[toolchain]\nchannel = 'nightly'");
    assert_eq!(here.identity(None), nightly);
    // The nearest, and there the one with the old name.
    here.put("ws/rust-toolchain.toml", "[toolchain]\nchannel = 'nightly'");
    here.put("ws/rust-toolchain", "beta\n");
    assert_eq!(here.identity(None), beta);
    let path = here.dir.path().join("ws");
    here.put(
        "home/.rustup/settings.toml",
        &format!(
            "default_host_triple = 'h'\n[overrides]\n'{}' = 'stable-h'",
            path.display()
        ),
    );
    assert_eq!(here.identity(None), stable);
    here.put("ws/deep/rust-toolchain", "[toolchain]\nchannel = 'beta'");
    assert_eq!(here.identity(None), beta);
    here.var("RUSTUP_TOOLCHAIN", "nightly");
    assert_eq!(here.identity(None), nightly);
    assert_eq!(here.identity(Some("+beta")), beta);
}

#[test]
fn an_update_is_another_toolchain_and_a_new_install_of_the_same_is_not() {
    let here = Toolchains::new();
    let before = here.identity(None);
    let dir = "home/.rustup/toolchains/stable-h";
    rekindle_fsx::remove_dir_all(&here.dir.path().join(dir)).unwrap();
    let missing = here.identity(None);
    assert_ne!(missing, before);
    here.install(dir, "librustc_driver-1.so");
    assert_eq!(here.identity(None), before);
    here.put(&format!("{dir}/bin/rustc"), "another rustc");
    assert_ne!(here.identity(None), before);
}

#[test]
fn a_compiler_outside_rustup_is_its_own() {
    let mut here = Toolchains::new();
    let stable = here.identity(None);
    here.install("own", "librustc_driver-9.so");
    let own = here.dir.path().join("own/bin/rustc");
    here.var("RUSTC", own.to_str().unwrap());
    let by_variable = here.identity(None);
    assert_ne!(by_variable, stable);
    // rustup has no say in it.
    assert_eq!(here.identity(Some("+nightly")), by_variable);
    here.surroundings.vars.remove(OsStr::new("RUSTC"));
    here.put("ws/.cargo/config.toml", "build.rustc = '../own/bin/rustc'");
    assert_eq!(here.identity(None), by_variable);
    here.put("ws/.cargo/config.toml", "");
    let bin = here.dir.path().join("own/bin");
    here.var("PATH", bin.to_str().unwrap());
    assert_eq!(here.identity(None), by_variable);
    // A script that hides it: its own size and time.
    here.put("script/rustc", "#!/bin/sh");
    here.executable("script/rustc");
    let bin = here.dir.path().join("script");
    here.var("PATH", bin.to_str().unwrap());
    let script = here.identity(None);
    here.put("script/rustc", "#!/bin/bash");
    here.executable("script/rustc");
    assert_ne!(here.identity(None), script);
}

// Which flags.

fn flags(vars: &[(&str, &str)], config: &[&str], targets: &[&str]) -> Digest {
    let vars = vars.iter();
    let surroundings = Surroundings {
        vars: vars
            .map(|(name, value)| ((*name).into(), (*value).into()))
            .collect(),
        cwd: "/nowhere".into(),
        ..Surroundings::default()
    };
    let config: Vec<_> = config.iter().map(ToString::to_string).collect();
    let config = CargoConfig::read(&surroundings, &surroundings.cwd, &config);
    let named: Vec<_> = targets.iter().map(ToString::to_string).collect();
    let call = Call {
        targets: &named,
        ..Call::default()
    };
    let targets = flags::targets(&surroundings, &config, call);
    flags::digest(&surroundings, &config, &targets)
}

#[test]
fn each_source_of_flags_counts() {
    let sets = [
        flags(&[], &[], &[]),
        flags(&[("RUSTFLAGS", "-Ca -Cb")], &[], &[]),
        flags(&[("RUSTFLAGS", "-Ca")], &[], &[]),
        flags(&[("CARGO_ENCODED_RUSTFLAGS", "-Ca -Cb")], &[], &[]),
        flags(&[("CARGO_BUILD_RUSTFLAGS", "-Ca")], &[], &[]),
        flags(&[("CARGO_TARGET_X_RUSTFLAGS", "-Ca")], &[], &[]),
        flags(&[], &["build.rustflags = ['-Ca']"], &[]),
        flags(&[], &["target.x.rustflags = ['-Ca']"], &[]),
        flags(&[], &["target.'cfg(unix)'.rustflags = '-Ca'"], &[]),
        flags(&[("CARGO_TARGET_X_LINKER", "cc")], &[], &[]),
        flags(&[], &["target.x.linker = 'cc'"], &[]),
        flags(&[("CARGO_PROFILE_DEV_DEBUG", "0")], &[], &[]),
        flags(&[], &["profile.dev.debug = 0"], &[]),
        flags(&[("CARGO_INCREMENTAL", "0")], &[], &[]),
        flags(&[], &["build.incremental = false"], &[]),
        flags(&[], &[], &["a"]),
        flags(&[], &[], &["a", "b"]),
    ];
    for (at, one) in sets.iter().enumerate() {
        for (other_at, other) in sets.iter().enumerate().skip(at + 1) {
            assert_ne!(one, other, "{at} and {other_at}");
        }
    }
}

#[test]
fn what_comes_to_the_same_is_the_same() {
    let same = |one, other| assert_eq!(one, other);
    same(
        flags(
            &[("RUSTFLAGS", " -Ca  -Cb ")],
            &["build.rustflags = '-Cc'"],
            &[],
        ),
        flags(
            &[
                ("CARGO_ENCODED_RUSTFLAGS", "-Ca\x1f-Cb"),
                ("RUSTFLAGS", "x"),
            ],
            &[],
            &[],
        ),
    );
    // An empty variable hides configuration.
    assert_ne!(
        flags(&[("RUSTFLAGS", "")], &["build.rustflags = '-Cc'"], &[]),
        flags(&[], &["build.rustflags = '-Cc'"], &[]),
    );
    same(
        flags(&[("CARGO_BUILD_TARGET", "a")], &[], &[]),
        flags(&[], &[], &["a"]),
    );
    same(
        flags(
            &[("CARGO_BUILD_TARGET", "b")],
            &["build.target = ['a']"],
            &[],
        ),
        flags(&[], &[], &["a"]),
    );
    same(
        flags(
            &[("HOME", "/x"), ("RUST_LOG", "y")],
            &["alias.x = 'y'"],
            &[],
        ),
        flags(&[], &[], &[]),
    );
}

#[test]
fn profile_directories_are_those_that_cargo_uses() {
    let check = |command, profile, targets: &[&str], expected: Option<&[&str]>| {
        let call = Call {
            command: Some(command),
            profile,
            ..Call::default()
        };
        let targets: Vec<_> = targets.iter().map(ToString::to_string).collect();
        let expected: Option<Vec<String>> =
            expected.map(|dirs| dirs.iter().map(ToString::to_string).collect());
        assert_eq!(dirs(call, &targets), expected, "{command} {profile:?}");
    };
    check("build", None, &[], Some(&["debug"]));
    check("bench", None, &[], Some(&["release"]));
    check("t", Some("release"), &[], Some(&["release"]));
    check("check", Some("dist"), &[], Some(&["dist"]));
    check(
        "test",
        Some("test"),
        &["x", "d/y.json"],
        Some(&["x/debug", "y/debug", "debug"]),
    );
    check("build", None, &["host-tuple"], None);
    check("nextest", Some("ci"), &[], None);
}

// All of it, with real repositories and a store.

impl Fixture {
    fn wanted(&self, dir: &str, command: &str, profile: Option<&str>) -> Wanted {
        let workspace_root = self.path(dir);
        let layout = Layout {
            target_dir: workspace_root.join("target"),
            build_dir: workspace_root.join("target"),
            workspace_root,
        };
        let call = Call {
            command: Some(command),
            profile,
            ..Call::default()
        };
        let config = CargoConfig::read(&self.surroundings, &layout.workspace_root, &[]);
        gather(&self.surroundings, &config, &layout, call).wanted
    }

    fn store(&self) -> LocalStore {
        LocalStore::open(&self.path("store"))
    }

    /// Publishes a tree for each profile directory that the command builds in.
    fn build(&self, dir: &str, profile: Option<&str>, tree: &str) {
        let wanted = self.wanted(dir, "build", profile);
        let (store, key) = (self.store(), Digest::of(tree.as_bytes()));
        store.put_record(Space::Trees, &key, &[], b"tree").unwrap();
        let clean = wanted
            .git
            .as_ref()
            .is_some_and(|git| git::is_clean(&self.surroundings, git));
        let made = Made {
            trees: wanted.dirs.iter().map(|dir| (dir.clone(), key)).collect(),
            clean,
            at: Moment(1),
        };
        base::publish(&store, &wanted, &made).unwrap();
    }

    fn check(&self, dir: &str, profile: Option<&str>, tree: &str, why: &Why) {
        let wanted = self.wanted(dir, "test", profile);
        let chosen = base::choose(&self.store(), &wanted).unwrap();
        let trees: Vec<_> = chosen.pointer.trees.iter().map(|(_, tree)| *tree).collect();
        assert_eq!(trees, [Digest::of(tree.as_bytes())]);
        assert_eq!(&chosen.why, why);
    }

    fn put(&self, name: &str, text: &str) {
        rekindle_fsx::atomic::write(&self.path(name), text.as_bytes()).unwrap();
    }
}

fn commit(commit: &str, distance: usize) -> Why {
    Why::Commit {
        commit: commit.to_owned(),
        distance,
    }
}

fn branch(name: &str) -> Why {
    Why::Branch {
        name: name.to_owned(),
    }
}

#[test]
fn along_a_branch_and_back() {
    let fixture = Fixture::with_repository();
    let first = fixture.git("a", "rev-parse HEAD");
    fixture.build("a", None, "first");
    fixture.build("a", Some("release"), "release");
    fixture.commit("a");
    let third = fixture.commit("a");
    fixture.check("a", None, "first", &commit(&first, 2));
    fixture.build("a", None, "third");
    fixture.check("a", None, "third", &commit(&third, 0));
    fixture.check("a", Some("release"), "release", &commit(&first, 2));
    fixture.git("a", "checkout -q -b topic HEAD~1");
    fixture.check("a", None, "first", &commit(&first, 1));
    let topic = fixture.commit_elsewhere("a");
    fixture.build("a", None, "topic");
    fixture.check("a", None, "topic", &commit(&topic, 0));
    fixture.git("a", "checkout -q --detach main");
    fixture.check("a", None, "third", &commit(&third, 0));
    // What was edited is found where it was edited.
    fixture.put("a/file", "edited");
    fixture.build("a", None, "edited");
    fixture.check("a", None, "third", &commit(&third, 0));
}

#[test]
fn in_clones_of_one_commit() {
    let mut fixture = Fixture::with_repository();
    let first = fixture.git("a", "rev-parse HEAD");
    fixture.clone("--no-tags", "full");
    fixture.build("full", None, "first");
    let second = fixture.commit("a");
    fixture.clone("--depth=1", "shallow");
    fixture.check("shallow", None, "first", &commit(&first, 1));
    // Two commits on, only the branch tells.
    fixture.commit("a");
    fixture.clone("--depth=1", "later");
    fixture.check("later", None, "first", &branch("main"));
    // The merge of a pull request: no branch of it is known, then one of its parents, then the nearer.
    let (merge, topic, base) = fixture.pull_request();
    fixture.check("ci", None, "first", &Why::Project);
    fixture.git("a", &format!("checkout -q {base}"));
    fixture.build("a", None, "base");
    fixture.check("ci", None, "base", &commit(&base, 2));
    fixture.build("ci", None, "merge");
    fixture.check("ci", None, "merge", &commit(&merge, 0));
    // What is pushed to the pull request next finds the merge by the commit that it was made of,
    // until that is built itself.
    fixture.git("a", &format!("checkout -q {topic}"));
    let next = fixture.commit("a");
    fixture.check("a", None, "merge", &commit(&topic, 1));
    fixture.git("a", &format!("checkout -q {topic}"));
    fixture.build("a", None, "topic");
    fixture.git("a", &format!("checkout -q {next}"));
    fixture.check("a", None, "topic", &commit(&topic, 1));
    assert_ne!(second, topic);
}

#[test]
fn without_git() {
    let fixture = Fixture::new();
    for dir in ["one", "two", "unborn"] {
        rekindle_fsx::create_dir_all(&fixture.path(dir)).unwrap();
    }
    fixture.git(".", "init -q unborn");
    fixture.put("one/Cargo.lock", "lock");
    fixture.build("one", None, "one");
    for dir in ["two", "unborn"] {
        fixture.check(dir, None, "one", &Why::Toolchain);
        fixture.put(&format!("{dir}/Cargo.lock"), "lock");
        fixture.check(dir, None, "one", &Why::LockFile);
    }
    fixture.put("one/Cargo.lock", "another");
    fixture.check("one", None, "one", &Why::Directory);
}

#[test]
fn what_is_wanted_holds_no_secret() {
    let mut fixture = Fixture::with_repository();
    fixture.git(
        "a",
        "remote add origin https://me:hunter2@example.org/x/y.git",
    );
    fixture.var("RUSTFLAGS", "--cfg=hunter2");
    fixture.var("CARGO_PROFILE_DEV_DEBUG", "hunter2");
    let wanted = fixture.wanted("a", "build", None);
    assert_eq!(wanted.git.as_ref().unwrap().origin, b"example.org/x/y");
    assert!(!format!("{wanted:?}").contains("hunter2"));
}

#[test]
fn a_project_is_the_same_in_each_of_its_clones() {
    let fixture = Fixture::with_repository();
    fixture.clone("--no-tags", "one");
    fixture.clone("--depth=1", "two");
    let project = |dir: &str| fixture.wanted(dir, "build", None).project;
    assert_eq!(project("one"), project("two"));
    assert_ne!(project("one"), project("a"));
    let inside = PathBuf::from("one/inside");
    rekindle_fsx::create_dir_all(&fixture.path("one/inside")).unwrap();
    assert_ne!(project(inside.to_str().unwrap()), project("one"));
}

/// What macros and build scripts are given as `PATH`, by cargo in another `CARGO_HOME` than rustup's programs are in.
#[test]
fn the_proxies_put_the_programs_of_cargos_home_first() {
    let here = Toolchains::new();
    here.put("proxies/cargo", "proxy");
    here.executable("proxies/cargo");
    let cargo_home = here.dir.path().join("cargo-home");
    let cwd = &here.surroundings.cwd;
    let given = |surroundings: &Surroundings| {
        let config = CargoConfig::read(surroundings, cwd, &[]);
        let given = crate::given::environment(surroundings, &config, (cwd, &cargo_home));
        let dirs = std::env::split_paths(given.get("PATH").unwrap());
        dirs.collect::<Vec<_>>()
    };
    let proxies = here.dir.path().join("proxies");
    let found = given(&here.surroundings);
    assert_eq!(found, [cargo_home.join("bin"), proxies.clone()]);
    // A cargo that no rustup started hands on what it was given.
    std::fs::remove_file(proxies.join("rustup")).unwrap();
    assert_eq!(given(&here.surroundings), [proxies]);
}
