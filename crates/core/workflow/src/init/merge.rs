//! What an existing workflow lacks, added to its text: a proposal, which a person applies.
//!
//! Only what does not change what jobs do: that a newer push cancels an older run, that jobs end, and Rekindle's step
//! before the first use of cargo.

use crate::shell::{Word, commands};
use crate::yaml::edit::{Edit, add_entry, add_item, apply};
use crate::yaml::{Document, Node, SyntaxError};

use crate::findings::add_concurrency;
use crate::pins::Pin;

/// Minutes after which a job that says nothing is ended; GitHub's own limit is six hours.
const TIMEOUT_MINUTES: u32 = 60;

/// The text with what it lacks; the same text where it lacks nothing. `cancels` for workflows whose older runs nobody
/// waits for.
///
/// # Errors
/// Where it is no YAML.
pub fn merged(text: &str, action: Option<&Pin>, cancels: bool) -> Result<String, SyntaxError> {
    let document = Document::parse(text)?;
    let mut edits = Vec::new();
    if cancels && document.root.get("concurrency").is_none() {
        edits.extend(add_concurrency(&document));
    }
    for (_, job) in document
        .root
        .get("jobs")
        .map(Node::entries)
        .unwrap_or_default()
    {
        edits.extend(timeout(&document, job));
        edits.extend(action.and_then(|action| rekindle(&document, job, action)));
    }
    let (after, _) = apply(text, &edits);
    // An edit that does not read back as YAML is none that anybody wants.
    Document::parse(&after).map(|_| after)
}

fn timeout(document: &Document, job: &Node) -> Option<Edit> {
    if job.get("uses").is_some() || job.get("timeout-minutes").is_some() {
        return None;
    }
    add_entry(
        document,
        job,
        Some("runs-on"),
        &[format!("timeout-minutes: {TIMEOUT_MINUTES}")],
    )
}

fn rekindle(document: &Document, job: &Node, action: &Pin) -> Option<Edit> {
    let list = job.get("steps")?;
    let pin = action.to_string();
    let repository = pin.split('@').next().unwrap_or_default();
    let is_ours = |step: &Node| {
        let uses = step.get("uses").and_then(Node::str);
        uses.is_some_and(|uses| uses.split('@').next() == Some(repository))
    };
    if list.items().iter().any(is_ours) {
        return None;
    }
    let builds = |step: &Node| {
        let script = step.get("run").and_then(Node::str).unwrap_or_default();
        commands(script).iter().any(|command| {
            let program = command.words.first().and_then(Word::literal);
            program.as_deref() == Some("cargo")
        })
    };
    let first = list.items().iter().position(builds)?;
    let lines = [
        "- name: Bring back what was built before".to_owned(),
        format!("  uses: {pin}"),
    ];
    add_item(document, list, first.checked_sub(1)?, &lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PIN: &str = "o/r@0123456789abcdef0123456789abcdef01234567 # v1";

    #[track_caller]
    fn check(before: &str, after: &str, cancels: bool) {
        let pin: Pin = PIN.parse().unwrap();
        assert_eq!(merged(before, Some(&pin), cancels).unwrap(), after);
        assert_eq!(merged(after, Some(&pin), cancels).unwrap(), after);
    }

    #[test]
    fn what_is_lacking_is_added_in_its_place() {
        check(
            "on: push\n\n# all\njobs:\n  a:\n    runs-on: x # y\n    steps:\n    - uses: c@v1\n    - run: echo cargo\n    # build it\n    - run: |\n        cargo build\n  b:\n    uses: ./x.yml\n",
            "on: push\n\nconcurrency:\n  group: ${{ github.workflow }}-${{ github.event.pull_request.number || github.sha }}\n  cancel-in-progress: ${{ github.event_name == 'pull_request' }}\n\n# all\njobs:\n  a:\n    runs-on: x # y\n    timeout-minutes: 60\n    steps:\n    - uses: c@v1\n    - run: echo cargo\n    - name: Bring back what was built before\n      uses: o/r@0123456789abcdef0123456789abcdef01234567 # v1\n    # build it\n    - run: |\n        cargo build\n  b:\n    uses: ./x.yml\n",
            true,
        );
    }

    #[test]
    fn what_is_there_stays() {
        // Another commit of the Action is the person's own choice; a release is not cancelled.
        let text = "on: push\njobs:\n  a:\n    runs-on: x\n    timeout-minutes: 5\n    steps:\n      - uses: o/r@v1\n      - run: cargo test\n";
        check(text, text, false);
        assert!(merged("jobs: [", None, true).is_err());
    }
}
