//! NocoBase's tokens for a session: one for each forwarded request, one for the browser, and one that ends the session.

use std::sync::Arc;
use std::time::Duration;

use super::clock::now;
use super::sessions::Sessions;
use crate::error::Failure;
use crate::nocobase::{Minted, UserId};
use crate::session::{CachedSession, Session, Token, UnixMillis};

/// NocoBase remembers a blocked `jti` until the token that signed out would have expired: that token must outlive the session, by
/// more than clocks may differ.
const BLOCK_MARGIN: Duration = Duration::from_secs(24 * 3600);

/// Longest lifetime of a token that is forwarded with a request (R35).
const MAX_TOKEN_LIFETIME: Duration = Duration::from_secs(crate::nocobase::token::LIFETIME_S);
/// Shortest lifetime: NocoBase's clock may be ahead by this much.
const MIN_TOKEN_LIFETIME: Duration = Duration::from_secs(5 * 60);

impl Sessions {
    /// A token with a short lifetime and a fresh `iat`: whatever NocoBase sees of it or passes on is of little use afterwards
    /// (R35). It expires with its session, or a few minutes later if the session ends very soon, because clocks differ.
    pub(super) fn mint(&self, session: &Session) -> Result<Minted, Failure> {
        let user = UserId::new(session.user_id).ok_or(Failure::Internal)?;
        let now = now();
        let life = self.token_life(session, now);
        let (sid, end) = (session.sid.to_string(), now.plus(life).as_secs());
        self.minter.session_until(user, &sid, session.signed_in_at.0, now.as_secs(), end)
    }

    fn token_life(&self, session: &Session, now: UnixMillis) -> Duration {
        let limits = self.limits();
        let left = session.signed_in_at.plus(limits.absolute).since(now);
        MAX_TOKEN_LIFETIME.min(limits.idle).min(left).max(MIN_TOKEN_LIFETIME)
    }

    /// The token that is forwarded with NocoBase's own sign-out, once the gate has blocked the session itself. NocoBase blocks
    /// this token's id too; with the session's own token, it would remember the session only until that token expires.
    pub(crate) fn sign_out_token(&self, session: &Session) -> Result<Token, Failure> {
        let user = UserId::new(session.user_id).ok_or(Failure::Internal)?;
        self.as_token(&self.minter.service(user, now().as_secs())?)
    }

    /// A token that outlives its session: NocoBase remembers a blocked session only until the token that blocked it would have
    /// expired. It is used only for the gate's own call to NocoBase.
    pub(super) fn lasting(
        &self,
        user: UserId,
        id: &str,
        signed_in_at: UnixMillis,
    ) -> Result<Minted, Failure> {
        let end = now().plus(self.limits().absolute).plus(BLOCK_MARGIN).as_secs();
        self.minter.session_until(user, id, signed_in_at.0, now().as_secs(), end)
    }

    /// NocoBase's token for a request of this session: minted every ten minutes, or more often if NocoBase's token policy or the
    /// end of the session requires it.
    pub(crate) fn token(&self, session: &Session, seen: &Arc<CachedSession>) -> Result<Arc<Token>, Failure> {
        self.token_at(now(), session, seen)
    }

    /// The same at this time.
    pub(crate) fn token_at(
        &self,
        now: UnixMillis,
        session: &Session,
        seen: &Arc<CachedSession>,
    ) -> Result<Arc<Token>, Failure> {
        self.cache.token(seen, now, || {
            let reuse = self.token_policy.reuse().min(self.token_life(session, now) / 3);
            Ok(self.as_token(&self.mint(session)?)?.used_for(reuse))
        })
    }

    fn as_token(&self, minted: &Minted) -> Result<Token, Failure> {
        Token::new(minted.as_str(), &self.token_cookies, now())
    }

    /// A token for the browser to hold (`token_delivery = "browser"`): valid until the session's latest end. The gate replaces it
    /// with a fresh one before NocoBase sees it.
    pub(crate) fn browser_token(&self, session: &Session) -> Result<Minted, Failure> {
        let user = UserId::new(session.user_id).ok_or(Failure::Internal)?;
        let end = session.signed_in_at.plus(self.limits().absolute).as_secs();
        self.minter.session_until(
            user,
            &session.sid.to_string(),
            session.signed_in_at.0,
            now().as_secs(),
            end,
        )
    }

    /// Does this token belong to this session?
    pub(crate) fn is_of_session(&self, token: &str, sid: uuid::Uuid) -> bool {
        let verified = self.minter.verify(token, now().as_secs());
        verified.is_ok_and(|v| v.jti.is_some_and(|jti| jti == sid.to_string()))
    }
}
