//! The session of a user who signed in with NocoBase's own form. The page holds NocoBase's token and sends it with its calls;
//! this cookie is for requests that browsers make without it: pages, files, the WebSocket. NocoBase before 2.2 has no cookie of
//! its own.
//!
//! The cookie does not authenticate anyone to NocoBase: requests that pass because of it are forwarded anonymously.

use ring::digest;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::cookies::OwnCookies;
use super::seal::Purpose;
use super::session::{Member, Session, SessionCookies, SessionValidity};
use super::time::UnixMillis;
use crate::error::Failure;

/// The claims of a token issued by NocoBase's own sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PasswordSignIn {
    /// Id of the NocoBase user.
    pub user_id: u64,
    /// When the user signed in: the same in all tokens of the session.
    pub signed_in_at: UnixMillis,
    /// The token's id, which changes each time NocoBase renews the token.
    pub jti: String,
}

impl PasswordSignIn {
    /// Id of the session, derived from user and time, so that every node can compute it from any of the session's tokens, even
    /// after a renewal.
    pub fn sid(&self) -> Uuid {
        let mut text = b"wecom-gate password session".to_vec();
        text.extend_from_slice(&self.user_id.to_be_bytes());
        text.extend_from_slice(&self.signed_in_at.0.to_be_bytes());
        let digest = digest::digest(&digest::SHA256, &text);
        let id = digest.as_ref().first_chunk::<16>().copied().unwrap_or_default();
        uuid::Builder::from_custom_bytes(id).into_uuid()
    }
}

/// Such a session, as sealed into its cookie. It contains no token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PasswordSession {
    /// As for all sessions; without an entry, and with a userid that no member can have.
    pub session: Session,
    /// Id of the token that the page sent last: it is blocked when the session ends.
    pub jti: String,
}

impl PasswordSession {
    /// The session of this sign-in, seen at `now`.
    pub fn new(sign_in: &PasswordSignIn, now: UnixMillis) -> Result<PasswordSession, Failure> {
        let who = Member {
            entry: String::new(),
            corp_id: String::new(),
            userid: format!("user {}", sign_in.user_id),
            name: String::new(),
            user_id: sign_in.user_id,
        };
        let begun = Session::begin(who, now)?;
        let session = Session { sid: sign_in.sid(), signed_in_at: sign_in.signed_in_at, ..begun };
        Ok(PasswordSession { session, jti: sign_in.jti.clone() })
    }
}

impl SessionCookies {
    /// The sessions in these cookies that began at NocoBase's own form and are valid at `now`.
    pub fn read_passwords<'c>(
        &'c self,
        cookies: &'c OwnCookies<'_>,
        now: UnixMillis,
    ) -> impl Iterator<Item = PasswordSession> + 'c {
        self.open_passwords(cookies)
            .filter(move |own| own.session.state(self.limits(), now) == SessionValidity::Valid)
    }

    /// The same, whatever their age.
    pub(super) fn open_passwords<'c>(
        &'c self,
        cookies: &'c OwnCookies<'_>,
    ) -> impl Iterator<Item = PasswordSession> + 'c {
        let context = self.names().password().as_bytes();
        cookies.passwords().filter_map(move |text| {
            self.keyring().open::<PasswordSession>(Purpose::PasswordSession, context, text)
        })
    }

    /// `Set-Cookie` for this session.
    pub fn write_password(&self, own: &PasswordSession, now: UnixMillis) -> Result<String, Failure> {
        let name = self.names().password();
        let text = self.keyring().seal(Purpose::PasswordSession, name.as_bytes(), own)?;
        Ok(self.names().set(name, &text, Some(own.session.ends_at(self.limits()).since(now))))
    }

    /// `Set-Cookie` that deletes such a session's cookie, if the browser sent one.
    pub fn delete_password(&self, cookies: &OwnCookies<'_>) -> Option<String> {
        cookies.passwords().next().map(|_| self.names().delete(self.names().password()))
    }
}

#[cfg(test)]
mod tests;
