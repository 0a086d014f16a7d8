use super::*;

#[test]
fn what_is_special_to_like_is_not_asked_for() {
    for (value, begin, end) in [
        ("ZhangSan", "ZhangSan", "ZhangSan"),
        ("zhang_san", "zhang", "san"),
        ("a%b_c", "a", "c"),
        ("a\\b", "a", "b"),
        ("[x", "", "x"),
        ("_", "", ""),
    ] {
        let expected =
            json!({ "$and": [{ "uuid": { "$startsWith": begin } }, { "uuid": { "$endWith": end } }] });
        assert_eq!(letters("uuid", value), expected, "{value}");
    }
    assert_eq!(exactly("uuid", "Ab"), json!({ "uuid": { "$in": ["Ab", "ab", "AB"] } }));
}

#[test]
fn r21_two_users_are_named_to_the_operator_and_one_twice_is_one() {
    let user = |id| UserId::new(id).unwrap();
    assert_eq!(one_of(vec![], "wecom", "a", "phone").unwrap(), None);
    assert_eq!(one_of(vec![user(7), user(7)], "wecom", "a", "phone").unwrap(), Some(user(7)));
    let failed = one_of(vec![user(8), user(7), user(8)], "wecom", "zhangsan", "phone").unwrap_err();
    assert_eq!(failed.failure, Failure::AmbiguousUser);
    assert_eq!((failed.cause.users.as_deref(), failed.cause.by.as_deref()), (Some("7, 8"), Some("phone")));
    assert!(failed.cause.reason.contains("zhangsan of wecom"), "{}", failed.cause.reason);
}

#[test]
fn a_row_with_the_same_text_counts() {
    let person = Person { entry: "wecom".into(), userid: "a".into(), ..Person::default() };
    let rows = [
        json!({ "id": 7, "phone": "1" }),
        json!({ "id": 8, "phone": "2" }),
        json!({ "id": 9, "phone": 1 }),
        json!({ "id": 0, "phone": "1" }),
        json!({ "phone": "1" }),
    ];
    let found = user_in(&rows, "phone", |phone| phone == "1", &person).unwrap();
    assert_eq!(found, UserId::new(7));
    assert_eq!((text(&rows[0], "phone"), text(&rows[0], "none"), text(&rows[2], "phone")), ("1", "", ""));
}
