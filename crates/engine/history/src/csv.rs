//! Runs as lines of comma-separated values, a header first; the format of RFC 4180.

use std::fmt::Write as _;

use crate::model::Run;
use crate::time::stamp;

/// The columns, in order. Added to at the end, never changed.
pub const COLUMNS: &str = "began,branch,commit,command,wall_ms,exit_code,fresh,hits,misses,uncacheable,\
    hit_rate,compile_ms,link_ms,script_ms,saved_ms,restored_bytes,published_bytes,\
    materialised_bytes,cores,ci,workflow,job,runner,rekindle";

/// All runs, in their order.
#[must_use]
pub fn runs(runs: &[Run]) -> String {
    let mut text = format!("{COLUMNS}\r\n");
    for run in runs {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let rate = run.hit_rate().map(|rate| format!("{rate:.2}"));
        let cells = [
            Some(stamp(run.began_ms)),
            run.branch.clone(),
            run.commit.clone(),
            Some(run.command.clone()),
            number(Some(run.wall_ms)),
            Some(run.exit_code.to_string()),
            number(run.fresh),
            number(Some(run.hits)),
            number(Some(run.misses)),
            number(Some(run.uncacheable)),
            rate,
            number(Some(run.compile_ms)),
            number(Some(run.link_ms)),
            number(Some(run.script_ms)),
            number(Some(run.saved_ms)),
            number(Some(run.restored_bytes)),
            number(Some(run.published_bytes)),
            number(Some(run.materialised_bytes)),
            Some(run.cores.to_string()),
            run.ci.clone(),
            run.workflow.clone(),
            run.job.clone(),
            run.runner.clone(),
            Some(run.rekindle.clone()),
        ];
        let cells: Vec<String> = cells
            .iter()
            .map(|cell| quoted(cell.as_deref().unwrap_or_default()))
            .collect();
        let _ = write!(text, "{}\r\n", cells.join(","));
    }
    text
}

/// A cell. One that a spreadsheet would take for a formula gets an apostrophe before it: branches are
/// named by whoever opens a pull request.
fn quoted(cell: &str) -> String {
    let is_formula = cell.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let is_number = cell.parse::<f64>().is_ok();
    let cell = if is_formula && !is_number {
        format!("'{cell}")
    } else {
        cell.to_owned()
    };
    if cell.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::run;

    #[test]
    fn a_line_for_each_run_in_the_order_of_the_header() {
        let mut odd = run(1);
        odd.branch = Some("a,\"b\"".into());
        odd.fresh = None;
        let text = runs(&[odd]);
        let lines: Vec<&str> = text.split("\r\n").collect();
        assert_eq!(lines[0], COLUMNS);
        assert_eq!(
            lines[1],
            "2026-09-21T14:14:20Z,\"a,\"\"b\"\"\",0000000000000000000000000000000000000001,build,10000,0,,\
             30,10,1,75.00,20000,5000,100,60000,5000000,1000000,10,4,github,CI,test,ubuntu24 X64,0.1.0"
        );
        assert_eq!(
            lines[1].replace("\"a,\"\"b\"\"\"", "b").split(',').count(),
            COLUMNS.split(',').count()
        );
    }

    #[test]
    fn no_branch_is_a_formula() {
        assert_eq!(quoted("=HYPERLINK(1)"), "'=HYPERLINK(1)");
        assert_eq!(quoted("-1"), "-1");
    }
}
