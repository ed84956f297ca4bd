//! Placing what a step made.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use rekindle_events::MissReason;
use rekindle_fsx::place::Wish;
use rekindle_fsx::{FileKind, atomic};
use rekindle_key::step::{Body, Form, StepOutput};
use rekindle_store::{Space, Store, StoreError};

use crate::{Engine, Found, Place, Step};

/// What a hit came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// What the program had printed, with the present's paths.
    pub stdout: Vec<u8>,
    /// What it had said.
    pub stderr: Vec<u8>,
    /// Bytes placed.
    pub bytes: u64,
}

impl Engine<'_> {
    /// Places the outputs of an entry. What else was in the step's output directories is removed: the run
    /// would have begun with none. Where this fails the directories are empty.
    ///
    /// # Errors
    /// Why they cannot be had; the step must run.
    pub fn restore(&self, step: &Step<'_>, found: &Found) -> Result<Restored, MissReason> {
        let entry = &found.entry;
        let elsewhere = || failed("it names a directory that this build does not have");
        let stdout = step.shown.real_plain(&entry.stdout).ok_or_else(elsewhere)?;
        let stderr = step.shown.real_plain(&entry.stderr).ok_or_else(elsewhere)?;
        for output in &entry.outputs {
            if let Body::File { digest, size, .. } = &output.body
                && !self.store.has_object(digest, *size)
            {
                let _ = self.store.remove_record(Space::Entries, &found.key);
                return Err(MissReason::ObjectMissing {
                    output: name(output),
                });
            }
        }
        self.store.bring_objects(&objects(&entry.outputs));
        emptied(&step.places).map_err(|error| failed(&error.to_string()))?;
        let mut bytes = 0;
        for output in &entry.outputs {
            match self.place(step, output) {
                Ok(placed) => bytes += placed,
                Err(reason) => {
                    // An entry whose objects are gone is of no use to anyone.
                    let _ = self.store.remove_record(Space::Entries, &found.key);
                    let _ = emptied(&step.places);
                    return Err(reason);
                }
            }
        }
        if let Some(set) = &found.promoted {
            let _ = self.promote(&step.manifest(), set.clone());
        }
        let _ = self.remember(step, &found.key);
        Ok(Restored {
            stdout,
            stderr,
            bytes,
        })
    }

    /// Removes what earlier runs left in a step's output directories, where the last of them was stored or would have been: it
    /// began with nothing in them, as this one is to.
    ///
    /// # Errors
    /// As removing; some of it may still be there.
    pub fn begin_anew(&self, step: &Step<'_>) -> std::io::Result<()> {
        let Some(name) = step.known_as.first() else {
            return Ok(());
        };
        match self.store.get_record(Space::Latest, name) {
            Ok(Some(_)) => emptied(&step.places),
            _ => Ok(()),
        }
    }

    /// A run of the step is not stored: another may make use of what it left.
    pub fn forget(&self, step: &Step<'_>) {
        if let Some(name) = step.known_as.first() {
            // Else it begins with nothing, and is none the worse for it.
            let _ = self.store.remove_record(Space::Latest, name);
        }
    }

    fn place(&self, step: &Step<'_>, output: &StepOutput) -> Result<u64, MissReason> {
        let at = |error: std::io::Error| failed(&format!("{}: {error}", name(output)));
        let place = step
            .places
            .get(usize::from(output.place))
            .ok_or_else(|| failed("it has outputs that this step has not"))?;
        let dest = destination(place, output)?;
        if let Some(directory) = dest.parent() {
            rekindle_fsx::create_dir_all(directory).map_err(at)?;
        }
        match &output.body {
            Body::Directory => rekindle_fsx::create_dir_all(&dest).map_err(at)?,
            Body::Link(target) => {
                let target = step.shown.real_plain(target);
                let target = target.ok_or_else(|| failed("a link leads to another directory"))?;
                rekindle_fsx::symlink(Path::new(OsStr::from_bytes(&target)), &dest).map_err(at)?;
            }
            Body::File {
                digest,
                size,
                executable,
                form,
            } => {
                let wish = Wish {
                    hardlink: false,
                    executable: *executable,
                };
                let placed = self.store.place_object(digest, &dest, wish);
                placed.map_err(|error| lost(output, error))?;
                if *form == Form::Text {
                    let text = rekindle_fsx::read(&dest).map_err(at)?;
                    let text = step.shown.real_plain(&text);
                    let text = text.ok_or_else(|| failed("a text names another directory"))?;
                    let mode = rekindle_fsx::stat(&dest).map_err(at)?.mode & 0o777;
                    atomic::write_via(&atomic::beside(&dest), &dest, &text).map_err(at)?;
                    rekindle_fsx::set_mode(&dest, mode).map_err(at)?;
                }
                return Ok(*size);
            }
        }
        Ok(0)
    }
}

fn destination(place: &Place, output: &StepOutput) -> Result<PathBuf, MissReason> {
    match place {
        Place::Directory(directory) => Ok(directory.join(OsStr::from_bytes(&output.path))),
        Place::File(file) if output.path.is_empty() => Ok(file.clone()),
        Place::File(_) => Err(failed("it has more outputs than this step")),
    }
}

fn lost(output: &StepOutput, error: StoreError) -> MissReason {
    let output = name(output);
    match error {
        StoreError::Missing => MissReason::ObjectMissing { output },
        StoreError::Corrupt => MissReason::ObjectCorrupt { output },
        StoreError::Io(error) => failed(&format!("{output}: {error}")),
    }
}

fn name(output: &StepOutput) -> String {
    String::from_utf8_lossy(&output.path).into_owned()
}

fn objects(outputs: &[StepOutput]) -> Vec<(Digest, u64)> {
    let outputs = outputs.iter();
    outputs
        .filter_map(|output| match &output.body {
            Body::File { digest, size, .. } => Some((*digest, *size)),
            _ => None,
        })
        .collect()
}

fn failed(error: &str) -> MissReason {
    MissReason::RestoreFailed {
        error: error.to_owned(),
    }
}

/// Removes what is in output directories, not themselves.
fn emptied(places: &[Place]) -> std::io::Result<()> {
    for place in places {
        match place {
            Place::Directory(directory) => {
                let entries = rekindle_fsx::found(rekindle_fsx::list_dir(directory))?;
                for entry in entries.into_iter().flatten() {
                    if entry.sig.kind() == FileKind::Dir {
                        rekindle_fsx::remove_dir_all(&entry.path)?;
                    } else {
                        rekindle_fsx::remove_file(&entry.path)?;
                    }
                }
            }
            Place::File(file) => rekindle_fsx::remove_file(file)?,
        }
    }
    Ok(())
}
