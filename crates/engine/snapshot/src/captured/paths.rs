//! Which paths of this site what a unit made holds: where it does, it may be of no use in another directory, or with another
//! home of cargo's.

use std::borrow::Cow;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_key::depinfo::DepInfo;
use rekindle_key::roots::{in_plain, is_text};

use super::Capture;

impl Capture<'_> {
    /// Of a unit that the unit cache did not see: what is made of a path need not hold it.
    pub(super) fn look_at_variables(&mut self, info: &DepInfo) {
        for value in info.env.iter().filter_map(|(_, value)| value.as_deref()) {
            self.path_bound |= self.holds_path(value);
            self.home_bound |= self.holds_home(value);
        }
    }

    /// The text with tokens in the place of paths, where it holds paths and what makes it may be told others.
    pub(super) fn mapped(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let holds = |bytes: &[u8]| self.holds_path(bytes) || self.holds_home(bytes);
        if !self.is_portable() || !holds(bytes) || !is_text(bytes) {
            return None;
        }
        let text = self.all.roots.canonical_plain(bytes);
        // Where a path has such bytes it would not be found.
        (!holds(&text) && matches!(in_plain(bytes), Cow::Borrowed(_))).then_some(text)
    }

    pub(super) fn is_portable(&self) -> bool {
        self.all.saw.portable.contains(&self.place.id)
    }

    pub(super) fn holds_path(&self, bytes: &[u8]) -> bool {
        let sysroot = self.all.here.sysroot.as_deref();
        let sysroot = sysroot.map(|path| path.as_os_str().as_bytes());
        let mut paths = self.roots().into_iter().chain(sysroot);
        paths.any(|path| memchr::memmem::find(bytes, path).is_some())
    }

    /// As [`Self::holds_path`], with this directory's own path left out.
    pub(super) fn holds_path_but(&self, bytes: &[u8], own: &Path) -> bool {
        let own = own.as_os_str().as_bytes();
        let mut rest = bytes;
        while let Some(at) = memchr::memmem::find(rest, own) {
            if self.holds_path(&rest[..at]) {
                return true;
            }
            rest = &rest[at + own.len()..];
        }
        self.holds_path(rest)
    }

    pub(super) fn holds_home(&self, bytes: &[u8]) -> bool {
        memchr::memmem::find(bytes, self.home()).is_some()
    }

    pub(super) fn look_for_paths(&mut self, path: &Path) -> io::Result<()> {
        let [workspace, build_dir] = self.roots();
        let wanted = [workspace, build_dir, self.home()];
        let found = rekindle_fsx::scan::find_any(path, &wanted)?;
        let is_found = |at: usize| found.get(at).copied().unwrap_or(true);
        let (path, home) = (is_found(0) || is_found(1), is_found(2));
        self.path_bound |= path;
        self.home_bound |= home;
        Ok(())
    }

    pub(super) fn home(&self) -> &[u8] {
        self.all.here.cargo_home.as_os_str().as_bytes()
    }

    pub(super) fn roots(&self) -> [&[u8]; 2] {
        [
            self.all.here.workspace.as_os_str().as_bytes(),
            self.all.here.build_dir.as_os_str().as_bytes(),
        ]
    }
}
