use proptest::prelude::*;

use super::*;

type Value = (u64, String);

fn key(byte: u8) -> SecretSlice<u8> {
    SecretSlice::from(vec![byte; KEY_BYTES])
}
fn ring(bytes: &[u8]) -> Keyring {
    ring_of(bytes, "https://gate.test")
}
fn ring_of(bytes: &[u8], origin: &str) -> Keyring {
    Keyring::new(&bytes.iter().map(|b| key(*b)).collect::<Vec<_>>(), origin).unwrap()
}
fn value() -> Value {
    (42, "张三".into())
}
fn open(ring: &Keyring, text: &str) -> Option<Value> {
    ring.open(Purpose::Session, b"c", text.as_bytes())
}

#[test]
fn what_is_sealed_opens_and_never_looks_the_same_twice() {
    let ring = ring(&[1]);
    let a = ring.seal(Purpose::Session, b"c", &value()).unwrap();
    let b = ring.seal(Purpose::Session, b"c", &value()).unwrap();
    assert_ne!(a, b);
    assert_eq!(open(&ring, &a), Some(value()));
    assert_eq!(open(&ring, &b), Some(value()));
    assert!(a.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-' || c == b'_'));
}

/// Names are the same on all nodes, and differ with each part, key and origin.
#[test]
fn blind_names_tell_apart_and_need_the_key() {
    let name = ring(&[1, 2]).blind(&["account", "li"]);
    assert_eq!(name, ring(&[1]).blind(&["account", "li"]));
    for other in [
        ring(&[1]).blind(&["account", "l", "i"]),
        ring(&[1]).blind(&["accountl", "i"]),
        ring(&[2]).blind(&["account", "li"]),
        ring_of(&[1], "https://other.test").blind(&["account", "li"]),
    ] {
        assert_ne!(name, other);
    }
}

#[test]
fn keys_of_the_wrong_length_or_none_are_refused() {
    assert_eq!(Keyring::new(&[], "").unwrap_err(), KeyringError::Empty);
    for length in [0, 32, 63, 65] {
        let keys = [key(1), SecretSlice::from(vec![0; length])];
        assert_eq!(Keyring::new(&keys, "").unwrap_err(), KeyringError::Length { index: 1, length });
    }
    assert_eq!(format!("{:?}", ring(&[1, 2])), "Keyring { keys: 2, .. }");
}

#[test]
fn r12_every_changed_byte_gives_the_one_failure() {
    let ring = ring(&[1]);
    let text = ring.seal(Purpose::Session, b"c", &value()).unwrap();
    for i in 0..text.len() {
        for replacement in [b'A', b'B', b'_', b'=', b' ', 0, 0xff] {
            let mut bytes = text.clone().into_bytes();
            if bytes[i] == replacement {
                continue;
            }
            bytes[i] = replacement;
            assert_eq!(ring.open::<Value>(Purpose::Session, b"c", &bytes), None, "byte {i}");
        }
        assert_eq!(ring.open::<Value>(Purpose::Session, b"c", &text.as_bytes()[..i]), None, "cut at {i}");
        assert_eq!(ring.open::<Value>(Purpose::Session, b"c", &text.as_bytes()[i + 1..]), None);
    }
    for tail in ["=", "A", "AAAA", "\n"] {
        assert_eq!(open(&ring, &format!("{text}{tail}")), None);
    }
}

#[test]
fn r12_a_well_sealed_value_of_another_type_gives_the_same_failure() {
    let ring = ring(&[1]);
    let short = ring.seal(Purpose::Session, b"c", &7_u8).unwrap();
    let long = ring.seal(Purpose::Session, b"c", &(value(), 1_u8)).unwrap();
    assert_eq!(open(&ring, &short), None);
    assert_eq!(open(&ring, &long), None, "nothing may be left over");
}

#[test]
fn r13_another_purpose_or_context_does_not_open() {
    let ring = ring(&[1]);
    let text = ring.seal(Purpose::Flow, b"ab", &value()).unwrap();
    assert_eq!(ring.open::<Value>(Purpose::Flow, b"ab", text.as_bytes()), Some(value()));
    for (purpose, context) in [
        (Purpose::Session, &b"ab"[..]),
        (Purpose::PasswordSession, b"ab"),
        (Purpose::Claim, b"ab"),
        (Purpose::AccessToken, b"ab"),
        (Purpose::Ending, b"ab"),
        (Purpose::Flow, b"a"),
        (Purpose::Flow, b"abc"),
        (Purpose::Flow, b"AB"),
        (Purpose::Flow, b""),
    ] {
        assert_eq!(ring.open::<Value>(purpose, context, text.as_bytes()), None);
    }
}

#[test]
fn r13_aad_parts_cannot_shift_into_each_other() {
    let ring = ring(&[1]);
    let a = ring.aad(Purpose::Flow, b"");
    let b = ring.aad(Purpose::Flow, b"\0");
    let c = ring.aad(Purpose::Session, b"");
    assert!(a != b && a != c && b != c);
    assert_eq!(a.len() + 1, b.len());
}

#[test]
fn r37_the_same_keys_open_nothing_of_another_origin() {
    let here = ring(&[1]);
    for purpose in [
        Purpose::Session,
        Purpose::PasswordSession,
        Purpose::Flow,
        Purpose::Claim,
        Purpose::AccessToken,
        Purpose::Ending,
    ] {
        let text = here.seal(purpose, b"wecom_gate", &value()).unwrap();
        let open = |origin| ring_of(&[2, 1], origin).open::<Value>(purpose, b"wecom_gate", text.as_bytes());
        assert_eq!(open("https://gate.test"), Some(value()));
        for other in [
            "http://gate.test",
            "https://gate.test:8443",
            "https://gate.tes",
            "https://gate.test.example",
            "",
        ] {
            assert_eq!(open(other), None, "{other}");
        }
        // No part of the context can be taken for a part of the origin, nor the reverse.
        let shifted = ring_of(&[1], "https://gate.testwecom");
        assert_eq!(shifted.open::<Value>(purpose, b"_gate", text.as_bytes()), None);
    }
}

#[test]
fn r14_rotation_keeps_old_texts_open_until_their_key_goes() {
    let old = ring(&[1]);
    let text = old.seal(Purpose::Session, b"c", &value()).unwrap();
    let both = ring(&[2, 1]);
    assert_eq!(open(&both, &text), Some(value()), "the old key still opens");
    let fresh = both.seal(Purpose::Session, b"c", &value()).unwrap();
    assert_eq!(open(&old, &fresh), None, "the first key seals");
    let new = ring(&[2]);
    assert_eq!(open(&new, &fresh), Some(value()));
    assert_eq!(open(&new, &text), None, "gone with its key");
}

#[test]
fn r17_oversized_texts_are_neither_made_nor_opened() {
    let ring = ring(&[1]);
    let sealed = |bytes| ring.seal(Purpose::Flow, b"c", &"x".repeat(bytes));
    let longest = (2800..MAX_TEXT).take_while(|bytes| sealed(*bytes).is_ok()).last().unwrap();
    let text = sealed(longest).unwrap();
    assert_eq!(text.len(), MAX_TEXT);
    assert!(ring.open::<String>(Purpose::Flow, b"c", text.as_bytes()).is_some());
    assert_eq!(ring.seal(Purpose::Flow, b"c", &"x".repeat(MAX_TEXT)), Err(Failure::TooLarge));
    let fits = ring.seal(Purpose::Flow, b"c", &"x".repeat(2800)).unwrap();
    assert!(ring.open::<String>(Purpose::Flow, b"c", fits.as_bytes()).is_some());
    assert_eq!(ring.open::<String>(Purpose::Flow, b"c", &vec![b'A'; 10_000_000]), None);
}

proptest! {
    #[test]
    fn r07_no_bytes_that_we_did_not_make_open(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let ring = ring(&[1, 2]);
        prop_assert_eq!(ring.open::<Value>(Purpose::Session, b"c", &bytes), None);
        // The same with a valid header, which passes the first checks.
        let mut raw = vec![VERSION];
        raw.extend_from_slice(&ring.first.id);
        raw.extend_from_slice(&bytes);
        let text = BASE64URL.encode(raw);
        prop_assert_eq!(ring.open::<Value>(Purpose::Session, b"c", text.as_bytes()), None);
    }
}
