//! `wecom-gate sessions list` and `end`.

use std::collections::HashMap;
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::print::{self, SessionRow};
use super::{Admin, AdminError, Which};
use crate::nocobase::UserId;
use crate::nocobase::records::{Binding, IssuedSession};

/// Concurrent requests to NocoBase.
const CONCURRENCY: usize = 8;
/// Shortest prefix that identifies a session: the part of the id that lists show.
const MIN_ID_LENGTH: usize = 8;

/// A session that NocoBase accepts, and the binding of its user.
pub(super) struct LiveSession {
    pub(super) session: IssuedSession,
    pub(super) binding: Option<Binding>,
}

impl Admin<'_> {
    pub(super) async fn list(&self, member: Option<&str>) -> Result<String, AdminError> {
        let user = match member {
            Some(userid) => Some(self.binding(userid).await?.user),
            None => None,
        };
        let live = self.live(user).await?;
        Ok(self.printed(&live))
    }

    pub(super) async fn end(&self, which: &Which, yes: bool) -> Result<String, AdminError> {
        let live = match which {
            Which::All => self.live(None).await?,
            Which::Member(userid) => self.live(Some(self.binding(userid).await?.user)).await?,
            Which::Session(id) if id.len() < MIN_ID_LENGTH => {
                return Err(AdminError::Usage(format!(
                    "--session: give at least {MIN_ID_LENGTH} characters of the id"
                )));
            }
            Which::Session(id) => {
                let mut all = self.live(None).await?;
                all.retain(|live| live.session.jti.starts_with(&id.to_ascii_lowercase()));
                match all.len() {
                    0 => return Err(AdminError::Failed(format!("no session that is live has the id {id}"))),
                    1 => all,
                    n => {
                        return Err(AdminError::Usage(format!(
                            "{n} sessions begin with {id}: give more of the id"
                        )));
                    }
                }
            }
        };
        if !yes {
            let table = print::sessions(&rows(&live));
            return Err(AdminError::Usage(format!(
                "nothing has been ended: add --yes to end these {} sessions\n{table}",
                live.len()
            )));
        }
        self.end_all(&live).await?;
        let text = if self.options.json {
            self.printed(&live)
        } else {
            format!("{}ended: {}\n", print::sessions(&rows(&live)), live.len())
        };
        Ok(self.ended(text).await)
    }

    /// Ends these sessions, as far as possible.
    pub(super) async fn end_all(&self, live: &[LiveSession]) -> Result<(), AdminError> {
        let mut failed = None;
        let mut done = 0;
        for LiveSession { session, binding } in live {
            match self.sessions.end_by_administrator(session, binding.as_ref(), (&self.by(), None)).await {
                Ok(()) => done += 1,
                Err(failure) => failed = Some(failure),
            }
        }
        let Some(failure) = failed else { return Ok(()) };
        self.sessions.finish_from_shell().await;
        let AdminError::Failed(why) = failure.into() else { return Ok(()) };
        Err(AdminError::Failed(format!("{done} of {} sessions have ended; {why}", live.len())))
    }

    /// The sessions of this user, or of all users, that NocoBase accepts, newest first.
    pub(super) async fn live(&self, user: Option<UserId>) -> Result<Vec<LiveSession>, AdminError> {
        let issued = self.sessions.nocobase().issued_sessions(user).await?;
        let bindings = self.sessions.nocobase().bindings(&self.entries).await?;
        let of_user: HashMap<UserId, Binding> = bindings.into_iter().map(|b| (b.user, b)).collect();
        let places = Arc::new(Semaphore::new(CONCURRENCY));
        let mut asked = JoinSet::new();
        for session in issued {
            let binding = of_user.get(&session.user).cloned();
            // Of one entry: users without a binding in it are left out.
            if self.options.entry.is_some() && binding.is_none() {
                continue;
            }
            let (places, sessions) = (places.clone(), self.sessions.clone());
            asked.spawn(async move {
                let _place = places.acquire().await;
                let accepted = sessions.accepts(&session).await?;
                Ok::<_, crate::error::FailureWithCause>(accepted.then_some(LiveSession { session, binding }))
            });
        }
        let mut live = Vec::new();
        while let Some(answer) = asked.join_next().await {
            let answer = answer.map_err(|e| AdminError::Failed(e.to_string()))?;
            live.extend(answer?);
        }
        live.sort_by_key(|live| std::cmp::Reverse((live.session.signed_in_ms, live.session.jti.clone())));
        Ok(live)
    }

    fn printed(&self, live: &[LiveSession]) -> String {
        let rows = rows(live);
        if self.options.json { print::json(&rows) } else { print::sessions(&rows) }
    }
}

pub(super) fn rows(live: &[LiveSession]) -> Vec<SessionRow> {
    live.iter().map(row).collect()
}

fn row(LiveSession { session, binding }: &LiveSession) -> SessionRow {
    SessionRow {
        session: session.jti.clone(),
        entry: binding.as_ref().map(|b| b.entry.clone()),
        userid: binding.as_ref().map(|b| b.userid.clone()),
        name: binding.as_ref().map(|b| b.name.clone()),
        nocobase_user: session.user.get(),
        via: if session.by_gate { "wecom" } else { "password" },
        signed_in_at: session.signed_in_ms.and_then(print::rfc3339),
        signed_in_ms: session.signed_in_ms,
    }
}
