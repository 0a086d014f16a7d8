//! The commands and their options, as clap reads them: their texts are what `--help` and the man pages show.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use wecom_gate::init;

/// Signs the members of a WeCom company into NocoBase: a reverse proxy that stands in front of it.
///
/// Exit codes: 0 success, 1 failed, 64 wrong usage, 78 wrong configuration.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Subcommand)]
pub(super) enum Command {
    /// Run the gate
    ///
    /// Signals: SIGTERM or SIGINT stops the gate after the requests in flight, a second one at once; SIGHUP reloads configuration
    /// and certificates; SIGUSR2 hands over to the program that is now on disk.
    #[command(after_long_help = "Examples:\n  wecom-gate run --conf /etc/wecom-gate/wecom-gate.toml")]
    Run(Conf),
    /// Set everything up: ask, try each answer, create what is missing, check
    ///
    /// Creates the gate's role and user in NocoBase, the session key, the files with secrets and the configuration, then runs
    /// `check` and prints the steps for WeCom's console. Run again, it repairs and never duplicates. The account of
    /// NocoBase's administrator is used but not stored. Exit code 0 if the gate can be started, 1 if something failed.
    #[command(
        after_long_help = "Examples:\n  sudo wecom-gate init\n  sudo wecom-gate init --dry-run\n  sudo wecom-gate init --yes --origin https://nocobase.example.com --nocobase-account admin@nocobase.com --nocobase-password-file password --corp-id ww0123456789abcdef --agent-id 1000002 --secret-file secret"
    )]
    Init(Box<init::Given>),
    /// Check every step of the setup, and print the links for WeCom's console
    ///
    /// Calls WeCom and NocoBase, and changes nothing there. Each step that fails shows what to do; docs/check.md describes
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
        /// Send no requests: check the configuration and its files only
        #[arg(long)]
        offline: bool,
        /// Try the sign-in of this member, without writing anything
        #[arg(long, value_name = "[ENTRY/]USERID", conflicts_with = "offline")]
        member: Option<String>,
    },
    /// List sessions, and end them
    ///
    /// Calls NocoBase's API with the gate's configuration; the gate need not run. Exit code 1 if NocoBase refuses or does not
    /// respond, or there is no such member or session.
    #[command(
        after_long_help = "Examples:\n  wecom-gate sessions list --conf /etc/wecom-gate/wecom-gate.toml\n  wecom-gate sessions end --member zhangsan --yes"
    )]
    Sessions {
        #[command(subcommand)]
        command: SessionsCommand,
    },
    /// Show which NocoBase user a member is bound to, or remove the binding
    ///
    /// Calls NocoBase's API with the gate's configuration; the gate need not run. `check --member` tries a sign-in.
    #[command(
        after_long_help = "Examples:\n  wecom-gate members show zhangsan --conf /etc/wecom-gate/wecom-gate.toml\n  wecom-gate members unbind zhangsan --as-user 1"
    )]
    Members {
        #[command(subcommand)]
        command: MembersCommand,
    },
    /// Close the app for maintenance, or open it again
    ///
    /// Meanwhile people see a page, and programs get 503. Creates or removes the file of `pages.maintenance_file`; the gates on
    /// this machine follow within a second. Signing out, the console and `listen.ops` go on. Exit code 1 if the file cannot be
    /// created or removed.
    #[command(
        after_long_help = "Examples:\n  sudo wecom-gate maintenance on \"Back at 14:00\" --conf /etc/wecom-gate/wecom-gate.toml\n  sudo wecom-gate maintenance off --conf /etc/wecom-gate/wecom-gate.toml"
    )]
    Maintenance {
        /// What to do
        action: MaintenanceAction,
        /// With `on`: what people read on the page, up to 500 characters
        #[arg(value_name = "TEXT")]
        text: Option<String>,
        #[command(flatten)]
        conf: Conf,
    },
    /// Print a new key for `session.keys`: 64 random bytes in base64
    #[command(after_long_help = "Examples:\n  wecom-gate keygen > /etc/wecom-gate/session.key")]
    Keygen,
    /// Create a self-signed certificate for development: privkey.pem and fullchain.pem
    ///
    /// For tests on one machine; phones and WeCom refuse it. certs/README.md describes how to get a real one.
    #[command(
        after_long_help = "Examples:\n  wecom-gate certs --dir certs\n  wecom-gate certs --dir certs gate.test *.gate.test"
    )]
    Certs {
        /// Folder for the two files; created if it does not exist. Files are never overwritten
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
    /// For containers. Requests /readyz at `listen.ops`.
    #[command(
        after_long_help = "Examples:\n  wecom-gate healthcheck --conf /etc/wecom-gate/wecom-gate.toml\n  wecom-gate healthcheck --ops 127.0.0.1:9090"
    )]
    Healthcheck {
        #[command(flatten)]
        conf: Conf,
        /// Use this address instead of reading the configuration
        #[arg(long, value_name = "IP:PORT")]
        ops: Option<SocketAddr>,
    },
    /// Print a completion script for a shell
    #[command(
        after_long_help = "Examples:\n  wecom-gate completions bash > /usr/share/bash-completion/completions/wecom-gate\n  wecom-gate completions zsh > /usr/local/share/zsh/site-functions/_wecom-gate\n  wecom-gate completions fish > /usr/share/fish/vendor_completions.d/wecom-gate.fish"
    )]
    Completions {
        /// Which shell
        shell: ShellName,
    },
    /// Print the manual page, or write those of all commands to a folder
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
pub(super) enum SessionsCommand {
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
    /// A node of the gate notices at the session's next call to NocoBase's API and within `session.recheck` at the latest; with
    /// `session.redis`, within a second.
    #[command(group(clap::ArgGroup::new("which").required(true).args(["member", "session", "all"])))]
    End {
        /// All sessions of this member
        #[arg(long, value_name = "USERID")]
        member: Option<String>,
        /// The session whose id begins with this
        #[arg(long, value_name = "ID")]
        session: Option<String>,
        /// All sessions of everybody
        #[arg(long)]
        all: bool,
        /// End them; without this option they are only shown
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        options: AdminOptions,
    },
}

#[derive(Subcommand)]
pub(super) enum MembersCommand {
    /// Show a member's binding, NocoBase user, roles and sessions
    Show {
        /// As WeCom spells it
        #[arg(value_name = "USERID")]
        member: String,
        #[command(flatten)]
        options: AdminOptions,
    },
    /// Remove a member's binding and end the member's sessions; the next sign-in matches again
    Unbind {
        /// As WeCom spells it
        #[arg(value_name = "USERID")]
        member: String,
        #[command(flatten)]
        options: AdminOptions,
    },
}

#[derive(Args)]
pub(super) struct AdminOptions {
    #[command(flatten)]
    pub(super) conf: Conf,
    /// Print the result as JSON
    #[arg(long)]
    pub(super) json: bool,
    /// Name of the [[wecom]] entry, where there are several
    #[arg(long, value_name = "ENTRY")]
    pub(super) wecom: Option<String>,
    /// Name of the NocoBase application, where there are several
    #[arg(long, value_name = "NAME")]
    pub(super) app: Option<String>,
    /// Work as this NocoBase user instead of the service account
    #[arg(long, value_name = "ID")]
    pub(super) as_user: Option<u64>,
}

/// What `maintenance` does.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum MaintenanceAction {
    /// Close the app
    On,
    /// Open it again
    Off,
    /// Show whether it is closed
    Status,
}

/// Shells with completions.
#[derive(Clone, Copy, clap::ValueEnum)]
pub(super) enum ShellName {
    Bash,
    Zsh,
    Fish,
}

#[derive(Args)]
pub(super) struct Conf {
    /// The configuration file (TOML)
    ///
    /// Without it the configuration is taken from the environment alone, WECOM_GATE__SECTION__KEY.
    #[arg(long, value_name = "FILE", env = "WECOM_GATE_CONF")]
    pub(super) conf: Option<PathBuf>,
}
