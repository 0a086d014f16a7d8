//! What the gate's memory grows by, and whether it is given back.
//!
//! The measurements print it: `cargo test --test gate -- --ignored memory_cost --nocapture --test-threads 1`, with `COUNT` sessions,
//! WebSockets or event streams.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::raw::{Process, Setup, Upstream, frame, gate_with, get, read_response, upgrade};

/// Clients that send requests at the same time.
const AT_ONCE: usize = 8;
const EVENTS: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 0\n\r\n";
/// How long memory may take to be given back.
const GIVEN_BACK: Duration = Duration::from_secs(60);

fn count(otherwise: usize) -> usize {
    std::env::var("COUNT").ok().and_then(|count| count.parse().ok()).unwrap_or(otherwise)
}

async fn stage() -> (Upstream, Setup, Process) {
    gate_with(|s| s.set("log.level", "info").set("log.access_log", false).set("limits.connections", 20_000))
        .await
}

/// Sends one request of each of these sessions.
async fn see(gate: &Process, setup: &Setup, from: usize, to: usize) {
    let one = |client: usize| async move {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        for number in (from..to).filter(|number| number % AT_ONCE == client) {
            let visitor = setup.visitor_called(&format!("person{number}"));
            let lines = format!("{}Authorization: Bearer {}\r\n", visitor.cookie_line(), visitor.phantom);
            stream.write_all(get("/api/x", &lines).as_bytes()).await.unwrap();
            assert_eq!(read_response(&mut stream).await.status(), 200);
        }
    };
    join_all((0..AT_ONCE).map(one)).await;
}

async fn websocket(gate: &Process, setup: &Setup) -> TcpStream {
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    let lines = format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line());
    stream.write_all(upgrade("/ws", &lines).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101);
    stream
}

/// With a session of its own, like [`websocket`]. Browsers send this `Accept`.
async fn event_stream(gate: &Process, setup: &Setup) -> TcpStream {
    open_response(gate, setup, "text/event-stream").await
}

/// A response that goes on; without the `Accept` of an event stream it remains a request in Pingora.
async fn open_response(gate: &Process, setup: &Setup, accept: &str) -> TcpStream {
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    let lines = format!("{}Accept: {accept}\r\n", setup.visitor().cookie_line());
    stream.write_all(get("/events", &lines).as_bytes()).await.unwrap();
    let mut received = Vec::new();
    while !received.ends_with(b"data: 0\n\r\n") {
        assert!(stream.read_buf(&mut received).await.unwrap() > 0);
    }
    stream
}

#[expect(clippy::print_stdout, reason = "the result of a measurement")]
fn show(what: &str, count: usize, before: u64, after: u64) {
    let each = (after as f64 - before as f64) / count as f64;
    println!("{count} {what}: from {before} to {after} KiB, {each:.2} KiB each");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory_cost_of_sessions() {
    let (upstream, setup, gate) = stage().await;
    let (first, count) = (2_000, count(50_000));
    see(&gate, &setup, 0, first).await;
    let before = gate.rss_kib();
    for part in 0..10 {
        see(&gate, &setup, first + part * count / 10, first + (part + 1) * count / 10).await;
        upstream.take();
        upstream.recorded().own.clear();
    }
    show("sessions", count, before, gate.rss_kib());
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory_cost_of_websockets() {
    let (_upstream, setup, gate) = stage().await;
    cost("WebSockets", &gate, async || websocket(&gate, &setup).await).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn memory_cost_of_event_streams() {
    let (upstream, setup, gate) = stage().await;
    upstream.recorded().responses.insert("/events".to_owned(), EVENTS.to_vec());
    cost("event streams", &gate, async || event_stream(&gate, &setup).await).await;
}

/// What connections of this kind cost while they are open, and what is left of it once they are closed.
async fn cost(what: &str, gate: &Process, open: impl AsyncFn() -> TcpStream) {
    let few = join_all((0..50).map(|_| open())).await;
    let before = gate.rss_kib();
    let mut held = Vec::new();
    for _ in 0..count(1_000) / 50 {
        held.extend(join_all((0..50).map(|_| open())).await);
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    show(what, held.len(), before, gate.rss_kib());
    let count = held.len();
    drop((held, few));
    tokio::time::sleep(Duration::from_secs(20)).await;
    show("of them, closed 20 seconds ago", count, before, gate.rss_kib());
}

/// An open WebSocket is not a request any more: of Pingora's 50 KiB, nothing is left. Bytes still pass.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_an_open_websocket_is_small() {
    const CROWD: usize = 400;
    let (upstream, setup, gate) = stage().await;
    let mut open = Vec::new();
    // What the first ones need is kept for others.
    for _ in 0..50 {
        open.push(websocket(&gate, &setup).await);
    }
    let before = gate.rss_kib();
    for _ in 0..CROWD {
        open.push(websocket(&gate, &setup).await);
    }
    let each = (gate.rss_kib() - before) as f64 / CROWD as f64;
    assert!(each < 24.0, "{each:.1} KiB each");
    let hello = frame("hello");
    for stream in &mut open {
        stream.write_all(&hello).await.unwrap();
        let mut back = vec![0; hello.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert_eq!(back, hello);
    }
    assert_eq!(upstream.recorded().tunnelled.len(), open.len() * hello.len());
}

/// Nor is an event stream. Events still pass.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_an_open_event_stream_is_small() {
    const CROWD: usize = 400;
    let (upstream, setup, gate) = stage().await;
    let (handed, mut nodes) = tokio::sync::mpsc::unbounded_channel();
    upstream.recorded().responses.insert("/events".to_owned(), EVENTS.to_vec());
    upstream.recorded().handed.insert("/events".to_owned(), handed);
    let mut open = Vec::new();
    let mut next = async || (event_stream(&gate, &setup).await, nodes.recv().await.unwrap());
    // What the first ones need is kept for others.
    for _ in 0..50 {
        open.push(next().await);
    }
    let before = gate.rss_kib();
    for _ in 0..CROWD {
        open.push(next().await);
    }
    let each = (gate.rss_kib() - before) as f64 / CROWD as f64;
    assert!(each < 20.0, "{each:.1} KiB each");
    for (stream, node) in &mut open {
        node.write_all(b"8\r\ndata: 1\n\r\n").await.unwrap();
        let mut event = vec![0; 13];
        stream.read_exact(&mut event).await.unwrap();
        assert_eq!(event, b"8\r\ndata: 1\n\r\n");
    }
}

/// The allocator gives memory back by itself, not only when there is more work.
#[tokio::test(flavor = "multi_thread")]
async fn memory_of_a_crowd_is_given_back_while_nothing_happens() {
    const CROWD: usize = 600;
    let (upstream, setup, gate) = stage().await;
    upstream.recorded().responses.insert("/events".to_owned(), EVENTS.to_vec());
    drop(open_response(&gate, &setup, "*/*").await);
    let before = gate.rss_kib();
    let mut crowd = Vec::new();
    for _ in 0..CROWD {
        crowd.push(open_response(&gate, &setup, "*/*").await);
    }
    let with_crowd = gate.rss_kib();
    drop(crowd);
    let began = Instant::now();
    while gate.rss_kib() > before + (with_crowd - before) / 3 {
        assert!(
            began.elapsed() < GIVEN_BACK,
            "{before} KiB before, {with_crowd} with a crowd, {} now",
            gate.rss_kib()
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
