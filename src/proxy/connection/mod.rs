//! What Pingora lacks before a request: one deadline for a whole request head (not one per read), a time limit for idle
//! keep-alive connections and for HTTP/2 prefaces that never arrive, a limit on connections, and idle connections that need
//! little memory.
//!
//! `App` accepts each connection, counts it, does the TLS handshake on TLS listeners (R38), wraps it in a `Guarded` stream
//! (`stream`) and spawns a task for it: `http1` waits for requests and lets Pingora serve them one by one; HTTP/2 is handled by
//! Pingora from the start. Nothing here looks at a request.

mod chunks;
mod closing;
mod handover;
mod http1;
mod places;
mod refusal;
mod response_wait;
mod session_end;
mod stream;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use closing::Closing;
use http::header;
pub(crate) use http1::LINGER;
use pingora::apps::ServerApp;
use pingora::listeners::tls::Acceptor;
use pingora::protocols::{ALPN, Stream};
use pingora::proxy::{HttpProxy, ProxyHttp, Session};
use pingora::server::ShutdownWatch;
use places::Places;
pub(crate) use refusal::Refusals;
use session_end::EndsWithSession;
pub(crate) use session_end::{bind, carry_on, expect_response, is_handed_over, is_reserve, response_began};
pub(crate) use stream::{Guarded, Times};

use crate::error::OnceAMinute;
use crate::metrics::Connections;
use crate::proxy::request::framing;

/// The guard of this request's connection. HTTP/2 streams have none: their connection belongs to Pingora.
pub(crate) fn of(session: &Session) -> Option<&Guarded> {
    session.stream().and_then(|s| s.as_any().downcast_ref::<Guarded>())
}

/// Has more arrived than this request: another after it, before there was a response? That one will not be served, because
/// the connection is closed after this response, and the response has to announce it (RFC 9112, 9.6).
pub(crate) fn is_pipelined(session: &Session) -> bool {
    let (Some(guard), Some(h1)) = (of(session), session.as_http1()) else { return false };
    let request = session.req_header();
    if request.headers.contains_key(header::UPGRADE) {
        return false;
    }
    if request.headers.contains_key(header::TRANSFER_ENCODING) {
        return guard.is_chunked_body_followed();
    }
    let body = framing::content_length(request).unwrap_or(0);
    guard.received() > (h1.get_headers_raw_bytes().len() as u64).saturating_add(body)
}

/// The proxy, with guarded connections.
pub(crate) struct App<P> {
    proxy: Arc<EndsWithSession<P>>,
    /// The same for connections of the reserve.
    reserve: Arc<EndsWithSession<P>>,
    times: Times,
    places: Places,
    /// The log line about connections that are closed at once.
    over_limit: Arc<OnceAMinute>,
    counts: Connections,
    refusals: Refusals,
    closing: Closing,
    /// Does TLS handshakes; `None`: plain HTTP.
    tls: Option<Arc<Acceptor>>,
}

impl<P> App<P> {
    /// `connections`: most open connections; beyond that a few more get a response that says so, and further ones are closed.
    /// `is_shared`: addresses that may use all of them.
    pub(crate) fn new(
        proxy: HttpProxy<P>,
        times: Times,
        connections: usize,
        counts: Connections,
        refusals: Refusals,
        is_shared: impl Fn(IpAddr) -> bool + Send + Sync + 'static,
    ) -> Self {
        let places = Places::new(connections, is_shared);
        let proxy = Arc::new(proxy);
        let reserve = Arc::new(EndsWithSession { proxy: proxy.clone(), reserve: true });
        let proxy = Arc::new(EndsWithSession { proxy, reserve: false });
        let (over_limit, closing) = (Arc::default(), Closing::new());
        App { proxy, reserve, times, places, over_limit, counts, refusals, closing, tls: None }
    }

    /// The same for TLS listeners; connections of both count together.
    pub(crate) fn with_tls(&self, acceptor: Acceptor) -> Self {
        App { tls: Some(Arc::new(acceptor)), ..self.clone() }
    }

    /// Does the TLS handshake, which may take as long as the head of a request.
    async fn handshake(&self, stream: Stream, within: Duration) -> Option<Stream> {
        let Some(tls) = &self.tls else { return Some(stream) };
        // Only for its traits: the time limit applies to the whole handshake.
        let raw = Guarded::new(stream, within, false).below_tls();
        raw.disarm();
        match tokio::time::timeout(within, Box::pin(tls.tls_handshake(raw))).await {
            Ok(Ok(stream)) => Some(Box::new(stream)),
            // Scanners and clients that disconnect: not logged.
            Ok(Err(_)) | Err(_) => None,
        }
    }

    /// The number of open connections, without the reserve.
    pub(crate) fn open(&self) -> usize {
        self.places.taken()
    }

    /// How many HTTP/1 connections have served a request and wait for the next.
    pub(crate) fn idle(&self) -> usize {
        self.closing.idle_connections()
    }

    /// From now on, connections without a request are closed: over HTTP/1 after [`LINGER`], over HTTP/2 with GOAWAY.
    pub(crate) fn close_idle(&self) {
        self.closing.begin();
    }
}

// A derived implementation would require `P: Clone`.
impl<P> Clone for App<P> {
    fn clone(&self) -> Self {
        App {
            proxy: self.proxy.clone(),
            reserve: self.reserve.clone(),
            times: self.times,
            places: self.places.clone(),
            over_limit: self.over_limit.clone(),
            counts: self.counts.clone(),
            refusals: self.refusals.clone(),
            closing: self.closing.clone(),
            tls: self.tls.clone(),
        }
    }
}

#[async_trait]
impl<P> ServerApp for App<P>
where
    P: ProxyHttp + Send + Sync + 'static,
    P::CTX: Send + Sync,
{
    // `cleanup`, when the last connection has been accepted, is not passed on: Pingora would drop requests whose heads are still
    // arriving.

    async fn process_new(self: &Arc<Self>, stream: Stream, _: &ShutdownWatch) -> Option<Stream> {
        let socket = stream.get_socket_digest();
        let peer = socket.and_then(|socket| socket.peer_addr().and_then(|peer| peer.as_inet().copied()));
        let place = self.places.take(peer.map(|peer| peer.ip()));
        if place.as_ref().is_none_or(|place| place.reserve) {
            self.counts.over_limit();
        }
        let Some(place) = place else {
            if let Some(left_out) = self.over_limit.due() {
                let left_out = Some(left_out).filter(|lines| *lines > 0);
                tracing::warn!(target: "wecom_gate::proxy", label = "too_many_connections", left_out,
                    "connection closed: limits.connections or the limit of open files is reached, or this address has used its share");
            }
            return None;
        };
        let (proxy, times) = match place.reserve {
            false => (self.proxy.clone(), self.times),
            true => (self.reserve.clone(), self.times.short()),
        };
        // Counted before it has sent anything: silent connections must not be free.
        let open = self.counts.accepted();
        let stream = self.handshake(stream, times.head).await?;
        let h2 = match stream.selected_alpn_proto() {
            // The challenge of an authority, which has seen what it wanted: nothing follows (RFC 8737, 3).
            Some(ALPN::Custom(_)) => return None,
            protocol => matches!(protocol, Some(ALPN::H2)),
        };
        let guarded = Guarded::new(stream, times.head, h2).with_refusals(&self.refusals);
        let stream: Stream = Box::new(guarded);
        // Not Pingora's, which is about accepting.
        let (closing, shutdown) = (self.closing.clone(), self.closing.watch());
        // In tasks of their own, because Pingora's task, which ends here, keeps the memory of the TLS handshake for as long as it
        // lives.
        if h2 {
            tokio::spawn(async move {
                let _held = (place, open);
                proxy.process_new(stream, &shutdown).await;
            });
        } else {
            tokio::spawn(async move {
                let _held = (place, open);
                http1::serve(&proxy, stream, times, (closing, shutdown)).await;
            });
        }
        None
    }
}
