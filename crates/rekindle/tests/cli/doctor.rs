//! `rekindle doctor` on a healthy machine, and on one with each of ten faults planted, from real parts. Each fault is
//! found, nothing else is, and each fix that is offered works.

use std::collections::BTreeSet;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::doctor_lab::{RustupLab, closed_port, future, runner_files, unit_file};
use crate::doctor_ward::Ward;
use crate::faults_disk::Mount;
use crate::project::{Done, skip};

#[test]
fn a_healthy_machine_has_no_findings() {
    let ward = Ward::new();
    let told = ward.doctor(&[]);
    assert_eq!(told.ids(), BTreeSet::new(), "{:#}", told.json);
    assert_eq!(told.json["version"], 1);
    for check in ["toolchain", "wrapper", "linker", "clock", "store"] {
        assert_ne!(told.status(check), "skipped", "{:#}", told.json);
    }
    // A person sees the same, without escape sequences where there is no terminal.
    let text = ward.rekindle(&["doctor"]).stdout;
    assert!(
        text.contains("byte for byte") && text.contains("links"),
        "{text}"
    );
    assert!(!text.contains('\x1b') && !text.contains('✓'), "{text}");
    // Nothing of the probe is left in the user's store.
    assert_eq!(ward.project.runs(), 0);
    // After a build it is as healthy.
    ward.rekindle(&["build"]).ok();
    ward.is_healthy();
}

#[test]
fn a_check_alone_is_made_alone_and_an_unknown_one_is_named() {
    let ward = Ward::new();
    let told = ward.doctor(&["--check", "store", "--check", "clock"]);
    assert_eq!(told.json["checks"].as_array().unwrap().len(), 2);
    let done = ward.rekindle(&["doctor", "--check", "stores"]);
    assert_eq!(done.code, Some(2));
    assert!(done.stderr.contains("no check `stores`"), "{}", done.stderr);
}

#[test]
fn a_machine_without_a_linker_is_found() {
    let ward = Ward::new();
    let bin = ward.project.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    for name in ["cargo", "rustc"] {
        let real = which(name);
        symlink(real, bin.join(name)).unwrap();
    }
    let ward = ward.with("PATH", bin);
    let finding = ward.finds("linker-missing");
    assert!(
        finding["title"]
            .as_str()
            .unwrap()
            .contains("`cc` is not on PATH")
    );
    assert!(
        finding["next"].as_str().unwrap().contains("PATH"),
        "{finding:#}"
    );
}

fn which(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    let found = std::env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|path| path.exists());
    found.unwrap()
}

#[test]
fn a_foreign_wrapper_is_found_and_taken_out() {
    let ward = Ward::new();
    let script = ward
        .project
        .put_program("tools/wrap", "#!/bin/sh\nexec \"$@\"\n");
    let config = format!(
        "# mine\n[build]\nrustc-wrapper = \"{}\"\njobs = 2\n",
        script.display()
    );
    ward.project.put("ws/.cargo/config.toml", &config);
    let finding = ward.finds("wrapper-foreign");
    assert!(finding["fix"]["reversible"].as_bool().unwrap());
    let step = finding["fix"]["steps"][0].as_str().unwrap();
    assert!(
        step.contains("-rustc-wrapper = ") && step.contains("+# rustc-wrapper = "),
        "{step}"
    );
    ward.is_mended("wrapper-foreign", "wrapper");
    let read = |name: &str| std::fs::read_to_string(ward.project.path(name)).unwrap();
    assert_eq!(
        read("ws/.cargo/config.toml"),
        config.replace("\nrustc-w", "\n# rustc-w")
    );
    assert_eq!(read("ws/.cargo/config.toml.before-rekindle-doctor"), config);
}

#[test]
fn a_wrapper_that_is_not_there_is_found_and_taken_out() {
    let ward = Ward::new();
    ward.project.put(
        "cargo-home/config.toml",
        "[build]\nrustc-wrapper = \"sccache-gone\"\n",
    );
    ward.finds("wrapper-missing");
    ward.is_mended("wrapper-missing", "wrapper");
}

#[test]
fn a_cache_that_was_left_in_configuration_is_found_and_taken_out() {
    let ward = Ward::new();
    ward.project.put(
        "cargo-home/config.toml",
        "[build]\nrustc-wrapper = \"/x/sccache\"\n",
    );
    let ward = ward.with("RUSTC_WRAPPER", "");
    ward.finds("cache-leftover");
    ward.is_mended("cache-leftover", "other-caches");
}

#[test]
fn a_full_disk_is_found_and_freed() {
    let test = "a_full_disk_is_found_and_freed";
    let ward = Ward::new();
    let Some(mount) = Mount::tmpfs(test, ward.project.path("store"), "60m") else {
        return;
    };
    ward.rekindle(&["build"]).ok();
    let held: u64 = files(&mount.dir)
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    // A project beside this one whose target nothing has touched for long, on the same disk.
    let stale = mount.dir.join("old-target");
    std::fs::create_dir_all(&stale).unwrap();
    let tag = "Signature: 8a477f597d28d172789f06886806bc55\n# This file is a cache directory tag created by cargo.\n";
    std::fs::write(stale.join("CACHEDIR.TAG"), tag).unwrap();
    std::fs::write(stale.join(".rustc_info.json"), vec![b' '; 5_000_000]).unwrap();
    ward.project.put("old/Cargo.toml", "[package]\n");
    symlink(&stale, ward.project.path("old/target")).unwrap();
    for path in [
        stale.join("CACHEDIR.TAG"),
        stale.join(".rustc_info.json"),
        stale.clone(),
    ] {
        let touched = Command::new("touch")
            .args(["-d", "40 days ago"])
            .arg(path)
            .status();
        assert!(touched.unwrap().success());
    }
    mount.fill();
    assert!(held > 1_000_000, "{held}");
    let finding = ward.finds("disk-full");
    let evidence = finding["evidence"].to_string();
    assert!(evidence.contains("store of Rekindle"), "{finding:#}");
    assert!(!finding["fix"]["reversible"].as_bool().unwrap());
    let told = ward.doctor(&["--fix", "--yes"]);
    let line = told.json["repairs"][0]["lines"][0].as_str().unwrap();
    assert!(line.starts_with("freed ") && line.contains("MiB"), "{line}");
    let left: u64 = files(&mount.dir.join("v1"))
        .iter()
        .map(|file| file.metadata().unwrap().len())
        .sum();
    assert!(left < held / 2, "{left} of {held}");
    assert!(
        evidence.contains("target that nothing has touched for a month"),
        "{finding:#}"
    );
    assert!(!stale.exists(), "{:#}", told.json);
    // The next build works as ever.
    ward.rekindle(&["build"]).ok();
}

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(files(&path));
        } else {
            found.push(path);
        }
    }
    found
}

#[test]
fn a_read_only_store_is_found() {
    let test = "a_read_only_store_is_found";
    let ward = Ward::new();
    let Some(mount) = Mount::tmpfs(test, ward.project.path("store"), "60m") else {
        return;
    };
    mount.remount("ro");
    let finding = ward.finds("store-read-only");
    assert!(
        finding["evidence"]
            .to_string()
            .contains("mounted read-only"),
        "{finding:#}"
    );
    assert!(finding["fix"].is_null());
    mount.remount("rw");
    ward.is_healthy();
}

/// Root may write everywhere, so that root's test is another user's.
#[test]
fn a_store_that_its_owner_may_not_write_is_found_and_opened() {
    let test = "a_store_that_its_owner_may_not_write_is_found_and_opened";
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    std::fs::create_dir_all(&store).unwrap();
    std::fs::set_permissions(&store, std::fs::Permissions::from_mode(0o555)).unwrap();
    let rekindle = env!("CARGO_BIN_EXE_rekindle");
    let is_root = std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .contains("Uid:\t0\t");
    let mut command = if is_root {
        const NOBODY: u32 = 65534;
        for path in [dir.path(), &store] {
            std::os::unix::fs::chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", rekindle]);
        command
    } else {
        Command::new(rekindle)
    };
    command
        .args([
            "doctor", "--check", "store", "--format", "json", "--fix", "--yes",
        ])
        .current_dir(dir.path())
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap())
        .env("HOME", dir.path())
        .env("REKINDLE_DIR", &store);
    let done = match command.output() {
        Ok(output) => Done::from(output),
        Err(error) => return skip(test, &format!("setpriv: {error}")),
    };
    if done.stdout.is_empty() && done.stderr.contains("setpriv: failed to execute") {
        return skip(test, "another user may not start the program under test");
    }
    let json: Value =
        serde_json::from_str(&done.stdout).unwrap_or_else(|_| panic!("{}", done.stderr));
    assert_eq!(json["repairs"][0]["id"], "store-read-only", "{json:#}");
    assert_eq!(json["repairs"][0]["outcome"], "done", "{json:#}");
    assert_eq!(done.code, Some(0), "{json:#}");
    let mode = store.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o755);
}

#[test]
fn a_conflict_about_incremental_compilation_is_found_and_settled() {
    let ward = Ward::new();
    ward.project
        .put("ws/.cargo/config.toml", "[build]\nincremental = true\n");
    let ward = ward.with("CARGO_INCREMENTAL", "0");
    ward.finds("incremental-conflict");
    ward.is_mended("incremental-conflict", "incremental");
}

#[test]
fn a_dead_remote_is_found_without_its_secrets() {
    let port = closed_port();
    let ward = Ward::new().with(
        "SCCACHE_WEBDAV_ENDPOINT",
        format!("http://user:hush@127.0.0.1:{port}/cache"),
    );
    let finding = ward.finds("remote-dead");
    assert!(
        finding["title"]
            .as_str()
            .unwrap()
            .contains(&format!("127.0.0.1:{port}"))
    );
    let ours = Ward::new().with(
        "REKINDLE_REMOTE",
        format!("redis://u:hush@127.0.0.1:{port}"),
    );
    let told = ours.doctor(&["--check", "remote"]);
    assert_eq!(told.ids(), BTreeSet::from(["remote-dead".to_owned()]));
    let text = ward.rekindle(&["doctor", "--check", "remote"]).stdout;
    let all = format!("{text}{finding}{}", told.json);
    assert!(!all.contains("hush"), "{all}");
}

#[test]
fn credentials_and_region_that_lack_are_found_and_never_shown() {
    let ward = Ward::new()
        .with("SCCACHE_BUCKET", "b")
        .with("AWS_ACCESS_KEY_ID", "hush");
    let told = ward.doctor(&["--check", "remote"]);
    assert!(
        told.ids().contains("remote-region-missing"),
        "{:#}",
        told.json
    );
    assert!(!told.done.stdout.contains("hush"));
}

#[test]
fn a_runner_that_github_refuses_is_found() {
    let ward = Ward::new();
    runner_files(&ward.project.path("home/actions-runner"), "2.320.0", &[]);
    let finding = ward.finds("runner-version-refused");
    assert!(
        finding["evidence"].to_string().contains("2.335.0"),
        "{finding:#}"
    );
    // One that is up to date is well.
    let ward = Ward::new();
    runner_files(&ward.project.path("home/actions-runner"), "2.337.0", &[]);
    ward.is_healthy();
}

#[test]
fn what_github_said_to_a_runner_is_found_in_its_log() {
    let ward = Ward::new();
    let refused = "[2026-11-20 12:20:29Z ERR  Terminal] WRITE ERROR: An error occured: Runner version v2.337.0 is \
                   deprecated and cannot receive messages.";
    runner_files(
        &ward.project.path("home/actions-runner"),
        "2.337.0",
        &[refused],
    );
    ward.finds("runner-version-refused");
    let ward = Ward::new();
    let other = "[2026-11-20 12:20:29Z ERR  BrokerServer] Catch exception during request: Name or service not known";
    runner_files(
        &ward.project.path("home/actions-runner"),
        "2.337.0",
        &[other],
    );
    ward.finds("runner-errors");
}

#[test]
fn a_stale_service_is_found_and_moved_aside() {
    let ward = Ward::new();
    let name = "actions.runner.acme-app.box.service";
    let gone = ward.project.path("home/gone");
    ward.project
        .put(&format!("units/{name}"), &unit_file(&gone));
    let wants = ward.project.path("units/multi-user.target.wants");
    std::fs::create_dir_all(&wants).unwrap();
    symlink(
        ward.project.path(&format!("units/{name}")),
        wants.join(name),
    )
    .unwrap();
    ward.finds("runner-service-stale");
    ward.is_mended("runner-service-stale", "runner");
    let kept = ward
        .project
        .path(&format!("units/{name}.before-rekindle-doctor"));
    assert_eq!(std::fs::read_to_string(kept).unwrap(), unit_file(&gone));
}

#[test]
fn a_runner_whose_service_is_gone_is_found_and_made_ready() {
    let ward = Ward::new();
    let dir = ward.project.path("home/actions-runner");
    runner_files(&dir, "2.337.0", &[]);
    std::fs::write(
        dir.join(".service"),
        "actions.runner.acme-app.box.service\n",
    )
    .unwrap();
    ward.finds("runner-service-stale");
    ward.is_mended("runner-service-stale", "runner");
}

#[test]
fn a_wrong_clock_is_found_by_files_from_the_future() {
    let ward = Ward::new();
    future(&ward.project.path("ws/src/main.rs"));
    let finding = ward.finds("files-in-future");
    assert!(
        finding["evidence"][0]
            .as_str()
            .unwrap()
            .contains("src/main.rs is of "),
        "{finding:#}"
    );
    ward.is_mended("files-in-future", "clock");
    ward.rekindle(&["build"]).ok();
    // What was built in the future cannot be told from what is newer than a source of the present.
    for file in files(&ward.project.path("ws/target")) {
        future(&file);
    }
    future(&ward.project.path("ws/src/main.rs"));
    let told = ward.doctor(&["--check", "clock"]);
    let finding = told.finding("files-in-future");
    assert!(finding["fix"].is_null() && finding["next"].as_str().unwrap().contains("cargo clean"));
}

#[test]
fn a_missing_target_is_found_and_installed_by_the_real_rustup() {
    let test = "a_missing_target_is_found_and_installed_by_the_real_rustup";
    let ward = Ward::new();
    let lab = match RustupLab::new(&ward.project.path("rustup"), "wasm32-unknown-unknown") {
        Ok(lab) => lab,
        Err(why) => return skip(test, &why),
    };
    ward.project.put(
        "ws/.cargo/config.toml",
        "[build]\ntarget = \"wasm32-unknown-unknown\"\n",
    );
    let mut ward = ward
        .with("RUSTUP_HOME", lab.home.clone())
        .with("RUSTUP_TOOLCHAIN", lab.toolchain.clone());
    ward.without.push("RUSTUP_DIST_SERVER");
    let finding = ward.finds("target-missing");
    assert!(
        finding["fix"]["steps"][0]
            .as_str()
            .unwrap()
            .contains("rustup target add")
    );
    ward.is_mended("target-missing", "toolchain");
    let undone = Command::new("rustup")
        .args([
            "target",
            "remove",
            "--toolchain",
            &lab.toolchain,
            "wasm32-unknown-unknown",
        ])
        .env("RUSTUP_HOME", &lab.home)
        .output()
        .unwrap();
    assert!(undone.status.success(), "{undone:?}");
    ward.finds("target-missing");
}

#[test]
fn a_toolchain_that_is_not_installed_is_found_and_not_installed_unasked() {
    let ward = Ward::new();
    ward.project.put(
        "ws/rust-toolchain.toml",
        "[toolchain]\nchannel = \"1.61.0\"\n",
    );
    let mut ward = ward;
    ward.without.push("RUSTUP_TOOLCHAIN");
    if ward.doctor(&["--check", "toolchain"]).ids().is_empty() {
        return skip(
            "a_toolchain_that_is_not_installed_is_found_and_not_installed_unasked",
            "the compiler here is not rustup's, or 1.61.0 is installed",
        );
    }
    ward.finds("toolchain-missing");
}

const MACRO: &str = "use proc_macro::TokenStream;\n#[proc_macro] pub fn sql(_: TokenStream) -> TokenStream {\n\
    let dir = std::path::PathBuf::from(std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n\
    let mut text = std::env::var(\"DATABASE_URL\").unwrap_or_default();\n\
    for entry in std::fs::read_dir(dir.join(\"migrations\")).unwrap() {\n\
    text += &std::fs::read_to_string(entry.unwrap().path()).unwrap();\n}\n\
    format!(\"{text:?}\").parse().unwrap()\n}\n";

/// A member whose macro reads `migrations/` and a variable; another whose script reads beside what it declares.
fn undeclared() -> Ward {
    let ward = Ward::new();
    let package = |name: &str, rest: &str| {
        format!("[package]\nname = \"{name}\"\nversion = \"0.1.0\"\nedition = \"2021\"\n{rest}")
    };
    for (name, text) in [
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"mac\", \"app\", \"gen\"]\nresolver = \"2\"\n".to_owned(),
        ),
        (
            "mac/Cargo.toml",
            package("mac", "[lib]\nproc-macro = true\n"),
        ),
        ("mac/src/lib.rs", MACRO.to_owned()),
        (
            "app/Cargo.toml",
            package("app", "[dependencies]\nmac = { path = \"../mac\" }\n"),
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", mac::sql!()); }\n".to_owned(),
        ),
        ("app/migrations/1.sql", "one".to_owned()),
        ("gen/Cargo.toml", package("gen", "")),
        ("gen/src/lib.rs", String::new()),
        (
            "gen/build.rs",
            "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
             let _ = std::fs::read(\"../shared.txt\").unwrap();\n}\n"
                .to_owned(),
        ),
        ("shared.txt", "shared".to_owned()),
    ] {
        ward.project.put(&format!("ws/{name}"), &text);
    }
    ward
}

#[test]
fn undeclared_reads_are_found_with_the_lines_that_declare_them() {
    let test = "undeclared_reads_are_found_with_the_lines_that_declare_them";
    let ward = undeclared();
    ward.rekindle(&["build"]).ok();
    let observed = ward
        .rekindle(&["observe", "app"])
        .stdout
        .contains("migrations");
    let told = ward.doctor(&["--check", "undeclared"]);
    if !observed {
        return skip(test, "processes cannot be observed here");
    }
    let findings = told.json["findings"].as_array().unwrap();
    let next: Vec<&str> = findings
        .iter()
        .map(|finding| finding["next"].as_str().unwrap())
        .collect();
    let all = next.join("\n");
    assert_eq!(findings.len(), 2, "{:#}", told.json);
    for line in [
        "println!(\"cargo::rerun-if-changed=migrations\");",
        "println!(\"cargo::rerun-if-env-changed=DATABASE_URL\");",
        "println!(\"cargo::rerun-if-changed=../shared.txt\");",
    ] {
        assert!(all.contains(line), "{line}\n{all}");
    }
    // With these lines there is nothing left to say.
    ward.project.put(
        "ws/app/build.rs",
        "fn main() {\n    println!(\"cargo::rerun-if-changed=migrations\");\n    \
         println!(\"cargo::rerun-if-env-changed=DATABASE_URL\");\n}\n",
    );
    ward.project.put(
        "ws/gen/build.rs",
        "fn main() {\n    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
         println!(\"cargo:rerun-if-changed=../shared.txt\");\n    \
         let _ = std::fs::read(\"../shared.txt\").unwrap();\n}\n",
    );
    ward.rekindle(&["build"]).ok();
    ward.is_healthy();
}

#[test]
fn several_fixes_of_one_file_are_all_made() {
    let ward = Ward::new();
    let config = "[build]\nrustc-wrapper = \"sccache-gone\"\nincremental = true\njobs = 900\n";
    ward.project.put("cargo-home/config.toml", config);
    let ward = ward.with("CARGO_INCREMENTAL", "0");
    let expected = ["incremental-conflict", "jobs-over-cores", "wrapper-missing"];
    assert_eq!(ward.doctor(&[]).ids(), expected.map(str::to_owned).into());
    let told = ward.doctor(&["--fix", "--yes"]);
    assert_eq!(
        told.ids(),
        BTreeSet::new(),
        "{:#}\n{}",
        told.json,
        told.done.stderr
    );
    let read = |name: &str| std::fs::read_to_string(ward.project.path(name)).unwrap();
    let mended = config
        .replace("rustc-", "# rustc-")
        .replace("incr", "# incr")
        .replace("jobs", "# jobs");
    assert_eq!(read("cargo-home/config.toml"), mended);
    // The first copy is the file as it was before all of them.
    assert_eq!(
        read("cargo-home/config.toml.before-rekindle-doctor"),
        config
    );
}

/// With sccache gone, incremental compilation is in nobody's way.
#[test]
fn a_fix_that_another_one_has_made_needless_is_not_made() {
    let ward = Ward::new();
    let bin = ward
        .project
        .put_program("bin/sccache", "#!/bin/sh\nexec \"$@\"\n");
    let config = format!(
        "[build]\nrustc-wrapper = \"{}\"\nincremental = true\n",
        bin.display()
    );
    ward.project.put("cargo-home/config.toml", &config);
    let arguments = ["--check", "other-caches", "--check", "incremental"];
    let expected = ["incremental-with-sccache", "second-cache"];
    assert_eq!(
        ward.doctor(&arguments).ids(),
        expected.map(str::to_owned).into()
    );
    let told = ward.doctor(&[&arguments[..], &["--fix", "--yes"]].concat());
    assert_eq!(told.ids(), BTreeSet::new(), "{:#}", told.json);
    let second = &told.json["repairs"][1];
    assert_eq!(
        second["lines"][0], "an earlier fix has mended it",
        "{second:#}"
    );
    let now = std::fs::read_to_string(ward.project.path("cargo-home/config.toml")).unwrap();
    assert_eq!(now, config.replace("rustc-", "# rustc-"));
}

#[test]
fn a_linker_that_is_asked_for_and_not_there_is_found_and_no_longer_asked_for() {
    let ward = Ward::new();
    let config = "[build]\nrustflags = [\"-Clink-arg=-fuse-ld=nosuch\"]\n";
    ward.project.put("ws/.cargo/config.toml", config);
    ward.finds("linker-requested-missing");
    ward.is_mended("linker-requested-missing", "linker");
    // The program that drives it, likewise.
    let config = "[build]\nrustflags = [\"-Clinker=nosuch-gcc\"]\n";
    ward.project.put("ws/.cargo/config.toml", config);
    ward.finds("linker-missing");
    ward.is_mended("linker-missing", "linker");
    // A line that says more is for a person.
    let config = "[build]\nrustflags = [\"-Clink-arg=-fuse-ld=nosuch\", \"-g\"]\n";
    ward.project.put("ws/.cargo/config.toml", config);
    assert!(ward.finds("linker-requested-missing")["fix"].is_null());
}

/// systemd does not run where tests do: a script stands for `systemctl` and keeps the state.
#[test]
fn a_service_that_does_not_run_is_found_and_started() {
    let ward = Ward::new();
    let (dir, state) = (
        ward.project.path("home/actions-runner"),
        ward.project.path("state"),
    );
    runner_files(&dir, "2.337.0", &[]);
    let name = "actions.runner.acme-app.box.service";
    std::fs::write(dir.join(".service"), format!("{name}\n")).unwrap();
    ward.project.put(&format!("units/{name}"), &unit_file(&dir));
    std::fs::write(&state, "failed").unwrap();
    let script = format!(
        "#!/bin/sh\nstate={}\ncase \"$1\" in\nshow) echo Result=exit-code; echo LoadState=loaded\n  \
         echo \"ActiveState=$(cat $state)\" ;;\nstart) [ \"$2\" = {name} ] && printf active > $state ;;\nesac\n",
        state.display()
    );
    ward.project.put_program("bin/systemctl", &script);
    let path = std::env::var_os("PATH").unwrap();
    let dirs = [ward.project.path("bin")]
        .into_iter()
        .chain(std::env::split_paths(&path));
    let path = std::env::join_paths(dirs).unwrap();
    let ward = ward.with("PATH", PathBuf::from(path));
    let finding = ward.finds("runner-service-stopped");
    assert!(
        finding["evidence"][0].as_str().unwrap().contains("failed"),
        "{finding:#}"
    );
    ward.is_mended("runner-service-stopped", "runner");
    assert_eq!(std::fs::read_to_string(state).unwrap(), "active");
}
