//! A profile in a package that is not the workspace's root, which cargo ignores.

use crate::audit::{Confidence, Context, Rule, Severity, Sink};

pub(super) const RULE: Rule = Rule {
    id: "profile-in-member",
    summary: "a `[profile]` in a member of a workspace, which cargo ignores",
    severity: Severity::Medium,
    confidence: Confidence::High,
    fix: None,
    check,
};

fn check(context: &Context<'_>, sink: &mut Sink) {
    let project = context.project;
    let Some(members) = project
        .manifest_value("workspace.members")
        .and_then(toml::Value::as_array)
    else {
        return;
    };
    let list = |value: Option<&toml::Value>| -> Vec<String> {
        value
            .and_then(toml::Value::as_array)
            .map(|items| {
                items
                    .iter()
                    .filter_map(|item| Some(item.as_str()?.trim_end_matches('/').to_owned()))
                    .collect()
            })
            .unwrap_or_default()
    };
    let members: Vec<String> = members
        .iter()
        .filter_map(|item| {
            Some(
                item.as_str()?
                    .trim_start_matches("./")
                    .trim_end_matches('/')
                    .to_owned(),
            )
        })
        .collect();
    let exclude = list(project.manifest_value("workspace.exclude"));
    for (path, file) in &project.manifests {
        let Some(dir) = path.strip_suffix("/Cargo.toml") else {
            continue;
        };
        let member = members.iter().any(|pattern| matches(pattern, dir))
            && !exclude
                .iter()
                .any(|pattern| dir == pattern || dir.starts_with(&format!("{pattern}/")));
        let Some(profile) = file
            .table
            .get("profile")
            .and_then(toml::Value::as_table)
            .filter(|_| member && !file.table.contains_key("workspace"))
        else {
            continue;
        };
        let Some(name) = profile.keys().next() else {
            continue;
        };
        let message = "cargo takes profiles from the workspace's root alone and ignores this one: move it there".to_owned();
        sink.add(
            path,
            file.line_of(&format!("profile.{name}"), None),
            1,
            None,
            message,
        );
    }
}

/// A pattern of directories; `*` is any name.
fn matches(pattern: &str, dir: &str) -> bool {
    let (pattern, dir): (Vec<&str>, Vec<&str>) =
        (pattern.split('/').collect(), dir.split('/').collect());
    pattern.len() == dir.len()
        && pattern
            .iter()
            .zip(&dir)
            .all(|(pattern, name)| match pattern.split_once('*') {
                Some((before, after)) => {
                    name.len() >= before.len() + after.len()
                        && name.starts_with(before)
                        && name.ends_with(after)
                }
                None => pattern == name,
            })
}
