use proptest::prelude::*;
use secrecy::SecretSlice;

use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn flows_with(byte: u8, https: bool) -> PendingSignIns {
    let keyring = Keyring::new(&[SecretSlice::from(vec![byte; 64])], "https://gate.test").unwrap();
    PendingSignIns::new(Arc::new(keyring), Names::new(https, "wecom_gate"))
}
fn flows() -> PendingSignIns {
    flows_with(1, true)
}
fn request(target: &str) -> SignInRequest {
    SignInRequest {
        target: target.into(),
        entry: "wecom".into(),
        via: Via::WeCom,
        stage: Stage::Silent,
        mobile: true,
    }
}
fn later(millis: u64) -> UnixMillis {
    UnixMillis(NOW.0 + millis)
}
fn pair(set_cookie: &str) -> String {
    set_cookie.split(';').next().unwrap().to_owned()
}
fn parse(flows: &PendingSignIns, header: &str) -> OwnCookies<'static> {
    OwnCookies::parse(&flows.names, [header.to_owned().leak().as_bytes()]).unwrap()
}
fn begin(flows: &PendingSignIns, header: &str, now: UnixMillis) -> Begun {
    flows.begin(&parse(flows, header), request("/admin?a=1"), 0, now).unwrap()
}
fn check(
    flows: &PendingSignIns,
    header: &str,
    state: &str,
    now: UnixMillis,
) -> Result<PendingSignIn, Failure> {
    flows.check(&parse(flows, header), state, now).map(|c| c.flow)
}
fn names_deleted(begun: &Begun) -> Vec<String> {
    begun.set_cookies[1..].iter().map(|d| d.split('=').next().unwrap().to_owned()).collect()
}

#[test]
fn a_flow_comes_back_as_it_began() {
    for https in [true, false] {
        let flows = flows_with(1, https);
        let begun = begin(&flows, "", NOW);
        let line = &begun.set_cookies[0];
        assert_eq!(begun.set_cookies.len(), 1);
        assert!(line.starts_with(&format!("{}{}=", flows.names.flow_prefix(), &begun.flow.state()[..8])));
        assert!(line.contains("Max-Age=600") && line.contains("HttpOnly") && line.contains("SameSite=Lax"));
        let back = check(&flows, &pair(line), begun.flow.state(), later(599_999)).unwrap();
        assert_eq!(back, begun.flow);
        assert_eq!(back.request, request("/admin?a=1"));
    }
}

#[test]
fn several_tabs_sign_in_at_once() {
    let flows = flows();
    let a = begin(&flows, "", NOW);
    let b = begin(&flows, &pair(&a.set_cookies[0]), NOW);
    assert_eq!(b.set_cookies.len(), 1, "nothing is deleted");
    let both = format!("{}; {}", pair(&a.set_cookies[0]), pair(&b.set_cookies[0]));
    for flow in [a.flow, b.flow] {
        assert_eq!(check(&flows, &both, flow.state(), NOW), Ok(flow));
    }
}

#[test]
fn states_are_of_wecoms_alphabet_and_carry_the_attempt() {
    for attempt in [0, 1, 9, 10, 255] {
        let flow = PendingSignIn::begin(request("/"), attempt, NOW).unwrap();
        assert_eq!(flow.state().len(), STATE_CHARS);
        assert!(flow.state().bytes().all(|b| b.is_ascii_alphanumeric()));
        assert_eq!(attempt_of(flow.state().as_bytes()), Some(attempt.min(9)));
    }
    for not_ours in
        ["", "0", "A123456789012345678901234567890a", "0123456789012345678901234567890-", &"0".repeat(33)]
    {
        assert_eq!(attempt_of(not_ours.as_bytes()), None, "{not_ours}");
    }
}

#[test]
fn r19_state_missing_or_malformed() {
    let flows = flows();
    let begun = begin(&flows, "", NOW);
    let header = pair(&begun.set_cookies[0]);
    let state = begun.flow.state();
    for bad in
        ["", " ", "0", &state[..31], &format!("{state}0"), &format!("{state},{state}"), "ä", &"ä".repeat(16)]
    {
        assert_eq!(check(&flows, &header, bad, NOW), Err(Failure::BadCallback), "{bad}");
    }
}

#[test]
fn r19_state_foreign() {
    let flows = flows();
    let begun = begin(&flows, "", NOW);
    let state = begun.flow.state();
    let header = pair(&begun.set_cookies[0]);
    // Another browser: no cookie at all, or only its own flow's.
    let other = begin(&flows, "", NOW);
    assert_eq!(check(&flows, "", state, NOW), Err(Failure::FlowMissing));
    assert_eq!(check(&flows, &pair(&other.set_cookies[0]), state, NOW), Err(Failure::FlowMissing));
    // Same name, other state: only the first eight characters are in the name.
    let twin = format!("{}{}", &state[..8], "x".repeat(24));
    assert_eq!(check(&flows, &header, &twin, NOW), Err(Failure::FlowMissing));
    // Another flow's cookie under this flow's name.
    let (name, _) = header.split_once('=').unwrap();
    let other_header = pair(&other.set_cookies[0]);
    let (_, value) = other_header.split_once('=').unwrap();
    assert_eq!(check(&flows, &format!("{name}={value}"), state, NOW), Err(Failure::FlowMissing));
    // Other keys.
    assert_eq!(check(&flows_with(2, true), &header, state, NOW), Err(Failure::FlowMissing));
}

#[test]
fn r19_state_expired() {
    let flows = flows();
    let begun = begin(&flows, "", NOW);
    let header = pair(&begun.set_cookies[0]);
    for (now, result) in [
        (later(599_999), None),
        (later(600_000), Some(Failure::FlowExpired)),
        (UnixMillis(NOW.0 - 300_000), None), // the clock of the node that began it is ahead
        (UnixMillis(NOW.0 - 300_001), Some(Failure::FlowExpired)),
    ] {
        assert_eq!(check(&flows, &header, begun.flow.state(), now).err(), result);
    }
}

#[test]
fn r19_cookie_duplicate() {
    let flows = flows();
    let begun = begin(&flows, "", NOW);
    let header = pair(&begun.set_cookies[0]);
    let (name, _) = header.split_once('=').unwrap();
    let state = begun.flow.state();
    for duplicates in [format!("{header}; {header}"), format!("{name}=planted; {name}=; {header}")] {
        assert_eq!(check(&flows, &duplicates, state, NOW).as_ref(), Ok(&begun.flow));
    }
    let crowd = format!("{name}=1; {name}=2; {name}=3; {header}");
    assert_eq!(check(&flows, &crowd, state, NOW), Err(Failure::FlowMissing), "trying is bounded");
}

/// The cookies that a browser keeps, as a `Cookie` header.
fn keep(jar: &mut std::collections::BTreeMap<String, String>, begun: &Begun) -> String {
    for line in &begun.set_cookies {
        let (name, value) = pair(line).split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned())).unwrap();
        if value.is_empty() {
            jar.remove(&name)
        } else {
            jar.insert(name, value)
        };
    }
    jar.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<String>>().join("; ")
}

#[test]
fn r17_thirty_tabs_keep_their_flows_and_a_further_one_ends_the_oldest() {
    let flows = flows();
    let target = "/admin/3f7vq1nd2xk/popups/l8k2m1c0qwe/filterbytk/142/tab/9s8d7f6g5h4";
    let mut jar = std::collections::BTreeMap::new();
    let (mut header, mut states) = (String::new(), Vec::new());
    for i in 0..30 {
        let begun = flows.begin(&parse(&flows, &header), request(target), 0, later(i)).unwrap();
        states.push(begun.flow.clone());
        header = keep(&mut jar, &begun);
    }
    for flow in &states {
        assert_eq!(check(&flows, &header, flow.state(), later(60_000)).as_ref(), Ok(flow));
    }
    // Many more: the newest stay, the oldest are deleted, and the total stays bounded.
    for i in 30..200 {
        let begun = flows.begin(&parse(&flows, &header), request(target), 0, later(i)).unwrap();
        states.push(begun.flow.clone());
        header = keep(&mut jar, &begun);
        assert!(header.len() <= MAX_FLOW_BYTES, "{}", header.len());
    }
    let open = |flow: &PendingSignIn| check(&flows, &header, flow.state(), later(60_000)).is_ok();
    assert!(!states[..150].iter().any(open) && states[170..].iter().all(open));
}

#[test]
fn r17_a_flow_that_just_fits_ends_no_other() {
    let flows = flows();
    let begin = |bytes: usize, header: &str, now| {
        let request = request(&format!("/{}", "x".repeat(bytes)));
        flows.begin(&parse(&flows, header), request, 0, now).unwrap()
    };
    // With the `; ` that joins it to the others.
    let size = |begun: &Begun| pair(&begun.set_cookies[0]).len() + 2;
    let mut exact = 0;
    for first in 1200..1204 {
        let open = [begin(first, "", NOW), begin(1200, "", later(1)), begin(1200, "", later(2))];
        let header = open.iter().map(|begun| pair(&begun.set_cookies[0])).collect::<Vec<_>>().join("; ");
        let bytes = open.iter().map(size).sum::<usize>();
        for last in 0..MAX_TARGET {
            let begun = begin(last, &header, later(3));
            let all = bytes + size(&begun);
            let expected = if all > MAX_FLOW_BYTES { vec![header_name(&open[0])] } else { Vec::new() };
            assert_eq!(names_deleted(&begun), expected, "{all}");
            exact += usize::from(all == MAX_FLOW_BYTES);
            if all > MAX_FLOW_BYTES + 8 {
                break;
            }
        }
    }
    assert!(exact > 0, "tried");
}

fn header_name(begun: &Begun) -> String {
    pair(&begun.set_cookies[0]).split('=').next().unwrap().to_owned()
}

#[test]
fn r17_garbage_and_expired_flows_are_deleted_and_deletions_are_bounded() {
    let flows = flows();
    let old = begin(&flows, "", NOW);
    let new = begin(&flows, "", later(590_000));
    let header = format!(
        "{}; __Host-wecom_gate_flow_0junk123=x; __Host-wecom_gate_flow_0junk123=y; {}",
        pair(&old.set_cookies[0]),
        pair(&new.set_cookies[0])
    );
    let mut deleted = names_deleted(&begin(&flows, &header, later(600_000)));
    let mut expected = vec![header_name(&old), "__Host-wecom_gate_flow_0junk123".to_owned()];
    deleted.sort();
    expected.sort();
    assert_eq!(deleted, expected);
    let junk = (0..90).map(|i| format!("__Host-wecom_gate_flow_0000{i:04}=x")).collect::<Vec<_>>().join(";");
    assert_eq!(begin(&flows, &junk, NOW).set_cookies.len(), 1 + MAX_DELETIONS);
}

#[test]
fn r17_flows_with_the_longest_targets_never_fill_the_cookie_header() {
    let flows = flows();
    let target = format!("/{}", "x".repeat(MAX_TARGET - 1));
    let mut jar = std::collections::BTreeMap::new();
    for i in 0..10 {
        let header = jar.iter().map(|(n, v)| format!("{n}={v}")).collect::<Vec<String>>().join("; ");
        let begun = flows.begin(&parse(&flows, &header), request(&target), 0, later(i)).unwrap();
        let bytes = keep(&mut jar, &begun).len();
        assert!(bytes <= MAX_FLOW_BYTES, "{bytes}");
        assert!(jar.contains_key(&header_name(&begun)), "the newest is there");
        assert_eq!(begun.flow.request.target, target);
    }
    assert!(jar.len() >= 2, "two tabs always work");
}

#[test]
fn overlong_targets_lose_their_query_or_become_the_root() {
    let long = "x".repeat(MAX_TARGET);
    for (target, kept) in [
        (format!("/{}", &long[1..]), format!("/{}", &long[1..])),
        (format!("/a?{}", &long[3..]), format!("/a?{}", &long[3..])),
        (format!("/{}?q=1", &long[1..]), format!("/{}", &long[1..])),
        (format!("/admin?q={long}"), "/admin".to_owned()),
        (format!("/m#{long}"), "/m".to_owned()),
        (format!("/{long}?q=1"), "/".to_owned()),
    ] {
        assert_eq!(PendingSignIn::begin(request(&target), 0, NOW).unwrap().request.target, kept);
    }
}

#[test]
fn r16_ending_a_flow_repeats_its_attributes() {
    let flows = flows();
    let begun = begin(&flows, "", NOW);
    let cookies = parse(&flows, &pair(&begun.set_cookies[0]));
    let checked = flows.check(&cookies, begun.flow.state(), NOW).unwrap();
    let attributes = |line: &str| line.split("; ").skip(1).map(str::to_owned).collect::<Vec<_>>();
    let set = attributes(&begun.set_cookies[0]);
    let deleted = flows.delete(&begun.flow).unwrap();
    assert!(deleted.starts_with(&format!("{}=;", header_name(&begun))));
    for attribute in set.iter().filter(|a| !a.starts_with("Max-Age")) {
        assert!(attributes(&deleted).contains(attribute), "{attribute}");
    }
    let lingering = flows.keep_briefly(&checked).unwrap();
    assert_eq!(pair(&lingering), pair(&begun.set_cookies[0]));
    assert_eq!(lingering, begun.set_cookies[0].replace("Max-Age=600", "Max-Age=60"));
}

#[test]
fn r27_debug_shows_no_state() {
    let flows = flows();
    let begun = begin(&flows, "", NOW);
    let shown = format!("{:?}", begun.flow);
    assert!(!shown.contains(begun.flow.state()) && shown.contains("StateParameter(..)"));
}

proptest! {
    #[test]
    fn r19_no_cookie_bytes_and_no_state_make_a_flow(state in "\\PC{0,40}|[0-9][A-Za-z0-9]{31}", value in "[!-~&&[^;]]{0,300}") {
        let flows = flows();
        let header = format!("__Host-wecom_gate_flow_{}={value}", state.chars().take(8).collect::<String>());
        let cookies = OwnCookies::parse(&flows.names, [header.as_bytes()]).unwrap();
        let failure = flows.check(&cookies, &state, NOW).unwrap_err();
        prop_assert!(matches!(failure, Failure::BadCallback | Failure::FlowMissing));
    }
}
