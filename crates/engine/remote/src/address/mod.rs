//! Where a remote is: a URL that people write, or the variables that they have set for sccache.
//!
//! | URL | remote |
//! |---|---|
//! | `s3://bucket/prefix?region=…&endpoint=…` | S3, and what speaks like it |
//! | `gcs://bucket/prefix`, `gs://…` | Google Cloud Storage |
//! | `azblob://container/prefix?account=…` | Azure Blob Storage |
//! | `webdav://host/prefix`, `webdavs://…`, `http://…`, `https://…` | WebDAV, or HTTP that takes `PUT` |
//! | `redis://host:port/database?prefix=…`, `rediss://…` | Redis |
//! | `file:///directory` | a directory, on a disk or a network's file system |
//! | `gha://prefix`, `github://…` | the cache service of GitHub Actions |
//! | `grpc://host:port/instance`, `grpcs://…` | a Bazel Remote Execution server |
//!
//! Secrets come from the environment, or stand before the host where that is the custom (WebDAV, Redis). No `Debug`, no
//! `Display` and no error shows one.

mod parse;
mod show;
mod variables;

use std::path::PathBuf;
use std::time::Duration;

pub use parse::AddressError;
pub use variables::FromVariables;

use crate::secret::Secret;

/// Where a remote is. `Display` shows it for people, as the URL that means the same, secrets as `***`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// S3 and what speaks like it.
    S3(S3),
    /// Google Cloud Storage.
    Gcs(Gcs),
    /// Azure Blob Storage.
    Azure(Azure),
    /// WebDAV, or HTTP that takes `PUT`.
    Webdav(Webdav),
    /// Redis.
    Redis(Redis),
    /// A directory, by its absolute path.
    Directory(PathBuf),
    /// The cache service of GitHub Actions.
    Github(Github),
    /// A Bazel Remote Execution server.
    Bazel(Bazel),
}

/// A bucket of S3's. What is `None` is as the environment says, else as the service's custom is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct S3 {
    /// The bucket's name.
    pub bucket: String,
    /// What every key begins with; without slashes at its ends; may be empty.
    pub prefix: String,
    /// As in `eu-central-1`.
    pub region: Option<String>,
    /// Where the service is, with its scheme; `None`: AWS, or `AWS_ENDPOINT_URL`.
    pub endpoint: Option<String>,
    /// Whether the bucket's name stands in the host's, not in the path.
    pub virtual_host: bool,
    /// Whether requests are not signed.
    pub anonymous: bool,
    /// The profile in AWS's files.
    pub profile: Option<String>,
    /// Server-side encryption, as in `AES256` or `aws:kms`.
    pub encryption: Option<String>,
}

/// A bucket of Google's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gcs {
    /// The bucket's name.
    pub bucket: String,
    /// As of [`S3::prefix`].
    pub prefix: String,
    /// Where the service is; `None`: Google.
    pub endpoint: Option<String>,
    /// Whether requests are not signed.
    pub anonymous: bool,
    /// File of a service account's key; `None`: the application's default credentials.
    pub credentials: Option<PathBuf>,
    /// The service account whose token a virtual machine asks for.
    pub service_account: Option<String>,
}

/// A container of Azure's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Azure {
    /// The container's name.
    pub container: String,
    /// As of [`S3::prefix`].
    pub prefix: String,
    /// The storage account.
    pub account: Option<String>,
    /// Where the service is; `None`: as the account or the connection string says.
    pub endpoint: Option<String>,
    /// Whether requests are not signed.
    pub anonymous: bool,
    /// Account, key and endpoint in one.
    pub connection: Option<Secret>,
}

/// A directory of a WebDAV server's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Webdav {
    /// Scheme, host and port, as in `https://cache.example.org`.
    pub endpoint: String,
    /// As of [`S3::prefix`].
    pub prefix: String,
    /// Who asks.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<Secret>,
    /// A bearer token in the place of user and password.
    pub token: Option<Secret>,
}

/// A database of a Redis server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redis {
    /// The host.
    pub host: String,
    /// The port.
    pub port: u16,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The database's number.
    pub database: i64,
    /// What every key begins with, before a slash; may be empty.
    pub prefix: String,
    /// Who asks, where the server has several users.
    pub user: Option<String>,
    /// With which password.
    pub password: Option<Secret>,
    /// For how long a key is kept; `None`: until the server wants the memory.
    pub ttl: Option<Duration>,
}

/// GitHub's cache service. Where it is and who asks is in the environment of each job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Github {
    /// What every key begins with; may be empty.
    pub prefix: String,
}

/// A Bazel Remote Execution server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bazel {
    /// Host and port, as in `cache.example.org:8980`.
    pub authority: String,
    /// Whether the connection is encrypted.
    pub tls: bool,
    /// The instance's name; may be empty.
    pub instance: String,
    /// Headers of each request, by lower-case name.
    pub headers: Vec<(String, Secret)>,
}
