//! R32: nothing outlives its session: no WebSocket, no event stream, no long poll, no download.

use std::time::{Duration, Instant};

use http::Method;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::config::{KEY, OTHER_KEY};
use crate::support::raw::{
    Process, SWITCH, Setup, Upstream, Visitor, frame, gate_with, get, read_response, request, send_raw,
    upgrade,
};
use crate::support::{HOST, PATIENCE, Stage, eventually};

mod password;

/// "Policy violation" (RFC 6455, 7.4.1).
const CLOSED_1008: &[u8] = &[0x88, 2, 0x03, 0xf0];
const EVENTS: &[u8] =
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n8\r\ndata: 0\n\r\n";
/// More than the gate's buffer holds: it is sent at once.
fn half() -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{}half", "x".repeat(20_000)).into_bytes()
}
/// Interval at which the gate checks open streams.
const TICK: Duration = Duration::from_secs(1);

/// What stays open: its path, and the part of the response that arrives at first.
const KINDS: [(&str, &[u8]); 4] =
    [("/ws", b"\r\n\r\n"), ("/events", b"data: 0\n\r\n"), ("/file", b"half"), ("/poll", b"")];

/// A gate whose upstream leaves these open.
async fn stage(change: impl FnOnce(Setup) -> Setup) -> (Upstream, Setup, Process) {
    let (upstream, setup, gate) = gate_with(change).await;
    for (path, response) in [
        ("/events", EVENTS.to_vec()),
        ("/file", half()),
        ("/poll", Vec::new()),
        ("/storage/events", EVENTS.to_vec()),
        ("/storage/file", half()),
    ] {
        upstream.recorded().responses.insert(path.to_owned(), response);
    }
    (upstream, setup, gate)
}

/// The request, as a browser sends it.
fn asks(path: &str, visitor: &Visitor) -> String {
    let headers = format!("{}Origin: http://gate.test\r\n", visitor.cookie_line());
    match path {
        "/ws" => upgrade(path, &headers),
        _ if path.ends_with("events") => get(path, &format!("{headers}Accept: text/event-stream\r\n")),
        _ => get(path, &headers),
    }
}

struct Open {
    path: &'static str,
    stream: TcpStream,
    since: Instant,
}

impl Open {
    /// Opens it as this visitor, and waits until NocoBase has the request.
    async fn new(
        upstream: &Upstream,
        gate: &Process,
        visitor: &Visitor,
        kind: (&'static str, &[u8]),
    ) -> Open {
        let (path, first) = kind;
        let before = upstream.recorded().requests.len();
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        let bytes = asks(path, visitor);
        stream.write_all(bytes.as_bytes()).await.unwrap();
        eventually("NocoBase has the request", async || upstream.recorded().requests.len() > before).await;
        let mut received = Vec::new();
        while !first.is_empty() && !received.ends_with(first) {
            let read = tokio::time::timeout(PATIENCE, stream.read_buf(&mut received)).await;
            assert!(matches!(read, Ok(Ok(n)) if n > 0), "{path}: {}", String::from_utf8_lossy(&received));
        }
        Open { path, stream, since: Instant::now() }
    }

    /// All four kinds.
    async fn all(upstream: &Upstream, gate: &Process, visitor: &Visitor) -> Vec<Open> {
        Self::each(upstream, gate, visitor, &KINDS).await
    }

    /// Each of these kinds.
    async fn each(
        upstream: &Upstream,
        gate: &Process,
        visitor: &Visitor,
        kinds: &[(&'static str, &[u8])],
    ) -> Vec<Open> {
        let mut all = Vec::new();
        for kind in kinds {
            all.push(Open::new(upstream, gate, visitor, *kind).await);
        }
        all
    }

    /// Waits until it ends; the bytes until then, and how long it was open. It must not look complete.
    async fn ended(mut self) -> (Vec<u8>, Duration) {
        let (mut rest, within) = (Vec::new(), Duration::from_secs(30));
        let end = tokio::time::timeout(within, self.stream.read_to_end(&mut rest)).await;
        assert!(end.is_ok(), "{} stays open", self.path);
        assert!(!rest.ends_with(b"0\r\n\r\n"), "{} looks whole", self.path);
        if self.path == "/ws" {
            assert_eq!(rest, CLOSED_1008, "{}", self.path);
        } else {
            assert!(rest.is_empty(), "{}: {}", self.path, String::from_utf8_lossy(&rest));
        }
        (rest, self.since.elapsed())
    }

    /// It is open, and stays so for a while.
    async fn stays(&mut self) {
        let mut room = [0; 64];
        let read = tokio::time::timeout(2 * TICK, self.stream.read(&mut room)).await;
        assert!(read.is_err(), "{} ends: {read:?}", self.path);
    }
}

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// An open page without requests is idle, whatever its WebSocket sends: the cookie of 55 seconds ago is valid for 5 more.
#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_end_when_the_session_is_idle() {
    let (upstream, setup, gate) = stage(|s| s.set("session.idle", "60s")).await;
    let mut streams = Open::all(&upstream, &gate, &setup.visitor_seen_ago(secs(54))).await;
    let mut fresh = Open::new(&upstream, &gate, &setup.visitor(), KINDS[1]).await;
    // Bytes in a tunnel do not keep a session alive.
    streams[0].stream.write_all(&frame("I am here")).await.unwrap();
    for stream in streams.split_off(1) {
        let (_, after) = stream.ended().await;
        assert!(after > secs(1), "{after:?}");
    }
    tokio::time::timeout(secs(10), ends(&mut streams[0].stream)).await.expect("/ws stays open");
    fresh.stays().await;
}

/// The newest cookie of the session that this node has sent or received counts.
#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_stay_as_long_as_the_newest_cookie_lives() {
    let (upstream, setup, here) = stage(|s| s.set("session.idle", "60s")).await;
    let there = setup.start().await;
    let (used, left) = (setup.visitor_seen_ago(secs(50)), setup.visitor_seen_ago(secs(50)));
    let mut sent = Open::new(&upstream, &here, &used, KINDS[1]).await;
    let mut seen = Open::new(&upstream, &there, &used, KINDS[1]).await;
    let neither = Open::new(&upstream, &here, &left, KINDS[1]).await;
    let response = send_raw(here.http, get("/api/x", &used.lines())).await;
    let (name, value) = response.cookies().into_iter().next().expect("a newer cookie");
    let newer = format!("Cookie: {name}={value}\r\n");
    assert_eq!(send_raw(there.http, get("/wecom-gate/me", &newer)).await.status(), 200);
    neither.ended().await;
    sent.stays().await;
    seen.stays().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_end_at_the_absolute_end() {
    let (upstream, setup, gate) =
        stage(|s| s.set("session.idle", "60s").set("session.absolute", "60s")).await;
    let visitor = setup.visitor_of(secs(54), secs(0));
    let streams = Open::all(&upstream, &gate, &visitor).await;
    assert_eq!(send_raw(gate.http, get("/api/x", &visitor.lines())).await.status(), 200);
    for stream in streams {
        stream.ended().await;
    }
    assert_eq!(send_raw(gate.http, get("/api/x", &visitor.lines())).await.status(), 401);
}

/// NocoBase has ended it, and no other request of this session arrives.
#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_are_checked_by_themselves() {
    let (upstream, setup, gate) = stage(|s| s.set("session.recheck", "10s")).await;
    let visitor = setup.visitor();
    let streams = Open::all(&upstream, &gate, &visitor).await;
    upstream.recorded().ended = true;
    for stream in streams {
        let (_, after) = stream.ended().await;
        assert!(after < secs(10) + 8 * TICK, "{after:?}");
    }
}

/// The member is gone from WeCom, and no event reports it.
#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_of_a_member_who_has_left_end() {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let phone = stage.signed_in("zhangsan").await;
    let events = phone.request(Method::GET, "/sse/open").header("accept", "text/event-stream");
    let mut events = events.send().await.unwrap();
    assert_eq!(events.chunk().await.unwrap().unwrap(), "data: 0\n\n");
    assert!(stage.wecom().remove_member(crate::support::CORP, "zhangsan"));
    let end = tokio::time::timeout(secs(30), events.chunk()).await.expect("the stream stays open");
    assert!(end.is_err(), "it looks complete: {end:?}");
    stage.gate.wait_for_log(&["\"request\"", "/sse/open", "SessionEnded", "zhangsan"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_end_with_a_sign_out_and_no_others_do() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let (member, other) = (setup.visitor(), setup.visitor());
    let streams = Open::all(&upstream, &gate, &member).await;
    let mut others = Open::all(&upstream, &gate, &other).await;
    let headers = format!("{}Content-Length: 0\r\n", member.lines());
    let signed_out = send_raw(gate.http, request("POST", "/api/auth:signOut", &headers)).await;
    assert_eq!((signed_out.status(), signed_out.body().is_empty()), (200, false), "{}", signed_out.text());
    let at = Instant::now();
    for stream in streams {
        stream.ended().await;
    }
    assert!(at.elapsed() < secs(5), "{:?}", at.elapsed());
    for other in &mut others {
        other.stays().await;
    }
}

/// "A key has leaked: replace it, reload."
#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_end_when_a_reload_takes_their_key_away() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let visitor = setup.visitor();
    let mut streams = Open::all(&upstream, &gate, &visitor).await;
    let old = setup.get("session.keys").as_array().unwrap()[0].as_str().unwrap().to_owned();
    // Both keys for now: nothing happens.
    let setup = setup.rewrite("session.keys", vec![OTHER_KEY, &old]);
    gate.signal("HUP");
    gate.wait_for_lines("message", "configuration reloaded", 1).await;
    for stream in &mut streams {
        stream.stays().await;
    }
    let _setup = setup.rewrite("session.keys", vec![OTHER_KEY, KEY]);
    gate.signal("HUP");
    gate.wait_for_lines("message", "configuration reloaded", 2).await;
    let at = Instant::now();
    for stream in streams {
        stream.ended().await;
    }
    assert!(at.elapsed() < secs(5), "{:?}", at.elapsed());
}

/// When NocoBase sends without a pause there is always something to read.
#[tokio::test(flavor = "multi_thread")]
async fn r32_busy_streams_end_too() {
    let (upstream, setup, gate) = stage(|s| s).await;
    {
        let mut recorded = upstream.recorded();
        recorded.responses.insert("/ws".into(), SWITCH.to_vec());
        recorded.endless.insert("/ws".into(), b"\x81\x05hello".to_vec());
        recorded.endless.insert("/events".into(), b"8\r\ndata: 1\n\r\n".to_vec());
    }
    let member = setup.visitor();
    let mut streams = Vec::new();
    for path in ["/ws", "/events"] {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        stream.write_all(asks(path, &member).as_bytes()).await.unwrap();
        let mut received = Vec::new();
        assert!(stream.read_buf(&mut received).await.unwrap() > 0);
        streams.push((path, stream, received));
    }
    let headers = format!("{}Content-Length: 0\r\n", member.lines());
    assert_eq!(send_raw(gate.http, request("POST", "/api/auth:signOut", &headers)).await.status(), 200);
    for (path, mut stream, mut received) in streams {
        let ended = tokio::time::timeout(secs(10), stream.read_to_end(&mut received)).await;
        assert!(ended.is_ok(), "{path} stays open");
        assert!(
            path != "/ws" || is_closed(&received),
            "it ends without a Close frame: {} bytes",
            received.len()
        );
    }
}

/// Whole frames after the response's header section, and then the Close frame; or an incomplete frame that was being sent.
fn is_closed(bytes: &[u8]) -> bool {
    let head = bytes.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    let mut rest = &bytes[head..];
    while rest.len() >= 2 && rest != CLOSED_1008 {
        let whole = 2 + usize::from(rest[1] & 0x7f);
        if rest.len() < whole {
            return true;
        }
        rest = &rest[whole..];
    }
    !rest.is_empty()
}

/// Reads until the end, and discards the bytes.
async fn ends<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) {
    let mut room = vec![0; 16 * 1024];
    while matches!(stream.read(&mut room).await, Ok(n) if n > 0) {}
}

/// Over HTTP/2 the stream ends, and the connection, which may be a proxy's for many users, does not.
#[tokio::test(flavor = "multi_thread")]
async fn r32_streams_of_http_2_end_one_by_one() {
    let (upstream, setup, gate) = stage(Setup::https).await;
    let (member, other) = (setup.visitor(), setup.visitor());
    let (client, connection) = h2::client::handshake(setup.tls(&gate, "h2").await).await.unwrap();
    tokio::spawn(connection);
    let ask = async |path: &str, visitor: &Visitor, method: &str| {
        let request = http::Request::builder()
            .method(method)
            .uri(format!("https://{HOST}{path}"))
            .header("cookie", &visitor.cookie)
            .header("authorization", format!("Bearer {}", visitor.phantom));
        let mut ready = client.clone().ready().await.unwrap();
        ready.send_request(request.body(()).unwrap(), true).unwrap().0.await.unwrap()
    };
    let mut mine = ask("/events", &member, "GET").await.into_body();
    let mut theirs = ask("/events", &other, "GET").await.into_body();
    for body in [&mut mine, &mut theirs] {
        assert_eq!(body.data().await.unwrap().unwrap(), "data: 0\n");
    }
    assert_eq!(ask("/api/auth:signOut", &member, "POST").await.status(), 200);
    let end = tokio::time::timeout(secs(10), mine.data()).await.expect("the stream stays open");
    assert!(end.is_none_or(|end| end.is_err_and(|e| e.is_reset())), "it looks complete");
    assert!(tokio::time::timeout(2 * TICK, theirs.data()).await.is_err(), "another's ends");
    assert_eq!(ask("/api/x", &other, "GET").await.status(), 200);
    assert!(upstream.recorded().garbage.is_empty());
}

/// A tunnel whose client does not read gets no Close frame; it ends anyway.
#[tokio::test(flavor = "multi_thread")]
async fn r32_a_tunnel_that_is_not_read_ends() {
    let (upstream, setup, gate) = stage(|s| s).await;
    {
        let mut recorded = upstream.recorded();
        recorded.responses.insert("/ws".into(), SWITCH.to_vec());
        let mut piece = b"\x82\x7e\xff\x00".to_vec();
        piece.resize(4 + 0xff00, 0);
        recorded.endless.insert("/ws".into(), piece);
    }
    let member = setup.visitor();
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    let headers = format!("{}Origin: http://gate.test\r\n", member.cookie_line());
    stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
    let tunnels = async || {
        let metrics =
            send_raw(gate.ops, "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.text();
        let line =
            metrics.lines().find_map(|l| l.strip_prefix("wecom_gate_websockets_open ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{metrics}"))
    };
    eventually("it is open", async || tunnels().await == "1").await;
    let repeated = || upstream.recorded().repeated;
    eventually("all buffers are full", async || {
        let before = repeated();
        tokio::time::sleep(TICK / 2).await;
        before > 0 && repeated() == before
    })
    .await;
    let headers = format!("{}Content-Length: 0\r\n", member.lines());
    assert_eq!(send_raw(gate.http, request("POST", "/api/auth:signOut", &headers)).await.status(), 200);
    eventually("it ends", async || tunnels().await == "0").await;
}

/// Nothing passes into a tunnel after its end, not even what is sent at the same moment.
#[tokio::test(flavor = "multi_thread")]
async fn r32_nothing_passes_after_the_end() {
    let (upstream, setup, gate) = stage(|s| s).await;
    let member = setup.visitor();
    let mut open = Open::new(&upstream, &gate, &member, KINDS[0]).await;
    let headers = format!("{}Content-Length: 0\r\n", member.lines());
    assert_eq!(send_raw(gate.http, request("POST", "/api/auth:signOut", &headers)).await.status(), 200);
    let _ = open.stream.write_all(&frame("late")).await;
    ends(&mut open.stream).await;
    assert!(upstream.recorded().tunnelled.is_empty());
}

/// The cost of checking many idle WebSockets; prints it. Takes a minute and needs an optimised build on an idle machine: `cargo
/// test --release --test gate -- --ignored r32_cost --nocapture`.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn r32_cost_of_five_thousand_idle_websockets() {
    const COUNT: usize = 5_000;
    let (_upstream, setup, gate) = stage(|s| s.set("log.level", "info").set("log.access_log", false)).await;
    let mut open = Vec::with_capacity(COUNT);
    for _ in 0..COUNT {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        let headers = format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line());
        stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status(), 101);
        open.push(stream);
    }
    // Work that opening them has left.
    tokio::time::sleep(5 * TICK).await;
    let (before, since) = (gate.cpu(), Instant::now());
    tokio::time::sleep(secs(60)).await;
    let used = gate.cpu() - before;
    let share = used as f64 / since.elapsed().as_secs_f64();
    println!(
        "{COUNT} idle WebSockets: {used} hundredths of a second of CPU in a minute, {share:.2} % of a core"
    );
    drop(open);
    tokio::time::sleep(5 * TICK).await;
    let (before, since) = (gate.cpu(), Instant::now());
    tokio::time::sleep(secs(60)).await;
    let idle = (gate.cpu() - before) as f64 / since.elapsed().as_secs_f64();
    println!("none: {idle:.2} %; all their ticks together: {:.2} %", share - idle);
    assert!(share - idle < 1.0, "{share} {idle}");
}
