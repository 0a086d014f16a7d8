//! The generic cell rate algorithm, which needs one number per counted client.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The period of a rate, and the time for which one log line covers further refusals.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Most addresses remembered per rate. Beyond that, moka keeps those that recur.
pub(super) const ADDRESSES: u64 = 50_000;

/// The charge for a callback, given back when this is dropped.
#[must_use]
pub(crate) struct Charge(pub(super) Option<(Arc<Address>, u64)>);

impl Charge {
    /// The callback was rejected: keeps the charge.
    pub(crate) fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        if let Some((address, every)) = self.0.take() {
            let less = |due: u64| Some(due.saturating_sub(every));
            let _ = address.due.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
        }
    }
}

/// Over the rate.
#[derive(Debug)]
pub(super) struct Over {
    /// The first within the period, which is logged.
    pub(super) first: bool,
}

#[derive(Default)]
pub(super) struct Address {
    /// When the latest one would have been due at even intervals.
    pub(super) due: AtomicU64,
    pub(super) logged_at: AtomicU64,
}

/// When the next one is due, if that is within this window; `every`: nanoseconds between two.
pub(super) fn next(due: u64, now: u64, (every, window): (u64, u64)) -> Option<u64> {
    let next = due.max(now).saturating_add(every);
    (next <= now.saturating_add(window)).then_some(next)
}

/// Has nothing been logged for a whole period? Then a line is due.
pub(super) fn first(logged_at: &AtomicU64, now: u64) -> bool {
    // 0 is never.
    let next = |last: u64| (last == 0 || now >= last.saturating_add(nanos(WINDOW))).then_some(now.max(1));
    logged_at.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).is_ok()
}

pub(super) fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}
