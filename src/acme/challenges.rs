//! Pending challenges: HTTP-01 (the token that the authority requests, and the expected response: RFC 8555, 8.3) and TLS-ALPN-01
//! (the name to which it connects, and the expected certificate: RFC 8737).

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;
use rustls::sign::CertifiedKey;

use super::error::AcmeError;
use crate::certificate;

/// Prefix of the challenges' paths.
const PREFIX: &str = "/.well-known/acme-challenge/";
/// ALPN protocol of connections for a challenge.
pub(crate) const PROTOCOL: &[u8] = b"acme-tls/1";

/// The pending challenges of this process.
#[derive(Debug, Default)]
pub(crate) struct Challenges {
    /// Key authorizations, by token.
    http: RwLock<HashMap<String, String>>,
    /// Certificates, by name in lower case.
    tls: RwLock<HashMap<String, Arc<CertifiedKey>>>,
}

/// Identifies a challenge.
#[derive(Debug)]
enum Key {
    Token(String),
    Name(String),
}

/// A pending challenge; it ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Pending {
    challenges: Arc<Challenges>,
    key: Key,
}

impl Challenges {
    /// Can this path (canonical) be one of a challenge?
    pub(crate) fn is_path(path: &str) -> bool {
        path.starts_with(PREFIX)
    }

    /// The key authorization for this path (canonical), if its challenge is pending. It is not secret: it proves knowledge of the
    /// account key, which cannot be derived from it.
    pub(crate) fn response(&self, path: &str) -> Option<String> {
        let token = path.strip_prefix(PREFIX)?;
        self.http.read().get(token).cloned()
    }

    /// The token in this path (canonical), if its syntax is valid (RFC 8555, 8.3: base64url, 128 bits or more).
    pub(crate) fn token(path: &str) -> Option<&str> {
        let is_one = |token: &&str| {
            (22..=128).contains(&token.len())
                && token.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
        };
        path.strip_prefix(PREFIX).filter(is_one)
    }

    /// The certificate for a connection to this name, if a challenge is pending. It is self-signed and of no other use.
    pub(crate) fn certificate(&self, name: Option<&str>) -> Option<Arc<CertifiedKey>> {
        self.tls.read().get(&name?.to_ascii_lowercase()).cloned()
    }

    /// Responds to HTTP-01 from now on.
    pub(crate) fn begin_http(self: &Arc<Self>, token: &str, key_authorization: &str) -> Pending {
        self.http.write().insert(token.to_owned(), key_authorization.to_owned());
        Pending { challenges: self.clone(), key: Key::Token(token.to_owned()) }
    }

    /// Responds to TLS-ALPN-01 from now on. `digest`: SHA-256 of the key authorization.
    pub(crate) fn begin_tls(self: &Arc<Self>, name: &str, digest: &[u8]) -> Result<Pending, AcmeError> {
        let name = name.to_ascii_lowercase();
        let made = certificate::for_challenge(&name, digest);
        let key =
            made.map_err(|problem| AcmeError::Challenge { domain: name.clone(), why: problem.to_string() })?;
        self.tls.write().insert(name.clone(), key);
        Ok(Pending { challenges: self.clone(), key: Key::Name(name) })
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        match &self.key {
            Key::Token(token) => drop(self.challenges.http.write().remove(token)),
            Key::Name(name) => drop(self.challenges.tls.write().remove(name)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r45_only_a_pending_token_has_a_response() {
        let challenges = Arc::new(Challenges::default());
        let path = |token: &str| format!("{PREFIX}{token}");
        assert_eq!(challenges.response(&path("a")), None);
        let pending = challenges.begin_http("a", "a.thumb");
        let other = challenges.begin_http("b", "b.thumb");
        assert_eq!(challenges.response(&path("a")).as_deref(), Some("a.thumb"));
        for wrong in ["", "A", "a/", "a/b", "./a", "..", "ab", "a%00"] {
            assert_eq!(challenges.response(&path(wrong)), None, "{wrong}");
        }
        for wrong in [
            "/a",
            "a",
            "/.well-known/acme-challenge",
            "/.well-known/acme-challengea",
            "/x/.well-known/acme-challenge/a",
        ] {
            assert_eq!(challenges.response(wrong), None, "{wrong}");
        }
        drop(pending);
        assert_eq!(challenges.response(&path("a")), None, "the order is over");
        assert!(challenges.response(&path("b")).is_some());
        drop(other);
    }

    #[test]
    fn r45_only_what_can_be_a_token_is_asked_of_the_other_nodes() {
        let of = |rest: &str| Challenges::token(&format!("{PREFIX}{rest}")).map(str::to_owned);
        let token = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0";
        assert_eq!(of(token).as_deref(), Some(token));
        let long = "a".repeat(129);
        for wrong in ["", "short", &format!("{token}/"), &format!("{token}:x"), &format!("../{token}"), &long]
        {
            assert_eq!(of(wrong), None, "{wrong}");
        }
        assert_eq!(Challenges::token(token), None);
    }

    #[test]
    fn r45_only_a_pending_name_has_a_challenge_certificate() {
        let challenges = Arc::new(Challenges::default());
        assert!(challenges.certificate(Some("a.test")).is_none());
        let pending = challenges.begin_tls("A.test", &[7; 32]).unwrap();
        let key = challenges.certificate(Some("a.TEST")).unwrap();
        for wrong in [None, Some(""), Some("b.test"), Some("x.a.test"), Some("test")] {
            assert!(challenges.certificate(wrong).is_none(), "{wrong:?}");
        }
        let (_, certificate) = x509_parser::parse_x509_certificate(&key.cert[0]).unwrap();
        let identifier =
            certificate.extensions().iter().find(|e| e.oid.to_id_string() == "1.3.6.1.5.5.7.1.31").unwrap();
        assert!(identifier.critical, "RFC 8737, 3");
        // An OCTET STRING of 32 bytes.
        assert_eq!(identifier.value, [&[4, 32][..], &[7; 32]].concat());
        drop(pending);
        assert!(challenges.certificate(Some("a.test")).is_none(), "the order is over");
    }
}
