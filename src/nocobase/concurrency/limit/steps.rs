//! One step of the limit at a time.

use super::*;

/// So many responses of one kind with this mean.
fn some(count: u32, mean: f64) -> [Responses; KINDS] {
    let mut all = [Responses::default(); KINDS];
    all[3] = Responses { count, seconds: f64::from(count) * mean };
    all
}

fn ten(mean: f64) -> [Responses; KINDS] {
    some(10, mean)
}

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-6, "{value}, not {expected}");
}

/// With a usual time of a tenth of a second, this limit, which has proven itself, and nothing shrunk.
fn at(limit: f64) -> AdaptiveLimit {
    let mut kinds = [Kind::default(); KINDS];
    kinds[3] = Kind { seen: ENOUGH, recent: 0.1, usual: 0.1 };
    AdaptiveLimit { limit, kinds, proven: limit, decline: None, no_effect: false }
}

#[test]
fn each_slowdown_has_its_step() {
    for (limit, mean, next) in [
        (160.0, 0.1, 170.0),
        (160.0, 0.124, 170.0),
        (160.0, 0.126, 160.0),
        (160.0, 0.159, 160.0),
        (160.0, 0.18, 160.0 * 1.6 / 1.8),
        (160.0, 0.5, 112.0),
        // Whole numbers, within the bounds.
        (8.0, 0.1, 9.0),
        (8.5, 0.5, 8.0),
        (1020.0, 0.1, 1024.0),
    ] {
        let mut adaptive = at(limit);
        adaptive.observe(&ten(mean), true);
        near(adaptive.limit, next);
    }
}

#[test]
fn below_the_proven_limit_it_grows_by_factors_and_no_further() {
    for (limit, mean, next) in [
        (80.0, 0.1, 120.0),
        (80.0, 0.104, 120.0),
        // A slowdown that is seen already counts: the sum is never more than a quarter.
        (80.0, 0.11, 80.0 * 1.25 / 1.1),
        (80.0, 0.124, 85.0),
        (80.0, 0.13, 80.0),
        (120.0, 0.1, 160.0),
        (159.0, 0.1, 159.0 + 159.0 / 16.0),
    ] {
        let mut adaptive = at(160.0);
        adaptive.limit = limit;
        adaptive.observe(&ten(mean), true);
        near(adaptive.limit, next);
        near(adaptive.proven, if mean < 0.125 { next.max(160.0) } else { 120.0 });
    }
}

#[test]
fn what_is_expected_soon_is_the_proven_limit_or_twice_as_much_as_now() {
    for (limit, soon) in [(160.0, 160), (100.0, 160), (80.0, 160), (30.0, 60)] {
        let mut adaptive = at(160.0);
        adaptive.limit = limit;
        assert_eq!(adaptive.soon(), soon, "{limit}");
    }
    assert_eq!(AdaptiveLimit::new().soon(), 16, "nothing is known yet");
}

#[test]
fn the_first_search_ends_where_it_is_enough() {
    let mut adaptive = AdaptiveLimit::new();
    for (mean, limit) in [(0.1, 24.0), (0.1, 36.0), (0.11, 36.0 * 1.25 / 1.1), (0.14, 36.0 * 1.25 / 1.1)] {
        adaptive.observe(&some(64, 0.1), false);
        adaptive.observe(&some(1000, mean), true);
        near(adaptive.limit, limit);
        adaptive.kinds[3].usual = 0.1;
    }
    near(adaptive.proven, 1.5 * adaptive.limit);
}

/// One bad period costs less than a third, and two good ones make up for it.
#[test]
fn after_a_stall_it_is_back_in_two_steps() {
    let mut adaptive = at(160.0);
    adaptive.observe(&ten(8.0), true);
    near(adaptive.limit, 112.0);
    adaptive.observe(&ten(0.1), true);
    near(adaptive.limit, 160.0);
    adaptive.observe(&ten(0.1), true);
    near(adaptive.limit, 170.0);
}

#[test]
fn what_is_usual_is_learnt_fast_downwards_and_slowly_upwards() {
    let learns = |adaptive: &mut AdaptiveLimit, full: bool, recent: f64| {
        // So many that nothing before them counts.
        adaptive.observe(&some(u32::MAX / 2, recent), full);
        adaptive.kinds[3].usual
    };
    for (limit, recent, full, usual) in [
        (160.0, 0.05, true, 0.085),
        (160.0, 0.05, false, 0.085),
        (160.0, 0.2, false, 0.105),
        (160.0, 0.2, true, 0.10002),
        // The limit cannot be the reason any more.
        (MIN_LIMIT, 0.2, true, 0.105),
    ] {
        let mut adaptive = at(limit);
        near(learns(&mut adaptive, full, recent), usual);
        assert_eq!(adaptive.kinds[2].seen, 0, "nothing is known of other kinds");
    }
    let mut adaptive = at(160.0);
    adaptive.no_effect = true;
    near(learns(&mut adaptive, true, 0.2), 0.13);
}

/// Of a kind with few responses, single ones do not change much, and at first there is only their mean.
#[test]
fn few_responses_say_little() {
    let mut adaptive = at(160.0);
    adaptive.observe(&some(1, 0.01), true);
    assert!(adaptive.kinds[3].usual > 0.099, "{:?}", adaptive.kinds[3]);
    let mut kind = Kind::default();
    for mean in [0.1, 0.3, 0.2, 0.6] {
        kind.observe(1, mean, 0.0);
    }
    near(kind.usual, 0.3);
}

/// Shrinking does not help: the limit stays at about half, until what is usual has been learnt, and then it is where it was.
#[test]
fn where_shrinking_has_no_effect_it_ends() {
    let mut adaptive = at(160.0);
    let mut least = adaptive.limit;
    let mut periods = 0;
    while adaptive.limit < 160.0 || periods == 0 {
        adaptive.observe(&some(250, 0.3), true);
        least = least.min(adaptive.limit);
        periods += 1;
        assert!(periods < 20, "{adaptive:?}");
    }
    assert!((0.45 * 160.0..0.5 * 160.0).contains(&least), "{least}");
}

/// What becomes worse meanwhile is an overload still.
#[test]
fn where_shrinking_helps_it_goes_on() {
    let mut adaptive = at(160.0);
    let mut limit = 160.0 * 1.6 / 1.8;
    for mean in [0.18, 0.5, 0.4, 0.3] {
        adaptive.observe(&ten(mean), true);
        assert!((adaptive.limit - limit).abs() < 0.01 * limit, "{mean}: {adaptive:?}, not {limit}");
        assert!(!adaptive.no_effect);
        limit *= STEEPEST;
    }
}

#[test]
fn nothing_changes_without_a_crowd_or_a_response() {
    let mut adaptive = at(160.0);
    adaptive.observe(&ten(0.5), false);
    near(adaptive.limit, 160.0);
    adaptive.observe(&[Responses::default(); KINDS], true);
    near(adaptive.limit, 160.0);
}
