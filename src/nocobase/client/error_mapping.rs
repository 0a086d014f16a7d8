//! Maps unexpected responses to failures, including what an operator has to do.

use serde_json::Value;

use super::call::{Call, Response};
use crate::error::{Cause, Failure, FailureWithCause};
use crate::nocobase::error_body::{Code, ErrorBody};

pub(super) fn token_code(response: &Response) -> Option<Code> {
    ErrorBody::parse(&response.body)?.token_code()
}

/// `data` of a successful response.
pub(super) fn data_of(call: &Call<'_>, response: &Response) -> Result<Value, FailureWithCause> {
    match serde_json::from_slice(&response.body) {
        Ok(Value::Object(mut body)) => Ok(body.remove("data").unwrap_or(Value::Null)),
        _ => Err(bad_response(call, response.status, "not JSON; is nocobase.public_path right?")),
    }
}

/// NocoBase refuses a token that the gate has just minted.
pub(super) fn session_token_refused(call: &Call<'_>, code: Option<Code>) -> FailureWithCause {
    match code {
        Some(Code::InvalidToken) => call.failed(
            Failure::NocoBaseSecretWrong,
            "NocoBase does not accept tokens signed with nocobase.jwt_secret: it must be NocoBase's APP_KEY, or the \
             content of its storage/apps/main/jwt_secret.dat where that file exists",
        ),
        Some(code @ (Code::TokenRenewFailed | Code::ExpiredToken | Code::SkipTokenRenew)) => bad_response(
            call,
            401,
            &format!(
                "{}: a token minted just now has expired; compare the clocks of the gate and NocoBase",
                code.as_str()
            ),
        ),
        code => bad_response(call, 401, code.map_or("an unknown error code", Code::as_str)),
    }
}

/// The service account has no permission for this.
pub(super) fn denied(call: &Call<'_>) -> FailureWithCause {
    let reason = if call.action == "users:update" {
        "the service account may not change roles ([[wecom.roles]]): in NocoBase, under Users & Permissions, give its \
         role Update with the field roles, and nothing else, on the table users"
    } else {
        "the service account may not do this: in NocoBase, under Users & Permissions, give its role View and Create \
         with all fields and all records on the tables users, usersAuthenticators and issuedTokens"
    };
    call.failed(Failure::NocoBaseServiceDenied, reason)
}

/// NocoBase's multi-app manager has no application with the configured name.
fn is_no_application(response: &Response) -> bool {
    let body = serde_json::from_slice::<Value>(&response.body).unwrap_or_default();
    response.status == 404 && body.pointer("/error/code").is_some_and(|code| code == "APP_NOT_FOUND")
}

/// These rows, if each has all of these fields. NocoBase silently leaves out fields that the role may not see.
pub(in crate::nocobase) fn with_all(
    call: &Call<'_>,
    rows: Vec<Value>,
    fields: &[&str],
) -> Result<Vec<Value>, FailureWithCause> {
    if rows.iter().all(|row| fields.iter().all(|field| row.get(*field).is_some())) {
        return Ok(rows);
    }
    let mut failed = denied(call);
    failed.cause.fields = Some(fields.join(", "));
    Err(failed)
}

/// A response that no call expects.
pub(super) fn unexpected(call: &Call<'_>, response: &Response) -> FailureWithCause {
    if is_no_application(response) {
        let reason = "NocoBase has no application of this name: correct nocobase.apps (or nocobase.app), or create it in \
                      NocoBase's multi-app manager";
        return call.failed(Failure::OtherApplication, reason);
    }
    let Some(body) = ErrorBody::parse(&response.body).filter(|b| !b.errors.is_empty()) else {
        return bad_response(call, response.status, "not NocoBase's JSON; is nocobase.public_path right?");
    };
    // A role above the service account's own is refused with status 500 and this text.
    if response.status == 500 && body.errors.iter().any(|e| e.message == "No permissions") {
        return denied(call);
    }
    bad_response(call, response.status, &body.summary())
}

/// A response that the gate cannot use.
pub(in crate::nocobase) fn bad_response(call: &Call<'_>, status: u16, reason: &str) -> FailureWithCause {
    let call = Some(call.action.to_owned());
    let reason = format!("NocoBase sent a response that the gate cannot use: {reason}");
    FailureWithCause::new(
        Failure::NocoBaseBadAnswer,
        Cause { reason, call, status: Some(status), ..Cause::default() },
    )
}

/// A 500 from a node that has closed its database but not yet its listener.
pub(super) fn stopping(response: &Response) -> bool {
    response.status == 500
        && ErrorBody::parse(&response.body).is_some_and(|body| {
            body.errors.iter().any(|e| e.message.contains("connection manager was closed"))
        })
}

/// A 500 because two transactions conflicted; the database has rolled this one back.
pub(super) fn database_busy(response: &Response) -> bool {
    const SIGNS: [&str; 5] =
        ["sqlite_busy", "database is locked", "deadlock", "lock wait timeout", "could not serialize"];
    response.status == 500
        && ErrorBody::parse(&response.body).is_some_and(|body| {
            body.errors.iter().any(|e| {
                let message = e.message.to_ascii_lowercase();
                SIGNS.iter().any(|sign| message.contains(sign))
            })
        })
}

#[cfg(test)]
mod tests;
