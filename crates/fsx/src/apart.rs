//! Directories that ext4 and its predecessors keep apart from their neighbours.
//!
//! A file goes where its directory is, and a directory where its parent is, unless that has the flag of a top of
//! hierarchies: then its name decides. So a directory is made under a name that nobody used yet, and renamed.

use std::fs::File;
use std::io;
use std::path::Path;

use rustix::fs::{IFlags, ioctl_getflags, ioctl_setflags};

use crate::atomic;

/// Makes `path` in `parent`, which has to be there.
pub(crate) fn create(parent: &Path, path: &Path) -> io::Result<()> {
    let _top = Top::of(parent)?;
    let aside = atomic::unique_in(parent);
    crate::create_dir_all(&aside)?;
    crate::rename(&aside, path).inspect_err(|_| {
        let _ = crate::remove_dir_all(&aside);
    })
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
        let flags = || ioctl_getflags(File::open(dir.path()).unwrap()).ok();
        let before = flags();
        let made = dir.path().join("a/b");
        crate::create_dir_apart(&made).unwrap();
        assert!(crate::exists(&made));
        assert_eq!(crate::list_names(&dir.path().join("a")).unwrap(), ["b"]);
        // What is there stays.
        atomic::write(&made.join("file"), b"").unwrap();
        crate::create_dir_apart(&made).unwrap();
        let _ = create(&dir.path().join("a"), &made);
        assert_eq!(crate::list_names(&dir.path().join("a")).unwrap(), ["b"]);
        assert!(crate::exists(&made.join("file")));
        assert_eq!(flags(), before);
    }
}
