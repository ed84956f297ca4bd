//! A target directory in which outputs are placeholders works as one in which they are real, with cargo
//! and with `rekindle`, and reads no more bytes than it must.

use std::path::Path;
use std::process::Command;

use rekindle_events::Fate;

use crate::faults::{Checkout, Field, OUTPUT, shown};
use crate::project::{Done, has_clippy, skip};
use crate::stand_in::{StandIns, checkout, materialised, touch, unit, warnings};

const CHANGED_MAIN: &str =
    "fn main() { println!(\"{}! {} {}\", dep::word(), mac::answer!(), app::made()); }\n";

/// Builds, and puts placeholders in the place of everything.
fn stood_in<'a>(field: &'a Field, arguments: &[&str]) -> (Checkout<'a>, StandIns) {
    let one = checkout(field);
    one.rekindle(arguments).ok();
    let stand_ins = StandIns::put(field, &one);
    (one, stand_ins)
}

#[test]
fn nothing_is_read_where_nothing_changed() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build", "--all-targets"]);
    for name in [
        "libdep.rlib",
        "libdep.rmeta",
        "libmac.so",
        "app",
        "libseven.a",
    ] {
        stand_ins.path(name);
    }
    one.assert_fresh_for(&["build", "--all-targets"], "placeholders");
    stand_ins.assert_untouched("a build that found all fresh");
    assert_eq!(materialised(&field), 0);
    // A program that a person starts becomes real, under both of its names.
    assert_eq!(one.run_program(), OUTPUT);
    assert_eq!(stand_ins.real(), ["app"]);
    one.assert_fresh("a program was started");
    assert_eq!(stand_ins.real(), ["app"], "cargo linked it anew");
    let ex = one.path("target/debug/examples/ex");
    let done = Done::from(Command::new(ex).output().unwrap()).ok();
    assert_eq!(done.stdout, "word");
    one.assert_fresh("an example was started");
}

#[test]
fn a_changed_leaf_reads_what_it_is_linked_from() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    one.put("app/src/main.rs", CHANGED_MAIN);
    one.build_to("word! 42 made\n");
    let units = field.units();
    let app = unit(&units, "app", "bin");
    assert_eq!(app.fate, Fate::Miss, "{:#?}", shown(&units));
    assert!(
        app.materialised > 5 && app.materialised_bytes > 1000,
        "{app:?}"
    );
    assert!(app.times.materialise_us > 0);
    let stats = field.stats();
    assert_eq!(stats["bytes"]["materialised"], app.materialised_bytes);
    let real = stand_ins.real();
    for name in [
        "libapp.rlib",
        "libdep.rlib",
        "libaside.rlib",
        "libnative.rlib",
        "libmac.so",
    ] {
        assert!(real.contains(&name.to_owned()), "{name}: {real:?}");
    }
    // Not what the macro was linked from, nor scripts.
    for name in ["libparse.rlib", "libparse.rmeta", "build_script_build"] {
        assert!(!real.contains(&name.to_owned()), "{name}: {real:?}");
    }
    one.assert_fresh("a leaf was compiled");
    field.assert_sound("after that");
    // Another checkout takes what was stored.
    let two = crate::stand_in::checkout_at(&field, "two");
    two.put("app/src/main.rs", CHANGED_MAIN);
    two.build_to("word! 42 made\n");
    let units = field.units();
    assert_eq!(
        unit(&units, "app", "bin").fate,
        Fate::Hit,
        "{:#?}",
        shown(&units)
    );
}

#[test]
fn metadata_is_enough_for_a_library_and_for_a_check() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    one.put(
        "app/src/lib.rs",
        "pub fn made() -> &'static str { let _ = dep::word(); \"made\" }\n",
    );
    one.rekindle(&["build", "--lib"]).ok();
    let units = field.units();
    assert_eq!(units.len(), 1, "{:#?}", shown(&units));
    let real = stand_ins.real();
    let expected = [
        "libapp.rlib",
        "libapp.rmeta",
        "libaside.rmeta",
        "libdep.rmeta",
        "libmac.so",
        "libnative.rmeta",
    ];
    // Search directories of `native` are handed on, so the archive may be bundled.
    let real: Vec<&str> = real
        .iter()
        .map(String::as_str)
        .filter(|name| !name.contains("seven") && *name != "six.o")
        .collect();
    assert_eq!(real, expected);

    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["check"]);
    one.put("app/src/main.rs", CHANGED_MAIN);
    one.rekindle(&["check"]).ok();
    one.assert_fresh_for(&["check"], "checked");
    assert!(!stand_ins.real().contains(&"libparse.rlib".to_owned()));
    if has_clippy() {
        one.rekindle(&["clippy"]).ok();
        let stand_ins = StandIns::put(&field, &one);
        touch(&one.path("app/src/main.rs"));
        one.put(
            "app/src/lib.rs",
            "pub fn made() -> &'static str { dep::word() }\n",
        );
        one.rekindle(&["clippy"]).ok();
        assert!(stand_ins.real().contains(&"libdep.rmeta".to_owned()));
    }
}

#[test]
fn a_hit_needs_no_bytes() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    for file in [
        "app/src/main.rs",
        "dep/src/lib.rs",
        "native/src/lib.rs",
        "mac/src/lib.rs",
    ] {
        touch(&one.path(file));
    }
    one.rekindle(&["build"]).ok();
    let units = field.units();
    assert_eq!(units.len(), 5, "{:#?}", shown(&units));
    assert!(
        units.iter().all(|unit| unit.fate == Fate::Hit),
        "{:#?}",
        shown(&units)
    );
    assert_eq!(materialised(&field), 0);
    let real = stand_ins.real();
    for name in [
        "libseven.a",
        "libparse.rmeta",
        "libparse.rlib",
        "libaside.rlib",
    ] {
        assert!(!real.contains(&name.to_owned()), "{name}: {real:?}");
    }
    assert_eq!(one.run_program(), OUTPUT);
    one.assert_fresh("restored over placeholders");
    field.assert_sound("after that");
}

/// What becomes real just before a compile has a new change time, but was not changed.
#[test]
fn a_c_library_is_bundled_from_a_placeholder_and_what_it_makes_is_stored() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    let source = "unsafe extern \"C\" { #[link_name = \"seven\"] fn c_seven() -> i32; }\n\
                  pub fn seven() -> i32 { let seven = unsafe { c_seven() }; seven }\n";
    one.put("native/src/lib.rs", source);
    one.build();
    let units = field.units();
    assert!(
        units.iter().all(|unit| unit.fate == Fate::Miss),
        "{:#?}",
        shown(&units)
    );
    assert!(stand_ins.real().contains(&"libseven.a".to_owned()));
    one.assert_fresh("a library with C in it was compiled");
    let two = crate::stand_in::checkout_at(&field, "two");
    two.put("native/src/lib.rs", source);
    two.build();
    let units = field.units();
    assert_eq!(
        unit(&units, "native", "lib").fate,
        Fate::Hit,
        "{:#?}",
        shown(&units)
    );
}

/// cargo starts scripts itself: the kernel starts the launcher, which runs the program beside its placeholder.
/// This one reads what another made.
#[test]
fn a_build_script_finds_what_it_reads() {
    for plain in [true, false] {
        let field = Field::new();
        let (one, stand_ins) = stood_in(&field, &["build"]);
        one.put("app/made.txt", "made anew\n");
        if plain {
            // Nothing but the script can run: its crates are compiled after it, from placeholders.
            let done = one.cargo(&["build"]);
            assert_eq!(done.code, Some(101), "{}", done.stderr);
        } else {
            one.build_to("word 42 made anew\n");
            assert!(materialised(&field) > 2);
            one.assert_fresh("a script ran");
        }
        let real = stand_ins.real();
        assert!(real.contains(&"libseven.a".to_owned()), "{real:?}");
        assert!(!real.contains(&"build_script_build".to_owned()), "{real:?}");
    }
}

/// A script that is compiled is a placeholder as soon as it is stored.
#[test]
fn a_changed_build_script_finds_what_others_made() {
    for hits in [false, true] {
        let field = Field::new();
        let (one, _) = stood_in(&field, &["build"]);
        let script = std::fs::read_to_string(one.path("app/build.rs")).unwrap();
        let text = script.replace("made.trim()", "made.trim().to_uppercase()");
        if hits {
            one.put("app/build.rs", &text);
            one.rekindle(&["build"]).ok();
            one.put("app/build.rs", &script);
            one.rekindle(&["build"]).ok();
            StandIns::put(&field, &one);
        }
        one.put("app/build.rs", &text);
        one.build_to("word 42 MADE\n");
        let units = field.units();
        let fate = if hits { Fate::Hit } else { Fate::Miss };
        let script = unit(&units, "build_script_build", "build-script");
        assert_eq!(script.fate, fate, "{:#?}", shown(&units));
        assert_eq!(script.materialised, 0, "its launcher does it");
        assert!(hits || materialised(&field) > 0);
    }
}

#[test]
fn tests_and_examples_are_launched() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["test", "--all-targets", "--no-run"]);
    // Nothing is to be compiled, so a plain cargo can do it too.
    let done = one.cargo(&["test", "--all-targets"]).ok();
    assert!(done.stdout.contains("1 passed"), "{}", done.stdout);
    let real = stand_ins.real();
    for name in ["it", "app"] {
        assert!(real.contains(&name.to_owned()), "{name}: {real:?}");
    }
    // Two names of one file.
    let inode = |path: &std::path::Path| rekindle_fsx::stat(path).unwrap().ino;
    let linked = one.outputs("deps", "app-", "").into_iter();
    let mut linked = linked.map(|path| inode(&path));
    assert!(linked.any(|number| number == inode(&one.path("target/debug/app"))));
    let done = one.rekindle(&["test", "--all-targets"]).ok();
    assert!(done.stdout.contains("1 passed"), "{}", done.stdout);
    assert!(!stand_ins.real().contains(&"build_script_build".to_owned()));
    one.assert_fresh_for(&["test", "--all-targets", "--no-run"], "tests ran");
}

/// cargo finds fresh what stands for objects that nobody has, as long as nothing reads it.
#[test]
fn what_cannot_be_materialised_is_built_next() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    std::fs::remove_dir_all(&field.store).unwrap();
    one.assert_fresh("the store was emptied");
    let failed = one.rekindle(&["materialise"]);
    assert_eq!(failed.code, Some(3), "{}", failed.stderr);
    let told = "stands for an object that is gone";
    assert!(failed.stderr.contains(told), "{}", failed.stderr);
    one.cargo(&["build"]).ok();
    assert_eq!(one.run_program(), OUTPUT);
    assert!(stand_ins.real().contains(&"libdep.rlib".to_owned()));
    one.rekindle(&["materialise"]).ok();
    one.assert_fresh_for_cargo("all was built");
}

#[test]
fn rustdoc_reads_what_it_needs() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["test", "--no-run"]);
    let done = one.rekindle(&["doc", "--no-deps", "-p", "app"]).ok();
    assert!(
        one.path("target/doc/app/index.html").exists(),
        "{}",
        done.stderr
    );
    let real = stand_ins.real();
    assert!(!real.contains(&"libdep.rlib".to_owned()), "{real:?}");
    let done = one.rekindle(&["test", "--doc"]).ok();
    assert!(done.stdout.contains("1 passed"), "{}", done.stdout);
    assert!(materialised(&field) > 0);
    let real = stand_ins.real();
    assert!(real.contains(&"libdep.rlib".to_owned()), "{real:?}");
    // cargo does not see that something stood in for rustdoc.
    one.assert_fresh_for(&["test", "--no-run"], "documented");
    let done = one.cargo(&["doc", "--no-deps", "-p", "app"]).ok();
    assert!(!done.stderr.contains("Documenting"), "{}", done.stderr);
}

#[test]
fn a_users_own_rustdoc_is_the_one_that_is_started() {
    let field = Field::new();
    let one = checkout(&field);
    let own = one.path("own/rustdoc");
    one.put(
        "own/rustdoc",
        "#!/bin/sh\necho started >> \"$OWN_LOG\"\nexec rustdoc \"$@\"\n",
    );
    rekindle_fsx::set_mode(&own, 0o755).unwrap();
    let log = one.path("log");
    let one = one.with("OWN_LOG", log.display().to_string());
    let doc = |one: &Checkout<'_>| one.rekindle(&["doc", "--no-deps", "-p", "aside"]).ok();
    doc(&one);
    assert!(!log.exists());
    one.put(".cargo/config.toml", "[build]\nrustdoc = 'own/rustdoc'\n");
    touch(&one.path("aside/src/lib.rs"));
    doc(&one);
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 1);
    std::fs::remove_file(one.path(".cargo/config.toml")).unwrap();
    touch(&one.path("aside/src/lib.rs"));
    let one = one.with("RUSTDOC", own.display().to_string());
    doc(&one);
    assert_eq!(std::fs::read_to_string(&log).unwrap().lines().count(), 2);
}

/// Whatever reads a placeholder without us fails, and what it names leads to an explanation.
#[test]
fn a_plain_cargo_fails_and_names_a_placeholder() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    touch(&one.path("app/src/main.rs"));
    let done = one.cargo(&["build"]);
    assert_eq!(done.code, Some(101));
    assert!(
        done.stderr.contains("target/debug/deps/lib"),
        "{}",
        done.stderr
    );
    stand_ins.assert_untouched("by a plain cargo");
    let text = std::fs::read(stand_ins.path("libdep.rlib")).unwrap();
    assert!(String::from_utf8_lossy(&text).contains("build with `rekindle`"));
    one.build();
    one.assert_fresh("rekindle made it good");
}

/// rustc names the compiler that made a crate, where that is another one: a placeholder's says what to do.
#[test]
fn rustc_says_what_to_do_about_a_placeholder() {
    const TEST: &str = "rustc_says_what_to_do_about_a_placeholder";
    let field = Field::new();
    let one = checkout(&field);
    one.rekindle(&["build"]).ok();
    let real = std::fs::read(one.output("deps", "libdep-", ".rmeta")).unwrap();
    let stand_ins = StandIns::put(&field, &one);
    let put = std::fs::read(stand_ins.path("libdep.rmeta")).unwrap();
    if put[..8] != real[..8] {
        return skip(TEST, "this rustc's metadata has another version");
    }
    one.put("reads.rs", "extern crate dep; fn main() {}\n");
    one.put("expands.rs", "extern crate mac; fn main() {}\n");
    for (source, name) in [
        ("reads.rs", "libdep.rmeta"),
        ("reads.rs", "libdep.rlib"),
        ("expands.rs", "libmac.so"),
    ] {
        let path = stand_ins.path(name).display();
        let given = format!("--extern={}={path}", &name[3..6]);
        let words = [source, "--out-dir=elsewhere", &given];
        let done: Done = one.command("rustc", &words).output().unwrap().into();
        assert_ne!(done.code, Some(0), "{name}");
        let said = done.stderr;
        assert!(
            said.contains("E0514") && said.contains("`rekindle materialise`"),
            "{said}"
        );
    }
}

/// Not by a linker either: mold passes over what it does not know in an archive.
#[test]
fn no_linker_takes_a_placeholder_for_a_library() {
    const TEST: &str = "no_linker_takes_a_placeholder_for_a_library";
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    one.put("main.c", "int main(void) { return 0; }\n");
    for linker in ["bfd", "gold", "lld", "mold"] {
        let links = |more: &[&Path]| {
            let words = ["main.c", "-o", "main", &format!("-fuse-ld={linker}")];
            let mut cc = one.command("cc", &words);
            cc.args(more).output().unwrap().status.success()
        };
        if !links(&[]) {
            skip(TEST, &format!("{linker} is not installed"));
            continue;
        }
        for name in ["libdep.rlib", "libdep.rmeta", "libmac.so"] {
            assert!(!links(&[stand_ins.path(name)]), "{linker} takes {name}");
        }
    }
}

#[test]
fn lost_objects_are_built_anew_the_next_time() {
    for name in ["libdep.rmeta", "libseven.a", "libmac.so"] {
        let field = Field::new();
        let (one, stand_ins) = stood_in(&field, &["build"]);
        let placeholder = rekindle_outputs::placeholder::Placeholder::read(stand_ins.path(name));
        let digest = placeholder.unwrap().unwrap().digest.to_hex();
        let object = field
            .store
            .join("v1/objects")
            .join(&digest[..1])
            .join(&digest[1..]);
        std::fs::remove_file(object).unwrap();
        one.put("app/src/main.rs", CHANGED_MAIN);
        if name == "libseven.a" {
            // It is read where it is bundled.
            let text = std::fs::read_to_string(one.path("native/src/lib.rs")).unwrap();
            one.put("native/src/lib.rs", &format!("{text}pub fn more() {{}}\n"));
        }
        // A plain cargo with the wrapper ends there.
        let done = one.wrapped(&["build"]);
        assert_eq!(done.code, Some(101), "{name}: {}", done.stderr);
        let (stem, end) = name.split_once('.').unwrap();
        let said = done.stderr.lines().any(|line| {
            line.contains(stem)
                && line.contains(&format!(".{end}` stands for an object that is gone"))
        });
        assert!(said, "{}", done.stderr);
        let ids: Vec<String> = warnings(&field)
            .into_iter()
            .map(|warning| warning.id)
            .collect();
        assert!(ids.contains(&"placeholder-lost".to_owned()), "{ids:?}");
        assert!(!rekindle_fsx::exists(stand_ins.path(name)));
        one.build_to("word! 42 made\n");
        one.assert_fresh("built anew");
        field.assert_sound("after a loss");
    }
}

#[test]
fn a_lost_object_costs_a_second_run_of_cargo() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    // Behind each other, so that the second is wanted only when the first is there again.
    field.lose(stand_ins.path("libdep.rmeta"));
    field.lose(stand_ins.path("libnative.rlib"));
    one.put("app/src/main.rs", CHANGED_MAIN);
    one.rekindle(&["build"]).ok();
    assert_eq!(one.run_program(), "word! 42 made\n");
    let ids: Vec<String> = warnings(&field)
        .into_iter()
        .map(|warning| warning.id)
        .collect();
    assert!(ids.contains(&"placeholder-lost".to_owned()), "{ids:?}");
    one.assert_fresh("built anew");
}

#[test]
fn a_program_is_launched_by_many_at_once() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    let children: Vec<_> = (0..20)
        .map(|number| {
            Command::new(one.path("target/debug/app"))
                .arg(number.to_string())
                .stdout(std::process::Stdio::piped())
                .stderr(std::process::Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    for child in children {
        let done = Done::from(child.wait_with_output().unwrap()).ok();
        assert_eq!(done.stdout, OUTPUT);
    }
    assert_eq!(stand_ins.real(), ["app"]);
    let left = std::fs::read_dir(one.path("target/debug")).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(
        left.filter(|name| name.starts_with(".rekindle-")).count(),
        0
    );
    one.assert_fresh("launched");
}

#[test]
fn a_program_keeps_its_name_its_arguments_and_its_exit_code() {
    let field = Field::new();
    let one = checkout(&field);
    one.put(
        "app/src/main.rs",
        "fn main() {\n    for word in std::env::args_os() { println!(\"{word:?}\"); }\n    \
         println!(\"{:?}\", std::env::var_os(\"MARK\"));\n    std::process::exit(7);\n}\n",
    );
    one.rekindle(&["build"]).ok();
    let say = || {
        let mut command = Command::new("./app");
        command
            .args(["--rekindle-launch", "a b", ""])
            .env("MARK", "here");
        let done = Done::from(
            command
                .current_dir(one.path("target/debug"))
                .output()
                .unwrap(),
        );
        assert_eq!(done.code, Some(7), "{}", done.stderr);
        done.stdout
    };
    let before = say();
    StandIns::put(&field, &one);
    assert_eq!(say(), before);
    assert!(before.starts_with("\"./app\"\n"), "{before}");
}

#[test]
fn a_lost_program_says_so_and_is_linked_again() {
    let field = Field::new();
    let (one, _) = stood_in(&field, &["build"]);
    for file in field.files("objects") {
        std::fs::write(file, b"damaged").unwrap();
    }
    let done = Done::from(Command::new(one.path("target/debug/app")).output().unwrap());
    assert_eq!(done.code, Some(101));
    assert!(
        done.stderr.contains("damaged in the store"),
        "{}",
        done.stderr
    );
    assert!(!rekindle_fsx::exists(&one.path("target/debug/app")));
    one.rekindle(&["build"]).ok();
    assert_eq!(one.run_program(), OUTPUT);
}

/// Verified hits start compilers, too.
#[test]
fn a_verified_hit_reads_what_its_compiler_needs() {
    let field = Field::new();
    let (one, _) = stood_in(&field, &["build"]);
    for file in ["app/src/main.rs", "dep/src/lib.rs"] {
        touch(&one.path(file));
    }
    let one = one.with("REKINDLE_VERIFY", "1");
    one.rekindle(&["build"]).ok();
    let units = field.units();
    assert!(!units.is_empty());
    assert!(
        units.iter().all(|unit| unit.verified == Some(true)),
        "{units:#?}"
    );
}

/// A failed compile leaves no placeholder of its own: a linker that writes in place would write into
/// every other name of it.
#[test]
fn a_compiler_finds_no_placeholder_where_it_writes() {
    let field = Field::new();
    let (one, stand_ins) = stood_in(&field, &["build"]);
    one.put("app/src/main.rs", "fn main() { nonsense }\n");
    assert_eq!(one.rekindle(&["build"]).code, Some(101));
    let own: Vec<_> = one
        .outputs("deps", "app-", "")
        .into_iter()
        .filter(|path| path.extension().is_none())
        .collect();
    assert_eq!(own, [""; 0].map(std::path::PathBuf::from));
    assert!(stand_ins.path("libapp.rlib").exists());
    one.put("app/src/main.rs", CHANGED_MAIN);
    one.build_to("word! 42 made\n");
}

/// A unit that no store can serve is compiled all the same, from real files.
#[test]
fn an_uncacheable_unit_reads_what_it_needs() {
    let field = Field::new();
    let (one, _) = stood_in(&field, &["build"]);
    // Uncacheable by its argument, which cargo's fingerprint does not hold.
    let mut command = one.command(
        env!("CARGO_BIN_EXE_rekindle"),
        &["rustc", "-p", "app", "--bin", "app", "--", "--emit=asm"],
    );
    let done = Done::from(command.output().unwrap()).ok();
    let units = field.units();
    let app = unit(&units, "app", "");
    assert_eq!(app.fate, Fate::Uncacheable, "{}", done.stderr);
    assert!(app.materialised > 0);
}

#[test]
fn the_newer_layout_works_the_same() {
    let newer = ["+nightly", "-Zbuild-dir-new-layout"];
    let asked = Command::new("cargo").args(newer).arg("--version").output();
    if !asked.unwrap().status.success() {
        return skip(
            "the_newer_layout_works_the_same",
            "no nightly cargo with -Zbuild-dir-new-layout",
        );
    }
    let field = Field::new();
    let line = |command: &[&'static str]| [&newer[..1], command, &newer[1..]].concat();
    let (one, stand_ins) = stood_in(&field, &line(&["build", "--all-targets"]));
    stand_ins.path("libseven.a");
    one.rekindle(&line(&["build", "--all-targets"])).ok();
    stand_ins.assert_untouched("found fresh");
    let test = |file: &str| stand_ins.path(file).to_owned();
    let output = Command::new(test("it")).output().unwrap();
    assert!(Done::from(output).ok().stdout.contains("1 passed"));
    assert!(stand_ins.real().contains(&"app".to_owned()));
    one.put("app/src/main.rs", CHANGED_MAIN);
    one.put("app/made.txt", "made anew\n");
    one.rekindle(&line(&["build", "--all-targets"])).ok();
    assert_eq!(one.run_program(), "word! 42 made anew\n");
    let real = stand_ins.real();
    for name in ["libseven.a", "libdep.rlib", "libmac.so"] {
        assert!(real.contains(&name.to_owned()), "{name}: {real:?}");
    }
    assert!(!real.contains(&"libparse.rlib".to_owned()), "{real:?}");
    // Once lost, built anew.
    let stand_ins = StandIns::put(&field, &one);
    field.lose(stand_ins.path("libdep.rmeta"));
    touch(&one.path("app/src/main.rs"));
    one.put(
        "app/src/lib.rs",
        "pub fn made() -> &'static str { dep::word() }\n",
    );
    let done = one.wrapped(&line(&["build", "--all-targets"]));
    assert_eq!(done.code, Some(101), "{}", done.stderr);
    one.rekindle(&line(&["build", "--all-targets"])).ok();
    assert_eq!(one.run_program(), "word! 42 word\n");
}
