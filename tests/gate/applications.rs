//! Several applications of one NocoBase at one gate (`[[nocobase.apps]]`): accounts, sessions and sign-outs of each.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::CHROME;
use crate::support::raw::{Response, get, send_raw};
use crate::support::{Config, NocoBase, Stage};

/// Id of the user in `crm` that the gate works as: another one than in `main`.
const CRM_SERVICE: u64 = 41;
/// Cookie of a session in `crm`.
pub(crate) const CRM_COOKIE: &str = "wecom_gate_app.crm";

/// What a gate for `main` and `crm` has in its configuration.
fn with_crm(config: &mut Config) {
    let app: toml::Value =
        toml::from_str(&format!("name = \"crm\"\nservice_user = {CRM_SERVICE}\nauto_create_user = true\n"))
            .unwrap();
    // By user name, so that no consent is asked for.
    config
        .set("nocobase.apps", vec![app])
        .set("nocobase.match_by", vec!["username"])
        .set("access.api_keys", false);
}

/// A stage with both, and `crm`'s NocoBase.
pub(crate) async fn with_both(change: impl FnOnce(&mut Config)) -> (Stage, NocoBase) {
    let stage = Stage::start(|config| {
        with_crm(config);
        change(config);
    })
    .await;
    let crm = stage.nocobase.application("crm");
    crm.user_with_id(CRM_SERVICE, json!({ "username": "gate", "nickname": "service of crm" }));
    (stage, crm)
}

fn nickname(response: &crate::support::Response) -> Value {
    response.json()["data"]["nickname"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_is_created_bound_and_has_a_session_in_each() {
    let (stage, crm) = with_both(|_| {}).await;
    let mut phone = stage.phone("zhangsan");
    let page = phone.open("/apps/crm/").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/apps/crm/admin"), "{}", page.body);
    assert!(page.body.contains("data-app=\"crm\""), "{}", page.body);
    let cookies: Vec<_> = phone.cookies.keys().filter(|name| !name.contains("flow_")).collect();
    assert!(
        cookies.contains(&&CRM_COOKIE.to_owned()) && !phone.cookies.contains_key("wecom_gate"),
        "{cookies:?}"
    );
    assert_eq!((crm.rows("usersAuthenticators").len(), crm.rows("issuedTokens").len()), (1, 1));
    assert_eq!(
        (stage.nocobase.rows("usersAuthenticators").len(), stage.nocobase.rows("issuedTokens").len()),
        (0, 0)
    );

    // The page's own calls, with the application's token.
    phone.extra.insert("x-app", "crm".parse().unwrap());
    let check = phone.api(Method::GET, "/api/auth:check").await;
    assert_eq!(check.status, 200, "{}", check.body);
    let seen = crm.last("/api/auth:check").unwrap();
    let token = nocobase_standin::claims(seen.header("authorization").unwrap());
    assert_eq!(token["userId"], crm.rows("usersAuthenticators")[0]["userId"]);
    phone.extra.clear();
    // A file of the client, which belongs to all applications; a file of this one.
    let asset = phone.fetch(Method::GET, "/assets/a.js");
    assert_eq!(phone.send(asset).await.status, 200);
    let file = phone.fetch(Method::GET, "/files/crm/main/attachments/1.png");
    let file = phone.send(file).await;
    assert_eq!((file.status, file.body.as_str()), (200, "content of /files/crm/main/attachments/1.png"));
    // Nothing of the main application, not even its texts.
    for path in ["/api/auth:check", "/api/app:getLang?locale=en-US", "/files/main/main/attachments/1.png"] {
        let call = phone.fetch(Method::GET, path);
        assert_eq!(phone.send(call).await.status, 401, "{path}");
    }

    // The other application is signed in to for itself.
    stage.bound("zhangsan");
    let page = phone.open("/admin").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin"), "{}", page.body);
    assert!(page.body.contains("data-app=\"main\""), "{}", page.body);
    let check = phone.api(Method::GET, "/api/auth:check").await;
    assert_eq!((check.status, nickname(&check)), (200, json!("zhangsan")));
    assert_eq!(phone.visit("/apps/crm/admin").await.status, 200);
    assert_eq!(crm.rows("issuedTokens").len(), 1, "the same session");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_signs_out_is_out_of_all_and_nobody_else_stays_in_one() {
    let (stage, crm) = with_both(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    assert_eq!(phone.open("/apps/crm/").await.status, 200);
    // By NocoBase's own menu, in one of them.
    phone.extra.insert("x-app", "crm".parse().unwrap());
    assert_eq!(phone.api(Method::POST, "/api/auth:signOut").await.status, 200);
    phone.extra.clear();
    assert!(!phone.cookies.contains_key(CRM_COOKIE) && !phone.cookies.contains_key("wecom_gate"));
    let blocked = |nocobase: &NocoBase| nocobase.data().blocked.len();
    crate::support::eventually("blocked in both", async || {
        blocked(&crm) >= 1 && blocked(&stage.nocobase) == 1
    })
    .await;

    // By the gate's own page.
    let mut phone = stage.signed_in("zhangsan").await;
    assert_eq!(phone.open("/apps/crm/").await.status, 200);
    let before = phone.cookies[CRM_COOKIE].clone();
    let out = phone.fetch(Method::POST, "/wecom-gate/logout");
    assert_eq!(phone.send(out).await.status, 303);
    assert!(!phone.cookies.contains_key(CRM_COOKIE) && !phone.cookies.contains_key("wecom_gate"));
    let line = format!("Cookie: {CRM_COOKIE}={before}\r\nX-App: crm\r\n");
    let kept: Response = send_raw(stage.gate.http, get("/api/auth:check", &line)).await;
    assert_eq!(kept.status(), 401, "{}", kept.text());

    // Another member signs in to one: the other one is not left to the one before.
    let mut shared = stage.signed_in("zhangsan").await;
    assert_eq!(shared.open("/apps/crm/").await.status, 200);
    shared.cookies.remove("wecom_gate");
    stage.bound("lisi");
    let mut shared = shared.member("lisi");
    assert_eq!(shared.open("/admin").await.status, 200);
    assert!(shared.cookies.contains_key("wecom_gate") && !shared.cookies.contains_key(CRM_COOKIE));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_that_is_not_there_is_one_page() {
    let (stage, _) = with_both(|config| {
        let gone: toml::Value = toml::from_str("name = \"gone\"\nservice_user = 1").unwrap();
        let apps = config.0["nocobase"]["apps"].as_array_mut().unwrap();
        apps.push(gone);
    })
    .await;
    for path in ["/apps/gone/admin", "/apps/nosuch/admin"] {
        let page = stage.phone("zhangsan").open(path).await;
        assert_eq!(page.status, 403, "{path}: {}", page.body);
        assert!(page.body.contains("This application is not open here"), "{path}: {}", page.body);
    }
    // In a browser nobody is sent round first.
    let page = stage.phone("zhangsan").user_agent(CHROME).visit("/apps/nosuch/admin").await;
    assert_eq!(page.status, 403);
}
