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
    /// The same, because the connection broke while WeCom was asked whose code it is: whether that is spent nobody knows.
    CodeLost(Failure),
}
