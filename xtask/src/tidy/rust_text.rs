//! Rust sources as rules need them: without comments, strings and tests, each line in its place.
//!
//! Not a parser: enough lexing to know comments, every kind of string, character literals and
//! matching braces.

/// The source with comments, strings and character literals as spaces; every byte of what remains
/// stands where it stood.
pub(super) fn code_only(source: &str) -> String {
    let chars: Vec<char> = source.chars().collect();
    let mut out = String::with_capacity(source.len());
    let mut at = 0;
    while at < chars.len() {
        let end = match chars[at] {
            '/' if chars.get(at + 1) == Some(&'/') => line_end(&chars, at),
            '/' if chars.get(at + 1) == Some(&'*') => block_comment_end(&chars, at),
            '"' => string_end(&chars, at),
            '\'' => char_end(&chars, at),
            'r' if starts_word(&chars, at) => raw_string_end(&chars, at),
            _ => at,
        };
        if end == at {
            out.push(chars[at]);
            at += 1;
            continue;
        }
        for &c in &chars[at..end] {
            let filler = if c == '\n' { "\n" } else { " " };
            out.push_str(&filler.repeat(c.len_utf8()));
        }
        at = end;
    }
    out
}

fn line_end(chars: &[char], from: usize) -> usize {
    let rest = &chars[from..];
    from + rest.iter().position(|&c| c == '\n').unwrap_or(rest.len())
}

fn block_comment_end(chars: &[char], from: usize) -> usize {
    let mut depth = 0_usize;
    let mut at = from;
    while at < chars.len() {
        match (chars[at], chars.get(at + 1)) {
            ('/', Some('*')) => depth += 1,
            ('*', Some('/')) => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    at
}

fn string_end(chars: &[char], from: usize) -> usize {
    let mut at = from + 1;
    while at < chars.len() {
        match chars[at] {
            '\\' => at += 2,
            '"' => return at + 1,
            _ => at += 1,
        }
    }
    chars.len()
}

/// The end of a character literal; a lifetime is none.
fn char_end(chars: &[char], from: usize) -> usize {
    match (chars.get(from + 1), chars.get(from + 2)) {
        (Some('\\'), Some(_)) => {
            let rest = &chars[from + 3..];
            from + 4 + rest.iter().position(|&c| c == '\'').unwrap_or(rest.len())
        }
        (Some(_), Some('\'')) => from + 3,
        _ => from,
    }
    .min(chars.len())
}

/// The end of `r"…"` or `r#"…"#`; `from` itself for a raw identifier or another word.
fn raw_string_end(chars: &[char], from: usize) -> usize {
    let hashes = chars[from + 1..].iter().take_while(|&&c| c == '#').count();
    if chars.get(from + 1 + hashes) != Some(&'"') {
        return from;
    }
    let mut at = from + 2 + hashes;
    while at < chars.len() {
        let closes = chars[at] == '"'
            && chars[at + 1..]
                .iter()
                .take(hashes)
                .filter(|&&c| c == '#')
                .count()
                == hashes;
        if closes {
            return (at + 1 + hashes).min(chars.len());
        }
        at += 1;
    }
    chars.len()
}

/// Whether a word begins here; `b` and `c` of `br"…"` and `cr"…"` stand before it.
fn starts_word(chars: &[char], at: usize) -> bool {
    let word = |c: char| c.is_alphanumeric() || c == '_';
    match at.checked_sub(1).map(|before| chars[before]) {
        Some('b' | 'c') => at < 2 || !word(chars[at - 2]),
        Some(before) => !word(before),
        None => true,
    }
}

/// `code` (of [`code_only`]) without items behind `#[cfg(test)]`, each as blank lines.
pub(super) fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find(MARK) {
        out.push_str(&rest[..at]);
        let end = at + item_end(&rest[at + MARK.len()..]) + MARK.len();
        out.extend(rest[at..end].chars().filter(|&c| c == '\n'));
        rest = &rest[end..];
    }
    out.push_str(rest);
    out
}

/// Where an item ends: at the `;`, or at the brace that closes its first one.
pub(super) fn item_end(code: &str) -> usize {
    let mut depth = 0_usize;
    let mut brackets = 0_usize;
    for (at, c) in code.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth <= 1 => return at + 1,
            '}' => depth -= 1,
            '[' | '(' => brackets += 1,
            ']' | ')' => brackets = brackets.saturating_sub(1),
            ';' if depth == 0 && brackets == 0 => return at + 1,
            _ => {}
        }
    }
    code.len()
}

/// Whether `word` stands in `text` with no letter, digit or underscore at its sides.
pub(super) fn has_word(text: &str, word: &str) -> bool {
    let part = |c: char| c.is_alphanumeric() || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let behind = text[at + word.len()..].chars().next();
        let open = word.starts_with(part) && before.is_some_and(part);
        let close = word.ends_with(part) && behind.is_some_and(part);
        !open && !close
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, expected: &str) {
        let code = code_only(source);
        let squeezed = code.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(squeezed, expected, "{source}");
        assert_eq!(code.lines().count(), source.lines().count());
    }

    #[test]
    fn comments_and_literals_vanish() {
        check("a // b\nc", "a c");
        check("a /* b /* c */ d */ e", "a e");
        check(r#"f("std::fs \" x", 'y', '\'', 'z')"#, "f( , , , )");
        check(r##"g(r#"a "quoted" b"#, br"x")"##, "g( , b )");
        check("fn h<'a>(x: &'a str) {}", "fn h<'a>(x: &'a str) {}");
        check("let r#type = bar(r);", "let r#type = bar(r);");
        check(r"m('\u{1b}', '\\', x)", "m( , , x)");
    }

    #[test]
    fn tests_vanish() {
        let code = "fn a() {}\n#[cfg(test)]\nmod tests {\n fn b() { c[1]; }\n}\nfn d() {}\n";
        assert_eq!(without_tests(code), "fn a() {}\n\n\n\n\nfn d() {}\n");
        assert_eq!(without_tests("#[cfg(test)]\nmod tests;\nx"), "\n\nx");
        assert_eq!(
            without_tests("#[cfg(test)]\nconst A: [u8; 2] = [1; 2];\nx"),
            "\n\nx"
        );
    }

    #[test]
    fn words_are_whole() {
        assert!(has_word("an unsafe block", "unsafe"));
        assert!(!has_word("unsafe_code", "unsafe"));
        assert!(has_word("std::fs::read", "std::fs"));
        assert!(!has_word("std::fsx", "std::fs"));
    }
}
