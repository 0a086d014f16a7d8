//! Why the simulator does not start, or does not do what a test asks of it.

use std::io;
use std::net::SocketAddr;

use thiserror::Error;

use crate::data::DataError;

/// Why the simulator did not do what it was asked to do.
#[derive(Debug, Error)]
pub enum SimError {
    /// There is no such company, app, member or the like.
    #[error("{0}")]
    Unknown(&'static str),
    /// The data contradicts itself.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The address cannot be listened on.
    #[error("cannot listen on {0}: {1}")]
    Bind(SocketAddr, io::Error),
    /// The HTTP client that sends events cannot be built.
    #[error("HTTP client: {0}")]
    Client(#[from] reqwest::Error),
    /// Standard output is closed.
    #[error("cannot write: {0}")]
    Output(#[from] io::Error),
}
