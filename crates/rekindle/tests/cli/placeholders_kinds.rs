//! Outputs of the rarer kinds as placeholders: shared libraries of crates and of C, objects that
//! arguments name, and what the unit cache does not know.

use std::path::Path;

use rekindle_events::Fate;
use rekindle_outputs::placeholder::Placeholder;

use crate::faults::{Checkout, Field, shown};
use crate::stand_in::{StandIns, checkout, touch, unit};

fn put_package(one: &Checkout<'_>, name: &str, rest: &str, files: &[(&str, &str)]) {
    let manifest =
        format!("[package]\nname = '{name}'\nversion = '0.1.0'\nedition = '2021'\n{rest}");
    one.put(&format!("{name}/Cargo.toml"), &manifest);
    for (file, text) in files {
        one.put(&format!("{name}/{file}"), text);
    }
}

/// The program of a workspace of these packages alone, run by cargo, which sets the paths of libraries.
fn run(one: &Checkout<'_>) -> String {
    one.cargo(&["run", "-q"]).ok().stdout
}

#[test]
fn a_crate_that_is_a_shared_library_is_linked_and_loaded() {
    let field = Field::new();
    let one = field.steady("one").with("RUSTFLAGS", "-Cprefer-dynamic");
    one.put(
        "Cargo.toml",
        "[workspace]\nmembers = ['app', 'shared', 'inner']\nresolver = '2'\n",
    );
    put_package(
        &one,
        "inner",
        "",
        &[("src/lib.rs", "pub fn one() -> i32 { 1 }\n")],
    );
    put_package(
        &one,
        "shared",
        "[lib]\ncrate-type = ['dylib']\n[dependencies]\ninner = { path = '../inner' }\n",
        &[("src/lib.rs", "pub use inner::one;\n")],
    );
    let main = "fn main() { println!(\"{}\", shared::one()); }\n";
    one.put("app/build.rs", "fn main() {}\n");
    put_package(
        &one,
        "app",
        "[dependencies]\nshared = { path = '../shared' }\n",
        &[("src/main.rs", main), ("src/lib.rs", "")],
    );
    one.rekindle(&["build"]).ok();
    let stand_ins = StandIns::put(&field, &one);
    assert_eq!(run(&one), "1\n");
    let real = stand_ins.real();
    assert!(real.contains(&"libshared.so".to_owned()), "{real:?}");
    assert!(!real.contains(&"libinner.rlib".to_owned()), "{real:?}");
    let stand_ins = StandIns::put(&field, &one);
    // What is behind a procedural macro is not read, what is behind this one is.
    one.put("app/src/main.rs", &main.replace("{}", "{}!"));
    one.rekindle(&["build"]).ok();
    let units = field.units();
    assert_eq!(
        unit(&units, "app", "bin").fate,
        Fate::Miss,
        "{:#?}",
        shown(&units)
    );
    let real = stand_ins.real();
    assert!(real.contains(&"libinner.rmeta".to_owned()), "{real:?}");
    assert_eq!(run(&one), "1!\n");
}

/// It has no metadata beside it, and its shared library, which is C's, has none in it.
#[test]
fn a_crate_that_is_libraries_of_c_too_is_read_behind_another() {
    let field = Field::new();
    let one = field.steady("one");
    one.put(
        "Cargo.toml",
        "[workspace]\nmembers = ['top', 'middle', 'base']\nresolver = '2'\n",
    );
    put_package(
        &one,
        "base",
        "[lib]\ncrate-type = ['lib', 'cdylib', 'staticlib']\n",
        &[("src/lib.rs", "pub struct One;\n")],
    );
    put_package(
        &one,
        "middle",
        "[dependencies]\nbase = { path = '../base' }\n",
        &[("src/lib.rs", "pub use base::One;\n")],
    );
    put_package(
        &one,
        "top",
        "[dependencies]\nmiddle = { path = '../middle' }\n",
        &[("src/lib.rs", "pub use middle::One;\n")],
    );
    one.rekindle(&["build"]).ok();
    let stand_ins = StandIns::put(&field, &one);
    one.put(
        "top/src/lib.rs",
        "pub fn one() -> middle::One { middle::One }\n",
    );
    one.rekindle(&["build"]).ok();
    let real = stand_ins.real();
    assert!(real.contains(&"libbase.rlib".to_owned()), "{real:?}");
    one.assert_fresh("with libraries of C");
}

const C_BUILD: &str = "use std::process::Command;\nfn main() {\n    \
    println!(\"cargo:rerun-if-changed=build.rs\");\n    \
    let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
    std::fs::write(format!(\"{out}/eight.c\"), \"int eight(void) { return 8; }\").unwrap();\n    \
    std::fs::write(format!(\"{out}/nine.c\"), \"int nine(void) { return 9; }\").unwrap();\n    \
    let cc = |words: &[&str]| assert!(Command::new(\"cc\").args(words).current_dir(&out).status().unwrap().success());\n    \
    cc(&[\"-shared\", \"-fPIC\", \"-Wl,-soname,libeight.so.1\", \"-o\", \"libeight.so.1.2\", \"eight.c\"]);\n    \
    cc(&[\"-c\", \"-fPIC\", \"-o\", \"nine.o\", \"nine.c\"]);\n    \
    for name in [\"libeight.so\", \"libeight.so.1\"] {\n        \
    let _ = std::os::unix::fs::symlink(\"libeight.so.1.2\", format!(\"{out}/{name}\"));\n    }\n    \
    println!(\"cargo:rustc-link-search=native={out}\");\n    \
    println!(\"cargo:rustc-link-lib=dylib=eight\");\n}\n";

const C_LIB: &str = "unsafe extern \"C\" { #[link_name = \"eight\"] fn c_eight() -> i32; }\n\
    pub fn eight() -> i32 { unsafe { c_eight() } }\n";

const INCLUDE: &str =
    "pub static NINE: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/nine.o\"));\n";

const C_MAIN: &str = "fn main() { println!(\"{}\", eight::eight()); }\n";

#[test]
fn objects_and_shared_libraries_of_c_are_linked_loaded_and_included() {
    let field = Field::new();
    let one = field.steady("one");
    one.put(
        "Cargo.toml",
        "[workspace]\nmembers = ['app', 'eight']\nresolver = '2'\n",
    );
    let depends = "[dependencies]\neight = { path = '../eight' }\n";
    put_package(&one, "app", depends, &[("src/main.rs", C_MAIN)]);
    put_package(
        &one,
        "eight",
        "",
        &[("build.rs", C_BUILD), ("src/lib.rs", C_LIB)],
    );
    for file in ["app/build.rs", "app/src/lib.rs", "app/tests/it.rs"] {
        std::fs::remove_file(one.path(file)).unwrap();
    }
    one.rekindle(&["build"]).ok();
    let stand_ins = StandIns::put(&field, &one);
    let library = stand_ins.path("libeight.so.1.2");
    let object = stand_ins.path("nine.o");
    // A hit tells from digests alone that it is one, though the linker's list has another name.
    touch(&one.path("app/src/main.rs"));
    one.rekindle(&["build"]).ok();
    let units = field.units();
    let app = unit(&units, "app", "bin");
    assert_eq!(app.fate, Fate::Hit, "{:#?}", shown(&units));
    assert!(is_placeholder(library));
    // The loader reads it, and cargo says where it is.
    StandIns::put(&field, &one);
    assert_eq!(run(&one), "8\n");
    assert!(!is_placeholder(library) && is_placeholder(object));
    // The linker reads it.
    StandIns::put(&field, &one);
    assert!(is_placeholder(library));
    one.put("app/src/main.rs", &C_MAIN.replace("{}\"", "{}!\""));
    one.rekindle(&["build"]).ok();
    let units = field.units();
    let app = unit(&units, "app", "bin");
    assert_eq!(app.fate, Fate::Miss, "{:#?}", shown(&units));
    assert!(!is_placeholder(library));
    assert_eq!(run(&one), "8!\n");
    one.assert_fresh("linked with C");
    // A check reads what a source includes.
    one.rekindle(&["check"]).ok();
    StandIns::put(&field, &one);
    assert!(is_placeholder(object));
    one.put("eight/src/lib.rs", &format!("{C_LIB}{INCLUDE}"));
    one.rekindle(&["check"]).ok();
    let units = field.units();
    let eight = unit(&units, "eight", "check");
    assert_eq!(eight.fate, Fate::Miss, "{:#?}", shown(&units));
    assert!(!is_placeholder(object));
}

/// An object in a directory that nothing searches, which only an argument names.
#[test]
fn a_file_that_only_an_argument_names_is_put_in_place() {
    let field = Field::new();
    let one = checkout(&field);
    let script = std::fs::read_to_string(one.path("app/build.rs")).unwrap();
    let print = "println!(\"cargo:rustc-link-arg-bins=-Wl,{root}/sub/six.o\");";
    let (begin, end) = script.split_once("    let made").unwrap();
    one.put(
        "app/build.rs",
        &format!("{begin}    {print}\n    let made{end}"),
    );
    let main = "unsafe extern \"C\" { fn six() -> i32; }\n\
                fn main() { println!(\"{}\", unsafe { six() }); }\n";
    one.put("app/src/main.rs", main);
    one.build_to("6\n");
    let stand_ins = StandIns::put(&field, &one);
    one.put("app/src/main.rs", &main.replace("{}\"", "{}!\""));
    one.build_to("6!\n");
    let units = field.units();
    assert_eq!(
        unit(&units, "app", "bin").fate,
        Fate::Miss,
        "{:#?}",
        shown(&units)
    );
    assert!(stand_ins.real().contains(&"six.o".to_owned()));
    one.assert_fresh("linked with an object");
}

fn is_placeholder(path: &Path) -> bool {
    matches!(Placeholder::read(path), Ok(Some(_)))
}

/// Of such a crate nobody knows what is behind it, so all that may be is put in place, and nothing is
/// stored.
#[test]
fn a_crate_of_which_nothing_is_known_is_compiled_with_all_the_same() {
    let field = Field::new();
    let one = checkout(&field);
    one.build();
    let stand_ins = StandIns::put(&field, &one);
    for name in ["libdep.rlib", "libdep.rmeta"] {
        let path = stand_ins.path(name);
        let mut placeholder = Placeholder::read(path).unwrap().unwrap();
        placeholder.known = None;
        let sig = rekindle_fsx::stat(path).unwrap();
        rekindle_fsx::atomic::write(path, &placeholder.to_bytes(path, None)).unwrap();
        rekindle_fsx::set_mtime(path, sig.mtime_ns).unwrap();
    }
    one.put(
        "app/src/main.rs",
        "fn main() { println!(\"{}\", dep::word()); }\n",
    );
    one.build_to("word\n");
    let units = field.units();
    assert_eq!(
        unit(&units, "app", "bin").fate,
        Fate::Uncacheable,
        "{:#?}",
        shown(&units)
    );
    assert!(stand_ins.real().contains(&"libparse.rmeta".to_owned()));
    one.assert_fresh("with an unknown crate");
}
