//! R35: the token that NocoBase sees, and may pass on to third parties, is of little use elsewhere.

use std::time::Duration;

use nocobase_standin::{ReceivedRequest, claims};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use wecom_gate::nocobase::{Minter, UserId};

use crate::support::browser::{CHROME, CURL, navigation};
use crate::support::raw::{frame, read_response, upgrade};
use crate::support::{Browser, PATIENCE, Response, Stage, eventually};

/// Longest remaining lifetime of a forwarded token, seconds.
const HALF_AN_HOUR: u64 = 30 * 60;
const A_WEEK: u64 = 7 * 24 * 3600;

/// All tokens in a request, wherever they are.
fn tokens(seen: &ReceivedRequest) -> Vec<String> {
    let text = format!("{} {:?}", seen.target, seen.headers);
    let parts = text.split(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)));
    parts.filter(|p| p.starts_with("eyJ") && p.matches('.').count() == 2).map(str::to_owned).collect()
}

fn life(token: &str) -> u64 {
    let claims = claims(token);
    claims["exp"].as_u64().unwrap() - claims["iat"].as_u64().unwrap()
}

/// Requests of clients, and those of the gate itself.
fn seen(stage: &Stage) -> (Vec<ReceivedRequest>, Vec<ReceivedRequest>) {
    stage.nocobase.data().requests.clone().into_iter().partition(|seen| seen.header("x-request-id").is_some())
}

async fn with(stage: &Stage, token: &str) -> Response {
    let mut program = Browser::new(&stage.gate, CURL);
    let request =
        program.request(Method::GET, "/api/orders:list").header("authorization", format!("Bearer {token}"));
    program.send(request).await
}

/// The member's token as NocoBase received it with an ordinary call.
async fn kept(stage: &Stage, member: &mut Browser) -> String {
    assert_eq!(member.api(Method::GET, "/api/customRequests:send").await.status, 200);
    tokens(&stage.nocobase.last("/api/customRequests:send").unwrap()).remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn r35_forwarded_tokens_end_within_half_an_hour() {
    for (delivery, idle) in [("sealed", "12h"), ("browser", "12h"), ("sealed", "10m")] {
        let stage =
            Stage::start(|c| _ = c.set("nocobase.token_delivery", delivery).set("session.idle", idle)).await;
        let mut member = stage.signed_in("zhangsan").await;
        member.api(Method::GET, "/api/orders:list").await;
        let shown = member.phantom();
        let path = format!("/api/export:csv?token={shown}");
        member.clone().send(member.fetch(Method::GET, &path)).await;
        member.clone().send(member.request(Method::GET, "/files/main/main/attachments/1.png")).await;
        member.api(Method::POST, "/api/orders:create").await;
        assert_eq!(member.api(Method::POST, "/api/auth:signOut").await.status, 200);
        let (forwarded, _) = seen(&stage);
        let all: Vec<String> = forwarded.iter().flat_map(tokens).collect();
        assert!(all.len() >= 5, "{delivery}: {forwarded:?}");
        let most = if idle == "10m" { 600 } else { HALF_AN_HOUR };
        for token in &all {
            assert!(life(token) <= most, "{delivery}: {}", claims(token));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r35_a_kept_token_is_valid_only_as_long_as_its_session() {
    let mut stage = Stage::start(|_| {}).await;
    let user = stage.bound("zhangsan");
    let mut member = stage.signed_in("zhangsan").await;
    let token = kept(&stage, &mut member).await;
    // A custom request of NocoBase's that calls the same NocoBase.
    let back = with(&stage, &token).await;
    assert_eq!((back.status, &back.json()["data"]["as"]), (200, &json!(user)), "{}", back.body);
    // NocoBase cannot record the sign-out for a while: the gate refuses the token anyway.
    stage.nocobase.fail("auth:signOut", 503, "", usize::MAX);
    let post = member.request(Method::POST, "/wecom-gate/logout").header("origin", "http://gate.test");
    member.send(post).await;
    let before = stage.nocobase.count("/api/orders:list");
    let refused = with(&stage, &token).await;
    assert_eq!((refused.status, refused.code().as_str()), (401, "INVALID_TOKEN"));
    assert_eq!(stage.nocobase.count("/api/orders:list"), before, "NocoBase is not even asked");
    stage.nocobase.heal();

    // Signed out in NocoBase: refused here, on another node, and after a restart.
    let mut member = stage.signed_in("lisi").await;
    let token = kept(&stage, &mut member).await;
    assert_eq!(with(&stage, &token).await.status, 200);
    assert_eq!(member.api(Method::POST, "/api/auth:signOut").await.status, 200);
    assert_eq!(with(&stage, &token).await.status, 401);
    stage.restart().await;
    assert_eq!(with(&stage, &token).await.code(), "BLOCKED_TOKEN");
}

/// NocoBase keeps a session blocked for as long as the token used to block it would have been valid, wherever the sign-out began.
#[tokio::test(flavor = "multi_thread")]
async fn r35_the_block_outlives_the_session_and_its_token_stays_in_the_gate() {
    for own_page in [true, false] {
        let stage = Stage::start(|_| {}).await;
        let mut member = stage.signed_in("zhangsan").await;
        let sid = stage.nocobase.data().tokens[0]["jti"].as_str().unwrap().to_owned();
        if own_page {
            let post =
                member.request(Method::POST, "/wecom-gate/logout").header("origin", "http://gate.test");
            assert_eq!(member.send(post).await.status, 303);
        } else {
            assert_eq!(member.api(Method::POST, "/api/auth:signOut").await.status, 200);
        }
        eventually("the session is blocked", async || stage.nocobase.data().blocked.contains(&sid)).await;
        let (forwarded, own) = seen(&stage);
        let signs_out = |all: &[ReceivedRequest]| -> Vec<Value> {
            let calls = all.iter().filter(|seen| seen.target == "/api/auth:signOut");
            calls.flat_map(tokens).map(|token| claims(&token)).collect()
        };
        let blocks = signs_out(&own);
        assert!(!blocks.is_empty());
        for block in &blocks {
            assert_eq!(block["jti"], json!(sid));
            let left = block["exp"].as_u64().unwrap() - block["iat"].as_u64().unwrap();
            assert!(left > A_WEEK, "{block}");
        }
        // NocoBase would keep the session's own id blocked only for the lifetime of the forwarded token.
        for sent in signs_out(&forwarded) {
            assert_ne!(sent["jti"], json!(sid));
            assert!(sent["exp"].as_u64().unwrap() - sent["iat"].as_u64().unwrap() <= HALF_AN_HOUR, "{sent}");
        }
        assert_eq!(signs_out(&forwarded).len(), usize::from(!own_page));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r35_a_member_who_leaves_keeps_no_valid_token() {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let mut member = stage.signed_in("zhangsan").await;
    let token = kept(&stage, &mut member).await;
    // NocoBase cannot record it: the gate refuses it by itself.
    stage.nocobase.fail("auth:signOut", 503, "", usize::MAX);
    assert!(stage.wecom().remove_member(crate::support::CORP, "zhangsan"));
    let began = std::time::Instant::now();
    while member.api(Method::GET, "/api/orders:list").await.status == 200 {
        assert!(began.elapsed() < Duration::from_secs(60), "the session has not ended");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    assert_eq!(with(&stage, &token).await.status, 401);
}

/// An event stream that a program has opened with this token alone.
async fn events(stage: &Stage, token: &str) -> reqwest::Response {
    let program = Browser::new(&stage.gate, CURL);
    let request =
        program.request(Method::GET, "/sse/open").header("authorization", format!("Bearer {token}"));
    let mut events = request.send().await.unwrap();
    assert_eq!(events.chunk().await.unwrap().unwrap(), "data: 0\n\n");
    events
}

/// It must not look complete.
async fn breaks_off(mut events: reqwest::Response) {
    let end = tokio::time::timeout(PATIENCE, events.chunk()).await.expect("the stream has not ended");
    assert!(end.is_err(), "it looks complete: {end:?}");
}

/// A WebSocket.
async fn tunnel(stage: &Stage, headers: &str) -> TcpStream {
    let mut stream = TcpStream::connect(stage.gate.http).await.unwrap();
    stream.write_all(upgrade("/ws", headers).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101, "{headers}");
    stream
}

/// A stolen member's token can open long requests: they end with the session, however the token was sent.
#[tokio::test(flavor = "multi_thread")]
async fn r32_what_a_kept_token_has_opened_ends_with_its_session() {
    for form in [false, true] {
        let stage = Stage::start(|c| {
            if form {
                c.set("access.browsers", "nocobase");
            }
        })
        .await;
        let mut member = stage.signed_in("zhangsan").await;
        let token = kept(&stage, &mut member).await;
        let key = {
            let id = stage.nocobase.user(json!({ "username": "program" }));
            let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
            let minter = Minter::new(nocobase_standin::SECRET.as_bytes());
            minter.service(UserId::new(id).unwrap(), now).unwrap().as_str().to_owned()
        };
        let line = |token: &str| format!("Authorization: Bearer {token}\r\n");
        let (of_member, of_program) = (events(&stage, &token).await, events(&stage, &key).await);
        // In NocoBase's own cookie, where that is accepted.
        let mut by_cookie = Browser::new(&stage.gate, CHROME);
        by_cookie.cookies.insert("nb_auth_token_main".into(), token.clone());
        let mut page = navigation(by_cookie.request(Method::GET, "/sse/open")).send().await.unwrap();
        assert_eq!(page.status().is_success(), form);
        assert!(!form || page.chunk().await.unwrap().unwrap() == "data: 0\n\n");
        let mut tunnels = vec![
            ("the token", tunnel(&stage, &line(&token)).await),
            ("a key", tunnel(&stage, &line(&key)).await),
        ];
        if form {
            tunnels.push(("nothing", tunnel(&stage, "Origin: http://gate.test\r\n").await));
        }
        let mut program = tunnel(&stage, &line(&key)).await;
        let message =
            format!(r#"{{"type":"auth:token","payload":{{"token":"{token}","authenticator":"basic"}}}}"#);
        for (_, stream) in &mut tunnels {
            stream.write_all(&frame(&message)).await.unwrap();
        }
        let shown = async || stage.nocobase.data().frames.iter().filter(|f| f.contains(&token)).count();
        eventually("NocoBase has the token of all", async || shown().await == tunnels.len()).await;

        let post = member.request(Method::POST, "/wecom-gate/logout").header("origin", "http://gate.test");
        assert_eq!(member.send(post).await.status, 303);
        breaks_off(of_member).await;
        if form {
            breaks_off(page).await;
        }
        for (opened_with, mut stream) in tunnels {
            let mut rest = Vec::new();
            let end = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut rest)).await;
            assert!(end.is_ok(), "opened with {opened_with}: it stays open");
            assert!(rest.ends_with(&[0x88, 2, 0x03, 0xf0]), "opened with {opened_with}: {rest:?}");
        }
        // Connections of others continue; and the token is no longer accepted.
        program.write_all(&frame("still here")).await.unwrap();
        program.write_all(&frame(&message)).await.unwrap();
        program.write_all(&frame("after it")).await.unwrap();
        let last = async || stage.nocobase.data().frames.iter().any(|f| f == "after it");
        eventually("the program's stays open", last).await;
        assert_eq!(shown().await, if form { 3 } else { 2 }, "the token of an ended session");
        drop(of_program);
    }
}

/// No other request of the session arrives: what the token has opened is rechecked by a timer.
#[tokio::test(flavor = "multi_thread")]
async fn r32_what_a_kept_token_has_opened_is_rechecked() {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let mut member = stage.signed_in("zhangsan").await;
    let token = kept(&stage, &mut member).await;
    let events = events(&stage, &token).await;
    drop(member);
    assert!(stage.wecom().remove_member(crate::support::CORP, "zhangsan"));
    breaks_off(events).await;
}
