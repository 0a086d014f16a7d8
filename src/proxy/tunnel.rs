//! Connections to NocoBase for WebSockets.
//!
//! Pingora 0.9.1 tears a tunnel down right after the 101 when the upstream answers before the request's empty
//! body has been consumed (its open bug 946). A connection that yields once before the first read after a write
//! lets the proxy consume that body first.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use pingora::connectors::L4Connect;
use pingora::prelude::*;
use pingora::protocols::l4::socket::SocketAddr;
use pingora::protocols::l4::stream::Stream;
use pingora::protocols::l4::virt::{VirtualSockOpt, VirtualSocket, VirtualSocketStream};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Dials TCP and yields once after each write.
#[derive(Debug)]
pub struct Connect {
    /// Time to open the connection.
    pub timeout: Duration,
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
        let socket = YieldAfterWrite { stream, wrote: false };
        Ok(Stream::from(VirtualSocketStream::new(Box::new(socket))))
    }
}

#[derive(Debug)]
struct YieldAfterWrite {
    stream: TcpStream,
    wrote: bool,
}

impl AsyncRead for YieldAfterWrite {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if std::mem::take(&mut self.wrote) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for YieldAfterWrite {
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

impl VirtualSocket for YieldAfterWrite {
    fn set_socket_option(&self, option: VirtualSockOpt) -> io::Result<()> {
        match option {
            VirtualSockOpt::NoDelay => self.stream.set_nodelay(true),
            _ => Ok(()),
        }
    }
}
