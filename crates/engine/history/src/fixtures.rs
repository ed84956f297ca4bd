//! Rows for this crate's tests.

use crate::model::{Job, JobStep, Run};

/// A project.
pub(crate) const PROJECT: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// The `number`th run: one each minute.
pub(crate) fn run(number: u64) -> Run {
    Run {
        uid: format!("{number:032x}"),
        project: PROJECT.into(),
        began_ms: 1_790_000_000_000 + number * 60_000,
        branch: Some("main".into()),
        commit: Some(format!("{number:040x}")),
        command: "build".into(),
        wall_ms: 10_000,
        exit_code: 0,
        fresh: Some(7),
        hits: 30,
        misses: 10,
        uncacheable: 1,
        compile_ms: 20_000,
        link_ms: 5_000,
        script_ms: 100,
        saved_ms: 60_000,
        restored_bytes: 5_000_000,
        published_bytes: 1_000_000,
        materialised_bytes: 10,
        cores: 4,
        ci: Some("github".into()),
        workflow: Some("CI".into()),
        job: Some("test".into()),
        runner: Some("ubuntu24 X64".into()),
        rekindle: "0.1.0".into(),
    }
}

/// The `number`th job: queued for 5 s, run for 60 s.
pub(crate) fn job(number: u64) -> Job {
    let created_ms = 1_790_000_000_000 + number * 60_000;
    Job {
        uid: format!("github:o/r:{number}"),
        project: PROJECT.into(),
        repository: "o/r".into(),
        workflow: "CI".into(),
        name: "test".into(),
        branch: Some("main".into()),
        commit: None,
        created_ms,
        started_ms: created_ms + 5_000,
        completed_ms: created_ms + 65_000,
        conclusion: "success".into(),
        labels: "ubuntu-latest".into(),
        steps: vec![JobStep {
            name: "build".into(),
            conclusion: "success".into(),
            time_ms: 50_000,
        }],
    }
}
