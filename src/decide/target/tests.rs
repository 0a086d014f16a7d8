use proptest::prelude::*;
use url::Url;

use super::*;

mod harmless;
mod open_redirects;

use harmless::HARMLESS;
use open_redirects::REFUSED;

/// The URL at which a browser on one of the gate's pages arrives with this `Location`.
fn browse(location: &str) -> Url {
    Url::parse("https://gate.example.com/wecom-gate/callback?code=x").unwrap().join(location).unwrap()
}

fn assert_safe(target: &str) {
    assert!(target.starts_with('/') && !target.starts_with("//"), "{target}");
    assert!(target.bytes().all(|b| b.is_ascii_graphic()), "{target:?}");
    assert!(target.len() <= MAX_LEN, "{}", target.len());
    let url = browse(target);
    assert_eq!(url.origin().ascii_serialization(), "https://gate.example.com", "{target}");
    assert!(url.username().is_empty() && url.password().is_none(), "{target}");
    // The browser reads it as intended: nothing dropped, nothing resolved.
    let path = target.split(['?', '#']).next().unwrap();
    let encoded = |path: &str| path.replace('{', "%7B").replace('}', "%7D").replace('^', "%5E");
    assert_eq!(encoded(url.path()), encoded(path));
    assert!(!url.path().starts_with("/wecom-gate/"), "{target}");
}

#[test]
fn r20_open_redirects_land_on_home() {
    assert!(REFUSED.len() + HARMLESS.len() >= 300);
    for rd in REFUSED {
        assert_eq!(sanitize(rd), None, "{rd:?}");
    }
}

#[test]
fn r20_what_looks_bad_but_is_not_stays_on_our_origin() {
    for rd in HARMLESS {
        let target = sanitize(rd).unwrap_or_else(|| panic!("{rd:?} is refused"));
        assert_safe(&target);
    }
}

#[test]
fn r20_no_sample_does_harm_however_it_is_wrapped() {
    for rd in REFUSED.iter().chain(HARMLESS) {
        // After a path, as a query, as a fragment, encoded as a whole.
        let encoded: String = utf8_percent_encode(rd, percent_encoding::NON_ALPHANUMERIC).collect();
        for clothed in [
            format!("/{rd}"),
            format!("/admin{rd}"),
            format!("/admin/{rd}"),
            format!("/admin?{rd}"),
            format!("/admin?rd={rd}"),
            format!("/admin#{rd}"),
            format!("/{encoded}"),
            format!("/admin?rd={encoded}"),
            encoded,
        ] {
            if let Some(target) = sanitize(&clothed) {
                assert_safe(&target);
            }
            // The same as a request's own address.
            let (path, query) = split(&clothed, '?');
            assert_safe(&of_request(path, query));
        }
    }
}

#[test]
fn r20_targets_are_rebuilt_from_what_was_parsed() {
    for (rd, want) in [
        ("/", Some("/")),
        ("/admin", Some("/admin")),
        ("/admin/x?tab=1&filter=%7B%22a%22:1%7D#top", Some("/admin/x?tab=1&filter=%7B%22a%22:1%7D#top")),
        ("/%61dmin/%7euser", Some("/admin/~user")),
        ("/m/%e4%b8%ad", Some("/m/%E4%B8%AD")),
        ("/m/中文?名=值#片", Some("/m/%E4%B8%AD%E6%96%87?%E5%90%8D=%E5%80%BC#%E7%89%87")),
        ("/admin?", Some("/admin")),
        ("/admin#", Some("/admin")),
        ("/admin?#", Some("/admin")),
        ("/admin?a=b?c=d", Some("/admin?a=b?c=d")),
        ("/admin?a=\"<>\\`{}|^", Some("/admin?a=%22%3C%3E%5C%60%7B%7D%7C%5E")),
        ("/admin?100%", Some("/admin?100%")),
        ("/admin#/a?b=//c#d", Some("/admin#/a?b=//c%23d")),
        // No link signs anyone in.
        ("/admin?token=x", Some("/admin")),
        ("/admin?a=b&%74oken=x&authenticator=basic#c", Some("/admin?a=b#c")),
        ("/admin?a=b c", None),
    ] {
        assert_eq!(sanitize(rd).as_deref(), want, "{rd}");
    }
}

#[test]
fn r20_targets_are_bounded() {
    let long = |n: usize| format!("/{}", "a".repeat(n - 1));
    assert_eq!(sanitize(&long(MAX_LEN)), Some(long(MAX_LEN)));
    assert_eq!(sanitize(&long(MAX_LEN + 1)), None);
    assert_eq!(sanitize(&format!("/{}", "中".repeat(600))), None, "too long once encoded");
    assert_eq!(sanitize(&format!("/{}", "%61".repeat(700))), None, "too long as it was sent");
    assert_eq!(of_request("/admin", Some(&"q".repeat(MAX_LEN))), "/admin");
    assert_eq!(of_request(&long(MAX_LEN + 1), None), "/");
}

#[test]
fn the_target_of_a_request_is_the_request() {
    for (path, query, want) in [
        ("/admin", None, "/admin"),
        ("/admin", Some(""), "/admin"),
        ("/admin", Some("a=b&c"), "/admin?a=b&c"),
        ("/admin", Some("token=x"), "/admin"),
        ("/admin", Some("token=x&a=b"), "/admin?a=b"),
        ("/wecom-gate/login", Some("rd=/x"), "/"),
        ("//evil.com", None, "/"),
        ("*", None, "/"),
        ("", None, "/"),
    ] {
        assert_eq!(of_request(path, query), want);
    }
}

#[test]
fn a_target_that_names_no_page_is_home() {
    for (target, public_path, want) in [
        ("/", "/", "home"),
        ("/?from=x", "/", "home"),
        ("/#/page", "/", "/#/page"),
        ("/admin", "/", "/admin"),
        ("/", "/crm/", "home"),
        ("/crm", "/crm/", "home"),
        ("/crm/", "/crm/", "home"),
        ("/crm/?a", "/crm/", "home"),
        ("/crm/admin", "/crm/", "/crm/admin"),
        ("/crmx", "/crm/", "/crmx"),
    ] {
        assert_eq!(landing(target, "home", "mobile", false, public_path), want, "{target} {public_path}");
        let on_phone = if want == "home" { "mobile" } else { want };
        assert_eq!(landing(target, "home", "mobile", true, public_path), on_phone, "{target} {public_path}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3000))]

    #[test]
    fn r20_every_target_stays_on_our_origin(
        rd in prop_oneof![".*", "/.*", "/[/\\\\@:.%?#\\t\\n 0-9a-f]{0,16}", "(/|\\\\|%2f|%5c|%09|\\.\\.|evil\\.com|\\t|@|:|\\?|#|中){0,10}"],
    ) {
        if let Some(target) = sanitize(&rd) {
            assert_safe(&target);
            prop_assert_eq!(sanitize(&target), Some(target.clone()), "made safe twice is the same");
        }
        let (path, query) = split(&rd, '?');
        assert_safe(&of_request(path, query));
    }
}
