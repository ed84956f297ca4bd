//! Which linker really links, from a program that was just linked, and which one was asked for.

use super::super::context::Context;
use super::super::edit;
use super::super::kinds::{LINKER_MISSING, LINKER_NOT_USED, LINKER_REQUESTED_MISSING};
use super::super::model::{Finding, Outcome};
use super::super::probe::Probe;
use super::super::requests::{self, Request};
use super::toolchain;

pub(super) fn check(context: &Context<'_>) -> Outcome {
    let Some(host) = toolchain::host(context) else {
        return Outcome::skipped("not tried: there is no toolchain that works (see toolchain)");
    };
    let requests = requests::of(context, &host);
    if let Some(finding) = driver_missing(context, &requests) {
        return Outcome::new("", vec![finding]);
    }
    let probe = match context.probe() {
        Ok(probe) => probe,
        Err(why) => return Outcome::skipped(format!("not tried: {why}")),
    };
    let linker_of = |request: &&Request| !request.driver;
    let wanted = requests.iter().find(linker_of);
    if !probe.first.ok {
        return match wanted.and_then(|wanted| requested_missing(context, wanted, probe)) {
            Some(finding) => Outcome::new("", vec![finding]),
            None => Outcome::skipped("not tried: a tiny program cannot be built (see wrapper)"),
        };
    }
    let Some(linked) = probe.first.linker() else {
        return Outcome::skipped("the linker is not known: nothing was linked through Rekindle");
    };
    let finding = wanted.and_then(|wanted| not_used(wanted, linked, probe));
    let asked = match wanted {
        Some(wanted) if finding.is_none() => format!(", as {} asks", wanted.set_in),
        _ => String::new(),
    };
    Outcome::new(
        format!("{linked} links{asked}"),
        finding.into_iter().collect(),
    )
}

/// Whether this check has a finding that says why nothing can be built.
pub(super) fn explains(context: &Context<'_>, probe: &Probe) -> bool {
    let Some(host) = toolchain::host(context) else {
        return false;
    };
    let requests = requests::of(context, &host);
    driver_missing(context, &requests).is_some()
        || requests
            .iter()
            .filter(|request| !request.driver)
            .any(|request| requested_missing(context, request, probe).is_some())
}

fn driver_missing(context: &Context<'_>, requests: &[Request]) -> Option<Finding> {
    let asked = requests.iter().find(|request| request.driver);
    let driver = asked.map_or("cc", |request| request.name.as_str());
    if context.find(driver).is_some() {
        return None;
    }
    let finding = match asked {
        Some(asked) => Finding::new(
            &LINKER_MISSING,
            format!("the linker `{driver}` is not there"),
            format!("install it, or remove it from {}", asked.set_in),
        )
        .seen(format!("asked for by {}", asked.set_in))
        .fixed_by(asked.at.as_ref().and_then(|(file, key)| {
            let key: Vec<&str> = key.iter().map(String::as_str).collect();
            edit::without(file, &key)
        })),
        None => Finding::new(
            &LINKER_MISSING,
            "no linker is there: `cc` is not on PATH",
            install(context),
        ),
    };
    Some(finding.seen(format!(
        "PATH is `{}`",
        context.var("PATH").unwrap_or_default()
    )))
}

/// How this system installs a C compiler, which drives the linker.
fn install(context: &Context<'_>) -> String {
    let text = rekindle_fsx::read_to_string(std::path::Path::new("/etc/os-release"));
    let text = text.unwrap_or_default();
    let ids: Vec<&str> = text
        .lines()
        .filter_map(|line| {
            line.strip_prefix("ID=")
                .or_else(|| line.strip_prefix("ID_LIKE="))
        })
        .flat_map(|value| value.trim_matches('"').split(' '))
        .collect();
    let command = [
        ("debian", "apt-get install gcc libc6-dev"),
        ("fedora", "dnf install gcc"),
        ("rhel", "dnf install gcc"),
        ("alpine", "apk add build-base"),
        ("arch", "pacman -S gcc"),
        ("suse", "zypper install gcc"),
    ]
    .into_iter()
    .find(|(id, _)| ids.contains(id));
    let elsewhere = ["/usr/bin", "/usr/local/bin"].iter().find(|dir| {
        let file = std::path::Path::new(dir).join("cc");
        context.find(&file).is_some()
    });
    match (elsewhere, command) {
        (Some(dir), _) => format!("add `{dir}` to PATH: `cc` is there"),
        (None, Some((_, command))) => format!("install a C compiler: `{command}`"),
        (None, None) => "install a C compiler: rustc links through it".to_owned(),
    }
}

/// A linker that was asked for, and that neither PATH nor the driver's own directories have.
fn requested_missing(context: &Context<'_>, wanted: &Request, probe: &Probe) -> Option<Finding> {
    let name = wanted.name.as_str();
    let is_there = [format!("ld.{name}"), name.to_owned()]
        .iter()
        .any(|program| context.find(program).is_some());
    if wanted.ours || is_there || probe.first.ok {
        return None;
    }
    // The compiler's own complaint, below its list of arguments.
    let complaint = probe.first.stderr.lines().find(|line| {
        let line = line.to_lowercase();
        let is_about = ["cannot find", "invalid linker", "unrecognized command"];
        line.contains("ld") && is_about.iter().any(|words| line.contains(words))
    });
    let mut finding = Finding::new(
        &LINKER_REQUESTED_MISSING,
        format!("the linker `{name}` is asked for and not there"),
        format!("install `{name}`, or remove it from {}", wanted.set_in),
    )
    .seen(format!("asked for by {}", wanted.set_in));
    if let Some(line) = complaint {
        finding = finding.seen(line.trim());
    }
    let fix = wanted.at.as_ref().and_then(|(file, key)| {
        let key: Vec<&str> = key.iter().map(String::as_str).collect();
        edit::without(file, &key)
    });
    Some(finding.fixed_by(fix))
}

/// `LLD 22.1` was made by `lld`, or by `rust-lld`.
fn is_made_by(linked: &str, name: &str) -> bool {
    let base = std::path::Path::new(name)
        .file_name()
        .map_or(name.into(), |n| n.to_string_lossy());
    let base = base.strip_prefix("ld.").unwrap_or(&base);
    let mark = match base {
        "lld" | "rust-lld" | "ld64.lld" | "gcc-ld" => "LLD",
        "mold" | "sold" => "mold",
        "wild" => "Wild",
        // These leave no mark.
        "bfd" | "gold" | "ld" => "GNU ld",
        // Of others nothing is known.
        _ => return true,
    };
    linked.to_lowercase().starts_with(&mark.to_lowercase())
}

fn not_used(wanted: &Request, linked: &str, probe: &Probe) -> Option<Finding> {
    let fell_back = probe
        .first
        .warnings
        .iter()
        .chain(
            probe
                .first
                .stderr
                .lines()
                .map(str::to_owned)
                .collect::<Vec<_>>()
                .iter(),
        )
        .find(|line| line.contains(&format!("{} failed", wanted.name)))
        .cloned();
    if is_made_by(linked, &wanted.name) && fell_back.is_none() {
        return None;
    }
    let finding = Finding::new(
        &LINKER_NOT_USED,
        format!("`{}` is asked for, and {linked} links", wanted.name),
        format!(
            "install `{}`, or remove it from {}",
            wanted.name, wanted.set_in
        ),
    )
    .seen(format!("asked for by {}", wanted.set_in))
    .seen(format!(
        "a program that was just linked says that {linked} made it"
    ));
    Some(match fell_back {
        Some(line) => finding.seen(line.trim()),
        None => finding,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linkers_are_known_by_the_marks_that_they_leave() {
        assert!(is_made_by("LLD 22.1.2", "rust-lld"));
        assert!(is_made_by("LLD 22.1.2", "/usr/bin/ld.lld"));
        assert!(is_made_by("mold 1.10.1", "mold"));
        assert!(is_made_by(rekindle_events::GNU_LD, "bfd"));
        assert!(!is_made_by("LLD 22.1.2", "mold"));
        assert!(!is_made_by(rekindle_events::GNU_LD, "wild"));
    }
}
