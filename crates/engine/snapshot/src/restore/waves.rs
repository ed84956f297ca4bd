//! In which order units become fresh.
//!
//! cargo builds a unit without a hash, but goes by its files' times to tell what depends on it: with files that are there, a dependent that has its hash
//! already stays as it is in that build, and is out of date in the next one.

use std::collections::HashMap;

use rekindle_base::Digest;

use crate::model::Unit;

/// The indices of units in waves: each unit is in a later one than all that it was built with.
pub(super) fn of<'a>(units: impl Iterator<Item = &'a Unit>) -> Vec<Vec<usize>> {
    let units: Vec<(Digest, &[Digest])> = units
        .map(|unit| (unit.build, unit.deps.as_slice()))
        .collect();
    of_builds(&units)
}

fn of_builds(units: &[(Digest, &[Digest])]) -> Vec<Vec<usize>> {
    let mut of_build: HashMap<&Digest, Vec<usize>> = HashMap::new();
    for (index, (build, _)) in units.iter().enumerate() {
        of_build.entry(build).or_default().push(index);
    }
    let mut dependents = vec![Vec::new(); units.len()];
    let mut missing = vec![0usize; units.len()];
    for (index, (_, deps)) in units.iter().enumerate() {
        let with = deps.iter().filter_map(|dep| of_build.get(dep)).flatten();
        for with in with.filter(|with| **with != index) {
            dependents[*with].push(index);
            missing[index] += 1;
        }
    }
    let mut wave: Vec<usize> = (0..units.len()).filter(|at| missing[*at] == 0).collect();
    let mut waves = Vec::new();
    while !wave.is_empty() {
        let mut next = Vec::new();
        for dependent in wave.iter().flat_map(|index| &dependents[*index]) {
            missing[*dependent] -= 1;
            if missing[*dependent] == 0 {
                next.push(*dependent);
            }
        }
        waves.push(std::mem::replace(&mut wave, next));
    }
    // Units that were built with each other are none of cargo's: without a hash, it builds them.
    waves
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_comes_after_all_that_it_was_built_with() {
        let [program, library, run, script, absent] =
            ["program", "library", "run", "script", "absent"]
                .map(|name| Digest::of(name.as_bytes()));
        let waves = of_builds(&[
            (program, &[library, run]),
            (run, &[script]),
            (library, &[absent]),
            (script, &[]),
        ]);
        assert_eq!(waves, [vec![2, 3], vec![1], vec![0]]);
    }

    #[test]
    fn units_that_were_built_with_each_other_are_left_out() {
        let [one, other, third] = ["one", "other", "third"].map(|name| Digest::of(name.as_bytes()));
        let waves = of_builds(&[(one, &[other]), (other, &[one]), (third, &[])]);
        assert_eq!(waves, [vec![2]]);
    }
}
