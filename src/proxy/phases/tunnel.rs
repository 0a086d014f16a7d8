//! A WebSocket that is established, without Pingora: bytes in both directions, until one side closes it, or its session ends.
//!
//! It holds no buffer while nothing passes. What passes is read only as fast as the other side takes it.

use std::future::poll_fn;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use pingora::protocols::Stream;
use tokio::io::{AsyncRead as _, AsyncWrite as _, ReadBuf};

use super::pipe::{self, Client, Open, Silence};
use super::upgrade;
use crate::error::Failure;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::upstream::tunnel::Tunnel;

/// Longest time that a tunnel may be silent in both directions. NocoBase's page sends a ping about every 30 seconds.
pub(super) const SILENCE: Duration = Duration::from_secs(3600);
/// Most bytes read at once.
const PIECE: usize = 16 * 1024;

/// Carries on with the connection to this client.
pub(super) async fn run(client: Stream, gate: Arc<Gate>, ctx: Context) {
    let Some(node) = ctx.node_end.as_ref().and_then(|end| end.take()) else { return };
    let write_timeout = gate.config.limits.body_timeout;
    let mut open = Open::new(gate, ctx);
    let mut pipe = Pipe::new(client, node, write_timeout);
    let end = poll_fn(|task| pipe.poll(task, &mut open.ctx)).await;
    open.end(end.err().map(Fault::name), end.err().and_then(Fault::cause));
    if end.is_ok() {
        pipe.client.close().await;
    }
}

/// Why a tunnel ends without having been closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    Pipe(pipe::Fault),
    /// NocoBase has disconnected.
    Node,
}

impl Fault {
    fn name(self) -> &'static str {
        match self {
            Fault::Pipe(fault) => fault.name(),
            Fault::Node => "ReadError",
        }
    }

    fn cause(self) -> Option<Failure> {
        (self == Fault::Node).then_some(Failure::NocoBaseUnreachable)
    }
}

impl From<pipe::Fault> for Fault {
    fn from(fault: pipe::Fault) -> Fault {
        Fault::Pipe(fault)
    }
}

/// The two connections.
struct Pipe {
    client: Client,
    node: Tunnel,
    /// What NocoBase does not take yet.
    to_node: Bytes,
    /// NocoBase sends nothing more.
    is_node_done: bool,
    /// NocoBase takes nothing more.
    is_node_deaf: bool,
    silence: Silence,
}

impl Pipe {
    /// `write_timeout`: how long the client may take for what it was sent.
    fn new(client: Stream, node: Tunnel, write_timeout: Duration) -> Pipe {
        Pipe {
            client: Client::new(client, write_timeout),
            node,
            to_node: Bytes::new(),
            is_node_done: false,
            is_node_deaf: false,
            silence: Silence::new(SILENCE),
        }
    }

    /// Completes when one side has closed it.
    fn poll(&mut self, task: &mut Task<'_>, ctx: &mut Context) -> Poll<Result<(), Fault>> {
        // First what the client sends: it may be a reason to end the tunnel, which NocoBase's side then says.
        if self.poll_to_node(task, ctx)?.is_ready() || self.poll_to_client(task, ctx)?.is_ready() {
            return Poll::Ready(Ok(()));
        }
        self.silence.poll(task).map(|fault| Err(fault.into()))
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
            ready!(self.client.poll_read(task, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
            self.silence.heard();
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
            ready!(self.client.poll_left(task))?;
            if !self.is_node_done && self.poll_piece(task, ctx)?.is_ready() {
                continue;
            }
            ready!(self.client.poll_flush(task))?;
            return if self.is_node_done { Poll::Ready(Ok(())) } else { Poll::Pending };
        }
    }

    /// The next piece of NocoBase.
    fn poll_piece(&mut self, task: &mut Task<'_>, ctx: &mut Context) -> Poll<Result<(), Fault>> {
        let mut room = [const { MaybeUninit::uninit() }; PIECE];
        let mut read = ReadBuf::uninit(&mut room);
        ready!(Pin::new(&mut self.node).poll_read(task, &mut read)).map_err(|_| Fault::Node)?;
        let bytes = read.filled();
        self.is_node_done = bytes.is_empty();
        if !self.is_node_done {
            self.silence.heard();
            ctx.body_out += bytes.len() as u64;
            self.client.send(task, bytes)?;
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests;
