//! Where a job's runner is named, and the edits there.

use std::collections::BTreeSet;

use crate::providers;
use crate::yaml::edit::Edit;
use crate::yaml::{Node, Value};

use super::expression::{self, Token};
use super::labels::Target;
use super::write::{comment_of, flow, is_known_label, json, json_labels, one_in_place};
use super::{Change, Opened, SwitchError, Warning, needs};

/// What all jobs together came to.
pub(super) struct Done {
    /// For each file.
    pub(super) edits: Vec<Vec<Edit>>,
    pub(super) changes: Vec<Change>,
    pub(super) warnings: Vec<Warning>,
    /// Files with a job that gets another runner.
    pub(super) touched: Vec<(usize, String)>,
}

/// Goes through jobs and collects edits.
pub(super) struct Planner<'p> {
    pub(super) files: &'p [Opened<'p>],
    pub(super) target: &'p Target<'p>,
    pub(super) done: Done,
    /// Inputs that were dealt with: file and name.
    inputs: BTreeSet<(usize, String)>,
    /// Of the present job: an axis, an old value of it, and the new one.
    renamed: Vec<(String, String, String)>,
}

/// The job whose runner it is about.
#[derive(Clone, Copy)]
pub(super) struct Site<'p> {
    pub(super) file: usize,
    pub(super) name: &'p str,
    pub(super) job: &'p Node,
}

/// What may stand in the place of a label.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Slot {
    /// A label or a list of labels.
    Any,
    /// Text alone: an input.
    Text,
}

impl<'p> Planner<'p> {
    pub(super) fn new(files: &'p [Opened<'p>], target: &'p Target<'p>) -> Self {
        let done = Done {
            edits: vec![Vec::new(); files.len()],
            changes: Vec::new(),
            warnings: Vec::new(),
            touched: Vec::new(),
        };
        Self {
            files,
            target,
            done,
            inputs: BTreeSet::new(),
            renamed: Vec::new(),
        }
    }

    pub(super) fn finish(mut self) -> Done {
        self.done.touched.sort_unstable();
        self.done.touched.dedup();
        let mut seen = Vec::new();
        self.done.warnings.retain(|warning| {
            let new = !seen.contains(warning);
            seen.push(warning.clone());
            new
        });
        self.done
    }

    /// One job.
    pub(super) fn job(
        &mut self,
        file: usize,
        name: &'p str,
        job: &'p Node,
    ) -> Result<(), SwitchError> {
        let site = Site { file, name, job };
        self.renamed.clear();
        if let Some((key, value)) = job.entry("runs-on") {
            return self.runs_on(site, key, value);
        }
        let Some(uses) = job.get("uses").and_then(Node::str) else {
            return Ok(());
        };
        // What a call hands on is a runner where it is a label that is known.
        for (key, value) in job.get("with").map(Node::entries).unwrap_or_default() {
            let is_label = value.str().is_some_and(is_known_label);
            if is_label && self.value(site, value, Slot::Text)? && !uses.starts_with("./") {
                let input = key.str().unwrap_or_default();
                self.warn(
                    file,
                    value,
                    format!(
                        "`{uses}`, which is not here, gets another `{input}`: see that it takes it"
                    ),
                );
            }
        }
        Ok(())
    }

    fn runs_on(
        &mut self,
        site: Site<'p>,
        key: &'p Node,
        value: &'p Node,
    ) -> Result<(), SwitchError> {
        match &value.value {
            Value::Mapping(..) => self.group(site, key, value),
            Value::Sequence(items, _) => {
                let labels = value.strings();
                if labels.len() < items.len()
                    || labels.iter().any(|label| {
                        expression::has_expression(label) && providers::parse(label).is_none()
                    })
                {
                    self.warn(
                        site.file,
                        value,
                        "one of the labels is an expression: change it by hand".to_owned(),
                    );
                    return Ok(());
                }
                self.list(site, value, &labels).map(drop)
            }
            Value::Scalar(..) => self.value(site, value, Slot::Any).map(drop),
        }
    }

    /// A text that names a runner: a label, a list as JSON, or an expression. Whether it changed.
    fn value(&mut self, site: Site<'p>, node: &'p Node, slot: Slot) -> Result<bool, SwitchError> {
        if node.is_sequence() {
            return self.list(site, node, &node.strings());
        }
        let Some(text) = node.str().filter(|text| !text.trim().is_empty()) else {
            return Ok(false);
        };
        if let Some(labels) = json_labels(text) {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let Some(new) = self.new_labels(site, node, &labels)? else {
                return Ok(false);
            };
            return Ok(self.put(site, node, text, &json(&new)));
        }
        if expression::has_expression(text) && providers::parse(text).is_none() {
            return self.expression(site, node, text);
        }
        let Some(new) = self.new_labels(site, node, &[text])? else {
            return Ok(false);
        };
        match (&new[..], slot) {
            ([one], _) => Ok(self.put(site, node, text, one)),
            (_, Slot::Any) => Ok(self.put_raw(site, node, text, &flow(&new))),
            (_, Slot::Text) => {
                self.warn(
                    site.file,
                    node,
                    format!(
                        "one text cannot hold the labels {}: change it by hand",
                        new.join(", ")
                    ),
                );
                Ok(false)
            }
        }
    }

    /// A list of labels that one runner must all have.
    fn list(
        &mut self,
        site: Site<'p>,
        node: &'p Node,
        labels: &[&str],
    ) -> Result<bool, SwitchError> {
        let Some(new) = self.new_labels(site, node, labels)? else {
            return Ok(false);
        };
        if node.aliased {
            return Ok(self.is_elsewhere(site, node));
        }
        let from = labels.join(", ");
        if node.is_flow() {
            let text = match &new[..] {
                [one] => one_in_place(one, self.in_flow(site.file, node)),
                several => flow(several),
            };
            self.comments_below(site, node);
            let place = (node.place.start, node.place.end);
            return Ok(self.replace(site, node, place, text, &from, &new.join(", ")));
        }
        self.dashes(site, node, &new);
        self.changed(site, node, &from, &new.join(", "));
        Ok(true)
    }

    /// A list that is written with dashes keeps them, and its comments.
    fn dashes(&mut self, site: Site<'p>, node: &'p Node, new: &[String]) {
        let document = &self.files[site.file].document;
        let items = node.items();
        let mut edits = Vec::new();
        for (at, item) in items.iter().enumerate() {
            let (start, end) = (item.place.start, item.place.end);
            if at + 1 == items.len() && new.len() > items.len() {
                let line_start = document.line_start(item.place.line);
                let dash = &document.text[line_start..start];
                let more: Vec<String> = new[at..]
                    .iter()
                    .map(|label| one_in_place(label, false))
                    .collect();
                edits.push(Edit {
                    start,
                    end,
                    text: more.join(&format!("\n{dash}")),
                });
            } else if let Some(label) = new.get(at) {
                edits.push(Edit {
                    start,
                    end,
                    text: one_in_place(label, false),
                });
            } else {
                let line = item.place.line;
                let (from, to) = (document.line_start(line), document.line_start(line + 1));
                match document.comment_after(item) {
                    // Its comment stays, at the indent of the dash.
                    Some(_) => {
                        let dash = from + document.text[from..start].find('-').unwrap_or(0);
                        let comment = end + document.text[end..to].find('#').unwrap_or(0);
                        edits.push(Edit {
                            start: dash,
                            end: comment,
                            text: String::new(),
                        });
                    }
                    None => edits.push(Edit {
                        start: from,
                        end: to,
                        text: String::new(),
                    }),
                }
            }
        }
        self.done.edits[site.file].extend(edits);
    }

    /// `group:` and `labels:` give way to a label; comments between them go below it.
    fn group(&mut self, site: Site<'p>, key: &'p Node, node: &'p Node) -> Result<(), SwitchError> {
        let labels = node.get("labels").map(Node::strings).unwrap_or_default();
        if labels
            .iter()
            .any(|label| expression::has_expression(label) && providers::parse(label).is_none())
        {
            self.warn(
                site.file,
                node,
                "the labels of the group are an expression: change it by hand".to_owned(),
            );
            return Ok(());
        }
        let Some(new) = self.new_labels(site, node, &labels)? else {
            return Ok(());
        };
        if node.aliased {
            self.is_elsewhere(site, node);
            return Ok(());
        }
        let document = &self.files[site.file].document;
        let start = key.place.end + 1;
        let last_line = document.line_of(node.place.end.saturating_sub(1));
        let mut text = match &new[..] {
            [one] => format!(" {}", one_in_place(one, false)),
            several => format!(" {}", flow(several)),
        };
        let mut end = node.place.end;
        if node.is_flow() {
            self.comments_below(site, node);
        } else {
            // What stands on these lines besides the entries: comments.
            end = document.line_start(last_line + 1);
            let indent = " ".repeat(key.place.column as usize - 1);
            for line in key.place.line..=last_line {
                if let Some(comment) = comment_of(document.line(line)) {
                    if line == key.place.line {
                        text = format!("{text} {comment}");
                    } else {
                        text = format!("{text}\n{indent}{comment}");
                    }
                }
            }
            text.push('\n');
        }
        let group = node.get("group").and_then(Node::str).unwrap_or("?");
        let from = format!("group {group}, {}", labels.join(", "));
        self.replace(site, node, (start, end), text, &from, &new.join(", "));
        Ok(())
    }

    /// An expression: its literals that are labels, and what it refers to.
    fn expression(
        &mut self,
        site: Site<'p>,
        node: &'p Node,
        text: &'p str,
    ) -> Result<bool, SwitchError> {
        if !expression::is_whole(text) {
            let message = format!("`{text}` is put together from parts: change it by hand");
            self.warn(site.file, node, message);
            return Ok(false);
        }
        let mut new_text = String::new();
        let mut at = 0;
        let mut is_understood = false;
        for token in expression::values(text) {
            match token {
                Token::Name { parts } => {
                    is_understood = true;
                    self.name(site, node, &parts)?;
                }
                Token::Literal {
                    start,
                    end,
                    text: literal,
                } => {
                    is_understood |= is_known_label(&literal) || json_labels(&literal).is_some();
                    let Some(new) = self.literal(site, node, &literal)? else {
                        continue;
                    };
                    new_text.push_str(&text[at..start]);
                    new_text.push_str(&new);
                    at = end;
                }
            }
        }
        new_text.push_str(&text[at..]);
        // It may also ask an axis whose values have other names now.
        for (name, old, new) in self.renamed.clone() {
            new_text = expression::with_comparison(&new_text, &name, &old, &new);
        }
        if !is_understood {
            let message = "no runner is recognised in the expression: change it by hand";
            self.warn(site.file, node, message.to_owned());
        }
        Ok(new_text != text && self.put(site, node, text, &new_text))
    }

    /// A literal of an expression: what is to stand there instead.
    fn literal(
        &mut self,
        site: Site<'p>,
        node: &'p Node,
        literal: &str,
    ) -> Result<Option<String>, SwitchError> {
        if let Some(labels) = json_labels(literal) {
            let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
            let new = self.new_labels(site, node, &labels)?;
            return Ok(new.map(|new| expression::quoted(&json(&new))));
        }
        if !is_known_label(literal) {
            return Ok(None);
        }
        let new = self.new_labels(site, node, &[literal])?;
        Ok(new.map(|new| match &new[..] {
            [one] => expression::quoted(one),
            several => format!("fromJSON({})", expression::quoted(&json(several))),
        }))
    }

    /// What an expression refers to.
    fn name(
        &mut self,
        site: Site<'p>,
        node: &'p Node,
        parts: &[String],
    ) -> Result<(), SwitchError> {
        let names: Vec<&str> = parts.iter().map(String::as_str).collect();
        match names[..] {
            ["matrix", ref path @ ..] => self.matrix(site, node, path),
            ["inputs", name] | ["github", "event", "inputs", name] => self.input(site, node, name),
            ["github" | "runner" | "strategy" | "job", ..] => Ok(()),
            _ => {
                self.warn(
                    site.file,
                    node,
                    format!(
                        "the runner comes from `{}`: change it there",
                        names.join(".")
                    ),
                );
                Ok(())
            }
        }
    }

    /// The values of a matrix's axis, in `include` and `exclude` as well.
    fn matrix(&mut self, site: Site<'p>, node: &'p Node, path: &[&str]) -> Result<(), SwitchError> {
        let axis = path.first().copied().unwrap_or_default();
        let matrix = site.job.at(&["strategy", "matrix"]);
        let Some(matrix) = matrix.filter(|matrix| matrix.is_mapping()) else {
            self.warn(
                site.file,
                node,
                format!("the matrix with `{axis}` is not written here: change it where it is made"),
            );
            return Ok(());
        };
        let mut values: Vec<&'p Node> = Vec::new();
        if let Some(found) = matrix.get(axis) {
            match &found.value {
                Value::Sequence(items, _) => {
                    values.extend(items.iter().filter_map(|item| item.at(&path[1..])))
                }
                _ => self.axis_expression(site, found)?,
            }
        }
        for extra in ["include", "exclude"] {
            for entry in matrix.get(extra).map(Node::items).unwrap_or_default() {
                values.extend(entry.at(path));
            }
        }
        if values.is_empty() && matrix.get(axis).is_none() {
            self.warn(
                site.file,
                node,
                format!(
                    "no value of the matrix's `{axis}` is written here: change it where it is made"
                ),
            );
        }
        let mut renamed: Vec<(String, String)> = Vec::new();
        for value in values {
            let before = value.strings().join(", ");
            let count = self.done.changes.len();
            if self.value(site, value, Slot::Any)? {
                let after = self.done.changes.get(count).map(|change| change.to.clone());
                let pair = (before, after.unwrap_or_default());
                if !renamed.contains(&pair) {
                    renamed.push(pair);
                }
            }
        }
        self.same_twice(site, node, &renamed);
        let name = format!("matrix.{}", path.join("."));
        self.compared(site, &name, &renamed);
        let renamed = renamed.into_iter().filter(|(_, new)| !new.contains(','));
        self.renamed
            .extend(renamed.map(|(old, new)| (name.clone(), old, new)));
        Ok(())
    }

    /// `os: ${{ fromJSON('["ubuntu-latest"]') }}`: each text of the list is a value.
    fn axis_expression(&mut self, site: Site<'p>, axis: &'p Node) -> Result<(), SwitchError> {
        let Some(text) = axis.str() else {
            return Ok(());
        };
        let mut new_text = text.to_owned();
        for token in expression::values(text) {
            let Token::Literal { text: literal, .. } = token else {
                continue;
            };
            for label in json_labels(&literal).unwrap_or_default() {
                if let Some(new) = self.new_labels(site, axis, &[&label])? {
                    let new = match &new[..] {
                        [one] => format!("\"{one}\""),
                        several => json(several),
                    };
                    new_text = new_text.replace(&format!("\"{label}\""), &new);
                }
            }
        }
        if new_text == text {
            self.warn(
                site.file,
                axis,
                "the matrix's values come from an expression: change them where they are made"
                    .to_owned(),
            );
        } else {
            self.put(site, axis, text, &new_text);
        }
        Ok(())
    }

    /// Two values that became one would run the same job twice.
    fn same_twice(&mut self, site: Site<'p>, node: &'p Node, renamed: &[(String, String)]) {
        for (at, (old, new)) in renamed.iter().enumerate() {
            if let Some((first, _)) = renamed[..at].iter().find(|(_, other)| other == new) {
                self.warn(site.file, node, format!("`{first}` and `{old}` both become `{new}`: the matrix runs the same job twice"));
            }
        }
    }

    /// Conditions that compare the axis with its old value follow; other uses of it are said.
    fn compared(&mut self, site: Site<'p>, name: &str, renamed: &[(String, String)]) {
        let document = &self.files[site.file].document;
        let mut edits = Vec::new();
        let mut warnings = Vec::new();
        needs::walk(site.job, &mut |node, text| {
            if !text.contains(name) || node.aliased {
                return;
            }
            let source = &document.text[node.place.start..node.place.end];
            for (start, end) in expression::comparisons(source, name) {
                let Some((_, new)) = renamed.iter().find(|(old, _)| *old == source[start..end])
                else {
                    continue;
                };
                if new.contains(',') {
                    warnings.push((
                        node,
                        format!(
                            "compares `{name}` with a label that became a list: change it by hand"
                        ),
                    ));
                } else {
                    let (start, end) = (node.place.start + start, node.place.start + end);
                    edits.push(Edit {
                        start,
                        end,
                        text: new.clone(),
                    });
                }
            }
            let uses_part = ["startsWith", "endsWith", "contains"]
                .iter()
                .any(|function| text.contains(&format!("{function}({name}")));
            if uses_part && !renamed.is_empty() {
                warnings.push((
                    node,
                    format!("looks into the text of `{name}`, which is another now"),
                ));
            }
        });
        self.done.edits[site.file].extend(edits);
        for (node, message) in warnings {
            self.warn(site.file, node, message);
        }
    }

    /// An input: its default, its options, and what callers hand over.
    fn input(&mut self, site: Site<'p>, node: &'p Node, name: &str) -> Result<(), SwitchError> {
        if !self.inputs.insert((site.file, name.to_owned())) {
            return Ok(());
        }
        let files = self.files;
        let root = &files[site.file].document.root;
        let mut found = false;
        for event in ["workflow_call", "workflow_dispatch"] {
            let Some(input) = root.at(&["on", event, "inputs", name]) else {
                continue;
            };
            found = true;
            if let Some(default) = input.get("default") {
                self.value(site, default, Slot::Text)?;
            }
            for option in input.get("options").map(Node::items).unwrap_or_default() {
                self.value(site, option, Slot::Text)?;
            }
        }
        if !found {
            self.warn(
                site.file,
                node,
                format!("the runner comes from the input `{name}`, which is not declared here"),
            );
        }
        for (caller, job_name) in super::callers(files, site.file) {
            let entry = files[caller]
                .jobs()
                .iter()
                .find(|(key, _)| key.str() == Some(&job_name));
            let Some((key, job)) = entry else {
                continue;
            };
            if let Some(value) = job.at(&["with", name]) {
                let site = Site {
                    file: caller,
                    name: key.str().unwrap_or_default(),
                    job,
                };
                self.value(site, value, Slot::Text)?;
            }
        }
        Ok(())
    }
}
