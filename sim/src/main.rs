//! `wecom-sim`: the simulator as a program.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing))]

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use tokio::signal::unix::{SignalKind, signal};
use url::Url;
use wecom_sim::{Data, Options, Running, Settings, SimError, Simulator, program};

/// Simulates WeCom: its API, the links inside its client, the QR page.
///
/// For trying out and for tests; never part of a deployment. Exit codes: 0 stopped by a signal, 1 failed, 64 wrong usage.
#[derive(Debug, Parser)]
#[command(
    version,
    after_long_help = "Examples:\n  wecom-sim --listen 127.0.0.1:8081 --app-origin http://127.0.0.1:8080"
)]
struct Args {
    /// Where to listen. Anybody who reaches it may sign in as anybody: keep it on loopback
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    listen: SocketAddr,
    /// Companies, apps and members to play (TOML); default: the built-in ones
    #[arg(long, value_name = "FILE")]
    members: Option<PathBuf>,
    /// Where the gate is, e.g. http://127.0.0.1:8080: trusted domain and home pages of every app
    #[arg(long, value_name = "URL")]
    app_origin: Option<Url>,
}

#[tokio::main]
async fn main() -> ExitCode {
    program("wecom-sim", run).await
}

/// Runs until Ctrl-C or SIGTERM.
async fn run(args: Args) -> Result<(), SimError> {
    let data = args.members.as_deref().map(Data::load).transpose()?;
    let options =
        Options { bind: args.listen, data, settings: Settings::default(), app_origin: args.app_origin };
    let mut terminate = signal(SignalKind::terminate())?;
    let running = Simulator::start(options).await?;
    {
        let mut out = io::stdout().lock();
        out.write_all(introduction(&running).as_bytes())?;
        out.flush()?;
    }
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted?,
        _ = terminate.recv() => {}
    }
    running.stop().await;
    Ok(())
}

/// The address of the simulator, and the `[[wecom]]` entries for the gate's configuration.
fn introduction(running: &Running) -> String {
    let base = running.base();
    let mut text = format!("WeCom simulator at {base}/\n\nIn the gate's configuration, for each app:\n");
    for company in running.handle.data().companies {
        for app in company.apps {
            text.push_str(&format!(
                "\n[[wecom]]  # {}, {}\nname = \"{}\"\ncorp_id = \"{}\"\nagent_id = \"{}\"\nsecret = \"{}\"\n\
                 api_base = \"{base}\"\nauthorize_url = \"{}\"\nweb_login_url = \"{}\"\n",
                company.name,
                app.name,
                app.entry,
                company.corp_id,
                app.agent_id,
                app.secret,
                running.authorize_url(),
                running.web_login_url(),
            ));
        }
    }
    text
}
