//! What may be between the gate and WeCom: responses that are not WeCom's, lost connections, proxies, other addresses.

use super::*;

fn redirect() -> FaultKind {
    let location = Some("https://evil.example/".into());
    FaultKind::Response(CannedResponse { status: 302, location, body: String::new() })
}

#[tokio::test]
async fn answers_that_are_not_wecoms() {
    use Failure::{WeComBadAnswer, WeComRateLimited, WeComUnreachable};
    let response = FaultKind::response;
    let table = [
        ("html", FaultKind::Html, WeComBadAnswer),
        ("empty", body(""), WeComBadAnswer),
        ("truncated", body(r#"{"errcode":0,"userid":"Zhang"#), WeComBadAnswer),
        ("array", body("[]"), WeComBadAnswer),
        ("array of fields", body(r#"["ZhangSan","ZhangSan"]"#), WeComBadAnswer),
        ("null", body("null"), WeComBadAnswer),
        ("deep", body("[".repeat(100_000)), WeComBadAnswer),
        ("too large", body(format!(r#"{{"userid":"{}"}}"#, "x".repeat(1024 * 1024))), WeComBadAnswer),
        ("404 html", response(404, "<html>".to_owned()), WeComBadAnswer),
        ("404 that looks like a success", response(404, ZHANGSAN.to_owned()), WeComBadAnswer),
        ("redirect", redirect(), WeComBadAnswer),
        ("500", response(500, ZHANGSAN.to_owned()), WeComUnreachable),
        ("502 html", response(502, "<html>".to_owned()), WeComUnreachable),
        ("429", FaultKind::Status(429), WeComRateLimited),
        ("slow", FaultKind::Hang, WeComUnreachable),
    ];
    let wecom = simulator().await;
    for (what, kind, want) in table {
        wecom.only(USERINFO, kind.clone());
        wecom.clear_calls();
        let error = wecom.client().identify("c").await.unwrap_err();
        assert_eq!((error.failure(), error.errcode()), (want, None), "{what}");
        assert_eq!(wecom.calls(USERINFO), 1, "{what}");

        wecom.only("*", kind);
        let error = wecom.client().identify("c").await.unwrap_err();
        // A userid but no token: not what gettoken promises.
        assert_eq!((error.call(), error.failure()), (Call::GetToken, want), "{what} from gettoken");
    }
    wecom.only(USERINFO, FaultKind::response(400, r#"{"errcode":40029,"errmsg":"invalid code"}"#));
    assert_eq!(failure(wecom.client().identify("c").await), Failure::CodeRejected, "WeCom's code counts");
    wecom.only(GETTOKEN, body(r#"{"errcode":0,"access_token":"","expires_in":7200}"#));
    assert_eq!(failure(wecom.client().identify("c").await), Failure::WeComBadAnswer, "an empty token");
}

#[tokio::test]
async fn a_closed_port_is_unreachable() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let base = Url::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let error = client(&entry(&base)).identify("c").await.unwrap_err();
    assert_eq!((error.failure(), error.class()), (Failure::WeComUnreachable, Class::Transport));
}

#[tokio::test]
async fn the_outbound_proxy_is_used_when_set() {
    let proxy = simulator().await;
    proxy.add_fault(Fault::new("/base/cgi-bin/gettoken", body(r#"{"access_token":"t","expires_in":7200}"#)));
    proxy.add_fault(Fault::new("/base/cgi-bin/auth/getuserinfo", body(ZHANGSAN)));
    let mut entry = entry(&Url::parse("http://qyapi.invalid/base/").unwrap());
    assert_eq!(failure(client(&entry).identify("c").await), Failure::WeComUnreachable, "without proxy");
    entry.http_proxy = Some(proxy.url());
    client(&entry).identify("c").await.unwrap();
    let log = proxy.log();
    assert_eq!(log.len(), 2);
    assert!(log.iter().all(|line| line.host == "qyapi.invalid"), "{log:?}");
}

#[tokio::test]
async fn private_deployments_have_other_paths() {
    let wecom = simulator().await;
    wecom.configure(|settings| settings.legacy_only = true);
    let mut entry = wecom.entry();
    entry.userinfo_path = "/cgi-bin/user/getuserinfo".into();
    entry.userdetail_path = "/cgi-bin/user/getuserdetail".into();
    let client = client(&entry);
    let identity = client.identify(&wecom.code("zhangsan", Some(&["mobile"]))).await.unwrap();
    let details = client.details(&identity.userid, &identity.ticket.unwrap()).await.unwrap();
    assert_eq!(details.mobile.as_deref(), Some("13800000001"));
    assert_eq!(wecom.calls("/cgi-bin/user/getuserinfo"), 1);
    assert_eq!(wecom.calls("/cgi-bin/user/getuserdetail"), 1);
}

/// What may be repeated is repeated once: a reset or a 5xx from an intermediary ends no sign-in. A code is not sent again: it may
/// be used up.
#[tokio::test]
async fn a_broken_connection_is_tried_once_more() {
    let wecom = simulator().await;
    let breaks = [
        FaultKind::Status(500),
        FaultKind::response(502, "<html>"),
        FaultKind::Status(503),
        body(""),
        FaultKind::Truncated,
        FaultKind::Drop,
        FaultKind::Lost,
    ];
    for kind in breaks {
        for path in [GETTOKEN, USER_GET] {
            wecom.only_fault(Fault::new(path, kind.clone()).times(1));
            wecom.clear_calls();
            wecom.client().member("zhangsan").await.unwrap();
            assert_eq!(wecom.calls(path), 2, "{path} {kind:?}");
        }
        wecom.only(USER_GET, kind.clone());
        wecom.clear_calls();
        let error = wecom.client().member("zhangsan").await.unwrap_err();
        assert!(error.is_broken_midway(), "{error} {kind:?}");
        assert_eq!(wecom.calls(USER_GET), 2, "and not a third time");
        wecom.only_fault(Fault::new(USERINFO, kind.clone()).times(1));
        let error = wecom.client().identify(&wecom.code("zhangsan", None)).await.unwrap_err();
        assert_eq!((error.failure(), error.is_broken_midway()), (failure_of(&kind), true), "{kind:?}");
        assert_eq!(wecom.calls(USERINFO), 1, "a code can be used once");
    }
    // Only broken connections are repeated.
    for kind in [body("<html>"), FaultKind::Status(429), FaultKind::Hang] {
        wecom.only_fault(Fault::new(USER_GET, kind).times(1));
        wecom.clear_calls();
        assert!(!wecom.client().member("zhangsan").await.unwrap_err().is_broken_midway());
        assert_eq!(wecom.calls(USER_GET), 1);
    }
}

fn failure_of(kind: &FaultKind) -> Failure {
    match kind {
        FaultKind::Body(_) | FaultKind::Truncated => Failure::WeComBadAnswer,
        _ => Failure::WeComUnreachable,
    }
}
