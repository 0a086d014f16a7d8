//! The console: what it shows to an administrator, and that for everyone else it does not exist.

use reqwest::Method;
use serde_json::json;
use wecom_gate::error::Failure;
use wecom_sim::{Fault, FaultKind};

use crate::support::browser::{CHROME, CURL, navigation};
use crate::support::{Browser, CORP, Config, Stage, eventually};

mod buttons;
mod nodes;
mod records;

const CONSOLE: &str = "/wecom-gate/console";
const REFUSED: &str = "/wecom-gate/console/refused";
const CHECK: &str = "/wecom-gate/console/check";
const MEMBERS: &str = "/wecom-gate/console/members";
/// A path that does not exist for anyone.
const NOTHING: &str = "/wecom-gate/consol";

async fn stage(admins: &[&str]) -> Stage {
    let admins: Vec<String> = admins.iter().map(|&admin| admin.to_owned()).collect();
    Stage::start(move |c: &mut Config| {
        c.set("access.admins", admins).set("nocobase.match_by", vec!["username"]);
    })
    .await
}

/// The request id that a page shows.
fn request_id(page: &str) -> String {
    let (_, after) = page.rsplit_once("Request</dt><dd>").unwrap();
    after.split_once('<').unwrap().0.to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_sees_how_things_are() {
    let mut stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let page = admin.visit(CONSOLE).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for text in [
        ">Console of the gate<",
        &stage.nocobase.address.to_string(),
        ">wecom<",
        ">Works<",
        "Signed in",
        env!("CARGO_PKG_VERSION"),
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }
    assert!(!page.body.contains("class=\"bad\""), "{}", page.body);
    // What does not work is shown with the reason.
    stage.nocobase.down().await;
    eventually("the console shows it", async || admin.visit(CONSOLE).await.body.contains("does not answer"))
        .await;
    stage.nocobase.up().await;
    stage.restart_with(|c| _ = c.set("session.redis", "redis://127.0.0.1:1")).await;
    admin.go_to(&stage.gate);
    eventually("Redis, too", async || admin.visit(CONSOLE).await.body.contains("the connection is refused"))
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_work_is_in_the_readers_language() {
    let stage = Stage::start(|c| {
        c.set("access.admins", vec!["wecom/zhangsan"]).set("session.redis", "redis://127.0.0.1:1");
    })
    .await;
    let mut admin = stage.signed_in("zhangsan").await;
    stage.bound("lisi");
    stage.wecom().add_fault(Fault::new("/cgi-bin/user/get", FaultKind::Errcode(48002)));
    assert_ne!(stage.phone("lisi").open("/admin").await.status, 200);
    stage.nocobase.down().await;
    stage.gate.rewrite("origin = 1");
    stage.gate.signal("HUP");
    stage.gate.wait_for_log(&["\"reload\"", "\"ERROR\""]).await;
    for (locale, texts) in [
        (
            "en-US",
            [
                "does not answer; start NocoBase; correct upstream.nodes; check the firewall",
                "user/get answers errcode 48002",
                "give the app this privilege in the console",
                "the connection is refused",
                "what was in use before stays in use",
            ],
        ),
        (
            "de-DE",
            [
                "antwortet nicht; NocoBase starten",
                "user/get antwortet mit errcode 48002",
                "Recht",
                "abgelehnt",
                "bleibt in Gebrauch",
            ],
        ),
        (
            "zh-CN",
            [
                "没有响应；启动 NocoBase",
                "user/get 返回 errcode 48002",
                "权限",
                "连接被拒绝",
                "继续使用之前的内容",
            ],
        ),
    ] {
        admin.cookies.insert("wecom_gate_lang".to_owned(), locale.to_owned());
        let mut page = String::new();
        eventually("the console shows it", async || {
            page = admin.visit(CONSOLE).await.body;
            page.contains(texts[0])
        })
        .await;
        for text in texts {
            assert!(page.contains(text), "{text}: {page}");
        }
        // The cause of the failed reload is as in the log.
        assert_eq!(page.matches("<span lang=\"en\">").count(), 1, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_are_found_by_userid_name_or_request_id() {
    let stage = stage(&["wecom/ZhangSan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    // A member without an account calls and reads out the page's request id.
    let page = stage.phone("lisi").open("/admin").await;
    stage.refused(&page, Failure::NoMatchingUser, "You have no account here yet").await;
    let id = request_id(&page.body);
    // Another visitor has another request id.
    let other = Browser::new(&stage.gate, CHROME).visit("/wecom-gate/callback?code=x").await;
    assert_eq!(other.status, 400);
    let other = request_id(&other.body);

    for query in ["lisi", "LISI", "%E6%9D%8E%E5%9B%9B", &id] {
        let found = admin.visit(&format!("{REFUSED}?q={query}")).await.body;
        for text in
            ["wecom/lisi", "李四", &id, "You have no account here yet", "no_matching_user", "127.0.0.1"]
        {
            assert!(found.contains(text), "{query}: {text}: {found}");
        }
        assert!(!found.contains(&other), "{query}: {found}");
        assert_eq!(found.matches("<li>").count(), 1, "once, and with the member: {found}");
    }
    let found = admin.visit(&format!("{REFUSED}?q={other}")).await.body;
    assert!(found.contains("bad_callback") && found.contains("Not known"), "{found}");
    assert!(admin.visit(&format!("{REFUSED}?q=nobody")).await.body.contains("Nothing was found."));
    let counted = admin.visit(CONSOLE).await.body;
    assert!(counted.contains("<code>no_matching_user</code></th><td>1</td><td>1</td>"), "{counted}");
    // In the language of the administrator.
    let german = admin.request(Method::GET, REFUSED).header("cookie", "wecom_gate_lang=de");
    let german = admin.send(navigation(german).header("accept-language", "de")).await.body;
    assert!(german.contains("lang=\"de\"") && german.contains("Nicht eingelassen"), "{german}");
}

/// The parts of a response that are not different each time.
fn shown(response: &crate::support::browser::Response) -> (u16, Vec<(String, String)>, String) {
    let mut headers: Vec<(String, String)> = response
        .headers
        .iter()
        .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into_owned()))
        .filter(|(name, _)| {
            !["date", "x-request-id", "set-cookie", "content-length"].contains(&name.as_str())
        })
        .collect();
    headers.sort();
    let body = match response.body.split_once("<dl") {
        Some((before, _)) => before.to_owned(),
        None => response.body.clone(),
    };
    (response.status, headers, body)
}

async fn ask(
    browser: &mut Browser,
    method: &Method,
    path: &str,
    as_page: bool,
) -> crate::support::browser::Response {
    let request = browser.request(method.clone(), path);
    let request = if as_page { navigation(request) } else { request };
    browser.send(request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_does_not_exist_for_others() {
    let stage = stage(&["wecom/zhangsan", "role:boss"]).await;
    let mut strangers = vec![
        ("a member", stage.signed_in("lisi").await),
        ("nobody", Browser::new(&stage.gate, CHROME)),
        ("a program", Browser::new(&stage.gate, CURL)),
    ];
    for (who, browser) in &mut strangers {
        for method in [Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS]
        {
            for as_page in [true, false] {
                let nothing = shown(&ask(browser, &method, NOTHING, as_page).await);
                assert_eq!(nothing.0, 404);
                for path in
                    [CONSOLE, REFUSED, MEMBERS, CHECK, "/wecom-gate/console/members?q=wecom%2Fzhangsan"]
                {
                    let there = shown(&ask(browser, &method, path, as_page).await);
                    assert_eq!(there, nothing, "{who} {method} {path} {as_page}");
                }
            }
        }
    }
    // Those who may see it may only read it.
    let mut admin = stage.signed_in("zhangsan").await;
    let mut request = admin.request(Method::POST, CONSOLE);
    for (name, value) in OWN_FORM {
        request = request.header(*name, *value);
    }
    let refused = admin.send(request).await;
    assert_eq!((refused.status, refused.header("allow")), (405, Some("GET, HEAD")));
    // Another site's page cannot read it with an administrator's cookie.
    let request = admin
        .request(Method::GET, CONSOLE)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "no-cors");
    assert_eq!(admin.send(request).await.status, 404);
}

/// The role is checked at each request while the console is open: a removed right takes effect at once.
#[tokio::test(flavor = "multi_thread")]
async fn a_role_counts_as_long_as_the_user_has_it() {
    let stage = stage(&["role:boss"]).await;
    let user = stage.bound("zhangsan");
    let give = |roles: serde_json::Value| {
        for row in &mut stage.nocobase.data().users {
            if row["id"] == json!(user) {
                row["roles"] = roles.clone();
            }
        }
    };
    let mut browser = stage.signed_in("zhangsan").await;
    for (roles, status) in [
        (json!([]), 404),
        (json!([{ "name": "member" }, { "name": "boss" }]), 200),
        (json!([{ "name": "bosses" }, { "name": "Boss" }]), 404),
        (json!([{ "name": "boss" }]), 200),
        (json!([{ "name": "member" }]), 404),
    ] {
        give(roles.clone());
        assert_eq!(browser.visit(CONSOLE).await.status, status, "{roles}");
    }
    // When NocoBase does not report the rights, there are none, and the log has the reason.
    give(json!([{ "name": "boss" }]));
    stage.nocobase.fail("users:get", 403, "No permissions", 1);
    assert_eq!(browser.visit(CONSOLE).await.status, 404);
    stage.gate.wait_for_log(&["\"event\":\"console\"", "nocobase_service_denied"]).await;
    assert_eq!(browser.visit(CONSOLE).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_userid_counts_at_its_own_entry_alone() {
    let partner = "wwfedcba9876543210";
    let stage = Stage::start(|c| {
        c.set("access.admins", vec!["partner/zhangsan"]);
        let entry = c.another_entry("partner").last_entry();
        for (key, value) in [("corp_id", partner), ("secret", "SimAppSecretPartner-CCCCCCCCCCCCCCCCCCCCCCC")]
        {
            entry.insert(key.into(), value.into());
        }
    })
    .await;
    // A member with the same userid in the other company.
    let mut other = stage.signed_in("zhangsan").await;
    assert_eq!(other.visit(CONSOLE).await.status, 404);
    let id = stage.nocobase.user(json!({ "nickname": "Zhang Shan" }));
    let binding = json!({ "authenticator": "partner", "uuid": "zhangsan", "userId": id });
    stage.nocobase.data().bindings.push(binding);
    let mut admin = stage.phone(&format!("{partner}/zhangsan"));
    let page = admin.open("/wecom-gate/login?rd=%2Fadmin&with=partner").await;
    assert_eq!(page.status, 200, "{}", page.body);
    assert_eq!(admin.visit(CONSOLE).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn r27_nothing_that_a_member_or_stranger_chose_is_markup_in_the_console() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let hostile = "</li><script>alert(1)</script><img src=x onerror=alert(2)>\"'&";
    let mut member = stage.wecom().members(CORP).into_iter().find(|m| m.userid == "zhangsan").unwrap();
    hostile.clone_into(&mut member.name);
    stage.wecom().set_member(CORP, member).unwrap();
    let query: String = url::form_urlencoded::byte_serialize(hostile.as_bytes()).collect();
    let page = stage.phone("lisi").open("/admin").await;
    assert_eq!(page.status, 403);
    let mut again = stage.signed_in("zhangsan").await;
    for browser in [&mut admin, &mut again] {
        for path in [
            CONSOLE.to_owned(),
            REFUSED.to_owned(),
            format!("{REFUSED}?q={query}"),
            format!("{MEMBERS}?q={query}"),
            format!("{MEMBERS}?q=zhangsan"),
        ] {
            let page = browser.visit(&path).await;
            assert_eq!(page.status, 200);
            // One script: the console's own, which its policy names by hash.
            assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
            assert!(!page.body.contains("<script>alert") && !page.body.contains("<img"), "{}", page.body);
            let policy = page.header("content-security-policy").unwrap();
            assert!(
                policy.starts_with("default-src 'none'; script-src 'sha256-") && !policy.contains("unsafe"),
                "{policy}"
            );
            assert_eq!(page.header("cache-control"), Some("no-store"));
            assert_eq!(page.header("x-frame-options"), Some("DENY"));
        }
    }
}

/// Presses the button of a member's page.
async fn end(browser: &mut Browser, member: &str, headers: &[(&'static str, &'static str)]) -> u16 {
    let mut request = browser.request(Method::POST, &format!("{MEMBERS}?q={member}"));
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    browser.send(request).await.status
}

const OWN_FORM: &[(&str, &str)] =
    &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "navigate"), ("origin", "null")];

#[tokio::test(flavor = "multi_thread")]
async fn an_administrator_ends_the_sessions_of_a_member() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let (mut phone, mut desk) = (stage.signed_in("lisi").await, stage.signed_in("lisi").await);
    let mut other = stage.signed_in("anna.smith").await;

    let found = admin.visit(&format!("{MEMBERS}?q=i")).await.body;
    for member in ["wecom%2Flisi", "wecom%2Fanna.smith"] {
        assert!(found.contains(&format!("href=\"{MEMBERS}?q={member}\"")), "{member}: {found}");
    }
    assert!(!found.contains("method=\"post\""), "not several at once: {found}");
    let page = admin.visit(&format!("{MEMBERS}?q=wecom%2Flisi")).await.body;
    assert_eq!(page.matches("Signed in since").count(), 2, "{page}");
    // The member must be identified unambiguously.
    assert_eq!(end(&mut admin, "i", OWN_FORM).await, 400);
    assert_eq!(end(&mut admin, "", OWN_FORM).await, 400);
    assert_eq!(end(&mut admin, "lisi", OWN_FORM).await, 400, "one member, but not by the whole name");

    assert_eq!(end(&mut admin, "wecom%2Flisi", OWN_FORM).await, 303);
    for browser in [&mut phone, &mut desk] {
        assert_eq!(browser.api(Method::GET, "/api/orders:list").await.status, 401);
    }
    assert_eq!(other.api(Method::GET, "/api/orders:list").await.status, 200);
    assert!(admin.visit(&format!("{MEMBERS}?q=wecom%2Flisi")).await.body.contains("Is not signed in."));
    stage
        .gate
        .wait_for_log(&[
            "\"actor\":\"administrator\"",
            "\"userid\":\"lisi\"",
            "in the console, by wecom/zhangsan",
        ])
        .await;
    // The member may sign in again.
    assert_eq!(stage.phone("lisi").open("/admin").await.status, 200);
}

/// Requests that another site causes in an administrator's browser, and a member's own, end nothing.
#[tokio::test(flavor = "multi_thread")]
async fn only_administrators_end_the_sessions_of_a_member() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let mut member = stage.signed_in("anna.smith").await;
    let mut victim = stage.signed_in("lisi").await;
    for headers in [
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate")][..],
        &[("sec-fetch-site", "same-site"), ("origin", "http://gate.test")],
        &[("origin", "http://evil.test")],
        &[("origin", "http://gate.test.evil.test")],
    ] {
        assert_eq!(end(&mut admin, "wecom%2Flisi", headers).await, 404, "{headers:?}");
    }
    assert_eq!(end(&mut member, "wecom%2Flisi", OWN_FORM).await, 404);
    assert_eq!(end(&mut victim, "wecom%2Fzhangsan", OWN_FORM).await, 404);
    // A GET request does not press the button.
    assert_eq!(admin.visit(&format!("{MEMBERS}?q=wecom%2Flisi")).await.status, 200);
    assert_eq!(victim.api(Method::GET, "/api/orders:list").await.status, 200);
}
