//! `rekindle audit`: what wastes time in a project's workflows, and edits that mend it.
//!
//! This file finds and reads the files, shows findings and writes what is mended; all judgement is
//! `rekindle-workflow`'s.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use rekindle::Surroundings;
use rekindle::config::read_files;
use rekindle_fsx::{FileKind, list_dir};
use rekindle_workflow::fix::Settled;
use rekindle_workflow::minutes::Runs;
use rekindle_workflow::model::{Input, Project};
use rekindle_workflow::providers::Day;
use rekindle_workflow::{Finding, Options, Safety, audit, findings, fix, render};

use super::print;
use crate::cli::{AuditArgs, AuditFormat, Mend};
use crate::error::CommandError;

/// Exit code where something was found and is not mended.
pub(crate) const FOUND: u8 = 1;

pub(crate) fn run(args: &AuditArgs) -> Result<u8, CommandError> {
    let surroundings = Surroundings::of_process().map_err(|error| {
        CommandError::environment(format!("the working directory could not be read: {error}"))
    })?;
    let options = options(&surroundings)?;
    let site = Site::of(&surroundings.cwd, &args.paths)?;
    let (inputs, mut failed) = site.read()?;
    let wanted = |finding: &Finding| site.is_wanted(&finding.file);
    let (project, unreadable) = Project::read(inputs.clone());
    for error in unreadable
        .iter()
        .filter(|error| site.is_wanted(&error.path))
    {
        eprintln!("rekindle: {error}");
        failed += 1;
    }
    let mut found = audit(&project, &options);
    found.retain(wanted);
    if let Some(mend) = args.fix {
        let allowed = match mend {
            Mend::Safe => Safety::Safe,
            Mend::Unsafe => Safety::Unsafe,
        };
        let settled = fix::settle(inputs, &options, allowed, &wanted);
        site.write(&settled)?;
        found = settled.left;
    }
    if let Some(file) = &args.runs {
        runs(&surroundings.cwd.join(file))?.estimate(&project, &mut found);
    }
    print(&match args.format {
        AuditFormat::Text => render::text(&found),
        AuditFormat::Json => render::json(&found),
        AuditFormat::Sarif => render::sarif(&found, rekindle::VERSION),
        AuditFormat::Github => render::github(&found),
    })?;
    if failed > 0 {
        return Err(CommandError::user(format!(
            "{failed} files could not be read as what their names say"
        )));
    }
    if args.format == AuditFormat::Text {
        eprintln!("rekindle: {} findings", found.len());
    }
    Ok(if found.is_empty() { 0 } else { FOUND })
}

fn runs(file: &Path) -> Result<Runs, CommandError> {
    let text = rekindle_fsx::read_to_string(file).map_err(|error| {
        CommandError::user(format!("`{}` could not be read: {error}", file.display()))
    })?;
    Runs::parse(&text).map_err(|error| CommandError::user(format!("`{}`: {error}", file.display())))
}

fn options(surroundings: &Surroundings) -> Result<Options, CommandError> {
    let files = read_files(surroundings)?;
    let ignore = [files.project.audit_ignore, files.user.audit_ignore]
        .into_iter()
        .flatten()
        .flatten()
        .collect::<Vec<_>>();
    for name in &ignore {
        if !findings::ALL.iter().any(|rule| rule.id == name) {
            return Err(CommandError::user(format!(
                "`audit.ignore` names `{name}`, which is no rule"
            ))
            .hint("docs/audit has a page for each rule"));
        }
    }
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let days = now.map_or(0, |now| now.as_secs() / 86_400);
    Ok(Options {
        ignore,
        today: Day::from_days_since_epoch(days),
    })
}

/// A project and what of it was asked for.
struct Site {
    root: PathBuf,
    /// Findings elsewhere are left out; empty for all.
    wanted: Vec<PathBuf>,
}

impl Site {
    fn of(cwd: &Path, paths: &[PathBuf]) -> Result<Self, CommandError> {
        let paths: Vec<PathBuf> = paths.iter().map(|path| cwd.join(path)).collect();
        for path in &paths {
            if !rekindle_fsx::exists(path) {
                return Err(
                    CommandError::user(format!("`{}` does not exist", path.display()))
                        .hint("name a workflow or a project's directory"),
                );
            }
        }
        let start = match paths.first() {
            Some(path) if rekindle_fsx::list_names(path).is_ok() => path.as_path(),
            Some(path) => path.parent().unwrap_or(cwd),
            None => cwd,
        };
        let is_root = |dir: &&Path| {
            rekindle_fsx::exists(&dir.join(".github/workflows"))
                || rekindle_fsx::exists(&dir.join(".git"))
        };
        let root = start.ancestors().find(is_root).unwrap_or(start).to_owned();
        let wanted = paths.into_iter().filter(|path| *path != root).collect();
        Ok(Self { root, wanted })
    }

    /// Reads the files; how many could not be read is told as well.
    fn read(&self) -> Result<(Vec<Input>, usize), CommandError> {
        let mut files = BTreeSet::new();
        collect(&self.root, Path::new(""), 0, &mut files)?;
        for path in self.wanted.iter().filter(|path| path.extension().is_some()) {
            files.insert(path.strip_prefix(&self.root).unwrap_or(path).to_owned());
        }
        let mut inputs = Vec::new();
        let mut failed = 0;
        for path in files {
            match rekindle_fsx::read_to_string(&self.root.join(&path)) {
                Ok(text) => inputs.push(Input {
                    path: path.to_string_lossy().into_owned(),
                    text,
                }),
                Err(error) => {
                    eprintln!("rekindle: `{}` could not be read: {error}", path.display());
                    failed += 1;
                }
            }
        }
        Ok((inputs, failed))
    }

    fn is_wanted(&self, path: &str) -> bool {
        let path = self.root.join(path);
        self.wanted.is_empty() || self.wanted.iter().any(|wanted| path.starts_with(wanted))
    }

    /// Shows what changes, then writes it.
    fn write(&self, settled: &Settled) -> Result<(), CommandError> {
        for file in &settled.changed {
            eprint!("{}", file.diff());
        }
        for file in &settled.changed {
            let path = self.root.join(&file.path);
            write(&path, &file.after).map_err(|error| {
                CommandError::environment(format!(
                    "`{}` could not be written: {error}",
                    path.display()
                ))
            })?;
        }
        eprintln!(
            "rekindle: {} findings mended in {} files",
            settled.mended,
            settled.changed.len()
        );
        Ok(())
    }
}

/// Puts a file in the place of another, which keeps its mode.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let path = rekindle_fsx::canonicalize(path)?;
    let mode = rekindle_fsx::stat(&path)?.mode;
    rekindle_fsx::atomic::write(&path, text.as_bytes())?;
    rekindle_fsx::set_mode(&path, mode)
}

/// Directories that have no workflow or manifest of the project.
const SKIPPED: &[&str] = &["target", "node_modules", ".git", "vendor"];

/// Deeper than a project has manifests.
const DEPTH_LIMIT: usize = 6;

/// More than a project has.
const FILE_LIMIT: usize = 5_000;

/// The files that an audit looks at, by their path from the root.
fn collect(
    root: &Path,
    below: &Path,
    depth: usize,
    files: &mut BTreeSet<PathBuf>,
) -> Result<(), CommandError> {
    let dir = root.join(below);
    let entries = list_dir(&dir).map_err(|error| {
        CommandError::environment(format!("`{}` could not be listed: {error}", dir.display()))
    })?;
    for entry in entries {
        let name = entry.name.to_string_lossy().into_owned();
        let path = below.join(&entry.name);
        match entry.sig.kind() {
            FileKind::Dir if depth < DEPTH_LIMIT && files.len() < FILE_LIMIT => {
                let hidden =
                    name.starts_with('.') && !matches!(name.as_str(), ".github" | ".cargo");
                if !hidden && !SKIPPED.contains(&name.as_str()) {
                    // What cannot be listed, deeper down, is nobody's workflow.
                    let _ = collect(root, &path, depth + 1, files);
                }
            }
            FileKind::File if is_input(&name, below) => {
                files.insert(path);
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_input(name: &str, dir: &Path) -> bool {
    let yaml = name.ends_with(".yml") || name.ends_with(".yaml");
    match name {
        "Cargo.toml" | "action.yml" | "action.yaml" => true,
        "Cargo.lock" | "Cross.toml" | "rust-toolchain" | "rust-toolchain.toml" => {
            dir.as_os_str().is_empty()
        }
        "config.toml" | "config" => dir == Path::new(".cargo"),
        _ => yaml && dir == Path::new(".github/workflows"),
    }
}
