//! Token, code, ticket.

use serde_json::{Value, json};

use super::*;

#[tokio::test]
async fn gettoken_returns_a_token_or_an_error() {
    let b = bench().await;
    let v = b.get(&format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={SECRET}")).await;
    assert_eq!((&v["errcode"], &v["errmsg"], &v["expires_in"]), (&json!(0), &json!("ok"), &json!(7200)));
    let token = v["access_token"].as_str().unwrap();
    assert!((100..=512).contains(&token.len()));

    b.edit_data(|d| d.companies[0].apps[1].closed = true).unwrap();
    let partner_secret = "SimAppSecretPartner-CCCCCCCCCCCCCCCCCCCCCCC";
    for (query, errcode) in [
        (String::new(), 41002),
        (format!("corpsecret={SECRET}"), 41002),
        (format!("corpid=&corpsecret={SECRET}"), 41002),
        (format!("corpid={CORP}"), 41004),
        (format!("corpid={CORP}&corpsecret="), 41004),
        (format!("corpid=ww0&corpsecret={SECRET}"), 40013),
        (format!("corpid={CORP}&corpsecret=wrong"), 40001),
        (format!("corpid={CORP}&corpsecret={partner_secret}"), 40091),
        (format!("corpid={CORP}&corpsecret={SECRET_SALES}"), 50003),
    ] {
        let v = b.get(&format!("/cgi-bin/gettoken?{query}")).await;
        assert_eq!(v["errcode"], errcode, "{query}");
        assert!(v.get("access_token").is_none());
        let msg = v["errmsg"].as_str().unwrap();
        assert!(msg.contains("hint: [") && msg.contains("from ip: 127.0.0.1"), "{msg}");
        assert!(
            msg.ends_with(&format!("https://open.work.weixin.qq.com/devtool/query?e={errcode}")),
            "{msg}"
        );
    }
}

#[tokio::test]
async fn a_repeated_gettoken_gives_the_rest_of_the_same_token_or_a_new_one() {
    let b = bench().await;
    let one = b.token().await;
    b.advance(seconds(1200));
    let again = b.get(&format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={SECRET}")).await;
    assert_eq!(again["access_token"], one.as_str());
    assert_eq!(again["expires_in"], 6000);
    b.advance(seconds(6001));
    let later = b.get(&format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={SECRET}")).await;
    assert_ne!(later["access_token"], one.as_str());
    assert_eq!(later["expires_in"], 7200);

    b.configure(|s| s.same_token = false);
    let other = b.token().await;
    assert_ne!(later["access_token"], other.as_str());
    for t in [later["access_token"].as_str().unwrap(), &other] {
        assert_eq!(b.call_with(t, "getcallbackip").await["errcode"], 0, "both are good");
    }
}

#[tokio::test]
async fn token_errors() {
    let b = bench().await;
    assert_eq!(b.get("/cgi-bin/getcallbackip").await["errcode"], 41001);
    assert_eq!(b.call_with("", "getcallbackip").await["errcode"], 41001);
    assert_eq!(b.call_with("unknown", "getcallbackip").await["errcode"], 40014);
    let in_body = b.post("/cgi-bin/auth/getuserdetail", json!({ "access_token": b.token().await })).await;
    assert_eq!(in_body["errcode"], 41001, "the token must be in the query");

    let token = b.token().await;
    b.advance(seconds(7199));
    assert_eq!(b.call_with(&token, "getcallbackip").await["errcode"], 0);
    b.advance(seconds(2));
    let v = b.call_with(&token, "getcallbackip").await;
    assert_eq!(v["errcode"], 42001);
    assert!(v["errmsg"].as_str().unwrap().starts_with("access_token expired, hint: ["));

    let token = b.token().await;
    b.expire_tokens();
    assert_eq!(b.call_with(&token, "getcallbackip").await["errcode"], 42001);
    let token = b.token().await;
    b.forget_tokens();
    assert_eq!(b.call_with(&token, "getcallbackip").await["errcode"], 40014);
}

#[tokio::test]
async fn methods_are_checked() {
    let b = bench().await;
    assert_eq!(b.call("auth/getuserdetail").await["errcode"], 43002);
    assert_eq!(b.post("/cgi-bin/gettoken", json!({})).await["errcode"], 43001);
}

#[tokio::test]
async fn a_code_works_once() {
    let b = bench().await;
    let code = b.code("ZhangSan");
    assert!(code.len() <= 512);
    let path = format!("auth/getuserinfo?code={code}");
    let v = b.call(&path).await;
    assert_eq!(v, json!({ "errcode": 0, "errmsg": "ok", "userid": "zhangsan" }));
    assert_eq!(b.call(&path).await["errcode"], 40029);
    b.configure(|s| s.used_code = 42022);
    assert_eq!(b.call(&path).await["errcode"], 42022);
    assert_ne!(b.code("zhangsan"), b.code("zhangsan"));
}

#[tokio::test]
async fn a_code_expires_after_five_minutes() {
    let b = bench().await;
    let (fresh, old) = (b.code("zhangsan"), b.code("zhangsan"));
    b.advance(seconds(299));
    assert_eq!(b.call(&format!("auth/getuserinfo?code={fresh}")).await["errcode"], 0);
    b.advance(seconds(2));
    assert_eq!(b.call(&format!("auth/getuserinfo?code={old}")).await["errcode"], 42003);
    assert_eq!(b.call("auth/getuserinfo?code=unknown").await["errcode"], 40029);
    assert_eq!(b.call("auth/getuserinfo").await["errcode"], 41008);
    assert_eq!(b.call("auth/getuserinfo?code=").await["errcode"], 41008);
}

#[tokio::test]
async fn a_code_belongs_to_one_app() {
    let b = bench().await;
    let sales = b.token_of(CORP, SECRET_SALES).await;
    let code = b.code("zhangsan");
    let path = format!("auth/getuserinfo?code={code}");
    assert_eq!(b.call_with(&sales, &path).await["errcode"], 40029);
    b.configure(|s| s.foreign_code = 50001);
    assert_eq!(b.call_with(&sales, &path).await["errcode"], 50001);
    let partner = b.token_of(PARTNER, "SimAppSecretPartner-CCCCCCCCCCCCCCCCCCCCCCC").await;
    assert_eq!(b.call_with(&partner, &path).await["errcode"], 50001);
    let sync = b.token_of(CORP, SECRET_SYNC).await;
    assert_eq!(
        b.call_with(&sync, &path).await["errcode"],
        50001,
        "the contact-sync secret consumes no codes"
    );
    assert_eq!(b.call(&path).await["errcode"], 0, "the other apps did not use it up");
}

#[tokio::test]
async fn the_trusted_domain_is_checked_again_with_the_code() {
    let b = bench().await;
    let want = |to: &str| CodeRequest {
        corp_id: CORP.into(),
        agent_id: AGENT,
        member: "zhangsan".into(),
        fields: None,
        redirect_uri: Some(to.into()),
    };
    for (to, errcode) in [
        ("https://nocobase.example.com/wecom-gate/callback", 0),
        ("http://nocobase.example.com/other", 0),
        ("https://nocobase.example.com:443/wecom-gate/callback", 50001),
        ("https://x.nocobase.example.com/", 50001),
    ] {
        let code = b.issue_code(&want(to)).unwrap();
        assert_eq!(b.call(&format!("auth/getuserinfo?code={code}")).await["errcode"], errcode, "{to}");
    }
}

#[tokio::test]
async fn getuserinfo_names_each_kind_of_person() {
    let b = bench().await;
    let mut seen = Vec::new();
    for member in [
        "outsider",                      // outside the visible range: returned nevertheless
        "zhaoliu",                       // disabled
        "wwfedcba9876543210/chenyi",     // of a linked company
        "oExternalCustomer000000000001", // a customer
        "oStranger00000000000000000002", // a stranger
    ] {
        let v = b.call(&format!("auth/getuserinfo?code={}", b.code(member))).await;
        assert_eq!(v["errcode"], 0);
        seen.push((v["userid"].clone(), v["openid"].clone(), v["external_userid"].clone()));
    }
    let (n, s) = (Value::Null, |t: &str| json!(t));
    assert_eq!(
        seen,
        [
            (s("outsider"), n.clone(), n.clone()),
            (s("zhaoliu"), n.clone(), n.clone()),
            (s("wwfedcba9876543210/chenyi"), n.clone(), n.clone()),
            (n.clone(), s("oExternalCustomer000000000001"), s("wmExternalCustomer00000000001")),
            (n.clone(), s("oStranger00000000000000000002"), n.clone()),
        ]
    );
    // A company that is not linked: its members are strangers here.
    let partner = b
        .issue_code(&CodeRequest {
            corp_id: PARTNER.into(),
            agent_id: AGENT,
            member: format!("{CORP}/zhangsan"),
            ..CodeRequest::default()
        })
        .unwrap();
    let token = b.token_of(PARTNER, "SimAppSecretPartner-CCCCCCCCCCCCCCCCCCCCCCC").await;
    let v = b.call_with(&token, &format!("auth/getuserinfo?code={partner}")).await;
    assert!(v["openid"].as_str().unwrap().len() <= 64 && v.get("userid").is_none(), "{v}");
}

#[tokio::test]
async fn the_old_path_has_other_field_names() {
    let b = bench().await;
    let code = b.code_for(AGENT, "zhangsan", Some(&["mobile"]));
    let v = b.call(&format!("user/getuserinfo?code={code}")).await;
    assert_eq!(
        (&v["UserId"], &v["expires_in"], &v["DeviceId"]),
        (&json!("zhangsan"), &json!(1800), &json!(""))
    );
    assert!(v["user_ticket"].is_string() && v.get("userid").is_none());
    let v = b.call(&format!("user/getuserinfo?code={}", b.code("oStranger00000000000000000002"))).await;
    assert_eq!(v["OpenId"], "oStranger00000000000000000002");

    b.configure(|s| s.legacy_spelling = true);
    let v = b.call(&format!("auth/getuserinfo?code={}", b.code("lisi"))).await;
    assert_eq!(v["UserId"], "lisi");

    b.configure(|s| s.legacy_only = true);
    let response = b.raw("/cgi-bin/auth/getuserinfo").await;
    assert_eq!(response.status(), 404, "a private deployment without the new paths");
    assert_eq!(b.call(&format!("user/getuserinfo?code={}", b.code("lisi"))).await["errcode"], 0);
}

async fn ticket(b: &Bench, member: &str, fields: &[&str]) -> Option<String> {
    let code = b.code_for(AGENT, member, Some(fields));
    let v = b.call(&format!("auth/getuserinfo?code={code}")).await;
    assert!(v.get("expires_in").is_none(), "the new path has no expires_in");
    v["user_ticket"].as_str().map(str::to_owned)
}

async fn detail(b: &Bench, path: &str, body: Value) -> Value {
    let token = b.token().await;
    b.post(&format!("/cgi-bin/{path}?access_token={token}"), body).await
}

#[tokio::test]
async fn sensitive_fields_need_the_member_and_the_administrator() {
    let b = bench().await;
    let t = ticket(&b, "zhangsan", &["mobile", "address", "gender"]).await.unwrap();
    assert!(t.len() <= 512);
    for path in ["auth/getuserdetail", "user/getuserdetail"] {
        let v = detail(&b, path, json!({ "user_ticket": t })).await;
        assert_eq!(
            v,
            json!({
                "errcode": 0, "errmsg": "ok", "userid": "zhangsan", "gender": "1", "mobile": "13800000001",
                "avatar": "https://avatar.example/default.png", // not agreed to
                // address: agreed to, but the administrator did not choose it; e-mail: not agreed to
            })
        );
    }
    let none = ticket(&b, "zhangsan", &[]).await.unwrap();
    let v = detail(&b, "auth/getuserdetail", json!({ "user_ticket": none })).await;
    assert_eq!((v["gender"].as_str(), v.get("mobile")), (Some("0"), None));
    let all = ticket(&b, "zhouba", &SENSITIVE).await.unwrap();
    let v = detail(&b, "auth/getuserdetail", json!({ "user_ticket": all })).await;
    assert_eq!(v.get("mobile"), None, "a member without a phone number");
    assert_eq!(v["biz_mail"], "zhouba@example.com");
}

#[tokio::test]
async fn people_who_get_no_ticket() {
    let b = bench().await;
    for member in ["outsider", "wwfedcba9876543210/chenyi", "oStranger00000000000000000002"] {
        assert_eq!(ticket(&b, member, &["mobile"]).await, None, "{member}");
    }
    let silent = b.call(&format!("auth/getuserinfo?code={}", b.code("zhangsan"))).await;
    assert!(silent.get("user_ticket").is_none());
}

#[tokio::test]
async fn ticket_errors() {
    let b = bench().await;
    let t = ticket(&b, "lisi", &["mobile"]).await.unwrap();
    let path = "auth/getuserdetail";
    assert_eq!(detail(&b, path, json!({})).await["errcode"], 84090);
    assert_eq!(detail(&b, path, json!({ "user_ticket": "" })).await["errcode"], 84090);
    assert_eq!(detail(&b, path, json!({ "user_ticket": "nonsense" })).await["errcode"], 84015);
    let sales = b.token_of(CORP, SECRET_SALES).await;
    let foreign = b.post(&format!("/cgi-bin/{path}?access_token={sales}"), json!({ "user_ticket": t })).await;
    assert_eq!(foreign["errcode"], 84015);
    b.advance(seconds(1799));
    assert_eq!(detail(&b, path, json!({ "user_ticket": t })).await["errcode"], 0);
    b.advance(seconds(2));
    assert_eq!(detail(&b, path, json!({ "user_ticket": t })).await["errcode"], 84014);
    let not_json = b.http.post(b.url(&format!("/cgi-bin/{path}?access_token={}", b.token().await))).body("x");
    let v: Value = not_json.send().await.unwrap().json().await.unwrap();
    assert_eq!(v["errcode"], 47001);
}

#[tokio::test]
async fn untrusted_addresses_get_a_token_and_nothing_else() {
    let b = bench().await;
    b.set_trusted_ips(Some(vec!["198.51.100.0/24".parse().unwrap()]));
    b.configure(|s| s.apparent_ip = Some("203.0.113.7".parse().unwrap()));
    let token = b.token().await;
    let code = b.code("zhangsan");
    let v = b.call_with(&token, &format!("auth/getuserinfo?code={code}")).await;
    assert_eq!(v["errcode"], 60020);
    let msg = v["errmsg"].as_str().unwrap();
    assert!(msg.starts_with("not allow to access from your ip, hint: ["), "{msg}");
    assert!(msg.contains("], from ip: 203.0.113.7, more info at https://open"), "{msg}");
    b.configure(|s| s.apparent_ip = Some("198.51.100.9".parse().unwrap()));
    assert_eq!(
        b.call_with(&token, &format!("auth/getuserinfo?code={code}")).await["errcode"],
        0,
        "code survived"
    );
}

#[tokio::test]
async fn a_failed_call_may_use_up_the_code() {
    let b = bench_with(Settings { code_dies_on_failure: true, ..Settings::default() }).await;
    let code = b.code("zhangsan");
    assert_eq!(b.call_with("stale", &format!("auth/getuserinfo?code={code}")).await["errcode"], 40014);
    assert_eq!(b.call(&format!("auth/getuserinfo?code={code}")).await["errcode"], 40029);
}

#[tokio::test]
async fn a_closed_or_deleted_app_ends_its_token() {
    let b = bench().await;
    let token = b.token().await;
    b.edit_data(|d| d.companies[0].apps[0].closed = true).unwrap();
    assert_eq!(b.call_with(&token, "user/get?userid=zhangsan").await["errcode"], 50003);
    let agent = b.call_with(&token, "agent/get?agentid=1000002").await;
    assert_eq!((&agent["errcode"], &agent["close"]), (&json!(0), &json!(1)));
    b.edit_data(|d| drop(d.companies[0].apps.remove(0))).unwrap();
    assert_eq!(b.call_with(&token, "user/get?userid=zhangsan").await["errcode"], 40014);
}
