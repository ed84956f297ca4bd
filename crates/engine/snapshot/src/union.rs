//! Joining two snapshots of one commit: CI builds, tests and checks it in jobs of their own, which know
//! nothing of each other and end in any order.

use std::collections::HashSet;

use rekindle_base::Digest;
use rekindle_store::{LocalStore, StoreError};

use crate::inputs::Inputs;
use crate::model::{Incremental, Tree};
use crate::trees;

/// Stores what both trees have. `None` where the second has nothing more, or cannot be joined.
///
/// # Errors
/// [`StoreError`]: of storing.
pub(crate) fn stored(
    store: &LocalStore,
    first: &Digest,
    second: &Digest,
) -> Result<Option<Digest>, StoreError> {
    let read = |digest| trees::get(store, digest);
    let (Some(first), Some(second)) = (read(first), read(second)) else {
        return Ok(None);
    };
    let Some(union) = of(first, second) else {
        return Ok(None);
    };
    trees::put(store, &union).map(Some)
}

/// What both have; where both have a unit, or a crate's state, it is the first's. A unit of the second's
/// that was built with another build of one of these is in it as well: a restore leaves it out.
fn of(first: Tree, second: Tree) -> Option<Tree> {
    let ids: HashSet<&str> = first.units.iter().map(|unit| unit.id.as_str()).collect();
    let has_more = second
        .units
        .iter()
        .any(|unit| !ids.contains(unit.id.as_str()));
    if first.site != second.site || !has_more {
        return None;
    }
    let ids: HashSet<String> = ids.into_iter().map(str::to_owned).collect();
    let mut inputs = Inputs::default();
    let mut units = Vec::with_capacity(ids.len() + second.units.len());
    let generation = first.generation.max(second.generation);
    for (tree, is_first) in [(&first, true), (&second, false)] {
        for unit in &tree.units {
            if !is_first && ids.contains(&unit.id) {
                continue;
            }
            let mut unit = unit.clone();
            // As long ago as it was in its own tree.
            unit.used += generation - tree.generation;
            for index in &mut unit.inputs {
                *index = inputs.keep(&tree.inputs[*index as usize]);
            }
            units.push(unit);
        }
    }
    units.sort_by(|a, b| a.id.cmp(&b.id));
    Some(Tree {
        version: trees::VERSION,
        site: first.site,
        revision: first.revision,
        generation,
        inputs: inputs.into_list(),
        units,
        incremental: states(first.incremental, second.incremental),
        beside: first.beside,
    })
}

fn states(mut first: Vec<Incremental>, second: Vec<Incremental>) -> Vec<Incremental> {
    let names: HashSet<String> = first.iter().map(|state| state.name.clone()).collect();
    let others = second.into_iter();
    first.extend(others.filter(|state| !names.contains(&state.name)));
    first
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Content, Home, Input, Place, Site, Unit};

    fn input(name: &str) -> Input {
        Input {
            place: Place::Workspace(name.into()),
            content: Content::Absent,
            is_package: false,
            signature: None,
        }
    }

    /// A tree of these units, each with its build and an input of its own name.
    fn tree(generation: u32, units: &[(&str, &str)]) -> Tree {
        let unit = |(at, (id, build)): (usize, &(&str, &str))| Unit {
            id: (*id).to_owned(),
            package: "p".into(),
            used: generation,
            inputs: vec![u32::try_from(at).unwrap()],
            build: Digest::of(build.as_bytes()),
            deps: Vec::new(),
            path_bound: false,
            home: Home::default(),
            files: Vec::new(),
        };
        Tree {
            version: trees::VERSION,
            site: Site {
                workspace: b"/w".to_vec(),
                target: b"/w/target".to_vec(),
                cargo_home: b"/c".to_vec(),
            },
            revision: "r".into(),
            generation,
            inputs: units.iter().map(|(id, _)| input(id)).collect(),
            units: units.iter().enumerate().map(unit).collect(),
            incremental: Vec::new(),
            beside: Vec::new(),
        }
    }

    #[test]
    fn units_of_both_are_there_once_with_their_inputs() {
        let first = tree(3, &[("b", "new"), ("c", "c")]);
        let second = tree(5, &[("a", "a"), ("b", "old")]);
        let union = of(first, second).unwrap();
        let shown: Vec<_> = union
            .units
            .iter()
            .map(|unit| {
                let input = &union.inputs[unit.inputs[0] as usize];
                let Place::Workspace(name) = &input.place else {
                    panic!("{input:?}");
                };
                (unit.id.as_str(), name.as_slice(), unit.build, unit.used)
            })
            .collect();
        let build = |name: &str| Digest::of(name.as_bytes());
        assert_eq!(
            shown,
            [
                ("a", &b"a"[..], build("a"), 5),
                ("b", b"b", build("new"), 5),
                ("c", b"c", build("c"), 5),
            ]
        );
    }

    #[test]
    fn nothing_more_and_other_directories_are_not_joined() {
        let first = || tree(1, &[("a", "a"), ("b", "b")]);
        assert_eq!(of(first(), tree(1, &[("a", "other")])), None);
        let mut elsewhere = tree(1, &[("c", "c")]);
        elsewhere.site.workspace = b"/v".to_vec();
        assert_eq!(of(first(), elsewhere), None);
    }
}
