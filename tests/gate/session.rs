//! What a signed-in browser has, what NocoBase sees of it, and how it ends.

use std::time::Duration;

use nocobase_standin::{ReceivedRequest, SECRET};
use reqwest::Method;
use reqwest::header::{HeaderMap, HeaderValue};
use serde_json::json;
use wecom_gate::nocobase::{Minter, UserId};

use crate::support::config::{KEY, OTHER_KEY};
use crate::support::{Browser, Stage};

pub(crate) mod departments;
mod end;
mod tokens;

fn now_s() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// User and session that NocoBase sees in the request.
fn bearer(seen: &ReceivedRequest) -> Option<(u64, Option<String>)> {
    let token = seen.header("authorization")?.strip_prefix("Bearer ")?;
    let verified = Minter::new(SECRET.as_bytes()).verify(token, now_s()).expect("a NocoBase token");
    Some((verified.user_id.get(), verified.jti))
}

/// A token as NocoBase issues them.
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
async fn r34_a_session_seen_for_the_first_time_by_two_hundred_requests_is_asked_about_once() {
    // More at once than NocoBase accepts is a different subject.
    let mut stage = Stage::start(|c| _ = c.set("upstream.max_requests", 0)).await;
    let mut phone = stage.signed_in("zhangsan").await;
    stage.restart().await;
    phone.go_to(&stage.gate);
    let before = stage.nocobase.calls("auth:check");
    stage.nocobase.delay("auth:check", Duration::from_millis(200), usize::MAX);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let mut tab = phone.clone();
        all.spawn(async move { tab.api(Method::GET, "/api/orders:list").await.status });
    }
    assert!(all.join_all().await.iter().all(|s| *s == 200));
    assert_eq!(stage.nocobase.calls("auth:check") - before, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn r14_changing_the_key_keeps_sessions() {
    let mut stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    stage.restart_with(|c| _ = c.set("session.keys", vec![OTHER_KEY, KEY])).await;
    phone.go_to(&stage.gate);
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);
    // Cookies sealed now do not need the old key; earlier ones do.
    let mut later = stage.signed_in("zhangsan").await;
    stage.restart_with(|c| _ = c.set("session.keys", vec![OTHER_KEY])).await;
    assert_eq!(later.go_to(&stage.gate).api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(phone.go_to(&stage.gate).api(Method::GET, "/api/orders:list").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn me_shows_who_is_signed_in_and_no_token() {
    let stage = Stage::start(|c| _ = c.set("session.idle", "2h")).await;
    let user = stage.bound("zhangsan");
    let begun = std::time::SystemTime::now();
    let mut phone = stage.signed_in("zhangsan").await;
    let response = phone.clone().send(phone.fetch(Method::GET, "/wecom-gate/me")).await;
    assert_eq!(response.header("cache-control"), Some("no-store"));
    assert!(
        !response.body.contains(&phone.phantom()) && !response.body.contains("eyJ0eXAi"),
        "{}",
        response.body
    );
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
