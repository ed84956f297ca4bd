//! Text in workflow commands, as GitHub's runner reads them on standard output: `::warning title=A::B`.
//! <https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands>

use std::fmt::{self, Write as _};

/// The message of a command, escaped as GitHub's own library does it: nothing in it ends the line or begins another
/// command. Other control characters are left out.
#[derive(Clone, Copy, Debug)]
pub struct CommandMessage<'a>(pub &'a str);

/// The value of a command's property, which a colon and a comma would end as well.
#[derive(Clone, Copy, Debug)]
pub struct CommandProperty<'a>(pub &'a str);

impl fmt::Display for CommandMessage<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(self.0, &[], f)
    }
}

impl fmt::Display for CommandProperty<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escaped(self.0, &[':', ','], f)
    }
}

fn escaped(text: &str, more: &[char], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for char in text.chars() {
        match char {
            '%' | '\r' | '\n' => write!(f, "%{:02X}", u32::from(char))?,
            char if more.contains(&char) => write!(f, "%{:02X}", u32::from(char))?,
            char if char.is_control() => {}
            char => f.write_char(char)?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_ends_neither_line_nor_property() {
        let hostile = "50 %, a: b\r\n::error::x\x1b[1m";
        assert_eq!(
            CommandMessage(hostile).to_string(),
            "50 %25, a: b%0D%0A::error::x[1m"
        );
        assert_eq!(
            CommandProperty(hostile).to_string(),
            "50 %25%2C a%3A b%0D%0A%3A%3Aerror%3A%3Ax[1m"
        );
    }
}
