//! Directories that ext4 and its predecessors keep apart from their neighbours.
//!
//! A file goes where its directory is, and a directory where its parent is, unless that has the flag of a top of
//! hierarchies: then its name decides. So a directory is made under a name that nobody used yet, and renamed.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{CWD, IFlags, RenameFlags, ioctl_getflags, ioctl_setflags, renameat_with};

use crate::{atomic, failpoint};

/// Makes `path` in `parent`, which has to be there.
pub(crate) fn create(parent: &Path, path: &Path) -> io::Result<()> {
    let _top = Top::of(parent)?;
    let aside = atomic::unique_in(parent);
    crate::create_dir_all(&aside)?;
    failpoint::hit();
    // Not over an empty one, which somebody may just have made to write into.
    let renamed = renameat_with(CWD, &aside, CWD, path, RenameFlags::NOREPLACE);
    if renamed.is_err() {
        let _ = crate::remove_dir_all(&aside);
    }
    Ok(renamed?)
}

/// A directory that is a top of hierarchies for a while.
struct Top {
    dir: File,
    before: IFlags,
}

impl Top {
    fn of(dir: &Path) -> io::Result<Self> {
        let dir = File::open(dir)?;
        let before = ioctl_getflags(&dir)?;
        ioctl_setflags(&dir, before | IFlags::TOPDIR)?;
        Ok(Self { dir, before })
    }
}

impl Drop for Top {
    fn drop(&mut self) {
        let _ = ioctl_setflags(&self.dir, self.before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_as_it_was_and_holds_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let flags = |dir: &Path| ioctl_getflags(File::open(dir).unwrap()).ok();
        let parent = dir.path().join("a");
        let made = parent.join("b");
        crate::create_dir_apart(&made).unwrap();
        assert!(crate::exists(&made));
        assert_eq!(crate::list_names(&parent).unwrap(), ["b"]);
        // What is there stays.
        atomic::write(&made.join("file"), b"").unwrap();
        crate::create_dir_apart(&made).unwrap();
        let _ = create(&parent, &made);
        assert_eq!(crate::list_names(&parent).unwrap(), ["b"]);
        assert!(crate::exists(&made.join("file")));
        // Nothing is put in its place, even if it is empty.
        let empty = parent.join("empty");
        crate::create_dir_all(&empty).unwrap();
        let inode = crate::stat(&empty).unwrap().ino;
        let _ = create(&parent, &empty);
        assert_eq!(crate::stat(&empty).unwrap().ino, inode);
        assert_eq!(flags(&parent), flags(dir.path()));
    }
}
