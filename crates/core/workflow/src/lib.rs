//! What a project's workflows mean, what wastes time in them, and edits that mend it.
//!
//! Pure: texts come in, findings and texts go out.
//!
//! - [`diff`]: a change of a text as people read it.
//! - [`expr`]: the values of expressions; [`shell`]: the commands of scripts.
//! - [`init`]: workflows for a project that has none.
//! - [`model`]: workflows, jobs and steps, and what they do.
//! - [`providers`]: whose a runner label is, how large its runner, and whether it still lives.
//! - [`switch`]: moving jobs to other runners.
//! - [`yaml`]: nodes with their places, and edits of the text.

pub mod diff;
pub mod expr;
pub mod init;
pub mod model;
pub mod providers;
pub mod shell;
pub mod switch;
pub mod yaml;
