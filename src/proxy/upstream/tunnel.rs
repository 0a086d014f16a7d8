//! Connections to NocoBase for WebSockets.
//!
//! Pingora 0.9.1 closes a tunnel right after the 101 if the upstream responds before the request's empty body has been consumed
//! (its open bug 946). A connection that yields once before the first read after a write lets the proxy consume that body first.
//!
//! After the head of the 101 a connection waits until it is known who reads on: Pingora ([`NodeEnd::release`]), or the gate itself
//! ([`NodeEnd::take`]), which then drops Pingora's request.
//!
//! A tunnel ends when its session ends, or when the gate stops, even if it is silent: the page gets a Close frame, never inside a
//! NocoBase frame. If a frame is incomplete its rest is waited for, a short time, unless the session has ended (R32).

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;
use pingora::connectors::L4Connect;
use pingora::prelude::*;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::Sleep;

use crate::nocobase::NodeLimiter;
use crate::proxy::lost_peers;
use crate::proxy::rewrite::websocket_frames::{Frames, GOING_AWAY, NOT_ALLOWED, RUNNING};
use crate::session::OpenStream;

/// How long the rest of a frame may take before the tunnel ends without a Close frame.
const REST_OF_FRAME: Duration = Duration::from_secs(2);

/// Opens a TCP connection for one tunnel.
pub(crate) struct Connect {
    /// Time to open the connection.
    pub timeout: Duration,
    /// Its session, if there is one.
    pub session: Option<Arc<OpenStream>>,
    /// Send the page the message that NocoBase is running: see [`RUNNING`].
    pub running: bool,
    /// The Close frame to end with, once there is a reason to.
    pub close: watch::Receiver<Option<&'static [u8]>>,
    /// Becomes true when the gate stops.
    pub stopping: watch::Receiver<bool>,
    /// Its node: while the tunnel waits for its 101, a node that hangs ends it.
    pub node: Arc<NodeLimiter>,
    /// Gets the connection.
    pub node_end: NodeEnd,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

type Waiting<T> = Pin<Box<dyn Future<Output = T> + Send + Sync>>;
type End = Waiting<&'static [u8]>;

impl Connect {
    /// Completes when the tunnel has to end, with the Close frame for the reason.
    fn end(&self) -> End {
        let (session, mut stopping) = (self.session.clone(), self.stopping.clone());
        let mut close = self.close.clone();
        Box::pin(async move {
            let ended = async {
                match session {
                    Some(stream) => stream.until_ended().await,
                    None => std::future::pending().await,
                }
            };
            let closed = async {
                match close.wait_for(Option::is_some).await.ok().and_then(|frame| *frame) {
                    Some(frame) => frame,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                frame = closed => frame,
                () = ended => NOT_ALLOWED,
                _ = stopping.wait_for(|stopping| *stopping) => GOING_AWAY,
            }
        })
    }

    /// The tunnel over this connection.
    fn tunnel(&self, stream: TcpStream) -> Tunnel {
        Tunnel {
            stream,
            wrote: false,
            head: Head::Before,
            ahead: Vec::new(),
            frames: Frames::new(),
            greeting: self.running.then_some(RUNNING),
            end: Some(self.end()),
            hangs: Some(Box::pin(self.node.until_silent(Duration::ZERO))),
            session: self.session.clone(),
            closing: None,
            farewell: None,
        }
    }
}

#[async_trait]
impl L4Connect for Connect {
    async fn connect(&self, address: &SocketAddr) -> Result<Stream> {
        let address = address.as_inet().ok_or_else(|| Error::explain(ConnectError, "not a TCP address"))?;
        let stream = tokio::time::timeout(self.timeout, TcpStream::connect(address))
            .await
            .or_err(ConnectTimedout, "WebSocket upstream")?
            .or_err(ConnectError, "WebSocket upstream")?;
        stream.set_nodelay(true).or_err(ConnectError, "TCP_NODELAY")?;
        *self.node_end.0.lock() = Some(self.tunnel(stream));
        Ok(Stream::from(VirtualSocketStream::new(Box::new(Lent(self.node_end.clone())))))
    }
}

/// The connection to NocoBase, which Pingora uses until the gate takes it.
#[derive(Clone, Default)]
pub(crate) struct NodeEnd(Arc<Mutex<Option<Tunnel>>>);

impl NodeEnd {
    /// Pingora reads on after the 101.
    pub(crate) fn release(&self) {
        if let Some(tunnel) = self.0.lock().as_mut() {
            tunnel.release();
        }
    }

    /// Has Pingora read the head of a 101, and nothing beyond it?
    pub(crate) fn is_held(&self) -> bool {
        self.0.lock().as_ref().is_some_and(|tunnel| matches!(tunnel.head, Head::Held(_)))
    }

    /// The gate reads on. Must not be called unless [`NodeEnd::is_held`].
    pub(crate) fn take(&self) -> Option<Tunnel> {
        let mut tunnel = self.0.lock().take()?;
        tunnel.release();
        Some(tunnel)
    }
}

/// What Pingora has of it.
struct Lent(NodeEnd);

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lent(..)")
    }
}

impl Lent {
    fn with<T>(&self, poll: impl FnOnce(Pin<&mut Tunnel>) -> Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        match self.0.0.lock().as_mut() {
            Some(tunnel) => poll(Pin::new(tunnel)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl AsyncRead for Lent {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.with(|tunnel| tunnel.poll_read(cx, buf))
    }
}

impl AsyncWrite for Lent {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        self.with(|tunnel| tunnel.poll_write(cx, b))
    }
    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|tunnel| tunnel.poll_flush(cx))
    }
    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.with(|tunnel| tunnel.poll_shutdown(cx))
    }
}

impl VirtualSocket for Lent {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        let tunnel = self.0.0.lock();
        let Some(tunnel) = tunnel.as_ref() else { return Ok(()) };
        match option {
            VirtualSockOpt::NoDelay => tunnel.stream.set_nodelay(true),
            VirtualSockOpt::KeepAlive(_) => lost_peers::find(SockRef::from(&tunnel.stream)),
            _ => Ok(()),
        }
    }
}

/// Whether the head of the 101 has been read.
enum Head {
    Before,
    /// It has, and nothing beyond it is read until somebody has decided to.
    Held(Option<Waker>),
    Released,
}

/// A connection to NocoBase, with the frames of the gate's own between those of NocoBase.
pub(crate) struct Tunnel {
    stream: TcpStream,
    /// Yield before the next read.
    wrote: bool,
    head: Head,
    /// What arrived together with the head.
    ahead: Vec<u8>,
    frames: Frames,
    /// A frame to send first, as soon as no NocoBase frame is in progress.
    greeting: Option<&'static [u8]>,
    /// Taken once it has completed.
    end: Option<End>,
    /// Completes when the node hangs; `None` once it has responded.
    hangs: Option<Waiting<()>>,
    /// As in [`Connect`].
    session: Option<Arc<OpenStream>>,
    /// The Close frame to send when the current frame has ended, and the time limit for that.
    closing: Option<(&'static [u8], Pin<Box<Sleep>>)>,
    /// What is still to be sent to the page; then the tunnel ends.
    farewell: Option<&'static [u8]>,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Tunnel {
    /// After the head of the 101, without a session.
    #[cfg(test)]
    pub(crate) fn established(stream: TcpStream) -> Tunnel {
        let mut frames = Frames::new();
        frames.push(b"HTTP/1.1 101 Switching Protocols\r\n\r\n");
        Tunnel {
            stream,
            wrote: false,
            head: Head::Released,
            ahead: Vec::new(),
            frames,
            greeting: None,
            end: None,
            hangs: None,
            session: None,
            closing: None,
            farewell: None,
        }
    }

    /// From now on what follows the head is read.
    fn release(&mut self) {
        if let Head::Held(waiting) = std::mem::replace(&mut self.head, Head::Released) {
            waiting.into_iter().for_each(Waker::wake);
        }
    }

    /// Bytes of NocoBase; of those that come with the head of a 101, first only the head.
    fn poll_node(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.ahead.is_empty() {
            let now = self.ahead.len().min(buf.remaining());
            let bytes: Vec<u8> = self.ahead.drain(..now).collect();
            self.frames.push(&bytes);
            buf.put_slice(&bytes);
            if self.ahead.is_empty() {
                self.ahead = Vec::new();
            }
            return Poll::Ready(Ok(()));
        }
        if !self.frames.in_head() {
            let before = buf.filled().len();
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
            self.frames.push(buf.filled().get(before..).unwrap_or_default());
            return Poll::Ready(Ok(()));
        }
        let mut room = [0; 4096];
        let most = room.len().min(buf.remaining());
        let mut read = ReadBuf::new(room.get_mut(..most).unwrap_or_default());
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut read))?;
        let head = self.frames.push_head(read.filled());
        let (head, ahead) = read.filled().split_at_checked(head).unwrap_or((read.filled(), &[]));
        buf.put_slice(head);
        self.ahead = ahead.to_vec();
        if self.frames.at_boundary() {
            self.head = Head::Held(None);
        }
        Poll::Ready(Ok(()))
    }

    /// In one piece, so that no NocoBase bytes come in between.
    fn greet(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(words) = self.greeting.filter(|w| self.frames.at_boundary() && buf.remaining() >= w.len())
        else {
            return false;
        };
        buf.put_slice(words);
        self.greeting = None;
        true
    }

    /// No more frames from NocoBase follow; the page gets a Close frame after the current frame.
    fn begin_farewell(&mut self, close: &'static [u8]) {
        self.end = None;
        if self.frames.left().is_some() && close != NOT_ALLOWED {
            self.closing = Some((close, Box::pin(tokio::time::sleep(REST_OF_FRAME))));
        } else {
            self.closing = None;
            self.farewell = Some(if self.frames.at_boundary() { close } else { &[] });
        }
    }

    /// Reads the rest of the current frame, and no byte more; then comes the Close frame, if the rest arrived in time.
    fn poll_rest(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let Some((close, timer)) = self.closing.as_mut() else { return Poll::Pending };
        let close = *close;
        let late = timer.as_mut().poll(cx).is_ready();
        let mut room = [0; 4096];
        let most = self.frames.left().unwrap_or(0).min(room.len()).min(buf.remaining());
        let mut rest = ReadBuf::new(room.get_mut(..most).unwrap_or_default());
        match self.poll_node(cx, &mut rest) {
            Poll::Ready(Ok(())) if !late && !rest.filled().is_empty() => {
                buf.put_slice(rest.filled());
                if self.frames.left().is_none() {
                    self.begin_farewell(close);
                }
            }
            Poll::Pending if !late => return Poll::Pending,
            // NocoBase has disconnected, or is too slow.
            _ => {
                self.closing = None;
                self.farewell = Some(&[]);
            }
        }
        Poll::Ready(Ok(()))
    }

    fn say_farewell(&mut self, buf: &mut ReadBuf<'_>) -> bool {
        let Some(words) = self.farewell.as_mut() else { return false };
        let (now, later) = words.split_at_checked(buf.remaining()).unwrap_or((words, &[]));
        buf.put_slice(now);
        *words = later;
        true
    }
}

impl AsyncRead for Tunnel {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if let Head::Held(waiting) = &mut me.head {
            *waiting = Some(cx.waker().clone());
            return Poll::Pending;
        }
        // Checked before each read, since `end` is polled only if there is nothing to read.
        if me.farewell.is_none() && me.session.as_ref().is_some_and(|s| s.is_ended()) {
            me.begin_farewell(NOT_ALLOWED);
        }
        if me.say_farewell(buf) {
            return Poll::Ready(Ok(()));
        }
        if me.closing.is_some() {
            return me.poll_rest(cx, buf);
        }
        if std::mem::take(&mut me.wrote) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if me.greet(buf) {
            return Poll::Ready(Ok(()));
        }
        if let Poll::Ready(done) = me.poll_node(cx, buf) {
            me.hangs = None;
            return Poll::Ready(done);
        }
        if me.hangs.as_mut().is_some_and(|hangs| hangs.as_mut().poll(cx).is_ready()) {
            // To Pingora the node has closed the connection.
            me.hangs = None;
            return Poll::Ready(Ok(()));
        }
        let Some(end) = me.end.as_mut() else { return Poll::Pending };
        let Poll::Ready(close) = end.as_mut().poll(cx) else { return Poll::Pending };
        me.begin_farewell(close);
        if me.closing.is_some() {
            return me.poll_rest(cx, buf);
        }
        me.say_farewell(buf);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Tunnel {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        let done = Pin::new(&mut self.stream).poll_write(cx, b);
        if matches!(done, Poll::Ready(Ok(_))) {
            self.wrote = true;
        }
        done
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
