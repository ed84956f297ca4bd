//! What a `Cargo.lock` says of packages that are not the workspace's own.

use rekindle_base::is_hex;
use serde::Deserialize;

use super::RegistryError;

/// A package of a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Locked {
    pub(super) name: String,
    pub(super) version: String,
    /// As the file names the registry.
    pub(super) source: String,
    /// SHA-256 of its `.crate`, in lower-case hex.
    pub(super) checksum: String,
}

impl Locked {
    /// What its directory is called.
    pub(super) fn dir_name(&self) -> String {
        format!("{}-{}", self.name, self.version)
    }
}

/// A git repository at a commit.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct GitSource {
    /// As the file names it.
    pub(super) source: String,
    /// The last part of its address.
    pub(super) ident: String,
    /// The commit, in hex.
    pub(super) revision: String,
}

/// The packages that come from elsewhere.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lock {
    pub(super) registry: Vec<Locked>,
    pub(super) git: Vec<GitSource>,
    /// Packages without a checksum, as people call them.
    pub(super) unchecked: Vec<String>,
}

#[derive(Deserialize)]
struct File {
    #[serde(default)]
    package: Vec<Package>,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    source: Option<String>,
    checksum: Option<String>,
}

/// Reads the file's text.
pub(super) fn parse(text: &str) -> Result<Lock, RegistryError> {
    let file = read(text)?;
    let mut lock = Lock::default();
    for package in file.package {
        let Some(source) = package.source else {
            continue;
        };
        if source.starts_with("git+") {
            lock.git.extend(git_source(source));
            continue;
        }
        if !(source.starts_with("registry+") || source.starts_with("sparse+")) {
            continue;
        }
        let (name, version) = (package.name, package.version);
        let checksum = package.checksum.filter(|checksum| is_hex(checksum, 64));
        match checksum {
            Some(checksum) if is_plain(&name) && is_plain(&version) => {
                lock.registry.push(Locked {
                    name,
                    version,
                    source,
                    checksum,
                });
            }
            _ => lock.unchecked.push(format!("{name} {version}")),
        }
    }
    lock.git.sort_unstable();
    lock.git.dedup();
    Ok(lock)
}

/// Names and versions of all packages in the file's text, the workspace's own with them.
pub(crate) fn packages(
    text: &str,
) -> Result<impl Iterator<Item = (String, String)>, RegistryError> {
    let packages = read(text)?.package.into_iter();
    Ok(packages.map(|package| (package.name, package.version)))
}

fn read(text: &str) -> Result<File, RegistryError> {
    toml::from_str(text).map_err(|error| RegistryError::Lock(error.to_string()))
}

fn git_source(source: String) -> Option<GitSource> {
    let (url, revision) = source.strip_prefix("git+")?.rsplit_once('#')?;
    let url = url.split_once('?').map_or(url, |(url, _)| url);
    let last = url.trim_end_matches('/').rsplit('/').next()?;
    let ident = last.strip_suffix(".git").unwrap_or(last);
    let fine = is_plain(ident) && is_hex(revision, 40);
    let (ident, revision) = (ident.to_lowercase(), revision.to_owned());
    fine.then_some(GitSource {
        source,
        ident,
        revision,
    })
}

/// Whether a text may be a part of a file's name: what registries allow in names and versions.
pub(super) fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with('.')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_+.".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packages_from_elsewhere_are_listed() {
        let sum = "0".repeat(64);
        let commit = "1".repeat(40);
        let text = format!(
            "version = 4\n\
             [[package]]\nname = \"own\"\nversion = \"0.1.0\"\n\
             [[package]]\nname = \"a\"\nversion = \"1.0.0+x\"\n\
             source = \"registry+https://github.com/rust-lang/crates.io-index\"\nchecksum = \"{sum}\"\n\
             [[package]]\nname = \"b\"\nversion = \"1.0.0\"\nsource = \"sparse+https://x/\"\n\
             [[package]]\nname = \"../c\"\nversion = \"1.0.0\"\nsource = \"sparse+https://x/\"\nchecksum = \"{sum}\"\n\
             [[package]]\nname = \"d\"\nversion = \"1.0.0\"\nsource = \"git+https://x/y/Dee.git?branch=main#{commit}\"\n\
             [[package]]\nname = \"e\"\nversion = \"1.0.0\"\nsource = \"git+https://x/y/Dee.git?branch=main#{commit}\"\n"
        );
        let lock = parse(&text).unwrap();
        assert_eq!(lock.registry.len(), 1);
        assert_eq!(lock.registry[0].dir_name(), "a-1.0.0+x");
        assert_eq!(lock.unchecked, ["b 1.0.0", "../c 1.0.0"]);
        assert_eq!(lock.git.len(), 1);
        assert_eq!(lock.git[0].ident, "dee");
        assert_eq!(lock.git[0].revision, commit);
        assert!(parse("package = 3").is_err());
    }
}
