//! The gate's HTTP client for the ACME library: with limits of time and size, and the gate's own TLS settings.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use reqwest::redirect;

use crate::error::with_causes;

/// Timeout of a new connection.
const CONNECT: Duration = Duration::from_secs(10);
/// Timeout of a whole request.
const PATIENCE: Duration = Duration::from_secs(30);
/// Maximum size of a response, in bytes: a certificate chain has a few thousand.
const LARGEST: usize = 256 * 1024;

/// A client that follows no redirects and uses no proxy.
pub(super) struct Http(reqwest::Client);

impl Http {
    pub(super) fn new() -> Result<Http, Error> {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .timeout(PATIENCE)
            .redirect(redirect::Policy::none())
            .referer(false)
            .https_only(true)
            .no_proxy()
            .build();
        Ok(Http(client.map_err(other)?))
    }
}

impl HttpClient for Http {
    fn request(
        &self,
        request: http::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let request = reqwest::Request::try_from(request.map(reqwest::Body::wrap)).map_err(other)?;
            let mut response = client.execute(request).await.map_err(other)?;
            let (mut parts, ()) = http::Response::new(()).into_parts();
            parts.status = response.status();
            parts.headers = response.headers().clone();
            let mut body = BytesMut::new();
            while let Some(chunk) = response.chunk().await.map_err(other)? {
                if body.len().saturating_add(chunk.len()) > LARGEST {
                    return Err(Error::Str("a response that is not too long"));
                }
                body.extend_from_slice(&chunk);
            }
            Ok(BytesResponse { parts, body: Box::new(body.freeze()) })
        })
    }
}

fn other(error: reqwest::Error) -> Error {
    Error::Other(with_causes(&error).into())
}
