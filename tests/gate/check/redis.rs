//! The steps about Redis, with the real server.

use super::*;
use crate::support::Redis;

#[tokio::test(flavor = "multi_thread")]
async fn redis_is_tried_with_everything_that_the_gate_does() {
    let mut scene = Scene::set().await;
    let open = Redis::start();
    scene.config.set("session.redis", open.url());
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, checked.with("failed")), (0, vec![]), "{:#}", checked.report);
    assert_eq!(checked.step("redis")["outcome"], "ok");
    checked.shows("redis", &format!("at {}", open.address));
    assert!(open.keys("").is_empty(), "nothing is left behind");

    // An eviction policy under which entries may be lost.
    let _: String = open.ask("CONFIG SET maxmemory 100mb");
    let _: String = open.ask("CONFIG SET maxmemory-policy allkeys-lru");
    let checked = scene.check(&[]).await;
    assert_eq!((checked.code, &checked.step("redis")["outcome"]), (0, &json!("warning")));
    checked.shows("redis", "noeviction");
    let _: String = open.ask("CONFIG SET maxmemory-policy noeviction");

    // A replica, a user with too few rights, a database that does not exist.
    let _: String = open.ask("REPLICAOF 127.0.0.1 1");
    scene.check(&[]).await.only_failure("redis", "name the primary");
    let _: String = open.ask("REPLICAOF NO ONE");
    let least = "+set +get +del +expire +xadd +xread +xrevrange +select +info";
    let _: String = open.ask(&format!("ACL SETUSER gate on >CANARY ~wecom-gate:* {least}"));
    let _: String = open.ask("ACL SETUSER less on >CANARY ~wecom-gate:* +set +get +del +info");
    let as_user = |user: &str, db: &str| format!("redis://{user}:CANARY@{}/{db}", open.address);
    scene.config.set("session.redis", as_user("gate", "1"));
    assert_eq!(
        scene.check(&[]).await.step("redis")["outcome"],
        "ok",
        "the rights of the documentation are enough"
    );
    // The console needs some more.
    let admins = scene.config.clone();
    scene.config.set("access.admins", vec!["wecom/zhangsan"]);
    let checked = scene.check(&[]).await;
    for command in ["RPUSH", "LTRIM", "LRANGE"] {
        checked.shows("redis", &format!("refuses {command}:"));
    }
    let _: String = open.ask("ACL SETUSER gate +rpush +ltrim +lrange");
    assert_eq!(scene.check(&[]).await.step("redis")["outcome"], "ok");
    scene.config = admins;
    scene.config.set("session.redis", as_user("less", "0"));
    let checked = scene.check(&[]).await;
    checked.only_failure("redis", "NOPERM");
    for command in ["EXPIRE", "XADD", "XREAD", "XREVRANGE"] {
        checked.shows("redis", &format!("refuses {command}:"));
    }
    checked.shows("redis", "ACL SETUSER");
    scene.config.set("session.redis", as_user("gate", "99"));
    scene.check(&[]).await.only_failure("redis", "ERR");
}

#[tokio::test(flavor = "multi_thread")]
async fn redis_that_is_unreachable_or_refuses_the_connection() {
    let mut scene = Scene::set().await;
    let mut redis = Redis::start_with(&["--requirepass", "the right one"]);
    let url = |password: &str| format!("redis://{password}{}", redis.address);
    let (none, wrong, right) = (url(""), url(":CANARY@"), url(":the%20right%20one@"));
    scene.config.set("session.redis", none);
    scene.check(&[]).await.only_failure("redis", "NOAUTH");
    scene.config.set("session.redis", wrong);
    scene.check(&[]).await.only_failure("redis", "the password is wrong");
    scene.config.set("session.redis", right);
    assert_eq!(scene.check(&[]).await.step("redis")["outcome"], "ok");
    redis.down();
    scene.check(&[]).await.only_failure("redis", "the connection is refused");

    scene.config.set("session.redis", "redis://no-such-host.invalid");
    scene.check(&[]).await.only_failure("redis", "correct the host");
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    scene.config.set("session.redis", format!("redis://{}", silent.local_addr().unwrap()));
    scene.check(&[]).await.only_failure("redis", "no response within a second");
    // NocoBase is not a Redis, and a Redis without TLS does not accept TLS.
    scene.config.set("session.redis", format!("redis://{}", scene.nocobase.address));
    scene.check(&[]).await.only_failure("redis", "another program");
    redis.up();
    scene.config.set("session.redis", format!("rediss://{}", redis.address));
    scene.check(&[]).await.only_failure("redis", "redis:// and rediss://");
}
