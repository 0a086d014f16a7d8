//! One step of the limit at a time.

use super::*;

/// Ten responses of one kind with this mean.
fn ten(mean: f64) -> [Responses; KINDS] {
    let mut all = [Responses::default(); KINDS];
    all[3] = Responses { count: 10, seconds: 10.0 * mean };
    all
}

fn near(value: f64, expected: f64) {
    assert!((value - expected).abs() < 1e-6, "{value}, not {expected}");
}

/// With a usual time of a tenth of a second, this limit, and the initial search completed.
fn at(limit: f64) -> AdaptiveLimit {
    let mut usual = [None; KINDS];
    usual[3] = Some(0.1);
    AdaptiveLimit { limit, usual, seeking: false }
}

#[test]
fn each_slowdown_has_its_step() {
    for (limit, mean, next) in [
        (160.0, 0.1, 170.0),
        (160.0, 0.124, 170.0),
        (160.0, 0.126, 160.0),
        (160.0, 0.159, 160.0),
        (160.0, 0.18, 160.0 * 1.6 / 1.8),
        (160.0, 0.5, 128.0),
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
fn the_first_search_ends_with_the_first_slowdown() {
    let mut adaptive = AdaptiveLimit::new();
    adaptive.observe(&ten(0.1), true);
    near(adaptive.limit, 24.0);
    adaptive.observe(&ten(0.104), true);
    near(adaptive.limit, 36.0);
    adaptive.observe(&ten(0.11), true);
    near(adaptive.limit, 38.25);
    adaptive.observe(&ten(0.1), true);
    near(adaptive.limit, 38.25 + 38.25 / 16.0);
}

#[test]
fn what_is_usual_is_learnt_fast_downwards_and_slowly_upwards() {
    for (limit, mean, full, usual) in [
        (160.0, 0.05, true, 0.085),
        (160.0, 0.05, false, 0.085),
        (160.0, 0.2, false, 0.105),
        (160.0, 0.2, true, 0.10002),
        // The limit cannot be the reason any more.
        (LEAST, 0.2, true, 0.105),
    ] {
        let mut adaptive = at(limit);
        adaptive.observe(&ten(mean), full);
        near(adaptive.usual[3].unwrap(), usual);
        assert!(adaptive.usual[2].is_none(), "nothing is known of other kinds");
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
