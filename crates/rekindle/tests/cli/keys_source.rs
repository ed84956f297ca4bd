//! Sources, arguments and variables decide whether a unit is used again.

use crate::keys::{Lab, package};

/// A library and a program that shows what went into both.
fn lab() -> Lab {
    Lab::new(&[
        (
            "Cargo.toml",
            &package(
                "app",
                "description = \"first\"\n[lib]\nname = \"tool\"\n[features]\nextra = []\n[workspace]\n",
            ),
        ),
        (
            "src/lib.rs",
            "#![allow(unused_variables)]\nmod one;\nmod two;\n\
             pub fn unused() { let x = 1; }\n\
             pub fn arms() -> bool { cfg!(seldom) }\n\
             pub fn text() -> String {\n\
             format!(\"{} {} extra={} debug={} {}\", one::TEXT, two::TEXT, cfg!(feature = \"extra\"), \
             cfg!(debug_assertions), one::file())\n}\n",
        ),
        (
            "src/one.rs",
            "pub const TEXT: &str = \"one\";\npub fn file() -> &'static str { file!() }\n",
        ),
        (
            "src/two.rs",
            "pub const TEXT: &str = \"two\";\n// Another file.\n",
        ),
        (
            "src/main.rs",
            "fn main() { println!(\"{} {}\", tool::text(), env!(\"CARGO_PKG_DESCRIPTION\")) }\n",
        ),
    ])
}

/// Control: an unchanged project comes back whole, and the run's summary says so.
#[test]
fn what_is_unchanged_starts_nothing() {
    let lab = lab();
    let cold = lab.run(&["build"]);
    assert!(
        cold.units
            .iter()
            .all(|unit| unit["miss"]["reason"] == "never_seen")
    );
    let before = lab.app();
    let warm = lab.anew(&["build"]);
    warm.only_hits();
    assert_eq!(warm.units.len(), 2);
    assert_eq!(lab.app(), before);
    let stats = lab.run(&["stats", "--format", "json"]).done.stdout;
    let stats: serde_json::Value = serde_json::from_str(&stats).unwrap();
    for (pointer, value) in [
        ("/units/hit", 2),
        ("/units/miss", 0),
        ("/units/uncacheable", 0),
        ("/processes/rustc", 0),
        ("/processes/linker", 0),
    ] {
        assert_eq!(
            stats.pointer(pointer).unwrap(),
            value,
            "{pointer}: {stats:#}"
        );
    }
    // Times, modes and owners of sources are no inputs.
    let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(lab.path("src/one.rs"))
        .unwrap();
    file.set_modified(old).unwrap();
    lab.anew(&["build"]).only_hits();
}

#[test]
fn sources_are_keyed_by_path_and_content() {
    let mut lab = lab();
    lab.run(&["build"]);
    assert_eq!(
        lab.app(),
        "one two extra=false debug=true src/one.rs first\n"
    );
    let swap = |lab: &mut Lab| {
        lab.edit("src/one.rs", "\"one\"", "\"x\"");
        lab.edit("src/two.rs", "\"two\"", "\"one\"");
        lab.edit("src/one.rs", "\"x\"", "\"two\"");
    };
    let back = |lab: &mut Lab| {
        lab.edit("src/one.rs", "\"two\"", "\"one\"");
        lab.edit("src/two.rs", "\"one\"", "\"two\"");
    };
    let (after, run) = lab.check("tool", ("source", "src/one.rs"), swap, back);
    run.missed_for("tool", ("source", "src/two.rs"));
    assert_eq!(after, "two one extra=false debug=true src/one.rs first\n");

    // The very bytes of two files exchanged: a key of contents alone would not notice.
    lab.put(
        "src/one.rs",
        "pub const TEXT: &str = \"one\";\npub fn file() -> &'static str { \"-\" }\n",
    );
    lab.put(
        "src/two.rs",
        "pub const TEXT: &str = \"two\";\npub fn file() -> &'static str { \"-\" }\n",
    );
    lab.run(&["build"]);
    let exchange = |lab: &mut Lab| {
        let [one, two, spare] =
            ["src/one.rs", "src/two.rs", "src/spare"].map(|name| lab.path(name));
        std::fs::rename(&one, &spare).unwrap();
        std::fs::rename(&two, &one).unwrap();
        std::fs::rename(&spare, &two).unwrap();
    };
    let (after, _) = lab.check("tool", ("source", "src/one.rs"), exchange, exchange);
    assert_eq!(after, "two one extra=false debug=true - first\n");
}

#[test]
fn a_renamed_source_is_another() {
    let mut lab = lab();
    lab.run(&["build"]);
    let there = |lab: &mut Lab| {
        std::fs::create_dir(lab.path("src/one")).unwrap();
        std::fs::rename(lab.path("src/one.rs"), lab.path("src/one/mod.rs")).unwrap();
    };
    let back = |lab: &mut Lab| {
        std::fs::rename(lab.path("src/one/mod.rs"), lab.path("src/one.rs")).unwrap();
        std::fs::remove_dir(lab.path("src/one")).unwrap();
    };
    let (after, _) = lab.check("tool", ("source", "src/one/mod.rs"), there, back);
    assert_eq!(
        after,
        "one two extra=false debug=true src/one/mod.rs first\n"
    );
    // The crate's root.
    let there = |lab: &mut Lab| {
        std::fs::rename(lab.path("src/main.rs"), lab.path("src/other.rs")).unwrap();
        let bin = "[[bin]]\nname = \"app\"\npath = \"src/other.rs\"\n[workspace]";
        lab.edit("Cargo.toml", "[workspace]", bin);
    };
    let back = |lab: &mut Lab| {
        std::fs::rename(lab.path("src/other.rs"), lab.path("src/main.rs")).unwrap();
        let bin = "[[bin]]\nname = \"app\"\npath = \"src/other.rs\"\n[workspace]";
        lab.edit("Cargo.toml", bin, "[workspace]");
    };
    lab.check("app", ("argument", "src/other.rs"), there, back);
}

/// The compiler refuses a module with two files, so a hit must not hide the second one.
#[test]
fn a_second_file_for_a_module_is_seen() {
    let lab = lab();
    lab.run(&["build"]);
    lab.put("src/one/mod.rs", "");
    let _ = std::fs::remove_dir_all(lab.path("target"));
    let refused = lab.try_run(&["build"]);
    assert_eq!(refused.done.code, Some(101));
    assert!(
        refused.done.stderr.contains("E0761"),
        "{}",
        refused.done.stderr
    );
    std::fs::remove_dir_all(lab.path("src/one")).unwrap();
    lab.anew(&["build"]).only_hits();
}

/// The clock was set back, or an archive unpacked: what is newer has an older time.
#[test]
fn an_older_time_hides_no_change() {
    let mut lab = lab();
    lab.run(&["build"]);
    let write = |lab: &Lab, text: &str| {
        lab.edit("src/two.rs", "\"two\"", text);
        let file = std::fs::File::options()
            .write(true)
            .open(lab.path("src/two.rs"))
            .unwrap();
        let old = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
        file.set_modified(old).unwrap();
    };
    let (after, _) = lab.check(
        "tool",
        ("source", "src/two.rs"),
        |lab| write(lab, "\"owt\""),
        |lab| lab.edit("src/two.rs", "\"owt\"", "\"two\""),
    );
    assert!(after.starts_with("one owt "), "{after}");
}

#[test]
fn lint_levels_are_keyed_and_their_warnings_come_back() {
    let mut lab = lab();
    let cold = lab.run(&["build"]);
    assert!(
        cold.messages()
            .contains("unexpected `cfg` condition name: `seldom`")
    );
    // An attribute.
    let (_, run) = lab.check(
        "tool",
        ("source", "src/lib.rs"),
        |lab| {
            lab.edit(
                "src/lib.rs",
                "#![allow(unused_variables)]",
                "#![warn(unused_variables)]",
            )
        },
        |lab| {
            lab.edit(
                "src/lib.rs",
                "#![warn(unused_variables)]",
                "#![allow(unused_variables)]",
            )
        },
    );
    assert!(
        run.done.stderr.contains("unused variable: `x`"),
        "{}",
        run.done.stderr
    );
    // cargo's table.
    let lints = "[lints.rust]\nmissing_docs = \"warn\"\n[workspace]";
    let (_, run) = lab.check(
        "tool",
        ("argument", "--warn missing_docs"),
        |lab| lab.edit("Cargo.toml", "[workspace]", lints),
        |lab| lab.edit("Cargo.toml", lints, "[workspace]"),
    );
    assert!(
        run.done.stderr.contains("missing documentation"),
        "{}",
        run.done.stderr
    );
    // The user's flags.
    let (_, run) = lab.check(
        "tool",
        ("argument", "--warn missing_docs"),
        |lab| lab.set("RUSTFLAGS", "-W missing_docs"),
        |lab| lab.unset("RUSTFLAGS"),
    );
    assert!(
        run.done.stderr.contains("missing documentation"),
        "{}",
        run.done.stderr
    );
    // Names of configurations that are expected.
    let expected = "[lints.rust]\nunexpected_cfgs = { level = \"warn\", check-cfg = ['cfg(seldom)'] }\n[workspace]";
    let (_, run) = lab.check(
        "tool",
        ("argument", "--check-cfg cfg(seldom)"),
        |lab| lab.edit("Cargo.toml", "[workspace]", expected),
        |lab| lab.edit("Cargo.toml", expected, "[workspace]"),
    );
    assert!(!run.done.stderr.contains("seldom"), "{}", run.done.stderr);
}

/// A level that makes an error of a warning does so although the unit is stored.
#[test]
fn a_denied_lint_fails_in_spite_of_the_store() {
    let lab = lab();
    lab.run(&["build"]);
    let lints = "[lints.rust]\nmissing_docs = \"deny\"\n[workspace]";
    lab.edit("Cargo.toml", "[workspace]", lints);
    assert_eq!(lab.try_run(&["build"]).done.code, Some(101));
}

#[test]
fn features_profiles_and_the_edition_are_keyed() {
    let mut lab = lab();
    lab.run(&["build"]);
    let default = "[features]\ndefault = [\"extra\"]\n";
    let (after, _) = lab.check(
        "tool",
        ("argument", "--cfg feature=\"extra\""),
        |lab| lab.edit("Cargo.toml", "[features]\n", default),
        |lab| lab.edit("Cargo.toml", default, "[features]\n"),
    );
    assert!(after.contains("extra=true"), "{after}");
    let profile = "[profile.dev]\ndebug-assertions = false\nopt-level = 1\n[workspace]";
    let (after, _) = lab.check(
        "tool",
        ("argument", "-C opt-level"),
        |lab| lab.edit("Cargo.toml", "[workspace]", profile),
        |lab| lab.edit("Cargo.toml", profile, "[workspace]"),
    );
    assert!(after.contains("debug=false"), "{after}");
    // A closure takes whole structures in 2018, their parts in 2021: the drop comes at another time.
    lab.put(
        "src/main.rs",
        "struct D(&'static str);\nimpl Drop for D { fn drop(&mut self) { println!(\"{}\", self.0) } }\n\
         fn main() { let p = (D(\"a\"), D(\"b\")); { let c = move || { let _x = &p.0; }; c(); } println!(\"end\") }\n",
    );
    lab.run(&["build"]);
    assert_eq!(lab.app(), "a\nend\nb\n");
    let (after, _) = lab.check(
        "app",
        ("argument", "--edition"),
        |lab| lab.edit("Cargo.toml", "2021", "2018"),
        |lab| lab.edit("Cargo.toml", "2018", "2021"),
    );
    assert_ne!(after, "a\nend\nb\n");
}

#[test]
fn variables_that_the_source_reads_are_keyed_by_value() {
    let mut lab = lab();
    lab.put(
        "src/main.rs",
        "const fn sum(text: Option<&str>) -> u64 { match text { None => 0, Some(text) => {\n\
         let (mut i, mut sum) = (0, 1); while i < text.len() { sum = sum * 31 % 1000003 + text.as_bytes()[i] as u64; i += 1 }\n\
         sum } } }\n\
         const A: u64 = sum(Some(env!(\"GREETING\")));\nconst B: u64 = sum(option_env!(\"TOKEN\"));\n\
         fn main() { println!(\"{A} {B}\") }\n",
    );
    let secret = |number: u32| format!("s3cr3t-value-{number}-of-the-token");
    lab.set("GREETING", secret(1));
    lab.run(&["build"]);
    assert!(lab.app().ends_with(" 0\n"), "{}", lab.app());
    let before = lab.app();
    let mut outputs = vec![before];
    for (there, back) in [(2, 1), (3, 1)] {
        let (after, _) = lab.check(
            "app",
            ("env", "GREETING"),
            |lab| lab.set("GREETING", secret(there)),
            |lab| lab.set("GREETING", secret(back)),
        );
        outputs.push(after);
    }
    // From not set to set, and to another value.
    for number in [4, 5] {
        let (after, _) = lab.check(
            "app",
            ("env", "TOKEN"),
            |lab| lab.set("TOKEN", secret(number)),
            |lab| lab.unset("TOKEN"),
        );
        outputs.push(after);
    }
    let (after, _) = lab.check(
        "app",
        ("env", "TOKEN"),
        |lab| lab.set("TOKEN", ""),
        |lab| lab.unset("TOKEN"),
    );
    outputs.push(after);
    outputs.sort();
    outputs.dedup();
    assert_eq!(outputs.len(), 6, "{outputs:?}");
    // Another variable's value is nobody's business.
    lab.set("UNRELATED", secret(6));
    lab.anew(&["build"]).only_hits();
    for text in ["explain", "stats"] {
        let done = lab.run(&[text, "--format", "json"]).done;
        assert!(!done.stdout.contains("s3cr3t-value"), "{}", done.stdout);
    }
    for (file, bytes) in lab.store_files() {
        let found = bytes.windows(12).any(|window| window == b"s3cr3t-value");
        assert!(!found, "{}", file.display());
    }
}

#[test]
fn variables_of_the_package_are_keyed() {
    let mut lab = lab();
    lab.run(&["build"]);
    let (after, run) = lab.check(
        "app",
        ("env", "CARGO_PKG_DESCRIPTION"),
        |lab| lab.edit("Cargo.toml", "\"first\"", "\"second\""),
        |lab| lab.edit("Cargo.toml", "\"second\"", "\"first\""),
    );
    assert!(after.ends_with(" second\n"), "{after}");
    // Nor is a macro's silent reading of them unsafe: the library does not name the variable.
    run.missed_for("tool", ("env", "CARGO_PKG_DESCRIPTION"));
}

#[test]
fn explain_names_the_change_and_those_who_only_followed() {
    let lab = lab();
    lab.run(&["build"]);
    lab.edit("src/two.rs", "\"two\"", "\"three\"");
    lab.anew(&["build"]);
    let text = lab.run(&["explain", "--format", "json"]).done.stdout;
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(json["version"], 1);
    assert!(text.contains("src/two.rs"), "{text}");
    let text = lab.run(&["explain"]).done.stdout;
    assert!(text.contains("src/two.rs"), "{text}");
}
