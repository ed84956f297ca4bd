//! What macros do at compile time decides whether a unit is used again.

use crate::debug::check_sources;
use crate::keys::{Lab, package};

const MACRO: &str = "use proc_macro::TokenStream;\n\
                     #[proc_macro]\n\
                     pub fn answer(_: TokenStream) -> TokenStream {\n";

/// A program, a facade that hands a macro on, and the macro with this body.
pub(crate) fn lab(body: &str) -> Lab {
    Lab::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"facade\", \"mac\"]\nresolver = \"2\"\n",
        ),
        (
            "app/Cargo.toml",
            &package("app", "[dependencies]\nfacade = { path = \"../facade\" }\n"),
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", facade::answer!()) }\n",
        ),
        (
            "facade/Cargo.toml",
            &package("facade", "[dependencies]\nmac = { path = \"../mac\" }\n"),
        ),
        ("facade/src/lib.rs", "pub use mac::answer;\n"),
        (
            "mac/Cargo.toml",
            &package("mac", "[lib]\nproc-macro = true\n"),
        ),
        (
            "mac/src/lib.rs",
            &format!("extern crate proc_macro;\n{MACRO}{body}\n}}\n"),
        ),
    ])
}

#[test]
fn code_of_a_macro_behind_a_facade_is_keyed() {
    let mut lab = lab("\"1\".parse().unwrap()");
    lab.run(&["build"]);
    assert_eq!(lab.app(), "1\n");
    let (after, run) = lab.check(
        "app",
        ("extern", "facade"),
        |lab| lab.edit("mac/src/lib.rs", "\"1\"", "\"2\""),
        |lab| lab.edit("mac/src/lib.rs", "\"2\"", "\"1\""),
    );
    assert_eq!(after, "2\n");
    run.missed_for("mac", ("source", "mac/src/lib.rs"));
    run.missed_for("facade", ("extern", "mac"));
}

#[test]
fn native_code_behind_a_macro_is_keyed() {
    let mut lab = lab(
        "match unsafe { number() } { 9 => \"compile_error!(\\\"nine\\\")\".to_owned(), number => number.to_string() }\n\
         .parse().unwrap()",
    );
    let text = std::fs::read_to_string(lab.path("mac/src/lib.rs")).unwrap();
    lab.put(
        "mac/src/lib.rs",
        &format!("{text}extern \"C\" {{ fn number() -> i32; }}\n"),
    );
    lab.put("mac/number.c", "int number(void) { return 1; }\n");
    lab.put("mac/build.rs", &crate::keys_native::build_script("number"));
    lab.run(&["build"]);
    assert_eq!(lab.app(), "1\n");
    let (after, run) = lab.check(
        "app",
        ("extern", "facade"),
        |lab| lab.edit("mac/number.c", "return 1", "return 2"),
        |lab| lab.edit("mac/number.c", "return 2", "return 1"),
    );
    assert_eq!(after, "2\n");
    run.missed_for("mac", ("native", "libnumber.a"));
    // A unit that is only checked links nothing, and no metadata before it changed: what is behind its
    // crates is an input of its own.
    lab.anew(&["check"]);
    lab.edit("mac/number.c", "return 1", "return 9");
    std::fs::remove_dir_all(lab.path("target")).unwrap();
    let run = lab.try_run(&["check"]);
    assert_eq!(run.done.code, Some(101), "{}", run.done.stderr);
    assert!(run.done.stderr.contains("nine"), "{}", run.done.stderr);
}

/// A macro that reads a directory without telling anyone: the output's bytes tell.
#[test]
fn a_directory_that_a_macro_put_into_the_output_is_keyed() {
    let mut lab =
        lab("format!(\"{:?}\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap()).parse().unwrap()");
    lab.run(&["build"]);
    assert_eq!(lab.app(), format!("{}\n", lab.path("app").display()));
    lab.anew(&["build"]).only_hits();
    let other = lab.outside("other");
    lab.move_to(other);
    let run = lab.run(&["build"]);
    run.missed_for("app", ("directory", "{workspace}"));
    assert_eq!(run.fate("mac"), "hit");
    let text = lab.run(&["explain"]).done.stdout;
    let line = "app 0.1.0 (bin) was compiled because its inputs changed:\n  its outputs hold the path of `{workspace}`: ";
    assert!(text.contains(line), "{text}");
    assert_eq!(lab.app(), format!("{}\n", lab.path("app").display()));
}

/// What a macro prints to standard output cannot be told apart from the compiler's own: such a unit is
/// compiled each time, and prints each time.
#[test]
fn a_macro_that_prints_is_run_each_time() {
    let lab = lab("println!(\"printed by a macro\"); \"1\".parse().unwrap()");
    for _ in 0..2 {
        let run = lab.anew(&["build"]);
        run.uncacheable("app", "other");
        assert_eq!(lab.app(), "1\n");
        check_sources(&lab.path("target/debug/app"), lab.checkout());
        let printed = [run.done.stdout.as_str(), &run.done.stderr].concat();
        assert!(printed.contains("printed by a macro"), "{printed}");
    }
}

/// What it prints to standard error comes back as it was.
#[test]
fn a_macro_that_complains_is_heard_again() {
    let lab = lab("eprintln!(\"  said \\\"by\\\" a macro\"); \"1\".parse().unwrap()");
    let cold = lab.run(&["build"]);
    assert!(
        cold.done.stderr.contains("  said \"by\" a macro\n"),
        "{}",
        cold.done.stderr
    );
    let warm = lab.anew(&["build"]);
    warm.only_hits();
    assert_eq!(line_of(&warm.done.stderr), line_of(&cold.done.stderr));
}

fn line_of(text: &str) -> Option<&str> {
    text.lines().find(|line| line.contains("said"))
}

/// An input that was written while the compiler ran may be read in either state.
#[test]
fn a_source_that_is_written_meanwhile_is_not_trusted() {
    let lab = lab(
        "let file = format!(\"{}/text\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n\
         if std::env::var_os(\"QUIET\").is_none() { std::fs::write(&file, \"later\").unwrap(); }\n\
         format!(\"{:?}\", std::fs::read_to_string(file).unwrap()).parse().unwrap()",
    );
    lab.put("app/text", "early");
    lab.put(
        "app/src/main.rs",
        "fn main() { println!(\"{} {}\", include_str!(\"../text\"), facade::answer!()) }\n",
    );
    let run = lab.run(&["build"]);
    run.uncacheable("app", "changed_during_compile");
    // Even where the bytes are the same again.
    let run = lab.anew(&["build"]);
    run.uncacheable("app", "changed_during_compile");
    assert_eq!(lab.app(), "later later\n");
}

/// A compiler that is killed half way leaves nothing that is used.
#[test]
fn a_compiler_that_is_killed_leaves_no_entry() {
    let mut lab = lab("if std::env::var_os(\"KILLED\").is_some() {\n\
         let pid = std::process::id().to_string();\n\
         let _ = std::process::Command::new(\"kill\").args([\"-9\", &pid]).status();\n\
         std::thread::park();\n}\n\"1\".parse().unwrap()");
    lab.set("KILLED", "1");
    for _ in 0..2 {
        let run = lab.try_run(&["build"]);
        assert_eq!(run.done.code, Some(101), "{}", run.done.stderr);
        run.uncacheable("app", "compiler_failed");
        assert_eq!(run.unit("app")["exit_code"], 137);
        assert!(!lab.path("target/debug/app").exists());
    }
    lab.unset("KILLED");
    // Whatever loads a macro that can reach all variables is keyed by all of them.
    let run = lab.anew(&["build"]);
    assert_eq!(run.fate("app"), "miss");
    assert_eq!(lab.app(), "1\n");
    lab.anew(&["build"]).only_hits();
    assert_eq!(lab.app(), "1\n");
}
