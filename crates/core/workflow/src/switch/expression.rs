//! What an expression of a workflow says, as far as runner labels go: its text literals and the names that it refers
//! to. Nothing is evaluated.

/// A part of a text that matters here; bytes are of the text that was scanned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// `'…'`, quotes included in the place, not in the text.
    Literal {
        start: usize,
        end: usize,
        text: String,
    },
    /// `matrix.os`, `inputs.runner`: the parts between the dots.
    Name { parts: Vec<String> },
}

/// Whether a text is one expression with nothing around it, so that its value is the whole value.
pub(super) fn is_whole(text: &str) -> bool {
    let text = text.trim();
    text.strip_prefix("${{")
        .and_then(|rest| rest.strip_suffix("}}"))
        .is_some_and(|inner| !inner.contains("${{") && !inner.contains("}}"))
}

/// Whether a text has an expression in it.
pub(super) fn has_expression(text: &str) -> bool {
    text.contains("${{")
}

/// The literals and names within the expressions of a text.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut from = 0;
    while let Some(open) = text[from..].find("${{").map(|at| from + at + 3) {
        let end = scan(text, open, &mut tokens);
        from = end;
    }
    tokens
}

/// Reads one expression from behind its `${{`; gives where it ends.
fn scan(text: &str, open: usize, tokens: &mut Vec<Token>) -> usize {
    let bytes = text.as_bytes();
    let mut at = open;
    while at < bytes.len() {
        match bytes[at] {
            b'}' if bytes.get(at + 1) == Some(&b'}') => return at + 2,
            b'\'' => {
                let (end, literal) = literal(text, at);
                tokens.push(Token::Literal {
                    start: at,
                    end,
                    text: literal,
                });
                at = end;
            }
            byte if byte.is_ascii_alphabetic() || byte == b'_' => {
                let length = text[at..].bytes().take_while(|byte| is_name(*byte)).count();
                let parts = text[at..at + length].split('.').map(str::to_owned);
                let parts: Vec<String> = parts.collect();
                if parts.len() > 1 {
                    tokens.push(Token::Name { parts });
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.')
}

/// A literal from its first quote: where it ends and what it says; two quotes within are one.
fn literal(text: &str, start: usize) -> (usize, String) {
    let mut said = String::new();
    let mut rest = text[start + 1..].char_indices().peekable();
    while let Some((at, char)) = rest.next() {
        if char != '\'' {
            said.push(char);
            continue;
        }
        if rest.peek().is_some_and(|(_, next)| *next == '\'') {
            rest.next();
            said.push('\'');
            continue;
        }
        return (start + 1 + at + 1, said);
    }
    (text.len(), said)
}

/// A literal of an expression that says this.
pub(super) fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A place where a name is compared with a literal: bytes of the literal's text within its quotes.
pub(super) fn comparisons(source: &str, name: &str) -> Vec<(usize, usize)> {
    let mut found = Vec::new();
    for (at, _) in source.match_indices(name) {
        let behind = &source[at + name.len()..];
        let operator = behind.trim_start();
        let Some(right) = ["==", "!="]
            .iter()
            .find_map(|sign| operator.strip_prefix(sign))
        else {
            continue;
        };
        let right = right.trim_start();
        // In a text that YAML quotes by `'`, each quote is written twice.
        let within = right.trim_start_matches('\'');
        let quotes = right.len() - within.len();
        let Some(length) = within.find('\'').filter(|_| quotes > 0) else {
            continue;
        };
        let start = source.len() - within.len();
        found.push((start, start + length));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let literals = tokens.into_iter().filter_map(|token| match token {
            Token::Literal { text, .. } => Some(text),
            Token::Name { .. } => None,
        });
        literals.collect()
    }

    fn names(text: &str) -> Vec<String> {
        let tokens = tokens(text);
        let names = tokens.into_iter().filter_map(|token| match token {
            Token::Name { parts } => Some(parts.join("/")),
            Token::Literal { .. } => None,
        });
        names.collect()
    }

    #[test]
    fn literals_and_names_are_found() {
        let text = "${{ github.event_name == 'push' && 'ubuntu-latest' || inputs.my-runner }}";
        assert_eq!(literals(text), ["push", "ubuntu-latest"]);
        assert_eq!(names(text), ["github/event_name", "inputs/my-runner"]);
        assert_eq!(
            literals("${{ 'it''s }} here' }} 'not this'"),
            ["it's }} here"]
        );
        assert_eq!(
            names("matrix.os ${{ fromJSON(matrix.a.b) }}"),
            ["matrix/a/b"]
        );
        assert_eq!(literals("${{ 'open"), ["open"]);
    }

    #[test]
    fn one_expression_is_told_from_parts() {
        assert!(is_whole(" ${{ matrix.os }} "));
        assert!(!is_whole("ubuntu-${{ matrix.version }}"));
        assert!(!is_whole("${{ a.b }}-${{ c.d }}"));
    }

    #[test]
    fn comparisons_with_a_name_are_found_in_any_quoting() {
        let check = |source: &str, expected: &[&str]| {
            let found = comparisons(source, "matrix.os");
            let found: Vec<&str> = found
                .iter()
                .map(|(start, end)| &source[*start..*end])
                .collect();
            assert_eq!(found, expected, "{source}");
        };
        check("matrix.os == 'a' || matrix.os!='b'", &["a", "b"]);
        check("'${{ matrix.os == ''a'' }}'", &["a"]);
        check("startsWith(matrix.os, 'a')", &[]);
        check("matrix.os == matrix.other && 'x'", &[]);
    }
}
