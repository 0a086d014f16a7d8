//! A request that has arrived whole, and NocoBase's response to it.
//!
//! Pingora can forward a request itself, and does so with uploads and WebSockets. It reads both sides at once, and passes every piece
//! through a channel: a request that is there already has no use for that, and pays a sixth of its processor time for it.
//! `docs/performance.md` has the measurement.

use std::future::Future;
use std::pin::{Pin, pin};
use std::task::Poll;

use http::{Method, StatusCode, Version, header};
use pingora::http::ResponseHeader;
use pingora::prelude::*;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::proxy::Session;

use super::{events, limits, node, place, response, retry};
use crate::proxy::context::Context;
use crate::proxy::forward;
use crate::proxy::gate::Gate;
use crate::proxy::upstream::event_stream::EventStream;
use crate::proxy::upstream::head_first::HeadFirst;

/// Most attempts: a request may meet every node once, and connections that have just been closed before that.
const MAX_ATTEMPTS: usize = 64;
/// Most pieces of a response that are written at once.
const AT_ONCE: usize = 4;

/// Is this a request that is sent once it has arrived whole? Its body may still be on its way, but is short.
pub(super) fn takes(session: &mut Session) -> bool {
    !session.is_upgrade_req() && (session.as_mut().is_body_done() || place::is_short(session.req_header()))
}

/// Sends the request, if necessary several times, and the response.
///
/// # Errors
/// There is no response, or it could not be passed on as a whole.
pub(super) async fn run(gate: &Gate, session: &mut Session, ctx: &mut Context) -> Result<()> {
    let mut left = MAX_ATTEMPTS;
    loop {
        left = left.saturating_sub(1);
        match attempt(gate, session, ctx).await {
            Err(e) if e.retry() && left > 0 => {}
            done => return done,
        }
    }
}

async fn attempt(gate: &Gate, session: &mut Session, ctx: &mut Context) -> Result<()> {
    let node = node::choose(gate, session, ctx).await?;
    let (connection, is_reused) = match gate.upstreams.connect(node).await {
        Ok(connected) => connected,
        Err(e) => return Err(retry::after_no_connection(gate, e.into_up(), ctx)),
    };
    let may_be_events = events::are_asked_for(session);
    let mut server = HttpSession::new(match may_be_events {
        true => Box::new(HeadFirst::new(connection)),
        false => connection,
    });
    server.read_timeout = Some(gate.config.upstream.read_timeout);
    server.write_timeout = Some(gate.config.upstream.read_timeout);
    let done = exchange(gate, session, ctx, server, node, may_be_events).await;
    done.map_err(|e| retry::after_error(gate, session, e, ctx, is_reused))
}

async fn exchange(
    gate: &Gate,
    session: &mut Session,
    ctx: &mut Context,
    mut server: HttpSession,
    node: usize,
    may_be_events: bool,
) -> Result<()> {
    let request = forward::request::build(gate, session, ctx)?;
    server.write_request_header(Box::new(request)).await.map_err(|e| e.into_up())?;
    let mut unsent = send_body(gate, session, ctx, &mut server).await?;
    let mut hangs = pin!(node::until_hung(gate, session, ctx));
    let last = loop {
        let hangs = ctx.answered_at.is_none().then_some(hangs.as_mut());
        let task = next(session, &mut server, hangs).await.map_err(|e| unsent.take().unwrap_or(e))?;
        if may_be_events && unsent.is_none() && is_alone(&task, &server) {
            let is_last = !is_informational(&task);
            let head = changed(gate, session, ctx, task)?;
            if is_last && events::hand_over(session, ctx) {
                return Box::pin(events::begin(session, ctx, server, head)).await;
            }
            session.write_response_tasks(vec![head]).await?;
            continue;
        }
        let tasks = pieces(gate, session, ctx, &mut server, task)?;
        if tasks.last().is_none_or(HttpTask::is_end) {
            break tasks;
        }
        session.write_response_tasks(tasks).await?;
    };
    // If NocoBase has responded without having read the whole body, what it reads next is the rest.
    if unsent.is_none() {
        // Before the client has the response: it may send its next request at once.
        keep(gate, server, node, may_be_events).await;
    }
    session.write_response_tasks(last).await?;
    if session.as_mut().finish_body().await.is_err() {
        session.set_keepalive(None);
    }
    Ok(())
}

/// Keeps the connection to the node, unless the response says, or shows, that it cannot be used again.
async fn keep(gate: &Gate, mut server: HttpSession, node: usize, may_be_events: bool) {
    server.respect_keepalive();
    let mut connection = server.reuse().await;
    if may_be_events {
        connection = connection.and_then(HeadFirst::unwrap);
    }
    if let Some(connection) = connection {
        gate.upstreams.keep(node, connection, gate.places.idle());
    }
}

/// Sends the body that has been read before. NocoBase may respond before it has read all of it, so an error is returned to be used if it
/// does not.
async fn send_body(
    gate: &Gate,
    session: &Session,
    ctx: &mut Context,
    server: &mut HttpSession,
) -> Result<Option<Box<Error>>> {
    ctx.body_in = 0;
    let Some(body) = session.as_ref().get_retry_buffer().filter(|body| !body.is_empty()) else {
        return Ok(None);
    };
    limits::count_body(Some(&body), true, gate, ctx)?;
    let mut sent = server.write_body(&body).await.err();
    if sent.is_none() {
        sent = server.finish_body().await.err();
    }
    Ok(sent.map(|e| e.into_up()))
}

/// The next piece of the response, as long as the client waits for it and the node does not hang.
async fn next(
    session: &mut Session,
    server: &mut HttpSession,
    hangs: Option<Pin<&mut impl Future<Output = ()>>>,
) -> Result<HttpTask> {
    let hung = async {
        match hangs {
            Some(hangs) => hangs.await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        biased;
        task = server.read_response_task() => task.map_err(|e| e.into_up()),
        left = session.as_mut().read_body_or_idle(true) => Err(match left {
            Ok(_) => Error::explain(ConnectionClosed, "while it waited for its response").into_down(),
            Err(e) => e.into_down(),
        }),
        () = hung => Err(Error::explain(ConnectionClosed, "the node hangs").into_up()),
    }
}

/// Is this the head of an event stream, or one that may be followed by such a head?
fn is_alone(task: &HttpTask, server: &HttpSession) -> bool {
    is_informational(task) || matches!(task, HttpTask::Header(_, false)) && EventStream::is_one(server)
}

fn is_informational(task: &HttpTask) -> bool {
    matches!(task, HttpTask::Header(head, _) if head.status.is_informational())
}

/// This piece and those that have arrived with it, as the client gets them.
fn pieces(
    gate: &Gate,
    session: &mut Session,
    ctx: &mut Context,
    server: &mut HttpSession,
    mut task: HttpTask,
) -> Result<Vec<HttpTask>> {
    let mut tasks = Vec::with_capacity(AT_ONCE);
    loop {
        let is_end = task.is_end();
        tasks.push(changed(gate, session, ctx, task)?);
        if is_end || tasks.len() >= AT_ONCE {
            return Ok(tasks);
        }
        task = match now(server.read_response_task()) {
            Some(Ok(task)) => task,
            // What has arrived is still written.
            Some(Err(e)) => HttpTask::Failed(e.into_up()),
            None => return Ok(tasks),
        };
    }
}

fn changed(gate: &Gate, session: &mut Session, ctx: &mut Context, task: HttpTask) -> Result<HttpTask> {
    Ok(match task {
        HttpTask::Header(mut head, end) => {
            frame(&session.req_header().method, &mut head, end)?;
            response::head(gate, session, &mut head, ctx)?;
            HttpTask::Header(head, end)
        }
        HttpTask::Body(mut piece, end) => {
            response::piece(gate, session, &mut piece, end, ctx)?;
            HttpTask::Body(piece, end)
        }
        other => other,
    })
}

/// A body that ends with NocoBase's connection is sent in chunks, so that the client's connection can be kept.
fn frame(method: &Method, head: &mut ResponseHeader, end: bool) -> Result<()> {
    let has_body = !end
        && *method != Method::HEAD
        && !head.status.is_informational()
        && !matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if has_body
        && !head.headers.contains_key(header::TRANSFER_ENCODING)
        && !head.headers.contains_key(header::CONTENT_LENGTH)
    {
        head.set_version(Version::HTTP_11);
        head.insert_header(header::TRANSFER_ENCODING, "chunked")?;
    }
    Ok(())
}

/// The output, if there is one already. To be used with what can be cancelled and begun again.
fn now<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match pin!(work).poll(&mut context) {
        Poll::Ready(output) => Some(output),
        Poll::Pending => None,
    }
}
