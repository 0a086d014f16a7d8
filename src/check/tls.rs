//! The gate's own certificate: does the pair fit, how long is it good, for which names?

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::report::{Finding, StepOutcome, Verdict};
use crate::config::{CertificateFiles, Config};

/// Time to renew, and then some.
const SOON: Duration = Duration::from_secs(14 * 86_400);

/// What a certificate says, as far as it matters here.
#[derive(Debug, Clone, Default)]
struct Leaf {
    /// Unix seconds.
    not_before: i64,
    not_after: i64,
    /// Lower-case host names, `*.` in front of some.
    names: Vec<String>,
    addresses: Vec<IpAddr>,
    self_signed: bool,
    /// How many certificates the file holds.
    chain: usize,
}

/// The step: every pair, and whether one of them is for the host of the origin.
pub(super) fn check(config: &Config, now: SystemTime) -> Verdict {
    let pairs = config.listen.pairs();
    if pairs.is_empty() {
        return Verdict::skipped(
            "the gate has no TLS listener (listen.https): a proxy in front has the certificate",
        );
    }
    let section = |i: usize| match i.checked_sub(1) {
        None => "listen".to_owned(),
        Some(i) => format!("listen.certificates[{i}]"),
    };
    let read: Vec<_> = pairs.iter().enumerate().map(|(i, pair)| read(&section(i), pair)).collect();
    let host = &config.origin.host;
    let for_origin = read.iter().position(|r| r.as_ref().is_ok_and(|leaf| covers(leaf, host))).unwrap_or(0);
    let verdicts = read.into_iter().enumerate().map(|(i, read)| match read {
        Ok(leaf) => verdict(&section(i), &leaf, (i == for_origin).then_some(host), now),
        Err(finding) => Verdict::found(StepOutcome::Failed, vec![finding]),
    });
    together(verdicts.collect())
}

/// The worst of them counts, and all are told.
fn together(verdicts: Vec<Verdict>) -> Verdict {
    let any = |outcome| verdicts.iter().any(|v| v.outcome == outcome);
    let outcome = match (any(StepOutcome::Failed), any(StepOutcome::Warning)) {
        (true, _) => StepOutcome::Failed,
        (false, true) => StepOutcome::Warning,
        (false, false) => StepOutcome::Ok,
    };
    let seen: Vec<&str> = verdicts.iter().map(|v| v.detail.as_str()).filter(|d| !d.is_empty()).collect();
    let detail = if outcome == StepOutcome::Ok { seen.join("; ") } else { String::new() };
    Verdict::found(outcome, verdicts.into_iter().flat_map(|v| v.findings).collect()).with_detail(detail)
}

/// Reads both, and sees that they belong together.
fn read(section: &str, files: &CertificateFiles) -> Result<Leaf, Finding> {
    let (cert, key) = (&files.cert, &files.key);
    let finding = |name: &str, path: &Path, what: String, remedy: &str| Finding {
        value: Some(format!("{:?}", path.display().to_string())),
        ..Finding::new(format!("{section}.{name}"), what, remedy)
    };
    const READABLE: &str = "give the path of a PEM file that the gate's user may read";
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(cert)
        .and_then(Iterator::collect)
        .map_err(|e| finding("cert", cert, format!("cannot be read: {e}"), READABLE))?;
    let Some(first) = chain.first() else {
        let remedy = "it must hold the chain in PEM, the server's own certificate first";
        return Err(finding("cert", cert, "holds no certificate".into(), remedy));
    };
    let mut leaf = parse(first)
        .ok_or_else(|| finding("cert", cert, "its first certificate is not X.509".into(), "get it anew"))?;
    leaf.chain = chain.len();
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|e| finding("key", key, format!("cannot be read: {e}"), READABLE))?;
    let _ = rustls::crypto::ring::default_provider().install_default();
    let pair = CryptoProvider::get_default().map(|p| CertifiedKey::from_der(chain, secret, p));
    match pair {
        Some(Ok(_)) => Ok(leaf),
        _ => {
            let remedy = "give the key that the certificate was made for (RSA, ECDSA or Ed25519, without a passphrase)";
            Err(finding(
                "key",
                key,
                "does not belong to the certificate, or is of an unknown kind".into(),
                remedy,
            ))
        }
    }
}

fn parse(der: &[u8]) -> Option<Leaf> {
    let (_, cert) = X509Certificate::from_der(der).ok()?;
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

/// Is `host` one of the names? A star stands for one label (RFC 6125).
fn covers(leaf: &Leaf, host: &str) -> bool {
    if let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        return leaf.addresses.contains(&ip);
    }
    leaf.names.iter().any(|name| match name.strip_prefix("*.") {
        Some(parent) => host.split_once('.').is_some_and(|(label, rest)| !label.is_empty() && rest == parent),
        None => name == host,
    })
}

/// `host`: of the origin, if this is its certificate.
fn verdict(section: &str, leaf: &Leaf, host: Option<&String>, now: SystemTime) -> Verdict {
    let about = format!("{section}.cert");
    let seconds = |t: i64| UNIX_EPOCH + Duration::from_secs(u64::try_from(t).unwrap_or(0));
    let (begins, ends) = (seconds(leaf.not_before), seconds(leaf.not_after));
    let day = |t| humantime::format_rfc3339_seconds(t).to_string().chars().take(10).collect::<String>();
    let (mut failed, mut warnings) = (Vec::new(), Vec::new());
    let mut fail = |what: String, remedy: &str| failed.push(Finding::new(&about, what, remedy));
    if now < begins {
        fail(
            format!("counts only from {} on", day(begins)),
            "compare the clock; or use the certificate from then on",
        );
    }
    if now >= ends {
        fail(format!("has been over since {}", day(ends)), "renew it, then reload the gate (SIGHUP)");
    } else if ends < now + SOON {
        warnings.push(Finding::new(
            &about,
            format!("ends on {}", day(ends)),
            "renew it, then reload the gate (SIGHUP); let an ACME client do both",
        ));
    }
    let mut names = leaf.names.clone();
    names.extend(leaf.addresses.iter().map(IpAddr::to_string));
    let names = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
    if let Some(host) = host
        && !covers(leaf, host)
    {
        fail(format!("is for {names}; people open {host}"), "get a certificate for the host of origin");
    }
    if leaf.self_signed {
        warnings.push(Finding::new(
            &about,
            "is signed by itself: browsers and WeCom will not trust it",
            "for production get one from a public authority (certs/README.md)",
        ));
    } else if leaf.chain == 1 {
        warnings.push(Finding::new(
            &about,
            "the file holds one certificate: most authorities want an intermediate after it, without which phones refuse",
            "use the full chain (fullchain.pem)",
        ));
    }
    let (any_failed, any_warning) = (!failed.is_empty(), !warnings.is_empty());
    failed.append(&mut warnings);
    let outcome = match (any_failed, any_warning) {
        (true, _) => StepOutcome::Failed,
        (false, true) => StepOutcome::Warning,
        (false, false) => return Verdict::ok(format!("for {}, until {}", host.unwrap_or(&names), day(ends))),
    };
    Verdict::found(outcome, failed)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    const NOW: i64 = 1_800_000_000;
    const DAY: i64 = 86_400;

    fn leaf() -> Leaf {
        Leaf {
            not_before: NOW - DAY,
            not_after: NOW + 60 * DAY,
            names: vec!["nb.example.com".into(), "*.wild.example.com".into()],
            addresses: vec!["192.0.2.7".parse().unwrap()],
            self_signed: false,
            chain: 2,
        }
    }

    #[test]
    fn what_is_said_of_a_certificate() {
        let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        let host = "nb.example.com";
        for (leaf, host, want, words) in [
            (leaf(), host, StepOutcome::Ok, "for nb.example.com, until 2027-03-1"),
            (leaf(), "a.wild.example.com", StepOutcome::Ok, ""),
            (leaf(), "192.0.2.7", StepOutcome::Ok, ""),
            (leaf(), "wild.example.com", StepOutcome::Failed, "people open wild.example.com"),
            (leaf(), "a.b.wild.example.com", StepOutcome::Failed, "is for nb.example.com, *.wild"),
            (leaf(), "192.0.2.8", StepOutcome::Failed, "192.0.2.7; people"),
            (
                Leaf { names: vec![], addresses: vec![], ..leaf() },
                host,
                StepOutcome::Failed,
                "no name at all",
            ),
            (Leaf { not_after: NOW, ..leaf() }, host, StepOutcome::Failed, "has been over since 2027-01-15"),
            (Leaf { not_after: NOW + 13 * DAY, ..leaf() }, host, StepOutcome::Warning, "ends on 2027-01-28"),
            (Leaf { not_before: NOW + 1, ..leaf() }, host, StepOutcome::Failed, "only from"),
            (Leaf { self_signed: true, chain: 1, ..leaf() }, host, StepOutcome::Warning, "signed by itself"),
            (Leaf { chain: 1, ..leaf() }, host, StepOutcome::Warning, "intermediate"),
        ] {
            let got = verdict("listen", &leaf, Some(&host.to_owned()), now);
            assert_eq!(got.outcome, want, "{leaf:?}");
            assert!(format!("{got:?}").contains(words), "{got:?} without {words}");
        }
    }

    #[test]
    fn files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let made = rcgen::generate_simple_self_signed(vec!["GATE.test".into(), "127.0.0.1".into()]).unwrap();
        let other = rcgen::generate_simple_self_signed(vec!["gate.test".into()]).unwrap();
        let (cert, key) = (write("c", &made.cert.pem()), write("k", &made.signing_key.serialize_pem()));
        let files = |cert: &PathBuf, key: &PathBuf| CertificateFiles { cert: cert.clone(), key: key.clone() };
        let leaf = read("listen", &files(&cert, &key)).unwrap();
        assert_eq!(
            (leaf.names.as_slice(), leaf.chain, leaf.self_signed),
            (&["gate.test".to_owned()][..], 1, true)
        );
        assert_eq!(leaf.addresses, ["127.0.0.1".parse::<IpAddr>().unwrap()]);
        assert!(leaf.not_before < leaf.not_after);
        let (empty, foreign) = (write("e", ""), write("f", &other.signing_key.serialize_pem()));
        for (cert, key, about, words) in [
            (&dir.path().join("none"), &key, "listen.cert", "cannot be read"),
            (&empty, &key, "listen.cert", "no certificate"),
            (&cert, &empty, "listen.key", "cannot be read"),
            (&cert, &foreign, "listen.key", "does not belong"),
        ] {
            let finding = read("listen", &files(cert, key)).unwrap_err();
            assert!(finding.about == about && finding.what.contains(words), "{finding:?}");
            assert!(!finding.remedy.is_empty());
        }
    }

    #[test]
    fn the_worst_of_several_counts_and_all_are_told() {
        let now = UNIX_EPOCH + Duration::from_secs(NOW.unsigned_abs());
        let one = |section: &str, leaf: Leaf| verdict(section, &leaf, None, now);
        let over = Leaf { not_after: NOW, ..leaf() };
        let soon = Leaf { not_after: NOW + DAY, ..leaf() };
        let all = together(vec![one("listen", leaf()), one("a", soon), one("b", over)]);
        assert_eq!(all.outcome, StepOutcome::Failed);
        let about: Vec<&str> = all.findings.iter().map(|f| f.about.as_str()).collect();
        assert_eq!(about, ["a.cert", "b.cert"]);
        let well = together(vec![one("listen", leaf()), one("a", leaf())]);
        assert_eq!((well.outcome, well.detail.matches("until").count()), (StepOutcome::Ok, 2));
    }
}
