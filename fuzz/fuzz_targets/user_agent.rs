//! A User-Agent chooses between ways to sign in, and its language is a short tag.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecom_gate::decide::client::{caller, language};
use wecom_gate::pages;

fuzz_target!(|ua: &str| {
    let lower = ua.to_ascii_lowercase();
    assert_eq!(caller(Some(ua)), caller(Some(&lower)), "case does not count");
    caller(Some(ua)).is_mobile();
    if let Some(tag) = language(ua) {
        assert!((2..=16).contains(&tag.len()) && ua.contains(tag));
        assert!(tag.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'));
    }
    pages::language(None, Some(ua), Some(ua));
});
