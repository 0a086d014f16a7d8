//! The end of connections when the gate stops. A client that has reused its connection does so again, and a request that is on its
//! way while the connection is closed may not be repeated (RFC 9112, 9.3.1): so the next response on each of them says
//! `Connection: close`, and only those that stay idle are closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::watch;

/// Shared by all connections of a process.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    begin: Arc<watch::Sender<bool>>,
    /// Never looked at itself: each connection gets a copy, which is notified even if idle connections have been closed before.
    begun: watch::Receiver<bool>,
    idle: Arc<AtomicUsize>,
}

impl Closing {
    pub(super) fn new() -> Closing {
        let (begin, begun) = watch::channel(false);
        Closing { begin: Arc::new(begin), begun, idle: Arc::default() }
    }

    /// From now on connections without a request are closed.
    pub(super) fn begin(&self) {
        self.begin.send_replace(true);
    }

    /// Becomes true when that begins.
    pub(super) fn watch(&self) -> watch::Receiver<bool> {
        self.begun.clone()
    }

    /// A connection waits for its next request, until this is dropped.
    pub(super) fn idle(&self) -> Idle {
        self.idle.fetch_add(1, Ordering::Relaxed);
        Idle(self.idle.clone())
    }

    /// How many connections have served a request and wait for the next.
    pub(super) fn idle_connections(&self) -> usize {
        self.idle.load(Ordering::Relaxed)
    }
}

/// A connection that has served a request and waits for the next.
pub(super) struct Idle(Arc<AtomicUsize>);

impl Drop for Idle {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn connections_that_begin_late_are_notified_too() {
        let closing = Closing::new();
        let mut before = closing.watch();
        closing.begin();
        let mut after = closing.watch();
        for watch in [&mut before, &mut after] {
            watch.changed().await.unwrap();
            assert!(*watch.borrow());
        }
    }

    #[test]
    fn idle_connections_are_counted() {
        let closing = Closing::new();
        let (one, two) = (closing.idle(), closing.clone().idle());
        assert_eq!(closing.idle_connections(), 2);
        drop(one);
        assert_eq!(closing.idle_connections(), 1);
        drop(two);
        assert_eq!(closing.idle_connections(), 0);
    }
}
