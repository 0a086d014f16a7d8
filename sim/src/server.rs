//! The simulator as a server: starts, passes each request to the API or the pages, stops.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::Router;
use axum::body::to_bytes;
use axum::extract::{ConnectInfo, Request};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use url::Url;

use crate::data::Data;
use crate::error::SimError;
use crate::fault::{self, FaultKind};
use crate::handle::Handle;
use crate::net::{CuttableListener, Peer, host};
use crate::settings::Settings;
use crate::state::{LogLine, Shared};
use crate::{api, control, pages, responses};

/// Largest request body, in bytes.
const BODY_LIMIT: usize = 1024 * 1024;

/// Options for the start.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where to listen; port 0 selects a free one.
    pub bind: SocketAddr,
    /// Companies; `None`: the built-in ones.
    pub data: Option<Data>,
    /// Behaviour.
    pub settings: Settings,
    /// The gate's address: trusted domain, callback domain, home page and event URL of every app.
    pub app_origin: Option<Url>,
}

impl Default for Options {
    fn default() -> Self {
        let bind = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        Options { bind, data: None, settings: Settings::default(), app_origin: None }
    }
}

/// The simulator.
#[derive(Debug)]
pub struct Simulator;

/// A running simulator; it stops when dropped.
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    /// Controls it.
    pub handle: Handle,
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Simulator {
    /// Starts on the current Tokio runtime.
    ///
    /// # Errors
    /// The data contradicts itself, or it is not possible to listen on the address.
    pub async fn start(options: Options) -> Result<Running, SimError> {
        // Events may be sent to https. A provider that is installed already is kept.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http =
            reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build()?;
        let mut data = match options.data {
            Some(data) => data.validated()?,
            None => Data::embedded()?,
        };
        if let Some(origin) = &options.app_origin {
            data.set_gate(origin);
        }
        let failed = |e| SimError::Bind(options.bind, e);
        let listener = TcpListener::bind(options.bind).await.map_err(failed)?;
        let addr = listener.local_addr().map_err(failed)?;
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::new(Shared::new(data, options.settings, stopped, http));
        let handle = Handle { shared: Arc::clone(&shared) };

        let on_stop = Arc::clone(&shared);
        let app = Router::new().nest("/sim", control::router(handle.clone())).fallback(
            move |ConnectInfo(peer): ConnectInfo<Peer>, request: Request| {
                let sim = Arc::clone(&shared);
                async move {
                    let mut response = front(Arc::clone(&sim), peer, request).await;
                    response.headers_mut().extend(date(sim.now_ms()));
                    response
                }
            },
        );
        let service = app.into_make_service_with_connect_info::<Peer>();
        let task = tokio::spawn(async move {
            let server = axum::serve(CuttableListener(listener), service);
            let _ = server.with_graceful_shutdown(async move { on_stop.stopped().await }).await;
        });
        Ok(Running { addr, handle, stop, task })
    }
}

impl Running {
    /// `http://host:port`: the gate's `api_base`.
    pub fn base(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// The gate's `authorize_url`.
    pub fn authorize_url(&self) -> String {
        format!("{}/connect/oauth2/authorize", self.base())
    }

    /// The gate's `web_login_url`.
    pub fn web_login_url(&self) -> String {
        format!("{}/wwlogin/sso/login", self.base())
    }

    /// Stops, and waits until the port is free and every connection is closed.
    pub async fn stop(mut self) {
        let _ = self.stop.send(true);
        let task = std::mem::replace(&mut self.task, tokio::spawn(async {}));
        let abort = task.abort_handle();
        if tokio::time::timeout(Duration::from_secs(2), task).await.is_err() {
            abort.abort();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        self.task.abort();
    }
}

/// The `Date` header, from the simulator's clock.
fn date(now_ms: i64) -> Option<(header::HeaderName, header::HeaderValue)> {
    let now = SystemTime::UNIX_EPOCH + Duration::from_millis(u64::try_from(now_ms).ok()?);
    Some((header::DATE, httpdate::fmt_http_date(now).parse().ok()?))
}

/// Everything except the control API.
async fn front(sim: Arc<Shared>, peer: Peer, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_LIMIT).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let path = parts.uri.path();
    // Tests play several machines, so a caller may name its own address.
    let claimed: Option<IpAddr> =
        parts.headers.get("x-sim-ip").and_then(|v| v.to_str().ok()).and_then(|v| v.parse().ok());
    if path.starts_with("/cgi-bin/") {
        return api::serve(Arc::clone(&sim), peer, &parts, claimed, body).await;
    }
    if path == api::LOGO {
        return api::logo();
    }
    let query = parts.uri.query().unwrap_or("");
    let write = |status: u16| {
        let now = sim.now_ms();
        sim.lock().write_log(LogLine {
            at_ms: now,
            ip: claimed.unwrap_or(peer.ip),
            host: host(&parts),
            method: parts.method.to_string(),
            path: path.to_owned(),
            query: api::redact(query),
            errcode: None,
            status,
        });
    };
    let fault = {
        let mut inner = sim.lock();
        inner.count(path);
        fault::take(&mut inner.faults, path, query)
    };
    if let Some(f) = fault {
        tokio::select! {
            () = tokio::time::sleep(Duration::from_millis(f.latency_ms)) => {}
            () = sim.stopped() => {}
        }
        if f.kind != FaultKind::None {
            write(f.kind.status());
            return responses::misbehave(&sim, &peer, &f.kind).await;
        }
    }
    let response = pages::serve(&sim, &parts, &body).unwrap_or_else(responses::not_found);
    write(response.status().as_u16());
    response
}
