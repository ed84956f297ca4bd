//! Capabilities, the action cache, and blobs in batches.

use async_trait::async_trait;
use bazel_remote_apis::build::bazel::remote::execution::v2::action_cache_server::ActionCache;
use bazel_remote_apis::build::bazel::remote::execution::v2::capabilities_server::Capabilities;
use bazel_remote_apis::build::bazel::remote::execution::v2::content_addressable_storage_server::ContentAddressableStorage;
use bazel_remote_apis::build::bazel::remote::execution::v2::{
    Action, ActionCacheUpdateCapabilities, ActionResult, BatchReadBlobsRequest,
    BatchReadBlobsResponse, BatchUpdateBlobsRequest, BatchUpdateBlobsResponse, CacheCapabilities,
    FindMissingBlobsRequest, FindMissingBlobsResponse, GetActionResultRequest,
    GetCapabilitiesRequest, GetChunkMappingRequest, GetChunkMappingResponse, GetTreeRequest,
    GetTreeResponse, RegisterChunkMappingRequest, RegisterChunkMappingResponse, ServerCapabilities,
    SpliceBlobRequest, SpliceBlobResponse, SplitBlobRequest, SplitBlobResponse,
    UpdateActionResultRequest, batch_read_blobs_response, batch_update_blobs_response, compressor,
    digest_function,
};
use bazel_remote_apis::google::rpc;
use prost::Message as _;
use tonic::{Request, Response, Status, Streaming};

use super::state::State;
use super::{Fault, Shared};

type Answer<T> = Result<Response<T>, Status>;
type Empty<T> = tokio_stream::Empty<Result<T, Status>>;

const ZSTD: i32 = compressor::Value::Zstd as i32;

#[async_trait]
impl Capabilities for Shared {
    async fn get_capabilities(
        &self,
        request: Request<GetCapabilitiesRequest>,
    ) -> Answer<ServerCapabilities> {
        self.begin(request.metadata(), "GetCapabilities".into())
            .await?;
        let state = self.lock();
        state.knows(&request.get_ref().instance_name)?;
        let manner = &state.manner;
        let function = if manner.blake3 {
            digest_function::Value::Blake3
        } else {
            digest_function::Value::Sha256
        };
        let compressors = if manner.zstd { vec![ZSTD] } else { vec![] };
        Ok(Response::new(ServerCapabilities {
            cache_capabilities: Some(CacheCapabilities {
                digest_functions: vec![function as i32],
                action_cache_update_capabilities: Some(ActionCacheUpdateCapabilities {
                    update_enabled: manner.updates,
                }),
                max_batch_total_size_bytes: manner.batch_bytes,
                max_cas_blob_size_bytes: manner.blob_bytes,
                supported_compressors: compressors.clone(),
                supported_batch_update_compressors: compressors,
                ..CacheCapabilities::default()
            }),
            ..ServerCapabilities::default()
        }))
    }
}

#[async_trait]
impl ActionCache for Shared {
    async fn get_action_result(
        &self,
        request: Request<GetActionResultRequest>,
    ) -> Answer<ActionResult> {
        let fault = self
            .begin(request.metadata(), "GetActionResult".into())
            .await?;
        let asked = request.into_inner();
        let state = self.lock();
        state.knows(&asked.instance_name)?;
        let digest = asked.action_digest.unwrap_or_default();
        let mut result = state
            .entries
            .get(&digest.hash)
            .cloned()
            .ok_or_else(|| Status::not_found("no such entry"))?;
        for file in &mut result.output_files {
            if !state.manner.inlines || !asked.inline_output_files.contains(&file.path) {
                continue;
            }
            let bytes = state.blob(&file.digest.clone().unwrap_or_default());
            file.contents = bytes.unwrap_or_default().to_vec();
            spoil(&mut file.contents, fault);
        }
        Ok(Response::new(result))
    }

    async fn update_action_result(
        &self,
        request: Request<UpdateActionResultRequest>,
    ) -> Answer<ActionResult> {
        self.begin(request.metadata(), "UpdateActionResult".into())
            .await?;
        let asked = request.into_inner();
        let mut state = self.lock();
        state.knows(&asked.instance_name)?;
        if !state.manner.updates {
            return Err(Status::permission_denied("not by you"));
        }
        let gone = || Status::failed_precondition("the action is not in the storage");
        let digest = asked.action_digest.unwrap_or_default();
        let action = state.blob(&digest).ok_or_else(gone)?;
        let action =
            Action::decode(action).map_err(|_| Status::invalid_argument("that is no action"))?;
        let result = asked.action_result.unwrap_or_default();
        let files = result
            .output_files
            .iter()
            .filter_map(|file| file.digest.as_ref());
        let needed = files
            .chain(&action.command_digest)
            .chain(&action.input_root_digest);
        if !needed
            .into_iter()
            .all(|digest| state.blob(digest).is_some())
        {
            return Err(gone());
        }
        state.entries.insert(digest.hash, result.clone());
        Ok(Response::new(result))
    }
}

#[async_trait]
impl ContentAddressableStorage for Shared {
    type GetTreeStream = Empty<GetTreeResponse>;
    type GetChunkMappingStream = Empty<GetChunkMappingResponse>;

    async fn find_missing_blobs(
        &self,
        request: Request<FindMissingBlobsRequest>,
    ) -> Answer<FindMissingBlobsResponse> {
        self.begin(request.metadata(), "FindMissingBlobs".into())
            .await?;
        let asked = request.into_inner();
        let state = self.lock();
        state.knows(&asked.instance_name)?;
        let mut missing = asked.blob_digests;
        missing.retain(|digest| state.blob(digest).is_none());
        Ok(Response::new(FindMissingBlobsResponse {
            missing_blob_digests: missing,
        }))
    }

    async fn batch_update_blobs(
        &self,
        request: Request<BatchUpdateBlobsRequest>,
    ) -> Answer<BatchUpdateBlobsResponse> {
        self.begin(request.metadata(), "BatchUpdateBlobs".into())
            .await?;
        let asked = request.into_inner();
        let mut state = self.lock();
        state.knows(&asked.instance_name)?;
        let sizes = asked.requests.iter().map(|one| one.data.len());
        check_batch(&state, sizes.sum())?;
        let mut responses = Vec::new();
        for one in asked.requests {
            state.received_bytes += one.data.len();
            let digest = one.digest.unwrap_or_default();
            let bytes = match one.compressor {
                ZSTD => {
                    zstd::bulk::decompress(&one.data, usize::try_from(digest.size_bytes).unwrap())
                        .unwrap()
                }
                _ => one.data,
            };
            let kept = state.keep(&digest, bytes.into());
            responses.push(batch_update_blobs_response::Response {
                digest: Some(digest),
                status: Some(status(kept.err().as_ref())),
            });
        }
        Ok(Response::new(BatchUpdateBlobsResponse { responses }))
    }

    async fn batch_read_blobs(
        &self,
        request: Request<BatchReadBlobsRequest>,
    ) -> Answer<BatchReadBlobsResponse> {
        let fault = self
            .begin(request.metadata(), "BatchReadBlobs".into())
            .await?;
        let asked = request.into_inner();
        let state = self.lock();
        state.knows(&asked.instance_name)?;
        let sizes = asked
            .digests
            .iter()
            .map(|digest| usize::try_from(digest.size_bytes).unwrap());
        check_batch(&state, sizes.sum())?;
        let packs = state.manner.zstd && asked.acceptable_compressors.contains(&ZSTD);
        let responses = asked.digests.into_iter().map(|digest| {
            let bytes = state.blob(&digest);
            let missing = bytes.is_none().then(|| Status::not_found("no such blob"));
            let mut data = bytes.unwrap_or_default().to_vec();
            spoil(&mut data, fault);
            if packs {
                data = zstd::bulk::compress(&data, 1).unwrap();
            }
            batch_read_blobs_response::Response {
                digest: Some(digest),
                data,
                compressor: if packs { ZSTD } else { 0 },
                status: Some(status(missing.as_ref())),
            }
        });
        Ok(Response::new(BatchReadBlobsResponse {
            responses: responses.collect(),
        }))
    }

    async fn get_tree(&self, _: Request<GetTreeRequest>) -> Answer<Self::GetTreeStream> {
        Err(not_here())
    }

    async fn split_blob(&self, _: Request<SplitBlobRequest>) -> Answer<SplitBlobResponse> {
        Err(not_here())
    }

    async fn get_chunk_mapping(
        &self,
        _: Request<GetChunkMappingRequest>,
    ) -> Answer<Self::GetChunkMappingStream> {
        Err(not_here())
    }

    async fn splice_blob(&self, _: Request<SpliceBlobRequest>) -> Answer<SpliceBlobResponse> {
        Err(not_here())
    }

    async fn register_chunk_mapping(
        &self,
        _: Request<Streaming<RegisterChunkMappingRequest>>,
    ) -> Answer<RegisterChunkMappingResponse> {
        Err(not_here())
    }
}

/// What an ordered fault does to bytes.
pub(super) fn spoil(bytes: &mut Vec<u8>, fault: Option<Fault>) {
    let middle = bytes.len() / 2;
    match (fault, bytes.get_mut(middle)) {
        (Some(Fault::Flip), Some(byte)) => *byte ^= 1,
        (Some(Fault::TooMuch), _) => bytes.extend_from_slice(b"more"),
        _ => {}
    }
}

fn check_batch(state: &State, bytes: usize) -> Result<(), Status> {
    let most = state.manner.batch_bytes;
    if most > 0 && i64::try_from(bytes).unwrap() > most {
        return Err(Status::invalid_argument("more than a batch"));
    }
    Ok(())
}

fn status(error: Option<&Status>) -> rpc::Status {
    let Some(error) = error else {
        return rpc::Status::default();
    };
    rpc::Status {
        code: error.code() as i32,
        message: error.message().to_owned(),
        details: vec![],
    }
}

fn not_here() -> Status {
    Status::unimplemented("not in this server")
}
