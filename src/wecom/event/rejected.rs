//! Why a callback is rejected.

use std::fmt;

use crate::error::Failure;

/// `event_aes_key` is not 43 characters of base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("event_aes_key must be 43 letters and digits")]
pub struct BadAesKey;

/// Not from WeCom, or malformed. The reason is for the log; the sender always gets the same response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RejectedEvent {
    reason: &'static str,
}

impl RejectedEvent {
    pub(super) const fn new(reason: &'static str) -> Self {
        Self { reason }
    }
    /// The same for every reason (R12).
    pub fn failure(&self) -> Failure {
        Failure::BadRequest
    }
    /// For the log only.
    pub fn reason(&self) -> &'static str {
        self.reason
    }
}

impl fmt::Display for RejectedEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason)
    }
}
impl std::error::Error for RejectedEvent {}
