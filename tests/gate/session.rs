//! What a signed-in browser holds, what NocoBase sees of it, and how it ends.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use nocobase_standin::{ReceivedRequest, SECRET};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use secrecy::SecretSlice;
use serde_json::json;
use wecom_gate::nocobase::{Minter, UserId};
use wecom_gate::session::Purpose;
use wecom_gate::session::{Keyring, Session};

use crate::support::config::{KEY, OTHER_KEY};
use crate::support::{Browser, HOST, SERVICE_USER, Stage, eventually};

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// Whose request it was for NocoBase: user and session.
fn bearer(seen: &ReceivedRequest) -> Option<(u64, Option<String>)> {
    let token = seen.header("authorization")?.strip_prefix("Bearer ")?;
    let verified = Minter::new(SECRET.as_bytes()).verify(token, now_s()).expect("a NocoBase token");
    Some((verified.user_id.get(), verified.jti))
}

/// A token as NocoBase makes them.
fn token(user: u64, secret: &str, issued: u64, until: u64) -> String {
    let minter = Minter::new(secret.as_bytes());
    let user = UserId::new(user).unwrap();
    let jti = uuid::Uuid::new_v4().to_string();
    minter.session_until(user, &jti, issued * 1000, issued, until).unwrap().as_str().to_owned()
}

async fn with_token(browser: &mut Browser, path: &str, token: &str) -> crate::support::Response {
    let request = browser.fetch(Method::GET, path).header("authorization", format!("Bearer {token}"));
    browser.send(request).await
}

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
async fn r13_the_phantom_alone_is_worth_nothing() {
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
async fn files_come_by_cookie() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let request = phone.request(Method::GET, "/files/main/main/attachments/1.png");
    let response = phone.send(request).await;
    assert_eq!(response.body, "content of /files/main/main/attachments/1.png");
    assert!(response.set_cookies().is_empty(), "{:?}", response.set_cookies());
    let seen = stage.nocobase.last("/files/main/main/attachments/1.png").unwrap();
    let cookie = seen.header("cookie").unwrap();
    assert!(
        cookie.starts_with("nb_auth_token_main=ey") && cookie.contains("; nb_authenticator_main="),
        "{cookie}"
    );
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
async fn nocobase_paths_that_only_look_like_the_gates_have_their_session() {
    let stage = Stage::start(|_| {}).await;
    let user = stage.bound("zhangsan");
    let mut phone = stage.signed_in("zhangsan").await;
    for path in ["/wecom-gate-x", "/wecom-gatex/a", "/WW_verify_other", "/WW_verify_", "/WW_verify_x/y"] {
        let response = phone.visit(path).await;
        assert_eq!(response.status, 200, "{path}: {}", response.body);
        assert!(response.body.contains("/wecom-gate/gate.js"), "{path}: {}", response.body);
        phone.api(Method::GET, path).await;
        assert_eq!(bearer(&stage.nocobase.last(path).unwrap()).unwrap().0, user, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn files_in_a_window_lead_to_sign_in_and_pages_in_a_frame_get_a_link() {
    let stage = Stage::start(|_| {}).await;
    let user = stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    for path in ["/files/main/main/attachments/1.pdf", "/storage/uploads/a.png", "/admin/x/schema.json"] {
        let cold = phone.visit(path).await;
        assert_eq!(cold.status, 302, "{path}: {}", cold.body);
        assert!(cold.location().contains("/connect/oauth2/authorize"), "{path}: {}", cold.location());
        let framed = [
            ("accept", "text/html,*/*;q=0.8"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-dest", "iframe"),
            ("sec-fetch-site", "cross-site"),
        ]
        .into_iter()
        .fold(phone.request(Method::GET, path), |request, (name, value)| request.header(name, value));
        let framed = phone.clone().send(framed).await;
        assert_eq!(framed.status, 401, "{path}");
        assert!(framed.header("content-type").unwrap().starts_with("text/html"), "{path}: {}", framed.body);
        assert_eq!(framed.header("x-frame-options"), None, "{path}");
        assert!(
            framed.body.contains(&format!("href=\"{path}\" target=\"_blank\"")),
            "{path}: {}",
            framed.body
        );
    }
    let path = "/files/main/main/attachments/1.pdf";
    let after = phone.open(path).await;
    assert_eq!(after.status, 200, "{}", after.body);
    assert_eq!(stage.nocobase.last(path).unwrap().header("sec-fetch-dest"), Some("document"));
    assert!(
        stage.nocobase.last(path).unwrap().header("cookie").unwrap().contains("nb_auth_token_main="),
        "user {user}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_has_the_script_first_and_is_kept_nowhere() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let conditional = HeaderMap::from_iter(
        [
            ("if-none-match", "\"v1\""),
            ("if-modified-since", "Sat, 21 Nov 2026 00:00:00 GMT"),
            ("range", "bytes=0-3"),
            ("if-range", "\"v1\""),
            ("accept-encoding", "gzip, br"),
        ]
        .map(|(n, v)| (n.parse().unwrap(), HeaderValue::from_static(v))),
    );
    phone.extra.extend(conditional);
    let page = phone.visit("/admin/orders").await;
    let head = page.body.split_once("<head>").unwrap().1;
    assert!(head.starts_with("<script src=\"/wecom-gate/gate.js?v="), "{head}");
    assert_eq!(page.body.matches("gate.js").count(), 1);
    let whole = phone.request(Method::HEAD, "/admin/orders");
    let head = phone.send(crate::support::browser::navigation(whole)).await;
    for response in [&page, &head] {
        assert_eq!((response.status, response.header("cache-control")), (200, Some("no-store")));
        for gone in ["etag", "last-modified", "content-length", "accept-ranges"] {
            assert_eq!(response.header(gone), None, "{gone}");
        }
    }
    let seen = stage.nocobase.last("/admin/orders").unwrap();
    for gone in ["if-none-match", "if-modified-since", "range", "if-range"] {
        assert_eq!(seen.header(gone), None, "{gone}");
    }
    assert_eq!(seen.header("accept-encoding"), Some("identity"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_r16_signing_out_in_nocobase_ends_the_session_everywhere() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let other = stage.second_node().await;
    let mut before = phone.clone();
    let out = phone.api(Method::POST, "/api/auth:signOut").await;
    assert_eq!(out.status, 200);
    assert_eq!((phone.cookie("wecom_gate"), phone.cookie("wecom_gate_out")), (None, Some("1")));
    let page = phone.open("/admin/x").await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    assert_eq!(page.hops.len(), 1, "not signed straight in again: {:?}", page.hops);

    // The old cookie, kept by somebody who does not let the gate delete it: here, on another node, and after a
    // restart.
    assert_eq!(before.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    before.go_to(&other);
    assert_eq!(before.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    stage.restart().await;
    before.go_to(&stage.gate);
    assert_eq!(before.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    assert_eq!(stage.nocobase.count("/api/orders:list"), 0);

    // By hand there is a way back in.
    phone.go_to(&stage.gate);
    let page = phone.open("/wecom-gate/login?rd=%2Fadmin%2Fx").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"));
    assert_eq!(phone.cookie("wecom_gate_out"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_r16_signing_out_at_the_gate_ends_the_session_everywhere() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let mut before = phone.clone();
    let ask = phone.visit("/wecom-gate/logout").await;
    assert!(ask.status == 200 && ask.body.contains("Sign out?") && ask.body.contains("method=\"post\""));
    assert!(phone.cookie("wecom_gate").is_some(), "asking ends nothing");

    let post = phone.request(Method::POST, "/wecom-gate/logout").header("sec-fetch-site", "cross-site");
    let refused = phone.send(post.header("origin", "https://evil.example")).await;
    assert_eq!((refused.status, phone.cookie("wecom_gate").is_some()), (403, true));

    let post = phone.request(Method::POST, "/wecom-gate/logout").header("sec-fetch-site", "same-origin");
    let done = phone.send(post.header("origin", "http://gate.test")).await;
    assert_eq!(done.status, 303);
    let page = phone.follow(done).await;
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    assert_eq!(phone.cookie("wecom_gate"), None);
    assert_eq!(before.clone().api(Method::GET, "/wecom-gate/me").await.status, 401);
    let other = stage.second_node().await;
    before.go_to(&other);
    assert_eq!(before.clone().api(Method::GET, "/wecom-gate/me").await.status, 401);
    assert_eq!(stage.nocobase.data().blocked.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_seen_for_the_first_time_is_asked_about_once() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    stage.restart().await;
    phone.go_to(&stage.gate);
    let before = stage.nocobase.calls("auth:check");
    stage.nocobase.delay("auth:check", Duration::from_millis(200), usize::MAX);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let mut tab = phone.clone();
        all.spawn(async move { tab.api(Method::GET, "/api/orders:list").await.status });
    }
    assert!(all.join_all().await.iter().all(|s| *s == 200));
    assert_eq!(stage.nocobase.calls("auth:check") - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_nocobase_ends_is_over() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let jti = stage.nocobase.data().tokens[0]["jti"].as_str().unwrap().to_owned();
    stage.nocobase.data().blocked.insert(jti);
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.code(), "BLOCKED_TOKEN");
    let page = phone.visit("/admin/x").await;
    assert_eq!(page.status, 302, "straight to WeCom: nobody has signed out");
    assert_eq!(phone.follow(page).await.at, "/admin/x");
}

/// Moves the times in the session cookie, as if the browser or another node's clock were that far away.
fn shift(browser: &mut Browser, seconds: i64) {
    let key = STANDARD_NO_PAD.decode(KEY.replace('-', "+").replace('_', "/")).unwrap();
    let ring = Keyring::new(&[SecretSlice::from(key)], &format!("http://{HOST}")).unwrap();
    let open = |text: &str| ring.open::<Session>(Purpose::Session, b"wecom_gate", text.as_bytes());
    let mut session = open(browser.cookie("wecom_gate").unwrap()).expect("our cookie");
    for time in [&mut session.signed_in_at, &mut session.last_seen] {
        time.0 = time.0.checked_add_signed(seconds * 1000).unwrap();
    }
    let text = ring.seal(Purpose::Session, b"wecom_gate", &session).unwrap();
    browser.cookies.insert("wecom_gate".into(), text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_ends_when_idle_and_in_the_end() {
    for (key, other) in [("session.idle", "session.absolute"), ("session.absolute", "session.idle")] {
        let stage = Stage::start(|c| {
            _ = c.set(key, "1h").set(other, if key.ends_with("idle") { "2h" } else { "1h" })
        })
        .await;
        let mut phone = stage.signed_in("zhangsan").await;
        shift(&mut phone, -3500);
        assert_eq!(phone.clone().api(Method::GET, "/api/orders:list").await.status, 200, "{key}");
        shift(&mut phone, -110);
        let response = phone.api(Method::GET, "/api/orders:list").await;
        assert_eq!((response.status, response.code().as_str()), (401, "EMPTY_TOKEN"), "{key}");
        assert_eq!(phone.open("/admin/x").await.at, "/admin/x", "and a new sign-in starts by itself");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn clocks_may_differ_by_a_few_minutes_and_no_more() {
    let stage = Stage::start(|_| {}).await;
    for (seconds, status) in [(-290, 200), (290, 200), (330, 401)] {
        let mut phone = stage.signed_in("zhangsan").await;
        shift(&mut phone, seconds);
        assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, status, "{seconds} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_changing_the_key_signs_nobody_out() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    stage.restart_with(|c| _ = c.set("session.keys", vec![OTHER_KEY, KEY])).await;
    phone.go_to(&stage.gate);
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    // What is sealed now does not need the old key; what was sealed then does.
    let mut later = stage.signed_in("zhangsan").await;
    stage.restart_with(|c| _ = c.set("session.keys", vec![OTHER_KEY])).await;
    assert_eq!(later.go_to(&stage.gate).api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(phone.go_to(&stage.gate).api(Method::GET, "/api/orders:list").await.status, 401);
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
async fn me_shows_who_is_signed_in_and_no_token() {
    let stage = Stage::start(|c| _ = c.set("session.idle", "2h")).await;
    let user = stage.bound("zhangsan");
    let begun = std::time::SystemTime::now();
    let mut phone = stage.signed_in("zhangsan").await;
    let response = phone.clone().send(phone.fetch(Method::GET, "/wecom-gate/me")).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(!response.body.contains(&phone.phantom()) && !response.body.contains("eyJ"), "{}", response.body);
    let me = response.json();
    let mut keys: Vec<String> = me.as_object().unwrap().keys().cloned().collect();
    keys.sort();
    assert_eq!(keys, ["entry", "expires_at", "name", "nocobase_user_id", "signed_in_at", "userid"]);
    let who = (&me["entry"], &me["userid"], &me["name"], &me["nocobase_user_id"]);
    assert_eq!(who, (&json!("wecom"), &json!("zhangsan"), &json!("张三"), &json!(user)));
    let time = |name: &str| humantime::parse_rfc3339(me[name].as_str().unwrap()).unwrap();
    let since = time("signed_in_at").duration_since(begun - Duration::from_millis(1)).unwrap();
    assert!(since < Duration::from_secs(60), "{since:?}");
    let left = time("expires_at").duration_since(begun).unwrap();
    assert!(left > Duration::from_secs(7190) && left < Duration::from_secs(7260), "{left:?}");

    let post = phone.clone().send(phone.request(Method::POST, "/wecom-gate/me")).await;
    assert_eq!(post.status, 405);
    let mut stolen = phone.clone();
    phone.api(Method::POST, "/api/auth:signOut").await;
    let after = stolen.send(stolen.fetch(Method::GET, "/wecom-gate/me")).await;
    assert_eq!((after.status, after.body.contains("zhangsan")), (401, false), "{}", after.body);
    phone.cookies.clear();
    let response = phone.clone().send(phone.fetch(Method::GET, "/wecom-gate/me")).await;
    assert_eq!((response.status, response.header("x-wecom-gate-login")), (401, Some("/wecom-gate/login")));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_and_the_domain_file_need_no_session() {
    let stage =
        Stage::start(|c| _ = c.set("wecom.verify_files", vec!["WW_verify_7rG3kjVbXHngiald.txt"])).await;
    let mut anybody = stage.phone("zhangsan");
    let script = anybody.clone().send(anybody.request(Method::GET, "/wecom-gate/gate.js")).await;
    assert_eq!((script.status, script.header("content-type")), (200, Some("text/javascript; charset=utf-8")));
    assert!(script.body.contains("data-token"));
    assert_eq!(anybody.visit("/WW_verify_7rG3kjVbXHngiald.txt").await.body, "7rG3kjVbXHngiald");
    assert_eq!(anybody.clone().send(anybody.request(Method::GET, "/WW_verify_other.txt")).await.status, 401);
    assert!(stage.nocobase.data().requests.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_leaves_loses_the_session_within_the_recheck() {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let phone = stage.signed_in("zhangsan").await;
    assert!(stage.wecom().remove_member(crate::support::CORP, "zhangsan"));
    tokio::time::sleep(Duration::from_secs(10)).await;
    let mut page = phone.clone();
    eventually("the session ends", async || page.api(Method::GET, "/api/orders:list").await.status == 401)
        .await;
    eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn r18_r25_a_foreign_token_in_the_address_goes_no_further_and_answers_are_not_kept() {
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
