//! A connection to NocoBase from which Pingora reads the head of a response by itself.
//!
//! Usually it reads more at once, and keeps what follows the head. Here that stays in the connection, so that an event stream can go on
//! without Pingora (`event_stream`).

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::{
    GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

const END: &[u8] = b"\r\n\r\n";
/// Where the first digit of the status is: `HTTP/1.1 200`.
const STATUS: usize = 9;

/// A connection that is about to have one request.
#[derive(Debug)]
pub(crate) struct HeadFirst {
    inner: Stream,
    /// Has arrived, and has not been read yet.
    ahead: Bytes,
    head: Head,
}

/// How much of the head has been read.
#[derive(Debug, Default)]
struct Head {
    length: usize,
    /// How much of [`END`] it ends with.
    matched: usize,
    /// Another head follows (RFC 9110, 15.2).
    is_informational: bool,
}

impl Head {
    fn is_complete(&self) -> bool {
        self.matched == END.len()
    }

    /// How many of these bytes belong to it.
    fn push(&mut self, bytes: &[u8]) -> usize {
        if self.is_complete() && self.is_informational {
            *self = Head::default();
        }
        for (pushed, byte) in bytes.iter().enumerate() {
            if self.is_complete() {
                return pushed;
            }
            if self.length == STATUS {
                self.is_informational = *byte == b'1';
            }
            self.length += 1;
            self.matched = match END.get(self.matched) {
                Some(due) if due == byte => self.matched + 1,
                _ => usize::from(*byte == b'\r'),
            };
        }
        bytes.len()
    }
}

impl HeadFirst {
    /// The connection, before its request.
    pub(crate) fn new(inner: Stream) -> HeadFirst {
        HeadFirst { inner, ahead: Bytes::new(), head: Head::default() }
    }

    /// The connection, behind the head of a response.
    #[cfg(test)]
    pub(crate) fn behind_head(inner: Stream) -> HeadFirst {
        let head = Head { length: 0, matched: END.len(), is_informational: false };
        HeadFirst { inner, ahead: Bytes::new(), head }
    }

    /// Has a head of this length been read, and nothing beyond it?
    pub(crate) fn is_behind_head(&self, length: usize) -> bool {
        self.head.is_complete() && !self.head.is_informational && self.head.length == length
    }

    /// The connection below one that is a [`HeadFirst`], for its next request; `None` if there is more to read.
    pub(crate) fn unwrap(connection: Stream) -> Option<Stream> {
        let me = connection.into_any().downcast::<HeadFirst>().ok()?;
        me.ahead.is_empty().then_some(me.inner)
    }
}

impl AsyncRead for HeadFirst {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        let is_in_head = !me.head.is_complete() || me.head.is_informational;
        if me.ahead.is_empty() {
            if !is_in_head {
                return Pin::new(&mut me.inner).poll_read(cx, buf);
            }
            let mut room = [const { MaybeUninit::uninit() }; 4096];
            let mut read = ReadBuf::uninit(&mut room);
            ready!(Pin::new(&mut me.inner).poll_read(cx, &mut read))?;
            me.ahead = Bytes::copy_from_slice(read.filled());
        }
        let most = me.ahead.len().min(buf.remaining());
        let bytes = me.ahead.get(..most).unwrap_or_default();
        let now = if is_in_head { me.head.push(bytes) } else { most };
        buf.put_slice(bytes.get(..now).unwrap_or_default());
        me.ahead.advance(now);
        if me.ahead.is_empty() {
            me.ahead = Bytes::new();
        }
        Poll::Ready(Ok(()))
    }
}

// Everything else is delegated to the inner stream.
impl AsyncWrite for HeadFirst {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, b)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}
#[async_trait]
impl Shutdown for HeadFirst {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}
impl UniqueID for HeadFirst {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}
impl Ssl for HeadFirst {}
impl GetTimingDigest for HeadFirst {
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        self.inner.get_timing_digest()
    }
}
impl GetProxyDigest for HeadFirst {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}
impl GetSocketDigest for HeadFirst {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}
impl Peek for HeadFirst {}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncReadExt as _;

    const HINTS: &str = "HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n";
    const HEAD: &str = "HTTP/1.1 200 OK\r\nA: \r\r\nB: \r\n\r\n";

    /// What is read at once, with this much room, where the bytes arrive in pieces of this size.
    async fn reads(bytes: &str, room: usize, size: usize) -> (Vec<String>, HeadFirst) {
        let (near, mut far) = tokio::io::duplex(size);
        let sent = bytes.to_owned().into_bytes();
        tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut far, &sent).await });
        let mut connection = HeadFirst::new(Box::new(near));
        let mut all = Vec::new();
        let mut buf = vec![0; room];
        loop {
            let read = connection.read(&mut buf).await.unwrap();
            if read == 0 {
                return (all, connection);
            }
            all.push(String::from_utf8(buf[..read].to_vec()).unwrap());
        }
    }

    #[tokio::test]
    async fn a_head_is_read_by_itself_however_it_arrives() {
        let bytes = format!("{HINTS}{HINTS}{HEAD}data: 1\n\r\n\r\n");
        let (pieces, _) = reads(&bytes, 4096, 4096).await;
        assert_eq!(pieces, [HINTS, HINTS, HEAD, "data: 1\n\r\n\r\n"]);
        for room in [1, 2, 7, 4096] {
            for size in 1..bytes.len() {
                let (pieces, _) = reads(&bytes, room, size).await;
                assert_eq!(pieces.concat(), bytes, "{room} {size}");
                let ends: Vec<usize> = pieces
                    .iter()
                    .scan(0, |end, piece| {
                        *end += piece.len();
                        Some(*end)
                    })
                    .collect();
                for end in [HINTS.len(), 2 * HINTS.len(), 2 * HINTS.len() + HEAD.len()] {
                    assert!(ends.contains(&end), "{room} {size}: {pieces:?}");
                }
            }
        }
    }

    #[tokio::test]
    async fn what_has_not_been_read_is_known() {
        let (mut far, near) = tokio::io::duplex(4096);
        let mut connection = HeadFirst::new(Box::new(near));
        assert!(!connection.is_behind_head(0));
        tokio::io::AsyncWriteExt::write_all(&mut far, format!("{HEAD}more").as_bytes()).await.unwrap();
        let mut buf = vec![0; 4096];
        assert_eq!(connection.read(&mut buf).await.unwrap(), HEAD.len());
        assert!(connection.is_behind_head(HEAD.len()) && !connection.is_behind_head(HEAD.len() - 1));
        assert!(HeadFirst::unwrap(Box::new(connection)).is_none(), "there is more to read");
    }
}
