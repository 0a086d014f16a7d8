//! `me`: the user of the session, as JSON.

use serde_json::json;

use super::request::RouteRequest;
use crate::error::Failure;
use crate::login::FoundSession;
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;

/// Who is signed in; never a token.
pub(crate) async fn me(gate: &Gate, request: &RouteRequest<'_>) -> Result<Reply, Failure> {
    match gate.sessions.find(&request.cookies).await {
        FoundSession::Active { session, .. } => Ok(Reply::json(
            200,
            &json!({
                "entry": session.entry,
                "userid": session.userid,
                "name": session.name,
                "nocobase_user_id": session.user_id,
                "signed_in_at": rfc3339(session.signed_in_at.0),
                "expires_at": rfc3339(session.ends_at(gate.sessions.limits()).0),
            }),
        )),
        FoundSession::Nothing => Err(Failure::NoSession),
        FoundSession::Ended => Err(Failure::SessionEnded),
        FoundSession::Unknown(failure) => Err(failure),
    }
}

/// A Unix time in the format of NocoBase's API.
fn rfc3339(ms: u64) -> String {
    let time = std::time::UNIX_EPOCH + std::time::Duration::from_millis(ms);
    humantime::format_rfc3339_millis(time).to_string()
}
