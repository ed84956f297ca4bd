//! Build scripts that run each time, and take their time.

use rekindle_events::{EventKind, Refusal, StepEvent};
use rekindle_report::words::duration;

use super::super::context::Context;
use super::super::kinds::SCRIPT_EACH_TIME;
use super::super::model::{Finding, Outcome};

/// Scripts that take less are not worth a word.
const MIN_US: u64 = 1_000_000;

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let Some(recorded) = context.recorded() else {
        return Outcome::skipped("this is no project of cargo's");
    };
    let mut scripts: Vec<&StepEvent> = recorded.newest.values().filter_map(script).collect();
    if scripts.is_empty() {
        return Outcome::skipped("no run of this project is recorded in which a build script ran");
    }
    // What the project depended on before is no matter now.
    let lock = rekindle_fsx::read(&recorded.root.join("Cargo.lock")).unwrap_or_default();
    let lock = String::from_utf8_lossy(&lock);
    let is_locked = |package: &str| lock.contains(&format!("name = \"{package}\"\n"));
    scripts.retain(|step| lock.is_empty() || is_locked(&step.package));
    let count = scripts.len();
    scripts.retain(|step| {
        let can_be_trusted = step.refused.as_ref().is_some_and(Refusal::can_be_trusted);
        can_be_trusted && step.times.run_us >= MIN_US
    });
    let findings = finding(&scripts);
    Outcome::new(
        format!("{count} build scripts, as recorded"),
        findings.into_iter().collect(),
    )
}

fn script(event: &EventKind) -> Option<&StepEvent> {
    match event {
        EventKind::Step(step) => Some(step),
        _ => None,
    }
}

/// Of scripts that run each time, one of each package.
fn finding(steps: &[&StepEvent]) -> Option<Finding> {
    let packages: Vec<&str> = steps.iter().map(|step| step.package.as_str()).collect();
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
