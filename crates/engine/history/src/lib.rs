//! The runs of projects over time, in an embedded database in the store's directory.
//!
//! Parts: [`Run`] is what is kept of a run, and [`Job`] of a job of a CI service; [`History`] is the database;
//! [`Overview`] is what a project's rows come to: percentiles, shares, and the regressions that the rule in
//! [`regress`] finds. [`github`] reads the API's JSON; [`transfer`] packs a project's rows for another
//! machine and takes them in. [`text`], [`page`], [`csv`] and [`json`] write an overview down. Who calls it:
//! the command line, at the end of a run and for `rekindle history`.
//!
//! Nothing here knows arguments or values of variables: what is not in [`Run`] is not kept.

pub mod csv;
mod db;
pub mod github;
pub mod json;
mod model;
mod overview;
pub mod page;
pub mod regress;
pub mod text;
mod time;
pub mod transfer;

pub use db::{DATABASE, History, HistoryError, RUNS_MAX};
pub use model::{Job, JobStep, Run};
pub use overview::{Filter, Group, JobGroup, Overview, Percentiles, StepGroup};
pub use time::day;

#[cfg(test)]
mod fixtures;
