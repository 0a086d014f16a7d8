//! `nocobase.link_by_password`: a member without a matching user proves once, by its password, which user is theirs. What attackers make
//! of it is in `attacks/link.rs`.

use http::Method;
use serde_json::{Value, json};
use wecom_gate::error::Failure;

use crate::support::{Browser, CORP, Config, Response, SERVICE_USER, Stage};

/// Where the form goes.
pub(crate) const LINK: &str = "/wecom-gate/link";
pub(crate) const SIGN_IN: &str = "auth:signIn";
const NOBODY: &str = "You have no account here yet";
/// The password of [`user`].
pub(crate) const PASSWORD: &str = "correct horse & battery+%";

pub(crate) async fn stage() -> Stage {
    stage_with(|_| {}).await
}

pub(crate) async fn stage_with(change: impl FnOnce(&mut Config)) -> Stage {
    Stage::start(|c| {
        c.set("nocobase.match_by", vec!["username"]).set("nocobase.link_by_password", true);
        change(c);
    })
    .await
}

/// A user with a password, whom no member matches.
pub(crate) fn user(stage: &Stage, name: &str, roles: &[&str]) -> u64 {
    let roles: Vec<Value> = roles.iter().map(|name| json!({ "name": name })).collect();
    stage.nocobase.user(json!({ "username": name, "password": PASSWORD, "roles": roles }))
}

/// The id of the form in a page.
pub(crate) fn form(page: &str) -> Option<String> {
    let (_, rest) = page.split_once("name=\"link\" value=\"")?;
    Some(rest.split('"').next()?.to_owned())
}

/// The form as a browser sends it, without the headers that show its origin.
pub(crate) fn sent(browser: &Browser, id: &str, account: &str, password: &str) -> reqwest::RequestBuilder {
    let fields = [("link", id), ("account", account), ("password", password)];
    let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    browser
        .request(Method::POST, LINK)
        .header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")
        .header("accept-language", "en")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body)
}

/// The form of the gate's own page.
pub(crate) async fn submit(browser: &mut Browser, id: &str, account: &str, password: &str) -> Response {
    let request = sent(browser, id, account, password)
        .header("origin", "http://gate.test")
        .header("sec-fetch-site", "same-origin")
        .header("sec-fetch-mode", "navigate")
        .header("sec-fetch-dest", "document");
    browser.send(request).await
}

/// A member without a matching user, and the form that they see.
pub(crate) async fn unmatched(stage: &Stage, userid: &str) -> (Browser, String) {
    let mut browser = stage.phone(userid);
    let page = browser.open("/admin?tab=2").await;
    assert_eq!(page.status, 403, "{}", page.body);
    assert!(page.body.contains(NOBODY), "{}", page.body);
    let id = form(&page.body).unwrap_or_else(|| panic!("no form: {}", page.body));
    (browser, id)
}

/// Is this member bound, and to whom?
pub(crate) fn bound(stage: &Stage, userid: &str) -> Vec<Value> {
    let rows = stage.nocobase.rows("usersAuthenticators");
    rows.into_iter().filter(|row| row["uuid"] == userid).map(|row| row["userId"].clone()).collect()
}

async fn is_refused(stage: &Stage, page: &Response, failure: Failure, title: &str) {
    assert_eq!(page.status, failure.response().status, "{}", page.body);
    assert!(page.body.contains(title), "{failure}: {}", page.body);
    assert!(!page.sets("wecom_gate"), "{failure}: {:?}", page.headers);
    stage.gate.wait_for_log(&["\"refused\"", &format!("\"{}\"", failure.response().label)]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_whom_nobody_matches_links_an_account_and_is_then_signed_in_at_once() {
    let stage = stage().await;
    let account = user(&stage, "old.li", &["member"]);
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    stage.gate.wait_for_log(&["\"refused\"", "\"no_matching_user\"", "lisi"]).await;

    let response = submit(&mut browser, &id, " old.li ", PASSWORD).await;
    assert_eq!((response.status, response.location()), (303, "/admin?tab=2"), "{}", response.body);
    assert!(response.sets("wecom_gate") && browser.cookie("wecom_gate_link").is_none());
    assert_eq!(bound(&stage, "lisi"), [json!(account)]);
    assert_eq!(browser.open("/admin?tab=2").await.status, 200);
    assert_eq!(browser.api(Method::GET, "/wecom-gate/me").await.json()["userid"], "lisi");

    // NocoBase was asked as its own page asks, for this person; the session of the password has ended, the gate's has not.
    let asked = stage.nocobase.last("/api/auth:signIn").unwrap();
    assert_eq!(
        (asked.header("x-authenticator"), asked.header("x-forwarded-for")),
        (Some("basic"), Some("127.0.0.1"))
    );
    assert_eq!((asked.header("authorization"), asked.header("cookie")), (None, None));
    let sessions = stage.nocobase.rows("issuedTokens");
    let blocked = |row: &&Value| stage.nocobase.data().blocked.contains(row["jti"].as_str().unwrap());
    assert_eq!((sessions.len(), sessions.iter().filter(blocked).count()), (2, 1), "{sessions:?}");
    let record = stage.gate.wait_for_log(&["\"binding_made\"", "linked by password"]).await;
    for part in ["\"actor\":\"member\"", "\"userid\":\"lisi\"", &format!("\"nocobase_user\":{account}")] {
        assert!(record.contains(part), "{part}: {record}");
    }

    // From now on the sign-in through WeCom is enough.
    let mut next = stage.phone("lisi");
    assert_eq!(next.open("/admin").await.status, 200);
    assert_eq!(stage.nocobase.calls(SIGN_IN), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_password_shows_nocobases_words_and_another_form() {
    let stage = stage().await;
    let account = user(&stage, "old.li", &["member"]);
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    let page = submit(&mut browser, &id, "old.li\"><b>", "wrong-password").await;
    is_refused(&stage, &page, Failure::PasswordRejected, "This account was not linked").await;
    assert!(page.body.contains("The username/email or password is incorrect"), "{}", page.body);
    assert!(
        page.body.contains("old.li&#34;&#62;&#60;b&#62;") && !page.body.contains("wrong-password"),
        "{}",
        page.body
    );
    let next = form(&page.body).unwrap();
    assert_ne!(next, id);
    assert_eq!(submit(&mut browser, &next, "old.li", PASSWORD).await.status, 303);
    assert_eq!(bound(&stage, "lisi"), [json!(account)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_off_by_default_and_then_it_is_not_there() {
    let stage = Stage::start(|c| _ = c.set("nocobase.match_by", vec!["username"])).await;
    user(&stage, "old.li", &["member"]);
    let mut browser = stage.phone("lisi");
    let page = browser.open("/admin").await;
    assert_eq!((page.status, form(&page.body)), (403, None));
    assert!(!page.set_cookies().iter().any(|c| c.starts_with("wecom_gate_link")));
    let response = submit(&mut browser, "a", "old.li", PASSWORD).await;
    assert_eq!((response.status, stage.nocobase.calls(SIGN_IN)), (404, 0));
    // If it is enabled, it accepts the form and nothing else.
    let stage = stage_with(|_| {}).await;
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    assert_eq!(browser.visit(&format!("{LINK}?link={id}&account=a&password=b")).await.status, 405);
    let json = browser.request(Method::POST, LINK).header("content-type", "application/json").body("{}");
    assert_eq!(browser.send(json).await.status, 400);
    assert_eq!(submit(&mut browser, &id, "", "").await.status, 400);
    assert_eq!(stage.nocobase.calls(SIGN_IN), 0);
}

/// What NocoBase and its plugins may require besides a password, and their response to a user who is locked out.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_else_nocobase_asks_for_is_refused_in_its_own_words() {
    let stage = stage().await;
    user(&stage, "old.li", &["member"]);
    let locked = r#"{"errors":[{"message":"Locked for <b>10</b> minutes","code":"USER_LOCKED"}]}"#;
    let code = r#"{"errors":[{"message":"Enter the code of your authenticator app"}]}"#;
    for (call, status, body, words) in [
        (SIGN_IN, 403, locked, "Locked for &#60;b&#62;10&#60;/b&#62; minutes"),
        (SIGN_IN, 429, code, "Enter the code of your authenticator app"),
        (SIGN_IN, 200, r#"{"data":{"next":"captcha"}}"#, "The app did not accept this account and password."),
        ("auth:check", 401, code, "Enter the code of your authenticator app"),
    ] {
        let (mut browser, id) = unmatched(&stage, "lisi").await;
        stage.nocobase.fail(&format!("/api/{call}"), status, body, 1);
        let page = submit(&mut browser, &id, "old.li", PASSWORD).await;
        is_refused(&stage, &page, Failure::PasswordRejected, words).await;
        assert!(bound(&stage, "lisi").is_empty(), "{call} {status}");
        stage.nocobase.heal();
        // The opened session has ended.
        for row in stage.nocobase.rows("issuedTokens") {
            assert!(stage.nocobase.data().blocked.contains(row["jti"].as_str().unwrap()), "{call} {status}");
        }
    }
    // An error of NocoBase is not a refusal and is not charged.
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    stage.nocobase.fail("/api/auth:signIn", 500, r#"{"errors":[{"message":"boom"}]}"#, 1);
    let page = submit(&mut browser, &id, "old.li", PASSWORD).await;
    is_refused(&stage, &page, Failure::NocoBaseBadAnswer, "Something went wrong").await;
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    assert_eq!(submit(&mut browser, &id, "old.li", PASSWORD).await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_may_not_use_the_app_any_more_links_nothing() {
    let stage = stage().await;
    user(&stage, "old.li", &["member"]);
    let (mut browser, id) = unmatched(&stage, "lisi").await;
    assert!(stage.wecom().remove_member(CORP, "lisi"));
    let page = submit(&mut browser, &id, "old.li", PASSWORD).await;
    is_refused(&stage, &page, Failure::NotVisible, "").await;
    assert_eq!((stage.nocobase.calls(SIGN_IN), bound(&stage, "lisi").len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_of_administrators_and_the_gates_own_are_not_linked() {
    let stage = stage().await;
    user(&stage, "boss", &["member", "root"]);
    user(&stage, "admin", &["admin"]);
    stage.nocobase.data().users.iter_mut().find(|u| u["id"] == SERVICE_USER).unwrap()["password"] =
        json!(PASSWORD);
    for account in ["boss", "admin", "gate"] {
        let (mut browser, id) = unmatched(&stage, "lisi").await;
        let page = submit(&mut browser, &id, account, PASSWORD).await;
        is_refused(&stage, &page, Failure::LinkDenied, "This account cannot be linked here").await;
        assert!(bound(&stage, "lisi").is_empty(), "{account}");
    }
    // Without visible roles the link is refused.
    user(&stage, "old.li", &["member"]);
    let (mut browser, id) = unmatched(&stage, "WangWu").await;
    stage.nocobase.fail("/api/auth:check", 200, r#"{"data":{"id":999}}"#, 1);
    let page = submit(&mut browser, &id, "old.li", PASSWORD).await;
    is_refused(&stage, &page, Failure::NocoBaseBadAnswer, "").await;
    assert!(bound(&stage, "WangWu").is_empty());
}
