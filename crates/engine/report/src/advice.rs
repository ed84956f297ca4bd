//! What would help, in the form that reports have: rules and their evidence are of `rekindle-plan`.

use rekindle_plan::advice::Gain;
use schemars::JsonSchema;
use serde::Serialize;

use crate::words::time;

/// One thing to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Advice {
    /// Its rule.
    pub id: String,
    /// What is so, as a sentence without its full stop.
    pub title: String,
    /// The figures that it is said for, as sentences without their full stop.
    pub evidence: Vec<String>,
    /// What to do, the first first, as sentences without their full stop.
    pub remedy: Vec<String>,
    /// How much shorter a run like this one would be, in milliseconds, by the run's own unit graph; `null` where
    /// that is not known.
    pub gain_ms: Option<u64>,
    /// Whether it is no more than that; else it is about that.
    pub gain_is_bound: bool,
}

impl Advice {
    /// The gain for people, as in `about 1.4 s`; `None` where it is not known.
    #[must_use]
    pub fn gain(&self) -> Option<String> {
        let gain = time(self.gain_ms?.saturating_mul(1000));
        Some(format!("{} {gain}", self.how_much()))
    }

    /// How the gain is meant.
    #[must_use]
    pub fn how_much(&self) -> &'static str {
        if self.gain_is_bound {
            "at most"
        } else {
            "about"
        }
    }
}

impl From<rekindle_plan::advice::Advice> for Advice {
    fn from(advice: rekindle_plan::advice::Advice) -> Self {
        Self {
            id: advice.id.to_owned(),
            title: sentence(&advice.title),
            evidence: advice.evidence,
            remedy: advice.remedy,
            gain_ms: advice.gain.ms(),
            gain_is_bound: matches!(advice.gain, Gain::AtMost(_)),
        }
    }
}

/// With a capital, unless it begins with a name.
fn sentence(text: &str) -> String {
    let word = text.split(' ').next().unwrap_or("");
    let is_name = word == "cargo" || !word.chars().all(|char| char.is_ascii_lowercase());
    let mut chars = text.chars();
    match chars.next() {
        Some(first) if !is_name => first.to_uppercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}
