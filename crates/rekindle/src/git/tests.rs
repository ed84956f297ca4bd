//! Against real repositories, made by `git`.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use super::fixture::Fixture;
use super::*;

fn ancestors(git: &Git) -> Vec<(&str, usize)> {
    git.ancestors
        .iter()
        .map(|ancestor| (ancestor.commit.as_str(), ancestor.distance))
        .collect()
}

#[test]
fn a_line_of_commits() {
    let fixture = Fixture::with_repository();
    let first = fixture.git("a", "rev-parse HEAD");
    let second = fixture.commit("a");
    let third = fixture.commit("a");
    rekindle_fsx::create_dir_all(&fixture.path("a/rust/ws")).unwrap();
    let git = fixture.facts("a/rust/ws");
    assert_eq!(git.head, third);
    assert_eq!(ancestors(&git), [(second.as_str(), 1), (&first, 2)]);
    assert_eq!(git.branch.as_deref(), Some("main"));
    assert_eq!(git.targets, ["main", "master"]);
    assert_eq!(git.root, fixture.path("a"));
    assert_eq!(git.relative, PathBuf::from("rust/ws/"));
    assert_eq!(
        git.origin,
        fixture.path("a/.git").into_os_string().into_vec()
    );
    assert_eq!(git.stands_for, [""; 0]);
    // Another branch, another commit; a work tree beside it is of the same project.
    fixture.git("a", "worktree add -q -b topic ../b HEAD~1");
    let topic = fixture.facts("b");
    assert_eq!(
        (&topic.head, topic.branch.as_deref()),
        (&second, Some("topic"))
    );
    assert_eq!(topic.origin, git.origin);
    assert_eq!(topic.root, fixture.path("b"));
}

#[test]
fn a_long_history_is_bounded() {
    let fixture = Fixture::with_repository();
    let tree = fixture.git("a", "rev-parse HEAD^{tree}");
    let mut head = fixture.git("a", "rev-parse HEAD");
    let mut stream = String::new();
    for number in 0..COMMITS_MAX + 20 {
        use std::fmt::Write;
        let from = if number == 0 { head.as_str() } else { ":-1" };
        let mark = number + 1;
        let from = from.replace(":-1", &format!(":{number}"));
        write!(
            stream,
            "commit refs/heads/main\nmark :{mark}\ncommitter a <a@b> {} +0000\ndata 1\nm\nfrom {from}\n\n",
            2_000_000_000 + number
        )
        .unwrap();
    }
    let file = fixture.path("stream");
    rekindle_fsx::append(&file, stream.as_bytes()).unwrap();
    let status = Command::new("git")
        .env_clear()
        .envs(&fixture.surroundings.vars)
        .current_dir(fixture.path("a"))
        .args(["fast-import", "--quiet"])
        .stdin(rekindle_fsx::open(&file).unwrap())
        .status();
    assert!(status.unwrap().success());
    assert_eq!(fixture.git("a", "rev-parse HEAD^{tree}"), tree);
    head = fixture.git("a", "rev-parse HEAD~1");
    let git = fixture.facts("a");
    assert_eq!(git.ancestors.len(), COMMITS_MAX);
    assert_eq!(ancestors(&git)[0], (head.as_str(), 1));
    assert_eq!(git.ancestors[498].distance, 499);
}

#[test]
fn a_merge_is_nearer_to_the_side_that_brings_less() {
    let fixture = Fixture::with_repository();
    let fork = fixture.git("a", "rev-parse HEAD");
    fixture.git("a", "checkout -q -b topic");
    let topic: Vec<String> = (0..3).map(|_| fixture.commit("a")).collect();
    fixture.git("a", "checkout -q main");
    let main = fixture.commit_elsewhere("a");
    fixture.git("a", "merge -q --no-ff -m m topic");
    let git = fixture.facts("a");
    let found = ancestors(&git);
    // Of topic's last: the merge and main's one. Of main's: the merge and topic's three.
    assert_eq!(found[0], (topic[2].as_str(), 2));
    assert!(found.contains(&(main.as_str(), 4)));
    assert_eq!(found.last(), Some(&(fork.as_str(), 5)));
    assert_eq!(found.len(), 5);
}

#[test]
fn the_merge_of_a_pull_request_in_a_clone_of_one_commit() {
    let mut fixture = Fixture::with_repository();
    let (merge, topic, base) = fixture.pull_request();
    let git = fixture.facts("ci");
    assert_eq!(git.head, merge);
    let before = "b".repeat(40);
    assert_eq!(
        ancestors(&git),
        [(topic.as_str(), 2), (&before, 3), (&base, 2)]
    );
    assert_eq!(git.stands_for, [topic]);
    // Never the name that a fork gave its branch.
    assert_eq!(git.branch.as_deref(), Some("12/merge"));
    assert_eq!(git.targets, ["release", "trunk"]);
}

#[test]
fn what_a_service_says_of_another_commit_is_not_said_of_this_one() {
    let mut fixture = Fixture::with_repository();
    fixture.pull_request();
    fixture.var("GITHUB_SHA", &"c".repeat(40));
    let git = fixture.facts("ci");
    assert_eq!((git.branch, git.stands_for.len()), (None, 0));
    assert_eq!(git.targets, ["release", "trunk"]);
}

#[test]
fn a_push_in_a_clone_of_one_commit() {
    let mut fixture = Fixture::with_repository();
    let parent = fixture.git("a", "rev-parse HEAD");
    let head = fixture.commit("a");
    fixture.clone("--depth=1", "b");
    let git = fixture.facts("b");
    assert_eq!(git.head, head);
    assert_eq!(ancestors(&git), [(parent.as_str(), 1)]);
    // `git clone` wrote down which branch is the default one.
    assert_eq!(git.targets, ["main"]);
    assert_eq!(git.origin, fixture.path("a").into_os_string().into_vec());
    let before = "d".repeat(40);
    let last = "0".repeat(40);
    for (value, count) in [(&before, 2), (&last, 1), (&parent, 1)] {
        fixture.var("GITLAB_CI", "true");
        fixture.var("CI_COMMIT_SHA", &head);
        fixture.var("CI_COMMIT_BRANCH", "main");
        fixture.var("CI_DEFAULT_BRANCH", "trunk");
        fixture.var("CI_COMMIT_BEFORE_SHA", value);
        fixture.git("b", "checkout -q --detach");
        let git = fixture.facts("b");
        assert_eq!(git.ancestors.len(), count, "{value}");
        assert_eq!(git.branch.as_deref(), Some("main"));
        assert_eq!(git.targets, ["trunk"]);
    }
}

#[test]
fn a_detached_head_has_no_branch() {
    let fixture = Fixture::with_repository();
    let first = fixture.git("a", "rev-parse HEAD");
    fixture.commit("a");
    fixture.git("a", "checkout -q --detach HEAD");
    let git = fixture.facts("a");
    assert_eq!(
        (git.branch.as_deref(), ancestors(&git)),
        (None, vec![(first.as_str(), 1)])
    );
}

#[test]
fn without_a_commit_git_says_nothing() {
    let mut fixture = Fixture::new();
    assert!(fixture.refused(".").contains("not a git repository"));
    fixture.git(".", "init -q unborn");
    assert!(fixture.refused("unborn").starts_with("git says"));
    fixture.git(".", "init -q --bare bare");
    assert!(fixture.refused("bare").contains("work tree"));
    fixture.git(".", "init -q -b main a");
    fixture.commit("a");
    fixture.var("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1");
    assert!(fixture.refused("a").contains("dubious ownership"));
    fixture
        .surroundings
        .vars
        .remove::<std::ffi::OsStr>("GIT_TEST_ASSUME_DIFFERENT_OWNER".as_ref());
    fixture.var("PATH", "/nonexistent");
    assert!(fixture.refused("a").contains("cannot be run"));
}

#[test]
fn the_directory_decides_which_repository() {
    let mut fixture = Fixture::with_repository();
    fixture.git(".", "init -q -b other elsewhere");
    fixture.commit("elsewhere");
    // As in a hook of the other one.
    let dir = fixture.path("elsewhere/.git");
    fixture.var("GIT_DIR", dir.to_str().unwrap());
    assert_eq!(fixture.facts("a").branch.as_deref(), Some("main"));
}

#[test]
fn changed_files_are_noticed() {
    let fixture = Fixture::with_repository();
    let git = fixture.facts("a");
    let is_clean = || is_clean(&fixture.surroundings, &git);
    assert!(is_clean());
    rekindle_fsx::append(&fixture.path("a/new"), b"x").unwrap();
    assert!(is_clean());
    rekindle_fsx::append(&fixture.path("a/file"), b"x").unwrap();
    assert!(!is_clean());
    fixture.git("a", "checkout -q file");
    assert!(is_clean());
    rekindle_fsx::remove_dir_all(&fixture.path("a/.git")).unwrap();
    assert!(!is_clean());
}

#[test]
fn no_program_of_the_repositorys_is_started() {
    let fixture = Fixture::with_repository();
    let (program, started) = (fixture.path("program"), fixture.path("started"));
    let text = format!("#!/bin/sh\necho > {}\n", started.display());
    rekindle_fsx::append(&program, text.as_bytes()).unwrap();
    rekindle_fsx::set_mode(&program, 0o755).unwrap();
    let program = program.to_str().unwrap();
    for name in [
        "core.fsmonitor",
        "gpg.program",
        "core.pager",
        "core.sshCommand",
    ] {
        fixture.git("a", &format!("config {name} {program}"));
    }
    fixture.git("a", "config log.showSignature true");
    assert!(is_clean(&fixture.surroundings, &fixture.facts("a")));
    assert!(!rekindle_fsx::exists(&started));
    // It would be, by others.
    fixture.git("a", "status --porcelain");
    assert!(rekindle_fsx::exists(&started));
}

#[test]
fn a_git_that_hangs_is_ended() {
    let mut fixture = Fixture::new();
    let program = fixture.path("git");
    rekindle_fsx::append(&program, b"#!/bin/sh\nexec sleep 1000\n").unwrap();
    rekindle_fsx::set_mode(&program, 0o755).unwrap();
    let dir = fixture.path(".");
    let path = format!("{}:/usr/bin:/bin", dir.to_str().unwrap());
    fixture.var("PATH", &path);
    let mut query = Query::start(&fixture.surroundings, &dir, &[]).unwrap();
    query.set_deadline(Instant::now());
    assert!(matches!(query.answer(), Err(NoGit::TooSlow)));
}
