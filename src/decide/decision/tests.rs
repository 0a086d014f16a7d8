use super::*;
use crate::decide::ClientPaths;
use crate::decide::application::Named;
use crate::decide::rules::PublicRules;

mod applications;
mod client_files;
mod codes;
mod console;
mod password;
mod properties;
mod sessions;
mod strangers;

const CHROME: &str = "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36";
const PHONE: &str = "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Mobile Safari/537.36";
const WECOM: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)  Mobile/15E148 wxwork/4.1.39 MicroMessenger/7.0.1 Language/zh ColorScheme/Light wwmver/3.26.38.377";
const WECHAT: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 15_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148 MicroMessenger/8.0.22(0x18001626) NetType/WIFI Language/zh_CN";
const CURL: &str = "curl/8.14.1";
const HTML: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8";
const ORIGIN: &str = "https://gate.example.com";

/// The decision without the options that depend on the session; `options_that_depend_on_the_session` tests those.
fn decide(policy: &Policy, request: &Request<'_>) -> Decision {
    match super::decide(policy, request) {
        Decision::Forward(o) => Decision::Forward(ForwardOptions {
            put_cookies: o.put_cookies,
            put_script: o.put_script,
            ..ForwardOptions::plain(o.identity)
        }),
        decision => decision,
    }
}

/// All options of a forwarded request, including those that depend on the session.
fn options(policy: &Policy, request: &Request<'_>) -> ForwardOptions {
    match super::decide(policy, request) {
        Decision::Forward(options) => options,
        other => panic!("{}: {other:?}", request.path),
    }
}

fn policy() -> Policy {
    let public = ["GET /api/app:getLang", "POST /api/webhook:*", "* /open/**"].map(str::to_owned);
    Policy {
        authority: "gate.example.com".to_owned(),
        https: true,
        public_path: "/".to_owned(),
        client: ClientPaths::default(),
        app: "main".to_owned(),
        several: false,
        browsers: Browsers::WebLogin,
        api_keys: true,
        password: false,
        public: PublicRules::parse(&public, "/").unwrap(),
        preflights: true,
        temporary_file_links: true,
        bypass: vec!["10.0.0.0/8".parse().unwrap()],
        verify_files: vec!["WW_verify_a.txt".to_owned(), "WW_verify_b.txt".to_owned()],
        entries: vec!["first".to_owned(), "second".to_owned()],
        link: false,
        console: false,
        auto_entry: Some(1),
    }
}

/// A page load in WeCom on a phone, not signed in.
fn page(path: &str) -> Request<'_> {
    Request {
        method: "GET",
        path,
        query: None,
        host: Some("gate.example.com"),
        user_agent: Some(WECOM),
        accept: Some(HTML),
        sec_fetch_mode: Some("navigate"),
        sec_fetch_dest: Some("document"),
        sec_fetch_site: Some("none"),
        x_requested_with: None,
        origin: None,
        app: Named::Nothing,
        hostname: Named::Nothing,
        names_cors_method: false,
        upgrade: false,
        client_ip: [192, 0, 2, 1].into(),
        credential: Credential::None,
        session: SessionState::None,
        signed_out: false,
        own_cookie: false,
        other_app_session: false,
    }
}

/// A call made by NocoBase's page, not signed in.
fn call(path: &str) -> Request<'_> {
    Request {
        accept: Some("application/json, text/plain, */*"),
        sec_fetch_mode: Some("cors"),
        sec_fetch_dest: Some("empty"),
        sec_fetch_site: Some("same-origin"),
        ..page(path)
    }
}

fn no(failure: Failure) -> Decision {
    Decision::Refuse { failure, page: false }
}

fn no_page(failure: Failure) -> Decision {
    Decision::Refuse { failure, page: true }
}

fn pass(identity: Identity) -> Decision {
    Decision::Forward(ForwardOptions::plain(identity))
}

#[test]
fn r06_requests_without_a_path_get_405() {
    for host in [Some("gate.example.com"), Some("evil.com:443"), None] {
        for method in ["CONNECT", "TRACE"] {
            let request = Request { method, host, session: SessionState::Valid, ..page("/") };
            assert_eq!(decide(&policy(), &request), no(Failure::MethodNotAllowed));
        }
    }
    // Methods are case-sensitive.
    let request = Request { method: "connect", ..page("/") };
    assert_eq!(decide(&policy(), &request), no(Failure::NoSession));
}

#[test]
fn r04_unknown_hosts_are_refused_whatever_they_ask_for() {
    for (host, failure) in [
        // Missing, or not a valid host: that is a different error (RFC 9112, 3.2).
        (None, Failure::BadRequest),
        (Some(""), Failure::BadRequest),
        (Some("gate.example.com:x"), Failure::BadRequest),
        (Some("evil.com"), Failure::UnknownHost),
        (Some("gate.example.com.evil.com"), Failure::UnknownHost),
        (Some("127.0.0.1"), Failure::UnknownHost),
    ] {
        for path in ["/admin", "/api/app:getLang", "/wecom-gate/login", "/WW_verify_c.txt"] {
            for session in [SessionState::None, SessionState::Valid] {
                let request = Request { host, session, client_ip: [10, 0, 0, 1].into(), ..page(path) };
                assert_eq!(decide(&policy(), &request), no_page(failure), "{host:?} {path}");
            }
        }
    }
    // The origin's port may differ from the one that WeCom uses.
    for host in [None, Some("gate.example.com"), Some("gate.example.com:80")] {
        assert_eq!(decide(&policy(), &Request { host, ..page("/WW_verify_a.txt") }), Decision::VerifyFile(0));
    }
    for host in ["GATE.example.COM", "gate.example.com:443"] {
        assert!(matches!(
            decide(&policy(), &Request { host: Some(host), ..page("/") }),
            Decision::Login { .. }
        ));
    }
}

#[test]
fn the_gates_own_paths() {
    use OwnPath::*;
    let all = ["GET", "HEAD", "POST", "PUT", "OPTIONS", "DELETE", "PROPFIND"];
    for (path, own, methods) in [
        ("login", Login, &["GET"][..]),
        ("callback", Callback, &["GET"]),
        ("sign-in", SignIn, &["GET", "HEAD"]),
        ("logout", Logout, &["GET", "HEAD", "POST"]),
        ("me", Me, &["GET", "HEAD"]),
        ("auth", Auth, &all),
        ("events/first", Events(0), &["GET", "POST"]),
        ("events/second", Events(1), &["GET", "POST"]),
        ("gate.js", Script, &["GET", "HEAD"]),
    ] {
        let path = format!("/wecom-gate/{path}");
        for method in all {
            let want =
                if methods.contains(&method) { Decision::Own(own) } else { no(Failure::MethodNotAllowed) };
            assert_eq!(decide(&policy(), &Request { method, ..call(&path) }), want, "{method} {path}");
        }
    }
}

#[test]
fn what_the_gate_does_not_have_is_never_forwarded() {
    for path in [
        "/wecom-gate",
        "/wecom-gate/",
        "/wecom-gate/Login",
        "/wecom-gate/login/",
        "/wecom-gate/login/x",
        "/wecom-gate/events",
        "/wecom-gate/events/",
        "/wecom-gate/events/third",
        "/wecom-gate/events/first/",
        "/wecom-gate/metrics",
        "/wecom-gate/gate.js.map",
        "/wecom-gate/api/users:list",
    ] {
        for session in [SessionState::None, SessionState::Valid, SessionState::Ended] {
            assert_eq!(
                decide(&policy(), &Request { session, ..page(path) }),
                no_page(Failure::NotFound),
                "{path}"
            );
            assert_eq!(
                decide(&policy(), &Request { session, ..call(path) }),
                no(Failure::NotFound),
                "{path}"
            );
        }
    }
    // These only look similar.
    for path in ["/wecom-gatekeeper", "/WECOM-GATE/login", "/admin/wecom-gate/login"] {
        let request = Request { session: SessionState::Valid, ..call(path) };
        assert_eq!(decide(&policy(), &request), pass(Identity::Anonymous), "{path}");
    }
}

#[test]
fn r05_the_operators_paths_are_forwarded_like_any_other() {
    for path in ["/livez", "/readyz", "/metrics", "/version"] {
        assert_eq!(decide(&policy(), &call(path)), no(Failure::NoSession), "{path}");
        assert!(matches!(decide(&policy(), &page(path)), Decision::Login { .. }), "{path}");
    }
}

#[test]
fn verification_files_are_exact_names() {
    for (method, path, want) in [
        ("GET", "/WW_verify_a.txt", Decision::VerifyFile(0)),
        ("HEAD", "/WW_verify_b.txt", Decision::VerifyFile(1)),
        ("POST", "/WW_verify_a.txt", no(Failure::MethodNotAllowed)),
        ("GET", "/WW_verify_c.txt", no(Failure::NoSession)),
        ("GET", "/ww_verify_a.txt", no(Failure::NoSession)),
        ("GET", "/x/WW_verify_a.txt", no(Failure::NoSession)),
        ("GET", "/WW_verify_a.txt/", no(Failure::NoSession)),
    ] {
        assert_eq!(decide(&policy(), &Request { method, ..call(path) }), want, "{method} {path}");
    }
}

#[test]
fn another_site_cannot_ask_who_is_signed_in_nor_sign_out() {
    let me = Request { session: SessionState::Valid, ..call("/wecom-gate/me") };
    let auth = Request { path: "/wecom-gate/auth", ..me };
    let logout = Request { method: "POST", path: "/wecom-gate/logout", ..me };
    for (site, origin, counts) in [
        (Some("same-origin"), None, true),
        (Some("same-origin"), Some(ORIGIN), true),
        (None, None, true),
        (None, Some(ORIGIN), true),
        (Some("cross-site"), None, false),
        (Some("same-site"), Some("https://other.example.com"), false),
        (None, Some("https://evil.com"), false),
    ] {
        let from = |request| decide(&policy(), &Request { sec_fetch_site: site, origin, ..request });
        let want = |own, failure| if counts { Decision::Own(own) } else { no(failure) };
        assert_eq!(from(me), want(OwnPath::Me, Failure::NoSession), "{site:?} {origin:?}");
        assert_eq!(from(auth), want(OwnPath::Auth, Failure::NoSession), "{site:?} {origin:?}");
        assert_eq!(from(logout), want(OwnPath::Logout, Failure::CrossSite), "{site:?} {origin:?}");
    }
    // A form on our own page, in a browser without Fetch metadata, sent with `Referrer-Policy: no-referrer`.
    let old = Request { sec_fetch_site: None, origin: Some("null"), ..logout };
    assert_eq!(decide(&policy(), &old), Decision::Own(OwnPath::Logout));
    // Any site may link to the page that asks.
    let ask = Request { method: "GET", sec_fetch_site: Some("cross-site"), ..logout };
    assert_eq!(decide(&policy(), &ask), Decision::Own(OwnPath::Logout));
}
