//! A node that accepts and never responds.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// Whether it hangs, and the requests it has accepted meanwhile.
#[derive(Default)]
pub(crate) struct Hang {
    hangs: AtomicBool,
    swallowed: AtomicUsize,
}

impl Hang {
    pub(crate) fn begin(&self) {
        self.hangs.store(true, Ordering::SeqCst);
    }

    pub(crate) fn end(&self) {
        self.hangs.store(false, Ordering::SeqCst);
    }

    pub(crate) fn swallowed(&self) -> usize {
        self.swallowed.load(Ordering::SeqCst)
    }

    /// Never completes while it hangs, nor afterwards. `counts`: it is a client's.
    pub(crate) async fn swallow(&self, counts: bool) {
        if !self.hangs.load(Ordering::SeqCst) {
            return;
        }
        if counts {
            self.swallowed.fetch_add(1, Ordering::SeqCst);
        }
        std::future::pending().await
    }
}
