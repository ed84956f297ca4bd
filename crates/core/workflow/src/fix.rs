//! What the edits of findings make of the files.

use std::collections::BTreeMap;

use crate::audit::{Finding, Safety};
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

/// Two findings that both open the same block, such as `env:`, would open it twice.
fn touching(edits: &[Edit]) -> bool {
    let Some((last, before)) = edits.split_last() else {
        return false;
    };
    let opens = |edit: &Edit| {
        edit.text
            .trim_start()
            .split_once(':')
            .map(|(key, _)| key.trim().to_owned())
    };
    before.iter().any(|edit| {
        edit != last
            && edit.start == last.start
            && edit.end == last.end
            && opens(edit) == opens(last)
    })
}

/// A unified diff of a file.
#[must_use]
pub fn diff(changed: &Changed) -> String {
    similar::TextDiff::from_lines(changed.before.as_str(), changed.after.as_str())
        .unified_diff()
        .context_radius(3)
        .header(
            &format!("a/{}", changed.path),
            &format!("b/{}", changed.path),
        )
        .to_string()
}
