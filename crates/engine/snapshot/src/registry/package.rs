//! What is stored of a registry's package, and what of its sources cargo looks at.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use rekindle_outputs::archive::{self, ArchiveError};
use rekindle_store::{LocalStore, Space, Store};
use serde::{Deserialize, Serialize};
use toml::Value;

use super::lockfile::Locked;

/// Version of the records.
const VERSION: u32 = 2;
/// No manifest is longer.
const MAX_MANIFEST_BYTES: u64 = 4 << 20;

/// A package: the payload of a record in the space `Packages` (postcard), under [`key`], which refers to
/// the `.crate`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Package {
    version: u32,
    /// The registry's line about it: JSON.
    pub(super) line: Vec<u8>,
    /// What was downloaded; a package for another system has only its line.
    pub(super) source: Option<Source>,
}

/// A package's sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Source {
    /// The `.crate`, an object.
    pub(super) digest: Digest,
    /// Its size in bytes.
    pub(super) size: u64,
    /// `None` where nobody has asked yet: to unpack all of a project's packages takes a hundredth of its first build.
    pub(super) look: Option<Look>,
}

/// What cargo looks at of a package's sources.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    /// `Cargo.toml`.
    pub(super) manifest: Vec<u8>,
    /// Files that are to exist, below the package's directory: the roots of its crates, and what cargo infers
    /// targets and a readme from.
    pub(super) stubs: Vec<String>,
    /// Whether the manifest has `links`.
    pub(super) links: bool,
}

impl Package {
    pub(super) fn new(line: Vec<u8>, source: Option<Source>) -> Self {
        Self {
            version: VERSION,
            line,
            source,
        }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// `None` for what another version wrote.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let package: Self = postcard::from_bytes(bytes).ok()?;
        (package.version == VERSION).then_some(package)
    }
}

/// What a package's record is stored under. Its checksum makes it the same everywhere.
pub(super) fn key(index: &str, package: &Locked) -> Digest {
    super::key_of(&[
        b"package",
        index.as_bytes(),
        package.name.as_bytes(),
        package.version.as_bytes(),
        package.checksum.as_bytes(),
    ])
}

/// Stores a package's record.
pub(super) fn put(
    store: &LocalStore,
    key: &Digest,
    line: Vec<u8>,
    source: Option<Source>,
) -> Result<(), String> {
    let refs: Vec<Digest> = source.iter().map(|source| source.digest).collect();
    let payload = Package::new(line, source).encode();
    store
        .put_record(Space::Packages, key, &refs, &payload)
        .map_err(|error| error.to_string())
}

/// Looks into the stored `.crate` of a package whose directory is called `prefix`.
pub(super) fn look_at(store: &LocalStore, source: &Source, prefix: &str) -> Result<Look, String> {
    let stored = store.object_bytes(&source.digest);
    let (bytes, _) = stored.map_err(|error| error.to_string())?;
    look_into(&bytes, prefix).map_err(|error| error.to_string())
}

/// Keeps what was found in a package in its record.
pub(super) fn keep(
    store: &LocalStore,
    key: &Digest,
    (line, source): (Vec<u8>, &Source),
    look: Look,
) -> Result<(), String> {
    let source = Source {
        look: Some(look),
        ..source.clone()
    };
    put(store, key, line, Some(source))
}

/// Looks into a `.crate`.
pub(super) fn look_into(bytes: &[u8], prefix: &str) -> Result<Look, ArchiveError> {
    let (mut files, mut manifest) = (BTreeSet::new(), None);
    archive::read(
        &mut &*bytes,
        bytes.len() as u64,
        prefix,
        &mut |member, content| {
            if member.path == Path::new("Cargo.toml") && member.size <= MAX_MANIFEST_BYTES {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                manifest = Some(bytes);
            }
            files.extend(member.path.to_str().map(str::to_owned));
            Ok(())
        },
    )?;
    let unusable = |why| ArchiveError::Refused {
        path: "Cargo.toml".to_owned(),
        why,
    };
    let manifest = manifest.ok_or_else(|| unusable("is missing"))?;
    let table: toml::Table = std::str::from_utf8(&manifest)
        .ok()
        .and_then(|text| toml::from_str(text).ok())
        .ok_or_else(|| unusable("cannot be read"))?;
    Ok(Look {
        stubs: stubs(&table, &files),
        links: package_value(&table, "links").is_some(),
        manifest,
    })
}

fn package_value<'a>(manifest: &'a toml::Table, name: &str) -> Option<&'a Value> {
    let package = manifest
        .get("package")
        .or_else(|| manifest.get("project"))?;
    package.get(name)
}

/// The files that a sparse package has as stubs: every root of a crate that something may compile, and
/// whatever cargo infers from being there. More than needed does no harm, since all of them exist.
fn stubs(manifest: &toml::Table, files: &BTreeSet<String>) -> Vec<String> {
    let mut stubs: BTreeSet<PathBuf> = BTreeSet::new();
    for kind in ["lib", "bin"] {
        let paths = targets(manifest, kind).filter_map(|target| target.get("path")?.as_str());
        stubs.extend(paths.map(PathBuf::from));
    }
    stubs.extend(match package_value(manifest, "build") {
        Some(Value::String(path)) => vec![path.into()],
        Some(Value::Array(scripts)) => scripts
            .iter()
            .filter_map(|script| script.as_str().map(PathBuf::from))
            .collect(),
        Some(Value::Boolean(false)) => Vec::new(),
        _ => vec!["build.rs".into()],
    });
    if package_value(manifest, "readme").is_none() {
        stubs.extend(["README.md", "README.txt", "README"].map(PathBuf::from));
    }
    let name = package_value(manifest, "name")
        .and_then(Value::as_str)
        .unwrap_or_default();
    stubs.extend(["src/lib.rs", "src/main.rs"].map(PathBuf::from));
    stubs.insert(format!("src/{}.rs", name.replace('-', "_")).into());
    stubs.insert(format!("src/{name}.rs").into());
    for (kind, automatic, dir) in [
        ("bin", "autobins", "src/bin"),
        ("example", "autoexamples", "examples"),
        ("test", "autotests", "tests"),
        ("bench", "autobenches", "benches"),
    ] {
        // Manifests that cargo packs say it all; older ones are completed by what is there.
        let automatic = package_value(manifest, automatic).and_then(Value::as_bool);
        let mut targets = targets(manifest, kind);
        if automatic != Some(false) || targets.any(|target| target.get("path").is_none()) {
            let below = files.iter().filter(|file| is_target(file, dir));
            stubs.extend(below.map(PathBuf::from));
        }
    }
    // As paths, so that `./src/lib.rs` is found, too.
    files
        .iter()
        .filter(|file| {
            let path = Path::new(file);
            stubs.contains(path) || stubs.contains(&Path::new(".").join(path))
        })
        .cloned()
        .collect()
}

/// The targets of a kind that a manifest names.
fn targets<'a>(manifest: &'a toml::Table, kind: &str) -> impl Iterator<Item = &'a Value> {
    let (one, many) = match manifest.get(kind) {
        Some(Value::Array(many)) => (None, many.as_slice()),
        one => (one, &[][..]),
    };
    one.into_iter().chain(many)
}

/// Whether cargo takes a file in a directory of targets for the root of one.
fn is_target(file: &str, dir: &str) -> bool {
    let Some(rest) = file
        .strip_prefix(dir)
        .and_then(|rest| rest.strip_prefix('/'))
    else {
        return false;
    };
    match rest.split_once('/') {
        None => Path::new(rest).extension().is_some_and(|ext| ext == "rs"),
        Some((_, inner)) => inner == "main.rs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(manifest: &str, files: &[&str], expected: &[&str]) {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        let found = stubs(&toml::from_str(manifest).unwrap(), &files);
        assert_eq!(found, expected, "{manifest}");
    }

    #[test]
    fn stubs_are_what_cargo_looks_for() {
        let all = [
            "Cargo.toml",
            "README.md",
            "build.rs",
            "build/main.rs",
            "examples/one.rs",
            "examples/two/main.rs",
            "examples/two/other.rs",
            "odd/root.rs",
            "src/bin/tool.rs",
            "src/lib.rs",
            "src/lib/inner.rs",
            "src/main.rs",
            "tests/all.rs",
        ];
        let explicit = "[package]\nname = \"a\"\nbuild = false\nreadme = false\nautobins = false\n\
            autoexamples = false\nautotests = false\nautobenches = false\n[lib]\npath = \"odd/root.rs\"\n\
            [[test]]\nname = \"all\"\npath = \"tests/all.rs\"\n";
        check(
            explicit,
            &all,
            &["odd/root.rs", "src/lib.rs", "src/main.rs"],
        );
        check(
            "[package]\nname = \"a\"\nbuild = \"./build/main.rs\"\n",
            &all,
            &[
                "README.md",
                "build/main.rs",
                "examples/one.rs",
                "examples/two/main.rs",
                "src/bin/tool.rs",
                "src/lib.rs",
                "src/main.rs",
                "tests/all.rs",
            ],
        );
        check(
            "[project]\nname = \"old-name\"\nreadme = \"x\"\n[lib]\nname = \"a\"\n[[bin]]\npath = \"cli.rs\"\n",
            &[
                "Cargo.toml",
                "build.rs",
                "cli.rs",
                "src/old_name.rs",
                "README",
            ],
            &["build.rs", "cli.rs", "src/old_name.rs"],
        );
    }

    #[test]
    fn targets_without_a_path_are_looked_for() {
        check(
            "[package]\nname = \"a\"\nbuild = false\nautobins = false\nautotests = false\n[[test]]\nname = \"all\"\n",
            &["src/bin/x.rs", "src/lib.rs", "tests/all/main.rs"],
            &["src/lib.rs", "tests/all/main.rs"],
        );
    }

    #[test]
    fn records_of_other_versions_are_none() {
        let package = Package::new(b"{}".to_vec(), None);
        let mut bytes = package.encode();
        assert_eq!(Package::decode(&bytes), Some(package));
        bytes[0] += 1;
        assert_eq!(Package::decode(&bytes), None);
        assert_eq!(Package::decode(b""), None);
    }
}
