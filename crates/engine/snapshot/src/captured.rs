//! One unit, as it is captured: its files, and what they were made from. [`paths`] says which paths these hold.

mod paths;

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::Digest;
use rekindle_fsx::place::Wish;
use rekindle_fsx::{DirEntry, FileKind};
use rekindle_key::Roots;
use rekindle_key::depinfo::DepInfo;
use rekindle_key::roots::TEXT_MAX_BYTES;
use rekindle_outputs::placeholder::{self, Placeholder};
use rekindle_outputs::{localise, record};
use rekindle_store::{LocalStore, Store, Stored};

use crate::capture::Saw;
use crate::fingerprint;
use crate::inputs::{self, Breadth, Inputs, Newest, Where};
use crate::layout::{Place, Profile, is_hash_name};
use crate::model::{Body, File, Form, Home, Object, Unit};
use crate::rehash;
use crate::scripts::Scripts;
use crate::seen::Recorder;

/// Files up to this size are part of the tree.
const INLINE_MAX_BYTES: u64 = 4 << 10;
/// The kernel stamps files from a clock that lags by as much as this.
const COARSE_CLOCK_NS: i64 = 10_000_000;

/// Why a unit is not captured.
#[derive(Debug, thiserror::Error)]
pub enum LeftOut {
    /// Nobody saw it being built: it may have been changed since.
    #[error("it was built before this run")]
    NotOurs,
    /// Its build did not end well.
    #[error("its build did not end")]
    Unfinished,
    /// It cannot be told what it was made from.
    #[error("what it was made from is not known: {0}")]
    UnknownInputs(String),
    /// A unit that it was built with is not captured.
    #[error("a unit that it was built with is not captured")]
    WithoutDependency,
    /// The run of a build script that another unit was built with, which is not captured.
    #[error("a unit that was built with it is not captured, for which it may write sources")]
    Script,
    /// It made something elsewhere, which is not there in a fresh checkout.
    #[error("it writes outside of where its outputs go")]
    WroteOutside,
    /// It was made from something that cargo does not watch, and that cannot be looked at again: the unit
    /// cache does, each time.
    #[error("it read what it does not declare: {0}")]
    Undeclared(String),
    /// A source was changed after its build began.
    #[error("`{0}` was changed while it was built")]
    Changed(String),
    /// The system refused.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// What all units of a capture share.
pub(crate) struct Capturing<'a> {
    pub(crate) store: &'a LocalStore,
    pub(crate) here: &'a Where,
    /// When the run began: nanoseconds since 1970.
    pub(crate) began_ns: i64,
    /// What was seen of units.
    pub(crate) saw: &'a Saw,
    pub(crate) launcher: &'a Path,
    pub(crate) scripts: &'a Scripts<'a>,
    /// The names of the directories, for texts.
    pub(crate) roots: Roots,
}

/// Bytes that were stored and read for it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub(crate) stored_bytes: u64,
    pub(crate) hashed_bytes: u64,
}

/// One unit under way.
pub(crate) struct Capture<'a> {
    pub(crate) all: &'a Capturing<'a>,
    pub(crate) profile: &'a Profile,
    pub(crate) place: &'a Place,
    pub(crate) cost: Cost,
    files: Vec<File>,
    inodes: HashMap<(u64, u64), u32>,
    path_bound: bool,
    home_bound: bool,
}

/// An input that it was made from.
struct Used {
    index: u32,
    newest: Newest,
    path: PathBuf,
}

impl<'a> Capture<'a> {
    pub(crate) fn new(all: &'a Capturing<'a>, profile: &'a Profile, place: &'a Place) -> Self {
        Self {
            all,
            profile,
            place,
            cost: Cost::default(),
            files: Vec::new(),
            inodes: HashMap::new(),
            path_bound: all.saw.bound.contains(&place.id),
            home_bound: all.saw.bound_to_home.contains(&place.id),
        }
    }

    /// Captures it, but for the builds that it depends on. `outputs` are the names in `deps` and `examples` that are its own.
    pub(crate) fn unit(
        mut self,
        outputs: &HashMap<String, Vec<String>>,
        (inputs, recorder): (&mut Inputs, &mut Recorder<'_>),
    ) -> Result<Built, LeftOut> {
        let (hash_name, fingerprint) = self.fingerprint()?;
        let is_script_run = hash_name.starts_with("run-build-script-");
        let invoked = self.profile.path.join(self.place.invoked(is_script_run));
        let invoked_ns = rekindle_fsx::stat(&invoked)?.mtime_ns;
        if invoked_ns < self.all.began_ns - COARSE_CLOCK_NS {
            return Err(LeftOut::NotOurs);
        }
        if let Some(why) = self.all.saw.unjudged.get(&self.place.id) {
            return Err(LeftOut::Undeclared(why.clone()));
        }
        if self.all.saw.wrote_outside.contains(&self.place.id) {
            return Err(LeftOut::WroteOutside);
        }
        let entries = self.entries(&hash_name, outputs)?;
        // The run of a script is no crate.
        let (info, used) = if is_script_run {
            (None, self.script_inputs(&fingerprint, inputs)?)
        } else {
            let info = dep_info(&entries)?;
            let used = self.source_inputs(&info, inputs)?;
            if !self.all.saw.units.contains(&self.place.id) {
                self.look_at_variables(&info);
            }
            (Some(info), used)
        };
        // Of what was observed, the very contents are compared below.
        let is_seen = self.all.saw.seen.contains_key(&self.place.id);
        let mut indices = Vec::with_capacity(used.len());
        for used in used {
            let Newest {
                written_ns,
                changed_ns,
            } = used.newest;
            if written_ns > invoked_ns || (!is_seen && changed_ns > invoked_ns) {
                return Err(LeftOut::Changed(used.path.display().to_string()));
            }
            indices.push(used.index);
        }
        for entry in &entries {
            self.add(entry, is_script_run)?;
        }
        let build = build_of(&self.files)?;
        for entry in &fingerprint {
            self.add_fingerprint(entry)?;
        }
        let source = info.and_then(|info| self.source_in_home(&info));
        let mut unit = Unit {
            id: self.place.id.clone(),
            package: self.place.package.clone(),
            used: 0,
            inputs: indices,
            build,
            deps: Vec::new(),
            path_bound: self.path_bound,
            home: Home {
                source,
                bound: self.home_bound,
            },
            files: std::mem::take(&mut self.files),
        };
        let mut needs = fingerprint::needs_of(&unit)
            .ok_or_else(|| LeftOut::UnknownInputs("its fingerprint has another form".into()))?;
        if let Some(seen) = self.all.saw.seen.get(&unit.id) {
            let own = self.profile.path.join(self.place.out_dir());
            let mut made = self.all.scripts.made(own, &needs);
            let recorded = recorder.record(seen, (&self.profile.path, &mut made), inputs);
            unit.inputs.extend(recorded.map_err(LeftOut::Undeclared)?);
            // In another directory the script says another path, whether what was made of it holds it or not.
            for value in made.told() {
                unit.path_bound |= self.holds_path(value.as_bytes());
                unit.home.bound |= self.holds_home(value.as_bytes());
            }
            let read = made.read();
            needs.extend(read);
        }
        Ok(Built {
            hash: fingerprint::hash_of(&unit).ok_or(LeftOut::Unfinished)?,
            needs,
            unit,
            cost: self.cost,
        })
    }

    /// The files of its fingerprint, the hash last, and the hash's name.
    fn fingerprint(&self) -> Result<(String, Vec<DirEntry>), LeftOut> {
        let mut entries = rekindle_fsx::list_dir(&self.profile.path.join(&self.place.fingerprint))?;
        let at = entries
            .iter()
            .position(|entry| {
                let name = entry.name.to_string_lossy();
                is_hash_name(&name) && entry.sig.size > 0
            })
            .ok_or(LeftOut::Unfinished)?;
        let hash = entries.swap_remove(at);
        let name = hash.name.to_string_lossy().into_owned();
        entries.push(hash);
        Ok((name, entries))
    }

    /// All other files.
    fn entries(
        &self,
        hash_name: &str,
        outputs: &HashMap<String, Vec<String>>,
    ) -> Result<Vec<DirEntry>, LeftOut> {
        let of_library = || {
            let name = hash_name.strip_prefix("lib-")?;
            outputs.get(&format!("lib {}", name.replace('-', "_")))
        };
        let names = outputs.get(&self.place.id).or_else(of_library);
        let mut entries = Vec::new();
        for name in names.into_iter().flatten() {
            let path = self.profile.path.join(name);
            entries.push(DirEntry {
                name: path.file_name().unwrap_or_default().to_owned(),
                sig: rekindle_fsx::stat(&path)?,
                path,
            });
        }
        let fingerprint = self.profile.path.join(&self.place.fingerprint);
        let own = self.profile.path.join(&self.place.own);
        let mut pending = vec![own];
        while let Some(dir) = pending.pop() {
            let Some(found) = rekindle_fsx::found(rekindle_fsx::list_dir(&dir))? else {
                continue;
            };
            // What a killed process of ours left.
            let is_ours = |entry: &DirEntry| {
                let prefix = rekindle_fsx::atomic::TEMPORARY_PREFIX.as_bytes();
                entry.name.as_bytes().starts_with(prefix)
            };
            for entry in found.into_iter().filter(|entry| !is_ours(entry)) {
                if entry.sig.kind() == FileKind::Dir && entry.path != fingerprint {
                    pending.push(entry.path.clone());
                }
                if entry.path != fingerprint {
                    entries.push(entry);
                }
            }
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(entries)
    }

    /// What a compiler read, from its dep-info.
    fn source_inputs(&self, info: &DepInfo, inputs: &mut Inputs) -> Result<Vec<Used>, LeftOut> {
        let mut used = Vec::new();
        for input in &info.inputs {
            // cargo starts compilers in the workspace's root.
            let path = self.all.here.workspace.join(OsStr::from_bytes(input));
            self.use_input(&path, Breadth::All, inputs, &mut used)?;
        }
        Ok(used)
    }

    /// What a build script declared.
    fn script_inputs(
        &mut self,
        fingerprint: &[DirEntry],
        inputs: &mut Inputs,
    ) -> Result<Vec<Used>, LeftOut> {
        let output = rekindle_fsx::read(&self.printed())?;
        let out_dir = self.profile.path.join(self.place.out_dir());
        if self.mapped(&output).is_none() {
            // cargo gives the paths in its own directory those of the present.
            self.path_bound |= self.holds_path_but(&output, &out_dir);
            self.home_bound |= self.holds_home(&output);
        }
        let declared = inputs::declared(&output);
        let mut used = Vec::new();
        let root = self.all.scripts.package_root(fingerprint);
        if !declared.any {
            let root = root.map_err(LeftOut::UnknownInputs)?;
            self.use_input(&root, Breadth::Package, inputs, &mut used)?;
            return Ok(used);
        }
        for path in &declared.paths {
            let path = Path::new(path);
            let path = if path.is_absolute() {
                path.to_owned()
            } else {
                root.clone().map_err(LeftOut::UnknownInputs)?.join(path)
            };
            self.use_input(&path, Breadth::All, inputs, &mut used)?;
        }
        Ok(used)
    }

    /// What a build script printed.
    fn printed(&self) -> PathBuf {
        self.profile.path.join(self.place.script_output())
    }

    fn use_input(
        &self,
        path: &Path,
        breadth: Breadth,
        inputs: &mut Inputs,
        used: &mut Vec<Used>,
    ) -> Result<(), LeftOut> {
        if let Some(place) = self.all.here.place(path) {
            let (index, newest) = inputs.add(place, path, breadth)?;
            used.push(Used {
                index,
                newest,
                path: path.to_owned(),
            });
        }
        Ok(())
    }

    /// Files of fingerprints are small, and all of them are read by cargo.
    fn add_fingerprint(&mut self, entry: &DirEntry) -> Result<(), LeftOut> {
        let path = relative(&self.profile.path, &entry.path)
            .ok_or_else(|| LeftOut::UnknownInputs("its fingerprint has another form".into()))?;
        let bytes = rekindle_fsx::read(&entry.path)?;
        // Not where packages themselves are: cargo keeps those paths relative.
        self.home_bound |= self.holds_home(&bytes);
        self.files.push(File {
            path,
            mode: entry.sig.mode & 0o777,
            body: Body::Inline(bytes),
        });
        Ok(())
    }

    /// The root of the crate that cargo made the fingerprint of, where it is in cargo's home.
    fn source_in_home(&self, info: &DepInfo) -> Option<Vec<u8>> {
        let (_, json) = fingerprint::json_of(&self.files)?;
        let home = &self.all.here.cargo_home;
        let in_home = info
            .inputs
            .iter()
            .filter_map(|input| Path::new(OsStr::from_bytes(input)).strip_prefix(home).ok());
        let root = rehash::hashed_path(json, home, in_home)?;
        Some(root.as_os_str().as_bytes().to_vec())
    }

    fn add(&mut self, entry: &DirEntry, is_script_run: bool) -> Result<(), LeftOut> {
        let Some(path) = relative(&self.profile.path, &entry.path) else {
            return Err(LeftOut::UnknownInputs(format!(
                "`{}` has a name that is no text",
                entry.path.display()
            )));
        };
        let in_out_dir = is_script_run
            && entry
                .path
                .starts_with(self.profile.path.join(self.place.out_dir()));
        let inode = (entry.sig.dev, entry.sig.ino);
        let body = match (entry.sig.kind(), self.inodes.get(&inode)) {
            (FileKind::Dir, _) => Body::Directory,
            (FileKind::File, Some(first)) => Body::Same(*first),
            (FileKind::Other, _) => Body::Link(
                rekindle_fsx::read_link(&entry.path)?
                    .as_os_str()
                    .as_bytes()
                    .to_vec(),
            ),
            (FileKind::File, None) => {
                let mapped = if is_script_run {
                    self.mapped_file(entry, in_out_dir)?
                } else {
                    None
                };
                match mapped {
                    Some(body) => body,
                    None => self.body(entry, in_out_dir)?,
                }
            }
        };
        if entry.sig.kind() == FileKind::File {
            let index = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
            self.inodes.entry(inode).or_insert(index);
        }
        self.files.push(File {
            path,
            mode: entry.sig.mode & 0o777,
            body,
        });
        Ok(())
    }

    fn body(&mut self, entry: &DirEntry, in_out_dir: bool) -> Result<Body, LeftOut> {
        let is_crate = ["rlib", "rmeta", "so"]
            .iter()
            .any(|kind| entry.path.extension() == Some(OsStr::new(kind)));
        if !in_out_dir
            && entry.sig.is_executable()
            && let Some(placeholder) = Placeholder::read(&entry.path)?
        {
            return self.stood_for(&placeholder);
        }
        if entry.sig.size <= INLINE_MAX_BYTES && (in_out_dir || !is_crate) {
            let bytes = rekindle_fsx::read(&entry.path)?;
            if Placeholder::from_bytes(&bytes).is_some() {
                return Err(LeftOut::UnknownInputs("it is a placeholder itself".into()));
            }
            let is_code = bytes.starts_with(b"\x7fELF");
            // Paths in what cargo itself keeps are relative, or its own affair.
            if in_out_dir || is_code {
                self.path_bound |= self.holds_path(&bytes);
                self.home_bound |= self.holds_home(&bytes);
            }
            return Ok(Body::Inline(bytes));
        }
        if in_out_dir {
            return self.generated(entry);
        }
        if !is_crate && entry.sig.is_executable() && is_elf(&entry.path)? {
            return self.program(entry);
        }
        self.output(entry, if is_crate { Form::Text } else { Form::Real })
    }

    /// A text that a build script wrote or printed for any directory, which holds paths of this one.
    fn mapped_file(&mut self, entry: &DirEntry, in_out_dir: bool) -> Result<Option<Body>, LeftOut> {
        let may_be_text = entry.sig.size <= TEXT_MAX_BYTES && !may_wait(&entry.path);
        let is_its = || in_out_dir || entry.path == self.printed();
        if !self.is_portable() || !may_be_text || !is_its() {
            return Ok(None);
        }
        let bytes = rekindle_fsx::read(&entry.path)?;
        // A placeholder is no text of the script's, whatever it holds.
        let text = self
            .mapped(&bytes)
            .filter(|_| Placeholder::from_bytes(&bytes).is_none());
        let Some(text) = text else {
            return Ok(None);
        };
        if text.len() as u64 <= INLINE_MAX_BYTES {
            return Ok(Some(Body::Mapped(text)));
        }
        let stored = self.all.store.put_object_bytes(&text, false);
        let stored = stored.map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Some(Body::Object(self.stored(&stored, Form::Mapped))))
    }

    /// What a build script wrote: libraries and objects can be placeholders.
    fn generated(&mut self, entry: &DirEntry) -> Result<Body, LeftOut> {
        let form = if may_wait(&entry.path) {
            Form::Link
        } else {
            Form::Real
        };
        self.look_for_paths(&entry.path)?;
        let object = self.store(&entry.path, entry.sig.is_executable(), form)?;
        Ok(Body::Object(object))
    }

    /// What a compiler wrote.
    fn output(&mut self, entry: &DirEntry, form: Form) -> Result<Body, LeftOut> {
        let known = record::read(&[self.all.store], &entry.path);
        if let Some(known) = &known
            && self.all.store.has_object(&known.digest, entry.sig.size)
        {
            return Ok(Body::Object(Object {
                digest: known.digest,
                size: entry.sig.size,
                form,
                known: self.known(known),
                localised: false,
            }));
        }
        // What a script printed was looked through, but for the path of its own directory.
        let is_printed = entry.path == self.printed();
        if !is_printed && !self.all.saw.units.contains(&self.place.id) {
            self.look_for_paths(&entry.path)?;
        }
        let mut object = self.store(&entry.path, entry.sig.is_executable(), form)?;
        object.known = known
            .filter(|known| known.digest == object.digest)
            .and_then(|known| self.known(&known));
        Ok(Body::Object(object))
    }

    fn known(&self, known: &record::OutputRecord) -> Option<(Digest, Vec<String>)> {
        let externs = known
            .externs
            .iter()
            .map(|path| relative(&self.all.here.build_dir, path))
            .collect::<Option<_>>()?;
        Some((known.closure, externs))
    }

    /// A program: in the store with mapped paths in its debug information, as the unit cache has it.
    fn program(&mut self, entry: &DirEntry) -> Result<Body, LeftOut> {
        let form = if placeholder::launcher_fits(self.all.launcher) {
            Form::Program
        } else {
            Form::Real
        };
        let replacements = self.all.here.replacements();
        let (digest, localised) = localise::canonical_digest(&entry.path, &replacements)?;
        self.cost.hashed_bytes += entry.sig.size;
        if !self.all.saw.units.contains(&self.place.id) {
            self.look_for_paths(&entry.path)?;
        }
        if self.all.store.has_object(&digest, entry.sig.size) {
            return Ok(Body::Object(Object {
                digest,
                size: entry.sig.size,
                form,
                known: None,
                localised,
            }));
        }
        if !localised {
            return Ok(Body::Object(self.store(&entry.path, true, form)?));
        }
        let canonical = rekindle_fsx::atomic::beside(&entry.path);
        localise::write_canonical(&entry.path, &canonical, &replacements)?;
        let object = self.store(&canonical, true, form);
        rekindle_fsx::remove_file(&canonical)?;
        Ok(Body::Object(Object {
            localised,
            ..object?
        }))
    }

    /// A build script's program, which the unit cache has, and in whose place the launcher is.
    fn stood_for(&self, placeholder: &Placeholder) -> Result<Body, LeftOut> {
        let is_kept = self
            .all
            .store
            .has_object(&placeholder.digest, placeholder.size);
        if !is_kept || !placeholder::launcher_fits(self.all.launcher) {
            return Err(LeftOut::UnknownInputs("it is a placeholder itself".into()));
        }
        Ok(Body::Object(Object {
            digest: placeholder.digest,
            size: placeholder.size,
            form: Form::Program,
            known: None,
            localised: !placeholder.replacements.is_empty(),
        }))
    }

    fn store(&mut self, path: &Path, executable: bool, form: Form) -> Result<Object, LeftOut> {
        let wish = Wish {
            hardlink: false,
            executable,
        };
        let stored = self
            .all
            .store
            .put_object(path, wish)
            .map_err(|error| io::Error::other(error.to_string()))?;
        Ok(self.stored(&stored, form))
    }

    fn stored(&mut self, stored: &Stored, form: Form) -> Object {
        self.cost.hashed_bytes += stored.size;
        if stored.new {
            self.cost.stored_bytes += stored.size;
        }
        Object {
            digest: stored.digest,
            size: stored.size,
            form,
            known: None,
            localised: false,
        }
    }
}

/// A unit that was captured.
pub(crate) struct Built {
    pub(crate) unit: Unit,
    /// The hash of its fingerprint.
    pub(crate) hash: u64,
    /// Those of the units that it was built with, and of the runs further back whose files it was seen to read.
    pub(crate) needs: Vec<u64>,
    pub(crate) cost: Cost,
}

impl Built {
    /// Whether it is the run of a build script.
    pub(crate) fn is_script_run(&self) -> bool {
        is_script_run(&self.unit)
    }
}

/// Whether a unit is a build script's program.
pub(crate) fn is_script(unit: &Unit) -> bool {
    let hash = unit.files.last();
    let name = hash.and_then(|file| file.path.rsplit('/').next());
    name.is_some_and(|name| name.starts_with("build-script-"))
}

/// Whether a unit is the run of a build script.
pub(crate) fn is_script_run(unit: &Unit) -> bool {
    let hash = unit.files.last();
    hash.is_some_and(|file| file.path.contains("/run-build-script-"))
}

fn dep_info(entries: &[DirEntry]) -> Result<DepInfo, LeftOut> {
    let info = entries
        .iter()
        .find(|entry| entry.path.extension() == Some(OsStr::new("d")))
        .ok_or_else(|| LeftOut::UnknownInputs("it has no dep-info".into()))?;
    DepInfo::parse(&rekindle_fsx::read(&info.path)?)
        .ok_or_else(|| LeftOut::UnknownInputs("its dep-info has another form".into()))
}

/// What the build made, dep-info apart: that is rewritten from place to place.
fn build_of(files: &[File]) -> io::Result<Digest> {
    let made: Vec<&File> = files
        .iter()
        .filter(|file| !file.path.ends_with(".d"))
        .collect();
    let bytes = postcard::to_stdvec(&made).map_err(io::Error::other)?;
    Ok(Digest::of(&bytes))
}

/// Whether it is a library or an object, of which a placeholder can take the place.
fn may_wait(path: &Path) -> bool {
    let ends_in = |kind| path.extension() == Some(OsStr::new(kind));
    ["a", "o"].into_iter().any(ends_in)
}

/// Whether it is a program of the system rather than a script.
fn is_elf(path: &Path) -> io::Result<bool> {
    let mut head = [0; 4];
    let read = rekindle_fsx::open(path)?.read(&mut head)?;
    Ok(head[..read] == *b"\x7fELF")
}

/// `path` below `dir`, as text.
pub(crate) fn relative(dir: &Path, path: &Path) -> Option<String> {
    path.strip_prefix(dir).ok()?.to_str().map(str::to_owned)
}
