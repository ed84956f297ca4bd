//! Incremental state in a fresh checkout: it waits until the compile that reads it.

use crate::project::{Done, Project};
use crate::snapshots::{assert_fresh, commit, fresh_clone, git, manifest, program, workspace};

fn build(project: &Project) -> Done {
    run(project, "build")
}

fn run(project: &Project, subcommand: &str) -> Done {
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &[subcommand]);
    command
        .env_remove("REKINDLE_SNAPSHOT")
        .env("CARGO_INCREMENTAL", "1")
        .output()
        .unwrap()
        .into()
}

/// What is in the incremental directory, by the beginning of the names: a state that waits, or a real one.
fn states(project: &Project, begins: &str) -> (usize, usize) {
    let dir = project.path("ws/target/debug/incremental");
    let names = rekindle_fsx::list_names(&dir).unwrap();
    let of = |name: &&std::ffi::OsString| name.to_str().unwrap().starts_with(begins);
    let names: Vec<_> = names.iter().filter(of).collect();
    let waits = |name: &&&std::ffi::OsString| name.to_str().unwrap().ends_with(".rekindle");
    let waiting = names.iter().filter(waits).count();
    (waiting, names.len() - waiting)
}

/// A commit that changes the program, in a checkout that has nothing.
fn changed(project: &Project) {
    fresh_clone(project);
    let main = "fn main() { println!(\"{}+{}\", lib::word(), env!(\"MADE\")); }";
    project.put("ws/app/src/main.rs", main);
    commit(project, "second");
}

pub(crate) fn has_reflinks(project: &Project) -> bool {
    rekindle_fsx::disk::can_reflink(&project.path("")).unwrap()
}

#[test]
fn state_is_there_for_the_compile_that_reads_it_alone() {
    let project = workspace();
    build(&project).ok();
    changed(&project);
    build(&project).ok();
    assert_eq!(program(&project), "one+!");
    assert_eq!(states(&project, "app-"), (0, 1));
    assert_eq!(states(&project, "lib-"), (1, 0), "nothing compiled it");
    let files = rekindle_fsx::walk_files(&project.path("ws/target/debug/incremental")).unwrap();
    // The compiler links what it takes over from the session before, which is the store's where there
    // are no reflinks.
    let shared = |file: &rekindle_fsx::DirEntry| file.sig.nlink > 1;
    assert!(has_reflinks(&project) || files.iter().any(shared));
    assert_fresh(&project);
    // What waits is taken along.
    fresh_clone(&project);
    build(&project).ok();
    assert_eq!(states(&project, "lib-"), (1, 0));
    assert_eq!(states(&project, "app-"), (1, 0));
}

#[test]
fn lost_state_is_done_without() {
    let project = workspace();
    build(&project).ok();
    changed(&project);
    let objects = project.path("store/v1/objects");
    for file in rekindle_fsx::walk_files(&objects).unwrap() {
        let bytes = std::fs::read(&file.path).unwrap();
        // What the compiler's own files of a session begin with.
        if bytes.starts_with(b"RSIC") {
            std::fs::remove_file(file.path).unwrap();
        }
    }
    build(&project).ok();
    assert_eq!(program(&project), "one+!");
    assert_eq!(states(&project, "app-"), (0, 1));
}

/// Every hit is what a fresh compile gives.
fn verified(project: &Project) {
    std::fs::remove_dir_all(project.path("ws/target")).unwrap();
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
    let done: Done = command
        .env("CARGO_INCREMENTAL", "1")
        .env("REKINDLE_VERIFY", "1")
        .output()
        .unwrap()
        .into();
    done.ok();
    let verified = &project.stats()["verified"];
    assert_eq!(
        (&verified["same"], &verified["different"]),
        (&3.into(), &0.into())
    );
}

/// Commits a checkout that has nothing, with one file changed; whether the program's compile wrote state.
fn writes(project: &Project, file: &str, text: &str) -> bool {
    project.put(file, text);
    commit(project, &format!("change of {file}"));
    build(project).ok();
    assert_fresh(project);
    states(project, "app-").1 == 1
}

/// Whether a new version of the program's package writes it.
fn version_writes(project: &Project, version: &str) -> bool {
    fresh_clone(project);
    let rest = "[dependencies]\nlib = { path = \"../lib\" }\n";
    let manifest = manifest("app", rest).replace("0.1.0", version);
    writes(project, "ws/app/Cargo.toml", &manifest)
}

/// A program that says a word.
fn saying(word: &str) -> String {
    format!("fn main() {{ println!(\"{word}{{}}\", env!(\"MADE\")); }}")
}

/// Whether another line in it writes it.
fn edit_writes(project: &Project, word: &str) -> bool {
    writes(project, "ws/app/src/main.rs", &saying(word))
}

/// State costs a third of a compile: a new version of a package, whose units are others, writes it only if
/// that of the version before was ever begun with, or if the new one is worked on.
#[test]
fn a_new_version_writes_state_where_it_pays() {
    let project = workspace();
    build(&project).ok();
    let edit_writes = |word: &str| {
        fresh_clone(&project);
        edit_writes(&project, word)
    };
    assert!(!version_writes(&project, "0.2.0"));
    assert!(!version_writes(&project, "0.3.0"));
    verified(&project);
    assert!(edit_writes("two"));
    assert!(!version_writes(&project, "0.4.0"));
    assert!(edit_writes("three"));
    assert!(edit_writes("four"), "it begins with it");
    assert!(version_writes(&project, "0.5.0"), "it paid");
    assert_eq!(program(&project), "four!");
}

/// Who keeps the target and compiles again works on it. What waits is that of `check` here, of which a build reads nothing.
#[test]
fn a_second_compile_beside_the_first_writes_state() {
    let project = workspace();
    run(&project, "check").ok();
    fresh_clone(&project);
    for (word, written) in [("one", 0), ("two", 1), ("three", 1)] {
        project.put("ws/app/src/main.rs", &saying(word));
        build(&project).ok();
        assert_eq!(states(&project, "app-").1, written, "{word}");
        assert_eq!(program(&project), format!("{word}!"));
    }
}

/// Two changes of one commit that was compiled without state, as two pull requests are.
#[test]
fn a_change_begins_with_the_state_of_another_one_beside_it() {
    let project = workspace();
    build(&project).ok();
    assert!(!version_writes(&project, "0.2.0"));
    fresh_clone(&project);
    assert!(edit_writes(&project, "two"));
    fresh_clone(&project);
    git(&project, &["reset", "-q", "--hard", "HEAD~1"]);
    assert!(edit_writes(&project, "three"));
    assert_eq!(program(&project), "three!");
    assert!(version_writes(&project, "0.3.0"), "it paid");
}
