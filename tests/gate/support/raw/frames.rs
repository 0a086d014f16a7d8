//! HTTP/2 as no library sends it: frame by frame.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{HOST, Process, Setup};

/// Frame types (RFC 9113, 6).
pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
pub const RST_STREAM: u8 = 3;
pub const SETTINGS: u8 = 4;
pub const PING: u8 = 6;
pub const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;
/// Flags.
pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;

/// A received frame.
#[derive(Debug)]
pub struct Frame {
    pub kind: u8,
    pub flags: u8,
    pub stream: u32,
    pub payload: Vec<u8>,
}

/// A connection; with separate directions, so that a flood does not wait for responses.
pub struct Frames {
    pub write: WriteHalf<TlsStream<TcpStream>>,
    pub read: ReadHalf<TlsStream<TcpStream>>,
}

impl Setup {
    /// A connection on which the preface and empty settings have been sent.
    pub async fn frames(&self, gate: &Process) -> Frames {
        let (read, mut write) = tokio::io::split(self.tls(gate, "h2").await);
        write.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        write.write_all(&frame(SETTINGS, 0, 0, b"")).await.unwrap();
        Frames { write, read }
    }
}

impl Frames {
    /// Was it sent? Not after the gate has closed the connection.
    pub async fn send(&mut self, bytes: &[u8]) -> bool {
        self.write.write_all(bytes).await.is_ok() && self.write.flush().await.is_ok()
    }

    /// The next frame; `None`: the gate closed the connection, or sends nothing more.
    pub async fn next(&mut self) -> Option<Frame> {
        let whole = async {
            let mut head = [0; 9];
            self.read.read_exact(&mut head).await.ok()?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let mut payload = vec![0; usize::try_from(length).ok()?];
            self.read.read_exact(&mut payload).await.ok()?;
            let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
            Some(Frame { kind: head[3], flags: head[4], stream, payload })
        };
        tokio::time::timeout(Duration::from_secs(4), whole).await.ok().flatten()
    }

    /// How this stream ends: with a status, or 0 when it is reset or the connection closes.
    pub async fn status(&mut self, stream: u32) -> u16 {
        while let Some(frame) = self.next().await {
            match frame.kind {
                HEADERS if frame.stream == stream => return status(&frame.payload),
                RST_STREAM if frame.stream == stream => return 0,
                GOAWAY => return 0,
                _ => {}
            }
        }
        0
    }
}

/// The bytes of a frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut bytes = vec![length[1], length[2], length[3], kind, flags];
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A header field in HPACK's simplest form: literal, not indexed, not compressed (RFC 7541, 6.2.2).
pub fn field(name: &[u8], value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0];
    for text in [name, value] {
        match text.len() {
            short @ 0..127 => bytes.push(u8::try_from(short).unwrap()),
            mut long => {
                bytes.push(127);
                long -= 127;
                while long >= 128 {
                    bytes.push(u8::try_from(long % 128).unwrap() | 128);
                    long /= 128;
                }
                bytes.push(u8::try_from(long).unwrap());
            }
        }
        bytes.extend_from_slice(text);
    }
    bytes
}

/// A header block; names and values as given.
pub fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    fields.iter().flat_map(|(name, value)| field(name.as_bytes(), value.as_bytes())).collect()
}

/// The four fields of every request.
pub fn pseudo<'a>(method: &'a str, path: &'a str) -> [(&'a str, &'a str); 4] {
    [(":method", method), (":scheme", "https"), (":authority", HOST), (":path", path)]
}

/// `:status` at the beginning of the first header block of a connection.
fn status(block: &[u8]) -> u16 {
    // A dynamic table size update may precede it.
    let at = block.iter().position(|b| b & 0xe0 != 0x20).unwrap_or(0);
    let first = block[at];
    match first {
        0x88 => 200,
        0x89 => 204,
        0x8a => 206,
        0x8b => 304,
        0x8c => 400,
        0x8d => 404,
        0x8e => 500,
        _ if block[at + 1] & 0x80 == 0 => {
            std::str::from_utf8(&block[at + 2..at + 5]).unwrap().parse().unwrap()
        }
        _ => digits(&block[at + 2..at + 2 + usize::from(block[at + 1] & 0x7f)]),
    }
}

/// Three digits in HPACK's Huffman code (RFC 7541, appendix B): 0 to 2 have 5 bits, 3 to 9 have 6.
fn digits(code: &[u8]) -> u16 {
    let bits: Vec<u8> = code.iter().flat_map(|b| (0..8).rev().map(move |i| b >> i & 1)).collect();
    let (mut at, mut number) = (0, 0);
    for _ in 0..3 {
        let read = |n: usize| bits[at..at + n].iter().fold(0_u16, |all, bit| all << 1 | u16::from(*bit));
        let five = read(5);
        let (digit, length) = if five < 3 { (five, 5) } else { (read(6) - 0b01_1001 + 3, 6) };
        number = number * 10 + digit;
        at += length;
    }
    number
}
