//! Several applications of one NocoBase at one gate (`[[nocobase.apps]]`): accounts, sessions and sign-outs of each.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::browser::CHROME;
use crate::support::raw::{Response, get, request, send_raw, upgrade};
use crate::support::{Config, NocoBase, Stage};

pub(crate) mod host;

/// Id of the gate's service user in `crm`; different from the one in `main`.
const CRM_SERVICE: u64 = 41;
/// Cookie of a session in `crm`.
pub(crate) const CRM_COOKIE: &str = "wecom_gate_app.crm";

/// Configures a gate for `main` and `crm`.
fn with_crm(config: &mut Config) {
    let app: toml::Value =
        toml::from_str(&format!("name = \"crm\"\nservice_user = {CRM_SERVICE}\nauto_create_user = true\n"))
            .unwrap();
    // Matched by user name, so that no consent is requested.
    config
        .set("nocobase.apps", vec![app])
        .set("nocobase.match_by", vec!["username"])
        .set("access.api_keys", false);
}

/// A stage with both applications, and `crm`'s NocoBase.
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
    // One file of the client, which all applications share; one file of this application.
    let asset = phone.fetch(Method::GET, "/assets/a.js");
    assert_eq!(phone.send(asset).await.status, 200);
    let file = phone.fetch(Method::GET, "/files/crm/main/attachments/1.png");
    let file = phone.send(file).await;
    assert_eq!((file.status, file.body.as_str()), (200, "content of /files/crm/main/attachments/1.png"));
    // Nothing of the main application, not even its translations.
    for path in ["/api/auth:check", "/api/app:getLang?locale=en-US", "/files/main/main/attachments/1.png"] {
        let call = phone.fetch(Method::GET, path);
        assert_eq!(phone.send(call).await.status, 401, "{path}");
    }

    // The other application needs its own sign-in.
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
async fn signing_out_ends_the_sessions_of_all_applications() {
    let (stage, crm) = with_both(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    assert_eq!(phone.open("/apps/crm/").await.status, 200);
    // With NocoBase's own menu item, in one of them.
    phone.extra.insert("x-app", "crm".parse().unwrap());
    assert_eq!(phone.api(Method::POST, "/api/auth:signOut").await.status, 200);
    phone.extra.clear();
    assert!(!phone.cookies.contains_key(CRM_COOKIE) && !phone.cookies.contains_key("wecom_gate"));
    let blocked = |nocobase: &NocoBase| nocobase.data().blocked.len();
    crate::support::eventually("blocked in both", async || {
        blocked(&crm) >= 1 && blocked(&stage.nocobase) == 1
    })
    .await;

    // With the gate's own page.
    let mut phone = stage.signed_in("zhangsan").await;
    assert_eq!(phone.open("/apps/crm/").await.status, 200);
    let before = phone.cookies[CRM_COOKIE].clone();
    let out = phone.fetch(Method::POST, "/wecom-gate/logout");
    assert_eq!(phone.send(out).await.status, 303);
    assert!(!phone.cookies.contains_key(CRM_COOKIE) && !phone.cookies.contains_key("wecom_gate"));
    let line = format!("Cookie: {CRM_COOKIE}={before}\r\nX-App: crm\r\n");
    let kept: Response = send_raw(stage.gate.http, get("/api/auth:check", &line)).await;
    assert_eq!(kept.status(), 401, "{}", kept.text());

    // Another member signs in to one application: the previous member's session in the other one ends too.
    let mut shared = stage.signed_in("zhangsan").await;
    assert_eq!(shared.open("/apps/crm/").await.status, 200);
    shared.cookies.remove("wecom_gate");
    stage.bound("lisi");
    let mut shared = shared.member("lisi");
    assert_eq!(shared.open("/admin").await.status, 200);
    assert!(shared.cookies.contains_key("wecom_gate") && !shared.cookies.contains_key(CRM_COOKIE));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_application_gets_one_page() {
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
    // A browser is not redirected anywhere first.
    let page = stage.phone("zhangsan").user_agent(CHROME).visit("/apps/nosuch/admin").await;
    assert_eq!(page.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn roles_in_each_application_follow_its_own_rules() {
    let rules = "roles = [{ department = 3, role = \"sales\" }, { department = 3, role = \"crm_sales\", app = \"crm\" }, \
                 { department = 2, role = \"crm_engineer\", app = \"crm\" }]";
    let rules: toml::Table = rules.parse().unwrap();
    let (stage, crm) = with_both(|config| _ = config.set("wecom.roles", rules["roles"].clone())).await;
    // Department 4 is below 3.
    let before = json!([{ "name": "member" }, { "name": "crm_engineer" }, { "name": "sales" }]);
    let users = [&stage.nocobase, &crm].map(|nocobase| {
        let id = nocobase.user(json!({ "nickname": "lisi", "roles": before }));
        nocobase.bind("lisi", id);
        id
    });
    let mut phone = stage.signed_in("lisi").await;
    assert_eq!(phone.open("/apps/crm/").await.status, 200);
    let roles = |nocobase: &NocoBase, id: u64| -> Vec<String> {
        let user = nocobase.rows("users").into_iter().find(|user| user["id"] == id).unwrap();
        let all = user["roles"].as_array().unwrap().iter();
        let mut names: Vec<_> = all.map(|role| role["name"].as_str().unwrap().to_owned()).collect();
        names.sort();
        names
    };
    // Rules of the other application neither give nor remove roles here.
    assert_eq!(roles(&stage.nocobase, users[0]), ["crm_engineer", "member", "sales"]);
    assert_eq!(roles(&crm, users[1]), ["crm_sales", "member", "sales"]);
}

/// R2, R44: a rule of one application opens its calls, without any credential, and none of another.
#[tokio::test(flavor = "multi_thread")]
async fn r44_public_rules_of_an_application_are_its_own() {
    let (stage, crm) = with_both(|config| {
        let app = config.0["nocobase"]["apps"][0].as_table_mut().unwrap();
        let rules = vec!["POST /api/webhook:*", "GET /api/open:list", "GET /ws"];
        app.insert("public".into(), rules.into());
    })
    .await;
    let token = nocobase_standin::SECRET;
    let credentials = format!("Authorization: Bearer {token}\r\nCookie: nb_auth_token_crm={token}; a=b\r\n");
    for (naming, query) in
        [("X-App: crm\r\n", ""), ("", "?__appName=crm"), ("X-App: crm\r\n", "?__appName=crm&x=y")]
    {
        for (method, path, reached) in [
            ("POST", "/api/webhook:order", true),
            ("GET", "/api/open:list", true),
            ("GET", "/api/webhook:order", false),
            ("POST", "/api/open:list", false),
            ("GET", "/api/users:list", false),
            ("POST", "/api/webhook/1:order", false),
        ] {
            let head = request(
                method,
                &format!("{path}{query}"),
                &format!("{naming}{credentials}Content-Length: 0\r\n"),
            );
            let before = crm.count(path);
            let response = send_raw(stage.gate.http, head).await;
            // For a request without a session the stand-in responds itself.
            assert_eq!(crm.count(path) > before, reached, "{method} {path}{query}: {}", response.text());
            if let Some(seen) = crm.last(path) {
                let cookie = seen.header("cookie").unwrap_or_default();
                assert!(seen.header("authorization").is_none() && !cookie.contains("nb_auth"), "{seen:?}");
                assert_eq!(seen.header("x-app"), Some("crm"));
            }
        }
        // In a WebSocket the token is sent later, in a message.
        let response = send_raw(stage.gate.http, upgrade(&format!("/ws{query}"), naming)).await;
        assert_eq!(response.status(), 401, "{}", response.text());
    }
    for path in ["/api/webhook:order", "/api/open:list"] {
        let method = if path.contains("webhook") { "POST" } else { "GET" };
        for (lines, status) in [("", 401), ("X-App: main\r\n", 401), ("X-App: sub1\r\n", 403)] {
            let head = request(method, path, &format!("{lines}Content-Length: 0\r\n"));
            let response = send_raw(stage.gate.http, head).await;
            assert_eq!(response.status(), status, "{path} {lines}: {}", response.text());
        }
    }
    assert_eq!(stage.nocobase.count("/api/webhook:order") + stage.nocobase.count("/api/open:list"), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn me_and_auth_respond_for_each_application() {
    let (stage, crm) = with_both(|_| {}).await;
    crm.user(json!({ "nickname": "so that ids differ" }));
    let mut phone = stage.signed_in("zhangsan").await;
    assert_eq!(phone.open("/apps/crm/").await.status, 200);
    let in_main = stage.nocobase.rows("usersAuthenticators")[0]["userId"].clone();
    let in_crm = crm.rows("usersAuthenticators")[0]["userId"].clone();
    assert_ne!(in_main, in_crm);
    let ask = async |path: &str, app: &[&str]| {
        let mut call = phone.fetch(Method::GET, path);
        for app in app {
            call = call.header("x-app", *app);
        }
        phone.clone().send(call).await
    };
    for (app, user) in [(&[][..], &in_main), (&["main"], &in_main), (&["crm"], &in_crm)] {
        assert_eq!(&ask("/wecom-gate/me", app).await.json()["nocobase_user_id"], user, "{app:?}");
        let auth = ask("/wecom-gate/auth", app).await;
        assert_eq!(
            (auth.status, auth.header("x-forwarded-user")),
            (204, Some(user.to_string().as_str())),
            "{app:?}"
        );
        // The secret cannot be set with several applications; without it no token is sent.
        assert!(auth.header("authorization").is_none() && auth.header("x-wecom-gate-cookie").is_none());
    }
    for app in [&["nosuch"][..], &["crm", "main"], &["crm, main"], &["CRM"]] {
        assert_eq!(ask("/wecom-gate/auth", app).await.status, 403, "{app:?}");
    }
    // `/wecom-gate/me` takes the application from its query.
    assert_eq!(&ask("/wecom-gate/me?__appName=crm", &[]).await.json()["nocobase_user_id"], &in_main);
    let jti = crm.rows("issuedTokens")[0]["jti"].as_str().unwrap().to_owned();
    crm.data().blocked.insert(jti);
    let mut page = phone.clone();
    page.visit("/apps/crm/admin").await;
    page.extra.insert("x-app", "crm".parse().unwrap());
    assert_eq!(page.api(Method::GET, "/api/orders:list").await.status, 401);
    for path in ["/wecom-gate/me", "/wecom-gate/auth"] {
        assert_eq!(ask(path, &["crm"]).await.status, 401, "{path}");
        assert!(ask(path, &[]).await.status < 300, "{path}");
    }
}
