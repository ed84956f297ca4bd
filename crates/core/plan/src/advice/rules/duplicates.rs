//! Several versions of packages that take long to compile.

use std::collections::BTreeMap;

use super::is_compiled;
use crate::advice::words::of_us;
use crate::advice::{Advice, Gain, Model, Rule};
use crate::graph::{Job, Parts};

/// A package counts where its versions beside the newest took longer than this, in microseconds.
const EXTRA_MIN_US: u64 = 1_000_000;

/// Packages that are named.
const NAMED: usize = 5;

pub(in crate::advice) const RULE: Rule = Rule {
    id: "duplicate-versions",
    threshold: "versions of a package beside the newest that is compiled took more than 1 s",
    gain: "all jobs of these older versions take no time",
    check,
};

/// What the versions of a package took.
type Versions<'a> = BTreeMap<&'a str, u64>;

fn check(model: &Model<'_>) -> Option<Advice> {
    let mut packages: BTreeMap<&str, Versions<'_>> = BTreeMap::new();
    for job in model
        .facts
        .graph
        .jobs()
        .iter()
        .filter(|job| is_compiled(job))
    {
        let versions = packages.entry(&job.package).or_default();
        *versions.entry(&job.version).or_default() += job.parts.total_us();
    }
    let mut found: Vec<(u64, &str, Vec<&str>)> = packages
        .iter()
        .filter(|(_, versions)| versions.len() > 1)
        .map(|(package, versions)| {
            let kept = versions.keys().max_by_key(|version| numbers(version));
            let kept = kept.copied();
            let others = versions
                .iter()
                .filter(|(version, _)| Some(**version) != kept);
            let extra_us = others.clone().map(|(_, us)| us).sum();
            (
                extra_us,
                *package,
                others.map(|(version, _)| *version).collect(),
            )
        })
        .filter(|(extra_us, ..)| *extra_us > EXTRA_MIN_US)
        .collect();
    found.sort_by_key(|(extra_us, ..)| std::cmp::Reverse(*extra_us));
    if found.is_empty() {
        return None;
    }
    let is_extra = |job: &Job| {
        found.iter().any(|(_, package, versions)| {
            job.package == *package && versions.contains(&job.version.as_str())
        })
    };
    let saved_ms = model.saved_ms(|job| {
        if is_extra(job) {
            Parts::default()
        } else {
            job.parts
        }
    });
    let evidence = found
        .iter()
        .take(NAMED)
        .map(|(extra_us, package, versions)| {
            let all: Vec<&str> = packages[package].keys().copied().collect();
            format!(
                "{package} is compiled in {} versions ({}), and {} took {}",
                all.len(),
                all.join(", "),
                versions.join(", "),
                of_us(*extra_us)
            )
        });
    let (_, package, versions) = &found[0];
    Some(Advice {
        id: RULE.id,
        title: format!("{} are compiled in several versions", count(found.len())),
        evidence: evidence.collect(),
        gain: Gain::About(saved_ms),
        remedy: vec![
            format!(
                "`cargo tree --invert {package}@{}` shows what asks for it; update that, or hold it at the version of the others",
                versions[0]
            ),
            "`cargo tree --duplicates` shows all of them".to_owned(),
        ],
    })
}

/// A version's numbers, so that 1.10 is newer than 1.9. What follows a hyphen or a plus does not count.
fn numbers(version: &str) -> Vec<u64> {
    let release = version.split(['-', '+']).next().unwrap_or(version);
    release
        .split('.')
        .map(|part| part.parse().unwrap_or(0))
        .collect()
}

fn count(packages: usize) -> String {
    match packages {
        1 => "packages".to_owned(),
        more => format!("{more} packages"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::advice::Facts;
    use crate::advice::rules::said_by;
    use crate::fixtures::job;
    use crate::graph::{Gaps, Graph};

    fn found(jobs: Vec<Job>) -> Option<Advice> {
        let facts = Facts {
            graph: Graph::new(jobs, Gaps::default()),
            cores: 1,
            wall_ms: 10_000,
            ..Facts::default()
        };
        said_by(&RULE, &facts)
    }

    fn version(version: &str, us: u64) -> Job {
        let mut job = job("syn", [0, 0], &[]);
        job.version = version.to_owned();
        job.parts.front_us = us;
        job
    }

    #[test]
    fn only_heavy_duplicates_count() {
        assert_eq!(
            found(vec![
                version("1.0.0", 1_000_000),
                version("2.0.0", 5_000_000)
            ]),
            None
        );
        let advice = found(vec![
            version("1.0.0", 1_000_001),
            version("2.0.0", 5_000_000),
        ])
        .unwrap();
        assert_eq!(advice.gain, Gain::About(1_000));
        assert!(advice.remedy[0].contains("syn@1.0.0"));
    }

    #[test]
    fn the_newest_version_is_the_one_that_stays() {
        let advice = found(vec![
            version("1.10.0-rc.1", 2_000_000),
            version("1.9.9", 3_000_000),
        ]);
        let advice = advice.unwrap();
        assert_eq!(advice.gain, Gain::About(3_000));
        assert!(advice.remedy[0].contains("syn@1.9.9"));
    }

    #[test]
    fn one_version_for_two_profiles_is_no_duplicate() {
        assert_eq!(
            found(vec![
                version("1.0.0", 3_000_000),
                version("1.0.0", 5_000_000)
            ]),
            None
        );
    }
}
