//! Commands, their options and exit codes. Messages for the person at the keyboard go to standard error, what a
//! command is asked to print (and the logs of `run`) to standard output.

use std::ffi::OsString;
use std::fmt::Display;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Parser, Subcommand};
use ring::rand::{SecureRandom, SystemRandom};
use wecom_gate::check;
use wecom_gate::config::{self, Config, ConfigErrors, Loaded};
use wecom_gate::ops::logging;
use wecom_gate::sim::SimArgs;

/// Something failed that is neither usage nor configuration.
const FAILED: u8 = 1;
/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;
/// `EX_CONFIG` of sysexits.h.
const CONFIGURATION: u8 = 78;
/// How long `healthcheck` waits.
const PATIENCE: Duration = Duration::from_secs(3);

type Environment = Vec<(String, String)>;

/// Signs the members of a WeCom company into NocoBase: a reverse proxy that stands in front of it.
///
/// Exit codes: 0 all well, 1 failed, 64 wrong usage, 78 wrong configuration.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the gate
    Run(Conf),
    /// Check the configuration, and print the links for WeCom's console
    ///
    /// Each step that fails says what to do. Exit code 0 if all is well, 78 if the configuration is wrong, 1 if
    /// another step failed.
    Check {
        #[command(flatten)]
        conf: Conf,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
    },
    /// Run everything at once on this machine: WeCom simulator, a real NocoBase, the gate
    ///
    /// Prints the address to open. For trying out; never part of a deployment.
    Demo(DemoArgs),
    /// Run the WeCom simulator alone
    ///
    /// For trying out and for tests; never part of a deployment.
    Sim(SimArgs),
    /// Print a fresh key for `session.keys`: 64 random bytes in base64
    Keygen,
    /// Print the JSON schema of the configuration file
    Schema {
        /// Print the reference of all keys as Markdown instead
        #[arg(long, hide = true)]
        markdown: bool,
    },
    /// Ask the running gate whether it is ready: exit code 0 or 1
    ///
    /// For containers. Asks /readyz at `listen.ops`.
    Healthcheck {
        #[command(flatten)]
        conf: Conf,
        /// Ask at this address instead of reading the configuration
        #[arg(long, value_name = "IP:PORT")]
        ops: Option<SocketAddr>,
    },
}

#[derive(Args)]
struct Conf {
    /// The configuration file (TOML)
    ///
    /// Without it the configuration is taken from the environment alone, WECOM_GATE__SECTION__KEY.
    #[arg(long, value_name = "FILE", env = "WECOM_GATE_CONF")]
    conf: Option<PathBuf>,
}

/// Does what the arguments say.
pub fn main(args: impl IntoIterator<Item = OsString>, env: Environment) -> ExitCode {
    let code = match Cli::try_parse_from(args) {
        Ok(cli) => dispatch(cli.command, env),
        Err(e) => {
            let _ = e.print();
            if e.use_stderr() { USAGE } else { 0 }
        }
    };
    ExitCode::from(code)
}

fn dispatch(command: Command, env: Environment) -> u8 {
    match command {
        Command::Run(conf) => match load(&conf, env) {
            Ok(loaded) => run(loaded),
            Err(errors) => refused(&errors),
        },
        Command::Check { conf, json } => self::check(&load(&conf, env), json),
        Command::Demo(args) => done(demo(args)),
        Command::Sim(args) => done(sim(args)),
        Command::Keygen => done(keygen()),
        Command::Schema { markdown: true } => done(show(config::markdown().trim_end())),
        Command::Schema { markdown: false } => done(show(format_args!("{:#}", config::schema()))),
        Command::Healthcheck { ops: Some(ops), .. } => done(healthcheck(ops)),
        Command::Healthcheck { conf, .. } => match load(&conf, env) {
            Ok(Loaded { config, .. }) => match config.listen.ops {
                Some(ops) => done(healthcheck(ops)),
                None => done(Err("listen.ops is switched off: there is nobody to ask".into())),
            },
            Err(errors) => refused(&errors),
        },
    }
}

fn load(conf: &Conf, env: Environment) -> Result<Loaded, ConfigErrors> {
    config::load(conf.conf.as_deref(), env)
}

fn run(loaded: Loaded) -> u8 {
    let logging = match logging::init(&loaded.config.log) {
        Ok(logging) => logging,
        Err(e) => return done(Err(e.to_string())),
    };
    for warning in &loaded.warnings {
        tracing::warn!("configuration: {warning}");
    }
    let code = done(serve(loaded.config));
    drop(logging); // writes out the last lines
    code
}

fn check(loaded: &Result<Loaded, ConfigErrors>, json: bool) -> u8 {
    let steps = vec![check::configuration(loaded)];
    let report = check::Report::new(steps, loaded.as_ref().ok().map(|l| &l.config));
    let shown = if json {
        serde_json::to_string_pretty(&report).map_err(|e| e.to_string()).and_then(show)
    } else {
        show(report.to_string().trim_end())
    };
    match (loaded, report.ok, shown) {
        (Err(_), _, Ok(())) => CONFIGURATION,
        (Ok(_), true, Ok(())) => 0,
        _ => FAILED,
    }
}

fn keygen() -> Result<(), String> {
    let mut key = [0; 64];
    SystemRandom::new().fill(&mut key).map_err(|_| "the system gives no random numbers")?;
    show(STANDARD.encode(key))
}

fn healthcheck(ops: SocketAddr) -> Result<(), String> {
    let url = format!("http://{}/readyz", reachable(ops));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let answer = runtime.map_err(|e| e.to_string())?.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        client.get(&url).send().await
    });
    match answer {
        Ok(answer) if answer.status().is_success() => Ok(()),
        Ok(answer) => Err(format!("{url} answers {}", answer.status())),
        Err(e) => Err(format!("{url} does not answer: {}", innermost(&e))),
    }
}

/// "All addresses" is one to listen on, not one to ask.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

fn innermost(mut error: &dyn std::error::Error) -> String {
    while let Some(cause) = error.source() {
        error = cause;
    }
    error.to_string()
}

/// Hands over to the proxy.
fn serve(config: Config) -> Result<(), String> {
    wecom_gate::proxy::run(config).map_err(|e| e.to_string())
}

/// Flags of `demo`.
#[derive(Debug, clap::Args)]
struct DemoArgs {
    /// Port of the gate; another one is taken if it is in use
    #[arg(long, default_value_t = 8080)]
    port: u16,
    /// Where NocoBase is installed, or is to be; default: the cache of this user
    #[arg(long, value_name = "DIR", env = "WECOM_GATE_NOCOBASE")]
    nocobase: Option<PathBuf>,
    /// Folder for the demo's configuration and database; default: the cache of this user
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

/// Hands over to the demo.
fn demo(args: DemoArgs) -> Result<(), String> {
    let log = config::Log { format: config::LogFormat::Pretty, level: "info".into(), access_log: false };
    let _logging = logging::init(&log).map_err(|e| e.to_string())?;
    let options = wecom_gate::demo::Options { nocobase: args.nocobase, state: args.state, port: args.port };
    let mut out = io::stderr();
    runtime()?.block_on(wecom_gate::demo::run(options, &mut out)).map_err(|e| e.to_string())
}

/// Hands over to the simulator.
fn sim(args: SimArgs) -> Result<(), String> {
    runtime()?.block_on(wecom_gate::sim::run_cli(args)).map_err(|e| e.to_string())
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start threads: {e}"))
}

/// Prints what the command was asked for.
fn show(text: impl Display) -> Result<(), String> {
    writeln!(io::stdout(), "{text}").map_err(|e| format!("standard output: {e}"))
}

fn done(result: Result<(), String>) -> u8 {
    match result {
        Ok(()) => 0,
        Err(problem) => {
            let _ = writeln!(io::stderr(), "wecom-gate: {problem}");
            FAILED
        }
    }
}

fn refused(errors: &ConfigErrors) -> u8 {
    let _ = writeln!(io::stderr(), "wecom-gate: {errors}");
    CONFIGURATION
}
