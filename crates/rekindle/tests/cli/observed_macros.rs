//! What a macro reads without telling anyone is an input: it misses when that changed, and only then.

use std::path::Path;
use std::time::Instant;

use crate::keys::{Lab, Run};
use crate::keys_macros::lab;
use crate::project::write_program;

/// A macro of which `$body` gives text, from a directory `dir` outside of every package.
fn reader(body: &str) -> Lab {
    let lab = lab(&format!("format!(\"{{:?}}\", {body}).parse().unwrap()"));
    std::fs::create_dir_all(lab.outside("data")).unwrap();
    lab
}

fn path(lab: &Lab, name: &str) -> String {
    lab.outside("data").join(name).display().to_string()
}

/// A lab whose macro reads in its `data` directory, named in the source as `DATA`.
fn at(body: &str) -> Lab {
    let lab = reader(body);
    let data = lab.outside("data").display().to_string();
    let text = std::fs::read_to_string(lab.path("mac/src/lib.rs")).unwrap();
    lab.put("mac/src/lib.rs", &text.replace("DATA", &data));
    lab
}

fn built(lab: &Lab) {
    let run = lab.run(&["build"]);
    assert_eq!(run.unit("app")["observed"], true, "{:#}", run.unit("app"));
    // A unit that no macro reaches is not observed.
    assert_eq!(run.unit("mac")["observed"], serde_json::Value::Null);
}

fn content_of_file_is_keyed(lab: &mut Lab) {
    let file = path(lab, "file");
    std::fs::write(&file, "one").unwrap();
    built(lab);
    let (after, _) = lab.check(
        "app",
        ("read", "data/file"),
        |_| std::fs::write(&file, "two").unwrap(),
        |_| std::fs::write(&file, "one").unwrap(),
    );
    assert_eq!(after, "two\n");
}

/// A target directory on another disk, mostly; a macro may go through it, as the compiler does.
#[test]
fn a_target_that_is_a_link_is_the_same_wherever_it_leads() {
    let lab = lab("\"1\".parse().unwrap()");
    for (name, is_first) in [("one", true), ("two", false)] {
        let target = lab.outside(format!("targets/{name}"));
        std::fs::create_dir_all(&target).unwrap();
        let _ = std::fs::remove_file(lab.path("target"));
        std::os::unix::fs::symlink(&target, lab.path("target")).unwrap();
        if !is_first {
            std::fs::remove_dir_all(lab.outside("targets/one")).unwrap();
        }
        let run = lab.run(&["build"]);
        if !is_first {
            run.only_hits();
        }
        assert_eq!(lab.app(), "1\n");
    }
}

#[test]
fn a_file_that_a_macro_reads() {
    let mut lab = at("std::fs::read_to_string(\"DATA/file\").unwrap()");
    content_of_file_is_keyed(&mut lab);
}

#[test]
fn a_file_in_the_package_is_the_same_input_elsewhere() {
    let mut lab = lab(
        "let file = format!(\"{}/text\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap());\n\
         format!(\"{:?}\", std::fs::read_to_string(file).unwrap()).parse().unwrap()",
    );
    lab.put("app/text", "one");
    built(&lab);
    let other = lab.outside("other");
    lab.move_to(other);
    lab.anew(&["build"]).only_hits();
    lab.put("app/text", "two");
    let run = lab.anew(&["build"]);
    run.missed_for("app", ("read", "{workspace}/app/text"));
    assert_eq!(lab.app(), "two\n");
}

#[test]
fn a_missing_file_that_appears() {
    let mut lab = at("std::fs::read_to_string(\"DATA/file\").unwrap_or_default()");
    let file = path(&lab, "file");
    built(&lab);
    let (after, _) = lab.check(
        "app",
        ("looked", "data/file"),
        |_| std::fs::write(&file, "there").unwrap(),
        |_| std::fs::remove_file(&file).unwrap(),
    );
    assert_eq!(after, "there\n");
}

/// Somebody makes it after the macro has looked and before the compile has ended.
/// Builds with a macro that looks at something in `DATA`, changes it before its compile ends where it is as it was `before`, and
/// gives the run of another build after that.
fn changed_meanwhile(look: &str, before: &str, prepare: fn(&Path), change: fn(&Path)) -> Run {
    // A descriptor's state is none that is seen, so the macro waits for a change of a directory, once it has said that it looked.
    let body = "{ let seen = LOOK; \
        if seen == \"BEFORE\" { \
            let wait = std::fs::File::open(\"DATA/wait\").unwrap(); \
            let state = || wait.metadata().unwrap().modified().unwrap(); \
            let before = state(); \
            std::fs::write(\"TARGET/looked\", \"\").unwrap(); \
            let begin = std::time::Instant::now(); \
            while state() == before && begin.elapsed().as_secs() < 60 { \
                std::thread::sleep(std::time::Duration::from_millis(5)); \
            } \
        } seen }";
    let lab = at(&body.replace("LOOK", look).replace("BEFORE", before));
    let text = std::fs::read_to_string(lab.path("mac/src/lib.rs")).unwrap();
    let target = lab.path("target").display().to_string();
    lab.put("mac/src/lib.rs", &text.replace("TARGET", &target));
    let data = lab.outside("data");
    std::fs::create_dir(data.join("wait")).unwrap();
    prepare(&data);
    let looked = lab.path("target/looked");
    let other = std::thread::spawn(move || {
        let begin = Instant::now();
        while !looked.exists() && begin.elapsed().as_secs() < 60 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        change(&data);
        std::fs::write(data.join("wait/go"), "").unwrap();
    });
    built(&lab);
    other.join().unwrap();
    assert_eq!(lab.app(), format!("{before}\n"));
    let run = lab.anew(&["build"]);
    assert_eq!(lab.app(), "after\n");
    run
}

#[test]
fn a_missing_file_that_appears_while_it_is_compiled() {
    let run = changed_meanwhile(
        "std::fs::read_to_string(\"DATA/late\").unwrap_or_default()",
        "",
        |_| {},
        |data| std::fs::write(data.join("late"), "after").unwrap(),
    );
    run.missed_for("app", ("looked", "data/late"));
}

/// As the migrations that sqlx puts into a program.
#[test]
fn a_directory_that_changes_while_it_is_compiled() {
    let look = "{ let mut names = std::fs::read_dir(\"DATA/listed\").unwrap(); \
        names.next().map(|name| name.unwrap().file_name().into_string().unwrap()).unwrap_or_default() }";
    let run = changed_meanwhile(
        look,
        "",
        |data| std::fs::create_dir(data.join("listed")).unwrap(),
        |data| std::fs::write(data.join("listed/after"), "").unwrap(),
    );
    assert_eq!(run.fate("app"), "miss");
}

#[test]
fn a_link_that_changes_while_it_is_compiled() {
    let run = changed_meanwhile(
        "std::fs::read_link(\"DATA/link\").unwrap().into_os_string().into_string().unwrap()",
        "before",
        |data| std::os::unix::fs::symlink("before", data.join("link")).unwrap(),
        |data| {
            std::fs::remove_file(data.join("link")).unwrap();
            std::os::unix::fs::symlink("after", data.join("link")).unwrap();
        },
    );
    assert_eq!(run.fate("app"), "miss");
}

#[test]
fn a_directory_that_a_macro_lists() {
    let mut lab = at("std::fs::read_dir(\"DATA\").unwrap().count()");
    let file = path(&lab, "file");
    built(&lab);
    let (after, _) = lab.check(
        "app",
        ("listing", "data"),
        |_| std::fs::write(&file, "there").unwrap(),
        |_| std::fs::remove_file(&file).unwrap(),
    );
    assert_eq!(after, "1\n");
}

#[test]
fn a_link_that_leads_elsewhere() {
    let mut lab = at("std::fs::read_to_string(\"DATA/link\").unwrap()");
    for name in ["one", "two"] {
        std::fs::write(path(&lab, name), name).unwrap();
    }
    let link = path(&lab, "link");
    let lead = |to: &str| {
        let _ = std::fs::remove_file(&link);
        std::os::unix::fs::symlink(to, &link).unwrap();
    };
    lead("one");
    built(&lab);
    let (after, _) = lab.check(
        "app",
        ("link", "data/link"),
        |_| lead("two"),
        |_| lead("one"),
    );
    assert_eq!(after, "two\n");
}

#[test]
fn a_variable_that_a_macro_reads() {
    let mut lab = reader("std::env::var(\"DATABASE_URL\").unwrap_or_default()");
    built(&lab);
    let (after, _) = lab.check(
        "app",
        ("env", "DATABASE_URL"),
        |lab| lab.set("DATABASE_URL", "secret-in-the-url"),
        |lab| lab.unset("DATABASE_URL"),
    );
    assert_eq!(after, "secret-in-the-url\n");
    // Its value is in the program, and nowhere in what is said of it.
    lab.set("DATABASE_URL", "another-secret");
    lab.anew(&["build"]);
    let holds = |bytes: &[u8]| bytes.windows(14).any(|part| part == b"another-secret");
    for (file, bytes) in lab.store_files() {
        let is_object = file.components().any(|part| part.as_os_str() == "objects");
        assert!(is_object || !holds(&bytes), "{}", file.display());
    }
    // Others do not matter.
    lab.set("OTHER", "1");
    lab.anew(&["build"]).only_hits();
}

#[test]
fn all_variables() {
    let mut lab =
        reader("std::env::vars().filter(|(name, _)| name.starts_with(\"MINE_\")).count()");
    built(&lab);
    let (after, _) = lab.check(
        "app",
        ("env", "MINE_1"),
        |lab| lab.set("MINE_1", "x"),
        |lab| lab.unset("MINE_1"),
    );
    assert_eq!(after, "1\n");
}

/// A macro that starts a program with a changed environment could read all, and does not.
#[test]
fn variables_that_a_macro_only_hands_on() {
    let mut lab = reader(
        "std::process::Command::new(\"cat\").arg(\"/dev/null\").env(\"OWN\", \"x\").status().unwrap().to_string()",
    );
    lab.set("GREETING", "one");
    built(&lab);
    lab.set("GREETING", "two");
    lab.anew(&["build"]).only_hits();
}

/// A library of macros says what it does with its variables by its symbols, and so does a build script. A profile that strips
/// strips these as well.
#[test]
fn what_is_stripped_only_hands_on_as_well() {
    let mut lab = reader(
        "std::process::Command::new(\"cat\").arg(\"/dev/null\").env(\"OWN\", \"x\").status().unwrap().to_string()",
    );
    let manifest = std::fs::read_to_string(lab.path("Cargo.toml")).unwrap();
    lab.put(
        "Cargo.toml",
        &format!("{manifest}[profile.dev]\nstrip = true\n"),
    );
    lab.put(
        "app/build.rs",
        "fn main() { assert!(std::process::Command::new(\"true\").env(\"OWN\", \"x\").status().unwrap().success()); }\n",
    );
    lab.set("GREETING", "one");
    built(&lab);
    lab.set("GREETING", "two");
    let run = lab.anew(&["build"]);
    run.only_hits();
    let scripts = run
        .events
        .iter()
        .filter(|event| event["kind"] == "build-script");
    let fates: Vec<&serde_json::Value> = scripts
        .filter(|event| event["event"] == "step")
        .map(|event| &event["fate"])
        .collect();
    assert_eq!(fates, ["hit"]);
    // The program itself is what its profile says.
    let program = std::fs::read(lab.path("target/debug/app")).unwrap();
    assert!(!program.windows(7).any(|part| part == b".symtab"));
}

/// `PATH` counts by what it leads to: a macro starts `name`, found in `directory`, or nowhere. Then directories come before, first
/// without the program, then with one.
fn started(body: &str, name: &str, directory: Option<&Path>) -> (String, String) {
    let mut lab = reader(body);
    let searched = std::env::var_os("PATH").unwrap();
    let path = |lab: &Lab, more: &[&str]| {
        let more = more.iter().map(|directory| lab.outside(directory));
        let known = directory.map(Path::to_owned).into_iter();
        let searched = std::env::split_paths(&searched);
        std::env::join_paths(more.chain(known).chain(searched)).unwrap()
    };
    let program = |lab: &Lab, name: &str| {
        write_program(&lab.outside("earlier").join(name), "#!/bin/sh\necho two\n");
    };
    let before = path(&lab, &[]);
    lab.set("PATH", before);
    built(&lab);
    let said = lab.app();
    program(&lab, "unrelated");
    let after = path(&lab, &["earlier"]);
    lab.set("PATH", after);
    lab.anew(&["build"]).only_hits();
    let (after, _) = lab.check(
        "app",
        ("program", name),
        |lab| program(lab, name),
        |lab| std::fs::remove_file(lab.outside("earlier").join(name)).unwrap(),
    );
    (said, after)
}

/// What a program says, in Rust.
fn output_of(name: &str) -> String {
    format!(
        "std::process::Command::new(\"{name}\").arg(\"--version\").output().map(|said| String::from_utf8(said.stdout).unwrap()).unwrap_or_default()"
    )
}

#[test]
fn a_program_that_a_macro_starts() {
    let dir = tempfile::tempdir().unwrap();
    write_program(&dir.path().join("teller"), "#!/bin/sh\necho one\n");
    let (before, after) = started(&output_of("teller"), "teller", Some(dir.path()));
    assert_eq!((&*before, &*after), ("one\n\n", "two\n\n"));
}

#[test]
fn a_program_that_a_macro_does_not_find() {
    let (before, after) = started(&output_of("teller"), "teller", None);
    assert_eq!((&*before, &*after), ("\n", "two\n\n"));
}

/// What the compiler has beside it is none of what is seen of files.
#[test]
fn a_program_of_the_toolchains_that_a_macro_starts() {
    let asked = std::process::Command::new("rustc")
        .args(["--print", "sysroot"])
        .output();
    let sysroot = String::from_utf8(asked.unwrap().stdout).unwrap();
    let bin = Path::new(sysroot.trim()).join("bin");
    let (before, after) = started(&output_of("rustdoc"), "rustdoc", Some(&bin));
    assert!(before.starts_with("rustdoc "), "{before}");
    assert_eq!(after, "two\n\n");
}

/// Whoever looks at what it says is keyed by that.
#[test]
fn path_as_a_macro_reads_it() {
    for body in [
        "std::env::var(\"PATH\").unwrap().matches(\"unrelated\").count().to_string()",
        "std::env::vars().filter(|(name, value)| name == \"PATH\" && value.contains(\"unrelated\")).count().to_string()",
    ] {
        let mut lab = reader(body);
        let searched = std::env::var("PATH").unwrap();
        lab.set("PATH", &searched);
        built(&lab);
        assert_eq!(lab.app(), "0\n", "{body}");
        lab.set("PATH", format!("{searched}:/unrelated"));
        lab.anew(&["build"]).missed_for("app", ("env", "PATH"));
        assert_eq!(lab.app(), "1\n", "{body}");
    }
}

/// A shell gets it among all, for what it leads to. What was made of its words is looked for.
#[test]
fn path_as_a_shell_says_it() {
    let mut lab = reader(
        "String::from_utf8(std::process::Command::new(\"sh\").args([\"-c\", \"echo $PATH\"]).output().unwrap().stdout).unwrap()",
    );
    let searched = std::env::var("PATH").unwrap();
    lab.set("PATH", &searched);
    built(&lab);
    lab.set("PATH", format!("{searched}:/unrelated"));
    lab.anew(&["build"]).missed_for("app", ("env", "PATH"));
    assert!(lab.app().contains(":/unrelated"));
}

/// What is left out of all variables counts where its value is in the program.
#[test]
fn a_value_of_all_variables_that_is_in_the_program() {
    let mut lab = reader(
        "std::env::vars().filter(|(name, _)| name == \"GITHUB_REF_NAME\").map(|(_, value)| value).collect::<String>()",
    );
    lab.set("GITHUB_REF_NAME", "one-branch");
    built(&lab);
    let (after, _) = lab.check(
        "app",
        ("env", "GITHUB_REF_NAME"),
        |lab| lab.set("GITHUB_REF_NAME", "main"),
        |lab| lab.set("GITHUB_REF_NAME", "one-branch"),
    );
    assert_eq!(after, "main\n");
    // One that is nowhere does not.
    lab.set("GITHUB_RUN_ID", "123456");
    lab.anew(&["build"]).only_hits();
}

/// Every program has a `main`, and no branch of that name.
#[test]
fn a_short_value_that_is_there_by_chance_is_no_input() {
    let mut lab = reader("std::env::vars().count().min(1).to_string()");
    lab.set("GITHUB_REF_NAME", "main");
    built(&lab);
    lab.set("GITHUB_REF_NAME", "123/merge");
    lab.anew(&["build"]).only_hits();
}

/// What stands in for rustdoc where tests may need one is no variable of a macro's.
#[test]
fn all_variables_are_the_same_under_test() {
    let mut lab = reader(
        "std::env::vars().filter(|(name, _)| name == \"RUSTDOC\").map(|(_, value)| value).collect::<String>()",
    );
    lab.anew(&["test", "--bins"]);
    let run = lab.anew(&["test", "--bins"]);
    run.only_hits();
    lab.anew(&["build"]);
    assert_eq!(lab.app(), "\n");
    lab.set("RUSTDOC", "rustdoc");
    lab.anew(&["test"]);
    lab.anew(&["build"]);
    assert_eq!(lab.app(), "rustdoc\n");
}

#[test]
fn what_a_child_reads() {
    let mut lab = at(
        "String::from_utf8(std::process::Command::new(\"cat\").arg(\"DATA/file\").output().unwrap().stdout).unwrap()",
    );
    content_of_file_is_keyed(&mut lab);
}

#[test]
fn what_cannot_be_keyed_is_not_stored() {
    for (body, kind) in [
        ("std::time::SystemTime::now().elapsed().is_ok()", "clock"),
        ("std::fs::File::open(\"/dev/urandom\").is_ok()", "random"),
        (
            "std::net::TcpStream::connect(\"127.0.0.1:9\").is_ok()",
            "network",
        ),
        (
            "std::fs::write(\"DATA/log\", \"x\").is_ok()",
            "wrote_outside",
        ),
        (
            "std::env::split_paths(&std::env::var_os(\"LD_LIBRARY_PATH\").unwrap())\
             .any(|dir| std::fs::read_dir(dir.join(\"..\")).is_ok_and(|dir| dir.count() == 99))",
            "listed_outputs",
        ),
    ] {
        let lab = at(body);
        for _ in 0..2 {
            let run = lab.anew(&["build"]);
            run.uncacheable("app", "observed");
            let refusal = &run.unit("app")["uncacheable"]["refusal"];
            assert!(refusal.to_string().contains(kind), "{refusal}");
        }
    }
}

#[test]
fn without_an_observer_it_is_what_is_declared() {
    let mut lab = at("std::fs::read_to_string(\"DATA/file\").unwrap()");
    let file = path(&lab, "file");
    std::fs::write(&file, "one").unwrap();
    lab.set("REKINDLE_OBSERVE", "0");
    let run = lab.run(&["build"]);
    assert_eq!(run.unit("app")["observed"], serde_json::Value::Null);
    std::fs::write(&file, "two").unwrap();
    lab.anew(&["build"]).only_hits();
}
