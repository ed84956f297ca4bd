//! One header of the system, one variable or one library's place changes: exactly the scripts that read it run.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::keys::{Lab, Run, package, sh, skip};
use crate::scripts::{PRELUDE, ran_because, replayed, steps};
use crate::second_machine::can_mount;

/// Asks `pkg-config` where a library's headers are, and compiles against them.
const PROBES: &str = r#"
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let said = Command::new("pkg-config").args(["--cflags", "spark"]).output().unwrap();
    assert!(said.status.success(), "{said:?}");
    let flags = String::from_utf8(said.stdout).unwrap();
    compile(flags.split_whitespace());
}
"#;

/// Compiles what needs no library.
const COMPILES: &str = r#"
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let level = env::var("PLAIN_LEVEL").unwrap_or("0".into());
    compile([format!("-DLEVEL={level}")].iter().map(String::as_str));
}
"#;

const COMPILE: &str = r#"
fn compile<'a>(flags: impl Iterator<Item = &'a str>) {
    let name = env::var("CARGO_PKG_NAME").unwrap();
    let object = out().join("it.o");
    let done = Command::new("gcc").args(["-c", "it.c", "-o"]).arg(&object).args(flags).status().unwrap();
    assert!(done.success());
    let archive = out().join(format!("lib{name}.a"));
    let _ = fs::remove_file(&archive);
    assert!(Command::new("ar").arg("crs").args([&archive, &object]).status().unwrap().success());
    println!("cargo:rustc-link-search={}\ncargo:rustc-link-lib=static={name}", out().display());
}
"#;

fn lab() -> Lab {
    let dependent = |name: &str| package(name, &format!("links = \"{name}\"\n"));
    let script = |main: &str| format!("{PRELUDE}{COMPILE}{main}");
    let lib = |name: &str| {
        format!(
            "extern \"C\" {{ fn {name}() -> i32; }}\npub fn get() -> i32 {{ unsafe {{ {name}() }} }}\n"
        )
    };
    Lab::new(&[
        (
            "Cargo.toml",
            "[workspace]\nmembers = [\"app\", \"probing\", \"plain\"]\nresolver = \"2\"\n",
        ),
        (
            "app/Cargo.toml",
            &package(
                "app",
                "[dependencies]\nprobing = { path = \"../probing\" }\nplain = { path = \"../plain\" }\n",
            ),
        ),
        (
            "app/src/main.rs",
            "fn main() { println!(\"{} {}\", probing::get(), plain::get()) }\n",
        ),
        ("probing/Cargo.toml", &dependent("probing")),
        ("probing/build.rs", &script(PROBES)),
        (
            "probing/it.c",
            "#include <spark.h>\nint probing(void) { return SPARK; }\n",
        ),
        ("probing/src/lib.rs", &lib("probing")),
        ("plain/Cargo.toml", &dependent("plain")),
        ("plain/build.rs", &script(COMPILES)),
        ("plain/it.c", "int plain(void) { return LEVEL; }\n"),
        ("plain/src/lib.rs", &lib("plain")),
    ])
}

/// The packages whose scripts ran.
fn ran(run: &Run) -> Vec<&str> {
    let started = steps(run).into_iter().filter(|step| step["fate"] != "hit");
    started
        .map(|step| step["package"].as_str().unwrap())
        .collect()
}

#[test]
fn exactly_the_scripts_that_read_it_run() {
    const TEST: &str = "exactly_the_scripts_that_read_it_run";
    if Command::new("pkg-config")
        .arg("--version")
        .output()
        .is_err()
    {
        return skip(TEST, "`pkg-config` is not installed");
    }
    let mut lab = lab();
    let sysroot = lab.outside("sysroot");
    let put = |name: &str, text: &str| {
        let file = sysroot.join(name);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, text).unwrap();
    };
    let pc = |version: &str| {
        format!(
            "prefix={}\nName: spark\nDescription: sparks\nVersion: {version}\nCflags: -I${{prefix}}/include\n",
            sysroot.display()
        )
    };
    put("include/spark.h", "#define SPARK 1\n");
    put("include/other.h", "#define OTHER 1\n");
    put("pkgconfig/spark.pc", &pc("1"));
    lab.set("PKG_CONFIG_PATH", sysroot.join("pkgconfig"));
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));
    assert_eq!(lab.app(), "1 0\n");

    put("include/spark.h", "#define SPARK 2\n");
    let run = lab.anew(&["build"]);
    assert_eq!((ran(&run), lab.app()), (vec!["probing"], "2 0\n".into()));
    put("include/other.h", "#define OTHER 2\n");
    replayed(&lab.anew(&["build"]));
    put("pkgconfig/spark.pc", &pc("2"));
    assert_eq!(ran(&lab.anew(&["build"])), ["probing"]);
    lab.set("PLAIN_LEVEL", "3");
    let run = lab.anew(&["build"]);
    assert_eq!((ran(&run), lab.app()), (vec!["plain"], "2 3\n".into()));
    lab.set("OTHER_LEVEL", "3");
    replayed(&lab.anew(&["build"]));
    // A variable that only `pkg-config` reads.
    lab.set(
        "PKG_CONFIG_PATH",
        format!("{0}/pkgconfig:{0}/more", sysroot.display()),
    );
    assert_eq!(ran(&lab.anew(&["build"])), ["probing"]);
    assert_eq!(lab.app(), "2 3\n");
}

/// The loader's index of a machine that has the libraries of a directory as well, which it is looked for in first.
fn index(libraries: &Path) -> PathBuf {
    let [conf, index] = ["conf", "cache"].map(|ending| libraries.with_extension(ending));
    let dirs = format!("{}\ninclude /etc/ld.so.conf\n", libraries.display());
    std::fs::write(&conf, dirs).unwrap();
    let words = ["-X", "-f", conf.to_str().unwrap(), "-C"];
    let mut ldconfig = Command::new("/sbin/ldconfig");
    let done = ldconfig.args(words).arg(&index).status().unwrap();
    assert!(done.success());
    let now = std::fs::read("/etc/ld.so.cache").unwrap();
    let is_another = std::fs::read(&index).unwrap() != now;
    assert!(is_another, "{} is the one here", index.display());
    index
}

/// Builds anew as on a machine that has this index.
fn with_index(lab: &Lab, index: &Path) -> Run {
    let _ = std::fs::remove_dir_all(lab.path("target"));
    let mount = "mount --bind \"$1\" /etc/ld.so.cache && shift && exec \"$@\"";
    let mut command = lab.command("unshare", &["--mount", "--", "sh", "-c", mount, "sh"]);
    let rekindle = [env!("CARGO_BIN_EXE_rekindle"), "build"];
    command.arg(index).args(rekindle);
    lab.logged(command).ok()
}

/// The index is written anew with every library that is installed. What counts is what a name leads to.
#[test]
fn a_script_runs_when_a_librarys_name_leads_elsewhere() {
    const TEST: &str = "a_script_runs_when_a_librarys_name_leads_elsewhere";
    const LIBRARY: &str = "libgcc_s.so.1";
    if !can_mount() {
        return skip(TEST, "only root can mount");
    }
    if !Path::new("/etc/ld.so.cache").exists() {
        return skip(TEST, "the loader has no index");
    }
    let lab = Lab::new(&[
        ("Cargo.toml", &package("app", "")),
        ("src/main.rs", "fn main() {}"),
        (
            "build.rs",
            "fn main() { println!(\"cargo:rerun-if-changed=build.rs\") }",
        ),
    ]);
    lab.anew(&["build"]);
    replayed(&lab.anew(&["build"]));

    let [other, same] = ["other", "same"].map(|name| lab.outside(name));
    for dir in [&other, &same] {
        std::fs::create_dir(dir).unwrap();
    }
    lab.put("spark.c", "int spark;\n");
    let spark = other.join("libspark.so.1");
    let words = ["-shared", "-Wl,-soname,libspark.so.1", "-o"];
    let words = [&words[..], &[spark.to_str().unwrap(), "spark.c"]].concat();
    sh(lab.checkout(), "cc", &words);
    std::fs::remove_file(lab.path("spark.c")).unwrap();
    replayed(&with_index(&lab, &index(&other)));

    // The script was started with it, from where the index says.
    let found = Command::new("cc")
        .arg(format!("-print-file-name={LIBRARY}"))
        .output();
    let found = String::from_utf8(found.unwrap().stdout).unwrap();
    std::fs::copy(found.trim(), same.join(LIBRARY)).unwrap();
    let run = with_index(&lab, &index(&same));
    ran_because(&run, "library", LIBRARY);
    replayed(&lab.anew(&["build"]));
}
