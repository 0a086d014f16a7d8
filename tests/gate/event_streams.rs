//! Event streams over HTTP/1.1, which go on without Pingora once the client has their head. That they end with their session is in
//! `attacks::open_streams`, what they cost in `memory`.

use std::process::Command;
use std::time::Duration;

use nocobase_standin::free;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use crate::support::raw::{
    Line, Process, Setup, Upstream, gate_with, get, read_all, read_response, request, send_raw,
};
use crate::support::{PATIENCE, eventually};

const CHUNKED: &str =
    "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
const UNTIL_CLOSED: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\n\r\n";
const END: &str = "0\r\n\r\n";

struct Stage {
    upstream: Upstream,
    setup: Setup,
    gate: Process,
    /// NocoBase's ends of the connections, after their heads.
    nodes: UnboundedReceiver<TcpStream>,
}

impl Stage {
    /// NocoBase responds to `/events` in this way, and then the test does.
    async fn new(response: &str, change: impl FnOnce(Setup) -> Setup) -> Stage {
        let (upstream, setup, gate) = gate_with(change).await;
        let (handed, nodes) = unbounded_channel();
        upstream.recorded().responses.insert("/events".into(), response.into());
        upstream.recorded().handed.insert("/events".into(), handed);
        Stage { upstream, setup, gate, nodes }
    }

    fn asks(&self) -> String {
        let lines = format!("{}Accept: text/event-stream\r\n", self.setup.visitor().cookie_line());
        get("/events", &lines)
    }

    /// A client that has asked, NocoBase's end of its stream, and the head of the response.
    async fn open(&mut self, tls: bool) -> (Box<dyn Line>, TcpStream, String) {
        let mut client = self.setup.line(&self.gate, tls).await;
        client.write_all(self.asks().as_bytes()).await.unwrap();
        let node = timeout(PATIENCE, self.nodes.recv()).await.unwrap().unwrap();
        let head = until(&mut client, b"\r\n\r\n").await;
        (client, node, String::from_utf8(head).unwrap())
    }

    /// The line about its end in the access log.
    async fn logged(&self) -> Value {
        let all = |line: &Value| line["event"] == "request" && line["path"] == "/events";
        let lines = self.gate.output().lines("the end of the stream", 1, all).await;
        lines.into_iter().next().unwrap()
    }
}

/// Reads until these bytes have arrived, and not further.
async fn until(client: &mut Box<dyn Line>, last: &[u8]) -> Vec<u8> {
    let mut received = Vec::new();
    while !received.ends_with(last) {
        let byte = timeout(PATIENCE, client.read_u8()).await;
        match byte {
            Ok(Ok(byte)) => received.push(byte),
            other => panic!("{other:?} after {}", String::from_utf8_lossy(&received)),
        }
    }
    received
}

async fn rest(client: &mut Box<dyn Line>) -> Vec<u8> {
    let mut received = Vec::new();
    let end = timeout(PATIENCE, client.read_to_end(&mut received)).await.expect("it stays open");
    // A connection over TLS that is not closed ends with an error.
    assert!(end.is_ok() || !received.ends_with(END.as_bytes()), "{end:?}");
    received
}

/// What is in these chunks, and whether they are complete.
fn contents(mut bytes: &[u8]) -> (String, bool) {
    let mut all = Vec::new();
    while let Some(line) = bytes.windows(2).position(|w| w == b"\r\n") {
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        if size == 0 {
            assert_eq!(&bytes[line..], b"\r\n\r\n");
            return (String::from_utf8(all).unwrap(), true);
        }
        all.extend_from_slice(&bytes[line + 2..line + 2 + size]);
        assert_eq!(&bytes[line + 2 + size..line + 4 + size], b"\r\n");
        bytes = &bytes[line + 4 + size..];
    }
    assert!(bytes.is_empty());
    (String::from_utf8(all).unwrap(), false)
}

/// Events that arrive with the head, cut anywhere, with extensions and trailers; plain and over TLS.
#[tokio::test(flavor = "multi_thread")]
async fn all_events_of_a_stream_arrive_in_order() {
    for tls in [false, true] {
        let first = format!("{CHUNKED}9\r\ndata: 0\n\n\r\n9;a=\"b\"\r\ndata");
        let mut stage = Stage::new(&first, |s| if tls { s.https() } else { s }).await;
        let (mut client, mut node, head) = stage.open(tls).await;
        assert!(head.to_ascii_lowercase().contains("connection: close\r\n"), "{head}");
        // Nothing is held back, not even a part of an event.
        let mut received = until(&mut client, b"data: 0\n\n").await;
        received.extend(until(&mut client, b"data\r\n").await);
        let mut events = "data: 0\n\ndata: 1\n\n".to_owned();
        node.write_all(b": 1\n\n\r").await.unwrap();
        node.write_all(b"\n").await.unwrap();
        for n in 0..300 {
            let event = format!("data: {n} {}\n\n", "x".repeat(n * 7 % 501));
            let chunk = format!("{:x}\r\n{event}\r\n", event.len());
            let (one, other) = chunk.split_at(n % chunk.len());
            node.write_all(one.as_bytes()).await.unwrap();
            node.write_all(other.as_bytes()).await.unwrap();
            events.push_str(&event);
        }
        // What follows the body is no part of it.
        node.write_all(b"0\r\nX-New-Token: trailer\r\n\r\nHTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        received.extend(rest(&mut client).await);
        assert_eq!(contents(&received), (events.clone(), true));
        let line = stage.logged().await;
        assert_eq!((&line["status"], &line["error"]), (&200.into(), &"".into()), "{line}");
        assert_eq!(line["bytes_out"], events.len(), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_chunks_ends_with_its_connection() {
    let mut stage = Stage::new(&format!("{UNTIL_CLOSED}data: 0\n\n"), |s| s).await;
    let (mut client, mut node, _) = stage.open(false).await;
    let mut received = until(&mut client, b"data: 0\n\n\r\n").await;
    node.write_all(b"0\r\n\r\ndata: 1\n\n").await.unwrap();
    drop(node);
    received.extend(rest(&mut client).await);
    assert_eq!(contents(&received), ("data: 0\n\n0\r\n\r\ndata: 1\n\n".to_owned(), true));
}

/// More than all buffers hold. NocoBase sends nothing after it, until the client has it all.
#[tokio::test(flavor = "multi_thread")]
async fn a_slow_client_gets_all_events() {
    const EVENTS: usize = 40_000;
    for tls in [false, true] {
        let mut stage = Stage::new(CHUNKED, |s| if tls { s.https() } else { s }).await;
        let (mut client, mut node, _) = stage.open(tls).await;
        let event = |n: usize| format!("data: {n} {}\n\n", "x".repeat(500));
        let sends = tokio::spawn(async move {
            for n in 0..EVENTS {
                let event = event(n);
                node.write_all(format!("{:x}\r\n{event}\r\n", event.len()).as_bytes()).await.unwrap();
            }
            node
        });
        let (before, mut most, mut received) = (stage.gate.rss_kib(), 0, Vec::new());
        let mut room = vec![0; 64 * 1024];
        // The gate makes chunks of its own, and may cut any event: what counts is their content.
        let length = (0..EVENTS).map(|n| event(n).len()).sum::<usize>();
        let has_all = |received: &[u8]| {
            received.len() > length && received.ends_with(b"\n\n\r\n") && contents(received).0.len() == length
        };
        while !has_all(&received) {
            let read = timeout(PATIENCE, client.read(&mut room)).await.expect("it gets no more").unwrap();
            assert!(read > 0);
            received.extend_from_slice(&room[..read]);
            most = most.max(stage.gate.rss_kib());
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let mut node = sends.await.unwrap();
        node.write_all(END.as_bytes()).await.unwrap();
        received.extend(rest(&mut client).await);
        let (all, is_complete) = contents(&received);
        assert!(is_complete && all == (0..EVENTS).map(event).collect::<String>());
        assert!(most < before + 8 * 1024, "{before} KiB before, {most} KiB meanwhile");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_leaves_ends_nocobases_side() {
    for tls in [false, true] {
        let mut stage = Stage::new(CHUNKED, |s| if tls { s.https() } else { s }).await;
        let (client, mut node, _) = stage.open(tls).await;
        drop(client);
        let mut seen = Vec::new();
        let ended = timeout(PATIENCE, node.read_to_end(&mut seen)).await.expect("it stays open");
        assert_eq!((ended.unwrap(), seen.len()), (0, 0));
        let line = stage.logged().await;
        assert_eq!((&line["status"], &line["label"]), (&200.into(), &"".into()), "{line}");
        assert_ne!(line["error"], "", "{line}");
        stage.gate.wait_for_log(&["\"aborted\"", "/events", "went away"]).await;
    }
}

/// It is the last response of its connection: what the client sends after its request is read by nobody, neither what arrives with it nor
/// what arrives later, nor is it responded to.
#[tokio::test(flavor = "multi_thread")]
async fn r28_what_follows_the_request_of_a_stream_is_discarded() {
    for together in [true, false] {
        let mut stage = Stage::new(CHUNKED, |s| s).await;
        let next = get("/api/next", &stage.setup.visitor().lines());
        let mut client: Box<dyn Line> = Box::new(TcpStream::connect(stage.gate.http).await.unwrap());
        let asks = stage.asks();
        let first = if together { format!("{asks}{next}") } else { asks };
        client.write_all(first.as_bytes()).await.unwrap();
        let mut node = timeout(PATIENCE, stage.nodes.recv()).await.unwrap().unwrap();
        let head = until(&mut client, b"\r\n\r\n").await;
        assert!(head.starts_with(b"HTTP/1.1 200 "));
        for n in 0..20 {
            client.write_all(next.as_bytes()).await.unwrap();
            client.write_all(b"\0\xff\r\n\r\n0\r\n\r\n").await.unwrap();
            node.write_all(format!("{:x}\r\ndata: {n}\n\n\r\n", 8 + n.to_string().len()).as_bytes())
                .await
                .unwrap();
            let event = until(&mut client, b"\n\n\r\n").await;
            assert_eq!(contents(&event), (format!("data: {n}\n\n"), false));
        }
        node.write_all(END.as_bytes()).await.unwrap();
        assert_eq!(rest(&mut client).await, END.as_bytes());
        let mut sent = Vec::new();
        assert_eq!(timeout(PATIENCE, node.read_to_end(&mut sent)).await.unwrap().unwrap(), 0);
        // The gate still serves others; nothing else has reached NocoBase.
        assert_eq!(
            send_raw(stage.gate.http, get("/api/x", &stage.setup.visitor().lines())).await.status(),
            200
        );
        let targets: Vec<_> = stage.upstream.take().iter().map(|r| r.target().to_owned()).collect();
        assert_eq!(targets, ["/events", "/api/x"]);
        assert!(stage.upstream.recorded().garbage.is_empty());
    }
}

/// NocoBase's end is passed on; a break is none.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_does_not_look_complete() {
    for (last, error) in
        [("", "ConnectionClosed"), ("9\r\ndat", "ConnectionClosed"), ("x\r\n", "InvalidChunk")]
    {
        let mut stage = Stage::new(CHUNKED, |s| s).await;
        let (mut client, mut node, _) = stage.open(false).await;
        node.write_all(format!("9\r\ndata: 0\n\n\r\n{last}").as_bytes()).await.unwrap();
        drop(node);
        let received = rest(&mut client).await;
        assert!(!received.ends_with(END.as_bytes()), "{last:?}");
        let line = stage.logged().await;
        assert_eq!(
            (&line["error"], &line["label"]),
            (&error.into(), &"nocobase_unreachable".into()),
            "{line}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_may_be_silent_for_as_long_as_configured() {
    let mut stage = Stage::new(CHUNKED, |s| s.set("upstream.read_timeout", "3s")).await;
    let (mut client, mut node, _) = stage.open(false).await;
    let began = std::time::Instant::now();
    for n in 0..2 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        node.write_all(format!("9\r\ndata: {n}\n\n\r\n").as_bytes()).await.unwrap();
        until(&mut client, b"\n\n\r\n").await;
    }
    assert_eq!(rest(&mut client).await, b"");
    assert!(began.elapsed() > Duration::from_secs(6), "{:?}", began.elapsed());
    let line = stage.logged().await;
    assert_eq!(
        (&line["error"], &line["label"]),
        (&"ReadTimedout".into(), &"nocobase_timeout".into()),
        "{line}"
    );
}

/// A stop waits for it as for any other response.
#[tokio::test(flavor = "multi_thread")]
async fn a_stop_waits_for_a_stream() {
    let mut stage = Stage::new(CHUNKED, |s| s).await;
    let (mut client, mut node, _) = stage.open(false).await;
    let asks = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    let metrics = send_raw(stage.gate.ops, asks).await.body();
    assert!(metrics.contains("\nwecom_gate_requests_in_flight 1\n"), "{metrics}");
    stage.gate.signal("TERM");
    stage.gate.wait_for_log(&["stopping"]).await;
    eventually("the gate accepts nobody", async || TcpStream::connect(stage.gate.http).await.is_err()).await;
    node.write_all(format!("9\r\ndata: 0\n\n\r\n{END}").as_bytes()).await.unwrap();
    assert_eq!(contents(&rest(&mut client).await), ("data: 0\n\n".to_owned(), true));
    stage.gate.ended().await;
}

/// Kills the process when it is dropped.
struct Heir(u32);

impl Drop for Heir {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg("-KILL").arg(self.0.to_string()).status();
    }
}

/// The old process waits for it as for any other response: until NocoBase ends it, or the operator has no more patience.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_stays_open_while_a_new_program_takes_over() {
    for is_ended in [true, false] {
        let http = vec![free().to_string()];
        let mut stage =
            Stage::new(CHUNKED, |s| s.set("listen.http", http).set("listen.ops", free().to_string())).await;
        let (mut client, mut node, _) = stage.open(false).await;
        stage.gate.signal("USR2");
        let took_over = |line: &Value| line["event"] == "upgrade" && line["pid"].is_u64();
        let line = stage.gate.output().lines("another program serves", 1, took_over).await;
        let _heir = Heir(line[0]["pid"].as_u64().unwrap().try_into().unwrap());
        stage.gate.wait_for_log(&["stopping"]).await;
        if is_ended {
            // By then a process without requests would have ended.
            tokio::time::sleep(Duration::from_secs(6)).await;
        }
        let lines = stage.setup.visitor().lines();
        assert_eq!(send_raw(stage.gate.http, get("/api/x", &lines)).await.status(), 200, "the new one");
        for n in 0..3 {
            node.write_all(format!("9\r\ndata: {n}\n\n\r\n").as_bytes()).await.unwrap();
            assert_eq!(contents(&until(&mut client, b"\n\n\r\n").await), (format!("data: {n}\n\n"), false));
        }
        if is_ended {
            node.write_all(END.as_bytes()).await.unwrap();
        } else {
            stage.gate.signal("TERM");
        }
        let end = rest(&mut client).await;
        assert_eq!(end, if is_ended { END.as_bytes() } else { b"" });
        stage.gate.ended().await;
    }
}

/// Node.js closes idle connections at any time: the request is sent once more, and the client has one stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_though_nocobase_closes_the_connection_before_it_responds() {
    let mut stage = Stage::new(&format!("{CHUNKED}9\r\ndata: 0\n\n\r\n"), |s| s).await;
    let lines = stage.setup.visitor().lines();
    assert_eq!(send_raw(stage.gate.http, get("/api/x", &lines)).await.status(), 200);
    stage.upstream.recorded().unanswered.insert("/events".into(), 1);
    let (mut client, mut node, head) = stage.open(false).await;
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    node.write_all(format!("9\r\ndata: 1\n\n\r\n{END}").as_bytes()).await.unwrap();
    assert_eq!(contents(&rest(&mut client).await), ("data: 0\n\ndata: 1\n\n".to_owned(), true));
    let requests = stage.upstream.take();
    let targets: Vec<_> = requests.iter().map(|request| request.target()).collect();
    assert_eq!(targets, ["/api/x", "/events", "/events"]);
    let connections: Vec<_> = requests.iter().map(|request| request.connection).collect();
    assert!(connections[0] == connections[1] && connections[1] != connections[2], "{connections:?}");
    let line = stage.logged().await;
    assert_eq!((&line["status"], &line["error"]), (&200.into(), &"".into()), "{line}");
}

/// The same where a node closes new connections too: another one has the stream.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_begins_at_another_node_if_one_closes_the_connection() {
    let broken = Upstream::start().await;
    broken.recorded().unanswered.insert("/events".into(), usize::MAX);
    let both = |s: Setup| {
        let mut nodes = s.get("upstream.nodes");
        nodes.as_array_mut().unwrap().push(broken.address.to_string().into());
        s.set("upstream.nodes", nodes)
    };
    let mut stage = Stage::new(CHUNKED, both).await;
    let is_tried = || !broken.recorded().requests.is_empty();
    for n in 0..20 {
        let (mut client, mut node, _) = stage.open(false).await;
        node.write_all(format!("9\r\ndata: 1\n\n\r\n{END}").as_bytes()).await.unwrap();
        assert_eq!(contents(&rest(&mut client).await), ("data: 1\n\n".to_owned(), true));
        if n > 2 && is_tried() {
            break;
        }
    }
    assert!(is_tried(), "the other node had no request");
}

/// A program that would take events gets other responses as anyone does, over kept connections; interim ones too.
#[tokio::test(flavor = "multi_thread")]
async fn other_responses_to_those_who_accept_events_are_as_ever() {
    let stage = Stage::new(CHUNKED, |s| s).await;
    let bodies = [
        ("/plain", "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}", "{}"),
        (
            "/chunks",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            "2\r\n{}\r\n0\r\n\r\n",
        ),
        (
            "/length",
            "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: 9\r\n\r\ndata: 0\n\n",
            "data: 0\n\n",
        ),
        (
            "/refused",
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/event-stream\r\nContent-Length: 2\r\n\r\nno",
            "no",
        ),
        (
            "/refused-in-chunks",
            "HTTP/1.1 400 Bad Request\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n",
            "2\r\nno\r\n0\r\n\r\n",
        ),
        ("/nothing", "HTTP/1.1 204 No Content\r\n\r\n", ""),
    ];
    let mut client = TcpStream::connect(stage.gate.http).await.unwrap();
    for (path, response, body) in bodies {
        stage.upstream.recorded().responses.insert(path.into(), response.into());
        for method in ["GET", "POST"] {
            let lines = format!(
                "{}Accept: application/json, text/event-stream\r\nContent-Length: 0\r\n",
                stage.setup.visitor().lines()
            );
            client.write_all(request(method, path, &lines).as_bytes()).await.unwrap();
            assert_eq!(read_response(&mut client).await.body(), body, "{method} {path}");
        }
    }
    let requests = stage.upstream.take();
    assert_eq!(requests.len(), 2 * bodies.len());
    assert!(requests.iter().all(|r| r.connection == requests[0].connection), "{requests:?}");
    // An interim response, and one without events to a client that has them all.
    let early = format!("HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n{CHUNKED}9\r\ndata: 0\n\n\r\n{END}");
    stage.upstream.recorded().responses.insert("/early".into(), early.into());
    let lines = format!("{}Accept: text/event-stream\r\n", stage.setup.visitor().cookie_line());
    client.write_all(get("/early", &lines).as_bytes()).await.unwrap();
    let all = read_all(&mut client).await;
    assert!(all.closed && all.text().ends_with(&format!("data: 0\n\n\r\n{END}")), "{}", all.text());
    assert!(all.text().starts_with("HTTP/1.1 103 ") && all.count() == 2, "{}", all.text());
}

/// HTTP/1.0 has no chunks, and a response to HEAD no body.
#[tokio::test(flavor = "multi_thread")]
async fn clients_without_chunks_get_events_as_they_are() {
    let stage = Stage::new(CHUNKED, |s| s).await;
    stage.upstream.recorded().handed.clear();
    let response = format!("{CHUNKED}9\r\ndata: 0\n\n\r\n{END}");
    stage.upstream.recorded().responses.insert("/events".into(), response.into());
    let old = stage.asks().replace("HTTP/1.1", "HTTP/1.0");
    assert_eq!(stage.setup.send_raw_over(&stage.gate, false, old).await.body(), "data: 0\n\n");
    let head = stage.asks().replace("GET ", "HEAD ");
    let response = send_raw(stage.gate.http, head).await;
    assert_eq!((response.status(), response.body()), (200, String::new()));
}
