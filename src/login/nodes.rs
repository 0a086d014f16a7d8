//! What the nodes of one gate share: a session that ends on one node ends on all, and a callback is processed once.

use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use tokio::time::sleep;
use uuid::Uuid;

use super::clock::now;
use super::finished::Finished;
use super::sessions::Sessions;
use super::sign_ins::SignIns;
use crate::audit::{Actor, Refusal};
use crate::error::Failure;
use crate::session::UnixMillis;
use crate::shared::{CallbackId, Claim, Ending, Shared, SharedRefusal, SharedUse};

const ELSEWHERE: &str = "ended on another node";

/// How often refused sign-ins are sent to the other nodes.
const REFUSALS_INTERVAL: Duration = Duration::from_millis(500);

/// How often the other nodes are told which sessions have been used: each at most once a minute.
const USES_INTERVAL: Duration = Duration::from_secs(5);
/// For how long they are told, at most.
const USES_KEPT: Duration = Duration::from_secs(24 * 3600);

fn shared_refusal(one: Refusal) -> SharedRefusal {
    let Refusal { at, entry, userid, name, failure, reason, request_id, client } = one;
    let label = failure.response().label.to_owned();
    SharedRefusal { at: at.into(), entry, userid, name, label, reason, request_id, client }
}

/// `None`: a label of another version.
fn refusal(one: SharedRefusal) -> Option<Refusal> {
    let SharedRefusal { at, entry, userid, name, label, reason, request_id, client } = one;
    let failure = *Failure::ALL.iter().find(|failure| failure.response().label == label)?;
    let at = UNIX_EPOCH.checked_add(Duration::from_millis(at.0))?;
    Some(Refusal { at, entry, userid, name, failure, reason, request_id, client })
}

impl Sessions {
    /// What this node shares with others, if configured.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Receives and publishes shared data, until dropped; returns at once if nothing is shared.
    pub(crate) async fn run_sync(self: Arc<Self>) {
        match &self.shared {
            Some(shared) => {
                if self.count() > 0 {
                    shared.had_gap();
                }
                tokio::select! {
                    () = shared.run(|ending| self.on_ending(ending)) => {}
                    () = self.take_over_blocks() => {}
                    () = self.share_refusals(shared) => {}
                    () = self.share_uses(shared) => {}
                }
            }
            None => self.metrics.redis.up(None),
        }
    }

    /// Sends refused sign-ins to the other nodes, for their consoles. Those of all applications are sent by the main one.
    async fn share_refusals(&self, shared: &Shared) {
        if self.config.access.has_admins() && !self.config.nocobase.beside_others {
            loop {
                sleep(REFUSALS_INTERVAL).await;
                let pending: Vec<SharedRefusal> =
                    self.audit.history().take_pending().into_iter().map(shared_refusal).collect();
                if !pending.is_empty() {
                    shared.add_refusals(&pending).await;
                }
            }
        }
        std::future::pending().await
    }

    /// Tells the other nodes when sessions were last used here, for their consoles.
    async fn share_uses(&self, shared: &Shared) {
        if !self.config.access.has_admins() {
            return std::future::pending().await;
        }
        // A session that was used before that has ended.
        let kept = self.config.session.idle.min(USES_KEPT);
        loop {
            sleep(USES_INTERVAL).await;
            let cache = self.cache.clone();
            // With very many sessions that takes a while.
            let uses = tokio::task::spawn_blocking(move || cache.unshared_uses()).await.unwrap_or_default();
            let uses: Vec<_> =
                uses.into_iter().map(|(sid, at, browser)| (sid, SharedUse { at, browser })).collect();
            if !uses.is_empty() {
                shared.add_uses(&uses, kept).await;
            }
        }
    }

    /// Refused sign-ins of this member or request (all: ""), of this node and of the others; and whether those of the others are
    /// available.
    pub(crate) async fn refusals(&self, query: &str) -> (Vec<Refusal>, bool) {
        let others = match &self.shared {
            Some(shared) => shared.refusals().await,
            None => None,
        };
        let all = others.is_some();
        let others = others.into_iter().flatten().filter_map(refusal).collect();
        (self.audit.history().refusals(query, others), all)
    }

    /// Publishes to the other nodes.
    pub(super) fn publish(&self, ending: Ending) {
        if let Some(shared) = &self.shared {
            shared.publish(ending);
        }
    }

    /// A node knows few sessions, and needs what is known since then: publishes those that this one knows to be valid.
    fn warm_up(self: &Arc<Self>, node: u64, since: UnixMillis) {
        let Some(shared) = self.shared.clone().filter(|shared| shared.may_warm(node)) else { return };
        let (cache, every) = (self.cache.clone(), self.config.session.recheck);
        tokio::spawn(async move {
            let at = now();
            let Some(missed_none_since) = shared.missed_none_since() else { return };
            let from = at.minus(every).max(missed_none_since);
            // With very many sessions that takes a while.
            let known = tokio::task::spawn_blocking(move || cache.confirmed_after(from)).await;
            shared.warm(known.unwrap_or_default(), at, since).await;
        });
    }

    /// Handles what a node, possibly this one, has published.
    fn on_ending(self: &Arc<Self>, ending: Ending) {
        match ending {
            Ending::ToBlock(block) => {
                if let Ok(sid) = Uuid::parse_str(&block.id) {
                    self.cache.end(sid);
                }
                self.blocks.begun_elsewhere(block, Instant::now());
            }
            Ending::Blocked { id } => self.blocks.done(&id),
            Ending::Session(sid) => {
                let sid = Uuid::from_bytes(sid);
                let was_live = self.cache.get(sid).is_some_and(|seen| !seen.is_ended());
                self.cache.end(sid);
                if was_live {
                    self.metrics.sign_ins.sessions_ended("node", 1);
                    tracing::info!(event = "session_ended", session = %sid, reason = ELSEWHERE, "session ended");
                }
            }
            Ending::Cold { node, since } => self.warm_up(node, since),
            Ending::Event { entry, change, at } => _ = self.note_event(&entry, &change, at.min(now())),
            Ending::Member { entry, userid, at } => {
                let sids = self.cache.end_member(&entry, &userid, at);
                if !sids.is_empty() {
                    // The node that published this does not know these sessions, so this node ends them in NocoBase.
                    self.member_ended(Actor::Node, &entry, &userid, ELSEWHERE, sids);
                }
            }
        }
    }
}

impl SignIns {
    /// Processes a callback, unless another node does or has done so.
    pub(super) async fn process_once(
        &self,
        id: CallbackId,
        work: impl Future<Output = Finished>,
    ) -> Finished {
        let Some(shared) = &self.sessions.shared else { return work.await };
        match shared.claim(&id).await {
            Claim::Alone => work.await,
            Claim::Ours(at) => {
                let finished = work.await;
                let session = match &finished {
                    Finished::SignedIn(session) => Some(&**session),
                    _ => None,
                };
                shared.complete(&id, at, session).await;
                finished
            }
            Claim::Session(session) => Finished::SignedIn(session),
            Claim::Used => Finished::Failed(Failure::FlowMissing),
        }
    }
}
