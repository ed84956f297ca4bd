//! Variables that lead to included files and to nothing else: `include!(concat!(env!("OUT_DIR"), "/x.rs"))`.
//!
//! The value of such a variable is a path of this directory, and reaches an output by no way but the files that are
//! included, which are keyed by content: elsewhere the unit is the same. cargo's dep-info says that the variable was read, not
//! what for, so that is found in the text of the sources. Where those of the crate do not mention it, a macro of another
//! crate did (`tonic::include_proto!`): then it is the text of those that mention it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_fsx::scan;
use rekindle_key::depinfo::DepInfo;
use rekindle_outputs::placeholder::Placeholder;

use crate::inputs::Unit;

/// Whether every mention of a variable is an included file's path or its beginning, and there is one.
pub(crate) fn is_only_included(unit: &Unit<'_>, dep_info: &DepInfo, variable: &[u8]) -> bool {
    match mentions(unit, dep_info, variable) {
        Some(0) => macros_include(unit, variable).unwrap_or(false),
        Some(_) => true,
        None => false,
    }
}

/// How often a crate's sources mention it; `None` where one is no include, or cannot be read.
fn mentions(unit: &Unit<'_>, dep_info: &DepInfo, variable: &[u8]) -> Option<usize> {
    let mut count = 0;
    for input in &dep_info.inputs {
        let path = unit.roots.absolute(Path::new(OsStr::from_bytes(input)));
        count += includes(&rekindle_fsx::read(&path).ok()?, variable)?;
    }
    Some(count)
}

/// Whether macros of other crates mention it, and only so; `None` where that is not known. What a procedural macro
/// does with what it mentions is in no text.
fn macros_include(unit: &Unit<'_>, variable: &[u8]) -> Option<bool> {
    let mut seen = BTreeSet::new();
    let mut pending = unit.extern_paths();
    let mut count = 0;
    while let Some(path) = pending.pop() {
        if !seen.insert(path.clone()) {
            continue;
        }
        pending.extend(unit.files.output(&path)?.externs);
        if !holds(&path, variable)? {
            continue;
        }
        let text = rekindle_fsx::read(&dep_info_of(&path)?).ok()?;
        count += mentions(unit, &DepInfo::parse(&text)?, variable)?;
    }
    Some(count > 0)
}

/// Whether a crate mentions it: macros are in the metadata, with their text.
fn holds(crate_file: &Path, variable: &[u8]) -> Option<bool> {
    let metadata = crate_file.with_extension("rmeta");
    let is_there = rekindle_fsx::exists(&metadata);
    let file = if is_there { &metadata } else { crate_file };
    if Placeholder::read(file).ok()?.is_some() {
        return None;
    }
    let found = scan::find_any(file, &[variable]).ok()?;
    Some(found.contains(&true))
}

/// The dep-info that rustc wrote beside a library; `None` for what is none.
fn dep_info_of(crate_file: &Path) -> Option<PathBuf> {
    let library = ["rmeta", "rlib"].map(OsStr::new);
    if !library.contains(&crate_file.extension()?) {
        return None;
    }
    let name = crate_file.file_stem()?.as_bytes().strip_prefix(b"lib")?;
    let mut name = OsStr::from_bytes(name).to_owned();
    name.push(".d");
    Some(crate_file.with_file_name(name))
}

/// How often a text mentions it outside of comments that take whole lines; `None` where a mention is no include.
fn includes(text: &[u8], variable: &[u8]) -> Option<usize> {
    let mut count = 0;
    for at in memchr::memmem::find_iter(text, variable) {
        let (before, after) = (&text[..at], &text[at + variable.len()..]);
        if is_comment(before) {
            continue;
        }
        if !is_include(before, after) {
            return None;
        }
        count += 1;
    }
    Some(count)
}

/// Whether what follows is behind `//` at the beginning of its line. A comment or a text of many lines may end in that
/// line: then what follows is code again, and there is an end, or a quote beside the mention's own.
fn is_comment(before: &[u8]) -> bool {
    let start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
    let line = before[start..].trim_ascii_start();
    line.starts_with(b"//")
        && memchr::memmem::find(line, b"*/").is_none()
        && memchr::memchr_iter(b'"', line).count() < 2
}

/// Whether a mention stands in `include…!(env!("` `"))` or `include…!(concat!(env!("` `"), …))`, however
/// it is spaced and qualified.
fn is_include(before: &[u8], after: &[u8]) -> bool {
    // More than the longest form needs, qualified and spaced.
    let before = &before[before.len().saturating_sub(200)..];
    let mut form: String = String::from_utf8_lossy(before)
        .chars()
        .filter(|c| !c.is_whitespace())
        .map(|c| if matches!(c, '{' | '[') { '(' } else { c })
        .collect();
    for qualifier in ["::core::", "::std::", "core::", "std::"] {
        form = form.replace(qualifier, "");
    }
    let begins = |reads: &str| {
        ["include!", "include_str!", "include_bytes!"]
            .iter()
            .any(|include| form.ends_with(&format!("{include}({reads}(\"")))
    };
    let rest: Vec<u8> = after
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .take(3)
        .collect();
    match rest.as_slice() {
        b"\")," => begins("concat!(env!"),
        [b'"', b')', b')' | b'}' | b']'] => begins("env!"),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_include_is_told_from_other_uses() {
        let check = |text: &str, expected: bool| {
            let at = text.find("OUT_DIR").unwrap();
            let (before, after) = (&text.as_bytes()[..at], &text.as_bytes()[at + 7..]);
            assert_eq!(is_include(before, after), expected, "{text}");
        };
        check("include!(concat!(env!(\"OUT_DIR\"), \"/x.rs\"));", true);
        check(
            "include_bytes! { concat!( env!( \"OUT_DIR\" ) , \"/x\") }",
            true,
        );
        check(
            "include!(::core::concat!(std::env!(\"OUT_DIR\"),\"/x\"))",
            true,
        );
        check("include!(env!(\"OUT_DIR\"));", true);
        check("::std::include_str! [ env!(\"OUT_DIR\") ]", true);
        check("include!(option_env!(\"OUT_DIR\"))", false);
        check("my_include!(x(env!(\"OUT_DIR\")))", false);
        check("const D: &str = env!(\"OUT_DIR\");", false);
        check(
            "const N: usize = concat!(env!(\"OUT_DIR\"), \"/x\").len();",
            false,
        );
        check("my!(\"OUT_DIR\")", false);
        check("// what OUT_DIR is", false);
    }

    #[test]
    fn comments_of_whole_lines_say_nothing() {
        let include = "include!(concat!(env!(\"OUT_DIR\"), \"/x.rs\"));";
        for (text, expected) in [
            (
                format!("//! the `OUT_DIR`\n  /// OUT_DIR\n{include}\n{include}"),
                Some(2),
            ),
            ("// what OUT_DIR is".to_owned(), Some(0)),
            ("let x = 1; // OUT_DIR".to_owned(), None),
            (
                "/* begins\n// ends */ const D: &str = env!(\"OUT_DIR\");".to_owned(),
                None,
            ),
            (
                "const T: &str = \"begins\n// ends\"; const D: &str = env!(\"OUT_DIR\");"
                    .to_owned(),
                None,
            ),
            ("/// a path: `env!(\"OUT_DIR\")`".to_owned(), Some(0)),
            (
                format!("{include} const D: &str = env!(\"OUT_DIR\");"),
                None,
            ),
        ] {
            assert_eq!(includes(text.as_bytes(), b"OUT_DIR"), expected, "{text}");
        }
    }

    #[test]
    fn dep_info_lies_beside_a_library() {
        let of = |path: &str| dep_info_of(Path::new(path));
        assert_eq!(of("/t/deps/liba-1f.rmeta"), Some("/t/deps/a-1f.d".into()));
        assert_eq!(of("/t/deps/liba-1f.rlib"), Some("/t/deps/a-1f.d".into()));
        assert_eq!(of("/t/deps/libmac-1f.so"), None);
    }
}
