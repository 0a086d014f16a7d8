//! Only the callback sees WeCom's codes (R39).

use super::*;

const CODE: &str = "code=AbCd_1-2&state=STATE123";

fn cleaned(policy: &Policy, request: &Request<'_>) -> Option<String> {
    match decide(policy, request) {
        Decision::Redirect(target) => Some(target),
        _ => None,
    }
}

#[test]
fn r39_a_navigation_with_code_and_state_loses_both_before_anything_else() {
    let form = Policy { browsers: Browsers::NocoBase, ..policy() };
    let open = Policy { public: PublicRules::parse(&["GET /admin/**".to_owned()], "/").unwrap(), ..policy() };
    for (who, policy, session, client_ip) in [
        ("a stranger", policy(), SessionState::None, [192, 0, 2, 1]),
        ("a member", policy(), SessionState::Valid, [192, 0, 2, 1]),
        ("a member whose session ended", policy(), SessionState::Ended, [192, 0, 2, 1]),
        ("a bypass network", policy(), SessionState::None, [10, 0, 0, 1]),
        ("the form", form, SessionState::None, [192, 0, 2, 1]),
        ("a public rule", open, SessionState::None, [192, 0, 2, 1]),
    ] {
        for (path, query, target) in [
            ("/admin/x", "code=AbCd_1-2&state=STATE123", "/admin/x"),
            ("/", "state=&code=x", "/"),
            ("/", "code=&state=", "/"),
            ("/admin/x", "a=1&code=x&b=%20&state=y&c", "/admin/x?a=1&b=%20&c"),
            ("/admin/x", "%63ode=x&st%61te=y", "/admin/x"),
            ("/admin/x", "code=x&code=y&state=1&state=2&k", "/admin/x?k"),
            ("/admin/x", "code=x&state=y&token=eyJ", "/admin/x"),
            ("/m", "code=x&state=y&appid=ww1", "/m?appid=ww1"),
            ("/signin", "redirect=/x&code=x&state=y", "/signin?redirect=/x"),
            ("/files/main/x/y/1.pdf", CODE, "/files/main/x/y/1.pdf"),
            ("/api/users:list", CODE, "/api/users:list"),
            ("/storage/uploads/x.html", CODE, "/storage/uploads/x.html"),
        ] {
            for (site, mode, dest) in [
                (Some("cross-site"), Some("navigate"), Some("document")),
                (Some("none"), Some("navigate"), Some("document")),
                (Some("same-site"), Some("navigate"), Some("document")),
                (Some("cross-site"), Some("navigate"), Some("iframe")),
                (Some("cross-site"), Some("navigate"), Some("object")),
                (None, None, None),
            ] {
                let request = Request {
                    query: Some(query),
                    sec_fetch_site: site,
                    sec_fetch_mode: mode,
                    sec_fetch_dest: dest,
                    session,
                    client_ip: client_ip.into(),
                    ..page(path)
                };
                let got = cleaned(&policy, &request);
                assert_eq!(got.as_deref(), Some(target), "{who}: {path}?{query} {site:?} {dest:?}");
                let head = Request { method: "HEAD", ..request };
                assert_eq!(cleaned(&policy, &head).as_deref(), Some(target), "{who}: HEAD {path}?{query}");
            }
        }
    }
}

#[test]
fn r39_links_that_carry_a_code_for_other_reasons_keep_it() {
    let policy = Policy {
        public: PublicRules::parse(&["GET /api/oidc:redirect".to_owned()], "/").unwrap(),
        ..policy()
    };
    let member = |path| Request { session: SessionState::Valid, ..page(path) };
    for (why, request) in [
        ("code alone", Request { query: Some("code=A1&filter=x"), ..member("/admin/x") }),
        ("state alone", Request { query: Some("state=open"), ..member("/admin/x") }),
        ("other names", Request { query: Some("zipcode=1&states=2"), ..member("/admin/x") }),
        ("in a value", Request { query: Some("rd=%3Fcode%3D1%26state%3D2"), ..member("/admin/x") }),
        (
            "a link inside the app",
            Request { query: Some(CODE), sec_fetch_site: Some("same-origin"), ..member("/admin/x") },
        ),
        (
            "a call of the page",
            Request { query: Some(CODE), session: SessionState::Valid, ..call("/api/x:list") },
        ),
        ("a POST", Request { query: Some(CODE), method: "POST", ..member("/api/x:create") }),
        (
            "a program",
            Request {
                query: Some(CODE),
                sec_fetch_mode: None,
                sec_fetch_site: None,
                user_agent: Some(CURL),
                ..member("/api/x:list")
            },
        ),
        (
            "another OAuth's end",
            Request { query: Some(CODE), sec_fetch_site: Some("cross-site"), ..page("/api/oidc:redirect") },
        ),
    ] {
        assert_eq!(cleaned(&policy, &request), None, "{why}");
    }
    // The callback, and the gate's own pages, which run none of NocoBase's scripts.
    for path in ["/wecom-gate/callback", "/wecom-gate/login"] {
        let request = Request { query: Some(CODE), sec_fetch_site: Some("cross-site"), ..page(path) };
        assert!(matches!(decide(&policy, &request), Decision::Own(_)), "{path}");
    }
}
