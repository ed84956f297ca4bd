//! Every environment variable that Rekindle reads, declared once. The reference page is generated
//! from [`ALL`]; only the CLI crate reads them.

/// Who sets a variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// People and CI files set it.
    Public,
    /// Understood because another tool's users have it set already.
    Alias,
    /// One Rekindle process sets it for another; not for people.
    Internal,
}

/// One environment variable.
#[derive(Clone, Copy, Debug)]
pub struct EnvVar {
    /// Its name.
    pub name: &'static str,
    /// Who sets it.
    pub audience: Audience,
    /// What it does, in one sentence, with units and default.
    pub help: &'static str,
}

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $ident:ident = $audience:ident;)+) => {
        $($(#[doc = $doc])+ pub const $ident: &str = stringify!($ident);)+
        /// All of them, in the order of the reference page.
        pub const ALL: &[EnvVar] = &[
            $(EnvVar { name: stringify!($ident), audience: Audience::$audience, help: concat!($($doc, " "),+) },)+
        ];
    };
}

variables! {
    /// Directory of the local store. Default: `rekindle` in `$XDG_CACHE_HOME`, else `~/.cache/rekindle`.
    REKINDLE_DIR = Public;
    /// Size budget of the local store, as in `10G`. Default: `10G`.
    REKINDLE_CACHE_SIZE = Public;
    /// `1` compiles every unit again and replaces what the store holds for it. Default: `0`.
    REKINDLE_RECACHE = Public;
    /// `1` compiles every hit again and compares the outputs bit by bit. Default: `0`.
    REKINDLE_VERIFY = Public;
    /// `0` keeps real paths in outputs, so that another directory is a miss. Default: `1`.
    REKINDLE_REMAP = Public;
    /// `auto`, `system`, or the name of a linker (`lld`, `rust-lld`, `mold`, `wild`). Default: `auto`.
    REKINDLE_LINKER = Public;
    /// `0` neither restores nor captures snapshots of target directories. Default: `1`.
    REKINDLE_SNAPSHOT = Public;
    /// `0` observes neither compilers nor build scripts: units are keyed by what they declare. Default: `1`.
    REKINDLE_OBSERVE = Public;
    /// `0` starts every build script that cargo wants to run. Default: `1`.
    REKINDLE_SCRIPTS = Public;
    /// Packages, with commas between them, whose build scripts are used again though they talk to a network, read the
    /// time of day or something random, or ask to be run each time. Default: none.
    REKINDLE_TRUSTED_SCRIPTS = Public;
    /// `1` runs cargo without Rekindle's wrapper. Default: `0`.
    REKINDLE_DISABLE = Public;
    /// `1` silences the lines that Rekindle prints after cargo's. Default: `0`.
    REKINDLE_QUIET = Public;
    /// `0` writes no report of a run on a CI service: neither GitHub's job summary, nor annotations, a page or
    /// lines in the log. Default: `1`.
    REKINDLE_REPORT = Public;
    /// Directory of the pages that runs on a CI service write. Default: `rekindle-reports` in `$RUNNER_TEMP`, else
    /// beside the run's log in the store.
    REKINDLE_REPORT_DIR = Public;
    /// A bearer token for a remote that is a WebDAV or a Bazel Remote Execution server.
    REKINDLE_REMOTE_TOKEN = Public;
    /// Where saves are shared with other machines, as in `s3://bucket/prefix` or `file:///mnt/cache`. Default: nowhere.
    REKINDLE_REMOTE = Public;
    /// `read-only`, `read-write` or `off`. Default: in CI `read-write` for pushes to the default branch and to protected ones,
    /// else `read-only`; elsewhere `read-write`.
    REKINDLE_REMOTE_MODE = Public;
    /// What saves are signed with: `secret:TEXT`, `ed25519:SEED`, or `ed25519-public:KEY` for who only reads. Others' saves
    /// are left alone then. Default: none.
    REKINDLE_REMOTE_KEY = Public;
    /// The longest that one request to the remote takes, as in `10s` or `500ms`, besides what its bytes need. Default: `10s`.
    REKINDLE_REMOTE_DEADLINE = Public;
    /// The longest that a run spends on requests that come to nothing; after that it goes on without the remote. Default: `20s`.
    REKINDLE_REMOTE_PATIENCE = Public;
    /// The longest that a run's end waits for what goes to the remote. Default: `60s`.
    REKINDLE_REMOTE_LINGER = Public;
    /// Path of a configuration file read instead of the user's own.
    REKINDLE_CONFIG = Public;
    /// As `REKINDLE_DIR`, when that is unset: a directory of its own is made inside.
    SCCACHE_DIR = Alias;
    /// As `REKINDLE_CACHE_SIZE`, when that is unset.
    SCCACHE_CACHE_SIZE = Alias;
    /// As `REKINDLE_RECACHE`, when that is unset.
    SCCACHE_RECACHE = Alias;
    /// A bucket of S3's as the remote, when none of Rekindle's own is named.
    SCCACHE_BUCKET = Alias;
    /// Region of that bucket. Default: as `AWS_REGION` says.
    SCCACHE_REGION = Alias;
    /// Where S3 is, for that bucket: a host, or an `http` or `https` URL. Default: AWS.
    SCCACHE_ENDPOINT = Alias;
    /// `true` or `false`: whether `SCCACHE_ENDPOINT` is reached with TLS. Default: as its scheme says, else not.
    SCCACHE_S3_USE_SSL = Alias;
    /// What every key in that bucket begins with.
    SCCACHE_S3_KEY_PREFIX = Alias;
    /// `true` sends requests to that bucket unsigned.
    SCCACHE_S3_NO_CREDENTIALS = Alias;
    /// `true` asks S3 to encrypt what is written to that bucket (`AES256`).
    SCCACHE_S3_SERVER_SIDE_ENCRYPTION = Alias;
    /// `true` asks S3 to encrypt with a key of AWS's key service.
    SCCACHE_S3_SERVER_SIDE_ENCRYPTION_AWS_KMS = Alias;
    /// With which key of AWS's key service.
    SCCACHE_S3_SERVER_SIDE_ENCRYPTION_KMS_KEY_ID = Alias;
    /// `true` puts the bucket's name into the host's.
    SCCACHE_S3_ENABLE_VIRTUAL_HOST_STYLE = Alias;
    /// `READ_ONLY` or `READ_WRITE`, for that bucket.
    SCCACHE_S3_RW_MODE = Alias;
    /// A bucket of Google's as the remote, when none of Rekindle's own is named.
    SCCACHE_GCS_BUCKET = Alias;
    /// What every key in that bucket of Google's begins with.
    SCCACHE_GCS_KEY_PREFIX = Alias;
    /// File of the service account's key, for that bucket of Google's.
    SCCACHE_GCS_KEY_PATH = Alias;
    /// The service account whose token a machine of Google's asks for.
    SCCACHE_GCS_SERVICE_ACCOUNT = Alias;
    /// `READ_ONLY` or `READ_WRITE`, for that bucket of Google's. Default: `READ_ONLY`.
    SCCACHE_GCS_RW_MODE = Alias;
    /// Account, key and endpoint of an Azure Blob container.
    SCCACHE_AZURE_CONNECTION_STRING = Alias;
    /// A container of Azure's as the remote, when none of Rekindle's own is named.
    SCCACHE_AZURE_BLOB_CONTAINER = Alias;
    /// The storage account of that container, where no connection string says it.
    SCCACHE_AZURE_STORAGE_ACCOUNT = Alias;
    /// Where that container is, where no connection string says it.
    SCCACHE_AZURE_ENDPOINT = Alias;
    /// What every key in that container begins with.
    SCCACHE_AZURE_KEY_PREFIX = Alias;
    /// `READ_ONLY` or `READ_WRITE`, for that container.
    SCCACHE_AZURE_RW_MODE = Alias;
    /// A Redis server as the remote, as in `redis://host:6379`, when none of Rekindle's own is named.
    SCCACHE_REDIS_ENDPOINT = Alias;
    /// The older name of `SCCACHE_REDIS_ENDPOINT`.
    SCCACHE_REDIS = Alias;
    /// Who asks that server.
    SCCACHE_REDIS_USERNAME = Alias;
    /// With which password that server is asked.
    SCCACHE_REDIS_PASSWORD = Alias;
    /// Number of the database in that server. Default: as its URL says, else `0`.
    SCCACHE_REDIS_DB = Alias;
    /// Seconds for which that server keeps what is written. Default: `0`, until it wants the memory.
    SCCACHE_REDIS_EXPIRATION = Alias;
    /// The older name of `SCCACHE_REDIS_EXPIRATION`.
    SCCACHE_REDIS_TTL = Alias;
    /// What every key in that server begins with.
    SCCACHE_REDIS_KEY_PREFIX = Alias;
    /// `READ_ONLY` or `READ_WRITE`, for that server of Redis.
    SCCACHE_REDIS_RW_MODE = Alias;
    /// A WebDAV server as the remote, as an `http` or `https` URL, when none of Rekindle's own is named.
    SCCACHE_WEBDAV_ENDPOINT = Alias;
    /// The directory below that URL.
    SCCACHE_WEBDAV_KEY_PREFIX = Alias;
    /// Who asks that WebDAV server.
    SCCACHE_WEBDAV_USERNAME = Alias;
    /// With which password that WebDAV server is asked.
    SCCACHE_WEBDAV_PASSWORD = Alias;
    /// A bearer token for that WebDAV server, in the place of user and password.
    SCCACHE_WEBDAV_TOKEN = Alias;
    /// `READ_ONLY` or `READ_WRITE`, for that WebDAV server.
    SCCACHE_WEBDAV_RW_MODE = Alias;
    /// `true` makes GitHub's cache service the remote, when none of Rekindle's own is named.
    SCCACHE_GHA_ENABLED = Alias;
    /// What every key in GitHub's cache service begins with.
    SCCACHE_GHA_VERSION = Alias;
    /// `READ_ONLY` or `READ_WRITE`, for GitHub's cache service.
    SCCACHE_GHA_RW_MODE = Alias;
    /// Where GitHub's cache service is: each job is told.
    ACTIONS_RESULTS_URL = Alias;
    /// The job's token for that service, which GitHub gives to actions and not to `run` steps.
    ACTIONS_RUNTIME_TOKEN = Alias;
    /// Where the first version of that service is, which is not spoken; with it alone the remote says so.
    ACTIONS_CACHE_URL = Alias;
    /// What the job may do with that service: `none`, `read`, `write` or `write-only`.
    ACTIONS_CACHE_MODE = Alias;
    /// Where GitHub's ordinary interface is, for `rekindle cache` on its cache service and `rekindle history import github`.
    GITHUB_API_URL = Alias;
    /// The repository whose caches are listed and removed.
    GITHUB_REPOSITORY = Alias;
    /// The token for listing and removing them, and for `rekindle history import github --repo`.
    GITHUB_TOKEN = Alias;
    /// As `GITHUB_TOKEN` for `rekindle history import github --repo`, when that is unset.
    GH_TOKEN = Alias;
    /// Who asks S3. Without it: the profile, web identity, the container's or the machine's role, in this order.
    AWS_ACCESS_KEY_ID = Alias;
    /// The secret to `AWS_ACCESS_KEY_ID`.
    AWS_SECRET_ACCESS_KEY = Alias;
    /// What belongs to a temporary `AWS_ACCESS_KEY_ID`.
    AWS_SESSION_TOKEN = Alias;
    /// Region of a bucket of S3's whose address says none. Default: `us-east-1`.
    AWS_REGION = Alias;
    /// As `AWS_REGION`, when that is unset.
    AWS_DEFAULT_REGION = Alias;
    /// Where S3 is, for a bucket whose address does not say.
    AWS_ENDPOINT_URL_S3 = Alias;
    /// As `AWS_ENDPOINT_URL_S3`, when that is unset.
    AWS_ENDPOINT_URL = Alias;
    /// Profile in AWS's files, for a bucket whose address says none.
    AWS_PROFILE = Alias;
    /// AWS's file of profiles. Default: `~/.aws/config`.
    AWS_CONFIG_FILE = Alias;
    /// AWS's file of credentials. Default: `~/.aws/credentials`.
    AWS_SHARED_CREDENTIALS_FILE = Alias;
    /// The role that a web identity takes on.
    AWS_ROLE_ARN = Alias;
    /// The name of that role's session.
    AWS_ROLE_SESSION_NAME = Alias;
    /// File of a web identity's token.
    AWS_WEB_IDENTITY_TOKEN_FILE = Alias;
    /// Where a container of AWS's asks for credentials.
    AWS_CONTAINER_CREDENTIALS_RELATIVE_URI = Alias;
    /// As `AWS_CONTAINER_CREDENTIALS_RELATIVE_URI`, when that is unset.
    AWS_CONTAINER_CREDENTIALS_FULL_URI = Alias;
    /// The token for asking there.
    AWS_CONTAINER_AUTHORIZATION_TOKEN = Alias;
    /// File of the token for asking there.
    AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE = Alias;
    /// `true` does not ask the machine for its role.
    AWS_EC2_METADATA_DISABLED = Alias;
    /// Where the machine is asked for its role.
    AWS_EC2_METADATA_SERVICE_ENDPOINT = Alias;
    /// File of credentials for Google Cloud Storage.
    GOOGLE_APPLICATION_CREDENTIALS = Alias;
    /// The storage account of a container whose address says none.
    AZURE_STORAGE_ACCOUNT_NAME = Alias;
    /// The key of that storage account.
    AZURE_STORAGE_ACCOUNT_KEY = Alias;
    /// A shared access signature, in the place of the account's key.
    AZURE_STORAGE_SAS_TOKEN = Alias;
    /// Account, key and endpoint in one, for a container whose address says none.
    AZURE_STORAGE_CONNECTION_STRING = Alias;
    /// The application that a workload's identity asks Azure as.
    AZURE_CLIENT_ID = Alias;
    /// The tenant of that application.
    AZURE_TENANT_ID = Alias;
    /// File of a workload's token for Azure.
    AZURE_FEDERATED_TOKEN_FILE = Alias;
    /// The secret of that application.
    AZURE_CLIENT_SECRET = Alias;
    /// The frozen settings of a run, as JSON, for the wrapper.
    REKINDLE_SETTINGS = Internal;
    /// The user's own `RUSTC_WRAPPER`, for the wrapper to call: `rekindle env` sets it.
    REKINDLE_INNER_WRAPPER = Internal;
    /// What the linker shim needs to know of the unit that it links, as JSON.
    REKINDLE_LINK = Internal;
    /// `1` tells Rekindle's own programs that they run inside of an observed step: they do nothing but
    /// start what they stand for.
    REKINDLE_OBSERVED = Internal;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_explained() {
        let mut names: Vec<_> = ALL.iter().map(|var| var.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|var| var.help.len() > 20));
        assert!(ALL.iter().any(|var| var.name == REKINDLE_DIR));
    }
}
