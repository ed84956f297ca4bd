//! The verdicts as a page.

use std::fmt::Write;

use super::cases::CASES;
use super::{CorpusRecord, Verdict};

const HEAD: &str = "\
# Reads that nobody declares

Macros and build scripts read files, variables and more without telling cargo. What that does to a program under
each tool, as `cargo xtask bench corpus` found it; every case is built from an empty store, again with nothing
changed, and again after what was read had changed. Whether something was reused shows in an address that the macro or
the script leaves in the program, which is another one in each process: no tool is asked.

- **right**: reused while nothing had changed, and made anew afterwards.
- **made each time**: never wrong, never reused.
- **STALE**: the program says what was true before the change.

The target directory was removed before each build; under `kept`, which is plain cargo, nothing was.

";

/// Renders the page.
pub(super) fn render(record: &CorpusRecord) -> String {
    let mut page = HEAD.to_owned();
    let mut head = "| what is read |".to_owned();
    let mut rule = "|---|".to_owned();
    for tool in &record.tools {
        let _ = write!(head, " {} |", tool.name);
        rule.push_str("---|");
    }
    let _ = writeln!(page, "{head}\n{rule}");
    for case in CASES {
        let _ = write!(page, "| {} |", case.what);
        for tool in &record.tools {
            let _ = write!(page, " {} |", said(record, case.name, &tool.name));
        }
        page.push('\n');
    }
    page.push_str("| **stale** |");
    for tool in &record.tools {
        let of_tool = record.verdicts.iter().filter(|one| one.tool == tool.name);
        let stale = of_tool.filter(|one| one.verdict == Verdict::Stale).count();
        let _ = write!(page, " **{stale}** |");
    }
    page.push_str("\n\n");
    for tool in &record.tools {
        let _ = writeln!(page, "- `{}`: {}; {}", tool.name, tool.version, tool.note);
    }
    for missing in &record.not_measured {
        let _ = writeln!(page, "- `{}` was not tried: {}", missing.tool, missing.why);
    }
    let _ = writeln!(page, "\nrustc {}.", record.machine.rustc);
    page
}

fn said(record: &CorpusRecord, case: &str, tool: &str) -> &'static str {
    let mut all = record.verdicts.iter();
    let found = all.find(|one| one.case == case && one.tool == tool);
    match found.map(|one| one.verdict) {
        Some(Verdict::Right) => "right",
        Some(Verdict::NotReused) => "made each time",
        Some(Verdict::Stale) => "STALE",
        None => "–",
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Judged, ToolRecord};
    use super::*;

    #[test]
    fn each_tool_has_a_column_and_a_sum() {
        let tool = |name: &str| ToolRecord {
            name: name.to_owned(),
            version: "1".to_owned(),
            note: "x".to_owned(),
        };
        let judged = |tool: &str, verdict| Judged {
            case: "macro-file".to_owned(),
            tool: tool.to_owned(),
            verdict,
        };
        let page = render(&CorpusRecord {
            tools: vec![tool("one"), tool("two")],
            verdicts: vec![judged("one", Verdict::Right), judged("two", Verdict::Stale)],
            ..CorpusRecord::default()
        });
        assert!(
            page.contains("| a macro reads a file | right | STALE |"),
            "{page}"
        );
        assert!(page.contains("| **stale** | **0** | **1** |"), "{page}");
    }
}
