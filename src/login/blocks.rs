//! Sessions that have ended here and have to be blocked in NocoBase. The gate tells NocoBase until it has recorded it, also across
//! its restart and over a change of the gate's configuration; or until the session would be over by itself (R36).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use std::time::Duration;

use async_trait::async_trait;
use parking_lot::Mutex;

use super::clock::now;
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;
use crate::session::UnixMillis;

/// Between two attempts at first, doubled up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Most that are remembered. Each was a session until it ended, so that no stranger can fill this.
const MOST: usize = 100_000;

/// Whose session it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Owner {
    /// This user's.
    User(UserId),
    /// That of the user who is bound to this member: the binding is looked up.
    Member {
        /// Name of the WeCom entry.
        entry: String,
        /// As WeCom spells it.
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

/// Who tells NocoBase.
#[async_trait]
pub(super) trait Tells: Send + Sync {
    /// Tells NocoBase once. Nothing to tell is a success.
    async fn tell(&self, block: &Block) -> Result<(), FailureWithCause>;
}

/// What NocoBase still has to be told.
#[derive(Default)]
pub(crate) struct Blocks {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By id, with the moment from which on there is nothing to block.
    pending: HashMap<String, (Block, UnixMillis)>,
    /// A task works on them.
    working: bool,
    /// Who tells NocoBase: the sessions of the configuration in use.
    by: Option<Weak<dyn Tells>>,
}

impl Blocks {
    /// Is NocoBase still to be told of this session?
    pub(super) fn is_pending(&self, id: &str) -> bool {
        self.state.lock().pending.contains_key(id)
    }

    /// From now on these sessions tell NocoBase.
    pub(super) fn told_by(&self, by: Weak<dyn Tells>) {
        self.state.lock().by = Some(by);
    }

    pub(super) fn add(&self, block: &Block, until: UnixMillis) {
        let mut state = self.state.lock();
        if state.pending.len() >= MOST {
            tracing::error!(
                event = "session_ended",
                session = block.id,
                "too many sessions wait for NocoBase; this one is not blocked there if it cannot be told at once"
            );
            return;
        }
        if let Entry::Vacant(free) = state.pending.entry(block.id.clone()) {
            free.insert((block.clone(), until));
        }
    }

    pub(super) fn done(&self, id: &str) {
        self.state.lock().pending.remove(id);
    }

    /// All that are pending and still matter.
    fn due(&self) -> Vec<Block> {
        let mut state = self.state.lock();
        state.pending.retain(|_, (_, until)| now() < *until);
        state.pending.values().map(|(block, _)| block.clone()).collect()
    }

    /// True for the one who is to work on them from now on.
    pub(super) fn begins(&self, by: Weak<dyn Tells>) -> bool {
        let mut state = self.state.lock();
        if state.by.as_ref().is_none_or(|by| by.strong_count() == 0) {
            state.by = Some(by);
        }
        !std::mem::replace(&mut state.working, true)
    }

    /// True if there is nothing left to do; the next one begins anew.
    fn ends(&self) -> bool {
        let mut state = self.state.lock();
        state.working = !state.pending.is_empty();
        !state.working
    }

    /// Tells NocoBase until nothing is left.
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
            pause = (pause * 2).min(LONGEST_PAUSE);
            for block in self.due() {
                match sessions.tell(&block).await {
                    Ok(()) => {
                        self.done(&block.id);
                        pause = FIRST_PAUSE;
                        tracing::info!(
                            event = "session_ended",
                            session = block.id,
                            "NocoBase has been told now that this session has ended"
                        );
                    }
                    // The others would fare no better.
                    Err(failed) if is_away(failed.failure) => break,
                    Err(_) => {}
                }
            }
        }
    }
}

pub(super) fn is_away(failure: Failure) -> bool {
    matches!(failure, Failure::NocoBaseUnreachable | Failure::NocoBaseStarting | Failure::NocoBaseTimeout)
}
