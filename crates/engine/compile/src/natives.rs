//! Native libraries that the command line names, and the directories that are searched for them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rekindle_base::DigestHasher;
use rekindle_events::UncacheableReason;
use rekindle_key::pathset::Name;
use rekindle_key::{Invocation, Manifest, NativeLibrary, SearchKind, Tag};

use crate::inputs::{Unit, unreadable};

/// A directory with more libraries than this is the system's: archives in it are only keyed where
/// arguments name them.
const MAX_KEYED_LIBRARIES: usize = 64;

/// Adds native libraries to a manifest. A unit that is only checked reads none.
pub(crate) fn push(unit: &Unit<'_>, manifest: &mut Manifest) -> Result<(), UncacheableReason> {
    if !unit.invocation.emit.link {
        return Ok(());
    }
    for directory in searched(unit.invocation) {
        let directory = unit.roots.absolute(directory);
        let names = libraries_in(&directory)?;
        let mut hasher = DigestHasher::new();
        for name in &names {
            hasher.field(name.as_bytes());
        }
        let canonical = unit.roots.canonical(&directory);
        manifest.push_digest(Tag::NativeDirectory, canonical, &hasher.finish());
    }
    for library in &unit.invocation.natives {
        push_library(unit, manifest, library)?;
    }
    Ok(())
}

fn libraries_in(directory: &Path) -> Result<Vec<OsString>, UncacheableReason> {
    let mut names =
        rekindle_fsx::list_names(directory).map_err(|error| unreadable(directory, &error))?;
    names.retain(|name| is_library(name.as_bytes()));
    Ok(names)
}

fn push_archive(
    unit: &Unit<'_>,
    manifest: &mut Manifest,
    path: &Path,
) -> Result<(), UncacheableReason> {
    let digest = unit
        .files
        .tool(path)
        .map_err(|error| unreadable(path, &error))?;
    manifest.push_digest(Tag::Native, unit.roots.canonical(path), &digest);
    Ok(())
}

/// The directories in which native libraries are looked for.
pub(crate) fn searched(invocation: &Invocation) -> impl Iterator<Item = &Path> {
    invocation
        .searches
        .iter()
        .filter(|search| matches!(search.kind, SearchKind::Native | SearchKind::All))
        .map(|search| search.path.as_path())
}

/// Adds every archive of a library's name, in whichever directory: which one is taken is then decided
/// by what is keyed. Shared ones are only read by linkers, which say so themselves.
fn push_library(
    unit: &Unit<'_>,
    manifest: &mut Manifest,
    library: &NativeLibrary,
) -> Result<(), UncacheableReason> {
    let file = if library.verbatim {
        library.name.clone()
    } else {
        format!("lib{}.a", library.name)
    };
    for directory in searched(unit.invocation) {
        let path = unit.roots.absolute(directory).join(&file);
        if !rekindle_fsx::exists(&path) {
            continue;
        }
        push_archive(unit, manifest, &path)?;
    }
    Ok(())
}

fn is_shared(name: &[u8]) -> bool {
    name.ends_with(b".so") || memchr::memmem::find(name, b".so.").is_some()
}

fn is_library(name: &[u8]) -> bool {
    [&b".a"[..], b".so", b".o", b".lib", b".dylib"]
        .iter()
        .any(|ending| name.ends_with(ending))
        || is_shared(name)
}

/// The archives that a finished library may have bundled without an argument that names them:
/// `#[link(kind = "static")]` in the source. Cargo passes a package's search directories on to all that
/// depend on it, so most libraries that have some read nothing there: where no member comes from an
/// archive and no source asks for one, none is keyed.
///
/// # Errors
/// A member comes from an archive that is in a directory of the system, and is not keyed.
pub(crate) fn bundled(unit: &Unit<'_>, library: &Path) -> Result<Vec<Name>, UncacheableReason> {
    if searched(unit.invocation).next().is_none() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    let mut keyed = BTreeSet::new();
    let mut all_keyed = true;
    for directory in searched(unit.invocation) {
        let directory = unit.roots.absolute(directory);
        let files = libraries_in(&directory)?;
        let small = files.len() <= MAX_KEYED_LIBRARIES;
        all_keyed &= small;
        for file in files.iter().filter(|file| !is_shared(file.as_bytes())) {
            let path = directory.join(file);
            if small {
                names.push(Name::Native(unit.roots.canonical(&path)));
            }
            if small || is_named(unit.invocation, file) {
                keyed.extend(members(&path));
            }
        }
    }
    let foreign: Vec<Vec<u8>> = members(library)
        .into_iter()
        .filter(|name| {
            // Code of the crate itself is in `<crate>.<unit>.rcgu.o` and metadata in `lib.rmeta`.
            let own = name == b"lib.rmeta"
                || name.ends_with(b".rcgu.o")
                || name.ends_with(b".rmeta-link");
            // A whole archive may be bundled as a member, under its own name.
            !own && !is_named(unit.invocation, OsStr::from_bytes(name))
        })
        .collect();
    let unkeyed = foreign
        .iter()
        .find(|name| !all_keyed && !keyed.contains(*name));
    if let Some(member) = unkeyed {
        return Err(UncacheableReason::UnnamedNativeLibrary {
            member: String::from_utf8_lossy(member).into_owned(),
        });
    }
    Ok(if foreign.is_empty() {
        Vec::new()
    } else {
        names
    })
}

/// Whether a source may ask for a static library with `#[link(…)]`: an archive that is empty today leaves
/// no member. Where it is not plain what an attribute says, it may.
pub(crate) fn asks_for_static(source: &[u8]) -> bool {
    const WORD: &[u8] = b"link";
    memchr::memmem::find_iter(source, WORD).any(|at| {
        let is_word = !source[..at].last().is_some_and(|byte| is_of_a_name(*byte));
        is_word && may_be_static(source[at + WORD.len()..].trim_ascii_start())
    })
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || !byte.is_ascii()
}

/// Whether what follows the word `link` may be an attribute's arguments with a static kind.
fn may_be_static(rest: &[u8]) -> bool {
    let inner = match rest.first() {
        Some(b'(') => &rest[1..],
        // A comment.
        Some(b'/') => return true,
        _ => return false,
    };
    let Some(arguments) = before_parenthesis(inner) else {
        return true;
    };
    let mut kinds = memchr::memmem::find_iter(arguments, b"kind").peekable();
    if kinds.peek().is_none() {
        // A macro's parameter may bring it.
        return arguments.contains(&b'$');
    }
    kinds.any(|at| {
        let value = arguments[at + b"kind".len()..].trim_ascii_start();
        let value = value.strip_prefix(b"=").map(<[u8]>::trim_ascii_start);
        let literal = value.and_then(|value| value.strip_prefix(b"\""));
        literal.is_none_or(|kind| kind.starts_with(b"static"))
    })
}

/// What stands before the closing parenthesis; `None` where there is more than names and plain strings.
fn before_parenthesis(inner: &[u8]) -> Option<&[u8]> {
    let mut in_string = false;
    let mut depth = 0usize;
    for (at, byte) in inner.iter().enumerate() {
        match byte {
            b'\\' | b'/' | b'#' | b'\'' => return None,
            b'"' => in_string = !in_string,
            b'(' if !in_string => depth += 1,
            b')' if !in_string && depth == 0 => return Some(&inner[..at]),
            b')' if !in_string => depth -= 1,
            _ => {}
        }
    }
    None
}

/// All archives in the searched directories, to be keyed where [`asks_for_static`].
pub(crate) fn archives(unit: &Unit<'_>) -> Vec<Name> {
    let directories = searched(unit.invocation).map(|directory| unit.roots.absolute(directory));
    directories
        .filter_map(|directory| Some((libraries_in(&directory).ok()?, directory)))
        .filter(|(files, _)| files.len() <= MAX_KEYED_LIBRARIES)
        .flat_map(|(files, directory)| {
            let archives = files.into_iter().filter(|file| !is_shared(file.as_bytes()));
            archives
                .map(|file| Name::Native(unit.roots.canonical(&directory.join(file))))
                .collect::<Vec<_>>()
        })
        .collect()
}

fn is_named(invocation: &Invocation, file: &OsStr) -> bool {
    invocation.natives.iter().any(|library| {
        file == library.name.as_str() || file == format!("lib{}.a", library.name).as_str()
    })
}

/// The names of an archive's members; none where it is not an archive.
fn members(archive: &Path) -> Vec<Vec<u8>> {
    let Ok(file) = rekindle_fsx::open(archive) else {
        return Vec::new();
    };
    let cache = object::read::ReadCache::new(file);
    let Ok(archive) = object::read::archive::ArchiveFile::parse(&cache) else {
        return Vec::new();
    };
    archive
        .members()
        .filter_map(Result::ok)
        .map(|member| member.name().to_vec())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::asks_for_static;

    #[test]
    fn attributes_that_may_name_a_static_library_are_found() {
        for source in [
            r#"#[link(name = "number", kind = "static")] extern "C" {}"#,
            r#"#[link(kind="static-nobundle", name="number")]"#,
            "#[link (\n    name = \"number\",\n    kind\n    =\n    \"static\",\n)]",
            r#"#[cfg_attr(unix, link(name = "number", kind = "static"))]"#,
            r#"#[cfg_attr(unix, cold, link(name = "a(", kind = "static", modifiers = "+bundle"))]"#,
            r#"#[r#link(name = "number", kind = "static")]"#,
            // Not plain.
            r#"#[link/* which */(name = "number", kind = "static")]"#,
            r#"#[link(name = "number" /* :) */, kind = "static")]"#,
            r#"#[link(name = "\")", kind = "static")]"#,
            r##"#[link(name = r#"")"#, kind = "static")]"##,
            r#"#[link(name = "number", kind = r"static")]"#,
            r#"#[link(name = "number", kind = $kind)]"#,
            r#"#[link($($words)*)]"#,
            r#"#[link(name = "kinds", kind = "static")]"#,
            r#"#[link(name = "number", kind = "dylib", kind = "static")]"#,
            r#"#[link(name = "number", kind"#,
            // Behind others.
            r#"fn unlink(kind: u8) {} #[link(name = "c")] #[link(name = "number", kind = "static")]"#,
        ] {
            assert!(asks_for_static(source.as_bytes()), "{source}");
        }
    }

    #[test]
    fn others_are_not() {
        for source in [
            "",
            r#"let kind: &'static str = symlink(kind, "static");"#,
            r#"Some(TreeValue::Symlink(_)) => kind(), "static""#,
            r#"env.render_ok(r"hyperlink(kind, 'static')")"#,
            r#"#[link(name = "c")] extern "C" { static kind: u8; }"#,
            r#"#[link(name = "number", kind = "dylib")] static KIND: u8 = 0;"#,
            r#"#[link(name = "a(b", kind = "raw-dylib")] static KIND: u8 = 0;"#,
            r#"#[link_name = "kind"] static X: u8;"#,
            r#"link(first, second); let kind = "static";"#,
            "a link of a static kind",
        ] {
            assert!(!asks_for_static(source.as_bytes()), "{source}");
        }
    }
}
