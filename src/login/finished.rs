//! How a sign-in ended.

use crate::error::Failure;
use crate::session::{PendingLink, Session};

/// How a sign-in ended, which is also the result of a repeated callback.
#[derive(Debug, Clone)]
pub(crate) enum Finished {
    /// Signed in.
    SignedIn(Box<Session>),
    /// The member has to consent first.
    NeedsConsent,
    /// Not signed in.
    Failed(Failure),
    /// The same, because nobody in NocoBase matches; this member may show which user is theirs.
    Unmatched(Failure, Box<PendingLink>),
    /// NocoBase does not take account and password; its words.
    PasswordRejected(String),
    /// The same, because the connection broke during the call that uses the code: it is unknown whether the code has been used.
    CodeLost(Failure),
}
