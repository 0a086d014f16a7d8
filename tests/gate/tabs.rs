//! Many tabs of one browser at once, as a browser restores them or as people open them: each ends at its own page.

use serde_json::json;

use crate::applications::with_both;
use crate::support::browser::{CHROME, WECOM_PHONE};
use crate::support::{Browser, Response, Stage};

/// A tab: its page, and its callback.
type Tab = (String, String);

fn landed(page: &Response, at: &str) {
    assert_eq!((page.status, page.at.as_str()), (200, at), "{}", page.body);
}

/// Opens a tab for this page with this address.
async fn open(browser: &mut Browser, page: &str, by: &str) -> Tab {
    (page.to_owned(), browser.up_to_callback(by).await)
}

/// Every tab returns from WeCom.
async fn finish(browser: &mut Browser, tabs: Vec<Tab>) {
    for (page, callback) in tabs {
        let back = browser.visit(&callback).await;
        landed(&browser.follow(back).await, &page);
    }
}

fn bytes(browser: &Browser) -> usize {
    browser.cookies.iter().map(|(name, value)| name.len() + value.len() + 3).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn thirty_tabs_through_two_entries_each_end_where_they_wanted() {
    let stage = Stage::start(|config| _ = config.another_entry("second")).await;
    let user = stage.bound("zhangsan");
    let binding = json!({ "authenticator": "second", "uuid": "zhangsan", "userId": user });
    stage.nocobase.data().bindings.push(binding);
    for agent in [CHROME, WECOM_PHONE] {
        let mut browser = stage.phone("zhangsan").user_agent(agent);
        let mut tabs = Vec::new();
        for tab in 0..30 {
            let page = format!("/admin/page{tab}");
            let by = match tab % 3 {
                0 => page.clone(),
                1 => format!("/wecom-gate/login?rd=%2Fadmin%2Fpage{tab}&with=second"),
                _ => format!("/wecom-gate/login?rd=%2Fadmin%2Fpage{tab}"),
            };
            tabs.push(open(&mut browser, &page, &by).await);
        }
        tabs.reverse();
        finish(&mut browser, tabs).await;
    }
}

/// No one scans the QR code, and each tab is reloaded repeatedly: each ends at its latest page.
#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_are_reloaded_keep_their_last_start() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan").user_agent(CHROME);
    let mut tabs = Vec::new();
    for round in 0..6 {
        tabs.clear();
        for tab in 0..10 {
            let page = format!("/admin/page{tab}?round={round}");
            tabs.push(open(&mut browser, &page, &page).await);
        }
    }
    assert!(bytes(&browser) < 8 * 1024, "{} bytes of cookies", bytes(&browser));
    finish(&mut browser, tabs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cookies_of_old_flows_displace_no_tab() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan").user_agent(CHROME);
    // A finished flow; one of another installation; some that are truncated, empty, or too long.
    let tab = open(&mut browser, "/admin/before", "/admin/before").await;
    let finished = browser.cookies.clone();
    finish(&mut browser, vec![tab]).await;
    browser.cookies = finished.clone();
    let foreign =
        Stage::start(|config| _ = config.set("session.keys", vec![crate::support::config::OTHER_KEY])).await;
    let mut elsewhere = foreign.phone("zhangsan").user_agent(CHROME);
    open(&mut elsewhere, "/admin", "/admin").await;
    browser.cookies.extend(elsewhere.cookies);
    for (number, (_, value)) in finished.iter().enumerate() {
        let name = format!("wecom_gate_flow_0stale{number:02}");
        browser.cookies.insert(name, value[..value.len() / 2].to_owned());
    }
    browser.cookies.insert("wecom_gate_flow_0empty00".into(), String::new());
    browser.cookies.insert("wecom_gate_flow_0long000".into(), "x".repeat(3000));
    let mut tabs = Vec::new();
    for tab in 0..30 {
        let page = format!("/admin/page{tab}");
        tabs.push(open(&mut browser, &page, &page).await);
    }
    assert!(bytes(&browser) < 8 * 1024, "{} bytes of cookies", bytes(&browser));
    finish(&mut browser, tabs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_windows_in_two_applications_keep_all_their_tabs() {
    let (stage, _) = with_both(|_| {}).await;
    stage.bound("zhangsan");
    for agent in [CHROME, WECOM_PHONE] {
        let mut browser = stage.phone("zhangsan").user_agent(agent);
        let mut tabs = Vec::new();
        for tab in 0..30 {
            let page = match tab % 2 {
                0 => format!("/admin/page{tab}"),
                _ => format!("/apps/crm/admin/page{tab}"),
            };
            tabs.push(open(&mut browser, &page, &page).await);
        }
        tabs.rotate_left(13);
        finish(&mut browser, tabs).await;
        // Each of the two has its session.
        landed(&browser.visit("/admin").await, "/admin");
        landed(&browser.visit("/apps/crm/admin").await, "/apps/crm/admin");
    }
}

/// A load balancer without sticky sessions.
#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_begin_on_one_node_end_on_another() {
    let stage = Stage::start(|_| {}).await;
    let other = stage.second_node().await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan").user_agent(CHROME);
    let mut tabs = Vec::new();
    for tab in 0..30 {
        browser.go_to([&stage.gate, &other][tab % 2]);
        let page = format!("/admin/page{tab}");
        tabs.push(open(&mut browser, &page, &page).await);
    }
    for (number, tab) in tabs.into_iter().enumerate() {
        browser.go_to([&other, &stage.gate][number / 2 % 2]);
        finish(&mut browser, vec![tab]).await;
    }
}

/// Half are closed before any QR code is scanned; a member scans one, and opens more.
#[tokio::test(flavor = "multi_thread")]
async fn tabs_that_are_closed_take_none_of_the_others_away() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan").user_agent(CHROME);
    for _ in 0..15 {
        open(&mut browser, "/admin", "/admin/closed").await;
    }
    let mut tabs = Vec::new();
    for tab in 0..15 {
        let page = format!("/admin/page{tab}");
        tabs.push(open(&mut browser, &page, &page).await);
    }
    let first = tabs.split_off(14);
    finish(&mut browser, first).await;
    // Now there is a session: new tabs just open, and those that wait for WeCom end at their pages.
    for tab in 15..20 {
        let page = format!("/admin/page{tab}");
        landed(&browser.visit(&page).await, &page);
    }
    finish(&mut browser, tabs).await;
}

/// Addresses so long that the cookies of thirty tabs do not fit: the newest keep theirs, an older one that is scanned after them
/// still gets signed in, and no tab ends at an error.
#[tokio::test(flavor = "multi_thread")]
async fn tabs_with_long_addresses_stay_within_the_bytes_and_end_signed_in() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan").user_agent(CHROME);
    let mut tabs = Vec::new();
    for tab in 0..30 {
        let page = format!("/admin/page{tab}?filter={}", "x".repeat(900));
        tabs.push(open(&mut browser, &page, &page).await);
        assert!(bytes(&browser) < 8 * 1024, "{} bytes of cookies", bytes(&browser));
    }
    let newest = tabs.split_off(26);
    finish(&mut browser, newest).await;
    for (page, callback) in tabs {
        let back = browser.visit(&callback).await;
        let end = browser.follow(back).await;
        // The page of such a tab is lost; with a session it begins at NocoBase's start page.
        let at_start = end.at == "/";
        assert!(end.status == 200 && (at_start || end.at == page), "{} {}", end.status, end.at);
    }
}
