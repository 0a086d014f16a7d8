//! What the nodes of one gate have in common: a session that ends on one ends on all, and a callback is carried out once.

use std::sync::Arc;
use std::time::Instant;

use uuid::Uuid;

use super::finished::Finished;
use super::sessions::Sessions;
use super::sign_ins::SignIns;
use crate::audit::Actor;
use crate::error::Failure;
use crate::shared::{CallbackId, Claim, Ending, Shared};

const ELSEWHERE: &str = "ended on another node";

impl Sessions {
    /// What this node shares with others, if it does.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.shared.as_ref()
    }

    /// Receives and publishes what the nodes share, until dropped; ends at once where nothing is shared.
    pub(crate) async fn run_sync(self: Arc<Self>) {
        match &self.shared {
            Some(shared) => {
                tokio::select! {
                    () = shared.run(|ending| self.on_ending(ending)) => {}
                    () = self.take_over_blocks() => {}
                }
            }
            None => self.metrics.redis.up(None),
        }
    }

    /// Publishes to the other nodes.
    pub(super) fn publish(&self, ending: Ending) {
        if let Some(shared) = &self.shared {
            shared.publish(ending);
        }
    }

    /// Handles what a node, perhaps this one, has published.
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
            Ending::Member { entry, userid, at } => {
                let sids = self.cache.end_member(&entry, &userid, at);
                if !sids.is_empty() {
                    // The node that published it does not know these sessions, so this node ends them in NocoBase.
                    self.member_ended(Actor::Node, &entry, &userid, ELSEWHERE, sids);
                }
            }
        }
    }
}

impl SignIns {
    /// Carries a callback out, unless another node does or did.
    pub(super) async fn once_in_all(&self, id: CallbackId, work: impl Future<Output = Finished>) -> Finished {
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
