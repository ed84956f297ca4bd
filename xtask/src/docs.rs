//! `cargo xtask docs`: the reference pages that the `rekindle` program writes of itself.

use std::fs;
use std::path::Path;

use crate::Failure;
use crate::args::Args;
use crate::process::{self, cargo};

/// The page in `docs` and what to ask the program for.
const PAGES: &[(&str, &str)] = &[
    ("reference/cli.md", "cli"),
    ("reference/environment.md", "env"),
    ("reference/configuration.md", "config"),
    ("reference/keys.md", "keys"),
    ("reference/advice.md", "advice"),
    ("reference/report.schema.json", "report-schema"),
    ("doctor.md", "doctor"),
];

pub(crate) fn run(arguments: &[String]) -> Result<(), Failure> {
    let mut arguments = Args::new(arguments);
    let check = arguments.switch("--check");
    let config = arguments.value("--config")?;
    arguments.finish()?;
    let dir = process::root().join("docs");
    let mut stale = Vec::new();
    for (page, topic) in PAGES {
        let path = dir.join(page);
        let text = match generate(topic, config.as_deref()) {
            Ok(text) => text,
            // A page that nobody generates yet and nobody wrote: its links are findings of tidy.
            Err(why) if check && !path.exists() => {
                eprintln!("note: docs/{page} is not generated yet: {why}");
                continue;
            }
            Err(why) => {
                stale.push(format!("docs/{page} cannot be generated: {why}"));
                continue;
            }
        };
        if check {
            let written = fs::read_to_string(&path).unwrap_or_default();
            if let Some(difference) = difference(&written, &text) {
                stale.push(format!("docs/{page} {difference}"));
            }
        } else {
            write(&path, &text)?;
        }
    }
    if stale.is_empty() {
        Ok(())
    } else {
        Err(format!(
            "these pages are not what the program says of itself; run `cargo xtask docs` and commit them:\n  {}",
            stale.join("\n  ")
        ))
    }
}

fn generate(topic: &str, config: Option<&str>) -> Result<String, Failure> {
    let mut command = cargo();
    command.args(["run", "--quiet"]);
    command.args(process::of_config(config));
    command.args(["--package", "rekindle", "--bin", "rekindle"]);
    command.args(["--", "docs", topic]);
    let text = process::capture(&mut command)?;
    if text.trim().is_empty() {
        return Err(format!(
            "{} printed nothing; the `docs` command of crates/rekindle writes these pages",
            process::shown(&command)
        ));
    }
    Ok(text)
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let dir = path.parent().unwrap_or(path);
    fs::create_dir_all(dir)
        .and_then(|()| fs::write(path, text))
        .map_err(|error| format!("cannot write `{}`: {error}", path.display()))
}

/// The first line that differs, for a person.
fn difference(written: &str, generated: &str) -> Option<String> {
    if written == generated {
        return None;
    }
    if written.is_empty() {
        return Some("is missing".to_owned());
    }
    let mut number = 1;
    let mut old = written.lines();
    let mut new = generated.lines();
    loop {
        match (old.next(), new.next()) {
            (Some(old), Some(new)) if old == new => number += 1,
            (None, None) => return Some("differs in its line ends".to_owned()),
            (old, new) => {
                let show = |line: Option<&str>| line.unwrap_or("(end of page)").to_owned();
                return Some(format!(
                    "line {number}: `{}` should be `{}`",
                    show(old),
                    show(new)
                ));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_different_line_is_named() {
        assert_eq!(difference("a\nb\n", "a\nb\n"), None);
        assert_eq!(difference("", "a\n").as_deref(), Some("is missing"));
        assert_eq!(
            difference("a\nb\n", "a\nc\n").as_deref(),
            Some("line 2: `b` should be `c`")
        );
        assert_eq!(
            difference("a\n", "a\nc\n").as_deref(),
            Some("line 2: `(end of page)` should be `c`")
        );
        assert!(difference("a", "a\n").is_some());
    }
}
