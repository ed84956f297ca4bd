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

/// The literals and names that an expression can come to: operands of `||`, what follows `&&`, arguments of
/// `fromJSON`. What is only compared or asked for its truth is none of them. Nothing where it cannot be read.
pub(super) fn values(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    if let Some(open) = text.find("${{") {
        let mut reader = Reader {
            text,
            at: open + 3,
            depth: 0,
        };
        // What could not be read to its end may mean anything.
        if let Some(values) = reader.either()
            && reader.rest().trim_start().starts_with("}}")
        {
            found = values;
        }
    }
    found
}

/// Deeper than anybody writes; a bound for the stack.
const DEPTH_LIMIT: u32 = 64;

/// Reads an expression; each method gives the tokens that its part can come to, or `None` where it cannot be read.
struct Reader<'t> {
    text: &'t str,
    at: usize,
    depth: u32,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        let rest = self.rest();
        self.at += rest.len() - rest.trim_start().len();
    }

    fn take(&mut self, sign: &str) -> bool {
        self.skip_space();
        let is_there = self.rest().starts_with(sign);
        if is_there {
            self.at += sign.len();
        }
        is_there
    }

    fn either(&mut self) -> Option<Vec<Token>> {
        self.depth += 1;
        if self.depth > DEPTH_LIMIT {
            return None;
        }
        let mut values = self.both()?;
        while self.take("||") {
            values.extend(self.both()?);
        }
        self.depth -= 1;
        Some(values)
    }

    fn both(&mut self) -> Option<Vec<Token>> {
        let mut values = self.compared()?;
        while self.take("&&") {
            values = self.compared()?;
        }
        Some(values)
    }

    fn compared(&mut self) -> Option<Vec<Token>> {
        let values = self.one()?;
        let signs = ["==", "!=", "<=", ">=", "<", ">"];
        if !signs.iter().any(|sign| self.take(sign)) {
            return Some(values);
        }
        self.one()?;
        Some(Vec::new())
    }

    fn one(&mut self) -> Option<Vec<Token>> {
        if self.take("!") {
            self.depth += 1;
            if self.depth > DEPTH_LIMIT {
                return None;
            }
            self.one()?;
            self.depth -= 1;
            return Some(Vec::new());
        }
        if self.take("(") {
            let values = self.either()?;
            return self.take(")").then_some(values);
        }
        self.skip_space();
        let start = self.at;
        if self.rest().starts_with('\'') {
            let (end, text) = literal(self.text, start);
            self.at = end;
            return Some(vec![Token::Literal { start, end, text }]);
        }
        let length = self
            .rest()
            .bytes()
            .take_while(|byte| is_name(*byte))
            .count();
        if length == 0 {
            return None;
        }
        let name = &self.text[start..start + length];
        self.at += length;
        if self.take("(") {
            return self.call(name);
        }
        // An index: what it comes to is not looked into.
        while self.take("[") {
            self.either()?;
            if !self.take("]") {
                return None;
            }
            self.at += self
                .rest()
                .bytes()
                .take_while(|byte| is_name(*byte))
                .count();
        }
        let parts: Vec<String> = name.split('.').map(str::to_owned).collect();
        Some(if parts.len() > 1 {
            vec![Token::Name { parts }]
        } else {
            Vec::new()
        })
    }

    fn call(&mut self, name: &str) -> Option<Vec<Token>> {
        let mut values = Vec::new();
        if self.take(")") {
            return Some(values);
        }
        loop {
            let argument = self.either()?;
            if name.eq_ignore_ascii_case("fromJSON") {
                values = argument;
            }
            if !self.take(",") {
                break;
            }
        }
        self.take(")").then_some(values)
    }
}

fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'*')
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

/// A text whose comparisons of a name with one literal ask for another.
pub(super) fn with_comparison(text: &str, name: &str, old: &str, new: &str) -> String {
    let mut result = text.to_owned();
    for (start, end) in comparisons(text, name).into_iter().rev() {
        if &text[start..end] == old {
            result.replace_range(start..end, new);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    fn literals(text: &str) -> Vec<String> {
        let tokens = values(text);
        let literals = tokens.into_iter().filter_map(|token| match token {
            Token::Literal { text, .. } => Some(text),
            Token::Name { .. } => None,
        });
        literals.collect()
    }

    fn names(text: &str) -> Vec<String> {
        let tokens = values(text);
        let names = tokens.into_iter().filter_map(|token| match token {
            Token::Name { parts } => Some(parts.join("/")),
            Token::Literal { .. } => None,
        });
        names.collect()
    }

    #[test]
    fn literals_and_names_are_found() {
        let text = "${{ github.event_name == 'push' && 'ubuntu-latest' || inputs.my-runner }}";
        assert_eq!(literals(text), ["ubuntu-latest"]);
        assert_eq!(names(text), ["inputs/my-runner"]);
        assert_eq!(
            literals("${{ 'it''s }} here' }} 'not this'"),
            ["it's }} here"]
        );
        assert_eq!(
            names("matrix.os ${{ fromJSON(matrix.a.b) }}"),
            ["matrix/a/b"]
        );
        // What only decides, or cannot be read, is no value.
        let text = "${{ matrix.arch == 'aarch64' && 'a' || (!inputs.x && contains(matrix.os, 'b') && 'c') }}";
        assert_eq!(
            (literals(text), names(text)),
            (vec!["a".to_owned(), "c".to_owned()], Vec::new())
        );
        for text in [
            "${{ 'open",
            "${{ 'a' 'b' }}",
            "${{ }}",
            "${{ 'a' && }}",
            "no expression",
        ] {
            assert_eq!(literals(text), Vec::<String>::new(), "{text}");
        }
        assert_eq!(
            literals(&format!("${{{{ {} 'a' }}}}", "(".repeat(9000))),
            Vec::<String>::new()
        );
        assert_eq!(
            literals(&format!("${{{{ {} 'a' }}}}", "!".repeat(9000))),
            Vec::<String>::new()
        );
        assert_eq!(names("${{ matrix.os[0] || matrix['x'] }}"), ["matrix/os"]);
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
