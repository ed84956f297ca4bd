//! Who says what of incremental compilation.

use std::path::PathBuf;

use rekindle::cargo_config::known_cache;
use toml::Value;

use super::super::context::Context;
use super::super::edit;
use super::super::kinds::{INCREMENTAL_CONFLICT, INCREMENTAL_REFUSED, INCREMENTAL_SCCACHE};
use super::super::model::{Finding, Outcome};

/// One source, and what it says.
struct Said {
    on: bool,
    source: String,
    /// The file and the key.
    at: Option<(PathBuf, Vec<String>)>,
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let said = said(context);
    let mut findings = Vec::new();
    let Some((first, rest)) = said.split_first() else {
        return Outcome::new("nothing is set: cargo's own default", findings);
    };
    if let Some(loser) = rest.iter().find(|other| other.on != first.on) {
        let word = |on: bool| if on { "on" } else { "off" };
        findings.push(
            Finding::new(
                &INCREMENTAL_CONFLICT,
                format!(
                    "incremental compilation is {} by {}, and {} by {}",
                    word(first.on),
                    first.source,
                    word(loser.on),
                    loser.source
                ),
                format!(
                    "keep one of them; {} wins. Rekindle needs neither",
                    first.source
                ),
            )
            .fixed_by(without(loser)),
        );
    }
    let sccache = context
        .config
        .rustc_wrapper()
        .filter(|user| known_cache(&user.program).as_deref() == Some("sccache"));
    if let Some(user) = sccache
        && first.on
    {
        let refused = context.var("CARGO_INCREMENTAL").as_deref() == Some("1");
        let next = format!("remove sccache from {}, or {}", user.set_in, first.source);
        let finding = if refused {
            let title = "sccache ends every compile, since CARGO_INCREMENTAL is 1";
            Finding::new(&INCREMENTAL_REFUSED, title, next)
        } else {
            let title = "incremental compilation is on, and sccache stores no such unit";
            Finding::new(&INCREMENTAL_SCCACHE, title, next)
        };
        findings.push(
            finding
                .seen(format!("on by {}", first.source))
                .seen(format!("sccache is set by {}", user.set_in))
                .fixed_by(without(first)),
        );
    }
    let line = format!(
        "{} by {}",
        if first.on { "on" } else { "off" },
        first.source
    );
    Outcome::new(line, findings)
}

fn without(said: &Said) -> Option<super::super::fix::Fix> {
    let (file, key) = said.at.as_ref()?;
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    edit::without(file, &key)
}

/// All sources for the profile of development, the one that cargo obeys first.
fn said(context: &Context<'_>) -> Vec<Said> {
    let mut said = Vec::new();
    for name in [
        "CARGO_INCREMENTAL",
        "CARGO_PROFILE_DEV_INCREMENTAL",
        "CARGO_BUILD_INCREMENTAL",
    ] {
        let on = match context.var(name).as_deref() {
            Some("1" | "true") => true,
            Some("0" | "false") => false,
            _ => continue,
        };
        said.push(Said {
            on,
            source: format!("{name} in the environment"),
            at: None,
        });
    }
    for key in [
        ["build", "incremental"].as_slice(),
        &["profile", "dev", "incremental"],
    ] {
        for (file, table) in context.config.files() {
            let value = key
                .iter()
                .skip(1)
                .try_fold(table.get(key[0]), |value, name| Some(value?.get(*name)));
            let Some(on) = value.flatten().and_then(Value::as_bool) else {
                continue;
            };
            said.push(Said {
                on,
                source: format!("`{}` in {}", key.join("."), file.display()),
                at: Some((
                    file.to_owned(),
                    key.iter().map(|name| (*name).to_owned()).collect(),
                )),
            });
        }
    }
    said.extend(in_manifest(context));
    said
}

fn in_manifest(context: &Context<'_>) -> Option<Said> {
    let file = context.layout.as_ref()?.workspace_root.join("Cargo.toml");
    let table: toml::Table = rekindle_fsx::read_to_string(&file).ok()?.parse().ok()?;
    let dev = table.get("profile")?.get("dev")?;
    Some(Said {
        on: dev.get("incremental")?.as_bool()?,
        source: format!("`profile.dev.incremental` in {}", file.display()),
        // What the project says of itself is not ours to change.
        at: None,
    })
}
