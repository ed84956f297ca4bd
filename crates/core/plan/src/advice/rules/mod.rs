//! One file for each rule.

pub(super) mod codegen;
pub(super) mod debug_info;
pub(super) mod duplicates;
pub(super) mod features;
pub(super) mod hit_rate;
pub(super) mod link_share;
pub(super) mod long_wall;
pub(super) mod lto;
pub(super) mod scripts;

#[cfg(test)]
use crate::advice::{Advice, Facts, Rule, advise};
use crate::graph::{Job, JobFate};

/// Whether a job is a unit that a compiler was started for.
fn is_compiled(job: &Job) -> bool {
    job.fate != JobFate::Hit && !job.is_run()
}

/// What a rule says of a run, through all that [`advise`] leaves out.
#[cfg(test)]
fn said_by(rule: &Rule, facts: &Facts) -> Option<Advice> {
    advise(facts)
        .into_iter()
        .find(|advice| advice.id == rule.id)
}
