//! `/sim/…`, counters and the log.

use serde_json::json;

use super::*;

#[tokio::test]
async fn the_http_control_can_do_everything() {
    let b = bench().await;
    let code = b.post("/sim/codes", json!({ "corp_id": CORP, "agent_id": AGENT, "member": "lisi" })).await;
    let info = b.call(&format!("auth/getuserinfo?code={}", code["code"].as_str().unwrap())).await;
    assert_eq!(info["userid"], "lisi");

    b.post("/sim/faults", json!({ "path": "/cgi-bin/tag/list", "count": 1, "kind": { "errcode": -1 } }))
        .await;
    assert_eq!(b.call("tag/list").await["errcode"], -1);
    b.post("/sim/faults", json!({ "path": "/cgi-bin/tag/list", "kind": "html" })).await;
    assert_eq!(
        b.get("/sim/faults").await,
        json!([{ "path": "/cgi-bin/tag/list", "skip": 0, "count": null, "latency_ms": 0, "kind": "html" }])
    );
    b.http.delete(b.url("/sim/faults")).send().await.unwrap();
    assert_eq!(b.call("tag/list").await["errcode"], 0);

    let token = b.token().await;
    b.post("/sim/tokens/expire", json!({})).await;
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 42001);
    b.post("/sim/tokens/expire", json!({ "how": "unknown" })).await;
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 40014);

    b.post("/sim/trusted-ips", json!({ "ips": ["192.0.2.0/24"] })).await;
    assert_eq!(b.call("tag/list").await["errcode"], 60020);
    b.post("/sim/trusted-ips", json!({ "ips": null })).await;

    let before = b.get("/sim/clock").await["now_ms"].as_i64().unwrap();
    let after = b.post("/sim/clock", json!({ "advance_seconds": 300 })).await["now_ms"].as_i64().unwrap();
    assert!((300_000..310_000).contains(&(after - before)));

    let patched =
        b.http.patch(b.url("/sim/settings")).json(&json!({ "limits": { "ip_hour": 7 }, "code_ttl": 1 }));
    let s: Value = patched.send().await.unwrap().json().await.unwrap();
    assert_eq!(
        (&s["limits"]["ip_hour"], &s["limits"]["ip_minute"], &s["code_ttl"]),
        (&json!(7), &json!(20000), &json!(1))
    );
    let wrong = b.http.patch(b.url("/sim/settings")).json(&json!({ "no_such": 1 })).send().await.unwrap();
    assert_eq!(wrong.status(), 422);

    b.post("/sim/reset", json!({})).await;
    assert_eq!(b.get("/sim/settings").await["code_ttl"], 300);
    assert_eq!(b.get("/sim/calls").await, json!({}));
    assert!(b.now_ms() - before < 60_000);
}

#[tokio::test]
async fn members_can_be_changed() {
    let b = bench().await;
    let put = |body: Value| b.http.put(b.url("/sim/members")).json(&body).send();
    let new = json!({ "corp_id": CORP, "member": { "userid": "new", "name": "新人", "departments": [2] } });
    assert_eq!(put(new).await.unwrap().status(), 200);
    assert_eq!(b.call("user/get?userid=new").await["name"], "新人");
    let impossible =
        json!({ "corp_id": CORP, "member": { "userid": "new2", "name": "x", "departments": [77] } });
    assert_eq!(put(impossible).await.unwrap().status(), 422);
    assert_eq!(
        put(json!({ "corp_id": "ww", "member": { "userid": "a", "name": "b" } })).await.unwrap().status(),
        404
    );
    let gone = b.http.delete(b.url(&format!("/sim/members?corp_id={CORP}&userid=NEW"))).send().await.unwrap();
    assert_eq!(gone.status(), 200);
    assert_eq!(b.call("user/get?userid=new").await["errcode"], 60111);
    b.set_status(CORP, "zhangsan", 2).unwrap();
    assert_eq!(b.call("user/get?userid=zhangsan").await["status"], 2);
    assert!(b.set_status(CORP, "zhangsan", 9).is_err());
    let list = b.get(&format!("/sim/members?corp_id={CORP}")).await;
    assert!(list.as_array().unwrap().iter().any(|m| m["userid"] == "lisi"));
}

#[tokio::test]
async fn data_can_be_replaced_over_http() {
    let b = bench().await;
    let mut data = b.get("/sim/data").await;
    data["companies"][0]["apps"][0]["visible"] = json!({ "members": ["outsider"] });
    let put = b.http.put(b.url("/sim/data")).json(&data).send().await.unwrap();
    assert_eq!(put.status(), 200);
    assert_eq!(b.call("user/get?userid=outsider").await["errcode"], 0);
    assert_eq!(b.call("user/get?userid=zhangsan").await["errcode"], 60011);
}

#[tokio::test]
async fn calls_are_counted_and_logged_without_secrets() {
    let b = bench().await;
    let code = b.code("lisi");
    b.call(&format!("auth/getuserinfo?code={code}&debug=0")).await;
    b.call("user/get?userid=nobody").await;
    b.raw("/cgi-bin/nothing").await;
    assert_eq!((b.calls("/cgi-bin/gettoken"), b.calls("/cgi-bin/user/get")), (2, 1));
    assert_eq!(b.all_calls()["/cgi-bin/user/get"], Calls { calls: 1, failed: 1 });
    assert_eq!(b.all_calls()["/cgi-bin/nothing"], Calls { calls: 1, failed: 1 });
    let log = b.get("/sim/log").await.to_string();
    for secret in [SECRET, &code, &b.token().await] {
        assert!(!log.contains(secret), "{log}");
    }
    assert!(
        log.contains("userid=nobody") && log.contains("corpsecret=***") && log.contains("debug=0"),
        "{log}"
    );
    b.clear_calls();
    assert_eq!(b.calls("/cgi-bin/gettoken"), 0);
}
