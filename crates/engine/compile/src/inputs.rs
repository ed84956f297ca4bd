//! The manifest of an invocation: what it says, then what lies behind it, then what such invocations
//! were seen to read.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rekindle_base::{Digest, DigestHasher};
use rekindle_events::UncacheableReason;
use rekindle_fsx::time::Watch;
use rekindle_key::pathset::{Name, PathSet};
use rekindle_key::table::{self, COMPILER_ENV_NAMES};
use rekindle_key::variables::secret;
use rekindle_key::{Invocation, Manifest, Root, Roots, Tag, outdir, roots};
use rekindle_observe::Observation;
use rekindle_outputs::environment::processor;
use rekindle_outputs::files::Files;
use rekindle_outputs::localise::mapped;
use rekindle_outputs::present::Present;
use rekindle_outputs::record::OutputRecord;
use rekindle_steps::meanwhile;

use crate::cc;
use crate::chain::Chain;
use crate::context::Context;
use crate::link::{Link, LinkPlan};
use crate::natives;
use crate::toolchain::Toolchain;

/// An invocation with all that its key needs.
pub(crate) struct Unit<'a> {
    pub(crate) context: &'a Context<'a>,
    pub(crate) files: &'a Files<'a>,
    pub(crate) chain: &'a Chain,
    pub(crate) invocation: &'a Invocation,
    pub(crate) toolchain: &'a Toolchain,
    pub(crate) roots: Roots,
    /// Whether paths are mapped to names that are the same everywhere.
    pub(crate) remap: bool,
    /// How it is linked, where it is.
    pub(crate) link: Option<Link>,
    /// Tells whether what is hashed before a compile changes until its end.
    pub(crate) watch: Watch,
    /// The records of the crates on its command line, in order.
    externs: Vec<(String, PathBuf, OutputRecord)>,
}

/// What the first step looks up, and the whole manifest as far as it is known without path sets.
pub(crate) struct Inputs {
    /// The digest of what the invocation says.
    pub(crate) invocation_key: Digest,
    /// That, and what lies behind it.
    pub(crate) manifest: Manifest,
    /// What is behind the crates on its command line.
    pub(crate) closure: Digest,
}

impl<'a> Unit<'a> {
    pub(crate) fn new(
        context: &'a Context<'a>,
        files: &'a Files<'a>,
        chain: &'a Chain,
        invocation: &'a Invocation,
        toolchain: &'a Toolchain,
    ) -> Result<Self, UncacheableReason> {
        let watch = Watch::start();
        let roots = roots_of(context, invocation, toolchain);
        let remap =
            context.settings.remap && !invocation.wants_real_paths && !invocation.user_remap_scope;
        let link = if invocation.is_linked() {
            Some(Link::new(context, invocation, toolchain)?)
        } else {
            None
        };
        let mut externs = Vec::with_capacity(invocation.externs.len());
        for ext in &invocation.externs {
            let Some(path) = &ext.path else { continue };
            let path = roots.absolute(path);
            let record = files.output(&path).ok_or_else(|| foreign(&path))?;
            externs.push((ext.name.clone(), path, record));
        }
        Ok(Self {
            context,
            files,
            chain,
            invocation,
            toolchain,
            roots,
            remap,
            link,
            watch,
            externs,
        })
    }

    /// The link through the shim, where there is one.
    pub(crate) fn asked_link(&self) -> Option<&LinkPlan> {
        self.link.as_ref().and_then(Link::asked)
    }

    /// The files of the crates on the command line.
    pub(crate) fn extern_paths(&self) -> Vec<PathBuf> {
        self.externs
            .iter()
            .map(|(_, path, _)| path.clone())
            .collect()
    }

    /// The roots as paths really are: what the compiler finds is named without links, where cargo may name it through one.
    pub(crate) fn real_roots(&self) -> Roots {
        cc::without_links(&self.roots, &self.context.environment.cwd)
    }

    /// The manifest, but for what only a path set tells.
    pub(crate) fn inputs(&self) -> Result<Inputs, UncacheableReason> {
        let mut manifest = Manifest::new();
        self.push_compiler(&mut manifest)?;
        self.invocation.describe(&mut manifest, &self.roots);
        self.push_environment(&mut manifest);
        let choice = self.asked_link().map_or("none", LinkPlan::choice);
        manifest.push(Tag::LinkerChoice, "linker", choice);
        for root in Root::OF_COMPILERS.into_iter().filter(|_| self.remap) {
            manifest.push(Tag::Remap, root.name(), mapped(root).unwrap_or_default());
        }
        let invocation_key = manifest.digest();
        let closure = self.push_externs(&mut manifest);
        if self.invocation.reads_closure() {
            self.push_linked_crates(&mut manifest)?;
        }
        natives::push(self, &mut manifest)?;
        self.push_files(&mut manifest)?;
        if let Some(link) = &self.link {
            link.push(self, &mut manifest)?;
        }
        Ok(Inputs {
            invocation_key,
            manifest,
            closure,
        })
    }

    fn push_compiler(&self, manifest: &mut Manifest) -> Result<(), UncacheableReason> {
        manifest.push_digest(Tag::Compiler, "sysroot", &self.toolchain.identity);
        let inner = self.context.settings.inner_wrapper.as_deref();
        let wrappers = inner.map(Path::as_os_str).into_iter();
        for wrapper in wrappers.chain(self.chain.workspace_wrapper.as_deref()) {
            let unknown = || UncacheableReason::UnknownWrapper {
                path: wrapper.to_string_lossy().into_owned(),
            };
            let path = self
                .context
                .environment
                .find_program(wrapper)
                .ok_or_else(unknown)?;
            let digest = self.files.tool(&path).map_err(|_| unknown())?;
            let name = path.file_name().unwrap_or_default();
            manifest.push_digest(Tag::Driver, name.as_bytes(), &digest);
        }
        self.push_clippy(manifest)
    }

    /// Adds clippy's configuration, looked for as clippy does: dep-info names one that is there, not
    /// those that were looked for in vain.
    fn push_clippy(&self, manifest: &mut Manifest) -> Result<(), UncacheableReason> {
        let driver = self.chain.workspace_wrapper.as_deref().map(Path::new);
        if driver.and_then(Path::file_stem) != Some(OsStr::new("clippy-driver")) {
            return Ok(());
        }
        let environment = self.context.environment;
        let start = ["CLIPPY_CONF_DIR", "CARGO_MANIFEST_DIR"]
            .iter()
            .find_map(|name| environment.get(name))
            .unwrap_or_default();
        let start = environment.cwd.join(start);
        let start = rekindle_fsx::canonicalize(&start).unwrap_or(start);
        for directory in start.ancestors() {
            let files = [".clippy.toml", "clippy.toml"].map(|name| directory.join(name));
            let found = files.iter().filter(|file| rekindle_fsx::exists(file));
            let mut any = false;
            for file in found {
                let digest = self
                    .files
                    .source(file)
                    .map_err(|error| unreadable(file, &error))?;
                manifest.push_digest(Tag::Driver, self.roots.canonical(file), &digest);
                any = true;
            }
            if any {
                break;
            }
        }
        Ok(())
    }

    fn push_environment(&self, manifest: &mut Manifest) {
        for (name, value) in self.context.environment.iter() {
            let Some(name) = name.to_str() else { continue };
            if table::is_package_variable(name) {
                let value = if Path::new(value).is_absolute() {
                    self.roots.canonical(Path::new(value))
                } else {
                    value.as_bytes().to_vec()
                };
                manifest.push(Tag::Env, name, value);
            } else if COMPILER_ENV_NAMES.contains(&name) {
                manifest.push(
                    Tag::CompilerEnv,
                    name,
                    secret(name.as_bytes(), value.as_bytes()),
                );
            }
        }
    }

    /// Adds each crate with what is behind it; the result stands for all of them.
    fn push_externs(&self, manifest: &mut Manifest) -> Digest {
        let mut all = Vec::with_capacity(self.externs.len());
        for (name, path, record) in &self.externs {
            let identity = DigestHasher::new()
                .field(record.digest.as_bytes())
                .field(record.closure.as_bytes())
                .finish();
            let file = path.file_name().unwrap_or_default();
            manifest.push_digest(Tag::Extern, file.as_bytes(), &identity);
            all.push((name.clone(), identity));
        }
        all.sort();
        let mut hasher = DigestHasher::new();
        for (name, identity) in all {
            hasher.field(name.as_bytes()).field(identity.as_bytes());
        }
        hasher.finish()
    }

    /// Adds every library behind a linked output. A crate was compiled against metadata; what is
    /// linked is the library beside it.
    fn push_linked_crates(&self, manifest: &mut Manifest) -> Result<(), UncacheableReason> {
        let mut crates = std::collections::BTreeMap::new();
        let mut pending: Vec<PathBuf> = self
            .externs
            .iter()
            .map(|(_, path, _)| path.clone())
            .collect();
        while let Some(path) = pending.pop() {
            let library = linked_file(&path);
            if crates.contains_key(&library) {
                continue;
            }
            let record = self
                .files
                .output(&library)
                .ok_or_else(|| foreign(&library))?;
            // What a procedural macro was linked from is in it already.
            if library.extension() != Some(OsStr::new("so")) {
                pending.extend(record.externs.iter().cloned());
            }
            crates.insert(library, record.digest);
        }
        for (path, digest) in crates {
            manifest.push_digest(
                Tag::LinkedCrate,
                path.file_name().unwrap_or_default().as_bytes(),
                &digest,
            );
        }
        Ok(())
    }

    fn push_files(&self, manifest: &mut Manifest) -> Result<(), UncacheableReason> {
        let mut push = |tag, path: &Path| {
            let path = self.roots.absolute(path);
            let digest = self
                .files
                .source(&path)
                .map_err(|error| unreadable(&path, &error))?;
            manifest.push_digest(tag, self.roots.canonical(&path), &digest);
            Ok(())
        };
        if let Some(target) = &self.invocation.target
            && target.ends_with(".json")
        {
            push(Tag::TargetSpec, Path::new(target))?;
        }
        if let Some(profile) = &self.invocation.profile_use {
            push(Tag::ProfileData, profile)?;
        }
        if self.invocation.native_cpu {
            manifest.push(Tag::HostCpu, "cpu", secret(b"cpu", &processor()));
        }
        if !self.remap {
            for (root, path) in self.roots.iter() {
                manifest.push(Tag::Directory, root.name(), path.as_os_str().as_bytes());
            }
        }
        Ok(())
    }

    /// Adds the values that the names of a path set have now. `None` where a file is gone: such a set
    /// cannot match.
    pub(crate) fn observe(&self, manifest: &Manifest, set: &PathSet) -> Option<Manifest> {
        self.observe_by(self.present(), manifest, set)
    }

    /// The same of what has just been compiled and was seen as a whole.
    pub(crate) fn observe_after(
        &self,
        whole: Option<&Observation>,
        manifest: &Manifest,
        set: &PathSet,
    ) -> Option<Manifest> {
        let was_missing =
            |path: &Path| whole.is_some_and(|seen| meanwhile::was_missing(seen, path));
        let present = Present {
            was_missing: Some(&was_missing),
            ..self.present()
        };
        self.observe_by(present, manifest, set)
    }

    fn observe_by(
        &self,
        present: Present<'_>,
        manifest: &Manifest,
        set: &PathSet,
    ) -> Option<Manifest> {
        present.fill_packages(set);
        let mut manifest = manifest.clone();
        for name in &set.names {
            self.push_name(present, &mut manifest, name)?;
        }
        Some(manifest)
    }

    pub(crate) fn present(&self) -> Present<'_> {
        Present {
            files: self.files,
            environment: self.context.environment,
            roots: &self.roots,
            shown: &self.roots,
            was_missing: None,
        }
    }

    fn push_name(&self, present: Present<'_>, manifest: &mut Manifest, name: &Name) -> Option<()> {
        let environment = self.context.environment;
        match name {
            Name::Source(path) => {
                let digest = self.files.source(&self.roots.resolve(path)?).ok()?;
                manifest.push_digest(Tag::Source, path, &digest);
            }
            Name::LinkerFile(path) => {
                let digest = self.files.tool(&self.roots.resolve(path)?).ok()?;
                manifest.push_digest(Tag::LinkerFile, path, &digest);
            }
            Name::Native(path) => {
                let digest = self.files.tool(&self.roots.resolve(path)?).ok()?;
                manifest.push_digest(Tag::Native, path, &digest);
            }
            Name::LinkerProgram(program) => {
                let path = environment.find_program(OsStr::from_bytes(program))?;
                let digest = self.files.tool(&path).ok()?;
                manifest.push_digest(Tag::LinkerProgram, program, &digest);
            }
            Name::Absent(path) => {
                let there = rekindle_fsx::exists(&self.roots.resolve(path)?);
                let value = if there { "there" } else { "not there" };
                manifest.push(Tag::Absent, path, value);
            }
            Name::Env(name) => match environment.get(name) {
                Some(value) => {
                    manifest.push(Tag::EnvDep, name, secret(name.as_bytes(), value.as_bytes()))
                }
                None => manifest.push(Tag::EnvDep, name, "not set"),
            },
            Name::EnvPath(name) => {
                let value = environment.get(name)?;
                let value = self.roots.canonical(Path::new(value));
                manifest.push(Tag::EnvDepPath, name, value);
            }
            Name::Directory(root) => {
                let real = self.roots.real(*root)?.as_os_str().as_bytes();
                manifest.push(Tag::Directory, root.name(), real);
            }
            Name::DiagnosticWidth => {
                let width = self.invocation.diagnostic_width.as_deref();
                manifest.push(Tag::DiagnosticWidth, "width", width.unwrap_or("none"));
            }
            observed => present.push(manifest, observed),
        }
        Some(())
    }

    /// `--remap-path-prefix`, to go before the user's own. Shorter prefixes come first, since the last
    /// one that matches wins. All scopes: metadata holds the real paths too as soon as one is left out.
    pub(crate) fn remap_arguments(&self) -> Vec<std::ffi::OsString> {
        if !self.remap {
            return Vec::new();
        }
        let mut arguments = Vec::new();
        let mut roots: Vec<_> = self.roots.iter().collect();
        roots.reverse();
        for (root, real) in roots {
            let Some(name) = mapped(root) else { continue };
            let mut argument = std::ffi::OsString::from("--remap-path-prefix=");
            argument.push(real);
            argument.push("=");
            argument.push(name);
            arguments.push(argument);
        }
        arguments
    }

    /// What stands for the real paths in what the compiler prints, so that people read real ones.
    pub(crate) fn shown_paths(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        if !self.remap {
            return Vec::new();
        }
        let shown =
            |(root, real)| Some((mapped(root)?.as_bytes().to_vec(), roots::json_escaped(real)));
        self.roots.iter().filter_map(shown).collect()
    }
}

fn roots_of(context: &Context<'_>, invocation: &Invocation, toolchain: &Toolchain) -> Roots {
    let environment = context.environment;
    let cwd = &environment.cwd;
    let out_dir = cwd.join(&invocation.out_dir);
    let target = outdir::target_root(&out_dir, invocation.target.as_deref());
    let mut roots = vec![
        (Root::Target, target),
        (Root::CargoHome, context.settings.cargo_home.clone()),
        (Root::Sysroot, toolchain.sysroot.clone()),
    ];
    if !cwd.starts_with(&context.settings.cargo_home) {
        roots.push((Root::Workspace, cwd.clone()));
    }
    if let Some(package) = environment.get("CARGO_MANIFEST_DIR").map(PathBuf::from)
        && !package.starts_with(cwd)
        && !package.starts_with(&context.settings.cargo_home)
    {
        roots.push((Root::Package, package));
    }
    Roots::new(cwd, roots)
}

/// A crate on the command line may be given as metadata; the linker reads the library beside it.
fn linked_file(path: &Path) -> PathBuf {
    if path.extension() == Some(OsStr::new("rmeta")) {
        let library = path.with_extension("rlib");
        if rekindle_fsx::exists(&library) {
            return library;
        }
        let shared = path.with_extension("so");
        if rekindle_fsx::exists(&shared) {
            return shared;
        }
    }
    path.to_owned()
}

pub(crate) fn foreign(path: &Path) -> UncacheableReason {
    UncacheableReason::ForeignExtern {
        file: path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
    }
}

pub(crate) fn unreadable(path: &Path, error: &std::io::Error) -> UncacheableReason {
    UncacheableReason::UnreadableInput {
        file: path.to_string_lossy().into_owned(),
        error: error.to_string(),
    }
}
