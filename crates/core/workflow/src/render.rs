//! Findings as text, JSON, SARIF 2.1.0 and GitHub's annotations.

use rekindle_base::{CommandMessage, CommandProperty};
use serde::Serialize;
use serde_json::{Value, json};

use crate::audit::{Confidence, Finding, Safety, Severity};
use crate::findings::ALL;

/// Of the JSON document: raised when a field changes its meaning or goes.
pub const JSON_VERSION: u32 = 1;

#[derive(Serialize)]
struct Report<'f> {
    version: u32,
    findings: Vec<Entry<'f>>,
}

#[derive(Serialize)]
struct Entry<'f> {
    rule: &'f str,
    severity: Severity,
    confidence: Confidence,
    file: &'f str,
    line: u32,
    column: u32,
    job: Option<&'f str>,
    message: &'f str,
    fix: Option<EntryFix<'f>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<f64>,
}

#[derive(Serialize)]
struct EntryFix<'f> {
    safety: Safety,
    summary: &'f str,
}

/// One JSON document.
#[must_use]
pub fn json(findings: &[Finding]) -> String {
    let findings = findings
        .iter()
        .map(|finding| Entry {
            rule: finding.rule,
            severity: finding.severity,
            confidence: finding.confidence,
            file: &finding.file,
            line: finding.line,
            column: finding.column,
            job: finding.job.as_deref(),
            message: &finding.message,
            fix: finding.fix.as_ref().map(|fix| EntryFix {
                safety: fix.safety,
                summary: &fix.summary,
            }),
            minutes: finding.minutes,
        })
        .collect();
    serde_json::to_string(&Report {
        version: JSON_VERSION,
        findings,
    })
    .unwrap_or_default()
        + "\n"
}

/// For people: a line for each finding, and what can be mended.
#[must_use]
pub fn text(findings: &[Finding]) -> String {
    let mut text = String::new();
    for finding in findings {
        let job = finding
            .job
            .as_ref()
            .map(|job| format!(" (job `{job}`)"))
            .unwrap_or_default();
        let fix = match finding.fix.as_ref().map(|fix| fix.safety) {
            Some(Safety::Safe) => "; `--fix` does it",
            Some(Safety::Unsafe) => "; `--fix=unsafe` does it",
            None => "",
        };
        let minutes = finding
            .minutes
            .map(|minutes| format!(" [{minutes:.1} min a run]"))
            .unwrap_or_default();
        text += &format!(
            "{}:{}:{}: {} [{}]{job}: {}{fix}{minutes}\n",
            finding.file,
            finding.line,
            finding.column,
            shown(finding.severity),
            finding.rule,
            finding.message
        );
    }
    text
}

fn shown(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "high",
        Severity::Medium => "medium",
        Severity::Low => "low",
    }
}

/// GitHub's annotations: one workflow command a line.
#[must_use]
pub fn github(findings: &[Finding]) -> String {
    findings
        .iter()
        .map(|finding| {
            let level = match finding.severity {
                Severity::High => "error",
                Severity::Medium => "warning",
                Severity::Low => "notice",
            };
            format!(
                "::{level} file={},line={},col={},title={}::{}\n",
                CommandProperty(&finding.file),
                finding.line,
                finding.column,
                CommandProperty(&format!("rekindle: {}", finding.rule)),
                CommandMessage(&finding.message)
            )
        })
        .collect()
}

/// A SARIF 2.1.0 log with one run; `version` is the program's.
#[must_use]
pub fn sarif(findings: &[Finding], version: &str) -> String {
    let rules: Vec<Value> = ALL
        .iter()
        .map(|rule| {
            json!({
                "id": rule.id,
                "shortDescription": { "text": rule.summary },
                "defaultConfiguration": { "level": level(rule.severity) },
            })
        })
        .collect();
    let results: Vec<Value> = findings
        .iter()
        .map(|finding| {
            json!({
                "ruleId": finding.rule,
                "ruleIndex": ALL.iter().position(|rule| rule.id == finding.rule),
                "level": level(finding.severity),
                "message": { "text": finding.message },
                "locations": [{
                    "physicalLocation": {
                        "artifactLocation": { "uri": finding.file.replace(' ', "%20") },
                        "region": { "startLine": finding.line, "startColumn": finding.column },
                    }
                }],
            })
        })
        .collect();
    let log = json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{ "tool": { "driver": { "name": "rekindle", "version": version, "rules": rules } }, "results": results }],
    });
    log.to_string() + "\n"
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::High => "error",
        Severity::Medium => "warning",
        Severity::Low => "note",
    }
}
