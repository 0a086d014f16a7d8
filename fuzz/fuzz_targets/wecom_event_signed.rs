//! WeCom's event callback, called by someone who knows the keys: whatever is sealed, XML or JSON, nothing panics.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use wecom_gate::config::EventKeys;
use wecom_sim::{seal, sign};
use wecom_gate::wecom::event::Receiver;

const CORP: &str = "ww0123456789abcdef";
const TOKEN: &str = "testToken0123456789";
const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";

static RECEIVER: LazyLock<Receiver> = LazyLock::new(|| {
    Receiver::new(CORP, &EventKeys { token: TOKEN.into(), aes_key: AES_KEY.into() }).expect("keys")
});

fuzz_target!(|message: &str| {
    let sealed = seal(AES_KEY, &[7; 16], message, CORP).expect("a key");
    let query = |text: &str| {
        let signature = sign(TOKEN, "1700000000", "nonce", text);
        format!("msg_signature={signature}&timestamp=1700000000&nonce=nonce")
    };
    let body = format!("<xml><ToUserName>{CORP}</ToUserName><Encrypt>{sealed}</Encrypt></xml>");
    if let Ok(notice) = RECEIVER.receive(&query(&sealed), body.as_bytes(), 1_700_000_000) {
        assert!(!notice.key.is_empty());
    }
    // The envelope too: its signature is valid, whatever its content.
    let _ = RECEIVER.receive(&query(message), message.as_bytes(), 1_700_000_000);
});
