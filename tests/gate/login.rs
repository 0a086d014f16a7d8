//! How members sign in, and what those see who cannot.

use std::time::Duration;

use serde_json::json;
use wecom_gate::error::Failure;
use wecom_sim::{Consent, Settings};

use crate::support::browser::{CHROME, CHROME_PHONE, CURL, WECHAT, WECOM_DESKTOP, WECOM_PHONE};
use crate::support::{Browser, Response, Stage};

const USERINFO: &str = "/cgi-bin/auth/getuserinfo";

/// Every member consents to sharing the phone number.
async fn agreeing(change: impl FnOnce(&mut crate::support::Config)) -> Stage {
    Stage::with(Settings { consent: Consent::Allow, ..Settings::default() }, change).await
}

fn landed(page: &Response, at: &str) {
    assert_eq!((page.status, page.at.as_str()), (200, at), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bound_member_lands_on_the_deep_link() {
    let stage = Stage::start(|_| {}).await;
    let user = stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/admin/orders?status=open&q=%E5%BC%A0").await;
    landed(&page, "/admin/orders?status=open&q=%E5%BC%A0");
    assert!(phone.phantom().starts_with("wcg_"));
    let me = phone.api(reqwest::Method::GET, "/wecom-gate/me").await.json();
    assert_eq!(
        (&me["userid"], &me["name"], &me["nocobase_user_id"]),
        (&json!("zhangsan"), &json!("张三"), &json!(user))
    );
    assert_eq!(stage.wecom().calls(USERINFO), 1, "silently, with one code");
    let line = stage.gate.wait_for_log(&["\"sign_in\"", "signed_in"]).await;
    assert!(line.contains("zhangsan"), "{line}");
    let issued = stage.nocobase.data().tokens.clone();
    assert_eq!((issued.len(), &issued[0]["userId"]), (1, &json!(user)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unbound_member_agrees_once_and_is_silent_from_then_on() {
    let stage = agreeing(|_| {}).await;
    let user = stage.nocobase.user(json!({ "nickname": "Zhang San", "phone": "+86 13800000001" }));
    let mut phone = stage.phone("zhangsan");
    landed(&phone.open("/admin/a?b=1").await, "/admin/a?b=1");
    assert_eq!(stage.wecom().calls(USERINFO), 2, "one silent code, one with consent");
    let bindings = stage.nocobase.data().bindings.clone();
    assert_eq!(bindings.len(), 1, "{bindings:?}");
    assert_eq!((&bindings[0]["uuid"], &bindings[0]["userId"]), (&json!("zhangsan"), &json!(user)));

    stage.wecom().clear_calls();
    landed(&stage.phone("zhangsan").open("/admin").await, "/admin");
    assert_eq!(stage.wecom().calls(USERINFO), 1);
    assert_eq!(stage.nocobase.data().bindings.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_name_matches_without_consent() {
    let stage = Stage::start(|c| _ = c.set("nocobase.match_by", vec!["username"])).await;
    let user = stage.nocobase.user(json!({ "username": "zhangsan" }));
    landed(&stage.phone("zhangsan").open("/admin").await, "/admin");
    assert_eq!(stage.wecom().calls(USERINFO), 1);
    assert_eq!(stage.nocobase.data().bindings[0]["userId"], json!(user));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_member_gets_an_account_only_where_that_is_allowed() {
    for allowed in [false, true] {
        let stage = agreeing(|c| _ = c.set("nocobase.auto_create_user", allowed)).await;
        let page = stage.phone("lisi").open("/admin").await;
        let users = stage.nocobase.data().users.len() - 1;
        if allowed {
            landed(&page, "/admin");
            assert_eq!(users, 1);
            assert_eq!(stage.nocobase.data().users[1]["phone"], "13800000002");
        } else {
            stage.refused(&page, Failure::NoMatchingUser, "You have no account here yet").await;
            assert_eq!((users, stage.nocobase.data().bindings.len()), (0, 0));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_page_in_particular_is_the_home_page_of_the_device() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    landed(&stage.phone("zhangsan").open("/").await, "/m");
    landed(&stage.phone("zhangsan").user_agent(WECOM_DESKTOP).open("/").await, "/admin");
}

#[tokio::test(flavor = "multi_thread")]
async fn three_tabs_at_once_all_finish() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    let mut callbacks = Vec::new();
    for page in ["/admin/1", "/admin/2", "/admin/3"] {
        callbacks.push((page, phone.up_to_callback(page).await));
    }
    for (page, callback) in callbacks {
        let back = phone.visit(&callback).await;
        landed(&phone.follow(back).await, page);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repeated_callback_spends_the_code_once() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    let callback = phone.up_to_callback("/admin/x").await;
    let mut twin = phone.clone();
    let (first, second) = tokio::join!(phone.visit(&callback), twin.visit(&callback));
    for response in [&first, &second] {
        assert_eq!((response.status, response.location()), (302, "/admin/x"), "{}", response.body);
        assert!(response.sets("wecom_gate"));
    }
    // Reloaded, or reached with "back".
    let third = phone.visit(&callback).await;
    assert_eq!((third.status, third.location()), (302, "/admin/x"), "{}", third.body);
    landed(&phone.open("/admin").await, "/admin");
    landed(&twin.open("/admin").await, "/admin");
    assert_eq!(stage.wecom().calls(USERINFO), 1);
    assert_eq!(stage.nocobase.data().tokens.len(), 1, "one session");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_refuses_consent_may_try_again() {
    let stage = Stage::with(Settings { consent: Consent::Refuse, ..Settings::default() }, |_| {}).await;
    stage.nocobase.user(json!({ "phone": "13800000001" }));
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/admin/deep?x=1").await;
    stage.refused(&page, Failure::ConsentDenied, "You did not agree").await;
    let again = retry(&page);
    assert!(again.contains("%2Fadmin%2Fdeep%3Fx%3D1"), "{again}");
    assert!(stage.nocobase.data().bindings.is_empty() && stage.nocobase.data().tokens.is_empty());

    stage.wecom().configure(|s| s.consent = Consent::Allow);
    landed(&phone.open(&again).await, "/admin/deep?x=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_callback_without_code_gets_a_page_with_a_way_on() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    let callback = phone.up_to_callback("/admin").await;
    let state = callback.split("state=").nth(1).unwrap().split('&').next().unwrap();
    let page = phone.visit(&format!("/wecom-gate/callback?state={state}")).await;
    stage.refused(&page, Failure::ConsentDenied, "You did not agree").await;
    landed(&phone.open(&retry(&page)).await, "/admin");
}

/// Target of the page's button.
fn retry(page: &Response) -> String {
    let start =
        page.body.find("href=\"/wecom-gate/login").unwrap_or_else(|| panic!("no way on: {}", page.body));
    page.body[start + 6..].split('"').next().unwrap().replace("&amp;", "&").replace("&#38;", "&")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_loop_ends_with_a_page() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    for _ in 0..8 {
        // Back from WeCom each time, but the session cookie is lost.
        let callback = phone.up_to_callback("/admin").await;
        assert!(phone.visit(&callback).await.sets("wecom_gate"));
        phone.cookies.remove("wecom_gate");
    }
    let page = phone.visit("/admin").await;
    stage.refused(&page, Failure::LoginLoop, "Sign-in keeps starting over").await;
}

/// Tabs that a browser restores, one after another: each gets WeCom's page, and ends at its own page.
async fn many_tabs(user_agent: &'static str, first: usize) {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan").user_agent(user_agent);
    let mut tabs = Vec::new();
    for tab in 0..30 {
        let page = format!("/admin/page{tab}?tab={tab}");
        tabs.push((page.clone(), browser.up_to_callback(&page).await));
    }
    let bytes: usize = browser.cookies.iter().map(|(n, v)| n.len() + v.len()).sum();
    assert!(bytes < 8 * 1024, "{bytes} bytes of cookies");
    tabs.rotate_left(first);
    for (page, callback) in tabs {
        let back = browser.visit(&callback).await;
        landed(&browser.follow(back).await, &page);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_tabs_one_after_another_each_end_where_they_wanted() {
    many_tabs(CHROME, 17).await;
    many_tabs(WECOM_PHONE, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_tabs_at_once_each_end_where_they_wanted() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    for user_agent in [CHROME, WECOM_PHONE] {
        let mut browser = stage.phone("zhangsan").user_agent(user_agent);
        // All are opened before the first response: none of them sends another's cookie.
        let mut tabs = tokio::task::JoinSet::new();
        for tab in 0..30 {
            let mut tab_of = browser.clone();
            tabs.spawn(async move {
                let page = format!("/admin/page{tab}");
                let callback = tab_of.up_to_callback(&page).await;
                (page, callback, tab_of.cookies)
            });
        }
        let mut callbacks = Vec::new();
        for (page, callback, cookies) in tabs.join_all().await {
            browser.cookies.extend(cookies);
            callbacks.push((page, callback));
        }
        let mut tabs = tokio::task::JoinSet::new();
        for (page, callback) in callbacks {
            let mut tab = browser.clone();
            tabs.spawn(async move {
                let back = tab.visit(&callback).await;
                landed(&tab.follow(back).await, &page);
            });
        }
        tabs.join_all().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_wecom_that_waits_for_a_person_is_no_redirect_loop() {
    let stage = Stage::start(|_| {}).await;
    for user_agent in [CHROME, WECOM_PHONE] {
        let mut browser = stage.phone("zhangsan").user_agent(user_agent);
        for _ in 0..20 {
            assert_eq!(browser.visit("/admin").await.status, 302);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_without_cookies_gets_a_page_about_it() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut phone = stage.phone("zhangsan");
    phone.cookies_blocked = true;
    let page = phone.open("/admin").await;
    stage.refused(&page, Failure::CookiesBlocked, "Cookies are blocked").await;
    assert_eq!(stage.wecom().calls(USERINFO), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_desktop_browser_signs_in_with_the_qr_page() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut chrome = stage.phone("zhangsan").user_agent(CHROME);
    let page = chrome.open("/admin/x").await;
    landed(&page, "/admin/x");
    assert!(page.hops.iter().any(|h| h.contains("/wwlogin/sso/login")), "{:?}", page.hops);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_time_in_a_desktop_browser_leads_to_wecom() {
    let stage = Stage::start(|c| _ = c.set("nocobase.auto_create_user", true)).await;
    let page = stage.phone("zhangsan").user_agent(CHROME).open("/admin").await;
    stage.refused(&page, Failure::FirstTimeInWeCom, "Sign in once inside").await;
    assert!(page.body.contains(">http://gate.test/admin<"), "the page to open there: {}", page.body);
    assert!(stage.nocobase.data().bindings.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wechat_and_phone_browsers_are_sent_to_wecom() {
    let stage = Stage::start(|_| {}).await;
    for user_agent in [WECHAT, CHROME_PHONE] {
        let page = Browser::new(&stage.gate, user_agent).visit("/admin/x?y=1").await;
        stage.refused(&page, Failure::OpenInWeCom, "Open this page in").await;
        assert!(page.body.contains("http://gate.test/admin/x?y=1"), "{}", page.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn other_browsers_get_what_is_configured() {
    let stage = Stage::start(|c| _ = c.set("access.browsers", "deny")).await;
    let page = Browser::new(&stage.gate, CHROME).visit("/admin/x").await;
    stage.refused(&page, Failure::BrowserDenied, "Open this app in").await;
    let page = Browser::new(&stage.gate, CHROME).visit("/wecom-gate/login?via=web").await;
    stage.refused(&page, Failure::BrowserDenied, "Open this app in").await;

    let stage = Stage::start(|c| _ = c.set("access.browsers", "sign-in-page")).await;
    stage.bound("zhangsan");
    let mut chrome = stage.phone("zhangsan").user_agent(CHROME);
    let page = chrome.visit("/admin/x?y=1").await;
    assert!(page.status == 200 && page.body.contains("Sign in with your company account"), "{}", page.body);
    landed(&chrome.open(&retry(&page)).await, "/admin/x?y=1");
}

#[tokio::test(flavor = "multi_thread")]
async fn programs_and_scripts_get_nocobase_s_error_and_no_redirect() {
    let stage = Stage::start(|_| {}).await;
    let mut curl = Browser::new(&stage.gate, CURL);
    for path in ["/api/users:list", "/admin"] {
        let request = curl.request(reqwest::Method::GET, path);
        let response = curl.send(request).await;
        assert_eq!((response.status, response.code().as_str()), (401, "EMPTY_TOKEN"));
        assert_eq!(response.header("x-wecom-gate-login"), Some("/wecom-gate/login"));
    }
    let phone = stage.phone("zhangsan");
    for method in [reqwest::Method::GET, reqwest::Method::POST] {
        let response = phone.clone().send(phone.fetch(method, "/api/users:list")).await;
        assert_eq!((response.status, response.code().as_str()), (401, "EMPTY_TOKEN"));
    }
    assert_eq!(stage.nocobase.data().requests.len(), 0, "nothing of it reached NocoBase");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_that_create_a_member_at_once_end_with_one_user() {
    let stage = agreeing(|c| _ = c.set("nocobase.auto_create_user", true)).await;
    let other = stage.second_node().await;
    stage.nocobase.delay("users:create", Duration::from_millis(300), usize::MAX);
    let (mut here, mut there) = (stage.phone("lisi"), stage.phone("lisi"));
    there.go_to(&other);
    let (a, b) = tokio::join!(here.open("/admin"), there.open("/admin"));
    landed(&a, "/admin");
    landed(&b, "/admin");
    let data = stage.nocobase.data();
    assert_eq!(data.calls["users:create"], 2, "both tried");
    assert_eq!((data.users.len() - 1, data.bindings.len()), (1, 1), "{:?} {:?}", data.users, data.bindings);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flow_begun_on_one_node_ends_on_another() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let other = stage.second_node().await;
    let mut phone = stage.phone("zhangsan");
    let callback = phone.up_to_callback("/admin/x").await;
    phone.go_to(&other);
    let back = phone.visit(&callback).await;
    landed(&phone.follow(back).await, "/admin/x");
    phone.go_to(&stage.gate);
    landed(&phone.open("/admin/y").await, "/admin/y");
}
