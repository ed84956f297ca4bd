//! The part of `docs/benchmarks.md` on fresh checkouts and on workspaces that grow.

use std::collections::HashMap;
use std::fmt::Write;

use super::record::{Build, Played, ReplayRecord, ScaleRecord};
use super::scenario::{NEW, SAME, Scenario};
use crate::bench::page::{
    Bar, compare, quotient, ratio, render_bars, render_tools, seconds, shown,
};
use crate::bench::record::{NotMeasured, ToolRecord, median};

const ABOUT: &str = "
# Fresh checkouts

What CI jobs do: a checkout is removed with its target directory and made anew by git at the same
path, every file's time is now, and a tool's store is what its last job left. A version is what was
published under that number; where a project publishes its packages one by one, they are put beside each
other as its own workspace. `CARGO_HOME` holds all packages already, but for rust-cache, which
packs and unpacks it as a job does. The wall time is that of everything a job waits for. kache fills a
new target directory from another checkout: there is one, with the state before, made when no clock runs.
Packages built are those that cargo did not find fresh, whether or not a cache knew them.
";

// Writing into a `String` cannot fail, so the results of `write!` are dropped below.

pub(in crate::bench) fn render_replays(page: &mut String, replays: &[ReplayRecord]) {
    if replays.is_empty() {
        return;
    }
    page.push_str(ABOUT);
    for replay in replays {
        let _ = write!(
            page,
            "\n## Fresh checkouts of {} ({})\n\n{} packages. {}.\n",
            replay.name,
            replay.kind,
            replay.packages,
            shown(&replay.machine)
        );
        if let Some(played) = replay.played(Scenario::Versions) {
            render_versions(page, &replay.tools, played);
        }
        render_changes(page, replay);
        page.push_str("\n**Bars**\n");
        render_bars(page, &bars(replay));
        render_tools(page, &replay.tools, &not_measured(&replay.scenarios));
    }
}

/// Why something is missing, once.
fn not_measured(scenarios: &[Played]) -> Vec<NotMeasured> {
    let mut all: Vec<NotMeasured> = Vec::new();
    for missing in scenarios.iter().flat_map(|played| &played.not_measured) {
        let known = |old: &NotMeasured| old.tool == missing.tool && old.why == missing.why;
        if !all.iter().any(known) {
            all.push(missing.clone());
        }
    }
    all
}

fn render_versions(page: &mut String, tools: &[ToolRecord], played: &Played) {
    let steps = played.steps();
    let _ = write!(
        page,
        "\n**Successive versions**, each with the store of the one before; {}. In parentheses: packages built.\n\n| wall time | total | of kept |",
        times(played)
    );
    for step in &steps {
        let _ = write!(page, " {step} |");
    }
    page.push_str("\n|---|---|---|");
    page.push_str(&"---|".repeat(steps.len()));
    page.push('\n');
    let kept = played.total_ms("kept");
    for tool in tools {
        let total = played.total_ms(&tool.name);
        let share = total.zip(kept).map(|(ours, kept)| ratio(ours, kept));
        let _ = write!(
            page,
            "| {} | {} | {} |",
            tool.name,
            or_dash(total.map(seconds)),
            or_dash(share)
        );
        for step in &steps {
            let _ = write!(page, " {} |", time_cell(played, &tool.name, step));
        }
        page.push('\n');
    }
    render_phases(page, tools, played);
}

/// What the wall time of a tool with several commands is made of.
fn render_phases(page: &mut String, tools: &[ToolRecord], played: &Played) {
    for tool in tools {
        let mut sums: Vec<(&str, u64)> = Vec::new();
        let runs = played.runs.iter().filter(|run| run.tool == tool.name);
        for phase in runs.flat_map(|run| &run.phases) {
            match sums.iter_mut().find(|(name, _)| *name == phase.name) {
                Some((_, sum)) => *sum += phase.wall_ms,
                None => sums.push((&phase.name, phase.wall_ms)),
            }
        }
        if sums.is_empty() {
            continue;
        }
        let rounds = played.rounds.max(1);
        let parts: Vec<String> = sums
            .iter()
            .map(|(name, sum)| format!("{name} {}", seconds(sum / rounds)))
            .collect();
        let _ = writeln!(page, "\n{} is made of: {}.", tool.name, parts.join(", "));
    }
}

/// Scenarios of one or two steps, as columns.
fn render_changes(page: &mut String, replay: &ReplayRecord) {
    const COLUMNS: [(Scenario, &str, &str); 11] = [
        (Scenario::NoChange, SAME, "no change"),
        (Scenario::Readme, NEW, "README"),
        (Scenario::Leaf, NEW, "a leaf member"),
        (Scenario::Root, NEW, "the root member"),
        (Scenario::Lock, NEW, "`Cargo.lock`"),
        (Scenario::Check, SAME, "`check`, no change"),
        (Scenario::Check, NEW, "`check`, next version"),
        (Scenario::Test, SAME, "`test --no-run`, no change"),
        (Scenario::Test, NEW, "`test --no-run`, next version"),
        (Scenario::Release, SAME, "`--release`, no change"),
        (Scenario::Release, NEW, "`--release`, next version"),
    ];
    let columns: Vec<(&Played, &str, &str)> = COLUMNS
        .into_iter()
        .filter_map(|(scenario, step, name)| Some((replay.played(scenario)?, step, name)))
        .collect();
    let Some((first, _, _)) = columns.first() else {
        return;
    };
    let _ = write!(
        page,
        "\n**What changed since the last job**; {}. In parentheses: packages built.\n\n| wall time |",
        times(first)
    );
    for (_, _, name) in &columns {
        let _ = write!(page, " {name} |");
    }
    let _ = writeln!(page, "\n|---|{}", "---|".repeat(columns.len()));
    for tool in &replay.tools {
        let _ = write!(page, "| {} |", tool.name);
        for (played, step, _) in &columns {
            let _ = write!(page, " {} |", time_cell(played, &tool.name, step));
        }
        page.push('\n');
    }
}

fn times(played: &Played) -> String {
    let depth = match played.depth {
        Some(depth) => format!("clones of depth {depth}"),
        None => "whole clones".to_owned(),
    };
    format!("medians of {} rounds, {depth}", played.rounds)
}

fn time_cell(played: &Played, tool: &str, step: &str) -> String {
    let mut built: Vec<u64> = played
        .of(tool, step)
        .map(|run| run.packages_built)
        .collect();
    let cell = played.wall_ms(tool, step).zip(median(&mut built));
    or_dash(cell.map(|(wall_ms, built)| format!("{} ({built})", seconds(wall_ms))))
}

fn or_dash(text: Option<String>) -> String {
    text.unwrap_or_else(|| "–".to_owned())
}

fn bars(replay: &ReplayRecord) -> Vec<Bar> {
    let mut bars = Vec::new();
    if let Some(played) = replay.played(Scenario::NoChange) {
        bars.push(nothing_started(played));
        bars.push(compare(
            "no change, against the kept target's no-op",
            played.wall_ms("rekindle", SAME),
            played.wall_ms("kept", SAME),
            2.0,
            "of kept",
        ));
        let best = played.best_rival(&replay.tools, |played, tool| played.wall_ms(tool, SAME));
        bars.push(compare(
            "no change, against the best rival",
            played.wall_ms("rekindle", SAME),
            best.map(|(_, ms)| ms),
            0.5,
            &format!("of {}", best.map_or("the best rival", |(rival, _)| rival)),
        ));
        bars.push(programs_alone(played));
        bars.push(capture(played));
    }
    if let Some(played) = replay.played(Scenario::Versions) {
        let ours = played.total_ms("rekindle");
        bars.push(compare(
            "successive versions, total, against the kept target",
            ours,
            played.total_ms("kept"),
            1.25,
            "of kept",
        ));
        let best = played.best_rival(&replay.tools, Played::total_ms);
        bars.push(Bar {
            figure: "successive versions, total, against rivals",
            wanted: "below every rival".to_owned(),
            measured: or_dash(ours.zip(best).map(|(ours, (rival, best))| {
                format!("{}; best rival {rival} {}", seconds(ours), seconds(best))
            })),
            met: ours.zip(best).map(|(ours, (_, best))| ours < best),
        });
    }
    bars
}

/// Builds of the unchanged state by Rekindle; the watched ones on demand.
fn unchanged(played: &Played, watched: bool) -> impl Iterator<Item = &Build> {
    played.runs.iter().filter(move |run| {
        run.tool == "rekindle" && run.step == SAME && run.witnessed.is_some() == watched
    })
}

/// By what Rekindle says, by what cargo says, and by what the kernel says. A package whose build script always runs again
/// is not fresh in the kept target either.
fn nothing_started(played: &Played) -> Bar {
    let kept = played.runs.iter();
    let kept = kept.filter(|run| run.tool == "kept" && run.step == SAME);
    let never_fresh = kept.map(|run| run.packages_built).max().unwrap_or(0);
    let started = unchanged(played, false)
        .filter_map(|run| Some((run.processes?, run.packages_built)))
        .max_by_key(|(processes, _)| processes.rustc + processes.linker);
    let seen = unchanged(played, true).find_map(|run| run.witnessed);
    let watched = seen.map_or_else(
        || "; not watched by the kernel".to_owned(),
        |seen| format!("; the kernel saw {} and {}", seen.compilers, seen.linkers),
    );
    Bar {
        figure: "no change: compilers and linkers started",
        wanted: "0".to_owned(),
        measured: or_dash(started.map(|(processes, built)| {
            format!(
                "{} and {} (worst build; {built} packages not fresh, {never_fresh} in the kept target){watched}",
                processes.rustc, processes.linker
            )
        })),
        met: started.map(|(processes, built)| {
            let unseen = seen.is_none_or(|seen| seen.compilers + seen.linkers == 0);
            processes.rustc + processes.linker == 0 && built <= never_fresh && unseen
        }),
    }
}

fn programs_alone(played: &Played) -> Bar {
    let worst = unchanged(played, false)
        .filter_map(|run| {
            // Where nothing was restored, nothing had to be materialised.
            let snapshot = run.snapshot.as_ref().filter(|one| one.restored_units > 0)?;
            Some((snapshot.materialised_bytes?, run.program_bytes))
        })
        .max();
    Bar {
        figure: "no change: bytes materialised",
        wanted: "the final programs alone".to_owned(),
        measured: or_dash(
            worst.map(|(bytes, programs)| format!("{bytes}; the programs have {programs}")),
        ),
        met: worst.map(|(bytes, programs)| bytes <= programs),
    }
}

fn capture(played: &Played) -> Bar {
    let mut times: Vec<u64> = unchanged(played, false)
        .filter_map(|run| run.snapshot.as_ref()?.capture_ms)
        .collect();
    compare(
        "no change: snapshot capture against the kept target's no-op",
        median(&mut times),
        played.wall_ms("kept", SAME),
        0.3,
        "of kept",
    )
}

pub(in crate::bench) fn render_scale(page: &mut String, scale: &ScaleRecord) {
    let _ = write!(
        page,
        "\n# No change at all, as a workspace grows\n\nGenerated workspaces of tiny members; the kept target's no-op, and a fresh checkout with a warm\nstore. {} rounds on {}.\n\n| units |",
        scale.rounds,
        shown(&scale.machine)
    );
    for tool in &scale.tools {
        let _ = write!(page, " {} |", tool.name);
    }
    let _ = writeln!(page, "\n|---|{}", "---|".repeat(scale.tools.len()));
    for size in &scale.sizes {
        let _ = write!(page, "| {} |", size.units);
        for tool in &scale.tools {
            let _ = write!(page, " {} |", time_cell(&size.played, &tool.name, SAME));
        }
        page.push('\n');
    }
    page.push_str("| **exponent** |");
    for tool in &scale.tools {
        let slope = exponent(&points(scale, &tool.name));
        let _ = write!(
            page,
            " {} |",
            or_dash(slope.map(|slope| format!("{slope:.2}")))
        );
    }
    page.push_str("\n\nThe exponent is the slope of a line through the logarithms of units and wall time: 1 is linear. The second\nbar is about what Rekindle adds to the kept target's no-op.\n");
    let bars = [
        no_worse_than_linear(
            "no change: cost as the work grows",
            &points(scale, "rekindle"),
        ),
        no_worse_than_linear(
            "the same, less the kept target's no-op",
            &added(scale, "rekindle"),
        ),
    ];
    render_bars(page, &bars);
    render_tools(page, &scale.tools, &scale.not_measured);
}

/// Costs that are the same for every size flatten the line: each size is held against the one before.
fn no_worse_than_linear(figure: &'static str, points: &[(u64, u64)]) -> Bar {
    let steepest = points
        .windows(2)
        .filter_map(exponent)
        .max_by(f64::total_cmp);
    Bar {
        figure,
        wanted: "no worse than linear: exponent ≤ 1 between any size and the next".to_owned(),
        measured: or_dash(steepest.map(|slope| format!("at most {slope:.2}"))),
        met: steepest.map(|slope| slope <= 1.0),
    }
}

fn points(scale: &ScaleRecord, tool: &str) -> Vec<(u64, u64)> {
    scale
        .sizes
        .iter()
        .filter_map(|size| Some((size.units, size.played.wall_ms(tool, SAME)?)))
        .collect()
}

/// What a tool takes beyond the kept target's no-op.
fn added(scale: &ScaleRecord, tool: &str) -> Vec<(u64, u64)> {
    let kept: HashMap<u64, u64> = points(scale, "kept").into_iter().collect();
    let tool = points(scale, tool).into_iter();
    tool.filter_map(|(units, ms)| Some((units, ms.checked_sub(*kept.get(&units)?)?)))
        .collect()
}

/// The slope of the line of least squares through the points' logarithms; `None` for fewer than two
/// different sizes.
fn exponent(points: &[(u64, u64)]) -> Option<f64> {
    let logs: Vec<(f64, f64)> = points
        .iter()
        .map(|(units, ms)| (quotient(*units, 1).ln(), quotient((*ms).max(1), 1).ln()))
        .collect();
    let count = quotient(logs.len() as u64, 1);
    let mean_x = logs.iter().map(|(x, _)| x).sum::<f64>() / count;
    let mean_y = logs.iter().map(|(_, y)| y).sum::<f64>() / count;
    let spread: f64 = logs.iter().map(|(x, _)| (x - mean_x).powi(2)).sum();
    let common: f64 = logs.iter().map(|(x, y)| (x - mean_x) * (y - mean_y)).sum();
    (spread > 0.0).then(|| common / spread)
}

#[cfg(test)]
mod tests {
    use super::super::record::{Phase, Size, Witnessed};
    use super::*;
    use crate::bench::record::{Processes, Snapshot};

    fn build(tool: &str, step: &str, wall_ms: u64) -> Build {
        Build {
            tool: tool.to_owned(),
            step: step.to_owned(),
            wall_ms,
            ..Build::default()
        }
    }

    fn played(scenario: Scenario, runs: Vec<Build>) -> Played {
        Played {
            scenario,
            rounds: 1,
            runs,
            ..Played::default()
        }
    }

    fn tools(names: &[&str]) -> Vec<ToolRecord> {
        let tool = |name: &&str| ToolRecord {
            name: (*name).to_owned(),
            ..ToolRecord::default()
        };
        names.iter().map(tool).collect()
    }

    /// Rekindle's build of the unchanged state, with nothing started and 100 bytes materialised.
    fn ours() -> Build {
        Build {
            processes: Some(Processes::default()),
            snapshot: Some(Snapshot {
                restored_units: 1,
                materialised_bytes: Some(100),
                capture_ms: Some(100),
                ..Snapshot::default()
            }),
            program_bytes: 100,
            ..build("rekindle", SAME, 900)
        }
    }

    fn replay(ours: Vec<Build>) -> ReplayRecord {
        let mut unchanged = vec![build("kept", SAME, 500), build("mbx", SAME, 1_900)];
        unchanged.extend(ours);
        let versions = vec![
            build("kept", "v1", 1_000),
            build("kept", "v2", 3_000),
            build("rekindle", "v1", 2_000),
            build("rekindle", "v2", 2_900),
            build("mbx", "v1", 5_000),
            build("rust-cache", "v1", 2_000),
            Build {
                phases: vec![Phase {
                    name: "pack target".to_owned(),
                    wall_ms: 700,
                }],
                ..build("rust-cache", "v2", 2_500)
            },
        ];
        ReplayRecord {
            tools: tools(&["kept", "rekindle", "rust-cache", "mbx"]),
            scenarios: vec![
                played(Scenario::Versions, versions),
                played(Scenario::NoChange, unchanged),
            ],
            ..ReplayRecord::default()
        }
    }

    fn met(replay: &ReplayRecord) -> Vec<Option<bool>> {
        bars(replay).iter().map(|bar| bar.met).collect()
    }

    #[test]
    fn bars_compare_with_the_limit_and_with_the_best_rival() {
        let expected = [
            Some(true),  // nothing started
            Some(true),  // 1.8 of kept
            Some(true),  // 0.47 of mbx
            Some(true),  // the program alone
            Some(true),  // 0.2 of kept
            Some(true),  // 4.9 s against 4 s
            Some(false), // rust-cache took 4.5 s; mbx is not complete
        ];
        assert_eq!(met(&replay(vec![ours()])), expected);
    }

    #[test]
    fn nothing_is_believed_that_cargo_or_the_kernel_contradicts() {
        let not_fresh = Build {
            packages_built: 1,
            ..ours()
        };
        assert_eq!(met(&replay(vec![not_fresh]))[0], Some(false));
        let watched = Build {
            witnessed: Some(Witnessed {
                compilers: 0,
                linkers: 1,
            }),
            ..ours()
        };
        assert_eq!(met(&replay(vec![ours(), watched]))[0], Some(false));
        let larger = Build {
            program_bytes: 99,
            ..ours()
        };
        assert_eq!(met(&replay(vec![larger]))[3], Some(false));
        let nothing_restored = Build {
            snapshot: Some(Snapshot {
                materialised_bytes: Some(0),
                ..Snapshot::default()
            }),
            ..ours()
        };
        assert_eq!(met(&replay(vec![nothing_restored]))[3], None);
    }

    #[test]
    fn what_is_missing_is_not_met() {
        let bare = build("rekindle", SAME, 900);
        let met = met(&replay(vec![bare]));
        assert_eq!((met[0], met[3], met[4]), (None, None, None));
    }

    #[test]
    fn the_page_has_totals_phases_and_dashes() {
        let mut page = String::new();
        render_replays(&mut page, &[replay(vec![ours()])]);
        assert!(
            page.contains("| wall time | total | of kept | v1 | v2 |"),
            "{page}"
        );
        assert!(
            page.contains("| rekindle | 4.90 s | 1.23 | 2.00 s (0) | 2.90 s (0) |"),
            "{page}"
        );
        assert!(page.contains("| mbx | – | – | 5.00 s (0) | – |"), "{page}");
        assert!(
            page.contains("rust-cache is made of: pack target 0.70 s."),
            "{page}"
        );
    }

    #[test]
    fn the_exponent_is_the_slope_of_logarithms() {
        let about = |points: &[(u64, u64)]| exponent(points).map(|slope| (slope * 100.0).round());
        assert_eq!(about(&[(100, 50), (400, 200), (1_600, 800)]), Some(100.0));
        assert_eq!(about(&[(100, 10), (1_000, 1_000)]), Some(200.0));
        assert_eq!(about(&[(100, 10)]), None);
        assert_eq!(about(&[]), None);
    }

    #[test]
    fn a_steeper_workspace_does_not_meet_its_bar() {
        let size = |units, kept, ours| Size {
            units,
            played: played(
                Scenario::NoChange,
                vec![build("kept", SAME, kept), build("rekindle", SAME, ours)],
            ),
        };
        let scale = ScaleRecord {
            tools: tools(&["kept", "rekindle"]),
            // The whole line has a slope of 0.93, its second half one of 1.16, for which cargo is to blame.
            sizes: vec![
                size(100, 60, 100),
                size(400, 164, 264),
                size(1_600, 1_020, 1_320),
            ],
            ..ScaleRecord::default()
        };
        let mut page = String::new();
        render_scale(&mut page, &scale);
        assert!(page.contains("at most 1.16 | **not met**"), "{page}");
        assert!(page.contains("at most 0.79 | met"), "{page}");
    }
}
