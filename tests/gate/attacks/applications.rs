//! R44: one application. Requests that name another of NocoBase's applications are refused, and forwarded requests name ours.

use reqwest::Method;
use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::support::Stage;
use crate::support::browser::CURL;
use crate::support::raw::{gate_with, get, read_response, request, send_raw, upgrade};

/// Header lines and path suffixes that name another application.
const OTHERS: &[(&str, &str)] = &[
    ("X-App: sub1\r\n", ""),
    ("x-app: sub1\r\n", ""),
    ("X_App: sub1\r\n", ""),
    ("x.app: sub1\r\n", ""),
    ("X-APP:sub1\r\n", ""),
    ("X-App: main\r\nX-App: sub1\r\n", ""),
    ("X-App: main\r\nX_App: sub1\r\n", ""),
    ("X-App: sub1, main\r\n", ""),
    ("X-App: Main\r\n", ""),
    ("X-App: s\u{fc}b\r\n", ""),
    ("X-Hostname: sub1.gate.test\r\n", ""),
    ("x_hostname: sub1.gate.test\r\n", ""),
    ("X-Hostname: gate.test\r\nX-Hostname: sub1.gate.test\r\n", ""),
    ("", "?__appName=sub1"),
    ("", "?a=b&__appName=sub1&c=d"),
    ("", "?%5F%5fappName=sub1"),
    ("", "?__%61ppName=sub1"),
    ("", "?__appName=main&__appName=sub1"),
    ("", "?__appName[]=sub1"),
    ("", "?__appName%5B0%5D=sub1"),
    ("", "?[__appName]=sub1"),
    ("X-App: main\r\n", "?__appName=sub1"),
];
/// Paths that name another application.
const PATHS: &[&str] = &[
    "/api/__app/sub1/auth:check",
    "/api/%5F%5Fapp/sub1/auth:check",
    "/apps/sub1/admin",
    "/%61pps/sub1",
    "/v/apps/sub1/admin",
    "/files/sub1/main/attachments/1.png",
    "/files/sub1/",
    "/files/%73ub1/x",
];

fn refused(response: &crate::support::raw::Response, what: &str) {
    assert_eq!(response.status(), 403, "{what}: {}", response.text());
    let said = response.text();
    assert!(
        said.contains("OTHER_APPLICATION") || said.contains("This application is not open here"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_no_request_reaches_another_application() {
    let open = |s: crate::support::raw::Setup| {
        s.set("access.public", vec!["GET /open/**", "GET /api/open:list"]).set("access.password_login", true)
    };
    let (upstream, setup, gate) = gate_with(open).await;
    let member = setup.visitor();
    let key = setup.api_key();
    for (who, path, lines) in [
        ("a member", "/api/users:list", member.lines()),
        (
            "a member's page",
            "/admin",
            format!("{}Accept: text/html\r\nUser-Agent: Mozilla/5.0\r\n", member.cookie_line()),
        ),
        ("a member's file", "/files/main/x/y/1.png", member.cookie_line()),
        ("a member's POST", "/api/users:create", member.lines()),
        ("an API key", "/api/users:list", format!("Authorization: Bearer {key}\r\n")),
        ("a public rule", "/api/open:list", String::new()),
        ("the form", "/api/app:getLang", String::new()),
    ] {
        let method = if path.ends_with("create") { "POST" } else { "GET" };
        let send = async |target: &str, headers: &str| {
            send_raw(gate.http, request(method, target, &format!("{lines}{headers}Content-Length: 0\r\n")))
                .await
        };
        let ours =
            send(&format!("{path}?__appName=main&a=b"), "X-App: main\r\nX-Hostname: gate.test\r\n").await;
        assert_eq!(ours.status(), 200, "{who}: {}", ours.text());
        let seen = upstream.take();
        assert_eq!((seen.len(), seen[0].all("x-app")), (1, vec!["main"]), "{who}: {}", seen[0].head);
        for (headers, query) in OTHERS {
            refused(
                &send(&format!("{path}{query}"), headers).await,
                &format!("{who}: {path}{query} {headers}"),
            );
        }
        assert!(upstream.take().is_empty(), "{who}");
    }
    for path in PATHS {
        for lines in
            [member.lines(), member.cookie_line(), format!("Authorization: Bearer {key}\r\n"), String::new()]
        {
            refused(&send_raw(gate.http, get(path, &lines)).await, path);
        }
    }
    assert!(upstream.take().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_forwarded_requests_name_our_application() {
    let (upstream, setup, gate) = gate_with(|s| s.set("nocobase.app", "crm")).await;
    let member = setup.visitor();
    for (target, lines) in [
        ("/api/users:list", member.lines()),
        ("/api/public", String::new()),
        ("/assets/a.js", member.cookie_line()),
        ("/apps/crm/x.js", member.cookie_line()),
    ] {
        assert_eq!(send_raw(gate.http, get(target, &lines)).await.status(), 200, "{target}");
        let seen = upstream.take().remove(0);
        // A NocoBase rule about hosts counts only where no application is named.
        assert_eq!(seen.all("x-app"), ["crm"], "{}", seen.head);
    }
    refused(
        &send_raw(gate.http, get("/api/users:list", &format!("{}X-App: main\r\n", member.lines()))).await,
        "main",
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_no_websocket_reaches_another_application() {
    let (upstream, setup, gate) = gate_with(|s| s).await;
    let member = setup.visitor();
    for who in [format!("{}Origin: http://gate.test\r\n", member.cookie_line()), String::new()] {
        for path in ["/ws", "/ws-public"] {
            for (headers, query) in OTHERS {
                let response =
                    send_raw(gate.http, upgrade(&format!("{path}{query}"), &format!("{who}{headers}"))).await;
                refused(&response, &format!("{path}{query} {headers}"));
            }
        }
    }
    assert!(upstream.take().is_empty());
    let mut stream = TcpStream::connect(gate.http).await.unwrap();
    let headers = format!("{}Origin: http://gate.test\r\nX-App: main\r\n", member.cookie_line());
    stream.write_all(upgrade("/ws?__appName=main", &headers).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101);
    assert_eq!(upstream.take().remove(0).all("x-app"), ["main"]);
}

/// The stand-in chooses its application as NocoBase 2.2.15 with the multi-app manager does; in sub1 every user is root.
#[tokio::test(flavor = "multi_thread")]
async fn r44_a_member_of_main_is_anonymous_in_another_application() {
    let stage = Stage::start(|_| {}).await;
    let mut member = stage.signed_in("zhangsan").await;
    let direct = stage.nocobase.last("/admin").unwrap();
    assert_eq!(direct.header("x-app"), Some("main"));
    for path in ["/api/auth:check?__appName=sub1", "/api/__app/sub1/auth:check"] {
        let response = member.api(Method::GET, path).await;
        assert_eq!(
            (response.status, response.code().as_str()),
            (403, "OTHER_APPLICATION"),
            "{path}: {}",
            response.body
        );
    }
    member.extra.insert("x-app", "sub1".parse().unwrap());
    let response = member.api(Method::POST, "/api/users:create").await;
    assert_eq!((response.status, response.code().as_str()), (403, "OTHER_APPLICATION"));
    let page = member.visit("/apps/sub1/admin").await;
    assert_eq!(page.status, 403);
    assert!(page.body.contains("This application is not open here"), "{}", page.body);
    member.extra.clear();
    let response = member.user_agent(CURL).api(Method::GET, "/api/auth:check").await;
    assert_eq!((response.status, &response.json()["data"]["nickname"]), (200, &json!("zhangsan")));
}
