//! Why there is no certificate.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// Maximum length of the authority's text in an error, in characters.
const LONGEST: usize = 500;

/// Why an order has no certificate.
#[derive(Debug, Error)]
pub(crate) enum AcmeError {
    /// A file or folder in `listen.acme.cache`.
    #[error("{}: {source}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// The system's message.
        source: std::io::Error,
    },
    /// The authority cannot be reached, or refuses the request.
    #[error("{step}: {}", shortened(why))]
    Authority {
        /// The failed step.
        step: &'static str,
        /// The message of the authority or of the client library.
        why: String,
    },
    /// The authority could not validate that the name is served by this gate.
    #[error("{domain}: {}", shortened(why))]
    Challenge {
        /// The name.
        domain: String,
        /// The authority's message.
        why: String,
    },
    /// The received certificate is not for this key and these names.
    #[error("the certificate that came {0}")]
    Unusable(String),
}

impl AcmeError {
    pub(super) fn file(path: &Path, source: std::io::Error) -> AcmeError {
        AcmeError::File { path: path.to_owned(), source }
    }

    pub(super) fn authority(step: &'static str) -> impl FnOnce(instant_acme::Error) -> AcmeError {
        move |error| AcmeError::Authority { step, why: error.to_string() }
    }

    /// What an operator can do about it.
    pub(crate) fn remedy(&self) -> &'static str {
        match self {
            AcmeError::File { .. } => "let the gate's user write to listen.acme.cache, and nobody else",
            AcmeError::Authority { .. } => {
                "see that this machine reaches listen.acme.directory, and what the authority says"
            }
            AcmeError::Challenge { .. } => {
                "lead port 80 of this name to the gate's plain HTTP listener, or port 443 to its TLS listener (DNS, firewall)"
            }
            AcmeError::Unusable(_) => "this is the authority's mistake: the gate tries again",
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(LONGEST).collect()
}
