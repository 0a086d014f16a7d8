//! The responses that the gate sends itself, and the only code that writes them to a connection.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::pages::Rendered;
use crate::proxy::connection;
use crate::proxy::gate::Gate;
use crate::proxy::headers::REQUEST_ID;
use crate::proxy::request::client;

/// How long the rest of a request's body is read after the response, in total and between two pieces. If a connection is closed,
/// or a stream is reset, while the client is still sending, the response can get lost on its way.
const DRAIN_TIME: Duration = Duration::from_secs(15);
const DRAIN_SILENCE: Duration = Duration::from_secs(2);
/// Most bytes of a body that are written at once.
const PIECE: usize = 64 * 1024;

/// A response of the gate itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Reply {
    /// HTTP status.
    pub status: u16,
    /// All headers except framing and cookies.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A response without a body. Never cached: it depends on the user (R25).
    pub(crate) fn empty(status: u16) -> Reply {
        Reply { status, ..Reply::default() }.with(header::CACHE_CONTROL, "no-store")
    }

    /// A redirect with 302, so that no webview caches it.
    pub(crate) fn redirect(location: &str) -> Reply {
        Reply::empty(302).with(header::LOCATION, location).with(header::REFERRER_POLICY, "no-referrer")
    }

    /// JSON.
    pub(crate) fn json(status: u16, value: &serde_json::Value) -> Reply {
        let mut reply = Reply::empty(status)
            .with(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        reply.body = Bytes::from(value.to_string());
        reply
    }

    /// Adds a header; an invalid value is left out.
    pub(crate) fn with(mut self, name: HeaderName, value: &str) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds cookies.
    pub(crate) fn with_cookies(mut self, cookies: impl IntoIterator<Item = String>) -> Reply {
        self.cookies.extend(cookies);
        self
    }
}

/// Adds HSTS if the origin is https and this request was sent with TLS (RFC 6797, 7.2).
pub(crate) fn stay_with_https(gate: &Gate, session: &Session, reply: Reply) -> Reply {
    if gate.config.origin.https && !client::is_plain(gate, session) {
        reply.with(header::STRICT_TRANSPORT_SECURITY, "max-age=31536000")
    } else {
        reply
    }
}

impl From<Rendered> for Reply {
    fn from(page: Rendered) -> Reply {
        let reply = Reply { status: page.status, body: Bytes::from(page.body), ..Reply::default() };
        page.headers.into_iter().fold(reply, |reply, (name, value)| {
            match HeaderName::from_bytes(name.as_bytes()) {
                Ok(name) => reply.with(name, &value),
                Err(_) => reply,
            }
        })
    }
}

/// Writes the response, then reads what the client still sends. `close`: the connection is not reused (refused framing, upgrade
/// requests: R31).
///
/// # Errors
/// If the client has disconnected.
pub(crate) async fn send(
    session: &mut Session,
    reply: Reply,
    request_id: &HeaderValue,
    close: bool,
) -> Result<()> {
    let upgrade = session.is_upgrade_req();
    if close || upgrade || connection::is_pipelined(session) {
        session.set_keepalive(None);
    }
    write(session, reply, request_id).await.map_err(|e| e.into_down())?;
    if !upgrade && !session.as_downstream_mut().is_body_done() {
        drain(session).await;
    }
    Ok(())
}

async fn write(session: &mut Session, reply: Reply, request_id: &HeaderValue) -> Result<()> {
    let mut head = ResponseHeader::build(reply.status, Some(reply.headers.len() + reply.cookies.len() + 3))?;
    for (name, value) in reply.headers {
        head.append_header(name, value)?;
    }
    for cookie in reply.cookies {
        head.append_header(header::SET_COOKIE, cookie)?;
    }
    head.insert_header(REQUEST_ID, request_id)?;
    let bodyless = matches!(reply.status, 204 | 304);
    if !bodyless {
        head.insert_header(header::CONTENT_LENGTH, reply.body.len())?;
    }
    let no_body = bodyless || reply.body.is_empty() || session.req_header().method == http::Method::HEAD;
    session.write_response_header(Box::new(head), no_body).await?;
    let mut rest = reply.body;
    while !no_body && !rest.is_empty() {
        // In pieces, because the time limit applies to each write, and a large file takes long on a slow connection.
        let piece = rest.split_to(rest.len().min(PIECE));
        session.write_response_body(Some(piece), rest.is_empty()).await?;
    }
    Ok(())
}

async fn drain(session: &mut Session) {
    if !session.is_http2() {
        // The client sees at once that the response is complete: a body that it has announced may never follow.
        session.as_downstream_mut().shutdown().await;
    }
    let all = async {
        while let Ok(Ok(Some(_))) = tokio::time::timeout(DRAIN_SILENCE, session.read_request_body()).await {}
    };
    // A timeout only means that this response may get lost.
    let _ = tokio::time::timeout(DRAIN_TIME, all).await;
}
