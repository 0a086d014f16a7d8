//! The queues for rechecks of members: one per WeCom entry, few calls at once, at an even rate, behind a circuit breaker.

use std::collections::HashMap;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Semaphore;

use super::breaker::{Breaker, CallOutcome, News, Pace, Ticket};
use super::member_lists::{DueMember, MemberLists};
use crate::session::{MemberRecheck, Session, UnixMillis};
use crate::wecom::{Class, WeComError};

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
    pub(super) lists: Mutex<MemberLists>,
    /// Those for whom one list is being requested, by department.
    groups: Mutex<HashMap<u32, Weak<Group>>>,
}

/// A member whose recheck is due.
pub(super) struct Due {
    /// One of the member's sessions.
    pub(super) session: Session,
    pub(super) order: MemberRecheck,
}

/// Members who wait for one list.
pub(super) struct Group {
    /// The configuration under which it is evaluated.
    generation: u64,
    /// `None`: the list has arrived.
    waiting: Mutex<Option<Vec<Due>>>,
}

impl Group {
    /// Those who wait so far. More may follow.
    pub(super) fn take(&self) -> Vec<Due> {
        self.waiting.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// They go on waiting.
    pub(super) fn put_back(&self, members: Vec<Due>) {
        if let Some(waiting) = &mut *self.waiting.lock() {
            waiting.extend(members);
        }
    }

    /// Those who wait; no one can join any more.
    pub(super) fn close(&self) -> Vec<Due> {
        self.waiting.lock().take().unwrap_or_default()
    }
}

impl Queue {
    fn new() -> Queue {
        Queue {
            at_once: Semaphore::new(AT_ONCE),
            state: Mutex::default(),
            lists: Mutex::default(),
            groups: Mutex::default(),
        }
    }

    /// The department whose list is requested for this member, if any. While the breaker is open, each probe is about one member.
    pub(super) fn department(&self, order: &MemberRecheck, now: UnixMillis, every: Duration) -> Option<u32> {
        let member = DueMember { department: order.department(), checked_at: order.last_checked() };
        let chosen = self.lists.lock().choose(member, now, every);
        chosen.filter(|_| !self.state.lock().0.is_open())
    }

    /// Lets a member wait for the list of a department that is about to be requested. If there is none: the group of those who will
    /// wait for it, which the caller requests.
    pub(super) fn join(&self, department: u32, generation: u64, due: Due) -> Joined {
        let mut groups = self.groups.lock();
        if let Some(group) = groups.get(&department).and_then(Weak::upgrade) {
            let mut waiting = group.waiting.lock();
            match &mut *waiting {
                Some(waiting) if group.generation == generation => {
                    waiting.push(due);
                    return Joined::Waits;
                }
                Some(_) => return Joined::Alone(due),
                None => {}
            }
        }
        let group = Arc::new(Group { generation, waiting: Mutex::new(Some(vec![due])) });
        groups.insert(department, Arc::downgrade(&group));
        Joined::First(group)
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
    pub(super) fn end(&self, ticket: &Ticket, error: Option<&WeComError>) -> Option<News> {
        let outcome = match error {
            None => CallOutcome::Answered,
            Some(error) if is_overload(error) => CallOutcome::Overloaded,
            Some(_) => CallOutcome::Failed,
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

/// How a member waits.
pub(super) enum Joined {
    /// Someone else requests the list.
    Waits,
    /// The caller requests it, for this group.
    First(Arc<Group>),
    /// A list is on its way that other rules will be applied to: the member is asked about alone.
    Alone(Due),
}

/// More calls would make it worse.
pub(super) fn is_overload(error: &WeComError) -> bool {
    matches!(error.class(), Class::Rate | Class::Transient | Class::Transport)
}
