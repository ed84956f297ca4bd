//! What is written down instead of being stopped.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use rekindle_observe::{Blind, Effort, EnvDoubt, Seen};

use crate::support::{ENVIRON, Lab, PLAIN, compiled};

const FUNCTIONS: &[(&str, Seen)] = &[
    ("access", Seen::THERE),
    ("eaccess", Seen::THERE),
    ("faccessat", Seen::THERE),
    ("fopen", Seen::READ),
    ("fstatat", Seen::THERE),
    ("lstat", Seen::THERE),
    ("open", Seen::READ),
    ("openat", Seen::READ),
    ("opendir", Seen::THERE),
    ("readlink", Seen::THERE),
    ("realpath", Seen::THERE),
    ("stat", Seen::THERE),
    ("statx", Seen::THERE),
];

/// Plays after a few calls, compares, and gives how often the tree was stopped.
fn check(lab: &Lab, words: &[&str], expected: &[(&str, Seen)]) -> Effort {
    let words: Vec<&str> = ["warm"].iter().chain(words).copied().collect();
    let observed = lab.observed(&mut lab.command(&words));
    assert!(observed.status.success(), "{words:?}");
    let seen = &observed.observation;
    assert!(seen.blind.is_empty(), "{:?}", seen.blind);
    let expected: Vec<_> = expected
        .iter()
        .map(|(name, seen)| ((*name).to_owned(), *seen))
        .collect();
    assert_eq!(lab.below(seen), expected, "{words:?}");
    observed.effort
}

/// The calls that these words add to the ones that [`warm`](check) leads to. A line that the supervisor finds half-written is
/// cancelled, and its writer stopped: that may happen once, and hardly three times running.
fn effort(lab: &Lab, words: &[&str], expected: &[(&str, Seen)]) -> (u64, u64) {
    let once = || {
        let before = check(lab, &[], &[]);
        assert!(before.written > 0, "nothing is written down here");
        let after = check(lab, words, expected);
        (
            after.stopped.saturating_sub(before.stopped),
            after.written.saturating_sub(before.written),
        )
    };
    let mut counted = once();
    for _ in 0..2 {
        if counted.0 == 0 {
            break;
        }
        counted = counted.min(once());
    }
    counted
}

#[test]
fn every_function_is_seen_and_not_stopped() {
    for (name, seen) in FUNCTIONS {
        let lab = Lab::new();
        let path = lab.path("a");
        if *name == "opendir" {
            fs::create_dir(&path).expect("made");
        } else {
            lab.file("a");
        }
        let expected = [("", Seen::THERE), ("a", *seen)];
        let below = usize::from(*name != "realpath");
        assert_eq!(
            effort(&lab, &["call", name, "./a"], &expected[below..]),
            (0, 1),
            "{name}"
        );
        let missing: Vec<_> = if *name == "realpath" {
            vec![("", Seen::THERE), ("b", Seen::MISSING)]
        } else {
            vec![("b", Seen::MISSING)]
        };
        check(&lab, &["call", name, "./b"], &missing);
    }
}

#[test]
fn links_are_followed_as_the_call_does() {
    let lab = Lab::new();
    lab.file("a");
    lab.link("a", "link");
    let link = ("link", Seen::LINK);
    for (name, seen) in FUNCTIONS {
        let expected = match *name {
            "lstat" | "readlink" => vec![link],
            "realpath" => vec![("", Seen::THERE), ("a", *seen), link],
            "opendir" => vec![("a", Seen::READ), link],
            _ => vec![("a", *seen), link],
        };
        check(&lab, &["call", name, "./link"], &expected);
    }
}

#[test]
fn a_real_path_goes_no_further_than_to_what_is_missing() {
    let lab = Lab::new();
    lab.file("d/a");
    let (here, d) = (("", Seen::THERE), ("d", Seen::THERE));
    let words = ["call", "realpath", "./d/no/such"];
    let no = ("d/no", Seen::MISSING);
    assert_eq!(effort(&lab, &words, &[here, d, no]), (0, 1));
    // What is no directory is left to the C library.
    let words = ["call", "realpath", "./d/a/b"];
    let (a, b) = (("d/a", Seen::THERE), ("d/a/b", Seen::MISSING));
    check(&lab, &words, &[here, d, a, b]);
}

#[test]
fn what_the_kernel_says_is_missing_again_may_be_a_link_by_then() {
    let lab = Lab::new();
    let look = ["call", "stat", "./b"];
    let missing = [("b", Seen::MISSING)];
    check(&lab, &[look, look, look].concat(), &missing);
    let words = [&look[..], &look, &["symlink", "nowhere", "./b"], &look].concat();
    // What it leads to is asked for, too.
    let both = [("b", Seen::MISSING), ("nowhere", Seen::MISSING)];
    check(&lab, &words, &both);
    let (first, second) = (["call", "stat", "./no/a"], ["call", "stat", "./no/b"]);
    let words = [&first[..], &["symlink", "nowhere", "./no"], &second].concat();
    let both = [("no/a", Seen::MISSING), ("nowhere/b", Seen::MISSING)];
    check(&lab, &words, &both);
}

#[test]
fn threads_children_and_the_killed_write_down() {
    let lab = Lab::new();
    lab.file("a");
    lab.file("b");
    let read = [("a", Seen::READ)];
    // The C library looks at the processors on its own when there is a second thread.
    for (act, own) in [("thread", 1), ("fork", 0), ("killed", 0)] {
        let (stopped, written) = effort(&lab, &[act, "./a"], &read);
        assert_eq!((stopped <= own, written > 0), (true, true), "{act}");
    }
    let both = [("a", Seen::READ), ("b", Seen::READ)];
    let (_, written) = effort(&lab, &["vfork", "./a", "./b"], &both);
    assert_eq!(written, 1);
}

#[test]
fn relative_paths_are_where_the_process_is() {
    let lab = Lab::new();
    lab.file("d/a");
    let expected = [
        ("b", Seen::MISSING),
        ("d", Seen::THERE),
        ("d/a", Seen::READ),
    ];
    let words = ["go", "./d", "call", "open", "a", "call", "open", "../b"];
    assert_eq!(effort(&lab, &words, &expected), (1, 2));
    let expected = [("d", Seen::THERE), ("d/a", Seen::READ)];
    assert_eq!(effort(&lab, &["in", "./d", "a"], &expected), (1, 1));
}

#[test]
fn what_is_written_down_comes_before_what_the_tree_changes() {
    let lab = Lab::new();
    lab.file("a");
    lab.file("b");
    lab.file("c");
    let words = [
        "call", "open", "./a", "write", "./a", "call", "open", "./a", "call", "stat", "./b",
        "remove", "./b", "call", "open", "./c", "rename", "./c", "./d", "call", "stat", "./e",
        "make", "./e", "call", "open", "./e/x", "write", "./f", "call", "open", "./f",
    ];
    check(
        &lab,
        &words,
        &[
            ("a", Seen::READ),
            ("b", Seen::THERE),
            ("c", Seen::READ),
            ("e", Seen::MISSING),
        ],
    );
}

#[test]
fn a_file_that_appears_is_seen_although_it_was_missing() {
    let lab = Lab::new();
    lab.file("target");
    let words = [
        "call", "stat", "./link", "call", "stat", "./target", "remove", "./target", "call", "stat",
        "./target",
    ];
    check(
        &lab,
        &words,
        &[("link", Seen::MISSING), ("target", Seen::THERE)],
    );
}

#[test]
fn a_crowd_loses_nothing() {
    let lab = Lab::new();
    let observed = lab.observed(&mut lab.command(&["warm", "crowd", "./"]));
    assert!(observed.status.success());
    assert!(observed.observation.blind.is_empty());
    let seen = lab.below(&observed.observation);
    assert_eq!(seen.len(), 6000);
    assert!(seen.iter().all(|(_, seen)| *seen == Seen::MISSING));
    assert!(observed.effort.written > 1000, "{:?}", observed.effort);
}

#[test]
fn code_that_reads_alone_does_not_write() {
    let lab = Lab::new();
    let observed = lab.observed(&mut lab.command(&["warm", "misuse", "./a"]));
    assert!(observed.effort.written > 0);
    assert!(lab.path("a").exists());
    assert_eq!(lab.written(&observed.observation), ["a"]);
}

#[test]
fn without_the_memory_calls_are_stopped() {
    let lab = Lab::new();
    lab.file("a");
    let observed = lab.observed(&mut lab.command(&["occupy", "warm", "call", "open", "./a"]));
    assert!(observed.status.success());
    assert_eq!(observed.effort.written, 0);
    assert_eq!(
        lab.below(&observed.observation),
        [("a".to_owned(), Seen::READ)]
    );
}

#[test]
fn nothing_passes_by_another_preloaded_library() {
    const NAME: &str = "nothing_passes_by_another_preloaded_library";
    let mut lab = Lab::new();
    // Whatever is opened, it opens another file.
    let text = format!(
        "#include <fcntl.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n\
         int open(const char *p, int f, ...) \
         {{ return syscall(SYS_openat, AT_FDCWD, \"{}\", O_RDONLY); }}",
        lab.path("b").display()
    );
    let Some(library) = compiled(&lab, NAME, &text, &["-shared", "-fPIC"]) else {
        return;
    };
    lab.file("a");
    lab.file("b");
    lab.options.ld_preload = Some(library.into());
    let observed = lab.observed(&mut lab.command(&["warm", "call", "open", "./a"]));
    assert_eq!(observed.effort.written, 0);
    assert_eq!(
        lab.below(&observed.observation),
        [("b".to_owned(), Seen::READ)]
    );
}

#[test]
fn what_only_its_reader_can_name_is_told() {
    let lab = Lab::new();
    lab.file("a");
    lab.link("/proc/self/cwd", "here");
    let observed = lab.observed(&mut lab.command(&["warm", "call", "open", "./here/a"]));
    let blind = &observed.observation.blind;
    assert!(
        blind.iter().any(|blind| matches!(blind, Blind::Unseen(_))),
        "{blind:?}"
    );
}

#[test]
fn the_kernels_files_are_asked_for_as_ever() {
    let lab = Lab::new();
    // They are the reader's own, and so no contact.
    for words in [
        ["go", "/", "call", "open", "/proc/self/status"],
        ["go", "/proc/self", "call", "open", "status"],
        ["go", "/dev", "call", "open", "null"],
    ] {
        let words: Vec<&str> = ["warm"].into_iter().chain(words).collect();
        let seen = lab.observed(&mut lab.command(&words)).observation;
        assert!(seen.contacts.is_empty(), "{words:?}: {:?}", seen.contacts);
        assert!(seen.blind.is_empty(), "{words:?}: {:?}", seen.blind);
    }
}

#[test]
fn what_is_recorded_elsewhere_is_not_written_down() {
    let mut lab = Lab::new();
    lab.file("a");
    let mut command = std::process::Command::new(ENVIRON);
    command.args(["run", PLAIN, "warm", "call", "open"]);
    command.arg(lab.path("a"));
    let elsewhere = fs::canonicalize(PLAIN).expect("a program");
    lab.options.elsewhere.push(elsewhere);
    let observed = lab.observed(&mut command);
    assert!(observed.status.success());
    assert!(observed.effort.written > 0);
    assert_eq!(lab.below(&observed.observation), []);
}

#[test]
fn a_program_that_is_written_over_is_another_one() {
    let lab = Lab::new();
    let program = lab.path("program");
    fs::copy(PLAIN, &program).expect("copied");
    let mut command = std::process::Command::new("/bin/sh");
    let script = "\"$1\" warm; \"$1\" warm; cat /bin/true > \"$1\"; \"$1\"";
    command.args(["-c", script, "sh"]).arg(&program);
    let observed = lab.observed(&mut command);
    assert!(observed.status.success());
    // Only the one that came later may read what it likes.
    let doubts = &observed.observation.env.doubts[&program];
    assert!(doubts.contains(&EnvDoubt::Main), "{doubts:?}");
}

#[test]
fn a_ring_that_is_full_loses_nothing() {
    let lab = Lab::new();
    let observed = lab.observed(&mut lab.command(&["many", "./"]));
    assert_eq!(lab.below(&observed.observation).len(), 10_000);
    assert!(observed.effort.written > 5_000, "{:?}", observed.effort);
    assert!(observed.effort.stopped < 5_000, "{:?}", observed.effort);
}

#[test]
fn real_paths_are_the_c_librarys() {
    let lab = Lab::new();
    lab.file("d/e/file");
    lab.file("shut/file");
    for (target, name) in [
        ("d", "link"),
        ("e/file", "d/alias"),
        ("../d/e", "d/round"),
        ("loop", "loop"),
        ("gone", "dangling"),
        ("/", "root"),
        ("/proc/self", "self"),
        ("e/", "d/slash"),
        ("file/", "d/e/wrong"),
    ] {
        lab.link(target, name);
    }
    for index in 0..45 {
        lab.link(&format!("chain{}", index + 1), &format!("chain{index}"));
    }
    lab.file("chain45");
    fs::set_permissions(lab.path("shut"), fs::Permissions::from_mode(0o0)).expect("set");
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(lab.beside(""), open).expect("set");
    let long = "x".repeat(256);
    let deep = "d/../".repeat(1000);
    let chains = ["chain0", "chain5", "chain6", "chain26", "chain44"];
    let mut words = vec!["humble".to_owned(), "go".to_owned(), "./d".to_owned()];
    let mut compare = |path: &str| {
        words.extend(["compare".to_owned(), path.to_owned()]);
    };
    for path in [
        "",
        "/",
        "//",
        ".",
        "..",
        "../..",
        "/..",
        "alias",
        "e/../alias",
        "../link/e",
    ] {
        compare(path);
    }
    let below = [
        "d/e/file",
        "d/e/file/",
        "d/e/file/.",
        "d/e/file/..",
        "d/e/",
        "d//e",
        "d/./e/.",
        "d/e/..",
        "link",
        "link/",
        "link/alias",
        "link/alias/",
        "d/round",
        "d/round/..",
        "d/slash",
        "loop",
        "loop/",
        "dangling",
        "dangling/",
        "no/such",
        "no",
        "no/",
        "no/..",
        "shut",
        "shut/",
        "shut/..",
        "shut/file",
        "root",
        "root/etc",
        "self",
        "self/cwd",
        "d/e/wrong",
        &long,
        &deep,
    ];
    for path in below.iter().chain(&chains) {
        compare(&format!("./{path}"));
        compare(&format!("../{path}"));
    }
    let words: Vec<&str> = ["warm"]
        .into_iter()
        .chain(words.iter().map(String::as_str))
        .collect();
    let observed = lab.observed(&mut lab.command(&words));
    let open = fs::Permissions::from_mode(0o755);
    fs::set_permissions(lab.path("shut"), open).expect("set");
    assert!(observed.status.success());
    assert!(observed.effort.written > 100, "{:?}", observed.effort);
}
