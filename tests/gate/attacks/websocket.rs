//! R30: tunnels are established, however fast the upstream, and end with their session.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc};

use crate::support::eventually;
use crate::support::raw::{
    SWITCH, Setup, Upstream, frame, gate, gate_with, read_response, request, send_raw, upgrade,
};

const UPGRADES: usize = 10_000;
const AT_ONCE: usize = 32;

/// Responds 101 as soon as anything arrives, and echoes what follows.
async fn eager() -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let mut buffer = vec![0; 4096];
                if matches!(stream.read(&mut buffer).await, Ok(n) if n > 0)
                    && stream.write_all(SWITCH).await.is_ok()
                {
                    while let Ok(n) = stream.read(&mut buffer).await {
                        if n == 0 || stream.write_all(&buffer[..n]).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// One upgrade and one echoed frame.
async fn echoes(gate: std::net::SocketAddr) -> bool {
    let Ok(mut stream) = TcpStream::connect(gate).await else { return false };
    stream.set_nodelay(true).unwrap();
    let frame = frame("ping!");
    if stream.write_all(upgrade("/ws-public", "").as_bytes()).await.is_err() {
        return false;
    }
    if read_response(&mut stream).await.status() != 101 || stream.write_all(&frame).await.is_err() {
        return false;
    }
    let mut back = vec![0; frame.len()];
    stream.read_exact(&mut back).await.is_ok() && back == frame
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn r30_ten_thousand_upgrades_all_echo() {
    let setup = Setup::new(eager().await).set("log.level", "info").set("log.access_log", false);
    let gate = setup.start().await;
    let (permits, lost) = (Arc::new(Semaphore::new(AT_ONCE)), Arc::new(AtomicUsize::new(0)));
    let mut tasks = Vec::with_capacity(UPGRADES);
    for _ in 0..UPGRADES {
        let permit = permits.clone().acquire_owned().await.unwrap();
        let (address, lost) = (gate.http, lost.clone());
        tasks.push(tokio::spawn(async move {
            let ok = tokio::time::timeout(Duration::from_secs(20), echoes(address)).await;
            lost.fetch_add(usize::from(ok != Ok(true)), Ordering::Relaxed);
            drop(permit);
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(lost.load(Ordering::Relaxed), 0, "of {UPGRADES} upgrades:\n{}", gate.output());
}

/// Sends these frames together with its 101, and passes on what it gets after the head of the request.
async fn greets(frames: &'static [u8]) -> (std::net::SocketAddr, mpsc::UnboundedReceiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (got, gets) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let got = got.clone();
            tokio::spawn(async move {
                let mut bytes = Vec::new();
                let head = loop {
                    if let Some(at) = bytes.windows(4).position(|end| end == b"\r\n\r\n") {
                        break at + 4;
                    }
                    if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                        return;
                    }
                };
                if !bytes.starts_with(b"GET /ws") {
                    return;
                }
                bytes.drain(..head);
                stream.write_all(&[SWITCH, frames].concat()).await.unwrap();
                loop {
                    if !bytes.is_empty() {
                        got.send(std::mem::take(&mut bytes)).unwrap();
                    }
                    if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                        return;
                    }
                }
            });
        }
    });
    (address, gets)
}

/// The gate takes the connections of an established tunnel from Pingora: what either side sends with its head, or right after it, is not
/// lost.
#[tokio::test(flavor = "multi_thread")]
async fn r30_what_is_sent_with_the_head_is_not_lost() {
    const FRAMES: &[u8] = b"\x81\x05hello\x81\x03you";
    let (address, mut gets) = greets(FRAMES).await;
    let gate = Setup::new(address).start().await;
    let first = frame("at once");
    for early in [false, true] {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        let mut request = upgrade("/ws-public", "").into_bytes();
        if early {
            request.extend_from_slice(&first);
        }
        stream.write_all(&request).await.unwrap();
        let mut received = Vec::new();
        while !received.ends_with(FRAMES) {
            let read = tokio::time::timeout(Duration::from_secs(30), stream.read_buf(&mut received)).await;
            assert!(read.unwrap().unwrap() > 0, "{early}: {}", received.escape_ascii());
        }
        if !early {
            stream.write_all(&first).await.unwrap();
        }
        let mut got = Vec::new();
        while got.len() < first.len() {
            let piece = tokio::time::timeout(Duration::from_secs(30), gets.recv()).await;
            got.extend(piece.unwrap().unwrap());
        }
        assert_eq!(got, first, "{early}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_tunnels_end_with_their_session() {
    let (upstream, setup, gate) = gate().await;
    let (member, other) = (setup.visitor(), setup.visitor());
    let mut tunnels = Vec::new();
    for visitor in [&member, &other] {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        let headers = format!("{}Origin: http://gate.test\r\n", visitor.cookie_line());
        stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status(), 101);
        let hello = frame("hello");
        stream.write_all(&hello).await.unwrap();
        let mut back = vec![0; hello.len()];
        stream.read_exact(&mut back).await.unwrap();
        tunnels.push(stream);
    }
    let headers = format!("{}Content-Length: 0\r\n", member.lines());
    assert_eq!(send_raw(gate.http, request("POST", "/api/auth:signOut", &headers)).await.status(), 200);
    upstream.recorded().tunnelled.clear();

    let late = frame("after the end");
    let _ = tunnels[0].write_all(&late).await;
    let mut rest = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(5), tunnels[0].read_to_end(&mut rest)).await;
    assert!(end.is_ok(), "the tunnel stays open");
    assert!(rest.is_empty(), "{rest:?}");
    assert!(upstream.recorded().tunnelled.is_empty(), "a frame was forwarded after the end");
    // Only that session's tunnel ends.
    tunnels[1].write_all(&late).await.unwrap();
    let mut back = vec![0; late.len()];
    tunnels[1].read_exact(&mut back).await.unwrap();
    assert_eq!(back, late);
}

/// The gate has taken it from Pingora by then, which says nothing about it any more.
#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_is_logged_and_counted_at_its_end() {
    let (_upstream, setup, gate) = gate().await;
    let (hello, headers) =
        (frame("hello"), format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line()));
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101);
    stream.write_all(&hello).await.unwrap();
    stream.read_exact(&mut vec![0; hello.len()]).await.unwrap();
    drop(stream);
    let line = &gate.wait_for_lines("path", "/ws", 1).await[0];
    let length = hello.len() as u64;
    for (field, expected) in [("status", 101), ("bytes_in", length), ("bytes_out", length)] {
        assert_eq!(line[field], expected, "{field}: {line}");
    }
    assert_eq!((&line["event"], &line["error"]), (&"request".into(), &"".into()), "{line}");
    eventually("its bytes are counted", async || {
        let ask = "GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
        let metrics = send_raw(gate.ops, ask).await.body();
        ["request", "response"].iter().all(|way| {
            let name = format!("wecom_gate_{way}_bytes_total ");
            let counted = metrics.lines().find_map(|l| l.strip_prefix(&name)?.parse::<u64>().ok());
            counted.is_some_and(|counted| counted >= length)
        })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_token_replaces_the_phantom_and_nothing_else() {
    let (upstream, setup, gate) = gate().await;
    let (member, other) = (setup.visitor(), setup.visitor());
    for (token, swapped) in [(&member.phantom, true), (&other.phantom, false)] {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        let headers = format!("{}Origin: http://gate.test\r\n", member.cookie_line());
        stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status(), 101);
        let hello =
            format!(r#"{{"type":"auth:token","payload":{{"token":"{token}","authenticator":null}}}}"#);
        stream.write_all(&frame(&hello)).await.unwrap();
        let text = upstream.frame().await;
        assert!(!text.contains(&member.phantom), "{text}");
        assert_eq!(text.contains("eyJ0eXAi"), swapped, "{text}");
        assert_eq!(text.contains("\"token\":null"), !swapped, "another session's goes no further: {text}");
        assert!(!text.contains(token.as_str()), "{text}");
    }
}

/// A page may come from a node that has reported "App stopped" to it: one healthy node of several is reported as running. A
/// single node reports for itself.
#[tokio::test(flavor = "multi_thread")]
async fn a_page_on_another_node_learns_that_it_runs() {
    const RUNNING: &[u8] = b"\x81\x37{\"type\":\"maintaining\",\"payload\":{\"code\":\"APP_RUNNING\"}}";
    let other = Upstream::start().await;
    for several in [true, false] {
        let change = |s: Setup| {
            let mut nodes = s.get("upstream.nodes").as_array().unwrap().clone();
            nodes.extend(several.then(|| other.address.to_string().into()));
            s.set("upstream.nodes", nodes)
        };
        let (_upstream, setup, gate) = gate_with(change).await;
        let member = setup.visitor();
        // What the gate sends itself arrives before the echo of what the page sends.
        let is_told = async || {
            let mut stream = TcpStream::connect(gate.http).await.unwrap();
            let headers = format!("{}Origin: http://gate.test\r\n", member.cookie_line());
            stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
            let mut received = Vec::new();
            let hello = frame("hello");
            let mut asked = false;
            while !received.ends_with(&hello) {
                assert_ne!(stream.read_buf(&mut received).await.unwrap(), 0, "the tunnel is closed");
                if !asked && received.windows(4).any(|w| w == b"\r\n\r\n") {
                    asked = true;
                    stream.write_all(&hello).await.unwrap();
                }
            }
            assert!(received.starts_with(b"HTTP/1.1 101 "));
            received.windows(RUNNING.len()).any(|w| w == RUNNING)
        };
        if several {
            eventually("both nodes are known to be healthy", async || is_told().await).await;
        }
        for _ in 0..10 {
            assert_eq!(is_told().await, several);
        }
    }
}

/// `auth:token` messages with a foreign token, as a script in the page could send them.
fn foreign(token: &str) -> Vec<Vec<u8>> {
    let plain = format!(r#"{{"type":"auth:token","payload":{{"token":"{token}","authenticator":"basic"}}}}"#);
    let binary = |text: &str| {
        let mut bytes = frame(text);
        bytes[0] = 0x82;
        bytes
    };
    let (mut first, mut last) = (frame(&plain[..30]), frame(&plain[30..]));
    (first[0], last[0]) = (0x01, 0x80);
    vec![
        frame(&plain),
        binary(&plain),
        [first, last].concat(),
        frame(&plain.replace("auth", r"\u0061uth")),
        frame(&plain.replace("\"auth:token\"", "[\"auth:token\"]")),
        frame(&plain.replace("\"basic\"", "1e999")),
        frame(&format!("{}{plain}", " ".repeat(20_000))),
        binary(&format!("{}{plain}", " ".repeat(20_000))),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn r41_only_the_sessions_own_token_passes_in_its_websocket() {
    for api_keys in [false, true] {
        let (upstream, setup, gate) = gate_with(|s| s.set("access.api_keys", api_keys)).await;
        let (member, other) = (setup.visitor(), setup.visitor());
        let key = setup.api_key();
        for token in [&key, &other.phantom] {
            for bytes in foreign(token) {
                let mut stream = TcpStream::connect(gate.http).await.unwrap();
                let headers = format!("{}Origin: http://gate.test\r\n", member.cookie_line());
                stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
                assert_eq!(read_response(&mut stream).await.status(), 101);
                // What follows shows that the message has been handled, or that the tunnel has ended.
                let _ = stream.write_all(&bytes).await;
                let _ = stream.write_all(&frame("after it")).await;
                let mut back = Vec::new();
                let mut chunk = [0; 4096];
                let after = frame("after it");
                while !back.windows(after.len()).any(|w| w == after) {
                    match tokio::time::timeout(Duration::from_secs(20), stream.read(&mut chunk))
                        .await
                        .unwrap()
                    {
                        Ok(n) if n > 0 => back.extend_from_slice(&chunk[..n]),
                        _ => break,
                    }
                }
                let sent = std::mem::take(&mut upstream.recorded().tunnelled);
                let mask = [0x11, 0x22, 0x33, 0x44];
                for turn in 0..4 {
                    let plain: Vec<u8> =
                        sent.iter().zip(mask.iter().cycle().skip(turn)).map(|(b, m)| b ^ m).collect();
                    let text = String::from_utf8_lossy(&plain).into_owned();
                    let secret = &token[token.len() - 20..];
                    assert!(!text.contains(secret), "api_keys = {api_keys}: {text}");
                }
            }
        }
    }
}

/// The page of a user who signed in by password has NocoBase's own token.
#[tokio::test(flavor = "multi_thread")]
async fn r41_in_the_websocket_of_a_password_sign_in_such_tokens_pass_and_api_keys_where_they_are_on() {
    for api_keys in [false, true] {
        let (upstream, setup, gate) =
            gate_with(|s| s.set("access.browsers", "nocobase").set("access.api_keys", api_keys)).await;
        let own = setup.password_token();
        let forged = format!("{}x", setup.password_token());
        for (token, passes) in [(&own, true), (&setup.api_key(), api_keys), (&forged, false)] {
            let mut stream = TcpStream::connect(gate.http).await.unwrap();
            let headers = format!("Cookie: nb_auth_token_main={own}\r\nOrigin: http://gate.test\r\n");
            stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
            assert_eq!(read_response(&mut stream).await.status(), 101);
            let message = format!(r#"{{"type":"auth:token","payload":{{"token":"{token}"}}}}"#);
            stream.write_all(&frame(&message)).await.unwrap();
            let arrived = upstream.frame().await;
            assert_eq!(arrived == message, passes, "api_keys = {api_keys}: {arrived}");
            assert_eq!(arrived.contains("\"token\":null"), !passes, "api_keys = {api_keys}: {arrived}");
        }
    }
}
