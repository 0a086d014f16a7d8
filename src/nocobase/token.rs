//! NocoBase's tokens: minted for sessions and for the service account, and verified when a client sends one.
//!
//! The claims and their meaning were found by experiment with NocoBase 2.2.15: a session token has `temp: true` and a `jti` by
//! which it is blocked at sign-out; an API key has neither.

use std::fmt;
use std::sync::Arc;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use serde::{Deserialize, Serialize};

use super::{UserId, crypto};
use crate::error::Failure;

/// Lifetime of a minted session token, in seconds.
pub(crate) const LIFETIME_S: u64 = 30 * 60;
/// Lifetime of a token for one call as the service account, in seconds.
const SERVICE_LIFETIME_S: u64 = 10 * 60;
/// How long a foreign token may have expired (or how early it may be), in seconds: clocks differ.
const LEEWAY_S: u64 = 60;
/// How long a token of NocoBase's own sign-in may have expired, in seconds: NocoBase itself renews it that long (its
/// `expiredTokenRenewLimit` is a day), and then decides itself.
const RENEWABLE_S: u64 = 24 * 3600;
/// Longest token that is verified. NocoBase's have about 300 bytes.
const MAX_TOKEN: usize = 8 * 1024;

/// A session token for NocoBase, ready for the `Authorization` header. Cheap to clone; `Debug` does not show it.
#[derive(Clone)]
pub struct Minted {
    token: Arc<str>,
}

impl Minted {
    /// The token itself.
    pub fn as_str(&self) -> &str {
        &self.token
    }
}

impl fmt::Debug for Minted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minted(..)")
    }
}

/// The claims of a token with a valid signature that has not expired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The user.
    pub user_id: UserId,
    /// The id of its session; API keys have none.
    pub jti: Option<String>,
    /// When its session began, in Unix milliseconds; the same in all tokens of a session.
    pub sign_in_ms: Option<u64>,
    /// An API key (no `temp` claim) rather than a session token.
    pub api_key: bool,
    /// Unix seconds. `None`: never expires, which NocoBase accepts too.
    pub exp: Option<u64>,
}

/// Why a token is refused. One error for every reason, so that the reason is not revealed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid token of NocoBase")]
pub struct TokenError;

/// Claims of a session token, in NocoBase's order.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SessionClaims<'a> {
    user_id: UserId,
    temp: bool,
    iat: u64,
    /// Milliseconds, unlike the other times.
    sign_in_time: u64,
    exp: u64,
    jti: &'a str,
}

/// Claims of an API key without `roleName`: the user's own roles apply.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ServiceClaims {
    user_id: UserId,
    iat: u64,
    exp: u64,
}

/// Claims of any token that NocoBase accepts.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnyClaims {
    user_id: UserId,
    #[serde(default)]
    temp: Option<bool>,
    #[serde(default)]
    jti: Option<String>,
    /// Not validated: a token without a valid `jti` is still a token.
    #[serde(default)]
    sign_in_time: serde_json::Value,
    #[serde(default)]
    exp: Option<u64>,
    #[serde(default)]
    nbf: Option<u64>,
}

/// Mints and verifies tokens with NocoBase's secret. Pure: the time is passed in.
pub struct Minter {
    signing: EncodingKey,
    verifying: DecodingKey,
    header: Header,
    validation: Validation,
}

impl fmt::Debug for Minter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Minter(..)")
    }
}

impl Minter {
    /// `secret`: the bytes of `APP_KEY`, or of NocoBase's `jwt_secret.dat`.
    pub fn new(secret: &[u8]) -> Self {
        crypto::install();
        let mut validation = Validation::new(Algorithm::HS256);
        // Times are checked below against the time passed in.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        validation.required_spec_claims.clear();
        Self {
            signing: EncodingKey::from_secret(secret),
            verifying: DecodingKey::from_secret(secret),
            header: Header::new(Algorithm::HS256),
            validation,
        }
    }

    /// A token for session `sid` (its `jti`), which began at `sign_in_ms` (Unix milliseconds). All tokens of a session have the
    /// same `jti` and sign-in time, and each has its own `iat`.
    pub fn session(&self, user: UserId, sid: &str, sign_in_ms: u64, now_s: u64) -> Result<Minted, Failure> {
        let claims = SessionClaims {
            user_id: user,
            temp: true,
            iat: now_s,
            sign_in_time: sign_in_ms,
            exp: now_s.saturating_add(LIFETIME_S),
            jti: sid,
        };
        Ok(Minted { token: self.sign(&claims)?.into() })
    }

    /// The same with an expiry of its own, `exp_s` (Unix seconds): a token to sign out with, or one for the browser to hold.
    /// NocoBase remembers a blocked `jti` only until the token that signed out would have expired.
    pub fn session_until(
        &self,
        user: UserId,
        sid: &str,
        sign_in_ms: u64,
        now_s: u64,
        exp_s: u64,
    ) -> Result<Minted, Failure> {
        let claims = SessionClaims {
            user_id: user,
            temp: true,
            iat: now_s,
            sign_in_time: sign_in_ms,
            exp: exp_s,
            jti: sid,
        };
        Ok(Minted { token: self.sign(&claims)?.into() })
    }

    /// A short-lived token for the service account.
    pub fn service(&self, user: UserId, now_s: u64) -> Result<Minted, Failure> {
        let exp = now_s.saturating_add(SERVICE_LIFETIME_S);
        let claims = ServiceClaims { user_id: user, iat: now_s, exp };
        Ok(Minted { token: self.sign(&claims)?.into() })
    }

    fn sign<T: Serialize>(&self, claims: &T) -> Result<String, Failure> {
        jsonwebtoken::encode(&self.header, claims, &self.signing).map_err(|error| {
            tracing::error!(%error, "cannot sign a token");
            Failure::Internal
        })
    }

    /// Verifies a token (without `Bearer `) from a client: HS256, signature compared in constant time, and expired for at most a
    /// minute. Whether its user exists and its session is valid is for NocoBase to decide.
    pub fn verify(&self, token: &str, now_s: u64) -> Result<Verified, TokenError> {
        self.verify_within(token, now_s, LEEWAY_S)
    }

    /// The same, but also accepts tokens of NocoBase's own sign-in that NocoBase would still renew. For users who signed in by
    /// password: their page sends the old token and gets a new one with the response.
    pub fn verify_renewable(&self, token: &str, now_s: u64) -> Result<Verified, TokenError> {
        self.verify_within(token, now_s, RENEWABLE_S)
    }

    fn verify_within(&self, token: &str, now_s: u64, session_grace_s: u64) -> Result<Verified, TokenError> {
        if token.len() > MAX_TOKEN {
            return Err(TokenError);
        }
        let claims = jsonwebtoken::decode::<AnyClaims>(token, &self.verifying, &self.validation)
            .map_err(|_| TokenError)?
            .claims;
        let session = claims.temp == Some(true) && claims.jti.is_some();
        let grace_s = if session { session_grace_s } else { LEEWAY_S };
        let over = claims.exp.is_some_and(|exp| now_s > exp.saturating_add(grace_s));
        let not_yet = claims.nbf.is_some_and(|nbf| now_s.saturating_add(LEEWAY_S) < nbf);
        if over || not_yet {
            return Err(TokenError);
        }
        let AnyClaims { user_id, temp, jti, sign_in_time, exp, .. } = claims;
        let sign_in_ms = sign_in_time.as_u64();
        Ok(Verified { user_id, jti, sign_in_ms, api_key: !temp.unwrap_or(false), exp })
    }
}

#[cfg(test)]
mod tests;
