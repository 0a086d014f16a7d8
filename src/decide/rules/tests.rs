use std::time::Instant;

use proptest::prelude::*;

use super::*;

fn rules(list: &[&str]) -> Result<PublicRules, Vec<RuleError>> {
    PublicRules::parse(&list.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>(), "/")
}

fn matches(rule: &str, method: &str, path: &str) -> bool {
    rules(&[rule]).unwrap().matches(method, path)
}

#[test]
fn r02_rules_match_method_and_whole_path() {
    for (rule, method, path, want) in [
        ("GET /api/app:getLang", "GET", "/api/app:getLang", true),
        ("GET /api/app:getLang", "POST", "/api/app:getLang", false),
        ("GET /api/app:getLang", "HEAD", "/api/app:getLang", false),
        ("GET /api/app:getLang", "get", "/api/app:getLang", false),
        ("GET /api/app:getLang", "GET", "/api/app:getLang/", false),
        ("GET /api/app:getLang", "GET", "/api/app:getLangs", false),
        ("GET /api/app:getLang", "GET", "/x/api/app:getLang", false),
        ("GET /api/app:getLang", "GET", "/api/app:getlang", false),
        ("GET /api/app:getLang", "GET", "/api/app%3AgetLang", false),
        ("GET /api/app:getLang", "GET", "", false),
        ("* /public", "DELETE", "/public", true),
        ("* /public", "", "/public", true),
        ("  GET   /public  ", "GET", "/public", true),
        // The rule is made canonical like the request.
        ("GET /%61pi/x%3a", "GET", "/api/x%3A", true),
        // One segment.
        ("POST /api/webhook:*", "POST", "/api/webhook:", true),
        ("POST /api/webhook:*", "POST", "/api/webhook:abc", true),
        ("POST /api/webhook:*", "POST", "/api/webhook:abc/def", false),
        ("POST /api/webhook:*", "POST", "/api/webhook:abc%3Fdef", true),
        ("GET /a/*/c", "GET", "/a/b/c", true),
        ("GET /a/*/c", "GET", "/a//c", true),
        ("GET /a/*/c", "GET", "/a/b/b/c", false),
        ("GET /*.txt", "GET", "/a.txt.txt", true),
        ("GET /*.txt", "GET", "/a/b.txt", false),
        ("GET /a*b*c", "GET", "/aXbXbXc", true),
        ("GET /a*b*c", "GET", "/aXbX/c", false),
        ("GET /*", "GET", "/", true),
        // Any number of segments.
        ("GET /public/**", "GET", "/public/", true),
        ("GET /public/**", "GET", "/public/a/b/c", true),
        ("GET /public/**", "GET", "/public", false),
        ("GET /public/**", "GET", "/publicity", false),
        ("GET /**", "GET", "/anything/at/all", true),
        ("GET /**/end", "GET", "/a/b/end", true),
        ("GET /**/end", "GET", "/end", false),
        ("GET /**end", "GET", "/end", true),
        ("GET /a/**/b/*", "GET", "/a/x/b/y/b/z", true),
        ("GET /a/**/b/*", "GET", "/a/x/b/y/c/z", false),
        ("GET /a/*/**/c", "GET", "/a/b//c", true),
    ] {
        assert_eq!(matches(rule, method, path), want, "{rule} | {method} {path}");
    }
}

#[test]
fn any_of_the_rules_is_enough_and_none_matches_nothing() {
    let some = rules(&["GET /a", "POST /b"]).unwrap();
    assert!(some.matches("GET", "/a") && some.matches("POST", "/b"));
    assert!(!some.matches("POST", "/a") && !some.matches("GET", "/b"));
    assert!(!PublicRules::default().matches("GET", "/"));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let bad = [
        "",
        "/a",
        "GET",
        "GET ",
        "get /a",
        "G3T /a",
        "GET a",
        "GET *",
        "GET https://x/a",
        "GET /a?b",
        "GET /a#b",
        "GET //a",
        "GET /a/../b",
        "GET /a b",
        "GET /中",
        "GET /%zz",
        "GET /a%2Fb",
        "GET /***",
        "** /a",
        " /a",
    ];
    let errors = rules(&bad).unwrap_err();
    assert_eq!(errors.len(), bad.len(), "{errors:?}");
    for (index, error) in errors.iter().enumerate() {
        assert_eq!((error.index, error.rule.as_str()), (index, bad[index]));
    }
    assert_eq!(rules(&["GET /a", "x"]).unwrap_err()[0].index, 1);
    assert!(rules(&["GET /a?b"]).unwrap_err()[0].to_string().starts_with("\"GET /a?b\": "));
}

#[test]
fn rules_that_are_too_long_are_reported_and_the_longest_works() {
    let path = format!("/{}", "a".repeat(MAX_LITERALS - 1));
    assert!(matches(&format!("GET {path}**"), "GET", &format!("{path}/tail")));
    assert!(!matches(&format!("GET {path}"), "GET", &path[1..]));
    assert!(!matches(&format!("GET {path}"), "GET", &format!("{path}a")));
    assert_eq!(rules(&[&format!("GET {path}a")]).unwrap_err().len(), 1);
    // Every boundary between the words of the automaton.
    for n in 1..MAX_LITERALS {
        let path = format!("/{}", "b".repeat(n));
        assert!(matches(&format!("GET {path}"), "GET", &path), "{n}");
        assert!(!matches(&format!("GET {path}"), "GET", &path[..n]), "{n}");
    }
}

#[test]
fn matching_takes_linear_time() {
    let rule = format!("GET /{}b", "a**a*".repeat(60));
    let rules = rules(&[&rule]).unwrap();
    let path = format!("/{}", "a".repeat(1_000_000));
    let start = Instant::now();
    assert!(!rules.matches("GET", &path));
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

/// The meaning of a rule, written as simply as possible.
fn oracle(pattern: &[u8], path: &[u8]) -> bool {
    match pattern {
        [] => path.is_empty(),
        [b'*', b'*', rest @ ..] => (0..=path.len()).any(|n| oracle(rest, &path[n..])),
        [b'*', rest @ ..] => {
            (0..=path.len()).take_while(|n| !path[..*n].contains(&b'/')).any(|n| oracle(rest, &path[n..]))
        }
        [c, rest @ ..] => path.first() == Some(c) && oracle(rest, &path[1..]),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn r02_rules_mean_what_they_say(
        pattern in prop::collection::vec(prop_oneof![Just("a"), Just("b"), Just("/a"), Just("*"), Just("**")], 0..8),
        path in "/[ab/]{0,10}",
    ) {
        let mut pattern = format!("/{}", pattern.concat()).replace("//", "/");
        while pattern.contains("***") {
            pattern = pattern.replace("***", "**");
        }
        prop_assert_eq!(
            matches(&format!("GET {pattern}"), "GET", &path),
            oracle(pattern.as_bytes(), path.as_bytes()),
            "{} {}", pattern, path
        );
    }

    #[test]
    fn no_rule_and_no_path_panics(rule in ".*", method in ".*", path in ".*") {
        if let Ok(rules) = rules(&[&rule, &format!("GET /{rule}")]) {
            rules.matches(&method, &path);
        }
    }
}

#[test]
fn words_stand_for_rules_below_the_public_path() {
    let words = |list: &[&str], root: &str| {
        PublicRules::parse(&list.iter().map(|r| (*r).to_owned()).collect::<Vec<_>>(), root)
    };
    for (name, rules) in WORDS {
        // A rule that does not compile would be left out.
        let word = format!("@{name}");
        assert_eq!(words(&[&word], "/").unwrap().rules.len(), rules.len(), "{name}");
        assert_eq!(words(&[&word], "/crm/").unwrap().rules.len(), rules.len(), "{name}");
        assert!(UNKNOWN_WORD.contains(&word), "{name}");
    }
    let forms = words(&["@public-forms", "POST /api/webhook:x"], "/crm/").unwrap();
    for (method, path, found) in [
        ("GET", "/crm/public-forms/abc", Match::Anonymous),
        ("GET", "/crm/v/public-forms/abc", Match::Anonymous),
        ("GET", "/crm/api/publicForms:getMeta/abc", Match::Anonymous),
        ("POST", "/crm/api/attachments:create", Match::Anonymous),
        ("POST", "/crm/api/orders:create", Match::Anonymous),
        ("POST", "/crm/api/orders:publicSubmit", Match::Anonymous),
        ("GET", "/crm/assets/index-1.js", Match::Anonymous),
        ("POST", "/api/webhook:x", Match::Unchanged),
        // Another prefix, another method, another action, another folder.
        ("GET", "/public-forms/abc", Match::None),
        ("HEAD", "/crm/public-forms/abc", Match::None),
        ("POST", "/crm/api/publicForms:getMeta/abc", Match::None),
        ("GET", "/crm/api/publicForms:list", Match::None),
        ("POST", "/crm/api/publicForms:update", Match::None),
        ("GET", "/crm/api/attachments:list", Match::None),
        ("GET", "/crm/api/users:list", Match::None),
        ("GET", "/crm/api/orders:create", Match::None),
        ("POST", "/crm/api/users/1/roles:create", Match::None),
        ("POST", "/crm/api/smsOTP:publicCreate", Match::None),
        ("POST", "/crm/api/auth:signUp", Match::None),
        ("POST", "/crm/api/orders:update", Match::None),
        ("GET", "/crm/files/main/main/attachments/1.png", Match::None),
        ("GET", "/crm/v/admin", Match::None),
        ("GET", "/crm/admin", Match::None),
        ("GET", "/crm/ws", Match::None),
    ] {
        assert_eq!(forms.find(method, path), found, "{method} {path}");
    }
    let pwa = words(&["@pwa"], "/").unwrap();
    for (path, found) in [
        ("/manifest.webmanifest", Match::Anonymous),
        ("/sw.js", Match::Anonymous),
        ("/apple-touch-icon-180x180.png", Match::Anonymous),
        ("/apple-touch-icon/x.png", Match::None),
        ("/admin/manifest.json", Match::None),
        ("/assets/sw.js", Match::None),
        ("/", Match::None),
    ] {
        assert_eq!(pwa.find("GET", path), found, "{path}");
    }
    // A rule that is written out keeps its own meaning.
    let both = words(&["@public-forms", "* /api/orders:*"], "/").unwrap();
    assert_eq!(both.find("POST", "/api/orders:create"), Match::Unchanged);
    let wrong = words(&["@public-form", "@", "GET /x"], "/").unwrap_err();
    let found: Vec<_> = wrong.iter().map(|e| (e.index, e.problem)).collect();
    assert_eq!(found, [(0, UNKNOWN_WORD), (1, UNKNOWN_WORD)]);
}
