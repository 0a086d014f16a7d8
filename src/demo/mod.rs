//! `wecom-gate demo`: the WeCom simulator, a real NocoBase and the gate on one machine.
//!
//! The gate is started from a TOML file as an administrator would write it; the file stays in the demo's folder, to be
//! read and changed.
//!
//! Must never: be part of a deployment.

mod nocobase;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use base64::Engine as _;
use ring::rand::SecureRandom;
use thiserror::Error;
use url::Url;

use crate::config;
use crate::proxy;
use crate::sim;

/// What the demo needs to know.
#[derive(Debug, Clone)]
pub struct Options {
    /// Where NocoBase is installed (shared between runs).
    pub nocobase: Option<PathBuf>,
    /// The demo's own folder: configuration, database.
    pub state: Option<PathBuf>,
    /// Port of the gate.
    pub port: u16,
}

/// Why the demo does not come up. Each says what to do.
#[derive(Debug, Error)]
pub enum DemoError {
    /// A folder or a file.
    #[error("{path}: {why}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// NocoBase.
    #[error("NocoBase: {0}")]
    NocoBase(String),
    /// The simulator.
    #[error("WeCom simulator: {0}")]
    Simulator(String),
    /// The gate.
    #[error("gate: {0}")]
    Gate(String),
    /// No port.
    #[error("no free port: {0}")]
    Port(String),
}

/// Everything that runs.
struct Demo {
    gate: proxy::Running,
    simulator: sim::Running,
    nocobase: nocobase::Instance,
}

/// Brings everything up, says what to open, and runs until a signal.
pub async fn run(options: Options, say: &mut (dyn std::io::Write + Send)) -> Result<(), DemoError> {
    let tell = |say: &mut (dyn std::io::Write + Send), line: &str| {
        // A closed terminal is no reason to stop.
        let _ = writeln!(say, "{line}").and_then(|()| say.flush());
    };
    let cache = cache_dir();
    let state = options.state.clone().unwrap_or_else(|| cache.join("demo"));
    std::fs::create_dir_all(&state)
        .map_err(|e| DemoError::File { path: state.clone(), why: e.to_string() })?;

    tell(say, "1/3 NocoBase (the first time: about 3 minutes and 1.2 GB from npm)");
    let home = nocobase::install(options.nocobase.clone()).await?;
    let key = secret(32)?;
    let nocobase = nocobase::start(&home, &state.join("nocobase"), &key, free_port()?).await?;

    tell(say, "2/3 WeCom simulator");
    let gate_port = if port_is_free(options.port) { options.port } else { free_port()? };
    let origin = format!("http://127.0.0.1:{gate_port}");
    let app_origin = Url::parse(&origin).map_err(|e| DemoError::Gate(e.to_string()))?;
    let simulator =
        sim::Simulator::start(sim::Options { app_origin: Some(app_origin), ..sim::Options::default() })
            .await
            .map_err(|e| DemoError::Simulator(e.to_string()))?;

    tell(say, "3/3 Gate");
    let toml = configuration(&origin, gate_port, nocobase.port, &simulator, &key)?;
    let path = state.join("wecom-gate.toml");
    std::fs::write(&path, &toml).map_err(|e| DemoError::File { path: path.clone(), why: e.to_string() })?;
    let loaded = config::load_str(&toml, []).map_err(|e| DemoError::Gate(e.to_string()))?;
    let gate = proxy::start(loaded.config).await.map_err(|e| DemoError::Gate(e.to_string()))?;
    let demo = Demo { gate, simulator, nocobase };

    let sim = format!("http://{}", demo.simulator.addr);
    tell(
        say,
        &format!(
            "\nReady.\n\n  Open the WeCom client:   {sim}/\n    pick a member, tap the app: you are in NocoBase as that member\n\n  The gate itself:         {origin}/admin  (a browser outside WeCom: web login)\n  NocoBase without gate:   http://127.0.0.1:{}/  (administrator: admin@nocobase.com, admin123)\n  Configuration:           {}\n\nCtrl-C stops everything.",
            demo.nocobase.port,
            path.display()
        ),
    );
    // Either signal ends the demo; without a handler for it, Ctrl-C still works.
    if let Ok(mut terminate) = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
        tokio::select! { _ = tokio::signal::ctrl_c() => {}, _ = terminate.recv() => {} }
    } else {
        let _ = tokio::signal::ctrl_c().await;
    }
    tell(say, "Stopping.");
    demo.gate.stop(Duration::from_secs(2)).await;
    demo.simulator.stop().await;
    demo.nocobase.stop().await;
    Ok(())
}

/// The file that an administrator would write. The simulator's member becomes a NocoBase user at the first sign-in.
fn configuration(
    origin: &str,
    port: u16,
    nocobase: u16,
    simulator: &sim::Running,
    key: &str,
) -> Result<String, DemoError> {
    let sim = format!("http://{}", simulator.addr);
    let session_key = base64_secret(64)?;
    let entries = entries(simulator, &sim);
    Ok(format!(
        r#"# Written by `wecom-gate demo`. What each key means: docs/configuration.md
origin = "{origin}"

[listen]
http = ["127.0.0.1:{port}"]
ops = "127.0.0.1:0"

[upstream]
nodes = ["127.0.0.1:{nocobase}"]

[nocobase]
jwt_secret = "{key}"
service_user = 1
auto_create_user = true

{entries}
[session]
keys = ["{session_key}"]

[log]
format = "pretty"
access_log = false
"#
    ))
}

/// A `[[wecom]]` for each of the simulator's apps; the first signs members in by itself.
fn entries(simulator: &sim::Running, sim: &str) -> String {
    let mut text = String::new();
    for company in simulator.handle.data().companies {
        for app in company.apps {
            text.push_str(&format!(
                r#"[[wecom]]
name = "{name}"
title = "{title}"
corp_id = "{corp}"
agent_id = "{agent}"
secret = "{secret}"
auto_login = {first}
home = "/admin"
api_base = "{sim}"
authorize_url = "{sim}/connect/oauth2/authorize"
web_login_url = "{sim}/wwlogin/sso/login"

"#,
                name = app.entry,
                title = app.name,
                corp = company.corp_id,
                agent = app.agent_id,
                secret = app.secret,
                first = text.is_empty(),
            ));
        }
    }
    text
}

fn cache_dir() -> PathBuf {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|p| p.is_absolute());
    let base = base.or_else(|| std::env::var_os("HOME").map(|h| PathBuf::from(h).join(".cache")));
    base.unwrap_or_else(std::env::temp_dir).join("wecom-gate")
}

fn random(bytes: usize) -> Result<Vec<u8>, DemoError> {
    let mut out = vec![0; bytes];
    ring::rand::SystemRandom::new()
        .fill(&mut out)
        .map_err(|_| DemoError::Gate("no random numbers".into()))?;
    Ok(out)
}

fn secret(bytes: usize) -> Result<String, DemoError> {
    Ok(base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(random(bytes)?))
}

fn base64_secret(bytes: usize) -> Result<String, DemoError> {
    Ok(base64::engine::general_purpose::STANDARD.encode(random(bytes)?))
}

fn free_port() -> Result<u16, DemoError> {
    std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
        .and_then(|l| l.local_addr())
        .map(|a| a.port())
        .map_err(|e| DemoError::Port(e.to_string()))
}

fn port_is_free(port: u16) -> bool {
    std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, port))).is_ok()
}
