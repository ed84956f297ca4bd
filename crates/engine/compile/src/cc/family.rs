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

/// What a driver says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Identity {
    pub(crate) family: Family,
    /// The first number of its version.
    pub(crate) major: u32,
}

impl Identity {
    /// Whether `SOURCE_DATE_EPOCH` is the present to it.
    pub(crate) fn fixes_time(self) -> bool {
        match self.family {
            Family::Gcc => self.major >= 7,
            Family::Clang => self.major >= 16,
        }
    }

    /// Whether it knows `-ffile-prefix-map`.
    pub(crate) fn maps_macros(self) -> bool {
        match self.family {
            Family::Gcc => self.major >= 8,
            // Apple counts otherwise; its 12 is the first that is new enough by either count.
            Family::Clang => self.major >= 12,
        }
    }
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
pub(crate) fn of(files: &Files<'_>, path: &Path) -> Result<Identity, String> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    if CACHES.iter().any(|cache| name.contains(cache)) {
        return Err(format!("`{name}` is a cache of its own"));
    }
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let digest = files.tool(path).map_err(failed)?;
    let key = DigestHasher::new()
        .field(b"compiler identity 1")
        .field(digest.as_bytes())
        .finish();
    if let Some(known) = files.memo::<Identity>(&key) {
        return Ok(known);
    }
    let said = Command::new(path)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .map_err(failed)?;
    let identity = said_by(&said.stdout)
        .filter(|_| said.status.success())
        .ok_or_else(|| format!("{} is neither gcc nor clang", path.display()))?;
    files.remember(&key, &identity);
    Ok(identity)
}

fn said_by(version: &[u8]) -> Option<Identity> {
    let text = String::from_utf8_lossy(version);
    let first = text.lines().next()?;
    let (family, number) = if let Some((_, rest)) = first.split_once("clang version ") {
        (Family::Clang, rest)
    } else if text.contains("Free Software Foundation") {
        // `gcc (Debian 12.2.0-14+deb12u1) 12.2.0`: what the packager says may hold anything.
        let number = first.rsplit_once(") ").map_or(first, |(_, number)| number);
        (Family::Gcc, number)
    } else {
        return None;
    };
    let digits: String = number.chars().take_while(char::is_ascii_digit).collect();
    let major = digits.parse().ok()?;
    Some(Identity { family, major })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn compilers_say_who_they_are() {
        let check = |said: &str, expected: Option<(Family, u32)>| {
            let found = said_by(said.as_bytes());
            assert_eq!(
                found.map(|found| (found.family, found.major)),
                expected,
                "{said}"
            );
        };
        let fsf = "\nCopyright (C) 2022 Free Software Foundation, Inc.\n";
        let gcc = format!("x86_64-linux-gnu-gcc (Debian 12.2.0-14+deb12u1) 12.2.0{fsf}");
        check(&gcc, Some((Family::Gcc, 12)));
        check(
            &format!("gcc (GCC) 4.8.5 20150623 (Red Hat 4.8.5-44){fsf}"),
            Some((Family::Gcc, 4)),
        );
        check(
            "Debian clang version 14.0.6\nTarget: x",
            Some((Family::Clang, 14)),
        );
        check(
            "Apple clang version 15.0.0 (clang-1500)",
            Some((Family::Clang, 15)),
        );
        check("tcc version 0.9.27 (x86_64 Linux)", None);
    }
}
