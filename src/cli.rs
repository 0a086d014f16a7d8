//! Commands, their options and exit codes. Messages for the person at the keyboard go to standard error, what a
//! command is asked to print (and the logs of `run`) to standard output.

use std::ffi::OsString;
use std::fmt::Display;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

use clap::{Args, CommandFactory, Parser, Subcommand};
use wecom_gate::admin::{self, AdminError, Request, Which};
use wecom_gate::check;
use wecom_gate::config::{self, ConfigErrors, Loaded};
use wecom_gate::init::{self, InitError};
use wecom_gate::server::{self, Reread};

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
    ///
    /// Signals: SIGTERM or SIGINT ends it when the requests in flight have ended, a second one at once; SIGHUP reads configuration
    /// and certificates again; SIGUSR2 lets the program as it is on disk take over.
    #[command(after_long_help = "Examples:\n  wecom-gate run --conf /etc/wecom-gate/wecom-gate.toml")]
    Run(Conf),
    /// Set everything up: ask, try each answer, make what is missing, check
    ///
    /// Makes the gate's role and user in NocoBase, the session key, the files with secrets and the configuration, then runs
    /// `check` and prints the steps for WeCom's console. Started again, it repairs and never duplicates. The account of
    /// NocoBase's administrator is used and not stored. Exit code 0 if the gate can be started, 1 if something failed.
    #[command(
        after_long_help = "Examples:\n  sudo wecom-gate init\n  sudo wecom-gate init --dry-run\n  sudo wecom-gate init --yes --origin https://nocobase.example.com --nocobase-account admin@nocobase.com --nocobase-password-file password --corp-id ww0123456789abcdef --agent-id 1000002 --secret-file secret"
    )]
    Init(Box<init::Given>),
    /// Check every step of setting up, and print the links for WeCom's console
    ///
    /// Asks WeCom and NocoBase, changes nothing there. Each step that fails shows what to do; docs/check.md describes
    /// the steps. Exit code 0 if none failed, 78 if the configuration is wrong, 1 if another step failed.
    #[command(
        after_long_help = "Examples:\n  wecom-gate check --conf /etc/wecom-gate/wecom-gate.toml\n  wecom-gate check --conf /etc/wecom-gate/wecom-gate.toml --member zhangsan\n  wecom-gate check --json | jq .steps"
    )]
    Check {
        #[command(flatten)]
        conf: Conf,
        /// Print the result as JSON
        #[arg(long)]
        json: bool,
        /// Send no request: look at the configuration and its files only
        #[arg(long)]
        offline: bool,
        /// Try the sign-in of this member, without writing anything
        #[arg(long, value_name = "[ENTRY/]USERID", conflicts_with = "offline")]
        member: Option<String>,
    },
    /// Who is signed in, and showing people out
    ///
    /// Straight against NocoBase with the gate's configuration; no gate needs to run. Exit code 1 if NocoBase refuses or does
    /// not respond, or nobody is known by that name.
    #[command(
        after_long_help = "Examples:\n  wecom-gate sessions list --conf /etc/wecom-gate/wecom-gate.toml\n  wecom-gate sessions end --member zhangsan --yes"
    )]
    Sessions {
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Which NocoBase user a member is, and taking that binding away
    ///
    /// Straight against NocoBase with the gate's configuration; no gate needs to run. `check --member` tries a sign-in.
    #[command(
        after_long_help = "Examples:\n  wecom-gate members show zhangsan --conf /etc/wecom-gate/wecom-gate.toml\n  wecom-gate members unbind zhangsan --as-user 1"
    )]
    Members {
        #[command(subcommand)]
        command: MembersCommand,
    },
    /// Print a fresh key for `session.keys`: 64 random bytes in base64
    #[command(after_long_help = "Examples:\n  wecom-gate keygen > /etc/wecom-gate/session.key")]
    Keygen,
    /// Make a certificate for development: privkey.pem and fullchain.pem, signed by itself
    ///
    /// For trying out on one machine; phones and WeCom refuse it. certs/README.md describes how to get a real one.
    #[command(
        after_long_help = "Examples:\n  wecom-gate certs --dir certs\n  wecom-gate certs --dir certs gate.test *.gate.test"
    )]
    Certs {
        /// Where to write the two files; it is made where it is not there, and files are never overwritten
        #[arg(long, value_name = "DIR", default_value = "certs")]
        dir: PathBuf,
        /// Host names and addresses
        #[arg(value_name = "NAME", default_values = ["localhost", "127.0.0.1", "::1"])]
        names: Vec<String>,
    },
    /// Print the JSON schema of the configuration file
    #[command(after_long_help = "Examples:\n  wecom-gate schema > wecom-gate.schema.json")]
    Schema {
        /// Print the reference of all keys as Markdown instead
        #[arg(long, hide = true)]
        markdown: bool,
    },
    /// Ask the running gate whether it is ready: exit code 0 or 1
    ///
    /// For containers. Asks /readyz at `listen.ops`.
    #[command(
        after_long_help = "Examples:\n  wecom-gate healthcheck --conf /etc/wecom-gate/wecom-gate.toml\n  wecom-gate healthcheck --ops 127.0.0.1:9090"
    )]
    Healthcheck {
        #[command(flatten)]
        conf: Conf,
        /// Ask at this address instead of reading the configuration
        #[arg(long, value_name = "IP:PORT")]
        ops: Option<SocketAddr>,
    },
    /// Print what a shell needs to complete this command's words
    #[command(
        after_long_help = "Examples:\n  wecom-gate completions bash > /usr/share/bash-completion/completions/wecom-gate\n  wecom-gate completions zsh > /usr/local/share/zsh/site-functions/_wecom-gate\n  wecom-gate completions fish > /usr/share/fish/vendor_completions.d/wecom-gate.fish"
    )]
    Completions {
        /// Which shell
        shell: ShellName,
    },
    /// Print the manual page, or write those of all commands into a folder
    #[command(
        after_long_help = "Examples:\n  wecom-gate man | man -l -\n  wecom-gate man --dir /usr/local/share/man/man1"
    )]
    Man {
        /// Write wecom-gate.1, wecom-gate-check.1 and the others here
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
    },
}

#[derive(Subcommand)]
enum SessionsCommand {
    /// List the sessions that NocoBase accepts, the newest first
    List {
        /// Of this member only
        #[arg(long, value_name = "USERID")]
        member: Option<String>,
        #[command(flatten)]
        options: AdminOptions,
    },
    /// End sessions: NocoBase blocks them at once, and the nodes of the gate follow
    ///
    /// A node of the gate notices with the next call to NocoBase's API, within a second with `session.redis`, and within
    /// `session.recheck` in any case.
    #[command(group(clap::ArgGroup::new("which").required(true).args(["member", "session", "all"])))]
    End {
        /// All sessions of this member
        #[arg(long, value_name = "USERID")]
        member: Option<String>,
        /// The session whose id begins like this
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// Everybody's
        #[arg(long)]
        all: bool,
        /// Really: without, the sessions are shown and go on
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        options: AdminOptions,
    },
}

#[derive(Subcommand)]
enum MembersCommand {
    /// Show a member's binding, NocoBase user, roles and sessions
    Show {
        /// As WeCom spells it
        #[arg(value_name = "USERID")]
        member: String,
        #[command(flatten)]
        options: AdminOptions,
    },
    /// Take a member's binding away and end the member's sessions: the next tap matches again
    Unbind {
        /// As WeCom spells it
        #[arg(value_name = "USERID")]
        member: String,
        #[command(flatten)]
        options: AdminOptions,
    },
}

#[derive(Args)]
struct AdminOptions {
    #[command(flatten)]
    conf: Conf,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
    /// Name of the [[wecom]] entry, where there are several
    #[arg(long, value_name = "ENTRY")]
    wecom: Option<String>,
    /// Name of the NocoBase application, where there are several
    #[arg(long, value_name = "NAME")]
    app: Option<String>,
    /// Work as this NocoBase user instead of the service account
    #[arg(long, value_name = "ID")]
    as_user: Option<u64>,
}

/// Shells with completions.
#[derive(Clone, Copy, clap::ValueEnum)]
enum ShellName {
    Bash,
    Zsh,
    Fish,
}

#[derive(Args)]
struct Conf {
    /// The configuration file (TOML)
    ///
    /// Without it the configuration is taken from the environment alone, WECOM_GATE__SECTION__KEY.
    #[arg(long, value_name = "FILE", env = "WECOM_GATE_CONF")]
    conf: Option<PathBuf>,
}

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
                None => done(Err("listen.ops is switched off: the gate cannot be asked".into())),
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
        Ok(Ok(text)) => done(show(text.trim_end())),
        Ok(Err(problem @ AdminError::Usage(_))) => {
            let _ = writeln!(io::stderr(), "wecom-gate: {problem}");
            USAGE
        }
        Ok(Err(problem @ AdminError::Failed(_))) => done(Err(problem.to_string())),
        Err(problem) => done(Err(problem)),
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
        // Never over a key that is there: it may be a real one.
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

/// Makes the folder, where it is not there.
fn make_folder(dir: &Path) -> Result<(), String> {
    std::fs::create_dir_all(dir).map_err(|e| format!("{}: {e}", dir.display()))
}

fn healthcheck(ops: SocketAddr) -> Result<(), String> {
    let url = format!("http://{}/readyz", reachable(ops));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let response = runtime.map_err(|e| e.to_string())?.block_on(async {
        let client = reqwest::Client::builder().no_proxy().timeout(PATIENCE).build()?;
        client.get(&url).send().await
    });
    match response {
        Ok(response) if response.status().is_success() => Ok(()),
        Ok(response) => Err(format!("{url} answers {}", response.status())),
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
