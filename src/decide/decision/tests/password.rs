//! NocoBase's own password form next to the gate's sign-in.

use super::*;

mod form_address;

fn with_password() -> Policy {
    Policy { password: true, public: PublicRules::parse(&[], "/").unwrap(), ..policy() }
}

fn forwards(policy: &Policy, request: &Request<'_>) -> bool {
    matches!(decide(policy, request), Decision::Forward(_))
}

const SCRIPTED: Decision =
    Decision::Forward(ForwardOptions { put_script: true, ..ForwardOptions::plain(Identity::Anonymous) });

#[test]
fn the_form_and_its_files_and_calls_pass_by_exact_name() {
    let crm = Policy { public_path: "/crm/".to_owned(), ..with_password() };
    for (policy, root) in [(with_password(), "/"), (crm, "/crm/")] {
        for name in ["signin", "v/signin"] {
            let path = format!("{root}{name}");
            for signed_out in [false, true] {
                let request = Request { query: Some("redirect=/admin"), signed_out, ..page(&path) };
                assert_eq!(decide(&policy, &request), SCRIPTED, "{path}");
            }
            assert!(!forwards(&policy, &Request { method: "POST", ..page(&path) }), "{path}");
        }
        for (method, name) in [
            ("GET", "assets/index-93181bbb.js"),
            ("HEAD", "static/plugins/@nocobase/plugin-auth/dist/client/index.js"),
            ("GET", "v/assets/x.css"),
            ("GET", "global.css"),
            ("GET", "favicon/favicon.ico"),
            ("GET", "v/favicon_no_exist.ico"),
            ("GET", "umi.0a1b2c3d.js"),
            ("GET", "umi.0a1b2c3d.css"),
            ("GET", "p__index.0a1b2c3d.async.css"),
            ("HEAD", "948.5f6e7d8c.async.js"),
            ("GET", "p__index.0a1b2c3d4e5f.async.js"),
            ("GET", "src__pages_index.0a1b2c3d.chunk.css"),
            ("GET", "preload_helper.0a1b2c3d.js"),
            ("GET", "api/app:getLang"),
            ("GET", "api/pm:listEnabled"),
            ("GET", "api/pm:listEnabledV2"),
            ("GET", "api/uiLayouts:listEnabled"),
            ("GET", "api/systemSettings:get"),
            ("GET", "api/themeConfig:list"),
            ("POST", "api/authenticators:publicList"),
            ("POST", "api/auth:signIn"),
        ] {
            let path = format!("{root}{name}");
            // Also with an invalid token left over from an earlier session.
            for credential in [Credential::None, Credential::Invalid] {
                let request = Request { method, credential, ..call(&path) };
                assert_eq!(decide(&policy, &request), pass(Identity::Anonymous), "{method} {path}");
            }
            // None of it passes when the form is not in use.
            let closed = Policy { password: false, ..policy.clone() };
            assert!(!forwards(&closed, &Request { method, ..call(&path) }), "{method} {path}");
        }
        for (method, name) in [
            ("GET", "signin/x"),
            ("GET", "admin/signin"),
            ("GET", "signup"),
            ("GET", "api/auth:signIn"),
            ("POST", "api/auth:signIn/"),
            ("POST", "api/auth:signUp"),
            ("POST", "api/auth:signin"),
            ("GET", "api/auth:check"),
            ("POST", "api/app:getLang"),
            ("GET", "api/app:getLangs"),
            ("GET", "api/app:getInfo"),
            ("POST", "api/pm:listEnabled"),
            ("GET", "api/pm:list"),
            ("GET", "api/uiLayouts:list"),
            ("GET", "api/uiLayouts"),
            ("GET", "api/uiLayouts/listEnabled"),
            ("GET", "api/uiLayouts:listEnabled/"),
            ("GET", "api/uiLayouts:listEnabled/1"),
            ("GET", "api/uiLayouts:listenabled"),
            ("GET", "api/uiLayouts:listEnabledV2"),
            ("GET", "api/__app/main/uiLayouts:listEnabled"),
            ("POST", "api/uiLayouts:listEnabled"),
            ("PUT", "api/uiLayouts:listEnabled"),
            ("GET", "x/api/uiLayouts:listEnabled"),
            ("GET", "v/api/uiLayouts:listEnabled"),
            ("GET", "favicon/x.ico"),
            ("GET", "favicon/favicon.ico/x"),
            ("POST", "favicon/favicon.ico"),
            ("GET", "api/systemSettings:get/1"),
            ("GET", "api/__app/main/auth:signIn"),
            ("GET", "api/users:list"),
            ("POST", "assets/x.js"),
            ("GET", "assets"),
            ("GET", "storage/uploads/x.png"),
            ("GET", "files/main/main/attachments/1.png"),
            ("GET", "ws"),
            ("GET", "global.css/x"),
            ("GET", "umi.js"),
            ("GET", "umi.nohash12.js"),
            ("GET", "other.0a1b2c3d.css"),
            ("GET", "umi.0a1b2c3.js"),
            ("GET", "x.0a1b2c3d.js"),
            ("GET", "umi.0a1b2c3d.json"),
            ("GET", "umi.0a1b2c3d.async.json"),
            ("GET", "x/umi.0a1b2c3d.js"),
            ("GET", ".0a1b2c3d.async.js"),
            ("GET", "api/x.0a1b2c3d.async.js"),
            ("GET", "umi.0a1b2c3d.js/x"),
            ("POST", "umi.0a1b2c3d.js"),
        ] {
            let path = format!("{root}{name}");
            assert!(!forwards(&policy, &Request { method, ..call(&path) }), "{method} {path}");
            assert!(!forwards(&policy, &Request { upgrade: true, ..call(&path) }), "{method} {path}");
        }
    }
    // The same names outside NocoBase's public path have no meaning.
    let crm = Policy { public_path: "/crm/".to_owned(), ..with_password() };
    assert!(!forwards(&crm, &page("/signin")) && !forwards(&crm, &call("/assets/x.js")));
}

#[test]
fn a_link_to_the_form_cannot_sign_in_as_another_user() {
    let request = Request { query: Some("redirect=/x&token=eyJ&authenticator=basic"), ..page("/signin") };
    assert_eq!(decide(&with_password(), &request), Decision::Redirect("/signin?redirect=/x".to_owned()));
}

#[test]
fn a_password_session_may_do_what_its_token_allows() {
    let keyless = Policy { api_keys: false, ..with_password() };
    for request in [call("/api/users:list"), Request { method: "DELETE", ..call("/api/x") }] {
        let with = |credential| Request { credential, ..request };
        assert_eq!(decide(&keyless, &with(Credential::OwnToken)), pass(Identity::Token));
        assert_eq!(decide(&keyless, &with(Credential::ApiToken)), no(Failure::InvalidToken));
        assert_eq!(decide(&keyless, &with(Credential::Invalid)), no(Failure::InvalidToken));
        assert_eq!(decide(&keyless, &with(Credential::None)), no(Failure::NoSession));
        // When the form is off, a page's token counts as an API key.
        for (api_keys, passes) in [(true, true), (false, false)] {
            let closed = Policy { api_keys, password: false, ..policy() };
            assert_eq!(forwards(&closed, &with(Credential::OwnToken)), passes);
        }
    }
}

#[test]
fn nocobases_cookie_opens_pages_files_and_the_websocket_and_no_call() {
    let policy = with_password();
    let cookie = |request| Request { own_cookie: true, user_agent: Some(CHROME), ..request };
    assert_eq!(decide(&policy, &cookie(page("/admin/x"))), SCRIPTED);
    let ws =
        Request { upgrade: true, origin: Some(ORIGIN), sec_fetch_mode: Some("websocket"), ..call("/ws") };
    for request in [call("/files/main/main/attachments/1.png"), call("/storage/uploads/1.png"), ws] {
        assert_eq!(decide(&policy, &cookie(request)), pass(Identity::Anonymous), "{}", request.path);
        assert_eq!(options(&policy, &cookie(request)).own_tokens, request.upgrade, "{}", request.path);
        // The form's own WebSocket needs no cookie.
        assert_eq!(forwards(&policy, &request), request.upgrade, "{}", request.path);
        // Not if another site caused the request, nor with an invalid token.
        let foreign =
            Request { sec_fetch_site: Some("cross-site"), origin: Some("https://evil.com"), ..request };
        assert!(!forwards(&policy, &cookie(foreign)), "{}", request.path);
        let invalid = Request { credential: Credential::Invalid, ..request };
        assert!(!forwards(&policy, &cookie(invalid)), "{}", request.path);
    }
    for request in [
        call("/api/users:list"),
        Request { method: "POST", ..call("/api/users:create") },
        Request { method: "POST", ..call("/files/main/main/attachments/1.png") },
        Request { path: "/ws/x", ..ws },
        Request { origin: None, ..ws },
        Request { upgrade: true, origin: Some(ORIGIN), ..call("/admin") },
        call("/metrics"),
    ] {
        assert!(!forwards(&policy, &cookie(request)), "{} {}", request.method, request.path);
    }
}

#[test]
fn a_sign_in_by_password_gets_its_cookie_when_our_own_page_checks_its_token() {
    let check = |credential| Request { credential, ..call("/api/auth:check") };
    let opens = |policy: &Policy, request: &Request<'_>| matches!(crate::decide::decide(policy, request), Decision::Forward(options) if options.opens_password);
    let policy = with_password();
    let good = check(Credential::OwnToken);
    let old = Request { sec_fetch_site: None, sec_fetch_mode: None, sec_fetch_dest: None, ..good };
    for request in [
        good,
        old,
        Request { origin: Some(ORIGIN), ..good },
        Request { origin: Some(ORIGIN), ..old },
        Request { session: SessionState::Ended, ..good },
    ] {
        assert!(opens(&policy, &request), "{request:?}");
    }
    let closed = Policy { password: false, ..policy.clone() };
    for (policy, request) in [
        (&closed, good),
        (&policy, check(Credential::None)),
        (&policy, check(Credential::ApiToken)),
        (&policy, check(Credential::Invalid)),
        (&policy, Request { session: SessionState::Valid, ..good }),
        (&policy, Request { method: "HEAD", ..good }),
        (&policy, Request { method: "POST", ..good }),
        (&policy, Request { path: "/api/app:getLang", ..good }),
        (&policy, Request { path: "/api/auth:checkX", ..good }),
        (&policy, Request { path: "/api/x/auth:check", ..good }),
        (&policy, Request { sec_fetch_site: Some("cross-site"), ..good }),
        (&policy, Request { sec_fetch_site: Some("same-site"), ..good }),
        (&policy, Request { origin: Some("https://evil.com"), ..old }),
        (&policy, Request { origin: Some("null"), ..old }),
    ] {
        assert!(!opens(policy, &request), "{request:?}");
    }
    // A user's own requests renew the cookie, never requests caused by another site.
    let cookie = |request| Request { own_cookie: true, user_agent: Some(CHROME), ..request };
    assert!(options(&policy, &good).renew_cookie && options(&policy, &cookie(page("/admin"))).renew_cookie);
    assert!(!options(&policy, &cookie(call("/storage/uploads/1.png"))).renew_cookie);
    let foreign = Request { sec_fetch_site: Some("cross-site"), origin: Some("https://evil.com"), ..good };
    assert!(!options(&policy, &cookie(foreign)).renew_cookie);
    // The same id in another application is a different user.
    let other = Request { query: Some("__appName=sub1"), ..good };
    assert_eq!(decide(&policy, &other), no(Failure::OtherApplication));
}

#[test]
fn r40_signing_in_by_password_needs_a_page_of_our_own() {
    let open = Policy { public: PublicRules::parse(&["* /**".to_owned()], "/").unwrap(), ..policy() };
    let crm = Policy { public_path: "/crm/".to_owned(), ..with_password() };
    let refused = no(Failure::CrossSite);
    for (root, policy) in [("/", with_password()), ("/", open), ("/crm/", crm)] {
        for (method, action) in [
            ("POST", "auth:signIn"),
            ("GET", "auth:signIn"),
            ("PUT", "auth:signIn"),
            ("POST", "auth:signIn/"),
            ("POST", "auth:signIn/1"),
            ("POST", "auth:SIGNIN"),
            ("POST", "auth:signUp"),
            ("POST", "auth:lostPassword"),
            ("POST", "auth:resetPassword"),
            ("POST", "auth:changePassword"),
            ("POST", "auth:syncCookies"),
            ("GET", "auth:syncCookies"),
        ] {
            let path = format!("{root}api/{action}");
            let base = Request { method, ..call(&path) };
            for (who, base) in [
                ("a stranger", base),
                ("a member", Request { session: SessionState::Valid, ..base }),
                (
                    "a member's page",
                    Request { session: SessionState::Valid, credential: Credential::Phantom, ..base },
                ),
                ("an API key", Request { credential: Credential::ApiToken, ..base }),
                ("a bypass network", Request { client_ip: [10, 0, 0, 1].into(), ..base }),
            ] {
                for (site, origin, own) in [
                    (Some("same-origin"), Some(ORIGIN), true),
                    (Some("same-origin"), None, true),
                    (None, Some(ORIGIN), true),
                    (None, Some("https://GATE.example.com:443"), true),
                    (None, None, false),
                    (Some("none"), None, false),
                    (Some("none"), Some(ORIGIN), false),
                    (Some("same-site"), Some("https://other.example.com"), false),
                    (Some("cross-site"), Some("https://evil.com"), false),
                    (Some("cross-site"), Some("null"), false),
                    (Some("cross-site"), None, false),
                    (Some("same-origin"), Some("https://evil.com"), false),
                    (None, Some("https://evil.com"), false),
                    (None, Some("http://gate.example.com"), false),
                    (None, Some("null"), false),
                    (None, Some(""), false),
                ] {
                    let request = Request { sec_fetch_site: site, origin, ..base };
                    let decision = decide(&policy, &request);
                    assert_eq!(
                        decision == refused,
                        !own,
                        "{who}: {method} {path} {site:?} {origin:?}: {decision:?}"
                    );
                }
            }
        }
    }
    // Paths that only look similar are decided on as before.
    for path in
        ["/api/auth:signInX", "/api/x/auth:signIn", "/api/auth:check", "/auth:signIn", "/crm/api/auth:signIn"]
    {
        let request = Request { sec_fetch_site: None, ..call(path) };
        assert_ne!(decide(&with_password(), &request), refused, "{path}");
    }
}

fn socket(path: &str) -> Request<'_> {
    let own =
        Request { upgrade: true, origin: Some(ORIGIN), sec_fetch_mode: Some("websocket"), ..call(path) };
    Request { sec_fetch_dest: Some("websocket"), user_agent: Some(CHROME), ..own }
}

#[test]
fn the_forms_websocket_passes_anonymously_from_our_own_pages_only() {
    let policy = with_password();
    let old =
        |request| Request { sec_fetch_site: None, sec_fetch_mode: None, sec_fetch_dest: None, ..request };
    for request in [socket("/ws"), old(socket("/ws"))] {
        assert_eq!(decide(&policy, &request), pass(Identity::Anonymous));
        assert!(options(&policy, &request).own_tokens, "a key is refused there too");
    }
    let ended = |request| Request { session: SessionState::Ended, ..request };
    for (policy, request) in [
        (Policy { password: false, ..policy.clone() }, socket("/ws")),
        (policy.clone(), Request { origin: None, ..socket("/ws") }),
        (policy.clone(), Request { origin: Some("https://evil.com"), ..socket("/ws") }),
        (policy.clone(), Request { origin: Some("null"), ..socket("/ws") }),
        (policy.clone(), Request { sec_fetch_site: Some("cross-site"), ..socket("/ws") }),
        (policy.clone(), Request { sec_fetch_site: Some("same-site"), ..socket("/ws") }),
        (policy.clone(), Request { credential: Credential::Invalid, ..socket("/ws") }),
        (policy.clone(), Request { query: Some("__appName=sub1"), ..socket("/ws") }),
        // Its page would send the phantom of the ended session.
        (policy.clone(), ended(socket("/ws"))),
        (policy.clone(), socket("/ws/x")),
        (policy.clone(), socket("/WS")),
        (policy.clone(), socket("/v/ws")),
        (policy.clone(), socket("/admin")),
        (policy.clone(), Request { upgrade: false, ..socket("/ws") }),
    ] {
        assert!(!forwards(&policy, &request), "{} {:?}", request.path, request.origin);
    }
}

/// Wherever NocoBase has its WebSocket (`WS_PATH`, `APP_PUBLIC_PATH`), and however long its form has been open: only that one
/// address passes.
#[test]
fn the_forms_websocket_is_where_nocobase_has_it_and_nowhere_else() {
    for (public_path, setting, at) in [
        ("/", None, "/ws"),
        ("/", Some("/ws"), "/ws"),
        ("/", Some("/socket"), "/socket"),
        ("/", Some("/a/b/live-1"), "/a/b/live-1"),
        ("/", Some("/ws.v2"), "/ws.v2"),
        ("/crm/", None, "/crm/ws"),
        ("/crm/", Some("/crm/ws"), "/crm/ws"),
        ("/crm/", Some("/ws"), "/ws"),
        ("/a/b/", None, "/a/b/ws"),
        // A value that is not a path leaves NocoBase's default.
        ("/", Some(""), "/ws"),
        ("/", Some("/"), "/ws"),
        ("/", Some("ws2"), "/ws"),
        ("/", Some("/a/../ws"), "/ws"),
        ("/", Some("/ws?x=y"), "/ws"),
        ("/", Some("//evil.com/ws"), "/ws"),
        ("/", Some("wss://evil.com/ws"), "/ws"),
    ] {
        let client = ClientPaths::new(None, setting);
        let policy = Policy { public_path: public_path.to_owned(), client, ..with_password() };
        for query in [None, Some(""), Some("__appName=main")] {
            let request = Request { query, ..socket(at) };
            assert_eq!(
                decide(&policy, &request),
                pass(Identity::Anonymous),
                "{public_path} {setting:?} {query:?}"
            );
        }
        let elsewhere = ["/ws", "/socket", "/crm/ws", "/crm/socket", "/a/b/ws", "/v/ws", "/wss", "/"];
        let below = format!("{at}/");
        for path in elsewhere.into_iter().chain([below.as_str()]).filter(|path| *path != at) {
            assert!(!forwards(&policy, &socket(path)), "{public_path} {setting:?} {path}");
        }
        // Only the upgrade passes; no API call passes this way.
        for method in ["POST", "HEAD", "OPTIONS"] {
            let plain = Request { method, upgrade: false, ..socket(at) };
            assert!(!forwards(&policy, &plain), "{method} {at}");
        }
    }
}
