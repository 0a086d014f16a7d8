//! Sign-ins by password: they come from our own pages, however NocoBase's sign-in is opened (R40), and what they leave in the
//! browser ends like every session (R16, R32, R36).

use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::browser::CHROME;
use crate::support::raw::{Setup, frame, gate_with, read_response, request, send_raw, upgrade};
use crate::support::{Browser, PATIENCE, Stage, eventually};

/// What browsers, old and new, send with a form or an image of another site.
const ELSEWHERE: &[&str] = &[
    "",
    "Origin: http://evil.test\r\n",
    "Origin: null\r\n",
    "Origin: https://gate.test\r\n",
    "Origin: http://gate.test:81\r\n",
    "Origin: http://gate.test.evil.test\r\n",
    "Origin: http://evil.test\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
    "Origin: http://other.gate.test\r\nSec-Fetch-Site: same-site\r\nSec-Fetch-Mode: cors\r\n",
    "Sec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: image\r\n",
    "Sec-Fetch-Site: none\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n",
];
const CALLS: &[(&str, &str)] = &[
    ("POST", "/api/auth:signIn"),
    ("POST", "/api/auth:signIn?authenticator=basic"),
    ("GET", "/api/auth:signIn?values[account]=a&values[password]=b"),
    ("POST", "/api/auth:signIn/1"),
    ("POST", "/api/auth:sign%49n"),
    ("POST", "/api/auth:signUp"),
    ("POST", "/api/auth:resetPassword"),
    ("POST", "/api/auth:syncCookies?token=x"),
];

/// Makes NocoBase's sign-in accessible in the gate's configuration.
type Open = fn(Setup) -> Setup;

#[tokio::test(flavor = "multi_thread")]
async fn r40_no_other_site_signs_a_browser_in() {
    let ways: [(&str, Open); 3] = [
        ("the form", |s| s.set("access.browsers", "nocobase")),
        ("a public rule", |s| s.set("access.public", vec!["* /api/auth:*", "* /api/auth:*/**"])),
        ("a bypass network", |s| s.set("access.bypass_networks", vec!["127.0.0.0/8"])),
    ];
    for (way, open) in ways {
        let (upstream, setup, gate) = gate_with(open).await;
        let (member, key) = (setup.visitor(), setup.api_key());
        for lines in
            [String::new(), member.cookie_line(), member.lines(), format!("Authorization: Bearer {key}\r\n")]
        {
            for (method, target) in CALLS {
                for elsewhere in ELSEWHERE {
                    let headers = format!("{lines}{elsewhere}Content-Length: 0\r\n");
                    let response = send_raw(gate.http, request(method, target, &headers)).await;
                    assert_eq!(
                        response.status(),
                        403,
                        "{way}: {method} {target} {headers}: {}",
                        response.text()
                    );
                    assert!(response.text().contains("CROSS_SITE"), "{way}: {}", response.text());
                }
            }
        }
        assert!(upstream.take().is_empty(), "{way}");
        // NocoBase's own page still works.
        for own in ["Origin: http://gate.test\r\n", "Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: cors\r\n"]
        {
            let headers = format!("{own}Content-Length: 0\r\n");
            let response = send_raw(gate.http, request("POST", "/api/auth:signIn", &headers)).await;
            assert_eq!(response.status(), 200, "{way}: {own}");
            assert_eq!(upstream.take().len(), 1, "{way}: {own}");
        }
    }
}

/// A gate with NocoBase's form open, and a NocoBase of this version with one user who has a password.
async fn form(version: &'static str) -> Stage {
    let stage = Stage::start(|c| _ = c.set("access.browsers", "nocobase")).await;
    stage.nocobase.user(json!({ "username": "anna", "nickname": "Anna", "password": "secret" }));
    stage.nocobase.data().version = version;
    stage
}

/// A browser that is signed in with the form, and the page's token. NocoBase's own cookies are left out: before 2.2 there are
/// none.
async fn signed_in(stage: &Stage) -> (Browser, String) {
    let mut chrome = Browser::new(&stage.gate, CHROME);
    let sign_in = chrome.fetch(Method::POST, "/api/auth:signIn").header("origin", "http://gate.test");
    let response = chrome.send(sign_in.json(&json!({ "account": "anna", "password": "secret" }))).await;
    assert_eq!(response.status, 200, "{}", response.body);
    let token = response.json()["data"]["token"].as_str().unwrap().to_owned();
    chrome.cookies.clear();
    let response = chrome.send(check(&chrome, &token)).await;
    assert_eq!(response.status, 200, "{}", response.body);
    assert!(response.sets(COOKIE), "{:?}", response.set_cookies());
    (chrome, token)
}

fn check(browser: &Browser, token: &str) -> reqwest::RequestBuilder {
    let call = browser.fetch(Method::GET, "/api/auth:check");
    call.header("authorization", format!("Bearer {token}"))
}

fn sign_out(browser: &Browser, token: &str) -> reqwest::RequestBuilder {
    let call = browser.fetch(Method::POST, "/api/auth:signOut").header("origin", "http://gate.test");
    call.header("authorization", format!("Bearer {token}"))
}

/// Status of the page and of a file in this browser.
async fn reaches(browser: &Browser) -> [u16; 2] {
    let page = browser.clone().visit("/admin").await.status;
    let file = browser.fetch(Method::GET, "/storage/uploads/a.png");
    [page, browser.clone().send(file).await.status]
}

/// A WebSocket of this browser.
async fn open(stage: &Stage, browser: &Browser, path: &str) -> TcpStream {
    let cookies: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let headers = format!("Cookie: {}\r\nOrigin: http://gate.test\r\n", cookies.join("; "));
    let mut stream = TcpStream::connect(stage.gate.http).await.unwrap();
    stream.write_all(upgrade(path, &headers).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101, "{path}");
    stream
}

/// Reads until the gate has ended the stream; the last bytes.
async fn rest(stream: &mut TcpStream) -> Vec<u8> {
    let mut rest = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(read.is_ok(), "it stays open");
    rest
}

const COOKIE: &str = "wecom_gate_password";
const PASSED: [u16; 2] = [200, 200];
const CLOSED: [u16; 2] = [302, 401];
/// "Policy violation" (RFC 6455, 7.4.1).
const CLOSED_1008: &[u8] = &[0x88, 2, 0x03, 0xf0];

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_sign_in_by_password_lasts_until_its_sign_out_at_each_version() {
    for version in ["1.9.74", "2.0.62", "2.1.45", "2.2.15"] {
        let mut stage = form(version).await;
        let (mut chrome, token) = signed_in(&stage).await;
        assert_eq!(reaches(&chrome).await, PASSED, "{version}");
        drop(open(&stage, &chrome, "/ws").await);
        // NocoBase gets none of it, and the cookie does not authenticate API calls.
        let seen = stage.nocobase.last("/storage/uploads/a.png").unwrap();
        assert!(!seen.header("cookie").unwrap_or_default().contains("wecom_gate"), "{version}");
        let call = chrome.send(chrome.fetch(Method::GET, "/api/users:list")).await;
        assert_eq!(call.status, 401, "{version}");
        let me = chrome.send(chrome.fetch(Method::GET, "/wecom-gate/me")).await;
        assert_eq!(me.status, 401, "{version}: no member");
        // A restarted gate accepts it too.
        stage.restart().await;
        chrome.go_to(&stage.gate);
        assert_eq!(reaches(&chrome).await, PASSED, "{version}: after a restart");

        let stolen = chrome.clone();
        let out = chrome.send(sign_out(&chrome, &token)).await;
        assert_eq!(out.status, 200, "{version}: {}", out.body);
        assert_eq!(chrome.cookie(COOKIE), None, "{version}");
        assert_eq!(reaches(&stolen).await, CLOSED, "{version}: the old cookie");
        assert_eq!(chrome.send(check(&chrome, &token)).await.status, 401, "{version}");
        eventually("NocoBase knows both", async || stage.nocobase.data().blocked.len() >= 2).await;
        stage.restart().await;
        let mut stolen = stolen;
        stolen.go_to(&stage.gate);
        assert_eq!(reaches(&stolen).await, CLOSED, "{version}: after a restart");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r40_no_other_site_gives_a_browser_the_session_of_its_choice() {
    let stage = form("2.0.62").await;
    let (theirs, token) = signed_in(&stage).await;
    let victim = Browser::new(&stage.gate, CHROME);
    let plain =
        |path: &str| victim.request(Method::GET, path).header("authorization", format!("Bearer {token}"));
    for (what, request) in [
        ("cross-site", plain("/api/auth:check").header("sec-fetch-site", "cross-site")),
        ("same-site", plain("/api/auth:check").header("sec-fetch-site", "same-site")),
        ("an old browser", plain("/api/auth:check").header("origin", "http://evil.test")),
        ("a frame", plain("/api/auth:check").header("origin", "null")),
        ("another call", plain("/api/users:list").header("sec-fetch-site", "same-origin")),
        ("a key", check(&victim, &raw_key(&stage))),
    ] {
        let response = victim.clone().send(request).await;
        assert!(!response.sets(COOKIE), "{what}: {:?}", response.set_cookies());
    }
    // Nor does the cookie authenticate requests from another site.
    let file = theirs.request(Method::GET, "/storage/uploads/a.png");
    let foreign = file.header("sec-fetch-site", "cross-site").header("sec-fetch-mode", "no-cors");
    assert_eq!(theirs.clone().send(foreign).await.status, 401);
    for forged in ["AAAA", "", "x.y.z"] {
        let mut forger = Browser::new(&stage.gate, CHROME);
        forger.cookies.insert(COOKIE.into(), forged.into());
        assert_eq!(reaches(&forger).await, CLOSED, "{forged}");
        // Nor does it count as a member's session, or the other way round.
        forger.cookies.insert("wecom_gate".into(), theirs.cookie(COOKIE).unwrap().into());
        assert_eq!(reaches(&forger).await, CLOSED);
    }
}

/// A NocoBase API key of the user.
fn raw_key(stage: &Stage) -> String {
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let id = stage.nocobase.rows("users").last().unwrap()["id"].as_u64().unwrap();
    let minter = wecom_gate::nocobase::Minter::new(nocobase_standin::SECRET.as_bytes());
    minter.service(wecom_gate::nocobase::UserId::new(id).unwrap(), now).unwrap().as_str().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn r32_a_websocket_ends_with_the_sign_in_by_password() {
    let stage = form("2.1.45").await;
    // One that was open before the sign-in, as NocoBase's page has it, and one that was opened with the cookie.
    let nobody = Browser::new(&stage.gate, CHROME);
    let mut before = open(&stage, &nobody, "/ws").await;
    let (mut chrome, token) = signed_in(&stage).await;
    let names_itself =
        format!(r#"{{"type":"auth:token","payload":{{"token":"{token}","authenticator":"basic"}}}}"#);
    before.write_all(&frame(&names_itself)).await.unwrap();
    let mut after = open(&stage, &chrome, "/ws").await;
    let is_there = async || stage.nocobase.data().frames.iter().any(|f| f.contains(&token));
    eventually("NocoBase has the token", is_there).await;
    let out = chrome.send(sign_out(&chrome, &token)).await;
    assert_eq!(out.status, 200, "{}", out.body);
    for (what, stream) in [("with the cookie", &mut after), ("from before the sign-in", &mut before)] {
        let rest = rest(stream).await;
        assert!(rest.ends_with(CLOSED_1008), "{what}: {rest:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r41_in_the_websocket_of_the_form_no_key_passes_that_does_not_over_http() {
    let stage = Stage::start(|c| {
        c.set("access.browsers", "nocobase").set("access.api_keys", false);
    })
    .await;
    stage.nocobase.user(json!({ "username": "anna" }));
    let key = raw_key(&stage);
    let mut socket = open(&stage, &Browser::new(&stage.gate, CHROME), "/ws").await;
    let message = format!(r#"{{"type":"auth:token","payload":{{"token":"{key}","authenticator":null}}}}"#);
    socket.write_all(&frame(&message)).await.unwrap();
    let arrived = async || stage.nocobase.data().frames.iter().any(|f| f.contains("auth:token"));
    eventually("NocoBase has the message", arrived).await;
    let frames = stage.nocobase.data().frames.clone();
    assert!(frames.iter().all(|f| !f.contains(&key)), "{frames:?}");
}

/// In a WebSocket opened with the gate's own cookie, the same tokens pass as over HTTP: those of sign-ins by password, API keys
/// where they are enabled, and none that is forged, ended or of a member's page.
#[tokio::test(flavor = "multi_thread")]
async fn r41_in_the_websocket_of_the_sealed_cookie_only_tokens_pass_that_pass_over_http() {
    for api_keys in [false, true] {
        let stage = Stage::start(|c| {
            c.set("access.browsers", "nocobase").set("access.api_keys", api_keys);
        })
        .await;
        stage.nocobase.user(json!({ "username": "anna", "nickname": "Anna", "password": "secret" }));
        stage.nocobase.data().version = "1.9.74";
        let (mut over, ended) = signed_in(&stage).await;
        assert_eq!(over.send(sign_out(&over, &ended)).await.status, 200);
        let phantom = stage.signed_in("zhangsan").await.phantom();
        let (chrome, token) = signed_in(&stage).await;
        let (key, forged) = (raw_key(&stage), format!("{}AAAA", &token[..token.len() - 4]));
        for (what, shown, passes) in [
            ("its own token", &token, true),
            ("an API key", &key, api_keys),
            ("a forged token", &forged, false),
            ("an ended one", &ended, false),
            ("a phantom", &phantom, false),
        ] {
            let before = stage.nocobase.data().frames.len();
            let mut socket = open(&stage, &chrome, "/ws").await;
            let message =
                format!(r#"{{"type":"auth:token","payload":{{"token":"{shown}","authenticator":"basic"}}}}"#);
            socket.write_all(&frame(&message)).await.unwrap();
            eventually("NocoBase has a message", async || stage.nocobase.data().frames.len() > before).await;
            let frames = stage.nocobase.data().frames.split_off(before);
            let arrived = frames.iter().any(|f| f.contains(shown.as_str()));
            assert_eq!(arrived, passes, "api_keys = {api_keys}: {what}: {frames:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r36_a_sign_out_by_password_holds_while_nocobase_is_away() {
    let stage = form("1.9.74").await;
    let (mut chrome, token) = signed_in(&stage).await;
    let stolen = chrome.clone();
    stage.nocobase.fail("auth:signOut", 502, "", usize::MAX);
    let out = chrome.send(sign_out(&chrome, &token)).await;
    assert_eq!(out.status, 502);
    assert_eq!(reaches(&stolen).await, CLOSED);
    assert_eq!(chrome.send(check(&chrome, &token)).await.status, 401, "nor does the token count");
    stage.nocobase.heal();
    eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() >= 2).await;

    // With the gate's own page, which identifies the session by its cookie alone.
    let (mut chrome, token) = signed_in(&stage).await;
    let stolen = chrome.clone();
    let post = chrome.request(Method::POST, "/wecom-gate/logout").header("sec-fetch-site", "same-origin");
    let out = chrome.send(post).await;
    assert_eq!((out.status, chrome.cookie(COOKIE)), (303, None));
    assert_eq!(reaches(&stolen).await, CLOSED);
    assert_eq!(chrome.send(check(&chrome, &token)).await.status, 401);
    eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() >= 4).await;
}
