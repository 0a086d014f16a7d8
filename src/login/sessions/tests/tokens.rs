//! Cookies and tokens of a session, and how a reload changes them.

use super::super::super::test_gate::{config, cookies};
use super::*;
use crate::metrics::Metrics;
use crate::session::Keyring;

const HOUR_MS: u64 = 3_600_000;

#[tokio::test]
async fn a_cookie_that_is_due_is_renewed_for_the_same_session() {
    let (_standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let session = open(&sessions).await;
    assert_eq!(sessions.renew(&session), None, "it is fresh");
    let before = |ms: u64| UnixMillis(session.last_seen.0 - ms);
    let (last_seen, signed_in_at) = (before(9 * HOUR_MS), before(9 * HOUR_MS));
    let old = Session { last_seen, signed_in_at, ..(*session).clone() };
    let cookie = sessions.renew(&old).unwrap();
    assert_eq!(name_of(&sessions.find(&cookies(&sessions, &[cookie])).await), "live");
}

#[tokio::test]
async fn the_tokens_cookie_is_named_after_the_application() {
    let (_standin, addr) = nocobase().await;
    assert_eq!(sessions(addr).token_cookie(), "nb_auth_token_main");
}

/// With another secret the old tokens are useless; without a change there is no reason to mint new ones.
#[tokio::test]
async fn after_a_reload_tokens_are_minted_again_only_where_they_would_differ() {
    let (_standin, addr) = nocobase().await;
    let before = sessions(addr);
    let session = open(&before).await;
    let seen = before.cache.get(session.sid).unwrap();
    let token = |sessions: &Sessions| sessions.token(&session, &seen).unwrap().jwt().to_owned();
    let first = token(&before);
    let after = |config: Config| {
        let keyring = Arc::new(Keyring::new(&config.session.keys, &config.origin.url()).unwrap());
        let metrics = Arc::new(Metrics::new(&["wecom"]).unwrap());
        Sessions::after(Some(&before), Arc::new(config), metrics, &keyring).unwrap()
    };
    let same = after((*config(addr)).clone());
    same.replaces(&before);
    assert_eq!(token(&same), first);
    let mut other = (*config(addr)).clone();
    other.nocobase.jwt_secret = b"another secret that is long enough".to_vec().into();
    let other = after(other);
    other.replaces(&before);
    assert_ne!(token(&other), first);
}

/// Near the end of the session its tokens are valid for five minutes, and each is used for a third of that.
#[tokio::test]
async fn r35_a_token_is_used_for_a_third_of_its_life() {
    let (_standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let mut session = *open(&sessions).await;
    let left = Duration::from_secs(60);
    session.signed_in_at =
        UnixMillis(now().0 - u64::try_from((sessions.limits().absolute - left).as_millis()).unwrap());
    let seen = sessions.cache.get(session.sid).unwrap();
    let minted_at = sessions.token(&session, &seen).unwrap().minted_at();
    let is_used = |seconds| {
        sessions.cache.token(&seen, minted_at.plus(Duration::from_secs(seconds)), || Err(())).is_ok()
    };
    assert!(is_used(99) && !is_used(100));
}
