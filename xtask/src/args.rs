//! Command lines, small enough to read by hand.

use crate::Failure;

/// The arguments of one chore, taken off one by one.
pub(crate) struct Args {
    rest: Vec<String>,
}

impl Args {
    pub(crate) fn new(rest: &[String]) -> Self {
        Self {
            rest: rest.to_vec(),
        }
    }

    /// Takes a switch such as `--quick`.
    pub(crate) fn switch(&mut self, name: &str) -> bool {
        let before = self.rest.len();
        self.rest.retain(|argument| argument != name);
        self.rest.len() != before
    }

    /// Takes everything behind `--`.
    pub(crate) fn behind_dashes(&mut self) -> Vec<String> {
        let Some(at) = self.rest.iter().position(|argument| argument == "--") else {
            return Vec::new();
        };
        let behind = self.rest.split_off(at + 1);
        self.rest.pop();
        behind
    }

    /// Takes `--name VALUE` or `--name=VALUE`.
    pub(crate) fn value(&mut self, name: &str) -> Result<Option<String>, Failure> {
        let joined = format!("{name}=");
        let Some(at) = self
            .rest
            .iter()
            .position(|argument| argument == name || argument.starts_with(&joined))
        else {
            return Ok(None);
        };
        let argument = self.rest.remove(at);
        if let Some(value) = argument.strip_prefix(&joined) {
            return Ok(Some(value.to_owned()));
        }
        if at < self.rest.len() {
            return Ok(Some(self.rest.remove(at)));
        }
        Err(format!("`{name}` needs a value: write `{name} VALUE`"))
    }

    /// Takes the first argument that is no flag.
    pub(crate) fn word(&mut self) -> Option<String> {
        let at = self
            .rest
            .iter()
            .position(|argument| !argument.starts_with('-'))?;
        Some(self.rest.remove(at))
    }

    /// Fails when something was not understood.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        match self.rest.first() {
            None => Ok(()),
            Some(argument) => Err(format!(
                "`{argument}` is not understood here; `cargo xtask help` shows what is"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Args {
        Args::new(
            &words
                .iter()
                .map(|&word| word.to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn flags_are_taken_in_any_order() {
        let mut given = args(&[
            "unit-cache",
            "--quick",
            "--rounds",
            "5",
            "--tools=a,b",
            "--",
            "x",
        ]);
        assert_eq!(given.behind_dashes(), ["x"]);
        assert!(given.switch("--quick"));
        assert_eq!(given.value("--rounds"), Ok(Some("5".to_owned())));
        assert_eq!(given.value("--tools"), Ok(Some("a,b".to_owned())));
        assert_eq!(given.value("--scratch"), Ok(None));
        assert_eq!(given.word().as_deref(), Some("unit-cache"));
        assert_eq!(given.finish(), Ok(()));
    }

    #[test]
    fn leftovers_and_missing_values_are_errors() {
        assert!(args(&["--odd"]).finish().is_err());
        assert!(args(&["--rounds"]).value("--rounds").is_err());
    }
}
