//! What compilers are going to read of a target directory that was restored but for some units.
//!
//! A guess, to be brought from afar before it is asked for: those units are taken to use the crates that they used when they
//! were recorded. A build script whose runs are never recorded, as one that writes among the sources, is taken to run again.

use std::collections::{HashMap, HashSet};

use rekindle_base::Digest;
use rekindle_outputs::incremental::crate_name;

use super::Job;
use crate::captured::is_script;
use crate::model::{Body, File, Form, Object, Unit};

/// The objects, those that are read first first: scripts that run again, metadata and procedural macros, incremental state,
/// then libraries where a program is linked.
pub(super) fn of_missing(jobs: &[Job], valid: &[Vec<usize>]) -> Vec<Digest> {
    let mut metadata = scripts_without_a_run(jobs, valid);
    let mut states = Vec::new();
    let mut libraries = Vec::new();
    for (job, valid) in jobs.iter().zip(valid) {
        let of_tree = OfTree::new(job, valid);
        of_tree.read(&mut metadata, &mut libraries);
        states.extend(of_tree.states(job));
    }
    metadata.extend(states);
    metadata.extend(libraries);
    let mut seen = HashSet::new();
    metadata.retain(|digest| seen.insert(*digest));
    metadata
}

/// The programs of build scripts that the last build used, with which nothing was built that is restored.
fn scripts_without_a_run(jobs: &[Job], valid: &[Vec<usize>]) -> Vec<Digest> {
    let restored = || {
        jobs.iter().zip(valid).flat_map(|(job, valid)| {
            let units = valid.iter().map(|index| &job.tree.units[*index]);
            units.map(|unit| (job.tree.generation, unit))
        })
    };
    let built_with: HashSet<Digest> = restored()
        .flat_map(|(_, unit)| &unit.deps)
        .copied()
        .collect();
    let scripts = restored().filter(|(generation, unit)| {
        unit.used == *generation && is_script(unit) && !built_with.contains(&unit.build)
    });
    let objects = scripts.flat_map(|(_, unit)| unit.files.iter().filter_map(File::object));
    objects
        .filter(|object| object.form == Form::Program)
        .map(|object| object.digest)
        .collect()
}

/// A tree's files that were restored, and the units that were not.
struct OfTree<'a> {
    /// By their names in the directory that is built in.
    files: HashMap<String, &'a Object>,
    missing: Vec<&'a Unit>,
}

impl<'a> OfTree<'a> {
    fn new(job: &'a Job, valid: &[usize]) -> Self {
        let valid: HashSet<usize> = valid.iter().copied().collect();
        let (mut files, mut missing) = (HashMap::new(), Vec::new());
        for (index, unit) in job.tree.units.iter().enumerate() {
            if !valid.contains(&index) {
                missing.push(unit);
                continue;
            }
            for file in &unit.files {
                if let Body::Object(object) = &file.body {
                    files.insert(format!("{}/{}", job.profile.name, file.path), object);
                }
            }
        }
        Self { files, missing }
    }

    /// The incremental state that their compiles begin with: of each crate what was used last. What a version left that is no more
    /// is as large and read by nobody.
    fn states(&self, job: &Job) -> Vec<Digest> {
        let missing: HashSet<&str> = self.missing.iter().map(|unit| unit.id.as_str()).collect();
        let states = job.tree.incremental.iter();
        let states = states
            .filter(|state| !job.moved && missing.contains(state.unit.as_str()))
            .filter(|state| !state.files.is_empty());
        let mut last: HashMap<&str, u32> = HashMap::new();
        for state in states.clone() {
            let used = last.entry(crate_name(&state.name)).or_default();
            *used = state.used.max(*used);
        }
        states
            .filter(|state| last.get(crate_name(&state.name)) == Some(&state.used))
            .flat_map(|state| state.objects().map(|object| object.digest))
            .collect()
    }

    fn read(&self, metadata: &mut Vec<Digest>, libraries: &mut Vec<Digest>) {
        // Each crate, and whether a linker reads it.
        let mut pending: Vec<(&str, bool)> = Vec::new();
        for unit in &self.missing {
            let links = is_linked(unit);
            let known = unit.files.iter().filter_map(File::object);
            let externs = known.filter_map(|object| object.known.as_ref());
            let externs = externs.flat_map(|(_, externs)| externs);
            pending.extend(externs.map(|name| (stem(name), links)));
        }
        let mut seen = HashSet::new();
        while let Some((stem, links)) = pending.pop() {
            if !seen.insert((stem, links)) {
                continue;
            }
            let [rmeta, so, rlib] =
                ["rmeta", "so", "rlib"].map(|end| self.files.get(&format!("{stem}.{end}")));
            let found = [rmeta, so].into_iter().flatten();
            metadata.extend(found.map(|object| object.digest));
            let library = rlib.filter(|_| links || rmeta.is_none());
            libraries.extend(library.map(|object| object.digest));
            // What a procedural macro was made from is in it.
            let behind = [rmeta, rlib].into_iter().flatten();
            let behind = behind.filter_map(|object| object.known.as_ref());
            let behind = behind.flat_map(|(_, externs)| externs);
            pending.extend(behind.map(|name| (self::stem(name), links)));
        }
    }
}

/// Whether making it starts a linker.
fn is_linked(unit: &Unit) -> bool {
    let is_shared = |file: &File| file.path.ends_with(".so");
    let is_program = |file: &File| {
        file.object()
            .is_some_and(|object| object.form == Form::Program)
    };
    unit.files
        .iter()
        .any(|file| is_shared(file) || is_program(file))
}

/// A file's name without its ending: `.rmeta`, `.rlib` and `.so` of a crate lie side by side.
fn stem(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(stem, _)| stem)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::layout::Profile;
    use crate::model::{Home, Incremental, Tree};

    /// A unit with these files, made from these crates.
    fn unit(id: &str, files: &[(&str, Form)], externs: &[&str]) -> Unit {
        let externs: Vec<String> = externs
            .iter()
            .map(|name| format!("debug/deps/{name}"))
            .collect();
        let file = |(name, form): &(&str, Form)| File {
            path: format!("deps/{name}"),
            mode: 0o644,
            body: Body::Object(Object {
                digest: Digest::of(name.as_bytes()),
                size: 1,
                form: *form,
                known: Some((Digest::of(id.as_bytes()), externs.clone())),
                localised: false,
            }),
        };
        Unit {
            id: id.to_owned(),
            package: id.to_owned(),
            used: 1,
            inputs: Vec::new(),
            build: Digest::of(id.as_bytes()),
            deps: Vec::new(),
            path_bound: false,
            home: Home::default(),
            files: files.iter().map(file).collect(),
        }
    }

    fn library(name: &str, externs: &[&str]) -> Unit {
        let [rmeta, rlib] = ["rmeta", "rlib"].map(|end| format!("lib{name}.{end}"));
        unit(name, &[(&rmeta, Form::Text), (&rlib, Form::Text)], externs)
    }

    /// What is read where all but the last of the units were restored.
    fn read(units: Vec<Unit>) -> Vec<Digest> {
        read_with_state(units, Vec::new(), false)
    }

    /// The same, with incremental state, where it was built or somewhere else.
    fn read_with_state(
        units: Vec<Unit>,
        incremental: Vec<Incremental>,
        moved: bool,
    ) -> Vec<Digest> {
        let valid = vec![(0..units.len() - 1).collect()];
        read_with(units, incremental, moved, valid)
    }

    fn read_with(
        units: Vec<Unit>,
        incremental: Vec<Incremental>,
        moved: bool,
        valid: Vec<Vec<usize>>,
    ) -> Vec<Digest> {
        let tree = Tree::of(units, incremental);
        let job = Job {
            profile: Profile::new(Path::new("target"), "debug"),
            digest: Digest::of(b"tree"),
            tree,
            moved,
            rehomed: false,
            named: true,
        };
        of_missing(&[job], &valid)
    }

    fn digests(names: &[&str]) -> HashSet<Digest> {
        names
            .iter()
            .map(|name| Digest::of(name.as_bytes()))
            .collect()
    }

    fn crates() -> Vec<Unit> {
        vec![
            library("base", &[]),
            library("inside_macro", &[]),
            unit(
                "macro",
                &[("libmacro.so", Form::Text)],
                &["libinside_macro.rlib"],
            ),
            library("middle", &["libbase.rmeta", "libmacro.so"]),
            library("stranger", &[]),
        ]
    }

    #[test]
    fn a_library_reads_metadata_alone_also_behind_what_it_names() {
        let mut units = crates();
        units.push(library("top", &["libmiddle.rmeta"]));
        let expected = digests(&["libmiddle.rmeta", "libbase.rmeta", "libmacro.so"]);
        assert_eq!(read(units).into_iter().collect::<HashSet<_>>(), expected);
    }

    #[test]
    fn a_program_reads_libraries_too_and_these_last() {
        let mut units = crates();
        units.push(unit(
            "program",
            &[("program", Form::Program)],
            &["libmiddle.rlib"],
        ));
        let read = read(units);
        let (first, last) = read.split_at(3);
        let set = |digests: &[Digest]| digests.iter().copied().collect::<HashSet<_>>();
        let metadata = digests(&["libmiddle.rmeta", "libbase.rmeta", "libmacro.so"]);
        assert_eq!(set(first), metadata);
        assert_eq!(set(last), digests(&["libmiddle.rlib", "libbase.rlib"]));
    }

    #[test]
    fn the_state_of_what_is_compiled_comes_after_metadata_where_it_is_taken() {
        let state = |unit: &str, used: u32| Incremental {
            // The directory's hash is the compiler's own.
            name: format!("crate-{unit}"),
            unit: unit.to_owned(),
            used,
            paid: false,
            files: self::unit(unit, &[(&format!("{unit}.state"), Form::Text)], &[]).files,
        };
        let states = || vec![state("middle", 2), state("program", 1)];
        let units = || {
            let mut units = crates();
            let files = [("program", Form::Program)];
            units.push(unit("program", &files, &["libbase.rlib"]));
            units
        };
        let names = ["libbase.rmeta", "program.state", "libbase.rlib"];
        let expected = names.map(|name| Digest::of(name.as_bytes()));
        assert_eq!(read_with_state(units(), states(), false), expected);
        let elsewhere = read_with_state(units(), states(), true);
        assert_eq!(elsewhere, [expected[0], expected[2]]);
        // Of two that are built the one that was used last, as of a crate whose version is another now.
        let mut units = units();
        units.insert(0, unit("older", &[("older", Form::Program)], &[]));
        let mut both = states();
        both.push(state("older", 0));
        let valid = vec![(1..units.len() - 1).collect()];
        assert_eq!(read_with(units, both, false, valid), expected);
    }

    #[test]
    fn a_script_without_a_run_is_read_first() {
        let script = |name: &str| {
            let mut unit = unit(name, &[(name, Form::Program)], &[]);
            unit.files.push(File {
                path: format!(".fingerprint/{name}/build-script-build-script-build"),
                mode: 0o644,
                body: crate::model::Body::Inline(Vec::new()),
            });
            unit
        };
        let run = |name: &str, of: &Unit| {
            let mut unit = unit(name, &[(name, Form::Text)], &[]);
            unit.deps = vec![of.build];
            unit
        };
        let mut old = script("old");
        old.used = 0;
        let units = || {
            let (again, other) = (script("again"), script("other"));
            let runs = [run("run of again", &again), run("run of other", &other)];
            let [again_run, other_run] = runs;
            vec![old.clone(), again, other, other_run, again_run]
        };
        // The last one is not restored.
        let names = |read: Vec<Digest>| read.into_iter().collect::<HashSet<_>>();
        assert_eq!(names(read(units())), digests(&["again"]));
        let valid = vec![(0..units().len()).collect()];
        assert_eq!(read_with(units(), Vec::new(), false, valid), []);
    }

    #[test]
    fn where_all_was_restored_nothing_is_read() {
        let mut units = crates();
        units.push(library("new", &[]));
        assert_eq!(read(units), []);
    }
}
