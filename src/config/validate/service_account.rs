//! How the gate signs in to a NocoBase application: with an API key, or as the user with this id.

use secrecy::SecretString;

use super::super::report::Report;
use super::super::types::ServiceAccount;

/// How the gate signs in to this section's application.
pub(super) fn service(
    section: &str,
    token: Result<Option<SecretString>, ()>,
    user: Option<u64>,
    report: &mut Report,
) -> Option<ServiceAccount> {
    let (token_key, user_key) = (format!("{section}.service_token"), format!("{section}.service_user"));
    match (token.ok()?, user) {
        (Some(token), None) => Some(ServiceAccount::Token(token)),
        (None, Some(0)) => {
            report.bad(&user_key, "0", "is not a user", "give the id of a NocoBase user, 1 or more");
            None
        }
        (None, Some(user)) => Some(ServiceAccount::User(user)),
        (Some(_), Some(_)) => {
            let problem = "is given together with service_token";
            report.error(&user_key, problem, "keep one of the two, leave out the other");
            None
        }
        (None, None) => {
            let remedy =
                format!("give an API key made in NocoBase, or the id of a NocoBase user as {user_key}");
            report.error(&token_key, "is missing", remedy);
            None
        }
    }
}
