//! Why an administrator's command failed.

use crate::error::FailureWithCause;

/// Why it failed.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The options do not fit the configuration, or are ambiguous.
    #[error("{0}")]
    Usage(String),
    /// NocoBase refused, or did not respond; or there is no such member or session.
    #[error("{0}")]
    Failed(String),
}

impl From<FailureWithCause> for AdminError {
    fn from(failed: FailureWithCause) -> AdminError {
        let (label, cause) = (failed.failure.response().label, failed.cause);
        let call = cause.call.map(|call| format!("{call}: ")).unwrap_or_default();
        let fields = cause.fields.map(|fields| format!(" (fields {fields})")).unwrap_or_default();
        let remedy = cause.remedy.map(|remedy| format!("; {remedy}")).unwrap_or_default();
        let see = format!("docs/troubleshooting.md, {label}");
        AdminError::Failed(format!("NocoBase: {call}{}{fields}{remedy} ({see})", cause.reason))
    }
}
