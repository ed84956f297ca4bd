//! What a project's workflows mean, what wastes time in them, and edits that mend it.
//!
//! Pure: texts come in, findings and texts go out. `rekindle audit` reads the files and writes them.
//!
//! - [`diff`]: a change of a text as people read it.
//! - [`expr`]: the values of expressions; [`shell`]: the commands of scripts.
//! - [`init`]: workflows for a project that has none.
//! - [`minutes`]: what findings cost, where recorded runs say so.
//! - [`model`]: workflows, jobs and steps, and what they do.
//! - [`audit()`](audit()): all rules over a project, less what is silenced; [`findings`] has them, one file each.
//! - [`fix`]: what findings' edits make of the files; [`render`]: findings as text, JSON, SARIF, annotations.
//! - [`providers`]: whose a runner label is, how large its runner, and whether it still lives.
//! - [`switch`]: moving jobs to other runners.
//! - [`yaml`]: nodes with their places, and edits of the text.

mod audit;
pub mod diff;
pub mod expr;
pub mod findings;
pub mod fix;
pub mod init;
pub mod minutes;
pub mod model;
mod pins;
pub mod providers;
pub mod render;
pub mod shell;
mod silence;
mod strangers;
pub mod switch;
pub mod yaml;

pub use audit::{Confidence, Finding, Fix, Options, Rule, Safety, Severity, audit};
