use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockModeEncrypt as _, KeyIvInit as _};
use proptest::prelude::*;

use super::*;
use crate::error::Failure;
use crate::wecom::address;
use crate::wecom::event::Event;

const CORP: &str = "ww0123456789abcdef";
const TOKEN: &str = "testToken0123456789";
const AES_KEY: &str = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG";
const ECHO: &str = "Q3stYC6hdFzMh9T8HCvyDH0IHJENRtL8kKsqSYgg4gBeiTpo2e8dLmRRhxdna5yMVu0s4RoCX7iZ4LGYqVDhtA==";
const EVENT: &str = concat!(
    "Q3stYC6hdFzMh9T8HCvyDFYqp+WRA4JhXTSMyMJMcetBZEWXAQbeGNLR0th368eW7E4jgHwLA5AboJ3ckPDhcIBq15+tQ+dr",
    "Euw8qh4mG+ptjnHas0EiAqL/WYrGVAU8kRPQdAI5PU0lu6LxIsVQmsrRwBY4V3NNmLpX6Qtp7UGRmwupP+A8GfQabNWRuRa9",
    "Tc1ZNpVouUf+CYqnsZBG26UupG1KJsOcLiwt6pa6Q9vNba3bGwTbqj0JqsdCEg8E51efWUyEvDPpuZTeRqe3ZvLiiKFDjzGJ",
    "tVds/xObmnsEYgrpaYTIxdZZk4UWDpU36uTDEYF6HPEu5lB2oeBkEdv+pqiBYSgsEDuYDwMq+22WvtFSfY6OSswIb+/lu0Er",
    "TKTbnsJWaPiTlrCAqJ0IhUrHCuWuqv/XRScHLs7TOvg=",
);
const EVENT_SIGNATURE: &str = "8c1b1f4bc20a908fcca4f2e7c2b82993962feee2";
const NOW: u64 = 1_700_000_001;

fn keys(token: &str, aes_key: &str) -> EventKeys {
    EventKeys { token: token.into(), aes_key: aes_key.into() }
}

fn receiver() -> Receiver {
    Receiver::new(CORP, &keys(TOKEN, AES_KEY)).unwrap()
}

fn query(signature: &str, timestamp: &str, nonce: &str) -> String {
    format!("msg_signature={signature}&timestamp={timestamp}&nonce={nonce}")
}

fn envelope(encrypted: &str) -> Vec<u8> {
    format!(
        "<xml><ToUserName><![CDATA[{CORP}]]></ToUserName><AgentID><![CDATA[1000002]]></AgentID>\
         <Encrypt><![CDATA[{encrypted}]]></Encrypt></xml>"
    )
    .into_bytes()
}

fn sign(timestamp: &str, nonce: &str, encrypted: &str) -> String {
    let mut parts = [TOKEN, timestamp, nonce, encrypted];
    parts.sort_unstable();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, parts.concat().as_bytes());
    hex::encode(digest)
}

/// Encrypts a plaintext that is already padded.
fn seal_raw(plain: &[u8]) -> String {
    let key = STANDARD.decode(format!("{}E=", &AES_KEY[..42])).unwrap();
    let mut buffer = plain.to_vec();
    let cipher = cbc::Encryptor::<aes::Aes256>::new_from_slices(&key, &key[..16]).unwrap();
    let out = cipher.encrypt_padded::<NoPadding>(&mut buffer, plain.len()).unwrap();
    STANDARD.encode(out)
}

fn frame(length: u32, message: &[u8], receiver: &str) -> Vec<u8> {
    let mut plain = b"0123456789abcdef".to_vec();
    plain.extend(length.to_be_bytes());
    plain.extend(message);
    plain.extend(receiver.as_bytes());
    plain
}

fn padded(mut plain: Vec<u8>) -> Vec<u8> {
    let pad = 32 - plain.len() % 32;
    plain.extend(std::iter::repeat_n(u8::try_from(pad).unwrap(), pad));
    plain
}

fn seal(message: &[u8]) -> String {
    seal_raw(&padded(frame(u32::try_from(message.len()).unwrap(), message, CORP)))
}

/// Receives `encrypted` with a valid signature.
fn deliver(encrypted: &str) -> Result<Notice, RejectedEvent> {
    let query = query(&sign("1700000001", "n", encrypted), "1700000001", "n");
    receiver().receive(&query, &envelope(encrypted), NOW)
}

fn event_of(message: &str) -> Event {
    deliver(&seal(message.as_bytes())).unwrap().event
}

#[test]
fn vector_1_the_official_sample() {
    let encrypted = concat!(
        "RypEvHKD8QQKFhvQ6QleEB4J58tiPdvo+rtK1I9qca6aM/wvqnLSV5zEPeusUiX5L5X/0lWfrf0QADHHhGd3QczcdCUpj911",
        "L3vg3W/sYYvuJTs3TUUkSUXxaccAS0qhxchrRYt66wiSpGLYL42aM6A8dTT+6k4aSknmPj48kzJs8qLjvd4Xgpue06DOdnLx",
        "AUHzM6+kDZ+HMZfJYuR+LtwGc2hgf5gsijff0ekUNXZiqATP7PF5mZxZ3Izoun1s4zG4LUMnvw2r+KqCKIw+3IQH03v+BCA9",
        "nMELNqbSf6tiWSrXJB3LAVGUcallcrw8V2t9EL4EhzJWrQUax5wLVMNS0+rUPA3k22Ncx4XXZS9o0MBH27Bo6BpNelZpS+/u",
        "h9KsNlY6bHCmJU9p8g7m3fVKn28H3KDYA5Pl/T8Z1ptDAVe0lXdQ2YoyyH2uyPIGHBZZIs2pDBS8R07+qN+E7Q==",
    );
    let message = "<xml><ToUserName><![CDATA[wx5823bf96d3bd56c7]]></ToUserName>\n\
                   <FromUserName><![CDATA[mycreate]]></FromUserName>\n<CreateTime>1409659813</CreateTime>\n\
                   <MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[hello]]></Content>\n\
                   <MsgId>4561255354251345929</MsgId>\n<AgentID>218</AgentID>\n</xml>";
    let keys = keys("QDG6eK", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C");
    let receiver = Receiver::new("wx5823bf96d3bd56c7", &keys).unwrap();
    let query = query("477715d11cdb4164915debcba66cb864d751f3e6", "1409659813", "1372623149");
    let parsed = Query::parse(&query).unwrap();
    assert_eq!(receiver.open(&parsed, encrypted, 1_409_659_900).unwrap(), message.as_bytes());
    let notice = receiver.receive(&query, &envelope(encrypted), 1_409_659_900).unwrap();
    assert_eq!(notice.event, Event::Other);
}

#[test]
fn vector_2_the_address_is_verified() {
    let encoded = address::encode(ECHO);
    let base = query("d289a224ce473a183e59a63755ae40b065d4bf9d", "1700000000", "nonce123");
    for echo in [encoded.as_str(), ECHO] {
        let got = receiver().verify_address(&format!("{base}&echostr={echo}"), NOW).unwrap();
        assert_eq!(got, b"1616140317555161061");
    }
    assert!(receiver().verify_address(&base, NOW).is_err(), "no echostr");
}

#[test]
fn vector_3_the_event_is_read() {
    let query = query(EVENT_SIGNATURE, "1700000001", "nonce456");
    let want = Event::Unsubscribe { userid: "zhangsan".into() };
    let notice = receiver().receive(&query, &envelope(EVENT), NOW).unwrap();
    assert_eq!(notice.event, want);
    assert_eq!(notice.key, "zhangsan|1700000001|event|unsubscribe||");
    let json = format!(r#"{{"tousername":"{CORP}","encrypt":"{EVENT}","agentid":"1000002"}}"#);
    assert_eq!(receiver().receive(&query, json.as_bytes(), NOW).unwrap().event, want);
}

#[test]
fn r12_one_changed_bit_anywhere_is_refused() {
    let flip = |text: &str, at: usize| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[at] ^= 1;
        String::from_utf8(bytes).unwrap()
    };
    let good = (EVENT_SIGNATURE, "1700000001", "nonce456", EVENT);
    let try_it = |s: &str, t: &str, n: &str, e: &str| receiver().receive(&query(s, t, n), &envelope(e), NOW);
    assert!(try_it(good.0, good.1, good.2, good.3).is_ok());
    for at in 0..good.0.len() {
        assert!(try_it(&flip(good.0, at), good.1, good.2, good.3).is_err(), "signature {at}");
    }
    for at in 0..good.1.len() {
        assert!(try_it(good.0, &flip(good.1, at), good.2, good.3).is_err(), "timestamp {at}");
    }
    for at in 0..good.2.len() {
        assert!(try_it(good.0, good.1, &flip(good.2, at), good.3).is_err(), "nonce {at}");
    }
    for at in [0, 1, 100, 200, 426] {
        assert!(try_it(good.0, good.1, good.2, &flip(good.3, at)).is_err(), "encrypt {at}");
    }
    assert!(try_it(&good.0.to_uppercase(), good.1, good.2, good.3).is_err());
    assert!(try_it(&good.0[..39], good.1, good.2, good.3).is_err());
    assert!(try_it("", good.1, good.2, good.3).is_err());
}

#[test]
fn r12_what_is_signed_but_broken_is_refused_alike() {
    let message = b"<xml><MsgType>text</MsgType></xml>";
    let length = u32::try_from(message.len()).unwrap();
    let with_pad_byte = |byte: u8| {
        let mut plain = padded(frame(length, message, CORP));
        *plain.last_mut().unwrap() = byte;
        seal_raw(&plain)
    };
    assert!(deliver(&seal(message)).is_ok());
    let truncated = STANDARD.encode(&STANDARD.decode(seal(message)).unwrap()[..32]);
    let uneven = STANDARD.encode(&STANDARD.decode(seal(message)).unwrap()[..33]);
    let table = [
        ("other company", seal_raw(&padded(frame(length, message, "ww0123456789abcdee")))),
        ("company in other case", seal_raw(&padded(frame(length, message, &CORP.to_uppercase())))),
        ("no receiver", seal_raw(&padded(frame(length, message, "")))),
        ("pad 0", with_pad_byte(0)),
        ("pad 33", with_pad_byte(33)),
        ("pad 255", with_pad_byte(255)),
        ("pad longer than all", seal_raw(&[17u8; 16])),
        ("nothing but pad", seal_raw(&[16u8; 16])),
        ("length beyond the end", seal_raw(&padded(frame(length + 1000, message, CORP)))),
        ("length 2^32-1", seal_raw(&padded(frame(u32::MAX, message, CORP)))),
        ("length too small", seal_raw(&padded(frame(3, message, CORP)))),
        ("truncated", truncated),
        ("not a multiple of 16", uneven),
        ("no base64", "!!!!".into()),
        ("not UTF-8", seal(b"<xml><MsgType>\xff</MsgType></xml>")),
        ("not XML", seal(b"hello")),
    ];
    for (what, encrypted) in table {
        let refused = deliver(&encrypted).expect_err(what);
        assert_eq!(refused.failure(), Failure::BadRequest, "{what}");
    }
}

#[test]
fn a_pad_of_every_length_is_taken() {
    for extra in 0..32 {
        let message = format!("<xml><MsgType>{}</MsgType></xml>", "x".repeat(extra));
        assert_eq!(event_of(&message), Event::Other, "{extra}");
    }
}

#[test]
fn old_and_future_requests_are_refused() {
    let query = query(EVENT_SIGNATURE, "1700000001", "nonce456");
    for (now, ok) in [
        (NOW - 600, true),
        (NOW + 600, true),
        (NOW - 601, false),
        (NOW + 601, false),
        (0, false),
        (u64::MAX, false),
    ] {
        assert_eq!(receiver().receive(&query, &envelope(EVENT), now).is_ok(), ok, "{now}");
    }
    let encrypted = seal(b"<xml><MsgType>x</MsgType></xml>");
    for timestamp in ["", "-1", "1700000001.0", "99999999999999999999999"] {
        let q = self::query(&sign(timestamp, "n", &encrypted), timestamp, "n");
        assert!(receiver().receive(&q, &envelope(&encrypted), NOW).is_err(), "{timestamp}");
    }
}

#[test]
fn queries_that_are_not_wecoms_are_refused() {
    let good = query(EVENT_SIGNATURE, "1700000001", "nonce456");
    assert!(receiver().receive(&format!("{good}&other=1&x"), &envelope(EVENT), NOW).is_ok());
    for bad in [
        String::new(),
        "msg_signature=x".into(),
        format!("{good}&nonce=nonce456"),
        format!("{good}&msg_signature={EVENT_SIGNATURE}"),
        good.replace("nonce456", "%ff"),
    ] {
        assert!(receiver().receive(&bad, &envelope(EVENT), NOW).is_err(), "{bad}");
    }
}

#[test]
fn r17_bodies_are_bounded() {
    let query = query(EVENT_SIGNATURE, "1700000001", "nonce456");
    let mut body = envelope(EVENT);
    let spaces = MAX_BODY - body.len();
    body.extend(std::iter::repeat_n(b' ', spaces));
    assert!(receiver().receive(&query, &body, NOW).is_ok());
    body.push(b' ');
    assert!(receiver().receive(&query, &body, NOW).is_err());
}

#[test]
fn every_event_has_its_meaning() {
    let contact = |change: &str, rest: &str| {
        format!(
            "<xml><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1</CreateTime><MsgType><![CDATA[event]]></MsgType>\
             <Event><![CDATA[change_contact]]></Event><ChangeType><![CDATA[{change}]]></ChangeType>{rest}</xml>"
        )
    };
    let user = "<UserID><![CDATA[lisi]]></UserID>";
    let plain = |event: &str, from: &str| {
        format!(
            "<xml><FromUserName>{from}</FromUserName><MsgType>event</MsgType><Event>{event}</Event></xml>"
        )
    };
    let table = [
        (plain("unsubscribe", "lisi"), Event::Unsubscribe { userid: "lisi".into() }),
        (plain("unsubscribe", ""), Event::Other),
        (plain("unsubscribe", "a/b"), Event::Other),
        (plain("subscribe", "lisi"), Event::Other),
        (plain("UNSUBSCRIBE", "lisi"), Event::Other),
        (plain("delete_user", "lisi"), Event::Other),
        (
            "<xml><FromUserName>lisi</FromUserName><MsgType>text</MsgType><Event>unsubscribe</Event></xml>"
                .into(),
            Event::Other,
        ),
        (contact("delete_user", user), Event::DeleteUser { userid: "lisi".into() }),
        (contact("delete_user", ""), Event::Other),
        (contact("update_user", user), Event::UpdateUser { userid: "lisi".into(), new_userid: None }),
        (
            contact("update_user", &format!("{user}<NewUserID>li.si</NewUserID>")),
            Event::UpdateUser { userid: "lisi".into(), new_userid: Some("li.si".into()) },
        ),
        (contact("create_user", user), Event::Other),
        (contact("create_party", ""), Event::PartyOrTagChanged),
        (contact("update_party", ""), Event::PartyOrTagChanged),
        (contact("delete_party", ""), Event::PartyOrTagChanged),
        (contact("update_tag", ""), Event::PartyOrTagChanged),
        (
            r#"{"FromUserName":"lisi","CreateTime":1700000001,"MsgType":"event","Event":"unsubscribe"}"#
                .into(),
            Event::Unsubscribe { userid: "lisi".into() },
        ),
    ];
    for (message, want) in table {
        assert_eq!(event_of(&message), want, "{message}");
    }
}

#[test]
fn r24_a_message_with_a_document_type_is_refused() {
    for bad in [
        "<!DOCTYPE x [<!ENTITY a SYSTEM \"file:///etc/passwd\">]><xml><MsgType>&a;</MsgType></xml>",
        "<xml><MsgType>event</MsgType><msgtype>text</msgtype></xml>",
        "{\"MsgType\":1",
    ] {
        assert!(deliver(&seal(bad.as_bytes())).is_err(), "{bad}");
    }
    let outer = format!("<!DOCTYPE xml><xml><Encrypt>{EVENT}</Encrypt></xml>");
    let query = query(EVENT_SIGNATURE, "1700000001", "nonce456");
    assert!(receiver().receive(&query, outer.as_bytes(), NOW).is_err());
}

#[test]
fn aes_keys_are_checked() {
    for bad in ["", "short", &AES_KEY[..42], &format!("{AES_KEY}A"), &"!".repeat(43), &"界".repeat(43)] {
        assert_eq!(Receiver::new(CORP, &keys(TOKEN, bad)).err(), Some(BadAesKey), "{bad}");
    }
}

#[test]
fn r27_keys_are_not_shown() {
    let shown = format!("{:?}", receiver());
    assert!(!shown.contains(TOKEN) && !shown.contains("abcdef\u{0}"), "{shown}");
    assert_eq!(shown, "Receiver { corp_id: \"ww0123456789abcdef\", .. }");
}

proptest! {
    #[test]
    fn never_panics_on_any_request(query in ".{0,200}", body in prop::collection::vec(any::<u8>(), 0..400), now: u64) {
        prop_assert!(receiver().receive(&query, &body, now).is_err());
        prop_assert!(receiver().verify_address(&query, now).is_err());
    }

    #[test]
    fn never_panics_on_signed_ciphertext(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = deliver(&STANDARD.encode(bytes));
    }

    #[test]
    fn never_panics_on_signed_plaintext(blocks in prop::collection::vec(any::<[u8; 16]>(), 1..20)) {
        let _ = deliver(&seal_raw(&blocks.concat()));
    }

    #[test]
    fn what_is_sealed_is_opened(message in prop::collection::vec(any::<u8>(), 0..300)) {
        let encrypted = seal(&message);
        let query = Query::parse(&query(&sign("1700000001", "n", &encrypted), "1700000001", "n")).unwrap();
        prop_assert_eq!(receiver().open(&query, &encrypted, NOW).unwrap(), message);
    }
}
