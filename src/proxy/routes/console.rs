//! `console`: the state of the gate and refused sign-ins, for the administrators in `access.admins`. For everyone else it does
//! not exist.

use std::net::IpAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::Method;

use super::request::{Head, RouteRequest};
use crate::audit::{self, History, Source};
use crate::check;
use crate::config::{Config, Loaded};
use crate::decide::{ConsolePage, browser};
use crate::error::{Failure, FailureWithCause};
use crate::login::{By, FoundSession, log_console};
use crate::message::{Message, message};
use crate::metrics::Reload;
use crate::nocobase::records::{Binding, IssuedSession};
use crate::pages::Lang;
use crate::pages::console::{
    self, Bar, Check, CheckStep, Finding, Frame, Member, Members, Now, Outcome, PartStatus, Program,
    Refusals, SessionRow, StepOutcome,
};
use crate::proxy::gate::Gate;
use crate::proxy::response::reply::Reply;
use crate::proxy::upstream;
use crate::session::Session;

/// Characters of a search that count.
const MAX_QUERY: usize = 100;

/// A page of the console, or the response for a path that does not exist: others must not learn that it exists.
pub(crate) async fn serve(
    gate: &Gate,
    request: &RouteRequest<'_>,
    head: &Head,
    page: ConsolePage,
    (lang, source): (Lang, &Source),
) -> Result<Reply, Failure> {
    let FoundSession::Active { session, .. } = gate.sessions.find(&request.cookies).await else {
        return Err(Failure::NotFound);
    };
    if !gate.sessions.is_admin(&session).await {
        return Err(Failure::NotFound);
    }
    let query: String = head.parameter("q").unwrap_or_default().trim().chars().take(MAX_QUERY).collect();
    let by = format!("in the console, by {}/{}", session.entry, session.userid);
    let by = (by.as_str(), Some(source));
    match (&head.method, page) {
        (&Method::GET | &Method::HEAD, _) => {}
        (&Method::POST, ConsolePage::Members) => return change(gate, &session, &query, head, by).await,
        (&Method::POST, ConsolePage::Check) => {}
        _ => return Err(Failure::MethodNotAllowed),
    }
    let who = who(&session);
    let frame = Frame { lang, who: &who, now: SystemTime::now() };
    let history = gate.sessions.audit().history();
    let page = match page {
        ConsolePage::Now => console::now(&frame, &now(gate, history, frame.now)),
        ConsolePage::Refused => console::refused(&frame, &refused(gate, query).await),
        ConsolePage::Members => {
            let mut members = members(gate, query).await.map_err(|failed| failure(&failed, &session))?;
            members.unbind_denied = head.parameter("denied").is_some();
            console::members(&frame, &members)
        }
        ConsolePage::Check => {
            let member = Some(query).filter(|query| !query.is_empty());
            let steps = match head.method {
                Method::POST => {
                    gate.sessions.record_check(member.as_deref(), by);
                    checked(gate, member.clone()).await?
                }
                _ => Vec::new(),
            };
            console::check(&frame, &Check { member, steps })
        }
    };
    Ok(page.into())
}

/// One check at a time, and the next one waits: each calls WeCom and NocoBase about twenty times.
static CHECKING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

/// What `wecom-gate check` finds with the current configuration. The steps about the file itself are left out: the gate runs with
/// it.
async fn checked(gate: &Gate, member: Option<String>) -> Result<Vec<CheckStep>, Failure> {
    let _one = CHECKING.lock().await;
    let config = Config::clone(&gate.config);
    let loaded = Ok(Loaded { config, warnings: Vec::new(), files: Vec::new() });
    let only =
        check::Id::ALL.into_iter().filter(|id| !matches!(id, check::Id::Configuration | check::Id::Files));
    let is_tried = member.is_some();
    let options = check::Options { member, only: only.collect(), ..check::Options::default() };
    let report = check::run(&loaded, &options, None).await.map_err(|_| Failure::Internal)?;
    let step = |step: check::Step| CheckStep {
        title: step.id.title().into(),
        name: match step.entry {
            Some(entry) => format!("{} ({entry})", step.name),
            None => step.name.to_owned(),
        },
        outcome: match step.outcome {
            check::StepOutcome::Ok => StepOutcome::Ok,
            check::StepOutcome::Warning => StepOutcome::Warning,
            check::StepOutcome::Failed => StepOutcome::Failed,
            check::StepOutcome::Skipped => StepOutcome::Skipped,
        },
        detail: match is_tried || step.id != check::Id::Member {
            true => step.detail,
            false => {
                message!("see Members: the page of a member tries the sign-in, without writing anything")
            }
        },
        findings: step
            .findings
            .into_iter()
            .map(|f| Finding { about: f.about, what: f.what, remedy: f.remedy })
            .collect(),
    };
    Ok(report.steps.into_iter().map(step).collect())
}

/// Ends sessions of the member `entry/userid` in the query, all of them or the one in `session`; with `unbind`, removes the
/// binding first. Then the page shows what is left.
async fn change(
    gate: &Gate,
    session: &Session,
    query: &str,
    head: &Head,
    by: By<'_>,
) -> Result<Reply, Failure> {
    let failed = |failed: FailureWithCause| failure(&failed, session);
    let found = gate.sessions.find_members(query).await.map_err(failed)?;
    // A search finds members by part of a name, too; ending sessions needs the whole id.
    let named = |b: &Binding| format!("{}/{}", b.entry, b.userid).eq_ignore_ascii_case(query);
    let [member] = &found[..] else { return Err(Failure::BadRequest) };
    if !named(member) {
        return Err(Failure::BadRequest);
    }
    let mut denied = "";
    if let Some(id) = head.parameter("session") {
        gate.sessions.end_session_of(member, &id, by).await.map_err(failed)?;
    } else if head.parameter("unbind").is_some() {
        // First of all: otherwise the member's next tap could sign in with the old binding.
        match gate.sessions.unbind_by_administrator(member, by).await {
            Ok(()) => drop(gate.sessions.end_sessions_of(member, by).await.map_err(failed)?),
            Err(error) if error.failure == Failure::NocoBaseServiceDenied => denied = "&denied=1",
            Err(error) => return Err(failed(error)),
        }
    } else {
        gate.sessions.end_sessions_of(member, by).await.map_err(failed)?;
    }
    let query: String = url::form_urlencoded::byte_serialize(query.as_bytes()).collect();
    let mut reply = Reply::redirect(&format!("{}?q={query}{denied}", console::MEMBERS));
    reply.status = 303;
    Ok(reply)
}

fn failure(failed: &FailureWithCause, session: &Session) -> Failure {
    log_console(failed, session, None);
    failed.failure
}

/// The members that the query finds, and the sessions if there is exactly one.
async fn members(gate: &Gate, query: String) -> Result<Members, FailureWithCause> {
    let found = match query.is_empty() {
        true => Vec::new(),
        false => gate.sessions.find_members(&query).await?,
    };
    let sessions = match &found[..] {
        [member] => {
            let mut rows = Vec::new();
            for session in gate.sessions.sessions_of(member).await? {
                rows.push(row(gate, &session).await);
            }
            Some(rows)
        }
        _ => None,
    };
    // The service account may see roles only if there are rules for roles.
    let roles = match &found[..] {
        [member] => gate.sessions.nocobase().roles(member.user).await.ok().flatten(),
        _ => None,
    };
    let roles: Vec<String> = roles.into_iter().flatten().collect();
    let departments = match &found[..] {
        [member] => gate.sessions.departments_of(member).await,
        _ => Vec::new(),
    };
    let member = |b: Binding| Member { entry: b.entry, userid: b.userid, name: b.name, user: b.user.get() };
    Ok(Members {
        query,
        found: found.into_iter().map(member).collect(),
        sessions,
        roles,
        departments: departments
            .into_iter()
            .map(|d| d.name.map_or_else(|| d.id.to_string(), |name| format!("{name} ({})", d.id)))
            .collect(),
        unbind_denied: false,
    })
}

async fn row(gate: &Gate, session: &IssuedSession) -> SessionRow {
    let at = |ms: u64| UNIX_EPOCH.checked_add(Duration::from_millis(ms));
    let last_use = gate.sessions.last_use(session).await;
    SessionRow {
        id: audit::shown_of_session(&session.jti),
        since: session.signed_in_ms.and_then(at),
        last_seen: last_use.at.and_then(|(time, _)| at(time.0)),
        on_all_nodes: last_use.everywhere,
        program: last_use.at.and_then(|(_, browser)| browser.program()).map(|name| match name {
            browser::WECOM => Program::WeCom,
            name => Program::Named(name),
        }),
        system: last_use.at.and_then(|(_, browser)| browser.system()),
    }
}

fn who(session: &Session) -> String {
    match session.name.is_empty() {
        true => format!("{}/{}", session.entry, session.userid),
        false => session.name.clone(),
    }
}

fn both(first: Message, second: Message) -> Message {
    message!("{first}; {second}", first, second)
}

/// The current state, without any calls.
fn now(gate: &Gate, history: &History, now: SystemTime) -> Now {
    let metrics = &gate.metrics.state;
    let nodes = gate.upstreams.nodes().iter().map(|node| PartStatus {
        name: node.name.clone(),
        problem: Some(node.state())
            .filter(|s| *s != upstream::NodeState::Healthy)
            .map(upstream::NodeState::problem),
    });
    let mut wecom: Vec<PartStatus> = gate
        .sign_ins
        .wecom()
        .map(|(entry, client)| {
            let problem = Message::joined(client.problems(), both);
            PartStatus { name: entry.to_owned(), problem: Some(problem).filter(|p| !p.is_empty()) }
        })
        .collect();
    wecom.sort_by(|a, b| a.name.cmp(&b.name));
    let redis = gate.config.session.redis.as_ref().map(|redis| PartStatus {
        name: redis.address.clone(),
        problem: gate.sessions.shared().and_then(|shared| shared.trouble()).map(|(_, why)| why.message()),
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
                // An error of the configuration, in English.
                problem: Some(Message::verbatim(why)),
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

async fn refused(gate: &Gate, query: String) -> Refusals {
    let (rows, of_all_nodes) = gate.sessions.refusals(&query).await;
    let rows = rows.into_iter().map(|refusal: audit::Refusal| console::Refusal {
        at: refusal.at,
        member: member(refusal.entry.as_deref(), refusal.userid.as_deref()),
        name: refusal.name,
        failure: refusal.failure,
        reason: refusal.reason,
        request_id: refusal.request_id,
        client: refusal.client.map(|client: IpAddr| client.to_string()),
    });
    let since = Some(gate.sessions.audit().history().since()).filter(|_| !of_all_nodes);
    Refusals { rows: rows.collect(), since, query }
}

fn member(entry: Option<&str>, userid: Option<&str>) -> Option<String> {
    let userid = userid?;
    Some(entry.map_or_else(|| userid.to_owned(), |entry| format!("{entry}/{userid}")))
}
