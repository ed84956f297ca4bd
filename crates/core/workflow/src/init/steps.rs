//! Lines and steps that both workflows have.

use crate::findings::image_has;

use super::Project;
use crate::pins::{Pin, pin};

/// What a job's lines are collected in.
#[derive(Default)]
pub(super) struct Lines(String);

impl Lines {
    /// Adds lines at an indent; empty ones stay empty.
    pub(super) fn add<'l>(
        &mut self,
        indent: usize,
        lines: impl IntoIterator<Item = &'l str>,
    ) -> &mut Self {
        for line in lines
            .into_iter()
            .flat_map(|text| text.trim_end_matches('\n').split('\n'))
        {
            if !line.is_empty() {
                self.0.push_str(&" ".repeat(indent));
                self.0.push_str(line);
            }
            self.0.push('\n');
        }
        self
    }

    pub(super) fn text(self) -> String {
        self.0
    }
}

/// One job.
pub(super) struct Job<'a> {
    pub(super) id: &'a str,
    pub(super) name: &'a str,
    /// Lines before `steps`, at the job's indent.
    pub(super) head: Vec<String>,
    pub(super) timeout_minutes: u32,
    pub(super) permissions: &'a [&'a str],
    pub(super) steps: Vec<String>,
}

/// What reads the sources and nothing else.
pub(super) const READ: &[&str] = &["contents: read # to check out"];
/// The runner of jobs that need no other.
pub(super) const RUNNER: &str = "runs-on: ubuntu-24.04";

impl Job<'_> {
    pub(super) fn write(&self, lines: &mut Lines) {
        lines.add(
            2,
            [
                &*format!("{}:", self.id),
                &*format!("  name: {}", self.name),
            ],
        );
        lines.add(4, self.head.iter().map(String::as_str));
        lines.add(
            4,
            [
                &*format!("timeout-minutes: {}", self.timeout_minutes),
                "permissions:",
            ],
        );
        lines.add(6, self.permissions.iter().copied());
        lines.add(4, ["steps:"]);
        lines.add(6, self.steps.iter().map(String::as_str));
    }
}

pub(super) fn step(name: &str, rest: &[&str]) -> String {
    let mut text = format!("- name: {name}\n");
    for line in rest {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// A step that runs commands, each a line.
pub(super) fn run(name: &str, commands: &[String]) -> String {
    match commands {
        [one] if !one.contains(": ") && !one.contains(" #") => {
            step(name, &[&format!("run: {one}")])
        }
        _ => {
            let commands: Vec<String> = commands
                .iter()
                .map(|command| format!("  {command}"))
                .collect();
            let mut rest = vec!["run: |"];
            rest.extend(commands.iter().map(String::as_str));
            step(name, &rest)
        }
    }
}

pub(super) fn checkout() -> String {
    let uses = format!("uses: {}", pin("checkout"));
    step(
        "Check out",
        &[&uses, "with:", "  persist-credentials: false"],
    )
}

/// Installs packages of the system that the runner's image has not; nothing where there are none.
pub(super) fn apt(packages: &[&str]) -> Option<String> {
    let packages = packages.iter().filter(|package| !image_has(package));
    let packages: Vec<&str> = packages.copied().collect();
    if packages.is_empty() {
        return None;
    }
    let install = format!(
        "sudo apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    );
    Some(run(
        "Install libraries of the system",
        &["sudo apt-get update".to_owned(), install],
    ))
}

/// Which toolchain a job takes.
#[derive(Clone, Copy)]
pub(super) struct Toolchain<'a> {
    /// A version, where it is not the project's own.
    pub(super) version: Option<&'a str>,
    pub(super) components: &'a [&'a str],
    /// A target, or a variable with one in it.
    pub(super) target: Option<&'a str>,
}

impl<'a> Toolchain<'a> {
    /// The project's own, without anything beside it.
    pub(super) fn own(target: Option<&'a str>) -> Self {
        Self {
            version: None,
            components: &[],
            target,
        }
    }
}

/// Installs Rust by the rustup that runners have.
pub(super) fn rust(project: &Project, toolchain: Toolchain<'_>) -> String {
    let Toolchain {
        version,
        components,
        target,
    } = toolchain;
    let mut commands = Vec::new();
    if project.has_toolchain_file && version.is_none() {
        commands.push("rustup toolchain install".to_owned());
        if !components.is_empty() {
            commands.push(format!("rustup component add {}", components.join(" ")));
        }
        commands.extend(target.map(|target| format!("rustup target add {target}")));
    } else {
        let version = version.unwrap_or("stable");
        let mut install =
            format!("rustup toolchain install {version} --profile minimal --no-self-update");
        if !components.is_empty() {
            install.push_str(&format!(" --component {}", components.join(",")));
        }
        if let Some(target) = target {
            install.push_str(&format!(" --target {target}"));
        }
        commands.push(install);
        commands.push(format!("rustup default {version}"));
    }
    run("Install Rust", &commands)
}

/// Rekindle's own step.
pub(super) fn rekindle(pin: Option<&Pin>, saves: bool) -> Option<String> {
    let uses = format!("uses: {}", pin?);
    let mut rest = vec![&*uses];
    if !saves {
        rest.extend(["with:", "  save: never"]);
    }
    Some(step("Bring back what was built before", &rest))
}

/// ` --locked`, where there is a lock file.
pub(super) fn locked(project: &Project) -> &'static str {
    if project.is_locked { " --locked" } else { "" }
}
