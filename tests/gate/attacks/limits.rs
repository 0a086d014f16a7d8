//! R17, R29, R38: time and connections that one client may use.

use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::eventually;
use crate::support::raw::frames::{DATA, END_HEADERS, HEADERS, RST_STREAM, block, frame, pseudo};
use crate::support::raw::{gate_with, get, read_response, request, send_raw};

/// Sends one line each quarter of a second until the gate closes the connection; how long that took.
async fn drip(address: std::net::SocketAddr, first: &[u8], line: &[u8]) -> Duration {
    let stream = TcpStream::connect(address).await.unwrap();
    drip_on(stream, first, line).await
}

/// The same after one complete request.
async fn drip_second(address: std::net::SocketAddr, first: &[u8], line: &[u8]) -> Duration {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(get("/api/public", "").as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 200);
    drip_on(stream, first, line).await
}

async fn drip_on<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S, first: &[u8], line: &[u8]) -> Duration {
    let began = Instant::now();
    let _ = stream.write_all(first).await;
    let _ = stream.flush().await;
    let mut buffer = [0; 1024];
    while began.elapsed() < Duration::from_secs(20) {
        match tokio::time::timeout(Duration::from_millis(250), stream.read(&mut buffer)).await {
            Ok(Ok(n)) if n > 0 => {}
            Ok(_) => break,
            Err(_) => {
                if !line.is_empty()
                    && (stream.write_all(line).await.is_err() || stream.flush().await.is_err())
                {
                    break;
                }
            }
        }
    }
    began.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_slow_heads_and_idle_connections_are_closed() {
    let (upstream, setup, gate) =
        gate_with(|s| s.https().set("limits.head_timeout", "1s").set("limits.keepalive_timeout", "1s")).await;
    const HEAD: &[u8] = b"GET /api/public HTTP/1.1\r\nHost: gate.test\r\n";
    const LINE: &[u8] = b"X-A: b\r\n";
    let bound = Duration::from_secs(10);
    let over_tls =
        async |first: &[u8], line: &[u8]| drip_on(setup.line(&gate, true).await, first, line).await;
    let (nothing, head, second, idle, line) = tokio::join!(
        drip(gate.http, b"", b""),
        drip(gate.http, HEAD, LINE),
        drip_second(gate.http, HEAD, LINE),
        drip_second(gate.http, b"", b""),
        drip(gate.http, b"P", b"R"),
    );
    let (tls_silence, tls_head) = tokio::join!(over_tls(b"", b""), over_tls(HEAD, LINE));
    for (what, took) in [
        ("silence", nothing),
        ("dripping head", head),
        ("second head", second),
        ("idle", idle),
        ("dripping line", line),
        ("silence after the handshake", tls_silence),
        ("dripping head over TLS", tls_head),
    ] {
        assert!(took < bound, "{what}: open after {took:?}");
        assert!(took > Duration::from_millis(500), "{what}: closed after {took:?}");
    }
    // The two complete requests, and no other.
    let seen = upstream.take();
    assert_eq!(seen.iter().map(|r| r.target()).collect::<Vec<_>>(), ["/api/public"; 2]);
}

/// A body of single bytes with pauses, which the timeout of a single read never ends.
#[tokio::test(flavor = "multi_thread")]
async fn r17_trickling_bodies_time_out() {
    let (upstream, setup, mut gate) = gate_with(|s| s.https().set("limits.body_timeout", "1s")).await;
    let bound = Duration::from_secs(6);
    for tls in [false, true] {
        let began = Instant::now();
        let mut line = setup.line(&gate, tls).await;
        let head = request("POST", "/api/public", "Content-Length: 1000\r\n");
        let _ = line.write_all(head.as_bytes()).await;
        let mut buffer = [0; 1024];
        while began.elapsed() < bound {
            let _ = line.write_all(b"x").await;
            let _ = line.flush().await;
            if tokio::time::timeout(Duration::from_millis(250), line.read(&mut buffer)).await.is_ok() {
                break;
            }
        }
        assert!(began.elapsed() < bound, "tls {tls}: open after {:?}", began.elapsed());
    }
    let mut frames = setup.frames(&gate).await;
    let post = block(&pseudo("POST", "/api/public"));
    frames.send(&frame(HEADERS, END_HEADERS, 1, &post)).await;
    let began = Instant::now();
    let mut ended = false;
    while !ended && began.elapsed() < bound {
        frames.send(&frame(DATA, 0, 1, b"x")).await;
        // SETTINGS, WINDOW_UPDATE and other frames arrive too.
        while let Ok(Some(frame)) = tokio::time::timeout(Duration::from_millis(250), frames.next()).await {
            ended |= matches!(frame.kind, HEADERS | RST_STREAM) && frame.stream == 1;
        }
    }
    assert!(ended, "the stream is open after {:?}", began.elapsed());
    assert!(upstream.take().is_empty());
    assert!(gate.is_alive().await);
}

/// HTTP/2 has no read timeout; a silent body ends with the timeout of NocoBase's response.
#[tokio::test(flavor = "multi_thread")]
async fn r17_silent_bodies_of_http_2_time_out() {
    let (upstream, setup, gate) = gate_with(|s| s.https().set("upstream.read_timeout", "1s")).await;
    let mut frames = setup.frames(&gate).await;
    let post = block(&pseudo("POST", "/api/public"));
    let began = Instant::now();
    let all: Vec<u8> = (0..50).flat_map(|i| frame(HEADERS, END_HEADERS, 2 * i + 1, &post)).collect();
    frames.send(&all).await;
    let mut ended = std::collections::HashSet::new();
    // After one second, and five more during which the response waits for the rest of the body.
    while ended.len() < 50 && began.elapsed() < Duration::from_secs(20) {
        if let Some(frame) = frames.next().await
            && matches!(frame.kind, HEADERS | RST_STREAM)
        {
            ended.insert(frame.stream);
        }
    }
    assert_eq!(ended.len(), 50, "streams are open after {:?}", began.elapsed());
    assert!(upstream.take().is_empty());
    assert_eq!(setup.h2(&gate).await.ask("GET", "/api/public", &[], &[]).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_http_2_that_never_begins_is_closed() {
    let (_upstream, setup, gate) =
        gate_with(|s| s.https().set("limits.head_timeout", "1s").set("limits.keepalive_timeout", "1s")).await;
    let mut silent = setup.tls(&gate, "h2").await;
    let began = Instant::now();
    let mut all = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(8), silent.read_to_end(&mut all)).await;
    assert!(end.is_ok(), "open after {:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_connections_are_capped() {
    let (_upstream, _setup, gate) = gate_with(|s| s.set("limits.connections", 4)).await;
    let mut open = Vec::new();
    for _ in 0..4 {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        stream.write_all(get("/api/public", "").as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status(), 200);
        open.push(stream);
    }
    // A few more get a response, and the gate's own pages; a silent connection is closed soon.
    let over = send_raw(gate.http, get("/api/public", "")).await;
    assert_eq!(
        (over.status(), over.header("connection").as_deref()),
        (503, Some("close")),
        "{}",
        over.text()
    );
    assert_eq!(over.header("retry-after").as_deref(), Some("5"), "{}", over.text());
    assert!(over.text().contains("TOO_MANY_CONNECTIONS"), "{}", over.text());
    let own = send_raw(gate.http, get("/wecom-gate/gate.js", "")).await;
    assert_eq!((own.status(), own.header("connection").as_deref()), (200, Some("close")), "{}", own.text());
    drop(open);
    eventually("there is capacity again", async || {
        send_raw(gate.http, get("/api/public", "")).await.status() == 200
    })
    .await;
}

/// From this local address.
async fn from(address: &str, to: std::net::SocketAddr) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind(format!("{address}:0").parse().unwrap()).unwrap();
    socket.connect(to).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r38_one_address_that_opens_all_connections_leaves_capacity_for_others() {
    let (_upstream, _setup, gate) = gate_with(|s| s.set("limits.connections", 40)).await;
    let mut held = Vec::new();
    for _ in 0..80 {
        held.push(from("127.0.0.9", gate.http).await);
    }
    // Also while these are silent and far from their deadline.
    for _ in 0..20 {
        let mut other = from("127.0.0.2", gate.http).await;
        other.write_all(get("/api/public", "Connection: close\r\n").as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut other).await.status(), 200);
    }
    drop(held);
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_bodies_are_bounded() {
    let (upstream, setup, gate) = gate_with(|s| s.https().set("limits.body_bytes", "64KiB")).await;
    let response = send_raw(gate.http, request("POST", "/api/public", "Content-Length: 65537\r\n")).await;
    assert_eq!(response.status(), 413, "{}", response.text());
    assert!(upstream.take().is_empty());
    // Without a length the limit is detected while reading; NocoBase never gets the end.
    let chunk = format!("4000\r\n{}\r\n", "x".repeat(0x4000));
    let chunked = format!(
        "{}{}0\r\n\r\n",
        request("POST", "/api/public", "Transfer-Encoding: chunked\r\n"),
        chunk.repeat(6)
    );
    let response = send_raw(gate.http, chunked).await;
    assert!(matches!(response.status(), 0 | 413), "{}", response.text());
    let frame = vec![b'x'; 40_000];
    let h2 = setup.h2(&gate).await;
    let (status, _) = h2.ask("POST", "/api/public", &[], &[&frame, &frame]).await;
    assert!(matches!(status, 0 | 413), "{status}");
    assert!(upstream.take().is_empty());
    // The largest allowed body is forwarded.
    let whole = format!(
        "{}{}0\r\n\r\n",
        request("POST", "/api/public", "Transfer-Encoding: chunked\r\n"),
        chunk.repeat(4)
    );
    assert_eq!(send_raw(gate.http, whole).await.status(), 200);
    assert_eq!(upstream.take()[0].body.len(), 65536);
}

#[tokio::test(flavor = "multi_thread")]
async fn r29_http_2_announces_its_limits_and_keeps_them() {
    let (upstream, setup, mut gate) = gate_with(|s| s.https()).await;
    let mut stream = setup.tls(&gate, "h2").await;
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "the first frame is SETTINGS");
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut settings).await.unwrap();
    let value = |id: u16| {
        let all = settings.chunks_exact(6).find(|s| u16::from_be_bytes([s[0], s[1]]) == id);
        all.map(|s| u32::from_be_bytes([s[2], s[3], s[4], s[5]]))
    };
    // SETTINGS_MAX_CONCURRENT_STREAMS and SETTINGS_MAX_HEADER_LIST_SIZE (RFC 9113, 6.5.2).
    let streams = value(3).expect("a bound on streams");
    let list = value(6).expect("a bound on the size of a head");
    assert!((1..=1000).contains(&streams), "{streams}");
    assert!((1..=1 << 20).contains(&list), "{list}");
    // A header list beyond the gate's own bound is refused, by the gate or before it.
    let big: Vec<(String, String)> = (0..200).map(|i| (format!("x-{i}"), "y".repeat(1000))).collect();
    let (status, _) = setup.h2(&gate).await.ask("GET", "/api/public", &big, &[]).await;
    assert!(matches!(status, 0 | 400 | 431), "{status}");
    assert!(upstream.take().is_empty());
    assert!(gate.is_alive().await);
}

/// A connection is counted and has a deadline from its beginning, also while it is silent before or during the TLS handshake.
#[tokio::test(flavor = "multi_thread")]
async fn r38_connections_that_do_not_finish_a_handshake_count_and_end() {
    let (_upstream, setup, gate) =
        gate_with(|s| s.https().set("limits.connections", 20).set("limits.head_timeout", "2s")).await;
    let to = gate.https;
    // The beginning of an incomplete ClientHello, or nothing.
    let mut silent = Vec::new();
    for i in 0..150 {
        let mut stream = TcpStream::connect(to).await.unwrap();
        if i % 2 == 0 {
            let _ = stream.write_all(&[0x16, 3, 1, 2, 0, 1, 0, 1, 252]).await;
        }
        silent.push(stream);
    }
    // Those over the limit are closed immediately, the others after the header timeout.
    let began = Instant::now();
    let mut closed = Vec::new();
    for mut stream in silent {
        closed.push(tokio::spawn(async move {
            let _ = tokio::time::timeout(Duration::from_secs(15), stream.read(&mut [0; 64])).await;
            began.elapsed()
        }));
    }
    let mut took = Vec::new();
    for stream in closed {
        took.push(stream.await.unwrap());
    }
    took.sort();
    let late = took.iter().filter(|t| **t > Duration::from_millis(1200)).count();
    assert!(took.iter().all(|t| *t < Duration::from_secs(10)), "{took:?}");
    assert!(late <= 20, "{late} were open at once: {took:?}");
    // Then new connections are accepted again.
    let h2 = setup.h2(&gate).await;
    assert_eq!(h2.ask("GET", "/api/public", &[], &[]).await.0, 200);
}
