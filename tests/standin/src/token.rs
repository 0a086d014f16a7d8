//! NocoBase's tokens, read without the gate's code: HS256 by ring, because `jsonwebtoken` allows one crypto provider per process,
//! which is the gate's.

use axum::http::{HeaderMap, header};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;
use serde_json::{Value, json};

use crate::Node;

/// Seconds by which a token may have expired: clocks differ.
const LEEWAY_S: u64 = 60;
const EXPIRED: &str = "Your session has expired. Please sign in again.";

/// A signed-in user, and the session's id.
pub(crate) type SignedIn = (Value, Option<String>);
/// Message and code of a refusal.
pub(crate) type Refusal = (&'static str, &'static str);

/// The claims of a token, unverified; `Null` if it cannot be decoded.
pub fn claims(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap_or_default();
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).unwrap_or_default()).unwrap_or_default()
}

/// The claims of a token with a valid signature that has not expired.
fn verified(token: &str, secret: &str, now_s: u64) -> Option<Value> {
    let (message, signature) = token.rsplit_once('.')?;
    let (header, _) = message.split_once('.')?;
    let header: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    hmac::verify(&key, message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    let claims = claims(token);
    let over = claims["exp"].as_u64().is_some_and(|exp| now_s > exp + LEEWAY_S);
    (header["alg"] == "HS256" && !claims["userId"].is_null() && !over).then_some(claims)
}

/// A session's token for a user.
pub(crate) fn mint(secret: &str, user: u64, jti: &str) -> String {
    sign(&json!({ "alg": "HS256" }), &json!({ "userId": user, "temp": true, "jti": jti }), secret)
}

/// The user and `jti` of a token, as NocoBase checks it.
pub(crate) fn who(node: &Node, token: Option<&str>) -> Result<SignedIn, Refusal> {
    let token = token
        .filter(|t| !t.is_empty())
        .ok_or(("Unauthenticated. Please sign in to continue.", "EMPTY_TOKEN"))?;
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let claims = verified(token, &node.secret, now).ok_or((EXPIRED, "INVALID_TOKEN"))?;
    let jti = claims["jti"].as_str().map(str::to_owned);
    let data = node.data.lock();
    if jti.as_ref().is_some_and(|jti| data.blocked.contains(jti)) {
        return Err((EXPIRED, "BLOCKED_TOKEN"));
    }
    let signed_in = claims["signInTime"].as_u64().map(std::time::Duration::from_millis);
    if let (Some(longest), Some(signed_in)) = (data.session_expiration, signed_in)
        && std::time::UNIX_EPOCH.elapsed().unwrap().saturating_sub(signed_in) > longest
    {
        return Err((EXPIRED, "EXPIRED_SESSION"));
    }
    let user = data.user_of(&claims["userId"]).cloned();
    let user = user.ok_or(("User not found. Please sign in again to continue.", "NOT_EXIST_USER"))?;
    Ok((user, jti))
}

/// A token of its own sign-in, as NocoBase issues it: valid for `life_s` seconds.
pub(crate) fn signed(secret: &str, user: &Value, jti: &str, now: std::time::Duration, life_s: u64) -> String {
    let claims = json!({ "userId": user["id"], "temp": true, "iat": now.as_secs(), "signInTime": u64::try_from(now.as_millis()).unwrap(),
        "exp": now.as_secs() + life_s, "jti": jti });
    sign(&json!({ "alg": "HS256", "typ": "JWT" }), &claims, secret)
}

/// Signs as NocoBase does, following RFC 7515.
fn sign(header: &Value, claims: &Value, secret: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let message = format!("{}.{}", part(header), part(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(hmac::sign(&key, message.as_bytes())))
}

/// The token in `Authorization`, else that in the query.
pub(crate) fn bearer(headers: &HeaderMap, query: &str) -> Option<String> {
    let header = headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()?.strip_prefix("Bearer "));
    header.map(str::to_owned).or_else(|| {
        url::form_urlencoded::parse(query.as_bytes()).find(|(n, _)| n == "token").map(|(_, v)| v.into_owned())
    })
}

/// What NocoBase does with a session's token that is older than its policy allows: it renews it and gives the session another id,
/// once; a client that sends the old id again, without a newer token, is refused. Returns whether it was renewed.
pub(crate) fn renew(node: &Node, token: &str, jti: Option<&str>) -> Result<bool, Refusal> {
    let mut data = node.data.lock();
    let (Some((fresh, _)), Some(jti)) = (data.token_policy, jti) else { return Ok(false) };
    let issued = std::time::Duration::from_secs(claims(token)["iat"].as_u64().unwrap_or(0));
    if (std::time::UNIX_EPOCH.elapsed().unwrap() + data.ahead).saturating_sub(issued) <= fresh {
        return Ok(false);
    }
    match data.tokens.iter_mut().find(|row| row["jti"] == jti) {
        Some(row) => {
            row["jti"] = json!(uuid::Uuid::new_v4().to_string());
            data.renewed += 1;
            Ok(true)
        }
        None => Err((EXPIRED, "TOKEN_RENEW_FAILED")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_right_signature_within_its_time_counts() {
        let (hs256, claims) = (json!({ "alg": "HS256" }), json!({ "userId": 7, "exp": 1000 }));
        let token = sign(&hs256, &claims, "k");
        assert_eq!(verified(&token, "k", 1060), Some(claims.clone()));
        assert_eq!(verified(&token, "k", 1061), None, "over");
        assert_eq!(verified(&token, "another", 0), None);
        assert_eq!(verified(&sign(&json!({ "alg": "none" }), &claims, "k"), "k", 0), None);
        assert_eq!(verified(&sign(&hs256, &json!({}), "k"), "k", 0), None, "an empty payload");
        for broken in ["", "a", "a.b", "a.b.c", &token[1..], &token[..token.len() - 2]] {
            assert_eq!(verified(broken, "k", 0), None, "{broken}");
        }
    }
}
