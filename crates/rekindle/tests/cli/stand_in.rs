//! Placeholders in the place of everything that a build made, as a restored snapshot has them, and a
//! workspace in which everything that can be one is used.
#![allow(
    clippy::disallowed_types,
    reason = "tests change files as others would"
)]

use std::collections::BTreeMap;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rekindle_base::Digest;
use rekindle_events::{Event, EventKind, UnitEvent, WarningEvent, read_log};
use rekindle_fsx::place::Wish;
use rekindle_outputs::localise;
use rekindle_outputs::placeholder::{Known, Placeholder, launcher_fits};
use rekindle_outputs::record;
use rekindle_store::{LocalStore, Store};

use crate::faults::{Checkout, Field};
use crate::project::program_dir;

const FILES: &[(&str, &str)] = &[
    (
        "Cargo.toml",
        "[workspace]\nmembers = ['app', 'dep', 'mac', 'parse', 'native', 'aside']\nresolver = '2'\n",
    ),
    (
        "parse/Cargo.toml",
        "[package]\nname = 'parse'\nversion = '0.1.0'\nedition = '2021'\n",
    ),
    (
        "parse/src/lib.rs",
        "pub fn answer() -> &'static str { \"42\" }\n",
    ),
    (
        "mac/Cargo.toml",
        "[package]\nname = 'mac'\nversion = '0.1.0'\nedition = '2021'\n[lib]\nproc-macro = true\n\
         [dependencies]\nparse = { path = '../parse' }\n",
    ),
    (
        "mac/src/lib.rs",
        "use proc_macro::TokenStream;\n#[proc_macro]\n\
         pub fn answer(_: TokenStream) -> TokenStream { parse::answer().parse().unwrap() }\n",
    ),
    (
        "dep/Cargo.toml",
        "[package]\nname = 'dep'\nversion = '0.1.0'\nedition = '2021'\n\
         [dependencies]\nmac = { path = '../mac' }\nnative = { path = '../native' }\n",
    ),
    (
        "dep/src/lib.rs",
        "/// ```\n/// assert_eq!(dep::word(), \"word\");\n/// ```\n\
         pub fn word() -> &'static str { if mac::answer!() == native::seven() + 35 { \"word\" } else { \"?\" } }\n",
    ),
    (
        "aside/Cargo.toml",
        "[package]\nname = 'aside'\nversion = '0.1.0'\nedition = '2021'\n",
    ),
    ("aside/src/lib.rs", "pub fn aside() {}\n"),
    (
        "native/Cargo.toml",
        "[package]\nname = 'native'\nversion = '0.1.0'\nedition = '2021'\nlinks = 'seven'\n",
    ),
    (
        "native/build.rs",
        "use std::process::Command;\nfn main() {\n    \
         println!(\"cargo:rerun-if-changed=seven.c\");\n    \
         let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
         std::fs::create_dir_all(format!(\"{out}/sub\")).unwrap();\n    \
         let object = format!(\"{out}/seven.o\");\n    \
         let run = |words: &[&str]| assert!(Command::new(words[0]).args(&words[1..]).status().unwrap().success());\n    \
         run(&[\"cc\", \"-c\", \"seven.c\", \"-o\", &object]);\n    \
         run(&[\"cc\", \"-c\", \"six.c\", \"-o\", &format!(\"{out}/sub/six.o\")]);\n    \
         run(&[\"ar\", \"crD\", &format!(\"{out}/libseven.a\"), &object]);\n    \
         println!(\"cargo:rustc-link-search=native={out}\");\n    \
         println!(\"cargo:rustc-link-lib=static=seven\");\n    \
         println!(\"cargo:root={out}\");\n}\n",
    ),
    ("native/six.c", "int six(void) { return 6; }\n"),
    ("native/seven.c", "int seven(void) { return 7; }\n"),
    (
        "native/src/lib.rs",
        "unsafe extern \"C\" { #[link_name = \"seven\"] fn c_seven() -> i32; }\n\
         pub fn seven() -> i32 { unsafe { c_seven() } }\n",
    ),
    (
        "app/Cargo.toml",
        "[package]\nname = 'app'\nversion = '0.1.0'\nedition = '2021'\n\
         [dependencies]\ndep = { path = '../dep' }\nmac = { path = '../mac' }\n\
         aside = { path = '../aside' }\nnative = { path = '../native' }\n",
    ),
    // Reads an archive that another package's script made.
    (
        "app/build.rs",
        "fn main() {\n    println!(\"cargo:rerun-if-changed=made.txt\");\n    \
         let out = std::env::var(\"OUT_DIR\").unwrap();\n    \
         let root = std::env::var(\"DEP_SEVEN_ROOT\").unwrap();\n    \
         let archive = std::fs::read(format!(\"{root}/libseven.a\")).unwrap();\n    \
         assert!(archive.starts_with(b\"!<arch>\"));\n    \
         let made = std::fs::read_to_string(\"made.txt\").unwrap();\n    \
         std::fs::write(out + \"/made.rs\", format!(\"{:?}\", made.trim())).unwrap();\n}\n",
    ),
    (
        "app/tests/it.rs",
        "#[test]\nfn it() {\n    \
         let bytes = std::fs::read(env!(\"CARGO_BIN_EXE_app\")).unwrap();\n    \
         assert!(bytes.starts_with(b\"\\x7fELF\"));\n    \
         let output = std::process::Command::new(env!(\"CARGO_BIN_EXE_app\")).output().unwrap();\n    \
         assert_eq!(String::from_utf8(output.stdout).unwrap(), \"word 42 made\\n\");\n}\n",
    ),
    (
        "app/examples/ex.rs",
        "fn main() { print!(\"{}\", dep::word()); }\n",
    ),
];

/// A checkout in which every kind of output is used.
pub(crate) fn checkout(field: &Field) -> Checkout<'_> {
    checkout_at(field, "one")
}

/// Another one.
pub(crate) fn checkout_at<'a>(field: &'a Field, name: &str) -> Checkout<'a> {
    let checkout = field.steady(name);
    for (file, text) in FILES {
        checkout.put(file, text);
    }
    checkout
}

/// Placeholders in a target directory.
pub(crate) struct StandIns {
    pub(crate) paths: Vec<PathBuf>,
}

impl StandIns {
    /// Puts placeholders in the place of all outputs, with their times, modes and other names.
    pub(crate) fn put(field: &Field, checkout: &Checkout<'_>) -> Self {
        let launcher = program_dir().join("rekindle-rustc");
        assert!(launcher_fits(&launcher), "{}", launcher.display());
        let store = LocalStore::open(&field.store);
        let home = std::env::var_os("CARGO_HOME").map_or_else(
            || PathBuf::from(std::env::var_os("HOME").unwrap()).join(".cargo"),
            PathBuf::from,
        );
        let target = checkout.path("target");
        let replacements = localise::replacements(&localise::roots(&checkout.root, &target, &home));
        let mut first_names: BTreeMap<u64, PathBuf> = BTreeMap::new();
        let mut paths = Vec::new();
        for path in files_below(&target) {
            let Some(kind) = kind_of(&path) else { continue };
            let data = std::fs::symlink_metadata(&path).unwrap();
            if let Some(first) = first_names.get(&data.ino()) {
                rekindle_fsx::hard_link(first, &path).unwrap();
                paths.push(path);
                continue;
            }
            first_names.insert(data.ino(), path.clone());
            let mut placeholder = Placeholder {
                digest: Digest::of(b""),
                size: data.len(),
                mode: data.permissions().mode() & 0o777,
                store: field.store.clone(),
                known: None,
                replacements: Vec::new(),
            };
            match kind {
                Kind::Library | Kind::Program => {
                    if kind == Kind::Program {
                        placeholder.replacements.clone_from(&replacements);
                    }
                    let read = record::read_program(&[&store], &path, &placeholder.replacements);
                    let read = read.unwrap_or_else(|| panic!("{} is unknown", path.display()));
                    placeholder.digest = read.digest;
                    placeholder.known = Some(Known {
                        closure: read.closure,
                        externs: read.externs,
                    });
                    let launcher = (kind == Kind::Program).then_some(launcher.as_path());
                    let bytes = placeholder.to_bytes(&path, launcher);
                    rekindle_fsx::atomic::write(&path, &bytes).unwrap();
                    rekindle_fsx::set_mode(&path, placeholder.mode).unwrap();
                }
                Kind::Native => {
                    let wish = Wish {
                        hardlink: false,
                        executable: false,
                    };
                    placeholder.digest = store.put_object(&path, wish).unwrap().digest;
                    rekindle_fsx::symlink(&placeholder.to_link(), &path).unwrap();
                }
            }
            let mtime_ns = data.mtime() * 1_000_000_000 + data.mtime_nsec();
            rekindle_fsx::set_mtime(&path, mtime_ns).unwrap();
            paths.push(path);
        }
        Self { paths }
    }

    /// File names, without hashes, of those that are there and no longer placeholders.
    pub(crate) fn real(&self) -> Vec<String> {
        let is = |path: &&PathBuf| Placeholder::read(path).is_ok_and(|read| read.is_none());
        let mut names: Vec<String> = self
            .paths
            .iter()
            .filter(is)
            .map(|path| plain(path))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    #[track_caller]
    pub(crate) fn assert_untouched(&self, when: &str) {
        assert_eq!(self.real(), [""; 0], "{when}");
    }

    /// The placeholder of this name, without its hash.
    pub(crate) fn path(&self, name: &str) -> &Path {
        let found = self.paths.iter().find(|path| plain(path) == name);
        found.unwrap_or_else(|| panic!("no {name} among {:#?}", self.paths))
    }
}

impl Field {
    /// Removes the object that a placeholder stands for.
    pub(crate) fn lose(&self, placeholder: &Path) {
        self.lose_object(&Placeholder::read(placeholder).unwrap().unwrap().digest);
    }

    /// Removes an object.
    pub(crate) fn lose_object(&self, digest: &Digest) {
        let hex = digest.to_hex();
        let objects = self.store.join("v1/objects");
        rekindle_fsx::remove_file(&objects.join(&hex[..1]).join(&hex[1..])).unwrap();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Library,
    Program,
    Native,
}

/// What a snapshot makes a placeholder of.
fn kind_of(path: &Path) -> Option<Kind> {
    let end = path.extension().and_then(|end| end.to_str());
    let is_shared = file_name(path).contains(".so");
    // In the newer layout compilers write to an `out`, too.
    let in_script_dir = path
        .ancestors()
        .filter(|dir| dir.ends_with("out"))
        .filter_map(Path::parent)
        .any(|unit| unit.join("root-output").exists() || unit.join("run").exists());
    match end {
        // Its parts have no records; a test that wants it puts them there itself.
        _ if path.iter().any(|part| part == "incremental") => None,
        Some("a" | "o") if in_script_dir => Some(Kind::Native),
        _ if in_script_dir && is_shared => Some(Kind::Native),
        _ if in_script_dir => None,
        Some("rmeta" | "rlib" | "so") => Some(Kind::Library),
        None => {
            let head = rekindle_fsx::read_with_sig(path, 4).unwrap()?;
            (head.0 == b"\x7fELF").then_some(Kind::Program)
        }
        _ => None,
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = rekindle_fsx::walk_files(dir)
        .unwrap()
        .into_iter()
        .map(|entry| entry.path)
        .filter(|path| !path.iter().any(|part| part == ".rekindle"))
        .collect();
    // What the compiler wrote comes before the names that cargo gave it.
    files.sort_by_key(|path| {
        let is_profile = path.parent().unwrap().join("build").exists();
        (is_profile, plain(path) == file_name(path), path.clone())
    });
    files
}

fn file_name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// `libdep.rlib` of `libdep-0123456789abcdef.rlib`.
fn plain(path: &Path) -> String {
    let name = file_name(path);
    let (stem, end) = name
        .split_once('.')
        .map_or((name, ""), |(stem, end)| (stem, end));
    let stem = match stem.rsplit_once('-') {
        Some((stem, hash)) if hash.len() == 16 => stem,
        _ => stem,
    };
    if end.is_empty() {
        stem.to_owned()
    } else {
        format!("{stem}.{end}")
    }
}

/// The events of the latest run.
pub(crate) fn events(field: &Field) -> Vec<Event> {
    let runs = field.store.join("v1/runs");
    let mut names: Vec<_> = std::fs::read_dir(&runs)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    let log = names.last().unwrap().join("events.jsonl");
    read_log(&std::fs::read(log).unwrap()).events
}

pub(crate) fn warnings(field: &Field) -> Vec<WarningEvent> {
    let warning = |event: Event| match event.kind {
        EventKind::Warning(warning) => Some(warning),
        _ => None,
    };
    events(field).into_iter().filter_map(warning).collect()
}

/// Placeholders that became real in the latest run, as its log has it.
pub(crate) fn materialised(field: &Field) -> u64 {
    let files = |event: Event| match event.kind {
        EventKind::Unit(unit) => unit.materialised,
        EventKind::Materialised(done) => done.files,
        _ => 0,
    };
    events(field).into_iter().map(files).sum()
}

pub(crate) fn unit<'a>(units: &'a [UnitEvent], crate_name: &str, kind: &str) -> &'a UnitEvent {
    let is = |unit: &&UnitEvent| unit.crate_name == crate_name && unit.kind == kind;
    units.iter().find(is).unwrap_or_else(|| {
        panic!(
            "no {crate_name} {kind} in {:#?}",
            crate::faults::shown(units)
        )
    })
}

/// Makes a file newer than what was built from it.
pub(crate) fn touch(path: &Path) {
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(SystemTime::now()).unwrap();
}
