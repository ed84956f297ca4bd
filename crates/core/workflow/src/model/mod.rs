//! Workflows, jobs and steps, and what they do.
//!
//! [`project`] sorts files; [`workflow`] reads their nodes; [`run`] plays a job for each combination of its matrix:
//! environment, conditions, commands; [`cargo`] reads cargo's command lines; [`actions`] knows what actions do;
//! [`runner`] knows labels; [`calls`] links workflows that call others; [`caches`] tells what keeps what between runs.

pub mod actions;
pub mod caches;
pub mod calls;
pub mod cargo;
pub mod matrix;
pub mod project;
pub mod run;
pub mod runner;
pub mod workflow;

pub use self::actions::Known;
pub use self::cargo::CargoCall;
pub use self::project::{Input, Project, Source, Unreadable};
pub use self::run::{Call, Did, Run};
pub use self::runner::{Os, Runner};
pub use self::workflow::{Job, Step, Uses, Workflow};
