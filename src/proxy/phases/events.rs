//! An event stream without Pingora, once the client has its head. Pingora keeps the state of a whole request, about 40 KiB, for as long as
//! a response lasts, and an event stream lasts as long as its page.
//!
//! The head says `Connection: close`: what the client sends after its request is read and discarded, so that its end is noticed.

use std::future::poll_fn;
use std::io::Write as _;
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use http::{Version, header};
use memchr::memmem;
use pingora::prelude::*;
use pingora::protocols::Stream;
use pingora::protocols::http::HttpTask;
use pingora::protocols::http::v1::client::HttpSession;
use pingora::proxy::Session;
use tokio::io::ReadBuf;

use super::pipe::{self, Client, Open, Silence};
use crate::error::Failure;
use crate::proxy::connection;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::upstream::event_stream::{Broken, EventStream};

/// May the response become an event stream? Browsers ask for one in this way, and so do NocoBase's page and other programs.
pub(super) fn are_asked_for(session: &Session) -> bool {
    let request = session.req_header();
    request.version == Version::HTTP_11
        && request
            .headers
            .get_all(header::ACCEPT)
            .iter()
            .any(|kinds| memmem::find(kinds.as_bytes(), b"text/event-stream").is_some())
}

/// Prepares to drop Pingora's request after the head that is written next. False: it has to stay.
pub(super) fn hand_over(session: &mut Session, ctx: &mut Context) -> bool {
    let can = !ctx.looks_at_body()
        && session.as_mut().is_body_done()
        && connection::of(session).is_some_and(connection::Guarded::hand_over);
    if can {
        session.set_keepalive(None);
        let request = session.req_header();
        ctx.target = Some((request.method.clone(), request.uri.clone()));
    }
    can
}

/// Sends the head. Then the request is dropped while it waits here, and [`run`] carries on.
///
/// # Errors
/// The head cannot be sent.
pub(super) async fn begin(
    session: &mut Session,
    ctx: &mut Context,
    server: HttpSession,
    head: HttpTask,
) -> Result<()> {
    ctx.events = EventStream::take(server).map(Box::new);
    if ctx.events.is_some() {
        session.write_response_tasks(vec![head]).await?;
        if connection::is_handed_over() {
            return std::future::pending().await;
        }
    }
    Error::e_explain(InternalError, "an event stream that cannot go on")
}

/// Carries on with the connection to this client.
pub(super) async fn run(client: Stream, gate: Arc<Gate>, mut ctx: Context) {
    let Some(node) = ctx.events.take() else { return };
    let (write_timeout, silence) = (gate.config.limits.body_timeout, gate.config.upstream.read_timeout);
    let mut open = Open::new(gate, ctx);
    let mut pipe = Pipe::new(client, node, write_timeout, silence);
    let end = poll_fn(|task| pipe.poll(task, &mut open.ctx.body_out)).await;
    // Not later: NocoBase need not wait for the end of the connection to the client.
    let Pipe { client, node, .. } = pipe;
    drop(node);
    open.end(end.err().map(Fault::name), end.err().and_then(Fault::cause));
    if end.is_ok() {
        client.close().await;
    }
}

/// Why an event stream ends before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Pipe(pipe::Fault),
    /// The client has disconnected.
    Left,
    /// NocoBase has disconnected.
    NodeClosed,
    NodeLost,
    /// NocoBase's chunks are none.
    Chunks,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Pipe(fault) => fault.name(),
            Fault::Left | Fault::NodeClosed => "ConnectionClosed",
            Fault::NodeLost => "ReadError",
            Fault::Chunks => "InvalidChunk",
        }
    }

    fn cause(self) -> Option<Failure> {
        match self {
            Fault::Pipe(pipe::Fault::Silent) => Some(Failure::NocoBaseTimeout),
            Fault::NodeClosed | Fault::NodeLost | Fault::Chunks => Some(Failure::NocoBaseUnreachable),
            Fault::Pipe(_) | Fault::Left => None,
        }
    }
}

impl From<pipe::Fault> for Fault {
    fn from(fault: pipe::Fault) -> Fault {
        Fault::Pipe(fault)
    }
}

impl From<Broken> for Fault {
    fn from(broken: Broken) -> Fault {
        match broken {
            Broken::Closed => Fault::NodeClosed,
            Broken::Lost => Fault::NodeLost,
            Broken::Chunks => Fault::Chunks,
        }
    }
}

/// The two connections.
struct Pipe {
    client: Client,
    node: Box<EventStream>,
    /// NocoBase sends nothing more.
    is_done: bool,
    silence: Silence,
}

impl Pipe {
    /// `write_timeout`: how long the client may take for what it was sent; `silence`: how long NocoBase may send nothing.
    fn new(client: Stream, node: Box<EventStream>, write_timeout: Duration, silence: Duration) -> Pipe {
        let (client, silence) = (Client::new(client, write_timeout), Silence::new(silence));
        Pipe { client, node, is_done: false, silence }
    }

    /// Completes when the client has the end. `sent`: counts the bytes of the body.
    fn poll(&mut self, task: &mut Task<'_>, sent: &mut u64) -> Poll<Result<(), Fault>> {
        if let Poll::Ready(left) = self.poll_client(task) {
            return Poll::Ready(Err(left));
        }
        loop {
            if self.client.is_behind() {
                ready!(self.client.poll_left(task))?;
                // Meanwhile nothing was expected.
                self.silence.heard();
            }
            let mut body = Vec::new();
            let Poll::Ready(more) = self.poll_piece(task, &mut body) else {
                ready!(self.client.poll_flush(task))?;
                return if self.is_done {
                    Poll::Ready(Ok(()))
                } else {
                    self.silence.poll(task).map(|fault| Err(fault.into()))
                };
            };
            self.is_done = !more?;
            self.silence.heard();
            *sent += body.len() as u64;
            self.client.send(task, &framed(&body, self.is_done))?;
        }
    }

    /// Bytes of NocoBase.
    fn poll_piece(&mut self, task: &mut Task<'_>, body: &mut Vec<u8>) -> Poll<Result<bool, Broken>> {
        if self.is_done { Poll::Pending } else { self.node.poll_next(task, body) }
    }

    /// Completes when the client has disconnected.
    fn poll_client(&mut self, task: &mut Task<'_>) -> Poll<Fault> {
        let mut room = [const { MaybeUninit::uninit() }; 1024];
        loop {
            let mut read = ReadBuf::uninit(&mut room);
            match ready!(self.client.poll_read(task, &mut read)) {
                Ok(()) if read.filled().is_empty() => return Poll::Ready(Fault::Left),
                Ok(()) => {}
                Err(fault) => return Poll::Ready(fault.into()),
            }
        }
    }
}

/// A piece of the body as the client gets it: chunks of the gate's own, without extensions and trailers.
fn framed(body: &[u8], is_last: bool) -> Vec<u8> {
    let mut out = Vec::with_capacity(body.len() + 16);
    if !body.is_empty() {
        // A vector takes everything.
        let _ = write!(out, "{:X}\r\n", body.len());
        out.extend_from_slice(body);
        out.extend_from_slice(b"\r\n");
    }
    if is_last {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    out
}

#[cfg(test)]
mod tests;
