//! Faults on demand.

use std::time::{Duration, Instant};

use super::*;

const PATH: &str = "/cgi-bin/getcallbackip";

#[tokio::test]
async fn the_next_two_calls_return_an_errcode() {
    let b = bench().await;
    let token = b.token().await;
    b.add_fault(Fault::errcode(PATH, 42001, 2));
    let mut seen = Vec::new();
    for _ in 0..3 {
        seen.push(b.call_with(&token, "getcallbackip").await["errcode"].as_i64().unwrap());
    }
    assert_eq!(seen, [42001, 42001, 0]);
    assert!(b.faults().is_empty());
}

#[tokio::test]
async fn statuses_and_bodies() {
    let b = bench().await;
    let token = b.token().await;
    let url = b.url(&format!("{PATH}?access_token={token}"));
    let get = || async { b.http.get(&url).send().await.unwrap() };
    b.add_fault(Fault::new(PATH, FaultKind::Status(500)).times(1));
    assert_eq!(get().await.status(), 500);
    b.add_fault(Fault::new(PATH, FaultKind::Html).times(1));
    let html = get().await;
    assert_eq!(html.status(), 200);
    assert!(html.text().await.unwrap().starts_with("<!doctype html>"));
    b.add_fault(Fault::new(PATH, FaultKind::Body("{}".into())).times(1));
    assert_eq!(get().await.text().await.unwrap(), "{}");
    b.add_fault(Fault::new(PATH, FaultKind::Truncated).times(1));
    let cut = get().await.text().await.unwrap();
    assert!(cut.starts_with('{') && serde_json::from_str::<Value>(&cut).is_err(), "{cut}");
    assert_eq!(get().await.json::<Value>().await.unwrap()["errcode"], 0);
}

/// A script: a sequence of faults, each for one call.
#[tokio::test]
async fn faults_for_one_call_each_are_a_script() {
    let b = bench().await;
    let away = CannedResponse {
        status: 302,
        location: Some("https://elsewhere.example/".into()),
        body: String::new(),
    };
    b.add_fault(Fault::new(PATH, FaultKind::response(404, r#"{"errcode":0}"#)).times(1));
    b.add_fault(Fault::new(PATH, FaultKind::Drop).times(1));
    b.add_fault(Fault::new(PATH, FaultKind::Response(away)).times(1));
    let token = b.token().await;
    let url = b.url(&format!("{PATH}?access_token={token}"));
    let get = || b.http.get(&url).send();
    let first = get().await.unwrap();
    assert_eq!((first.status().as_u16(), first.text().await.unwrap().as_str()), (404, r#"{"errcode":0}"#));
    assert!(get().await.is_err());
    let third = get().await.unwrap();
    assert_eq!(
        (third.status().as_u16(), &third.headers()["location"]),
        (302, &"https://elsewhere.example/".parse::<reqwest::header::HeaderValue>().unwrap())
    );
    assert_eq!(get().await.unwrap().json::<Value>().await.unwrap()["errcode"], 0);
    let statuses: Vec<u16> = b.log().iter().filter(|l| l.path == PATH).map(|l| l.status).collect();
    assert_eq!(statuses, [404, 0, 302, 200]);
    assert_eq!(b.all_calls()[PATH], Calls { calls: 4, failed: 3 });
}

#[tokio::test]
async fn a_dropped_connection_is_an_error_and_nothing_happened() {
    let b = bench().await;
    let (token, code) = (b.token().await, b.code("lisi"));
    let url = b.url(&format!("/cgi-bin/auth/getuserinfo?access_token={token}&code={code}"));
    b.add_fault(Fault::new("/cgi-bin/auth/getuserinfo", FaultKind::Drop).times(1));
    assert!(b.http.get(&url).send().await.is_err());
    let v: Value = b.http.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(v["errcode"], 0);
}

#[tokio::test]
async fn a_lost_response_has_used_the_code() {
    let b = bench().await;
    let (token, code) = (b.token().await, b.code("lisi"));
    let url = b.url(&format!("/cgi-bin/auth/getuserinfo?access_token={token}&code={code}"));
    b.add_fault(Fault::new("/cgi-bin/auth/getuserinfo", FaultKind::Lost).times(1));
    assert!(b.http.get(&url).send().await.is_err());
    let v: Value = b.http.get(&url).send().await.unwrap().json().await.unwrap();
    assert_eq!(v["errcode"], 40029);
}

#[tokio::test]
async fn latency_and_silence() {
    let b = bench().await;
    let token = b.token().await;
    b.add_fault(Fault::latency(PATH, 120).times(1));
    let started = Instant::now();
    assert_eq!(b.call_with(&token, "getcallbackip").await["errcode"], 0);
    assert!(started.elapsed() >= Duration::from_millis(120));
    b.add_fault(Fault::new(PATH, FaultKind::Hang));
    let url = b.url(&format!("{PATH}?access_token={token}"));
    let hung = b.http.get(&url).timeout(Duration::from_millis(150)).send().await;
    assert!(hung.unwrap_err().is_timeout());
    let started = Instant::now();
    let waiting = tokio::spawn(b.http.get(&url).send());
    tokio::time::sleep(Duration::from_millis(50)).await;
    b.sim.stop().await;
    assert!(waiting.await.unwrap().is_err(), "stopping ends the calls that hang");
    assert!(started.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_star_means_every_path_but_the_control_api() {
    let b = bench().await;
    b.add_fault(Fault::new("*", FaultKind::Status(503)));
    assert_eq!(b.raw("/cgi-bin/gettoken").await.status(), 503);
    assert_eq!(b.raw("/anything").await.status(), 503);
    assert_eq!(b.raw("/sim/faults").await.status(), 200);
}
