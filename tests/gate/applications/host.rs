//! An application at its own host name: its own addresses, its own app in WeCom's console, and nothing of the other applications.

use reqwest::Method;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wecom_gate::error::Failure;

use super::{CRM_COOKIE, with_crm};
use crate::support::browser::{CHROME, WECOM_PHONE};
use crate::support::raw::{frame, get, read_response, request, send_raw, upgrade};
use crate::support::{Browser, CORP, Config, NocoBase, Stage, eventually};

/// Host name of `crm`.
pub(crate) const CRM_HOST: &str = "crm.gate.test";
/// Agent id of another app of the company, whose trusted domain is that host name.
const SALES_AGENT: u64 = 1_000_003;

/// Configures a gate whose `crm` is at [`CRM_HOST`].
fn with_host(config: &mut Config) {
    with_crm(config);
    let app = config.0["nocobase"]["apps"][0].as_table_mut().unwrap();
    app.insert("host".into(), CRM_HOST.into());
    app.insert("wecom".into(), vec!["sales"].into());
    let entry = config.another_entry("sales").last_entry();
    entry.insert("agent_id".into(), SALES_AGENT.to_string().into());
    entry.insert("secret".into(), "SimAppSecret1000003-BBBBBBBBBBBBBBBBBBBBBBB".into());
    entry.insert("verify_files".into(), vec!["WW_verify_ofcrm.txt"].into());
    entry.insert("event_token".into(), "testToken0123456789".into());
    entry.insert("event_aes_key".into(), "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG".into());
    // It is the only entry of its application.
    entry.remove("auto_login");
    config.set("wecom.verify_files", vec!["WW_verify_ofmain.txt"]);
}

/// A stage with both applications, and `crm`'s NocoBase.
pub(crate) async fn at_hosts(change: impl FnOnce(&mut Config)) -> (Stage, NocoBase) {
    let stage = Stage::start(|config| {
        with_host(config);
        change(config);
    })
    .await;
    let edit = |data: &mut wecom_sim::Data| {
        let company = data.companies.iter_mut().find(|c| c.corp_id == CORP).unwrap();
        let app = company.apps.iter_mut().find(|a| a.agent_id == SALES_AGENT).unwrap();
        app.gate = format!("http://{CRM_HOST}");
    };
    stage.wecom().edit_data(edit).unwrap();
    let crm = stage.nocobase.application("crm");
    crm.user_with_id(super::CRM_SERVICE, json!({ "username": "gate", "nickname": "service of crm" }));
    (stage, crm)
}

/// This member's device, at `crm`'s host name.
pub(crate) fn in_crm(stage: &Stage, userid: &str) -> Browser {
    stage.phone(userid).at(CRM_HOST)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_at_a_host_name_of_its_own_is_entered_there() {
    let (stage, crm) = at_hosts(|_| {}).await;
    for agent in [WECOM_PHONE, CHROME] {
        let mut browser = in_crm(&stage, "zhangsan").user_agent(agent);
        let page = browser.open("/").await;
        assert_eq!((page.status, page.at.as_str()), (200, "/admin"), "{}", page.body);
        assert!(page.body.contains("data-app=\"crm\""), "{}", page.body);
        // Through its own app, back to its own domain.
        let to_wecom = page.hops.iter().find(|hop| hop.contains("redirect_uri=")).unwrap();
        let has = |text: &str| to_wecom.contains(text);
        assert!(
            has("agentid=1000003") && has("redirect_uri=http%3A%2F%2Fcrm.gate.test%2Fwecom-gate"),
            "{to_wecom}"
        );
        let cookies: Vec<_> =
            browser.cookies.keys().filter(|n| !n.contains("flow_") && !n.contains("tries")).collect();
        assert_eq!(cookies, [CRM_COOKIE]);
        // The page's own calls name no application: their host selects it.
        browser.extra.insert("x-hostname", CRM_HOST.parse().unwrap());
        let check = browser.api(Method::GET, "/api/auth:check").await;
        assert_eq!(check.status, 200, "{}", check.body);
        let seen = crm.last("/api/auth:check").unwrap();
        assert_eq!((seen.header("x-app"), seen.header("host")), (Some("crm"), Some(CRM_HOST)));
        let token = nocobase_standin::claims(seen.header("authorization").unwrap());
        assert_eq!(token["userId"], crm.rows("usersAuthenticators")[0]["userId"]);
        let file = browser.fetch(Method::GET, "/files/crm/main/attachments/1.png");
        assert_eq!(browser.send(file).await.status, 200);
        let me = browser.api(Method::GET, "/wecom-gate/me").await.json();
        assert_eq!((&me["entry"], &me["userid"]), (&json!("sales"), &json!("zhangsan")));
    }
    let authenticators: Vec<Value> =
        crm.rows("usersAuthenticators").iter().map(|row| row["authenticator"].clone()).collect();
    assert_eq!(authenticators, ["sales"], "bound once, by its own entry");
    assert_eq!((crm.rows("issuedTokens").len(), stage.nocobase.rows("issuedTokens").len()), (2, 0));

    // The WebSocket has its token.
    let mut phone = in_crm(&stage, "zhangsan");
    phone.open("/admin").await;
    let all: Vec<_> = phone.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let lines = |origin: &str| format!("Cookie: {}\r\nOrigin: http://{origin}\r\n", all.join("; "));
    let mut stream = TcpStream::connect(stage.gate.http).await.unwrap();
    let head = upgrade("/ws", &lines(CRM_HOST));
    let here = |bytes: &str| bytes.replacen("Host: gate.test", &format!("Host: {CRM_HOST}"), 1);
    stream.write_all(here(&head).as_bytes()).await.unwrap();
    assert_eq!(read_response(&mut stream).await.status(), 101);
    let message = format!(r#"{{"type":"auth:token","payload":{{"token":"{}"}}}}"#, phone.phantom());
    stream.write_all(&frame(&message)).await.unwrap();
    eventually("the token has come", async || {
        crm.data().frames.iter().any(|text| {
            let message: Value = serde_json::from_str(text).unwrap();
            !nocobase_standin::claims(message["payload"]["token"].as_str().unwrap()).is_null()
        })
    })
    .await;
    // Not for a page of the main application, which is a different site like any other.
    let foreign = send_raw(stage.gate.http, here(&upgrade("/ws", &lines("gate.test")))).await;
    assert_eq!(foreign.status(), 403, "{}", foreign.text());

    // The main application has no session from it.
    stage.bound("zhangsan");
    let mut main = stage.phone("zhangsan");
    let page = main.open("/admin").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin"), "{}", page.body);
    assert!(page.body.contains("data-app=\"main\""), "{}", page.body);
    let to_wecom = page.hops.iter().find(|hop| hop.contains("redirect_uri=")).unwrap();
    assert!(to_wecom.contains("agentid=1000002"), "{to_wecom}");
    let page = main.visit("/wecom-gate/login?rd=/admin&with=sales").await;
    assert!(page.status == 404 || page.location() == "/admin", "{} {}", page.status, page.body);
    let page = stage.phone("zhangsan").visit("/wecom-gate/login?rd=/admin&with=sales").await;
    assert_eq!(page.status, 404, "{}", page.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_host_name_has_its_own_verification_file_events_and_way_out() {
    let (stage, crm) = at_hosts(|_| {}).await;
    for (host, own, other) in [
        ("gate.test", "ofmain", "ofcrm"),
        (CRM_HOST, "ofcrm", "ofmain"),
        ("crm.gate.test:8080", "ofcrm", "ofmain"),
    ] {
        let ask = async |name: &str| {
            let head = get(&format!("/WW_verify_{name}.txt"), "");
            let head = head.replacen("Host: gate.test", &format!("Host: {host}"), 1);
            let response = send_raw(stage.gate.http, head).await;
            (response.status(), response.body())
        };
        assert_eq!(ask(own).await, (200, own.to_owned()), "{host}");
        assert_ne!(ask(other).await.0, 200, "{host}");
    }
    // Signing out at one host leaves the other signed in: a browser sends neither the cookies of the other.
    stage.bound("zhangsan");
    let mut main = stage.phone("zhangsan");
    assert_eq!(main.open("/admin").await.status, 200);
    let mut own = in_crm(&stage, "zhangsan");
    assert_eq!(own.open("/admin").await.status, 200);
    assert_eq!(own.api(Method::POST, "/api/auth:signOut").await.status, 200);
    assert!(!own.cookies.contains_key(CRM_COOKIE));
    eventually("blocked in crm", async || crm.data().blocked.len() == 1).await;
    assert_eq!(main.api(Method::GET, "/api/auth:check").await.status, 200);
    assert_eq!(stage.nocobase.data().blocked.len(), 0);
    // It is not signed in again automatically, only by a click.
    let page = own.visit("/admin").await;
    assert!(page.status == 200 && page.body.contains("You are signed out"), "{}", page.body);
    assert_eq!(own.open("/wecom-gate/login?rd=/admin").await.status, 200);
    let out = own.fetch(Method::POST, "/wecom-gate/logout");
    let out = own.send(out).await;
    assert_eq!((out.status, out.location()), (303, "/wecom-gate/sign-in?out=1"));
    assert_eq!(main.api(Method::GET, "/api/auth:check").await.status, 200);
}

/// WeCom redirects only to the app's own domain, so mistakes in the console get messages of their own.
#[tokio::test(flavor = "multi_thread")]
async fn check_looks_at_each_host_name_and_its_app() {
    let (stage, _) = at_hosts(|_| {}).await;
    let steps = crate::check::steps(&stage.config).await;
    let find = |name: &str, entry: &str| {
        let is_it = |step: &&Value| step["name"] == name && step["entry"] == entry;
        steps.iter().find(is_it).unwrap_or_else(|| panic!("no {name} of {entry}: {steps:#?}")).clone()
    };
    assert_eq!(find("wecom_callback_domain", "sales")["outcome"], "ok");
    assert_eq!(find("nocobase_service", "apps/crm")["outcome"], "ok");
    // The name does not resolve here; the finding names the host that was checked.
    assert!(find("origin", "apps/crm").to_string().contains(CRM_HOST));
    let edit = |data: &mut wecom_sim::Data| {
        let company = data.companies.iter_mut().find(|c| c.corp_id == CORP).unwrap();
        let app = company.apps.iter_mut().find(|a| a.agent_id == SALES_AGENT).unwrap();
        app.gate = "http://gate.test".into();
    };
    stage.wecom().edit_data(edit).unwrap();
    let steps = crate::check::steps(&stage.config).await;
    let step = steps.iter().find(|s| s["name"] == "wecom_callback_domain" && s["entry"] == "sales").unwrap();
    assert_ne!(step["outcome"], "ok", "{step:#}");
    assert!(step.to_string().contains(CRM_HOST), "{step:#}");
}

/// R4, R37, R44: a session counts at its own host name, in its own application, and at no other.
#[tokio::test(flavor = "multi_thread")]
async fn r37_a_session_of_one_host_name_is_invalid_at_another() {
    let (stage, crm) = at_hosts(|config| _ = config.set("access.public", vec!["* /api/public"])).await;
    let main = stage.signed_in("zhangsan").await;
    let mut own = in_crm(&stage, "zhangsan");
    assert_eq!(own.open("/admin").await.status, 200);
    assert_eq!(own.api(Method::GET, "/api/auth:check").await.status, 200);
    let real = crm.last("/api/auth:check").unwrap().header("authorization").unwrap().to_owned();
    let (of_main, of_crm) = (&main.cookies["wecom_gate"], &own.cookies[CRM_COOKIE]);
    let at = |host: &str, bytes: String| bytes.replacen("Host: gate.test", &format!("Host: {host}"), 1);
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let users = (stage.nocobase.count("/api/users:list"), crm.count("/api/users:list"));
    for (host, session) in [
        (CRM_HOST, format!("Cookie: wecom_gate={of_main}\r\n{}", bearer(&main.phantom()))),
        (CRM_HOST, format!("Cookie: {CRM_COOKIE}={of_main}\r\n{}", bearer(&main.phantom()))),
        (CRM_HOST, format!("Cookie: {CRM_COOKIE}={of_crm}\r\n{}", bearer(&main.phantom()))),
        (CRM_HOST, format!("Authorization: {real}\r\n")),
        (CRM_HOST, format!("Cookie: {CRM_COOKIE}={of_crm}\r\nAuthorization: {real}\r\n")),
        ("gate.test", format!("Cookie: {CRM_COOKIE}={of_crm}\r\n{}", bearer(&own.phantom()))),
        ("gate.test", format!("Cookie: wecom_gate={of_crm}\r\n{}", bearer(&own.phantom()))),
        ("gate.test", format!("Cookie: wecom_gate={of_main}\r\n{}", bearer(&own.phantom()))),
        ("gate.test", format!("Authorization: {real}\r\n")),
    ] {
        for method in ["GET", "POST"] {
            let lines = format!("{session}Content-Length: 0\r\n");
            let response =
                send_raw(stage.gate.http, at(host, request(method, "/api/users:list", &lines))).await;
            assert_eq!(response.status(), 401, "{host} {session}: {}", response.text());
        }
    }
    // A request that names a different application than its host name does is refused, with any session.
    let in_main = format!("Cookie: wecom_gate={of_main}\r\n{}", bearer(&main.phantom()));
    let in_crm = format!("Cookie: {CRM_COOKIE}={of_crm}\r\n{}", bearer(&own.phantom()));
    for (host, who, ours, theirs) in
        [(CRM_HOST, in_crm, "crm", "main"), ("gate.test", in_main, "main", "crm")]
    {
        for who in [who.as_str(), ""] {
            for (path, lines) in [
                ("/api/users:list", format!("X-App: {theirs}\r\n")),
                ("/api/users:list", format!("x_app: {theirs}\r\n")),
                ("/api/users:list", format!("X-App: {ours}\r\nX-App: {theirs}\r\n")),
                (&format!("/api/users:list?__appName={theirs}"), String::new()),
                (&format!("/api/users:list?__appName={theirs}"), format!("X-App: {ours}\r\n")),
                (&format!("/api/__app/{theirs}/users:list"), String::new()),
                (&format!("/files/{theirs}/main/attachments/1.png"), String::new()),
                (&format!("/apps/{theirs}/admin"), String::new()),
                (&format!("/v/apps/{theirs}/admin"), String::new()),
                ("/apps/nosuch/admin", String::new()),
                ("/api/public", format!("X-App: {theirs}\r\n")),
                (
                    "/api/users:list",
                    format!("X-Hostname: {}\r\n", if host == CRM_HOST { "gate.test" } else { CRM_HOST }),
                ),
            ] {
                let response = send_raw(stage.gate.http, at(host, get(path, &format!("{who}{lines}")))).await;
                assert_eq!(response.status(), 403, "{host} {path} {lines}: {}", response.text());
            }
            let response =
                send_raw(stage.gate.http, at(host, upgrade(&format!("/ws?__appName={theirs}"), who))).await;
            assert_eq!(response.status(), 403, "{host}");
        }
    }
    assert_eq!((stage.nocobase.count("/api/users:list"), crm.count("/api/users:list")), users);
    // A rule applies only to its application.
    assert_eq!(send_raw(stage.gate.http, get("/api/public", "")).await.status(), 200);
    assert_eq!(send_raw(stage.gate.http, at(CRM_HOST, get("/api/public", ""))).await.status(), 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn r04_a_host_name_leads_to_its_application_and_no_other_name_does() {
    let (stage, crm) = at_hosts(|_| {}).await;
    let mut own = in_crm(&stage, "zhangsan");
    assert_eq!(own.open("/admin").await.status, 200);
    let who = format!(
        "Cookie: {CRM_COOKIE}={}\r\nAuthorization: Bearer {}\r\n",
        own.cookies[CRM_COOKIE],
        own.phantom()
    );
    for (host, status) in [
        (CRM_HOST, 200),
        ("CRM.Gate.Test", 200),
        ("crm.gate.test:80", 200),
        ("crm.gate.test:81", 421),
        ("crm.gate.test:443", 421),
        ("crm.gate.test.", 421),
        ("x.crm.gate.test", 421),
        ("crm.gate.test.evil.com", 421),
        ("crm.gate.test,gate.test", 421),
        ("crm", 421),
        ("gate.test", 401),
        ("crm.gate.test@gate.test", 400),
        ("", 400),
    ] {
        let head = get("/api/auth:check", &who).replacen("Host: gate.test", &format!("Host: {host}"), 1);
        let before = crm.calls("auth:check") + stage.nocobase.calls("auth:check");
        let response = send_raw(stage.gate.http, head).await;
        assert_eq!(response.status(), status, "{host:?}: {}", response.text());
        let reached = crm.calls("auth:check") + stage.nocobase.calls("auth:check") > before;
        assert_eq!(reached, status == 200, "{host:?}");
    }
    // Two hosts, or a different one in the request line: no application.
    for head in [
        get("/api/auth:check", &format!("{who}Host: {CRM_HOST}\r\n")),
        get(&format!("http://{CRM_HOST}/api/auth:check"), &who),
    ] {
        let response = send_raw(stage.gate.http, head).await;
        assert_eq!(response.status(), 400, "{}", response.text());
    }
    // What a proxy, trusted or not, reports about the host is ignored (R3).
    let lines = format!("{who}X-Forwarded-Host: {CRM_HOST}\r\nForwarded: host={CRM_HOST}\r\n");
    assert_eq!(send_raw(stage.gate.http, get("/api/auth:check", &lines)).await.status(), 401);
}

/// R19, R20: a sign-in ends at the host name where it began, and leads to no other.
#[tokio::test(flavor = "multi_thread")]
async fn r19_a_sign_in_ends_at_the_host_name_where_it_began() {
    let (stage, crm) = at_hosts(|_| {}).await;
    stage.bound("zhangsan");
    let mut own = in_crm(&stage, "zhangsan");
    let callback = own.up_to_callback("/admin/x").await;
    // At the main application's host, with all cookies that exist.
    let mut main = stage.phone("zhangsan");
    main.cookies.extend(own.cookies.clone());
    let page = main.visit(&callback).await;
    assert!(!page.sets("wecom_gate") && !page.sets(CRM_COOKIE), "{} {}", page.status, page.body);
    assert_eq!((stage.nocobase.rows("issuedTokens").len(), crm.rows("issuedTokens").len()), (0, 0));
    let back = own.visit(&callback).await;
    let page = own.follow(back).await;
    assert_eq!((page.status, page.at.as_str()), (200, "/admin/x"), "{}", page.body);
    for rd in ["http://gate.test/admin", "//gate.test/admin", "https://crm.gate.test/admin", "/\\gate.test"] {
        let rd: String = url::form_urlencoded::byte_serialize(rd.as_bytes()).collect();
        let mut browser = in_crm(&stage, "zhangsan");
        let page = browser.open(&format!("/wecom-gate/login?rd={rd}")).await;
        assert_eq!((page.status, page.at.as_str()), (200, "/admin"), "{rd}");
    }
    // Refusals are shown on a page of this host name, with its sign-in link.
    let page = in_crm(&stage, "nobody").visit("/wecom-gate/callback?code=x&state=y").await;
    assert!(page.status >= 400 && !page.body.contains("http://gate.test"), "{} {}", page.status, page.body);
    let page =
        in_crm(&stage, "wangwu").user_agent(crate::support::browser::CHROME_PHONE).visit("/admin/y").await;
    stage.refused(&page, Failure::OpenInWeCom, "Open this page in").await;
    assert!(page.body.contains("http://crm.gate.test/admin/y"), "{}", page.body);
}

/// A host name that a reload removes serves nothing; when it is back, the earlier sessions are valid.
#[tokio::test(flavor = "multi_thread")]
async fn a_reload_moves_an_application_and_keeps_sessions() {
    let (stage, crm) = at_hosts(|_| {}).await;
    let mut own = in_crm(&stage, "zhangsan");
    assert_eq!(own.open("/admin").await.status, 200);
    let at_host = stage.config.text();
    let mut below = stage.config.clone();
    let app = below.0["nocobase"]["apps"][0].as_table_mut().unwrap();
    app.remove("host");
    app.remove("wecom");
    stage.gate.rewrite(&below.text());
    stage.gate.signal("HUP");
    stage.gate.wait_for_lines("message", "configuration reloaded", 1).await;
    assert_eq!(own.visit("/admin").await.status, 421);
    let page = stage.phone("zhangsan").open("/apps/crm/").await;
    assert_eq!((page.status, page.at.as_str()), (200, "/apps/crm/admin"), "{}", page.body);
    stage.gate.rewrite(&at_host);
    stage.gate.signal("HUP");
    stage.gate.wait_for_lines("message", "configuration reloaded", 2).await;
    let sessions = crm.rows("issuedTokens").len();
    assert_eq!(own.api(Method::GET, "/api/auth:check").await.status, 200);
    assert_eq!(stage.phone("zhangsan").visit("/apps/crm/admin").await.status, 403);
    assert_eq!(crm.rows("issuedTokens").len(), sessions, "the same session");
}
