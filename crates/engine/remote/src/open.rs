//! An address into blobs.

use std::sync::Arc;

use crate::address::Address;
use crate::blobs::Blobs;
use crate::environment::Environment;
use crate::object;
use crate::traffic::Traffic;

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
    /// No certificates.
    #[error(
        "there are no certificates to check servers by: install `ca-certificates`, or set `SSL_CERT_FILE`"
    )]
    NoTls,
    /// Of a kind that is opened elsewhere.
    #[error("`{0}` is no address of an object store")]
    Elsewhere(String),
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
        Address::Redis(_) | Address::Directory(_) | Address::Github(_) | Address::Bazel(_) => {
            return Err(OpenError::Elsewhere(address.to_string()));
        }
    })
}
