//! What an operator sees of the last calls, and what survives a reload.

use super::*;

#[tokio::test]
async fn the_last_error_is_kept_until_a_call_succeeds() {
    let wecom = simulator().await;
    let client = wecom.client();
    assert!(client.token_error().is_none() && client.call_error().is_none());
    wecom.only(GETTOKEN, body(r#"{"errcode":40013,"errmsg":"invalid corpid"}"#));
    assert!(client.probe().await.is_err());
    assert_eq!(client.token_error().and_then(|error| error.errcode()), Some(40013));
    let other = wecom.client();
    wecom.clear_faults();
    assert!(other.probe().await.is_ok() && other.token_error().is_none());

    wecom.only(USER_GET, body(r#"{"errcode":48002,"errmsg":"api forbidden"}"#));
    assert!(other.member("zhangsan").await.is_err());
    assert_eq!(other.call_error().and_then(|error| error.errcode()), Some(48002));
    // No sign-in needs the app's name and picture: a failure to fetch them is not reported to the operator.
    wecom.only("/cgi-bin/agent/get", body(r#"{"errcode":0,"errmsg":"ok","agentid":1000002}"#));
    assert!(other.agent().await.is_ok() && other.call_error().is_some());
    let cosmetic = wecom.client();
    wecom.only("/cgi-bin/agent/get", body(r#"{"errcode":48002,"errmsg":"api forbidden"}"#));
    assert!(cosmetic.agent().await.is_err() && cosmetic.call_error().is_none());
    // A failure caused by the member is not reported to the operator either.
    wecom.only(USER_GET, body(r#"{"errcode":60111,"errmsg":"userid not found"}"#));
    assert!(other.member("nobody").await.is_err());
    assert!(other.call_error().is_none());
}

/// The same app keeps its access token over a reload, another does not.
#[tokio::test]
async fn a_reload_keeps_the_token_of_the_same_app_alone() {
    let wecom = simulator().await;
    let client = wecom.client();
    client.probe().await.unwrap();
    let asked = wecom.calls(GETTOKEN);
    let mut entry = wecom.entry();
    entry.title = "Another title".into();
    Client::after(&client, &entry).unwrap().probe().await.unwrap();
    assert_eq!(wecom.calls(GETTOKEN), asked);
    let changes: [fn(&mut crate::config::WeComEntry); 4] = [
        |entry| entry.corp_id = "ww0987654321fedcba".into(),
        |entry| entry.agent_id = "1000009".into(),
        |entry| entry.secret = "another".to_owned().into(),
        |entry| entry.http_proxy = Some("http://127.0.0.1:1".parse().unwrap()),
    ];
    for change in changes {
        let mut entry = wecom.entry();
        change(&mut entry);
        let before = wecom.calls(GETTOKEN);
        let asked = Client::after(&client, &entry).unwrap().probe().await;
        // WeCom is asked, or cannot be: the old token is never used.
        assert!(asked.is_err() || wecom.calls(GETTOKEN) > before, "{}", entry.agent_id);
    }
}
