//! The observation around a compile: how it is asked for, and what a hit tells it.
//!
//! The wrapper's own reads are no part of an observation. A compiler that it starts is seen by the outer
//! observer, where there is one, and its part goes into the whole. On a hit none starts: then what the
//! entry was made from, and what was put in place, is announced, so that the run around it is keyed by all
//! that its compiles ever read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rekindle_key::step::{NOTHING, StepEntry};
use rekindle_key::{Roots, Tag};
use rekindle_observe::{Observation, Observer, Options, Seen};
use rekindle_outputs::environment::Environment;

use crate::settings::Settings;

/// An observer, and how it is to look.
pub(crate) fn observing(settings: &Settings, environment: &Environment) -> (Observer, Options) {
    let tools = settings.store_dir.join("observe");
    let options = Options {
        preload: rekindle_observe::install_preload(&tools).ok().flatten(),
        // Entries and objects of ours, and the library that looks.
        skip: rekindle_fsx::canonicalize(&settings.store_dir)
            .into_iter()
            .collect(),
        ld_preload: environment.get("LD_PRELOAD").map(OsStr::to_owned),
        ..Options::default()
    };
    (Observer::probe(), options)
}

/// Tells the observer around this process, if there is one, what a run stood for that did not happen.
pub(crate) fn announce(entry: &StepEntry, roots: &Roots, outputs: &[PathBuf]) -> bool {
    rekindle_observe::announce(&stood_for(entry, roots, outputs))
}

fn stood_for(entry: &StepEntry, roots: &Roots, outputs: &[PathBuf]) -> Observation {
    let mut seen = Observation::default();
    seen.writes.extend(outputs.iter().cloned());
    for item in entry.manifest.items() {
        let how = match item.tag {
            Tag::ReadFile | Tag::RanProgram => Seen::READ,
            Tag::Looked if item.value == NOTHING.as_bytes() => Seen::MISSING,
            Tag::Looked => Seen::THERE,
            Tag::Listing => Seen::LISTED,
            Tag::Link => Seen::LINK,
            Tag::Variable => {
                let name = OsStr::from_bytes(&item.name);
                if name.is_empty() {
                    // It read them as a whole.
                    let doubts = seen.env.doubts.entry(PathBuf::from("cc"));
                    doubts
                        .or_default()
                        .insert(rekindle_observe::EnvDoubt::Unreported);
                } else {
                    seen.env.names.insert(name.to_owned());
                }
                continue;
            }
            _ => continue,
        };
        let Some(path) = roots.resolve(&item.name) else {
            continue;
        };
        if item.tag == Tag::RanProgram {
            seen.programs.insert(path.clone());
        }
        seen.files.add(path, how);
    }
    seen
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use rekindle_key::step::DIRECTORY;
    use rekindle_key::{Manifest, Root};

    #[test]
    fn a_hit_stands_for_all_that_was_read() {
        let mut manifest = Manifest::new();
        manifest.push(Tag::ReadFile, "{workspace}/a.c", "00");
        manifest.push(Tag::RanProgram, "/usr/bin/as", "00");
        manifest.push(Tag::Looked, "/usr/local/include/x.h", NOTHING);
        manifest.push(Tag::Looked, "/usr/include", DIRECTORY);
        manifest.push(Tag::Link, "/lib", "usr/lib");
        manifest.push(Tag::Listing, "/d", "00");
        manifest.push(Tag::Variable, "CPATH", "not set");
        let entry = StepEntry {
            outputs: Vec::new(),
            stdout: Vec::new(),
            stderr: Vec::new(),
            run_us: 0,
            path_bound: false,
            manifest,
        };
        let roots = Roots::new(Path::new("/w/x"), [(Root::Workspace, "/w/x".into())]);
        let seen = stood_for(&entry, &roots, &[PathBuf::from("/w/x/a.o")]);
        let check = |path: &str, how: Seen| {
            assert_eq!(seen.files.get(Path::new(path)), Some(how), "{path}");
        };
        check("/w/x/a.c", Seen::READ);
        check("/usr/bin/as", Seen::READ);
        check("/usr/local/include/x.h", Seen::MISSING);
        check("/usr/include", Seen::THERE);
        check("/lib", Seen::LINK);
        check("/d", Seen::LISTED);
        assert!(seen.programs.contains(Path::new("/usr/bin/as")));
        assert!(seen.env.names.contains(OsStr::new("CPATH")));
        assert!(seen.writes.contains(Path::new("/w/x/a.o")));
    }
}
