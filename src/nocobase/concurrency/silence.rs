//! How long health checks have found a node silent. Requests that wait for its response are notified.

use std::future::Future;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::watch;

/// Since when, and how long at the last check.
#[derive(Debug, Default)]
pub(super) struct Silence {
    since: Mutex<Option<Instant>>,
    lasts: watch::Sender<Option<Duration>>,
}

impl Silence {
    /// A health check has found it silent, or that it responds.
    pub(super) fn set(&self, silent: bool) {
        let now = {
            let mut since = self.since.lock();
            *since = silent.then(|| since.unwrap_or_else(Instant::now));
            since.map(|since| since.elapsed())
        };
        self.lasts.send_if_modified(|before| std::mem::replace(before, now) != now);
    }

    /// `None`: it responds.
    pub(super) fn lasts(&self) -> Option<Duration> {
        *self.lasts.borrow()
    }

    /// Completes when it has been silent for this long.
    pub(super) fn until(&self, long: Duration) -> impl Future<Output = ()> + Send + Sync + use<> {
        let mut lasts = self.lasts.subscribe();
        async move {
            // An error means that the node is no longer configured.
            if lasts.wait_for(|now| now.is_some_and(|now| now >= long)).await.is_err() {
                std::future::pending().await
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_when_the_node_has_been_silent_for_so_long() {
        let (silence, long) = (Silence::default(), Duration::from_secs(7));
        let (at_once, later) = (silence.until(Duration::ZERO), silence.until(long));
        silence.set(true);
        at_once.await;
        let not_yet = tokio::time::timeout(Duration::from_secs(60), silence.until(long)).await;
        assert!(not_yet.is_err());
        *silence.since.lock() = Instant::now().checked_sub(long);
        silence.set(true);
        later.await;
        silence.set(false);
        assert_eq!(silence.lasts(), None);
        silence.set(true);
        assert!(silence.lasts() < Some(long), "it begins again");
    }
}
