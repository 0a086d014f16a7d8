//! Page security: headers, escaping, no other scripts, no external resources.

use base64::Engine;
use proptest::prelude::*;

use super::*;

#[test]
fn r25_r27_every_page_carries_the_headers_that_keep_it_harmless() {
    for (name, rendered) in all() {
        for (header, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("cache-control", "no-store"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "SAMEORIGIN"),
        ] {
            assert_eq!(rendered.header(header), Some(value), "{name}");
        }
        assert!(name.ends_with(rendered.header("content-language").unwrap()), "{name}");
        let csp = rendered.header("content-security-policy").unwrap();
        for directive in
            ["default-src 'none'", "form-action 'self'", "frame-ancestors 'self'", "base-uri 'none'"]
        {
            assert!(csp.split("; ").any(|d| d == directive), "{name}: {csp}");
        }
        assert!(!csp.contains("unsafe") && !csp.contains("script-src 'self'"), "{name}: {csp}");
    }
}

#[test]
fn r27_a_page_in_a_frame_is_shown_there_and_opens_its_links_in_a_new_window() {
    for failure in [Failure::NoSession, Failure::SessionEnded] {
        let mut view = View::new(Lang::all()[0], Page::Failure(failure), "id", std::time::SystemTime::now());
        view.retry = Some("/admin");
        view.password = Some("/signin");
        view.framed = true;
        let framed = render(&view);
        assert_eq!(framed.header("x-frame-options"), None);
        assert!(framed.header("content-security-policy").unwrap().contains("frame-ancestors *;"));
        let links = framed.body.matches("<a ").count();
        assert!(links > 0);
        assert_eq!(
            framed.body.matches("target=\"_blank\" rel=\"noopener\"").count(),
            links,
            "{}",
            framed.body
        );
        assert!(!framed.body.contains("<form"), "nothing to click by mistake");
        view.framed = false;
        assert!(!render(&view).body.contains("target="));
    }
}

#[test]
fn r27_the_policy_allows_exactly_the_one_style_and_the_one_script() {
    for (name, rendered) in all() {
        let styles: Vec<&str> = rendered
            .body
            .split("<style>")
            .skip(1)
            .filter_map(|s| s.split_once("</style>"))
            .map(|s| s.0)
            .collect();
        let [style] = styles[..] else { panic!("{name}: {} styles", styles.len()) };
        let hash = |text: &str| {
            let hash = ring::digest::digest(&ring::digest::SHA256, text.as_bytes());
            base64::engine::general_purpose::STANDARD.encode(hash.as_ref())
        };
        let csp = rendered.header("content-security-policy").unwrap();
        assert!(csp.contains(&format!("style-src 'sha256-{}'", hash(style))), "{name}");
        assert!(csp.contains(&format!("script-src 'sha256-{}'", hash(SCRIPT))), "{name}");
        let body = rendered.body.replace(&ours(), "");
        assert!(!body.contains(" style=\"") && !body.contains("<script"), "{name}");
    }
}

/// The only script, as in pages with an address to copy and in those that try again automatically.
fn ours() -> String {
    format!("<script>{SCRIPT}</script>")
}

#[test]
fn r27_nothing_is_loaded_from_anywhere() {
    for (name, rendered) in all() {
        let body = rendered.body.replace(LINK, "").replace("src=\"data:image/svg+xml;base64,", "");
        for outside in ["http://", "https://", "src=", "@import", "url(", "=\"//"] {
            assert!(!body.contains(outside), "{name}: {outside}");
        }
    }
}

#[test]
fn r27_what_comes_from_outside_is_escaped() {
    let entries = [Entry { title: HOSTILE, href: "/\"onclick=alert(3)>" }];
    let all = pages();
    for lang in Lang::all() {
        for (name, page) in &all {
            let body = render(&View {
                request_id: HOSTILE,
                retry: Some("/\"><script>alert(4)</script>"),
                home: "/'\"><script>alert(5)</script>",
                link: Some(HOSTILE),
                entries: &entries,
                password: Some("/\"><b>"),
                account_form: Some(AccountForm {
                    id: HOSTILE,
                    member: HOSTILE,
                    account: HOSTILE,
                    words: HOSTILE,
                }),
                ..View::new(lang, *page, HOSTILE, now())
            })
            .body;
            let body = body.replace(&ours(), "").replace("<img src=\"data:image/svg+xml;base64,", "");
            for raw in ["<script", "<img", "<b>", "\"onclick", "'><"] {
                assert!(!body.contains(raw), "{name}: {raw} in {body}");
            }
        }
    }
}

proptest! {
    #[test]
    fn r27_no_input_breaks_out_of_a_page(text in "\\PC{0,40}", path in "/?[\\PC\t\r\n]{0,40}") {
        let entries = [Entry { title: &text, href: &path }];
        for page in [Page::SignIn, Page::Failure(Failure::OpenInWeCom), Page::Failure(Failure::NocoBaseStarting)] {
            let tame_entries = [Entry { title: "x", href: "/x" }];
            let tame = View { entries: &tame_entries, retry: Some("/x"), link: Some("x"), password: Some("/x"), ..View::new(Lang::default(), page, "x", now()) };
            let wild = View { entries: &entries, request_id: &text, retry: Some(&path), link: Some(&text), password: Some(&path), home: &path, ..View::new(Lang::default(), page, &text, now()) };
            // A refused path removes its button; nothing ever adds an element.
            let count = |body: &str| body.matches('<').count();
            prop_assert!(count(&render(&wild).body) <= count(&render(&tame).body));
        }
    }
}

#[test]
fn r25_json_errors_have_nocobases_shape() {
    let rendered = json_error(Failure::NoSession, "Please \"sign\" in", Some("/wecom-gate/login"), None);
    assert_eq!(rendered.status, 401);
    let body: serde_json::Value = serde_json::from_str(&rendered.body).unwrap();
    assert_eq!(
        body,
        serde_json::json!({"errors": [{"message": "Please \"sign\" in", "code": "EMPTY_TOKEN"}]})
    );
    assert_eq!(rendered.header("X-WeCom-Gate-Login"), Some("/wecom-gate/login"));
    assert_eq!(rendered.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(rendered.header("cache-control"), Some("no-store"));
    let busy = json_error(Failure::WeComBusy, "busy", None, None);
    assert_eq!((busy.header("retry-after"), busy.header("X-WeCom-Gate-Login")), (Some("5"), None));
    let later = json_error(Failure::NocoBaseBusy, "busy", None, Some(6));
    assert_eq!(later.header("retry-after"), Some("6"), "when it is the client's turn");
}
