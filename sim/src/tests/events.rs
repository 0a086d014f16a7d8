//! Events to the app's receive-message URL.

use std::sync::Arc;

use parking_lot::Mutex;

use axum::Router;
use axum::extract::Request;
use serde_json::json;

use axum::http::StatusCode;
use tokio::net::TcpListener;

use super::*;

type Received = Arc<Mutex<Vec<(String, String)>>>;

/// A receiver with this response; `None`: it never responds.
async fn receiver(b: &Bench, response: Option<(u16, &'static str)>) -> Received {
    let seen = Received::default();
    let sink = Arc::clone(&seen);
    let app = Router::new().fallback(move |request: Request| {
        let sink = Arc::clone(&sink);
        async move {
            let address = request.uri().to_string();
            let body = axum::body::to_bytes(request.into_body(), 100_000).await.unwrap();
            sink.lock().push((address, String::from_utf8(body.to_vec()).unwrap()));
            match response {
                Some((status, text)) => (StatusCode::from_u16(status).unwrap(), text),
                None => std::future::pending().await,
            }
        }
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let addr = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    b.edit_data(|d| d.companies[0].apps[0].event_url = format!("http://{addr}/wecom-gate/events/wecom"))
        .unwrap();
    b.configure(|s| (s.event_retry_ms, s.event_timeout_ms) = (1, 80));
    seen
}

fn unsubscribe() -> Event {
    Event::Unsubscribe { userid: "zhangsan".into() }
}

#[test]
fn the_reference_vectors_come_out_to_the_letter() {
    let (token, key, corp) = ("testToken0123456789", "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG", CORP);
    let prefix = b"0123456789abcdef";
    let echo = seal(key, prefix, "1616140317555161061", corp).unwrap();
    assert_eq!(
        echo,
        "Q3stYC6hdFzMh9T8HCvyDH0IHJENRtL8kKsqSYgg4gBeiTpo2e8dLmRRhxdna5yMVu0s4RoCX7iZ4LGYqVDhtA=="
    );
    assert_eq!(sign(token, "1700000000", "nonce123", &echo), "d289a224ce473a183e59a63755ae40b065d4bf9d");
    let xml = unsubscribe().xml(corp, AGENT, 1_700_000_001);
    let sealed = seal(key, prefix, &xml, corp).unwrap();
    assert_eq!((sealed.len(), &sealed[384..]), (428, "TKTbnsJWaPiTlrCAqJ0IhUrHCuWuqv/XRScHLs7TOvg="));
    assert_eq!(sign(token, "1700000001", "nonce456", &sealed), "8c1b1f4bc20a908fcca4f2e7c2b82993962feee2");
    assert_eq!(seal("short", prefix, "x", corp), None);
}

#[tokio::test]
async fn an_event_arrives_signed_and_encrypted() {
    let b = bench().await;
    let seen = receiver(&b, Some((200, "success"))).await;
    let d = b.send_event(CORP, AGENT, &unsubscribe()).await.unwrap();
    assert_eq!((d.attempts, d.status, d.accepted), (1, Some(200), true));
    let (address, body) = seen.lock()[0].clone();
    let query = address.split_once('?').unwrap().1.to_owned();
    let q: std::collections::HashMap<_, _> =
        url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
    let encrypt = body.split("<Encrypt><![CDATA[").nth(1).unwrap().split("]]>").next().unwrap();
    assert_eq!(q["msg_signature"], sign("testToken0123456789", &q["timestamp"], &q["nonce"], encrypt));
    assert!(body.contains("<ToUserName><![CDATA[ww0123456789abcdef]]>") && body.contains("1000002"));
    assert!(!body.contains("zhangsan"));
}

#[tokio::test]
async fn only_a_missing_response_is_retried() {
    let b = bench().await;
    let seen = receiver(&b, None).await;
    let d = b.send_event(CORP, AGENT, &unsubscribe()).await.unwrap();
    assert_eq!((d.attempts, d.status, d.accepted, seen.lock().len()), (3, None, false, 3));
    let seen = receiver(&b, Some((500, ""))).await;
    let d = b.send_event(CORP, AGENT, &unsubscribe()).await.unwrap();
    assert_eq!((d.attempts, d.status, d.accepted, seen.lock().len()), (1, Some(500), false, 1));
    b.edit_data(|d| d.companies[0].apps[0].event_url = "http://127.0.0.1:1/".into()).unwrap();
    assert_eq!(b.send_event(CORP, AGENT, &unsubscribe()).await.unwrap().attempts, 3);
    assert!(b.send_event(CORP, SALES, &unsubscribe()).await.is_err(), "an app without keys");
    assert!(b.send_event("ww", AGENT, &unsubscribe()).await.is_err());
}

#[tokio::test]
async fn the_consoles_verification_gets_the_decrypted_text() {
    let b = bench().await;
    let seen = receiver(&b, Some((200, "something else"))).await;
    let d = b.verify_event_url(CORP, AGENT).await.unwrap();
    assert!(!d.accepted && d.status == Some(200));
    assert!(seen.lock()[0].0.contains("echostr="));
}

#[tokio::test]
async fn events_over_http_and_forged() {
    let b = bench().await;
    let seen = receiver(&b, Some((200, ""))).await;
    for forgery in ["none", "signature", "receiver", "stale"] {
        let body = json!({ "corp_id": CORP, "agent_id": AGENT, "event": "delete_user", "userid": "lisi", "forgery": forgery });
        assert_eq!(b.post("/sim/events", body).await["attempts"], 1, "{forgery}");
    }
    assert_eq!(seen.lock().len(), 4);
    let v = b.post("/sim/events/verify", json!({ "corp_id": CORP, "agent_id": AGENT })).await;
    assert_eq!(v["accepted"], false);
}

#[test]
fn every_event_has_its_form() {
    let update =
        Event::UpdateUser { userid: "a".into(), new_userid: Some("b".into()), departments: vec![1, 2] };
    for (event, parts) in [
        (
            Event::Subscribe { userid: "a".into() },
            vec!["<Event><![CDATA[subscribe]]>", "<AgentID>7</AgentID>"],
        ),
        (Event::DeleteUser { userid: "a".into() }, vec!["<ChangeType>delete_user</", "<![CDATA[sys]]>"]),
        (update, vec!["<NewUserID><![CDATA[b]]>", "<Department><![CDATA[1,2]]>"]),
        (Event::UpdateParty { id: 3 }, vec!["update_party", "<Id>3</Id>"]),
        (Event::UpdateTag { id: 4 }, vec!["update_tag", "<TagId>4</TagId>"]),
        (Event::Raw { xml: "<!DOCTYPE x>".into() }, vec!["<!DOCTYPE x>"]),
    ] {
        let xml = event.xml("ww1", 7, 5);
        for part in parts {
            assert!(xml.contains(part), "{part}: {xml}");
        }
    }
}
