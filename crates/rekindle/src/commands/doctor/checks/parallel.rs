//! Jobs against processors, and memory against links, with what control groups allow.

use rekindle_base::ByteSize;

use super::super::context::Context;
use super::super::edit;
use super::super::kinds::{JOBS_OVER_CORES, JOBS_OVER_QUOTA, MEMORY_FOR_LINKS};
use super::super::limits::{self, Limits};
use super::super::model::{Finding, Outcome};

/// A link of a program with debug information takes about so much; less for each of those that run at once means
/// that the kernel ends one of them.
const LINK_BYTES: u64 = 512 << 20;

/// How many jobs cargo runs, and who says so.
struct Jobs {
    count: u64,
    set_in: Option<String>,
    file: Option<std::path::PathBuf>,
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let limits = limits::of(&context.machine);
    let jobs = jobs(context);
    // With too many jobs there is too little of everything.
    let finding = over_cores(&jobs, &limits)
        .or_else(|| over_quota(&jobs, &limits))
        .or_else(|| memory(&jobs, &limits));
    let quota = match limits.quota {
        Some(quota) if quota < limits.cores as f64 => format!(", a quota of {quota:.1}"),
        _ => String::new(),
    };
    let memory = limits.memory_bytes.map_or_else(String::new, |bytes| {
        format!("; {} of memory", ByteSize(bytes))
    });
    let line = format!(
        "{} jobs on {} processors{quota}{memory}",
        jobs.count, limits.cores
    );
    Outcome::new(line, finding.into_iter().collect())
}

fn jobs(context: &Context<'_>) -> Jobs {
    let available = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
    let default = Jobs {
        count: available,
        set_in: None,
        file: None,
    };
    // A negative number is counted from above.
    let count = |number: i64| match u64::try_from(number) {
        Ok(number) => Some(number).filter(|number| *number > 0),
        Err(_) => Some(available.saturating_sub(number.unsigned_abs()).max(1)),
    };
    if let Some(text) = context.var("CARGO_BUILD_JOBS") {
        return match text.parse().ok().and_then(count) {
            Some(count) => Jobs {
                count,
                set_in: Some("the environment variable CARGO_BUILD_JOBS".to_owned()),
                file: None,
            },
            None => default,
        };
    }
    let Some((file, value)) = context.file_with(&["build", "jobs"]) else {
        return default;
    };
    match value.as_integer().and_then(count) {
        Some(count) => Jobs {
            count,
            set_in: Some(format!("`build.jobs` in {}", file.display())),
            file: Some(file.to_owned()),
        },
        None => default,
    }
}

/// Far more than there are: one or two above are a choice.
fn far_more(jobs: u64, processors: f64) -> bool {
    jobs as f64 > (processors * 1.5).max(processors + 2.0)
}

fn over_cores(jobs: &Jobs, limits: &Limits) -> Option<Finding> {
    let set_in = jobs.set_in.as_ref()?;
    if !far_more(jobs.count, limits.cores as f64) {
        return None;
    }
    let fix = jobs.file.as_ref();
    Some(
        Finding::new(
            &JOBS_OVER_CORES,
            format!(
                "{} jobs are asked for on {} processors",
                jobs.count, limits.cores
            ),
            format!("remove it from {set_in}: cargo counts processors by itself"),
        )
        .seen(format!("set by {set_in}"))
        .fixed_by(fix.and_then(|file| edit::without(file, &["build", "jobs"]))),
    )
}

fn over_quota(jobs: &Jobs, limits: &Limits) -> Option<Finding> {
    let quota = limits.quota?;
    if far_more(jobs.count, limits.cores as f64) || !far_more(jobs.count, quota) {
        return None;
    }
    let lower = quota.ceil().max(1.0);
    Some(
        Finding::new(
            &JOBS_OVER_QUOTA,
            format!(
                "{} jobs share the time of {quota:.1} processors",
                jobs.count
            ),
            format!("set CARGO_BUILD_JOBS={lower}, or raise the limit"),
        )
        .seen(format!("the limit is in {}", limits.quota_file)),
    )
}

fn memory(jobs: &Jobs, limits: &Limits) -> Option<Finding> {
    let bytes = limits.memory_bytes?;
    if jobs.count < 2 || bytes / jobs.count >= LINK_BYTES {
        return None;
    }
    let fitting = (bytes / LINK_BYTES).max(1);
    Some(
        Finding::new(
            &MEMORY_FOR_LINKS,
            format!(
                "{} for {} links at once is little",
                ByteSize(bytes),
                jobs.count
            ),
            format!("set CARGO_BUILD_JOBS={fitting}, or `debug = \"line-tables-only\"`"),
        )
        .seen(format!(
            "{} for each; a link with debug information takes about {}",
            ByteSize(bytes / jobs.count),
            ByteSize(LINK_BYTES)
        ))
        .seen(format!("memory as {} says", limits.memory_file)),
    )
}
