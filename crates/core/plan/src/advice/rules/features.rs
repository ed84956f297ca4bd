//! Units that two commands compile each for itself, though one could do.

use std::collections::BTreeSet;

use super::is_compiled;
use crate::advice::words::of_us;
use crate::advice::{Advice, Gain, Model, Rule};
use crate::graph::{Job, Parts};

/// Units that are named.
const NAMED: usize = 5;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "split-by-features",
    threshold: "a command compiles packages again that another command before it had, and finds at least as many others fresh: features differ, not profiles",
    gain: "the units that the other command had made in another form take no time",
    check,
};

fn check(model: &Model<'_>) -> Option<Advice> {
    let earlier = model.facts.earlier.as_ref()?;
    if earlier.command == model.facts.command {
        return None;
    }
    let jobs = model.facts.graph.jobs();
    let is_split = |job: &Job| {
        let name = [&job.package, &job.version, &job.crate_name, &job.kind];
        // An id does not depend on sources: what was only edited has the same one.
        job.kind != "build-script"
            && is_compiled(job)
            && earlier
                .units
                .get(&name.map(Clone::clone))
                .is_some_and(|ids| !ids.contains(&job.id))
    };
    let split: BTreeSet<usize> = (0..jobs.len()).filter(|&at| is_split(&jobs[at])).collect();
    let fresh = model.facts.graph.gaps().fresh.unwrap_or(0);
    if split.is_empty() || fresh < split.len() as u64 {
        return None;
    }
    let mut at = 0;
    let saved_ms = model.saved_ms(|job| {
        at += 1;
        if split.contains(&(at - 1)) {
            Parts::default()
        } else {
            job.parts
        }
    });
    let mut longest: Vec<&Job> = split.iter().map(|&at| &jobs[at]).collect();
    longest.sort_by_key(|job| std::cmp::Reverse(job.parts.total_us()));
    let evidence = longest.iter().take(NAMED).map(|job| {
        format!(
            "{} took {} again after `cargo {}` had made it",
            job.name(),
            of_us(job.parts.total_us()),
            earlier.command
        )
    });
    Some(Advice {
        id: RULE.id,
        title: format!(
            "`{}` and `{}` compile {} units each for itself",
            earlier.command,
            model.facts.command,
            split.len()
        ),
        evidence: evidence.collect(),
        gain: Gain::About(saved_ms),
        remedy: vec![
            "select the same packages in both commands (`--workspace`), as features are united over what is selected".to_owned(),
            format!(
                "`cargo tree --edges features --invert {}` shows who asks for which; dev-dependencies that add features can be given to all",
                longest[0].package
            ),
        ],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::rules::said_by;
    use crate::advice::{Earlier, Facts};
    use crate::fixtures::job;
    use crate::graph::{Gaps, Graph};

    fn found(earlier_id: &str, command: &str, fresh: u64) -> Option<Advice> {
        let mut earlier = Earlier {
            command: "build".into(),
            ..Earlier::default()
        };
        let name = ["lib", "1.0.0", "lib", "lib"].map(str::to_owned);
        earlier
            .units
            .insert(name, BTreeSet::from([earlier_id.to_owned()]));
        let gaps = Gaps {
            fresh: Some(fresh),
            ..Gaps::default()
        };
        let jobs = vec![job("lib", [3, 0], &[]), job("own", [1, 0], &[])];
        let facts = Facts {
            graph: Graph::new(jobs, gaps),
            cores: 1,
            wall_ms: 4_000,
            command: command.to_owned(),
            earlier: Some(earlier),
            ..Facts::default()
        };
        said_by(&RULE, &facts)
    }

    #[test]
    fn another_form_of_the_same_unit_is_a_split() {
        assert_eq!(found("other", "test", 1).unwrap().gain, Gain::About(3_000));
        // The same unit, compiled for another reason.
        assert_eq!(found("libid", "test", 1), None);
        // The same command: something else changed.
        assert_eq!(found("other", "build", 1), None);
        // Nothing is shared: another profile or target.
        assert_eq!(found("other", "test", 0), None);
    }
}
