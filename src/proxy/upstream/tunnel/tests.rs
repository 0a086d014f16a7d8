use std::future::poll_fn;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::{Instant, timeout};

use super::*;
use crate::proxy::rewrite::websocket_frames::PROTOCOL_ERROR;
use crate::session::{Member, Session, UnixMillis};

/// No test waits this long if everything works.
const PATIENCE: Duration = Duration::from_secs(30);
const HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\n\r\n";
/// A text frame of three bytes.
const FRAME: &[u8] = b"\x81\x03abc";

/// A tunnel after the head of the response, and what it depends on.
struct Open {
    tunnel: Tunnel,
    /// NocoBase's end of the connection.
    nocobase: TcpStream,
    session: Arc<OpenStream>,
    close: watch::Sender<Option<&'static [u8]>>,
    stop: watch::Sender<bool>,
}

impl Open {
    /// The head is sent together with `first`, so that this is available as soon as the head has been read.
    async fn with(running: bool, first: &[u8]) -> Open {
        let (entry, corp_id, userid) = ("wecom".into(), "ww1".into(), "zhangsan".into());
        let member = Member { entry, corp_id, userid, name: String::new(), user_id: 1 };
        let session = Arc::new(Session::begin(member, UnixMillis(1)).unwrap());
        let session = OpenStream::new(session, Vec::new(), 0);
        let (close, closed) = watch::channel(None);
        let (stop, stopping) = watch::channel(false);
        let node = Arc::new(NodeLimiter::new(crate::config::MaxRequests::Unbounded, None));
        let session_of_it = Some(session.clone());
        let connect = Connect {
            timeout: PATIENCE,
            session: session_of_it,
            running,
            close: closed,
            stopping,
            node,
            node_end: NodeEnd::default(),
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tunnel = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let mut nocobase = listener.accept().await.unwrap().0;
        nocobase.write_all(&[HEAD, first].concat()).await.unwrap();
        let mut open = Open { tunnel: connect.tunnel(tunnel), nocobase, session, close, stop };
        open.exactly(HEAD).await;
        open.tunnel.release();
        open
    }

    async fn silent() -> Open {
        Self::with(false, b"").await
    }

    /// These exact bytes follow.
    async fn exactly(&mut self, expected: &[u8]) {
        let mut read = vec![0; expected.len()];
        timeout(PATIENCE, self.tunnel.read_exact(&mut read)).await.unwrap().unwrap();
        assert_eq!(read, expected);
    }

    /// These bytes follow, and then the tunnel ends.
    async fn ends_with(&mut self, expected: &[u8]) {
        let mut read = Vec::new();
        timeout(PATIENCE, self.tunnel.read_to_end(&mut read)).await.expect("it stays open").unwrap();
        assert_eq!(read, expected);
    }

    /// Polls once: the available bytes.
    async fn read_once(&mut self) -> Option<Vec<u8>> {
        let mut room = [0; 64];
        let mut room = ReadBuf::new(&mut room);
        poll_fn(|cx| match Pin::new(&mut self.tunnel).poll_read(cx, &mut room) {
            Poll::Ready(done) => Poll::Ready(Some(done)),
            Poll::Pending => Poll::Ready(None),
        })
        .await
        .map(|done| done.map(|()| room.filled().to_vec()).unwrap())
    }
}

/// With the head, nothing that follows is read until it is known who reads on.
#[tokio::test]
async fn r30_nothing_beyond_the_head_is_read_before_somebody_takes_it() {
    for cut in [0, 1, HEAD.len() - 1, HEAD.len(), HEAD.len() + 2] {
        let mut open = Open::silent().await;
        open.tunnel.frames = Frames::new();
        open.tunnel.head = Head::Before;
        let bytes = [HEAD, FRAME, FRAME].concat();
        open.nocobase.write_all(&bytes[..cut]).await.unwrap();
        open.exactly(&bytes[..cut.min(HEAD.len())]).await;
        open.nocobase.write_all(&bytes[cut..]).await.unwrap();
        open.exactly(&HEAD[cut.min(HEAD.len())..]).await;
        open.tunnel.stream.readable().await.unwrap();
        assert_eq!(open.read_once().await, None, "{cut}");
        let end = NodeEnd(Arc::new(Mutex::new(Some(open.tunnel))));
        open.tunnel = end.take().unwrap();
        open.exactly(&[FRAME, FRAME].concat()).await;
        let mut lent = Lent(end);
        assert!(lent.read(&mut [0]).await.is_err(), "it is the gate's now");
    }
}

/// Frames are available, and none passes.
#[tokio::test]
async fn r32_a_busy_tunnel_ends_before_the_next_read() {
    let mut open = Open::with(false, &[FRAME, FRAME].concat()).await;
    open.exactly(FRAME).await;
    open.session.end();
    open.ends_with(NOT_ALLOWED).await;
}

/// Nothing is available, and nothing arrives that would wake it.
#[tokio::test]
async fn r32_a_silent_tunnel_is_woken_by_the_end() {
    let mut open = Open::silent().await;
    let session = open.session.clone();
    let reads = tokio::spawn(async move {
        let mut read = Vec::new();
        open.tunnel.read_to_end(&mut read).await.unwrap();
        read
    });
    // By then it is waiting, and only the end wakes it.
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    session.end();
    let read = timeout(PATIENCE, reads).await.expect("nothing wakes it").unwrap();
    assert_eq!(read, NOT_ALLOWED);
}

/// A Close frame inside another frame would be part of its payload.
#[tokio::test]
async fn r32_inside_a_frame_a_tunnel_ends_without_a_word() {
    for cut in 1..FRAME.len() {
        let mut open = Open::with(false, &FRAME[..cut]).await;
        open.exactly(&FRAME[..cut]).await;
        open.session.end();
        open.ends_with(b"").await;
    }
}

#[tokio::test]
async fn each_reason_to_end_has_its_close_frame() {
    let mut open = Open::silent().await;
    open.close.send_replace(Some(PROTOCOL_ERROR));
    open.ends_with(PROTOCOL_ERROR).await;
    let mut open = Open::silent().await;
    open.stop.send_replace(true);
    open.ends_with(GOING_AWAY).await;
    let mut open = Open::silent().await;
    open.nocobase.shutdown().await.unwrap();
    open.ends_with(b"").await;
}

#[tokio::test]
async fn a_stop_waits_for_the_frame_under_way_and_lets_no_other_begin() {
    for cut in 1..FRAME.len() {
        let mut open = Open::with(false, &FRAME[..cut]).await;
        open.exactly(&FRAME[..cut]).await;
        open.stop.send_replace(true);
        assert_eq!(open.read_once().await, None, "its rest is not there yet");
        open.nocobase.write_all(&[&FRAME[cut..], FRAME].concat()).await.unwrap();
        open.ends_with(&[&FRAME[cut..], GOING_AWAY].concat()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_frame_is_not_waited_for_long() {
    let mut open = Open::with(false, &FRAME[..3]).await;
    open.exactly(&FRAME[..3]).await;
    open.stop.send_replace(true);
    let began = Instant::now();
    open.ends_with(b"").await;
    assert_eq!(began.elapsed().as_secs(), REST_OF_FRAME.as_secs());
    // NocoBase disconnects before that.
    let mut open = Open::with(false, &FRAME[..3]).await;
    open.exactly(&FRAME[..3]).await;
    open.stop.send_replace(true);
    open.nocobase.shutdown().await.unwrap();
    open.ends_with(b"").await;
}

/// The session ends while the rest of a frame is awaited: nothing more of it passes.
#[tokio::test]
async fn r32_a_session_that_ends_during_a_stop_ends_the_tunnel_at_once() {
    let mut open = Open::with(false, &FRAME[..3]).await;
    open.exactly(&FRAME[..3]).await;
    open.stop.send_replace(true);
    assert_eq!(open.read_once().await, None);
    open.session.end();
    open.nocobase.write_all(&FRAME[3..]).await.unwrap();
    open.ends_with(b"").await;
}

#[tokio::test]
async fn a_close_frame_fits_into_small_pieces() {
    let mut open = Open::silent().await;
    open.session.end();
    for byte in NOT_ALLOWED {
        open.exactly(&[*byte]).await;
    }
    open.ends_with(b"").await;
}

#[tokio::test]
async fn the_greeting_comes_between_frames_and_in_one_piece() {
    let mut open = Open::with(true, &[FRAME, FRAME].concat()).await;
    // Too little room for it, and inside a frame.
    open.exactly(&FRAME[..2]).await;
    open.exactly(&FRAME[2..]).await;
    open.exactly(RUNNING).await;
    open.exactly(FRAME).await;
    open.session.end();
    open.ends_with(NOT_ALLOWED).await;
}

/// Pingora has to notice the request's end first.
#[tokio::test]
async fn the_first_read_after_a_write_waits_a_turn() {
    let mut open = Open::with(false, &[FRAME, FRAME].concat()).await;
    open.exactly(FRAME).await;
    open.tunnel.write_all(b"x").await.unwrap();
    assert_eq!(open.read_once().await, None);
    assert_eq!(open.read_once().await.as_deref(), Some(FRAME));
    let mut byte = [0];
    open.nocobase.read_exact(&mut byte).await.unwrap();
    assert_eq!(byte, *b"x");
    // Its reader is woken for the next one without further input.
    let mut open = Open::with(false, &[FRAME, FRAME].concat()).await;
    open.exactly(FRAME).await;
    open.tunnel.write_all(b"x").await.unwrap();
    open.exactly(FRAME).await;
}
