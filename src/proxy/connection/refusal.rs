//! Pingora refuses some requests before any phase has seen them, with a response without a body. Here the client gets the gate's
//! response instead: JSON with a request id; and there is a log line.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header;

use crate::decide;
use crate::error::Failure;
use crate::metrics::Connections;
use crate::pages::{self, Lang};
use crate::proxy::request::request_id::RequestIds;

/// How much of a target is kept for the log, in bytes.
const TARGET: usize = 120;

/// Responds to requests that Pingora refuses, and counts them.
#[derive(Clone)]
pub(crate) struct Refusals {
    counts: Connections,
    request_ids: Arc<RequestIds>,
}

impl std::fmt::Debug for Refusals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refusals").finish_non_exhaustive()
    }
}

impl Refusals {
    /// With these counters and request ids.
    pub(crate) fn new(counts: Connections, request_ids: Arc<RequestIds>) -> Refusals {
        Refusals { counts, request_ids }
    }

    /// The response instead of Pingora's.
    pub(crate) fn respond(&self, theirs: &[u8], asked: &RequestName, client: Option<SocketAddr>) -> Bytes {
        self.counts.malformed();
        let (failure, reason) = match theirs.get(9..12) {
            Some(b"405") => (Failure::MethodNotAllowed, "Method Not Allowed"),
            _ => (Failure::BadRequest, "Bad Request"),
        };
        let id = self.request_ids.next();
        let id = id.to_str().unwrap_or_default();
        let response = failure.response();
        tracing::info!(target: "wecom_gate::proxy", event = "malformed", label = response.label,
            status = response.status, request_id = id, method = asked.method(), path = asked.path(),
            client = client.map(|c| c.to_string()),
            "the client did not send an HTTP request that the gate can read; the connection is closed");
        let rendered = pages::json_error(
            failure,
            &pages::message(failure, Lang::default(), pages::Appearance::plain()),
            None,
            None,
        );
        let mut out = format!("HTTP/1.1 {} {reason}\r\n", response.status);
        let mut line = |name: &str, value: &str| {
            out.push_str(name);
            out.push_str(": ");
            out.push_str(value);
            out.push_str("\r\n");
        };
        for (name, value) in &rendered.headers {
            line(name, value);
        }
        if failure == Failure::MethodNotAllowed {
            line(header::ALLOW.as_str(), decide::ANY_METHOD);
        }
        if let Some(date) = date(theirs) {
            line(header::DATE.as_str(), date);
        }
        line("x-request-id", id);
        line(header::CONTENT_LENGTH.as_str(), &rendered.body.len().to_string());
        line(header::CONNECTION.as_str(), "close");
        out.push_str("\r\n");
        if asked.method() != "HEAD" {
            out.push_str(&rendered.body);
        }
        Bytes::from(out)
    }
}

/// The date in Pingora's response.
fn date(theirs: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(theirs).ok()?;
    let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
    lines.find_map(|(name, value)| name.eq_ignore_ascii_case("date").then_some(value))
}

/// Method and path of the current request, shortened. Never a query (R27).
#[derive(Debug, Clone, Copy)]
pub(crate) struct RequestName {
    bytes: [u8; TARGET],
    method: usize,
    end: usize,
}

impl RequestName {
    /// No request yet.
    pub(crate) const NOTHING: RequestName = RequestName { bytes: [0; TARGET], method: 0, end: 0 };

    /// From a request line.
    pub(crate) fn new(method: &[u8], target: &[u8]) -> RequestName {
        let mut asked = RequestName::NOTHING;
        let kept = method.iter().take(20).chain(path(target));
        for (place, byte) in asked.bytes.iter_mut().zip(kept) {
            *place = *byte;
            asked.end += 1;
        }
        asked.method = method.len().min(20);
        asked
    }

    fn method(&self) -> String {
        self.bytes.get(..self.method).unwrap_or_default().escape_ascii().to_string()
    }

    fn path(&self) -> String {
        self.bytes.get(self.method..self.end).unwrap_or_default().escape_ascii().to_string()
    }
}

/// The target without its query, and without anything before the path, which may contain a password (`http://user:word@host/`).
fn path(target: &[u8]) -> &[u8] {
    let end = target.iter().position(|b| matches!(b, b'?' | b'#')).unwrap_or(target.len());
    let target = target.get(..end).unwrap_or_default();
    if target.first() == Some(&b'/') {
        return target;
    }
    let rest = match memchr::memmem::find(target, b"://") {
        Some(at) => target.get(at + 3..).unwrap_or_default(),
        None => target,
    };
    let slash = memchr::memchr(b'/', rest).unwrap_or(rest.len());
    let from =
        rest.get(..slash).and_then(|authority| memchr::memrchr(b'@', authority)).map_or(0, |at| at + 1);
    rest.get(from..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r27_only_the_path_is_remembered() {
        for (target, want) in [
            (&b"/a/b?token=x"[..], "/a/b"),
            (b"/a#token", "/a"),
            (b"http://user:word@gate.test/x?y", "gate.test/x"),
            (b"user:word@gate.test:443", "gate.test:443"),
            (b"*", "*"),
            ("/名\0".as_bytes(), "/\\xe5\\x90\\x8d\\x00"),
            (b"?x", ""),
        ] {
            let asked = RequestName::new(b"GET", target);
            assert_eq!((asked.method().as_str(), asked.path().as_str()), ("GET", want));
        }
        let long = RequestName::new(&b"X".repeat(100), &b"/".repeat(1000));
        assert_eq!((long.method().len(), long.path().len()), (20, TARGET - 20));
    }
}

#[cfg(test)]
mod responses;
