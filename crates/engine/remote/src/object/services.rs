//! Addresses into operators of opendal.

use std::sync::Arc;

use opendal::services::{Azblob, Gcs as GcsBuilder, S3 as S3Builder, Webdav as WebdavBuilder};
use opendal::{Builder, Operator};
use rekindle_base::env as names;
use reqsign_core::ProvideCredentialChain;

use super::credentials::Given;
use super::transport::Client;
use super::{Objects, Service};
use crate::address::{Azure, Gcs, S3, Webdav};
use crate::environment::Environment;
use crate::open::OpenError;
use crate::secret::Secret;
use crate::traffic::Traffic;

/// Where AWS has what has no region: and what other services take, who mostly know one.
const DEFAULT_REGION: &str = "us-east-1";

/// A bucket of S3's.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn s3(
    s3: &S3,
    environment: &Environment,
    traffic: Arc<Traffic>,
) -> Result<Objects, OpenError> {
    let region = s3.region.as_deref();
    let region = region
        .or_else(|| environment.first(&[names::AWS_REGION, names::AWS_DEFAULT_REGION]))
        .unwrap_or(DEFAULT_REGION);
    let endpoint = s3.endpoint.as_deref();
    let endpoint = endpoint
        .or_else(|| environment.first(&[names::AWS_ENDPOINT_URL_S3, names::AWS_ENDPOINT_URL]));
    let mut builder = S3Builder::default()
        .bucket(&s3.bucket)
        .root(&s3.prefix)
        .region(region)
        .disable_config_load()
        .credential_provider_chain(ProvideCredentialChain::new().push(aws(s3, environment)));
    if let Some(endpoint) = endpoint {
        builder = builder.endpoint(endpoint);
    }
    if s3.virtual_host {
        builder = builder.enable_virtual_host_style();
    }
    if s3.anonymous {
        builder = builder.skip_signature();
    }
    builder = match s3.encryption.as_deref() {
        None => builder,
        Some(text) => match text.split_once("aws:kms:") {
            Some(("", key)) => builder
                .server_side_encryption("aws:kms")
                .server_side_encryption_aws_kms_key_id(key),
            _ => builder.server_side_encryption(text),
        },
    };
    objects(builder, Service::Keys, traffic)
}

fn aws(s3: &S3, environment: &Environment) -> Given<reqsign_aws_v4::DefaultCredentialProvider> {
    let mut builder = reqsign_aws_v4::DefaultCredentialProvider::builder();
    if let Some(profile) = &s3.profile {
        builder = builder.with_profile(profile);
    }
    Given::new(builder.build(), environment)
}

/// A bucket of Google's.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn gcs(
    gcs: &Gcs,
    environment: &Environment,
    traffic: Arc<Traffic>,
) -> Result<Objects, OpenError> {
    let provider = reqsign_google::DefaultCredentialProvider::new();
    let mut builder = GcsBuilder::default()
        .bucket(&gcs.bucket)
        .root(&gcs.prefix)
        .disable_config_load();
    builder = match (&gcs.credentials, &gcs.service_account) {
        (Some(path), _) => builder
            .credential_path(&path.to_string_lossy())
            .disable_vm_metadata(),
        (None, Some(account)) => builder.service_account(account),
        (None, None) => builder
            .disable_vm_metadata()
            .credential_provider(Given::new(provider, environment)),
    };
    if let Some(endpoint) = &gcs.endpoint {
        builder = builder.endpoint(endpoint);
    }
    if gcs.anonymous {
        builder = builder.skip_signature();
    }
    objects(builder, Service::Keys, traffic)
}

/// A container of Azure's.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn azure(
    azure: &Azure,
    environment: &Environment,
    traffic: Arc<Traffic>,
) -> Result<Objects, OpenError> {
    let given = azure.connection.as_ref().map(Secret::reveal);
    let is_placed = azure.account.is_some() || azure.endpoint.is_some();
    let connection = given.or_else(|| {
        let own = environment.get(names::AZURE_STORAGE_CONNECTION_STRING);
        own.filter(|_| !is_placed)
    });
    let account = azure.account.as_deref();
    let account = account.or_else(|| environment.get(names::AZURE_STORAGE_ACCOUNT_NAME));
    let mut builder = match connection {
        // The library's error may quote the text.
        Some(text) => Azblob::from_connection_string(text).map_err(|_| OpenError::Incomplete {
            what: "the connection string of Azure Blob Storage",
            hint: "it looks like `AccountName=…;AccountKey=…`",
        })?,
        None => own_azure(azure, account, environment)?,
    };
    builder = builder.container(&azure.container).root(&azure.prefix);
    if azure.anonymous {
        builder = builder.skip_signature();
    }
    objects(builder, Service::Keys, traffic)
}

fn own_azure(
    azure: &Azure,
    account: Option<&str>,
    environment: &Environment,
) -> Result<Azblob, OpenError> {
    let endpoint = match (&azure.endpoint, account) {
        (Some(endpoint), _) => endpoint.clone(),
        (None, Some(account)) => format!("https://{account}.blob.core.windows.net"),
        (None, None) => {
            return Err(OpenError::Incomplete {
                what: "the address of an Azure container",
                hint: "add `?account=…`, or set `AZURE_STORAGE_ACCOUNT_NAME`",
            });
        }
    };
    let mut builder = Azblob::default().endpoint(&endpoint);
    if let Some(account) = account {
        builder = builder.account_name(account);
    }
    let provider = match (
        account,
        environment.get(names::AZURE_STORAGE_ACCOUNT_KEY),
        environment.get(names::AZURE_STORAGE_SAS_TOKEN),
    ) {
        (Some(account), Some(key), _) => {
            reqsign_azure_storage::StaticCredentialProvider::new_shared_key(account, key).into()
        }
        (_, _, Some(token)) => {
            Some(reqsign_azure_storage::StaticCredentialProvider::new_sas_token(token))
        }
        _ => None,
    };
    let chain = match provider {
        Some(provider) => ProvideCredentialChain::new().push(provider),
        None => ProvideCredentialChain::new().push(Given::new(
            reqsign_azure_storage::DefaultCredentialProvider::new(),
            environment,
        )),
    };
    Ok(builder.credential_provider_chain(chain))
}

/// A directory of a WebDAV server's.
///
/// # Errors
/// [`OpenError`].
pub(crate) fn webdav(
    webdav: &Webdav,
    environment: &Environment,
    traffic: Arc<Traffic>,
) -> Result<Objects, OpenError> {
    let own = || environment.get(names::REKINDLE_REMOTE_TOKEN);
    let token = webdav.token.as_ref().map(Secret::reveal);
    let token = token.or_else(|| own().filter(|_| webdav.user.is_none()));
    let builder = |makes_directories: bool| {
        let builder = WebdavBuilder::default()
            .endpoint(&webdav.endpoint)
            .root(&webdav.prefix)
            .disable_create_dir(!makes_directories);
        match (token, &webdav.user) {
            (Some(token), _) => builder.token(token),
            (None, Some(user)) => {
                let password = webdav.password.as_ref().map(Secret::reveal);
                builder
                    .username(user)
                    .password(password.unwrap_or_default())
            }
            (None, None) => builder,
        }
    };
    let mut objects = objects(builder(false), Service::Files, traffic)?;
    objects.careful = Some(operator(builder(true))?);
    Ok(objects)
}

fn operator(builder: impl Builder) -> Result<Operator, OpenError> {
    // The library's messages quote what they were given.
    Operator::new(builder).map_err(|_| OpenError::Incomplete {
        what: "the address",
        hint: "compare it with docs/remote.md",
    })
}

fn objects(
    builder: impl Builder,
    kind: Service,
    traffic: Arc<Traffic>,
) -> Result<Objects, OpenError> {
    let operator = operator(builder)?;
    let client = Client::new(traffic).map_err(|_| OpenError::NoTls)?;
    Ok(Objects::new(operator, kind, Arc::new(client)))
}
