use nocobase_standin::{NocoBase as StandIn, SECRET};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::config::ServiceAccount;
use crate::nocobase::test_client::{Plain, client, rules};

fn set<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
    names.iter().copied().collect()
}

fn owned(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

#[test]
fn what_a_user_gets() {
    type Names = &'static [&'static str];
    let table: [(Names, Names, Names, Names, Names); 15] = [
        // named by rules, of these matching, instead of none; has; gets
        (&["sales"], &["sales"], &[], &["member"], &["member", "sales"]),
        (&["sales"], &["sales"], &[], &["member", "sales"], &["member", "sales"]),
        (&["sales"], &[], &[], &["member", "sales"], &["member"]),
        (&["sales"], &[], &[], &["member", "boss"], &["member", "boss"]),
        (&["sales", "ops"], &["ops"], &[], &["sales", "boss"], &["ops", "boss"]),
        (&[], &[], &["member"], &["boss"], &["boss"]),
        // The gate leaves no one without a role if that can be avoided ...
        (&["sales"], &[], &["member"], &["sales"], &["member"]),
        (&["sales"], &[], &[], &["sales"], &[]),
        (&["sales"], &[], &["sales"], &["sales"], &["sales"]),
        // A role that the next sign-in would remove again is not assigned.
        (&["sales", "ops"], &[], &["ops", "member"], &["sales"], &["member"]),
        // ... but a user who had none before gets the roles of the rules, and nothing else.
        (&["sales"], &[], &["member"], &[], &[]),
        (&["sales"], &["sales"], &["member"], &[], &["sales"]),
        // Root is neither assigned nor removed, and a user who has it is left alone.
        (&["root", "ops"], &["root", "ops"], &["Root "], &["member"], &["member", "ops"]),
        (&["root", "ops"], &["ops"], &[], &["root", "sales"], &["root", "sales"]),
        (&["ROOT", "r oot"], &["ROOT", "r oot"], &["root"], &["x"], &["x"]),
    ];
    for (managed, matching, instead, has, gets) in table {
        let (m, y, i) = (set(managed), set(matching), set(instead));
        let plan = Plan { managed: &m, matching: &y, instead: &i };
        assert_eq!(plan.of(&owned(has)), owned(gets), "{plan:?} {has:?}");
    }
}

fn name() -> impl Strategy<Value = &'static str> {
    prop::sample::select(vec!["root", "Root", "ROOT ", "a", "b", "c", "d", "member", "\u{200b}root", "é"])
}

proptest! {
    #[test]
    fn never_root_and_nothing_that_no_rule_names(
        managed in prop::collection::btree_set(name(), 0..6),
        matching in prop::collection::btree_set(name(), 0..6),
        instead in prop::collection::btree_set(name(), 0..3),
        now in prop::collection::btree_set(name().prop_map(str::to_owned), 0..6),
    ) {
        let matching: BTreeSet<&str> = matching.intersection(&managed).copied().collect();
        let plan = Plan { managed: &managed, matching: &matching, instead: &instead };
        let then = plan.of(&now);
        for role in &then {
            prop_assert!(now.contains(role) || (!is_root(role) && is_plain(role)), "{role}");
        }
        for role in now.iter().filter(|role| !managed.contains(role.as_str())) {
            prop_assert!(then.contains(role), "{role} was given by hand");
        }
        for role in then.difference(&now) {
            prop_assert!(matching.contains(role.as_str()) || instead.contains(role.as_str()), "{role}");
        }
        if instead.is_empty() && !now.iter().any(|role| is_root(role)) {
            for role in managed.difference(&matching) {
                prop_assert!(!then.contains(*role), "{role} does not match");
            }
        }
        prop_assert_eq!(plan.of(&then), then, "once is enough");
    }
}

#[tokio::test]
async fn roles_are_read_whole_or_not_at_all() {
    let standin = StandIn::start().await;
    let nb = client(&[standin.address], &rules(&[], false));
    standin.user_with_id(1, json!({}));
    standin.user_with_id(2, json!({"roles": [{"name": "member"}, {"name": "sales"}]}));
    assert_eq!(nb.roles(user(2)).await.plain(), Ok(Some(owned(&["member", "sales"]))));
    assert_eq!(nb.roles(user(3)).await.plain(), Ok(None));
    for body in [
        r#"{"data":{"id":2}}"#,
        r#"{"data":{"id":2,"roles":null}}"#,
        r#"{"data":{"id":2,"roles":[{"name":"a"},{"title":"b"}]}}"#,
        r#"{"data":{"id":1,"roles":[]}}"#,
        r#"{"data":[]}"#,
    ] {
        standin.fail("users:get", 200, body, 1);
        assert_eq!(nb.roles(user(2)).await.plain(), Err(Failure::NocoBaseBadAnswer), "{body}");
    }
}

#[tokio::test]
async fn what_is_never_sent() {
    let standin = StandIn::start().await;
    let nb = client(&[standin.address], &rules(&[], false));
    standin.user_with_id(1, json!({"roles": [{"name": "wecom_gate"}]}));
    standin.user_with_id(2, json!({"roles": [{"name": "member"}]}));
    let none = BTreeSet::new();
    for (whom, before, roles) in [
        (2, none.clone(), owned(&["member", "root"])),
        (2, none.clone(), owned(&["ROOT "])),
        (2, owned(&["root"]), owned(&["root", "sales"])),
        (2, owned(&["root"]), owned(&["sales"])),
        (2, none.clone(), owned(&["a b"])),
        // The service account itself.
        (1, none.clone(), owned(&["sales"])),
    ] {
        assert_eq!(
            nb.set_roles(user(whom), &before, &roles).await.plain(),
            Err(Failure::Internal),
            "{roles:?}"
        );
    }
    assert_eq!(standin.calls("users:update"), 0);
    let by_hand = owned(&["by hand"]);
    assert_eq!(nb.set_roles(user(2), &by_hand, &owned(&["by hand", "sales"])).await.plain(), Ok(()));
    assert_eq!(nb.roles(user(2)).await.plain(), Ok(Some(owned(&["by hand", "sales"]))));
}

#[tokio::test]
async fn whose_the_service_account_is() {
    let standin = StandIn::start().await;
    standin.user_with_id(7, json!({}));
    standin.user_with_id(2, json!({}));
    let now = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
    let token =
        crate::nocobase::Minter::new(SECRET.as_bytes()).service(user(7), now).unwrap().as_str().to_owned();
    let mut conf = rules(&[], false);
    for (service, own) in [
        (ServiceAccount::User(7), Some(user(7))),
        (ServiceAccount::Token(token.into()), Some(user(7))),
        (ServiceAccount::Token("garbage".to_owned().into()), None),
    ] {
        conf.service = service;
        let nb = client(&[standin.address], &conf);
        assert_eq!(nb.service_user(), own);
        let got = nb.set_roles(user(7), &BTreeSet::new(), &owned(&["sales"])).await.plain();
        assert_eq!(got, Err(Failure::Internal));
    }
    // If WeCom cannot name the member's departments, no role changes.
    let nb = client(&[standin.address], &conf);
    assert_eq!(
        nb.set_roles(user(2), &BTreeSet::new(), &owned(&["sales"])).await.plain(),
        Err(Failure::Internal)
    );
    assert_eq!(standin.calls("users:update"), 0);
}
