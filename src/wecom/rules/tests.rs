use wecom_sim::{Fault, FaultKind};

use super::*;
use crate::config::RoleRule;
use crate::wecom::MemberStatus;
use crate::wecom::member::Details;
use crate::wecom::test_simulator::{CORP, Simulated, body, client, simulator};

const SIMPLELIST: &str = "/cgi-bin/department/simplelist";
const TAG: &str = "/cgi-bin/tag/get";
/// More than a real company can have: 1 - 2 - 3 - 4, 1 - 5; 8 - 9 is below 7, which the app does not see.
const DEPARTMENTS: &str = r#"{"errcode":0,"department_id":[
    {"id":1,"parentid":0,"order":1},{"id":2,"parentid":1,"order":1},{"id":3,"parentid":2,"order":1},
    {"id":4,"parentid":3,"order":1},{"id":5,"parentid":1,"order":1},{"id":8,"parentid":7,"order":1},
    {"id":9,"parentid":8,"order":1}]}"#;

fn member(userid: &str, departments: &[u64]) -> Member {
    Member {
        userid: userid.into(),
        name: userid.into(),
        departments: departments.to_vec(),
        details: Details::default(),
    }
}

async fn simulated() -> Simulated {
    let wecom = simulator().await;
    wecom.add_fault(Fault::new(SIMPLELIST, body(DEPARTMENTS)));
    for (id, tag) in [
        ("10", r#"{"errcode":0,"tagname":"t","userlist":[{"userid":"LiSi","name":"x"}],"partylist":[2]}"#),
        ("11", r#"{"errcode":0,"tagname":"t","userlist":[],"partylist":[6]}"#),
        ("12", r#"{"errcode":0,"tagname":"empty"}"#),
    ] {
        wecom.add_fault(Fault::new(TAG, body(tag)).with_param("tagid", id));
    }
    wecom
}

#[tokio::test]
async fn r22_members_who_are_allowed() {
    use Failure::{NotAllowed, RuleUnevaluable};
    struct Row(
        &'static [&'static str],
        &'static [u64],
        &'static [u64],
        &'static str,
        &'static [u64],
        Result<(), Failure>,
    );
    let table = [
        // users, departments, tags; who, where; the result
        Row(&[], &[], &[], "x", &[], Ok(())),
        Row(&["ZhangSan"], &[], &[], "zhangsan", &[], Ok(())),
        Row(&["zhangsan"], &[], &[], "zhangsan2", &[], Err(NotAllowed)),
        Row(&["zhangsan"], &[], &[], "\u{212a}", &[], Err(NotAllowed)),
        Row(&[], &[3], &[], "x", &[3], Ok(())),
        Row(&[], &[2], &[], "x", &[4], Ok(())),
        Row(&[], &[1], &[], "x", &[4], Ok(())),
        Row(&[], &[4], &[], "x", &[3], Err(NotAllowed)),
        Row(&[], &[2], &[], "x", &[5], Err(NotAllowed)),
        Row(&[], &[2, 5], &[], "x", &[5], Ok(())),
        Row(&[], &[2], &[], "x", &[], Err(NotAllowed)),
        Row(&[], &[2], &[], "x", &[5, 3], Ok(())),
        // Parents outside the visible range: the id is known, its parents are not.
        Row(&[], &[8], &[], "x", &[9], Ok(())),
        Row(&[], &[7], &[], "x", &[9], Ok(())),
        Row(&[], &[2], &[], "x", &[9], Err(NotAllowed)),
        Row(&[], &[6], &[], "x", &[9], Err(RuleUnevaluable)),
        Row(&[], &[6], &[], "x", &[5], Err(NotAllowed)),
        Row(&[], &[6, 2], &[], "x", &[9, 3], Ok(())),
        Row(&[], &[6], &[], "x", &[77], Err(RuleUnevaluable)),
        // Tags: members, and departments with everything below them.
        Row(&[], &[], &[10], "lisi", &[], Ok(())),
        Row(&[], &[], &[10], "x", &[4], Ok(())),
        Row(&[], &[], &[10], "x", &[5], Err(NotAllowed)),
        Row(&[], &[], &[11], "x", &[9], Err(RuleUnevaluable)),
        Row(&[], &[], &[12], "x", &[1], Err(NotAllowed)),
        // A rule that fails denies, unless another allows.
        Row(&[], &[], &[99], "x", &[1], Err(RuleUnevaluable)),
        Row(&[], &[5], &[99], "x", &[5], Ok(())),
        Row(&[], &[], &[99, 10], "lisi", &[], Ok(())),
        Row(&["x"], &[], &[99], "x", &[], Ok(())),
    ];
    let wecom = simulated().await;
    for Row(users, departments, tags, who, wher, want) in table {
        let mut entry = wecom.entry();
        entry.allow_users = users.iter().map(|u| (*u).to_owned()).collect();
        entry.allow_departments = departments.to_vec();
        entry.allow_tags = tags.to_vec();
        let got = client(&entry).admit(&member(who, wher)).await.map_err(|e| e.failure());
        assert_eq!(got, want, "{users:?} {departments:?} {tags:?} {who} {wher:?}");
    }
}

#[tokio::test]
async fn r22_a_temporary_error_denies_too_but_keeps_sessions() {
    let gone = || Some(MemberStatus::Gone(Failure::RuleUnevaluable));
    let table = [
        (FaultKind::Errcode(-1), Failure::WeComBusy, None),
        (FaultKind::Errcode(45009), Failure::WeComRateLimited, None),
        (FaultKind::Errcode(60020), Failure::WeComIpNotTrusted, None),
        (FaultKind::Errcode(60011), Failure::RuleUnevaluable, gone()),
        (FaultKind::Errcode(48002), Failure::RuleUnevaluable, gone()),
        (body("{}"), Failure::RuleUnevaluable, gone()),
    ];
    let wecom = simulator().await;
    let x = wecom_sim::Member { userid: "x".into(), departments: vec![5], status: 1, ..Default::default() };
    wecom.set_member(CORP, x).unwrap();
    for (kind, failure, status) in table {
        wecom.only(SIMPLELIST, kind);
        let mut entry = wecom.entry();
        entry.allow_departments = vec![2];
        let client = client(&entry);
        let error = client.admit(&member("x", &[5])).await.unwrap_err();
        assert_eq!(error.failure(), failure);
        assert_eq!(client.member_status("x").await.ok(), status, "{failure}");
    }
}

#[tokio::test]
async fn departments_and_tags_are_remembered_until_they_are_cleared() {
    let wecom = simulated().await;
    let mut entry = wecom.entry();
    entry.allow_departments = vec![2];
    entry.allow_tags = vec![10];
    let client = client(&entry);
    let mut all = tokio::task::JoinSet::new();
    for _ in 0..50 {
        let client = client.clone();
        all.spawn(async move { client.admit(&member("x", &[5])).await.is_err() });
    }
    while let Some(one) = all.join_next().await {
        assert!(one.unwrap());
    }
    assert_eq!((wecom.calls(SIMPLELIST), wecom.calls(TAG)), (1, 1));
    client.drop_caches();
    assert!(client.admit(&member("x", &[4])).await.is_ok());
    assert_eq!(wecom.calls(SIMPLELIST), 2);
}

#[tokio::test]
async fn failures_are_not_remembered() {
    let wecom = simulator().await;
    wecom.only(SIMPLELIST, FaultKind::Errcode(45009));
    let mut entry = wecom.entry();
    entry.allow_departments = vec![2];
    let client = client(&entry);
    assert!(client.admit(&member("x", &[4])).await.is_err());
    wecom.only(SIMPLELIST, body(DEPARTMENTS));
    assert!(client.admit(&member("x", &[4])).await.is_ok());
}

#[tokio::test]
async fn no_rules_cost_no_calls() {
    let wecom = simulated().await;
    wecom.client().admit(&member("x", &[1])).await.unwrap();
    wecom.client().check_rules().await.unwrap();
    assert_eq!(wecom.total_calls(), 0);
}

#[tokio::test]
async fn r22_rules_about_unknown_groups_are_found_at_start() {
    let wecom = simulated().await;
    let role = |group| RoleRule { group, role: "sales".into() };
    let table = [
        (vec![2, 9], vec![10, 12], vec![], true),
        (vec![2, 77], vec![], vec![], false),
        (vec![], vec![99], vec![], false),
        (vec![], vec![], vec![role(Group::Department(3)), role(Group::Tag(10))], true),
        (vec![], vec![], vec![role(Group::Department(77))], false),
        (vec![], vec![], vec![role(Group::Tag(99))], false),
    ];
    for (departments, tags, roles, good) in table {
        let mut entry = wecom.entry();
        (entry.allow_departments, entry.allow_tags, entry.roles) = (departments, tags, roles);
        let got = match client(&entry).check_rules().await {
            Ok(()) => client(&entry).check_roles().await.map_err(|e| e.failure()),
            Err(e) => Err(e.failure()),
        };
        assert_eq!(got, if good { Ok(()) } else { Err(Failure::RuleUnevaluable) }, "{entry:?}");
    }
}

#[tokio::test]
async fn which_roles_match() {
    let wecom = simulated().await;
    let (dep, tag) = (Group::Department, Group::Tag);
    type Rules<'a> = &'a [(Group, &'a str)];
    type Want = Result<&'static [&'static str], Failure>;
    let table: [(Rules<'_>, &str, &[u64], Want); 14] = [
        (&[(dep(3), "a"), (dep(5), "b")], "x", &[3], Ok(&["a"])),
        (&[(dep(2), "a"), (dep(5), "b")], "x", &[4], Ok(&["a"])),
        (&[(dep(2), "a"), (dep(5), "b"), (dep(1), "c")], "x", &[4, 5], Ok(&["a", "b", "c"])),
        (&[(dep(2), "a"), (dep(3), "a")], "x", &[2], Ok(&["a"])),
        (&[(dep(2), "a")], "x", &[], Ok(&[])),
        (&[(tag(10), "a"), (tag(12), "b")], "lisi", &[], Ok(&["a"])),
        (&[(tag(10), "a")], "x", &[4], Ok(&["a"])),
        (&[(tag(10), "a")], "x", &[5], Ok(&[])),
        // A "no" that is not certain does not count: the app does not see the department, a tag's department, or the member's
        // own.
        (&[(dep(77), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(dep(5), "b"), (dep(77), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(tag(11), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(dep(2), "a")], "x", &[6], Err(Failure::RuleUnevaluable)),
        (&[(tag(99), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(dep(7), "a")], "x", &[9], Ok(&["a"])),
    ];
    for (rules, who, wher, want) in table {
        let mut entry = wecom.entry();
        entry.roles =
            rules.iter().map(|(group, role)| RoleRule { group: *group, role: (*role).into() }).collect();
        let client = client(&entry);
        let got = client.roles(&member(who, wher)).await.map_err(|e| e.failure());
        let got = got.map(|roles| roles.into_iter().collect::<Vec<_>>());
        assert_eq!(got, want.map(<[_]>::to_vec), "{rules:?} {who} {wher:?}");
    }
}

#[test]
fn cycles_among_departments_end() {
    let tree = Tree(HashMap::from([(2, 3), (3, 4), (4, 2), (5, 5)]));
    let ancestors = tree.ancestors(&[2, 5]);
    assert_eq!(ancestors.ids, HashSet::from([2, 3, 4, 5]));
    assert_eq!(tree.below(&ancestors, 4), Some(true));
}
