use super::*;

fn named(userid: &str) -> Person {
    Person { userid: userid.into(), ..Person::default() }
}

#[test]
fn r21_a_userid_is_a_user_name_where_nocobase_takes_it_for_one() {
    for name in ["a", "Zhang-San_7.x", &"x".repeat(MAX_USERNAME)] {
        assert_eq!(named(name).username(), Some(name));
        assert!(named(name).has(MatchBy::Username));
    }
    for odd in ["", "zhang san", "a@corp.example", "名", "a/b", "a\n", &"x".repeat(MAX_USERNAME + 1)] {
        assert_eq!(named(odd).username(), None, "{odd:?}");
        assert!(!named(odd).has(MatchBy::Username));
    }
}

#[test]
fn r21_an_address_is_one_and_nothing_else() {
    let longest = format!("{}@b", "a".repeat(MAX_TEXT - 2));
    for good in ["a@b", "zhang.san@corp.example", &longest] {
        let person = Person { biz_mail: Some(good.into()), ..Person::default() };
        assert_eq!(person.email(), Some(good));
        assert!(person.has(MatchBy::Email) && !person.has(MatchBy::Phone));
    }
    for odd in ["", "a", "@", "a@", "@b", "a@b@c", "a @b", "a@b\t", "a\u{7}@b", &format!("a{longest}")] {
        let person = Person { biz_mail: Some(odd.into()), ..Person::default() };
        assert_eq!(person.email(), None, "{odd:?}");
        assert!(!person.has(MatchBy::Email));
    }
    assert!(Person { mobile: Some("13800001234".into()), ..Person::default() }.has(MatchBy::Phone));
    assert!(!Person { mobile: Some("138****1234".into()), ..Person::default() }.has(MatchBy::Phone));
}
