use super::*;
use crate::nocobase::concurrency::limit::KINDS;
use crate::nocobase::concurrency::queue::Who;
use crate::nocobase::concurrency::window::RESPONSES;

const TURN: Turn = Turn { class: Class::In, who: Who::User(1) };
const MS: Duration = Duration::from_millis(1);

/// A limiter old enough for the limit to be adapted.
fn old(limit: MaxRequests) -> Arc<NodeLimiter> {
    let mut limiter = NodeLimiter::new(limit, None);
    limiter.began -= Duration::from_secs(10);
    Arc::new(limiter)
}

fn mean(limiter: &NodeLimiter) -> u64 {
    limiter.window.mean_us.load(Ordering::Relaxed)
}

#[tokio::test]
async fn there_is_capacity_below_the_limit_at_a_node_that_responds() {
    let limiter = old(MaxRequests::Fixed(2));
    let one = limiter.enter(TURN).await.unwrap();
    assert!(limiter.has_room());
    let two = limiter.enter(TURN).await.unwrap();
    assert!(!limiter.has_room(), "it is full");
    drop((one, two));
    assert!(limiter.has_room());
    limiter.set_silent(true);
    assert!(!limiter.has_room() && limiter.is_away());
    limiter.set_silent(false);
    assert!(limiter.has_room() && !limiter.is_away());
}

#[tokio::test(start_paused = true)]
async fn where_requests_wait_there_is_no_capacity_and_a_recovered_node_refuses_none() {
    let limiter = old(MaxRequests::Fixed(1));
    let held = limiter.enter(TURN).await.unwrap();
    let other = limiter.clone();
    let waiting = tokio::spawn(async move { other.enter(TURN).await });
    while limiter.queued() == 0 {
        tokio::task::yield_now().await;
    }
    limiter.set_silent(false);
    assert_eq!(limiter.queued(), 1);
    limiter.limit.store(5, Ordering::SeqCst);
    assert!(!limiter.has_room(), "the one who waits is first");
    drop(held);
    assert!(waiting.await.unwrap().is_ok());
}

/// Requests that a hanging node has accepted hold no slot, whatever their outcome; those sent since do.
#[tokio::test]
async fn at_a_silent_node_every_place_is_free() {
    let limiter = old(MaxRequests::Fixed(2));
    let (one, two) = (limiter.enter(TURN).await.unwrap().sent(), limiter.enter(TURN).await.unwrap().sent());
    limiter.set_silent(true);
    assert_eq!((limiter.in_use(), limiter.silent_for().is_some()), (0, true));
    limiter.set_silent(true);
    limiter.set_silent(false);
    let (three, four) = (limiter.enter(TURN).await.unwrap(), limiter.enter(TURN).await.unwrap());
    let (before, looked_at) = (limiter.silence(), limiter.window.responses.load(Ordering::Relaxed));
    drop(one);
    two.responded("/api/users:list");
    assert_eq!((limiter.in_use(), limiter.has_room()), (2, false));
    assert!(limiter.silence() < before, "it responds");
    assert_eq!(
        limiter.window.responses.load(Ordering::Relaxed),
        looked_at,
        "how long that took says nothing"
    );
    three.responded("/api/users:list");
    four.unused();
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn a_limit_is_fixed_found_or_none() {
    let limiter = old(MaxRequests::Fixed(3));
    assert_eq!(limiter.limit(), 3);
    limiter.set_limit(MaxRequests::Auto);
    assert_eq!(
        (limiter.limit(), limiter.state.lock().adaptive.is_some()),
        (AdaptiveLimit::new().now(), true)
    );
    limiter.set_limit(MaxRequests::Fixed(7));
    assert_eq!((limiter.limit(), limiter.state.lock().adaptive.is_none()), (7, true));
    limiter.set_limit(MaxRequests::Unbounded);
    assert_eq!(limiter.limit(), usize::MAX);
}

#[test]
fn the_mean_is_taken_of_a_window_with_enough_responses() {
    let limiter = old(MaxRequests::Fixed(3));
    for n in 1..RESPONSES {
        limiter.responded(0, false, 10 * MS, Instant::now());
        assert_eq!(mean(&limiter), 0, "{n} are too few");
    }
    limiter.responded(1, false, 90 * MS, Instant::now());
    assert_eq!(mean(&limiter), 20_000, "of all kinds");
    // The next window begins empty.
    for _ in 0..20 {
        limiter.responded(0, false, 40 * MS, Instant::now());
    }
    assert_eq!(mean(&limiter), 20_000, "it has only begun");
    limiter.window.began.store(0, Ordering::Relaxed);
    limiter.responded(0, false, 40 * MS, Instant::now());
    assert_eq!(mean(&limiter), 40_000);
}

#[test]
fn without_a_limit_nothing_is_counted() {
    let limiter = old(MaxRequests::Unbounded);
    for _ in 0..20 {
        limiter.responded(0, false, 10 * MS, Instant::now());
    }
    assert_eq!((mean(&limiter), limiter.window.responses.load(Ordering::Relaxed)), (0, 0));
}

#[test]
fn a_wait_is_reckoned_in_rounds_of_the_limit() {
    let limiter = old(MaxRequests::Fixed(2));
    assert_eq!(limiter.time_for(5, Class::In), Duration::ZERO, "nothing is known yet");
    limiter.window.mean_us.store(40_000, Ordering::Relaxed);
    for (requests, ms) in [(0, 0), (1, 40), (2, 40), (3, 80), (5, 120)] {
        assert_eq!(limiter.time_for(requests, Class::In), ms * MS, "{requests}");
    }
}

#[test]
fn silence_ends_with_a_response() {
    let limiter = old(MaxRequests::Unbounded);
    assert!(limiter.silence() >= Duration::from_secs(10));
    let before = Instant::now();
    limiter.responded(0, false, MS, Instant::now());
    let silence = limiter.silence();
    // The resolution is a microsecond.
    assert!(silence <= before.elapsed() + MS, "{silence:?}");
}

#[tokio::test]
async fn what_nocobase_never_got_is_given_back_at_once() {
    let limiter = old(MaxRequests::Fixed(2));
    limiter.window.mean_us.store(1_000_000, Ordering::Relaxed);
    limiter.enter(TURN).await.unwrap().sent().unused();
    assert_eq!(limiter.in_use(), 0);
    drop(limiter.enter(TURN).await.unwrap());
    assert_eq!(limiter.in_use(), 0);
    drop(limiter.enter(TURN).await.unwrap().sent());
    assert_eq!(limiter.in_use(), 1, "it is at work anyway");
}

#[tokio::test(start_paused = true)]
async fn what_was_given_up_occupies_nocobase_for_two_seconds_at_most() {
    let limiter = old(MaxRequests::Fixed(2));
    limiter.window.mean_us.store(60_000_000, Ordering::Relaxed);
    drop(limiter.enter(TURN).await.unwrap().sent());
    tokio::time::sleep(Duration::from_millis(1900)).await;
    assert_eq!(limiter.in_use(), 1);
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(limiter.in_use(), 0);
}

#[test]
fn the_kind_of_a_request_is_its_action() {
    assert_eq!(kind("/api/users:list"), kind("/api/users:list/7/posts"));
    let actions = (0..200).map(|n| kind(&format!("/api/table{n}:list")));
    let kinds: std::collections::HashSet<usize> = actions.collect();
    assert!(kinds.len() > KINDS / 2, "{} of {KINDS}", kinds.len());
    assert!(kinds.iter().all(|kind| *kind < KINDS));
}

/// A limiter with an adaptive limit, with this many slots taken.
async fn crowded(places: usize) -> (Arc<NodeLimiter>, Vec<Permit>) {
    let limiter = old(MaxRequests::Auto);
    let mut held = Vec::new();
    for _ in 0..places {
        held.push(limiter.enter(TURN).await.unwrap());
    }
    (limiter, held)
}

/// Many responses of one kind, each after this time; the limit is adapted after the last.
fn window(limiter: &Arc<NodeLimiter>, each: Duration) {
    for _ in 1..RESPONSES {
        limiter.window.began.store(u64::MAX, Ordering::Relaxed);
        limiter.responded(0, false, each, Instant::now());
    }
    limiter.window.began.store(0, Ordering::Relaxed);
    limiter.responded(0, false, each, Instant::now());
}

/// The limit grows as long as requests wait, also without a new one since it was last adapted, and not otherwise.
#[tokio::test(start_paused = true)]
async fn a_limit_grows_while_requests_wait() {
    let first = AdaptiveLimit::new().now();
    let (limiter, held) = crowded(first).await;
    window(&limiter, MS);
    window(&limiter, MS);
    assert_eq!(limiter.limit(), first, "nobody has waited");
    let waiting: Vec<_> = (0..4 * first)
        .map(|_| {
            let limiter = limiter.clone();
            tokio::spawn(async move { limiter.enter(TURN).await.map(std::mem::forget).is_ok() })
        })
        .collect();
    while limiter.queued() < waiting.len() {
        tokio::task::yield_now().await;
    }
    window(&limiter, MS);
    let second = first * 3 / 2;
    assert_eq!((limiter.limit(), limiter.queued()), (second, waiting.len() - (second - first)));
    // Only requests since then show what that has changed.
    tokio::time::advance(10 * MS).await;
    window(&limiter, MS);
    assert_eq!(limiter.limit(), second * 3 / 2, "they wait still");
    drop((held, waiting));
}

/// Newcomers who have been queued before it was known how long it takes are told as soon as it is.
#[tokio::test(start_paused = true)]
async fn those_who_would_wait_too_long_are_told_once_that_is_known() {
    let limiter = old(MaxRequests::Fixed(1));
    let held = limiter.enter(TURN).await.unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for id in 0..20 {
        let (limiter, turn) = (limiter.clone(), Turn { class: Class::New, who: Who::User(id) });
        waiting.spawn(async move { limiter.enter(turn).await.err() });
    }
    while limiter.queued() < 20 {
        tokio::task::yield_now().await;
    }
    window(&limiter, 400 * MS);
    // Six of them get a place within two and three quarters of a second.
    assert_eq!(limiter.queued(), 6);
    for _ in 6..20 {
        assert_eq!(waiting.join_next().await.unwrap().unwrap(), Some(NoPlace::Crowded));
    }
    drop(held);
}

/// A request faster than 25 ms is not an overload; one that takes many times as long as before is.
#[tokio::test(start_paused = true)]
async fn a_limit_shrinks_where_the_same_takes_longer_and_not_below_what_is_quick() {
    for (before, after, shrinks) in [(1, 20, false), (50, 500, true), (900, 1500, true)] {
        let (limiter, held) = crowded(AdaptiveLimit::new().now()).await;
        window(&limiter, before * MS);
        limiter.window.was_full.store(true, Ordering::Relaxed);
        window(&limiter, after * MS);
        let (limit, first) = (limiter.limit(), held.len());
        assert_eq!(limit < first, shrinks, "{before} {after}: {limit}");
    }
}
