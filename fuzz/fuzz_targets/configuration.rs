//! R27: no text makes the configuration panic, and its errors contain no secret.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecom_gate::config::load_str;

const CANARY: &str = "CANARY0CANARY0CANARY0CANARY0CANARY0CANARY0CA";

fuzz_target!(|text: &str| {
    let secrets = ["NOCOBASE__JWT_SECRET", "WECOM__0__SECRET", "WECOM__0__EVENT_AES_KEY", "SESSION__KEYS"];
    let env = secrets.map(|name| (format!("WECOM_GATE__{name}"), CANARY.to_owned()));
    let shown = match load_str(text, env) {
        Ok(loaded) => format!("{loaded:?}"),
        Err(errors) => format!("{errors} {errors:?}"),
    };
    assert!(text.contains(CANARY) || !shown.contains(CANARY), "{shown}");
});
