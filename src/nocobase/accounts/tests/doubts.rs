//! NocoBase's responses are compared again, and a doubt is not a match.

use super::*;

/// If the role may not filter, or because of a defect, a list may contain rows that were not asked for.
#[tokio::test]
async fn r21_a_row_of_another_entry_or_user_says_nothing_about_a_binding() {
    let row = |authenticator: &str, user: u64, userid: &str| {
        json!({ "data": [{ "authenticator": authenticator, "userId": user, "uuid": userid }] }).to_string()
    };
    for (listed, want) in [
        (row("another", 7, "LiSi"), Err(Failure::NocoBaseBadAnswer)),
        (row("wecom", 8, "LiSi"), Err(Failure::NocoBaseBadAnswer)),
        (row("another", 8, "LiSi"), Err(Failure::NocoBaseBadAnswer)),
        (json!({ "data": [] }).to_string(), Err(Failure::NocoBaseBadAnswer)),
        (row("wecom", 7, "LiSi"), Err(Failure::AlreadyBound)),
        (row("wecom", 7, "zhangSAN"), Ok(())),
    ] {
        let (standin, accounts) = accounts(&[ByPhone], false).await;
        standin.user_with_id(7, json!({}));
        standin.bind("ZhangSan", 7);
        standin.fail("usersAuthenticators:create", 400, r#"{"errors":[{"message":"no"}]}"#, 1);
        standin.fail("usersAuthenticators:list", 200, &listed, 1);
        assert_eq!(accounts.bind(user(7), &zhang()).await.plain(), want, "{listed}");
    }
}

#[tokio::test]
async fn r21_a_binding_counts_only_if_it_is_found_afterwards_and_leads_to_this_user() {
    for (bound, want) in [
        (Some(7), Ok(())),
        (Some(8), Err(Failure::NocoBaseBadAnswer)),
        (None, Err(Failure::NocoBaseBadAnswer)),
    ] {
        let (standin, accounts) = accounts(&[ByPhone], false).await;
        standin.user_with_id(7, json!({}));
        standin.user_with_id(8, json!({}));
        bound.into_iter().for_each(|id| standin.bind("ZhangSan", id));
        standin.fail("usersAuthenticators:create", 200, r#"{"data":{}}"#, 1);
        assert_eq!(accounts.bind(user(7), &zhang()).await.plain(), want, "{bound:?}");
    }
}

/// An address that two users have counts as taken, and if NocoBase does not respond, nothing is known.
#[tokio::test]
async fn r21_an_address_of_two_users_is_taken_and_a_failed_lookup_is_an_error() {
    let person = Person { biz_mail: Some("zhang@corp.example".into()), ..zhang() };
    let (standin, accounts) = accounts(&[ByPhone], true).await;
    standin.user_with_id(7, json!({ "email": "zhang@corp.example" }));
    standin.user_with_id(8, json!({ "email": "Zhang@corp.example" }));
    let id = accounts.match_or_create(&person).await.unwrap();
    assert!(id != user(7) && id != user(8));
    assert_eq!(standin.rows("users").pop().unwrap()["email"], Value::Null);

    let (standin, accounts) = self::accounts(&[ByPhone], true).await;
    standin.user_with_id(7, json!({ "email": "zhang@corp.example" }));
    // The phone number is looked for twice, then the address.
    standin.fault("users:list", Fault::default(), 2);
    standin.fail("users:list", 503, "{}", 1);
    assert_eq!(accounts.match_or_create(&person).await.plain(), Err(Failure::NocoBaseStarting));
    assert_eq!(standin.rows("users").len(), 2, "no user is created");
}
