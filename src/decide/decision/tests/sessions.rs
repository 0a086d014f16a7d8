//! Requests of a signed-in member.

use super::*;

fn signed_in(request: Request<'_>) -> Request<'_> {
    Request { session: SessionState::Valid, ..request }
}

fn phantom(path: &str) -> Request<'_> {
    Request { credential: Credential::Phantom, ..signed_in(call(path)) }
}

fn forward(identity: Identity, put_cookies: bool, put_script: bool) -> Decision {
    Decision::Forward(ForwardOptions { put_cookies, put_script, ..ForwardOptions::plain(identity) })
}

#[test]
fn calls_count_only_with_cookie_and_phantom() {
    for path in ["/api/users:list", "/api/users:destroy", "/ws", "/admin", "/anything"] {
        for method in ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"] {
            let with = Request { method, ..phantom(path) };
            assert_eq!(decide(&policy(), &with), pass(Identity::Member), "{method} {path}");
            let without = Request { credential: Credential::None, ..with };
            assert_eq!(decide(&policy(), &without), pass(Identity::Anonymous), "{method} {path}");
            let ended = Request { session: SessionState::Ended, credential: Credential::Invalid, ..with };
            assert_eq!(decide(&policy(), &ended), no(Failure::SessionEnded), "{method} {path}");
        }
    }
}

#[test]
fn pages_get_the_script() {
    for path in ["/", "/admin", "/admin/x.y/z", "/m/page", "/v/", "/signin"] {
        assert_eq!(
            decide(&policy(), &signed_in(page(path))),
            forward(Identity::Anonymous, false, true),
            "{path}"
        );
    }
    for path in
        ["/assets/index-93181bbb.js", "/static/plugins/x/index.js", "/favicon/favicon.ico", "/nocobase.png"]
    {
        assert_eq!(decide(&policy(), &signed_in(call(path))), pass(Identity::Anonymous), "{path}");
    }
}

#[test]
fn files_are_read_with_the_cookie_alone() {
    let crm = Policy { public_path: "/crm/".to_owned(), ..policy() };
    for (policy, path, file) in [
        (&policy(), "/files/main/main/attachments/1.pdf", true),
        (&policy(), "/storage/uploads/a.png", true),
        (&policy(), "/files", false),
        (&policy(), "/filesystem/x", false),
        (&policy(), "/admin/files/x", false),
        (&policy(), "/api/files/x", false),
        (&crm, "/crm/files/main/1.pdf", true),
        (&crm, "/files/main/1.pdf", false),
    ] {
        for credential in [Credential::None, Credential::Phantom] {
            for method in ["GET", "HEAD"] {
                let request = Request { method, credential, ..signed_in(call(path)) };
                let member = file || credential == Credential::Phantom;
                let identity = if member { Identity::Member } else { Identity::Anonymous };
                assert_eq!(decide(policy, &request), forward(identity, file, false), "{method} {path}");
            }
        }
        for method in ["POST", "PUT", "DELETE", "OPTIONS"] {
            let request = Request { method, ..signed_in(call(path)) };
            assert_eq!(decide(policy, &request), pass(Identity::Anonymous), "{method} {path}");
        }
    }
}

#[test]
fn the_cookie_counts_only_for_our_own_pages_and_plain_links() {
    for (site, mode, dest, method, origin, counts) in [
        (Some("same-origin"), "cors", "empty", "POST", Some(ORIGIN), true),
        (Some("same-origin"), "navigate", "iframe", "GET", None, true),
        (Some("none"), "navigate", "document", "GET", None, true),
        // A link in a chat, an e-mail or another site; the redirect back from WeCom.
        (Some("cross-site"), "navigate", "document", "GET", None, true),
        (Some("cross-site"), "navigate", "document", "HEAD", None, true),
        (Some("same-site"), "navigate", "document", "GET", None, true),
        // Everything else that another site can make a browser do.
        (Some("cross-site"), "navigate", "document", "POST", Some("https://evil.com"), false),
        (Some("cross-site"), "navigate", "iframe", "GET", None, false),
        (Some("cross-site"), "navigate", "empty", "GET", None, false),
        (Some("cross-site"), "no-cors", "image", "GET", None, false),
        (Some("cross-site"), "no-cors", "script", "GET", None, false),
        (Some("cross-site"), "no-cors", "document", "GET", None, false),
        (Some("cross-site"), "cors", "empty", "GET", Some("https://evil.com"), false),
        (Some("same-site"), "cors", "empty", "GET", Some("https://other.example.com"), false),
        (Some("same-site"), "no-cors", "image", "GET", None, false),
        (Some("unheard-of"), "cors", "empty", "GET", None, false),
        (Some(""), "cors", "empty", "GET", None, false),
        // Browsers without Sec-Fetch.
        (None, "", "", "GET", None, true),
        (None, "", "", "POST", Some(ORIGIN), true),
        (None, "", "", "POST", Some("https://evil.com"), false),
        (None, "", "", "POST", Some("http://gate.example.com"), false),
        (None, "", "", "POST", Some("null"), false),
    ] {
        let some = |text: &'static str| (!text.is_empty()).then_some(text);
        let request = Request {
            method,
            origin,
            sec_fetch_site: site,
            sec_fetch_mode: some(mode),
            sec_fetch_dest: some(dest),
            ..phantom("/files/main/1.pdf")
        };
        let member = matches!(
            decide(&policy(), &request),
            Decision::Forward(ForwardOptions { identity: Identity::Member, .. })
        );
        assert_eq!(member, counts, "{method} {site:?} {mode} {dest} {origin:?}");
        if !counts {
            let stranger = Request { session: SessionState::None, ..request };
            assert_eq!(
                decide(&policy(), &request),
                decide(&policy(), &stranger),
                "as if there were no session"
            );
        }
    }
}

#[test]
fn websockets_need_our_origin() {
    let socket = Request {
        upgrade: true,
        sec_fetch_mode: Some("websocket"),
        sec_fetch_dest: Some("websocket"),
        ..signed_in(call("/ws"))
    };
    for (origin, site, want) in [
        (Some(ORIGIN), Some("same-origin"), pass(Identity::Member)),
        (Some("https://GATE.example.com:443"), None, pass(Identity::Member)),
        (None, Some("same-origin"), no(Failure::CrossSite)),
        (None, None, no(Failure::CrossSite)),
        (Some("null"), None, no(Failure::CrossSite)),
        (Some("https://evil.com"), None, no(Failure::CrossSite)),
        (Some("https://evil.com"), Some("cross-site"), no(Failure::CrossSite)),
        (Some("https://other.example.com"), Some("same-site"), no(Failure::CrossSite)),
        (Some("http://gate.example.com"), None, no(Failure::CrossSite)),
        (Some(ORIGIN), Some("cross-site"), no(Failure::CrossSite)),
    ] {
        for credential in [Credential::None, Credential::Phantom] {
            let request = Request { origin, sec_fetch_site: site, credential, ..socket };
            assert_eq!(decide(&policy(), &request), want, "{origin:?} {site:?}");
        }
    }
    // Without a session it is a plain 401, and where no session is needed, origins do not matter.
    let stranger = Request { origin: Some(ORIGIN), session: SessionState::None, ..socket };
    assert_eq!(decide(&policy(), &stranger), no(Failure::NoSession));
    let ended = Request { session: SessionState::Ended, ..stranger };
    assert_eq!(decide(&policy(), &ended), no(Failure::SessionEnded));
    let open = Request { path: "/open/ws", origin: None, ..socket };
    assert_eq!(decide(&policy(), &open), pass(Identity::Anonymous));
}

#[test]
fn the_clients_own_credential_is_decided_on_without_the_session() {
    let closed = Policy { api_keys: false, ..policy() };
    let request = |credential| Request { credential, ..signed_in(call("/api/users:list")) };
    assert_eq!(decide(&policy(), &request(Credential::ApiToken)), pass(Identity::Token));
    assert_eq!(decide(&closed, &request(Credential::ApiToken)), no(Failure::InvalidToken));
    assert_eq!(decide(&policy(), &request(Credential::Invalid)), no(Failure::InvalidToken));
    // A session removes no access that anonymous clients have.
    for credential in [Credential::ApiToken, Credential::Invalid] {
        let office = Request { client_ip: [10, 0, 0, 1].into(), ..request(credential) };
        assert_eq!(decide(&closed, &office), pass(Identity::Anonymous));
        let open = Request { path: "/open/x", ..request(credential) };
        assert_eq!(decide(&closed, &open), pass(Identity::Anonymous));
    }
}

#[test]
fn an_invalid_token_is_the_phantom_of_an_ended_session_in_calls_only() {
    for (request, expected) in [
        (call("/api/users:list"), no(Failure::SessionEnded)),
        (page("/admin"), no_page(Failure::InvalidToken)),
    ] {
        let request = Request { credential: Credential::Invalid, session: SessionState::Ended, ..request };
        assert_eq!(decide(&policy(), &request), expected);
    }
}

#[test]
fn a_token_keeps_its_identity_where_anonymous_clients_may_pass_too() {
    let open = Request { path: "/open/x", ..signed_in(call("/open/x")) };
    for credential in [Credential::ApiToken, Credential::OwnToken] {
        let options = options(&policy(), &Request { credential, ..open });
        assert_eq!((options.identity, options.strip_token), (Identity::Token, false), "{credential:?}");
    }
}

#[test]
fn a_token_in_the_address_does_not_sign_in() {
    for (path, query, want) in [
        ("/admin", "token=x", "/admin"),
        ("/admin", "token=x&authenticator=basic", "/admin"),
        ("/admin", "a=b&%74oken=x&c", "/admin?a=b&c"),
        ("/admin", "token", "/admin"),
        ("/", "token=", "/"),
        // NocoBase responds with its page under nearly any path.
        ("/admin/x.js", "token=x", "/admin/x.js"),
        ("/assets/none.js", "token=x", "/assets/none.js"),
        ("/apidocs", "token=x", "/apidocs"),
        ("/m/%E4%B8%AD", "token=x&q=%zz", "/m/%E4%B8%AD?q=%zz"),
    ] {
        for credential in [Credential::None, Credential::Phantom, Credential::Invalid] {
            let request = Request { query: Some(query), credential, ..signed_in(page(path)) };
            assert_eq!(decide(&policy(), &request), Decision::Redirect(want.to_owned()), "{path}?{query}");
        }
    }
    for (path, query) in [
        ("/admin", "authenticator=basic"),
        ("/admin", "Token=x"),
        ("/admin", "a=token"),
        ("/api/attachments:get", "token=x"),
        ("/files/main/1.pdf", "token=x"),
    ] {
        let request = Request { query: Some(query), ..signed_in(page(path)) };
        assert!(matches!(decide(&policy(), &request), Decision::Forward(_)), "{path}?{query}");
    }
    // Only navigations: requests of the page itself carry the phantom there.
    let fetched =
        Request { query: Some("token=x"), credential: Credential::Phantom, ..signed_in(call("/admin")) };
    assert_eq!(decide(&policy(), &fetched), pass(Identity::Member));
    // The same with another public path.
    let crm = Policy { public_path: "/crm/".to_owned(), ..policy() };
    let request = |path| Request { query: Some("token=x"), ..signed_in(page(path)) };
    assert_eq!(decide(&crm, &request("/crm/admin")), Decision::Redirect("/crm/admin".to_owned()));
    assert!(matches!(decide(&crm, &request("/crm/api/x")), Decision::Forward(_)));
}

#[test]
fn r27_the_script_is_inserted_into_nocobases_pages_and_never_into_files() {
    for (path, script) in [
        ("/admin", true),
        ("/admin/x/schema.json", true),
        ("/admin/x/report.html", true),
        ("/v/admin/a.js", true),
        ("/files/main/main/attachments/1.html", false),
        ("/storage/uploads/x.html", false),
        ("/static/x.html", false),
        ("/assets/x.html", false),
        ("/dist/x.html", false),
        ("/api/x:export", false),
    ] {
        assert_eq!(options(&policy(), &signed_in(page(path))).put_script, script, "{path}");
    }
    // Below the public path as well as at the root.
    let below = Policy { public_path: "/crm/".to_owned(), ..policy() };
    for (path, script) in
        [("/crm/admin", true), ("/crm/files/main/1.html", false), ("/files/main/1.html", false)]
    {
        assert_eq!(options(&below, &signed_in(page(path))).put_script, script, "{path}");
    }
}

#[test]
fn r01_keys_with_encoded_delimiters_need_a_session_or_a_key() {
    let public = PublicRules::parse(&["* /**".to_owned()], "/").unwrap();
    let open = Policy { public, ..policy() };
    let path = "/api/orders/A%2F001/items:list";
    let stranger = call(path);
    assert_eq!(decide(&open, &stranger), no(Failure::NoSession));
    let office = Request { client_ip: [10, 0, 0, 1].into(), ..stranger };
    assert_eq!(decide(&open, &office), no(Failure::NoSession));
    assert_eq!(decide(&open, &phantom(path)), pass(Identity::Member));
    let key = Request { credential: Credential::ApiToken, ..stranger };
    assert_eq!(decide(&open, &key), pass(Identity::Token));
    assert_eq!(decide(&open, &call("/api/orders/A%20001/items:list")), pass(Identity::Anonymous));
}

#[test]
fn options_that_depend_on_the_session() {
    let evil = Some("https://evil.com");
    let key = Request { credential: Credential::ApiToken, ..phantom("/api/x:list") };
    let public = Request { method: "POST", ..signed_in(call("/api/webhook:x")) };
    let from_another_site = Request { sec_fetch_site: Some("cross-site"), origin: evil, ..public };
    for (request, identity_allowed, strip_token, renew_cookie) in [
        (phantom("/api/users:list"), true, true, true),
        (signed_in(page("/admin")), true, true, true),
        (signed_in(call("/assets/x.js")), true, true, false),
        (signed_in(call("/files/main/1.pdf")), true, true, false),
        // The client's own token may belong to another user, and may also be in the query.
        (key, false, false, true),
        (public, true, true, true),
        (from_another_site, false, true, true),
        (call("/api/app:getLang"), false, false, false),
        (Request { session: SessionState::Ended, ..call("/api/app:getLang") }, false, false, false),
    ] {
        let o = options(&policy(), &request);
        let found = (o.identity_allowed, o.strip_token, o.renew_cookie);
        assert_eq!(found, (identity_allowed, strip_token, renew_cookie), "{request:?}");
    }
}

#[test]
fn r16_nocobases_own_sign_out_is_recognised_exactly() {
    let crm = Policy { public_path: "/crm/".to_owned(), ..policy() };
    let public = PublicRules::parse(&["* /**".to_owned()], "/").unwrap();
    let form = Policy { password: true, public: public.clone(), ..policy() };
    let open = Policy { public, ..policy() };
    for (policy, path, credential, signs_out) in [
        (&policy(), "/api/auth:signOut", Credential::Phantom, true),
        (&policy(), "/api/auth:signOut", Credential::ApiToken, false),
        (&policy(), "/api/auth:signOut", Credential::None, false),
        (&policy(), "/api/auth:signout", Credential::Phantom, false),
        // NocoBase ignores what follows the action.
        (&policy(), "/api/auth:signOut/", Credential::Phantom, true),
        (&policy(), "/api/auth:signOut/x", Credential::Phantom, true),
        (&policy(), "/api/x/auth:signOut", Credential::Phantom, false),
        (&policy(), "/api/auth:signOutX", Credential::Phantom, false),
        (&policy(), "/crm/api/auth:signOut", Credential::Phantom, false),
        (&crm, "/crm/api/auth:signOut", Credential::Phantom, true),
        (&crm, "/api/auth:signOut", Credential::Phantom, false),
        // A user who signed in by password has no session of the gate.
        (&form, "/api/auth:signOut", Credential::OwnToken, true),
        (&open, "/api/auth:signOut", Credential::OwnToken, false),
    ] {
        let request = Request { method: "POST", credential, ..signed_in(call(path)) };
        assert_eq!(options(policy, &request).signs_out, signs_out, "{path} {credential:?}");
    }
}

#[test]
fn each_path_names_the_methods_that_it_accepts() {
    let any = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    for (path, methods) in [
        ("/WW_verify_a.txt", "GET, HEAD"),
        ("/WW_verify_c.txt", any),
        ("/admin", any),
        ("/wecom-gate/login", "GET"),
        ("/wecom-gate/callback", "GET"),
        ("/wecom-gate/sign-in", "GET, HEAD"),
        ("/wecom-gate/me", "GET, HEAD"),
        ("/wecom-gate/gate.js", "GET, HEAD"),
        ("/wecom-gate/logout", "GET, HEAD, POST"),
        ("/wecom-gate/events/second", "GET, POST"),
        ("/wecom-gate/events/third", any),
        ("/wecom-gate/auth", any),
    ] {
        assert_eq!(allowed(&policy(), path), methods, "{path}");
    }
}

#[test]
fn the_paths_that_need_no_session_are_the_ones_that_the_gate_serves() {
    for (path, gates_own) in [
        ("/wecom-gate", true),
        ("/wecom-gate/", true),
        ("/wecom-gate/login", true),
        ("/wecom-gate/none", true),
        ("/WW_verify_a.txt", true),
        ("/wecom-gate-x", false),
        ("/wecom-gatex/y", false),
        ("/WW_verify_c.txt", false),
        ("/WW_verify_a.txt/x", false),
        ("/WW_verify_", false),
        ("/x/wecom-gate/login", false),
        ("/", false),
    ] {
        assert_eq!(needs_session(&policy(), path), !gates_own, "{path}");
        let decision = decide(&policy(), &signed_in(page(path)));
        assert_eq!(matches!(decision, Decision::Forward(_)), !gates_own, "{path}: {decision:?}");
    }
}
