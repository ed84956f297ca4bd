//! A fresh checkout whose macros and build scripts read what cargo does not watch: right where plain cargo is
//! stale, and fresh where nothing changed.

use std::path::Path;

use crate::project::{Done, Project, has_clippy, skip};
use crate::snapshots::{assert_fresh, commit, fresh_clone, in_git, manifest, program, started};
use crate::snapshots_moved::moved;

/// A macro whose text is that of this expression; `dir` is the package's directory.
fn macro_of(expression: &str) -> String {
    format!(
        "#[proc_macro] pub fn text(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{\n\
         let dir = std::path::PathBuf::from(std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n\
         let _ = &dir;\n\
         let text: String = {expression};\n\
         format!(\"{{:?}}\", text).parse().unwrap()\n}}"
    )
}

const READS_DATA: &str = "std::fs::read_to_string(dir.join(\"data\")).unwrap()";

/// A program that shows a macro's text; files beside it.
fn workspace(expression: &str, files: &[(&str, &str)]) -> Project {
    let mac = macro_of(expression);
    let (mac_manifest, app_manifest) = (
        manifest("mac", "[lib]\nproc-macro = true\n"),
        manifest("app", "[dependencies]\nmac = { path = \"../mac\" }\n"),
    );
    let mut all = vec![
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"mac\", \"app\", \"other\"]\nresolver = \"2\"\n",
        ),
        ("mac/Cargo.toml", mac_manifest.as_str()),
        ("mac/src/lib.rs", mac.as_str()),
        ("app/Cargo.toml", app_manifest.as_str()),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", mac::text!()); }",
        ),
        (
            "other/Cargo.toml",
            "[package]\nname = \"other\"\nversion = \"0.1.0\"\n",
        ),
        ("other/src/lib.rs", ""),
        (".gitignore", "target\n"),
    ];
    all.extend(files);
    in_git(&all)
}

/// The texts in the run's log of units that were not restored.
fn invalid(project: &Project) -> Vec<String> {
    logged(project, "snapshot_restored", "invalid")
}

/// Those of units that were not captured.
fn left_out(project: &Project) -> Vec<String> {
    logged(project, "snapshot_captured", "left_out")
}

fn logged(project: &Project, event: &str, list: &str) -> Vec<String> {
    let mut runs: Vec<_> = std::fs::read_dir(project.path("store/v1/runs"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    runs.sort();
    let log = std::fs::read_to_string(runs.last().unwrap().join("events.jsonl")).unwrap();
    let events = log
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let units = events
        .filter(|one| one["event"] == event)
        .flat_map(|one| one[list].as_array().cloned().unwrap_or_default());
    units
        .map(|unit| {
            format!(
                "{}: {}",
                unit["package"].as_str().unwrap(),
                unit["reason"].as_str().unwrap()
            )
        })
        .collect()
}

/// `rekindle build` with variables.
fn build(project: &Project, variables: &[(&str, &str)]) {
    let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &["build"]);
    let command = command
        .env_remove("REKINDLE_SNAPSHOT")
        .envs(variables.iter().copied());
    Done::from(command.output().unwrap()).ok();
}

/// A fresh checkout with nothing changed starts nothing, asks the unit cache for nothing, and leaves nothing
/// out; after a change the program shows it. Both with the variables that the build gets.
fn check(
    project: &Project,
    (before, first): (&str, &[(&str, &str)]),
    change: impl FnOnce(&Project),
    (after, second): (&str, &[(&str, &str)]),
    reason: &str,
) {
    build(project, first);
    assert_eq!(left_out(project), [""; 0]);
    for _ in 0..2 {
        // Of the second, what is captured was fresh before.
        fresh_clone(project);
        build(project, first);
        assert_eq!(program(project), before);
        let stats = project.stats();
        assert_eq!(started(&stats), [0, 0, 0], "{stats:#}");
        assert_eq!(stats["units"]["hit"], 0, "{stats:#}");
        assert_fresh(project);
    }
    fresh_clone(project);
    change(project);
    build(project, second);
    assert_eq!(program(project), after);
    let invalid = invalid(project);
    assert!(
        invalid.iter().any(|why| why.ends_with(reason)),
        "{invalid:#?}"
    );
    assert_fresh(project);
}

#[test]
fn a_file_that_a_macro_reads() {
    let project = workspace(READS_DATA, &[("app/data", "one")]);
    let change = |project: &Project| {
        project.put("ws/app/data", "two");
        commit(project, "second");
    };
    check(
        &project,
        ("one", &[]),
        change,
        ("two", &[]),
        "undeclared input `{workspace}/app/data` changed",
    );
    let stats = project.stats();
    assert_eq!(started(&stats)[0], 1, "the program alone: {stats:#}");
}

#[test]
fn a_file_that_appears() {
    let expression = "std::fs::read_to_string(dir.join(\"data\")).unwrap_or(\"none\".into())";
    check(
        &workspace(expression, &[]),
        ("none", &[]),
        |project| project.put("ws/app/data", "some"),
        ("some", &[]),
        "undeclared input `{workspace}/app/data` changed",
    );
}

#[test]
fn a_directory_that_a_macro_lists() {
    let expression = "std::fs::read_dir(dir.join(\"parts\")).unwrap().count().to_string()";
    check(
        &workspace(expression, &[("app/parts/one", "")]),
        ("1", &[]),
        |project| project.put("ws/app/parts/two", ""),
        ("2", &[]),
        "undeclared input `{workspace}/app/parts` changed",
    );
}

#[test]
fn a_variable_that_a_macro_reads() {
    let expression = "std::env::var(\"GREETING\").unwrap_or_default()";
    check(
        &workspace(expression, &[]),
        ("hello", &[("GREETING", "hello")]),
        |_| {},
        ("bye", &[("GREETING", "bye")]),
        "undeclared input `GREETING` changed",
    );
}

/// cargo sets it, and does not watch it either.
#[test]
fn a_variable_of_cargos_configuration() {
    let expression = "std::env::var(\"GREETING\").unwrap_or_default()";
    let config = (".cargo/config.toml", "[env]\nGREETING = \"hello\"\n");
    check(
        &workspace(expression, &[config]),
        ("hello", &[]),
        |project| project.put("ws/.cargo/config.toml", "[env]\nGREETING = \"bye\"\n"),
        ("bye", &[]),
        "undeclared input `GREETING` changed",
    );
}

const GREETS: &str = "std::env::var(\"GREETING\").unwrap_or_default()";

/// What a build script has set for a macro is not this command's; the script's run vouches for it, whether it
/// declares what it makes it of or not.
#[test]
fn a_variable_that_a_build_script_sets() {
    for declares in ["rerun-if-env-changed=WORD", "rerun-if-changed=build.rs"] {
        let script = format!(
            "fn main() {{ println!(\"cargo:{declares}\");\n\
             println!(\"cargo:rustc-env=GREETING={{}}\", std::env::var(\"WORD\").unwrap()); }}"
        );
        let project = workspace(GREETS, &[("app/build.rs", &script)]);
        let (first, second) = ([("WORD", "hello")], [("WORD", "bye")]);
        build(&project, &first);
        assert_eq!(left_out(&project), [""; 0]);
        fresh_clone(&project);
        build(&project, &first);
        assert_eq!(program(&project), "hello");
        let stats = project.stats();
        assert_eq!(started(&stats), [0, 0, 0], "{stats:#}");
        assert_eq!(stats["units"]["hit"], 0, "{stats:#}");
        build(&project, &second);
        assert_eq!(program(&project), "bye");
        fresh_clone(&project);
        build(&project, &first);
        assert_eq!(program(&project), "hello");
    }
}

/// A path in such a variable is another one in another directory, whether what is made of it holds it or not.
#[test]
fn a_path_that_a_build_script_sets() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
         println!(\"cargo:rustc-env=GREETING={}\", std::env::var(\"OUT_DIR\").unwrap()); }";
    let length = "std::env::var(\"GREETING\").unwrap().len().to_string()";
    let project = workspace(length, &[("app/build.rs", script)]);
    build(&project, &[]);
    assert_eq!(left_out(&project), [""; 0]);
    fresh_clone(&project);
    build(&project, &[]);
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    let before: usize = program(&project).parse().unwrap();
    moved(&project, "ws-of-another-length");
    build(&project, &[]);
    let after: usize = program(&project).parse().unwrap();
    assert_eq!(after, before + "-of-another-length".len());
}

/// Nobody can tell whether a network still says the same.
#[test]
fn a_macro_that_talks_to_a_network_is_compiled_each_time() {
    let expression =
        "{ let _ = std::net::TcpStream::connect(\"127.0.0.1:1\"); String::from(\"x\") }";
    let project = workspace(expression, &[]);
    build(&project, &[]);
    let left_out = left_out(&project);
    let talks =
        |why: &String| why.starts_with("app: it read what it does not declare: it talks to");
    assert!(left_out.iter().any(talks), "{left_out:#?}");
    fresh_clone(&project);
    build(&project, &[]);
    assert_eq!(program(&project), "x");
    assert_eq!(started(&project.stats())[0], 1);
}

/// Outputs of the package's own script are vouched for by that script's run.
#[test]
fn a_macro_that_reads_what_a_build_script_made() {
    let expression =
        "std::fs::read_to_string(std::env::var(\"OUT_DIR\").unwrap() + \"/made\").unwrap()";
    let script = "fn main() { println!(\"cargo:rerun-if-changed=declared\");\n\
         let made = std::env::var(\"OUT_DIR\").unwrap() + \"/made\";\n\
         std::fs::copy(\"declared\", made).unwrap(); }";
    let files = [("app/build.rs", script), ("app/declared", "one")];
    check(
        &workspace(expression, &files),
        ("one", &[]),
        |project| project.put("ws/app/declared", "two"),
        ("two", &[]),
        "`app/declared` changed",
    );
}

/// A program that shows what its build script made of an expression, which declares nothing that it reads.
fn scripted(expression: &str, files: &[(&str, &str)]) -> Project {
    let script = format!(
        "fn main() {{ println!(\"cargo:rerun-if-changed=build.rs\");\n\
         let text: String = {expression};\n\
         println!(\"cargo:rustc-env=TEXT={{text}}\"); }}"
    );
    let app = manifest("app", "");
    let mut all = vec![
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\"]\nresolver = \"2\"\n",
        ),
        ("app/Cargo.toml", app.as_str()),
        ("app/build.rs", script.as_str()),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", env!(\"TEXT\")); }",
        ),
        (".gitignore", "target\n"),
    ];
    all.extend(files);
    in_git(&all)
}

/// With `--target` what runs here is built among the host's units, where its loader looks for libraries.
#[test]
fn build_scripts_and_macros_of_another_target_come_back() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\"); }";
    let project = workspace("\"text\".to_owned()", &[("app/build.rs", script)]);
    let version = project.command("rustc", &["-vV"]).output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let target = [("CARGO_BUILD_TARGET", host.unwrap())];
    build(&project, &target);
    assert_eq!(left_out(&project), [""; 0]);
    fresh_clone(&project);
    build(&project, &target);
    let stats = project.stats();
    assert_eq!(started(&stats), [0, 0, 0], "{stats:#}");
    assert_eq!(stats["units"]["hit"], 0, "{stats:#}");
}

#[test]
fn a_file_that_a_build_script_reads() {
    let expression = "std::fs::read_to_string(\"data\").unwrap()";
    check(
        &scripted(expression, &[("app/data", "one")]),
        ("one", &[]),
        |project| project.put("ws/app/data", "two"),
        ("two", &[]),
        "undeclared input `{workspace}/app/data` changed",
    );
}

#[test]
fn a_file_of_the_system_that_a_build_script_reads() {
    let header = tempfile::tempdir().unwrap();
    let header = header.path().join("x.h");
    std::fs::write(&header, "one").unwrap();
    let expression = format!("std::fs::read_to_string({header:?}).unwrap()");
    let name = Path::new(&header).canonicalize().unwrap();
    check(
        &scripted(&expression, &[]),
        ("one", &[]),
        |_| std::fs::write(&header, "two").unwrap(),
        ("two", &[]),
        &format!("undeclared input `{}` changed", name.display()),
    );
}

/// As for macros: what is never reused by itself is not reused as part of a snapshot.
#[test]
fn a_build_script_that_asks_somebody_runs_in_each_fresh_checkout() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let project = scripted(
        &format!(
            "{{ let mut text = String::new(); use std::io::Read; \
             std::net::TcpStream::connect(\"{address}\").unwrap().read_to_string(&mut text).unwrap(); text }}"
        ),
        &[],
    );
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let _ = std::io::Write::write_all(&mut stream.unwrap(), number.to_string().as_bytes());
        }
    });
    for number in 0..3 {
        build(&project, &[]);
        assert_eq!(program(&project), number.to_string());
        fresh_clone(&project);
    }
}

#[test]
fn a_variable_that_a_build_script_reads() {
    let expression = "std::env::var(\"GREETING\").unwrap_or(\"none\".into())";
    check(
        &scripted(expression, &[]),
        ("none", &[]),
        |_| {},
        ("bye", &[("GREETING", "bye")]),
        "undeclared input `GREETING` changed",
    );
}

/// Below a home, where rustup puts it, the toolchain's files are not those of a directory's neighbourhood.
#[test]
fn a_build_script_that_asks_the_compiler_comes_back_in_another_checkout() {
    let expression = "{ let asked = std::process::Command::new(std::env::var_os(\"RUSTC\").unwrap())\n\
         .arg(\"--version\").output().unwrap();\n\
         String::from_utf8(asked.stdout).unwrap().split(' ').next().unwrap().to_owned() }";
    let project = scripted(expression, &[]);
    let sysroot = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .output()
        .unwrap();
    let sysroot = String::from_utf8(sysroot.stdout).unwrap();
    let home = Path::new(sysroot.trim_end()).parent().unwrap();
    let homes = [("HOME", home.to_str().unwrap())];
    build(&project, &homes);
    assert_eq!(left_out(&project), [""; 0]);
    moved(&project, "elsewhere");
    build(&project, &homes);
    assert_eq!(invalid(&project), [""; 0]);
    assert_eq!(program(&project), "rustc");
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    assert_eq!(project.stats()["units"]["hit"], 0);
}

/// As one does that looks for a cross compiler by the `cc` crate, which prints the `PATH`: mostly a user's home stands in it.
#[test]
fn a_build_script_that_prints_a_home_comes_back_in_another_checkout_of_the_same_user() {
    let expression = "{ println!(\"PATH = {}\", std::env::var(\"PATH\").unwrap());\n\
         println!(\"cargo:rerun-if-changed={}/build.rs\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n\
         \"word\".to_owned() }";
    let project = scripted(expression, &[]);
    let home = project.path("home").display().to_string();
    let path = format!("{}:{home}/bin", std::env::var("PATH").unwrap());
    let variables = [("HOME", home.as_str()), ("PATH", path.as_str())];
    build(&project, &variables);
    assert_eq!(left_out(&project), [""; 0]);
    let elsewhere = moved(&project, "elsewhere");
    build(&project, &variables);
    assert_eq!(invalid(&project), [""; 0]);
    assert_eq!(started(&project.stats()), [0, 0, 0]);
    assert_eq!(project.stats()["units"]["hit"], 0);
    // What was printed is another's word.
    std::fs::remove_dir_all(elsewhere.join("target")).unwrap();
    let other = project.path("other home").display().to_string();
    build(
        &project,
        &[("HOME", other.as_str()), ("PATH", path.as_str())],
    );
    let invalid = invalid(&project);
    let is_it = |why: &String| why.ends_with("undeclared input `{home}` changed");
    assert!(invalid.iter().any(is_it), "{invalid:#?}");
}

/// cargo gives what it starts more variables than it was given, `cargo clippy` some of its own, and each job has other
/// credentials.
#[test]
fn what_goes_through_all_variables() {
    let count = "std::env::vars().count().min(1).to_string()";
    for command in ["build", "clippy"] {
        if command == "clippy" && !has_clippy() {
            skip(
                "undeclared::what_goes_through_all_variables",
                "clippy is not installed",
            );
            continue;
        }
        for project in [scripted(count, &[]), workspace(count, &[])] {
            let build = |token: &str| {
                let mut command = project.command(env!("CARGO_BIN_EXE_rekindle"), &[command]);
                command.env_remove("REKINDLE_SNAPSHOT");
                command.env("AWS_SESSION_TOKEN", token);
                for name in ["SSL_CERT_FILE", "SSL_CERT_DIR"] {
                    command.env_remove(name);
                }
                Done::from(command.output().unwrap()).ok();
            };
            build("of-the-first-job");
            assert_eq!(left_out(&project), [""; 0], "{command}");
            fresh_clone(&project);
            build("of-the-second-job");
            assert_eq!(started(&project.stats()), [0, 0, 0], "{command}");
            assert_eq!(project.stats()["units"]["hit"], 0, "{command}");
        }
    }
}

#[test]
fn what_changes_between_two_builds_in_one_directory() {
    for project in [
        workspace(READS_DATA, &[("app/data", "one")]),
        scripted(
            "std::fs::read_to_string(\"data\").unwrap()",
            &[("app/data", "one")],
        ),
    ] {
        build(&project, &[]);
        fresh_clone(&project);
        build(&project, &[]);
        for text in ["two", "six"] {
            // Restored, then built here.
            project.put("ws/app/data", text);
            build(&project, &[]);
            assert_eq!(program(&project), text);
            let invalid = invalid(&project);
            let expected = "app: undeclared input `{workspace}/app/data` changed";
            assert_eq!(invalid, [expected]);
            assert_fresh(&project);
            build(&project, &[]);
            assert_eq!(started(&project.stats()), [0, 0, 0]);
        }
    }
}

/// What is compiled when its own source changes begins with the state of the compile before.
#[test]
fn what_is_left_out_keeps_its_incremental_state() {
    let script = "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
         println!(\"cargo:rustc-env=GREETING=hello\"); }";
    let expression = "std::env::var(\"GREETING\").unwrap_or_default()";
    let project = workspace(expression, &[("app/build.rs", script)]);
    let build = || build(&project, &[("CARGO_INCREMENTAL", "1")]);
    build();
    let waiting = || {
        let dir = project.path("ws/target/debug/incremental");
        let names = rekindle_fsx::list_names(&dir).unwrap();
        let waits = |name: &&std::ffi::OsString| {
            let name = name.to_string_lossy();
            name.starts_with("app-") && name.ends_with(".rekindle")
        };
        let name = names.iter().find(waits).expect("state waits");
        std::fs::read(dir.join(name)).unwrap()
    };
    // A checkout in which it is a hit, and one that comes after that.
    for _ in 0..2 {
        fresh_clone(&project);
        build();
        waiting();
    }
    let before = waiting();
    // Nothing is compiled but what is left out.
    project.put(
        "ws/app/src/main.rs",
        "fn main() { print!(\"{}\", mac::text!()); }",
    );
    commit(&project, "second");
    build();
    fresh_clone(&project);
    build();
    assert_ne!(waiting(), before, "the newest state");
}
