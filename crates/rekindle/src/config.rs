//! Rekindle's own configuration files.
//!
//! The user's file is `rekindle/config.toml` in `$XDG_CONFIG_HOME` (else `~/.config`), or what
//! `REKINDLE_CONFIG` names. A project's is `.config/rekindle.toml` in the first directory, from the
//! working directory up, that has one. A project's file comes with sources that somebody else may
//! have written, so it cannot say where files are stored or which programs are trusted.
//!
//! [`KEYS`] lists every key; the reference page is generated from it.

use std::path::{Path, PathBuf};

use rekindle_base::{ByteSize, ErrorKind, edits};
use rekindle_compile::LinkerChoice;

use crate::Surroundings;
use crate::remote::RemoteMode;

/// Where the user's file is, below the directory for configuration.
const USER_FILE: &str = "rekindle/config.toml";
/// Where a project's file is, below its root.
const PROJECT_FILE: &str = ".config/rekindle.toml";

/// One configuration key.
#[derive(Clone, Copy, Debug)]
pub struct ConfigKey {
    /// Its full name, as in `cache.size`.
    pub name: &'static str,
    /// What type of value it takes, for people.
    pub value: &'static str,
    /// What holds where nothing is set, for people.
    pub default: &'static str,
    /// Whether a project's file may set it.
    pub project: bool,
    /// The environment variable that goes before it.
    pub variable: Option<&'static str>,
    /// What it does, in a sentence.
    pub help: &'static str,
}

/// All of them, in the order of the reference page.
pub const KEYS: &[ConfigKey] = &[
    ConfigKey {
        name: "cache.dir",
        value: "path, relative to the file's directory; `~/` is home",
        default: "`rekindle` in `$XDG_CACHE_HOME`, else `~/.cache/rekindle`",
        project: false,
        variable: Some(rekindle_base::env::REKINDLE_DIR),
        help: "Directory of the local store.",
    },
    ConfigKey {
        name: "cache.size",
        value: "size, as in `\"10G\"`",
        default: "`\"10G\"`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_CACHE_SIZE),
        help: "Size budget of the local store: what was used least recently is removed beyond it.",
    },
    ConfigKey {
        name: "build.linker",
        value: "`\"auto\"`, `\"system\"`, or the name of a linker",
        default: "`\"auto\"`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_LINKER),
        help: "Linker where the build's own flags choose none.",
    },
    ConfigKey {
        name: "build.remap",
        value: "boolean",
        default: "`true`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_REMAP),
        help: "Whether outputs hold names that are the same in every directory in the place of \
               real paths, so that other checkouts hit.",
    },
    ConfigKey {
        name: "build.snapshot",
        value: "boolean",
        default: "`true`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_SNAPSHOT),
        help: "Whether a target directory that has nothing yet is restored from a snapshot, and what \
               a run built becomes one.",
    },
    ConfigKey {
        name: "build.trusted-wrappers",
        value: "list of file names",
        default: "`[]`",
        project: false,
        variable: None,
        help: "Programs in `RUSTC_WRAPPER` or `RUSTC_WORKSPACE_WRAPPER` that leave the compiler's \
               outputs alone; what other unknown ones compile is not stored.",
    },
    ConfigKey {
        name: "build.observe",
        value: "boolean",
        default: "`true`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_OBSERVE),
        help: "Whether it is observed what macros and build scripts read without saying so. Without, units \
               are keyed by what they declare, and build scripts run each time.",
    },
    ConfigKey {
        name: "build.scripts",
        value: "boolean",
        default: "`true`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_SCRIPTS),
        help: "Whether what a build script made is used again where all that it read is the same.",
    },
    ConfigKey {
        name: "build.trusted-scripts",
        value: "list of package names",
        default: "`[]`",
        project: false,
        variable: Some(rekindle_base::env::REKINDLE_TRUSTED_SCRIPTS),
        help: "Packages whose build scripts are used again though they talk to a network, read the time \
               of day or something random, or ask to be run each time.",
    },
    ConfigKey {
        name: "remote",
        value: "address, as in `\"s3://bucket/prefix\"` or `\"file:///mnt/cache\"`, or a list of them, \
                the nearest first",
        default: "none",
        project: false,
        variable: Some(rekindle_base::env::REKINDLE_REMOTE),
        help: "Where saves are shared with other machines.",
    },
    ConfigKey {
        name: "remote-mode",
        value: "`\"read-only\"`, `\"read-write\"` or `\"off\"`",
        default: "in CI `\"read-write\"` for pushes to the default branch and to protected ones, else \
                  `\"read-only\"`; elsewhere `\"read-write\"`",
        project: false,
        variable: Some(rekindle_base::env::REKINDLE_REMOTE_MODE),
        help: "What is done with the remote.",
    },
    ConfigKey {
        name: "report.ci",
        value: "boolean",
        default: "`true`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_REPORT),
        help: "Whether a run on a CI service writes its report: on GitHub Actions into the job's summary, as \
               annotations and as a page; elsewhere as lines in the log and as a page.",
    },
    ConfigKey {
        name: "report.dir",
        value: "path, relative to the file's directory; `~/` is home",
        default: "`rekindle-reports` in `$RUNNER_TEMP`, else beside the run's log in the store",
        project: false,
        variable: Some(rekindle_base::env::REKINDLE_REPORT_DIR),
        help: "Directory of the pages that runs on a CI service write.",
    },
    ConfigKey {
        name: "audit.ignore",
        value: "list of rules",
        default: "`[]`",
        project: true,
        variable: None,
        help: "Rules whose findings `rekindle audit` leaves out.",
    },
    ConfigKey {
        name: "quiet",
        value: "boolean",
        default: "`false`",
        project: true,
        variable: Some(rekindle_base::env::REKINDLE_QUIET),
        help: "Silences the lines that Rekindle prints after cargo's.",
    },
];

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file is not TOML.
    #[error("`{file}` is not valid TOML: {error}")]
    Syntax {
        /// Which.
        file: PathBuf,
        /// What the parser says.
        error: Box<toml::de::Error>,
    },
    /// A file could not be read.
    #[error("`{file}` could not be read: {error}")]
    Unreadable {
        /// Which.
        file: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// No such key.
    #[error("`{file}` sets `{key}`, which is not a key of Rekindle's")]
    UnknownKey {
        /// Where.
        file: PathBuf,
        /// Which.
        key: String,
        /// The key that was probably meant.
        nearest: &'static str,
    },
    /// A project's file sets what only the user may.
    #[error("`{file}` sets `{key}`, which a project may not decide")]
    NotForProjects {
        /// Where.
        file: PathBuf,
        /// Which.
        key: &'static str,
        /// How to set it instead.
        instead: String,
    },
    /// A value of the wrong type, or one that means nothing.
    #[error("`{file}` sets `{key}` to something else than a {expected}")]
    BadValue {
        /// Where.
        file: PathBuf,
        /// Which.
        key: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// A variable whose value means nothing.
    #[error("the environment variable {name} is `{value}`: {reason}")]
    BadVariable {
        /// Which.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Neither home nor the variables that replace it.
    #[error("there is no home directory, so there is no place for the {what}")]
    NoHome {
        /// For what a place is looked for.
        what: &'static str,
        /// The variable that names one.
        variable: &'static str,
    },
    /// The working directory is gone.
    #[error("the working directory could not be read: {0}")]
    NoWorkingDirectory(std::io::Error),
}

impl ConfigError {
    /// Whose fault it is.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        match self {
            Self::Unreadable { .. } | Self::NoHome { .. } | Self::NoWorkingDirectory(_) => {
                ErrorKind::Environment
            }
            _ => ErrorKind::User,
        }
    }

    /// The next step.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownKey { nearest, .. } => Some(format!("did you mean `{nearest}`?")),
            Self::NotForProjects { instead, .. } => Some(instead.clone()),
            Self::NoHome { variable, .. } => Some(format!("set {variable} to a directory")),
            _ => None,
        }
    }
}

/// What a file sets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileConfig {
    /// `cache.dir`, absolute.
    pub cache_dir: Option<PathBuf>,
    /// `cache.size`.
    pub cache_size: Option<ByteSize>,
    /// `build.linker`.
    pub linker: Option<LinkerChoice>,
    /// `build.remap`.
    pub remap: Option<bool>,
    /// `build.snapshot`.
    pub snapshot: Option<bool>,
    /// `build.trusted-wrappers`.
    pub trusted_wrappers: Option<Vec<String>>,
    /// `build.observe`.
    pub observe: Option<bool>,
    /// `build.scripts`.
    pub scripts: Option<bool>,
    /// `build.trusted-scripts`.
    pub trusted_scripts: Option<Vec<String>>,
    /// `report.ci`.
    pub report_ci: Option<bool>,
    /// `report.dir`, absolute.
    pub report_dir: Option<PathBuf>,
    /// `audit.ignore`.
    pub audit_ignore: Option<Vec<String>>,
    /// `remote`.
    pub remote: Option<String>,
    /// `remote-mode`.
    pub remote_mode: Option<RemoteMode>,
    /// `quiet`.
    pub quiet: Option<bool>,
}

/// Both files.
#[derive(Clone, Debug, Default)]
pub struct Files {
    /// The user's.
    pub user: FileConfig,
    /// The project's.
    pub project: FileConfig,
}

/// Reads both files; missing ones set nothing, but one that `REKINDLE_CONFIG` names must be there.
///
/// # Errors
/// [`ConfigError`].
pub fn read_files(surroundings: &Surroundings) -> Result<Files, ConfigError> {
    let home = surroundings.home.as_deref();
    let user = if let Some(file) = surroundings.path(rekindle_base::env::REKINDLE_CONFIG) {
        let text =
            rekindle_fsx::read_to_string(&file).map_err(|error| ConfigError::Unreadable {
                file: file.clone(),
                error,
            })?;
        parse(&text, &file, Trust::User, home)?
    } else if let Some(dir) = surroundings.xdg("XDG_CONFIG_HOME", ".config") {
        read_file(&dir.join(USER_FILE), Trust::User, home)?.unwrap_or_default()
    } else {
        FileConfig::default()
    };
    let mut project = FileConfig::default();
    for dir in surroundings.cwd.ancestors() {
        if let Some(found) = read_file(&dir.join(PROJECT_FILE), Trust::Project, home)? {
            project = found;
            break;
        }
    }
    Ok(Files { user, project })
}

/// Whose file it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Trust {
    User,
    Project,
}

fn read_file(
    file: &Path,
    trust: Trust,
    home: Option<&Path>,
) -> Result<Option<FileConfig>, ConfigError> {
    let unreadable = |error| ConfigError::Unreadable {
        file: file.to_owned(),
        error,
    };
    match rekindle_fsx::read_if_exists(file) {
        Ok(None) => Ok(None),
        Ok(Some(bytes)) => {
            let text = String::from_utf8(bytes)
                .map_err(|error| unreadable(std::io::Error::other(error)))?;
            parse(&text, file, trust, home).map(Some)
        }
        // A directory on the way may be a file, as with `.config` itself.
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => Ok(None),
        Err(error) => Err(unreadable(error)),
    }
}

fn parse(
    text: &str,
    file: &Path,
    trust: Trust,
    home: Option<&Path>,
) -> Result<FileConfig, ConfigError> {
    let table: toml::Table = text.parse().map_err(|error| ConfigError::Syntax {
        file: file.to_owned(),
        error: Box::new(error),
    })?;
    let mut flat = Vec::new();
    flatten("", &table, &mut flat);
    let mut config = FileConfig::default();
    for (name, value) in flat {
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(ConfigError::UnknownKey {
                file: file.to_owned(),
                nearest: nearest(&name),
                key: name,
            });
        };
        if trust == Trust::Project && !key.project {
            return Err(ConfigError::NotForProjects {
                file: file.to_owned(),
                key: key.name,
                instead: match key.variable {
                    Some(variable) => format!("set it in the user's file, or set {variable}"),
                    None => "set it in the user's file".to_owned(),
                },
            });
        }
        let dir = file.parent().unwrap_or(Path::new("/"));
        if set(&mut config, key.name, value, dir, home).is_none() {
            return Err(ConfigError::BadValue {
                file: file.to_owned(),
                key: key.name,
                expected: key.value,
            });
        }
    }
    Ok(config)
}

/// Turns tables into dotted names; a table where a value belongs stays a value, and is refused.
fn flatten<'a>(prefix: &str, table: &'a toml::Table, flat: &mut Vec<(String, &'a toml::Value)>) {
    for (name, value) in table {
        let name = format!("{prefix}{name}");
        match value {
            toml::Value::Table(inner) if KEYS.iter().all(|key| key.name != name) => {
                if inner.is_empty() && !is_section(&name) {
                    flat.push((name, value));
                } else {
                    flatten(&format!("{name}."), inner, flat);
                }
            }
            _ => flat.push((name, value)),
        }
    }
}

fn is_section(name: &str) -> bool {
    let begins = |key: &ConfigKey| {
        key.name
            .split_once('.')
            .is_some_and(|(head, _)| head == name)
    };
    KEYS.iter().any(begins)
}

/// Sets one key; `None` where the value does not fit.
fn set(
    config: &mut FileConfig,
    name: &str,
    value: &toml::Value,
    dir: &Path,
    home: Option<&Path>,
) -> Option<()> {
    match name {
        "cache.dir" => config.cache_dir = Some(expand(value.as_str()?, dir, home)?),
        "cache.size" => config.cache_size = Some(size(value)?),
        "build.linker" => config.linker = Some(linker(value.as_str()?)?),
        "build.remap" => config.remap = Some(value.as_bool()?),
        "build.snapshot" => config.snapshot = Some(value.as_bool()?),
        "build.trusted-wrappers" => config.trusted_wrappers = Some(names(value)?),
        "build.observe" => config.observe = Some(value.as_bool()?),
        "build.scripts" => config.scripts = Some(value.as_bool()?),
        "build.trusted-scripts" => config.trusted_scripts = Some(names(value)?),
        "report.ci" => config.report_ci = Some(value.as_bool()?),
        "report.dir" => config.report_dir = Some(expand(value.as_str()?, dir, home)?),
        "audit.ignore" => config.audit_ignore = Some(names(value)?),
        "remote" => {
            let one = || value.as_str().map(str::to_owned);
            let text = names(value).map_or_else(one, |several| Some(several.join(" ")));
            config.remote = Some(text.filter(|text| !text.is_empty())?);
        }
        "remote-mode" => config.remote_mode = Some(RemoteMode::parse(value.as_str()?)?),
        "quiet" => config.quiet = Some(value.as_bool()?),
        _ => return None,
    }
    Some(())
}

fn names(value: &toml::Value) -> Option<Vec<String>> {
    let names = value.as_array()?.iter();
    names.map(|name| Some(name.as_str()?.to_owned())).collect()
}

fn expand(text: &str, dir: &Path, home: Option<&Path>) -> Option<PathBuf> {
    match text.strip_prefix("~/") {
        Some(below) => Some(home?.join(below)),
        None if text.is_empty() => None,
        None => Some(dir.join(text)),
    }
}

fn size(value: &toml::Value) -> Option<ByteSize> {
    match value {
        toml::Value::String(text) => text.parse().ok(),
        toml::Value::Integer(bytes) => u64::try_from(*bytes).ok().map(ByteSize),
        _ => None,
    }
}

/// A linker as people name it: a bare word, since a name with a path would be looked up by gcc in
/// its own way.
#[must_use]
pub fn linker(text: &str) -> Option<LinkerChoice> {
    let word = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match text {
        "auto" => Some(LinkerChoice::Auto),
        "system" => Some(LinkerChoice::System),
        "" => None,
        name if name.chars().all(word) => Some(LinkerChoice::Named(name.to_owned())),
        _ => None,
    }
}

/// The key that was probably meant: fewest letters to change, the section's name counted less.
fn nearest(name: &str) -> &'static str {
    let last = |name: &str| name.rsplit('.').next().unwrap_or_default().to_owned();
    let distance = |key: &&ConfigKey| {
        let whole = edits(name, key.name);
        whole.min(edits(&last(name), &last(key.name)) + 1)
    };
    KEYS.iter().min_by_key(distance).map_or("", |key| key.name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, trust: Trust) -> Result<FileConfig, ConfigError> {
        parse(
            text,
            Path::new("/etc/x/config.toml"),
            trust,
            Some(Path::new("/home/me")),
        )
    }

    #[test]
    fn every_key_is_read() {
        let text = "quiet = true\n[cache]\ndir = \"~/store\"\nsize = \"2G\"\n[build]\n\
                    linker = \"mold\"\nremap = false\nsnapshot = false\ntrusted-wrappers = [\"w\"]\n\
                    observe = false\nscripts = false\ntrusted-scripts = [\"s\"]\n\
                    [report]\nci = false\ndir = \"~/pages\"\n[audit]\nignore = [\"r\"]\n";
        let text = format!("remote = \"file:///r\"\nremote-mode = \"off\"\n{text}");
        let config = parsed(&text, Trust::User).unwrap();
        let expected = FileConfig {
            cache_dir: Some("/home/me/store".into()),
            cache_size: Some(ByteSize(2 << 30)),
            linker: Some(LinkerChoice::Named("mold".into())),
            remap: Some(false),
            snapshot: Some(false),
            trusted_wrappers: Some(vec!["w".into()]),
            observe: Some(false),
            scripts: Some(false),
            trusted_scripts: Some(vec!["s".into()]),
            report_ci: Some(false),
            report_dir: Some("/home/me/pages".into()),
            audit_ignore: Some(vec!["r".into()]),
            remote: Some("file:///r".into()),
            remote_mode: Some(RemoteMode::Off),
            quiet: Some(true),
        };
        assert_eq!(config, expected);
    }

    #[test]
    fn paths_are_relative_to_the_file() {
        let config = parsed("cache.dir = \"s\"", Trust::User).unwrap();
        assert_eq!(config.cache_dir.unwrap(), Path::new("/etc/x/s"));
    }

    #[test]
    fn unknown_keys_name_the_nearest() {
        for (text, key, expected) in [
            ("cache.sise = 1", "cache.sise", "cache.size"),
            ("size = 1", "size", "cache.size"),
            ("build.linkr = 'x'", "build.linkr", "build.linker"),
            ("[built]\nremap = true", "built.remap", "build.remap"),
            ("quite = true", "quite", "quiet"),
            ("[other]", "other", "build.linker"),
        ] {
            match parsed(text, Trust::User).unwrap_err() {
                ConfigError::UnknownKey {
                    key: found,
                    nearest,
                    ..
                } => {
                    assert_eq!(found, key);
                    if key != "other" {
                        assert_eq!(nearest, expected, "{text}");
                    }
                }
                error => panic!("{text}: {error}"),
            }
        }
    }

    #[test]
    fn several_remotes_are_a_list() {
        let text = "remote = ['file:///near', 's3://far/p']";
        let remote = parsed(text, Trust::User).unwrap().remote.unwrap();
        assert_eq!(
            crate::remote::addresses(&remote),
            ["file:///near", "s3://far/p"]
        );
        assert!(parsed("remote = []", Trust::User).is_err());
        assert!(parsed("remote = [1]", Trust::User).is_err());
    }

    #[test]
    fn projects_do_not_say_where_files_go_or_whom_to_trust() {
        for text in [
            "cache.dir = '/tmp'",
            "build.trusted-wrappers = ['w']",
            "remote = 's3://elsewhere'",
            "remote-mode = 'read-write'",
        ] {
            let error = parsed(text, Trust::Project).unwrap_err();
            assert!(
                matches!(error, ConfigError::NotForProjects { .. }),
                "{error}"
            );
        }
        assert!(parsed("cache.size = '1G'", Trust::Project).is_ok());
    }

    #[test]
    fn bad_values_are_refused() {
        for text in [
            "quiet = 1",
            "cache.size = -1",
            "cache.size = 'big'",
            "build.linker = '/x'",
            "build.linker = {}",
        ] {
            let error = parsed(text, Trust::User).unwrap_err();
            assert!(
                matches!(error, ConfigError::BadValue { .. }),
                "{text}: {error}"
            );
        }
    }
}
