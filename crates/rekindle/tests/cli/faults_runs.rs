//! Several builds at once, builds that are interrupted, and stores that change under a build.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;

use rekindle_events::{Fate, MissReason};

use crate::faults::{Field, OUTPUT, UNITS, assert_all_hits, count, misses, shown};
use crate::project::Done;

#[test]
fn two_builds_at_once_share_a_store() {
    let field = Field::new();
    for round in 0..3 {
        let made = format!("made in {round}");
        let checkouts = ["one", "two"].map(|name| {
            let checkout = field.steady(&format!("{name}-{round}"));
            checkout.put(
                "dep/src/lib.rs",
                &format!("pub fn word() -> &'static str {{ \"word {round}\" }}\n"),
            );
            checkout.put("app/made.txt", &made);
            checkout
        });
        let started = checkouts.each_ref().map(|checkout| {
            let mut command = checkout.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
            command.stdout(Stdio::piped()).stderr(Stdio::piped());
            command.spawn().unwrap()
        });
        for child in started {
            Done::from(child.wait_with_output().unwrap()).ok();
        }
        let expected = format!("word {round} 42 {made}\n");
        for checkout in &checkouts {
            assert_eq!(checkout.run_program(), expected);
            checkout.assert_fresh("two at once");
        }
        field.assert_sound("two at once");
        let third = field.steady(&format!("three-{round}"));
        third.put(
            "dep/src/lib.rs",
            &format!("pub fn word() -> &'static str {{ \"word {round}\" }}\n"),
        );
        third.put("app/made.txt", &made);
        third.build_to(&expected);
        assert_all_hits(&field.units(), UNITS);
    }
}

#[test]
fn an_interrupted_build_goes_on_where_it_was() {
    let field = Field::new();
    let one = field.checkout("one");
    // A build script that says where it is and waits for the signal.
    one.put(
        "app/build.rs",
        "fn main() {\n    if std::path::Path::new(\"wait\").exists() {\n        \
         eprintln!(\"here\"); std::fs::write(\"pipe\", \"here\\n\").unwrap();\n        \
         loop { std::thread::park() }\n    }\n    \
         let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
         std::fs::write(out + \"/made.rs\", \"\\\"made\\\"\").unwrap();\n}\n",
    );
    one.put("app/wait", "");
    let pipe = one.path("app/pipe");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &pipe,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
        0,
    )
    .unwrap();
    let mut command = one.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
    command
        .process_group(0)
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    let opened = std::fs::File::open(&pipe).unwrap();
    BufReader::new(opened).read_line(&mut line).unwrap();
    assert_eq!(line, "here\n");
    let group = rustix::process::Pid::from_child(&child);
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130));
    std::fs::remove_file(one.path("app/wait")).unwrap();
    std::fs::remove_file(pipe).unwrap();
    one.build();
    one.assert_fresh("after an interruption");
    field.assert_sound("after an interruption");
}

#[test]
fn an_eviction_between_builds_or_during_one_fails_nothing() {
    let field = Field::new();
    let gc = |when: &str| {
        let done = field
            .checkout("gc")
            .rekindle(&["cache", "gc", "--size", "1K"]);
        assert_eq!(done.code, Some(0), "{when}: {}", done.stderr);
        field.assert_sound(when);
    };
    let one = field.checkout("one");
    one.build();
    gc("between");
    one.assert_fresh("after an eviction");
    one.put(
        "app/src/main.rs",
        "fn main() { print!(\"{}\", dep::word()) }\n",
    );
    one.build_to("word");
    // A budget that nothing fits, so that every build ends with an eviction.
    let two = field.checkout("two").with("REKINDLE_CACHE_SIZE", "1K");
    two.build_to(OUTPUT);
    two.assert_fresh("evicted at its end");
    // An eviction for each build script and each compile of one build, by way of the wrapper before ours.
    let three = field.checkout("three");
    three.put(
        "app/build.rs",
        "fn main() {\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
         let gc = std::process::Command::new(std::env::var(\"EVICT\").unwrap())\n        \
         .args([\"cache\", \"gc\", \"--size\", \"1K\"]).stdout(std::process::Stdio::null()).status();\n    \
         assert!(gc.unwrap().success());\n    \
         std::fs::write(out + \"/made.rs\", \"\\\"made\\\"\").unwrap();\n}\n",
    );
    let three = three.with("EVICT", env!("CARGO_BIN_EXE_rekindle"));
    three.build();
    three.assert_fresh("evicted in the middle");
    three.remove_target();
    // What the running build used stays until its end.
    three.build();
    three.remove_target();
    assert_all_hits(&three.build(), UNITS);
}

#[test]
fn switches_do_what_they_say() {
    let field = Field::new();
    let one = field.steady("one");
    one.build();
    let disabled = field.steady("disabled").with("REKINDLE_DISABLE", "1");
    disabled.build_to(OUTPUT);
    disabled.assert_fresh("disabled");
    disabled.wrapped(&["build"]).ok();
    let runs = std::fs::read_dir(field.store.join("v1/runs"))
        .unwrap()
        .count();
    assert_eq!(runs, 1, "a run was recorded");

    let again = field.steady("again").with("REKINDLE_RECACHE", "1");
    let units = again.build();
    assert!(
        misses(&units)
            .iter()
            .all(|(_, reason)| *reason == MissReason::Recache)
    );
    assert_eq!(count(&units, Fate::Miss), UNITS, "{:#?}", shown(&units));
    again.assert_fresh("recached");
    assert_all_hits(&field.steady("after").build(), UNITS);

    // Real paths: another directory is a miss, the same one is a hit.
    let real = field.steady("real").with("REKINDLE_REMAP", "0");
    let units = real.build();
    assert_eq!(count(&units, Fate::Miss), UNITS, "{:#?}", shown(&units));
    real.assert_fresh("real paths");
    real.remove_target();
    assert_all_hits(&real.build(), UNITS);
    let program = std::fs::read(real.path("target/debug/app")).unwrap();
    assert!(
        holds(&program, &real.root),
        "the real path is in the program"
    );
    let elsewhere = field.steady("elsewhere").with("REKINDLE_REMAP", "0");
    assert_eq!(count(&elsewhere.build(), Fate::Hit), 0);
}

fn holds(bytes: &[u8], path: &Path) -> bool {
    use std::os::unix::ffi::OsStrExt;
    let path = path.as_os_str().as_bytes();
    bytes.windows(path.len()).any(|window| window == path)
}

/// An installation that is removed or replaced while builds go on.
#[test]
fn a_wrapper_that_is_gone_or_of_another_version_fails_no_later_build() {
    let field = Field::new();
    let installed = field.install("bin");
    let one = field.steady("one");
    one.build_by(&installed);
    one.assert_fresh("the installation in another place");
    // Deleted during the build: cargo cannot start it, and says so. The next build goes on.
    let wrapper = installed.with_file_name("rekindle-rustc");
    let kept = field.path("rekindle-rustc");
    std::fs::rename(&wrapper, &kept).unwrap();
    let done = one.build_by(&installed);
    assert!(!done.stderr.contains("Compiling"), "{}", done.stderr);
    let two = field.steady("two");
    let done = two.build_by(&installed);
    let warnings = done
        .stderr
        .lines()
        .filter(|line| line.contains("rekindle: warning"));
    assert_eq!(warnings.count(), 1, "{}", done.stderr);
    assert_eq!(two.run_program(), OUTPUT);
    two.assert_fresh("without a wrapper");
    std::fs::rename(&kept, &wrapper).unwrap();
    let three = field.steady("three");
    three.build_by(&installed);
    assert_all_hits(&field.units(), UNITS);
    // Settings of another version are not obeyed: the wrapper reads its own.
    let foreign = field.path("foreign");
    let settings = serde_json::json!({
        "rekindle": "0.0.0", "store_dir": foreign, "run_dir": null, "remap": true, "recache": false,
        "verify": false, "linker": "auto", "cargo_home": foreign, "inner_wrapper": null,
        "trusted_wrappers": [],
    });
    let four = field
        .steady("four")
        .with("REKINDLE_SETTINGS", settings.to_string());
    four.wrapped(&["build"]).ok();
    assert_eq!(four.run_program(), OUTPUT);
    assert!(!foreign.exists(), "settings of another version were obeyed");
}
