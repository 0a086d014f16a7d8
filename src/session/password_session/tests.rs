use std::sync::Arc;
use std::time::Duration;

use secrecy::SecretSlice;

use super::*;
use crate::session::{Company, Keyring, Names, SessionLimits};

const T0: u64 = 1_800_000_000_000;
const HOUR: u64 = 3_600_000;

fn cookies(byte: u8) -> SessionCookies {
    let keyring = Arc::new(Keyring::new(&[SecretSlice::from(vec![byte; 64])], "https://gate.test").unwrap());
    let limits = SessionLimits {
        idle: Duration::from_millis(12 * HOUR),
        absolute: Duration::from_millis(7 * 24 * HOUR),
    };
    let company = Company { entry: String::new(), corp_id: String::new() };
    SessionCookies::new(keyring, Names::new(true, "wecom_gate"), limits, vec![company])
}

fn sign_in(user_id: u64, at: u64) -> PasswordSignIn {
    PasswordSignIn { user_id, signed_in_at: UnixMillis(at), jti: "0a1b".into() }
}

/// The sessions in this `Cookie` header.
fn read(cookies: &SessionCookies, header: &str, now: u64) -> Vec<PasswordSession> {
    let own = OwnCookies::parse(cookies.names(), [header.as_bytes()]).unwrap();
    cookies.read_passwords(&own, UnixMillis(now)).collect()
}

fn pair(set_cookie: &str) -> &str {
    set_cookie.split(';').next().unwrap()
}

#[test]
fn the_id_is_that_of_user_and_time_alone() {
    let id = sign_in(7, T0).sid();
    assert_eq!(PasswordSignIn { jti: "another".into(), ..sign_in(7, T0) }.sid(), id, "after a renewal");
    for other in [sign_in(8, T0), sign_in(7, T0 + 1), sign_in(T0, 7), sign_in(0, 0)] {
        assert_ne!(other.sid(), id, "{other:?}");
    }
}

#[test]
fn r32_it_counts_as_long_as_any_session() {
    let cookies = cookies(1);
    let own = PasswordSession::new(&sign_in(7, T0), UnixMillis(T0)).unwrap();
    let line = cookies.write_password(&own, UnixMillis(T0)).unwrap();
    assert!(line.starts_with("__Host-wecom_gate_password=") && line.contains("HttpOnly"), "{line}");
    assert!(line.contains("SameSite=Lax") && line.contains("Secure"), "{line}");
    assert!(!line.contains("0a1b"), "sealed");
    assert_eq!(read(&cookies, pair(&line), T0), std::slice::from_ref(&own));
    assert_eq!(read(&cookies, pair(&line), T0 + 12 * HOUR - 1), std::slice::from_ref(&own));
    assert!(read(&cookies, pair(&line), T0 + 12 * HOUR).is_empty(), "idle");
    // The time is that of the sign-in at NocoBase, not that of the cookie.
    let late = PasswordSession::new(&sign_in(7, T0), UnixMillis(T0 + 7 * 24 * HOUR - 1)).unwrap();
    let line = cookies.write_password(&late, UnixMillis(T0 + 7 * 24 * HOUR - 1)).unwrap();
    assert_eq!(read(&cookies, pair(&line), T0 + 7 * 24 * HOUR - 1).len(), 1);
    assert!(read(&cookies, pair(&line), T0 + 7 * 24 * HOUR).is_empty(), "too old");
}

#[test]
fn r13_neither_kind_of_session_opens_as_the_other() {
    let all = cookies(1);
    let own = PasswordSession::new(&sign_in(7, T0), UnixMillis(T0)).unwrap();
    let password = all.write_password(&own, UnixMillis(T0)).unwrap();
    let member = all.write(&own.session, UnixMillis(T0)).unwrap();
    let value = |line: &str| pair(line).split_once('=').unwrap().1.to_owned();
    let as_member = format!("__Host-wecom_gate={}", value(&password));
    let own = OwnCookies::parse(all.names(), [as_member.as_bytes()]).unwrap();
    assert_eq!(all.read(&own, UnixMillis(T0)), None, "no member");
    assert!(read(&all, &format!("__Host-wecom_gate_password={}", value(&member)), T0).is_empty());
    // Nor with other keys, nor otherwise.
    assert!(read(&cookies(2), pair(&password), T0).is_empty());
    assert!(read(&all, "__Host-wecom_gate_password=AAAA", T0).is_empty());
}

#[test]
fn r32_streams_know_its_cookie_and_r11_nocobase_never_sees_it() {
    let cookies = cookies(1);
    let own = PasswordSession::new(&sign_in(7, T0), UnixMillis(T0)).unwrap();
    let line = cookies.write_password(&own, UnixMillis(T0)).unwrap();
    let header = format!("a=b; {}; c=d", pair(&line));
    let parsed = OwnCookies::parse(cookies.names(), [header.as_bytes()]).unwrap();
    assert!(cookies.hold(&parsed, own.session.sid));
    assert!(!cookies.hold(&parsed, uuid::Uuid::nil()));
    let left = crate::session::forwardable(cookies.names(), [header.as_bytes()], false, &[]).unwrap();
    assert_eq!(left.as_deref(), Some(&b"a=b; c=d"[..]));
    // It is deleted with all its attributes, if it is there (R16).
    let deleted = cookies.delete_password(&parsed).unwrap();
    assert!(
        deleted.starts_with("__Host-wecom_gate_password=;") && deleted.contains("Max-Age=0"),
        "{deleted}"
    );
    assert_eq!(cookies.delete_password(&OwnCookies::default()), None);
}
