//! The one table of what a key holds, and of what it leaves out and why. The reference page
//! `docs/reference/keys.md` is generated from it.

use rekindle_events::ChangeKind;

/// Raised whenever the meaning of any item changes, so that no entry is found under an old meaning.
pub const KEY_VERSION: u32 = 1;

macro_rules! tags {
    ($($name:ident = $byte:literal, $kind:ident, $title:literal, $why:literal;)+) => {
        /// What an item of a manifest is. The byte is part of every key: never reuse one.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
        #[repr(u8)]
        pub enum Tag {
            $(#[doc = $title] $name = $byte,)+
        }

        impl Tag {
            /// How `explain` groups it.
            #[must_use]
            pub const fn change_kind(self) -> ChangeKind {
                match self { $(Self::$name => ChangeKind::$kind,)+ }
            }
        }

        /// Every input, in the order of the reference page.
        pub const INPUTS: &[Input] = &[
            $(Input { tag: Tag::$name, title: $title, why: $why },)+
        ];
    };
}

/// One row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Input {
    /// Its tag.
    pub tag: Tag,
    /// What is keyed.
    pub title: &'static str,
    /// Why.
    pub why: &'static str,
}

tags! {
    Version = 1, Format, "Format version of keys",
        "An entry made under another meaning of a key is never found.";
    Compiler = 2, Compiler, "Compiler and sysroot, by content",
        "The compiler, its libraries, the target's standard library and the tools that the sysroot ships, each by digest: a toolchain of the same name with other bytes is another compiler.";
    Driver = 3, Compiler, "Workspace wrapper and trusted wrappers, by content, and clippy's configuration",
        "clippy-driver and the like are compilers of their own; clippy reads a configuration of its own.";
    Argument = 4, Argument, "Arguments",
        "Each with its option name, in order; paths that only say where things lie are named relative to their root.";
    SourcePath = 5, Argument, "Path of the crate's root source",
        "file!() and debug information hold it; whether it was given relative matters too.";
    Env = 6, Env, "Variables that cargo sets for a package",
        "Macros may read CARGO_PKG_*, CARGO_CRATE_NAME and the like without telling anyone.";
    CompilerEnv = 7, Env, "Variables that the compiler itself reads",
        "RUSTC_BOOTSTRAP, SOURCE_DATE_EPOCH and the like change what is accepted or emitted.";
    EnvDep = 8, Env, "Variables that dep-info names, by digest of the value",
        "env!() and option_env!() put the value into the output. A value is kept as a digest alone.";
    EnvDepPath = 9, Env, "OUT_DIR and other paths below a root, where they are only used to include files",
        "The included files are keyed by content; the path itself reaches no output.";
    Source = 10, Source, "Files that dep-info names: path and content",
        "Swapped contents and renamed files are other inputs.";
    Extern = 11, Extern, "Crates on the command line: name, file, content, and what is behind them",
        "The digest of the crate's own file joined with those of its own dependencies, down to the leaves: a procedural macro's native code changes its effect without changing any metadata.";
    LinkedCrate = 12, Extern, "Every library crate behind a linked output, by content",
        "The linker, or link-time optimisation, reads their code.";
    Native = 13, Native, "Native archives, by content: those that arguments name, and all in the searched directories where the output bundles any or the source asks for one",
        "A static library becomes part of the output.";
    NativeDirectory = 14, Native, "Names in directories searched for native libraries",
        "A library that appears earlier in the search path would be taken instead.";
    LinkerDriver = 15, Linker, "The linker driver, by content, as found on PATH now",
        "The driver chooses start files, libraries and the linker.";
    LinkerChoice = 16, Linker, "The linker that was chosen for speed",
        "Another linker gives another output.";
    LinkerEnv = 17, Linker, "Variables that linker drivers read",
        "LIBRARY_PATH, COMPILER_PATH and the like change what is found.";
    LinkerFile = 18, Linker, "Files that the linker read, by content",
        "Start files, libraries of the system, scripts: as the linker's own dependency file lists them.";
    LinkerProgram = 19, Linker, "Programs that the driver starts, as found now, by content",
        "The driver finds `ld` on PATH.";
    Absent = 20, Linker, "Library files that were not there",
        "One that appears earlier in the search path would be taken instead.";
    Directory = 21, Directory, "A directory whose real path the output holds",
        "Found by a search of the output's bytes: such a unit is only reused in the same directory.";
    TargetSpec = 22, Compiler, "Target specification file, by content",
        "It decides about everything the compiler emits.";
    ProfileData = 23, Source, "Profile data, by content",
        "Profile-guided optimisation reads it.";
    HostCpu = 24, Compiler, "The processor, under `target-cpu=native`",
        "The compiler asks it for its features.";
    DiagnosticWidth = 25, Argument, "Width of the terminal, where diagnostics were printed",
        "The compiler wraps what it prints; a unit that printed nothing does not depend on it.";
    Incremental = 26, Argument, "Whether the compile is incremental",
        "It splits code into other units. The state itself does not change what is emitted.";
    Remap = 27, Argument, "The names that paths are mapped to, if they are",
        "It changes debug information and panic messages.";
    Step = 28, Step, "What kind of step it is, with the version of how such steps are keyed",
        "A build script, a C compiler and a command are told apart before anything else.";
    StepProgram = 29, Program, "The step's program, by content",
        "A build script whose code, or whose crates' code, changed is another program.";
    StepArgument = 30, Argument, "The step's arguments, and the directory that it runs in",
        "In order; a path below a root is named relative to it.";
    ReadFile = 31, Read, "Files that the step and its children were seen to read, by content",
        "Declared or not: what was read decided what was made.";
    Looked = 32, Looked, "Paths that were asked about: whether something is there, and what kind",
        "A file that appears where one was looked for in vain would have been read. Where many were in one directory that is missing, the directory stands for them.";
    Listing = 33, Listing, "Directories that were listed: names and kinds, by digest",
        "A file that is added is seen by who lists its directory.";
    Link = 34, Link, "Symbolic links that were followed or read: where they lead",
        "A link that leads elsewhere is another input even if both files are the same.";
    RanProgram = 35, Program, "Programs that the step started, by content",
        "A compiler or a generator of other bytes does other work.";
    Lookup = 36, Program, "Programs that were looked for on PATH: what is found there now, by content",
        "PATH says which program is started: what it leads to counts, not what it says.";
    Variable = 37, Env, "Variables that the step was seen to read, by digest of the value",
        "Values are kept as digests alone; those that cargo or the system gives as paths are named relative to their roots.";
    Library = 38, Library, "Shared libraries that were looked for: which files their names lead to in the loader's index",
        "The index itself is another whenever any package is installed; what a name leads to decides what is loaded.";
    Spoken = 39, Env, "Beginnings of the names of variables that stand in a build script which looks for names in a copy of all",
        "The `cc` crate takes such a copy: a variable of whose name nothing stands in the program is not asked for.";
}

/// Something a key leaves out.
#[derive(Clone, Copy, Debug)]
pub struct Exclusion {
    /// What.
    pub what: &'static str,
    /// Why it cannot change the outputs, or how it is keyed otherwise.
    pub reason: &'static str,
}

/// Everything that an invocation holds and a key does not.
pub const EXCLUSIONS: &[Exclusion] = &[
    Exclusion {
        what: "--out-dir, and the directory of `-C incremental`",
        reason: "where outputs go; that there is incremental state is keyed",
    },
    Exclusion {
        what: "-L dependency=…",
        reason: "the crates found there are keyed by content, through the externs",
    },
    Exclusion {
        what: "the directories before the names of externs and sources",
        reason: "named relative to target directory, cargo home, workspace or package; an output that holds the real path is keyed by it",
    },
    Exclusion {
        what: "--diagnostic-width, where nothing was printed",
        reason: "it only wraps diagnostics",
    },
    Exclusion {
        what: "sources' times, owners and modes",
        reason: "the compiler reads contents",
    },
    Exclusion {
        what: "files of the sysroot, one by one",
        reason: "the whole sysroot is keyed once, by content",
    },
    Exclusion {
        what: "incremental state",
        reason: "the compiler checks it against its own digests and gives the same outputs without it",
    },
    Exclusion {
        what: "the linker's temporary objects",
        reason: "made by the compiler from inputs that are keyed",
    },
    Exclusion {
        what: "MAKEFLAGS, CARGO_MAKEFLAGS and the jobserver",
        reason: "they bound parallelism",
    },
    Exclusion {
        what: "LD_LIBRARY_PATH",
        reason: "cargo points it at the sysroot and the target directory, for the compiler's own libraries and macros, which are keyed by content",
    },
    Exclusion {
        what: "RUST_BACKTRACE, RUSTC_LOG, RUST_MIN_STACK, TERM, COLORTERM, CARGO_TERM_*",
        reason: "they change what is said of failures, and failures are not stored",
    },
    Exclusion {
        what: "of observed compiles: what the compiler reads of its own, of rustup, of the directories of crates and of incremental state",
        reason: "the sysroot is keyed as a whole and names the toolchain, crates are keyed by content, the state is checked by the compiler",
    },
    Exclusion {
        what: "of observed compiles: Rekindle's own program, `/dev/fd`, the links by which the linker's driver is found, where a root that is a link leads, and that the directories above sources, outputs, toolchain and cargo's home are there",
        reason: "the driver is keyed by content as it is found; what is below a root has its name, wherever that is; the others are there in every build",
    },
    Exclusion {
        what: "of observed compiles: `/etc/ld.so.cache`, `/etc/ld.so.preload`, `/etc/malloc.conf`, shared libraries in the system's directories and in those of LD_LIBRARY_PATH, and where the loader looks for better ones",
        reason: "the loader reads them for the compiler itself, whose results do not depend on them; libraries are keyed where the compile is observed for its linker, which may have linked them",
    },
    Exclusion {
        what: "of observed compiles: sources again, the directories above them, and libraries in directories searched for native ones, unless it is observed for its linker",
        reason: "keyed already, from dep-info and by name",
    },
    Exclusion {
        what: "of observed compiles: the linker and all that it starts, where it can be asked what it reads",
        reason: "keyed by the linker's own dependency file",
    },
    Exclusion {
        what: "of observed compiles: variables that cargo sets for a package, that the compiler reads, and those that change what is shown or how large stacks are",
        reason: "keyed already, or without effect on what is made",
    },
    Exclusion {
        what: "of observed compiles: what PATH says, where macros start programs, and neither ask for it nor go through all variables",
        reason: "what it leads to is keyed by content; an output that holds its value is keyed by it",
    },
    Exclusion {
        what: "of macros and build scripts: that a profile strips their symbols",
        reason: "they keep them (`--strip-debug` in the place of `--strip-all`), since what a program does with its variables is told by its symbols; people do not get these",
    },
    Exclusion {
        what: "compiles that no macro reaches, and whose linker can be asked what it reads, are not observed",
        reason: "a compiler that runs no foreign code declares what it reads",
    },
    Exclusion {
        what: "of steps: files of the directory that they write to",
        reason: "made by the run itself; a run that looked at what an earlier one left there is not stored",
    },
    Exclusion {
        what: "of steps: temporary files that the run made and removed",
        reason: "made by the run itself",
    },
    Exclusion {
        what: "of C compiles: where outputs go, where neither they nor a dependency file hold it; and that the directories above are there",
        reason: "the same object has another name in another build; without its directories there is none",
    },
    Exclusion {
        what: "of C compiles: PATH, LD_LIBRARY_PATH, HOME, TMPDIR and the like; PWD, unless it is another name of their directory",
        reason: "the programs, libraries and headers that they lead to are observed, and keyed by content",
    },
    Exclusion {
        what: "TERM, COLORTERM, TMPDIR, TMP and TEMP, where compilers and linkers of C ask for them",
        reason: "they colour what they say, where that is a terminal, which it is not in a step; temporary files are gone afterwards",
    },
    Exclusion {
        what: "of C compiles that said nothing: LANG, LANGUAGE, LC_*, LOCPATH, and files of languages",
        reason: "compilers translate what they say, and do nothing else with them",
    },
    Exclusion {
        what: "of steps: times, owners and inodes of files",
        reason: "another checkout has others; what is read is keyed by content",
    },
    Exclusion {
        what: "of steps: /dev/null and terminals, /proc/self, and what /proc and /sys say of processors and control groups",
        reason: "they bound parallelism, or describe the process itself",
    },
    Exclusion {
        what: "of steps: that the directories above workspace, package, target directory, cargo's home, toolchain and home are there, where all of them were looked at",
        reason: "who resolves a path asks each of them whether it is a link; that a root is there says as much",
    },
    Exclusion {
        what: "of steps: that the loader or the start of a static program asks for the kernel's version",
        reason: "it only refuses to start on a kernel that is too old",
    },
    Exclusion {
        what: "of steps: the host's name, where only `hostname` or `uname -n` below a `configure` script asks for it, and no output but `config.log` holds it",
        reason: "autoconf writes it into its log, for people; every container has another one",
    },
    Exclusion {
        what: "of steps: randomness that cmake reads, where no file that was read has the word `RANDOM`, those of C apart",
        reason: "it names the directories by it in which it tries compilers; a script has to ask for a number, by `string(RANDOM …)`",
    },
    Exclusion {
        what: "of steps: in a profile's directory and its `deps`, where they were listed, what cargo puts there: its subdirectories, names with a unit's hash, files with a `.d` beside them",
        reason: "it is what happened to be built by then; of what is opened there the content counts, and a run is not stored whose outputs name such a file",
    },
    Exclusion {
        what: "of steps: where programs of the system's would find libraries in cargo's LD_LIBRARY_PATH",
        reason: "they are loaded without it, and given it back before they begin",
    },
    Exclusion {
        what: "CARGO, CARGO_HOME, CARGO_TARGET_DIR, CARGO_INCREMENTAL, RUSTFLAGS and other settings of cargo",
        reason: "they reach the compiler as arguments, which are keyed",
    },
];

/// Variables of cargo's that reach macros: those with one of these beginnings, or names.
pub const CARGO_ENV_PREFIXES: &[&str] = &[
    "CARGO_PKG_",
    "CARGO_BIN_EXE_",
    "CARGO_CFG_",
    "CARGO_FEATURE_",
];

/// See [`CARGO_ENV_PREFIXES`].
pub const CARGO_ENV_NAMES: &[&str] = &[
    "CARGO_CRATE_NAME",
    "CARGO_BIN_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_MANIFEST_DIR",
    "CARGO_MANIFEST_PATH",
    "CARGO_MANIFEST_LINKS",
    "CARGO_TARGET_TMPDIR",
    "OUT_DIR",
];

/// Variables that rustc, clippy or LLVM read themselves.
pub const COMPILER_ENV_NAMES: &[&str] = &[
    "RUSTC_BOOTSTRAP",
    "RUSTC_BOOTSTRAP_SYNTHETIC_TARGET",
    "RUSTC_FORCE_RUSTC_VERSION",
    "RUSTC_OVERRIDE_VERSION_STRING",
    "RUSTC_ICE",
    "RUST_TARGET_PATH",
    "SOURCE_DATE_EPOCH",
    "CLIPPY_ARGS",
    "CLIPPY_CONF_DIR",
    "CLIPPY_DISABLE_DOCS_LINKS",
    "CLIPPY_TERMINAL_WIDTH",
    "__CLIPPY_INTERNAL_TESTS",
    "MACOSX_DEPLOYMENT_TARGET",
    "IPHONEOS_DEPLOYMENT_TARGET",
];

/// Variables that gcc, clang and their linkers read.
pub const LINKER_ENV_NAMES: &[&str] = &[
    "COMPILER_PATH",
    "GCC_EXEC_PREFIX",
    "LIBRARY_PATH",
    "LD_RUN_PATH",
    "LDEMULATION",
    "LDFLAGS",
    "GNUTARGET",
    "LD_LIBRARY_PATH_64",
    "COLLECT_NO_DEMANGLE",
    "SOURCE_DATE_EPOCH",
    "MOLD_JOBS",
    "WILD_ARGS",
    "CCC_OVERRIDE_OPTIONS",
    "CCC_ADD_ARGS",
];

/// Whether cargo sets `name` for the package that is compiled.
#[must_use]
pub fn is_package_variable(name: &str) -> bool {
    CARGO_ENV_NAMES.contains(&name)
        || CARGO_ENV_PREFIXES
            .iter()
            .any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_unique_and_explained() {
        let mut bytes: Vec<u8> = INPUTS.iter().map(|input| input.tag as u8).collect();
        bytes.sort_unstable();
        bytes.dedup();
        assert_eq!(bytes.len(), INPUTS.len());
        assert!(INPUTS.iter().all(|input| input.why.ends_with('.')));
    }
}
