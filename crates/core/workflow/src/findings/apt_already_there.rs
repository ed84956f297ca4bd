//! Packages are installed that the runner's image has.

use crate::audit::{Confidence, Context, Rule, Safety, Severity, Sink};
use crate::model::Call;
use crate::model::runner::Host;
use crate::yaml::edit::remove_item;

pub(super) const RULE: Rule = Rule {
    id: "apt-already-there",
    summary: "packages are installed that the runner's image has",
    severity: Severity::Low,
    confidence: Confidence::High,
    fix: Some(Safety::Safe),
    check,
};

/// In the Ubuntu images 22.04 and 24.04 both, by their lists of packages (`toolset-2204.json`, `toolset-2404.json`),
/// and what these depend on.
const THERE: &[&str] = &[
    "acl",
    "aria2",
    "autoconf",
    "automake",
    "binutils",
    "bison",
    "brotli",
    "build-essential",
    "bzip2",
    "ca-certificates",
    "cmake",
    "coreutils",
    "curl",
    "dbus",
    "dnsutils",
    "dpkg",
    "dpkg-dev",
    "fakeroot",
    "file",
    "findutils",
    "flex",
    "g++",
    "gcc",
    "git",
    "gnupg2",
    "iproute2",
    "jq",
    "libc6-dev",
    "libsqlite3-dev",
    "libssl-dev",
    "libtool",
    "libyaml-dev",
    "m4",
    "make",
    "ninja-build",
    "openssh-client",
    "parallel",
    "patchelf",
    "pigz",
    "pkg-config",
    "python3",
    "rpm",
    "rsync",
    "shellcheck",
    "sqlite3",
    "sudo",
    "swig",
    "tar",
    "tree",
    "unzip",
    "wget",
    "xvfb",
    "xz-utils",
    "zip",
    "zsync",
];

/// Whether GitHub's own Ubuntu images have a package.
pub(crate) fn image_has(package: &str) -> bool {
    THERE.contains(&package)
}

fn check(context: &Context<'_>, sink: &mut Sink) {
    for (_, job, runs) in context.jobs().filter(|(_, job, _)| !job.in_container()) {
        for run in runs
            .iter()
            .filter(|run| run.runner.host == Host::GitHub && run.runner.linux())
        {
            if run.runner.labels.iter().any(|label| label.contains("slim")) {
                continue;
            }
            // What is removed and installed again is another version of it.
            if run
                .done()
                .flat_map(|did| &did.calls)
                .filter_map(apt)
                .any(|words| {
                    words
                        .iter()
                        .any(|word| matches!(word.as_str(), "remove" | "purge"))
                })
            {
                continue;
            }
            for did in run.done() {
                for call in &did.calls {
                    let packages = packages(call);
                    let there: Vec<&str> = packages
                        .iter()
                        .copied()
                        .filter(|package| THERE.contains(package))
                        .collect();
                    if there.is_empty() {
                        continue;
                    }
                    let all = there.len() == packages.len();
                    let message = if all {
                        format!(
                            "the image has {} already: leave the step out",
                            named(&there)
                        )
                    } else {
                        format!(
                            "the image has {} already: leave {} out",
                            named(&there),
                            if there.len() == 1 { "it" } else { "them" }
                        )
                    };
                    let step = &did.step;
                    let only = all
                        && did
                            .calls
                            .iter()
                            .all(|other| std::ptr::eq(other, call) || is_update(other));
                    let finding = sink.at(step.source, call.line, Some(job), message);
                    let steps = job.node.get("steps").filter(|_| {
                        only && step.node.get("id").is_none()
                            && finding.file == step.source.path
                            && runs.len() == 1
                    });
                    if let Some(steps) = steps.filter(|steps| {
                        steps
                            .items()
                            .get(step.index)
                            .is_some_and(|item| std::ptr::eq(item, step.node))
                    }) {
                        finding.fix(
                            Safety::Safe,
                            "leave the step out",
                            [remove_item(&step.source.document, steps, step.index)],
                        );
                    }
                }
            }
        }
    }
}

fn named(packages: &[&str]) -> String {
    let quoted: Vec<String> = packages
        .iter()
        .map(|package| format!("`{package}`"))
        .collect();
    quoted.join(", ")
}

fn is_update(call: &Call) -> bool {
    apt(call).is_some_and(|words| words.iter().any(|word| word == "update"))
}

/// The words behind `apt-get`.
pub(super) fn apt(call: &Call) -> Option<&[String]> {
    let start = call
        .words
        .iter()
        .position(|word| matches!(word.as_str(), "apt-get" | "apt" | "aptitude"))?;
    let before = call.words[..start]
        .iter()
        .all(|word| word == "sudo" || word.starts_with('-') || word.contains('=') || word == "env");
    before.then(|| &call.words[start + 1..])
}

/// The packages that a call installs; none if a word is not known before a run.
pub(super) fn packages(call: &Call) -> Vec<&str> {
    let Some(words) = apt(call) else {
        return Vec::new();
    };
    let Some(install) = words.iter().position(|word| word == "install") else {
        return Vec::new();
    };
    if words.iter().any(|word| {
        matches!(word.as_str(), "--reinstall" | "--only-upgrade")
            || word.contains(crate::shell::UNKNOWN)
    }) {
        return Vec::new();
    }
    let mut found = Vec::new();
    let mut skip = false;
    for word in &words[install + 1..] {
        if std::mem::take(&mut skip) {
            continue;
        }
        skip = matches!(word.as_str(), "-o" | "-t" | "-c");
        let foreign = word.contains([':', '=', '/']);
        if !word.starts_with('-') && !foreign {
            found.push(word.as_str());
        }
    }
    found
}
