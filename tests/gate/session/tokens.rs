//! Tokens: the phantom, NocoBase's own, API keys and foreign ones.

use super::*;
use crate::support::SERVICE_USER;

#[tokio::test(flavor = "multi_thread")]
async fn r13_the_phantom_becomes_the_members_token_in_header_and_query() {
    let stage = Stage::start(|_| {}).await;
    let user = stage.bound("zhangsan");
    let mut phone = stage.signed_in("zhangsan").await;
    let response = phone.api(Method::GET, "/api/orders:list?page=2&filter=%7B%7D").await;
    assert_eq!((response.status, &response.json()["data"]["as"]), (200, &json!(user)), "{}", response.body);
    let seen = stage.nocobase.last("/api/orders:list").unwrap();
    assert_eq!(seen.target, "/api/orders:list?page=2&filter=%7B%7D");
    let issued = stage.nocobase.data().tokens[0]["jti"].as_str().unwrap().to_owned();
    assert_eq!(bearer(&seen), Some((user, Some(issued))));

    let path = format!("/api/export:csv?a=1&token={}&b=2", phone.phantom());
    let response = phone.clone().send(phone.fetch(Method::GET, &path)).await;
    assert_eq!(response.json()["data"]["as"], json!(user));
    let seen = stage.nocobase.last("/api/export:csv").unwrap();
    assert!(
        seen.target.starts_with("/api/export:csv?a=1&token=ey") && seen.target.ends_with("&b=2"),
        "{}",
        seen.target
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_the_phantom_alone_is_useless() {
    let stage = Stage::start(|_| {}).await;
    let phantom = stage.signed_in("zhangsan").await.phantom();
    let mut thief = stage.phone("lisi");
    let response = with_token(&mut thief, "/api/users:list", &phantom).await;
    assert_eq!(response.status, 401, "{}", response.body);
    let response =
        thief.clone().send(thief.fetch(Method::GET, &format!("/api/x:list?token={phantom}"))).await;
    assert_eq!(response.status, 401);
    assert_eq!(stage.nocobase.count("/api/x:list"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_another_sessions_phantom_is_refused() {
    let stage = Stage::start(|_| {}).await;
    let phantom = stage.signed_in("zhangsan").await.phantom();
    let mut other = stage.signed_in("lisi").await;
    let response = with_token(&mut other, "/api/orders:list", &phantom).await;
    assert_eq!((response.status, response.code().as_str()), (401, "INVALID_TOKEN"));
    assert_eq!(stage.nocobase.count("/api/orders:list"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_without_the_phantom_calls_the_api_anonymously() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let request = phone.fetch(Method::GET, "/api/orders:list");
    assert_eq!(phone.send(request).await.code(), "EMPTY_TOKEN");
    let seen = stage.nocobase.last("/api/orders:list").unwrap();
    assert_eq!((seen.header("authorization"), seen.header("cookie")), (None, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn api_keys_pass_and_expired_or_forged_ones_do_not() {
    let stage = Stage::start(|_| {}).await;
    let user = stage.nocobase.user(json!({ "username": "robot" }));
    let now = now_s();
    let mut program = Browser::new(&stage.gate, crate::support::browser::CURL);
    let good = token(user, SECRET, now, now + 60);
    let response = with_token(&mut program, "/api/orders:list", &good).await;
    assert_eq!(response.json()["data"]["as"], json!(user));
    assert_eq!(
        stage.nocobase.last("/api/orders:list").unwrap().header("authorization"),
        Some(&*format!("Bearer {good}"))
    );
    for bad in [
        token(user, SECRET, now - 7200, now - 3600),
        token(user, "another secret", now, now + 60),
        format!("{}x", &good[..good.len() - 1]),
        "garbage".to_owned(),
    ] {
        let response = with_token(&mut program, "/api/orders:list", &bad).await;
        assert_eq!((response.status, response.code().as_str()), (401, "INVALID_TOKEN"), "{bad}");
    }
    assert_eq!(stage.nocobase.count("/api/orders:list"), 1);

    let closed = Stage::start(|c| _ = c.set("access.api_keys", false)).await;
    let mut program = Browser::new(&closed.gate, crate::support::browser::CURL);
    assert_eq!(with_token(&mut program, "/api/orders:list", &good).await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn r11_r13_nothing_of_the_gates_own_reaches_nocobase() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    phone.cookies.insert("aaa".into(), "\"x y\"=,é".into());
    phone.cookies.insert("wecom_gate_flow_abcdefgh".into(), "x".into());
    phone.cookies.insert("nb_auth_token_main".into(), "planted".into());
    phone.cookies.insert("zzz".into(), "1".into());
    let (phantom, session) = (phone.phantom(), phone.cookie("wecom_gate").unwrap().to_owned());
    phone.extra.insert("x-wecom-user", HeaderValue::from_static("root"));
    phone.extra.insert("x-forwarded-user", HeaderValue::from_static("root"));
    phone.api(Method::POST, "/api/orders:create").await;
    phone.visit("/admin/orders").await;
    phone.clone().send(phone.fetch(Method::GET, &format!("/api/a:b?token={phantom}"))).await;
    phone.clone().send(phone.request(Method::GET, "/files/1")).await;
    phone.clone().send(phone.request(Method::GET, "/assets/a.js")).await;
    let last = stage.nocobase.last("/api/orders:create").unwrap();
    assert_eq!(
        last.headers["cookie"].as_bytes(),
        "aaa=\"x y\"=,é; zzz=1".as_bytes(),
        "others, byte for byte"
    );
    for seen in &stage.nocobase.data().requests {
        let text = format!("{seen:?}");
        for never in ["wcg_", "wecom_gate", &phantom, &session, "planted", "x-wecom-user", "x-forwarded-user"]
        {
            assert!(!text.contains(never), "{never} in {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_nocobases_token_never_reaches_the_browser() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let response = phone.api(Method::POST, "/api/auth:syncCookies").await;
    assert_eq!(response.status, 200);
    let theirs = stage.nocobase.data().sent_tokens;
    assert!(theirs, "the stand-in sent x-new-token and its cookies");
    assert_eq!(response.header("x-new-token"), None);
    let cookies = response.set_cookies();
    assert!(cookies.iter().any(|c| c.starts_with("nb_csrf_token_main=")), "{cookies:?}");
    assert!(!cookies.iter().any(|c| c.contains("nb_auth")), "{cookies:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn delivered_to_the_browser_the_token_works_and_stays_the_sessions() {
    let stage = Stage::start(|c| _ = c.set("nocobase.token_delivery", "browser")).await;
    let user = stage.bound("zhangsan");
    let mut phone = stage.signed_in("zhangsan").await;
    let token = phone.phantom();
    assert!(token.starts_with("ey"), "{token}");
    let response = phone.api(Method::GET, "/api/orders:list").await;
    assert_eq!(response.json()["data"]["as"], json!(user));
    phone.api(Method::POST, "/api/auth:signOut").await;
    phone.cookies.clear();
    assert_eq!(with_token(&mut phone, "/api/orders:list", &token).await.status, 401, "blocked in NocoBase");
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_r25_a_foreign_token_in_the_address_is_not_forwarded_and_responses_are_not_cached() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut member = stage.signed_in("zhangsan").await;
    let other = Minter::new(SECRET.as_bytes())
        .session(UserId::new(SERVICE_USER).unwrap(), "00000000-0000-4000-8000-000000000000", 0, now_s())
        .unwrap();
    let request = member.request(Method::GET, &format!("/api/orders:list?a=1&token={}&b=2", other.as_str()));
    let response = member.send(request.header("accept", "application/json")).await;
    assert_eq!(
        member.api(Method::GET, "/api/orders:get").await.header("cache-control"),
        Some("private, no-store")
    );
    assert_eq!(response.status, 401, "{}", response.body);
    assert_eq!(stage.nocobase.last("/api/orders:list").unwrap().target, "/api/orders:list?a=1&b=2");
}
