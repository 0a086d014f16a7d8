//! One request, with limits on time and size, and its result as plain data.

use std::time::{Duration, SystemTime};

use reqwest::{Proxy, RequestBuilder, redirect};
use url::Url;

use crate::message::{Message, message};

/// Time limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(5);
/// Time limit for a whole request.
pub(super) const TIMEOUT: Duration = Duration::from_secs(10);
/// Longest response that is read, in bytes.
const LARGEST: usize = 1024 * 1024;

/// A response of any status.
#[derive(Debug, Clone, Default)]
pub(super) struct HttpResponse {
    pub(super) status: u16,
    /// The server's clock when it responded (in whole seconds).
    pub(super) date: Option<SystemTime>,
    /// The target of a redirect.
    pub(super) location: Option<String>,
    /// It has the header that only the gate sets.
    pub(super) from_gate: bool,
    pub(super) body: Vec<u8>,
}

impl HttpResponse {
    /// Its status.
    pub(super) fn shown(&self) -> Message {
        Message::verbatim(format!("HTTP {}", self.status))
    }

    /// The body as JSON; `Null` if it is not JSON.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// Why there is no response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum HttpError {
    /// No name server knows the host.
    Name,
    /// Nothing listens there, or there is no route.
    Connect,
    /// The certificate is not trusted, or there is no common version of TLS.
    Tls,
    /// The response is not TLS.
    Plain,
    /// Too slow.
    Timeout,
    /// Interrupted, or not HTTP.
    Broken,
}

impl HttpError {
    pub(super) fn message(self) -> Message {
        match self {
            HttpError::Name => message!("the host name cannot be resolved"),
            HttpError::Connect => message!("no connection"),
            HttpError::Tls => message!(
                "the TLS connection fails: the certificate has expired, is for another name, or has an unknown issuer"
            ),
            HttpError::Plain => message!("the server speaks plain HTTP"),
            HttpError::Timeout => message!("no response within 10 seconds"),
            HttpError::Broken => message!("no proper HTTP response"),
        }
    }
}

/// An HTTP client that follows no redirects and uses no proxy except the given one.
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new(proxy: Option<&Url>) -> Result<Self, String> {
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("wecom-gate/", env!("CARGO_PKG_VERSION"), " check"))
            .connect_timeout(CONNECT)
            .timeout(TIMEOUT)
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy();
        if let Some(proxy) = proxy {
            builder = builder.proxy(Proxy::all(proxy.clone()).map_err(|e| e.without_url().to_string())?);
        }
        Ok(Self(builder.build().map_err(|e| e.without_url().to_string())?))
    }

    pub(super) async fn get(&self, url: &str) -> Result<HttpResponse, HttpError> {
        send(self.0.get(url)).await
    }
}

/// Sends a request, and reads the whole response.
pub(super) async fn send(request: RequestBuilder) -> Result<HttpResponse, HttpError> {
    let mut response = request.send().await.map_err(|e| trouble(&e))?;
    let header = |name: &str| response.headers().get(name).and_then(|v| v.to_str().ok());
    let mut whole = HttpResponse {
        status: response.status().as_u16(),
        date: header("date").and_then(|d| httpdate::parse_http_date(d).ok()),
        location: header("location").map(str::to_owned),
        from_gate: header(crate::pages::LOGIN_HEADER).is_some(),
        body: Vec::new(),
    };
    while let Some(chunk) = response.chunk().await.map_err(|e| trouble(&e))? {
        if whole.body.len() + chunk.len() > LARGEST {
            return Err(HttpError::Broken);
        }
        whole.body.extend_from_slice(&chunk);
    }
    Ok(whole)
}

fn trouble(error: &reqwest::Error) -> HttpError {
    use std::error::Error as _;
    if error.is_timeout() {
        return HttpError::Timeout;
    }
    let mut texts = String::new();
    // The outermost text contains the address, which may contain any word.
    let mut below = error.source();
    while let Some(cause) = below {
        texts.push_str(&cause.to_string());
        texts.push('\n');
        below = cause.source();
    }
    let texts = texts.to_ascii_lowercase();
    if texts.contains("dns error") || texts.contains("lookup address") {
        HttpError::Name
    } else if texts.contains("invalidcontenttype") || texts.contains("corrupt message") {
        HttpError::Plain
    } else if texts.contains("certificate") || texts.contains("alert") || texts.contains("tls") {
        HttpError::Tls
    } else if error.is_connect() {
        HttpError::Connect
    } else {
        HttpError::Broken
    }
}
