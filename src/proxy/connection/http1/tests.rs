use std::time::Duration;

use async_trait::async_trait;
use pingora::apps::ReusedHttpStream;
use pingora::http::ResponseHeader;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use super::*;

const S: Duration = Duration::from_secs(1);
const TIMES: Times = Times { head: Duration::from_secs(10), idle: Duration::from_secs(75) };

/// Responds with the request's target and the length of its body.
struct Echo;

#[async_trait]
impl HttpServerApp for Echo {
    async fn process_new_http(
        self: &Arc<Self>,
        mut session: ServerSession,
        shutdown: &ShutdownWatch,
    ) -> Option<ReusedHttpStream> {
        if !session.read_request().await.ok()? {
            return None;
        }
        session.stream().unwrap().as_any().downcast_ref::<Guarded>().unwrap().disarm();
        if *shutdown.borrow() {
            session.set_keepalive(None);
        }
        let mut body = 0;
        while let Some(piece) = session.read_request_body().await.ok()? {
            body += piece.len();
        }
        let text = format!("{} {body}\n", session.req_header().uri.path());
        let mut head = ResponseHeader::build(200, None).unwrap();
        head.insert_header("content-length", text.len()).unwrap();
        session.write_response_header(Box::new(head)).await.ok()?;
        session.write_response_body(text.into(), true).await.ok()?;
        let settings = HttpPersistentSettings::for_session(&session);
        let stream = session.finish().await.ok()??;
        Some(ReusedHttpStream::from_reusable_stream(stream, settings))
    }
}

fn client() -> (DuplexStream, watch::Sender<bool>) {
    let (far, near) = tokio::io::duplex(64);
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(async move {
        let stream = Box::new(Guarded::new(Box::new(near), TIMES.head, false));
        serve(&Arc::new(Echo), stream, TIMES, (Closing::new(), stopped)).await;
    });
    (far, stop)
}

/// Writes a request, and reads the body of one response; empty if the connection ends instead.
async fn ask(far: &mut DuplexStream, request: &[u8]) -> String {
    let (mut reader, mut writer) = tokio::io::split(far);
    let write = async { writer.write_all(request).await };
    let read = async {
        let mut all = Vec::new();
        while !all.ends_with(b"\n") || all.ends_with(b"\r\n") {
            if reader.read_buf(&mut all).await.unwrap_or(0) == 0 {
                return String::new();
            }
        }
        let text = String::from_utf8(all).unwrap();
        assert!(text.starts_with("HTTP/1.1 200"), "{text}");
        text.split_once("\r\n\r\n").unwrap().1.trim_end().to_owned()
    };
    tokio::join!(write, read).1
}

async fn ended(far: &mut DuplexStream) -> Duration {
    let began = Instant::now();
    assert_eq!(far.read(&mut [0; 64]).await.unwrap_or(0), 0);
    began.elapsed()
}

#[tokio::test(start_paused = true)]
async fn requests_follow_each_other() {
    let (mut far, _stop) = client();
    sleep(9 * S).await;
    for n in 0..3 {
        let response = ask(&mut far, format!("GET /{n} HTTP/1.1\r\nHost: a\r\n\r\n").as_bytes()).await;
        assert_eq!(response, format!("/{n} 0"));
        sleep(74 * S).await;
    }
    let body = "x".repeat(100_000);
    let post = format!("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{body}", body.len());
    assert_eq!(ask(&mut far, post.as_bytes()).await, "/p 100000");
    let long = format!("GET /long HTTP/1.1\r\nHost: a\r\nX-A: {}\r\n\r\n", "y".repeat(3 * HEAD));
    assert_eq!(ask(&mut far, long.as_bytes()).await, "/long 0");
}

#[tokio::test(start_paused = true)]
async fn r17_a_head_may_come_in_pieces_but_not_for_ever() {
    let (mut far, _stop) = client();
    assert_eq!(ask(&mut far, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await, "/a 0");
    for piece in ["G", "ET /b HT", "TP/1.1\r\nHost", ": a\r\n\r"] {
        far.write_all(piece.as_bytes()).await.unwrap();
        sleep(2 * S).await;
    }
    assert_eq!(ask(&mut far, b"\n").await, "/b 0");
    far.write_all(b"G").await.unwrap();
    sleep(6 * S).await;
    far.write_all(b"E").await.unwrap();
    assert_eq!(ended(&mut far).await.as_secs(), 4);
}

#[tokio::test(start_paused = true)]
async fn r17_silence_ends_a_connection() {
    let (mut far, _stop) = client();
    assert_eq!(ended(&mut far).await.as_secs(), 10);
    let (mut far, _stop) = client();
    assert_eq!(ask(&mut far, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await, "/a 0");
    assert_eq!(ended(&mut far).await.as_secs(), 75);
}

#[tokio::test(start_paused = true)]
async fn bytes_that_arrive_too_early_belong_to_no_request() {
    let (mut far, _stop) = client();
    let two = b"GET /a HTTP/1.1\r\nHost: a\r\n\r\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n";
    assert_eq!(ask(&mut far, two).await, "/a 0");
    assert_eq!(ended(&mut far).await, Duration::ZERO);
}

/// It counts as idle after a request, and neither before the first nor during one.
#[tokio::test(start_paused = true)]
async fn r43_a_connection_that_waits_for_its_next_request_is_counted() {
    let (mut far, near) = tokio::io::duplex(64);
    let closing = Closing::new();
    let (served, watch) = (closing.clone(), closing.watch());
    let connection = tokio::spawn(async move {
        let stream = Box::new(Guarded::new(Box::new(near), TIMES.head, false));
        serve(&Arc::new(Echo), stream, TIMES, (served, watch)).await;
    });
    sleep(S).await;
    assert_eq!(closing.idle_connections(), 0, "it is new");
    for n in 0..2 {
        assert_eq!(ask(&mut far, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await, "/a 0");
        sleep(S).await;
        assert_eq!(closing.idle_connections(), 1, "{n}");
    }
    far.write_all(b"GET /b HTTP/1.1\r\n").await.unwrap();
    sleep(S).await;
    assert_eq!(closing.idle_connections(), 0, "it has a request");
    assert_eq!(ask(&mut far, b"Host: a\r\n\r\n").await, "/b 0");
    sleep(S).await;
    assert_eq!(closing.idle_connections(), 1);
    closing.begin();
    connection.await.unwrap();
    assert_eq!(closing.idle_connections(), 0, "it has ended");
}

#[tokio::test(start_paused = true)]
async fn keep_alive_is_the_clients_choice() {
    let (mut far, _stop) = client();
    assert_eq!(ask(&mut far, b"GET /a HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await, "/a 0");
    assert_eq!(ended(&mut far).await, Duration::ZERO);
    let (mut far, _stop) = client();
    assert_eq!(ask(&mut far, b"GET /a HTTP/1.0\r\nHost: a\r\n\r\n").await, "/a 0");
    assert_eq!(ended(&mut far).await, Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn r43_a_stop_ends_idle_connections_and_serves_what_has_begun() {
    let (mut idle, stop_idle) = client();
    assert_eq!(ask(&mut idle, b"GET /a HTTP/1.1\r\nHost: a\r\n\r\n").await, "/a 0");
    stop_idle.send(true).unwrap();
    assert_eq!(ended(&mut idle).await, super::LINGER);
    // A request that is already on its way when the connection ends does not get a reset.
    idle.write_all(b"GET /late HTTP/1.1\r\n").await.unwrap();
    sleep(S).await;
    idle.write_all(b"Host: a\r\n\r\n").await.unwrap_err();

    let (mut begun, stop) = client();
    begun.write_all(b"GET /b HTTP/1.1\r\n").await.unwrap();
    sleep(S).await;
    stop.send(true).unwrap();
    sleep(S).await;
    assert_eq!(ask(&mut begun, b"Host: a\r\n\r\n").await, "/b 0");
    assert_eq!(ended(&mut begun).await, Duration::ZERO);

    let (mut arrived, stop) = client();
    arrived.write_all(b"GET /c HTTP/1.1\r\nHost: a\r\n\r\n").await.unwrap();
    stop.send(true).unwrap();
    assert_eq!(timeout(S, ask(&mut arrived, b"")).await.unwrap(), "/c 0");
}
