//! Members of one department are rechecked together, by the list of its members.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use wecom_sim::{Fault, FaultKind};

use crate::events::LONG;
use crate::support::{Browser, CORP, Gate, Stage, eventually};

pub(crate) const USER_GET: &str = "/cgi-bin/user/get";
pub(crate) const USER_LIST: &str = "/cgi-bin/user/list";
const DEPARTMENTS: [u64; 2] = [2, 5];
pub(crate) const EACH: usize = 6;

/// A gate that rechecks every ten seconds, and members of two departments who are signed in.
async fn stage() -> (Stage, Vec<(String, Browser)>) {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let mut members = Vec::new();
    for department in DEPARTMENTS {
        members.extend(signed_in(&stage, department).await);
    }
    (stage, members)
}

/// Members of a department, each with a session.
pub(crate) async fn signed_in(stage: &Stage, department: u64) -> Vec<(String, Browser)> {
    signed_in_at(stage, &[&stage.gate], department).await
}

/// The same at these gates, in turns.
pub(crate) async fn signed_in_at(stage: &Stage, gates: &[&Gate], department: u64) -> Vec<(String, Browser)> {
    let mut members = Vec::new();
    for n in 0..EACH {
        let userid = format!("Member{department}-{n}");
        let member = wecom_sim::Member {
            userid: userid.clone(),
            name: userid.clone(),
            departments: vec![department],
            status: 1,
            ..wecom_sim::Member::default()
        };
        stage.wecom().set_member(CORP, member).unwrap();
        stage.bound(&userid);
        let mut browser = stage.phone(&userid);
        browser.go_to(gates[n % gates.len()]);
        assert_eq!(browser.open("/admin").await.status, 200, "{userid}");
        members.push((userid, browser));
    }
    members
}

/// One request of each; who is refused.
pub(crate) async fn work(members: &mut [(String, Browser)]) -> Vec<&str> {
    let mut refused = Vec::new();
    for (userid, browser) in members {
        match browser.api(Method::GET, "/api/orders:list").await.status {
            200 => {}
            401 => refused.push(&**userid),
            other => panic!("{userid}: {other}"),
        }
    }
    refused
}

/// Works on until this has been called so many times more. Returns how often the two calls have been made meanwhile.
async fn until(stage: &Stage, members: &mut [(String, Browser)], path: &str, more: u64) -> (u64, u64) {
    let calls = |path| stage.wecom().calls(path);
    let (before, began) = ((calls(USER_GET), calls(USER_LIST)), Instant::now());
    let target = calls(path) + more;
    while calls(path) < target {
        assert!(began.elapsed() < LONG, "{path} has been called {} times", calls(path));
        assert!(work(members).await.is_empty());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    (calls(USER_GET) - before.0, calls(USER_LIST) - before.1)
}

async fn is_signed_out(members: &mut [(String, Browser)], who: &str) {
    let began = Instant::now();
    loop {
        let refused = work(members).await;
        assert!(refused.iter().all(|userid| *userid == who), "{refused:?}");
        if !refused.is_empty() {
            return;
        }
        assert!(began.elapsed() < LONG, "{who} is still signed in");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn r15_members_of_a_department_cost_wecom_one_call_and_who_is_disabled_is_out() {
    let (stage, mut members) = stage().await;
    // Until the first lists have been made, and those who were due before have been due again.
    until(&stage, &mut members, USER_LIST, 4).await;
    let (alone, lists) = until(&stage, &mut members, USER_LIST, 6).await;
    println!("{alone} calls for one member, {lists} for a department, in place of {}", 3 * 2 * EACH);
    assert!(alone <= 2, "{alone} members were asked about alone");
    // Disabled; no longer in the department, but in one that the app does not see.
    stage.wecom().set_status(CORP, "member2-0", 2).unwrap();
    is_signed_out(&mut members, "Member2-0").await;
    members.retain(|(userid, _)| userid != "Member2-0");
    let mut moved = stage.wecom().members(CORP).into_iter().find(|m| m.userid == "Member5-3").unwrap();
    moved.departments = vec![6];
    stage.wecom().set_member(CORP, moved).unwrap();
    is_signed_out(&mut members, "Member5-3").await;
    members.retain(|(userid, _)| userid != "Member5-3");
    assert!(stage.wecom().remove_member(CORP, "Member5-4"));
    is_signed_out(&mut members, "Member5-4").await;
    members.retain(|(userid, _)| userid != "Member5-4");
    until(&stage, &mut members, USER_LIST, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_lists_are_refused_each_member_is_asked_about_alone_and_one_line_says_so() {
    let (stage, mut members) = stage().await;
    stage.wecom().add_fault(Fault::new(USER_LIST, FaultKind::Errcode(60011)));
    until(&stage, &mut members, USER_LIST, 1).await;
    let (alone, lists) = until(&stage, &mut members, USER_GET, 3 * 2 * EACH as u64).await;
    // The list of the other department may have been on its way.
    assert!(lists <= 1, "{lists} lists, and {alone} calls for one member");
    stage.wecom().set_status(CORP, "Member2-0", 2).unwrap();
    is_signed_out(&mut members, "Member2-0").await;
    let lines = stage.gate.wait_for_lines("event", "member_lists", 1).await;
    assert_eq!(lines.len(), 1, "{lines:?}");
    assert_eq!((&lines[0]["level"], &lines[0]["errcode"]), (&json!("WARN"), &json!(60011)));
    let remedy = lines[0]["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("none needed") && remedy.contains("可见范围"), "{remedy}");
}

/// The list of a department fails like this; the members are rechecked nevertheless, and it is requested no more.
async fn a_list_that_fails(name: &str, kind: FaultKind) {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let mut members = signed_in(&stage, 2).await;
    // A call whose connection breaks is repeated once.
    let calls = if matches!(kind, FaultKind::Drop | FaultKind::Truncated) { 2 } else { 1 };
    stage.wecom().add_fault(Fault::new(USER_LIST, kind));
    until(&stage, &mut members, USER_LIST, calls).await;
    // Everyone twice.
    until(&stage, &mut members, USER_GET, 2 * EACH as u64).await;
    stage.wecom().set_status(CORP, "Member2-0", 2).unwrap();
    is_signed_out(&mut members, "Member2-0").await;
    let lines = stage.gate.wait_for_lines("event", "member_lists", 1).await;
    assert_eq!(lines.len(), 1, "{name}: {lines:?}");
    assert_eq!(lines[0]["level"], "WARN", "{name}");
    let remedy = lines[0]["remedy"].as_str().unwrap();
    assert!(remedy.starts_with("none needed") && !remedy.ends_with(": "), "{name}: {remedy}");
    assert_eq!(stage.wecom().calls(USER_LIST), calls, "{name}");
}

/// Whatever fails about lists, WeCom's response about each member counts.
#[tokio::test(flavor = "multi_thread")]
async fn r15_lists_that_fail_in_any_way_leave_the_rechecks_to_single_calls() {
    let body = |text: &str| FaultKind::Body(text.to_owned());
    let mut all = tokio::task::JoinSet::new();
    for (name, kind) in [
        ("rate limit", FaultKind::Errcode(45009)),
        ("busy", FaultKind::Errcode(-1)),
        ("no response", FaultKind::Hang),
        ("cut off", FaultKind::Truncated),
        ("connection lost", FaultKind::Drop),
        ("a captive portal", FaultKind::Html),
        ("an array", body("[]")),
        ("no list", body(r#"{"errcode":0,"errmsg":"ok"}"#)),
    ] {
        all.spawn(a_list_that_fails(name, kind));
    }
    all.join_all().await;
}

/// The most memory that this gate has ever used, KiB.
fn peak_kib(stage: &Stage) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", stage.gate.pid())).unwrap();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches("kB").trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn r17_a_list_of_more_than_a_mebibyte_is_not_read_and_its_members_are_asked_about_alone() {
    const LENGTH: usize = 64 * 1024 * 1024;
    let (stage, mut members) = stage().await;
    let listed = r#"{"userid":"Member2-0","status":2,"department":[2]}"#;
    let body = format!(r#"{{"errcode":0,"userlist":[{listed}],"x":"{}"}}"#, "x".repeat(LENGTH));
    stage.wecom().add_fault(Fault::new(USER_LIST, FaultKind::Body(body)).with_param("department_id", "2"));
    let lists = |department: &str| {
        let asked = format!("department_id={department}");
        let is_list = |line: &&wecom_sim::LogLine| line.path == USER_LIST && line.query.contains(&asked);
        stage.wecom().log().iter().filter(is_list).count()
    };
    let before = peak_kib(&stage);
    let began = Instant::now();
    // The other department has lists as usual.
    while lists("2") < 1 || lists("5") < 3 {
        assert!(began.elapsed() < LONG, "{} and {} lists", lists("2"), lists("5"));
        assert!(work(&mut members).await.is_empty());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let lines = stage.gate.wait_for_lines("event", "member_lists", 1).await;
    assert_eq!((lines.len(), &lines[0]["level"], &lines[0]["department"]), (1, &json!("INFO"), &json!(2)));
    stage.wecom().set_status(CORP, "Member2-0", 2).unwrap();
    is_signed_out(&mut members, "Member2-0").await;
    assert_eq!(lists("2"), 1);
    let more = peak_kib(&stage) - before;
    println!("{more} KiB more than before");
    assert!(more < 24 * 1024, "{more} KiB");
}

/// A list can confirm, never condemn: it may be old, or wrong.
#[tokio::test(flavor = "multi_thread")]
async fn r15_no_one_is_signed_out_or_stays_because_of_a_wrong_list() {
    let (stage, mut members) = stage().await;
    // Everyone twice, in the wrong department, in another company, disabled; and one who has left, as active in another department.
    let entry = |userid: &str, status: u8, department: u64| json!({ "userid": userid, "name": "x", "status": status, "department": [department] });
    let mut listed = Vec::new();
    for (userid, _) in &members {
        listed.push(entry(&format!("wwfedcba9876543210/{userid}"), 1, 2));
        match userid.ends_with(['0', '1']) {
            true => listed.extend([entry(userid, 1, 2), entry(&userid.to_lowercase(), 1, 2)]),
            false if userid.ends_with(['2', '3']) => listed.push(entry(userid, 1, 3)),
            false => listed.push(entry(userid, 2, 2)),
        }
    }
    let body = json!({ "errcode": 0, "errmsg": "ok", "userlist": listed }).to_string();
    stage.wecom().add_fault(Fault::new(USER_LIST, FaultKind::Body(body)));
    until(&stage, &mut members, USER_LIST, 1).await;
    until(&stage, &mut members, USER_GET, 3 * 2 * EACH as u64).await;
    stage.wecom().set_status(CORP, "Member2-2", 2).unwrap();
    is_signed_out(&mut members, "Member2-2").await;
    eventually("NocoBase has recorded it", async || stage.nocobase.data().blocked.len() == 1).await;
}
