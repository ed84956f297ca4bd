//! What would help, as a report shows it: who gives it knows why.

use schemars::JsonSchema;
use serde::Serialize;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Advice {
    /// Its rule.
    pub id: String,
    /// What it is about, in a sentence without its full stop.
    pub title: String,
    /// The figures that it rests on, in a sentence.
    pub evidence: String,
    /// What to do, in a sentence.
    pub remedy: String,
    /// How much shorter a run like this one would be, in microseconds, by the run's own unit graph; `null` where
    /// that cannot be said.
    pub gain_us: Option<u64>,
}
