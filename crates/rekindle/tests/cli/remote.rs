//! Machines that share a remote and nothing else.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::incremental::has_reflinks;
use crate::project::{Done, Project};
use crate::snapshots::{commit, git, workspace};

/// What the programs of [`workspace`] print.
pub(crate) const OUTPUT: &str = "one!\n";

/// A machine: a store and a home of cargo's that are its own, and a checkout.
pub(crate) struct Machine<'a> {
    pub(crate) project: &'a Project,
    name: &'a str,
    checkout: PathBuf,
    variables: Vec<(&'static str, String)>,
}

impl<'a> Machine<'a> {
    /// An empty machine with a clone of the project at `checkout`.
    pub(crate) fn new(project: &'a Project, name: &'a str, checkout: &str) -> Self {
        let checkout = project.path(checkout);
        let _ = std::fs::remove_dir_all(&checkout);
        let _ = std::fs::remove_dir_all(project.path(name));
        git(project, &["clone", "-q", ".", checkout.to_str().unwrap()]);
        std::fs::create_dir_all(project.path(name)).unwrap();
        Self {
            project,
            name,
            checkout,
            variables: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, variable: &'static str, value: &str) -> Self {
        self.variables.push((variable, value.to_owned()));
        self
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self
            .project
            .command(env!("CARGO_BIN_EXE_rekindle"), arguments);
        let remote = format!("file://{}", self.project.path("remote").display());
        command
            .current_dir(&self.checkout)
            .env("REKINDLE_DIR", self.path("store"))
            .env("CARGO_HOME", self.path("cargo"))
            .env("REKINDLE_SNAPSHOT", "1")
            .env("REKINDLE_REMOTE", remote)
            .env("REKINDLE_REMOTE_MODE", "read-write")
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        command
    }

    fn path(&self, below: &str) -> PathBuf {
        self.project.path(self.name).join(below)
    }

    pub(crate) fn build(&self) -> Done {
        let done: Done = self.command(&["build"]).output().unwrap().into();
        done.ok()
    }

    pub(crate) fn stats(&self) -> Value {
        let mut command = self.command(&["stats", "--format", "json"]);
        let done: Done = command.output().unwrap().into();
        serde_json::from_str(&done.ok().stdout).unwrap()
    }

    pub(crate) fn output(&self) -> String {
        let program = Command::new(self.checkout.join("target/debug/app")).output();
        String::from_utf8(program.unwrap().stdout).unwrap()
    }

    fn edit(&self, file: &str, text: &str) {
        std::fs::write(self.checkout.join(file), text).unwrap();
    }
}

fn number(stats: &Value, pointer: &str) -> u64 {
    let value = stats.pointer(pointer);
    value
        .and_then(Value::as_u64)
        .unwrap_or_else(|| panic!("no {pointer} in {stats}"))
}

/// Fresh, hits, misses, uncacheable.
fn fates(stats: &Value) -> [u64; 4] {
    ["fresh", "hit", "miss", "uncacheable"].map(|fate| number(stats, &format!("/units/{fate}")))
}

/// All that saves are made of; the history, of which each run is a part, apart.
pub(crate) fn blobs(project: &Project) -> Vec<PathBuf> {
    let mut pending = vec![project.path("remote")];
    let mut files = Vec::new();
    while let Some(dir) = pending.pop() {
        for entry in std::fs::read_dir(dir).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path)
            } else {
                files.push(path)
            }
        }
    }
    files.retain(|file| !file.starts_with(project.path("remote/history")));
    files.sort();
    files
}

/// What a run's row in the history takes at most.
const HISTORY_MAX_BYTES: u64 = 8 << 10;

fn bytes_of(project: &Project) -> u64 {
    let sizes = blobs(project)
        .into_iter()
        .map(|path| path.metadata().unwrap().len());
    sizes.sum()
}

/// A project that one machine has saved.
pub(crate) fn saved() -> Project {
    let project = workspace();
    let first = Machine::new(&project, "first", "first/src");
    first.build();
    let stats = first.stats();
    assert_eq!(number(&stats, "/remote/saved"), 1, "{stats}");
    assert!(number(&stats, "/remote/requests") <= 100, "{stats}");
    let of_history = number(&stats, "/remote/bytes_up") - bytes_of(&project);
    assert!((1..HISTORY_MAX_BYTES).contains(&of_history), "{of_history}");
    assert_eq!(first.output(), OUTPUT);
    project
}

#[test]
fn another_machine_in_another_directory_compiles_and_links_nothing() {
    let project = saved();
    let second = Machine::new(&project, "second", "second/src/elsewhere");
    second.build();
    let stats = second.stats();
    let [fresh, hits, misses, uncacheable] = fates(&stats);
    assert_eq!((misses, uncacheable), (0, 0), "{stats}");
    assert!(fresh + hits >= 3, "{stats}");
    assert_eq!(number(&stats, "/processes/linker"), 0, "{stats}");
    assert_eq!(number(&stats, "/processes/build_script"), 0, "{stats}");
    assert!(number(&stats, "/remote/requests") <= 20, "{stats}");
    assert_eq!(second.output(), OUTPUT);
}

#[test]
fn materialise_reads_what_a_build_would() {
    let project = saved();
    let second = Machine::new(&project, "second", "first/src");
    second.build();
    let materialise = |remote: Option<&str>| -> Done {
        let mut command = second.command(&["materialise"]);
        command.envs(remote.map(|remote| ("REKINDLE_REMOTE", remote)));
        command.env("REKINDLE_REMOTE_PATIENCE", "1s");
        command.output().unwrap().into()
    };
    // While the remote cannot be asked, nothing is given up.
    let failed = materialise(Some("redis://127.0.0.1:1"));
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    assert!(failed.stderr.contains("try again"), "{}", failed.stderr);
    materialise(None).ok();
    // So plain cargo has all that it needs.
    second.edit("app/src/main.rs", "fn main() { lib::word(); }");
    let mut cargo = project.command("cargo", &["build", "--offline"]);
    cargo.current_dir(&second.checkout);
    cargo.env("CARGO_HOME", second.path("cargo"));
    let built = Done::from(cargo.output().unwrap()).ok();
    assert!(built.stderr.contains("Compiling app"), "{}", built.stderr);
    assert!(!built.stderr.contains("Compiling lib"), "{}", built.stderr);
}

#[test]
fn another_machine_in_the_same_directory_finds_all_fresh_and_reads_little() {
    let project = saved();
    let second = Machine::new(&project, "second", "first/src");
    let before = blobs(&project);
    second.build();
    let stats = second.stats();
    let [fresh, others @ ..] = fates(&stats);
    assert_eq!(others, [0, 0, 0], "{stats}");
    assert!(fresh >= 3, "{stats}");
    assert!(number(&stats, "/remote/requests") <= 20, "{stats}");
    // The program, which people collect, and not the libraries.
    assert!(number(&stats, "/remote/bytes_unread") > 0, "{stats}");
    let up = number(&stats, "/remote/bytes_up");
    assert!(up < HISTORY_MAX_BYTES, "{stats}");
    assert_eq!(
        blobs(&project),
        before,
        "what is the same is not saved again"
    );
    assert_eq!(second.output(), OUTPUT);
}

#[test]
fn a_change_is_compiled_and_saved_alone() {
    let project = saved();
    let before = bytes_of(&project);
    project.put(
        "ws/app/src/main.rs",
        "fn main() { println!(\"{}{}2\", lib::word(), env!(\"MADE\")); }",
    );
    commit(&project, "second");
    let second = Machine::new(&project, "second", "second/src");
    second.build();
    let stats = second.stats();
    let [_, _, misses, uncacheable] = fates(&stats);
    assert_eq!((misses, uncacheable), (1, 0), "{stats}");
    assert_eq!(number(&stats, "/processes/linker"), 1, "{stats}");
    assert_eq!(second.output(), "one!2\n");
    assert!(bytes_of(&project) - before < before, "a save is a delta");
    // A third machine has it from both saves.
    let third = Machine::new(&project, "third", "third/src");
    third.build();
    let [_, _, misses, uncacheable] = fates(&third.stats());
    assert_eq!((misses, uncacheable), (0, 0));
    assert_eq!(third.output(), "one!2\n");
}

/// How many files were put in their places for the program's compile.
fn materialised(machine: &Machine<'_>) -> u64 {
    let runs = std::fs::read_dir(machine.path("store/v1/runs")).unwrap();
    let run = runs.last().unwrap().unwrap().path();
    let log = std::fs::read_to_string(run.join("events.jsonl")).unwrap();
    let mut events = log.lines().map(|line| serde_json::from_str(line).unwrap());
    let is_program = |event: &Value| event["crate_name"] == "app" && event["kind"] == "bin";
    number(&events.find(is_program).unwrap(), "/materialised")
}

#[test]
fn incremental_state_comes_to_the_compile_that_can_begin_with_it() {
    let project = workspace();
    // As on runners, where both are always at one path.
    let cargo_home = project.path("cargo").display().to_string();
    let machine = |name, checkout| {
        let machine = Machine::new(&project, name, checkout).with("CARGO_HOME", &cargo_home);
        machine.with("CARGO_INCREMENTAL", "1")
    };
    machine("first", "first/src").build();
    let edited = |word: &str| {
        let main =
            format!("fn main() {{ println!(\"{{}}{{}}{word}\", lib::word(), env!(\"MADE\")); }}");
        project.put("ws/app/src/main.rs", &main);
        commit(&project, word);
    };

    edited("2");
    let same_place = machine("second", "first/src");
    same_place.build();
    assert_eq!(same_place.output(), "one!2\n");
    let with_state = materialised(&same_place);

    edited("3");
    let elsewhere = machine("third", "third/src");
    elsewhere.build();
    assert_eq!(elsewhere.output(), "one!3\n");
    let without = materialised(&elsewhere);
    // A session's graph, its results, its products and at least one object.
    assert!(with_state >= without + 4, "{without} and {with_state}");
}

#[test]
fn libraries_from_afar_are_linked_to_their_places_and_fresh() {
    let project = workspace();
    let cargo_home = project.path("cargo").display().to_string();
    let machine = |name| Machine::new(&project, name, "src").with("CARGO_HOME", &cargo_home);
    machine("first").build();
    project.put(
        "ws/app/src/main.rs",
        "fn main() { println!(\"{}{}2\", lib::word(), env!(\"MADE\")); }",
    );
    commit(&project, "second");
    let second = machine("second");
    second.build();
    let deps = rekindle_fsx::list_dir(&second.checkout.join("target/debug/deps")).unwrap();
    for ending in ["rlib", "rmeta"] {
        let is_library = |file: &&rekindle_fsx::DirEntry| {
            let name = file.path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("liblib-") && name.ends_with(ending)
        };
        let library = deps.iter().find(is_library).unwrap();
        let links = if has_reflinks(&project) { 1 } else { 2 };
        assert_eq!(library.sig.nlink, links, "{}", library.path.display());
    }
    second.build();
    let [_, hits, misses, uncacheable] = fates(&second.stats());
    assert_eq!((hits, misses, uncacheable), (0, 0, 0));
    assert_eq!(second.output(), "one!2\n");
}

/// Writes into what its unit has already, as rustc, which replaces it, does not; then starts the compiler.
const WRITES_IN_PLACE: &str = r#"#!/bin/sh
if [ "${1#-}" != "$1" ] || [ "$1" = - ]; then set -- rustc "$@"; fi
for argument; do
    case $before in --out-dir) out=$argument ;; --crate-name) name=$argument ;; esac
    before=$argument
done
if [ "$name" = lib ]; then
    for file in "$out"/liblib-*.rlib "$out"/liblib-*.rmeta; do
        if [ -f "$file" ]; then echo changed >> "$file"; fi
    done
fi
exec "$@"
"#;

#[test]
fn a_compiler_does_not_find_the_stores_own_libraries_to_write_into() {
    // A wrapper that nobody knows makes units uncacheable; a compiler is known by its bytes.
    for variable in ["RUSTC_WRAPPER", "RUSTC"] {
        write_in_place(variable);
    }
}

fn write_in_place(variable: &str) {
    let project = workspace();
    let cargo_home = project.path("cargo").display().to_string();
    let machine = |name| Machine::new(&project, name, "src").with("CARGO_HOME", &cargo_home);
    machine("first").build();
    project.put("ws/app/src/main.rs", "fn main() { lib::word(); }");
    commit(&project, "second");
    let compiler = project.put_program("compiler", WRITES_IN_PLACE);
    let second = machine("second");
    // The program reads the library, so that both of its files are there.
    second.build();
    second.edit("lib/src/lib.rs", "pub fn word() {}");
    let mut build = second.command(&["build"]);
    build.env(variable, &compiler);
    Done::from(build.output().unwrap()).ok();
    let mut verify = second.command(&["cache", "verify"]);
    let done = Done::from(verify.output().unwrap()).ok();
    assert!(done.stdout.contains(" 0 damaged"), "{}", done.stdout);
}

#[test]
fn a_machine_that_was_just_born_knows_the_runs_of_others() {
    let project = saved();
    let rows = |machine: &Machine<'_>| {
        let mut command = machine.command(&["history", "--format", "csv"]);
        let done: Done = command.output().unwrap().into();
        done.ok().stdout.lines().count() - 1
    };
    let second = Machine::new(&project, "second", "second/src");
    assert_eq!(rows(&second), 1);
    // It has no history of its own before it builds, and adds to what there is.
    let third = Machine::new(&project, "third", "third/src");
    third.build();
    assert_eq!(rows(&third), 2);
    assert_eq!(rows(&second), 2);
    // What cannot be read is said, and not in the way.
    let lonely = Machine::new(&project, "lonely", "lonely/src")
        .with("REKINDLE_REMOTE", "redis://127.0.0.1:1")
        .with("REKINDLE_REMOTE_PATIENCE", "1s");
    let done: Done = lonely.command(&["history"]).output().unwrap().into();
    assert!(done.stderr.contains("not to be had"), "{}", done.stderr);
}

#[test]
fn a_reader_leaves_the_remote_as_it_is() {
    let project = saved();
    let before = blobs(&project);
    let second = Machine::new(&project, "second", "second/src");
    second.edit("app/src/main.rs", "fn main() { println!(\"other\"); }");
    let second = second.with("REKINDLE_REMOTE_MODE", "read-only");
    second.build();
    assert_eq!(number(&second.stats(), "/remote/found"), 1);
    assert_eq!(second.output(), "other\n");
    assert_eq!(blobs(&project), before);
    // Nor does who uses none at all, who finds nothing either.
    let third = Machine::new(&project, "third", "third/src").with("REKINDLE_REMOTE_MODE", "off");
    third.build();
    let stats = third.stats();
    assert!(stats.get("remote").is_none(), "{stats}");
    assert!(fates(&stats)[2] > 0, "{stats}");
    assert_eq!(blobs(&project), before);
}

#[test]
fn a_fork_does_not_write_whatever_it_says() {
    let project = saved();
    let before = blobs(&project);
    project.put(
        "event.json",
        r#"{"pull_request":{"head":{"repo":{"full_name":"them/it"}}}}"#,
    );
    let fork = Machine::new(&project, "second", "second/src")
        .with("GITHUB_ACTIONS", "true")
        .with("GITHUB_REPOSITORY", "us/it")
        .with("GITHUB_EVENT_NAME", "pull_request")
        .with(
            "GITHUB_EVENT_PATH",
            project.path("event.json").to_str().unwrap(),
        );
    fork.edit("app/src/main.rs", "fn main() { println!(\"poison\"); }");
    fork.build();
    assert_eq!(blobs(&project), before);
}

/// Whether a machine with this key finds what one with that key saved.
fn finds(writer: Option<&str>, reader: Option<&str>) -> bool {
    let project = workspace();
    let key = |machine: Machine<'_>, key: Option<&str>| match key {
        Some(key) => machine.with("REKINDLE_REMOTE_KEY", key).build(),
        None => machine.build(),
    };
    key(Machine::new(&project, "first", "first/src"), writer);
    let machine =
        Machine::new(&project, "second", "second/src").with("REKINDLE_REMOTE_MODE", "read-only");
    let done = key(machine, reader);
    let second = Machine {
        project: &project,
        name: "second",
        checkout: project.path("second/src"),
        variables: Vec::new(),
    };
    assert_eq!(second.output(), OUTPUT);
    let found = number(&second.stats(), "/remote/found") == 1;
    let is_warned = done.stderr.contains("is left alone");
    assert_eq!(found, !is_warned, "{}", done.stderr);
    found
}

#[test]
fn only_what_is_signed_by_the_key_is_taken() {
    let (one, other) = ("secret:0123456789abcdef", "secret:fedcba9876543210");
    assert!(finds(Some(one), Some(one)));
    assert!(!finds(None, Some(one)));
    assert!(!finds(Some(other), Some(one)));
}

/// What a damaged remote gives: a build that is right.
fn check_damaged(damage: impl Fn(&Path)) {
    let project = saved();
    for blob in blobs(&project) {
        damage(&blob);
    }
    let second = Machine::new(&project, "second", "second/src");
    second.build();
    assert_eq!(second.output(), OUTPUT);
    // What it saved makes the remote whole again, or at least leads to nothing wrong.
    let third = Machine::new(&project, "third", "third/src");
    third.build();
    assert_eq!(third.output(), OUTPUT);
}

#[test]
fn damaged_packs_are_noticed() {
    check_damaged(|path| {
        if path.to_str().unwrap().contains("/packs/") {
            let mut bytes = std::fs::read(path).unwrap();
            bytes
                .iter_mut()
                .skip(100)
                .step_by(1000)
                .for_each(|byte| *byte ^= 1);
            std::fs::write(path, bytes).unwrap();
        }
    });
}

#[test]
fn lost_packs_are_noticed() {
    check_damaged(|path| {
        if path.to_str().unwrap().contains("/packs/") {
            std::fs::remove_file(path).unwrap();
        }
    });
}

#[test]
fn damaged_indexes_and_tips_are_noticed() {
    check_damaged(|path| {
        if !path.to_str().unwrap().contains("/packs/") {
            std::fs::write(path, b"damaged").unwrap();
        }
    });
}

#[test]
fn a_remote_that_is_none_costs_a_warning() {
    let project = workspace();
    for address in ["file:///proc/nothing/here", "gopher://host/"] {
        let machine = Machine::new(&project, "first", "first/src").with("REKINDLE_REMOTE", address);
        let done = machine.build();
        assert!(done.stderr.contains("remote"), "{}", done.stderr);
        assert_eq!(machine.output(), OUTPUT);
    }
}

#[test]
fn two_who_save_at_once_both_succeed() {
    let project = workspace();
    let machines = [("first", "first/src"), ("second", "second/src")]
        .map(|(name, checkout)| Machine::new(&project, name, checkout));
    std::thread::scope(|scope| {
        for machine in &machines {
            scope.spawn(|| machine.build());
        }
    });
    for machine in &machines {
        assert_eq!(number(&machine.stats(), "/remote/saved"), 1);
    }
    let third = Machine::new(&project, "third", "third/src");
    third.build();
    let [_, _, misses, uncacheable] = fates(&third.stats());
    assert_eq!((misses, uncacheable), (0, 0));
    assert_eq!(third.output(), OUTPUT);
}

#[test]
fn two_jobs_of_one_commit_do_not_hide_each_others_units() {
    let project = workspace();
    // As images of one kind have it.
    let home = project.path("home");
    let home = home.to_str().unwrap();
    let of = |name, checkout| Machine::new(&project, name, checkout).with("CARGO_HOME", home);
    let words = [&["build"][..], &["test", "--no-run"][..]];
    let run = |machine: &Machine<'_>, words: &[&str], mode: &str| {
        let mut command = machine.command(words);
        let done: Done = command
            .env("REKINDLE_REMOTE_MODE", mode)
            .output()
            .unwrap()
            .into();
        done.ok();
    };
    for (name, words) in ["first", "second"].into_iter().zip(words) {
        // Neither knows of the other when it builds.
        let machine = of(name, "src");
        run(&machine, words, "off");
        run(&machine, &["cache", "push"], "read-write");
    }
    for words in words {
        let third = of("third", "src");
        run(&third, words, "read-only");
        // cargo's own count is not to be had of `test`.
        let stats = third.stats();
        let of = |fate| number(&stats, &format!("/units/{fate}"));
        assert_eq!(
            ["hit", "miss", "uncacheable"].map(of),
            [0, 0, 0],
            "{words:?}: {stats}"
        );
        assert_eq!(number(&stats, "/snapshot/units_invalidated"), 0, "{stats}");
    }
}

#[test]
fn a_remote_is_minded_by_hand() {
    let project = workspace();
    let first = Machine::new(&project, "first", "first/src").with("REKINDLE_REMOTE_MODE", "off");
    first.build();
    assert_eq!(blobs(&project), Vec::<PathBuf>::new());
    let hand = |machine: &Machine<'_>, words: &[&str]| -> Done {
        let mut command = machine.command(&[&["cache"], words].concat());
        let done = command.env("REKINDLE_REMOTE_MODE", "read-write").output();
        done.unwrap().into()
    };
    let json = |words: &[&str]| -> Value {
        let words = [words, &["--format", "json"]].concat();
        serde_json::from_str(&hand(&first, &words).ok().stdout).unwrap()
    };
    assert!(number(&json(&["push"]), "/objects") > 0);
    assert_eq!(
        number(&json(&["du", "--remote"]), "/total_bytes"),
        bytes_of(&project)
    );
    assert_eq!(number(&json(&["gc", "--remote"]), "/packs"), 0);
    assert!(number(&json(&["verify", "--remote"]), "/blobs") > 2);
    // To another provider, and from there to another machine, which then needs no remote any more.
    let of = |name: &str| format!("file://{}", project.path(name).display());
    json(&["copy", &of("remote"), &of("moved")]);
    std::fs::remove_dir_all(project.path("remote")).unwrap();
    std::fs::rename(project.path("moved"), project.path("remote")).unwrap();
    let second = Machine::new(&project, "second", "first/src").with("REKINDLE_REMOTE_MODE", "off");
    hand(&second, &["pull", "--objects"]).ok();
    second.build();
    let [fresh, others @ ..] = fates(&second.stats());
    assert!(fresh >= 3 && others == [0, 0, 0]);
    assert_eq!(second.output(), OUTPUT);
    let pack = blobs(&project)
        .into_iter()
        .find(|path| path.to_str().unwrap().contains("/packs/"));
    std::fs::write(pack.unwrap(), b"damaged").unwrap();
    assert_eq!(hand(&first, &["verify", "--remote"]).code, Some(1));
    let reader = first
        .command(&["cache", "gc", "--remote"])
        .env("REKINDLE_REMOTE_MODE", "read-only")
        .output();
    assert_ne!(
        reader.unwrap().status.code(),
        Some(0),
        "a reader removes nothing"
    );
}
