//! Folds the events of runs into summaries and explanations: pure functions of event logs.
//!
//! Parts: [`Summary`] is what one run (or several) came to; [`Explanation`] says why units were
//! compiled, root causes first; each has a text form for people and a JSON form with types and a
//! version of its own ([`json`]). [`closing`] makes the lines that follow cargo's output. The CLI
//! reads the logs and prints what these return.

pub mod closing;
mod explain;
mod explain_text;
mod explain_tools;
pub mod json;
mod remotes;
mod snapshots;
mod stats_text;
mod summary;
pub mod words;

pub use explain::{Explained, ExplainedStep, Explanation, Followers, UnitName};
pub use explain_text::explain_text;
pub use remotes::Remotes;
pub use snapshots::Snapshots;
pub use stats_text::stats_text;
pub use summary::{Summary, Verified};

#[cfg(test)]
mod fixtures;
