//! What changes make of times: measured factors, each with where it was measured.
//!
//! A factor is the time of a part after the change divided by its time before. The figures and how they were
//! found are in `docs/design/0011-advice.md`.

use rekindle_events::GNU_LD;

use crate::graph::{Job, JobFate, Parts};

/// Linkers by name, with the time of a link relative to the first, in per cent.
pub const LINKERS: &[(&str, u64)] = &[("bfd", 100), ("gold", 50), ("mold", 35), ("lld", 30)];

/// Compiling without debug information where there was all of it, in per cent: codegen, linking.
pub const WITHOUT_DEBUG: (u64, u64) = (51, 53);

/// What remains of the compile of a unit that optimises over all crates where it does not, in per cent: between
/// those that were measured.
pub const WITHOUT_LTO: u64 = 30;

/// The least of them.
pub const WITHOUT_LTO_LEAST: u64 = 24;

/// What the libraries behind such a unit take without it, as they make machine code then, in per cent: between those that
/// were measured.
pub const LIBRARIES_WITHOUT_LTO: u64 = 118;

/// The name in [`LINKERS`] of the linker that an event names: GNU's own leaves no name.
#[must_use]
pub fn linker_name(named: Option<&str>) -> Option<&'static str> {
    let named = match named {
        None | Some(GNU_LD) => return Some("bfd"),
        Some(named) => named,
    };
    let named = named.to_ascii_lowercase();
    let known = LINKERS.iter().map(|(name, _)| *name);
    known.into_iter().find(|name| named.contains(name))
}

/// The time of a link with a linker, relative to others in [`LINKERS`].
#[must_use]
pub fn linker_rate(name: &str) -> Option<u64> {
    let known = LINKERS.iter().find(|(known, _)| *known == name);
    known.map(|(_, rate)| *rate)
}

/// Part of a time.
pub(super) fn of(us: u64, percent: u64) -> u64 {
    us.saturating_mul(percent) / 100
}

/// A unit's time without debug information. A unit that announces no metadata is mostly codegen.
#[must_use]
pub fn without_debug(job: &Job) -> Parts {
    let full = matches!(
        job.options.debug.as_deref(),
        Some("1" | "2" | "limited" | "full")
    );
    let (codegen, link) = WITHOUT_DEBUG;
    let mut parts = job.parts;
    if job.fate == JobFate::Hit || job.is_run() {
        return parts;
    }
    if full {
        parts.codegen_us = of(parts.codegen_us, codegen);
        if !job.is_divided && job.links {
            parts.front_us = of(parts.front_us, codegen);
        }
        parts.link_us = of(parts.link_us, link);
    }
    parts
}
