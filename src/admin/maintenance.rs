//! `wecom-gate maintenance`: creates and removes the file that closes the app (`pages.maintenance_file`).

use std::fs::{self, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::error::AdminError;
use crate::config::Config;

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Maintenance {
    /// Close the app; the page shows this text.
    On(Option<String>),
    /// Open it again.
    Off,
    /// Report whether it is closed.
    Status,
}

/// Does it; returns the text to print. The gates on this machine follow within a second.
///
/// # Errors
/// The file cannot be created or removed, or the configuration names none.
pub fn maintenance(config: &Config, request: &Maintenance) -> Result<String, AdminError> {
    let Some(file) = config.pages.maintenance_file.as_deref() else {
        let problem = "pages.maintenance_file is empty: name a file that the gate can see";
        return Err(AdminError::Usage(problem.into()));
    };
    let path = file.display();
    let failed = |e: std::io::Error| AdminError::Failed(format!("{path}: {e}"));
    match request {
        Maintenance::On(text) => {
            write(file, text.as_deref().unwrap_or_default()).map_err(failed)?;
            Ok(format!("closed for maintenance: {path} is there; on other machines of the gate, do the same"))
        }
        Maintenance::Off => match fs::remove_file(file) {
            Ok(()) => Ok(format!("open again: {path} is removed")),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(format!("was open: {path} is not there")),
            Err(e) => Err(failed(e)),
        },
        Maintenance::Status => match fs::read(file) {
            Ok(text) => {
                let text = String::from_utf8_lossy(&text);
                Ok(format!("closed for maintenance: {path} is there\n{}", text.trim()).trim_end().to_owned())
            }
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(format!("open: {path} is not there")),
            Err(e) => Err(failed(e)),
        },
    }
}

/// The gate's user must be able to read it, whatever the caller's umask.
fn write(file: &Path, text: &str) -> std::io::Result<()> {
    if let Some(folder) = file.parent().filter(|folder| !folder.exists()) {
        fs::create_dir_all(folder)?;
        fs::set_permissions(folder, Permissions::from_mode(0o755))?;
    }
    fs::write(file, format!("{text}\n"))?;
    fs::set_permissions(file, Permissions::from_mode(0o644))
}
