//! Who is at the other end (R3).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ipnet::IpNet;

/// The client's address: the TCP peer, unless that peer is a trusted proxy.
///
/// `forwarded_for` holds the `X-Forwarded-For` lines in the order of arrival. They are read from the right, because
/// only what our own proxies appended is true: the first address that is not a trusted proxy is the client. An entry
/// that is no address ends the reading; the proxy that reported it is then the best address there is.
///
/// IPv4 addresses in IPv6 clothes (`::ffff:10.0.0.1`) are undressed, so that networks match on dual-stack listeners.
pub fn client_ip(peer: IpAddr, forwarded_for: &[&str], trusted: &[IpNet]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !contains(trusted, client) {
        return client;
    }
    for entry in forwarded_for.iter().rev().flat_map(|line| line.rsplit(',')) {
        let Some(ip) = parse(entry) else { break };
        client = ip;
        if !contains(trusted, client) {
            break;
        }
    }
    client
}

/// Is the address in one of the networks?
pub fn contains(networks: &[IpNet], ip: IpAddr) -> bool {
    let ip = ip.to_canonical();
    networks.iter().any(|net| net.contains(&ip))
}

/// `1.2.3.4`, `1.2.3.4:5`, `::1`, `[::1]`, `[::1]:5`.
fn parse(entry: &str) -> Option<IpAddr> {
    let entry = entry.trim_matches([' ', '\t']);
    let ip = if let Ok(ip) = entry.parse::<IpAddr>() {
        ip
    } else if let Ok(socket) = entry.parse::<SocketAddr>() {
        socket.ip()
    } else {
        IpAddr::V6(entry.strip_prefix('[')?.strip_suffix(']')?.parse::<Ipv6Addr>().ok()?)
    };
    Some(ip.to_canonical())
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
            // This address is not trusted: what it says is ignored.
            ("203.0.113.9", &["1.1.1.1"][..], "203.0.113.9"),
            ("203.0.113.9", &[], "203.0.113.9"),
            // One trusted proxy.
            ("10.0.0.1", &["1.1.1.1"], "1.1.1.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
            // The client's own lie stands on the left.
            ("10.0.0.1", &["10.9.9.9, 127.0.0.1, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["127.0.0.1", "198.51.100.7"], "198.51.100.7"),
            // A chain of trusted proxies, in one line or several.
            ("10.0.0.1", &["198.51.100.7, 10.0.0.3,10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["6.6.6.6,198.51.100.7", "10.0.0.3", "10.0.0.2"], "198.51.100.7"),
            // All of them trusted: the leftmost.
            ("10.0.0.1", &["10.0.0.5, 10.0.0.4"], "10.0.0.5"),
            // Garbage ends the reading at the last hop that is known.
            ("10.0.0.1", &["1.1.1.1, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["1.1.1.1, unknown, 10.0.0.2"], "10.0.0.2"),
            ("10.0.0.1", &["1.1.1.1,"], "10.0.0.1"),
            ("10.0.0.1", &[""], "10.0.0.1"),
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
            let got = client_ip(peer.parse().unwrap(), lines, &nets(&trusted));
            assert_eq!(got, client.parse::<IpAddr>().unwrap(), "{peer} {lines:?}");
        }
    }

    #[test]
    fn r03_by_default_nobody_is_trusted() {
        let peer = "127.0.0.1".parse().unwrap();
        assert_eq!(client_ip(peer, &["10.0.0.1"], &[]), peer);
    }

    proptest! {
        #[test]
        fn r03_an_untrusted_peer_is_the_client_whatever_it_says(lines in prop::collection::vec(".*", 0..4)) {
            let peer: IpAddr = "203.0.113.9".parse().unwrap();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            prop_assert_eq!(client_ip(peer, &lines, &nets(&["10.0.0.0/8"])), peer);
        }

        #[test]
        fn r03_what_the_client_prepends_changes_nothing(lie in "[ -~]{0,60}") {
            let peer: IpAddr = "10.0.0.1".parse().unwrap();
            let line = format!("{lie},198.51.100.7, 10.0.0.2");
            prop_assert_eq!(
                client_ip(peer, &[&lie, &line], &nets(&["10.0.0.0/8"])),
                "198.51.100.7".parse::<IpAddr>().unwrap()
            );
        }
    }
}
