//! WeCom's event callback, called by a stranger: nothing passes without the signature. Input: query, newline, body.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wecom_gate::config::EventKeys;
use wecom_gate::wecom::event::Receiver;

static RECEIVER: LazyLock<Receiver> = LazyLock::new(|| {
    let aes_key = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
    let keys = EventKeys { token: "testToken0123456789".into(), aes_key: aes_key.into() };
    Receiver::new("ww0123456789abcdef", &keys).expect("keys")
});

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let (query, body) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let Ok(query) = std::str::from_utf8(query) else { return };
    assert!(RECEIVER.verify_address(query, 1_700_000_000).is_err());
    assert!(RECEIVER.receive(query, body, 1_700_000_000).is_err());
});
