//! What another user finds in a store that came from elsewhere: another name, home, checkout, home of
//! cargo's and place of the toolchain, with the same packages installed.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::keys::{Lab, package, skip};
use crate::project::{Done, program_dir};

/// Compiles C with the `cc` package, and tells what it found on the way.
const SCRIPT: &str = r#"
fn main() {
    println!("cargo:rerun-if-changed=c");
    let version = std::process::Command::new(std::env::var("RUSTC").unwrap()).arg("-vV").output().unwrap();
    assert!(version.status.success());
    let machine = std::process::Command::new("uname").arg("-m").output().unwrap();
    let out = std::env::var("OUT_DIR").unwrap();
    std::fs::write(out + "/machine", machine.stdout).unwrap();
    cc::Build::new().files(["c/one.c", "c/two.c"]).compile("app");
}
"#;

const MAIN: &str = r#"
extern "C" { fn one() -> i32; fn two() -> i32; }
fn main() {
    let zlib = unsafe { std::ffi::CStr::from_ptr(libz_sys::zlibVersion()) };
    let made = include_str!(concat!(env!("OUT_DIR"), "/machine"));
    println!("{} {zlib:?} {}", unsafe { one() * 10 + two() }, made.trim());
}
"#;

/// A user's directories, below one.
struct User {
    dir: PathBuf,
    /// Where the toolchain is for this user.
    toolchain: PathBuf,
    programs: PathBuf,
}

impl User {
    fn new(lab: &Lab, name: &str, toolchain: PathBuf, programs: PathBuf) -> Self {
        let dir = lab.outside(name);
        for below in ["cargo", "src", "store"] {
            std::fs::create_dir_all(dir.join(below)).unwrap();
        }
        Self {
            dir,
            toolchain,
            programs,
        }
    }

    fn checkout(&self) -> PathBuf {
        self.dir.join("src/project")
    }

    /// `env` with this user's surroundings and nothing else, and the command.
    fn words(&self, words: &[&str]) -> Vec<String> {
        let dir = self.dir.display();
        let path = format!(
            "PATH={}:{}/bin:/usr/bin:/bin",
            self.programs.display(),
            self.toolchain.display()
        );
        let mut all = vec![
            "env".to_owned(),
            "-i".to_owned(),
            format!("--chdir={}", self.checkout().display()),
            path,
            format!("HOME={dir}"),
            format!("USER={}", self.dir.file_name().unwrap().display()),
            format!("CARGO_HOME={dir}/cargo"),
            format!("REKINDLE_DIR={dir}/store"),
            "REKINDLE_SNAPSHOT=0".to_owned(),
        ];
        all.extend(words.iter().map(|word| (*word).to_owned()));
        all
    }

    /// Runs as who runs the test.
    fn run(&self, words: &[&str]) -> Done {
        let words = self.words(words);
        let mut command = Command::new(&words[0]);
        command.args(&words[1..]).output().unwrap().into()
    }

    /// Runs as nobody, who may not even look into the first user's home: the toolchain is mounted where
    /// this one has it, for this command alone.
    fn run_as_nobody(&self, toolchain: &Path, words: &[&str]) -> Done {
        let script = "mount --bind \"$1\" \"$2\" && shift 2 && \
                      exec setpriv --reuid=65534 --regid=65534 --clear-groups --bounding-set=-all -- \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--", "sh", "-c", script, "sh"])
            .arg(toolchain)
            .arg(&self.toolchain);
        command.args(self.words(words)).output().unwrap().into()
    }
}

fn copy(from: &Path, to: &Path) {
    let status = Command::new("cp")
        .args(["-r", "-T"])
        .args([from, to])
        .status();
    assert!(
        status.unwrap().success(),
        "{} → {}",
        from.display(),
        to.display()
    );
}

fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// The project under the first user's home, with all packages fetched; `None` where that cannot be.
fn first(lab: &Lab, toolchain: &Path) -> Option<User> {
    let user = User::new(
        lab,
        "mustermann",
        toolchain.to_owned(),
        program_dir().to_owned(),
    );
    copy(&lab.path(""), &user.checkout());
    // Where packages come from here.
    let real = std::env::var_os("CARGO_HOME").map_or_else(
        || std::env::home_dir().unwrap().join(".cargo"),
        PathBuf::from,
    );
    let config = real.join("config.toml");
    if config.exists() {
        std::fs::copy(config, user.dir.join("cargo/config.toml")).unwrap();
    }
    let mut fetch = Command::new(toolchain.join("bin/cargo"));
    fetch
        .arg("fetch")
        .current_dir(user.checkout())
        .env("CARGO_HOME", user.dir.join("cargo"));
    fetch.output().unwrap().status.success().then_some(user)
}

/// Whether this user may mount something, for one command.
pub(crate) fn can_mount() -> bool {
    let mut unshare = Command::new("unshare");
    let done = unshare.args(["--mount", "--", "true"]).output();
    said("id", &["-u"]) == "0" && done.is_ok_and(|done| done.status.success())
}

#[test]
fn another_user_on_another_machine_starts_nothing() {
    const TEST: &str = "another_user_on_another_machine_starts_nothing";
    if !can_mount() {
        return skip(TEST, "only root can become another user and mount");
    }
    let manifest = package(
        "app",
        "links = \"app\"\n[workspace]\n\
         [dependencies]\nlibz-sys = { version = \"1\", features = [\"static\"] }\n\
         [build-dependencies]\ncc = \"1\"\n",
    );
    let lab = Lab::new(&[
        ("Cargo.toml", &manifest),
        ("build.rs", SCRIPT),
        ("c/one.c", "int one(void) { return 1; }\n"),
        ("c/two.c", "int two(void) { return 2; }\n"),
        ("src/main.rs", MAIN),
    ]);
    let toolchain = PathBuf::from(said("rustc", &["--print", "sysroot"]));
    let Some(one) = first(&lab, &toolchain) else {
        return skip(TEST, "the `cc` and `libz-sys` packages cannot be fetched");
    };
    let build = ["rekindle", "build", "--offline"];
    one.run(&build).ok();
    let printed = one.run(&["target/debug/app"]).ok().stdout;
    assert!(printed.starts_with("12 \"1."), "{printed}");

    let two = User::new(
        &lab,
        "schmidtova",
        lab.outside("schmidtova/opt/rust"),
        lab.outside("schmidtova/bin"),
    );
    for made in [&two.toolchain, &two.programs] {
        std::fs::create_dir_all(made).unwrap();
    }
    for program in ["rekindle", "rekindle-rustc"] {
        std::fs::copy(program_dir().join(program), two.programs.join(program)).unwrap();
    }
    let _ = std::fs::remove_dir_all(one.checkout().join("target"));
    for below in ["src/project", "cargo", "store"] {
        let to = two.dir.join(below);
        std::fs::create_dir_all(&to).unwrap();
        copy(&one.dir.join(below), &to);
    }
    let owner = Command::new("chown")
        .args(["-R", "65534:65534"])
        .arg(&two.dir)
        .status();
    assert!(owner.unwrap().success());
    let everybody = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(lab.outside(""), everybody).unwrap();
    // Not even a name of the first user's is left.
    std::fs::rename(&one.dir, lab.outside("gone")).unwrap();

    two.run_as_nobody(&toolchain, &build).ok();
    assert_eq!(
        two.run_as_nobody(&toolchain, &["target/debug/app"])
            .ok()
            .stdout,
        printed
    );
    let stats = two
        .run_as_nobody(&toolchain, &["rekindle", "stats", "--format", "json"])
        .ok();
    let stats: serde_json::Value = serde_json::from_str(&stats.stdout).unwrap();
    // The compiler lies elsewhere, so it is asked for its version.
    let started = ["linker", "build_script", "cc"];
    let started = started.map(|kind| stats["processes"][kind].as_u64().unwrap());
    let why = two
        .run_as_nobody(&toolchain, &["rekindle", "explain"])
        .ok()
        .stdout;
    assert_eq!(started, [0; 3], "{why}");
    assert_eq!(stats["units"]["miss"], 0, "{why}");
    assert!(
        stats["scripts"]["replayed"].as_u64() >= Some(2),
        "{stats:#}"
    );
}
