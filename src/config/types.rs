//! The configuration as the rest of the program sees it: parsed, validated, with defaults filled in.

use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use schemars::JsonSchema;
use secrecy::{SecretSlice, SecretString};
use serde::{Deserialize, Serialize};

pub(crate) use crate::decide::Browsers;
pub use listen::Listen;
pub(crate) use listen::{Acme, CertificateFiles};
pub(crate) use nocobase::{Application, MatchBy, NocoBase, ProfileField, ServiceAccount, TokenDelivery};
pub(crate) use pages::Pages;
pub use wecom::EventKeys;
pub(crate) use wecom::{Group, RoleRule, WeComEntry};

mod listen;
mod nocobase;
mod pages;
mod wecom;

/// The whole configuration, validated.
#[derive(Debug, Clone)]
pub struct Config {
    /// What people open.
    pub(crate) origin: Origin,
    /// Where the gate listens.
    pub listen: Listen,
    /// NocoBase's nodes.
    pub(crate) upstream: Upstream,
    /// NocoBase's sign-in.
    pub(crate) nocobase: NocoBase,
    /// One entry per company or app; names are unique.
    pub(crate) wecom: Vec<WeComEntry>,
    /// Access without WeCom.
    pub(crate) access: Access,
    /// Session cookies.
    pub(crate) session: Session,
    /// The gate's own pages.
    pub(crate) pages: Pages,
    /// Logs.
    pub(crate) log: Log,
    /// Limits for one client.
    pub(crate) limits: Limits,
    /// Files of NocoBase's client.
    pub(crate) cache: Cache,
}

impl Config {
    /// The entry with this name.
    pub(crate) fn entry(&self, name: &str) -> Option<&WeComEntry> {
        self.wecom.iter().find(|e| e.name == name)
    }
    /// The names of all entries, of all applications.
    pub(crate) fn entry_names(&self) -> Vec<&str> {
        let of_apps = self.nocobase.apps.iter().flat_map(|app| &app.entries);
        self.wecom.iter().chain(of_apps).map(|entry| entry.name.as_str()).collect()
    }
    /// The configuration for one of `nocobase.apps`. Everything that lets clients pass without a session applies to
    /// `nocobase.app` only (R44), except the application's own rules; the same holds for roles.
    pub(crate) fn of_application(&self, app: &Application) -> Config {
        let mut config = self.clone();
        let nocobase = &mut config.nocobase;
        nocobase.app.clone_from(&app.name);
        nocobase.beside_others = true;
        nocobase.apps = Vec::new();
        nocobase.service = app.service.clone();
        nocobase.auto_create_user = app.auto_create_user;
        nocobase.default_roles.clone_from(&app.default_roles);
        match &app.host {
            Some(host) => {
                nocobase.own_host = true;
                config.origin.host.clone_from(host);
                config.wecom.clone_from(&app.entries);
            }
            None => {
                for entry in &mut config.wecom {
                    let own = app.roles.iter().filter(|(name, _)| *name == entry.name);
                    entry.roles = own.map(|(_, rule)| rule.clone()).collect();
                    entry.verify_files = Vec::new();
                    entry.events = None;
                }
            }
        }
        for entry in &mut config.wecom {
            entry.home.clone_from(&app.home);
            entry.home_mobile.clone_from(&app.home_mobile);
        }
        let access = &mut config.access;
        access.password_login = false;
        access.api_keys = false;
        access.public.clone_from(&app.public);
        access.preflights = false;
        access.bypass_networks = Vec::new();
        access.admins = Admins::default();
        access.forward_auth_secret = None;
        config
    }
    /// Does NocoBase's own password form pass?
    pub(crate) fn password_form(&self) -> bool {
        self.access.password_login || self.access.browsers == Browsers::NocoBase
    }
    /// The entry that signs members in automatically inside WeCom, if there is one.
    pub(crate) fn auto_entry(&self) -> Option<&WeComEntry> {
        self.wecom.iter().find(|e| e.auto_login)
    }
}

/// Scheme, host and port that people open; every absolute address that the gate creates is derived from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Origin {
    /// `https` (then cookies are `__Host-` and `Secure`) or `http`.
    pub(crate) https: bool,
    /// Lower-case host, without port.
    pub(crate) host: String,
    /// The port, unless it is the scheme's default.
    pub(crate) port: Option<u16>,
}

impl Origin {
    /// `https` or `http`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
    /// `host` or `host:port`, without a default port (WeCom compares them exactly).
    pub(crate) fn authority(&self) -> String {
        match self.port {
            Some(p) => format!("{}:{p}", self.host),
            None => self.host.clone(),
        }
    }
    /// `scheme://authority`, without a slash at the end.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}", self.scheme(), self.authority())
    }
}

/// `[upstream]`
#[derive(Debug, Clone)]
pub(crate) struct Upstream {
    /// `host:port` of each NocoBase node; names are resolved when the gate starts.
    pub(crate) nodes: Vec<String>,
    /// Time to open a connection.
    pub(crate) connect_timeout: Duration,
    /// Longest pause of NocoBase within one response.
    pub(crate) read_timeout: Duration,
    /// Time between two health checks of a node.
    pub(crate) health_interval: Duration,
    /// Concurrent requests to each node.
    pub(crate) max_requests: MaxRequests,
}

/// `upstream.max_requests`
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MaxRequests {
    /// As many as NocoBase can handle without becoming slower.
    Auto,
    /// This many.
    Fixed(usize),
    /// Any number.
    Unbounded,
}

/// `[access]`
#[derive(Debug, Clone)]
pub(crate) struct Access {
    /// Browsers outside WeCom.
    pub(crate) browsers: Browsers,
    /// Show a link to NocoBase's password form on the gate's sign-in page; users who sign in there pass.
    pub(crate) password_login: bool,
    /// NocoBase API keys pass.
    pub(crate) api_keys: bool,
    /// `METHOD /path` rules that pass without a session, as written (see `decide::rules`).
    pub(crate) public: Vec<String>,
    /// CORS preflights of API paths pass without a session.
    pub(crate) preflights: bool,
    /// Links to files with `temporaryAccessToken` pass without a session.
    pub(crate) temporary_file_links: bool,
    /// Networks that pass without a session.
    pub(crate) bypass_networks: Vec<IpNet>,
    /// Who may see the console.
    pub(crate) admins: Admins,
    /// Peers whose `X-Forwarded-For` counts.
    pub(crate) trusted_proxies: Vec<IpNet>,
    /// The secret with which a trusted proxy gets NocoBase's token from `/wecom-gate/auth`.
    pub(crate) forward_auth_secret: Option<SecretString>,
}

impl Access {
    /// Is there a console?
    pub(crate) fn has_admins(&self) -> bool {
        !self.admins.members.is_empty() || !self.admins.roles.is_empty()
    }
}

/// `access.admins`
#[derive(Debug, Clone, Default)]
pub(crate) struct Admins {
    /// Members: name of the entry and userid.
    pub(crate) members: Vec<(String, String)>,
    /// Names of NocoBase's roles.
    pub(crate) roles: Vec<String>,
}

impl Admins {
    /// Does the configuration name this member? WeCom's userids are case-insensitive.
    pub(crate) fn names(&self, entry: &str, userid: &str) -> bool {
        self.members.iter().any(|(e, u)| e == entry && u.eq_ignore_ascii_case(userid))
    }
}

/// `[session]`
#[derive(Debug, Clone)]
pub(crate) struct Session {
    /// 64 bytes each; the first seals, all open.
    pub(crate) keys: Vec<SecretSlice<u8>>,
    /// Common prefix of the names of the gate's cookies.
    pub(crate) cookie_name: String,
    /// A session ends after this long without a request.
    pub(crate) idle: Duration,
    /// A session ends this long after sign-in.
    pub(crate) absolute: Duration,
    /// How often a session in use is checked again with NocoBase and WeCom.
    pub(crate) recheck: Duration,
    /// How often a member is looked up in WeCom instead, while WeCom's events arrive.
    pub(crate) recheck_with_events: Option<Duration>,
    /// Redis, in which the nodes of the gate share state.
    pub(crate) redis: Option<Redis>,
}

/// `session.redis`
#[derive(Debug, Clone)]
pub(crate) struct Redis {
    /// Includes the password, if there is one.
    pub(crate) url: SecretString,
    /// The same for display: `host:port`, or the path of the socket.
    pub(crate) address: String,
}

/// Format of the log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// Text for people to read.
    Pretty,
}

/// `[log]`
#[derive(Debug, Clone)]
pub struct Log {
    /// Format of the lines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or a directive for `tracing`'s `EnvFilter`.
    pub level: String,
    /// One line per request.
    pub access_log: bool,
    /// The audit log's own file.
    pub audit_file: Option<PathBuf>,
}

/// `[cache]`
#[derive(Debug, Clone)]
pub(crate) struct Cache {
    /// Bytes; 0: nothing is cached.
    pub(crate) memory: u64,
}

/// `[limits]`
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// Largest request head, in bytes.
    pub(crate) header_bytes: usize,
    /// Largest request body, in bytes; `None`: no limit.
    pub(crate) body_bytes: Option<u64>,
    /// Most open connections, over all public listeners.
    pub(crate) connections: usize,
    /// Longest time from the first byte of a request to the end of its head.
    pub(crate) head_timeout: Duration,
    /// How long a connection may wait for its next request.
    pub(crate) keepalive_timeout: Duration,
    /// Longest pause of a client that sends a body, or does not read a response.
    pub(crate) body_timeout: Duration,
    /// Sign-ins that one address may begin within a minute; 0: no limit.
    pub(crate) sign_ins_per_minute: u32,
    /// Rejected callbacks that one address may send within a minute; 0: no limit.
    pub(crate) bad_callbacks_per_minute: u32,
    /// Sign-ins in progress at once.
    pub(crate) sign_ins_at_once: usize,
}
