//! Debug information that nobody reads.

use super::is_compiled;
use crate::advice::words::{of_us, percent};
use crate::advice::{Advice, Gain, Model, Rule, rates};
use crate::graph::Job;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "debug-info-in-ci",
    threshold: "a CI run compiles units with full or limited debug information",
    gain: "their codegen and linking take what measured rates say remains without it",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    if !model.facts.is_ci {
        return None;
    }
    let with_debug = |job: &&Job| {
        is_compiled(job)
            && matches!(
                job.options.debug.as_deref(),
                Some("1" | "2" | "limited" | "full")
            )
    };
    let jobs = model.facts.graph.jobs().iter().filter(with_debug);
    let number = jobs.clone().count() as u64;
    if number == 0 {
        return None;
    }
    let all = model
        .facts
        .graph
        .jobs()
        .iter()
        .filter(|job| is_compiled(job));
    let share = percent(number, all.count() as u64);
    let codegen_us: u64 = jobs
        .map(|job| job.parts.codegen_us + job.parts.link_us)
        .sum();
    Some(Advice {
        id: RULE.id,
        title: "CI makes debug information that no debugger reads".to_owned(),
        evidence: vec![format!(
            "{number} units ({share} %) have it, with {} of codegen and linking",
            of_us(codegen_us)
        )],
        gain: Gain::About(model.saved_ms(rates::without_debug)),
        remedy: vec![
            "set CARGO_PROFILE_DEV_DEBUG=0 in CI; tests take their profile from it".to_owned(),
            "or `line-tables-only`, which keeps line numbers in backtraces and saves less"
                .to_owned(),
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

    fn found(is_ci: bool, debug: &str) -> Option<Advice> {
        let mut lib = job("lib", [0, 20], &[]);
        lib.options.debug = Some(debug.to_owned());
        let facts = Facts {
            graph: Graph::new(vec![lib], Gaps::default()),
            cores: 1,
            wall_ms: 20_000,
            is_ci,
            ..Facts::default()
        };
        said_by(&RULE, &facts)
    }

    #[test]
    fn only_ci_is_told() {
        assert_eq!(found(false, "2"), None);
        let kept = rates::WITHOUT_DEBUG.0;
        assert_eq!(
            found(true, "2").unwrap().gain,
            Gain::About((100 - kept) * 200)
        );
    }

    #[test]
    fn line_tables_are_fine() {
        assert_eq!(found(true, "line-tables-only"), None);
        assert_eq!(found(true, "0"), None);
    }
}
