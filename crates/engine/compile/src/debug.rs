//! Which programs get the real paths of this build into their debug information: see
//! [`rekindle_outputs::localise`].

use std::io;
use std::path::Path;

use rekindle_outputs::localise::{self, Replacements};

use crate::inputs::Unit;

/// Whether a unit's linked outputs are given real paths. What other units load is left alone: its
/// digest is in their keys.
pub(crate) fn applies(unit: &Unit<'_>) -> bool {
    let loaded = ["proc-macro", "dylib"];
    unit.remap
        && unit.invocation.is_linked()
        && !unit
            .invocation
            .crate_types
            .iter()
            .any(|kind| loaded.contains(&kind.as_str()))
}

/// What is replaced in a unit's linked outputs.
pub(crate) fn replacements(unit: &Unit<'_>) -> Replacements {
    if applies(unit) {
        localise::replacements(&unit.roots)
    } else {
        Replacements::new()
    }
}

/// Gives a program that was just put in place the real paths of this build.
pub(crate) fn localise(unit: &Unit<'_>, program: &Path) -> io::Result<()> {
    localise::localise(program, &replacements(unit)).map(|_| ())
}
