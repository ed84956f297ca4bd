//! The edits themselves, and what is said of them.

use crate::providers;
use crate::yaml::edit::{Edit, insert_lines, plain};
use crate::yaml::{Node, Style, Value};

use super::labels::{Current, Fate};
use super::places::{Planner, Site};
use super::{Change, SwitchError, Warning, needs};

impl<'p> Planner<'p> {
    pub(super) fn warn(&mut self, file: usize, node: &Node, message: String) {
        self.warn_at(file, node.place.line, message);
    }

    fn warn_at(&mut self, file: usize, line: u32, message: String) {
        let path = self.files[file].path.to_owned();
        self.done.warnings.push(Warning {
            path,
            line,
            message,
        });
    }

    /// What a job with these labels gets; `None` where it keeps them.
    pub(super) fn new_labels(
        &mut self,
        site: Site<'p>,
        node: &Node,
        labels: &[&str],
    ) -> Result<Option<Vec<String>>, SwitchError> {
        let current = Current::of(labels);
        match self.target.fate(&current)? {
            Fate::Same => Ok(None),
            Fate::Kept(why) => {
                self.warn(
                    site.file,
                    node,
                    format!("`{}` stays: {why}", labels.join(", ")),
                );
                Ok(None)
            }
            Fate::New(new) if is_same(&new, labels) => Ok(None),
            Fate::New(new) => {
                self.done.touched.push((site.file, site.name.to_owned()));
                if current.is_guess {
                    let message = format!(
                        "`{}` is not known: it was taken for {} on {}",
                        labels.join(", "),
                        current.os,
                        current.arch
                    );
                    self.warn(site.file, node, message);
                }
                self.lacking(site, &current, &new);
                Ok(Some(new))
            }
        }
    }

    /// What the job needs and the new runner may not have.
    fn lacking(&mut self, site: Site<'p>, current: &Current, new: &[String]) {
        let (lacks, unsure) = self.target.lacks(new);
        for (need, line) in needs::of_job(site.job) {
            if lacks.contains(&need) {
                let name = site.name;
                let message = if unsure {
                    format!(
                        "job `{name}` needs {need}: see that `{}` has it",
                        new.join(", ")
                    )
                } else {
                    format!(
                        "job `{name}` needs {need}, which `{}` does not have",
                        new.join(", ")
                    )
                };
                self.warn_at(site.file, line, message);
            }
        }
        let words: Vec<&str> = new.iter().map(String::as_str).collect();
        let arch = Current::of(&words).arch;
        if arch != current.arch
            && let Some((line, name)) =
                needs::other_architecture(&self.files[site.file].document, site.job, arch)
        {
            let message = format!(
                "job `{}` names {name}, and its new runner is {arch}",
                site.name
            );
            self.warn_at(site.file, line, message);
        }
    }

    /// Writes a text in the place of a scalar, as that is quoted. Whether it could.
    pub(super) fn put(&mut self, site: Site<'p>, node: &Node, from: &str, to: &str) -> bool {
        let Value::Scalar(_, style) = &node.value else {
            return false;
        };
        let text = match style {
            Style::Plain => one_in_place(to, self.in_flow(site.file, node)),
            Style::Single => format!("'{}'", to.replace('\'', "''")),
            Style::Double => format!("\"{}\"", to.replace('\\', "\\\\").replace('"', "\\\"")),
            Style::Block => return self.put_in_block(site, node, from, to),
        };
        self.replace(
            site,
            node,
            (node.place.start, node.place.end),
            text,
            from,
            to,
        )
    }

    /// Writes YAML in the place of a scalar.
    pub(super) fn put_raw(&mut self, site: Site<'p>, node: &Node, from: &str, yaml: &str) -> bool {
        if matches!(node.value, Value::Scalar(_, Style::Block)) {
            self.warn(
                site.file,
                node,
                "the label stands on a line of its own: change it by hand".to_owned(),
            );
            return false;
        }
        let to = yaml
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        let place = (node.place.start, node.place.end);
        self.replace(site, node, place, yaml.to_owned(), from, &to)
    }

    /// What stands in brackets over several lines may have comments in it: they go below.
    pub(super) fn comments_below(&mut self, site: Site<'p>, node: &Node) {
        let document = &self.files[site.file].document;
        let first = document.line(node.place.line);
        let indent = first.len() - first.trim_start().len();
        let inner = &document.text[node.place.start..node.place.end];
        let comments: Vec<String> = inner
            .lines()
            .filter_map(comment_of)
            .map(str::to_owned)
            .collect();
        if comments.is_empty() || node.aliased {
            return;
        }
        let last = document.line_of(node.place.end.saturating_sub(1));
        let edit = insert_lines(document, last, indent, &comments);
        if !self.done.edits[site.file].contains(&edit) {
            self.done.edits[site.file].push(edit);
        }
    }

    /// `runs-on: >-` and the text on the next line.
    fn put_in_block(&mut self, site: Site<'p>, node: &Node, from: &str, to: &str) -> bool {
        let document = &self.files[site.file].document;
        let source = &document.text[node.place.start..node.place.end];
        let mut found = source.match_indices(from.trim());
        let (Some((at, written)), None) = (found.next(), found.next()) else {
            self.warn(
                site.file,
                node,
                "the label is written on several lines: change it by hand".to_owned(),
            );
            return false;
        };
        let start = node.place.start + at;
        let place = (start, start + written.len());
        self.replace(
            site,
            node,
            place,
            to.trim().to_owned(),
            from.trim(),
            to.trim(),
        )
    }

    pub(super) fn replace(
        &mut self,
        site: Site<'p>,
        node: &Node,
        (start, end): (usize, usize),
        text: String,
        from: &str,
        to: &str,
    ) -> bool {
        if node.aliased {
            return self.is_elsewhere(site, node);
        }
        let edit = Edit { start, end, text };
        let is_new = !self.done.edits[site.file].contains(&edit);
        if is_new {
            self.done.edits[site.file].push(edit);
        }
        self.changed(site, node, from, to);
        true
    }

    pub(super) fn changed(&mut self, site: Site<'p>, node: &Node, from: &str, to: &str) {
        let change = Change {
            path: self.files[site.file].path.to_owned(),
            line: node.place.line,
            job: site.name.to_owned(),
            from: from.to_owned(),
            to: to.to_owned(),
        };
        let mut known = self.done.changes.iter();
        // Reached twice, as a call from both of its ends.
        if !known.any(|known| {
            known.path == change.path && known.line == change.line && known.from == change.from
        }) {
            self.done.changes.push(change);
        }
    }

    /// A value through an alias is written at its anchor, where others use it as well.
    pub(super) fn is_elsewhere(&mut self, site: Site<'p>, node: &Node) -> bool {
        self.warn(
            site.file,
            node,
            "is used by an alias (`*`) in several places: change it by hand".to_owned(),
        );
        false
    }

    /// Whether a node stands in braces or brackets, where commas and brackets of its own need quotes.
    pub(super) fn in_flow(&self, file: usize, node: &Node) -> bool {
        within_flow(&self.files[file].document.root, node)
    }
}

fn within_flow(root: &Node, node: &Node) -> bool {
    let covers =
        |outer: &Node| outer.place.start <= node.place.start && node.place.end <= outer.place.end;
    let is_itself = root.place == node.place;
    if is_itself || !covers(root) {
        return false;
    }
    if root.is_flow() {
        return true;
    }
    match &root.value {
        Value::Sequence(items, _) => items.iter().any(|item| within_flow(item, node)),
        Value::Mapping(entries, _) => entries.iter().any(|(_, value)| within_flow(value, node)),
        Value::Scalar(..) => false,
    }
}

fn is_same(new: &[String], old: &[&str]) -> bool {
    new.len() == old.len()
        && new
            .iter()
            .zip(old)
            .all(|(new, old)| new.eq_ignore_ascii_case(old))
}

pub(super) fn is_known_label(text: &str) -> bool {
    providers::parse(text).is_some()
        || json_labels(text)
            .is_some_and(|labels| labels.iter().any(|label| providers::parse(label).is_some()))
}

/// `["self-hosted", "linux"]`, as `fromJSON` takes it.
pub(super) fn json_labels(text: &str) -> Option<Vec<String>> {
    if !text.trim_start().starts_with('[') {
        return None;
    }
    serde_json::from_str::<Vec<String>>(text)
        .ok()
        .filter(|labels| !labels.is_empty())
}

/// Labels as JSON: one as a list too, since a list was there.
pub(super) fn json(labels: &[String]) -> String {
    serde_json::to_string(labels).unwrap_or_default()
}

/// A label as YAML.
pub(super) fn one_in_place(label: &str, in_flow: bool) -> String {
    if in_flow && label.contains([',', '[', ']', '{', '}']) {
        return format!("'{}'", label.replace('\'', "''"));
    }
    plain(label)
}

/// Labels as a list in brackets.
pub(super) fn flow(labels: &[String]) -> String {
    let labels: Vec<String> = labels
        .iter()
        .map(|label| one_in_place(label, true))
        .collect();
    format!("[{}]", labels.join(", "))
}

/// The comment of a line, from its `#`.
pub(super) fn comment_of(line: &str) -> Option<&str> {
    if line.trim_start().starts_with('#') {
        return Some(line.trim());
    }
    line.find(" #").map(|at| line[at + 1..].trim_end())
}
