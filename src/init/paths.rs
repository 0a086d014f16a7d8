//! Where the configuration and its secrets are.

use std::path::{Path, PathBuf};

/// The files in the folder.
pub(super) struct Paths {
    pub(super) folder: PathBuf,
    pub(super) conf: PathBuf,
    pub(super) jwt_secret: PathBuf,
    pub(super) secret: PathBuf,
    pub(super) session_key: PathBuf,
}

impl Paths {
    /// In this folder.
    pub(super) fn of(folder: &Path) -> Self {
        let at = |name: &str| folder.join(name);
        Self {
            folder: folder.to_owned(),
            conf: at("wecom-gate.toml"),
            jwt_secret: at("app_key"),
            secret: at("secret"),
            session_key: at("session.key"),
        }
    }
}
