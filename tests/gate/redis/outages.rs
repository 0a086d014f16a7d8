//! Redis is unreachable, hangs, loses its data, or refuses commands.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::json;
use tokio::net::TcpStream;

use super::*;
use crate::support::{AGENT, CORP};

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_everything_works_and_missed_endings_follow() {
    let mut redis = Redis::start();
    let (stage, mut other) = two(&redis).await;
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    let (mut stays, _) = on_both(&stage, &other, "lisi").await;
    assert_eq!(trouble(&stage.gate).await, None);
    redis.down();
    for gate in [&stage.gate, &other] {
        is_up(gate, false).await;
        eventually("/readyz gives the reason", async || {
            let said = trouble(gate).await.unwrap();
            assert_eq!(said["name"], json!(redis.address.to_string()));
            said["why"] == "the connection is refused"
        })
        .await;
    }
    for browser in [&mut here, &mut there, &mut stays] {
        assert_eq!(file(browser).await, 200);
    }
    let began = Instant::now();
    stage.bound("anna.smith");
    assert_eq!(stage.phone("anna.smith").open("/admin").await.status, 200);
    assert!(began.elapsed() < SOON, "{:?}", began.elapsed());
    // Ended now: the other node is informed as soon as possible.
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    assert_eq!(file(&mut there).await, 200);
    redis.up();
    for gate in [&stage.gate, &other] {
        is_up(gate, true).await;
    }
    let took = refused_after(&mut there).await;
    println!("known {took:?} after Redis was back");
    assert_eq!(trouble(&stage.gate).await, None);
    assert_eq!(file(&mut stays).await, 200, "and no one else is signed out");

    // One node is unreachable, and is informed when it is back.
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    other.signal("STOP");
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    tokio::time::sleep(Duration::from_secs(3)).await;
    other.signal("CONT");
    refused_after(&mut there).await;

    // A node that starts later is informed too, although NocoBase has forgotten it.
    let (mut here, _) = on_both(&stage, &other, "lisi").await;
    let mut kept = here.clone();
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    stage.nocobase.data().blocked.clear();
    other = stage.second_node().await;
    kept.go_to(&other);
    eventually("it is refused", async || file(&mut kept).await == 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_hangs_delays_no_request() {
    // One that accepts connections and never responds.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut stage =
        Stage::start(|c| _ = c.set("session.redis", format!("redis://{}", silent.local_addr().unwrap())))
            .await;
    let began = Instant::now();
    let mut phone = stage.signed_in("zhangsan").await;
    let took = began.elapsed();
    println!("sign-in with a silent Redis: {took:?}");
    assert!(took < SOON, "{took:?}");
    assert!(
        trouble(&stage.gate).await.unwrap()["why"].as_str().unwrap().contains("no response within a second")
    );
    assert_eq!(phone.api(Method::GET, "/api/orders:list").await.status, 200);

    // One that stops while in use.
    let redis = Redis::start();
    stage.restart_with(|c| _ = c.set("session.redis", redis.url())).await;
    let mut phone = stage.signed_in("zhangsan").await;
    is_up(&stage.gate, true).await;
    stage.bound("lisi");
    redis.signal("STOP");
    let began = Instant::now();
    let mut second = stage.phone("lisi");
    let (page, all) = tokio::join!(second.open("/admin"), async {
        for _ in 0..40 {
            assert_eq!(file(&mut phone).await, 200);
        }
        began.elapsed()
    });
    let took = began.elapsed();
    println!("sign-in while Redis hangs: {took:?}; forty signed-in requests {all:?}");
    assert_eq!(page.status, 200);
    assert!(took < 2 * SOON, "{took:?}");
    // Each would wait for a second.
    assert!(all < 2 * SOON, "signed-in requests do not wait for it: {all:?}");
    is_up(&stage.gate, false).await;
    redis.signal("CONT");
    is_up(&stage.gate, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_redis_loses_is_published_again() {
    let mut redis = Redis::start();
    let (stage, other) = two(&redis).await;
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    other.signal("STOP");
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    let stream = format!("wecom-gate:http://{HOST}:endings");
    eventually("it is published", async || redis.ask_parts::<u64>(&["XLEN", &stream]) >= 1).await;
    redis.down();
    is_up(&stage.gate, false).await;
    redis.up();
    is_up(&stage.gate, true).await;
    other.signal("CONT");
    refused_after(&mut there).await;
}

/// After a failover to a Redis without the stream and with a slower clock: its entry ids are lower than those already read.
#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_begins_again_with_lower_numbers_is_read_from_its_beginning() {
    let mut redis = Redis::start();
    let (stage, other) = two(&redis).await;
    for gate in [&stage.gate, &other] {
        is_up(gate, true).await;
    }
    let stream = format!("wecom-gate:http://{HOST}:endings");
    let far = "99999999999999-1";
    let _: String = redis.ask_parts(&["XADD", &stream, far, "e", "from the year 5138"]);
    let ignored = r#"wecom_gate_redis_ignored_total{operation="listen"}"#;
    eventually("it is read", async || number(&other, ignored).await == Some(1.0)).await;
    let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
    redis.down();
    for gate in [&stage.gate, &other] {
        is_up(gate, false).await;
    }
    redis.up();
    for gate in [&stage.gate, &other] {
        is_up(gate, true).await;
    }
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    refused_after(&mut there).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_dies_while_it_fetches_the_token_delays_others_only_briefly() {
    let redis = Redis::start();
    let (stage, _) = two(&redis).await;
    stage.bound("zhangsan");
    let lease = format!("wecom-gate:http://{HOST}:fetching:{CORP}:{AGENT}");
    let _: String = redis.ask_parts(&["SET", &lease, "1", "PX", "60000"]);
    let began = Instant::now();
    assert_eq!(stage.phone("zhangsan").open("/admin").await.status, 200);
    let took = began.elapsed();
    println!("sign-in while another node seems to fetch the token: {took:?}");
    assert!(took > Duration::from_secs(2) && took < 2 * SOON, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_rights_in_redis_are_reported_once() {
    let redis = Redis::start();
    let _: String =
        redis.ask("ACL SETUSER less on >CANARY ~wecom-gate:* +set +get +del +expire +xread +xrevrange");
    let url = format!("redis://less:CANARY@{}", redis.address);
    let stage = Stage::start(|c| _ = c.set("session.redis", url)).await;
    let mut phone = stage.signed_in("zhangsan").await;
    assert_eq!(phone.api(Method::POST, "/api/auth:signOut").await.status, 200);
    let failed = r#"wecom_gate_redis_errors_total{operation="connect"}"#;
    eventually("it is tried again and again", async || {
        assert!(trouble(&stage.gate).await.unwrap()["why"].as_str().unwrap().contains("NOPERM"));
        number(&stage.gate, failed).await.unwrap() >= 3.0
    })
    .await;
    let log = stage.gate.log_until_now().await;
    let said: Vec<_> = log.iter().filter(|l| l["event"] == "redis").collect();
    assert_eq!(said.len(), 1, "{said:?}");
    // As soon as the permissions exist, without a restart.
    let _: String = redis.ask("ACL SETUSER less +xadd");
    is_up(&stage.gate, true).await;
}

/// A proxy in front of Redis that resets each connection after a while, as long as it is told to.
struct Resetting {
    address: SocketAddr,
    resets: Arc<AtomicBool>,
    count: Arc<AtomicUsize>,
}

impl Resetting {
    async fn start(redis: SocketAddr) -> Resetting {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (resets, count) = (Arc::new(AtomicBool::new(true)), Arc::new(AtomicUsize::new(0)));
        let proxy = Resetting { address, resets: resets.clone(), count: count.clone() };
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (resets, count) = (resets.clone(), count.clone());
                tokio::spawn(async move {
                    let mut server = TcpStream::connect(redis).await.unwrap();
                    let piped = tokio::io::copy_bidirectional(&mut client, &mut server);
                    if tokio::time::timeout(Duration::from_millis(700), piped).await.is_ok() {
                        return;
                    }
                    if resets.load(Ordering::SeqCst) {
                        socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
                        count.fetch_add(1, Ordering::SeqCst);
                    } else {
                        _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
                    }
                });
            }
        });
        proxy
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_breaks_again_and_again_has_one_line_when_it_begins_and_one_when_it_ends() {
    let redis = Redis::start();
    let proxy = Resetting::start(redis.address).await;
    let stage = Stage::start(|c| _ = c.set("session.redis", format!("redis://{}", proxy.address))).await;
    let began = Instant::now();
    // Two connections, about every other second.
    eventually("it has broken often", async || proxy.count.load(Ordering::SeqCst) >= 10).await;
    let log = stage.gate.log_until_now().await;
    let lines = |log: &[Value], level: &str| {
        log.iter().filter(|line| line["event"] == "redis" && line["level"] == level).count()
    };
    assert!(began.elapsed() < Duration::from_secs(60), "{:?}", began.elapsed());
    assert_eq!(lines(&log, "WARN"), 1, "{log:?}");
    // The first connection, before anything was wrong.
    let connected = lines(&log, "INFO");
    assert!(connected <= 1, "{log:?}");
    proxy.resets.store(false, Ordering::SeqCst);
    let over = "connected to Redis: the nodes share again";
    stage.gate.wait_for_lines("message", over, connected + 1).await;
    let log = stage.gate.log_until_now().await;
    assert_eq!((lines(&log, "WARN"), lines(&log, "INFO")), (1, connected + 1), "{log:?}");
}
