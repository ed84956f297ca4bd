//! What a step made: the entry of an observed run of a program.
//!
//! A step is a program that turns files into files: a build script, a C compiler, a command of the
//! user's. It is keyed as units are: what it is finds path sets, their names' present values find the
//! entry.
//!
//! On disk (the payload of a record in the space `Entries`, under the digest of the whole manifest):
//! postcard of [`StepEntry`]. The record's frame carries version, checksum and the outputs' digests. An
//! item `Step` in every such manifest tells it from a unit's.

use std::collections::BTreeSet;

use rekindle_base::Digest;
use serde::{Deserialize, Serialize};

use crate::manifest::{Item, Manifest};
use crate::pathset::{Name, PathSet};
use crate::roots::Root;
use crate::table::Tag;

/// What stands for a name's value where nothing is at a path.
pub const NOTHING: &str = "not there";

/// The value of a path at which there is a directory, where that was only asked about.
pub const DIRECTORY: &str = "directory";

/// How the bytes of an output are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Form {
    /// As they are.
    Exact,
    /// Text with roots as tokens.
    Text,
}

/// What an output is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Body {
    /// A file.
    File {
        /// The stored bytes.
        digest: Digest,
        /// Their number.
        size: u64,
        /// Whether it is executable.
        executable: bool,
        /// How they are kept.
        form: Form,
    },
    /// A symbolic link: where it leads, as text with roots as tokens.
    Link(Vec<u8>),
    /// A directory. Those of files in the list are made without being named.
    Directory,
}

/// One output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepOutput {
    /// Which of the step's output directories, by its place among them.
    pub place: u8,
    /// The path below it; empty where the place is the output itself.
    pub path: Vec<u8>,
    /// What is there.
    pub body: Body,
}

/// What a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepEntry {
    /// Outputs, directories before what is in them.
    pub outputs: Vec<StepOutput>,
    /// Standard output, with roots as tokens.
    pub stdout: Vec<u8>,
    /// Standard error, in the same form.
    pub stderr: Vec<u8>,
    /// The run's time, in microseconds.
    pub run_us: u64,
    /// Whether outputs hold a real path that is another in another checkout, so that only the same directory can hit.
    pub path_bound: bool,
    /// The inputs.
    pub manifest: Manifest,
}

impl StepEntry {
    /// The payload of a record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads a payload. `None` where it is not one, or an output leads out of its directory.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let entry: Self = postcard::from_bytes(bytes).ok()?;
        entry.stays_inside().then_some(entry)
    }

    /// The objects that it refers to.
    #[must_use]
    pub fn objects(&self) -> Vec<Digest> {
        let digest = |output: &StepOutput| match output.body {
            Body::File { digest, .. } => Some(digest),
            _ => None,
        };
        self.outputs.iter().filter_map(digest).collect()
    }

    /// Entries may come from elsewhere: no path may lead out of its directory, not by way of a link that
    /// is an output itself either.
    fn stays_inside(&self) -> bool {
        let mut seen = BTreeSet::new();
        let mut closed: BTreeSet<(u8, &[u8])> = BTreeSet::new();
        for output in &self.outputs {
            if !is_below(&output.path) || !seen.insert((output.place, output.path.as_slice())) {
                return false;
            }
            if output.body != Body::Directory {
                closed.insert((output.place, &output.path));
            }
        }
        self.outputs.iter().all(|output| {
            let mut ends = memchr::memchr_iter(b'/', &output.path);
            let is_open = ends.all(|end| !closed.contains(&(output.place, &output.path[..end])));
            is_open && (output.path.is_empty() || !closed.contains(&(output.place, &[])))
        })
    }
}

fn is_below(path: &[u8]) -> bool {
    let is_plain = |part: &[u8]| !part.is_empty() && part != b"." && part != b"..";
    !path.contains(&0) && (path.is_empty() || path.split(|byte| *byte == b'/').all(is_plain))
}

/// The names whose values a manifest holds: what such a step was seen to read.
#[must_use]
pub fn names(manifest: &Manifest) -> PathSet {
    let items = manifest.items();
    let is_whole = |item: &Item| seen(item.tag, &item.name).is_some_and(|name| name.is_of_many());
    let whole = items.iter().position(is_whole).unwrap_or(items.len());
    let names: Vec<Name> = items
        .iter()
        .enumerate()
        .filter(|(index, item)| item.tag != Tag::Variable || *index <= whole)
        .filter_map(|(_, item)| seen(item.tag, &item.name))
        .collect();
    PathSet { names }
}

/// What a process was seen to read, from the tag and the name of its item; `None` for everything else.
#[must_use]
pub fn seen(tag: Tag, name: &[u8]) -> Option<Name> {
    let name = name.to_vec();
    Some(match tag {
        Tag::ReadFile => Name::File(name),
        Tag::Looked => Name::Kind(name),
        Tag::Listing => Name::Listing(name),
        Tag::Link => Name::Link(name),
        Tag::RanProgram => Name::Program(name),
        Tag::Lookup => Name::Lookup(name),
        Tag::Library => Name::Library(name),
        Tag::Variable if name.is_empty() => Name::Variables,
        Tag::Variable => Name::Variable(name),
        Tag::Spoken => Name::Spoken(name),
        Tag::Directory => Name::Directory(Root::from_name(&name)?),
        _ => return None,
    })
}

/// Whether a manifest holds anything that was only seen to be read, declared by nobody, and may change.
#[must_use]
pub fn has_undeclared(manifest: &Manifest) -> bool {
    names(manifest).names.iter().any(may_change)
}

/// Sources of packages never change: cargo checks them when it unpacks them. The compiler looks at those of
/// other crates, and in vain for those that the toolchain was made from, where it names places in them.
fn may_change(name: &Name) -> bool {
    const NEVER: [&[u8]; 3] = [
        b"{cargo-home}/registry/src/",
        b"{cargo-home}/git/checkouts/",
        b"/rustc/",
    ];
    match name {
        Name::Directory(_) => false,
        Name::File(path) | Name::Kind(path) | Name::Listing(path) | Name::Link(path) => {
            !NEVER.iter().any(|prefix| path.starts_with(prefix))
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_may_change_is_undeclared() {
        let check = |tag, name: &str, expected: bool| {
            let mut manifest = Manifest::new();
            manifest.push(Tag::Source, "{workspace}/src/lib.rs", "declared");
            manifest.push(Tag::Directory, "{target}", "/t");
            assert!(!has_undeclared(&manifest));
            manifest.push(tag, name, "value");
            assert_eq!(has_undeclared(&manifest), expected, "{name}");
        };
        check(Tag::ReadFile, "{workspace}/migrations/1.sql", true);
        check(Tag::Looked, "/etc/zoneinfo", true);
        check(Tag::Variable, "DATABASE_URL", true);
        check(
            Tag::ReadFile,
            "{cargo-home}/registry/src/r/quote-1.0.0/src/lib.rs",
            false,
        );
        check(Tag::ReadFile, "{cargo-home}/config.toml", true);
        check(Tag::Looked, "/rustc/0123/library/core/src/panic.rs", false);
    }

    fn entry(outputs: &[(&str, Body)]) -> StepEntry {
        StepEntry {
            outputs: outputs
                .iter()
                .map(|(path, body)| StepOutput {
                    place: 0,
                    path: path.as_bytes().to_vec(),
                    body: body.clone(),
                })
                .collect(),
            stdout: b"cargo:rustc-link-lib=z\n".to_vec(),
            stderr: Vec::new(),
            run_us: 7,
            path_bound: false,
            manifest: Manifest::new(),
        }
    }

    fn file() -> Body {
        Body::File {
            digest: Digest::of(b"x"),
            size: 1,
            executable: false,
            form: Form::Exact,
        }
    }

    #[test]
    fn the_form_on_disk_is_fixed() {
        let entry = entry(&[
            ("lib", Body::Directory),
            ("lib/libz.a", file()),
            ("lib/libz.so", Body::Link(b"libz.a".to_vec())),
        ]);
        let bytes = entry.encode();
        assert_eq!(StepEntry::decode(&bytes), Some(entry));
        assert_eq!(
            Digest::of(&bytes).to_hex(),
            "ff20de963bebb29901a933c5c9b6a261dba53504c4c07417456c2eb6b2a57bbd"
        );
    }

    #[test]
    fn an_output_cannot_lead_out_of_its_directory() {
        let check = |outputs: &[(&str, Body)], expected: bool| {
            let entry = entry(outputs);
            let read = StepEntry::decode(&entry.encode());
            assert_eq!(read.is_some(), expected, "{outputs:?}");
        };
        check(&[("a/b", file())], true);
        check(&[("", file())], true);
        for path in ["/etc/passwd", "../x", "a/../b", "a//b", "a/", ".", "a\0b"] {
            check(&[(path, file())], false);
        }
        check(&[("a", file()), ("a", file())], false);
        let link = || Body::Link(b"/etc".to_vec());
        check(&[("a", link()), ("a/passwd", file())], false);
        check(&[("a/passwd", file()), ("a", link())], false);
        check(&[("", link()), ("passwd", file())], false);
        check(&[("a", link()), ("ab/passwd", file())], true);
    }

    #[test]
    fn names_come_back_from_a_manifest() {
        let mut manifest = Manifest::new();
        manifest.push(Tag::Step, "kind", "x");
        manifest.push(Tag::Directory, "{cargo-home}", "/c");
        manifest.push(Tag::Looked, "/usr/x", NOTHING);
        for name in ["A", "", "B"] {
            manifest.push(Tag::Variable, name, "0");
        }
        let names = names(&manifest).names;
        assert_eq!(
            names,
            [
                Name::Directory(Root::CargoHome),
                Name::Kind(b"/usr/x".to_vec()),
                Name::Variable(b"A".to_vec()),
                Name::Variables,
            ]
        );
        let mut manifest = Manifest::new();
        manifest.push(Tag::Variable, "A", "0");
        manifest.push(Tag::Spoken, "words", "");
        manifest.push(Tag::Variable, "B", "0");
        assert_eq!(
            super::names(&manifest).names,
            [
                Name::Variable(b"A".to_vec()),
                Name::Spoken(b"words".to_vec()),
            ]
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = StepEntry::decode(&bytes);
        }
    }
}
