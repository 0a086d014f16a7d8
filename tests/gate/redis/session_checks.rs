//! A session that NocoBase has confirmed to one node costs no check on another, and that revives none that has ended.

use redis::Commands as _;
use secrecy::SecretSlice;
use wecom_gate::session::{Keyring, Purpose, UnixMillis};

use super::*;

const CHECK: &str = "auth:check";
const STATUS: &str = ":session:";
const MARK: &str = ":ended:";

/// What is put under a session's name instead of its status.
type Forgery<'a> = &'a dyn Fn(&str) -> Vec<u8>;

fn stream() -> String {
    format!("wecom-gate:http://{HOST}:endings")
}

/// Waits until the node has read all endings.
async fn listens(redis: &Redis, gate: &Gate) {
    is_up(gate, true).await;
    let ignored = r#"wecom_gate_redis_ignored_total{operation="listen"}"#;
    let before = number(gate, ignored).await;
    let _: String = redis.ask_parts(&["XADD", &stream(), "*", "e", "of somebody else"]);
    eventually("the stream is read", async || number(gate, ignored).await > before).await;
}

/// Two nodes that have read all endings.
async fn two_that_listen(redis: &Redis) -> (Stage, Gate) {
    let (stage, other) = two(redis).await;
    listens(redis, &stage.gate).await;
    listens(redis, &other).await;
    (stage, other)
}

/// How often Redis has failed, or was late.
async fn failures(gates: &[&Gate]) -> f64 {
    let mut all = 0.0;
    for gate in gates {
        let metrics = ops(gate, "/metrics").await;
        let failed = metrics.lines().filter(|line| line.starts_with("wecom_gate_redis_errors_total{"));
        all += failed.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum::<f64>();
    }
    all
}

/// On a busy machine Redis may be late, and then each node asks for itself: such a turn is repeated.
async fn undisturbed<T>(redis: &Redis, gates: &[&Gate], mut turn: impl AsyncFnMut() -> T) -> T {
    for _ in 0..20 {
        for gate in gates {
            listens(redis, gate).await;
        }
        let before = failures(gates).await;
        let found = turn().await;
        if failures(gates).await == before {
            return found;
        }
    }
    panic!("Redis is late all the time");
}

/// A new session, and the key under which it is published.
async fn signed_in(stage: &Stage, redis: &Redis, userid: &str) -> (Browser, String) {
    let before = redis.keys(STATUS);
    let browser = stage.signed_in(userid).await;
    let published = || redis.keys(STATUS).into_iter().find(|key| !before.contains(key));
    eventually("it is published", async || published().is_some()).await;
    (browser, published().unwrap())
}

fn value(redis: &Redis, key: &str) -> Option<Vec<u8>> {
    redis.connection().get(key).unwrap()
}

/// Waits until a node has published something else than this.
async fn replaced(redis: &Redis, key: &str, text: &[u8]) {
    eventually("it is published", async || value(redis, key).is_some_and(|now| now != text && now != b"1"))
        .await;
}

fn put(redis: &Redis, key: &str, text: &[u8]) {
    redis.connection().set(key, text).unwrap()
}

fn remove(redis: &Redis, key: &str) {
    redis.connection().del(key).unwrap()
}

/// What a node does with a session that it has not seen: the status of the response, and how many checks that cost.
async fn seen_at(stage: &Stage, gate: &Gate, browser: &Browser) -> (u16, usize) {
    let (mut there, before) = (browser.clone(), stage.nocobase.calls(CHECK));
    there.go_to(gate);
    let status = file(&mut there).await;
    (status, stage.nocobase.calls(CHECK) - before)
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_that_one_node_knows_cost_no_check_on_another() {
    const SESSIONS: usize = 20;
    let redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let checks = undisturbed(&redis, &[&stage.gate, &other], async || {
        let published = redis.keys(STATUS).len();
        let mut all = Vec::new();
        for _ in 0..SESSIONS {
            all.push(stage.signed_in("zhangsan").await);
        }
        eventually("all are published", async || redis.keys(STATUS).len() == published + SESSIONS).await;
        let mut checks = 0;
        for browser in &all {
            let (status, asked) = seen_at(&stage, &other, browser).await;
            assert_eq!(status, 200);
            checks += asked;
        }
        checks
    })
    .await;
    assert_eq!(checks, 0);
    // Nothing readable, and it does not stay.
    let dump = redis.dump();
    for secret in ["zhangsan", "张三", stage.nocobase.data().tokens[0]["jti"].as_str().unwrap()] {
        assert!(!dump.contains(secret), "{dump}");
    }
    for key in redis.keys(STATUS) {
        let left: i64 = redis.ask_parts(&["TTL", &key]);
        assert!((1..=900).contains(&left), "{key}: {left} s");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_first_seen_by_two_nodes_at_the_same_moment_is_asked_about_once() {
    let redis = Redis::start();
    let (stage, one) = two_that_listen(&redis).await;
    let other = stage.second_node().await;
    // The second one has to wait for the first.
    stage.nocobase.delay(CHECK, Duration::from_millis(100), usize::MAX);
    let checks = undisturbed(&redis, &[&stage.gate, &one, &other], async || {
        let (mut a, key) = signed_in(&stage, &redis, "zhangsan").await;
        remove(&redis, &key);
        let mut b = a.clone();
        a.go_to(&one);
        b.go_to(&other);
        let before = stage.nocobase.calls(CHECK);
        assert_eq!(tokio::join!(file(&mut a), file(&mut b)), (200, 200));
        let checks = stage.nocobase.calls(CHECK) - before;
        replaced(&redis, &key, b"").await;
        checks
    })
    .await;
    assert_eq!(checks, 1);
}

/// A node that fails to get a response, or dies, leaves the question to the next one.
#[tokio::test(flavor = "multi_thread")]
async fn a_check_that_does_not_end_elsewhere_is_made_here() {
    let redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let (browser, key) = signed_in(&stage, &redis, "zhangsan").await;
    put(&redis, &key, b"1");
    let began = Instant::now();
    let seen = tokio::time::timeout(SOON, seen_at(&stage, &other, &browser)).await;
    assert_eq!(seen, Ok((200, 1)), "the other node is waited for without an end");
    println!("asked here after {:?}", began.elapsed());
    replaced(&redis, &key, b"").await;
    // One that got no response does not keep the others waiting until its time, 5 s, is over.
    let (mut browser, key) = signed_in(&stage, &redis, "zhangsan").await;
    stage.nocobase.fail(CHECK, 503, "{}", usize::MAX);
    browser.go_to(&other);
    let mut kept = Vec::new();
    while kept.last().is_none_or(|kept| *kept > Duration::from_secs(4)) {
        assert!(kept.len() < 5, "kept for {kept:?}");
        remove(&redis, &key);
        let began = Instant::now();
        assert_eq!(file(&mut browser).await, 503);
        eventually("it is left to others", async || value(&redis, &key).is_none()).await;
        kept.push(began.elapsed());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recheck_is_published_too() {
    let redis = Redis::start();
    let stage = Stage::start(|c| {
        c.set("session.redis", redis.url()).set("session.recheck", "10s");
    })
    .await;
    listens(&redis, &stage.gate).await;
    let (mut browser, key) = signed_in(&stage, &redis, "zhangsan").await;
    let first = value(&redis, &key).unwrap();
    eventually("another one", async || {
        assert_eq!(file(&mut browser).await, 200);
        value(&redis, &key).is_some_and(|now| now != first)
    })
    .await;
}

/// However many nodes a session's requests reach, NocoBase is asked about it once per `session.recheck`.
#[tokio::test(flavor = "multi_thread")]
async fn several_nodes_recheck_a_session_as_often_as_one() {
    const RECHECK: Duration = Duration::from_secs(10);
    let redis = Redis::start();
    let stage = Stage::start(|c| {
        c.set("session.redis", redis.url()).set("session.recheck", "10s");
    })
    .await;
    let other = stage.second_node().await;
    let apart = undisturbed(&redis, &[&stage.gate, &other], async || {
        let (mut here, mut there) = on_both(&stage, &other, "zhangsan").await;
        let before = stage.nocobase.calls(CHECK);
        let mut asked = Vec::new();
        while asked.len() < 3 {
            assert_eq!(tokio::join!(file(&mut here), file(&mut there)), (200, 200));
            asked.resize((stage.nocobase.calls(CHECK) - before).max(asked.len()), Instant::now());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let apart = asked.windows(2).map(|pair| pair[1] - pair[0]);
        apart.min().unwrap()
    })
    .await;
    // A call is seen up to one round of this loop late.
    assert!(apart > RECHECK / 2, "asked again after {apart:?}");
}

/// A node that has just started is told by another which sessions are valid, once it meets the first of them; not those that have ended.
#[tokio::test(flavor = "multi_thread")]
async fn r16_a_node_that_starts_is_told_of_the_sessions_that_are_valid() {
    let redis = Redis::start();
    let (stage, _) = two_that_listen(&redis).await;
    let mut all = Vec::new();
    for _ in 0..10 {
        let (browser, key) = signed_in(&stage, &redis, "zhangsan").await;
        let before = value(&redis, &key).unwrap();
        all.push((browser, key, before));
    }
    let (mut ended, of_ended) = signed_in(&stage, &redis, "lisi").await;
    let (replayed, before) = (ended.clone(), value(&redis, &of_ended).unwrap());
    assert_eq!(ended.api(Method::POST, "/api/auth:signOut").await.status, 200);
    let new = stage.second_node().await;
    listens(&redis, &new).await;
    // The first one costs a check; a few, if Redis is late on a busy machine.
    loop {
        let (browser, ..) = all.remove(0);
        let late = failures(&[&new]).await;
        assert_eq!(seen_at(&stage, &new, &browser).await, (200, 1));
        if failures(&[&new]).await == late {
            break;
        }
    }
    for (_, key, before) in &all {
        replaced(&redis, key, before).await;
    }
    assert_eq!(value(&redis, &of_ended), Some(before), "what has ended is not published again");
    assert_eq!(seen_at(&stage, &new, &replayed).await.0, 401);
    let late = failures(&[&new]).await;
    for (browser, ..) in &all {
        let (status, checks) = seen_at(&stage, &new, browser).await;
        assert_eq!(status, 200);
        assert!(checks == 0 || failures(&[&new]).await > late);
    }
}

/// Where the nodes know different sessions, because the balancer keeps users on one node, each of them tells of its own.
#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_starts_is_told_of_the_sessions_of_every_other_node() {
    let redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let mut all = Vec::new();
    for gate in [&stage.gate, &other].into_iter().cycle().take(8) {
        let before = redis.keys(STATUS);
        let mut browser = stage.phone("lisi");
        if all.is_empty() {
            stage.bound("lisi");
        }
        browser.go_to(gate);
        assert_eq!(browser.open("/admin").await.status, 200);
        let published = || redis.keys(STATUS).into_iter().find(|key| !before.contains(key));
        eventually("it is published", async || published().is_some()).await;
        let key = published().unwrap();
        let before = value(&redis, &key).unwrap();
        all.push((browser, key, before));
    }
    let new = stage.second_node().await;
    listens(&redis, &new).await;
    // One, or a few if Redis is late on a busy machine.
    loop {
        let (browser, ..) = all.remove(0);
        let late = failures(&[&new]).await;
        assert_eq!(seen_at(&stage, &new, &browser).await, (200, 1));
        if failures(&[&new]).await == late {
            break;
        }
    }
    for (_, key, before) in &all {
        replaced(&redis, key, before).await;
    }
}

/// Each node knows what NocoBase said since it has been connected, and asks about everything else itself: here both ask, so that the
/// end of a session which Redis has lost counts nevertheless.
#[tokio::test(flavor = "multi_thread")]
async fn r16_what_was_confirmed_before_a_node_was_connected_does_not_count() {
    let mut redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let (mut here, key) = signed_in(&stage, &redis, "zhangsan").await;
    let (kept, confirmed) = (here.clone(), value(&redis, &key).unwrap());
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    eventually("NocoBase knows", async || !stage.nocobase.data().blocked.is_empty()).await;
    // Somebody puts it back, and removes everything else: a node that starts now has NocoBase alone.
    let _: String = redis.ask("FLUSHALL");
    put(&redis, &key, &confirmed);
    let new = stage.second_node().await;
    listens(&redis, &new).await;
    assert_eq!(seen_at(&stage, &new, &kept).await, (401, 1));

    // Redis is restored from a copy that is older than the end of the session.
    let (browser, key) = signed_in(&stage, &redis, "zhangsan").await;
    let confirmed = value(&redis, &key).unwrap();
    redis.down();
    is_up(&other, false).await;
    let jti = stage.nocobase.data().tokens.last().unwrap()["jti"].as_str().unwrap().to_owned();
    stage.nocobase.data().blocked.insert(jti);
    redis.up();
    put(&redis, &key, &confirmed);
    listens(&redis, &other).await;
    assert_eq!(seen_at(&stage, &other, &browser).await, (401, 1));
}

/// The ending wins also if its confirmation is published later, by a node that was slow or by somebody who has kept it.
#[tokio::test(flavor = "multi_thread")]
async fn r16_a_confirmation_revives_no_session_that_has_ended() {
    let redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let (mut here, key) = signed_in(&stage, &redis, "zhangsan").await;
    let (kept, confirmed) = (here.clone(), value(&redis, &key).unwrap());
    // The other node cannot listen meanwhile.
    other.signal("STOP");
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    eventually("it is published", async || !redis.keys(MARK).is_empty()).await;
    put(&redis, &key, &confirmed);
    other.signal("CONT");
    let (mut replayed, mut again) = (kept.clone(), kept.clone());
    replayed.go_to(&other);
    assert_eq!(file(&mut replayed).await, 401);
    assert_eq!(file(&mut again).await, 401);
    // A member who has left, too: the other node has seen one of the two sessions.
    let (_, mut there) = on_both(&stage, &other, "lisi").await;
    let (mut unseen, key) = signed_in(&stage, &redis, "lisi").await;
    crate::events::member_left(&stage, "lisi").await;
    refused_after(&mut there).await;
    assert!(value(&redis, &key).is_some(), "what NocoBase confirmed is still published");
    unseen.go_to(&other);
    assert_eq!(file(&mut unseen).await, 401);
}

/// While there is a mark, each node asks NocoBase, and does not publish what it responds.
#[tokio::test(flavor = "multi_thread")]
async fn r16_where_an_end_has_been_published_every_node_asks_nocobase() {
    let redis = Redis::start();
    let (stage, _) = two_that_listen(&redis).await;
    let (mut here, key) = signed_in(&stage, &redis, "zhangsan").await;
    let kept = here.clone();
    assert_eq!(here.api(Method::POST, "/api/auth:signOut").await.status, 200);
    eventually("NocoBase knows", async || !stage.nocobase.data().blocked.is_empty()).await;
    eventually("and all nodes", async || redis.keys(MARK).len() == 1).await;
    let left: i64 = redis.ask_parts(&["TTL", &redis.keys(MARK)[0]]);
    assert!((1000..=1200).contains(&left), "longer than a confirmation counts: {left} s");
    // NocoBase and the stream have forgotten: the mark alone is left.
    stage.nocobase.data().blocked.clear();
    remove(&redis, &stream());
    remove(&redis, &key);
    for _ in 0..2 {
        let node = stage.second_node().await;
        listens(&redis, &node).await;
        assert_eq!(seen_at(&stage, &node, &kept).await, (200, 1));
        assert!(value(&redis, &key).is_none_or(|text| text == b"1"), "published");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r13_r18_what_is_not_sealed_for_this_session_is_ignored() {
    let redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let (_, another) = signed_in(&stage, &redis, "lisi").await;
    let of_another = value(&redis, &another).unwrap();
    let now = UnixMillis::from(std::time::SystemTime::now());
    let ring =
        |key: [u8; 64], origin: &str| Keyring::new(&[SecretSlice::from(key.to_vec())], origin).unwrap();
    let ours: [u8; 64] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let origin = format!("http://{HOST}");
    let sealed = |ring: Keyring, purpose, name: &str| {
        ring.seal(purpose, name.as_bytes(), &(now, now)).unwrap().into_bytes()
    };
    let forged: [Forgery<'_>; 7] = [
        &|_| of_another.clone(),
        &|_| Vec::new(),
        &|_| now.0.to_string().into_bytes(),
        &|name| sealed(ring([7; 64], &origin), Purpose::SessionStatus, name),
        &|name| sealed(ring(ours, "http://another.test"), Purpose::SessionStatus, name),
        &|name| sealed(ring(ours, &origin), Purpose::MemberStatus, name),
        &|_| sealed(ring(ours, &origin), Purpose::SessionStatus, &another),
    ];
    let ignored = r#"wecom_gate_redis_ignored_total{operation="session"}"#;
    for (number_of, text) in forged.iter().enumerate() {
        let checks = undisturbed(&redis, &[&stage.gate, &other], async || {
            let before = number(&other, ignored).await.unwrap();
            let (browser, key) = signed_in(&stage, &redis, "zhangsan").await;
            let text = text(&key);
            put(&redis, &key, &text);
            let (status, asked) = seen_at(&stage, &other, &browser).await;
            replaced(&redis, &key, &text).await;
            (status, asked, number(&other, ignored).await.unwrap() - before)
        })
        .await;
        assert_eq!(checks, (200, 1, 1.0), "{number_of}");
    }
    // What a node would have sealed counts: the others were refused for what they are.
    let checks = undisturbed(&redis, &[&stage.gate, &other], async || {
        let (browser, key) = signed_in(&stage, &redis, "zhangsan").await;
        let now = UnixMillis::from(std::time::SystemTime::now());
        let text = ring(ours, &origin).seal(Purpose::SessionStatus, key.as_bytes(), &(now, now)).unwrap();
        put(&redis, &key, text.as_bytes());
        seen_at(&stage, &other, &browser).await
    })
    .await;
    assert_eq!(checks, (200, 0));
}

/// It counts for one recheck from when NocoBase was asked, however late a node learns of it, or is told again.
#[tokio::test(flavor = "multi_thread")]
async fn r16_a_confirmation_counts_from_when_nocobase_was_asked() {
    const RECHECK: Duration = Duration::from_secs(900);
    let redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let key: [u8; 64] = std::array::from_fn(|i| u8::try_from(i).unwrap());
    let ring = Keyring::new(&[SecretSlice::from(key.to_vec())], &format!("http://{HOST}")).unwrap();
    let put_back = |key: &str, asked_before: Duration, later: Duration| {
        let now = UnixMillis::from(std::time::SystemTime::now() + later);
        let asked_at = UnixMillis::from(std::time::SystemTime::now() + later - asked_before);
        put(
            &redis,
            key,
            ring.seal(Purpose::SessionStatus, key.as_bytes(), &(asked_at, now)).unwrap().as_bytes(),
        );
    };
    // Too long ago; or by a clock that is far ahead, and so could count for longer.
    let ahead = Duration::from_secs(3600);
    for (asked_before, later) in [(RECHECK, Duration::ZERO), (Duration::ZERO, ahead), (ahead, ahead)] {
        let seen = undisturbed(&redis, &[&stage.gate, &other], async || {
            let (browser, key) = signed_in(&stage, &redis, "zhangsan").await;
            put_back(&key, asked_before, later);
            seen_at(&stage, &other, &browser).await
        })
        .await;
        assert_eq!(seen, (200, 1), "{asked_before:?} {later:?}");
    }
    // Nearly so: this node asks soon, not after another `session.recheck`.
    let (mut browser, key) = signed_in(&stage, &redis, "zhangsan").await;
    put_back(&key, RECHECK - Duration::from_secs(10), Duration::ZERO);
    let before = stage.nocobase.calls(CHECK);
    browser.go_to(&other);
    eventually("NocoBase is asked", async || {
        assert_eq!(file(&mut browser).await, 200);
        stage.nocobase.calls(CHECK) > before
    })
    .await;
}

/// A node whose first key is another one finds nothing, and asks.
#[tokio::test(flavor = "multi_thread")]
async fn r14_while_keys_are_rotated_each_node_asks_for_itself() {
    let redis = Redis::start();
    let (stage, _) = two_that_listen(&redis).await;
    let mut config = stage.config.clone();
    config.set("session.keys", vec![crate::support::config::OTHER_KEY, crate::support::config::KEY]);
    let rotated = Gate::start(&config).await;
    listens(&redis, &rotated).await;
    let (browser, _) = signed_in(&stage, &redis, "zhangsan").await;
    assert_eq!(seen_at(&stage, &rotated, &browser).await, (200, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn while_redis_is_away_or_hangs_each_node_asks_for_itself() {
    let mut redis = Redis::start();
    let (stage, other) = two_that_listen(&redis).await;
    let (second, _) = signed_in(&stage, &redis, "lisi").await;
    // A person waits a quarter of a second for a Redis that hangs, not the second that everything else does. A busy machine may need
    // several turns to show it.
    let mut took = Vec::new();
    while took.last().is_none_or(|took| *took > Duration::from_millis(900)) {
        assert!(took.len() < 10, "{took:?}");
        listens(&redis, &other).await;
        let (first, _) = signed_in(&stage, &redis, "zhangsan").await;
        let began = Instant::now();
        redis.signal("STOP");
        assert_eq!(seen_at(&stage, &other, &first).await, (200, 1));
        took.push(began.elapsed());
        redis.signal("CONT");
    }
    println!("seen for the first time while Redis hangs: {took:?}");
    redis.down();
    is_up(&other, false).await;
    assert_eq!(seen_at(&stage, &other, &second).await, (200, 1));
}
