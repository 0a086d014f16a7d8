use std::sync::atomic::Ordering;
use std::time::Duration;

use super::*;
use crate::config::MaxRequests;

const S: Duration = Duration::from_secs(1);

fn limiter(limit: usize) -> Arc<NodeLimiter> {
    Arc::new(NodeLimiter::new(MaxRequests::Fixed(limit), None))
}

fn user(id: u64) -> Turn {
    Turn { class: Class::In, who: Who::User(id) }
}

fn newcomer(id: u64) -> Turn {
    Turn { class: Class::New, who: Who::User(id) }
}

/// Waits in a separate task, and is added to `order` when it gets its slot.
fn waits(
    limiter: &Arc<NodeLimiter>,
    turn: Turn,
    order: &Arc<parking_lot::Mutex<Vec<Turn>>>,
) -> tokio::task::JoinHandle<Result<Permit, NoPlace>> {
    let (limiter, order) = (limiter.clone(), order.clone());
    tokio::spawn(async move {
        let permit = limiter.enter(turn).await;
        order.lock().push(turn);
        permit
    })
}

async fn queued(limiter: &NodeLimiter, many: usize) {
    while limiter.queued() != many {
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn no_more_than_the_limit_at_once_and_signed_in_users_go_first() {
    let limiter = limiter(2);
    let order = Arc::default();
    let (one, two) = (limiter.enter(user(1)).await.unwrap(), limiter.enter(user(2)).await.unwrap());
    let new = waits(&limiter, newcomer(3), &order);
    queued(&limiter, 1).await;
    let inside = waits(&limiter, user(4), &order);
    queued(&limiter, 2).await;
    assert!(!limiter.has_room());
    drop(one);
    let four = inside.await.unwrap().unwrap();
    assert_eq!(*order.lock(), [user(4)]);
    drop((two, four));
    let three = new.await.unwrap().unwrap();
    assert_eq!((limiter.in_use(), limiter.queued()), (1, 0));
    drop(three);
    assert_eq!(limiter.in_use(), 0);
}

#[tokio::test(start_paused = true)]
async fn waiting_requests_time_out_before_their_users_give_up() {
    let limiter = limiter(1);
    let _held = limiter.enter(user(1)).await.unwrap();
    let began = tokio::time::Instant::now();
    assert_eq!(limiter.enter(user(2)).await.err(), Some(NoPlace::Crowded));
    assert_eq!((began.elapsed().as_secs(), limiter.queued()), (3, 0));
}

/// A sign-in waits longer than others: its member's code cannot be used again.
#[tokio::test(start_paused = true)]
async fn a_sign_in_waits_longer() {
    let limiter = limiter(1);
    let _held = limiter.enter(user(1)).await.unwrap();
    for class in [Class::SignIn, Class::In] {
        let began = tokio::time::Instant::now();
        assert_eq!(limiter.enter(Turn::of_call(class)).await.err(), Some(NoPlace::Crowded));
        assert_eq!((began.elapsed().as_secs(), limiter.queued()), (8, 0));
    }
}

/// Newcomers and sign-ins leave a place to signed-in users, who get it at once even where others wait.
#[tokio::test(start_paused = true)]
async fn a_place_is_kept_for_signed_in_users() {
    let limiter = limiter(16);
    let mut held = Vec::new();
    for id in 0..15 {
        held.push(limiter.enter(newcomer(id)).await.unwrap());
    }
    let order = Arc::default();
    let waiting = [
        waits(&limiter, newcomer(20), &order),
        waits(&limiter, Turn { class: Class::SignIn, who: Who::Call(u64::MAX) }, &order),
    ];
    queued(&limiter, 2).await;
    let began = tokio::time::Instant::now();
    let one = limiter.enter(user(30)).await.unwrap();
    assert_eq!((limiter.in_use(), limiter.queued()), (16, 2));
    assert!(began.elapsed().is_zero());
    drop(one);
    tokio::task::yield_now().await;
    assert_eq!((limiter.in_use(), limiter.queued()), (15, 2), "it is kept again");
    held.clear();
    for other in waiting {
        drop(other.await.unwrap().unwrap());
    }
    // The member whose code is spent was first.
    assert_eq!(order.lock().last(), Some(&newcomer(20)));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_gets_no_place() {
    let limiter = limiter(1);
    let order = Arc::default();
    let held = limiter.enter(user(1)).await.unwrap();
    let leaves = waits(&limiter, user(2), &order);
    queued(&limiter, 1).await;
    leaves.abort();
    queued(&limiter, 0).await;
    drop(held);
    assert_eq!((limiter.in_use(), order.lock().len()), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn what_ends_something_never_waits() {
    let limiter = limiter(1);
    let _held = limiter.enter(user(1)).await.unwrap();
    limiter.set_silent(true);
    let urgent = limiter.enter(Turn::of_call(Class::Urgent)).await.unwrap();
    assert_eq!(limiter.in_use(), 1);
    drop(urgent);
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_at_once_when_the_node_stops_responding() {
    let limiter = limiter(1);
    let order = Arc::default();
    let _held = limiter.enter(user(1)).await.unwrap();
    let waiting = waits(&limiter, user(2), &order);
    queued(&limiter, 1).await;
    let began = tokio::time::Instant::now();
    limiter.set_silent(true);
    assert_eq!(waiting.await.unwrap().err(), Some(NoPlace::Away));
    assert_eq!(limiter.enter(user(3)).await.err(), Some(NoPlace::Away));
    assert!(began.elapsed().is_zero());
    limiter.set_silent(false);
    limiter.set_limit(MaxRequests::Unbounded);
    assert!(limiter.enter(user(3)).await.is_ok());
}

/// Real time: the duration of requests is measured with the machine's clock.
#[tokio::test]
async fn a_wait_that_would_be_too_long_is_refused_at_once() {
    let limiter = limiter(1);
    for _ in 0..9 {
        let permit = limiter.enter(user(1)).await.unwrap();
        tokio::time::sleep(S / 25).await;
        permit.responded("/api/users:list");
    }
    let held = limiter.enter(user(1)).await.unwrap();
    let order = Arc::default();
    let all: Vec<_> = (2..600).map(|id| waits(&limiter, newcomer(id), &order)).collect();
    while order.lock().is_empty() {
        tokio::task::yield_now().await;
    }
    // About 112 of them fit into four and a half seconds, at 40 ms each.
    let waiting = limiter.queued();
    assert!((10..=120).contains(&waiting), "{waiting}");
    assert_eq!(limiter.in_use(), 1);
    drop(held);
    all.iter().for_each(tokio::task::JoinHandle::abort);
}

#[tokio::test]
async fn a_request_that_was_given_up_keeps_nocobase_busy_for_a_while() {
    let limiter = limiter(1);
    for _ in 0..9 {
        let permit = limiter.enter(user(1)).await.unwrap();
        tokio::time::sleep(S / 25).await;
        permit.responded("/api/users:list");
    }
    limiter.set_limit(MaxRequests::Fixed(4));
    let given_up = limiter.enter(user(1)).await.unwrap().sent();
    let never_sent = limiter.enter(user(1)).await.unwrap();
    drop((given_up, never_sent));
    assert_eq!(limiter.in_use(), 1);
    while limiter.in_use() > 0 {
        tokio::time::sleep(S / 100).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_place_is_lost_among_many() {
    let limiter = limiter(3);
    let most = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let all = (0..64).map(|id| {
        let (limiter, most) = (limiter.clone(), most.clone());
        tokio::spawn(async move {
            for round in 0..50 {
                let turn = if (id + round) % 3 == 0 { newcomer(id) } else { user(id) };
                let entered = limiter.enter(turn);
                if round % 7 == 0 {
                    // Some leave the queue.
                    let _ = tokio::time::timeout(Duration::from_micros(id), entered).await;
                } else if let Ok(permit) = entered.await {
                    most.fetch_max(limiter.in_use(), Ordering::Relaxed);
                    tokio::task::yield_now().await;
                    drop(permit);
                }
            }
        })
    });
    for task in all.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assert_eq!((limiter.in_use(), limiter.queued()), (0, 0));
    assert_eq!(most.load(Ordering::Relaxed), 3);
}
