//! What CI services say of a checkout that git does not: in a clone of one commit there are no branches.

use std::path::Path;

use super::graph::object_name;
use crate::Surroundings;

/// What a CI service says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ci {
    /// The branch, or `12/merge` for a pull request's merge; only where what is checked out is what
    /// the run is about.
    pub(super) branch: Option<String>,
    /// The branch that a pull request goes to.
    pub(super) target: Option<String>,
    /// The repository's default branch.
    pub(super) default_branch: Option<String>,
    /// Whether what is checked out is the merge of a pull request with its target.
    pub(super) is_merge: bool,
    /// What the branch was before this push.
    pub(super) before: Option<String>,
}

/// A variable whose text can be a branch's name.
fn name(surroundings: &Surroundings, variable: &str) -> Option<String> {
    Some(surroundings.non_empty(variable)?.to_str()?.to_owned())
}

impl Ci {
    pub(super) fn read(surroundings: &Surroundings, head: &str) -> Self {
        if surroundings.non_empty("GITHUB_ACTIONS").is_some() {
            Self::github(surroundings, head)
        } else if surroundings.non_empty("GITLAB_CI").is_some() {
            Self::gitlab(surroundings, head)
        } else {
            Self::default()
        }
    }

    /// <https://docs.github.com/en/actions/reference/workflows-and-actions/variables>
    fn github(surroundings: &Surroundings, head: &str) -> Self {
        let event = event(surroundings).unwrap_or_default();
        let text = |pointer: &str| event.pointer(pointer)?.as_str().map(str::to_owned);
        let before = text("/before");
        let is_this = name(surroundings, "GITHUB_SHA").as_deref() == Some(head);
        let is_branch = name(surroundings, "GITHUB_REF_TYPE").is_none_or(|kind| kind == "branch");
        let is_pull_request =
            name(surroundings, "GITHUB_EVENT_NAME").is_some_and(|event| event == "pull_request");
        Self {
            branch: name(surroundings, "GITHUB_REF_NAME").filter(|_| is_this && is_branch),
            target: name(surroundings, "GITHUB_BASE_REF"),
            default_branch: text("/repository/default_branch"),
            is_merge: is_this && is_pull_request,
            before: before.filter(|before| object_name(before.as_bytes()).is_some()),
        }
    }

    /// <https://docs.gitlab.com/ci/variables/predefined_variables/>
    fn gitlab(surroundings: &Surroundings, head: &str) -> Self {
        let is_this = name(surroundings, "CI_COMMIT_SHA").as_deref() == Some(head);
        let before = name(surroundings, "CI_COMMIT_BEFORE_SHA");
        Self {
            branch: name(surroundings, "CI_COMMIT_BRANCH").filter(|_| is_this),
            target: name(surroundings, "CI_MERGE_REQUEST_TARGET_BRANCH_NAME"),
            default_branch: name(surroundings, "CI_DEFAULT_BRANCH"),
            is_merge: false,
            before: before.filter(|before| object_name(before.as_bytes()).is_some()),
        }
    }
}

/// An event is a few ten thousand bytes.
const EVENT_MAX_BYTES: u64 = 8 << 20;

/// What GitHub says of the event that a job runs for.
pub(crate) fn event(surroundings: &Surroundings) -> Option<serde_json::Value> {
    json(&surroundings.path("GITHUB_EVENT_PATH")?)
}

fn json(file: &Path) -> Option<serde_json::Value> {
    let (bytes, _) = rekindle_fsx::read_with_sig(file, EVENT_MAX_BYTES).ok()??;
    serde_json::from_slice(&bytes).ok()
}
