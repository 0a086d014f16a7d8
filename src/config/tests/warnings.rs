//! What is accepted with a warning.

use super::*;

#[test]
fn each_warning_names_its_key() {
    #[rustfmt::skip]
    let table: &[(&[(&str, &str)], &str)] = &[
        (&[("origin", "'http://nb.example.com'")], "origin: is plain http"),
        (&[("session.absolute", "'8d'")], "session.absolute: is longer than 7 days"),
        (&[("nocobase.match_by", "['phone', 'email']")], "nocobase.match_by: contains \"email\""),
        (&[("nocobase.match_by", "['username']")], "nocobase.match_by: contains \"username\""),
        (&[("nocobase.jwt_secret", "'0123456789'")], "nocobase.jwt_secret: is short"),
        (&[("nocobase.default_roles", "['member']")], "nocobase.default_roles: has no effect"),
        (&[("nocobase.link_by_password", "true"), ("nocobase.auto_create_user", "true")], "nocobase.link_by_password: has little effect"),
        (&[("nocobase.public_path", "'/crm/'"), ("wecom.0.home", "'/admin'")], "wecom[0].home: lies outside"),
        (&[("wecom.0.api_base", "'http://wecom.example'")], "wecom[0].api_base: is plain http"),
        (&[("wecom.0.corp_id", "'wwcompany'")], "wecom[0].corp_id: does not look like"),
        (&[("access.public", "['* /**']")], "access.public[0]: \"* /**\" lets everyone pass"),
        (&[("access.trusted_proxies", "['16.0.0.0/4']")], "access.trusted_proxies[0]: 16.0.0.0/4 is a very large"),
        (&[("session.keys", "['AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA']")], "session.keys[0]: does not look random"),
    ];
    for (changes, expected) in table {
        let warnings = good(changes).warnings;
        assert!(warnings.iter().any(|w| w.starts_with(expected)), "{changes:?}: {warnings:?}");
    }
}

#[test]
fn this_machine_may_speak_plain_http() {
    for host in ["localhost:8080", "127.0.0.1:8080", "[::1]:8080", "nb.localhost"] {
        let url = format!("'http://{host}'");
        assert_eq!(good(&[("origin", &url), ("wecom.0.api_base", &url)]).warnings, Vec::<String>::new());
    }
}
