//! Tests that are optimised over all crates.

use std::collections::BTreeSet;

use super::is_compiled;
use crate::advice::rates::{LIBRARIES_WITHOUT_LTO, WITHOUT_LTO, WITHOUT_LTO_LEAST, of};
use crate::advice::words::of_us;
use crate::advice::{Advice, Gain, Model, Rule};
use crate::graph::Job;

/// Commands whose programs nobody ships.
const TESTING: &[&str] = &["test", "t", "nextest", "llvm-cov", "tarpaulin", "miri"];

pub(in crate::advice) const RULE: Rule = Rule {
    id: "lto-in-tests",
    threshold: "a unit of a test run, or a test, is compiled with link-time optimisation over all crates",
    gain: "these units take what was measured to remain without it, and the libraries behind them longer; a bound where a run \
           compiled so many of these that they decide",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    let is_testing = TESTING.contains(&model.facts.command.as_str());
    let pays = |job: &Job| {
        is_compiled(job)
            && job.links
            && job.options.lto.is_some()
            && (is_testing || job.kind == "test")
    };
    let all = model.facts.graph.jobs();
    let paying: Vec<usize> = (0..all.len()).filter(|&index| pays(&all[index])).collect();
    let first = &all[*paying.first()?];
    let number = paying.len();
    let compile_us: u64 = paying
        .iter()
        .map(|&index| all[index].parts.compile_us())
        .sum();
    let lto = first.options.lto.as_deref().unwrap_or_default();
    Some(Advice {
        id: RULE.id,
        title: format!("tests are compiled with {lto} link-time optimisation, which nobody ships"),
        evidence: vec![format!(
            "{number} units with `lto = \"{lto}\"` took {}, as {}",
            of_us(compile_us),
            first.name()
        )],
        gain: gain(model, &paying, pays),
        remedy: vec![
            "give CI's tests a profile of their own: `[profile.ci] inherits = \"release\"`, `lto = \"off\"`, `codegen-units = 16`, and `--profile ci`".to_owned(),
            "or set CARGO_PROFILE_RELEASE_LTO=off in the jobs that test".to_owned(),
        ],
    })
}

/// What the paying units no longer do is about known, and what libraries do instead much less: where that is a large
/// part of it, only a bound is.
fn gain(model: &Model<'_>, paying: &[usize], pays: impl Fn(&Job) -> bool) -> Gain {
    let all = model.facts.graph.jobs();
    let libraries = libraries_behind(all, paying);
    let is_library = |job: &Job| libraries.contains(&(job.package.as_str(), job.id.as_str()));
    let saved_ms = |of_paying: u64, of_libraries: u64| {
        model.saved_ms(|job| {
            let percent = if pays(job) {
                of_paying
            } else if is_library(job) {
                of_libraries
            } else {
                100
            };
            let mut parts = job.parts;
            parts.front_us = of(parts.front_us, percent);
            parts.codegen_us = of(parts.codegen_us, percent);
            parts
        })
    };
    let alone_ms = saved_ms(WITHOUT_LTO, 100);
    let both_ms = saved_ms(WITHOUT_LTO, LIBRARIES_WITHOUT_LTO);
    if both_ms >= alone_ms - alone_ms / 4 {
        Gain::About(both_ms)
    } else {
        Gain::AtMost(saved_ms(WITHOUT_LTO_LEAST, 100))
    }
}

/// The libraries that were compiled and whose code such units are made of, by package and id: what is behind a
/// procedural macro or a build script is not in them.
fn libraries_behind<'a>(all: &'a [Job], paying: &[usize]) -> BTreeSet<(&'a str, &'a str)> {
    let mut seen = BTreeSet::new();
    let mut pending = paying.to_vec();
    let mut libraries = BTreeSet::new();
    while let Some(index) = pending.pop() {
        for dependency in &all[index].dependencies {
            let job = &all[dependency.on];
            // Programs, macros and build scripts link; runs of scripts start them.
            if job.is_run() || job.links || !seen.insert(dependency.on) {
                continue;
            }
            if is_compiled(job) {
                libraries.insert((job.package.as_str(), job.id.as_str()));
            }
            pending.push(dependency.on);
        }
    }
    libraries
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::{end, job};
    use crate::graph::{Gaps, Graph};

    fn found(command: &str, kind: &str, lto: Option<&str>) -> Option<Advice> {
        let mut app = job("app", [10, 0], &[]);
        app.kind = kind.to_owned();
        app.links = true;
        app.options.lto = lto.map(ToOwned::to_owned);
        let facts = Facts {
            graph: Graph::new(vec![app], Gaps::default()),
            cores: 1,
            wall_ms: 10_000,
            command: command.to_owned(),
            ..Facts::default()
        };
        said_by(&RULE, &facts)
    }

    #[test]
    fn what_is_shipped_may_be_optimised() {
        assert_eq!(found("build", "bin", Some("fat")), None);
        assert_eq!(found("test", "bin", None), None);
        let advice = found("test", "bin", Some("fat")).unwrap();
        assert_eq!(advice.gain, Gain::About(10_000 - WITHOUT_LTO * 100));
        assert!(found("build", "test", Some("thin")).is_some());
    }

    fn behind(library_s: u64, kind: &str) -> Gain {
        let mut app = job("app", [10, 0], &[end(0)]);
        app.links = true;
        app.options.lto = Some("fat".to_owned());
        let mut library = job("library", [library_s, 0], &[]);
        kind.clone_into(&mut library.kind);
        library.links = kind == "proc-macro";
        let facts = Facts {
            graph: Graph::new(vec![library, app], Gaps::default()),
            cores: 1,
            wall_ms: (10 + library_s) * 1000,
            command: "test".to_owned(),
            ..Facts::default()
        };
        said_by(&RULE, &facts).unwrap().gain
    }

    #[test]
    fn libraries_make_machine_code_instead() {
        let more = |seconds: u64| (LIBRARIES_WITHOUT_LTO - 100) * seconds * 10;
        let alone = 10_000 - WITHOUT_LTO * 100;
        assert_eq!(behind(5, "lib"), Gain::About(alone - more(5)));
        assert_eq!(behind(5, "proc-macro"), Gain::About(alone));
        assert_eq!(
            behind(20, "lib"),
            Gain::AtMost(10_000 - WITHOUT_LTO_LEAST * 100)
        );
    }
}
