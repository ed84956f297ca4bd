//! A project's history in a remote: a runner that was born a minute ago knows last month.
//!
//! One blob for each project, `history/PROJECT`, has the newest rows as `rekindle_history::transfer` packs them. Whoever
//! saves takes in what is there and writes all that is known then; of two who do so at once one writes last, and what the other
//! added is there again with its next save. Rows say nothing that a build goes by, so they are not signed.

use std::path::Path;

use bytes::Bytes;
use rekindle_base::Digest;
use rekindle_history::History;
use rekindle_history::transfer::{self, TransferError};
use rekindle_remote::blobs::{Kind, Name};
use rekindle_remote::client::Client;

/// Takes in what the remote has of a project's history.
///
/// # Errors
/// For people.
pub(crate) fn take(client: &Client, store_dir: &Path, project: &Digest) -> Result<(), String> {
    let name = Name::of_digest("history", project);
    let found = client.find(&[name]).map_err(|error| error.to_string())?;
    let Some((_, bytes)) = found else {
        return Ok(());
    };
    let mut history = History::open(store_dir).map_err(|error| error.to_string())?;
    match transfer::merge(&mut history, &project.to_hex(), &bytes) {
        // What is none is replaced by the next that is.
        Ok(_) | Err(TransferError::NotAHistory(_) | TransferError::OtherProject) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// Writes what is known of a project's history, with what was taken in before.
///
/// # Errors
/// For people; the remote then has what it had.
pub(crate) fn give(client: &Client, store_dir: &Path, project: &Digest) -> Result<(), String> {
    let history = History::open_to_read(store_dir).map_err(|error| error.to_string())?;
    let packed = transfer::export(&history, &project.to_hex());
    let packed = packed.map_err(|error| error.to_string())?;
    let name = Name::of_digest("history", project);
    let written = client.write(&name, &Bytes::from(packed), Kind::Latest);
    written.map(|_| ()).map_err(|error| error.to_string())
}
