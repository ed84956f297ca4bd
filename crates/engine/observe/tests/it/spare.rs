//! Programs of the system's are loaded without cargo's `LD_LIBRARY_PATH`, and have it all the same.

use std::fs;
use std::path::Path;
use std::process::Command;

use rekindle_observe::{Observed, Redirect};

use crate::support::{ENVIRON, Lab, compiled, executable, skip};

const NAME: &str = "LD_LIBRARY_PATH";

/// A lab whose programs get two directories, and what the variable is then.
fn lab() -> (Lab, String) {
    let mut lab = Lab::new();
    for name in ["one", "two"] {
        fs::create_dir(lab.path(name)).expect("a directory");
    }
    let (one, two) = (lab.path("one"), lab.path("two"));
    let value = format!("{}:{}", one.display(), two.display());
    lab.options.foreign_libraries = Some((&value).into());
    (lab, value)
}

/// A program that ends well, started with the variable by one of the test's.
fn run(lab: &Lab, value: &str, words: &[&str]) -> Observed {
    let mut command = Command::new(ENVIRON);
    let observed = lab.observed(command.arg("run").args(words).env(NAME, value));
    assert!(
        observed.status.success(),
        "{words:?}: {:?}",
        observed.status
    );
    observed
}

/// What a script of a shell's prints that is started with the variable, and how often calls were stopped.
fn printed(lab: &Lab, value: &str, script: &str) -> (String, u64) {
    let script = format!("{{ {script}; }} > {}", lab.beside("printed").display());
    let observed = run(lab, value, &["/bin/sh", "-c", &script]);
    assert!(observed.observation.blind.is_empty());
    let printed = fs::read_to_string(lab.beside("printed")).expect("printed");
    (printed, observed.effort.stopped)
}

/// Few programs, each of which would look for its libraries there.
const PROGRAMS: &str = "i=0; while [ $i -lt 20 ]; do /bin/ls /dev/null; i=$((i+1)); done";

#[test]
fn loaders_do_not_look_there() {
    let (mut lab, value) = lab();
    let (_, spared) = printed(&lab, &value, PROGRAMS);
    lab.options.foreign_libraries = None;
    let (_, not_spared) = printed(&lab, &value, PROGRAMS);
    assert!(
        spared + 20 * 4 < not_spared,
        "{spared} and {not_spared} calls were stopped"
    );
}

/// What a redirector starts, as it starts compilers that are asked something.
#[test]
fn nor_do_those_of_redirected_programs() {
    let (mut lab, value) = lab();
    let redirector = lab.beside("redirector");
    executable(&redirector, "#!/bin/sh\nshift\nexec \"$@\"\n");
    lab.options.redirect = Some(Redirect {
        redirector,
        first: "--first".into(),
        names: vec!["ls".into()],
    });
    let looked_for = |lab: &Lab| {
        let observed = run(lab, &value, &["/bin/ls", "/dev/null"]);
        lab.below(&observed.observation).len()
    };
    let spared = looked_for(&lab);
    lab.options.foreign_libraries = None;
    // The test's own program looks there in both cases, `sh` and `ls` in this one.
    assert!(spared < looked_for(&lab), "{spared}");
    let the_tests_own = {
        lab.options.redirect = None;
        lab.options.foreign_libraries = Some((&value).into());
        looked_for(&lab)
    };
    assert_eq!(spared, the_tests_own);
}

/// The redirector itself, which is nobody's program but ours.
#[test]
fn nor_does_the_redirector() {
    let (mut lab, value) = lab();
    // Linked as ours is, to the C library and little else.
    let redirector = lab.beside("redirector");
    fs::copy(ENVIRON, &redirector).expect("a copy");
    lab.options.redirect = Some(Redirect {
        redirector,
        // What the program that stands in for it is to do.
        first: "vars".into(),
        names: vec!["ls".into()],
    });
    let stopped = |lab: &Lab| run(lab, &value, &["/bin/ls"]).effort.stopped;
    let spared = stopped(&lab);
    lab.options.foreign_libraries = None;
    let not_spared = stopped(&lab);
    assert!(spared + 4 < not_spared, "{spared} and {not_spared}");
}

#[test]
fn another_value_counts_as_ever() {
    let (mut lab, value) = lab();
    let more = format!("{value}:{}", lab.path("three").display());
    let (_, stopped) = printed(&lab, &more, PROGRAMS);
    lab.options.foreign_libraries = None;
    let (_, as_ever) = printed(&lab, &more, PROGRAMS);
    // A line that is cancelled under way is a stop more.
    assert!(
        stopped.abs_diff(as_ever) < 20,
        "{stopped} and {as_ever} calls were stopped"
    );
}

#[test]
fn programs_have_the_variable() {
    let (lab, value) = lab();
    let expected = format!("{NAME}={value}\n");
    for script in [
        "env",
        "/usr/bin/env env",
        "sh -c env",
        // What loads nothing of ours could not give it back.
        "env -u LD_PRELOAD env",
        "env -u LD_PRELOAD /usr/bin/env",
        "env -u LD_PRELOAD sh -c 'exec env'",
        // Nor what another program was told of.
        "exec env",
    ] {
        let (printed, _) = printed(&lab, &value, script);
        // The test command's own variables are handed on as they are.
        let ours =
            |line: &&str| line.starts_with("REKINDLE_") && !line.starts_with("REKINDLE_TEST_");
        let lines: Vec<_> = printed
            .lines()
            .filter(|line| line.starts_with(NAME) || ours(line))
            .collect();
        assert_eq!(lines, [expected.trim_end()], "{script}");
    }
    let (printed, _) = printed(&lab, &value, &format!("echo ${NAME}"));
    assert_eq!(printed.trim_end(), value);
}

#[test]
fn a_static_program_has_the_variable() {
    let (lab, value) = lab();
    let busybox = ["/bin/busybox", "/usr/bin/busybox"];
    let found = busybox.into_iter().find(|path| Path::new(path).exists());
    let Some(busybox) = found else {
        return skip("a_static_program_has_the_variable", "no busybox");
    };
    let (printed, _) = printed(&lab, &value, &format!("{busybox} env"));
    assert!(
        printed.contains(&format!("\n{NAME}={value}\n")),
        "{printed}"
    );
}

#[test]
fn scripts_are_their_interpreters() {
    let (mut lab, value) = lab();
    let script = lab.path("script");
    for line in ["#!/bin/sh", "#! /usr/bin/env sh"] {
        executable(&script, &format!("{line}\nenv\n"));
        let run = script.display().to_string();
        lab.options.foreign_libraries = Some((&value).into());
        let (said, spared) = printed(&lab, &value, &run);
        assert!(said.contains(&format!("\n{NAME}={value}\n")), "{said}");
        lab.options.foreign_libraries = None;
        let (_, not_spared) = printed(&lab, &value, &run);
        assert!(spared < not_spared, "{line}");
    }
}

/// A program that finds one of its libraries by the variable alone, and prints a number that it has from there.
#[test]
fn what_others_made_is_loaded_with_it() {
    let name = "what_others_made_is_loaded_with_it";
    let (lab, value) = lab();
    let library = lab.path("two").join("libnumber.so");
    let flags = ["-shared", "-fPIC", "-Wl,-soname,libnumber.so"];
    let Some(made) = compiled(&lab, name, "int number(void) { return 7; }", &flags) else {
        return;
    };
    fs::rename(made, &library).expect("moved");
    let text =
        "#include <stdio.h>\nint number(void);\nint main(void) { printf(\"%d\\n\", number()); }";
    let needs = format!("-Wl,--no-as-needed,{}", library.display());
    let flags = ["-Wl,--unresolved-symbols=ignore-all", &needs];
    let Some(program) = compiled(&lab, name, text, &flags) else {
        return;
    };
    let (printed, _) = printed(&lab, &value, &program.display().to_string());
    assert_eq!(printed, "7\n");
}
