//! A WebSocket through the gate is the WebSocket without it: the same bytes go to the same server by both ways, and what comes
//! back is the same. The cases are those of the Autobahn test suite in kind: framing, pings, reserved bits, opcodes, fragments,
//! UTF-8, closing, limits. R30.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::raw::{SWITCH, Setup, read_answer, upgrade};

const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// A server that sends every message back, and responds to the gate's own calls as NocoBase does.
async fn server() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            stream.set_nodelay(true).unwrap();
            tokio::spawn(serve(stream));
        }
    });
    address
}

async fn serve(mut stream: TcpStream) {
    loop {
        // Byte by byte, so that nothing of the first frame is taken.
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            let mut byte = [0];
            if stream.read_exact(&mut byte).await.is_err() {
                return;
            }
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
        if head.contains("upgrade: websocket") {
            stream.write_all(SWITCH).await.unwrap();
            let mut socket = WebSocketStream::from_raw_socket(stream, Role::Server, None).await;
            while let Some(Ok(message)) = socket.next().await {
                if (message.is_text() || message.is_binary()) && socket.send(message).await.is_err() {
                    return;
                }
            }
            return;
        }
        let body = if head.contains("auth:check") { r#"{"data":{"id":7}}"# } else { "ok" };
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        if stream.write_all(response.as_bytes()).await.is_err() {
            return;
        }
    }
}

/// Sends the upgrade and then these pieces; all that comes back after the 101.
async fn talk(to: SocketAddr, head: &str, pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_answer(&mut stream).await.status(), 101);
    let (mut read, mut write) = stream.into_split();
    let pieces = pieces.to_vec();
    let sending = tokio::spawn(async move {
        for piece in pieces {
            if write.write_all(&piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        write
    });
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), read.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "the WebSocket stays open");
    drop(sending.await);
    all
}

fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    let mut out = vec![first];
    match payload.len() {
        short @ 0..126 => out.push(0x80 | u8::try_from(short).unwrap()),
        middle @ 126..0x1_0000 => {
            out.push(0x80 | 126);
            out.extend(u16::try_from(middle).unwrap().to_be_bytes());
        }
        long => {
            out.push(0x80 | 127);
            out.extend(u64::try_from(long).unwrap().to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

/// Name, and the frames; a Close comes after them.
fn cases() -> Vec<(String, Vec<Vec<u8>>)> {
    let mut all: Vec<(String, Vec<Vec<u8>>)> = Vec::new();
    let mut case = |name: String, frames: Vec<Vec<u8>>| all.push((name, frames));
    // 1: framing.
    for (kind, first) in [("text", 0x81), ("binary", 0x82)] {
        for size in [0, 1, 125, 126, 127, 128, 16_383, 16_384, 16_385, 65_535, 65_536, 200_000] {
            case(format!("{kind} of {size}"), vec![frame(first, &vec![b'*'; size])]);
        }
    }
    // 2: pings and pongs.
    for size in [0, 5, 125] {
        case(format!("a ping of {size}"), vec![frame(0x89, &vec![0xfe; size])]);
        case(format!("a pong of {size}"), vec![frame(0x8a, &vec![0xfe; size])]);
    }
    case("ten pings".into(), (0..10).map(|i| frame(0x89, &[i])).collect());
    case(
        "a ping in a message".into(),
        vec![frame(0x01, b"frag"), frame(0x89, b"ping"), frame(0x80, b"ment")],
    );
    // 5: fragments.
    for (kind, first) in [("text", 0x01), ("binary", 0x02)] {
        case(format!("{kind} in two"), vec![frame(first, b"one"), frame(0x80, b"two")]);
        case(format!("{kind} in empty ones"), vec![frame(first, b""), frame(0, b""), frame(0x80, b"")]);
        let many = (0..50).map(|_| frame(0, b"x"));
        case(
            format!("{kind} in 52"),
            [frame(first, b"x")].into_iter().chain(many).chain([frame(0x80, b"y")]).collect(),
        );
        let long = vec![frame(first, &[b'a'; 30_000]), frame(0, &[b'b'; 30_000]), frame(0x80, b"c")];
        case(format!("{kind} in long ones"), long);
    }
    case("two messages".into(), vec![frame(0x81, b"one"), frame(0x82, b"two")]);
    // 6: UTF-8.
    for text in ["κόσμε", "张三", "\u{10ffff}", "\u{feff}", "\0", "Hello-µ@ßöäüàá-UTF-8!!"] {
        case(format!("text {text:?}"), vec![frame(0x81, text.as_bytes())]);
        let (begin, end) = text.as_bytes().split_at(1);
        case(format!("text {text:?} in two"), vec![frame(0x01, begin), frame(0x80, end)]);
    }
    case("a token of nobody's".into(), vec![frame(0x81, br#"{"type":"signIn","payload":{"x":"y"}}"#)]);
    // 7: closing.
    for code in [1000_u16, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999] {
        let payload = [&code.to_be_bytes()[..], b"bye"].concat();
        case(format!("close {code}"), vec![frame(0x88, &payload)]);
    }
    case("close without a code".into(), vec![frame(0x88, b"")]);
    case("text after close".into(), vec![frame(0x88, &1000_u16.to_be_bytes()), frame(0x81, b"late")]);
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn r30_what_is_valid_passes_as_without_the_gate() {
    let server = server().await;
    let setup = Setup::new(server).set("log.level", "info").set("log.access_log", false);
    let gate = setup.start().await;
    let headers = format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line());
    let head = upgrade("/ws", &headers);
    for (name, mut frames) in cases() {
        if !frames.iter().any(|f| f[0] == 0x88) {
            frames.push(CLOSE.to_vec());
        }
        let whole = frames.concat();
        let direct = talk(server, &head, &frames).await;
        assert!(!direct.is_empty(), "{name}: the server says nothing");
        let mut ways = vec![("frame by frame", frames.clone()), ("in one piece", vec![whole.clone()])];
        if whole.len() < 1000 {
            ways.push(("byte by byte", whole.iter().map(|b| vec![*b]).collect()));
        } else {
            ways.push(("in pieces of 997", whole.chunks(997).map(<[u8]>::to_vec).collect()));
        }
        for (way, pieces) in ways {
            let through = talk(gate.http, &head, &pieces).await;
            assert!(
                through == direct,
                "{name} {way}: {} bytes, and {} without the gate",
                through.len(),
                direct.len()
            );
        }
    }
}

/// What is invalid as UTF-8, or by its close code, is for the server to refuse: the gate lets its word through.
#[tokio::test(flavor = "multi_thread")]
async fn r30_what_is_invalid_is_for_the_server_to_refuse() {
    let server = server().await;
    let setup = Setup::new(server).set("log.level", "info").set("log.access_log", false);
    let gate = setup.start().await;
    let headers = format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line());
    let head = upgrade("/ws", &headers);
    for (name, frames) in [
        (
            "invalid UTF-8",
            vec![
                frame(0x82, b"first"),
                frame(0x81, b"\xce\xba\xe1\xbd\xb9\xcf\x83\xce\xbc\xce\xb5\xed\xa0\x80"),
            ],
        ),
        ("half a character", vec![frame(0x81, b"\xce")]),
        ("a surrogate in two", vec![frame(0x01, b"\xed"), frame(0x80, b"\xa0\x80")]),
    ] {
        let direct = talk(server, &head, &frames).await;
        let through = talk(gate.http, &head, &frames).await;
        assert!(through.starts_with(&direct), "{name}: {through:?}, and {direct:?} without the gate");
    }
}
