//! Commenting out a line of cargo's configuration, and nothing else.

use std::path::Path;

use toml::Value;

use super::fix::{Fix, Step};

/// A fix that comments out `key` (a path of names, as in `["build", "rustc-wrapper"]`) in a file; `None` where
/// that cannot be done with certainty.
pub(crate) fn without(file: &Path, key: &[&str]) -> Option<Fix> {
    let before = rekindle_fsx::read_to_string(file).ok()?;
    let after = comment_out(&before, key)?;
    let summary = format!("comment out `{}` in {}", key.join("."), file.display());
    let step = Step::Edit {
        path: file.to_owned(),
        before,
        after,
    };
    Some(Fix::new(summary, vec![step]))
}

/// The text with the one line that sets `key` as a comment. `None` unless the result means the same but for
/// that key: a value of several lines, an inline table or a key that is set in another way is for a person.
fn comment_out(text: &str, key: &[&str]) -> Option<String> {
    let was: toml::Table = text.parse().ok()?;
    let mut expected = was.clone();
    remove(&mut expected, key)?;
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    for (at, line) in lines.iter().enumerate() {
        if !line.contains(key.last()?) || line.trim_start().starts_with(['#', '[']) {
            continue;
        }
        let mut tried = String::with_capacity(text.len() + 2);
        for (other, line) in lines.iter().enumerate() {
            if other == at {
                tried.push_str("# ");
            }
            tried.push_str(line);
        }
        let Ok(now) = tried.parse::<toml::Table>() else {
            continue;
        };
        if is_as(&now, &expected) {
            return Some(tried);
        }
    }
    None
}

/// A table that has lost its last key may be gone or empty.
fn is_as(now: &toml::Table, expected: &toml::Table) -> bool {
    pruned(now) == pruned(expected)
}

fn pruned(table: &toml::Table) -> toml::Table {
    let mut kept = toml::Table::new();
    for (name, value) in table {
        match value {
            Value::Table(inner) => {
                let inner = pruned(inner);
                if !inner.is_empty() {
                    kept.insert(name.clone(), Value::Table(inner));
                }
            }
            other => {
                kept.insert(name.clone(), other.clone());
            }
        }
    }
    kept
}

fn remove(table: &mut toml::Table, key: &[&str]) -> Option<Value> {
    let (last, above) = key.split_last()?;
    let mut table = table;
    for name in above {
        table = table.get_mut(*name)?.as_table_mut()?;
    }
    table.remove(*last)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &[&str] = &["build", "rustc-wrapper"];

    fn check(text: &str, expected: Option<&str>) {
        assert_eq!(comment_out(text, KEY).as_deref(), expected, "{text}");
    }

    #[test]
    fn exactly_the_line_that_sets_the_key_becomes_a_comment() {
        check(
            "[build]\nrustc-wrapper = 'sccache' # fast\njobs = 2\n",
            Some("[build]\n# rustc-wrapper = 'sccache' # fast\njobs = 2\n"),
        );
        check(
            "build.rustc-wrapper = \"x\"\n",
            Some("# build.rustc-wrapper = \"x\"\n"),
        );
        check(
            "# rustc-wrapper = 'a'\n[other]\nrustc-wrapper = 'b'\n[build]\n  rustc-wrapper = 'c'",
            Some(
                "# rustc-wrapper = 'a'\n[other]\nrustc-wrapper = 'b'\n[build]\n#   rustc-wrapper = 'c'",
            ),
        );
        check(
            "[build]\nrustc-wrapper = 'c'\n",
            Some("[build]\n# rustc-wrapper = 'c'\n"),
        );
    }

    #[test]
    fn what_cannot_be_done_with_certainty_is_left() {
        check("build = { rustc-wrapper = 'x', jobs = 2 }\n", None);
        check("[build]\nrustc-wrapper = '''\nx'''\n", None);
        check("[build]\njobs = 2\n", None);
        check("not toml [", None);
    }
}
