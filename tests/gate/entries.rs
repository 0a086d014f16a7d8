//! Two companies at one gate: members of the other one always find their own sign-in.

use wecom_gate::error::Failure;

use crate::support::browser::{CHROME, CHROME_PHONE};
use crate::support::{Browser, Config, Stage};

const PARTNER: &str = "wwfedcba9876543210";

fn two(config: &mut Config) {
    let entry = config.another_entry("partner").last_entry();
    for (key, value) in [
        ("title", "Partner"),
        ("corp_id", PARTNER),
        ("secret", "SimAppSecretPartner-CCCCCCCCCCCCCCCCCCCCCCC"),
    ] {
        entry.insert(key.into(), value.into());
    }
}

/// The target of the button "Sign in with Partner", if there is one.
fn button(page: &str) -> Option<String> {
    let (before, _) = page.split_once(">Sign in with Partner</a>")?;
    let (_, href) = before.rsplit_once("href=\"")?;
    Some(href.trim_end_matches('"').replace("&amp;", "&").replace("&#38;", "&"))
}

const WAY_IN: &str = "/wecom-gate/login?rd=%2Fadmin%2Fx%3Fa%3D1&with=partner";

#[tokio::test(flavor = "multi_thread")]
async fn members_of_another_company_are_offered_its_entry() {
    let stage = Stage::start(two).await;
    let id = stage.nocobase.user(serde_json::json!({ "nickname": "Zhang Shan" }));
    let binding = serde_json::json!({ "authenticator": "partner", "uuid": "zhangsan", "userId": id });
    stage.nocobase.data().bindings.push(binding);
    let mut phone = stage.phone(&format!("{PARTNER}/zhangsan"));
    let page = phone.open("/admin/x?a=1").await;
    stage.refused(&page, Failure::OtherCompany, "This app is for another company").await;
    assert_eq!(button(&page.body).as_deref(), Some(WAY_IN));
    let page = phone.open(WAY_IN).await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x?a=1"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_for_phones_links_to_the_chosen_entry() {
    let stage = Stage::start(two).await;
    let page = Browser::new(&stage.gate, CHROME_PHONE).visit(WAY_IN).await;
    stage.refused(&page, Failure::OpenInWeCom, "Open this page in").await;
    let link = format!("http://gate.test{}", WAY_IN.replace('&', "&#38;"));
    assert!(page.body.contains(&link), "{}", page.body);
    let page = Browser::new(&stage.gate, CHROME_PHONE).visit("/admin/x?a=1").await;
    assert!(page.body.contains(">http://gate.test/admin/x?a=1<"), "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_signing_out_one_chooses() {
    let stage = Stage::start(two).await;
    let page = Browser::new(&stage.gate, CHROME).visit("/wecom-gate/sign-in?out=1&rd=/admin/x?a=1").await;
    assert!(page.body.contains("You are signed out"), "{}", page.body);
    assert_eq!(button(&page.body).as_deref(), Some(WAY_IN));
}
