//! Which remote caches are configured, whoever uses them. Another source adds a function here.

use super::context::Context;

/// A remote cache. Values of credentials are not in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Remote {
    /// For people, as in `the bucket `x``.
    pub(super) name: String,
    /// Which variables or keys say so.
    pub(super) set_in: String,
    /// Host and port; `None` where nobody listens in that way (GitHub's cache).
    pub(super) address: Option<(String, u16)>,
    /// Whether credentials are there; `None` where none are needed.
    pub(super) credentials: Option<bool>,
    /// Whether a region is there; `None` where none is needed.
    pub(super) region: Option<bool>,
}

/// All of them.
pub(super) fn configured(context: &Context<'_>) -> Vec<Remote> {
    let mut remotes: Vec<Remote> = ours(context);
    remotes.extend(sccache(context));
    remotes
}

/// Rekindle's own, by their addresses.
fn ours(context: &Context<'_>) -> Vec<Remote> {
    let Some((urls, set_in)) = context.remote() else {
        return Vec::new();
    };
    let urls = rekindle::remote::addresses(urls).into_iter();
    urls.filter_map(|url| by_url(context, set_in, url))
        .collect()
}

/// `s3://bucket/prefix?region=…`, `redis://host`, `https://host/path` and the like; a directory is no remote that
/// could be dead.
fn by_url(context: &Context<'_>, set_in: &str, url: &str) -> Option<Remote> {
    let (scheme, rest) = url.split_once("://")?;
    let parameter = |name: &str| {
        let (_, query) = rest.split_once('?')?;
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let found = pairs.into_iter().find(|(key, _)| *key == name);
        found.map(|(_, value)| value.replace("%3A", ":").replace("%2F", "/"))
    };
    let place = rest.split(['?', '/']).next()?.rsplit('@').next()?;
    let fixed = |host: &str| Some((host.to_owned(), 443));
    let (name, address, is_amazons) = match scheme {
        "file" | "gha" | "github" => return None,
        "s3" => {
            let endpoint = parameter("endpoint")
                .or_else(|| context.var("AWS_ENDPOINT_URL_S3"))
                .or_else(|| context.var("AWS_ENDPOINT_URL"));
            let region = parameter("region").or_else(|| region(context));
            let address = match &endpoint {
                Some(endpoint) => address(endpoint, 443),
                None => Some((amazons(region.as_deref().unwrap_or("us-east-1")), 443)),
            };
            (format!("the bucket `{place}`"), address, true)
        }
        "gs" | "gcs" => (
            format!("the bucket `{place}`"),
            fixed("storage.googleapis.com"),
            false,
        ),
        "azblob" => (format!("the container `{place}`"), None, false),
        "redis" | "rediss" => ("redis".to_owned(), address(rest, 6379), false),
        "memcached" | "tcp" => ("memcached".to_owned(), address(rest, 11211), false),
        other => {
            // `webdavs://`, `reapis://`: the last letter says that it is TLS.
            let secure = other.ends_with('s') || other.ends_with("https");
            let port = if secure { 443 } else { 80 };
            ("the remote".to_owned(), address(rest, port), false)
        }
    };
    Some(Remote {
        name,
        set_in: set_in.to_owned(),
        address,
        credentials: is_amazons.then(|| has_aws_credentials(context)),
        // Without one Amazon's first is taken.
        region: None,
    })
}

fn amazons(region: &str) -> String {
    format!("s3.{region}.amazonaws.com")
}

fn region(context: &Context<'_>) -> Option<String> {
    let names = ["SCCACHE_REGION", "AWS_REGION", "AWS_DEFAULT_REGION"];
    names.into_iter().find_map(|name| context.var(name))
}

/// What sccache's variables say. They matter where sccache is in use, and where a project changes over.
fn sccache(context: &Context<'_>) -> Vec<Remote> {
    let mut remotes: Vec<Remote> = bucket(context).into_iter().collect();
    for (names, title, port) in [
        (["SCCACHE_REDIS_ENDPOINT", "SCCACHE_REDIS"], "redis", 6379),
        (
            ["SCCACHE_MEMCACHED_ENDPOINT", "SCCACHE_MEMCACHED"],
            "memcached",
            11211,
        ),
        (
            ["SCCACHE_WEBDAV_ENDPOINT", "SCCACHE_WEBDAV_ENDPOINT"],
            "the WebDAV server",
            80,
        ),
    ] {
        let set = names
            .into_iter()
            .find_map(|name| Some((name, context.var(name)?)));
        let Some((name, value)) = set else { continue };
        remotes.push(Remote {
            name: title.to_owned(),
            set_in: name.to_owned(),
            address: address(&value, port),
            credentials: None,
            region: None,
        });
    }
    remotes
}

fn bucket(context: &Context<'_>) -> Option<Remote> {
    let bucket = context.var("SCCACHE_BUCKET")?;
    let endpoint = context.var("SCCACHE_ENDPOINT");
    let region = region(context);
    let secure = context
        .var("SCCACHE_S3_USE_SSL")
        .is_some_and(|value| value == "true");
    let address = match (&endpoint, &region) {
        (Some(endpoint), _) => address(endpoint, if secure { 443 } else { 80 }),
        (None, Some(region)) if region != "auto" => Some((amazons(region), 443)),
        _ => None,
    };
    let open = context
        .var("SCCACHE_S3_NO_CREDENTIALS")
        .is_some_and(|value| value == "true" || value == "1");
    Some(Remote {
        name: format!("the bucket `{bucket}`"),
        set_in: match endpoint {
            Some(_) => "SCCACHE_BUCKET and SCCACHE_ENDPOINT".to_owned(),
            None => "SCCACHE_BUCKET".to_owned(),
        },
        address,
        credentials: (!open).then(|| has_aws_credentials(context)),
        // Others than Amazon's have none.
        region: endpoint.is_none().then_some(region.is_some()),
    })
}

/// Whether any of the places has credentials that Amazon's clients look into.
fn has_aws_credentials(context: &Context<'_>) -> bool {
    let has = |name: &str| context.surroundings.non_empty(name).is_some();
    let by_variable = (has("AWS_ACCESS_KEY_ID") && has("AWS_SECRET_ACCESS_KEY"))
        || [
            "AWS_PROFILE",
            "AWS_WEB_IDENTITY_TOKEN_FILE",
            "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            "AWS_SHARED_CREDENTIALS_FILE",
        ]
        .into_iter()
        .any(has);
    let home = context.surroundings.home.as_ref();
    let by_file = home.is_some_and(|home| {
        ["credentials", "config"]
            .iter()
            .any(|name| rekindle_fsx::exists(&home.join(".aws").join(name)))
    });
    // A machine of Amazon's may be given a role.
    let vendor = std::path::Path::new("/sys/class/dmi/id/sys_vendor");
    let on_amazon =
        rekindle_fsx::read_to_string(vendor).is_ok_and(|text| text.starts_with("Amazon"));
    by_variable || by_file || on_amazon
}

/// Host and port of `https://user:secret@host:port/path`, `tcp://host`, `host:port` or `host`; of several
/// addresses the first.
fn address(text: &str, default_port: u16) -> Option<(String, u16)> {
    let first = text.split([',', ';']).next()?.trim();
    let (scheme, rest) = match first.split_once("://") {
        Some((scheme, rest)) => (Some(scheme), rest),
        None => (None, first),
    };
    let port = match scheme {
        Some("https" | "grpcs") => 443,
        Some("http" | "grpc") => 80,
        Some("unix" | "unixsocket" | "redis+unix") => return None,
        _ => default_port,
    };
    let authority = rest.split(['/', '?']).next()?;
    let host = authority.rsplit('@').next()?;
    if let Some(rest) = host.strip_prefix('[') {
        let (host, rest) = rest.split_once(']')?;
        let port = rest
            .strip_prefix(':')
            .map_or(Some(port), |port| port.parse().ok())?;
        return Some((host.to_owned(), port));
    }
    match host.rsplit_once(':') {
        Some((host, given)) => Some((host.to_owned(), given.parse().ok()?)),
        None => (!host.is_empty()).then(|| (host.to_owned(), port)),
    }
}

#[cfg(test)]
mod tests {
    use rekindle::Surroundings;
    use rekindle::cargo_config::CargoConfig;

    use super::*;

    #[test]
    fn addresses_are_read_without_their_secrets() {
        let check = |text: &str, expected: Option<(&str, u16)>| {
            let found = address(text, 7);
            assert_eq!(
                found.as_ref().map(|(h, p)| (h.as_str(), *p)),
                expected,
                "{text}"
            );
        };
        check("https://user:pass@host/path", Some(("host", 443)));
        check("http://host:9000", Some(("host", 9000)));
        check("redis://:secret@10.0.0.1:6380/0", Some(("10.0.0.1", 6380)));
        check("tcp://host", Some(("host", 7)));
        check("host:1,other:2", Some(("host", 1)));
        check("host", Some(("host", 7)));
        check("http://[::1]:80/x", Some(("::1", 80)));
        check("", None);
        check("unix:///run/x", None);
    }

    #[test]
    fn addresses_of_our_own_are_read() {
        let surroundings = Surroundings::default();
        let resolved = rekindle::settings::resolve(&Surroundings {
            home: Some("/home/me".into()),
            ..Surroundings::default()
        });
        let resolved = resolved.unwrap();
        let config = CargoConfig::read(&surroundings, std::path::Path::new("/"), &[]);
        let context = Context::new(&surroundings, &config, None, &resolved);
        let check = |url: &str, expected: Option<(&str, u16)>| {
            let remote = by_url(&context, "X", url);
            let address = remote.as_ref().and_then(|remote| remote.address.as_ref());
            assert_eq!(address.map(|(h, p)| (h.as_str(), *p)), expected, "{url}");
            assert!(remote.is_none_or(|remote| !remote.name.contains("hush")));
        };
        check(
            "s3://bucket/x?region=eu-west-1",
            Some(("s3.eu-west-1.amazonaws.com", 443)),
        );
        check(
            "s3://bucket?endpoint=http%3A%2F%2F127.0.0.1%3A9000",
            Some(("127.0.0.1", 9000)),
        );
        check("redis://user:hush@host", Some(("host", 6379)));
        check("webdavs://host/dir", Some(("host", 443)));
        check("https://hush@host:8443", Some(("host", 8443)));
        check("file:///mnt/cache", None);
        check("gha://", None);
        check("github://", None);
    }

    /// As a build takes them: from the configuration where no variable says so, and not where they are off.
    #[test]
    fn our_remotes_are_those_that_a_build_would_use() {
        let home = tempfile::tempdir().unwrap();
        let file = home.path().join(".config/rekindle/config.toml");
        rekindle_fsx::create_dir_all(file.parent().unwrap()).unwrap();
        rekindle_fsx::atomic::write(&file, b"remote = 'redis://of-file'\n").unwrap();
        let check = |vars: &[(&str, &str)], expected: Option<(&str, &str)>| {
            let surroundings = Surroundings {
                vars: vars
                    .iter()
                    .map(|(n, v)| ((*n).into(), (*v).into()))
                    .collect(),
                home: Some(home.path().to_owned()),
                cwd: home.path().to_owned(),
            };
            let resolved = rekindle::settings::resolve(&surroundings).unwrap();
            let config = CargoConfig::read(&surroundings, home.path(), &[]);
            let context = Context::new(&surroundings, &config, None, &resolved);
            let found = ours(&context);
            let found = found.first().map(|remote| {
                let (host, _) = remote.address.as_ref().unwrap();
                (host.as_str(), remote.set_in.as_str())
            });
            assert_eq!(found, expected, "{vars:?}");
        };
        check(&[], Some(("of-file", "`remote` in the configuration file")));
        let variable = ("REKINDLE_REMOTE", "redis://of-variable");
        check(&[variable], Some(("of-variable", "REKINDLE_REMOTE")));
        check(&[("REKINDLE_REMOTE_MODE", "off")], None);
        check(&[variable, ("REKINDLE_REMOTE_MODE", "off")], None);
    }
}
