//! Single values: text in, a type that cannot be invalid out. Each function gets the key's path and reports under it.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ipnet::IpNet;
use url::{Host, Url};

use super::super::raw::{MaxRequests, Size};
use super::super::report::Report;
use super::super::types::{self, Origin};

/// One second.
pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// Scheme, host and port, and nothing else.
pub(super) fn origin(key: &str, text: &str, report: &mut Report) -> Option<Origin> {
    const FORM: &str = "write scheme and host (and port), such as \"https://nocobase.example.com\"";
    if text.is_empty() {
        report.error(key, "is missing", FORM);
        return None;
    }
    let url = without_user(key, text, FORM, report)?;
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        report.bad(key, text, "must not contain a path, query or fragment", FORM);
        return None;
    }
    let https = url.scheme() == "https";
    if !https && !loopback(&url) {
        report.warn(key, "is plain http: session cookies are sent unencrypted; use https");
    }
    Some(Origin { https, host: url.host_str()?.to_owned(), port: url.port() })
}

/// An http(s) address for calls to WeCom or WeCom's pages. Plain http only causes a warning, for private networks.
pub(super) fn address(key: &str, text: &str, query: bool, report: &mut Report) -> Option<Url> {
    const FORM: &str = "write it like \"https://qyapi.weixin.qq.com\"";
    let mut url = without_user(key, text, FORM, report)?;
    if url.fragment().is_some() || (!query && url.query().is_some()) {
        report.bad(key, text, "must not contain a query or fragment", "keep only what is before ? and #");
        return None;
    }
    if url.scheme() == "http" && !loopback(&url) {
        report.warn(key, "is plain http: the app's secret and members' data are sent unencrypted; use https");
    }
    let path = url.path().trim_end_matches('/').to_owned();
    url.set_path(&path);
    Some(url)
}

/// An http(s) address without user and password; otherwise reports an error.
fn without_user(key: &str, text: &str, form: &str, report: &mut Report) -> Option<Url> {
    match web_address(text) {
        Ok(url) if url.username().is_empty() && url.password().is_none() => return Some(url),
        Ok(_) => report.bad(key, text, "must not contain a user or password", form),
        Err(problem) => report.bad(key, text, problem, form),
    }
    None
}

/// An absolute http(s) address, without anything that `url` would silently repair.
pub(super) fn web_address(text: &str) -> Result<Url, &'static str> {
    let lower = text.get(..8).unwrap_or(text).to_ascii_lowercase();
    if !lower.starts_with("http://") && !lower.starts_with("https://") {
        return Err("must begin with https:// or http://");
    }
    if text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\') {
        return Err("contains a character that a URL must not contain");
    }
    let url = Url::parse(text).map_err(|_| "is not an address")?;
    let host_fits = match url.host() {
        Some(Host::Domain(name)) => host_name(name),
        Some(_) => true,
        None => false,
    };
    if !host_fits {
        return Err("has no usable host name");
    }
    if url.port() == Some(0) {
        return Err("has port 0");
    }
    Ok(url)
}

pub(super) fn host_name(name: &str) -> bool {
    let label = |l: &str| {
        !l.is_empty()
            && l.len() <= 63
            && !l.starts_with('-')
            && !l.ends_with('-')
            && l.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    name.len() <= 253 && name.split('.').all(label)
}

pub(super) fn loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    }
}

/// An address to listen on.
pub(super) fn listener(key: &str, text: &str, report: &mut Report) -> Option<SocketAddr> {
    let parsed = text.parse().ok();
    if parsed.is_none() {
        let remedy =
            "write an IP address and a port, such as \"0.0.0.0:8080\", \"127.0.0.1:8080\" or \"[::]:8080\"";
        report.bad(key, text, "is not an address to listen on", remedy);
    }
    parsed
}

/// `host:port` of a node.
pub(super) fn node(key: &str, text: &str, report: &mut Report) -> Option<String> {
    let fits = text.rsplit_once(':').is_some_and(|(host, port)| {
        let host_fits = match host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
            Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
            None => host_name(host),
        };
        host_fits && port.bytes().all(|b| b.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|p| p != 0)
    });
    if !fits {
        // No CA can be configured: Pingora's pool would reuse a connection verified with one CA for a peer with another.
        let remedy = if text.starts_with("https:") {
            "the gate connects to NocoBase by plain HTTP, on the same machine or in a private network; write host:port"
        } else {
            "write it without http:// and path, such as \"127.0.0.1:13000\""
        };
        report.bad(key, text, "is not host:port", remedy);
    }
    fits.then(|| text.to_owned())
}

/// A duration such as `15m`, within limits.
pub(super) fn duration(
    key: &str,
    text: &str,
    least: Duration,
    most: Duration,
    report: &mut Report,
) -> Option<Duration> {
    let show = humantime::format_duration;
    match humantime::parse_duration(text) {
        Ok(d) if d >= least && d <= most => Some(d),
        Ok(_) => {
            let remedy = format!("give a time from {} to {}", show(least), show(most));
            report.bad(key, text, "is out of range", remedy);
            None
        }
        Err(_) => {
            report.bad(
                key,
                text,
                "is not a time",
                "write a number and a unit, such as \"30s\", \"15m\", \"12h\", \"7d\"",
            );
            None
        }
    }
}

/// A number of bytes.
pub(super) fn size(key: &str, size: &Size, report: &mut Report) -> Option<u64> {
    match size {
        Size::Bytes(n) => Some(*n),
        Size::Text(text) => {
            let parsed = text.parse::<bytesize::ByteSize>().ok().map(|s| s.as_u64());
            if parsed.is_none() {
                let remedy = "give a number of bytes, or text such as \"64KiB\" or \"1GiB\"";
                report.bad(key, text, "is not a size", remedy);
            }
            parsed
        }
    }
}

/// A number of requests, or `auto`.
pub(super) fn max_requests(key: &str, raw: &MaxRequests, report: &mut Report) -> Option<types::MaxRequests> {
    let number = match raw {
        MaxRequests::Number(number) => Some(*number),
        MaxRequests::Text(text) if text == "auto" => return Some(types::MaxRequests::Auto),
        // From the environment.
        MaxRequests::Text(text) => text.parse().ok().filter(|n| *n <= 1_000_000),
    };
    match (number, raw) {
        (Some(0), _) => Some(types::MaxRequests::Unbounded),
        (Some(number), _) => usize::try_from(number).ok().map(types::MaxRequests::Fixed),
        (None, MaxRequests::Text(text)) => {
            report.bad(key, text, "is not a number of requests", "give a number, or \"auto\"");
            None
        }
        (None, MaxRequests::Number(_)) => None,
    }
}

/// Networks whose addresses are trusted or let in: single addresses or CIDRs, never everyone.
pub(super) fn networks(key: &str, list: &[String], report: &mut Report) -> Option<Vec<IpNet>> {
    const EVERYONE: &str = "covers every address: anyone could claim it";
    const REMEDY: &str = "list the actual networks, such as \"10.1.2.0/24\" or \"192.0.2.7\"";
    let before = report.errors.len();
    let mut nets = Vec::with_capacity(list.len());
    for (i, text) in list.iter().enumerate() {
        let key = format!("{key}[{i}]");
        let parsed = text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from));
        match parsed.map(|net| plain_v4(net.trunc())) {
            Some(net) if everyone(&net) => report.bad(&key, text, EVERYONE, REMEDY),
            Some(net) => {
                if net.prefix_len() < if net.addr().is_ipv4() { 8 } else { 16 } {
                    report.warn(&key, format_args!("{net} is a very large network"));
                }
                nets.push(net);
            }
            None => report.bad(&key, text, "is not a network or address", REMEDY),
        }
    }
    if report.errors.len() > before {
        return None;
    }
    if IpNet::aggregate(&nets).iter().any(everyone) {
        report.error(key, format!("taken together {EVERYONE}"), REMEDY);
        return None;
    }
    Some(nets)
}

/// IPv4 networks written as `::ffff:a.b.c.d/n` are IPv4 networks.
fn plain_v4(net: IpNet) -> IpNet {
    if let IpNet::V6(v6) = net
        && let (Some(v4), Some(len)) = (v6.network().to_ipv4_mapped(), v6.prefix_len().checked_sub(96))
        && let Ok(net) = IpNet::new(v4.into(), len)
    {
        return net;
    }
    net
}

/// All of IPv4, all of IPv6, or an IPv6 network that contains all of IPv4.
fn everyone(net: &IpNet) -> bool {
    let mapped = std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped();
    net.prefix_len() == 0 || matches!(net, IpNet::V6(v6) if v6.prefix_len() <= 96 && v6.contains(&mapped))
}

/// Base64 in either alphabet, padded or not.
pub(super) fn base64_bytes(text: &str) -> Option<Vec<u8>> {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(false);
    let standard = text.trim().replace('-', "+").replace('_', "/");
    GeneralPurpose::new(&STANDARD, config).decode(standard).ok()
}

/// A path on the origin: one `/` at the start, nothing that a browser reads differently (`//host`, `/\host`).
pub(super) fn is_path(text: &str) -> bool {
    text.starts_with('/')
        && !text.starts_with("//")
        && !text.chars().any(|c| c.is_whitespace() || c.is_control() || c == '\\')
}
