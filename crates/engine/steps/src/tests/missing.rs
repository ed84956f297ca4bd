//! What was looked for in directories that are not there.

use super::*;

/// A run that looked for some files in a directory in vain.
fn looked_in(directory: PathBuf, count: usize) -> impl Fn(&mut Observation) {
    move |observation| {
        for number in 0..count {
            let path = directory.join(format!("{number}.h"));
            observation.files.add(path, Seen::MISSING);
        }
    }
}

fn changes(field: &Field) -> Vec<String> {
    let LookedUp::Miss(MissReason::Changed { changes }) = field.look_up("one") else {
        panic!("no change");
    };
    changes.into_iter().map(|change| change.name).collect()
}

#[test]
fn what_many_are_looked_for_in_is_one_input() {
    let field = Field::new();
    let observe = looked_in(field.path("one/package/no/such"), 20);
    field.publish(&ran(observe), Policy::default()).unwrap();
    assert!(field.hits("one"));
    field.put("two/package/data", "data");
    assert!(field.hits("two"), "it is named below its root");
    rekindle_fsx::create_dir_all(&field.path("one/package/no")).unwrap();
    assert!(field.hits("one"), "a directory above says nothing");
    field.put("one/package/no/such/7.h", "now it is there");
    assert_eq!(changes(&field), ["{package}/no/such"]);
    rekindle_fsx::remove_dir_all(&field.path("one/package/no")).unwrap();
    assert!(field.hits("one"));
}

#[test]
fn what_few_are_looked_for_in_may_be_there_without_them() {
    let field = Field::new();
    let observe = looked_in(field.path("one/package/config"), 2);
    field.publish(&ran(observe), Policy::default()).unwrap();
    field.put("one/package/config/other", "x");
    assert!(field.hits("one"));
    field.put("one/package/config/1.h", "x");
    assert_eq!(changes(&field), ["{package}/config/1.h"]);
}

#[test]
fn where_the_directory_is_there_each_counts() {
    let field = Field::new();
    field.put("one/package/include/other.h", "x");
    let observe = looked_in(field.path("one/package/include"), 20);
    field.publish(&ran(observe), Policy::default()).unwrap();
    assert!(field.hits("one"));
    field.put("one/package/include/7.h", "x");
    assert_eq!(changes(&field), ["{package}/include/7.h"]);
}

#[test]
fn what_appears_after_the_run_was_not_there() {
    let field = Field::new();
    let path = field.path("one/package/late");
    let ran = ran(|observation| observation.files.add(path.clone(), Seen::MISSING));
    field.put("one/package/late", "x");
    field.publish(&ran, Policy::default()).unwrap();
    assert_eq!(changes(&field), ["{package}/late"]);
    rekindle_fsx::remove_file(&path).unwrap();
    assert!(field.hits("one"));
}

/// Nor is it one of a build in which it is there from the first on.
#[test]
fn what_appeared_while_it_ran_is_no_state_of_before() {
    let field = Field::new();
    let path = field.path("one/package/late");
    let ran = ran(|observation| {
        observation.files.add(path.clone(), Seen::MISSING);
        observation.files.add(path.clone(), Seen::THERE);
    });
    field.put("one/package/late", "x");
    let refused = field.publish(&ran, Policy::default());
    assert!(
        matches!(refused, Err(Refusal::ChangedDuringRun { .. })),
        "{refused:?}"
    );
}
