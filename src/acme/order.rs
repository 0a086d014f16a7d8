//! One order, from the account to the certificate in its file.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use instant_acme::{
    AuthorizationStatus, ChallengeType, Identifier, NewOrder, Order, OrderStatus, RetryPolicy,
};

use super::account;
use super::challenges::Challenges;
use super::clock::now;
use super::error::AcmeError;
use super::files;
use crate::certificate::{self, Leaf};
use crate::config::{Acme, CertificateFiles};
use crate::shared::Shared;

/// How long the authority may take to validate the challenges, and to issue the certificate.
const POLL: RetryPolicy = RetryPolicy::new()
    .initial_delay(Duration::from_millis(500))
    .backoff(1.5)
    .timeout(Duration::from_secs(120));

/// How the authority validates that a name is served by this gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// HTTP-01, on port 80.
    Http,
    /// TLS-ALPN-01, on port 443.
    Tls,
}

impl Proof {
    /// The usual one, and after each failure the next one, as far as there are listeners for them. There is always a TLS
    /// listener.
    pub(crate) fn choose(has_http: bool, failures: usize) -> Proof {
        if has_http && failures.is_multiple_of(2) { Proof::Http } else { Proof::Tls }
    }

    fn kind(self) -> ChallengeType {
        match self {
            Proof::Http => ChallengeType::Http01,
            Proof::Tls => ChallengeType::TlsAlpn01,
        }
    }

    /// The name in RFC 8555.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Proof::Http => "http-01",
            Proof::Tls => "tls-alpn-01",
        }
    }
}

/// Orders a certificate for all names and writes it to its file. During the order, `challenges` has what the authority requests.
/// A failed order leaves nothing behind.
///
/// # Errors
/// The reason why there is none; the file is unchanged.
pub(super) async fn order(
    acme: &Acme,
    challenges: &Arc<Challenges>,
    proof: Proof,
    shared: Option<&Shared>,
) -> Result<(), AcmeError> {
    let failed = AcmeError::authority;
    let folder = acme.folder();
    files::make_folder(&folder)?;
    let account = account::account(acme, &folder).await?;
    let names: Vec<Identifier> = acme.domains.iter().map(|name| Identifier::Dns(name.clone())).collect();
    let order = account.new_order(&NewOrder::new(&names)).await;
    let mut order = order.map_err(|error| account::order_refused(error, &folder))?;
    let mut pending = Vec::new();
    let mut published = Vec::new();
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.map_err(failed("an authorization"))?;
        if authorization.status == AuthorizationStatus::Valid {
            continue;
        }
        let domain = authorization.identifier().to_string();
        let Some(mut challenge) = authorization.challenge(proof.kind()) else {
            let why = format!("the authority offers no {} challenge for it", proof.name());
            return Err(AcmeError::Challenge { domain, why });
        };
        let key_authorization = challenge.key_authorization();
        pending.push(match proof {
            Proof::Http => {
                if let Some(shared) = shared {
                    shared.publish_challenge(&challenge.token, key_authorization.as_str()).await;
                    published.push(challenge.token.clone());
                }
                challenges.begin_http(&challenge.token, key_authorization.as_str())
            }
            Proof::Tls => challenges.begin_tls(&domain, key_authorization.digest().as_ref())?,
        });
        challenge.set_ready().await.map_err(failed("a challenge"))?;
    }
    let status = order.poll_ready(&POLL).await;
    drop(pending);
    if let Some(shared) = shared {
        for token in &published {
            shared.end_challenge(token).await;
        }
    }
    match status {
        Ok(OrderStatus::Ready) => {}
        Ok(_) => return Err(refusal(&mut order).await),
        // An invalid order may have its own error, which is less specific than the challenge's.
        Err(error) => {
            return Err(match order.state().status {
                OrderStatus::Invalid => refusal(&mut order).await,
                _ => failed("the challenges")(error),
            });
        }
    }
    let key = order.finalize().await.map_err(failed("the request for the certificate"))?;
    let chain = order.poll_certificate(&POLL).await.map_err(failed("the certificate"))?;
    let content = format!("{}\n{key}", chain.trim_end());
    let file = acme.files().cert;
    files::write(&file, content.as_bytes(), |new| check(new, &acme.domains, now()).map(drop))
}

/// Why the order has become invalid: the authority's errors about the challenges.
async fn refusal(order: &mut Order) -> AcmeError {
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let Ok(mut authorization) = authorization else { continue };
        if authorization.refresh().await.is_err() {
            continue;
        }
        let domain = authorization.identifier().to_string();
        if let Some(problem) = authorization.challenges.iter().find_map(|c| c.error.as_ref()) {
            return AcmeError::Challenge { domain, why: problem.to_string() };
        }
    }
    AcmeError::Authority { step: "the challenges", why: "the order has become invalid".into() }
}

/// `now`: seconds since 1970.
pub(super) fn check(file: &Path, domains: &[String], now: i64) -> Result<Leaf, AcmeError> {
    let files = CertificateFiles::new(file, file);
    let read = certificate::read(&files);
    let leaf = read.map_err(|(_, _, problem)| AcmeError::Unusable(problem.to_string()))?.leaf;
    if let Some(missing) = domains.iter().find(|name| !leaf.names.contains(name)) {
        return Err(AcmeError::Unusable(format!("is not for {missing}")));
    }
    if leaf.not_after <= now {
        return Err(AcmeError::Unusable("has expired".into()));
    }
    Ok(leaf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_proofs_take_turns_after_failures() {
        let of = |has_http| [0, 1, 2, 3].map(|failures| Proof::choose(has_http, failures).name());
        assert_eq!(of(true), ["http-01", "tls-alpn-01", "http-01", "tls-alpn-01"]);
        assert_eq!(of(false), ["tls-alpn-01"; 4]);
    }

    #[test]
    fn what_is_no_certificate_for_all_names_is_not_taken() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("certificate.pem");
        let made = rcgen::generate_simple_self_signed(vec!["a.test".into(), "b.test".into()]).unwrap();
        let (cert, key) = (made.cert.pem(), made.signing_key.serialize_pem());
        let other = rcgen::generate_simple_self_signed(vec!["a.test".into()]).unwrap();
        let names = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let look = |content: &str, wanted: &[&str], now| {
            std::fs::write(&file, content).unwrap();
            check(&file, &names(wanted), now).map(drop).map_err(|e| e.to_string())
        };
        let whole = format!("{cert}{key}");
        assert_eq!(look(&whole, &["b.test", "a.test"], 1), Ok(()));
        for (content, wanted, now, words) in [
            (&whole, "c.test", 1, "is not for c.test"),
            (&whole, "a.test", i64::MAX, "has expired"),
            (&format!("{cert}{}", other.signing_key.serialize_pem()), "a.test", 1, "does not belong"),
            (&key, "a.test", 1, "holds no certificate"),
        ] {
            let why = look(content, &[wanted], now).unwrap_err();
            assert!(why.contains(words), "{why}");
        }
    }
}
