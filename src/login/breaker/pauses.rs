//! How long the pauses are, and which calls count.

use super::*;

const S: Duration = Duration::from_secs(1);

#[test]
fn each_pause_is_twice_as_long_up_to_the_longest_and_up_to_half_more_at_random() {
    for (chance, pauses) in [(0, [5, 10, 20, 40, 40]), (128, [6, 12, 25, 50, 50])] {
        let (mut breaker, mut now) = (Breaker::default(), Instant::now());
        let ticket = breaker.begin(now).unwrap();
        assert_eq!(breaker.end(&ticket, CallOutcome::Overloaded, now, chance), Some(News::Began));
        for pause in pauses {
            assert!(!breaker.allows(now + pause * S - S / 10), "{pause}");
            now += (pause + 1) * S;
            assert!(breaker.allows(now), "{pause}");
            let probe = breaker.begin(now).unwrap();
            assert!(!breaker.allows(now) && breaker.begin(now).is_none(), "a probe is alone");
            let _ = breaker.end(&probe, CallOutcome::Overloaded, now, chance);
        }
    }
}

#[test]
fn a_probe_that_never_ends_makes_way_for_another_and_does_not_count_any_more() {
    let (mut breaker, now) = (Breaker::default(), Instant::now());
    let ticket = breaker.begin(now).unwrap();
    let _ = breaker.end(&ticket, CallOutcome::Overloaded, now, 0);
    let lost = breaker.begin(now + 5 * S).unwrap();
    assert!(breaker.begin(now + 64 * S).is_none());
    let next = breaker.begin(now + 65 * S).unwrap();
    assert_eq!(breaker.end(&next, CallOutcome::Answered, now + 66 * S, 0), Some(News::Ended(66 * S)));
    // It opens again: the probe of the previous opening does not count for this one.
    let ticket = breaker.begin(now + 67 * S).unwrap();
    assert_eq!(breaker.end(&ticket, CallOutcome::Overloaded, now + 67 * S, 0), Some(News::Began));
    assert_eq!(breaker.end(&lost, CallOutcome::Answered, now + 68 * S, 0), None);
    assert!(!breaker.allows(now + 68 * S));
}

#[test]
fn after_an_end_three_failures_are_needed_again() {
    let (mut breaker, now) = (Breaker::default(), Instant::now());
    let mut fails = |outcome, at| {
        let ticket = breaker.begin(at).unwrap();
        breaker.end(&ticket, outcome, at, 0)
    };
    assert_eq!(fails(CallOutcome::Failed, now), None);
    assert_eq!(fails(CallOutcome::Failed, now), None);
    assert_eq!(fails(CallOutcome::Failed, now), Some(News::Began));
    assert_eq!(fails(CallOutcome::Answered, now + 5 * S), Some(News::Ended(5 * S)));
    assert_eq!(fails(CallOutcome::Failed, now + 6 * S), None);
    assert_eq!(fails(CallOutcome::Failed, now + 6 * S), None);
    assert_eq!(fails(CallOutcome::Failed, now + 6 * S), None, "it opens, but there was a line a moment ago");
    assert!(!breaker.allows(now + 7 * S));
}

/// WeCom answers every probe and refuses the following calls.
#[test]
fn what_begins_and_ends_again_and_again_is_logged_once_a_minute() {
    let (mut breaker, now) = (Breaker::default(), Instant::now());
    let (mut began, mut ended) = (0, 0);
    for at in 0..180 {
        let Some(ticket) = breaker.begin(now + at * S) else { continue };
        let outcome = if ticket.probe.is_some() { CallOutcome::Answered } else { CallOutcome::Overloaded };
        match breaker.end(&ticket, outcome, now + at * S, 0) {
            Some(News::Began) => began += 1,
            Some(News::Ended(_)) => ended += 1,
            other => assert_eq!(other, None),
        }
    }
    assert_eq!((began, ended), (3, 3));
}

#[test]
fn what_continues_is_logged_once_a_minute() {
    let (mut breaker, now) = (Breaker::default(), Instant::now());
    let ticket = breaker.begin(now).unwrap();
    let _ = breaker.end(&ticket, CallOutcome::Overloaded, now, 0);
    let mut at = 0;
    let mut said = Vec::new();
    while at < 300 {
        at += 1;
        if let Some(probe) = breaker.begin(now + at * S)
            && let Some(news) = breaker.end(&probe, CallOutcome::Failed, now + at * S, 0)
        {
            said.push((at, news));
        }
    }
    // Probes are at 5, 15, 35, 75, 115, 155, ...
    let expected = [75, 155, 235].map(|at| (at, News::GoesOn(at * S)));
    assert_eq!(said, expected);
}

#[test]
fn a_pace_that_was_unused_for_a_while_begins_anew() {
    let (mut pace, now, gap) = (Pace::default(), Instant::now(), S);
    for _ in 0..7 {
        pace.wait(now, gap);
    }
    assert_eq!(pace.wait(now + S, gap), 2 * S);
    assert!((0..5).all(|_| pace.wait(now + 100 * S, gap).is_zero()));
    assert_eq!(pace.wait(now + 100 * S, gap), S);
}
