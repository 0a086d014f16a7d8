//! What becomes available again after a minute.

use std::time::Duration;

use super::*;

fn throttle(per_minute: u32) -> Throttle {
    Throttle {
        born: Instant::now(),
        starts: Rate::new(per_minute),
        rejected: Rate::new(per_minute),
        forms: Rate::new(per_minute),
        links: Links::new(),
        at_once: Arc::new(Semaphore::new(4)),
        shares: Arc::new(Shares::new(4)),
        logged_at: AtomicU64::new(0),
    }
}

#[test]
fn r17_after_a_minute_an_address_may_as_much_again() {
    let (throttle, client, now) = (throttle(3), IpAddr::from([10, 0, 0, 1]), Instant::now());
    let next = now + WINDOW + Duration::from_secs(1);
    for at in [now, next] {
        for _ in 0..3 {
            assert!(throttle.start(client, at).is_ok() && throttle.form(client, at));
            throttle.callback(client, at).unwrap().keep();
        }
        assert_eq!(throttle.start(client, at), Err(Failure::TooManyRequests));
        assert_eq!(throttle.callback(client, at).err(), Some(Failure::TooManyRequests));
        assert!(!throttle.form(client, at));
    }
    // A third of a minute gives a third of it.
    let third = next + WINDOW / 3 + Duration::from_millis(1);
    assert!(throttle.start(client, third).is_ok());
    assert!(throttle.start(client, third).is_err());
}

#[test]
fn r17_of_four_places_one_address_has_one() {
    let (throttle, now) = (throttle(3), Instant::now());
    let held = throttle.slot(IpAddr::from([10, 0, 0, 1]), now).unwrap();
    assert_eq!(throttle.slot(IpAddr::from([10, 0, 0, 1]), now).err(), Some(Failure::TooManyRequests));
    assert!(throttle.slot(IpAddr::from([10, 0, 0, 2]), now).is_ok());
    drop(held);
    assert!(throttle.slot(IpAddr::from([10, 0, 0, 1]), now).is_ok());
}

#[test]
fn r33_clients_of_unknown_address_share_one_limit_with_no_known_one() {
    let all = ["::", "0.0.0.0", "::ffff:0.0.0.0"].map(|text| network(text.parse().unwrap()));
    assert!(all.iter().all(|one| *one == all[0]));
    assert_ne!(network("::1".parse().unwrap()), all[0]);
    assert_eq!(network("2001:db8:1:2:3::4".parse().unwrap()), "2001:db8:1:2::".parse::<IpAddr>().unwrap());
    assert_eq!(network("192.0.2.1".parse().unwrap()), "192.0.2.1".parse::<IpAddr>().unwrap());
}
