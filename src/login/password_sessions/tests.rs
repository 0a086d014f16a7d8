use nocobase_standin::NocoBase as StandIn;

use super::super::test_gate::{cookies, sessions};
use super::*;

/// NocoBase with user 7, and a gate.
async fn gate() -> (StandIn, Arc<Sessions>) {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    standin.user_with_id(7, serde_json::json!({}));
    let sessions = sessions(standin.address);
    (standin, sessions)
}

/// A token as issued by NocoBase's own sign-in.
fn token(sessions: &Sessions, jti: &str, signed_in_at: UnixMillis) -> String {
    let user = UserId::new(7).unwrap();
    sessions.minter.session(user, jti, signed_in_at.0, now().as_secs()).unwrap().as_str().to_owned()
}

/// The cookies of a browser after NocoBase has accepted this token.
fn opened(sessions: &Arc<Sessions>, token: &str) -> OwnCookies<'static> {
    let sign_in = sessions.password_sign_in(token).unwrap();
    cookies(sessions, &[sessions.open_password(&sign_in, None, &Source::default()).unwrap()])
}

async fn is_live(sessions: &Arc<Sessions>, cookies: &OwnCookies<'_>) -> bool {
    sessions.find_password(cookies).await.unwrap().is_some()
}

/// Waits until NocoBase has blocked this id.
async fn blocked(standin: &StandIn, id: &str) {
    while !standin.data().blocked.contains(id) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn r15_another_node_asks_nocobase_and_sees_that_the_session_ended() {
    let (standin, here) = gate().await;
    let token = token(&here, "a", now());
    let browser = opened(&here, &token);
    assert!(is_live(&here, &browser).await);
    assert_eq!(standin.calls("auth:check"), 0, "NocoBase has just accepted it");
    let there = sessions(standin.address);
    assert!(is_live(&there, &browser).await && is_live(&there, &browser).await);
    assert_eq!(standin.calls("auth:check"), 1);
    here.sign_out_passwords(&browser, &Source::default()).await;
    assert!(!is_live(&here, &browser).await);
    // NocoBase has recorded the end of session and token: a restarted node accepts neither.
    let fresh = sessions(standin.address);
    assert!(!is_live(&fresh, &browser).await);
    assert!(standin.data().blocked.contains("a"));
}

#[tokio::test]
async fn r16_the_end_reaches_the_cookies_from_before_a_renewal() {
    let (standin, sessions) = gate().await;
    let began = now();
    let old = opened(&sessions, &token(&sessions, "a", began));
    let found = sessions.find_password(&old).await.unwrap().unwrap();
    assert_eq!(sessions.renew_password(&found, Some("a")), None, "nothing is due");
    let line = sessions.renew_password(&found, Some("b")).expect("another token");
    let new = cookies(&sessions, &[line]);
    let renewed = token(&sessions, "b", began);
    // NocoBase itself processes the sign-out of the page's token.
    sessions.password_signs_out(&sessions.password_sign_in(&renewed).unwrap(), &Source::default());
    assert!(!is_live(&sessions, &old).await && !is_live(&sessions, &new).await);
    let verified = |token: &str| sessions.minter.verify(token, now().as_secs()).unwrap();
    assert!(sessions.is_token_over(&verified(&renewed)), "its tokens do not count either");
    assert!(!sessions.is_token_over(&verified(&token(&sessions, "b", began.plus(Duration::from_millis(1))))));
    // Not while NocoBase processes the user's sign-out, but afterwards.
    assert_eq!(standin.calls("auth:signOut"), 0);
    sessions.password_signed_out(&renewed);
    blocked(&standin, &found.own.session.sid.to_string()).await;
    let fresh = super::super::test_gate::sessions(standin.address);
    assert!(!is_live(&fresh, &old).await && !is_live(&fresh, &new).await);
}

#[tokio::test]
async fn r15_a_new_sign_in_ends_the_one_before() {
    let (standin, sessions) = gate().await;
    let first = opened(&sessions, &token(&sessions, "a", now()));
    let before = sessions.find_password(&first).await.unwrap().unwrap().own;
    let again =
        sessions.password_sign_in(&token(&sessions, "b", now().plus(Duration::from_millis(1)))).unwrap();
    let second =
        cookies(&sessions, &[sessions.open_password(&again, Some(&before), &Source::default()).unwrap()]);
    assert!(!is_live(&sessions, &first).await && is_live(&sessions, &second).await);
    blocked(&standin, "a").await;
}

#[tokio::test]
async fn r36_a_session_stays_ended_while_nocobase_is_unavailable() {
    let (standin, sessions) = gate().await;
    let token = token(&sessions, "a", now());
    let browser = opened(&sessions, &token);
    standin.down().await;
    sessions.end_own(&token, &Source::default()).await;
    assert!(!is_live(&sessions, &browser).await);
    assert!(
        sessions
            .open_password(&sessions.password_sign_in(&token).unwrap(), None, &Source::default())
            .is_none()
    );
    standin.up().await;
    blocked(&standin, "a").await;
}

#[tokio::test]
async fn api_keys_and_tokens_without_a_sign_in_have_no_session() {
    let (_standin, sessions) = gate().await;
    let user = UserId::new(7).unwrap();
    let key = sessions.minter.service(user, now().as_secs()).unwrap();
    assert_eq!(sessions.password_sign_in(key.as_str()), None);
    assert_eq!(sessions.password_sign_in("a.b.c"), None);
    let long = token(&sessions, &"x".repeat(MAX_JTI_LENGTH + 1), now());
    assert_eq!(sessions.password_sign_in(&long), None);
}
