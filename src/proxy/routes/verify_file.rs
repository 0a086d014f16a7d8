//! `/WW_verify_<token>.txt`: WeCom's check that a domain belongs to the company.

use bytes::Bytes;
use http::header;

use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;

/// The content of a domain verification file is the part of its name between `WW_verify_` and `.txt`.
pub(crate) fn serve(gate: &Gate, index: usize) -> Reply {
    let policy = gate.policy();
    let token = policy
        .verify_files
        .get(index)
        .and_then(|name| name.strip_prefix("WW_verify_")?.strip_suffix(".txt"))
        .unwrap_or_default();
    let mut reply = Reply::empty(200)
        .with(header::CONTENT_TYPE, "text/plain")
        .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    reply.body = Bytes::from(token.to_owned());
    reply
}
