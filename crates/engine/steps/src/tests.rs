//! The engine by made-up observations: what each of them is keyed by, and what refuses a run.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rekindle_base::Digest;
use rekindle_events::{MissReason, Refusal};
use rekindle_fsx::time::Watch;
use rekindle_key::{Root, Roots};
use rekindle_observe::{Blind, Contact, EnvDoubt, Observation, Seen};
use rekindle_outputs::environment::Environment;
use rekindle_outputs::files::Files;
use rekindle_store::LocalStore;

use crate::{Engine, LookedUp, Place, Policy, Published, Ran, Step};

mod autoconf;
mod contacts;
mod listed;
mod machine;
mod meanwhile;
mod messages;
mod missing;
mod signatures;
mod walked;

/// A directory for everything, and what a step there looks like.
struct Field {
    dir: tempfile::TempDir,
    store: LocalStore,
    variables: Vec<(OsString, OsString)>,
}

impl Field {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = LocalStore::open(&dir.path().join("store"));
        let field = Self {
            dir,
            store,
            variables: Vec::new(),
        };
        field.put("one/package/data", "data");
        field.put("one/out/made", "made");
        field
    }

    fn path(&self, name: &str) -> PathBuf {
        rekindle_fsx::canonicalize(self.dir.path())
            .unwrap()
            .join(name)
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        rekindle_fsx::create_dir_all(path.parent().unwrap()).unwrap();
        rekindle_fsx::atomic::write(&path, text.as_bytes()).unwrap();
    }

    fn set(&mut self, name: &str, value: &str) {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.into(), value.into()));
    }

    fn environment(&self, site: &str) -> Environment {
        let cwd = self.path(&format!("{site}/package"));
        Environment::new(self.variables.clone(), cwd, "/nowhere".into())
    }

    fn step<'a>(&self, site: &str, environment: &'a Environment) -> Step<'a> {
        let at = |name: &str| self.path(&format!("{site}/{name}"));
        let roots = [
            (Root::OutDir, at("out")),
            (Root::Package, at("package")),
            (Root::Target, at("target")),
        ];
        let roots = Roots::new(&environment.cwd, roots);
        Step {
            kind: "test 1",
            program: Digest::of(b"program"),
            arguments: Vec::new(),
            environment,
            roots: roots.clone(),
            shown: roots,
            own: Vec::new(),
            places: vec![Place::Directory(at("out"))],
            known_as: vec![Digest::of(b"step")],
        }
    }

    /// What a run in `one` was seen to do, published.
    fn publish(&self, ran: &Ran, policy: Policy) -> Result<Published, Refusal> {
        let environment = self.environment("one");
        let files = Files::new(&self.store);
        let engine = Engine {
            store: &self.store,
            files: &files,
        };
        engine.publish(&self.step("one", &environment), ran, policy)
    }

    fn look_up(&self, site: &str) -> LookedUp {
        let environment = self.environment(site);
        let files = Files::new(&self.store);
        let engine = Engine {
            store: &self.store,
            files: &files,
        };
        engine.look_up(&self.step(site, &environment))
    }

    /// What a hit there gives.
    fn restore(&self, site: &str) -> crate::Restored {
        let environment = self.environment(site);
        let files = Files::new(&self.store);
        let engine = Engine {
            store: &self.store,
            files: &files,
        };
        let step = self.step(site, &environment);
        let LookedUp::Hit(found) = engine.look_up(&step) else {
            panic!("no hit");
        };
        engine.restore(&step, &found).unwrap()
    }

    fn hits(&self, site: &str) -> bool {
        matches!(self.look_up(site), LookedUp::Hit(_))
    }
}

/// A run that did only this.
fn ran(observe: impl FnOnce(&mut Observation)) -> Ran {
    let mut observation = Observation::default();
    observe(&mut observation);
    // What tests have just written is older than the run.
    rekindle_fsx::time::await_next_stamp();
    Ran {
        exit_code: 0,
        stdout: Vec::new(),
        stderr: Vec::new(),
        time: Duration::from_millis(7),
        observation,
        bound: BTreeSet::new(),
        earlier: BTreeSet::new(),
        watch: Watch::start(),
        seconds: (0, 0),
    }
}

fn trusted() -> Policy {
    Policy {
        trusted: true,
        ..Policy::default()
    }
}

fn refusal(field: &Field, observe: impl FnOnce(&mut Observation)) -> Option<Refusal> {
    field.publish(&ran(observe), Policy::default()).err()
}

#[test]
fn a_run_is_found_until_what_it_read_is_another() {
    let field = Field::new();
    let (data, gone) = (
        field.path("one/package/data"),
        field.path("one/package/gone"),
    );
    let observe = |observation: &mut Observation| {
        observation.files.add(data, Seen::READ);
        observation.files.add(gone, Seen::MISSING);
    };
    assert!(!field.hits("one"));
    field.publish(&ran(observe), Policy::default()).unwrap();
    assert!(field.hits("one"));
    for (name, before) in [
        ("one/package/data", Some("data")),
        ("one/package/gone", None),
    ] {
        field.put(name, "another");
        let LookedUp::Miss(MissReason::Changed { changes }) = field.look_up("one") else {
            panic!("{name}");
        };
        assert_eq!(changes.len(), 1, "{changes:?}");
        match before {
            Some(text) => field.put(name, text),
            None => rekindle_fsx::remove_file(&field.path(name)).unwrap(),
        }
        assert!(field.hits("one"), "{name}");
    }
    // Another place with the same things in it.
    field.put("two/package/data", "data");
    assert!(field.hits("two"));
}

#[test]
fn variables_are_keyed_by_value_or_left_out_by_rule() {
    let mut field = Field::new();
    field.set("READ", "one");
    field.set("NUM_JOBS", "2");
    let observe = |observation: &mut Observation| {
        for name in ["READ", "UNSET", "NUM_JOBS"] {
            observation.env.names.insert(name.into());
        }
    };
    field.publish(&ran(observe), Policy::default()).unwrap();
    field.set("NUM_JOBS", "16");
    field.set("UNRELATED", "x");
    assert!(field.hits("one"));
    field.set("UNSET", "");
    assert!(!field.hits("one"));
    field.variables.retain(|(name, _)| name != "UNSET");
    field.set("READ", "two");
    assert!(!field.hits("one"));
}

#[test]
fn a_program_that_may_have_read_any_variable_is_keyed_by_all() {
    let mut field = Field::new();
    field.set("USER", "someone");
    let doubt = |program: &str| {
        let program = PathBuf::from(program);
        move |observation: &mut Observation| {
            let doubts = observation.env.doubts.entry(program).or_default();
            doubts.insert(EnvDoubt::Main);
        }
    };
    // Of this one it is known that it asks by name.
    field
        .publish(&ran(doubt("/usr/bin/cat")), Policy::default())
        .unwrap();
    field.set("NEW", "x");
    assert!(field.hits("one"));
    let mut field = Field::new();
    field.set("USER", "someone");
    field
        .publish(&ran(doubt("/usr/bin/unheard-of")), Policy::default())
        .unwrap();
    field.set("USER", "somebody-else");
    assert!(field.hits("one"), "who runs it is left out");
    field.set("NEW", "x");
    assert!(!field.hits("one"));
}

#[test]
fn a_variable_that_is_left_out_counts_where_its_value_was_made_of() {
    let mut field = Field::new();
    field.set("USER", "someone");
    field.put("one/out/made", "by someone");
    let observe = |observation: &mut Observation| {
        let doubts = observation.env.doubts.entry("/x/unheard-of".into());
        doubts.or_default().insert(EnvDoubt::Unreported);
    };
    field.publish(&ran(observe), Policy::default()).unwrap();
    assert!(field.hits("one"));
    field.set("USER", "another");
    assert!(!field.hits("one"));
}

#[test]
fn what_holds_a_real_path_hits_in_its_directory_alone() {
    let field = Field::new();
    let real = field.path("one/package").display().to_string();
    field.put("one/out/made", &format!("\0binary {real}\0"));
    let published = field.publish(&ran(|_| {}), Policy::default()).unwrap();
    assert!(published.path_bound);
    assert!(field.hits("one") && !field.hits("two"));
    // Text is given the paths of the place where it is put.
    let field = Field::new();
    field.put("one/out/made", &format!("text {real}"));
    assert!(
        !field
            .publish(&ran(|_| {}), Policy::default())
            .unwrap()
            .path_bound
    );
    assert!(field.hits("two"));
}

#[test]
fn what_is_restored_is_what_was_made() {
    let field = Field::new();
    let out = field.path("one/out");
    field.put("one/out/text", &format!("in {}", out.display()));
    field.put("one/out/deep/er/x", "x");
    rekindle_fsx::set_mode(&out.join("deep/er/x"), 0o755).unwrap();
    rekindle_fsx::create_dir_all(&out.join("empty")).unwrap();
    rekindle_fsx::symlink(&out.join("made"), &out.join("link")).unwrap();
    let mut run = ran(|_| {});
    // The frame of what stands for a path is no more than a byte to whoever prints it.
    run.stdout = format!("cargo:root={}\n\u{1}O\u{1}", out.display()).into_bytes();
    field.publish(&run, Policy::default()).unwrap();
    field.put("two/out/left/over", "from before");
    let restored = field.restore("two");
    let two = field.path("two/out");
    let root = format!("cargo:root={}\n\u{1}O\u{1}", two.display());
    assert_eq!(String::from_utf8(restored.stdout).unwrap(), root);
    let text = rekindle_fsx::read_to_string(&two.join("text")).unwrap();
    assert_eq!(text, format!("in {}", two.display()));
    assert_eq!(
        rekindle_fsx::read_link(&two.join("link")).unwrap(),
        two.join("made")
    );
    assert!(
        rekindle_fsx::stat(&two.join("deep/er/x"))
            .unwrap()
            .is_executable()
    );
    assert!(rekindle_fsx::exists(&two.join("empty")));
    assert!(!rekindle_fsx::exists(&two.join("left")));
}

#[test]
fn a_blind_observer_and_a_failed_run_refuse_always() {
    let field = Field::new();
    let mut blind = ran(|observation| {
        observation.blind.insert(Blind::TooMuch);
    });
    let refused = field.publish(&blind, trusted());
    assert!(matches!(refused, Err(Refusal::Blind { .. })), "{refused:?}");
    blind.observation.blind.clear();
    blind.exit_code = 1;
    let refused = field.publish(&blind, trusted());
    assert_eq!(refused, Err(Refusal::Failed { exit_code: 1 }));
}

#[test]
fn the_time_of_the_run_is_found_in_what_was_made() {
    let check = |made: &str, dated: bool| {
        let field = Field::new();
        field.put("one/out/made", made);
        let mut run = ran(|observation| {
            observation.contacts.insert(Contact::Clock {
                by: "/usr/bin/gcc".into(),
            });
        });
        run.seconds = (1_700_000_000, 1_700_000_001);
        let refused = field.publish(&run, Policy::default());
        assert_eq!(
            matches!(refused, Err(Refusal::Dated { .. })),
            dated,
            "{made:?}"
        );
    };
    check("built Nov 14 2023", true);
    check("\0built Nov 14 2023\0", true);
    check("built 2023-11-14", true);
    check("built Tue Nov 14 22:13:20 2023", true);
    check("\0built Tue Nov 14 22:13:20 2023\0", true);
    check("built Nov 14 2022", false);
    check("\0built Nov 14 2022\0", false);
}

#[test]
fn writes_elsewhere_refuse_but_for_temporary_files() {
    let check = |path: &str, seen: Option<Seen>, refused: bool| {
        let field = Field::new();
        let path = match path.strip_prefix('~') {
            Some(below) => field.path(below),
            None => PathBuf::from(path),
        };
        let observe = |observation: &mut Observation| {
            observation.writes.insert(path.clone());
            observation
                .files
                .extend(seen.map(|seen| (path.clone(), seen)));
        };
        let found = refusal(&field, observe);
        let is_it = matches!(found, Some(Refusal::WroteOutside { .. }));
        assert_eq!(is_it, refused, "{}: {found:?}", path.display());
    };
    check("~one/out/made", None, false);
    check("~one/package/data", None, true);
    check("~one/package/new", Some(Seen::MISSING), false);
    check("~one/package/removed", None, true);
    check("~one/package/removed", Some(Seen::READ), true);
    check("/tmp/rekindle-no-such-file", None, false);
    check("/tmp/rekindle-no-such-file", Some(Seen::READ), true);
    check("/var/lib/rekindle-no-such-file", None, true);
}

#[test]
fn what_an_earlier_run_left_is_not_to_be_looked_at() {
    let field = Field::new();
    let made = field.path("one/out/made");
    let with = |seen: Option<Seen>, path: &Path| {
        let mut run = ran(|observation| {
            observation
                .files
                .extend(seen.map(|seen| (path.to_owned(), seen)));
            observation.writes.insert(made.clone());
        });
        run.earlier.insert(made.clone());
        field.publish(&run, Policy::default())
    };
    for (seen, path) in [
        (Seen::READ, made.as_path()),
        (Seen::THERE, made.as_path()),
        (Seen::LISTED, made.parent().unwrap()),
    ] {
        let refused = with(Some(seen), path);
        assert!(
            matches!(refused, Err(Refusal::FoundEarlierOutput { .. })),
            "{refused:?}"
        );
    }
    with(Some(Seen::THERE), made.parent().unwrap()).unwrap();
    with(None, &made).unwrap();
}

#[test]
fn an_input_that_is_written_meanwhile_refuses() {
    let field = Field::new();
    let data = field.path("one/package/data");
    let run = ran(|observation| {
        observation.files.add(data, Seen::READ);
    });
    field.put("one/package/data", "meanwhile");
    let refused = field.publish(&run, Policy::default());
    assert!(
        matches!(refused, Err(Refusal::ChangedDuringRun { .. })),
        "{refused:?}"
    );
}

#[test]
fn the_shells_directory_is_no_input_until_it_is_used() {
    let mut field = Field::new();
    let elsewhere = field.path("elsewhere");
    rekindle_fsx::create_dir_all(&elsewhere).unwrap();
    field.set("PWD", elsewhere.to_str().unwrap());
    let asked = |more: Option<PathBuf>| {
        let elsewhere = elsewhere.clone();
        move |observation: &mut Observation| {
            observation.env.names.insert("PWD".into());
            observation.files.add(elsewhere, Seen::THERE);
            observation
                .files
                .extend(more.map(|path| (path, Seen::MISSING)));
        }
    };
    field.publish(&ran(asked(None)), Policy::default()).unwrap();
    field.set("PWD", "/somewhere/else");
    assert!(field.hits("one"));
    field.set("PWD", elsewhere.to_str().unwrap());
    let used = refusal(&field, asked(Some(elsewhere.join("x"))));
    assert!(
        matches!(used, Some(Refusal::ShellsDirectory { .. })),
        "{used:?}"
    );
    field.put("one/out/made", elsewhere.to_str().unwrap());
    let made_of = refusal(&field, asked(None));
    assert!(
        matches!(made_of, Some(Refusal::ShellsDirectory { .. })),
        "{made_of:?}"
    );
}

#[test]
fn what_was_printed_of_an_odd_directory_is_found() {
    for name in ["elsewhere", "else\u{1}where"] {
        let mut field = Field::new();
        let elsewhere = field.path(name);
        field.set("PWD", elsewhere.to_str().unwrap());
        let mut run = ran(|observation| {
            observation.env.names.insert("PWD".into());
        });
        run.stdout = format!("in {}\n", elsewhere.display()).into_bytes();
        let refused = field.publish(&run, Policy::default());
        assert!(
            matches!(refused, Err(Refusal::ShellsDirectory { .. })),
            "{refused:?}"
        );
    }
}

/// What is known of a tool lets it do what a stranger may not.
#[test]
fn tools_are_judged_by_what_is_known_of_them() {
    let mut field = Field::new();
    field.set("PATH", "/bin");
    let made = field.path("one/out/made");
    let check = |policy: Policy, observe: &dyn Fn(&mut Observation)| {
        let mut run = ran(|observation| {
            observation.writes.insert(made.clone());
            observe(observation);
        });
        run.earlier.insert(made.clone());
        (
            field.publish(&run, Policy::default()).is_ok(),
            field.publish(&run, policy).is_ok(),
        )
    };
    let beside = field.path("one/package/st123456");
    let tidies = Policy {
        tidies: true,
        ..Policy::default()
    };
    let removed = |observation: &mut Observation| {
        observation.writes.insert(beside.clone());
    };
    assert_eq!(check(tidies, &removed), (false, true));
    let updates = Policy {
        updates: true,
        ..Policy::default()
    };
    let looked = |observation: &mut Observation| {
        observation.files.add(made.clone(), Seen::READ);
    };
    assert_eq!(check(updates, &looked), (false, true));
}

#[test]
fn a_variable_that_only_leads_somewhere_is_no_input() {
    let mut field = Field::new();
    field.set("TOOLS", "/bin");
    let observe = |observation: &mut Observation| {
        observation.env.names.insert("TOOLS".into());
    };
    let unkeyed = Policy {
        unkeyed: &["TOOLS"],
        ..Policy::default()
    };
    field.publish(&ran(observe), unkeyed).unwrap();
    field.set("TOOLS", "/usr/bin");
    assert!(field.hits("one"));
    let field = Field::new();
    field.publish(&ran(observe), Policy::default()).unwrap();
    let mut field = field;
    field.set("TOOLS", "/usr/bin");
    assert!(!field.hits("one"));
}

#[test]
fn a_caller_may_know_of_a_real_path_that_no_output_holds() {
    let field = Field::new();
    field.put("two/package/data", "data");
    field.publish(&ran(|_| {}), Policy::default()).unwrap();
    assert!(field.hits("two"));
    let field = Field::new();
    let mut run = ran(|_| {});
    run.bound.insert(Root::Package);
    assert!(field.publish(&run, Policy::default()).unwrap().path_bound);
    assert!(field.hits("one") && !field.hits("two"));
    // Another checkout of the same user has the same home.
    run.bound = [Root::Home].into();
    assert!(!field.publish(&run, Policy::default()).unwrap().path_bound);
}

#[test]
fn what_path_leads_to_counts_and_not_what_it_says() {
    let program = |field: &Field, name: &str| {
        field.put(name, "#!/bin/sh\n");
        rekindle_fsx::set_mode(&field.path(name), 0o755).unwrap();
    };
    let path = |field: &Field, dirs: &[&str]| {
        let dirs: Vec<String> = dirs
            .iter()
            .map(|dir| field.path(dir).display().to_string())
            .collect();
        dirs.join(":")
    };
    let looked_for = |field: &Field, more: Option<Seen>| {
        let (tool, none) = (field.path("bin/tool"), field.path("bin/none"));
        let bin = field.path("bin");
        move |observation: &mut Observation| {
            observation.env.names.insert("PATH".into());
            observation.files.add(tool.clone(), Seen::READ);
            observation.programs.insert(tool);
            observation.files.add(none, Seen::MISSING);
            observation.files.extend(more.map(|seen| (bin, seen)));
        }
    };
    for (more, counts) in [(None, false), (Some(Seen::LISTED), true)] {
        let mut field = Field::new();
        program(&field, "bin/tool");
        let before = path(&field, &["bin"]);
        field.set("PATH", &before);
        let run = ran(looked_for(&field, more));
        field.publish(&run, Policy::default()).unwrap();
        assert!(field.hits("one"));
        program(&field, "other/unrelated");
        let after = path(&field, &["other", "bin"]);
        field.set("PATH", &after);
        assert_eq!(field.hits("one"), !counts);
        for name in ["other/none", "other/tool"] {
            program(&field, name);
            assert!(!field.hits("one"), "{name}");
            rekindle_fsx::remove_file(&field.path(name)).unwrap();
        }
        // One that cannot be started may be found by who only looks.
        field.put("other/tool", "");
        assert!(!field.hits("one"));
    }
    // What was made of the value is made of the value.
    let mut field = Field::new();
    program(&field, "bin/tool");
    let before = path(&field, &["bin"]);
    field.set("PATH", &before);
    field.put("one/out/made", &before);
    let run = ran(looked_for(&field, None));
    field.publish(&run, Policy::default()).unwrap();
    let after = path(&field, &["other", "bin"]);
    field.set("PATH", &after);
    assert!(!field.hits("one"));
}
