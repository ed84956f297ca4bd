//! `ci.yml`: what every change must pass.

use crate::yaml::edit::plain;

use super::steps::{
    Job, Lines, READ, RUNNER, Toolchain, apt, checkout, locked, rekindle, run, rust,
};
use super::{Package, Project};
use crate::findings::CONCURRENCY;
use crate::pins::Pin;

/// A target without any system that rustup has the core library for; what builds there needs no `std`.
const BARE_TARGET: &str = "thumbv7em-none-eabi";

/// The whole workflow. Without a pin there is no step of Rekindle's.
#[must_use]
pub fn ci(project: &Project, action: Option<&Pin>) -> String {
    let mut lines = Lines::default();
    head(project, &mut lines);
    for (at, job) in jobs(project, action).iter().enumerate() {
        if at > 0 {
            lines.add(0, [""]);
        }
        job.write(&mut lines);
    }
    lines.text()
}

fn head(project: &Project, lines: &mut Lines) {
    lines.add(
        0,
        [
            "# Written by `rekindle init`. It is yours: it is not written again.",
            "name: CI",
            "",
            "on:",
            "  push:",
        ],
    );
    lines.add(
        4,
        ["branches:", &*format!("  - {}", plain(&project.branch))],
    );
    let without = ignored(project);
    let without: Vec<&str> = without.iter().map(String::as_str).collect();
    lines.add(4, without.iter().copied());
    lines.add(2, ["pull_request:"]);
    lines.add(4, without.iter().copied());
    lines.add(
        0,
        [
            "",
            "# Each job says below what it may do.",
            "permissions: {}",
            "",
        ],
    );
    lines.add(0, CONCURRENCY.iter().copied());
    lines.add(0, ["", "env:", "  CARGO_TERM_COLOR: always"]);
    if !project.says_debug {
        lines.add(2, ["# Panics keep their lines; what only debuggers read is not written, linked and kept.", "CARGO_PROFILE_DEV_DEBUG: 1"]);
    }
    lines.add(2, environment(project).iter().copied());
    lines.add(0, ["", "jobs:"]);
}

/// Variables that both workflows' builds need.
pub(super) fn environment(project: &Project) -> &'static [&'static str] {
    if project.has_prepared_queries {
        &[
            "# Queries are checked by what `cargo sqlx prepare` wrote.",
            "SQLX_OFFLINE: \"true\"",
        ]
    } else {
        &[]
    }
}

/// Changes of these alone need no run. Where tests read Markdown, only what they are not seen to read.
fn ignored(project: &Project) -> Vec<String> {
    const DOCUMENTS: &[&str] = &["CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/**"];
    let read = &project.documents;
    let all = if read.is_empty() {
        &["**.md"]
    } else {
        DOCUMENTS
    };
    let unread = all.iter().filter(|pattern| {
        let stem = pattern.trim_end_matches("**");
        !read.iter().any(|path| path.contains(stem))
    });
    let mut lines = vec!["paths-ignore:".to_owned()];
    lines.extend(unread.map(|pattern| format!("  - \"{pattern}\"")));
    // A key without values would be none.
    if lines.len() == 1 { Vec::new() } else { lines }
}

fn jobs<'a>(project: &'a Project, action: Option<&Pin>) -> Vec<Job<'a>> {
    let mut jobs = vec![lint(project, action)];
    jobs.push(match &project.bare_target {
        Some(target) => bare(project, target, action),
        None => test(project, action),
    });
    jobs.extend(
        project
            .msrv
            .as_deref()
            .map(|version| msrv(project, version, action)),
    );
    let no_std: Vec<&Package> = project
        .packages
        .iter()
        .filter(|package| package.is_no_std)
        .collect();
    if !no_std.is_empty() && project.bare_target.is_none() {
        jobs.push(without_std(project, &no_std, action));
    }
    jobs
}

fn job<'a>(id: &'a str, name: &'a str, timeout_minutes: u32, steps: Vec<String>) -> Job<'a> {
    Job {
        id,
        name,
        head: vec![RUNNER.to_owned()],
        timeout_minutes,
        permissions: READ,
        steps,
    }
}

/// What each job begins with.
fn begin(project: &Project, toolchain: Toolchain<'_>, action: Option<&Pin>) -> Vec<String> {
    let packages: Vec<&str> = packages(project);
    let mut steps = vec![checkout()];
    steps.extend(apt(&packages));
    steps.push(rust(project, toolchain));
    steps.extend(rekindle(action, true));
    steps
}

/// Packages of the system that a build needs, linkers included.
pub(super) fn packages(project: &Project) -> Vec<&str> {
    let all = project.apt.iter().chain(&project.linkers);
    all.map(String::as_str).collect()
}

fn lint<'a>(project: &Project, action: Option<&Pin>) -> Job<'a> {
    let components = &["clippy", "rustfmt"];
    // `--all-targets` would ask for tests, which a bare target has no harness for.
    let targets = if project.bare_target.is_some() {
        ""
    } else {
        " --all-targets"
    };
    let mut steps = begin(
        project,
        Toolchain {
            version: None,
            components,
            target: project.bare_target.as_deref(),
        },
        action,
    );
    steps.push(run(
        "See that it is formatted",
        &["cargo fmt --all --check".to_owned()],
    ));
    steps.push(run(
        "Lint",
        &[format!(
            "cargo clippy --workspace{targets}{} -- --deny warnings",
            locked(project)
        )],
    ));
    job("lint", "Lint", 30, steps)
}

fn test<'a>(project: &Project, action: Option<&Pin>) -> Job<'a> {
    let mut steps = begin(project, Toolchain::own(None), action);
    steps.push(run(
        "Test",
        &[format!("cargo test --workspace{}", locked(project))],
    ));
    job("test", "Test", 45, steps)
}

fn bare<'a>(project: &Project, target: &str, action: Option<&Pin>) -> Job<'a> {
    let mut steps = begin(project, Toolchain::own(Some(target)), action);
    steps.push(run(
        "Build",
        &[format!("cargo build --workspace{}", locked(project))],
    ));
    job("build", "Build", 45, steps)
}

fn msrv<'a>(project: &Project, version: &str, action: Option<&Pin>) -> Job<'a> {
    let target = project.bare_target.as_deref();
    let mut steps = begin(
        project,
        Toolchain {
            version: Some(version),
            components: &[],
            target,
        },
        action,
    );
    // A toolchain file would win over the default.
    let check = format!("cargo +{version} check --workspace{}", locked(project));
    steps.push(run(
        "Check with the oldest compiler that is promised",
        &[check],
    ));
    job("msrv", "Oldest compiler", 30, steps)
}

fn without_std<'a>(project: &Project, packages: &[&Package], action: Option<&Pin>) -> Job<'a> {
    let mut steps = begin(project, Toolchain::own(Some(BARE_TARGET)), action);
    let builds = packages.iter().map(|package| {
        let locked = locked(project);
        format!(
            "cargo build --package {} --lib --no-default-features --target {BARE_TARGET}{locked}",
            package.name
        )
    });
    let builds: Vec<String> = builds.collect();
    steps.push(run("Build where there is no standard library", &builds));
    job("no-std", "Without the standard library", 30, steps)
}
