//! R34: limits hold under concurrency, also those that no single client reaches. Two hundred simultaneous requests.
//! Sign-ins: `sign_in_floods`; events: `events`; what nodes share: `redis`.

use std::time::{Duration, Instant};

use nocobase_standin::NocoBase;
use serde_json::json;

use crate::support::raw::{SECRET, Setup, gate_with, get, send_raw};

const MANY: usize = 200;
const STYLE: &str = "Content-Type: text/css\r\n";
/// How long a file is considered fresh, and one that could not be cached is not requested again.
const FRESH: Duration = Duration::from_secs(5);

/// However many requests arrive at once, NocoBase gets one: for a new file, for one to revalidate, and for one that turns out not
/// to be cacheable. Requests for that one are then forwarded.
#[tokio::test(flavor = "multi_thread")]
async fn r34_two_hundred_requests_for_a_file_at_once_are_one_fetch() {
    let (upstream, setup, gate) = gate_with(|s| s.set("upstream.max_requests", 0)).await;
    let member = setup.visitor();
    let rush = async |path: &'static str| {
        let mut all = tokio::task::JoinSet::new();
        for _ in 0..MANY {
            let (to, lines) = (gate.http, member.cookie_line());
            all.spawn(async move { send_raw(to, get(path, &lines)).await.body() });
        }
        all.join_all().await
    };
    // One request, and one more for each time the response has become stale meanwhile.
    let once = |questions: usize, began: Instant| {
        assert!(
            questions > 0 && questions <= 1 + began.elapsed().div_duration_f32(FRESH) as usize,
            "{questions}"
        );
    };
    let own = |path: &str| format!("own:{path}");
    let fetches = |path: &str| upstream.recorded().own.iter().filter(|r| r.target() == path).count();
    let path = "/global.css";
    let forwarded = || upstream.recorded().requests.iter().filter(|r| r.target() == path).count();
    upstream.set_response(&own(path), "200 OK", STYLE, "one {}");
    let began = Instant::now();
    assert_eq!(rush(path).await, vec!["one {}"; MANY]);
    once(fetches(path), began);
    assert_eq!(forwarded(), 0);
    // No longer cacheable: requests must not be sent to NocoBase one after the other.
    upstream.set_response(&own(path), "200 OK", "Content-Type: text/html\r\n", "POISON");
    upstream.set_response(path, "404 Not Found", "", "GONE");
    tokio::time::sleep(FRESH + FRESH / 20).await;
    let (before, began) = (fetches(path), Instant::now());
    assert_eq!(rush(path).await, vec!["GONE"; MANY]);
    once(fetches(path) - before, began);
    assert_eq!(forwarded(), MANY);
    // One that never existed.
    let other = "/browser-checker.js";
    upstream.set_response(&own(other), "404 Not Found", STYLE, "POISON");
    upstream.set_response(other, "404 Not Found", "", "NONE");
    let began = Instant::now();
    assert_eq!(rush(other).await, vec!["NONE"; MANY]);
    once(fetches(other), began);
}

/// Concurrency limit before NocoBase: however many users come, it never has more requests at once, the gate's own included.
#[tokio::test(flavor = "multi_thread")]
async fn r34_two_hundred_people_at_once_find_as_many_places_as_there_are() {
    const PLACES: usize = 5;
    let nocobase = NocoBase::start_with(SECRET).await;
    for id in (1..=MANY as u64).map(Setup::user_of).chain([1]) {
        nocobase.user_with_id(id, json!({}));
    }
    let setup = Setup::new(nocobase.address).set("upstream.max_requests", i64::try_from(PLACES).unwrap());
    let gate = setup.start().await;
    nocobase.capacity(10 * PLACES, Duration::from_millis(20));
    let mut all = tokio::task::JoinSet::new();
    for number in 1..=MANY as u64 {
        let (to, lines) = (gate.http, setup.visitor_number(number).lines());
        all.spawn(async move { send_raw(to, get("/api/orders:list", &lines)).await.status() });
    }
    let statuses = all.join_all().await;
    // A request that would have waited too long gets 503.
    assert!(statuses.iter().all(|status| [200, 503].contains(status)), "{statuses:?}");
    let done = nocobase.done();
    assert!(statuses.contains(&200) && done.most_at_once <= PLACES, "{done:?} {statuses:?}");
}
