//! C compiles inside of build scripts' runs: what a run that misses takes from the store, and what a run
//! that took it from there is keyed by.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::keys::{Lab, Run, package, skip};
use crate::project::Done;

/// A build script that compiles three files by hand, as `configure` and `make` do.
const SCRIPT: &str = r#"
use std::{env, path::PathBuf, process::Command};
fn run(program: &str, words: &[&str]) {
    let done = Command::new(program).args(words).status().unwrap();
    assert!(done.success(), "{program} {words:?}");
}
fn main() {
    println!("cargo:rerun-if-changed=c");
    println!("cargo:rerun-if-env-changed=APP_WORDS");
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap());
    let words = env::var("APP_WORDS").unwrap_or_default();
    let archive = out.join("libapp.a");
    let _ = std::fs::remove_file(&archive);
    let mut line = vec!["crs".to_owned(), archive.display().to_string()];
    for name in ["one", "two", "three"] {
        let object = out.join(name).with_extension("o").display().to_string();
        let source = format!("c/{name}.c");
        let mut compile = vec!["-g", "-I", "c", "-c", &source, "-o", &object];
        compile.extend(words.split_whitespace());
        run("gcc", &compile);
        line.push(object);
    }
    let line: Vec<&str> = line.iter().map(String::as_str).collect();
    run("ar", &line);
    println!("cargo:rustc-link-search={}", out.display());
    println!("cargo:rustc-link-lib=static=app");
}
"#;

fn lab() -> Lab {
    let manifest = package("app", "links = \"app\"\n[workspace]\n");
    Lab::new(&[
        ("Cargo.toml", &manifest),
        ("build.rs", SCRIPT),
        ("c/one.h", "#define ONE 1\n"),
        (
            "c/one.c",
            "#include \"one.h\"\nint one(void) {\n    return ONE; /* seen by a debugger */\n}\n",
        ),
        ("c/two.c", "int two(void) { int unused; return 2; }\n"),
        ("c/three.c", "int three(void) { return 3; }\n"),
        (
            "src/main.rs",
            "extern \"C\" { fn one() -> i32; fn two() -> i32; fn three() -> i32; }\n\
             fn main() { println!(\"{}\", unsafe { one() * 100 + two() * 10 + three() }); }\n",
        ),
    ])
}

/// The compiles and archives of a run: kind, file name, and what became of it, in order.
fn tools(run: &Run) -> Vec<String> {
    let tool = |event: &&Value| event["kind"] == "cc" || event["kind"] == "ar";
    let steps = run.events.iter().filter(|event| event["event"] == "step");
    steps
        .filter(tool)
        .map(|step| {
            let name = Path::new(step["id"].as_str().unwrap()).file_name().unwrap();
            format!("{} {}", name.display(), step["fate"].as_str().unwrap())
        })
        .collect()
}

fn script(run: &Run) -> &Value {
    let of_script = |event: &&Value| event["event"] == "step" && event["kind"] == "build-script";
    run.events.iter().find(of_script).unwrap()
}

const ALL_HIT: [&str; 4] = ["one.c hit", "two.c hit", "three.c hit", "libapp.a hit"];
const ALL_MISS: [&str; 4] = ["one.c miss", "two.c miss", "three.c miss", "libapp.a miss"];

#[test]
fn only_what_changed_is_compiled_when_the_run_misses() {
    let mut lab = lab();
    let first = lab.anew(&["run"]);
    assert_eq!(tools(&first), ALL_MISS, "{}", first.done.stderr);
    assert_eq!(first.done.stdout, "123\n");

    lab.put("c/two.c", "int two(void) { return 5; }\n");
    let one_changed = lab.anew(&["run"]);
    let expected = ["one.c hit", "two.c miss", "three.c hit", "libapp.a miss"];
    assert_eq!(tools(&one_changed), expected);
    assert_eq!(one_changed.done.stdout, "153\n");

    lab.put("c/one.h", "#define ONE 7\n");
    let header_changed = lab.anew(&["run"]);
    let expected = ["one.c miss", "two.c hit", "three.c hit", "libapp.a miss"];
    assert_eq!(tools(&header_changed), expected);
    assert_eq!(header_changed.done.stdout, "753\n");

    lab.set("APP_WORDS", "-DUNUSED");
    assert_eq!(tools(&lab.anew(&["build"]))[..3], ALL_MISS[..3]);
    lab.set("APP_WORDS", "-DUNUSED_TOO");
    let anew = lab.anew(&["build"]);
    assert_eq!(tools(&anew)[..3], ALL_MISS[..3]);
    let stats = lab.try_run(&["stats", "--format", "json"]).done.ok().stdout;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats["processes"]["cc"], 3, "{stats:#}");
    assert_eq!(
        stats["cc"]["reused"], 1,
        "the archive of the same objects: {stats:#}"
    );
}

/// A build in another terminal, or in none, and with temporary files elsewhere, is the same.
#[test]
fn surroundings_are_no_input() {
    let mut lab = lab();
    lab.set("TERM", "xterm-of-mine");
    lab.anew(&["build"]);
    lab.set("TERM", "screen-of-mine");
    let temporary = lab.outside("temporary");
    std::fs::create_dir_all(&temporary).unwrap();
    lab.set("TMPDIR", temporary);
    let run = lab.anew(&["build"]);
    assert_eq!(script(&run)["fate"], "hit", "{:#}", script(&run));
    // And where the script runs for a reason of its own.
    lab.set("APP_WORDS", "");
    let run = lab.anew(&["build"]);
    assert_eq!(script(&run)["fate"], "miss");
    assert_eq!(tools(&run), ALL_HIT);
}

/// Everything that its compiles ever read is an input of a run in which none of them was started.
#[test]
fn a_run_of_restored_compiles_is_keyed_by_what_they_had_read() {
    let lab = lab();
    lab.anew(&["build"]);
    // Another script, which asks for the same.
    lab.edit(
        "build.rs",
        "fn main() {",
        "fn main() { println!(\"cargo:rustc-env=ANOTHER=1\");",
    );
    let again = lab.anew(&["run"]);
    assert_eq!(tools(&again), ALL_HIT);
    assert_eq!(script(&again)["fate"], "miss", "{:#}", script(&again));
    let replayed = lab.anew(&["run"]);
    assert_eq!(tools(&replayed), [""; 0]);
    assert_eq!(script(&replayed)["fate"], "hit");

    lab.put("c/one.h", "#define ONE 9\n");
    let changed = lab.anew(&["run"]);
    assert_eq!(changed.done.stdout, "923\n");
    let names = script(&changed)["miss"]["changes"].to_string();
    assert!(names.contains("c/one.h"), "{:#}", script(&changed));

    // What the compiler had looked for in vain counts as much.
    lab.edit("build.rs", "ANOTHER=1", "ANOTHER=2");
    assert_eq!(tools(&lab.anew(&["build"])), ALL_HIT);
    lab.put("c/string.h", "");
    lab.put("c/three.h", "");
    assert_eq!(
        script(&lab.anew(&["build"]))["fate"],
        "hit",
        "nobody looks for these"
    );
}

#[test]
fn another_checkout_compiles_nothing_and_debuggers_find_its_sources() {
    let mut lab = lab();
    let first = lab.anew(&["run"]);
    lab.move_to(lab.outside("another/much-longer/checkout"));
    // The run as a whole misses.
    lab.edit(
        "build.rs",
        "fn main() {",
        "fn main() { println!(\"cargo:rustc-env=ANOTHER=1\");",
    );
    let again = lab.anew(&["run"]);
    assert_eq!(tools(&again), ALL_HIT);
    assert_eq!(again.done.stdout, first.done.stdout);
    let said = Command::new("gdb")
        .args(["-batch", "-nx", "-ex", "list one"])
        .arg(lab.path("target/debug/app"))
        .current_dir("/")
        .output();
    match said {
        Ok(output) => {
            let said = Done::from(output);
            assert!(
                said.stdout.contains("seen by a debugger"),
                "{}{}",
                said.stdout,
                said.stderr
            );
        }
        Err(_) => skip(
            "another_checkout_compiles_nothing_and_debuggers_find_its_sources (a part)",
            "gdb is not installed",
        ),
    }
}

#[test]
fn explain_says_a_changed_header_once() {
    let lab = lab();
    lab.edit("c/two.c", "int two", "#include \"one.h\"\nint two");
    lab.anew(&["build"]);
    lab.put("c/one.h", "#define ONE 7\n");
    lab.anew(&["build"]);
    let said = lab.try_run(&["explain"]).done.ok().stdout;
    let expected = "2 objects or archives of the build script of app 0.1.0 made anew:\n  \
                    `{workspace}/c/one.h` was rewritten\n  which concerns:\n    c/one.c\n    c/two.c\n";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn the_cc_crate_is_used_as_it_is() {
    let manifest = package("app", "[build-dependencies]\ncc = \"1\"\n[workspace]\n");
    let mut lab = Lab::new(&[
        ("Cargo.toml", &manifest),
        (
            "build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=c\");\n\
             cc::Build::new().files([\"c/one.c\", \"c/two.c\"]).warnings(true).compile(\"app\"); }",
        ),
        ("c/one.c", "int one(void) { return 1; }\n"),
        ("c/two.c", "int two(void) { return 2; }\n"),
        (
            "src/main.rs",
            "extern \"C\" { fn one() -> i32; fn two() -> i32; }\n\
             fn main() { println!(\"{}\", unsafe { one() * 10 + two() }); }\n",
        ),
    ]);
    // Rekindle's own program is below the directory that the test was started in.
    let here = lab.path("");
    lab.set("PWD", here);
    let fetched = lab.command("cargo", &["fetch"]).output().unwrap();
    if !fetched.status.success() {
        return skip(
            "the_cc_crate_is_used_as_it_is",
            "the `cc` package cannot be fetched",
        );
    }
    assert_eq!(lab.anew(&["run"]).done.stdout, "12\n");
    lab.put("c/two.c", "int two(void) { return 3; }\n");
    let run = lab.anew(&["run"]);
    assert_eq!(run.done.stdout, "13\n");
    let tools = tools(&run);
    assert!(tools.contains(&"one.c hit".into()), "{tools:?}");
    assert!(tools.contains(&"two.c miss".into()), "{tools:?}");
    // It copies all variables, and asks for few.
    lab.set("DATABASE_URL", "postgres://nobody-asks");
    crate::scripts::replayed(&lab.anew(&["run"]));
    lab.set("CFLAGS", "-DASKED");
    let run = lab.anew(&["run"]);
    crate::scripts::ran_because(&run, "env", "CFLAGS");
}
