//! After any restore a second build has nothing to do, whoever does it.

use rekindle_events::Fate;

use crate::faults::{Field, OUTPUT, UNITS, assert_all_hits, count, shown};

#[test]
fn two_checkouts_in_turns_stay_fresh() {
    let field = Field::new();
    let (one, two) = (field.checkout("one"), field.checkout("two"));
    let units = one.build();
    assert_eq!(count(&units, Fate::Miss), UNITS, "{:#?}", shown(&units));
    one.assert_fresh("one, compiled");
    assert_all_hits(&two.build(), UNITS);
    for round in 0..3 {
        for checkout in [&one, &two] {
            checkout.assert_fresh(&format!("round {round}"));
        }
    }
    one.remove_target();
    assert_all_hits(&one.build(), UNITS);
    two.assert_fresh("the other was restored");
    one.assert_fresh("restored");
}

#[test]
fn a_dependency_that_changes_leaves_the_rest_fresh() {
    let field = Field::new();
    let one = field.checkout("one");
    one.build();
    // Dependents are compiled again since metadata differs.
    one.put(
        "dep/src/lib.rs",
        "pub fn word() -> &'static str { \"verb\" }\n",
    );
    one.build_to("verb 42 made\n");
    one.assert_fresh("dep compiled");
    // Back again: all that depends on it are hits.
    one.put(
        "dep/src/lib.rs",
        "pub fn word() -> &'static str { \"word\" }\n#[test]\nfn t() { assert_eq!(word(), \"word\") }\n",
    );
    let units = one.build();
    assert_all_hits(&units, 3);
    one.assert_fresh("dep back");
    // Elsewhere it is compiled among others that are restored.
    let two = field.checkout("two");
    two.put(
        "dep/src/lib.rs",
        "pub fn word() -> &'static str { \"wood\" }\n",
    );
    two.build_to("wood 42 made\n");
    assert_ne!(count(&field.units(), Fate::Hit), 0);
    two.assert_fresh("mixed");
}

/// A dependency is recompiled to the same bits, because its entry is gone: what depends on it hits.
#[test]
fn dependents_hit_behind_a_dependency_that_was_compiled() {
    let field = Field::new();
    let one = field.steady("one");
    let key_of_dep = one
        .build()
        .into_iter()
        .find(|unit| unit.crate_name == "dep")
        .unwrap()
        .key
        .unwrap();
    let hex = key_of_dep.to_hex();
    let entry = field
        .store
        .join("v1/entries")
        .join(&hex[..1])
        .join(&hex[1..]);
    std::fs::remove_file(entry).unwrap();
    for name in ["two", "one"] {
        let checkout = field.steady(name);
        if name == "one" {
            checkout.remove_target();
        }
        let units = checkout.build();
        let missed = usize::from(name == "two");
        assert_eq!(count(&units, Fate::Miss), missed, "{:#?}", shown(&units));
        assert_eq!(
            count(&units, Fate::Hit),
            UNITS - missed,
            "{:#?}",
            shown(&units)
        );
        checkout.assert_fresh(name);
    }
    one.assert_fresh("the first");
}

#[test]
fn a_build_script_that_runs_again_leaves_the_rest_fresh() {
    let field = Field::new();
    let one = field.checkout("one");
    one.build();
    one.put("app/made.txt", "baked\n");
    one.build_to("word 42 baked\n");
    one.assert_fresh("after another value");
    one.put("app/made.txt", "made\n");
    assert_all_hits(&one.build(), 2);
    one.assert_fresh("after the first value");
    let two = field.checkout("two");
    two.put("app/made.txt", "baked\n");
    two.build_to("word 42 baked\n");
    assert_all_hits(&field.units(), UNITS);
    two.assert_fresh("elsewhere");
}

#[test]
fn a_package_that_was_cleaned_comes_back_among_the_fresh() {
    let field = Field::new();
    let one = field.checkout("one");
    one.rekindle(&["test"]).ok();
    one.build();
    let two = field.checkout("two");
    two.rekindle(&["test"]).ok();
    for package in ["dep", "mac", "app"] {
        two.cargo(&["clean", "-p", package]).ok();
        let units = two.build();
        assert_eq!(
            count(&units, Fate::Miss),
            0,
            "{package}: {:#?}",
            shown(&units)
        );
        two.assert_fresh(package);
        two.rekindle(&["test"]).ok();
        two.assert_fresh_for(&["test", "--no-run"], package);
        one.assert_fresh_for(&["test", "--no-run"], package);
    }
}

#[test]
fn a_plain_cargo_before_or_after_rebuilds_nothing() {
    let field = Field::new();
    let plain = field.checkout("plain");
    plain.cargo(&["build"]).ok();
    plain.assert_fresh("after cargo");
    assert_eq!(plain.run_program(), OUTPUT);
    // The other way round, and with the wrapper alone.
    let ours = field.checkout("ours");
    ours.build();
    ours.cargo(&["build"]).ok();
    ours.assert_fresh("after rekindle");
    let wrapped = field.checkout("wrapped");
    wrapped.wrapped(&["build"]).ok();
    assert_eq!(wrapped.run_program(), OUTPUT);
    wrapped.assert_fresh("the wrapper alone");
    // What a plain cargo made is not known, so what is built on it is not stored, but it is right.
    plain.put(
        "app/src/main.rs",
        "fn main() { println!(\"{}\", dep::word()); }\n",
    );
    plain.build_to("word\n");
    plain.assert_fresh("ours on top of cargo's");
    ours.put(
        "app/src/main.rs",
        "fn main() { println!(\"{}\", dep::word()); }\n",
    );
    ours.cargo(&["build"]).ok();
    assert_eq!(ours.run_program(), "word\n");
    ours.assert_fresh("cargo's on top of ours");
}

#[test]
fn every_kind_of_unit_has_the_bits_of_a_compile() {
    let field = Field::new();
    let one = field.checkout("one");
    one.put(
        "app/Cargo.toml",
        "[package]\nname = 'app'\nversion = '0.1.0'\nedition = '2021'\n\
         [lib]\ncrate-type = ['rlib', 'cdylib', 'staticlib']\n\
         [dependencies]\ndep = { path = '../dep' }\nmac = { path = '../mac' }\n",
    );
    one.put(
        "app/examples/ex.rs",
        "fn main() { println!(\"{}\", app::made()); }\n",
    );
    let commands: [&[&str]; 4] = [
        &["build", "--all-targets"],
        &["check", "--all-targets"],
        &["test", "--workspace"],
        &["build", "--release"],
    ];
    for command in commands {
        one.rekindle(command).ok();
    }
    one.remove_target();
    let one = one.with("REKINDLE_VERIFY", "1");
    for command in commands {
        one.rekindle(command).ok();
        let units = field.units();
        let different: Vec<_> = units
            .iter()
            .filter(|unit| unit.verified != Some(true))
            .cloned()
            .collect();
        assert!(
            different.is_empty(),
            "{command:?}: {:#?}",
            shown(&different)
        );
        assert!(!units.is_empty() || command[0] == "test", "{command:?}");
        one.assert_fresh_for(&command[..2.min(command.len())], "verified");
    }
}
