//! Names for paths that are the same in every directory.
//!
//! A path below a known root is named by the root and the rest, as in `{target}/debug/deps/x.rlib`;
//! any other by itself. The longest root wins, so a target directory inside a workspace is itself.
//! In text (diagnostics), roots are replaced by tokens of control characters, which no JSON line holds.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::plain;

/// Where a path begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
pub enum Root {
    /// cargo's target directory.
    Target = b'T',
    /// cargo's home: registry and git sources.
    CargoHome = b'C',
    /// The directory that the compiler runs in: for members, the workspace.
    Workspace = b'W',
    /// The package's own directory, where it is outside the workspace.
    Package = b'P',
    /// The toolchain.
    Sysroot = b'S',
    /// The directory that a step writes to: a build script's `OUT_DIR`.
    OutDir = b'O',
    /// The user's home.
    Home = b'H',
}

impl Root {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Target,
        Self::CargoHome,
        Self::Workspace,
        Self::Package,
        Self::Sysroot,
        Self::OutDir,
        Self::Home,
    ];

    /// Those of a compiler's invocation.
    pub const OF_COMPILERS: [Self; 5] = [
        Self::Target,
        Self::CargoHome,
        Self::Workspace,
        Self::Package,
        Self::Sysroot,
    ];

    /// Its name, for people and for keys.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Target => "{target}",
            Self::CargoHome => "{cargo-home}",
            Self::Workspace => "{workspace}",
            Self::Package => "{package}",
            Self::Sysroot => "{sysroot}",
            Self::OutDir => "{out-dir}",
            Self::Home => "{home}",
        }
    }

    /// The root of a name.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|root| root.name().as_bytes() == name)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|root| *root as u8 == byte)
    }
}

/// Frames a root's byte in canonical text.
const TOKEN: u8 = 0x01;

/// The roots of one invocation.
#[derive(Clone, Debug, Default)]
pub struct Roots {
    /// Longest first.
    roots: Vec<(Root, PathBuf)>,
    /// Whether each is spelled in the one way: see [`plain`].
    are_plain: bool,
    cwd: PathBuf,
}

impl Roots {
    /// Roots for an invocation that runs in `cwd`. A root that is not absolute, or is `/`, is left
    /// out: everything lies below `/`, so it would name nothing.
    #[must_use]
    pub fn new(cwd: &Path, roots: impl IntoIterator<Item = (Root, PathBuf)>) -> Self {
        let mut list: Vec<(Root, PathBuf)> = Vec::new();
        for (root, path) in roots {
            let usable = path.is_absolute() && path.components().count() > 1;
            if usable && !list.iter().any(|(_, other)| *other == path) {
                list.push((root, path));
            }
        }
        list.sort_by_key(|(root, path)| (std::cmp::Reverse(path.as_os_str().len()), *root));
        let mut paths = list.iter().map(|(_, path)| path.as_os_str().as_bytes());
        Self {
            are_plain: paths.all(plain::is_plain),
            roots: list,
            cwd: cwd.to_owned(),
        }
    }

    /// The roots and their real paths, longest first.
    pub fn iter(&self) -> impl Iterator<Item = (Root, &Path)> {
        self.roots
            .iter()
            .map(|(root, path)| (*root, path.as_path()))
    }

    /// The real path of a root.
    #[must_use]
    pub fn real(&self, root: Root) -> Option<&Path> {
        self.iter()
            .find(|(other, _)| *other == root)
            .map(|(_, path)| path)
    }

    /// `path` made absolute by the directory of the invocation.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.cwd.join(path)
    }

    /// The name of `path` that is the same in every directory.
    #[must_use]
    pub fn canonical(&self, path: &Path) -> Vec<u8> {
        let absolute = match path.is_absolute() {
            true => Cow::Borrowed(path),
            false => Cow::Owned(self.absolute(path)),
        };
        let bytes = absolute.as_os_str().as_bytes();
        let is_plain = self.are_plain && plain::is_plain(bytes);
        for (root, prefix) in self.iter() {
            let rest = if is_plain {
                plain::below_plain(bytes, prefix.as_os_str().as_bytes())
            } else {
                plain::below(&absolute, prefix)
            };
            let Some(rest) = rest else {
                continue;
            };
            let name = root.name().as_bytes();
            return match rest {
                [] => name.to_vec(),
                rest => [name, b"/", rest].concat(),
            };
        }
        bytes.to_vec()
    }

    /// The real path behind a canonical name; `None` where it names a root that this invocation does
    /// not have, or is no name at all.
    #[must_use]
    pub fn resolve(&self, name: &[u8]) -> Option<PathBuf> {
        if name.first() == Some(&b'/') {
            return Some(PathBuf::from(OsStr::from_bytes(name)));
        }
        for root in Root::ALL {
            if let Some(rest) = name.strip_prefix(root.name().as_bytes()) {
                let real = self.real(root)?;
                return match rest.split_first() {
                    None => Some(real.to_owned()),
                    Some((b'/', rest)) => Some(real.join(OsStr::from_bytes(rest))),
                    Some(_) => None,
                };
            }
        }
        None
    }

    /// Replaces the real paths of roots in a line of JSON by tokens. `None` where the line holds a
    /// token's frame already, so that it could not be put back.
    #[must_use]
    pub fn canonical_text(&self, line: &[u8]) -> Option<Vec<u8>> {
        if memchr::memchr(TOKEN, line).is_some() {
            return None;
        }
        let mut text = line.to_vec();
        for (root, path) in self.iter() {
            let token = [TOKEN, root as u8, TOKEN];
            text = replace_paths(&text, &json_escaped(path), &token);
        }
        Some(text)
    }

    /// Puts the real paths of this invocation's roots back into text from [`Roots::canonical_text`].
    /// `None` where a token names a root that it does not have.
    #[must_use]
    pub fn real_text(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.with_real(text, json_escaped)
    }

    /// As [`Roots::canonical_text`], for text that is no JSON: paths stand in it as they are, and a token's frame, which may stand in it
    /// as well, is doubled.
    #[must_use]
    pub fn canonical_plain(&self, text: &[u8]) -> Vec<u8> {
        let mut plain = in_plain(text).into_owned();
        for (root, path) in self.iter().filter(|root| is_telling(*root)) {
            let token = [TOKEN, root as u8, TOKEN];
            plain = replace_paths(&plain, &in_plain(path.as_os_str().as_bytes()), &token);
        }
        plain
    }

    /// The other way round, for text from [`Roots::canonical_plain`].
    #[must_use]
    pub fn real_plain(&self, text: &[u8]) -> Option<Vec<u8>> {
        self.with_real(text, |path| path.as_os_str().as_bytes().to_vec())
    }

    fn with_real(&self, text: &[u8], written: impl Fn(&Path) -> Vec<u8>) -> Option<Vec<u8>> {
        let mut real = Vec::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = memchr::memchr(TOKEN, rest) {
            real.extend_from_slice(&rest[..at]);
            if rest.get(at + 1) == Some(&TOKEN) {
                real.push(TOKEN);
                rest = &rest[at + 2..];
                continue;
            }
            let [_, byte, TOKEN, ..] = rest[at..] else {
                return None;
            };
            real.extend_from_slice(&written(self.real(Root::from_byte(byte)?)?));
            rest = &rest[at + 3..];
        }
        real.extend_from_slice(rest);
        Some(real)
    }
}

/// How bytes stand in text from [`Roots::canonical_plain`] where no root's path is in them: to look for them there.
#[must_use]
pub fn in_plain(bytes: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(TOKEN, bytes).is_none() {
        return Cow::Borrowed(bytes);
    }
    let mut plain = Vec::with_capacity(bytes.len() + 1);
    for piece in bytes.split_inclusive(|byte| *byte == TOKEN) {
        plain.extend_from_slice(piece);
        plain.extend(piece.last().filter(|byte| **byte == TOKEN));
    }
    Cow::Owned(plain)
}

/// A text up to this size is looked at for paths of roots.
pub const TEXT_MAX_BYTES: u64 = 16 << 20;

/// Whether bytes are a text, in which paths of roots can be replaced.
#[must_use]
pub fn is_text(bytes: &[u8]) -> bool {
    memchr::memchr(0, bytes).is_none() && std::str::from_utf8(bytes).is_ok()
}

/// Whether a root's path in what a program wrote can only mean that root. `/app` may as well be the
/// path of a web page, and so may a home like `/root`; then the root's real path is an input.
fn is_telling((root, path): (Root, &Path)) -> bool {
    root != Root::Home && path.components().count() > 2
}

/// Replaces `path` by `token` where it is a whole path or the beginning of one: `/a/b` in `/a/b/c`
/// but not in `/a/bc`.
fn replace_paths(text: &[u8], path: &[u8], token: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::with_capacity(text.len());
    let mut done = 0;
    for at in memmem::find_iter(text, path) {
        let end = at + path.len();
        let ends_there = text.get(end).is_none_or(|next| {
            !(next.is_ascii_alphanumeric() || b"_-.".contains(next) || *next >= 0x80)
        });
        if ends_there && at >= done {
            replaced.extend_from_slice(&text[done..at]);
            replaced.extend_from_slice(token);
            done = end;
        }
    }
    replaced.extend_from_slice(&text[done..]);
    replaced
}

/// The path as it stands inside a JSON string that the compiler wrote: what is not UTF-8 is replaced, as
/// JSON cannot hold it. Control characters keep their raw bytes: such a path is then not found in
/// text, and the line stays as it is.
#[must_use]
pub fn json_escaped(path: &Path) -> Vec<u8> {
    let mut escaped = Vec::new();
    for &byte in path.as_os_str().to_string_lossy().as_bytes() {
        if byte == b'"' || byte == b'\\' {
            escaped.push(b'\\');
        }
        escaped.push(byte);
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roots(workspace: &str) -> Roots {
        let workspace = PathBuf::from(workspace);
        Roots::new(
            &workspace,
            [
                (Root::Workspace, workspace.clone()),
                (Root::Target, workspace.join("target")),
                (Root::CargoHome, PathBuf::from("/home/a b/.cargo")),
                (Root::Sysroot, PathBuf::from("/")),
            ],
        )
    }

    #[test]
    fn the_longest_root_names_a_path() {
        let roots = roots("/w/p");
        let check = |path: &str, name: &str| {
            assert_eq!(roots.canonical(Path::new(path)), name.as_bytes());
            assert_eq!(
                roots.resolve(name.as_bytes()),
                Some(Path::new("/w/p").join(path))
            );
        };
        check("/w/p/target/debug/x", "{target}/debug/x");
        check("/w/p/src/lib.rs", "{workspace}/src/lib.rs");
        check("src/lib.rs", "{workspace}/src/lib.rs");
        check("/w/p", "{workspace}");
        check("/w/pq/x", "/w/pq/x");
        check("/home/a b/.cargo/registry", "{cargo-home}/registry");
        assert_eq!(roots.resolve(b"{sysroot}/x"), None);
        assert_eq!(roots.resolve(b"{workspace}x"), None);
    }

    #[test]
    fn text_moves_from_one_directory_to_another() {
        let line = br#"{"a":"/w/p/src/lib.rs","b":"/w/pq/x /w/p: /w/p/target/x","c":"/w/p"}"#;
        let canonical = roots("/w/p").canonical_text(line).unwrap();
        assert_eq!(roots("/w/p").real_text(&canonical).unwrap(), line);
        let moved = roots("/elsewhere/\"q").real_text(&canonical).unwrap();
        assert_eq!(
            String::from_utf8(moved).unwrap(),
            r#"{"a":"/elsewhere/\"q/src/lib.rs","b":"/w/pq/x /elsewhere/\"q: /elsewhere/\"q/target/x","c":"/elsewhere/\"q"}"#
        );
        let odd = PathBuf::from(OsStr::from_bytes(b"/w/\xff\""));
        assert_eq!(json_escaped(&odd), "/w/\u{fffd}\\\"".as_bytes());
        let plain = roots("/w/p").canonical_plain(b"/w/p/a /w/p/target");
        assert_eq!(
            roots("/\"q/r").real_plain(&plain).unwrap(),
            b"/\"q/r/a /\"q/r/target"
        );
        assert_eq!(roots("/app").canonical_plain(b"/app/x"), b"/app/x");
        for framed in [
            &b"a\x01b"[..],
            b"\x01/w/p\x01\x01/w/p",
            b"\x01W\x01",
            b"\x01\x01\x01",
        ] {
            let plain = roots("/w/p").canonical_plain(framed);
            assert_eq!(roots("/w/p").real_plain(&plain).unwrap(), framed);
        }
        assert_eq!(roots("/w/p").real_plain(b"a\x01"), None);
        let odd = roots("/w/\x01p").canonical_plain(b"in /w/\x01p/x");
        assert_eq!(roots("/w/p").real_plain(&odd).unwrap(), b"in /w/p/x");
        assert_eq!(roots("/w/p").canonical_text(b"a\x01b"), None);
        assert_eq!(roots("/w/p").real_text(b"a\x01S\x01"), None);
    }
}
