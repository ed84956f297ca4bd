//! What a snapshot is made of.
//!
//! On disk: a [`Tree`] is the payload of a record in the space `Trees` (postcard of [`Tree`], zstd), under
//! the digest of that payload, its references the objects of its files. A [`Pointer`] is the payload of a
//! record in the space `Pointers` (postcard), under a digest that [`crate::base`] makes.

use rekindle_base::Digest;
use rekindle_key::Tag;
use rekindle_outputs::record::Signature;
use serde::{Deserialize, Serialize};

/// Which trees belong together: what a commit, a branch, a lock file or a directory leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pointer {
    /// Version of the format.
    pub version: u32,
    /// The commit whose checkout was built, in hex; empty where there is no git.
    pub commit: String,
    /// Whether the sources were as that commit says.
    pub clean: bool,
    /// When, in milliseconds since 1970.
    pub at_ms: u64,
    /// Trees by profile directory, as in `debug` or `x86_64-unknown-linux-musl/release`, with the digests
    /// that they are stored under.
    pub trees: Vec<(String, Digest)>,
}

/// One profile directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tree {
    /// Version of the format.
    pub version: u32,
    /// Where it was built.
    pub site: Site,
    /// What was built, for people and for ages: the commit, or a digest of the inputs.
    pub revision: String,
    /// Counts the revisions on the way here, one base after the other.
    pub generation: u32,
    /// Distinct inputs of the units.
    pub inputs: Vec<Input>,
    /// The units.
    pub units: Vec<Unit>,
    /// Incremental state, one for every crate that has some.
    pub incremental: Vec<Incremental>,
    /// What units were made into that are not captured, and that a build of the same asks the unit cache for.
    pub beside: Vec<Digest>,
}

impl Tree {
    /// Whether any of its units was made from what nobody declares.
    #[must_use]
    pub fn has_seen(&self) -> bool {
        let mut inputs = self.inputs.iter();
        inputs.any(|input| matches!(input.place, Place::Seen(..)))
    }
}

/// The directories that outputs may hold, as bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Site {
    /// The workspace's root.
    pub workspace: Vec<u8>,
    /// The directory that is built in.
    pub target: Vec<u8>,
    /// cargo's home.
    pub cargo_home: Vec<u8>,
}

/// Something that a unit was made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Input {
    /// Where.
    pub place: Place,
    /// What it held.
    pub content: Content,
    /// Whether it is a whole package: packages further down are not part of it.
    pub is_package: bool,
    /// Of a file that was seen to be read: with this signature it has that content.
    pub signature: Option<Signature>,
}

/// Where an input is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Place {
    /// Relative to the workspace's root.
    Workspace(Vec<u8>),
    /// Elsewhere.
    Absolute(Vec<u8>),
    /// What a process was seen to read without saying so, by the tag and the name of its item in a key: see
    /// [`crate::seen`].
    Seen(Tag, Vec<u8>),
}

/// What an input held.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Content {
    /// A file's bytes.
    File(Digest),
    /// Names and contents below a directory.
    Directory(Digest),
    /// Nothing was there.
    Absent,
    /// What stands for what was seen.
    Value(Vec<u8>),
}

/// One unit of cargo's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The 16 hex digits in its names.
    pub id: String,
    /// Package, for people.
    pub package: String,
    /// The generation of the tree that used it last.
    pub used: u32,
    /// Indices into [`Tree::inputs`].
    pub inputs: Vec<u32>,
    /// A digest of everything that its build made: tells one build of the unit from another.
    pub build: Digest,
    /// The builds that it was built with. Its own sources do not tell when one of those was another:
    /// cargo knows by the order of times, which a restore does not keep.
    pub deps: Vec<Digest>,
    /// Whether something in it holds a path of [`Tree::site`].
    pub path_bound: bool,
    /// What it has of cargo's home.
    pub home: Home,
    /// Its files, its fingerprint's last.
    pub files: Vec<File>,
}

/// What a unit has of cargo's home, where packages of a registry and of git are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Home {
    /// The root of its crate, relative to [`Site::cargo_home`], where it is there: cargo hashes its path.
    pub source: Option<Vec<u8>>,
    /// Whether something in it holds the path of [`Site::cargo_home`].
    pub bound: bool,
}

/// The incremental state of one crate: its newest session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incremental {
    /// Its directory below `incremental`.
    pub name: String,
    /// The unit whose compile reads it: its id.
    pub unit: String,
    /// The generation of the tree that used it last.
    pub used: u32,
    /// Whether a compile has begun with it.
    pub paid: bool,
    /// Its files; none where the unit's compile wrote no state.
    pub files: Vec<File>,
}

impl Incremental {
    /// Its objects.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.files.iter().filter_map(File::object)
    }

    /// The bytes of its objects.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.objects().map(|object| object.size).sum()
    }
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Relative to the profile directory; plain names joined by slashes, checked when read.
    pub path: String,
    /// Permission bits.
    pub mode: u32,
    /// What it is.
    pub body: Body,
}

impl File {
    /// Whether real paths are put into it.
    #[must_use]
    pub fn is_mapped(&self) -> bool {
        match &self.body {
            Body::Mapped(_) => true,
            Body::Object(object) => object.form == Form::Mapped,
            _ => false,
        }
    }

    /// The object that it is, if it is one.
    #[must_use]
    pub fn object(&self) -> Option<&Object> {
        match &self.body {
            Body::Object(object) => Some(object),
            _ => None,
        }
    }
}

/// What a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// These bytes.
    Inline(Vec<u8>),
    /// An object of the store.
    Object(Object),
    /// This text, in which tokens stand for the build's directories: their real paths take its place.
    Mapped(Vec<u8>),
    /// A symbolic link that leads here.
    Link(Vec<u8>),
    /// Another name of a file of this unit: its index in [`Unit::files`].
    Same(u32),
    /// A directory that would be empty otherwise.
    Directory,
}

/// An object of the store that a file is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Object {
    /// Its name.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
    /// How it is restored.
    pub form: Form,
    /// What the unit cache knows of it: the closure, and the files of the crates on its command line,
    /// relative to the directory that is built in.
    pub known: Option<(Digest, Vec<String>)>,
    /// Whether real paths take the place of mapped ones in its debug information.
    pub localised: bool,
}

/// How an object is restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// With its bytes.
    Real,
    /// As [`Body::Mapped`].
    Mapped,
    /// As a placeholder that is a text.
    Text,
    /// As a placeholder that is a text, and starts the launcher.
    Program,
    /// As a placeholder that is a link.
    Link,
}

impl Form {
    /// Whether a restore needs the object itself.
    #[must_use]
    pub fn is_placed(self) -> bool {
        matches!(self, Self::Real | Self::Mapped)
    }
}

#[cfg(test)]
impl Tree {
    /// A tree of nothing but these.
    pub(crate) fn of(units: Vec<Unit>, incremental: Vec<Incremental>) -> Self {
        Self {
            version: crate::trees::VERSION,
            site: Site {
                workspace: Vec::new(),
                target: Vec::new(),
                cargo_home: Vec::new(),
            },
            revision: String::new(),
            generation: 1,
            inputs: Vec::new(),
            units,
            incremental,
            beside: Vec::new(),
        }
    }
}
