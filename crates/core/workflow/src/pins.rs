//! Actions by the commit of a release.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::OnceLock;

use serde::Deserialize;

const DATA: &str = include_str!("../data/actions.toml");
/// A commit's digits.
const COMMIT_LENGTH: usize = 40;

/// An action at a commit, with the version that people know it by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pin {
    uses: String,
    commit: String,
    version: Option<String>,
}

/// A pin that is none.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is no action at a commit: it is to be OWNER/REPOSITORY@ and the 40 digits of a commit, then perhaps ` # ` and a version"
)]
pub struct PinError(String);

impl fmt::Display for Pin {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.uses, self.commit)?;
        match &self.version {
            Some(version) => write!(formatter, " # {version}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Pin {
    type Err = PinError;

    fn from_str(text: &str) -> Result<Self, PinError> {
        let (action, version) = match text.split_once('#') {
            Some((action, version)) => (action.trim(), Some(version.trim().to_owned())),
            None => (text.trim(), None),
        };
        let parts = action.split_once('@').filter(|(uses, commit)| {
            let is_path = |char: char| char.is_ascii_alphanumeric() || "-_./".contains(char);
            uses.contains('/')
                && uses.chars().all(is_path)
                && commit.len() == COMMIT_LENGTH
                && commit.chars().all(|char| char.is_ascii_hexdigit())
        });
        let (uses, commit) = parts.ok_or_else(|| PinError(text.to_owned()))?;
        if version
            .as_ref()
            .is_some_and(|version| version.is_empty() || version.contains(['\n', '\r']))
        {
            return Err(PinError(text.to_owned()));
        }
        Ok(Self {
            uses: uses.to_owned(),
            commit: commit.to_owned(),
            version,
        })
    }
}

#[derive(Deserialize)]
struct Entry {
    uses: String,
    commit: String,
    version: String,
}

/// The pin that the data file names so.
pub(crate) fn pin(name: &str) -> &'static Pin {
    pins()
        .get(name)
        .unwrap_or_else(|| panic!("data/actions.toml has no `{name}`"))
}

/// The pin of an action, by `OWNER/REPOSITORY` in whatever case, if the data file has one.
pub(crate) fn of_action(uses: &str) -> Option<&'static Pin> {
    pins()
        .values()
        .find(|pin| pin.uses.eq_ignore_ascii_case(uses))
}

impl Pin {
    /// The commit and its version, if a reference such as `v2` or `v2.8` is a name of that version's line.
    pub(crate) fn of_line(&self, reference: &str) -> Option<(&str, &str)> {
        let version = self.version.as_deref()?;
        let rest = version.strip_prefix(reference)?;
        (rest.is_empty() || rest.starts_with('.')).then_some((self.commit.as_str(), version))
    }
}

fn pins() -> &'static BTreeMap<String, Pin> {
    static PARSED: OnceLock<BTreeMap<String, Pin>> = OnceLock::new();
    PARSED.get_or_init(|| {
        let table: toml::Table =
            toml::from_str(DATA).unwrap_or_else(|error| panic!("data/actions.toml: {error}"));
        let entries = table.into_iter().filter(|(_, value)| value.is_table());
        let entries = entries.map(|(name, value)| {
            let entry: Entry = value
                .try_into()
                .unwrap_or_else(|error| panic!("data/actions.toml: {name}: {error}"));
            let text = format!("{}@{} # {}", entry.uses, entry.commit, entry.version);
            let pin = text
                .parse()
                .unwrap_or_else(|error| panic!("data/actions.toml: {error}"));
            (name, pin)
        });
        entries.collect()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_a_whole_commit() {
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for text in [format!("a/b@{commit}"), format!("a/b/c@{commit} # v1.2")] {
            assert_eq!(text.parse::<Pin>().unwrap().to_string(), text);
        }
        for text in [
            "a/b@v1",
            "a/b",
            "b@0123456789abcdef0123456789abcdef01234567",
            "a b/c@0123456789abcdef0123456789abcdef01234567",
        ] {
            assert!(text.parse::<Pin>().is_err(), "{text}");
        }
        assert!(format!("a/b@{commit} # v1\n  x: y").parse::<Pin>().is_err());
        let cache = of_action("swatinem/rust-cache").unwrap();
        assert!(cache.of_line("v2").is_some() && cache.of_line("v2.8").is_some());
        assert!(cache.of_line("v1").is_none() && cache.of_line("v2.7").is_none());
        assert!(cache.of_line("v").is_none() && cache.of_line("v2.").is_none());
        assert!(pin("checkout").to_string().starts_with("actions/checkout@"));
    }
}
