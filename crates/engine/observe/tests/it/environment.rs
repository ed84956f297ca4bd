//! Variables, clocks and randomness.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use rekindle_observe::{Contact, EnvDoubt, Observation};

use crate::support::{ENVIRON, Lab, PLAIN, compiled};

fn doubts(seen: &Observation, program: &str) -> Vec<EnvDoubt> {
    seen.env
        .doubts
        .get(Path::new(program))
        .into_iter()
        .flatten()
        .cloned()
        .collect()
}

#[test]
fn names_are_seen_set_or_not() {
    let lab = Lab::new();
    let mut command = lab.command(&["env", "IS_SET", "threadenv", "IS_NOT"]);
    let seen = lab
        .observed(command.env("IS_SET", "1").env("OTHER", "2"))
        .observation;
    let has = |name: &str| seen.env.names.contains(OsStr::new(name));
    assert!(has("IS_SET") && has("IS_NOT"), "{:?}", seen.env.names);
    assert!(!has("OTHER"));
    assert!(!seen.env.all(), "{:?}", seen.env.doubts);
}

/// Compilers ask for what a terminal shows, and are not started at one; and where temporary files go.
#[test]
fn surroundings_are_no_variables_of_a_compilers() {
    let lab = Lab::new();
    for (name, counts) in [
        ("cc1", false),
        ("x86_64-linux-gnu-gcc-12", false),
        ("tool", true),
    ] {
        let program = lab.path(name);
        // By another process: children of tests beside this one would have the file open to write.
        let copied = std::process::Command::new("cp")
            .args([Path::new(PLAIN), &program])
            .status();
        assert!(copied.unwrap().success());
        // Asked for in a call that is stopped, and in others that are written down.
        let surroundings = ["TERM", "COLORTERM", "TMPDIR", "TMP", "TEMP"];
        let asked = surroundings.iter().chain(&["IS_NOT"]).chain(&surroundings);
        let asked = asked.flat_map(|name| ["env", name]);
        let seen = lab.observed(std::process::Command::new(&program).args(asked));
        let names = &seen.observation.env.names;
        assert!(names.contains(OsStr::new("IS_NOT")), "{name}");
        for variable in surroundings {
            assert_eq!(
                names.contains(OsStr::new(variable)),
                counts,
                "{name} {variable}"
            );
        }
    }
}

#[test]
fn all_variables() {
    let lab = Lab::new();
    let mut command = std::process::Command::new(ENVIRON);
    let seen = lab.observed(command.arg("vars")).observation;
    assert_eq!(doubts(&seen, ENVIRON), [EnvDoubt::Environ(ENVIRON.into())]);
}

/// Most build scripts that start something hand their variables on as they are.
#[test]
fn a_program_that_only_starts_others_does_not_read_all() {
    let lab = Lab::new();
    let mut command = std::process::Command::new(ENVIRON);
    let observed = lab.observed(
        command
            .args(["run", PLAIN, "env", "INSIDE"])
            .env("INSIDE", "1"),
    );
    assert!(observed.status.success());
    assert_eq!(doubts(&observed.observation, ENVIRON), []);
    assert!(!observed.observation.env.all());
    assert!(
        observed
            .observation
            .env
            .names
            .contains(OsStr::new("INSIDE"))
    );
}

/// Where the list is only copied for a child.
const HANDED_ON: bool = cfg!(target_arch = "x86_64");

/// What is seen of a program that starts another one with a changed environment.
fn starts(words: &[&str]) -> (Vec<EnvDoubt>, String, Observation) {
    let lab = Lab::new();
    let output = lab.beside("output");
    let file = std::fs::File::create(&output).expect("made");
    let mut command = std::process::Command::new(ENVIRON);
    command.args(words).env("KEPT", "2").env("GONE", "3");
    let observed = lab.observed(command.stdout(file));
    assert!(observed.status.success(), "{words:?}");
    let said = std::fs::read_to_string(output).expect("read");
    let seen = observed.observation;
    (doubts(&seen, ENVIRON), said, seen)
}

/// As the `cc` crate does it: nobody but the child sees the changed list.
#[test]
fn a_changed_environment_is_handed_on() {
    if !HANDED_ON {
        return;
    }
    let child = ["env", "CHANGED", "env", "KEPT", "env", "GONE"];
    let words = [&["changed", PLAIN], &child[..]].concat();
    let (doubts, said, seen) = starts(&words);
    assert_eq!(doubts, []);
    assert_eq!(
        said.lines().collect::<Vec<_>>(),
        ["Some(\"1\")", "Some(\"2\")", "None"]
    );
    let has = |name: &str| seen.env.names.contains(OsStr::new(name));
    assert!(
        has("CHANGED") && has("KEPT") && has("GONE"),
        "{:?}",
        seen.env.names
    );
    // Also where the child's program is looked for on the changed path.
    let (doubts, ..) = starts(&["runwith", "/usr/bin:/bin", "true"]);
    assert_eq!(doubts, []);
}

#[test]
fn what_is_read_beside_handing_on_is_seen() {
    for words in [
        ["changed-all", "true"],
        ["copied", "true"],
        ["beside", "true"],
    ] {
        let (doubts, ..) = starts(&words);
        assert_eq!(doubts, [EnvDoubt::Environ(ENVIRON.into())], "{words:?}");
    }
}

/// Guarding is not to be noticed: values that are set are read, and crashes are as they are without.
#[test]
fn a_guarded_program_behaves_as_ever() {
    use std::os::unix::process::CommandExt;
    for act in ["again", "overflow", "null", "vars"] {
        let said = |observed: bool| {
            let lab = Lab::new();
            let mut command = std::process::Command::new(ENVIRON);
            let output = lab.beside("output");
            let file = std::fs::File::create(&output).expect("made");
            let errors = file.try_clone().expect("cloned");
            command.arg0("subject").arg(act).stdout(file).stderr(errors);
            let status = if observed {
                lab.observed(command.env("LD_PRELOAD", "")).status
            } else {
                command.env("LD_PRELOAD", "").status().expect("run")
            };
            let text = std::fs::read_to_string(output).expect("read");
            // A thread's number is in the message.
            let text: String = text
                .chars()
                .filter(|c| !c.is_ascii_digit() || act == "again")
                .collect();
            (status, text)
        };
        assert_eq!(said(true), said(false), "{act}");
    }
}

#[test]
fn without_the_library_all_may_have_been_read() {
    let mut lab = Lab::new();
    lab.options.preload = None;
    let seen = lab.play(&["env", "HOME"]);
    assert_eq!(doubts(&seen, PLAIN), [EnvDoubt::Unreported]);
}

#[test]
fn a_program_that_drops_the_library_is_noticed() {
    let lab = Lab::new();
    let mut command = std::process::Command::new("/usr/bin/env");
    command
        .arg("-u")
        .arg("LD_PRELOAD")
        .arg(PLAIN)
        .args(["env", "HOME"]);
    let seen = lab.observed(&mut command).observation;
    assert_eq!(doubts(&seen, PLAIN), [EnvDoubt::Unreported]);
}

#[test]
fn a_c_program_is_doubted_and_its_names_are_known() {
    const NAME: &str = "a_c_program_is_doubted_and_its_names_are_known";
    let lab = Lab::new();
    let text = "#include <stdlib.h>\nint main(void) { return getenv(\"ASKED\") != 0; }";
    let Some(program) = compiled(&lab, NAME, text, &[]) else {
        return;
    };
    let seen = lab
        .observed(&mut std::process::Command::new(&program))
        .observation;
    assert!(seen.env.names.contains(OsStr::new("ASKED")));
    assert_eq!(
        doubts(&seen, program.to_str().expect("text")),
        [EnvDoubt::Main]
    );
}

#[test]
fn a_trusted_program_has_no_doubt() {
    let mut lab = Lab::new();
    lab.options.trusted.push(
        Path::new(ENVIRON)
            .parent()
            .map(PathBuf::from)
            .expect("a directory"),
    );
    let mut command = std::process::Command::new(ENVIRON);
    let seen = lab.observed(command.arg("vars")).observation;
    assert!(!seen.env.all(), "{:?}", seen.env.doubts);
    let seen = lab.play(&["env", "HOME", "now"]);
    assert!(!seen.env.names.contains(OsStr::new("HOME")));
    assert_eq!(seen.contacts.len(), 0, "{:?}", seen.contacts);
}

#[test]
fn names_are_written_down_where_any_code_may_ask() {
    let mut lab = Lab::new();
    let stopped = |lab: &Lab, words: &[&str]| {
        let words = [&["warm"], words].concat();
        let observed = lab.observed(&mut lab.command(&words));
        assert!(observed.status.success(), "{words:?}");
        (observed.effort.stopped, observed.observation.env.names)
    };
    let (without, _) = stopped(&lab, &[]);
    let (with, names) = stopped(&lab, &["env", "SOME", "env", "OTHER"]);
    for name in ["SOME", "OTHER"] {
        assert!(names.contains(OsStr::new(name)), "{names:?}");
    }
    assert_eq!(with, without, "a name was stopped for");
    let trusted = Path::new(PLAIN).parent().map(PathBuf::from);
    lab.options.trusted.extend(trusted);
    let (_, names) = stopped(&lab, &["env", "SOME"]);
    assert!(!names.contains(OsStr::new("SOME")), "{names:?}");
}

#[test]
fn the_users_own_preload_is_what_a_program_sees() {
    let check = |before: Option<&str>, expected: &str| {
        let mut lab = Lab::new();
        lab.options.ld_preload = before.map(Into::into);
        let mut command = lab.command(&["env", "LD_PRELOAD"]);
        let output = lab.beside("output");
        let file = std::fs::File::create(&output).expect("made");
        lab.observed(command.stdout(file).stderr(std::process::Stdio::null()));
        let said = std::fs::read_to_string(&output).expect("read");
        assert_eq!(said.trim(), expected);
    };
    check(None, "None");
    check(Some("libno-such.so"), "Some(\"libno-such.so\")");
}

#[test]
fn proc_environ_is_all() {
    let lab = Lab::new();
    let seen = lab.play(&["read", "/proc/self/environ"]);
    assert_eq!(doubts(&seen, PLAIN), [EnvDoubt::Proc]);
}

fn contacts(words: &[&str]) -> Vec<Contact> {
    Lab::new().play(words).contacts.into_iter().collect()
}

#[test]
fn the_calendar_is_a_clock_and_a_stopwatch_is_not() {
    assert_eq!(contacts(&["now"]), [Contact::Clock { by: PLAIN.into() }]);
    assert_eq!(contacts(&["instant"]), []);
}

#[test]
fn randomness_for_hash_tables_is_none() {
    assert_eq!(contacts(&["hash"]), []);
    let random = [Contact::Random { by: PLAIN.into() }];
    assert_eq!(contacts(&["random"]), random);
    assert_eq!(contacts(&["open", "/dev/urandom"]), random);
}

/// What is left out of the files that are kept is not left out of what a program may have loaded.
#[test]
fn a_library_below_a_skipped_directory_is_doubted() {
    const NAME: &str = "a_library_below_a_skipped_directory_is_doubted";
    let mut lab = Lab::new();
    let text = "extern char **environ;\nchar **all(void) { return environ; }";
    let Some(library) = compiled(&lab, NAME, text, &["-shared", "-fPIC"]) else {
        return;
    };
    let library = {
        let named = library.with_file_name("libsubject.so");
        std::fs::rename(library, &named).expect("renamed");
        named.canonicalize().expect("a path")
    };
    lab.options
        .skip
        .push(library.parent().expect("a directory").to_owned());
    let seen = lab.play(&["open", library.to_str().expect("text")]);
    assert_eq!(doubts(&seen, PLAIN), [EnvDoubt::Environ(library)]);
}

/// Randomness by a system call of its own, which nobody can attribute.
#[test]
fn a_trusted_program_may_draw_lots_and_a_foreign_library_in_it_may_not() {
    const NAME: &str = "a_trusted_program_may_draw_lots_and_a_foreign_library_in_it_may_not";
    let mut lab = Lab::new();
    let trusted = Path::new(PLAIN).parent().map(PathBuf::from);
    lab.options.trusted.extend(trusted);
    assert_eq!(
        lab.play(&["lots", "open", "/dev/urandom"]).contacts.len(),
        0
    );
    let Some(library) = compiled(
        &lab,
        NAME,
        "int one(void) { return 1; }",
        &["-shared", "-fPIC"],
    ) else {
        return;
    };
    let named = library.with_file_name("libsubject.so");
    std::fs::rename(library, &named).expect("renamed");
    let named = named.to_str().expect("text");
    let random = Contact::Random { by: PLAIN.into() };
    for _ in 0..2 {
        let seen = lab.play(&["open", named, "open", named, "lots"]);
        assert!(seen.contacts.contains(&random), "{:?}", seen.contacts);
    }
}
