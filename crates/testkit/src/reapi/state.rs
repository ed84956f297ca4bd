//! What the server keeps, and its rules.

use std::collections::HashMap;

use bazel_remote_apis::build::bazel::remote::execution::v2::{ActionResult, Digest};
use bytes::Bytes;
use prost::Message as _;
use sha2::{Digest as _, Sha256};
use tonic::metadata::MetadataMap;
use tonic::{Code, Status};

use super::{Fault, Manner, Shared};
use crate::stand_in::Requests;

pub(super) struct State {
    pub(super) manner: Manner,
    /// By hash and size.
    pub(super) blobs: HashMap<(String, i64), Bytes>,
    pub(super) entries: HashMap<String, ActionResult>,
    /// Uploads that are not finished, by resource.
    pub(super) uploads: HashMap<String, Vec<u8>>,
    pub(super) requests: Requests<Fault>,
    pub(super) received_bytes: usize,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
}

impl State {
    pub(super) fn new(manner: Manner) -> Self {
        Self {
            manner,
            blobs: HashMap::new(),
            entries: HashMap::new(),
            uploads: HashMap::new(),
            requests: Requests::default(),
            received_bytes: 0,
        }
    }

    pub(super) fn digest(&self, bytes: &[u8]) -> Digest {
        let hash = if self.manner.blake3 {
            rekindle_base::Digest::of(bytes).to_hex()
        } else {
            Sha256::digest(bytes)
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect()
        };
        Digest {
            hash,
            size_bytes: i64::try_from(bytes.len()).unwrap(),
        }
    }

    /// A blob that is there; the empty one always is.
    pub(super) fn blob(&self, digest: &Digest) -> Option<Bytes> {
        if digest.size_bytes == 0 {
            return Some(Bytes::new());
        }
        self.blobs
            .get(&(digest.hash.clone(), digest.size_bytes))
            .cloned()
    }

    /// Keeps a blob, if it is what its digest says.
    pub(super) fn keep(&mut self, digest: &Digest, bytes: Bytes) -> Result<(), Status> {
        if self.digest(&bytes) != *digest {
            return Err(Status::invalid_argument("the digest is of other bytes"));
        }
        self.blobs
            .insert((digest.hash.clone(), digest.size_bytes), bytes);
        Ok(())
    }

    /// Checks the instance.
    pub(super) fn knows(&self, instance: &str) -> Result<(), Status> {
        if instance == self.manner.instance {
            Ok(())
        } else {
            Err(Status::invalid_argument("no such instance"))
        }
    }

    fn admits(&self, headers: &MetadataMap) -> Result<(), Status> {
        let Some((name, value)) = &self.manner.token else {
            return Ok(());
        };
        let given = headers
            .get(name.as_str())
            .and_then(|given| given.to_str().ok());
        if given == Some(value) {
            Ok(())
        } else {
            Err(Status::unauthenticated(format!(
                "not with {}",
                given.unwrap_or("nothing")
            )))
        }
    }
}

impl Shared {
    /// Notes a request, and does what was ordered to go wrong with it before it is done.
    pub(super) async fn begin(
        &self,
        headers: &MetadataMap,
        shown: String,
    ) -> Result<Option<Fault>, Status> {
        let fault = {
            let mut state = self.lock();
            let fault = state.requests.next(shown);
            state.admits(headers)?;
            fault
        };
        match fault {
            Some(Fault::Refuse(code, after)) => Err(refusal(Code::from_i32(code), after)),
            Some(Fault::Stall) => std::future::pending().await,
            fault => Ok(fault),
        }
    }
}

fn refusal(code: Code, after: Option<i64>) -> Status {
    let Some(seconds) = after else {
        return Status::new(code, "a fault that was ordered");
    };
    let info = RetryInfo {
        delay: Some(Delay { seconds }),
    };
    let details = bazel_remote_apis::google::rpc::Status {
        code: code as i32,
        message: String::new(),
        details: vec![bazel_remote_apis::google::protobuf::Any {
            type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
            value: info.encode_to_vec(),
        }],
    };
    Status::with_details(
        code,
        "a fault that was ordered",
        details.encode_to_vec().into(),
    )
}
