//! The gate's own cookies: names, `Set-Cookie` lines, and finding them in the `Cookie` header.

use std::sync::Arc;
use std::time::Duration;

use cookie::{Cookie, Expiration, SameSite};

use crate::error::Failure;

/// Most cookies in one request (R17). Browsers keep up to 180 per domain, and any neighbouring site can set some.
pub(crate) const MAX_COOKIES: usize = 200;
/// Most bytes in all `Cookie` headers of one request (R17).
pub(crate) const MAX_COOKIE_BYTES: usize = 16 * 1024;
/// How many cookies with the session's name are tried. A neighbouring site can plant one with a longer path or a parent domain;
/// one that cannot be opened is skipped, and the number of attempts is limited.
const MAX_SESSIONS: usize = 3;
/// How many characters of a flow's state are in its cookie's name.
pub(super) const FLOW_NAME_CHARS: usize = 8;
/// Most deletions of flow cookies in one response; the rest follow in the next.
pub(super) const MAX_DELETIONS: usize = 20;
/// Lifetime of the loop counter.
const TRIES_LIFE: Duration = Duration::from_secs(60);

const HOST: &str = "__Host-";
/// The default of `session.cookie_name`.
pub(crate) const SESSION: &str = "wecom_gate";
/// The language chosen in NocoBase's page. `gate.js` writes it, because only scripts can read where NocoBase keeps it. Only a
/// hint, so the name is the same for either scheme.
pub(crate) const LANGUAGE: &str = "wecom_gate_lang";

/// Names and attributes of our cookies. With an `https` origin they are `__Host-` cookies: only this host can have set them, over
/// TLS. All begin with `session.cookie_name`, so that two gates on one host name do not overwrite each other's: browsers send
/// cookies to every port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names(Arc<AllNames>);

#[derive(Debug, PartialEq, Eq)]
struct AllNames {
    https: bool,
    /// `session.cookie_name`.
    bare: String,
    session: String,
    password: String,
    out: String,
    tries: String,
    link: String,
    flow_prefix: String,
}

impl Names {
    /// `https`: the scheme of the configured origin; `name`: `session.cookie_name`.
    pub fn new(https: bool, name: &str) -> Self {
        Self::made(https, name, "", '_')
    }

    /// The same for one of several applications (`[[nocobase.apps]]`): each has its own cookies. No application's name contains a
    /// dot, so no two of them share a cookie.
    pub fn of_application(https: bool, name: &str, app: &str) -> Self {
        Self::made(https, name, &format!("_app.{app}"), '.')
    }

    fn made(https: bool, name: &str, app: &str, mark: char) -> Self {
        let session = format!("{}{name}{app}", if https { HOST } else { "" });
        Names(Arc::new(AllNames {
            https,
            bare: name.to_owned(),
            password: format!("{session}{mark}password"),
            out: format!("{session}{mark}out"),
            tries: format!("{session}{mark}tries"),
            link: format!("{session}{mark}link"),
            flow_prefix: format!("{session}{mark}flow_"),
            session,
        }))
    }

    /// The session.
    pub(crate) fn session(&self) -> &str {
        &self.0.session
    }

    /// The session of a user who signed in with NocoBase's own form.
    pub fn password(&self) -> &str {
        &self.0.password
    }

    /// Marks a deliberate sign-out: while it is set, there is no automatic sign-in.
    pub(crate) fn out(&self) -> &str {
        &self.0.out
    }

    /// How many sign-ins have returned within a minute without any action of the user.
    pub(crate) fn tries(&self) -> &str {
        &self.0.tries
    }

    /// A member whom WeCom has identified and who has no matching NocoBase user.
    pub(crate) fn link(&self) -> &str {
        &self.0.link
    }

    /// The common prefix of the names of all flow cookies.
    pub fn flow_prefix(&self) -> &str {
        &self.0.flow_prefix
    }

    /// Whether this is the name of one of our cookies, for either scheme: after a change of scheme the old ones must not leak.
    /// Cookies of other gates on this host name, and those from before a change of `session.cookie_name`, are recognised by the
    /// default name.
    pub(super) fn is_ours(&self, name: &[u8]) -> bool {
        let name = name.strip_prefix(HOST.as_bytes()).unwrap_or(name);
        let of =
            |gate: &[u8]| name.strip_prefix(gate).is_some_and(|end| end.is_empty() || end.starts_with(b"_"));
        of(self.0.bare.as_bytes()) || of(SESSION.as_bytes())
    }

    /// A fast test that most cookies pass: no name that matters here (ours, or NocoBase's with `n`) begins with this first byte,
    /// and it is not blank.
    pub(super) fn is_plain(&self, segment: &[u8]) -> bool {
        let name = segment.strip_prefix(b" ").unwrap_or(segment);
        name.first().is_some_and(|b| {
            b.is_ascii_graphic()
                && !matches!(b, b'w' | b'_' | b'n')
                && Some(b) != self.0.bare.as_bytes().first()
        })
    }

    /// A `Set-Cookie` line: HttpOnly, SameSite=Lax, Path=/, and Secure if the origin is https. `value` must consist of cookie
    /// characters. Without `max_age` (rounded down to seconds) it is a session cookie.
    pub(crate) fn set(&self, name: &str, value: &str, max_age: Option<Duration>) -> String {
        let mut cookie = self.bare(name, value);
        cookie.set_max_age(max_age.map(|a| i64::try_from(a.as_secs()).unwrap_or(i64::MAX)).map(seconds));
        cookie.to_string()
    }

    /// The `Set-Cookie` line that deletes a cookie set by [`Names::set`]: all attributes must be the same, otherwise browsers
    /// keep `__Host-` cookies (R16).
    pub(crate) fn delete(&self, name: &str) -> String {
        let mut cookie = self.bare(name, "");
        cookie.set_max_age(seconds(0));
        cookie.set_expires(Expiration::from(cookie::time::OffsetDateTime::UNIX_EPOCH));
        cookie.to_string()
    }

    /// The same for the flow cookies of a request that has too many cookies; only the first few of them. Flows that begin at the
    /// same moment do not know of each other, so a browser may end up with more than the gate reads (R34).
    pub fn delete_flows<'a>(&self, headers: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut own = OwnCookies::default();
        for (name, value) in headers.into_iter().flat_map(segments).filter_map(name_and_value) {
            own.note(self, name, value);
        }
        own.flows.iter().take(MAX_DELETIONS).map(|flow| self.delete(flow.name)).collect()
    }

    /// Marks a deliberate sign-out, until the browser is closed or a member signs in by a click.
    pub(crate) fn set_out(&self) -> String {
        self.set(self.out(), "1", None)
    }

    /// Counts a sign-in that returned without any action of the user.
    pub(crate) fn set_tries(&self, tries: u8) -> String {
        self.set(self.tries(), &tries.to_string(), Some(TRIES_LIFE))
    }

    /// The same, with the number of redirects to NocoBase's form.
    pub(crate) fn set_form_redirects(&self, tries: u8, forms: u8) -> String {
        self.set(self.tries(), &format!("{tries}.{forms}"), Some(TRIES_LIFE))
    }

    fn bare<'c>(&self, name: &'c str, value: &'c str) -> Cookie<'c> {
        Cookie::build((name, value))
            .path("/")
            .secure(self.0.https)
            .http_only(true)
            .same_site(SameSite::Lax)
            .build()
    }
}

fn seconds(n: i64) -> cookie::time::Duration {
    cookie::time::Duration::seconds(n)
}

/// The cookie of one pending sign-in, as received.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowCookie<'a> {
    /// Its whole name.
    pub(crate) name: &'a str,
    /// Its sealed value.
    pub(crate) value: &'a [u8],
}

/// Our own cookies in a request, not opened. Nothing is copied, and nothing is allocated unless there is a pending sign-in.
#[derive(Clone, Default)]
pub struct OwnCookies<'a> {
    sessions: [Option<&'a [u8]>; MAX_SESSIONS],
    /// There are more of them than that.
    crowded: bool,
    passwords: [Option<&'a [u8]>; MAX_SESSIONS],
    link: Option<&'a [u8]>,
    /// There are several of them.
    several_links: bool,
    /// Cookies of pending sign-ins, in the order of the header.
    pub(crate) flows: Vec<FlowCookie<'a>>,
    /// Signed out deliberately.
    pub(crate) signed_out: bool,
    /// Sign-ins that returned within a minute without any action of the user, as counted in the browser's cookie: a hint against
    /// loops, not proof of anything.
    pub(crate) tries: u8,
    /// How often the browser was redirected to NocoBase's form within a minute, from the same cookie.
    pub(crate) forms: u8,
}

impl std::fmt::Debug for OwnCookies<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnCookies")
            .field("sessions", &self.sessions().count())
            .field("flows", &self.flows.len())
            .field("signed_out", &self.signed_out)
            .field("tries", &self.tries)
            .finish()
    }
}

impl<'a> OwnCookies<'a> {
    /// Finds our cookies in the values of all `Cookie` headers (HTTP/2 may send several).
    /// [`Failure::HeadersTooLarge`] beyond `MAX_COOKIES` or `MAX_COOKIE_BYTES`.
    pub fn parse(names: &Names, headers: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, Failure> {
        let mut own = OwnCookies::default();
        let mut bounds = Bounds::default();
        for header in headers {
            bounds.header(header)?;
            for segment in segments(header) {
                bounds.segment(segment)?;
                if !names.is_plain(segment)
                    && let Some((name, value)) = name_and_value(segment)
                {
                    own.note(names, name, value);
                }
            }
        }
        Ok(own)
    }

    fn note(&mut self, names: &Names, name: &'a [u8], value: &'a [u8]) {
        if name == names.session().as_bytes() {
            if let Some(free) = self.sessions.iter_mut().find(|s| s.is_none()) {
                *free = Some(value);
            } else {
                self.crowded = true;
            }
        } else if let Some(flow) = name.strip_prefix(names.flow_prefix().as_bytes()) {
            // The name may be repeated in a `Set-Cookie` that deletes it, so it must be one that we could have set.
            let well_formed = flow.len() == FLOW_NAME_CHARS && flow.iter().all(u8::is_ascii_alphanumeric);
            if well_formed && let Ok(name) = std::str::from_utf8(name) {
                self.flows.push(FlowCookie { name, value });
            }
        } else if name == names.password().as_bytes() {
            if let Some(free) = self.passwords.iter_mut().find(|s| s.is_none()) {
                *free = Some(value);
            }
        } else if name == names.link().as_bytes() {
            self.several_links |= self.link.replace(value).is_some();
        } else if name == names.out().as_bytes() {
            self.signed_out |= value == b"1";
        } else if name == names.tries().as_bytes() {
            let value = std::str::from_utf8(value).unwrap_or_default();
            let (tries, forms) = value.split_once('.').unwrap_or((value, ""));
            self.tries = self.tries.max(tries.parse().unwrap_or(0));
            self.forms = self.forms.max(forms.parse().unwrap_or(0));
        }
    }

    /// Values of the first few cookies with the session's name.
    pub fn sessions(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.sessions.iter().copied().flatten()
    }

    /// Values of the first few cookies of sessions that began at NocoBase's own form.
    pub fn passwords(&self) -> impl Iterator<Item = &'a [u8]> + '_ {
        self.passwords.iter().copied().flatten()
    }

    /// The cookie of a member without a matching user. With several, the browser's own cannot be determined: none counts (R42).
    pub(crate) fn link(&self) -> Option<&'a [u8]> {
        self.link.filter(|_| !self.several_links)
    }

    /// Whether the browser sent such a cookie, valid or not.
    pub(crate) fn has_link(&self) -> bool {
        self.link.is_some()
    }

    /// Whether there are more cookies with the session's name than are read: then it is impossible to tell which of them is
    /// the browser's own (R42).
    pub(crate) fn is_crowded(&self) -> bool {
        self.crowded
    }

    /// Whether the browser sent a cookie with the session's name, valid or not.
    pub(crate) fn has_session(&self) -> bool {
        self.sessions.iter().any(Option::is_some)
    }
}

/// Counts towards the limits of R17.
#[derive(Default)]
pub(super) struct Bounds {
    bytes: usize,
    cookies: usize,
}

impl Bounds {
    pub(super) fn header(&mut self, header: &[u8]) -> Result<(), Failure> {
        self.bytes = self.bytes.saturating_add(header.len());
        if self.bytes > MAX_COOKIE_BYTES { Err(Failure::HeadersTooLarge) } else { Ok(()) }
    }
    pub(super) fn segment(&mut self, segment: &[u8]) -> Result<(), Failure> {
        self.cookies += usize::from(!is_blank(segment));
        if self.cookies > MAX_COOKIES { Err(Failure::HeadersTooLarge) } else { Ok(()) }
    }
}

/// The parts between semicolons, unchanged.
pub(super) fn segments(header: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(header);
    std::iter::from_fn(move || {
        let bytes = rest?;
        let (segment, after) = match memchr::memchr(b';', bytes) {
            Some(at) => (bytes.get(..at)?, bytes.get(at + 1..)),
            None => (bytes, None),
        };
        rest = after;
        Some(segment)
    })
}

/// Name and value of one segment; `None` without `=`.
pub(super) fn name_and_value(segment: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b'=', segment)?;
    let name = segment.get(..at)?;
    let value = segment.get(at + 1..)?;
    Some((trim(name), value.trim_ascii()))
}

/// The value of the first cookie of this name.
pub(crate) fn first_cookie<'a>(headers: impl IntoIterator<Item = &'a [u8]>, name: &[u8]) -> Option<&'a [u8]> {
    headers
        .into_iter()
        .flat_map(segments)
        .filter_map(name_and_value)
        .find_map(|(found, value)| (found == name).then_some(value))
}

/// Removes everything that a cookie parser behind us may treat as white space. Node reads headers as Latin-1, and JavaScript's
/// `trim()` also removes 0xA0: `\xA0nb_auth_token_main` must not pass a comparison here and be read as `nb_auth_token_main`
/// there.
fn trim(mut name: &[u8]) -> &[u8] {
    const fn blank(b: u8) -> bool {
        b <= b' ' || b == 0x7f || b == 0x85 || b == 0xa0
    }
    while let [first, rest @ ..] = name
        && blank(*first)
    {
        name = rest;
    }
    while let [rest @ .., last] = name
        && blank(*last)
    {
        name = rest;
    }
    name
}

pub(super) fn is_blank(segment: &[u8]) -> bool {
    segment.iter().all(u8::is_ascii_whitespace)
}

#[cfg(test)]
mod tests;
