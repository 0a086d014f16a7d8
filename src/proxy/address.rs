//! A client's address as a header value, which every request gets. `benches/text.rs` measures it.

use std::io::Write as _;
use std::net::IpAddr;

use http::HeaderValue;

/// The longest address: `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255`.
const MAX_LENGTH: usize = 45;

/// Formatted in a fixed buffer: growing a string would cost several allocations. Never returns `None` in practice.
pub(crate) fn header_value(address: IpAddr) -> Option<HeaderValue> {
    let mut text = [0_u8; MAX_LENGTH];
    let mut rest = &mut text[..];
    match address {
        IpAddr::V4(v4) => {
            // Written by hand: about half the time of `Display` (docs/performance.md).
            for (at, octet) in v4.octets().into_iter().enumerate() {
                let dot = (at > 0).then_some(b'.');
                let hundreds = (octet > 99).then_some(b'0' + octet / 100);
                let tens = (octet > 9).then_some(b'0' + octet / 10 % 10);
                for byte in [dot, hundreds, tens, Some(b'0' + octet % 10)].into_iter().flatten() {
                    rest.write_all(&[byte]).ok()?;
                }
            }
        }
        IpAddr::V6(v6) => write!(rest, "{v6}").ok()?,
    }
    let left = rest.len();
    HeaderValue::from_bytes(text.get(..MAX_LENGTH - left)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_written_whole() {
        for text in [
            "1.2.3.4",
            "0.10.109.99",
            "100.200.255.9",
            "255.255.255.255",
            "::1",
            "2001:db8:1111:2222:3333:4444:5555:6666",
        ] {
            assert_eq!(header_value(text.parse().unwrap()).unwrap(), text);
        }
        let longest: IpAddr = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
        assert_eq!(header_value(longest).unwrap(), "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
        assert_eq!(
            header_value("::ffff:255.255.255.255".parse().unwrap()).unwrap(),
            "::ffff:255.255.255.255"
        );
    }
}
