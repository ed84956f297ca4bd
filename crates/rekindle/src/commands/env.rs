//! `rekindle env`: what a plain `cargo build` needs to use Rekindle.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use rekindle::cargo_config::{self, CargoConfig};
use rekindle::{Resolved, Surroundings, VERSION, WRAPPER, settings, sibling};
use rekindle_base::env;
use rekindle_compile::LinkerChoice;
use serde::Serialize;

use super::print_json;
use crate::cli::{EnvArgs, Format};
use crate::error::CommandError;

/// `env --format json`.
#[derive(Serialize)]
struct EnvJson {
    version: u32,
    variables: std::collections::BTreeMap<String, String>,
}

type Variables = Vec<(&'static str, OsString)>;

pub(crate) fn run(args: &EnvArgs) -> Result<(), CommandError> {
    let surroundings = Surroundings::of_process()
        .map_err(|error| CommandError::environment(format!("no working directory: {error}")))?;
    let variables = variables(&surroundings)?;
    if args.github {
        return append_for_github(&surroundings, &variables);
    }
    match args.format {
        Format::Json => {
            let text = |value: &OsString| value.to_string_lossy().into_owned();
            let variables = variables.iter();
            print_json(&EnvJson {
                version: 1,
                variables: variables
                    .map(|(name, value)| ((*name).to_owned(), text(value)))
                    .collect(),
            })
        }
        Format::Text => {
            let mut bytes = Vec::new();
            for (name, value) in &variables {
                bytes.extend(shell_line(name, value));
            }
            let mut stdout = std::io::stdout().lock();
            std::io::Write::write_all(&mut stdout, &bytes)
                .map_err(|error| CommandError::environment(format!("standard output: {error}")))
        }
    }
}

/// The wrapper, and every setting that differs from its default.
fn variables(surroundings: &Surroundings) -> Result<Variables, CommandError> {
    let mut resolved = settings::resolve(surroundings)?;
    let wrapper = sibling(WRAPPER).map_err(|error| {
        CommandError::environment(format!("the wrapper cannot be used: {error}"))
            .hint("install `rekindle` and `rekindle-rustc` into one directory")
    })?;
    let config = CargoConfig::read(surroundings, &surroundings.cwd, &[]);
    if let Some(user) = config.rustc_wrapper() {
        if let Some(name) = cargo_config::known_cache(&user.program) {
            eprintln!(
                "rekindle: warning: `{name}` is set as compiler wrapper by {}, so what is compiled \
                 is stored twice; remove it there",
                user.set_in
            );
        }
        let program = super::cargo::located(surroundings, &user.program);
        settings::set_inner_wrapper(&mut resolved.settings, Some(program));
    }
    let mut variables = vec![("RUSTC_WRAPPER", wrapper.into_os_string())];
    variables.extend(differing(surroundings, &resolved));
    Ok(variables)
}

fn differing(surroundings: &Surroundings, resolved: &Resolved) -> Variables {
    let settings = &resolved.settings;
    let mut variables = Variables::new();
    let mut add = |differs: bool, name: &'static str, value: OsString| {
        if differs {
            variables.push((name, value));
        }
    };
    let default_dir = settings::default_store_dir(surroundings);
    add(
        default_dir.as_ref() != Some(&settings.store_dir),
        env::REKINDLE_DIR,
        settings.store_dir.clone().into(),
    );
    add(
        resolved.size != settings::DEFAULT_SIZE,
        env::REKINDLE_CACHE_SIZE,
        resolved.size.0.to_string().into(),
    );
    add(settings.recache, env::REKINDLE_RECACHE, "1".into());
    add(settings.verify, env::REKINDLE_VERIFY, "1".into());
    add(!settings.remap, env::REKINDLE_REMAP, "0".into());
    let linker = match &settings.linker {
        LinkerChoice::Auto => "auto",
        LinkerChoice::System => "system",
        LinkerChoice::Named(name) => name,
    };
    add(linker != "auto", env::REKINDLE_LINKER, linker.into());
    add(resolved.disabled, env::REKINDLE_DISABLE, "1".into());
    // Wrappers read the user's file for what has no variable.
    let file = surroundings.path(env::REKINDLE_CONFIG);
    add(
        file.is_some(),
        env::REKINDLE_CONFIG,
        file.map(PathBuf::into_os_string).unwrap_or_default(),
    );
    let inner = settings.inner_wrapper.clone();
    add(
        inner.is_some(),
        env::REKINDLE_INNER_WRAPPER,
        inner.map(PathBuf::into_os_string).unwrap_or_default(),
    );
    variables
}

/// `export NAME='value'`, with quotes in the value as a shell wants them.
fn shell_line(name: &str, value: &OsStr) -> Vec<u8> {
    let mut line = format!("export {name}='").into_bytes();
    for byte in value.as_bytes() {
        match byte {
            b'\'' => line.extend_from_slice(b"'\\''"),
            other => line.push(*other),
        }
    }
    line.extend_from_slice(b"'\n");
    line
}

fn append_for_github(
    surroundings: &Surroundings,
    variables: &Variables,
) -> Result<(), CommandError> {
    let Some(file) = surroundings.path("GITHUB_ENV") else {
        return Err(
            CommandError::user("GITHUB_ENV is not set, so there is no file to append to").hint(
                "use `--github` in a step of a GitHub workflow; elsewhere `eval \"$(rekindle env)\"`",
            ),
        );
    };
    let mut bytes = Vec::new();
    for (name, value) in variables {
        bytes.extend(github_lines(name, value));
    }
    rekindle_fsx::append(&file, &bytes).map_err(|error| {
        let file = file.display();
        CommandError::environment(format!("`{file}` could not be appended to: {error}"))
    })?;
    eprintln!("rekindle: the steps that follow use rekindle {VERSION}");
    Ok(())
}

/// `NAME=value`; a value with line ends between two delimiters that it does not hold.
fn github_lines(name: &str, value: &OsStr) -> Vec<u8> {
    let value = value.as_bytes();
    let mut lines = name.as_bytes().to_vec();
    if !value.iter().any(|byte| matches!(byte, b'\n' | b'\r')) {
        lines.push(b'=');
        lines.extend_from_slice(value);
        lines.push(b'\n');
        return lines;
    }
    let mut delimiter = "REKINDLE_END".to_owned();
    while value
        .windows(delimiter.len())
        .any(|window| window == delimiter.as_bytes())
    {
        delimiter.push('_');
    }
    lines.extend_from_slice(format!("<<{delimiter}\n").as_bytes());
    lines.extend_from_slice(value);
    lines.extend_from_slice(format!("\n{delimiter}\n").as_bytes());
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: Vec<u8>) -> String {
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn quotes_reach_the_shell_as_they_are() {
        let line = shell_line("A", OsStr::new("it's $HOME"));
        assert_eq!(text(line), "export A='it'\\''s $HOME'\n");
    }

    #[test]
    fn odd_values_are_delimited_for_github() {
        assert_eq!(text(github_lines("A", OsStr::new("b c"))), "A=b c\n");
        let lines = github_lines("A", OsStr::new("b\nREKINDLE_END\n"));
        assert_eq!(
            text(lines),
            "A<<REKINDLE_END_\nb\nREKINDLE_END\n\nREKINDLE_END_\n"
        );
    }

    #[test]
    fn only_what_differs_is_set() {
        let mut surroundings = Surroundings {
            cwd: "/nowhere".into(),
            home: Some("/home/me".into()),
            ..Surroundings::default()
        };
        let names = |surroundings: &Surroundings| -> Vec<&str> {
            let resolved = settings::resolve(surroundings).unwrap();
            let variables = differing(surroundings, &resolved);
            variables.iter().map(|(name, _)| *name).collect()
        };
        assert_eq!(names(&surroundings), Vec::<&str>::new());
        for (name, value) in [
            ("SCCACHE_DIR", "/s"),
            ("REKINDLE_REMAP", "0"),
            ("SCCACHE_CACHE_SIZE", "10G"),
        ] {
            surroundings.vars.insert(name.into(), value.into());
        }
        assert_eq!(names(&surroundings), ["REKINDLE_DIR", "REKINDLE_REMAP"]);
    }
}
