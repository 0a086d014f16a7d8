//! Compares this machine's clock with those of the services it works with.

use std::time::{Duration, SystemTime};

use super::report::Verdict;
use crate::message::message;

/// More than the resolution of `Date` (a second) plus the time that a response takes.
const WARNING_SKEW: Duration = Duration::from_secs(30);
/// Tokens minted by the gate are valid for 30 minutes, and are replaced after 10.
const MAX_SKEW: Duration = Duration::from_secs(300);

/// One comparison: whose clock, its time, and ours when the response arrived.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub(super) who: String,
    pub(super) theirs: SystemTime,
    pub(super) ours: SystemTime,
}

impl Sample {
    /// The difference, and whether our clock is ahead.
    fn difference(&self) -> (Duration, bool) {
        match self.ours.duration_since(self.theirs) {
            Ok(d) => (d, true),
            Err(e) => (e.duration(), false),
        }
    }
}

/// All of them must agree.
pub(super) fn verdict(samples: &[Sample]) -> Verdict {
    let Some(worst) = samples.iter().max_by_key(|s| s.difference().0) else {
        return Verdict::skipped(message!("no response had a Date header to compare with"));
    };
    let (difference, ahead) = worst.difference();
    let who = samples.iter().map(|s| s.who.as_str()).collect::<Vec<_>>().join(", ");
    if difference < WARNING_SKEW {
        return Verdict::ok(message!("agrees with {who}", who));
    }
    let seconds = difference.as_secs();
    let who = &worst.who;
    let what = match ahead {
        true => message!("this machine is {seconds} s ahead of {who}", seconds, who),
        false => message!("this machine is {seconds} s behind {who}", seconds, who),
    };
    let remedy = message!(
        "switch on time synchronisation (timedatectl set-ntp true) on the machine whose clock is wrong"
    );
    if difference < MAX_SKEW {
        Verdict::warning("clock", what, remedy)
    } else {
        let what = message!("{what}: NocoBase will treat the gate's tokens as expired", what);
        Verdict::failed("clock", what, remedy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::report::StepOutcome;

    #[test]
    fn clocks_may_differ_a_little() {
        let ours = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let sample = |seconds: i64| {
            let by = Duration::from_secs(seconds.unsigned_abs());
            let theirs = if seconds < 0 { ours - by } else { ours + by };
            Sample { who: format!("other{seconds}"), theirs, ours }
        };
        for (offsets, want, words) in [
            (&[][..], StepOutcome::Skipped, "no response"),
            (&[0], StepOutcome::Ok, "other0"),
            (&[-2, 3], StepOutcome::Ok, "other-2, other3"),
            (&[29], StepOutcome::Ok, ""),
            (&[0, 30], StepOutcome::Warning, "30 s behind other30"),
            (&[-45, 0], StepOutcome::Warning, "45 s ahead of other-45"),
            (&[299], StepOutcome::Warning, ""),
            (&[300, 1], StepOutcome::Failed, "300 s behind"),
            (&[-86_400], StepOutcome::Failed, "expired"),
        ] {
            let samples: Vec<_> = offsets.iter().map(|o| sample(*o)).collect();
            let got = verdict(&samples);
            assert_eq!(got.outcome, want, "{offsets:?}");
            assert!(format!("{got:?}").contains(words), "{got:?}");
        }
    }
}
