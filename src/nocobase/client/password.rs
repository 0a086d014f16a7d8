//! NocoBase's own sign-in, by account and password, for a member who proves which user is theirs (`nocobase.link_by_password`).
//!
//! NocoBase decides, with all its own limits. What it asks for besides (a second factor, a captcha) the gate does not have, so such a
//! sign-in is refused with NocoBase's own message.
//!
//! Must never: put a password, or NocoBase's message about one, into an error or a log.

use std::collections::BTreeSet;
use std::net::IpAddr;

use http::HeaderName;
use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::call::{Call, Response};
use super::error_mapping::{bad_response, data_of, session_token_refused, token_code, unexpected};
use super::{NocoBase, now_s, user_id_of};
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;
use crate::nocobase::error_body::{Code, ErrorBody};

/// NocoBase's authenticator for passwords.
pub(crate) const AUTHENTICATOR: &str = "basic";
const X_AUTHENTICATOR: HeaderName = HeaderName::from_static("x-authenticator");
const X_LOCALE: HeaderName = HeaderName::from_static("x-locale");
const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// Maximum length of NocoBase's message on the page, in characters.
const MAX_WORDS: usize = 200;

/// Who signs in, and where.
#[derive(Debug)]
pub(crate) struct PasswordLogin<'a> {
    /// User name or e-mail address.
    pub(crate) account: &'a str,
    /// As entered.
    pub(crate) password: &'a SecretString,
    /// The person's address, for NocoBase's own limits and its log.
    pub(crate) client: IpAddr,
    /// The language in which NocoBase gives its reasons (BCP 47).
    pub(crate) lang: &'a str,
}

/// NocoBase's answer.
#[derive(Debug)]
pub(crate) enum PasswordAnswer<T> {
    /// Accepted.
    Accepted(T),
    /// Refused, with this message, which may be empty.
    Rejected(String),
}

/// A session of NocoBase's own that a sign-in by password has opened. It must be ended: it is not used.
pub(crate) struct OwnSession {
    token: SecretString,
    /// The user whose password it was.
    pub(crate) user: UserId,
    /// The session's id.
    pub(crate) jti: String,
    /// When it began, in Unix milliseconds, if the token says so.
    pub(crate) sign_in_ms: Option<u64>,
}

impl std::fmt::Debug for OwnSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OwnSession").field("user", &self.user).finish_non_exhaustive()
    }
}

impl NocoBase {
    /// Signs in by password.
    pub(crate) async fn sign_in_by_password(
        &self,
        login: &PasswordLogin<'_>,
    ) -> Result<PasswordAnswer<OwnSession>, FailureWithCause> {
        let body = json!({ "account": login.account, "password": login.password.expose_secret() });
        let mut call = Call::post("auth:signIn", Some(body)).header(X_LOCALE, locale(login.lang));
        call = call.header(X_AUTHENTICATOR, AUTHENTICATOR);
        if !login.client.is_unspecified() {
            call = call.header(X_FORWARDED_FOR, &login.client.to_string());
        }
        let response = self.send_anonymously(&call).await?;
        if response.status != 200 {
            return rejected(&call, &response);
        }
        let data = data_of(&call, &response)?;
        let Some(token) = data.get("token").and_then(Value::as_str) else {
            // A further step is required.
            return Ok(PasswordAnswer::Rejected(String::new()));
        };
        let verified = self
            .minter
            .verify(token, now_s())
            .map_err(|_| session_token_refused(&call, Some(Code::InvalidToken)))?;
        let Some(jti) = verified.jti.filter(|_| !verified.api_key) else {
            return Err(bad_response(&call, 200, "the token is not a session's"));
        };
        Ok(PasswordAnswer::Accepted(OwnSession {
            token: token.into(),
            user: verified.user_id,
            jti,
            sign_in_ms: verified.sign_in_ms,
        }))
    }

    /// The roles of the user who has signed in this way. Also shows that the session is complete: one that waits for a second factor is
    /// refused.
    pub(crate) async fn own_roles(
        &self,
        session: &OwnSession,
        lang: &str,
    ) -> Result<PasswordAnswer<BTreeSet<String>>, FailureWithCause> {
        let call = Call::get("auth:check").header(X_LOCALE, locale(lang));
        let response = self.send(session.token.expose_secret(), &call).await?;
        match response.status {
            200 => {}
            401 if token_code(&response) == Some(Code::UserHasNoRoles) => return Err(Failure::NoRole.into()),
            _ => return rejected(&call, &response),
        }
        let data = data_of(&call, &response)?;
        if data.get("id").and_then(user_id_of) != Some(session.user) {
            return Err(bad_response(&call, 200, "not the user who has signed in"));
        }
        let names = data.get("roles").and_then(Value::as_array).and_then(|roles| {
            roles.iter().map(|role| role.get("name")?.as_str().map(str::to_owned)).collect()
        });
        match names {
            Some(names) => Ok(PasswordAnswer::Accepted(names)),
            None => Err(bad_response(&call, 200, "no roles of the user who has signed in")),
        }
    }
}

/// Status codes of a refusal; anything else is an error.
fn rejected<T>(call: &Call<'_>, response: &Response) -> Result<PasswordAnswer<T>, FailureWithCause> {
    let body = ErrorBody::parse(&response.body).filter(|body| !body.errors.is_empty());
    match body {
        Some(body) if matches!(response.status, 400 | 401 | 403 | 423 | 429) => {
            Ok(PasswordAnswer::Rejected(words(&body)))
        }
        // Its message may be about the password.
        Some(_) => Err(bad_response(call, response.status, "an error")),
        None => Err(unexpected(call, response)),
    }
}

/// One short line for the page.
fn words(body: &ErrorBody) -> String {
    let first = body.errors.first().map(|error| error.message.as_str()).unwrap_or_default();
    first
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(MAX_WORDS)
        .collect::<String>()
        .trim()
        .into()
}

/// NocoBase's name for a language of the pages.
fn locale(lang: &str) -> &'static str {
    match lang {
        "zh" => "zh-CN",
        "de" => "de-DE",
        "es" => "es-ES",
        "nl" => "nl-NL",
        "ru" => "ru-RU",
        "sv" => "sv-SE",
        _ => "en-US",
    }
}
