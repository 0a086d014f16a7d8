//! Errors on a request's way through Pingora: the gate's own kinds, and which failure each one is.

use pingora::prelude::*;

use crate::error::{Failure, is_out_of_files};

/// NocoBase responded as it does while it starts or stops.
pub(super) const STARTING: ErrorType = ErrorType::Custom("NocoBase is starting");
/// As many requests are on their way to NocoBase as there are descriptors for.
pub(super) const NO_PLACE: ErrorType = ErrorType::Custom("no descriptor left");
/// There was no place before NocoBase.
pub(super) const BUSY: ErrorType = ErrorType::Custom("no place before NocoBase");
/// NocoBase's response is one that no client may get.
pub(super) const BAD_ANSWER: ErrorType = ErrorType::Custom("a response that cannot be passed on");
/// The gate itself ends a tunnel.
pub(super) const TUNNEL_ENDED: ErrorType = ErrorType::Custom("the session has ended");
/// NocoBase refused a token that may have been too old for it.
pub(super) const STALE_TOKEN: ErrorType = ErrorType::Custom("stale token");
/// Pingora's, for a body whose chunks cannot be read.
const INVALID_CHUNK: ErrorType = ErrorType::Custom("InvalidChunk");

/// The node closed the connection before it responded.
pub(super) fn is_lost(e: &Error) -> bool {
    *e.esource() == ErrorSource::Upstream && matches!(e.etype(), ConnectionClosed | ReadError | WriteError)
}

/// Status for Pingora's statistics (0: the client is gone), and what went wrong.
pub(super) fn classify(e: &Error) -> (u16, Option<Failure>) {
    let failure = match e.etype() {
        HTTPStatus(413) => Failure::TooLarge,
        HTTPStatus(400) => Failure::BadRequest,
        HTTPStatus(_) => Failure::Internal,
        t if *t == STARTING => Failure::NocoBaseStarting,
        t if *t == NO_PLACE => Failure::TooManyOpenFiles,
        t if *t == BUSY => Failure::NocoBaseBusy,
        _ if is_out_of_files(e.root_cause()) => Failure::TooManyOpenFiles,
        t if *t == BAD_ANSWER => Failure::NocoBaseBadAnswer,
        t if *t == TUNNEL_ENDED => return (0, None),
        t => match e.esource() {
            ErrorSource::Upstream => match t {
                ConnectTimedout | ReadTimedout | WriteTimedout => Failure::NocoBaseTimeout,
                _ => Failure::NocoBaseUnreachable,
            },
            ErrorSource::Downstream => match t {
                ReadTimedout => return (408, None),
                // What the client sent is wrong: a nomination in `Connection`, a chunk, more than the body.
                InvalidHTTPHeader | ConnectError => Failure::BadRequest,
                t if *t == INVALID_CHUNK => Failure::BadRequest,
                // Everything else is a client that went away: in the middle of a body, with a reset, with a stream cancelled.
                _ => return (0, None),
            },
            // Pingora does not always name the side; towards NocoBase it does.
            _ => match t {
                H1Error | H2Error | ReadError | WriteError | WriteTimedout | ConnectionClosed => {
                    return (0, None);
                }
                _ => Failure::Internal,
            },
        },
    };
    (failure.response().status, Some(failure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_descriptor_left_is_not_blamed_on_nocobase() {
        let failure = |code| {
            let cause = std::io::Error::from_raw_os_error(code);
            let error =
                Error::because(pingora::prelude::ErrorType::SocketError, "failed to create socket", cause);
            classify(&error.into_up()).1
        };
        assert_eq!([failure(24), failure(23)], [Some(Failure::TooManyOpenFiles); 2]);
        assert_eq!(failure(111), Some(Failure::NocoBaseUnreachable));
    }
}

#[cfg(test)]
mod kinds;
