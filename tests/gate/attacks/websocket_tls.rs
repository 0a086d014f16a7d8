//! R30: a WebSocket over TLS behaves like one without.

use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Role};

use super::websocket_peers::server;
use crate::support::PATIENCE;
use crate::support::raw::{HOST, Line, Process, Setup, Visitor, read_response, request, upgrade};

type Socket = WebSocketStream<Box<dyn Line>>;

const MIB: usize = 1024 * 1024;

async fn gate() -> (Setup, Process) {
    let setup = Setup::new(server().await).https();
    let gate = setup.start().await;
    (setup, gate)
}

async fn socket(setup: &Setup, gate: &Process, visitor: &Visitor) -> Socket {
    let mut line = setup.line(gate, true).await;
    let headers = format!("{}Origin: https://{HOST}\r\n", visitor.cookie_line());
    line.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(read_response(&mut line).await.status(), 101);
    WebSocketStream::from_raw_socket(line, Role::Client, None).await
}

/// The next message; `None`: the connection has been closed in order.
async fn next(socket: &mut Socket) -> Option<Message> {
    let next = tokio::time::timeout(PATIENCE, socket.next()).await.expect("a message, or the end");
    next.map(Result::unwrap)
}

async fn echoes(socket: &mut Socket, message: Message) {
    socket.send(message.clone()).await.unwrap();
    let back = next(socket).await;
    assert!(back == Some(message), "something else came back");
}

fn close_code(message: Option<Message>) -> Option<u16> {
    match message {
        Some(Message::Close(frame)) => frame.map(|frame| frame.code.into()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_websocket_over_tls_passes_both_ways_and_ends_with_its_session() {
    let (setup, gate) = gate().await;
    let (member, other) = (setup.visitor(), setup.visitor());
    let mut ended = socket(&setup, &gate, &member).await;
    let mut stays = socket(&setup, &gate, &other).await;
    for socket in [&mut ended, &mut stays] {
        echoes(socket, Message::text("ping")).await;
        echoes(socket, Message::binary(vec![0, 255, 128])).await;
    }
    let headers = format!("{}Content-Length: 0\r\n", member.lines());
    let sign_out = request("POST", "/api/auth:signOut", &headers);
    assert_eq!(setup.send_raw_over(&gate, true, sign_out).await.status(), 200);
    assert_eq!(close_code(next(&mut ended).await), Some(1008));
    assert_eq!(next(&mut ended).await, None);
    // Another session's stays open, until its browser closes it.
    echoes(&mut stays, Message::text("still there")).await;
    stays.close(Some(CloseFrame { code: 4321.into(), reason: "bye".into() })).await.unwrap();
    assert_eq!(close_code(next(&mut stays).await), Some(4321));
    assert_eq!(next(&mut stays).await, None);
}

/// RFC 8446, 6.1: without it, the browser cannot tell the end from a connection that somebody has cut.
#[tokio::test(flavor = "multi_thread")]
async fn r30_a_tunnel_over_tls_ends_with_close_notify() {
    let (setup, gate) = gate().await;
    let member = setup.visitor();
    let mut line = setup.line(&gate, true).await;
    let headers = format!("{}Origin: https://{HOST}\r\n", member.cookie_line());
    line.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
    line.flush().await.unwrap();
    assert_eq!(read_response(&mut line).await.status(), 101);
    let headers = format!("{}Content-Length: 0\r\n", member.lines());
    let sign_out = request("POST", "/api/auth:signOut", &headers);
    assert_eq!(setup.send_raw_over(&gate, true, sign_out).await.status(), 200);
    let mut rest = Vec::new();
    let end = tokio::time::timeout(PATIENCE, line.read_to_end(&mut rest)).await.expect("the end");
    assert!(end.is_ok(), "{end:?} after {rest:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r30_a_mebibyte_passes_each_way_over_tls() {
    let (setup, gate) = gate().await;
    let mut socket = socket(&setup, &gate, &setup.visitor()).await;
    // Different bytes everywhere, so that nothing can be missing, doubled or exchanged.
    let bytes: Vec<u8> = (0..MIB / 4).flat_map(|n| u32::try_from(n).unwrap().to_le_bytes()).collect();
    echoes(&mut socket, Message::binary(bytes.clone())).await;
    // The same in many messages, without waiting for each.
    let (mut send, mut receive) = socket.split();
    let pieces: Vec<Vec<u8>> = bytes.chunks(997).map(<[u8]>::to_vec).collect();
    let sending = tokio::spawn(async move {
        for piece in pieces {
            send.send(Message::binary(piece)).await.unwrap();
        }
        send
    });
    let mut back = Vec::new();
    let whole = async {
        while back.len() < bytes.len() {
            back.extend_from_slice(&receive.next().await.unwrap().unwrap().into_data());
        }
    };
    tokio::time::timeout(PATIENCE + Duration::from_secs(30), whole).await.expect("everything comes back");
    assert!(back == bytes, "something else came back");
    drop(sending.await.unwrap());
}
