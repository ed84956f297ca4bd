//! Blobs as streams.

use async_trait::async_trait;
use bazel_remote_apis::build::bazel::remote::execution::v2::Digest;
use bazel_remote_apis::google::bytestream::byte_stream_server::ByteStream;
use bazel_remote_apis::google::bytestream::{
    QueryWriteStatusRequest, QueryWriteStatusResponse, ReadRequest, ReadResponse, WriteRequest,
    WriteResponse,
};
use tonic::{Request, Response, Status, Streaming};

use super::caches::spoil;
use super::state::State;
use super::{Fault, Shared};

const CHUNK_BYTES: usize = 100_000;

/// A resource's name, taken apart.
struct Resource {
    digest: Digest,
    is_packed: bool,
}

/// Of `INSTANCE/uploads/UUID/blobs/…` or `INSTANCE/blobs/…`.
fn resource(state: &State, name: &str) -> Result<Resource, Status> {
    let bad = || Status::invalid_argument(format!("no such resource: {name}"));
    let instance = &state.manner.instance;
    let rest = name.strip_prefix(instance.as_str()).ok_or_else(bad)?;
    let rest = if instance.is_empty() {
        rest
    } else {
        rest.strip_prefix('/').ok_or_else(bad)?
    };
    let rest = match rest.strip_prefix("uploads/") {
        Some(rest) => {
            let (uuid, rest) = rest.split_once('/').ok_or_else(bad)?;
            if uuid.len() != 36 {
                return Err(bad());
            }
            rest
        }
        None => rest,
    };
    let (is_packed, rest) = match rest.strip_prefix("compressed-blobs/zstd/") {
        Some(rest) if state.manner.zstd => (true, rest),
        _ => (false, rest.strip_prefix("blobs/").ok_or_else(bad)?),
    };
    let rest = if state.manner.blake3 {
        rest.strip_prefix("blake3/").ok_or_else(bad)?
    } else {
        rest
    };
    let (hash, size) = rest.split_once('/').ok_or_else(bad)?;
    Ok(Resource {
        digest: Digest {
            hash: hash.to_owned(),
            size_bytes: size.parse().map_err(|_| bad())?,
        },
        is_packed,
    })
}

impl Shared {
    /// Takes one message of an upload; the answer once it is the last.
    fn take(
        &self,
        name: &str,
        message: &WriteRequest,
        is_first: bool,
    ) -> Result<Option<WriteResponse>, Status> {
        let mut state = self.lock();
        let Resource { digest, is_packed } = resource(&state, name)?;
        state.received_bytes += message.data.len();
        let upload = state.uploads.entry(name.to_owned()).or_default();
        if is_first && message.write_offset == 0 {
            upload.clear();
        }
        if i64::try_from(upload.len()).unwrap() != message.write_offset {
            return Err(Status::invalid_argument("that is not where the upload was"));
        }
        upload.extend_from_slice(&message.data);
        if !message.finish_write {
            return Ok(None);
        }
        let bytes = state.uploads.remove(name).unwrap();
        let committed_size = i64::try_from(bytes.len()).unwrap();
        let bytes = if is_packed {
            zstd::stream::decode_all(bytes.as_slice()).unwrap()
        } else {
            bytes
        };
        state.keep(&digest, bytes.into())?;
        Ok(Some(WriteResponse { committed_size }))
    }
}

#[async_trait]
impl ByteStream for Shared {
    type ReadStream = tokio_stream::Iter<std::vec::IntoIter<Result<ReadResponse, Status>>>;

    async fn read(
        &self,
        request: Request<ReadRequest>,
    ) -> Result<Response<Self::ReadStream>, Status> {
        let asked = request.get_ref().clone();
        let shown = format!("Read {}+{}", asked.read_offset, asked.read_limit);
        let fault = self.begin(request.metadata(), shown).await?;
        let state = self.lock();
        let Resource { digest, is_packed } = resource(&state, &asked.resource_name)?;
        let bytes = state
            .blob(&digest)
            .ok_or_else(|| Status::not_found("no such blob"))?;
        let offset = usize::try_from(asked.read_offset).unwrap();
        let limit = usize::try_from(asked.read_limit).unwrap();
        if offset > bytes.len() || (is_packed && limit > 0) {
            return Err(Status::out_of_range("not in this blob"));
        }
        let end = if limit == 0 {
            bytes.len()
        } else {
            bytes.len().min(offset + limit)
        };
        let mut data = bytes.slice(offset..end).to_vec();
        spoil(&mut data, fault);
        if is_packed {
            data = zstd::stream::encode_all(data.as_slice(), 1).unwrap();
        }
        let messages: Vec<_> = data
            .chunks(CHUNK_BYTES)
            .map(|chunk| {
                Ok(ReadResponse {
                    data: chunk.to_vec(),
                })
            })
            .collect();
        Ok(Response::new(tokio_stream::iter(messages)))
    }

    async fn write(
        &self,
        request: Request<Streaming<WriteRequest>>,
    ) -> Result<Response<WriteResponse>, Status> {
        let fault = self.begin(request.metadata(), "Write".into()).await?;
        let mut room = match fault {
            Some(Fault::CutUpload(bytes)) => bytes,
            _ => usize::MAX,
        };
        let mut stream = request.into_inner();
        let mut name = String::new();
        let mut is_first = true;
        while let Some(message) = stream.message().await? {
            if is_first {
                name.clone_from(&message.resource_name);
            }
            if message.data.len() > room {
                return Err(Status::unavailable("a fault that was ordered"));
            }
            room = room.saturating_sub(message.data.len());
            if let Some(answer) = self.take(&name, &message, is_first)? {
                return Ok(Response::new(answer));
            }
            is_first = false;
        }
        Err(Status::invalid_argument("the upload has no end"))
    }

    async fn query_write_status(
        &self,
        request: Request<QueryWriteStatusRequest>,
    ) -> Result<Response<QueryWriteStatusResponse>, Status> {
        self.begin(request.metadata(), "QueryWriteStatus".into())
            .await?;
        let state = self.lock();
        let upload = state
            .uploads
            .get(&request.get_ref().resource_name)
            .ok_or_else(|| Status::not_found("no such upload"))?;
        Ok(Response::new(QueryWriteStatusResponse {
            committed_size: i64::try_from(upload.len()).unwrap(),
            complete: false,
        }))
    }
}
