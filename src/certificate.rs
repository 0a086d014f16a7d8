//! Reads the files of one TLS certificate: the chain, its private key, and the names and dates in it. The listeners and `check`
//! both use it, so they accept the same files.
//!
//! Must never: put anything of a private key into an error.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;

use crate::config::CertificateFiles;
use crate::message::{Message, message};

/// A certificate and the private key that belongs to it.
#[derive(Debug)]
pub(crate) struct Certificate {
    /// For rustls.
    pub(crate) key: Arc<CertifiedKey>,
    /// Its names and dates.
    pub(crate) leaf: Leaf,
}

/// The fields of a certificate that the gate reads.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Leaf {
    /// Start of validity, in seconds since 1970.
    pub(crate) not_before: i64,
    /// End of validity, in seconds since 1970.
    pub(crate) not_after: i64,
    /// Host names in lower case; some begin with `*.`.
    pub(crate) names: Vec<String>,
    /// IP addresses.
    pub(crate) addresses: Vec<IpAddr>,
    /// Subject and issuer are the same.
    pub(crate) self_signed: bool,
    /// Number of certificates in the file.
    pub(crate) chain: usize,
}

/// Which of the two files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum File {
    /// The chain.
    Cert,
    /// The private key.
    Key,
}

impl File {
    /// The last part of its configuration key.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            File::Cert => "cert",
            File::Key => "key",
        }
    }
}

/// Why the files cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}", self.message())]
pub(crate) enum Problem {
    /// The file cannot be read, or is not PEM; with the system's message.
    Unreadable(String),
    /// There is no certificate in the file.
    Empty,
    /// The first certificate is not X.509.
    NotX509,
    /// Certificate and key do not belong together, or this kind of key is not supported; with rustls's message.
    Mismatch(String),
}

impl Problem {
    /// As a sentence about the file, which the console translates.
    pub(crate) fn message(&self) -> Message {
        match self {
            Problem::Unreadable(why) => message!("cannot be read: {why}", why),
            Problem::Empty => message!("holds no certificate"),
            Problem::NotX509 => message!("its first certificate is not X.509"),
            Problem::Mismatch(why) => {
                message!("does not belong to the certificate, or is of an unknown kind: {why}", why)
            }
        }
    }

    /// What an operator can do about it.
    pub(crate) fn remedy(&self) -> Message {
        match self {
            Problem::Unreadable(_) => message!("give the path of a PEM file that the gate's user may read"),
            Problem::Empty => message!("it must hold the chain in PEM, the server's own certificate first"),
            Problem::NotX509 => message!("get a new certificate"),
            Problem::Mismatch(_) => message!(
                "give the key that the certificate was made for (RSA, ECDSA or Ed25519, without a passphrase)"
            ),
        }
    }
}

/// Section of the configuration for the pair with this index: the first has the keys `listen.cert` and `listen.key`.
pub(crate) fn section(index: usize) -> String {
    match index.checked_sub(1) {
        None => "listen".to_owned(),
        Some(index) => format!("listen.certificates[{index}]"),
    }
}

/// Reads both files, and checks that they belong together.
///
/// # Errors
/// Which file is wrong, and why.
pub(crate) fn read(files: &CertificateFiles) -> Result<Certificate, (File, PathBuf, Problem)> {
    let cert = |problem| (File::Cert, files.cert.clone(), problem);
    let key = |problem| (File::Key, files.key.clone(), problem);
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.cert)
        .and_then(Iterator::collect)
        .map_err(|e| cert(Problem::Unreadable(e.to_string())))?;
    let first = chain.first().ok_or_else(|| cert(Problem::Empty))?;
    let leaf = parse(first).ok_or_else(|| cert(Problem::NotX509))?;
    let secret =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|e| key(Problem::Unreadable(e.to_string())))?;
    pair(leaf, chain, secret).map_err(key)
}

/// A certificate that no client trusts, for these names.
///
/// # Errors
/// It cannot be made.
pub(crate) fn self_signed(names: &[String]) -> Result<Certificate, Problem> {
    let failed = |e: rcgen::Error| Problem::Mismatch(e.to_string());
    let made = rcgen::generate_simple_self_signed(names).map_err(failed)?;
    let der = made.cert.der().clone();
    let leaf = parse(&der).ok_or(Problem::NotX509)?;
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der());
    pair(leaf, vec![der], key.map_err(|e| Problem::Mismatch(e.to_owned()))?)
}

/// The certificate that proves to an authority that a name leads here (RFC 8737). `digest`: SHA-256 of the key authorization.
///
/// # Errors
/// It cannot be made.
pub(crate) fn for_challenge(name: &str, digest: &[u8]) -> Result<Arc<CertifiedKey>, Problem> {
    let failed = |e: rcgen::Error| Problem::Mismatch(e.to_string());
    let mut params = rcgen::CertificateParams::new(vec![name.to_owned()]).map_err(failed)?;
    params.custom_extensions = vec![rcgen::CustomExtension::new_acme_identifier(digest)];
    let signing_key = rcgen::KeyPair::generate().map_err(failed)?;
    let made = params.self_signed(&signing_key).map_err(failed)?;
    let key = PrivateKeyDer::try_from(signing_key.serialize_der());
    let key = key.map_err(|e| Problem::Mismatch(e.to_owned()))?;
    // Not compared with the certificate: what that is for is critical, and unknown to rustls.
    let key = provider()?.key_provider.load_private_key(key).map_err(|e| Problem::Mismatch(e.to_string()))?;
    Ok(Arc::new(CertifiedKey::new(vec![made.der().clone()], key)))
}

fn provider() -> Result<&'static Arc<CryptoProvider>, Problem> {
    // An error means that a provider is installed already; that one is used.
    let _ = rustls::crypto::ring::default_provider().install_default();
    CryptoProvider::get_default().ok_or_else(|| Problem::Mismatch("no crypto provider".into()))
}

/// For rustls, if they belong together.
fn pair(
    mut leaf: Leaf,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<Certificate, Problem> {
    leaf.chain = chain.len();
    let pair =
        CertifiedKey::from_der(chain, key, provider()?).map_err(|e| Problem::Mismatch(e.to_string()))?;
    Ok(Certificate { key: Arc::new(pair), leaf })
}

fn parse(der: &CertificateDer<'_>) -> Option<Leaf> {
    let (_, cert) = x509_parser::parse_x509_certificate(der).ok()?;
    let mut leaf = Leaf {
        not_before: cert.validity().not_before.timestamp(),
        not_after: cert.validity().not_after.timestamp(),
        self_signed: cert.subject() == cert.issuer(),
        ..Leaf::default()
    };
    let alternative = cert.subject_alternative_name().ok().flatten();
    for name in alternative.iter().flat_map(|s| &s.value.general_names) {
        match name {
            GeneralName::DNSName(name) => leaf.names.push(name.to_ascii_lowercase()),
            GeneralName::IPAddress(bytes) => leaf.addresses.extend(address(bytes)),
            _ => {}
        }
    }
    Some(leaf)
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(bytes)
        .map(IpAddr::from)
        .ok()
        .or_else(|| <[u8; 16]>::try_from(bytes).map(IpAddr::from).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_read_and_each_fault_names_its_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = rcgen::generate_simple_self_signed(vec!["GATE.test".into(), "127.0.0.1".into()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["gate.test".into()]).unwrap();
        let (cert, key) = (write("c", &made.cert.pem()), write("k", &made.signing_key.serialize_pem()));
        let files = |cert: &PathBuf, key: &PathBuf| CertificateFiles::new(cert, key);
        let leaf = read(&files(&cert, &key)).unwrap().leaf;
        assert_eq!((leaf.names, leaf.chain, leaf.self_signed), (vec!["gate.test".to_owned()], 1, true));
        assert_eq!(leaf.addresses, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(leaf.not_before < leaf.not_after);
        let (empty, foreign) = (write("e", ""), write("f", &other.signing_key.serialize_pem()));
        let garbage = write("g", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        for (cert, key, file, words) in [
            (&dir.path().join("none"), &key, File::Cert, "cannot be read"),
            (&empty, &key, File::Cert, "no certificate"),
            (&garbage, &key, File::Cert, "not X.509"),
            (&cert, &empty, File::Key, "cannot be read"),
            (&cert, &foreign, File::Key, "does not belong"),
        ] {
            let (which, path, problem) = read(&files(cert, key)).unwrap_err();
            assert_eq!((which, &path), (file, if file == File::Cert { cert } else { key }));
            assert!(problem.to_string().contains(words) && !problem.remedy().is_empty(), "{problem}");
        }
    }
}
