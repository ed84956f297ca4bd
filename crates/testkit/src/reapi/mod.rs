//! A Remote Execution server's caches, for what the real ones on a test machine cannot show: BLAKE3, zstd, tokens, faults at
//! any request, and how strict it may be.
//!
//! It checks what the specification lets a server check: digests, offsets, that an entry's file, its action and its
//! command are in the storage.

mod caches;
mod state;
mod streams;

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_server::ActionCacheServer;
use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_server::CapabilitiesServer;
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_server::ContentAddressableStorageServer;
use bazel_remote_apis::google::bytestream::byte_stream_server::ByteStreamServer;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Identity, ServerTlsConfig};

use self::state::State;
use crate::stand_in::Serving;

/// How a server is.
#[derive(Clone, Debug)]
pub struct Manner {
    /// Whether its digests are BLAKE3's, else SHA-256's.
    pub blake3: bool,
    /// Whether it takes and gives zstd.
    pub zstd: bool,
    /// Whether it sends small files along with an entry.
    pub inlines: bool,
    /// Whether its action cache may be changed.
    pub updates: bool,
    /// Most bytes in a batch; `0` for what gRPC takes.
    pub batch_bytes: i64,
    /// The largest blob; `0` for any.
    pub blob_bytes: i64,
    /// A header that each request must have.
    pub token: Option<(String, String)>,
    /// The only instance.
    pub instance: String,
    /// Certificate and key, in PEM, where connections are to be encrypted.
    pub tls: Option<(String, String)>,
}

impl Default for Manner {
    fn default() -> Self {
        Self {
            blake3: false,
            zstd: false,
            inlines: false,
            updates: true,
            batch_bytes: 0,
            blob_bytes: 0,
            token: None,
            instance: String::new(),
            tls: None,
        }
    }
}

/// What goes wrong with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not done; the answer is this code of gRPC's, with the seconds after which to come again.
    Refuse(i32, Option<i64>),
    /// It is not done, and never answered.
    Stall,
    /// An upload ends after so many bytes, which are kept.
    CutUpload(usize),
    /// One bit of the bytes that are read is another.
    Flip,
    /// There is more than was asked for.
    TooMuch,
}

/// A server on a port of its own; it ends with this value.
pub struct Server {
    serving: Serving,
    state: Arc<Mutex<State>>,
}

/// What the services share.
#[derive(Clone)]
struct Shared(Arc<Mutex<State>>);

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Server {
    /// Starts one, with nothing in it.
    #[must_use]
    pub fn start(manner: Manner) -> Self {
        let tls = manner.tls.clone();
        let state = Arc::new(Mutex::new(State::new(manner)));
        let shared = Shared(Arc::clone(&state));
        let serving = Serving::start(|listener| async {
            let mut builder = tonic::transport::Server::builder();
            if let Some((certificate, key)) = tls {
                rekindle_remote::tls::install();
                let identity = Identity::from_pem(certificate, key);
                let config = ServerTlsConfig::new().identity(identity);
                builder = builder.tls_config(config).unwrap();
            }
            let _ = builder
                .add_service(CapabilitiesServer::new(shared.clone()))
                .add_service(ActionCacheServer::new(shared.clone()))
                .add_service(ContentAddressableStorageServer::new(shared.clone()))
                .add_service(ByteStreamServer::new(shared))
                .serve_with_incoming(TcpListenerStream::new(listener))
                .await;
        });
        Self { serving, state }
    }

    /// Host and port.
    #[must_use]
    pub fn authority(&self) -> String {
        self.serving.address.to_string()
    }

    /// From now on: what happens to the requests with these numbers, counted from the next one on.
    pub fn fault(&self, requests: Range<usize>, fault: Fault) {
        self.state().requests.order_fault(requests, fault);
    }

    /// The requests so far, each as the name of its method and what it is about.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.state().requests.shown()
    }

    /// Bytes of blobs that came, as they came.
    #[must_use]
    pub fn received_bytes(&self) -> usize {
        self.state().received_bytes
    }

    /// Forgets all blobs, and keeps the entries.
    pub fn forget_blobs(&self) {
        self.state().blobs.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
