//! From the code to a registered session.

use super::account::Account;
use super::finished::Finished;
use super::sign_ins::SignIns;
use crate::error::Failure;
use crate::session::{SignInRequest, Via};

/// From the code to a registered session. Goes on when the browser goes away (R23).
pub(super) async fn sign_in(sign_ins: &SignIns, request: &SignInRequest, code: &str) -> Finished {
    let began = std::time::Instant::now();
    let mut userid = String::new();
    let finished = match steps(sign_ins, request, code, &mut userid).await {
        Ok(finished) => finished,
        Err(failure) => Finished::Failed(failure),
    };
    let took = began.elapsed();
    match &finished {
        Finished::SignedIn(_) => sign_ins.metrics.sign_ins.signed_in(&request.entry, took),
        Finished::NeedsConsent => sign_ins.metrics.sign_ins.needs_consent(&request.entry, took),
        Finished::Failed(failure) => sign_ins.metrics.sign_ins.refused(&request.entry, *failure, took),
    }
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let via = match request.via {
        Via::WeCom => "wecom",
        Via::Web => "web",
    };
    match &finished {
        Finished::SignedIn(s) => {
            tracing::info!(event = "sign_in", outcome = "signed_in", entry = s.entry, via,
            userid = s.userid, name = s.name, nocobase_user = s.user_id, session = %s.sid, ms, "signed in")
        }
        Finished::NeedsConsent => tracing::info!(
            event = "sign_in",
            outcome = "needs_consent",
            entry = request.entry,
            via,
            userid,
            ms,
            "asking for consent: this member is not bound yet"
        ),
        Finished::Failed(failure) => {
            let answer = failure.response();
            tracing::info!(
                event = "sign_in",
                outcome = "refused",
                label = answer.label,
                entry = request.entry,
                via,
                userid,
                ms,
                "not signed in"
            );
        }
    }
    finished
}

async fn steps(
    sign_ins: &SignIns,
    request: &SignInRequest,
    code: &str,
    userid: &mut String,
) -> Result<Finished, Failure> {
    let (entry, client) = sign_ins.entry(&request.entry).ok_or(Failure::NotFound)?;
    let identity = client.identify(code).await.map_err(|e| e.failure())?;
    userid.clone_from(&identity.userid);
    // getuserinfo answers for members outside the visible range too: user/get is the permission (wecom-api 6.1, 8).
    let member = client.member(&identity.userid).await.map_err(|e| e.failure())?;
    client.admit(&member).await.map_err(|e| e.failure())?;
    match sign_ins.account(entry, client, request, &identity, &member).await? {
        Account::NeedsConsent => Ok(Finished::NeedsConsent),
        Account::User(user) => {
            sign_ins.roles(entry, client, &member, user).await;
            sign_ins.sessions.open(entry, &member, user).await.map(Finished::SignedIn)
        }
    }
}
