#![allow(
    clippy::disallowed_methods,
    reason = "tests set times as others would find them"
)]

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use rekindle_base::Moment;

use super::*;

struct Fixture {
    dir: tempfile::TempDir,
    store: LocalStore,
}

fn digest(name: &str) -> Digest {
    Digest::of(name.as_bytes())
}

impl Fixture {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(dir.path());
        Self { dir, store }
    }

    /// Stores a tree and publishes it for `debug`.
    fn publish(&self, wanted: &Wanted, tree: &str) {
        self.publish_as(wanted, &[("debug", tree)], true);
    }

    fn publish_as(&self, wanted: &Wanted, trees: &[(&str, &str)], clean: bool) {
        let trees = trees.iter().map(|(dir, tree)| {
            let refs: &[Digest] = &[];
            let key = digest(tree);
            self.store
                .put_record(Space::Trees, &key, refs, tree.as_bytes())
                .unwrap();
            ((*dir).to_owned(), key)
        });
        let made = Made {
            trees: trees.collect(),
            clean,
            at: Moment(1),
        };
        publish(&self.store, wanted, &made).unwrap();
    }

    fn chosen(&self, wanted: &Wanted) -> Option<(Why, Vec<(String, Digest)>)> {
        let chosen = choose(&self.store, wanted).ok()?;
        Some((chosen.why, chosen.pointer.trees))
    }

    fn check(&self, wanted: &Wanted, why: &Why, trees: &[(&str, &str)]) {
        let trees = trees
            .iter()
            .map(|(dir, tree)| ((*dir).to_owned(), digest(tree)))
            .collect();
        assert_eq!(self.chosen(wanted), Some((why.clone(), trees)));
    }

    fn has(&self, tree: &str) -> bool {
        self.store
            .last_use_ns(Space::Trees, &digest(tree))
            .is_some()
    }

    /// Makes a tree's last use so long ago.
    fn age(&self, tree: &str, seconds: u64) {
        let hex = digest(tree).to_hex();
        let path = self.dir.path().join("v1/trees").join(&hex[..1]);
        let file = std::fs::File::open(path.join(&hex[1..])).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(seconds))
            .unwrap();
    }
}

fn commit(number: usize) -> String {
    format!("{number:040x}")
}

fn git(head: usize, ancestors: &[usize]) -> Git {
    let ancestors = ancestors.iter().enumerate();
    Git {
        head: commit(head),
        ancestors: ancestors
            .map(|(at, number)| Ancestor {
                commit: commit(*number),
                distance: at + 1,
            })
            .collect(),
        stands_for: Vec::new(),
        branch: None,
        targets: vec!["main".to_owned()],
        root: "/checkout".into(),
        relative: "rust/".into(),
        origin: b"host/project".to_vec(),
    }
}

/// One that shares nothing but toolchain and flags with another of another name.
fn other(name: &str) -> Wanted {
    Wanted {
        toolchain: digest("toolchain"),
        flags: digest("flags"),
        project: digest(name),
        workspace: Path::new("/work").join(name),
        lock: Some(digest(name)),
        git: None,
        dirs: Vec::new(),
    }
}

fn wanted(git: Git) -> Wanted {
    Wanted {
        git: Some(git),
        ..other("p")
    }
}

fn at(number: usize, distance: usize) -> Why {
    Why::Commit {
        commit: commit(number),
        distance,
    }
}

/// Each rule is preferred to all below it, and is found where nothing above it is.
#[test]
fn the_rules_go_in_their_order() {
    let fixture = Fixture::new();
    let store = &fixture.store;
    let mut new = wanted(git(9, &[8, 7, 6]));
    new.git.as_mut().unwrap().branch = Some("topic".to_owned());
    new.git.as_mut().unwrap().targets = vec!["release".to_owned(), "main".to_owned()];
    let none = choose(store, &new).unwrap_err();
    assert_eq!((none.commits, none.evicted), (4, 0));
    let on_branch = |name: &str| {
        let mut wanted = wanted(git(100, &[]));
        wanted.git.as_mut().unwrap().branch = Some(name.to_owned());
        wanted.lock = None;
        wanted.workspace = "/elsewhere".into();
        wanted
    };
    let branch = |name: &str| Why::Branch {
        name: name.to_owned(),
    };
    let same_project = Wanted {
        project: new.project,
        ..other("x")
    };
    let same_directory = Wanted {
        workspace: new.workspace.clone(),
        ..other("x")
    };
    let same_lock = Wanted {
        lock: new.lock,
        ..other("x")
    };
    let same_commit = |number| Wanted {
        git: Some(git(number, &[])),
        ..other("x")
    };
    let rules = [
        (other("x"), Why::Toolchain),
        (same_project, Why::Project),
        (same_directory, Why::Directory),
        (same_lock, Why::LockFile),
        (on_branch("main"), branch("main")),
        (on_branch("release"), branch("release")),
        (on_branch("topic"), branch("topic")),
        (same_commit(6), at(6, 3)),
        (same_commit(7), at(7, 2)),
        (same_commit(9), at(9, 0)),
    ];
    for (number, (from, why)) in rules.iter().enumerate() {
        let tree = format!("tree {number}");
        fixture.publish(from, &tree);
        fixture.check(&new, why, &[("debug", &tree)]);
    }
    // What comes later at a lesser rule changes nothing.
    for (from, _) in rules.iter().rev().skip(1).rev() {
        fixture.publish(from, "later");
    }
    fixture.check(&new, &at(9, 0), &[("debug", "tree 9")]);
}

#[test]
fn another_toolchain_or_other_flags_have_nothing() {
    let fixture = Fixture::new();
    let here = wanted(git(1, &[]));
    fixture.publish(&here, "tree");
    let toolchain = Wanted {
        toolchain: digest("other"),
        ..here.clone()
    };
    let flags = Wanted {
        flags: digest("other"),
        ..here
    };
    assert_eq!(fixture.chosen(&toolchain), None);
    assert_eq!(fixture.chosen(&flags), None);
}

#[test]
fn two_workspaces_of_one_commit_are_two() {
    let fixture = Fixture::new();
    fixture.publish(&wanted(git(1, &[])), "tree");
    let mut beside = wanted(git(1, &[]));
    beside.git.as_mut().unwrap().relative = "tools/".into();
    assert_ne!(fixture.chosen(&beside).unwrap().0, at(1, 0));
}

#[test]
fn a_base_has_what_is_wanted() {
    let fixture = Fixture::new();
    let old = wanted(git(1, &[]));
    fixture.publish_as(&old, &[("debug", "d"), ("release", "r")], true);
    let near = wanted(git(2, &[1]));
    let trees = [("release", "near")];
    fixture.publish_as(&near, &trees, true);
    let mut new = wanted(git(3, &[2, 1]));
    fixture.check(&new, &at(2, 1), &[("release", "near")]);
    new.dirs = vec!["debug".to_owned()];
    fixture.check(&new, &at(1, 2), &[("debug", "d")]);
    new.dirs = vec!["bench".to_owned()];
    let none = choose(&fixture.store, &new).unwrap_err();
    assert!(none.elsewhere > 0);
    assert_eq!(
        none.to_string(),
        "no stored build has `bench` (3 commits tried)"
    );
}

#[test]
fn an_evicted_tree_is_no_base() {
    let fixture = Fixture::new();
    fixture.publish(&wanted(git(1, &[])), "old");
    fixture.publish(&wanted(git(2, &[1])), "new");
    let wanted = wanted(git(3, &[2, 1]));
    fixture
        .store
        .remove_record(Space::Trees, &digest("new"))
        .unwrap();
    fixture.check(&wanted, &at(1, 2), &[("debug", "old")]);
    fixture
        .store
        .remove_record(Space::Trees, &digest("old"))
        .unwrap();
    let none = choose(&fixture.store, &wanted).unwrap_err();
    assert!(none.evicted >= 2);
}

#[test]
fn two_profiles_of_two_jobs_are_found_together() {
    let fixture = Fixture::new();
    let here = wanted(git(1, &[]));
    fixture.publish(&here, "d1");
    fixture.publish_as(&here, &[("release", "r1")], true);
    let both = [("release", "r1"), ("debug", "d1")];
    fixture.check(&here, &at(1, 0), &both);
    // And by each other name.
    let tarball = Wanted { git: None, ..here };
    fixture.check(&tarball, &Why::LockFile, &both);
    // A newer tree takes the older's place; one that is gone is not kept.
    fixture
        .store
        .remove_record(Space::Trees, &digest("r1"))
        .unwrap();
    let here = wanted(git(1, &[]));
    fixture.publish(&here, "d2");
    fixture.check(&here, &at(1, 0), &[("debug", "d2")]);
    let key = Name::Commit(&commit(1)).digest(&here);
    assert_eq!(read(&fixture.store, &key).unwrap().trees.len(), 1);
}

#[test]
fn edited_sources_do_not_replace_those_of_the_commit() {
    let fixture = Fixture::new();
    let here = wanted(git(1, &[]));
    fixture.publish_as(&here, &[("debug", "dirty")], false);
    fixture.check(&here, &at(1, 0), &[("debug", "dirty")]);
    fixture.publish(&here, "clean");
    let both = [("debug", "dirty2"), ("release", "dirty3")];
    fixture.publish_as(&here, &both, false);
    let found = [("debug", "clean"), ("release", "dirty3")];
    fixture.check(&here, &at(1, 0), &found);
    let tarball = Wanted {
        git: None,
        lock: None,
        ..here.clone()
    };
    fixture.check(&tarball, &Why::Directory, &both);
    fixture.publish(&here, "clean2");
    fixture.check(
        &here,
        &at(1, 0),
        &[("debug", "clean2"), ("release", "dirty3")],
    );
    // The branch goes on, edited or not.
    let mut on_main = wanted(git(1, &[]));
    on_main.git.as_mut().unwrap().branch = Some("main".to_owned());
    fixture.publish(&on_main, "m1");
    on_main.git.as_mut().unwrap().head = commit(2);
    fixture.publish_as(&on_main, &[("debug", "m2")], false);
    let branch = Why::Branch {
        name: "main".to_owned(),
    };
    fixture.check(&wanted(git(7, &[])), &branch, &[("debug", "m2")]);
}

#[test]
fn a_merge_stands_in_for_its_pull_request_until_that_is_built() {
    let fixture = Fixture::new();
    let mut merge = git(10, &[5, 4]);
    merge.stands_for = vec![commit(5)];
    let merge = wanted(merge);
    fixture.publish(&merge, "merge");
    let next = wanted(git(20, &[6, 5]));
    fixture.check(&next, &at(5, 2), &[("debug", "merge")]);
    fixture.publish(&wanted(git(5, &[4])), "head");
    fixture.publish(&merge, "merge");
    fixture.check(&next, &at(5, 2), &[("debug", "head")]);
}

#[test]
fn trees_used_long_ago_go_when_there_are_too_many() {
    let fixture = Fixture::new();
    let main = wanted(git(1, &[]));
    fixture.publish(&main, "main");
    fixture.publish_as(&main, &[("release", "release")], true);
    fixture.publish(&other("elsewhere"), "elsewhere");
    for number in 0..KEPT_TREES {
        let tree = format!("pr {number}");
        fixture.publish(&wanted(git(100 + number, &[1])), &tree);
        fixture.age(&tree, 1000 - number as u64);
        // The oldest, but what the others begin with.
        fixture.age("main", 500);
    }
    assert!(!fixture.has("pr 0"));
    assert!(fixture.has("pr 1"));
    for kept in ["main", "release", "elsewhere"] {
        assert!(fixture.has(kept), "{kept}");
    }
    // The last one published is never the one that goes.
    fixture.publish(&main, "last");
    assert!(fixture.has("last") && !fixture.has("pr 1") && fixture.has("pr 2"));
}

#[test]
fn a_damaged_or_newer_pointer_is_none() {
    let fixture = Fixture::new();
    let here = wanted(git(1, &[]));
    fixture.publish(&here, "tree");
    let key = Name::Commit(&commit(1)).digest(&here);
    let record = fixture.store.get_record(Space::Pointers, &key).unwrap();
    let mut newer = record.unwrap().payload;
    newer[0] += 1;
    for payload in [&newer[..], b"", b"\x01\xff"] {
        fixture
            .store
            .put_record(Space::Pointers, &key, &[], payload)
            .unwrap();
        assert_eq!(fixture.chosen(&here).unwrap().0, Why::LockFile);
    }
}

#[test]
fn jobs_that_end_together_lose_nothing() {
    let fixture = Fixture::new();
    let here = wanted(git(1, &[]));
    let dirs: Vec<String> = (0..12).map(|number| format!("dir{number}")).collect();
    std::thread::scope(|scope| {
        for dir in &dirs {
            scope.spawn(|| fixture.publish_as(&here, &[(dir.as_str(), dir.as_str())], true));
        }
    });
    assert_eq!(fixture.chosen(&here).unwrap().1.len(), dirs.len());
}

#[test]
fn nothing_found_is_quick() {
    let fixture = Fixture::new();
    fixture.publish(&other("x"), "tree");
    fixture
        .store
        .remove_record(Space::Trees, &digest("tree"))
        .unwrap();
    let ancestors: Vec<usize> = (0..500).collect();
    let wanted = wanted(git(1000, &ancestors));
    let best = (0..10)
        .map(|_| {
            let began = Instant::now();
            assert!(choose(&fixture.store, &wanted).is_err());
            began.elapsed()
        })
        .min()
        .unwrap();
    // About 2 ms without optimisation: room for a busy machine, none for a read of everything.
    assert!(best < Duration::from_millis(20), "{best:?}");
}

/// What another machine, whose store has the trees by then, takes over under the first name that both have.
fn adopted(there: &Fixture, from: &Wanted, to: &Wanted, clean: bool) -> Option<Why> {
    let here = Fixture::new();
    here.publish_as(from, &[("debug", "tree")], clean);
    let (pointer, payload) = afar::made(&here.store, from).unwrap();
    assert_eq!(afar::trees(&payload), Some(pointer.trees));
    let written = afar::names_to_write(from, clean);
    let read = afar::names_to_read(to);
    let at = read.iter().position(|name| written.contains(name))?;
    let key = digest("tree");
    there
        .store
        .put_record(Space::Trees, &key, &[], b"tree")
        .unwrap();
    afar::adopt(&there.store, to, (at, &payload)).unwrap();
    there.chosen(to).map(|(why, _)| why)
}

#[test]
fn another_machine_finds_what_was_saved_as_this_one_would() {
    let check = |from: &Wanted, to: &Wanted, clean, expected: Option<Why>| {
        assert_eq!(adopted(&Fixture::new(), from, to, clean), expected);
    };
    let wanted = |name: &str, git: Git| Wanted {
        git: Some(git),
        ..other(name)
    };
    let one = wanted("one", git(1, &[]));
    let why = |number, distance| {
        let commit = commit(number);
        Some(Why::Commit { commit, distance })
    };
    // A commit's name is the same in every clone, whatever the directory.
    check(&one, &wanted("two", git(1, &[])), true, why(1, 0));
    check(&one, &wanted("two", git(2, &[1])), true, why(1, 1));
    // What is not as the commit says is found by what it was built from.
    check(
        &one,
        &wanted("two", git(1, &[])),
        false,
        Some(Why::Toolchain),
    );
    check(
        &one,
        &wanted("one", git(1, &[])),
        false,
        Some(Why::LockFile),
    );
    // A directory is another on another machine.
    let gitless = other("one");
    check(
        &gitless,
        &Wanted {
            lock: None,
            ..other("one")
        },
        true,
        Some(Why::Project),
    );
    let toolchain = Wanted {
        toolchain: digest("newer"),
        ..other("one")
    };
    check(&gitless, &toolchain, true, None);
}

#[test]
fn jobs_of_other_profiles_do_not_take_each_others_place() {
    let of = |dir: &str| Wanted {
        dirs: vec![dir.to_owned()],
        ..other("one")
    };
    let (debug, release) = (of("debug"), of("release"));
    let names = |wanted| afar::names_to_write(wanted, true);
    assert!(
        names(&debug)
            .iter()
            .all(|name| !names(&release).contains(name))
    );
}

#[test]
fn what_is_newer_here_stays() {
    let there = Fixture::new();
    let wanted = other("one");
    there.publish(&wanted, "own");
    // Made at the same time: the own one stays, where both have the directory.
    adopted(&there, &wanted, &wanted, true);
    let lock = Wanted {
        workspace: "/elsewhere".into(),
        ..wanted
    };
    assert_eq!(
        there.chosen(&lock).unwrap().1,
        [("debug".to_owned(), digest("own"))]
    );
    assert!(there.has("tree"));
}
