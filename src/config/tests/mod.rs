//! Whole files in, errors or a configuration out.

use super::*;

/// Smallest file that is valid.
pub(super) const MINIMAL: &str = r#"
origin = "https://nb.example.com"
[upstream]
nodes = ["127.0.0.1:13000"]
[nocobase]
jwt_secret = "0123456789abcdef0123456789abcdef"
service_user = 1
[[wecom]]
corp_id = "ww0123456789abcdef"
agent_id = "1000002"
secret = "app-secret"
[session]
keys = ["AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw"]
"#;

#[test]
fn the_smallest_file_gives_the_defaults() {
    let loaded = load_str(MINIMAL, []).unwrap();
    assert_eq!(loaded.warnings, Vec::<String>::new());
    assert_eq!(loaded.config.listen.http, ["0.0.0.0:8080".parse().unwrap()]);
}

#[test]
fn the_reference_is_up_to_date() {
    let there = include_str!("../../../docs/configuration.md");
    assert_eq!(there, markdown(), "run: wecom-gate schema --markdown > docs/configuration.md");
}
