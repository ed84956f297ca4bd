//! Which file cargo finds newest.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rekindle_snapshot::rehash::{self, Rules};

use crate::support::{Scratch, command, commit};

/// The text that cargo recorded for a package's documentation; that for a silent build script is made alike,
/// but takes a link.
fn recorded_by_cargo(root: &Path, package: &str) -> String {
    let fingerprints = root.join("target/debug/.fingerprint");
    let of_package = |name: &std::ffi::OsStr| {
        let name = name.to_str().unwrap();
        name.rsplit_once('-')
            .is_some_and(|(name, _)| name == package)
    };
    for name in rekindle_fsx::list_names(&fingerprints).unwrap() {
        let json = fingerprints
            .join(&name)
            .join(format!("doc-lib-{package}.json"));
        if !of_package(&name) || !json.exists() {
            continue;
        }
        let json: serde_json::Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
        return json["local"][0]["Precalculated"]
            .as_str()
            .unwrap()
            .to_owned();
    }
    panic!("no documentation of {package}");
}

fn ours(root: &Path, package: &str) -> String {
    let package = root.join(package);
    let rules = Rules::of(&package, root).unwrap().unwrap();
    rehash::newest_file(&package, &rules).unwrap().unwrap()
}

/// Has cargo write down the newest files of all packages. What rustdoc would make is of no interest.
fn document(root: &Path) {
    let arguments = ["doc", "--no-deps", "--workspace", "--offline"];
    let mut document = command("cargo", root, &arguments);
    let output = document.env("RUSTDOC", "true").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

/// Random numbers that are the same each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        // Knuth's MMIX; the upper bits are the good ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }

    fn pick<'a>(&mut self, among: &[&'a str]) -> &'a str {
        let index = usize::try_from(self.below(among.len() as u64)).unwrap();
        among[index]
    }

    fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}

const DIRS: &[&str] = &[
    "",
    "",
    "src",
    "zeta",
    "alpha",
    "alpha/beta",
    ".dots",
    "target",
    "src/target",
    "skipped",
    "kept/deep",
    "node/modules/deep",
    "inner",
    "inner/src",
];
const NAMES: &[&str] = &[
    "a.rs",
    "b.txt",
    "c.log",
    ".hidden",
    "Cargo.lock",
    "zz",
    "0",
    "build-notes",
    "ö.txt",
    "with space",
    "x.rs",
];

/// A package with whatever cargo's rules tell apart.
fn random_package(scratch: &Scratch, dice: &mut Dice, name: &str) {
    let rules = dice.pick(&[
        "",
        "",
        "",
        "exclude=['*.log','/alpha','.hidden']",
        "exclude=['target','!zz','deep/']",
        "include=['src/**','alpha','!alpha/beta','*.txt']",
        "include=['/kept','.hidden','target/','inner']",
        "include=['*']",
    ]);
    let manifest = format!("[package]\nname='{name}'\nversion='0.1.0'\nedition='2021'\n{rules}");
    scratch.put(&format!("ws/{name}/Cargo.toml"), &manifest);
    scratch.put(&format!("ws/{name}/src/lib.rs"), "");
    for _ in 0..dice.below(24) {
        let (dir, file) = (dice.pick(DIRS), dice.pick(NAMES));
        scratch.put(&format!("ws/{name}/{dir}/{file}"), "x");
    }
    if dice.once_in(3) {
        let nested = format!("[package]\nname='{name}-inner'\nversion='0.1.0'\n[workspace]\n");
        scratch.put(&format!("ws/{name}/inner/Cargo.toml"), &nested);
    }
    if dice.once_in(2) {
        let ignored = dice.pick(&[
            "*.log\n/alpha\n",
            "deep\n!zz\n.hidden\n",
            "target/\ninner/\nCargo.lock\n",
        ]);
        scratch.put(&format!("ws/{name}/.gitignore"), ignored);
    }
    let links = [
        ("link-to-file", "src/lib.rs"),
        ("link-to-dir", "../outside"),
        ("link-to-nothing", "nothing"),
        ("link-to-itself", "."),
    ];
    for (link, target) in links {
        if dice.once_in(3) {
            std::os::unix::fs::symlink(target, scratch.path(&format!("ws/{name}/{link}"))).unwrap();
        }
    }
    if dice.once_in(3) {
        scratch.put(&format!("ws/{name}/other-repository/f.txt"), "x");
        scratch.put(&format!("ws/{name}/other-repository/g.log"), "x");
        if dice.once_in(2) {
            commit(&scratch.path(&format!("ws/{name}/other-repository")));
        }
    }
    if dice.once_in(3) {
        commit(&scratch.path(&format!("ws/{name}")));
        scratch.put(&format!("ws/{name}/untracked.txt"), "x");
        scratch.put(&format!("ws/{name}/untracked.log"), "x");
    }
}

/// Gives all files a few times, so that many have the same.
fn few_times(dice: &mut Dice, root: &Path) {
    let base = SystemTime::UNIX_EPOCH + Duration::new(1_700_000_000, 5);
    let ticks = 1 + dice.below(3);
    let mut files = rekindle_fsx::walk_files(root).unwrap();
    files.sort_by(|one, other| one.path.cmp(&other.path));
    for file in files {
        let file = File::options().append(true).open(&file.path).unwrap();
        let time = base + Duration::from_millis(4 * dice.below(ticks));
        file.set_modified(time).unwrap();
    }
}

/// Compares with cargo for packages made from `seed`; in a repository of the whole workspace, or without.
fn check_random(seed: u64, packages: u64, with_git: bool) {
    let scratch = Scratch::new();
    let mut dice = Dice(seed);
    let root = scratch.path("ws");
    let names: Vec<String> = (0..packages).map(|number| format!("p{number}")).collect();
    let members: Vec<String> = names.iter().map(|name| format!("'{name}'")).collect();
    let manifest = format!(
        "[workspace]\nresolver='2'\nmembers=[{}]\n",
        members.join(",")
    );
    scratch.put("ws/Cargo.toml", &manifest);
    scratch.put("ws/.gitignore", "/target\n");
    scratch.put("ws/outside/shared.txt", "x");
    scratch.put("ws/outside/below/more.txt", "x");
    for name in &names {
        random_package(&scratch, &mut dice, name);
    }
    if with_git {
        commit(&root);
        for name in &names {
            scratch.put(&format!("ws/{name}/added-later.txt"), "x");
            if dice.once_in(3) {
                let _ = fs::remove_file(root.join(name).join("inner/Cargo.toml"));
            }
        }
    }
    for name in &names {
        few_times(&mut dice, &root.join(name));
    }
    document(&root);
    for name in &names {
        let cargos = recorded_by_cargo(&root, name);
        let context = format!("package {name} of seed {seed}, git: {with_git}");
        assert_eq!(ours(&root, name), cargos, "{context}");
    }
}

#[test]
fn the_newest_file_of_random_packages_is_cargos() {
    check_random(1, 40, false);
}

#[test]
fn the_newest_file_of_random_packages_in_a_repository_is_cargos() {
    check_random(2, 40, true);
}

/// A workspace with one package, a repository of its own.
struct One {
    scratch: Scratch,
}

impl One {
    fn new(rules: &str) -> Self {
        let scratch = Scratch::new();
        scratch.put(
            "ws/Cargo.toml",
            "[workspace]\nresolver='2'\nmembers=['one']\n",
        );
        let manifest = format!("[package]\nname='one'\nversion='0.1.0'\nedition='2021'\n{rules}");
        scratch.put("ws/one/Cargo.toml", &manifest);
        scratch.put("ws/one/src/lib.rs", "");
        Self { scratch }
    }

    fn put(&self, names: &[&str]) -> &Self {
        for name in names {
            let text = if name.ends_with("Cargo.toml") {
                "[package]\nname='inner'\nversion='0.1.0'\n[workspace]\n"
            } else {
                "*.log\n"
            };
            self.scratch.put(&format!("ws/one/{name}"), text);
        }
        self
    }

    fn commit(&self, below: &str) -> &Self {
        commit(&self.scratch.path("ws/one").join(below));
        self
    }

    fn remove(&self, name: &str) -> &Self {
        fs::remove_file(self.scratch.path("ws/one").join(name)).unwrap();
        self
    }

    /// Compares with cargo when the first of these files is the newest, the second the next, and so on; cargo
    /// is to take `expected`.
    fn check(&self, by_age: &[&str], expected: &str) {
        let root = self.scratch.path("ws");
        let package = root.join("one");
        let base = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        for file in rekindle_fsx::walk_files(&package).unwrap() {
            let name = file.path.strip_prefix(&package).unwrap().to_str().unwrap();
            let place = by_age.iter().position(|known| *known == name);
            let younger = place.map_or(0, |place| 100 - u64::try_from(place).unwrap());
            let opened = File::options().append(true).open(&file.path).unwrap();
            opened
                .set_modified(base + Duration::from_secs(younger))
                .unwrap();
        }
        document(&root);
        let cargos = recorded_by_cargo(&root, "one");
        assert!(cargos.ends_with(&format!("({expected})")), "{cargos}");
        assert_eq!(ours(&root, "one"), cargos);
    }
}

#[test]
fn a_lock_file_counts_in_a_repository_if_it_is_tracked() {
    let one = One::new("");
    one.commit("")
        .put(&["Cargo.lock"])
        .check(&["Cargo.lock", "src/lib.rs"], "src/lib.rs");
    let one = One::new("");
    one.put(&["Cargo.lock"])
        .commit("")
        .check(&["Cargo.lock", "src/lib.rs"], "Cargo.lock");
    let one = One::new("");
    one.put(&["Cargo.lock"])
        .check(&["Cargo.lock", "src/lib.rs"], "Cargo.lock");
}

#[test]
fn a_directory_named_target_counts_as_far_as_it_is_tracked() {
    let ages = ["target/made", "target/kept", "src/lib.rs"];
    let one = One::new("");
    one.put(&["target/kept"])
        .commit("")
        .put(&["target/made"])
        .check(&ages, "target/kept");
    One::new("")
        .put(&["target/made"])
        .check(&ages, "src/lib.rs");
    let one = One::new("");
    one.put(&["src/target/made"])
        .check(&["src/target/made"], "src/target/made");
}

#[test]
fn a_package_inside_is_one_if_git_lists_its_manifest() {
    let inner = ["inner/Cargo.toml", "inner/f"];
    let ages = ["inner/f", "inner/Cargo.toml", "src/lib.rs"];
    One::new("").put(&inner).check(&ages, "src/lib.rs");
    One::new("")
        .put(&inner)
        .commit("")
        .check(&ages, "src/lib.rs");
    One::new("")
        .commit("")
        .put(&inner)
        .check(&ages, "src/lib.rs");
    let deleted = One::new("");
    deleted
        .put(&inner)
        .commit("")
        .remove("inner/Cargo.toml")
        .check(&ages, "inner/f");
    let ignored = One::new("");
    ignored.scratch.put("ws/one/.gitignore", "inner/Cargo.toml");
    ignored.put(&inner).commit("").check(&ages, "inner/f");
}

#[test]
fn another_repository_inside_counts_without_what_it_ignores() {
    let files = ["other/a.log", "other/b.txt", "other/.gitignore"];
    let ages = ["other/.git/index", "other/a.log", "other/b.txt"];
    One::new("")
        .commit("")
        .put(&files)
        .commit("other")
        .check(&ages, "other/b.txt");
    let submodule = One::new("");
    submodule
        .put(&files)
        .commit("other")
        .commit("")
        .check(&ages, "other/b.txt");
    let package = One::new("");
    package
        .commit("")
        .put(&files)
        .put(&["other/Cargo.toml"])
        .commit("other");
    package.check(&["other/b.txt", "src/lib.rs"], "src/lib.rs");
}

#[test]
fn a_repository_without_the_manifest_is_not_asked() {
    let one = One::new("");
    one.commit("src")
        .check(&[".hidden", "src/lib.rs"], "src/lib.rs");
    let one = One::new("");
    one.scratch.put("ws/one/.gitignore", "Cargo.toml\n*.txt\n");
    one.commit("")
        .put(&["a.txt", ".hidden"])
        .check(&[".hidden", "a.txt"], "a.txt");
}

#[test]
fn what_git_ignores_counts_if_patterns_include_it() {
    let one = One::new("include=['*.log','src']");
    one.put(&[".gitignore", "a.log", "b.txt"])
        .commit("")
        .check(&["b.txt", "a.log"], "a.log");
    let one = One::new("exclude=['b.txt']");
    one.put(&[".gitignore", "a.log", "b.txt"])
        .commit("")
        .check(&["b.txt", "a.log", "src/lib.rs"], "src/lib.rs");
}

#[test]
fn a_listing_has_every_file_that_counts() {
    let one = One::new("exclude=['b.txt']");
    one.put(&[
        ".gitignore",
        "a.log",
        "b.txt",
        "c.txt",
        "inner/Cargo.toml",
        "inner/f",
    ])
    .commit("");
    let root = one.scratch.path("ws");
    let rules = Rules::of(&root.join("one"), &root).unwrap().unwrap();
    let listing = rehash::list(&root.join("one"), &rules).unwrap().unwrap();
    let names: Vec<&str> = listing
        .files
        .iter()
        .map(|file| file.to_str().unwrap())
        .collect();
    assert_eq!(names, [".gitignore", "Cargo.toml", "c.txt", "src/lib.rs"]);
}

#[test]
fn a_repository_that_git_cannot_read_gives_nothing() {
    let one = One::new("");
    one.commit("");
    one.scratch.put("ws/one/.git/index", "not an index");
    let root = one.scratch.path("ws");
    let rules = Rules::of(&root.join("one"), &root).unwrap().unwrap();
    assert_eq!(
        rehash::newest_file(&root.join("one"), &rules).unwrap(),
        None
    );
}
