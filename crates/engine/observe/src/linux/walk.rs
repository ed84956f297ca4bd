//! Following a path as the kernel does, and telling every link on the way: a link that is pointed
//! elsewhere changes what is read.

use std::ffi::CString;

use super::maps::{HashMap, HashSet};
use super::sys::{self, Kind};

/// Remembers which directories are links. That something was missing is never believed by itself, as others may make it;
/// but where the kernel says so again, nothing need be looked at.
#[derive(Debug, Default)]
pub(super) struct Walk {
    known: HashMap<Vec<u8>, Option<Vec<u8>>>,
    /// Directories whose path is real as it stands, with no link in it.
    real: HashSet<Vec<u8>>,
    /// The real path of what was missing where it was asked for, and no link on the way or in its place.
    missing: HashMap<Vec<u8>, Vec<u8>>,
    /// Directories that were missing, by their real paths.
    no_directories: HashSet<Vec<u8>>,
    /// What was at real paths, links apart.
    glances: HashMap<Vec<u8>, Kind>,
}

/// More than this are not remembered.
const MOST_MISSING: usize = 1 << 16;

/// Where a path leads.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The real path; where something was missing on the way, the rest as it was asked for.
    pub(super) path: Vec<u8>,
    /// What is there.
    pub(super) kind: Option<Kind>,
    /// Links on the way.
    pub(super) links: Vec<Vec<u8>>,
    /// Whether it is under `/proc` or `/sys`, where it was not followed: what is there depends on
    /// who asks.
    pub(super) special: bool,
}

const MOST_LINKS: usize = 40;

impl Found {
    /// What is at a real path.
    fn at(path: &[u8], kind: Option<Kind>) -> Self {
        Self {
            path: path.to_vec(),
            kind,
            links: Vec::new(),
            special: false,
        }
    }
}

impl Walk {
    /// Forgets all, as the tree changed a directory or a link.
    pub(super) fn forget(&mut self) {
        self.known.clear();
        self.real.clear();
        self.missing.clear();
        self.no_directories.clear();
        self.forget_glances();
    }

    /// Forgets what was there, as the tree changed something.
    pub(super) fn forget_glances(&mut self) {
        self.glances.clear();
    }

    /// The real path of what the kernel said is missing, where it was missing before: nothing but a link in its place could
    /// make that another path, and whoever makes one makes this forget.
    pub(super) fn still_missing<'all>(&'all self, path: &'all [u8]) -> Option<&'all [u8]> {
        if let Some(real) = self.missing.get(path) {
            return Some(real);
        }
        let (above, _) = split(path)?;
        self.no_directories.contains(above).then_some(path)
    }

    fn note_missing(&mut self, asked: &[u8], found: &Found) {
        if found.kind.is_none()
            && found.links.is_empty()
            && !found.special
            && self.missing.len() < MOST_MISSING
        {
            self.missing.insert(asked.to_vec(), found.path.clone());
        }
    }

    /// As [`Self::walk`], for what only wants to know which type of file is there: its size and time may be those of
    /// an earlier glance.
    pub(super) fn glance(&mut self, path: &[u8], follow: bool) -> Found {
        if let Some(kind) = self.glances.get(path) {
            return Found::at(path, Some(*kind));
        }
        let found = self.walk(path, follow);
        if let Some(kind) = found.kind
            && !kind.is(libc::S_IFLNK)
            && found == Found::at(path, Some(kind))
        {
            self.glances.insert(path.to_vec(), kind);
        }
        found
    }

    /// Follows an absolute path; a link at its end only where `follow` says so.
    pub(super) fn walk(&mut self, path: &[u8], follow: bool) -> Found {
        let above = split(path);
        if let Some((above, _)) = above
            && self.real.contains(above)
        {
            let kind = text(path).and_then(|path| sys::look(&path).ok());
            if !(follow && kind.is_some_and(|kind| kind.is(libc::S_IFLNK))) {
                let found = Found::at(path, kind);
                self.note_missing(path, &found);
                return found;
            }
        }
        let mut is_cut = false;
        let found = self.walk_by(path, follow, &mut |_, is_there| is_cut |= !is_there);
        self.note_missing(path, &found);
        if is_cut
            && let Some((above, _)) = above
            && found == Found::at(path, None)
            && self.no_directories.len() < MOST_MISSING
        {
            self.no_directories.insert(above.to_vec());
        }
        if let Some((above, _)) = above
            && found.path == path
            && matches!(self.known.get(above), Some(None))
            && found.links.is_empty()
            && !found.special
        {
            self.real.insert(above.to_vec());
        }
        found
    }

    /// The directory of a path, where its path is known to be real.
    pub(super) fn real_directory<'path>(&self, path: &'path [u8]) -> Option<&'path [u8]> {
        let (above, _) = split(path)?;
        self.real.contains(above).then_some(above)
    }

    /// As [`Self::walk`], and tells every part on the way that is no link, and whether it is there.
    pub(super) fn walk_by(
        &mut self,
        path: &[u8],
        follow: bool,
        passes: &mut dyn FnMut(&[u8], bool),
    ) -> Found {
        let mut rest = parts(path);
        let mut found = Found {
            path: Vec::new(),
            kind: None,
            links: Vec::new(),
            special: false,
        };
        // `name/` is what `name` leads to.
        let follow = follow || path.ends_with(b"/");
        while let Some(part) = rest.pop() {
            if part == b".." {
                let cut = found.path.iter().rposition(|byte| *byte == b'/');
                found.path.truncate(cut.unwrap_or(0));
                continue;
            }
            found.path.push(b'/');
            found.path.extend_from_slice(&part);
            if found.path == b"/proc" || found.path == b"/sys" {
                found.special = true;
                append(&mut found.path, &rest);
                return found;
            }
            let last = rest.is_empty();
            let link = if last {
                found.kind = text(&found.path).and_then(|path| sys::look(&path).ok());
                match found.kind {
                    Some(kind) if follow && kind.is(libc::S_IFLNK) => {
                        text(&found.path).and_then(|path| sys::read_link(&path).ok())
                    }
                    _ => None,
                }
            } else {
                match self.passed(&found.path) {
                    Ok(None) => {
                        passes(&found.path, true);
                        None
                    }
                    Ok(link) => link,
                    Err(()) => {
                        passes(&found.path, false);
                        append(&mut found.path, &rest);
                        return found;
                    }
                }
            };
            if let Some(target) = link {
                found.kind = None;
                found.links.push(found.path.clone());
                if found.links.len() > MOST_LINKS {
                    return found;
                }
                let cut = found.path.iter().rposition(|byte| *byte == b'/');
                found.path.truncate(if target.starts_with(b"/") {
                    0
                } else {
                    cut.unwrap_or(0)
                });
                rest.extend(parts(&target));
            }
        }
        if found.path.is_empty() {
            found.path.push(b'/');
        }
        if found.kind.is_none() {
            found.kind = text(&found.path).and_then(|path| sys::look(&path).ok());
        }
        found
    }

    /// A directory on the way: where it leads if it is a link.
    fn passed(&mut self, path: &[u8]) -> Result<Option<Vec<u8>>, ()> {
        if let Some(known) = self.known.get(path) {
            return Ok(known.clone());
        }
        let node = match sys::read_link(&text(path).ok_or(())?) {
            Ok(target) => Some(target),
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => None,
            Err(_) => return Err(()),
        };
        self.known.insert(path.to_vec(), node.clone());
        Ok(node)
    }
}

/// A path's directory and its last part, where that is a name.
fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    let cut = path.iter().rposition(|byte| *byte == b'/')?;
    let (above, name) = (&path[..cut], &path[cut + 1..]);
    let is_name = !matches!(name, b"" | b"." | b"..");
    (is_name && !above.is_empty()).then_some((above, name))
}

/// The parts, last first.
fn parts(path: &[u8]) -> Vec<Vec<u8>> {
    path.split(|byte| *byte == b'/')
        .filter(|part| !part.is_empty() && *part != b".")
        .rev()
        .map(<[u8]>::to_vec)
        .collect()
}

fn append(path: &mut Vec<u8>, rest: &[Vec<u8>]) {
    for part in rest.iter().rev() {
        if part == b".." {
            let cut = path.iter().rposition(|byte| *byte == b'/');
            path.truncate(cut.unwrap_or(0));
        } else {
            path.push(b'/');
            path.extend_from_slice(part);
        }
    }
}

pub(super) fn text(path: &[u8]) -> Option<CString> {
    CString::new(path).ok()
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::symlink;
    use std::path::{Path, PathBuf};

    use super::*;

    /// A directory and its real path.
    fn directory() -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().expect("a directory");
        let base = dir.path().canonicalize().expect("a path");
        (dir, base)
    }

    fn check(asked: &str, follow: bool, real: &str, there: bool, links: &[&str]) {
        let (_dir, base) = directory();
        rekindle_fsx::create_dir_all(&base.join("real/deep")).expect("directories");
        rekindle_fsx::atomic::write(&base.join("real/deep/file"), b"x").expect("a file");
        for (target, name) in [
            ("real", "link"),
            ("deep/file", "real/alias"),
            ("loop", "loop"),
            ("gone", "dangling"),
        ] {
            symlink(target, base.join(name)).expect("a link");
        }
        let full = |name: &str| base.join(name).as_os_str().as_bytes().to_vec();
        let mut walk = Walk::default();
        for _ in 0..2 {
            let found = walk.walk(&full(asked), follow);
            assert_eq!(
                Path::new(std::ffi::OsStr::from_bytes(&found.path)),
                base.join(real)
            );
            assert_eq!(found.kind.is_some(), there, "{asked}");
            let expected: Vec<_> = links.iter().map(|link| full(link)).collect();
            assert_eq!(found.links, expected);
            assert!(!found.special);
        }
    }

    #[test]
    fn links_on_the_way_are_told() {
        check("link/deep/file", true, "real/deep/file", true, &["link"]);
        check(
            "link/alias",
            true,
            "real/deep/file",
            true,
            &["link", "real/alias"],
        );
        check("link/alias", false, "real/alias", true, &["link"]);
        check(
            "link/deep/../deep/./file",
            true,
            "real/deep/file",
            true,
            &["link"],
        );
        check("link/", false, "real", true, &["link"]);
    }

    #[test]
    fn what_is_missing_keeps_the_name_that_was_asked_for() {
        check("link/no/such", true, "real/no/such", false, &["link"]);
        check("dangling", true, "gone", false, &["dangling"]);
        check(
            "real/deep/file/below",
            true,
            "real/deep/file/below",
            false,
            &[],
        );
    }

    #[test]
    fn a_directory_that_becomes_a_link_is_seen_once_it_is_forgotten() {
        let (_dir, base) = directory();
        rekindle_fsx::create_dir_all(&base.join("a")).expect("a directory");
        rekindle_fsx::create_dir_all(&base.join("b")).expect("a directory");
        for name in ["a/file", "b/file"] {
            rekindle_fsx::atomic::write(&base.join(name), b"x").expect("a file");
        }
        let asked = base.join("a/file").as_os_str().as_bytes().to_vec();
        let mut walk = Walk::default();
        for _ in 0..2 {
            assert_eq!(walk.walk(&asked, true).path, asked);
        }
        let away = base.join("away");
        rekindle_fsx::rename(&base.join("a"), &away).expect("renamed");
        symlink("b", base.join("a")).expect("a link");
        walk.forget();
        let real = base.join("b/file").as_os_str().as_bytes().to_vec();
        assert_eq!(walk.walk(&asked, true).path, real);
        // A link below a real directory is followed, and `name/` is.
        symlink("file", base.join("b/link")).expect("a link");
        let link = base.join("b/link").as_os_str().as_bytes().to_vec();
        walk.walk(&real, true);
        assert_eq!(walk.walk(&link, false).path, link);
        assert_eq!(walk.walk(&link, true).path, real);
    }

    #[test]
    fn what_was_missing_is_remembered_until_a_link_may_be_there() {
        let (_dir, base) = directory();
        let full = |name: &str| base.join(name).as_os_str().as_bytes().to_vec();
        symlink("nowhere", base.join("link")).expect("a link");
        let mut walk = Walk::default();
        for (asked, known) in [("no/such", true), ("none", true), ("link", false)] {
            let asked = full(asked);
            assert_eq!(walk.still_missing(&asked), None);
            walk.walk(&asked, true);
            assert_eq!(walk.still_missing(&asked), known.then_some(&*asked));
        }
        walk.forget();
        assert_eq!(walk.still_missing(&full("none")), None);
    }

    #[test]
    fn what_is_below_a_missing_directory_needs_no_look_by_its_real_path() {
        let (_dir, base) = directory();
        let full = |name: &str| base.join(name).as_os_str().as_bytes().to_vec();
        rekindle_fsx::create_dir_all(&base.join("real")).expect("a directory");
        symlink("real", base.join("link")).expect("a link");
        let mut walk = Walk::default();
        for (asked, other, known) in [
            ("no/such", "no/other", true),
            ("deep/no/such", "deep/no/other", true),
            ("real/none", "real/other", false),
            ("link/no/such", "link/no/other", false),
            ("real/./no/such", "real/./no/other", false),
        ] {
            walk.walk(&full(asked), true);
            let other = full(other);
            assert_eq!(
                walk.still_missing(&other),
                known.then_some(&*other),
                "{asked}"
            );
        }
        assert_eq!(walk.still_missing(&full("no/other/..")), None);
        walk.forget();
        assert_eq!(walk.still_missing(&full("no/other")), None);
    }

    #[test]
    fn a_glance_holds_until_it_is_forgotten_and_none_of_links_is_kept() {
        let (_dir, base) = directory();
        let full = |name: &str| base.join(name).as_os_str().as_bytes().to_vec();
        let file = base.join("file");
        rekindle_fsx::atomic::write(&file, b"x").expect("a file");
        symlink("file", base.join("link")).expect("a link");
        let is_file = |found: Found| found.kind.is_some_and(|kind| kind.is(libc::S_IFREG));
        let mut walk = Walk::default();
        assert!(is_file(walk.glance(&full("file"), true)));
        assert_eq!(walk.glance(&full("link"), true).links, [full("link")]);
        assert!(walk.glance(&full("link"), false).links.is_empty());
        assert!(walk.glance(&full("none"), true).kind.is_none());
        rekindle_fsx::remove_file(&file).expect("removed");
        rekindle_fsx::create_dir_all(&file).expect("a directory");
        rekindle_fsx::create_dir_all(&base.join("none")).expect("a directory");
        assert!(is_file(walk.glance(&full("file"), true)));
        assert!(!is_file(walk.walk(&full("file"), true)));
        assert!(walk.glance(&full("none"), true).kind.is_some());
        walk.forget_glances();
        assert!(!is_file(walk.glance(&full("file"), true)));
    }

    #[test]
    fn proc_is_not_followed() {
        let found = Walk::default().walk(b"/dev/../proc/self/../cpuinfo", true);
        assert_eq!(
            (found.path.as_slice(), found.special),
            (b"/proc/cpuinfo".as_slice(), true)
        );
    }
}
