//! The request line, before Pingora parses it.
//!
//! Programs send `?filter={"id":1}` unencoded, and NocoBase's server (Node.js) accepts it; Pingora's parser does not. Characters
//! that RFC 3986 does not allow in a query, and that have no meaning there, are percent-encoded here, so that what is decided on
//! is what is forwarded (R1). Path, spaces and control characters stay as they are, and are refused as before.

use std::ops::Range;

use bytes::BytesMut;

use crate::decide::query;

/// Longest line that is waited for, in bytes. A longer one is passed on as it is.
const MAX_LENGTH: usize = 64 * 1024;

/// What is known about the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum RequestLine {
    /// The target may continue.
    Incomplete,
    /// Method and target are there, or this is no request line.
    Complete {
        /// Position of the method.
        method: Range<usize>,
        /// Position of the target.
        target: Range<usize>,
    },
}

/// Parses as much of the line as there is.
pub(super) fn read(bytes: &[u8]) -> RequestLine {
    let skipped = bytes.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let end_of_word = |from: usize| {
        let rest = bytes.get(from..).unwrap_or_default();
        rest.iter().position(|b| *b <= b' ').map(|n| from + n)
    };
    let nothing = RequestLine::Complete { method: 0..0, target: 0..0 };
    let Some(end_of_method) = end_of_word(skipped) else {
        let letters =
            bytes.iter().skip(skipped).all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(b));
        return if letters && bytes.len() < MAX_LENGTH { RequestLine::Incomplete } else { nothing };
    };
    if bytes.get(end_of_method) != Some(&b' ') {
        return nothing;
    }
    let (method, start) = (skipped..end_of_method, end_of_method + 1);
    match end_of_word(start) {
        Some(end) => RequestLine::Complete { method, target: start..end },
        None if bytes.len() < MAX_LENGTH => RequestLine::Incomplete,
        None => RequestLine::Complete { method, target: start..bytes.len() },
    }
}

/// Encodes what has to be encoded in this target's query.
pub(super) fn encode_query(bytes: BytesMut, target: Range<usize>) -> BytesMut {
    let whole = bytes.get(target.clone()).unwrap_or_default();
    let Some(mark) = memchr::memchr(b'?', whole) else { return bytes };
    let query = whole.get(mark..).unwrap_or_default();
    let count = query.iter().filter(|b| query::is_foreign(**b)).count();
    if count == 0 {
        return bytes;
    }
    let mut out = BytesMut::with_capacity(bytes.len() + 2 * count);
    let start = target.start + mark;
    out.extend_from_slice(bytes.get(..start).unwrap_or_default());
    out.extend(query::encoded(query));
    out.extend_from_slice(bytes.get(target.end..).unwrap_or_default());
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(line: &[u8]) -> String {
        let RequestLine::Complete { target, .. } = read(line) else { return "incomplete".into() };
        String::from_utf8_lossy(&encode_query(BytesMut::from(line), target)).into_owned()
    }

    #[test]
    fn r01_only_the_query_is_encoded() {
        for (line, want) in [
            (r#"GET /x?filter={"id":1} HTTP/1.1"#, "GET /x?filter=%7B%22id%22:1%7D HTTP/1.1"),
            ("GET /x?a=<b>|^` HTTP/1.1", "GET /x?a=%3Cb%3E%7C%5E%60 HTTP/1.1"),
            ("\r\nGET /x?名 HTTP/1.1", "\r\nGET /x?%E5%90%8D HTTP/1.1"),
            ("GET /x?a%7B?b\" HTTP/1.1", "GET /x?a%7B?b%22 HTTP/1.1"),
            ("GET http://a/x?\" HTTP/1.1", "GET http://a/x?%22 HTTP/1.1"),
            // No query, or no longer in the query.
            ("GET /\"{名 HTTP/1.1", "GET /\"{名 HTTP/1.1"),
            ("GET /x?a \"b HTTP/1.1", "GET /x?a \"b HTTP/1.1"),
            ("GET /x?a\t\" HTTP/1.1", "GET /x?a\t\" HTTP/1.1"),
            ("GET /x?a\r\nX: \"{", "GET /x?a\r\nX: \"{"),
            ("GET /x HTTP/1.1\r\nA: ?\"", "GET /x HTTP/1.1\r\nA: ?\""),
            // Not a request line.
            ("GET\t/x?\" HTTP/1.1", "GET\t/x?\" HTTP/1.1"),
            ("\u{16}\u{3}\u{1}?\" ", "\u{16}\u{3}\u{1}?\" "),
            ("?\"\r\n", "?\"\r\n"),
        ] {
            assert_eq!(encoded(line.as_bytes()), want);
        }
    }

    #[test]
    fn a_line_is_waited_for_as_long_as_it_may_be_one() {
        for more in ["", "\r\n", "G", "GET", "GET ", "GET /", "GET /x?{", "GET /x?a%"] {
            assert_eq!(read(more.as_bytes()), RequestLine::Incomplete, "{more}");
        }
        for enough in ["GET / ", "GET /x\r", "GET\r\n", "\u{16}\u{3}\u{1}", "G(T", "GET /x?\0"] {
            assert_ne!(read(enough.as_bytes()), RequestLine::Incomplete, "{enough}");
        }
        let long = format!("GET /x?{}", "{".repeat(MAX_LENGTH));
        assert!(encoded(long.as_bytes()).ends_with("%7B%7B"));
    }
}

#[cfg(test)]
mod lengths;
