use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use url::Url;

/// `[listen]`
#[derive(Debug, Clone)]
pub struct Listen {
    /// Plain HTTP listeners.
    pub(crate) http: Vec<SocketAddr>,
    /// TLS listeners (HTTP/1.1 and HTTP/2).
    pub(crate) https: Vec<SocketAddr>,
    /// Certificate chain (PEM), required if `https` is set.
    pub(crate) cert: Option<PathBuf>,
    /// Private key (PEM), required if `https` is set.
    pub(crate) key: Option<PathBuf>,
    /// Whether plain HTTP is redirected to the origin.
    pub(crate) redirect_http: bool,
    /// Certificates for other names.
    pub(crate) certificates: Vec<CertificateFiles>,
    /// The certificate that the gate orders itself, in place of `cert` and `key`.
    pub(crate) acme: Option<Acme>,
    /// The operator's listener: `/livez`, `/readyz`, `/servez`, `/metrics`, `/version`.
    pub ops: Option<SocketAddr>,
}

impl Listen {
    /// Every pair, `cert` and `key` (or that of `acme`) first: that one is the default.
    pub(crate) fn pairs(&self) -> Vec<CertificateFiles> {
        let given = self.cert.iter().zip(&self.key);
        let first = given.map(|(cert, key)| CertificateFiles::new(cert, key));
        let ordered = self.acme.iter().map(Acme::files);
        first.chain(ordered).chain(self.certificates.iter().cloned()).collect()
    }
}

/// A certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CertificateFiles {
    /// Certificate chain (PEM).
    pub(crate) cert: PathBuf,
    /// Private key (PEM).
    pub(crate) key: PathBuf,
    /// The gate orders it itself (`listen.acme`) for these names: as long as there is no file, it uses another certificate.
    /// Empty: the files are the operator's, and must be there.
    pub(crate) ordered_for: Vec<String>,
}

impl CertificateFiles {
    /// Files of the operator.
    pub(crate) fn new(cert: &Path, key: &Path) -> CertificateFiles {
        CertificateFiles { cert: cert.to_owned(), key: key.to_owned(), ordered_for: Vec::new() }
    }
}

/// `[listen.acme]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acme {
    /// Names of the certificate, in lower case; at least one.
    pub(crate) domains: Vec<String>,
    /// Contact of the account.
    pub(crate) email: Option<String>,
    /// The authority's directory.
    pub(crate) directory: Url,
    /// Where accounts and certificates are kept.
    pub(crate) cache: PathBuf,
}

impl Acme {
    /// The folder of this directory's account and certificate: each authority has one of its own, so that a certificate for tests
    /// is never taken for a real one.
    pub(crate) fn folder(&self) -> PathBuf {
        let plain = |c: char| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' };
        let address = self.directory.as_str();
        let name = address.split_once("://").map_or(address, |(_, rest)| rest);
        self.cache.join(name.trim_end_matches('/').chars().map(plain).collect::<String>())
    }

    /// The certificate with its chain and its key, all in one file, so that they change together.
    pub(crate) fn files(&self) -> CertificateFiles {
        let file = self.folder().join("certificate.pem");
        CertificateFiles { cert: file.clone(), key: file, ordered_for: self.domains.clone() }
    }
}
