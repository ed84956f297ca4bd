//! What gRPC says went wrong, as [`BlobError`]s.

use std::time::Duration;

use bazel_remote_apis::google::rpc;
use prost::Message as _;
use tonic::{Code, Status};

use crate::blobs::BlobError;
use crate::http::with_causes;
use crate::secret::quoted;

/// `google.rpc.RetryInfo`: when to come again.
#[derive(Clone, PartialEq, prost::Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    delay: Option<Delay>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct Delay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

/// The error of a whole call.
pub(super) fn error(status: &Status) -> BlobError {
    let details = rpc::Status::decode(status.details()).unwrap_or_default();
    // Of a connection that fails the message says nothing; its causes do.
    let said = match std::error::Error::source(status) {
        Some(source) => with_causes(source),
        None => status.message().to_owned(),
    };
    of(status.code(), &said, &details)
}

/// The error of one of several things that a call asked for; `None` where that one is fine.
pub(super) fn of_one(status: Option<&rpc::Status>) -> Option<BlobError> {
    let status = status.filter(|status| status.code != 0)?;
    Some(of(Code::from_i32(status.code), &status.message, status))
}

fn of(code: Code, said: &str, details: &rpc::Status) -> BlobError {
    let text = match quoted(said, None) {
        text if text.is_empty() => format!("{code}"),
        text => format!("{code}: {text}"),
    };
    let after = retry_after(details);
    match code {
        Code::NotFound => BlobError::Missing,
        Code::PermissionDenied | Code::Unauthenticated => BlobError::Denied(text),
        Code::ResourceExhausted => BlobError::Throttled { after },
        Code::Unavailable if after.is_some() => BlobError::Throttled { after },
        Code::InvalidArgument | Code::OutOfRange | Code::Unimplemented | Code::AlreadyExists => {
            BlobError::Refused(text)
        }
        Code::DataLoss => BlobError::Nonsense(text),
        // Also what was forgotten meanwhile (a failed precondition), and what servers say for want of a better code.
        _ => BlobError::Unavailable(text),
    }
}

fn retry_after(status: &rpc::Status) -> Option<Duration> {
    let info = status
        .details
        .iter()
        .find(|detail| detail.type_url.ends_with("/google.rpc.RetryInfo"))?;
    let delay = RetryInfo::decode(info.value.as_slice()).ok()?.delay?;
    let seconds = u64::try_from(delay.seconds).ok()?;
    Some(Duration::new(
        seconds,
        u32::try_from(delay.nanos).ok()?.min(999_999_999),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes() {
        let kind = |code| error(&Status::new(code, "text"));
        assert!(matches!(kind(Code::NotFound), BlobError::Missing));
        assert!(matches!(kind(Code::Unauthenticated), BlobError::Denied(_)));
        assert!(matches!(
            kind(Code::ResourceExhausted),
            BlobError::Throttled { after: None }
        ));
        assert!(matches!(kind(Code::InvalidArgument), BlobError::Refused(_)));
        assert!(matches!(kind(Code::DataLoss), BlobError::Nonsense(_)));
        for code in [
            Code::Unavailable,
            Code::Internal,
            Code::DeadlineExceeded,
            Code::FailedPrecondition,
        ] {
            assert!(matches!(kind(code), BlobError::Unavailable(_)), "{code:?}");
        }
    }

    #[test]
    fn when_to_come_again() {
        let info = RetryInfo {
            delay: Some(Delay {
                seconds: 7,
                nanos: 0,
            }),
        };
        let status = rpc::Status {
            code: Code::Unavailable as i32,
            message: String::new(),
            details: vec![bazel_remote_apis::google::protobuf::Any {
                type_url: "type.googleapis.com/google.rpc.RetryInfo".into(),
                value: info.encode_to_vec(),
            }],
        };
        let whole = Status::with_details(Code::Unavailable, "", status.encode_to_vec().into());
        for error in [error(&whole), of_one(Some(&status)).unwrap()] {
            let BlobError::Throttled { after } = error else {
                panic!("{error:?}");
            };
            assert_eq!(after, Some(Duration::from_secs(7)));
        }
        assert!(of_one(None).is_none());
        assert!(of_one(Some(&rpc::Status::default())).is_none());
    }
}
