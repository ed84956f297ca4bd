//! The directories that cargo fills while it builds: that of a profile, and `deps` in it.
//!
//! cargo names both in the library path of each build script, and who looks for a library lists them, as `clang-sys` does for
//! libclang. What it finds there is what happened to be built by then. So in such a list only names count that cargo does not give.

/// What cargo has beside profiles.
const BESIDE: &[&[u8]] = &[b"doc", b"package", b"tmp"];
/// What cargo has in one, beside what it makes.
const PARTS: &[&[u8]] = &[
    b"build",
    b"deps",
    b"examples",
    b"incremental",
    b".fingerprint",
    b".cargo-lock",
    b".cargo-build-lock",
    b".cargo-artifact-lock",
];

/// How directories begin that rustc makes for the time of a compile, and how many letters it draws.
const TEMPORARY: [&[u8]; 2] = [b"rmeta", b"rustc"];
const DRAWN: usize = 6;
/// Digits of a unit's hash.
const HASH_DIGITS: usize = 16;

/// Whether cargo fills the directory of this name, which is relative to roots.
#[must_use]
pub fn is_filled(directory: &[u8]) -> bool {
    let Some(below) = directory.strip_prefix(b"{target}/") else {
        return false;
    };
    let below = below.strip_suffix(b"/deps").unwrap_or(below);
    // A profile, perhaps below a target's triple.
    let parts: Vec<&[u8]> = below.split(|byte| *byte == b'/').collect();
    let is_other = |part: &&[u8]| PARTS.contains(part) || BESIDE.contains(part);
    parts.len() <= 2 && !parts.iter().any(is_other)
}

/// Whether cargo or rustc gives this name in such a directory. `is_there` says of another name whether it is beside it.
#[must_use]
pub fn is_given(name: &[u8], is_there: impl Fn(&[u8]) -> bool) -> bool {
    let stem = stem(name);
    PARTS.contains(&name)
        || has_hash(stem)
        || is_temporary(name)
        || is_dep_info(name)
        || is_found(name, is_there)
}

/// Whether it is what people find under a name without a hash, `app` or `libx.so`: a file beside it says what it was made from, `app.d`
/// or, in `deps`, `x.d`.
#[must_use]
pub fn is_found(name: &[u8], is_there: impl Fn(&[u8]) -> bool) -> bool {
    let stem = stem(name);
    let of_crate = stem.strip_prefix(b"lib").filter(|of| !of.is_empty());
    let mut stems = [Some(stem), of_crate].into_iter().flatten();
    let is_one = !stem.is_empty() && !is_dep_info(name);
    is_one && stems.any(|stem| is_there(&[stem, b".d"].concat()))
}

fn is_dep_info(name: &[u8]) -> bool {
    name.strip_suffix(b".d").is_some_and(|of| !of.is_empty())
}

fn stem(name: &[u8]) -> &[u8] {
    name.split(|byte| *byte == b'.').next().unwrap_or_default()
}

/// `libserde-0123456789abcdef`.
fn has_hash(stem: &[u8]) -> bool {
    let hash = stem.rsplit(|byte| *byte == b'-').next().unwrap_or_default();
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    hash.len() == HASH_DIGITS && hash.len() < stem.len() && hash.iter().all(is_digit)
}

/// Whether it is a directory that rustc makes beside its output for the time of a compile, under a name that it draws: `rmetaX5DIhb`.
#[must_use]
pub fn is_temporary(name: &[u8]) -> bool {
    let drawn = TEMPORARY.iter().find_map(|begin| name.strip_prefix(*begin));
    drawn.is_some_and(|drawn| drawn.len() == DRAWN && drawn.iter().all(u8::is_ascii_alphanumeric))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_and_its_deps_are_filled() {
        for directory in [
            "debug",
            "debug/deps",
            "x86_64-unknown-linux-musl/release/deps",
        ] {
            assert!(
                is_filled(format!("{{target}}/{directory}").as_bytes()),
                "{directory}"
            );
        }
        for other in [
            "{target}",
            "{target}/debug/build",
            "{target}/debug/build/x-0123456789abcdef/out",
            "{target}/debug/examples",
            "{target}/doc",
            "{target}/tmp/deps",
            "{target}/x/debug/native",
            "{package}/debug/deps",
            "/target/debug/deps",
        ] {
            assert!(!is_filled(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn names_of_cargos_are_known_by_hash_or_dep_info() {
        let there = ["app.d", "libown.d", "plugin.d"];
        let is_given = |name: &str| {
            is_given(name.as_bytes(), |other| {
                there.map(str::as_bytes).contains(&other)
            })
        };
        for name in [
            "libserde-0123456789abcdef.rlib",
            "app-0123456789abcdef",
            "app-0123456789abcdef.b2c3-cgu.0.rcgu.o",
            "serde-0123456789abcdef.d",
            "rmetaX5DIhb",
            "app",
            "app.d",
            "libown.rlib",
            "libplugin.so",
            "build",
            ".cargo-lock",
        ] {
            assert!(is_given(name), "{name}");
        }
        for other in [
            "libclang.so",
            "libclang-14.so.1",
            "libclang-0123456789abcdeg.so",
            "0123456789abcdef",
            "rmetadata",
            "helper",
            "tmp",
            ".d",
            "",
        ] {
            assert!(!is_given(other), "{other}");
        }
    }
}
