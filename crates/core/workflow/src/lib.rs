//! What a project's workflows mean, what wastes time in them, and edits that mend it.
//!
//! Pure: texts come in, findings and texts go out.
//!
//! - [`yaml`]: nodes with their places, and edits of the text.

pub mod yaml;
