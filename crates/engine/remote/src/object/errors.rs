//! What services say, as errors of blobs.

use http::StatusCode;
use opendal::{Error, ErrorKind};

use super::transport::{self, Refusal, Seen};
use crate::blobs::BlobError;

/// The error of a call, from what its requests saw, and else from opendal's.
pub(super) fn blob_error(error: &Error, seen: &Seen) -> BlobError {
    let refusal = seen.refusal();
    if refusal.is_short {
        return BlobError::Missing;
    }
    if let Some(why) = refusal.nonsense {
        return BlobError::Nonsense(why.to_owned());
    }
    match refusal.status {
        Some(status) => said(status, &refusal),
        None if refusal.no_credentials_now => {
            BlobError::Unavailable("who gives credentials cannot be reached".to_owned())
        }
        None => unsaid(error),
    }
}

/// The service has answered.
fn said(status: StatusCode, refusal: &Refusal) -> BlobError {
    let code = refusal.code.as_deref().unwrap_or_default();
    let words = if code.is_empty() {
        format!("HTTP {}", status.as_u16())
    } else {
        format!("HTTP {} {code}", status.as_u16())
    };
    match (status.as_u16(), code) {
        (_, "SlowDown" | "ServerBusy" | "TooManyRequests" | "RequestLimitExceeded") | (429, _) => {
            BlobError::Throttled {
                after: refusal.after,
            }
        }
        (503, _) if refusal.after.is_some() => BlobError::Throttled {
            after: refusal.after,
        },
        (_, "NoSuchBucket" | "ContainerNotFound") => {
            BlobError::Refused(format!("{words}: there is no such bucket"))
        }
        (_, "RequestTimeTooSkewed") => {
            BlobError::Denied(format!("{words}: the clock of this machine is wrong"))
        }
        (401 | 403 | 407, _) => BlobError::Denied(words),
        (
            400,
            "ExpiredToken"
            | "InvalidToken"
            | "TokenRefreshRequired"
            | "InvalidAccessKeyId"
            | "AuthorizationHeaderMalformed"
            | "AuthenticationFailed",
        ) => BlobError::Denied(words),
        (404, _) => BlobError::Missing,
        (416, _) => BlobError::Missing,
        (301 | 302 | 307 | 308, _) => {
            BlobError::Refused(format!("{words}: it is elsewhere; is the region right?"))
        }
        (408 | 409 | 423 | 425, _) => BlobError::Unavailable(words),
        (507, _) => BlobError::Refused(format!("{words}: it is full")),
        (501 | 505, _) => BlobError::Refused(words),
        (500.., _) => BlobError::Unavailable(words),
        (..200, _) => BlobError::Nonsense(words),
        _ => BlobError::Refused(words),
    }
}

/// No answer, or one that opendal could not read.
fn unsaid(error: &Error) -> BlobError {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::RangeNotSatisfied => BlobError::Missing,
        ErrorKind::PermissionDenied => BlobError::Denied("no reason was given".to_owned()),
        ErrorKind::RateLimited => BlobError::Throttled { after: None },
        ErrorKind::ConfigInvalid => BlobError::Refused("its address is not complete".to_owned()),
        ErrorKind::Unsupported => BlobError::Unsupported("do this"),
        _ if is_unsigned(error) => BlobError::Denied(
            "no credentials were found: see which variables and files are looked at".to_owned(),
        ),
        _ => match spoken(error) {
            Some(words) => BlobError::Unavailable(words.to_owned()),
            None => BlobError::Nonsense("an answer could not be read".to_owned()),
        },
    }
}

/// Whether it is about a request that could not be signed, and not for want of a connection.
fn is_unsigned(error: &Error) -> bool {
    error.message() == "signing http request"
}

/// One of the transport's own words; any other text may hold an address.
fn spoken(error: &Error) -> Option<&'static str> {
    let mut words = transport::BROKEN.iter().copied();
    words.find(|words| error.message() == *words)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn of(status: u16, code: &str, after: Option<u64>) -> BlobError {
        let refusal = Refusal {
            code: Some(code.to_owned()).filter(|code| !code.is_empty()),
            after: after.map(Duration::from_secs),
            ..Refusal::default()
        };
        said(StatusCode::from_u16(status).unwrap(), &refusal)
    }

    #[test]
    fn what_services_say() {
        for (status, code, after, expected) in [
            (404, "NoSuchKey", None, "there is no such blob"),
            (404, "", None, "there is no such blob"),
            (416, "InvalidRange", None, "there is no such blob"),
            (
                404,
                "NoSuchBucket",
                None,
                "it was refused: HTTP 404 NoSuchBucket: there is no such bucket",
            ),
            (
                403,
                "SignatureDoesNotMatch",
                None,
                "access was refused: HTTP 403 SignatureDoesNotMatch",
            ),
            (401, "", None, "access was refused: HTTP 401"),
            (
                400,
                "ExpiredToken",
                None,
                "access was refused: HTTP 400 ExpiredToken",
            ),
            (
                403,
                "RequestTimeTooSkewed",
                None,
                "access was refused: HTTP 403 RequestTimeTooSkewed: the clock of this machine is wrong",
            ),
            (429, "", Some(7), "it asks to be left alone for 7 s"),
            (503, "SlowDown", None, "it asks to be left alone"),
            (503, "", Some(2), "it asks to be left alone for 2 s"),
            (503, "", None, "it is not to be had: HTTP 503"),
            (
                500,
                "InternalError",
                None,
                "it is not to be had: HTTP 500 InternalError",
            ),
            (
                409,
                "OperationAborted",
                None,
                "it is not to be had: HTTP 409 OperationAborted",
            ),
            (507, "", None, "it was refused: HTTP 507: it is full"),
            (
                301,
                "PermanentRedirect",
                None,
                "it was refused: HTTP 301 PermanentRedirect: it is elsewhere; is the region right?",
            ),
            (
                413,
                "EntityTooLarge",
                None,
                "it was refused: HTTP 413 EntityTooLarge",
            ),
        ] {
            assert_eq!(
                of(status, code, after).to_string(),
                expected,
                "{status} {code}"
            );
        }
    }
}
