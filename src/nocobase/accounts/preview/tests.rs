use std::sync::Arc;

use nocobase_standin::NocoBase as StandIn;
use serde_json::Value;

use super::super::super::test_client::{Plain, client, rules};
use super::*;
use MatchBy::{Email, Phone, Username};

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

/// NocoBase with only this user besides the service account.
async fn with(match_by: &[MatchBy], auto_create: bool, fields: Value) -> (StandIn, Accounts) {
    let standin = StandIn::start().await;
    standin.user_with_id(1, json!({ "username": "service" }));
    standin.user_with_id(7, fields);
    let conf = rules(match_by, auto_create);
    (standin.clone(), Accounts::new(Arc::new(client(&[standin.address], &conf)), &conf))
}

/// A member of whom only the userid is known.
fn silent() -> Person {
    Person { entry: "wecom".into(), userid: "zhangsan".into(), ..Person::default() }
}

fn with_phone() -> Person {
    Person { mobile: Some("13800001234".into()), ..silent() }
}

#[tokio::test]
async fn a_bound_member_keeps_the_user() {
    let (standin, accounts) = with(&[Phone], false, json!({})).await;
    standin.bind("zhangsan", 7);
    for person in [silent(), with_phone()] {
        assert_eq!(accounts.preview(&person).await.plain(), Ok(Preview::Bound(user(7))));
    }
}

#[tokio::test]
async fn what_matches_is_seen_and_nothing_is_written() {
    for (match_by, fields, person, expected) in [
        (&[Username][..], json!({ "username": "zhangsan" }), silent(), Ok(Preview::Match(user(7)))),
        (&[Phone], json!({ "phone": "13800001234" }), with_phone(), Ok(Preview::Match(user(7)))),
        // Phone and e-mail are not known yet.
        (&[Phone], json!({ "phone": "13800001234" }), silent(), Ok(Preview::NeedsConsent)),
        (&[Username, Email], json!({}), silent(), Ok(Preview::NeedsConsent)),
        (&[Phone, Email], json!({}), with_phone(), Err(Failure::NoMatchingUser)),
        // Consent would add nothing.
        (&[Username], json!({}), silent(), Err(Failure::NoMatchingUser)),
    ] {
        let (standin, accounts) = with(match_by, false, fields).await;
        assert_eq!(accounts.preview(&person).await.plain(), expected, "{match_by:?}");
        assert_eq!((standin.rows("users").len(), standin.rows("usersAuthenticators").len()), (2, 0));
    }
}

#[tokio::test]
async fn a_user_would_be_made_where_that_is_allowed() {
    let (standin, accounts) = with(&[Phone], true, json!({})).await;
    assert_eq!(accounts.preview(&with_phone()).await.plain(), Ok(Preview::Create));
    assert_eq!(standin.rows("users").len(), 2);
    let (_standin, accounts) = with(&[Username], true, json!({})).await;
    assert_eq!(accounts.preview(&silent()).await.plain(), Ok(Preview::Create));
}

#[tokio::test]
async fn r21_a_user_of_another_member_is_no_match() {
    for (match_by, person) in [(Username, silent()), (Phone, with_phone())] {
        let fields = json!({ "username": "zhangsan", "phone": "13800001234" });
        let (standin, accounts) = with(&[match_by], false, fields).await;
        standin.user_with_id(8, json!({}));
        standin.bind("another", 8);
        assert_eq!(accounts.preview(&person).await.plain(), Ok(Preview::Match(user(7))), "{match_by:?}");
        standin.bind("lisi", 7);
        assert_eq!(accounts.preview(&person).await.plain(), Err(Failure::AlreadyBound), "{match_by:?}");
    }
}
