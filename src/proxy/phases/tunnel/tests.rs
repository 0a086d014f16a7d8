use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::*;
use crate::proxy::test_gate::gate;
use crate::session::{Attached, Member, OpenStream, Session, SessionCache, UnixMillis};

/// No test waits this long if everything works.
const PATIENCE: Duration = Duration::from_secs(30);
const ROOM: u32 = 16 * 1024;
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// The far ends of a tunnel that is being served; its end, and how many bytes it has counted.
struct Served {
    page: DuplexStream,
    nocobase: TcpStream,
    end: JoinHandle<(Result<(), Fault>, u64, u64)>,
}

/// `first`: what NocoBase has sent before.
async fn serve(first: &[u8]) -> Served {
    serve_session(first, None).await
}

/// The same, of a session.
async fn serve_session(first: &[u8], session: Option<Attached>) -> Served {
    let (near, mut nocobase) = connected().await;
    if !first.is_empty() {
        nocobase.write_all(first).await.unwrap();
        near.readable().await.unwrap();
    }
    let (page, client) = duplex(if first.is_empty() { 2 * PIECE } else { 1000 });
    let end = tokio::spawn(async move {
        let mut ctx = Context::new(&gate(""));
        ctx.stream = session;
        let mut pipe = Pipe::new(Box::new(client), Tunnel::established(near), WRITE_TIMEOUT);
        let end = poll_fn(|task| pipe.poll(task, &mut ctx)).await;
        (end, ctx.body_in, ctx.body_out)
    });
    Served { page, nocobase, end }
}

/// A connection to NocoBase with buffers so small that it takes a part of a piece at times; and NocoBase's end of it.
async fn connected() -> (TcpStream, TcpStream) {
    let (listener, near) = (TcpSocket::new_v4().unwrap(), TcpSocket::new_v4().unwrap());
    listener.set_recv_buffer_size(ROOM).unwrap();
    near.set_send_buffer_size(ROOM).unwrap();
    listener.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = listener.listen(1).unwrap();
    let near = near.connect(listener.local_addr().unwrap()).await.unwrap();
    (near, listener.accept().await.unwrap().0)
}

/// A session's open stream, as the tunnel has it, and as it is ended.
fn of_session() -> (Attached, Arc<OpenStream>) {
    let (entry, corp_id, userid) = ("wecom".into(), "ww1".into(), "zhangsan".into());
    let member = Member { entry, corp_id, userid, name: String::new(), user_id: 1 };
    let session = Arc::new(Session::begin(member, UnixMillis(1)).unwrap());
    let cache = SessionCache::new(PATIENCE);
    let seen = cache.insert_checked(&session, UnixMillis(1));
    let stream = OpenStream::new(session, Vec::new(), 0);
    (cache.attach(&seen, stream.clone()), stream)
}

fn bytes(many: usize, seed: usize) -> Vec<u8> {
    (0..many).map(|n| ((n * 31 + seed) % 251) as u8).collect()
}

/// More than all buffers hold, in both directions at once: neither waits for the other.
#[tokio::test]
async fn all_bytes_pass_in_both_directions_in_order() {
    const MANY: usize = 3_000_000;
    let Served { page, nocobase, end } = serve(b"").await;
    let ((mut from_page, mut to_page), (mut from_nocobase, mut to_nocobase)) =
        (tokio::io::split(page), tokio::io::split(nocobase));
    let sends = tokio::spawn(async move {
        to_page.write_all(&bytes(MANY, 1)).await.unwrap();
        to_page
    });
    let answers = tokio::spawn(async move {
        to_nocobase.write_all(&bytes(MANY, 2)).await.unwrap();
        to_nocobase
    });
    let (mut at_nocobase, mut at_page) = (vec![0; MANY], vec![0; MANY]);
    let both = async {
        let (a, b) =
            tokio::join!(from_nocobase.read_exact(&mut at_nocobase), from_page.read_exact(&mut at_page));
        a.unwrap();
        b.unwrap();
    };
    tokio::time::timeout(PATIENCE * 4, both).await.unwrap();
    assert!(at_nocobase == bytes(MANY, 1) && at_page == bytes(MANY, 2));
    drop((from_page, sends.await.unwrap()));
    assert_eq!(end.await.unwrap(), (Ok(()), MANY as u64, MANY as u64));
    answers.await.unwrap();
}

/// NocoBase's side says that it is over (`upstream::tunnel`, left out here). A page that reads nothing never hears it, and may go on
/// sending.
#[tokio::test]
async fn r32_nothing_of_the_page_passes_after_the_end() {
    let (attached, stream) = of_session();
    let Served { mut page, mut nocobase, end } = serve_session(b"", Some(attached)).await;
    page.write_all(b"before").await.unwrap();
    let mut read = vec![0; 6];
    tokio::time::timeout(PATIENCE, nocobase.read_exact(&mut read)).await.unwrap().unwrap();
    stream.end();
    page.write_all(b"after").await.unwrap();
    page.shutdown().await.unwrap();
    tokio::time::timeout(PATIENCE, nocobase.read_to_end(&mut read)).await.unwrap().unwrap();
    assert_eq!((read.as_slice(), end.await.unwrap()), (&b"before"[..], (Ok(()), 11, 0)));
}

/// A piece that has been read before, because NocoBase took nothing more, does not reach it later.
#[tokio::test]
async fn r32_what_waits_for_nocobase_when_the_session_ends_is_dropped() {
    let ((attached, stream), (near, mut nocobase)) = (of_session(), connected().await);
    let (mut page, client) = duplex(2 * PIECE);
    let mut ctx = Context::new(&gate(""));
    ctx.stream = Some(attached);
    let mut pipe = Pipe::new(Box::new(client), Tunnel::established(near), WRITE_TIMEOUT);
    let sends = tokio::spawn(async move { page.write_all(&bytes(8_000_000, 3)).await });
    let mut once = async |pipe: &mut Pipe| {
        poll_fn(|task| Poll::Ready(pipe.poll(task, &mut ctx).is_pending())).await;
        tokio::task::yield_now().await;
        ctx.body_in
    };
    let read = loop {
        let read = once(&mut pipe).await;
        assert!(read < 8_000_000, "NocoBase takes everything");
        if !pipe.to_node.is_empty() {
            break read;
        }
    };
    let passed = read - pipe.to_node.len() as u64;
    stream.end();
    let mut received = Vec::new();
    let rest = async {
        while !pipe.to_node.is_empty() {
            let mut room = [0; PIECE];
            received
                .extend(nocobase.try_read(&mut room).map(|read| room[..read].to_vec()).unwrap_or_default());
            once(&mut pipe).await;
        }
        drop(pipe);
        nocobase.read_to_end(&mut received).await.unwrap();
    };
    tokio::time::timeout(PATIENCE, rest).await.unwrap();
    assert_eq!(received.len() as u64, passed);
    sends.abort();
}

#[tokio::test]
async fn a_page_that_closes_its_side_ends_the_tunnel() {
    let Served { mut page, mut nocobase, end } = serve(b"").await;
    page.write_all(b"bye").await.unwrap();
    page.shutdown().await.unwrap();
    let mut read = Vec::new();
    tokio::time::timeout(PATIENCE, nocobase.read_to_end(&mut read)).await.unwrap().unwrap();
    assert_eq!((read.as_slice(), end.await.unwrap()), (&b"bye"[..], (Ok(()), 3, 0)));
}

/// It gets everything first, however slowly it reads.
#[tokio::test]
async fn when_nocobase_closes_its_side_the_page_gets_everything_first() {
    let all = bytes(100_000, 3);
    let Served { mut page, mut nocobase, end } = serve(&all).await;
    nocobase.shutdown().await.unwrap();
    let mut read = vec![0; all.len()];
    tokio::time::timeout(PATIENCE, page.read_exact(&mut read)).await.unwrap().unwrap();
    assert!(read == all);
    assert_eq!(end.await.unwrap(), (Ok(()), 0, all.len() as u64));
}

/// Also if it goes on sending, which NocoBase no longer takes.
#[tokio::test]
async fn what_nocobase_has_sent_reaches_a_page_that_still_sends() {
    let all = bytes(50_000, 5);
    let Served { mut page, nocobase, end } = serve(&all).await;
    drop(nocobase);
    for _ in 0..100 {
        page.write_all(b"x").await.unwrap();
        tokio::task::yield_now().await;
    }
    let mut read = vec![0; all.len()];
    tokio::time::timeout(PATIENCE, page.read_exact(&mut read)).await.unwrap().unwrap();
    assert!(read == all);
    end.abort();
}

/// The limit is for one wait, not for all together.
#[tokio::test(start_paused = true)]
async fn a_page_that_reads_now_and_then_is_waited_for_each_time() {
    let piece = bytes(5_000, 6);
    let Served { mut page, mut nocobase, end } = serve(&piece).await;
    for _ in 0..4 {
        tokio::time::sleep(WRITE_TIMEOUT * 2 / 3).await;
        let mut read = vec![0; piece.len()];
        page.read_exact(&mut read).await.unwrap();
        assert!(read == piece && !end.is_finished());
        nocobase.write_all(&piece).await.unwrap();
    }
    drop(page);
}

/// However much there is for it: the limit is for each piece.
#[tokio::test(start_paused = true)]
async fn a_page_that_never_catches_up_is_waited_for_as_long_as_it_reads() {
    let all = bytes(60_000, 8);
    let Served { mut page, mut nocobase, end } = serve(&all).await;
    nocobase.shutdown().await.unwrap();
    let mut received = Vec::new();
    for _ in 0..all.len() / 1000 {
        // A piece takes 16 of these.
        tokio::time::sleep(WRITE_TIMEOUT / 20).await;
        let mut read = vec![0; 1000];
        page.read_exact(&mut read).await.unwrap();
        received.append(&mut read);
    }
    assert!(received == all);
    assert_eq!(end.await.unwrap(), (Ok(()), 0, all.len() as u64));
}

#[tokio::test(start_paused = true)]
async fn a_page_that_reads_nothing_is_not_waited_for_longer_than_the_limit() {
    let Served { page, nocobase, end } = serve(&bytes(50_000, 4)).await;
    let began = Instant::now();
    assert_eq!(end.await.unwrap().0, Err(pipe::Fault::Stuck.into()));
    assert_eq!(began.elapsed().as_secs(), WRITE_TIMEOUT.as_secs());
    drop((page, nocobase));
}

#[tokio::test(start_paused = true)]
async fn a_tunnel_may_be_silent_for_an_hour_after_its_last_byte() {
    let Served { mut page, nocobase, end } = serve(b"").await;
    let began = Instant::now();
    tokio::time::sleep(SILENCE / 2).await;
    page.write_all(b"x").await.unwrap();
    assert_eq!(end.await.unwrap().0, Err(pipe::Fault::Silent.into()));
    assert_eq!(began.elapsed().as_secs(), (SILENCE + SILENCE / 2).as_secs());
    drop((page, nocobase));
}
