//! What WebSockets (`tunnel`) and event streams (`events`) have in common once they go on without Pingora: a client that is written to only
//! as fast as it reads, a time limit for silence, and the record at the end. Nothing here holds a buffer while nothing passes.

use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as Task, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use pingora::protocols::Stream;
use tokio::io::{AsyncRead as _, AsyncWrite as _, AsyncWriteExt as _, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::error::Failure;
use crate::proxy::context::Context;
use crate::proxy::gate::Gate;
use crate::proxy::response::failure;
use crate::proxy::{access_log, password, request_metrics};

/// How long the end of the connection to the client may take.
const CLOSING: Duration = Duration::from_secs(2);

/// Why it ends without having been closed. The names in the log are those of Pingora's errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection to the client is lost.
    Read,
    Write,
    /// The client reads nothing.
    Stuck,
    Silent,
}

impl Fault {
    pub(super) fn name(self) -> &'static str {
        match self {
            Fault::Read => "ReadError",
            Fault::Write => "WriteError",
            Fault::Stuck => "WriteTimedout",
            Fault::Silent => "ReadTimedout",
        }
    }
}

/// The connection to the client.
pub(super) struct Client {
    stream: Stream,
    /// What it does not take yet.
    left: Bytes,
    /// The connection has a buffer.
    is_unflushed: bool,
    /// How long it may take for what it was sent.
    write_timeout: Duration,
    stuck: Option<Pin<Box<Sleep>>>,
}

impl Client {
    pub(super) fn new(stream: Stream, write_timeout: Duration) -> Client {
        Client { stream, left: Bytes::new(), is_unflushed: false, write_timeout, stuck: None }
    }

    /// Reads what it sends; nothing: it has closed its side.
    pub(super) fn poll_read(
        &mut self,
        task: &mut Task<'_>,
        read: &mut ReadBuf<'_>,
    ) -> Poll<Result<(), Fault>> {
        Pin::new(&mut self.stream).poll_read(task, read).map_err(|_| Fault::Read)
    }

    /// Is there something that it has not taken yet?
    pub(super) fn is_behind(&self) -> bool {
        !self.left.is_empty()
    }

    /// Sends what is left. Completes when nothing is.
    pub(super) fn poll_left(&mut self, task: &mut Task<'_>) -> Poll<Result<(), Fault>> {
        if !self.is_behind() {
            return Poll::Ready(Ok(()));
        }
        while !self.left.is_empty() {
            match Pin::new(&mut self.stream).poll_write(task, &self.left) {
                Poll::Ready(Ok(written @ 1..)) => self.left.advance(written),
                Poll::Ready(_) => return Poll::Ready(Err(Fault::Write)),
                Poll::Pending => return self.poll_stuck(task),
            }
        }
        self.left = Bytes::new();
        self.stuck = None;
        Poll::Ready(Ok(()))
    }

    /// Sends these bytes. What it does not take at once is kept. To be called only while nothing is left.
    pub(super) fn send(&mut self, task: &mut Task<'_>, bytes: &[u8]) -> Result<(), Fault> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.is_unflushed = true;
        let written = match Pin::new(&mut self.stream).poll_write(task, bytes) {
            Poll::Ready(Ok(written @ 1..)) => written,
            Poll::Ready(_) => return Err(Fault::Write),
            Poll::Pending => 0,
        };
        self.left = Bytes::copy_from_slice(bytes.get(written..).unwrap_or_default());
        Ok(())
    }

    /// Completes when everything has left the buffer of the connection.
    pub(super) fn poll_flush(&mut self, task: &mut Task<'_>) -> Poll<Result<(), Fault>> {
        if self.is_unflushed {
            match Pin::new(&mut self.stream).poll_flush(task) {
                Poll::Ready(Ok(())) => self.is_unflushed = false,
                Poll::Ready(Err(_)) => return Poll::Ready(Err(Fault::Write)),
                Poll::Pending => return self.poll_stuck(task),
            }
        }
        self.stuck = None;
        Poll::Ready(Ok(()))
    }

    /// It takes nothing at present.
    fn poll_stuck(&mut self, task: &mut Task<'_>) -> Poll<Result<(), Fault>> {
        let timer = self.stuck.get_or_insert_with(|| Box::pin(sleep(self.write_timeout)));
        timer.as_mut().poll(task).map(|()| Err(Fault::Stuck))
    }

    /// Closes the connection, of which everything has been sent.
    pub(super) async fn close(mut self) {
        // An error means that the client has disconnected.
        let _ = tokio::time::timeout(CLOSING, self.stream.shutdown()).await;
    }
}

/// A time limit for silence.
pub(super) struct Silence {
    limit: Duration,
    heard_at: Instant,
    timer: Pin<Box<Sleep>>,
}

impl Silence {
    pub(super) fn new(limit: Duration) -> Silence {
        Silence { limit, heard_at: Instant::now(), timer: Box::pin(sleep(limit)) }
    }

    /// It is not silent at this moment.
    pub(super) fn heard(&mut self) {
        self.heard_at = Instant::now();
    }

    /// The timer is not reset with each byte: when it fires, it may be too early.
    pub(super) fn poll(&mut self, task: &mut Task<'_>) -> Poll<Fault> {
        loop {
            ready!(self.timer.as_mut().poll(task));
            let due = self.heard_at + self.limit;
            if Instant::now() >= due {
                return Poll::Ready(Fault::Silent);
            }
            self.timer.as_mut().reset(due);
        }
    }
}

/// A response until it is recorded.
pub(super) struct Open {
    gate: Arc<Gate>,
    pub(super) ctx: Context,
    is_recorded: bool,
}

impl Open {
    pub(super) fn new(gate: Arc<Gate>, ctx: Context) -> Open {
        Open { gate, ctx, is_recorded: false }
    }

    /// It has ended. `error`: the name for the log, if it was not closed; `cause`: if that is not the client.
    pub(super) fn end(&mut self, error: Option<&str>, cause: Option<Failure>) {
        let Open { gate, ctx, is_recorded } = self;
        *is_recorded = true;
        ctx.failure = cause.or(ctx.failure);
        if let (Some(error), None, Some((method, uri))) = (error, ctx.failure, ctx.target.as_ref()) {
            failure::aborted(ctx, method, uri.path(), error);
        }
        password::done(gate, ctx.status, ctx);
        access_log::without_pingora(gate, ctx, error.unwrap_or_default());
        request_metrics::done_without_pingora(gate, error.is_some(), ctx);
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        // Its session has ended.
        if !self.is_recorded && self.ctx.member_ended() {
            access_log::cut_off(&self.gate, &self.ctx);
            request_metrics::cut_off(&self.gate, &mut self.ctx);
        }
    }
}
