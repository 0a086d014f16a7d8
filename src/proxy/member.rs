//! The member whose session a request belongs to.

use std::sync::Arc;

use crate::session::{CachedSession, Session};

/// The session behind a request.
pub(super) struct Member {
    /// From the cookie.
    pub session: Arc<Session>,
    /// What this node knows of it.
    pub seen: Arc<CachedSession>,
}
