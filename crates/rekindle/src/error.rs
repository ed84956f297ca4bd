//! What a person sees of an error.

use std::fmt::Display;
use std::io::IsTerminal;

use rekindle::config::ConfigError;
use rekindle_base::ErrorKind;

/// An error at the edge: whose fault, what happened, what to do.
#[derive(Debug)]
pub(crate) struct CommandError {
    /// Whose fault it is; decides the exit code.
    pub(crate) kind: ErrorKind,
    /// A lower-case fragment.
    pub(crate) message: String,
    /// Next steps.
    pub(crate) hints: Vec<String>,
}

impl CommandError {
    pub(crate) fn user(message: impl Display) -> Self {
        Self::new(ErrorKind::User, message)
    }

    pub(crate) fn environment(message: impl Display) -> Self {
        Self::new(ErrorKind::Environment, message)
    }

    pub(crate) fn bug(message: impl Display) -> Self {
        let hint = "this is a mistake of Rekindle's own: please report it";
        Self::new(ErrorKind::Bug, message).hint(hint)
    }

    pub(crate) fn new(kind: ErrorKind, message: impl Display) -> Self {
        Self {
            kind,
            message: message.to_string(),
            hints: Vec::new(),
        }
    }

    pub(crate) fn hint(mut self, hint: impl Display) -> Self {
        self.hints.push(hint.to_string());
        self
    }

    /// Prints it, with colour where a terminal shows it and nobody asked for none.
    pub(crate) fn print(&self) {
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || !std::io::stderr().is_terminal();
        let (red, cyan, off) = if plain {
            ("", "", "")
        } else {
            ("\x1b[1;31m", "\x1b[1;36m", "\x1b[0m")
        };
        eprintln!("{red}error{off}: {}", self.message);
        for hint in &self.hints {
            eprintln!("{cyan}hint{off}: {hint}");
        }
    }
}

impl From<ConfigError> for CommandError {
    fn from(error: ConfigError) -> Self {
        let shown = Self::new(error.kind(), &error);
        match error.hint() {
            Some(hint) => shown.hint(hint),
            None => shown,
        }
    }
}
