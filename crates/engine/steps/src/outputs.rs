//! What a run left in its output directories: in which form each is kept, and which real paths hold it
//! to this directory.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use memchr::memmem;
use rekindle_base::parallel;
use rekindle_events::Refusal;
use rekindle_fsx::{FileKind, scan};
use rekindle_key::roots::{TEXT_MAX_BYTES, in_plain, is_text};
use rekindle_key::step::{Form, NOTHING};
use rekindle_key::{Root, Roots};

use crate::{Place, Ran, Step, autoconf};
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
    /// What stands in them.
    pub(crate) held: Held,
}

/// What was found in outputs of all that is looked for.
#[derive(Default)]
pub(crate) struct Held {
    /// Roots whose real paths stand in something that is kept as it is.
    pub(crate) bound: BTreeSet<Root>,
    /// Variables whose values were looked for, and stand somewhere.
    pub(crate) values: BTreeSet<Vec<u8>>,
}

impl Held {
    fn add(&mut self, other: Self) {
        self.bound.extend(other.bound);
        self.values.extend(other.values);
    }
}

/// What is looked for in outputs, besides real paths.
pub(crate) struct Wanted<'a> {
    /// Variables that are left out of the key, with their values; so the name of the host, under the path
    /// that says it.
    pub(crate) values: Vec<(&'a [u8], &'a [u8])>,
    /// Texts that tell the day or the time of the run.
    pub(crate) dates: Vec<String>,
}

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

    /// Looks for values and dates in text whose roots are tokens.
    fn look(&self, text: &[u8], name: &str, values: &mut BTreeSet<Vec<u8>>) -> Result<(), Refusal> {
        let holds = |needle: &[u8]| memmem::find(text, &in_plain(needle)).is_some();
        for (variable, value) in &self.values {
            if holds(value) {
                values.insert(variable.to_vec());
            }
        }
        if self.dates.iter().any(|date| holds(date.as_bytes())) {
            return Err(Refusal::Dated {
                output: name.to_owned(),
            });
        }
        Ok(())
    }
}

/// Collects what a run left.
///
/// # Errors
/// What cannot be stored.
pub(crate) fn collect(step: &Step<'_>, ran: &Ran, wanted: &Wanted<'_>) -> Result<Outputs, Refusal> {
    let seek = Seek {
        shown: &step.shown,
        roots: step.roots.iter().chain(step.shown.iter()).collect(),
        wanted,
    };
    let mut held = Held {
        bound: ran.bound.clone(),
        ..Held::default()
    };
    let stdout = seek.printed(&step.roots, &ran.stdout, "standard output", &mut held)?;
    let stderr = seek.printed(&step.roots, &ran.stderr, "standard error", &mut held)?;
    let mut files = Vec::new();
    for (index, place) in step.places.iter().enumerate() {
        let index = u8::try_from(index).map_err(|_| odd(place.path(), "there are too many"))?;
        files.extend(files_of(place, ran)?.into_iter().map(|of| (index, of)));
    }
    let found = parallel::map_at_most(at_once(files.len()), &files, |(_, (_, file))| {
        seek.what(file)
    });
    let mut made = Vec::with_capacity(files.len());
    for ((place, (path, file)), found) in files.into_iter().zip(found) {
        let (what, holds) = found?;
        held.add(holds);
        made.push(Made {
            place,
            path,
            file,
            what,
        });
    }
    Ok(Outputs {
        made,
        stdout,
        stderr,
        held,
    })
}

/// A thread is not worth its start for fewer outputs than this: a compile of C makes one or two, while others run beside it.
const FEW: usize = 4;

/// How many of so many outputs to deal with at once. The end of a script's run is mostly waited for by everything else.
pub(crate) fn at_once(outputs: usize) -> usize {
    if outputs < FEW { 1 } else { parallel::cores() }
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

/// What is looked for, and where the roots are.
struct Seek<'a> {
    shown: &'a Roots,
    /// Roots as they really are and as the program was told of them.
    roots: Vec<(Root, &'a Path)>,
    wanted: &'a Wanted<'a>,
}

impl Seek<'_> {
    /// What a path is, and what it holds.
    fn what(&self, file: &Path) -> Result<(What, Held), Refusal> {
        let failed = |error: io::Error| odd(file, &error.to_string());
        let mut held = Held::default();
        let sig = rekindle_fsx::stat(file).map_err(failed)?;
        match sig.kind() {
            FileKind::Dir => return Ok((What::Directory, held)),
            FileKind::Other => {
                let target = rekindle_fsx::read_link(file)
                    .map_err(|_| odd(file, "it is neither file, link nor directory"))?;
                let target = target.as_os_str().as_bytes();
                let text = self.shown.canonical_plain(target);
                self.bind(&text, &mut held.bound);
                return Ok((What::Link(text), held));
            }
            FileKind::File => {}
        }
        let executable = sig.is_executable();
        let unlogged;
        let wanted = if file.file_name() == Some(OsStr::new(autoconf::LOG)) {
            unlogged = self.wanted.of_log();
            &unlogged
        } else {
            self.wanted
        };
        let text = if sig.size <= TEXT_MAX_BYTES {
            let bytes = rekindle_fsx::read_unless_binary(file).map_err(failed)?;
            bytes.and_then(|bytes| self.text_with_paths(file, bytes))
        } else {
            None
        };
        if let Some(text) = text.map(|text| self.shown.canonical_plain(&text)) {
            wanted.look(&text, &file.display().to_string(), &mut held.values)?;
            self.bind(&text, &mut held.bound);
            return Ok((What::Text { executable, text }, held));
        }
        self.scan(file, wanted, &mut held).map_err(failed)??;
        Ok((What::Exact { executable }, held))
    }

    /// The bytes, where they are text that holds the real path of a root.
    fn text_with_paths(&self, file: &Path, bytes: Vec<u8>) -> Option<Vec<u8>> {
        let bytes = autoconf::in_one_piece(file, bytes, self.roots.iter().map(|(_, real)| *real));
        let holds = |real: &Path| memmem::find(&bytes, real.as_os_str().as_bytes()).is_some();
        let mut roots = self.roots.iter();
        (is_text(&bytes) && roots.any(|(_, real)| holds(real))).then_some(bytes)
    }

    /// Looks through a file of any size for all at once.
    fn scan(
        &self,
        file: &Path,
        wanted: &Wanted<'_>,
        held: &mut Held,
    ) -> io::Result<Result<(), Refusal>> {
        let roots = self.roots.iter();
        let roots: Vec<(Root, &[u8])> = roots
            .map(|(root, real)| (*root, real.as_os_str().as_bytes()))
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
                held.bound.insert(*root);
            }
        }
        // A value that is the beginning of a real path is found in it: the path is keyed.
        let is_in_path = |value: &[u8]| {
            let mut held = roots.iter().zip(in_roots).filter(|(_, found)| **found);
            held.any(|((_, real), _)| real.starts_with(value))
        };
        for ((name, value), found) in wanted.values.iter().zip(in_values) {
            if *found && !is_in_path(value) {
                held.values.insert(name.to_vec());
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

    /// What was printed, with roots as tokens.
    fn printed(
        &self,
        roots: &Roots,
        bytes: &[u8],
        name: &str,
        held: &mut Held,
    ) -> Result<Vec<u8>, Refusal> {
        let text = roots.canonical_plain(bytes);
        self.wanted.look(&text, name, &mut held.values)?;
        self.bind(&text, &mut held.bound);
        Ok(text)
    }

    /// Notes the roots whose real paths are still in a canonical text.
    fn bind(&self, text: &[u8], bound: &mut BTreeSet<Root>) {
        for (root, real) in &self.roots {
            if memmem::find(text, &in_plain(real.as_os_str().as_bytes())).is_some() {
                bound.insert(*root);
            }
        }
    }
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
