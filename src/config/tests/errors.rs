//! Every way in which a file can be wrong: the key that is named, the problem, the remedy.

mod shapes;
mod values;

use super::*;

/// Changes to the smallest valid file; key that is named; words of the problem; words of the remedy.
type Row<'a> = (&'a [(&'a str, &'a str)], &'a str, &'a str, &'a str);

#[test]
fn each_mistake_is_named_with_its_key_and_a_remedy() {
    for (changes, key, problem, remedy) in shapes::TABLE.iter().chain(values::TABLE) {
        let errors = bad(changes);
        let Some(found) = errors.iter().find(|e| e.key == *key && e.problem.contains(problem)) else {
            panic!("{changes:?}: no {key}: {problem} in {errors:#?}");
        };
        assert!(found.remedy.contains(remedy), "{changes:?}: {remedy:?} is not in {:?}", found.remedy);
    }
}

#[test]
fn one_mistake_of_shape_is_one_error() {
    for changes in
        [[("upstream.nodes", "'a:1'")], [("wecom", "7")], [("session.keys", "[1]")], [("origin", "1")]]
    {
        assert_eq!(bad(&changes).len(), 1, "{:#?}", bad(&changes));
    }
}

#[test]
fn all_errors_are_reported_at_once_in_the_order_of_the_file() {
    let text = "
        orgin = 'x'
        [session]
        idle = 'soon'
        [wecom]
        [log]
        level = 7
    ";
    let errors = load_str(text, []).unwrap_err();
    let keys: Vec<&str> = errors.0.iter().map(|e| e.key.as_str()).collect();
    let expected = [
        "orgin",
        "session.idle",
        "wecom",
        "log.level",
        "origin",
        "upstream.nodes",
        "nocobase.jwt_secret",
        "nocobase.service_token",
        "session.keys",
    ];
    assert_eq!(keys, expected);
    let text = errors.to_string();
    assert!(text.starts_with(
        "the configuration has 9 errors:\n\n  1. orgin (line 2): there is no such key\n     -> did"
    ));
    assert!(text.contains("\n  2. session.idle = \"soon\" (line 4): is not a time\n     -> write"), "{text}");
}

#[test]
fn wrong_toml_is_reported_with_its_lines() {
    let errors = load_str("origin = nb.example.com\n[listen\nhttp = [1,\n", []).unwrap_err();
    assert!(errors.0.len() > 1, "{errors}");
    assert_eq!(errors.0[0].place.as_deref(), Some("line 1"));
    assert!(errors.0.iter().all(|e| !e.problem.is_empty() && !e.remedy.is_empty()));
}

#[test]
fn long_and_strange_values_are_shown_short_and_escaped() {
    let long = format!("'{}'", "ä".repeat(500));
    let shown = bad(&[("session.idle", &long)])[0].value.clone().unwrap();
    assert_eq!(shown, format!("\"{}\"...", "ä".repeat(80)));
    let shown = bad(&[("session.idle", "\"\\u001b[31m\"")])[0].value.clone().unwrap();
    assert_eq!(shown, "\"\\u{1b}[31m\"");
}

#[test]
fn r03_trusted_and_bypassing_networks_are_never_everyone() {
    for key in ["access.trusted_proxies", "access.bypass_networks"] {
        for list in [
            "['0.0.0.0/0']",
            "['::/0']",
            "['10.0.0.1/0']",
            "['::ffff:0:0/96']",
            "['::ffff:0.0.0.0/96']",
            "['::/64']",
            "['0.0.0.0/1', '128.0.0.0/1']",
            "['::/1', '8000::/1']",
            "['0.0.0.0/2', '64.0.0.0/2', '128.0.0.0/1', '10.0.0.1']",
        ] {
            let errors = bad(&[(key, list)]);
            assert_eq!(errors.len(), 1, "{list}: {errors:?}");
            assert!(
                errors[0].key.starts_with(key) && errors[0].problem.contains("every address"),
                "{errors:?}"
            );
            assert!(errors[0].remedy.contains("list the actual networks"));
        }
        assert!(good(&[]).config.access.trusted_proxies.is_empty(), "only named proxies are trusted");
        good(&[(key, "['10.0.0.0/8', '192.0.2.1', 'fd00::/8', '::1']")]);
    }
}

#[test]
fn r14_session_keys_have_64_bytes_and_none_occurs_twice() {
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
    use secrecy::ExposeSecret;
    let bytes = |n: u8| (0..n).map(|i| i.wrapping_mul(251)).collect::<Vec<u8>>();
    for n in [0, 1, 16, 32, 63, 65, 128] {
        let errors = bad(&[("session.keys", &format!("['{}']", STANDARD.encode(bytes(n))))]);
        assert_eq!(errors[0].key, "session.keys[0]");
        assert_eq!(errors[0].problem, format!("is {n} bytes long, not 64"));
        assert!(errors[0].value.is_none());
    }
    for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
        let config = good(&[("session.keys", &format!("['{}']", engine.encode(bytes(64))))]).config;
        assert_eq!(config.session.keys[0].expose_secret(), bytes(64));
    }
    // The same bytes in another encoding are the same key.
    let twice =
        format!("['{}', '{KEY}', '{}']", STANDARD.encode(bytes(64)), URL_SAFE_NO_PAD.encode(bytes(64)));
    let errors = bad(&[("session.keys", &twice)]);
    assert_eq!((errors[0].key.as_str(), errors[0].problem.as_str()), ("session.keys[2]", "occurs twice"));
    let two = good(&[("session.keys", &format!("['{}', '{KEY}']", STANDARD.encode(bytes(64))))]).config;
    assert_eq!(two.session.keys.len(), 2, "an old key for opening beside the new one");
}

#[test]
fn certificates_and_redirects_that_cannot_work() {
    for (changes, key, words) in [
        (
            &[("listen.certificates", "[{cert = '/none', key = ''}]")][..],
            "listen.certificates[0].key",
            "is missing",
        ),
        (
            &[("listen.certificates", "[{cert = '/none', key = ''}]")],
            "listen.certificates[0].cert",
            "cannot be read",
        ),
        (&[("listen.redirect_http", "true")], "listen.redirect_http", "redirect loop"),
        (
            &[("origin", "'http://nb.example.com'"), ("listen.redirect_http", "true")],
            "listen.redirect_http",
            "cannot redirect",
        ),
    ] {
        let errors = bad(changes);
        assert!(errors.iter().any(|e| e.key == key && e.problem.contains(words)), "{changes:?}: {errors:?}");
    }
    good(&[("listen.redirect_http", "true"), ("access.trusted_proxies", "['127.0.0.1']")]);
}
