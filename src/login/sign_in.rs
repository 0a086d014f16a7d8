//! From WeCom's code to a registered session.

use std::time::{Duration, Instant};

use super::account::Account;
use super::finished::Finished;
use super::records::of_session;
use super::sign_ins::SignIns;
use crate::audit::{Action, Actor, Record, Source};
use crate::error::{Cause, Failure, FailureWithCause, log_cause};
use crate::session::SignInRequest;

/// A sign-in whose code was lost starts over automatically only if that happened quickly: a person is waiting.
const LOST_WITHIN: Duration = Duration::from_secs(3);

/// Runs a sign-in, counts it, and writes the one line about its outcome. Continues if the browser disconnects (R23).
pub(super) async fn sign_in(
    sign_ins: &SignIns,
    request: &SignInRequest,
    code: &str,
    source: &Source,
) -> Finished {
    let began = Instant::now();
    let mut progress = Progress::default();
    let result = steps(sign_ins, request, code, source, &mut progress).await;
    let userid = &progress.userid;
    let took = began.elapsed();
    let ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let (metrics, entry, via) = (&sign_ins.metrics.sign_ins, request.entry.as_str(), request.via.name());
    match result {
        Ok(Finished::SignedIn(s)) => {
            metrics.signed_in(entry, took);
            tracing::info!(event = "sign_in", outcome = "signed_in", entry, via, userid = s.userid, name = s.name,
                nocobase_user = s.user_id, session = %s.sid, ms, "signed in");
            let record = of_session(Action::SignIn, Actor::Member, &s);
            sign_ins.sessions.audit().write(source, &Record { via: Some(via), ..record });
            Finished::SignedIn(s)
        }
        Ok(finished) => {
            metrics.needs_consent(entry, took);
            tracing::info!(
                event = "sign_in",
                outcome = "needs_consent",
                entry,
                via,
                userid,
                ms,
                "asking for consent: this member is not bound yet"
            );
            finished
        }
        Err(failed) => {
            metrics.refused(entry, failed.failure, took);
            refused(sign_ins, &failed, request, (userid, &progress.name, Some(ms)), source);
            if progress.code_lost && took < LOST_WITHIN {
                return Finished::CodeLost(failed.failure);
            }
            match sign_ins.unmatched(request, (userid, &progress.name), failed.failure) {
                Some(link) => Finished::Unmatched(failed.failure, Box::new(link)),
                None => Finished::Failed(failed.failure),
            }
        }
    }
}

/// Writes the line of a failed sign-in, at the failure's level, and the audit record. Nothing else writes one.
pub(super) fn refused(
    sign_ins: &SignIns,
    failed: &FailureWithCause,
    request: &SignInRequest,
    (userid, name, ms): (&str, &str, Option<u64>),
    source: &Source,
) {
    let record = Record {
        entry: Some(request.entry.clone()),
        userid: Some(userid.to_owned()),
        name: Some(name.to_owned()),
        via: Some(request.via.name()),
        label: Some(failed.failure.response().label),
        reason: why(&failed.cause),
        ..Record::new(Action::Refused, Actor::Member)
    };
    sign_ins.sessions.audit().write(source, &record);
    let failure = failed.failure.response();
    let name = Some(name).filter(|name| !name.is_empty());
    let reason = Some(failed.cause.reason.as_str()).filter(|reason| !reason.is_empty());
    log_cause!(
        failure.level,
        *failed.cause,
        [
            event = "sign_in",
            outcome = "refused",
            label = failure.label,
            entry = request.entry,
            via = request.via.name(),
            userid,
            name,
            ms,
            reason,
        ],
        "not signed in"
    );
}

/// The cause in words, with the remedy.
fn why(cause: &Cause) -> Option<String> {
    let remedy = cause.remedy.as_deref().unwrap_or_default();
    let parts: Vec<&str> =
        [cause.reason.as_str(), remedy].into_iter().filter(|part| !part.is_empty()).collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

/// How far a sign-in has got.
#[derive(Default)]
struct Progress {
    /// Empty until WeCom has identified the member.
    userid: String,
    /// The member's name; empty until WeCom has told it.
    name: String,
    /// The connection broke during the call that uses the code.
    code_lost: bool,
}

async fn steps(
    sign_ins: &SignIns,
    request: &SignInRequest,
    code: &str,
    source: &Source,
    progress: &mut Progress,
) -> Result<Finished, FailureWithCause> {
    let (entry, client) = sign_ins.entry(&request.entry).ok_or(Failure::NotFound)?;
    let identity = client.identify(code).await.inspect_err(|e| progress.code_lost = e.is_broken_midway())?;
    progress.userid.clone_from(&identity.userid);
    // getuserinfo (doc 91023) also returns members outside the visible range: user/get (doc 90196) is the permission check.
    let member = client.member(&identity.userid).await?;
    progress.name.clone_from(&member.name);
    client.admit(&member).await?;
    match sign_ins.account(entry, client, (request, source), &identity, &member).await? {
        Account::NeedsConsent => Ok(Finished::NeedsConsent),
        Account::User(user) => {
            sign_ins.roles(entry, client, &member, (user, source)).await;
            sign_ins.update_profile(entry, &member, user).await;
            sign_ins.sessions.open(entry, &member, user).await.map(Finished::SignedIn)
        }
    }
}
