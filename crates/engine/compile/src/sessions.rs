//! Which incremental state a compile wrote. rustc names a crate's directory by a hash of its own, so the
//! sessions before a compile are compared with those after it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rekindle_key::Invocation;
use rekindle_outputs::incremental;

/// The newest session of each directory that may be an invocation's.
pub(crate) struct Sessions {
    dir: PathBuf,
    prefix: String,
    before: BTreeMap<String, Option<String>>,
}

impl Sessions {
    /// Looks before the compile; `None` where it keeps no state.
    pub(crate) fn look(invocation: &Invocation, cwd: &Path) -> Option<Self> {
        let dir = cwd.join(invocation.incremental.as_deref()?);
        let prefix = format!("{}-", invocation.crate_name);
        let before = newest(&dir, &prefix);
        Some(Self {
            dir,
            prefix,
            before,
        })
    }

    /// The directory whose newest session is another one now. `None` where there are several: another
    /// unit of the same name was compiled at the same time.
    pub(crate) fn written(&self) -> Option<String> {
        let mut written = newest(&self.dir, &self.prefix)
            .into_iter()
            .filter(|(name, session)| session.is_some() && self.before.get(name) != Some(session))
            .map(|(name, _)| name);
        let first = written.next();
        first.filter(|_| written.next().is_none())
    }
}

fn newest(dir: &Path, prefix: &str) -> BTreeMap<String, Option<String>> {
    let names = rekindle_fsx::list_names(dir).unwrap_or_default();
    names
        .into_iter()
        .filter_map(|name| name.into_string().ok())
        .filter(|name| name.starts_with(prefix) && !name.contains('.'))
        .map(|name| {
            let session = incremental::newest_session(&dir.join(&name)).ok().flatten();
            (name, session)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(dir: &Path, name: &str) {
        rekindle_fsx::create_dir_all(&dir.join(name)).unwrap();
    }

    #[test]
    fn the_one_that_changed_was_written() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        session(dir, "app-1/s-a-b-c");
        session(dir, "app-2/s-a-b-c");
        let look = || Sessions {
            dir: dir.to_owned(),
            prefix: "app-".to_owned(),
            before: newest(dir, "app-"),
        };
        let before = look();
        assert_eq!(before.written(), None);
        session(dir, "app-2/s-d-b-c");
        session(dir, "app-1/s-d-b-working");
        session(dir, "other-1/s-d-b-c");
        assert_eq!(before.written().as_deref(), Some("app-2"));
        session(dir, "app-3/s-e-b-c");
        assert_eq!(before.written(), None, "nobody knows which");
    }
}
