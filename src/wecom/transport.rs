//! One HTTP exchange with WeCom: time, size and redirects limited, nothing read from the environment, and no address in errors
//! (addresses contain secrets).

use std::time::Duration;

use reqwest::{Proxy, StatusCode, redirect};
use url::Url;

use super::address::with_query;

/// Longest response that is read, in bytes.
const MAX_RESPONSE: usize = 1024 * 1024;

/// Largest picture, in bytes: it becomes part of every page.
const MAX_PICTURE: usize = 100 * 1024;

/// Time limits; tests shorten them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tuning {
    /// To open a connection.
    pub(super) connect: Duration,
    /// For a whole exchange (WeCom itself recommends 5 to 10 s).
    pub(super) total: Duration,
    /// Before the second attempt while the system is busy; plus the same again at random, and more before the third.
    pub(super) backoff: Duration,
}

impl Default for Tuning {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(3),
            total: Duration::from_secs(8),
            backoff: Duration::from_millis(200),
        }
    }
}

/// Why there is no response to read. `cause` is for the log and must be redacted first.
pub(super) enum TransportError {
    /// No connection, no response in time, or HTTP 5xx.
    Unreachable { cause: String, nothing_sent: bool, timed_out: bool },
    /// HTTP 429.
    RateLimited,
    /// Longer than [`MAX_RESPONSE`].
    TooLong,
    /// A redirect.
    BadAnswer { cause: String },
}

/// A body and whether its status was 2xx.
pub(super) struct RawResponse {
    pub(super) body: Vec<u8>,
    pub(super) status: StatusCode,
}

/// The connection pool of one entry.
#[derive(Clone)]
pub(super) struct Transport {
    http: reqwest::Client,
    base: String,
}

impl Transport {
    pub(super) fn new(base: &Url, proxy: Option<&Url>, tuning: Tuning) -> Result<Self, reqwest::Error> {
        // An error means that a provider is installed already; that one is used.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("wecom-gate/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(tuning.connect)
            .timeout(tuning.total)
            .pool_idle_timeout(Duration::from_secs(50))
            .redirect(redirect::Policy::none())
            .referer(false)
            .no_proxy();
        if let Some(proxy) = proxy {
            builder = builder.proxy(Proxy::all(proxy.clone()).map_err(reqwest::Error::without_url)?);
        }
        let http = builder.build().map_err(reqwest::Error::without_url)?;
        Ok(Self { http, base: base.as_str().trim_end_matches('/').to_owned() })
    }

    /// The bytes of the picture at this address.
    pub(super) async fn picture(&self, address: Url) -> Result<Vec<u8>, String> {
        let cause = |error: reqwest::Error| error.without_url().to_string();
        let mut response = self.http.get(address).send().await.map_err(cause)?;
        if response.status() != StatusCode::OK {
            return Err(format!("HTTP {}", response.status().as_u16()));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(cause)? {
            if body.len() + chunk.len() > MAX_PICTURE {
                return Err("more than 100 KiB".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    /// GET, or POST when there is a JSON body.
    pub(super) async fn exchange(
        &self,
        path: &str,
        params: &[(&str, &str)],
        body: Option<&serde_json::Value>,
    ) -> Result<RawResponse, TransportError> {
        let address = with_query(&format!("{}{path}", self.base), params);
        let request = match body {
            Some(json) => self.http.post(address).json(json),
            None => self.http.get(address),
        };
        let mut response = request.send().await.map_err(unreachable)?;
        let status = response.status();
        if status.is_server_error() {
            return Err(TransportError::Unreachable {
                cause: format!("HTTP {}", status.as_u16()),
                nothing_sent: false,
                timed_out: false,
            });
        }
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(TransportError::RateLimited);
        }
        if status.is_redirection() {
            return Err(TransportError::BadAnswer { cause: format!("HTTP {}, a redirect", status.as_u16()) });
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(unreachable)? {
            if body.len() + chunk.len() > MAX_RESPONSE {
                return Err(TransportError::TooLong);
            }
            body.extend_from_slice(&chunk);
        }
        Ok(RawResponse { body, status })
    }
}

fn unreachable(error: reqwest::Error) -> TransportError {
    let nothing_sent = error.is_connect();
    let timed_out = error.is_timeout();
    let kind = if timed_out {
        "timeout"
    } else if nothing_sent {
        "no connection"
    } else {
        "connection lost"
    };
    // The outermost text may contain the address; the innermost shows what happened.
    let error = error.without_url();
    let mut innermost: &dyn std::error::Error = &error;
    while let Some(source) = innermost.source() {
        innermost = source;
    }
    TransportError::Unreachable { cause: format!("{kind}: {innermost}"), nothing_sent, timed_out }
}
