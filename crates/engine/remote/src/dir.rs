//! Blobs in a plain directory: `file:///…`, a disk that machines share.
//!
//! A blob is a file under its name, and appears by rename. A temporary file that a killed writer left behind is no blob: its
//! name begins with a dot.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use rekindle_fsx as fsx;

use crate::blobs::{BlobError, Blobs, Kind, Listed, Name, Written};

/// A directory.
#[derive(Clone, Debug)]
pub struct Dir {
    root: PathBuf,
}

impl Dir {
    /// The blobs in `root`, which the first write makes.
    #[must_use]
    pub fn new(root: PathBuf) -> Self {
        Self { root }
    }

    fn path(&self, name: &Name) -> PathBuf {
        self.root.join(name.as_str())
    }
}

#[allow(clippy::needless_pass_by_value, reason = "an error ends here")]
fn failed(error: io::Error) -> BlobError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => BlobError::Missing,
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            BlobError::Denied(error.to_string())
        }
        io::ErrorKind::UnexpectedEof => BlobError::Missing,
        _ => BlobError::Unavailable(error.to_string()),
    }
}

fn read(path: &Path, range: Option<Range<u64>>) -> io::Result<Vec<u8>> {
    let Some(range) = range else {
        return fsx::read(path);
    };
    let mut file = fsx::open(path)?;
    file.seek(SeekFrom::Start(range.start))?;
    let length =
        usize::try_from(range.end.saturating_sub(range.start)).map_err(io::Error::other)?;
    let mut bytes = vec![0; length];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

/// Does it on a thread of its own: a disk that is somewhere else may not answer, and nobody waits for it then.
async fn aside<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, BlobError> + Send + 'static,
) -> Result<T, BlobError> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(BlobError::Unavailable(error.to_string())))
}

#[async_trait]
impl Blobs for Dir {
    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        let path = self.path(name);
        aside(move || read(&path, range).map(Bytes::from).map_err(failed)).await
    }

    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        let paths: Vec<PathBuf> = names.iter().map(|name| self.path(name)).collect();
        aside(move || {
            for (at, path) in paths.iter().enumerate() {
                if let Some(bytes) = fsx::read_if_exists(path).map_err(failed)? {
                    return Ok(Some((at, Bytes::from(bytes))));
                }
            }
            Ok(None)
        })
        .await
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        let path = self.path(name);
        aside(move || {
            let is_there = fsx::stat(&path).is_ok_and(|sig| sig.size == bytes.len() as u64);
            if kind == Kind::Once && is_there {
                return Ok(Written::Present);
            }
            let dir = path.parent().unwrap_or(Path::new("/"));
            let written = fsx::create_dir_all(dir).and_then(|()| fsx::atomic::write(&path, &bytes));
            written.map(|()| Written::New).map_err(failed)
        })
        .await
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        let (root, prefix) = (self.root.clone(), prefix.to_owned());
        aside(move || list(&root, &prefix).map_err(failed)).await
    }

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        let path = self.path(name);
        aside(move || fsx::remove_file(&path).map_err(failed)).await
    }
}

fn list(root: &Path, prefix: &str) -> io::Result<Vec<Listed>> {
    let mut pending = vec![root.to_owned()];
    let mut listed = Vec::new();
    while let Some(dir) = pending.pop() {
        for entry in fsx::found(fsx::list_dir(&dir))?.unwrap_or_default() {
            if entry.sig.kind() == fsx::FileKind::Dir {
                pending.push(entry.path);
                continue;
            }
            let below = entry.path.strip_prefix(root).ok().and_then(Path::to_str);
            let is_ours = !entry.name.as_encoded_bytes().starts_with(b".");
            let name = below
                .and_then(|text| Name::new(text).ok())
                .filter(|_| is_ours);
            if let Some(name) = name.filter(|name| name.as_str().starts_with(prefix)) {
                listed.push(Listed {
                    name,
                    size: entry.sig.size,
                    written_ms: u64::try_from(entry.sig.mtime_ns / 1_000_000).ok(),
                });
            }
        }
    }
    Ok(listed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run<T>(work: impl std::future::Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .unwrap();
        runtime.block_on(work)
    }

    #[test]
    fn blobs_are_written_found_read_listed_and_removed() {
        let temporary = tempfile::tempdir().unwrap();
        let dir = Dir::new(temporary.path().join("deep/er"));
        let name = |text: &str| Name::new(text).unwrap();
        let (a, b) = (name("packs/a"), name("tips/b"));
        assert!(run(dir.list("")).unwrap().is_empty());
        assert!(matches!(run(dir.read(&a, None)), Err(BlobError::Missing)));
        let write = |name: &Name, bytes: &'static [u8], kind| {
            run(dir.write(name, Bytes::from_static(bytes), kind)).unwrap()
        };
        assert_eq!(write(&a, b"01234", Kind::Once), Written::New);
        assert_eq!(write(&a, b"01234", Kind::Once), Written::Present);
        // One that a full disk cut short is written again.
        rekindle_fsx::atomic::write(&dir.path(&a), b"01").unwrap();
        assert_eq!(write(&a, b"01234", Kind::Once), Written::New);
        write(&b, b"one", Kind::Latest);
        write(&b, b"two", Kind::Latest);
        assert_eq!(&run(dir.read(&a, Some(1..3))).unwrap()[..], b"12");
        assert!(matches!(
            run(dir.read(&a, Some(3..9))),
            Err(BlobError::Missing)
        ));
        let found = run(dir.find(&[name("tips/none"), b.clone()])).unwrap();
        assert_eq!(found, Some((1, Bytes::from_static(b"two"))));
        rekindle_fsx::append(&temporary.path().join("deep/er/tips/.rekindle-1"), b"x").unwrap();
        let listed = run(dir.list("tips/")).unwrap();
        assert_eq!(listed.len(), 1);
        assert_eq!((&listed[0].name, listed[0].size), (&b, 3));
        run(dir.remove(&b)).unwrap();
        run(dir.remove(&b)).unwrap();
        assert_eq!(run(dir.find(&[b])).unwrap(), None);
    }
}
