use std::net::SocketAddr;
use std::time::Duration;

use nocobase_standin::NocoBase as StandIn;

use super::super::test_gate::{cookies_of, member, sessions};
use super::*;
use crate::nocobase::error_body::Code;
use crate::session::UnixMillis;

/// A NocoBase with user 7.
async fn nocobase() -> (StandIn, SocketAddr) {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    standin.user_with_id(7, serde_json::json!({}));
    (standin.clone(), standin.address)
}

async fn open(sessions: &Arc<Sessions>) -> Box<Session> {
    let entry = sessions.config.wecom[0].clone();
    sessions.open(&entry, &member("zhangsan"), UserId::new(7).unwrap()).await.unwrap()
}

/// Waits until NocoBase has blocked this session.
async fn blocked(standin: &StandIn, session: &Session) {
    let sid = session.sid.to_string();
    while !standin.data().blocked.contains(&sid) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn name_of(found: &FoundSession) -> &'static str {
    match found {
        FoundSession::Nothing => "nothing",
        FoundSession::Ended => "ended",
        FoundSession::Unknown(_) => "unknown",
        FoundSession::Active { .. } => "live",
    }
}

async fn find(sessions: &Arc<Sessions>, session: &Session) -> &'static str {
    name_of(&sessions.find(&cookies_of(sessions, session)).await)
}

#[tokio::test]
async fn a_session_is_registered_and_then_found_without_a_question() {
    let (standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let session = open(&sessions).await;
    let row = &standin.rows("issuedTokens")[0];
    assert_eq!((&row["jti"], &row["userId"]), (&session.sid.to_string().into(), &7.into()));
    let asked = standin.calls("auth:check");
    assert_eq!(find(&sessions, &session).await, "live");
    assert_eq!(standin.calls("auth:check"), asked);
    assert_eq!(name_of(&sessions.find(&OwnCookies::default()).await), "nothing");
}

/// While NocoBase has not recorded a sign-out it accepts the session's tokens: that does not count, even if this node has dropped
/// the session from its cache meanwhile.
#[tokio::test]
async fn r36_nocobase_cannot_revive_a_session_whose_end_it_has_not_recorded() {
    let (standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let session = open(&sessions).await;
    standin.fail("auth:signOut", 503, "{}", usize::MAX);
    sessions.sign_out(&session, "signed out", &Source::default()).await;
    assert!(!standin.data().blocked.contains(&session.sid.to_string()));
    let asked = standin.calls("auth:check");
    assert_eq!(sessions.ask(&session, Class::New).await.ok(), Some(SessionStatus::Ended));
    assert_eq!(standin.calls("auth:check"), asked);
}

#[tokio::test]
async fn r07_a_cookie_that_does_not_open_is_a_session_that_is_over() {
    let (_standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let forged = [format!("{}=AAAA", sessions.cookies.names().session())];
    assert_eq!(name_of(&sessions.find(&super::super::test_gate::cookies(&sessions, &forged)).await), "ended");
}

#[tokio::test]
async fn r16_a_node_that_has_not_seen_a_session_asks_nocobase_once() {
    let (standin, addr) = nocobase().await;
    let (one, other) = (sessions(addr), sessions(addr));
    let (kept, ended) = (open(&one).await, open(&one).await);
    one.sign_out(&ended, "signed out", &Source::default()).await;
    assert_eq!(find(&one, &ended).await, "ended");
    let asked = standin.calls("auth:check");
    for _ in 0..3 {
        assert_eq!((find(&other, &kept).await, find(&other, &ended).await), ("live", "ended"));
    }
    assert_eq!(standin.calls("auth:check"), asked + 2);
}

#[tokio::test]
async fn r15_while_nocobase_cannot_confirm_it_an_unknown_session_is_refused() {
    let (standin, addr) = nocobase().await;
    let (one, other) = (sessions(addr), sessions(addr));
    let session = open(&one).await;
    standin.fail("auth:check", 503, "", 1);
    assert_eq!(find(&other, &session).await, "unknown");
    assert_eq!(find(&other, &session).await, "live", "and the next request asks again");
}

#[tokio::test]
async fn r15_a_new_sign_in_ends_the_session_before_here_and_in_nocobase() {
    let (standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let (before, now) = (open(&sessions).await, open(&sessions).await);
    sessions.replace(vec![(*before).clone()], &now, &Source::default());
    assert_eq!((find(&sessions, &before).await, find(&sessions, &now).await), ("ended", "live"));
    blocked(&standin, &before).await;
    sessions.replace(vec![(*now).clone()], &now, &Source::default());
    assert_eq!(find(&sessions, &now).await, "live", "the same session replaces nothing");
}

#[tokio::test]
async fn r16_all_sessions_of_a_member_end() {
    let (standin, addr) = nocobase().await;
    standin.bind("zhangsan", 7);
    let sessions = sessions(addr);
    let (a, b) = (open(&sessions).await, open(&sessions).await);
    sessions.end_member("wecom", "ZhangSan", "deleted in WeCom");
    assert_eq!((find(&sessions, &a).await, find(&sessions, &b).await), ("ended", "ended"));
    blocked(&standin, &a).await;
    blocked(&standin, &b).await;
}

#[tokio::test]
async fn a_token_that_nocobase_refuses_ends_the_session_only_if_nocobase_has_ended_it() {
    let (standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let session = open(&sessions).await;
    let FoundSession::Active { seen, .. } = sessions.find(&cookies_of(&sessions, &session)).await else {
        panic!("not live")
    };
    let first = sessions.token(&session, &seen).unwrap();
    assert!(Arc::ptr_eq(&first, &sessions.token(&session, &seen).unwrap()), "minted once");
    let asked = standin.calls("auth:check");
    sessions.refused_by_nocobase(&session, &seen, Some(Code::InvalidToken));
    assert!(!Arc::ptr_eq(&first, &sessions.token(&session, &seen).unwrap()), "a fresh one");
    while standin.calls("auth:check") == asked {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(find(&sessions, &session).await, "live");
    sessions.refused_by_nocobase(&session, &seen, Some(Code::UserHasNoRoles));
    assert_eq!(find(&sessions, &session).await, "live");
    sessions.refused_by_nocobase(&session, &seen, Some(Code::BlockedToken));
    assert_eq!(find(&sessions, &session).await, "ended");
}

#[tokio::test]
async fn r16_the_token_that_blocks_a_session_outlives_it_so_that_its_end_is_remembered() {
    let (_standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let session = open(&sessions).await;
    let token = sessions
        .lasting(UserId::new(session.user_id).unwrap(), &session.sid.to_string(), session.signed_in_at)
        .unwrap();
    let verified = sessions.minter.verify(token.as_str(), now().as_secs()).unwrap();
    let end = session.signed_in_at.plus(sessions.limits().absolute);
    assert!(verified.exp.unwrap() > end.as_secs() + 23 * 3600);
    assert!(sessions.is_of_session(token.as_str(), session.sid));
    assert!(!sessions.is_of_session(token.as_str(), uuid::Uuid::new_v4()));
    let held = sessions.browser_token(&session).unwrap();
    let verified = sessions.minter.verify(held.as_str(), now().as_secs()).unwrap();
    assert_eq!(verified.exp, Some(end.as_secs()), "the browser's ends with the session");
}

#[tokio::test]
async fn r35_forwarded_tokens_expire_soon_and_end_with_their_session() {
    let (_standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let mut session = *open(&sessions).await;
    let seen = sessions.cache.get(session.sid).unwrap();
    let end_of = |token: &str| sessions.minter.verify(token, now().as_secs()).unwrap().exp.unwrap();
    let left = |token: &str| end_of(token).saturating_sub(now().as_secs());
    let token = sessions.token(&session, &seen).unwrap();
    assert!((29 * 60..=30 * 60).contains(&left(token.jwt())), "{}", left(token.jwt()));
    // Near the end of the session, the token expires with it; at the very end, after the largest difference between clocks.
    for (minutes, least, most) in [(20, 19 * 60, 20 * 60), (1, 4 * 60, 5 * 60)] {
        let before_end = sessions.limits().absolute - Duration::from_secs(minutes * 60);
        session.signed_in_at = UnixMillis(now().0 - u64::try_from(before_end.as_millis()).unwrap());
        let token = sessions.mint(&session).unwrap();
        assert!((least..=most).contains(&left(token.as_str())), "{minutes}: {}", left(token.as_str()));
    }
    let out = sessions.sign_out_token(&session).unwrap();
    assert!(left(out.jwt()) <= 30 * 60 && !sessions.is_of_session(out.jwt(), session.sid));
    assert!(!sessions.is_over(&session.sid.to_string()) && !sessions.is_over("no uuid"));
    sessions.cache.end(session.sid);
    assert!(sessions.is_over(&session.sid.to_string()));
}

#[tokio::test]
async fn what_belongs_to_a_browser_that_signs_out_is_taken_away() {
    let (_standin, addr) = nocobase().await;
    let sessions = sessions(addr);
    let names = sessions.cookies.names();
    let own = super::super::test_gate::cookies(&sessions, &[names.set_tries(2)]);
    let set = sessions.signed_out_cookies(&own);
    let names: Vec<&str> = set.iter().map(|line| line.split('=').next().unwrap()).collect();
    assert_eq!(names, ["__Host-wecom_gate", "__Host-wecom_gate_out", "__Host-wecom_gate_tries"]);
    let nocobase: Vec<String> = sessions.forget_nocobase().collect();
    assert!(
        nocobase.iter().all(|line| line.contains("_main=; Path=/; Max-Age=0") && line.ends_with("; Secure"))
    );
}

mod tokens;
