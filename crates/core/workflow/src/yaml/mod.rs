//! YAML with the place of every node, and edits of its text.
//!
//! [`Document::parse`] reads one file into [`Node`]s that know their bytes, line and column; [`edit`] changes
//! the text at such places and leaves every other byte alone. Values are what GitHub sees: every scalar is text.

pub mod edit;
mod parse;

/// Where a node begins and what it covers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Place {
    /// The first byte.
    pub start: usize,
    /// One past the last byte.
    pub end: usize,
    /// The line of the first byte, from 1.
    pub line: u32,
    /// The column of the first byte in characters, from 1.
    pub column: u32,
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without quotes.
    Plain,
    /// `'…'`
    Single,
    /// `"…"`
    Double,
    /// `|` or `>`: lines of its own.
    Block,
}

/// A value and its place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Node {
    /// Where it is written; of an alias, where the anchor is.
    pub place: Place,
    /// What it is.
    pub value: Value,
    /// It stands here through an alias: an edit would change other places as well.
    pub aliased: bool,
}

/// What a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// Text; `~`, `null` and nothing are empty plain text.
    Scalar(String, Style),
    /// A list; `true` if in brackets.
    Sequence(Vec<Node>, bool),
    /// Keys and values in their order; `true` if in braces.
    Mapping(Vec<(Node, Node)>, bool),
}

/// A file's text as nodes.
#[derive(Clone, Debug)]
pub struct Document {
    /// What was read.
    pub text: String,
    /// The first document's root.
    pub root: Node,
    /// The byte at which each line begins.
    lines: Vec<usize>,
}

/// Why a text is no YAML that a workflow can be made from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at line {line}, column {column}")]
pub struct SyntaxError {
    /// A lower-case fragment.
    pub message: String,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl Document {
    /// Reads the first document of a text.
    ///
    /// # Errors
    ///
    /// Text that is no YAML, nests deeper than 64 levels, or grows beyond 200,000 nodes by its aliases.
    pub fn parse(text: &str) -> Result<Self, SyntaxError> {
        parse::document(text)
    }

    /// The text of a line, from 1, without its end; empty beyond the last.
    #[must_use]
    pub fn line(&self, line: u32) -> &str {
        let Some(index) = (line as usize).checked_sub(1) else {
            return "";
        };
        let Some(&start) = self.lines.get(index) else {
            return "";
        };
        let end = self
            .lines
            .get(index + 1)
            .copied()
            .unwrap_or(self.text.len());
        self.text[start..end].trim_end_matches(['\n', '\r'])
    }

    /// How many lines there are.
    #[must_use]
    pub fn line_count(&self) -> u32 {
        u32::try_from(self.lines.len()).unwrap_or(u32::MAX)
    }

    /// The line, from 1, of a byte.
    #[must_use]
    pub fn line_of(&self, byte: usize) -> u32 {
        u32::try_from(self.lines.partition_point(|&start| start <= byte)).unwrap_or(u32::MAX)
    }

    /// The first byte of a line, from 1; the text's length beyond the last.
    #[must_use]
    pub fn line_start(&self, line: u32) -> usize {
        (line as usize)
            .checked_sub(1)
            .and_then(|index| self.lines.get(index))
            .copied()
            .unwrap_or(self.text.len())
    }

    /// The comment at the end of a node's first line, without `#` and spaces.
    #[must_use]
    pub fn comment_after(&self, node: &Node) -> Option<&str> {
        let end = self.text[node.place.end..]
            .find('\n')
            .map_or(self.text.len(), |at| node.place.end + at);
        let rest = self.text[node.place.end..end].trim();
        rest.strip_prefix('#').map(str::trim)
    }
}

impl Node {
    /// The value of a key of a mapping.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.entry(key).map(|(_, value)| value)
    }

    /// A key of a mapping and its value.
    #[must_use]
    pub fn entry(&self, key: &str) -> Option<(&Self, &Self)> {
        self.entries()
            .iter()
            .find(|(found, _)| found.str() == Some(key))
            .map(|(key, value)| (key, value))
    }

    /// Follows keys.
    #[must_use]
    pub fn at(&self, keys: &[&str]) -> Option<&Self> {
        keys.iter().try_fold(self, |node, key| node.get(key))
    }

    /// Keys and values of a mapping; none of anything else.
    #[must_use]
    pub fn entries(&self) -> &[(Self, Self)] {
        match &self.value {
            Value::Mapping(entries, _) => entries,
            _ => &[],
        }
    }

    /// Items of a list; none of anything else.
    #[must_use]
    pub fn items(&self) -> &[Self] {
        match &self.value {
            Value::Sequence(items, _) => items,
            _ => &[],
        }
    }

    /// The text of a scalar.
    #[must_use]
    pub fn str(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The text of a scalar, or the texts of a list: what GitHub takes in many places.
    #[must_use]
    pub fn strings(&self) -> Vec<&str> {
        match &self.value {
            Value::Scalar(text, _) if text.is_empty() => Vec::new(),
            Value::Scalar(text, _) => vec![text],
            Value::Sequence(items, _) => items.iter().filter_map(Self::str).collect(),
            Value::Mapping(..) => Vec::new(),
        }
    }

    /// Whether it is a mapping.
    #[must_use]
    pub fn is_mapping(&self) -> bool {
        matches!(self.value, Value::Mapping(..))
    }

    /// Whether it is a list.
    #[must_use]
    pub fn is_sequence(&self) -> bool {
        matches!(self.value, Value::Sequence(..))
    }

    /// Whether it is in braces or brackets on its way.
    #[must_use]
    pub fn is_flow(&self) -> bool {
        matches!(
            self.value,
            Value::Mapping(_, true) | Value::Sequence(_, true)
        )
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar(text, _) => text.is_empty(),
            Value::Sequence(items, _) => items.is_empty(),
            Value::Mapping(entries, _) => entries.is_empty(),
        }
    }
}
