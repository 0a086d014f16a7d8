//! Which requests ask for a file of NocoBase's client.

use super::*;
use crate::decide::{ClientFile, FileKind, Naming, client_file};

fn naming(policy: &Policy, target: &str) -> Option<Naming> {
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    client_file(policy, "GET", path, query).map(|file| file.naming)
}

#[test]
fn files_of_the_client_are_known_by_folder_name_and_kind() {
    let policy = policy();
    for (target, expected) in [
        ("/assets/index-93181bbb.js", Naming::Hashed),
        ("/assets/index-12345678.css", Naming::Hashed),
        ("/v/assets/8747-b1250bb1.js", Naming::Hashed),
        ("/umi.0a1b2c3d.js", Naming::Hashed),
        ("/p__index.0a1b2c3d.async.js", Naming::Hashed),
        ("/static/plugins/@nocobase/plugin-ai/dist/client/12.0a1b2c3d.js", Naming::Hashed),
        ("/static/plugins/@nocobase/plugin-ai/dist/client/index.js?hash=0a1b2c3d", Naming::Versioned),
        ("/static/plugins/x/lib-20240101.js", Naming::Plain),
        ("/static/plugins/x/index.js", Naming::Plain),
        ("/assets/index-9318.js", Naming::Plain),
        ("/assets/index-93181BBB.js", Naming::Plain),
        ("/browser-checker.js?v=1", Naming::Plain),
        ("/global.css", Naming::Plain),
        ("/favicon/favicon.ico", Naming::Plain),
    ] {
        assert_eq!(naming(&policy, target), Some(expected), "{target}");
    }
}

#[test]
fn r25_nothing_else_is_a_file_of_the_client() {
    let policy = policy();
    for target in [
        "/api/x.js",
        "/api/assets/x-0a1b2c3d.js",
        "/files/main/x.js",
        "/files/assets/x-0a1b2c3d.js",
        "/storage/uploads/x.js",
        "/storage/assets/x-0a1b2c3d.js",
        "/admin/assets/x-0a1b2c3d.js",
        "/assets/x;x.js",
        "/assets/x%3B.js",
        "/assets/x%2Fx.js",
        "/assets/x%20-0a1b2c3d.js",
        "/assets/%E5%BC%A0-0a1b2c3d.js",
        "/assets/page.html",
        "/assets/x",
        "/assets/",
        "/assets/x.JS",
        "/assets/x.js?hash=a&token=b",
        "/assets/x.js?token=abcdefgh",
        "/assets/x.js?hash=",
        "/assets/x.js?",
        "/assets/x.js?hash=a%20b",
        "/assets/x.js?v=01234567890123456789012345678901234567890",
        "/ws.js",
        "/x.js",
        "/",
        "/wecom-gate/gate.js",
    ] {
        assert_eq!(naming(&policy, target), None, "{target}");
    }
    for method in ["POST", "OPTIONS", "get", "DELETE"] {
        assert_eq!(client_file(&policy, method, "/assets/x.js", None), None, "{method}");
    }
}

#[test]
fn r25_files_are_below_the_public_path_and_in_the_modern_clients_folder() {
    let mut policy = policy();
    policy.public_path = "/crm/".to_owned();
    policy.client = ClientPaths::new(Some("modern"), None);
    for target in ["/crm/assets/x.js", "/crm/modern/assets/x.js", "/crm/v/assets/x.js", "/crm/global.css"] {
        assert!(naming(&policy, target).is_some(), "{target}");
    }
    for target in ["/assets/x.js", "/v/assets/x.js", "/crm/api/x.js", "/crm/other/assets/x.js"] {
        assert_eq!(naming(&policy, target), None, "{target}");
    }
}

#[test]
fn r25_a_page_in_place_of_a_file_is_none() {
    for kind in [
        FileKind::Script,
        FileKind::Style,
        FileKind::Json,
        FileKind::Wasm,
        FileKind::Svg,
        FileKind::Icon,
        FileKind::Image,
        FileKind::Font,
        FileKind::Texts,
    ] {
        for wrong in ["text/html", "text/html; charset=utf-8", "", "text/plain", "application/octet-stream"] {
            assert!(!kind.takes(wrong), "{kind:?} {wrong}");
        }
    }
    assert!(FileKind::Script.takes("Application/JavaScript; charset=utf-8"));
    assert!(FileKind::Style.takes("text/css") && FileKind::Icon.takes("image/vnd.microsoft.icon"));
    assert!(!FileKind::Image.takes("image/svg+xml"), "it may hold scripts");
    assert!(!FileKind::Icon.takes("image/svg+xml"), "likewise");
}

#[test]
fn r25_each_kind_takes_its_own_types_and_no_other_kinds() {
    let kinds = [
        (FileKind::Script, &["text/javascript", "application/javascript", "application/x-javascript"][..]),
        (FileKind::Style, &["text/css"]),
        (FileKind::Json, &["application/json", "application/manifest+json", "text/json"]),
        (FileKind::Texts, &["application/json"]),
        (FileKind::Wasm, &["application/wasm"]),
        (FileKind::Svg, &["image/svg+xml"]),
        (FileKind::Image, &["image/png", "image/x-icon"]),
        (
            FileKind::Font,
            &[
                "font/woff2",
                "application/font-woff",
                "application/x-font-ttf",
                "application/vnd.ms-fontobject",
            ],
        ),
    ];
    for content_type in kinds.iter().flat_map(|(_, types)| *types) {
        for (kind, types) in &kinds {
            assert_eq!(kind.takes(content_type), types.contains(content_type), "{kind:?} {content_type}");
        }
    }
    for (kind, _) in kinds {
        assert_eq!(kind.is_compressible(), !matches!(kind, FileKind::Image | FileKind::Font), "{kind:?}");
    }
}

#[test]
fn r25_endings_say_the_kind() {
    let policy = policy();
    for (endings, kind) in [
        (&["js", "mjs"][..], FileKind::Script),
        (&["css"], FileKind::Style),
        (&["json", "map", "webmanifest"], FileKind::Json),
        (&["wasm"], FileKind::Wasm),
        (&["svg"], FileKind::Svg),
        (&["png", "jpg", "jpeg", "gif", "webp", "avif"], FileKind::Image),
        (&["ico"], FileKind::Icon),
        (&["woff", "woff2", "ttf", "otf", "eot"], FileKind::Font),
    ] {
        for ending in endings {
            let path = format!("/assets/x.{ending}");
            let file = client_file(&policy, "GET", &path, None).unwrap();
            assert_eq!(file.kind, kind, "{ending}");
            assert!(file.may_be(b"") && file.may_be(b"x"), "{ending}");
            assert!(!ClientFile { kind: FileKind::Texts, ..file }.may_be(b"x"), "texts name their language");
        }
    }
}

#[test]
fn r25_texts_are_shared_only_in_the_language_that_was_requested() {
    let policy = policy();
    let texts = |query| client_file(&policy, "GET", "/api/app:getLang", query);
    let found = texts(Some("locale=zh-CN")).unwrap();
    assert_eq!((found.naming, found.kind), (Naming::Plain, FileKind::Texts));
    assert!(found.may_be(br#"{"data":{"lang":"zh-CN","resources":{}}}"#));
    for other in [
        &br#"{"data":{"lang":"en-US","resources":{}}}"#[..],
        br#"{"data":{"lang":"zh-CN-x","resources":{}}}"#,
        br#"{"errors":[]}"#,
        b"",
    ] {
        assert!(!found.may_be(other));
    }
    for query in
        [None, Some(""), Some("locale="), Some("locale=zh-CN&ns=x"), Some("ns=x"), Some("locale=a%20b")]
    {
        assert_eq!(texts(query), None, "{query:?}");
    }
    assert!(client_file(&policy, "POST", "/api/app:getLang", Some("locale=zh-CN")).is_none());
    assert!(client_file(&policy, "GET", "/api/app:getLang/x", Some("locale=zh-CN")).is_none());
}

#[test]
fn only_what_another_site_cannot_have_sent_may_be_compressed() {
    let policy = policy();
    for (credential, site, expected) in [
        (Credential::Phantom, None, true),
        (Credential::Phantom, Some("same-origin"), true),
        (Credential::Phantom, Some("cross-site"), false),
        (Credential::ApiToken, None, true),
        (Credential::ApiToken, Some("cross-site"), false),
        (Credential::None, Some("same-origin"), true),
        (Credential::None, Some("none"), false),
        (Credential::None, None, false),
    ] {
        let request = Request {
            path: "/api/users:list",
            credential,
            sec_fetch_site: site,
            session: SessionState::Valid,
            ..page("/api/users:list")
        };
        let Decision::Forward(options) = super::super::decide(&policy, &request) else { continue };
        assert_eq!(options.may_compress, expected, "{credential:?} {site:?}");
    }
}
