//! Why the simulator does not start, or does not do what a test asks for.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::data::DataError;

/// Why the simulator did not do what it was asked to do.
#[derive(Debug, Error)]
pub enum SimError {
    /// There is no such company, app, member etc.
    #[error("{0}")]
    Unknown(&'static str),
    /// The data contradicts itself.
    #[error(transparent)]
    Data(#[from] DataError),
    /// It is not possible to listen on this address.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// The HTTP client that sends events cannot be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// Standard output is closed.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}
