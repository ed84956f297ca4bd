//! Runs of build scripts that are not stored, each for a typed reason, and what makes them so.

use crate::keys::{Lab, Run};
use crate::scripts::{lab, lab_with, refused, replayed, step, steps};

/// Such a script runs each time, and its build is none the worse for it.
fn check(lab: &mut Lab, reason: &str) {
    for _ in 0..2 {
        refused(&lab.anew(&["build"]), reason);
        lab.app();
    }
}

const TALKS: &str = r#"fn main() {
    let _ = std::net::TcpStream::connect("127.0.0.1:9");
    make("x");
}"#;

#[test]
fn one_that_talks_to_a_network_runs_each_time() {
    let mut lab = lab(TALKS);
    check(&mut lab, "network");
    // Unless the user knows better.
    lab.set("REKINDLE_TRUSTED_SCRIPTS", "other");
    refused(&lab.anew(&["build"]), "network");
    lab.unset("REKINDLE_TRUSTED_SCRIPTS");
    let config = lab.outside("config/rekindle/config.toml");
    std::fs::create_dir_all(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "build.trusted-scripts = [\"app\"]").unwrap();
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
}

#[test]
fn a_variable_vouches_for_a_script() {
    let mut lab = lab(TALKS);
    lab.set("REKINDLE_TRUSTED_SCRIPTS", "other, app");
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
}

#[test]
fn one_that_writes_elsewhere_runs_each_time() {
    let script = r#"fn main() {
        fs::write("src/generated.rs", "pub const X: u8 = 1;").unwrap();
        make("x");
    }"#;
    check(&mut lab(script), "wrote_outside");
}

#[test]
fn one_that_removes_something_elsewhere_runs_each_time() {
    let script = r#"fn main() {
        let there = fs::remove_file("flag").is_ok();
        make(format!("{there}"));
    }"#;
    let lab = lab_with(script, &[("flag", "")]);
    refused(&lab.anew(&["build"]), "wrote_outside");
}

#[test]
fn temporary_files_are_no_outputs() {
    let script = r#"fn main() {
        let file = env::temp_dir().join(format!("of-the-script-{}", std::process::id()));
        fs::write(&file, "x").unwrap();
        let text = fs::read(&file).unwrap();
        fs::remove_file(&file).unwrap();
        make(text);
    }"#;
    let lab = lab(script);
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
}

#[test]
fn one_that_asks_to_run_each_time_does() {
    let script = r#"fn main() {
        println!("cargo:rerun-if-changed=no/such/file");
        make("x");
    }"#;
    check(&mut lab(script), "always_runs");
}

#[test]
fn one_that_leaves_a_process_behind_runs_each_time() {
    let script = r#"fn main() {
        use std::process::Stdio;
        let mut sleep = Command::new("sleep");
        sleep.arg("3").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        sleep.spawn().unwrap();
        make("x");
    }"#;
    let lab = lab(script);
    refused(&lab.anew(&["build"]), "left_behind");
}

#[test]
fn one_that_reads_a_device_runs_each_time() {
    let script = r#"fn main() {
        use std::io::Read;
        let mut byte = [0; 16];
        fs::File::open("/dev/urandom").unwrap().read_exact(&mut byte).unwrap();
        make(format!("{byte:?}"));
    }"#;
    let lab = lab(script);
    refused(&lab.anew(&["build"]), "random");
}

#[test]
fn one_that_fails_is_told_of_as_cargo_does() {
    let script = r#"fn main() {
        println!("cargo:warning=about to fail");
        eprintln!("because of this");
        std::process::exit(3);
    }"#;
    let lab = lab(script);
    for _ in 0..2 {
        let run = lab.try_run(&["build"]);
        assert_eq!(run.done.code, Some(101));
        assert!(
            run.done.stderr.contains("because of this"),
            "{}",
            run.done.stderr
        );
        assert!(
            run.done.stderr.contains("exit status: 3"),
            "{}",
            run.done.stderr
        );
        refused(&run, "failed");
    }
    lab.edit("build.rs", "std::process::exit(3);", "make(\"well\");");
    lab.run(&["build"]);
    assert_eq!(lab.app(), "well\n");
}

/// A script that counts on from what it made before, and does something else besides.
fn counting(besides: &str) -> Lab {
    let script = r#"fn main() {
        BESIDES
        println!("cargo:rerun-if-changed=data");
        let data = fs::read_to_string("data").unwrap();
        let count = fs::read_to_string(out().join("made")).map_or(0, |text| text.len());
        make("x".repeat(count + data.len()));
    }"#;
    lab_with(&script.replace("BESIDES", besides), &[("data", "1")])
}

/// The build after what it reads was changed.
fn changed(lab: &Lab) -> Run {
    lab.put("data", "12");
    later(lab, "data");
    lab.run(&["build"])
}

/// A run that was stored began with nothing, as one that is replayed does: so does the next.
#[test]
fn one_that_was_stored_begins_with_nothing_again() {
    let lab = counting("");
    lab.anew(&["build"]);
    assert_eq!(lab.app(), "x\n");
    let run = changed(&lab);
    assert_eq!(step(&run, "app")["fate"], "miss", "{:#}", step(&run, "app"));
    assert_eq!(lab.app(), "xx\n");
    replayed(&lab.anew(&["build"]));
    assert_eq!(lab.app(), "xx\n");
}

/// What an earlier run left may be what a later one finds, as what was downloaded: then it did not begin as a replayed one does.
#[test]
fn one_that_was_never_stored_finds_its_earlier_output() {
    let lab = counting("let _ = std::net::TcpStream::connect(\"127.0.0.1:9\");");
    refused(&lab.anew(&["build"]), "network");
    assert_eq!(lab.app(), "x\n");
    refused(&changed(&lab), "network");
    assert_eq!(lab.app(), "xxx\n");
}

/// Who vouches for one that downloads does not want it downloaded again.
#[test]
fn one_that_is_trusted_finds_its_earlier_output() {
    let mut lab = counting("let _ = std::net::TcpStream::connect(\"127.0.0.1:9\");");
    lab.set("REKINDLE_TRUSTED_SCRIPTS", "app");
    lab.anew(&["build"]);
    refused(&changed(&lab), "found_earlier_output");
    assert_eq!(lab.app(), "xxx\n");
}

/// Once it is not stored any more it is no longer one that was.
#[test]
fn one_that_begins_to_download_finds_its_earlier_output_from_then_on() {
    let lab = counting("");
    lab.anew(&["build"]);
    let connect = "println!(\"cargo:rerun-if-changed=data\"); \
        let _ = std::net::TcpStream::connect(\"127.0.0.1:9\");";
    lab.edit(
        "build.rs",
        "println!(\"cargo:rerun-if-changed=data\");",
        connect,
    );
    refused(&lab.run(&["build"]), "network");
    assert_eq!(lab.app(), "x\n");
    refused(&changed(&lab), "network");
    assert_eq!(lab.app(), "xxx\n");
}

/// As cmake's and ninja's, and a `target` directory.
#[test]
fn the_state_of_a_build_system_stays_and_what_finds_it_is_not_stored() {
    let lab = counting(
        "fs::create_dir_all(out().join(\"build\")).unwrap(); \
        fs::write(out().join(\"build/CMakeCache.txt\"), \"\").unwrap();",
    );
    lab.anew(&["build"]);
    refused(&changed(&lab), "found_earlier_output");
    assert_eq!(lab.app(), "xxx\n");
    // From nothing, the same inputs are stored, and replayed also over what is there.
    let run = lab.anew(&["build"]);
    assert_eq!(step(&run, "app")["fate"], "miss");
    assert_eq!(lab.app(), "xx\n");
    later(&lab, "data");
    replayed(&lab.run(&["build"]));
    assert_eq!(lab.app(), "xx\n");
}

/// cc leaves a file that it asks its compilers with.
#[test]
fn what_c_was_compiled_from_is_watched_after_each_of_its_runs() {
    let script = r#"fn main() {
        println!("cargo:rerun-if-env-changed=NO_SUCH");
        let asked = out().join("flag_check.c");
        if !asked.exists() {
            fs::write(&asked, "").unwrap();
        }
        make(fs::read_to_string("data").unwrap());
    }"#;
    let mut lab = lab_with(script, &[("data", "one")]);
    lab.set("REKINDLE_SNAPSHOT", "1");
    lab.run(&["build"]);
    for text in ["two", "three"] {
        lab.put("data", text);
        lab.run(&["build"]);
        assert_eq!(lab.app(), format!("{text}\n"));
    }
    // Nor does one that fails change that.
    std::fs::remove_file(lab.path("data")).unwrap();
    lab.try_run(&["build"]);
    for text in ["four", "five"] {
        lab.put("data", text);
        lab.run(&["build"]);
        assert_eq!(lab.app(), format!("{text}\n"));
    }
}

/// What lay there before a run that is stored is not there afterwards.
#[test]
fn a_run_is_stored_without_leftovers() {
    let script = r#"fn main() {
        println!("cargo:rerun-if-changed=data");
        let data = fs::read_to_string("data").unwrap();
        fs::write(out().join(format!("of-{data}")), "x").unwrap();
        make(data);
    }"#;
    let lab = lab_with(script, &[("data", "1")]);
    lab.anew(&["build"]);
    lab.put("data", "2");
    later(&lab, "data");
    let run = lab.run(&["build"]);
    assert_eq!(step(&run, "app")["fate"], "miss", "{:#}", step(&run, "app"));
    assert_eq!(made(&lab), ["made", "of-2"]);
    replayed(&lab.anew(&["build"]));
    assert_eq!(made(&lab), ["made", "of-2"]);
}

/// The names in the script's directory.
fn made(lab: &Lab) -> Vec<String> {
    let units = std::fs::read_dir(lab.path("target/debug/build")).unwrap();
    let outs = units.map(|unit| unit.unwrap().path().join("out"));
    let out = outs.into_iter().find(|out| out.is_dir()).unwrap();
    let names = std::fs::read_dir(out)
        .unwrap()
        .map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// Gives a file a time that cargo takes for a change, whatever the clock says.
fn later(lab: &Lab, name: &str) {
    let file = std::fs::File::options()
        .write(true)
        .open(lab.path(name))
        .unwrap();
    let time = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
    file.set_modified(time).unwrap();
}

#[test]
fn a_switch_turns_it_off() {
    let mut lab = lab(r#"fn main() { make("x") }"#);
    lab.anew(&["build"]);
    lab.set("REKINDLE_SCRIPTS", "0");
    let run = lab.anew(&["build"]);
    assert!(steps(&run).is_empty(), "{:#?}", run.events);
    assert_eq!(lab.app(), "x\n");
    lab.unset("REKINDLE_SCRIPTS");
    replayed(&lab.anew(&["build"]));
    // Placeholders that are there already start the program.
    lab.set("REKINDLE_SCRIPTS", "0");
    lab.edit("build.rs", "\"x\"", "\"y\"");
    assert!(steps(&lab.run(&["build"])).is_empty());
    assert_eq!(lab.app(), "y\n");
}

#[test]
fn a_recached_run_runs() {
    let mut lab = lab(r#"fn main() { make("x") }"#);
    lab.anew(&["build"]);
    lab.set("REKINDLE_RECACHE", "1");
    let run = lab.anew(&["build"]);
    assert_eq!(step(&run, "app")["miss"]["reason"], "recache");
}

/// A hit that is to be verified runs, and is compared with what the store has.
#[test]
fn a_verified_run_is_compared() {
    for (script, reason) in [
        (r#"fn main() { make("x") }"#, "recache"),
        (
            r#"fn main() { make(format!("{}", std::process::id())) }"#,
            "verify_mismatch",
        ),
    ] {
        let mut lab = lab(script);
        lab.anew(&["build"]);
        lab.set("REKINDLE_VERIFY", "1");
        let run = lab.anew(&["build"]);
        assert_eq!(
            step(&run, "app")["miss"]["reason"],
            reason,
            "{:#}",
            step(&run, "app")
        );
    }
}
