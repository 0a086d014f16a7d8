//! `logout`: POST ends the session; GET shows a confirmation page.

use super::request::RouteRequest;
use crate::audit::Source;
use crate::error::Failure;
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;

/// Ends the session here, in NocoBase and so everywhere. The cookies are deleted in any case, even if NocoBase cannot be reached
/// now (R36). The sign-out cookie prevents the browser from being signed in again at once.
pub(crate) async fn logout(
    gate: &Gate,
    own_token: Option<String>,
    request: &RouteRequest<'_>,
    source: &Source,
) -> Result<Reply, Failure> {
    // All of them: a session planted by a neighbouring site must not survive (R42).
    let sessions: Vec<_> = gate.sessions.cookies.read_all(&request.cookies, crate::login::now()).collect();
    for session in sessions {
        gate.sessions.sign_out(&session, "signed out", source).await;
    }
    gate.sessions.sign_out_passwords(&request.cookies, source).await;
    if let Some(token) = own_token {
        gate.sessions.end_own(&token, source).await;
    }
    let mut reply = Reply::redirect("/wecom-gate/sign-in?out=1");
    reply.status = 303;
    reply.cookies = gate.sessions.signed_out_cookies(&request.cookies);
    reply.cookies.extend(gate.sessions.forget_nocobase());
    for other in &request.others {
        reply.cookies.extend(other.sign_out(source).await);
    }
    Ok(reply)
}
