//! Whether a stranger can start a job: by a pull request from a fork, a comment or an issue.
//!
//! One judgement for `rekindle audit` and `rekindle switch`, of the files as they are written: the events of `on`, and the
//! conditions of the job, of those that it waits for and of those that call its workflow. Neither is a wall. Where a pull
//! request starts a workflow its author also writes that workflow's text, `on` and `if` alike; only the repository's
//! settings (approval of all outside contributors) keep out who means harm. But a job that every honest pull request
//! runs on a machine of one's own is open already, and that is what can be seen here.
//!
//! A condition keeps strangers out where it is false for one: it is evaluated with what GitHub says of a pull request from a
//! fork. Where that cannot be known it is taken to keep them out if it looks at who they are, else not.

use crate::expr::{Expr, Template, Val};
use crate::yaml::{Node, Value};

/// Events by which strangers bring code that jobs run.
pub(crate) const CODE: &[&str] = &[
    "pull_request",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
];

/// Events that anybody can cause in a public repository.
pub(crate) const ANY: &[&str] = &[
    "pull_request",
    "pull_request_target",
    "pull_request_review",
    "pull_request_review_comment",
    "issue_comment",
    "issues",
    "discussion",
    "discussion_comment",
    "fork",
    "watch",
    "workflow_run",
];

/// A workflow.
#[derive(Clone, Copy)]
pub(crate) struct Flow<'a> {
    /// Its path from the project's root.
    pub(crate) path: &'a str,
    /// Its file's root.
    pub(crate) root: &'a Node,
}

/// How a stranger gets to a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// By an event, directly or through calls; for people.
    Open(String),
    /// What calls its workflow is not here.
    Unknown,
    /// An event would start it, but for a condition.
    Guarded,
}

/// How a stranger gets to a job of a workflow by one of some events; `None` if no event starts it.
pub(crate) fn way_in(flows: &[Flow<'_>], file: usize, job: &str, events: &[&str]) -> Option<Way> {
    let job = find(flows, file, job)?;
    Search { flows, events }.way(file, &[(file, job)])
}

/// A call chain is no longer than this on GitHub.
const CHAIN_LIMIT: usize = 10;

struct Search<'s, 'a> {
    flows: &'s [Flow<'a>],
    events: &'s [&'s str],
}

impl<'a> Search<'_, 'a> {
    /// The chain is the job and the jobs that call its workflow, the last one in `file`.
    fn way(&self, file: usize, chain: &[(usize, &'a Node)]) -> Option<Way> {
        let starts = events(self.flows[file].root);
        let mut guarded = false;
        for event in self.events.iter().filter(|event| starts.contains(event)) {
            if !self.keeps_out(chain, event) {
                return Some(Way::Open(format!("`{event}` starts it")));
            }
            guarded = true;
        }
        let mut found = guarded.then_some(Way::Guarded);
        if !starts.contains(&"workflow_call") || chain.len() >= CHAIN_LIMIT {
            return found;
        }
        let callers = self.callers(file);
        if callers.is_empty() {
            let open = self
                .events
                .iter()
                .any(|event| !self.keeps_out(chain, event));
            return if open { Some(Way::Unknown) } else { found };
        }
        for (caller, name, job) in callers {
            let mut longer = chain.to_vec();
            longer.push((caller, job));
            match self.way(caller, &longer) {
                Some(Way::Open(way)) => {
                    return Some(Way::Open(format!(
                        "job `{name}` of `{}` calls it, and {way}",
                        self.flows[caller].path
                    )));
                }
                Some(Way::Unknown) => found = Some(Way::Unknown),
                Some(Way::Guarded) => {
                    found.get_or_insert(Way::Guarded);
                }
                None => {}
            }
        }
        found
    }

    fn callers(&self, file: usize) -> Vec<(usize, &'a str, &'a Node)> {
        let wanted = format!("./{}", self.flows[file].path);
        let mut found = Vec::new();
        for (at, flow) in self.flows.iter().enumerate() {
            for (key, job) in flow.root.get("jobs").map(Node::entries).unwrap_or_default() {
                if job.get("uses").and_then(Node::str) == Some(&wanted) {
                    found.push((at, key.str().unwrap_or_default(), job));
                }
            }
        }
        found
    }

    fn keeps_out(&self, chain: &[(usize, &'a Node)], event: &str) -> bool {
        chain
            .iter()
            .any(|(file, job)| self.job_keeps_out(*file, job, event, 0))
    }

    /// A job's condition, or that of one that it waits for and without which it does not run.
    fn job_keeps_out(&self, file: usize, job: &'a Node, event: &str, depth: usize) -> bool {
        let condition = job.get("if").and_then(Node::str).map(Template::condition);
        if condition
            .as_ref()
            .is_some_and(|condition| is_false(condition, event))
        {
            return true;
        }
        let regardless = condition.as_ref().is_some_and(|condition| {
            ["always", "failure", "cancelled"]
                .iter()
                .any(|function| condition.calls(function))
        });
        !regardless
            && depth < CHAIN_LIMIT
            && job
                .get("needs")
                .map(Node::strings)
                .unwrap_or_default()
                .iter()
                .filter_map(|id| find(self.flows, file, id))
                .any(|needed| self.job_keeps_out(file, needed, event, depth + 1))
    }
}

fn find<'a>(flows: &[Flow<'a>], file: usize, job: &str) -> Option<&'a Node> {
    flows.get(file)?.root.get("jobs")?.get(job)
}

/// The events that start a workflow.
fn events(root: &Node) -> Vec<&str> {
    let Some(on) = root.get("on") else {
        return Vec::new();
    };
    match &on.value {
        Value::Mapping(entries, _) => entries.iter().filter_map(|(key, _)| key.str()).collect(),
        _ => on.strings(),
    }
}

/// What of a path looks at who somebody is, or at what only members of the project can do.
const WHO: &[&str] = &[
    "head.repo",
    "head.user",
    "author_association",
    "actor",
    "sender",
    "user.login",
    "labels",
];

/// Whether a condition is false for a stranger, whatever the repository is called.
fn is_false(condition: &Template, event: &str) -> bool {
    // What they say of a run in which all goes well says nothing here.
    let fails = condition.calls("failure") || condition.calls("cancelled");
    let looks = condition
        .paths()
        .iter()
        .any(|path| WHO.iter().any(|part| path.contains(part)));
    let mut names = vec!["the-owner/the-repository".to_owned()];
    for expr in condition.exprs() {
        expr.visit(&mut |expr| {
            if let Expr::Literal(Val::Str(text)) = expr {
                names.push(text.clone());
            }
        });
    }
    names.iter().all(|repository| {
        let lookup = |path: &str| stranger(path, event, repository);
        match condition.eval(&lookup).truth() {
            Some(truth) => !truth && !fails,
            None => looks,
        }
    })
}

/// What GitHub says of a run that a stranger started.
fn stranger(path: &str, event: &str, repository: &str) -> Val {
    let text = |text: &str| Val::Str(text.to_owned());
    let Some(path) = path.strip_prefix("github.") else {
        return Val::Unknown;
    };
    let proposes = event.starts_with("pull_request");
    match path {
        "event_name" => return text(event),
        "repository" | "event.repository.full_name" => return text(repository),
        "repository_owner" | "event.repository.owner.login" => {
            return text(repository.split('/').next().unwrap_or_default());
        }
        "actor" | "triggering_actor" | "event.sender.login" => return text("a-stranger"),
        // The text of these workflows and what they run on is the proposed one.
        "ref" if proposes && event != "pull_request_target" => return text("refs/pull/1/merge"),
        "ref_name" if proposes && event != "pull_request_target" => return text("1/merge"),
        _ => {}
    }
    if path.starts_with("event.pull_request") && !proposes {
        return Val::Null;
    }
    if path.ends_with("head.repo.full_name") {
        text("a-stranger/a-fork")
    } else if path.ends_with("head.repo.fork") {
        Val::Bool(true)
    } else if path.ends_with("head.repo.owner.login") || path.ends_with("user.login") {
        text("a-stranger")
    } else if path.ends_with("author_association") {
        text("NONE")
    } else {
        Val::Unknown
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::Document;

    #[track_caller]
    fn check(condition: &str, event: &str, keeps_out: bool) {
        assert_eq!(
            is_false(&Template::condition(condition), event),
            keeps_out,
            "{condition} on {event}"
        );
    }

    #[test]
    fn a_condition_keeps_out_who_it_is_false_for() {
        let own = "github.event.pull_request.head.repo.full_name == github.repository";
        check(own, "pull_request", true);
        check(own, "issue_comment", true);
        check(
            &format!("github.event_name == 'push' || {own}"),
            "pull_request",
            true,
        );
        check(
            &format!("github.event_name != 'push' || {own}"),
            "pull_request",
            false,
        );
        check("github.event_name == 'push'", "pull_request", true);
        check("github.event_name == 'pull_request'", "pull_request", false);
        check("github.ref == 'refs/heads/main'", "pull_request", true);
        check(
            "github.ref == 'refs/heads/main'",
            "pull_request_target",
            false,
        );
        check(
            "!github.event.pull_request.head.repo.fork",
            "pull_request",
            true,
        );
        check("github.actor != 'dependabot[bot]'", "pull_request", false);
        check("github.actor == 'me'", "issue_comment", true);
        // Says that this is the project itself, as it is for a stranger's pull request.
        check("github.repository == 'us/it'", "pull_request", false);
        check("github.repository_owner == 'us'", "pull_request", false);
        check(
            "contains(github.event.pull_request.labels.*.name, 'safe')",
            "pull_request",
            true,
        );
        check(
            "contains(fromJSON('[\"OWNER\"]'), github.event.comment.author_association)",
            "issue_comment",
            true,
        );
        check("vars.X == '1'", "pull_request", false);
        check("failure()", "pull_request", false);
        check("always()", "pull_request", false);
    }

    #[test]
    fn ways_lead_through_needs_and_calls() {
        let a = "on: [push, pull_request]\njobs:\n  gate:\n    if: github.event_name == 'push'\n  a:\n    needs: gate\n  b:\n    needs: gate\n    if: always()\n  c:\n    uses: ./b.yml\n    needs: gate\n";
        let b = "on: workflow_call\njobs:\n  x:\n    runs-on: y\n";
        let documents = [Document::parse(a).unwrap(), Document::parse(b).unwrap()];
        let flows: Vec<Flow<'_>> = ["a.yml", "b.yml"]
            .iter()
            .zip(&documents)
            .map(|(path, document)| Flow {
                path,
                root: &document.root,
            })
            .collect();
        let way = |file, job| way_in(&flows, file, job, CODE);
        assert_eq!(way(0, "a"), Some(Way::Guarded));
        assert_eq!(
            way(0, "b"),
            Some(Way::Open("`pull_request` starts it".to_owned()))
        );
        assert_eq!(way(1, "x"), Some(Way::Guarded));
        assert_eq!(way_in(&flows[1..], 0, "x", CODE), Some(Way::Unknown));
        assert_eq!(way_in(&flows, 0, "a", &["issues"]), None);
    }
}
