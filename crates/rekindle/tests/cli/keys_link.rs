//! Linkers that nobody can ask what they read: the compile is observed, and what they made comes back where
//! all of that is the same.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::debug::check_sources;
use crate::keys::{Lab, lacks_target, package, sh, skip};
use crate::keys_native::shared;
use crate::project::write_program;

/// A program of which a function is linked by `more`, lines of a build script; and a script that stands for the
/// linker's driver.
fn scripted(more: &str) -> (Lab, PathBuf) {
    let mut lab = Lab::new(&[
        ("Cargo.toml", &package("app", "[workspace]\n")),
        (
            "src/main.rs",
            "extern \"C\" { fn number() -> i32; }\nfn main() { println!(\"{}\", unsafe { number() }) }\n",
        ),
        ("build.rs", &format!("fn main() {{\n{more}\n}}\n")),
    ]);
    let driver = lab.outside("bin/driver");
    std::fs::create_dir_all(driver.parent().unwrap()).unwrap();
    script(&driver, "");
    lab.set("RUSTFLAGS", format!("-Clinker={}", driver.display()));
    (lab, driver)
}

/// Writes such a script.
fn script(driver: &Path, line: &str) {
    let text = format!("#!/bin/sh\n{line}\nexec cc \"$@\"\n");
    write_program(driver, text);
}

#[test]
fn a_script_that_links_is_keyed_with_what_it_reads() {
    let (mut lab, driver) = scripted(
        "println!(\"cargo::rustc-link-search=native=native\");\n\
         println!(\"cargo::rustc-link-lib=dylib=number\");",
    );
    shared(&lab.path("native"), 1);
    lab.set("LD_LIBRARY_PATH", lab.path("native"));
    let run = lab.run(&["build"]);
    assert_eq!(run.fate("app"), "miss");
    assert_eq!(run.unit("app")["linkers"], 1);
    let (after, _) = lab.check(
        "app",
        ("read", "native/libnumber.so"),
        |lab| shared(&lab.path("native"), 2),
        |lab| shared(&lab.path("native"), 1),
    );
    assert_eq!(after, "2\n");
    lab.check(
        "app",
        ("program", "bin/driver"),
        |_| script(&driver, "true"),
        |_| script(&driver, ""),
    );
    // A file that the script alone knows of.
    let extra = lab.outside("extra");
    let line = format!("test -f {} && set -- -s \"$@\"", extra.display());
    script(&driver, &line);
    lab.anew(&["build"]);
    lab.check(
        "app",
        ("looked", "extra"),
        |_| std::fs::write(&extra, "").unwrap(),
        |_| std::fs::remove_file(&extra).unwrap(),
    );
}

/// The directories of the loader are left out of what a macro's compiler reads, and linkers look there as well.
#[test]
fn a_library_where_the_loader_looks_is_keyed() {
    let (mut lab, driver) = scripted("println!(\"cargo::rustc-link-arg=-lnumber\");");
    let dir = lab.outside("lib");
    shared(&dir, 1);
    script(&driver, &format!("set -- \"$@\" -L{}", dir.display()));
    lab.set("LD_LIBRARY_PATH", &dir);
    lab.run(&["build"]);
    let (after, _) = lab.check(
        "app",
        ("read", "lib/libnumber.so"),
        |_| shared(&dir, 2),
        |_| shared(&dir, 1),
    );
    assert_eq!(after, "2\n");
}

/// Whoever is not observed may have read anything.
#[test]
fn what_such_a_linker_makes_unseen_is_not_stored() {
    let (mut lab, driver) = scripted("println!(\"cargo::rustc-link-arg=native/x.o\");");
    std::fs::create_dir_all(lab.path("native")).unwrap();
    std::fs::write(lab.path("native/x.c"), "int number(void) { return 1; }\n").unwrap();
    sh(&lab.path("native"), "cc", &["-c", "x.c", "-o", "x.o"]);
    lab.set("REKINDLE_OBSERVE", "0");
    for run in [lab.run(&["build"]), lab.anew(&["build"])] {
        run.uncacheable("app", "unknown_linker");
        assert_eq!(lab.app(), "1\n");
    }
    lab.unset("REKINDLE_OBSERVE");
    // A program of another root sees other files than the observer.
    script(&driver, "unshare -r true || true");
    let run = lab.anew(&["build"]);
    if !Command::new("unshare")
        .args(["-r", "true"])
        .status()
        .is_ok_and(|status| status.success())
    {
        return skip(
            "keys_link::what_such_a_linker_makes_unseen_is_not_stored (a part)",
            "no namespace can be made here",
        );
    }
    run.uncacheable("app", "unknown_linker");
    let detail = run.unit("app")["uncacheable"]["detail"].as_str().unwrap();
    assert!(detail.contains("could not be observed"), "{detail}");
    assert_eq!(lab.app(), "1\n");
}

/// Builds for a target, here and then in another directory from what the first build stored. Returns where the output is.
fn here_and_elsewhere(lab: &mut Lab, target: &str, output: &str) -> PathBuf {
    let build = ["build", "--target", target];
    let output = PathBuf::from(format!("target/{target}/debug/{output}"));
    let check = |lab: &Lab| check_sources(&lab.path(&output), lab.checkout());
    let run = lab.run(&build);
    assert_eq!(run.fate("app"), "miss", "{:#}", run.unit("app"));
    let first = std::fs::read(lab.path(&output)).unwrap();
    check(lab);
    lab.anew(&build).only_hits();
    assert_eq!(std::fs::read(lab.path(&output)).unwrap(), first);
    let other = lab.outside("another directory");
    lab.move_to(other);
    lab.anew(&build).only_hits();
    check(lab);
    output
}

#[test]
fn webassembly_comes_back() {
    let target = "wasm32-unknown-unknown";
    if lacks_target("keys_link::webassembly_comes_back", target) {
        return;
    }
    let library = "[workspace]\n[lib]\ncrate-type = [\"cdylib\"]\n";
    let mut lab = Lab::new(&[
        ("Cargo.toml", &package("app", library)),
        (
            "src/lib.rs",
            "#[no_mangle]\npub extern \"C\" fn twice(number: i32) -> i32 { number * 2 }\n",
        ),
    ]);
    here_and_elsewhere(&mut lab, target, "app.wasm");
}

/// A program without a system, laid out by a script for the linker that cargo knows nothing of.
#[test]
fn a_layout_for_bare_metal_is_keyed() {
    let target = "thumbv7em-none-eabihf";
    if lacks_target("keys_link::a_layout_for_bare_metal_is_keyed", target) {
        return;
    }
    let layout = |at: &str| {
        format!("ENTRY(start)\nSECTIONS {{ . = {at}; .text : {{ *(.text .text.*) }} }}\n")
    };
    let mut lab = Lab::new(&[
        ("Cargo.toml", &package("app", "[workspace]\n")),
        (
            "src/main.rs",
            "#![no_std]\n#![no_main]\n#[panic_handler]\nfn panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n\
             #[no_mangle]\npub extern \"C\" fn start() -> ! { loop {} }\n",
        ),
        ("layout.x", &layout("0x8000000")),
        (
            ".cargo/config.toml",
            "[target.thumbv7em-none-eabihf]\nrustflags = [\"-Clink-arg=-Tlayout.x\"]\n",
        ),
    ]);
    let output = here_and_elsewhere(&mut lab, target, "app");
    let before = std::fs::read(lab.path(&output)).unwrap();
    lab.put("layout.x", &layout("0x8100000"));
    let build = ["build", "--target", target];
    lab.anew(&build).missed_for("app", ("read", "layout.x"));
    assert_ne!(std::fs::read(lab.path(&output)).unwrap(), before);
    lab.put("layout.x", &layout("0x8000000"));
    lab.anew(&build).only_hits();
    assert_eq!(std::fs::read(lab.path(&output)).unwrap(), before);
}
