//! `rekindle snapshot`: looking at snapshots, and doing by hand what a run of cargo does by itself.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;

use rekindle::cargo_config::CargoConfig;
use rekindle::layout::{self, Asked, Layout};
use rekindle::remote::RemoteSettings;
use rekindle::selection::{self, Call, Selection};
use rekindle::{Resolved, Surroundings, WRAPPER, git, given, resolve_settings, sibling};
use rekindle_base::{ByteSize, Clock, Digest, SystemClock};
use rekindle_outputs::environment::Environment;
use rekindle_snapshot::base::{self, Made};
use rekindle_snapshot::inputs::Where;
use rekindle_snapshot::model::{Body, Content, File, Place, Tree, Unit};
use rekindle_snapshot::{capture, restore, trees};
use rekindle_store::LocalStore;
use serde::Serialize;

use super::bar::{Bars, Work};
use super::{print, print_json, remote};
use crate::cli::{Format, Site, SnapshotArgs, SnapshotCommand};
use crate::error::CommandError;

/// Version of the JSON forms of these commands.
const VERSION: u32 = 1;

pub(crate) fn run(args: &SnapshotArgs) -> Result<(), CommandError> {
    match &args.command {
        SnapshotCommand::List(args) => list(&Project::find(&args.site)?, args.format),
        SnapshotCommand::Show(args) => show(
            &Project::find(&args.site)?,
            args.tree.as_deref(),
            args.format,
        ),
        SnapshotCommand::Diff(args) => {
            let project = Project::find(&args.site)?;
            diff(&project, (&args.from, &args.to), args.format)
        }
        SnapshotCommand::Capture(args) => take(&Project::find(&args.site)?, args.format),
        SnapshotCommand::Restore(args) => put(
            &Project::find(&args.site)?,
            args.tree.as_deref(),
            args.format,
        ),
    }
}

/// A project, its store, and where it is built.
pub(super) struct Project {
    pub(super) resolved: Resolved,
    pub(super) store: LocalStore,
    pub(super) layout: Layout,
    pub(super) selection: Selection,
    environment: Environment,
    surroundings: Surroundings,
    clean: bool,
}

impl Project {
    pub(super) fn find(site: &Site) -> Result<Self, CommandError> {
        let resolved = resolve_settings()?;
        let surroundings = Surroundings::of_process()
            .map_err(|error| CommandError::environment(format!("no working directory: {error}")))?;
        let cwd = surroundings.cwd.clone();
        let config = CargoConfig::read(&surroundings, &cwd, &[]);
        let asked = Asked {
            manifest_path: site.manifest_path.as_deref(),
            target_dir: site.target_dir.as_deref(),
        };
        let layout = layout::find(&surroundings, &config, &cwd, asked)
            .map_err(|error| CommandError::user(error).hint("run it in a Rust project"))?;
        let profile = if site.release {
            Some("release")
        } else {
            site.profile.as_deref()
        };
        let call = Call {
            toolchain: None,
            command: Some("build"),
            targets: &site.target,
            profile,
        };
        let selection = selection::gather(&surroundings, &config, &layout, call);
        let git = selection.wanted.git.as_ref();
        let cargo_home = resolved.settings.cargo_home.as_path();
        let places = (layout.workspace_root.as_path(), cargo_home);
        Ok(Self {
            environment: given::environment(&surroundings, &config, places),
            store: LocalStore::open(&resolved.settings.store_dir),
            clean: git.is_some_and(|git| git::is_clean(&surroundings, git)),
            resolved,
            surroundings,
            layout,
            selection,
        })
    }

    /// How far a command of this project is, shown where nothing reads what it prints.
    pub(super) fn bars(&self, format: Format) -> Bars {
        let quiet = self.resolved.quiet || format == Format::Json;
        Bars::new(&self.surroundings, quiet)
    }

    /// The remote that is configured.
    pub(super) fn remote(&self) -> Option<&RemoteSettings> {
        self.resolved.remote.as_ref()
    }

    /// Has this process read from a remote what the store lacks. An error says why it cannot.
    pub(super) fn reach(&self, settings: &RemoteSettings) -> Result<(), String> {
        let settings = (settings, &self.surroundings);
        remote::reach(settings, &self.store, &self.selection.wanted)
    }

    fn here(&self) -> Where {
        Where {
            workspace: self.layout.workspace_root.clone(),
            build_dir: self.layout.build_dir.clone(),
            cargo_home: self.resolved.settings.cargo_home.clone(),
            sysroot: self.selection.sysroot.clone(),
        }
    }

    /// The trees that are meant: one by the beginning of its name, else those that a build would begin
    /// with.
    fn trees(&self, wanted: Option<&str>) -> Result<(String, Vec<(String, Digest)>), CommandError> {
        let Some(wanted) = wanted else {
            let chosen = base::choose(&self.store, &self.selection.wanted)
                .map_err(|none| CommandError::user(none).hint("run `rekindle build` first"))?;
            return Ok((chosen.why.to_string(), chosen.pointer.trees));
        };
        let known = base::known(&self.store, &self.selection.wanted);
        let found: Vec<_> = known
            .into_iter()
            .filter(|(_, digest)| digest.to_hex().starts_with(wanted))
            .collect();
        match found.as_slice() {
            [one] => Ok((format!("tree {}", short(&one.1)), vec![one.clone()])),
            [] => Err(CommandError::user(format!("there is no tree `{wanted}`"))
                .hint("`rekindle snapshot list` names them")),
            _ => Err(CommandError::user(format!(
                "`{wanted}` is the beginning of {} trees",
                found.len()
            ))
            .hint("give more digits")),
        }
    }

    fn tree(&self, digest: &Digest) -> Result<Tree, CommandError> {
        trees::get(&self.store, digest).ok_or_else(|| {
            CommandError::environment(format!(
                "tree {} is not in the store any more, or was damaged",
                short(digest)
            ))
            .hint("`rekindle cache verify` finds damage")
        })
    }
}

fn short(digest: &Digest) -> String {
    digest.to_hex()[..12].to_owned()
}

/// What a tree holds.
#[derive(Serialize)]
struct TreeJson {
    tree: String,
    profile: String,
    revision: String,
    generation: u32,
    units: usize,
    files: usize,
    bytes: u64,
    incremental_bytes: u64,
}

impl TreeJson {
    fn of(profile: &str, digest: &Digest, tree: &Tree) -> Self {
        Self {
            tree: digest.to_hex(),
            profile: profile.to_owned(),
            revision: tree.revision.clone(),
            generation: tree.generation,
            units: tree.units.len(),
            files: tree.units.iter().map(|unit| unit.files.len()).sum(),
            bytes: tree.units.iter().map(|unit| bytes(&unit.files)).sum(),
            incremental_bytes: tree
                .incremental
                .iter()
                .map(|state| bytes(&state.files))
                .sum(),
        }
    }

    fn text(&self) -> String {
        let revision = self.revision.get(..9).unwrap_or("no commit");
        format!(
            "{}  {revision:<9}  {:<24} {:>5} units {:>6} files {:>10} {:>10} incremental\n",
            &self.tree[..12],
            self.profile,
            self.units,
            self.files,
            ByteSize(self.bytes).to_string(),
            ByteSize(self.incremental_bytes).to_string(),
        )
    }
}

fn bytes(files: &[File]) -> u64 {
    let size = |file: &File| match &file.body {
        Body::Object(object) => object.size,
        Body::Inline(bytes) | Body::Mapped(bytes) => bytes.len() as u64,
        _ => 0,
    };
    files.iter().map(size).sum()
}

#[derive(Serialize)]
struct ListJson {
    version: u32,
    trees: Vec<TreeJson>,
}

fn list(project: &Project, format: Format) -> Result<(), CommandError> {
    let known = base::known(&project.store, &project.selection.wanted);
    let trees: Vec<TreeJson> = known
        .iter()
        .filter_map(|(profile, digest)| {
            let tree = trees::get(&project.store, digest)?;
            Some(TreeJson::of(profile, digest, &tree))
        })
        .collect();
    match format {
        Format::Json => print_json(&ListJson {
            version: VERSION,
            trees,
        }),
        Format::Text if trees.is_empty() => {
            print("no snapshot of this project with this toolchain and these flags\n")
        }
        Format::Text => print(&trees.iter().map(TreeJson::text).collect::<String>()),
    }
}

#[derive(Serialize)]
struct ShowJson {
    version: u32,
    base: String,
    trees: Vec<ShownTree>,
}

#[derive(Serialize)]
struct ShownTree {
    #[serde(flatten)]
    tree: TreeJson,
    unit_list: Vec<UnitJson>,
}

#[derive(Serialize)]
struct UnitJson {
    package: String,
    id: String,
    used_generation: u32,
    files: usize,
    bytes: u64,
    path_bound: bool,
    inputs: Vec<String>,
}

fn show(project: &Project, wanted: Option<&str>, format: Format) -> Result<(), CommandError> {
    let (base, named) = project.trees(wanted)?;
    let mut shown = Vec::new();
    for (profile, digest) in &named {
        let tree = project.tree(digest)?;
        let mut unit_list: Vec<UnitJson> = tree
            .units
            .iter()
            .map(|unit| UnitJson {
                package: unit.package.clone(),
                id: unit.id.clone(),
                used_generation: unit.used,
                files: unit.files.len(),
                bytes: bytes(&unit.files),
                path_bound: unit.path_bound,
                inputs: inputs(&tree, unit).into_keys().collect(),
            })
            .collect();
        unit_list.sort_by_key(|unit| std::cmp::Reverse(unit.bytes));
        shown.push(ShownTree {
            tree: TreeJson::of(profile, digest, &tree),
            unit_list,
        });
    }
    if format == Format::Json {
        return print_json(&ShowJson {
            version: VERSION,
            base,
            trees: shown,
        });
    }
    let mut text = format!("{base}\n");
    for tree in &shown {
        text.push_str(&tree.tree.text());
        for unit in &tree.unit_list {
            let bound = if unit.path_bound {
                "  this directory only"
            } else {
                ""
            };
            text.push_str(&format!(
                "  {:>10}  {} {}{bound}\n",
                ByteSize(unit.bytes).to_string(),
                unit.package,
                unit.id
            ));
        }
    }
    print(&text)
}

/// The inputs of a unit by name.
fn inputs<'a>(tree: &'a Tree, unit: &Unit) -> BTreeMap<String, &'a Content> {
    let named = unit.inputs.iter().map(|index| {
        let input = &tree.inputs[*index as usize];
        let name = match &input.place {
            Place::Workspace(path) | Place::Absolute(path) => String::from_utf8_lossy(path).into(),
            Place::Seen(tag, name) => {
                format!("{}, {tag:?}, undeclared", String::from_utf8_lossy(name))
            }
        };
        (name, &input.content)
    });
    named.collect()
}

#[derive(Serialize)]
struct DiffJson {
    version: u32,
    added: Vec<String>,
    removed: Vec<String>,
    changed: Vec<ChangedJson>,
}

#[derive(Serialize)]
struct ChangedJson {
    unit: String,
    inputs: Vec<String>,
}

fn diff(project: &Project, names: (&str, &str), format: Format) -> Result<(), CommandError> {
    let read = |name: &str| -> Result<Tree, CommandError> {
        let (_, found) = project.trees(Some(name))?;
        project.tree(&found[0].1)
    };
    let (from, to) = (read(names.0)?, read(names.1)?);
    let by_id = |tree: &Tree| -> BTreeMap<String, usize> {
        let units = tree.units.iter().enumerate();
        units
            .map(|(index, unit)| (unit.id.clone(), index))
            .collect()
    };
    let (before, after) = (by_id(&from), by_id(&to));
    let name = |unit: &Unit| format!("{} {}", unit.package, unit.id);
    let mut found = DiffJson {
        version: VERSION,
        added: Vec::new(),
        removed: Vec::new(),
        changed: Vec::new(),
    };
    for (id, index) in &after {
        let unit = &to.units[*index];
        let Some(old) = before.get(id).map(|index| &from.units[*index]) else {
            found.added.push(name(unit));
            continue;
        };
        if old.build != unit.build || old.deps != unit.deps {
            let (old, new) = (inputs(&from, old), inputs(&to, unit));
            let names: HashSet<&String> = old.keys().chain(new.keys()).collect();
            let differs = |name: &&&String| old.get(**name) != new.get(**name);
            let mut changed: Vec<String> =
                names.iter().filter(differs).map(|n| (*n).clone()).collect();
            changed.sort_unstable();
            found.changed.push(ChangedJson {
                unit: name(unit),
                inputs: changed,
            });
        }
    }
    let removed = before.iter().filter(|(id, _)| !after.contains_key(*id));
    found.removed = removed
        .map(|(_, index)| name(&from.units[*index]))
        .collect();
    if format == Format::Json {
        return print_json(&found);
    }
    let mut text = String::new();
    for (sign, units) in [("+", &found.added), ("-", &found.removed)] {
        text.extend(units.iter().map(|unit| format!("{sign} {unit}\n")));
    }
    for changed in &found.changed {
        let why = match changed.inputs.as_slice() {
            [] => "built with another build of a dependency".to_owned(),
            inputs => inputs.join(", "),
        };
        text.push_str(&format!("~ {}: {why}\n", changed.unit));
    }
    print(&text)
}

#[derive(Serialize)]
struct CaptureJson {
    version: u32,
    trees: Vec<String>,
    units_captured: u32,
    units_kept: u32,
    stored_bytes: u64,
    left_out: Vec<LeftJson>,
}

#[derive(Serialize)]
struct LeftJson {
    package: String,
    id: String,
    reason: String,
}

/// Captures everything that is there, also what other tools built: who asks for it vouches for it.
fn take(project: &Project, format: Format) -> Result<(), CommandError> {
    let wanted = &project.selection.wanted;
    let request = capture::Request {
        here: &project.here(),
        revision: wanted.git.as_ref().map(|git| git.head.as_str()),
        began_ns: 0,
        saw: &capture::Saw::default(),
        launcher: &launcher()?,
        incremental: true,
        environment: &project.environment,
        trees: &HashMap::new(),
    };
    let bar = project.bars(format).begin(Work::CAPTURE);
    let captured = capture::capture(&project.store, &request).map_err(failed("captured"))?;
    drop(bar);
    let made = Made {
        trees: captured.trees.clone(),
        clean: project.clean,
        at: SystemClock::default().now(),
    };
    base::publish(&project.store, wanted, &made)
        .map_err(|error| failed("stored")(std::io::Error::other(error.to_string())))?;
    let left_out = captured.left_out.into_iter();
    let json = CaptureJson {
        version: VERSION,
        trees: captured
            .trees
            .iter()
            .map(|(_, digest)| digest.to_hex())
            .collect(),
        units_captured: captured.units_new,
        units_kept: captured.units_kept,
        stored_bytes: captured.stored_bytes,
        left_out: left_out
            .map(|(package, id, reason)| LeftJson {
                package,
                id,
                reason: reason.to_string(),
            })
            .collect(),
    };
    if format == Format::Json {
        return print_json(&json);
    }
    let mut text = format!(
        "captured {} units, kept {}, stored {}\n",
        json.units_captured,
        json.units_kept,
        ByteSize(json.stored_bytes)
    );
    for left in &json.left_out {
        text.push_str(&format!(
            "left out {} {}: {}\n",
            left.package, left.id, left.reason
        ));
    }
    print(&text)
}

#[derive(Serialize)]
struct RestoreJson {
    version: u32,
    base: String,
    profiles: Vec<String>,
    skipped: BTreeMap<String, String>,
    units: u32,
    files: u64,
    placed_bytes: u64,
    waiting_bytes: u64,
    invalid: Vec<LeftJson>,
}

fn put(project: &Project, wanted: Option<&str>, format: Format) -> Result<(), CommandError> {
    let (base, named) = project.trees(wanted)?;
    let request = restore::Request {
        here: &project.here(),
        trees: &named,
        launcher: &launcher()?,
        environment: &project.environment,
        early: false,
        same: false,
        only: None,
    };
    let bar = project.bars(format).begin(Work::RESTORE);
    let restored = restore::restore(&project.store, &request).map_err(failed("restored"))?;
    drop(bar);
    let invalid = restored.invalid.into_iter();
    let skipped = restored.skipped.into_iter();
    let json = RestoreJson {
        version: VERSION,
        base,
        profiles: restored.profiles,
        skipped: skipped.map(|(name, why)| (name, why.to_string())).collect(),
        units: restored.units,
        files: restored.files,
        placed_bytes: restored.placed_bytes,
        waiting_bytes: restored.waiting_bytes,
        invalid: invalid
            .map(|(package, id, reason)| LeftJson {
                package,
                id,
                reason: reason.to_string(),
            })
            .collect(),
    };
    if format == Format::Json {
        return print_json(&json);
    }
    let mut text = format!(
        "restored {} units from {}: {} files, {} placed, {} when they are read\n",
        json.units,
        json.base,
        json.files,
        ByteSize(json.placed_bytes),
        ByteSize(json.waiting_bytes)
    );
    for (profile, reason) in &json.skipped {
        text.push_str(&format!("not restored: {profile}: {reason}\n"));
    }
    for left in &json.invalid {
        text.push_str(&format!(
            "not restored: {} {}: {}\n",
            left.package, left.id, left.reason
        ));
    }
    print(&text)
}

fn launcher() -> Result<PathBuf, CommandError> {
    sibling(WRAPPER).map_err(|error| {
        CommandError::environment(format!(
            "the wrapper beside `rekindle` cannot be used: {error}"
        ))
    })
}

fn failed(what: &'static str) -> impl Fn(std::io::Error) -> CommandError {
    move |error| CommandError::environment(format!("the target could not be {what}: {error}"))
}
