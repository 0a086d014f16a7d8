use proptest::prelude::*;

use super::*;

fn all_of(kind: usize, count: u32, mean: f64) -> [Responses; KINDS] {
    let mut all = [Responses::default(); KINDS];
    all[kind] = Responses { count, seconds: mean * f64::from(count) };
    all
}

/// The limit after a NocoBase that processes `capacity` at once, each in `seconds`, has been saturated for this many windows.
fn crowded(limit: &mut AdaptiveLimit, capacity: f64, seconds: f64, windows: usize) -> f64 {
    for _ in 0..windows {
        let mean = seconds * (limit.limit / capacity).max(1.0);
        limit.observe(&all_of(1, 50, mean), true);
    }
    limit.limit
}

#[test]
fn it_finds_the_capacity() {
    for capacity in [20.0, 50.0, 100.0, 400.0, 1000.0] {
        let mut limit = AdaptiveLimit::new();
        let soon = crowded(&mut limit, capacity, 0.2, 16);
        let later = crowded(&mut limit, capacity, 0.2, 1000);
        assert!(soon >= 0.75 * capacity, "{capacity}: {soon} too slowly");
        for found in [soon, later] {
            assert!(found <= 1.9 * capacity, "{capacity}: {found} too many");
        }
        assert!(later >= 0.95 * capacity, "{capacity}: {later} too few");
    }
}

#[test]
fn it_shrinks_when_nocobase_becomes_slower_and_grows_when_it_recovers() {
    let mut limit = AdaptiveLimit::new();
    crowded(&mut limit, 200.0, 0.1, 60);
    let less = crowded(&mut limit, 40.0, 0.1, 40);
    assert!((30.0..80.0).contains(&less), "{less}");
    let more = crowded(&mut limit, 200.0, 0.1, 60);
    assert!(more >= 180.0, "{more}");
}

#[test]
fn a_nocobase_that_is_slower_for_good_is_no_overload_for_ever() {
    let mut limit = AdaptiveLimit::new();
    crowded(&mut limit, 100.0, 0.05, 60);
    // Ten times slower whatever the limit is.
    let after = crowded(&mut limit, 100.0, 0.5, 300);
    assert!(after >= 80.0, "{after}");
}

#[test]
fn without_a_crowd_and_where_all_is_quick_nothing_shrinks() {
    let mut limit = AdaptiveLimit::new();
    for i in 0..1000 {
        limit.observe(&all_of(1, 50, if i % 7 == 0 { 2.0 } else { 0.05 }), false);
    }
    assert_eq!(limit.now(), 16);
    for i in 0..1000 {
        limit.observe(&all_of(2, 50, if i % 7 == 0 { 0.024 } else { 0.001 }), true);
    }
    assert_eq!(limit.now(), 1024);
}

#[test]
fn another_mix_of_requests_is_no_overload() {
    let mut limit = AdaptiveLimit::new();
    limit.observe(&all_of(1, 50, 0.05), false);
    limit.observe(&all_of(2, 50, 3.0), false);
    for i in 0..100 {
        limit.observe(&all_of(1 + i % 2, 50, if i % 2 == 0 { 0.05 } else { 3.0 }), true);
    }
    assert_eq!(limit.now(), 1024);
}

proptest! {
    #[test]
    fn it_stays_in_its_bounds(steps in proptest::collection::vec((0..KINDS, 0u32..500, 0.0f64..30.0, any::<bool>()), 0..200)) {
        let mut limit = AdaptiveLimit::new();
        for (kind, count, mean, full) in steps {
            limit.observe(&all_of(kind, count, mean), full);
            prop_assert!((8..=1024).contains(&limit.now()));
        }
    }
}
