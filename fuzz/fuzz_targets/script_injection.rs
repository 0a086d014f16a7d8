//! The script in pages: it is inserted once at most, at the place given by HTML's own tokenization, nothing else changes, and the
//! boundaries of the pieces make no difference.
#![no_main]

use arbitrary::Arbitrary;
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use wecom_gate::proxy::rewrite::script_injector::{Injector, LIMIT};

/// Unlike anything in a page: no input may contain it by chance.
const TAG: &[u8] = b"<script src=\"/.wecom-gate/gate-1f0c9d.js\"></script>";

#[derive(Debug, Arbitrary)]
struct Input {
    parts: Vec<Part>,
    /// Lengths of the pieces; the rest is one piece. Zero is one too.
    pieces: Vec<u16>,
    /// Before this part, if it exists, enough text that the next place is this many bytes from the limit.
    pad: (u8, u8),
    /// The end is reported with the last bytes, or in an empty piece.
    end_alone: bool,
}

#[derive(Debug, Arbitrary)]
enum Part {
    Comment {
        body: Vec<CommentPart>,
        end: CommentEnd,
    },
    Declaration(Vec<u8>),
    Instruction(Vec<u8>),
    Tag {
        end: bool,
        name: Name,
        attributes: Vec<Attribute>,
        closed: Closed,
    },
    Text(Vec<u8>),
    /// A byte order mark.
    ByteOrderMark,
}

#[derive(Debug, Arbitrary)]
enum CommentPart {
    Dash,
    Greater,
    Bang,
    Less,
    Head,
    Byte(u8),
}

#[derive(Debug, Arbitrary)]
enum CommentEnd {
    Usual,
    Bang,
    None,
}

#[derive(Debug, Arbitrary)]
enum Closed {
    Usual,
    Itself,
    Not,
}

#[derive(Debug, Arbitrary)]
enum Name {
    Head,
    Html,
    Body,
    Script,
    Meta,
    Noscript,
    Header,
    Scripts,
    Other(Vec<u8>),
}

#[derive(Debug, Arbitrary)]
struct Attribute {
    space: Space,
    name: Vec<u8>,
    equals: Option<(Space, Space)>,
    value: Value,
}

#[derive(Debug, Arbitrary)]
enum Space {
    None,
    Blank,
    Line,
    Slash,
}

#[derive(Debug, Arbitrary)]
enum Value {
    None,
    Double(Vec<u8>),
    Single(Vec<u8>),
    Bare(Vec<u8>),
    /// A quote that is never closed.
    Open(Vec<u8>),
}

/// Alternating upper and lower case, which names ignore.
fn mixed(name: &str, turn: usize) -> Vec<u8> {
    name.bytes()
        .enumerate()
        .map(|(at, b)| if (at + turn) % 3 == 0 { b.to_ascii_uppercase() } else { b })
        .collect()
}

/// Text with much HTML markup.
fn dense(bytes: &[u8]) -> Vec<u8> {
    const MARKS: [&[u8]; 16] = [
        b"<", b">", b"=", b"\"", b"'", b"/", b" ", b"\n", b"-", b"!", b"?", b"a", b"<head>", b"<head",
        b"=\"", b"<!--",
    ];
    bytes
        .iter()
        .flat_map(|b| if *b < 0xc0 { MARKS[usize::from(b % 16)].to_vec() } else { vec![*b] })
        .collect()
}

fn space(space: &Space) -> &'static [u8] {
    match space {
        Space::None => b"",
        Space::Blank => b" ",
        Space::Line => b"\r\n\t",
        Space::Slash => b"/",
    }
}

impl Part {
    fn write(&self, turn: usize, page: &mut Vec<u8>) {
        match self {
            Part::Comment { body, end } => {
                page.extend_from_slice(b"<!--");
                for part in body {
                    match part {
                        CommentPart::Dash => page.push(b'-'),
                        CommentPart::Greater => page.push(b'>'),
                        CommentPart::Bang => page.push(b'!'),
                        CommentPart::Less => page.extend_from_slice(b"<!--"),
                        CommentPart::Head => page.extend_from_slice(b"<head>"),
                        CommentPart::Byte(b) => page.push(*b),
                    }
                }
                page.extend_from_slice(match end {
                    CommentEnd::Usual => b"-->",
                    CommentEnd::Bang => b"--!>",
                    CommentEnd::None => b"",
                });
            }
            Part::Declaration(body) => page.extend([&b"<!"[..], &dense(body), b">"].concat()),
            Part::Instruction(body) => page.extend([&b"<?"[..], &dense(body), b">"].concat()),
            Part::Tag { end, name, attributes, closed } => {
                page.extend_from_slice(if *end { b"</" } else { b"<" });
                match name {
                    Name::Head => page.extend(mixed("head", turn)),
                    Name::Html => page.extend(mixed("html", turn)),
                    Name::Body => page.extend(mixed("body", turn)),
                    Name::Script => page.extend(mixed("script", turn)),
                    Name::Meta => page.extend(mixed("meta", turn)),
                    Name::Noscript => page.extend(mixed("noscript", turn)),
                    Name::Header => page.extend(mixed("header", turn)),
                    Name::Scripts => page.extend(mixed("scripts", turn)),
                    Name::Other(name) => page.extend(dense(name)),
                }
                for attribute in attributes {
                    page.extend_from_slice(space(&attribute.space));
                    page.extend(dense(&attribute.name));
                    if let Some((before, after)) = &attribute.equals {
                        page.extend_from_slice(space(before));
                        page.push(b'=');
                        page.extend_from_slice(space(after));
                    }
                    match &attribute.value {
                        Value::None => {}
                        Value::Double(text) => page.extend([b"\"", &dense(text)[..], b"\""].concat()),
                        Value::Single(text) => page.extend([b"'", &dense(text)[..], b"'"].concat()),
                        Value::Bare(text) => page.extend(dense(text)),
                        Value::Open(text) => page.extend([b"\"", &dense(text)[..]].concat()),
                    }
                }
                page.extend_from_slice(match closed {
                    Closed::Usual => b">",
                    Closed::Itself => b"/>",
                    Closed::Not => b"",
                });
            }
            Part::Text(text) => page.extend(dense(text)),
            Part::ByteOrderMark => page.extend_from_slice("\u{feff}".as_bytes()),
        }
    }
}

/// States of a tokenizer, after WHATWG HTML, section 13.2.5; states that do not differ here are merged.
enum TokenizerState {
    Data,
    TagOpen,
    EndTagOpen,
    TagName,
    BeforeName,
    AttributeName,
    AfterName,
    BeforeValue,
    Quoted(u8),
    Bare,
    Markup,
    MarkupDash,
    Bogus,
    CommentStart,
    CommentStartDash,
    Comment,
    CommentEndDash,
    CommentEnd,
    CommentEndBang,
}

/// Where the script belongs: after the first `<head>`, or before the first element that HTML puts into an implied head.
fn place(page: &[u8]) -> Option<usize> {
    use TokenizerState::*;
    let (mut state, mut start, mut end_tag, mut name) = (Data, 0, false, Vec::new());
    let space = |b: u8| matches!(b, b'\t' | b'\n' | b'\x0c' | b'\r' | b' ');
    let mut at = 0;
    while let Some(&b) = page.get(at) {
        at += 1;
        let in_tag = matches!(state, TagName | BeforeName | AttributeName | AfterName | BeforeValue | Bare);
        if in_tag && b == b'>' {
            if !end_tag {
                match &name.to_ascii_lowercase()[..] {
                    b"head" => return Some(at),
                    b"script" | b"meta" | b"title" | b"link" | b"style" | b"base" | b"noscript"
                    | b"template" => {
                        return Some(start);
                    }
                    _ => {}
                }
            }
            state = Data;
            continue;
        }
        state = match state {
            Data if b == b'<' => {
                (start, end_tag) = (at - 1, false);
                name.clear();
                TagOpen
            }
            Data => Data,
            TagOpen => match b {
                b'!' => Markup,
                b'?' => Bogus,
                b'/' => EndTagOpen,
                _ if b.is_ascii_alphabetic() => {
                    name.push(b);
                    TagName
                }
                _ => {
                    at -= 1;
                    Data
                }
            },
            EndTagOpen => match b {
                b'>' => Data,
                _ if b.is_ascii_alphabetic() => {
                    end_tag = true;
                    TagName
                }
                _ => Bogus,
            },
            TagName if space(b) || b == b'/' => BeforeName,
            TagName => {
                name.push(b);
                TagName
            }
            BeforeName if space(b) || b == b'/' => BeforeName,
            BeforeName => AttributeName,
            AttributeName | AfterName if b == b'/' => BeforeName,
            AttributeName | AfterName if b == b'=' => BeforeValue,
            AttributeName | AfterName if space(b) => AfterName,
            AttributeName | AfterName => AttributeName,
            BeforeValue if space(b) => BeforeValue,
            BeforeValue if b == b'"' || b == b'\'' => Quoted(b),
            BeforeValue => Bare,
            Quoted(quote) if b == quote => BeforeName,
            Quoted(quote) => Quoted(quote),
            Bare if space(b) => BeforeName,
            Bare => Bare,
            Markup if b == b'-' => MarkupDash,
            MarkupDash if b == b'-' => CommentStart,
            Markup | MarkupDash | Bogus if b == b'>' => Data,
            Markup | MarkupDash | Bogus => Bogus,
            CommentStart if b == b'-' => CommentStartDash,
            CommentStartDash if b == b'-' => CommentEnd,
            CommentStart | CommentStartDash if b == b'>' => Data,
            Comment | CommentStart | CommentStartDash => {
                if b == b'-' {
                    CommentEndDash
                } else {
                    Comment
                }
            }
            CommentEndDash if b == b'-' => CommentEnd,
            CommentEndDash => Comment,
            CommentEnd => match b {
                b'>' => Data,
                b'!' => CommentEndBang,
                b'-' => CommentEnd,
                _ => Comment,
            },
            CommentEndBang => match b {
                b'>' => Data,
                b'-' => CommentEndDash,
                _ => Comment,
            },
        };
    }
    None
}

fn run(page: &[u8], pieces: &[u16], end_alone: bool) -> (Vec<u8>, bool) {
    let mut injector = Injector::new(Bytes::from_static(TAG));
    let (mut out, mut rest) = (Vec::new(), page);
    for length in pieces {
        let (piece, after) = rest.split_at(usize::from(*length).min(rest.len()));
        out.extend(injector.push(Bytes::copy_from_slice(piece), false));
        rest = after;
    }
    if end_alone {
        out.extend(injector.push(Bytes::copy_from_slice(rest), false));
        rest = &[];
    }
    out.extend(injector.push(Bytes::copy_from_slice(rest), true));
    (out, injector.found_no_head())
}

fn same(found: &[u8], expected: &[u8]) {
    assert!(
        found == expected,
        "{:?}\n{:?}",
        String::from_utf8_lossy(found),
        String::from_utf8_lossy(expected)
    );
}

fuzz_target!(|input: Input| {
    let mut page = Vec::new();
    for (turn, part) in input.parts.iter().enumerate() {
        if usize::from(input.pad.0) == turn {
            page.resize(page.len().max(LIMIT - usize::from(input.pad.1)), b' ');
        }
        part.write(turn, &mut page);
    }
    let (whole, missed) = run(&page, &[], false);
    // Only the beginning is searched.
    let expected = match place(&page[..page.len().min(LIMIT)]) {
        Some(place) => [&page[..place], TAG, &page[place..]].concat(),
        None => page.clone(),
    };
    same(&whole, &expected);
    assert_eq!(missed, whole.len() == page.len() && !page.is_empty());
    let (pieces, missed_in_pieces) = run(&page, &input.pieces, input.end_alone);
    same(&pieces, &whole);
    assert_eq!(missed_in_pieces, missed);
});
