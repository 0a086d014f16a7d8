//! The client: its address, its request id, and whether it uses TLS. The only place that decides whether a peer is a trusted
//! proxy.

use std::net::{IpAddr, SocketAddr};

use http::{HeaderName, HeaderValue};
use pingora::proxy::Session as HttpSession;

use super::request_id;
use crate::decide;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::headers::REQUEST_ID;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The address of the connection's peer.
fn peer(downstream: &HttpSession) -> Option<IpAddr> {
    downstream.client_addr().and_then(|a| a.as_inet()).map(SocketAddr::ip).map(|ip| ip.to_canonical())
}

/// Is the peer one of `access.trusted_proxies`?
pub(crate) fn is_trusted_proxy(gate: &Gate, downstream: &HttpSession) -> bool {
    let trusted = &gate.config.access.trusted_proxies;
    !trusted.is_empty() && peer(downstream).is_some_and(|peer| trusted.iter().any(|net| net.contains(&peer)))
}

/// Reads the client's address and, from a trusted proxy, its request id.
pub(crate) fn identify(gate: &Gate, downstream: &HttpSession, ctx: &mut Context) {
    let Some(peer) = peer(downstream) else { return };
    ctx.client = peer;
    if !is_trusted_proxy(gate, downstream) {
        return;
    }
    let headers = &downstream.req_header().headers;
    let chain: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).iter().map(HeaderValue::as_bytes).collect();
    ctx.client = decide::address::client_ip(peer, &chain, &gate.config.access.trusted_proxies);
    if let Some(id) = headers.get(REQUEST_ID)
        && id.to_str().is_ok_and(request_id::acceptable)
    {
        ctx.request_id = id.clone();
    }
}

/// Was this request sent without TLS? From a trusted proxy, its header counts instead of the connection.
pub(crate) fn is_plain(gate: &Gate, downstream: &HttpSession) -> bool {
    if downstream.digest().is_some_and(|d| d.ssl_digest.is_some()) {
        return false;
    }
    let scheme = downstream.req_header().headers.get(X_FORWARDED_PROTO);
    let https = scheme.is_some_and(|scheme| scheme.as_bytes().eq_ignore_ascii_case(b"https"));
    !(https && is_trusted_proxy(gate, downstream))
}
