//! A remote that fails at any of its requests: the build succeeds, what it makes is right, and it takes no longer than is
//! stated.

use std::time::{Duration, Instant};

use crate::project::{Project, skip};
use crate::remote::{Machine, OUTPUT, saved};
use crate::snapshots::commit;

/// What one request may take, and all that come to nothing together.
const DEADLINE: &str = "300ms";
const PATIENCE: &str = "900ms";
/// What a build without any remote takes here at most, on a machine that does other things too.
const BUILD: Duration = Duration::from_secs(30);

/// All that is waited for, a healthy machine's few milliseconds and a busy one's included.
const WAITED_MS: u64 = 5000;

/// More requests than any of these builds makes.
const MOST: usize = 60;

/// Fails at the first request, the second and so on, until there are no more.
fn check(fault: &str) {
    let test = format!("a_remote_that_fails:{fault}");
    if !cfg!(feature = "failpoints") {
        return skip(&test, "built without the feature `failpoints`");
    }
    let project = saved();
    project.put("ws/lib/word", "two");
    commit(&project, "second");
    copy(&project, "remote", "pristine");
    for at in 1..MOST {
        let _ = std::fs::remove_dir_all(project.path("remote"));
        copy(&project, "pristine", "remote");
        let machine = Machine::new(&project, "second", "second/src")
            .with("REKINDLE_REMOTE_DEADLINE", DEADLINE)
            .with("REKINDLE_REMOTE_PATIENCE", PATIENCE)
            .with("REKINDLE_REMOTE_FAULT", &format!("{fault}@{at}"));
        let began = Instant::now();
        machine.build();
        assert!(
            began.elapsed() < BUILD,
            "{fault}@{at}: {:?}",
            began.elapsed()
        );
        assert_eq!(
            machine.output(),
            OUTPUT.replace("one", "two"),
            "{fault}@{at}"
        );
        let stats = machine.stats();
        let asked = stats
            .pointer("/remote/requests")
            .and_then(serde_json::Value::as_u64);
        let waited_ms: u64 = ["pull_ms", "push_ms", "waited_ms"]
            .iter()
            .filter_map(|part| stats.pointer(&format!("/remote/{part}"))?.as_u64())
            .sum();
        assert!(waited_ms < WAITED_MS, "{fault}@{at}: {stats}");
        // What was left behind serves whoever comes next, or leads to nothing wrong. Where it failed from
        // that request on, nothing else was left than where it died.
        if ["stall", "deny", "throttle"].contains(&fault) {
            if ended(asked, at) {
                return;
            }
            continue;
        }
        let third = Machine::new(&project, "third", "third/src");
        third.build();
        assert_eq!(
            third.output(),
            OUTPUT.replace("one", "two"),
            "after {fault}@{at}"
        );
        if ended(asked, at) {
            return;
        }
    }
    panic!("more than {MOST} requests");
}

/// Whether the build made fewer requests than would have failed one.
fn ended(asked: Option<u64>, at: usize) -> bool {
    let is_over = asked.is_some_and(|asked| asked < at as u64);
    assert!(!is_over || at > 5, "only {at} requests");
    is_over
}

fn copy(project: &Project, from: &str, to: &str) {
    let mut command = std::process::Command::new("cp");
    let status = command
        .arg("-a")
        .args([project.path(from), project.path(to)])
        .status();
    assert!(status.unwrap().success());
}

#[test]
fn it_dies() {
    check("die");
}

#[test]
fn it_stalls() {
    check("stall");
}

#[test]
fn it_denies() {
    check("deny");
}

#[test]
fn it_throttles() {
    check("throttle");
}

#[test]
fn it_answers_garbage() {
    check("garbage");
}

#[test]
fn it_flips_bits() {
    check("flip");
}

#[test]
fn it_cuts_off() {
    check("truncate");
}
