//! What a run left in its output directories: in which form each is kept, and which real paths hold it
//! to this directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_events::Refusal;
use rekindle_fsx::{FileKind, scan};
use rekindle_key::Root;
use rekindle_key::roots::{TEXT_MAX_BYTES, is_text};
use rekindle_key::step::{Form, NOTHING};

use crate::{Place, Ran, Step};
use rekindle_outputs::present::HOST_NAME;

/// One output, before it is stored.
pub(crate) struct Made {
    pub(crate) place: u8,
    /// Below the place.
    pub(crate) path: Vec<u8>,
    pub(crate) file: PathBuf,
    pub(crate) what: What,
}

/// What it is.
pub(crate) enum What {
    Directory,
    /// Where it leads, with roots as tokens.
    Link(Vec<u8>),
    /// A file that is kept as it is.
    Exact {
        executable: bool,
    },
    /// A file of text, with roots as tokens.
    Text {
        executable: bool,
        text: Vec<u8>,
    },
}

impl What {
    pub(crate) fn form(&self) -> Form {
        match self {
            Self::Text { .. } => Form::Text,
            _ => Form::Exact,
        }
    }
}

/// All outputs of a run.
pub(crate) struct Outputs {
    /// Directories before what is in them.
    pub(crate) made: Vec<Made>,
    /// Standard output, with roots as tokens.
    pub(crate) stdout: Vec<u8>,
    /// Standard error, likewise.
    pub(crate) stderr: Vec<u8>,
    /// Roots whose real paths stand in something that is kept as it is.
    pub(crate) bound: BTreeSet<Root>,
    /// Variables whose values were looked for, and stand somewhere.
    pub(crate) values: BTreeSet<Vec<u8>>,
}

/// What is looked for in outputs, besides real paths.
pub(crate) struct Wanted<'a> {
    /// Variables that are left out of the key, with their values; so the name of the host, under the path
    /// that says it.
    pub(crate) values: Vec<(&'a [u8], &'a [u8])>,
    /// Texts that tell the day or the time of the run.
    pub(crate) dates: Vec<String>,
}

/// What autoconf's scripts write for people, the host's name among it. Nothing reads it.
const AUTOCONFS_LOG: &str = "config.log";

impl Wanted<'_> {
    /// What is looked for in a log.
    fn of_log(&self) -> Self {
        let is_host = |(name, _): &&(&[u8], &[u8])| *name == HOST_NAME;
        Self {
            values: self
                .values
                .iter()
                .filter(|value| !is_host(value))
                .copied()
                .collect(),
            dates: self.dates.clone(),
        }
    }
}

/// Collects what a run left.
///
/// # Errors
/// What cannot be stored.
pub(crate) fn collect(step: &Step<'_>, ran: &Ran, wanted: &Wanted<'_>) -> Result<Outputs, Refusal> {
    let mut outputs = Outputs {
        made: Vec::new(),
        stdout: Vec::new(),
        stderr: Vec::new(),
        bound: ran.bound.clone(),
        values: BTreeSet::new(),
    };
    outputs.stdout = printed(step, &ran.stdout, "standard output", wanted, &mut outputs)?;
    outputs.stderr = printed(step, &ran.stderr, "standard error", wanted, &mut outputs)?;
    for (index, place) in step.places.iter().enumerate() {
        let index = u8::try_from(index).map_err(|_| odd(place.path(), "there are too many"))?;
        for (path, file) in files_of(place, ran)? {
            let what = what(step, &file, wanted, &mut outputs)?;
            outputs.made.push(Made {
                place: index,
                path,
                file,
                what,
            });
        }
    }
    Ok(outputs)
}

/// The paths of a place: those of a directory without what an earlier run left and this one did not
/// write.
fn files_of(place: &Place, ran: &Ran) -> Result<Vec<(Vec<u8>, PathBuf)>, Refusal> {
    let directory = match place {
        Place::File(file) if rekindle_fsx::exists(file) => {
            return Ok(vec![(Vec::new(), file.clone())]);
        }
        Place::File(_) => return Ok(Vec::new()),
        Place::Directory(directory) => directory,
    };
    let mut found = Vec::new();
    let mut pending = vec![directory.clone()];
    while let Some(dir) = pending.pop() {
        let entries = rekindle_fsx::found(rekindle_fsx::list_dir(&dir));
        let entries = entries.map_err(|error| odd(&dir, &error.to_string()))?;
        for entry in entries.into_iter().flatten() {
            let is_left =
                ran.earlier.contains(&entry.path) && !ran.observation.writes.contains(&entry.path);
            if entry.sig.kind() == FileKind::Dir {
                pending.push(entry.path.clone());
            } else if is_left {
                continue;
            }
            let below = entry.path.strip_prefix(directory).unwrap_or(&entry.path);
            found.push((below.as_os_str().as_bytes().to_vec(), entry.path));
        }
    }
    found.sort();
    Ok(found)
}

fn what(
    step: &Step<'_>,
    file: &Path,
    wanted: &Wanted<'_>,
    outputs: &mut Outputs,
) -> Result<What, Refusal> {
    let failed = |error: io::Error| odd(file, &error.to_string());
    let sig = rekindle_fsx::stat(file).map_err(failed)?;
    match sig.kind() {
        FileKind::Dir => return Ok(What::Directory),
        FileKind::Other => {
            let target = rekindle_fsx::read_link(file)
                .map_err(|_| odd(file, "it is neither file, link nor directory"))?;
            let target = target.as_os_str().as_bytes();
            let text = step.shown.canonical_plain(target);
            let text = text.ok_or_else(|| odd(file, "it leads to control characters"))?;
            bind(step, &text, &mut outputs.bound);
            return Ok(What::Link(text));
        }
        FileKind::File => {}
    }
    let executable = sig.is_executable();
    let unlogged;
    let wanted = if file.file_name() == Some(OsStr::new(AUTOCONFS_LOG)) {
        unlogged = wanted.of_log();
        &unlogged
    } else {
        wanted
    };
    let text = if sig.size <= TEXT_MAX_BYTES {
        let bytes = rekindle_fsx::read_unless_binary(file).map_err(failed)?;
        bytes.and_then(|bytes| text_with_paths(step, bytes))
    } else {
        None
    };
    if let Some(text) = text {
        let canonical = step.shown.canonical_plain(&text);
        if let Some(canonical) = canonical {
            look(
                &canonical,
                &file.display().to_string(),
                wanted,
                &mut outputs.values,
            )?;
            bind(step, &canonical, &mut outputs.bound);
            let text = canonical;
            return Ok(What::Text { executable, text });
        }
    }
    scan_file(step, file, wanted, outputs).map_err(failed)??;
    Ok(What::Exact { executable })
}

/// The bytes, where they are text that holds the real path of a root.
fn text_with_paths(step: &Step<'_>, bytes: Vec<u8>) -> Option<Vec<u8>> {
    let holds = |real: &Path| memchr::memmem::find(&bytes, real.as_os_str().as_bytes()).is_some();
    (is_text(&bytes) && all_roots(step).any(|(_, real)| holds(real))).then_some(bytes)
}

/// Looks through a file of any size for all at once.
fn scan_file(
    step: &Step<'_>,
    file: &Path,
    wanted: &Wanted<'_>,
    outputs: &mut Outputs,
) -> io::Result<Result<(), Refusal>> {
    let roots: Vec<(Root, &[u8])> = all_roots(step)
        .map(|(root, real)| (root, real.as_os_str().as_bytes()))
        .collect();
    let mut needles: Vec<&[u8]> = roots.iter().map(|(_, real)| *real).collect();
    needles.extend(wanted.values.iter().map(|(_, value)| *value));
    // Each needle is a pass over the file: days first, and their hours only where a day was found.
    let days: BTreeSet<&[u8]> = wanted
        .dates
        .iter()
        .map(|date| &date.as_bytes()[..7])
        .collect();
    needles.extend(days);
    let found = scan::find_any(file, &needles)?;
    let (in_roots, rest) = found.split_at(roots.len());
    let (in_values, in_dates) = rest.split_at(wanted.values.len());
    for ((root, _), found) in roots.iter().zip(in_roots) {
        if *found {
            outputs.bound.insert(*root);
        }
    }
    // A value that is the beginning of a real path is found in it: the path is keyed.
    let is_in_path = |value: &[u8]| {
        let mut held = roots.iter().zip(in_roots).filter(|(_, found)| **found);
        held.any(|((_, real), _)| real.starts_with(value))
    };
    for ((name, value), found) in wanted.values.iter().zip(in_values) {
        if *found && !is_in_path(value) {
            outputs.values.insert(name.to_vec());
        }
    }
    let dates: Vec<&[u8]> = wanted.dates.iter().map(String::as_bytes).collect();
    if in_dates.contains(&true) && scan::find_any(file, &dates)?.contains(&true) {
        return Ok(Err(Refusal::Dated {
            output: file.display().to_string(),
        }));
    }
    Ok(Ok(()))
}

fn printed(
    step: &Step<'_>,
    bytes: &[u8],
    name: &str,
    wanted: &Wanted<'_>,
    outputs: &mut Outputs,
) -> Result<Vec<u8>, Refusal> {
    let text = step
        .roots
        .canonical_plain(bytes)
        .ok_or_else(|| Refusal::OddOutput {
            path: name.to_owned(),
            detail: "it has control characters".to_owned(),
        })?;
    look(&text, name, wanted, &mut outputs.values)?;
    bind(step, &text, &mut outputs.bound);
    Ok(text)
}

/// Looks for values and dates in text whose roots are tokens.
fn look(
    text: &[u8],
    name: &str,
    wanted: &Wanted<'_>,
    values: &mut BTreeSet<Vec<u8>>,
) -> Result<(), Refusal> {
    let holds = |needle: &[u8]| memchr::memmem::find(text, needle).is_some();
    for (variable, value) in &wanted.values {
        if holds(value) {
            values.insert(variable.to_vec());
        }
    }
    if wanted.dates.iter().any(|date| holds(date.as_bytes())) {
        return Err(Refusal::Dated {
            output: name.to_owned(),
        });
    }
    Ok(())
}

/// Notes the roots whose real paths are still in a canonical text.
fn bind(step: &Step<'_>, text: &[u8], bound: &mut BTreeSet<Root>) {
    for (root, real) in all_roots(step) {
        if memchr::memmem::find(text, real.as_os_str().as_bytes()).is_some() {
            bound.insert(root);
        }
    }
}

/// Roots as they really are and as the program was told of them.
fn all_roots<'a>(step: &'a Step<'_>) -> impl Iterator<Item = (Root, &'a Path)> {
    step.roots.iter().chain(step.shown.iter())
}

fn odd(path: &Path, detail: &str) -> Refusal {
    Refusal::OddOutput {
        path: path.display().to_string(),
        detail: detail.to_owned(),
    }
}

/// How C's `__DATE__` and a build's `date` write the days between two times: seconds since 1970. Both
/// in this machine's time zone as far as that is known to be UTC, a day to either side otherwise.
pub(crate) fn dates((began_s, ended_s): (i64, i64)) -> Vec<String> {
    const DAY_S: i64 = 86_400;
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let mut dates = Vec::new();
    for day in began_s.div_euclid(DAY_S) - 1..=ended_s.div_euclid(DAY_S) + 1 {
        let (year, month, day) = rekindle_base::civil(day);
        let name = usize::try_from(month - 1)
            .ok()
            .and_then(|index| MONTHS.get(index));
        let name = name.unwrap_or(&NOTHING);
        dates.push(format!("{name} {day:>2} {year}"));
        // As `asctime`, `date` and Perl's `gmtime` write it, with the time before the year.
        dates.extend((0..24).map(|hour| format!("{name} {day:>2} {hour:02}:")));
        dates.push(format!("{year}-{month:02}-{day:02}"));
    }
    dates
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_to_either_side_are_dates_of_a_run() {
        let noon = 19_723 * 86_400 + 43_200;
        let dates = dates((noon, noon));
        for date in [
            "Jan  1 11:",
            "Jan  1 2024",
            "2024-01-01",
            "Dec 31 2023",
            "Jan  2 2024",
        ] {
            assert!(dates.iter().any(|other| other == date), "{dates:?}");
        }
    }
}
