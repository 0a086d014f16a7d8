//! How a sign-in ended.

use crate::error::Failure;
use crate::session::Session;

/// How a sign-in ended: what a second presentation of the same callback gets too.
#[derive(Debug, Clone)]
pub(crate) enum Finished {
    /// Signed in.
    SignedIn(Box<Session>),
    /// The member has to agree first.
    NeedsConsent,
    /// Not signed in.
    Failed(Failure),
    /// The same, because the connection broke during the call that uses the code: it is unknown whether the code has been used.
    CodeLost(Failure),
}
