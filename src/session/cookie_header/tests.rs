use proptest::prelude::*;

use super::super::cookies::{MAX_COOKIE_BYTES, MAX_COOKIES};
use super::*;

fn names() -> Names {
    Names::new(true, "wecom_gate")
}

fn run(headers: &[&[u8]], in_session: bool, extra: Option<&str>) -> Option<String> {
    forwardable(&names(), headers.iter().copied(), in_session, extra.as_slice())
        .unwrap()
        .map(|v| v.iter().map(|b| char::from(*b)).collect())
}

#[test]
fn r11_ours_go_and_the_others_stay() {
    for (header, forwarded) in [
        ("a=1; b=2", Some("a=1; b=2")),
        ("wecom_gate=S", None),
        ("__Host-wecom_gate=S", None),
        ("a=1; __Host-wecom_gate=S; b=2", Some("a=1; b=2")),
        ("__Host-wecom_gate=S; a=1;b=2", Some("a=1;b=2")),
        ("a=1; wecom_gate_flow_0abcdefg=F", Some("a=1")),
        ("__Host-wecom_gate_flow_0abcdefg=F; wecom_gate_out=1; __Host-wecom_gate_tries=2", None),
        ("wecom_gate_tries=2 ;wecom_gate_out=1; a=1", Some("a=1")),
        ("a=1; wecom_gate_lang=de-DE; wecom_gates=mine", Some("a=1; wecom_gates=mine")),
        // Cookies of another gate on this host name.
        ("a=1; wecom_gate_crm=S; __Host-wecom_gate_crm_out=1; wecom_gate_crm_flow_0abcdefg=F", Some("a=1")),
        // Names that only resemble ours.
        (
            "wecom_gate2=x; xwecom_gate=y; wecom_gate-1=z",
            Some("wecom_gate2=x; xwecom_gate=y; wecom_gate-1=z"),
        ),
        ("__Host-a=1; __Secure-wecom=2; __Host-=3", Some("__Host-a=1; __Secure-wecom=2; __Host-=3")),
        ("wecom_gate", Some("wecom_gate")),
        // Crafted.
        ("", None),
        (";", None),
        (" ; ;", None),
        ("=; ==; =a", Some("=; ==; =a")),
        ("=wecom_gate=S", Some("=wecom_gate=S")),
        ("a=\"x; wecom_gate=S; y\"", Some("a=\"x; y\"")),
        ("a;;b=1", Some("a;;b=1")),
        ("a=1;; wecom_gate=S;;b", Some("a=1;;;b")),
        ("wecom_gate=S;;; a=1", Some("a=1")),
        ("\t wecom_gate \t=S;a=1", Some("a=1")),
        ("a=b=c; d=\u{e4}\u{ff}", Some("a=b=c; d=\u{e4}\u{ff}")),
    ] {
        let bytes: Vec<u8> = header.chars().map(|c| c as u8).collect();
        assert_eq!(run(&[&bytes], false, None).as_deref(), forwarded, "{header}");
    }
}

#[test]
fn r37_a_name_of_its_own_is_kept_from_nocobase_too() {
    let header =
        b"crm=S; crm_out=1; crm_flow_0abcdefg=F; __Host-crm_tries=1; crm2=a; wecom_gate=S; crmx_out=b; a=1";
    for https in [true, false] {
        let out = forwardable(&Names::new(https, "crm"), [&header[..]], false, &[]).unwrap().unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "crm2=a; crmx_out=b; a=1");
    }
}

#[test]
fn the_clients_identity_cookies_are_removed_only_while_a_session_is_valid() {
    let header = b"nb_auth_token_main=x; nb_role_main=r; nb_authenticator_main=y; nb_csrf_token_main=z; nb_auth_token_=q";
    assert_eq!(run(&[header], true, None).as_deref(), Some("nb_role_main=r; nb_csrf_token_main=z"));
    assert_eq!(run(&[header], false, None).as_deref(), std::str::from_utf8(header).ok());
    // JavaScript's trim() would read this name without the 0xA0.
    assert_eq!(run(&[b"\xa0nb_auth_token_main=x"], true, None), None);
}

#[test]
fn extra_comes_last() {
    let extra = Some("nb_auth_token_main=T; nb_authenticator_main=wecom");
    for (headers, forwarded) in [
        (&[][..], "nb_auth_token_main=T; nb_authenticator_main=wecom"),
        (&[&b"wecom_gate=S"[..]][..], "nb_auth_token_main=T; nb_authenticator_main=wecom"),
        (
            &[&b"a=1; wecom_gate=S; nb_auth_token_main=evil"[..]][..],
            "a=1; nb_auth_token_main=T; nb_authenticator_main=wecom",
        ),
    ] {
        assert_eq!(run(headers, true, extra).as_deref(), Some(forwarded));
    }
    assert_eq!(run(&[b"a=1"], true, Some("")).as_deref(), Some("a=1"));
}

#[test]
fn several_headers_become_one() {
    assert_eq!(run(&[b"a=1", b"b=2; c", b"d=4"], false, None).as_deref(), Some("a=1; b=2; c; d=4"));
    assert_eq!(run(&[b"wecom_gate=S", b"b=2"], false, None).as_deref(), Some("b=2"));
    assert_eq!(run(&[b"a=1", b"wecom_gate=S", b"", b"b=2"], false, None).as_deref(), Some("a=1; b=2"));
}

#[test]
fn r17_too_many_cookies_or_bytes_are_refused() {
    let many = vec!["a=1"; MAX_COOKIES + 1].join("; ");
    assert_eq!(forwardable(&names(), [many.as_bytes()], true, &[]), Err(Failure::HeadersTooLarge));
    let long = vec![b'a'; MAX_COOKIE_BYTES + 1];
    assert_eq!(forwardable(&names(), [&long[..]], true, &[]), Err(Failure::HeadersTooLarge));
    let semicolons = vec![b';'; MAX_COOKIE_BYTES];
    assert_eq!(forwardable(&names(), [&semicolons[..]], true, &[]), Ok(None));
}

/// The cookies of a header as any server parses them.
fn cookies(headers: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let parts = headers.iter().flat_map(|h| h.split(|b| *b == b';'));
    parts.map(<[u8]>::trim_ascii).filter(|c| !c.is_empty()).map(<[u8]>::to_vec).collect()
}

/// Written independently of the code under test: which cookies must not get through.
fn must_go(cookie: &[u8], in_session: bool) -> bool {
    let text: String = cookie.iter().map(|b| char::from(*b)).collect();
    let Some((name, _)) = text.split_once('=') else { return false };
    let name = name.trim_matches(|c: char| c <= ' ' || ['\u{7f}', '\u{85}', '\u{a0}'].contains(&c));
    let bare = name.strip_prefix("__Host-").unwrap_or(name);
    bare == "wecom_gate"
        || bare.starts_with("wecom_gate_")
        || (in_session && (name.starts_with("nb_auth_token_") || name.starts_with("nb_authenticator_")))
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let text = |s: &'static str| Just(s.as_bytes().to_vec());
    prop_oneof![
        4 => text("; "),
        2 => text(";"),
        2 => text("="),
        1 => text(" "),
        2 => text("wecom_gate"),
        1 => text("__Host-"),
        1 => text("wecom_gate_flow_0"),
        1 => text("wecom_gate_out"),
        1 => text("nb_auth_token_main"),
        1 => text("nb_authenticator_main"),
        2 => text("a"),
        3 => prop::collection::vec(any::<u8>(), 0..4),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    #[test]
    fn r11_exactly_the_others_arrive_byte_for_byte_and_in_order(
        headers in prop::collection::vec(prop::collection::vec(piece(), 0..20).prop_map(|p| p.concat()), 0..4),
        in_session: bool,
        extra in prop::option::of(Just("k=v; l=w")),
    ) {
        let out = forwardable(&names(), headers.iter().map(Vec::as_slice), in_session, extra.as_slice()).unwrap();
        let mut expected = cookies(&headers);
        let all = expected.len();
        expected.retain(|c| !must_go(c, in_session));
        let untouched = all == expected.len() && headers.len() == 1 && extra.is_none();
        if let Some(extra) = extra {
            expected.extend(cookies(&[extra.as_bytes().to_vec()]));
        }
        let rest = headers.first().map_or(&b""[..], |header| header.trim_ascii_start());
        if untouched && !expected.is_empty() && !headers[0].starts_with(b" ") && !rest.starts_with(b";") {
            prop_assert_eq!(out.as_deref(), Some(rest), "a header without ours stays as it is");
        }
        prop_assert_eq!(out.is_none(), expected.is_empty());
        prop_assert_eq!(cookies(&[out.unwrap_or_default()]), expected);
    }
}
