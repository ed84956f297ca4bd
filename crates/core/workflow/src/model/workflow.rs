//! Workflows, jobs and steps as they are written.

use std::collections::BTreeMap;

use crate::expr::{Template, Val};
use crate::shell;
use crate::yaml::{Document, Node};

use super::project::Source;

/// A workflow.
#[derive(Debug)]
pub struct Workflow<'p> {
    /// Its file.
    pub source: &'p Source,
    /// Its events in their order, with what is said of each.
    pub events: Vec<(&'p str, Option<&'p Node>)>,
    /// Its jobs in their order.
    pub jobs: Vec<Job<'p>>,
    /// What its callers give, where all give the same; [`super::calls::link`] tells.
    pub inputs: BTreeMap<String, Val>,
}

/// A job.
#[derive(Debug)]
pub struct Job<'p> {
    /// Its name in the file.
    pub id: &'p str,
    /// The key that names it.
    pub key: &'p Node,
    /// What is said of it.
    pub node: &'p Node,
    /// The jobs that it waits for.
    pub needs: Vec<&'p str>,
    /// The workflow that it calls.
    pub uses: Option<&'p Node>,
    /// Its condition.
    pub condition: Option<Template>,
    /// Its steps in their order.
    pub steps: Vec<Step<'p>>,
}

/// A step.
#[derive(Clone, Debug)]
pub struct Step<'p> {
    /// The file that it is written in: the workflow's, or a local action's.
    pub source: &'p Source,
    /// What is said of it.
    pub node: &'p Node,
    /// Its number among its job's or action's steps, from 0.
    pub index: usize,
    /// The action that it uses.
    pub uses: Option<Uses<'p>>,
    /// The commands of its script.
    pub commands: Vec<shell::Command>,
    /// Its condition.
    pub condition: Option<Template>,
}

/// The action of a step.
#[derive(Clone, Debug)]
pub struct Uses<'p> {
    /// Where it is written.
    pub node: &'p Node,
    /// `owner/repository` and a path within it, in lower case; or a local path; or `docker://…`.
    pub name: String,
    /// What follows the `@`.
    pub reference: &'p str,
    /// Major, minor, patch of the reference, or of the comment that says what a digest is.
    pub version: Option<(u32, Option<u32>, Option<u32>)>,
}

impl<'p> Workflow<'p> {
    /// Reads a workflow's nodes. What is not as it should be is left out.
    #[must_use]
    pub fn read(source: &'p Source) -> Self {
        let root = &source.document.root;
        // YAML 1.1 readers take a plain `on` for true; ours does not.
        let events = root.get("on").map(events).unwrap_or_default();
        let jobs = root.get("jobs").map(Node::entries).unwrap_or_default();
        let jobs = jobs
            .iter()
            .filter(|(_, node)| node.is_mapping())
            .filter_map(|(key, node)| Some(Job::read(source, key.str()?, key, node)))
            .collect();
        Self {
            source,
            events,
            jobs,
            inputs: BTreeMap::new(),
        }
    }

    /// Whether an event starts it.
    #[must_use]
    pub fn on(&self, event: &str) -> bool {
        self.events.iter().any(|(found, _)| *found == event)
    }

    /// What is said of an event.
    #[must_use]
    pub fn event(&self, event: &str) -> Option<&'p Node> {
        self.events
            .iter()
            .find(|(found, _)| *found == event)
            .and_then(|(_, node)| *node)
    }

    /// What a filter of an event says: `branches`, `paths-ignore` and the like.
    #[must_use]
    pub fn filter(&self, event: &str, key: &str) -> Option<Vec<&'p str>> {
        Some(self.event(event)?.get(key)?.strings())
    }

    /// Whether pushes to branches start it: `push` without only tags.
    #[must_use]
    pub fn on_branch_push(&self) -> bool {
        self.on("push")
            && self.event("push").is_none_or(|push| {
                push.get("tags").is_none()
                    || push.get("branches").is_some()
                    || push.get("branches-ignore").is_some()
            })
    }

    /// Whether it tests what is proposed: pull requests, pushes to branches, or a merge queue.
    #[must_use]
    pub fn is_ci(&self) -> bool {
        self.on("pull_request") || self.on("merge_group") || self.on_branch_push()
    }

    /// A job by its name.
    #[must_use]
    pub fn job(&self, id: &str) -> Option<&Job<'p>> {
        self.jobs.iter().find(|job| job.id == id)
    }

    /// The file's text and nodes.
    #[must_use]
    pub fn document(&self) -> &'p Document {
        &self.source.document
    }

    /// The names of all jobs that a job waits for, through others as well.
    #[must_use]
    pub fn all_needs(&self, job: &Job<'p>) -> Vec<&'p str> {
        let mut found: Vec<&str> = Vec::new();
        let mut open: Vec<&str> = job.needs.clone();
        while let Some(id) = open.pop() {
            if !found.contains(&id) && found.len() < self.jobs.len() {
                found.push(id);
                open.extend(
                    self.job(id)
                        .map(|job| job.needs.clone())
                        .unwrap_or_default(),
                );
            }
        }
        found
    }
}

fn events(node: &Node) -> Vec<(&str, Option<&Node>)> {
    if node.is_mapping() {
        return node
            .entries()
            .iter()
            .filter_map(|(key, value)| Some((key.str()?, (!value.is_empty()).then_some(value))))
            .collect();
    }
    node.strings()
        .into_iter()
        .map(|event| (event, None))
        .collect()
}

impl<'p> Job<'p> {
    fn read(source: &'p Source, id: &'p str, key: &'p Node, node: &'p Node) -> Self {
        Self {
            id,
            key,
            node,
            needs: node.get("needs").map(Node::strings).unwrap_or_default(),
            uses: node.get("uses"),
            condition: node.get("if").and_then(Node::str).map(Template::condition),
            steps: steps(source, node.get("steps")),
        }
    }

    /// The line of its name.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.key.place.line
    }

    /// Its matrix.
    #[must_use]
    pub fn matrix(&self) -> Option<&'p Node> {
        self.node.at(&["strategy", "matrix"])
    }

    /// It runs in a container.
    #[must_use]
    pub fn in_container(&self) -> bool {
        self.node
            .get("container")
            .is_some_and(|container| !container.is_empty())
    }
}

/// The steps of a job or of an action.
#[must_use]
pub fn steps<'p>(source: &'p Source, node: Option<&'p Node>) -> Vec<Step<'p>> {
    let items = node.map(Node::items).unwrap_or_default();
    items
        .iter()
        .enumerate()
        .filter(|(_, node)| node.is_mapping())
        .map(|(index, node)| Step::read(source, index, node))
        .collect()
}

impl<'p> Step<'p> {
    fn read(source: &'p Source, index: usize, node: &'p Node) -> Self {
        let run = node.get("run").and_then(Node::str);
        Self {
            source,
            node,
            index,
            uses: node
                .get("uses")
                .and_then(|node| Uses::read(&source.document, node)),
            commands: run.map(shell::commands).unwrap_or_default(),
            condition: node.get("if").and_then(Node::str).map(Template::condition),
        }
    }

    /// The line that it begins on.
    #[must_use]
    pub fn line(&self) -> u32 {
        self.node.place.line
    }

    /// The file's line of a line of its script, from 0.
    #[must_use]
    pub fn script_line(&self, line: u32) -> u32 {
        let Some((key, value)) = self.node.entry("run") else {
            return self.line();
        };
        let block = matches!(
            value.value,
            crate::yaml::Value::Scalar(_, crate::yaml::Style::Block)
        );
        key.place.line + if block { 1 + line } else { 0 }
    }

    /// An input that it gives to its action.
    #[must_use]
    pub fn with(&self, input: &str) -> Option<&'p str> {
        self.with_node(input).and_then(Node::str)
    }

    /// Where an input is written.
    #[must_use]
    pub fn with_node(&self, input: &str) -> Option<&'p Node> {
        self.node
            .get("with")?
            .entries()
            .iter()
            .find(|(key, _)| key.str().is_some_and(|key| key.eq_ignore_ascii_case(input)))
            .map(|(_, value)| value)
    }

    /// The name of its action; empty for a script.
    #[must_use]
    pub fn action(&self) -> &str {
        self.uses.as_ref().map_or("", |uses| uses.name.as_str())
    }

    /// Whether it runs also after a failure.
    #[must_use]
    pub fn runs_after_failure(&self) -> bool {
        self.condition.as_ref().is_some_and(|condition| {
            ["always", "failure", "cancelled"]
                .iter()
                .any(|function| condition.calls(function))
        })
    }
}

impl<'p> Uses<'p> {
    fn read(document: &Document, node: &'p Node) -> Option<Self> {
        let text = node.str()?.trim();
        if text.is_empty() || text.contains("${{") {
            return None;
        }
        let (name, reference) = if text.starts_with("./") || text.starts_with("docker://") {
            (text, "")
        } else {
            text.split_once('@').unwrap_or((text, ""))
        };
        let local = text.starts_with("./");
        let version = version(reference).or_else(|| {
            document
                .comment_after(node)
                .and_then(|comment| comment.split([' ', '=', ':', '@']).find_map(version))
        });
        Some(Self {
            node,
            name: if local {
                name.to_owned()
            } else {
                name.to_ascii_lowercase()
            },
            reference,
            version,
        })
    }

    /// A local action or workflow.
    #[must_use]
    pub fn local(&self) -> bool {
        self.name.starts_with("./")
    }

    /// It is an image of Docker's.
    #[must_use]
    pub fn docker(&self) -> bool {
        self.name.starts_with("docker://")
    }

    /// The reference is a commit's digest.
    #[must_use]
    pub fn pinned(&self) -> bool {
        is_digest(self.reference)
    }

    /// Its version's first number.
    #[must_use]
    pub fn major(&self) -> Option<u32> {
        self.version.map(|(major, _, _)| major)
    }

    /// Whether its version is known and older than another. `v4` is the newest of its line.
    #[must_use]
    pub fn older_than(&self, major: u32, minor: u32, patch: u32) -> bool {
        let Some((own_major, own_minor, own_patch)) = self.version else {
            return false;
        };
        let newest = u32::MAX;
        (
            own_major,
            own_minor.unwrap_or(newest),
            own_patch.unwrap_or(newest),
        ) < (major, minor, patch)
    }
}

fn is_digest(reference: &str) -> bool {
    matches!(reference.len(), 40 | 64) && reference.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// `v4`, `4.1`, `v4.1.2-x`: major, minor, patch.
fn version(text: &str) -> Option<(u32, Option<u32>, Option<u32>)> {
    if is_digest(text) {
        return None;
    }
    let text = text
        .rsplit('/')
        .next()?
        .trim_start_matches("release-")
        .trim_start_matches('v');
    let mut parts = text.split(['.', '-', '+']);
    let major: u32 = parts.next()?.parse().ok().filter(|major| *major < 1000)?;
    let minor = parts.next().and_then(|part| part.parse().ok());
    let patch = parts
        .next()
        .filter(|_| minor.is_some())
        .and_then(|part| part.parse().ok());
    Some((major, minor, patch))
}
