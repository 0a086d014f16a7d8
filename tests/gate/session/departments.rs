//! Members of one department are rechecked together, by the list of its members.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::json;
use wecom_sim::{Fault, FaultKind};

use crate::events::LONG;
use crate::support::{Browser, CORP, Stage, eventually};

const USER_GET: &str = "/cgi-bin/user/get";
const USER_LIST: &str = "/cgi-bin/user/list";
const DEPARTMENTS: [u64; 2] = [2, 5];
const EACH: usize = 6;

/// A gate that rechecks every ten seconds, and members of two departments who are signed in.
async fn stage() -> (Stage, Vec<(String, Browser)>) {
    let stage = Stage::start(|c| _ = c.set("session.recheck", "10s")).await;
    let mut members = Vec::new();
    for department in DEPARTMENTS {
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
            members.push((userid.clone(), stage.signed_in(&userid).await));
        }
    }
    (stage, members)
}

/// One request of each; who is refused.
async fn work(members: &mut [(String, Browser)]) -> Vec<&str> {
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
