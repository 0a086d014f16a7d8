use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, duplex};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::*;

/// No test waits this long if everything works.
const PATIENCE: Duration = Duration::from_secs(30);
const WRITE_TIMEOUT: Duration = Duration::from_secs(60);
const SILENCE: Duration = Duration::from_secs(300);

/// The far ends of a stream that is being served; its end, and how many bytes it has counted.
struct Served {
    page: DuplexStream,
    nocobase: DuplexStream,
    end: JoinHandle<(Result<(), Fault>, u64)>,
}

fn serve() -> Served {
    serve_with(700, WRITE_TIMEOUT)
}

/// `room`: so much of NocoBase arrives at once.
fn serve_with(room: usize, write_timeout: Duration) -> Served {
    let ((page, client), (near, nocobase)) = (duplex(1000), duplex(room));
    let end = tokio::spawn(async move {
        let node = Box::new(EventStream::chunked(Box::new(near)));
        let mut pipe = Pipe::new(Box::new(client), node, write_timeout, SILENCE);
        let mut sent = 0;
        (poll_fn(|task| pipe.poll(task, &mut sent)).await, sent)
    });
    Served { page, nocobase, end }
}

/// The contents of whole chunks.
fn contents(mut bytes: &[u8]) -> Vec<u8> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let line = bytes.windows(2).position(|w| w == b"\r\n").unwrap();
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        all.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        assert_eq!(&bytes[line + 2 + size..line + 4 + size], b"\r\n");
        bytes = &bytes[line + 4 + size..];
    }
    all
}

#[tokio::test]
async fn all_events_arrive_in_order_and_the_end_with_them() {
    let Served { mut page, mut nocobase, end } = serve();
    let (mut all, mut chunks) = (Vec::new(), Vec::new());
    for n in 0..5_000_usize {
        let event = format!("data: {n} {}\n\n", "x".repeat(n % 97));
        chunks.extend_from_slice(format!("{:x};n={n}\r\n{event}\r\n", event.len()).as_bytes());
        all.extend_from_slice(event.as_bytes());
    }
    chunks.extend_from_slice(b"0\r\nX-New-Token: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
    let sends = tokio::spawn(async move {
        for (at, piece) in chunks.chunks(611).enumerate() {
            // The end of the body ends the connection, whatever follows.
            if nocobase.write_all(piece).await.is_err() {
                assert!(at > 100);
            }
        }
    });
    let mut received = Vec::new();
    tokio::time::timeout(PATIENCE, page.read_to_end(&mut received)).await.unwrap().unwrap();
    assert!(contents(&received) == all);
    assert!(received.ends_with(b"\r\n0\r\n\r\n"));
    assert_eq!(end.await.unwrap(), (Ok(()), all.len() as u64));
    sends.await.unwrap();
}

#[tokio::test]
async fn what_the_client_sends_is_discarded_and_its_end_noticed() {
    let Served { mut page, mut nocobase, end } = serve();
    for _ in 0..100 {
        page.write_all(b"GET /api/x HTTP/1.1\r\n\r\n").await.unwrap();
    }
    nocobase.write_all(b"1\r\nx\r\n").await.unwrap();
    let mut received = vec![0; 6];
    page.read_exact(&mut received).await.unwrap();
    assert_eq!(received, b"1\r\nx\r\n");
    page.shutdown().await.unwrap();
    let mut seen = Vec::new();
    tokio::time::timeout(PATIENCE, nocobase.read_to_end(&mut seen)).await.unwrap().unwrap();
    assert_eq!((seen.as_slice(), end.await.unwrap()), (&b""[..], (Err(Fault::Left), 1)));
}

#[tokio::test]
async fn an_end_that_is_none_is_not_made_one() {
    for (last, fault) in [("", Fault::NodeClosed), ("5\r\nhel", Fault::NodeClosed), ("x\r\n", Fault::Chunks)]
    {
        let Served { mut page, mut nocobase, end } = serve();
        nocobase.write_all(format!("2\r\n: \r\n{last}").as_bytes()).await.unwrap();
        drop(nocobase);
        let mut received = Vec::new();
        tokio::time::timeout(PATIENCE, page.read_to_end(&mut received)).await.unwrap().unwrap();
        assert!(!received.ends_with(b"0\r\n\r\n"), "{last:?}");
        assert_eq!(end.await.unwrap().0, Err(fault), "{last:?}");
    }
}

/// A client that reads is waited for, though it never catches up; one that does not read is not.
#[tokio::test(start_paused = true)]
async fn a_client_has_to_read() {
    let Served { mut page, mut nocobase, end } = serve();
    let sends = tokio::spawn(async move {
        while nocobase
            .write_all(
                b"c8\r\n"
                    .iter()
                    .chain([b'x'; 200].iter())
                    .chain(b"\r\n")
                    .copied()
                    .collect::<Vec<u8>>()
                    .as_slice(),
            )
            .await
            .is_ok()
        {}
    });
    let began = Instant::now();
    for _ in 0..10 {
        sleep(WRITE_TIMEOUT / 2).await;
        let mut received = vec![0; 1000];
        page.read_exact(&mut received).await.unwrap();
        assert!(!end.is_finished());
    }
    assert_eq!(end.await.unwrap().0, Err(pipe::Fault::Stuck.into()));
    assert_eq!(began.elapsed().as_secs(), (WRITE_TIMEOUT * 6).as_secs());
    sends.await.unwrap();
    drop(page);
}

/// What a slow client still has to read is no silence of NocoBase.
#[tokio::test(start_paused = true)]
async fn silence_begins_when_the_client_has_everything() {
    let Served { mut page, mut nocobase, end } = serve_with(10_000, 3 * SILENCE);
    let began = Instant::now();
    nocobase.write_all(&[b"1f40\r\n".as_slice(), &[b'x'; 8000], b"\r\n"].concat()).await.unwrap();
    sleep(2 * SILENCE).await;
    assert!(!end.is_finished());
    page.read_exact(&mut vec![0; 8008]).await.unwrap();
    assert_eq!(end.await.unwrap(), (Err(pipe::Fault::Silent.into()), 8000));
    assert_eq!(began.elapsed().as_secs(), 3 * SILENCE.as_secs());
    drop((page, nocobase));
}

#[tokio::test(start_paused = true)]
async fn nocobase_may_be_silent_for_as_long_as_configured_after_its_last_byte() {
    let Served { page, mut nocobase, end } = serve();
    let began = Instant::now();
    sleep(SILENCE / 2).await;
    nocobase.write_all(b"1\r\n").await.unwrap();
    assert_eq!(end.await.unwrap().0, Err(pipe::Fault::Silent.into()));
    assert_eq!(began.elapsed().as_secs(), (SILENCE + SILENCE / 2).as_secs());
    drop((page, nocobase));
}
