//! An upstream that records what arrives.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use nocobase_standin::{ABOUT, HEALTH};
use parking_lot::{Mutex, MutexGuard};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedSender;

use super::SWITCH;
use crate::support::eventually;

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Request {
    pub connection: usize,
    pub head: String,
    /// Decoded.
    pub body: Vec<u8>,
}

impl Request {
    pub fn line(&self) -> &str {
        self.head.split("\r\n").next().unwrap()
    }
    pub fn target(&self) -> &str {
        self.line().split(' ').nth(1).unwrap()
    }
    /// Names as sent, values without surrounding blanks.
    pub fn headers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.head.split("\r\n").skip(1).filter_map(|l| l.split_once(':')).map(|(n, v)| (n, v.trim()))
    }
    pub fn all(&self, name: &str) -> Vec<&str> {
        self.headers().filter(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v).collect()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).first().copied()
    }
}

#[derive(Default)]
pub struct Recorded {
    /// Requests of clients; the gate's own calls are in `own`.
    pub requests: Vec<Request>,
    pub own: Vec<Request>,
    /// Bytes where a request should have begun.
    pub garbage: Vec<Vec<u8>>,
    /// The response for a path, instead of a small 200; with the prefix `own:`, for the gate's own calls.
    pub responses: HashMap<String, Vec<u8>>,
    /// Repeated after the response of a path, until the connection ends.
    pub endless: HashMap<String, Vec<u8>>,
    /// Responses (keys as in `responses`) after which the connection is closed.
    pub closing: HashSet<String>,
    /// How many more requests for a path get no response: their connections are closed.
    pub unanswered: HashMap<String, usize>,
    /// Gets the connection after the response of a path, to send the rest of it.
    pub handed: HashMap<String, UnboundedSender<TcpStream>>,
    /// How often `endless` has been sent.
    pub repeated: usize,
    /// `auth:check` responds that the session has ended.
    pub ended: bool,
    /// Bytes that arrived in tunnels.
    pub tunnelled: Vec<u8>,
    connections: usize,
}

/// An upstream that records.
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    recorded: Arc<Mutex<Recorded>>,
}

impl Upstream {
    pub async fn start() -> Upstream {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let upstream = Upstream { address, recorded: Arc::default() };
        let recorded = upstream.recorded.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                stream.set_nodelay(true).unwrap();
                let id = {
                    let mut r = recorded.lock();
                    r.connections += 1;
                    r.connections
                };
                tokio::spawn(serve(stream, id, recorded.clone()));
            }
        });
        upstream
    }

    pub fn recorded(&self) -> MutexGuard<'_, Recorded> {
        self.recorded.lock()
    }

    /// The client requests received so far; clears them.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut self.recorded().requests)
    }

    /// Waits for a complete WebSocket frame of a client in any tunnel; its text. Clears what tunnels have received so far.
    pub async fn frame(&self) -> String {
        eventually("a frame reaches the upstream", async || unmasked(&self.recorded().tunnelled).is_some())
            .await;
        unmasked(&std::mem::take(&mut self.recorded().tunnelled)).unwrap()
    }

    pub fn set_response(&self, path: &str, status: &str, headers: &str, body: &str) {
        let response = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len());
        self.recorded().responses.insert(path.to_owned(), response.into_bytes());
    }
}

async fn fill(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> bool {
    matches!(stream.read_buf(buffer).await, Ok(n) if n > 0)
}

pub(super) fn find(buffer: &[u8], what: &[u8]) -> Option<usize> {
    buffer.windows(what.len()).position(|w| w == what)
}

async fn serve(mut stream: TcpStream, connection: usize, recorded: Arc<Mutex<Recorded>>) {
    let mut buffer = Vec::new();
    loop {
        let end = loop {
            if let Some(at) = find(&buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if !fill(&mut stream, &mut buffer).await {
                if !buffer.is_empty() {
                    recorded.lock().garbage.push(buffer);
                }
                return;
            }
        };
        let head: Vec<u8> = buffer.drain(..end).collect();
        let head = String::from_utf8_lossy(&head[..end - 4]).into_owned();
        let mut request = Request { connection, head, body: Vec::new() };
        let parts: Vec<&str> = request.line().split(' ').collect();
        if parts.len() != 3 || parts[2] != "HTTP/1.1" || !parts[0].bytes().all(|b| b.is_ascii_uppercase()) {
            recorded.lock().garbage.push(request.head.into_bytes());
            return;
        }
        let path = request.target().split('?').next().unwrap().to_owned();
        if request.header("upgrade").is_some() && !recorded.lock().responses.contains_key(&path) {
            recorded.lock().requests.push(request);
            return tunnel(stream, buffer, recorded).await;
        }
        let Some(body) = body(&mut stream, &mut buffer, &request).await else {
            recorded.lock().garbage.push(request.head.into_bytes());
            return;
        };
        request.body = body;
        let endless = recorded.lock().endless.get(&path).cloned();
        let own = request.header("x-request-id").is_none();
        let closes = recorded.lock().closing.contains(&format!("{}{path}", if own { "own:" } else { "" }));
        let response = {
            let mut r = recorded.lock();
            let response = if own && let Some(response) = r.responses.get(&format!("own:{path}")) {
                response.clone()
            } else if own && path == "/api/auth:check" {
                if r.ended {
                    json(
                        "401 Unauthorized",
                        r#"{"errors":[{"message":"Your session has expired.","code":"BLOCKED_TOKEN"}]}"#,
                    )
                } else {
                    json("200 OK", r#"{"data":{"id":7}}"#)
                }
            } else if own && path == HEALTH {
                b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok".to_vec()
            } else if own {
                json("200 OK", "{}")
            } else {
                r.responses.get(&path).cloned().unwrap_or_else(|| json("200 OK", r#"{"data":"upstream"}"#))
            };
            if own && (path == HEALTH || request.header("user-agent").is_some_and(|a| a.starts_with(ABOUT))) {
                // The gate asks for NocoBase's health and version at any time.
            } else if own {
                r.own.push(request)
            } else {
                r.requests.push(request)
            }
            response
        };
        if let Some(left @ 1..) = recorded.lock().unanswered.get_mut(&path) {
            *left -= 1;
            return;
        }
        if stream.write_all(&response).await.is_err() {
            return;
        }
        if closes {
            return;
        }
        let handed = recorded.lock().handed.get(&path).cloned();
        if let Some(handed) = handed {
            let _ = handed.send(stream);
            return;
        }
        if let Some(piece) = endless {
            while stream.write_all(&piece).await.is_ok() {
                recorded.lock().repeated += 1;
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            return;
        }
    }
}

fn json(status: &str, body: &str) -> Vec<u8> {
    format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn body(stream: &mut TcpStream, buffer: &mut Vec<u8>, request: &Request) -> Option<Vec<u8>> {
    if request.all("transfer-encoding").is_empty() {
        let lengths = request.all("content-length");
        let length: usize = if lengths.is_empty() { 0 } else { lengths[0].parse().ok()? };
        while buffer.len() < length {
            if !fill(stream, buffer).await {
                return None;
            }
        }
        return Some(buffer.drain(..length).collect());
    }
    let mut body = Vec::new();
    loop {
        let line = loop {
            match find(buffer, b"\r\n") {
                Some(at) => break at,
                None if fill(stream, buffer).await => {}
                None => return None,
            }
        };
        let size = usize::from_str_radix(std::str::from_utf8(&buffer[..line]).ok()?, 16).ok()?;
        while buffer.len() < line + 2 + size + 2 {
            if !fill(stream, buffer).await {
                return None;
            }
        }
        let chunk: Vec<u8> = buffer.drain(..line + 2 + size + 2).collect();
        if size == 0 {
            return Some(body);
        }
        body.extend_from_slice(&chunk[line + 2..line + 2 + size]);
    }
}

/// Text of the first frame, when it has arrived completely.
fn unmasked(bytes: &[u8]) -> Option<String> {
    let masked = bytes.get(1)? & 0x80 != 0;
    let (length, at) = match bytes[1] & 0x7f {
        126 => (usize::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        length => (usize::from(length), 2),
    };
    let (mask, at) = if masked { (bytes.get(at..at + 4)?, at + 4) } else { (&[0; 4][..], at) };
    let payload = bytes.get(at..at + length)?;
    let text: Vec<u8> = payload.iter().zip(mask.iter().cycle()).map(|(b, m)| b ^ m).collect();
    Some(String::from_utf8_lossy(&text).into_owned())
}

/// Responds 101 at once and echoes everything.
async fn tunnel(mut stream: TcpStream, early: Vec<u8>, recorded: Arc<Mutex<Recorded>>) {
    if stream.write_all(SWITCH).await.is_err() {
        return;
    }
    let mut piece = early;
    loop {
        if !piece.is_empty() {
            recorded.lock().tunnelled.extend_from_slice(&piece);
            if stream.write_all(&piece).await.is_err() {
                return;
            }
        }
        piece.clear();
        if !fill(&mut stream, &mut piece).await {
            return;
        }
    }
}
