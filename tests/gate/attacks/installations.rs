//! R37: a cookie belongs to one installation.

use crate::support::raw::{Process, Response, WECOM, gate, gate_with, send_raw};

/// Another origin on the same host: browsers send it the same cookies.
const OTHER: &str = "http://gate.test:8081";
const CHROME: &str = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 Chrome/120.0.0.0 Safari/537.36";

/// A request to the installation whose authority this is.
async fn ask(gate: &Process, authority: &str, line: &str, headers: &str) -> Response {
    send_raw(gate.http, format!("{line} HTTP/1.1\r\nHost: {authority}\r\nConnection: close\r\n{headers}\r\n"))
        .await
}

/// Two installations with the same keys, perhaps from a copied configuration. Their users with the same id are two different
/// people.
#[tokio::test(flavor = "multi_thread")]
async fn r37_a_session_of_another_installation_is_invalid() {
    let (_upstream, here, gate_here) = gate().await;
    let (upstream, there, gate_there) = gate_with(|s| s.at(OTHER)).await;
    let (member, stranger) = (there.visitor(), here.visitor());
    let get = "GET /api/users:list";
    assert_eq!(ask(&gate_here, "gate.test", get, &stranger.lines()).await.status(), 200, "at home");
    assert_eq!(ask(&gate_there, "gate.test:8081", get, &member.lines()).await.status(), 200, "at home");
    assert_eq!(upstream.take().len(), 1);
    for (what, line, headers) in [
        ("API", get, stranger.lines()),
        ("files", "GET /files/a.png", stranger.cookie_line()),
        (
            "page",
            "GET /admin",
            format!("User-Agent: {WECOM}\r\nAccept: text/html\r\n{}", stranger.cookie_line()),
        ),
        ("who", "GET /wecom-gate/me", stranger.cookie_line()),
        ("forward-auth", "GET /wecom-gate/auth", stranger.cookie_line()),
    ] {
        let response = ask(&gate_there, "gate.test:8081", line, &headers).await;
        assert!(matches!(response.status(), 302 | 401), "{what}: {}", response.text());
        assert!(!response.text().contains("zhangsan"), "{what}: {}", response.text());
    }
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r37_a_sign_in_of_another_installation_is_not_finished_here() {
    let (_upstream, _here, gate_here) = gate().await;
    let (_upstream, _there, gate_there) = gate_with(|s| s.at(OTHER)).await;
    let headers = format!("User-Agent: {CHROME}\r\nAccept: text/html\r\n");
    for (gate, authority, known) in [(&gate_here, "gate.test", true), (&gate_there, "gate.test:8081", false)]
    {
        let begun = ask(&gate_here, "gate.test", "GET /wecom-gate/login?via=wecom", &headers).await;
        assert_eq!(begun.status(), 302, "{}", begun.text());
        let (name, value) = begun.cookies().into_iter().find(|(name, _)| name.contains("_flow_")).unwrap();
        let location = begun.header("location").unwrap();
        let state = location.split("state=").nth(1).unwrap().split(['&', '#']).next().unwrap();
        let line = format!("GET /wecom-gate/callback?code=any&state={state}");
        let cookie = format!("{headers}Cookie: {name}={value}\r\n");
        let response = ask(gate, authority, &line, &cookie).await;
        // WeCom is unreachable here; a known sign-in gets as far as that.
        assert_eq!(response.body().contains("flow_missing"), !known, "{}", response.text());
    }
}

/// Cookies are sent to every port of a host name.
#[tokio::test(flavor = "multi_thread")]
async fn r37_two_gates_on_one_host_name_leave_each_other_alone() {
    let (upstream_a, a, gate_a) = gate().await;
    let (upstream_b, b, gate_b) =
        gate_with(|s| s.at(OTHER).set("session.cookie_name", "wecom_gate_crm")).await;
    let (in_a, in_b) = (a.visitor(), b.visitor());
    assert!(in_b.cookie.starts_with("wecom_gate_crm="), "{}", in_b.cookie);
    let both = format!("Cookie: theme=dark; {}; {}\r\n", in_a.cookie, in_b.cookie);
    for (gate, upstream, authority, phantom) in [
        (&gate_a, &upstream_a, "gate.test", &in_a.phantom),
        (&gate_b, &upstream_b, "gate.test:8081", &in_b.phantom),
    ] {
        let bearer = format!("{both}Authorization: Bearer {phantom}\r\n");
        let response = ask(gate, authority, "GET /api/x", &bearer).await;
        assert_eq!(response.status(), 200, "{authority}: {}", response.text());
        assert!(response.cookies().is_empty(), "{authority}: {:?}", response.cookies());
        let seen = upstream.take();
        let cookie = seen[0].header("cookie").unwrap();
        // The other cookie contains a valid session there.
        assert!(cookie.contains("theme=dark") && !cookie.contains("wecom_gate"), "{authority}: {cookie}");
    }
    // Signing in and out here does not change the other's cookies.
    let own = "Origin: http://gate.test:8081\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n";
    let out = ask(&gate_b, "gate.test:8081", "POST /wecom-gate/logout", &format!("{own}{both}")).await;
    let page = format!("User-Agent: {WECOM}\r\nAccept: text/html\r\nCookie: {}\r\n", in_a.cookie);
    let begun = ask(&gate_b, "gate.test:8081", "GET /admin", &page).await;
    assert_eq!(begun.status(), 302, "{}", begun.text());
    let mut names: Vec<String> =
        out.cookies().into_iter().chain(begun.cookies()).map(|(name, _)| name).collect();
    names.retain(|name| name.starts_with("wecom_gate"));
    assert!(names.iter().any(|name| name == "wecom_gate_crm_out"), "{}", out.text());
    assert!(names.iter().any(|name| name.starts_with("wecom_gate_crm_flow_")), "{}", begun.text());
    assert!(names.iter().all(|name| name.starts_with("wecom_gate_crm")), "{names:?}");
    assert_eq!(ask(&gate_a, "gate.test", "GET /api/x", &in_a.lines()).await.status(), 200);
}
