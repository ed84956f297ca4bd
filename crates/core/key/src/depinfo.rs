//! rustc's dep-info: which files and variables it read.
//!
//! The format, as rustc 1.95 writes it: a line `output: input input …` for each output, an empty line
//! after each; a line `input:` for each input; then, after an empty line, `# env-dep:NAME=value` or
//! `# env-dep:NAME` (unset). A space in an input is written `\ `, in an output it stands as it is; in a
//! value, `\`, line feed and carriage return are written `\\`, `\n`, `\r`.

use serde::{Deserialize, Serialize};

/// A dep-info file, taken apart.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DepInfo {
    /// Outputs, in order. Paths are bytes without escapes.
    pub outputs: Vec<Vec<u8>>,
    /// Inputs, in order.
    pub inputs: Vec<Vec<u8>>,
    /// Variables, in order, with the values that they had.
    pub env: Vec<(Vec<u8>, Option<Vec<u8>>)>,
}

impl DepInfo {
    /// Takes a file apart. `None` where it is not in the one format that [`DepInfo::write`] writes
    /// back bit for bit: anything else may hold inputs that this code does not know of.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let mut info = Self::default();
        let mut inputs: Option<Vec<Vec<u8>>> = None;
        for line in bytes.split(|byte| *byte == b'\n') {
            if let Some(variable) = line.strip_prefix(b"# env-dep:") {
                info.env.push(match split_once(variable, b'=') {
                    Some((name, value)) => (unescape(name)?, Some(unescape(value)?)),
                    None => (unescape(variable)?, None),
                });
            } else if let Some((output, rest)) = split_rule(line) {
                let mut words = words(rest);
                if words.is_empty() && inputs.is_some() {
                    continue; // the `input:` lines repeat the inputs
                }
                let line_inputs = std::mem::take(&mut words);
                if inputs.get_or_insert_with(|| line_inputs.clone()) != &line_inputs {
                    return None;
                }
                info.outputs.push(output);
            } else if !line.is_empty() {
                return None;
            }
        }
        info.inputs = inputs?;
        (info.write() == bytes).then_some(info)
    }

    /// The file.
    #[must_use]
    pub fn write(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for output in &self.outputs {
            bytes.extend_from_slice(output);
            bytes.extend_from_slice(b": ");
            for (index, input) in self.inputs.iter().enumerate() {
                if index > 0 {
                    bytes.push(b' ');
                }
                push_path(&mut bytes, input);
            }
            bytes.extend_from_slice(b"\n\n");
        }
        for input in &self.inputs {
            push_path(&mut bytes, input);
            bytes.extend_from_slice(b":\n");
        }
        if !self.env.is_empty() {
            bytes.push(b'\n');
        }
        for (name, value) in &self.env {
            bytes.extend_from_slice(b"# env-dep:");
            push_escaped(&mut bytes, name);
            if let Some(value) = value {
                bytes.push(b'=');
                push_escaped(&mut bytes, value);
            }
            bytes.push(b'\n');
        }
        bytes
    }
}

fn split_once(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let index = memchr::memchr(at, bytes)?;
    Some((&bytes[..index], &bytes[index + 1..]))
}

/// `output: inputs`, or `input:` with nothing behind it.
fn split_rule(line: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    if let Some(at) = memchr::memmem::find(line, b": ") {
        return Some((line[..at].to_vec(), &line[at + 2..]));
    }
    let path = line.strip_suffix(b":")?;
    Some((unescape_path(path), &[]))
}

fn words(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut words = Vec::new();
    let mut word = Vec::new();
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        match (byte, tail.first()) {
            (b'\\', Some(b' ')) => {
                word.push(b' ');
                rest = &tail[1..];
                continue;
            }
            (b' ', _) => words.push(std::mem::take(&mut word)),
            _ => word.push(byte),
        }
        rest = tail;
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

fn unescape_path(bytes: &[u8]) -> Vec<u8> {
    let mut path = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((&byte, tail)) = rest.split_first() {
        if byte == b'\\' && tail.first() == Some(&b' ') {
            path.push(b' ');
            rest = &tail[1..];
        } else {
            path.push(byte);
            rest = tail;
        }
    }
    path
}

fn push_path(bytes: &mut Vec<u8>, path: &[u8]) {
    for &byte in path {
        if byte == b' ' {
            bytes.push(b'\\');
        }
        bytes.push(byte);
    }
}

fn unescape(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut value = Vec::with_capacity(bytes.len());
    let mut rest = bytes.iter();
    while let Some(&byte) = rest.next() {
        value.push(match byte {
            b'\\' => match rest.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'\\' => b'\\',
                _ => return None,
            },
            other => other,
        });
    }
    Some(value)
}

fn push_escaped(bytes: &mut Vec<u8>, value: &[u8]) {
    for &byte in value {
        match byte {
            b'\n' => bytes.extend_from_slice(b"\\n"),
            b'\r' => bytes.extend_from_slice(b"\\r"),
            b'\\' => bytes.extend_from_slice(b"\\\\"),
            other => bytes.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_file_as_rustc_writes_it() {
        let text = b"/t/a b/libx.rmeta: src/lib.rs src/a\\ b.rs\n\n/t/x.d: src/lib.rs src/a\\ b.rs\n\nsrc/lib.rs:\nsrc/a\\ b.rs:\n\n# env-dep:A=x\\ny\\\\z\n# env-dep:B\n";
        let info = DepInfo::parse(text).unwrap();
        assert_eq!(
            info.outputs,
            [b"/t/a b/libx.rmeta".to_vec(), b"/t/x.d".to_vec()]
        );
        assert_eq!(
            info.inputs,
            [b"src/lib.rs".to_vec(), b"src/a b.rs".to_vec()]
        );
        assert_eq!(
            info.env,
            [
                (b"A".to_vec(), Some(b"x\ny\\z".to_vec())),
                (b"B".to_vec(), None)
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "a: b\n\nb:\nstray\n",
            "a: b\n\nc: d\n\nb:\n",
            "a: b\n\nb:\n# checksum:x\n",
            "a: b\n\n",
        ] {
            assert_eq!(DepInfo::parse(text.as_bytes()), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_refused_or_written_back(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(info) = DepInfo::parse(&bytes) {
                prop_assert_eq!(info.write(), bytes);
            }
        }
    }
}
