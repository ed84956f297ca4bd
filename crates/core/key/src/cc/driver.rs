//! Which tool a program is, told from its name alone.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// What a compiler driver takes its inputs for, where nothing says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Driver {
    /// `cc`, `gcc`, `clang`
    C,
    /// `c++`, `g++`, `clang++`
    Cxx,
}

/// A tool whose runs may be reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Tool {
    /// A compiler driver.
    Compiler(Driver),
    /// `ar`
    Ar,
    /// `ranlib`
    Ranlib,
}

const TOOLS: &[(&str, Tool)] = &[
    ("cc", Tool::Compiler(Driver::C)),
    ("gcc", Tool::Compiler(Driver::C)),
    ("clang", Tool::Compiler(Driver::C)),
    ("c89", Tool::Compiler(Driver::C)),
    ("c99", Tool::Compiler(Driver::C)),
    ("c++", Tool::Compiler(Driver::Cxx)),
    ("g++", Tool::Compiler(Driver::Cxx)),
    ("clang++", Tool::Compiler(Driver::Cxx)),
    ("ar", Tool::Ar),
    ("gcc-ar", Tool::Ar),
    ("llvm-ar", Tool::Ar),
    ("ranlib", Tool::Ranlib),
    ("gcc-ranlib", Tool::Ranlib),
    ("llvm-ranlib", Tool::Ranlib),
];

impl Tool {
    /// The tool behind a program's name: `cc`, `TRIPLE-g++`, `clang-14`, `/usr/bin/x86_64-linux-gnu-gcc-12`.
    /// `None` for what is none that is known.
    #[must_use]
    pub fn of(program: &OsStr) -> Option<Self> {
        let name = Path::new(program).file_name()?.to_str()?;
        let name = without_version(name);
        let exact = |name: &str| {
            let found = TOOLS.iter().find(|(tool, _)| *tool == name);
            found.map(|(_, tool)| *tool)
        };
        exact(name).or_else(|| {
            // The longest name first: `x86_64-linux-gnu-gcc-ar` is no compiler.
            let ends = name.match_indices('-').map(|(at, _)| &name[at + 1..]);
            ends.filter_map(exact).next()
        })
    }
}

/// `gcc-12`, `clang++-14`, `gcc-4.8` without their versions.
fn without_version(name: &str) -> &str {
    match name.rsplit_once('-') {
        Some((rest, version))
            if version.starts_with(|c: char| c.is_ascii_digit())
                && version.bytes().all(|b| b.is_ascii_digit() || b == b'.') =>
        {
            rest
        }
        _ => name,
    }
}

/// The directory and the file name of a program as it was called: `argv[0]` decides what a driver is.
#[must_use]
pub fn file_name(program: &OsStr) -> &[u8] {
    Path::new(program).file_name().unwrap_or(program).as_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_are_told_by_name() {
        let check = |name: &str, expected: Option<Tool>| {
            assert_eq!(Tool::of(OsStr::new(name)), expected, "{name}");
        };
        let (c, cxx) = (Tool::Compiler(Driver::C), Tool::Compiler(Driver::Cxx));
        for name in [
            "cc",
            "/usr/bin/gcc",
            "clang-14",
            "aarch64-linux-gnu-gcc",
            "x86_64-linux-gnu-gcc-12",
            "gcc-4.8",
            "armv7a-linux-androideabi21-clang",
            "c99",
        ] {
            check(name, Some(c));
        }
        for name in ["c++", "g++-12", "clang++", "x86_64-linux-gnu-clang++-14"] {
            check(name, Some(cxx));
        }
        check("ar", Some(Tool::Ar));
        check("x86_64-linux-gnu-gcc-ar-12", Some(Tool::Ar));
        check("llvm-ar-14", Some(Tool::Ar));
        check("x86_64-linux-gnu-ranlib", Some(Tool::Ranlib));
        for name in [
            "rustc",
            "ld",
            "as",
            "make",
            "nvcc",
            "clang-cl",
            "gcc-nm",
            "",
            "-",
            "12",
            "my-cc-wrapper",
        ] {
            check(name, None);
        }
    }
}
