//! R3, R4: `X-Forwarded-For` and `Host` from an untrusted client are ignored; behind a trusted proxy, what a client prepends
//! changes nothing. Each line is a header.
#![no_main]

use std::net::IpAddr;

use libfuzzer_sys::fuzz_target;
use wecom_gate::decide::address::client_ip;
use wecom_gate::decide::host::{same_host, same_origin};

fuzz_target!(|text: &str| {
    let ip = |s: &str| s.parse::<IpAddr>().expect("an address");
    let trusted = ["10.0.0.0/8", "fd00::/8"].map(|n| n.parse().expect("a network"));
    let lines: Vec<&[u8]> = text.lines().map(str::as_bytes).collect();
    let stranger = ip("203.0.113.9");
    assert_eq!(client_ip(stranger, &lines, &trusted), stranger);
    client_ip(ip("10.0.0.1"), &lines, &trusted);
    let mut appended = lines.clone();
    appended.push(b"198.51.100.7, 10.0.0.2");
    assert_eq!(client_ip(ip("10.0.0.1"), &appended, &trusted), ip("198.51.100.7"));

    for (https, port) in [(false, ":80"), (true, ":443")] {
        if same_host(text, "gate.test", https) {
            let host = text.to_ascii_lowercase();
            assert!(host == "gate.test" || host == format!("gate.test{port}"), "{text:?}");
        }
        if same_origin(text, "gate.test", https) {
            let scheme = if https { "https" } else { "http" };
            let origin = url::Url::parse(text).expect("an origin").origin().ascii_serialization();
            assert_eq!(origin, format!("{scheme}://gate.test"), "{text:?}");
        }
    }
});
