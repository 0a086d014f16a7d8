//! The content of the session cookie, how long it is valid, and the only code that turns a `Cookie` header into a session and
//! back.

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::config::{Config, WeComEntry};
use crate::error::Failure;

use super::cookies::{Names, OwnCookies};
use super::phantom::Phantom;
use super::random;
use super::seal::{Keyring, Purpose};
use super::time::UnixMillis;

/// The member who signed in: the result of a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name of the WeCom entry, which is the authenticator's name in NocoBase.
    pub entry: String,
    /// The entry's corp id.
    pub corp_id: String,
    /// Userid in the form in which WeCom returned it.
    pub userid: String,
    /// Display name.
    pub name: String,
    /// Id of the NocoBase user.
    pub user_id: u64,
}

/// A signed-in member, as sealed into the session cookie. It contains no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// Session id: the `jti` of NocoBase's tokens for this session.
    #[serde(with = "sid_bytes")]
    pub sid: Uuid,
    /// See [`Member::entry`].
    pub entry: String,
    /// See [`Member::corp_id`].
    pub corp_id: String,
    /// See [`Member::userid`].
    pub userid: String,
    /// See [`Member::name`].
    pub name: String,
    /// See [`Member::user_id`].
    pub user_id: u64,
    /// When the member signed in: `signInTime` of NocoBase's tokens.
    pub signed_in_at: UnixMillis,
    /// When the cookie was last sealed. The last request may be later, by up to `SessionLimits::renew_after`.
    pub last_seen: UnixMillis,
    /// What the page holds in place of a token.
    pub phantom: Phantom,
}

/// A UUID as its 16 bytes.
mod sid_bytes {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use uuid::Uuid;

    pub(super) fn serialize<S: Serializer>(sid: &Uuid, to: S) -> Result<S::Ok, S::Error> {
        sid.as_bytes().serialize(to)
    }
    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Uuid, D::Error> {
        <[u8; 16]>::deserialize(from).map(Uuid::from_bytes)
    }
}

/// Whether a session is valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SessionValidity {
    /// It is.
    Valid,
    /// Too long since the last request.
    Idle,
    /// Too long since sign-in.
    Expired,
    /// Created in the future, by more than clocks may differ.
    FromTheFuture,
}

/// How long sessions last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Since the last request.
    pub idle: Duration,
    /// Since sign-in.
    pub absolute: Duration,
}

impl SessionLimits {
    /// A cookie older than this is sealed again. Most requests thus set no cookie: with the default idle time of 12 hours, one in
    /// half an hour does. `idle` may therefore seem shorter by this much. It is at most a quarter of `idle`, so that very short
    /// idle times are extended too.
    pub(crate) fn renew_after(&self) -> Duration {
        (self.idle / 24).max(Duration::from_secs(60)).min(self.idle / 4)
    }

    /// Whether a session is valid at `now`. Both limits are exclusive: at exactly `idle` it has ended.
    pub(crate) fn state(
        &self,
        signed_in_at: UnixMillis,
        last_seen: UnixMillis,
        now: UnixMillis,
    ) -> SessionValidity {
        if signed_in_at.is_from_the_future(now) || last_seen.is_from_the_future(now) {
            SessionValidity::FromTheFuture
        } else if now.since(signed_in_at) >= self.absolute {
            SessionValidity::Expired
        } else if now.since(last_seen) >= self.idle {
            SessionValidity::Idle
        } else {
            SessionValidity::Valid
        }
    }
}

impl Session {
    /// A session that begins now, with a new id and a new phantom (R15).
    pub fn begin(member: Member, now: UnixMillis) -> Result<Self, Failure> {
        let Member { entry, corp_id, userid, name, user_id } = member;
        Ok(Session {
            sid: uuid::Builder::from_random_bytes(random::bytes()?).into_uuid(),
            entry,
            corp_id,
            userid,
            name,
            user_id,
            signed_in_at: now,
            last_seen: now,
            phantom: Phantom::random()?,
        })
    }

    /// Whether it is valid at `now`. Both limits are exclusive: at exactly `idle` it has ended.
    pub(crate) fn state(&self, limits: &SessionLimits, now: UnixMillis) -> SessionValidity {
        limits.state(self.signed_in_at, self.last_seen, now)
    }

    /// When it ends if no further request arrives.
    pub(crate) fn ends_at(&self, limits: &SessionLimits) -> UnixMillis {
        self.last_seen.plus(limits.idle).min(self.signed_in_at.plus(limits.absolute))
    }

    /// The same session as seen at `now`, if a new cookie is due (see [`SessionLimits::renew_after`]).
    pub(crate) fn renewed(&self, limits: &SessionLimits, now: UnixMillis) -> Option<Session> {
        let due = now.since(self.last_seen) >= limits.renew_after()
            && self.state(limits, now) == SessionValidity::Valid;
        due.then(|| Session { last_seen: now, ..self.clone() })
    }

    /// Whether its entry is still configured, for the same company (a webview keeps cookies when its user switches companies).
    pub(crate) fn belongs_to(&self, entries: &[Company]) -> bool {
        entries.iter().any(|c| c.entry == self.entry && c.corp_id == self.corp_id)
    }
}

/// An entry's name and its company.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Company {
    /// The entry's name.
    pub entry: String,
    /// The entry's corp id.
    pub corp_id: String,
}

impl From<&WeComEntry> for Company {
    fn from(e: &WeComEntry) -> Self {
        Company { entry: e.name.clone(), corp_id: e.corp_id.clone() }
    }
}

/// Reads and writes session cookies: keys, names, limits and companies together, created once at the start.
#[derive(Debug, Clone)]
pub struct SessionCookies {
    keyring: Arc<Keyring>,
    names: Names,
    limits: SessionLimits,
    companies: Vec<Company>,
}

impl SessionCookies {
    /// Puts the parts together.
    pub fn new(keyring: Arc<Keyring>, names: Names, limits: SessionLimits, companies: Vec<Company>) -> Self {
        SessionCookies { keyring, names, limits, companies }
    }

    /// From the configuration; `keyring` is built from `config.session.keys`.
    pub(crate) fn of(config: &Config, keyring: Arc<Keyring>) -> Self {
        let limits = SessionLimits { idle: config.session.idle, absolute: config.session.absolute };
        let companies = config.wecom.iter().map(Company::from).collect();
        let (https, name) = (config.origin.https, &config.session.cookie_name);
        let names = match config.nocobase.beside_others {
            true => Names::of_application(https, name, &config.nocobase.app),
            false => Names::new(https, name),
        };
        Self::new(keyring, names, limits, companies)
    }

    /// How long sessions last.
    pub(crate) fn limits(&self) -> &SessionLimits {
        &self.limits
    }

    /// The keys.
    pub(super) fn keyring(&self) -> &Keyring {
        &self.keyring
    }

    /// The names of the cookies.
    pub fn names(&self) -> &Names {
        &self.names
    }

    /// The session that the request carries, if it is one of ours and valid at `now`. Everything else is `None`: forged, expired,
    /// of a company that is not configured any more, garbage (R7, R12). Whether it was ended is not known here: see
    /// [`SessionCache`](super::SessionCache).
    pub fn read(&self, cookies: &OwnCookies<'_>, now: UnixMillis) -> Option<Session> {
        self.read_all(cookies, now).next()
    }

    /// Whether these cookies hold this session, whatever its age: do the keys still open it, and is its entry still configured?
    pub(crate) fn hold(&self, cookies: &OwnCookies<'_>, sid: Uuid) -> bool {
        let context = self.names.session().as_bytes();
        cookies
            .sessions()
            .filter_map(|text| self.keyring.open::<Session>(Purpose::Session, context, text))
            .any(|s| s.sid == sid && s.belongs_to(&self.companies))
            || self.open_passwords(cookies).any(|own| own.session.sid == sid)
    }

    /// Every session that the request carries, as read by [`SessionCookies::read`]. If several valid ones remain, none counts:
    /// one of them has been planted (R42).
    pub(crate) fn read_all<'c>(
        &'c self,
        cookies: &'c OwnCookies<'_>,
        now: UnixMillis,
    ) -> impl Iterator<Item = Session> + 'c {
        let context = self.names.session().as_bytes();
        let counts = move |s: &Session| {
            s.state(&self.limits, now) == SessionValidity::Valid && s.belongs_to(&self.companies)
        };
        cookies
            .sessions()
            .filter_map(move |text| self.keyring.open::<Session>(Purpose::Session, context, text))
            .filter(counts)
    }

    /// `Set-Cookie` for this session. The browser deletes it when the session ends.
    pub fn write(&self, session: &Session, now: UnixMillis) -> Result<String, Failure> {
        let name = self.names.session();
        let text = self.keyring.seal(Purpose::Session, name.as_bytes(), session)?;
        Ok(self.names.set(name, &text, Some(session.ends_at(&self.limits).since(now))))
    }

    /// `Set-Cookie` with the session's new cookie, if one is due.
    pub(crate) fn renew(&self, session: &Session, now: UnixMillis) -> Result<Option<String>, Failure> {
        session.renewed(&self.limits, now).map(|s| self.write(&s, now)).transpose()
    }

    /// `Set-Cookie` that deletes the session cookie.
    pub(crate) fn delete(&self) -> String {
        self.names.delete(self.names.session())
    }
}

#[cfg(test)]
mod tests;
