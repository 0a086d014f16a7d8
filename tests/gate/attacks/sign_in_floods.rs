//! R17, R34: how many WeCom calls one address may cause, and many at once. Signed-in users are not affected.

use serde_json::json;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use wecom_sim::Fault;

use crate::support::output::parsed;
use crate::support::raw::{WECOM, gate_with, get, read_response, send_raw};
use crate::support::{Browser, Stage, eventually};

const SPENT: &str = "/cgi-bin/auth/getuserinfo";

fn page(target: &str, headers: &str) -> String {
    get(target, &format!("User-Agent: {WECOM}\r\nAccept: text/html\r\nAccept-Language: en\r\n{headers}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_sign_ins_of_one_address_are_counted_and_nothing_else_is() {
    let (upstream, setup, gate) = gate_with(|s| s.set("limits.sign_ins_per_minute", 6)).await;
    let member = setup.visitor();
    for target in ["/admin", "/wecom-gate/login?rd=/x"].repeat(3) {
        let response = send_raw(gate.http, page(target, "")).await;
        assert_eq!(response.status(), 302, "{target}: {}", response.text());
    }
    for _ in 0..20 {
        for target in ["/admin", "/wecom-gate/login"] {
            let response = send_raw(gate.http, page(target, "")).await;
            assert_eq!(response.status(), 429, "{target}: {}", response.text());
            assert_eq!(response.header("retry-after").as_deref(), Some("10"));
            assert_eq!(response.header("cache-control").as_deref(), Some("no-store"));
            assert!(response.body().contains("Please wait a moment"), "{}", response.text());
            assert!(response.cookies().is_empty(), "{:?}", response.cookies());
        }
    }
    // A script or a program gets the refusal as JSON.
    for asks in
        ["Accept: application/json\r\n", "X-Requested-With: XMLHttpRequest\r\n", "Sec-Fetch-Mode: cors\r\n"]
    {
        let ua = format!("User-Agent: {WECOM}\r\n{asks}");
        let response = send_raw(gate.http, get("/wecom-gate/login", &ua)).await;
        assert_eq!(
            (response.status(), response.header("retry-after").as_deref()),
            (429, Some("10")),
            "{asks}"
        );
        assert_eq!(response.header("cache-control").as_deref(), Some("no-store"));
        let body: serde_json::Value = serde_json::from_str(&response.body()).unwrap_or_default();
        assert_eq!(body["errors"][0]["code"], "TOO_MANY_REQUESTS", "{asks}: {}", response.text());
    }
    // Requests with a session, to a public path, and of a program that is refused anyway do not count.
    for _ in 0..20 {
        let lines = member.lines();
        assert_eq!(send_raw(gate.http, get("/api/x", &lines)).await.status(), 200);
        assert_eq!(send_raw(gate.http, page("/admin", &member.cookie_line())).await.status(), 200);
        assert_eq!(send_raw(gate.http, get("/api/public", "")).await.status(), 200);
        assert_eq!(send_raw(gate.http, get("/api/x", "")).await.status(), 401);
    }
    assert_eq!(send_raw(gate.http, page("/wecom-gate/login", &member.cookie_line())).await.status(), 302);
    assert_eq!(upstream.take().len(), 60);
    // One line for all of them.
    let lines = gate.wait_for_lines("event", "throttled", 1).await;
    let written = gate.written_until_now().await;
    assert_eq!(parsed(&written).iter().filter(|l| l["event"] == "throttled").count(), 1, "{lines:?}");
    assert_eq!(lines[0]["client"], "127.0.0.1");
    assert_eq!(lines[0]["key"], "limits.sign_ins_per_minute");
    assert_eq!(lines[0]["label"], "too_many_requests");
    assert!(!written.contains(r#""refused","label":"too_many_requests""#), "{written}");
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_behind_a_proxy_each_client_is_counted_and_forged_addresses_are_not() {
    let (_upstream, _setup, gate) = gate_with(|s| {
        s.set("limits.sign_ins_per_minute", 2).set("access.trusted_proxies", vec!["127.0.0.0/8"])
    })
    .await;
    let ask = async |from: &str| {
        send_raw(gate.http, page("/admin", &format!("X-Forwarded-For: {from}\r\n"))).await.status()
    };
    for (from, passes) in [
        ("198.51.100.1", true),
        ("198.51.100.1", true),
        ("198.51.100.1", false),
        ("203.0.113.8, 198.51.100.1", false),
        ("198.51.100.2", true),
        // An IPv6 /64 network counts as one address.
        ("2001:db8:1:2::1", true),
        ("2001:db8:1:2:ffff::7", true),
        ("2001:db8:1:2:3:4:5:6", false),
        ("2001:db8:1:3::1", true),
    ] {
        assert_eq!(ask(from).await, if passes { 302 } else { 429 }, "{from}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_without_a_proxy_no_client_chooses_its_address() {
    let (_upstream, _setup, gate) = gate_with(|s| s.set("limits.sign_ins_per_minute", 3)).await;
    let mut passed = 0;
    for i in 0..10 {
        let lie =
            format!("X-Forwarded-For: 10.0.0.{i}\r\nX-Real-IP: 10.0.0.{i}\r\nForwarded: for=10.0.0.{i}\r\n");
        passed += usize::from(send_raw(gate.http, page("/admin", &lie)).await.status() == 302);
    }
    assert_eq!(passed, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_whole_company_signs_in_from_one_address_at_nine_o_clock() {
    let (_upstream, _setup, gate) =
        gate_with(|s| s.set("log.level", "info").set("log.access_log", false)).await;
    let mut crowd = Vec::new();
    for _ in 0..10 {
        let address = gate.http;
        crowd.push(tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.unwrap();
            for _ in 0..500 {
                stream.write_all(page("/admin", "").as_bytes()).await.unwrap();
                let response = read_response(&mut stream).await;
                assert_eq!(response.status(), 302, "{}", response.text());
            }
        }));
    }
    for members in crowd {
        members.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_rejected_callbacks_are_counted_and_real_ones_are_not() {
    let stage = Stage::start(|c| {
        c.set("limits.bad_callbacks_per_minute", 4);
        c.set("access.trusted_proxies", vec!["127.0.0.0/8"]);
    })
    .await;
    let from = |address: &str, userid: &str| {
        let mut browser = stage.phone(userid);
        browser.extra.insert("x-forwarded-for", address.parse().unwrap());
        browser
    };
    // However many really sign in.
    stage.bound("zhangsan");
    for _ in 0..8 {
        let page = from("198.51.100.1", "zhangsan").open("/admin").await;
        assert_eq!(page.status, 200, "{}", page.body);
    }
    // A valid flow, and codes that WeCom has never issued.
    let mut calls = 0;
    for i in 0..10 {
        let mut attacker = from("198.51.100.9", "lisi");
        let callback = attacker.up_to_callback("/admin").await;
        let state = callback.split(['?', '&']).find(|p| p.starts_with("state=")).unwrap();
        let before = stage.wecom().calls(SPENT);
        let response = attacker.visit(&format!("/wecom-gate/callback?code=INVENTED{i}&{state}")).await;
        calls += stage.wecom().calls(SPENT) - before;
        assert_eq!(response.status == 429, i >= 4, "{i}: {} {}", response.status, response.body);
        if response.status == 429 {
            assert_eq!(response.header("retry-after"), Some("10"));
            assert!(response.set_cookies().is_empty(), "the flow is lost: {:?}", response.set_cookies());
        }
    }
    assert_eq!(calls, 4, "WeCom is asked about each rejected code within the limit, and about no other");
    // Unknown states count too, and cause no call to WeCom.
    let before = stage.wecom().calls(SPENT);
    for i in 0..6 {
        let mut stranger = from("198.51.100.10", "lisi");
        let response = stranger.visit(&format!("/wecom-gate/callback?code=x&state=a{i}bcdefgh")).await;
        assert_eq!(response.status == 429, i >= 4, "{i}: {}", response.status);
    }
    assert_eq!(stage.wecom().calls(SPENT), before);
    // Other addresses are not affected.
    assert_eq!(from("198.51.100.1", "zhangsan").open("/admin").await.status, 200);
    let log = stage.gate.log_until_now().await;
    assert_eq!(log.iter().filter(|l| l["event"] == "throttled").count(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_sign_ins_that_wait_for_wecom_are_bounded_and_no_code_is_lost() {
    let stage = Stage::start(|c| {
        c.set("limits.sign_ins_at_once", 1);
    })
    .await;
    for userid in ["zhangsan", "lisi"] {
        stage.bound(userid);
    }
    let (mut first, mut second) = (stage.phone("zhangsan"), stage.phone("lisi"));
    let (one, two) = (first.up_to_callback("/admin").await, second.up_to_callback("/admin").await);
    stage.wecom().add_fault(Fault {
        path: SPENT.into(),
        count: Some(1),
        latency_ms: 3000,
        ..Fault::default()
    });
    let slow = tokio::spawn(async move { first.visit(&one).await.sets("wecom_gate") });
    eventually("the first waits for WeCom", async || stage.wecom().calls(SPENT) == 1).await;
    let refused = second.visit(&two).await;
    assert_eq!((refused.status, refused.header("retry-after")), (429, Some("10")), "{}", refused.body);
    assert!(refused.body.contains("http-equiv=\"refresh\" content=\"10\""), "{}", refused.body);
    assert!(slow.await.unwrap(), "the first is signed in");
    assert!(
        second.visit(&two).await.sets("wecom_gate"),
        "the page comes back with the same code, and it is good"
    );
    let log = stage.gate.log_until_now().await;
    let lines: Vec<_> = log.iter().filter(|l| l["event"] == "throttled").collect();
    assert_eq!(lines.len(), 1);
    assert_eq!(lines[0]["key"], json!("limits.sign_ins_at_once"));
}

/// A callback of a started sign-in, with an invented code.
async fn invented(mut browser: Browser, number: usize) -> (Browser, String) {
    let begun = browser.visit("/wecom-gate/login?via=wecom").await;
    let state = begun.location().split("state=").nth(1).unwrap().split(['&', '#']).next().unwrap().to_owned();
    (browser, format!("/wecom-gate/callback?code=INVENTED{number}&state={state}"))
}

/// A phone behind a trusted proxy, at this address.
fn phone_from(stage: &Stage, address: &str) -> Browser {
    let mut browser = stage.phone("zhangsan");
    browser.extra.insert("x-forwarded-for", address.parse().unwrap());
    browser
}

/// Two hundred such callbacks, all from this address.
async fn two_hundred_invented(stage: &Stage, address: &str) -> Vec<(Browser, String)> {
    let mut all = Vec::new();
    for number in 0..200 {
        all.push(invented(phone_from(stage, address), number).await);
    }
    all
}

/// All at once; the statuses of the responses.
async fn rush(all: Vec<(Browser, String)>) -> Vec<u16> {
    let mut rush = tokio::task::JoinSet::new();
    for (mut browser, callback) in all {
        rush.spawn(async move { browser.visit(&callback).await.status });
    }
    rush.join_all().await
}

#[tokio::test(flavor = "multi_thread")]
async fn r34_two_hundred_invented_codes_at_once_are_as_many_calls_as_the_limit_allows() {
    let stage = Stage::start(|c| {
        c.set("limits.bad_callbacks_per_minute", 5);
        c.set("access.trusted_proxies", vec!["127.0.0.0/8"]);
    })
    .await;
    stage.bound("zhangsan");
    let all = two_hundred_invented(&stage, "198.51.100.1").await;
    let before = stage.wecom().calls(SPENT);
    let statuses = rush(all).await;
    assert_eq!(statuses.iter().filter(|s| **s != 429).count(), 5, "{statuses:?}");
    assert_eq!(stage.wecom().calls(SPENT) - before, 5);
    // Those of other addresses are not counted with them, and valid ones are not counted at all.
    for _ in 0..10 {
        assert_eq!(phone_from(&stage, "198.51.100.2").open("/admin").await.status, 200);
    }
}

/// Sign-ins that wait for WeCom, all from one address, leave capacity for others.
#[tokio::test(flavor = "multi_thread")]
async fn r34_one_address_does_not_use_all_capacity() {
    let stage = Stage::start(|c| {
        c.set("limits.sign_ins_at_once", 20);
        c.set("access.trusted_proxies", vec!["127.0.0.0/8"]);
    })
    .await;
    stage.bound("zhangsan");
    let all = two_hundred_invented(&stage, "198.51.100.1").await;
    let real = phone_from(&stage, "198.51.100.2").up_to_callback("/admin").await;
    let mut member = phone_from(&stage, "198.51.100.2");
    let real_again = member.up_to_callback("/admin").await;
    assert_ne!(real, real_again);
    stage.wecom().add_fault(Fault {
        path: SPENT.into(),
        count: Some(5),
        latency_ms: 4000,
        ..Fault::default()
    });
    let before = stage.wecom().calls(SPENT);
    let flood = tokio::spawn(rush(all));
    eventually("the flood waits for WeCom", async || stage.wecom().calls(SPENT) - before == 5).await;
    let response = member.visit(&real_again).await;
    assert!(response.sets("wecom_gate"), "{} {}", response.status, response.body);
    let statuses = flood.await.unwrap();
    assert!(statuses.iter().filter(|s| **s != 429).count() >= 5, "{statuses:?}");
}

/// Two hundred simultaneous requests of the same callback are one sign-in.
#[tokio::test(flavor = "multi_thread")]
async fn r34_one_callback_two_hundred_times_at_once_is_processed_once() {
    let stage = Stage::start(|c| _ = c.set("limits.bad_callbacks_per_minute", 250)).await;
    stage.bound("zhangsan");
    let mut browser = stage.phone("zhangsan");
    let callback = browser.up_to_callback("/admin").await;
    let before = stage.wecom().calls(SPENT);
    let statuses = rush(vec![(browser.clone(), callback.clone()); 200]).await;
    assert!(statuses.iter().all(|s| *s == 302), "{statuses:?}");
    assert_eq!((stage.wecom().calls(SPENT) - before, stage.nocobase.data().tokens.len()), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn r34_two_hundred_sign_ins_begun_at_once_are_counted() {
    let (_upstream, _setup, gate) = gate_with(|s| s.set("limits.sign_ins_per_minute", 6)).await;
    let mut all = tokio::task::JoinSet::new();
    for i in 0..200 {
        let (to, target) = (gate.http, ["/admin", "/wecom-gate/login"][i % 2]);
        all.spawn(async move { send_raw(to, page(target, "")).await.status() });
    }
    let statuses = all.join_all().await;
    let (begun, refused): (Vec<u16>, Vec<u16>) = statuses.iter().partition(|s| **s == 302);
    assert_eq!(begun.len(), 6, "{statuses:?}");
    assert!(refused.iter().all(|s| *s == 429), "{statuses:?}");
}

/// Two hundred pages opened at once each start a sign-in, and no response knows of the others' cookies. The browser then has more
/// cookies than any request may have; it is not locked out.
#[tokio::test(flavor = "multi_thread")]
async fn r34_two_hundred_sign_ins_begun_at_once_do_not_lock_a_browser_out() {
    let (_upstream, _setup, gate) = gate_with(|s| s).await;
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let to = gate.http;
        all.spawn(async move { send_raw(to, page("/admin", "")).await.cookies() });
    }
    // As many as browsers keep for a host.
    let mut jar: Vec<(String, String)> = all.join_all().await.into_iter().flatten().take(180).collect();
    let mut refused = 0;
    loop {
        let cookies: Vec<String> = jar.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let response =
            send_raw(gate.http, page("/admin", &format!("Cookie: {}\r\n", cookies.join("; ")))).await;
        let deleted: Vec<String> = response
            .cookies()
            .into_iter()
            .filter(|(_, value)| value.is_empty())
            .map(|(name, _)| name)
            .collect();
        assert!(deleted.iter().all(|name| name.starts_with("wecom_gate_flow_")), "{deleted:?}");
        jar.retain(|(name, _)| !deleted.contains(name));
        if response.status() == 302 {
            break;
        }
        assert_eq!(response.status(), 431, "{}", response.text());
        assert!(!deleted.is_empty(), "locked out with {} cookies: {}", jar.len(), response.text());
        refused += 1;
    }
    assert!((1..=10).contains(&refused), "{refused}");
}
