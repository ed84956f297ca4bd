//! The unit cache: an invocation is looked up, its outputs are restored, or it runs and is published.

mod settings;

pub use settings::{LinkerChoice, Settings};
