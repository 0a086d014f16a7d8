//! R30: a WebSocket through the gate behaves like one without it: the same bytes sent to the same server bring the same bytes
//! back. The cases are of the kinds in the Autobahn test suite: framing, pings, reserved bits, opcodes, fragments, UTF-8,
//! closing, limits.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::Role;

use crate::support::raw::{SWITCH, Setup, read_response, upgrade};

const CLOSE: &[u8] = &[0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8];

/// A server that echoes every message, and responds to the gate's own calls as NocoBase does.
pub(super) async fn server() -> SocketAddr {
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
        // Byte by byte, so that nothing of the first frame is consumed.
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

/// Sends the upgrade and then these pieces; all bytes received after the 101.
async fn send_raw(to: SocketAddr, head: &str, pieces: &[Vec<u8>]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.set_nodelay(true).unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101);
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
    case("an unknown token".into(), vec![frame(0x81, br#"{"type":"signIn","payload":{"x":"y"}}"#)]);
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
        let direct = send_raw(server, &head, &frames).await;
        assert!(!direct.is_empty(), "{name}: the server sends nothing");
        let mut ways = vec![("frame by frame", frames.clone()), ("in one piece", vec![whole.clone()])];
        if whole.len() < 1000 {
            ways.push(("byte by byte", whole.iter().map(|b| vec![*b]).collect()));
        } else {
            ways.push(("in pieces of 997", whole.chunks(997).map(<[u8]>::to_vec).collect()));
        }
        for (way, pieces) in ways {
            let through = send_raw(gate.http, &head, &pieces).await;
            assert!(
                through == direct,
                "{name} {way}: {} bytes, and {} without the gate",
                through.len(),
                direct.len()
            );
        }
    }
}

/// Invalid UTF-8 and invalid close codes are for the server to refuse: the gate forwards them.
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
        let direct = send_raw(server, &head, &frames).await;
        let through = send_raw(gate.http, &head, &frames).await;
        assert!(through.starts_with(&direct), "{name}: {through:?}, and {direct:?} without the gate");
    }
}

/// A server that writes frames itself after the upgrade: it waits for a byte of the client, then sends these pieces one by one,
/// and the connection ends.
async fn by_hand(pieces: Vec<Vec<u8>>, pause: Duration, ends: bool) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let pieces = pieces.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    let mut byte = [0];
                    stream.read_exact(&mut byte).await.ok()?;
                    head.push(byte[0]);
                }
                let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
                if !head.contains("upgrade: websocket") {
                    let body = if head.contains("auth:check") { r#"{"data":{"id":7}}"# } else { "ok" };
                    let response = format!(
                        "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                        body.len()
                    );
                    return stream.write_all(response.as_bytes()).await.ok();
                }
                stream.write_all(SWITCH).await.ok()?;
                for piece in pieces {
                    stream.write_all(&piece).await.ok()?;
                    // Separates the pieces in time; no result depends on how far.
                    tokio::time::sleep(pause).await;
                }
                if !ends {
                    std::future::pending::<()>().await;
                }
                Some(())
            });
        }
    });
    address
}

/// Sends the upgrade; all bytes received after the header section of the 101.
async fn listen(to: SocketAddr, head: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut all)).await;
    assert!(read.is_ok(), "the WebSocket stays open");
    let end = all.windows(4).position(|w| w == b"\r\n\r\n").unwrap() + 4;
    assert!(all.starts_with(b"HTTP/1.1 101 "));
    all.split_off(end)
}

/// Whatever the server sends, valid or not, reaches the page as it was sent, and the gate inserts nothing.
#[tokio::test(flavor = "multi_thread")]
async fn r30_frames_of_the_server_pass_unchanged() {
    let text = |payload: &[u8]| [&[0x81, u8::try_from(payload.len()).unwrap()], payload].concat();
    for (name, pieces) in [
        ("a reserved bit", vec![text(b"first"), vec![0xc1, 1, b'a']]),
        ("a reserved opcode", vec![text(b"first"), vec![0x83, 0]]),
        ("a reserved control opcode", vec![text(b"first"), vec![0x8b, 0]]),
        ("a mask", vec![text(b"first"), vec![0x81, 0x81, 1, 2, 3, 4, 5]]),
        ("a ping in fragments", vec![vec![0x09, 0]]),
        ("invalid UTF-8", vec![text(b"\xce\xba\xff")]),
        ("close 1002", vec![text(b"first"), vec![0x88, 2, 0x03, 0xea]]),
        ("close 1007", vec![text(b"first"), vec![0x88, 2, 0x03, 0xef]]),
        ("close 1009 in pieces", vec![vec![0x88], vec![2, 0x03], vec![0xf1]]),
        ("an end in the middle of a frame", vec![text(b"first"), vec![0x82, 126, 0x04, 0x00, 1, 2, 3]]),
        ("an end in the middle of a header", vec![text(b"first"), vec![0x82, 127, 0, 0]]),
        ("an end without a close", vec![text(b"first")]),
        ("a close and more", vec![vec![0x88, 2, 0x03, 0xe8], text(b"late")]),
    ] {
        let server = by_hand(pieces, Duration::from_millis(5), true).await;
        let setup = Setup::new(server).set("log.level", "info").set("log.access_log", false);
        let gate = setup.start().await;
        let headers = format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line());
        let head = upgrade("/ws", &headers);
        let direct = listen(server, &head).await;
        let through = listen(gate.http, &head).await;
        assert!(!direct.is_empty(), "{name}: the server sends nothing");
        assert_eq!(through, direct, "{name}");
    }
}

/// RFC 6455, 5.4: a Close frame never stands inside another frame. The frame in progress is completed first, if its end arrives
/// soon.
#[tokio::test(flavor = "multi_thread")]
async fn r30_a_protocol_error_is_sent_after_the_frame_in_progress() {
    const PROTOCOL_ERROR: [u8; 4] = [0x88, 2, 0x03, 0xea];
    let whole = [&[0x82, 126, 0x03, 0xe8][..], &[7; 1000]].concat();
    let bad = [0xc1, 0x80, 1, 2, 3, 4];
    for (what, pieces, expected) in [
        (
            "in the payload",
            vec![whole[..400].to_vec(), whole[400..].to_vec()],
            [&whole[..], &PROTOCOL_ERROR].concat(),
        ),
        (
            "and another frame after it",
            vec![whole[..400].to_vec(), [&whole[400..], &whole[..]].concat()],
            [&whole[..], &PROTOCOL_ERROR].concat(),
        ),
        (
            "in the header",
            vec![whole[..3].to_vec(), whole[3..].to_vec()],
            [&whole[..], &PROTOCOL_ERROR].concat(),
        ),
        (
            "in three pieces",
            vec![whole[..1].to_vec(), whole[1..900].to_vec(), whole[900..].to_vec()],
            [&whole[..], &PROTOCOL_ERROR].concat(),
        ),
        // Its end never arrives: the connection ends, without a byte that would be read as part of the frame.
        ("and never ends", vec![whole[..400].to_vec()], whole[..400].to_vec()),
    ] {
        let server = by_hand(pieces, Duration::from_millis(300), false).await;
        let setup = Setup::new(server).set("log.level", "info").set("log.access_log", false);
        let gate = setup.start().await;
        let headers = format!("{}Origin: http://gate.test\r\n", setup.visitor().cookie_line());
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        stream.write_all(upgrade("/ws", &headers).as_bytes()).await.unwrap();
        // The beginning of the frame has arrived, so the gate knows that one is in progress.
        let mut back = Vec::new();
        let end = loop {
            if let Some(at) = back.windows(4).position(|w| w == b"\r\n\r\n")
                && back.len() > at + 4
            {
                break at + 4;
            }
            assert_ne!(stream.read_buf(&mut back).await.unwrap(), 0);
        };
        stream.write_all(&bad).await.unwrap();
        let read = tokio::time::timeout(Duration::from_secs(20), stream.read_to_end(&mut back)).await;
        assert!(matches!(read, Ok(Ok(_))), "{what}: {read:?}");
        assert!(
            back[end..] == expected,
            "{what}: {} bytes, the last {:?}",
            back.len() - end,
            &back[back.len() - 6..]
        );
    }
}
