//! Children, static programs, sockets, devices, and what is left behind.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rekindle_fsx::MACHINE_NAMES;
use rekindle_observe::{Blind, Contact, EnvDoubt, Observer, Seen};

use crate::support::{ENVIRON, Lab, PLAIN, compiled, skip};

#[test]
fn a_child_that_is_started() {
    let lab = Lab::new();
    lab.file("a");
    let mut command = Command::new(ENVIRON);
    command.args(["run", PLAIN, "read"]).arg(lab.path("a"));
    let seen = lab.observed(&mut command).observation;
    assert_eq!(lab.below(&seen), [("a".to_owned(), Seen::READ)]);
    assert!(seen.programs.contains(Path::new(PLAIN)));
}

#[test]
fn a_child_that_is_only_forked() {
    let lab = Lab::new();
    lab.file("a");
    lab.check(&["fork", "./a"], &[("a", Seen::READ)]);
}

#[test]
fn a_program_that_is_looked_for() {
    let lab = Lab::new();
    let directory = lab.path("bin");
    fs::create_dir(&directory).expect("a directory");
    let mut command = Command::new(ENVIRON);
    let search = format!("{}:/usr/bin:/bin", directory.display());
    command.arg("runwith").arg(search).arg("true");
    let observed = lab.observed(&mut command);
    assert!(observed.status.success());
    assert_eq!(
        lab.below(&observed.observation),
        [("bin/true".to_owned(), Seen::MISSING)]
    );
}

/// Starts `true` by way of directories that have none, and perhaps of one whose `true` cannot be started. How many calls
/// were stopped.
fn looked_for(act: &str, directories: usize, odd: bool) -> u64 {
    let lab = Lab::new();
    let mut search = String::new();
    let mut expected = Vec::new();
    for index in 0..directories {
        let directory = lab.path(format!("bin{index:02}"));
        fs::create_dir(&directory).expect("a directory");
        search += &format!("{}:", directory.display());
        expected.push((format!("bin{index:02}/true"), Seen::MISSING));
    }
    if odd {
        fs::create_dir_all(lab.path("no/true")).expect("a directory");
        search += &format!("{}:", lab.path("no").display());
        expected.push(("no/true".to_owned(), Seen::THERE));
    }
    search += "/usr/bin:/bin";
    let mut command = Command::new(ENVIRON);
    command.arg(act);
    match act {
        "run" => _ = command.env("PATH", &search),
        _ => _ = command.arg(&search),
    }
    let observed = lab.observed(command.arg("true"));
    assert!(observed.status.success(), "{act}");
    assert_eq!(lab.below(&observed.observation), expected, "{act}");
    observed.effort.stopped
}

#[test]
fn a_search_for_a_program_is_seen_and_not_stopped() {
    for act in ["run", "warm-runwith"] {
        let one = looked_for(act, 1, false);
        assert_eq!(one, looked_for(act, 12, false), "{act}");
    }
}

#[test]
fn a_search_goes_on_behind_what_cannot_be_started() {
    for act in ["run", "runwith", "warm-runwith"] {
        looked_for(act, 2, true);
    }
}

#[test]
fn a_search_that_depends_on_where_the_child_begins() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    for (name, text) in [
        ("there/bin/subject", "#!/bin/sh\nexit 3\n"),
        ("other/subject", "#!/bin/sh\nexit 4\n"),
    ] {
        let program = lab.file(name);
        fs::write(&program, text).expect("written");
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("set");
    }
    let mut command = Command::new(ENVIRON);
    command.args(["runin".into(), lab.path("there"), "subject".into()]);
    command.env("PATH", format!("bin:{}", lab.path("other").display()));
    assert_eq!(lab.observed(&mut command).status.code(), Some(3));
}

#[test]
fn a_script_and_what_runs_it() {
    use std::os::unix::fs::PermissionsExt;
    let lab = Lab::new();
    let script = lab.file("script");
    fs::write(&script, "#!/bin/sh\nexit 7\n").expect("written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("set");
    let observed = lab.observed(&mut Command::new(&script));
    assert_eq!(observed.status.code(), Some(7));
    let shell = fs::canonicalize("/bin/sh").expect("a shell");
    assert!(observed.observation.programs.contains(&shell));
    assert!(observed.observation.programs.contains(&script));
    assert_eq!(observed.observation.files.get(&script), Some(Seen::READ));
}

#[test]
fn a_static_program() {
    const NAME: &str = "a_static_program";
    let lab = Lab::new();
    let text = "#include <fcntl.h>\nint main(int c, char **v) { return open(v[1], O_RDONLY) < 0; }";
    let Some(program) = compiled(&lab, NAME, text, &["-static"]) else {
        return;
    };
    lab.file("a");
    let observed = lab.observed(Command::new(&program).arg(lab.path("a")));
    assert!(observed.status.success());
    assert_eq!(
        lab.below(&observed.observation),
        [("a".to_owned(), Seen::READ)]
    );
    assert!(observed.observation.env.doubts[&program].contains(&EnvDoubt::Unreported));
}

#[test]
fn many_short_children() {
    let lab = Lab::new();
    lab.file("a");
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg("i=0; while [ $i -lt 1000 ]; do /bin/cat \"$1\" || exit 1; i=$((i+1)); done");
    let observed = lab.observed(command.arg("sh").arg(lab.path("a")).stdout(Stdio::null()));
    assert!(observed.status.success());
    assert_eq!(
        lab.below(&observed.observation),
        [("a".to_owned(), Seen::READ)]
    );
    assert!(observed.observation.blind.is_empty());
}

#[test]
fn contacts_are_told() {
    let check = |words: &[&str], expected: &[Contact]| {
        let lab = Lab::new();
        let seen = lab.observed(&mut lab.command(words)).observation;
        let seen: Vec<_> = seen.contacts.into_iter().collect();
        assert_eq!(seen, expected, "{words:?}");
    };
    let network = |peer: Option<&str>| Contact::Network {
        family: 2,
        peer: peer.map(str::to_owned),
    };
    check(
        &["connect", "127.0.0.1:9"],
        &[network(None), network(Some("127.0.0.1:9"))],
    );
    check(&["unix", "/no/such"], &[Contact::Socket("/no/such".into())]);
    check(
        &["read", "/proc/cpuinfo"],
        &[Contact::Kernel("/proc/cpuinfo".into())],
    );
    check(
        &["read", "/proc/1/stat"],
        &[Contact::Process {
            what: "/proc/1/stat".into(),
        }],
    );
    check(&["read", "/proc/self/status", "read", "/dev/null"], &[]);
    let mut names: Vec<_> = MACHINE_NAMES
        .iter()
        .map(|name| Contact::Kernel(format!("/proc/sys/kernel/{name}").into()))
        .collect();
    names.sort();
    check(&["uname"], &names);
    check(
        &["trace"],
        &[Contact::Process {
            what: "ptrace".into(),
        }],
    );
}

/// Of what `uname` gives, only what can reach the asker's output is told.
#[test]
fn of_the_machines_names_those_that_are_asked_for_are_told() {
    let lab = Lab::new();
    let seen = |command: &mut Command| {
        let observed = lab.observed(command);
        assert!(observed.status.success(), "{command:?}");
        Vec::from_iter(observed.observation.contacts)
    };
    let kernel = |name: &str| Contact::Kernel(format!("/proc/sys/kernel/{name}").into());
    assert_eq!(seen(Command::new("uname").arg("-m")), [kernel("arch")]);
    assert_eq!(
        seen(Command::new("uname").arg("-rs")),
        [kernel("osrelease"), kernel("ostype")]
    );
    assert_eq!(seen(Command::new("uname").arg("-n")), [kernel("hostname")]);
    assert_eq!(
        seen(Command::new("sh").args(["-c", "uname -n; :"])),
        [kernel("hostname")]
    );
    // Below a script of autoconf's it is for the log.
    let configure = lab.file("configure");
    fs::write(&configure, "(uname -n) | cat; :").expect("written");
    assert_eq!(
        seen(Command::new("sh").arg(&configure)),
        [Contact::HostName]
    );
}

/// The start of a static program asks whether the kernel is new enough; what the program asks then counts.
#[test]
fn what_a_static_programs_start_asks_for_is_no_input() {
    let lab = Lab::new();
    let text = "#include <sys/utsname.h>\n#include <stdio.h>\n\
                int main(int c, char **v) { struct utsname n; return c > 1 ? uname(&n) : 0; }\n";
    let test = "what_a_static_programs_start_asks_for_is_no_input";
    let Some(program) = compiled(&lab, test, text, &["-static"]) else {
        return;
    };
    let seen = |command: &mut Command| lab.observed(command).observation.contacts;
    assert_eq!(seen(&mut Command::new(&program)), [].into());
    let all = seen(Command::new(&program).arg("x"));
    assert_eq!(all.len(), MACHINE_NAMES.len(), "{all:?}");
}

#[test]
fn exit_codes_and_signals_are_as_they_are() {
    let lab = Lab::new();
    assert_eq!(
        lab.observed(&mut lab.command(&["exit", "42"]))
            .status
            .code(),
        Some(42)
    );
    let died = lab
        .observed(lab.command(&["die"]).stderr(Stdio::null()))
        .status;
    assert_eq!(died.signal(), Some(libc::SIGABRT));
}

#[test]
fn a_program_that_is_not_there_fails_as_ever() {
    let lab = Lab::new();
    let error = Observer::probe()
        .run(&mut Command::new(lab.path("none")), &lab.options)
        .expect_err("no such program");
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
}

#[test]
fn streams_are_the_callers() {
    use std::io::Read;
    let lab = Lab::new();
    let mut command = lab.command(&["env", "NO_SUCH_NAME"]);
    command.stdout(Stdio::piped());
    let mut running = Observer::probe()
        .spawn(&mut command, &lab.options)
        .expect("started");
    let mut said = String::new();
    let mut pipe = running.stdout.take().expect("a pipe");
    pipe.read_to_string(&mut said).expect("read");
    assert_eq!(said, "None\n");
    assert!(running.wait().expect("waited").status.success());
}

#[test]
fn what_is_left_behind_lives_on() {
    let lab = Lab::new();
    lab.file("a");
    for name in ["ask", "answer"] {
        let made = Command::new("mkfifo").arg(lab.path(name)).status();
        assert!(made.is_ok_and(|status| status.success()));
    }
    let observed = lab.observed(&mut lab.command(&["daemon", "./"]));
    assert!(observed.status.success());
    assert!(observed.observation.contacts.contains(&Contact::LeftBehind));
    fs::write(lab.path("ask"), lab.path("a").to_str().expect("text")).expect("asked");
    assert_eq!(
        fs::read_to_string(lab.path("answer")).expect("answered"),
        "true"
    );
}

#[test]
fn an_observer_that_is_off_says_so() {
    let lab = Lab::new();
    let seen = Observer::off()
        .run(&mut lab.command(&["read", "./a"]), &lab.options)
        .expect("run");
    assert!(seen.observation.blind.contains(&Blind::Off));
    assert!(seen.observation.files.is_empty());
}

#[test]
fn a_changed_root_is_told() {
    const NAME: &str = "a_changed_root_is_told";
    let lab = Lab::new();
    let able = Command::new("unshare").args(["-rm", "true"]).output();
    if !able.is_ok_and(|output| output.status.success()) {
        skip(NAME, "no user namespaces here");
        return;
    }
    let seen = lab
        .observed(Command::new("unshare").args(["-rm", "true"]))
        .observation;
    assert!(seen.blind.contains(&Blind::OtherRoot), "{:?}", seen.blind);
}

#[test]
fn what_is_told_elsewhere_is_not_recorded() {
    let mut lab = Lab::new();
    lab.file("a");
    let mut command = Command::new(ENVIRON);
    command.args(["run", "/bin/sh", "-c", "cat \"$1\"; exit 5", "sh"]);
    command.arg(lab.path("a")).stdout(Stdio::null());
    lab.options
        .elsewhere
        .push(fs::canonicalize("/bin/sh").expect("a shell"));
    let observed = lab.observed(&mut command);
    assert_eq!(observed.status.code(), Some(5));
    assert_eq!(lab.below(&observed.observation), []);
    assert!(!observed.observation.env.all());
}

/// What the loader asks for without being stopped is seen: for a program, for one that it starts, and
/// where the loader is the program.
#[test]
fn the_loaders_own_calls_are_seen_and_not_stopped() {
    const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
    if cfg!(not(all(target_arch = "x86_64", target_env = "gnu"))) || !Path::new(LOADER).exists() {
        return;
    }
    let loads: [&[&str]; 3] = [
        &["/bin/true"],
        &[ENVIRON, "run", "/bin/true"],
        &[LOADER, "/bin/true"],
    ];
    let mut stopped = Vec::new();
    for words in loads {
        let mut lab = Lab::new();
        lab.options.preload = None;
        let mut command = Command::new(words[0]);
        // Where the tests are run by cargo, there is a path that the loader goes through.
        command.args(&words[1..]).env_remove("LD_LIBRARY_PATH");
        let observed = lab.observed(&mut command);
        assert!(observed.status.success(), "{words:?}");
        let seen = &observed.observation.files;
        let cache = seen.get(Path::new("/etc/ld.so.cache"));
        assert_eq!(cache, Some(Seen::READ), "{words:?}");
        let preload = seen.get(Path::new("/etc/ld.so.preload"));
        assert!(preload.is_some(), "{words:?}");
        stopped.push(observed.effort.stopped);
    }
    // It is started and opens the C library.
    assert_eq!(stopped[0], 2);
}

/// A program's own calls with the same texts are no loader's.
#[test]
fn others_calls_with_the_loaders_texts_are_stopped() {
    let lab = Lab::new();
    let before = lab.observed(&mut lab.command(&["hash"])).effort.stopped;
    let words = ["hash", "read", "/etc/ld.so.cache"];
    let after = lab.observed(&mut lab.command(&words)).effort.stopped;
    assert_eq!(after - before, 1);
}
