use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;

static SECURE: LazyLock<Names> = LazyLock::new(|| Names::new(true, SESSION));
static PLAIN: LazyLock<Names> = LazyLock::new(|| Names::new(false, SESSION));

fn parse<'a>(names: &Names, headers: &[&'a [u8]]) -> OwnCookies<'a> {
    OwnCookies::parse(names, headers.iter().copied()).unwrap()
}

#[test]
fn names_follow_the_scheme() {
    for (secure, plain) in [
        (SECURE.session(), PLAIN.session()),
        (SECURE.out(), PLAIN.out()),
        (SECURE.tries(), PLAIN.tries()),
        (SECURE.flow_prefix(), PLAIN.flow_prefix()),
    ] {
        assert_eq!(secure, format!("__Host-{plain}"));
        assert!(
            PLAIN.is_ours(format!("{plain}{}", if plain.ends_with('_') { "0abc" } else { "" }).as_bytes())
        );
    }
    assert_eq!(PLAIN.session(), "wecom_gate");
}

#[test]
fn set_cookie_lines_are_exact() {
    let week = Some(Duration::from_millis(604_800_999));
    assert_eq!(
        SECURE.set(SECURE.session(), "v-_1", week),
        "__Host-wecom_gate=v-_1; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=604800"
    );
    assert_eq!(
        PLAIN.set(PLAIN.session(), "v", Some(Duration::ZERO)),
        "wecom_gate=v; HttpOnly; SameSite=Lax; Path=/; Max-Age=0"
    );
    assert_eq!(SECURE.set_out(), "__Host-wecom_gate_out=1; HttpOnly; SameSite=Lax; Secure; Path=/");
    assert_eq!(PLAIN.set_tries(3), "wecom_gate_tries=3; HttpOnly; SameSite=Lax; Path=/; Max-Age=60");
    assert_eq!(
        PLAIN.set_form_redirects(3, 1),
        "wecom_gate_tries=3.1; HttpOnly; SameSite=Lax; Path=/; Max-Age=60"
    );
    assert_eq!(
        SECURE.delete(SECURE.session()),
        "__Host-wecom_gate=; HttpOnly; SameSite=Lax; Secure; Path=/; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    );
}

#[test]
fn r16_a_deletion_repeats_every_attribute_of_what_it_deletes() {
    for names in [&*SECURE, &*PLAIN] {
        for name in [names.session(), names.out(), names.tries(), "wecom_gate_flow_0abcdefg"] {
            let set = Cookie::parse(names.set(name, "v", Some(Duration::from_secs(9)))).unwrap();
            let del = Cookie::parse(names.delete(name)).unwrap();
            assert_eq!(del.name(), set.name());
            assert_eq!(del.path(), set.path());
            assert_eq!(del.domain(), set.domain());
            assert_eq!(del.secure(), set.secure());
            assert_eq!(del.http_only(), set.http_only());
            assert_eq!(del.same_site(), set.same_site());
            assert_eq!(del.secure().unwrap_or(false), *names == *SECURE);
            assert_eq!((del.value(), del.max_age()), ("", Some(seconds(0))));
        }
    }
}

#[test]
fn ours_are_found_among_others_and_across_headers() {
    let own = parse(
        &SECURE,
        &[
            b"a=1; __Host-wecom_gate=S1;nb_role_main=member; =; ;x",
            b"__Host-wecom_gate_flow_0abcdefg=F=1 ; __Host-wecom_gate_out=1",
            b"__Host-wecom_gate_tries=4; __Host-wecom_gate_tries=2",
        ],
    );
    assert_eq!(own.sessions().collect::<Vec<_>>(), [b"S1"]);
    assert!(own.has_session() && own.signed_out);
    assert_eq!(own.tries, 4);
    assert_eq!(own.flows.len(), 1);
    assert_eq!((own.flows[0].name, own.flows[0].value), ("__Host-wecom_gate_flow_0abcdefg", &b"F=1"[..]));
}

#[test]
fn names_of_the_other_scheme_and_similar_names_are_ignored() {
    let lookalikes = "wecom_gate=S; wecom_gate_out=1; wecom_gate_tries=9; wecom_gate_flow_0abcdefg=F; \
        __Host-wecom_gate_flow_=F; __Host-wecom_gate_flow_0abcdefgh=F; __Host-wecom_gate_flow_0abcdef\u{fc}=F; \
        __host-wecom_gate=S; __Host-wecom_gate2=S; __Host-wecom_gat=S; x__Host-wecom_gate=S; __Host-wecom_gate";
    let own = parse(&SECURE, &[lookalikes.as_bytes()]);
    assert!(!own.has_session() && !own.signed_out && own.tries == 0 && own.flows.is_empty(), "{own:?}");
}

#[test]
fn flag_cookies_with_other_values_are_ignored() {
    let own =
        parse(&PLAIN, &[b"wecom_gate_out=0; wecom_gate_out=; wecom_gate_tries=-1; wecom_gate_tries=999"]);
    assert!(!own.signed_out && own.tries == 0);
}

#[test]
fn at_most_three_sessions_are_kept() {
    let own = parse(&PLAIN, &[b"wecom_gate=1; wecom_gate=2", b"wecom_gate=3; wecom_gate=4"]);
    assert_eq!(own.sessions().collect::<Vec<_>>(), [b"1", b"2", b"3"]);
    assert!(own.is_crowded());
    assert!(!parse(&PLAIN, &[b"wecom_gate=1; wecom_gate=2; wecom_gate=3"]).is_crowded());
}

#[test]
fn r17_too_many_cookies_or_bytes_are_refused() {
    let many = |n: usize| vec!["a=1"; n].join("; ");
    assert!(OwnCookies::parse(&PLAIN, [many(MAX_COOKIES).as_bytes()]).is_ok());
    assert_eq!(
        OwnCookies::parse(&PLAIN, [many(MAX_COOKIES + 1).as_bytes()]).unwrap_err(),
        Failure::HeadersTooLarge
    );
    let half = many(MAX_COOKIES / 2 + 1);
    assert_eq!(
        OwnCookies::parse(&PLAIN, [half.as_bytes(), half.as_bytes()]).unwrap_err(),
        Failure::HeadersTooLarge
    );
    let long = vec![b'a'; MAX_COOKIE_BYTES];
    assert!(OwnCookies::parse(&PLAIN, [&long[..]]).is_ok());
    assert_eq!(OwnCookies::parse(&PLAIN, [&long[..], b"b"]).unwrap_err(), Failure::HeadersTooLarge);
}

#[test]
fn r34_too_many_flows_are_deleted_by_name_and_nothing_else_is() {
    let flows = |from: usize, to: usize| {
        (from..to).map(|i| format!("wecom_gate_flow_0{i:07}=x")).collect::<Vec<_>>().join("; ")
    };
    let (first, second) = (format!("a=b; wecom_gate=x; {}", flows(0, 2)), flows(2, 90));
    let deleted = PLAIN.delete_flows([first.as_bytes(), second.as_bytes()]);
    let expected: Vec<String> =
        (0..MAX_DELETIONS).map(|i| PLAIN.delete(&format!("wecom_gate_flow_0{i:07}"))).collect();
    assert_eq!(deleted, expected);
}

#[test]
fn the_first_cookie_of_a_name_counts() {
    let headers: [&[u8]; 3] = [b"ab=0; b; a=1; a=2", b"a=3", b"c="];
    let first = |name: &str| first_cookie(headers, name.as_bytes());
    assert_eq!(first("a"), Some(&b"1"[..]));
    assert_eq!(first("c"), Some(&b""[..]));
    assert_eq!(first("b"), None);
    assert_eq!(first("A"), None);
}

#[test]
fn r27_debug_shows_no_value() {
    let own = parse(&PLAIN, &[b"wecom_gate=canary; wecom_gate_flow_0abcdefg=canary"]);
    assert_eq!(format!("{own:?}"), "OwnCookies { sessions: 1, flows: 1, signed_out: false, tries: 0 }");
}

proptest! {
    #[test]
    fn segments_lose_nothing(header in prop::collection::vec(prop_oneof![Just(b';'), Just(b'='), any::<u8>()], 0..200)) {
        let parts: Vec<&[u8]> = segments(&header).collect();
        prop_assert_eq!(parts.join(&b';'), header);
    }

    #[test]
    fn r07_parsing_takes_any_bytes(headers in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..4)) {
        let _ = OwnCookies::parse(&SECURE, headers.iter().map(Vec::as_slice));
    }
}

#[test]
fn r44_no_application_has_a_cookie_of_another() {
    let names = [
        Names::new(true, SESSION),
        Names::of_application(true, SESSION, "crm"),
        Names::of_application(true, SESSION, "crm_out"),
        Names::of_application(true, SESSION, "flow_"),
        Names::of_application(true, SESSION, "CRM"),
    ];
    let mut seen = std::collections::BTreeSet::new();
    for names in &names {
        for name in [names.session(), names.password(), names.out(), names.tries(), names.flow_prefix()] {
            assert!(seen.insert(name.to_owned()), "{name}");
            assert!(name.starts_with("__Host-"), "{name}");
            // NocoBase gets none of them, whichever application a request is for.
            assert!(self::names_take(&PLAIN, name) && self::names_take(&names.clone(), name), "{name}");
        }
    }
    let crm = Names::of_application(false, "other", "crm");
    assert!(
        names_take(&crm, "other")
            && names_take(&crm, "other_app.hr")
            && names_take(&crm, "other_app.crm.out")
    );
    let header = format!("{}=1; {}=2", names[1].session(), names[0].session());
    let own = OwnCookies::parse(&names[1], [header.as_bytes()]).unwrap();
    assert_eq!(own.sessions().collect::<Vec<_>>(), [b"1"]);
}

fn names_take(names: &Names, name: &str) -> bool {
    names.is_ours(name.as_bytes())
}
