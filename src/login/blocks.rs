//! Sessions that have ended here and have to be blocked in NocoBase. NocoBase is told until it has it on record, also over
//! its restart and over a change of the gate's configuration; or until the session would be over by itself (R36).

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::Mutex;

use super::clock::now;
use super::sessions::Sessions;
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;
use crate::session::UnixMillis;

/// How long a sign-out waits for NocoBase. It goes on afterwards.
const PATIENCE: Duration = Duration::from_secs(3);
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
    by: Weak<Sessions>,
}

impl Blocks {
    /// Is NocoBase still to be told of this session?
    pub(super) fn is_pending(&self, id: &str) -> bool {
        self.state.lock().pending.contains_key(id)
    }

    /// From now on these sessions tell NocoBase.
    pub(super) fn told_by(&self, sessions: &Arc<Sessions>) {
        self.state.lock().by = Arc::downgrade(sessions);
    }

    fn add(&self, block: &Block, until: UnixMillis) {
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

    fn done(&self, id: &str) {
        self.state.lock().pending.remove(id);
    }

    /// All that are pending and still matter.
    fn due(&self) -> Vec<Block> {
        let mut state = self.state.lock();
        state.pending.retain(|_, (_, until)| now() < *until);
        state.pending.values().map(|(block, _)| block.clone()).collect()
    }

    /// True for the one who is to work on them from now on.
    fn begins(&self, sessions: &Arc<Sessions>) -> bool {
        let mut state = self.state.lock();
        if state.by.strong_count() == 0 {
            state.by = Arc::downgrade(sessions);
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
    async fn work(self: Arc<Self>) {
        let mut pause = FIRST_PAUSE;
        while !self.ends() {
            tokio::time::sleep(pause).await;
            let by = self.state.lock().by.upgrade();
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

fn is_away(failure: Failure) -> bool {
    matches!(failure, Failure::NocoBaseUnreachable | Failure::NocoBaseStarting | Failure::NocoBaseTimeout)
}

impl Sessions {
    /// Blocks these sessions in NocoBase: returns when that is done, or cannot be done now. It is then done in the
    /// background, also if the caller does not wait.
    pub(super) async fn block(self: &Arc<Self>, blocks: Vec<Block>) {
        let done = self.block_soon(blocks);
        // An error: it is not done yet, or the task has panicked. Both are in the log.
        let _ = tokio::time::timeout(PATIENCE, done).await;
    }

    /// The same without waiting.
    pub(super) fn block_soon(self: &Arc<Self>, blocks: Vec<Block>) -> tokio::task::JoinHandle<()> {
        let until = now().plus(self.limits().absolute);
        for block in &blocks {
            self.blocks.add(block, until);
        }
        let sessions = self.clone();
        tokio::spawn(async move {
            let mut away = None;
            for block in &blocks {
                match sessions.tell(block).await {
                    Ok(()) => sessions.blocks.done(&block.id),
                    Err(failed) => {
                        let gone = is_away(failed.failure);
                        away = Some(failed);
                        if gone {
                            break;
                        }
                    }
                }
            }
            let Some(failed) = away else { return };
            tracing::error!(
                event = "session_ended",
                sessions = blocks.len(),
                label = failed.failure.response().label,
                call = failed.cause.call,
                reason = failed.cause.reason,
                "NocoBase could not be told that this session has ended; it is told again until it knows. \
                 Until then this node refuses it, and with session.redis every node"
            );
            if sessions.blocks.begins(&sessions) {
                tokio::spawn(sessions.blocks.clone().work());
            }
        })
    }

    /// Tells NocoBase once. Nothing to tell is a success.
    async fn tell(&self, block: &Block) -> Result<(), FailureWithCause> {
        let user = match &block.owner {
            Owner::User(user) => *user,
            Owner::Member { entry, userid } => match self.accounts.find_binding(entry, userid).await? {
                Some(user) => user,
                None => return Ok(()),
            },
        };
        let token = self.lasting(user, &block.id, block.signed_in_at)?;
        self.nocobase.sign_out(token.as_str()).await
    }
}
