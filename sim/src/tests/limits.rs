//! Rate limits.

use super::*;

fn limits(change: impl FnOnce(&mut RateLimits)) -> Settings {
    let mut s = Settings::default();
    change(&mut s.limits);
    s
}

#[test]
fn the_defaults_are_the_official_ones() {
    let l = RateLimits::default();
    assert_eq!((l.api_minute, l.api_hour, l.ip_minute, l.ip_hour), (10_000, 150_000, 20_000, 600_000));
    assert_eq!(l.gettoken_failures, 2000);
}

#[tokio::test]
async fn failing_gettoken_calls_end_in_an_hours_ban() {
    let b = bench_with(limits(|l| l.gettoken_failures = 3)).await;
    let bad = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret=wrong");
    let good = format!("/cgi-bin/gettoken?corpid={CORP}&corpsecret={SECRET}");
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(b.get(&bad).await["errcode"].as_i64().unwrap());
    }
    seen.push(b.get(&bad).await["errcode"].as_i64().unwrap());
    seen.push(b.get(&good).await["errcode"].as_i64().unwrap());
    assert_eq!(seen, [40001, 40001, 40001, 45009, 45009], "the right secret is banned, too");
    let elsewhere = b.http.get(b.url(&good)).header("x-sim-ip", "192.0.2.1").send().await.unwrap();
    assert_eq!(elsewhere.json::<Value>().await.unwrap()["errcode"], 0, "another address is not");
    b.advance(seconds(3598));
    assert_eq!(b.get(&good).await["errcode"], 45009);
    b.advance(seconds(3));
    assert_eq!(b.get(&good).await["errcode"], 0);
}

#[tokio::test]
async fn calls_per_company_and_api() {
    let b = bench_with(limits(|l| l.api_minute = 2)).await;
    let token = b.token().await;
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(b.call_with(&token, "user/get?userid=lisi").await["errcode"].as_i64().unwrap());
    }
    assert_eq!(seen, [0, 0, 45009]);
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 0, "another API is not touched");
    b.advance(seconds(61));
    assert_eq!(b.call_with(&token, "user/get?userid=lisi").await["errcode"], 0);
}

#[tokio::test]
async fn the_hour_has_its_own_limit() {
    let b = bench_with(limits(|l| l.api_hour = 1)).await;
    let token = b.token().await;
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 0);
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 45009);
    b.advance(seconds(3000));
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 45009, "blocked for the hour");
}

#[tokio::test]
async fn calls_per_address() {
    let b = bench_with(limits(|l| l.ip_minute = 2)).await;
    let token = b.token().await;
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 0);
    assert_eq!(b.call_with(&token, "tag/list").await["errcode"], 45009);
}

#[tokio::test]
async fn a_valid_code_is_exempt() {
    let b = bench_with(limits(|l| l.api_minute = 1)).await;
    let token = b.token().await;
    for _ in 0..5 {
        let code = b.code("lisi");
        assert_eq!(b.call_with(&token, &format!("auth/getuserinfo?code={code}")).await["errcode"], 0);
    }
    assert_eq!(b.call_with(&token, "auth/getuserinfo?code=x").await["errcode"], 40029);
    assert_eq!(b.call_with(&token, "auth/getuserinfo?code=x").await["errcode"], 45009);
}
