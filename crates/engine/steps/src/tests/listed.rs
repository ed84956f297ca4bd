//! Directories that cargo fills while it builds, and that were listed.

use super::*;

fn listed(field: &Field) -> Ran {
    let dirs = ["one/target/debug", "one/target/debug/deps"].map(|name| field.path(name));
    ran(|observation| {
        for dir in dirs {
            observation.files.add(dir, Seen::LISTED);
        }
    })
}

fn field() -> Field {
    let field = Field::new();
    for name in ["debug/build/x", "debug/deps/libx-0123456789abcdef.rlib"] {
        field.put(&format!("one/target/{name}"), "");
    }
    field
}

#[test]
fn names_that_cargo_gives_do_not_count_and_others_do() {
    let field = field();
    field.publish(&listed(&field), Policy::default()).unwrap();
    for name in [
        "debug/deps/liby-0123456789abcdef.so",
        "debug/deps/rmetaX5DIhb/full.rmeta",
        "debug/app.d",
        "debug/app",
    ] {
        field.put(&format!("one/target/{name}"), "");
        assert!(field.hits("one"), "{name}");
    }
    for name in ["debug/deps/libclang.so", "debug/helper"] {
        field.put(&format!("one/target/{name}"), "");
        assert!(!field.hits("one"), "{name}");
        rekindle_fsx::remove_file(&field.path(&format!("one/target/{name}"))).unwrap();
        assert!(field.hits("one"), "{name}");
    }
    // Where nothing is built yet.
    assert!(field.hits("two"));
}

#[test]
fn what_cargo_puts_there_meanwhile_is_no_change_and_another_file_is() {
    let field = field();
    let run = listed(&field);
    field.put("one/target/debug/deps/liby-0123456789abcdef.so", "");
    field.publish(&run, Policy::default()).unwrap();
    let run = listed(&field);
    field.put("one/target/debug/deps/libclang.so", "");
    let refused = field.publish(&run, Policy::default());
    assert!(
        matches!(refused, Err(Refusal::ChangedDuringRun { .. })),
        "{refused:?}"
    );
}

#[test]
fn no_output_may_name_what_cargo_built() {
    let field = field();
    for name in ["app", "app.d"] {
        field.put(&format!("one/target/debug/{name}"), "");
    }
    let deps = field.path("one/target/debug/deps/libx-0123456789abcdef.rlib");
    let app = field.path("one/target/debug/app");
    for text in [
        deps.to_str().unwrap(),
        app.to_str().unwrap(),
        "\0debug/deps/libx",
        "\0debug/app",
    ] {
        field.put("one/out/made", text);
        let refused = field.publish(&listed(&field), Policy::default());
        assert!(
            matches!(refused, Err(Refusal::ListedOutputs { .. })),
            "{refused:?}"
        );
    }
    // Who did not list it has the name from elsewhere, and that is keyed.
    field.publish(&ran(|_| {}), Policy::default()).unwrap();
}
