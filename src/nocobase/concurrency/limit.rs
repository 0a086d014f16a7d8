//! The number of requests at once, derived from NocoBase's response times. Plain data; the caller provides the measurements.
//!
//! NocoBase never reports an overload, it only becomes slow. So, as in TCP's congestion control, the limit grows in small steps
//! and shrinks by factors, but by latency: each kind of request is compared with itself, so that a slow export does not look like an
//! overload. Below a limit that has proven itself it grows by factors too (as TCP's slow start does below its threshold, RFC 5681,
//! 3.1): after a stall it is back within a second, and never further than a slowdown that is seen already allows.
//!
//! If shrinking does not help, NocoBase is slower for another reason: what is usual is learnt again, and the limit returns to where it
//! was.

/// Kinds of requests, measured separately.
pub(super) const KINDS: usize = 16;
/// Lower bound of the limit: one slow query must not stop all requests.
const MIN_LIMIT: f64 = 8.0;
/// Initial limit.
const INITIAL_LIMIT: f64 = 16.0;
/// Its upper bound.
const MAX_LIMIT: f64 = 1024.0;
/// A shorter response time is never an overload, seconds.
const QUICK: f64 = 0.025;
/// Up to this slowdown the limit grows.
const GROWS_UP_TO: f64 = 1.25;
/// From this slowdown on the limit shrinks.
const SHRINKS_FROM: f64 = 1.6;
/// The limit never shrinks below this fraction of itself in one step.
const STEEPEST: f64 = 0.7;
/// Below the proven limit it grows by this factor, up to this slowdown.
const FASTEST: f64 = 1.5;
const FASTEST_UP_TO: f64 = 1.05;
/// Shrinking has no effect if the limit is below this fraction of what it was, and the slowdown still above this one. If the limit were
/// the reason, both would have become the same fraction.
const NO_EFFECT: (f64, f64) = (0.6, 0.8);
/// A slowdown becomes worse by this factor.
const WORSE: f64 = 1.1;
/// Responses of one kind after which what is usual is known; their mean is taken over about as many.
const ENOUGH: u32 = 256;

/// How fast what is usual follows the responses: when they become faster; when they become slower without a crowd, or at the
/// lowest limit; when shrinking had no effect; and in a crowd, where the limit is the likely reason.
const FASTER: f64 = 0.3;
const SLOWER: f64 = 0.05;
const SLOWER_WITHOUT_EFFECT: f64 = 0.3;
const SLOWER_IN_A_CROWD: f64 = 0.0002;

/// The responses of one kind in a period.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Responses {
    pub(super) count: u32,
    /// Sum of the times until their header sections arrived, seconds.
    pub(super) seconds: f64,
}

/// What is known of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Kind {
    /// Responses so far, up to [`ENOUGH`].
    seen: u32,
    /// Mean of the last responses, seconds: single ones that are fast by chance must not make the others look slow.
    recent: f64,
    /// The same without overload.
    usual: f64,
}

impl Kind {
    /// `slower`: how fast what is usual follows responses that take longer.
    fn observe(&mut self, count: u32, mean: f64, slower: f64) {
        let all = self.seen.saturating_add(count);
        self.recent += (mean - self.recent) * f64::from(count) / f64::from(all);
        let pace = if self.seen < ENOUGH {
            1.0
        } else if self.recent < self.usual {
            FASTER
        } else {
            slower
        };
        self.usual += (self.recent - self.usual) * pace;
        self.seen = all.min(ENOUGH);
    }
}

/// A point of a decline, with which later ones are compared: the limit, and the slowdown because of which it shrank.
#[derive(Clone, Copy, Debug)]
struct Decline {
    limit: f64,
    slowdown: f64,
}

/// A limit that follows the latency.
#[derive(Debug)]
pub(super) struct AdaptiveLimit {
    limit: f64,
    kinds: [Kind; KINDS],
    /// Up to here it grows by factors: the last limit without a slowdown. At first there is none.
    proven: f64,
    /// It has shrunk, and the response times have not been usual since.
    decline: Option<Decline>,
    /// Shrinking has not helped.
    no_effect: bool,
}

impl AdaptiveLimit {
    pub(super) fn new() -> AdaptiveLimit {
        AdaptiveLimit {
            limit: INITIAL_LIMIT,
            kinds: [Kind::default(); KINDS],
            proven: MAX_LIMIT,
            decline: None,
            no_effect: false,
        }
    }

    /// The current limit.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between MIN_LIMIT and MAX_LIMIT"
    )]
    pub(super) fn now(&self) -> usize {
        self.limit as usize
    }

    /// The limit to be expected within a second or two, as far as it has proven itself.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between MIN_LIMIT and MAX_LIMIT"
    )]
    pub(super) fn soon(&self) -> usize {
        let known = if self.proven < MAX_LIMIT { self.proven.min(2.0 * self.limit) } else { self.limit };
        known.max(self.limit) as usize
    }

    /// These responses arrived. `full`: the limit was reached at times.
    pub(super) fn observe(&mut self, responses: &[Responses; KINDS], full: bool) {
        let (mut expected, mut actual) = (0.0, 0.0);
        let slower = if full && self.no_effect {
            SLOWER_WITHOUT_EFFECT
        } else if full && self.limit > MIN_LIMIT {
            SLOWER_IN_A_CROWD
        } else {
            SLOWER
        };
        for (responses, kind) in responses.iter().zip(&mut self.kinds) {
            if responses.count == 0 {
                continue;
            }
            let count = f64::from(responses.count);
            let mean = responses.seconds / count;
            let usual = if kind.seen == 0 { mean } else { kind.usual };
            expected += usual.max(QUICK) * count;
            actual += responses.seconds;
            kind.observe(responses.count, mean, slower);
        }
        if !full || expected <= 0.0 {
            return;
        }
        let slowdown = actual / expected;
        if slowdown > SHRINKS_FROM {
            self.shrink(slowdown);
        } else if slowdown < GROWS_UP_TO {
            self.grow(slowdown);
        } else if !self.no_effect {
            // This is enough; what was proven belongs to the past.
            self.proven = f64::midpoint(self.proven.min(2.0 * self.limit), self.limit);
        }
        self.limit = self.limit.clamp(MIN_LIMIT, MAX_LIMIT);
        self.proven = self.proven.clamp(self.limit, MAX_LIMIT);
    }

    fn grow(&mut self, slowdown: f64) {
        let step = self.limit + (self.limit / 16.0).max(1.0);
        let factor = if slowdown < FASTEST_UP_TO { FASTEST } else { GROWS_UP_TO / slowdown };
        let before = self.decline.take().filter(|_| std::mem::take(&mut self.no_effect));
        let next = before.map_or((self.limit * factor).min(self.proven), |before| before.limit);
        self.limit = next.max(step);
    }

    fn shrink(&mut self, slowdown: f64) {
        let (less, still) = NO_EFFECT;
        match self.decline {
            Some(before) if slowdown <= WORSE * before.slowdown && self.limit >= less * before.limit => {}
            Some(before) if slowdown <= WORSE * before.slowdown && slowdown > still * before.slowdown => {
                self.no_effect = true;
            }
            // It begins, becomes worse, or shrinking has helped so far.
            Some(_) | None => self.decline = Some(Decline { limit: self.limit, slowdown }),
        }
        if !self.no_effect {
            self.limit *= (SHRINKS_FROM / slowdown).max(STEEPEST);
        }
    }
}

/// The kind of a request: from the first two segments of its path, which for an API call are the action.
pub(super) fn kind(path: &str) -> usize {
    let mut hash: u32 = 0x811c_9dc5;
    let mut slashes = 0;
    for byte in path.bytes().take_while(|b| {
        slashes += u32::from(*b == b'/');
        slashes < 3
    }) {
        hash = (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    }
    (hash ^ (hash >> 16)) as usize % KINDS
}

#[cfg(test)]
mod steps;
#[cfg(test)]
mod tests;
