//! What is changed while a run goes on, by others and by itself.

use rekindle_key::pathset::{Name, PathSet};
use rekindle_key::step::NOTHING;

use super::*;

/// What becomes of a run that did this to a path, where something is done to it meanwhile.
fn meanwhile(
    field: &Field,
    (name, seen): (&str, Seen),
    change: impl FnOnce(),
) -> Result<(), Refusal> {
    let run = ran(|observation| observation.files.add(field.path(name), seen));
    change();
    field.publish(&run, Policy::default()).map(|_| ())
}

fn is_changed(result: Result<(), Refusal>, path: &Path) -> bool {
    match result {
        Ok(()) => false,
        Err(Refusal::ChangedDuringRun { path: changed }) => {
            assert_eq!(Path::new(&changed), path);
            true
        }
        Err(other) => panic!("{other:?}"),
    }
}

const LISTED: &str = "one/package/listed";

#[test]
fn a_directory_that_was_listed() {
    let field = Field::new();
    let directory = field.path(LISTED);
    field.put("one/package/listed/deep/file", "x");
    let listed = (LISTED, Seen::LISTED);
    let check = |change: &dyn Fn()| is_changed(meanwhile(&field, listed, change), &directory);
    assert!(!check(&|| {}));
    assert!(check(&|| field.put("one/package/listed/new", "x")));
    let new = field.path("one/package/listed/new");
    assert!(check(&|| rekindle_fsx::remove_file(&new).unwrap()));
    assert!(!check(&|| field.put("one/package/listed/deep/other", "x")));
    assert!(check(&|| rekindle_fsx::remove_dir_all(&directory).unwrap()));
}

/// As where it makes a file for a moment, and removes it.
#[test]
fn a_directory_in_which_the_run_wrote_itself() {
    let field = Field::new();
    field.put("one/package/listed/file", "x");
    let temporary = field.path("one/package/listed/temporary");
    let run = ran(|observation| {
        observation.files.add(field.path(LISTED), Seen::LISTED);
        observation.files.add(temporary.clone(), Seen::MISSING);
        observation.writes.insert(temporary.clone());
    });
    field.put("one/package/listed/temporary", "x");
    rekindle_fsx::remove_file(&temporary).unwrap();
    field.publish(&run, Policy::default()).unwrap();
}

#[test]
fn a_link() {
    let field = Field::new();
    let link = field.path("one/package/link");
    let lead = |to: &str| {
        let _ = rekindle_fsx::remove_file(&link);
        rekindle_fsx::symlink(Path::new(to), &link).unwrap();
    };
    lead("data");
    let followed = ("one/package/link", Seen::LINK);
    assert!(!is_changed(meanwhile(&field, followed, || {}), &link));
    let other = || lead("other");
    assert!(is_changed(meanwhile(&field, followed, other), &link));
}

#[test]
fn what_was_only_asked_about() {
    let field = Field::new();
    let data = field.path("one/package/data");
    let directory = field.path("one/package/directory");
    rekindle_fsx::create_dir_all(&directory).unwrap();
    let check = |path: &Path, seen: Seen, change: &dyn Fn()| {
        let name = path.strip_prefix(field.path("")).unwrap();
        let asked = (name.to_str().unwrap(), seen);
        is_changed(meanwhile(&field, asked, change), path)
    };
    let there = Seen::THERE;
    assert!(!check(&data, there, &|| {}));
    assert!(check(&data, there, &|| field
        .put("one/package/data", "longer than it was")));
    assert!(check(&data, there, &|| rekindle_fsx::remove_file(&data).unwrap()));
    // What is in a directory is another question.
    assert!(!check(&directory, there, &|| field
        .put("one/package/directory/new", "x")));
    assert!(
        !check(&directory, Seen::MISSING, &|| {}),
        "it was not there then"
    );
    assert!(
        check(&directory, there.with(Seen::MISSING), &|| {}),
        "it came in between"
    );
    assert!(check(&directory, there, &|| rekindle_fsx::remove_dir_all(
        &directory
    )
    .unwrap()));
}

/// A directory that is moved brings along what is in it.
#[test]
fn what_the_run_moved_and_removed_itself() {
    let field = Field::new();
    let (moved, file) = (field.path("one/moved"), field.path("one/moved/file"));
    let run = ran(|observation| {
        observation.files.add(moved.clone(), Seen::MISSING);
        observation.files.add(file, Seen::THERE);
        observation.writes.insert(moved.clone());
    });
    field.publish(&run, Policy::default()).unwrap();
}

#[test]
fn a_directory_that_stands_for_what_was_missing_in_it() {
    let field = Field::new();
    let directory = field.path("one/package/include");
    let run = ran(|observation| {
        for number in 0..20 {
            let path = directory.join(format!("{number}.h"));
            observation.files.add(path, Seen::MISSING);
        }
    });
    field.publish(&run, Policy::default()).unwrap();
    assert!(field.hits("one"));
    let environment = field.environment("one");
    let step = field.step("one", &environment);
    let files = Files::new(&field.store);
    let engine = Engine {
        store: &field.store,
        files: &files,
    };
    // It came after it was seen to be missing.
    rekindle_fsx::create_dir_all(&directory).unwrap();
    let was_missing = |path: &Path| crate::meanwhile::was_missing(&run.observation, path);
    let present = rekindle_outputs::present::Present {
        was_missing: Some(&was_missing),
        ..engine.present(&step)
    };
    let names = vec![Name::Kind(b"{package}/include".to_vec())];
    let manifest = present.observe(&rekindle_key::Manifest::new(), &PathSet { names });
    let value = manifest.items().last().map(|item| &*item.value);
    assert_eq!(value, Some(NOTHING.as_bytes()));
    let meanwhile = crate::meanwhile::Meanwhile {
        present,
        watch: &run.watch,
        observation: &run.observation,
    };
    assert_eq!(meanwhile.changed(&manifest), None);
}

#[test]
fn a_program_that_appears_on_the_path() {
    let mut field = Field::new();
    let directories = [field.path("first"), field.path("second")];
    let path = std::env::join_paths(&directories).unwrap();
    field.set("PATH", path.to_str().unwrap());
    let program = |directory: &str| {
        field.put(&format!("{directory}/tool"), "#!/bin/sh");
        let path = field.path(directory).join("tool");
        rekindle_fsx::set_mode(&path, 0o755).unwrap();
        path
    };
    let second = program("second");
    let looked = |change: &dyn Fn()| {
        let run = ran(|observation| {
            let first = field.path("first/tool");
            observation.files.add(first, Seen::MISSING);
            observation.files.add(second.clone(), Seen::THERE);
        });
        change();
        field.publish(&run, Policy::default()).map(|_| ())
    };
    looked(&|| {}).unwrap();
    let first = field.path("first/tool");
    let appears = || _ = program("first");
    assert!(is_changed(looked(&appears), &first));
}
