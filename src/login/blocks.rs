//! Sessions that have ended here and must be blocked in NocoBase. The gate repeats the call until NocoBase has recorded the end,
//! also across a restart and a change of the gate's configuration, or until the session would have expired anyway (R36).
//!
//! With Redis, each node also knows which calls the others still have to make, and takes over those of a node that was killed or
//! cannot reach NocoBase.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use parking_lot::Mutex;

use super::clock::now;
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;
use crate::session::UnixMillis;
use crate::shared::{BlockOwner, ToBlock};

/// Between two attempts at first; doubled up to [`MAX_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const MAX_PAUSE: Duration = Duration::from_secs(15);
/// How long a node leaves the calls to another that has begun them.
const TAKEOVER_DELAY: Duration = Duration::from_secs(5);
/// Most calls remembered. Each was a session until it ended, so no outsider can fill this.
const MAX_BLOCKS: usize = 100_000;

/// The user whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// This user's.
    User(UserId),
    /// The user who is bound to this member; the binding is looked up.
    Member {
        /// Name of the WeCom entry.
        entry: String,
        /// As spelled by WeCom.
        userid: String,
    },
}

/// A session to be blocked in NocoBase.
#[derive(Debug, Clone)]
pub(super) struct Block {
    /// The `jti` of its tokens.
    pub(super) id: String,
    pub(super) owner: Owner,
    pub(super) signed_in_at: UnixMillis,
}

impl Block {
    /// In the form in which it is shared with the other nodes.
    pub(super) fn shared(&self, until: UnixMillis) -> ToBlock {
        let owner = match &self.owner {
            Owner::User(user) => BlockOwner::User(user.get()),
            Owner::Member { entry, userid } => {
                BlockOwner::Member { entry: entry.clone(), userid: userid.clone() }
            }
        };
        ToBlock { id: self.id.clone(), owner, signed_in_at: self.signed_in_at, until }
    }

    /// From another node; `None` if it names no user.
    fn from_shared(block: ToBlock) -> Option<Block> {
        let owner = match block.owner {
            BlockOwner::User(user) => Owner::User(UserId::new(user)?),
            BlockOwner::Member { entry, userid } => Owner::Member { entry, userid },
        };
        Some(Block { id: block.id, owner, signed_in_at: block.signed_in_at })
    }
}

/// Makes the call to NocoBase.
#[async_trait]
pub(super) trait Reporter: Send + Sync {
    /// Makes the call once. If there is nothing to do, that is a success.
    async fn report(&self, block: &Block) -> Result<(), FailureWithCause>;
}

/// Sign-outs that NocoBase has not recorded yet.
#[derive(Default)]
pub(crate) struct Blocks {
    state: Mutex<PendingBlocks>,
}

#[derive(Default)]
struct PendingBlocks {
    /// By id, with the time after which there is nothing to block.
    pending: HashMap<String, (Block, UnixMillis)>,
    /// The same for calls that another node has begun, with the time at which this node learned of them.
    others: HashMap<String, (Block, UnixMillis, Instant)>,
    /// A task is working on them.
    working: bool,
    /// Makes the calls: the sessions of the current configuration.
    by: Option<Weak<dyn Reporter>>,
}

impl Blocks {
    /// Does NocoBase still have to record the end of this session?
    pub(super) fn is_pending(&self, id: &str) -> bool {
        let state = self.state.lock();
        state.pending.contains_key(id) || state.others.contains_key(id)
    }

    /// From now on these sessions make the calls.
    pub(super) fn set_reporter(&self, by: Weak<dyn Reporter>) {
        self.state.lock().by = Some(by);
    }

    pub(super) fn add(&self, block: &Block, until: UnixMillis) {
        let mut state = self.state.lock();
        if state.pending.len() >= MAX_BLOCKS {
            tracing::error!(
                event = "session_ended",
                session = block.id,
                "too many sessions wait for NocoBase; this one is not blocked there if the first call fails"
            );
            return;
        }
        if let Entry::Vacant(free) = state.pending.entry(block.id.clone()) {
            free.insert((block.clone(), until));
        }
    }

    /// A node, possibly this one, has begun the call to NocoBase.
    pub(super) fn begun_elsewhere(&self, block: ToBlock, at: Instant) {
        let (until, mut state) = (block.until, self.state.lock());
        if state.pending.contains_key(&block.id) || state.others.len() >= MAX_BLOCKS || until <= now() {
            return;
        }
        if let Some(block) = Block::from_shared(block) {
            state.others.entry(block.id.clone()).or_insert((block, until, at));
        }
    }

    /// Takes over calls that other nodes began long ago; true if there are any.
    pub(super) fn take_over(&self, at: Instant) -> bool {
        let mut state = self.state.lock();
        let overdue: Vec<String> = state
            .others
            .iter()
            .filter(|(_, (_, _, since))| at.saturating_duration_since(*since) >= TAKEOVER_DELAY)
            .map(|(id, _)| id.clone())
            .collect();
        for id in &overdue {
            if let Some((block, until, _)) = state.others.remove(id) {
                state.pending.entry(id.clone()).or_insert((block, until));
            }
        }
        !overdue.is_empty()
    }

    pub(super) fn done(&self, id: &str) {
        let mut state = self.state.lock();
        state.pending.remove(id);
        state.others.remove(id);
    }

    /// How many calls this node still has to make.
    pub(super) fn left(&self) -> usize {
        self.state.lock().pending.len()
    }

    /// All pending calls that still matter.
    pub(super) fn due(&self) -> Vec<Block> {
        let mut state = self.state.lock();
        state.pending.retain(|_, (_, until)| now() < *until);
        state.pending.values().map(|(block, _)| block.clone()).collect()
    }

    /// True if the caller has to work on them from now on.
    pub(super) fn begins(&self, by: Weak<dyn Reporter>) -> bool {
        let mut state = self.state.lock();
        if state.by.as_ref().is_none_or(|by| by.strong_count() == 0) {
            state.by = Some(by);
        }
        !std::mem::replace(&mut state.working, true)
    }

    /// True if there is nothing left to do; a later call starts again.
    fn ends(&self) -> bool {
        let mut state = self.state.lock();
        state.working = !state.pending.is_empty();
        !state.working
    }

    /// Makes the calls until nothing is left.
    pub(super) async fn work(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        while !self.ends() {
            tokio::time::sleep(pause).await;
            let by = self.state.lock().by.as_ref().and_then(Weak::upgrade);
            let Some(sessions) = by else {
                // The gate has stopped.
                self.state.lock().working = false;
                return;
            };
            pause = (pause * 2).min(MAX_PAUSE);
            for block in self.due() {
                match sessions.report(&block).await {
                    Ok(()) => {
                        self.done(&block.id);
                        pause = FIRST_PAUSE;
                        tracing::info!(
                            event = "session_ended",
                            session = block.id,
                            "NocoBase has now recorded that this session has ended"
                        );
                    }
                    // The other calls would fail in the same way.
                    Err(failed) if is_away(failed.failure) => break,
                    Err(_) => {}
                }
            }
        }
    }
}

pub(super) fn is_away(failure: Failure) -> bool {
    matches!(
        failure,
        Failure::NocoBaseUnreachable
            | Failure::NocoBaseStarting
            | Failure::NocoBaseTimeout
            | Failure::NocoBaseBusy
    )
}

#[cfg(test)]
mod tests;
