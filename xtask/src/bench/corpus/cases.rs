//! The cases: a program whose macro, or build script, reads one kind of thing that cargo is not told of,
//! and what changes.

use std::path::Path;

use crate::Failure;
use crate::bench::projects::{make_dir, remove, write};

/// Who reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    /// A macro of this body, in a crate of the workspace.
    Macro(&'static str),
    /// A build script of this body, which declares itself and nothing else.
    Script(&'static str),
    /// Macros of published packages; the body is the program's, the rest its dependencies.
    Package {
        main: &'static str,
        dependencies: &'static str,
    },
}

/// What is another in the third build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// A file has this text.
    Write(&'static str, &'static str),
    /// A link leads here.
    Lead(&'static str, &'static str),
    /// A variable has this value.
    Set(&'static str, &'static str),
    /// What listens on a socket answers something else.
    Answer(&'static str),
    /// Each moment has another value.
    Moment,
}

/// One kind of read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    /// A directory's name.
    pub(super) name: &'static str,
    /// As the table says it.
    pub(super) what: &'static str,
    pub(super) reader: Reader,
    pub(super) files: &'static [(&'static str, &'static str)],
    pub(super) change: Change,
    /// What the program says before and after; empty where each moment has its own.
    pub(super) says: [&'static str; 2],
}

const FILE: &[(&str, &str)] = &[("data/file", "one")];
const NO_FILE: &[(&str, &str)] = &[("data/other", "")];
const REWRITE: Change = Change::Write("data/file", "two");
const ONE_TWO: [&str; 2] = ["one", "two"];

const READ: &str = "std::fs::read_to_string(data(\"file\")).unwrap()";
const LIST: &str = "std::fs::read_dir(data(\"\")).unwrap().count().to_string()";
const LOOK: &str = "std::fs::read_to_string(data(\"file\")).unwrap_or(\"nothing\".into())";
const VARIABLE: &str = "std::env::var(\"DATABASE_URL\").unwrap_or(\"none\".into())";
const VARIABLES: &str =
    "std::env::vars().filter(|(name, _)| name.starts_with(\"MINE_\")).count().to_string()";
const CHILD: &str = "said(std::process::Command::new(\"cat\").arg(data(\"file\")))";
const HELPER: &str = "said(std::process::Command::new(data(\"../helper\")).arg(data(\"file\")))";
const MAPPED: &str = "
    use std::os::fd::AsRawFd;
    extern \"C\" { fn mmap(at: *mut u8, size: usize, may: i32, how: i32, fd: i32, from: i64) -> *mut u8; }
    let file = std::fs::File::open(data(\"file\")).unwrap();
    let size = file.metadata().unwrap().len() as usize;
    let bytes = unsafe { std::slice::from_raw_parts(mmap(std::ptr::null_mut(), size, 1, 2, file.as_raw_fd(), 0), size) };
    String::from_utf8(bytes.to_vec()).unwrap()";
const TIME: &str = "format!(\"{:?}\", std::time::SystemTime::now())";
const RANDOM: &str = "
    let mut bytes = [0; 8];
    std::io::Read::read_exact(&mut std::fs::File::open(\"/dev/urandom\").unwrap(), &mut bytes).unwrap();
    format!(\"{bytes:?}\")";
const SOCKET: &str = "
    let mut text = String::new();
    let mut socket = std::net::TcpStream::connect(std::fs::read_to_string(data(\"address\")).unwrap()).unwrap();
    std::io::Read::read_to_string(&mut socket, &mut text).unwrap();
    text";

const SQLX: &str = "sqlx = { version = \"0.8\", default-features = false, features = [\"macros\", \"migrate\", \"postgres\"] }\n";

/// `query-` and the SHA-256 of the query.
const OFFLINE: &str =
    ".sqlx/query-db643e6801062fc2e24724c02746fc7e712f348d64d472d5cdce5641af75514e.json";

macro_rules! offline {
    ($nullable:literal) => {
        concat!(
            "{\"db_name\":\"PostgreSQL\",\"query\":\"select id from t\",\"describe\":{\"columns\":[",
            "{\"ordinal\":0,\"name\":\"id\",\"type_info\":\"Int4\"}],\"parameters\":{\"Left\":[]},",
            "\"nullable\":[", $nullable, "]},\"hash\":",
            "\"db643e6801062fc2e24724c02746fc7e712f348d64d472d5cdce5641af75514e\"}"
        )
    };
}

const fn case(
    name: &'static str,
    what: &'static str,
    reader: Reader,
    files: &'static [(&'static str, &'static str)],
    (change, says): (Change, [&'static str; 2]),
) -> Case {
    Case {
        name,
        what,
        reader,
        files,
        change,
        says,
    }
}

/// Every case.
pub(super) const CASES: &[Case] = &[
    case(
        "macro-file",
        "a macro reads a file",
        Reader::Macro(READ),
        FILE,
        (REWRITE, ONE_TWO),
    ),
    case(
        "macro-listing",
        "a macro lists a directory",
        Reader::Macro(LIST),
        FILE,
        (Change::Write("data/more", ""), ["1", "2"]),
    ),
    case(
        "macro-missing",
        "a macro looks for a file that appears later",
        Reader::Macro(LOOK),
        NO_FILE,
        (REWRITE, ["nothing", "two"]),
    ),
    case(
        "macro-link",
        "a macro reads through a link that is led elsewhere",
        Reader::Macro(READ),
        &[("data/first", "one"), ("data/second", "two")],
        (Change::Lead("data/file", "second"), ONE_TWO),
    ),
    case(
        "macro-variable",
        "a macro reads a variable",
        Reader::Macro(VARIABLE),
        NO_FILE,
        (Change::Set("DATABASE_URL", "two"), ["none", "two"]),
    ),
    case(
        "macro-variables",
        "a macro goes through all variables",
        Reader::Macro(VARIABLES),
        NO_FILE,
        (Change::Set("MINE_1", "x"), ["0", "1"]),
    ),
    case(
        "macro-child",
        "a macro's child reads a file",
        Reader::Macro(CHILD),
        FILE,
        (REWRITE, ONE_TWO),
    ),
    case(
        "macro-mapped",
        "a macro maps a file",
        Reader::Macro(MAPPED),
        FILE,
        (REWRITE, ONE_TWO),
    ),
    case(
        "macro-static",
        "a macro's static helper reads a file",
        Reader::Macro(HELPER),
        FILE,
        (REWRITE, ONE_TWO),
    ),
    case(
        "macro-time",
        "a macro reads the time",
        Reader::Macro(TIME),
        NO_FILE,
        (Change::Moment, ["", ""]),
    ),
    case(
        "macro-random",
        "a macro reads randomness",
        Reader::Macro(RANDOM),
        NO_FILE,
        (Change::Moment, ["", ""]),
    ),
    case(
        "macro-socket",
        "a macro asks a socket",
        Reader::Macro(SOCKET),
        NO_FILE,
        (Change::Answer("two"), ONE_TWO),
    ),
    case(
        "include-dir",
        "`include_dir!`, a file is added",
        Reader::Package {
            main: "static DIR: include_dir::Dir = include_dir::include_dir!(\"$CARGO_MANIFEST_DIR/assets\");\n\
                   fn read() -> String { DIR.files().count().to_string() }",
            dependencies: "include_dir = \"0.7\"\n",
        },
        &[("assets/a", "")],
        (Change::Write("assets/b", ""), ["1", "2"]),
    ),
    case(
        "askama",
        "an askama template is rewritten",
        Reader::Package {
            main: "#[derive(askama::Template)] #[template(path = \"t.txt\")] struct Text;\n\
                   fn read() -> String { askama::Template::render(&Text).unwrap() }",
            dependencies: "askama = \"0.14\"\n",
        },
        &[("templates/t.txt", "one")],
        (Change::Write("templates/t.txt", "two"), ONE_TWO),
    ),
    case(
        "sqlx-migrations",
        "`sqlx::migrate!`, a migration is added",
        Reader::Package {
            main: "static ALL: sqlx::migrate::Migrator = sqlx::migrate!(\"./migrations\");\n\
                   fn read() -> String { ALL.iter().count().to_string() }",
            dependencies: SQLX,
        },
        &[("migrations/1_one.sql", "select 1")],
        (
            Change::Write("migrations/2_two.sql", "select 2"),
            ["1", "2"],
        ),
    ),
    case(
        "sqlx-offline",
        "`sqlx::query_scalar!`, offline data is rewritten",
        Reader::Package {
            main: "fn of<O, A>(_: &sqlx::query::QueryScalar<'_, sqlx::Postgres, O, A>) -> String { std::any::type_name::<O>().into() }\n\
                   fn read() -> String { of(&sqlx::query_scalar!(\"select id from t\")) }",
            dependencies: SQLX,
        },
        &[(OFFLINE, offline!("false"))],
        (
            Change::Write(OFFLINE, offline!("true")),
            ["i32", "core::option::Option<i32>"],
        ),
    ),
    case(
        "script-file",
        "a build script reads a file",
        Reader::Script(READ),
        FILE,
        (REWRITE, ONE_TWO),
    ),
    case(
        "script-listing",
        "a build script lists a directory",
        Reader::Script(LIST),
        FILE,
        (Change::Write("data/more", ""), ["1", "2"]),
    ),
    case(
        "script-missing",
        "a build script looks for a file that appears later",
        Reader::Script(LOOK),
        NO_FILE,
        (REWRITE, ["nothing", "two"]),
    ),
    case(
        "script-variable",
        "a build script reads a variable",
        Reader::Script(VARIABLE),
        NO_FILE,
        (Change::Set("DATABASE_URL", "two"), ["none", "two"]),
    ),
    case(
        "script-child",
        "a build script's child reads a file",
        Reader::Script(CHILD),
        FILE,
        (REWRITE, ONE_TWO),
    ),
    case(
        "script-static",
        "a build script's static helper reads a file",
        Reader::Script(HELPER),
        FILE,
        (REWRITE, ONE_TWO),
    ),
    case(
        "script-socket",
        "a build script asks a socket",
        Reader::Script(SOCKET),
        NO_FILE,
        (Change::Answer("two"), ONE_TWO),
    ),
];

/// What readers have at hand.
const PRELUDE: &str = "
#![allow(unused)]
fn data(name: &str) -> String { format!(\"{}/data/{name}\", root()) }
fn said(command: &mut std::process::Command) -> String {
    String::from_utf8(command.output().unwrap().stdout).unwrap()
}
";

/// A macro that gives what was read, and an address that is another in each process: whether two programs
/// come from one expansion shows in it, whatever a tool says, and nothing that could be observed.
fn macro_of(body: &str) -> String {
    format!(
        "{PRELUDE}\n\
         fn root() -> &'static str {{ concat!(env!(\"CARGO_MANIFEST_DIR\"), \"/..\") }}\n\
         fn read() -> String {{ {body} }}\n\
         #[proc_macro] pub fn value(_: proc_macro::TokenStream) -> proc_macro::TokenStream {{\n\
         let here = 0_u8; format!(\"({{:?}}, \\\"{{:p}}\\\")\", read(), &here).parse().unwrap() }}\n"
    )
}

fn script_of(body: &str) -> String {
    format!(
        "{PRELUDE}\nfn root() -> String {{ std::env::var(\"CARGO_MANIFEST_DIR\").unwrap() }}\n\
         fn read() -> String {{ {body} }}\n\
         fn main() {{ println!(\"cargo:rerun-if-changed=build.rs\");\n\
         let out = std::env::var(\"OUT_DIR\").unwrap(); let here = 0_u8;\n\
         std::fs::write(out + \"/made\", format!(\"({{:?}}, \\\"{{:p}}\\\")\", read(), &here)).unwrap(); }}\n"
    )
}

impl Case {
    /// Writes the project.
    pub(super) fn lay_out(&self, dir: &Path) -> Result<(), Failure> {
        let dependencies = match self.reader {
            Reader::Macro(_) => "mac = { path = \"mac\" }\n".to_owned(),
            Reader::Script(_) => String::new(),
            Reader::Package { dependencies, .. } => {
                format!("mac = {{ path = \"mac\" }}\n{dependencies}")
            }
        };
        let manifest = format!(
            "[package]\nname = \"app\"\nversion = \"0.1.0\"\nedition = \"2021\"\n[workspace]\n\
             [dependencies]\n{dependencies}[profile.dev]\ndebug = false\n"
        );
        // In a library: not every tool caches programs.
        let library = match self.reader {
            Reader::Macro(_) => "pub fn say() -> (&'static str, &'static str) { mac::value!() }".to_owned(),
            Reader::Script(_) => {
                "pub fn say() -> (&'static str, &'static str) { include!(concat!(env!(\"OUT_DIR\"), \"/made\")) }".to_owned()
            }
            Reader::Package { main, .. } => {
                format!("{main}\npub fn say() -> (String, &'static str) {{ (read(), mac::value!().1) }}")
            }
        };
        let main = "fn main() { let (value, run) = app::say(); println!(\"{value}|{run}\") }";
        put(dir, "Cargo.toml", &manifest)?;
        put(dir, "src/lib.rs", &library)?;
        put(dir, "src/main.rs", main)?;
        match self.reader {
            Reader::Script(body) => put(dir, "build.rs", &script_of(body))?,
            Reader::Macro(body) => put_macro(dir, body)?,
            Reader::Package { .. } => put_macro(dir, "String::new()")?,
        }
        for (name, text) in self.files {
            put(dir, name, text)?;
        }
        if let Change::Lead(link, _) = self.change {
            lead(&dir.join(link), "first")?;
        }
        Ok(())
    }

    /// Whether it needs the static helper.
    pub(super) fn needs_helper(&self) -> bool {
        matches!(self.reader, Reader::Macro(HELPER) | Reader::Script(HELPER))
    }
}

fn put_macro(dir: &Path, body: &str) -> Result<(), Failure> {
    let manifest = "[package]\nname = \"mac\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\
                    [lib]\nproc-macro = true\n";
    put(dir, "mac/Cargo.toml", manifest)?;
    put(dir, "mac/src/lib.rs", &macro_of(body))
}

/// Writes a file below a directory.
pub(super) fn put(dir: &Path, name: &str, text: &str) -> Result<(), Failure> {
    let file = dir.join(name);
    make_dir(file.parent().unwrap_or(dir))?;
    write(&file, text)
}

/// Leads a link to a place.
pub(super) fn lead(link: &Path, to: &str) -> Result<(), Failure> {
    remove(link)?;
    std::os::unix::fs::symlink(to, link)
        .map_err(|error| format!("cannot make `{}`: {error}", link.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_there_are_enough() {
        let mut names: Vec<_> = CASES.iter().map(|case| case.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CASES.len());
        assert!(names.len() >= 15);
    }
}
