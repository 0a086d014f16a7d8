//! Pending sign-ins. Each is kept in its own sealed cookie, so several tabs can sign in at once and any node can finish what
//! another began.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::error::Failure;

use super::cookies::{FLOW_NAME_CHARS, FlowCookie, MAX_DELETIONS, Names, OwnCookies};
use super::random;
use super::seal::{Keyring, Purpose};
use super::time::UnixMillis;

/// A flow that has not finished by then must start again.
pub(crate) const LIFE: Duration = Duration::from_secs(10 * 60);
/// Most bytes of flow cookies in one browser's `Cookie` header; a further flow ends the oldest. Enough for thirty tabs at once,
/// and together with the session cookie still below the 8 KiB that nginx accepts for one header line.
const MAX_FLOW_BYTES: usize = 7 * 1024 + 512;
/// Bytes that a cookie takes in the header besides name and value: `=`, `;` and a space.
const COOKIE_OVERHEAD: usize = 3;
/// Longest return target in bytes.
pub(crate) const MAX_TARGET: usize = 2048;
/// Characters of a state. WeCom accepts up to 128 of `[A-Za-z0-9]` (doc 91022).
pub(crate) const STATE_CHARS: usize = 32;
/// How many cookies with one flow's name are tried: see `OwnCookies::sessions`.
const MAX_SAME_NAME: usize = 3;
/// How long a finished flow's cookie stays (see [`PendingSignIns::keep_briefly`]).
pub(crate) const KEPT_BRIEFLY: Duration = Duration::from_secs(60);

/// Which of WeCom's pages the flow uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Via {
    /// In-client OAuth, inside WeCom.
    WeCom,
    /// Web login: QR code or one click.
    Web,
}

impl Via {
    /// Stable name for logs and addresses.
    pub const fn name(self) -> &'static str {
        match self {
            Via::WeCom => "wecom",
            Via::Web => "web",
        }
    }
}

/// Whether the member is asked for consent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Stage {
    /// No: `snsapi_base`, or web login.
    Silent,
    /// Consent to giving the phone number: `snsapi_privateinfo`.
    Consent,
}

/// What a sign-in is for, and how it is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignInRequest {
    /// Where to return: a path on our own origin, checked by the caller (R20).
    pub target: String,
    /// Name of the WeCom entry.
    pub entry: String,
    /// Which of WeCom's pages.
    pub via: Via,
    /// Whether to ask for consent.
    pub stage: Stage,
    /// On a phone: decides between `home` and `home_mobile`.
    pub mobile: bool,
}

/// A sign-in that has begun and not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingSignIn {
    state: StateParameter,
    /// What was requested.
    pub request: SignInRequest,
    /// When it began.
    pub(crate) started: UnixMillis,
}

/// The state of a flow: 32 characters of `[A-Za-z0-9]`. The first is a digit, the attempt; the others hold 184 random bits.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StateParameter(String);

impl std::fmt::Debug for StateParameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("StateParameter(..)")
    }
}

/// A flow that has begun.
#[derive(Debug)]
pub struct Begun {
    /// The flow.
    pub flow: PendingSignIn,
    /// `Set-Cookie` lines: the new flow's cookie first, then deletions of old ones.
    pub set_cookies: Vec<String>,
}

/// A sign-in whose state has returned in the browser in which it began.
#[derive(Clone, PartialEq, Eq)]
pub struct Checked<'a> {
    /// The flow.
    pub flow: PendingSignIn,
    /// The sealed cookie, which identifies a repeated callback.
    pub cookie: &'a [u8],
}

impl std::fmt::Debug for Checked<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Checked").field("flow", &self.flow).finish_non_exhaustive()
    }
}

impl PendingSignIn {
    /// A flow that begins now. `attempt` (at most 9): how often this browser has returned without its flow's cookie. A target
    /// longer than [`MAX_TARGET`] loses its query, or becomes `/`.
    pub(crate) fn begin(mut request: SignInRequest, attempt: u8, now: UnixMillis) -> Result<Self, Failure> {
        if request.target.len() > MAX_TARGET {
            let path = request.target.split(['?', '#']).next().unwrap_or_default();
            request.target = if path.len() > MAX_TARGET { "/".into() } else { path.to_owned() };
        }
        let mut state = attempt.min(9).to_string();
        state.push_str(&random::alphanumeric(STATE_CHARS - 1)?);
        Ok(PendingSignIn { state: StateParameter(state), request, started: now })
    }

    /// The `state` parameter of WeCom's address.
    pub fn state(&self) -> &str {
        &self.state.0
    }

    fn is_over(&self, now: UnixMillis) -> bool {
        now.since(self.started) >= LIFE || self.started.is_from_the_future(now)
    }
}

/// The attempt that a state names (0 to 9); `None` if it is no state of ours. Not authenticated: it only serves to choose the
/// page "cookies are blocked".
pub fn attempt_of(state: &[u8]) -> Option<u8> {
    let first = state.first()?;
    let well_formed = state.len() == STATE_CHARS && state.iter().all(u8::is_ascii_alphanumeric);
    (well_formed && first.is_ascii_digit()).then(|| first - b'0')
}

/// Reads and writes flow cookies.
#[derive(Debug, Clone)]
pub struct PendingSignIns {
    keyring: Arc<Keyring>,
    names: Names,
}

impl PendingSignIns {
    /// Puts the parts together.
    pub fn new(keyring: Arc<Keyring>, names: Names) -> Self {
        PendingSignIns { keyring, names }
    }

    /// Begins a flow (see `PendingSignIn::begin`) in a browser that sent these cookies. Those that have expired or cannot be
    /// opened are deleted, and the oldest if there would be more than `MAX_FLOW_BYTES`.
    pub fn begin(
        &self,
        cookies: &OwnCookies<'_>,
        request: SignInRequest,
        attempt: u8,
        now: UnixMillis,
    ) -> Result<Begun, Failure> {
        let flow = PendingSignIn::begin(request, attempt, now)?;
        let name = self.name_of(flow.state())?;
        let text = self.keyring.seal(Purpose::Flow, name.as_bytes(), &flow)?;
        let mut set_cookies = vec![self.names.set(&name, &text, Some(LIFE))];
        let link = cookies.link().map_or(0, |link| self.names.link().len() + link.len() + COOKIE_OVERHEAD);
        let room = MAX_FLOW_BYTES.saturating_sub(name.len() + text.len() + COOKIE_OVERHEAD + link);
        set_cookies.extend(self.flows_to_drop(cookies, room, now).into_iter().map(|n| self.names.delete(n)));
        Ok(Begun { flow, set_cookies })
    }

    /// Names of the flow cookies to delete so that another fits.
    fn flows_to_drop<'a>(&self, cookies: &OwnCookies<'a>, mut room: usize, now: UnixMillis) -> Vec<&'a str> {
        let mut open = Vec::new();
        let mut gone = Vec::new();
        for cookie in &cookies.flows {
            match self.open(cookie).filter(|f| !f.is_over(now)) {
                Some(flow) => open.push((flow.started, cookie)),
                None => gone.push(cookie.name),
            }
        }
        open.sort_by_key(|(started, _)| std::cmp::Reverse(*started));
        for (_, cookie) in &open {
            let size = cookie.name.len() + cookie.value.len() + COOKIE_OVERHEAD;
            if size > room {
                room = 0; // everything older than a deleted one is deleted too
                gone.push(cookie.name);
            } else {
                room -= size;
            }
        }
        gone.sort_unstable();
        gone.dedup();
        gone.truncate(MAX_DELETIONS);
        gone
    }

    /// The flow with this state, if it began in this browser and has not expired (R19). Must be checked before the code is used.
    ///
    /// - [`Failure::BadCallback`]: the state is missing, or has not the form of ours;
    /// - [`Failure::FlowMissing`]: no cookie of this flow, or one that we did not set, or another flow's;
    /// - [`Failure::FlowExpired`]: it began more than `LIFE` ago.
    pub fn check<'a>(
        &self,
        cookies: &OwnCookies<'a>,
        state: &str,
        now: UnixMillis,
    ) -> Result<Checked<'a>, Failure> {
        attempt_of(state.as_bytes()).ok_or(Failure::BadCallback)?;
        let name = self.name_of(state)?;
        let checked = cookies
            .flows
            .iter()
            .filter(|c| c.name == name)
            .take(MAX_SAME_NAME)
            .filter_map(|c| Some(Checked { flow: self.open(c)?, cookie: c.value }))
            .find(|c| c.flow.state().as_bytes().ct_eq(state.as_bytes()).into())
            .ok_or(Failure::FlowMissing)?;
        if checked.flow.is_over(now) { Err(Failure::FlowExpired) } else { Ok(checked) }
    }

    /// `Set-Cookie` that deletes a flow's cookie at once: for flows that have failed for good.
    pub fn delete(&self, flow: &PendingSignIn) -> Result<String, Failure> {
        Ok(self.names.delete(&self.name_of(flow.state())?))
    }

    /// `Set-Cookie` that keeps a finished flow's cookie for another minute: a webview that requests the callback a second time
    /// then gets the same response, including the target; after a deletion it would get "flow missing". The state stays used.
    pub fn keep_briefly(&self, checked: &Checked<'_>) -> Result<String, Failure> {
        let name = self.name_of(checked.flow.state())?;
        let value = std::str::from_utf8(checked.cookie).map_err(|_| Failure::Internal)?;
        Ok(self.names.set(&name, value, Some(KEPT_BRIEFLY)))
    }

    /// Is there a cookie of the flow with this state, whatever its content?
    pub(crate) fn has(&self, cookies: &OwnCookies<'_>, state: &str) -> bool {
        self.name_of(state).is_ok_and(|name| cookies.flows.iter().any(|cookie| cookie.name == name))
    }

    fn open(&self, cookie: &FlowCookie<'_>) -> Option<PendingSignIn> {
        self.keyring.open(Purpose::Flow, cookie.name.as_bytes(), cookie.value)
    }

    fn name_of(&self, state: &str) -> Result<String, Failure> {
        let start = state.get(..FLOW_NAME_CHARS).ok_or(Failure::BadCallback)?;
        Ok(format!("{}{start}", self.names.flow_prefix()))
    }
}

#[cfg(test)]
mod tests;
