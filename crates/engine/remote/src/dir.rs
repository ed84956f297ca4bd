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

#[async_trait]
impl Blobs for Dir {
    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError> {
        read(&self.path(name), range)
            .map(Bytes::from)
            .map_err(failed)
    }

    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError> {
        for (at, name) in names.iter().enumerate() {
            match fsx::read_if_exists(&self.path(name)) {
                Ok(None) => {}
                Ok(Some(bytes)) => return Ok(Some((at, Bytes::from(bytes)))),
                Err(error) => return Err(failed(error)),
            }
        }
        Ok(None)
    }

    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError> {
        let path = self.path(name);
        if kind == Kind::Once && fsx::stat(&path).is_ok_and(|sig| sig.size == bytes.len() as u64) {
            return Ok(Written::Present);
        }
        let write = || {
            fsx::create_dir_all(path.parent().unwrap_or(&self.root))?;
            fsx::atomic::write(&path, &bytes)
        };
        write().map(|()| Written::New).map_err(failed)
    }

    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError> {
        let mut pending = vec![self.root.clone()];
        let mut listed = Vec::new();
        while let Some(dir) = pending.pop() {
            let entries = fsx::found(fsx::list_dir(&dir)).map_err(failed)?;
            for entry in entries.unwrap_or_default() {
                if entry.sig.kind() == fsx::FileKind::Dir {
                    pending.push(entry.path);
                    continue;
                }
                let below = entry
                    .path
                    .strip_prefix(&self.root)
                    .ok()
                    .and_then(Path::to_str);
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

    async fn remove(&self, name: &Name) -> Result<(), BlobError> {
        fsx::remove_file(&self.path(name)).map_err(failed)
    }
}
