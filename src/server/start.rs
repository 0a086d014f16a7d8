//! Start and stop of one process: sockets, certificates, Pingora's service on our own runtime, draining.

use std::net::{SocketAddr, TcpListener};
use std::os::fd::IntoRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use pingora::apps::HttpServerOptions;
use pingora::listeners::{L4BufferSettings, ListenerConfig};
use pingora::protocols::http::v2::server::default_h2_options;
use pingora::proxy::http_proxy;
use pingora::server::configuration::ServerConf;
use pingora::server::{Fds, ListenFds};
use pingora::services::Service as _;
use pingora::services::listening::Service;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::certificates::Certificates;
use super::descriptors;
use super::drain;
use super::error::StartError;
use super::listeners::{Bound, explain};
use super::status::status;
use super::tickets::Tickets;
use crate::config::Config;
use crate::proxy::connection::{App, LINGER, Refusals, Times};
use crate::proxy::{CurrentGate, Gate, Phases};

/// The largest possible number of nodes.
const MAX_RETRIES: usize = 64;
/// Read and write buffers of a connection for its lifetime, in bytes. Heads and bodies have buffers of their own, so a read
/// buffer would only copy; what is written is collected by `proxy::connection`, and only TLS, below it, needs a buffer for its
/// records. See `docs/performance.md` for measurements.
const READ_BUFFER: usize = 0;
const WRITE_BUFFER: usize = 0;
const WRITE_BUFFER_TLS: usize = 4096;

/// How long a stop waits for NocoBase to record the end of sessions.
const TELL: Duration = Duration::from_secs(5);
/// How long clients that reuse a connection have for another request, whose response tells them to use it no more, when the gate
/// stops. New connections are still served meanwhile, and load balancers learn that the gate stops.
const DRAIN: Duration = Duration::from_millis(1500);
/// How long a stop waits for connections whose request head is still arriving.
const PATIENCE: Duration = Duration::from_secs(2);

/// A gate that is listening.
pub struct Running {
    /// Plain HTTP addresses, as bound.
    pub http: Vec<SocketAddr>,
    /// TLS addresses, as bound.
    pub https: Vec<SocketAddr>,
    /// The operator's listener, as bound.
    pub ops: Option<SocketAddr>,
    pub(super) current: Arc<CurrentGate>,
    /// As at the start: parts of it stay in use until the end.
    pub(super) started: Arc<Config>,
    pub(super) certificates: Option<Arc<Certificates>>,
    pub(super) tickets: Arc<Tickets>,
    pub(super) stop: watch::Sender<bool>,
    /// Checks the nodes of the current gate.
    pub(super) checks: JoinHandle<()>,
    /// Exchanges shared data with the other nodes.
    pub(super) sharing: JoinHandle<()>,
    service: JoinHandle<()>,
    /// Ends streams that outlive their sessions.
    streams: JoinHandle<()>,
    app: Arc<App<Phases>>,
    /// The same for TLS.
    secure: Arc<App<Phases>>,
    /// Copies of the listening sockets: HTTP, TLS, the operator's. For the next program, and for what is left in their queues.
    pub(super) sockets: Vec<TcpListener>,
    /// systemd keeps them open, too.
    pub(super) kept: bool,
}

impl Running {
    /// Lets clients go, stops accepting, and waits for requests in progress, up to `grace`. `replaced`: another process listens on
    /// the same sockets.
    pub async fn stop(mut self, grace: Duration, replaced: bool) {
        let until = Instant::now() + grace;
        let sockets = std::mem::take(&mut self.sockets);
        // If another process listens too, the queue belongs to it; this process would serve it for ever.
        let alone = !replaced && !self.kept;
        // These are the same for every gate of this process.
        let gate = self.current.now();
        gate.stopping.store(true, Ordering::Relaxed);
        if !alone {
            let _ = self.stop.send(true);
        }
        let no_idle_connections = async {
            while self.app.idle() > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        // Those that stay idle so long are closed.
        let _ = tokio::time::timeout(DRAIN, no_idle_connections).await;
        if alone {
            drain::block_new_connections(&sockets).await;
            let _ = self.stop.send(true);
        }
        self.app.close_idle();
        gate.tunnels_end.send_replace(true);
        let _ = tokio::time::timeout_at(until, self.service).await;
        if alone {
            for (index, socket) in sockets.iter().enumerate() {
                let app = match index.checked_sub(self.http.len()) {
                    None => &self.app,
                    Some(index) if index < self.https.len() => &self.secure,
                    // The operator's.
                    Some(_) => continue,
                };
                drain::serve_queued(socket, app, &self.stop.subscribe()).await;
            }
        }
        drop(sockets);
        let drained = tokio::time::timeout_at(until, async {
            // Connections that have been accepted but not read yet count too, and so do requests that are just arriving. A client
            // that does not finish its request head is not waited for.
            let closed = async {
                while self.app.open() > 0 {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            };
            let _ = tokio::time::timeout(LINGER + PATIENCE, closed).await;
            while gate.in_flight.load(Ordering::Relaxed) > 0 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        });
        let is_late = drained.await.is_err();
        // Another process serves meanwhile: there is no hurry.
        let patience = if replaced { until } else { until.min(Instant::now() + TELL) };
        for sessions in gate.all_sessions() {
            sessions.report_the_rest(patience).await;
        }
        let left = if is_late { gate.in_flight.load(Ordering::Relaxed) } else { 0 };
        self.sharing.abort();
        self.streams.abort();
        tracing::info!(event = "stopped", left, "stopped");
    }
}

/// Starts the gate on the current runtime.
pub async fn start(config: Config) -> Result<Running, StartError> {
    pingora_rustls::install_default_crypto_provider();
    let bound = Bound::new(&config.listen)?;
    let sockets = bound.copies().map_err(|e| StartError::Build(format!("cannot keep the sockets: {e}")))?;
    let certificates = match bound.https.is_empty() {
        true => None,
        false => Some(Certificates::load(&config.listen.pairs())?),
    };
    // Resolves names, which may take long: on a separate thread, so that signals are received meanwhile (R43).
    let built = tokio::task::spawn_blocking(|| Gate::new(config)).await;
    let gate = built.map_err(|e| StartError::Build(e.to_string()))?.map_err(StartError::Build)?;
    let gate = Arc::new(gate);
    let sharing = share(&gate);
    if let Some(shared) = gate.sessions.shared() {
        shared.tried().await;
    }
    gate.sign_ins.check_rules().await.map_err(StartError::Build)?;

    gate.maintenance.look(gate.config.pages.maintenance_file.as_deref()).await;
    let current = Arc::new(CurrentGate::new(gate.clone()));
    let app = app(&gate, &current);
    let mut service = Service::new("wecom-gate".into(), app.clone());
    let tickets = Arc::new(Tickets::new(&gate.config));
    let secure = match &certificates {
        Some(certificates) => {
            app.with_tls(certificates.acceptor(tickets.clone(), gate.acme.challenges.clone()))
        }
        None => app.clone(),
    };
    // Pingora would do the handshake itself, before it counts a connection.
    let mut secure_service = Service::new("wecom-gate TLS".into(), secure.clone());
    let (app, secure, kept) = (Arc::new(app), Arc::new(secure), bound.kept);
    let mut fds = Fds::new();
    let buffers = L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER);
    let buffers_tls = L4BufferSettings::new(READ_BUFFER, WRITE_BUFFER_TLS);
    let (mut http, mut https) = (Vec::new(), Vec::new());
    for (address, listener) in bound.http {
        fds.add(address.to_string(), listener.into_raw_fd());
        service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers));
        http.push(address);
    }
    for (address, listener) in bound.https {
        fds.add(address.to_string(), listener.into_raw_fd());
        secure_service.add_listener(ListenerConfig::tcp(address.to_string()).l4_buffer(buffers_tls));
        https.push(address);
    }
    let fds: ListenFds = Arc::new(parking_lot::Mutex::new(fds));
    let (stop, stopped) = watch::channel(false);
    let checks = check_nodes(&gate, &stopped);
    if let Some(certificates) = &certificates {
        gate.metrics.state.certificates(certificates.ends());
        let (watched, current, mut until) = (certificates.clone(), current.clone(), stopped.clone());
        let metrics = gate.metrics.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = watched.watch(|| current.now().config.listen.pairs(), &metrics.state) => {}
                _ = until.wait_for(|stopped| *stopped) => {}
            }
        });
    }
    if let Some(certificates) = &certificates {
        let (certificates, current, mut until) = (certificates.clone(), current.clone(), stopped.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = super::acme::renew(&current, &certificates) => {}
                _ = until.wait_for(|stopped| *stopped) => {}
            }
        });
    }
    tokio::spawn({
        let (current, mut until) = (current.clone(), stopped.clone());
        async move {
            tokio::select! {
                () = super::probe::probe_wecom(current) => {}
                _ = until.wait_for(|stopped| *stopped) => {}
            }
        }
    });
    tokio::spawn({
        let (current, mut until) = (current.clone(), stopped.clone());
        async move {
            tokio::select! {
                () = super::maintenance::watch(&current) => {}
                _ = until.wait_for(|stopped| *stopped) => {}
            }
        }
    });
    // Also while the gate is stopping: streams in progress still end with their sessions.
    let streams = tokio::spawn({
        let current = current.clone();
        async move { current.watch_streams().await }
    });
    let service = tokio::spawn(async move {
        let (plain, tls) = (fds.clone(), stopped.clone());
        tokio::join!(
            service.start_service(Some(plain), tls, 1),
            secure_service.start_service(Some(fds), stopped, 1)
        );
    });
    let ops = match bound.ops {
        Some((address, listener)) => {
            let shown = current.clone();
            crate::ops::serve(listener, move || status(&shown.now()), stop.subscribe())
                .map_err(|e| StartError::Listen { key: "listen.ops", address, why: explain(&e) })?;
            Some(address)
        }
        None => None,
    };
    let started = gate.config.clone();
    Ok(Running {
        http,
        https,
        ops,
        current,
        started,
        certificates,
        tickets,
        stop,
        checks,
        sharing,
        service,
        streams,
        app,
        secure,
        sockets,
        kept,
    })
}

/// Runs until the gate stops or the handle is aborted.
pub(super) fn check_nodes(gate: &Arc<Gate>, stopped: &watch::Receiver<bool>) -> JoinHandle<()> {
    let (gate, mut until) = (gate.clone(), stopped.clone());
    tokio::spawn(async move {
        let news = Notify::new();
        let learn = async {
            loop {
                news.notified().await;
                gate.learn().await;
            }
        };
        tokio::select! {
            () = gate.upstreams.watch(&news) => {}
            () = learn => {}
            _ = until.wait_for(|stopped| *stopped) => {}
        }
    })
}

/// Runs until the handle is aborted.
pub(super) fn share(gate: &Gate) -> JoinHandle<()> {
    let mut all: tokio::task::JoinSet<()> = tokio::task::JoinSet::new();
    for sessions in gate.all_sessions() {
        all.spawn(sessions.clone().run_sync());
    }
    // When aborted, it drops the set, and with it all tasks.
    tokio::spawn(async move { while all.join_next().await.is_some() {} })
}

/// Bytes that a client may send over HTTP/2 before the gate has read them, in all streams of a connection together (RFC 9113,
/// 5.2), and so the most memory that an upload needs. With a round trip of 40 ms, the default of 64 KiB would make an upload
/// thirty times slower than over HTTP/1.1.
const H2_WINDOW: u32 = 2 << 20;

fn app(gate: &Gate, current: &Arc<CurrentGate>) -> App<Phases> {
    let places = descriptors::places(gate.config.limits.connections);
    // As many to NocoBase as clients' connections, and idle ones in addition.
    gate.places.limit(places);
    gate.uploads.limit(places);
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let conf = ServerConf {
        threads,
        // Connections to NocoBase that wait for a request are the gate's own (`proxy::upstream`).
        upstream_keepalive_pool_size: 1,
        // A request records what it has tried; nodes may be added later.
        max_retries: MAX_RETRIES,
        // Connections to NocoBase are plain HTTP, so no trust store is needed; without a file Pingora loads the system's, and
        // panics if it is broken.
        ca_file: Some("/dev/null".into()),
        ..ServerConf::default()
    };
    let limits = &gate.config.limits;
    let times = Times { head: limits.head_timeout, idle: limits.keepalive_timeout };
    let mut options = HttpServerOptions::default();
    options.h2_idle_timeout = Some(limits.keepalive_timeout);
    let mut proxy = http_proxy(&Arc::new(conf), Phases::new(current.clone()));
    proxy.server_options = Some(options);
    let mut h2_options = default_h2_options();
    h2_options.initial_window_size(H2_WINDOW).initial_connection_window_size(H2_WINDOW);
    proxy.h2_options = Some(h2_options);
    let counts = gate.metrics.connections.clone();
    let refusals = Refusals::new(counts.clone(), gate.request_ids.clone());
    let is_shared = {
        let current = current.clone();
        move |address| {
            let gate = current.now();
            gate.config.access.trusted_proxies.iter().any(|network| network.contains(&address))
        }
    };
    App::new(proxy, times, places, counts, refusals, is_shared)
}
