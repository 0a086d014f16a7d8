//! Who is an administrator, for a short time.

use std::future::Future;
use std::time::Duration;

/// Users who have a role of `access.admins`, or none, as NocoBase has said recently. A page load consists of a hundred requests.
pub(super) struct KnownAdmins(moka::future::Cache<u64, bool>);

impl KnownAdmins {
    const CAPACITY: u64 = 10_000;
    const TIME_TO_LIVE: Duration = Duration::from_secs(10);

    pub(super) fn new() -> KnownAdmins {
        let cache = moka::future::Cache::builder();
        KnownAdmins(cache.max_capacity(Self::CAPACITY).time_to_live(Self::TIME_TO_LIVE).build())
    }

    /// What is known of this user; otherwise `ask` is asked, once for all who wait.
    pub(super) async fn get(&self, user: u64, ask: impl Future<Output = bool>) -> bool {
        self.0.get_with(user, ask).await
    }
}
