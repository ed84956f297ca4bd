//! Native libraries and linkers decide whether a unit is used again.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::keys::{Lab, package, sh, skip};
use crate::project::write_program;

/// A build script that makes a static library of `NAME.c` and has it linked.
pub(crate) fn build_script(name: &str) -> String {
    format!(
        "{}    println!(\"cargo::rustc-link-lib=static={name}\");\n}}\n",
        searching(name)
    )
}

/// The same, but only the directory is named.
fn searching(name: &str) -> String {
    format!(
        "use std::process::Command;\n\
         fn main() {{\n    let out = std::env::var(\"OUT_DIR\").unwrap();\n\
         let run = |program: &str, arguments: &[&str]| assert!(Command::new(program).args(arguments).status().unwrap().success());\n\
         run(\"cc\", &[\"-c\", \"-O0\", \"{name}.c\", \"-o\", &format!(\"{{out}}/{name}.o\")]);\n\
         run(\"ar\", &[\"crsD\", &format!(\"{{out}}/lib{name}.a\"), &format!(\"{{out}}/{name}.o\")]);\n\
         println!(\"cargo::rerun-if-changed={name}.c\");\n\
         println!(\"cargo::rustc-link-search=native={{out}}\");\n"
    )
}

/// A native library in `sys`, used by `mid`, used by the program.
fn two_away(sys: &str, script: &str) -> Lab {
    Lab::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"mid\", \"sys\"]\nresolver = \"2\"\n",
        ),
        (
            "app/Cargo.toml",
            &package("app", "[dependencies]\nmid = { path = \"../mid\" }\n"),
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{}\", mid::number()) }\n",
        ),
        (
            "mid/Cargo.toml",
            &package("mid", "[dependencies]\nsys = { path = \"../sys\" }\n"),
        ),
        (
            "mid/src/lib.rs",
            // It speaks of links and of static kinds, but asks for none.
            "/// Not `symlink(kind: &'static str)`.\npub fn number() -> i32 { unsafe { sys::number() } }\n",
        ),
        ("sys/Cargo.toml", &package("sys", "")),
        ("sys/src/lib.rs", sys),
        ("sys/build.rs", script),
        ("sys/number.c", "int number(void) { return 1; }\n"),
    ])
}

fn check_two_away(lab: &mut Lab) {
    lab.run(&["build"]);
    assert_eq!(lab.app(), "1\n");
    let (after, run) = lab.check(
        "app",
        ("extern", "libsys"),
        |lab| lab.edit("sys/number.c", "return 1", "return 2"),
        |lab| lab.edit("sys/number.c", "return 2", "return 1"),
    );
    assert_eq!(after, "2\n");
    run.missed_for("sys", ("native", "libnumber.a"));
    assert_eq!(run.fate("mid"), "hit");
}

#[test]
fn an_archive_two_crates_away_is_keyed() {
    let sys = "extern \"C\" { pub fn number() -> i32; }\n";
    check_two_away(&mut two_away(sys, &build_script("number")));
}

#[test]
fn an_archive_that_only_an_attribute_names_is_keyed() {
    let sys =
        "#[link(name = \"number\", kind = \"static\")]\nextern \"C\" { pub fn number() -> i32; }\n";
    check_two_away(&mut two_away(sys, &format!("{}}}\n", searching("number"))));
}

/// A program that links what `more` of a build script says.
fn linked(more: &str) -> Lab {
    Lab::new(&[
        ("Cargo.toml", &package("app", "[workspace]\n")),
        (
            "src/main.rs",
            "extern \"C\" { fn number() -> i32; }\nfn main() { println!(\"{}\", unsafe { number() }) }\n",
        ),
        ("build.rs", &format!("fn main() {{\n{more}\n}}\n")),
    ])
}

/// Makes `libNAME.a` in a directory, with a function that returns a number.
fn archive(dir: &Path, name: &str, number: u32) {
    let _ = std::fs::remove_dir_all(dir);
    std::fs::create_dir_all(dir).unwrap();
    let text = format!("int number(void) {{ return {number}; }}\n");
    std::fs::write(dir.join("x.c"), text).unwrap();
    sh(dir, "cc", &["-c", "x.c", "-o", "x.o"]);
    sh(dir, "ar", &["crsD", &format!("lib{name}.a"), "x.o"]);
    std::fs::remove_file(dir.join("x.o")).unwrap();
}

/// An argument names a file to the linker alone: only its own list of what it read tells.
#[test]
fn a_file_that_only_the_linker_read_is_keyed() {
    let mut lab = linked("println!(\"cargo::rustc-link-arg=native/libnumber.a\");");
    archive(&lab.path("native"), "number", 1);
    lab.run(&["build"]);
    let (after, _) = lab.check(
        "app",
        ("linker", "native/libnumber.a"),
        |lab| archive(&lab.path("native"), "number", 2),
        |lab| archive(&lab.path("native"), "number", 1),
    );
    assert_eq!(after, "2\n");
}

/// A library in a directory of the user's, linked as the linker finds it; then one that is found
/// before it.
#[test]
fn libraries_that_the_linker_finds_are_keyed() {
    let mut lab = linked(
        "for dir in [\"first\", \"second\"] { println!(\"cargo::rustc-link-search=native={dir}\") }\n\
         println!(\"cargo::rustc-link-lib=number\");",
    );
    std::fs::create_dir_all(lab.path("first")).unwrap();
    archive(&lab.path("second"), "number", 1);
    lab.run(&["build"]);
    let (after, run) = lab.check(
        "app",
        ("native", "second/libnumber.a"),
        |lab| archive(&lab.path("second"), "number", 2),
        |lab| archive(&lab.path("second"), "number", 1),
    );
    assert_eq!(after, "2\n");
    run.missed_for("app", ("linker", "second/libnumber.a"));
    let (after, _) = lab.check(
        "app",
        ("native", "first"),
        |lab| archive(&lab.path("first"), "number", 3),
        |lab| {
            std::fs::remove_dir_all(lab.path("first")).unwrap();
            std::fs::create_dir(lab.path("first")).unwrap();
        },
    );
    assert_eq!(after, "3\n");
}

/// Directories that only the driver knows of: their names are no argument.
#[test]
fn a_library_that_was_not_there_is_keyed() {
    let mut lab = linked("println!(\"cargo::rustc-link-arg=-lnumber\");");
    let [first, second] = ["lib1", "lib2"].map(|name| lab.outside(name));
    std::fs::create_dir_all(&first).unwrap();
    archive(&second, "number", 1);
    lab.set(
        "LIBRARY_PATH",
        format!("{}:{}", first.display(), second.display()),
    );
    lab.run(&["build"]);
    assert_eq!(lab.app(), "1\n");
    let (after, _) = lab.check(
        "app",
        ("linker", "lib1/libnumber.a"),
        |_| archive(&first, "number", 2),
        |_| {
            std::fs::remove_dir_all(&first).unwrap();
            std::fs::create_dir(&first).unwrap();
        },
    );
    assert_eq!(after, "2\n");
    // Another order of directories.
    archive(&first, "number", 3);
    let both = format!("{}:{}", second.display(), first.display());
    lab.set("LIBRARY_PATH", both);
    lab.anew(&["build"]);
    assert_eq!(lab.app(), "1\n");
}

/// Makes `libnumber.so` in a directory, with a function that returns a number and another one of that name.
pub(crate) fn shared(dir: &Path, number: u32) {
    std::fs::create_dir_all(dir).unwrap();
    let text = format!(
        "int number(void) {{ return {number}; }}\nint more{number}(void) {{ return 0; }}\n"
    );
    std::fs::write(dir.join("x.c"), text).unwrap();
    sh(
        dir,
        "cc",
        &["-shared", "-fPIC", "x.c", "-o", "libnumber.so"],
    );
}

#[test]
fn a_shared_library_that_the_linker_read_is_keyed() {
    let mut lab = linked(
        "println!(\"cargo::rustc-link-search=native=native\");\n\
         println!(\"cargo::rustc-link-lib=dylib=number\");",
    );
    shared(&lab.path("native"), 1);
    lab.set("LD_LIBRARY_PATH", lab.path("native"));
    lab.run(&["build"]);
    assert_eq!(lab.app(), "1\n");
    shared(&lab.path("native"), 2);
    let run = lab.anew(&["build"]);
    run.missed_for("app", ("linker", "native/libnumber.so"));
    assert_eq!(lab.app(), "2\n");
    // Without the function there is nothing to link.
    std::fs::write(lab.path("native/x.c"), "int other(void) { return 0; }\n").unwrap();
    sh(
        &lab.path("native"),
        "cc",
        &["-shared", "-fPIC", "x.c", "-o", "libnumber.so"],
    );
    std::fs::remove_dir_all(lab.path("target")).unwrap();
    let run = lab.try_run(&["build"]);
    assert_eq!(run.done.code, Some(101), "{}", run.done.stderr);
}

/// A copy of a program of the system in a directory of ours; a byte behind its end makes it another.
fn copied(lab: &Lab, from: &str, name: &str) -> PathBuf {
    let file = lab.outside("prefix/bin").join(name);
    write_program(&file, std::fs::read(from).unwrap());
    // gcc looks for its parts from where it lies.
    let _ = symlink("/usr/lib", lab.outside("prefix/lib"));
    file
}

fn append_byte(file: &Path) {
    let bytes = std::fs::read(file).unwrap();
    std::fs::write(file, [bytes, vec![b'\n']].concat()).unwrap();
}

fn cut_byte(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    bytes.pop();
    std::fs::write(file, bytes).unwrap();
}

fn hello() -> Lab {
    Lab::new(&[
        ("Cargo.toml", &package("app", "[workspace]\n")),
        ("src/main.rs", "fn main() { println!(\"hello\") }\n"),
    ])
}

fn works(lab: &Lab, driver: &Path) -> bool {
    std::fs::write(lab.outside("x.c"), "int main(void) { return 0; }\n").unwrap();
    let dir = lab.outside("");
    let mut command = std::process::Command::new(driver);
    command.args(["x.c", "-o", "x"]).current_dir(dir);
    command.output().is_ok_and(|output| output.status.success())
}

#[test]
fn the_linker_driver_is_keyed() {
    let mut lab = hello();
    let driver = copied(&lab, "/usr/bin/cc", "cc");
    if !works(&lab, &driver) {
        return skip(
            "keys_native::the_linker_driver_is_keyed",
            "a copied cc does not link here",
        );
    }
    let path = std::env::var("PATH").unwrap();
    lab.set(
        "PATH",
        format!("{}:{path}", driver.parent().unwrap().display()),
    );
    lab.run(&["build"]);
    lab.check(
        "app",
        ("linker", "cc"),
        |_| append_byte(&driver),
        |_| cut_byte(&driver),
    );
    // Named by an argument.
    let named = lab.outside("prefix/bin/gcc");
    std::fs::copy(&driver, &named).unwrap();
    lab.set("RUSTFLAGS", format!("-Clinker={}", named.display()));
    lab.anew(&["build"]);
    lab.check(
        "app",
        ("linker", "prefix/bin/gcc"),
        |_| append_byte(&named),
        |_| cut_byte(&named),
    );
}

/// The program that the driver starts: found through a variable, and no part of the sysroot.
#[test]
fn the_linker_itself_is_keyed() {
    let mut lab = hello();
    let linker = copied(&lab, "/usr/bin/ld", "ld");
    lab.set("COMPILER_PATH", linker.parent().unwrap());
    lab.set("REKINDLE_LINKER", "system");
    lab.set("RUSTFLAGS", "-Clink-arg=-fuse-ld=bfd");
    std::fs::copy(&linker, linker.with_file_name("ld.bfd")).unwrap();
    let linker = linker.with_file_name("ld.bfd");
    lab.run(&["build"]);
    lab.check(
        "app",
        ("linker", "ld.bfd"),
        |_| append_byte(&linker),
        |_| cut_byte(&linker),
    );
}

/// The setting that chooses a linker for speed.
#[test]
fn the_choice_of_a_linker_is_keyed() {
    let mut lab = hello();
    lab.set("REKINDLE_LINKER", "system");
    lab.run(&["build"]);
    lab.check(
        "app",
        ("linker", "linker"),
        |lab| lab.set("REKINDLE_LINKER", "bfd"),
        |lab| lab.set("REKINDLE_LINKER", "system"),
    );
}
