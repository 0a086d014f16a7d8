use std::time::Duration;

use nocobase_standin::{Fault, NocoBase as StandIn};

use super::super::test_client::{Plain, client, rules};
use super::query::PAGE;
use super::*;
use MatchBy::{Email, Phone as ByPhone, Username};

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

/// ZhangSan with a phone number.
fn zhang() -> Person {
    Person {
        entry: "wecom".into(),
        userid: "ZhangSan".into(),
        name: "张三".into(),
        avatar: "https://wework.example/a.png".into(),
        mobile: Some("13800001234".into()),
        ..Person::default()
    }
}

async fn accounts(match_by: &[MatchBy], auto_create: bool) -> (StandIn, Accounts) {
    let standin = StandIn::start().await;
    standin.user_with_id(1, json!({"username": "service"}));
    let conf = rules(match_by, auto_create);
    (standin.clone(), Accounts::new(Arc::new(client(&[standin.address], &conf)), &conf))
}

#[tokio::test]
async fn a_member_is_matched_bound_and_known_from_then_on() {
    let (standin, accounts) = accounts(&[ByPhone], false).await;
    standin.user_with_id(7, json!({"phone": "13800001234"}));
    assert_eq!(accounts.find_binding("wecom", "ZhangSan").await.plain(), Ok(None));
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Ok(user(7)));
    assert_eq!(accounts.find_binding("wecom", "ZhangSan").await.plain(), Ok(Some(user(7))));
    assert_eq!(accounts.find_binding("another", "ZhangSan").await.plain(), Ok(None));
    let want = json!({"userId": 7, "uuid": "ZhangSan", "authenticator": "wecom", "nickname": "张三",
        "avatar": "https://wework.example/a.png", "meta": {}});
    assert_eq!(standin.rows("usersAuthenticators"), [want]);
    // Again, as after a lost response: no second row.
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Ok(user(7)));
    assert_eq!(standin.rows("usersAuthenticators").len(), 1);
}

#[tokio::test]
async fn r21_phone_numbers_in_every_spelling_but_of_one_person_only() {
    for (stored, given, same) in [
        ("13800001234", "+86-13800001234", true),
        ("+8613800001234", "13800001234", true),
        ("86 13800001234", "13800001234", true),
        ("138 0000 1234", "008613800001234", true),
        ("+1 3800001234", "+13800001234", true),
        ("13800001234", "+1 3800001234", false),
        ("+13800001234", "13800001234", false),
        ("", "", false),
        (" ", " ", false),
        ("", "13800001234", false),
    ] {
        let (standin, accounts) = accounts(&[ByPhone], false).await;
        standin.user_with_id(7, json!({ "phone": stored }));
        let got = accounts.match_full(&Person { mobile: Some(given.into()), ..zhang() }).await.plain();
        let want = match (same, given.trim().is_empty()) {
            (true, _) => Ok(Some(user(7))),
            (false, true) => Err(Failure::NothingToMatch),
            (false, false) => Ok(None),
        };
        assert_eq!(got, want, "{stored:?} {given:?}");
    }
}

#[tokio::test]
async fn r21_two_users_with_one_number_match_no_one() {
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    standin.user_with_id(7, json!({"phone": "13800001234"}));
    standin.user_with_id(8, json!({"phone": "+8613800001234"}));
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Err(Failure::AmbiguousUser));
    assert!(standin.rows("usersAuthenticators").is_empty());
}

#[tokio::test]
async fn r21_userids_are_compared_as_wecom_does() {
    let (standin, accounts) = accounts(&[], false).await;
    standin.user_with_id(7, json!({}));
    standin.user_with_id(8, json!({}));
    standin.bind("Zhang_San", 7);
    for (userid, want) in [
        ("Zhang_San", Some(user(7))),
        ("zhang_san", Some(user(7))),
        ("ZHANG_SAN", Some(user(7))),
        ("zHaNg_sAn", Some(user(7))),
        ("ZhangXSan", None),
        ("Zhang_San2", None),
        ("Zhang_Sa", None),
        ("Zhang_San ", None),
        // The Kelvin sign is no K, the long s no s: ASCII only.
        ("Zhang_\u{17f}an", None),
        ("corp/Zhang_San", None),
        ("%", None),
        ("", None),
    ] {
        assert_eq!(accounts.find_binding("wecom", userid).await.plain(), Ok(want), "{userid:?}");
    }
    standin.bind("zhang_san", 8);
    assert_eq!(accounts.find_binding("wecom", "Zhang_San").await.plain(), Err(Failure::AmbiguousUser));
}

#[tokio::test]
async fn a_short_userid_is_found_among_many() {
    let (standin, accounts) = accounts(&[], false).await;
    standin.user_with_id(7, json!({}));
    for i in 0..PAGE as u64 {
        standin.bind(&format!("a{i}"), 1000 + i);
    }
    assert_eq!(accounts.find_binding("wecom", "A_").await.plain(), Ok(None));
    standin.bind("A_", 7);
    assert_eq!(accounts.find_binding("wecom", "a_").await.plain(), Ok(Some(user(7))));
}

#[tokio::test]
async fn r21_a_binding_to_a_deleted_user_is_refused() {
    let (standin, accounts) = accounts(&[ByPhone], false).await;
    standin.bind("ZhangSan", 66);
    assert_eq!(accounts.find_binding("wecom", "ZhangSan").await.plain(), Ok(None));
    // The leftover does not prevent a new binding.
    standin.user_with_id(7, json!({"phone": "13800001234"}));
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Ok(user(7)));
    assert_eq!(accounts.find_binding("wecom", "ZhangSan").await.plain(), Ok(Some(user(7))));
}

#[tokio::test]
async fn r21_a_user_of_another_member_is_not_taken_over() {
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    standin.user_with_id(7, json!({"phone": "13800001234"}));
    standin.bind("LiSi", 7); // had the number before
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Err(Failure::AlreadyBound));
    assert_eq!(standin.rows("usersAuthenticators").len(), 1);
    // Another spelling of the same member.
    let lisi = Person { userid: "lisi".into(), ..zhang() };
    assert_eq!(accounts.bind(user(7), &lisi).await.plain(), Ok(()));
}

#[tokio::test]
async fn r21_e_mail_addresses() {
    for (stored, biz_mail, want) in [
        ("Zhang.San@corp.example", Some("zhang.san@CORP.example"), Ok(Some(user(7)))),
        ("Zhang_San@corp.example", Some("zhang_San@corp.example"), Ok(Some(user(7)))),
        ("ZhangXSan@corp.example", Some("zhang_San@corp.example"), Ok(None)),
        ("zhang@corp.example", None, Err(Failure::NothingToMatch)),
        ("zhang@corp.example", Some("zhang@corp.example.evil.example"), Ok(None)),
        ("zhang@corp.example", Some("xzhang@corp.example"), Ok(None)),
        ("zhang@corp.example", Some("zhang+x@corp.example"), Ok(None)),
        ("zhang@corp.example", Some("zh\u{e4}ng@corp.example"), Ok(None)),
        ("a@b@corp.example", Some("a@b@corp.example"), Err(Failure::NothingToMatch)),
        (" ", Some(" "), Err(Failure::NothingToMatch)),
        ("", Some(""), Err(Failure::NothingToMatch)),
        ("zhang@corp.example ", Some("zhang@corp.example "), Err(Failure::NothingToMatch)),
        ("nobody", Some("nobody"), Err(Failure::NothingToMatch)),
    ] {
        let (standin, accounts) = accounts(&[Email], false).await;
        standin.user_with_id(7, json!({ "email": stored }));
        let person = Person { biz_mail: biz_mail.map(str::to_owned), ..zhang() };
        assert_eq!(accounts.match_full(&person).await.plain(), want, "{stored:?} {biz_mail:?}");
    }
}

#[tokio::test]
async fn r21_user_names_are_compared_exactly() {
    for (stored, userid, want) in [
        ("ZhangSan", "ZhangSan", Ok(Some(user(7)))),
        ("zhangsan", "ZhangSan", Ok(None)),
        ("ZhangSan ", "ZhangSan", Ok(None)),
        ("zhang@corp.example", "zhang@corp.example", Err(Failure::NothingToMatch)),
        ("", "", Err(Failure::NothingToMatch)),
    ] {
        let (standin, accounts) = accounts(&[Username], false).await;
        standin.user_with_id(7, json!({ "username": stored }));
        let person = Person { userid: userid.into(), ..zhang() };
        assert_eq!(accounts.match_full(&person).await.plain(), want, "{stored:?} {userid:?}");
        assert_eq!(accounts.match_silent(&person).await.plain(), Ok(want.unwrap_or(None)));
    }
}

#[tokio::test]
async fn the_order_of_match_by_counts_and_silence_does_not_change_it() {
    for (match_by, want, silent) in [
        (&[ByPhone, Username][..], 7, None),
        (&[Username, ByPhone], 8, Some(user(8))),
        (&[Email, Username], 8, None),
    ] {
        let (standin, accounts) = accounts(match_by, false).await;
        standin.user_with_id(7, json!({"phone": "13800001234"}));
        standin.user_with_id(8, json!({"username": "ZhangSan"}));
        assert_eq!(accounts.match_full(&zhang()).await.plain(), Ok(Some(user(want))));
        assert_eq!(accounts.match_silent(&zhang()).await.plain(), Ok(silent));
    }
}

#[tokio::test]
async fn a_member_without_a_match() {
    let (standin, accounts) = accounts(&[ByPhone], false).await;
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Err(Failure::NoMatchingUser));
    assert_eq!(standin.rows("users").len(), 1);
    let (standin, accounts) = self::accounts(&[ByPhone, Email], true).await;
    let bare = Person { mobile: Some("138****1234".into()), ..zhang() };
    assert_eq!(accounts.match_or_create(&bare).await.plain(), Err(Failure::NothingToMatch));
    assert_eq!(accounts.create(&bare).await.plain(), Err(Failure::NothingToMatch));
    assert_eq!(standin.rows("users").len(), 1, "no user is created that could not be found again");
}

#[tokio::test]
async fn a_user_is_made_with_what_is_known() {
    let (standin, mut accounts) = accounts(&[ByPhone], true).await;
    accounts.default_roles = vec!["sales".into(), "nosuch".into()];
    let person = Person {
        mobile: Some("+86 138 0000 1234".into()),
        biz_mail: Some("zhang@corp.example".into()),
        ..zhang()
    };
    let id = accounts.match_or_create(&person).await.unwrap();
    let want = json!({"id": id, "nickname": "张三", "username": "ZhangSan", "phone": "13800001234",
        "email": "zhang@corp.example", "roles": [{"name": "sales"}]});
    assert_eq!(standin.rows("users").last(), Some(&want));
    assert_eq!(accounts.find_binding("wecom", "ZhangSan").await.plain(), Ok(Some(id)));

    let (standin, accounts) = self::accounts(&[ByPhone], true).await;
    let person = Person {
        userid: "li@corp".into(),
        name: " ".into(),
        mobile: Some("+1 3800001234".into()),
        ..zhang()
    };
    let id = accounts.match_or_create(&person).await.unwrap();
    let want = json!({"id": id, "nickname": "li@corp", "username": null, "phone": "+13800001234",
        "email": null, "roles": [{"name": "member"}]});
    assert_eq!(standin.rows("users").last(), Some(&want));
}

#[tokio::test]
async fn r21_what_belongs_to_another_user_is_left_to_them() {
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    standin.user_with_id(7, json!({"username": "ZhangSan", "phone": "13900009999"}));
    standin.user_with_id(8, json!({"email": "zhang@corp.example"}));
    let person = Person { biz_mail: Some("zhang@corp.example".into()), ..zhang() };
    let id = accounts.match_or_create(&person).await.unwrap();
    assert!(id != user(7) && id != user(8));
    let made = standin.rows("users").pop().unwrap();
    assert_eq!(
        (&made["username"], &made["email"], &made["phone"]),
        (&Value::Null, &Value::Null, &json!("13800001234"))
    );
    // Only the name is taken: the address stays.
    let (standin, accounts) = self::accounts(&[ByPhone], true).await;
    standin.user_with_id(7, json!({"username": "ZhangSan"}));
    accounts.match_or_create(&person).await.unwrap();
    let made = standin.rows("users").pop().unwrap();
    assert_eq!((&made["username"], &made["email"]), (&Value::Null, &json!("zhang@corp.example")));
}

#[tokio::test]
async fn a_refusal_for_an_unknown_reason_ends() {
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    standin.fail("users:create", 400, r#"{"errors":[{"message":"no"}]}"#, 9);
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Err(Failure::NocoBaseBadAnswer));
    assert_eq!(standin.calls("users:create"), 2, "with everything, and with the keys alone");
}

#[tokio::test]
async fn two_nodes_at_once_end_with_one_user_and_one_binding() {
    for match_by in [&[ByPhone][..], &[Email], &[Username], &[ByPhone, Email, Username]] {
        // Both are to look before either creates; on a busy machine one may have finished first.
        let mut met = false;
        for _ in 0..20 {
            let (standin, a) = accounts(match_by, true).await;
            let b = a.clone();
            let person = Person { biz_mail: Some("zhang@x.example".into()), ..zhang() };
            standin.fault("users:list", Fault::late(Duration::from_millis(100)), 4);
            let (x, y) = tokio::join!(a.match_or_create(&person), b.match_or_create(&person));
            assert_eq!(x, y);
            assert_eq!((x.is_ok(), standin.rows("users").len()), (true, 2));
            assert_eq!(standin.rows("usersAuthenticators").len(), 1);
            met = standin.calls("users:create") == 2;
            if met {
                break;
            }
        }
        assert!(met, "{match_by:?}");
    }
}

#[tokio::test]
async fn r23_what_was_left_half_made_is_finished_by_the_next_attempt() {
    let down = Fault::response(503, "{}");
    let lost = Fault::lost();
    for (action, fault, want) in [
        ("users:create", down.clone(), Failure::NocoBaseStarting),
        ("users:create", lost.clone(), Failure::NocoBaseBadAnswer),
        ("usersAuthenticators:create", down.clone(), Failure::NocoBaseStarting),
        ("usersAuthenticators:create", lost, Failure::NocoBaseBadAnswer),
        ("usersAuthenticators:list", down, Failure::NocoBaseStarting),
    ] {
        for key in [ByPhone, Email, Username] {
            let (standin, accounts) = accounts(&[key], true).await;
            let person = Person { biz_mail: Some("zhang@x.example".into()), ..zhang() };
            standin.fault(action, fault.clone(), 1);
            assert_eq!(accounts.match_or_create(&person).await.plain(), Err(want), "{action}");
            let id = accounts.match_or_create(&person).await.unwrap();
            assert_eq!(
                standin.rows("users").len(),
                2,
                "{action} {key:?}: one user besides the service account"
            );
            assert_eq!(standin.rows("usersAuthenticators").len(), 1);
            assert_eq!(accounts.find_binding("wecom", "ZhangSan").await.plain(), Ok(Some(id)));
        }
    }
}

#[tokio::test]
async fn r23_a_client_that_disconnects_leaves_nothing_that_cannot_be_finished() {
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    standin.fault("usersAuthenticators:create", Fault::late(Duration::from_secs(9)), 1);
    let gone = tokio::time::timeout(Duration::from_millis(300), accounts.match_or_create(&zhang())).await;
    assert!(gone.is_err());
    accounts.match_or_create(&zhang()).await.unwrap();
    assert_eq!((standin.rows("users").len(), standin.rows("usersAuthenticators").len()), (2, 1));
}

#[tokio::test]
async fn a_member_bound_to_two_users_at_once_is_refused() {
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    standin.user_with_id(7, json!({"phone": "13800001234"}));
    standin.user_with_id(8, json!({}));
    // Another node has bound another user while this one was matching.
    standin.bind("ZhangSan", 8);
    assert_eq!(accounts.match_or_create(&zhang()).await.plain(), Err(Failure::AmbiguousUser));
}

#[tokio::test]
async fn a_role_that_may_not_see_the_fields_is_named_and_no_user_is_created() {
    for hidden in ["phone", "uuid", "userId", "authenticator"] {
        let (standin, accounts) = accounts(&[ByPhone], true).await;
        standin.user_with_id(7, json!({"phone": "13800001234"}));
        standin.bind("ZhangSan", 7);
        standin.data().hidden.insert(hidden);
        let got = match accounts.find_binding("wecom", "ZhangSan").await {
            Ok(_) => accounts.match_or_create(&zhang()).await,
            Err(e) => Err(e),
        };
        assert_eq!(got.plain(), Err(Failure::NocoBaseServiceDenied), "{hidden}");
        assert_eq!(standin.rows("users").len(), 2);
    }
}

#[tokio::test]
async fn r24_names_from_wecom_are_data() {
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    let person = Person {
        name: "{{t(\"x\")}}'; DROP TABLE users; -- <script>".repeat(20),
        avatar: "x".repeat(4000),
        ..zhang()
    };
    accounts.match_or_create(&person).await.unwrap();
    let (made, bound) =
        (standin.rows("users").pop().unwrap(), standin.rows("usersAuthenticators").pop().unwrap());
    let name = made["nickname"].as_str().unwrap();
    assert!(name.chars().count() == 255 && person.name.starts_with(name));
    assert_eq!(bound["avatar"], "");
}

#[test]
fn r27_debug_shows_no_contact_data() {
    let person = Person { biz_mail: Some("zhang@corp.example".into()), ..zhang() };
    let shown = format!("{person:?}");
    assert!(!shown.contains("1380") && !shown.contains("corp.example"), "{shown}");
}

mod doubts;
