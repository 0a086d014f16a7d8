//! The gate's own paths, below `/wecom-gate/`. Nothing there is ever forwarded.

use super::policy::Policy;
use crate::error::Failure;

const PREFIX: &str = "/wecom-gate/";

/// A path of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OwnPath {
    /// `login`: starts a flow.
    Login,
    /// `callback`: the end of every flow.
    Callback,
    /// `sign-in`: the sign-in page.
    SignIn,
    /// `logout`: GET asks for confirmation, POST signs out.
    Logout,
    /// `link`: a member without a matching user proves which account is theirs, where `nocobase.link_by_password` is on.
    Link,
    /// `me`: who is signed in.
    Me,
    /// `auth`: the forward-auth check.
    Auth,
    /// `events/<name>`: WeCom's callback of the entry with this index.
    Events(usize),
    /// `gate.js`: the script for NocoBase's pages.
    Script,
    /// `console` and the pages below it, if `access.admins` is not empty.
    Console(ConsolePage),
}

/// A page of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsolePage {
    /// `console`: the current state.
    Now,
    /// `console/refused`: which sign-ins were refused.
    Refused,
    /// `console/check`: POST runs `wecom-gate check`.
    Check,
    /// `console/members`: GET shows a member's sessions, POST ends them.
    Members,
}

/// Is this (canonical) path the gate's own?
pub(super) fn is_own(path: &str) -> bool {
    path.starts_with(PREFIX) || Some(path) == PREFIX.strip_suffix('/')
}

/// Which of the gate's own paths this (canonical) path is, for any method; `None` for other paths, and for those below the prefix
/// that do not exist.
pub fn own_path(policy: &Policy, path: &str) -> Option<OwnPath> {
    is_own(path).then(|| OwnPath::of(path, policy).ok())?
}

impl OwnPath {
    /// Which of the gate's paths this is; for a path for which [`is_own`] is true.
    pub(super) fn find(path: &str, method: &str, policy: &Policy) -> Result<Self, Failure> {
        let own = Self::of(path, policy)?;
        if own.takes(method) { Ok(own) } else { Err(Failure::MethodNotAllowed) }
    }

    fn of(path: &str, policy: &Policy) -> Result<Self, Failure> {
        Ok(match path.strip_prefix(PREFIX).unwrap_or_default() {
            "login" => OwnPath::Login,
            "callback" => OwnPath::Callback,
            "sign-in" => OwnPath::SignIn,
            "logout" => OwnPath::Logout,
            "link" if policy.link => OwnPath::Link,
            "me" => OwnPath::Me,
            "auth" => OwnPath::Auth,
            "gate.js" => OwnPath::Script,
            "console" if policy.console => OwnPath::Console(ConsolePage::Now),
            "console/refused" if policy.console => OwnPath::Console(ConsolePage::Refused),
            "console/check" if policy.console => OwnPath::Console(ConsolePage::Check),
            "console/members" if policy.console => OwnPath::Console(ConsolePage::Members),
            rest => {
                let name = rest.strip_prefix("events/").ok_or(Failure::NotFound)?;
                OwnPath::Events(
                    policy.entries.iter().position(|entry| entry == name).ok_or(Failure::NotFound)?,
                )
            }
        })
    }

    fn takes(self, method: &str) -> bool {
        // The methods must not reveal that the console exists.
        matches!(self, OwnPath::Auth | OwnPath::Console(_)) || self.methods().split(", ").any(|m| m == method)
    }

    /// As in `Allow`. A flow starts and ends with GET only: HEAD must not use up a code or set a cookie.
    fn methods(self) -> &'static str {
        match self {
            OwnPath::Login | OwnPath::Callback => "GET",
            OwnPath::Link => "POST",
            OwnPath::Logout | OwnPath::Console(ConsolePage::Members | ConsolePage::Check) => {
                "GET, HEAD, POST"
            }
            OwnPath::SignIn | OwnPath::Me | OwnPath::Script | OwnPath::Console(_) => "GET, HEAD",
            OwnPath::Events(_) => "GET, POST",
            OwnPath::Auth => ANY,
        }
    }
}

/// The methods that may be forwarded to NocoBase, as in `Allow`.
pub const ANY: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The methods of a (canonical) path, as in `Allow`: [`ANY`] if the gate has no such page.
pub(super) fn methods(path: &str, policy: &Policy) -> &'static str {
    OwnPath::of(path, policy).map_or(ANY, OwnPath::methods)
}
