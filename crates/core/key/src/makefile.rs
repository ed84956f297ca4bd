//! Dependency files that linkers write with `--dependency-file`.
//!
//! lld, mold, GNU ld and wild write one rule `output: input …` over continued lines, then, some of
//! them, an empty rule for each input. Spaces and `#` are escaped by a backslash, `$` is doubled.

/// The inputs of the first rule, in order. `None` where there is no rule.
#[must_use]
pub fn inputs(bytes: &[u8]) -> Option<Vec<Vec<u8>>> {
    let mut words: Vec<Vec<u8>> = Vec::new();
    let mut word: Option<Vec<u8>> = None;
    let mut rest = bytes;
    let mut in_inputs = false;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'\\' => match tail.first() {
                Some(b'\n') => {
                    rest = &tail[1..];
                    words.extend(word.take());
                }
                Some(&escaped @ (b' ' | b'#' | b'\\')) => {
                    word.get_or_insert_default().push(escaped);
                    rest = &tail[1..];
                }
                _ => word.get_or_insert_default().push(byte),
            },
            b'$' if tail.first() == Some(&b'$') => {
                word.get_or_insert_default().push(b'$');
                rest = &tail[1..];
            }
            b':' if !in_inputs && matches!(tail.first(), None | Some(b' ' | b'\n' | b'\\')) => {
                in_inputs = true;
                word = None;
                words.clear();
            }
            b'\n' => {
                words.extend(word.take());
                if in_inputs {
                    break;
                }
            }
            b' ' | b'\t' => words.extend(word.take()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    in_inputs.then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn check(text: &str, expected: &[&str]) {
        let found = inputs(text.as_bytes()).unwrap();
        let found: Vec<_> = found
            .iter()
            .map(|word| String::from_utf8_lossy(word))
            .collect();
        assert_eq!(found, expected, "{text:?}");
    }

    #[test]
    fn rules_of_each_linker() {
        check(
            "/t/out: \\\n  /a/crt1.o \\\n  /b\\ c/x.o\n\n/a/crt1.o:\n\n/b\\ c/x.o:\n",
            &["/a/crt1.o", "/b c/x.o"],
        );
        check("/t/out: /a.o /b.o\n/a.o:\n", &["/a.o", "/b.o"]);
        check("/t/o$$ut:\\\n /a$$b\\\n\n", &["/a$b"]);
        assert_eq!(inputs(b"no rule"), None);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = inputs(&bytes);
        }
    }
}
