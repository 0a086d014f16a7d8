//! Secrets are never shown, and nothing panics, whatever the configuration contains.

use proptest::prelude::*;

use super::*;

const CANARY: &str = "CANARY";

/// No output about the result contains the canary.
fn silent(text: &str, env: Vec<(String, String)>) {
    let shown = match load_str(text, env) {
        Ok(loaded) => format!("{loaded:?} {loaded:#?}"),
        Err(errors) => format!("{errors} {errors:?} {}", serde_json::to_string(&errors.0).unwrap()),
    };
    assert!(!shown.contains(CANARY), "{text}\n{shown}");
}

#[test]
fn r27_secrets_are_in_no_error_warning_or_debug_output() {
    let secrets = [
        "nocobase.jwt_secret",
        "nocobase.service_token",
        "wecom.0.secret",
        "wecom.0.event_token",
        "wecom.0.event_aes_key",
        "wecom.0.http_proxy",
        "session.redis",
    ];
    for key in secrets {
        for value in [
            "'CANARY'",
            "'CANARY-CANARY-CANARY-CANARY'",
            "'http://user:CANARY@proxy.example:1'",
            "'CANARY CANARY'",
            "['CANARY']",
            "{CANARY = 1}",
            "'CANARYCANARYCANARYCANARYCANARYCANARYCANARYC'",
        ] {
            silent(&file(&[(key, value)]), vec![]);
            silent(&file(&[(key, value), ("nocobase.service_user", ""), ("origin", "1")]), vec![]);
        }
        let name = format!("WECOM_GATE__{}", key.to_uppercase().replace('.', "__"));
        silent(&file(&[]), vec![(name.clone(), CANARY.into())]);
        silent("", vec![(name.clone(), CANARY.into())]);
        silent(&file(&[]), vec![(format!("{name}__0"), CANARY.into())]);
        silent(&file(&[]), vec![(format!("{name}S"), CANARY.into())]);
    }
    for value in ["'CANARY'", "['CANARY']", "['CANARY', 1]", "[['CANARY']]", "[{a='CANARY'}]", "{a='CANARY'}"]
    {
        silent(&file(&[("session.keys", value)]), vec![]);
    }
    silent(&file(&[]), vec![("WECOM_GATE__SESSION__KEYS".into(), CANARY.into())]);
    silent(&file(&[]), vec![("WECOM_GATE__SESSION__KEYS__0".into(), CANARY.into())]);
    // A password in the wrong place, and secrets under unknown names.
    silent(&file(&[("origin", "'https://user:CANARY@nb.example.com'")]), vec![]);
    silent(&file(&[("wecom.0.api_base", "'https://user:CANARY@nb.example.com'")]), vec![]);
    silent(&file(&[("nocobase.jwtsecret", "'CANARY'")]), vec![]);
    silent(&file(&[("wecom.0.secrets", "['CANARY']")]), vec![]);
}

#[test]
fn r27_wrong_toml_does_not_repeat_the_line() {
    for text in [
        "secret = CANARY",
        "secret = \"CANARY",
        "secret = 'CANARY\nx = 1",
        "secret = \"\\qCANARY\"",
        "secret CANARY",
        "a = 1 CANARY",
        "a = 2026CANARY",
        "a = 12CANARY",
        "a = [CANARY",
        "a = {b = CANARY",
        "secret = \"\"\"CANARY",
        "a = \"x\" \"CANARY\"",
        "= CANARY",
        "a = +CANARY",
        "a = 0xCANARY",
        "a = tCANARY",
        "a = 1.CANARY",
        "\u{feff}a=CANARY",
    ] {
        silent(text, vec![]);
    }
}

#[test]
fn deep_nesting_ends_in_an_error() {
    for text in [
        format!("a = {}1{}", "[".repeat(5000), "]".repeat(5000)),
        format!("{} = 1", ["a"; 5000].join(".")),
        format!("[{}]", ["a"; 5000].join(".")),
        format!("a = {}1{}", "{b = ".repeat(5000), "}".repeat(5000)),
    ] {
        assert!(load_str(&text, []).is_err());
    }
    assert!(load_str("", [(format!("WECOM_GATE__{}", ["A"; 5000].join("__")), "1".to_owned())]).is_err());
}

/// Text that resembles our files, so that it gets far.
fn configuration_like() -> impl Strategy<Value = String> {
    let word = prop_oneof![
        Just("origin"),
        Just("listen"),
        Just("http"),
        Just("wecom"),
        Just("session"),
        Just("keys"),
        Just("nocobase"),
        Just("match_by"),
        Just("limits"),
        Just("body_bytes"),
        Just("roles"),
        Just("access"),
        Just("public"),
        Just("trusted_proxies"),
        Just("log"),
        Just("level"),
        Just("api_base"),
        Just("home"),
        Just("upstream"),
        Just("nodes"),
        Just("idle"),
        Just("x"),
    ];
    let value = prop_oneof![
        "[\"']?[ -~]{0,20}[\"']?",
        Just("\"https://a:b@[::1]:443/?#\"".to_owned()),
        Just("['::/0', '1.2.3.4']".to_owned()),
        Just("[{a=1},{},[]]".to_owned()),
        Just("9223372036854775807".to_owned()),
        Just("-1.5e300".to_owned()),
        Just("\"é\u{1F600}\\u0000\"".to_owned()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<String>().prop_map(|s| format!("{s:?}")),
    ];
    let line = (prop::collection::vec(word, 1..4), value, 0..4).prop_map(|(path, value, kind)| match kind {
        0 => format!("[{}]\n", path.join(".")),
        1 => format!("[[{}]]\n", path.join(".")),
        _ => format!("{} = {value}\n", path.join(".")),
    });
    prop::collection::vec(line, 0..12).prop_map(|lines| lines.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_accepted_or_refused(text in any::<String>()) {
        prop_assert!(load_str(&text, []).is_err());
    }

    #[test]
    fn anything_like_a_configuration_is_accepted_or_refused(
        text in configuration_like(), name in "[A-Z_0-9]{0,30}", value in any::<String>(),
    ) {
        let _ = load_str(&text, [(format!("WECOM_GATE__{name}"), value)]);
    }

    /// A valid file with one value replaced by anything: a result, and never an error without a key and a remedy.
    #[test]
    fn any_value_is_accepted_or_refused(i in 0..ONE_OF_EACH.len(), value in any::<String>(), number in any::<i64>()) {
        let quoted = toml::Value::from(value.as_str()).to_string();
        for value in [quoted.clone(), format!("[{quoted}]"), number.to_string()] {
            if let Err(errors) = load_str(&file(&[(ONE_OF_EACH[i], &value)]), []) {
                prop_assert!(!errors.0.is_empty());
                for e in errors.0 {
                    prop_assert!(!e.key.is_empty() && !e.problem.is_empty() && !e.remedy.is_empty());
                }
            }
        }
    }
}

const ONE_OF_EACH: [&str; 18] = [
    "origin",
    "listen.http",
    "listen.cert",
    "listen.ops",
    "upstream.nodes",
    "upstream.read_timeout",
    "nocobase.jwt_secret",
    "nocobase.jwt_secret_file",
    "nocobase.service_user",
    "nocobase.public_path",
    "wecom.0.corp_id",
    "wecom.0.http_proxy",
    "wecom.0.home",
    "access.public",
    "access.trusted_proxies",
    "session.keys",
    "log.level",
    "limits.body_bytes",
];
