//! R20: for every target, browsers stay on our origin, no one is signed in, and no page of the gate is reached.
#![no_main]

use libfuzzer_sys::fuzz_target;
use url::Url;
use wecom_gate::decide::target::{MAX_LEN, sanitize};

fuzz_target!(|rd: &str| {
    let Some(target) = sanitize(rd) else { return };
    assert!(target.len() <= MAX_LEN && target.starts_with('/'), "{rd:?} -> {target:?}");
    assert!(target.bytes().all(|b| b.is_ascii_graphic()), "{rd:?} -> {target:?}");
    let base = Url::parse("https://gate.test/wecom-gate/callback").expect("a URL");
    let url = base.join(&target).expect("a target that browsers can parse");
    assert_eq!(url.origin(), base.origin(), "{rd:?} -> {target:?}");
    assert!(!url.path().starts_with("/wecom-gate/"), "{rd:?} -> {target:?}");
    assert!(url.query_pairs().all(|(name, _)| name != "token"), "{rd:?} -> {target:?}");
    assert_eq!(sanitize(&target).as_deref(), Some(&*target), "{rd:?}");
});
