//! A client that sends bytes as they are.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::upstream::find;
use super::{HOST, Process, Setup};

/// A response as it was received.
#[derive(Debug, Clone, Default)]
pub struct Response {
    pub raw: Vec<u8>,
    /// The gate closed the connection.
    pub closed: bool,
}

impl Response {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.raw).into_owned()
    }
    fn head(&self) -> String {
        let end = find(&self.raw, b"\r\n\r\n").unwrap_or(self.raw.len());
        String::from_utf8_lossy(&self.raw[..end]).into_owned()
    }
    /// 0 without a response.
    pub fn status(&self) -> u16 {
        self.head().split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0)
    }
    pub fn all(&self, name: &str) -> Vec<String> {
        let head = self.head();
        let lines = head.split("\r\n").skip(1).filter_map(|l| l.split_once(':'));
        lines.filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.trim().to_owned()).collect()
    }
    pub fn header(&self, name: &str) -> Option<String> {
        self.all(name).into_iter().next()
    }
    pub fn body(&self) -> String {
        let at = find(&self.raw, b"\r\n\r\n").map_or(self.raw.len(), |a| a + 4);
        String::from_utf8_lossy(&self.raw[at..]).into_owned()
    }
    /// How many responses these bytes contain.
    pub fn count(&self) -> usize {
        self.raw.windows(9).filter(|w| *w == b"HTTP/1.1 " || *w == b"HTTP/1.0 ").count()
    }
    /// Name and value of the cookies that it sets.
    pub fn cookies(&self) -> Vec<(String, String)> {
        let lines = self.all("set-cookie");
        let pairs = lines.iter().map(|l| l.split(';').next().unwrap().split_once('=').unwrap());
        pairs.map(|(n, v)| (n.to_owned(), v.to_owned())).collect()
    }
    /// Is one response complete? One to a HEAD request ends with its header section, whatever length it states.
    fn complete(&self, to_head: bool) -> bool {
        let Some(end) = find(&self.raw, b"\r\n\r\n") else { return false };
        if to_head || matches!(self.status(), 101 | 204 | 304) {
            return true;
        }
        match self.header("content-length").and_then(|l| l.parse::<usize>().ok()) {
            Some(length) => self.raw.len() >= end + 4 + length,
            None => self.raw.ends_with(b"0\r\n\r\n"),
        }
    }
}

/// Reads one complete response, or until the connection is closed.
pub async fn read_response<S: AsyncRead + Unpin>(stream: &mut S) -> Response {
    read_response_to(stream, b"").await
}

/// The same for a response to this request.
async fn read_response_to<S: AsyncRead + Unpin>(stream: &mut S, request: &[u8]) -> Response {
    let to_head = request.starts_with(b"HEAD ");
    read_while(stream, Duration::from_secs(8), |a| !a.complete(to_head)).await
}

/// Reads until the connection is closed or nothing arrives for a while.
pub async fn read_all<S: AsyncRead + Unpin>(stream: &mut S) -> Response {
    read_all_after(stream, b"").await
}

/// The same for the response to this request.
async fn read_all_after<S: AsyncRead + Unpin>(stream: &mut S, request: &[u8]) -> Response {
    let mut response = read_response_to(stream, request).await;
    if !response.closed {
        let more = read_while(stream, Duration::from_millis(300), |_| true).await;
        response.raw.extend_from_slice(&more.raw);
        response.closed = more.closed;
    }
    response
}

async fn read_while<S: AsyncRead + Unpin>(
    stream: &mut S,
    quiet: Duration,
    go_on: impl Fn(&Response) -> bool,
) -> Response {
    let mut response = Response::default();
    while go_on(&response) {
        match tokio::time::timeout(quiet, stream.read_buf(&mut response.raw)).await {
            Ok(Ok(n)) if n > 0 => {}
            Ok(_) => {
                response.closed = true;
                break;
            }
            Err(_) => break,
        }
    }
    response
}

/// Sends bytes on a new connection; the one response to them.
pub async fn send_raw(to: SocketAddr, bytes: impl AsRef<[u8]>) -> Response {
    let mut stream = TcpStream::connect(to).await.unwrap();
    // The gate may respond and close before it has read everything.
    let _ = stream.write_all(bytes.as_ref()).await;
    read_response_to(&mut stream, bytes.as_ref()).await
}

/// A connection to the gate, plain or TLS.
pub trait Line: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Line for S {}

impl Setup {
    /// A connection that speaks HTTP/1.1.
    pub async fn line(&self, gate: &Process, tls: bool) -> Box<dyn Line> {
        if tls {
            Box::new(self.tls(gate, "http/1.1").await)
        } else {
            Box::new(TcpStream::connect(gate.http).await.unwrap())
        }
    }

    /// Sends bytes on a new connection; everything received on it.
    pub async fn send_raw_over(&self, gate: &Process, tls: bool, bytes: impl AsRef<[u8]>) -> Response {
        let mut line = self.line(gate, tls).await;
        let _ = line.write_all(bytes.as_ref()).await;
        let _ = line.flush().await;
        read_all_after(&mut line, bytes.as_ref()).await
    }
}

/// A request to the gate, with its `Host`. Header lines end with CRLF.
pub fn request(method: &str, target: &str, headers: &str) -> String {
    format!("{method} {target} HTTP/1.1\r\nHost: {HOST}\r\n{headers}\r\n")
}

pub fn get(target: &str, headers: &str) -> String {
    request("GET", target, headers)
}

/// A WebSocket upgrade request.
pub fn upgrade(target: &str, headers: &str) -> String {
    get(
        target,
        &format!(
            "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}"
        ),
    )
}

/// A text frame as a client sends it.
pub fn frame(text: &str) -> Vec<u8> {
    let mask = [0x11, 0x22, 0x33, 0x44];
    let mut frame = vec![0x81];
    match text.len() {
        n @ 0..126 => frame.push(0x80 | u8::try_from(n).unwrap()),
        n => {
            frame.push(0x80 | 126);
            frame.extend_from_slice(&u16::try_from(n).unwrap().to_be_bytes());
        }
    }
    frame.extend_from_slice(&mask);
    frame.extend(text.bytes().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    frame
}
