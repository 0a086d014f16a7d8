//! What the gate knows of the files that a page will request.

use std::sync::Arc;
use std::time::Instant;

use crate::nocobase::About;

/// What pages are told.
pub(super) struct Learned {
    /// When NocoBase's list was read.
    pub at: Instant,
    /// Another NocoBase has other files.
    pub about: Arc<About>,
    /// See `plugins`.
    pub text: Arc<str>,
}
