//! Whole files in, a configuration or errors out.

mod acme;
mod applications;
mod environment;
mod errors;
mod example;
mod files;
mod hostile;
mod warnings;

use super::*;

/// 64 bytes in base64, all different.
pub(super) const KEY: &str =
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0-Pw";

/// The smallest valid file.
fn smallest() -> toml::Table {
    let text = format!(
        r#"
        origin = "https://nb.example.com"
        upstream.nodes = ["127.0.0.1:13000"]
        nocobase = {{ jwt_secret = "0123456789abcdef0123456789abcdef", service_user = 1 }}
        wecom = [{{ corp_id = "ww0123456789abcdef", agent_id = "1000002", secret = "app-secret" }}]
        session.keys = ["{KEY}"]
        "#
    );
    text.parse().unwrap()
}

/// The smallest file with these keys set to these TOML values; no value: without the key.
pub(super) fn file(changes: &[(&str, &str)]) -> String {
    let mut root = toml::Value::Table(smallest());
    for (path, value) in changes {
        let mut at = &mut root;
        let (parents, last) = path.rsplit_once('.').map_or((None, *path), |(p, l)| (Some(p), l));
        for step in parents.into_iter().flat_map(|p| p.split('.')) {
            at = match step.parse::<usize>() {
                Ok(i) => {
                    let list = at.as_array_mut().unwrap();
                    if i == list.len() {
                        list.push(toml::Value::Table(toml::Table::new()));
                    }
                    &mut list[i]
                }
                Err(_) => {
                    let empty = toml::Value::Table(toml::Table::new());
                    at.as_table_mut().unwrap().entry(step).or_insert(empty)
                }
            };
        }
        let table = at.as_table_mut().unwrap();
        if value.is_empty() {
            table.remove(last);
        } else {
            let parsed: toml::Table = format!("v = {value}").parse().unwrap();
            table.insert(last.to_owned(), parsed["v"].clone());
        }
    }
    toml::to_string(&root).unwrap()
}

pub(super) fn good(changes: &[(&str, &str)]) -> Loaded {
    load_str(&file(changes), []).unwrap_or_else(|e| panic!("{changes:?}: {e}"))
}

pub(super) fn bad(changes: &[(&str, &str)]) -> Vec<ConfigError> {
    load_str(&file(changes), []).map(|_| ()).expect_err(&format!("{changes:?} is valid")).0
}

#[test]
fn the_smallest_file_gets_the_documented_defaults() {
    use std::time::Duration;
    let Loaded { config, warnings, .. } = good(&[]);
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(config.origin.url(), "https://nb.example.com");
    assert_eq!(config.listen.http, ["0.0.0.0:8080".parse().unwrap()]);
    assert!(config.listen.https.is_empty() && config.listen.cert.is_none() && config.listen.key.is_none());
    assert_eq!(config.listen.ops, Some("127.0.0.1:9090".parse().unwrap()));
    assert_eq!(config.upstream.connect_timeout, Duration::from_secs(3));
    assert_eq!(config.upstream.read_timeout, Duration::from_secs(300));
    assert_eq!((config.nocobase.app.as_str(), config.nocobase.public_path.as_str()), ("main", "/"));
    assert_eq!(config.nocobase.token_delivery, TokenDelivery::Sealed);
    assert_eq!(config.nocobase.match_by, [MatchBy::Phone]);
    assert!(!config.nocobase.auto_create_user && !config.nocobase.identity_headers);
    assert!(!config.nocobase.link_by_password);
    let entry = &config.wecom[0];
    assert_eq!((entry.name.as_str(), entry.title.as_str(), entry.auto_login), ("wecom", "WeCom", true));
    assert_eq!((entry.home.as_str(), entry.home_mobile.as_str()), ("/admin", "/admin"));
    assert_eq!(entry.api_base.as_str(), "https://qyapi.weixin.qq.com/");
    assert_eq!(entry.authorize_url.as_str(), "https://open.weixin.qq.com/connect/oauth2/authorize");
    assert_eq!(entry.userinfo_path, "/cgi-bin/auth/getuserinfo");
    assert!(entry.events.is_none() && entry.http_proxy.is_none() && entry.verify_files.is_empty());
    assert_eq!(config.access.browsers, Browsers::WebLogin);
    assert!(config.access.api_keys && !config.access.password_login);
    assert!(config.access.trusted_proxies.is_empty() && config.access.bypass_networks.is_empty());
    assert_eq!(config.session.idle, Duration::from_secs(12 * 3600));
    assert_eq!(config.session.absolute, Duration::from_secs(7 * 24 * 3600));
    assert_eq!(config.session.cookie_name, "wecom_gate");
    assert_eq!(config.session.recheck, Duration::from_secs(900));
    assert_eq!(
        (config.log.format, config.log.level.as_str(), config.log.access_log),
        (LogFormat::Json, "info", true)
    );
    assert_eq!((config.limits.header_bytes, config.limits.body_bytes), (32768, Some(1 << 30)));
    assert_eq!(config.limits.connections, 20_000);
    assert_eq!(config.limits.head_timeout, Duration::from_secs(10));
    assert_eq!(config.limits.keepalive_timeout, Duration::from_secs(75));
    assert_eq!(config.limits.body_timeout, Duration::from_secs(60));
    assert_eq!((config.limits.sign_ins_per_minute, config.limits.bad_callbacks_per_minute), (12_000, 600));
    assert_eq!(config.limits.sign_ins_at_once, 2_000);
}

#[test]
fn values_are_read_as_intended() {
    let origin = |text: &str| good(&[("origin", text)]).config.origin.url();
    assert_eq!(origin("'https://NB.Example.COM:443/'"), "https://nb.example.com");
    assert_eq!(origin("'http://localhost:80'"), "http://localhost");
    assert_eq!(origin("'https://nb.example.com:8443'"), "https://nb.example.com:8443");
    assert_eq!(origin("'https://[2001:DB8::1]:8443'"), "https://[2001:db8::1]:8443");

    let limits = |text: &str| good(&[("limits.body_bytes", text)]).config.limits.body_bytes;
    assert_eq!(limits("0"), None);
    assert_eq!(limits("'0'"), None);
    assert_eq!(limits("'64KiB'"), Some(65536));
    assert_eq!(limits("1_000_000"), Some(1_000_000));

    let crm = [("nocobase.public_path", "'/crm/'")];
    assert_eq!(good(&crm).config.wecom[0].home, "/crm/admin");
    let phone = [("wecom.0.home", "'/admin/x?y=1'"), ("wecom.0.home_mobile", "'/m'")];
    let entry = &good(&phone).config.wecom[0];
    assert_eq!((entry.home.as_str(), entry.home_mobile.as_str()), ("/admin/x?y=1", "/m"));

    assert_eq!(good(&[("listen.ops", "''")]).config.listen.ops, None);
    let api = good(&[("wecom.0.api_base", "'https://wecom.corp.example:8443/gw/'")]).config;
    assert_eq!(api.wecom[0].api_base.as_str(), "https://wecom.corp.example:8443/gw");

    let networks = good(&[(
        "access.trusted_proxies",
        "['10.1.2.3/8', '::ffff:192.0.2.1', '2001:db8::/32', '192.0.2.9']",
    )]);
    let shown: Vec<String> = networks.config.access.trusted_proxies.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["10.0.0.0/8", "192.0.2.1/32", "2001:db8::/32", "192.0.2.9/32"]);
}

#[test]
fn several_entries_need_an_automatic_one_and_titles_of_their_own() {
    let other = [
        ("wecom.1.name", "'b'"),
        ("wecom.1.corp_id", "'ww0123456789abcdef'"),
        ("wecom.1.agent_id", "'2'"),
        ("wecom.1.secret", "'s'"),
    ];
    let two = good(&other);
    assert!(two.warnings.iter().any(|w| w.starts_with("wecom[1].title: looks the same as that of wecom[0]")));
    let other = [&other[..], &[("wecom.1.title", "'B'")]].concat();
    let two = good(&other);
    assert!(two.config.auto_entry().is_none());
    assert!(two.warnings.iter().any(|w| w.contains("auto_login")));
    let chosen = [&other[..], &[("wecom.1.auto_login", "true")]].concat();
    let two = good(&chosen);
    assert_eq!(two.config.auto_entry().map(|e| e.name.as_str()), Some("b"));
    assert_eq!(two.warnings, Vec::<String>::new());
    assert!(good(&[("wecom.0.auto_login", "false")]).config.auto_entry().is_none());
}
