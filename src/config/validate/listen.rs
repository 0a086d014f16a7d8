//! `[listen]`: addresses and certificates.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::super::raw;
use super::super::report::Report;
use super::super::types::{CertificateFiles, Listen, Origin};
use super::{acme, values};

/// `hosts`: names of applications besides the origin's.
pub(super) fn listen(
    raw: raw::Listen,
    origin: Option<&Origin>,
    behind_proxy: bool,
    hosts: &[String],
    report: &mut Report,
) -> Option<Listen> {
    let before = report.errors.len();
    let default = vec!["0.0.0.0:8080".to_owned()];
    let neither = raw.http.is_none() && raw.https.is_none();
    let http = if neither { default } else { raw.http.unwrap_or_default() };
    let https = raw.https.unwrap_or_default();
    if http.is_empty() && https.is_empty() {
        report.error("listen", "has no address to listen on", "give listen.http or listen.https an address");
    }
    let mut taken = HashSet::new();
    let http = listeners("listen.http", &http, &mut taken, report);
    let https = listeners("listen.https", &https, &mut taken, report);
    let mut ops = None;
    if !raw.ops.is_empty() {
        ops = values::listener("listen.ops", &raw.ops, report);
        if ops.is_some_and(|a| a.port() != 0 && !taken.insert(a)) {
            report.bad(
                "listen.ops",
                &raw.ops,
                "is also the address of a public listener",
                "give it a different port",
            );
        }
    }
    for (key, file, what) in
        [("listen.cert", &raw.cert, "the certificate chain"), ("listen.key", &raw.key, "the private key")]
    {
        if file.is_empty() {
            if !https.is_empty() && raw.acme.is_none() {
                let remedy = format!(
                    "give the file with {what} (PEM), or a section [listen.acme], or remove listen.https"
                );
                report.error(key, "is missing, but listen.https is set", remedy);
            }
        } else if let Err(e) = std::fs::File::open(file) {
            report.bad(key, file, format!("cannot be read: {e}"), format!("give the file with {what} (PEM)"));
        }
    }
    if origin.is_some_and(|o| !o.https) && !https.is_empty() {
        report.warn("origin", "is plain http although the gate listens for TLS");
    }
    let has_files = !raw.cert.is_empty() || !raw.key.is_empty();
    let acme = raw.acme.and_then(|acme| {
        let around = acme::Around { https: !https.is_empty(), has_files };
        acme::acme(acme, origin, hosts, &around, report)
    });
    let certificates = certificates(&raw.certificates, report);
    if !raw.certificates.is_empty() && https.is_empty() {
        report.warn("listen.certificates", "has no effect without listen.https");
    }
    if raw.redirect_http {
        if origin.is_some_and(|o| !o.https) {
            let remedy = "begin origin with https://, or remove listen.redirect_http";
            report.error("listen.redirect_http", "cannot redirect: origin is plain http", remedy);
        } else if https.is_empty() && !behind_proxy {
            let remedy = "set listen.https, or list the proxy that terminates TLS in access.trusted_proxies";
            report.error("listen.redirect_http", "would be a redirect loop: nothing terminates TLS", remedy);
        }
    }
    let file = |text: String| (!text.is_empty()).then(|| PathBuf::from(text));
    (report.errors.len() == before).then(|| Listen {
        http,
        https,
        cert: file(raw.cert),
        key: file(raw.key),
        redirect_http: raw.redirect_http,
        certificates,
        acme,
        ops,
    })
}

fn certificates(raw: &[raw::Certificate], report: &mut Report) -> Vec<CertificateFiles> {
    let mut all = Vec::with_capacity(raw.len());
    for (i, pair) in raw.iter().enumerate() {
        for (name, file, what) in
            [("cert", &pair.cert, "the certificate chain"), ("key", &pair.key, "the private key")]
        {
            let key = format!("listen.certificates[{i}].{name}");
            let remedy = format!("give the file with {what} (PEM)");
            if file.is_empty() {
                report.error(&key, "is missing", remedy);
            } else if let Err(e) = std::fs::File::open(file) {
                report.bad(&key, file, format!("cannot be read: {e}"), remedy);
            }
        }
        all.push(CertificateFiles::new(Path::new(&pair.cert), Path::new(&pair.key)));
    }
    all
}

fn listeners(
    key: &str,
    texts: &[String],
    taken: &mut HashSet<SocketAddr>,
    report: &mut Report,
) -> Vec<SocketAddr> {
    let mut list = Vec::with_capacity(texts.len());
    for (i, text) in texts.iter().enumerate() {
        let key = format!("{key}[{i}]");
        let Some(address) = values::listener(&key, text, report) else { continue };
        if address.port() != 0 && !taken.insert(address) {
            report.bad(&key, text, "occurs twice", "remove one of the two");
        }
        list.push(address);
    }
    list
}
