//! Options of gcc and clang, and what each may do to a compile.
//!
//! Looked up in this order: [`EXACT`], the longest beginning in [`JOINED`], then the families `-f`, `-m`,
//! `-W`, `-O` and `-g`, of which all but [`REFUSED`] change code, diagnostics or debug information by their
//! text alone. Whatever is in none of these is not known, and its compile is not reused.

/// What an option does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Its text is all there is to it: the text is keyed.
    Text,
    /// Its value is a path that says where something lies: keyed by its canonical name. What is read there
    /// is observed.
    Path,
    /// Its value is `OLD=NEW`, where `OLD` is the beginning of a path.
    Map,
    /// It reaches only the linker.
    Link,
    /// A question to the compiler, or a run that makes no object.
    Probe,
    /// `-c`
    Compile,
    /// `-S`
    Assembly,
    /// `-o`
    Output,
    /// `-x`
    Language,
    /// `-MD`
    Dep,
    /// `-MF`
    DepFile,
    /// `-MT` and `-MQ`
    DepTarget,
    /// `-gsplit-dwarf`
    SplitDwarf,
    /// `-march=native` and the like
    NativeCpu,
    /// `-Wa,…` and `-Xassembler`: words for the assembler.
    Assembler,
    /// `-Wp,…` and `-Xpreprocessor`: words for the preprocessor.
    Preprocessor,
    /// `-Xclang`: a word for clang's inner command line.
    Inner,
    /// It writes further files, reads working files of another compile, or its effect is not known.
    Refused,
}

/// Where an option's value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Value {
    /// There is none.
    None,
    /// The next word.
    Next,
    /// The rest of the word.
    Joined,
}

use Effect as E;

/// Options without a value.
const FLAGS: &[(&str, Effect)] = &[
    ("-c", E::Compile),
    ("-S", E::Assembly),
    ("-E", E::Probe),
    ("-M", E::Probe),
    ("-MM", E::Probe),
    ("-fsyntax-only", E::Probe),
    ("-MD", E::Dep),
    ("-MMD", E::Dep),
    ("-MP", E::Text),
    ("-###", E::Probe),
    ("--version", E::Probe),
    ("-version", E::Probe),
    ("--help", E::Probe),
    ("-help", E::Probe),
    ("--target-help", E::Probe),
    ("-dumpversion", E::Probe),
    ("-dumpfullversion", E::Probe),
    ("-dumpmachine", E::Probe),
    ("-dumpspecs", E::Probe),
    ("-gsplit-dwarf", E::SplitDwarf),
    ("-gsplit-dwarf=split", E::SplitDwarf),
    ("-march=native", E::NativeCpu),
    ("-mtune=native", E::NativeCpu),
    ("-mcpu=native", E::NativeCpu),
    ("-ansi", E::Text),
    ("-w", E::Text),
    ("-pipe", E::Text),
    ("-pthread", E::Text),
    ("-undef", E::Text),
    ("-trigraphs", E::Text),
    ("-traditional-cpp", E::Text),
    ("-C", E::Text),
    ("-CC", E::Text),
    ("-P", E::Text),
    ("-nostdinc", E::Text),
    ("-nostdinc++", E::Text),
    ("-nostdlibinc", E::Text),
    ("-nobuiltininc", E::Text),
    ("-pedantic", E::Text),
    ("-pedantic-errors", E::Text),
    ("-p", E::Text),
    ("-pg", E::Text),
    ("-emit-llvm", E::Text),
    ("-integrated-as", E::Text),
    ("-no-integrated-as", E::Text),
    ("-no-canonical-prefixes", E::Text),
    ("-Qunused-arguments", E::Text),
    ("-Qn", E::Text),
    ("-Qy", E::Text),
    ("-nostdlib", E::Link),
    ("-nostdlib++", E::Link),
    ("-nodefaultlibs", E::Link),
    ("-nostartfiles", E::Link),
    ("-nolibc", E::Link),
    ("-static", E::Link),
    ("-static-libgcc", E::Link),
    ("-static-libstdc++", E::Link),
    ("-static-pie", E::Link),
    ("-shared", E::Link),
    ("-shared-libgcc", E::Link),
    ("-rdynamic", E::Link),
    ("-s", E::Link),
    ("-r", E::Link),
    ("-pie", E::Link),
    ("-no-pie", E::Link),
];

/// Options with their value in the next word.
const SEPARATE: &[(&str, Effect)] = &[
    ("-o", E::Output),
    ("-x", E::Language),
    ("-MF", E::DepFile),
    ("-MT", E::DepTarget),
    ("-MQ", E::DepTarget),
    ("-D", E::Text),
    ("-U", E::Text),
    ("-A", E::Text),
    ("--param", E::Text),
    ("-target", E::Text),
    ("-arch", E::Text),
    ("-imultilib", E::Text),
    ("-imultiarch", E::Text),
    ("-I", E::Path),
    ("-isystem", E::Path),
    ("-iquote", E::Path),
    ("-idirafter", E::Path),
    ("-include", E::Path),
    ("--include", E::Path),
    ("-imacros", E::Path),
    ("--imacros", E::Path),
    ("-iprefix", E::Path),
    ("-iwithprefix", E::Path),
    ("-iwithprefixbefore", E::Path),
    ("-isysroot", E::Path),
    ("--sysroot", E::Path),
    ("-iframework", E::Path),
    ("-F", E::Path),
    ("-B", E::Path),
    ("-cxx-isystem", E::Path),
    ("-stdlib++-isystem", E::Path),
    ("-resource-dir", E::Path),
    ("-Xassembler", E::Assembler),
    ("-Xpreprocessor", E::Preprocessor),
    ("-Xclang", E::Inner),
    ("-Xlinker", E::Link),
    ("-L", E::Link),
    ("-l", E::Link),
    ("-T", E::Link),
    ("-u", E::Link),
    ("-z", E::Link),
    ("-e", E::Link),
    ("-framework", E::Link),
    ("-mllvm", E::Refused),
    ("-MJ", E::Refused),
    ("-aux-info", E::Refused),
    ("-include-pch", E::Refused),
    ("-dumpbase", E::Refused),
    ("-dumpbase-ext", E::Refused),
    ("-dumpdir", E::Refused),
    ("--serialize-diagnostics", E::Refused),
    ("-index-store-path", E::Refused),
];

/// Options with their value in the same word.
const JOINED: &[(&str, Effect)] = &[
    ("-print-", E::Probe),
    ("--print-", E::Probe),
    ("--help=", E::Probe),
    ("-o", E::Output),
    ("-x", E::Language),
    ("-MF", E::DepFile),
    ("-MT", E::DepTarget),
    ("-MQ", E::DepTarget),
    ("-D", E::Text),
    ("-U", E::Text),
    ("-A", E::Text),
    ("--param=", E::Text),
    ("--target=", E::Text),
    ("-std=", E::Text),
    ("--std=", E::Text),
    ("-stdlib=", E::Text),
    ("-rtlib=", E::Text),
    ("-unwindlib=", E::Text),
    ("-I", E::Path),
    ("-isystem", E::Path),
    ("-iquote", E::Path),
    ("-idirafter", E::Path),
    ("-include", E::Path),
    ("--include=", E::Path),
    ("-imacros", E::Path),
    ("--imacros=", E::Path),
    ("-isysroot", E::Path),
    ("--sysroot=", E::Path),
    ("-iframework", E::Path),
    ("-F", E::Path),
    ("-B", E::Path),
    ("-specs=", E::Path),
    ("--specs=", E::Path),
    ("--gcc-toolchain=", E::Path),
    ("-resource-dir=", E::Path),
    ("-fplugin=", E::Path),
    ("-fpass-plugin=", E::Path),
    ("-fsanitize-blacklist=", E::Path),
    ("-fsanitize-ignorelist=", E::Path),
    ("-fdebug-prefix-map=", E::Map),
    ("-fmacro-prefix-map=", E::Map),
    ("-ffile-prefix-map=", E::Map),
    // Into the debug information as they stand.
    ("-fdebug-compilation-dir=", E::Text),
    ("-ffile-compilation-dir=", E::Text),
    ("-fuse-ld=", E::Link),
    ("-Wl,", E::Link),
    ("-L", E::Link),
    ("-l", E::Link),
    ("-T", E::Link),
    ("-u", E::Link),
    ("-z", E::Link),
    ("-Wa,", E::Assembler),
    ("-Wp,", E::Preprocessor),
];

/// Beginnings of options that a family would let through: they write further files, read working files of
/// another compile, print what differs each time, or put the whole command line into the output.
const REFUSED: &[&str] = &[
    "-I-",
    "-include-pch",
    "-fauto-profile",
    "-fbranch-probabilities",
    "-fcallgraph-info",
    "-fcompare-debug",
    "-fcondition-coverage",
    "-fcoverage",
    "-fcrash-diagnostics",
    "-fcs-profile",
    "-fdeps-",
    "-fdiagnostics-add-output",
    "-fdiagnostics-format=",
    "-fdiagnostics-set-output",
    "-fdump-",
    "-fembed",
    "-fimplicit-module",
    "-fmem-report",
    "-fmodule",
    "-fmodules",
    "-foffload",
    "-fopt-info",
    "-foptimization-record",
    "-fpath-coverage",
    "-fpch",
    "-fprebuilt",
    "-fproc-stat-report",
    "-fprofile",
    "-frecord-",
    "-frepo",
    "-fsave-optimization-record",
    "-fstack-usage",
    "-ftest-coverage",
    "-fthinlto-index",
    "-ftime-",
    "-fverbose-asm",
    "-grecord-command-line",
    "-mllvm",
    "-MG",
    "-MJ",
    "-MV",
    "-Wmissing-include-dirs-",
];

/// The option that a word is, as far as it is known: how much of the word is its name, where its value is
/// and what it does.
#[must_use]
pub fn find(word: &[u8]) -> (usize, Value, Effect) {
    let exact = |table: &[(&str, Effect)]| {
        let row = table.iter().find(|(name, _)| name.as_bytes() == word);
        row.map(|(_, effect)| *effect)
    };
    if let Some(effect) = exact(FLAGS) {
        return (word.len(), Value::None, effect);
    }
    if let Some(effect) = exact(SEPARATE) {
        return (word.len(), Value::Next, effect);
    }
    if REFUSED.iter().any(|name| word.starts_with(name.as_bytes())) {
        return (word.len(), Value::None, Effect::Refused);
    }
    let joined = JOINED
        .iter()
        .filter(|(name, _)| word.starts_with(name.as_bytes()) && word.len() > name.len())
        .max_by_key(|(name, _)| name.len());
    if let Some((name, effect)) = joined {
        return (name.len(), Value::Joined, *effect);
    }
    (word.len(), Value::None, family(word))
}

/// What an option of a family does. One whose value holds a slash may name a file.
fn family(word: &[u8]) -> Effect {
    let names_file = word.contains(&b'/');
    match word {
        [b'-', b'f' | b'm' | b'W' | b'O' | b'g', ..] if !names_file => Effect::Text,
        _ => Effect::Refused,
    }
}

/// Whether a word for the assembler changes nothing but the object, by its text alone.
#[must_use]
pub fn assembler_word_is_known(word: &[u8]) -> bool {
    const KNOWN: &[&str] = &[
        "--noexecstack",
        "--execstack",
        "--fatal-warnings",
        "--warn",
        "--no-warn",
        "--32",
        "--64",
        "--x32",
        "--gdwarf",
        "--gen-debug",
        "-gdwarf",
        "--compress-debug-sections",
        "--nocompress-debug-sections",
        "--divide",
        "--keep-locals",
        "--strip-local-absolute",
        "--elf-stt-common",
        "--generate-missing-build-notes",
        "-march=",
        "-mcpu=",
        "-mfpu=",
        "-mfloat-abi=",
        "-mthumb",
        "-mimplicit-it=",
        "-mabi=",
        "-meabi",
        "-mrelax",
        "-mno-",
        "-mx86",
        "-mbranches",
        "-W",
        "-L",
        "-g",
    ];
    // `-g=FILE`, like `-a=FILE` and `--MD FILE`, is none of these forms.
    !word.contains(&b'/')
        && KNOWN.iter().any(|known| {
            word == known.as_bytes() || (known.len() > 2 && word.starts_with(known.as_bytes()))
        })
}

/// Whether a word for the preprocessor is one that its driver would take, too. A definition that may hold a
/// path is looked at only where it is the driver's own.
#[must_use]
pub fn preprocessor_word_is_known(word: &[u8]) -> bool {
    matches!(word, [b'-', b'D' | b'U', _, ..]) && !word.contains(&b'/')
}

/// Whether a word for clang's inner command line changes code by its text alone.
#[must_use]
pub fn inner_word_is_known(word: &[u8]) -> bool {
    match word {
        b"-target-feature" | b"-target-cpu" | b"-fopenmp" => true,
        [b'+' | b'-', rest @ ..]
            if rest.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'.') =>
        {
            // `+avx`, `-sse4.1`: features. One-letter words and inner options are others.
            word[0] == b'+' || (rest.len() > 2 && rest.iter().any(u8::is_ascii_digit))
        }
        [b'-', b'f', ..] => matches!(find(word), (_, Value::None, Effect::Text)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_and_their_values() {
        let check = |word: &str, name: &str, value: Value, effect: Effect| {
            assert_eq!(find(word.as_bytes()), (name.len(), value, effect), "{word}");
        };
        check("-o", "-o", Value::Next, E::Output);
        check("-oa.o", "-o", Value::Joined, E::Output);
        check("-isystem/usr", "-isystem", Value::Joined, E::Path);
        check("-include", "-include", Value::Next, E::Path);
        check("--include", "--include", Value::Next, E::Path);
        check("--include=/a.h", "--include=", Value::Joined, E::Path);
        check(
            "-ffile-prefix-map=/a=b",
            "-ffile-prefix-map=",
            Value::Joined,
            E::Map,
        );
        check("-DX=/a", "-D", Value::Joined, E::Text);
        check("-march=native", "-march=native", Value::None, E::NativeCpu);
        check("-march=x86-64-v3", "-march=x86-64-v3", Value::None, E::Text);
        check("-print-search-dirs", "-print-", Value::Joined, E::Probe);
        check("-Wl,-rpath,/x", "-Wl,", Value::Joined, E::Link);
        check("-Wno-unused", "-Wno-unused", Value::None, E::Text);
        check(
            "-gsplit-dwarf=single",
            "-gsplit-dwarf=single",
            Value::None,
            E::Text,
        );
        for refused in [
            "-fprofile-arcs",
            "--coverage",
            "-ftest-coverage",
            "-save-temps",
            "-save-temps=obj",
            "-fdump-tree-all",
            "-fstack-usage",
            "-include-pch",
            "-mllvm",
            "-MJ",
            "-MG",
            "-v",
            "-H",
            "-Q",
            "-dM",
            "-frecord-gcc-switches",
            "--new-option",
            "-fsomething=/a/file",
            "-I-",
            "-fmodules",
            "-ftime-trace",
            "-time",
            "-wrapper",
            "--",
        ] {
            assert_eq!(find(refused.as_bytes()).2, E::Refused, "{refused}");
        }
    }

    #[test]
    fn words_for_inner_programs() {
        for known in [
            "--noexecstack",
            "-march=armv8-a+crypto",
            "-mimplicit-it=always",
            "-W",
            "-g",
        ] {
            assert!(assembler_word_is_known(known.as_bytes()), "{known}");
        }
        for unknown in [
            "-a=x",
            "-alh",
            "--MD",
            "-I",
            "-o",
            "--defsym",
            "-gx",
            "-Wx",
            "-march=/x",
        ] {
            assert!(!assembler_word_is_known(unknown.as_bytes()), "{unknown}");
        }
        assert!(preprocessor_word_is_known(b"-DX"));
        assert!(!preprocessor_word_is_known(b"-MD"));
        assert!(!preprocessor_word_is_known(b"-DX=/a/b"));
        for known in ["-target-feature", "+avx2", "-sse4.1", "-fopenmp"] {
            assert!(inner_word_is_known(known.as_bytes()), "{known}");
        }
        for unknown in [
            "-load",
            "/x.so",
            "-o",
            "-E",
            "-main-file-name",
            "-fprofile-instrument=clang",
        ] {
            assert!(!inner_word_is_known(unknown.as_bytes()), "{unknown}");
        }
    }
}
