//! What the names of a path set stand for now. Every name has a value, also where nothing is there any
//! more: such a value is one that no run had, unless one had just that.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::environment::{self, Environment};
use crate::files::Files;
use crate::listing;
use crate::placeholder::Placeholder;
use crate::sparse;
use rekindle_base::DigestHasher;
use rekindle_fsx::{FileKind, StatSig};
use rekindle_key::pathset::{Name, PathSet};
use rekindle_key::step::{DIRECTORY, NOTHING};
use rekindle_key::variables::{self, NEVER_KEYED, NOT_KEYED_AS_A_WHOLE, value_of};
use rekindle_key::words::Words;
use rekindle_key::{Manifest, Roots, Tag, loader};

/// Where values come from.
#[derive(Clone, Copy)]
pub struct Present<'a> {
    /// Digests of files.
    pub files: &'a Files<'a>,
    /// Variables, and what finds programs.
    pub environment: &'a Environment,
    /// What names are relative to.
    pub roots: &'a Roots,
    /// What paths in variables are relative to.
    pub shown: &'a Roots,
    /// Of what has just run: what it found missing. Nothing is what it was made from then, whatever is there by now.
    pub was_missing: Option<&'a dyn Fn(&Path) -> bool>,
}

/// Where names of files of packages begin.
const PACKAGES: &[u8] = b"{cargo-home}/registry/src/";

/// What says which processor this is.
pub const PROCESSOR: &[u8] = b"/proc/cpuinfo";

/// What says how this host is called.
pub const HOST_NAME: &[u8] = b"/proc/sys/kernel/hostname";

/// What `uname` gives stands for files of the kernel's, of which old kernels lack some.
const MACHINE: &[u8] = b"/proc/sys/kernel/";

/// Whether a path says what `uname` says.
#[must_use]
pub fn is_machine_name(path: &[u8]) -> bool {
    let name = path.strip_prefix(MACHINE);
    name.is_some_and(|name| rekindle_fsx::machine_name(name).is_some())
}

impl Present<'_> {
    /// The manifest with the values that the names of a path set have now.
    #[must_use]
    pub fn observe(&self, manifest: &Manifest, set: &PathSet) -> Manifest {
        self.fill_packages(set);
        let mut manifest = manifest.clone();
        for name in &set.names {
            self.push(&mut manifest, name);
        }
        manifest
    }

    /// Of a package whose sources are in the store, what was read of it is to be had: it is put in place. Where it cannot
    /// be, nothing is there, which no run saw.
    pub fn fill_packages(&self, set: &PathSet) {
        let in_packages = set.names.iter().filter_map(|name| match name {
            Name::File(path) | Name::Kind(path) | Name::Listing(path) | Name::Link(path)
                if path.starts_with(PACKAGES) =>
            {
                self.roots.resolve(path)
            }
            _ => None,
        });
        let paths: Vec<PathBuf> = in_packages.collect();
        let _ = sparse::fill_mentioned(paths.iter().map(|path| path.as_os_str()), None);
    }

    /// Adds the value of a name. Those of a unit's own kinds have none here.
    pub fn push(&self, manifest: &mut Manifest, name: &Name) {
        match name {
            Name::File(path) => manifest.push(Tag::ReadFile, path, self.content(path)),
            Name::Program(path) => manifest.push(Tag::RanProgram, path, self.content(path)),
            Name::Kind(path) => manifest.push(Tag::Looked, path, self.kind(path)),
            Name::Listing(path) => manifest.push(Tag::Listing, path, self.listing(path)),
            Name::Link(path) => manifest.push(Tag::Link, path, self.link(path)),
            Name::Lookup(name) => manifest.push(Tag::Lookup, name, self.lookup(name)),
            Name::Library(name) => manifest.push(Tag::Library, name, self.library(name)),
            Name::Variable(name) => self.push_variable(manifest, name),
            Name::Variables => {
                manifest.push(Tag::Variable, "", "all");
                self.push_variables(manifest, |_| true);
            }
            Name::Spoken(words) => {
                manifest.push(Tag::Spoken, words, "");
                let words = Words::decode(words);
                self.push_variables(manifest, |name| words.speak_of(name));
            }
            Name::Directory(root) => {
                let real = self
                    .roots
                    .real(*root)
                    .map(|path| path.as_os_str().as_bytes());
                manifest.push(
                    Tag::Directory,
                    root.name(),
                    real.unwrap_or(NOTHING.as_bytes()),
                );
            }
            _ => {}
        }
    }

    fn content(&self, name: &[u8]) -> String {
        if name == PROCESSOR {
            return variables::secret(b"cpu", &environment::processor());
        }
        if is_machine_name(name) {
            let value = rekindle_fsx::machine_name(&name[MACHINE.len()..]);
            return variables::secret(name, &value.unwrap_or_default());
        }
        let Some(path) = self.roots.resolve(name) else {
            return NOTHING.to_owned();
        };
        let digest = if is_settled_place(name) {
            self.files.tool(&path)
        } else if is_made_place(name) {
            self.files.made(&path)
        } else {
            self.files.source(&path)
        };
        match digest {
            Ok(digest) => digest.to_hex(),
            Err(error) => unread(&path, &error),
        }
    }

    fn kind(&self, name: &[u8]) -> String {
        let Some(path) = self.roots.resolve(name) else {
            return NOTHING.to_owned();
        };
        if self
            .was_missing
            .is_some_and(|was_missing| was_missing(&path))
        {
            return NOTHING.to_owned();
        }
        match rekindle_fsx::stat(&path) {
            Ok(sig) => kind_of(&path, &sig),
            Err(error) => unread(&path, &error),
        }
    }

    fn listing(&self, name: &[u8]) -> String {
        let Some(path) = self.roots.resolve(name) else {
            return NOTHING.to_owned();
        };
        match listing::counted(name, &path) {
            Ok(entries) => listing::value(&path, &entries),
            Err(error) => unread(&path, &error),
        }
    }

    fn link(&self, name: &[u8]) -> Vec<u8> {
        let Some(path) = self.roots.resolve(name) else {
            return NOTHING.into();
        };
        match rekindle_fsx::read_link(&path) {
            Ok(target) if target.is_absolute() => self.roots.canonical(&target),
            Ok(target) => target.into_os_string().as_bytes().to_vec(),
            Err(error) => unread(&path, &error).into_bytes(),
        }
    }

    /// What a name on `PATH` leads to: where the first of that name is, and where the first program, with
    /// its bytes.
    fn lookup(&self, name: &[u8]) -> String {
        let on_path = self
            .files
            .on_path(self.environment, OsStr::from_bytes(name));
        let Some(first) = &on_path.first else {
            return NOTHING.to_owned();
        };
        let mut hasher = DigestHasher::new();
        hasher.field(&self.roots.canonical(first));
        if let Some(path) = &on_path.program {
            match self.files.tool(path) {
                Ok(digest) => hasher
                    .field(&self.roots.canonical(path))
                    .field(digest.as_bytes()),
                Err(error) => return unread(path, &error),
            };
        }
        hasher.finish().to_hex()
    }

    /// What a library's name leads to in the loader's index; where that has an unknown form, what is in it.
    fn library(&self, name: &[u8]) -> String {
        let path = Path::new(OsStr::from_bytes(loader::INDEX));
        let index = match self.files.bytes(path) {
            Ok(index) => index,
            Err(error) => return unread(path, &error),
        };
        let entries = loader::entries(&index, name).unwrap_or_else(|| vec![&index]);
        let mut hasher = DigestHasher::new();
        for entry in entries {
            hasher.field(entry);
        }
        hasher.finish().to_hex()
    }

    fn push_variable(&self, manifest: &mut Manifest, name: &[u8]) {
        let value = self.environment.value(OsStr::from_bytes(name));
        if name == variables::SHELLS_DIRECTORY {
            let value = variables::shells_directory(value, self.shown);
            return manifest.push(Tag::Variable, name, value);
        }
        manifest.push(Tag::Variable, name, value_of(name, value, self.shown));
    }

    /// Adds all variables that are meant, but those that are left out by rule.
    fn push_variables(&self, manifest: &mut Manifest, is_meant: impl Fn(&[u8]) -> bool) {
        for (name, _) in self.environment.iter() {
            let name = name.as_bytes();
            let is_left_out = name == variables::SEARCHED
                || variables::is_among(name, NEVER_KEYED)
                || variables::is_among(name, NOT_KEYED_AS_A_WHOLE);
            if !is_left_out && is_meant(name) {
                self.push_variable(manifest, name);
            }
        }
    }
}

/// What is at a path, as one says it. What stands for a file counts as one.
fn kind_of(path: &Path, sig: &StatSig) -> String {
    let stood_for = || Placeholder::read(path).ok().flatten();
    let file = |size: u64, executable: bool| {
        let what = if executable { "program" } else { "file" };
        format!("{what} of {size} bytes")
    };
    match sig.kind() {
        FileKind::Dir => DIRECTORY.to_owned(),
        FileKind::File => match stood_for() {
            Some(placeholder) => file(placeholder.size, placeholder.mode & 0o111 != 0),
            None => file(sig.size, sig.is_executable()),
        },
        FileKind::Other => match stood_for() {
            Some(placeholder) => file(placeholder.size, placeholder.mode & 0o111 != 0),
            None if rekindle_fsx::read_link(path).is_ok() => "link".to_owned(),
            None => "special file".to_owned(),
        },
    }
}

fn unread(path: &Path, error: &std::io::Error) -> String {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    match error.kind() {
        NotFound | NotADirectory => NOTHING.to_owned(),
        _ if rekindle_fsx::is_dir(path) => DIRECTORY.to_owned(),
        kind => format!("unreadable: {kind}"),
    }
}

/// The directories of `PATH` as they really are.
#[must_use]
pub fn search_path(environment: &Environment) -> &[PathBuf] {
    environment.searched()
}
/// Whether a file of this canonical name is one of the system, of packages or toolchains: those are many and large, and seldom
/// written, so they are known by signature. Others are always read.
#[must_use]
pub fn is_settled_place(name: &[u8]) -> bool {
    let places: [&[u8]; 4] = [b"/usr/", b"/lib", b"{cargo-home}/", b"{sysroot}/"];
    places.iter().any(|place| name.starts_with(place))
}

/// Whether a file of this canonical name is one that builds make. Nobody else writes there, so that what many compiles of
/// one package read of it is known by signature, too, by [`Files::made`].
#[must_use]
pub fn is_made_place(name: &[u8]) -> bool {
    name.starts_with(b"{target}/")
}
