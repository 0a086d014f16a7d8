//! When something is wrong with WeCom, NocoBase, the member, or the cookies. Each time the page says what to do, the log informs
//! the operator, and nothing incomplete is left behind.

mod cookies;
mod members;
mod nocobase;
mod wecom;

use wecom_gate::error::Failure;
use wecom_sim::{Consent, Settings};

use crate::support::{Browser, Response, Stage};

const TOKEN: &str = "/cgi-bin/gettoken";
const USERINFO: &str = "/cgi-bin/auth/getuserinfo";
const USER_GET: &str = "/cgi-bin/user/get";

/// No user was created or bound, and no session exists.
fn nothing_is_left(stage: &Stage, browser: &Browser) {
    assert_eq!(browser.cookie("wecom_gate"), None);
    let data = stage.nocobase.data();
    assert_eq!(data.tokens.len(), 0, "a session is registered");
    let made = data.users.iter().filter(|u| u["phone"] == "13800000001").count();
    let bound = data.bindings.iter().filter(|b| b["uuid"] == "zhangsan").count();
    assert!(made == 0 || bound == 1, "a user without binding: {:?} {:?}", data.users, data.bindings);
}

/// A member tries to sign in and gets a page with the reason.
async fn fails(stage: &Stage, failure: Failure, title: &str) -> Response {
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/admin/x").await;
    stage.refused(&page, failure, title).await;
    assert!(page.body.contains(failure.response().label), "the code for the administrator");
    nothing_is_left(stage, &phone);
    page
}

async fn and_then_it_works(stage: &Stage) {
    stage.wecom().clear_faults();
    stage.nocobase.heal();
    let page = stage.phone("zhangsan").open("/admin/x").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"), "{}", page.body);
}

async fn bound() -> Stage {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    stage
}

/// Every member consents, and unknown members get a user.
async fn creating() -> Stage {
    let settings = Settings { consent: Consent::Allow, ..Settings::default() };
    Stage::with(settings, |c| _ = c.set("nocobase.auto_create_user", true)).await
}
