//! What a compile made: the action entry.
//!
//! On disk (the payload of a record in the space `Entries`, under the digest of the whole manifest):
//! postcard of [`Entry`]. The record's frame carries version, checksum and the outputs' digests.

use rekindle_base::Digest;
use serde::{Deserialize, Serialize};

use crate::depinfo::DepInfo;
use crate::manifest::Manifest;

/// One output file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its name in the output directory.
    pub name: String,
    /// Its bytes.
    pub digest: Digest,
    /// Their number.
    pub size: u64,
    /// Whether it is executable.
    pub executable: bool,
}

/// What the compiler printed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Line {
    /// The notification that an output is ready; the index is into [`Entry::outputs`]. Text with roots
    /// as tokens, line end included.
    Artifact(u32, Vec<u8>),
    /// Anything else, in the same form.
    Other(Vec<u8>),
}

/// What a compile made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Outputs, dep-info apart.
    pub outputs: Vec<Output>,
    /// Dep-info, with canonical paths; values of variables are those of the present.
    pub dep_info: DepInfo,
    /// Standard error, in order.
    pub stderr: Vec<Line>,
    /// The compiler's time, in microseconds.
    pub compile_us: u64,
    /// Of that, what came after metadata was ready.
    pub codegen_us: u64,
    /// Of that, linking.
    pub link_us: u64,
    /// The linker, as the output says.
    pub linker: Option<String>,
    /// Whether the outputs hold a real path.
    pub path_bound: bool,
    /// The inputs, for `explain`.
    pub manifest: Manifest,
}

impl Entry {
    /// The payload of a record.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// Reads a payload. `None` where it is not one, or names what no compile makes: a name that is
    /// not a plain file name, a notification of an output that is not there.
    #[must_use]
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        let entry: Self = postcard::from_bytes(bytes).ok()?;
        let names_ok = entry.outputs.iter().all(|output| is_plain(&output.name));
        let lines_ok = entry.stderr.iter().all(|line| match line {
            Line::Artifact(index, _) => (*index as usize) < entry.outputs.len(),
            Line::Other(_) => true,
        });
        (names_ok && lines_ok).then_some(entry)
    }
}

/// Whether it is one file's name. What is stored may come from elsewhere: a name must not lead out of the
/// directory that it is meant for.
#[must_use]
pub fn is_plain(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn entry(name: &str, index: u32) -> Entry {
        Entry {
            outputs: vec![Output {
                name: name.into(),
                digest: Digest::of(b"x"),
                size: 1,
                executable: false,
            }],
            dep_info: DepInfo::default(),
            stderr: vec![Line::Artifact(index, b"{}\n".to_vec())],
            compile_us: 1,
            codegen_us: 0,
            link_us: 0,
            linker: None,
            path_bound: false,
            manifest: Manifest::new(),
        }
    }

    #[test]
    fn an_entry_cannot_name_a_file_elsewhere() {
        assert!(Entry::decode(&entry("libx.rlib", 0).encode()).is_some());
        for name in ["", ".", "..", "../x", "/etc/passwd", "a/b", "a\0b"] {
            assert_eq!(Entry::decode(&entry(name, 0).encode()), None, "{name:?}");
        }
        assert_eq!(Entry::decode(&entry("x", 1).encode()), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
            let _ = Entry::decode(&bytes);
        }
    }
}
