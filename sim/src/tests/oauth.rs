//! The in-client link: checks, silent way, consent.

use serde_json::json;

use url::Url;

use super::*;

pub(super) const WECOM_UA: &str = "Mozilla/5.0 (iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko)  Mobile/15E148 wxwork/4.1.39 MicroMessenger/7.0.1 Language/zh";

const CALLBACK: &str = "https://nocobase.example.com/wecom-gate/callback";

/// The link with some parameters changed; an empty value removes the parameter.
fn link(changes: &[(&str, &str)]) -> String {
    let usual = [
        ("appid", CORP),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "snsapi_base"),
        ("state", "abc123"),
        ("agentid", "1000002"),
    ];
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    for (k, v) in usual {
        match changes.iter().find(|(c, _)| *c == k) {
            Some((_, "")) => {}
            Some((_, other)) => drop(query.append_pair(k, other)),
            None => drop(query.append_pair(k, v)),
        }
    }
    format!("/connect/oauth2/authorize?{}", query.finish())
}

impl Bench {
    /// Opens a page as this member.
    pub(super) async fn open_as(&self, member: &str, path: &str) -> Response {
        self.http.get(self.url(path)).header("x-sim-member", member).send().await.unwrap()
    }

    pub(super) async fn post_form(&self, member: &str, path: &str, form: &[(&str, &str)]) -> Response {
        let body = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(form).finish();
        self.http.post(self.url(path)).header("x-sim-member", member).body(body).send().await.unwrap()
    }
}

/// The target of a redirect.
pub(super) fn location(response: &Response) -> String {
    assert!(matches!(response.status().as_u16(), 302 | 303), "{}", response.status());
    response.headers()["location"].to_str().unwrap().to_owned()
}

pub(super) fn param(address: &str, name: &str) -> Option<String> {
    let url: Url = address.parse().unwrap();
    url.query_pairs().find(|(k, _)| k == name).map(|(_, v)| v.into_owned())
}

pub(super) fn error_of(response: &Response) -> String {
    assert_eq!(response.status(), 200, "WeCom's error pages are pages");
    response.headers()["x-sim-error"].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn silent_authorization_redirects_back_at_once() {
    let b = bench().await;
    let to = location(&b.open_as("zhangsan", &link(&[])).await);
    assert!(to.starts_with(&format!("{CALLBACK}?code=")) && to.ends_with("&state=abc123"), "{to}");
    let code = param(&to, "code").unwrap();
    let v = b.call(&format!("auth/getuserinfo?code={code}")).await;
    assert_eq!(v, json!({ "errcode": 0, "errmsg": "ok", "userid": "zhangsan" }), "no ticket");
    let other = location(&b.open_as("zhangsan", &link(&[])).await);
    assert_ne!(param(&other, "code"), Some(code), "another one each time");
}

#[tokio::test]
async fn state_query_and_fragment_are_kept() {
    let b = bench().await;
    for (to, state, want_start, want_end) in [
        (
            "https://nocobase.example.com/a?x=1&y=2",
            "s",
            "https://nocobase.example.com/a?x=1&y=2&code=",
            "&state=s",
        ),
        (
            "https://nocobase.example.com/a#/hash",
            "s",
            "https://nocobase.example.com/a?code=",
            "&state=s#/hash",
        ),
        ("https://nocobase.example.com/a", "", "https://nocobase.example.com/a?code=", "&state="),
    ] {
        let got = location(&b.open_as("lisi", &link(&[("redirect_uri", to), ("state", state)])).await);
        assert!(got.starts_with(want_start) && got.ends_with(want_end), "{got}");
    }
}

#[tokio::test]
async fn outside_a_client_there_is_only_a_hint() {
    let b = bench().await;
    let plain = b.raw(&link(&[])).await;
    assert_eq!(plain.status(), 200);
    assert!(plain.text().await.unwrap().contains("Please open the link in the WeChat client"));
    let zh = b.http.get(b.url(&link(&[]))).header("accept-language", "zh-CN,en;q=0.5").send().await.unwrap();
    assert!(zh.text().await.unwrap().contains("请在微信客户端打开链接"));
    // A real WeCom client on which no member has been picked asks for one, and then continues.
    let wecom = || b.http.get(b.url(&link(&[]))).header("user-agent", WECOM_UA);
    let picker = wecom().send().await.unwrap().text().await.unwrap();
    assert!(
        picker.contains("Who is holding this phone?") && picker.contains("/connect/oauth2/authorize?appid=")
    );
    b.configure(|s| s.default_member = Some("lisi".into()));
    assert!(location(&wecom().send().await.unwrap()).contains("code="));
    assert_eq!(b.raw(&link(&[])).await.status(), 200, "the default is no client by itself");
    let cookie = b.http.get(b.url(&link(&[]))).header("cookie", "a=b; sim_member=ww0123456789abcdef%2Flisi");
    assert!(location(&cookie.send().await.unwrap()).contains("code="));
}

#[tokio::test]
async fn links_are_checked() {
    let b = bench().await;
    let long = "a".repeat(129);
    let cases: &[(&[(&str, &str)], &str)] = &[
        (&[("appid", "ww0")], "40013"),
        (&[("appid", "")], "40013"),
        (&[("response_type", "token")], "40063"),
        (&[("scope", "snsapi_userinfo")], "40063"),
        (&[("agentid", "1")], "40056"),
        (&[("agentid", "x")], "40056"),
        (&[("redirect_uri", "")], "50001"),
        (&[("redirect_uri", "https://evil.example/")], "50001"),
        (&[("redirect_uri", "https://x.nocobase.example.com/")], "50001"),
        (&[("redirect_uri", "https://example.com/")], "50001"),
        (&[("redirect_uri", "https://nocobase.example.com:443/")], "50001"),
        (&[("redirect_uri", "https://nocobase.example.com:8443/")], "50001"),
        (&[("redirect_uri", "https://nocobase.example.com@evil.example/")], "50001"),
        (&[("redirect_uri", "https://evil.example\\@nocobase.example.com/")], "50001"),
        (&[("redirect_uri", "javascript:alert(1)")], "50001"),
        (&[("redirect_uri", "/callback")], "50001"),
        (&[("state", "a-b")], "84025"),
        (&[("state", "中")], "84025"),
        (&[("state", &long)], "84025"),
    ];
    for (changes, code) in cases {
        let response = b.open_as("zhangsan", &link(changes)).await;
        assert!(response.headers().get("location").is_none(), "{changes:?}");
        assert_eq!(error_of(&response), *code, "{changes:?}");
    }
    let wrong = b.open_as("zhangsan", &link(&[("redirect_uri", "https://evil.example/")])).await;
    assert!(wrong.text().await.unwrap().contains("redirect_uri"));
    assert!(location(&b.open_as("zhangsan", &link(&[("state", &long[..128])])).await).contains("code="));
}

#[tokio::test]
async fn the_port_is_part_of_the_trusted_domain() {
    let b = bench().await;
    for (domain, ok) in [
        ("mail.example:8080", true),
        ("email.example", false),
        ("support.mail.example", false),
        ("*.example", false),
        ("mail.example", false),
    ] {
        b.edit_data(|d| d.companies[0].apps[0].trusted_domain = domain.into()).unwrap();
        let to = "https://mail.example:8080/cgi-bin/helloworld";
        let response = b.open_as("zhangsan", &link(&[("redirect_uri", to)])).await;
        assert_eq!(response.headers().contains_key("location"), ok, "{domain}");
    }
}

#[tokio::test]
async fn without_an_agentid_consent_becomes_silent() {
    let b = bench().await;
    let to =
        location(&b.open_as("zhangsan", &link(&[("agentid", ""), ("scope", "snsapi_privateinfo")])).await);
    let v = b.call(&format!("auth/getuserinfo?code={}", param(&to, "code").unwrap())).await;
    assert_eq!((v["userid"].as_str(), v.get("user_ticket")), (Some("zhangsan"), None));
}

const CONSENT: &[(&str, &str)] = &[("scope", "snsapi_privateinfo")];

/// The form of the consent page, filled in.
fn form<'a>(decision: &'a str, fields: &[&'a str]) -> Vec<(&'a str, &'a str)> {
    let mut all = vec![
        ("appid", CORP),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "snsapi_privateinfo"),
        ("state", "abc123"),
        ("agentid", "1000002"),
        ("decision", decision),
    ];
    all.extend(fields.iter().map(|f| ("field", *f)));
    all
}

#[tokio::test]
async fn consent_is_asked_once_in_thirty_days() {
    let b = bench().await;
    let page = b.open_as("zhangsan", &link(CONSENT)).await;
    assert_eq!(page.status(), 200);
    assert_eq!(page.headers()["cache-control"], "no-store");
    let html = page.text().await.unwrap();
    assert!(
        html.contains("13800000001") && html.contains("name=\"field\" value=\"mobile\" checked"),
        "{html}"
    );
    assert!(!html.contains("value=\"address\""), "the administrator did not choose it");

    let fields = ["mobile", "biz_mail", "address", "shoe_size"];
    let response = b.post_form("zhangsan", "/connect/oauth2/consent", &form("allow", &fields)).await;
    assert_eq!(response.status(), 303);
    let mut to = location(&response);
    for round in 0..2 {
        let token = b.token().await;
        let v = b.call_with(&token, &format!("auth/getuserinfo?code={}", param(&to, "code").unwrap())).await;
        let body = json!({ "user_ticket": v["user_ticket"] });
        let d = b.post(&format!("/cgi-bin/auth/getuserdetail?access_token={token}"), body).await;
        assert_eq!((&d["mobile"], &d["biz_mail"]), (&json!("13800000001"), &json!("zhangsan@example.com")));
        assert!(d.get("email").is_none() && d.get("address").is_none(), "round {round}: {d}");
        b.advance(seconds(29 * 86_400));
        if round == 0 {
            to = location(&b.open_as("zhangsan", &link(CONSENT)).await);
        }
    }
    b.expire_tokens();
    assert_eq!(b.open_as("zhangsan", &link(CONSENT)).await.status(), 200, "asked again after 30 days");
    assert_eq!(b.open_as("lisi", &link(CONSENT)).await.status(), 200, "each member separately");
}

#[tokio::test]
async fn refusing_redirects_back_without_a_code_or_stays() {
    let b = bench().await;
    let response = b.post_form("zhangsan", "/connect/oauth2/consent", &form("refuse", &["mobile"])).await;
    assert_eq!(location(&response), format!("{CALLBACK}?state=abc123"));
    b.configure(|s| s.refusal = Refusal::Stay);
    let response = b.post_form("zhangsan", "/connect/oauth2/consent", &form("refuse", &[])).await;
    assert_eq!(error_of(&response), "0");
    assert_eq!(b.open_as("zhangsan", &link(CONSENT)).await.status(), 200, "nothing is remembered");
}

#[tokio::test]
async fn consent_can_be_set_for_tests() {
    let b = bench().await;
    b.configure(|s| s.consent = Consent::Refuse);
    assert_eq!(location(&b.open_as("lisi", &link(CONSENT)).await), format!("{CALLBACK}?state=abc123"));
    b.configure(|s| s.consent = Consent::Allow);
    assert!(location(&b.open_as("lisi", &link(CONSENT)).await).contains("code="));
    b.configure(|s| s.consent = Consent::Ask);
    b.withdraw_consents();
    b.grant_consent(CORP, AGENT, "ZhouBa", None);
    assert!(location(&b.open_as("zhouba", &link(CONSENT)).await).contains("code="));
    assert_eq!(b.open_as("lisi", &link(CONSENT)).await.status(), 200);
}

#[tokio::test]
async fn consent_needs_the_visible_range_and_silent_authorization_does_not() {
    let b = bench().await;
    for member in ["outsider", "oExternalCustomer000000000001", "oStranger00000000000000000002"] {
        assert_eq!(error_of(&b.open_as(member, &link(CONSENT)).await), "60021", "{member}");
        assert!(location(&b.open_as(member, &link(&[])).await).contains("code="), "{member}");
        let forced = b.post_form(member, "/connect/oauth2/consent", &form("allow", &["mobile"])).await;
        assert_eq!(error_of(&forced), "60021", "{member}");
    }
    let linked = location(&b.open_as(&format!("{PARTNER}/chenyi"), &link(CONSENT)).await);
    let v = b.call(&format!("auth/getuserinfo?code={}", param(&linked, "code").unwrap())).await;
    assert_eq!((v["userid"].as_str(), v.get("user_ticket")), (Some("wwfedcba9876543210/chenyi"), None));
    let wrong = [("appid", "ww0"), ("decision", "allow")];
    assert_eq!(error_of(&b.post_form("zhangsan", "/connect/oauth2/consent", &wrong).await), "40013");
}
