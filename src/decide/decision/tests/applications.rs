//! One application (R44), for every client and every way to name one.

use super::*;

/// Every kind of client that passes with an ordinary request.
fn everybody(path: &str) -> Vec<(&'static str, Policy, Request<'_>)> {
    let open = Policy { public: PublicRules::parse(&["* /**".to_owned()], "/").unwrap(), ..policy() };
    let form = Policy { password: true, ..policy() };
    let member = Request { session: SessionState::Valid, credential: Credential::Phantom, ..call(path) };
    vec![
        ("a member", policy(), member),
        ("a member's page", policy(), Request { session: SessionState::Valid, ..page(path) }),
        ("an API key", policy(), Request { credential: Credential::ApiToken, ..call(path) }),
        ("an API key beside a session", policy(), Request { credential: Credential::ApiToken, ..member }),
        ("an anonymous client under a public rule", open, call(path)),
        (
            "an anonymous client in a bypass network",
            policy(),
            Request { client_ip: [10, 0, 0, 1].into(), ..call(path) },
        ),
        ("a user signed in by password", form, Request { credential: Credential::OwnToken, ..call(path) }),
        ("a stranger", policy(), call(path)),
        ("a stranger's page", policy(), page(path)),
        ("a WebSocket", policy(), Request { upgrade: true, origin: Some(ORIGIN), ..member }),
    ]
}

fn is_refused(policy: &Policy, request: &Request<'_>) -> bool {
    matches!(decide(policy, request), Decision::Refuse { failure: Failure::OtherApplication, .. })
}

#[test]
fn r44_another_application_is_refused_to_every_client() {
    for path in
        ["/api/users:list", "/api/auth:check", "/ws", "/files/main/x/y/1.pdf", "/assets/a.js", "/admin"]
    {
        for (who, policy, request) in everybody(path) {
            assert!(!is_refused(&policy, &request), "{who}: {path}");
            let ours = Request {
                app: Named::One("main"),
                hostname: Named::One("GATE.example.com"),
                query: Some("__appName=main&a=b"),
                ..request
            };
            assert!(!is_refused(&policy, &ours), "{who}: {path}, our own");
            for (how, named) in [
                ("X-App", Request { app: Named::One("sub1"), ..request }),
                ("X-App, several", Request { app: Named::Ambiguous, ..request }),
                ("X-Hostname", Request { hostname: Named::One("sub1.example.com"), ..request }),
                ("__appName", Request { query: Some("a=b&__appName=sub1"), ..request }),
                ("__appName, encoded", Request { query: Some("%5f_appName%5B%5D=sub1"), ..request }),
                ("ours and another", Request { query: Some("__appName=sub1"), ..ours }),
            ] {
                assert!(is_refused(&policy, &named), "{who}: {path} by {how}");
            }
        }
    }
}

#[test]
fn r44_paths_of_another_application_are_refused_to_every_client() {
    let crm = |policy: Policy| Policy { public_path: "/crm/".to_owned(), ..policy };
    for (path, main, sub1, main_below_crm) in [
        ("/apps/sub1/admin", true, false, false),
        ("/apps/sub1", true, false, false),
        ("/apps/s%C3%BCb/", true, true, false),
        ("/v/apps/sub1/admin", true, false, false),
        ("/apps/main/admin", false, true, false),
        ("/apps", false, false, false),
        ("/apps/", false, false, false),
        ("/appstore/sub1", false, false, false),
        ("/admin/apps/sub1", false, false, false),
        ("/api/apps/sub1", false, false, false),
        ("/crm/apps/sub1/admin", false, false, true),
        ("/api/__app/sub1/users:list", true, true, true),
        ("/api/__app/main/users:list", true, true, true),
        ("/crm/api/__app/sub1/auth:check", true, true, true),
        ("/api/__apps/sub1", false, false, false),
        ("/files/sub1/main/attachments/1.png", true, false, true),
        ("/files/sub1", false, false, false),
        ("/files/sub1/", true, false, true),
        ("/files/main/main/attachments/1.png", false, true, false),
        ("/files/1.png", false, false, false),
        ("/files/", false, false, false),
        ("/crm/files/sub1/x/y/1.png", false, false, true),
        ("/storage/uploads/sub1/1.png", false, false, false),
    ] {
        for (who, policy, request) in everybody(path) {
            assert_eq!(is_refused(&policy, &request), main, "{who}: {path}");
            let other = Policy { app: "sub1".to_owned(), ..policy.clone() };
            assert_eq!(is_refused(&other, &request), sub1, "{who}: {path} with sub1");
            assert_eq!(is_refused(&crm(policy), &request), main_below_crm, "{who}: {path} below /crm/");
        }
    }
}

/// The proxy passes the request's headers on, both to the gate and to NocoBase.
#[test]
fn r44_forward_auth_does_not_vouch_for_another_application() {
    let ask = Request { session: SessionState::Valid, ..call("/wecom-gate/auth") };
    assert_eq!(decide(&policy(), &ask), Decision::Own(OwnPath::Auth));
    assert_eq!(decide(&policy(), &Request { app: Named::One("main"), ..ask }), Decision::Own(OwnPath::Auth));
    assert!(is_refused(&policy(), &Request { app: Named::One("sub1"), ..ask }));
    assert!(is_refused(&policy(), &Request { hostname: Named::One("sub1.example.com"), ..ask }));
}

/// Which application a request is for, with a gate that serves `main`, `crm` and `hr`.
fn found(request: &Request<'_>) -> Option<&'static str> {
    let names = ["crm", "hr"];
    let found = application::find(&policy(), &names.map(str::to_owned), request)?;
    let name = names[found];
    // The chosen application's own policy accepts the request.
    assert!(!is_refused(&Policy { app: name.to_owned(), several: true, ..policy() }, request), "{request:?}");
    Some(name)
}

#[test]
fn r44_of_several_applications_a_request_is_for_the_one_that_it_names_and_names_alone() {
    let call = |path, query, app| Request { query, app, ..call(path) };
    for (path, query, app, expected) in [
        ("/api/users:list", None, Named::One("crm"), Some("crm")),
        ("/api/users:list", Some("__appName=hr"), Named::Nothing, Some("hr")),
        ("/api/users:list", Some("a=1&__appName=hr"), Named::One("hr"), Some("hr")),
        ("/api/users:list", Some("__appName="), Named::One("hr"), Some("hr")),
        ("/ws", Some("__appName=crm"), Named::Nothing, Some("crm")),
        ("/apps/crm/admin", None, Named::Nothing, Some("crm")),
        ("/apps/crm", Some("a=b"), Named::Nothing, Some("crm")),
        ("/v/apps/hr/admin", None, Named::Nothing, Some("hr")),
        ("/files/crm/main/attachments/1.png", None, Named::One("crm"), Some("crm")),
        ("/storage/uploads/1.png", Some("__appName=crm"), Named::Nothing, Some("crm")),
        // No application, the main one, or one that does not exist.
        ("/api/users:list", None, Named::Nothing, None),
        ("/api/users:list", None, Named::One("main"), None),
        ("/api/users:list", None, Named::One("CRM"), None),
        ("/api/users:list", None, Named::One("sub1"), None),
        ("/admin/apps/crm", None, Named::Nothing, None),
        ("/appstore/crm", None, Named::Nothing, None),
        ("/files/crm", None, Named::Nothing, None),
        // More than one, or named where none may be named.
        ("/api/users:list", Some("__appName=main"), Named::One("crm"), None),
        ("/api/users:list", Some("__appName=hr"), Named::One("crm"), None),
        ("/apps/crm/admin", None, Named::One("main"), None),
        ("/apps/crm/admin", Some("__appName=hr"), Named::Nothing, None),
        ("/files/main/x/y/1.png", None, Named::One("crm"), None),
        ("/api/__app/crm/users:list", None, Named::Nothing, None),
        ("/api/__app/crm/users:list", None, Named::One("crm"), None),
        ("/api/users:list", Some("__appName=crm&__appName=crm"), Named::Nothing, None),
        ("/api/users:list", Some("__appName[]=crm"), Named::One("crm"), None),
        ("/api/users:list", None, Named::Ambiguous, None),
    ] {
        let request = call(path, query, app);
        assert_eq!(found(&request), expected, "{path} {query:?} {app:?}");
        // A request that is for none of them goes to the main application, which refuses it if it names another.
        let main = Policy { several: true, ..policy() };
        assert!(expected.is_none() || is_refused(&main, &request), "{path} {query:?} {app:?}");
    }
    let host = Request { hostname: Named::One("crm.example.com"), ..call("/x", None, Named::One("crm")) };
    assert_eq!(found(&host), None);
}

#[test]
fn r44_of_several_applications_a_page_leads_to_its_own() {
    let names = ["crm", "hr"].map(str::to_owned);
    for (target, expected) in [
        ("/apps/crm/admin?a=b#c", Some(0)),
        ("/apps/hr", Some(1)),
        ("/v/apps/hr/", Some(1)),
        ("/apps/sub1/", None),
        ("/admin?x=/apps/crm/", None),
        ("/", None),
    ] {
        assert_eq!(application::of_target(&policy(), &names, target), expected, "{target}");
    }
}

#[test]
fn r44_where_there_are_several_no_rule_lets_a_token_pass() {
    let several = Policy { several: true, api_keys: false, ..policy() };
    let tokens = [Credential::ApiToken, Credential::OwnToken, Credential::Invalid, Credential::None];
    for credential in tokens {
        for (path, address) in [("/open/x", [192, 0, 2, 1]), ("/api/users:list", [10, 0, 0, 1])] {
            let request = Request { credential, client_ip: address.into(), ..call(path) };
            let bare = ForwardOptions { strip_token: true, strip_credentials: true, ..plain_anonymous() };
            let options = options(&several, &request);
            let options = ForwardOptions { may_compress: false, renew_cookie: false, ..options };
            assert_eq!(options, bare, "{path} {credential:?}");
            let tunnel = Request { upgrade: true, ..request };
            assert!(!matches!(decide(&several, &tunnel), Decision::Forward(_)), "{path} {credential:?}");
        }
    }
}

const fn plain_anonymous() -> ForwardOptions {
    ForwardOptions::plain(Identity::Anonymous)
}

#[test]
fn r44_a_session_in_another_application_opens_the_clients_files_and_nothing_else() {
    let elsewhere = |request| Request { other_app_session: true, ..request };
    for path in [
        "/assets/index-0a1b2c3d.js",
        "/favicon/favicon.ico",
        "/static/plugins/@nocobase/x/dist/client/index.js",
    ] {
        let options = options(&policy(), &elsewhere(call(path)));
        assert!(
            options.strip_credentials && options.strip_token && options.identity == Identity::Anonymous,
            "{path} {options:?}"
        );
        assert_eq!(decide(&policy(), &call(path)), no(Failure::NoSession), "{path}");
    }
    for path in
        ["/api/users:list", "/api/x", "/files/main/x/y/1.png", "/storage/uploads/1.png", "/admin.json"]
    {
        assert_eq!(decide(&policy(), &elsewhere(call(path))), no(Failure::NoSession), "{path}");
    }
    let texts = Request { query: Some("locale=en-US"), ..call("/api/app:getLang2") };
    assert_eq!(decide(&policy(), &elsewhere(texts)), no(Failure::NoSession));
    let closed = Policy { public: PublicRules::default(), ..policy() };
    let texts = Request { query: Some("locale=en-US"), ..call("/api/app:getLang") };
    assert_eq!(decide(&closed, &elsewhere(texts)), no(Failure::NoSession));
    let post = Request { method: "POST", ..call("/assets/index-0a1b2c3d.js") };
    assert_eq!(decide(&policy(), &elsewhere(post)), no(Failure::NoSession));
}

#[test]
fn r44_a_browser_gets_the_refusal_as_a_page() {
    let request = Request { session: SessionState::Valid, ..page("/apps/sub1/admin") };
    assert_eq!(decide(&policy(), &request), no_page(Failure::OtherApplication));
    assert_eq!(decide(&policy(), &call("/apps/sub1/admin")), no(Failure::OtherApplication));
}
