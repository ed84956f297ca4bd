//! Build scripts that run each time, and take their time.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_events::{EventKind, Refusal, StepEvent};
use rekindle_report::words::duration;

use super::super::context::Context;
use super::super::kinds::SCRIPT_EACH_TIME;
use super::super::logs;
use super::super::model::{Finding, Outcome};

/// Scripts that take less are not worth a word.
const MIN_US: u64 = 1_000_000;

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let Some(layout) = &context.layout else {
        return Outcome::skipped("this is no project of cargo's");
    };
    let root = rekindle_fsx::canonicalize(&layout.workspace_root);
    let root = root.unwrap_or_else(|_| layout.workspace_root.clone());
    // Of each package the newest run counts, also where it was used again since.
    let mut newest: BTreeMap<String, StepEvent> = BTreeMap::new();
    for log in logs::of_workspace(context, &root) {
        for event in log.events.into_iter().rev() {
            if let EventKind::Step(step) = event.kind
                && step.kind == "build-script"
            {
                newest.entry(step.package.clone()).or_insert(*step);
            }
        }
    }
    if newest.is_empty() {
        return Outcome::skipped("no run of this project is recorded in which a build script ran");
    }
    // What the project depended on before is no matter now.
    let lock = rekindle_fsx::read(&root.join("Cargo.lock")).unwrap_or_default();
    let lock = String::from_utf8_lossy(&lock);
    let is_locked = |package: &str| lock.contains(&format!("name = \"{package}\"\n"));
    newest.retain(|package, _| lock.is_empty() || is_locked(package));
    let count = newest.len();
    let each_time = newest.into_values().filter(|step| {
        let can_be_trusted = step.refused.as_ref().is_some_and(Refusal::can_be_trusted);
        can_be_trusted && step.times.run_us >= MIN_US
    });
    let findings = finding(&each_time.collect::<Vec<_>>());
    Outcome::new(
        format!("{count} build scripts, as recorded"),
        findings.into_iter().collect(),
    )
}

fn finding(steps: &[StepEvent]) -> Option<Finding> {
    let packages: BTreeSet<&str> = steps.iter().map(|step| step.package.as_str()).collect();
    let packages: Vec<&str> = packages.into_iter().collect();
    let title = match packages.as_slice() {
        [] => return None,
        [one] => format!("the build script of {one} runs each time"),
        more => format!("the build scripts of {} packages run each time", more.len()),
    };
    let next = format!(
        "if what they make does not depend on that, set `build.trusted-scripts = [\"{}\"]` in your own configuration, or \
         `REKINDLE_TRUSTED_SCRIPTS={}`: such runs are used again then",
        packages.join("\", \""),
        packages.join(",")
    );
    let mut finding = Finding::new(&SCRIPT_EACH_TIME, title, next);
    for step in steps {
        let why = step.refused.as_ref().map(ToString::to_string);
        finding = finding.seen(format!(
            "{} {} took {}: {}",
            step.package,
            step.version,
            duration(step.times.run_us / 1000),
            why.unwrap_or_default()
        ));
    }
    Some(finding)
}
