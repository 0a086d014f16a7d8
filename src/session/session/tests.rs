use proptest::prelude::*;
use secrecy::SecretSlice;

use super::*;

const HOUR: u64 = 3_600_000;
const MINUTE: u64 = 60_000;
const T0: u64 = 1_800_000_000_000;

fn limits() -> SessionLimits {
    SessionLimits { idle: Duration::from_millis(12 * HOUR), absolute: Duration::from_millis(7 * 24 * HOUR) }
}
fn keyring(byte: u8) -> Arc<Keyring> {
    Arc::new(Keyring::new(&[SecretSlice::from(vec![byte; 64])], "https://gate.test").unwrap())
}
fn member() -> Member {
    Member {
        entry: "wecom".into(),
        corp_id: "ww1".into(),
        userid: "ZhangSan".into(),
        name: "张三".into(),
        user_id: 7,
    }
}
fn company(entry: &str, corp_id: &str) -> Company {
    Company { entry: entry.into(), corp_id: corp_id.into() }
}
fn cookies_of(https: bool, companies: Vec<Company>) -> SessionCookies {
    SessionCookies::new(keyring(1), Names::new(https, "wecom_gate"), limits(), companies)
}
fn cookies() -> SessionCookies {
    cookies_of(true, vec![company("wecom", "ww1")])
}
fn at(offset: i64) -> UnixMillis {
    UnixMillis(T0.checked_add_signed(offset).unwrap())
}
/// `name=value` of a `Set-Cookie` line.
fn pair(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().to_owned()
}
fn read(sc: &SessionCookies, header: &str, now: UnixMillis) -> Option<Session> {
    sc.read(&OwnCookies::parse(sc.names(), [header.as_bytes()]).unwrap(), now)
}

#[test]
fn what_is_written_is_read() {
    for https in [true, false] {
        let sc = cookies_of(https, vec![company("wecom", "ww1")]);
        let session = Session::begin(member(), at(0)).unwrap();
        let line = sc.write(&session, at(0)).unwrap();
        assert_eq!(read(&sc, &pair(&line), at(0)), Some(session));
        assert!(line.contains("Max-Age=43200"), "{line}");
        assert!(pair(&line).len() < 400, "a session cookie stays small: {}", pair(&line).len());
    }
}

#[test]
fn idle_absolute_and_skew() {
    let session = Session::begin(member(), at(0)).unwrap();
    let h = HOUR as i64;
    // (last seen, now, state), relative to sign-in
    for (seen, now, state) in [
        (0, 0, SessionValidity::Valid),
        (0, 12 * h - 1, SessionValidity::Valid),
        (0, 12 * h, SessionValidity::Idle),
        (160 * h, 168 * h - 1, SessionValidity::Valid),
        (160 * h, 168 * h, SessionValidity::Expired),
        (0, 1000 * h, SessionValidity::Expired),
        // The clock of the node that sealed it is ahead.
        (0, -5 * MINUTE as i64, SessionValidity::Valid),
        (0, -5 * MINUTE as i64 - 1, SessionValidity::FromTheFuture),
        (10 * h, 10 * h - 5 * MINUTE as i64, SessionValidity::Valid),
        (10 * h, 10 * h - 5 * MINUTE as i64 - 1, SessionValidity::FromTheFuture),
    ] {
        let s = Session { last_seen: at(seen), ..session.clone() };
        assert_eq!(s.state(&limits(), at(now)), state, "seen {seen}, now {now}");
        let sc = cookies();
        let line = sc.write(&s, at(seen)).unwrap();
        assert_eq!(
            read(&sc, &pair(&line), at(now)).is_some(),
            state == SessionValidity::Valid,
            "seen {seen}, now {now}"
        );
    }
}

#[test]
fn ordinary_requests_write_no_cookie_and_the_cookie_ends_with_the_session() {
    let sc = cookies();
    let session = Session::begin(member(), at(0)).unwrap();
    let m = MINUTE as i64;
    assert_eq!(sc.renew(&session, at(0)).unwrap(), None);
    assert_eq!(sc.renew(&session, at(30 * m - 1)).unwrap(), None);
    assert_eq!(sc.renew(&session, at(-4 * m)).unwrap(), None);
    let line = sc.renew(&session, at(30 * m)).unwrap().unwrap();
    let renewed = read(&sc, &pair(&line), at(30 * m)).unwrap();
    assert_eq!(renewed, Session { last_seen: at(30 * m), ..session.clone() }, "nothing else changes");
    // Near the absolute end, the cookie lives for the remaining time.
    let late = Session { last_seen: at(167 * 60 * m), ..session.clone() };
    let line = sc.renew(&late, at((167 * 60 + 30) * m)).unwrap().unwrap();
    assert!(line.contains("Max-Age=1800"), "{line}");
    // A session that has ended is not revived.
    assert_eq!(sc.renew(&session, at(13 * 60 * m)).unwrap(), None);
    assert_eq!(sc.renew(&late, at(169 * 60 * m)).unwrap(), None);
}

#[test]
fn renewal_fits_short_idle_times() {
    for (idle, after) in [(12 * 3600, 1800), (600, 60), (120, 30), (4, 1)] {
        let limits =
            SessionLimits { idle: Duration::from_secs(idle), absolute: Duration::from_secs(604_800) };
        assert_eq!(limits.renew_after(), Duration::from_secs(after));
    }
}

#[test]
fn a_session_ends_with_its_entry_or_company() {
    let session = Session::begin(member(), at(0)).unwrap();
    let header = pair(&cookies().write(&session, at(0)).unwrap());
    for (companies, lives) in [
        (vec![company("wecom", "ww1")], true),
        (vec![company("other", "ww2"), company("wecom", "ww1")], true),
        (vec![], false),
        (vec![company("other", "ww1")], false),
        (vec![company("wecom", "ww2")], false),
        (vec![company("wecom", "WW1")], false),
    ] {
        assert_eq!(
            read(&cookies_of(true, companies.clone()), &header, at(0)).is_some(),
            lives,
            "{companies:?}"
        );
    }
}

#[test]
fn r32_cookies_hold_a_session_however_old_as_long_as_keys_and_entry_are_there() {
    let (mine, another) =
        (Session::begin(member(), at(0)).unwrap(), Session::begin(member(), at(0)).unwrap());
    let header = pair(&cookies().write(&mine, at(0)).unwrap());
    let hold = |all: &SessionCookies, header: &str, sid| {
        all.hold(&OwnCookies::parse(all.names(), [header.as_bytes()]).unwrap(), sid)
    };
    assert!(hold(&cookies(), &header, mine.sid));
    assert!(!hold(&cookies(), &header, another.sid));
    assert!(!hold(&cookies(), "a=b", mine.sid));
    assert!(!hold(&cookies_of(true, vec![company("wecom", "ww2")]), &header, mine.sid), "its entry is gone");
}

#[test]
fn r13_a_session_opens_only_under_its_own_cookie_name() {
    let secure = cookies();
    let plain = cookies_of(false, vec![company("wecom", "ww1")]);
    let session = Session::begin(member(), at(0)).unwrap();
    let line = pair(&plain.write(&session, at(0)).unwrap());
    let (_, value) = line.split_once('=').unwrap();
    assert!(read(&plain, &line, at(0)).is_some());
    assert_eq!(read(&secure, &format!("__Host-wecom_gate={value}"), at(0)), None);
    assert_eq!(read(&secure, &line, at(0)), None, "the name without prefix is not even looked at");
}

#[test]
fn r15_each_sign_in_has_a_new_id_and_phantom() {
    let a = Session::begin(member(), at(0)).unwrap();
    let b = Session::begin(member(), at(0)).unwrap();
    assert_ne!(a.sid, b.sid);
    assert_ne!(a.phantom, b.phantom);
    assert_eq!(a.sid.get_version_num(), 4);
}

#[test]
fn r15_a_planted_cookie_is_skipped_and_never_adopted() {
    let sc = cookies();
    let session = Session::begin(member(), at(0)).unwrap();
    let own = pair(&sc.write(&session, at(0)).unwrap());
    let foreign =
        SessionCookies::new(keyring(9), sc.names().clone(), limits(), vec![company("wecom", "ww1")]);
    let planted = pair(&foreign.write(&session, at(0)).unwrap());
    assert_eq!(read(&sc, &planted, at(0)), None);
    assert_eq!(read(&sc, "__Host-wecom_gate=", at(0)), None);
    for header in
        [format!("{planted}; {own}"), format!("{own}; {planted}"), format!("{planted}; {planted}; {own}")]
    {
        assert_eq!(read(&sc, &header, at(0)).as_ref(), Some(&session));
    }
    // The number of attempts is limited.
    assert_eq!(read(&sc, &format!("{planted}; {planted}; {planted}; {own}"), at(0)), None);
}

#[test]
fn r27_debug_shows_no_phantom() {
    let session = Session::begin(member(), at(0)).unwrap();
    let shown = format!("{session:?} {:?}", cookies());
    assert!(!shown.contains(&session.phantom.text()[4..]), "{shown}");
    assert!(shown.contains("Phantom(..)"));
}

proptest! {
    #[test]
    fn r07_no_cookie_bytes_open_a_session(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let sc = cookies();
        let header = [b"__Host-wecom_gate=", &bytes[..]].concat();
        let own = OwnCookies::parse(sc.names(), [&header[..]]).unwrap();
        prop_assert_eq!(sc.read(&own, at(0)), None);
    }

    #[test]
    fn sliding_never_passes_the_absolute_end(gaps in prop::collection::vec(0..12 * HOUR, 1..40)) {
        let first = Session::begin(member(), at(0)).unwrap();
        let (mut s, mut now) = (first.clone(), at(0));
        for gap in gaps {
            now = UnixMillis(now.0 + gap);
            if let Some(renewed) = s.renewed(&limits(), now) {
                prop_assert!(renewed.ends_at(&limits()).0 <= T0 + 7 * 24 * HOUR);
                prop_assert!(now.0 < T0 + 7 * 24 * HOUR);
                prop_assert_eq!((renewed.sid, renewed.signed_in_at), (first.sid, first.signed_in_at));
                s = renewed;
            }
        }
    }
}
