//! A project's files, given as texts, sorted by what they are.

use std::collections::BTreeMap;

use crate::yaml::{Document, SyntaxError};

/// A file given for an audit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Input {
    /// Its path from the project's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// A workflow's or an action's file.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its path from the project's root, with `/`.
    pub path: String,
    /// Its text as nodes.
    pub document: Document,
    /// It is an action, not a workflow.
    pub action: bool,
}

/// A file that could not be read as what its name says.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {error}; correct the syntax there")]
pub struct Unreadable {
    /// Its path.
    pub path: String,
    /// Why, and where.
    pub error: SyntaxError,
}

/// A text as TOML, with the text for lines.
#[derive(Clone, Debug)]
pub struct TomlFile {
    /// Its path from the project's root, with `/`.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Its content.
    pub table: toml::Table,
}

/// All that an audit looks at.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// Workflows and actions, in the order of their paths.
    pub sources: Vec<Source>,
    /// `Cargo.toml`s by their path.
    pub manifests: BTreeMap<String, TomlFile>,
    /// `.cargo/config.toml` of the root.
    pub cargo_config: Option<TomlFile>,
    /// The channel of `rust-toolchain.toml` or `rust-toolchain`.
    pub toolchain: Option<String>,
    /// The targets that `rust-toolchain.toml` names.
    pub targets: Vec<String>,
    /// A `Cargo.lock` is there.
    pub lock_file: bool,
    /// The text of `Cross.toml`.
    pub cross: Option<String>,
}

impl Project {
    /// Sorts files. What cannot be read is told beside what can.
    #[must_use]
    pub fn read(mut inputs: Vec<Input>) -> (Self, Vec<Unreadable>) {
        inputs.sort_by(|one, two| one.path.cmp(&two.path));
        let mut project = Self::default();
        let mut unreadable = Vec::new();
        for input in inputs {
            if let Err(error) = project.add(&input) {
                unreadable.push(Unreadable {
                    path: input.path,
                    error,
                });
            }
        }
        (project, unreadable)
    }

    fn add(&mut self, input: &Input) -> Result<(), SyntaxError> {
        let name = input.path.rsplit('/').next().unwrap_or_default();
        match name {
            "Cargo.toml" => {
                self.manifests.insert(input.path.clone(), toml_file(input)?);
            }
            "Cargo.lock" => self.lock_file = true,
            "Cross.toml" => self.cross = Some(input.text.clone()),
            "config.toml" | "config" => self.cargo_config = Some(toml_file(input)?),
            "rust-toolchain" if !input.text.contains('[') => {
                self.toolchain = Some(input.text.trim().to_owned());
            }
            "rust-toolchain.toml" | "rust-toolchain" => {
                let file = toml_file(input)?;
                self.toolchain = lookup(&file.table, "toolchain.channel")
                    .and_then(toml::Value::as_str)
                    .map(str::to_owned);
                project_targets(&file.table, &mut self.targets);
            }
            _ => {
                let document = Document::parse(&input.text)?;
                let action = matches!(name, "action.yml" | "action.yaml")
                    || document.root.get("runs").is_some();
                shape(&document, action)?;
                self.sources.push(Source {
                    path: input.path.clone(),
                    document,
                    action,
                });
            }
        }
        Ok(())
    }

    /// The manifest at the root.
    #[must_use]
    pub fn root_manifest(&self) -> Option<&TomlFile> {
        self.manifests.get("Cargo.toml")
    }

    /// A value of the root manifest, by keys with dots between.
    #[must_use]
    pub fn manifest_value(&self, keys: &str) -> Option<&toml::Value> {
        lookup(&self.root_manifest()?.table, keys)
    }

    /// A value of `.cargo/config.toml`, by keys with dots between.
    #[must_use]
    pub fn config_value(&self, keys: &str) -> Option<&toml::Value> {
        lookup(&self.cargo_config.as_ref()?.table, keys)
    }

    /// The action of a directory of the project.
    #[must_use]
    pub fn action(&self, directory: &str) -> Option<&Source> {
        let directory = directory.trim_start_matches("./").trim_end_matches('/');
        let at = |name: &str| {
            if directory.is_empty() {
                name.to_owned()
            } else {
                format!("{directory}/{name}")
            }
        };
        let (yml, yaml) = (at("action.yml"), at("action.yaml"));
        self.sources
            .iter()
            .find(|source| source.action && (source.path == yml || source.path == yaml))
    }
}

fn project_targets(table: &toml::Table, into: &mut Vec<String>) {
    let targets = lookup(table, "toolchain.targets").and_then(toml::Value::as_array);
    into.extend(
        targets
            .into_iter()
            .flatten()
            .filter_map(|target| target.as_str().map(str::to_owned)),
    );
}

impl TomlFile {
    /// The line, from 1, on which a table's head or a key stands; 1 if it is not found.
    #[must_use]
    pub fn line_of(&self, table: &str, key: Option<&str>) -> u32 {
        let mut inside = table.is_empty();
        let mut head = 1;
        for (line, text) in (1..).zip(self.text.lines()) {
            let text = text.trim();
            if let Some(name) = text.strip_prefix('[') {
                let name = name
                    .trim_start_matches('[')
                    .split(']')
                    .next()
                    .unwrap_or_default()
                    .trim();
                inside = name == table;
                if inside {
                    head = line;
                }
                if (inside || name.starts_with(&format!("{table}."))) && key.is_none() {
                    return line;
                }
            } else if let Some(key) = key.filter(|_| inside)
                && text
                    .split('=')
                    .next()
                    .is_some_and(|found| found.trim() == key)
            {
                return line;
            }
        }
        head
    }
}

/// What a workflow must have to be read as one.
fn shape(document: &Document, action: bool) -> Result<(), SyntaxError> {
    let root = &document.root;
    let message = if !root.is_mapping() {
        "no mapping at the top: a workflow has `on` and `jobs`"
    } else if action {
        return Ok(());
    } else if !root.get("jobs").is_some_and(crate::yaml::Node::is_mapping) {
        "a workflow has `jobs`, a mapping of names to jobs"
    } else {
        return Ok(());
    };
    let place = root.get("jobs").unwrap_or(root).place;
    Err(SyntaxError {
        message: message.to_owned(),
        line: place.line.max(1),
        column: place.column.max(1),
    })
}

fn toml_file(input: &Input) -> Result<TomlFile, SyntaxError> {
    let table = input.text.parse::<toml::Table>().map_err(|error| {
        let start = error
            .span()
            .map_or(0, |span| span.start.min(input.text.len()));
        let before = input.text.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before
            .rsplit('\n')
            .next()
            .unwrap_or_default()
            .chars()
            .count()
            + 1;
        SyntaxError {
            message: error.message().to_owned(),
            line: u32::try_from(line).unwrap_or(u32::MAX),
            column: u32::try_from(column).unwrap_or(u32::MAX),
        }
    })?;
    Ok(TomlFile {
        path: input.path.clone(),
        text: input.text.clone(),
        table,
    })
}

fn lookup<'t>(table: &'t toml::Table, keys: &str) -> Option<&'t toml::Value> {
    let (first, rest) = keys
        .split_once('.')
        .map_or((keys, None), |(first, rest)| (first, Some(rest)));
    let value = table.get(first)?;
    match rest {
        Some(rest) => lookup(value.as_table()?, rest),
        None => Some(value),
    }
}
