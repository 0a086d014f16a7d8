//! R38: few file descriptors. Whatever connections or streams clients open, the gate's own pages and the operator's listener
//! still respond, the log has one line about it, and afterwards the gate works normally.

use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::eventually;
use crate::support::raw::{Process, frame, gate_with, get, read_response, send_raw, upgrade};

const LIVEZ: &str = "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n";

async fn operator(gate: &Process) -> u16 {
    send_raw(gate.ops, LIVEZ).await.status()
}

/// The status of this path on a new connection.
async fn status(gate: &Process, path: &str) -> u16 {
    send_raw(gate.http, get(path, "")).await.status()
}

async fn on(stream: &mut TcpStream, path: &str) -> u16 {
    stream.write_all(get(path, "").as_bytes()).await.unwrap();
    read_response(stream).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn r38_the_limit_of_open_files_is_raised_to_what_connections_need() {
    let (_upstream, _setup, gate) = gate_with(|s| s.ulimit("-Sn 200").set("limits.connections", 1000)).await;
    assert_eq!(gate.most_files(), 2064);
    let written = gate.written_until_now().await;
    assert!(!written.contains("RLIMIT_NOFILE"), "{written}");
    let (_upstream, _setup, gate) = gate_with(|s| s.ulimit("-n 300").set("limits.connections", 1000)).await;
    assert_eq!(gate.most_files(), 300);
    gate.output().line(&["enough for 118"]).await;
}

/// 400 clients that open a connection, half of them with a WebSocket, with a limit of 300 descriptors.
#[tokio::test(flavor = "multi_thread")]
async fn r38_connections_leave_descriptors_for_the_operator() {
    let (upstream, _setup, gate) = gate_with(|s| s.ulimit("-n 300")).await;
    let mut known = TcpStream::connect(gate.http).await.unwrap();
    assert_eq!(on(&mut known, "/wecom-gate/sign-in").await, 200);
    let mut begun = tokio::task::JoinSet::new();
    for i in 0..400 {
        let to = gate.http;
        begun.spawn(async move {
            let mut stream = TcpStream::connect(to).await.ok()?;
            if i % 2 == 0 {
                // Those over the limit are closed meanwhile.
                let _ = stream.write_all(upgrade("/ws-public", "").as_bytes()).await;
                if read_response(&mut stream).await.status() == 101 {
                    let _ = stream.write_all(&frame("x")).await;
                }
            }
            Some(stream)
        });
    }
    let open = begun.join_all().await;
    let refused = gate.wait_for_lines("label", "too_many_connections", 1).await;
    assert_eq!(operator(&gate).await, 200);
    assert!(gate.open_files() < 300, "{}", gate.open_files());
    assert_eq!(on(&mut known, "/wecom-gate/sign-in").await, 200, "a known connection is served");
    assert_eq!(on(&mut known, "/api/public").await, 200, "by NocoBase, too");
    let lines = refused.iter().filter(|l| l["level"] == "WARN").count();
    assert!(
        (1..=2).contains(&lines),
        "one line for those that get a response, one for those that are closed: {lines}"
    );
    drop(open);
    eventually("there is capacity again", async || status(&gate, "/api/public").await == 200).await;
    assert!(!upstream.take().is_empty());
}

/// Four connections of HTTP/2 with a hundred requests each, to none of which NocoBase responds.
#[tokio::test(flavor = "multi_thread")]
async fn r38_streams_leave_descriptors_for_the_operator() {
    let (upstream, setup, gate) =
        gate_with(|s| s.https().ulimit("-n 300").set("upstream.max_requests", 0)).await;
    // A response that never ends.
    upstream
        .recorded()
        .responses
        .insert("/api/public".into(), b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n1".to_vec());
    let mut open = tokio::task::JoinSet::new();
    let mut clients = Vec::new();
    for _ in 0..4 {
        let h2 = setup.h2(&gate).await;
        for _ in 0..100 {
            let h2 = h2.clone();
            open.spawn(async move { h2.held("/api/public").await });
        }
        clients.push(h2);
    }
    let (mut through, mut refused) = (Vec::new(), 0);
    while let Some(done) = open.join_next().await {
        match done.unwrap() {
            (200, body) => through.push(body),
            (503, _) => refused += 1,
            (other, _) => panic!("{other}"),
        }
    }
    assert_eq!((through.len(), refused), (118, 282));
    assert_eq!(operator(&gate).await, 200);
    assert!(gate.open_files() < 300, "{}", gate.open_files());
    assert_eq!(status(&gate, "/wecom-gate/sign-in").await, 200, "own pages need no slot");
    assert_eq!(status(&gate, "/api/public").await, 503);
    let refused = gate.wait_for_lines("event", "refused", 283).await;
    assert!(refused.iter().all(|l| l["label"] == "too_many_open_files"), "{refused:?}");
    assert_eq!(refused.iter().filter(|l| l["level"] != "DEBUG").count(), 1, "one line for all");
    drop(through);
    upstream.recorded().responses.clear();
    eventually("there is capacity again", async || status(&gate, "/api/public").await == 200).await;
}

/// The limit is lowered while the gate runs: no descriptor is left.
#[tokio::test(flavor = "multi_thread")]
async fn r38_without_any_descriptor_own_pages_respond_and_it_recovers() {
    let (_upstream, _setup, gate) = gate_with(|s| s).await;
    let mut known = TcpStream::connect(gate.http).await.unwrap();
    assert_eq!(on(&mut known, "/wecom-gate/sign-in").await, 200);
    let most = gate.most_files();
    gate.limit_files(10);
    // After a refusal the connection is not kept alive.
    assert_eq!(on(&mut known, "/wecom-gate/sign-in").await, 200);
    assert_eq!(on(&mut known, "/api/public").await, 503);
    gate.wait_for_lines("label", "too_many_open_files", 1).await;
    gate.limit_files(most);
    eventually("it serves again", async || status(&gate, "/api/public").await == 200).await;
    eventually("the operator too", async || operator(&gate).await == 200).await;
}
