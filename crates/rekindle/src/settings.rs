//! Settings: what environment, files and defaults come to.
//!
//! What goes before what: Rekindle's own variables, other tools' variables that mean the same, the
//! project's file, the user's file, the default.

use std::path::PathBuf;

use rekindle_base::{ByteSize, env};
use rekindle_compile::{LinkerChoice, Settings};

use crate::config::{self, ConfigError, Files};
use crate::remote::{self, RemoteSettings};
use crate::{Surroundings, VERSION, cargo_config};

/// The store's size budget where nothing says another.
pub const DEFAULT_SIZE: ByteSize = ByteSize(10 << 30);

/// Everything that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// What wrappers need. There is no run directory in it yet, and of wrappers of the user's own
    /// only one that an earlier Rekindle process handed on: cargo's configuration is not looked at.
    pub settings: Settings,
    /// The store's size budget.
    pub size: ByteSize,
    /// Where saves are shared with other machines; `None` where they are not.
    pub remote: Option<RemoteSettings>,
    /// Whether snapshots are restored and captured.
    pub snapshot: bool,
    /// Whether a run on a CI service writes its report.
    pub report: bool,
    /// Where it writes the page, where the user says.
    pub report_dir: Option<PathBuf>,
    /// Whether Rekindle's own lines are unwanted.
    pub quiet: bool,
    /// Whether cargo is to run without Rekindle's wrapper.
    pub disabled: bool,
}

/// The settings of this process.
///
/// # Errors
/// [`ConfigError`].
pub fn resolve_settings() -> Result<Resolved, ConfigError> {
    let surroundings = Surroundings::of_process().map_err(ConfigError::NoWorkingDirectory)?;
    resolve(&surroundings)
}

/// The settings that a `rekindle` command of this version froze for the processes below it.
#[must_use]
pub fn frozen(surroundings: &Surroundings) -> Option<Settings> {
    let json = surroundings.non_empty(env::REKINDLE_SETTINGS)?.to_str()?;
    let settings: Settings = serde_json::from_str(json).ok()?;
    (settings.rekindle == VERSION).then_some(settings)
}

/// Whether Rekindle is switched off, by the user or by an observer around it: what came from the store
/// would not be seen to be read.
///
/// # Errors
/// Where the variable is neither yes nor no.
pub fn is_disabled(surroundings: &Surroundings) -> Result<bool, ConfigError> {
    let observed = surroundings.var(env::REKINDLE_OBSERVED).is_some();
    Ok(observed || is_switched_off(surroundings)?)
}

/// Whether Rekindle is switched off by the user.
///
/// # Errors
/// Where the variable is neither yes nor no.
pub fn is_switched_off(surroundings: &Surroundings) -> Result<bool, ConfigError> {
    Ok(flag(surroundings, env::REKINDLE_DISABLE)?.unwrap_or(false))
}

/// What surroundings come to.
///
/// # Errors
/// [`ConfigError`].
pub fn resolve(surroundings: &Surroundings) -> Result<Resolved, ConfigError> {
    let files = config::read_files(surroundings)?;
    let inner_wrapper = surroundings
        .non_empty(env::REKINDLE_INNER_WRAPPER)
        .map(PathBuf::from);
    let mut settings = Settings {
        rekindle: VERSION.to_owned(),
        store_dir: store_dir(surroundings, &files)?,
        run_dir: None,
        remap: flag(surroundings, env::REKINDLE_REMAP)?
            .or(files.project.remap)
            .or(files.user.remap)
            .unwrap_or(true),
        recache: recache(surroundings)?,
        verify: flag(surroundings, env::REKINDLE_VERIFY)?.unwrap_or(false),
        linker: linker(surroundings, &files)?,
        cargo_home: surroundings.cargo_home().ok_or(ConfigError::NoHome {
            what: "packages of cargo",
            variable: "CARGO_HOME",
        })?,
        inner_wrapper: None,
        rustdoc: None,
        rustdoc_variable: None,
        trusted_wrappers: files.user.trusted_wrappers.clone().unwrap_or_default(),
        observe: flag(surroundings, env::REKINDLE_OBSERVE)?
            .or(files.project.observe)
            .or(files.user.observe)
            .unwrap_or(true),
        scripts: flag(surroundings, env::REKINDLE_SCRIPTS)?
            .or(files.project.scripts)
            .or(files.user.scripts)
            .unwrap_or(true),
        trusted_scripts: trusted_scripts(surroundings, &files)?,
        beyond_wait_ms: None,
    };
    let remote = remote::resolve(surroundings, &files)?;
    settings.beyond_wait_ms = remote.as_ref().map(RemoteSettings::wait_ms);
    set_inner_wrapper(&mut settings, inner_wrapper);
    Ok(Resolved {
        settings,
        remote,
        size: size(surroundings, &files)?,
        snapshot: flag(surroundings, env::REKINDLE_SNAPSHOT)?
            .or(files.project.snapshot)
            .or(files.user.snapshot)
            .unwrap_or(true),
        report: flag(surroundings, env::REKINDLE_REPORT)?
            .or(files.project.report_ci)
            .or(files.user.report_ci)
            .unwrap_or(true),
        report_dir: surroundings
            .path(env::REKINDLE_REPORT_DIR)
            .or_else(|| files.user.report_dir.clone()),
        quiet: flag(surroundings, env::REKINDLE_QUIET)?
            .or(files.project.quiet)
            .or(files.user.quiet)
            .unwrap_or(false),
        disabled: is_disabled(surroundings)?,
    })
}

/// Sets the user's own wrapper. Another compile cache hands on what the compiler makes, so it is
/// trusted: a project that changes over with its old cache still in place is warned, not slowed.
pub fn set_inner_wrapper(settings: &mut Settings, inner: Option<PathBuf>) {
    if let Some(name) = inner.as_deref().and_then(cargo_config::known_cache)
        && !settings.trusted_wrappers.contains(&name)
    {
        settings.trusted_wrappers.push(name);
    }
    settings.inner_wrapper = inner;
}

/// The directory of the store where nothing says another.
#[must_use]
pub fn default_store_dir(surroundings: &Surroundings) -> Option<PathBuf> {
    surroundings
        .xdg("XDG_CACHE_HOME", ".cache")
        .map(|dir| dir.join("rekindle"))
}

fn store_dir(surroundings: &Surroundings, files: &Files) -> Result<PathBuf, ConfigError> {
    surroundings
        .path(env::REKINDLE_DIR)
        // A directory of its own: sccache counts and removes what it finds in its own.
        .or_else(|| Some(surroundings.path(env::SCCACHE_DIR)?.join("rekindle")))
        .or_else(|| files.user.cache_dir.clone())
        .or_else(|| default_store_dir(surroundings))
        .ok_or(ConfigError::NoHome {
            what: "store",
            variable: env::REKINDLE_DIR,
        })
}

fn size(surroundings: &Surroundings, files: &Files) -> Result<ByteSize, ConfigError> {
    for name in [env::REKINDLE_CACHE_SIZE, env::SCCACHE_CACHE_SIZE] {
        if let Some(text) = text(surroundings, name)? {
            return text
                .parse()
                .map_err(|error: rekindle_base::ParseSizeError| {
                    bad(name, text, error.to_string())
                });
        }
    }
    let configured = files.project.cache_size.or(files.user.cache_size);
    Ok(configured.unwrap_or(DEFAULT_SIZE))
}

fn trusted_scripts(surroundings: &Surroundings, files: &Files) -> Result<Vec<String>, ConfigError> {
    if let Some(names) = text(surroundings, env::REKINDLE_TRUSTED_SCRIPTS)? {
        let names = names.split(',').map(str::trim);
        return Ok(names
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect());
    }
    Ok(files.user.trusted_scripts.clone().unwrap_or_default())
}

fn recache(surroundings: &Surroundings) -> Result<bool, ConfigError> {
    let own = flag(surroundings, env::REKINDLE_RECACHE)?;
    // sccache asks only whether it is set.
    Ok(own.unwrap_or_else(|| surroundings.var(env::SCCACHE_RECACHE).is_some()))
}

fn linker(surroundings: &Surroundings, files: &Files) -> Result<LinkerChoice, ConfigError> {
    if let Some(name) = text(surroundings, env::REKINDLE_LINKER)? {
        return config::linker(name).ok_or_else(|| {
            let reason = "write `auto`, `system`, or the name of a linker, as in `mold`";
            bad(env::REKINDLE_LINKER, name, reason.to_owned())
        });
    }
    let configured = files.project.linker.as_ref().or(files.user.linker.as_ref());
    Ok(configured.cloned().unwrap_or_default())
}

pub(crate) fn bad(name: &'static str, value: &str, reason: String) -> ConfigError {
    ConfigError::BadVariable {
        name,
        value: value.to_owned(),
        reason,
    }
}

pub(crate) fn text<'a>(
    surroundings: &'a Surroundings,
    name: &'static str,
) -> Result<Option<&'a str>, ConfigError> {
    let Some(value) = surroundings.non_empty(name) else {
        return Ok(None);
    };
    match value.to_str() {
        Some(text) => Ok(Some(text)),
        None => Err(bad(
            name,
            &value.to_string_lossy(),
            "it is not UTF-8".to_owned(),
        )),
    }
}

/// A variable that is yes or no; an empty one is unset.
fn flag(surroundings: &Surroundings, name: &'static str) -> Result<Option<bool>, ConfigError> {
    match text(surroundings, name)? {
        None => Ok(None),
        Some("1" | "true" | "yes" | "on") => Ok(Some(true)),
        Some("0" | "false" | "no" | "off") => Ok(Some(false)),
        Some(other) => Err(bad(name, other, "write `1` or `0`".to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn surroundings(vars: &[(&str, &str)]) -> Surroundings {
        Surroundings {
            vars: vars
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect(),
            cwd: "/nowhere".into(),
            home: Some("/home/me".into()),
        }
    }

    fn resolved(vars: &[(&str, &str)]) -> Resolved {
        resolve(&surroundings(vars)).unwrap()
    }

    #[test]
    fn defaults() {
        let resolved = resolved(&[]);
        assert_eq!(resolved.size, DEFAULT_SIZE);
        let settings = resolved.settings;
        assert_eq!(
            settings.store_dir,
            PathBuf::from("/home/me/.cache/rekindle")
        );
        assert_eq!(settings.cargo_home, PathBuf::from("/home/me/.cargo"));
        assert!(settings.remap && !settings.recache && !settings.verify);
        assert_eq!(settings.linker, LinkerChoice::Auto);
    }

    #[test]
    fn aliases_come_after_our_own_names() {
        let dir = |vars| resolved(vars).settings.store_dir;
        assert_eq!(dir(&[("SCCACHE_DIR", "/s")]), PathBuf::from("/s/rekindle"));
        assert_eq!(
            dir(&[("SCCACHE_DIR", "/s"), ("REKINDLE_DIR", "r")]),
            PathBuf::from("/nowhere/r")
        );
        assert_eq!(
            resolved(&[("SCCACHE_CACHE_SIZE", "1G")]).size,
            ByteSize(1 << 30)
        );
        assert!(resolved(&[("SCCACHE_RECACHE", "1")]).settings.recache);
        assert!(
            !resolved(&[("SCCACHE_RECACHE", "1"), ("REKINDLE_RECACHE", "0")])
                .settings
                .recache
        );
    }

    #[test]
    fn files_come_after_the_environment_and_the_project_before_the_user() {
        let dir = tempfile::tempdir().unwrap();
        let put = |name: &str, text: &str| {
            let file = dir.path().join(name);
            rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
            rekindle_fsx::atomic::write(&file, text.as_bytes()).unwrap();
        };
        put(
            "home/.config/rekindle/config.toml",
            "quiet = true\ncache.size = '1G'\nbuild.linker = 'lld'",
        );
        put(
            "ws/.config/rekindle.toml",
            "cache.size = '2G'\nbuild.linker = 'mold'",
        );
        put("ws/deep/er/x", "");
        let mut surroundings = surroundings(&[("REKINDLE_LINKER", "system")]);
        surroundings.home = Some(dir.path().join("home"));
        surroundings.cwd = dir.path().join("ws/deep/er");
        let resolved = resolve(&surroundings).unwrap();
        assert!(resolved.quiet);
        assert_eq!(resolved.size, ByteSize(2 << 30));
        assert_eq!(resolved.settings.linker, LinkerChoice::System);
    }

    #[test]
    fn nonsense_names_the_variable() {
        for (name, value) in [
            ("REKINDLE_VERIFY", "maybe"),
            ("REKINDLE_LINKER", "/bin/ld"),
            ("SCCACHE_CACHE_SIZE", "big"),
        ] {
            let error = resolve(&surroundings(&[(name, value)])).unwrap_err();
            assert!(error.to_string().contains(name), "{error}");
        }
    }

    #[test]
    fn only_settings_of_this_version_are_obeyed() {
        let mut settings = resolved(&[]).settings;
        settings.store_dir = "/frozen".into();
        let given = |settings: &Settings| {
            let json = serde_json::to_string(settings).unwrap();
            frozen(&surroundings(&[("REKINDLE_SETTINGS", &json)]))
        };
        assert_eq!(given(&settings), Some(settings.clone()));
        settings.rekindle = "0.0.0".into();
        assert_eq!(given(&settings), None);
    }
}
