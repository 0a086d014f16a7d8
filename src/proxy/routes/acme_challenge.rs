//! `/.well-known/acme-challenge/<token>`: proves to a certificate authority that a name is served by this gate (RFC 8555, 8.3).
//! Available without a session and at all of the gate's names; there is a response only while this gate or another node orders a
//! certificate.

use bytes::Bytes;
use http::{Method, header};
use pingora::http::RequestHeader;

use crate::acme::Challenges;
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;

/// Can the request (with its canonical path) be for a challenge? Cheap, because it is checked for every request.
pub(crate) fn may_be_one(request: &RequestHeader) -> bool {
    matches!(request.method, Method::GET | Method::HEAD) && Challenges::is_path(request.uri.path())
}

/// The response, if the request is for a pending challenge, here or on another node.
pub(crate) async fn response(gate: &Gate, request: &RequestHeader) -> Option<Reply> {
    let path = request.uri.path();
    let key_authorization = match gate.acme.challenges.response(path) {
        Some(key_authorization) => key_authorization,
        None => {
            let shared = gate.sessions.shared().filter(|_| gate.config.listen.acme.is_some())?;
            shared.challenge(Challenges::token(path)?).await?
        }
    };
    let mut reply = Reply::empty(200)
        .with(header::CONTENT_TYPE, "application/octet-stream")
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply.body = Bytes::from(key_authorization);
    Some(reply)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::proxy::test_gate::gate;

    #[tokio::test]
    async fn r45_only_what_is_pending_is_served_and_only_to_be_read() {
        let gate = gate("");
        let pending = gate.acme.challenges.begin_http("LoqXcYV8", "LoqXcYV8.thumb");
        let ask = |method: &str, target: &str| {
            let request = RequestHeader::build(method, target.as_bytes(), None).unwrap();
            let found = may_be_one(&request).then(|| response(&gate, &request).now_or_never().unwrap());
            found.flatten()
        };
        let path = "/.well-known/acme-challenge/LoqXcYV8";
        let reply = ask("GET", path).unwrap();
        assert_eq!((reply.status, &reply.body[..]), (200, &b"LoqXcYV8.thumb"[..]));
        assert!(reply.cookies.is_empty());
        assert!(ask("HEAD", path).is_some() && ask("GET", &format!("{path}?x")).is_some());
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH"] {
            assert!(ask(method, path).is_none(), "{method}");
        }
        let long = format!("{path}{}", "a".repeat(60_000));
        for other in [&path.to_lowercase(), &format!("{path}/"), &format!("/.well-known{path}"), &long] {
            assert!(ask("GET", other).is_none(), "{other:.99}");
        }
        drop(pending);
        assert!(ask("GET", path).is_none(), "the order is over");
    }
}
