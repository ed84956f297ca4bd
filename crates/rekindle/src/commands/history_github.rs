//! `rekindle history import github`: what GitHub knows of jobs, from files or from GitHub itself.

use std::path::{Path, PathBuf};

use rekindle::{Resolved, Surroundings};
use rekindle_base::{Clock, Digest, SystemClock, env};
use rekindle_history::github::{self, Imported};
use rekindle_history::{History, day};
use rekindle_remote::Secret;
use rekindle_remote::github::actions::{self, Access, ActionsError, Answers, Known};
use rekindle_remote::runtime::Runtime;

use super::bar::{Bars, Work};
use super::print;
use crate::cli::HistoryGithub;
use crate::error::CommandError;

const DAY_MS: u64 = 86_400_000;

/// Takes in jobs for a project.
pub(super) fn import(
    args: &HistoryGithub,
    surroundings: &Surroundings,
    (resolved, project): (&Resolved, &str),
) -> Result<(), CommandError> {
    let store_dir = &resolved.settings.store_dir;
    match &args.repo {
        Some(repository) => {
            let bars = Bars::new(surroundings, resolved.quiet);
            let days = u64::from(args.days);
            ask(surroundings, (repository, days), (store_dir, project), bars)
        }
        None => files(&args.files, (store_dir, project)),
    }
}

fn files(paths: &[PathBuf], (store_dir, project): (&Path, &str)) -> Result<(), CommandError> {
    let mut files = Vec::new();
    for path in paths {
        let name = path.display().to_string();
        let read = rekindle_fsx::read_with_sig(path, github::FILE_MAX_BYTES);
        let bytes = match read {
            Ok(Some((bytes, _))) => bytes,
            Ok(None) => {
                let limit = github::FILE_MAX_BYTES >> 20;
                return Err(CommandError::user(format!(
                    "`{name}` is not there, or larger than {limit} MiB"
                )));
            }
            Err(error) => {
                return Err(CommandError::user(format!(
                    "`{name}` could not be read: {error}"
                )));
            }
        };
        files.push((name, bytes));
    }
    let named = files
        .iter()
        .map(|(name, bytes)| (name.as_str(), bytes.as_slice()));
    let imported = github::read(project, named)
        .map_err(|error| CommandError::new(error.kind(), error.to_string()))?;
    let (runs, found) = (imported.runs, imported.jobs.len());
    let mut said = record(store_dir, imported)?;
    if found == 0 && runs > 0 {
        said.push_str(
            "; runs say nothing of queues and steps: save `/repos/OWNER/REPO/actions/runs/ID/jobs` too",
        );
    }
    print(&format!("{said}\n"))
}

/// Keeps jobs; what there is to say of them.
fn record(store_dir: &Path, imported: Imported) -> Result<String, CommandError> {
    let found = imported.jobs.len();
    let mut history = History::open(store_dir)?;
    let (_, new) = history.record_all(Vec::new(), imported.jobs)?;
    let mut said = format!("{new} new jobs of {found}");
    if imported.left_out > 0 {
        said.push_str(&format!(
            "; {} were left out: skipped, or not ended",
            imported.left_out
        ));
    }
    Ok(said)
}

/// Asks GitHub for what is new.
fn ask(
    surroundings: &Surroundings,
    (repository, days): (&str, u64),
    (store_dir, project): (&Path, &str),
    bars: Bars,
) -> Result<(), CommandError> {
    let access = access(surroundings, repository);
    let clock = SystemClock::default();
    let since_ms = clock.now().0.saturating_sub(days * DAY_MS);
    let memo = memo(store_dir, project, &access);
    let known = rekindle_fsx::read_if_exists(&memo).ok().flatten();
    // A memo that cannot be read costs questions.
    let known = known.and_then(|bytes| serde_json::from_slice::<Known>(&bytes).ok());
    let mut known = known.unwrap_or_default();
    let runtime = Runtime::start()
        .map_err(|error| CommandError::environment(format!("no thread for requests: {error}")))?;
    let answers = bars.during(Work::FETCH, || {
        actions::read(&access, &mut known, since_ms, (&runtime.handle(), &clock))
    });
    let answers = answers.map_err(|error| refused(&error, access.token.is_some()))?;
    let Answers {
        documents,
        runs,
        stopped,
    } = answers;
    let documents = documents
        .iter()
        .map(|(name, bytes)| (name.as_str(), &bytes[..]));
    let imported = github::read(project, documents)
        .map_err(|error| CommandError::environment(error.to_string()))?;
    let said = record(store_dir, imported)?;
    // Only now: what is known is in the history.
    if let Ok(bytes) = serde_json::to_vec(&known) {
        // Where it cannot be written the next time asks for the same again.
        let _ = rekindle_fsx::atomic::write(&memo, &bytes);
    }
    print(&format!(
        "{said}, in {runs} runs of {repository} that were not known, since {}\n",
        day(since_ms)
    ))?;
    if let Some(why) = stopped {
        eprintln!(
            "rekindle: warning: there is more: {why}; the same command goes on from here later"
        );
    }
    Ok(())
}

fn access(surroundings: &Surroundings, repository: &str) -> Access {
    let text = |name| surroundings.non_empty(name)?.to_str();
    let token = text(env::GITHUB_TOKEN).or_else(|| text(env::GH_TOKEN));
    Access {
        api_url: text(env::GITHUB_API_URL).unwrap_or(actions::API).to_owned(),
        repository: repository.to_owned(),
        token: token.map(Secret::new),
    }
}

/// Which runs of a repository are known, as JSON: for each project and interface one file in the store's directory.
fn memo(store_dir: &Path, project: &str, access: &Access) -> PathBuf {
    let name = [project, &access.api_url, &access.repository].join("\0");
    let name = Digest::of(name.as_bytes()).short();
    store_dir.join(format!("history-github-{name}.json"))
}

fn refused(error: &ActionsError, has_token: bool) -> CommandError {
    let refused = match error {
        ActionsError::Unavailable(_) => CommandError::environment(error.to_string()),
        _ => CommandError::user(error.to_string()),
    };
    if has_token {
        refused
    } else {
        refused.hint("neither GITHUB_TOKEN nor GH_TOKEN is set")
    }
}
