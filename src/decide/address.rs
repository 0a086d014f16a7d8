//! The client's address (R3, R33).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// An unknown client: the unspecified address, which means "no address" (RFC 4291, 2.5.2). It belongs to no network.
pub const UNKNOWN: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);

/// The client's address: the TCP peer, unless that peer is a trusted proxy.
///
/// `forwarded_for` holds the `X-Forwarded-For` lines in the order in which they arrived. They are read from the right, because
/// only what our own proxies appended can be trusted: the first address that is not a trusted proxy is the client. Reading stops
/// at an element that is not an address: the client is then [`UNKNOWN`], never the proxy that reported it (R33).
///
/// IPv4-mapped IPv6 addresses (`::ffff:10.0.0.1`) become IPv4, so that networks match on dual-stack listeners.
pub fn client_ip(peer: IpAddr, forwarded_for: &[&[u8]], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !contains(trusted, client) {
        return client;
    }
    for entry in forwarded_for.iter().rev().flat_map(|line| line.rsplit(|b| *b == b',')) {
        let Some(ip) = parse(entry) else { return UNKNOWN };
        client = ip;
        if !contains(trusted, client) {
            break;
        }
    }
    client
}

/// Is the address in one of the networks? [`UNKNOWN`] is in none.
pub fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    !ip.is_unspecified() && networks.iter().any(|net| net.contains(&ip))
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`. The unspecified address belongs to no client.
fn parse(entry: &[u8]) -> Option<IpAddr> {
    let entry = std::str::from_utf8(entry).ok()?.trim_matches([' ', '\t']);
    let ip = if let Ok(ip) = entry.parse::<IpAddr>() {
        ip
    } else if let Ok(socket) = entry.parse::<SocketAddr>() {
        socket.ip()
    } else {
        IpAddr::V6(entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?)
    };
    Some(ip.to_canonical()).filter(|ip| !ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn nets(list: &[&str]) -> Vec<IpNet> {
        list.iter().map(|n| n.parse().unwrap()).collect()
    }

    #[test]
    fn r03_forwarded_for_is_read_from_the_right() {
        let trusted = ["10.0.0.0/8", "fd00::/8"];
        for (peer, lines, client) in [
            // This address is not trusted: what it reports is ignored.
            ("203.0.113.9", &["1.1.1.1"][..], "203.0.113.9"),
            ("203.0.113.9", &[], "203.0.113.9"),
            // One trusted proxy.
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // What the client itself sent is on the left.
            ("10.0.0.1", &["10.9.9.9, 127.0.0.1, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["127.0.0.1", "198.51.100.7"], "198.51.100.7"),
            // A chain of trusted proxies, in one line or several.
            ("10.0.0.1", &["198.51.100.7, 10.0.0.3,10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6,198.51.100.7", "10.0.0.3", "10.0.0.2"], "198.51.100.7"),
            // All of them are trusted: the leftmost.
            ("10.0.0.1", &["10.0.0.5, 10.0.0.4"], "10.0.0.5"),
            // Forms.
            ("10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db8::7]:4711"], "2001:db8::7"),
            ("10.0.0.1", &["[2001:db8::7]"], "2001:db8::7"),
            ("10.0.0.1", &["\t2001:db8::7 "], "2001:db8::7"),
            ("10.0.0.1", &["::ffff:198.51.100.7"], "198.51.100.7"),
            ("fd00::1", &["198.51.100.7"], "198.51.100.7"),
            // A dual-stack listener.
            ("::ffff:10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:203.0.113.9", &["198.51.100.7"], "203.0.113.9"),
        ] {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            let got = client_ip(peer.parse().unwrap(), &lines, &nets(&trusted));
            assert_eq!(got, client.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }

    #[test]
    fn r03_by_default_no_proxy_is_trusted() {
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(client_ip(peer, &[b"10.0.0.1"], &[]), peer);
    }

    /// Reading from the right stops at the first element that is not an address. The client is then unknown: neither the proxy,
    /// nor what the client wrote further left.
    #[test]
    fn r33_what_is_no_address_is_never_the_proxys_own() {
        let trusted = nets(&["10.0.0.0/8", "127.0.0.0/8", "::1/128"]);
        let everybody = nets(&["0.0.0.0/0", "::/0"]);
        for entry in [
            &b"\xff"[..],
            b"",
            b" ",
            b"unknown",
            b"_hidden",
            b"10.0.0.1.",
            b"10.0.0.256",
            b"10.0.0.1\xff",
            b"10.0.0.1\x00",
            b"127.0.0.1:99999",
            b"127.0.0.1%lo",
            b"[::1",
            b"::1]:80",
            b"fe80::1%eth0",
            b"0x7f000001",
            b"2130706433",
            b"127.1",
            b"010.0.0.1",
            b"localhost",
            b"0.0.0.0",
            b"::",
            b"[::]:80",
            b"::ffff:0.0.0.0",
            b"\xef\xbc\x91\xef\xbc\x90.0.0.1",
            b"for=127.0.0.1",
            b"127.0.0.1 127.0.0.1",
        ] {
            for (before, after) in
                [("", ""), ("127.0.0.1, ", ""), ("", ", 10.0.0.2"), ("1.1.1.1,", ",127.0.0.1")]
            {
                let line = [before.as_bytes(), entry, after.as_bytes()].concat();
                for lines in [vec![&line[..]], vec![b"127.0.0.1", &line[..]]] {
                    let client = client_ip("127.0.0.1".parse().unwrap(), &lines, &trusted);
                    assert_eq!(client, UNKNOWN, "{}", line.escape_ascii());
                    assert!(!contains(&everybody, client) && !contains(&trusted, client));
                }
            }
            // The client is further right, but reading has stopped.
            let line = [entry, b", 198.51.100.7, 10.0.0.2"].concat();
            let client = client_ip("127.0.0.1".parse().unwrap(), &[&line[..]], &trusted);
            assert_eq!(client, "198.51.100.7".parse::<IpAddr>().unwrap(), "{}", line.escape_ascii());
        }
    }

    proptest! {
        #[test]
        fn r33_no_bytes_of_the_client_make_it_another(lie in prop::collection::vec(any::<u8>(), 0..60)) {
            let peer: IpAddr = "10.0.0.1".parse().unwrap();
            let line = [&lie[..], b",198.51.100.7"].concat();
            prop_assert_eq!(
                client_ip(peer, &[&lie, &line], &nets(&["10.0.0.0/8"])),
                "198.51.100.7".parse::<IpAddr>().unwrap()
            );
            // A proxy that forwards the header and appends nothing: the client is the address that the header names, or unknown.
            let client = client_ip(peer, &[b"x", &lie], &nets(&["10.0.0.0/8"]));
            prop_assert!(client == UNKNOWN || !contains(&nets(&["10.0.0.0/8"]), client), "{}", client);
        }

        #[test]
        fn r03_an_untrusted_peer_is_the_client_whatever_it_says(lines in prop::collection::vec(".*", 0..4)) {
            let peer: IpAddr = "203.0.113.9".parse().unwrap();
            let lines: Vec<&[u8]> = lines.iter().map(String::as_bytes).collect();
            prop_assert_eq!(client_ip(peer, &lines, &nets(&["10.0.0.0/8"])), peer);
        }

        #[test]
        fn r03_what_the_client_prepends_changes_nothing(lie in "[ -~]{0,60}") {
            let peer: IpAddr = "10.0.0.1".parse().unwrap();
            let line = format!("{lie},198.51.100.7, 10.0.0.2");
            prop_assert_eq!(
                client_ip(peer, &[lie.as_bytes(), line.as_bytes()], &nets(&["10.0.0.0/8"])),
                "198.51.100.7".parse::<IpAddr>().unwrap()
            );
        }
    }
}
