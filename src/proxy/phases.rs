//! Pingora's hooks, in the order in which a request passes them; each one delegates to a module. Uploads and WebSockets pass all of them;
//! for other requests `exchange` does what Pingora would do between `proxy_upstream_filter` and `logging`.

mod errors;
mod events;
mod exchange;
mod limits;
mod node;
mod pipe;
mod place;
mod response;
mod retry;
mod tunnel;
mod upgrade;

use std::os::fd::RawFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use pingora::http::{RequestHeader, ResponseHeader};
use pingora::modules::http::HttpModules;
use pingora::prelude::*;
use pingora::protocols::Digest;
use pingora::proxy::{FailToProxy, ProxyHttp, ProxyWarnLogContext, Session};
use pingora::upstreams::peer::HttpPeer;

use super::context::Context;
use super::gate::{CurrentGate, Gate};
use super::response::{failure, reply};
use super::{access_log, admission, assets, connection, forward, password, request_metrics};

/// The proxy.
pub(crate) struct Phases {
    current: Arc<CurrentGate>,
}

/// A request, and the gate that was current when the request began: later changes of the configuration do not affect it.
pub(crate) struct Carried {
    gate: Arc<Gate>,
    ctx: Context,
    logged: bool,
}

impl Drop for Carried {
    fn drop(&mut self) {
        if !self.logged && connection::is_handed_over() {
            let gate = self.gate.clone();
            let ctx = std::mem::replace(&mut self.ctx, Context::new(&gate));
            connection::carry_on(|client| match ctx.events.is_some() {
                true => Box::pin(events::run(client, gate, ctx)),
                false => Box::pin(tunnel::run(client, gate, ctx)),
            });
            return;
        }
        // Cancelled from outside (`connection::session_end`): Pingora's last phase was not reached.
        if !self.logged && self.ctx.member_ended() {
            access_log::cut_off(&self.gate, &self.ctx);
            request_metrics::cut_off(&self.gate, &mut self.ctx);
        }
    }
}

impl Phases {
    /// Serves this gate.
    pub(crate) fn new(current: Arc<CurrentGate>) -> Phases {
        Phases { current }
    }
}

#[async_trait]
impl ProxyHttp for Phases {
    type CTX = Carried;

    fn init_downstream_modules(&self, _modules: &mut HttpModules) {
        // None. Pingora's own module, compression, would process each request and each piece of a response even when it is
        // switched off.
    }

    fn new_ctx(&self) -> Carried {
        let gate = self.current.now();
        Carried { ctx: Context::new(&gate), gate, logged: false }
    }

    async fn early_request_filter(&self, session: &mut Session, carried: &mut Carried) -> Result<()> {
        let Carried { gate, .. } = carried;
        if let Some(guard) = connection::of(session) {
            guard.disarm();
        }
        limits::set(session, gate);
        Ok(())
    }

    async fn request_filter(&self, session: &mut Session, carried: &mut Carried) -> Result<bool> {
        let Carried { gate, ctx, .. } = carried;
        match admission::admit(gate, session, ctx).await {
            admission::Admitted::Forward => {
                if session.is_upgrade_req() {
                    ctx.becomes_tunnel();
                    session.set_read_timeout(Some(tunnel::SILENCE));
                }
                if let Some(attached) = &ctx.stream {
                    let head = session.req_header();
                    ctx.target = Some((head.method.clone(), head.uri.clone()));
                    connection::bind(attached.stream(), ctx.started.into(), session.is_upgrade_req());
                }
                if ctx.page_load && ctx.member.is_some() {
                    gate.learn_plugins();
                }
                // A cached file. Boxed, so that the future of an ordinary request does not have room for it.
                let kept = match assets::respond::wanted(gate, session, ctx) {
                    Some(wanted) => {
                        Box::pin(assets::respond::respond(gate, session.req_header(), wanted)).await
                    }
                    None => None,
                };
                let Some(reply) = kept else { return Ok(false) };
                let reply = reply::stay_with_https(gate, session, reply);
                let close = ctx.close || gate.is_stopping();
                Box::pin(reply::send(session, reply, &ctx.request_id, close)).await?;
                Ok(true)
            }
            admission::Admitted::Gone => {
                Err(Error::explain(ConnectionClosed, "while NocoBase was asked about its session")
                    .into_down())
            }
            admission::Admitted::Respond(reply) => {
                let reply = reply::stay_with_https(gate, session, reply);
                let close = ctx.close || gate.is_stopping();
                Box::pin(reply::send(session, reply, &ctx.request_id, close)).await?;
                Ok(true)
            }
        }
    }

    async fn proxy_upstream_filter(&self, session: &mut Session, carried: &mut Carried) -> Result<bool> {
        let Carried { gate, ctx, .. } = carried;
        if !exchange::takes(session) {
            return Ok(true);
        }
        exchange::run(gate, session, ctx).await?;
        Ok(false)
    }

    async fn upstream_peer(&self, session: &mut Session, carried: &mut Carried) -> Result<Box<HttpPeer>> {
        let Carried { gate, ctx, .. } = carried;
        let node = node::choose(gate, session, ctx).await?;
        node::peer(gate, session, ctx, node)
    }

    async fn connected_to_upstream(
        &self,
        session: &mut Session,
        _reused: bool,
        _peer: &HttpPeer,
        fd: RawFd,
        digest: Option<&Digest>,
        carried: &mut Carried,
    ) -> Result<()> {
        let Carried { gate, ctx, .. } = carried;
        node::sent(gate, session, ctx, fd, digest);
        Ok(())
    }

    fn fail_to_connect(
        &self,
        _session: &mut Session,
        _peer: &HttpPeer,
        carried: &mut Carried,
        e: Box<Error>,
    ) -> Box<Error> {
        let Carried { gate, ctx, .. } = carried;
        retry::after_no_connection(gate, e, ctx)
    }

    fn error_while_proxy(
        &self,
        _peer: &HttpPeer,
        session: &mut Session,
        e: Box<Error>,
        carried: &mut Carried,
        client_reused: bool,
    ) -> Box<Error> {
        let Carried { gate, ctx, .. } = carried;
        connection::response_began();
        retry::after_error(gate, session, e, ctx, client_reused)
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
            return upgrade::to_nocobase(body, ctx);
        }
        // Pingora's open bug 935: an empty last piece would be written as a second end of the body, which NocoBase would
        // take for the beginning of another request.
        if end && body.as_ref().is_some_and(Bytes::is_empty) {
            *body = None;
        }
        limits::count_body(body.as_ref(), end, gate, ctx)?;
        if end {
            place::take_at_end(gate, session, ctx).await?;
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
        response::head(gate, session, response, ctx)?;
        if ctx.answered_at.is_some() {
            connection::response_began();
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
        if session.was_upgraded() {
            // `tunnel` decides when it ends.
            ctx.body_out += body.as_ref().map_or(0, |b| b.len() as u64);
            return Ok(None);
        }
        response::piece(gate, session, body, end, ctx)?;
        Ok(None)
    }

    async fn fail_to_proxy(&self, session: &mut Session, e: &Error, carried: &mut Carried) -> FailToProxy {
        let Carried { gate, ctx, .. } = carried;
        if let Some(guard) = connection::of(session) {
            guard.take_back();
        }
        let (code, failure) = errors::classify(e);
        ctx.failure = failure;
        if failure.is_none() {
            let request = session.req_header();
            failure::aborted(ctx, &request.method, request.uri.path(), e.etype().as_str());
        }
        if let Some(failure) = failure
            && session.response_written().is_none()
        {
            let mut reply = failure::failed(gate, session, ctx, failure);
            if ctx.signs_out() {
                reply.cookies.append(&mut ctx.sign_out_cookies);
            }
            let reply = reply::stay_with_https(gate, session, reply);
            // An error here means that the client has disconnected.
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
        // Pingora's line would contain the whole target, including the query; ours does not.
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
