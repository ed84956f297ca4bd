//! A project's rows as bytes, for another machine: what a shared store carries.
//!
//! zstd of lines of JSON: a header (`{"rekindle_history":1,"project":"…"}`), then a line for each row,
//! the newest first: `{"run":{…}}` or `{"job":{…}}`. Bounded to the newest [`ROWS_MAX`] of each. Rows have names,
//! so taking the same bytes in twice changes nothing, and two machines' rows become one history whichever way
//! they travel.
//!
//! What is taken in was written by others. It is never unpacked beyond [`UNPACKED_MAX_BYTES`]; a line that
//! is not a row, is of another project, or does not pass the checks of [`crate::Run`] is left out and counted.
//! Rows say nothing that a build goes by.

use std::io::{BufRead, BufReader, Read};

use rekindle_base::ErrorKind;
use serde::{Deserialize, Serialize};

use crate::db::{History, HistoryError};
use crate::model::{Job, PROJECT_LENGTH, Run};

/// The version of the form.
const VERSION: u32 = 1;

/// Rows of each kind that travel.
pub const ROWS_MAX: u64 = 5_000;

/// Bytes that are unpacked at most.
pub const UNPACKED_MAX_BYTES: u64 = 64 << 20;

/// A line is never longer, in bytes.
const LINE_MAX_BYTES: u64 = 64 << 10;

/// zstd's level: rows are much alike.
const LEVEL: i32 = 9;

#[derive(Serialize, Deserialize)]
struct Header {
    rekindle_history: u32,
    project: String,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Line {
    Run(Box<Run>),
    Job(Box<Job>),
}

/// Why rows cannot be packed or taken in.
#[derive(Debug, thiserror::Error)]
pub enum TransferError {
    /// The database.
    #[error(transparent)]
    History(#[from] HistoryError),
    /// Packing failed.
    #[error("the history cannot be packed: {0}; report this")]
    Pack(#[source] std::io::Error),
    /// The bytes are no history.
    #[error("these bytes are no packed history: {0}; remove them from the store")]
    NotAHistory(String),
    /// A newer version of Rekindle wrote them.
    #[error("the packed history has version {0}, which is newer; update rekindle")]
    Newer(u32),
    /// They are of another project.
    #[error("the packed history is of another project; give the one of this project")]
    OtherProject,
}

impl TransferError {
    /// Whose fault it is.
    #[must_use]
    pub const fn kind(&self) -> ErrorKind {
        match self {
            Self::History(error) => error.kind(),
            Self::Pack(_) => ErrorKind::Bug,
            Self::NotAHistory(_) | Self::Newer(_) | Self::OtherProject => ErrorKind::Environment,
        }
    }
}

/// What was taken in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Merged {
    /// Runs that were not known yet.
    pub new_runs: u64,
    /// Jobs that were not known yet.
    pub new_jobs: u64,
    /// Lines that are no rows of this project.
    pub left_out: u64,
}

/// Packs the newest rows of a project.
///
/// # Errors
/// [`TransferError`].
pub fn export(history: &History, project: &str) -> Result<Vec<u8>, TransferError> {
    let mut lines = Vec::new();
    let header = Header {
        rekindle_history: VERSION,
        project: project.to_owned(),
    };
    add(&mut lines, &header)?;
    for run in history.runs(project, ROWS_MAX)?.into_iter().rev() {
        add(&mut lines, &Line::Run(Box::new(run)))?;
    }
    for job in history.jobs(project, ROWS_MAX)?.into_iter().rev() {
        add(&mut lines, &Line::Job(Box::new(job)))?;
    }
    pack(&lines)
}

/// Lines as they travel.
///
/// # Errors
/// [`TransferError::Pack`].
pub fn pack(lines: &[u8]) -> Result<Vec<u8>, TransferError> {
    zstd::bulk::compress(lines, LEVEL).map_err(TransferError::Pack)
}

fn add(lines: &mut Vec<u8>, row: &impl Serialize) -> Result<(), TransferError> {
    serde_json::to_writer(&mut *lines, row).map_err(|error| TransferError::Pack(error.into()))?;
    lines.push(b'\n');
    Ok(())
}

/// Takes packed rows of a project in.
///
/// # Errors
/// [`TransferError`]; nothing was taken in then.
pub fn merge(history: &mut History, project: &str, bytes: &[u8]) -> Result<Merged, TransferError> {
    let damaged = |error: std::io::Error| TransferError::NotAHistory(error.to_string());
    let decoder = zstd::stream::read::Decoder::new(bytes).map_err(damaged)?;
    let mut reader = BufReader::new(decoder.take(UNPACKED_MAX_BYTES));
    let header = next_line(&mut reader).map_err(damaged)?;
    let header: Header = header
        .and_then(|line| serde_json::from_slice(&line).ok())
        .ok_or_else(|| TransferError::NotAHistory("there is no header".to_owned()))?;
    if header.rekindle_history > VERSION {
        return Err(TransferError::Newer(header.rekindle_history));
    }
    if header.project != project || project.len() != PROJECT_LENGTH {
        return Err(TransferError::OtherProject);
    }
    let (mut runs, mut jobs) = (Vec::new(), Vec::new());
    let mut merged = Merged::default();
    while let Some(line) = next_line(&mut reader).map_err(damaged)? {
        match serde_json::from_slice::<Line>(&line) {
            Ok(Line::Run(run)) if run.project == project => runs.push(*run),
            Ok(Line::Job(job)) if job.project == project => jobs.push(*job),
            _ => merged.left_out += 1,
        }
        let rows = ROWS_MAX as usize;
        if runs.len() > rows || jobs.len() > rows {
            return Err(TransferError::NotAHistory(
                "it has too many rows".to_owned(),
            ));
        }
    }
    for_sane(&mut runs, &mut jobs, &mut merged);
    (merged.new_runs, merged.new_jobs) = history.record_all(runs, jobs)?;
    Ok(merged)
}

fn for_sane(runs: &mut Vec<Run>, jobs: &mut Vec<Job>, merged: &mut Merged) {
    let before = runs.len() + jobs.len();
    runs.retain_mut(Run::tidy);
    jobs.retain_mut(Job::tidy);
    merged.left_out += (before - runs.len() - jobs.len()) as u64;
}

/// The next line without its end; one that is too long is no line.
fn next_line(reader: &mut impl BufRead) -> std::io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    let read = reader
        .by_ref()
        .take(LINE_MAX_BYTES)
        .read_until(b'\n', &mut line)?;
    if read as u64 == LINE_MAX_BYTES {
        return Err(std::io::Error::other("a line is too long"));
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Ok((read > 0).then_some(line))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{PROJECT, job, run};

    fn with(runs: std::ops::Range<u64>) -> (tempfile::TempDir, History) {
        let dir = tempfile::tempdir().unwrap();
        let mut history = History::open(dir.path()).unwrap();
        history
            .record_all(runs.map(run).collect(), vec![job(1)])
            .unwrap();
        (dir, history)
    }

    fn packed(lines: &[u8]) -> Vec<u8> {
        zstd::bulk::compress(lines, 1).unwrap()
    }

    fn lines(rows: &[String]) -> Vec<u8> {
        let header = format!("{{\"rekindle_history\":1,\"project\":\"{PROJECT}\"}}\n");
        packed(format!("{header}{}\n", rows.join("\n")).as_bytes())
    }

    #[test]
    fn two_machines_have_one_history_whichever_way_it_travels() {
        let (_a, mut a) = with(0..30);
        let (_b, mut b) = with(20..50);
        let from_b = export(&b, PROJECT).unwrap();
        let merged = merge(&mut a, PROJECT, &from_b).unwrap();
        assert_eq!(
            (merged.new_runs, merged.new_jobs, merged.left_out),
            (20, 0, 0)
        );
        // Again: nothing is new.
        assert_eq!(merge(&mut a, PROJECT, &from_b).unwrap(), Merged::default());
        merge(&mut b, PROJECT, &export(&a, PROJECT).unwrap()).unwrap();
        assert_eq!(a.runs(PROJECT, 99).unwrap(), b.runs(PROJECT, 99).unwrap());
        assert_eq!(export(&a, PROJECT).unwrap(), export(&b, PROJECT).unwrap());
    }

    #[test]
    fn only_the_newest_travel() {
        let (_a, a) = with(0..ROWS_MAX + 10);
        let (_b, mut b) = with(0..0);
        let merged = merge(&mut b, PROJECT, &export(&a, PROJECT).unwrap()).unwrap();
        assert_eq!(merged.new_runs, ROWS_MAX);
        assert_eq!(b.runs(PROJECT, u64::MAX).unwrap()[0], run(10));
    }

    #[test]
    fn what_is_no_row_of_the_project_is_left_out() {
        let (_a, mut a) = with(0..0);
        let of = |run: Run| serde_json::to_string(&Line::Run(Box::new(run))).unwrap();
        let mut foreign = run(1);
        foreign.project = "b".repeat(64);
        let mut odd = run(2);
        odd.uid = "'; DROP TABLE runs; --".into();
        let mut huge = run(3);
        huge.wall_ms = u64::MAX;
        let rows = [
            of(foreign),
            of(odd),
            of(huge),
            "{\"run\":7}".into(),
            "garbage".into(),
            of(run(4)),
        ];
        let merged = merge(&mut a, PROJECT, &lines(&rows)).unwrap();
        assert_eq!((merged.new_runs, merged.left_out), (1, 5));
        assert_eq!(a.runs(PROJECT, 9).unwrap(), [run(4)]);
    }

    #[test]
    fn bytes_of_others_are_bounded() {
        let (_a, mut a) = with(0..0);
        let mut check = |bytes: &[u8]| {
            assert!(merge(&mut a, PROJECT, bytes).is_err());
        };
        check(b"");
        check(b"no zstd");
        check(&packed(b"{\"rekindle_history\":2}\n"));
        check(&packed(b"{\"rekindle_history\":1,\"project\":\"x\"}\n"));
        // Zeros without end, as a line and as lines.
        check(&packed(&vec![0; 100 << 20]));
        let run = serde_json::to_string(&Line::Run(Box::new(run(1)))).unwrap();
        check(&lines(&vec![run; ROWS_MAX as usize + 1]));
        check(&lines(&["x".repeat(LINE_MAX_BYTES as usize + 1)]));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn any_bytes_are_taken(bytes in prop::collection::vec(any::<u8>(), 0..300), pack in any::<bool>()) {
            let (_a, mut a) = with(0..0);
            let bytes = if pack { lines(&[String::from_utf8_lossy(&bytes).into_owned()]) } else { bytes };
            let _ = merge(&mut a, PROJECT, &bytes);
        }
    }
}
