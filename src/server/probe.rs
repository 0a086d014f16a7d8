//! Asks WeCom for an access token periodically, so that a wrong secret shows before a member is affected.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::proxy::CurrentGate;

/// Between two requests for the app's name and picture; also after one without a response.
const APP_CARD: Duration = Duration::from_secs(24 * 3600);
const NO_APP_CARD: Duration = Duration::from_secs(3600);

/// From the start to the first probe: sign-ins that begin at once have fetched a token by then.
const INITIAL_DELAY: Duration = Duration::from_secs(10);
/// While WeCom issues tokens; as long as there is one, no call is made.
const INTERVAL: Duration = Duration::from_secs(5 * 60);
/// After the first failure; and the longest pause. WeCom bans an address for an hour if it sends wrong secrets repeatedly.
const FIRST_RETRY: Duration = Duration::from_secs(60);
const MAX_PAUSE: Duration = Duration::from_secs(30 * 60);

/// Pause after this many consecutive failures: 5 min, or 1, 2, 4, 8, 16, 30 min.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => INTERVAL,
        n => FIRST_RETRY.saturating_mul(1 << n.saturating_sub(1).min(10)).min(MAX_PAUSE),
    }
}

/// Runs for ever. After a reload, the new gate asks.
pub(super) async fn probe_wecom(current: Arc<CurrentGate>) {
    let mut failures: u32 = 0;
    let mut next_card: Option<Instant> = None;
    tokio::time::sleep(INITIAL_DELAY).await;
    loop {
        let gate = current.now();
        failures = if gate.sign_ins.probe().await { 0 } else { failures.saturating_add(1) };
        if failures == 0 && next_card.is_none_or(|at| at <= Instant::now()) {
            let pause = if gate.learn_app_cards(false).await { APP_CARD } else { NO_APP_CARD };
            next_card = Instant::now().checked_add(pause);
        }
        drop(gate);
        tokio::time::sleep(pause(failures)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_wecom_refuses() {
        let minutes = |n| pause(n).as_secs() / 60;
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7, 99].map(minutes), [5, 1, 2, 4, 8, 16, 30, 30, 30]);
    }
}
