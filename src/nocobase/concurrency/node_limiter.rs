//! The limiter of one node. Below the limit, a request costs two atomic operations and no lock.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::limit::{AdaptiveLimit, kind};
use super::places::{self, Place, Places};
use super::queue::{Class, LONGEST_ESTIMATE_NEW, Turn, WaitQueue};
use super::returns::Returns;
use super::silence::Silence;
use super::window::Window;
use crate::config::MaxRequests;
use crate::metrics::QueueCounts;

/// A request whose client has left occupies NocoBase as long as others do, but no longer than this.
const LONGEST_AFTERMATH: Duration = Duration::from_secs(2);

/// Why there is no slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// It would take too long, or has.
    Crowded,
    /// The node has stopped responding.
    Away,
}

/// Receives the result of a wait.
type Grant = oneshot::Sender<Result<Permit, NoPlace>>;

#[derive(Debug)]
struct QueueState {
    queue: WaitQueue<Grant>,
    adaptive: Option<AdaptiveLimit>,
    next_id: u64,
}

/// The limiter of one node.
#[derive(Debug)]
pub(crate) struct NodeLimiter {
    places: Places,
    limit: AtomicUsize,
    /// The limit that is expected soon.
    soon: AtomicUsize,
    waiting: AtomicUsize,
    away: AtomicBool,
    silence: Silence,
    state: Mutex<QueueState>,
    window: Window,
    returns: Mutex<Returns>,
    /// Microseconds after `began`.
    last_response: AtomicU64,
    began: Instant,
    counts: Option<QueueCounts>,
}

impl NodeLimiter {
    pub(crate) fn new(limit: MaxRequests, counts: Option<QueueCounts>) -> NodeLimiter {
        let limiter = NodeLimiter {
            places: Places::default(),
            limit: AtomicUsize::new(usize::MAX),
            soon: AtomicUsize::new(usize::MAX),
            waiting: AtomicUsize::new(0),
            away: AtomicBool::new(false),
            silence: Silence::default(),
            state: Mutex::new(QueueState { queue: WaitQueue::new(), adaptive: None, next_id: 0 }),
            window: Window::default(),
            returns: Mutex::default(),
            last_response: AtomicU64::new(0),
            began: Instant::now(),
            counts,
        };
        limiter.set_limit(limit);
        limiter
    }

    /// Sets another limit, as configured.
    pub(crate) fn set_limit(&self, limit: MaxRequests) {
        let mut state = self.state.lock();
        let (now, soon) = match limit {
            MaxRequests::Auto => {
                let adaptive = state.adaptive.get_or_insert_with(AdaptiveLimit::new);
                (adaptive.now(), adaptive.soon())
            }
            MaxRequests::Fixed(most) => (most, most),
            MaxRequests::Unbounded => (usize::MAX, usize::MAX),
        };
        if limit != MaxRequests::Auto {
            state.adaptive = None;
        }
        self.soon.store(soon, Ordering::Relaxed);
        self.limit.store(now, Ordering::SeqCst);
    }

    /// How many slots are in use.
    pub(crate) fn in_use(&self) -> usize {
        self.places.taken()
    }

    /// The number of slots; `usize::MAX`: unlimited.
    pub(crate) fn limit(&self) -> usize {
        self.limit.load(Ordering::Relaxed)
    }

    /// How many requests wait.
    pub(crate) fn queued(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Would another request get a slot at once?
    pub(crate) fn has_room(&self) -> bool {
        !self.is_away() && self.queued() == 0 && self.in_use() < self.limit()
    }

    /// Has the node stopped responding?
    pub(crate) fn is_away(&self) -> bool {
        self.away.load(Ordering::Relaxed)
    }

    /// How long it has sent no response.
    pub(crate) fn silence(&self) -> Duration {
        let last = Duration::from_micros(self.last_response.load(Ordering::Relaxed));
        self.began.elapsed().saturating_sub(last)
    }

    /// How long health checks have found the node silent; `None`: it responds.
    pub(crate) fn silent_for(&self) -> Option<Duration> {
        self.silence.lasts()
    }

    /// Completes when health checks have found the node silent for this long.
    pub(crate) fn until_silent(&self, long: Duration) -> impl Future<Output = ()> + Send + Sync + use<> {
        self.silence.until(long)
    }

    /// A health check has found the node silent, or that it responds. While it is silent, waiting requests are refused, and every
    /// slot is free: requests that a hanging node has accepted may never get a response.
    pub(crate) fn set_silent(self: &Arc<Self>, silent: bool) {
        self.away.store(silent, Ordering::SeqCst);
        self.silence.set(silent);
        if !silent {
            return;
        }
        self.places.free_all();
        let waiting: Vec<Grant> = {
            let mut state = self.state.lock();
            let all = std::iter::from_fn(|| state.queue.pop()).collect();
            self.waiting.store(0, Ordering::SeqCst);
            all
        };
        for grant in waiting {
            // An error means that the waiting request has gone.
            let _ = grant.send(Err(NoPlace::Away));
        }
    }

    /// Enters, at once or after a wait. Dropping the future leaves the queue.
    pub(crate) async fn enter(self: &Arc<Self>, turn: Turn) -> Result<Permit, NoPlace> {
        if turn.class == Class::Urgent {
            return Ok(Permit::new(self, self.places.take_more()));
        }
        if let Some(permit) = self.try_enter(turn) {
            return Ok(permit.of(turn));
        }
        let result = Box::pin(self.wait(turn)).await.map(|permit| permit.of(turn));
        if result.is_err()
            && let Some(counts) = &self.counts
        {
            counts.refused();
        }
        result
    }

    fn try_enter(self: &Arc<Self>, turn: Turn) -> Option<Permit> {
        if self.away.load(Ordering::Relaxed) || self.waiting.load(Ordering::SeqCst) > 0 {
            return None;
        }
        let place = self.places.take(self.limit(), turn.class == Class::In);
        place.map(|place| Permit::new(self, place))
    }

    async fn wait(self: &Arc<Self>, turn: Turn) -> Result<Permit, NoPlace> {
        self.window.was_full.store(true, Ordering::Relaxed);
        let (grant, granted) = oneshot::channel();
        let began = Instant::now();
        let _place = {
            let mut state = self.state.lock();
            if self.away.load(Ordering::SeqCst) {
                return Err(NoPlace::Away);
            }
            let ahead = state.queue.ahead(turn.class, turn.who);
            if self.time_for(ahead + 1, turn.class) > turn.longest_estimate() {
                return Err(NoPlace::Crowded);
            }
            let id = state.next_id;
            state.next_id = id.wrapping_add(1);
            state.queue.push(turn.class, turn.who, id, grant).map_err(|_| NoPlace::Crowded)?;
            self.waiting.store(state.queue.len(), Ordering::SeqCst);
            Waiting { limiter: self, turn, id }
        };
        // A slot may have become free before this request was queued.
        self.hand_out();
        let result = match tokio::time::timeout(turn.patience(), granted).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(NoPlace::Crowded),
        };
        if let Some(counts) = &self.counts {
            counts.waited(began.elapsed());
        }
        result
    }

    /// How long this many requests take before one of this class, as far as known.
    fn time_for(&self, requests: usize, class: Class) -> Duration {
        let soon = self.soon.load(Ordering::Relaxed);
        let (slots, mean) = match class {
            Class::New => (places::for_newcomers(soon), self.window.newcomers_mean()),
            Class::In | Class::SignIn | Class::Urgent => (soon, self.window.mean()),
        };
        mean.saturating_mul(u32::try_from(requests.div_ceil(slots.max(1))).unwrap_or(u32::MAX))
    }

    /// How many newcomers get a slot in a second; `None`: unknown.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn newcomers_rate(&self) -> Option<f64> {
        let mean = self.window.newcomers_mean().as_secs_f64();
        let slots = places::for_newcomers(self.soon.load(Ordering::Relaxed));
        (mean > 0.0).then(|| slots.max(1) as f64 / mean)
    }

    /// In how many seconds a request that is refused now is best sent again.
    pub(crate) fn next_return(&self) -> u32 {
        self.returns.lock().next(self.began.elapsed().as_secs(), self.newcomers_rate())
    }

    /// The same for a client that is told so, and is expected then.
    pub(crate) fn book_return(&self) -> u32 {
        self.returns.lock().book(self.began.elapsed().as_secs(), self.newcomers_rate())
    }

    /// Gives the free slots to waiting requests.
    fn hand_out(self: &Arc<Self>) {
        loop {
            let (grant, place) = {
                let mut state = self.state.lock();
                if state.queue.len() == 0 {
                    return;
                }
                let Some(place) = self.places.take(self.limit(), state.queue.has_signed_in()) else { return };
                let grant = if place.is_kept { state.queue.pop_signed_in() } else { state.queue.pop() };
                self.waiting.store(state.queue.len(), Ordering::SeqCst);
                (grant, place)
            };
            let unused = match grant {
                Some(grant) => grant.send(Ok(Permit::new(self, place))).err().and_then(Result::ok),
                None => Some(Permit::new(self, place)),
            };
            if let Some(permit) = unused {
                permit.forget();
            }
        }
    }

    fn release(self: &Arc<Self>, place: Place) {
        self.places.give_back(place);
        if self.waiting.load(Ordering::SeqCst) > 0 {
            self.hand_out();
        }
    }

    /// A node sent a response to a request that had lost its place: it does not hang, but the duration is not representative.
    fn responded_late(&self) {
        self.last_response.store(micros(self.began.elapsed()), Ordering::Relaxed);
    }

    /// A request of this kind got its response after so long.
    fn responded(self: &Arc<Self>, kind: usize, is_newcomer: bool, took: Duration, now: Instant) {
        let now = micros(now.saturating_duration_since(self.began));
        self.last_response.store(now, Ordering::Relaxed);
        let limit = self.limit();
        if limit != usize::MAX && self.window.add(kind, is_newcomer, micros(took), now, limit) {
            self.adapt(now);
        }
    }

    /// Adapts the limit, and hands out what that makes free.
    fn adapt(self: &Arc<Self>, now: u64) {
        // Another task is doing it.
        let Some(mut state) = self.state.try_lock() else { return };
        let responses = self.window.take(now);
        let full = self.window.was_full.swap(state.queue.len() > 0, Ordering::Relaxed);
        if let Some(adaptive) = &mut state.adaptive {
            let before = adaptive.now();
            adaptive.observe(&responses, full);
            if adaptive.now().abs_diff(before) * 10 > before {
                self.window.changed(now);
            }
            self.soon.store(adaptive.soon(), Ordering::Relaxed);
            self.limit.store(adaptive.now(), Ordering::SeqCst);
        }
        let hopeless = self.remove_hopeless(&mut state);
        drop(state);
        for grant in hopeless {
            // An error means that the waiting request has gone.
            let _ = grant.send(Err(NoPlace::Crowded));
        }
        self.hand_out();
    }

    /// Newcomers who were queued before it was known how long it takes: those who are told now come back before the queue is empty,
    /// and not all at once when it is.
    fn remove_hopeless(&self, state: &mut QueueState) -> Vec<Grant> {
        let mut removed = Vec::new();
        while self.time_for(state.queue.len(), Class::New) > LONGEST_ESTIMATE_NEW
            && let Some(grant) = state.queue.pop_last_newcomer()
        {
            removed.push(grant);
        }
        self.waiting.store(state.queue.len(), Ordering::SeqCst);
        removed
    }
}

fn micros(d: Duration) -> u64 {
    u64::try_from(d.as_micros()).unwrap_or(u64::MAX)
}

/// Leaves the queue when it is dropped.
struct Waiting<'a> {
    limiter: &'a NodeLimiter,
    turn: Turn,
    id: u64,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.limiter.state.lock();
        if state.queue.remove(self.turn.class, self.turn.who, self.id).is_some() {
            self.limiter.waiting.store(state.queue.len(), Ordering::SeqCst);
        }
    }
}

/// A slot at a NocoBase node, until it is dropped or the response has begun.
#[derive(Debug)]
#[must_use = "what is dropped at once holds no place"]
pub(crate) struct Permit {
    /// `None`: it has been released.
    limiter: Option<Arc<NodeLimiter>>,
    place: Place,
    since: Instant,
    is_newcomer: bool,
    /// The request has been sent.
    sent: bool,
}

impl Permit {
    fn new(limiter: &Arc<NodeLimiter>, place: Place) -> Permit {
        let limiter = Some(limiter.clone());
        Permit { limiter, place, since: Instant::now(), is_newcomer: false, sent: false }
    }

    fn of(mut self, turn: Turn) -> Permit {
        self.is_newcomer = turn.class == Class::New;
        self
    }

    /// NocoBase is about to get the request: from now on it works on it, even if the request is cancelled.
    pub(crate) fn sent(mut self) -> Permit {
        self.sent = true;
        self
    }

    /// The response has begun. `path`: of the request, for its kind.
    pub(crate) fn responded(mut self, path: &str) {
        if let Some(limiter) = self.limiter.take() {
            if limiter.places.is_current(self.place) {
                let now = Instant::now();
                let took = now.saturating_duration_since(self.since);
                limiter.responded(kind(path), self.is_newcomer, took, now);
            } else {
                limiter.responded_late();
            }
            limiter.release(self.place);
        }
    }

    /// NocoBase never got the request, or is unreachable.
    pub(crate) fn unused(mut self) {
        self.sent = false;
    }

    /// Drops it without releasing the slot.
    fn forget(mut self) {
        if let Some(limiter) = self.limiter.take() {
            limiter.places.give_back(self.place);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let Some(limiter) = self.limiter.take() else { return };
        let usual = limiter.window.mean().min(LONGEST_AFTERMATH);
        let place = self.place;
        let aftermath = usual.saturating_sub(self.since.elapsed());
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) if self.sent && !aftermath.is_zero() => {
                runtime.spawn(async move {
                    tokio::time::sleep(aftermath).await;
                    limiter.release(place);
                });
            }
            _ => limiter.release(place),
        }
    }
}

#[cfg(test)]
mod tests;
