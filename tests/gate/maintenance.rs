//! Maintenance mode: a page for people, 503 for programs, no request to NocoBase, except for administrators; and open again without
//! a restart.

use reqwest::Method;
use serde_json::json;

use crate::support::browser::CHROME;
use crate::support::raw::send_raw;
use crate::support::{Browser, Config, Stage, eventually};

const VERIFY: &str = "WW_verify_7rG3kjVbXHngiald.txt";

async fn readyz(stage: &Stage) -> String {
    send_raw(stage.gate.ops, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").await.body()
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_file_is_there_nothing_reaches_nocobase() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("maintenance");
    let path = file.to_str().unwrap().to_owned();
    let stage = Stage::start(move |c: &mut Config| {
        c.set("pages.maintenance_file", path).set("wecom.verify_files", vec![VERIFY]);
        c.set("access.admins", vec!["wecom/zhangsan"]).set("access.public", vec!["GET /api/open:list"]);
        c.set("access.password_login", true);
    })
    .await;
    let mut admin = stage.signed_in("zhangsan").await;
    let mut member = stage.signed_in("lisi").await;
    let mut other = stage.signed_in("lisi").await;
    assert_eq!(member.visit("/admin").await.status, 200);

    std::fs::write(&file, "Back at <b>14:00</b>\n").unwrap();
    eventually("it is closed", async || member.visit("/admin").await.status == 503).await;
    let begun = stage.nocobase.data().requests.len();
    let checks = |stage: &Stage| {
        let data = stage.nocobase.data();
        let own = |target: &str| target.contains("__health_check") || target.contains("app:getInfo");
        data.requests
            .iter()
            .skip(begun)
            .filter(|r| !own(&r.target))
            .map(|r| r.target.clone())
            .collect::<Vec<_>>()
    };

    let page = member.visit("/admin/orders").await;
    for text in [
        "<h1>Back soon</h1>",
        "Back at &#60;b&#62;14:00&#60;/b&#62;",
        "http-equiv=\"refresh\"",
        ">maintenance<",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert_eq!(page.header("retry-after"), Some("30"));
    // Neither signed-in users nor others get through, on any path.
    let call = member.api(Method::GET, "/api/orders:list").await;
    assert_eq!((call.status, call.header("retry-after")), (503, Some("30")), "{}", call.body);
    assert_eq!(call.json()["errors"][0]["code"], "MAINTENANCE", "{}", call.body);
    for path in [
        "/",
        "/admin",
        "/api/open:list",
        "/assets/index.js",
        "/wecom-gate/login",
        "/wecom-gate/sign-in",
        "/wecom-gate/callback?code=x&state=y",
        "/wecom-gate/auth",
        "/ws",
    ] {
        for browser in [stage.phone("wangwu"), Browser::new(&stage.gate, CHROME)] {
            let mut browser = browser;
            let response = browser.visit(path).await;
            assert_eq!(response.status, 503, "{path}: {}", response.body);
            assert!(response.body.contains("Back soon"), "{path}: {}", response.body);
            assert!(
                !response.body.contains("Sign in with a password"),
                "it leads here: {path}: {}",
                response.body
            );
        }
    }
    // What the gate does without NocoBase continues.
    for path in ["/wecom-gate/me", "/wecom-gate/logout"] {
        assert_eq!(member.visit(path).await.status, 200, "{path}");
    }
    assert_eq!(admin.visit("/wecom-gate/console").await.status, 200);
    assert_eq!(member.visit(&format!("/{VERIFY}")).await.body, "7rG3kjVbXHngiald");
    let out = other.request(Method::POST, "/wecom-gate/logout").header("Origin", "http://gate.test");
    let out = other.send(out).await;
    assert!(out.status < 400, "{}: {}", out.status, out.body);
    let asked: Vec<String> =
        checks(&stage).into_iter().filter(|t| !t.contains("auth:") && !t.contains("tokenControl")).collect();
    assert_eq!(asked, [] as [&str; 0]);

    // Administrators who are signed in can look at the app before everybody else, and see that it is closed.
    let page = admin.visit("/admin/orders").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("data-maintenance=\"on\""), "{}", page.body);
    assert_eq!(admin.api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(admin.visit("/wecom-gate/auth").await.status, 204);
    assert_eq!(admin.visit("/wecom-gate/login").await.status, 302);
    // Not by somebody else's cookie beside a token, nor once they have signed out.
    let out = admin.request(Method::POST, "/wecom-gate/logout").header("Origin", "http://gate.test");
    assert!(admin.clone().send(out).await.status < 400);
    assert_eq!(admin.visit("/admin/orders").await.status, 503);
    let ready = readyz(&stage).await;
    assert!(ready.contains("\"what\":\"maintenance\"") && ready.contains("degraded"), "{ready}");
    stage.gate.wait_for_log(&["\"event\":\"maintenance\"", "\"on\":true"]).await;

    std::fs::remove_file(&file).unwrap();
    eventually("it is open again", async || member.visit("/admin").await.status == 200).await;
    let page = member.visit("/admin").await;
    assert!(page.body.contains("data-maintenance=\"off\""), "{}", page.body);
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 200);
    assert!(!readyz(&stage).await.contains("maintenance"));
    stage.gate.wait_for_log(&["\"event\":\"maintenance\"", "\"on\":false"]).await;
}

/// With a role in `access.admins`, NocoBase is asked; what it does not confirm stays closed.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_opens_the_app_for_those_who_have_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("maintenance");
    let path = file.to_str().unwrap().to_owned();
    let stage = Stage::start(move |c: &mut Config| {
        c.set("pages.maintenance_file", path).set("access.admins", vec!["role:boss"]);
    })
    .await;
    let user = stage.bound("zhangsan");
    for row in &mut stage.nocobase.data().users {
        if row["id"] == json!(user) {
            row["roles"] = json!([{ "name": "boss" }]);
        }
    }
    let mut boss = stage.signed_in("zhangsan").await;
    let mut member = stage.signed_in("lisi").await;
    std::fs::write(&file, "").unwrap();
    eventually("it is closed", async || member.visit("/admin").await.status == 503).await;
    let asked = stage.nocobase.calls("users:get");
    for _ in 0..20 {
        assert_eq!(boss.visit("/admin").await.status, 200);
    }
    // A page load has a hundred requests.
    assert!(stage.nocobase.calls("users:get") - asked < 10, "{}", stage.nocobase.calls("users:get"));
    assert_eq!(member.visit("/admin").await.status, 503);
    let mut stranger = Browser::new(&stage.gate, CHROME);
    assert_eq!(stranger.visit("/admin").await.status, 503);
}

/// No request gets through between the start and the first check of the file.
#[tokio::test(flavor = "multi_thread")]
async fn a_gate_that_starts_meanwhile_is_closed_from_its_first_request() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("maintenance");
    std::fs::write(&file, "").unwrap();
    let path = file.to_str().unwrap().to_owned();
    let stage = Stage::start(move |c: &mut Config| _ = c.set("pages.maintenance_file", path)).await;
    let mut phone = stage.phone("zhangsan");
    let page = phone.visit("/admin").await;
    assert_eq!(page.status, 503, "{}", page.body);
    assert!(!page.body.contains("class=\"note\""), "{}", page.body);
    // The configuration key may change too.
    let mut config = stage.config.clone();
    config.set("pages.maintenance_file", "");
    stage.gate.rewrite(&config.text());
    stage.gate.signal("HUP");
    eventually("it is open", async || phone.visit("/admin").await.status == 302).await;
}
