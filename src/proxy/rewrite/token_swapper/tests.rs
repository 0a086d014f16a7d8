use std::cell::RefCell;

use proptest::prelude::*;

use serde_json::Value;

use super::*;

const MASK: [u8; 4] = [0x11, 0x22, 0x33, 0xf0];

/// A masked frame with any first byte.
fn raw(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut f = vec![first];
    match payload.len() {
        n @ 0..=125 => f.push(0x80 | n as u8),
        n @ 126..=65535 => {
            f.push(0xfe);
            f.extend((n as u16).to_be_bytes());
        }
        n => {
            f.push(0xff);
            f.extend((n as u64).to_be_bytes());
        }
    }
    f.extend(MASK);
    f.extend(payload.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m));
    f
}

fn text(s: &str) -> Vec<u8> {
    raw(0x81, s.as_bytes())
}

fn keep(_: &str) -> TokenVerdict {
    TokenVerdict::Keep
}

/// Pushes `input`, cut at the given places. `phantom` becomes `real...`; other tokens stay.
fn run(input: &[u8], cuts: &[usize]) -> Result<Vec<u8>, WsError> {
    let mut s = Swapper::new(|t: &str| match t {
        "phantom" => TokenVerdict::Replace("real".repeat(50)),
        "foreign" => TokenVerdict::Refuse,
        _ => TokenVerdict::Keep,
    });
    let (mut out, mut from) = (Vec::new(), 0);
    for &cut in cuts.iter().chain([&input.len()]) {
        out.extend_from_slice(&s.push(Bytes::copy_from_slice(&input[from..cut]))?);
        from = cut;
    }
    Ok(out)
}

fn real() -> Vec<u8> {
    text(&format!(
        r#"{{"payload":{{"authenticator":null,"token":"{}"}},"type":"auth:token"}}"#,
        "real".repeat(50)
    ))
}

const AUTH: &str = r#"{"type":"auth:token","payload":{"token":"phantom","authenticator":null}}"#;

/// Compares as JSON, since the order of keys has no meaning.
fn same_message(a: &[u8], b: &[u8]) {
    let open = |f: &[u8]| {
        let h = Header::parse(f).unwrap().unwrap();
        assert!(h.fin && h.opcode == TEXT && h.mask == MASK && f.len() == h.size + h.length as usize);
        let plain: Vec<u8> = f[h.size..].iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m).collect();
        serde_json::from_slice::<Value>(&plain).unwrap()
    };
    assert_eq!(open(a), open(b));
}

#[test]
fn the_token_is_swapped_and_the_mask_kept() {
    same_message(&run(&text(AUTH), &[]).unwrap(), &real());
    // Escapes and blanks do not change the message.
    let spelled =
        r#" { "payload" : {"token":"ph\u0061ntom","authenticator":null}, "type":"\u0061uth:token" } "#;
    same_message(&run(&text(spelled), &[]).unwrap(), &real());
}

#[test]
fn a_stream_of_frames_keeps_its_order() {
    let before = [raw(0x82, &[7; 70_000]), text("{\"type\":\"ping\"}"), raw(0x89, b"hi")].concat();
    let after = [text("plain"), raw(0x88, &[3, 232])].concat();
    let input = [before.clone(), text(AUTH), after.clone()].concat();
    let out = run(&input, &[]).unwrap();
    assert!(out.starts_with(&before) && out.ends_with(&after));
    same_message(&out[before.len()..out.len() - after.len()], &real());
}

#[test]
fn anything_but_an_auth_message_is_unchanged() {
    for message in [
        "",
        "auth:token",
        "{\"type\":\"auth:token\"}",
        "{\"type\":\"auth:token\",\"payload\":{\"token\":null}}",
        "{\"type\":\"auth:token\",\"payload\":{\"token\":\"not the phantom\"}}",
        "{\"type\":\"auth:other\",\"payload\":{\"token\":\"phantom\"}}",
        "[{\"type\":\"auth:token\",\"payload\":{\"token\":\"phantom\"}}]",
    ] {
        assert_eq!(run(&text(message), &[]).unwrap(), text(message), "{message}");
    }
    let long = "x".repeat(3 * MAX_MESSAGE);
    assert_eq!(run(&text(&long), &[]).unwrap(), text(&long));
    let fits = format!("{}{AUTH}", " ".repeat(MAX_MESSAGE - AUTH.len()));
    same_message(&run(&text(&fits), &[]).unwrap(), &real());
}

#[test]
fn r41_binary_messages_are_read_too() {
    let out = run(&raw(0x82, AUTH.as_bytes()), &[]).unwrap();
    let h = Header::parse(&out).unwrap().unwrap();
    assert!((h.fin, h.opcode) == (true, 2) && out.len() == h.size + h.length as usize);
    let plain: Vec<u8> = unmasked(&out[h.size..], MASK, 0).collect();
    assert!(String::from_utf8(plain).unwrap().contains("realreal"));
}

#[test]
fn r41_a_foreign_token_is_not_forwarded_however_it_is_split() {
    let foreign = AUTH.replace("phantom", "foreign");
    let (a, b) = foreign.as_bytes().split_at(30);
    let padded = format!("{}{foreign}", " ".repeat(MAX_MESSAGE));
    let (c, d) = padded.as_bytes().split_at(MAX_MESSAGE + 12);
    for (input, ends) in [
        (text(&foreign), false),
        (raw(0x82, foreign.as_bytes()), false),
        ([raw(0x01, a), raw(0x89, b"x"), raw(0x80, b)].concat(), false),
        ([raw(0x02, a), raw(0x00, b""), raw(0x80, b)].concat(), false),
        // Longer than what is held back.
        (text(&padded), true),
        (raw(0x82, padded.as_bytes()), true),
        ([raw(0x01, c), raw(0x89, b"x"), raw(0x80, d)].concat(), true),
        ([raw(0x01, a), raw(0x00, &[b' '; MAX_MESSAGE]), raw(0x80, b)].concat(), true),
        (text(&padded.replace("auth", "\\u0061uth")), true),
    ] {
        for cut in [0, 1, input.len() / 2, input.len() - 3, input.len() - 70] {
            match run(&input, &[cut]) {
                Ok(out) => {
                    assert!(!ends, "a long one passed, cut at {cut}");
                    let plain: Vec<u8> = out.iter().zip(MASK.iter().cycle()).map(|(b, m)| b ^ m).collect();
                    let find = |bytes: &[u8]| {
                        (0..4).any(|at| {
                            let turned: Vec<u8> = unmasked(bytes, MASK, at).collect();
                            memchr::memmem::find(&turned, b"foreign").is_some()
                        })
                    };
                    assert!(!find(&out), "{:?}", String::from_utf8_lossy(&plain));
                }
                Err(e) => assert!(ends && e == WsError::HiddenToken, "{e} at {cut}"),
            }
        }
    }
}

#[test]
fn fragments_are_put_together() {
    let (a, b) = AUTH.as_bytes().split_at(20);
    let ping = raw(0x89, b"x");
    let input = [raw(0x01, a), raw(0x00, b""), ping.clone(), raw(0x80, b)].concat();
    for cut in 0..input.len() {
        let out = run(&input, &[cut]).unwrap();
        assert!(out.starts_with(&ping), "the ping need not wait");
        same_message(&out[ping.len()..], &real());
    }
    // No token: the fragments are forwarded unchanged.
    let other = [raw(0x01, b"ab"), raw(0x00, b"cd"), raw(0x80, b"ef")].concat();
    assert_eq!(run(&other, &[]).unwrap(), other);
    // Too long in the end: the same, and the next message is parsed again.
    let big = [
        raw(0x01, b"{\"type\":\"other\""),
        raw(0x00, &[b' '; MAX_MESSAGE]),
        raw(0x00, b"x"),
        raw(0x80, b"y"),
    ]
    .concat();
    let out = run(&[big.clone(), text(AUTH)].concat(), &[]).unwrap();
    assert!(out.starts_with(&big));
    same_message(&out[big.len()..], &real());
}

#[test]
fn r17_what_is_held_back_is_bounded() {
    let mut s = Swapper::new(keep);
    let mut frame = raw(0x01, b"{");
    for _ in 0..20_000 {
        s.push(frame.into()).unwrap();
        assert!(s.raw.len() <= MAX_HELD && s.text.len() <= MAX_MESSAGE);
        frame = raw(0x00, b"");
    }
    assert_eq!(s.message, Message::Passing);
}

#[test]
fn long_frames_pass_at_once_and_without_a_copy() {
    let mut s = Swapper::new(keep);
    let frame = Bytes::from(raw(0x82, &[1; 100_000]));
    let first = frame.slice(..1000);
    assert_eq!(s.push(first.clone()).unwrap().as_ptr(), first.as_ptr());
    let second = frame.slice(1000..);
    let out = s.push(second.clone()).unwrap();
    assert_eq!((out.as_ptr(), out.len()), (second.as_ptr(), second.len()));
}

#[test]
fn r06_broken_frames_end_the_tunnel() {
    let masked = |head: &[u8]| [head, &MASK].concat();
    for (input, want) in [
        (vec![0xc1], WsError::Reserved),
        (vec![0x91], WsError::Reserved),
        (vec![0x83], WsError::Reserved),
        (vec![0x8f], WsError::Reserved),
        (vec![0x81, 0x05], WsError::Unmasked),
        (masked(&[0x09, 0x80]), WsError::Control),
        (masked(&[0x89, 0xfe, 0, 126]), WsError::Control),
        (masked(&[0x81, 0xfe, 0, 125]), WsError::Length),
        (masked(&[0x82, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff]), WsError::Length),
        (masked(&[0x82, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0]), WsError::Length),
        (raw(0x80, b"x"), WsError::Fragments),
        ([raw(0x01, b"x"), raw(0x81, b"y")].concat(), WsError::Fragments),
        ([raw(0x02, b"x"), raw(0x82, b"y")].concat(), WsError::Fragments),
    ] {
        assert_eq!(run(&input, &[]), Err(want), "{input:x?}");
        let mut s = Swapper::new(keep);
        assert!(s.push(input.into()).is_err());
        assert!(s.push(Bytes::from(text("x"))).is_err(), "an error is for good");
    }
}

#[test]
fn r27_debug_shows_no_content() {
    let seen = RefCell::new(0);
    let mut s = Swapper::new(|_: &str| {
        *seen.borrow_mut() += 1;
        TokenVerdict::Keep
    });
    let frame = text(r#"{"type":"auth:token","payload":{"token":"CANARY"}}"#);
    s.push(Bytes::copy_from_slice(&frame[..frame.len() - 1])).unwrap();
    assert!(!format!("{s:?}").contains("CANARY"));
    s.push(Bytes::copy_from_slice(&frame[frame.len() - 1..])).unwrap();
    drop(s);
    assert_eq!(seen.into_inner(), 1);
}

fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        Just(AUTH.as_bytes().to_vec()),
        Just(vec![b'x'; 20_000]),
    ];
    let first = prop_oneof![Just(0x81), Just(0x82), Just(0x89), Just(0x01), Just(0x00), Just(0x80)];
    proptest::collection::vec((first, payload), 0..8)
        .prop_map(|all| all.into_iter().flat_map(|(first, p)| raw(first, &p)).collect())
}

proptest! {
    #[test]
    fn any_split_gives_the_same(input in frames(), cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12)) {
        let mut cuts: Vec<usize> = cuts.iter().map(|c| c.index(input.len() + 1)).collect();
        cuts.sort_unstable();
        prop_assert_eq!(run(&input, &cuts), run(&input, &[]));
    }

    #[test]
    fn no_bytes_panic(input in proptest::collection::vec(any::<u8>(), 0..300), cut in any::<prop::sample::Index>()) {
        let cut = cut.index(input.len() + 1);
        prop_assert_eq!(run(&input, &[cut]), run(&input, &[]));
    }

    #[test]
    fn kept_messages_are_unchanged(input in frames()) {
        let mut s = Swapper::new(keep);
        let mut out = Vec::new();
        for piece in input.chunks(97) {
            match s.push(Bytes::copy_from_slice(piece)) {
                Ok(bytes) => out.extend_from_slice(&bytes),
                Err(_) => return Ok(()),
            }
        }
        // Control frames may overtake a message that is held back; nothing is lost or invented.
        if s.message == Message::None {
            let (mut a, mut b) = (out, input);
            a.sort_unstable();
            b.sort_unstable();
            prop_assert_eq!(a, b);
        }
    }
}
