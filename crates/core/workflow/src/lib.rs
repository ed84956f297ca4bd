//! What a project's workflows mean, what wastes time in them, and edits that mend it.
//!
//! Pure: texts come in, findings and texts go out.
//!
//! - [`expr`]: the values of expressions; [`shell`]: the commands of scripts;
//! - [`yaml`]: nodes with their places, and edits of the text.

pub mod expr;
pub mod shell;
pub mod yaml;
