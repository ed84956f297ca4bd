//! Files: read, missing, listed, linked, written.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use rekindle_observe::Seen;

use crate::support::{Lab, PLAIN};

#[test]
fn a_file_that_is_read() {
    let lab = Lab::new();
    lab.file("a");
    let seen = lab.check(&["read", "./a"], &[("a", Seen::READ)]);
    assert!(seen.programs.contains(std::path::Path::new(PLAIN)));
    let plain = seen.files.get(std::path::Path::new(PLAIN));
    assert!(plain.is_some_and(|plain| plain.has(Seen::READ)));
}

#[test]
fn a_file_that_is_mapped() {
    let lab = Lab::new();
    lab.file("a");
    lab.check(&["map", "./a"], &[("a", Seen::READ)]);
}

#[test]
fn a_file_that_a_thread_reads() {
    let lab = Lab::new();
    lab.file("a");
    lab.check(&["thread", "./a"], &[("a", Seen::READ)]);
}

#[test]
fn a_file_that_is_looked_at() {
    let lab = Lab::new();
    lab.file("a");
    lab.check(&["look", "./a"], &[("a", Seen::THERE)]);
}

#[test]
fn a_missing_file() {
    let lab = Lab::new();
    lab.check(
        &["read", "./a", "look", "./b/c"],
        &[("a", Seen::MISSING), ("b/c", Seen::MISSING)],
    );
}

#[test]
fn a_directory_that_is_listed() {
    let lab = Lab::new();
    lab.file("d/a");
    lab.file("e/a");
    lab.check(
        &["list", "./d", "look", "./e"],
        &[("d", Seen::THERE.with(Seen::LISTED)), ("e", Seen::THERE)],
    );
}

#[test]
fn links_on_the_way() {
    let lab = Lab::new();
    lab.file("real/deep/a");
    lab.link("real", "dir");
    lab.link("deep/a", "real/file");
    lab.check(
        &["read", "./dir/file"],
        &[
            ("dir", Seen::LINK),
            ("real/deep/a", Seen::READ),
            ("real/file", Seen::LINK),
        ],
    );
}

#[test]
fn a_link_that_is_read_itself() {
    let lab = Lab::new();
    lab.link("nowhere", "a");
    lab.check(&["follow", "./a"], &[("a", Seen::LINK)]);
    lab.check(
        &["read", "./a"],
        &[("a", Seen::LINK), ("nowhere", Seen::MISSING)],
    );
}

#[test]
fn a_relative_path_after_a_change_of_directory() {
    let lab = Lab::new();
    lab.file("d/a");
    lab.check(
        &["go", "./d", "read", "a", "read", "../b"],
        &[
            ("b", Seen::MISSING),
            ("d", Seen::THERE),
            ("d/a", Seen::READ),
        ],
    );
}

#[test]
fn a_name_that_is_no_text() {
    let lab = Lab::new();
    let name = OsStr::from_bytes(b"\xff\xfe");
    let path = lab.file(name);
    let mut command = lab.command(&["read"]);
    let observed = lab.observed(command.arg(&path));
    assert_eq!(observed.observation.files.get(&path), Some(Seen::READ));
}

#[test]
fn what_is_written_first_is_no_input() {
    let lab = Lab::new();
    let seen = lab.check(
        &[
            "write", "./a", "read", "./a", "remove", "./a", "look", "./a",
        ],
        &[],
    );
    assert_eq!(lab.written(&seen), ["a"]);
}

#[test]
fn what_is_read_first_stays_an_input() {
    let lab = Lab::new();
    lab.file("a");
    lab.file("b");
    let seen = lab.check(
        &[
            "read", "./a", "write", "./a", "look", "./c", "write", "./c", "append", "./b", "read",
            "./b",
        ],
        &[("a", Seen::READ), ("b", Seen::READ), ("c", Seen::MISSING)],
    );
    assert_eq!(lab.written(&seen), ["a", "b", "c"]);
}

#[test]
fn what_is_in_a_directory_of_its_own_is_no_input() {
    let lab = Lab::new();
    lab.file("old/a");
    let seen = lab.check(
        &[
            "make", "./new", "look", "./new/x", "make", "./old", "read", "./old/a", "look",
            "./old/b",
        ],
        &[
            ("old", Seen::THERE),
            ("old/a", Seen::READ),
            ("old/b", Seen::MISSING),
        ],
    );
    assert_eq!(lab.written(&seen), ["new"]);
}

#[test]
fn what_is_renamed_was_read() {
    let lab = Lab::new();
    lab.file("a");
    let seen = lab.check(
        &["rename", "./a", "./b", "read", "./b", "look", "./a"],
        &[("a", Seen::READ)],
    );
    assert_eq!(lab.written(&seen), ["a", "b"]);
}

#[test]
fn ten_thousand_files() {
    let lab = Lab::new();
    lab.file("d/9999");
    let seen = lab.play(&["many", "./d"]);
    assert_eq!(
        seen.files.len()
            - seen
                .files
                .iter()
                .filter(|(path, _)| !path.starts_with(lab.path("d")))
                .count(),
        10_000
    );
    assert_eq!(seen.files.get(&lab.path("d/9999")), Some(Seen::READ));
    assert_eq!(seen.files.get(&lab.path("d/0")), Some(Seen::MISSING));
}

#[test]
fn what_is_skipped_is_not_kept() {
    let mut lab = Lab::new();
    lab.file("d/a");
    lab.options.skip.push(lab.path("d"));
    lab.check(&["read", "./d/a", "read", "./da"], &[("da", Seen::MISSING)]);
}
