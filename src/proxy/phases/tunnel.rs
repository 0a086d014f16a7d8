//! A WebSocket that is established, without Pingora: bytes in both directions, until one side closes it, or its session ends.
//!
//! It holds no buffer while nothing passes. What passes is read only as fast as the other side takes it.

use std::future::{Future as _, poll_fn};
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use pingora::protocols::Stream;
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use super::upgrade;
use crate::error::Failure;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::response::failure;
use crate::proxy::upstream::tunnel::Tunnel;
use crate::proxy::{access_log, password, request_metrics};

/// Longest time that a tunnel may be silent in both directions. NocoBase's page sends a ping about every 30 seconds.
pub(super) const SILENCE: Duration = Duration::from_secs(3600);
/// Most bytes read at once.
const PIECE: usize = 16 * 1024;
/// How long the end of the connection to the client may take.
const CLOSING: Duration = Duration::from_secs(2);

/// Carries on with the connection to this client.
pub(super) async fn run(client: Stream, gate: Arc<Gate>, ctx: Context) {
    let Some(node) = ctx.node_end.as_ref().and_then(|end| end.take()) else { return };
    let write_timeout = gate.config.limits.body_timeout;
    let mut open = Open { gate, ctx, ended: false };
    let mut pipe = Pipe::new(client, node, write_timeout);
    let end = poll_fn(|task| pipe.poll(task, &mut open.ctx)).await;
    open.end(end.err());
    if end.is_ok() {
        // An error means that the client has disconnected.
        let _ = tokio::time::timeout(CLOSING, pipe.client.shutdown()).await;
    }
}

/// A tunnel until it is recorded.
struct Open {
    gate: Arc<Gate>,
    ctx: Context,
    ended: bool,
}

impl Open {
    fn end(&mut self, fault: Option<Fault>) {
        let Open { gate, ctx, ended } = self;
        *ended = true;
        if fault == Some(Fault::Node) {
            ctx.failure = Some(Failure::NocoBaseUnreachable);
        }
        let error = fault.map_or("", Fault::name);
        if let Some((method, uri)) =
            ctx.target.as_ref().filter(|_| !error.is_empty() && ctx.failure.is_none())
        {
            failure::aborted(ctx, method, uri.path(), error);
        }
        password::done(gate, ctx.status, ctx);
        access_log::without_pingora(gate, ctx, error);
        request_metrics::tunnel_ended(gate, ctx);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Its session has ended, and the client does not read.
        if !self.ended && self.ctx.member_ended() {
            access_log::cut_off(&self.gate, &self.ctx);
            request_metrics::cut_off(&self.gate, &mut self.ctx);
        }
    }
}

/// Why a tunnel ends without having been closed. The names are those of Pingora's errors, as the log had them before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// The client has disconnected.
    Read,
    Write,
    /// The client reads nothing.
    Stuck,
    Silent,
    /// NocoBase has disconnected.
    Node,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Read | Fault::Node => "ReadError",
            Fault::Write => "WriteError",
            Fault::Stuck => "WriteTimedout",
            Fault::Silent => "ReadTimedout",
        }
    }
}

/// The two connections.
struct Pipe {
    client: Stream,
    node: Tunnel,
    /// What the client does not take yet.
    to_client: Bytes,
    /// What NocoBase does not take yet.
    to_node: Bytes,
    /// The connection to the client has a buffer.
    is_unflushed: bool,
    /// NocoBase sends nothing more.
    is_node_done: bool,
    /// NocoBase takes nothing more.
    is_node_deaf: bool,
    /// How long the client may take for what it was sent.
    write_timeout: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
    heard_at: Instant,
    silent: Pin<Box<Sleep>>,
}

impl Pipe {
    fn new(client: Stream, node: Tunnel, write_timeout: Duration) -> Pipe {
        Pipe {
            client,
            node,
            to_client: Bytes::new(),
            to_node: Bytes::new(),
            is_unflushed: false,
            is_node_done: false,
            is_node_deaf: false,
            write_timeout,
            stuck: None,
            heard_at: Instant::now(),
            silent: Box::pin(sleep(SILENCE)),
        }
    }

    /// Completes when one side has closed it.
    fn poll(&mut self, task: &mut Task<'_>, ctx: &mut Context) -> Poll<Result<(), Fault>> {
        // First what the client sends: it may be a reason to end the tunnel, which NocoBase's side then says.
        if self.poll_to_node(task, ctx)?.is_ready() || self.poll_to_client(task, ctx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.poll_silence(task)
    }

    /// Bytes of the client. Completes when it closes the connection.
    fn poll_to_node(&mut self, task: &mut Task<'_>, ctx: &mut Context) -> Poll<Result<(), Fault>> {
        if ctx.member_ended() {
            self.to_node.clear();
        }
        loop {
            while !self.to_node.is_empty() {
                match ready!(Pin::new(&mut self.node).poll_write(task, &self.to_node)) {
                    Ok(written @ 1..) => self.to_node.advance(written),
                    // What it has sent before still reaches the client.
                    Ok(0) | Err(_) => {
                        self.is_node_deaf = true;
                        self.to_node.clear();
                    }
                }
            }
            let mut room = [const { MaybeUninit::uninit() }; PIECE];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut self.client).poll_read(task, &mut read)).map_err(|_| Fault::Read)?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.heard_at = Instant::now();
            ctx.body_in += read.filled().len() as u64;
            let mut piece = Some(Bytes::copy_from_slice(read.filled()));
            // After the end of the session nothing passes.
            if upgrade::to_nocobase(&mut piece, ctx).is_ok() && !self.is_node_deaf {
                self.to_node = piece.unwrap_or_default();
            }
        }
    }

    /// Bytes of NocoBase. Completes when it has closed the connection, and the client has everything.
    fn poll_to_client(&mut self, task: &mut Task<'_>, ctx: &mut Context) -> Poll<Result<(), Fault>> {
        loop {
            while !self.to_client.is_empty() {
                match Pin::new(&mut self.client).poll_write(task, &self.to_client) {
                    Poll::Ready(Ok(written @ 1..)) => self.to_client.advance(written),
                    Poll::Ready(_) => return Poll::Ready(Err(Fault::Write)),
                    Poll::Pending => return self.poll_stuck(task),
                }
            }
            if !self.is_node_done && self.poll_piece(task, ctx)?.is_ready() {
                continue;
            }
            if self.is_unflushed {
                match Pin::new(&mut self.client).poll_flush(task) {
                    Poll::Ready(Ok(())) => self.is_unflushed = false,
                    Poll::Ready(Err(_)) => return Poll::Ready(Err(Fault::Write)),
                    Poll::Pending => return self.poll_stuck(task),
                }
            }
            self.stuck = None;
            return if self.is_node_done { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
    }

    /// The next piece of NocoBase. What the client does not take at once is kept.
    fn poll_piece(&mut self, task: &mut Task<'_>, ctx: &mut Context) -> Poll<Result<(), Fault>> {
        let mut room = [const { MaybeUninit::uninit() }; PIECE];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.node).poll_read(task, &mut read)).map_err(|_| Fault::Node)?;
        let bytes = read.filled();
        self.is_node_done = bytes.is_empty();
        if self.is_node_done {
            return Poll::Ready(Ok(()));
        }
        self.heard_at = Instant::now();
        ctx.body_out += bytes.len() as u64;
        self.is_unflushed = true;
        let written = match Pin::new(&mut self.client).poll_write(task, bytes) {
            Poll::Ready(Ok(written @ 1..)) => written,
            Poll::Ready(_) => return Poll::Ready(Err(Fault::Write)),
            Poll::Pending => 0,
        };
        self.to_client = Bytes::copy_from_slice(bytes.get(written..).unwrap_or_default());
        Poll::Ready(Ok(()))
    }

    /// The client takes nothing at present.
    fn poll_stuck(&mut self, task: &mut Task<'_>) -> Poll<Result<(), Fault>> {
        let timer = self.stuck.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        timer.as_mut().poll(task).map(|()| Err(Fault::Stuck))
    }

    /// The timer is not reset with each byte: when it fires, it may be too early.
    fn poll_silence(&mut self, task: &mut Task<'_>) -> Poll<Result<(), Fault>> {
        loop {
            ready!(self.silent.as_mut().poll(task));
            let due = self.heard_at + SILENCE;
            if Instant::now() >= due {
                return Poll::Ready(Err(Fault::Silent));
            }
            self.silent.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests;
