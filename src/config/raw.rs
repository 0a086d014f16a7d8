//! The TOML file as it is written, before anything is checked: every key, its default and the text that
//! explains it. The JSON schema and `docs/configuration.md` are made from these types and comments, so the
//! comments here are written for the person who fills in the file.
//!
//! Text that is empty counts as not given. Nothing here implements `Debug`: these types hold secrets.

mod acme;
mod application;
mod pages;
mod values;
mod wecom;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::types::{Browsers, LogFormat, MatchBy, ProfileField, TokenDelivery};
pub(super) use acme::Acme;
pub(super) use application::Application;
pub(super) use pages::{Help, Pages};
pub(super) use values::{MaxRequests, Size};
use values::{max_requests_schema, size_schema};
pub(super) use wecom::{Role, WeCom};

/// The configuration of `wecom-gate`.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "wecom-gate")]
pub(super) struct Raw {
    /// **Required.** Scheme and host (and port) that people open, such as `https://nocobase.example.com`;
    /// "Origin" in NocoBase's WeCom settings. Every absolute URL that the gate creates begins with it.
    pub origin: String,
    /// Where the gate listens.
    pub listen: Listen,
    /// NocoBase's nodes.
    pub upstream: Upstream,
    /// NocoBase's tokens and accounts.
    pub nocobase: NocoBase,
    /// One `[[wecom]]` block per app of a company; at least one is required.
    pub wecom: Vec<WeCom>,
    /// Access without WeCom.
    pub access: Access,
    /// Session cookies.
    pub session: Session,
    /// The gate's own pages.
    pub pages: Pages,
    /// Logs.
    pub log: Log,
    /// Limits for clients.
    pub limits: Limits,
    /// NocoBase's files, kept and compressed once for all members.
    pub cache: Cache,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Listen {
    /// Addresses for plain HTTP. `["0.0.0.0:8080"]` when neither `http` nor `https` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub http: Option<Vec<String>>,
    /// Addresses for TLS (HTTP/1.1 and HTTP/2); needs `cert` and `key`, or `[listen.acme]`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub https: Option<Vec<String>>,
    /// File with the certificate chain (PEM), the host's own certificate first.
    pub cert: String,
    /// File with the private key (PEM).
    pub key: String,
    /// Redirect plain HTTP to `origin`, except requests that a trusted proxy has received over TLS
    /// (`X-Forwarded-Proto: https`) and WeCom's verification files.
    pub redirect_http: bool,
    /// More certificates. A client gets the one for the name that it requests (SNI), or `cert` if none matches.
    pub certificates: Vec<Certificate>,
    /// A certificate that the gate orders and renews itself, in place of `cert` and `key`. The section counts as soon as it is
    /// there, even if it is empty. Using it means agreeing to the authority's terms of service. See [install.md](install.md#8-tls).
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Acme")]
    pub acme: Option<Acme>,
    /// The operator's listener (`/livez`, `/readyz`, `/servez`, `/metrics`, `/version`); `""` switches it off.
    pub ops: String,
}

impl Default for Listen {
    fn default() -> Self {
        Self {
            http: None,
            https: None,
            cert: String::new(),
            key: String::new(),
            redirect_http: false,
            certificates: Vec::new(),
            acme: None,
            ops: "127.0.0.1:9090".into(),
        }
    }
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Certificate {
    /// File with the certificate chain (PEM), the host's own certificate first.
    pub cert: String,
    /// File with its private key (PEM).
    pub key: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Upstream {
    /// **Required.** `host:port` of NocoBase, 64 at most; requests are distributed over the healthy ones.
    pub nodes: Vec<String>,
    /// Longest time to open a connection to NocoBase.
    pub connect_timeout: String,
    /// Longest pause of NocoBase within one response.
    pub read_timeout: String,
    /// Time between two health checks (`GET /api/__health_check`) of a node.
    pub health_interval: String,
    /// Most requests to each node at once, those of the gate itself included; `"auto"` finds out how many NocoBase does without
    /// becoming slower, `0` is any number. Further requests wait up to three seconds, calls of a sign-in up to eight; one place in
    /// 16 is kept for people who are signed in. WebSockets, and responses that have begun, do not count.
    #[schemars(schema_with = "max_requests_schema")]
    pub max_requests: MaxRequests,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            connect_timeout: "3s".into(),
            read_timeout: "5m".into(),
            health_interval: "2s".into(),
            max_requests: MaxRequests::Text("auto".into()),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct NocoBase {
    /// **Required** (or the file). The secret of NocoBase's tokens, its `APP_KEY`; at least 8 bytes.
    #[schemars(extend("writeOnly" = true))]
    pub jwt_secret: String,
    /// File that holds `jwt_secret`, such as NocoBase's `storage/apps/main/jwt_secret.dat`. A file of
    /// printable ASCII is read as text without the newlines at its end, any other as raw bytes.
    pub jwt_secret_file: String,
    /// An API key of NocoBase, for the account that finds, creates and binds users. Either this or
    /// `service_user` is **required**.
    #[schemars(extend("writeOnly" = true))]
    pub service_token: String,
    /// File that holds `service_token`.
    pub service_token_file: String,
    /// Id of the NocoBase user for whom the gate makes its own token, instead of `service_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub service_user: Option<u64>,
    /// Name of NocoBase's application.
    pub app: String,
    /// NocoBase's `APP_PUBLIC_PATH`; begins and ends with `/`.
    pub public_path: String,
    /// What the browser gets in place of a token.
    pub token_delivery: TokenDelivery,
    /// How a member without a binding is matched with a NocoBase user, tried in this order.
    /// WeCom verifies phone numbers. Of e-mail addresses only the company's own (`biz_mail`) counts, not the one
    /// that members enter. User names may have been registered in NocoBase by another person.
    pub match_by: Vec<MatchBy>,
    /// Create a NocoBase user for a member who matches none.
    pub auto_create_user: bool,
    /// Let a member who matches no user show once, by account and password of NocoBase's own sign-in, which user is theirs; that user is
    /// then bound to them. Not for users with the role `root` or `admin`, and not together with `nocobase.apps`, since the form does not
    /// name an application.
    pub link_by_password: bool,
    /// Roles of users that the gate creates; empty: NocoBase's default role. With `[[wecom.roles]]`, also the roles of a
    /// user who would be left without any.
    pub default_roles: Vec<String>,
    /// Fields of the NocoBase user that each sign-in updates from WeCom: `nickname` (the member's name), `email` (the company's
    /// `biz_mail`, if WeCom returns it without asking the member). The service account needs Update with these fields on
    /// `users`. If an update fails, the member is signed in nevertheless. There is no picture: NocoBase's users have no field for one.
    pub update_profile: Vec<ProfileField>,
    /// Send `X-WeCom-User` and the other identity headers to NocoBase.
    pub identity_headers: bool,
    /// Other applications of NocoBase's multi-app manager at the same gate, each below `/apps/<name>/` or at a host name of its
    /// own, with users, bindings and sessions of its own. All others stay closed.
    pub apps: Vec<Application>,
}

impl Default for NocoBase {
    fn default() -> Self {
        Self {
            jwt_secret: String::new(),
            jwt_secret_file: String::new(),
            service_token: String::new(),
            service_token_file: String::new(),
            service_user: None,
            app: "main".into(),
            public_path: "/".into(),
            token_delivery: TokenDelivery::Sealed,
            match_by: vec![MatchBy::Phone],
            auto_create_user: false,
            link_by_password: false,
            default_roles: Vec::new(),
            update_profile: Vec::new(),
            identity_headers: false,
            apps: Vec::new(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Access {
    /// Sign-in in browsers outside WeCom's client. On phones and in personal WeChat a QR code is of no use:
    /// there `web-login` and `sign-in-page` explain how to open the page in WeCom, and with `nocobase` the button below the
    /// form leads to that explanation.
    pub browsers: Browsers,
    /// Show a link to NocoBase's own password form on the gate's sign-in page, and accept sign-ins there: for
    /// administrators without a WeCom account, and for outages of WeCom. Always on with `browsers = "nocobase"`.
    pub password_login: bool,
    /// Forward requests of programs that have a valid NocoBase API key or token.
    pub api_keys: bool,
    /// Requests `METHOD /path` that need no session, such as `POST /api/webhook:*`. `METHOD` may be `*`;
    /// in the path `*` is any text without `/`, and `**` any text. Words that begin with `@` stand for a list of rules:
    /// `@public-forms` for what NocoBase's public forms need, `@pwa` for manifest, icons and service worker of an installed app,
    /// `@mcp` for the discovery of its MCP server. What a word opens passes without any credential.
    pub public: Vec<String>,
    /// Forward CORS preflights of API paths without a session, so that a program in a page of another origin can use an API
    /// key. They carry no credentials, and NocoBase only responds with its CORS headers.
    pub preflights: bool,
    /// Forward links to files that carry `temporaryAccessToken` without a session: outside viewers, such as Office's
    /// preview, fetch files by them. NocoBase makes that token and checks it.
    pub temporary_file_links: bool,
    /// Networks (`10.1.0.0/16`, or one address) whose requests need no session. Together they must not cover all addresses.
    pub bypass_networks: Vec<String>,
    /// Who may see the console at `/wecom-gate/console`: members as `<name of the [[wecom]] entry>/<userid>`, and NocoBase roles as
    /// `role:<name>`, such as `role:root`. Empty: there is no console. See [console.md](console.md).
    pub admins: Vec<String>,
    /// Networks of the proxies in front of the gate, whose `X-Forwarded-For` counts. Together they must not cover all
    /// addresses.
    pub trusted_proxies: Vec<String>,
    /// A trusted proxy that asks `/wecom-gate/auth` with this in `X-WeCom-Gate-Secret` gets NocoBase's token for
    /// the request; at least 16 characters. See [forward-auth.md](forward-auth.md).
    #[schemars(extend("writeOnly" = true))]
    pub forward_auth_secret: String,
    /// File that holds `forward_auth_secret`.
    pub forward_auth_secret_file: String,
}

impl Default for Access {
    fn default() -> Self {
        Self {
            browsers: Browsers::WebLogin,
            password_login: false,
            api_keys: true,
            public: Vec::new(),
            preflights: true,
            temporary_file_links: true,
            bypass_networks: Vec::new(),
            admins: Vec::new(),
            trusted_proxies: Vec::new(),
            forward_auth_secret: String::new(),
            forward_auth_secret_file: String::new(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Session {
    /// **Required** (or the file). Each 64 random bytes in base64, made by `wecom-gate keygen`. The first
    /// seals, all can open. To rotate, add a new one in front, and remove the old one when its sessions have ended.
    #[schemars(extend("writeOnly" = true))]
    pub keys: Vec<String>,
    /// File that holds `keys`, one per line.
    pub keys_file: String,
    /// Name of the session cookie; the names of the gate's other cookies begin with it. Two gates on one host name and two
    /// ports need two names, because browsers send cookies to every port; best `wecom_gate_` and a word, since each gate
    /// removes such cookies from requests to its NocoBase. A change signs all members out.
    pub cookie_name: String,
    /// A session ends after this long without a request.
    pub idle: String,
    /// A session ends this long after sign-in.
    pub absolute: String,
    /// How often a session in use is checked again in NocoBase and WeCom; 10 seconds to 24 hours.
    pub recheck: String,
    /// How often a member is looked up in WeCom instead while WeCom's events arrive (`event_token`), such as `24h`; `recheck` to
    /// 24 hours. Empty: as `recheck`. Events count as arriving for an hour after each one. Without effect for an entry with
    /// `allow_departments` or `allow_tags`. Several nodes need `redis` for this: each event reaches one node.
    pub recheck_with_events: String,
    /// Redis, or Valkey, for several nodes of the gate: `redis://:password@host:6379/0`, `rediss://...` with TLS, or
    /// `unix:///run/redis/redis.sock`. The nodes then share WeCom's access token, end a session on all nodes within a
    /// second, and use each callback once. See [install.md](install.md#12-several-nodes). Special characters in the
    /// password are percent-encoded. Without it, or while it is unavailable, each node works alone.
    #[schemars(extend("writeOnly" = true))]
    pub redis: String,
    /// File that holds `redis`.
    pub redis_file: String,
}

impl Default for Session {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            keys_file: String::new(),
            cookie_name: "wecom_gate".into(),
            idle: "12h".into(),
            absolute: "7d".into(),
            recheck: "15m".into(),
            recheck_with_events: String::new(),
            redis: String::new(),
            redis_file: String::new(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Log {
    /// Format of the lines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,wecom_gate::login=debug`.
    pub level: String,
    /// One line per request.
    pub access_log: bool,
    /// File for the audit log ([logs.md](logs.md#audit-log)): sign-ins, refusals, ended sessions, bindings, changed roles; one
    /// JSON object per line. Created with mode 0600 if it does not exist, reopened at SIGHUP. The same records are always in the
    /// log, too.
    pub audit_file: String,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".into(), access_log: true, audit_file: String::new() }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Limits {
    /// Largest head of a request in bytes, 4 KiB to 1 MiB.
    #[schemars(schema_with = "size_schema")]
    pub header_bytes: Size,
    /// Largest body of a request in bytes; `0`: no limit.
    #[schemars(schema_with = "size_schema")]
    pub body_bytes: Size,
    /// Most connections open at once, over all public listeners.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub connections: u32,
    /// Longest time from the first byte of a request to the end of its head; also for a TLS handshake.
    pub head_timeout: String,
    /// How long a connection may stay idle.
    pub keepalive_timeout: String,
    /// Longest pause of a client within a body that it sends, or a response that it receives. A body that takes longer than this
    /// must arrive at 500 bytes per second or more. Over HTTP/2, `upstream.read_timeout` applies to pauses within a body.
    pub body_timeout: String,
    /// Sign-ins that one address may start within a minute (for IPv6, a /64 network); `0`: no limit. A whole company may
    /// share one address, and all of them may start at nine o'clock.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub sign_ins_per_minute: u32,
    /// Callbacks with an invalid state or code that one address may send within a minute; `0`: no limit. Successful
    /// sign-ins count only while they are in progress.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub bad_callbacks_per_minute: u32,
    /// Most sign-ins that wait for WeCom and NocoBase at once; one address gets at most a quarter of these places.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub sign_ins_at_once: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            header_bytes: Size::Bytes(32_768),
            body_bytes: Size::Text("1GiB".into()),
            connections: 20_000,
            head_timeout: "10s".into(),
            keepalive_timeout: "75s".into(),
            body_timeout: "60s".into(),
            sign_ins_per_minute: 12_000,
            bad_callbacks_per_minute: 600,
            sign_ins_at_once: 2_000,
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Cache {
    /// Memory for the files of NocoBase's client (scripts, styles, images, fonts), which the gate then fetches once, without
    /// a member's cookies or token, and sends compressed. This does not change who may see them. `"0"` switches it off.
    #[schemars(schema_with = "size_schema")]
    pub memory: Size,
}

impl Default for Cache {
    fn default() -> Self {
        Self { memory: Size::Text("256MiB".into()) }
    }
}
