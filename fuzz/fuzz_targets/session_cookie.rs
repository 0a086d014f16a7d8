//! R7, R12: the only bytes that open as a session are those that the gate sealed, unchanged. The first byte decides whether the
//! rest is a cookie or a change to a genuine one.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use wecom_gate::session::Company;
use wecom_gate::session::{Keyring, SessionLimits, Member, Names, OwnCookies, Session, SessionCookies, UnixMillis};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const DAY: Duration = Duration::from_secs(86_400);

struct Setup {
    cookies: SessionCookies,
    /// `name=value`
    genuine: String,
}

static SETUP: LazyLock<Setup> = LazyLock::new(|| {
    let keyring = Keyring::new(&[vec![7; 64].into(), vec![9; 64].into()], "https://gate.test").expect("keys");
    let company = Company { entry: "wecom".into(), corp_id: "ww0".into() };
    let limits = SessionLimits { idle: DAY, absolute: 7 * DAY };
    let cookies = SessionCookies::new(Arc::new(keyring), Names::new(true, "wecom_gate"), limits, vec![company]);
    let member = Member {
        entry: "wecom".into(),
        corp_id: "ww0".into(),
        userid: "zhangsan".into(),
        name: "张三".into(),
        user_id: 7,
    };
    let session = Session::begin(member, NOW).expect("random bytes");
    let set = cookies.write(&session, NOW).expect("a cookie");
    let genuine = set.split(';').next().expect("a pair").to_owned();
    let read = OwnCookies::parse(cookies.names(), [genuine.as_bytes()]).expect("small");
    assert_eq!(cookies.read(&read, NOW), Some(session));
    Setup { cookies, genuine }
});

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let Setup { cookies, genuine } = &*SETUP;
    let header = if kind & 1 == 0 {
        [b"__Host-wecom_gate=", data].concat()
    } else {
        // Pairs of an offset and the byte to put there.
        let mut header = genuine.clone().into_bytes();
        let length = header.len();
        for change in data.chunks_exact(3) {
            let place = usize::from(u16::from_le_bytes([change[0], change[1]])) % (length + 1);
            match header.get_mut(place) {
                Some(byte) => *byte = change[2],
                None => header.push(change[2]),
            }
        }
        header
    };
    let Ok(own) = OwnCookies::parse(cookies.names(), [&header[..]]) else { return };
    if cookies.read(&own, NOW).is_some() {
        let value = genuine.split_once('=').expect("a pair").1.as_bytes();
        assert!(own.sessions().any(|v| v == value), "{}", header.escape_ascii());
    }
});
