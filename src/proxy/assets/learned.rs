//! What the gate knows of the files that a page will request.

use std::sync::{Arc, Weak};
use std::time::Instant;

use super::file::File;
use crate::nocobase::About;

/// What pages are told.
pub(super) struct Learned {
    /// When NocoBase's list was read.
    pub at: Instant,
    /// Another NocoBase has other files.
    pub about: Arc<About>,
    /// See `plugins`.
    pub text: Arc<str>,
    /// The dictionary of those files: the first of them. Dangling if there is none, or if it has been evicted.
    pub dictionary: Weak<File>,
}
