//! Replaces the token in the frames that NocoBase's page sends over its WebSocket: bytes from browser to NocoBase go through a
//! [`Swapper`], which replaces the token in `{"type":"auth:token","payload":{"token":"..."}}` and forwards everything else
//! unchanged (RFC 6455, section 5).
//!
//! A message is held back until it is complete: fragmented or not, text or binary (NocoBase parses both alike), at most
//! [`MAX_MESSAGE`] bytes. Of a longer one, only parts that cannot name a token pass. No extension may have been negotiated:
//! remove `Sec-WebSocket-Extensions` from the upgrade request.

use std::ops::Range;

use bytes::{BufMut, Bytes, BytesMut};

use super::auth_message::{self, TokenVerdict, Unclear, Watch};

/// Longest message that is parsed, in bytes. One with a token has about 500 bytes.
pub const MAX_MESSAGE: usize = 16 * 1024;
/// Most bytes held back for a fragmented message, including headers.
const MAX_HELD: usize = 2 * MAX_MESSAGE;
/// Longest header of a masked frame.
const MAX_HEADER: usize = 14;

const TEXT: u8 = 1;

/// The client violated the protocol; the tunnel must be closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WsError {
    /// A reserved bit without an extension, or a reserved opcode.
    #[error("a WebSocket frame with reserved bits or opcode")]
    Reserved,
    /// Clients must mask.
    #[error("a WebSocket frame without a mask")]
    Unmasked,
    /// A control frame that is fragmented or longer than 125 bytes.
    #[error("a WebSocket control frame of the wrong form")]
    Control,
    /// A length that is not in its shortest form, or above 2^63.
    #[error("a WebSocket frame with a wrong length")]
    Length,
    /// A continuation without a message, or a new message within another.
    #[error("a WebSocket message with fragments out of order")]
    Fragments,
    /// A message that may name a user, but that the gate cannot parse (R41).
    #[error("a WebSocket message that hides whose token it contains")]
    HiddenToken,
}

#[derive(Debug, Clone, Copy)]
struct Header {
    /// Bytes of the header itself.
    size: usize,
    fin: bool,
    opcode: u8,
    /// Length of the payload.
    length: u64,
    mask: [u8; 4],
}

impl Header {
    fn is_control(self) -> bool {
        self.opcode >= 8
    }

    /// `None`: incomplete.
    fn parse(bytes: &[u8]) -> Result<Option<Self>, WsError> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let opcode = first & 0x0f;
        if first & 0x70 != 0 || matches!(opcode, 3..=7 | 11..) {
            return Err(WsError::Reserved);
        }
        let fin = first & 0x80 != 0;
        let Some(&second) = bytes.get(1) else { return Ok(None) };
        if second & 0x80 == 0 {
            return Err(WsError::Unmasked);
        }
        let short = second & 0x7f;
        if opcode >= 8 && (!fin || short > 125) {
            return Err(WsError::Control);
        }
        let (extended, least) = match short {
            126 => (2, 126),
            127 => (8, 1 << 16),
            _ => (0, 0),
        };
        let mut length = u64::from(short);
        if extended > 0 {
            let Some(digits) = bytes.get(2..2 + extended) else { return Ok(None) };
            length = digits.iter().fold(0, |n, d| (n << 8) | u64::from(*d));
            if length < least || length > i64::MAX as u64 {
                return Err(WsError::Length);
            }
        }
        let size = extended + 6;
        let Some(mask) = bytes.get(size - 4..size).and_then(|m| m.try_into().ok()) else { return Ok(None) };
        Ok(Some(Self { size, fin, opcode, length, mask }))
    }
}

/// What to do with the next bytes.
#[derive(Debug)]
enum PayloadState {
    /// The next byte belongs to a header.
    Header,
    /// This many bytes pass; those of a message (with its mask and offset) are searched.
    Passing { left: u64, data: Option<([u8; 4], usize)> },
    /// This many bytes belong to a message that is held back.
    Holding { left: usize, fin: bool, mask: [u8; 4], at: usize },
    /// After an error.
    Broken,
}

/// The current message, across its fragments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Message {
    None,
    /// Part of it has been forwarded already.
    Passing,
    Held,
}

/// One direction of one tunnel, from browser to NocoBase.
pub struct Swapper<F> {
    swap: F,
    state: PayloadState,
    message: Message,
    /// The beginning of an incomplete header.
    partial: BytesMut,
    /// The frames of the held-back message, as received.
    raw: BytesMut,
    /// Their payload, unmasked.
    text: Vec<u8>,
    /// The opcode with which the held-back message began: text or binary.
    opcode: u8,
    /// Searches what is forwarded of a message that is too long.
    watch: Watch,
}

impl<F> std::fmt::Debug for Swapper<F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Swapper").field("state", &self.state).finish_non_exhaustive()
    }
}

impl From<Unclear> for WsError {
    fn from(_: Unclear) -> WsError {
        WsError::HiddenToken
    }
}

impl<F: FnMut(&str) -> TokenVerdict> Swapper<F> {
    /// `swap` gets the token of each `auth:token` message and decides what happens to it.
    pub fn new(swap: F) -> Self {
        Self {
            swap,
            state: PayloadState::Header,
            message: Message::None,
            partial: BytesMut::new(),
            raw: BytesMut::new(),
            text: Vec::new(),
            opcode: TEXT,
            watch: Watch::default(),
        }
    }

    /// Reads bytes from the browser, returns those to send to NocoBase. After an error, every call is an error.
    pub fn push(&mut self, piece: Bytes) -> Result<Bytes, WsError> {
        let mut out = Out::new(piece);
        let result = self.read(&mut out);
        if result.is_err() {
            self.state = PayloadState::Broken;
        }
        result.map(|()| out.finish())
    }

    fn read(&mut self, out: &mut Out) -> Result<(), WsError> {
        while !out.rest().is_empty() {
            match self.state {
                PayloadState::Broken => return Err(WsError::Reserved),
                PayloadState::Passing { left, data } => {
                    let n = out.rest().len().min(usize::try_from(left).unwrap_or(usize::MAX));
                    let data = match data {
                        Some((mask, at)) => {
                            let part = out.rest().get(..n).unwrap_or_default();
                            self.watch.push(unmasked(part, mask, at))?;
                            Some((mask, at.wrapping_add(n) % 4))
                        }
                        None => None,
                    };
                    out.pass(n);
                    let left = left.saturating_sub(n as u64);
                    self.state =
                        if left == 0 { PayloadState::Header } else { PayloadState::Passing { left, data } };
                }
                PayloadState::Header => self.header(out)?,
                PayloadState::Holding { left, fin, mask, at } => {
                    let rest = out.rest();
                    let part = rest.get(..left).unwrap_or(rest);
                    self.raw.extend_from_slice(part);
                    self.text.extend(unmasked(part, mask, at));
                    let n = part.len();
                    out.skip(n);
                    self.state = PayloadState::Holding {
                        left: left.saturating_sub(n),
                        fin,
                        mask,
                        at: at.wrapping_add(n),
                    };
                    self.fragment_end(out)?;
                }
            }
        }
        Ok(())
    }

    /// Reads one header, or keeps what there is of it.
    fn header(&mut self, out: &mut Out) -> Result<(), WsError> {
        let header = if self.partial.is_empty() {
            Header::parse(out.rest())?
        } else {
            let missing = MAX_HEADER.saturating_sub(self.partial.len());
            let mut bytes = self.partial.clone();
            bytes.extend_from_slice(out.rest().get(..missing).unwrap_or(out.rest()));
            Header::parse(&bytes)?
        };
        let Some(header) = header else {
            self.partial.extend_from_slice(out.rest());
            out.skip(out.rest().len());
            return Ok(());
        };
        let message = match (self.message, header.opcode) {
            (message, _) if header.is_control() => message,
            (Message::None, 0) | (Message::Passing | Message::Held, 1..) => return Err(WsError::Fragments),
            (Message::None, opcode) => {
                self.opcode = opcode;
                Message::Held
            }
            (message, _) => message,
        };
        // Parsing has consumed `partial` and the rest of the header from this piece.
        let from_piece = header.size.saturating_sub(self.partial.len());
        let held = self.raw.len().saturating_add(header.size);
        let fits = usize::try_from(header.length).is_ok_and(|n| {
            self.text.len().saturating_add(n) <= MAX_MESSAGE && held.saturating_add(n) <= MAX_HELD
        });
        if message == Message::Held && !header.is_control() && fits {
            self.raw.extend_from_slice(&self.partial);
            self.raw.extend_from_slice(out.rest().get(..from_piece).unwrap_or_default());
            self.partial.clear();
            out.skip(from_piece);
            self.message = Message::Held;
            let left = usize::try_from(header.length).unwrap_or(0);
            self.state = PayloadState::Holding { left, fin: header.fin, mask: header.mask, at: 0 };
            // An empty fragment has no byte that would follow later.
            return self.fragment_end(out);
        }
        if !header.is_control() {
            if self.message != Message::Passing {
                self.watch.restart();
                self.watch.push(self.text.iter().copied())?;
            }
            self.release(out);
            self.message = if header.fin { Message::None } else { Message::Passing };
        }
        out.insert(&self.partial);
        self.partial.clear();
        out.pass(from_piece);
        let data = (!header.is_control()).then_some((header.mask, 0));
        self.state = if header.length == 0 {
            PayloadState::Header
        } else {
            PayloadState::Passing { left: header.length, data }
        };
        Ok(())
    }

    /// If the held-back fragment is complete: continues or, after the last one, sends the message.
    fn fragment_end(&mut self, out: &mut Out) -> Result<(), WsError> {
        let PayloadState::Holding { left: 0, fin, mask, .. } = self.state else { return Ok(()) };
        self.state = PayloadState::Header;
        if !fin {
            return Ok(());
        }
        match auth_message::rewritten(&self.text, &mut self.swap)? {
            Some(text) => {
                self.raw.clear();
                self.text.clear();
                out.insert(&frame(self.opcode, &text, mask));
            }
            None => self.release(out),
        }
        self.message = Message::None;
        Ok(())
    }

    /// Sends what was held back, unchanged.
    fn release(&mut self, out: &mut Out) {
        out.insert(&self.raw);
        self.raw.clear();
        self.text.clear();
    }
}

/// The bytes of a payload, from offset `at`.
fn unmasked(part: &[u8], mask: [u8; 4], at: usize) -> impl Iterator<Item = u8> {
    let mut mask = mask;
    mask.rotate_left(at % 4);
    part.iter().zip(mask.into_iter().cycle()).map(|(b, m)| b ^ m)
}

/// A frame, complete and masked.
fn frame(opcode: u8, text: &str, mask: [u8; 4]) -> BytesMut {
    let mut out = BytesMut::with_capacity(text.len().saturating_add(MAX_HEADER));
    out.put_u8(0x80 | opcode);
    match (u8::try_from(text.len()), u16::try_from(text.len())) {
        (Ok(n @ 0..=125), _) => out.put_u8(0x80 | n),
        (_, Ok(n)) => {
            out.put_u8(0x80 | 126);
            out.put_u16(n);
        }
        _ => {
            out.put_u8(0x80 | 127);
            out.put_u64(text.len() as u64);
        }
    }
    out.extend_from_slice(&mask);
    out.extend(text.bytes().zip(mask.iter().cycle()).map(|(b, m)| b ^ m));
    out
}

/// The output for one piece. As long as it is one range of the piece itself, nothing is copied.
struct Out {
    piece: Bytes,
    /// Everything before has been read.
    at: usize,
    /// A range of the piece that goes out after `copied`.
    range: Range<usize>,
    copied: BytesMut,
}

impl Out {
    fn new(piece: Bytes) -> Self {
        Self { piece, at: 0, range: 0..0, copied: BytesMut::new() }
    }
    fn rest(&self) -> &[u8] {
        self.piece.get(self.at..).unwrap_or_default()
    }
    /// Sends the next `n` bytes.
    fn pass(&mut self, n: usize) {
        let end = self.at.saturating_add(n).min(self.piece.len());
        if self.range.end != self.at {
            self.flush();
        }
        if self.range.is_empty() {
            self.range.start = self.at;
        }
        self.range.end = end;
        self.at = end;
    }
    /// Drops the next `n` bytes.
    fn skip(&mut self, n: usize) {
        self.at = self.at.saturating_add(n).min(self.piece.len());
    }
    /// Sends other bytes here.
    fn insert(&mut self, bytes: &[u8]) {
        if !bytes.is_empty() {
            self.flush();
            self.copied.extend_from_slice(bytes);
        }
    }
    fn flush(&mut self) {
        let range = std::mem::replace(&mut self.range, 0..0);
        self.copied.extend_from_slice(self.piece.get(range).unwrap_or_default());
    }
    fn finish(mut self) -> Bytes {
        if self.copied.is_empty() {
            return self.piece.slice(self.range);
        }
        self.flush();
        self.copied.freeze()
    }
}

#[cfg(test)]
mod tests;
