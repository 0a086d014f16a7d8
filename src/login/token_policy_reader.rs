//! Reads NocoBase's token policy in the background, and notices when NocoBase refuses a token as too old.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::sessions::Sessions;
use crate::error::FailureWithCause;

impl Sessions {
    /// Asks NocoBase for its token policy in the background, when the first session is seen.
    pub(super) fn learn_token_policy(self: &Arc<Self>) {
        if !self.token_policy.asked.swap(true, Ordering::Relaxed) {
            let sessions = self.clone();
            tokio::spawn(async move { sessions.read_token_policy().await });
        }
    }

    async fn read_token_policy(&self) {
        match self.nocobase.token_expiration().await {
            Ok(Some(expiration)) => {
                if self.token_policy.learn(expiration) {
                    self.cache.forget_tokens();
                }
                tracing::debug!(
                    event = "token_policy",
                    seconds = expiration.as_secs(),
                    "how long NocoBase accepts a token before it must be renewed"
                );
            }
            // The service account may not see the policy, which docs/install.md does not require: it shows when NocoBase refuses
            // a token as too old.
            Ok(None) => {}
            Err(failure) => {
                FailureWithCause::logged(failure);
                self.token_policy.asked.store(false, Ordering::Relaxed);
            }
        }
    }

    /// NocoBase refused a token of this age as too old.
    pub(crate) fn token_was_too_old(self: &Arc<Self>, age: Duration) {
        if self.token_policy.too_old(age) {
            self.cache.forget_tokens();
            tracing::warn!(
                event = "token_policy",
                seconds = age.as_secs(),
                "NocoBase's token policy refuses tokens of this age; from now on they are renewed more often"
            );
            self.token_policy.asked.store(false, Ordering::Relaxed);
            self.learn_token_policy();
        }
    }
}
