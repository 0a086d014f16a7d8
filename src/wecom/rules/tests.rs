use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::*;
use crate::config::RoleRule;
use crate::wecom::MemberStatus;
use crate::wecom::member::Details;
use crate::wecom::scripted_server::{Server, client, entry, errcode, ok};

const SIMPLELIST: &str = "/cgi-bin/department/simplelist";
const TAG: &str = "/cgi-bin/tag/get";
/// 1 - 2 - 3 - 4, 1 - 5; 8 - 9 hangs below 7, which the app does not see.
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

async fn server() -> Server {
    Server::api(|seen| match (seen.uri.path(), seen.param("tagid").as_deref()) {
        (SIMPLELIST, _) => ok(DEPARTMENTS),
        (TAG, Some("10")) => {
            ok(r#"{"errcode":0,"tagname":"t","userlist":[{"userid":"LiSi","name":"x"}],"partylist":[2]}"#)
        }
        (TAG, Some("11")) => ok(r#"{"errcode":0,"tagname":"t","userlist":[],"partylist":[6]}"#),
        (TAG, Some("12")) => ok(r#"{"errcode":0,"tagname":"empty"}"#),
        (TAG, _) => errcode(40068),
        _ => ok(r#"{"errcode":0,"userid":"wangwu","status":1,"department":[5]}"#),
    })
    .await
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
        // users, departments, tags; who, where; what comes of it
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
        // Parents outside the visible range: the id is known, what is above it is not.
        Row(&[], &[8], &[], "x", &[9], Ok(())),
        Row(&[], &[7], &[], "x", &[9], Ok(())),
        Row(&[], &[2], &[], "x", &[9], Err(NotAllowed)),
        Row(&[], &[6], &[], "x", &[9], Err(RuleUnevaluable)),
        Row(&[], &[6], &[], "x", &[5], Err(NotAllowed)),
        Row(&[], &[6, 2], &[], "x", &[9, 3], Ok(())),
        Row(&[], &[6], &[], "x", &[77], Err(RuleUnevaluable)),
        // Tags: members, and departments with all below them.
        Row(&[], &[], &[10], "lisi", &[], Ok(())),
        Row(&[], &[], &[10], "x", &[4], Ok(())),
        Row(&[], &[], &[10], "x", &[5], Err(NotAllowed)),
        Row(&[], &[], &[11], "x", &[9], Err(RuleUnevaluable)),
        Row(&[], &[], &[12], "x", &[1], Err(NotAllowed)),
        // A rule that fails denies, unless another one allows.
        Row(&[], &[], &[99], "x", &[1], Err(RuleUnevaluable)),
        Row(&[], &[5], &[99], "x", &[5], Ok(())),
        Row(&[], &[], &[99, 10], "lisi", &[], Ok(())),
        Row(&["x"], &[], &[99], "x", &[], Ok(())),
    ];
    let server = server().await;
    for Row(users, departments, tags, who, wher, want) in table {
        let mut entry = entry(&server.url);
        entry.allow_users = users.iter().map(|u| (*u).to_owned()).collect();
        entry.allow_departments = departments.to_vec();
        entry.allow_tags = tags.to_vec();
        let got = client(&entry).admit(&member(who, wher)).await.map_err(|e| e.failure());
        assert_eq!(got, want, "{users:?} {departments:?} {tags:?} {who} {wher:?}");
    }
}

#[tokio::test]
async fn r22_trouble_of_the_moment_denies_too_but_keeps_sessions() {
    let table = [
        (errcode(-1), Failure::WeComBusy, None),
        (errcode(45009), Failure::WeComRateLimited, None),
        (errcode(60020), Failure::WeComIpNotTrusted, None),
        (errcode(60011), Failure::RuleUnevaluable, Some(MemberStatus::Gone(Failure::RuleUnevaluable))),
        (errcode(48002), Failure::RuleUnevaluable, Some(MemberStatus::Gone(Failure::RuleUnevaluable))),
        (ok("{}"), Failure::RuleUnevaluable, Some(MemberStatus::Gone(Failure::RuleUnevaluable))),
    ];
    for (say, failure, standing) in table {
        let (_, body) = say.parts();
        let server = Server::api(move |seen| match seen.uri.path() {
            SIMPLELIST => ok(body.clone()),
            _ => ok(r#"{"errcode":0,"userid":"x","status":1,"department":[5]}"#),
        })
        .await;
        let mut entry = entry(&server.url);
        entry.allow_departments = vec![2];
        let client = client(&entry);
        let error = client.admit(&member("x", &[5])).await.unwrap_err();
        assert_eq!(error.failure(), failure);
        assert_eq!(client.member_status("x").await.ok(), standing, "{failure}");
    }
}

#[tokio::test]
async fn departments_and_tags_are_remembered_until_they_are_cleared() {
    let server = server().await;
    let mut entry = entry(&server.url);
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
    assert_eq!((server.count(SIMPLELIST), server.count(TAG)), (1, 1));
    client.drop_caches();
    assert!(client.admit(&member("x", &[4])).await.is_ok());
    assert_eq!(server.count(SIMPLELIST), 2);
}

#[tokio::test]
async fn failures_are_not_remembered() {
    let broken = StdArc::new(AtomicBool::new(true));
    let state = StdArc::clone(&broken);
    let server =
        Server::api(move |_| if state.load(Ordering::SeqCst) { errcode(45009) } else { ok(DEPARTMENTS) })
            .await;
    let mut entry = entry(&server.url);
    entry.allow_departments = vec![2];
    let client = client(&entry);
    assert!(client.admit(&member("x", &[4])).await.is_err());
    broken.store(false, Ordering::SeqCst);
    assert!(client.admit(&member("x", &[4])).await.is_ok());
}

#[tokio::test]
async fn no_rules_cost_no_calls() {
    let server = server().await;
    server.client().admit(&member("x", &[1])).await.unwrap();
    server.client().check_rules().await.unwrap();
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn r22_rules_about_unknown_groups_are_found_at_start() {
    let server = server().await;
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
        let mut entry = entry(&server.url);
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
    let server = server().await;
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
        // A "no" that is not certain is none: the app does not see the department, a tag's department, the member's own.
        (&[(dep(77), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(dep(5), "b"), (dep(77), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(tag(11), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(dep(2), "a")], "x", &[6], Err(Failure::RuleUnevaluable)),
        (&[(tag(99), "a")], "x", &[5], Err(Failure::RuleUnevaluable)),
        (&[(dep(7), "a")], "x", &[9], Ok(&["a"])),
    ];
    for (rules, who, wher, want) in table {
        let mut entry = entry(&server.url);
        entry.roles =
            rules.iter().map(|(group, role)| RoleRule { group: *group, role: (*role).into() }).collect();
        let client = client(&entry);
        let got = client.roles(&member(who, wher)).await.map_err(|e| e.failure());
        let got = got.map(|roles| roles.into_iter().collect::<Vec<_>>());
        assert_eq!(got, want.map(<[_]>::to_vec), "{rules:?} {who} {wher:?}");
    }
}

#[test]
fn circles_among_departments_end() {
    let tree = Tree(HashMap::from([(2, 3), (3, 4), (4, 2), (5, 5)]));
    let ancestors = tree.ancestors(&[2, 5]);
    assert_eq!(ancestors.ids, HashSet::from([2, 3, 4, 5]));
    assert_eq!(tree.below(&ancestors, 4), Some(true));
}
