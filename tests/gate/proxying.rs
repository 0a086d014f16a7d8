//! NocoBase's features through the gate: large files, streams, WebSockets, caching, and the requests it receives.

use std::time::{Duration, Instant};

use futures_util::{SinkExt as _, StreamExt as _};
use nocobase_standin::SECRET;
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde_json::json;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use wecom_gate::error::Failure;
use wecom_gate::nocobase::Minter;

use crate::support::browser::CURL;
use crate::support::{Browser, HOST, Stage, eventually};

const MIB: usize = 1 << 20;
const ORIGIN: &str = "http://gate.test";
/// A debug build of the gate with a few connections uses about half of this.
const MAX_KIB: u64 = 80 * 1024;

#[tokio::test(flavor = "multi_thread")]
async fn r17_200_mb_go_up_and_down_without_being_held() {
    let stage = Stage::start(|_| {}).await;
    let phone = stage.signed_in("zhangsan").await;
    let upload = phone
        .fetch(Method::POST, "/api/attachments:create")
        .header("authorization", format!("Bearer {}", phone.phantom()))
        .body(vec![b'u'; 200 * MIB]);
    assert_eq!(phone.clone().send(upload).await.status, 200);
    assert_eq!(stage.nocobase.last("/api/attachments:create").unwrap().body_len, 200 * MIB);
    let after_upload = stage.gate.rss_kib();

    let mut response = phone.request(Method::GET, &format!("/big/{}", 200 * MIB)).send().await.unwrap();
    assert_eq!(response.content_length(), Some(200 * MIB as u64));
    let (mut length, mut most) = (0, 0);
    while let Some(piece) = response.chunk().await.unwrap() {
        if length / (10 * MIB) != (length + piece.len()) / (10 * MIB) {
            most = most.max(stage.gate.rss_kib());
        }
        length += piece.len();
    }
    assert_eq!(length, 200 * MIB);
    assert!(
        after_upload < MAX_KIB && most < MAX_KIB,
        "{after_upload} KiB after the upload, {most} KiB while downloading"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn server_sent_events_arrive_one_by_one() {
    let stage = Stage::start(|_| {}).await;
    let phone = stage.signed_in("zhangsan").await;
    let began = Instant::now();
    let mut response = phone.fetch(Method::GET, "/sse").send().await.unwrap();
    let mut times = Vec::new();
    while let Some(piece) = response.chunk().await.unwrap() {
        assert!(piece.starts_with(b"data: "), "{piece:?}");
        times.push(began.elapsed());
    }
    assert_eq!(times.len(), 4, "{times:?}");
    // The stand-in sends one every 200 ms.
    assert!(times.windows(2).all(|t| t[1] - t[0] > Duration::from_millis(100)), "{times:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_poll_waits() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let response = phone.api(Method::GET, "/slow/3000").await;
    assert_eq!((response.status, response.body.as_str()), (200, "at last"));
}

type Socket = tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>;

/// The page's WebSocket.
async fn socket(browser: &Browser, origin: &'static str) -> Result<Socket, u16> {
    let mut request = format!("ws://{HOST}/ws").into_client_request().unwrap();
    let all: Vec<String> = browser.cookies.iter().map(|(n, v)| format!("{n}={v}")).collect();
    let headers = request.headers_mut();
    if !all.is_empty() {
        headers.insert("cookie", all.join("; ").parse().unwrap());
    }
    headers.insert("origin", HeaderValue::from_static(origin));
    headers.insert("user-agent", HeaderValue::from_static(crate::support::browser::WECOM_PHONE));
    let tcp = tokio::net::TcpStream::connect(browser.address()).await.unwrap();
    match tokio_tungstenite::client_async(request, tcp).await {
        Ok((socket, _)) => Ok(socket),
        Err(tokio_tungstenite::tungstenite::Error::Http(response)) => Err(response.status().as_u16()),
        Err(other) => panic!("{other}"),
    }
}

async fn echoed(socket: &mut Socket, text: &str) -> String {
    socket.send(Message::text(text)).await.unwrap();
    let response = tokio::time::timeout(Duration::from_secs(5), socket.next()).await.expect("an echo");
    response.unwrap().unwrap().into_text().unwrap().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_echoes_with_the_members_token_in_its_first_frame() {
    let stage = Stage::start(|_| {}).await;
    let user = stage.bound("zhangsan");
    let phone = stage.signed_in("zhangsan").await;
    let mut ws = socket(&phone, "http://gate.test").await.unwrap();
    let first =
        json!({ "type": "auth:token", "payload": { "token": phone.phantom(), "authenticator": null } });
    ws.send(Message::text(first.to_string())).await.unwrap();
    ws.next().await.unwrap().unwrap();
    assert_eq!(echoed(&mut ws, "ping").await, "ping");
    let big = "x".repeat(300_000);
    assert_eq!(echoed(&mut ws, &big).await, big);
    let frames = stage.nocobase.data().frames.clone();
    let sent: serde_json::Value = serde_json::from_str(&frames[0]).unwrap();
    let token = sent["payload"]["token"].as_str().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    let verified = Minter::new(SECRET.as_bytes()).verify(token, now).expect("NocoBase's token");
    assert_eq!(verified.user_id.get(), user);
    assert!(!frames[0].contains("wcg_"));
    assert_eq!(frames[1], "ping");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_websocket_of_a_stranger_or_another_site_is_refused() {
    let stage = Stage::start(|_| {}).await;
    let phone = stage.signed_in("zhangsan").await;
    assert_eq!(socket(&phone, "https://evil.example").await.err(), Some(403));
    assert_eq!(socket(&stage.phone("lisi"), "http://gate.test").await.err(), Some(401));
    assert_eq!(stage.nocobase.count("/ws"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_websocket_ends_with_its_session() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let mut ws = socket(&phone, "http://gate.test").await.unwrap();
    assert_eq!(echoed(&mut ws, "ping").await, "ping");
    phone.api(Method::POST, "/api/auth:signOut").await;
    let _ = ws.send(Message::text("still there?")).await;
    let next = tokio::time::timeout(Duration::from_secs(5), ws.next()).await.expect("an end");
    assert!(!matches!(next, Some(Ok(Message::Text(_)))), "{next:?}");
}

/// The code with which an idle WebSocket is closed.
async fn close_code(ws: &mut Socket) -> Option<u16> {
    match tokio::time::timeout(Duration::from_secs(5), ws.next()).await.expect("an end") {
        Some(Ok(Message::Close(Some(frame)))) => Some(frame.code.into()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r16_a_silent_websocket_ends_with_its_session_too() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let (mut silent, mut talked) =
        (socket(&phone, ORIGIN).await.unwrap(), socket(&phone, ORIGIN).await.unwrap());
    let mut other = socket(&stage.signed_in("lisi").await, ORIGIN).await.unwrap();
    assert_eq!(echoed(&mut talked, &"x".repeat(70_000)).await.len(), 70_000);
    phone.api(Method::POST, "/api/auth:signOut").await;
    assert_eq!((close_code(&mut silent).await, close_code(&mut talked).await), (Some(1008), Some(1008)));
    assert_eq!(echoed(&mut other, "ping").await, "ping", "another member's stays open");
}

#[tokio::test(flavor = "multi_thread")]
async fn websockets_get_a_close_frame_when_the_gate_stops() {
    let stage = Stage::start(|_| {}).await;
    let mut ws = socket(&stage.signed_in("zhangsan").await, ORIGIN).await.unwrap();
    assert_eq!(echoed(&mut ws, "ping").await, "ping");
    stage.gate.signal("TERM");
    assert_eq!(close_code(&mut ws).await, Some(1001));
}

#[tokio::test(flavor = "multi_thread")]
async fn assets_stay_cacheable() {
    let stage = Stage::start(|c| _ = c.set("cache.memory", "0")).await;
    let phone = stage.signed_in("zhangsan").await;
    let asset = || phone.request(Method::GET, "/assets/index-1.js").header("sec-fetch-mode", "no-cors");
    let response = phone.clone().send(asset()).await;
    assert_eq!((response.status, response.header("etag")), (200, Some("\"v1\"")));
    assert_eq!(response.header("cache-control"), Some("public, max-age=600"));
    assert!(response.set_cookies().is_empty());
    let again = phone.clone().send(asset().header("if-none-match", "\"v1\"")).await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some("\"v1\"")));
    let head = phone.clone().send(phone.request(Method::HEAD, "/assets/index-1.js")).await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(stage.nocobase.last("/assets/index-1.js").unwrap().method, Method::HEAD);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_the_gate_keeps_stay_cacheable_too() {
    let stage = Stage::start(|_| {}).await;
    let phone = stage.signed_in("zhangsan").await;
    let asset = || phone.request(Method::GET, "/assets/index-1.js").header("sec-fetch-mode", "no-cors");
    let response = phone.clone().send(asset()).await;
    let tag = response.header("etag").unwrap();
    assert_eq!((response.status, response.header("cache-control")), (200, Some("private, no-cache")));
    assert!(response.set_cookies().is_empty());
    let again = phone.clone().send(asset().header("if-none-match", tag)).await;
    assert_eq!((again.status, again.body.as_str(), again.header("etag")), (304, "", Some(tag)));
    let head = phone.clone().send(phone.request(Method::HEAD, "/assets/index-1.js")).await;
    assert_eq!((head.status, head.body.as_str(), head.header("etag")), (200, "", Some(tag)));
    assert_eq!(stage.nocobase.last("/assets/index-1.js").unwrap().method, Method::GET, "the gate's own");
}

#[tokio::test(flavor = "multi_thread")]
async fn r03_nocobase_gets_the_real_client_address() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    for (name, lie) in [
        ("x-forwarded-for", "6.6.6.6"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-proto", "https"),
        ("x-real-ip", "6.6.6.6"),
        ("forwarded", "for=6.6.6.6"),
    ] {
        phone.extra.insert(name, HeaderValue::from_static(lie));
    }
    phone.api(Method::GET, "/api/orders:list").await;
    let seen = stage.nocobase.last("/api/orders:list").unwrap();
    assert_eq!(seen.header("host"), Some(HOST));
    assert_eq!(seen.header("x-forwarded-host"), Some(HOST));
    assert_eq!(seen.header("x-forwarded-proto"), Some("http"));
    assert_eq!(seen.header("x-forwarded-for"), Some("127.0.0.1"));
    assert_eq!((seen.header("x-real-ip"), seen.header("forwarded")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bypass_network_and_public_rules_pass_without_session() {
    let stage = Stage::start(|c| _ = c.set("access.bypass_networks", vec!["127.0.0.0/8"])).await;
    let mut program = Browser::new(&stage.gate, CURL);
    let response = program.visit("/admin/x").await;
    assert_eq!(response.status, 200);
    assert!(!response.body.contains("data-token"), "no session, no token");
    assert_eq!(stage.nocobase.count("/admin/x"), 1);

    let stage =
        Stage::start(|c| _ = c.set("access.public", vec!["GET /api/public", "POST /api/webhook:*"])).await;
    let program = Browser::new(&stage.gate, CURL);
    for (method, path, status) in [
        (Method::GET, "/api/public", 200),
        (Method::POST, "/api/public", 401),
        (Method::GET, "/api/public2", 401),
        (Method::GET, "/api/webhook:go", 401),
    ] {
        let response = program.clone().send(program.request(method.clone(), path)).await;
        assert_eq!(response.status, status, "{method} {path}");
    }
    program.clone().send(program.request(Method::POST, "/api/webhook:go")).await;
    assert_eq!(stage.nocobase.count("/api/webhook:go"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_nocobase_a_member_gets_a_page_that_reloads_and_an_api_call_json() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    stage.nocobase.down().await;
    let page = phone.visit("/admin/x").await;
    stage.refused(&page, Failure::NocoBaseUnreachable, "The app cannot be reached").await;
    assert!(page.body.contains("http-equiv=\"refresh\""), "{}", page.body);
    let response = phone.api(Method::GET, "/api/orders:list").await;
    assert_eq!((response.status, response.code().as_str()), (502, "NOCOBASE_UNREACHABLE"));
    assert_eq!(response.header("retry-after"), Some("5"));
    stage.nocobase.up().await;
    assert_eq!(phone.visit("/admin/x").await.status, 200, "and is still signed in");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nocobase_starts_pages_reload_and_api_calls_get_its_response() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let starting = r#"{"errors":[{"message":"application main is preparing","code":"APP_PREPARING"}]}"#;
    stage.nocobase.fail("/admin", 503, starting, usize::MAX);
    stage.nocobase.fail("/api/orders", 503, starting, usize::MAX);
    let page = phone.visit("/admin/x").await;
    stage.refused(&page, Failure::NocoBaseStarting, "The app is starting").await;
    assert!(page.body.contains("http-equiv=\"refresh\""));
    let response = phone.api(Method::GET, "/api/orders:list").await;
    assert_eq!((response.status, response.code().as_str()), (503, "APP_PREPARING"));
    stage.nocobase.heal();
    assert_eq!(phone.visit("/admin/x").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_operators_port_shows_the_state() {
    let stage = Stage::start(|_| {}).await;
    let get = async |path: &str| {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        client.get(format!("http://{}{path}", stage.gate.ops)).send().await.unwrap().status().as_u16()
    };
    Browser::new(&stage.gate, CURL);
    assert_eq!((get("/livez").await, get("/readyz").await, get("/metrics").await), (200, 200, 200));
    stage.nocobase.down().await;
    eventually("not ready", async || get("/readyz").await == 503).await;
    assert_eq!(
        (get("/livez").await, get("/servez").await),
        (200, 200),
        "balancers leave the gate where it is"
    );
    stage.nocobase.up().await;
    eventually("ready again", async || get("/readyz").await == 200).await;
    let outside = Browser::new(&stage.gate, CURL).visit("/metrics").await;
    assert_eq!(outside.status, 401, "nothing special on the public port");
}
