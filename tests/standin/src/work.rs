//! Its capacity: this many requests at once, each for this long, or so many calls of one action. Like Node.js it processes what it was sent, even if the client
//! no longer waits for the response.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, oneshot};

/// Its capacity and statistics.
#[derive(Clone)]
pub(crate) struct Work {
    /// The only action that is limited; `None`: all requests are.
    only: Option<Arc<str>>,
    places: Arc<Semaphore>,
    each: Duration,
    counts: Arc<Counts>,
}

#[derive(Default)]
struct Counts {
    inside: AtomicUsize,
    most: AtomicUsize,
    done: AtomicUsize,
    for_nobody: AtomicUsize,
}

/// Statistics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkDone {
    /// Most requests at once, including waiting ones.
    pub most_at_once: usize,
    /// Processed requests.
    pub requests: usize,
    /// Of these, those whose client had disconnected by the end.
    pub for_nobody: usize,
}

impl Work {
    pub(crate) fn new(only: Option<&str>, at_once: usize, each: Duration) -> Work {
        Work {
            only: only.map(Arc::from),
            places: Arc::new(Semaphore::new(at_once)),
            each,
            counts: Arc::default(),
        }
    }

    /// Is this action limited? `None`: not a call of the API.
    pub(crate) fn limits(&self, action: Option<&str>) -> bool {
        self.only.as_deref().is_none_or(|only| action == Some(only))
    }

    pub(crate) fn done(&self) -> WorkDone {
        let read = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        WorkDone {
            most_at_once: read(&self.counts.most),
            requests: read(&self.counts.done),
            for_nobody: read(&self.counts.for_nobody),
        }
    }

    /// Processes one request. If the future is dropped, the work continues.
    pub(crate) async fn on_one(&self) {
        let work = self.clone();
        let inside = work.counts.inside.fetch_add(1, Ordering::SeqCst) + 1;
        work.counts.most.fetch_max(inside, Ordering::SeqCst);
        let (tell, told) = oneshot::channel::<()>();
        tokio::spawn(async move {
            let place = work.places.acquire().await;
            tokio::time::sleep(work.each).await;
            drop(place);
            work.counts.inside.fetch_sub(1, Ordering::SeqCst);
            work.counts.done.fetch_add(1, Ordering::SeqCst);
            if tell.send(()).is_err() {
                work.counts.for_nobody.fetch_add(1, Ordering::SeqCst);
            }
        });
        let _ = told.await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_action_is_limited_or_all_are() {
        let each = Duration::from_millis(1);
        let (all, checks) = (Work::new(None, 1, each), Work::new(Some("auth:check"), 1, each));
        for action in [None, Some("auth:check"), Some("posts:list")] {
            assert!(all.limits(action));
            assert_eq!(checks.limits(action), action == Some("auth:check"), "{action:?}");
        }
    }
}
