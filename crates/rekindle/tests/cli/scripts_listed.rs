//! Build scripts that list the directories in which cargo builds, as those do that look for libclang.

use crate::keys::{Lab, package};
use crate::scripts::{PRELUDE, refused, replayed};

/// A program whose script says what it made of the names in its library path that begin so. A crate is built before it.
fn listing(begins: &str, says: &str) -> Lab {
    let script = format!(
        r#"{PRELUDE}
        fn main() {{
            let mut found = Vec::new();
            for dir in env::split_paths(&env::var_os("LD_LIBRARY_PATH").unwrap()) {{
                for entry in fs::read_dir(dir).into_iter().flatten() {{
                    let path = entry.unwrap().path();
                    let name = path.file_name().unwrap().to_str().unwrap();
                    if name.starts_with("{begins}") {{ found.push({says}); }}
                }}
            }}
            found.sort();
            make(format!("{{found:?}}"));
        }}"#
    );
    Lab::new(&[
        (
            "Cargo.toml",
            &package(
                "app",
                "[build-dependencies]\nfirst = { path = \"first\" }\n[workspace]\n",
            ),
        ),
        ("build.rs", &script),
        (
            "src/main.rs",
            "fn main() { println!(\"{}\", include_str!(concat!(env!(\"OUT_DIR\"), \"/made\"))); }",
        ),
        ("first/Cargo.toml", &package("first", "")),
        ("first/src/lib.rs", ""),
    ])
}

#[test]
fn what_cargo_has_built_by_then_does_not_count() {
    let mut lab = listing("libwanted", "name.to_owned()");
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
    lab.move_to(lab.outside("other/place"));
    replayed(&lab.anew(&["build"]));
    assert_eq!(lab.app(), "[]\n");
    lab.set("REKINDLE_SNAPSHOT", "1");
    lab.anew(&["build"]);
    let run = lab.anew(&["build"]);
    let said = &run.done.stderr;
    assert!(said.contains("3 fresh, 0 hits, 0 misses"), "{said}");
}

#[test]
fn what_was_made_of_the_names_of_what_cargo_built_is_not_used_again() {
    let lab = listing("libfirst", "path.display().to_string()");
    for _ in 0..2 {
        refused(&lab.anew(&["build"]), "listed_outputs");
        assert!(lab.app().contains("/debug/deps/libfirst-"), "{}", lab.app());
    }
}
