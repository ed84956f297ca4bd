//! Tests that are optimised over all crates.

use super::is_compiled;
use crate::advice::rates::{WITHOUT_LTO, of};
use crate::advice::words::of_us;
use crate::advice::{Advice, Gain, Model, Rule};
use crate::graph::Job;

/// Commands whose programs nobody ships.
const TESTING: &[&str] = &["test", "t", "nextest", "llvm-cov", "tarpaulin", "miri"];

pub(in crate::advice) const RULE: Rule = Rule {
    id: "lto-in-tests",
    threshold: "a unit of a test run, or a test, is compiled with link-time optimisation over all crates",
    gain: "a bound: these units take the least that was measured to remain without it, and libraries no longer",
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
    let jobs = model.facts.graph.jobs().iter().filter(|job| pays(job));
    let number = jobs.clone().count();
    let compile_us: u64 = jobs.clone().map(|job| job.parts.compile_us()).sum();
    let first = jobs.clone().next()?;
    let lto = first.options.lto.as_deref().unwrap_or_default();
    let saved_ms = model.saved_ms(|job| {
        let mut parts = job.parts;
        if pays(job) {
            parts.front_us = of(parts.front_us, WITHOUT_LTO);
            parts.codegen_us = of(parts.codegen_us, WITHOUT_LTO);
        }
        parts
    });
    Some(Advice {
        id: RULE.id,
        title: format!("tests are compiled with {lto} link-time optimisation, which nobody ships"),
        evidence: vec![format!(
            "{number} units with `lto = \"{lto}\"` took {}, as {}",
            of_us(compile_us),
            first.name()
        )],
        gain: Gain::AtMost(saved_ms),
        remedy: vec![
            "give CI's tests a profile of their own: `[profile.ci] inherits = \"release\"`, `lto = \"off\"`, `codegen-units = 16`, and `--profile ci`".to_owned(),
            "or set CARGO_PROFILE_RELEASE_LTO=off in the jobs that test".to_owned(),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::job;
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
        assert_eq!(advice.gain, Gain::AtMost(10_000 - WITHOUT_LTO * 100));
        assert!(found("build", "test", Some("thin")).is_some());
    }
}
