//! What differs between two manifests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use rekindle_events::{Change, ChangeKind};
use similar::{Algorithm, DiffOp};

use crate::manifest::{Item, Manifest};
use crate::table::Tag;

/// Longer values are cut for people; digests are cut to what tells them apart.
const MAX_VALUE_CHARS: usize = 120;

/// Of arguments in a row, so many are named one by one.
const MAX_ROW: usize = 3;

/// With more differences than this between two lists of arguments, they are said to differ as a whole.
const MAX_ROWS: usize = 12;

/// Longer lists are compared from both ends only: what is in between would take as long as the square of it.
const MAX_COMPARED: usize = 2000;

/// Every input that differs, in the order of the new manifest, then what is gone. Of the arguments of a step, which
/// have places and no names, what came in between does not make all that follow differ.
#[must_use]
pub fn changes(old: &Manifest, new: &Manifest) -> Vec<Change> {
    let old_values = group(old);
    let new_values = group(new);
    let mut changes = Vec::new();
    let mut seen = BTreeSet::new();
    let mut listed = false;
    for item in new.items().iter().chain(old.items()) {
        if place(item).is_some() {
            if !std::mem::replace(&mut listed, true) {
                changes.extend(list_changes(&list(old), &list(new)));
            }
            continue;
        }
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

/// The place of an argument that has no name.
fn place(item: &Item) -> Option<usize> {
    let is_argument = item.tag == Tag::StepArgument;
    let name = is_argument.then(|| std::str::from_utf8(&item.name).ok());
    name.flatten()?.parse().ok()
}

/// The arguments that have places, in their order.
fn list(manifest: &Manifest) -> Vec<&[u8]> {
    let items = manifest.items().iter();
    let mut list: Vec<_> = items
        .filter_map(|item| Some((place(item)?, item.value.as_slice())))
        .collect();
    list.sort_unstable();
    list.into_iter().map(|(_, value)| value).collect()
}

/// What differs between two lists of arguments.
fn list_changes(old: &[&[u8]], new: &[&[u8]]) -> Vec<Change> {
    if old == new {
        return Vec::new();
    }
    let mut rows = Vec::new();
    if old.len().max(new.len()) <= MAX_COMPARED {
        let operations = similar::capture_diff_slices(Algorithm::Myers, old, new);
        let differ = |operation: &&DiffOp| !matches!(operation, DiffOp::Equal { .. });
        let ranges = |operation: &DiffOp| (operation.old_range(), operation.new_range());
        rows.extend(operations.iter().filter(differ).map(ranges));
    }
    if rows.is_empty() || rows.len() > MAX_ROWS {
        rows = vec![between(old, new)];
    }
    rows.into_iter()
        .flat_map(|(before, after)| row(old, new, before, after))
        .collect()
}

/// All but what both begin and end with.
fn between(old: &[&[u8]], new: &[&[u8]]) -> (Range<usize>, Range<usize>) {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let ends = old[start..].iter().rev().zip(new[start..].iter().rev());
    let end = ends.take_while(|(a, b)| a == b).count();
    (start..old.len() - end, start..new.len() - end)
}

/// Arguments in a row that gave way to others, of which there may be none.
fn row(old: &[&[u8]], new: &[&[u8]], before: Range<usize>, after: Range<usize>) -> Vec<Change> {
    let change = |name: String, old: Option<String>, new: Option<String>| Change {
        kind: ChangeKind::Argument,
        name,
        old,
        new,
    };
    let set = || Some("set".to_owned());
    let is_long = before.len().max(after.len()) > MAX_ROW;
    if !is_long && before.is_empty() {
        let values = new[after].iter();
        return values.map(|new| change(cut(new), None, set())).collect();
    }
    if !is_long && after.is_empty() {
        let values = old[before].iter();
        return values.map(|old| change(cut(old), set(), None)).collect();
    }
    if !is_long && before.len() == after.len() {
        let pairs = old[before].iter().zip(after);
        return pairs
            .map(|(old, place)| change(place.to_string(), Some(cut(old)), Some(cut(new[place]))))
            .collect();
    }
    let places = if after.is_empty() { &before } else { &after };
    let name = match places.len() {
        1 => places.start.to_string(),
        _ => format!("{} to {}", places.start, places.end - 1),
    };
    let first = |list: &[&[u8]]| match list {
        [] => None,
        [only] => Some(cut(only)),
        [first, ..] => Some(format!("{} …", cut(first))),
    };
    vec![change(name, first(&old[before]), first(&new[after]))]
}

/// A value for people.
fn cut(value: &[u8]) -> String {
    let text = String::from_utf8_lossy(value);
    let mut cut: String = text.chars().take(MAX_VALUE_CHARS).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    cut
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
            cut(&item.value)
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

    fn check<T: AsRef<[u8]>>(old: &[T], new: &[T], expected: &[&str]) {
        let manifest = |arguments: &[T]| {
            let mut manifest = Manifest::new();
            manifest.push(Tag::StepArgument, "directory", "{out-dir}");
            for (index, argument) in arguments.iter().enumerate() {
                manifest.push(Tag::StepArgument, index.to_string(), argument);
            }
            manifest
        };
        let changes = changes(&manifest(old), &manifest(new));
        let texts: Vec<String> = changes.iter().map(ToString::to_string).collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn an_argument_in_between_is_one_difference() {
        let usual = [
            "-O0", "-g", "-c", "a.c", "-o", "a.o", "-I", "x", "-I", "y", "-m64", "-fPIC",
        ];
        check(&usual, &usual, &[]);
        let mut more = usual.to_vec();
        more.insert(1, "-DX");
        check(&usual, &more, &["argument `-DX`: now set, absent before"]);
        check(&more, &usual, &["argument `-DX`: was set, absent now"]);
        more[0] = "-O3";
        check(&usual, &more, &["argument `0 to 1`: -O0 → -O3 …"]);
        more.remove(1);
        check(&usual, &more, &["argument `0`: -O0 → -O3"]);
    }

    #[test]
    fn lists_with_little_in_common_differ_as_a_whole() {
        let list = |name: &str, count: usize, common: usize| {
            let named = |place: usize| {
                let is_common = common > 0 && place.is_multiple_of(common);
                format!("{}{place}.o", if is_common { "both" } else { name })
            };
            let rest = (1..count).map(named);
            std::iter::once("r".to_owned())
                .chain(rest)
                .collect::<Vec<_>>()
        };
        check(
            &list("a", 500, 0),
            &list("b", 400, 0),
            &["argument `1 to 399`: a1.o … → b1.o …"],
        );
        check(
            &list("a", 500, 3),
            &list("b", 500, 3),
            &["argument `1 to 499`: a1.o … → b1.o …"],
        );
        check(
            &list("a", 500, 0),
            &list("a", 400, 0),
            &["argument `400 to 499`: was a400.o …, absent now"],
        );
        check(
            &list("a", 9000, 0),
            &list("b", 9000, 0),
            &["argument `1 to 8999`: a1.o … → b1.o …"],
        );
        check(
            &list("a", 9000, 0),
            &list("a", 8999, 0),
            &["argument `a8999.o`: was set, absent now"],
        );
    }
}
