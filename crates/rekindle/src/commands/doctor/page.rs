//! The page of all findings, `docs/doctor.md`.

use std::fmt::Write as _;

use super::{FOUND, checks, kinds};

/// The page, without the note that it is generated.
pub(crate) fn page() -> String {
    let mut text = String::from(
        "# Doctor\n\n`rekindle doctor` looks at this machine and at the project in the working directory. What is \
         well takes a line; what is not is a finding with its evidence and the next step. `--check NAME` makes one \
         check alone; `--format json` is for programs, and has these ids.\n\n\
         `--fix` mends what it can. Each step is shown before it is done, and asked for unless `--yes` is given; \
         without a terminal and without `--yes` nothing is changed. A step keeps what it replaces (a copy ends in \
         `.before-rekindle-doctor`), names the command that undoes it, or removes only what cargo or Rekindle makes \
         again by itself. What can be neither undone nor made again is left to you.\n\n",
    );
    let _ = writeln!(
        text,
        "The exit code is 0 where there is no finding of severity *error*, and {FOUND} where there is one; with \
         `--fix`, after mending. *Warnings* cost time or certainty; *notes* are worth knowing."
    );
    for check in checks::ALL {
        let _ = write!(
            text,
            "\n## {}\n\n{}.\n\n| finding | severity | what it means | `--fix` |\n|---|---|---|---|\n",
            check.id,
            capital(check.about)
        );
        for kind in kinds::ALL.iter().filter(|kind| kind.check == check.id) {
            let _ = writeln!(
                text,
                "| `{}` | {} | {} | {} |",
                kind.id,
                kind.severity.word(),
                kind.meaning,
                kind.fix.unwrap_or("for a person")
            );
        }
    }
    text
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    let first = characters
        .next()
        .map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + characters.as_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_finding_is_documented() {
        let page = page();
        for kind in kinds::ALL {
            assert!(page.contains(&format!("| `{}` |", kind.id)), "{}", kind.id);
        }
    }
}
