use std::time::Duration;

use super::*;

const S: u64 = 1_000_000_000;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn passes(rate: &Rate, client: &str, now: u64, tries: usize) -> usize {
    (0..tries).filter(|_| rate.take(ip(client), now).is_ok()).count()
}

#[test]
fn r17_as_many_at_once_and_again_over_the_next_minute() {
    let rate = Rate::new(60).unwrap();
    assert_eq!(passes(&rate, "10.0.0.1", 5 * S, 100), 60);
    assert_eq!(passes(&rate, "10.0.0.1", 5 * S + S / 2, 100), 0);
    assert_eq!(passes(&rate, "10.0.0.1", 15 * S, 100), 10);
    assert_eq!(passes(&rate, "10.0.0.1", 600 * S, 100), 60);
    assert_eq!(passes(&rate, "10.0.0.2", 5 * S, 100), 60, "another address has a measure of its own");
    // At an even rate, without end.
    assert!((0..1000).all(|i| passes(&rate, "10.0.0.3", i * S, 1) == 1));
}

fn throttle(bad_callbacks_per_minute: u32, sign_ins_at_once: usize) -> Throttle {
    Throttle {
        born: Instant::now(),
        starts: Rate::new(bad_callbacks_per_minute),
        rejected: Rate::new(bad_callbacks_per_minute),
        forms: Rate::new(FORMS_PER_MINUTE),
        links: Links::new(),
        at_once: Arc::new(Semaphore::new(sign_ins_at_once)),
        shares: Arc::new(Shares::new(sign_ins_at_once)),
        logged_at: AtomicU64::new(0),
    }
}

#[test]
fn r34_the_charge_of_an_accepted_callback_is_given_back_and_no_other() {
    let throttle = throttle(3, 1);
    let (client, now) = (ip("10.0.0.1"), Instant::now());
    for _ in 0..100 {
        drop(throttle.callback(client, now).unwrap());
    }
    let held: Vec<Charge> = (0..3).map(|_| throttle.callback(client, now).unwrap()).collect();
    assert!(throttle.callback(client, now).is_err(), "what is worked on counts");
    assert!(throttle.callback(ip("10.0.0.2"), now).is_ok());
    for charge in held.into_iter().skip(1) {
        charge.keep();
    }
    throttle.callback(client, now).unwrap().keep();
    assert!(throttle.callback(client, now).is_err(), "a rejected callback counts for a minute");
    // Given back late, it adds no more than was charged.
    let late = throttle.callback(ip("10.0.0.3"), now).unwrap();
    let later = now + Duration::from_secs(600);
    drop(late);
    let taken = (0..10).filter_map(|_| throttle.callback(ip("10.0.0.3"), later).ok()).collect::<Vec<_>>();
    assert_eq!(taken.len(), 3);
}

/// With 8 threads at once.
fn at_once<T: Send>(tries: usize, take: impl Fn() -> Option<T> + Sync) -> Vec<T> {
    let barrier = std::sync::Barrier::new(8);
    std::thread::scope(|scope| {
        let go = || {
            barrier.wait();
            (0..tries / 8).filter_map(|_| take()).collect::<Vec<_>>()
        };
        let all: Vec<_> = (0..8).map(|_| scope.spawn(go)).collect();
        all.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    })
}

#[test]
fn r34_of_two_hundred_at_once_as_many_pass_as_the_limit_allows() {
    for _ in 0..20 {
        let throttle = throttle(5, 20);
        let (client, now) = (ip("10.0.0.1"), Instant::now());
        assert_eq!(at_once(200, || throttle.callback(client, now).ok()).len(), 5);
        assert_eq!(at_once(200, || throttle.start(client, now).ok()).len(), 5);
        let first = at_once(200, || throttle.slot(client, now).ok());
        assert_eq!(first.len(), 5, "a share, not all");
        let others: Vec<_> =
            (2..=4).map(|i| at_once(200, || throttle.slot(ip(&format!("10.0.0.{i}")), now).ok())).collect();
        assert!(others.iter().all(|o| o.len() == 5));
        assert!(throttle.slot(ip("10.0.0.9"), now).is_err(), "all are taken");
        drop((first, others));
        assert!(throttle.shares.taken.lock().is_empty());
        assert_eq!(at_once(200, || throttle.slot(client, now).ok()).len(), 5);
    }
}

#[test]
fn r34_one_slot_goes_to_the_first_request() {
    let throttle = throttle(5, 1);
    let now = Instant::now();
    let held = throttle.slot(ip("10.0.0.1"), now).unwrap();
    assert!(throttle.slot(ip("10.0.0.2"), now).is_err());
    assert!(!throttle.shares.taken.lock().contains_key(&ip("10.0.0.2")));
    drop(held);
    assert!(throttle.slot(ip("10.0.0.2"), now).is_ok());
}

#[test]
fn r17_an_ipv6_network_is_one_address() {
    let rate = Rate::new(2).unwrap();
    assert_eq!(passes(&rate, "2001:db8:0:1::1", S, 1), 1);
    assert_eq!(passes(&rate, "2001:db8:0:1:ffff::2", S, 5), 1);
    assert_eq!(passes(&rate, "2001:db8:0:2::1", S, 5), 2);
    assert_eq!(network(ip("::ffff:10.0.0.1")), ip("10.0.0.1"));
}

#[test]
fn r17_one_line_per_minute_and_address() {
    let rate = Rate::new(1).unwrap();
    let line = |client, now| rate.take(ip(client), now).err().is_some_and(|over| over.first);
    assert_eq!(passes(&rate, "10.0.0.1", S, 1), 1);
    assert_eq!(passes(&rate, "10.0.0.2", S, 1), 1);
    assert!(line("10.0.0.1", 2 * S));
    assert!((0..100).all(|_| !line("10.0.0.1", 3 * S)));
    assert!(line("10.0.0.2", 3 * S));
    assert_eq!(passes(&rate, "10.0.0.1", 62 * S, 1), 1);
    assert!(line("10.0.0.1", 63 * S));
}

#[test]
fn r17_zero_is_no_bound() {
    assert!(Rate::new(0).is_none());
}

#[test]
fn r17_a_flood_of_addresses_uses_bounded_memory_and_hides_no_address() {
    let rate = Rate::new(3).unwrap();
    assert_eq!(passes(&rate, "10.0.0.1", S, 10), 3);
    for i in 0..200_000_u32 {
        let _ = rate.take(IpAddr::V4((0x0b00_0000 + i).into()), S);
        if i % 1000 == 0 {
            assert!(rate.take(ip("10.0.0.1"), S).is_err(), "forgotten after {i} others");
        }
    }
    rate.seen.run_pending_tasks();
    assert!(rate.seen.entry_count() <= ADDRESSES, "{}", rate.seen.entry_count());
}
