//! The preload library: in the program as bytes, put on the disk once, named in the environment.

use std::ffi::{OsStr, OsString};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use rekindle_base::Digest;

use crate::Options;

/// The library; empty where it could not be built, as without a dynamic C library.
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/preload.so"));

const VARIABLE: &str = "LD_PRELOAD";

/// How the file's name begins, so that one of ours is known.
pub(crate) const NAME: &str = "librekindle-observe-";

/// Writes the preload library into a directory, under its digest, unless it is there. `None` where
/// this build has none.
///
/// # Errors
/// As writing a file.
pub fn install_preload(directory: &Path) -> io::Result<Option<PathBuf>> {
    if LIBRARY.is_empty() {
        return Ok(None);
    }
    let digest = Digest::of(LIBRARY).to_hex();
    let path = directory.join(format!("{NAME}{}.so", &digest[..16]));
    let there = rekindle_fsx::stat(&path).is_ok_and(|stat| stat.size == LIBRARY.len() as u64);
    if !there {
        rekindle_fsx::create_dir_all(directory)?;
        rekindle_fsx::atomic::write(&path, LIBRARY)?;
    }
    Ok(Some(path))
}

/// Puts the library into a command's environment, before what is there already.
#[cfg_attr(not(observable), allow(dead_code, reason = "nothing to report to"))]
pub(crate) fn prepare(command: &mut Command, options: &Options) {
    let Some(library) = &options.preload else {
        return;
    };
    let own = command
        .get_envs()
        .find(|(name, _)| *name == OsStr::new(VARIABLE))
        .map(|(_, value)| value.map(OsStr::to_owned));
    let before = own.unwrap_or_else(|| options.ld_preload.clone());
    command.env(VARIABLE, joined(library, before.as_deref()));
}

fn joined(library: &Path, before: Option<&OsStr>) -> OsString {
    let Some(before) = before.filter(|before| !before.is_empty()) else {
        return library.into();
    };
    // An outer observer's is there already.
    let ours = before
        .as_encoded_bytes()
        .windows(NAME.len())
        .any(|part| part == NAME.as_bytes());
    if ours {
        return before.to_owned();
    }
    let mut both = library.as_os_str().to_owned();
    both.push(":");
    both.push(before);
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_preloaded_already_stays() {
        let check = |before: Option<&str>, expected: &str| {
            let library = Path::new("/x/librekindle-observe-1.so");
            assert_eq!(joined(library, before.map(OsStr::new)), expected);
        };
        check(None, "/x/librekindle-observe-1.so");
        check(Some(""), "/x/librekindle-observe-1.so");
        check(Some("a.so b.so"), "/x/librekindle-observe-1.so:a.so b.so");
        check(
            Some("/y/librekindle-observe-2.so:a.so"),
            "/y/librekindle-observe-2.so:a.so",
        );
    }
}
