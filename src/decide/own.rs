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
    /// `logout`: GET asks, POST does it.
    Logout,
    /// `me`: who is signed in.
    Me,
    /// `auth`: forward-auth.
    Auth,
    /// `events/<name>`: WeCom's callback of the entry with this index.
    Events(usize),
    /// `gate.js`: the script for NocoBase's pages.
    Script,
    /// `console` and what is below it, where `access.admins` names anybody.
    Console(ConsolePage),
}

/// A page of the console.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConsolePage {
    /// `console`: how things are.
    Now,
    /// `console/refused`: who was not let in.
    Refused,
    /// `console/check`: POST runs `wecom-gate check`.
    Check,
    /// `console/members`: GET shows a member's sessions, POST ends them.
    Members,
}

/// Is the path (canonical) the gate's?
pub(super) fn is_own(path: &str) -> bool {
    path.starts_with(PREFIX) || Some(path) == PREFIX.strip_suffix('/')
}

/// Which of the gate's own paths this (canonical) is, whatever the method; `None` for others, and for those below the prefix
/// that lead nowhere.
pub fn own_path(policy: &Policy, path: &str) -> Option<OwnPath> {
    is_own(path).then(|| OwnPath::of(path, policy).ok())?
}

impl OwnPath {
    /// Which of the gate's paths this is; for a path that [`is_own`].
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

    /// As in `Allow`. A flow starts and ends with GET only: HEAD must not spend a code or leave a cookie.
    fn methods(self) -> &'static str {
        match self {
            OwnPath::Login | OwnPath::Callback => "GET",
            OwnPath::Logout | OwnPath::Console(ConsolePage::Members | ConsolePage::Check) => {
                "GET, HEAD, POST"
            }
            OwnPath::SignIn | OwnPath::Me | OwnPath::Script | OwnPath::Console(_) => "GET, HEAD",
            OwnPath::Events(_) => "GET, POST",
            OwnPath::Auth => ANY,
        }
    }
}

/// What may go to NocoBase, as in `Allow`.
pub const ANY: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// The methods of a path (canonical), as in `Allow`: [`ANY`] where the gate has no page.
pub(super) fn methods(path: &str, policy: &Policy) -> &'static str {
    OwnPath::of(path, policy).map_or(ANY, OwnPath::methods)
}
