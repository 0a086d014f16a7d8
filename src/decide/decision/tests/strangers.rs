//! Requests of clients that are not signed in.

mod anonymous;

use super::*;

#[test]
fn networks_rules_and_keys_pass_without_a_session() {
    let closed = Policy { api_keys: false, ..policy() };
    let office = [10, 1, 2, 3].into();
    for credential in [Credential::None, Credential::Invalid, Credential::ApiToken] {
        for request in [page("/admin"), call("/api/users:list"), call("/assets/x.js")] {
            let request = Request { client_ip: office, credential, ..request };
            assert_eq!(decide(&closed, &request), pass(Identity::Anonymous));
        }
        for (method, path) in [("GET", "/api/app:getLang"), ("POST", "/api/webhook:x"), ("PUT", "/open/a/b")]
        {
            let request = Request { method, credential, ..call(path) };
            assert_eq!(decide(&closed, &request), pass(Identity::Anonymous), "{method} {path}");
        }
    }
    for request in [page("/admin"), call("/api/users:list"), Request { method: "DELETE", ..call("/api/x") }] {
        let key = Request { credential: Credential::ApiToken, user_agent: Some(CURL), ..request };
        assert_eq!(decide(&policy(), &key), pass(Identity::Token));
        assert_eq!(decide(&closed, &key), no(Failure::InvalidToken));
        let bad = Request { credential: Credential::Invalid, ..key };
        assert_eq!(decide(&policy(), &bad), no(Failure::InvalidToken));
    }
    let shown = Request { credential: Credential::Invalid, ..page("/admin") };
    assert_eq!(decide(&policy(), &shown), no_page(Failure::InvalidToken));
}

#[test]
fn r02_a_word_passes_anonymously_and_opens_nothing_else() {
    let public = PublicRules::parse(&["@public-forms".to_owned()], "/").unwrap();
    let open = Policy { public, ..policy() };
    let closed = Policy { api_keys: false, ..open.clone() };
    let submit = Request { method: "POST", ..call("/api/orders:create") };
    for session in [SessionState::None, SessionState::Ended] {
        for (credential, with_keys) in [
            (Credential::None, Identity::Anonymous),
            (Credential::Invalid, Identity::Anonymous),
            (Credential::ApiToken, Identity::Token),
            (Credential::OwnToken, Identity::Token),
        ] {
            let request = Request { credential, session, ..submit };
            let options = options(&open, &request);
            let stripped = with_keys == Identity::Anonymous;
            assert_eq!((options.identity, options.strip_credentials), (with_keys, stripped), "{request:?}");
            let options = super::options(&closed, &request);
            let found = (options.identity, options.strip_credentials, options.strip_token);
            assert_eq!(found, (Identity::Anonymous, true, true), "{request:?}");
        }
    }
    let office = Request { client_ip: [10, 1, 2, 3].into(), credential: Credential::ApiToken, ..submit };
    assert!(!options(&closed, &office).strip_credentials, "the network lets it pass unchanged");
    let by_word = call("/api/orders/A%2F1:create");
    assert_eq!(decide(&open, &Request { method: "POST", ..by_word }), no(Failure::NoSession));
}

#[test]
fn r03_bypass_depends_on_the_address_alone() {
    for (ip, passes) in [
        ("10.255.0.1", true),
        ("::ffff:10.0.0.1", true),
        ("11.0.0.1", false),
        ("::1", false),
        ("127.0.0.1", false),
    ] {
        let request = Request { client_ip: ip.parse().unwrap(), ..call("/api/users:list") };
        assert_eq!(matches!(decide(&policy(), &request), Decision::Forward(_)), passes, "{ip}");
    }
}

#[test]
fn r02_a_token_in_the_query_opens_nothing() {
    for query in ["token=x", "token=eyJhbGciOiJIUzI1NiJ9.e30.x&authenticator=basic"] {
        assert_eq!(
            decide(&policy(), &Request { query: Some(query), ..call("/api/x") }),
            no(Failure::NoSession)
        );
        let request = Request { query: Some(query), ..page("/admin") };
        assert_eq!(decide(&policy(), &request), Decision::Login { via: LoginKind::WeCom, entry: 1 });
    }
}

/// As sent by browsers that are too old for Fetch metadata.
fn without_fetch_metadata(request: Request<'_>) -> Request<'_> {
    Request { sec_fetch_mode: None, sec_fetch_dest: None, sec_fetch_site: None, ..request }
}

#[test]
fn a_page_in_a_frame_gets_a_page_and_no_redirect() {
    for dest in ["iframe", "frame", "embed", "object"] {
        for site in ["cross-site", "same-site", "same-origin"] {
            for path in ["/admin", "/admin/x/schema.json", "/files/main/1.pdf"] {
                let request =
                    Request { sec_fetch_dest: Some(dest), sec_fetch_site: Some(site), ..page(path) };
                assert_eq!(decide(&policy(), &request), no_page(Failure::NoSession), "{dest} {site} {path}");
                let script = Request { sec_fetch_mode: Some("no-cors"), ..request };
                assert_eq!(decide(&policy(), &script), no(Failure::NoSession), "{dest} {site} {path}");
                for no_page in [Request { method: "POST", ..request }, Request { upgrade: true, ..request }] {
                    let decision = decide(&policy(), &no_page);
                    assert!(
                        matches!(decision, Decision::Refuse { page: false, .. }),
                        "{no_page:?} {decision:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn what_is_no_page_load_gets_401_and_never_a_redirect() {
    let base = page("/admin");
    let old = without_fetch_metadata(base);
    for (why, request) in [
        ("POST", Request { method: "POST", ..base }),
        ("PUT", Request { method: "PUT", ..base }),
        ("OPTIONS", Request { method: "OPTIONS", ..base }),
        ("get", Request { method: "get", ..base }),
        ("upgrade", Request { upgrade: true, ..base }),
        ("XHR", Request { x_requested_with: Some("XMLHttpRequest"), ..base }),
        ("xhr", Request { x_requested_with: Some(" xmlhttprequest "), ..base }),
        ("mode cors", Request { sec_fetch_mode: Some("cors"), ..base }),
        ("mode no-cors", Request { sec_fetch_mode: Some("no-cors"), ..base }),
        ("mode empty", Request { sec_fetch_mode: Some(""), ..base }),
        ("dest empty", Request { sec_fetch_dest: Some("empty"), ..base }),
        ("dest image", Request { sec_fetch_dest: Some("image"), ..base }),
        (
            "dest iframe of a script",
            Request { sec_fetch_dest: Some("iframe"), sec_fetch_mode: Some("cors"), ..base },
        ),
        ("API in a frame", Request { path: "/api/x:get", sec_fetch_dest: Some("iframe"), ..base }),
        ("accept json", Request { accept: Some("application/json"), ..base }),
        ("accept image", Request { accept: Some("image/*"), ..base }),
        ("accept nothing", Request { accept: Some(""), ..base }),
        ("accept alike", Request { accept: Some("text/htmlx, application/json;a=text/html"), ..base }),
        ("curl", Request { user_agent: Some(CURL), ..base }),
        ("nobody", Request { user_agent: None, ..base }),
        ("api", Request { path: "/api/users:list", ..base }),
        ("api itself", Request { path: "/api", ..base }),
        ("ws", Request { path: "/ws", ..base }),
        ("files", Request { path: "/files/main/1.pdf", accept: Some("*/*"), ..old }),
        ("storage", Request { path: "/storage/uploads/x", accept: Some("image/avif,*/*;q=0.8"), ..old }),
        ("static", Request { path: "/static/plugins/x", ..old }),
        ("assets", Request { path: "/assets/x", ..old }),
        ("dist", Request { path: "/dist/x", ..old }),
        ("script", Request { path: "/browser-checker.js", accept: Some("*/*"), ..old }),
        ("style", Request { path: "/global.CSS", accept: Some("text/css,*/*;q=0.1"), ..old }),
        ("font", Request { path: "/x/y.woff2", accept: Some("*/*"), ..old }),
        ("source map", Request { path: "/x/y.js.map", accept: None, ..old }),
    ] {
        for signed_out in [false, true] {
            let request = Request { signed_out, ..request };
            assert_eq!(decide(&policy(), &request), no(Failure::NoSession), "{why}");
            let ended = Request { session: SessionState::Ended, ..request };
            assert_eq!(decide(&policy(), &ended), no(Failure::SessionEnded), "{why}");
        }
    }
}

/// Paths that look like file names: record keys, printed pages, names of files.
const NAMES: [&str; 12] = [
    "/admin/x/popups/y/filterbytk/schema.json",
    "/admin/x/filterbytk/2026.css",
    "/admin/x/filterbytk/A-001.js",
    "/admin/x/filterbytk/logo.svg",
    "/admin/x/filterbytk/report.pdf",
    "/admin/x/print/invoice%202026.pdf",
    "/admin/x/filterbytk/%E5%90%88%E5%90%8C.xml",
    "/m/x/filterbytk/a.webmanifest",
    "/v/admin/x/filterbytk/fonts.woff2",
    "/files/main/main/attachments/1.pdf",
    "/storage/uploads/%E5%90%88%E5%90%8C.docx",
    "/sitemap.xml",
];

/// The requested kind of resource decides, never the extension.
#[test]
fn a_page_load_is_what_the_browser_says_it_is() {
    let sign_in = Decision::Login { via: LoginKind::WeCom, entry: 1 };
    for path in NAMES {
        // In a window: typed, by a link, reloaded, in a new tab or a background tab.
        for site in ["none", "same-origin", "same-site", "cross-site"] {
            let window = Request { sec_fetch_site: Some(site), ..page(path) };
            assert_eq!(decide(&policy(), &window), sign_in, "{site} {path}");
        }
        // Speculation rules: the browser loads the page before the click, as a document.
        let prerender = Request { accept: Some("text/html,*/*;q=0.8"), ..page(path) };
        assert_eq!(decide(&policy(), &prerender), sign_in, "{path}");
        // In a frame: a page, but no redirect.
        for dest in ["iframe", "frame", "embed", "object", "fencedframe"] {
            let framed = Request { sec_fetch_dest: Some(dest), ..page(path) };
            assert_eq!(decide(&policy(), &framed), no_page(Failure::NoSession), "{dest} {path}");
        }
        // By a page's script, as a subresource, by a worker, for later (`rel=prefetch`), or by the browser itself.
        for (dest, mode) in [
            ("empty", "cors"),
            ("empty", "no-cors"),
            ("empty", "same-origin"),
            ("script", "no-cors"),
            ("style", "no-cors"),
            ("image", "no-cors"),
            ("font", "cors"),
            ("json", "cors"),
            ("track", "cors"),
            ("video", "no-cors"),
            ("audio", "no-cors"),
            ("worker", "same-origin"),
            ("sharedworker", "same-origin"),
            ("serviceworker", "same-origin"),
            ("audioworklet", "cors"),
            ("paintworklet", "cors"),
            ("manifest", "cors"),
            ("report", "no-cors"),
            ("xslt", "same-origin"),
            ("webidentity", "no-cors"),
            ("embed", "no-cors"),
            ("object", "no-cors"),
            ("document", "cors"),
            ("made-up", "navigate"),
            ("", "navigate"),
        ] {
            for accept in ["*/*", HTML] {
                let fetch = Request {
                    sec_fetch_dest: Some(dest),
                    sec_fetch_mode: Some(mode),
                    accept: Some(accept),
                    ..page(path)
                };
                assert_eq!(
                    decide(&policy(), &fetch),
                    no(Failure::NoSession),
                    "{dest} {mode} {accept} {path}"
                );
            }
        }
    }
}

/// Safari before 16.4, and WeCom on such iPhones: `Accept` is the only hint.
#[test]
fn without_fetch_metadata_a_page_load_is_recognised_by_accept() {
    const SAFARI: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
    let sign_in = Decision::Login { via: LoginKind::WeCom, entry: 1 };
    for path in NAMES {
        for accept in [SAFARI, "text/html", "application/xml;q=0.9, TEXT/HTML ;q=1"] {
            let window = Request { accept: Some(accept), ..without_fetch_metadata(page(path)) };
            assert_eq!(decide(&policy(), &window), sign_in, "{accept} {path}");
        }
        // Scripts, styles, images, videos, fonts, calls.
        for accept in [
            "text/css,*/*;q=0.1",
            "image/webp,image/avif,video/*;q=0.8,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5",
            "application/json, text/plain, */*",
            "application/json;x=text/html, */*",
            "text/htmlx, */*",
        ] {
            let part = Request { accept: Some(accept), ..without_fetch_metadata(page(path)) };
            let found = decide(&policy(), &part);
            // With only `*/*` it may be a page load: then the extension decides.
            let may_be_page =
                !["/files/", "/storage/"].iter().any(|root| path.starts_with(root)) && path.ends_with(".pdf");
            let expected = if may_be_page { sign_in.clone() } else { no(Failure::NoSession) };
            assert_eq!(found, expected, "{accept} {path}");
        }
    }
    // Nothing below the folders of NocoBase's client or its API is a page.
    for path in
        ["/api/users:list", "/api/x/y.json", "/ws", "/assets/x.js", "/static/plugins/x.js", "/dist/x.js"]
    {
        let window = Request { accept: Some(SAFARI), ..without_fetch_metadata(page(path)) };
        assert_eq!(decide(&policy(), &window), no(Failure::NoSession), "{path}");
    }
    // A page opened with a session has the script, whatever the record's key.
    for path in NAMES.into_iter().filter(|path| path.starts_with("/admin/")) {
        for base in [page(path), without_fetch_metadata(page(path))] {
            let options = options(&policy(), &Request { session: SessionState::Valid, ..base });
            assert!(options.put_script, "{base:?}");
        }
    }
}

#[test]
fn page_loads_start_a_sign_in() {
    let base = page("/admin");
    for (why, request) in [
        ("plain", base),
        ("HEAD", Request { method: "HEAD", ..base }),
        ("deep link", Request { path: "/admin/settings/a.b/c", query: Some("x=y"), ..base }),
        ("root", Request { path: "/", ..base }),
        ("phone", Request { path: "/m", ..base }),
        ("like api", Request { path: "/apidocs", ..base }),
        ("like ws", Request { path: "/wsx", ..base }),
        ("api below", Request { path: "/admin/api/x", ..base }),
        ("no extension", Request { path: "/admin.js/x", ..base }),
        ("a record's key", Request { path: "/admin/x/popups/y/filterbytk/schema.json", ..base }),
        ("a file in a window", Request { path: "/files/main/1.pdf", ..base }),
        ("an upload in a window", Request { path: "/storage/uploads/a.png", ..base }),
        ("a style in a window", Request { path: "/global.CSS", ..base }),
        ("a file, old browser", without_fetch_metadata(Request { path: "/files/main/1.pdf", ..base })),
        ("an upload, old browser", without_fetch_metadata(Request { path: "/storage/uploads/x", ..base })),
        (
            "no headers",
            Request {
                accept: None,
                sec_fetch_mode: None,
                sec_fetch_dest: None,
                sec_fetch_site: None,
                ..base
            },
        ),
        ("accept anything", Request { accept: Some("*/*"), ..base }),
        ("accept xhtml", Request { accept: Some("application/json, Application/XHTML+xml ;q=0.1"), ..base }),
        // Android's webview sends the app's name.
        ("WeCom on Android", Request { x_requested_with: Some("com.tencent.wework"), ..base }),
        ("from another site", Request { sec_fetch_site: Some("cross-site"), ..base }),
        ("session ended", Request { session: SessionState::Ended, ..base }),
        ("phantom of nothing", Request { credential: Credential::Phantom, ..base }),
    ] {
        assert_eq!(decide(&policy(), &request), Decision::Login { via: LoginKind::WeCom, entry: 1 }, "{why}");
    }
    let crm = Policy { public_path: "/crm/".to_owned(), ..policy() };
    for (path, is_page) in [
        ("/crm/admin", true),
        ("/", true),
        ("/crm/api/x", false),
        ("/crm/ws", false),
        ("/crm/assets/x", false),
        ("/crm/files/x.pdf", true),
    ] {
        let led = matches!(decide(&crm, &without_fetch_metadata(page(path))), Decision::Login { .. });
        assert_eq!(led, is_page, "{path}");
    }
}

#[test]
fn each_kind_of_client_has_its_way_to_sign_in() {
    use Browsers::{Deny, NocoBase, SignInPage, WebLogin};
    let sign_in = Decision::Page(Page::SignIn);
    let open_in_wecom = Decision::Page(Page::OpenInWeCom);
    let login = |via, entry| Decision::Login { via, entry };
    let form = Decision::Form("/signin?redirect=%2Fadmin".to_owned());
    for (ua, browsers, auto_entry, want) in [
        (WECOM, WebLogin, Some(1), login(LoginKind::WeCom, 1)),
        (WECOM, SignInPage, Some(1), login(LoginKind::WeCom, 1)),
        (WECOM, NocoBase, Some(0), login(LoginKind::WeCom, 0)),
        (WECOM, Deny, Some(0), login(LoginKind::WeCom, 0)),
        (WECOM, WebLogin, None, sign_in.clone()),
        (WECOM, Deny, None, sign_in.clone()),
        (WECHAT, WebLogin, Some(1), open_in_wecom.clone()),
        (WECHAT, SignInPage, None, open_in_wecom.clone()),
        (WECHAT, NocoBase, Some(1), form.clone()),
        (WECOM, NocoBase, None, form.clone()),
        (WECHAT, Deny, Some(1), open_in_wecom.clone()),
        (PHONE, WebLogin, Some(1), open_in_wecom.clone()),
        (PHONE, SignInPage, Some(1), open_in_wecom.clone()),
        (PHONE, NocoBase, Some(1), form.clone()),
        (PHONE, Deny, Some(1), no_page(Failure::BrowserDenied)),
        (CHROME, WebLogin, Some(1), login(LoginKind::Web, 1)),
        (CHROME, WebLogin, None, login(LoginKind::Web, 0)),
        (CHROME, SignInPage, Some(1), sign_in.clone()),
        (CHROME, NocoBase, Some(1), form.clone()),
        (CHROME, Deny, Some(1), no_page(Failure::BrowserDenied)),
    ] {
        let policy = Policy { browsers, auto_entry, ..policy() };
        let request = Request { user_agent: Some(ua), ..page("/admin") };
        assert_eq!(decide(&policy, &request), want, "{browsers:?} {auto_entry:?} {ua}");
        // A member who has signed out on purpose is not signed in again automatically.
        let out = Request { signed_out: true, ..request };
        let waits = if browsers == NocoBase { form.clone() } else { Decision::Page(Page::SignedOut) };
        assert_eq!(decide(&policy, &out), waits, "{browsers:?} {ua}");
    }
    let empty = Policy { entries: Vec::new(), auto_entry: None, ..policy() };
    let request = Request { user_agent: Some(CHROME), ..page("/admin") };
    assert_eq!(decide(&empty, &request), Decision::Page(Page::SignIn));
}
