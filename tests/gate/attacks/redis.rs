//! A third party writes into the Redis that the nodes share, or reads it.

use reqwest::Method;
use secrecy::SecretSlice;
use wecom_gate::session::{Callback, Keyring, Purpose, UnixMillis};
use wecom_gate::shared::Ending;

use crate::redis::{GETTOKEN, file, is_up, number, on_both, ops, refused_after, state_of, trouble, two};
use crate::support::config::KEY;
use crate::support::raw::{gate_with, get, request, send_raw};
use crate::support::{HOST, Redis, Stage, becomes, eventually};

#[tokio::test(flavor = "multi_thread")]
async fn r27_a_wrong_password_is_reported_and_not_shown() {
    let redis = Redis::start_with(&["--requirepass", "the right one"]);
    let url = |password: &str| format!("redis://{password}{}", redis.address);
    let mut stage = Stage::start(|c| _ = c.set("session.redis", url(":CANARY@"))).await;
    let said = trouble(&stage.gate).await.unwrap();
    assert_eq!(said["why"], "the password is wrong");
    stage.signed_in("zhangsan").await;
    let shown =
        stage.gate.written_until_now().await + &ops(&stage.gate, "/metrics").await + &said.to_string();
    assert!(!shown.contains("CANARY"), "{shown}");
    stage.restart_with(|c| _ = c.set("session.redis", url(""))).await;
    assert!(trouble(&stage.gate).await.unwrap()["why"].as_str().unwrap().contains("NOAUTH"));
    stage.restart_with(|c| _ = c.set("session.redis", url(":the%20right%20one@"))).await;
    assert_eq!(trouble(&stage.gate).await, None);
    stage.signed_in("zhangsan").await;
    assert!(!stage.gate.written_until_now().await.contains("right one"));
}

#[tokio::test(flavor = "multi_thread")]
async fn r07_r13_entries_of_others_in_redis_are_ignored() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    let sid = stage.nocobase.data().tokens.last().unwrap()["jti"].as_str().unwrap().to_owned();
    let stream = format!("wecom-gate:http://{HOST}:endings");
    let token = redis.keys(":token:").pop().expect("the shared token");
    let good: String = redis.ask_parts(&["GET", &token]);

    // Endings: in clear text, sealed with another key, and with our key but for another purpose or name.
    let sealed = |key: [u8; 64], purpose, name: &str| {
        let ring = Keyring::new(&[SecretSlice::from(key.to_vec())], &format!("http://{HOST}")).unwrap();
        let member =
            Ending::Member { entry: "wecom".into(), userid: "zhangsan".into(), at: UnixMillis(u64::MAX / 2) };
        ring.seal(purpose, name.as_bytes(), &member).unwrap()
    };
    let ours: [u8; 64] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    assert!(KEY.starts_with("AAECAwQF"), "that is the key of the stage");
    let forged = [
        sid.clone(),
        format!("{{\"session\":\"{sid}\"}}"),
        sealed([7; 64], Purpose::Ending, &stream),
        sealed(ours, Purpose::Session, &stream),
        sealed(ours, Purpose::Ending, "wecom-gate:https://another.example:endings"),
        good.clone(),
        "A".repeat(100_000),
        String::new(),
    ];
    for text in &forged {
        let _: String = redis.ask_parts(&["XADD", &stream, "*", "e", text]);
        let _: i64 = redis.ask_parts(&["PUBLISH", &stream, text]);
    }
    let _: String = redis.ask_parts(&["XADD", &stream, "*", "other", "field", "e2", "x"]);
    let ignored = r#"wecom_gate_redis_ignored_total{operation="listen"}"#;
    for gate in [&stage.gate, &other] {
        eventually("all are read", async || number(gate, ignored).await == Some(9.0)).await;
        gate.wait_for_log(&["\"redis\"", "\"WARN\"", "not sealed with session.keys"]).await;
    }
    assert_eq!((file(&mut here).await, file(&mut there).await), (200, 200), "no one is signed out");

    // The token: garbage, and the sealed token of another app.
    let elsewhere = "wecom-gate:http://gate.test:token:another:1";
    let moved = {
        let ring = Keyring::new(&[SecretSlice::from(ours.to_vec())], &format!("http://{HOST}")).unwrap();
        ring.seal(Purpose::AccessToken, elsewhere.as_bytes(), &"forged").unwrap()
    };
    for text in ["", "forged-token", &forged[2], &moved] {
        let calls = stage.wecom().calls(GETTOKEN);
        let _: String = redis.ask_parts(&["SET", &token, text]);
        let node = stage.second_node().await;
        let mut phone = stage.phone("zhangsan");
        phone.go_to(&node);
        assert_eq!(phone.open("/admin").await.status, 200, "{text}");
        assert_eq!(stage.wecom().calls(GETTOKEN), calls + 1, "fetched again");
        let ignored = r#"wecom_gate_redis_ignored_total{operation="token"}"#;
        becomes("both readings are counted", Some(2.0), async || number(&node, ignored).await).await;
    }

    // A callback that was marked by an attacker in advance cannot be given a session.
    let mut phone = stage.phone("zhangsan");
    let callback = phone.up_to_callback("/admin").await;
    let state = state_of(&callback);
    let mark = Callback { code: "x", state, cookie: b"" }.state_key();
    let name: String = mark.iter().map(|b| format!("{b:02x}")).collect();
    let _: String = redis.ask_parts(&["SET", &format!("wecom-gate:http://{HOST}:callback:{name}"), &good]);
    let response = phone.visit(&callback).await;
    assert!(response.sets("wecom_gate"), "works alone: {}", response.body);
    let ignored = r#"wecom_gate_redis_ignored_total{operation="callback"}"#;
    becomes("it is counted", Some(1.0), async || number(&stage.gate, ignored).await).await;

    // Genuine entries still arrive.
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    refused_after(&mut there).await;
}

/// Writing into Redis keeps no departed member signed in: neither another member's status does, nor any other text.
#[tokio::test(flavor = "multi_thread")]
async fn r13_the_status_of_one_member_is_not_taken_for_anothers() {
    let redis = Redis::start();
    let stage = Stage::start(|c| {
        c.set("session.redis", redis.url()).set("session.recheck", "10s");
    })
    .await;
    is_up(&stage.gate, true).await;
    let stays = stage.signed_in("zhangsan").await;
    let uses =
        async |page: &crate::support::Browser| page.clone().api(Method::GET, "/api/orders:list").await.status;
    eventually("WeCom is asked about the one who stays", async || {
        assert_eq!(uses(&stays).await, 200);
        !redis.keys(":member:").is_empty()
    })
    .await;
    let good = redis.keys(":member:").pop().unwrap();
    let leaves = stage.signed_in("lisi").await;
    // The entry of the one who stays may have expired meanwhile.
    let of_leaver = || redis.keys(":member:").into_iter().find(|key| *key != good);
    let mut target = None;
    eventually("and about the one who leaves", async || {
        uses(&leaves).await;
        target = of_leaver();
        target.is_some()
    })
    .await;
    let target = target.unwrap();
    assert!(stage.wecom().remove_member(crate::support::CORP, "lisi"));
    let ignored = r#"wecom_gate_redis_ignored_total{operation="standing"}"#;
    eventually("the session ends nevertheless", async || {
        uses(&stays).await;
        let text: Option<String> = redis.ask_parts(&["GET", &good]);
        let _: String = redis.ask_parts(&["SET", &target, &text.unwrap_or_else(|| "good".into())]);
        uses(&leaves).await == 401
    })
    .await;
    eventually("it is counted", async || number(&stage.gate, ignored).await.is_some_and(|n| n > 0.0)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_installations_on_one_redis_do_not_meet() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    let another = Stage::start(|c| {
        c.set("session.redis", redis.url()).set("origin", "http://another.test");
    })
    .await;
    is_up(&another.gate, true).await;
    // What one node publishes is known to the other of the same installation, and so would reach all.
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    refused_after(&mut there).await;
    assert_eq!(number(&another.gate, "wecom_gate_sessions_seen").await, Some(0.0));
    let keys = redis.keys("");
    assert!(!keys.is_empty() && keys.iter().all(|k| k.starts_with("wecom-gate:http://")), "{keys:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_a_replayed_ending_ends_no_later_session() {
    let redis = Redis::start();
    let (stage, other) = two(&redis).await;
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    crate::events::member_left(&stage, "zhangsan").await;
    refused_after(&mut there).await;
    assert_eq!(file(&mut here).await, 401);
    // The member is back, and an attacker adds the entries of Redis once more.
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    let stream = format!("wecom-gate:http://{HOST}:endings");
    let published: redis::streams::StreamRangeReply = redis.ask_parts(&["XRANGE", &stream, "-", "+"]);
    assert!(!published.ids.is_empty());
    for entry in &published.ids {
        let text: String = entry.get("e").unwrap();
        let _: String = redis.ask_parts(&["XADD", &stream, "*", "e", &text]);
    }
    // Entries are read in order: once a later one has arrived, this one has.
    let (mut other_here, mut other_there) = on_both(&stage, &other, "lisi").await;
    assert_eq!(other_here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    refused_after(&mut other_there).await;
    assert_eq!((file(&mut here).await, file(&mut there).await), (200, 200));
    assert_eq!(number(&other, r#"wecom_gate_redis_ignored_total{operation="listen"}"#).await, Some(0.0));
}

/// Pending publications are counted in one place: two hundred simultaneous sign-outs while Redis is unreachable are two hundred
/// on the other node.
#[tokio::test(flavor = "multi_thread")]
async fn r34_two_hundred_sign_outs_at_once_all_reach_the_other_node() {
    let mut redis = Redis::start();
    let (_upstream, setup, here) = gate_with(|s| s.set("session.redis", redis.url())).await;
    let there = setup.start().await;
    let members: Vec<_> = (0..200).map(|_| setup.visitor()).collect();
    for member in &members {
        for gate in [&here, &there] {
            assert_eq!(send_raw(gate.http, get("/api/x", &member.lines())).await.status(), 200);
        }
    }
    redis.down();
    let mut all = tokio::task::JoinSet::new();
    for member in &members {
        let (to, cookie) = (here.http, member.cookie_line());
        let post = format!("{cookie}Origin: http://gate.test\r\nContent-Length: 0\r\n");
        all.spawn(async move { send_raw(to, request("POST", "/wecom-gate/logout", &post)).await.status() });
    }
    let statuses = all.join_all().await;
    assert!(statuses.iter().all(|status| *status == 303), "{statuses:?}");
    redis.up();
    for member in &members {
        eventually("the other node knows", async || {
            send_raw(there.http, get("/api/x", &member.lines())).await.status() == 401
        })
        .await;
    }
}
