//! Packages of cargo's home whose sources are in the store.
//!
//! Of a package that stays fresh cargo reads `Cargo.toml` and `.cargo-ok`, and looks whether its
//! `.crate` has bytes. A snapshot puts just that in place ([`place`]); the sources come when something
//! needs them ([`fill`], called by the wrapper before it looks a unit up, by the launcher before a
//! build script runs, and by `rekindle materialise`). Parts: [`Marker`] says what belongs into the
//! directory; [`note`] is what stands for the `.crate`; `fill` unpacks.
//!
//! Whoever compiles without us fails loudly: the roots of a package's crates are *stubs* that hold a
//! `compile_error!`, and cargo refuses to unpack what stands for the `.crate`, naming the way out. One
//! thing is not noticed: a build script that cargo runs from a program that was real before the
//! package became sparse. So whoever calls [`place`] decides which packages come whole.
//!
//! ```text
//! HOME/registry/src/INDEX/NAME-VERSION/.rekindle-sparse    a Marker; locked by who fills; goes last
//!                                     /Cargo.toml          real
//!                                     /.cargo-ok           as cargo writes it
//!                                     /src/lib.rs …        stubs
//! HOME/registry/cache/INDEX/NAME-VERSION.crate             a note, until the package is filled
//! HOME/registry/.rekindle/links/INDEX/NAME-VERSION         empty; there for a package with `links`
//! ```

mod fill;
pub mod note;
mod place;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::Digest;

use crate::archive::ArchiveError;
use crate::placeholder::{escaped, path};

pub use fill::{
    FilledAll, fill, fill_all, fill_behind, fill_linked, fill_mentioned, forget, is_any_lost,
    is_lost, obtain,
};
pub use place::{Sources, place};

/// The marker's name in a package's directory.
pub const MARKER: &str = ".rekindle-sparse";
/// What cargo writes when it has unpacked a package.
pub const CARGO_OK_TEXT: &[u8] = b"{\"v\":1}";
/// What stands for a source. Rust, so that compiling it says what to do.
pub const STUB: &[u8] = b"compile_error!(\"this package's sources are in Rekindle's store: build with `rekindle`, or run `rekindle materialise` first\");\n";

const MAGIC: &[u8] = b"!rekindle sparse 1\n";
const EXPLAINED: &[u8] =
    b"This package's sources are in Rekindle's store; run `rekindle materialise`, or build with `rekindle`.\n";

/// What belongs into a sparse package's directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marker {
    /// The `.crate`, an object of the store.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// Directory of the store that has it.
    pub store: PathBuf,
    /// Files that are stubs, below the package's directory.
    pub stubs: Vec<PathBuf>,
}

impl Marker {
    /// The file's text.
    #[must_use]
    pub fn to_text(&self) -> Vec<u8> {
        let mut text = MAGIC.to_vec();
        text.extend_from_slice(EXPLAINED);
        let mut line = |name: &str, value: &[u8]| {
            text.extend_from_slice(name.as_bytes());
            text.push(b' ');
            text.extend_from_slice(value);
            text.push(b'\n');
        };
        line("digest", self.digest.to_hex().as_bytes());
        line("size", self.size.to_string().as_bytes());
        line("store", &escaped(self.store.as_os_str().as_bytes()));
        for stub in &self.stubs {
            line("stub", &escaped(stub.as_os_str().as_bytes()));
        }
        text.extend_from_slice(b"end\n");
        text
    }

    /// Reads the text; `None` for anything else, a cut one and a later version's included.
    #[must_use]
    pub fn from_text(text: &[u8]) -> Option<Self> {
        let text = text.strip_prefix(MAGIC)?.strip_suffix(b"end\n")?;
        let (mut digest, mut size, mut store, mut stubs) = (None, None, None, Vec::new());
        for line in text.split(|byte| *byte == b'\n') {
            let Some(space) = line.iter().position(|byte| *byte == b' ') else {
                continue;
            };
            let (name, value) = (&line[..space], &line[space + 1..]);
            let text = || std::str::from_utf8(value).ok();
            match name {
                b"digest" => digest = Some(text()?.parse().ok()?),
                b"size" => size = Some(text()?.parse().ok()?),
                b"store" => store = Some(path(value)?),
                b"stub" => stubs.push(path(value)?),
                _ => {}
            }
        }
        Some(Self {
            digest: digest?,
            size: size?,
            store: store?,
            stubs,
        })
    }
}

/// Where in cargo's home a registry's package is.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Location {
    /// cargo's home.
    pub home: PathBuf,
    /// The registry's name in directories, as in `index.example-1949cf8c6b5b557f`.
    pub index: OsString,
    /// `NAME-VERSION`.
    pub package: OsString,
}

impl Location {
    /// From a package's directory; `None` where that is not in a `registry/src`.
    #[must_use]
    pub fn of(package_dir: &Path) -> Option<Self> {
        let index_dir = package_dir.parent()?;
        let home = index_dir
            .parent()
            .filter(|src| src.ends_with("registry/src"))?
            .ancestors()
            .nth(2)?;
        Some(Self {
            home: home.to_owned(),
            index: index_dir.file_name()?.to_owned(),
            package: package_dir.file_name()?.to_owned(),
        })
    }

    /// The directory of its sources.
    #[must_use]
    pub fn sources(&self) -> PathBuf {
        let mut dir = self.home.join("registry/src");
        dir.push(&self.index);
        dir.push(&self.package);
        dir
    }

    /// Its `.crate`.
    #[must_use]
    pub fn crate_file(&self) -> PathBuf {
        let mut path = self.home.join("registry/cache");
        path.push(&self.index);
        let mut name = self.package.clone();
        name.push(".crate");
        path.push(name);
        path
    }

    /// What says that it has `links` while it is sparse.
    #[must_use]
    pub fn links_file(&self) -> PathBuf {
        let mut path = links_dir(&self.home);
        path.push(&self.index);
        path.push(&self.package);
        path
    }

    /// What lies in an archive above its files.
    pub(crate) fn prefix(&self) -> std::borrow::Cow<'_, str> {
        self.package.to_string_lossy()
    }
}

pub(crate) fn links_dir(home: &Path) -> PathBuf {
    home.join("registry/.rekindle/links")
}

/// What was put in place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Filled {
    /// Packages.
    pub packages: u64,
    /// Their files.
    pub files: u64,
    /// And the bytes of these.
    pub bytes: u64,
}

impl std::ops::AddAssign for Filled {
    fn add_assign(&mut self, other: Self) {
        self.packages += other.packages;
        self.files += other.files;
        self.bytes += other.bytes;
    }
}

/// Why a package's sources were not put in place.
#[derive(Debug, thiserror::Error)]
pub enum FillError {
    /// The store has lost or damaged the `.crate`. Whatever would keep cargo from downloading it
    /// again was removed.
    #[error(
        "the sources of `{package}` were in the store, which no longer has them; run the same command again, and cargo downloads them"
    )]
    Lost {
        /// `NAME-VERSION`.
        package: String,
        /// cargo's home.
        home: PathBuf,
    },
    /// Its marker says nothing.
    #[error(
        "`{}` was not written by this version of rekindle; remove the directory that it is in and its `.crate`, and cargo downloads them again",
        .0.display()
    )]
    Marker(PathBuf),
    /// The `.crate` cannot be unpacked.
    #[error("cannot unpack `{package}`: {error}")]
    Archive {
        /// `NAME-VERSION`.
        package: String,
        /// Why not.
        error: ArchiveError,
    },
}

impl FillError {
    fn archive(location: &Location, error: impl Into<ArchiveError>) -> Self {
        Self::Archive {
            package: display(&location.package),
            error: error.into(),
        }
    }
}

fn display(name: &OsStr) -> String {
    name.to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_back_and_a_cut_one_does_not() {
        let marker = Marker {
            digest: Digest::of(b"x"),
            size: 7,
            store: "/a\nb".into(),
            stubs: vec!["src/lib.rs".into(), "build\n.rs".into()],
        };
        let text = marker.to_text();
        assert_eq!(Marker::from_text(&text), Some(marker));
        for length in 0..text.len() {
            assert_eq!(Marker::from_text(&text[..length]), None);
        }
    }

    #[test]
    fn only_a_registrys_packages_have_a_location() {
        let dir = Path::new("/h/registry/src/index.example-1/a-1.0.0");
        let location = Location::of(dir).unwrap();
        assert_eq!(location.sources(), dir);
        assert_eq!(
            location.crate_file(),
            Path::new("/h/registry/cache/index.example-1/a-1.0.0.crate")
        );
        for other in ["/h/git/checkouts/a-1/b", "/", "a", "/h/src/index/a-1.0.0"] {
            assert_eq!(Location::of(Path::new(other)), None, "{other}");
        }
    }
}
