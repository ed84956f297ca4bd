//! The variables of sccache, which mean here what they mean there, so that a workflow that has them needs no edit.
//!
//! Where several remotes are named the first counts, in sccache's order: S3, Redis, Google, GitHub, Azure, WebDAV.

use std::path::PathBuf;

use rekindle_base::env as names;

use super::parse::{cleaned, endpoint, seconds, truth};
use super::{Address, AddressError, Azure, Gcs, Github, S3, Secret};
use crate::environment::Environment;

/// What sccache's variables say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FromVariables {
    /// Where the remote is.
    pub address: Address,
    /// Whether it may be written, where the variables say. sccache only reads from Google unless it is told.
    pub read_only: Option<bool>,
    /// The variable that named it.
    pub variable: &'static str,
}

/// Looks for one kind of remote.
type Reader = fn(&Environment) -> Result<Option<FromVariables>, AddressError>;

impl Address {
    /// The remote that sccache's variables name, if any does.
    ///
    /// # Errors
    /// [`AddressError::BadVariable`].
    pub fn from_variables(
        environment: &Environment,
    ) -> Result<Option<FromVariables>, AddressError> {
        let readers: [Reader; 6] = [s3, redis, gcs, github, azure, webdav];
        for reader in readers {
            if let Some(found) = reader(environment)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

fn azure(environment: &Environment) -> Result<Option<FromVariables>, AddressError> {
    let Some(container) = environment.get(names::SCCACHE_AZURE_BLOB_CONTAINER) else {
        return Ok(None);
    };
    let text = |name| environment.get(name).map(str::to_owned);
    let connection = text(names::SCCACHE_AZURE_CONNECTION_STRING);
    let account = text(names::SCCACHE_AZURE_STORAGE_ACCOUNT);
    let endpoint = text(names::SCCACHE_AZURE_ENDPOINT);
    // There a container alone is no remote.
    if connection.is_none() && account.is_none() && endpoint.is_none() {
        return Ok(None);
    }
    Ok(Some(FromVariables {
        address: Address::Azure(Azure {
            container: container.to_owned(),
            prefix: prefix(environment, names::SCCACHE_AZURE_KEY_PREFIX)?,
            account,
            endpoint,
            anonymous: false,
            connection: connection.map(Secret::new),
        }),
        read_only: mode(environment, names::SCCACHE_AZURE_RW_MODE)?,
        variable: names::SCCACHE_AZURE_BLOB_CONTAINER,
    }))
}

fn gcs(environment: &Environment) -> Result<Option<FromVariables>, AddressError> {
    let Some(bucket) = environment.get(names::SCCACHE_GCS_BUCKET) else {
        return Ok(None);
    };
    let text = |name| environment.get(name).map(str::to_owned);
    Ok(Some(FromVariables {
        address: Address::Gcs(Gcs {
            bucket: bucket.to_owned(),
            prefix: prefix(environment, names::SCCACHE_GCS_KEY_PREFIX)?,
            credentials: text(names::SCCACHE_GCS_KEY_PATH).map(PathBuf::from),
            service_account: text(names::SCCACHE_GCS_SERVICE_ACCOUNT),
            ..Gcs::default()
        }),
        read_only: Some(mode(environment, names::SCCACHE_GCS_RW_MODE)?.unwrap_or(true)),
        variable: names::SCCACHE_GCS_BUCKET,
    }))
}

fn github(environment: &Environment) -> Result<Option<FromVariables>, AddressError> {
    // There a version is as good as the flag.
    let is_on = environment.get(names::SCCACHE_GHA_VERSION).is_some()
        || flag(environment, names::SCCACHE_GHA_ENABLED)?.unwrap_or(false);
    if !is_on {
        return Ok(None);
    }
    Ok(Some(FromVariables {
        address: Address::Github(Github {
            prefix: prefix(environment, names::SCCACHE_GHA_VERSION)?,
        }),
        read_only: mode(environment, names::SCCACHE_GHA_RW_MODE)?,
        variable: names::SCCACHE_GHA_ENABLED,
    }))
}

fn redis(environment: &Environment) -> Result<Option<FromVariables>, AddressError> {
    let (variable, text) = match (
        environment.get(names::SCCACHE_REDIS_ENDPOINT),
        environment.get(names::SCCACHE_REDIS),
    ) {
        (Some(text), _) => (names::SCCACHE_REDIS_ENDPOINT, text),
        (None, Some(text)) => (names::SCCACHE_REDIS, text),
        (None, None) => return Ok(None),
    };
    let bad = AddressError::BadVariable {
        name: variable,
        expected: "a URL of a Redis server, as in `redis://host:6379`",
    };
    // There `tcp` is another word for `redis`, and nothing is, too.
    let url = match text.split_once("://") {
        None => format!("redis://{text}"),
        Some(("tcp", rest)) => format!("redis://{rest}"),
        Some(("redis" | "rediss", _)) => text.to_owned(),
        Some(_) => return Err(bad),
    };
    let Ok(Address::Redis(mut redis)) = url.parse() else {
        return Err(bad);
    };
    if let Some(user) = environment.get(names::SCCACHE_REDIS_USERNAME) {
        redis.user = Some(user.to_owned());
    }
    if let Some(password) = environment.get(names::SCCACHE_REDIS_PASSWORD) {
        redis.password = Some(Secret::new(password));
    }
    if let Some(number) = environment.get(names::SCCACHE_REDIS_DB) {
        redis.database = number.parse().map_err(|_| AddressError::BadVariable {
            name: names::SCCACHE_REDIS_DB,
            expected: "the number of a database",
        })?;
    }
    for name in [names::SCCACHE_REDIS_EXPIRATION, names::SCCACHE_REDIS_TTL] {
        if let Some(text) = environment.get(name) {
            let expected = "a number of seconds";
            // There 0 is for ever.
            redis.ttl = match text {
                "0" => None,
                _ => Some(seconds(text).ok_or(AddressError::BadVariable { name, expected })?),
            };
            break;
        }
    }
    if environment.get(names::SCCACHE_REDIS_KEY_PREFIX).is_some() {
        redis.prefix = prefix(environment, names::SCCACHE_REDIS_KEY_PREFIX)?;
    }
    Ok(Some(FromVariables {
        address: Address::Redis(redis),
        read_only: mode(environment, names::SCCACHE_REDIS_RW_MODE)?,
        variable,
    }))
}

fn s3(environment: &Environment) -> Result<Option<FromVariables>, AddressError> {
    let Some(bucket) = environment.get(names::SCCACHE_BUCKET) else {
        return Ok(None);
    };
    let text = |name| environment.get(name).map(str::to_owned);
    Ok(Some(FromVariables {
        address: Address::S3(S3 {
            bucket: bucket.to_owned(),
            prefix: prefix(environment, names::SCCACHE_S3_KEY_PREFIX)?,
            region: text(names::SCCACHE_REGION),
            endpoint: s3_endpoint(environment)?,
            virtual_host: flag(environment, names::SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE)?
                .unwrap_or(false),
            anonymous: flag(environment, names::SCCACHE_S3_NO_CREDENTIALS)?.unwrap_or(false),
            profile: None,
            encryption: s3_encryption(environment)?,
        }),
        read_only: mode(environment, names::SCCACHE_S3_RW_MODE)?,
        variable: names::SCCACHE_BUCKET,
    }))
}

/// As the address has it: `AES256`, `aws:kms` or `aws:kms:KEY`.
fn s3_encryption(environment: &Environment) -> Result<Option<String>, AddressError> {
    let is_on = |name| Ok::<_, AddressError>(flag(environment, name)?.unwrap_or(false));
    if let Some(key) = environment.get(names::SCCACHE_S3_SERVER_SIDE_ENCRYPTION_KMS_KEY_ID) {
        return Ok(Some(format!("aws:kms:{key}")));
    }
    if is_on(names::SCCACHE_S3_SERVER_SIDE_ENCRYPTION_AWS_KMS)? {
        return Ok(Some("aws:kms".to_owned()));
    }
    let plain = is_on(names::SCCACHE_S3_SERVER_SIDE_ENCRYPTION)?;
    Ok(plain.then(|| "AES256".to_owned()))
}

/// There an endpoint without a scheme is reached without TLS, unless `SCCACHE_S3_USE_SSL` says otherwise, which
/// beats a scheme, too.
fn s3_endpoint(environment: &Environment) -> Result<Option<String>, AddressError> {
    let Some(text) = environment.get(names::SCCACHE_ENDPOINT) else {
        return Ok(None);
    };
    let (scheme, host) = text.split_once("://").unwrap_or(("http", text));
    let scheme = match flag(environment, names::SCCACHE_S3_USE_SSL)? {
        Some(true) => "https",
        Some(false) => "http",
        None => scheme,
    };
    let whole = format!("{scheme}://{host}");
    endpoint(&whole, scheme)
        .map(Some)
        .ok_or(AddressError::BadVariable {
            name: names::SCCACHE_ENDPOINT,
            expected: "a host or an `http` or `https` URL without credentials",
        })
}

fn webdav(environment: &Environment) -> Result<Option<FromVariables>, AddressError> {
    let Some(text) = environment.get(names::SCCACHE_WEBDAV_ENDPOINT) else {
        return Ok(None);
    };
    let Ok(Address::Webdav(mut webdav)) = text.parse() else {
        return Err(AddressError::BadVariable {
            name: names::SCCACHE_WEBDAV_ENDPOINT,
            expected: "an `http` or `https` URL",
        });
    };
    // The prefix is below the endpoint's own path.
    let below = prefix(environment, names::SCCACHE_WEBDAV_KEY_PREFIX)?;
    let both = format!("{}/{below}", webdav.prefix);
    webdav.prefix = both.trim_matches('/').to_owned();
    if let Some(user) = environment.get(names::SCCACHE_WEBDAV_USERNAME) {
        webdav.user = Some(user.to_owned());
    }
    if let Some(password) = environment.get(names::SCCACHE_WEBDAV_PASSWORD) {
        webdav.password = Some(Secret::new(password));
    }
    webdav.token = environment
        .get(names::SCCACHE_WEBDAV_TOKEN)
        .map(Secret::new);
    Ok(Some(FromVariables {
        address: Address::Webdav(webdav),
        read_only: mode(environment, names::SCCACHE_WEBDAV_RW_MODE)?,
        variable: names::SCCACHE_WEBDAV_ENDPOINT,
    }))
}

fn prefix(environment: &Environment, name: &'static str) -> Result<String, AddressError> {
    let text = environment.get(name).unwrap_or_default();
    cleaned(text, "prefix").map_err(|_| AddressError::BadVariable {
        name,
        expected: "made of parts joined by `/`",
    })
}

fn flag(environment: &Environment, name: &'static str) -> Result<Option<bool>, AddressError> {
    match environment.get(name) {
        None => Ok(None),
        Some(text) => truth(text).map(Some).ok_or(AddressError::BadVariable {
            name,
            expected: "`true` or `false`",
        }),
    }
}

fn mode(environment: &Environment, name: &'static str) -> Result<Option<bool>, AddressError> {
    let text = environment.get(name).map(str::to_ascii_uppercase);
    match text.as_deref() {
        None => Ok(None),
        Some("READ_ONLY") => Ok(Some(true)),
        Some("READ_WRITE") => Ok(Some(false)),
        Some(_) => Err(AddressError::BadVariable {
            name,
            expected: "`READ_ONLY` or `READ_WRITE`",
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(variables: &[(&str, &str)]) -> Result<Option<FromVariables>, AddressError> {
        Address::from_variables(&Environment::new(variables.iter().copied(), None))
    }

    #[track_caller]
    fn check(variables: &[(&str, &str)], shown: &str, read_only: Option<bool>) {
        let found = said(variables).unwrap().unwrap();
        assert_eq!(found.address.to_string(), shown, "{variables:?}");
        assert_eq!(found.read_only, read_only, "{variables:?}");
    }

    #[test]
    fn s3_as_sccache_reads_it() {
        let bucket = ("SCCACHE_BUCKET", "b");
        check(&[bucket], "s3://b", None);
        check(
            &[
                bucket,
                ("SCCACHE_REGION", "eu-central-1"),
                ("SCCACHE_S3_KEY_PREFIX", "/a/b/"),
                ("SCCACHE_S3_NO_CREDENTIALS", "1"),
                ("SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE", "on"),
                ("SCCACHE_S3_SERVER_SIDE_ENCRYPTION", "true"),
                ("SCCACHE_S3_RW_MODE", "read_only"),
            ],
            "s3://b/a/b?region=eu-central-1&virtual_host=true&anonymous=true&encryption=AES256",
            Some(true),
        );
        for (endpoint, ssl, expected) in [
            // sccache's own table.
            (
                "s3-us-east-1.amazonaws.com",
                "",
                "http://s3-us-east-1.amazonaws.com",
            ),
            ("http://host:9000", "", "http://host:9000"),
            ("https://host", "", "https://host"),
            ("host:9000", "true", "https://host:9000"),
            ("http://host", "true", "https://host"),
            ("https://host", "false", "http://host"),
        ] {
            check(
                &[
                    bucket,
                    ("SCCACHE_ENDPOINT", endpoint),
                    ("SCCACHE_S3_USE_SSL", ssl),
                ],
                &format!("s3://b?endpoint={expected}"),
                None,
            );
        }
        let key = ("SCCACHE_S3_SERVER_SIDE_ENCRYPTION_KMS_KEY_ID", "k");
        check(&[bucket, key], "s3://b?encryption=aws:kms:k", None);
    }

    #[test]
    fn redis_as_sccache_reads_it() {
        check(
            &[("SCCACHE_REDIS", "redis://h/3")],
            "redis://h:6379/3",
            None,
        );
        check(
            &[
                ("SCCACHE_REDIS_ENDPOINT", "tcp://h:1"),
                ("SCCACHE_REDIS_USERNAME", "me"),
                ("SCCACHE_REDIS_PASSWORD", "secret"),
                ("SCCACHE_REDIS_DB", "2"),
                ("SCCACHE_REDIS_EXPIRATION", "60"),
                ("SCCACHE_REDIS_KEY_PREFIX", "/p/"),
            ],
            "redis://me:***@h:1/2?prefix=p&ttl=60",
            None,
        );
        check(
            &[
                ("SCCACHE_REDIS_ENDPOINT", "h"),
                ("SCCACHE_REDIS_EXPIRATION", "0"),
            ],
            "redis://h:6379/0",
            None,
        );
        assert!(said(&[("SCCACHE_REDIS_ENDPOINT", "unix:///x")]).is_err());
    }

    #[test]
    fn the_others_as_sccache_reads_them() {
        check(&[("SCCACHE_GCS_BUCKET", "b")], "gcs://b", Some(true));
        check(
            &[
                ("SCCACHE_GCS_BUCKET", "b"),
                ("SCCACHE_GCS_KEY_PREFIX", "p"),
                ("SCCACHE_GCS_KEY_PATH", "/k.json"),
                ("SCCACHE_GCS_RW_MODE", "READ_WRITE"),
            ],
            "gcs://b/p?credentials=/k.json",
            Some(false),
        );
        check(
            &[
                ("SCCACHE_AZURE_BLOB_CONTAINER", "c"),
                (
                    "SCCACHE_AZURE_CONNECTION_STRING",
                    "AccountName=a;AccountKey=secret",
                ),
                ("SCCACHE_AZURE_KEY_PREFIX", "p/"),
            ],
            "azblob://c/p",
            None,
        );
        check(
            &[
                ("SCCACHE_WEBDAV_ENDPOINT", "https://h/dav"),
                ("SCCACHE_WEBDAV_KEY_PREFIX", "/p"),
                ("SCCACHE_WEBDAV_USERNAME", "me"),
                ("SCCACHE_WEBDAV_PASSWORD", "secret"),
            ],
            "https://me:***@h/dav/p",
            None,
        );
        check(&[("SCCACHE_GHA_ENABLED", "on")], "gha://", None);
        check(&[("SCCACHE_GHA_VERSION", "v2")], "gha://v2", None);
    }

    #[test]
    fn nothing_is_named() {
        for variables in [
            &[][..],
            &[("SCCACHE_GHA_ENABLED", "false")],
            &[("SCCACHE_AZURE_BLOB_CONTAINER", "c")],
            &[("SCCACHE_REGION", "x"), ("SCCACHE_BUCKET", "")],
        ] {
            assert_eq!(said(variables), Ok(None), "{variables:?}");
        }
    }

    #[test]
    fn the_first_counts() {
        check(
            &[
                ("SCCACHE_WEBDAV_ENDPOINT", "http://h"),
                ("SCCACHE_BUCKET", "b"),
                ("SCCACHE_GHA_ENABLED", "1"),
            ],
            "s3://b",
            None,
        );
    }

    #[test]
    fn what_means_nothing_is_named() {
        let bucket = ("SCCACHE_BUCKET", "b");
        for (name, value) in [
            ("SCCACHE_S3_USE_SSL", "maybe"),
            ("SCCACHE_S3_KEY_PREFIX", "a/../b"),
            ("SCCACHE_S3_RW_MODE", "READ"),
            ("SCCACHE_ENDPOINT", "https://key:secret@host"),
        ] {
            let more = ("SCCACHE_ENDPOINT", "h");
            let error = said(&[bucket, more, (name, value)])
                .unwrap_err()
                .to_string();
            assert!(error.contains(name) && !error.contains("secret"), "{error}");
        }
    }
}
