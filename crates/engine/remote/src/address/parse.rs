//! URLs into addresses.

use std::borrow::Cow;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use percent_encoding::percent_decode_str;
use rekindle_base::edits;
use url::Url;

use super::{Address, Azure, Bazel, Gcs, Github, Redis, S3, Secret, Webdav};

/// Each scheme, and the parameters that it knows.
const SCHEMES: &[(&str, &[&str])] = &[
    (
        "s3",
        &[
            "region",
            "endpoint",
            "virtual_host",
            "anonymous",
            "profile",
            "encryption",
        ],
    ),
    (
        "gcs",
        &["endpoint", "anonymous", "credentials", "service_account"],
    ),
    (
        "gs",
        &["endpoint", "anonymous", "credentials", "service_account"],
    ),
    ("azblob", &["account", "endpoint", "anonymous"]),
    ("webdav", &[]),
    ("webdavs", &[]),
    ("http", &[]),
    ("https", &[]),
    ("redis", &["prefix", "ttl"]),
    ("rediss", &["prefix", "ttl"]),
    ("file", &[]),
    ("gha", &[]),
    ("github", &[]),
    ("grpc", &[HEADER]),
    ("grpcs", &[HEADER]),
];

/// Before the name of a header that goes with each request.
const HEADER: &str = "header.";

/// The port of Redis.
const REDIS_PORT: u16 = 6379;

/// That a text is no address. Holds nothing of the text that may be secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// Not a URL.
    #[error("it is no URL: {0}; one looks like `s3://bucket/prefix`")]
    NotAUrl(String),
    /// Another scheme than ours.
    #[error("`{scheme}` is no kind of remote; did you mean `{nearest}`?")]
    UnknownScheme {
        /// Which.
        scheme: String,
        /// The one that was probably meant.
        nearest: &'static str,
    },
    /// A parameter that the scheme does not have.
    #[error("`{scheme}` has no parameter `{name}`{}", nearest.map_or_else(String::new, |nearest| format!("; did you mean `{nearest}`?")))]
    UnknownParameter {
        /// Of which scheme.
        scheme: String,
        /// Which.
        name: String,
        /// The one that was probably meant.
        nearest: Option<&'static str>,
    },
    /// A parameter, or a part of the URL, that means nothing.
    #[error("its {part} is not {expected}")]
    BadPart {
        /// Which.
        part: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// A variable that means nothing.
    #[error("`{name}` is not {expected}")]
    BadVariable {
        /// Which.
        name: &'static str,
        /// What is expected.
        expected: &'static str,
    },
    /// A secret where logs would show it.
    #[error("credentials do not belong into this URL: set {instead}")]
    Credentials {
        /// Where they belong.
        instead: &'static str,
    },
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let text = text.trim();
        // What the parser of URLs says names no part of its input.
        let not_a_url = |error: url::ParseError| AddressError::NotAUrl(error.to_string());
        let scheme = text.split_once("://").map_or("", |(scheme, _)| scheme);
        let scheme = scheme.to_ascii_lowercase();
        if scheme.is_empty() {
            return Err(not_a_url(url::ParseError::RelativeUrlWithoutBase));
        }
        let Some((scheme, known)) = SCHEMES.iter().find(|(name, _)| *name == scheme) else {
            let nearest = SCHEMES.iter().min_by_key(|(name, _)| edits(name, &scheme));
            return Err(AddressError::UnknownScheme {
                nearest: nearest.map_or("s3", |(name, _)| name),
                scheme,
            });
        };
        let url = Url::parse(text).map_err(not_a_url)?;
        let parts = Parts {
            scheme,
            url: &url,
            parameters: parameters(scheme, known, &url)?,
        };
        parts.address()
    }
}

fn parameters(
    scheme: &str,
    known: &[&'static str],
    url: &Url,
) -> Result<Vec<(String, String)>, AddressError> {
    let mut parameters = Vec::new();
    for (name, value) in url.query_pairs() {
        let is_known = known
            .iter()
            .any(|known| *known == name || (*known == HEADER && name.starts_with(HEADER)));
        if !is_known {
            let nearest = known.iter().min_by_key(|known| edits(known, &name));
            return Err(AddressError::UnknownParameter {
                scheme: scheme.to_owned(),
                name: name.into_owned(),
                nearest: nearest.copied(),
            });
        }
        parameters.push((name.into_owned(), value.into_owned()));
    }
    Ok(parameters)
}

/// A URL, taken apart.
struct Parts<'a> {
    scheme: &'static str,
    url: &'a Url,
    parameters: Vec<(String, String)>,
}

impl Parts<'_> {
    fn address(&self) -> Result<Address, AddressError> {
        match self.scheme {
            "s3" => self.s3(),
            "gcs" | "gs" => self.gcs(),
            "azblob" => self.azure(),
            "redis" | "rediss" => self.redis(),
            "file" => self.directory(),
            "gha" | "github" => self.github(),
            "grpc" | "grpcs" => self.bazel(),
            _ => self.webdav(),
        }
    }

    fn s3(&self) -> Result<Address, AddressError> {
        self.no_credentials("`AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`")?;
        Ok(Address::S3(S3 {
            bucket: self.host("bucket")?,
            prefix: self.prefix()?,
            region: self.text("region"),
            endpoint: self.endpoint()?,
            virtual_host: self.flag("virtual_host")?,
            anonymous: self.flag("anonymous")?,
            profile: self.text("profile"),
            encryption: self.text("encryption"),
        }))
    }

    fn gcs(&self) -> Result<Address, AddressError> {
        self.no_credentials("`GOOGLE_APPLICATION_CREDENTIALS`")?;
        Ok(Address::Gcs(Gcs {
            bucket: self.host("bucket")?,
            prefix: self.prefix()?,
            endpoint: self.endpoint()?,
            anonymous: self.flag("anonymous")?,
            credentials: self.text("credentials").map(PathBuf::from),
            service_account: self.text("service_account"),
        }))
    }

    fn azure(&self) -> Result<Address, AddressError> {
        self.no_credentials("`AZURE_STORAGE_ACCOUNT_KEY`")?;
        Ok(Address::Azure(Azure {
            container: self.host("container")?,
            prefix: self.prefix()?,
            account: self.text("account"),
            endpoint: self.endpoint()?,
            anonymous: self.flag("anonymous")?,
            connection: None,
        }))
    }

    fn webdav(&self) -> Result<Address, AddressError> {
        let scheme = match self.scheme {
            "webdav" | "http" => "http",
            _ => "https",
        };
        let (user, password) = self.user()?;
        Ok(Address::Webdav(Webdav {
            endpoint: format!("{scheme}://{}", self.authority("host")?),
            prefix: self.prefix()?,
            user,
            password,
            token: None,
        }))
    }

    fn redis(&self) -> Result<Address, AddressError> {
        let (user, password) = self.user()?;
        let database = match self.prefix()?.as_str() {
            "" => 0,
            text => text.parse().map_err(|_| AddressError::BadPart {
                part: "path",
                expected: "the number of a database",
            })?,
        };
        let ttl = match self.text("ttl") {
            None => None,
            Some(text) => Some(seconds(&text).ok_or(AddressError::BadPart {
                part: "parameter `ttl`",
                expected: "a number of seconds",
            })?),
        };
        let prefix = self.text("prefix").unwrap_or_default();
        Ok(Address::Redis(Redis {
            host: self.host("host")?,
            port: self.url.port().unwrap_or(REDIS_PORT),
            tls: self.scheme == "rediss",
            database,
            prefix: cleaned(&prefix, "parameter `prefix`")?,
            user,
            password,
            ttl,
        }))
    }

    fn directory(&self) -> Result<Address, AddressError> {
        self.url
            .to_file_path()
            .map(Address::Directory)
            .map_err(|()| AddressError::BadPart {
                part: "path",
                expected: "one of this machine's: `file:///directory`",
            })
    }

    /// The host is the first part of the prefix: `gha://a/b`.
    fn github(&self) -> Result<Address, AddressError> {
        self.no_credentials("nothing: GitHub gives each job its own")?;
        let host = self.url.host_str().unwrap_or_default();
        let whole = format!("{host}/{}", self.prefix()?);
        Ok(Address::Github(Github {
            prefix: cleaned(&whole, "prefix")?,
        }))
    }

    fn bazel(&self) -> Result<Address, AddressError> {
        self.no_credentials(
            "a header, as in `?header.authorization=…`, or `REKINDLE_REMOTE_TOKEN`",
        )?;
        let headers = self.parameters.iter().filter_map(|(name, value)| {
            let name = name.strip_prefix(HEADER)?;
            Some((name.to_ascii_lowercase(), Secret::new(value)))
        });
        Ok(Address::Bazel(Bazel {
            authority: self.authority("host")?,
            tls: self.scheme == "grpcs",
            instance: self.prefix()?,
            headers: headers.collect(),
        }))
    }

    fn no_credentials(&self, instead: &'static str) -> Result<(), AddressError> {
        if self.url.username().is_empty() && self.url.password().is_none() {
            Ok(())
        } else {
            Err(AddressError::Credentials { instead })
        }
    }

    fn user(&self) -> Result<(Option<String>, Option<Secret>), AddressError> {
        let bad = |_| AddressError::BadPart {
            part: "user or password",
            expected: "UTF-8",
        };
        let decoded = |text: &str| -> Result<Option<String>, AddressError> {
            let text = percent_decode_str(text).decode_utf8().map_err(bad)?;
            Ok(Some(text.into_owned()).filter(|text| !text.is_empty()))
        };
        let user = decoded(self.url.username())?;
        let password = decoded(self.url.password().unwrap_or_default())?;
        Ok((user, password.map(Secret::new)))
    }

    fn host(&self, part: &'static str) -> Result<String, AddressError> {
        match self.url.host_str() {
            Some(host) if !host.is_empty() => Ok(host.to_owned()),
            _ => Err(AddressError::BadPart {
                part,
                expected: "there: it stands behind `://`",
            }),
        }
    }

    fn authority(&self, part: &'static str) -> Result<String, AddressError> {
        let host = self.host(part)?;
        Ok(match self.url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host,
        })
    }

    fn prefix(&self) -> Result<String, AddressError> {
        cleaned(self.url.path(), "path")
    }

    fn text(&self, name: &str) -> Option<String> {
        let mut found = self.parameters.iter().filter(|(given, _)| given == name);
        found
            .next_back()
            .map(|(_, value)| value.clone())
            .filter(|value| !value.is_empty())
    }

    fn flag(&self, name: &'static str) -> Result<bool, AddressError> {
        match self.text(name) {
            None => Ok(false),
            Some(text) => truth(&text).ok_or(AddressError::BadPart {
                part: name,
                expected: "`true` or `false`",
            }),
        }
    }

    fn endpoint(&self) -> Result<Option<String>, AddressError> {
        let Some(text) = self.text("endpoint") else {
            return Ok(None);
        };
        endpoint(&text, "https")
            .map(Some)
            .ok_or(AddressError::BadPart {
                part: "parameter `endpoint`",
                expected: "a host or an `http` or `https` URL without credentials",
            })
    }
}

/// An endpoint with its scheme, which is `default` where it says none.
pub(super) fn endpoint(text: &str, default: &str) -> Option<String> {
    let whole = if text.contains("://") {
        Cow::Borrowed(text)
    } else {
        Cow::Owned(format!("{default}://{text}"))
    };
    let url = Url::parse(&whole).ok()?;
    let is_plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.has_host()
        && matches!(url.scheme(), "http" | "https");
    is_plain.then(|| url.as_str().trim_end_matches('/').to_owned())
}

/// A prefix without slashes at its ends.
pub(super) fn cleaned(text: &str, part: &'static str) -> Result<String, AddressError> {
    let bad = AddressError::BadPart {
        part,
        expected: "made of parts joined by `/`, none of them `..`, without control characters",
    };
    let Ok(text) = percent_decode_str(text).decode_utf8() else {
        return Err(bad);
    };
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    let is_fine = |part: &&str| *part != ".." && *part != "." && !part.contains(char::is_control);
    if parts.iter().all(is_fine) {
        Ok(parts.join("/"))
    } else {
        Err(bad)
    }
}

/// As sccache takes flags.
pub(super) fn truth(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "1" | "yes" => Some(true),
        "false" | "off" | "0" | "no" => Some(false),
        _ => None,
    }
}

pub(super) fn seconds(text: &str) -> Option<Duration> {
    text.parse()
        .ok()
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shown_as_it_was_written() {
        for text in [
            "s3://bucket",
            "s3://My_bucket/a/b?region=eu-central-1&endpoint=https://minio.example.org:9000",
            "s3://b?virtual_host=true&anonymous=true&profile=ci&encryption=aws:kms",
            "gcs://b/p?service_account=me",
            "gcs://b?endpoint=http://127.0.0.1:1&credentials=/key.json",
            "azblob://c/p?account=a",
            "https://host/a/b",
            "http://me@host:81",
            "redis://host:6380/2?prefix=a/b&ttl=60",
            "rediss://host:6379/0",
            "redis://[::1]:6379/0",
            "file:///srv/cache",
            "gha://",
            "gha://a/b",
            "grpc://host:8980",
            "grpcs://host:443/instance/name",
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), text);
            assert_eq!(address.to_string().parse(), Ok(address), "{text}");
        }
    }

    #[test]
    fn shown_otherwise() {
        for (text, expected) in [
            (" S3://b// ", "s3://b"),
            ("gs://b/p/", "gcs://b/p"),
            ("webdav://host/p", "http://host/p"),
            ("webdavs://host", "https://host"),
            ("redis://host", "redis://host:6379/0"),
            ("github://x", "gha://x"),
            (
                "s3://b?endpoint=minio:9000/",
                "s3://b?endpoint=https://minio:9000",
            ),
            ("s3://b/a%20b", "s3://b/a b"),
        ] {
            assert_eq!(text.parse::<Address>().unwrap().to_string(), expected);
        }
    }

    #[test]
    fn secrets_are_kept_and_not_shown() {
        for (text, expected) in [
            ("https://me:s3cret@host/p", "https://me:***@host/p"),
            ("redis://:s3cret@host", "redis://:***@host:6379/0"),
            (
                "grpcs://host?header.X-Api-Key=s3cret&header.b=s3cret",
                "grpcs://host?header.x-api-key=***&header.b=***",
            ),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.to_string(), expected);
            assert!(!format!("{address:?}").contains("s3cret"), "{address:?}");
            let kept = match address {
                Address::Webdav(Webdav { password, .. })
                | Address::Redis(Redis { password, .. }) => password.unwrap(),
                Address::Bazel(bazel) => bazel.headers[0].1.clone(),
                _ => unreachable!(),
            };
            assert_eq!(kept.reveal(), "s3cret");
        }
        let encoded = "https://me%40x:a%2Fb@host".parse().unwrap();
        let Address::Webdav(webdav) = encoded else {
            unreachable!()
        };
        assert_eq!(webdav.user.as_deref(), Some("me@x"));
        assert_eq!(webdav.password, Some(Secret::new("a/b")));
    }

    #[test]
    fn what_is_wrong_is_said() {
        for (text, expected) in [
            (
                "bucket",
                "it is no URL: relative URL without a base; one looks like `s3://bucket/prefix`",
            ),
            ("s33://b", "`s33` is no kind of remote; did you mean `s3`?"),
            ("gsc://b", "`gsc` is no kind of remote; did you mean `gs`?"),
            (
                "s3://b?regoin=x",
                "`s3` has no parameter `regoin`; did you mean `region`?",
            ),
            ("file:///x?a=b", "`file` has no parameter `a`"),
            ("s3://", "its bucket is not there: it stands behind `://`"),
            (
                "s3://b?anonymous=maybe",
                "its anonymous is not `true` or `false`",
            ),
            (
                "s3://b/a/%2e%2e%2f/b",
                "its path is not made of parts joined by `/`, none of them `..`, without control characters",
            ),
            ("redis://h/x", "its path is not the number of a database"),
            (
                "redis://h?ttl=0",
                "its parameter `ttl` is not a number of seconds",
            ),
            (
                "file://other/x",
                "its path is not one of this machine's: `file:///directory`",
            ),
            (
                "s3://key:s3cret@b",
                "credentials do not belong into this URL: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`",
            ),
            (
                "s3://b?endpoint=https://a:s3cret@h",
                "its parameter `endpoint` is not a host or an `http` or `https` URL without credentials",
            ),
            (
                "https://h:s3cret",
                "it is no URL: invalid port number; one looks like `s3://bucket/prefix`",
            ),
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert_eq!(error.to_string(), expected, "{text}");
            assert!(!format!("{error:?}").contains("s3cret"));
        }
    }
}
