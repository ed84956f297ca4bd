//! rustc's command line as options and values, whatever way they were written.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

/// One argument: an option with its value, or a plain word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Argument {
    /// The option in its long or one-letter form, as in `--cfg` or `-C`; empty for a plain word.
    pub option: &'static str,
    /// Its value; empty for a flag.
    pub value: OsString,
}

/// Options that take a value, with the short forms folded into long ones.
const WITH_VALUE: &[(&str, &str)] = &[
    ("--cfg", "--cfg"),
    ("--check-cfg", "--check-cfg"),
    ("-L", "-L"),
    ("-l", "-l"),
    ("--crate-type", "--crate-type"),
    ("--crate-name", "--crate-name"),
    ("--edition", "--edition"),
    ("--emit", "--emit"),
    ("--print", "--print"),
    ("-o", "-o"),
    ("--out-dir", "--out-dir"),
    ("--explain", "--explain"),
    ("--target", "--target"),
    ("-A", "--allow"),
    ("--allow", "--allow"),
    ("-W", "--warn"),
    ("--warn", "--warn"),
    ("--force-warn", "--force-warn"),
    ("-D", "--deny"),
    ("--deny", "--deny"),
    ("-F", "--forbid"),
    ("--forbid", "--forbid"),
    ("--cap-lints", "--cap-lints"),
    ("-C", "-C"),
    ("--codegen", "-C"),
    ("-Z", "-Z"),
    ("--extern", "--extern"),
    ("--sysroot", "--sysroot"),
    ("--error-format", "--error-format"),
    ("--json", "--json"),
    ("--color", "--color"),
    ("--diagnostic-width", "--diagnostic-width"),
    ("--remap-path-prefix", "--remap-path-prefix"),
    ("--remap-path-scope", "--remap-path-scope"),
];

/// Options that take none.
const FLAGS: &[(&str, &str)] = &[
    ("--test", "--test"),
    ("-g", "-g"),
    ("-O", "-O"),
    ("-V", "--version"),
    ("--version", "--version"),
    ("-h", "--help"),
    ("--help", "--help"),
    ("-v", "--verbose"),
    ("--verbose", "--verbose"),
    ("-vV", "-vV"),
    ("-Vv", "-vV"),
];

/// A command line that rustc would refuse, or that this code does not know.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}`")]
pub struct UnknownArgument(pub String);

/// Takes a command line apart.
///
/// # Errors
/// An option that is not known, or one without its value.
pub fn parse(arguments: &[OsString]) -> Result<Vec<Argument>, UnknownArgument> {
    let mut parsed = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        let bytes = argument.as_bytes();
        if !bytes.starts_with(b"-") || bytes == b"-" {
            parsed.push(Argument {
                option: "",
                value: argument.clone(),
            });
            continue;
        }
        if let Some(flag) = exact(FLAGS, bytes) {
            parsed.push(Argument {
                option: flag,
                value: OsString::new(),
            });
            continue;
        }
        let (option, value) = if let Some(option) = exact(WITH_VALUE, bytes) {
            let value = rest.next().ok_or_else(|| unknown(argument))?;
            (option, value.clone())
        } else {
            joined(bytes).ok_or_else(|| unknown(argument))?
        };
        parsed.push(Argument { option, value });
    }
    Ok(parsed)
}

fn unknown(argument: &OsStr) -> UnknownArgument {
    UnknownArgument(argument.to_string_lossy().into_owned())
}

fn exact(table: &[(&str, &'static str)], bytes: &[u8]) -> Option<&'static str> {
    table
        .iter()
        .find(|(name, _)| name.as_bytes() == bytes)
        .map(|(_, option)| *option)
}

/// `--option=value` or `-Ovalue`.
fn joined(bytes: &[u8]) -> Option<(&'static str, OsString)> {
    if bytes.starts_with(b"--") {
        let at = memchr::memchr(b'=', bytes)?;
        let option = exact(WITH_VALUE, &bytes[..at])?;
        return Some((option, OsString::from_vec(bytes[at + 1..].to_vec())));
    }
    let option = exact(WITH_VALUE, bytes.get(..2)?)?;
    // getopts takes `-O=value` as the value alone.
    let value = bytes[2..].strip_prefix(b"=").unwrap_or(&bytes[2..]);
    Some((option, OsString::from_vec(value.to_vec())))
}

/// The lines of an argument file (`@path`), each an argument.
#[must_use]
pub fn response_file(bytes: &[u8]) -> Vec<OsString> {
    let text = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    if text.is_empty() {
        return Vec::new();
    }
    text.split(|byte| *byte == b'\n')
        .map(|line| OsString::from_vec(line.strip_suffix(b"\r").unwrap_or(line).to_vec()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(line: &[&str], expected: &[(&'static str, &str)]) {
        let line: Vec<OsString> = line.iter().map(OsString::from).collect();
        let expected: Vec<Argument> = expected
            .iter()
            .map(|(option, value)| Argument {
                option,
                value: value.into(),
            })
            .collect();
        assert_eq!(parse(&line).unwrap(), expected);
    }

    #[test]
    fn every_spelling_is_one_option() {
        check(
            &[
                "-C",
                "debuginfo=2",
                "-Cdebuginfo=2",
                "--codegen=debuginfo=2",
                "-C=debuginfo=2",
            ],
            &[("-C", "debuginfo=2"); 4],
        );
        check(
            &["-Wunused", "--warn", "unused"],
            &[("--warn", "unused"); 2],
        );
        check(
            &["src/lib.rs", "--test", "-"],
            &[("", "src/lib.rs"), ("--test", ""), ("", "-")],
        );
        check(
            &["--cfg", "feature=\"x\"", "--cfg=y"],
            &[("--cfg", "feature=\"x\""), ("--cfg", "y")],
        );
    }

    #[test]
    fn what_is_unknown_is_refused() {
        for line in [&["--new-option"][..], &["--cfg"], &["-Q"]] {
            let line: Vec<OsString> = line.iter().map(OsString::from).collect();
            assert!(parse(&line).is_err(), "{line:?}");
        }
    }
}
