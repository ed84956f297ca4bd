//! `rekindle switch`: jobs go to other runners, and back.
//!
//! The diff is printed first, on standard output; then files are written. What was changed is recorded in
//! `rekindle/switch.json` of the repository's own directory: a list of records, the last one the one that `--undo`
//! takes back. It is written before the files are, so that nothing is changed that cannot be taken back.

use std::path::{Path, PathBuf};

use rekindle::Surroundings;
use rekindle_fsx as fsx;
use rekindle_workflow::diff::unified;
use rekindle_workflow::providers::Arch;
use rekindle_workflow::switch::undo::{Record, UndoError};
use rekindle_workflow::switch::{File, Plan, Request, SwitchError, living_providers, plan};

use super::checkout::{Checkout, WORKFLOWS, today};
use super::print;
use crate::cli::{SwitchArch, SwitchArgs};
use crate::error::CommandError;

pub(crate) fn run(args: &SwitchArgs) -> Result<(), CommandError> {
    let surroundings = Surroundings::of_process()
        .map_err(|error| CommandError::environment(format!("no working directory: {error}")))?;
    let checkout = Checkout::around(&surroundings.cwd);
    match &args.to {
        Some(to) => switch(&checkout, args, to),
        None => undo(&checkout, args.dry_run),
    }
}

fn switch(checkout: &Checkout, args: &SwitchArgs, to: &str) -> Result<(), CommandError> {
    let files = checkout.workflows()?;
    if files.is_empty() {
        let dir = checkout.root.join(WORKFLOWS);
        return Err(
            CommandError::user(format!("there is no workflow in `{}`", dir.display()))
                .hint("`rekindle init` writes them"),
        );
    }
    let files: Vec<File<'_>> = files
        .iter()
        .map(|(path, text)| File { path, text })
        .collect();
    let allow_forks = args
        .allow_forks
        .as_deref()
        .map(str::trim)
        .filter(|reason| !reason.is_empty());
    let request = Request {
        to,
        size: args.size,
        arch: args.arch.map(|arch| match arch {
            SwitchArch::X64 => Arch::X64,
            SwitchArch::Arm64 => Arch::Arm64,
        }),
        job: args.job.as_deref(),
        allow_forks,
        today: today(),
    };
    let plan = plan(&files, &request).map_err(refused)?;
    for file in &plan.files {
        print(&unified(&file.path, Some(&file.before), &file.after))?;
    }
    say(&plan, to);
    if plan.files.is_empty() || args.dry_run {
        return Ok(());
    }
    let texts: Vec<(&str, &str, &str)> = plan
        .files
        .iter()
        .map(|file| (&*file.path, &*file.before, &*file.after))
        .collect();
    let record = Record::of(to, allow_forks, &texts);
    match records_file(checkout) {
        Some(path) => {
            let mut records = read_records(&path)?;
            records.push(record);
            write_records(&path, &records)?;
        }
        None => eprintln!(
            "rekindle: this is no git repository, so `--undo` will not know of the switch"
        ),
    }
    for file in &plan.files {
        checkout.write(&file.path, &file.after)?;
    }
    Ok(())
}

fn say(plan: &Plan, to: &str) {
    for warning in &plan.warnings {
        eprintln!(
            "warning: {}:{}: {}",
            warning.path, warning.line, warning.message
        );
    }
    if plan.files.is_empty() {
        eprintln!("rekindle: no job is to be switched to `{to}`");
        return;
    }
    let places = plan.changes.len();
    let files = plan.files.len();
    eprintln!("rekindle: {places} place(s) in {files} file(s)");
    if let Some(setup) = plan.setup {
        eprintln!("rekindle: {setup}");
    }
}

fn refused(error: SwitchError) -> CommandError {
    let shown = CommandError::user(&error);
    match error {
        SwitchError::Dead { nearest: Some(nearest), .. } => {
            shown.hint(format!("the nearest that lives is `{nearest}`: `rekindle switch --to {nearest}`"))
        }
        SwitchError::Dead { .. } | SwitchError::NoLabel(_) => {
            shown.hint(format!("`--to` knows {}", living_providers(&today()).join(", ")))
        }
        SwitchError::Forks { .. } => shown
            .hint("a pull request may change the workflow that it starts, so an `if:` is no guard")
            .hint("if the repository is private, or its runners are thrown away after each job, say so: `--allow-forks REASON`"),
        SwitchError::Syntax { .. } | SwitchError::Size(_) | SwitchError::NoJob { .. } => shown,
    }
}

fn undo(checkout: &Checkout, is_dry: bool) -> Result<(), CommandError> {
    let nothing = || CommandError::user("no switch is recorded here").hint("take it back with git");
    let path = records_file(checkout).ok_or_else(nothing)?;
    let mut records = read_records(&path)?;
    let record = records.pop().ok_or_else(nothing)?;
    let mut now = Vec::new();
    for file in &record.files {
        now.push((file.path.clone(), checkout.read(&file.path)?));
    }
    let read = |path: &str| {
        let found = now.iter().find(|(known, _)| known == path);
        found.and_then(|(_, text)| text.clone())
    };
    let undone = record.undo(read).map_err(|error| {
        let shown = CommandError::user(&error);
        match error {
            UndoError::Version(_) => shown.hint("use the rekindle that switched"),
            _ => shown.hint(
                "nothing was taken back; `rekindle switch --to …` goes on from what is there",
            ),
        }
    })?;
    for (path, text) in &undone {
        print(&unified(path, read(path).as_deref(), text))?;
    }
    if is_dry {
        return Ok(());
    }
    for (path, text) in &undone {
        checkout.write(path, text)?;
    }
    write_records(&path, &records)?;
    eprintln!("rekindle: the switch to `{}` is taken back", record.to);
    Ok(())
}

fn records_file(checkout: &Checkout) -> Option<PathBuf> {
    Some(checkout.git_dir.as_ref()?.join("rekindle/switch.json"))
}

fn read_records(path: &Path) -> Result<Vec<Record>, CommandError> {
    let bytes = fsx::read_if_exists(path).map_err(|error| {
        CommandError::environment(format!("`{}` cannot be read: {error}", path.display()))
    })?;
    let Some(bytes) = bytes else {
        return Ok(Vec::new());
    };
    serde_json::from_slice(&bytes).map_err(|error| {
        CommandError::environment(format!(
            "`{}` is no list of switches: {error}",
            path.display()
        ))
        .hint("remove it; earlier switches can then be taken back with git alone")
    })
}

fn write_records(path: &Path, records: &[Record]) -> Result<(), CommandError> {
    let text = serde_json::to_string(records).map_err(CommandError::bug)?;
    let made = path.parent().map_or(Ok(()), fsx::create_dir_all);
    made.and_then(|()| fsx::atomic::write(path, text.as_bytes()))
        .map_err(|error| {
            CommandError::environment(format!("`{}` cannot be written: {error}", path.display()))
        })
}
