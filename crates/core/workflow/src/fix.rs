//! What the edits of findings make of the files.

use std::collections::BTreeMap;

use crate::audit::{Finding, Options, Safety, audit};
use crate::model::{Input, Project};
use crate::yaml::Document;
use crate::yaml::edit::{Edit, apply};

/// A file that fixes change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Its path from the project's root.
    pub path: String,
    /// Its text before.
    pub before: String,
    /// Its text after.
    pub after: String,
}

/// The files that the fixes of findings change, and how many findings are mended. A fix is done as a whole or, if
/// it overlaps one before it, not at all: the next run does it. A file that would no longer be YAML is left alone.
#[must_use]
pub fn mend(
    findings: &[Finding],
    allowed: Safety,
    text: &dyn Fn(&str) -> Option<String>,
) -> (Vec<Changed>, usize) {
    let mut files: BTreeMap<&str, Vec<Edit>> = BTreeMap::new();
    let mut texts: BTreeMap<&str, String> = BTreeMap::new();
    let mut mended = 0;
    for fix in findings
        .iter()
        .filter_map(|finding| finding.fix.as_ref())
        .filter(|fix| fix.safety <= allowed)
    {
        let free = fix.edits.iter().all(|(path, edit)| {
            let Some(before) = texts.get(path.as_str()).cloned().or_else(|| text(path)) else {
                return false;
            };
            let mut all = files.get(path.as_str()).cloned().unwrap_or_default();
            all.push(edit.clone());
            texts.insert(path, before.clone());
            apply(&before, &all).1.last() == Some(&true) && !touching(&all)
        });
        if free {
            mended += 1;
            for (path, edit) in &fix.edits {
                files.entry(path).or_default().push(edit.clone());
            }
        }
    }
    let changed = files
        .into_iter()
        .filter_map(|(path, edits)| {
            let before = texts.remove(path)?;
            let after = apply(&before, &edits).0;
            let reads = path.ends_with(".toml") || Document::parse(&after).is_ok();
            (after != before && reads).then(|| Changed {
                path: path.to_owned(),
                before,
                after,
            })
        })
        .collect();
    (changed, mended)
}

impl Changed {
    /// The change as people read it.
    #[must_use]
    pub fn diff(&self) -> String {
        crate::diff::unified(&self.path, Some(&self.before), &self.after)
    }
}

/// A project's files after all that may be mended is.
#[derive(Clone, Debug, PartialEq)]
pub struct Settled {
    /// The files that change, as they were and as they are to be.
    pub changed: Vec<Changed>,
    /// How many findings are mended.
    pub mended: usize,
    /// What is left.
    pub left: Vec<Finding>,
}

/// A fix may bring up another finding, or wait for one that it overlaps; so many times at most.
const PASSES: usize = 8;

/// Mends until nothing more changes, so that another run has nothing to do. `wanted` says which findings are asked for.
#[must_use]
pub fn settle(
    mut inputs: Vec<Input>,
    options: &Options,
    allowed: Safety,
    wanted: &dyn Fn(&Finding) -> bool,
) -> Settled {
    let find = |inputs: &[Input]| {
        let (project, _) = Project::read(inputs.to_vec());
        let mut found = audit(&project, options);
        found.retain(|finding| wanted(finding));
        found
    };
    let before = inputs.clone();
    let mut settled = Settled {
        changed: Vec::new(),
        mended: 0,
        left: find(&inputs),
    };
    for _ in 0..PASSES {
        let (changed, mended) = mend(&settled.left, allowed, &|path| {
            inputs
                .iter()
                .find(|input| input.path == path)
                .map(|input| input.text.clone())
        });
        if changed.is_empty() {
            break;
        }
        settled.mended += mended;
        for file in changed {
            if let Some(input) = inputs.iter_mut().find(|input| input.path == file.path) {
                input.text = file.after;
            }
        }
        settled.left = find(&inputs);
    }
    settled.changed = before
        .into_iter()
        .zip(inputs)
        .filter(|(before, after)| before.text != after.text)
        .map(|(before, after)| Changed {
            path: before.path,
            before: before.text,
            after: after.text,
        })
        .collect();
    settled
}

/// Two findings that both open the same block, such as `env:`, would open it twice; and of two that insert at one place
/// the one that goes deeper belongs to the block above, which the other would close. The next pass does the second.
fn touching(edits: &[Edit]) -> bool {
    let Some((last, before)) = edits.split_last() else {
        return false;
    };
    before.iter().any(|edit| {
        edit != last
            && edit.start == last.start
            && edit.end == last.end
            && (opens(edit) == opens(last) || indent(edit) != indent(last))
    })
}

fn opens(edit: &Edit) -> Option<String> {
    edit.text
        .trim_start()
        .split_once(':')
        .map(|(key, _)| key.trim().to_owned())
}

/// How far the first line that an edit writes stands in.
fn indent(edit: &Edit) -> usize {
    let line = edit.text.lines().find(|line| !line.trim().is_empty());
    line.map_or(0, |line| line.len() - line.trim_start().len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::providers::Day;

    /// Both write above `jobs`, one into `env` and one behind it.
    #[test]
    fn an_entry_of_the_block_above_stays_in_it() {
        let text = "on: pull_request\nenv:\n  A: 1\njobs:\n  a:\n    runs-on: ubuntu-24.04\n    steps:\n      - run: cargo test\n";
        let input = Input {
            path: ".github/workflows/ci.yml".to_owned(),
            text: text.to_owned(),
        };
        let options = Options {
            ignore: Vec::new(),
            today: Day::from_days_since_epoch(20_783),
        };
        let settled = settle(vec![input], &options, Safety::Safe, &|_| true);
        let after = &settled.changed[0].after;
        let expected = "  A: 1\n  CARGO_PROFILE_DEV_DEBUG: 1\nconcurrency:\n  group:";
        assert!(after.contains(expected), "{after}");
        assert_eq!(after.matches("CARGO_PROFILE").count(), 1, "{after}");
    }
}
