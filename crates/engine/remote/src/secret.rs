//! Tokens and signed addresses: what no message may hold.

use std::fmt;

/// A text that is shown to nobody: a token, or an address that holds a signature.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes the text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text, for who sends it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// The longest text of a server's that a message quotes, in bytes.
const QUOTED_BYTES: usize = 200;

/// What a server said, fit for a message: one line, short, without addresses (which may be signed), and without `secret`.
pub(crate) fn quoted(said: &str, secret: Option<&Secret>) -> String {
    // Without a scheme, as `Bearer`, before it.
    let secret = secret.and_then(|secret| secret.0.split_whitespace().last());
    let mut line = String::new();
    for word in said.split(|c: char| c.is_whitespace() || c.is_control()) {
        let hides = word.contains("://")
            || word.contains("sig=")
            || secret.is_some_and(|secret| word.contains(secret));
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(if hides { "…" } else { word });
        if line.len() > QUOTED_BYTES {
            let end = (0..=QUOTED_BYTES)
                .rev()
                .find(|at| line.is_char_boundary(*at));
            line.truncate(end.unwrap_or(0));
            line.push('…');
            break;
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{Secret, quoted};

    #[test]
    fn secrets_are_not_shown() {
        let token = Secret::new("Bearer hunter2");
        assert_eq!(format!("{token:?}"), "(secret)");
        assert_eq!(
            quoted("no\n to (hunter2) at https://x/y?sig=abc", Some(&token)),
            "no to … at …"
        );
        let long = quoted(&"é".repeat(900), None);
        assert!(long.len() < 210, "{long}");
    }
}
