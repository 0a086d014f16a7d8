//! When the authority suggests that a certificate be renewed (ARI, RFC 9773): earlier than usual if it has to revoke it.

use instant_acme::CertificateIdentifier;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, Der};
use x509_parser::extensions::ParsedExtension;

use super::account;
use crate::config::Acme;

/// A moment within the period that the authority suggests for the certificate in the file, in seconds since 1970. `jitter`, from 0
/// to 1: where in that period. `None` if it suggests none, or cannot be asked: then only the certificate's end counts.
pub(crate) async fn suggested(acme: &Acme, jitter: f64) -> Option<i64> {
    let folder = acme.folder();
    // Without an account of its own, this node has not ordered it.
    let account = account::existing(&folder).await.ok()??;
    let leaf = CertificateDer::pem_file_iter(acme.files().cert).ok()?.next()?.ok()?;
    let (key_id, serial) = identifier(&leaf)?;
    let id = CertificateIdentifier::new(Der::from_slice(&key_id), Der::from_slice(&serial));
    match account.renewal_info(&id).await {
        Ok((info, _)) => {
            let window = info.suggested_window;
            Some(within(window.start.unix_timestamp(), window.end.unix_timestamp(), jitter))
        }
        Err(error) => {
            tracing::debug!(event = "acme", %error, "the authority suggests no time for the renewal");
            None
        }
    }
}

/// The key identifier of the issuer, and the serial number.
fn identifier(leaf: &CertificateDer<'_>) -> Option<(Vec<u8>, Vec<u8>)> {
    let (_, certificate) = x509_parser::parse_x509_certificate(leaf).ok()?;
    let key_id = certificate.extensions().iter().find_map(|e| match e.parsed_extension() {
        ParsedExtension::AuthorityKeyIdentifier(key) => key.key_identifier.as_ref().map(|id| id.0.to_vec()),
        _ => None,
    });
    Some((key_id?, certificate.raw_serial().to_vec()))
}

fn within(start: i64, end: i64, jitter: f64) -> i64 {
    let length = end.saturating_sub(start).clamp(0, i64::from(u32::MAX));
    let into = std::time::Duration::from_secs(length.unsigned_abs()).mul_f64(jitter.clamp(0.0, 1.0));
    start.saturating_add(i64::try_from(into.as_secs()).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_moment_is_within_the_period() {
        assert_eq!([0.0, 0.5, 1.0].map(|jitter| within(1000, 3000, jitter)), [1000, 2000, 3000]);
        assert_eq!(
            (within(3000, 1000, 1.0), within(0, i64::MAX, 0.0)),
            (3000, 0),
            "no period, and a strange one"
        );
    }

    #[test]
    fn a_certificate_without_its_issuers_key_has_no_identifier() {
        let made = rcgen::generate_simple_self_signed(vec!["a.test".to_owned()]).unwrap();
        assert_eq!(identifier(made.cert.der()), None);
        let issuer_key = rcgen::KeyPair::generate().unwrap();
        let mut issuer = rcgen::CertificateParams::new(vec![]).unwrap();
        issuer.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        let issuer = rcgen::Issuer::new(issuer, issuer_key);
        let mut params = rcgen::CertificateParams::new(vec!["a.test".to_owned()]).unwrap();
        params.use_authority_key_identifier_extension = true;
        params.serial_number = Some(rcgen::SerialNumber::from(vec![0x12, 0x34]));
        let leaf = params.signed_by(&rcgen::KeyPair::generate().unwrap(), &issuer).unwrap();
        let (key_id, serial) = identifier(leaf.der()).unwrap();
        assert!(!key_id.is_empty());
        assert_eq!(serial, [0x12, 0x34]);
    }
}
