//! R1: a canonical path stays the same, and decoding it once more reveals nothing that was refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use percent_encoding::percent_decode_str;
use wecom_gate::decide::path::canonical;

fuzz_target!(|raw: &str| {
    let Ok(path) = canonical(raw) else { return };
    assert!(path.starts_with('/') && !path.contains("//"), "{raw:?} -> {path:?}");
    assert!(path.is_ascii() && !path.contains(['\\', '#', '?', ' ']), "{raw:?} -> {path:?}");
    assert!(path.split('/').all(|s| s != "." && s != ".."), "{raw:?} -> {path:?}");
    assert_eq!(canonical(&path).as_deref(), Ok(&*path), "{raw:?}");
    // How the WHATWG parser, and hence every browser and Node.js, reads it.
    let url = url::Url::parse("http://gate.test").and_then(|u| u.join(&path)).expect("a path");
    assert_eq!(url.host_str(), Some("gate.test"), "{raw:?} -> {path:?}");
    // They encode `{` and similar characters; the meaning stays the same.
    let again = canonical(url.path()).expect("a path");
    assert!(percent_decode_str(&again).eq(percent_decode_str(&path)), "{raw:?} -> {path:?} -> {url}");
});
