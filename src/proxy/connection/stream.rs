//! A connection whose reads share one deadline, however many there are.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Buf as _, Bytes};
use parking_lot::Mutex;
use pingora::protocols::raw_connect::ProxyDigest;
use pingora::protocols::tls::{SslDigest, TlsRef};
use pingora::protocols::{
    ALPN, GetProxyDigest, GetSocketDigest, GetTimingDigest, Peek, Shutdown, SocketDigest, Ssl, Stream,
    TimingDigest, UniqueID, UniqueIDType,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::chunks::Chunks;
use super::refusal::{Refusals, RequestName};
use super::session_end;

/// Time limits for a client.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// For a whole request head.
    pub head: Duration,
    /// Between two requests.
    pub idle: Duration,
}

impl Times {
    /// For a connection of the reserve, which others wait for.
    pub(super) fn short(self) -> Times {
        let most = Duration::from_secs(3);
        Times { head: self.head.min(most), idle: self.idle.min(most) }
    }
}

/// No deadline at present.
const DISARMED: u64 = u64::MAX;
/// HTTP/2: the preface (24 bytes) and the first frame's header (9 bytes); then `h2_idle_timeout` takes over.
const H2_OPENING: usize = 33;

/// A connection whose reads fail once its deadline has passed.
#[derive(Debug)]
pub(crate) struct Guarded {
    inner: Stream,
    start: Instant,
    /// Milliseconds after `start`. Atomic, because phases only hold a shared reference.
    deadline: AtomicU64,
    timer: Option<Pin<Box<Sleep>>>,
    timer_at: u64,
    h2_read: Option<usize>,
    /// Creates the response if Pingora refuses a request by itself. Not on HTTP/2, where it writes at any time.
    refusals: Option<Refusals>,
    /// The rest of that response still to be written; Pingora's own is discarded.
    refusal: Option<Bytes>,
    /// The current request.
    asked: Mutex<RequestName>,
    /// Bytes read since it began.
    received: AtomicU64,
    /// The position in its body, if that is chunked.
    chunks: Mutex<Chunks>,
    /// What is written next is the last that Pingora writes, see [`Guarded::hand_over`].
    handed_over: AtomicBool,
    /// Collects small writes of HTTP/1.
    is_collecting: bool,
    /// Written by Pingora, and not yet by this: the head of a response, which goes out together with the first piece of its body.
    collected: Vec<u8>,
}

/// A head with its first bytes of a body that is larger than this is sent in one call without being copied.
const SMALL: usize = 4096;

impl Guarded {
    /// `first`: the deadline from now on; `h2`: it is disarmed automatically once HTTP/2 has begun.
    pub(crate) fn new(inner: Stream, first: Duration, h2: bool) -> Self {
        let deadline = AtomicU64::new(millis(first));
        Guarded {
            inner,
            start: Instant::now(),
            deadline,
            timer: None,
            timer_at: DISARMED,
            h2_read: h2.then_some(0),
            refusals: None,
            refusal: None,
            asked: Mutex::new(RequestName::NOTHING),
            received: AtomicU64::new(0),
            chunks: Mutex::new(Chunks::Lost),
            handed_over: AtomicBool::new(false),
            is_collecting: !h2,
            collected: Vec::new(),
        }
    }

    /// TLS writes to it, which decides itself what it sends together.
    pub(super) fn below_tls(mut self) -> Self {
        self.is_collecting = false;
        self
    }

    /// Sends what has been collected, followed by `more`. Returns how much of `more` was taken.
    fn poll_send(&mut self, cx: &mut Context<'_>, more: &[u8]) -> Poll<io::Result<usize>> {
        while !self.collected.is_empty() {
            let sent = if more.is_empty() {
                ready!(Pin::new(&mut self.inner).poll_write(cx, &self.collected))?
            } else {
                let both = [io::IoSlice::new(&self.collected), io::IoSlice::new(more)];
                ready!(Pin::new(&mut self.inner).poll_write_vectored(cx, &both))?
            };
            if sent == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            match sent.checked_sub(self.collected.len()) {
                Some(of_more) => {
                    // Idle connections keep no buffer.
                    self.collected = Vec::new();
                    if of_more > 0 {
                        return Poll::Ready(Ok(of_more));
                    }
                }
                None => _ = self.collected.drain(..sent),
            }
        }
        if more.is_empty() { Poll::Ready(Ok(0)) } else { Pin::new(&mut self.inner).poll_write(cx, more) }
    }

    /// Nothing more is read, and once the head that is written next has been sent, the request is dropped without this connection
    /// (`handover`). False: this request cannot be dropped.
    pub(crate) fn hand_over(&self) -> bool {
        let can = session_end::can_hand_over();
        self.handed_over.store(can, Ordering::Relaxed);
        can
    }

    /// Not after all: there is another response.
    pub(crate) fn take_back(&self) {
        self.handed_over.store(false, Ordering::Relaxed);
    }

    /// Responds instead of Pingora to requests that it refuses by itself (HTTP/1).
    pub(crate) fn with_refusals(mut self, refusals: &Refusals) -> Self {
        if self.h2_read.is_none() {
            self.refusals = Some(refusals.clone());
        }
        self
    }

    /// A request begins, of which this much has arrived.
    pub(crate) fn begins(&self, asked: RequestName, received: &[u8]) {
        *self.asked.lock() = asked;
        self.received.store(received.len() as u64, Ordering::Relaxed);
        let mut chunks = Chunks::BEGIN;
        chunks.push(received);
        *self.chunks.lock() = chunks;
    }

    /// Have more bytes arrived after the chunked body of the current request?
    pub(crate) fn is_chunked_body_followed(&self) -> bool {
        self.chunks.lock().is_followed()
    }

    /// Bytes read since the request began.
    pub(crate) fn received(&self) -> u64 {
        self.received.load(Ordering::Relaxed)
    }

    /// A response before any phase has seen a request: Pingora has refused it by itself, calls no hook, and closes the
    /// connection. Writes the gate's response instead; `None`: this is not such a response.
    fn pingora_refuses(&mut self, cx: &mut Context<'_>, theirs: &[u8]) -> Option<Poll<io::Result<usize>>> {
        if self.refusal.is_none() {
            if self.deadline.load(Ordering::Relaxed) == DISARMED {
                return None;
            }
            let refusals = self.refusals.take()?;
            let client =
                self.get_socket_digest().and_then(|d| d.peer_addr().and_then(|a| a.as_inet().copied()));
            self.refusal = Some(refusals.respond(theirs, &self.asked.lock(), client));
        }
        let left = self.refusal.as_mut()?;
        while !left.is_empty() {
            match Pin::new(&mut self.inner).poll_write(cx, left) {
                Poll::Ready(Ok(0)) => return Some(Poll::Ready(Err(io::ErrorKind::WriteZero.into()))),
                Poll::Ready(Ok(written)) => left.advance(written),
                other => return Some(other),
            }
        }
        Some(Poll::Ready(Ok(theirs.len())))
    }

    /// Removes the deadline: the request head is complete.
    pub(crate) fn disarm(&self) {
        self.deadline.store(DISARMED, Ordering::Relaxed);
    }

    /// Reads fail after this time.
    pub(crate) fn arm(&self, within: Duration) {
        self.deadline.store(millis(self.start.elapsed().saturating_add(within)), Ordering::Relaxed);
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(DISARMED - 1).min(DISARMED - 1)
}

impl AsyncRead for Guarded {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let me = &mut *self;
        if *me.handed_over.get_mut() {
            // Nobody waits for it: the request is dropped.
            return Poll::Pending;
        }
        let before = buf.filled().len();
        if let Poll::Ready(done) = Pin::new(&mut me.inner).poll_read(cx, buf) {
            let received = buf.filled().len().saturating_sub(before);
            me.received.fetch_add(received as u64, Ordering::Relaxed);
            me.chunks.get_mut().push(buf.filled().get(before..).unwrap_or_default());
            if let Some(read) = me.h2_read.as_mut() {
                *read += received;
                if *read >= H2_OPENING {
                    me.h2_read = None;
                    me.disarm();
                }
            }
            return Poll::Ready(done);
        }
        // Not before the read: to ask for the time with each costs more, and who waits for bytes comes here.
        let deadline = me.deadline.load(Ordering::Relaxed);
        if deadline == DISARMED {
            return Poll::Pending;
        }
        // Timers are created lazily: a connection that always has bytes ready never needs one. They are reset only to fire
        // earlier: a timer that fires too early for the current deadline is cheaper than resetting it with each request.
        let at = |deadline| me.start + Duration::from_millis(deadline);
        let timer = me.timer.get_or_insert_with(|| {
            me.timer_at = deadline;
            Box::pin(tokio::time::sleep_until(at(deadline)))
        });
        if deadline < me.timer_at {
            me.timer_at = deadline;
            timer.as_mut().reset(at(deadline));
        }
        loop {
            match timer.as_mut().poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(()) if deadline <= me.timer_at => {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Ready(()) => {
                    me.timer_at = deadline;
                    timer.as_mut().reset(at(deadline));
                }
            }
        }
    }
}

impl AsyncWrite for Guarded {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
        if let Some(done) = self.pingora_refuses(cx, b) {
            return done;
        }
        if !self.is_collecting {
            return Pin::new(&mut self.inner).poll_write(cx, b);
        }
        if self.collected.len() + b.len() <= SMALL {
            if self.collected.capacity() == 0 {
                self.collected.reserve_exact(SMALL);
            }
            self.collected.extend_from_slice(b);
            return Poll::Ready(Ok(b.len()));
        }
        self.poll_send(cx, b)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx, &[]))?;
        ready!(Pin::new(&mut self.inner).poll_flush(cx))?;
        if *self.handed_over.get_mut() {
            session_end::hand_over();
        }
        Poll::Ready(Ok(()))
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx, &[]))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        b: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let first = b.iter().find(|b| !b.is_empty()).map_or(&[][..], |b| b);
        if let Some(done) = self.pingora_refuses(cx, first) {
            return done;
        }
        if self.is_collecting {
            return self.poll_write(cx, first);
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, b)
    }
    fn is_write_vectored(&self) -> bool {
        !self.is_collecting && self.inner.is_write_vectored()
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        if *self.handed_over.get_mut() && session_end::is_handed_over() {
            // Nobody reads from what is put in its place.
            let nothing: Stream = Box::new(io::Cursor::new(Vec::<u8>::new()));
            session_end::keep_client(std::mem::replace(&mut self.inner, nothing));
        }
    }
}

// Everything else is delegated to the inner stream.
#[async_trait]
impl Shutdown for Guarded {
    async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }
}
impl UniqueID for Guarded {
    fn id(&self) -> UniqueIDType {
        self.inner.id()
    }
}
impl Ssl for Guarded {
    fn get_ssl(&self) -> Option<&TlsRef> {
        self.inner.get_ssl()
    }
    fn get_ssl_digest(&self) -> Option<Arc<SslDigest>> {
        self.inner.get_ssl_digest()
    }
    fn selected_alpn_proto(&self) -> Option<ALPN> {
        self.inner.selected_alpn_proto()
    }
}
impl GetTimingDigest for Guarded {
    // Nothing here reads it, and each request would allocate a list of its own.
    fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
        Vec::new()
    }
    fn get_read_pending_time(&self) -> Duration {
        self.inner.get_read_pending_time()
    }
    fn get_write_pending_time(&self) -> Duration {
        self.inner.get_write_pending_time()
    }
}
impl GetProxyDigest for Guarded {
    fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
        self.inner.get_proxy_digest()
    }
}
impl GetSocketDigest for Guarded {
    fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
        self.inner.get_socket_digest()
    }
}
#[async_trait]
impl Peek for Guarded {
    async fn try_peek(&mut self, b: &mut [u8]) -> io::Result<bool> {
        self.inner.try_peek(b).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
    use tokio::time::timeout;

    const S: Duration = Duration::from_secs(1);

    fn guarded() -> (DuplexStream, Guarded, Instant) {
        let (far, near) = tokio::io::duplex(64);
        (far, Guarded::new(Box::new(near), 10 * S, false), Instant::now())
    }

    /// Takes a few bytes of each write, and remembers the writes.
    #[derive(Debug)]
    struct Socket(Arc<Mutex<Vec<Vec<u8>>>>, usize);

    impl AsyncRead for Socket {
        fn poll_read(self: Pin<&mut Self>, _: &mut Context<'_>, _: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }
    impl AsyncWrite for Socket {
        fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, b: &[u8]) -> Poll<io::Result<usize>> {
            self.poll_write_vectored(cx, &[io::IoSlice::new(b)])
        }
        fn poll_write_vectored(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
            bufs: &[io::IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            let all: Vec<u8> = bufs.iter().flat_map(|b| b.iter().copied()).take(self.1).collect();
            self.0.lock().push(all.clone());
            Poll::Ready(Ok(all.len()))
        }
        fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
        fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Ready(Ok(()))
        }
    }
    #[async_trait]
    impl Shutdown for Socket {
        async fn shutdown(&mut self) {}
    }
    impl UniqueID for Socket {
        fn id(&self) -> UniqueIDType {
            0
        }
    }
    impl Ssl for Socket {}
    impl GetTimingDigest for Socket {
        fn get_timing_digest(&self) -> Vec<Option<TimingDigest>> {
            Vec::new()
        }
    }
    impl GetProxyDigest for Socket {
        fn get_proxy_digest(&self) -> Option<Arc<ProxyDigest>> {
            None
        }
    }
    impl GetSocketDigest for Socket {
        fn get_socket_digest(&self) -> Option<Arc<SocketDigest>> {
            None
        }
    }
    impl Peek for Socket {}

    /// The lengths of the writes for these writes and flushes (`None`), where the socket takes `at_most` bytes at once. Every byte arrives,
    /// in order.
    async fn writes(at_most: usize, calls: &[Option<usize>], h2: bool) -> Vec<usize> {
        let seen = Arc::default();
        let mut guarded = Guarded::new(Box::new(Socket(Arc::clone(&seen), at_most)), S, h2);
        guarded.disarm();
        let mut all = Vec::new();
        for call in calls {
            match call {
                Some(length) => {
                    let bytes: Vec<u8> = (0..*length).map(|n| (all.len() + n) as u8).collect();
                    guarded.write_all(&bytes).await.unwrap();
                    all.extend(bytes);
                }
                None => guarded.flush().await.unwrap(),
            }
        }
        guarded.flush().await.unwrap();
        assert_eq!(guarded.collected.capacity(), 0, "an idle connection has no buffer");
        assert!(seen.lock().concat() == all);
        let seen = seen.lock();
        seen.iter().map(Vec::len).collect()
    }

    #[tokio::test]
    async fn a_head_is_sent_with_the_first_bytes_of_its_body() {
        let all = usize::MAX;
        assert_eq!(writes(all, &[Some(800), Some(1024), None], false).await, [1824]);
        assert_eq!(writes(all, &[Some(800), Some(70_000), None], false).await, [70_800]);
        assert_eq!(writes(all, &[Some(800), None, Some(70_000), Some(5)], false).await, [800, 70_000, 5]);
        assert_eq!(writes(all, &[Some(800), Some(70_000), Some(70_000)], false).await, [70_800, 70_000]);
        assert_eq!(writes(all, &[Some(5000)], false).await, [5000]);
        assert_eq!(writes(all, &[Some(4096), Some(1)], false).await, [4097]);
        assert_eq!(
            writes(all, &[Some(9), Some(70_000)], true).await,
            [9, 70_000],
            "HTTP/2 collects by itself"
        );
    }

    #[tokio::test]
    async fn every_byte_is_sent_however_few_are_taken_at_once() {
        for at_most in [1, 7, 799, 800, 801, 4096] {
            let lengths =
                writes(at_most, &[Some(800), Some(9_000), Some(3), None, Some(4_000), Some(200)], false);
            assert_eq!(lengths.await.iter().sum::<usize>(), 14_003);
        }
    }

    async fn fails_after(guarded: &mut Guarded) -> Duration {
        let began = Instant::now();
        let e = guarded.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(e.kind(), io::ErrorKind::TimedOut);
        began.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn r17_a_dripping_head_has_one_deadline() {
        let (mut far, mut guarded, began) = guarded();
        for _ in 0..3 {
            far.write_all(b"a").await.unwrap();
            assert_eq!(guarded.read(&mut [0; 8]).await.unwrap(), 1);
            tokio::time::sleep(3 * S).await;
        }
        fails_after(&mut guarded).await;
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[tokio::test(start_paused = true)]
    async fn r17_a_timer_that_fires_early_is_no_deadline() {
        let (_far, mut guarded, _) = guarded();
        assert!(timeout(S, guarded.read(&mut [0; 8])).await.is_err());
        guarded.disarm();
        assert!(timeout(60 * S, guarded.read(&mut [0; 8])).await.is_err(), "a request takes its time");
        guarded.arm(75 * S);
        assert_eq!(fails_after(&mut guarded).await.as_secs(), 75);
    }

    #[tokio::test(start_paused = true)]
    async fn r17_a_later_and_an_earlier_deadline_count() {
        let (_far, mut guarded, _) = guarded();
        guarded.arm(30 * S);
        assert!(timeout(S, guarded.read(&mut [0; 8])).await.is_err());
        guarded.arm(100 * S);
        assert!(timeout(50 * S, guarded.read(&mut [0; 8])).await.is_err());
        guarded.arm(2 * S);
        assert_eq!(fails_after(&mut guarded).await.as_secs(), 2);
    }
}
