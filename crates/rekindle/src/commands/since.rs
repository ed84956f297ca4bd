//! Which run a run is compared with: the last on the branch that work goes to, by the history; else the last of the same
//! command in this directory, by its log.

use std::path::Path;

use rekindle::{Surroundings, runs, selection};
use rekindle_base::Digest;
use rekindle_events::Event;
use rekindle_history::{History, Run};
use rekindle_report::since::{Figures, Since};
use rekindle_report::{Changes, Timeline};
use rekindle_snapshot::base::Git;

use super::insight;

/// So many of the newest rows are looked at.
const ROWS: u64 = 2_000;
/// So many of the newest logs are looked for the one that a row is of.
const LOGS: usize = 200;

/// What a run is compared with; `root` is the workspace that it was in.
pub(crate) fn find(
    surroundings: &Surroundings,
    (store_dir, root): (&Path, Option<&Path>),
    (run, events): (&str, &[Event]),
    timeline: &Timeline,
) -> Option<Since> {
    let project = root.map(|root| selection::project_of(surroundings, root));
    let by_history = project.and_then(|project| of_branch(store_dir, &project, timeline));
    by_history.or_else(|| here(store_dir, (run, events), timeline))
}

/// The last run of the command in this directory.
fn here(store_dir: &Path, (run, events): (&str, &[Event]), timeline: &Timeline) -> Option<Since> {
    let (command, _) = insight::started(events)?;
    let same = |other: &str| other == command;
    let (name, events) = insight::earlier(store_dir, run, events, same)?;
    let then = Timeline::of_run(&name, &events);
    Some(Since::here(Changes::between(&then, timeline)))
}

fn of_branch(
    store_dir: &Path,
    (project, git): &(Digest, Option<Git>),
    timeline: &Timeline,
) -> Option<Since> {
    let rows = History::open_to_read(store_dir).ok()?;
    let rows = rows.runs(&project.to_hex(), ROWS).ok()?;
    let began_ms = timeline.summary.began?.0;
    let command = timeline.summary.command.as_deref()?;
    let now = rows
        .iter()
        .find(|row| row.began_ms == began_ms && row.command == command)?;
    let then = row_before(&rows, now, &git.as_ref()?.targets)?;
    let log = log_of(store_dir, then);
    Some(Since {
        branch: then.branch.clone(),
        commit: then.commit.clone(),
        began_ms: then.began_ms,
        figures: Some((figures(then), figures(now))),
        changes: log.map(|then| Changes::between(&then, timeline)),
    })
}

/// The last good run of the same job and command on the first of the branches that has one. A run that failed ended early, so
/// nothing is compared with it, nor it with anything.
fn row_before<'a>(rows: &'a [Run], now: &Run, branches: &[String]) -> Option<&'a Run> {
    if now.exit_code != 0 {
        return None;
    }
    let is_like = |row: &&Run| {
        row.exit_code == 0
            && row.began_ms < now.began_ms
            && (&row.command, &row.job, &row.workflow) == (&now.command, &now.job, &now.workflow)
    };
    branches.iter().find_map(|branch| {
        let of_branch = rows.iter().filter(is_like);
        of_branch
            .filter(|row| row.branch.as_ref() == Some(branch))
            .max_by_key(|row| row.began_ms)
    })
}

/// The run that a row is of, where its log is on this machine: their names are made from the same.
fn log_of(store_dir: &Path, row: &Run) -> Option<Timeline> {
    let machine = rekindle_fsx::host_name();
    let names = runs::list(store_dir).ok()?;
    let name = names.into_iter().rev().take(LOGS).find(|name| {
        let mut named = row.clone();
        named.name(name, &machine);
        named.uid == row.uid
    })?;
    let log = runs::read(&runs::runs_dir(store_dir).join(&name)).ok()?;
    Some(Timeline::of_run(&name, &log.events))
}

fn figures(row: &Run) -> Figures {
    Figures {
        wall_ms: row.wall_ms,
        link_ms: row.link_ms,
        compiled: row.misses + row.uncacheable,
        hit_rate: row.hit_rate(),
        in_bytes: row.restored_bytes + row.materialised_bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(began_ms: u64, branch: &str, job: &str, exit_code: i32) -> Run {
        Run {
            began_ms,
            branch: Some(branch.to_owned()),
            job: Some(job.to_owned()),
            command: "test".to_owned(),
            exit_code,
            ..Run::default()
        }
    }

    #[test]
    fn a_run_is_compared_with_the_last_good_one_of_its_job_on_the_branch_that_it_goes_to() {
        let rows = [
            row(1, "main", "linux", 0),
            row(2, "main", "linux", 0),
            row(3, "main", "linux", 101),
            row(4, "main", "windows", 0),
            row(5, "topic", "linux", 0),
            row(9, "main", "linux", 0),
        ];
        let now = row(6, "topic", "linux", 0);
        let before = |now: &Run, branches: &[&str]| {
            let branches: Vec<String> = branches.iter().map(|name| (*name).to_owned()).collect();
            row_before(&rows, now, &branches).map(|row| row.began_ms)
        };
        assert_eq!(before(&now, &["main"]), Some(2));
        assert_eq!(before(&now, &["release", "main"]), Some(2));
        assert_eq!(before(&now, &["trunk"]), None);
        assert_eq!(before(&row(6, "topic", "mac", 0), &["main"]), None);
        assert_eq!(before(&row(6, "topic", "linux", 1), &["main"]), None);
    }
}
