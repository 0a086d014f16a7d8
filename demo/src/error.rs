//! Why the demo does not start.

use std::path::PathBuf;

use thiserror::Error;

/// Why the demo does not start. Each error says where to look.
#[derive(Debug, Error)]
pub(crate) enum DemoError {
    /// A folder or a file cannot be written.
    #[error("{path}: {why}")]
    File {
        /// The folder or file.
        path: PathBuf,
        /// The error of the operating system.
        why: String,
    },
    /// NocoBase cannot be installed or started.
    #[error("NocoBase: {0}")]
    NocoBase(String),
    /// The simulator does not start.
    #[error("WeCom simulator: {0}")]
    Simulator(String),
    /// The gate does not start, or refuses its configuration.
    #[error("gate: {0}")]
    Gate(String),
    /// No TCP port is available.
    #[error("no free port: {0}")]
    Port(String),
}
