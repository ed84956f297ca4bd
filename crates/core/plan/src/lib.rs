//! Where the time of a run went, and what it would take otherwise: pure functions of a run's events.
//!
//! Parts: [`Graph`] is a run's jobs (units and runs of build scripts) with their times and who waits for
//! whom, read from events ([`Graph::of_events`]) or made from plain [`Job`]s; [`critical_path`] is the chain
//! of jobs that no number of cores makes shorter; [`simulate`] plays the graph on a number of cores the
//! way that cargo does; [`advice`] compares what a run took with what it would take. Who calls it: reports, and the command line for advice.

pub mod advice;
mod bits;
mod critical;
mod events;
mod graph;
mod simulate;

pub use critical::{CriticalPath, Step, critical_path};
pub use graph::{Dependency, Gaps, Graph, Job, JobFate, Needs, Parts};
pub use simulate::{Schedule, Slot, simulate};

#[cfg(test)]
mod fixtures;
