//! Members who may not sign in.

use wecom_gate::error::Failure;
use wecom_sim::{Consent, Settings};

use super::creating;
use crate::support::{CORP, Stage};

/// A member who may not sign in: no user, no binding, no session.
async fn is_refused(stage: &Stage, person: &str, failure: Failure, title: &str) {
    let mut phone = stage.phone(person);
    let page = phone.open("/admin").await;
    stage.refused(&page, failure, title).await;
    let data = stage.nocobase.data();
    assert_eq!((data.users.len(), data.bindings.len(), data.tokens.len()), (1, 0, 0), "{person}");
}

/// The same with a code that WeCom's own page would not have issued, sent by this browser.
async fn is_refused_with_code(stage: &Stage, person: &str, failure: Failure, title: &str) {
    let code = wecom_sim::CodeRequest {
        corp_id: CORP.into(),
        agent_id: crate::support::AGENT,
        member: person.into(),
        ..Default::default()
    };
    let code = stage.wecom().issue_code(&code).unwrap();
    let mut phone = stage.phone("lisi");
    let to_wecom = phone.visit("/admin").await;
    let state =
        to_wecom.location().split("state=").nth(1).unwrap().split(['&', '#']).next().unwrap().to_owned();
    let page = phone.visit(&format!("/wecom-gate/callback?code={code}&state={state}")).await;
    stage.refused(&page, failure, title).await;
    let data = stage.nocobase.data();
    assert_eq!((data.users.len(), data.bindings.len(), data.tokens.len()), (1, 0, 0), "{person}");
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_members_see_why() {
    let stage = creating().await;
    is_refused_with_code(&stage, "outsider", Failure::NotVisible, "You cannot use this app yet").await;
    is_refused_with_code(&stage, "zhaoliu", Failure::MemberDisabled, "Your account is not active").await;
    is_refused_with_code(&stage, "wujiu", Failure::MemberDisabled, "Your account is not active").await;
    is_refused_with_code(&stage, "zhengshi", Failure::MemberDisabled, "Your account is not active").await;
    is_refused_with_code(&stage, "wwfedcba9876543210/chenyi", Failure::OtherCompany, "for another company")
        .await;
    let stranger = "oStranger00000000000000000002";
    is_refused_with_code(&stage, stranger, Failure::NotAMember, "not a member of this company").await;
    let customer = "oExternalCustomer000000000001";
    is_refused_with_code(&stage, customer, Failure::NotAMember, "not a member of this company").await;
    is_refused(&stage, "zhouba", Failure::NothingToMatch, "Your account could not be found").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_allowed_departments_get_in() {
    let settings = Settings { consent: Consent::Allow, ..Settings::default() };
    let stage = Stage::with(settings, |c| {
        c.set("nocobase.auto_create_user", true).set("wecom.allow_departments", vec![3]);
    })
    .await;
    is_refused(&stage, "zhangsan", Failure::NotAllowed, "You have no access to this app").await;
    assert_eq!(stage.phone("WangWu").open("/admin").await.status, 200, "a department below counts");
}
