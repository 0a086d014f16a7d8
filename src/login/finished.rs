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
    /// The same, because no NocoBase user matches; this member may prove which user is theirs.
    Unmatched(Failure, Box<PendingLink>),
    /// NocoBase does not accept account and password; its message.
    PasswordRejected(String),
    /// The same, because the connection broke during the call that uses the code: it is unknown whether the code has been used.
    CodeLost(Failure),
}
