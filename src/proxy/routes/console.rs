//! `console`: how the gate is and who was not let in, for those whom `access.admins` names. To everybody else it is not there.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;

use super::request::{Head, RouteRequest};
use crate::audit::{self, History};
use crate::decide::ConsolePage;
use crate::error::Failure;
use crate::login::FoundSession;
use crate::metrics::Reload;
use crate::pages::Lang;
use crate::pages::console::{self, Bar, Frame, Now, Outcome, Refused, State};
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;
use crate::proxy::upstream;
use crate::session::Session;

/// Characters of a search that count.
const LONGEST_QUERY: usize = 100;

/// A page of the console, or the same as for a path that does not exist: somebody who may not see it does not learn that it is there.
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
    if !matches!(head.method, Method::GET | Method::HEAD) {
        return Err(Failure::MethodNotAllowed);
    }
    let who = who(&session);
    let frame = Frame { lang, who: &who, now: SystemTime::now() };
    let history = gate.sessions.audit().history();
    let page = match page {
        ConsolePage::Now => console::now(&frame, &now(gate, history, frame.now)),
        ConsolePage::Refused => {
            let query = head.parameter("q").unwrap_or_default();
            console::refused(&frame, &refused(history, query.chars().take(LONGEST_QUERY).collect()))
        }
    };
    Ok(page.into())
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
    let nodes = gate.upstreams.nodes().iter().map(|node| State {
        name: node.name.clone(),
        problem: Some(node.state())
            .filter(|s| *s != upstream::NodeState::Healthy)
            .map(|s| s.name().to_owned()),
    });
    let mut wecom: Vec<State> = gate
        .sign_ins
        .wecom()
        .map(|(entry, client)| {
            let troubles: Vec<String> = client.troubles().into_iter().map(|(_, why)| why).collect();
            State { name: entry.to_owned(), problem: (!troubles.is_empty()).then(|| troubles.join("; ")) }
        })
        .collect();
    wecom.sort_by(|a, b| a.name.cmp(&b.name));
    let redis = gate.config.session.redis.as_ref().map(|redis| State {
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
            .map(|(what, why): (Reload, String)| State { name: what.name().to_owned(), problem: Some(why) })
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

fn refused(history: &History, query: String) -> Refused {
    let rows = history.refusals(&query).into_iter().map(|refusal: audit::Refusal| console::Refusal {
        at: refusal.at,
        member: member(refusal.entry.as_deref(), refusal.userid.as_deref()),
        name: refusal.name,
        failure: refusal.failure,
        reason: refusal.reason,
        request_id: refusal.request_id,
        client: refusal.client.map(|client: IpAddr| client.to_string()),
    });
    Refused { rows: rows.collect(), since: history.since(), query }
}

fn member(entry: Option<&str>, userid: Option<&str>) -> Option<String> {
    let userid = userid?;
    Some(entry.map_or_else(|| userid.to_owned(), |entry| format!("{entry}/{userid}")))
}
