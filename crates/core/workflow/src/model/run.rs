//! What a job does: for each combination of its matrix the steps in their order, with environment, conditions
//! and commands, through local actions.

use std::collections::BTreeMap;
use std::rc::Rc;

use crate::expr::{Template, Val};
use crate::shell::{self, UNKNOWN, Word};
use crate::yaml::Node;

use super::actions::{self, Kind};
use super::cargo::CargoCall;
use super::matrix::{self, Combo};
use super::project::Project;
use super::runner::Runner;
use super::workflow::{Job, Step, Workflow, steps};

/// Environment variables; [`UNKNOWN`] in a value is what only a run knows.
pub type Env = BTreeMap<String, String>;

/// A job with one combination of its matrix.
#[derive(Debug)]
pub struct Run<'p> {
    /// The combination.
    pub combo: Combo,
    /// The machine.
    pub runner: Runner,
    /// What its steps do, in their order.
    pub steps: Vec<Did<'p>>,
}

/// A step, as it is done.
#[derive(Clone, Debug)]
pub struct Did<'p> {
    /// As written.
    pub step: Rc<Step<'p>>,
    /// The number of the job's own step: of one within a local action, that of the step that uses it.
    pub index: usize,
    /// The environment that it begins with.
    pub env: Rc<Env>,
    /// Whether it is done; `None` if only a run knows.
    pub done: Option<bool>,
    /// Its commands.
    pub calls: Vec<Call>,
    /// What its action is for.
    pub kind: Kind,
}

/// A command, as it is run.
#[derive(Clone, Debug)]
pub struct Call {
    /// Program and arguments.
    pub words: Vec<String>,
    /// The environment that it gets.
    pub env: Rc<Env>,
    /// The file's line.
    pub line: u32,
    /// Its index among the commands of its script.
    pub command: usize,
    /// It runs only if the script says so.
    pub conditional: bool,
    /// It stands in a loop.
    pub looped: bool,
    /// What it builds with cargo.
    pub cargo: Option<CargoCall>,
}

impl Did<'_> {
    /// The file that it is written in.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.step.source.path
    }

    /// Its calls of cargo's.
    pub fn cargo(&self) -> impl Iterator<Item = (&Call, &CargoCall)> {
        self.calls
            .iter()
            .filter_map(|call| Some((call, call.cargo.as_ref()?)))
    }
}

impl Run<'_> {
    /// What is done as far as that can be known: steps whose condition is false are left out.
    pub fn done(&self) -> impl Iterator<Item = &Did<'_>> {
        self.steps.iter().filter(|did| did.done != Some(false))
    }

    /// All calls of cargo's with their step.
    pub fn cargo(&self) -> impl Iterator<Item = (&Did<'_>, &Call, &CargoCall)> {
        self.done()
            .flat_map(|did| did.cargo().map(move |(call, cargo)| (did, call, cargo)))
    }

    /// Whether a step's action is of a kind.
    #[must_use]
    pub fn has(&self, kind: Kind) -> bool {
        self.done().any(|did| did.kind == kind)
    }

    /// A value of its matrix, by the path behind `matrix.`.
    #[must_use]
    pub fn matrix(&self, path: &str) -> Option<&Val> {
        self.combo
            .iter()
            .find(|(name, _)| name == path)
            .map(|(_, value)| value)
    }
}

/// A job's runs, and whether these are all.
#[must_use]
pub fn play<'p>(
    project: &'p Project,
    workflow: &Workflow<'p>,
    job: &Job<'p>,
) -> (Vec<Run<'p>>, bool) {
    let (combos, whole) = matrix::expand(job.matrix());
    let own: Vec<Rc<Step<'p>>> = job.steps.iter().cloned().map(Rc::new).collect();
    let runs = combos
        .into_iter()
        .map(|combo| Player::new(project, workflow, job, combo).run(&own))
        .collect();
    (runs, whole)
}

/// Local actions in local actions deeper than this are not followed; GitHub allows ten.
const DEPTH_LIMIT: usize = 10;

/// Steps of one run; more than this come only from actions that use each other many times.
const STEP_LIMIT: usize = 2_000;

struct Player<'p, 'w> {
    project: &'p Project,
    workflow: &'w Workflow<'p>,
    job: &'w Job<'p>,
    combo: Combo,
    runner: Runner,
    /// Of the job and what steps wrote to `$GITHUB_ENV`.
    env: Rc<Env>,
    done: Vec<Did<'p>>,
}

/// What a local action's steps know of their use; a job's own steps are within nothing, and done.
#[derive(Clone)]
struct Within {
    inputs: BTreeMap<String, Val>,
    done: Option<bool>,
    depth: usize,
    index: Option<usize>,
}

impl Within {
    fn job() -> Self {
        Self {
            inputs: BTreeMap::new(),
            done: Some(true),
            depth: 0,
            index: None,
        }
    }
}

impl<'p, 'w> Player<'p, 'w> {
    fn new(
        project: &'p Project,
        workflow: &'w Workflow<'p>,
        job: &'w Job<'p>,
        combo: Combo,
    ) -> Self {
        let mut player = Self {
            project,
            workflow,
            job,
            combo,
            runner: Runner::of(Vec::new()),
            env: Rc::default(),
            done: Vec::new(),
        };
        player.runner = Runner::of(player.labels());
        let mut env = Env::new();
        player.add_env(
            &mut env,
            workflow.document().root.get("env"),
            &Within::job(),
        );
        player.add_env(&mut env, job.node.get("env"), &Within::job());
        player.env = Rc::new(env);
        player
    }

    fn labels(&self) -> Vec<String> {
        let Some(node) = self.job.node.get("runs-on") else {
            return Vec::new();
        };
        let labels = if node.is_mapping() {
            node.get("labels")
        } else {
            Some(node)
        };
        let empty = Within::job();
        let mut found: Vec<String> = labels
            .map(Node::strings)
            .unwrap_or_default()
            .iter()
            .flat_map(|label| self.label(label, &empty))
            .collect();
        if let Some(group) = node.get("group").and_then(Node::str) {
            found.push(format!("group:{group}"));
        }
        found
    }

    /// A label; what comes from a list in the matrix is several.
    fn label(&self, label: &str, within: &Within) -> Vec<String> {
        let template = Template::parse(label);
        if let [path] = template.paths().as_slice()
            && let Some(name) = path.strip_prefix("matrix.")
        {
            let list: Vec<String> = (0..8)
                .map_while(|index| {
                    self.combo
                        .iter()
                        .find(|(found, _)| *found == format!("{name}.{index}"))
                        .and_then(|(_, value)| value.text())
                })
                .collect();
            if !list.is_empty() {
                return list;
            }
        }
        vec![self.text(&template, within, &Env::new())]
    }

    fn run(mut self, own: &[Rc<Step<'p>>]) -> Run<'p> {
        self.steps(own, &Within::job());
        Run {
            combo: self.combo,
            runner: self.runner,
            steps: self.done,
        }
    }

    fn steps(&mut self, steps: &[Rc<Step<'p>>], within: &Within) {
        for step in steps {
            if self.done.len() >= STEP_LIMIT {
                return;
            }
            self.step(step, within);
        }
    }

    fn step(&mut self, step: &Rc<Step<'p>>, within: &Within) {
        let mut env = (*self.env).clone();
        self.add_env(&mut env, step.node.get("env"), within);
        let condition = step
            .condition
            .as_ref()
            .map(|condition| self.value(condition, within, &env));
        let own = condition.map_or(Some(true), |value| value.truth());
        let done = match (own, within.done) {
            (Some(false), _) | (_, Some(false)) => Some(false),
            (Some(true), Some(true)) => Some(true),
            _ => None,
        };
        let index = within.index.unwrap_or(step.index);
        let env = Rc::new(env);
        let local = step
            .uses
            .as_ref()
            .filter(|uses| uses.local())
            .and_then(|uses| self.project.action(&uses.name));
        let mut did = Did {
            step: Rc::clone(step),
            index,
            env: Rc::clone(&env),
            done,
            calls: Vec::new(),
            kind: actions::kind(step.action()),
        };
        let mut writes = Vec::new();
        if step.uses.is_some() {
            did.calls.extend(self.cargo_of_action(&did, within));
        } else {
            (did.calls, writes) = self.script(step, &env, within);
        }
        self.done.push(did);
        if done == Some(false) {
            return;
        }
        match local {
            Some(source) if within.depth < DEPTH_LIMIT => self.local(
                source,
                step,
                &env,
                Within {
                    done,
                    index: Some(index),
                    ..within.clone()
                },
            ),
            _ => self.export(step, &env),
        }
        self.write(writes, done);
    }

    /// The steps of a local action.
    fn local(&mut self, source: &'p super::Source, step: &Step<'p>, env: &Env, outer: Within) {
        let root = &source.document.root;
        let mut inputs = BTreeMap::new();
        for (key, said) in root.get("inputs").map(Node::entries).unwrap_or_default() {
            let Some(name) = key.str() else { continue };
            let given = step
                .with(name)
                .map(|text| self.value(&Template::parse(text), &outer, env));
            let value = given.or_else(|| {
                said.get("default")
                    .and_then(Node::str)
                    .map(|text| Val::Str(text.to_owned()))
            });
            inputs.insert(
                name.to_ascii_lowercase(),
                value.unwrap_or(Val::Str(String::new())),
            );
        }
        let within = Within {
            inputs,
            depth: outer.depth + 1,
            ..outer
        };
        let inner: Vec<Rc<Step<'p>>> = steps(source, root.at(&["runs", "steps"]))
            .into_iter()
            .map(Rc::new)
            .collect();
        self.steps(&inner, &within);
    }

    /// What an action exports to the steps that follow.
    fn export(&mut self, step: &Step<'p>, env: &Env) {
        let Some(known) = actions::find(step.action()) else {
            return;
        };
        for (name, value) in known.exports {
            let value = match *name {
                "RUSTFLAGS" => step.with("rustflags").unwrap_or(value),
                _ => value,
            };
            if !env.contains_key(*name) && !value.is_empty() {
                Rc::make_mut(&mut self.env).insert((*name).to_owned(), value.to_owned());
            }
        }
    }

    fn write(&mut self, writes: Vec<(String, String, bool)>, done: Option<bool>) {
        for (name, value, sure) in writes {
            let value = if done == Some(true) && sure {
                value
            } else {
                unsure(self.env.get(&name), &value)
            };
            Rc::make_mut(&mut self.env).insert(name, value);
        }
    }

    /// Commands of a script, and what it writes to `$GITHUB_ENV`.
    fn script(
        &self,
        step: &Step<'p>,
        env: &Rc<Env>,
        within: &Within,
    ) -> (Vec<Call>, Vec<(String, String, bool)>) {
        let mut local = Rc::clone(env);
        let mut calls = Vec::new();
        let mut writes = Vec::new();
        let mut directory = self.directory(step, within);
        for (index, command) in step.commands.iter().enumerate() {
            let known = local.clone();
            let lookup = |path: &str| self.path(path, within, &known);
            let variable = |name: &str| self.variable(name, &known);
            let words: Vec<String> = command
                .words
                .iter()
                .flat_map(|word| word.resolve(&lookup, &variable))
                .collect();
            let set: Vec<(String, String)> = command
                .env
                .iter()
                .map(|(name, value)| (name.clone(), value.text(&lookup, &variable)))
                .collect();
            if command.outputs.iter().any(|word| word.names("GITHUB_ENV")) {
                let text = printed(command, &words, &|word: &Word| {
                    word.text(&lookup, &variable)
                });
                writes.extend(
                    assignments(&text)
                        .into_iter()
                        .map(|(name, value)| (name, value, !command.conditional)),
                );
            }
            let program = words.first().map(String::as_str).unwrap_or_default();
            if matches!(
                program,
                "" | "export" | "declare" | "local" | "readonly" | "typeset"
            ) {
                let exported =
                    !program.is_empty() || set.iter().any(|(name, _)| known.contains_key(name));
                if exported || !set.is_empty() {
                    Rc::make_mut(&mut local).extend(set);
                }
                continue;
            }
            if matches!(program, "cd" | "pushd") && !command.inner {
                directory = format!(
                    "{directory}/{}",
                    words.get(1).map(String::as_str).unwrap_or_default()
                );
            }
            let mut own = Rc::clone(&local);
            if !set.is_empty() {
                Rc::make_mut(&mut own).extend(set);
            }
            let cargo = CargoCall::parse(&words).map(|cargo| CargoCall {
                directory: directory.clone(),
                ..cargo
            });
            calls.push(Call {
                words,
                env: own,
                line: step.script_line(command.line),
                command: index,
                conditional: command.conditional,
                looped: command.looped,
                cargo,
            });
        }
        (calls, writes)
    }

    /// The directory that a step's script begins in.
    fn directory(&self, step: &Step<'p>, within: &Within) -> String {
        let default = |root: &'p Node| root.at(&["defaults", "run", "working-directory"]);
        step.node
            .get("working-directory")
            .or_else(|| default(self.job.node))
            .or_else(|| default(&self.workflow.document().root))
            .and_then(Node::str)
            .map(|text| self.text(&Template::parse(text), within, &self.env))
            .unwrap_or_default()
            .trim_start_matches("./")
            .trim_end_matches('/')
            .to_owned()
    }

    /// The call of cargo's that an action makes.
    fn cargo_of_action(&self, did: &Did<'p>, within: &Within) -> Option<Call> {
        if did.kind != Kind::Cargo {
            return None;
        }
        let step = &did.step;
        let said = |name: &str| {
            step.with(name)
                .map(|text| self.text(&Template::parse(text), within, &did.env))
                .unwrap_or_default()
        };
        let fallback = if step.action().ends_with("clippy-check") {
            "clippy"
        } else {
            "build"
        };
        let command = Some(said("command"))
            .filter(|command| !command.is_empty())
            .unwrap_or_else(|| fallback.to_owned());
        let program = if said("use-cross") == "true" || step.action().ends_with("rust-cross") {
            "cross"
        } else {
            "cargo"
        };
        let mut words = vec![program.to_owned(), command];
        words.extend(said("args").split_whitespace().map(str::to_owned));
        let target = said("target");
        if !target.is_empty() {
            words.extend(["--target".to_owned(), target]);
        }
        let cargo = CargoCall::parse(&words);
        Some(Call {
            words,
            env: Rc::clone(&did.env),
            line: step.line(),
            command: 0,
            conditional: false,
            looped: false,
            cargo,
        })
    }

    fn add_env(&self, env: &mut Env, node: Option<&'p Node>, within: &Within) {
        for (key, value) in node.map(Node::entries).unwrap_or_default() {
            if let (Some(name), Some(value)) = (key.str(), value.str()) {
                let value = self.text(&Template::parse(value), within, env);
                env.insert(name.to_owned(), value);
            }
        }
    }

    fn variable(&self, name: &str, env: &Env) -> Option<String> {
        env.get(name)
            .filter(|value| !value.contains(UNKNOWN))
            .cloned()
    }

    fn text(&self, template: &Template, within: &Within, env: &Env) -> String {
        let lookup = |path: &str| self.path(path, within, env);
        let mut text = String::new();
        for piece in &template.pieces {
            match piece {
                crate::expr::Piece::Text(part) => text.push_str(part),
                crate::expr::Piece::Expr(expr) => {
                    match expr.as_ref().and_then(|expr| expr.eval(&lookup).text()) {
                        Some(part) => text.push_str(&part),
                        None => text.push(UNKNOWN),
                    }
                }
            }
        }
        text
    }

    fn value(&self, template: &Template, within: &Within, env: &Env) -> Val {
        template.eval(&|path: &str| self.path(path, within, env))
    }

    /// The value of a path of an expression.
    fn path(&self, path: &str, within: &Within, env: &Env) -> Val {
        let (context, name) = path.split_once('.').unwrap_or((path, ""));
        match context {
            "matrix" => match self.combo.iter().find(|(found, _)| found == name) {
                Some((_, value)) => value.clone(),
                None if self
                    .combo
                    .iter()
                    .any(|(found, _)| found.starts_with(&format!("{name}."))) =>
                {
                    Val::Unknown
                }
                // What this combination does not have is nothing, if the matrix is known at all.
                None if self.job.matrix().is_some_and(Node::is_mapping)
                    && !self.combo.is_empty() =>
                {
                    Val::Null
                }
                None => Val::Unknown,
            },
            "inputs" if within.depth == 0 => self
                .workflow
                .inputs
                .get(name)
                .cloned()
                .unwrap_or(Val::Unknown),
            "inputs" if within.depth > 0 => {
                within.inputs.get(name).cloned().unwrap_or(Val::Unknown)
            }
            "env" => {
                let found = env
                    .iter()
                    .find(|(found, _)| found.eq_ignore_ascii_case(name));
                found.map_or(Val::Null, |(_, value)| {
                    if value.contains(UNKNOWN) {
                        Val::Unknown
                    } else {
                        Val::Str(value.clone())
                    }
                })
            }
            "runner" => self.runner_value(name),
            _ => Val::Unknown,
        }
    }

    fn runner_value(&self, name: &str) -> Val {
        use super::runner::Os;
        match (name, self.runner.os, self.runner.arm) {
            ("os", Some(Os::Linux), _) => Val::Str("Linux".to_owned()),
            ("os", Some(Os::Macos), _) => Val::Str("macOS".to_owned()),
            ("os", Some(Os::Windows), _) => Val::Str("Windows".to_owned()),
            ("arch", _, Some(true)) => Val::Str("ARM64".to_owned()),
            ("arch", _, Some(false)) => Val::Str("X64".to_owned()),
            _ => Val::Unknown,
        }
    }
}

/// What a variable is after a write that may not have happened.
fn unsure(before: Option<&String>, value: &str) -> String {
    match before {
        Some(before) if before == value => value.to_owned(),
        _ => format!("{value}{UNKNOWN}"),
    }
}

/// What a command prints, as far as that is known: `echo`, `printf`, `cat` of a here-document.
fn printed(command: &shell::Command, words: &[String], text: &dyn Fn(&Word) -> String) -> String {
    if let Some(input) = &command.input {
        return text(input);
    }
    match words.first().map(String::as_str) {
        Some("echo" | "printf" | "Write-Output") => {
            let words: Vec<String> = command.words.iter().skip(1).map(text).collect();
            words
                .iter()
                .filter(|word| !word.starts_with('-'))
                .map(String::as_str)
                .collect::<Vec<_>>()
                .join(" ")
                .replace("\\n", "\n")
        }
        Some(literal) if literal.contains('=') => literal.to_owned(),
        _ => String::new(),
    }
}

fn assignments(text: &str) -> Vec<(String, String)> {
    text.lines()
        .filter_map(|line| line.trim().split_once('='))
        .filter(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        })
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect()
}
