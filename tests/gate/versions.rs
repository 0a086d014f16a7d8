//! NocoBase's versions and its settings: what the gate reports about them, and that it follows the index page.

use http::Method;
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wecom_gate::error::Failure;

use crate::redis::ops;
use crate::support::browser::{CHROME, CHROME_PHONE, WECHAT, WECOM_DESKTOP, WECOM_PHONE};
use crate::support::raw::{read_response, upgrade};
use crate::support::{Browser, Response, Stage, eventually};

/// The status that a browser's WebSocket gets.
async fn socket(stage: &Stage, path: &str, origin: &str) -> u16 {
    let mut stream = TcpStream::connect(stage.gate.http).await.unwrap();
    stream.write_all(upgrade(path, origin).as_bytes()).await.unwrap();
    read_response(&mut stream).await.status()
}

#[tokio::test(flavor = "multi_thread")]
async fn members_sign_in_at_each_version_and_the_log_names_its_support() {
    for (version, level, support) in [
        ("1.9.74", "INFO", "tried"),
        ("2.0.62", "INFO", "tried"),
        ("2.1.45", "INFO", "tried"),
        ("2.2.15", "INFO", "tested"),
        ("1.7.0", "WARN", "expected"),
        ("2.3.0-beta.3", "WARN", "expected"),
        ("3.0.0", "WARN", "unknown"),
    ] {
        let mut stage = Stage::start(|_| {}).await;
        stage.nocobase.data().version = version;
        stage.restart().await;
        let parts = ["\"nocobase_version\"", version, level, &format!("\"{support}\"")];
        stage.gate.wait_for_log(&parts).await;
        let mut phone = stage.signed_in("zhangsan").await;
        assert_eq!(phone.api(Method::GET, "/api/users:list").await.status, 200, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_version_without_issued_tokens_is_refused_with_the_reason() {
    let mut stage = Stage::start(|_| {}).await;
    stage.nocobase.data().version = "1.5.20";
    stage.restart().await;
    stage.bound("zhangsan");
    stage.gate.wait_for_log(&["\"nocobase_version\"", "ERROR", "\"refused\"", "issuedTokens"]).await;
    let page = stage.phone("zhangsan").open("/admin").await;
    assert!(page.status >= 400 && !page.sets("wecom_gate"), "{} {}", page.status, page.body);
}

/// The password form of 1.9 and 2.0 has its scripts beside the pages, and all versions open a WebSocket before the sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn the_password_form_of_each_version_gets_its_scripts_and_its_websocket() {
    for (version, script) in [
        ("1.9.74", "/umi.0a1b2c3d.js"),
        ("2.0.62", "/948.0a1b2c3d.async.js"),
        ("2.1.45", "/assets/index-93181bbb.js"),
        ("2.2.15", "/assets/index-93181bbb.js"),
    ] {
        let stage = Stage::start(|c| _ = c.set("access.browsers", "nocobase")).await;
        stage.nocobase.data().version = version;
        let mut chrome = Browser::new(&stage.gate, CHROME);
        let form = chrome.open("/admin/x").await;
        assert_eq!((form.status, form.at.as_str()), (200, "/signin?redirect=%2Fadmin%2Fx"), "{version}");
        let file = chrome.send(chrome.fetch(Method::GET, script)).await;
        assert_eq!(
            (file.status, file.header("content-type")),
            (200, Some("text/javascript")),
            "{version} {script}"
        );
        let status = socket(&stage, "/ws", "Origin: http://gate.test\r\n").await;
        assert_eq!(status, 101, "{version}");
        let status = socket(&stage, "/ws", "Origin: http://evil.test\r\n").await;
        assert_eq!(status, 401, "{version}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_come_from_the_index_page_at_start_and_when_nocobase_is_back() {
    let mut stage = Stage::start(|c| {
        c.set("access.browsers", "nocobase").set("upstream.health_interval", "1s");
    })
    .await;
    stage.nocobase.data().settings = vec![("modern_client_prefix", "new"), ("ws_path", "/socket")];
    stage.restart().await;
    let knows = async |path: &str, status: u16| {
        let chrome = Browser::new(&stage.gate, CHROME);
        eventually("the new prefix counts", async || chrome.clone().visit(path).await.status == status).await;
    };
    knows("/new/signin", 200).await;
    let mut chrome = Browser::new(&stage.gate, CHROME);
    assert_eq!(chrome.visit("/new/admin").await.location(), "/new/signin?redirect=%2Fadmin");
    let status = socket(&stage, "/socket", "Origin: http://gate.test\r\n").await;
    assert_eq!(status, 200, "the stand-in's page: it went through");

    // An administrator changes it and restarts NocoBase.
    stage.nocobase.data().settings = vec![("modern_client_prefix", "next")];
    stage.nocobase.down().await;
    stage.gate.wait_for_log(&["\"upstream\"", "unreachable"]).await;
    stage.nocobase.up().await;
    knows("/next/signin", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_do_not_fit_are_named() {
    for (setting, value, about) in [
        ("api_base_url", "https://api.test/api/", "API_BASE_URL"),
        ("api_base_url", "/rest/", "API_BASE_PATH"),
        ("ws_url", "wss://other.test/ws", "WEBSOCKET_URL"),
        ("public_path", "/crm/", "nocobase.public_path"),
    ] {
        let mut stage = Stage::start(|_| {}).await;
        stage.nocobase.data().settings = vec![(setting, value)];
        stage.restart().await;
        stage.gate.wait_for_log(&["\"nocobase_settings\"", "ERROR", about, "remedy"]).await;
    }
}

/// With `API_BASE_PATH` the API is elsewhere, and its usual path serves NocoBase's page: no node is healthy, and the log has the
/// reason.
#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_has_moved_is_refused_with_the_reason() {
    let mut stage = Stage::start(|_| {}).await;
    stage.nocobase.data().settings = vec![("api_base_url", "/rest/")];
    stage.restart().await;
    stage.gate.wait_for_log(&["\"upstream\"", "unhealthy"]).await;
    stage.gate.wait_for_log(&["\"nocobase_settings\"", "ERROR", "API_BASE_PATH", "/rest/"]).await;
    // `/readyz` gives the same reason.
    eventually("readyz names it", async || {
        let ready: Value = serde_json::from_str(&ops(&stage.gate, "/readyz").await).unwrap();
        let found = ready["degraded"].as_array().unwrap().iter().find(|d| d["name"] == "API_BASE_PATH");
        let why = found.map(|d| d["why"].to_string()).unwrap_or_default();
        ready["status"] == "unavailable" && why.contains("leave API_BASE_PATH out")
    })
    .await;
    // It ends when NocoBase is configured correctly.
    stage.nocobase.data().settings.clear();
    eventually("readyz reports no trouble", async || {
        let ready: Value = serde_json::from_str(&ops(&stage.gate, "/readyz").await).unwrap();
        ready["status"] == "ok"
    })
    .await;
}

/// Visits a page of an unknown prefix until the gate no longer redirects; the number of redirects, and the last response.
async fn visits_until_a_page(browser: &mut Browser, most: usize) -> (usize, Response) {
    for redirects in 0..most {
        let response = browser.visit("/new/admin").await;
        if response.status != 302 {
            return (redirects, response);
        }
    }
    panic!("more than {most} redirects");
}

/// NocoBase's page redirects from its form to a page that the gate does not know, endlessly.
#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_to_the_form_is_endless() {
    let stage = Stage::start(|c| _ = c.set("access.browsers", "nocobase")).await;
    let mut chrome = Browser::new(&stage.gate, CHROME);
    // A sign-in page of an unknown prefix is not redirected at all.
    let page = chrome.visit("/new/signin?redirect=%2Fadmin").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert!(page.body.contains("/wecom-gate/login"), "the gate's own sign-in page: {}", page.body);
    // Other pages are, a bounded number of times.
    let (redirects, last) = visits_until_a_page(&mut chrome, 100).await;
    assert!(redirects >= 30, "{redirects}: tabs that are restored are no loop");
    stage.refused(&last, Failure::LoginLoop, "Sign-in keeps starting over").await;
    stage.gate.wait_for_log(&["NocoBase's sign-in form redirects to another page"]).await;
}

/// The same in a browser that keeps no cookies: it ends on a page of the gate, with a link to the form.
#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_to_the_form_is_endless_without_cookies() {
    let stage = Stage::start(|c| _ = c.set("access.browsers", "nocobase")).await;
    let mut chrome = Browser::new(&stage.gate, CHROME);
    chrome.cookies_blocked = true;
    let (redirects, last) = visits_until_a_page(&mut chrome, 400).await;
    assert!(redirects >= 30, "{redirects}: an office that opens its browsers is no loop");
    assert_eq!(last.status, 200, "{}", last.body);
    assert!(last.body.contains("/signin?redirect="), "with a link to the form: {}", last.body);
    // A browser that sends its counter is limited by that alone, whatever others at its address do.
    let mut other = Browser::new(&stage.gate, CHROME);
    other.cookies.insert("wecom_gate_tries".into(), "0.1".into());
    assert_eq!(other.visit("/admin").await.status, 302);
}

/// Every redirect of the gate, followed by a browser that keeps no cookies and returns repeatedly, as a reloading page does: each
/// path ends, and each visit after that ends immediately or with a bounded number of redirects.
#[tokio::test(flavor = "multi_thread")]
async fn no_redirect_is_endless_in_a_browser_without_cookies() {
    for browsers in ["nocobase", "web-login", "sign-in-page", "deny"] {
        let stage = Stage::start(|c| _ = c.set("access.browsers", browsers)).await;
        stage.bound("zhangsan");
        for agent in [CHROME, CHROME_PHONE, WECOM_PHONE, WECOM_DESKTOP, WECHAT] {
            for path in [
                "/admin",
                "/",
                "/admin?code=a&state=b",
                "/admin?token=a.b.c&authenticator=basic&code=a&state=b",
                "/signin?token=a.b.c",
                "/new/signin",
                "/wecom-gate/login?rd=/wecom-gate/login",
                "/wecom-gate/login?rd=/admin%3Fcode=a%26state=b",
                "/wecom-gate/callback?code=a&state=b",
                "/wecom-gate/sign-in?rd=/admin",
            ] {
                let mut browser = Browser::new(&stage.gate, agent).member("zhangsan");
                browser.cookies_blocked = true;
                // `follow` panics beyond fifteen redirects. WeCom's QR page is not a redirect: it waits for a person.
                let end = browser.open(path).await;
                assert!(!(300..400).contains(&end.status), "{browsers} {path}: {}", end.status);
            }
        }
    }
}
