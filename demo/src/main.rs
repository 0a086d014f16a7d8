//! The demo: the WeCom simulator, a real NocoBase and the gate on one machine.
//!
//! The gate is started with a TOML file as an administrator would write it; the file stays in the demo's folder, where it can be
//! read and changed.
//!
//! - `demo`: starts and stops everything
//! - `configuration`: the gate's TOML file
//! - `nocobase`: a real NocoBase, run by `nocobase.sh`, with the small application that `app.mjs` creates
//! - `system`, `error`: folders and ports; errors
//!
//! Must never: be part of a deployment.

mod configuration;
mod demo;
mod error;
mod nocobase;
mod system;

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use wecom_gate::config;
use wecom_gate::ops::logging;
use wecom_sim::program;

/// Run everything at once on this machine: WeCom simulator, a real NocoBase, the gate
///
/// Prints the address to open. For trying out; never part of a deployment. Exit codes: 0 stopped by a signal, 1 failed, 64 wrong usage.
#[derive(Debug, Parser)]
#[command(version, after_long_help = "Examples:\n  wecom-gate-demo\n  wecom-gate-demo --port 8090")]
struct Args {
    /// Port of the gate; another is taken if it is in use
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where NocoBase is installed, or is to be; default: the cache of this user
    #[arg(long, value_name = "DIR", env = "WECOM_GATE_NOCOBASE")]
    nocobase: Option<PathBuf>,
    /// Folder for the demo's configuration and database; default: the cache of this user
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    // As in the gate: all TLS uses ring. A provider that is installed already is kept.
    let _ = rustls::crypto::ring::default_provider().install_default();
    program("wecom-gate-demo", run).await
}

async fn run(args: Args) -> Result<(), String> {
    let log = config::Log {
        format: config::LogFormat::Pretty,
        level: "info".into(),
        access_log: false,
        audit_file: None,
    };
    let _logging = logging::init(&log).map_err(|e| e.to_string())?;
    let options = demo::Options { nocobase: args.nocobase, state: args.state, port: args.port };
    demo::run(options, &mut io::stderr()).await.map_err(|e| e.to_string())
}
