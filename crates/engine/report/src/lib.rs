//! Folds the events of runs into summaries and explanations: pure functions of event logs.
//!
//! Parts: [`Summary`] is what one run (or several) came to; [`Explanation`] says why units were
//! compiled, root causes first; each has a text form for people and a JSON form with types and a
//! version of its own ([`json`]). [`closing`] makes the lines that follow cargo's output. The CLI
//! reads the logs and prints what these return.

mod advice;
pub mod closing;
mod compare;
mod explain;
mod explain_text;
mod explain_tools;
pub mod github;
mod headline;
pub mod html;
pub mod import;
pub mod json;
mod page;
mod remotes;
mod report_json;
mod report_text;
pub mod since;
mod snapshots;
mod stats_text;
mod summary;
pub mod timeline;
mod trace;
mod traffic;
pub mod words;

pub use advice::Advice;
pub use compare::{Changes, Pair};
pub use explain::{Explained, ExplainedStep, Explanation, Followers, UnitName};
pub use explain_text::explain_text;
pub use headline::Headline;
pub use page::page;
pub use remotes::{RemoteStore, Remotes};
pub use report_json::Report;
pub use report_text::report_text;
pub use snapshots::Snapshots;
pub use stats_text::stats_text;
pub use summary::{Summary, Verified};
pub use timeline::Timeline;
pub use trace::trace;

#[cfg(test)]
mod fixtures;
