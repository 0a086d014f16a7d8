//! What the log says about a failed call, and what it must never say.

use super::*;

#[tokio::test]
async fn the_log_names_what_to_do() {
    let (log, _guard) = Log::capture();
    let wecom = simulator().await;
    wecom.configure(|settings| settings.apparent_ip = Some("203.0.113.7".parse().unwrap()));
    wecom.set_trusted_ips(Some(vec!["198.51.100.0/24".parse().unwrap()]));
    let error = wecom.client().identify("c").await.unwrap_err();
    assert_eq!(error.address().unwrap().to_string(), "203.0.113.7");
    error.log("wecom");
    let text = log.text();
    for part in [
        "ERROR",
        "entry=\"wecom\"",
        "call=\"getuserinfo\"",
        "label=\"wecom_ip_not_trusted\"",
        "class=\"config\"",
        "errcode=60020",
        "add 203.0.113.7 to the app's trusted IPs: console -> app -> 企业可信IP",
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
    assert_eq!(text.matches("WeCom call failed").count(), 1, "{text}");
}

/// WeCom, or a server instead of it, may return secrets in any response: none may reach a log line or an error.
#[tokio::test]
async fn r27_no_secret_in_logs_or_errors() {
    let (log, _guard) = Log::capture();
    let mut errors = Vec::new();
    // As long as WeCom's: secrets of this length are masked even if the call does not know them.
    let (code, ticket) = ("CANARY-code+0123456789abcdef", "CANARY-ticket-0123456789abcdef");
    let everything = "CANARY-secret/1 CANARY-secret%2F1 CANARY-token-0123456789abcdef CANARY-code+0123456789abcdef \
                      CANARY-code%2B0123456789abcdef CANARY-ticket-0123456789abcdef CANARY-secret/1";
    let errmsg = |code: i64, text: &str| body(format!(r#"{{"errcode":{code},"errmsg":"{text}"}}"#));
    let redirect = CannedResponse {
        status: 302,
        location: Some("https://h/CANARY-token-0123456789abcdef".into()),
        body: String::new(),
    };
    let responses = [
        errmsg(40029, everything),
        errmsg(-1, everything),
        errmsg(40014, everything),
        errmsg(60020, &format!("from ip: CANARY-token-0123456789abcdef {everything}")),
        body(r#"{"errcode":"CANARY-token-0123456789abcdef"}"#),
        body(
            r#"{"errcode":0,"userid":["CANARY-token-0123456789abcdef"],"status":"CANARY-token-0123456789abcdef"}"#,
        ),
        body(
            r#"{"errcode":0,"userid":"CANARY-token-0123456789abcdef CANARY-code+0123456789abcdef","status":1}"#,
        ),
        body(everything),
        FaultKind::response(404, everything),
        FaultKind::response(500, everything),
        FaultKind::Response(redirect),
    ];
    let wecom = simulator().await;
    for response in responses {
        wecom.only(GETTOKEN, body(r#"{"access_token":"CANARY-token-0123456789abcdef","expires_in":7200}"#));
        wecom.add_fault(Fault::new("*", response));
        let client = wecom.client();
        errors.extend(client.identify(code).await.err());
        errors.extend(client.details("zhangsan", &ticket.into()).await.err());
        errors.extend(client.member("zhangsan").await.err());
    }
    for response in [
        errmsg(40001, everything),
        body(
            r#"{"access_token":"CANARY-token-0123456789abcdef","expires_in":"CANARY-token-0123456789abcdef"}"#,
        ),
        body(r#"{"access_token":["CANARY-token-0123456789abcdef"],"expires_in":1}"#),
        body(r#"{"access_token":"CANARY-token-0123456789abcdef"CANARY-token-0123456789abcdef"#),
    ] {
        wecom.only("*", response);
        errors.extend(wecom.client().identify(code).await.err());
    }
    // Addresses contain secrets: no connection, no response in time, a proxy that refuses.
    wecom.only("*", FaultKind::Hang);
    errors.extend(wecom.client().identify(code).await.err());
    let mut nowhere = entry(&Url::parse("http://127.0.0.1:1").unwrap());
    errors.extend(client(&nowhere).identify(code).await.err());
    nowhere.api_base = Url::parse("https://qyapi.invalid").unwrap();
    errors.extend(client(&nowhere).identify(code).await.err());
    wecom.only("*", FaultKind::response(407, "CANARY-token-0123456789abcdef"));
    let mut with_password = wecom.url();
    with_password.set_username("user").unwrap();
    with_password.set_password(Some("CANARY-proxy")).unwrap();
    nowhere.http_proxy = Some(with_password);
    errors.extend(client(&nowhere).identify(code).await.err());
    let shown = format!("{:?} {:?}", client(&nowhere), nowhere.secret);

    assert!(errors.len() > 30, "{}", errors.len());
    for error in &errors {
        error.log("wecom");
        FailureWithCause::from(error.clone()).logged();
    }
    let text = log.text();
    assert!(text.contains("WeCom call failed") && text.contains("***"), "nothing was captured");
    let all = errors.iter().fold(text + &shown, |all, e| format!("{all}{e} {e:?} {}\n", e.remedy()));
    // All levels, all crates.
    for line in all.lines() {
        assert!(!line.contains("CANARY"), "{line}");
    }
}
