//! R25, R26: no personal response reaches another user through a cache, and refusals contain nothing from NocoBase.

use crate::support::raw::{Response, WECOM, gate, gate_with, get, request, send_raw};

fn is_not_stored(response: &Response) -> bool {
    response.header("cache-control").is_some_and(|c| c.contains("no-store"))
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_no_response_of_the_gates_own_may_be_stored() {
    let (_upstream, setup, gate) = gate().await;
    let cookie = setup.visitor().cookie_line();
    let page = format!("Accept: text/html\r\nUser-Agent: {WECOM}\r\n");
    let browser = "Accept: text/html\r\nUser-Agent: Mozilla/5.0 (X11; Linux) Chrome/126\r\n".to_owned();
    for (what, bytes) in [
        ("login", get("/admin", &page)),
        ("login of a browser", get("/admin", &browser)),
        ("login page", get("/wecom-gate/login", &page)),
        ("401", get("/api/users:list", "")),
        ("401 for garbage", get("/api/users:list", "Cookie: wecom_gate=x\r\n")),
        ("401 for a token", get("/api/users:list", "Authorization: Bearer x\r\n")),
        ("400", get("//x", "")),
        ("400 page", get("//x", &page)),
        ("unknown host", get("/", "").replace("gate.test", "evil.test")),
        ("me", get("/wecom-gate/me", &cookie)),
        ("me without a session", get("/wecom-gate/me", "")),
        ("auth", get("/wecom-gate/auth", &cookie)),
        ("auth without a session", get("/wecom-gate/auth", "")),
        ("sign-in", get("/wecom-gate/sign-in", &browser)),
        ("callback", get("/wecom-gate/callback?code=a&state=b", &page)),
        ("without its token", get("/admin?token=x", &format!("{page}{cookie}"))),
        ("logout page", get("/wecom-gate/logout", &cookie)),
        ("404", get("/wecom-gate/nope", &page)),
        ("405", request("DELETE", "/wecom-gate/me", "")),
        ("logout", request("POST", "/wecom-gate/logout", &format!("{cookie}Content-Length: 0\r\n"))),
    ] {
        let response = send_raw(gate.http, bytes).await;
        assert!(response.status() >= 200, "{what}: {}", response.text());
        assert!(is_not_stored(&response), "{what}: {}", response.text());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r25_what_depends_on_the_person_is_not_to_be_stored() {
    // With this setting the cookie is renewed all the time.
    let (upstream, setup, gate) = gate_with(|s| s.set("session.idle", "1m")).await;
    let html = "Content-Type: text/html; charset=utf-8\r\nCache-Control: public, max-age=31536000\r\nETag: \"a\"\r\nLast-Modified: Sat, 21 Nov 2026 00:00:00 GMT\r\n";
    upstream.set_response(
        "/admin",
        "200 OK",
        html,
        "<!DOCTYPE html>\n<html>\n\n<head>\n<title>x</title></head><body></body></html>",
    );
    let member = setup.visitor_seen_ago(std::time::Duration::from_secs(30));
    let page = format!(
        "{}Accept: text/html\r\nUser-Agent: {WECOM}\r\nIf-None-Match: \"a\"\r\n",
        member.cookie_line()
    );
    let response = send_raw(gate.http, get("/admin", &page)).await;
    // The page holds the session's phantom.
    assert!(response.body().contains(&member.phantom), "{}", response.text());
    assert!(is_not_stored(&response) && !response.text().contains("max-age=31536000"), "{}", response.text());
    assert!(response.header("etag").is_none() && response.header("last-modified").is_none());
    assert!(upstream.take()[0].all("if-none-match").is_empty());
    // A renewed cookie on a response that NocoBase marks as cacheable.
    upstream.set_response("/api/x", "200 OK", "Cache-Control: public, max-age=600\r\n", "{}");
    let response = send_raw(gate.http, get("/api/x", &member.lines())).await;
    assert!(!response.all("set-cookie").is_empty(), "{}", response.text());
    assert!(is_not_stored(&response) && response.all("cache-control").len() == 1, "{}", response.text());
    // No response comes from a cache: each request reaches NocoBase.
    for _ in 0..3 {
        send_raw(gate.http, get("/api/x", &member.lines())).await;
    }
    assert_eq!(upstream.take().len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn r26_refusals_and_redirects_carry_nothing_of_nocobases() {
    let (upstream, setup, gate) = gate().await;
    upstream.set_response("/admin", "200 OK", "X-Secret: PROTECTED\r\n", "PROTECTED");
    upstream.set_response("/api/x", "200 OK", "X-Secret: PROTECTED\r\n", "PROTECTED");
    let page = format!("Accept: text/html\r\nUser-Agent: {WECOM}\r\n");
    let to_login = send_raw(gate.http, get("/admin", &page)).await;
    assert_eq!(to_login.body(), "");
    for (response, status) in [
        (to_login, 302),
        (send_raw(gate.http, get("/api/x", "")).await, 401),
        (send_raw(gate.http, request("HEAD", "/admin", &page)).await, 302),
    ] {
        assert_eq!(response.status(), status, "{}", response.text());
        assert!(!response.text().contains("PROTECTED"), "{}", response.text());
    }
    assert!(upstream.take().is_empty());
    assert!(upstream.recorded().own.is_empty(), "NocoBase is not even asked");
    // A member gets the resource.
    let response = send_raw(gate.http, get("/api/x", &setup.visitor().lines())).await;
    assert_eq!((response.status(), response.body().as_str()), (200, "PROTECTED"), "{}", response.text());
}

/// A session that has ended, an invalid cookie, HTTP/2: the members' page is not sent.
#[tokio::test(flavor = "multi_thread")]
async fn r26_nor_with_a_session_that_has_ended() {
    let (upstream, setup, gate) = gate_with(|s| s.https()).await;
    upstream.set_response("/admin", "200 OK", "X-Secret: PROTECTED\r\n", "PROTECTED");
    upstream.set_response(
        "own:/api/auth:check",
        "401 Unauthorized",
        "Content-Type: application/json\r\n",
        r#"{"errors":[{"message":"PROTECTED","code":"BLOCKED_TOKEN"}]}"#,
    );
    let ended = setup.visitor().cookie;
    for cookie in [ended.as_str(), "__Host-wecom_gate=PLANTED"] {
        let page = format!("Accept: text/html\r\nUser-Agent: {WECOM}\r\nCookie: {cookie}\r\n");
        for tls in [false, true] {
            let response = setup.send_raw_over(&gate, tls, get("/admin", &page)).await;
            assert_eq!((response.status(), response.body().as_str()), (302, ""), "{}", response.text());
            assert!(!response.text().contains("PROTECTED"), "{}", response.text());
        }
        let headers = [("accept", "text/html"), ("user-agent", WECOM), ("cookie", cookie)];
        let headers = headers.map(|(n, v)| (n.to_owned(), v.to_owned()));
        let (status, head) = setup.h2(&gate).await.ask("GET", "/admin", &headers, &[]).await;
        assert_eq!((status, head["content-length"].to_str().unwrap()), (302, "0"));
        assert!(!format!("{head:?}").contains("PROTECTED"), "{head:?}");
    }
    assert!(upstream.take().is_empty());
}

/// NocoBase ends a session that the gate has confirmed before: its own response goes to the page that sent the request, and from
/// then on no response of NocoBase does.
#[tokio::test(flavor = "multi_thread")]
async fn r26_neither_does_the_response_to_a_session_that_nocobase_ends() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    let page = format!("Accept: text/html\r\nUser-Agent: {WECOM}\r\n{}", member.cookie_line());
    upstream.set_response("/admin", "200 OK", "X-Secret: PROTECTED\r\n", "PROTECTED");
    upstream.set_response("/api/x", "200 OK", "X-Secret: PROTECTED\r\n", "PROTECTED");
    for bytes in [get("/admin", &page), get("/api/x", &member.lines())] {
        let response = send_raw(gate.http, bytes).await;
        assert_eq!((response.status(), response.body().as_str()), (200, "PROTECTED"), "{}", response.text());
    }
    upstream.recorded().ended = true;
    upstream.set_response(
        "/api/x",
        "401 Unauthorized",
        "Content-Type: application/json\r\nX-Secret: PROTECTED\r\n",
        r#"{"errors":[{"message":"Your session has expired.","code":"BLOCKED_TOKEN"}]}"#,
    );
    assert_eq!(send_raw(gate.http, get("/api/x", &member.lines())).await.status(), 401);
    assert_eq!(upstream.take().len(), 3);
    for (bytes, status) in [
        (get("/admin", &page), 302),
        (request("HEAD", "/admin", &page), 302),
        (get("/api/x", &member.lines()), 401),
        (get("/wecom-gate/me", &member.cookie_line()), 401),
    ] {
        let response = send_raw(gate.http, &bytes).await;
        assert_eq!(response.status(), status, "{bytes}: {}", response.text());
        assert!(!response.text().contains("PROTECTED"), "{bytes}: {}", response.text());
        assert!(status != 302 || response.body().is_empty(), "{}", response.text());
    }
    assert!(upstream.take().is_empty(), "NocoBase is asked for nothing more");
}
