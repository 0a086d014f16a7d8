//! Pingora's hooks, in the order in which a request meets them: each one delegates to the module that knows.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::{Version, header};
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::*;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;

use super::context::Context;
use super::gate::{CurrentGate, Gate};
use super::patience::{Gone, while_open};
use super::response::{failure, reply};
use super::rewrite::token_swapper::WsError;
use super::rewrite::websocket_frames as frames;
use super::upstream::tunnel;
use super::{access_log, admission, assets, connection, forward, password, request_metrics};
use crate::error::{Failure, is_out_of_files};
use crate::nocobase::{NodeLimiter, Permit, Turn};

/// Time for the rest of a request that Pingora still has to read before a connection can be used again.
const DRAIN: Duration = Duration::from_secs(5);
/// Of a request's body, once `limits.body_timeout` has passed. Slower than any line, faster than any trickle.
const LEAST_BYTES_PER_SECOND: u64 = 500;
/// Longest silence of a tunnel in both directions. NocoBase's page pings every 30 seconds or so.
const TUNNEL_SILENCE: Duration = Duration::from_secs(3600);
/// Marks errors that a `Failure` stands behind.
const STARTING: ErrorType = ErrorType::Custom("NocoBase is starting");
/// As many requests are on their way to NocoBase as there are descriptors for.
const NO_PLACE: ErrorType = ErrorType::Custom("no descriptor left");
/// There was no place before NocoBase.
const BUSY: ErrorType = ErrorType::Custom("no place before NocoBase");
/// NocoBase's response is one that no client may get.
const BAD_ANSWER: ErrorType = ErrorType::Custom("a response that cannot be passed on");
/// Pingora's, for a body whose chunks cannot be read.
const INVALID_CHUNK: ErrorType = ErrorType::Custom("InvalidChunk");
/// The gate itself ends a tunnel.
const TUNNEL_ENDED: ErrorType = ErrorType::Custom("the session has ended");

/// NocoBase refused a token that may have been too old for it.
const STALE_TOKEN: ErrorType = ErrorType::Custom("stale token");

/// The proxy.
pub(crate) struct Phases {
    live: Arc<CurrentGate>,
}

/// A request, and the gate as it was when the request began: a change of the configuration in between is for others.
pub(crate) struct Carried {
    gate: Arc<Gate>,
    ctx: Context,
    logged: bool,
}

impl Drop for Carried {
    fn drop(&mut self) {
        // Given up from outside (`connection::session_end`): Pingora's last phase was not reached.
        if !self.logged && self.ctx.member_ended() {
            access_log::cut_off(&self.gate, &self.ctx);
            request_metrics::cut_off(&self.gate, &mut self.ctx);
        }
    }
}

impl Phases {
    /// Serves this gate.
    pub(crate) fn new(live: Arc<CurrentGate>) -> Phases {
        Phases { live }
    }
}

fn is_another_node(gate: &Gate, ctx: &Context) -> bool {
    ctx.attempted_nodes.count() < gate.upstreams.len()
}

#[async_trait]
impl ProxyHttp for Phases {
    type CTX = Carried;

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None. Pingora's own, compression, is switched off and yet looks at each request and each piece of a response.
    }

    fn new_ctx(&self) -> Carried {
        let gate = self.live.now();
        Carried { ctx: Context::new(&gate), gate, logged: false }
    }

    async fn early_request_filter(&self, session: &mut Session, carried: &mut Carried) -> Result<()> {
        let Carried { gate, .. } = carried;
        if let Some(guard) = connection::of(session) {
            guard.disarm();
        }
        // Only where Pingora means to keep the connection: it has switched that off for messages after which
        // nothing on the connection can be trusted, and for a shutdown.
        if session.get_keepalive().is_some() {
            session.set_keepalive(Some(gate.config.limits.keepalive_timeout.as_secs()));
        }
        if connection::is_pipelined(session) {
            session.set_keepalive(None);
        }
        let body_timeout = gate.config.limits.body_timeout;
        session.set_read_timeout(Some(body_timeout));
        // Pingora has none: a client that requests much and reads nothing would hold a NocoBase connection for ever.
        session.set_write_timeout(Some(body_timeout));
        session.set_total_drain_timeout(Some(DRAIN));
        // A client of HTTP/1.0 knows no informational responses (RFC 9110, 15.2).
        let old = session.req_header().version < Version::HTTP_11;
        session.set_ignore_info_resp(old);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, carried: &mut Carried) -> Result<bool> {
        let Carried { gate, ctx, .. } = carried;
        match admission::admit(gate, session, ctx).await {
            admission::Admitted::Forward => {
                if session.is_upgrade_req() {
                    ctx.becomes_tunnel();
                    session.set_read_timeout(Some(TUNNEL_SILENCE));
                }
                if let Some(attached) = &ctx.stream {
                    let head = session.req_header();
                    ctx.target = Some((head.method.clone(), head.uri.clone()));
                    connection::bind(attached.stream(), session.is_upgrade_req());
                }
                // A file that the gate keeps. In a box of its own, made only here.
                let kept = match assets::respond::wanted(gate, session, ctx) {
                    Some(wanted) => {
                        Box::pin(assets::respond::respond(gate, session.req_header(), wanted)).await
                    }
                    None => None,
                };
                let Some(reply) = kept else { return Ok(false) };
                let reply = reply::stay_with_https(gate, session, reply);
                Box::pin(reply::send(session, reply, &ctx.request_id, ctx.close)).await?;
                Ok(true)
            }
            admission::Admitted::Gone => {
                Err(Error::explain(ConnectionClosed, "while NocoBase was asked about its session")
                    .into_down())
            }
            admission::Admitted::Respond(reply) => {
                let reply = reply::stay_with_https(gate, session, reply);
                Box::pin(reply::send(session, reply, &ctx.request_id, ctx.close)).await?;
                Ok(true)
            }
        }
    }

    async fn upstream_peer(&self, session: &mut Session, carried: &mut Carried) -> Result<Box<HttpPeer>> {
        let Carried { gate, ctx, .. } = carried;
        // That of the node before.
        ctx.permit = None;
        match gate.upstreams.pick(&mut ctx.attempted_nodes, session.is_upgrade_req()) {
            Some((node, mut peer)) => {
                if let Some(limiter) = gate.upstreams.limiter(node) {
                    ctx.permit = Some(place(limiter, session, ctx.turn()).await?);
                }
                // Not before: who waits needs no descriptor.
                if ctx.place.is_none() {
                    ctx.place = gate.places.take();
                    if ctx.place.is_none() {
                        return Error::e_explain(NO_PLACE, "all descriptors for NocoBase are in use");
                    }
                }
                ctx.sent_at.get_or_insert_with(Instant::now);
                ctx.node = Some(node);
                if session.is_upgrade_req() {
                    peer.options.custom_l4 = Some(Arc::new(tunnel::Connect {
                        running: gate.upstreams.is_verified(node),
                        timeout: gate.config.upstream.connect_timeout,
                        session: ctx.stream.as_ref().map(|s| s.stream().clone()),
                        close: ctx.tunnel_close.subscribe(),
                        stopping: gate.tunnels_end.subscribe(),
                    }));
                }
                Ok(Box::new(peer))
            }
            None => Error::e_explain(ConnectError, "no node"),
        }
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        carried: &mut Carried,
        mut e: Box<Error>,
    ) -> Box<Error> {
        let Carried { gate, ctx, .. } = carried;
        request_metrics::lost(gate, ctx);
        if let Some(permit) = ctx.permit.take() {
            permit.unused();
        }
        if let Some(node) = ctx.node {
            gate.upstreams.avoid(node);
        }
        // Nothing has been sent: the next node may have it, whatever the method.
        e.set_retry(ctx.attempted_nodes.count() < gate.upstreams.len());
        e
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        mut e: Box<Error>,
        carried: &mut Carried,
        client_reused: bool,
    ) -> Box<Error> {
        let Carried { gate, ctx, .. } = carried;
        let method = &session.req_header().method;
        if *e.esource() == ErrorSource::Upstream {
            request_metrics::lost(gate, ctx);
        }
        let whole = !session.as_ref().retry_buffer_truncated() && session.response_written().is_none();
        if whole && *e.etype() == STALE_TOKEN {
            // The same node may have it: it only needs another token.
            if let Some(node) = ctx.node {
                ctx.attempted_nodes.forget(node);
            }
            ctx.answered_at = None;
            e.set_retry(true);
            return e;
        }
        if whole && method.is_safe() && (*e.etype() == STARTING || is_lost(&e)) && is_another_node(gate, ctx)
        {
            ctx.answered_at = None;
            e.set_retry(true);
            return e;
        }
        if whole && method.is_idempotent() {
            e.retry.decide_reuse(client_reused);
        } else {
            e.set_retry(false);
        }
        if e.retry()
            && let Some(node) = ctx.node
        {
            // Only the pooled connection was stale.
            ctx.attempted_nodes.forget(node);
        }
        e
    }

    async fn upstream_request_filter(
        &self,
        session: &mut Session,
        request: &mut RequestHeader,
        carried: &mut Carried,
    ) -> Result<()> {
        let Carried { gate, ctx, .. } = carried;
        forward::request::prepare(gate, session, request, ctx)
    }

    async fn request_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        carried: &mut Carried,
    ) -> Result<()> {
        let Carried { gate, ctx, .. } = carried;
        if session.was_upgraded() {
            return tunnel_out(body, ctx);
        }
        // Pingora's open bug 935: an empty last piece would be written as a second end of the body, and the pooled
        // connection would be out of step from then on.
        if end && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        if let Some(piece) = body {
            ctx.body_in += piece.len() as u64;
            if gate.config.limits.body_bytes.is_some_and(|limit| ctx.body_in > limit) {
                return Error::e_explain(HTTPStatus(413), "request body over limits.body_bytes");
            }
        }
        if !end && is_too_slow(ctx.body_in, ctx.started.elapsed(), gate.config.limits.body_timeout) {
            return Err(Error::explain(ReadTimedout, "request body slower than a trickle").into_down());
        }
        Ok(())
    }

    async fn response_filter(
        &self,
        session: &mut Session,
        response: &mut ResponseHeader,
        carried: &mut Carried,
    ) -> Result<()> {
        let Carried { gate, ctx, .. } = carried;
        request_metrics::answered(gate, session.req_header().uri.path(), response.status.as_u16(), ctx);
        // What the client sends after an upgrade that was not made was meant for a tunnel: it is no request (R31).
        if session.is_upgrade_req() && response.status != 101 {
            session.set_keepalive(None);
        }
        if response.status == 401
            && !session.as_ref().retry_buffer_truncated()
            && ctx.may_ask_again(session.req_header())
        {
            if let Some(member) = &ctx.member {
                member.seen.drop_token();
            }
            ctx.refused_token_age = ctx.token_age;
            return Error::e_explain(STALE_TOKEN, "401");
        }
        let again = session.req_header().method.is_safe() && is_another_node(gate, ctx);
        if response.status == 503 && (ctx.page_load || again) {
            return Error::e_explain(STARTING, "503");
        }
        // NocoBase responds 500 for a moment while it stops, although its health check passes. Is it the request, or the node?
        if response.status == 500
            && again
            && ctx.suspect_node.is_none()
            && gate.upstreams.is_another_healthy(ctx.attempted_nodes)
        {
            ctx.suspect_node = ctx.node;
            return Error::e_explain(STARTING, "500");
        }
        if let Some(node) = ctx.suspect_node.filter(|_| !response.status.is_server_error()) {
            gate.upstreams.avoid(node);
        }
        if response.status == 101 && !is_asked_for(session, response) {
            return Err(Error::explain(BAD_ANSWER, "101 without a matching Upgrade").into_up());
        }
        ctx.status = response.status.as_u16();
        forward::response::head(gate, session, response, ctx)?;
        // A body without length or chunks ends with the connection.
        if connection::is_pipelined(session)
            || session.req_header().version < Version::HTTP_11
                && !response.headers.contains_key(header::CONTENT_LENGTH)
        {
            session.set_keepalive(None);
        }
        Ok(())
    }

    fn response_body_filter(
        &self,
        session: &mut Session,
        body: &mut Option<Bytes>,
        end: bool,
        carried: &mut Carried,
    ) -> Result<Option<Duration>> {
        let Carried { gate, ctx, .. } = carried;
        ctx.body_out += body.as_ref().map_or(0, |b| b.len() as u64);
        // Whether it goes on is for `tunnel` to say.
        if session.was_upgraded() {
            return Ok(None);
        }
        forward::response::body(gate, session, body, end, ctx)?;
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, carried: &mut Carried) -> FailToProxy {
        let Carried { gate, ctx, .. } = carried;
        let (code, failure) = classify(e);
        ctx.failure = failure;
        if failure.is_none() {
            failure::aborted(ctx, session.req_header(), e.etype().as_str());
        }
        if let Some(failure) = failure
            && session.response_written().is_none()
        {
            let mut reply = failure::failed(gate, session, ctx, failure);
            if ctx.signs_out() {
                reply.cookies.append(&mut ctx.sign_out_cookies);
            }
            let reply = reply::stay_with_https(gate, session, reply);
            // An error here means that the client is gone.
            let _ = reply::send(session, reply, &ctx.request_id, true).await;
        }
        FailToProxy { error_code: code, can_reuse_downstream: false }
    }

    async fn logging(&self, session: &mut Session, e: Option<&Error>, carried: &mut Carried) {
        carried.logged = true;
        let Carried { gate, ctx, .. } = carried;
        password::done(gate, session.response_written().map_or(0, |r| r.status.as_u16()), ctx);
        access_log::write(gate, session, e, ctx);
        request_metrics::done(gate, session, e, ctx);
    }

    fn suppress_error_log(&self, _session: &Session, _carried: &Carried, _e: &Error) -> bool {
        // Pingora's line would hold the whole target, query included; ours does not.
        true
    }

    fn suppress_proxy_warn_log(
        &self,
        _session: &Session,
        _carried: &Carried,
        _e: &Error,
        _log: ProxyWarnLogContext,
    ) -> bool {
        true
    }

    fn request_summary(&self, session: &Session, _carried: &Carried) -> String {
        format!("{} {}", session.req_header().method, session.req_header().uri.path())
    }
}

/// A place before NocoBase, at once or after a wait that the client waits too.
async fn place(limiter: &Arc<NodeLimiter>, client: &mut Session, turn: Turn) -> Result<Permit> {
    match while_open(client, limiter.enter(turn)).await {
        Ok(Ok(permit)) => Ok(permit.sent()),
        Ok(Err(_)) => Error::e_explain(BUSY, "upstream.max_requests"),
        Err(Gone) => Err(Error::explain(ConnectionClosed, "while it waited for a place").into_down()),
    }
}

/// Does a body only trickle? Silence ends one on HTTP/1.1; a byte now and then would hold NocoBase's connection for ever,
/// and on HTTP/2 each of a hundred streams could.
fn is_too_slow(body: u64, after: Duration, body_timeout: Duration) -> bool {
    after > body_timeout.saturating_add(Duration::from_secs(body / LEAST_BYTES_PER_SECOND))
}

/// The node closed the connection before it responded.
fn is_lost(e: &Error) -> bool {
    *e.esource() == ErrorSource::Upstream && matches!(e.etype(), ConnectionClosed | ReadError | WriteError)
}

/// Bytes from the browser into a tunnel: the token is swapped, and an ended session ends the tunnel.
fn tunnel_out(body: &mut Option<Bytes>, ctx: &mut Context) -> Result<()> {
    if ctx.member_ended() {
        return Error::e_explain(TUNNEL_ENDED, "the session has ended");
    }
    if let (Some(piece), Some(swapper)) = (body.as_mut(), &mut ctx.swapper) {
        match swapper.push(std::mem::take(piece)) {
            Ok(bytes) => *piece = bytes,
            // Nothing more goes to NocoBase (an empty piece is not sent), and `tunnel` says why before it ends.
            Err(e) => {
                let frame =
                    if e == WsError::HiddenToken { frames::NOT_ALLOWED } else { frames::PROTOCOL_ERROR };
                ctx.tunnel_close.send_if_modified(|close| {
                    let first = close.is_none();
                    close.get_or_insert(frame);
                    first
                });
            }
        }
    }
    Ok(())
}

/// Did the client ask for this upgrade (RFC 9110, 15.2.2)?
fn is_asked_for(session: &Session, response: &ResponseHeader) -> bool {
    let mut protocols = response.headers.get_all(header::UPGRADE).iter();
    session.is_upgrade_req()
        && protocols.next().is_some_and(|v| v.as_bytes().eq_ignore_ascii_case(b"websocket"))
        && protocols.next().is_none()
}

/// Status for Pingora's statistics (0: the client is gone), and what went wrong.
fn classify(e: &Error) -> (u16, Option<Failure>) {
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
            // Pingora does not always say which side it was; to NocoBase it does.
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
