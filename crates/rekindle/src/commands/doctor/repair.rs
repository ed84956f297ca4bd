//! `--fix`: each fix is shown, asked for, and done.

use std::io::{BufRead, IsTerminal, Write};

use super::fix::Fix;
use super::kinds::Kind;
use super::model::Finding;
use super::{Examined, examine};
use crate::cli::DoctorArgs;
use crate::error::CommandError;

/// What became of one fix.
#[derive(Debug)]
pub(super) struct Repair {
    pub(super) kind: &'static Kind,
    pub(super) ended: Ended,
}

impl Repair {
    /// Whether a check has to be made again after it.
    pub(super) fn touches(&self, check: &str) -> bool {
        self.kind.check == check && !matches!(self.ended, Ended::Declined)
    }
}

/// How it ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// What was done.
    Done(Vec<String>),
    /// Nobody said yes.
    Declined,
    /// What was done before a step failed, and why it did. Later steps were not tried.
    Failed(Vec<String>),
}

/// Shows, asks for and does all fixes. What a person reads goes to standard error: JSON has the other. Once
/// something was changed, a check is made again before its next fix: the remedy of one finding may be that of another.
pub(super) fn all(examined: &[Examined], args: &DoctorArgs) -> Result<Vec<Repair>, CommandError> {
    let mut repairs: Vec<Repair> = Vec::new();
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    for one in examined {
        for finding in &one.outcome.findings {
            let is_changed = repairs
                .iter()
                .any(|repair| !matches!(repair.ended, Ended::Declined));
            let Some(fix) = &finding.fix else { continue };
            let fresh = if is_changed {
                again(one, finding)?
            } else {
                None
            };
            let ended = match fresh {
                Some(None) => Ended::Done(vec!["an earlier fix has mended it".to_owned()]),
                Some(Some(fix)) => one_fix(finding, &fix, args.yes, can_ask)?,
                None => one_fix(finding, fix, args.yes, can_ask)?,
            };
            repairs.push(Repair {
                kind: finding.kind,
                ended,
            });
        }
    }
    if !can_ask && !args.yes && !repairs.is_empty() {
        eprintln!(
            "\nnothing was changed: there is no terminal to ask on; `--yes` does it without asking"
        );
    }
    if repairs.is_empty() {
        eprintln!("there is nothing that doctor can mend by itself");
    }
    Ok(repairs)
}

/// The fix of a finding as things are now: `Some(None)` where the finding is gone.
fn again(one: &Examined, finding: &Finding) -> Result<Option<Option<Fix>>, CommandError> {
    let anew = examine(&[one.check], |_| Ok(()))?;
    let findings = anew.into_iter().flat_map(|one| one.outcome.findings);
    let same = |other: &Finding| other.kind.id == finding.kind.id && other.title == finding.title;
    Ok(Some(
        findings
            .into_iter()
            .find(same)
            .and_then(|finding| finding.fix),
    ))
}

/// Shows a fix, asks, and makes it.
fn one_fix(finding: &Finding, fix: &Fix, yes: bool, can_ask: bool) -> Result<Ended, CommandError> {
    eprintln!("\n{}: {}", finding.kind.id, fix.summary);
    for step in &fix.steps {
        for line in step.shown().lines() {
            eprintln!("    {line}");
        }
    }
    let agreed = yes || (can_ask && ask(&fix.summary)?);
    Ok(if agreed { apply(fix) } else { Ended::Declined })
}

fn ask(summary: &str) -> Result<bool, CommandError> {
    let failed = |error: std::io::Error| {
        CommandError::environment(format!("the terminal could not be asked: {error}"))
    };
    eprint!("{summary}? [y/N] ");
    std::io::stderr().flush().map_err(failed)?;
    let mut line = String::new();
    std::io::stdin()
        .lock()
        .read_line(&mut line)
        .map_err(failed)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}

fn apply(fix: &Fix) -> Ended {
    let mut lines = Vec::new();
    for step in &fix.steps {
        match step.apply() {
            Ok(line) => {
                eprintln!("    done: {line}");
                lines.push(line);
            }
            Err(why) => {
                eprintln!("    failed: {why}");
                lines.push(why);
                return Ended::Failed(lines);
            }
        }
    }
    Ended::Done(lines)
}
