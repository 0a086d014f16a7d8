//! Connections to NocoBase for WebSockets.
//!
//! Pingora 0.9.1 tears a tunnel down right after the 101 when the upstream responds before the request's empty
//! body has been consumed (its open bug 946). A connection that yields once before the first read after a write
//! lets the proxy consume that body first.
//!
//! And a tunnel ends when the session behind it does, or when the gate stops, even when it is silent: the page gets a Close frame,
//! unless a NocoBase frame is under way.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::prelude::*;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::proxy::lost_peers;
use crate::proxy::rewrite::websocket_frames::{Frames, GOING_AWAY, NOT_ALLOWED, RUNNING};
use crate::session::OpenStream;

/// Dials TCP for one tunnel.
pub(crate) struct Connect {
    /// Time to open the connection.
    pub timeout: Duration,
    /// The session behind it, if there is one.
    pub session: Option<Arc<OpenStream>>,
    /// Tell the page that NocoBase runs: see [`RUNNING`].
    pub running: bool,
    /// The Close frame to end with, once there is a reason to.
    pub close: watch::Receiver<Option<&'static [u8]>>,
    /// Turns true when the gate stops.
    pub stopping: watch::Receiver<bool>,
}

impl fmt::Debug for Connect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connect").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

type End = Pin<Box<dyn Future<Output = &'static [u8]> + Send + Sync>>;

impl Connect {
    /// Done when the tunnel has to end: the Close frame that says why.
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
        let socket = Tunnel {
            stream,
            wrote: false,
            frames: Frames::new(),
            greeting: self.running.then_some(RUNNING),
            end: Some(self.end()),
            session: self.session.clone(),
            farewell: None,
        };
        Ok(Stream::from(VirtualSocketStream::new(Box::new(socket))))
    }
}

struct Tunnel {
    stream: TcpStream,
    /// Yield before the next read.
    wrote: bool,
    frames: Frames,
    /// A frame to send first, where no NocoBase frame is under way.
    greeting: Option<&'static [u8]>,
    /// Taken when it is done.
    end: Option<End>,
    /// As in [`Connect`].
    session: Option<Arc<OpenStream>>,
    /// What is left to send to the page; then the tunnel ends.
    farewell: Option<&'static [u8]>,
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("stream", &self.stream).finish_non_exhaustive()
    }
}

impl Tunnel {
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

    /// No more bytes from NocoBase follow; the page gets a Close frame, unless a frame is under way.
    fn begin_farewell(&mut self, close: &'static [u8]) {
        self.end = None;
        self.farewell = Some(if self.frames.at_boundary() { close } else { &[] });
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
        // Looked at before each read, since `end` is asked only where nothing is there to be read.
        if me.farewell.is_none() && me.session.as_ref().is_some_and(|s| s.is_ended()) {
            me.begin_farewell(NOT_ALLOWED);
        }
        if me.say_farewell(buf) {
            return Poll::Ready(Ok(()));
        }
        if std::mem::take(&mut me.wrote) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if me.greet(buf) {
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        if let Poll::Ready(done) = Pin::new(&mut me.stream).poll_read(cx, buf) {
            me.frames.push(buf.filled().get(before..).unwrap_or_default());
            return Poll::Ready(done);
        }
        let Some(end) = me.end.as_mut() else { return Poll::Pending };
        let Poll::Ready(close) = end.as_mut().poll(cx) else { return Poll::Pending };
        me.begin_farewell(close);
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

impl VirtualSocket for Tunnel {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            VirtualSockOpt::KeepAlive(_) => lost_peers::find(SockRef::from(&self.stream)),
            _ => Ok(()),
        }
    }
}
