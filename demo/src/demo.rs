//! Starts everything in order, and stops it in reverse order.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use url::Url;
use wecom_gate::config;
use wecom_gate::server;
use wecom_sim::Simulator;

use crate::configuration::{configuration, url_safe_secret};
use crate::error::DemoError;
use crate::nocobase;
use crate::system::{cache_dir, free_port, port_is_free};

/// The options of the command line.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where NocoBase is installed, shared between runs; default: in the user's cache.
    pub(crate) nocobase: Option<PathBuf>,
    /// The demo's own folder with configuration and database; default: in the user's cache.
    pub(crate) state: Option<PathBuf>,
    /// Port of the gate; if it is in use, another is used.
    pub(crate) port: u16,
}

/// All running parts.
struct Demo {
    gate: server::Running,
    simulator: wecom_sim::Running,
    nocobase: nocobase::Instance,
}

/// Starts everything, prints the addresses to open, and runs until a signal.
///
/// # Errors
/// If NocoBase, the simulator or the gate does not start.
pub(crate) async fn run(options: Options, out: &mut (dyn Write + Send)) -> Result<(), DemoError> {
    let cache = cache_dir();
    let state = options.state.clone().unwrap_or_else(|| cache.join("demo"));
    std::fs::create_dir_all(&state)
        .map_err(|e| DemoError::File { path: state.clone(), why: e.to_string() })?;

    print(out, "1/3 NocoBase (the first time: about 3 minutes and 1.2 GB from npm)");
    let home = nocobase::install(options.nocobase.clone()).await?;
    let key = url_safe_secret(32)?;
    let nocobase = nocobase::start(&home, &state.join("nocobase"), &key, free_port()?).await?;
    nocobase::fill(&nocobase).await?;

    print(out, "2/3 WeCom simulator");
    let gate_port = if port_is_free(options.port) { options.port } else { free_port()? };
    let origin = format!("http://127.0.0.1:{gate_port}");
    let app_origin = Url::parse(&origin).map_err(|e| DemoError::Gate(e.to_string()))?;
    let simulator = Simulator::start(wecom_sim::Options {
        app_origin: Some(app_origin),
        ..wecom_sim::Options::default()
    })
    .await
    .map_err(|e| DemoError::Simulator(e.to_string()))?;

    print(out, "3/3 Gate");
    let toml = configuration(&origin, gate_port, nocobase.port, &simulator, &key)?;
    let path = state.join("wecom-gate.toml");
    std::fs::write(&path, &toml).map_err(|e| DemoError::File { path: path.clone(), why: e.to_string() })?;
    let loaded = config::load_str(&toml, []).map_err(|e| DemoError::Gate(e.to_string()))?;
    let gate = server::start(loaded.config).await.map_err(|e| DemoError::Gate(e.to_string()))?;
    let demo = Demo { gate, simulator, nocobase };

    let sim = format!("http://{}", demo.simulator.addr);
    print(
        out,
        &format!(
            "\nReady.\n\n  Open the WeCom client:   {sim}/\n    pick a member, tap the app: NocoBase opens, and greets you as that member\n\n  The gate itself:         {origin}/admin  (a browser outside WeCom: web login)\n  NocoBase without gate:   http://127.0.0.1:{}/  (administrator: admin@nocobase.com, admin123)\n  Configuration:           {}\n\nCtrl-C stops everything.",
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
    print(out, "Stopping.");
    demo.gate.stop(Duration::from_secs(2), false).await;
    demo.simulator.stop().await;
    demo.nocobase.stop().await;
    Ok(())
}

/// Prints a line. A closed terminal does not stop the demo.
fn print(out: &mut (dyn Write + Send), line: &str) {
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
