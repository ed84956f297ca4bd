//! Fingerprints rewritten for a fresh checkout, and what cargo says of them.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rekindle_snapshot::rehash::{self, Present, Recorded, Rewritten, Rules};

use crate::support::{Scratch, command, commit, run, skip};

/// A build script that declares nothing, and makes a file that the crate includes.
const SILENT: &str = r#"fn main() {
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR").unwrap());
    std::fs::write(out.join("made.rs"), "pub const MADE: u32 = 7;").unwrap();
}"#;
const USES_MADE: &str = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));";

/// A workspace: programs and tests above a library above a library with a silent build script, and a build
/// script that uses another such library.
fn workspace(scratch: &Scratch) {
    let manifest = |name: &str, rest: &str| {
        let text = format!("[package]\nname='{name}'\nversion='0.1.0'\nedition='2021'\n{rest}");
        scratch.put(&format!("ws/{name}/Cargo.toml"), &text);
    };
    let members = "[workspace]\nresolver='2'\nmembers=['base','middle','helper','top']\n";
    scratch.put("ws/Cargo.toml", members);
    scratch.put("ws/.gitignore", "/target\n*.log\n");
    for silent in ["base", "helper"] {
        manifest(silent, "");
        scratch.put(&format!("ws/{silent}/build.rs"), SILENT);
        scratch.put(&format!("ws/{silent}/src/lib.rs"), USES_MADE);
        scratch.put(&format!("ws/{silent}/data/one.txt"), "1");
    }
    manifest("middle", "[dependencies]\nbase={path='../base'}");
    scratch.put(
        "ws/middle/src/lib.rs",
        "pub fn made() -> u32 { base::MADE }",
    );
    manifest(
        "top",
        "[dependencies]\nmiddle={path='../middle'}\n[build-dependencies]\nhelper={path='../helper'}",
    );
    let declares = "fn main() { println!(\"cargo::rerun-if-changed=build.rs\"); assert_eq!(helper::MADE, 7); }";
    scratch.put("ws/top/build.rs", declares);
    scratch.put(
        "ws/top/src/lib.rs",
        "pub fn top() -> u32 { middle::made() }",
    );
    scratch.put(
        "ws/top/src/main.rs",
        "fn main() { println!(\"{}\", top::top()) }",
    );
    let test = "#[test] fn seven() { assert_eq!(top::top(), 7) }";
    scratch.put("ws/top/tests/it.rs", test);
    scratch.put(
        "ws/top/examples/shown.rs",
        "fn main() { assert_eq!(top::top(), 7) }",
    );
}

/// One fingerprint on disk.
struct Stored {
    package: String,
    id: String,
    hash_name: String,
    /// Of the file with the hash, relative to the target directory.
    path: PathBuf,
    hash: Vec<u8>,
    json: Vec<u8>,
}

impl Stored {
    fn recorded(&self) -> Recorded<'_> {
        Recorded {
            id: &self.id,
            hash_name: &self.hash_name,
            hash: &self.hash,
            json: &self.json,
        }
    }

    /// All below a target directory, of both layouts.
    fn below(target: &Path) -> Vec<Self> {
        let files = rekindle_fsx::walk_files(target).unwrap().into_iter();
        files
            .filter_map(|file| Self::at(target, &file.path))
            .collect()
    }

    fn at(target: &Path, json: &Path) -> Option<Self> {
        let dir = json.parent()?;
        let name = |path: &Path| Some(path.file_name()?.to_str()?.to_owned());
        let (package, id) = if name(dir)? == "fingerprint" {
            (name(dir.parent()?.parent()?)?, name(dir.parent()?)?)
        } else if name(dir.parent()?)? == ".fingerprint" {
            let (package, id) = name(dir)?
                .rsplit_once('-')
                .map(|(p, i)| (p.to_owned(), i.to_owned()))?;
            (package, id)
        } else {
            return None;
        };
        let path = json.with_extension("");
        if json.extension()? != "json" {
            return None;
        }
        Some(Self {
            package,
            id,
            hash_name: name(&path)?,
            hash: fs::read(&path).ok().filter(|hash| !hash.is_empty())?,
            json: fs::read(json).ok()?,
            path: path.strip_prefix(target).ok()?.to_owned(),
        })
    }
}

/// cargo commands, each with its own arguments.
type Commands<'a> = &'a [&'a [&'a str]];

/// What cargo said of the units: lines with its verbs, as in `Fresh` and `Dirty`.
fn build(root: &Path, commands: Commands<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for arguments in commands {
        let mut with_all = arguments.to_vec();
        with_all.extend(["--offline", "-v"]);
        let said = run("cargo", root, &with_all);
        lines.extend(said.lines().map(|line| line.trim().to_owned()));
    }
    lines
}

/// The lines that say that something was done.
fn not_fresh(lines: &[String]) -> Vec<&str> {
    // The last is said of other tests' cargo.
    let quiet = [
        "Fresh ",
        "Finished ",
        "Executable ",
        "Generated ",
        "Blocking ",
    ];
    let loud = |line: &&str| !line.is_empty() && !quiet.iter().any(|word| line.starts_with(word));
    assert!(
        lines.iter().any(|line| line.starts_with("Fresh ")),
        "{lines:?}"
    );
    lines.iter().map(String::as_str).filter(loud).collect()
}

/// Copies a directory as an archive is unpacked, so that all files are new.
fn unpack(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for (name, kind) in rekindle_fsx::list_in_order(from).unwrap() {
        let (from, to) = (from.join(&name), to.join(&name));
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&from).unwrap(), &to).unwrap();
        } else if kind.is_file() {
            fs::write(&to, fs::read(&from).unwrap()).unwrap();
        } else if name != "target" {
            unpack(&from, &to);
        }
    }
}

/// Puts the workspace aside and makes it anew at the same place, without its target directory.
fn fresh_checkout(scratch: &Scratch) {
    let (root, old) = (scratch.path("ws"), scratch.path("old"));
    fs::rename(&root, &old).unwrap();
    if old.join(".git").exists() {
        let parent = root.parent().unwrap().to_owned();
        run("git", &parent, &["clone", "-q", "--no-local", "old", "ws"]);
    } else {
        unpack(&old, &root);
    }
}

/// Restores the target directory that was put aside, with one time for all of its files.
fn restore(scratch: &Scratch, rewritten: &Rewritten, stored: &[Stored]) {
    let (root, old) = (scratch.path("ws"), scratch.path("old"));
    let sources = rekindle_fsx::walk_files(&root).unwrap();
    let newest = sources
        .iter()
        .map(|file| file.path.metadata().unwrap().modified().unwrap());
    let newest: SystemTime = newest.max().unwrap();
    let target = root.join("target");
    run("cp", &old, &["-a", "target", target.to_str().unwrap()]);
    for changed in &rewritten.changed {
        let file = target.join(&stored[changed.index].path);
        fs::write(&file, &changed.hash).unwrap();
        fs::write(file.with_extension("json"), &changed.json).unwrap();
    }
    for file in rekindle_fsx::walk_files(&target).unwrap() {
        let file = File::options().append(true).open(&file.path).unwrap();
        file.set_modified(newest).unwrap();
    }
}

/// What a restore does: asks for the newest files of this checkout's packages.
fn rewrite(root: &Path, stored: &[Stored]) -> Rewritten {
    let recorded: Vec<Recorded<'_>> = stored.iter().map(Stored::recorded).collect();
    rehash::rewrite(&recorded, &Checkout { root, stored })
}

struct Checkout<'a> {
    root: &'a Path,
    stored: &'a [Stored],
}

impl Present for Checkout<'_> {
    fn newest(&self, unit: &Recorded<'_>, _old: &str) -> Option<String> {
        let mut stored = self.stored.iter();
        let unit = stored.find(|stored| stored.id == unit.id).unwrap();
        let package = self.root.join(&unit.package);
        let rules = Rules::of(&package, self.root).unwrap().unwrap();
        rehash::newest_file(&package, &rules).unwrap()
    }

    fn moved(&self, _unit: &Recorded<'_>) -> Option<(PathBuf, PathBuf)> {
        None
    }
}

/// Builds, checks out afresh, restores with rewritten fingerprints, and compares what cargo then does with
/// nothing at all.
fn check_fresh(scratch: &Scratch, commands: Commands<'_>) {
    build(&scratch.path("ws"), commands);
    fresh_checkout(scratch);
    let stored = Stored::below(&scratch.path("old/target"));
    let rewritten = rewrite(&scratch.path("ws"), &stored);
    assert_eq!(rewritten.lost, []);
    assert!(!rewritten.changed.is_empty());
    restore(scratch, &rewritten, &stored);
    for _ in 0..2 {
        let said = build(&scratch.path("ws"), commands);
        assert_eq!(not_fresh(&said), Vec::<&str>::new());
    }
}

const BUILD: &[&str] = &["build"];
const TEST: &[&str] = &["test", "--no-run"];
const EXAMPLES: &[&str] = &["build", "--examples"];

#[test]
fn without_git_everything_is_fresh() {
    let scratch = Scratch::new();
    workspace(&scratch);
    scratch.put("ws/base/.hidden", "the newest, and not counted");
    check_fresh(
        &scratch,
        &[BUILD, TEST, EXAMPLES, &["check"], &["doc", "--no-deps"]],
    );
}

#[test]
fn with_git_everything_is_fresh() {
    let scratch = Scratch::new();
    workspace(&scratch);
    scratch.put("ws/base/.hidden", "counted here");
    commit(&scratch.path("ws"));
    check_fresh(&scratch, &[BUILD, TEST, EXAMPLES]);
}

#[test]
fn with_patterns_in_the_manifest_everything_is_fresh() {
    let scratch = Scratch::new();
    workspace(&scratch);
    let patterns =
        "[package]\nname='base'\nversion='0.1.0'\nedition='2021'\ninclude=['src/**','/build.rs']";
    scratch.put("ws/base/Cargo.toml", patterns);
    let patterns = "[package]\nname='helper'\nversion='0.1.0'\nedition='2021'\nexclude=['data']";
    scratch.put("ws/helper/Cargo.toml", patterns);
    commit(&scratch.path("ws"));
    check_fresh(&scratch, &[BUILD, TEST]);
}

#[test]
fn packages_inside_packages_are_not_counted() {
    for with_git in [false, true] {
        let scratch = Scratch::new();
        workspace(&scratch);
        let nested = "[package]\nname='nested'\nversion='0.1.0'\n[workspace]\n";
        scratch.put("ws/base/aaa/nested/Cargo.toml", nested);
        scratch.put("ws/base/aaa/nested/src/lib.rs", "");
        if with_git {
            commit(&scratch.path("ws"));
        }
        check_fresh(&scratch, &[BUILD]);
    }
}

#[test]
fn with_a_target_of_its_own_the_trees_go_together() {
    let scratch = Scratch::new();
    workspace(&scratch);
    let version = command("rustc", Path::new("/"), &["-vV"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .unwrap();
    check_fresh(&scratch, &[&["build", "--target", host]]);
}

#[test]
fn the_layout_of_cargo_1_100_is_fresh_too() {
    let there = command("cargo", Path::new("/"), &["+nightly", "--version"]).output();
    if !there.is_ok_and(|output| output.status.success()) {
        return skip(
            "the_layout_of_cargo_1_100_is_fresh_too",
            "there is no `cargo +nightly`",
        );
    }
    let scratch = Scratch::new();
    workspace(&scratch);
    let build = ["+nightly", "build", "-Zbuild-dir-new-layout"];
    let test = ["+nightly", "test", "--no-run", "-Zbuild-dir-new-layout"];
    check_fresh(&scratch, &[&build, &test]);
}

/// The restore alone does not make them fresh, or the tests here would show nothing.
#[test]
fn without_rewriting_what_depends_on_the_scripts_is_dirty() {
    let scratch = Scratch::new();
    workspace(&scratch);
    build(&scratch.path("ws"), &[BUILD]);
    fresh_checkout(&scratch);
    restore(&scratch, &Rewritten::default(), &[]);
    let said = build(&scratch.path("ws"), &[BUILD]);
    for package in ["base", "middle", "helper", "top"] {
        let dirty = format!("Dirty {package} ");
        assert!(said.iter().any(|line| line.starts_with(&dirty)), "{said:?}");
    }
}

/// A wrong text, a fingerprint of another form: cargo builds, and what it builds is right.
#[test]
fn what_cannot_be_kept_is_built() {
    let scratch = Scratch::new();
    workspace(&scratch);
    build(&scratch.path("ws"), &[BUILD]);
    fresh_checkout(&scratch);
    let root = scratch.path("ws");
    let mut stored = Stored::below(&scratch.path("old/target"));
    let of_middle = stored
        .iter_mut()
        .find(|unit| unit.package == "middle")
        .unwrap();
    of_middle.json.insert(1, b' ');
    let rewritten = rewrite(&root, &stored);
    assert!(!rewritten.lost.is_empty());
    restore(&scratch, &rewritten, &stored);
    let said = build(&root, &[BUILD]);
    let dirty = |package: &str| {
        said.iter()
            .any(|line| line.starts_with(&format!("Dirty {package} ")))
    };
    assert!(dirty("middle") && dirty("top"), "{said:?}");
    assert!(!dirty("base") && !dirty("helper"), "{said:?}");
}

/// Every fingerprint that cargo made of this very workspace hashes to what cargo says.
#[test]
#[allow(
    clippy::print_stdout,
    reason = "how many, for who asks with --nocapture"
)]
fn the_hash_is_that_of_cargo_for_hundreds_of_units() {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap();
    let stored = Stored::below(target);
    let (mut same, mut strange) = (0, Vec::new());
    for unit in &stored {
        match rehash::hash_of(&unit.json) {
            Some(hash) => {
                assert_eq!(hash, unit.hash, "{}", unit.path.display());
                same += 1;
            }
            None => strange.push(&unit.path),
        }
    }
    println!("{same} fingerprints hash to what cargo recorded; of another form: {strange:?}");
    assert!(same >= 20, "{same} of {}", stored.len());
    assert!(strange.is_empty(), "{strange:?}");
}
