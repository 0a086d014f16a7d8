//! A circuit breaker and a rate limiter for the rechecks of members. Pure: time and randomness are arguments.

use std::time::{Duration, Instant};

/// First pause after a failure; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Longest pause, to which up to half is added at random.
const MAX_PAUSE: Duration = Duration::from_secs(40);
/// A probe that has not ended after this time no longer counts.
const MAX_PROBE: Duration = Duration::from_secs(60);
/// Consecutive failures that open the breaker; a single one says little about WeCom as a whole.
const FEW: u32 = 3;
/// Interval of log lines while the breaker is open.
const LINE_EVERY: Duration = Duration::from_secs(60);
/// Calls that may be made at once before the rate limit applies.
const BURST: u32 = 4;

/// The outcome of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CallOutcome {
    /// WeCom has responded.
    Answered,
    /// It is overloaded, limits the rate, or cannot be reached: more calls would make it worse.
    Overloaded,
    /// It has failed in another way, which may concern this call only.
    Failed,
}

/// Permission to make one call.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ticket {
    /// The number of the opening that it probes.
    probe: Option<u64>,
}

/// A change that the operator has to know.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum News {
    /// From now on only probes.
    Began,
    /// WeCom still fails; for this long so far.
    GoesOn(Duration),
    /// Calls are made again, after this long.
    Ended(Duration),
}

/// Stops calls while they fail, and lets a single one through from time to time as a probe.
#[derive(Debug, Default)]
pub(super) struct Breaker {
    /// Consecutive failures, while it is closed.
    failures: u32,
    openings: u64,
    open: Option<Open>,
    /// When it was last logged, and whether that was about the current opening.
    line: Option<(Instant, bool)>,
}

#[derive(Debug)]
struct Open {
    since: Instant,
    /// No probe before this time.
    until: Instant,
    /// The latest pause.
    pause: Duration,
}

impl Breaker {
    fn line_due(&mut self, now: Instant) -> bool {
        let due = self.line.is_none_or(|(at, _)| now.saturating_duration_since(at) >= LINE_EVERY);
        if due {
            self.line = Some((now, true));
        }
        due
    }

    pub(super) fn is_open(&self) -> bool {
        self.open.is_some()
    }

    /// May a call be made now?
    pub(super) fn allows(&self, now: Instant) -> bool {
        self.open.as_ref().is_none_or(|open| now >= open.until)
    }

    /// Begins a call, if one may be made. While the breaker is open, only one at a time: the probe.
    pub(super) fn begin(&mut self, now: Instant) -> Option<Ticket> {
        match &mut self.open {
            None => Some(Ticket { probe: None }),
            Some(open) if now >= open.until => {
                open.until = now + MAX_PROBE;
                Some(Ticket { probe: Some(self.openings) })
            }
            Some(_) => None,
        }
    }

    /// The call has ended. `chance`: random; lengthens a pause by up to half.
    #[must_use]
    pub(super) fn end(
        &mut self,
        ticket: &Ticket,
        outcome: CallOutcome,
        now: Instant,
        chance: u8,
    ) -> Option<News> {
        let random = |pause: Duration| pause + pause.mul_f64(f64::from(chance) / 512.0);
        match (&mut self.open, ticket.probe) {
            (None, _) => {
                self.failures = if outcome == CallOutcome::Answered { 0 } else { self.failures + 1 };
                let opens = outcome == CallOutcome::Overloaded || self.failures >= FEW;
                if opens {
                    self.openings += 1;
                    self.failures = 0;
                    let until = now + random(FIRST_PAUSE);
                    self.open = Some(Open { since: now, until, pause: FIRST_PAUSE });
                    // One that opens repeatedly is logged once a minute too.
                    self.line = self.line.map(|(at, _)| (at, false));
                    return self.line_due(now).then_some(News::Began);
                }
                None
            }
            (Some(open), Some(probe)) if probe == self.openings => {
                let lasted = now.saturating_duration_since(open.since);
                if outcome == CallOutcome::Answered {
                    self.open = None;
                    let logged = self.line.is_some_and(|(_, about_it)| about_it);
                    return logged.then_some(News::Ended(lasted));
                }
                open.pause = (open.pause * 2).min(MAX_PAUSE);
                open.until = now + random(open.pause);
                self.line_due(now).then_some(News::GoesOn(lasted))
            }
            // Begun before the breaker opened.
            (Some(_), _) => None,
        }
    }
}

/// An even rate.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When the next call would be due without a burst.
    next: Option<Instant>,
}

impl Pace {
    /// How long the next call has to wait if calls are `gap` apart.
    pub(super) fn wait(&mut self, now: Instant, gap: Duration) -> Duration {
        let next = self.next.map_or(now, |next| next.max(now));
        self.next = Some(next + gap);
        next.saturating_duration_since(now).saturating_sub(gap * BURST)
    }

    /// The waiting calls will not be made any more.
    pub(super) fn forget(&mut self) {
        self.next = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A simulated period: asked every 100 ms, WeCom responds with `outcome`. Returns the number of calls in each minute, and the
    /// news.
    fn run(minutes: u64, outcome: impl Fn(Duration) -> CallOutcome) -> (Vec<u32>, Vec<(u64, News)>) {
        let (mut breaker, start) = (Breaker::default(), Instant::now());
        let (mut calls, mut news) = (Vec::new(), Vec::new());
        for step in 0..minutes * 600 {
            let passed = Duration::from_millis(step * 100);
            if step % 600 == 0 {
                calls.push(0);
            }
            if let Some(ticket) = breaker.begin(start + passed) {
                *calls.last_mut().unwrap() += 1;
                let ended = breaker.end(&ticket, outcome(passed), start + passed, 255);
                news.extend(ended.map(|news| (passed.as_secs(), news)));
            }
        }
        (calls, news)
    }

    #[test]
    fn while_wecom_limits_the_rate_there_is_one_probe_at_a_time_and_each_pause_is_longer() {
        let limited = |passed: Duration| match passed.as_secs() {
            60..270 => CallOutcome::Overloaded,
            _ => CallOutcome::Answered,
        };
        let (calls, news) = run(7, limited);
        assert_eq!(calls[0], 600);
        assert!(calls[1] <= 5 && calls[2..4].iter().all(|calls| *calls <= 2), "{calls:?}");
        assert_eq!(calls[6], 600);
        assert_eq!(news.first(), Some(&(60, News::Began)));
        assert!(matches!(news.last(), Some((270..=330, News::Ended(_)))), "{news:?}");
        let lines: Vec<u64> = news.iter().map(|(at, _)| *at).collect();
        assert!(lines.windows(2).skip(1).all(|two| two[1] - two[0] >= 20) && news.len() <= 5, "{news:?}");
    }

    #[test]
    fn a_single_failure_opens_nothing_and_three_in_a_row_do() {
        let mut breaker = Breaker::default();
        let now = Instant::now();
        let mut end = |outcome| {
            let ticket = breaker.begin(now).unwrap();
            breaker.end(&ticket, outcome, now, 0)
        };
        for outcome in [
            CallOutcome::Failed,
            CallOutcome::Failed,
            CallOutcome::Answered,
            CallOutcome::Failed,
            CallOutcome::Failed,
        ] {
            assert_eq!(end(outcome), None);
        }
        assert_eq!(end(CallOutcome::Failed), Some(News::Began));
        assert!(!breaker.allows(now) && breaker.begin(now).is_none());
        let probe = breaker.begin(now + FIRST_PAUSE).unwrap();
        assert!(breaker.begin(now + FIRST_PAUSE * 2).is_none(), "the probe is alone");
        assert_eq!(
            breaker.end(&Ticket { probe: None }, CallOutcome::Answered, now, 0),
            None,
            "a call from before does not count"
        );
        assert!(matches!(breaker.end(&probe, CallOutcome::Answered, now, 0), Some(News::Ended(_))));
        assert!(breaker.allows(now));
    }

    #[test]
    fn what_is_due_at_once_is_spread_and_a_few_go_at_once() {
        let (mut pace, now, gap) = (Pace::default(), Instant::now(), Duration::from_millis(180));
        let waits: Vec<Duration> = (0..5000).map(|_| pace.wait(now, gap)).collect();
        assert!(waits[..5].iter().all(Duration::is_zero), "{:?}", &waits[..5]);
        assert_eq!(waits[4999], gap * 4995);
        assert!(waits[5..].windows(2).all(|two| two[1] - two[0] == gap));
        pace.forget();
        assert!(pace.wait(now, gap).is_zero());
    }
}

#[cfg(test)]
mod pauses;
