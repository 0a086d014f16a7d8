//! The responses that the gate sends itself, and the one way in which they are written to a connection.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, header};
use pingora::Result;
use pingora::http::ResponseHeader;
use pingora::proxy::Session;

use crate::pages::Rendered;
use crate::proxy::gate::Gate;
use crate::proxy::headers::REQUEST_ID;

/// How much of an unread request body is taken in before an HTTP/2 response, and for how long: with more than one
/// window unread, Pingora would reset the stream and the response would be lost.
const DRAIN_BYTES: usize = 8 << 20;
const DRAIN_TIME: Duration = Duration::from_secs(5);

/// A response of the gate itself.
#[derive(Debug, Clone, Default)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Everything but framing and cookies.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
    /// The body.
    pub body: Bytes,
}

impl Reply {
    /// A response without a body. Never cached: it depends on who asks (R25).
    pub fn empty(status: u16) -> Reply {
        Reply { status, ..Reply::default() }.with(header::CACHE_CONTROL, "no-store")
    }

    /// A redirect, 302 so that no webview remembers it.
    pub fn redirect(location: &str) -> Reply {
        Reply::empty(302).with(header::LOCATION, location).with(header::REFERRER_POLICY, "no-referrer")
    }

    /// JSON.
    pub fn json(status: u16, value: &serde_json::Value) -> Reply {
        let mut reply = Reply::empty(status)
            .with(header::CONTENT_TYPE, "application/json; charset=utf-8")
            .with(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
        reply.body = Bytes::from(value.to_string());
        reply
    }

    /// Adds a header; a value that cannot be one is left out.
    pub fn with(mut self, name: HeaderName, value: &str) -> Reply {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// Adds cookies.
    pub fn with_cookies(mut self, cookies: impl IntoIterator<Item = String>) -> Reply {
        self.cookies.extend(cookies);
        self
    }
}

/// Adds HSTS where the origin is https.
pub fn stay_with_https(gate: &Gate, reply: Reply) -> Reply {
    if gate.config.origin.https {
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

/// Writes the response. `close`: the connection is not used again (refused framing, upgrade requests: R31).
pub async fn send(session: &mut Session, reply: Reply, request_id: &HeaderValue, close: bool) -> Result<()> {
    let upgrade = session.is_upgrade_req();
    if close || upgrade {
        session.set_keepalive(None);
    }
    if session.is_http2() && !session.is_body_empty() {
        drain(session).await;
    }
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
    if !no_body {
        session.write_response_body(Some(reply.body), true).await?;
    }
    Ok(())
}

async fn drain(session: &mut Session) {
    let all = async {
        let mut taken = 0;
        while let Ok(Some(chunk)) = session.read_request_body().await {
            taken += chunk.len();
            if taken > DRAIN_BYTES {
                break;
            }
        }
    };
    // Running out of time only means that this response may be lost.
    let _ = tokio::time::timeout(DRAIN_TIME, all).await;
}
