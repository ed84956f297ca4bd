//! An address into blobs.

use std::sync::Arc;

use rekindle_base::env as names;

use crate::address::{Address, Bazel, Github};
use crate::blobs::{BlobError, Blobs};
use crate::dir::Dir;
use crate::environment::Environment;
use crate::github::{self, GithubCache, Repository};
use crate::object;
use crate::reapi::{self, ReapiCache};
use crate::redis::RedisBlobs;
use crate::secret::Secret;
use crate::traffic::Traffic;

/// The header of a token.
const AUTHORIZATION: &str = "authorization";

/// Why a remote could not be opened. Nothing has been asked of it yet.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// A part of the address, or a variable, is missing or means nothing.
    #[error("{what} is not complete: {hint}")]
    Incomplete {
        /// Of what.
        what: &'static str,
        /// What to do.
        hint: &'static str,
    },
    /// What is said of it makes no sense, or is not enough.
    #[error("{what}: {why}")]
    Refused {
        /// Of what.
        what: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// No certificates.
    #[error(
        "there are no certificates to check servers by: install `ca-certificates`, or set `SSL_CERT_FILE`"
    )]
    NoTls,
}

/// Opens a remote without asking it anything: what is wrong with it shows at the first call.
///
/// # Errors
/// [`OpenError`].
pub fn open(
    address: &Address,
    environment: &Environment,
    traffic: &Arc<Traffic>,
) -> Result<Arc<dyn Blobs>, OpenError> {
    let traffic = Arc::clone(traffic);
    Ok(match address {
        Address::S3(s3) => Arc::new(object::s3(s3, environment, traffic)?),
        Address::Gcs(gcs) => Arc::new(object::gcs(gcs, environment, traffic)?),
        Address::Azure(azure) => Arc::new(object::azure(azure, environment, traffic)?),
        Address::Webdav(webdav) => Arc::new(object::webdav(webdav, environment, traffic)?),
        Address::Github(github) => Arc::new(open_github(github, environment, traffic)?),
        Address::Bazel(bazel) => Arc::new(open_bazel(bazel, environment, traffic)?),
        Address::Directory(path) => Arc::new(Dir::new(path.clone())),
        Address::Redis(redis) => Arc::new(RedisBlobs::new(redis, traffic)?),
    })
}

/// What each job's environment says.
fn open_github(
    github: &Github,
    environment: &Environment,
    traffic: Arc<Traffic>,
) -> Result<GithubCache, OpenError> {
    let text = |name| environment.get(name).map(str::to_owned);
    let repository = || {
        Some(Repository {
            api_url: text(names::GITHUB_API_URL)?,
            name: text(names::GITHUB_REPOSITORY)?,
            token: Secret::new(environment.get(names::GITHUB_TOKEN)?),
        })
    };
    let settings = github::Settings {
        results_url: text(names::ACTIONS_RESULTS_URL),
        runtime_token: environment
            .get(names::ACTIONS_RUNTIME_TOKEN)
            .map(Secret::new),
        old_url: text(names::ACTIONS_CACHE_URL),
        mode: text(names::ACTIONS_CACHE_MODE),
        prefix: github.prefix.clone(),
        repository: repository(),
    };
    GithubCache::new(settings, traffic).map_err(|error| refused("GitHub's cache service", error))
}

fn open_bazel(
    bazel: &Bazel,
    environment: &Environment,
    traffic: Arc<Traffic>,
) -> Result<ReapiCache, OpenError> {
    let mut headers = bazel.headers.clone();
    let is_given = headers.iter().any(|(name, _)| name == AUTHORIZATION);
    if let (false, Some(token)) = (is_given, environment.get(names::REKINDLE_REMOTE_TOKEN)) {
        let bearer = Secret::new(format!("Bearer {token}"));
        headers.push((AUTHORIZATION.to_owned(), bearer));
    }
    let settings = reapi::Settings {
        authority: bazel.authority.clone(),
        tls: bazel.tls,
        instance: bazel.instance.clone(),
        headers,
    };
    ReapiCache::new(settings, traffic)
        .map_err(|error| refused("the Bazel Remote Execution server", error))
}

fn refused(what: &'static str, error: BlobError) -> OpenError {
    OpenError::Refused {
        what,
        why: match error {
            BlobError::Refused(why) => why,
            error => error.to_string(),
        },
    }
}
