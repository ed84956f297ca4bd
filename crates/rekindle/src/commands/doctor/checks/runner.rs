//! Runners of GitHub's on this machine: service, version, last errors.

use std::path::Path;

use super::super::context::Context;
use super::super::fix::{Fix, Step};
use super::super::kinds::{
    RUNNER_ERRORS, RUNNER_OLD, RUNNER_REFUSED, RUNNER_STALE, RUNNER_STOPPED,
};
use super::super::machine::utc;
use super::super::model::{Finding, Outcome};
use super::super::runner::{self, Runner, Unit, Version};

/// What GitHub says to a runner that it gives no jobs to.
const REFUSAL: &str = "is deprecated and cannot receive messages";

const DAY_NS: i64 = 24 * 3600 * 1_000_000_000;

/// Which versions are accepted, as of a day. Read from `runner_versions.toml`.
struct Accepted {
    as_of: String,
    runs: Version,
    runs_source: String,
    newest: Version,
    newest_by: String,
    grace_days: i64,
    grace_source: String,
}

impl Accepted {
    fn read() -> Option<Self> {
        let table: toml::Table = include_str!("../runner_versions.toml").parse().ok()?;
        let text = |key: &str| Some(table.get(key)?.as_str()?.to_owned());
        Some(Self {
            as_of: text("as_of")?,
            runs: Version::parse(&text("runs")?)?,
            runs_source: text("runs_source")?,
            newest: Version::parse(&text("newest")?)?,
            newest_by: text("newest_by")?,
            grace_days: table.get("grace_days")?.as_integer()?,
            grace_source: text("grace_source")?,
        })
    }
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let units = runner::units(context);
    let runners = runner::installed(context, &units);
    if units.is_empty() && runners.is_empty() {
        return Outcome::skipped("none is installed on this machine");
    }
    let mut findings = Vec::new();
    for unit in &units {
        findings.extend(left_behind(unit));
        findings.extend(stopped(context, unit));
    }
    for runner in &runners {
        findings.extend(without_service(runner, &units));
        findings.extend(version(context, runner));
    }
    let shown: Vec<String> = runners
        .iter()
        .map(|runner| {
            let version = runner
                .version
                .map_or_else(String::new, |version| format!(" {version}"));
            let state = if runner::is_listening(context, &runner.dir) {
                "listening"
            } else {
                "not running"
            };
            format!(
                "{}{version} in {} ({state})",
                runner.name,
                runner.dir.display()
            )
        })
        .collect();
    Outcome::new(shown.join("; "), findings)
}

/// A unit whose runner is gone.
fn left_behind(unit: &Unit) -> Option<Finding> {
    let dir = unit.dir.as_ref()?;
    if rekindle_fsx::exists(&dir.join(".runner")) {
        return None;
    }
    let mut steps = vec![Step::Aside {
        path: unit.file.clone(),
    }];
    let wanted = unit
        .file
        .with_file_name("multi-user.target.wants")
        .join(&unit.name);
    if rekindle_fsx::exists(&wanted) {
        steps.insert(0, Step::Aside { path: wanted });
    }
    let summary = format!("move {} aside", unit.file.display());
    Some(
        Finding::new(
            &RUNNER_STALE,
            format!("the service {} is of a runner that is gone", unit.name),
            format!(
                "remove {}, or install the runner again",
                unit.file.display()
            ),
        )
        .seen(format!("there is no runner in {}", dir.display()))
        .fixed_by(Fix::new(summary, steps)),
    )
}

/// A runner whose unit is gone.
fn without_service(runner: &Runner, units: &[Unit]) -> Option<Finding> {
    let service = runner.service.as_ref()?;
    if units.iter().any(|unit| unit.name == *service) {
        return None;
    }
    let file = runner.dir.join(".service");
    let step = Step::Aside { path: file.clone() };
    let summary = format!(
        "move {} aside, so that `svc.sh install` works again",
        file.display()
    );
    Some(
        Finding::new(
            &RUNNER_STALE,
            format!("the runner {} names a service that is gone", runner.name),
            format!(
                "in {}: `sudo ./svc.sh install && sudo ./svc.sh start`",
                runner.dir.display()
            ),
        )
        .seen(format!("{} says {service}", file.display()))
        .fixed_by(Fix::new(summary, vec![step])),
    )
}

fn stopped(context: &Context<'_>, unit: &Unit) -> Option<Finding> {
    let dir = unit
        .dir
        .as_ref()
        .filter(|dir| rekindle_fsx::exists(&dir.join(".runner")))?;
    let state = runner::state(context, &unit.name)?;
    if matches!(state.active.as_str(), "active" | "activating" | "reloading") {
        return None;
    }
    let step = Step::Run {
        program: "systemctl".into(),
        arguments: vec!["start".to_owned(), unit.name.clone()],
        undo: format!("systemctl stop {}", unit.name),
    };
    Some(
        Finding::new(
            &RUNNER_STOPPED,
            format!(
                "the runner in {} is installed as a service and does not run",
                dir.display()
            ),
            format!(
                "`systemctl start {}`; `journalctl -u {}` says why it ended",
                unit.name, unit.name
            ),
        )
        .seen(format!(
            "systemd says {}, and of its end {}",
            state.active, state.result
        ))
        .fixed_by(Fix::new("start the service", vec![step])),
    )
}

/// What GitHub itself said counts most; then what is known of versions; another last error comes after.
fn version(context: &Context<'_>, runner: &Runner) -> Option<Finding> {
    let next = update(runner);
    let error = runner.last_error.as_deref();
    let diag = runner.dir.join("_diag");
    if let Some(line) = error.filter(|line| line.contains(REFUSAL)) {
        let title = format!("GitHub gives no jobs to the runner {}", runner.name);
        let finding = Finding::new(&RUNNER_REFUSED, title, next);
        return Some(
            finding
                .seen(format!("the newest log in {} ends with", diag.display()))
                .seen(line),
        );
    }
    let accepted = Accepted::read();
    if let (Some(version), Some(accepted), true) = (runner.version, accepted, runner.public)
        && let Some(finding) = judged(version, &accepted, context.machine.now_ns, runner)
    {
        return Some(finding);
    }
    error.map(|line| {
        Finding::new(
            &RUNNER_ERRORS,
            format!("the runner {} ended with an error", runner.name),
            format!("look into the newest log in {}", diag.display()),
        )
        .seen(line)
    })
}

fn judged(version: Version, accepted: &Accepted, now_ns: i64, runner: &Runner) -> Option<Finding> {
    let next = update(runner);
    if version < accepted.runs {
        let title = format!("GitHub gives no jobs to a runner {version}");
        return Some(
            Finding::new(&RUNNER_REFUSED, title, next)
                .seen(format!("{} is in {}", runner.name, runner.dir.display()))
                .seen(format!(
                    "{} is the least that is accepted, as of {}: {}",
                    accepted.runs, accepted.as_of, accepted.runs_source
                )),
        );
    }
    let today = utc(now_ns - accepted.grace_days * DAY_NS);
    let is_over = today.split(' ').next()? > accepted.newest_by.as_str();
    if version >= accepted.newest || !is_over {
        return None;
    }
    let finding = Finding::new(
        &RUNNER_OLD,
        format!(
            "the runner {} is {version}, and {} is out",
            runner.name, accepted.newest
        ),
        next,
    )
    .seen(format!(
        "{} was out by {}; GitHub grants {} days: {}",
        accepted.newest, accepted.newest_by, accepted.grace_days, accepted.grace_source
    ));
    Some(if runner.never_updates {
        finding.seen("its updates are switched off (`--disableupdate`)")
    } else {
        finding
    })
}

fn update(runner: &Runner) -> String {
    let at = |dir: &Path| dir.display().to_string();
    format!(
        "install the newest release over {} (https://github.com/actions/runner/releases), then start it again",
        at(&runner.dir)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runner(version: &str) -> Runner {
        Runner {
            dir: "/srv/r".into(),
            name: "box".into(),
            public: true,
            never_updates: false,
            service: None,
            version: Version::parse(version),
            last_error: None,
        }
    }

    #[test]
    fn the_data_file_is_whole() {
        let accepted = Accepted::read().unwrap();
        assert!(accepted.runs < accepted.newest);
        assert!(accepted.as_of > accepted.newest_by);
        for source in [accepted.runs_source, accepted.grace_source] {
            assert!(source.starts_with("https://"));
        }
    }

    #[test]
    fn versions_are_judged_by_what_was_seen_and_by_the_rule() {
        let accepted = || Accepted {
            as_of: "2026-11-26".into(),
            runs: Version::parse("2.335.0").unwrap(),
            runs_source: "s".into(),
            newest: Version::parse("2.337.0").unwrap(),
            newest_by: "2026-09-13".into(),
            grace_days: 30,
            grace_source: "g".into(),
        };
        // 2026-11-26 and 2026-09-20.
        let (late, early) = (20_783 * DAY_NS, 20_716 * DAY_NS);
        let check = |version: &str, now_ns: i64, expected: Option<&str>| {
            let parsed = Version::parse(version).unwrap();
            let found = judged(parsed, &accepted(), now_ns, &runner(version));
            assert_eq!(found.map(|finding| finding.kind.id), expected, "{version}");
        };
        check("2.334.0", early, Some("runner-version-refused"));
        check("2.336.0", early, None);
        check("2.336.0", late, Some("runner-version-old"));
        check("2.337.0", late, None);
        check("2.340.0", late, None);
    }
}
