//! Edits of a YAML text that change the lines meant and no other byte.
//!
//! An [`Edit`] replaces bytes. The functions here make edits from nodes; each gives `None` where the text is
//! written in a way that it does not edit (in braces, or through an alias), so that nothing is ever guessed.
//! [`apply`] puts edits into a text.

use super::{Document, Node, Style, Value};

/// Bytes of a text and what stands in their place.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Edit {
    /// The first byte that goes.
    pub start: usize,
    /// One past the last byte that goes; `start` to insert.
    pub end: usize,
    /// What comes.
    pub text: String,
}

/// Puts edits into a text. Of edits that overlap the first given one is done; the same edit twice is one.
/// Gives the text and, for each edit, whether it was done.
#[must_use]
pub fn apply(text: &str, edits: &[Edit]) -> (String, Vec<bool>) {
    let mut kept: Vec<&Edit> = Vec::new();
    let mut done = Vec::with_capacity(edits.len());
    for edit in edits {
        let valid = edit.start <= edit.end
            && text.is_char_boundary(edit.start)
            && text.is_char_boundary(edit.end);
        let same = kept.contains(&edit);
        let free = valid && (same || kept.iter().all(|other| apart(edit, other)));
        if free && !same {
            kept.push(edit);
        }
        done.push(free);
    }
    // Stable: insertions at one place keep the order in which they were asked for.
    kept.sort_by_key(|edit| (edit.start, edit.end));
    let mut result = String::with_capacity(text.len());
    let mut at = 0;
    for edit in kept {
        result.push_str(&text[at..edit.start]);
        result.push_str(&edit.text);
        at = edit.end;
    }
    result.push_str(&text[at..]);
    (result, done)
}

fn apart(one: &Edit, other: &Edit) -> bool {
    one.end <= other.start || other.end <= one.start
}

/// Replaces a scalar that is written on one line, in the way that it was quoted.
#[must_use]
pub fn replace_scalar(document: &Document, node: &Node, value: &str) -> Option<Edit> {
    let Value::Scalar(_, style) = &node.value else {
        return None;
    };
    let written = &document.text[node.place.start..node.place.end];
    if node.aliased || written.is_empty() || written.contains('\n') || value.contains('\n') {
        return None;
    }
    let text = match style {
        Style::Plain => plain(value),
        Style::Single => format!("'{}'", value.replace('\'', "''")),
        Style::Double => format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\"")),
        Style::Block => return None,
    };
    Some(Edit {
        start: node.place.start,
        end: node.place.end,
        text,
    })
}

/// Replaces a scalar and the comment after it, as the pin of an action and the version that it is.
#[must_use]
pub fn replace_scalar_and_comment(
    document: &Document,
    node: &Node,
    value: &str,
    comment: &str,
) -> Option<Edit> {
    let mut edit = replace_scalar(document, node, value)?;
    let line_end = document.text[edit.end..]
        .find(['\n', '\r'])
        .map_or(document.text.len(), |at| edit.end + at);
    let rest = document.text[edit.end..line_end].trim();
    if !rest.is_empty() && !rest.starts_with('#') {
        return None;
    }
    edit.text = format!("{} # {comment}", edit.text);
    edit.end = line_end;
    Some(edit)
}

/// A scalar as YAML: quoted where it would mean something else without.
#[must_use]
pub fn plain(value: &str) -> String {
    let first = value.chars().next();
    let special = first.is_none_or(|first| "-?:,[]{}#&*!|>'\"%@` \t".contains(first))
        && !(value.starts_with('-') && value.len() > 1 && !value.starts_with("- "));
    if special || value.contains(": ") || value.contains(" #") || value.ends_with([':', ' ']) {
        format!("'{}'", value.replace('\'', "''"))
    } else {
        value.to_owned()
    }
}

/// Adds lines to a mapping, at its indent: behind the value of `after`, or behind its last value.
/// `lines` are written without that indent; those within an entry carry their own beyond it.
#[must_use]
pub fn add_entry(
    document: &Document,
    mapping: &Node,
    after: Option<&str>,
    lines: &[String],
) -> Option<Edit> {
    let entries = block_entries(mapping)?;
    let (key, value) = match after {
        Some(after) => entries.iter().find(|(key, _)| key.str() == Some(after))?,
        None => entries.last()?,
    };
    let indent = key.place.column.checked_sub(1)? as usize;
    Some(insert_lines(
        document,
        last_line(document, key, value),
        indent,
        lines,
    ))
}

/// Adds lines to a mapping, at its indent, before a key; the comments right above the key stay with it.
#[must_use]
pub fn add_entry_before(
    document: &Document,
    mapping: &Node,
    before: &str,
    lines: &[String],
) -> Option<Edit> {
    let entries = block_entries(mapping)?;
    let (key, _) = entries.iter().find(|(key, _)| key.str() == Some(before))?;
    let indent = key.place.column.checked_sub(1)? as usize;
    // In a list's item the first key stands behind the dash.
    if !document
        .line(key.place.line)
        .get(..indent)?
        .trim()
        .is_empty()
    {
        return None;
    }
    let mut line = key.place.line;
    while line > 1
        && document.line(line - 1).trim_start().starts_with('#')
        && indent_of(document.line(line - 1)) == indent
    {
        line -= 1;
    }
    Some(insert_lines(document, line - 1, indent, lines))
}

/// Adds lines to a list that is written with dashes, behind an item; `lines` begin with `- `.
#[must_use]
pub fn add_item(document: &Document, list: &Node, after: usize, lines: &[String]) -> Option<Edit> {
    let Value::Sequence(items, false) = &list.value else {
        return None;
    };
    let item = items.get(after).filter(|_| !list.aliased)?;
    let dash = dash_column(document, item)?;
    Some(insert_lines(
        document,
        document.line_of(item.place.end.saturating_sub(1)),
        dash,
        lines,
    ))
}

/// Removes an entry of a mapping: its whole lines. The last entry stays, for a mapping without any is none.
#[must_use]
pub fn remove_entry(document: &Document, mapping: &Node, key: &str) -> Option<Edit> {
    let entries = block_entries(mapping)?;
    let (key, value) = entries.iter().find(|(found, _)| found.str() == Some(key))?;
    let line = document.line(key.place.line);
    let indent = key.place.column.checked_sub(1)? as usize;
    if entries.len() < 2 || !line.get(..indent)?.trim().is_empty() {
        return None;
    }
    Some(remove_lines(
        document,
        key.place.line,
        last_line(document, key, value),
    ))
}

/// Removes an item of a list that is written with dashes: its whole lines. The last item stays.
#[must_use]
pub fn remove_item(document: &Document, list: &Node, index: usize) -> Option<Edit> {
    let Value::Sequence(items, false) = &list.value else {
        return None;
    };
    let item = items
        .get(index)
        .filter(|item| items.len() > 1 && !list.aliased && !item.aliased)?;
    dash_column(document, item)?;
    Some(remove_lines(
        document,
        item.place.line,
        document.line_of(item.place.end.saturating_sub(1)),
    ))
}

/// Removes whole lines, both included.
#[must_use]
pub fn remove_lines(document: &Document, first: u32, last: u32) -> Edit {
    Edit {
        start: document.line_start(first),
        end: document.line_start(last + 1),
        text: String::new(),
    }
}

/// Inserts lines behind a line (0: at the beginning), each at an indent, with the file's line ends.
#[must_use]
pub fn insert_lines(document: &Document, line: u32, indent: usize, lines: &[String]) -> Edit {
    let end = newline(&document.text);
    let at = document.line_start(line + 1);
    let mut text = String::new();
    // A last line without an end gets one.
    if at == document.text.len() && !document.text.is_empty() && !document.text.ends_with('\n') {
        text.push_str(end);
    }
    for line in lines {
        if !line.is_empty() {
            text.push_str(&" ".repeat(indent));
            text.push_str(line);
        }
        text.push_str(end);
    }
    Edit {
        start: at,
        end: at,
        text,
    }
}

/// The column, from 0, of the dash of a list's item that begins on the dash's line.
fn dash_column(document: &Document, item: &Node) -> Option<usize> {
    let line = document.line(item.place.line);
    let column = indent_of(line);
    line[column..].starts_with('-').then_some(column)
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn block_entries(mapping: &Node) -> Option<&[(Node, Node)]> {
    match &mapping.value {
        Value::Mapping(entries, false) if !mapping.aliased => Some(entries),
        _ => None,
    }
}

fn last_line(document: &Document, key: &Node, value: &Node) -> u32 {
    let end = if value.aliased || value.is_empty() {
        key.place.end
    } else {
        value.place.end.max(key.place.end)
    };
    document.line_of(end.saturating_sub(1))
}

/// The line end that a text uses.
#[must_use]
pub fn newline(text: &str) -> &'static str {
    match text.find('\n') {
        Some(at) if text[..at].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "on: push # both\njobs:\n  # the one\n  a:\n    runs-on: x\n    steps:\n      - uses: a/b@v1 # old\n      - run: |\n          one\n\n  b:\n    runs-on: 'y'\n";

    #[track_caller]
    fn check(edit: impl Fn(&Document) -> Option<Edit>, expected: &str) {
        for end in ["\n", "\r\n"] {
            let document = Document::parse(&TEXT.replace('\n', end)).unwrap();
            let (text, done) = apply(&document.text, &[edit(&document).unwrap()]);
            assert_eq!((text, done), (expected.replace('\n', end), vec![true]));
        }
    }

    #[test]
    fn scalars_keep_their_quotes_and_comments() {
        check(
            |d| replace_scalar(d, d.root.at(&["jobs", "b", "runs-on"])?, "z"),
            &TEXT.replace("'y'", "'z'"),
        );
        check(
            |d| replace_scalar(d, d.root.get("on")?, "[a: b"),
            &TEXT.replace("push", "'[a: b'"),
        );
        check(
            |d| {
                replace_scalar_and_comment(
                    d,
                    d.root.at(&["jobs", "a", "steps"])?.items()[0].get("uses")?,
                    "a/b@123",
                    "v2",
                )
            },
            &TEXT.replace("a/b@v1 # old", "a/b@123 # v2"),
        );
    }

    #[test]
    fn entries_are_added_at_the_indent_of_their_mapping() {
        let lines = ["k:".to_owned(), "  l: 1".to_owned()];
        check(
            |d| add_entry(d, d.root.at(&["jobs", "a"])?, None, &lines),
            &TEXT.replace("          one\n", "          one\n    k:\n      l: 1\n"),
        );
        check(
            |d| add_entry(d, d.root.at(&["jobs", "a"])?, Some("runs-on"), &lines),
            &TEXT.replace("    steps", "    k:\n      l: 1\n    steps"),
        );
        check(
            |d| add_entry(d, &d.root, None, &lines),
            &format!("{TEXT}k:\n  l: 1\n"),
        );
        check(
            |d| add_entry_before(d, d.root.get("jobs")?, "a", &lines),
            &TEXT.replace("  # the one", "  k:\n    l: 1\n  # the one"),
        );
    }

    #[test]
    fn items_and_entries_go_with_their_lines() {
        check(
            |d| remove_item(d, d.root.at(&["jobs", "a", "steps"])?, 0),
            &TEXT.replace("      - uses: a/b@v1 # old\n", ""),
        );
        check(
            |d| remove_entry(d, d.root.at(&["jobs", "a"])?, "runs-on"),
            &TEXT.replace("    runs-on: x\n", ""),
        );
        check(
            |d| {
                add_item(
                    d,
                    d.root.at(&["jobs", "a", "steps"])?,
                    0,
                    &["- run: x".to_owned()],
                )
            },
            &TEXT.replace("# old\n", "# old\n      - run: x\n"),
        );
    }

    #[test]
    fn what_is_in_braces_is_left_alone() {
        let document = Document::parse("a: {b: 1}\nc: &x\n  d: 1\ne: *x\n").unwrap();
        assert_eq!(
            add_entry(
                &document,
                document.root.get("a").unwrap(),
                None,
                &["x: 1".to_owned()]
            ),
            None
        );
        assert_eq!(
            add_entry(
                &document,
                document.root.get("e").unwrap(),
                None,
                &["x: 1".to_owned()]
            ),
            None
        );
    }

    #[test]
    fn overlapping_edits_are_not_both_done() {
        let edit = |start, end, text: &str| Edit {
            start,
            end,
            text: text.to_owned(),
        };
        let (text, done) = apply(
            "abcdef",
            &[
                edit(1, 3, "X"),
                edit(2, 4, "Y"),
                edit(1, 3, "X"),
                edit(3, 3, "Z"),
            ],
        );
        assert_eq!(
            (text.as_str(), done),
            ("aXZdef", vec![true, false, true, true])
        );
    }
}
