//! `[pages]`

use std::path::PathBuf;
use std::sync::Arc;

use crate::pages::Appearance;

/// `[pages]`
#[derive(Debug, Clone)]
pub(crate) struct Pages {
    /// Their appearance.
    pub(crate) appearance: Arc<Appearance>,
    /// While it exists, the app is closed for maintenance.
    pub(crate) maintenance_file: Option<PathBuf>,
}
