use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as B64;
use proptest::prelude::*;
use ring::hmac;

use super::*;

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"a secret that is long enough";

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

/// A token with any header and claims, signed as HMAC-SHA256.
fn forge(secret: &[u8], header: &str, claims: &str) -> String {
    let message = format!("{}.{}", B64.encode(header), B64.encode(claims));
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", B64.encode(tag))
}

const HS256: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

#[test]
fn session_token_has_nocobases_claims() {
    let minted = Minter::new(SECRET).session(user(7), "sid-1", 1_799_999_999_123, NOW).unwrap();
    let mut parts = minted.as_str().split('.');
    let mut next = || String::from_utf8(B64.decode(parts.next().unwrap()).unwrap()).unwrap();
    assert_eq!(next(), r#"{"typ":"JWT","alg":"HS256"}"#);
    let want = r#"{"userId":7,"temp":true,"iat":1800000000,"signInTime":1799999999123,"exp":1800001800,"jti":"sid-1"}"#;
    assert_eq!(next(), want);
}

#[test]
fn what_is_minted_verifies() {
    let m = Minter::new(SECRET);
    let big = user(1 << 60);
    let got = m.verify(m.session(big, "s", 1, NOW).unwrap().as_str(), NOW).unwrap();
    let (jti, exp) = (Some("s".into()), Some(NOW + LIFETIME_S));
    let want = Verified { user_id: big, jti, sign_in_ms: Some(1), api_key: false, exp };
    assert_eq!(got, want);
    let got = m.verify(m.service(user(1), NOW).unwrap().as_str(), NOW).unwrap();
    assert_eq!(
        got,
        Verified { user_id: user(1), jti: None, sign_in_ms: None, api_key: true, exp: Some(NOW + 600) }
    );
}

#[test]
fn ends_and_beginnings_have_a_minute_of_leeway() {
    let m = Minter::new(SECRET);
    let ok = |claims: &str| m.verify(&forge(SECRET, HS256, claims), NOW).is_ok();
    assert!(ok(&format!(r#"{{"userId":1,"exp":{}}}"#, NOW - 60)));
    assert!(!ok(&format!(r#"{{"userId":1,"exp":{}}}"#, NOW - 61)));
    assert!(ok(&format!(r#"{{"userId":1,"exp":{},"nbf":{}}}"#, NOW + 9, NOW + 60)));
    assert!(!ok(&format!(r#"{{"userId":1,"exp":{},"nbf":{}}}"#, NOW + 9, NOW + 61)));
    assert!(ok(r#"{"userId":"1","roleName":"admin"}"#));
    // Invalid claims do not count as absent.
    assert!(!ok(r#"{"userId":1,"exp":"never"}"#));
    assert!(!ok(r#"{"userId":1,"exp":-5}"#));
    assert!(!ok(r#"{"userId":1,"temp":"yes"}"#));
    assert!(!ok(r#"{"userId":0}"#));
    assert!(!ok(r#"{"resetPasswordUserId":1}"#));
    assert!(!ok(r#"{"userId":1,"aud":"somebody else"}"#));
    assert!(!ok("[]"));
}

#[test]
fn r13_another_algorithm_or_secret_is_refused() {
    let m = Minter::new(SECRET);
    let claims = r#"{"userId":1}"#;
    assert!(m.verify(&forge(SECRET, HS256, claims), NOW).is_ok());
    assert!(m.verify(&forge(b"another secret", HS256, claims), NOW).is_err());
    for alg in ["none", "None", "HS384", "HS512", "RS256", "ES256", "EdDSA", "hs256", ""] {
        let header = format!(r#"{{"alg":"{alg}"}}"#);
        assert!(m.verify(&forge(SECRET, &header, claims), NOW).is_err(), "{alg}");
    }
    // `none` with an empty signature, and a truncated signature.
    let none = format!("{}.{}.", B64.encode(r#"{"alg":"none"}"#), B64.encode(claims));
    assert!(m.verify(&none, NOW).is_err());
    let good = forge(SECRET, HS256, claims);
    let cut = good.rsplit_once('.').unwrap().0;
    for bad in
        [cut.to_owned(), format!("{cut}."), format!("{good}="), format!("{good}.x"), format!(" {good}")]
    {
        assert!(m.verify(&bad, NOW).is_err(), "{bad}");
    }
}

#[test]
fn every_changed_byte_is_refused() {
    let m = Minter::new(SECRET);
    let good = m.session(user(1), "sid", 1, NOW).unwrap();
    let good = good.as_str().as_bytes();
    for i in 0..good.len() {
        // The last character of an unpadded part may contain unused bits; the decoder refuses those, too.
        let mut bad = good.to_vec();
        bad[i] = if bad[i] == b'A' { b'B' } else { b'A' };
        assert!(m.verify(std::str::from_utf8(&bad).unwrap(), NOW).is_err(), "byte {i}");
    }
}

#[test]
fn r27_debug_shows_no_token_and_no_secret() {
    let m = Minter::new(b"CANARY-SECRET");
    let minted = m.session(user(1), "sid", 1, NOW).unwrap();
    let shown = format!("{m:?} {minted:?} {:?}", m.verify("x", NOW));
    assert!(
        !shown.contains("CANARY") && !shown.contains(minted.as_str()) && !shown.contains("eyJ"),
        "{shown}"
    );
}

/// The budget is 10 us in a release build; a debug build on a busy machine gets a hundred times that.
#[test]
fn verifying_is_fast() {
    let m = Minter::new(SECRET);
    let token = m.session(user(1), "0b2b5ba4-4d6f-4b3c-9a3e-6e5e7c7b7a10", 1, NOW).unwrap();
    let begun = std::time::Instant::now();
    for _ in 0..1000 {
        m.verify(token.as_str(), NOW).unwrap();
    }
    let each = begun.elapsed() / 1000;
    assert!(each < std::time::Duration::from_millis(1), "{each:?}");
}

proptest! {
    #[test]
    fn no_input_panics_or_verifies(s in "\\PC{0,200}", a in "[A-Za-z0-9_-]{0,60}", b in "[A-Za-z0-9_-]{0,60}") {
        let m = Minter::new(SECRET);
        prop_assert!(m.verify(&s, NOW).is_err());
        let token = format!("{}.{}.{}", B64.encode(HS256), a, b);
        prop_assert!(m.verify(&token, NOW).is_err());
    }
}

#[test]
fn r17_a_token_has_a_longest_length() {
    let minter = Minter::new(SECRET);
    let mut lengths = Vec::new();
    for blanks in 6000..6100 {
        let token = forge(SECRET, HS256, &format!(r#"{{"userId":1{}}}"#, " ".repeat(blanks)));
        assert_eq!(minter.verify(&token, NOW).is_ok(), token.len() <= MAX_TOKEN, "{}", token.len());
        lengths.push(token.len());
    }
    assert!(lengths.contains(&MAX_TOKEN), "{lengths:?}");
}
