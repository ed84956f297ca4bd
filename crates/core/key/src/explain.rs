//! What differs between two manifests.

use std::collections::BTreeMap;

use rekindle_events::Change;

use crate::manifest::{Item, Manifest};
use crate::table::Tag;

/// Longer values are cut for people; digests are cut to what tells them apart.
const MAX_VALUE_CHARS: usize = 120;

/// Every input that differs, in the order of the new manifest, then what is gone.
#[must_use]
pub fn changes(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let old_values = group(old);
    let new_values = group(new);
    let mut changes = Vec::new();
    let mut seen = std::collections::BTreeSet::new();
    for item in new.items().iter().chain(old.items()) {
        let key = (item.tag, item.name.as_slice());
        if !seen.insert(key) {
            continue;
        }
        let (before, after) = (old_values.get(&key), new_values.get(&key));
        if before != after {
            changes.push(Change {
                kind: item.tag.change_kind(),
                name: String::from_utf8_lossy(&item.name).into_owned(),
                old: before.map(|values| show(item.tag, values)),
                new: after.map(|values| show(item.tag, values)),
            });
        }
    }
    changes
}

type Key<'a> = (Tag, &'a [u8]);

fn group(manifest: &Manifest) -> BTreeMap<Key<'_>, Vec<&Item>> {
    let mut groups: BTreeMap<Key<'_>, Vec<&Item>> = BTreeMap::new();
    for item in manifest.items() {
        groups
            .entry((item.tag, item.name.as_slice()))
            .or_default()
            .push(item);
    }
    groups
}

fn show(tag: Tag, items: &[&Item]) -> String {
    let is_digest = !matches!(
        tag,
        Tag::Argument | Tag::Env | Tag::Version | Tag::Directory
    );
    let values: Vec<String> = items
        .iter()
        .map(|item| {
            let text = String::from_utf8_lossy(&item.value);
            if is_digest && text.len() == 64 {
                return text[..12].to_owned();
            }
            if text.is_empty() {
                return "set".to_owned();
            }
            let mut cut: String = text.chars().take(MAX_VALUE_CHARS).collect();
            if cut.len() < text.len() {
                cut.push('…');
            }
            cut
        })
        .collect();
    values.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use rekindle_events::ChangeKind;

    #[test]
    fn differences_are_named_with_old_and_new_value() {
        let manifest = |items: &[(Tag, &str, &str)]| {
            let mut manifest = Manifest::new();
            for (tag, name, value) in items {
                manifest.push(*tag, name, value);
            }
            manifest
        };
        let old = manifest(&[
            (Tag::Argument, "-C opt-level", "0"),
            (Tag::Argument, "--cfg feature=\"std\"", ""),
            (Tag::Source, "{workspace}/src/lib.rs", "same"),
        ]);
        let new = manifest(&[
            (Tag::Argument, "-C opt-level", "3"),
            (Tag::Source, "{workspace}/src/lib.rs", "same"),
            (Tag::EnvDep, "API", "x"),
        ]);
        let change = |kind, name: &str, old: Option<&str>, new: Option<&str>| Change {
            kind,
            name: name.into(),
            old: old.map(Into::into),
            new: new.map(Into::into),
        };
        assert_eq!(
            changes(&old, &new),
            [
                change(ChangeKind::Argument, "-C opt-level", Some("0"), Some("3")),
                change(ChangeKind::Env, "API", None, Some("x")),
                change(
                    ChangeKind::Argument,
                    "--cfg feature=\"std\"",
                    Some("set"),
                    None
                ),
            ]
        );
        assert_eq!(changes(&new, &new), []);
    }
}
