//! Events that WeCom sends to the gate: signed, encrypted, and acted on immediately.

use std::time::{Duration, Instant};

use reqwest::Method;
use wecom_sim::{seal, sign};

use crate::support::browser::CHROME;
use crate::support::raw::{request, send_raw};
use crate::support::{Browser, CORP, Response, Stage, eventually};

/// Enough for some rounds of rechecks on a busy machine.
pub(crate) const LONG: Duration = Duration::from_secs(180);
pub(crate) const TOKEN: &str = "testToken0123456789";
pub(crate) const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const ADDRESS: &str = "/wecom-gate/events/wecom";

async fn stage() -> Stage {
    Stage::start(|config| {
        config.set("wecom.event_token", TOKEN).set("wecom.event_aes_key", AES_KEY);
    })
    .await
}

fn now() -> String {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs().to_string()
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// An event as WeCom sends it; `forge` may falsify signature, time, or recipient company.
pub(crate) async fn send(stage: &Stage, message: &str, forge: impl FnOnce(&mut [String; 3])) -> Response {
    let mut parts = [String::new(), now(), CORP.to_owned()];
    forge(&mut parts);
    let [signature, time, company] = parts;
    let cipher = seal(AES_KEY, b"0123456789abcdef", message, &company).unwrap();
    let signature = if signature.is_empty() { sign(TOKEN, &time, "nonce1", &cipher) } else { signature };
    let body = format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{cipher}]]></Encrypt></xml>"
    );
    let mut wecom = Browser::new(&stage.gate, CHROME);
    let address = format!("{ADDRESS}?msg_signature={signature}&timestamp={time}&nonce=nonce1");
    let request = wecom.request(Method::POST, &address).body(body);
    wecom.send(request).await
}

fn left(userid: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{userid}]]></FromUserName>\
         <CreateTime>{}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[unsubscribe]]></Event>\
         <EventKey></EventKey><AgentID>1000002</AgentID></xml>",
        now()
    )
}

/// WeCom reports that the member left; the entry has the token and key of this file.
pub(crate) async fn member_left(stage: &Stage, userid: &str) {
    assert_eq!(send(stage, &left(userid), |_| {}).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_leaves_is_signed_out_at_once_on_every_node() {
    let stage = stage().await;
    stage.bound("zhangsan");
    stage.bound("lisi");
    let mut leaver = stage.signed_in("zhangsan").await;
    let mut other = stage.signed_in("lisi").await;
    // In different case: WeCom's userids are case-insensitive.
    let response = send(&stage, &left("ZhangSan"), |_| {}).await;
    assert_eq!((response.status, response.body.as_str()), (200, "success"));
    assert_eq!(leaver.api(Method::GET, "/api/orders:list").await.status, 401);
    assert_eq!(other.api(Method::GET, "/api/orders:list").await.status, 200);
    eventually("NocoBase has blocked the session", async || stage.nocobase.data().blocked.len() == 1).await;
    let node = stage.second_node().await;
    leaver.go_to(&node);
    assert_eq!(leaver.api(Method::GET, "/api/orders:list").await.status, 401);
}

#[tokio::test(flavor = "multi_thread")]
async fn r12_every_forged_event_gets_the_same_response_and_changes_nothing() {
    let stage = stage().await;
    stage.bound("zhangsan");
    let mut member = stage.signed_in("zhangsan").await;
    let message = left("zhangsan");
    let mut responses = Vec::new();
    responses.push(send(&stage, &message, |p| p[0] = "0".repeat(40)).await);
    responses.push(send(&stage, &message, |p| p[1] = "1700000000".into()).await);
    responses.push(send(&stage, &message, |p| p[2] = "wwffffffffffffffff".into()).await);
    responses.push(
        send(&stage, "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><xml>&e;</xml>", |_| {}).await,
    );
    for response in &responses {
        assert_eq!(response.status, 400);
        assert_eq!(response.body, responses[0].body);
    }
    assert_eq!(member.api(Method::GET, "/api/orders:list").await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_can_verify_the_address() {
    let stage = stage().await;
    let cipher = seal(AES_KEY, b"0123456789abcdef", "1616140317555161061", CORP).unwrap();
    let time = now();
    let signature = sign(TOKEN, &time, "n", &cipher);
    let mut console = Browser::new(&stage.gate, CHROME);
    let address =
        format!("{ADDRESS}?msg_signature={signature}&timestamp={time}&nonce=n&echostr={}", encoded(&cipher));
    let request = console.request(Method::GET, &address);
    let response = console.send(request).await;
    assert_eq!((response.status, response.body.as_str()), (200, "1616140317555161061"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_there_is_no_such_page() {
    let stage = Stage::start(|_| {}).await;
    assert_eq!(send(&stage, &left("zhangsan"), |_| {}).await.status, 404);
}

/// WeCom repeats an event without a response, and anyone who has seen one can replay it.
#[tokio::test(flavor = "multi_thread")]
async fn r34_one_event_two_hundred_times_at_once_is_acted_on_once() {
    let stage = stage().await;
    let mut leaver = stage.signed_in("zhangsan").await;
    let (time, to) = (now(), stage.gate.http);
    let cipher = seal(AES_KEY, b"0123456789abcdef", &left("zhangsan"), CORP).unwrap();
    let signature = sign(TOKEN, &time, "nonce1", &cipher);
    let body = format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><Encrypt><![CDATA[{cipher}]]></Encrypt></xml>"
    );
    let address = format!("{ADDRESS}?msg_signature={signature}&timestamp={time}&nonce=nonce1");
    let length = format!("Content-Length: {}\r\n", body.len());
    let event = request("POST", &address, &length) + &body;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let event = event.clone();
        all.spawn(async move { send_raw(to, event).await.status() });
    }
    let statuses = all.join_all().await;
    assert!(statuses.iter().all(|status| *status == 200), "{statuses:?} {}", stage.gate.output());
    assert_eq!(leaver.api(Method::GET, "/api/orders:list").await.status, 401);
    eventually("NocoBase has blocked the session", async || stage.nocobase.data().blocked.len() == 1).await;
    let log = stage.gate.log_until_now().await;
    let count = |event: &str| log.iter().filter(|l| l["event"] == event).count();
    assert_eq!((count("wecom_event"), count("session_ended")), (1, 1));
    assert_eq!(stage.nocobase.calls("auth:signOut"), 1);
}

/// An event about the address book: `change_contact` of this type, with these fields.
pub(crate) fn change(kind: &str, fields: &str) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName>\
         <CreateTime>{}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[change_contact]]></Event>\
         <ChangeType><![CDATA[{kind}]]></ChangeType>{fields}</xml>",
        now()
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_a_member_who_is_deleted_or_renamed_is_signed_out_at_once_and_no_other_is() {
    for (userid, kind, fields, is_out) in [
        ("zhangsan", "delete_user", "<UserID>zhangsan</UserID>", true),
        ("zhangsan", "update_user", "<UserID>zhangsan</UserID><NewUserID>zhangsan2</NewUserID>", true),
        ("zhangsan", "update_user", "<UserID>zhangsan</UserID><Name>Z</Name>", false),
        ("lisi", "delete_user", "<UserID>zhangsan</UserID>", false),
    ] {
        let stage = stage().await;
        let mut member = stage.signed_in(userid).await;
        assert_eq!(send(&stage, &change(kind, fields), |_| {}).await.status, 200);
        let status = member.api(Method::GET, "/api/orders:list").await.status;
        assert_eq!(status, if is_out { 401 } else { 200 }, "{userid}: {kind} {fields}");
    }
}

/// The departments are cached until an event reports a change.
#[tokio::test(flavor = "multi_thread")]
async fn r22_changed_departments_count_from_the_next_sign_in_on() {
    let stage = Stage::start(|config| {
        config.set("wecom.event_token", TOKEN).set("wecom.event_aes_key", AES_KEY);
        config.set("wecom.allow_departments", vec![3]);
    })
    .await;
    let asked = || stage.wecom().calls("/cgi-bin/department/simplelist");
    stage.signed_in("WangWu").await;
    let before = asked();
    stage.signed_in("WangWu").await;
    assert_eq!(asked(), before, "it is remembered");
    for (kind, fields) in [
        ("update_party", "<Id>2</Id>"),
        ("update_tag", "<TagId>1</TagId>"),
        ("update_user", "<UserID>lisi</UserID><Department>2</Department>"),
    ] {
        let before = asked();
        assert_eq!(send(&stage, &change(kind, fields), |_| {}).await.status, 200);
        stage.signed_in("WangWu").await;
        assert!(asked() > before, "{kind}");
    }
}

/// A member opens the app in WeCom: an event that changes nothing.
pub(crate) fn entered(userid: &str, at: usize) -> String {
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><FromUserName><![CDATA[{userid}]]></FromUserName>\
         <CreateTime>{at}</CreateTime><MsgType><![CDATA[event]]></MsgType><Event><![CDATA[enter_agent]]></Event>\
         <EventKey></EventKey><AgentID>1000002</AgentID></xml>"
    )
}

/// A stage whose members are looked up in WeCom every 10 seconds, or once a day while events arrive.
async fn seldom(rules: &[(&str, Vec<u32>)]) -> (Stage, Browser) {
    let stage = Stage::start(|config| {
        config.set("wecom.event_token", TOKEN).set("wecom.event_aes_key", AES_KEY);
        config.set("session.recheck", "10s").set("session.recheck_with_events", "24h");
        for (key, value) in rules {
            config.set(key, value.clone());
        }
    })
    .await;
    let member = stage.signed_in("zhangsan").await;
    (stage, member)
}

/// Three gates: at the first, events arrive; at the second, none; at the third they do, but departments decide who may use the
/// app, and WeCom does not report their changes to an app.
#[tokio::test(flavor = "multi_thread")]
async fn while_events_arrive_a_member_is_looked_up_only_when_one_says_so() {
    const USER_GET: &str = "/cgi-bin/user/get";
    let (with, mut a) = seldom(&[]).await;
    let (without, mut b) = seldom(&[]).await;
    let (with_rules, mut c) = seldom(&[("wecom.allow_departments", vec![2])]).await;
    let calls = |stage: &Stage| stage.wecom().calls(USER_GET);
    let begin = [calls(&with), calls(&without), calls(&with_rules)];
    let mut events = 0;
    // Until three rounds of rechecks have passed where they are made as usual.
    let started = Instant::now();
    while calls(&without) < begin[1] + 3 || calls(&with_rules) < begin[2] + 3 {
        assert!(started.elapsed() < LONG, "no rechecks");
        events += 1;
        for stage in [&with, &with_rules] {
            assert_eq!(send(stage, &entered("lisi", events), |_| {}).await.status, 200);
        }
        for browser in [&mut a, &mut b, &mut c] {
            assert_eq!(browser.api(Method::GET, "/api/orders:list").await.status, 200);
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // The first recheck of a node is made in any case, and another one if that was before the first event.
    let looked_up = calls(&with) - begin[0];
    assert!((1..=2).contains(&looked_up), "{looked_up}");
    // An event about the member.
    assert!(with.wecom().remove_member(CORP, "zhangsan"));
    assert_eq!(a.api(Method::GET, "/api/orders:list").await.status, 200);
    assert_eq!(send(&with, &change("update_user", "<UserID>ZhangSan</UserID>"), |_| {}).await.status, 200);
    eventually("the member is looked up", async || {
        a.api(Method::GET, "/api/orders:list").await.status == 401
    })
    .await;
}
