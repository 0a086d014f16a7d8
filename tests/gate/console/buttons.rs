//! The console's buttons: end one session, remove a binding, run the check; and the refusals that nodes share.

use wecom_sim::Fault;

use super::*;
use crate::support::Redis;

/// Presses a button of a page of the console.
pub(super) async fn press(browser: &mut Browser, path: &str) -> crate::support::browser::Response {
    let mut request = browser.request(Method::POST, path);
    for (name, value) in OWN_FORM {
        request = request.header(*name, *value);
    }
    browser.send(request).await
}

/// The targets of a page's buttons.
fn buttons(page: &str) -> Vec<String> {
    let actions = page.split("<form method=\"post\" action=\"").skip(1);
    actions.filter_map(|rest| Some(rest.split_once('"')?.0.replace("&#38;", "&"))).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn one_session_ends_and_the_others_go_on() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let mut first = stage.signed_in("lisi").await;
    let page = admin.visit(&format!("{MEMBERS}?q=wecom%2Flisi")).await.body;
    let [ends] =
        &buttons(&page).into_iter().filter(|action| action.contains("&session=")).collect::<Vec<_>>()[..]
    else {
        panic!("one session: {page}");
    };
    let mut second = stage.signed_in("lisi").await;
    let (path, id) = ends.rsplit_once('=').unwrap();
    // Only the complete id is accepted.
    for wrong in ["", "4", &id[..7], "00000000", "%25"] {
        assert_eq!(press(&mut admin, &format!("{path}={wrong}")).await.status, 303);
    }
    assert_eq!(first.api(Method::GET, "/api/orders:list").await.status, 200);
    // Nor through another member's page.
    assert_eq!(press(&mut admin, &ends.replace("lisi", "zhangsan")).await.status, 303);
    assert_eq!(first.api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(press(&mut admin, ends).await.status, 303);
    assert_eq!(first.api(Method::GET, "/api/orders:list").await.status, 401);
    assert_eq!(second.api(Method::GET, "/api/orders:list").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_binding_is_removed_where_nocobase_lets_the_account_do_it() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let mut member = stage.signed_in("lisi").await;
    let unbind = format!("{MEMBERS}?q=wecom%2Flisi&unbind=1");
    stage.nocobase.fail("usersAuthenticators:destroy", 403, "No permissions", 1);
    let denied = press(&mut admin, &unbind).await;
    assert_eq!(
        (denied.status, denied.location()),
        (303, "/wecom-gate/console/members?q=wecom%2Flisi&denied=1")
    );
    let page = admin.visit(denied.location()).await.body;
    assert!(page.contains("role=\"alert\"") && page.contains("members unbind"), "{page}");
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 200, "nothing has happened");

    assert_eq!(press(&mut admin, &unbind).await.status, 303);
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 401);
    let bindings = stage.nocobase.rows("usersAuthenticators");
    assert!(!bindings.iter().any(|row| row["uuid"] == "lisi"), "{bindings:?}");
    stage.gate.wait_for_log(&["\"action\":\"binding_removed\"", "in the console, by wecom/zhangsan"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_is_a_page_and_tries_a_members_sign_in() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let before = admin.visit(CHECK).await;
    assert_eq!(before.status, 200);
    assert!(!before.body.contains("<h2>"), "nothing is asked before the button: {}", before.body);
    assert_eq!(buttons(&before.body), [CHECK]);
    let page = press(&mut admin, CHECK).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for step in ["wecom_secret", "nocobase_service", "nocobase_rights"] {
        assert!(page.body.contains(&format!("<code>{step}</code>")), "{step}: {}", page.body);
    }
    // There is no command line here.
    assert!(!page.body.contains("--member") && page.body.contains("see Members: "), "{}", page.body);
    for secret in [crate::support::APP_SECRET, nocobase_standin::SECRET] {
        assert!(!page.body.contains(secret), "{}", page.body);
    }
    // No member is bound to this user name, before and after.
    stage.nocobase.user(json!({ "nickname": "Li Si", "username": "lisi" }));
    let bound = stage.nocobase.rows("usersAuthenticators").len();
    let page = press(&mut admin, &format!("{CHECK}?q=wecom%2Flisi")).await;
    assert!(page.body.contains("<code>member</code>") && page.body.contains("wecom/lisi"), "{}", page.body);
    assert_eq!(stage.nocobase.rows("usersAuthenticators").len(), bound);
    // Members who do not exist, and invalid userids.
    for strange in ["wecom%2Fnobody", "other%2Flisi", "%3Cscript%3E", "--conf"] {
        let page = press(&mut admin, &format!("{CHECK}?q={strange}")).await;
        assert_eq!(page.status, 200, "{strange}: {}", page.body);
        // The console's own script alone.
        assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
    }
    // Not from another site, nor for another member.
    let cross = admin.request(Method::POST, CHECK).header("sec-fetch-site", "cross-site");
    assert_eq!(admin.send(cross).await.status, 404);
    let mut member = stage.signed_in("anna.smith").await;
    assert_eq!(press(&mut member, CHECK).await.status, 404);
}

/// The finding about `origin`, whose host has no address, has an argument that is a sentence itself.
#[tokio::test(flavor = "multi_thread")]
async fn r27_what_the_check_finds_is_in_the_readers_language_and_what_it_quotes_is_no_markup() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let hostile = "</p><script>alert(1)</script><img src=x onerror=alert(2)>{url}";
    stage.wecom().edit_data(|data| hostile.clone_into(&mut data.companies[0].apps[0].name)).unwrap();
    for (locale, texts) in [
        (
            "en-US",
            [
                "The address that people open",
                "http://gate.test cannot be reached from this machine: the host name cannot be resolved",
            ],
        ),
        ("zh-CN", ["用户打开的地址", "从本机无法访问 http://gate.test：无法解析主机名"]),
        (
            "de-DE",
            [
                "Adresse, die geöffnet wird",
                "http://gate.test ist von diesem Rechner aus nicht erreichbar: der Hostname lässt sich nicht auflösen",
            ],
        ),
    ] {
        admin.cookies.insert("wecom_gate_lang".to_owned(), locale.to_owned());
        let page = press(&mut admin, CHECK).await;
        assert_eq!((page.status, page.header("content-language")), (200, Some(&locale[..2])));
        for text in texts {
            assert!(page.body.contains(text), "{text}: {}", page.body);
        }
        assert!(page.body.contains("alert(2)&#62;{url}"), "the app's name: {}", page.body);
        assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
        assert!(!page.body.contains("<img"), "{}", page.body);
    }
}

/// Nor is what its findings quote, and their advice: the settings in WeCom, and NocoBase's page.
#[tokio::test(flavor = "multi_thread")]
async fn r27_what_the_findings_and_remedies_of_the_check_quote_is_no_markup() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let hostile = "/</p><script>alert(1)</script><img src=x onerror=alert(2)>/";
    stage
        .wecom()
        .edit_data(|data| hostile.clone_into(&mut data.companies[0].apps[0].trusted_domain))
        .unwrap();
    let settings = format!("<script>window['__nocobase_public_path__'] = '{hostile}';</script>");
    stage.nocobase.fail("__health_check", 200, &settings, usize::MAX);
    let page = press(&mut admin, CHECK).await;
    assert_eq!(page.status, 200, "{}", page.body);
    for before in ["OAuth callback domain is ", "page has ", "set it to "] {
        assert!(page.body.contains(&format!("{before}/&#60;/p&#62;&#60;script")), "{before}: {}", page.body);
    }
    assert_eq!(page.body.matches("<script").count(), 1, "{}", page.body);
    assert!(!page.body.contains("<img"), "{}", page.body);
}

/// The administrator and the member may be on different nodes.
#[tokio::test(flavor = "multi_thread")]
async fn through_redis_the_refusals_of_all_nodes_are_on_each() {
    let redis = Redis::start();
    let url = redis.url();
    let stage = Stage::start(move |c: &mut Config| {
        c.set("access.admins", vec!["wecom/zhangsan"]).set("session.redis", url);
        c.set("nocobase.match_by", vec!["username"]);
    })
    .await;
    let other = stage.second_node().await;
    let mut admin = stage.signed_in("zhangsan").await;
    let mut phone = stage.phone("lisi");
    phone.go_to(&other);
    let page = phone.open("/admin").await;
    assert_eq!(page.status, 403, "{}", page.body);
    let id = request_id(&page.body);
    eventually("the other node knows", async || {
        let found = admin.visit(&format!("{REFUSED}?q={id}")).await.body;
        found.contains("wecom/lisi") && found.contains("no_matching_user")
    })
    .await;
    // Once on each, also on the node where it happened; and the page does not claim to cover this node only.
    for gate in [&stage.gate, &other] {
        admin.go_to(gate);
        let found = admin.visit(&format!("{REFUSED}?q={id}")).await.body;
        assert_eq!(found.matches("<li>").count(), 1, "{found}");
        assert!(!found.contains("on this node"), "{found}");
    }
    // A reader of Redis learns nothing from it, and foreign entries are ignored.
    for plain in ["lisi", "no_matching_user", &id] {
        assert!(!redis.shows(plain), "{plain} is readable in Redis");
    }
    let [key] = &redis.keys("refusals")[..] else { panic!("one list") };
    let _: i64 = redis.ask_parts(&["RPUSH", key, "<script>alert(1)</script>"]);
    let page = admin.visit(REFUSED).await;
    assert_eq!(page.status, 200);
    assert!(page.body.contains("wecom/lisi") && !page.body.contains("<script>alert"), "{}", page.body);
}

/// Details for recognising a session: departments, the last request, its browser.
#[tokio::test(flavor = "multi_thread")]
async fn a_members_page_shows_departments_the_last_request_and_its_browser() {
    let stage = stage(&["wecom/zhangsan"]).await;
    let mut admin = stage.signed_in("zhangsan").await;
    let mut member = stage.signed_in("lisi").await;
    let lisi = format!("{MEMBERS}?q=wecom%2Flisi");
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 200);
    let page = admin.visit(&lisi).await.body;
    let year = humantime::format_rfc3339(std::time::SystemTime::now()).to_string()[..4].to_owned();
    for text in [
        &format!("<br>Last seen <time datetime=\"{year}-"),
        "<br>WeCom, Android",
        ">Departments<",
        ">销售部 (3)<",
    ] {
        assert!(page.contains(text), "{text}: {page}");
    }
    // Another node has not seen the session, and without a response of WeCom the rest is still shown.
    let node = stage.second_node().await;
    admin.go_to(&node);
    stage.wecom().add_fault(Fault::errcode("/cgi-bin/department/get", 60011, 1));
    let page = admin.visit(&lisi).await.body;
    assert!(page.contains("Signed in since") && !page.contains("Last seen"), "{page}");
    assert!(page.contains("<span>3</span>"), "a name that the app may not see: {page}");
    stage.wecom().add_fault(Fault::errcode("/cgi-bin/user/get", 60020, 1));
    let page = admin.visit(&lisi).await.body;
    assert!(page.contains("Signed in since") && !page.contains(">Departments<"), "{page}");
}
