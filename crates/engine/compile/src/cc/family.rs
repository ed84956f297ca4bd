//! Which compiler a driver belongs to: what it says of itself, remembered by its content.

use std::path::Path;
use std::process::{Command, Stdio};

use rekindle_base::DigestHasher;
use rekindle_outputs::files::Files;
use serde::{Deserialize, Serialize};

/// A family of compilers whose options and variables are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Family {
    /// GNU's: the driver starts `cc1` and `as`.
    Gcc,
    /// LLVM's: the driver does all itself, or starts itself again.
    Clang,
}

/// Tools that answer for a compiler but may not start it, so that what it would read stays unseen.
const CACHES: &[&str] = &[
    "ccache",
    "sccache",
    "distcc",
    "icecc",
    "buildcache",
    "kache",
    "mbx",
    "fastbuild",
    "zapcc",
];

/// The family of the driver at `path`, which is a real path.
pub(crate) fn of(files: &Files<'_>, path: &Path) -> Result<Family, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if CACHES.iter().any(|cache| name.contains(cache)) {
        return Err(format!("`{name}` is a cache of its own"));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let digest = files.tool(path).map_err(failed)?;
    let key = DigestHasher::new()
        .field(b"compiler family 1")
        .field(digest.as_bytes())
        .finish();
    if let Some(known) = files.memo::<Family>(&key) {
        return Ok(known);
    }
    let said = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    let family = said_by(&said.stdout)
        .filter(|_| said.status.success())
        .ok_or_else(|| format!("{} is neither gcc nor clang", path.display()))?;
    files.remember(&key, &family);
    Ok(family)
}

fn said_by(version: &[u8]) -> Option<Family> {
    let holds = |word: &str| memchr::memmem::find(version, word.as_bytes()).is_some();
    if holds("clang version") {
        Some(Family::Clang)
    } else if holds("Free Software Foundation") {
        Some(Family::Gcc)
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_say_who_they_are() {
        let gcc = b"cc (Debian 12.2.0-14) 12.2.0\nCopyright (C) 2022 Free Software Foundation, Inc.\n";
        assert_eq!(said_by(gcc), Some(Family::Gcc));
        assert_eq!(said_by(b"Debian clang version 14.0.6\nTarget: x"), Some(Family::Clang));
        assert_eq!(said_by(b"Apple clang version 15.0.0"), Some(Family::Clang));
        assert_eq!(said_by(b"tcc version 0.9.27"), None);
    }
}
