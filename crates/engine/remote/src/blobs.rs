//! What a remote is asked for: blobs by name.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

/// The longest name, in bytes: GitHub's cache service takes keys of 512, and adds to ours.
pub const MAX_NAME_BYTES: usize = 256;

/// A blob's name: lower-case letters, digits, `-`, `_` and `.` in parts joined by slashes. What every kind of
/// remote takes without escaping; `..` and empty parts are no names.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// That a text is no [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no name of a blob: lower-case letters, digits, `-`, `_` and `.`, in parts joined by `/`"
)]
pub struct NotAName(pub String);

impl Name {
    /// Checks a text.
    ///
    /// # Errors
    /// [`NotAName`].
    pub fn new(text: impl Into<String>) -> Result<Self, NotAName> {
        let text = text.into();
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_.".contains(&byte);
        let is_part = |part: &str| {
            !part.is_empty() && part != "." && part != ".." && part.bytes().all(is_plain)
        };
        if text.len() <= MAX_NAME_BYTES && text.split('/').all(is_part) {
            Ok(Self(text))
        } else {
            Err(NotAName(text))
        }
    }

    /// The name of a blob of this kind that is named by a digest, as in `packs/ab12…`. What no name may have is
    /// left out of `kind`.
    #[must_use]
    pub fn of_digest(kind: &str, digest: &rekindle_base::Digest) -> Self {
        let plain = kind.chars().filter(char::is_ascii_lowercase);
        Self(format!("{}/{}", plain.collect::<String>(), digest.to_hex()))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// How often a name is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Once: the name says what the bytes are, so who finds it taken has nothing to write.
    Once,
    /// Again and again: the newest counts. A remote whose blobs never change keeps each under a name of its own,
    /// and finds the newest.
    Latest,
}

/// What became of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// The bytes are there now.
    New,
    /// The name was taken, by the same bytes as far as its name says.
    Present,
}

/// A blob, as a list of them says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    /// Its name.
    pub name: Name,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written, in milliseconds since 1970, where the remote says.
    pub written_ms: Option<u64>,
}

/// Why a remote did not do it. No message holds a credential, a signed address or a token.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// There is no such blob, or not so much of it.
    #[error("there is no such blob")]
    Missing,
    /// The remote does not know us, or not for this.
    #[error("access was refused: {0}")]
    Denied(String),
    /// Too much was asked of it.
    #[error("it asks to be left alone{}", after.map_or_else(String::new, |after| format!(" for {} s", after.as_secs())))]
    Throttled {
        /// For how long, where it says.
        after: Option<Duration>,
    },
    /// What was asked makes no sense to it, or is too large; asking again gives the same.
    #[error("it was refused: {0}")]
    Refused(String),
    /// It could not be reached, or failed; asking again may help.
    #[error("it is not to be had: {0}")]
    Unavailable(String),
    /// It answered what nobody understands.
    #[error("its answer makes no sense: {0}")]
    Nonsense(String),
    /// This kind of remote cannot do that.
    #[error("this kind of remote cannot {0}")]
    Unsupported(&'static str),
}

impl BlobError {
    /// Whether asking again may help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Throttled { .. } | Self::Unavailable(_) | Self::Nonsense(_)
        )
    }
}

/// Blobs by name, somewhere else. Implementations do what they are asked, once: deadlines, retries and bounds on what runs
/// at once are the caller's, who may drop any of these futures at any time. What is read is hostile until it
/// is checked; an answer longer than what was asked for is [`BlobError::Nonsense`].
#[async_trait]
pub trait Blobs: Send + Sync {
    /// The bytes of a blob, or of a part of it: `range` lies within it.
    ///
    /// # Errors
    /// [`BlobError`]; `Missing` also where the blob ends before the range does.
    async fn read(&self, name: &Name, range: Option<Range<u64>>) -> Result<Bytes, BlobError>;

    /// How many copies of a blob there may be, in places of their own.
    fn copies(&self) -> usize {
        1
    }

    /// As [`Blobs::read`], from the copy with this number or a later one, counted from 0: for whoever has found that an earlier one
    /// is damaged.
    ///
    /// # Errors
    /// [`BlobError`]; `Missing` where there are not so many.
    async fn read_copy(
        &self,
        name: &Name,
        range: Option<Range<u64>>,
        copy: usize,
    ) -> Result<Bytes, BlobError> {
        if copy > 0 {
            return Err(BlobError::Missing);
        }
        self.read(name, range).await
    }

    /// Whether it forgets by itself what nobody asked for longest, to make room: then whatever is still of use has to be
    /// asked for now and then.
    fn forgets(&self) -> bool {
        false
    }

    /// Asks for a blob, which is not empty, so that it is not forgotten.
    ///
    /// # Errors
    /// [`BlobError`]; `Missing` where it is gone.
    async fn touch(&self, name: &Name) -> Result<(), BlobError> {
        self.read(name, Some(0..1)).await.map(|_| ())
    }

    /// The first of these names, written as [`Kind::Latest`], that is there: its place among them and its newest bytes. In as
    /// few requests as the remote allows.
    ///
    /// # Errors
    /// [`BlobError`], never `Missing`.
    async fn find(&self, names: &[Name]) -> Result<Option<(usize, Bytes)>, BlobError>;

    /// Writes a blob; it appears whole or not at all.
    ///
    /// # Errors
    /// [`BlobError`], never `Missing`.
    async fn write(&self, name: &Name, bytes: Bytes, kind: Kind) -> Result<Written, BlobError>;

    /// All blobs whose names begin so, in any order.
    ///
    /// # Errors
    /// [`BlobError`]; `Unsupported` where the remote cannot say.
    async fn list(&self, prefix: &str) -> Result<Vec<Listed>, BlobError>;

    /// Removes a blob; a missing one is fine.
    ///
    /// # Errors
    /// [`BlobError`]; `Unsupported` where the remote cannot, which forgets by itself.
    async fn remove(&self, name: &Name) -> Result<(), BlobError>;
}

#[cfg(test)]
mod tests {
    use super::Name;

    #[test]
    fn names() {
        for good in ["a", "packs/ab/cd-1_2.pack", "index/0"] {
            assert!(Name::new(good).is_ok(), "{good}");
        }
        let long = "a".repeat(257);
        for bad in [
            "",
            "/a",
            "a/",
            "a//b",
            "../a",
            "a/./b",
            "A",
            "a b",
            "a\n",
            "é",
            long.as_str(),
        ] {
            assert!(Name::new(bad).is_err(), "{bad}");
        }
    }
}
