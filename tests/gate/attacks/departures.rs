//! R23: clients that disconnect, at whatever moment, are not an error: never `internal`, never a warning.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::output::parsed;
use crate::support::raw::frames::{
    DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, block, frame as h2_frame, pseudo,
};
use crate::support::raw::{
    Line, Process, Setup, Upstream, Visitor, frame, gate_with, get, read_response, request, upgrade,
};

/// Requests of `/api/public` that never finish: `wait` gets no response at all, `part` only the beginning of one.
const WAIT: &[u8] = b"";
const PART: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nonly this";

async fn stage() -> (Upstream, Setup, Process) {
    gate_with(|s| s.https().set("limits.keepalive_timeout", "1s").set("limits.connections", 100)).await
}

/// Closes with a TCP reset, as when a device loses its network or a browser aborts.
fn reset(stream: &TcpStream) {
    socket2::SockRef::from(stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
}

async fn logs_only_aborts(gate: &Process, what: &str) {
    let written = gate.written_until_now().await;
    for line in parsed(&written) {
        let level = line["level"].as_str().unwrap_or_default();
        assert!(!matches!(level, "WARN" | "ERROR"), "{what}: {line}");
        let label = line["label"].as_str().unwrap_or_default();
        assert!(!matches!(label, "internal" | "bad_request"), "{what}: {line}");
    }
    assert!(!written.contains("panicked"), "{what}: {written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_streams_of_http_2_that_are_cancelled_are_aborted() {
    let (upstream, setup, gate) = stage().await;
    let cancel = |stream| h2_frame(RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let mut left = 0;
    for response in [WAIT, PART] {
        upstream.recorded().responses.insert("/api/public".into(), response.to_vec());
        for path in ["/api/public", "/api/x", "/wecom-gate/none", "/admin"] {
            let whole = h2_frame(HEADERS, END_STREAM | END_HEADERS, 1, &block(&pseudo("GET", path)));
            let open = h2_frame(HEADERS, END_HEADERS, 1, &block(&pseudo("POST", path)));
            let half = [open.clone(), h2_frame(DATA, 0, 1, &[b'x'; 1000])].concat();
            let away = h2_frame(GOAWAY, 0, 0, &[0, 0, 0, 1, 0, 0, 0, 0]);
            for (opening, end) in [
                (&whole, Some(cancel(1))),
                (&open, Some(cancel(1))),
                (&half, Some(cancel(1))),
                (&half, Some(away)),
                (&whole, None),
                (&half, None),
            ] {
                // Once immediately, so that the gate sees both together; once when NocoBase has the request.
                for at_once in [true, false] {
                    let mut frames = setup.frames(&gate).await;
                    frames.send(opening).await;
                    if !at_once && path == "/api/public" && *opening == whole {
                        crate::support::eventually("NocoBase has the request", async || {
                            !upstream.take().is_empty()
                        })
                        .await;
                    }
                    if let Some(end) = &end {
                        frames.send(end).await;
                    }
                    left += 1;
                    if !at_once && end.is_some() {
                        // The connection stays usable.
                        let again =
                            h2_frame(HEADERS, END_STREAM | END_HEADERS, 3, &block(&pseudo("GET", "/api/x")));
                        frames.send(&again).await;
                        while frames.next().await.is_some_and(|f| f.stream != 3 || f.kind == RST_STREAM) {}
                    }
                }
            }
        }
    }
    gate.wait_for_lines("event", "aborted", left / 8).await;
    logs_only_aborts(&gate, "HTTP/2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_connections_of_http_1_that_break_off_are_aborted() {
    let (upstream, setup, gate) = stage().await;
    let member = setup.visitor();
    let post = |path: &str| request("POST", path, "Content-Length: 100000\r\n") + "only this";
    let chunked = request("POST", "/api/public", "Transfer-Encoding: chunked\r\n") + "5\r\nonl";
    for response in [WAIT, PART] {
        upstream.recorded().responses.insert("/api/public".into(), response.to_vec());
        for (what, bytes) in [
            ("nothing", String::new()),
            ("half a line", "GET /api/pub".to_owned()),
            ("half a head", "GET /api/public HTTP/1.1\r\nHost: ga".to_owned()),
            ("waiting", get("/api/public", "")),
            ("uploading", post("/api/public")),
            ("uploading in chunks", chunked.clone()),
            ("uploading, refused", post("/api/x")),
            ("uploading, own page", post("/wecom-gate/logout")),
            ("a page", get("/admin", &member.cookie_line())),
        ] {
            for (with_reset, tls) in [(false, false), (true, false), (true, true)] {
                let tcp = if tls {
                    let mut line = setup.tls(&gate, "http/1.1").await;
                    // The handshake has finished.
                    line.write_all(get("/wecom-gate/gate.js", "").as_bytes()).await.unwrap();
                    line.flush().await.unwrap();
                    assert_eq!(read_response(&mut line).await.status(), 200);
                    line.write_all(bytes.as_bytes()).await.unwrap();
                    line.flush().await.unwrap();
                    arrived(&upstream, what).await;
                    line.into_inner().0
                } else {
                    let mut tcp = TcpStream::connect(gate.http).await.unwrap();
                    tcp.write_all(bytes.as_bytes()).await.unwrap();
                    arrived(&upstream, what).await;
                    tcp
                };
                if with_reset {
                    reset(&tcp);
                }
            }
        }
    }
    gate.wait_for_lines("event", "aborted", 12).await;
    logs_only_aborts(&gate, "HTTP/1").await;
}

async fn arrived(upstream: &Upstream, what: &str) {
    if what == "waiting" {
        crate::support::eventually("NocoBase has the request", async || !upstream.take().is_empty()).await;
    }
}

async fn tunnel(setup: &Setup, gate: &Process, member: &Visitor) -> Box<dyn Line> {
    let mut line = setup.line(gate, false).await;
    let headers = format!("{}Origin: https://gate.test\r\n", member.cookie_line());
    line.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut line).await.status(), 101);
    line
}

#[tokio::test(flavor = "multi_thread")]
async fn r23_tunnels_that_break_off_are_no_errors() {
    let (_upstream, setup, gate) = stage().await;
    let member = setup.visitor();
    for bytes in [
        &b""[..],
        &frame("hello"),
        &frame("hello")[..3],
        b"\x81",
        b"\xf1\x80",
        b"\x81\x05hello",
        b"\x83\x80abcd",
    ] {
        let mut line = tunnel(&setup, &gate, &member).await;
        line.write_all(bytes).await.unwrap();
        line.flush().await.unwrap();
        drop(line);
        let mut tcp = TcpStream::connect(gate.http).await.unwrap();
        let headers = format!("{}Origin: https://gate.test\r\n", member.cookie_line());
        tcp.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut tcp).await.status(), 101);
        tcp.write_all(bytes).await.unwrap();
        reset(&tcp);
    }
    gate.wait_for_lines("event", "aborted", 1).await;
    logs_only_aborts(&gate, "WebSocket").await;
}
