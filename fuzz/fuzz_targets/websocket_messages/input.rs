//! What a client sends: fragmented messages, and the resulting stream of bytes.

use arbitrary::Arbitrary;
use wecom_gate::proxy::rewrite::token_swapper::MAX_MESSAGE;

#[derive(Debug, Arbitrary)]
pub(super) struct Input {
    messages: Vec<Message>,
    /// Lengths of the pieces, repeated.
    pub(super) pieces: Vec<u16>,
    /// A frame with arbitrary bytes, before this message.
    odd: Option<(u8, Vec<u8>)>,
    /// This many bytes are missing at the end.
    missing: u16,
}

#[derive(Debug, Arbitrary)]
struct Message {
    binary: bool,
    body: Body,
    /// Where fragments end.
    fragments: Vec<Fragment>,
    mask: [u8; 4],
    /// Lengths in a longer form than necessary: an error.
    long_form: bool,
}

#[derive(Debug, Arbitrary)]
struct Fragment {
    length: u16,
    mask: [u8; 4],
    /// Sent after the fragment.
    control: Option<(Control, Vec<u8>)>,
}

#[derive(Debug, Arbitrary)]
enum Control {
    Close,
    Ping,
    Pong,
}

#[derive(Debug, Arbitrary)]
enum Body {
    Auth {
        token: Token,
        style: Style,
        before: String,
        after: String,
    },
    Text(String),
    Bytes(Vec<u8>),
    /// About as long as the longest message that is parsed, with this in the middle.
    Long {
        around: i8,
        times: bool,
        middle: Middle,
        place: u16,
    },
}

#[derive(Debug, Arbitrary, Clone, Copy)]
enum Token {
    Phantom,
    Own,
    Foreign,
    Empty,
    Null,
    Missing,
    Number,
    List,
}

#[derive(Debug, Arbitrary)]
enum Style {
    Plain,
    Blanks,
    Escaped,
    TypeLast,
    TypeTwice,
    TokenTwice,
    TypeInList,
    Deep,
    HalfSurrogate,
}

#[derive(Debug, Arbitrary)]
enum Middle {
    Nothing,
    Name,
    Escape,
    Harmless,
}

impl Body {
    fn bytes(&self) -> Vec<u8> {
        match self {
            Body::Text(text) => text.clone().into_bytes(),
            Body::Bytes(bytes) => bytes.clone(),
            Body::Long { around, times, middle, place } => {
                let middle: &[u8] = match middle {
                    Middle::Nothing => b"",
                    Middle::Name => b"auth:token",
                    Middle::Escape => b"\\u0061",
                    Middle::Harmless => b"auth:tokem\\u4e2d\\u001f",
                };
                let length = MAX_MESSAGE.saturating_add_signed((*around).into()) * if *times { 3 } else { 1 };
                let mut text = vec![b'x'; length.saturating_sub(middle.len())];
                let place = usize::from(*place).min(text.len());
                text.splice(place..place, middle.iter().copied());
                text
            }
            Body::Auth { token, style, before, after } => {
                let token = match token {
                    Token::Phantom => "\"phantom\"",
                    Token::Own => "\"own\"",
                    Token::Foreign => "\"somebody else's\"",
                    Token::Empty => "\"\"",
                    Token::Null | Token::Missing => "null",
                    Token::Number => "17",
                    Token::List => "[\"own\"]",
                };
                let before = serde_json::to_string(before).unwrap_or_default();
                let after = serde_json::to_string(after).unwrap_or_default();
                let payload = format!(r#""payload":{{"authenticator":{after},"token":{token}}}"#);
                match style {
                    Style::Plain => format!(r#"{{"type":"auth:token",{payload},"x":{before}}}"#),
                    Style::Blanks => {
                        format!("\t\r\n {{ \"x\" : {before} , \"type\" : \"auth:token\" , {payload} }} ")
                    }
                    Style::Escaped => format!(r#"{{"type":"\u0061uth:tok\u0065n",{payload},"x":{before}}}"#),
                    Style::TypeLast => format!(r#"{{"x":{before},{payload},"type":"auth:token"}}"#),
                    Style::TypeTwice => format!(r#"{{"type":{before},{payload},"type":"auth:token"}}"#),
                    Style::TokenTwice => {
                        format!(r#"{{"type":"auth:token","payload":{{"token":{before},"token":{token}}}}}"#)
                    }
                    Style::TypeInList => format!(r#"{{"type":[["auth:token"]],{payload},"x":{before}}}"#),
                    Style::Deep => {
                        let (open, close) = ("[".repeat(200), "]".repeat(200));
                        format!(r#"{{"type":"auth:token",{payload},"x":{open}{close}}}"#)
                    }
                    Style::HalfSurrogate => format!(r#"{{"type":"auth:token",{payload},"x":"\ud800"}}"#),
                }
                .into_bytes()
            }
        }
    }
}

fn frame(first: u8, payload: &[u8], mask: [u8; 4], long_form: bool) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        n @ 0..=125 if !long_form => out.push(0x80 | n as u8),
        n @ 0..=0xffff if !long_form || n > 125 => {
            out.push(0x80 | 126);
            out.extend((n as u16).to_be_bytes());
        }
        n => {
            out.push(0x80 | 127);
            out.extend((n as u64).to_be_bytes());
        }
    }
    out.extend(mask);
    out.extend(payload.iter().enumerate().map(|(at, b)| b ^ mask[at % 4]));
    out
}

pub(super) fn stream(input: &Input) -> Vec<u8> {
    let mut out = Vec::new();
    for (number, message) in input.messages.iter().enumerate() {
        if let Some((before, bytes)) = &input.odd
            && usize::from(*before) == number
        {
            out.extend(bytes);
        }
        let body = message.body.bytes();
        let (mut rest, mut opcode) = (&body[..], if message.binary { 2 } else { 1 });
        for fragment in &message.fragments {
            let (part, after) = rest.split_at(usize::from(fragment.length).min(rest.len()));
            out.extend(frame(opcode, part, fragment.mask, false));
            (rest, opcode) = (after, 0);
            if let Some((control, payload)) = &fragment.control {
                let control = match control {
                    Control::Close => 0x88,
                    Control::Ping => 0x89,
                    Control::Pong => 0x8a,
                };
                out.extend(frame(control, payload, message.mask, false));
            }
        }
        out.extend(frame(0x80 | opcode, rest, message.mask, message.long_form));
    }
    out.truncate(out.len().saturating_sub(input.missing.into()));
    out
}
