//! Credentials of a request besides the session cookie: the page's token, an API key, or a token from NocoBase's own sign-in.

use std::sync::Arc;

use http::header;
use pingora::http::RequestHeader;

use crate::decide::{self, Credential};
use crate::login::{self, Sessions};
use crate::proxy::gate::Gate;
use crate::proxy::member::Member;
use crate::proxy::rewrite::auth_message::TokenVerdict;
use crate::session::{self, PasswordSignIn, Phantom};

/// Decides what happens to the token that a page sends in its WebSocket.
pub(crate) type TokenSwap = Box<dyn FnMut(&str) -> TokenVerdict + Send + Sync>;

/// The token that the page holds.
#[derive(Clone, Copy)]
pub(crate) enum PageToken {
    /// The session's phantom.
    Phantom(Phantom),
    /// A token of this session (`token_delivery = "browser"`).
    OwnToken(uuid::Uuid),
}

impl PageToken {
    /// Is `token` this one?
    pub(crate) fn is(&self, sessions: &Sessions, token: &str) -> bool {
        match self {
            PageToken::Phantom(phantom) => phantom.matches(token.as_bytes()),
            PageToken::OwnToken(sid) => sessions.is_of_session(token, *sid),
        }
    }
}

pub(crate) fn page_token(gate: &Gate, member: &Member) -> PageToken {
    if gate.delivers_tokens() {
        PageToken::OwnToken(member.session.sid)
    } else {
        PageToken::Phantom(member.session.phantom)
    }
}

/// Replaces tokens in a session's tunnel as long as it is open, each time with a fresh one. Only the session's own token passes
/// (R41), not even an API key, whatever `access.api_keys` is: for NocoBase the page is then anonymous.
pub(crate) fn swap(sessions: Arc<Sessions>, member: &Member, page_token: PageToken) -> TokenSwap {
    let (session, seen) = (member.session.clone(), member.seen.clone());
    Box::new(move |token| {
        let own = page_token.is(&sessions, token).then(|| sessions.token(&session, &seen));
        match own {
            Some(Ok(token)) => TokenVerdict::Replace(token.jwt().to_owned()),
            Some(Err(_)) | None => TokenVerdict::Refuse,
        }
    })
}

/// For a tunnel without a member's session: of a user who signed in with NocoBase's own form, or of a program with a token. The
/// same tokens pass as over HTTP.
///
/// `on_sign_in` is called with the sign-in that a token belongs to.
pub(crate) fn own_tokens_only(
    gate: &Gate,
    mut on_sign_in: impl FnMut(PasswordSignIn) + Send + Sync + 'static,
) -> TokenSwap {
    let sessions = gate.sessions.clone();
    let (api_keys, password) = (gate.policy().api_keys, gate.policy().password);
    Box::new(move |token| match token_kind(&sessions, password, token) {
        Credential::OwnToken if api_keys || password => {
            if let Some(sign_in) = sessions.password_sign_in(token) {
                on_sign_in(sign_in);
            }
            TokenVerdict::Keep
        }
        Credential::ApiToken if api_keys => TokenVerdict::Keep,
        _ => TokenVerdict::Refuse,
    })
}

/// The request's credential, and its query with the phantom replaced, if there was one.
pub(crate) fn credential(
    gate: &Gate,
    request: &RequestHeader,
    page_token: Option<&PageToken>,
    member: Option<&Member>,
) -> (Credential, Option<String>) {
    let mut authorizations = request.headers.get_all(header::AUTHORIZATION).iter();
    let credential = match (authorizations.next(), authorizations.next()) {
        (None, _) => Credential::None,
        (Some(_), Some(_)) => Credential::Invalid,
        (Some(value), None) => match value.to_str().ok().map(token_of) {
            Some("") | None => Credential::Invalid,
            Some(token) if page_token.is_some_and(|p| p.is(&gate.sessions, token)) => Credential::Phantom,
            Some(token) => token_kind(&gate.sessions, gate.policy().password, token),
        },
    };
    if credential == Credential::None
        && let (Some(query), Some(page_token), Some(member)) = (request.uri.query(), page_token, member)
        && query.contains("token=")
        && let Some(rewritten) = decide::query::replace_token(query, |token| {
            let token = page_token
                .is(&gate.sessions, token)
                .then(|| gate.sessions.token(&member.session, &member.seen))?;
            Some(token.ok()?.jwt().to_owned())
        })
    {
        return (Credential::Phantom, Some(rewritten));
    }
    (credential, None)
}

/// The type of a NocoBase token that does not belong to this session.
fn token_kind(sessions: &Sessions, password: bool, token: &str) -> Credential {
    let (minter, now) = (&sessions.minter, login::now().as_secs());
    let verified = if password { minter.verify_renewable(token, now) } else { minter.verify(token, now) };
    match verified {
        Ok(verified) if verified.api_key => Credential::ApiToken,
        // A token kept from an earlier session: it is not valid longer than that session.
        Ok(verified) if sessions.is_token_over(&verified) => Credential::Invalid,
        Ok(_) => Credential::OwnToken,
        Err(_) => Credential::Invalid,
    }
}

/// The token in NocoBase's own cookie, if it is a valid one from NocoBase's own sign-in. NocoBase reads the first cookie with
/// that name. Only if NocoBase's form is in use.
pub(crate) fn own_token(gate: &Gate, request: &RequestHeader) -> Option<String> {
    if !gate.policy().password {
        return None;
    }
    let values = request.headers.get_all(header::COOKIE).iter().map(header::HeaderValue::as_bytes);
    let token = session::first_cookie(values, gate.sessions.token_cookie().as_bytes())?;
    let token = std::str::from_utf8(token).ok()?;
    let kind = token_kind(&gate.sessions, gate.policy().password, token);
    (kind == Credential::OwnToken).then(|| token.to_owned())
}

/// The token in `Authorization`, if there is exactly one.
pub(crate) fn bearer(request: &RequestHeader) -> Option<&str> {
    let mut all = request.headers.get_all(header::AUTHORIZATION).iter();
    let first = all.next()?;
    all.next().is_none().then(|| first.to_str().ok().map(token_of))?
}

/// The token in `Authorization`: after `Bearer`, in any case (RFC 9110, 11.1), or the whole value, since NocoBase accepts a bare
/// token too. Anything that is not a token fails verification.
fn token_of(value: &str) -> &str {
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => token.trim(),
        None if value.eq_ignore_ascii_case("bearer") => "",
        _ => value,
    }
}

/// The query without `token`, if it has one.
pub(crate) fn foreign_token_removed(request: &RequestHeader) -> Option<String> {
    let query = request.uri.query().filter(|q| decide::query::has(q, "token"))?;
    Some(decide::query::without(query, &["token"]).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bearer_tokens_are_parsed_exactly() {
        for (value, token) in [
            ("Bearer abc", "abc"),
            ("bearer  abc ", "abc"),
            ("Bearer", ""),
            ("Bearer ", ""),
            ("Basic abc", "Basic abc"),
            ("abc", "abc"),
        ] {
            assert_eq!(token_of(value), token, "{value}");
        }
    }
}

#[cfg(test)]
mod tokens;
