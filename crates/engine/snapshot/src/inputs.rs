//! What units are made from: sources and declared inputs, by content.
//!
//! Registry and git packages are left out: cargo does not look at their files again, and their
//! versions are in the fingerprints.

use std::collections::{HashMap, HashSet};
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_fsx::{FileKind, StatSig};
use rekindle_key::directives;
use rekindle_key::{Root, Roots};
use rekindle_outputs::localise::{self, Replacements};

use crate::model::{Content, Input, Place, Site};

/// More files than this below one input directory, and its unit is not captured.
const FILES_MAX: usize = 20_000;

/// The directories of a build, as paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Where {
    /// The workspace's root.
    pub workspace: PathBuf,
    /// The directory that is built in.
    pub build_dir: PathBuf,
    /// cargo's home.
    pub cargo_home: PathBuf,
    /// The toolchain, where it is known before a compiler is asked. With a wrong one, units that were seen to
    /// read it are left out, or are cargo's to build.
    pub sysroot: Option<PathBuf>,
}

impl Where {
    /// As it is stored.
    #[must_use]
    pub fn site(&self) -> Site {
        let bytes = |path: &Path| path.as_os_str().as_bytes().to_vec();
        Site {
            workspace: bytes(&self.workspace),
            target: bytes(&self.build_dir),
            cargo_home: bytes(&self.cargo_home),
        }
    }

    /// Where a file is, for a tree. `None` for what needs no watching: packages of a registry or of git, and
    /// what is itself an output.
    #[must_use]
    pub fn place(&self, path: &Path) -> Option<Place> {
        let packages = ["registry", "git"].map(|name| self.cargo_home.join(name));
        if packages.iter().any(|dir| path.starts_with(dir)) || path.starts_with(&self.build_dir) {
            return None;
        }
        Some(match path.strip_prefix(&self.workspace) {
            Ok(relative) => Place::Workspace(relative.as_os_str().as_bytes().to_vec()),
            Err(_) => Place::Absolute(path.as_os_str().as_bytes().to_vec()),
        })
    }

    /// The names of the directories, for texts that hold their paths.
    #[must_use]
    pub fn roots(&self) -> Roots {
        let roots = [
            (Root::Workspace, self.workspace.clone()),
            (Root::Target, self.build_dir.clone()),
            (Root::CargoHome, self.cargo_home.clone()),
        ];
        Roots::new(&self.workspace, roots)
    }

    /// Whether each of the directories has such a name.
    #[must_use]
    pub fn are_named(&self) -> bool {
        self.roots().iter().count() == 3
    }

    /// What takes the place of mapped names in programs that were built here.
    #[must_use]
    pub fn replacements(&self) -> Replacements {
        let roots = localise::roots(&self.workspace, &self.build_dir, &self.cargo_home);
        localise::replacements(&roots)
    }

    /// Where that is here; `None` for what was seen to be read, which has a name of another kind.
    #[must_use]
    pub fn path(&self, place: &Place) -> Option<PathBuf> {
        match place {
            Place::Workspace(relative) if relative.is_empty() => Some(self.workspace.clone()),
            Place::Workspace(relative) => Some(self.workspace.join(OsStr::from_bytes(relative))),
            Place::Absolute(path) => Some(PathBuf::from(OsStr::from_bytes(path))),
            Place::Seen(..) => None,
        }
    }
}

/// How the files below a directory are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Breadth {
    /// All of them.
    All,
    /// Those of one package: packages further down are others.
    Package,
}

/// The newest times in an input: nanoseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Newest {
    /// When a file of it was written last, as it says itself: what cargo goes by.
    pub written_ns: i64,
    /// When anything of it was changed last, as the kernel says. What is moved into a place keeps the time of its writing.
    pub changed_ns: i64,
}

impl Newest {
    /// Of nothing.
    const NONE: Self = Self {
        written_ns: i64::MIN,
        changed_ns: i64::MIN,
    };

    fn add(&mut self, sig: &StatSig) {
        self.written_ns = self.written_ns.max(sig.mtime_ns);
        self.changed_ns = self.changed_ns.max(sig.ctime_ns);
    }
}

/// What an input holds now, and the newest times in it.
///
/// # Errors
/// Where it cannot be read, or is too large to be watched.
pub fn content(path: &Path) -> io::Result<(Content, Newest)> {
    let Some(sig) = rekindle_fsx::found(rekindle_fsx::stat_follow(path))? else {
        return Ok((Content::Absent, Newest::NONE));
    };
    match sig.kind() {
        FileKind::Dir => directory(path, Breadth::All),
        _ => {
            let mut newest = Newest::NONE;
            newest.add(&sig);
            Ok((Content::File(rekindle_fsx::hash_file(path)?.0), newest))
        }
    }
}

/// The names and contents below a directory, also of what links in it lead to, as cargo looks at it. Version control and
/// outputs are left out.
///
/// # Errors
/// As [`content`].
pub fn directory(root: &Path, breadth: Breadth) -> io::Result<(Content, Newest)> {
    let mut newest = Newest::NONE;
    let files = files_below(root, breadth, &mut newest)?;
    let mut hasher = DigestHasher::new();
    for (path, link) in &files {
        let relative = path.strip_prefix(root).unwrap_or(path);
        let digest = match link {
            None => rekindle_fsx::hash_file(path)?.0,
            Some(link) => Digest::of(link.as_os_str().as_bytes()),
        };
        hasher
            .field(relative.as_os_str().as_bytes())
            .field(digest.to_hex().as_bytes());
    }
    Ok((Content::Directory(hasher.finish()), newest))
}

/// Files below a directory in the order of their paths, and links with where they lead: before the file of the same path, if
/// that is what it leads to.
fn files_below(
    root: &Path,
    breadth: Breadth,
    newest: &mut Newest,
) -> io::Result<Vec<(PathBuf, Option<PathBuf>)>> {
    let mut files = Vec::new();
    let mut pending = vec![root.to_owned()];
    // A link may lead to where it is.
    let mut walked = HashSet::new();
    while let Some(dir) = pending.pop() {
        let sig = rekindle_fsx::stat_follow(&dir)?;
        if !walked.insert((sig.dev, sig.ino)) {
            continue;
        }
        newest.changed_ns = newest.changed_ns.max(sig.ctime_ns);
        let mut entries = rekindle_fsx::list_dir(&dir)?;
        // Of what several links lead to, the same is looked at everywhere.
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        for entry in entries {
            let mut sig = entry.sig;
            if sig.kind() == FileKind::Other {
                let Ok(link) = rekindle_fsx::read_link(&entry.path) else {
                    continue;
                };
                newest.add(&sig);
                files.push((entry.path.clone(), Some(link)));
                match rekindle_fsx::stat_follow(&entry.path) {
                    Ok(to) => sig = to,
                    Err(_) => continue,
                }
            }
            match sig.kind() {
                FileKind::Dir => {
                    let is_output = rekindle_fsx::exists(&entry.path.join("CACHEDIR.TAG"));
                    let is_other = breadth == Breadth::Package
                        && rekindle_fsx::exists(&entry.path.join("Cargo.toml"));
                    if entry.name != ".git" && !is_output && !is_other {
                        pending.push(entry.path);
                    }
                }
                FileKind::File => {
                    newest.add(&sig);
                    files.push((entry.path, None));
                }
                FileKind::Other => {}
            }
        }
        if files.len() > FILES_MAX {
            return Err(io::Error::other(format!(
                "{} has more than {FILES_MAX} files",
                root.display()
            )));
        }
    }
    files.sort_by(|(one, link), (other, to)| (one, link.is_none()).cmp(&(other, to.is_none())));
    Ok(files)
}

/// Distinct inputs, each read once. One path may be there with several contents: units that were not
/// built again since it changed were made from an older one.
#[derive(Debug, Default)]
pub struct Inputs {
    list: Vec<Input>,
    indices: HashMap<Input, u32>,
    /// What is there now, and the newest times in it.
    read: HashMap<(Place, Breadth), (u32, Newest)>,
}

impl Inputs {
    /// What is there now: its index, and the newest times in it.
    ///
    /// # Errors
    /// As [`content`].
    pub fn add(
        &mut self,
        place: Place,
        path: &Path,
        breadth: Breadth,
    ) -> io::Result<(u32, Newest)> {
        let key = (place, breadth);
        if let Some(known) = self.read.get(&key) {
            return Ok(*known);
        }
        let (content, newest) = match breadth {
            Breadth::All => content(path)?,
            Breadth::Package => directory(path, breadth)?,
        };
        let index = self.keep(&Input {
            place: key.0.clone(),
            content,
            is_package: breadth == Breadth::Package,
            signature: None,
        });
        self.read.insert(key, (index, newest));
        Ok((index, newest))
    }

    /// Takes over an input as it was recorded.
    pub fn keep(&mut self, input: &Input) -> u32 {
        if let Some(index) = self.indices.get(input) {
            return *index;
        }
        let index = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        self.list.push(input.clone());
        self.indices.insert(input.clone(), index);
        index
    }

    /// All of them.
    #[must_use]
    pub fn into_list(self) -> Vec<Input> {
        self.list
    }
}

/// What a build script declared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declared {
    /// `rerun-if-changed`, as printed.
    pub paths: Vec<String>,
    /// Whether there was any `rerun-if-…`: else cargo watches the whole package.
    pub any: bool,
}

/// Reads what a build script printed.
#[must_use]
pub fn declared(output: &[u8]) -> Declared {
    let mut declared = Declared::default();
    for (key, value) in directives::of(output) {
        if key == b"rerun-if-changed" {
            let path = String::from_utf8_lossy(value).into_owned();
            declared.paths.push(path);
            declared.any = true;
        } else if key == b"rerun-if-env-changed" {
            declared.any = true;
        }
    }
    declared
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn declarations_are_read_in_both_forms() {
        let text =
            b"cargo:rerun-if-changed=a b\ncargo::rerun-if-changed=c\nhello\ncargo:rustc-cfg=x\n";
        let declared = declared(text);
        assert_eq!(declared.paths, ["a b", "c"]);
        assert!(declared.any);
        assert!(super::declared(b"cargo::rerun-if-env-changed=X\n").any);
        assert!(!super::declared(b"cargo:rustc-cfg=x\n").any);
    }

    #[test]
    fn a_directory_is_its_names_and_contents() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            rekindle_fsx::create_dir_all(path.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&path, text).unwrap();
        };
        let all = || directory(dir.path(), Breadth::All).unwrap().0;
        let package = || directory(dir.path(), Breadth::Package).unwrap().0;
        put("a", b"1");
        put("b", b"2");
        let first = all();
        put("a", b"2");
        put("b", b"1");
        assert_ne!(all(), first, "swapped contents");
        put("a", b"1");
        put("b", b"2");
        assert_eq!(all(), first);
        put("target/CACHEDIR.TAG", b"");
        put(".git/HEAD", b"");
        assert_eq!(all(), first, "outputs do not count");
        let alone = package();
        put("member/Cargo.toml", b"");
        assert_eq!(package(), alone, "another package's files do not count");
        assert_ne!(all(), first);
    }

    #[test]
    fn what_links_lead_to_counts_with_where_they_lead() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        let put = |name: &str, text: &[u8]| {
            let path = dir.path().join(name);
            rekindle_fsx::create_dir_all(path.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&path, text).unwrap();
        };
        let link = |to: &str, name: &str| {
            let _ = rekindle_fsx::remove_file(&root.join(name));
            rekindle_fsx::symlink(Path::new(to), &root.join(name)).unwrap();
        };
        put("root/own", b"");
        put("other/file", b"1");
        put("same/file", b"1");
        link("../other/file", "file");
        link("../other", "directory");
        link("nowhere", "dangling");
        link(".", "loop");
        let now = || directory(&root, Breadth::All).unwrap();
        let (first, before) = now();
        put("other/file", b"2");
        let (second, after) = now();
        assert_ne!(second, first);
        assert!(after.written_ns >= before.written_ns);
        put("other/file", b"1");
        assert_eq!(now().0, first);
        link("../same/file", "file");
        assert_ne!(now().0, first);
        link("../other/file", "file");
        put("other/more", b"");
        assert_ne!(now().0, first, "in a directory that a link leads to");
    }

    /// As where an older version is moved there, or unpacked with its time.
    #[test]
    fn what_is_moved_there_is_changed_now() {
        let dir = tempfile::tempdir().unwrap();
        let (file, aside) = (dir.path().join("in/file"), dir.path().join("aside"));
        rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
        rekindle_fsx::atomic::write(&aside, b"old").unwrap();
        rekindle_fsx::atomic::write(&file, b"new").unwrap();
        rekindle_fsx::time::await_next_stamp();
        let now_ns = rekindle_fsx::time::realtime_ns();
        rekindle_fsx::time::await_next_stamp();
        let is_changed = |path: &Path| content(path).unwrap().1.changed_ns >= now_ns;
        assert!(!is_changed(&file) && !is_changed(file.parent().unwrap()));
        rekindle_fsx::rename(&aside, &file).unwrap();
        assert!(content(&file).unwrap().1.written_ns < now_ns);
        assert!(is_changed(&file));
        rekindle_fsx::remove_file(&file).unwrap();
        assert!(
            is_changed(file.parent().unwrap()),
            "what is gone is a change, too"
        );
    }

    #[test]
    fn older_units_keep_the_contents_that_they_were_made_from() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x");
        let place = Place::Workspace(b"x".to_vec());
        rekindle_fsx::atomic::write(&path, b"new").unwrap();
        let older = Input {
            place: place.clone(),
            content: Content::File(Digest::of(b"old")),
            is_package: false,
            signature: None,
        };
        let mut inputs = Inputs::default();
        assert_eq!(inputs.keep(&older), 0);
        assert_eq!(inputs.add(place, &path, Breadth::All).unwrap().0, 1);
        assert_eq!(inputs.keep(&older), 0);
        let list = inputs.into_list();
        assert_eq!(list[0], older);
        assert_eq!(list[1].content, Content::File(Digest::of(b"new")));
    }

    #[test]
    fn packages_and_outputs_are_not_watched() {
        let here = Where {
            workspace: "/w".into(),
            build_dir: "/w/target".into(),
            cargo_home: "/home/.cargo".into(),
            sysroot: None,
        };
        let place = |path: &str| here.place(Path::new(path));
        assert_eq!(place("/w/src/x"), Some(Place::Workspace(b"src/x".to_vec())));
        assert_eq!(place("/w2/x"), Some(Place::Absolute(b"/w2/x".to_vec())));
        assert_eq!(place("/home/.cargo/registry/src/x"), None);
        assert_eq!(place("/home/.cargo/git/checkouts/x"), None);
        assert_eq!(place("/w/target/debug/build/x/out/y"), None);
    }
}
