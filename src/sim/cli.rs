//! `wecom-gate sim`.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use url::Url;

use super::{Data, Options, Settings, SimError, Simulator};

/// Flags of `wecom-gate sim`.
#[derive(Debug, Clone, clap::Args)]
pub struct SimArgs {
    /// Where to listen. Anybody who reaches it may sign in as anybody: keep it on loopback
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8090")]
    pub listen: SocketAddr,
    /// Companies, apps and members to play (TOML); default: the built-in ones
    #[arg(long, value_name = "FILE")]
    pub members: Option<PathBuf>,
    /// Where the gate is, e.g. http://127.0.0.1:8080: trusted domain and home pages of every app
    #[arg(long, value_name = "URL")]
    pub app_origin: Option<Url>,
}

/// Runs the simulator until Ctrl-C or SIGTERM.
///
/// # Errors
/// The members file is not usable, or the address cannot be listened on.
pub async fn run_cli(args: SimArgs) -> Result<(), SimError> {
    let data = args.members.as_deref().map(Data::load).transpose()?;
    let options =
        Options { bind: args.listen, data, settings: Settings::default(), app_origin: args.app_origin };
    let running = Simulator::start(options).await?;
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
    {
        let mut out = std::io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()?;
    }
    until_told().await?;
    running.stop().await;
    Ok(())
}

async fn until_told() -> std::io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        r = tokio::signal::ctrl_c() => r,
        _ = terminate.recv() => Ok(()),
    }
}
