//! Commands, their options and exit codes. Messages for the user go to standard error; what a command prints (and the logs of
//! `run`) go to standard output.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{CommandFactory as _, Parser as _};
use wecom_gate::admin::{self, AdminError, Request, Which};
use wecom_gate::check;
use wecom_gate::config::{self, ConfigErrors, Loaded};
use wecom_gate::init::{self, InitError};
use wecom_gate::server::{self, Reread};

mod arguments;

use arguments::{
    AdminOptions, Cli, Command, Conf, MaintenanceAction, MembersCommand, SessionsCommand, ShellName,
};

/// Something failed that is neither usage nor configuration.
const FAILED: u8 = 1;
/// `EX_USAGE` of sysexits.h.
const USAGE: u8 = 64;
/// `EX_CONFIG` of sysexits.h.
const CONFIGURATION: u8 = 78;
/// Time limit of `healthcheck`.
const TIMEOUT: Duration = Duration::from_secs(3);

type Environment = Vec<(String, String)>;

/// Runs the command of the arguments.
pub(crate) fn main(args: impl IntoIterator<Item = OsString>, env: Environment) -> ExitCode {
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
        Command::Run(conf) => match load(&conf, env.clone()) {
            Ok(loaded) => {
                let path = conf.conf.clone();
                run(loaded, path.as_deref(), std::sync::Arc::new(move || load(&conf, env.clone())))
            }
            Err(errors) => refused(&errors),
        },
        Command::Check { conf, json, offline, member } => self::check(
            &load(&conf, env),
            json,
            &check::Options { offline, member, ..check::Options::default() },
        ),
        Command::Init(given) => init(&given, &env),
        Command::Sessions { command } => {
            let (request, options) = match command {
                SessionsCommand::List { member, options } => (Request::ListSessions { member }, options),
                SessionsCommand::End { member, session, yes, options, .. } => {
                    let which = match (member, session) {
                        (Some(member), _) => Which::Member(member),
                        (None, Some(session)) => Which::Session(session),
                        (None, None) => Which::All,
                    };
                    (Request::EndSessions { which, yes }, options)
                }
            };
            admin(&request, options, env)
        }
        Command::Members { command } => {
            let (request, options) = match command {
                MembersCommand::Show { member, options } => (Request::ShowMember { member }, options),
                MembersCommand::Unbind { member, options } => (Request::UnbindMember { member }, options),
            };
            admin(&request, options, env)
        }
        Command::Maintenance { action, text, conf } => maintenance(action, text, &conf, env),
        Command::Keygen => done(keygen()),
        Command::Certs { dir, names } => done(certs(&dir, names)),
        Command::Schema { markdown: true } => done(show(config::markdown().trim_end())),
        Command::Schema { markdown: false } => done(show(format_args!("{:#}", config::schema()))),
        Command::Completions { shell } => done(completions(shell)),
        Command::Man { dir } => done(man(dir.as_deref())),
        Command::Healthcheck { ops: Some(ops), .. } => done(healthcheck(ops)),
        Command::Healthcheck { conf, .. } => match load(&conf, env) {
            Ok(Loaded { config, .. }) => match config.listen.ops {
                Some(ops) => done(healthcheck(ops)),
                None => done(Err("listen.ops is switched off, so there is nothing to ask".into())),
            },
            Err(errors) => refused(&errors),
        },
    }
}

fn load(conf: &Conf, env: Environment) -> Result<Loaded, ConfigErrors> {
    config::load(conf.conf.as_deref(), env)
}

fn run(loaded: Loaded, conf: Option<&Path>, reread: Reread) -> u8 {
    done(server::run(loaded, conf, reread).map_err(|e| e.to_string()))
}

fn check(loaded: &Result<Loaded, ConfigErrors>, json: bool, options: &check::Options) -> u8 {
    let mut printer = (!json).then(check::Printer::default);
    let report = runtime().and_then(|runtime| {
        let report = runtime.block_on(check::run(loaded, options, printer.as_mut()));
        report.map_err(|e| format!("standard output: {e}"))
    });
    let shown = report.and_then(|report| {
        if json {
            show(serde_json::to_string_pretty(&report).map_err(|e| e.to_string())?)?;
        }
        Ok(report.ok)
    });
    match (loaded, shown) {
        (Err(_), Ok(_)) => CONFIGURATION,
        (Ok(_), Ok(true)) => 0,
        (Ok(_), Ok(false)) => FAILED,
        (_, Err(problem)) => done(Err(problem)),
    }
}

fn init(given: &init::Given, env: &[(String, String)]) -> u8 {
    match runtime().map(|runtime| runtime.block_on(init::run(given, env))) {
        Ok(Ok(true)) => 0,
        Ok(Ok(false)) => FAILED,
        Ok(Err(problem @ (InitError::Missing(_) | InitError::Option { .. } | InitError::NoTerminal))) => {
            let _ = writeln!(io::stderr(), "wecom-gate: {problem}");
            USAGE
        }
        Ok(Err(problem)) => done(Err(problem.to_string())),
        Err(problem) => done(Err(problem)),
    }
}

fn admin(request: &Request, options: AdminOptions, env: Environment) -> u8 {
    let AdminOptions { conf, json, wecom, app, as_user } = options;
    let name = |key: &str| Some(env.iter().find(|(k, _)| k == key)?.1.clone()).filter(|v| !v.is_empty());
    let by = name("SUDO_USER").or_else(|| name("USER")).unwrap_or_else(|| "an unnamed user".into());
    let options = admin::Options { json, entry: wecom, app, as_user, by };
    let config = match load(&conf, env) {
        Ok(Loaded { config, .. }) => config,
        Err(errors) => return refused(&errors),
    };
    match runtime().map(|runtime| runtime.block_on(admin::run(&config, request, &options))) {
        Ok(result) => printed(result),
        Err(problem) => done(Err(problem)),
    }
}

fn maintenance(action: MaintenanceAction, text: Option<String>, conf: &Conf, env: Environment) -> u8 {
    let request = match action {
        MaintenanceAction::On => admin::Maintenance::On(text),
        _ if text.is_some() => {
            let _ = writeln!(io::stderr(), "wecom-gate: a text goes with `on` only");
            return USAGE;
        }
        MaintenanceAction::Off => admin::Maintenance::Off,
        MaintenanceAction::Status => admin::Maintenance::Status,
    };
    match load(conf, env) {
        Ok(Loaded { config, .. }) => printed(admin::maintenance(&config, &request)),
        Err(errors) => refused(&errors),
    }
}

/// Prints the result of an administrator's command.
fn printed(result: Result<String, AdminError>) -> u8 {
    match result {
        Ok(text) => done(show(text.trim_end())),
        Err(problem @ AdminError::Usage(_)) => {
            let _ = writeln!(io::stderr(), "wecom-gate: {problem}");
            USAGE
        }
        Err(problem @ AdminError::Failed(_)) => done(Err(problem.to_string())),
    }
}

fn keygen() -> Result<(), String> {
    show(init::new_session_key().map_err(|e| e.to_string())?)
}

fn certs(dir: &Path, names: Vec<String>) -> Result<(), String> {
    let failed = |e: rcgen::Error| format!("certificate: {e}");
    let mut params = rcgen::CertificateParams::new(names).map_err(failed)?;
    let today = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let year = today.get(..4).and_then(|year| year.parse().ok()).ok_or("this clock has no year")?;
    params.not_before = rcgen::date_time_ymd(year, 1, 1);
    params.not_after = rcgen::date_time_ymd(year + 2, 1, 1);
    let key = rcgen::KeyPair::generate().map_err(failed)?;
    make_folder(dir)?;
    let cert = params.self_signed(&key).map_err(failed)?;
    for (name, text, mode) in
        [("privkey.pem", key.serialize_pem(), 0o600), ("fullchain.pem", cert.pem(), 0o644)]
    {
        let path = dir.join(name);
        // Never overwrites an existing key: it may be in use.
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path);
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .map_err(|e| format!("{}: {e}", path.display()))?;
        show(path.display())?;
    }
    Ok(())
}

fn completions(shell: ShellName) -> Result<(), String> {
    let shell = match shell {
        ShellName::Bash => clap_complete::Shell::Bash,
        ShellName::Zsh => clap_complete::Shell::Zsh,
        ShellName::Fish => clap_complete::Shell::Fish,
    };
    // Into memory first: clap_complete panics where it cannot write.
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "wecom-gate", &mut text);
    io::stdout().write_all(&text).map_err(|e| format!("standard output: {e}"))
}

fn man(dir: Option<&Path>) -> Result<(), String> {
    let command = Cli::command().name("wecom-gate");
    match dir {
        Some(dir) => {
            make_folder(dir)?;
            clap_mangen::generate_to(command, dir).map_err(|e| format!("{}: {e}", dir.display()))
        }
        None => clap_mangen::Man::new(command)
            .render(&mut io::stdout())
            .map_err(|e| format!("standard output: {e}")),
    }
}

/// Creates the folder if it does not exist.
fn make_folder(dir: &Path) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))
}

fn healthcheck(ops: SocketAddr) -> Result<(), String> {
    let url = format!("http://{}/readyz", reachable(ops));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let response = runtime.map_err(|e| e.to_string())?.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build()?;
        client.get(&url).send().await
    });
    match response {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("{url} answers {}", response.status())),
        Err(e) => Err(format!("{url} does not answer: {}", innermost(&e))),
    }
}

/// A server may listen on the unspecified address, but no client can connect to it.
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

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| format!("cannot start threads: {e}"))
}

/// Prints a command's output.
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
