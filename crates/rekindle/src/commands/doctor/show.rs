//! What a person, or a program, sees of findings.

use std::fmt::Write as _;
use std::io::IsTerminal;

use serde::Serialize;

use super::Examined;
use super::kinds::Severity;
use super::model::{Finding, Outcome};
use super::repair::{Ended, Repair};

/// The version of the JSON form, which may only grow.
const VERSION: u32 = 1;

/// Widest name of a check.
const NAME_WIDTH: usize = 12;

/// How lines begin, and colours.
struct Marks {
    on_terminal: bool,
    colour: bool,
}

impl Marks {
    fn of_stdout() -> Self {
        let on_terminal = std::io::stdout().is_terminal();
        let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
        Self {
            on_terminal,
            colour: on_terminal && !plain,
        }
    }

    fn painted(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }

    /// The beginning of a check's line.
    fn of(&self, outcome: &Outcome) -> String {
        let worst = outcome
            .findings
            .iter()
            .map(|finding| finding.kind.severity)
            .min();
        let (sign, word, code) = match worst {
            Some(Severity::Error) => ("✗", "error", "1;31"),
            Some(Severity::Warning) => ("!", "warning", "1;33"),
            Some(Severity::Note) => ("·", "note", "1;36"),
            None if outcome.skipped => ("–", "-", "2"),
            None => ("✓", "ok", "1;32"),
        };
        if self.on_terminal {
            self.painted(code, sign)
        } else {
            format!("{word:<7}")
        }
    }
}

/// What all checks come to, and what `--fix` would do.
pub(super) fn sum(examined: &[Examined], fixing: bool) -> String {
    let findings = || examined.iter().flat_map(|one| &one.outcome.findings);
    let mut text = format!("\n{}\n", counted(findings()));
    let fixable = findings().filter(|finding| finding.fix.is_some()).count();
    if fixable > 0 && !fixing {
        let _ = writeln!(
            text,
            "`rekindle doctor --fix` mends {fixable} of them: it shows each step and asks"
        );
    }
    text
}

/// A check's line, and what it found.
pub(super) fn check(Examined { check, outcome }: &Examined) -> String {
    let marks = Marks::of_stdout();
    let line = if outcome.skipped {
        marks.painted("2", &outcome.line)
    } else {
        outcome.line.clone()
    };
    let line = format!("{} {:<NAME_WIDTH$}  {line}", marks.of(outcome), check.id);
    let mut text = format!("{}\n", line.trim_end());
    for finding in &outcome.findings {
        text.push_str(&one(finding, &marks));
    }
    text
}

fn one(finding: &Finding, marks: &Marks) -> String {
    let severity = finding.kind.severity;
    let code = match severity {
        Severity::Error => "1;31",
        Severity::Warning => "1;33",
        Severity::Note => "1;36",
    };
    let head = marks.painted(code, severity.word());
    let mut text = format!("    {head}: {} [{}]\n", finding.title, finding.kind.id);
    for line in &finding.evidence {
        let _ = writeln!(text, "      {line}");
    }
    let _ = writeln!(
        text,
        "      next: {}",
        finding.next.replace('\n', "\n      ")
    );
    if let Some(fix) = &finding.fix {
        let _ = writeln!(text, "      --fix: {}", fix.summary);
    }
    text
}

fn counted<'a>(findings: impl Iterator<Item = &'a Finding>) -> String {
    let mut counts = [0_usize; 3];
    for finding in findings {
        counts[finding.kind.severity as usize] += 1;
    }
    let words: Vec<String> = [Severity::Error, Severity::Warning, Severity::Note]
        .into_iter()
        .zip(counts)
        .filter(|(_, count)| *count > 0)
        .map(|(severity, count)| {
            format!(
                "{count} {}{}",
                severity.word(),
                if count == 1 { "" } else { "s" }
            )
        })
        .collect();
    if words.is_empty() {
        "all is well".to_owned()
    } else {
        words.join(", ")
    }
}

/// What comes before the checks that are made again.
pub(super) fn mended(repairs: &[Repair]) -> String {
    let is_done = |repair: &&Repair| matches!(repair.ended, Ended::Done(_));
    let done = repairs.iter().filter(is_done).count();
    format!("\n{done} mended; checked again:\n")
}

/// The JSON form.
#[derive(Serialize)]
pub(super) struct Form<'a> {
    version: u32,
    checks: Vec<CheckForm<'a>>,
    findings: Vec<FindingForm<'a>>,
    repairs: Vec<RepairForm<'a>>,
}

#[derive(Serialize)]
struct CheckForm<'a> {
    id: &'a str,
    /// `ok`, `skipped`, or the worst severity.
    status: &'a str,
    detail: &'a str,
}

#[derive(Serialize)]
struct FindingForm<'a> {
    id: &'a str,
    check: &'a str,
    severity: Severity,
    title: &'a str,
    evidence: &'a [String],
    next: &'a str,
    fix: Option<FixForm<'a>>,
}

#[derive(Serialize)]
struct FixForm<'a> {
    summary: &'a str,
    /// Whether every step has a way back; else it removes what is made again by itself.
    reversible: bool,
    steps: Vec<String>,
}

#[derive(Serialize)]
struct RepairForm<'a> {
    id: &'a str,
    /// `done`, `declined`, `failed`.
    outcome: &'a str,
    lines: &'a [String],
}

pub(super) fn json<'a>(examined: &'a [Examined], repairs: &'a [Repair]) -> Form<'a> {
    let check = |one: &'a Examined| {
        let worst = one
            .outcome
            .findings
            .iter()
            .map(|finding| finding.kind.severity)
            .min();
        CheckForm {
            id: one.check.id,
            status: match worst {
                Some(severity) => severity.word(),
                None if one.outcome.skipped => "skipped",
                None => "ok",
            },
            detail: &one.outcome.line,
        }
    };
    let finding = |finding: &'a Finding| FindingForm {
        id: finding.kind.id,
        check: finding.kind.check,
        severity: finding.kind.severity,
        title: &finding.title,
        evidence: &finding.evidence,
        next: &finding.next,
        fix: finding.fix.as_ref().map(|fix| FixForm {
            summary: &fix.summary,
            reversible: fix.steps.iter().all(super::fix::Step::is_reversible),
            steps: fix.steps.iter().map(super::fix::Step::shown).collect(),
        }),
    };
    let repair = |repair: &'a Repair| {
        let (outcome, lines) = match &repair.ended {
            Ended::Done(lines) => ("done", lines.as_slice()),
            Ended::Declined => ("declined", [].as_slice()),
            Ended::Failed(lines) => ("failed", lines.as_slice()),
        };
        RepairForm {
            id: repair.kind.id,
            outcome,
            lines,
        }
    };
    Form {
        version: VERSION,
        checks: examined.iter().map(check).collect(),
        findings: examined
            .iter()
            .flat_map(|one| &one.outcome.findings)
            .map(finding)
            .collect(),
        repairs: repairs.iter().map(repair).collect(),
    }
}
