//! Remotes from outside: what each kind keeps of the promises of [`rekindle_remote::blobs`], against real servers where
//! there are any.
#![allow(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    reason = "tests start servers, and read how they are to be run"
)]
#![allow(clippy::unwrap_used, reason = "helpers of tests fail the test")]

mod azure;
mod conformance;
mod credentials;
mod faults;
mod gcs;
mod github;
mod github_client;
mod github_faults;
mod lab;
mod opened;
mod opened_services;
mod reapi;
mod reapi_buildgrid;
mod reapi_manners;
mod reapi_tls;
mod redis;
mod s3;
mod saves;
mod support;
mod tiered;
mod tools;
mod webdav;
