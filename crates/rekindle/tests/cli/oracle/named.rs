//! Failures of other tools, each by its name: a checkout is thrown away and made anew, and what came
//! back of its target directory must not show it.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::faults::{Checkout, Field};

/// A time long before any build.
fn set_old(path: &Path) {
    let old = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options().write(true).open(path).unwrap();
    file.set_modified(old).unwrap();
}

/// A checkout that is made anew: sources with the time of now, nothing that was built.
fn anew<'a>(field: &'a Field, name: &str) -> Checkout<'a> {
    let _ = std::fs::remove_dir_all(field.path(name));
    field.checkout(name).with("REKINDLE_SNAPSHOT", "1")
}

const APP: &str = "[package]\nname = 'app'\nversion = '0.1.0'\nedition = '2021'\n\
     [dependencies]\ndep = { path = '../dep' }\nmac = { path = '../mac' }\n";

/// Gives `dep` a library in C, which is in its `OUT_DIR`.
fn with_native<'a>(checkout: Checkout<'a>) -> Checkout<'a> {
    checkout.put("dep/native.c", "int native(void) { return 7; }\n");
    checkout.put(
        "dep/build.rs",
        "use std::process::Command;\nfn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
         println!(\"cargo::rerun-if-changed=native.c\");\n    \
         let run = |program: &str, words: &[&str]| assert!(Command::new(program).args(words).status().unwrap().success());\n    \
         run(\"cc\", &[\"-c\", \"native.c\", \"-o\", &format!(\"{out}/native.o\")]);\n    \
         run(\"ar\", &[\"crs\", &format!(\"{out}/libnative.a\"), &format!(\"{out}/native.o\")]);\n    \
         println!(\"cargo::rustc-link-search=native={out}\");\n    \
         println!(\"cargo::rustc-link-lib=static=native\");\n}\n",
    );
    checkout.put(
        "dep/src/lib.rs",
        "extern \"C\" { fn native() -> i32; }\n\
         pub fn word() -> String { format!(\"word{}\", unsafe { native() }) }\n",
    );
    checkout.put(
        "app/tests/it.rs",
        "#[test]\nfn it() { assert_eq!(dep::word(), \"word7\") }\n",
    );
    checkout
}

/// The directories that a verbose build gave to compilers as places of native libraries.
fn search_paths(stderr: &str) -> BTreeSet<String> {
    let words = stderr
        .split_whitespace()
        .map(|word| word.trim_matches(['`', '\'']));
    let given = words.filter_map(|word| word.strip_prefix("native="));
    given.map(str::to_owned).collect()
}

/// cargo replaces the directory that it finds in `root-output` in all that a build script printed:
/// where that is not whole, places to search for libraries come twice into one path.
#[test]
fn relative_root_output_doubles_no_search_path() {
    let field = Field::new();
    with_native(anew(&field, "one")).build_to("word7 42 made\n");
    for name in ["one", "a-longer-name", "two"] {
        let checkout = with_native(anew(&field, name));
        checkout.build_to("word7 42 made\n");
        checkout.assert_fresh(name);
        // Whatever links against it now gets the place from what cargo has stored.
        checkout.put(
            "app/src/main.rs",
            "fn main() { println!(\"{} again\", dep::word()); }\n",
        );
        let done = checkout.rekindle(&["build", "-v"]).ok();
        assert_eq!(checkout.run_program(), "word7 again\n");
        let paths = search_paths(&done.stderr);
        assert_eq!(paths.len(), 1, "{paths:?}\n{}", done.stderr);
        for path in paths {
            let root = checkout.path("target/debug/build");
            assert!(Path::new(&path).starts_with(&root), "{path}");
            assert_eq!(path.matches("target").count(), 1, "{path}");
            assert!(Path::new(&path).join("libnative.a").exists(), "{path}");
        }
        for root in checkout.outputs("build", "dep-", "") {
            let Ok(text) = std::fs::read_to_string(root.join("root-output")) else {
                continue;
            };
            // Of another checkout it may be: cargo puts this one's in its place. It has to be whole.
            assert!(Path::new(&text).is_absolute(), "{text}");
            let out = root.strip_prefix(&checkout.root).unwrap().join("out");
            assert!(Path::new(&text).ends_with(out), "{text}");
        }
    }
}

/// A unit that came back without what it depends on: cargo wants the fingerprint of either.
#[test]
fn no_dependency_fingerprint_is_missing() {
    let field = Field::new();
    anew(&field, "one").build();
    // Only parts are built for a while, so that the rest gets old; then the whole.
    for round in 0..10 {
        let one = anew(&field, "one");
        one.put(
            "mac/src/lib.rs",
            &format!(
                "use proc_macro::TokenStream;\n#[proc_macro]\n\
                 pub fn answer(_: TokenStream) -> TokenStream {{ \"{round}\".parse().unwrap() }}\n"
            ),
        );
        one.rekindle(&["build", "-p", "mac"]).ok();
        one.assert_fresh_for(&["build", "-p", "mac"], "a part");
    }
    // What depends on another is asked for alone, and the other way round.
    for parts in [["-p", "app"], ["-p", "dep"]] {
        let one = anew(&field, "one");
        one.rekindle(&[&["build"][..], &parts].concat()).ok();
        one.build();
        one.assert_fresh("the whole after a part");
    }
    // A dependency alone is dirty.
    let one = anew(&field, "one");
    one.put(
        "dep/src/lib.rs",
        "pub fn word() -> &'static str { \"verb\" }\n",
    );
    one.build_to("verb 42 made\n");
    one.assert_fresh("a dependency has changed");
    let one = anew(&field, "one");
    one.rekindle(&["test", "--no-run"]).ok();
    one.build();
    one.assert_fresh("another command in between");
}

/// What comes back with a time that is later than the build's begin, or with sources that are newer
/// than it, is built again each time.
#[test]
fn nothing_is_dirty_for_ever() {
    let field = Field::new();
    anew(&field, "one").rekindle(&["test"]).ok();
    for round in 0..3 {
        let one = anew(&field, "one");
        if round == 1 {
            for name in ["app/made.txt", "app/src/lib.rs", "dep/src/lib.rs"] {
                set_old(&one.path(name));
            }
        }
        one.build();
        for _ in 0..3 {
            one.assert_fresh(&format!("round {round}"));
        }
        one.rekindle(&["test"]).ok();
        for _ in 0..2 {
            one.assert_fresh_for(&["test", "--no-run"], &format!("round {round}"));
        }
        // A script that runs again makes no other unit dirty than those that use it.
        one.put("app/made.txt", &format!("made {round}\n"));
        one.build_to(&format!("word 42 made {round}\n"));
        one.assert_fresh("after the script");
    }
}

/// An archive, a cache of sources or `git-restore-mtime` gives files old times, whatever they hold.
#[test]
fn changed_content_with_an_old_time_is_built() {
    let field = Field::new();
    anew(&field, "one").build();
    let edits: [(&str, &str, &str); 5] = [
        (
            "dep/src/lib.rs",
            "pub fn word() -> &'static str { \"verb\" }\n",
            "verb 42 made\n",
        ),
        ("app/made.txt", "mode\n", "word 42 mode\n"),
        (
            "mac/src/lib.rs",
            "use proc_macro::TokenStream;\n#[proc_macro]\n\
             pub fn answer(_: TokenStream) -> TokenStream { \"43\".parse().unwrap() }\n",
            "word 43 made\n",
        ),
        (
            "app/build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=made.txt\");\n    \
             std::fs::write(std::env::var(\"OUT_DIR\").unwrap() + \"/made.rs\", \"\\\"baked\\\"\").unwrap();\n}\n",
            "word 42 baked\n",
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{} {} {}!\", dep::word(), mac::answer!(), app::made()); }\n",
            "word 42 made!\n",
        ),
    ];
    for (name, text, expected) in edits {
        let one = anew(&field, "one");
        one.put(name, text);
        set_old(&one.path(name));
        one.build_to(expected);
        one.assert_fresh(name);
    }
    // All files are old, and one is not what it was.
    let one = anew(&field, "one");
    one.put(edits[0].0, edits[0].1);
    for (name, _) in crate::faults::FILES {
        set_old(&one.path(name));
    }
    one.build_to(edits[0].2);
    one.assert_fresh("all are old");
    // Back to what was built first, which is older than what was built last.
    let one = anew(&field, "one");
    for (name, _) in crate::faults::FILES {
        set_old(&one.path(name));
    }
    one.build();
    one.assert_fresh("all are old, and as at first");
}

/// Names of directories in programs, and in tests, which start programs by them.
#[test]
fn the_manifests_directory_is_right_after_a_move() {
    let field = Field::new();
    let begin = |checkout: Checkout<'_>| {
        checkout.put(
            "dep/src/lib.rs",
            "pub fn word() -> &'static str { env!(\"CARGO_MANIFEST_DIR\") }\n",
        );
        checkout.put(
            "app/tests/it.rs",
            "#[test]\nfn it() {\n    let out = std::process::Command::new(env!(\"CARGO_BIN_EXE_app\")).output().unwrap();\n    \
             assert!(String::from_utf8(out.stdout).unwrap().starts_with(env!(\"CARGO_MANIFEST_DIR\").trim_end_matches(\"app\")));\n}\n",
        );
        let expected = format!("{} 42 made\n", checkout.path("dep").display());
        checkout.build_to(&expected);
        checkout.assert_fresh("moved");
        checkout.rekindle(&["test"]).ok();
        checkout.assert_fresh_for(&["test", "--no-run"], "moved");
        checkout.root
    };
    for name in ["one", "a much longer name", "one", "x"] {
        let root = begin(anew(&field, name));
        // So that a program that still leads there does not find one.
        std::fs::remove_dir_all(root).unwrap();
    }
}

/// With no `rerun-if-changed` all files of a package count, also those that are gone: cargo itself
/// looks at times alone.
#[test]
fn a_file_that_is_gone_is_noticed() {
    let field = Field::new();
    let begin = |parts: &[&str]| {
        let one = anew(&field, "one");
        one.put("app/Cargo.toml", APP);
        one.put(
            "app/build.rs",
            "fn main() {\n    let mut names: Vec<_> = std::fs::read_dir(\"parts\").unwrap()\
             .map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();\n    names.sort();\n    \
             let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
             std::fs::write(out + \"/made.rs\", format!(\"{:?}\", names.join(\"+\"))).unwrap();\n}\n",
        );
        for part in parts {
            one.put(&format!("app/parts/{part}"), "");
        }
        one.build_to(&format!("word 42 {}\n", parts.join("+")));
        one.assert_fresh("parts");
    };
    begin(&["a", "b"]);
    begin(&["a"]);
    begin(&["a", "b"]);
    begin(&["a", "c"]);
    begin(&["b"]);
}

/// A fresh checkout does not have what a build script wrote among the sources, where git ignores it:
/// the script has to run again, though all that it declared is as it was.
#[test]
fn what_a_script_wrote_among_the_sources_is_written_again() {
    let field = Field::new();
    for expected in ["made", "made", "new"] {
        let one = anew(&field, "one");
        one.put(
            "app/build.rs",
            "fn main() {\n    println!(\"cargo::rerun-if-changed=made.txt\");\n    \
             let made = std::fs::read_to_string(\"made.txt\").unwrap();\n    \
             std::fs::write(\"src/written.rs\", format!(\"pub const MADE: &str = {:?};\", made.trim())).unwrap();\n}\n",
        );
        one.put(
            "app/src/lib.rs",
            "mod written;\npub fn made() -> &'static str { written::MADE }\n",
        );
        one.put("app/made.txt", expected);
        one.build_to(&format!("word 42 {expected}\n"));
        one.assert_fresh("written");
    }
}
