//! Responses that do not come from WeCom's application: an unknown address, a failing network.

use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

use crate::fault::FaultKind;
use crate::net::Peer;
use crate::state::Shared;

/// The response for an unknown address: a web server's page, not JSON.
pub(crate) fn not_found() -> Response {
    let page = "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body>\r\n\
                <center><h1>404 Not Found</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";
    (StatusCode::NOT_FOUND, Html(page)).into_response()
}

fn status(number: u16) -> StatusCode {
    StatusCode::from_u16(number).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Applies a fault instead of a response.
pub(crate) async fn misbehave(sim: &Shared, peer: &Peer, kind: &FaultKind) -> Response {
    match kind {
        FaultKind::Status(number) => status(*number).into_response(),
        FaultKind::Html => {
            Html("<!doctype html><title>Sign in to the network</title><h1>Welcome</h1>").into_response()
        }
        FaultKind::Body(text) => ([(header::CONTENT_TYPE, "application/json")], text.clone()).into_response(),
        FaultKind::Response(canned) => {
            let location = canned.location.as_ref().map(|to| [(header::LOCATION, to.clone())]);
            let kind = [(header::CONTENT_TYPE, "application/json")];
            (status(canned.status), kind, location, canned.body.clone()).into_response()
        }
        FaultKind::Hang => {
            sim.stopped().await;
            peer.cut();
            StatusCode::OK.into_response()
        }
        _ => {
            peer.cut();
            StatusCode::OK.into_response()
        }
    }
}
