//! An observer inside of an observed tree. The outer one runs this test program again, which then
//! plays the inner one.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use rekindle_observe::{Capability, Observation, Observer, Options, Seen, announce};

use crate::support::Lab;

const INNER: &str = "REKINDLE_TEST_INNER";

/// Runs one test of this program, observed, as the inner one.
fn again(lab: &Lab, test: &str) -> Observation {
    let mut command = Command::new(std::env::current_exe().expect("a path"));
    command
        .args(["--exact", test, "--nocapture"])
        .env(INNER, lab.path(""))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let observed = lab.observed(&mut command);
    assert!(observed.status.success());
    observed.observation
}

fn inner() -> Option<std::path::PathBuf> {
    std::env::var_os(INNER).map(Into::into)
}

#[test]
fn a_part_of_the_observation() {
    let Some(root) = inner() else {
        let lab = Lab::new();
        for name in ["before", "inside", "after"] {
            lab.file(name);
        }
        let seen = again(&lab, "nested::a_part_of_the_observation");
        let names: Vec<_> = lab.below(&seen).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, ["after", "before", "inside"]);
        return;
    };
    let observer = Observer::probe();
    assert_eq!(observer.capability(), &Capability::Outer);
    std::fs::read(root.join("before")).expect("read");
    let mut command = Command::new(crate::support::ENVIRON);
    command.args(["run", crate::support::PLAIN, "env", "INSIDE", "read"]);
    command.arg(root.join("inside")).stdout(Stdio::null());
    let seen = observer
        .run(&mut command, &Options::default())
        .expect("run")
        .observation;
    std::fs::read(root.join("after")).expect("read");
    let files: Vec<_> = seen
        .files
        .iter()
        .filter_map(|(path, _)| path.starts_with(&root).then_some(path))
        .collect();
    assert_eq!(files, [&root.join("inside")]);
    assert!(seen.env.names.contains(OsStr::new("INSIDE")));
    assert!(seen.blind.is_empty(), "{:?}", seen.blind);
}

#[test]
fn what_a_part_is_looked_for_with_is_its_own() {
    let Some(root) = inner() else {
        let lab = Lab::new();
        std::fs::create_dir(lab.path("bin")).expect("a directory");
        again(&lab, "nested::what_a_part_is_looked_for_with_is_its_own");
        return;
    };
    // From here on this process writes down what it reads.
    for _ in 0..8 {
        std::fs::metadata(&root).expect("there");
    }
    let mut command = Command::new("true");
    let bin = root.join("bin");
    command.env("PATH", format!("{}:/usr/bin:/bin", bin.display()));
    let seen = Observer::probe()
        .run(&mut command, &Options::default())
        .expect("run")
        .observation;
    assert_eq!(seen.files.get(&bin.join("true")), Some(Seen::MISSING));
}

/// Numbers of processes are handed out again, also while a part is observed: what a process does there is not its predecessor's.
#[test]
fn a_number_that_is_used_again_is_another_process() {
    const TEST: &str = "nested::a_number_that_is_used_again_is_another_process";
    const ALONE: &str = "REKINDLE_TEST_ALONE";
    // With numbers of its own, which nobody else takes.
    let alone = |program: &OsStr| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--mount-proc"]);
        command.arg(program);
        command
    };
    if let Some(root) = inner() {
        let seen = with_a_number_of_another(&root);
        assert_eq!(seen.files.get(&root.join("inside")), Some(Seen::READ));
        assert!(seen.blind.is_empty(), "{:?}", seen.blind);
    } else if std::env::var_os(ALONE).is_some() {
        let lab = Lab::new();
        lab.file("inside");
        let made = Command::new("mkfifo").arg(lab.path("ask")).status();
        assert!(made.is_ok_and(|status| status.success()));
        again(&lab, TEST);
    } else if alone("true".as_ref())
        .output()
        .is_ok_and(|output| output.status.success())
    {
        let mut command = alone(std::env::current_exe().expect("a path").as_os_str());
        command.args(["--exact", TEST, "--nocapture"]);
        let status = command.env(ALONE, "1").status();
        assert!(status.expect("started").success());
    } else {
        crate::support::skip(TEST, "processes cannot have numbers of their own here");
    }
}

/// Observes a part in which a process reads `inside` that has the number of an earlier one, outside of that part.
fn with_a_number_of_another(root: &Path) -> Observation {
    const PART: &str = r#"read number < ask; echo $((number - 1)) > /proc/sys/kernel/ns_last_pid; read go < ask
        sh -c 'test $$ = "$0" && exec cat inside' "$number""#;
    std::thread::scope(|scope| {
        let part = scope.spawn(|| {
            let mut command = Command::new("sh");
            command.args(["-c", PART]).current_dir(root);
            command.stdout(Stdio::null());
            Observer::probe().run(&mut command, &Options::default())
        });
        let tell = |line: String| {
            // Opened on both sides: the part waits there.
            let ask = std::fs::File::options().write(true).open(root.join("ask"));
            writeln!(ask.expect("opened"), "{line}").expect("written");
            // Longer than a tick of the clock by which processes are told apart, and than what was seen of their numbers holds. Where
            // one is handed out again, thousands are before it.
            std::thread::sleep(std::time::Duration::from_millis(50));
        };
        let mut outside = Command::new("true").spawn().expect("started");
        outside.wait().expect("waited");
        tell(outside.id().to_string());
        tell("go".to_owned());
        let seen = part.join().expect("joined").expect("run");
        assert!(seen.status.success(), "another number");
        seen.observation
    })
}

#[test]
fn what_is_announced_is_seen() {
    let Some(root) = inner() else {
        let lab = Lab::new();
        let seen = again(&lab, "nested::what_is_announced_is_seen");
        assert_eq!(lab.below(&seen), [("announced".to_owned(), Seen::READ)]);
        return;
    };
    let mut known = Observation::default();
    known.files.add(root.join("announced"), Seen::READ);
    assert!(announce(&known));
}

/// A supervisor that is killed takes its tree's files away: what goes on fails, and nothing hangs.
#[test]
fn a_killed_supervisor_leaves_no_process_hanging() {
    use std::io::Read;
    if let Some(root) = inner() {
        let mut command = Command::new(crate::support::PLAIN);
        command.args(["answer".as_ref(), root.as_os_str()]);
        command.stderr(Stdio::null());
        let _ = Observer::probe().run(&mut command, &Options::default());
        return;
    }
    let lab = Lab::new();
    for name in ["ask", "answer"] {
        let made = Command::new("mkfifo").arg(lab.path(name)).status();
        assert!(made.is_ok_and(|status| status.success()));
    }
    let test = "nested::a_killed_supervisor_leaves_no_process_hanging";
    let mut supervisor = Command::new(std::env::current_exe().expect("a path"))
        .args(["--exact", test, "--nocapture"])
        .env(INNER, lab.path(""))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("started");
    // Opened on both sides: the program has begun, and waits.
    let mut ask = std::fs::File::options()
        .write(true)
        .open(lab.path("ask"))
        .expect("opened");
    supervisor.kill().expect("killed");
    supervisor.wait().expect("waited");
    ask.write_all(b"/dev/null").expect("asked");
    drop(ask);
    // The program has the other end of this pipe: it ends when that ends.
    let mut said = Vec::new();
    let mut pipe = supervisor.stdout.take().expect("a pipe");
    pipe.read_to_end(&mut said).expect("read");
}

#[test]
fn nobody_hears_an_announcement() {
    assert!(!announce(&Observation::default()));
}
