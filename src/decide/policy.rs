//! The input of a decision: the policy (built once, from the configuration) and the request.

use std::net::IpAddr;

use ipnet::IpNet;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::rules::PublicRules;

/// What happens to browsers outside WeCom's client (`access.browsers`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Browsers {
    /// Redirect to WeCom's QR code.
    WebLogin,
    /// The gate's own sign-in page.
    SignInPage,
    /// NocoBase's own sign-in page, with a button for each WeCom entry below its form.
    #[serde(rename = "nocobase")]
    NocoBase,
    /// No access.
    Deny,
}

/// Addresses of NocoBase's client, as its index page names them (`nocobase::PageSettings`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientPaths {
    /// Folder of the modern client below the public path, without slashes (`APP_MODERN_CLIENT_PREFIX`).
    pub modern: String,
    /// The WebSocket (`WS_PATH`): below the public path, or from the root if it begins with `/`.
    pub ws: String,
}

/// NocoBase's defaults.
impl Default for ClientPaths {
    fn default() -> Self {
        ClientPaths { modern: "v".to_owned(), ws: "ws".to_owned() }
    }
}

impl ClientPaths {
    /// From the settings in the index page; a value that is missing, or is not a path, keeps NocoBase's default.
    pub fn new(modern: Option<&str>, ws: Option<&str>) -> ClientPaths {
        let good = |path: &str| {
            path.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'-' | b'_' | b'.' | b'~'))
                && !path.contains("//")
                && !path.split('/').any(|segment| matches!(segment, "." | ".."))
        };
        let default = ClientPaths::default();
        let modern = modern.map(|m| m.trim_matches('/')).filter(|m| !m.is_empty() && good(m));
        let ws = ws.filter(|ws| ws.len() > 1 && ws.starts_with('/') && good(ws));
        ClientPaths {
            modern: modern.map_or(default.modern, str::to_owned),
            ws: ws.map_or(default.ws, str::to_owned),
        }
    }
}

/// The part of the configuration that matters for decisions.
#[derive(Debug, Clone)]
pub struct Policy {
    /// `host` or `host:port` of the configured origin, lower-case, default port dropped.
    pub authority: String,
    /// The configured origin is `https`.
    pub https: bool,
    /// `APP_PUBLIC_PATH` of NocoBase: begins and ends with `/`.
    pub public_path: String,
    /// Addresses of NocoBase's client.
    pub client: ClientPaths,
    /// NocoBase's application (`nocobase.app`).
    pub app: String,
    /// The gate serves other applications too. They accept each other's tokens, so only tokens that the gate inserts itself may
    /// pass.
    pub several: bool,
    /// Browsers outside WeCom.
    pub browsers: Browsers,
    /// NocoBase's own API keys and tokens pass.
    pub api_keys: bool,
    /// NocoBase's own password form passes, and so do users who have signed in there.
    pub password: bool,
    /// What passes without a session.
    pub public: PublicRules,
    /// CORS preflights of API paths pass anonymously.
    pub preflights: bool,
    /// Links to files with NocoBase's `temporaryAccessToken` pass anonymously.
    pub temporary_file_links: bool,
    /// Networks whose clients pass without a session.
    pub bypass: Vec<IpNet>,
    /// Names of domain verification files, served at the root (`WW_verify_<token>.txt`).
    pub verify_files: Vec<String>,
    /// Names of the WeCom entries, in the order of the configuration.
    pub entries: Vec<String>,
    /// A member without a matching user may link an account by its password (`nocobase.link_by_password`).
    pub link: bool,
    /// The console has administrators (`access.admins`).
    pub console: bool,
    /// The entry (index in `entries`) that signs members in automatically inside WeCom.
    pub auto_entry: Option<usize>,
}

/// The request's credential, apart from its cookies. `proxy` has verified it.
///
/// "The header" is `Authorization`, whatever it holds: NocoBase accepts a token there with and without `Bearer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Credential {
    /// No header, and no phantom in the query.
    None,
    /// The header or `?token=` holds the phantom of the session in the cookie; where tokens are delivered to the
    /// browser, that session's own token.
    Phantom,
    /// The header (never the query, R2) holds a NocoBase token with a valid signature that has not expired.
    ApiToken,
    /// The same, issued by NocoBase's own sign-in: what a NocoBase page sends for a user who signed in by password.
    OwnToken,
    /// The header holds something else.
    Invalid,
}

/// Whether the session cookie counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SessionState {
    /// No cookie, or one that cannot be opened (R7).
    None,
    /// A live session.
    Valid,
    /// A session that has ended: idle, too old, signed out, revoked.
    Ended,
}

/// The value of all headers with one meaning, in any spelling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Named<'a> {
    /// There is no such header.
    #[default]
    Nothing,
    /// There is one.
    One(&'a str),
    /// There are several, or one whose value is not text: servers read these in different ways.
    Ambiguous,
}

impl<'a> Named<'a> {
    /// Adds another header with this value (`None`: not text).
    pub fn and(self, value: Option<&'a str>) -> Named<'a> {
        match (self, value) {
            (Named::Nothing, Some(value)) => Named::One(value),
            _ => Named::Ambiguous,
        }
    }

    /// Does it name something for which `is_ours` is false? An empty header names nothing.
    pub(super) fn is_other(self, is_ours: impl FnOnce(&str) -> bool) -> bool {
        match self {
            Named::Nothing | Named::One("") => false,
            Named::One(value) => !is_ours(value),
            Named::Ambiguous => true,
        }
    }
}

/// One request, as `proxy` read it. All texts are from the client and may be forged.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// As sent; methods are case-sensitive (RFC 9110, 9.1).
    pub method: &'a str,
    /// The path, made canonical by [`super::path::canonical`]; this is what is forwarded.
    pub path: &'a str,
    /// What follows `?`, raw.
    pub query: Option<&'a str>,
    /// `Host`, or `:authority`; `None` unless there is exactly one.
    pub host: Option<&'a str>,
    /// `User-Agent`
    pub user_agent: Option<&'a str>,
    /// `Accept`; several lines are one list, joined by commas.
    pub accept: Option<&'a str>,
    /// `Sec-Fetch-Mode`
    pub sec_fetch_mode: Option<&'a str>,
    /// `Sec-Fetch-Dest`
    pub sec_fetch_dest: Option<&'a str>,
    /// `Sec-Fetch-Site`
    pub sec_fetch_site: Option<&'a str>,
    /// `X-Requested-With`
    pub x_requested_with: Option<&'a str>,
    /// `Origin`
    pub origin: Option<&'a str>,
    /// `X-App`, in any spelling.
    pub app: Named<'a>,
    /// `X-Hostname`, in any spelling.
    pub hostname: Named<'a>,
    /// There is an `Access-Control-Request-Method`.
    pub names_cors_method: bool,
    /// `Connection`, parsed as a list, has `upgrade`, and there is an `Upgrade` header.
    pub upgrade: bool,
    /// From [`super::address::client_ip`].
    pub client_ip: IpAddr,
    /// Verified by `proxy`.
    pub credential: Credential,
    /// From the cookie, which `proxy` has opened.
    pub session: SessionState,
    /// There is a cookie that marks a deliberate sign-out: no automatic sign-in.
    pub signed_out: bool,
    /// There is a cookie of a session that began at NocoBase's own form: the gate's, with a live session, or NocoBase's, with a
    /// valid token. Looked at only if `Policy::password` is set and there is no session.
    pub own_cookie: bool,
    /// There is no session here, but there is one in another application of this gate. Looked at only for files of NocoBase's
    /// client.
    pub other_app_session: bool,
}
