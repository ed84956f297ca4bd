//! `docs/benchmarks.md`, written from what was measured.

use std::fmt::Write;

use super::observe::render_observe;
use super::record::{Machine, NotMeasured, ProjectRecord, Records, Run, Scenario, ToolRecord};
use super::remote::page::render_remotes;
use super::replay::page::{render_replays, render_scale};

/// One figure of the page and whether it is good enough; `None` where it was not measured.
pub(super) struct Bar {
    pub(super) figure: &'static str,
    pub(super) wanted: String,
    pub(super) measured: String,
    pub(super) met: Option<bool>,
}

pub(super) fn render(records: &Records) -> String {
    let mut page = String::from(
        "<!-- Written by `cargo xtask bench` from benchmarks.json; do not edit. -->\n\
         # Benchmarks\n\n\
         Published programs, built with `cargo build` (debug) from their own lock files, offline, with\n\
         sources fetched beforehand. Tools take turns within each round; every figure is a median.\n\
         `target/` is removed before each build but the no-op. CPU is that of the process tree; daemons\n\
         are not in it. The JSON file beside this page holds every run.\n",
    );
    if records.projects.is_empty() {
        page.push_str("\nNothing is measured yet.\n");
    }
    for project in &records.projects {
        render_project(&mut page, project);
    }
    render_replays(&mut page, &records.replays);
    render_remotes(&mut page, &records.remotes);
    if let Some(scale) = &records.scale {
        render_scale(&mut page, scale);
    }
    if let Some(observe) = &records.observe {
        render_observe(&mut page, observe);
    }
    page
}

// Writing into a `String` cannot fail, so the results of `write!` are dropped below.

fn render_project(page: &mut String, project: &ProjectRecord) {
    let _ = write!(
        page,
        "\n## {} {} ({})\n\n{} packages; next version {}. {} rounds on {}.\n\n",
        project.name,
        project.version,
        project.kind,
        project.packages,
        project.next_version,
        project.rounds,
        shown(&project.machine),
    );
    render_times(page, project);
    render_costs(page, project);
    render_bars(page, &bars(project));
    render_tools(page, &project.tools, &project.not_measured);
}

pub(super) fn shown(machine: &Machine) -> String {
    format!(
        "{} cores, {} GiB of memory, {}, rustc {}",
        machine.cores, machine.memory_gib, machine.file_system, machine.rustc
    )
}

pub(super) fn render_tools(page: &mut String, tools: &[ToolRecord], not_measured: &[NotMeasured]) {
    page.push('\n');
    for tool in tools {
        let _ = writeln!(page, "- {}: {}; {}.", tool.name, tool.version, tool.note);
    }
    for missing in not_measured {
        let _ = writeln!(
            page,
            "- {} was not measured: {}.",
            missing.tool, missing.why
        );
    }
}

fn render_times(page: &mut String, project: &ProjectRecord) {
    page.push_str("| wall time |");
    for scenario in Scenario::ALL {
        let _ = write!(page, " {} |", scenario.name());
    }
    page.push_str("\n|---|---|---|---|---|---|\n");
    for tool in &project.tools {
        let _ = write!(page, "| {} |", tool.name);
        for scenario in Scenario::ALL {
            let cell = project.wall_ms(&tool.name, scenario).map_or_else(
                || "–".to_owned(),
                |wall_ms| time_cell(project, &tool.name, scenario, wall_ms),
            );
            let _ = write!(page, " {cell} |");
        }
        page.push('\n');
    }
}

/// Seconds, and for all but plain cargo the ratio to it; for Rekindle to the best rival as well.
fn time_cell(project: &ProjectRecord, tool: &str, scenario: Scenario, wall_ms: u64) -> String {
    let mut cell = seconds(wall_ms);
    if tool == "plain" {
        return cell;
    }
    // With `target/` removed, plain cargo does in a warm build what it does in a cold one.
    let plain = match scenario {
        Scenario::NextVersion => project.wall_ms("plain", scenario),
        _ => project.wall_ms("plain", Scenario::Cold),
    };
    if let Some(plain) = plain {
        let _ = write!(cell, " ({} of plain", ratio(wall_ms, plain));
        if let ("rekindle", Some((rival, best))) = (tool, project.best_rival(scenario)) {
            let _ = write!(cell, ", {} of {rival}", ratio(wall_ms, best));
        }
        cell.push(')');
    }
    cell
}

fn render_costs(page: &mut String, project: &ProjectRecord) {
    page.push_str(
        "\n| other costs | CPU cold | CPU warm | whole machine's CPU warm | in build scripts, warm | store |\n|---|---|---|---|---|---|\n",
    );
    for tool in &project.tools {
        let of = |scenario, figure: fn(&Run) -> u64| {
            project
                .median(&tool.name, scenario, figure)
                .map_or_else(|| "–".to_owned(), seconds)
        };
        let store = project
            .median(&tool.name, Scenario::Cold, |run| run.store_bytes)
            .map_or_else(|| "–".to_owned(), |bytes| format!("{} MiB", bytes >> 20));
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {} | {store} |",
            tool.name,
            of(Scenario::Cold, |run| run.cpu_ms),
            of(Scenario::WarmSame, |run| run.cpu_ms),
            of(Scenario::WarmSame, |run| run.machine_cpu_ms),
            of(Scenario::WarmSame, |run| run.build_scripts_ms),
        );
    }
}

pub(super) fn render_bars(page: &mut String, bars: &[Bar]) {
    page.push_str("\n| bar | wanted | measured | |\n|---|---|---|---|\n");
    for bar in bars {
        let verdict = match bar.met {
            Some(true) => "met",
            Some(false) => "**not met**",
            None => "not measured",
        };
        let _ = writeln!(
            page,
            "| {} | {} | {} | {verdict} |",
            bar.figure, bar.wanted, bar.measured
        );
    }
}

fn bars(project: &ProjectRecord) -> Vec<Bar> {
    let mut bars = vec![
        cold_against_plain(project),
        below_rivals(project, "cold, empty store", Scenario::Cold),
        share_not_run(project),
        against_sccache(project),
    ];
    if !project.builds_c {
        bars.push(against_restorers(project));
    }
    bars.push(elsewhere_against_same(project));
    bars.push(below_rivals(
        project,
        "next published version",
        Scenario::NextVersion,
    ));
    bars
}

fn cold_against_plain(project: &ProjectRecord) -> Bar {
    let ours = project.wall_ms("rekindle", Scenario::Cold);
    let plain = project.wall_ms("plain", Scenario::Cold);
    compare(
        "cold, empty store, against plain cargo",
        ours,
        plain,
        1.04,
        "of plain cargo",
    )
}

fn below_rivals(project: &ProjectRecord, figure: &'static str, scenario: Scenario) -> Bar {
    let ours = project.wall_ms("rekindle", scenario);
    let best = project.best_rival(scenario);
    Bar {
        figure,
        wanted: "below every rival".to_owned(),
        measured: match (ours, best) {
            (Some(ours), Some((rival, best))) => {
                format!("{}; best rival {rival} {}", seconds(ours), seconds(best))
            }
            _ => "–".to_owned(),
        },
        met: ours.zip(best).map(|(ours, (_, best))| ours < best),
    }
}

fn share_not_run(project: &ProjectRecord) -> Bar {
    let worst = project
        .runs
        .iter()
        .filter(|run| run.tool == "rekindle" && run.scenario == Scenario::WarmSame)
        .filter_map(|run| run.units)
        .max_by_key(|units| units.miss + units.uncacheable);
    Bar {
        figure: "warm, same directory: units not compiled",
        wanted: "all but those named with a reason".to_owned(),
        measured: worst.map_or_else(
            || "–".to_owned(),
            |units| {
                format!(
                    "{} fresh, {} hit, {} missed, {} uncacheable (worst round)",
                    units.fresh, units.hit, units.miss, units.uncacheable
                )
            },
        ),
        met: worst.map(|units| units.miss + units.uncacheable == 0 && units.fresh + units.hit > 0),
    }
}

fn against_sccache(project: &ProjectRecord) -> Bar {
    compare(
        "warm, same directory, without time in build scripts",
        without_scripts(project, "rekindle"),
        without_scripts(project, "sccache"),
        0.1,
        "of sccache",
    )
}

fn against_restorers(project: &ProjectRecord) -> Bar {
    let best = ["kache", "mbx"]
        .iter()
        .filter_map(|tool| without_scripts(project, tool))
        .min();
    compare(
        "warm, same directory, no C: not above kache and mbx",
        without_scripts(project, "rekindle"),
        best,
        1.0,
        "of the better of them",
    )
}

fn elsewhere_against_same(project: &ProjectRecord) -> Bar {
    compare(
        "warm, other directory and CARGO_HOME",
        project.wall_ms("rekindle", Scenario::WarmElsewhere),
        project.wall_ms("rekindle", Scenario::WarmSame),
        1.1,
        "of the same directory",
    )
}

/// Wall time of a warm build less the time in which build scripts ran, of ours and theirs alike.
fn without_scripts(project: &ProjectRecord, tool: &str) -> Option<u64> {
    project.median(tool, Scenario::WarmSame, |run| {
        run.wall_ms.saturating_sub(run.build_scripts_ms)
    })
}

pub(super) fn compare(
    figure: &'static str,
    ours: Option<u64>,
    theirs: Option<u64>,
    limit: f64,
    of: &str,
) -> Bar {
    Bar {
        figure,
        wanted: format!("≤ {limit} {of}"),
        measured: match (ours, theirs) {
            (Some(ours), Some(theirs)) => format!(
                "{} ({} against {})",
                ratio(ours, theirs),
                seconds(ours),
                seconds(theirs)
            ),
            _ => "–".to_owned(),
        },
        met: ours
            .zip(theirs)
            .map(|(ours, theirs)| quotient(ours, theirs) <= limit),
    }
}

#[allow(
    clippy::cast_precision_loss,
    reason = "milliseconds of one build fit well"
)]
pub(super) fn quotient(ours: u64, theirs: u64) -> f64 {
    ours as f64 / theirs.max(1) as f64
}

pub(super) fn ratio(ours: u64, theirs: u64) -> String {
    let quotient = quotient(ours, theirs);
    if quotient < 0.1 {
        format!("{quotient:.3}")
    } else {
        format!("{quotient:.2}")
    }
}

pub(super) fn seconds(ms: u64) -> String {
    let tenths = if ms < 10_000 { 2 } else { 1 };
    format!("{:.tenths$} s", quotient(ms, 1000))
}

#[cfg(test)]
mod tests {
    use super::super::record::{ToolRecord, Units};
    use super::*;

    fn run(tool: &str, scenario: Scenario, wall_ms: u64) -> Run {
        Run {
            tool: tool.to_owned(),
            scenario,
            wall_ms,
            build_scripts_ms: 100,
            units: (tool == "rekindle").then_some(Units {
                hit: 5,
                ..Units::default()
            }),
            ..Run::default()
        }
    }

    fn project() -> ProjectRecord {
        let tools = ["plain", "rekindle", "sccache", "mbx"];
        ProjectRecord {
            name: "example".to_owned(),
            tools: tools
                .iter()
                .map(|name| ToolRecord {
                    name: (*name).to_owned(),
                    version: "1".to_owned(),
                    note: "a note".to_owned(),
                })
                .collect(),
            runs: vec![
                run("plain", Scenario::Cold, 10_000),
                run("rekindle", Scenario::Cold, 10_400),
                run("sccache", Scenario::Cold, 15_000),
                run("mbx", Scenario::Cold, 10_300),
                run("rekindle", Scenario::WarmSame, 700),
                run("sccache", Scenario::WarmSame, 6_200),
                run("rekindle", Scenario::WarmElsewhere, 800),
            ],
            ..ProjectRecord::default()
        }
    }

    #[test]
    fn bars_say_what_is_met_and_what_was_not_measured() {
        let met: Vec<Option<bool>> = bars(&project()).iter().map(|bar| bar.met).collect();
        let expected = [
            Some(true),  // 1.04 of plain
            Some(false), // mbx is faster
            Some(true),  // nothing compiled
            Some(true),  // 600 ms against 6,100 ms
            None,        // no warm run of kache or mbx
            Some(false), // 1.14 of the same directory
            None,        // no next version
        ];
        assert_eq!(met, expected);
    }

    #[test]
    fn the_page_names_ratios_to_plain_cargo_and_the_best_rival() {
        let mut records = Records::default();
        records.put(project());
        let page = render(&records);
        assert!(
            page.contains("10.4 s (1.04 of plain, 1.01 of mbx)"),
            "{page}"
        );
        assert!(page.contains("**not met**"), "{page}");
    }
}
