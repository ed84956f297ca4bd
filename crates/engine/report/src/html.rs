//! Text in HTML: what stands in pages of ours, this crate's and the history's.

use std::fmt;

/// Text, escaped for elements and for quoted attributes.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a>(pub &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // What turns the direction of text can make a name read as another.
                char if is_invisible(char) => write!(f, "\\u{{{:x}}}", u32::from(char))?,
                char => fmt::Write::write_char(f, char)?,
            }
        }
        Ok(())
    }
}

fn is_invisible(char: char) -> bool {
    (char.is_control() && !matches!(char, '\n' | '\t'))
        || matches!(char, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// Our own sentences: what stands between backquotes is code.
#[derive(Clone, Copy, Debug)]
pub struct Prose<'a>(pub &'a str);

impl fmt::Display for Prose<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pieces: Vec<&str> = self.0.split('`').collect();
        for (index, piece) in pieces.iter().enumerate() {
            // The last one has no end where their number is even.
            let is_code = index % 2 == 1 && index + 1 < pieces.len();
            if is_code {
                write!(f, "<code>{}</code>", Text(piece))?;
            } else if index % 2 == 1 {
                write!(f, "`{}", Text(piece))?;
            } else {
                Text(piece).fmt(f)?;
            }
        }
        Ok(())
    }
}

/// JSON that can stand in a script element: nothing in it begins or ends an element, or a comment.
pub(crate) fn json(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            // All of them stand only in JSON's strings.
            '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                escaped.push_str(&format!("\\u{:04x}", u32::from(char)));
            }
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_no_element_and_no_attribute() {
        assert_eq!(
            Text("<a href='x'>&\"\u{202e}\u{1b}").to_string(),
            "&lt;a href=&#39;x&#39;&gt;&amp;&quot;\\u{202e}\\u{1b}"
        );
    }

    #[test]
    fn prose_has_code_and_no_elements() {
        assert_eq!(
            Prose("set `a<b` or `c").to_string(),
            "set <code>a&lt;b</code> or `c"
        );
    }

    #[test]
    fn data_stays_the_same_and_ends_no_script() {
        let hostile = "</script><!--<script>&\u{2028}";
        let escaped = json(&serde_json::to_string(hostile).unwrap());
        assert!(
            !escaped.contains('<') && !escaped.contains('&'),
            "{escaped}"
        );
        assert_eq!(serde_json::from_str::<String>(&escaped).unwrap(), hostile);
    }
}
