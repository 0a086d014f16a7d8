//! A cookie alone never acts as the member, and requests from other sites never do (CSRF, WebSocket hijacking).

use crate::support::raw::{frame, gate, gate_with, get, read_response, request, send_raw, upgrade};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

/// How browsers mark requests that another site caused.
const ELSEWHERE: &[&str] = &[
    "Origin: http://evil.test\r\n",
    "Origin: null\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: cors\r\n",
    "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
    "Sec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nOrigin: http://other.gate.test\r\n",
    "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: iframe\r\n",
    "Origin: https://gate.test\r\n",
    "Origin: http://gate.test:81\r\n",
    "Origin: http://gate.test.evil.test\r\n",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_alone_never_acts_as_the_member() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    for (method, target) in [
        ("POST", "/api/users:destroy"),
        ("PUT", "/api/users:update"),
        ("DELETE", "/api/users/1"),
        ("GET", "/api/users:destroy"),
        ("POST", "/files/1"),
        ("POST", "/storage/uploads/x"),
        ("PATCH", "/"),
        ("POST", "/admin"),
        ("OPTIONS", "/api/users:list"),
    ] {
        let headers = format!("{}Origin: http://gate.test\r\nContent-Length: 0\r\n", member.cookie_line());
        let response = send_raw(gate.http, request(method, target, &headers)).await;
        assert_eq!(response.status(), 200, "{method} {target}: {}", response.text());
        let seen = upstream.take();
        assert_eq!(seen.len(), 1, "{method} {target}");
        assert!(seen[0].all("authorization").is_empty(), "{method} {target}: {}", seen[0].head);
        assert!(!seen[0].head.contains("eyJ0eXAi"), "{method} {target} carries a token: {}", seen[0].head);
        // The same with the phantom, which only the page has: now it carries the member's token.
        let headers = format!("{}Origin: http://gate.test\r\nContent-Length: 0\r\n", member.lines());
        let response = send_raw(gate.http, request(method, target, &headers)).await;
        assert_eq!(response.status(), 200, "{method} {target}: {}", response.text());
        let seen = upstream.take();
        let authorization = seen[0].header("authorization").unwrap_or_default();
        assert!(authorization.starts_with("Bearer eyJ"), "{method} {target}: {}", seen[0].head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_of_another_site_carry_no_identity() {
    let (upstream, setup, gate) = gate_with(|s| s.set("nocobase.identity_headers", true)).await;
    let member = setup.visitor();
    // From the site itself all of this works as the member.
    assert_eq!(send_raw(gate.http, get("/api/public", &member.lines())).await.status(), 200);
    assert_eq!(upstream.take()[0].all("x-wecom-user"), ["zhangsan"]);
    assert_eq!(send_raw(gate.http, get("/files/1.png", &member.cookie_line())).await.status(), 200);
    assert!(upstream.take()[0].head.contains("eyJ0eXAi"));
    assert_eq!(send_raw(gate.http, get("/wecom-gate/auth", &member.cookie_line())).await.status(), 204);
    assert_eq!(send_raw(gate.http, get("/wecom-gate/me", &member.cookie_line())).await.status(), 200);
    for elsewhere in ELSEWHERE {
        for (method, target) in
            [("POST", "/api/users:destroy"), ("GET", "/api/users:list"), ("GET", "/files/1.png")]
        {
            let headers = format!("{}{elsewhere}Content-Length: 0\r\n", member.cookie_line());
            let response = send_raw(gate.http, request(method, target, &headers)).await;
            assert!(
                (400..500).contains(&response.status()),
                "{method} {target} {elsewhere}: {}",
                response.text()
            );
            assert!(upstream.take().is_empty(), "{method} {target} {elsewhere}");
        }
        // What is public is public for other sites too, but never as the member.
        for method in ["GET", "POST"] {
            let headers = format!("{}{elsewhere}Content-Length: 0\r\n", member.cookie_line());
            assert_eq!(send_raw(gate.http, request(method, "/api/public", &headers)).await.status(), 200);
            let seen = upstream.take().remove(0);
            assert!(
                !seen.head.to_lowercase().contains("x-wecom") && !seen.head.contains("eyJ0eXAi"),
                "{elsewhere}: {}",
                seen.head
            );
            assert!(seen.all("x-forwarded-user").is_empty(), "{elsewhere}: {}", seen.head);
        }
        for path in ["/wecom-gate/auth", "/wecom-gate/me"] {
            let response =
                send_raw(gate.http, get(path, &format!("{}{elsewhere}", member.cookie_line()))).await;
            assert_eq!(response.status(), 401, "{path} {elsewhere}: {}", response.text());
            assert!(!response.text().contains("zhangsan"), "{path} {elsewhere}: {}", response.text());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_of_other_sites_are_refused() {
    let (upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    let none = [""];
    for origin in ELSEWHERE.iter().chain(&none).chain(&["Origin: null\r\n", "Origin: \r\n"]) {
        let response =
            send_raw(gate.http, upgrade("/ws", &format!("{}{origin}", member.cookie_line()))).await;
        assert!((400..500).contains(&response.status()), "{origin}: {}", response.text());
    }
    assert!(upstream.take().is_empty());
    // Where a public rule lets them through, the page's phantom is not replaced in them: it arrives as it was sent. From the site
    // itself the same message is sent with the member's token.
    let message = format!(r#"{{"type":"auth:token","payload":{{"token":"{}"}}}}"#, member.phantom);
    for (origin, foreign) in
        ELSEWHERE.iter().map(|origin| (*origin, true)).chain([("Origin: http://gate.test\r\n", false)])
    {
        let mut stream = TcpStream::connect(gate.http).await.unwrap();
        let bytes = upgrade("/ws-public", &format!("{}{origin}", member.cookie_line()));
        stream.write_all(bytes.as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status(), 101);
        stream.write_all(&frame(&message)).await.unwrap();
        let arrived = upstream.frame().await;
        assert_eq!(arrived == message, foreign, "{origin}: {arrived}");
        assert_eq!(arrived.contains("eyJ0eXAi"), !foreign, "{origin}: {arrived}");
        let through = upstream.take().remove(0);
        assert!(!through.head.contains("eyJ0eXAi") || !foreign, "{origin}: {}", through.head);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_cannot_sign_out() {
    let (_upstream, setup, gate) = gate().await;
    let member = setup.visitor();
    let me = get("/wecom-gate/me", &member.cookie_line());
    assert_eq!(send_raw(gate.http, &me).await.status(), 200);
    for elsewhere in ELSEWHERE {
        let headers = format!("{}{elsewhere}Content-Length: 0\r\n", member.cookie_line());
        let response = send_raw(gate.http, request("POST", "/wecom-gate/logout", &headers)).await;
        assert_eq!(response.status(), 403, "{elsewhere}: {}", response.text());
    }
    // A link or an image only gets the confirmation page.
    let response = send_raw(gate.http, get("/wecom-gate/logout", &member.cookie_line())).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert!(response.all("set-cookie").is_empty(), "{}", response.text());
    assert_eq!(send_raw(gate.http, &me).await.status(), 200);
    // The page's own form does sign out.
    let headers = format!(
        "{}Origin: http://gate.test\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 0\r\n",
        member.cookie_line()
    );
    assert_eq!(send_raw(gate.http, request("POST", "/wecom-gate/logout", &headers)).await.status(), 303);
    assert_eq!(send_raw(gate.http, &me).await.status(), 401);
}
