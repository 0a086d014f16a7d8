//! The TOML file as it is written, before anything is checked: every key, its default and the text that
//! explains it. The JSON schema and `docs/configuration.md` are made from these types and comments, so the
//! comments here are written for the person who fills in the file.
//!
//! Text that is empty counts as not given. Nothing here implements `Debug`: these types hold secrets.

use schemars::{JsonSchema, Schema, json_schema};
use serde::{Deserialize, Serialize};

use super::types::{Browsers, LogFormat, MatchBy, TokenDelivery};

/// The configuration of `wecom-gate`.
#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "wecom-gate")]
pub struct Raw {
    /// **Required.** Scheme and host (and port) that people open, such as `https://nocobase.example.com`;
    /// "Origin" in NocoBase's WeCom settings. Every absolute address that the gate makes begins with it.
    pub origin: String,
    /// Where the gate listens.
    pub listen: Listen,
    /// NocoBase's nodes.
    pub upstream: Upstream,
    /// NocoBase's sign-in.
    pub nocobase: NocoBase,
    /// One `[[wecom]]` block per app of a company; at least one is required.
    pub wecom: Vec<WeCom>,
    /// Who gets in without WeCom.
    pub access: Access,
    /// Session cookies.
    pub session: Session,
    /// Logs.
    pub log: Log,
    /// Bounds on what one client may ask for.
    pub limits: Limits,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Listen {
    /// Addresses for plain HTTP. `["0.0.0.0:8080"]` when neither `http` nor `https` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub http: Option<Vec<String>>,
    /// Addresses for TLS (HTTP/1.1 and HTTP/2); needs `cert` and `key`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<String>")]
    pub https: Option<Vec<String>>,
    /// File with the certificate chain (PEM), the host's own certificate first.
    pub cert: String,
    /// File with the private key (PEM).
    pub key: String,
    /// Answer plain HTTP with a redirect to `origin`. Not for requests that a trusted proxy has taken in by TLS
    /// (`X-Forwarded-Proto: https`), nor for WeCom's verification files.
    pub redirect_http: bool,
    /// More certificates. A client gets the one for the name that it asks for (SNI), and `cert` where none fits.
    pub certificates: Vec<Certificate>,
    /// The operator's listener (`/livez`, `/readyz`, `/metrics`, `/version`); `""` switches it off.
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
            ops: "127.0.0.1:9090".into(),
        }
    }
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Certificate {
    /// File with the certificate chain (PEM), the host's own certificate first.
    pub cert: String,
    /// File with its private key (PEM).
    pub key: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Upstream {
    /// **Required.** `host:port` of NocoBase, 64 at most; several take turns, and a node that is not well is passed over.
    pub nodes: Vec<String>,
    /// Time to open a connection to NocoBase.
    pub connect_timeout: String,
    /// Longest silence of NocoBase within one answer.
    pub read_timeout: String,
    /// Time between two health checks (`GET /api/__health_check`) of a node.
    pub health_interval: String,
}

impl Default for Upstream {
    fn default() -> Self {
        Self {
            nodes: Vec::new(),
            connect_timeout: "3s".into(),
            read_timeout: "5m".into(),
            health_interval: "2s".into(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct NocoBase {
    /// **Required** (or the file). The secret of NocoBase's tokens, its `APP_KEY`; at least 8 bytes.
    #[schemars(extend("writeOnly" = true))]
    pub jwt_secret: String,
    /// File that holds `jwt_secret`, such as NocoBase's `storage/apps/main/jwt_secret.dat`. A file of
    /// printable ASCII is read as text without the newlines at its end, any other as raw bytes.
    pub jwt_secret_file: String,
    /// An API key made in NocoBase: the account that finds, makes and binds users. Either this or
    /// `service_user` is **required**.
    #[schemars(extend("writeOnly" = true))]
    pub service_token: String,
    /// File that holds `service_token`.
    pub service_token_file: String,
    /// Id of the NocoBase user for whom the gate mints its own token, instead of `service_token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub service_user: Option<u64>,
    /// Name of NocoBase's application.
    pub app: String,
    /// NocoBase's `APP_PUBLIC_PATH`; begins and ends with `/`.
    pub public_path: String,
    /// What the browser gets to hold.
    pub token_delivery: TokenDelivery,
    /// What makes a member and a NocoBase user the same person before there is a binding, in this order.
    /// WeCom verifies phone numbers. Of e-mail addresses only the company's own (`biz_mail`) counts, not the one
    /// that members type in. Anybody may have taken a user name in NocoBase before.
    pub match_by: Vec<MatchBy>,
    /// Make a NocoBase user for a member who matches nobody.
    pub auto_create_user: bool,
    /// Names of the roles of users that the gate makes; empty: NocoBase's default role. With `[[wecom.roles]]` also what a
    /// user gets whom the rules would leave without any role.
    pub default_roles: Vec<String>,
    /// Send `X-WeCom-User` and its companions to NocoBase.
    pub identity_headers: bool,
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
            default_roles: Vec::new(),
            identity_headers: false,
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct WeCom {
    /// Name of the authenticator in NocoBase's binding table: 1 to 50 of `A-Z a-z 0-9 _ -`. Bindings hang
    /// on it: do not change it later.
    pub name: String,
    /// What people read on the sign-in button: with several entries, the company's name.
    pub title: String,
    /// **Required.** CorpID: WeCom's console, "My Company".
    pub corp_id: String,
    /// **Required.** AgentId of the app: WeCom's console, "App Management".
    pub agent_id: String,
    /// **Required** (or the file). Secret of the app, beside its AgentId.
    #[schemars(extend("writeOnly" = true))]
    pub secret: String,
    /// File that holds `secret`.
    pub secret_file: String,
    /// Sign members in by itself inside WeCom; at most one entry may have it. `true` when there is only one
    /// entry, else `false`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub auto_login: Option<bool>,
    /// Where a member lands who opened `/`: a path of the origin. `admin` below `nocobase.public_path` when
    /// empty.
    pub home: String,
    /// The same on a phone, such as `/m`; `home` when empty.
    pub home_mobile: String,
    /// Names of the domain verification files of WeCom's console, `WW_verify_<letters and digits>.txt`.
    pub verify_files: Vec<String>,
    /// Ids of the departments that get in, their sub-departments too. All three lists empty: whoever may see
    /// the app.
    pub allow_departments: Vec<u64>,
    /// Ids of the tags that get in.
    pub allow_tags: Vec<u64>,
    /// Userids that get in.
    pub allow_users: Vec<String>,
    /// Token of the receive-message callback: 1 to 32 letters and digits. Needs `event_aes_key`.
    #[schemars(extend("writeOnly" = true))]
    pub event_token: String,
    /// File that holds `event_token`.
    pub event_token_file: String,
    /// EncodingAESKey of the receive-message callback: 43 letters and digits. Needs `event_token`.
    #[schemars(extend("writeOnly" = true))]
    pub event_aes_key: String,
    /// File that holds `event_aes_key`.
    pub event_aes_key_file: String,
    /// Address of WeCom's API; another one for private deployments.
    pub api_base: String,
    /// Address of the sign-in page inside WeCom's client.
    pub authorize_url: String,
    /// Address of the sign-in page (QR code) for other browsers.
    pub web_login_url: String,
    /// Path of the call that tells whose a code is; private deployments may have only
    /// `/cgi-bin/user/getuserinfo`.
    pub userinfo_path: String,
    /// Path of the call for phone and e-mail; private deployments may have only
    /// `/cgi-bin/user/getuserdetail`.
    pub userdetail_path: String,
    /// Outbound proxy for calls to WeCom only, `http://[user:password@]host:port`.
    #[schemars(extend("writeOnly" = true))]
    pub http_proxy: String,
    /// File that holds `http_proxy`.
    pub http_proxy_file: String,
    /// WeCom department or tag to NocoBase role. At each sign-in the member gets the roles of the rules that match, and loses
    /// those that this block's rules name and that do not match; all other roles stay. Needs more rights of the service
    /// account: docs/install.md, section 5.
    pub roles: Vec<Role>,
}

impl Default for WeCom {
    fn default() -> Self {
        Self {
            name: "wecom".into(),
            title: "WeCom".into(),
            corp_id: String::new(),
            agent_id: String::new(),
            secret: String::new(),
            secret_file: String::new(),
            auto_login: None,
            home: String::new(),
            home_mobile: String::new(),
            verify_files: Vec::new(),
            allow_departments: Vec::new(),
            allow_tags: Vec::new(),
            allow_users: Vec::new(),
            event_token: String::new(),
            event_token_file: String::new(),
            event_aes_key: String::new(),
            event_aes_key_file: String::new(),
            api_base: "https://qyapi.weixin.qq.com".into(),
            authorize_url: "https://open.weixin.qq.com/connect/oauth2/authorize".into(),
            web_login_url: "https://login.work.weixin.qq.com/wwlogin/sso/login".into(),
            userinfo_path: "/cgi-bin/auth/getuserinfo".into(),
            userdetail_path: "/cgi-bin/auth/getuserdetail".into(),
            http_proxy: String::new(),
            http_proxy_file: String::new(),
            roles: Vec::new(),
        }
    }
}

#[derive(Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Role {
    /// Id of a department, its sub-departments too; either this or `tag`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub department: Option<u64>,
    /// Id of a tag; either this or `department`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "u64")]
    pub tag: Option<u64>,
    /// Name ("Role UID") of the NocoBase role; not `root`.
    pub role: String,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Access {
    /// What happens to browsers outside WeCom's client. On phones, and in personal WeChat, a QR code would be of no use:
    /// `web-login` and `sign-in-page` show there how to open the page in WeCom, and with `nocobase` the button below the
    /// form leads to that page.
    pub browsers: Browsers,
    /// Show a link to NocoBase's own password form on the gate's sign-in page, and let those pass who sign in there: for
    /// administrators without a WeCom account, and for the day when WeCom is away. Always on with `browsers = "nocobase"`.
    pub password_login: bool,
    /// Let programs pass that bring a valid NocoBase API key or token.
    pub api_keys: bool,
    /// Rules `METHOD /path` that pass without a session, such as `POST /api/webhook:*`. `METHOD` may be `*`;
    /// in the path `*` is any text without `/`, and `**` any text.
    pub public: Vec<String>,
    /// Networks (`10.1.0.0/16`, or one address) whose requests pass without a session. Never everyone.
    pub bypass_networks: Vec<String>,
    /// Networks of the proxies in front of the gate, whose `X-Forwarded-For` counts. Never everyone.
    pub trusted_proxies: Vec<String>,
    /// A trusted proxy that asks `/wecom-gate/auth` with this in `X-WeCom-Gate-Secret` is told NocoBase's token for
    /// the request; at least 16 characters. See `docs/forward-auth.md`.
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
            bypass_networks: Vec::new(),
            trusted_proxies: Vec::new(),
            forward_auth_secret: String::new(),
            forward_auth_secret_file: String::new(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Session {
    /// **Required** (or the file). Each 64 random bytes in base64, made by `wecom-gate keygen`. The first
    /// seals, all open: to rotate, put a new one first and drop the last when sessions made with it are over.
    #[schemars(extend("writeOnly" = true))]
    pub keys: Vec<String>,
    /// File that holds `keys`, one per line.
    pub keys_file: String,
    /// A session ends after this long without a request.
    pub idle: String,
    /// A session ends this long after sign-in.
    pub absolute: String,
    /// How often a session in use is checked again with NocoBase and WeCom; 10 seconds to 24 hours.
    pub recheck: String,
    /// Redis, or Valkey, for several nodes of the gate: `redis://:password@host:6379/0`, `rediss://...` with TLS, or
    /// `unix:///run/redis/redis.sock`. The nodes then share WeCom's access token, end a session on all nodes within a
    /// second, and take each callback once. See [install.md](install.md#12-several-nodes). Special characters in the
    /// password are percent-encoded. Without it, or while it is away, each node goes on by itself.
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
            idle: "12h".into(),
            absolute: "7d".into(),
            recheck: "15m".into(),
            redis: String::new(),
            redis_file: String::new(),
        }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// Shape of the lines.
    pub format: LogFormat,
    /// `error`, `warn`, `info`, `debug`, `trace`, or directives such as `info,wecom_gate::login=debug`.
    pub level: String,
    /// One line per request.
    pub access_log: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { format: LogFormat::Json, level: "info".into(), access_log: true }
    }
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Bytes of one request's head, 4 KiB to 1 MiB.
    #[schemars(schema_with = "size_schema")]
    pub header_bytes: Size,
    /// Bytes of one request's body; `0`: no bound.
    #[schemars(schema_with = "size_schema")]
    pub body_bytes: Size,
    /// Connections open at once, over all public listeners.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub connections: u32,
    /// From the first byte of a request to the end of its head, however slowly it drips.
    pub head_timeout: String,
    /// How long a connection may wait for its next request.
    pub keepalive_timeout: String,
    /// Longest silence of a client in the middle of a body that it sends, or of an answer that it takes. A body that has lasted longer
    /// must have come at 500 bytes a second or more. Over HTTP/2 silence in a body counts as `upstream.read_timeout`.
    pub body_timeout: String,
    /// Sign-ins that one address may begin within a minute (of IPv6 addresses the first 64 bits count); `0`: no bound.
    /// A whole company may come from one address: think of nine o'clock before making it smaller.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub sign_ins_per_minute: u32,
    /// Callbacks with a worthless state or code that one address may bring within a minute; `0`: no bound. Real
    /// sign-ins do not count.
    #[schemars(range(max = 4_294_967_295_u32))]
    pub bad_callbacks_per_minute: u32,
    /// Sign-ins that wait for WeCom and NocoBase at once.
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

/// A number of bytes, or text such as `"1GiB"`.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
pub enum Size {
    Bytes(u64),
    Text(String),
}

fn size_schema(_: &mut schemars::SchemaGenerator) -> Schema {
    json_schema!({ "type": ["string", "integer"], "minimum": 0 })
}
