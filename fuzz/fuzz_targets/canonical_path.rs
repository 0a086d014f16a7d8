//! R1: a canonical path stays what it is, and nothing that decodes it once more finds what was refused.
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
    // What the WHATWG parser, hence every browser and Node, makes of it.
    let url = url::Url::parse("http://gate.test").and_then(|u| u.join(&path)).expect("a path");
    assert_eq!(url.host_str(), Some("gate.test"), "{raw:?} -> {path:?}");
    // `{` and its like they encode; the meaning stays.
    let again = canonical(url.path()).expect("a path");
    assert!(percent_decode_str(&again).eq(percent_decode_str(&path)), "{raw:?} -> {path:?} -> {url}");
});
