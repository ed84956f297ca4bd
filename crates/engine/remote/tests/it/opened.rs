//! Opening remotes for tests.

use std::sync::Arc;

use rekindle_remote::blobs::Blobs;
use rekindle_remote::{Environment, Traffic, open};
use rekindle_testkit::servers::{ACCESS_KEY, S3, SECRET_KEY};

/// Opens a URL with these variables and no others.
pub(crate) fn opened(url: &str, variables: &[(&str, &str)]) -> (Arc<dyn Blobs>, Arc<Traffic>) {
    let environment = Environment::new(variables.iter().copied(), None);
    let traffic = Arc::new(Traffic::default());
    let blobs = open(&url.parse().unwrap(), &environment, &traffic).unwrap();
    (blobs, traffic)
}

/// What the servers of S3's know us by.
pub(crate) const KEYS: [(&str, &str); 2] = [
    ("AWS_ACCESS_KEY_ID", ACCESS_KEY),
    ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
];

/// Opens a server of S3's.
pub(crate) fn bucket(server: &S3, prefix: &str) -> Arc<dyn Blobs> {
    opened(&server.address(prefix), &KEYS).0
}
