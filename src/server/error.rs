//! Why the gate does not start: each error names the configuration key and the remedy.

use std::net::SocketAddr;

use thiserror::Error;

use super::certificates::TlsError;

/// Why the gate does not start.
#[derive(Debug, Error)]
pub enum StartError {
    /// Cannot listen.
    #[error("{key}: cannot listen on {address}: {why}")]
    Listen {
        /// Configuration key.
        key: &'static str,
        /// As configured.
        address: SocketAddr,
        /// The system's error, with the usual remedy.
        why: String,
    },
    /// The certificate cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Something that the configuration describes cannot be built.
    #[error("{0}")]
    Build(String),
}
