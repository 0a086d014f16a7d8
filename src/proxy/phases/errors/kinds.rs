//! Which side caused an error, and which failure it is.

use super::*;

fn up(kind: ErrorType) -> Box<Error> {
    Error::new(kind).into_up()
}

fn down(kind: ErrorType) -> Box<Error> {
    Error::new(kind).into_down()
}

#[test]
fn each_error_has_its_failure() {
    for (error, failure) in [
        (Error::new(HTTPStatus(413)), Failure::TooLarge),
        (Error::new(HTTPStatus(400)), Failure::BadRequest),
        (Error::new(HTTPStatus(418)), Failure::Internal),
        (up(STARTING), Failure::NocoBaseStarting),
        (Error::new(STARTING), Failure::NocoBaseStarting),
        (Error::new(NO_PLACE), Failure::TooManyOpenFiles),
        (Error::new(BUSY), Failure::NocoBaseBusy),
        (up(BAD_ANSWER), Failure::NocoBaseBadAnswer),
        (up(ConnectTimedout), Failure::NocoBaseTimeout),
        (up(ReadTimedout), Failure::NocoBaseTimeout),
        (up(WriteTimedout), Failure::NocoBaseTimeout),
        (up(ConnectRefused), Failure::NocoBaseUnreachable),
        (up(InvalidHTTPHeader), Failure::NocoBaseUnreachable),
        (down(InvalidHTTPHeader), Failure::BadRequest),
        (down(ConnectError), Failure::BadRequest),
        (down(INVALID_CHUNK), Failure::BadRequest),
        (Error::new(InternalError), Failure::Internal),
    ] {
        assert_eq!(classify(&error), (failure.response().status, Some(failure)), "{error}");
    }
}

#[test]
fn a_client_that_disconnects_or_is_too_slow_is_no_failure_of_a_server() {
    assert_eq!(classify(&down(ReadTimedout)), (408, None));
    for error in [
        up(TUNNEL_ENDED),
        down(ReadError),
        down(WriteError),
        down(WriteTimedout),
        down(ConnectionClosed),
        down(H2Error),
        Error::new(H1Error),
        Error::new(H2Error),
        Error::new(ReadError),
        Error::new(WriteError),
        Error::new(WriteTimedout),
        Error::new(ConnectionClosed),
    ] {
        assert_eq!(classify(&error), (0, None), "{error}");
    }
}

#[test]
fn only_a_node_that_closes_before_it_responds_has_lost_the_request() {
    for kind in [ConnectionClosed, ReadError, WriteError] {
        assert!(is_lost(&up(kind.clone())), "{kind:?}");
        assert!(!is_lost(&down(kind.clone())) && !is_lost(&Error::new(kind.clone())), "{kind:?}");
    }
    for kind in [ReadTimedout, ConnectRefused, H1Error, STARTING] {
        assert!(!is_lost(&up(kind.clone())), "{kind:?}");
    }
}
