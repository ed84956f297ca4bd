//! Debug information in files of its own, `-C split-debuginfo`: no notification announces these files, so a
//! unit that makes some is not cacheable. cargo gives the option to every unit of a profile, also to those
//! that make none.
//!
//! Tried on rustc 1.95 for Linux: a library's `.dwo` files are in its archive under `packed` and lie beside it
//! under `unpacked`; an unpacked unit without debug information has none; `packed` makes a `.dwp` of
//! whatever is linked.

use crate::arguments::Argument;

/// What of a command line decides which files there are.
#[derive(Default)]
pub(crate) struct SplitDebug {
    /// The option, where it is not off.
    option: Option<Argument>,
    has_debug: bool,
}

impl SplitDebug {
    /// Takes note of an argument. Of one that is given several times the last counts, as for rustc.
    pub(crate) fn take(&mut self, argument: &Argument) {
        let value = argument.value.to_string_lossy();
        let (name, value) = value.split_once('=').unwrap_or((&value, ""));
        match (argument.option, name.replace('_', "-").as_str()) {
            ("-g", _) => self.has_debug = true,
            ("-C", "debuginfo") => self.has_debug = !matches!(value, "0" | "none"),
            ("-C", "split-debuginfo") => {
                self.option = (value != "off").then(|| argument.clone());
            }
            _ => {}
        }
    }

    /// The option, where the unit may make files that nobody announces: `generates_code` says that
    /// it is not only checked, `is_archive` that all that it makes is a Rust library.
    pub(crate) fn unannounced(&self, generates_code: bool, is_archive: bool) -> Option<&Argument> {
        let option = self.option.as_ref().filter(|_| generates_code)?;
        let is = |kind: &str| option.value.to_string_lossy().ends_with(kind);
        let makes_none = (is("=unpacked") && !self.has_debug) || (is("=packed") && is_archive);
        (!makes_none).then_some(option)
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use crate::invocation::{Invocation, NotAUnit};

    fn check(options: &str, is_cacheable: bool) {
        let line = format!(
            "--crate-name a --json=artifacts --out-dir target -C extra-filename=-1 {options} a.rs"
        );
        let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        match Invocation::parse(&words) {
            Ok(_) => assert!(is_cacheable, "{options}"),
            Err(NotAUnit::Uncacheable(why)) => {
                assert!(
                    !is_cacheable && why.to_string().contains("split-debuginfo"),
                    "{options}: {why}"
                );
            }
            Err(NotAUnit::Probe) => panic!("{options}"),
        }
    }

    #[test]
    fn a_unit_is_cacheable_where_all_that_it_makes_is_announced() {
        let lib = "--crate-type lib --emit=dep-info,metadata,link";
        let bin = "--crate-type bin --emit=dep-info,link";
        let test = "--crate-type lib --test --emit=dep-info,link";
        let static_lib = "--crate-type lib --crate-type staticlib --emit=dep-info,metadata,link";
        let checked = "--crate-type lib --emit=dep-info,metadata";
        for (split, debug, cacheable) in [
            ("off", "-C debuginfo=2", [true, true, true, true, true]),
            (
                "unpacked",
                "-C debuginfo=2",
                [false, false, false, false, true],
            ),
            ("unpacked", "-g", [false, false, false, false, true]),
            ("unpacked", "-C debuginfo=0", [true, true, true, true, true]),
            (
                "unpacked",
                "-C debuginfo=1 -C debuginfo=none",
                [true, true, true, true, true],
            ),
            (
                "packed",
                "-C debuginfo=2",
                [true, false, false, false, true],
            ),
            (
                "packed",
                "-C debuginfo=0",
                [true, false, false, false, true],
            ),
            (
                "packed -C split-debuginfo=off",
                "-g",
                [true, true, true, true, true],
            ),
            ("later", "-g", [false, false, false, false, true]),
        ] {
            for (kind, cacheable) in [lib, bin, test, static_lib, checked].iter().zip(cacheable) {
                check(
                    &format!("{kind} {debug} -C split-debuginfo={split}"),
                    cacheable,
                );
            }
        }
    }
}
