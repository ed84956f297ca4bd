//! From the events of a YAML reader to nodes.

use std::borrow::Cow;
use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};

use super::{Document, Node, Place, Style, SyntaxError, Value};

/// Deeper than any workflow, and little enough for a recursive reader of the nodes.
const DEPTH_LIMIT: usize = 64;

/// Aliases of aliases grow a text beyond any bound; the largest workflows have some thousand nodes.
const NODE_LIMIT: usize = 200_000;

/// Lines that are joined before a text is given up: nobody closes more brackets too far to the left.
const REPAIR_LIMIT: usize = 100;

pub(super) fn document(text: &str) -> Result<Document, SyntaxError> {
    // A bracket that is closed as far to the left as its key is no YAML 1.2, but common, and GitHub reads it. Joined
    // to the line before, with every byte where it was, it is read here as well.
    let mut read = Cow::Borrowed(text);
    for _ in 0..REPAIR_LIMIT {
        match nodes(&read, text) {
            Err(error) if error.message == "invalid indentation" => {
                match joined(&read, text, error.line) {
                    Some(repaired) => read = Cow::Owned(repaired),
                    None => return Err(error),
                }
            }
            result => return result,
        }
    }
    nodes(&read, text)
}

/// The text with a line that begins with a closing bracket joined to the line before; comments there become spaces.
/// `original` has the lines that the number counts, at the same bytes.
fn joined(text: &str, original: &str, line: u32) -> Option<String> {
    let index = (line as usize).checked_sub(2)?;
    let start: usize = original
        .split_inclusive('\n')
        .take(index)
        .map(str::len)
        .sum();
    let before = original.get(start..)?.split_inclusive('\n').next()?;
    let (head, next) = (text.get(..start)?, text.get(start + before.len()..)?);
    // Positions count characters: spaces in the place of others than ASCII would move them.
    if !next.trim_start_matches([' ', '\t']).starts_with([']', '}']) || !before.is_ascii() {
        return None;
    }
    let content = before
        .find(" #")
        .unwrap_or(before.len())
        .min(before.trim_end().len());
    Some(format!(
        "{head}{}{}{next}",
        text.get(start..start + content)?,
        " ".repeat(before.len() - content)
    ))
}

/// Reads one text into nodes, with places in `original`, which differs in spaces alone.
fn nodes(text: &str, original: &str) -> Result<Document, SyntaxError> {
    let mut builder = Builder::new(original);
    let mut parser = Parser::new_from_str(text);
    let mut root = None;
    while let Some(event) = parser.next_event() {
        let (event, span) = event.map_err(|error| {
            let marker = error.marker();
            let at = builder.byte(marker.index());
            let (line, column) = builder.position(at);
            SyntaxError {
                message: error.info().to_owned(),
                line,
                column,
            }
        })?;
        if let Some(done) = builder.event(event, span)? {
            root = Some(done);
            break;
        }
    }
    // What follows the first document is not read by GitHub either.
    let root = root.unwrap_or_else(|| Node {
        place: Place {
            line: 1,
            column: 1,
            ..Place::default()
        },
        value: Value::Scalar(String::new(), Style::Plain),
        aliased: false,
    });
    Ok(Document {
        text: original.to_owned(),
        root,
        lines: builder.lines,
    })
}

struct Open {
    node: Node,
    key: Option<Node>,
    anchor: usize,
}

struct Builder<'t> {
    text: &'t str,
    lines: Vec<usize>,
    /// Byte of each character; `None` where the text is ASCII and they are the same.
    bytes: Option<Vec<usize>>,
    open: Vec<Open>,
    anchors: HashMap<usize, (Node, usize)>,
    nodes: usize,
}

impl<'t> Builder<'t> {
    fn new(text: &'t str) -> Self {
        let mut lines = vec![0];
        lines.extend(
            text.bytes()
                .enumerate()
                .filter(|(_, byte)| *byte == b'\n')
                .map(|(at, _)| at + 1),
        );
        if lines.len() > 1 && lines.last() == Some(&text.len()) {
            lines.pop();
        }
        let bytes = (!text.is_ascii()).then(|| text.char_indices().map(|(at, _)| at).collect());
        Self {
            text,
            lines,
            bytes,
            open: Vec::new(),
            anchors: HashMap::new(),
            nodes: 0,
        }
    }

    fn byte(&self, character: usize) -> usize {
        match &self.bytes {
            Some(bytes) => bytes.get(character).copied().unwrap_or(self.text.len()),
            None => character.min(self.text.len()),
        }
    }

    /// Line and column of a byte, from 1.
    fn position(&self, byte: usize) -> (u32, u32) {
        let line = self.lines.partition_point(|&start| start <= byte).max(1);
        let start = self.lines[line - 1];
        let column = self
            .text
            .get(start..byte)
            .map_or(0, |before| before.chars().count());
        (number(line), number(column + 1))
    }

    fn place(&self, span: Span) -> Place {
        let start = self.byte(span.start.index());
        let (line, column) = self.position(start);
        Place {
            start,
            end: self.byte(span.end.index()).max(start),
            line,
            column,
        }
    }

    fn event(&mut self, event: Event<'_>, span: Span) -> Result<Option<Node>, SyntaxError> {
        let place = self.place(span);
        match event {
            Event::Scalar(text, style, anchor, _) => {
                let node = self.scalar(text, style, place);
                self.finish(node, anchor)
            }
            Event::Alias(anchor) => {
                let Some((mut node, size)) = self.anchors.get(&anchor).cloned() else {
                    return Err(error("an alias without its anchor", place));
                };
                node.aliased = true;
                self.count(size, place)?;
                self.finish(node, 0)
            }
            Event::SequenceStart(anchor, _) => self.begin(
                Value::Sequence(Vec::new(), self.bracket(place, '[')),
                place,
                anchor,
            ),
            Event::MappingStart(anchor, _) => self.begin(
                Value::Mapping(Vec::new(), self.bracket(place, '{')),
                place,
                anchor,
            ),
            Event::SequenceEnd | Event::MappingEnd => {
                let Some(Open {
                    mut node, anchor, ..
                }) = self.open.pop()
                else {
                    return Ok(None);
                };
                node.place.end = end_of(self.text, &node, place);
                self.finish(node, anchor)
            }
            _ => Ok(None),
        }
    }

    fn bracket(&self, place: Place, bracket: char) -> bool {
        self.text[place.start..].starts_with(bracket)
    }

    fn scalar(&self, text: Cow<'_, str>, style: ScalarStyle, mut place: Place) -> Node {
        let (text, style) = match style {
            ScalarStyle::Plain => (
                if matches!(&*text, "~" | "null") {
                    String::new()
                } else {
                    text.into_owned()
                },
                Style::Plain,
            ),
            ScalarStyle::SingleQuoted => (text.into_owned(), Style::Single),
            ScalarStyle::DoubleQuoted => (text.into_owned(), Style::Double),
            _ => (text.into_owned(), Style::Block),
        };
        let written = &self.text[place.start..place.end];
        // The reader's span of a quoted scalar goes on to the next token, beyond a comment.
        let length = match style {
            Style::Single | Style::Double => {
                quoted_length(written).unwrap_or(written.trim_end().len())
            }
            Style::Plain | Style::Block => written.trim_end().len(),
        };
        place.end = place.start + length;
        Node {
            place,
            value: Value::Scalar(text, style),
            aliased: false,
        }
    }

    fn begin(
        &mut self,
        value: Value,
        place: Place,
        anchor: usize,
    ) -> Result<Option<Node>, SyntaxError> {
        if self.open.len() >= DEPTH_LIMIT {
            return Err(error("nested deeper than a workflow can be", place));
        }
        let node = Node {
            place,
            value,
            aliased: false,
        };
        self.open.push(Open {
            node,
            key: None,
            anchor,
        });
        Ok(None)
    }

    fn count(&mut self, more: usize, place: Place) -> Result<(), SyntaxError> {
        self.nodes += more;
        if self.nodes > NODE_LIMIT {
            return Err(error("grows too large by its aliases", place));
        }
        Ok(())
    }

    fn finish(&mut self, node: Node, anchor: usize) -> Result<Option<Node>, SyntaxError> {
        self.count(1, node.place)?;
        if anchor != 0 {
            let size = size(&node);
            self.count(size, node.place)?;
            self.anchors.insert(anchor, (node.clone(), size));
        }
        let Some(parent) = self.open.last_mut() else {
            return Ok(Some(node));
        };
        match &mut parent.node.value {
            Value::Sequence(items, _) => items.push(node),
            Value::Mapping(entries, _) => match parent.key.take() {
                Some(key) => entries.push((key, node)),
                None => parent.key = Some(node),
            },
            Value::Scalar(..) => {}
        }
        Ok(None)
    }
}

/// The bytes of a text's quoted beginning, its quotes included.
fn quoted_length(written: &str) -> Option<usize> {
    let bytes = written.as_bytes();
    let quote = *bytes.first()?;
    let mut at = 1;
    while at < bytes.len() {
        if quote == b'"' && bytes[at] == b'\\' {
            at += 1;
        } else if bytes[at] == quote {
            if quote == b'\'' && bytes.get(at + 1) == Some(&quote) {
                at += 1;
            } else {
                return Some(at + 1);
            }
        }
        at += 1;
    }
    None
}

/// A block ends where its last value does: the reader says where the next token begins.
fn end_of(text: &str, node: &Node, last: Place) -> usize {
    let child = match &node.value {
        Value::Sequence(_, true) | Value::Mapping(_, true) => {
            return flow_end(text, node)
                .unwrap_or(last.end)
                .max(node.place.start);
        }
        Value::Sequence(items, false) => items.last(),
        Value::Mapping(entries, false) => entries.last().map(|(key, value)| {
            if value.is_empty() || value.aliased {
                key
            } else {
                value
            }
        }),
        Value::Scalar(..) => None,
    };
    child
        .map_or(node.place.end, |child| child.place.end)
        .max(node.place.start)
}

/// One past the bracket that closes a flow: comments may stand before it, and after it on its line.
fn flow_end(text: &str, node: &Node) -> Option<usize> {
    let (inner, close) = match &node.value {
        Value::Sequence(items, true) => (items.last().map(|item| (item, item)), ']'),
        Value::Mapping(entries, true) => (entries.last().map(|(key, value)| (key, value)), '}'),
        _ => return None,
    };
    let mut at = match inner {
        // An alias' place is its anchor's: the key is where it is written, of an item nothing is.
        Some((key, value)) if !value.aliased => value.place.end.max(key.place.end),
        Some((key, _)) if !key.aliased => key.place.end,
        Some(_) => return None,
        None => node.place.start + 1,
    };
    loop {
        let rest = text.get(at..)?;
        let next = rest.chars().next()?;
        if next == close {
            return Some(at + 1);
        }
        at += match next {
            '#' => rest.find('\n')?,
            _ => next.len_utf8(),
        };
    }
}

fn size(node: &Node) -> usize {
    1 + match &node.value {
        Value::Scalar(..) => 0,
        Value::Sequence(items, _) => items.iter().map(size).sum(),
        Value::Mapping(entries, _) => entries
            .iter()
            .map(|(key, value)| size(key) + size(value))
            .sum(),
    }
}

fn error(message: &str, place: Place) -> SyntaxError {
    SyntaxError {
        message: message.to_owned(),
        line: place.line,
        column: place.column,
    }
}

fn number(value: usize) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn covered(text: &str, keys: &[&str]) -> String {
        let document = Document::parse(text).unwrap();
        let node = document.root.at(keys).unwrap();
        document.text[node.place.start..node.place.end].to_owned()
    }

    #[test]
    fn nodes_know_their_bytes() {
        let text = "# é\non: push\njobs:\n  a:\n    steps:\n      - run: |\n          one\n          two\n\n      # next\n      - uses: \"x@v1\" # pin\n  b: {x: 1}\n";
        assert_eq!(covered(text, &["on"]), "push");
        assert_eq!(covered(text, &["jobs", "b"]), "{x: 1}");
        let a = covered(text, &["jobs", "a"]);
        assert!(a.ends_with("\"x@v1\""), "{a:?}");
        let document = Document::parse(text).unwrap();
        let steps = document.root.at(&["jobs", "a", "steps"]).unwrap().items();
        let run = steps[0].get("run").unwrap();
        assert_eq!(run.str(), Some("one\ntwo\n"));
        assert_eq!(
            (run.place.line, document.line_of(run.place.end - 1)),
            (7, 8)
        );
        assert_eq!(
            document.comment_after(steps[1].get("uses").unwrap()),
            Some("pin")
        );
    }

    #[test]
    fn brackets_end_where_they_close() {
        let text = "a: [x, y] # [c]\nb: {k: v, # }\n  l: [1, 2,]} # d\nc: []   # e\nd: &n [p]\ne: {q: *n } # f\nf: 1\n";
        assert_eq!(covered(text, &["a"]), "[x, y]");
        assert_eq!(covered(text, &["b"]), "{k: v, # }\n  l: [1, 2,]}");
        assert_eq!(covered(text, &["b", "l"]), "[1, 2,]");
        assert_eq!(covered(text, &["c"]), "[]");
    }

    #[test]
    fn a_bracket_closed_too_far_to_the_left_is_read() {
        let text = "a:\n  b: [\n    {c: 1}, # one\n    {c: 2}\n  ]\n  d: e\nf: {\n}\ng:\n  h: [\n    1\n  ]\n";
        let document = Document::parse(text).unwrap();
        assert_eq!(document.root.at(&["a", "b"]).unwrap().items().len(), 2);
        let d = document.root.at(&["a", "d"]).unwrap();
        assert_eq!((d.place.line, d.place.column), (6, 6));
    }

    #[test]
    fn an_error_has_its_place() {
        let error = Document::parse("on: push\njobs:\n  a: [\n").unwrap_err();
        assert!(error.line >= 3, "{error}");
        let error = Document::parse("a: *none\n").unwrap_err();
        assert_eq!(error.line, 1, "{error}");
    }

    #[test]
    fn aliases_stand_for_their_anchor_within_bounds() {
        let document = Document::parse("a: &x {k: v}\nb: *x\n").unwrap();
        let b = document.root.get("b").unwrap();
        assert!(b.aliased);
        assert_eq!(b.get("k").and_then(Node::str), Some("v"));
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let before = format!("*a{}", level - 1);
            bomb += &format!("a{level}: &a{level} [{}]\n", vec![before; 9].join(", "));
        }
        assert!(
            Document::parse(&bomb)
                .unwrap_err()
                .message
                .contains("aliases")
        );
        assert!(Document::parse(&"[".repeat(5000)).is_err());
    }
}
