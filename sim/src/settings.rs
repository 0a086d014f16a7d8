//! The simulator's behaviour where WeCom leaves a choice, or where a test needs other values.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// All settings; the defaults are WeCom's.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Lifetime of an access token, seconds.
    pub token_ttl: u64,
    /// A repeated `gettoken` returns the same token and its remaining lifetime (as WeCom used to document).
    pub same_token: bool,
    /// Lifetime of a code, seconds.
    pub code_ttl: u64,
    /// Lifetime of a `user_ticket`, seconds.
    pub ticket_ttl: u64,
    /// How long a consent is remembered, seconds.
    pub consent_ttl: u64,
    /// 企业可信IP; `None`: not set up, every address may call.
    pub trusted_ips: Option<Vec<IpNet>>,
    /// All callers appear to have this address.
    pub apparent_ip: Option<IpAddr>,
    /// Rate limits.
    pub limits: RateLimits,
    /// errcode for a used code: 40029 or 42022.
    pub used_code: i64,
    /// errcode for a code that was too old: 42003 or 40029.
    pub expired_code: i64,
    /// errcode for a code of another app: 40029 or 50001.
    pub foreign_code: i64,
    /// errcode of `user/get` outside the visible range: 60011, 60021, 60111 or 50002.
    pub outside_range: i64,
    /// A code is used up even by a call that fails because of its token or its address (unconfirmed).
    pub code_dies_on_failure: bool,
    /// `auth/getuserinfo` also returns `UserId`, `OpenId` (seen in practice).
    pub legacy_spelling: bool,
    /// A private deployment without the `auth/` paths: they return 404.
    pub legacy_only: bool,
    /// What the consent page does.
    pub consent: Consent,
    /// What happens after "refuse".
    pub refusal: Refusal,
    /// The member of a WeCom client on which none has been picked: userid, `corpid/userid` or openid.
    pub default_member: Option<String>,
    /// Pause between attempts to send an event, milliseconds.
    pub event_retry_ms: u64,
    /// Longest wait for an event's response, milliseconds.
    pub event_timeout_ms: u64,
}

/// Rate limits (docs 90312, 90313). A block lasts as long as its window.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RateLimits {
    /// Per company and API, in a minute.
    pub api_minute: u32,
    /// Per company and API, in an hour.
    pub api_hour: u32,
    /// Per source address, in a minute.
    pub ip_minute: u32,
    /// Per source address, in an hour.
    pub ip_hour: u32,
    /// Failing `gettoken` calls of one address per hour; beyond that the address is blocked from it for an hour.
    pub gettoken_failures: u32,
}

/// What the consent page does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Consent {
    /// Asks.
    Ask,
    /// Everyone agrees to everything at once.
    Allow,
    /// Everyone refuses at once.
    Refuse,
}

/// What happens after "refuse" (WeCom's documentation does not say).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    /// Back to `redirect_uri` with `state` and no `code`.
    Redirect,
    /// Stays on a WeCom page.
    Stay,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            token_ttl: 7200,
            same_token: true,
            code_ttl: 300,
            ticket_ttl: 1800,
            consent_ttl: 30 * 86_400,
            trusted_ips: None,
            apparent_ip: None,
            limits: RateLimits::default(),
            used_code: 40029,
            expired_code: 42003,
            foreign_code: 40029,
            outside_range: 60011,
            code_dies_on_failure: false,
            legacy_spelling: false,
            legacy_only: false,
            consent: Consent::Ask,
            refusal: Refusal::Redirect,
            default_member: None,
            event_retry_ms: 1000,
            event_timeout_ms: 5000,
        }
    }
}

impl Default for RateLimits {
    fn default() -> Self {
        RateLimits {
            api_minute: 10_000,
            api_hour: 150_000,
            ip_minute: 20_000,
            ip_hour: 600_000,
            gettoken_failures: 2000,
        }
    }
}
