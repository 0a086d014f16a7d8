use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

#[test]
fn r01_what_is_forwarded_is_what_was_decided_on() {
    for (raw, want) in [
        ("/", "/"),
        ("/admin", "/admin"),
        ("/admin/", "/admin/"),
        ("/api/users:list", "/api/users:list"),
        ("/api/app%3agetLang", "/api/app%3AgetLang"),
        ("/%61pi/%75sers:list", "/api/users:list"),
        ("/%77ecom-gate/login", "/wecom-gate/login"),
        ("/wecom%2dgate%5Flogin%7e%2e", "/wecom-gate_login~."),
        ("/a%2Etxt", "/a.txt"),
        ("/...", "/..."),
        ("/.well-known/x", "/.well-known/x"),
        ("/..a/b..", "/..a/b.."),
        ("/files/%e4%b8%ad%E6%96%87.pdf", "/files/%E4%B8%AD%E6%96%87.pdf"),
        ("/caf%c3%a9/%DF%bf", "/caf%C3%A9/%DF%BF"),
        ("/files/%f0%9f%98%80", "/files/%F0%9F%98%80"),
        ("/a%20b", "/a%20b"),
        ("/a%3fb", "/a%3Fb"),
        ("/100%25", "/100%25"),
        ("/100%25.pdf", "/100%25.pdf"),
        ("/100%25abc", "/100%25abc"),
        ("/100%25%20sure", "/100%25%20sure"),
        ("/%2541", "/%2541"),
        ("/a;b=c,d+e&f$g!h*i'(j)@k:l=", "/a;b=c,d+e&f$g!h*i'(j)@k:l="),
        ("/a[1]|{b}^", "/a[1]|{b}^"),
        ("/%22%3C%3e%60%5b%7C", "/%22%3C%3E%60%5B%7C"),
    ] {
        assert_eq!(canonical(raw).as_deref(), Ok(want), "{raw}");
    }
}

#[test]
fn keys_of_associations_keep_what_they_hold() {
    for (public, raw, want) in [
        ("/", "/api/orders/A%2F001/items:list", "/api/orders/A%2F001/items:list"),
        ("/", "/api/orders/A%2f001/items", "/api/orders/A%2F001/items"),
        ("/", "/api/orders/a%5cb/items:get", "/api/orders/a%5Cb/items:get"),
        ("/", "/api/orders/%23%3F%3B/items:list", "/api/orders/%23%3F%3B/items:list"),
        ("/", "/api/orders/50%25/items:list", "/api/orders/50%25/items:list"),
        ("/", "/api/orders/A%252F1/items:list", "/api/orders/A%252F1/items:list"),
        ("/", "/api/orders/100%2525/items:list", "/api/orders/100%2525/items:list"),
        ("/", "/api/orders/%E4%B8%AD%2F%E6%96%87/items:list", "/api/orders/%E4%B8%AD%2F%E6%96%87/items:list"),
        ("/", "/api/orders/%41%2F%2Fb/items:list", "/api/orders/A%2F%2Fb/items:list"),
        ("/", "/api/orders/a+b%2Fc/items:list", "/api/orders/a%2Bb%2Fc/items:list"),
        ("/crm/", "/crm/api/orders/A%2F001/items:list", "/crm/api/orders/A%2F001/items:list"),
        ("/", "/api/main_2.orders-x/A%2F1/i_t:add", "/api/main_2.orders-x/A%2F1/i_t:add"),
    ] {
        let made = association(raw, public).unwrap();
        assert_eq!(made, want, "{raw}");
        assert_eq!(association(&made, public).as_deref(), Ok(want), "a second time");
        assert_eq!(holds_encoded_key(&made), canonical(&made).is_err(), "{raw}");
    }
    assert!(holds_encoded_key("/api/orders/A%2F001/items:list"));
    assert!(!holds_encoded_key("/api/orders/A%20001/items:list"));
}

#[test]
fn r01_nothing_but_a_key_may_hold_encoded_delimiters() {
    for raw in [
        "/api/A%2F1/items:list",
        "/api/orders/A%2F1",
        "/api/orders/A%2F1/items:list/more",
        "/api/orders/A%2F1/items%2Fx:list",
        "/api/or%2Fders/A%2F1/items:list",
        "/api/orders/A%2F1/items:list%2F",
        "/api//A%2F1/items:list",
        "/api/orders//items:list",
        "/api/orders/A%2F1/",
        "/api/orders/A%2F1/:list",
        "/api/orders/A%2F1/items:",
        "/admin/orders/A%2F1/items:list",
        "/files/orders/A%2F1/items:list",
        "/Api/orders/A%2F1/items:list",
        "/%61pi/orders/A%2F1/items:list",
        "/api/../A%2F1/items:list",
        "/api/orders/../items:list",
        "/api/orders/%2E%2E/items:list",
        "/api/orders/..%2F..%2Fusers/items:list",
        "/api/orders/a%2F..%2Fb/items:list",
        "/api/orders/a%2F..%3Bx%2Fb/items:list",
        "/api/orders/a%5C..%5Cb/items:list",
        "/api/orders/%252E%252E%252Fx/items:list",
        "/api/orders/%25252e%25252e%25252fx/items:list",
        "/api/orders/a%2F%00/items:list",
        "/api/orders/a%2F%0d%0aX/items:list",
        "/api/orders/a%2F%250a/items:list",
        "/api/orders/a%2F%C2%85/items:list",
        "/api/orders/a%2F%ff/items:list",
        "/api/orders/a%2F%c0%af/items:list",
        "/api/orders/a%2F%2/items:list",
        "/api/orders/a%2F%zz/items:list",
        "/api/orders/a\\b/items:list",
        "/api/orders/a%2Fb?x/items:list",
        "/api/orders/%2525252525252525252525252525252541/items:list",
    ] {
        assert_eq!(association(raw, "/"), Err(Failure::BadPath), "{raw}");
    }
}

#[test]
fn r01_dot_segments_with_parameters_are_refused() {
    for raw in [
        "/static/..;/api/users",
        "/static/.;/x",
        "/static/..;a=b/x",
        "/..;",
        "/a/..%3b/x",
        "/a/%2e%2e;x/b",
        "/a/.%2E%3Bx",
        "/a/%252e%252e;/b",
    ] {
        assert_eq!(canonical(raw), Err(Failure::BadPath), "{raw}");
    }
    for raw in ["/a;..", "/..a;b", "/a;b/c", "/...;x"] {
        assert!(canonical(raw).is_ok(), "{raw}");
    }
}

#[test]
fn r01_what_parsers_disagree_about_is_refused() {
    for raw in [
        // Not a path.
        "",
        "admin",
        "*",
        "http://gate.example.com/admin",
        "gate.example.com:443",
        "?x",
        "./",
        "../",
        // Encoded slash and backslash, raw backslash.
        "/a%2fb",
        "/a%2Fb",
        "/%2f",
        "/%2f%2fevil.com",
        "/a%5cb",
        "/a%5Cb",
        "/a\\b",
        "\\a",
        "/\\evil.com",
        // Control characters.
        "/a\0b",
        "/a\tb",
        "/a\nb",
        "/a\rb",
        "/a\x1fb",
        "/a\x7fb",
        "/a%00",
        "/a%00.png",
        "/a%09",
        "/a%0d%0aX:y",
        "/a%1F",
        "/a%7f",
        "/a%c2%80",
        "/a%C2%9f",
        "/a\u{85}b",
        // Fragment and query do not belong here.
        "/a#b",
        "/a%23b",
        "/a?b",
        "/#",
        "/?",
        // Encoded twice, or more often.
        "/a%252fb",
        "/a%252Fb",
        "/a%255cb",
        "/a%2523",
        "/a%2500",
        "/a%250a",
        "/a%257f",
        "/a/%252e%252e/b",
        "/a%25252fb",
        "/a%2525252fb",
        "/a%25%32%66b",
        "/a%25%2532Fb",
        "/a%25%32Fb",
        "/a%252%66",
        "/%25252e",
        // Not percent-encoding.
        "/%",
        "/a%",
        "/a%2",
        "/a%zz",
        "/a%2g",
        "/a%g2",
        "/a% 41",
        "/a%+1",
        "/a%-1",
        "/%u0041",
        "/a%%41",
        // Not UTF-8.
        "/a%ff",
        "/a%80",
        "/a%c3",
        "/a%c3A",
        "/a%c3%28",
        "/a%e4%b8",
        "/a%e4%b8x",
        "/a%c0%af",
        "/a%c1%9c",
        "/a%e0%80%af",
        "/a%ed%a0%80",
        "/a%f8%88%80%80%80",
        "/a%f4%90%80%80",
        "/a%f0%82%82%ac",
        "/a%c3%c3",
        // Raw characters that no URI has.
        "/a b",
        "/中文",
        "/é",
        "/a\"b",
        "/a<b",
        "/a>b",
        "/a`b",
        "/\u{2215}\u{2215}evil.com",
        // Empty segments.
        "//",
        "//evil.com",
        "/a//b",
        "/a//",
        "///",
        // Dot segments.
        "/.",
        "/..",
        "/./a",
        "/../a",
        "/a/.",
        "/a/..",
        "/a/./b",
        "/a/../b",
        "/%2e",
        "/%2e%2e",
        "/.%2e/a",
        "/a/%2E%2E/b",
        "/api/webhook:x/../users:list",
        "/api/webhook:x/%2e%2e/users:list",
    ] {
        assert_eq!(canonical(raw), Err(Failure::BadPath), "{raw:?}");
    }
}

#[test]
fn r06_requests_without_a_path_are_refused() {
    // OPTIONS *, CONNECT host:port, absolute form, empty.
    for raw in ["*", "gate.example.com:443", "https://gate.example.com/admin", ""] {
        assert_eq!(canonical(raw), Err(Failure::BadPath), "{raw:?}");
    }
}

#[test]
fn canonical_paths_are_borrowed() {
    for path in ["/api/users:list", "/a%20b", "/files/%E4%B8%AD%E6%96%87.pdf"] {
        assert!(matches!(canonical(path), Ok(Cow::Borrowed(_))), "{path}");
    }
}

/// Paths that are likely to be near the edges of the rules.
fn nasty() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z/.%]{0,6}",
        "%[0-9a-fA-F]{2}",
        "%25[0-9a-fA-F]{2}",
        Just("%25".to_owned()),
        Just("%2".to_owned()),
        Just("%E4%B8%AD".to_owned()),
        Just("%32%66".to_owned()),
        Just("/".to_owned()),
        Just("..".to_owned()),
        Just("\\".to_owned()),
        ".",
    ];
    prop::collection::vec(piece, 0..8).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn r01_canonical_is_idempotent(raw in prop_oneof![nasty(), ".*"]) {
        if let Ok(once) = canonical(&raw) {
            prop_assert_eq!(canonical(&once), Ok(Cow::Borrowed(once.as_ref())), "{}", raw);
        }
    }

    #[test]
    fn r01_no_decoding_of_a_canonical_path_brings_out_what_is_refused(raw in nasty()) {
        if let Ok(path) = canonical(&raw) {
            let mut text = path.into_owned();
            // However often a server behind the gate decodes it.
            for _ in 0..4 {
                prop_assert!(text.starts_with('/'));
                prop_assert!(!text.contains("//") && !text.contains('\\') && !text.contains('#'), "{}", text);
                prop_assert!(!text.chars().any(|c| c.is_ascii_control()), "{:?}", text);
                prop_assert!(!text.split('/').any(|s| s == "." || s == ".."), "{}", text);
                let slashes = text.matches('/').count();
                let decoded = percent_decode_str(&text).decode_utf8_lossy().into_owned();
                prop_assert_eq!(decoded.matches('/').count(), slashes, "{}", text);
                text = decoded;
            }
        }
    }

    #[test]
    fn r01_a_canonical_path_means_what_was_sent(raw in nasty()) {
        if let Ok(path) = canonical(&raw) {
            prop_assert_eq!(
                percent_decode_str(&path).collect::<Vec<u8>>(),
                percent_decode_str(&raw).collect::<Vec<u8>>()
            );
        }
    }
}
