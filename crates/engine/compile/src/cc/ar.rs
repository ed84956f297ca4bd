//! What is particular to archives: one that is there already is an input.

use std::ffi::OsString;
use std::path::PathBuf;

use rekindle_key::cc::{Archive, NotACompile};
use rekindle_outputs::environment::Environment;

use super::{Job, What, other};

/// A thin archive holds no members, only their paths.
const THIN: &[u8] = b"!<thin>\n";

/// What an archiver is asked to make.
pub(super) fn job(
    archive: Archive,
    tool: PathBuf,
    environment: &Environment,
) -> Result<Job, NotACompile> {
    if archive.determinism() == Some(false) {
        return Err(other("times and owners of files go into the archive"));
    }
    let path = rekindle_fsx::real_but_last(&environment.cwd.join(&archive.archive));
    let there = match rekindle_fsx::read_if_exists(&path) {
        Ok(there) => there,
        // The archiver says why.
        Err(_) => return Err(NotACompile::Probe),
    };
    if there
        .as_deref()
        .is_some_and(|bytes| bytes.starts_with(THIN))
    {
        return Err(other("the archive is thin"));
    }
    let mut keyed = archive.keyed();
    let before = there.map_or_else(
        || "no archive before".to_owned(),
        |bytes| {
            format!(
                "archive before {}",
                rekindle_base::Digest::of(&bytes).to_hex()
            )
        },
    );
    keyed.push(OsString::from(before));
    Ok(Job {
        what: What::Archive(archive),
        tool,
        keyed,
        outputs: vec![path],
        added: Vec::new(),
    })
}
