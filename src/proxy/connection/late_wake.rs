//! Keeps a request from losing an idle connection to NocoBase that Pingora hands to it.
//!
//! Pingora keeps each idle connection in an `Arc` behind a lock that the task watching it holds. A request that takes the connection
//! waits for the lock, and then needs to be the only owner. The watching task unlocks first, which wakes the request, and gives up its
//! share a moment later: on another thread, the request may come in between. Pingora then closes the connection and opens another.
//!
//! So while a request takes a connection it is woken late: after the task that wakes it has finished its turn.

use std::future::Future as _;
use std::pin::pin;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Waker};

/// Wakes a request, now or late.
#[derive(Default)]
pub(super) struct LateWake {
    /// The task that serves the request.
    task: OnceLock<Waker>,
    late: AtomicBool,
}

impl LateWake {
    /// Whether this waker is the one that is woken: of the first call.
    pub(super) fn is_of(&self, task: &Waker) -> bool {
        self.task.get_or_init(|| task.clone()).will_wake(task)
    }

    /// Whether to wake late from now on.
    pub(super) fn set(&self, late: bool) {
        self.late.store(late, Ordering::Release);
    }

    /// Wakes the task.
    pub(super) fn wake(&self) {
        let Some(task) = self.task.get() else { return };
        // The runtime wakes what yields when the current task has finished its turn. Outside of the runtime, and if that ever
        // changes, it wakes at once.
        if !self.late.load(Ordering::Acquire)
            || pin!(tokio::task::yield_now()).poll(&mut Context::from_waker(task)).is_ready()
        {
            task.wake_by_ref();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::sync::Arc;
    use std::task::Poll;
    use std::time::Duration;

    use tokio::sync::oneshot;

    use super::*;

    /// Whether a task is polled while the one that wakes it is still in its turn, with other threads that have nothing to do.
    #[expect(clippy::disallowed_methods, reason = "a turn that takes long")]
    async fn comes_in_between(late: bool) -> bool {
        let wake = Arc::new(LateWake::default());
        wake.set(late);
        let (woken, polled) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
        let (is_waiting, waits) = oneshot::channel();
        let waiting = tokio::spawn({
            let (wake, woken, polled) = (wake.clone(), woken.clone(), polled.clone());
            let mut is_waiting = Some(is_waiting);
            poll_fn(move |cx| {
                assert!(wake.is_of(cx.waker()));
                if let Some(is_waiting) = is_waiting.take() {
                    // The other task may go on before this poll is over, which must not count.
                    is_waiting.send(()).unwrap();
                    return Poll::Pending;
                }
                if !woken.load(Ordering::SeqCst) {
                    return Poll::Pending;
                }
                polled.store(true, Ordering::SeqCst);
                Poll::Ready(())
            })
        });
        waits.await.unwrap();
        let waking = tokio::spawn(async move {
            woken.store(true, Ordering::SeqCst);
            wake.wake();
            // The newest task waits for this thread; the one before it may be taken by another.
            tokio::spawn(async {});
            let patience = if late { 30 } else { 3000 };
            for _ in 0..patience {
                if polled.load(Ordering::SeqCst) {
                    return true;
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            false
        });
        waiting.await.unwrap();
        waking.await.unwrap()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 3)]
    async fn a_late_wake_waits_for_the_turn_of_the_task_that_wakes() {
        assert!(comes_in_between(false).await, "otherwise there is nothing to show");
        for _ in 0..3 {
            assert!(!comes_in_between(true).await);
        }
    }

    #[tokio::test]
    async fn a_late_wake_from_outside_of_the_runtime_is_not_lost() {
        let wake = Arc::new(LateWake::default());
        wake.set(true);
        let (from, mut polls) = (wake.clone(), 0);
        poll_fn(|cx| {
            polls += 1;
            if polls > 1 {
                return Poll::Ready(());
            }
            assert!(wake.is_of(cx.waker()));
            let from = from.clone();
            std::thread::spawn(move || from.wake());
            Poll::Pending
        })
        .await;
    }
}
