//! Runs of build scripts among other packages, other commands, and after an end that was not their own.

use std::path::Path;

use serde_json::Value;

use crate::keys::{Lab, Run, package};
use crate::keys_native::build_script;
use crate::project::{Project, program_dir};
use crate::scripts::{PRELUDE, lab, lab_with, replayed, step, steps};

/// A package that makes a header, and one whose script reads it.
fn two() -> Lab {
    let maker = format!(
        "{PRELUDE}\nfn main() {{ println!(\"cargo:root={{}}\", out().display()); \
         fs::create_dir_all(out().join(\"include\")).unwrap(); \
         fs::write(out().join(\"include/x.h\"), fs::read(\"data\").unwrap()).unwrap(); make(\"\") }}"
    );
    let user = format!(
        "{PRELUDE}\nfn main() {{ let root = env::var(\"DEP_MAKER_ROOT\").unwrap(); \
         make(fs::read(Path::new(&root).join(\"include/x.h\")).unwrap()) }}"
    );
    let print =
        "fn main() { println!(\"{}\", include_str!(concat!(env!(\"OUT_DIR\"), \"/made\"))); }";
    Lab::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"maker\"]\nresolver = \"2\"\n",
        ),
        (
            "app/Cargo.toml",
            &package("app", "[dependencies]\nmaker = { path = \"../maker\" }\n"),
        ),
        ("app/src/main.rs", print),
        ("app/build.rs", &user),
        ("maker/Cargo.toml", &package("maker", "links = \"maker\"\n")),
        ("maker/src/lib.rs", ""),
        ("maker/build.rs", &maker),
        ("maker/data", "one"),
    ])
}

#[test]
fn what_another_script_made_is_an_input() {
    let mut lab = two();
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
    lab.move_to(lab.outside("other/place"));
    replayed(&lab.anew(&["build"]));
    assert_eq!(lab.app(), "one\n");
    lab.put("maker/data", "two");
    let run = lab.anew(&["build"]);
    for (package, name) in [("maker", "/data"), ("app", "out/include/x.h")] {
        let step = step(&run, package);
        let change = &step["miss"]["changes"][0];
        assert!(change["name"].as_str().unwrap().ends_with(name), "{step:#}");
    }
    assert_eq!(lab.app(), "two\n");
}

/// Under commands that may start rustdoc something of ours stands in for it. A script sees what cargo would
/// have told it, so that one that hands all variables on is replayed by whatever command.
#[test]
fn a_script_sees_no_stand_in_for_rustdoc() {
    let script = r#"fn main() {
        assert!(Command::new("true").status().unwrap().success());
        make(env::var("RUSTDOC").unwrap());
    }"#;
    let mut lab = lab(script);
    let app = |lab: &Lab| {
        lab.run(&["test", "--no-run"]);
        lab.run(&["build"]);
        lab.app()
    };
    lab.anew(&["build"]);
    let plain = lab.app();
    replayed(&lab.anew(&["test"]));
    assert_eq!(app(&lab), plain);
    replayed(&lab.anew(&["build"]));
    lab.set("RUSTDOC", "rustdoc");
    lab.anew(&["test"]);
    assert_eq!(app(&lab), "rustdoc\n");
}

/// A script that compiles C and has it linked: in the same directory nothing of it runs again.
#[test]
fn a_static_library_comes_back() {
    let lab = Lab::new(&[
        ("Cargo.toml", &package("app", "[workspace]\n")),
        (
            "src/main.rs",
            "unsafe extern \"C\" { safe fn number() -> i32; }\nfn main() { println!(\"{}\", number()) }\n",
        ),
        ("build.rs", &build_script("number")),
        (
            "number.c",
            "#include \"number.h\"\nint number(void) { return N; }\n",
        ),
        ("number.h", "#define N 1\n"),
    ]);
    lab.anew(&["build"]);
    let run = lab.anew(&["build"]);
    replayed(&run);
    run.only_hits();
    assert_eq!(lab.app(), "1\n");
    assert_eq!(stats(&lab)["processes"]["build_script"], 0);
    assert_eq!(stats(&lab)["scripts"]["replayed"], 1);
    // What no one declares: cargo is told of `number.c` alone.
    lab.put("number.h", "#define N 2\n");
    let run = lab.anew(&["build"]);
    assert_eq!(step(&run, "app")["fate"], "miss");
    assert_eq!(stats(&lab)["processes"]["build_script"], 1);
    assert_eq!(lab.app(), "2\n");
    let text = rekindle(&lab, &["explain"]);
    assert!(
        text.contains("`{workspace}/number.h` was rewritten"),
        "{text}"
    );
    let text = rekindle(&lab, &["observe", "app"]);
    assert!(text.contains("file {workspace}/number.h\n"), "{text}");
}

#[test]
fn explain_says_what_is_there_now() {
    let script = r#"fn main() {
        let text = env::var("PKG_CONFIG_PATH").unwrap_or_default();
        make(format!("{text}{}", Path::new("src/gen.rs").exists()));
    }"#;
    let mut lab = lab(script);
    lab.anew(&["build"]);
    lab.set("PKG_CONFIG_PATH", "/secret/place");
    lab.put("src/gen.rs", "");
    lab.anew(&["build"]);
    let text = rekindle(&lab, &["explain"]);
    for line in [
        "`PKG_CONFIG_PATH` is now set",
        "`{workspace}/src/gen.rs` exists now",
    ] {
        assert!(text.contains(line), "{text}");
    }
    let observed = rekindle(&lab, &["observe", "app"]);
    assert!(
        observed.contains("environment variable PKG_CONFIG_PATH"),
        "{observed}"
    );
    assert!(!(text + &observed).contains("secret"));
}

/// cargo gives scripts an `LD_LIBRARY_PATH` of Rust's libraries, and so to all that they start.
#[test]
fn programs_of_the_system_have_cargos_variable_and_look_for_no_library_there() {
    let script = r#"fn main() {
        let own = env::var("LD_LIBRARY_PATH").unwrap();
        let said = |program: &str, words: &[&str]| {
            let output = Command::new(program).args(words).output().unwrap();
            assert!(output.status.success());
            String::from_utf8(output.stdout).unwrap()
        };
        assert_eq!(said("/usr/bin/printenv", &["LD_LIBRARY_PATH"]).trim_end(), own);
        assert_eq!(said("/bin/sh", &["-c", "ls src; printenv LD_LIBRARY_PATH"]), format!("main.rs\n{own}\n"));
        make("x");
    }"#;
    let lab = lab(script);
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
    let observed = rekindle(&lab, &["observe", "app"]);
    assert!(observed.contains("/ls\n"), "{observed}");
    let mut lines = observed.lines();
    // What `ls` needs on many systems; the script's own program looks for the C library there.
    let found = lines.find(|line| line.contains("{target}") && line.contains("libselinux"));
    assert_eq!(found, None, "{observed}");
}

fn rekindle(lab: &Lab, arguments: &[&str]) -> String {
    let mut command = lab.command(env!("CARGO_BIN_EXE_rekindle"), arguments);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

fn stats(lab: &Lab) -> Value {
    serde_json::from_str(&rekindle(lab, &["stats", "--format", "json"])).unwrap()
}

/// Under a plain cargo the launcher finds its settings itself.
#[test]
fn a_plain_cargo_replays_too() {
    let lab = lab_with(
        r#"fn main() { println!("cargo:rerun-if-changed=data"); make(fs::read("data").unwrap()) }"#,
        &[("data", "one")],
    );
    let cargo = |with_wrapper: bool| {
        let mut command = lab.command("cargo", &["build"]);
        if with_wrapper {
            command.env("RUSTC_WRAPPER", program_dir().join("rekindle-rustc"));
        }
        let output = command.output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    cargo(true);
    std::fs::remove_dir_all(lab.path("target")).unwrap();
    cargo(true);
    assert_eq!(stats(&lab)["scripts"]["replayed"], 1);
    // Nor does it mind a change while nothing of ours is there.
    lab.put("data", "two");
    let file = std::fs::File::options()
        .write(true)
        .open(lab.path("data"))
        .unwrap();
    file.set_modified(std::time::SystemTime::now() + std::time::Duration::from_secs(5))
        .unwrap();
    cargo(false);
    assert_eq!(lab.app(), "two\n");
    replayed(&lab.anew(&["build"]));
    assert_eq!(lab.app(), "two\n");
}

/// A run that is killed leaves what works the next time.
#[test]
fn a_killed_run_runs_again() {
    let script = r#"fn main() {
        fs::write(out().join("begun"), "").unwrap();
        while Path::new("wait").exists() { std::thread::yield_now(); }
        make("well");
    }"#;
    let lab = lab_with(script, &[("wait", "")]);
    let mut command = lab.command(env!("CARGO_BIN_EXE_rekindle"), &["build", "-q"]);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut child = command.spawn().unwrap();
    while begun(&lab.path("target/debug/build")).is_none() {
        assert!(child.try_wait().unwrap().is_none(), "the build ended");
        std::thread::yield_now();
    }
    let group = format!("-{}", child.id());
    let status = std::process::Command::new("kill")
        .args(["-KILL", "--", &group])
        .status();
    assert!(status.unwrap().success());
    child.wait().unwrap();
    std::fs::remove_file(lab.path("wait")).unwrap();
    let run = lab.run(&["build"]);
    assert_eq!(step(&run, "app")["exit_code"], 0);
    assert_eq!(lab.app(), "well\n");
    let left = walk(&lab.path("target"));
    let left: Vec<_> = left
        .iter()
        .filter(|name| name.contains("/.rekindle-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    assert!(steps(&lab.run(&["build"])).is_empty());
}

fn begun(build: &Path) -> Option<()> {
    let mut units = std::fs::read_dir(build).ok()?.map(Result::unwrap);
    units
        .any(|unit| unit.path().join("out/begun").exists())
        .then_some(())
}

fn walk(dir: &Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
        names.push(entry.path().display().to_string());
        if entry.file_type().unwrap().is_dir() {
            names.extend(walk(&entry.path()));
        }
    }
    names
}

/// In a restored target directory a script that cargo starts again is looked up, too.
#[test]
fn a_restored_script_is_looked_up() {
    let script = r#"fn main() {
        println!("cargo:rerun-if-env-changed=GREETING");
        make(env::var("GREETING").unwrap());
    }"#;
    let mut lab = lab(script);
    lab.set("REKINDLE_SNAPSHOT", "1");
    for greeting in ["one", "two"] {
        lab.set("GREETING", greeting);
        lab.anew(&["build"]);
        assert_eq!(lab.app(), format!("{greeting}\n"));
    }
    let run = lab.anew(&["build"]);
    let restored = |run: &Run| {
        let mut events = run.events.iter();
        let event = events.find(|event| event["event"] == "snapshot_restored");
        event.is_some_and(|event| event["units"].as_u64() > Some(0))
    };
    assert!(
        restored(&run) && steps(&run).is_empty(),
        "{:#?}",
        run.events
    );
    lab.set("GREETING", "one");
    replayed(&lab.run(&["build"]));
    assert_eq!(lab.app(), "one\n");
    lab.set("GREETING", "three");
    let run = lab.run(&["build"]);
    assert_eq!(step(&run, "app")["fate"], "miss", "{:#?}", run.events);
    assert_eq!(lab.app(), "three\n");
}

/// One command after the other in one target directory, of which no other knows.
#[test]
fn a_program_that_the_store_has_lost_is_built_anew() {
    let mut lab = lab(r#"fn main() { make(env::var("GREETING").unwrap_or_default()) }"#);
    lab.put(
        "build.rs",
        &format!("{PRELUDE}\nfn main() {{ println!(\"cargo:rerun-if-env-changed=GREETING\"); make(env::var(\"GREETING\").unwrap_or_default()) }}"),
    );
    lab.run(&["build"]);
    for entry in walk(&lab.outside("store/v1/objects")) {
        if Path::new(&entry).is_file() {
            std::fs::remove_file(entry).unwrap();
        }
    }
    lab.set("GREETING", "hello");
    lab.run(&["build"]);
    assert_eq!(lab.app(), "hello\n");
}

/// What cargo starts is an ordinary program for everyone else.
#[test]
fn a_project_alone_has_what_it_needs() {
    let project = Project::new("fn main() {}");
    let script = format!("{PRELUDE}\nfn main() {{ make(\"x\") }}");
    project.put("ws/build.rs", &script);
    let done = project.rekindle(&["build"]).ok();
    assert!(done.stderr.contains("rekindle: "), "{}", done.stderr);
    assert_eq!(project.stats()["processes"]["build_script"], 1);
}

/// A package that is built for the host as well has one program, which cargo runs for both at once.
#[test]
fn two_runs_of_one_program_at_once_do_not_meet() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
         let wait = if std::env::var(\"OPT_LEVEL\").unwrap() == \"0\" { 0 } else { 1500 };\n\
         std::thread::sleep(std::time::Duration::from_millis(wait));\n\
         std::fs::read(std::env::current_exe().unwrap()).unwrap(); }";
    let dependency = "shared = { path = \"../shared\" }\n";
    let dependencies = format!("[dependencies]\n{dependency}[build-dependencies]\n{dependency}");
    let lab = Lab::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"shared\"]\nresolver = \"2\"\n",
        ),
        ("app/Cargo.toml", &package("app", &dependencies)),
        ("app/src/main.rs", "fn main() {}"),
        ("app/build.rs", "fn main() {}"),
        ("shared/Cargo.toml", &package("shared", "")),
        ("shared/src/lib.rs", ""),
        ("shared/build.rs", script),
    ]);
    let run = lab.anew(&["build", "--release", "-j", "4"]);
    let runs = steps(&run);
    let of_shared = runs.iter().filter(|step| step["package"] == "shared");
    assert_eq!(of_shared.count(), 2, "{runs:#?}");
}
