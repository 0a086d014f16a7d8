//! Web login, and the client page.

use super::oauth::{error_of, location, param};
use super::*;

const CALLBACK: &str = "https://nocobase.example.com/wecom-gate/callback";

fn form<'a>(changes: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("login_type", "CorpApp"),
        ("appid", CORP),
        ("agentid", "1000002"),
        ("redirect_uri", CALLBACK),
        ("state", "web@gyoss9"),
    ];
    all.retain(|(k, _)| !changes.iter().any(|(c, _)| c == k));
    all.extend(changes);
    all
}

fn link(changes: &[(&str, &str)]) -> String {
    let query = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form(changes)).finish();
    format!("/wwlogin/sso/login?{query}")
}

#[tokio::test]
async fn the_qr_page_needs_no_client() {
    let b = bench().await;
    let page = b.raw(&link(&[])).await;
    assert_eq!(page.status(), 200);
    let html = page.text().await.unwrap();
    assert!(html.contains("<svg class=\"qr\"") && html.contains("张三") && html.contains("value=\"cancel\""));
    assert!(!html.contains("WeCom is running on this computer"));
    let zh = b.raw(&link(&[("lang", "zh")])).await.text().await.unwrap();
    assert!(zh.contains("企业微信登录") && zh.contains("<html lang=\"zh-CN\">"));
    let with_client = b.http.get(b.url(&link(&[]))).header("cookie", format!("sim_member={CORP}%2Flisi"));
    let html = with_client.send().await.unwrap().text().await.unwrap();
    assert!(html.contains("WeCom is running on this computer") && html.contains("Sign in as 李四"));
}

#[tokio::test]
async fn a_scan_redirects_back_without_a_ticket() {
    let b = bench().await;
    for response in [
        b.post_form("", "/wwlogin/sso/scan", &form(&[("member", "zhangsan")])).await,
        b.open_as("zhangsan", &link(&[])).await,
    ] {
        let to = location(&response);
        assert!(to.ends_with("&state=web%40gyoss9"), "{to}");
        let v = b.call(&format!("auth/getuserinfo?code={}", param(&to, "code").unwrap())).await;
        assert_eq!((v["userid"].as_str(), v.get("user_ticket")), (Some("zhangsan"), None));
    }
    b.grant_consent(CORP, AGENT, "zhangsan", None);
    let to = location(&b.open_as("zhangsan", &link(&[])).await);
    let v = b.call(&format!("auth/getuserinfo?code={}", param(&to, "code").unwrap())).await;
    assert!(v.get("user_ticket").is_none(), "not even after a consent in the client");
}

#[tokio::test]
async fn giving_up_redirects_back_without_a_code() {
    let b = bench().await;
    let response = b.post_form("", "/wwlogin/sso/scan", &form(&[("decision", "cancel")])).await;
    assert_eq!(location(&response), format!("{CALLBACK}?state=web%40gyoss9"));
}

#[tokio::test]
async fn members_who_may_not_scan() {
    let b = bench().await;
    for (member, code) in [
        ("outsider", "60021"),
        ("wwfedcba9876543210/chenyi", "60021"),
        ("oExternalCustomer000000000001", "60021"),
        ("nobody", "60021"),
        ("", "60021"),
        ("zhaoliu", "60111"),
        ("wujiu", "60111"),
        ("zhengshi", "60111"),
    ] {
        let response = b.post_form("", "/wwlogin/sso/scan", &form(&[("member", member)])).await;
        assert!(response.headers().get("location").is_none());
        assert_eq!(error_of(&response), code, "{member}");
    }
}

#[tokio::test]
async fn panel_codes() {
    let b = bench().await;
    for (changes, code) in [
        (("redirect_uri", "https://evil.example/"), "-31020"),
        (("redirect_uri", "https://nocobase.example.com:443/"), "-31020"),
        (("appid", "ww0"), "-31027"),
        (("agentid", "7"), "-31028"),
        (("login_type", "ServiceApp"), "-31034"),
        (("redirect_uri", ""), "-31035"),
        (("login_type", "x"), "-31040"),
        (("login_type", ""), "-31040"),
    ] {
        assert_eq!(error_of(&b.raw(&link(&[changes])).await), code, "{changes:?}");
        let forced = b.post_form("", "/wwlogin/sso/scan", &form(&[changes, ("member", "zhangsan")])).await;
        assert_eq!(error_of(&forced), code, "{changes:?}");
    }
    b.edit_data(|d| d.companies[0].apps[0].web_login = false).unwrap();
    assert_eq!(error_of(&b.raw(&link(&[])).await), "-31037");
}

#[tokio::test]
async fn the_old_link_works_too() {
    let b = bench().await;
    let old = link(&[("login_type", "")]).replace("/wwlogin/sso/login", "/wwopen/sso/qrConnect");
    let html = b.raw(&old).await.text().await.unwrap();
    assert!(html.contains("name=\"login_type\" value=\"CorpApp\"") || html.contains("value=\"CorpApp\""));
    assert!(location(&b.open_as("lisi", &old).await).contains("code="));
}

#[tokio::test]
async fn the_callback_domain_or_the_trusted_one() {
    let b = bench().await;
    b.edit_data(|d| d.companies[0].apps[0].callback_domain = "login.example:8443".into()).unwrap();
    for (to, ok) in
        [("https://login.example:8443/cb", true), (CALLBACK, true), ("https://login.example/cb", false)]
    {
        let response = b.open_as("lisi", &link(&[("redirect_uri", to)])).await;
        assert_eq!(response.headers().contains_key("location"), ok, "{to}");
        if ok {
            let code = param(&location(&response), "code").unwrap();
            assert_eq!(b.call(&format!("auth/getuserinfo?code={code}")).await["errcode"], 0);
        }
    }
}

#[tokio::test]
async fn picking_a_member_makes_this_browser_their_client() {
    let b = bench().await;
    let first = b.raw("/").await;
    let csp = first.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(csp.starts_with("default-src 'none'"));
    let html = first.text().await.unwrap();
    for name in ["张三", "Anna Smith", "陈一", "陌生人", "Disabled", "May not use the app", "No phone"]
    {
        assert!(html.contains(name), "{name}");
    }
    assert!(
        !html.contains("<script") && !html.contains("style=") && !html.contains("://"),
        "nothing from outside"
    );

    let picked =
        b.post_form("", "/client/member", &[("member", &format!("{CORP}/lisi")), ("next", "/x?y=1")]).await;
    assert_eq!(location(&picked), "/x?y=1");
    let cookie = picked.headers()["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly; SameSite=Lax"), "{cookie}");
    let pair = cookie.split(';').next().unwrap().to_owned();
    let workbench =
        b.http.get(b.url("/")).header("cookie", &pair).send().await.unwrap().text().await.unwrap();
    let way = "https://nocobase.example.com/wecom-gate/login?via=wecom&#38;with=wecom&#38;rd=%2Fadmin";
    assert!(workbench.contains("李四") && workbench.contains(way), "{workbench}");
    assert!(!workbench.contains(SECRET));

    for (member, next) in [("nobody", "/"), (&format!("{CORP}/nobody")[..], "/")] {
        let response = b.post_form("", "/client/member", &[("member", member), ("next", next)]).await;
        assert!(response.headers().get("set-cookie").is_none(), "{member}");
    }
    let evil = [("member", &format!("{CORP}/lisi")[..]), ("next", "//evil.example")];
    assert_eq!(location(&b.post_form("", "/client/member", &evil).await), "/");
    let out = b.post_form("", "/client/sign-out", &[]).await;
    assert!(out.headers()["set-cookie"].to_str().unwrap().contains("Max-Age=0"));
}

#[tokio::test]
async fn links_from_chats_open_in_the_gate() {
    let b = bench().await;
    let open = |link: &str| {
        let q = url::form_urlencoded::Serializer::new(String::new())
            .append_pair("app", &format!("{CORP}/{AGENT}"))
            .append_pair("link", link)
            .finish();
        let cookie = format!("sim_member={CORP}%2Flisi");
        b.http.get(b.url(&format!("/client/open?{q}"))).header("cookie", cookie).send()
    };
    let to = location(&open("/admin/x?a=1").await.unwrap());
    assert_eq!(param(&to, "rd").as_deref(), Some("/admin/x?a=1"));
    let bad = open("https://evil.example/").await.unwrap();
    assert_eq!(bad.status(), 200);
    let html = bad.text().await.unwrap();
    assert!(html.contains("This is no page of that app") && html.contains("value=\"https://evil.example/\""));
}

#[tokio::test]
async fn hostile_text_is_escaped() {
    let b = bench().await;
    let evil = "<script>alert(1)</script>\"'";
    b.edit_data(|d| d.companies[0].members[0].name = evil.into()).unwrap();
    for path in ["/", &link(&[("state", evil)])] {
        let html = b.raw(path).await.text().await.unwrap();
        assert!(!html.contains("<script>") && html.contains("&#60;script&#62;"), "{path}");
    }
}
