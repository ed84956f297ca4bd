//! What an object is, by its bytes alone: which lie together in a pack, and which may refer to which.
//!
//! A wrong guess makes a pack longer and nothing else.

use memchr::memmem;

use super::{PROMISED_BYTES, SMALL_BYTES};

/// How `.rmeta` begins: rustc's magic, whose version follows.
pub(super) const METADATA: &[u8] = b"rust\0\0\0";
/// How archives begin, and so `.rlib`.
const ARCHIVE: &[u8] = b"!<arch>\n";
/// How programs and shared libraries begin where they are ELF.
const ELF: &[u8] = b"\x7fELF";
/// What a library of procedural macros exports, the only name that it does.
const MACROS: &[u8] = b"__rustc_proc_macro_decls_";
/// The crate of a build script is called so, which its symbols tell.
const SCRIPT: &[u8] = b"build_script_";

/// What an object is, in the order in which a pack has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Class {
    /// Small, or nothing of which more is known.
    Other,
    /// A library of procedural macros: the standard library is in each, and mostly `syn`, `quote` and `proc-macro2`.
    Macros,
    /// A build script's program: most of it is the standard library.
    Script,
    /// Any other program or shared library.
    Program,
    /// A crate's metadata.
    Metadata,
    /// An archive.
    Library,
}

impl Class {
    /// How much of an object shows what it is: names that are exported come early in a file.
    pub(crate) const BEGIN_BYTES: u64 = 16 << 10;

    /// Whether it is a program, or a library that is loaded as one is.
    pub(crate) fn is_program(self) -> bool {
        matches!(self, Self::Macros | Self::Script | Self::Program)
    }

    /// What these bytes are.
    pub(super) fn of(bytes: &[u8]) -> Self {
        let begin = usize::try_from(Self::BEGIN_BYTES)
            .map_or(bytes, |most| bytes.get(..most).unwrap_or(bytes));
        match Self::of_begin(bytes.len() as u64, begin) {
            Self::Program if memmem::find(bytes, SCRIPT).is_some() => Self::Script,
            other => other,
        }
    }

    /// What an object of this size is that begins so. A build script's program is taken for any program: its symbols come last.
    pub(crate) fn of_begin(size: u64, begin: &[u8]) -> Self {
        if size <= SMALL_BYTES {
            Self::Other
        } else if begin.starts_with(METADATA) {
            Self::Metadata
        } else if begin.starts_with(ARCHIVE) {
            Self::Library
        } else if !begin.starts_with(ELF) || is_object_file(begin) || size > PROMISED_BYTES {
            // What is large is read while it comes, which what refers to another cannot be.
            Self::Other
        } else if memmem::find(begin, MACROS).is_some() {
            Self::Macros
        } else {
            Self::Program
        }
    }
}

/// Whether what begins so, as ELF does, is what a linker reads, and no program that it made.
fn is_object_file(begin: &[u8]) -> bool {
    const RELOCATABLE: u8 = 1;
    // Its type are two bytes in the order that the sixth byte tells; one of them is zero.
    matches!(begin.get(16..18), Some([RELOCATABLE, 0] | [0, RELOCATABLE]))
}

/// How a file of this type begins; its two bytes are in the order of the processor.
#[cfg(test)]
pub(crate) fn elf_head(kind: [u8; 2]) -> Vec<u8> {
    [ELF, b"\x02\x01\x01\0\0\0\0\0\0\0\0\0", &kind].concat()
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::process::Command;

    use super::*;

    /// What the real compiler makes of a crate, with debug information.
    fn compiled(dir: &Path, (name, kind): (&str, &str), source: &str) -> Vec<u8> {
        let path = dir.join(name).with_extension("rs");
        rekindle_fsx::atomic::write(&path, source.as_bytes()).unwrap();
        let made = dir.join(format!("{name}.made"));
        let mut rustc = Command::new("rustc");
        rustc.args([
            "--edition=2021",
            "-g",
            "--crate-name",
            name,
            "--crate-type",
            kind,
        ]);
        let ran = rustc.arg("-o").arg(&made).arg(&path).output().unwrap();
        assert!(
            ran.status.success(),
            "{}",
            String::from_utf8_lossy(&ran.stderr)
        );
        rekindle_fsx::read(&made).unwrap()
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_the_compiler_makes_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let derive = "extern crate proc_macro;
            #[proc_macro_derive(Nothing)]
            pub fn nothing(_: proc_macro::TokenStream) -> proc_macro::TokenStream { Default::default() }";
        let main = "fn main() { println!(\"{:?}\", std::env::args()); }";
        for (name, kind, source, expected) in [
            ("macros", "proc-macro", derive, Class::Macros),
            ("build_script_build", "bin", main, Class::Script),
            ("program", "bin", main, Class::Program),
            (
                "shared",
                "cdylib",
                "#[no_mangle] extern fn f() {}",
                Class::Program,
            ),
        ] {
            let bytes = compiled(dir.path(), (name, kind), source);
            assert_eq!(Class::of(&bytes), expected, "{name}");
        }
        let library = compiled(dir.path(), ("library", "rlib"), &format!("pub {main}"));
        let metadata = memmem::find(&library, METADATA)
            .map(|at| &library[at..])
            .unwrap();
        let of = |begin: &[u8]| Class::of_begin(SMALL_BYTES + 1, begin);
        assert_eq!(
            (of(&library), of(metadata)),
            (Class::Library, Class::Metadata)
        );
    }

    #[test]
    fn what_is_small_or_large_or_for_a_linker_is_no_program() {
        let of = |size, kind| Class::of_begin(size, &elf_head(kind));
        assert_eq!(of(SMALL_BYTES + 1, [3, 0]), Class::Program);
        assert_eq!(of(PROMISED_BYTES, [0, 2]), Class::Program);
        assert_eq!(of(SMALL_BYTES, [3, 0]), Class::Other);
        assert_eq!(of(PROMISED_BYTES + 1, [3, 0]), Class::Other);
        assert_eq!(of(SMALL_BYTES + 1, [1, 0]), Class::Other);
        assert_eq!(of(SMALL_BYTES + 1, [0, 1]), Class::Other);
        assert_eq!(Class::of_begin(SMALL_BYTES + 1, b"\x7fELF"), Class::Program);
    }
}
