//! A file that stands for bytes in the store.
//!
//! Written by snapshots, read by the wrapper and by the launcher. Two forms, so that whoever reads
//! one without us fails and never takes it for the bytes:
//!
//! - *text*, for outputs of compilers: lines of `name value`, ended by `end`. The first line of a
//!   program's is `#!<launcher> --rekindle-launch`, so that starting it starts our launcher; a crate's has before it what
//!   makes rustc say what to do (`placeholder/for_rustc.rs`).
//! - *link*, for what a build script made: a symbolic link whose target does not exist.
//!
//! ```text
//! !rekindle placeholder 1
//! This stands for a file in Rekindle's store; run `rekindle materialise`, or build with `rekindle`.
//! digest <64 hex digits>
//! size <bytes>
//! mode <octal>
//! store <path>
//! closure <64 hex digits>           where the unit cache knows the output
//! extern <path>                     once for every crate on its command line
//! replace <hex> <hex>               once for every path in debug information
//! end
//! ```

mod for_rustc;

use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rekindle_base::Digest;

/// What the launcher's first argument is, before the placeholder's path.
pub const LAUNCH: &str = "--rekindle-launch";

/// Nothing longer is a placeholder.
pub const MAX_BYTES: u64 = 64 << 10;

/// A chain of links that is longer leads nowhere useful.
const LINKS_MAX: usize = 8;

/// Kernels before 5.1 cut a program's first line there, and then start something else.
const FIRST_LINE_MAX: usize = 127;

const MAGIC: &[u8] = b"!rekindle placeholder 1\n";
/// How a program's begins.
const LAUNCHED: &[u8] = b"#!";
const EXPLAINED: &[u8] =
    b"This stands for a file in Rekindle's store; run `rekindle materialise`, or build with `rekindle`.\n";
/// Where links lead: nowhere.
const NOWHERE: &str = "/nonexistent/rekindle-placeholder";

/// What a placeholder stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placeholder {
    /// The bytes, as they are in the store.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// The file's mode: permission bits.
    pub mode: u32,
    /// Directory of the store that has them.
    pub store: PathBuf,
    /// What the unit cache knows of the output.
    pub known: Option<Known>,
    /// Byte strings of one length to be replaced in debug information.
    pub replacements: Vec<(Vec<u8>, Vec<u8>)>,
}

/// What the unit cache knows of an output: see [`crate::record`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// The crates that it was compiled with, and theirs, down to the leaves.
    pub closure: Digest,
    /// The files of the crates on its command line.
    pub externs: Vec<PathBuf>,
}

/// Whether the kernel can start a launcher at this path from a program's first line. Where it cannot,
/// programs are put in place with their bytes.
#[must_use]
pub fn launcher_fits(launcher: &Path) -> bool {
    let path = launcher.as_os_str().as_bytes();
    let line = LAUNCHED.len() + path.len() + b" ".len() + LAUNCH.len();
    let is_word = !path.iter().any(u8::is_ascii_whitespace) && !path.contains(&0);
    launcher.is_absolute() && is_word && line <= FIRST_LINE_MAX
}

impl Placeholder {
    /// Reads a file; `None` where it is none of ours, which a look at its size usually tells.
    ///
    /// # Errors
    /// As reading; a missing file is one.
    pub fn read(path: &Path) -> io::Result<Option<Self>> {
        let sig = rekindle_fsx::stat(path)?;
        match sig.kind() {
            rekindle_fsx::FileKind::Other => Ok(rekindle_fsx::read_link(path)
                .ok()
                .and_then(|link| Self::from_link(&link))),
            rekindle_fsx::FileKind::File if sig.size <= MAX_BYTES => {
                // Most files are others', which their first bytes tell.
                match rekindle_fsx::read_with_sig(path, for_rustc::BEGIN_BYTES)? {
                    Some((head, _)) if may_begin(&head) => {
                        Ok(Self::from_bytes(&rekindle_fsx::read(path)?))
                    }
                    Some(_) => Ok(None),
                    None => Err(io::ErrorKind::NotFound.into()),
                }
            }
            _ => Ok(None),
        }
    }

    /// As [`Placeholder::read`], but for links that lead to a placeholder, as `libx.so` may to
    /// `libx.so.1`: that one is found, with its path.
    ///
    /// # Errors
    /// As [`Placeholder::read`].
    pub fn find(path: &Path) -> io::Result<Option<(PathBuf, Self)>> {
        let mut path = path.to_owned();
        for _ in 0..LINKS_MAX {
            if let Some(placeholder) = Self::read(&path)? {
                return Ok(Some((path, placeholder)));
            }
            let Ok(link) = rekindle_fsx::read_link(&path) else {
                return Ok(None);
            };
            path = path.parent().unwrap_or(Path::new(".")).join(link);
        }
        Ok(None)
    }

    /// What is written in the place of `path`: the text form; with a launcher, a program's.
    #[must_use]
    pub fn to_bytes(&self, path: &Path, launcher: Option<&Path>) -> Vec<u8> {
        let text = self.to_text(launcher);
        match launcher {
            // The kernel looks for it first.
            Some(_) => text,
            None => for_rustc::dressed(path, text),
        }
    }

    fn to_text(&self, launcher: Option<&Path>) -> Vec<u8> {
        let mut text = Vec::with_capacity(512);
        if let Some(launcher) = launcher {
            text.extend_from_slice(LAUNCHED);
            text.extend_from_slice(launcher.as_os_str().as_bytes());
            text.extend_from_slice(format!(" {LAUNCH}\n").as_bytes());
        }
        text.extend_from_slice(MAGIC);
        text.extend_from_slice(EXPLAINED);
        let mut line = |name: &str, value: &[u8]| {
            text.extend_from_slice(name.as_bytes());
            text.push(b' ');
            text.extend_from_slice(value);
            text.push(b'\n');
        };
        line("digest", self.digest.to_hex().as_bytes());
        line("size", self.size.to_string().as_bytes());
        line("mode", format!("{:o}", self.mode).as_bytes());
        line(
            "store",
            escaped(self.store.as_os_str().as_bytes()).as_slice(),
        );
        if let Some(known) = &self.known {
            line("closure", known.closure.to_hex().as_bytes());
            for path in &known.externs {
                line("extern", &escaped(path.as_os_str().as_bytes()));
            }
        }
        for (from, to) in &self.replacements {
            line("replace", format!("{} {}", hex(from), hex(to)).as_bytes());
        }
        text.extend_from_slice(b"end\n");
        text
    }

    /// Reads the text form; `None` for anything else, a cut text included.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let text = for_rustc::undressed(bytes, MAGIC);
        let text = match text.strip_prefix(LAUNCHED) {
            Some(program) => &program[program.iter().position(|byte| *byte == b'\n')? + 1..],
            None => text,
        };
        let text = text.strip_prefix(MAGIC)?.strip_suffix(b"end\n")?;
        let (mut digest, mut size, mut mode, mut store, mut closure) =
            (None, None, None, None, None);
        let (mut externs, mut replacements) = (Vec::new(), Vec::new());
        for line in text.split(|byte| *byte == b'\n') {
            let Some(space) = line.iter().position(|byte| *byte == b' ') else {
                continue;
            };
            let (name, value) = (&line[..space], &line[space + 1..]);
            let text = || std::str::from_utf8(value).ok();
            match name {
                b"digest" => digest = Some(text()?.parse().ok()?),
                b"size" => size = Some(text()?.parse().ok()?),
                b"mode" => mode = Some(u32::from_str_radix(text()?, 8).ok()? & 0o777),
                b"store" => store = Some(path(value)?),
                b"closure" => closure = Some(text()?.parse().ok()?),
                b"extern" => externs.push(path(value)?),
                b"replace" => {
                    let (from, to) = text()?.split_once(' ')?;
                    let (from, to) = (unhex(from)?, unhex(to)?);
                    if from.is_empty() || from.len() != to.len() {
                        return None;
                    }
                    replacements.push((from, to));
                }
                _ => {}
            }
        }
        Some(Self {
            digest: digest?,
            size: size?,
            mode: mode?,
            store: store?,
            known: closure.map(|closure| Known { closure, externs }),
            replacements,
        })
    }

    /// Where the link form leads. It has no room for what is known of compilers' outputs.
    #[must_use]
    pub fn to_link(&self) -> PathBuf {
        let mut link = std::ffi::OsString::from(format!(
            "{NOWHERE}/{}/{}/{:o}",
            self.digest.to_hex(),
            self.size,
            self.mode
        ));
        link.push(self.store.as_os_str());
        link.into()
    }

    /// Reads where a link leads.
    #[must_use]
    pub fn from_link(link: &Path) -> Option<Self> {
        let rest = link
            .as_os_str()
            .as_bytes()
            .strip_prefix(NOWHERE.as_bytes())?;
        let mut parts = rest.strip_prefix(b"/")?.splitn(4, |byte| *byte == b'/');
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let (digest, size) = (text()?.parse().ok()?, text()?.parse().ok()?);
        let mode = u32::from_str_radix(text()?, 8).ok()? & 0o777;
        let mut store = b"/".to_vec();
        store.extend_from_slice(parts.next()?);
        Some(Self {
            digest,
            size,
            mode,
            store: std::ffi::OsString::from_vec(store).into(),
            known: None,
            replacements: Vec::new(),
        })
    }
}

/// Whether a file whose first bytes these are may be a placeholder.
fn may_begin(head: &[u8]) -> bool {
    let first = &head[..head.len().min(LAUNCHED.len())];
    MAGIC.starts_with(first) || first == LAUNCHED || for_rustc::begins(head)
}

/// A path on a line of its own.
pub(crate) fn escaped(bytes: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'\\' => escaped.extend_from_slice(b"\\\\"),
            b'\n' => escaped.extend_from_slice(b"\\n"),
            byte => escaped.push(*byte),
        }
    }
    escaped
}

pub(crate) fn path(escaped: &[u8]) -> Option<PathBuf> {
    let mut bytes = Vec::with_capacity(escaped.len());
    let mut rest = escaped.iter();
    while let Some(byte) = rest.next() {
        bytes.push(match (byte, *byte == b'\\') {
            (byte, false) => *byte,
            (_, true) => match rest.next()? {
                b'n' => b'\n',
                byte => *byte,
            },
        });
    }
    Some(std::ffi::OsString::from_vec(bytes).into())
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn placeholder() -> Placeholder {
        Placeholder {
            digest: Digest::of(b"x"),
            size: 7,
            mode: 0o755,
            store: "/home/me/a\nstore".into(),
            known: Some(Known {
                closure: Digest::of(b"closure"),
                externs: vec!["/t/debug/deps/liba-1.rmeta".into(), "/t\\n/b".into()],
            }),
            replacements: vec![(b"/rekindle".to_vec(), b"/home////".to_vec())],
        }
    }

    #[test]
    fn both_forms_read_back() {
        let whole = placeholder();
        for launcher in [None, Some(Path::new("/usr/bin/rekindle-rustc"))] {
            for name in ["a", "liba.rmeta", "liba.rlib", "liba.so"] {
                let bytes = whole.to_bytes(Path::new(name), launcher);
                assert_eq!(Placeholder::from_bytes(&bytes), Some(whole.clone()));
                assert_eq!(Placeholder::from_bytes(&bytes[..bytes.len() - 1]), None);
            }
        }
        let bare = Placeholder {
            known: None,
            replacements: Vec::new(),
            ..whole
        };
        assert_eq!(Placeholder::from_link(&bare.to_link()), Some(bare));
    }

    #[test]
    fn a_launcher_must_fit_into_a_first_line() {
        let check = |path: &str, fits: bool| {
            assert_eq!(launcher_fits(Path::new(path)), fits, "{path}");
        };
        check("/home/me/.cargo/bin/rekindle-rustc", true);
        check("/home/my self/.cargo/bin/rekindle-rustc", false);
        check("/home/me\t/rekindle-rustc", false);
        check("rekindle-rustc", false);
        let longest = 127 - "#! --rekindle-launch".len();
        check(&format!("/{}", "x".repeat(longest - 1)), true);
        check(&format!("/{}", "x".repeat(longest)), false);
    }

    #[test]
    fn links_are_followed_to_a_placeholder() {
        let dir = tempfile::tempdir().unwrap();
        let bare = Placeholder {
            known: None,
            replacements: Vec::new(),
            ..placeholder()
        };
        let at = |name: &str| dir.path().join(name);
        rekindle_fsx::symlink(&bare.to_link(), &at("libx.so.1.2")).unwrap();
        rekindle_fsx::symlink(Path::new("libx.so.1.2"), &at("libx.so")).unwrap();
        rekindle_fsx::symlink(Path::new("gone"), &at("dangling")).unwrap();
        rekindle_fsx::symlink(Path::new("loop"), &at("loop")).unwrap();
        assert_eq!(Placeholder::read(&at("libx.so")).unwrap(), None);
        assert_eq!(
            Placeholder::find(&at("libx.so")).unwrap(),
            Some((at("libx.so.1.2"), bare))
        );
        assert_eq!(Placeholder::find(&at("loop")).unwrap(), None);
        assert!(Placeholder::find(&at("dangling")).is_err());
    }

    #[test]
    fn others_files_are_no_placeholders() {
        for text in [&b""[..], b"!<arch>\n", b"#!", b"#!/bin/sh\nend\n", MAGIC] {
            assert_eq!(Placeholder::from_bytes(text), None);
        }
        assert_eq!(Placeholder::from_link(Path::new("/usr/lib/x.so")), None);
        assert_eq!(Placeholder::from_link(Path::new(NOWHERE)), None);
    }
}
