//! What of a command line its time depends on most: for reports and advice, no part of any key.

use rekindle_events::UnitOptions;

use crate::invocation::Invocation;

impl Invocation {
    /// The options that a profile sets and that the time of a compile depends on most. Of one that is given
    /// several times the last counts, as for rustc.
    #[must_use]
    pub fn options(&self) -> UnitOptions {
        let mut options = UnitOptions::default();
        for argument in &self.arguments {
            match argument.option {
                "-C" => take(&mut options, &argument.value.to_string_lossy()),
                "-g" => options.debug = Some("2".to_owned()),
                _ => {}
            }
        }
        options
    }
}

fn take(options: &mut UnitOptions, option: &str) {
    let (name, value) = option.split_once('=').unwrap_or((option, ""));
    let known = (!value.is_empty()).then(|| value.to_owned());
    match name {
        "opt-level" => options.opt_level = known,
        "debuginfo" => options.debug = known,
        "split-debuginfo" => options.split_debug = known,
        "codegen-units" => options.codegen_units = value.parse().ok(),
        "lto" => {
            options.lto = match value {
                "thin" => Some("thin".to_owned()),
                "off" | "no" | "n" | "false" => None,
                _ => Some("fat".to_owned()),
            };
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn check(words: &[&str], expected: UnitOptions) {
        let line = "--crate-name a --json=artifacts --emit=dep-info,link --crate-type lib";
        let tail = "--out-dir target -C metadata=1 -C extra-filename=-1 a.rs";
        let words: Vec<OsString> = line
            .split(' ')
            .chain(words.iter().copied())
            .chain(tail.split(' '))
            .map(OsString::from)
            .collect();
        assert_eq!(Invocation::parse(&words).unwrap().options(), expected);
    }

    #[test]
    fn options_are_those_that_rustc_goes_by() {
        check(&[], UnitOptions::default());
        check(
            &[
                "-Copt-level=3",
                "-g",
                "-C",
                "debuginfo=0",
                "-Ccodegen-units=1",
                "-Clto",
            ],
            UnitOptions {
                opt_level: Some("3".into()),
                debug: Some("0".into()),
                lto: Some("fat".into()),
                codegen_units: Some(1),
                ..UnitOptions::default()
            },
        );
        check(
            &["-Clto=thin", "-Csplit-debuginfo=off"],
            UnitOptions {
                lto: Some("thin".into()),
                split_debug: Some("off".into()),
                ..UnitOptions::default()
            },
        );
        check(&["-Clto=fat", "-Clto=off"], UnitOptions::default());
    }
}
