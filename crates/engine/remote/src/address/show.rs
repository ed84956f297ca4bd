//! Addresses for people: the URL that means the same, without secrets.

use std::fmt::{self, Display};

use super::{Address, Azure, Bazel, Gcs, Redis, S3, Secret, Webdav};

impl Address {
    /// What kind of remote it is, as its URL begins.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::S3(_) => "s3",
            Self::Gcs(_) => "gcs",
            Self::Azure(_) => "azblob",
            Self::Webdav(_) => "webdav",
            Self::Redis(_) => "redis",
            Self::Directory(_) => "file",
            Self::Github(_) => "gha",
            Self::Bazel(_) => "grpc",
        }
    }
}

impl Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::S3(s3) => show_s3(s3, f),
            Self::Gcs(gcs) => show_gcs(gcs, f),
            Self::Azure(azure) => show_azure(azure, f),
            Self::Webdav(webdav) => show_webdav(webdav, f),
            Self::Redis(redis) => show_redis(redis, f),
            Self::Directory(path) => write!(f, "file://{}", path.display()),
            Self::Github(github) => write!(f, "gha://{}", github.prefix),
            Self::Bazel(bazel) => show_bazel(bazel, f),
        }
    }
}

fn show_s3(s3: &S3, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = [
        ("region", s3.region.as_deref()),
        ("endpoint", s3.endpoint.as_deref()),
        ("virtual_host", flag(s3.virtual_host)),
        ("anonymous", flag(s3.anonymous)),
        ("profile", s3.profile.as_deref()),
        ("encryption", s3.encryption.as_deref()),
    ];
    write!(f, "s3://{}{}", s3.bucket, path(&s3.prefix))?;
    parameters(&shown, f)
}

fn show_gcs(gcs: &Gcs, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let credentials = gcs
        .credentials
        .as_ref()
        .map(|path| path.display().to_string());
    let shown = [
        ("endpoint", gcs.endpoint.as_deref()),
        ("anonymous", flag(gcs.anonymous)),
        ("credentials", credentials.as_deref()),
        ("service_account", gcs.service_account.as_deref()),
    ];
    write!(f, "gcs://{}{}", gcs.bucket, path(&gcs.prefix))?;
    parameters(&shown, f)
}

fn show_azure(azure: &Azure, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let shown = [
        ("account", azure.account.as_deref()),
        ("endpoint", azure.endpoint.as_deref()),
        ("anonymous", flag(azure.anonymous)),
    ];
    write!(f, "azblob://{}{}", azure.container, path(&azure.prefix))?;
    parameters(&shown, f)
}

fn show_webdav(webdav: &Webdav, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let (scheme, host) = webdav
        .endpoint
        .split_once("://")
        .unwrap_or(("https", &webdav.endpoint));
    write!(f, "{scheme}://")?;
    user(webdav.user.as_deref(), webdav.password.as_ref(), f)?;
    write!(f, "{host}{}", path(&webdav.prefix))
}

fn show_redis(redis: &Redis, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(if redis.tls { "rediss://" } else { "redis://" })?;
    user(redis.user.as_deref(), redis.password.as_ref(), f)?;
    write!(f, "{}:{}/{}", redis.host, redis.port, redis.database)?;
    let prefix = (!redis.prefix.is_empty()).then_some(redis.prefix.as_str());
    let ttl = redis.ttl.map(|ttl| ttl.as_secs().to_string());
    parameters(&[("prefix", prefix), ("ttl", ttl.as_deref())], f)
}

fn show_bazel(bazel: &Bazel, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str(if bazel.tls { "grpcs://" } else { "grpc://" })?;
    write!(f, "{}{}", bazel.authority, path(&bazel.instance))?;
    for (index, (name, _)) in bazel.headers.iter().enumerate() {
        write!(f, "{}header.{name}=***", separator(index == 0))?;
    }
    Ok(())
}

fn user(user: Option<&str>, password: Option<&Secret>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (user, password) {
        (None, None) => Ok(()),
        (user, None) => write!(f, "{}@", user.unwrap_or_default()),
        (user, Some(_)) => write!(f, "{}:***@", user.unwrap_or_default()),
    }
}

fn flag(is_set: bool) -> Option<&'static str> {
    is_set.then_some("true")
}

fn path(prefix: &str) -> String {
    if prefix.is_empty() {
        String::new()
    } else {
        format!("/{prefix}")
    }
}

fn separator(is_first: bool) -> char {
    if is_first { '?' } else { '&' }
}

fn parameters(shown: &[(&str, Option<&str>)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let given = shown
        .iter()
        .filter_map(|(name, value)| value.map(|value| (name, value)));
    for (index, (name, value)) in given.enumerate() {
        write!(f, "{}{name}={value}", separator(index == 0))?;
    }
    Ok(())
}
