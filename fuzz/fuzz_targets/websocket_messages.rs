//! The token replacement in WebSockets against a simple model that reads whole frames: fragments, control frames between them,
//! sizes, masks and the boundaries of pieces make no difference; only the token of `auth:token` changes.
#![no_main]

#[path = "websocket_messages/input.rs"]
mod input;

use bytes::Bytes;
use input::{Input, stream};
use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use wecom_gate::proxy::rewrite::auth_message::TokenVerdict;
use wecom_gate::proxy::rewrite::token_swapper::{MAX_MESSAGE, Swapper, WsError};

fn verdict(token: &str) -> TokenVerdict {
    match token {
        "phantom" => TokenVerdict::Replace("the real one".to_owned()),
        "own" => TokenVerdict::Keep,
        _ => TokenVerdict::Refuse,
    }
}

/// A frame of the stream; part of the last one's payload may be missing.
struct Frame<'a> {
    whole: &'a [u8],
    header: usize,
    opcode: u8,
    fin: bool,
    /// As stated in its header.
    length: u64,
    /// The part that is present.
    payload: Vec<u8>,
}

/// RFC 6455, section 5.2, one whole frame at a time; `None`: not even the header is complete.
fn read(bytes: &[u8]) -> Result<Option<Frame<'_>>, WsError> {
    let Some(first) = bytes.first() else { return Ok(None) };
    let (fin, opcode) = (first >> 7 == 1, first & 15);
    if first >> 4 & 7 != 0 || ![0, 1, 2, 8, 9, 10].contains(&opcode) {
        return Err(WsError::Reserved);
    }
    let Some(second) = bytes.get(1) else { return Ok(None) };
    if second >> 7 == 0 {
        return Err(WsError::Unmasked);
    }
    let short = second & 127;
    if opcode >= 8 && (short > 125 || !fin) {
        return Err(WsError::Control);
    }
    let (length, mask_at) = match short {
        126 => {
            let Some([a, b]) = bytes.get(2..4) else { return Ok(None) };
            (u64::from(u16::from_be_bytes([*a, *b])), 4)
        }
        127 => {
            let Some(digits) = bytes.get(2..10) else { return Ok(None) };
            (u64::from_be_bytes(digits.try_into().expect("eight")), 10)
        }
        n => (u64::from(n), 2),
    };
    let shortest = match length {
        0..=125 => 2,
        126..=0xffff => 4,
        _ => 10,
    };
    if mask_at != shortest || length >> 63 == 1 {
        return Err(WsError::Length);
    }
    let header = mask_at + 4;
    let Some(mask) = bytes.get(mask_at..header) else { return Ok(None) };
    let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(header).min(bytes.len());
    let payload = bytes[header..end].iter().enumerate().map(|(at, b)| b ^ mask[at % 4]).collect();
    Ok(Some(Frame { whole: &bytes[..end], header, opcode, fin, length, payload }))
}

fn may_name(text: &[u8]) -> bool {
    text.windows(10).any(|w| w == b"auth:token")
        || text.windows(5).any(|w| w.starts_with(b"\\u00") && (b'2'..=b'7').contains(&w[4]))
}

fn contains_name(value: &Value) -> bool {
    match value {
        Value::String(text) => text.contains("auth:token"),
        Value::Array(all) => all.iter().any(contains_name),
        Value::Object(all) => all.values().any(contains_name),
        _ => false,
    }
}

/// What is forwarded instead of a whole message, if anything.
fn replaced(text: &[u8]) -> Result<Option<Value>, WsError> {
    if !may_name(text) {
        return Ok(None);
    }
    let Ok(mut message) = serde_json::from_slice::<Value>(text) else {
        let begins = text.iter().copied().find(|b| !b.is_ascii_whitespace());
        return if begins == Some(b'{') { Err(WsError::HiddenToken) } else { Ok(None) };
    };
    match &message["type"] {
        Value::String(name) if name == "auth:token" => {}
        // NocoBase converts a list to one string.
        kind @ (Value::Array(_) | Value::Object(_)) if contains_name(kind) => {
            return Err(WsError::HiddenToken);
        }
        _ => return Ok(None),
    }
    let Some(token) = message.pointer_mut("/payload/token") else { return Ok(None) };
    let instead = match &*token {
        Value::Null => return Ok(None),
        Value::String(text) if text.is_empty() => return Ok(None),
        Value::String(text) => match verdict(text) {
            TokenVerdict::Keep => return Ok(None),
            TokenVerdict::Replace(new) => Value::String(new),
            TokenVerdict::Refuse => Value::Null,
        },
        _ => Value::Null,
    };
    *token = instead;
    Ok(Some(message))
}

/// What the server gets.
#[derive(Debug, PartialEq)]
enum Sent {
    Bytes(Vec<u8>),
    /// A message in one frame: type and content.
    Message(u8, Value),
}

/// The output for the stream, and the error that ends it.
fn model(mut bytes: &[u8]) -> (Vec<Sent>, Option<WsError>) {
    // The current message: its opcode, its frames, its payload, and whether it is held back.
    let mut message: Option<(u8, Vec<u8>, Vec<u8>, bool)> = None;
    let mut out = Vec::new();
    loop {
        let frame = match read(bytes) {
            Ok(Some(frame)) => frame,
            Ok(None) => return (out, None),
            Err(why) => return (out, Some(why)),
        };
        bytes = &bytes[frame.whole.len()..];
        if frame.opcode >= 8 {
            out.push(Sent::Bytes(frame.whole.to_vec()));
            continue;
        }
        let (opcode, mut frames, mut payload, mut held) = match (frame.opcode, message.take()) {
            (0, Some(message)) => message,
            (1 | 2, None) => (frame.opcode, Vec::new(), Vec::new(), true),
            _ => return (out, Some(WsError::Fragments)),
        };
        let fits = (payload.len() as u64).saturating_add(frame.length) <= MAX_MESSAGE as u64
            && ((frames.len() + frame.header) as u64).saturating_add(frame.length) <= 2 * MAX_MESSAGE as u64;
        let complete = frame.payload.len() as u64 == frame.length;
        payload.extend(&frame.payload);
        if held && fits {
            frames.extend(frame.whole);
            if !complete {
                return (out, None);
            }
            if frame.fin {
                match replaced(&payload) {
                    Ok(Some(new)) => out.push(Sent::Message(opcode, new)),
                    Ok(None) => out.push(Sent::Bytes(frames)),
                    Err(why) => return (out, Some(why)),
                }
                continue;
            }
        } else {
            held = false;
            if may_name(&payload) {
                return (out, Some(WsError::HiddenToken));
            }
            frames.extend(frame.whole);
            out.push(Sent::Bytes(std::mem::take(&mut frames)));
            if !complete {
                return (out, None);
            }
            if frame.fin {
                continue;
            }
        }
        message = Some((opcode, frames, payload, held));
    }
}

fn run(bytes: &[u8], pieces: &[u16]) -> (Vec<u8>, Option<WsError>) {
    let mut swapper = Swapper::new(verdict);
    let (mut out, mut rest) = (Vec::new(), bytes);
    let mut lengths =
        pieces.iter().map(|n| usize::from(*n)).filter(|n| *n > 0).collect::<Vec<_>>().into_iter().cycle();
    while !rest.is_empty() {
        let (piece, after) = rest.split_at(lengths.next().unwrap_or(usize::MAX).min(rest.len()));
        match swapper.push(Bytes::copy_from_slice(piece)) {
            Ok(sent) => out.extend_from_slice(&sent),
            Err(why) => {
                assert!(swapper.push(Bytes::from_static(b"x")).is_err(), "continues after an error");
                return (out, Some(why));
            }
        }
        rest = after;
    }
    (out, None)
}

/// Removes what the model expects from the beginning of the output; `false`: the output contains only a prefix of it.
fn compare(out: &mut &[u8], expected: &Sent) -> bool {
    match expected {
        Sent::Bytes(expected) => {
            let n = expected.len().min(out.len());
            assert_eq!(out[..n], expected[..n]);
            *out = &out[n..];
            n == expected.len()
        }
        Sent::Message(opcode, expected) => {
            if out.is_empty() {
                return false;
            }
            let frame = read(out).expect("a frame").expect("a whole frame");
            assert_eq!((frame.opcode, frame.fin, frame.length), (*opcode, true, frame.payload.len() as u64));
            assert_eq!(serde_json::from_slice::<Value>(&frame.payload).expect("JSON"), *expected);
            *out = &out[frame.whole.len()..];
            true
        }
    }
}

fuzz_target!(|input: Input| {
    let bytes = stream(&input);
    if bytes.len() > 300_000 {
        return;
    }
    let (expected, ends) = model(&bytes);
    for pieces in [&[][..], &input.pieces] {
        let (out, error) = run(&bytes, pieces);
        assert_eq!(error, ends);
        let mut out = &out[..];
        let whole = expected.iter().all(|expected| compare(&mut out, expected));
        // Bytes that arrived in one piece with an error are not sent; part of a message that is too long may have been.
        if error.is_none() {
            assert!(whole, "something is missing");
            assert!(out.is_empty(), "{} bytes that were never sent", out.len());
        }
    }
});
