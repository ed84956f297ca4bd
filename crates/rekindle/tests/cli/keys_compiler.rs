//! The compiler: what it prints, how it ends, what it is told, and who stands before it.

use std::path::PathBuf;

use crate::keys::{Lab, package};
use crate::project::write_program;

fn lab(main: &str) -> Lab {
    Lab::new(&[
        ("Cargo.toml", &package("app", "[workspace]\n")),
        ("src/main.rs", main),
    ])
}

const WARNS: &str = "fn main() { let \"quoted\" = \"quoted\" else { return }; let unused = '\\u{e9}'; println!(\"hi\") }\n\
                     fn dead_with_ünicode() {}\n";

#[test]
fn a_compiler_that_fails_is_asked_again() {
    let lab = lab("fn main() { nonsense }\n");
    let mut messages = Vec::new();
    for _ in 0..2 {
        let run = lab.try_run(&["build"]);
        assert_eq!(run.done.code, Some(101));
        run.uncacheable("app", "compiler_failed");
        assert_eq!(run.unit("app")["exit_code"], 1);
        messages.push(run.messages());
    }
    assert_eq!(messages[0], messages[1]);
    lab.put("src/main.rs", "fn main() { println!(\"mended\") }\n");
    assert_eq!(lab.run(&["build"]).fate("app"), "miss");
    lab.put("src/main.rs", "fn main() { nonsense }\n");
    assert_eq!(lab.try_run(&["build"]).done.code, Some(101));
    lab.put("src/main.rs", "fn main() { println!(\"mended\") }\n");
    lab.anew(&["build"]).only_hits();
    assert_eq!(lab.app(), "mended\n");
}

#[test]
fn warnings_come_back_byte_for_byte() {
    let mut lab = lab(WARNS);
    let cold = lab.run(&["build", "--color", "always"]);
    assert!(
        cold.done.stderr.contains("unused variable"),
        "{}",
        cold.done.stderr
    );
    let warm = lab.anew(&["build", "--color", "always"]);
    warm.only_hits();
    assert_eq!(warm.messages(), cold.messages());
    // What people read holds this directory's paths, in another one too.
    let json = ["build", "--message-format", "json"];
    let reasons = |text: &str| -> Vec<String> {
        let lines = text
            .lines()
            .filter(|line| line.contains("\"reason\":\"compiler-message\""));
        lines.map(str::to_owned).collect()
    };
    let _ = std::fs::remove_dir_all(lab.path("target"));
    let first = lab.run(&json);
    let again = lab.anew(&json);
    again.only_hits();
    assert_eq!(reasons(&first.done.stdout), reasons(&again.done.stdout));
    assert_eq!(
        reasons(&again.done.stdout).len(),
        2,
        "{}",
        again.done.stdout
    );
    assert_eq!(again.done.stdout, first.done.stdout);
    let [here, other] = [lab.checkout.clone(), lab.outside("other")];
    lab.move_to(other.clone());
    let moved = lab.run(&json);
    moved.only_hits();
    let [here, other] = [here, other].map(|path: PathBuf| path.to_str().unwrap().to_owned());
    assert_eq!(moved.done.stdout, first.done.stdout.replace(&here, &other));
}

/// The arguments of a cargo that compiles one library.
fn library<'a>(more: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec![
        "--crate-name",
        "one",
        "--edition=2021",
        "one.rs",
        "--crate-type",
        "lib",
        "--error-format=json",
        "--json=diagnostic-rendered-ansi,artifacts,future-incompat",
        "--emit=dep-info,metadata",
        "-C",
        "metadata=0123",
        "-C",
        "extra-filename=-0123",
        "--out-dir",
        "target/debug/deps",
    ];
    arguments.extend(more);
    arguments
}

fn one(text: &str) -> Lab {
    let mut lab = Lab::new(&[("one.rs", text)]);
    lab.set("CARGO_CRATE_NAME", "one");
    std::fs::create_dir_all(lab.path("target/debug/deps")).unwrap();
    lab
}

fn fate(lab: &Lab, arguments: &[&str]) -> String {
    let run = lab.wrapper(arguments);
    assert_eq!(run.done.code, Some(0), "{}", run.done.stderr);
    run.fate("one").to_owned()
}

/// The compiler wraps what it prints; a unit that printed nothing depends on no width.
#[test]
fn the_width_of_the_terminal_is_keyed_where_something_was_printed() {
    let warns = "pub fn f() { let a_name_that_is_rather_long = 1; let another_name_that_is_rather_long = 2; }\n";
    let lab = one(warns);
    let [wide, narrow] = [140, 40].map(|width| format!("--diagnostic-width={width}"));
    let first = lab.wrapper(&library(&[&wide]));
    assert_eq!(first.fate("one"), "miss");
    let second = lab.wrapper(&library(&[&narrow]));
    second.missed_for("one", ("argument", "width"));
    assert_ne!(first.done.stderr, second.done.stderr);
    for (width, run) in [(&wide, first), (&narrow, second)] {
        let warm = lab.wrapper(&library(&[width]));
        warm.only_hits();
        assert_eq!(warm.done.stderr, run.done.stderr);
    }
    let lab = one("pub fn f() {}\n");
    assert_eq!(fate(&lab, &library(&[&wide])), "miss");
    assert_eq!(fate(&lab, &library(&[&narrow])), "hit");
}

#[test]
fn an_argument_file_is_its_arguments() {
    let lab = one("#[cfg(more)]\ncompile_error!(\"more\");\npub fn f() {}\n");
    let arguments = library(&["--check-cfg=cfg(more,less)"]);
    assert_eq!(fate(&lab, &arguments), "miss");
    let write = |more: &str| {
        let lines = [arguments.join("\n"), more.to_owned()].join("\n");
        lab.put("arguments", &lines);
    };
    write("");
    lab.put("arguments", &arguments.join("\n"));
    assert_eq!(fate(&lab, &["@arguments"]), "hit");
    write("--cfg=less");
    let run = lab.wrapper(&["@arguments"]);
    run.missed_for("one", ("argument", "--cfg less"));
    write("--cfg=more");
    assert_eq!(lab.wrapper(&["@arguments"]).done.code, Some(1));
    lab.put("rest", "--cfg=less\n");
    let run = lab.wrapper(&[&arguments[..], &["@rest"]].concat());
    run.only_hits();
}

/// A target of the user's own: the file decides about everything that the compiler emits.
#[test]
fn the_specification_of_a_target_is_keyed() {
    let mut lab = one(
        "#![feature(no_core)]\n#![no_core]\n#[cfg(target_os = \"other\")]\ncompile_error!(\"other\");\n",
    );
    lab.set("RUSTC_BOOTSTRAP", "1");
    let question = ["-Zunstable-options", "--print", "target-spec-json"];
    let mut command = lab.command("rustc", &question);
    let output = command
        .args(["--target", "x86_64-unknown-linux-gnu"])
        .output()
        .unwrap();
    let spec = String::from_utf8(output.stdout).unwrap();
    assert!(
        spec.contains("\"os\": \"linux\"") && spec.contains("\"max-atomic-width\": 64"),
        "{spec}"
    );
    lab.put("mine.json", &spec);
    let arguments = library(&["-Zunstable-options", "--target", "mine.json"]);
    assert_eq!(fate(&lab, &arguments), "miss");
    assert_eq!(fate(&lab, &arguments), "hit");
    lab.put(
        "mine.json",
        &spec.replace("\"max-atomic-width\": 64", "\"max-atomic-width\": 32"),
    );
    lab.wrapper(&arguments)
        .missed_for("one", ("compiler", "mine.json"));
    lab.put(
        "mine.json",
        &spec.replace("\"os\": \"linux\"", "\"os\": \"other\""),
    );
    assert_eq!(lab.wrapper(&arguments).done.code, Some(1));
    lab.put("mine.json", &spec);
    assert_eq!(fate(&lab, &arguments), "hit");
}

/// Variables that the compiler reads itself.
#[test]
fn variables_of_the_compiler_are_keyed() {
    let mut lab = one("pub fn f() {}\n");
    assert_eq!(fate(&lab, &library(&[])), "miss");
    lab.set("RUSTC_BOOTSTRAP", "1");
    lab.wrapper(&library(&[]))
        .missed_for("one", ("env", "RUSTC_BOOTSTRAP"));
    lab.unset("RUSTC_BOOTSTRAP");
    assert_eq!(fate(&lab, &library(&[])), "hit");
}

/// What is not known by name is not guessed at.
#[test]
fn an_argument_that_is_not_known_is_left_alone() {
    let lab = one("pub fn f() {}\n");
    for _ in 0..2 {
        let run = lab.wrapper(&library(&["-C", "save-temps"]));
        run.uncacheable("one", "argument");
    }
}

fn wrapper_script(lab: &Lab, text: &str) -> PathBuf {
    let file = lab.outside("bin/my-wrapper");
    write_program(&file, text);
    file
}

/// A wrapper of the user's may do anything to the outputs, unless the user says that it does not.
#[test]
fn wrappers_of_the_user_are_run_and_trusted_only_by_name() {
    for variable in ["RUSTC_WRAPPER", "RUSTC_WORKSPACE_WRAPPER"] {
        let mut lab = lab("fn main() { println!(\"{}\", cfg!(marked)) }\n");
        let script =
            |flag: &str| format!("#!/bin/sh\nexec \"$@\" --check-cfg='cfg(marked)' {flag}\n");
        let wrapper = wrapper_script(&lab, &script("--cfg=marked"));
        lab.set(variable, &wrapper);
        for _ in 0..2 {
            lab.anew(&["build"]).uncacheable("app", "unknown_wrapper");
            assert_eq!(lab.app(), "true\n", "{variable}");
        }
        // The test's configuration is the user's.
        let config = lab.outside("config/rekindle/config.toml");
        std::fs::create_dir_all(config.parent().unwrap()).unwrap();
        std::fs::write(config, "[build]\ntrusted-wrappers = ['my-wrapper']\n").unwrap();
        assert_eq!(lab.anew(&["build"]).fate("app"), "miss");
        assert_eq!(lab.app(), "true\n");
        lab.anew(&["build"]).only_hits();
        assert_eq!(lab.app(), "true\n");
        // Another program of that name.
        wrapper_script(&lab, &script(""));
        lab.anew(&["build"])
            .missed_for("app", ("compiler", "my-wrapper"));
        assert_eq!(lab.app(), "false\n");
        wrapper_script(&lab, &script("--cfg=marked"));
        lab.anew(&["build"]).only_hits();
        assert_eq!(lab.app(), "true\n");
    }
}
