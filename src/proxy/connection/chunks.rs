//! Follows the bytes of a request: has more arrived than its chunked body?
//!
//! Pingora does not show what it has read beyond such a body, and the response must announce that the next request will not be
//! served (RFC 9112, 9.3.2 and 9.6). No decision depends on what is parsed here: Pingora refuses invalid chunks.

use memchr::memmem;

/// Ends the head, and the trailers.
const END_OF_LINES: &[u8] = b"\n\r\n";

/// The position in the request. A body without chunks is parsed as if it had some; the result is then meaningless.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Chunks {
    /// In the head, or in the trailers after the last chunk: this many bytes of [`END_OF_LINES`] have been matched.
    Lines { matched: u8, last: bool },
    /// In a chunk's size or, if `over`, in the rest of that line.
    Size { size: u64, digits: u8, over: bool },
    /// This many bytes of a chunk and its line end are still to come.
    Data(u64),
    /// The body has ended; whether more has arrived.
    Ended { more: bool },
    /// These are not chunks.
    Lost,
}

impl Chunks {
    /// At the beginning of a request.
    pub(super) const BEGIN: Chunks = Chunks::Lines { matched: 0, last: false };

    const SIZE: Chunks = Chunks::Size { size: 0, digits: 0, over: false };

    /// The body has ended, and more bytes have arrived after it.
    pub(super) fn is_followed(self) -> bool {
        self == Chunks::Ended { more: true }
    }

    /// Reads the next bytes.
    pub(super) fn push(&mut self, mut bytes: &[u8]) {
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = rest;
            *self = match *self {
                Chunks::Lost | Chunks::Ended { more: true } => return,
                Chunks::Ended { .. } => Chunks::Ended { more: true },
                Chunks::Lines { matched: 0, last } if byte != b'\n' => {
                    // Most heads arrive in one piece.
                    match memmem::find(rest, END_OF_LINES) {
                        Some(at) => {
                            bytes = rest.get(at + END_OF_LINES.len()..).unwrap_or_default();
                            Chunks::after_lines(last)
                        }
                        None => {
                            bytes = &[];
                            Chunks::Lines { matched: matched_at_end(rest), last }
                        }
                    }
                }
                Chunks::Lines { matched, last } => match END_OF_LINES.get(usize::from(matched)) {
                    Some(due) if *due == byte && usize::from(matched) + 1 == END_OF_LINES.len() => {
                        Chunks::after_lines(last)
                    }
                    Some(due) if *due == byte => Chunks::Lines { matched: matched + 1, last },
                    _ => Chunks::Lines { matched: u8::from(byte == b'\n'), last },
                },
                Chunks::Size { size, digits, over } => size_line(byte, size, digits, over),
                Chunks::Data(left) => {
                    // This byte is one of them.
                    let now = usize::try_from(left.saturating_sub(1)).unwrap_or(usize::MAX).min(rest.len());
                    bytes = rest.get(now..).unwrap_or_default();
                    match left.saturating_sub(1).saturating_sub(now as u64) {
                        0 => Chunks::SIZE,
                        left => Chunks::Data(left),
                    }
                }
            };
        }
    }

    fn after_lines(last: bool) -> Chunks {
        if last { Chunks::Ended { more: false } } else { Chunks::SIZE }
    }
}

fn size_line(byte: u8, size: u64, digits: u8, over: bool) -> Chunks {
    match (byte, char::from(byte).to_digit(16)) {
        (b'\n', _) if digits == 0 => Chunks::Lost,
        // The trailers begin as if a line had just ended.
        (b'\n', _) if size == 0 => Chunks::Lines { matched: 1, last: true },
        (b'\n', _) => Chunks::Data(size.saturating_add(2)),
        (_, Some(digit)) if !over && digits < 16 => {
            Chunks::Size { size: (size << 4) | u64::from(digit), digits: digits + 1, over }
        }
        _ if digits > 0 => Chunks::Size { size, digits, over: true },
        _ => Chunks::Lost,
    }
}

/// How much of [`END_OF_LINES`] these bytes end with.
fn matched_at_end(bytes: &[u8]) -> u8 {
    match bytes {
        [.., b'\n', b'\r'] => 2,
        [.., b'\n'] => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";

    #[test]
    fn r28_what_follows_a_chunked_body_is_seen_however_it_is_cut() {
        for (body, whole) in [
            ("0\r\n\r\n", true),
            ("5\r\nhello\r\n0\r\n\r\n", true),
            ("5;a=b\r\nhello\r\n000;c\r\n\r\n", true),
            ("00000A\r\n0\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n", true),
            ("1f\r\n0123456789012345678901234567890\r\n0\r\nA: b\r\nC: d\r\n\r\n", true),
            ("5\r\nhello\r\n0\r\nA: b\r\n", false),
            ("5\r\nhello\r\n0\r\n", false),
            ("5\r\nhel", false),
            ("ffffffffffffffff\r\nhello\r\n0\r\n\r\n", false),
            ("ffffffffffffffffffff\r\nhello\r\n0\r\n\r\n", false),
            ("x\r\nhello\r\n0\r\n\r\n", false),
            ("\r\nhello\r\n0\r\n\r\n", false),
        ] {
            for (next, some) in [("", false), ("G", true), ("GET / HTTP/1.1\r\n\r\n", true), ("\r\n", true)] {
                let bytes = format!("{HEAD}{body}{next}").into_bytes();
                for size in 1..=bytes.len() {
                    let mut chunks = Chunks::BEGIN;
                    bytes.chunks(size).for_each(|piece| chunks.push(piece));
                    assert_eq!(chunks.is_followed(), whole && some, "{body:?} {next:?} in pieces of {size}");
                }
            }
        }
    }

    #[test]
    fn heads_that_are_cut_anywhere_end_where_they_end() {
        for head in ["A\r\n\r\n", "A\r\nB: \r\r\n\r\n", "\n\n\r\n", "A\n\r\n", "\r\n\r\n"] {
            for cut in 0..head.len() {
                let mut chunks = Chunks::BEGIN;
                chunks.push(&head.as_bytes()[..cut]);
                assert!(matches!(chunks, Chunks::Lines { last: false, .. }), "{head:?} {cut}: {chunks:?}");
                chunks.push(&head.as_bytes()[cut..]);
                assert_eq!(chunks, Chunks::SIZE, "{head:?} {cut}");
            }
        }
    }
}
