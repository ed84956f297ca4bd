//! Directories: what may come back in another one, and what must not.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::keys::{Lab, package};

/// A library that shows its directory, one that does not, and a program.
fn lab() -> Lab {
    Lab::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"here\", \"plain\"]\nresolver = \"2\"\n",
        ),
        (
            "app/Cargo.toml",
            &package(
                "app",
                "[dependencies]\nhere = { path = \"../here\" }\nplain = { path = \"../plain\" }\n",
            ),
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{} {}\", here::DIR, plain::file()); plain::fail() }\n",
        ),
        ("here/Cargo.toml", &package("here", "")),
        (
            "here/src/lib.rs",
            "pub const DIR: &str = env!(\"CARGO_MANIFEST_DIR\");\n",
        ),
        ("plain/Cargo.toml", &package("plain", "")),
        (
            "plain/src/lib.rs",
            "pub fn file() -> &'static str { file!() }\npub fn fail() { panic!(\"on purpose\") }\n",
        ),
    ])
}

fn shown(lab: &Lab, checkout: &Path) -> String {
    let out = lab.app();
    let dir = checkout.join("here");
    let first = format!("{} plain/src/lib.rs\n", dir.to_string_lossy());
    assert!(out.starts_with(&first), "{first} {out}");
    assert!(
        out.contains("panicked at plain/src/lib.rs:2:17:\non purpose"),
        "{out}"
    );
    out
}

#[test]
fn another_checkout_hits_but_for_what_shows_its_directory() {
    let mut lab = lab();
    lab.run(&["build"]);
    let first = lab.checkout.clone();
    shown(&lab, &first);
    for name in ["other", "a \"b\" 'c' ü $d"] {
        let other = lab.outside(name);
        lab.move_to(other.clone());
        let run = lab.run(&["build"]);
        assert_eq!(run.fate("plain"), "hit");
        run.missed_for("here", ("env", "CARGO_MANIFEST_DIR"));
        shown(&lab, &other);
        lab.anew(&["build"]).only_hits();
        shown(&lab, &other);
        assert!(
            lab.run(&["build"]).units.is_empty(),
            "a second build is fresh"
        );
    }
    lab.checkout = first.clone();
    lab.anew(&["build"]).only_hits();
    shown(&lab, &first);
}

/// Directories whose names are not UTF-8. cargo and rustc themselves can do little in such a checkout:
/// Rekindle neither helps nor hinders.
#[test]
fn names_that_are_not_utf8_are_as_with_plain_cargo() {
    let mut lab = lab();
    lab.set("CARGO_INCREMENTAL", "0");
    lab.run(&["check"]);
    lab.run(&["build"]);
    let before = lab.app();
    let odd = lab.outside(OsStr::from_bytes(b"odd\xff\xfename"));
    lab.set("REKINDLE_DIR", &odd);
    lab.anew(&["build"]);
    assert_eq!(lab.app(), before);
    lab.unset("REKINDLE_DIR");
    lab.move_to(odd);
    for command in ["check", "build"] {
        let plain = lab
            .command("cargo", &[command, "--target-dir", "plain-target"])
            .output()
            .unwrap();
        let ours = lab.try_run(&[command]).done;
        assert_eq!(ours.code, plain.status.code(), "{}", ours.stderr);
        // In some environments rustc itself panics at such an argument.
        let panicked = String::from_utf8_lossy(&plain.stderr).contains("panicked");
        assert!(
            panicked || !ours.stderr.contains("panicked"),
            "{}",
            ours.stderr
        );
    }
}

/// The target directory and cargo's home may lie anywhere.
#[test]
fn another_target_directory_hits() {
    let mut lab = lab();
    lab.run(&["build"]);
    let before = lab.app();
    lab.set("CARGO_TARGET_DIR", lab.outside("else where/t"));
    lab.run(&["build"]).only_hits();
    std::fs::remove_dir_all(lab.path("target")).unwrap();
    std::fs::rename(lab.outside("else where/t"), lab.path("target")).unwrap();
    assert_eq!(lab.app(), before);
}

/// Paths that are mapped are the same everywhere; switched off, only the same directory hits.
#[test]
fn real_paths_are_keyed_where_they_are_kept() {
    let mut lab = lab();
    lab.set("REKINDLE_REMAP", "0");
    lab.run(&["build"]);
    lab.anew(&["build"]).only_hits();
    lab.unset("REKINDLE_REMAP");
    lab.anew(&["build"])
        .missed_for("plain", ("argument", "{workspace}"));
    lab.set("REKINDLE_REMAP", "0");
    let other = lab.outside("other");
    lab.move_to(other);
    lab.run(&["build"])
        .missed_for("plain", ("directory", "{workspace}"));
}

/// Tools that read coverage look for sources where they were.
#[test]
fn coverage_is_bound_to_its_directory() {
    let mut lab = lab();
    lab.set("RUSTFLAGS", "-Cinstrument-coverage");
    lab.set("LLVM_PROFILE_FILE", "/dev/null");
    lab.run(&["build"]);
    lab.anew(&["build"]).only_hits();
    let program = std::fs::read(lab.path("target/debug/app")).unwrap();
    let other = lab.outside("other");
    lab.move_to(other);
    let run = lab.run(&["build"]);
    run.missed_for("plain", ("directory", "{workspace}"));
    assert_ne!(
        std::fs::read(lab.path("target/debug/app")).unwrap(),
        program
    );
}

/// The user's own mapping comes behind ours, and wins.
#[test]
fn paths_that_the_user_maps_stay_so() {
    let mut lab = lab();
    lab.edit("here/src/lib.rs", "env!(\"CARGO_MANIFEST_DIR\")", "\"\"");
    lab.set("RUSTFLAGS", "--remap-path-prefix=plain/src=mine");
    lab.run(&["build"]);
    assert!(lab.app().starts_with(" mine/lib.rs\n"), "{}", lab.app());
    let (after, _) = lab.check(
        "plain",
        ("argument", "--remap-path-prefix"),
        |lab| lab.set("RUSTFLAGS", "--remap-path-prefix=plain/src=yours"),
        |lab| lab.set("RUSTFLAGS", "--remap-path-prefix=plain/src=mine"),
    );
    assert!(after.starts_with(" yours/lib.rs\n"), "{after}");
}

/// A build script's file, included by a program.
fn including(main: &str) -> Lab {
    Lab::new(&[
        ("Cargo.toml", &package("app", "[workspace]\n")),
        (
            "build.rs",
            "fn main() {\n\
             let out = std::env::var(\"OUT_DIR\").unwrap();\n\
             let text = std::fs::read_to_string(\"template\").unwrap();\n\
             std::fs::write(format!(\"{out}/made.rs\"), text).unwrap();\n\
             println!(\"cargo::rerun-if-changed=template\");\n}\n",
        ),
        ("template", "\"made 1\""),
        ("text", "text 1"),
        ("bytes", "b1"),
        ("src/part.in", "\"part 1\""),
        ("src/main.rs", main),
    ])
}

#[test]
fn included_files_are_keyed() {
    let mut lab = including(
        "fn main() { println!(\"{} {:?} {} {} {}\", include_str!(\"../text\"), include_bytes!(\"../bytes\"),\n\
         include!(\"part.in\"), include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\")),\n\
         include_str!(concat!(env!(\"OUT_DIR\"), \"/made.rs\")).len()) }\n",
    );
    lab.run(&["build"]);
    let before = lab.app();
    for (file, from, to, name) in [
        ("text", "text 1", "text 2", "/text"),
        ("bytes", "b1", "b2", "/bytes"),
        ("src/part.in", "part 1", "part 2", "{workspace}/src/part.in"),
        ("template", "made 1", "made 2", "/out/made.rs"),
    ] {
        let (after, _) = lab.check(
            "app",
            ("source", name),
            |lab| lab.edit(file, from, to),
            |lab| lab.edit(file, to, from),
        );
        assert_ne!(after, before);
    }
    // Included files are all that the directory is used for.
    let other = lab.outside("other");
    lab.move_to(other);
    lab.run(&["build"]).only_hits();
    assert_eq!(lab.app(), before);
    lab.set("CARGO_TARGET_DIR", lab.outside("elsewhere"));
    lab.run(&["build"]).only_hits();
}

/// `OUT_DIR` as a value: where it is, or what follows from that.
#[test]
fn the_directory_of_a_build_script_as_a_value_is_keyed() {
    for (value, kept) in [
        ("env!(\"OUT_DIR\")", true),
        ("const { env!(\"OUT_DIR\").len() }", false),
        (
            "const { concat!(env!(\"OUT_DIR\"), \"/made.rs\").len() }",
            false,
        ),
    ] {
        let mut lab = including(&format!(
            "const V: &str = include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"));\n\
             fn main() {{ println!(\"{{}} {{V}}\", {value}) }}\n"
        ));
        lab.run(&["build"]);
        let before = lab.app();
        lab.anew(&["build"]).only_hits();
        assert_eq!(lab.app(), before);
        let other = lab.outside("a longer name");
        lab.move_to(other.clone());
        let run = lab.run(&["build"]);
        run.missed_for("app", ("env", "OUT_DIR"));
        assert_ne!(lab.app(), before);
        if kept {
            let there = PathBuf::from(lab.app().trim_end_matches(" made 1\n"));
            assert!(
                there.starts_with(other.join("target")),
                "{}",
                there.display()
            );
        }
    }
}

/// What the build script of [`including`] made.
const INCLUDED: &str = "include!(concat!(env!(\"OUT_DIR\"), \"/made.rs\"))";

/// The same, by a macro of a crate behind the one that the program names.
fn by_a_macro(value: &str) -> Lab {
    let lab = including("fn main() { println!(\"{}\", facade::made!()) }\n");
    let dependency = "[workspace]\nmembers = [\"facade\", \"made\"]\n[dependencies]\nfacade = { path = \"facade\" }\n";
    lab.put("Cargo.toml", &package("app", dependency));
    lab.put(
        "facade/Cargo.toml",
        &package("facade", "[dependencies]\nmade = { path = \"../made\" }\n"),
    );
    lab.put("facade/src/lib.rs", "pub use made::made;\n");
    lab.put("made/Cargo.toml", &package("made", ""));
    let text = format!(
        "/// Of what is in `OUT_DIR`.\n#[macro_export]\nmacro_rules! made {{ () => {{ {value} }}; }}\n"
    );
    lab.put("made/src/lib.rs", &text);
    lab
}

#[test]
fn what_another_crates_macro_includes_is_the_same_elsewhere() {
    let mut lab = by_a_macro(INCLUDED);
    lab.run(&["build"]);
    let (after, _) = lab.check(
        "app",
        ("source", "/out/made.rs"),
        |lab| lab.edit("template", "made 1", "made 2"),
        |lab| lab.edit("template", "made 2", "made 1"),
    );
    assert_eq!(after, "made 2\n");
    let other = lab.outside("other");
    lab.move_to(other);
    lab.anew(&["build"]).only_hits();
    assert_eq!(lab.app(), "made 1\n");
}

#[test]
fn what_another_crates_macro_makes_of_a_directory_is_keyed() {
    for value in [
        "const { env!(\"OUT_DIR\").len() }".to_owned(),
        format!("format!(\"{{}} {{}}\", {INCLUDED}, const {{ env!(\"OUT_DIR\").len() }})"),
    ] {
        directory_is_keyed(&mut by_a_macro(&value));
    }
}

/// A program that prints what it makes of the directory is another one elsewhere.
fn directory_is_keyed(lab: &mut Lab) {
    lab.run(&["build"]);
    let before = lab.app();
    let other = lab.outside("a longer name");
    lab.move_to(other);
    lab.anew(&["build"]).missed_for("app", ("env", "OUT_DIR"));
    assert_ne!(lab.app(), before);
}

/// What a procedural macro makes of it is in no text.
#[test]
fn what_a_procedural_macro_makes_of_a_directory_is_keyed() {
    let mut lab = by_a_macro(INCLUDED);
    lab.edit(
        "Cargo.toml",
        "path = \"facade\" }\n",
        "path = \"facade\" }\nmac = { path = \"mac\" }\n",
    );
    lab.put(
        "mac/Cargo.toml",
        &package("mac", "[lib]\nproc-macro = true\n"),
    );
    lab.put(
        "mac/src/lib.rs",
        "#[proc_macro]\npub fn length(_: proc_macro::TokenStream) -> proc_macro::TokenStream {\n\
         \"const { env!(\\\"OUT_DIR\\\").len() }\".parse().unwrap()\n}\n",
    );
    lab.put(
        "src/main.rs",
        "fn main() { println!(\"{} {}\", facade::made!(), mac::length!()) }\n",
    );
    directory_is_keyed(&mut lab);
}
