//! R44 where the gate serves several applications: their tokens are valid in all of them, but no session, key or rule of one
//! gives access to another.

use std::collections::BTreeMap;

use reqwest::Method;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use crate::applications::{CRM_COOKIE, with_both};
use crate::support::raw::{frame, get, read_response, request, send_raw, upgrade};
use crate::support::{NocoBase, eventually};

/// Header lines and path suffixes that name `crm`.
const CRM: &[(&str, &str)] = &[
    ("X-App: crm\r\n", ""),
    ("x_app: crm\r\n", ""),
    ("", "?__appName=crm"),
    ("X-App: crm\r\n", "?a=b&__appName=crm"),
    ("X-App: crm\r\nX-Hostname: gate.test\r\n", ""),
];
/// The same, naming `crm` and another, or naming `crm` in an unsupported way.
const NEITHER: &[(&str, &str)] = &[
    ("X-App: main\r\n", "?__appName=crm"),
    ("X-App: crm\r\n", "?__appName=main"),
    ("X-App: crm\r\nX-App: main\r\n", ""),
    ("X-App: crm\r\nX_App: crm\r\n", ""),
    ("X-App: CRM\r\n", ""),
    ("X-App: crm, main\r\n", ""),
    ("X-App: sub1\r\n", ""),
    ("X-App: crm\r\nX-Hostname: crm.gate.test\r\n", ""),
    ("", "?__appName=crm&__appName=main"),
    ("", "?__appName=crm&__appName=crm"),
    ("", "?__appName[]=crm"),
    ("", "?__APPNAME=crm"),
    ("", "?__appName=sub1"),
];

/// Calls with any token, to any path but those of the gate itself.
fn with_token(nocobase: &NocoBase, path: &str) -> usize {
    let data = nocobase.data();
    let is_it = |seen: &&nocobase_standin::ReceivedRequest| {
        seen.target.split('?').next() == Some(path)
            && (seen.header("authorization").is_some()
                || seen.target.contains("token=")
                || seen.header("cookie").is_some_and(|c| c.contains("nb_auth_token")))
    };
    data.requests.iter().filter(is_it).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_a_session_of_one_application_opens_no_other() {
    let (stage, crm) = with_both(|config| {
        config.set("access.public", vec!["* /api/public", "GET /ws-public"]);
    })
    .await;
    let main = stage.signed_in("zhangsan").await;
    let mut other = stage.phone("zhangsan");
    assert_eq!(other.open("/apps/crm/").await.status, 200);
    other.extra.insert("x-app", "crm".parse().unwrap());
    assert_eq!(other.api(Method::GET, "/api/auth:check").await.status, 200);
    let real = crm.last("/api/auth:check").unwrap().header("authorization").unwrap().to_owned();
    let (of_main, of_crm) = (&main.cookies["wecom_gate"], &other.cookies[CRM_COOKIE]);
    let cookie = |names: &[(&str, &String)]| {
        let all: Vec<_> = names.iter().map(|(name, value)| format!("{name}={value}")).collect();
        format!("Cookie: {}\r\n", all.join("; "))
    };
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let both = cookie(&[("wecom_gate", of_main), (CRM_COOKIE, of_crm)]);

    // (cookies, what the page shows): none of these is a member of crm.
    let strangers_in_crm = [
        cookie(&[("wecom_gate", of_main)]) + &bearer(&main.phantom()),
        cookie(&[("wecom_gate", of_main)]) + &format!("Authorization: {real}\r\n"),
        cookie(&[(CRM_COOKIE, of_main)]) + &bearer(&main.phantom()),
        both.clone() + &bearer(&main.phantom()),
        bearer(&main.phantom()),
        format!("Authorization: {real}\r\n"),
        format!("Cookie: nb_auth_token_crm={}\r\n", real.trim_start_matches("Bearer ")),
    ];
    let calls = crm.count("/api/users:list");
    for who in &strangers_in_crm {
        for (headers, query) in CRM {
            for method in ["GET", "POST"] {
                let lines = format!("{who}{headers}Content-Length: 0\r\n");
                let response =
                    send_raw(stage.gate.http, request(method, &format!("/api/users:list{query}"), &lines))
                        .await;
                assert_eq!(response.status(), 401, "{who}{headers}{query}: {}", response.text());
            }
        }
        let file = send_raw(stage.gate.http, get("/files/crm/main/attachments/1.png", who)).await;
        assert_eq!(file.status(), 401, "{who}");
    }
    assert_eq!(crm.count("/api/users:list"), calls);

    // None of these is a member of main.
    let strangers_in_main = [
        cookie(&[(CRM_COOKIE, of_crm)]) + &bearer(&other.phantom()),
        cookie(&[("wecom_gate", of_crm)]) + &bearer(&other.phantom()),
        both.clone() + &bearer(&other.phantom()),
        cookie(&[("wecom_gate", of_main)]) + &format!("Authorization: {real}\r\n"),
        format!("Authorization: {real}\r\n"),
    ];
    let calls = stage.nocobase.count("/api/users:list");
    for who in &strangers_in_main {
        for headers in ["", "X-App: main\r\n"] {
            let response =
                send_raw(stage.gate.http, get("/api/users:list", &format!("{who}{headers}"))).await;
            assert_eq!(response.status(), 401, "{who}{headers}: {}", response.text());
        }
    }
    assert_eq!(stage.nocobase.count("/api/users:list"), calls);

    // Two names select none, in every session.
    for who in
        [both.clone() + &bearer(&other.phantom()), both.clone() + &bearer(&main.phantom()), String::new()]
    {
        for (headers, query) in NEITHER {
            for path in ["/api/users:list", "/api/public", "/apps/crm/admin"] {
                let response =
                    send_raw(stage.gate.http, get(&format!("{path}{query}"), &format!("{who}{headers}")))
                        .await;
                assert_eq!(response.status(), 403, "{path} {who}{headers}{query}: {}", response.text());
            }
        }
        for path in ["/files/main/x/y/1.png", "/api/__app/crm/auth:check", "/apps/sub1/admin"] {
            let response = send_raw(stage.gate.http, get(path, &format!("{who}X-App: crm\r\n"))).await;
            assert_eq!(response.status(), 403, "{path} {who}: {}", response.text());
        }
    }

    // A public rule belongs to the main application and lets no token pass, not even there.
    let token = real.trim_start_matches("Bearer ");
    for (headers, query) in CRM {
        let response = send_raw(stage.gate.http, get(&format!("/api/public{query}"), headers)).await;
        assert_eq!(response.status(), 401, "{headers}{query}: {}", response.text());
    }
    let lines = format!("Authorization: {real}\r\nCookie: nb_auth_token_main={token}\r\n");
    let response = send_raw(stage.gate.http, get(&format!("/api/public?token={token}"), &lines)).await;
    assert_eq!(response.status(), 200, "{}", response.text());
    assert_eq!(with_token(&stage.nocobase, "/api/public"), 0);
    assert_eq!(send_raw(stage.gate.http, upgrade("/ws-public", "")).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn r44_each_websocket_has_its_own_applications_token() {
    let (stage, crm) = with_both(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let of_main = phone.phantom();
    assert_eq!(phone.open("/apps/crm/").await.status, 200);
    let phantoms = BTreeMap::from([("/ws?__appName=crm", phone.phantom()), ("/ws", of_main)]);
    let all: Vec<_> = phone.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let lines = format!("Cookie: {}\r\nOrigin: http://gate.test\r\n", all.join("; "));
    let message = |token: &str| format!(r#"{{"type":"auth:token","payload":{{"token":"{token}"}}}}"#);
    for (path, phantom) in &phantoms {
        let here = if path.contains("crm") { &crm } else { &stage.nocobase };
        let mut stream = TcpStream::connect(stage.gate.http).await.unwrap();
        stream.write_all(upgrade(path, &lines).as_bytes()).await.unwrap();
        assert_eq!(read_response(&mut stream).await.status(), 101, "{path}");
        // The other application's phantom first: it is not replaced by a token.
        for foreign in phantoms.values().filter(|other| *other != phantom) {
            stream.write_all(&frame(&message(foreign))).await.unwrap();
        }
        stream.write_all(&frame(&message(phantom))).await.unwrap();
        let tokens = || -> Vec<_> {
            let frames = here.data().frames.clone();
            let jwt = |text: &String| {
                let message: serde_json::Value = serde_json::from_str(text).unwrap();
                nocobase_standin::claims(message["payload"]["token"].as_str().unwrap_or_default())
            };
            frames.iter().map(jwt).filter(|claims| !claims.is_null()).collect()
        };
        eventually("the token has come", async || !tokens().is_empty()).await;
        let bound = here.rows("usersAuthenticators")[0]["userId"].clone();
        assert!(tokens().iter().all(|token| token["userId"] == bound), "{path}: {:?}", tokens());
        assert_eq!(tokens().len(), 1, "{path}");
    }
    // With a session in main alone crm gets no token, and the other way round.
    for (path, cookie) in [("/ws?__appName=crm", "wecom_gate"), ("/ws", CRM_COOKIE)] {
        let lines = format!("Cookie: {cookie}={}\r\nOrigin: http://gate.test\r\n", phone.cookies[cookie]);
        assert_eq!(send_raw(stage.gate.http, upgrade(path, &lines)).await.status(), 401, "{path}");
    }
    for (headers, query) in NEITHER {
        let response =
            send_raw(stage.gate.http, upgrade(&format!("/ws{query}"), &format!("{lines}{headers}"))).await;
        assert_eq!(response.status(), 403, "{headers}{query}");
    }
}
