//! Does a header name our own host or origin (R4)?

/// Does a `Host` header (or `:authority`) name the configured origin? Case does not matter, and the scheme's default port is
/// optional. Nothing else is tolerated: no trailing dot, no userinfo, no empty port.
///
/// `authority` is `host` or `host:port` of the configured origin.
pub fn same_host(host_header: &str, authority: &str, https: bool) -> bool {
    let sent = without_default_port(host_header, https);
    !sent.is_empty() && sent.eq_ignore_ascii_case(without_default_port(authority, https))
}

/// Does an `Origin` header name the configured origin? `null` does not.
pub fn same_origin(origin_header: &str, authority: &str, https: bool) -> bool {
    let scheme = if https { "https://" } else { "http://" };
    match origin_header.split_at_checked(scheme.len()) {
        Some((sent, rest)) => sent.eq_ignore_ascii_case(scheme) && same_host(rest, authority, https),
        None => false,
    }
}

/// The host alone. An IPv6 address keeps its brackets.
pub fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Is this a syntactically valid `Host` (RFC 9110, 7.2): a name or an address, optionally with a port?
pub fn is_host(host_header: &str) -> bool {
    let (name, port) = match host_header.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, port)) => {
            let chars = |b: u8| b.is_ascii_hexdigit() || matches!(b, b':' | b'.');
            (!address.is_empty() && address.bytes().all(chars), port)
        }
        None => {
            let (name, port) = host_header.split_at(host_header.find(':').unwrap_or(host_header.len()));
            let chars = |b: u8| b.is_ascii_alphanumeric() || b"-._~%!$&'()*+,;=".contains(&b);
            (!name.is_empty() && name.bytes().all(chars), port)
        }
    };
    let digits = port.strip_prefix(':').unwrap_or(port);
    name && (port.is_empty() || port.starts_with(':')) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn without_default_port(authority: &str, https: bool) -> &str {
    authority.strip_suffix(if https { ":443" } else { ":80" }).unwrap_or(authority)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn r04_host_is_folded_and_port_tolerant() {
        for (sent, https, same) in [
            ("gate.example.com", true, true),
            ("GATE.Example.COM", true, true),
            ("gate.example.com:443", true, true),
            ("gate.example.com:80", true, false),
            ("gate.example.com:80", false, true),
            ("gate.example.com:443", false, false),
            ("gate.example.com:8443", true, false),
            ("gate.example.com:", true, false),
            ("gate.example.com.", true, false),
            ("gate.example.com:443:443", true, false),
            ("gate.example.com,evil.com", true, false),
            ("user@gate.example.com", true, false),
            (" gate.example.com", true, false),
            ("evil.com", true, false),
            ("gate.example.com.evil.com", true, false),
            ("", true, false),
            (":443", true, false),
            ("gäte.example.com", true, false),
        ] {
            assert_eq!(same_host(sent, "gate.example.com", https), same, "{sent} https={https}");
        }
    }

    #[test]
    fn a_port_is_cut_off_and_nothing_else() {
        for (authority, host) in [
            ("gate.example.com", "gate.example.com"),
            ("gate.example.com:8443", "gate.example.com"),
            ("[::1]:8080", "[::1]"),
            ("[::1]", "[::1]"),
            (":80", ":80"),
            ("a:b", "a:b"),
        ] {
            assert_eq!(without_port(authority), host, "{authority}");
        }
    }

    #[test]
    fn r04_host_with_its_own_port_and_ipv6() {
        assert!(same_host("Gate.Example.com:8443", "gate.example.com:8443", true));
        assert!(!same_host("gate.example.com", "gate.example.com:8443", true));
        assert!(same_host("[::1]:8080", "[::1]:8080", false));
        assert!(same_host("[::1]:80", "[::1]", false));
        assert!(!same_host("[::1]", "[::1]:8080", false));
        assert!(!same_host("", "", true), "an empty host is never known");
    }

    #[test]
    fn r04_an_invalid_host_is_distinguished_from_an_unknown_one() {
        for good in ["a", "evil.com", "a:80", "a:", "a.b.", "[::1]", "[::1]:80", "192.0.2.1", "a,b", "a_b"] {
            assert!(is_host(good), "{good}");
        }
        for bad in [
            "", ":80", "a b", "a@b", "a/b", "a:b", "a:80:80", "[::1", "[]", "[::1]a", "[g]", "gäte", "a\\b",
            "a?b", "a#b",
        ] {
            assert!(!is_host(bad), "{bad}");
        }
    }

    #[test]
    fn r04_origin_header() {
        for (sent, same) in [
            ("https://gate.example.com", true),
            ("HTTPS://GATE.example.com", true),
            ("https://gate.example.com:443", true),
            ("http://gate.example.com", false),
            ("https://gate.example.com:8443", false),
            ("https://gate.example.com/", false),
            ("https://evil.gate.example.com", false),
            ("https://gate.example.com.evil.com", false),
            ("wss://gate.example.com", false),
            ("null", false),
            ("", false),
            ("https://", false),
            ("httpsé//gate.example.com", false),
        ] {
            assert_eq!(same_origin(sent, "gate.example.com", true), same, "{sent}");
        }
    }
}
