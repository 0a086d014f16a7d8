//! The queues for rechecks of members: one per WeCom entry, few calls at once, at an even rate, behind a circuit breaker.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::breaker::{Breaker, CallOutcome, News, Pace, Ticket};
use crate::wecom::{Class, MemberStatus, WeComError};

/// Most concurrent calls of one entry.
const AT_ONCE: usize = 4;

/// The queues, by entry. They are kept over reloads.
#[derive(Default)]
pub(super) struct MemberRechecks(Mutex<HashMap<String, Arc<Queue>>>);

impl MemberRechecks {
    /// The queue of this entry.
    pub(super) fn of(&self, entry: &str) -> Arc<Queue> {
        let mut queues = self.0.lock();
        match queues.get(entry) {
            Some(queue) => queue.clone(),
            None => queues.entry(entry.to_owned()).or_insert_with(|| Arc::new(Queue::new())).clone(),
        }
    }
}

/// The queue of one entry.
pub(super) struct Queue {
    pub(super) at_once: Semaphore,
    state: Mutex<(Breaker, Pace)>,
}

impl Queue {
    fn new() -> Queue {
        Queue { at_once: Semaphore::new(AT_ONCE), state: Mutex::default() }
    }

    /// May a call be made now?
    pub(super) fn allows(&self) -> bool {
        self.state.lock().0.allows(Instant::now())
    }

    /// Begins a call, if one may be made.
    pub(super) fn begin(&self) -> Option<Ticket> {
        self.state.lock().0.begin(Instant::now())
    }

    /// How long the next call has to wait if calls are `gap` apart.
    pub(super) fn wait(&self, gap: Duration) -> Duration {
        self.state.lock().1.wait(Instant::now(), gap)
    }

    /// The call has ended with this result.
    pub(super) fn end(&self, ticket: &Ticket, result: &Result<MemberStatus, WeComError>) -> Option<News> {
        let outcome = match result {
            Ok(_) => CallOutcome::Answered,
            Err(error) => match error.class() {
                Class::Rate | Class::Transient | Class::Transport => CallOutcome::Overloaded,
                _ => CallOutcome::Failed,
            },
        };
        let chance = uuid::Uuid::new_v4().as_bytes().first().copied().unwrap_or_default();
        let mut state = self.state.lock();
        let was_open = state.0.is_open();
        let news = state.0.end(ticket, outcome, Instant::now(), chance);
        if !was_open && state.0.is_open() {
            state.1.forget();
        }
        news
    }
}
