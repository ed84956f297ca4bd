//! Compiles of C and runs of `ar`, one by one: what each depends on, and what it leaves.

use super::cc_lab::{COMPILERS, Lab};
use super::project::write_program;

fn lab() -> Lab {
    let lab = Lab::new();
    lab.put("Cargo.lock", "");
    lab.put("a.c", "#include \"a.h\"\nint a(void) { return A; }\n");
    lab.put("inc/a.h", "#define A 1\n");
    lab
}

#[test]
fn a_compile_is_reused_until_something_that_it_reads_changes() {
    for compiler in COMPILERS {
        let lab = lab();
        let line = format!("{compiler} -O1 -g -I inc -I late -c a.c -o a.o");
        assert_eq!(lab.fate(&line), "miss", "{compiler}");
        let object = lab.read("a.o");
        std::fs::remove_file(lab.path("a.o")).unwrap();
        assert_eq!(lab.fate(&line), "hit");
        assert_eq!(lab.read("a.o"), object);
        // Another output is the same object.
        assert_eq!(lab.fate(&line.replace("-o a.o", "-o b.o")), "hit");
        assert_eq!(lab.read("b.o"), object);

        lab.put("inc/a.h", "#define A 2\n");
        assert_eq!(lab.fate(&line), "miss");
        assert_ne!(lab.read("a.o"), object);
        lab.put("inc/a.h", "#define A 1\n");
        assert_eq!(lab.fate(&line), "hit", "what it was before is found again");
        assert_eq!(lab.fate(&line.replace("-O1", "-O2")), "miss");
        assert_eq!(lab.fate(&line.replace("-O1", "-O1 -DX")), "miss");
        // Under verification it is compiled again, and nothing else comes of it.
        let (done, fate) = lab.run_command(lab.command(&line).env("REKINDLE_VERIFY", "1"));
        done.ok();
        assert_eq!(fate, "miss");
        lab.put("unrelated.h", "");
        assert_eq!(lab.fate(&line), "hit");
    }
}

/// Compilers look at the directories above what they write.
#[test]
fn where_an_object_goes_is_no_input() {
    for compiler in COMPILERS {
        let lab = lab();
        let line = |to: &str| format!("{compiler} -g -I inc -c a.c -o {to}/deep/a.o");
        let make = |to: &str| std::fs::create_dir_all(lab.path(to).join("deep")).unwrap();
        make("one");
        assert_eq!(lab.fate(&line("one")), "miss", "{compiler}");
        std::fs::remove_dir_all(lab.path("one")).unwrap();
        make("two");
        assert_eq!(lab.fate(&line("two")), "hit", "{compiler}");
        // Where there is no directory the compiler says so, and nobody makes one.
        let (done, _) = lab.run_command(&mut lab.command(&line("three")));
        assert_ne!(done.code, Some(0), "{compiler}");
        assert!(!lab.path("three").exists(), "{compiler}");
    }
}

#[test]
fn a_header_that_appears_earlier_is_found() {
    for compiler in COMPILERS {
        let lab = lab();
        let line = format!("{compiler} -I early -I inc -c a.c -o a.o");
        std::fs::create_dir(lab.path("early")).unwrap();
        lab.fate(&line);
        let object = lab.read("a.o");
        lab.put("early/a.h", "#define A 3\n");
        assert_eq!(lab.fate(&line), "miss", "{compiler}");
        assert_ne!(lab.read("a.o"), object);
        // Beside the source is before all directories.
        lab.put("a.h", "#define A 4\n");
        assert_eq!(lab.fate(&line), "miss", "{compiler}");
        std::fs::remove_file(lab.path("a.h")).unwrap();
        assert_eq!(lab.fate(&line), "hit");
    }
}

#[test]
fn a_header_that_is_only_asked_for_is_an_input() {
    for compiler in COMPILERS {
        let lab = lab();
        lab.put(
            "b.c",
            "#if __has_include(\"opt.h\")\nint b = 1;\n#else\nint b = 2;\n#endif\n",
        );
        let line = format!("{compiler} -c b.c -o b.o");
        assert_eq!(lab.fate(&line), "miss");
        assert_eq!(lab.fate(&line), "hit");
        lab.put("opt.h", "");
        assert_eq!(lab.fate(&line), "miss", "{compiler}");
    }
}

#[test]
fn included_binaries_are_inputs() {
    for compiler in COMPILERS {
        let lab = lab();
        lab.put(
            "d.S",
            "#include \"inc/a.h\"\n.data\n.incbin \"blob\"\n.byte A\n",
        );
        lab.put(
            "e.c",
            "__asm__(\".data\\n.incbin \\\"blob\\\"\\n.text\\n\");\n",
        );
        for source in ["d.S", "e.c"] {
            lab.put("blob", "one");
            let line = format!("{compiler} -c {source} -o x.o");
            assert_eq!(lab.fate(&line), "miss", "{compiler} {source}");
            assert_eq!(lab.fate(&line), "hit", "{compiler} {source}");
            lab.put("blob", "two");
            assert_eq!(lab.fate(&line), "miss", "{compiler} {source}");
            let object = lab.read("x.o");
            assert!(object.windows(3).any(|bytes| bytes == b"two"));
        }
    }
}

#[test]
fn words_of_response_files_count() {
    let lab = lab();
    lab.put("outer.rsp", "-c @inner.rsp a.c\n");
    lab.put("inner.rsp", "'-DTEXT=\"a b\"' -I inc");
    let line = "gcc @outer.rsp -o a.o";
    assert_eq!(lab.fate(line), "miss");
    assert_eq!(lab.fate(line), "hit");
    lab.put("inner.rsp", "'-DTEXT=\"a c\"' -I inc");
    assert_eq!(lab.fate(line), "miss");
    // The same words are the same compile, wherever they stand.
    let command = &mut lab.command("gcc -c");
    command.args(["-DTEXT=\"a c\"", "-I", "inc", "a.c", "-o", "b.o"]);
    let (done, fate) = lab.run_command(command);
    done.ok();
    assert_eq!(fate, "hit");
}

#[test]
fn files_for_make_name_this_directory() {
    for compiler in COMPILERS {
        let mut lab = lab();
        let line = format!("{compiler} -I @HERE@/inc -MD -MF a.d -MT x -c a.c -o a.o");
        assert_eq!(lab.fate(&line), "miss");
        assert_eq!(lab.fate(&line), "hit");
        lab.moved("another/place");
        std::fs::remove_file(lab.path("a.d")).unwrap();
        assert_eq!(lab.fate(&line), "hit", "{compiler}");
        let listed = String::from_utf8(lab.read("a.d")).unwrap();
        let header = lab.path("inc/a.h");
        assert!(listed.contains(header.to_str().unwrap()), "{listed}");
        assert!(
            listed.starts_with("x:") && !listed.contains("one/ws"),
            "{listed}"
        );
    }
}

#[test]
fn split_debug_information_comes_back() {
    for compiler in COMPILERS {
        let lab = lab();
        let line = format!("{compiler} -g -gsplit-dwarf -I inc -c a.c -o out.o");
        assert_eq!(lab.fate(&line), "miss", "{compiler}");
        let debug = lab.read("out.dwo");
        std::fs::remove_file(lab.path("out.dwo")).unwrap();
        assert_eq!(lab.fate(&line), "hit", "{compiler}");
        assert_eq!(lab.read("out.dwo"), debug);
        assert_eq!(lab.fate(&line.replace("out.o", "other.o")), "miss");
    }
}

#[test]
fn warnings_are_said_again_and_errors_are_not_kept() {
    for compiler in COMPILERS {
        let mut lab = lab();
        lab.put("w.c", "int w(void) { int unused; return 0; }\n");
        let line = format!("{compiler} -Wall -c @HERE@/w.c -o w.o");
        let (first, _) = lab.run(&line);
        assert!(first.stderr.contains("unused"), "{}", first.stderr);
        let (again, fate) = lab.run(&line);
        assert_eq!((fate.as_str(), &again.stderr), ("hit", &first.stderr));
        lab.moved("another/place");
        let (moved, fate) = lab.run(&line);
        assert_eq!(fate, "hit");
        assert_eq!(
            moved.stderr,
            first.stderr.replace("one/ws", "another/place")
        );

        let broken = format!("{compiler} -Wall -Werror -c w.c -o w.o");
        for _ in 0..2 {
            let (done, fate) = lab.run(&broken);
            assert_eq!((done.code, fate.as_str()), (Some(1), "refused: failed"));
            assert!(!lab.path("w.o").exists(), "{compiler} leaves no object");
        }
    }
}

#[test]
fn variables_that_compilers_read_count() {
    for compiler in COMPILERS {
        let lab = lab();
        let line = format!("{compiler} -c a.c -o a.o");
        let run = |cpath: &str| {
            let (done, fate) = lab.run_command(lab.command(&line).env("CPATH", cpath));
            done.ok();
            fate
        };
        lab.put("other/a.h", "#define A 9\n");
        assert_eq!(run("inc"), "miss");
        assert_eq!(run("inc"), "hit");
        assert_eq!(run("other"), "miss", "{compiler}");
    }
}

#[test]
fn variables_that_only_lead_somewhere_do_not() {
    for compiler in COMPILERS {
        let lab = lab();
        lab.put("bin/x", "");
        let line = format!("{compiler} -g -I inc -c a.c -o a.o");
        assert_eq!(lab.fate(&line), "miss");
        let path = std::env::var("PATH").unwrap();
        let mut command = lab.command(&line);
        command.env("PATH", format!("{}:{path}", lab.path("bin").display()));
        command.env("LD_LIBRARY_PATH", lab.path("bin"));
        command.env("PWD", "/somewhere/else");
        command.env("TERM", "screen-of-mine");
        let (done, fate) = lab.run_command(&mut command);
        done.ok();
        assert_eq!(fate, "hit", "{compiler}");
        // Another name of the very directory goes into debug information.
        let alias = lab.path("../alias");
        std::os::unix::fs::symlink(lab.path(""), &alias).unwrap();
        let (done, fate) = lab.run_command(lab.command(&line).env("PWD", &alias));
        done.ok();
        assert_eq!(fate, "miss", "{compiler}");
    }
}

/// Compilers translate what they say.
#[test]
fn the_language_counts_where_something_is_said() {
    for compiler in COMPILERS {
        let lab = lab();
        lab.put("w.c", "#warning so\n");
        for (source, in_another) in [("a.c", "hit"), ("w.c", "miss")] {
            let line = format!("{compiler} -I inc -c {source} -o a.o");
            let run = |language: &str| {
                let (done, fate) = lab.run_command(lab.command(&line).env("LC_ALL", language));
                done.ok();
                fate
            };
            assert_eq!(run("C"), "miss", "{compiler} {source}");
            assert_eq!(run("C"), "hit", "{compiler} {source}");
            assert_eq!(run("C.UTF-8"), in_another, "{compiler} {source}");
            assert_eq!(run("xx_YY.UTF-8"), in_another, "{compiler} {source}");
        }
    }
}

#[test]
fn a_source_that_asks_for_the_time_is_compiled_each_time() {
    for compiler in COMPILERS {
        let lab = lab();
        lab.put("now.h", "#define NOW __DATE__ \" \" __TIME__\n");
        lab.put(
            "t.c",
            "#include \"now.h\"\nconst char *t(void) { return NOW; }\n",
        );
        lab.put("u.c", "#include \"now.h\"\n/* __TIME__ */ int u;\n");
        let line = format!("{compiler} -w -c t.c -o t.o");
        assert_eq!(lab.fate(&line), "refused: present", "{compiler}");
        assert_eq!(lab.fate(&line), "refused: present", "{compiler}");
        let unused = format!("{compiler} -c u.c -o u.o");
        assert_eq!(
            lab.fate(&unused),
            "miss",
            "only a comment and an unused macro"
        );
        assert_eq!(lab.fate(&unused), "hit");
        let fixed = |epoch: &str| {
            let (done, fate) = lab.run_command(lab.command(&line).env("SOURCE_DATE_EPOCH", epoch));
            done.ok();
            fate
        };
        if lab.knows_epoch(compiler) {
            assert_eq!(fixed("1000000000"), "miss", "{compiler}");
            assert_eq!(fixed("1000000000"), "hit");
            assert_eq!(fixed("1100000000"), "miss");
        } else {
            assert_eq!(fixed("1000000000"), "refused: present", "{compiler}");
        }
    }
}

#[test]
fn the_same_object_is_made_in_every_directory() {
    for compiler in COMPILERS {
        let mut lab = lab();
        let lines = [
            format!("{compiler} -g -I @HERE@/inc -c @HERE@/a.c -o a.o"),
            format!("{compiler} -g -I inc -c a.c -o a.o"),
        ];
        let mut objects = Vec::new();
        for line in &lines {
            assert_eq!(lab.fate(line), "miss");
            let object = lab.read("a.o");
            let here = lab.path("").display().to_string();
            let here = here.trim_end_matches('/');
            assert!(
                !object
                    .windows(here.len())
                    .any(|bytes| bytes == here.as_bytes())
            );
            objects.push(object);
        }
        lab.moved("another/longer/place");
        for (line, object) in lines.iter().zip(objects) {
            assert_eq!(lab.fate(line), "hit", "{compiler} {line}");
            assert_eq!(lab.read("a.o"), object);
        }
    }
}

#[test]
fn the_name_of_a_users_own_file_is_what_it_is_without_us() {
    for compiler in COMPILERS {
        let mut lab = lab();
        lab.put("f.c", "const char *f(void) { return __FILE__; }\n");
        // Its length is all that is left of the name.
        lab.put("g.c", "int g(void) { return sizeof __FILE__; }\n");
        lab.put("h.c", "int h(void) { return sizeof DIR; }\n");
        let lines = [
            format!("{compiler} -c @HERE@/f.c -o x.o"),
            format!("{compiler} -O1 -c @HERE@/g.c -o x.o"),
            format!("{compiler} -O1 -DDIR=\"@HERE@\" -c h.c -o x.o"),
        ];
        for line in &lines {
            assert_eq!(lab.fate(line), "miss");
            assert_eq!(lab.fate(line), "hit");
        }
        assert_eq!(lab.fate(&format!("{compiler} -c f.c -o f.o")), "miss");
        // A definition that nobody looks at is as any other word.
        let unused = format!("{compiler} -DDIR=\"@HERE@\" -I inc -c a.c -o a.o");
        assert_eq!(lab.fate(&unused), "miss");
        lab.moved("another/longer/place");
        for line in &lines {
            assert_eq!(lab.fate(line), "miss", "{compiler} {line}");
        }
        assert_eq!(lab.fate(&format!("{compiler} -c f.c -o f.o")), "hit");
        assert_eq!(lab.fate(&unused), "hit");
    }
}

#[test]
fn archives_are_reused_and_what_was_in_them_counts() {
    let lab = lab();
    lab.put("b.c", "int b;\n");
    for source in ["a", "b"] {
        lab.fate(&format!("gcc -I inc -c {source}.c -o {source}.o"));
    }
    for line in [
        "ar cq lib.a a.o b.o",
        "ar crs lib.a a.o",
        "ar cqD lib.a b.o",
        "ranlib lib.a",
    ] {
        let before = std::fs::read(lab.path("lib.a")).ok();
        assert_eq!(lab.fate(line), "miss", "{line}");
        let archive = lab.read("lib.a");
        match before {
            Some(bytes) => std::fs::write(lab.path("lib.a"), bytes).unwrap(),
            None => std::fs::remove_file(lab.path("lib.a")).unwrap(),
        }
        assert_eq!(lab.fate(line), "hit", "{line}");
        assert_eq!(lab.read("lib.a"), archive);
    }
    // Added to another archive, the same member gives another one.
    std::fs::remove_file(lab.path("lib.a")).unwrap();
    assert_eq!(lab.fate("ar cqD lib.a b.o"), "miss");
    lab.put("b.c", "int b = 2;\n");
    lab.fate("gcc -c b.c -o b.o");
    std::fs::remove_file(lab.path("lib.a")).unwrap();
    assert_eq!(lab.fate("ar cqD lib.a b.o"), "miss");
    let (done, fate) = lab.run("ar t lib.a");
    assert_eq!((done.stdout.as_str(), fate.as_str()), ("b.o\n", ""));
    assert_eq!(lab.fate("ar rcT thin.a a.o"), "refused: argument");
}

#[test]
fn what_is_no_plain_compile_runs_as_it_would() {
    let lab = lab();
    let (version, fate) = lab.run("gcc --version");
    assert!(version.ok().stdout.contains("Free Software") && fate.is_empty());
    assert_eq!(lab.fate("gcc -E -I inc a.c"), "");
    assert_eq!(lab.fate("gcc -I inc -shared a.c -o a.so"), "");
    assert_eq!(
        lab.fate("gcc --coverage -I inc -c a.c -o a.o"),
        "refused: argument"
    );
    assert!(lab.path("a.gcno").exists());
    let mut writing = lab.command("gcc -I inc -c a.c -o a.o");
    writing.env("DEPENDENCIES_OUTPUT", "made.d");
    assert_eq!(lab.run_command(&mut writing).1, "refused: command");
    assert!(lab.path("made.d").exists());
    lab.put("real.o", "");
    std::os::unix::fs::symlink("real.o", lab.path("link.o")).unwrap();
    assert_eq!(
        lab.fate("gcc -I inc -c a.c -o link.o"),
        "refused: odd_output"
    );
    assert!(!lab.read("real.o").is_empty(), "written through the link");
    let (missing, fate) = lab.run("no-such-gcc -c a.c -o a.o");
    assert_eq!((missing.code, fate.as_str()), (Some(127), ""));
}

#[test]
fn a_driver_that_does_not_start_its_compiler_is_not_believed() {
    let lab = lab();
    write_program(
        &lab.path("bin/gcc"),
        "#!/bin/sh\ncase \"$*\" in *--version*) exec /usr/bin/gcc \"$@\";; esac\n\
         for last; do :; done\necho object > \"$last\"\n",
    );
    let line = "@HERE@/bin/gcc -I inc -c a.c -o a.o";
    assert_eq!(lab.fate(line), "refused: command");
    assert_eq!(lab.read("a.o"), b"object\n");
}
