//! How many requests to NocoBase may be in progress at once: each needs a descriptor, and over HTTP/2 one client connection can
//! have a hundred of them. Without a limit they would use up all descriptors, including those of the operator's listener (R38).

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Most idle connections to NocoBase, however many places there are.
const MAX_IDLE: usize = 512;

/// Places for requests to NocoBase, WebSockets included.
pub(crate) struct Places {
    most: AtomicUsize,
    taken: AtomicUsize,
}

impl Default for Places {
    /// Without a limit.
    fn default() -> Places {
        Places { most: AtomicUsize::new(usize::MAX), taken: AtomicUsize::new(0) }
    }
}

impl Places {
    /// Sets the limit.
    pub(crate) fn limit(&self, most: usize) {
        self.most.store(most, Ordering::Relaxed);
    }

    /// Most idle connections to NocoBase, which need a descriptor each in addition.
    pub(crate) fn idle(&self) -> usize {
        MAX_IDLE.min(self.most.load(Ordering::Relaxed) / 4).max(1)
    }

    /// A place until it is dropped; `None` if all are taken. Incremented before it is compared (R34).
    pub(crate) fn take(self: &Arc<Places>) -> Option<Place> {
        let place = Place(self.clone());
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        (before < self.most.load(Ordering::Relaxed)).then_some(place)
    }
}

/// Held by a request.
pub(crate) struct Place(Arc<Places>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r38_places_are_given_back() {
        let places: Arc<Places> = Arc::default();
        places.limit(2);
        let held = [places.take(), places.take()];
        assert!(held.iter().all(Option::is_some));
        assert!(places.take().is_none() && places.take().is_none());
        drop(held);
        assert!(places.take().is_some());
        assert_eq!(places.taken.load(Ordering::Relaxed), 0);
    }
}
