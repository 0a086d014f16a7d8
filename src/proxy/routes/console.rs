//! `console`: the state of the gate and who was refused, for those whom `access.admins` names. For everybody else it does not exist.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;

use super::request::{Head, RouteRequest};
use crate::audit::{self, History};
use crate::decide::ConsolePage;
use crate::error::{Failure, FailureWithCause};
use crate::login::{FoundSession, log_console};
use crate::metrics::Reload;
use crate::nocobase::records::{Binding, IssuedSession};
use crate::pages::Lang;
use crate::pages::console::{
    self, Bar, Frame, Member, Members, Now, Outcome, PartStatus, Refusals, SessionRow,
};
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;
use crate::proxy::upstream;
use crate::session::Session;

/// Characters of a search that count.
const LONGEST_QUERY: usize = 100;

/// A page of the console, or the same as for a path that does not exist: nobody else learns that it exists.
pub(crate) async fn serve(
    gate: &Gate,
    request: &RouteRequest<'_>,
    head: &Head,
    page: ConsolePage,
    lang: Lang,
) -> Result<Reply, Failure> {
    let FoundSession::Active { session, .. } = gate.sessions.find(&request.cookies).await else {
        return Err(Failure::NotFound);
    };
    if !gate.sessions.is_admin(&session).await {
        return Err(Failure::NotFound);
    }
    let query: String = head.parameter("q").unwrap_or_default().trim().chars().take(LONGEST_QUERY).collect();
    match (&head.method, page) {
        (&Method::GET | &Method::HEAD, _) => {}
        (&Method::POST, ConsolePage::Members) => return end(gate, &session, &query).await,
        _ => return Err(Failure::MethodNotAllowed),
    }
    let who = who(&session);
    let frame = Frame { lang, who: &who, now: SystemTime::now() };
    let history = gate.sessions.audit().history();
    let page = match page {
        ConsolePage::Now => console::now(&frame, &now(gate, history, frame.now)),
        ConsolePage::Refused => console::refused(&frame, &refused(history, query)),
        ConsolePage::Members => {
            let members = members(gate, query).await.map_err(|failed| failure(&failed, &session))?;
            console::members(&frame, &members)
        }
    };
    Ok(page.into())
}

/// Ends the sessions of the member that the query names as `entry/userid`; then the page shows that none is left.
async fn end(gate: &Gate, session: &Session, query: &str) -> Result<Reply, Failure> {
    let failed = |failed: FailureWithCause| failure(&failed, session);
    let found = gate.sessions.find_members(query).await.map_err(failed)?;
    // A part of a name finds members, too; ending takes the whole.
    let named = |b: &Binding| format!("{}/{}", b.entry, b.userid).eq_ignore_ascii_case(query);
    let [member] = &found[..] else { return Err(Failure::BadRequest) };
    if !named(member) {
        return Err(Failure::BadRequest);
    }
    let by = format!("in the console, by {}/{}", session.entry, session.userid);
    gate.sessions.end_sessions_of(member, &by).await.map_err(failed)?;
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let mut reply = Reply::redirect(&format!("{}?q={query}", console::MEMBERS));
    reply.status = 303;
    Ok(reply)
}

fn failure(failed: &FailureWithCause, session: &Session) -> Failure {
    log_console(failed, session, None);
    failed.failure
}

/// Whom the query finds, and the sessions where that is one member.
async fn members(gate: &Gate, query: String) -> Result<Members, FailureWithCause> {
    let found = match query.is_empty() {
        true => Vec::new(),
        false => gate.sessions.find_members(&query).await?,
    };
    let sessions = match &found[..] {
        [member] => Some(gate.sessions.sessions_of(member).await?),
        _ => None,
    };
    let row = |session: IssuedSession| SessionRow {
        id: audit::shown_of_session(&session.jti),
        since: session.signed_in_ms.and_then(|ms| UNIX_EPOCH.checked_add(Duration::from_millis(ms))),
    };
    let member = |b: Binding| Member { entry: b.entry, userid: b.userid, name: b.name, user: b.user.get() };
    Ok(Members {
        query,
        found: found.into_iter().map(member).collect(),
        sessions: sessions.map(|sessions| sessions.into_iter().map(row).collect()),
    })
}

fn who(session: &Session) -> String {
    match session.name.is_empty() {
        true => format!("{}/{}", session.entry, session.userid),
        false => session.name.clone(),
    }
}

/// How things are, without asking anybody.
fn now(gate: &Gate, history: &History, now: SystemTime) -> Now {
    let metrics = &gate.metrics.state;
    let nodes = gate.upstreams.nodes().iter().map(|node| PartStatus {
        name: node.name.clone(),
        problem: Some(node.state())
            .filter(|s| *s != upstream::NodeState::Healthy)
            .map(|s| s.name().to_owned()),
    });
    let mut wecom: Vec<PartStatus> = gate
        .sign_ins
        .wecom()
        .map(|(entry, client)| {
            let troubles: Vec<String> = client.troubles().into_iter().map(|(_, why)| why).collect();
            PartStatus {
                name: entry.to_owned(),
                problem: (!troubles.is_empty()).then(|| troubles.join("; ")),
            }
        })
        .collect();
    wecom.sort_by(|a, b| a.name.cmp(&b.name));
    let redis = gate.config.session.redis.as_ref().map(|redis| PartStatus {
        name: redis.address.clone(),
        problem: gate.sessions.shared().and_then(|shared| shared.trouble()).map(|(_, why)| why),
    });
    let certificates = metrics.certificate_ends().into_iter().map(|(file, end)| {
        let end = Duration::from_secs(u64::try_from(end).unwrap_or_default());
        (file, UNIX_EPOCH.checked_add(end).unwrap_or(UNIX_EPOCH))
    });
    let reloads = metrics.failed_reloads().into_iter();
    let counts = history.counts(now);
    Now {
        nodes: nodes.collect(),
        wecom,
        redis,
        certificates: certificates.collect(),
        reloads: reloads
            .map(|(what, why): (Reload, String)| PartStatus {
                name: what.name().to_owned(),
                problem: Some(why),
            })
            .collect(),
        loaded: gate.loaded,
        version: env!("CARGO_PKG_VERSION"),
        sessions: gate.all_sessions().map(|sessions| sessions.count()).sum(),
        requests: gate.in_flight.load(std::sync::atomic::Ordering::Relaxed),
        since: history.since(),
        bars: counts
            .slots
            .iter()
            .map(|(signed_in, refused)| Bar { signed_in: *signed_in, refused: *refused })
            .collect(),
        outcomes: counts
            .outcomes
            .iter()
            .map(|(failure, hour, day)| Outcome { failure: *failure, hour: *hour, day: *day })
            .collect(),
    }
}

fn refused(history: &History, query: String) -> Refusals {
    let rows = history.refusals(&query).into_iter().map(|refusal: audit::Refusal| console::Refusal {
        at: refusal.at,
        member: member(refusal.entry.as_deref(), refusal.userid.as_deref()),
        name: refusal.name,
        failure: refusal.failure,
        reason: refusal.reason,
        request_id: refusal.request_id,
        client: refusal.client.map(|client: IpAddr| client.to_string()),
    });
    Refusals { rows: rows.collect(), since: history.since(), query }
}

fn member(entry: Option<&str>, userid: Option<&str>) -> Option<String> {
    let userid = userid?;
    Some(entry.map_or_else(|| userid.to_owned(), |entry| format!("{entry}/{userid}")))
}
