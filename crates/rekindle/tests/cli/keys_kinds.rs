//! Every kind of unit, and every command that builds, comes back whole.

use crate::keys::{Lab, Run, lacks_target, package, skip};
use crate::project::has_clippy;

/// A workspace with every kind of target.
fn lab() -> Lab {
    Lab::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"shapes\", \"dynamic\", \"mac\"]\nresolver = \"2\"\n",
        ),
        (
            "app/Cargo.toml",
            &package(
                "app",
                "[lib]\nname = \"tool\"\n[dependencies]\nmac = { path = \"../mac\" }\n",
            ),
        ),
        (
            "app/build.rs",
            "fn main() { println!(\"cargo::rustc-env=SCRIPT=ran\") }\n",
        ),
        (
            "app/src/lib.rs",
            "pub fn text() -> String { format!(\"tool {}\", mac::one!()) }\n#[test]\nfn inner() {}\n",
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{} {}\", tool::text(), env!(\"SCRIPT\")) }\n",
        ),
        (
            "app/examples/ex.rs",
            "fn main() { println!(\"example {}\", tool::text()) }\n",
        ),
        (
            "app/tests/outer.rs",
            "#[test]\nfn outer() { assert_eq!(tool::text(), \"tool 1\") }\n",
        ),
        ("app/benches/be.rs", "fn main() {}\n"),
        (
            "mac/Cargo.toml",
            &package("mac", "[lib]\nproc-macro = true\n"),
        ),
        (
            "mac/src/lib.rs",
            "#[proc_macro]\npub fn one(_: proc_macro::TokenStream) -> proc_macro::TokenStream { \"1\".parse().unwrap() }\n",
        ),
        (
            "shapes/Cargo.toml",
            &package(
                "shapes",
                "[lib]\ncrate-type = [\"rlib\", \"staticlib\", \"cdylib\"]\n",
            ),
        ),
        (
            "dynamic/Cargo.toml",
            &package("dynamic", "[lib]\ncrate-type = [\"dylib\"]\n"),
        ),
        (
            "dynamic/src/lib.rs",
            "pub fn many() -> Vec<u8> { vec![1] }\n",
        ),
        (
            "shapes/src/lib.rs",
            "#[no_mangle]\npub extern \"C\" fn shape() -> i32 { 5 }\n",
        ),
    ])
}

/// Runs a command cold and warm; both times the same files are there, and warm nothing is compiled.
fn check(lab: &Lab, arguments: &[&str], kinds: &[&str]) -> Run {
    let cold = lab.run(arguments);
    let compiled = |run: &Run| -> Vec<String> {
        let mut units: Vec<String> = run
            .units
            .iter()
            .map(|unit| format!("{} {}", unit["crate_name"], unit["kind"]).replace('"', ""))
            .collect();
        units.sort();
        units
    };
    for unit in &cold.units {
        assert_ne!(unit["fate"], "uncacheable", "{unit:#}");
    }
    for kind in kinds {
        assert!(
            compiled(&cold).iter().any(|unit| unit == kind),
            "{kind}: {:?}",
            compiled(&cold)
        );
    }
    let files = outputs(lab);
    let warm = lab.anew(arguments);
    warm.only_hits();
    assert_eq!(compiled(&cold), compiled(&warm), "{arguments:?}");
    assert_eq!(files, outputs(lab), "{arguments:?}");
    assert!(
        lab.run(arguments).units.is_empty(),
        "{arguments:?} is fresh a second time"
    );
    warm
}

/// The programs and libraries that people find in a target directory, with their bytes.
fn outputs(lab: &Lab) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for place in ["debug", "release", "debug/examples"] {
        let Ok(entries) = std::fs::read_dir(lab.path("target").join(place)) else {
            continue;
        };
        for entry in entries.map(Result::unwrap) {
            let name = entry.file_name().into_string().unwrap();
            let is_output = entry.file_type().unwrap().is_file() && !name.starts_with('.');
            if is_output && !name.ends_with(".d") {
                found.push((
                    format!("{place}/{name}"),
                    std::fs::read(entry.path()).unwrap(),
                ));
            }
        }
    }
    found.sort();
    found
}

#[test]
fn every_kind_of_unit_comes_back() {
    let lab = lab();
    check(
        &lab,
        &["build", "--all-targets"],
        &[
            "tool lib",
            "app bin",
            "ex bin",
            "outer test",
            "tool test",
            "app test",
            "be test",
            "mac proc-macro",
            "build_script_build build-script",
            "shapes rlib+staticlib+cdylib",
            "dynamic dylib",
        ],
    );
    assert_eq!(lab.app(), "tool 1 ran\n");
    let example = lab
        .command("target/debug/examples/ex", &[])
        .output()
        .unwrap();
    assert_eq!(example.stdout, b"example tool 1\n");
    // The libraries are libraries: a C program uses each.
    let c = "int shape(void); int main(void) { return shape() - 5; }\n";
    lab.put("x.c", c);
    for library in ["target/debug/libshapes.a", "target/debug/libshapes.so"] {
        let libraries = ["-lpthread", "-ldl", "-lm", "-lgcc_s", "-lc"];
        let arguments = [&["x.c", "-o", "x", library][..], &libraries].concat();
        let made = lab.command("cc", &arguments).output().unwrap();
        assert!(
            made.status.success(),
            "{}",
            String::from_utf8_lossy(&made.stderr)
        );
        let mut program = lab.command("./x", &[]);
        program.env("LD_LIBRARY_PATH", lab.path("target/debug"));
        assert!(program.status().unwrap().success(), "{library}");
    }
}

#[test]
fn checks_and_tests_come_back() {
    let lab = lab();
    check(
        &lab,
        &["check", "--all-targets"],
        &["tool check", "app check"],
    );
    let _ = std::fs::remove_dir_all(lab.path("target"));
    check(&lab, &["test", "--no-run"], &["outer test", "tool test"]);
    let run = lab.run(&["test"]);
    assert!(
        run.done.stdout.contains("test outer ... ok"),
        "{}",
        run.done.stdout
    );
    // A library that was only checked is no library to link, and the other way round.
    assert!(lab.anew(&["build"]).fate("tool") != "uncacheable");
    assert_eq!(lab.app(), "tool 1 ran\n");
}

#[test]
fn clippy_comes_back() {
    let lab = lab();
    if !has_clippy() {
        return skip("keys_kinds::clippy_comes_back", "clippy is not installed");
    }
    lab.put(
        "app/src/main.rs",
        "fn main() { let x = 1; if x == x { println!(\"{}\", tool::text()) } }\n",
    );
    let cold = lab.try_run(&["clippy"]);
    assert_eq!(cold.done.code, Some(101));
    assert!(
        cold.done.stderr.contains("clippy::eq_op"),
        "{}",
        cold.done.stderr
    );
    lab.put(
        "app/src/main.rs",
        "fn main() { let x = 1; return println!(\"{x}\"); }\n",
    );
    let _ = std::fs::remove_dir_all(lab.path("target"));
    let cold = lab.run(&["clippy"]);
    assert!(
        cold.done.stderr.contains("clippy::needless_return"),
        "{}",
        cold.done.stderr
    );
    let warm = lab.anew(&["clippy"]);
    warm.only_hits();
    assert!(
        warm.done.stderr.contains("clippy::needless_return"),
        "{}",
        warm.done.stderr
    );
    // clippy is not the compiler, its arguments are inputs, and so is its configuration.
    let plain = lab.anew(&["check"]);
    assert!(
        !plain.done.stderr.contains("clippy::"),
        "{}",
        plain.done.stderr
    );
    assert_eq!(plain.fate("tool"), "miss");
    let denied = lab.try_run(&["clippy", "--", "-D", "warnings"]);
    assert_eq!(denied.done.code, Some(101), "{}", denied.done.stderr);
}

/// clippy reads a file of its own, which no argument names.
#[test]
fn the_configuration_of_clippy_is_keyed() {
    let lab = lab();
    if !has_clippy() {
        return skip(
            "keys_kinds::the_configuration_of_clippy_is_keyed",
            "clippy is not installed",
        );
    }
    lab.put(
        "shapes/src/lib.rs",
        "pub fn many(_a: u8, _b: u8, _c: u8) {}\n",
    );
    let cold = lab.run(&["clippy", "-p", "shapes"]);
    assert!(
        !cold.done.stderr.contains("too_many_arguments"),
        "{}",
        cold.done.stderr
    );
    lab.put("clippy.toml", "too-many-arguments-threshold = 2\n");
    let warned = lab.anew(&["clippy", "-p", "shapes"]);
    assert!(
        warned.done.stderr.contains("too_many_arguments"),
        "{}",
        warned.done.stderr
    );
    lab.put("clippy.toml", "too-many-arguments-threshold = 5\n");
    warned.missed_for("shapes", ("compiler", "{workspace}/clippy.toml"));
    let quiet = lab.anew(&["clippy", "-p", "shapes"]);
    assert!(
        !quiet.done.stderr.contains("too_many_arguments"),
        "{}",
        quiet.done.stderr
    );
}

#[test]
fn release_with_whole_program_optimisation_comes_back() {
    let lab = lab();
    lab.put(
        "Cargo.toml",
        "[workspace]\nmembers = [\"app\", \"mac\"]\nresolver = \"2\"\n[profile.release]\nlto = \"fat\"\n",
    );
    check(&lab, &["build", "--release"], &["tool lib", "app bin"]);
    // The code of a library reaches the program through the linker alone.
    lab.edit("app/src/lib.rs", "\"tool {}\"", "\"loot {}\"");
    let run = lab.anew(&["build", "--release"]);
    run.missed_for("app", ("extern", "libtool"));
    let out = lab.command("target/release/app", &[]).output().unwrap();
    assert_eq!(out.stdout, b"loot 1 ran\n");
}

/// cargo gives the option to every unit; what is compiled each time is only what makes files that nobody
/// announces.
#[test]
fn split_debug_information_is_in_the_way_of_programs_alone() {
    let lab = lab();
    let manifest = std::fs::read_to_string(lab.path("Cargo.toml")).unwrap();
    let profile = "[profile.dev]\nsplit-debuginfo = \"packed\"\n";
    lab.put("Cargo.toml", &format!("{manifest}{profile}"));
    let build = ["build", "-p", "app"];
    lab.anew(&build);
    let first = lab.app();
    let run = lab.anew(&build);
    assert_eq!([run.fate("tool"), run.fate("mac")], ["hit", "hit"]);
    run.uncacheable("app", "argument");
    assert_eq!(lab.app(), first);
    assert!(lab.path("target/debug/app.dwp").exists());
    lab.edit("Cargo.toml", "packed", "unpacked");
    let check = ["check", "-p", "app"];
    lab.anew(&check);
    lab.anew(&check).only_hits();
}

#[test]
fn another_target_comes_back() {
    let lab = lab();
    let musl = "x86_64-unknown-linux-musl";
    let test = "keys_kinds::another_target_comes_back";
    if lacks_target(test, musl) {
        return;
    }
    if !cfg!(target_arch = "x86_64") {
        return skip(test, "what is built for x86_64 does not run here");
    }
    check(
        &lab,
        &["build", "-p", "app", "--target", musl],
        &["app bin", "mac proc-macro"],
    );
    let out = lab
        .command(&format!("target/{musl}/debug/app"), &[])
        .output()
        .unwrap();
    assert_eq!(out.stdout, b"tool 1 ran\n");
    assert_eq!(lab.run(&["build", "-p", "app"]).fate("app"), "miss");
    assert_eq!(lab.app(), "tool 1 ran\n");
}

/// A hit looks at no incremental state; a miss keeps it for the next.
#[test]
fn incremental_state_is_kept_by_misses_alone() {
    let mut lab = lab();
    lab.set("CARGO_INCREMENTAL", "1");
    let state = |lab: &Lab| {
        let entries = std::fs::read_dir(lab.path("target/debug/incremental"));
        let names = entries
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with("app-"))
            .count()
    };
    lab.run(&["build"]);
    assert_eq!(state(&lab), 1);
    lab.anew(&["build"]).only_hits();
    assert_eq!(state(&lab), 0);
    lab.edit("app/src/main.rs", "\"{} {}\"", "\"{} {} !\"");
    let run = lab.run(&["build"]);
    assert_eq!(run.fate("app"), "miss");
    assert_eq!(state(&lab), 1);
    assert_eq!(lab.app(), "tool 1 ran !\n");
    lab.edit("app/src/main.rs", "\"{} {} !\"", "\"{} {}\"");
    lab.run(&["build"]).only_hits();
    assert_eq!(lab.app(), "tool 1 ran\n");
    assert_eq!(state(&lab), 1);
    lab.set("CARGO_INCREMENTAL", "0");
    lab.anew(&["build"])
        .missed_for("app", ("argument", "incremental"));
}

/// A target without shared libraries: rustc leaves that kind out, and starts no linker.
#[test]
fn a_kind_that_the_target_does_not_know_is_left_out_and_the_rest_comes_back() {
    let mut lab = Lab::new(&[
        (
            "Cargo.toml",
            &package(
                "shapes",
                "[lib]\ncrate-type = [\"rlib\", \"cdylib\", \"staticlib\"]\n",
            ),
        ),
        ("src/lib.rs", "#![feature(no_core)]\n#![no_core]\n"),
    ]);
    lab.set("RUSTC_BOOTSTRAP", "1");
    let arguments = ["build", "--target", "x86_64-unknown-linux-musl"];
    let warm = check(&lab, &arguments, &["shapes rlib+cdylib+staticlib"]);
    let said = &warm.done.stderr;
    assert!(
        said.contains("dropping unsupported crate type `cdylib`"),
        "{said}"
    );
    assert!(
        lab.path("target/x86_64-unknown-linux-musl/debug/libshapes.a")
            .exists()
    );
}
