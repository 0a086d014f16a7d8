//! NocoBase's token for a session, as used in requests.

use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use super::time::UnixMillis;
use crate::error::Failure;

/// A token older than this is replaced: far below NocoBase's `tokenExpirationTime` (a day by default), so that NocoBase never
/// sees an expired one.
pub(crate) const REMINT_AFTER: Duration = Duration::from_secs(10 * 60);

/// The cookies in which NocoBase looks for a token: what comes before the token and after it. The same for all sessions.
#[derive(Debug)]
pub struct TokenCookies {
    before: Box<str>,
    after: Box<str>,
}

impl TokenCookies {
    /// `token` and `authenticator` are their names.
    pub fn new(token: &str, authenticator: &str) -> Arc<TokenCookies> {
        let (before, after) = (format!("{token}=").into(), format!("; {authenticator}=basic").into());
        Arc::new(TokenCookies { before, after })
    }

    /// The name of the cookie with the token.
    pub(crate) fn token_name(&self) -> &str {
        self.before.strip_suffix('=').unwrap_or_default()
    }
}

/// NocoBase's token for a session, in the forms in which requests need it. There is one copy of its text: thousands of sessions hold
/// one.
pub struct Token {
    bearer: HeaderValue,
    cookies: Arc<TokenCookies>,
    minted_at: UnixMillis,
    /// How long it is used, at most [`REMINT_AFTER`].
    reuse: Duration,
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Token").field("minted_at", &self.minted_at).finish_non_exhaustive()
    }
}

impl Token {
    const SCHEME: &str = "Bearer ";

    /// `jwt` as minted at `now`.
    pub fn new(jwt: &str, cookies: &Arc<TokenCookies>, now: UnixMillis) -> Result<Self, Failure> {
        let text = [Self::SCHEME, jwt].concat();
        let mut bearer = HeaderValue::try_from(text).map_err(|_| Failure::Internal)?;
        bearer.set_sensitive(true);
        Ok(Token { bearer, cookies: cookies.clone(), minted_at: now, reuse: REMINT_AFTER })
    }

    /// The same, used for at most this long.
    #[must_use]
    pub(crate) fn used_for(mut self, reuse: Duration) -> Self {
        self.reuse = self.reuse.min(reuse);
        self
    }

    /// When it was minted.
    pub(crate) fn minted_at(&self) -> UnixMillis {
        self.minted_at
    }

    /// Value of the `Authorization` header.
    pub fn bearer(&self) -> &HeaderValue {
        &self.bearer
    }
    /// The bare token, for the query and the WebSocket frame.
    pub fn jwt(&self) -> &str {
        self.bearer.to_str().ok().and_then(|b| b.strip_prefix(Self::SCHEME)).unwrap_or_default()
    }
    /// The cookies added to the forwarded `Cookie` header (`name=value; name=value`), in pieces.
    pub fn cookies(&self) -> [&str; 3] {
        [&self.cookies.before, self.jwt(), &self.cookies.after]
    }

    pub(super) fn is_stale(&self, now: UnixMillis) -> bool {
        now.since(self.minted_at) >= self.reuse || self.minted_at.is_from_the_future(now)
    }
}
