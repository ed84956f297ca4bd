//! cargo and rustc, and what `rust-toolchain.toml` and configuration ask of them.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rekindle::selection::toolchain::of_rustup;

use super::super::ask::ask;
use super::super::context::Context;
use super::super::fix::{Fix, Step};
use super::super::kinds::{CARGO_MISSING, COMPONENT_MISSING, TARGET_MISSING, TOOLCHAIN_MISSING};
use super::super::model::{Finding, Outcome};

const DEADLINE: Duration = Duration::from_secs(30);

/// What rustc says of itself.
pub(in super::super) struct Rustc {
    /// `rustc 1.95.0 (59807616e 2026-04-14)`.
    version: String,
    /// The day on which its last commit was made, as in `2026-04-14`.
    commit_date: Option<String>,
    host: String,
    sysroot: PathBuf,
}

/// Whether there is something to build with.
pub(in super::super) fn is_whole(context: &Context<'_>) -> bool {
    let named = of_rustup(context.surroundings, context.config);
    !matches!(named, Some((_, None))) && context.find("cargo").is_some() && rustc(context).is_ok()
}

/// The day on which the compiler's last commit was made, as in `2026-04-14`.
pub(super) fn commit_date<'a>(context: &'a Context<'_>) -> Option<&'a str> {
    rustc(context).ok()?.commit_date.as_deref()
}

/// The triple of this machine.
pub(in super::super) fn host(context: &Context<'_>) -> Option<String> {
    Some(rustc(context).ok()?.host.clone())
}

/// What rustc says, asked once.
fn rustc<'a>(context: &'a Context<'_>) -> Result<&'a Rustc, &'a String> {
    context.rustc(ask_rustc)
}

/// Asks rustc. rustup does not install it for that.
fn ask_rustc(context: &Context<'_>) -> Result<Rustc, String> {
    let program = context.config.rustc().unwrap_or_else(|| "rustc".into());
    let say = |arguments: &[&str]| -> Result<String, String> {
        let mut command = Command::new(&program);
        command.args(arguments).env("RUSTUP_AUTO_INSTALL", "0");
        let answer = ask(&mut command, DEADLINE);
        let answer = answer.map_err(|error| format!("`{}`: {error}", program.display()))?;
        if answer.ok {
            return Ok(answer.stdout);
        }
        let line = answer.stderr.lines().find(|line| !line.trim().is_empty());
        Err(line
            .unwrap_or("it failed and says nothing")
            .trim()
            .to_owned())
    };
    let verbose = say(&["-vV"])?;
    let field = |name: &str| {
        let line = verbose.lines().find_map(|line| line.strip_prefix(name));
        line.map(|value| value.trim().to_owned())
    };
    let date = field("commit-date:").filter(|date| date != "unknown");
    Ok(Rustc {
        version: verbose.lines().next().unwrap_or_default().to_owned(),
        commit_date: date,
        host: field("host:").unwrap_or_default(),
        sysroot: say(&["--print", "sysroot"])?.trim().into(),
    })
}

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let named = of_rustup(context.surroundings, context.config);
    if let Some((name, None)) = &named {
        return Outcome::new("", vec![not_installed(context, name)]);
    }
    if context.find("cargo").is_none() {
        let finding = Finding::new(
            &CARGO_MISSING,
            "`cargo` is not on PATH",
            "install Rust with rustup (https://rustup.rs), or add `~/.cargo/bin` to PATH",
        );
        let path = context.var("PATH").unwrap_or_default();
        return Outcome::new("", vec![finding.seen(format!("PATH is `{path}`"))]);
    }
    let rustc = match rustc(context) {
        Ok(rustc) => rustc,
        Err(why) => {
            let next = "`rustc -vV` must work in this directory; then run doctor again";
            let finding = Finding::new(&CARGO_MISSING, "`rustc` does not start", next);
            return Outcome::new("", vec![finding.seen(why.as_str())]);
        }
    };
    let name = named.map(|(name, _)| name);
    let asked = Asked::of(context);
    let mut findings = Vec::new();
    let mut wanted = context.targets();
    wanted.extend(asked.targets);
    wanted.sort();
    wanted.dedup();
    for target in &wanted {
        findings.extend(missing_target(context, rustc, name.as_deref(), target));
    }
    for component in &asked.components {
        findings.extend(missing_component(rustc, name.as_deref(), component));
    }
    let targets = match wanted.len() {
        0 => String::new(),
        _ => format!(", with {}", wanted.join(", ")),
    };
    let toolchain = name
        .map(|name| format!(" from `{name}`"))
        .unwrap_or_default();
    Outcome::new(format!("{}{toolchain}{targets}", rustc.version), findings)
}

fn not_installed(context: &Context<'_>, name: &str) -> Finding {
    let is_path = Path::new(name).is_absolute();
    let next = format!("install it: `rustup toolchain install {name}`");
    let from = match asked_in(context) {
        Some(file) => format!("{} or rustup's settings name it", file.display()),
        None => "RUSTUP_TOOLCHAIN, an override or rustup's default names it".to_owned(),
    };
    let step = Step::Run {
        program: "rustup".into(),
        arguments: ["toolchain", "install", "--no-self-update", name]
            .map(str::to_owned)
            .into(),
        undo: format!("rustup toolchain uninstall {name}"),
    };
    let fix = Fix::new(format!("install the toolchain `{name}`"), vec![step]);
    Finding::new(
        &TOOLCHAIN_MISSING,
        format!("the toolchain `{name}` is not installed"),
        next,
    )
    .seen(from)
    .fixed_by((!is_path).then_some(fix))
}

/// cargo's word for the host, and a file that describes a target, need nothing installed; `build-std` builds it.
fn missing_target(
    context: &Context<'_>,
    rustc: &Rustc,
    toolchain: Option<&str>,
    target: &str,
) -> Option<Finding> {
    let builds_std = context.file_with(&["unstable", "build-std"]).is_some();
    if target == "host-tuple" || target.ends_with(".json") || builds_std {
        return None;
    }
    let dir = rustc.sysroot.join("lib/rustlib").join(target).join("lib");
    let names = rekindle_fsx::list_names(&dir).unwrap_or_default();
    let is_core = |name: &std::ffi::OsString| name.to_string_lossy().starts_with("libcore-");
    if names.iter().any(is_core) {
        return None;
    }
    let command = by_rustup("target", target, toolchain);
    let finding = Finding::new(
        &TARGET_MISSING,
        format!("the target `{target}` is not installed"),
        match &command {
            Some(_) => format!("install it: `rustup target add {target}`"),
            None => format!("install the standard library for `{target}` into the toolchain"),
        },
    );
    Some(
        finding
            .seen(format!("there is no `libcore` in {}", dir.display()))
            .fixed_by(
                command.map(|step| Fix::new(format!("install the target `{target}`"), vec![step])),
            ),
    )
}

fn missing_component(rustc: &Rustc, toolchain: Option<&str>, component: &str) -> Option<Finding> {
    // rustup's own record; other installations have none, and nothing is known of them.
    let record = rustc.sysroot.join("lib/rustlib/components");
    let text = rekindle_fsx::read_to_string(&record).ok()?;
    let is_there = |name: &str| {
        let host = format!("{name}-{}", rustc.host);
        text.lines().any(|line| line == name || line == host)
    };
    let preview = format!("{component}-preview");
    if is_there(component) || is_there(&preview) {
        return None;
    }
    let step = by_rustup("component", component, toolchain)?;
    let fix = Fix::new(format!("install the component `{component}`"), vec![step]);
    Some(
        Finding::new(
            &COMPONENT_MISSING,
            format!("the component `{component}` is not installed"),
            format!("install it: `rustup component add {component}`"),
        )
        .seen(format!("it is not listed in {}", record.display()))
        .fixed_by(fix),
    )
}

fn by_rustup(what: &str, name: &str, toolchain: Option<&str>) -> Option<Step> {
    let toolchain = toolchain?;
    Some(Step::Run {
        program: "rustup".into(),
        arguments: [what, "add", "--toolchain", toolchain, name]
            .map(str::to_owned)
            .into(),
        undo: format!("rustup {what} remove --toolchain {toolchain} {name}"),
    })
}

/// What `rust-toolchain.toml` asks for beside a channel.
#[derive(Default)]
struct Asked {
    targets: Vec<String>,
    components: Vec<String>,
}

impl Asked {
    fn of(context: &Context<'_>) -> Self {
        // The variable goes before the file, with all that the file says.
        if context.surroundings.non_empty("RUSTUP_TOOLCHAIN").is_some() {
            return Self::default();
        }
        let text = asked_in(context).and_then(|file| rekindle_fsx::read_to_string(&file).ok());
        let table: Option<toml::Table> = text.and_then(|text| text.parse().ok());
        let list = |key: &str| -> Vec<String> {
            let list = table
                .as_ref()
                .and_then(|table| table.get("toolchain")?.get(key)?.as_array());
            let texts = list.into_iter().flatten().filter_map(|item| item.as_str());
            texts.map(str::to_owned).collect()
        };
        Self {
            targets: list("targets"),
            components: list("components"),
        }
    }
}

/// The nearest file that names a toolchain.
fn asked_in(context: &Context<'_>) -> Option<PathBuf> {
    let dirs = context.surroundings.cwd.ancestors();
    let files =
        dirs.flat_map(|dir| ["rust-toolchain", "rust-toolchain.toml"].map(|name| dir.join(name)));
    files.into_iter().find(|file| rekindle_fsx::exists(file))
}
