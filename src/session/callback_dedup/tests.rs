use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const STATE: &str = "0abcdefghijklmnopqrstuvwxyz01234";

fn callback() -> Callback<'static> {
    Callback { code: "CODE", state: STATE, cookie: b"sealed" }
}
fn later(secs: u64) -> UnixMillis {
    NOW.plus(Duration::from_secs(secs))
}

/// Callbacks whose result is the number of the run.
struct Counter {
    callbacks: CallbackDedup<usize>,
    runs: Arc<AtomicUsize>,
}

impl Counter {
    fn new() -> Self {
        Counter { callbacks: CallbackDedup::new(), runs: Arc::default() }
    }
    async fn run(&self, callback: Callback<'_>, now: UnixMillis) -> Result<usize, CallbackRefused> {
        let runs = Arc::clone(&self.runs);
        let work = async move {
            let run = runs.fetch_add(1, Ordering::SeqCst) + 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
            run
        };
        self.callbacks.once(callback, now, work).await
    }
    fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

#[tokio::test]
async fn the_same_callback_at_once_or_within_a_minute_has_one_outcome() {
    let c = Counter::new();
    let (a, b) = tokio::join!(c.run(callback(), NOW), c.run(callback(), NOW));
    assert_eq!((a, b, c.runs()), (Ok(1), Ok(1), 1));
    assert_eq!(c.run(callback(), later(59)).await, Ok(1));
}

#[tokio::test]
async fn r19_state_replayed() {
    for other in [
        Callback { code: "OTHER", ..callback() },
        Callback { cookie: b"another browser's", ..callback() },
        Callback { code: "", ..callback() },
    ] {
        let c = Counter::new();
        assert_eq!(c.run(callback(), NOW).await, Ok(1));
        assert_eq!(c.run(other, later(1)).await, Err(CallbackRefused::Replayed));
        assert_eq!(c.run(callback(), later(2)).await, Ok(1), "the first one's outcome is untouched");
        assert_eq!(c.run(callback(), later(60)).await, Err(CallbackRefused::Replayed), "after a minute");
        assert_eq!(c.run(callback(), later(599)).await, Err(CallbackRefused::Replayed));
        assert_eq!(c.runs(), 1);
    }
}

#[tokio::test]
async fn r18_outcomes_are_keyed_by_everything_that_made_them() {
    let c = Counter::new();
    assert_eq!(c.run(callback(), NOW).await, Ok(1));
    let other = Callback { state: "1abcdefghijklmnopqrstuvwxyz01234", ..callback() };
    assert_eq!(c.run(other, NOW).await, Ok(2), "same code and cookie, other state");
}

#[test]
fn r18_parts_of_the_key_cannot_shift_into_each_other() {
    let keys =
        [key(&[b"ab", b"c"]), key(&[b"a", b"bc"]), key(&[b"abc"]), key(&[b"abc", b""]), key(&[b"", b"abc"])];
    for (i, a) in keys.iter().enumerate() {
        assert!(keys.iter().skip(i + 1).all(|b| a != b), "{i}");
    }
}

#[tokio::test]
async fn r23_the_work_continues_when_the_browser_disconnects() {
    let c = Counter::new();
    let first = tokio::time::timeout(Duration::from_millis(1), c.run(callback(), NOW)).await;
    assert!(first.is_err(), "broken off");
    assert_eq!(c.run(callback(), later(1)).await, Ok(1), "the second request gets the first one's outcome");
    assert_eq!(c.runs(), 1);
}

#[tokio::test]
async fn a_panic_in_the_task_is_a_failure_and_no_panic_of_the_caller() {
    let callbacks: CallbackDedup<usize> = CallbackDedup::new();
    let done = callbacks.once(callback(), NOW, async { panic!("a defect") }).await;
    assert_eq!(done, Err(CallbackRefused::Died));
    assert_eq!(Failure::from(CallbackRefused::Died), Failure::Internal);
    assert_eq!(Failure::from(CallbackRefused::Replayed), Failure::FlowMissing);
}

#[test]
fn r27_debug_shows_nothing() {
    assert_eq!(
        format!("{:?} {:?}", callback(), CallbackDedup::<usize>::new()),
        "Callback(..) CallbackDedup(..)"
    );
}
