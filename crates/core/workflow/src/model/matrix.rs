//! A matrix's combinations.

use crate::expr::Val;
use crate::yaml::{Node, Value};

/// More combinations than this are not played: rules look at what they have in common.
const LIMIT: usize = 64;

/// Values by their path in lower case: `os`, or `platform.target` for what is within a value.
pub type Combo = Vec<(String, Val)>;

/// A matrix's combinations, and whether that is all of them: what only a run knows is left out.
#[must_use]
pub fn expand(matrix: Option<&Node>) -> (Vec<Combo>, bool) {
    let Some(matrix) = matrix else {
        return (vec![Vec::new()], true);
    };
    if !matrix.is_mapping() {
        return (vec![Vec::new()], false);
    }
    let mut whole = true;
    let mut combos: Vec<Vec<(String, &Node)>> = vec![Vec::new()];
    for (key, values) in matrix.entries() {
        let Some(name) = key
            .str()
            .filter(|name| !matches!(*name, "include" | "exclude"))
        else {
            continue;
        };
        if !values.is_sequence() {
            whole = false;
            continue;
        }
        let items = values.items();
        combos = combos
            .iter()
            .flat_map(|combo| items.iter().map(|item| with(combo, name, item)))
            .take(LIMIT + 1)
            .collect();
    }
    let axes: Vec<String> = combos
        .first()
        .map(|combo| combo.iter().map(|(name, _)| name.clone()).collect())
        .unwrap_or_default();
    if let Some(exclude) = matrix.get("exclude") {
        combos.retain(|combo| !exclude.items().iter().any(|entry| matches(combo, entry)));
    }
    if let Some(include) = matrix.get("include") {
        whole &= include.is_sequence();
        add_includes(&mut combos, &axes, include.items());
    }
    whole &= combos.len() <= LIMIT;
    combos.truncate(LIMIT);
    let mut flat: Vec<Combo> = combos.iter().map(|combo| flatten(combo)).collect();
    if flat.is_empty() {
        flat.push(Vec::new());
        whole = false;
    }
    (flat, whole)
}

fn with<'n>(combo: &[(String, &'n Node)], name: &str, item: &'n Node) -> Vec<(String, &'n Node)> {
    let mut combo = combo.to_vec();
    combo.push((name.to_owned(), item));
    combo
}

fn matches(combo: &[(String, &Node)], entry: &Node) -> bool {
    !entry.entries().is_empty()
        && entry.entries().iter().all(|(key, value)| {
            combo
                .iter()
                .any(|(name, found)| Some(name.as_str()) == key.str() && same(found, value))
        })
}

fn same(one: &Node, two: &Node) -> bool {
    match (&one.value, &two.value) {
        (Value::Scalar(one, _), Value::Scalar(two, _)) => one == two,
        (Value::Sequence(one, _), Value::Sequence(two, _)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Mapping(_, _), Value::Mapping(two, _)) => {
            one.entries().len() == two.len()
                && two.iter().all(|(key, value)| {
                    key.str()
                        .and_then(|key| one.get(key))
                        .is_some_and(|found| same(found, value))
                })
        }
        _ => false,
    }
}

/// An entry adds to every combination whose own values it does not change; one that adds to none is one more.
fn add_includes<'n>(
    combos: &mut Vec<Vec<(String, &'n Node)>>,
    axes: &[String],
    include: &'n [Node],
) {
    let original = if axes.is_empty() {
        combos.clear();
        0
    } else {
        combos.len()
    };
    for entry in include.iter().take(LIMIT * 4) {
        let values: Vec<(String, &Node)> = entry
            .entries()
            .iter()
            .filter_map(|(key, value)| Some((key.str()?.to_owned(), value)))
            .collect();
        let mut added = false;
        for combo in combos.iter_mut().take(original) {
            let fits =
                values
                    .iter()
                    .filter(|(name, _)| axes.contains(name))
                    .all(|(name, value)| {
                        combo
                            .iter()
                            .any(|(found, own)| found == name && same(own, value))
                    });
            if fits {
                added = true;
                for (name, value) in &values {
                    combo.retain(|(found, _)| found != name);
                    combo.push((name.clone(), value));
                }
            }
        }
        if !added {
            combos.push(values);
        }
    }
}

fn flatten(combo: &[(String, &Node)]) -> Combo {
    let mut flat = Vec::new();
    for (name, node) in combo {
        flatten_node(&name.to_ascii_lowercase(), node, &mut flat);
    }
    flat
}

fn flatten_node(path: &str, node: &Node, into: &mut Combo) {
    match &node.value {
        Value::Scalar(..) => into.push((path.to_owned(), scalar(node))),
        Value::Mapping(entries, _) => {
            for (key, value) in entries {
                flatten_node(
                    &format!(
                        "{path}.{}",
                        key.str().unwrap_or_default().to_ascii_lowercase()
                    ),
                    value,
                    into,
                );
            }
        }
        Value::Sequence(items, _) => {
            for (index, item) in items.iter().enumerate() {
                flatten_node(&format!("{path}.{index}"), item, into);
            }
        }
    }
}

/// A scalar as GitHub reads it.
#[must_use]
pub fn scalar(node: &Node) -> Val {
    match &node.value {
        Value::Scalar(text, _) if text.contains("${{") => Val::Unknown,
        Value::Scalar(text, crate::yaml::Style::Plain) => match text.as_str() {
            "" => Val::Null,
            "true" => Val::Bool(true),
            "false" => Val::Bool(false),
            // `1.70` stays the text that people mean, where a number would be 1.7.
            _ => Val::Str(text.clone()),
        },
        Value::Scalar(text, _) => Val::Str(text.clone()),
        _ => Val::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Document;

    #[track_caller]
    fn check(text: &str, expected: &[&str]) {
        let document = Document::parse(text).unwrap();
        let (combos, _) = expand(Some(&document.root));
        let shown: Vec<String> = combos
            .iter()
            .map(|combo| {
                let mut parts: Vec<String> = combo
                    .iter()
                    .map(|(name, value)| {
                        format!("{name}={}", value.text().unwrap_or("?".to_owned()))
                    })
                    .collect();
                parts.sort();
                parts.join(" ")
            })
            .collect();
        assert_eq!(shown, expected);
    }

    #[test]
    fn combinations_are_as_github_makes_them() {
        check("os: [a, b]\nx: [1]\n", &["os=a x=1", "os=b x=1"]);
        check("os: [a, b]\nexclude: [{os: a}]\n", &["os=b"]);
        check(
            "os: [a, b]\ninclude:\n  - {os: a, t: 1}\n  - {os: c, t: 2}\n  - {all: y}\n",
            &["all=y os=a t=1", "all=y os=b", "os=c t=2"],
        );
        check(
            "include:\n  - {os: a}\n  - {os: b, p: {t: z}}\n",
            &["os=a", "os=b p.t=z"],
        );
    }

    #[test]
    fn their_number_is_bounded() {
        let axis = |name: &str| {
            format!(
                "{name}: [{}]\n",
                (0..100)
                    .map(|n| n.to_string())
                    .collect::<Vec<_>>()
                    .join(", ")
            )
        };
        let text: String = ["a", "b", "c", "d"].iter().map(|name| axis(name)).collect();
        let document = Document::parse(&text).unwrap();
        let (combos, whole) = expand(Some(&document.root));
        assert_eq!((combos.len(), whole), (LIMIT, false));
    }
}
