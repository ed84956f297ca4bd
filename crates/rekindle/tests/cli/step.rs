//! `rekindle step`: commands that turn files into files.

use crate::keys::{Lab, Run, skip};

fn lab() -> Lab {
    Lab::new(&[
        ("Cargo.lock", ""),
        ("words.txt", "b\na\n"),
        (
            "gen.sh",
            "set -e\nmkdir -p made/deep\ncat words.txt template.txt > made/deep/all.txt 2>/dev/null || \
             cat words.txt > made/deep/all.txt\necho $GREETING > made/greeting\necho printed; echo said >&2\n",
        ),
    ])
}

fn step(lab: &Lab, words: &[&str]) -> Run {
    lab.try_run(&[&["step"], words].concat())
}

/// What became of a step.
fn fate(run: &Run) -> String {
    let step = run.events.iter().find(|event| event["event"] == "step");
    let step = step.unwrap_or_else(|| panic!("{}{}", run.done.stdout, run.done.stderr));
    let fate = step["fate"].as_str().unwrap().to_owned();
    match step["refused"]["reason"].as_str() {
        Some(reason) => format!("{fate}: {reason}"),
        None => fate,
    }
}

const SORT: &[&str] = &[
    "--clear",
    "--output",
    "sorted.txt",
    "--",
    "sort",
    "-o",
    "sorted.txt",
    "words.txt",
];
const GEN: &[&str] = &["--clear", "--output", "made/", "--", "sh", "gen.sh"];

#[test]
fn a_command_is_replayed_until_something_that_it_reads_changes() {
    let mut lab = lab();
    assert_eq!(fate(&step(&lab, SORT)), "miss");
    std::fs::remove_file(lab.path("sorted.txt")).unwrap();
    assert_eq!(fate(&step(&lab, SORT)), "hit");
    let read = |lab: &Lab| std::fs::read_to_string(lab.path("sorted.txt")).unwrap();
    assert_eq!(read(&lab), "a\nb\n");
    lab.put("words.txt", "d\nc\n");
    assert_eq!(fate(&step(&lab, SORT)), "miss");
    assert_eq!(read(&lab), "c\nd\n");
    lab.put("words.txt", "b\na\n");
    assert_eq!(fate(&step(&lab, SORT)), "hit");
    lab.move_to(lab.outside("another/checkout"));
    std::fs::remove_file(lab.path("sorted.txt")).unwrap();
    assert_eq!(fate(&step(&lab, SORT)), "hit");
    assert_eq!(read(&lab), "a\nb\n");
}

#[test]
fn directories_and_what_was_printed_come_back() {
    let mut lab = lab();
    lab.set("GREETING", "hello");
    let first = step(&lab, GEN);
    assert_eq!(fate(&first), "miss", "{}", first.done.stderr);
    let again = step(&lab, GEN);
    assert_eq!(fate(&again), "hit");
    assert_eq!(
        (again.done.stdout.as_str(), again.done.stderr.as_str()),
        ("printed\n", "said\n")
    );
    let read = |name: &str| std::fs::read_to_string(lab.path(name)).unwrap();
    assert_eq!(read("made/deep/all.txt"), "b\na\n");
    assert_eq!(read("made/greeting"), "hello\n");
    // A file that was looked for in vain, and a variable.
    lab.put("template.txt", "t\n");
    assert_eq!(fate(&step(&lab, GEN)), "miss");
    assert_eq!(read("made/deep/all.txt"), "b\na\nt\n");
    lab.set("GREETING", "goodbye");
    assert_eq!(fate(&step(&lab, GEN)), "miss");
    // Without leave to remove what is there, it runs.
    let kept = step(&lab, &["--output", "made/", "--", "sh", "gen.sh"]);
    assert_eq!(fate(&kept), "refused: found_earlier_output");
}

#[test]
fn what_cannot_be_replayed_runs_each_time_and_says_why() {
    let lab = lab();
    for _ in 0..2 {
        let run = step(
            &lab,
            &["--output", "x", "--", "sh", "-c", "echo x > x; echo y > y"],
        );
        assert_eq!(fate(&run), "refused: wrote_outside");
        assert!(
            run.done.stderr.contains("rekindle: not stored: it changes"),
            "{}",
            run.done.stderr
        );
        std::fs::remove_file(lab.path("x")).unwrap();
        std::fs::remove_file(lab.path("y")).unwrap();
    }
    let failed = step(
        &lab,
        &["--output", "x", "--", "sh", "-c", "echo no >&2; exit 7"],
    );
    assert_eq!(
        (failed.done.code, failed.done.stderr.as_str()),
        (Some(7), "no\n")
    );
    let own = step(&lab, &["--output", ".", "--", "true"]);
    assert!(
        own.done.stderr.contains("cannot be an output"),
        "{}",
        own.done.stderr
    );
    assert!(lab.path("words.txt").exists());
    let directory = step(&lab, &["--output", "new", "--", "mkdir", "new"]);
    assert_eq!(fate(&directory), "refused: odd_output");
    if std::process::Command::new("bash")
        .arg("-c")
        .arg("")
        .status()
        .is_err()
    {
        return skip(
            "what_cannot_be_replayed_runs_each_time_and_says_why (a part)",
            "no bash",
        );
    }
    let network = "exec 3<>/dev/tcp/127.0.0.1/9 || true";
    let run = step(&lab, &["--output", "x", "--", "bash", "-c", network]);
    assert_eq!(fate(&run), "refused: network");
}

#[test]
fn a_declared_input_counts_also_where_nobody_reads_it() {
    let lab = lab();
    let words = [&["--input", "version"], SORT].concat();
    lab.put("version", "1");
    assert_eq!(fate(&step(&lab, &words)), "miss");
    assert_eq!(fate(&step(&lab, &words)), "hit");
    lab.put("version", "2");
    assert_eq!(fate(&step(&lab, &words)), "miss");
}
