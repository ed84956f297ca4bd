//! Bytes by digest: the server's content-addressable storage.
//!
//! Small blobs go in batches, larger ones as streams. An upload that was cut is continued from where the server says; one in
//! zstd begins anew, as servers do not agree on what an offset is there.

use std::io::Read as _;
use std::ops::Range;

use bazel_remote_apis::build::bazel::remote::execution::v2::{
    BatchReadBlobsRequest, BatchUpdateBlobsRequest, Digest, FindMissingBlobsRequest,
    batch_update_blobs_request, compressor,
};
use bazel_remote_apis::google::bytestream::{QueryWriteStatusRequest, ReadRequest, WriteRequest};
use bytes::{Bytes, BytesMut};
use prost::Message as _;

use super::session::Session;
use super::status;
use crate::blobs::BlobError;

/// The longest blob that is read whole.
const MAX_WHOLE_BYTES: u64 = 2 << 30;
/// What one message of a stream holds.
const CHUNK_BYTES: usize = 512 << 10;
/// How much of a blob is compressed to see whether that pays.
const SAMPLE_BYTES: usize = 64 << 10;
const ZSTD_LEVEL: i32 = 1;
const IDENTITY: i32 = compressor::Value::Identity as i32;
const ZSTD: i32 = compressor::Value::Zstd as i32;

impl Session {
    /// Which of these are not there.
    pub(super) async fn missing(&self, digests: Vec<Digest>) -> Result<Vec<Digest>, BlobError> {
        let request = FindMissingBlobsRequest {
            instance_name: self.instance.clone(),
            blob_digests: digests,
            digest_function: self.can.function.value() as i32,
        };
        let mut cas = self.cas.clone();
        let sent = request.encoded_len();
        let answer = self.counted(sent, cas.find_missing_blobs(request)).await?;
        Ok(answer.missing_blob_digests)
    }

    /// Whether these fit into one batch.
    pub(super) fn fits(&self, blobs: &[(Digest, Bytes)]) -> bool {
        let bytes: usize = blobs.iter().map(|(_, bytes)| bytes.len()).sum();
        bytes <= self.can.batch_bytes
    }

    /// Sends blobs in one batch.
    pub(super) async fn send_batch(&self, blobs: &[(Digest, Bytes)]) -> Result<(), BlobError> {
        let requests = blobs.iter().map(|(digest, bytes)| {
            let packed = self.can.batches_zstd.then(|| packed(bytes)).flatten();
            batch_update_blobs_request::Request {
                digest: Some(digest.clone()),
                compressor: if packed.is_some() { ZSTD } else { IDENTITY },
                data: packed.unwrap_or_else(|| bytes.to_vec()),
            }
        });
        let request = BatchUpdateBlobsRequest {
            instance_name: self.instance.clone(),
            requests: requests.collect(),
            digest_function: self.can.function.value() as i32,
        };
        let mut cas = self.cas.clone();
        let sent = request.encoded_len();
        let answers = self
            .counted(sent, cas.batch_update_blobs(request))
            .await?
            .responses;
        for (digest, _) in blobs {
            let one = answers
                .iter()
                .find(|one| one.digest.as_ref() == Some(digest));
            let Some(one) = one else {
                return Err(BlobError::Nonsense(
                    "nothing about a blob that was sent".into(),
                ));
            };
            if let Some(error) = status::of_one(one.status.as_ref()) {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Sends a blob as a stream. `id` names this upload: with an id from before, it is continued.
    pub(super) async fn send_stream(
        &self,
        digest: &Digest,
        bytes: &Bytes,
        id: &str,
        again: bool,
    ) -> Result<(), BlobError> {
        let path = self.can.function.path(digest);
        let packed = self.can.streams_zstd.then(|| packed(bytes)).flatten();
        if let Some(packed) = packed {
            let resource = self.resource(&format!("uploads/{id}/compressed-blobs/zstd/{path}"));
            let all = packed.len();
            let committed = self.stream(resource, packed.into(), 0).await?;
            // -1: somebody else has uploaded it meanwhile. Some servers count what they have unpacked.
            let is_all = committed == -1
                || committed == digest.size_bytes
                || usize::try_from(committed) == Ok(all);
            return checked(is_all);
        }
        let resource = self.resource(&format!("uploads/{id}/blobs/{path}"));
        let start = if again {
            self.committed(&resource).await?.min(bytes.len())
        } else {
            0
        };
        let committed = self.stream(resource, bytes.clone(), start).await?;
        checked(usize::try_from(committed) == Ok(bytes.len()))
    }

    /// How much of an upload the server has.
    async fn committed(&self, resource: &str) -> Result<usize, BlobError> {
        let request = QueryWriteStatusRequest {
            resource_name: resource.to_owned(),
        };
        let mut streams = self.streams.clone();
        let sent = request.encoded_len();
        match self
            .counted(sent, streams.query_write_status(request))
            .await
        {
            Ok(answer) => Ok(usize::try_from(answer.committed_size).unwrap_or(0)),
            // It has forgotten it, or cannot say: from the beginning, which is always right.
            Err(BlobError::Missing | BlobError::Refused(_)) => Ok(0),
            Err(error) => Err(error),
        }
    }

    async fn stream(&self, resource: String, bytes: Bytes, start: usize) -> Result<i64, BlobError> {
        let sent = bytes.len() - start;
        // The end is said by a message of its own where there is nothing left to send.
        let starts = (start..bytes.len().max(start + 1)).step_by(CHUNK_BYTES);
        let messages = starts.map(move |at| {
            let end = bytes.len().min(at + CHUNK_BYTES);
            WriteRequest {
                resource_name: if at == start {
                    resource.clone()
                } else {
                    String::new()
                },
                write_offset: i64::try_from(at).unwrap_or(i64::MAX),
                finish_write: end == bytes.len(),
                data: bytes.slice(at..end).to_vec(),
            }
        });
        let mut streams = self.streams.clone();
        match self
            .counted(sent, streams.write(tokio_stream::iter(messages)))
            .await
        {
            Ok(answer) => Ok(answer.committed_size),
            Err(BlobError::Missing) => {
                Err(BlobError::Unavailable("the upload is forgotten".into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Reads a blob whole, and checks it.
    pub(super) async fn whole(&self, digest: &Digest) -> Result<Bytes, BlobError> {
        let size = u64::try_from(digest.size_bytes).unwrap_or(u64::MAX);
        if size == 0 {
            return Ok(Bytes::new());
        }
        if size > MAX_WHOLE_BYTES {
            return Err(BlobError::Nonsense(format!(
                "it is longer than {MAX_WHOLE_BYTES} bytes"
            )));
        }
        let bytes = if size <= self.can.batch_bytes as u64 {
            self.whole_of_batch(digest).await?
        } else if self.can.streams_zstd {
            let path = self.can.function.path(digest);
            let resource = self.resource(&format!("compressed-blobs/zstd/{path}"));
            // zstd adds little to what it cannot compress.
            let packed = self.read(resource, 0, 0, size + size / 64 + 4096).await?;
            unpacked(&packed, digest)?
        } else {
            let resource = self.resource(&format!("blobs/{}", self.can.function.path(digest)));
            self.read(resource, 0, 0, size).await?
        };
        if self.can.function.of(&bytes) == *digest {
            Ok(bytes)
        } else {
            Err(BlobError::Nonsense(
                "other bytes than its digest says".into(),
            ))
        }
    }

    async fn whole_of_batch(&self, digest: &Digest) -> Result<Bytes, BlobError> {
        let request = BatchReadBlobsRequest {
            instance_name: self.instance.clone(),
            digests: vec![digest.clone()],
            acceptable_compressors: if self.can.streams_zstd || self.can.batches_zstd {
                vec![ZSTD, IDENTITY]
            } else {
                vec![]
            },
            digest_function: self.can.function.value() as i32,
        };
        let mut cas = self.cas.clone();
        let sent = request.encoded_len();
        let answers = self
            .counted(sent, cas.batch_read_blobs(request))
            .await?
            .responses;
        let one = answers
            .into_iter()
            .find(|one| one.digest.as_ref() == Some(digest));
        let Some(one) = one else {
            return Err(BlobError::Nonsense(
                "nothing about the blob that was asked for".into(),
            ));
        };
        if let Some(error) = status::of_one(one.status.as_ref()) {
            return Err(error);
        }
        match one.compressor {
            IDENTITY => Ok(one.data.into()),
            ZSTD => unpacked(&one.data, digest),
            other => Err(BlobError::Nonsense(format!(
                "compressed in a way ({other}) that was not asked for"
            ))),
        }
    }

    /// Reads a part of a blob that is not empty and lies within it.
    pub(super) async fn part(
        &self,
        digest: &Digest,
        range: &Range<u64>,
    ) -> Result<Bytes, BlobError> {
        let resource = self.resource(&format!("blobs/{}", self.can.function.path(digest)));
        let length = range.end - range.start;
        let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
        let bytes = self
            .read(resource, number(range.start), number(length), length)
            .await?;
        if bytes.len() as u64 == length {
            Ok(bytes)
        } else {
            Err(BlobError::Nonsense("less than was asked for".into()))
        }
    }

    async fn read(
        &self,
        resource_name: String,
        read_offset: i64,
        read_limit: i64,
        most_bytes: u64,
    ) -> Result<Bytes, BlobError> {
        let request = ReadRequest {
            resource_name,
            read_offset,
            read_limit,
        };
        self.traffic.asked(request.encoded_len() as u64);
        let answer = self.streams.clone().read(request).await;
        let mut stream = answer
            .map_err(|status| status::error(&status))?
            .into_inner();
        let mut whole = BytesMut::new();
        while let Some(message) = stream
            .message()
            .await
            .map_err(|status| status::error(&status))?
        {
            self.traffic.came(message.data.len() as u64);
            whole.extend_from_slice(&message.data);
            // BuildGrid ends a part where its own buffer ends, and then with an error: who has what was asked for leaves.
            if read_limit > 0 && whole.len() as u64 >= most_bytes {
                whole.truncate(usize::try_from(most_bytes).unwrap_or(usize::MAX));
                break;
            }
            if whole.len() as u64 > most_bytes {
                return Err(BlobError::Nonsense(format!(
                    "it is longer than {most_bytes} bytes"
                )));
            }
        }
        Ok(whole.freeze())
    }

    fn resource(&self, rest: &str) -> String {
        if self.instance.is_empty() {
            rest.to_owned()
        } else {
            format!("{}/{rest}", self.instance)
        }
    }
}

fn checked(is_all: bool) -> Result<(), BlobError> {
    if is_all {
        Ok(())
    } else {
        Err(BlobError::Unavailable(
            "not all of the upload arrived".into(),
        ))
    }
}

/// In zstd, where a sample says that it pays: packs are compressed already.
fn packed(bytes: &[u8]) -> Option<Vec<u8>> {
    let sample = bytes.get(..SAMPLE_BYTES).unwrap_or(bytes);
    let small = zstd::bulk::compress(sample, ZSTD_LEVEL).ok()?;
    if small.len() * 10 > sample.len() * 9 {
        return None;
    }
    if sample.len() == bytes.len() {
        return Some(small);
    }
    zstd::bulk::compress(bytes, ZSTD_LEVEL).ok()
}

/// Out of zstd, never more than the digest says.
fn unpacked(packed: &[u8], digest: &Digest) -> Result<Bytes, BlobError> {
    let nonsense = |text: String| BlobError::Nonsense(text);
    let size = u64::try_from(digest.size_bytes).unwrap_or(0);
    let bytes = unpacked_up_to(packed, size + 1)
        .map_err(|error| nonsense(format!("it is no zstd: {error}")))?;
    if bytes.len() as u64 == size {
        Ok(bytes.into())
    } else {
        Err(nonsense("another length than its digest says".into()))
    }
}

/// The first bytes of what was compressed: what comes after them may be without end.
fn unpacked_up_to(packed: &[u8], most_bytes: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    zstd::stream::read::Decoder::new(packed)?
        .take(most_bytes)
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packing() {
        let digest = |size_bytes| Digest {
            hash: String::new(),
            size_bytes,
        };
        let zeros = vec![0; 1 << 20];
        let small = packed(&zeros).unwrap();
        assert_eq!(unpacked(&small, &digest(1 << 20)).unwrap(), zeros);
        assert_eq!(packed(&small), None);
        assert_eq!(packed(&[]), None);
        assert_eq!(unpacked_up_to(&small, 1000).unwrap().len(), 1000);
        // A bomb, and a lie.
        assert!(unpacked(&small, &digest(1000)).is_err());
        assert!(unpacked(&small, &digest(2 << 20)).is_err());
        assert!(unpacked(b"no zstd", &digest(7)).is_err());
    }
}
