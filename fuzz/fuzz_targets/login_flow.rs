//! R19: no cookie and no state form a flow that the gate did not begin. Input: state, newline, cookie header.
#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use wecom_gate::error::Failure;
use wecom_gate::session::{Keyring, Names, OwnCookies, PendingSignIns, UnixMillis, attempt_of};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

static FLOWS: LazyLock<PendingSignIns> = LazyLock::new(|| {
    let keyring = Keyring::new(&[vec![7; 64].into()], "https://gate.test").expect("keys");
    PendingSignIns::new(Arc::new(keyring), Names::new(true, "wecom_gate"))
});

fuzz_target!(|data: &[u8]| {
    let mut parts = data.splitn(2, |b| *b == b'\n');
    let (state, rest) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    attempt_of(state);
    let Ok(state) = std::str::from_utf8(state) else { return };
    // The cookie of this state, and anything else.
    let name: String = state.chars().take(8).collect();
    let own = [format!("__Host-wecom_gate_flow_{name}=").as_bytes(), rest].concat();
    for header in [&own[..], rest] {
        let Ok(cookies) = OwnCookies::parse(&Names::new(true, "wecom_gate"), [header]) else { continue };
        let failure = FLOWS.check(&cookies, state, NOW).expect_err("no flow was begun");
        assert!(matches!(failure, Failure::BadCallback | Failure::FlowMissing), "{failure:?}");
    }
});
