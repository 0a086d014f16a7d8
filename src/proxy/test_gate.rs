//! For tests: a gate whose NocoBase and WeCom are unreachable.

use std::sync::Arc;

use super::gate::Gate;
use crate::config::load_str;

/// NocoBase's secret.
pub(crate) const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// 64 bytes in base64, all different.
const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";

/// With this `[access]` (lines of TOML). Must be called within a runtime.
pub(crate) fn gate(access: &str) -> Arc<Gate> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let text = format!(
        r#"
        origin = "https://nb.example.com"
        upstream.nodes = ["127.0.0.1:1", "127.0.0.1:2"]
        nocobase = {{ jwt_secret = "{SECRET}", service_user = 1 }}
        wecom = [{{ corp_id = "ww0123456789abcdef", agent_id = "1000002", secret = "s", api_base = "http://127.0.0.1:1" }}]
        session.keys = ["{KEY}"]
        [access]
        {access}
        "#
    );
    Arc::new(Gate::new(load_str(&text, []).unwrap().config).unwrap())
}
