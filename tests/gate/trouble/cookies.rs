//! Invalid cookies, secrets and requests.

use reqwest::Method;
use wecom_sim::{Fault, FaultKind};

use super::{bound, creating};
use crate::support::config::OTHER_KEY;
use crate::support::raw::{get, send_raw};
use crate::support::{HOST, Stage, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn r07_garbage_cookies_are_no_session_and_no_error() {
    let mut stage = bound().await;
    let good = stage.signed_in("zhangsan").await;
    let real = good.cookie("wecom_gate").unwrap().to_owned();
    let mut flipped = real.clone().into_bytes();
    let middle = flipped.len() / 2;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let garbage = ["", "x", "%00", "ey.ey.ey", &real[..real.len() - 1], &flipped, &"A".repeat(3000)];
    for value in garbage {
        let mut phone = good.clone();
        phone.cookies.insert("wecom_gate".into(), value.to_owned());
        let request = phone.fetch(Method::GET, "/api/orders:list");
        let response = phone.send(request).await;
        assert_eq!((response.status, response.code().as_str()), (401, "EMPTY_TOKEN"), "{value}");
        let page = phone.open("/admin/x").await;
        assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"), "{value}: simply signed in again");
    }
    // As after a change of keys without rotation.
    stage.restart_with(|c| _ = c.set("session.keys", vec![OTHER_KEY])).await;
    let mut phone = good.clone();
    phone.go_to(&stage.gate);
    assert_eq!(phone.clone().api(Method::GET, "/api/orders:list").await.status, 401);
    assert_eq!(phone.open("/admin/x").await.at, "/admin/x");
    assert_eq!(stage.nocobase.count("/api/orders:list"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_no_secret_is_ever_written() {
    let mut stage = creating().await;
    let mut phone = stage.phone("zhangsan");
    let callback = phone.up_to_callback("/admin").await;
    let back = phone.visit(&callback).await;
    phone.follow(back).await;
    phone.api(Method::GET, "/api/orders:list").await;
    let phantom = phone.phantom();
    phone.clone().send(phone.fetch(Method::GET, &format!("/api/a:b?token={phantom}"))).await;
    stage.wecom().add_fault(Fault::new("*", FaultKind::Html));
    stage.phone("lisi").open("/wecom-gate/login").await;
    let code = callback.split("code=").nth(1).unwrap().split('&').next().unwrap().to_owned();
    let state = callback.split("state=").nth(1).unwrap().to_owned();
    let cookie = phone.cookie("wecom_gate").unwrap().to_owned();
    let written = stage.gate.everything_written().await;
    assert!(written.contains("signed_in"));
    let key = crate::support::config::KEY;
    let secrets =
        [crate::support::APP_SECRET, nocobase_standin::SECRET, key, &code, &state, &cookie, &phantom];
    for secret in secrets.into_iter().chain(["eyJ", "wcg_", "access_token=", "13800000001"]) {
        assert!(!written.contains(secret), "{secret} in the log:\n{written}");
    }
}

/// No one has tried to sign in: the operator learns it before the first member, and the first log line names the version and
/// settings.
#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_secret_shows_without_a_sign_in() {
    let stage = Stage::start(|config| {
        config.set("wecom.secret", "wrong");
    })
    .await;
    let first = stage.gate.wait_for_log(&["\"event\":\"start\""]).await;
    for part in [
        env!("CARGO_PKG_VERSION"),
        "http://gate.test",
        "\"configuration\"",
        &stage.nocobase.address.to_string(),
    ] {
        assert!(first.contains(part), "{part} is not in {first}");
    }
    stage.gate.wait_for_log(&["WeCom call failed", "\"errcode\":40001"]).await;
    let ready = "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    eventually("/readyz gives the reason", async || {
        send_raw(stage.gate.ops, ready).await.text().contains("\"wecom_token\"")
    })
    .await;
}

/// A request of a browser window gets a page, whatever is wrong with it; a request of a script gets JSON.
#[tokio::test(flavor = "multi_thread")]
async fn a_window_gets_a_page_for_requests_that_cannot_be_read() {
    let stage = Stage::start(|_| {}).await;
    let window = "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\nAccept: text/html\r\n\
                  User-Agent: Mozilla/5.0 Chrome/116\r\nConnection: close\r\n";
    let script = "Sec-Fetch-Mode: cors\r\nSec-Fetch-Dest: empty\r\nConnection: close\r\n";
    let cookies = format!("Cookie: a={}\r\n", "x".repeat(40_000));
    for (path, more, status, label) in
        [("/admin//x", "", 400, "bad_path"), ("/admin", cookies.as_str(), 431, "headers_too_large")]
    {
        let page = send_raw(stage.gate.http, get(path, &format!("{window}{more}"))).await;
        assert_eq!(page.status(), status, "{}", page.text());
        assert!(page.text().contains("<!doctype html>") && page.text().contains(label), "{}", page.text());
        assert!(!page.text().contains("//x"), "the page repeats the path");
        let json = send_raw(stage.gate.http, get(path, &format!("{script}{more}"))).await;
        assert!(json.text().contains("\"errors\""), "{}", json.text());
    }
    // At another host: a link to the right one, with the same path.
    let other = get("/admin/orders", window).replace(&format!("Host: {HOST}"), "Host: other.test");
    let page = send_raw(stage.gate.http, other).await;
    assert_eq!(page.status(), 421);
    assert!(page.text().contains("href=\"http://gate.test/admin/orders\""), "{}", page.text());
}
