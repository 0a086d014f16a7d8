//! One application (R44), for every client and however it is named.

use super::*;

/// Everybody who gets through with an ordinary request.
fn everybody(path: &str) -> Vec<(&'static str, Policy, Request<'_>)> {
    let open = Policy { public: PublicRules::parse(&["* /**".to_owned()], "/").unwrap(), ..policy() };
    let form = Policy { password: true, ..policy() };
    let member = Request { session: SessionState::Valid, credential: Credential::Phantom, ..call(path) };
    vec![
        ("a member", policy(), member),
        ("a member's page", policy(), Request { session: SessionState::Valid, ..page(path) }),
        ("an API key", policy(), Request { credential: Credential::ApiToken, ..call(path) }),
        ("an API key beside a session", policy(), Request { credential: Credential::ApiToken, ..member }),
        ("somebody under a public rule", open, call(path)),
        ("somebody in a bypass network", policy(), Request { client_ip: [10, 0, 0, 1].into(), ..call(path) }),
        ("somebody by password", form, Request { credential: Credential::OwnToken, ..call(path) }),
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

/// The proxy that asks passes the headers of the request on, to the gate and to NocoBase.
#[test]
fn r44_forward_auth_does_not_vouch_for_another_application() {
    let ask = Request { session: SessionState::Valid, ..call("/wecom-gate/auth") };
    assert_eq!(decide(&policy(), &ask), Decision::Own(OwnPath::Auth));
    assert_eq!(decide(&policy(), &Request { app: Named::One("main"), ..ask }), Decision::Own(OwnPath::Auth));
    assert!(is_refused(&policy(), &Request { app: Named::One("sub1"), ..ask }));
    assert!(is_refused(&policy(), &Request { hostname: Named::One("sub1.example.com"), ..ask }));
}

#[test]
fn r44_a_browser_gets_the_refusal_as_a_page() {
    let request = Request { session: SessionState::Valid, ..page("/apps/sub1/admin") };
    assert_eq!(decide(&policy(), &request), no_page(Failure::OtherApplication));
    assert_eq!(decide(&policy(), &call("/apps/sub1/admin")), no(Failure::OtherApplication));
}
