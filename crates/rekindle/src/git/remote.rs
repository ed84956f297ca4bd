//! Where a repository comes from: a few lines of its files, which would otherwise take two more
//! processes. A guess is fine; where it is wrong, a base is found by other names.

use std::path::Path;

/// What the repository's files say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Remote {
    /// Host and path, the same for all ways to write them, without credentials.
    pub(super) url: Option<Vec<u8>>,
    /// The default branch, where a clone wrote it down.
    pub(super) default_branch: Option<String>,
}

/// Reads `config` and `refs/remotes/*/HEAD` of a repository's common directory.
pub(super) fn read(common: &Path) -> Remote {
    let config = rekindle_fsx::read_to_string(&common.join("config")).unwrap_or_default();
    let Some((name, url)) = remote(&config) else {
        return Remote::default();
    };
    let head = common.join("refs/remotes").join(&name).join("HEAD");
    let head = rekindle_fsx::read_to_string(&head).unwrap_or_default();
    let prefix = format!("ref: refs/remotes/{name}/");
    let branch = head.strip_prefix(&prefix).map(str::trim_end);
    Remote {
        url: Some(normalised(&url).into_bytes()),
        default_branch: branch.map(str::to_owned),
    }
}

/// Name and URL of `origin`; of the first remote where there is none of that name.
fn remote(config: &str) -> Option<(String, String)> {
    let mut found: Option<(String, String)> = None;
    let mut section = None;
    for line in config.lines().map(str::trim) {
        if line.starts_with('[') {
            let name = line.strip_prefix("[remote \"");
            section = name
                .and_then(|name| name.split_once('"'))
                .map(|(name, _)| name);
        } else if let Some(name) = section
            && let Some((key, value)) = line.split_once('=')
            && key.trim().eq_ignore_ascii_case("url")
            && (found.is_none() || name == "origin")
        {
            let value = value.trim().trim_matches('"');
            found = Some((name.to_owned(), value.to_owned()));
            if name == "origin" {
                break;
            }
        }
    }
    found
}

/// `https://me:secret@Host/a/b.git`, `git@host:a/b` and `ssh://git@host/a/b/` are all `host/a/b`.
fn normalised(url: &str) -> String {
    let trimmed = url.trim_end_matches('/');
    let trimmed = trimmed.strip_suffix(".git").unwrap_or(trimmed);
    let (host, path) = if let Some((scheme, rest)) = trimmed.split_once("://") {
        if scheme == "file" {
            return rest.to_owned();
        }
        rest.split_once('/').unwrap_or((rest, ""))
    } else if let Some((host, path)) = trimmed.split_once(':')
        && !host.contains('/')
    {
        (host, path.trim_start_matches('/'))
    } else {
        return trimmed.to_owned();
    };
    let host = host.rsplit_once('@').map_or(host, |(_, host)| host);
    format!("{}/{path}", host.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_repository_has_one_name_without_credentials() {
        for url in [
            "https://github.com/Org/repo",
            "https://github.com/Org/repo.git",
            "https://me:secret@GitHub.com/Org/repo/",
            "git@github.com:Org/repo.git",
            "ssh://git@github.com/Org/repo.git",
        ] {
            assert_eq!(normalised(url), "github.com/Org/repo", "{url}");
        }
        assert_eq!(normalised("/srv/git/repo.git"), "/srv/git/repo");
        assert_eq!(normalised("file:///srv/git/repo"), "/srv/git/repo");
        assert_eq!(normalised("../a:b/repo"), "../a:b/repo");
    }

    #[test]
    fn origin_is_preferred() {
        let config = "[core]\n\turl = no\n[remote \"fork\"]\n\tfetch = x\n\turl = https://h/fork\n";
        assert_eq!(
            remote(config),
            Some(("fork".into(), "https://h/fork".into()))
        );
        let config = format!(
            "{config}[remote \"origin\"]\n\turl = https://h/o\n[branch \"b\"]\n\turl = z\n"
        );
        assert_eq!(
            remote(&config),
            Some(("origin".into(), "https://h/o".into()))
        );
        assert_eq!(remote("[remote \"origin\"\nurl"), None);
    }
}
