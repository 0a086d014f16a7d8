use std::sync::Arc;

use super::super::payload::{BlockOwner, Change, ToBlock};
use super::*;
use crate::config::load_str;
use crate::metrics::Metrics;
use crate::session::{Keyring, Member};

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn later(secs: u64) -> UnixMillis {
    NOW.plus(Duration::from_secs(secs))
}

/// A node whose Redis is unreachable.
fn node(origin: &str, key: u8, nocobase: &str) -> Arc<Shared> {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let key = base64::Engine::encode(&base64::engine::general_purpose::URL_SAFE_NO_PAD, [key; 64]);
    let text = format!(
        r#"
        origin = "{origin}"
        upstream.nodes = ["127.0.0.1:1"]
        nocobase = {{ {nocobase}, service_user = 1 }}
        wecom = [{{ corp_id = "ww0123456789abcdef", agent_id = "1000002", secret = "s" }}]
        session = {{ keys = ["{key}"], redis = "redis://127.0.0.1:1", recheck = "15m" }}
        "#
    );
    let config = load_str(&text, []).unwrap().config;
    let keyring = Arc::new(Keyring::new(&config.session.keys, &config.origin.url()).unwrap());
    let metrics = Metrics::new(&["wecom"]).unwrap();
    Shared::after(None, &config, &keyring, &metrics.redis).unwrap().unwrap()
}

const ORIGIN: &str = "https://nb.example.com";
const NOCOBASE: &str = r#"jwt_secret = "0123456789abcdef0123456789abcdef", app = "main""#;

fn session() -> Session {
    let who = Member {
        entry: "wecom".into(),
        corp_id: "ww0123456789abcdef".into(),
        userid: "zhangsan".into(),
        name: "张三".into(),
        user_id: 7,
    };
    Session::begin(who, NOW).unwrap()
}

#[test]
fn r16_a_confirmation_counts_for_one_recheck_and_only_if_every_ending_has_been_heard_since() {
    let every = Duration::from_secs(900);
    let confirmed = Confirmed::at(NOW);
    let is_recent = |c: Confirmed, now: UnixMillis| c.is_recent(now.minus(every), now);
    assert!(is_recent(confirmed, later(1)) && is_recent(confirmed, later(899)));
    assert!(!is_recent(confirmed, later(900)), "NocoBase has to be asked again");
    assert!(confirmed.is_vouched_for(UnixMillis(NOW.0 - 1)));
    for since in [NOW, later(50)] {
        assert!(!confirmed.is_vouched_for(since), "an ending may have been lost in between");
    }
    // Another node knew of no ending later: that makes it known to more nodes, but no younger.
    let warmed = Confirmed { known_at: later(60), ..confirmed };
    assert!(warmed.is_vouched_for(later(59)) && !warmed.is_vouched_for(later(60)));
    assert!(is_recent(warmed, later(899)) && !is_recent(warmed, later(900)));
    // A clock that is slightly slow, and one that is wrong.
    let early = |millis| UnixMillis(NOW.0 - millis);
    assert!(is_recent(confirmed, early(300_000)) && !is_recent(confirmed, early(300_001)));
    assert!(!is_recent(warmed, early(250_000)));
}

#[test]
fn r18_the_name_of_a_status_depends_on_what_nocobase_was_asked_about() {
    let (node_a, session) = (node(ORIGIN, 1, NOCOBASE), session());
    let key = node_a.session_key(&session);
    assert_eq!(node(ORIGIN, 1, NOCOBASE).session_key(&session), key, "the same on all nodes");
    // A cookie that has been renewed, and the same member in WeCom's other spelling.
    let renewed = Session { last_seen: later(60), userid: "ZhangSan".into(), ..session.clone() };
    assert_eq!(node_a.session_key(&renewed), key);
    for other in [
        Session { sid: Uuid::from_bytes([9; 16]), ..session.clone() },
        Session { entry: "wecom-2".into(), ..session.clone() },
        Session { userid: "lisi".into(), ..session.clone() },
    ] {
        assert_ne!(node_a.session_key(&other).status, key.status, "{other:?}");
    }
    let secret = NOCOBASE.replace("abcdef", "ABCDEF");
    for other in [
        node("https://other.example.com", 1, NOCOBASE),
        node(ORIGIN, 2, NOCOBASE),
        node(ORIGIN, 1, &secret),
        node(ORIGIN, 1, &NOCOBASE.replace("main", "sub1")),
    ] {
        assert_ne!(other.session_key(&session).status, key.status);
    }
    for shown in [session.sid.to_string(), "zhangsan".into(), "0123456789abcdef".into()] {
        assert!(!key.status.contains(&shown) && !key.end.contains(&shown), "{key:?}");
    }
}

#[test]
fn r16_a_confirmation_from_a_redis_that_has_been_replaced_meanwhile_does_not_count() {
    let (confirmed, before) = (Confirmed::at(NOW), NOW.minus(Duration::from_secs(60)));
    assert!(confirmed.counts(before, Some(before)));
    for after in [None, Some(later(1)), Some(NOW.minus(Duration::from_secs(30)))] {
        assert!(!confirmed.counts(before, after), "{after:?}");
    }
    assert!(!confirmed.counts(later(1), Some(later(1))));
}

#[test]
fn r13_a_status_opens_under_its_own_name_only() {
    let (shared, ours) = (node(ORIGIN, 1, NOCOBASE), session());
    let key = shared.session_key(&ours);
    let open = |key: &SessionKey, purpose, text: &str| {
        shared.keyring.open::<Confirmed>(purpose, key.status.as_bytes(), text.as_bytes())
    };
    let confirmed = Confirmed::at(NOW);
    let text = shared.keyring.seal(Purpose::SessionStatus, key.status.as_bytes(), &confirmed).unwrap();
    assert_eq!(open(&key, Purpose::SessionStatus, &text), Some(confirmed));
    assert_eq!(open(&shared.session_key(&session()), Purpose::SessionStatus, &text), None);
    assert_eq!(open(&key, Purpose::MemberStatus, &text), None);
    let member = shared.keyring.seal(Purpose::MemberStatus, key.status.as_bytes(), &confirmed).unwrap();
    assert_eq!(open(&key, Purpose::SessionStatus, &member), None);
    let other = node(ORIGIN, 2, NOCOBASE);
    assert_eq!(
        other.keyring.open::<Confirmed>(Purpose::SessionStatus, key.status.as_bytes(), text.as_bytes()),
        None
    );
}

#[test]
fn r16_every_end_of_a_session_has_a_mark_that_outlasts_what_was_confirmed_before() {
    let (shared, session) = (node(ORIGIN, 1, NOCOBASE), session());
    let block = |id: &str| {
        let (id, owner) = (id.to_owned(), BlockOwner::User(7));
        Ending::ToBlock(ToBlock { id, owner, signed_in_at: NOW, until: later(9) })
    };
    for ending in [Ending::of(session.sid), block(&session.sid.to_string())] {
        let (name, kept) = shared.mark_of(&ending).unwrap();
        assert_eq!(name, shared.session_key(&session).end);
        // A confirmation from a clock that is ahead counts for longer.
        assert_eq!(kept, Duration::from_secs(900) + CLOCK_SKEW);
    }
    let member = Ending::Member { entry: "wecom".into(), userid: "zhangsan".into(), at: NOW };
    let event = Ending::Event { entry: "wecom".into(), change: Change::Any, at: NOW };
    for about_none in [block("no uuid"), member, event, Ending::Blocked { id: session.sid.to_string() }] {
        assert_eq!(shared.mark_of(&about_none), None);
    }
}

/// There is no connection: NocoBase is asked, without a wait for Redis.
#[tokio::test]
async fn a_node_that_is_on_its_own_asks_for_itself() {
    let (shared, session) = (node(ORIGIN, 1, NOCOBASE), session());
    let key = shared.session_key(&session);
    assert!(matches!(shared.session_turn(&key, NOW).await, SessionTurn::Alone));
    let listening = shared.ledger.listening(NOW);
    listening.caught_up(true);
    assert!(matches!(shared.session_turn(&key, NOW).await, SessionTurn::Alone));
    shared.session_confirmed(&key, NOW).await;
}
