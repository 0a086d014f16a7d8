//! Certificates of the TLS listeners: checked before anything listens, swapped without a restart.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use async_trait::async_trait;
use pingora::listeners::TlsAccept;
use pingora::listeners::tls::TlsSettings;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use thiserror::Error;

/// What is wrong with a certificate or its key. Each says which file, and what to do.
#[derive(Debug, Error)]
pub enum TlsError {
    /// Not readable, or not PEM.
    #[error("{key}: cannot read {path}: {why}; give the path of a PEM file that the gate's user may read")]
    Unreadable {
        /// Configuration key.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        why: String,
    },
    /// No certificate in the file.
    #[error("listen.cert: {0} holds no certificate; it must hold the chain, leaf first, in PEM")]
    Empty(PathBuf),
    /// They do not belong together, or are of a kind that the gate cannot use.
    #[error("listen.key: {key} does not belong to {cert}, or is of an unknown kind: {why}")]
    Mismatch {
        /// Certificate chain.
        cert: PathBuf,
        /// Private key.
        key: PathBuf,
        /// What rustls says.
        why: String,
    },
}

/// The certificate in use.
#[derive(Debug)]
pub struct Certificate(ArcSwap<CertifiedKey>);

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.load_full())
    }
}

impl Certificate {
    /// Loads and checks a pair.
    pub fn load(cert: &Path, key: &Path) -> Result<Arc<Certificate>, TlsError> {
        Ok(Arc::new(Certificate(ArcSwap::new(read_pair(cert, key)?))))
    }

    /// Takes a new pair into use for new connections; a bad one leaves the old in place.
    pub fn reload(&self, cert: &Path, key: &Path) -> Result<(), TlsError> {
        self.0.store(read_pair(cert, key)?);
        Ok(())
    }

    /// When the certificate in use ends, in seconds since 1970; 0 if its date cannot be read.
    pub fn not_after(&self) -> i64 {
        let pair = self.0.load();
        let leaf = pair.cert.first().and_then(|der| x509_parser::parse_x509_certificate(der).ok());
        leaf.map_or(0, |(_, leaf)| leaf.validity().not_after.timestamp())
    }

    /// Listener settings with this certificate: TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1.
    pub fn settings(self: &Arc<Self>) -> pingora::Result<TlsSettings> {
        let mut settings = TlsSettings::with_callbacks(Box::new(NoCallbacks))?;
        settings.set_cert_resolver(self.clone());
        settings.enable_h2();
        Ok(settings)
    }
}

fn read_pair(cert: &Path, key: &Path) -> Result<Arc<CertifiedKey>, TlsError> {
    let unreadable = |key, path: &Path, why: String| TlsError::Unreadable { key, path: path.into(), why };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|e| unreadable("listen.cert", cert, e.to_string()))?;
    if chain.is_empty() {
        return Err(TlsError::Empty(cert.into()));
    }
    let secret =
        PrivateKeyDer::from_pem_file(key).map_err(|e| unreadable("listen.key", key, e.to_string()))?;
    pingora_rustls::install_default_crypto_provider();
    let mismatch = |why: String| TlsError::Mismatch { cert: cert.into(), key: key.into(), why };
    let provider = CryptoProvider::get_default().ok_or_else(|| mismatch("no crypto provider".into()))?;
    let pair = CertifiedKey::from_der(chain, secret, provider).map_err(|e| mismatch(e.to_string()))?;
    Ok(Arc::new(pair))
}

struct NoCallbacks;
#[async_trait]
impl TlsAccept for NoCallbacks {}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(dir: &Path, name: &str) -> (PathBuf, PathBuf) {
        let made = rcgen::generate_simple_self_signed(vec!["gate.test".into()]).unwrap();
        let (cert, key) = (dir.join(format!("{name}.pem")), dir.join(format!("{name}.key")));
        std::fs::write(&cert, made.cert.pem()).unwrap();
        std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        (cert, key)
    }

    #[test]
    fn a_bad_pair_is_told_and_the_old_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let (cert, key) = pair(dir.path(), "a");
        let (other, other_key) = pair(dir.path(), "b");
        let loaded = Certificate::load(&cert, &key).unwrap();
        let first = loaded.0.load_full();
        // rcgen's default: the end of the year 4095.
        assert_eq!(loaded.not_after(), 67_090_118_400);
        assert!(matches!(loaded.reload(&cert, &other_key), Err(TlsError::Mismatch { .. })));
        std::fs::write(dir.path().join("empty.pem"), "").unwrap();
        assert!(matches!(loaded.reload(&dir.path().join("empty.pem"), &key), Err(TlsError::Empty(_))));
        assert!(matches!(
            loaded.reload(&dir.path().join("none.pem"), &key),
            Err(TlsError::Unreadable { .. })
        ));
        assert!(Arc::ptr_eq(&first, &loaded.0.load_full()));
        loaded.reload(&other, &other_key).unwrap();
        assert!(!Arc::ptr_eq(&first, &loaded.0.load_full()));
    }
}
