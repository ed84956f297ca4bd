//! `--fix`: each fix is shown, asked for, and done.

use std::io::{BufRead, IsTerminal, Write};

use super::Examined;
use super::fix::Fix;
use super::kinds::Kind;
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

/// Shows, asks for and does all fixes. What a person reads goes to standard error: JSON has the other.
pub(super) fn all(examined: &[Examined], args: &DoctorArgs) -> Result<Vec<Repair>, CommandError> {
    let findings = examined.iter().flat_map(|one| &one.outcome.findings);
    let mut repairs: Vec<Repair> = Vec::new();
    let can_ask = std::io::stdin().is_terminal() && std::io::stderr().is_terminal();
    let mut shown: Vec<String> = Vec::new();
    for finding in findings {
        let Some(fix) = &finding.fix else { continue };
        let steps: Vec<String> = fix.steps.iter().map(super::fix::Step::shown).collect();
        // Two findings may have the same remedy.
        if shown.contains(&steps.concat()) {
            continue;
        }
        shown.push(steps.concat());
        eprintln!("\n{}: {}", finding.kind.id, fix.summary);
        for line in steps.iter().flat_map(|step| step.lines()) {
            eprintln!("    {line}");
        }
        let agreed = args.yes || (can_ask && ask(&fix.summary)?);
        let ended = if agreed { apply(fix) } else { Ended::Declined };
        repairs.push(Repair {
            kind: finding.kind,
            ended,
        });
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
