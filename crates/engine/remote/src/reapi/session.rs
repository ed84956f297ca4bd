//! A connection, and what the server at its end can do.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_client::ActionCacheClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_client::CapabilitiesClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::compressor;
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_client::ContentAddressableStorageClient;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    CacheCapabilities, GetCapabilitiesRequest, RequestMetadata, ToolDetails,
};
use bazel_remote_apis::google::bytestream::byte_stream_client::ByteStreamClient;
use prost::Message as _;
use tonic::metadata::{
    AsciiMetadataKey, AsciiMetadataValue, KeyAndValueRef, MetadataMap, MetadataValue,
};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, ClientTlsConfig, Endpoint};
use tonic::{Code, Request, Response, Status};

use super::Settings;
use super::digest::Function;
use super::status;
use crate::blobs::BlobError;
use crate::http::with_causes;
use crate::traffic::Traffic;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);
/// What may be under way to us on one stream: a fast link at 40 ms takes this much to be full.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 16 << 20;
/// A server that answers nothing for so long while it is asked is gone.
const PING_EVERY: Duration = Duration::from_secs(15);
const PING_WAITS: Duration = Duration::from_secs(10);

/// gRPC's limit for a message, unless both sides agree about another.
const MESSAGE_BYTES: usize = 4 << 20;
/// What a message holds besides the bytes of blobs.
const AROUND_BYTES: usize = 64 << 10;

const METADATA_KEY: &str = "build.bazel.remote.execution.v2.requestmetadata-bin";

pub(super) type Service = InterceptedService<Channel, Headers>;

/// Headers of each request: the caller's tokens, and who we are.
#[derive(Clone)]
pub(super) struct Headers(MetadataMap);

impl Headers {
    pub(super) fn new(settings: &Settings) -> Result<Self, BlobError> {
        let mut map = MetadataMap::new();
        for (name, value) in &settings.headers {
            let bad = || BlobError::Refused(format!("`{name}` or its value cannot be a header"));
            let key = AsciiMetadataKey::from_bytes(name.as_bytes()).map_err(|_| bad())?;
            let mut value: AsciiMetadataValue = value.reveal().parse().map_err(|_| bad())?;
            value.set_sensitive(true);
            map.insert(key, value);
        }
        let metadata = RequestMetadata {
            tool_details: Some(ToolDetails {
                tool_name: "rekindle".into(),
                tool_version: env!("CARGO_PKG_VERSION").into(),
            }),
            ..RequestMetadata::default()
        };
        map.insert_bin(
            METADATA_KEY,
            MetadataValue::from_bytes(&metadata.encode_to_vec()),
        );
        Ok(Self(map))
    }
}

impl Interceptor for Headers {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let metadata = request.metadata_mut();
        for header in self.0.iter() {
            match header {
                KeyAndValueRef::Ascii(name, value) => {
                    metadata.insert(name, value.clone());
                }
                KeyAndValueRef::Binary(name, value) => {
                    metadata.insert_bin(name, value.clone());
                }
            }
        }
        Ok(request)
    }
}

/// What the server can do.
#[derive(Clone, Debug)]
pub(super) struct Abilities {
    pub(super) function: Function,
    /// Whether it streams zstd.
    pub(super) streams_zstd: bool,
    /// Whether it takes zstd in batches.
    pub(super) batches_zstd: bool,
    /// Most bytes of blobs in one batch.
    pub(super) batch_bytes: usize,
    /// The largest blob that it keeps, where it says.
    pub(super) blob_bytes: Option<u64>,
    /// Whether it lets us change its action cache.
    pub(super) updates: bool,
}

/// A connection; cheap to clone.
#[derive(Clone)]
pub(super) struct Session {
    pub(super) cas: ContentAddressableStorageClient<Service>,
    pub(super) actions: ActionCacheClient<Service>,
    pub(super) streams: ByteStreamClient<Service>,
    pub(super) instance: String,
    pub(super) can: Abilities,
    pub(super) traffic: Arc<Traffic>,
}

impl Session {
    /// Connects, and asks what the server can do.
    pub(super) async fn open(
        settings: &Settings,
        headers: &Headers,
        traffic: &Arc<Traffic>,
    ) -> Result<Self, BlobError> {
        let channel = endpoint(settings)?.connect_lazy();
        let service = InterceptedService::new(channel, headers.clone());
        let instance = settings.instance.clone();
        let request = GetCapabilitiesRequest {
            instance_name: instance.clone(),
        };
        traffic.asked(request.encoded_len() as u64);
        let can = match CapabilitiesClient::new(service.clone())
            .get_capabilities(request)
            .await
        {
            Ok(answer) => {
                let answer = answer.into_inner();
                traffic.came(answer.encoded_len() as u64);
                abilities(answer.cache_capabilities)?
            }
            // From before it could be asked.
            Err(status) if status.code() == Code::Unimplemented => {
                abilities(Some(CacheCapabilities {
                    digest_functions: vec![Function::Sha256.value() as i32],
                    ..CacheCapabilities::default()
                }))?
            }
            Err(status) => return Err(not_missing(status::error(&status))),
        };
        Ok(Self {
            cas: ContentAddressableStorageClient::new(service.clone())
                .max_decoding_message_size(2 * MESSAGE_BYTES),
            actions: ActionCacheClient::new(service.clone())
                .max_decoding_message_size(2 * MESSAGE_BYTES),
            streams: ByteStreamClient::new(service).max_decoding_message_size(4 * MESSAGE_BYTES),
            instance,
            can,
            traffic: Arc::clone(traffic),
        })
    }

    /// What a call answers, counted with the bytes that it sent.
    pub(super) async fn counted<A: prost::Message>(
        &self,
        sent_bytes: usize,
        call: impl Future<Output = Result<Response<A>, Status>>,
    ) -> Result<A, BlobError> {
        self.traffic.asked(sent_bytes as u64);
        let answer = call
            .await
            .map_err(|status| status::error(&status))?
            .into_inner();
        self.traffic.came(answer.encoded_len() as u64);
        Ok(answer)
    }
}

/// An instance that is not there is no blob that is not there.
fn not_missing(error: BlobError) -> BlobError {
    match error {
        BlobError::Missing => BlobError::Refused("there is no such instance".into()),
        error => error,
    }
}

fn endpoint(settings: &Settings) -> Result<Endpoint, BlobError> {
    let refused = |error: tonic::transport::Error| {
        BlobError::Refused(format!("`{}`: {}", settings.authority, with_causes(&error)))
    };
    let scheme = if settings.tls { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{}", settings.authority))
        .map_err(refused)?
        .connect_timeout(CONNECT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_timeout(PING_WAITS);
    if settings.tls {
        crate::tls::install();
        let tls = ClientTlsConfig::new().with_native_roots();
        endpoint.tls_config(tls).map_err(refused)
    } else {
        Ok(endpoint)
    }
}

fn abilities(announced: Option<CacheCapabilities>) -> Result<Abilities, BlobError> {
    let Some(announced) = announced else {
        return Err(BlobError::Refused("the server keeps no cache".into()));
    };
    let Some(function) = Function::best(&announced.digest_functions) else {
        return Err(BlobError::Refused(
            "the server has none of the digest functions SHA256, BLAKE3, SHA384 and SHA512".into(),
        ));
    };
    let zstd = compressor::Value::Zstd as i32;
    let positive = |number: i64| u64::try_from(number).ok().filter(|number| *number > 0);
    let most = MESSAGE_BYTES - AROUND_BYTES;
    let batch_bytes = positive(announced.max_batch_total_size_bytes)
        .and_then(|bytes| usize::try_from(bytes).ok())
        .map_or(most, |bytes| bytes.min(most));
    Ok(Abilities {
        function,
        streams_zstd: announced.supported_compressors.contains(&zstd),
        batches_zstd: announced.supported_batch_update_compressors.contains(&zstd),
        batch_bytes,
        blob_bytes: positive(announced.max_cas_blob_size_bytes),
        // What is not said is found out.
        updates: announced
            .action_cache_update_capabilities
            .is_none_or(|can| can.update_enabled),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_can_do() {
        assert!(matches!(abilities(None), Err(BlobError::Refused(_))));
        assert!(matches!(
            abilities(Some(CacheCapabilities::default())),
            Err(BlobError::Refused(_))
        ));
        let plain = CacheCapabilities {
            digest_functions: vec![1],
            ..CacheCapabilities::default()
        };
        let can = abilities(Some(plain.clone())).unwrap();
        assert_eq!(
            (can.batch_bytes, can.blob_bytes),
            (MESSAGE_BYTES - AROUND_BYTES, None)
        );
        assert!(!can.streams_zstd && !can.batches_zstd && can.updates);
        let can = abilities(Some(CacheCapabilities {
            max_batch_total_size_bytes: 1000,
            max_cas_blob_size_bytes: 5000,
            supported_compressors: vec![0, 1],
            supported_batch_update_compressors: vec![1],
            action_cache_update_capabilities: Some(Default::default()),
            ..plain
        }))
        .unwrap();
        assert_eq!((can.batch_bytes, can.blob_bytes), (1000, Some(5000)));
        assert!(can.streams_zstd && can.batches_zstd && !can.updates);
    }
}
