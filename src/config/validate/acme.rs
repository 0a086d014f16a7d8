//! `[listen.acme]`: the certificate that the gate orders itself.

use std::net::IpAddr;
use std::path::PathBuf;

use url::Url;

use super::super::raw;
use super::super::report::Report;
use super::super::types::{Acme, Origin};
use super::values;

/// Maximum number of names in one certificate of Let's Encrypt.
const MOST_DOMAINS: usize = 100;

/// Related settings in `[listen]`.
pub(super) struct Around {
    /// There is a TLS listener.
    pub(super) https: bool,
    /// `cert` or `key` is set.
    pub(super) has_files: bool,
}

pub(super) fn acme(
    raw: raw::Acme,
    origin: Option<&Origin>,
    hosts: &[String],
    around: &Around,
    report: &mut Report,
) -> Option<Acme> {
    const KEY: &str = "listen.acme";
    let before = report.errors.len();
    if !around.https {
        let remedy = "give listen.https an address, such as [\"0.0.0.0:443\"]";
        report.error(KEY, "has no effect without listen.https", remedy);
    }
    if around.has_files {
        let remedy = "remove listen.cert and listen.key, or this section";
        report.error(KEY, "and listen.cert and listen.key are both given", remedy);
    }
    if !raw.email.is_empty() && !is_email(&raw.email) {
        report.bad(
            "listen.acme.email",
            &raw.email,
            "is not an e-mail address",
            "write it like \"it@example.com\"",
        );
    }
    let fits = |url: &Url| url.scheme() == "https" && url.username().is_empty() && url.password().is_none();
    let directory = values::web_address(&raw.directory).and_then(|url| match fits(&url) {
        true => Ok(url),
        false => Err("must begin with https://, and contain no user"),
    });
    if let Err(problem) = &directory {
        let remedy = "write it like \"https://acme-v02.api.letsencrypt.org/directory\"";
        report.bad("listen.acme.directory", &raw.directory, *problem, remedy);
    }
    if raw.cache.is_empty() {
        report.error("listen.acme.cache", "is missing", "name a folder that the gate's user can write to");
    }
    let domains = domains(&raw.domains, origin, hosts, report);
    if report.errors.len() > before {
        return None;
    }
    let email = (!raw.email.is_empty()).then_some(raw.email);
    Some(Acme { domains, email, directory: directory.ok()?, cache: PathBuf::from(raw.cache) })
}

fn domains(given: &[String], origin: Option<&Origin>, hosts: &[String], report: &mut Report) -> Vec<String> {
    const KEY: &str = "listen.acme.domains";
    let mut domains: Vec<String> = Vec::new();
    let mut add = |name: &str| {
        let name = name.to_ascii_lowercase();
        if !domains.contains(&name) {
            domains.push(name);
        }
    };
    if given.is_empty() {
        let Some(origin) = origin else { return domains };
        if !is_domain(&origin.host) {
            let remedy =
                "open the gate by a name, or use a certificate of your own (listen.cert, listen.key)";
            report.error(
                KEY,
                format!("cannot be {}, the host of origin: it is no name", origin.host),
                remedy,
            );
        }
        add(&origin.host);
        // Invalid ones are reported at their own keys.
        hosts.iter().filter(|host| is_domain(host)).for_each(|host| add(host));
    }
    for (i, name) in given.iter().enumerate() {
        let remedy = match name.starts_with("*.") {
            true => "name each host: a wildcard needs changes in DNS, which the gate cannot make",
            false => "write a host name, such as \"nocobase.example.com\"",
        };
        match is_domain(name) {
            true => add(name),
            false => report.bad(&format!("{KEY}[{i}]"), name, "is not a host name", remedy),
        }
    }
    if domains.len() > MOST_DOMAINS {
        report.error(KEY, format!("has more than {MOST_DOMAINS} names"), "use several certificates");
    }
    if let Some(origin) = origin
        && !domains.contains(&origin.host)
    {
        report.warn(KEY, format_args!("does not contain {}, the host of origin", origin.host));
    }
    domains
}

fn is_domain(name: &str) -> bool {
    values::host_name(name) && !name.contains('_') && name.parse::<IpAddr>().is_err()
}

fn is_email(text: &str) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !",?&<>\"".contains(c);
    text.chars().all(plain)
        && text.split_once('@').is_some_and(|(name, host)| !name.is_empty() && values::host_name(host))
        && !text.starts_with("mailto:")
}
