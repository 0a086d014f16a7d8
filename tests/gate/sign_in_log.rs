//! A member is asked to quote a request id: every log line about the sign-in must be found by it.

use serde_json::Value;
use wecom_gate::error::Failure;
use wecom_sim::Fault;

use crate::support::Stage;

const USER_GET: &str = "/cgi-bin/user/get";

/// The lines with this request id, once the request itself has its line.
async fn lines_of(stage: &Stage, request_id: &str) -> Vec<Value> {
    stage.gate.output().line(&["\"request\"", request_id]).await;
    stage.gate.wait_for_lines("request_id", request_id, 1).await
}

/// The request's own line and the audit records do not give the cause.
fn is_telling(line: &Value) -> bool {
    line["event"] != "request" && line["event"] != "audit" && line["level"] != "DEBUG"
}

/// Lines about sign-ins without a request id.
async fn anonymous(stage: &Stage) -> Vec<Value> {
    let about = ["sign_in", "roles", "refused"];
    let mut lines = stage.gate.log_until_now().await;
    lines.retain(|l| {
        let event = l["event"].as_str().unwrap_or_default();
        let call = l.get("call").is_some() || l.get("errcode").is_some();
        l["request_id"].is_null() && (about.contains(&event) || call)
    });
    lines
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_succeeds_is_one_line_with_its_request_id() {
    let stage = Stage::start(|_| {}).await;
    let mut phone = stage.signed_in("zhangsan").await;
    let signed_in = stage.gate.wait_for_lines("event", "sign_in", 1).await;
    assert_eq!(signed_in.len(), 1, "{signed_in:?}");
    let lines = lines_of(&stage, signed_in[0]["request_id"].as_str().unwrap()).await;
    let request = lines.iter().find(|l| l["event"] == "request").unwrap();
    assert_eq!(request["path"], "/wecom-gate/callback", "{lines:?}");
    assert!(lines.iter().all(|l| l.get("label").is_none_or(|label| label == "")), "{lines:?}");
    assert_eq!(anonymous(&stage).await, Vec::<Value>::new());
    // What happens afterwards is not part of it.
    phone.open("/admin").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_wecom_refuses_is_one_line_with_its_cause() {
    let stage = Stage::start(|_| {}).await;
    stage.wecom().add_fault(Fault::errcode(USER_GET, 60020, 1));
    let page = stage.phone("zhangsan").open("/admin").await;
    stage.refused(&page, Failure::WeComIpNotTrusted, "").await;
    let lines = lines_of(&stage, page.header("x-request-id").unwrap()).await;
    let telling: Vec<_> = lines.iter().filter(|l| is_telling(l)).collect();
    assert_eq!(telling.len(), 1, "{lines:?}");
    let line = telling[0];
    assert_eq!((&line["event"], &line["outcome"]), (&"sign_in".into(), &"refused".into()));
    assert_eq!((&line["level"], &line["label"]), (&"ERROR".into(), &"wecom_ip_not_trusted".into()));
    assert_eq!((&line["call"], &line["errcode"]), (&"user/get".into(), &60020.into()));
    assert_eq!(
        (&line["entry"], &line["userid"], &line["via"]),
        (&"wecom".into(), &"zhangsan".into(), &"wecom".into())
    );
    assert!(line["remedy"].as_str().unwrap().contains("trusted IPs"), "{line}");
    assert_eq!(anonymous(&stage).await, Vec::<Value>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_nocobase_refuses_is_one_line_with_its_cause() {
    let stage = Stage::start(|_| {}).await;
    stage.bound("zhangsan");
    stage.nocobase.fail("issuedTokens:create", 500, r#"{"errors":[{"message":"disk full"}]}"#, 1);
    let page = stage.phone("zhangsan").open("/admin").await;
    stage.refused(&page, Failure::NocoBaseBadAnswer, "").await;
    let lines = lines_of(&stage, page.header("x-request-id").unwrap()).await;
    let telling: Vec<_> = lines.iter().filter(|l| is_telling(l)).collect();
    assert_eq!(telling.len(), 1, "{lines:?}");
    let line = telling[0];
    assert_eq!((&line["event"], &line["label"]), (&"sign_in".into(), &"nocobase_bad_answer".into()));
    assert_eq!((&line["call"], &line["status"]), (&"issuedTokens:create".into(), &500.into()));
    assert!(line["reason"].as_str().unwrap().contains("disk full"), "{line}");
    assert_eq!(anonymous(&stage).await, Vec::<Value>::new());
}
