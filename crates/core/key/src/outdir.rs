//! Where cargo's target directory is, told from the directory that a unit's outputs go to.

use std::path::{Path, PathBuf};

/// The target (or build) directory behind `--out-dir`, for both of cargo's layouts:
/// `TARGET[/TRIPLE]/PROFILE/{deps,examples,build/PACKAGE-HASH}` and, from cargo 1.100,
/// `TARGET[/TRIPLE]/PROFILE/build/PACKAGE/HASH/out`. Anything else is its own root.
#[must_use]
pub fn target_root(out_dir: &Path, target: Option<&str>) -> PathBuf {
    let Some(profile) = profile_dir(out_dir) else {
        return out_dir.to_owned();
    };
    let Some(above) = profile.parent() else {
        return out_dir.to_owned();
    };
    let is_triple = target.is_some_and(|target| {
        let stem = Path::new(target).file_stem().filter(|_| {
            Path::new(target)
                .extension()
                .is_some_and(|extension| extension == "json")
        });
        above.file_name() == Some(stem.unwrap_or(target.as_ref()))
    });
    match above.parent() {
        Some(root) if is_triple => root.to_owned(),
        _ => above.to_owned(),
    }
}

fn profile_dir(out_dir: &Path) -> Option<&Path> {
    let name = out_dir.file_name()?;
    if name == "deps" || name == "examples" {
        return out_dir.parent();
    }
    let build = |dir: &Path| dir.file_name().is_some_and(|name| name == "build");
    let up = out_dir.parent()?;
    if build(up) {
        return up.parent();
    }
    let up = up.parent()?.parent().filter(|_| name == "out")?;
    build(up).then(|| up.parent()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_layouts() {
        let check = |out: &str, target: Option<&str>, expected: &str| {
            assert_eq!(
                target_root(Path::new(out), target),
                Path::new(expected),
                "{out}"
            );
        };
        let musl = Some("x86_64-unknown-linux-musl");
        check("/w/target/debug/deps", None, "/w/target");
        check("/w/target/release/examples", None, "/w/target");
        check("/w/target/debug/build/ring-0123", None, "/w/target");
        check(
            "/w/target/x86_64-unknown-linux-musl/debug/deps",
            musl,
            "/w/target",
        );
        check("/w/target/debug/deps", musl, "/w/target");
        check("/w/t/spec/debug/deps", Some("/x/spec.json"), "/w/t");
        check("/w/target/debug/build/ring/0123/out", None, "/w/target");
        check("/odd/place", None, "/odd/place");
    }
}
