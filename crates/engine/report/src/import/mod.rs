//! What other tools recorded of a build, as the events of a run: so that people see their present state before
//! they change anything.
//!
//! Readers take any bytes: what they do not know they leave out, and what is not of the tool is an error.

mod cargo_timings;
mod sccache;

pub use cargo_timings::cargo_timings;
pub use sccache::sccache_stats;

/// A file that another tool did not write.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ImportError {
    /// No data of units in it.
    #[error(
        "it holds no `UNIT_DATA`: pass the page that `cargo build --timings` wrote, as in `target/cargo-timings/cargo-timing.html`"
    )]
    NotTimings,
    /// Not sccache's JSON.
    #[error(
        "it is not what sccache writes: pass the output of `sccache --show-stats --stats-format json` ({0})"
    )]
    NotStats(String),
    /// Too many units.
    #[error("it holds {0} units, which no build has")]
    TooMany(usize),
}
