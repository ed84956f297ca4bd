//! What doctor says of build scripts that run each time.

use crate::doctor_ward::Ward;
use crate::project::skip;

/// Takes more than the second that is worth a word.
const SCRIPT: &str = "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
    let _ = std::net::TcpStream::connect(\"127.0.0.1:9\");\n    \
    std::thread::sleep(std::time::Duration::from_millis(1100));\n}\n";

/// A project whose script talks to a network, built in a new target directory. `None` where that cannot be seen.
fn built(test: &str, ward: &Ward) -> Option<()> {
    ward.project.put("ws/build.rs", SCRIPT);
    ward.rekindle(&["build"]).ok();
    if !ward.rekindle(&["explain"]).stdout.contains("network") {
        skip(test, "processes cannot be observed here");
        return None;
    }
    Some(())
}

fn anew(ward: &Ward) {
    std::fs::remove_dir_all(ward.project.path("ws/target")).unwrap();
    ward.rekindle(&["build"]).ok();
}

#[test]
fn a_script_that_runs_each_time_is_found_until_it_is_vouched_for() {
    let ward = Ward::new();
    let test = "doctor_scripts::a_script_that_runs_each_time_is_found_until_it_is_vouched_for";
    if built(test, &ward).is_none() {
        return;
    }
    let finding = ward.finds("script-each-time");
    let next = finding["next"].as_str().unwrap();
    assert!(
        next.contains("REKINDLE_TRUSTED_SCRIPTS=tiny`"),
        "{finding:#}"
    );
    assert!(
        finding["evidence"][0].as_str().unwrap().contains("network"),
        "{finding:#}"
    );
    let ward = ward.with("REKINDLE_TRUSTED_SCRIPTS", "tiny");
    anew(&ward);
    ward.is_healthy();
}

#[test]
fn a_script_that_is_gone_is_not() {
    let ward = Ward::new();
    if built("doctor_scripts::a_script_that_is_gone_is_not", &ward).is_none() {
        return;
    }
    let manifest = std::fs::read_to_string(ward.project.path("ws/Cargo.toml")).unwrap();
    std::fs::remove_file(ward.project.path("ws/build.rs")).unwrap();
    ward.project.put(
        "ws/Cargo.toml",
        &manifest.replace("name = \"tiny\"", "name = \"other\""),
    );
    ward.rekindle(&["build"]).ok();
    ward.is_healthy();
}
