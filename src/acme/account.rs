//! The account at the certificate authority: its key and URL, in a file beside the certificate.

use std::path::Path;

use instant_acme::{Account, AccountBuilder, AccountCredentials, NewAccount};

use super::error::AcmeError;
use super::files;
use super::http::Http;
use crate::config::Acme;

/// File name in the authority's folder.
const FILE: &str = "account.json";
/// The authority does not know the account (RFC 8555, 6.7).
const UNKNOWN: &str = "urn:ietf:params:acme:error:accountDoesNotExist";

const STEP: &str = "the authority's directory";

fn builder() -> Result<AccountBuilder, AcmeError> {
    Ok(Account::builder_with_http(Box::new(Http::new().map_err(AcmeError::authority(STEP))?)))
}

/// The account from the file; `None` if there is none, or if it cannot be used.
pub(super) async fn existing(folder: &Path) -> Result<Option<Account>, AcmeError> {
    let path = folder.join(FILE);
    let Some(text) = files::read(&path)? else { return Ok(None) };
    match serde_json::from_slice::<AccountCredentials>(&text) {
        Ok(credentials) => {
            let account = builder()?.from_credentials(credentials).await;
            account.map(Some).map_err(AcmeError::authority(STEP))
        }
        Err(error) => {
            tracing::warn!(event = "acme", file = %path.display(), %error,
                "the account's file cannot be used: a new account is made");
            Ok(None)
        }
    }
}

/// The account from the file, or a new one.
pub(super) async fn account(acme: &Acme, folder: &Path) -> Result<Account, AcmeError> {
    let path = folder.join(FILE);
    if let Some(account) = existing(folder).await? {
        return Ok(account);
    }
    let contact = acme.email.as_ref().map(|email| format!("mailto:{email}"));
    let contact: Vec<&str> = contact.iter().map(String::as_str).collect();
    let new = NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
    let made = builder()?.create(&new, acme.directory.to_string(), None).await;
    let (account, credentials) = made.map_err(AcmeError::authority("a new account"))?;
    let text = serde_json::to_vec(&credentials).map_err(|e| AcmeError::file(&path, e.into()))?;
    files::write(&path, &text, |_| Ok(()))?;
    Ok(account)
}

/// The error of a new order. If the authority no longer knows the account, the next order creates a new one.
pub(super) fn order_refused(error: instant_acme::Error, folder: &Path) -> AcmeError {
    if let instant_acme::Error::Api(problem) = &error
        && problem.r#type.as_deref() == Some(UNKNOWN)
    {
        let _ = std::fs::remove_file(folder.join(FILE));
    }
    AcmeError::authority("a new order")(error)
}
