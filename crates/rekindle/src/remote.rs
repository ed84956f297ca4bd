//! Where saves are shared with other machines, and what this run may do there.
//!
//! Who may write is decided here. A pull request's job runs what its author wrote, so it reads and does not write, whoever
//! the author is, unless the user says otherwise; from a fork, and in `pull_request_target`, which hands
//! such a job the repository's secrets, it never writes, whatever anybody says.

use std::fmt;
use std::time::Duration;

use rekindle_base::env;

use crate::Surroundings;
use crate::config::{ConfigError, Files};
use crate::git::ci_event;
use crate::settings::{bad, text};

/// What is done with a remote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemoteMode {
    /// It is read.
    ReadOnly,
    /// It is read, and saved to.
    ReadWrite,
    /// Nothing.
    Off,
}

impl RemoteMode {
    /// As people write it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "read-only" => Some(Self::ReadOnly),
            "read-write" => Some(Self::ReadWrite),
            "off" => Some(Self::Off),
            _ => None,
        }
    }
}

/// A key as people set it, never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct KeyText(pub String);

impl fmt::Debug for KeyText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyText")
    }
}

/// A remote, and what this run may do there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteSettings {
    /// Its address, or several, see [`addresses`]; `None` where sccache's variables say it.
    pub url: Option<String>,
    /// Whether this run saves to it.
    pub writes: bool,
    /// What saves are signed with.
    pub key: Option<KeyText>,
    /// The longest that one request takes, besides what its bytes need.
    pub deadline: Duration,
    /// The longest that a run spends on requests that come to nothing.
    pub patience: Duration,
    /// The longest that a run's end waits for what goes there.
    pub linger: Duration,
}

/// The addresses in a list of them, the nearest remote's first: what white space or a comma separates, where
/// the next one begins as addresses do, so that either may be in one.
#[must_use]
pub fn addresses(text: &str) -> Vec<&str> {
    let is_gap = |letter: char| letter == ',' || letter.is_whitespace();
    let begins = |rest: &str| {
        rest.split_once("://").is_some_and(|(scheme, _)| {
            let is_of_one = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
            !scheme.is_empty() && scheme.bytes().all(is_of_one)
        })
    };
    let mut addresses = Vec::new();
    let (mut rest, mut from) = (text.trim_matches(is_gap), 0);
    while let Some(gap) = rest.get(from..).and_then(|tail| tail.find(is_gap)) {
        let (address, tail) = rest.split_at(from + gap);
        let next = tail.trim_start_matches(is_gap);
        if begins(next) {
            addresses.push(address);
            (rest, from) = (next, 0);
        } else {
            from = rest.len() - next.len();
        }
    }
    addresses.push(rest);
    addresses.retain(|address| !address.is_empty());
    addresses
}

/// Defaults: what a person would wait for.
const DEADLINE: Duration = Duration::from_secs(10);
const PATIENCE: Duration = Duration::from_secs(20);
const LINGER: Duration = Duration::from_secs(60);

impl RemoteSettings {
    /// How long a wrapper waits for an answer of the command's, in milliseconds: longer than the command itself waits.
    #[must_use]
    pub fn wait_ms(&self) -> u64 {
        /// What the bytes of the largest object need on a slow link.
        const BYTES: Duration = Duration::from_secs(60);
        let count = self.url.as_deref().map_or(1, |url| addresses(url).len());
        let of_one = self.deadline + self.patience;
        let wait = of_one * u32::try_from(count.max(1)).unwrap_or(1) + BYTES;
        u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)
    }
}

/// A remote without an address, which may be written to: for commands that are given addresses.
#[must_use]
pub fn defaults() -> RemoteSettings {
    RemoteSettings {
        url: None,
        writes: true,
        key: None,
        deadline: DEADLINE,
        patience: PATIENCE,
        linger: LINGER,
    }
}

/// The variables that name a remote of sccache's; what they say is read where it is opened.
const SCCACHE: [&str; 7] = [
    env::SCCACHE_BUCKET,
    env::SCCACHE_REDIS_ENDPOINT,
    env::SCCACHE_REDIS,
    env::SCCACHE_GCS_BUCKET,
    env::SCCACHE_GHA_ENABLED,
    env::SCCACHE_AZURE_BLOB_CONTAINER,
    env::SCCACHE_WEBDAV_ENDPOINT,
];

/// What environment and files say of a remote; `None` where there is none, or it is off.
pub(crate) fn resolve(
    surroundings: &Surroundings,
    files: &Files,
) -> Result<Option<RemoteSettings>, ConfigError> {
    let url = text(surroundings, env::REKINDLE_REMOTE)?.map(str::to_owned);
    let url = url.or_else(|| files.user.remote.clone());
    let is_set = |name: &&str| {
        let value = surroundings.non_empty(name);
        value.is_some_and(|value| !["false", "off", "0"].iter().any(|no| value == *no))
    };
    let by_sccache = || SCCACHE.iter().any(is_set);
    if url.is_none() && !by_sccache() {
        return Ok(None);
    }
    let mode = match text(surroundings, env::REKINDLE_REMOTE_MODE)? {
        None => files.user.remote_mode,
        Some(text) => Some(RemoteMode::parse(text).ok_or_else(|| {
            let reason = "write `read-only`, `read-write` or `off`";
            bad(env::REKINDLE_REMOTE_MODE, text, reason.to_owned())
        })?),
    };
    let writes = match mode {
        Some(RemoteMode::Off) => return Ok(None),
        Some(RemoteMode::ReadOnly) => false,
        Some(RemoteMode::ReadWrite) => trust(surroundings) != Trust::Never,
        None => trust(surroundings) == Trust::Full,
    };
    let key = text(surroundings, env::REKINDLE_REMOTE_KEY)?;
    Ok(Some(RemoteSettings {
        url,
        writes,
        key: key.map(|key| KeyText(key.to_owned())),
        deadline: time(surroundings, env::REKINDLE_REMOTE_DEADLINE)?.unwrap_or(DEADLINE),
        patience: time(surroundings, env::REKINDLE_REMOTE_PATIENCE)?.unwrap_or(PATIENCE),
        linger: time(surroundings, env::REKINDLE_REMOTE_LINGER)?.unwrap_or(LINGER),
    }))
}

/// A time as in `10s` or `500ms`.
fn time(surroundings: &Surroundings, name: &'static str) -> Result<Option<Duration>, ConfigError> {
    let Some(text) = text(surroundings, name)? else {
        return Ok(None);
    };
    let (digits, unit_ms) = match (text.strip_suffix("ms"), text.strip_suffix('s')) {
        (Some(digits), _) => (digits, 1),
        (None, Some(digits)) => (digits, 1000),
        (None, None) => (text, 1000),
    };
    match digits.parse::<u32>() {
        Ok(count) if count > 0 => Ok(Some(Duration::from_millis(u64::from(count) * unit_ms))),
        _ => Err(bad(
            name,
            text,
            "write a time as in `10s` or `500ms`".to_owned(),
        )),
    }
}

/// What may be written by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    /// Yes.
    Full,
    /// Where the user says so.
    Asked,
    /// No, whoever says so.
    Never,
}

fn trust(surroundings: &Surroundings) -> Trust {
    let is = |name: &str, value: &str| surroundings.var(name).is_some_and(|found| found == value);
    if surroundings.non_empty("GITHUB_ACTIONS").is_some() {
        return github(surroundings);
    }
    if surroundings.non_empty("GITLAB_CI").is_some() {
        let is_request = surroundings.non_empty("CI_MERGE_REQUEST_IID").is_some();
        let default = surroundings.non_empty("CI_DEFAULT_BRANCH");
        let is_default = default.is_some() && default == surroundings.non_empty("CI_COMMIT_BRANCH");
        let source = surroundings.non_empty("CI_MERGE_REQUEST_SOURCE_PROJECT_ID");
        let is_fork =
            source.is_some() && source != surroundings.non_empty("CI_MERGE_REQUEST_PROJECT_ID");
        return match (is_fork, is_request) {
            (true, _) => Trust::Never,
            (false, false) if is_default || is("CI_COMMIT_REF_PROTECTED", "true") => Trust::Full,
            _ => Trust::Asked,
        };
    }
    let is_ci = surroundings
        .non_empty("CI")
        .is_some_and(|value| value != "false");
    if is_ci { Trust::Asked } else { Trust::Full }
}

/// Events whose jobs run what the repository has, and not what somebody proposes.
const OWN_EVENTS: [&str; 4] = [
    "push",
    "schedule",
    "workflow_dispatch",
    "repository_dispatch",
];

/// <https://docs.github.com/en/actions/reference/workflows-and-actions/events-that-trigger-workflows>
fn github(surroundings: &Surroundings) -> Trust {
    let of = |name: &str| surroundings.non_empty(name)?.to_str();
    let Some(name) = of("GITHUB_EVENT_NAME") else {
        return Trust::Asked;
    };
    let event = ci_event(surroundings).unwrap_or_default();
    let said = |pointer: &str| event.pointer(pointer).and_then(serde_json::Value::as_str);
    if name == "pull_request_target" {
        return Trust::Never;
    }
    if name.starts_with("pull_request") || name == "workflow_run" {
        // Of a run that another one caused, the event tells of that one.
        let heads = [
            "/pull_request/head/repo/full_name",
            "/workflow_run/head_repository/full_name",
        ];
        let head = heads.into_iter().find_map(said);
        let is_own = head.is_some() && head == of("GITHUB_REPOSITORY");
        return if is_own { Trust::Asked } else { Trust::Never };
    }
    let is_default = said("/repository/default_branch")
        .is_some_and(|branch| of("GITHUB_REF_NAME") == Some(branch))
        && of("GITHUB_REF_TYPE") != Some("tag");
    let is_protected = of("GITHUB_REF_PROTECTED") == Some("true");
    if OWN_EVENTS.contains(&name) && (is_default || is_protected) {
        Trust::Full
    } else {
        Trust::Asked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(vars: &[(&str, &str)], event: &str) -> Result<Option<RemoteSettings>, ConfigError> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("event.json");
        rekindle_fsx::atomic::write(&file, event.as_bytes()).unwrap();
        let file = file.to_str().unwrap().to_owned();
        let own = [
            ("REKINDLE_REMOTE", "file:///r"),
            ("GITHUB_EVENT_PATH", &file),
        ];
        let vars = own.iter().chain(vars);
        let surroundings = Surroundings {
            vars: vars
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            cwd: "/nowhere".into(),
            home: None,
        };
        resolve(&surroundings, &Files::default())
    }

    /// Whether a run writes by default, and where the user says so.
    #[track_caller]
    fn check(vars: &[(&str, &str)], event: &str, expected: (bool, bool)) {
        let asked = [vars, &[("REKINDLE_REMOTE_MODE", "read-write")]].concat();
        let writes = |vars: &[_]| resolved(vars, event).unwrap().unwrap().writes;
        assert_eq!((writes(vars), writes(&asked)), expected, "{vars:?}");
        let read = [vars, &[("REKINDLE_REMOTE_MODE", "read-only")]].concat();
        assert!(!writes(&read));
        let off = [vars, &[("REKINDLE_REMOTE_MODE", "off")]].concat();
        assert_eq!(resolved(&off, event).unwrap(), None);
    }

    const OWN: &str = r#"{"repository":{"default_branch":"main"},
        "pull_request":{"head":{"repo":{"full_name":"us/it"}}}}"#;
    const FORK: &str = r#"{"repository":{"default_branch":"main"},
        "pull_request":{"head":{"repo":{"full_name":"them/it"}}}}"#;

    #[test]
    fn who_writes_on_github() {
        let github = |name, reference, more: &[(&'static str, &'static str)]| {
            let mut vars = vec![
                ("GITHUB_ACTIONS", "true"),
                ("GITHUB_REPOSITORY", "us/it"),
                ("GITHUB_EVENT_NAME", name),
                ("GITHUB_REF_NAME", reference),
            ];
            vars.extend(more);
            vars
        };
        check(&github("push", "main", &[]), OWN, (true, true));
        check(&github("push", "topic", &[]), OWN, (false, true));
        check(
            &github("push", "next", &[("GITHUB_REF_PROTECTED", "true")]),
            OWN,
            (true, true),
        );
        check(
            &github("push", "main", &[("GITHUB_REF_TYPE", "tag")]),
            OWN,
            (false, true),
        );
        check(&github("pull_request", "1/merge", &[]), OWN, (false, true));
        check(
            &github("pull_request", "1/merge", &[]),
            FORK,
            (false, false),
        );
        // Whose it is has to be known.
        check(
            &github("pull_request", "1/merge", &[]),
            "{}",
            (false, false),
        );
        let protected = [("GITHUB_REF_PROTECTED", "true")];
        check(
            &github("pull_request", "main", &protected),
            FORK,
            (false, false),
        );
        check(
            &github("pull_request_target", "main", &protected),
            OWN,
            (false, false),
        );
        check(
            &github("workflow_run", "main", &protected),
            "{}",
            (false, false),
        );
        check(
            &github("issue_comment", "main", &protected),
            OWN,
            (false, true),
        );
    }

    #[test]
    fn who_writes_elsewhere() {
        check(&[], "", (true, true));
        check(&[("CI", "true")], "", (false, true));
        let gitlab = |more: &[(&'static str, &'static str)]| {
            let mut vars = vec![("GITLAB_CI", "true"), ("CI_DEFAULT_BRANCH", "main")];
            vars.extend(more);
            vars
        };
        check(&gitlab(&[("CI_COMMIT_BRANCH", "main")]), "", (true, true));
        check(&gitlab(&[("CI_COMMIT_BRANCH", "topic")]), "", (false, true));
        check(&gitlab(&[("CI_MERGE_REQUEST_IID", "1")]), "", (false, true));
        let fork = [
            ("CI_MERGE_REQUEST_IID", "1"),
            ("CI_MERGE_REQUEST_PROJECT_ID", "1"),
            ("CI_MERGE_REQUEST_SOURCE_PROJECT_ID", "2"),
        ];
        check(&gitlab(&fork), "", (false, false));
    }

    #[test]
    fn several_addresses() {
        let near = ["file:///mnt/near", "s3://far/p?region=eu"];
        for between in [" ", ",", ", ", "\n\t"] {
            assert_eq!(addresses(&format!(" {},", near.join(between))), near);
        }
        for one in ["file:///my disk, the old one", "s3://b/p", "nonsense"] {
            assert_eq!(addresses(one), [one]);
        }
        assert_eq!(
            addresses("file:///my disk grpcs://h"),
            ["file:///my disk", "grpcs://h"]
        );
        assert!(addresses(" ").is_empty());
    }

    #[test]
    fn times_and_nonsense() {
        let of = |value| {
            let settings = resolved(&[("REKINDLE_REMOTE_DEADLINE", value)], "");
            settings.map(|settings| settings.unwrap().deadline)
        };
        assert_eq!(of("250ms").unwrap(), Duration::from_millis(250));
        assert_eq!(of("3s").unwrap(), Duration::from_secs(3));
        assert_eq!(of("3").unwrap(), Duration::from_secs(3));
        for bad in ["0s", "-1", "soon", "s"] {
            assert!(of(bad).is_err(), "{bad}");
        }
        assert!(resolved(&[("REKINDLE_REMOTE_MODE", "maybe")], "").is_err());
        let key = resolved(&[("REKINDLE_REMOTE_KEY", "secret:hidden")], "").unwrap();
        assert!(!format!("{key:?}").contains("hidden"));
    }
}
