//! TLS, and HTTP/2 as a well-behaved library speaks it.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::{HOST, Process, Setup};

/// A TLS connection to this server name that trusts these certificates alone, with this ALPN protocol.
pub async fn tls(
    to: SocketAddr,
    trusted: &[&CertificateDer<'static>],
    name: &'static str,
    alpn: Option<&str>,
) -> io::Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    for der in trusted {
        roots.add((*der).clone()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.map(|alpn| alpn.as_bytes().to_vec()).into_iter().collect();
    let tcp = TcpStream::connect(to).await.unwrap();
    tokio_rustls::TlsConnector::from(Arc::new(config)).connect(ServerName::try_from(name).unwrap(), tcp).await
}

impl Setup {
    /// A TLS connection to the gate with this ALPN protocol.
    pub async fn tls(&self, gate: &Process, alpn: &str) -> TlsStream<TcpStream> {
        tls(gate.https, &[&self.certificate()], HOST, Some(alpn)).await.unwrap()
    }

    /// The gate's certificate.
    pub fn certificate(&self) -> CertificateDer<'static> {
        let pem = std::fs::read(self.dir.path().join("cert.pem")).unwrap();
        CertificateDer::from_pem_slice(&pem).unwrap()
    }

    /// An HTTP/2 connection to the gate.
    pub async fn h2(&self, gate: &Process) -> H2 {
        let (client, connection) = h2::client::handshake(self.tls(gate, "h2").await).await.unwrap();
        tokio::spawn(connection);
        H2(client)
    }
}

/// One HTTP/2 connection.
#[derive(Clone)]
pub struct H2(h2::client::SendRequest<Bytes>);

impl H2 {
    /// Sends a request whose body is these DATA frames, the last of which ends the stream; no frame: no body. The status is 0
    /// when the stream is reset.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        headers: &[(String, String)],
        frames: &[&[u8]],
    ) -> (u16, HeaderMap) {
        let mut request = http::Request::builder().method(method).uri(format!("https://{HOST}{path}"));
        for (name, value) in headers {
            request = request.header(name.as_str(), value.as_str());
        }
        let failed = (0, HeaderMap::new());
        let Ok(mut client) = self.0.clone().ready().await else { return failed };
        let Ok((response, mut body)) = client.send_request(request.body(()).unwrap(), frames.is_empty())
        else {
            return failed;
        };
        for (i, frame) in frames.iter().enumerate() {
            // Separated in time, so that they are read one by one.
            tokio::time::sleep(Duration::from_millis(30)).await;
            if body.send_data(Bytes::copy_from_slice(frame), i + 1 == frames.len()).is_err() {
                break;
            }
        }
        match tokio::time::timeout(Duration::from_secs(10), response).await {
            Ok(Ok(response)) => (response.status().as_u16(), response.headers().clone()),
            _ => failed,
        }
    }

    /// Sends a request, and leaves the body of the response unread.
    pub async fn held(&self, path: &str) -> (u16, h2::RecvStream) {
        let request = http::Request::builder().uri(format!("https://{HOST}{path}")).body(()).unwrap();
        let mut client = self.0.clone().ready().await.unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = tokio::time::timeout(crate::support::PATIENCE, response).await.unwrap().unwrap();
        (response.status().as_u16(), response.into_body())
    }

    /// Sends a body of this many bytes in pieces of 64 KiB, with a pause before each, until there is a response; its status (0:
    /// none arrived completely) and when it arrived.
    pub async fn upload(&self, path: &str, mut left: usize, pause: Duration) -> (u16, Duration) {
        let began = std::time::Instant::now();
        let request = http::Request::builder()
            .method("POST")
            .uri(format!("https://{HOST}{path}"))
            .header("content-length", left)
            .body(())
            .unwrap();
        let mut client = self.0.clone().ready().await.unwrap();
        let (response, mut body) = client.send_request(request, false).unwrap();
        let sending = async move {
            while left > 0 {
                tokio::time::sleep(pause).await;
                let now = left.min(64 << 10);
                body.reserve_capacity(now);
                while body.capacity() < now {
                    match std::future::poll_fn(|cx| body.poll_capacity(cx)).await {
                        Some(Ok(_)) => {}
                        _ => return,
                    }
                }
                left -= now;
                if body.send_data(Bytes::from(vec![b'x'; now]), left == 0).is_err() {
                    return;
                }
            }
        };
        let answered = async {
            let response = response.await.ok()?;
            let (status, after) = (response.status().as_u16(), began.elapsed());
            let mut body = response.into_body();
            while let Some(piece) = body.data().await {
                let piece = piece.ok()?;
                let _ = body.flow_control().release_capacity(piece.len());
            }
            Some((status, after))
        };
        let both = async { tokio::join!(sending, answered).1 };
        tokio::time::timeout(Duration::from_secs(60), both)
            .await
            .ok()
            .flatten()
            .unwrap_or((0, began.elapsed()))
    }
}
