//! What checks hand back.

use super::fix::Fix;
use super::kinds::Kind;

/// One thing that is wrong, or worth knowing.
#[derive(Debug)]
pub(crate) struct Finding {
    /// What kind.
    pub(crate) kind: &'static Kind,
    /// What is so, in one sentence without its end.
    pub(crate) title: String,
    /// What was seen, a line each.
    pub(crate) evidence: Vec<String>,
    /// What a person does about it.
    pub(crate) next: String,
    /// What `--fix` would do.
    pub(crate) fix: Option<Fix>,
}

impl Finding {
    pub(crate) fn new(
        kind: &'static Kind,
        title: impl Into<String>,
        next: impl Into<String>,
    ) -> Self {
        Self {
            kind,
            title: title.into(),
            evidence: Vec::new(),
            next: next.into(),
            fix: None,
        }
    }

    pub(crate) fn seen(mut self, line: impl Into<String>) -> Self {
        self.evidence.push(line.into());
        self
    }

    pub(crate) fn fixed_by(mut self, fix: impl Into<Option<Fix>>) -> Self {
        self.fix = fix.into();
        self
    }
}

/// What a check came to.
#[derive(Debug)]
pub(crate) struct Outcome {
    /// One line: what was seen to be well, or why nothing was looked at.
    pub(crate) line: String,
    /// Whether there was nothing to look at.
    pub(crate) skipped: bool,
    /// What is not well.
    pub(crate) findings: Vec<Finding>,
}

impl Outcome {
    /// What was seen, and what is not well of it.
    pub(crate) fn new(line: impl Into<String>, findings: Vec<Finding>) -> Self {
        Self {
            line: line.into(),
            skipped: false,
            findings,
        }
    }

    /// There is nothing to look at.
    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self {
            line: why.into(),
            skipped: true,
            findings: Vec::new(),
        }
    }
}
