//! Errors that occur in Pingora's phases: the gate's own types, and the failure that each one stands for.

use pingora::prelude::*;

use crate::error::{Failure, is_out_of_files};

/// NocoBase responded as it does while starting or stopping.
pub(super) const STARTING: ErrorType = ErrorType::Custom("NocoBase is starting");
/// All descriptors for requests to NocoBase are in use.
pub(super) const NO_PLACE: ErrorType = ErrorType::Custom("no descriptor left");
/// NocoBase's request limit was reached.
pub(super) const BUSY: ErrorType = ErrorType::Custom("no place before NocoBase");
/// NocoBase's response must not be forwarded.
pub(super) const BAD_ANSWER: ErrorType = ErrorType::Custom("a response that cannot be passed on");
/// The gate itself ends a tunnel.
pub(super) const TUNNEL_ENDED: ErrorType = ErrorType::Custom("the session has ended");
/// NocoBase refused a token, possibly because of its age.
pub(super) const STALE_TOKEN: ErrorType = ErrorType::Custom("stale token");
/// Pingora's error for a body whose chunks are invalid.
const INVALID_CHUNK: ErrorType = ErrorType::Custom("InvalidChunk");

/// The node closed the connection before it responded.
pub(super) fn is_lost(e: &Error) -> bool {
    *e.esource() == ErrorSource::Upstream && matches!(e.etype(), ConnectionClosed | ReadError | WriteError)
}

/// Status for Pingora's statistics (0: the client has disconnected), and the failure.
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
                // The client's request is invalid: a name in `Connection`, a chunk, more than the body.
                InvalidHTTPHeader | ConnectError => Failure::BadRequest,
                t if *t == INVALID_CHUNK => Failure::BadRequest,
                // In all other cases the client has disconnected: in the middle of a body, with a reset, with a cancelled stream.
                _ => return (0, None),
            },
            // Pingora does not always name the side; for errors with NocoBase it does.
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
