//! Whose fault an answer is that no call expects, and what an operator has to do about it.

use serde_json::Value;

use super::{Call, Reply};
use crate::error::Failure;
use crate::nocobase::answers::{Code, ErrorBody};

pub(super) fn token_code(reply: &Reply) -> Option<Code> {
    ErrorBody::parse(&reply.body)?.token_code()
}

/// `data` of a good answer.
pub(super) fn data_of(call: &Call<'_>, reply: &Reply) -> Result<Value, Failure> {
    match serde_json::from_slice(&reply.body) {
        Ok(Value::Object(mut answer)) => Ok(answer.remove("data").unwrap_or(Value::Null)),
        _ => Err(bad_answer(call, reply.status, "not JSON; is nocobase.public_path right?")),
    }
}

/// A token that the gate minted a moment ago is refused.
pub(super) fn session_token_refused(call: &Call<'_>, code: Option<Code>) -> Failure {
    match code {
        Some(Code::InvalidToken) => {
            tracing::error!(
                call = call.action,
                "NocoBase does not accept tokens signed with nocobase.jwt_secret: it must be NocoBase's APP_KEY, or \
                 the content of its storage/apps/main/jwt_secret.dat where that file exists"
            );
            Failure::NocoBaseSecretWrong
        }
        Some(code @ (Code::TokenRenewFailed | Code::ExpiredToken | Code::SkipTokenRenew)) => bad_answer(
            call,
            401,
            &format!(
                "{}: a token minted just now is over; compare the clocks of the gate and NocoBase",
                code.as_str()
            ),
        ),
        code => bad_answer(call, 401, code.map_or("no code that is known", Code::as_str)),
    }
}

/// The service account may not do this.
pub(in crate::nocobase) fn denied(call: &Call<'_>) -> Failure {
    if call.action == "users:update" {
        tracing::error!(
            call = call.action,
            "the service account may not change roles ([[wecom.roles]]): in NocoBase, under Users & Permissions, give its \
             role Update with the field roles, and nothing else, on the table users"
        );
        return Failure::NocoBaseServiceDenied;
    }
    tracing::error!(
        call = call.action,
        "the service account may not do this: in NocoBase, under Users & Permissions, give its role View and Create \
         with all fields and all records on the tables users, usersAuthenticators and issuedTokens"
    );
    Failure::NocoBaseServiceDenied
}

/// Anything that no call expects.
pub(super) fn unexpected(call: &Call<'_>, reply: &Reply) -> Failure {
    let Some(body) = ErrorBody::parse(&reply.body).filter(|b| !b.errors.is_empty()) else {
        return bad_answer(call, reply.status, "not NocoBase's JSON; is nocobase.public_path right?");
    };
    // A role above the service account's own is refused with 500 and this text.
    if reply.status == 500 && body.errors.iter().any(|e| e.message == "No permissions") {
        return denied(call);
    }
    bad_answer(call, reply.status, &body.summary())
}

pub(in crate::nocobase) fn bad_answer(call: &Call<'_>, status: u16, reason: &str) -> Failure {
    tracing::error!(call = call.action, status, reason, "NocoBase gave an answer that the gate cannot use");
    Failure::NocoBaseBadAnswer
}

/// An error with what lies below it.
pub(super) fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(cause) = below {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        below = cause.source();
    }
    text
}

/// A 500 of a node that has closed its database and not yet its door.
pub(super) fn stopping(reply: &Reply) -> bool {
    reply.status == 500
        && ErrorBody::parse(&reply.body).is_some_and(|body| {
            body.errors.iter().any(|e| e.message.contains("connection manager was closed"))
        })
}

/// A 500 that only says that two transactions got into each other's way; the database has undone this one.
pub(super) fn database_busy(reply: &Reply) -> bool {
    const SIGNS: [&str; 5] =
        ["sqlite_busy", "database is locked", "deadlock", "lock wait timeout", "could not serialize"];
    reply.status == 500
        && ErrorBody::parse(&reply.body).is_some_and(|body| {
            body.errors.iter().any(|e| {
                let message = e.message.to_ascii_lowercase();
                SIGNS.iter().any(|sign| message.contains(sign))
            })
        })
}
