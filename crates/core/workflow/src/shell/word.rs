//! Words of commands: parts that are known when a value is given.

use crate::expr::{Expr, Lookup};

/// What stands for a word, or part of one, that only a run knows.
pub const UNKNOWN: char = '\u{fffd}';

/// A part of a word.
#[derive(Clone, Debug, PartialEq)]
pub enum Part {
    /// As it is.
    Text(String),
    /// `${{ … }}`
    Expr(Option<Expr>),
    /// `$NAME` or `${NAME}`
    Variable(String),
    /// What only a run knows, such as `$(…)`.
    Unknown,
}

/// A word of a command.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Word {
    /// Its parts; `true` with those that are quoted and so never split.
    pub parts: Vec<(Part, bool)>,
}

impl Word {
    /// The words that it becomes with these values; [`UNKNOWN`] stands for what is not known.
    #[must_use]
    pub fn resolve(
        &self,
        lookup: Lookup<'_>,
        variable: &dyn Fn(&str) -> Option<String>,
    ) -> Vec<String> {
        let mut words: Vec<String> = Vec::new();
        let mut open = false;
        for (part, quoted) in &self.parts {
            let text = match part {
                Part::Text(text) => {
                    append(&mut words, &mut open, text);
                    continue;
                }
                Part::Expr(expr) => expr.as_ref().and_then(|expr| expr.eval(lookup).text()),
                Part::Variable(name) => variable(name),
                Part::Unknown => None,
            };
            match text {
                None => append(&mut words, &mut open, &UNKNOWN.to_string()),
                Some(text) if *quoted => append(&mut words, &mut open, &text),
                Some(text) => {
                    let text = text.replace(['"', '\''], "");
                    if text.starts_with(char::is_whitespace) {
                        open = false;
                    }
                    for (index, piece) in text.split_whitespace().enumerate() {
                        open &= index == 0;
                        append(&mut words, &mut open, piece);
                    }
                    if text.ends_with(char::is_whitespace) {
                        open = false;
                    }
                }
            }
        }
        words
    }

    /// As one text.
    #[must_use]
    pub fn text(&self, lookup: Lookup<'_>, variable: &dyn Fn(&str) -> Option<String>) -> String {
        let mut text = String::new();
        for (part, _) in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                Part::Expr(expr) => text.push_str(
                    &expr
                        .as_ref()
                        .and_then(|expr| expr.eval(lookup).text())
                        .unwrap_or_else(|| UNKNOWN.to_string()),
                ),
                Part::Variable(name) => {
                    text.push_str(&variable(name).unwrap_or_else(|| UNKNOWN.to_string()))
                }
                Part::Unknown => text.push(UNKNOWN),
            }
        }
        text
    }

    /// The text if all of it is written out.
    #[must_use]
    pub fn literal(&self) -> Option<String> {
        let mut text = String::new();
        for (part, _) in &self.parts {
            match part {
                Part::Text(part) => text.push_str(part),
                _ => return None,
            }
        }
        Some(text)
    }

    /// Whether it names a variable, such as `GITHUB_ENV`, in any shell's way.
    #[must_use]
    pub fn names(&self, variable: &str) -> bool {
        self.parts.iter().any(|(part, _)| match part {
            Part::Variable(name) => name == variable,
            Part::Text(text) => {
                text.trim_start_matches(':') == variable || text == &format!("%{variable}%")
            }
            _ => false,
        })
    }
}

fn append(words: &mut Vec<String>, open: &mut bool, text: &str) {
    match words.last_mut() {
        Some(last) if *open => last.push_str(text),
        _ => words.push(text.to_owned()),
    }
    *open = true;
}
