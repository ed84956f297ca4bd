//! What a job needs of its runner, as far as its text shows.

use crate::providers::{Arch, Need};
use crate::yaml::{Document, Node, Value};

/// What a job was seen to need, and the line that shows it.
pub(super) type Needed = (Need, u32);

/// Programs whose use in a shell line shows a need.
const PROGRAMS: &[(&str, Need)] = &[
    ("sudo", Need::Sudo),
    ("docker", Need::Docker),
    ("docker-compose", Need::Docker),
    ("apt", Need::Apt),
    ("apt-get", Need::Apt),
    ("systemctl", Need::Systemd),
];

/// All that a job needs, each once.
pub(super) fn of_job(job: &Node) -> Vec<Needed> {
    let mut found: Vec<Needed> = Vec::new();
    let mut add = |need: Need, line: u32| {
        if found.iter().all(|(known, _)| *known != need) {
            found.push((need, line));
        }
    };
    if let Some((key, _)) = job.entry("container") {
        add(Need::Docker, key.place.line);
    }
    if let Some((key, _)) = job.entry("services") {
        add(Need::Services, key.place.line);
    }
    for step in job.get("steps").map(Node::items).unwrap_or_default() {
        if let Some(uses) = step.get("uses")
            && uses.str().is_some_and(in_container)
        {
            add(Need::Docker, uses.place.line);
        }
        let Some((run, text)) = step
            .entry("run")
            .and_then(|(key, run)| Some((key, run.str()?)))
        else {
            continue;
        };
        for need in of_shell(text) {
            add(need, run.place.line);
        }
    }
    found
}

fn in_container(uses: &str) -> bool {
    uses.starts_with("docker://") || uses.starts_with("docker/")
}

/// Words of a script where a command may stand. Comments are left out.
fn of_shell(script: &str) -> impl Iterator<Item = Need> {
    let lines = script
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'));
    let words = lines
        .flat_map(|line| line.split(|char: char| char.is_whitespace() || ";|&()`".contains(char)));
    words.filter_map(|word| {
        let found = PROGRAMS.iter().find(|(program, _)| *program == word);
        found.map(|(_, need)| *need)
    })
}

/// The first line of a job that names another architecture than its new runner has.
pub(super) fn other_architecture(
    document: &Document,
    job: &Node,
    arch: Arch,
) -> Option<(u32, &'static str)> {
    let names: &[&'static str] = match arch {
        Arch::Arm64 => &["x86_64", "amd64", "linux-x64"],
        Arch::X64 => &["aarch64", "arm64"],
    };
    let mut found = None;
    walk(job, &mut |node, _| {
        let source = &document.text[node.place.start..node.place.end];
        let named = names
            .iter()
            .filter_map(|name| Some((source.find(name)?, *name)));
        if let Some((at, name)) = named.min().filter(|_| found.is_none()) {
            found = Some((document.line_of(node.place.start + at), name));
        }
    });
    found
}

/// Every scalar below a node, with its text, but for what says where the job runs.
pub(super) fn walk<'n>(node: &'n Node, see: &mut dyn FnMut(&'n Node, &'n str)) {
    match &node.value {
        Value::Scalar(text, _) => see(node, text),
        Value::Sequence(items, _) => items.iter().for_each(|item| walk(item, see)),
        Value::Mapping(entries, _) => {
            for (key, value) in entries {
                if !matches!(key.str(), Some("runs-on" | "strategy")) {
                    walk(value, see);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn needs_are_seen_where_they_are_used() {
        let check = |job: &str, expected: &[Need]| {
            let document = Document::parse(job).unwrap();
            let found: Vec<Need> = of_job(&document.root)
                .iter()
                .map(|(need, _)| *need)
                .collect();
            assert_eq!(found, expected, "{job}");
        };
        check(
            "steps:\n- run: sudo apt-get install -y x\n",
            &[Need::Sudo, Need::Apt],
        );
        check(
            "steps:\n- run: |\n    # sudo nothing\n    echo a|docker ps\n",
            &[Need::Docker],
        );
        check(
            "container: alpine\nservices: {db: {image: x}}\n",
            &[Need::Docker, Need::Services],
        );
        check(
            "steps:\n- uses: docker/build-push-action@v6\n",
            &[Need::Docker],
        );
        check("steps:\n- run: cargo test --package apt-pkg\n", &[]);
    }
}
