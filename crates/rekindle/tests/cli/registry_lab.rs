//! A registry of a few packages on this machine, a project that uses them, a home of cargo's own, and a
//! store.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::SystemTime;

use rekindle_base::Moment;
use rekindle_snapshot::registry::{self, Captured, Restored};
use rekindle_store::LocalStore;
use sha2::Digest as _;

use crate::project::{Done, program_dir};

/// Name, what its manifest has but name and version, and its files.
type Package = (
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
);

/// What a registry's packages are like: targets that are named and that are found; a procedural macro; a
/// build script that says what it reads; one that tells another of its sources; a file that is read when a
/// program runs; one for other systems.
const PACKAGES: &[Package] = &[
    (
        "plain",
        "edition = \"2021\"\nbuild = false\nautobins = false\nreadme = false\n[lib]\npath = \"src/lib.rs\"\n",
        &[
            (
                "src/lib.rs",
                "#[macro_export] macro_rules! two { ($name:ident) => { pub struct $name { pub two: u8 } impl $name { pub fn two(&self) -> u8 { let two = self.two; if two > 1 { println!(\"{}\", two); } two } } } }\n\
                 mod inner; pub fn plain() -> String { format!(\"{}{}\", inner::X, include_str!(\"../data\")) }",
            ),
            ("src/inner.rs", "pub const X: &str = \"inner\";"),
            ("data", "data"),
        ],
    ),
    (
        "maker",
        "edition = \"2021\"\n[lib]\nproc-macro = true\n",
        &[
            (
                "src/lib.rs",
                "mod text; #[proc_macro] pub fn made(_: proc_macro::TokenStream) -> proc_macro::TokenStream { text::TEXT.parse().unwrap() }",
            ),
            ("src/text.rs", "pub const TEXT: &str = \"\\\"made\\\"\";"),
        ],
    ),
    (
        "scripted",
        "",
        &[
            (
                "build.rs",
                "fn main() { println!(\"cargo:rerun-if-changed=table\"); println!(\"cargo:rerun-if-env-changed=AGAIN\");\n\
                 println!(\"cargo:rustc-env=TABLE={}\", std::fs::read_to_string(\"table\").unwrap()); }",
            ),
            ("table", "table"),
            ("README.md", "read"),
            (
                "src/lib.rs",
                "pub fn table() -> String { format!(\"{}{}\", env!(\"TABLE\"), env!(\"CARGO_PKG_README\")) }",
            ),
        ],
    ),
    (
        "linked",
        "links = \"linked\"\n",
        &[
            (
                "build.rs",
                "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
                 println!(\"cargo:include={}/include\", std::env::var(\"CARGO_MANIFEST_DIR\").unwrap()); }",
            ),
            ("include/value.h", "value"),
            ("src/lib.rs", ""),
        ],
    ),
    (
        "user",
        "[dependencies]\nlinked = \"1\"\n",
        &[
            (
                "build.rs",
                "fn main() { println!(\"cargo:rerun-if-changed=build.rs\");\n\
                 let file = std::env::var(\"DEP_LINKED_INCLUDE\").unwrap() + \"/value.h\";\n\
                 println!(\"cargo:rustc-env=VALUE={}\", std::fs::read_to_string(file).unwrap()); }",
            ),
            (
                "src/lib.rs",
                "extern crate linked; pub fn value() -> &'static str { env!(\"VALUE\") }",
            ),
        ],
    ),
    (
        "bound",
        "",
        &[
            (
                "src/lib.rs",
                "pub fn asset() -> String { std::fs::read_to_string(concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/asset\")).unwrap() }",
            ),
            ("asset", "asset"),
        ],
    ),
    ("elsewhere", "", &[("src/lib.rs", "")]),
];

const APP: &str = "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
    [dependencies]\nbound = \"1\"\nplain = \"1\"\nmaker = \"1\"\nscripted = \"1\"\nuser = \"1\"\n\
    [target.'cfg(windows)'.dependencies]\nelsewhere = \"1\"\n";
const MAIN: &str = "fn main() { println!(\"{} {} {} {} {}\", plain::plain(), maker::made!(), scripted::table(), user::value(), bound::asset()); }";

/// What the program prints.
pub(crate) const PRINTED: &str = "innerdata made tableREADME.md value asset\n";
/// The packages that are downloaded.
pub(crate) const DOWNLOADED: &[&str] = &["bound", "linked", "maker", "plain", "scripted", "user"];

/// Packs files as `cargo package` does.
pub(crate) fn packed(prefix: &str, files: &[(&str, &[u8])]) -> Vec<u8> {
    let gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut archive = tar::Builder::new(gz);
    for (path, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(if path.ends_with(".rs") { 0o755 } else { 0o644 });
        header.set_mtime(u64::from(*path != "Cargo.toml") * 1_600_000_000);
        let path = format!("{prefix}/{path}");
        archive.append_data(&mut header, path, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

fn package((name, manifest, files): &Package) -> Vec<u8> {
    // The manifest's own keys come before its tables.
    let manifest = format!("[package]\nname = \"{name}\"\nversion = \"1.0.0\"\n{manifest}");
    let mut all = vec![("Cargo.toml", manifest.as_bytes())];
    all.extend(files.iter().map(|(path, text)| (*path, text.as_bytes())));
    packed(&format!("{name}-1.0.0"), &all)
}

pub(crate) fn sha256(bytes: &[u8]) -> String {
    let digest = sha2::Sha256::digest(bytes);
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Where a package is in an index.
pub(crate) fn index_path(name: &str) -> String {
    format!("{}/{}/{name}", &name[..2], &name[2..4])
}

/// Serves files by HTTP until the process ends, and counts requests.
fn serve(files: BTreeMap<String, Vec<u8>>, listener: TcpListener) -> Arc<AtomicUsize> {
    let count = Arc::new(AtomicUsize::new(0));
    let requests = Arc::clone(&count);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut lines = BufReader::new(stream.try_clone().unwrap()).lines();
            let request = lines.next().unwrap().unwrap();
            for line in lines {
                if line.unwrap().is_empty() {
                    break;
                }
            }
            requests.fetch_add(1, Ordering::SeqCst);
            let path = request.split(' ').nth(1).unwrap();
            let found = files.get(path);
            let status = if found.is_some() {
                "200 OK"
            } else {
                "404 Not Found"
            };
            let body = found.map_or(&b""[..], Vec::as_slice);
            let head = format!(
                "HTTP/1.1 {status}\r\ncontent-length: {}\r\netag: \"x\"\r\nconnection: close\r\n\r\n",
                body.len()
            );
            // cargo may have gone away.
            let _ = stream.write_all(&[head.as_bytes(), body].concat());
        }
    });
    count
}

/// The registry, the project and the store.
pub(crate) struct RegistryLab {
    dir: tempfile::TempDir,
    requests: Arc<AtomicUsize>,
    pub(crate) store: LocalStore,
    /// The directory of cargo's home.
    pub(crate) home_name: String,
}

impl RegistryLab {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let mut files = BTreeMap::new();
        let config = format!("{{\"dl\":\"{address}/dl/{{crate}}\",\"api\":\"{address}\"}}");
        files.insert("/config.json".to_owned(), config.into_bytes());
        for one in PACKAGES {
            let (name, bytes) = (one.0, package(one));
            let linked = "{\"name\":\"linked\",\"req\":\"^1\",\"features\":[],\"optional\":false,\"default_features\":true,\"target\":null,\"kind\":\"normal\"}";
            let line = format!(
                "{{\"name\":\"{name}\",\"vers\":\"1.0.0\",\"deps\":[{}],\"cksum\":\"{}\",\"features\":{{}},\"yanked\":false{}}}\n",
                if name == "user" { linked } else { "" },
                sha256(&bytes),
                if name == "linked" {
                    ",\"links\":\"linked\""
                } else {
                    ""
                },
            );
            files.insert(format!("/{}", index_path(name)), line.into_bytes());
            files.insert(format!("/dl/{name}"), bytes);
        }
        let lab = Self {
            requests: serve(files, listener),
            store: LocalStore::open(&dir.path().join("store")),
            dir,
            home_name: "home".to_owned(),
        };
        lab.put("ws/Cargo.toml", APP);
        lab.put("ws/src/main.rs", MAIN);
        let config = format!(
            "[source.crates-io]\nreplace-with = \"here\"\n[source.here]\nregistry = \"sparse+{address}/\"\n"
        );
        lab.put("ws/.cargo/config.toml", &config);
        lab
    }

    /// One that was built with plain cargo and captured, and whose cargo's home is gone since.
    pub(crate) fn captured() -> Self {
        let lab = Self::new();
        lab.cargo(&["build"]).ok();
        let captured = lab.capture();
        assert_eq!((captured.known, captured.new), (7, 7), "{captured:?}");
        fs::rename(lab.home(), lab.path("cargos-own")).unwrap();
        lab
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn home(&self) -> PathBuf {
        self.path(&self.home_name)
    }

    pub(crate) fn put(&self, name: &str, text: &str) {
        let file = self.path(name);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    /// A directory of this registry: `cache`, `index` or `src`.
    pub(crate) fn registry(&self, kind: &str) -> PathBuf {
        let mut all = fs::read_dir(self.home().join("registry").join(kind)).unwrap();
        all.next().unwrap().unwrap().path()
    }

    pub(crate) fn package(&self, name: &str) -> PathBuf {
        self.registry("src").join(format!("{name}-1.0.0"))
    }

    pub(crate) fn crate_file(&self, name: &str) -> PathBuf {
        self.registry("cache").join(format!("{name}-1.0.0.crate"))
    }

    pub(crate) fn sparse(&self) -> Vec<&'static str> {
        let is_sparse = |name: &&&str| {
            self.package(name)
                .join(rekindle_outputs::sparse::MARKER)
                .exists()
        };
        DOWNLOADED.iter().filter(is_sparse).copied().collect()
    }

    /// What was asked of the registry since the last call.
    pub(crate) fn requests(&self) -> usize {
        self.requests.swap(0, Ordering::SeqCst)
    }

    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.program("cargo", arguments)
    }

    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let foreign = [
                "REKINDLE_",
                "CARGO",
                "CI",
                "RUSTC",
                "RUNNER_",
                "XDG_",
                "GITHUB_",
                "GITLAB_",
                "MAKE",
            ];
            if foreign.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(name);
            }
        }
        command
            .args(arguments)
            .current_dir(self.path("ws"))
            .env("CARGO_HOME", self.home())
            .env("REKINDLE_DIR", self.path("store"))
            .env("XDG_CONFIG_HOME", self.path("config"));
        command
    }

    /// Runs plain cargo.
    pub(crate) fn cargo(&self, arguments: &[&str]) -> Done {
        self.command(arguments).output().unwrap().into()
    }

    /// Runs cargo with the wrapper.
    pub(crate) fn wrapped(&self, arguments: &[&str]) -> Done {
        let wrapper = program_dir().join("rekindle-rustc");
        let mut command = self.command(arguments);
        command
            .env("RUSTC_WRAPPER", wrapper)
            .output()
            .unwrap()
            .into()
    }

    /// Runs `rekindle`.
    pub(crate) fn rekindle(&self, arguments: &[&str]) -> Done {
        let mut command = self.program(env!("CARGO_BIN_EXE_rekindle"), arguments);
        command.output().unwrap().into()
    }

    pub(crate) fn capture(&self) -> Captured {
        let now = Moment::from_system(SystemTime::now());
        registry::capture(&self.store, &self.home(), &self.path("ws/Cargo.lock"), now).unwrap()
    }

    pub(crate) fn restore(&self, whole: bool) -> Restored {
        self.restore_whole(|_| whole)
    }

    /// Restores, with packages of some names whole.
    pub(crate) fn restore_whole(&self, whole: impl Fn(&str) -> bool + Sync) -> Restored {
        let lock = self.path("ws/Cargo.lock");
        registry::restore(&self.store, &self.home(), &lock, &|name, _| whole(name)).unwrap()
    }
}

/// Files by path: mode, time, bytes.
pub(crate) type Files = BTreeMap<PathBuf, (u32, SystemTime, Vec<u8>)>;

/// Compares without printing what may be long.
pub(crate) fn assert_same(ours: &Files, theirs: &Files, what: &str) {
    let names = ours.keys().chain(theirs.keys());
    let differ: Vec<_> = names
        .filter(|name| ours.get(*name) != theirs.get(*name))
        .collect();
    assert!(differ.is_empty(), "{what}: {differ:?}");
}

/// Every file below a directory with its mode, time and bytes; of `.cargo-ok` no time.
pub(crate) fn tree(root: &Path) -> Files {
    use std::os::unix::fs::PermissionsExt;
    let mut files = BTreeMap::new();
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                pending.push(path);
                continue;
            }
            let data = fs::metadata(&path).unwrap();
            let time = match path.ends_with(".cargo-ok") {
                true => SystemTime::UNIX_EPOCH,
                false => data.modified().unwrap(),
            };
            let mode = data.permissions().mode();
            let name = path.strip_prefix(root).unwrap().to_owned();
            files.insert(name, (mode, time, fs::read(&path).unwrap()));
        }
    }
    files
}
