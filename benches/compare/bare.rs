//! The baseline of `make bench`: a Pingora proxy that does nothing, built from the same dependencies with the same profile,
//! allocator and listener buffers as the gate. It also prepares what the run needs: a signed-in member's cookie, a certificate.

use std::error::Error as StdError;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use base64::Engine as _;
use clap::Parser;
use pingora::listeners::{L4BufferSettings, ListenerConfig, tls::TlsSettings};
use pingora::prelude::*;
use pingora::proxy::{ProxyHttp, Session as HttpSession, http_proxy_service};
use pingora::server::RunArgs;
use pingora::server::configuration::ServerConf;
use secrecy::SecretSlice;
use wecom_gate::session::Company;
use wecom_gate::session::{Keyring, Member, Names, Session, SessionCookies, SessionLimits};

#[global_allocator]
static ALLOC: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

#[derive(Parser)]
enum Command {
    /// Proxies everything to one upstream and changes nothing.
    Proxy(Proxy),
    /// Prints, as JSON, cookie and phantom of a newly signed-in member.
    Member(SignedIn),
    /// Writes a self-signed certificate for `localhost`: `cert.pem` and `key.pem`.
    Certificate {
        /// Directory.
        dir: PathBuf,
    },
}

#[derive(Parser)]
struct Proxy {
    #[arg(long)]
    listen: String,
    #[arg(long)]
    upstream: String,
    #[arg(long)]
    tls_listen: Option<String>,
    #[arg(long)]
    cert: Option<String>,
    #[arg(long)]
    key: Option<String>,
    /// Bytes per connection; Pingora's own default is 65536.
    #[arg(long, default_value_t = 0)]
    read_buffer: usize,
    /// Bytes per connection.
    #[arg(long, default_value_t = 4096)]
    write_buffer: usize,
    /// Seconds that an idle connection of a client is kept.
    #[arg(long, default_value_t = 75)]
    keepalive: u64,
    /// Adds the five headers that any proxy in front of an application adds, to measure their cost.
    #[arg(long)]
    headers: bool,
}

#[derive(Parser)]
struct SignedIn {
    /// The first of `session.keys`.
    #[arg(long)]
    key: String,
    /// `origin` of the configuration.
    #[arg(long)]
    origin: String,
    #[arg(long)]
    corp_id: String,
    #[arg(long)]
    entry: String,
    #[arg(long)]
    user_id: u64,
}

struct Bare {
    peer: HttpPeer,
    keepalive: u64,
    headers: bool,
}

#[async_trait]
impl ProxyHttp for Bare {
    type CTX = ();

    fn new_ctx(&self) {}

    async fn early_request_filter(&self, downstream: &mut HttpSession, (): &mut ()) -> Result<()> {
        if downstream.get_keepalive().is_some() {
            downstream.set_keepalive(Some(self.keepalive));
        }
        Ok(())
    }

    async fn upstream_peer(&self, _exchange: &mut HttpSession, (): &mut ()) -> Result<Box<HttpPeer>> {
        Ok(Box::new(self.peer.clone()))
    }

    async fn upstream_request_filter(
        &self,
        downstream: &mut HttpSession,
        request: &mut RequestHeader,
        (): &mut (),
    ) -> Result<()> {
        if self.headers {
            let client = downstream.client_addr().and_then(|a| a.as_inet()).map(|a| a.ip().to_string());
            request.insert_header("host", "localhost")?;
            request.insert_header("x-forwarded-for", client.unwrap_or_default())?;
            request.insert_header("x-forwarded-host", "localhost")?;
            request.insert_header("x-forwarded-proto", "http")?;
            request.insert_header("x-request-id", "0123456789abcdef-1")?;
        }
        Ok(())
    }
}

fn proxy(args: Proxy) -> std::result::Result<(), Box<dyn StdError>> {
    let conf = ServerConf {
        threads: std::thread::available_parallelism()?.get(),
        upstream_keepalive_pool_size: 512,
        max_retries: 3,
        ca_file: Some("/dev/null".into()),
        grace_period_seconds: Some(0),
        graceful_shutdown_timeout_seconds: Some(1),
        ..ServerConf::default()
    };
    let mut server = Server::new_with_opt_and_conf(None, conf);
    server.bootstrap();
    let mut peer = HttpPeer::new(&args.upstream, false, String::new());
    // As in the gate: a time limit on every read and write, pooled connections closed before Node.js closes them.
    peer.options.connection_timeout = Some(Duration::from_secs(3));
    peer.options.total_connection_timeout = Some(Duration::from_secs(3));
    peer.options.read_timeout = Some(Duration::from_secs(300));
    peer.options.write_timeout = Some(Duration::from_secs(300));
    peer.options.idle_timeout = Some(Duration::from_secs(4));
    let bare = Bare { peer, keepalive: args.keepalive, headers: args.headers };
    let mut service = http_proxy_service(&server.configuration, bare);
    let buffers = L4BufferSettings::new(args.read_buffer, args.write_buffer);
    service.add_listener(ListenerConfig::tcp(args.listen).l4_buffer(buffers));
    if let (Some(address), Some(cert), Some(key)) = (args.tls_listen, args.cert, args.key) {
        let mut tls = TlsSettings::intermediate(&cert, &key)?;
        tls.enable_h2();
        service.add_listener(ListenerConfig::tcp(address).tls(tls).l4_buffer(buffers));
    }
    server.add_service(service);
    server.run(RunArgs::default());
    Ok(())
}

fn member(args: &SignedIn) -> std::result::Result<(), Box<dyn StdError>> {
    let key = base64::engine::general_purpose::STANDARD.decode(&args.key)?;
    let keyring = Arc::new(Keyring::new(&[SecretSlice::from(key)], &args.origin)?);
    let limits =
        SessionLimits { idle: Duration::from_secs(12 * 3600), absolute: Duration::from_secs(7 * 86_400) };
    let company = Company { entry: args.entry.clone(), corp_id: args.corp_id.clone() };
    let cookies = SessionCookies::new(keyring, Names::new(false, "wecom_gate"), limits, vec![company]);
    let member = Member {
        entry: args.entry.clone(),
        corp_id: args.corp_id.clone(),
        userid: "zhangsan".into(),
        name: "张三".into(),
        user_id: args.user_id,
    };
    let now = SystemTime::now().into();
    let label = |e: wecom_gate::error::Failure| e.response().label;
    let session = Session::begin(member, now).map_err(label)?;
    let line = cookies.write(&session, now).map_err(label)?;
    let cookie = line.split(';').next().unwrap_or_default();
    let out = serde_json::json!({ "cookie": cookie, "phantom": session.phantom.text() });
    writeln!(std::io::stdout(), "{out}")?;
    Ok(())
}

fn certificate(dir: &std::path::Path) -> std::result::Result<(), Box<dyn StdError>> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".into(), "127.0.0.1".into()])?;
    std::fs::write(dir.join("cert.pem"), made.cert.pem())?;
    std::fs::write(dir.join("key.pem"), made.signing_key.serialize_pem())?;
    Ok(())
}

fn main() -> std::result::Result<(), Box<dyn StdError>> {
    pingora_rustls::install_default_crypto_provider();
    match Command::parse() {
        Command::Proxy(args) => proxy(args),
        Command::Member(args) => member(&args),
        Command::Certificate { dir } => certificate(&dir),
    }
}
