use std::net::SocketAddr;
use std::time::Duration;

use nocobase_standin::{Fault, NocoBase as StandIn, SECRET};

use super::super::error_body::Code;
use super::super::test_client::{Plain, client, rules};
use super::super::{Class, Minted, Minter, NocoBase, Turn, UserId};
use super::{CheckOutcome, now_s};
use crate::config::ServiceAccount;
use crate::error::Failure;

const SID: &str = "0b2b5ba4-4d6f-4b3c-9a3e-6e5e7c7b7a10";

fn user(id: u64) -> UserId {
    UserId::new(id).unwrap()
}

fn token_by(secret: &[u8], id: u64) -> Minted {
    Minter::new(secret).session(user(id), SID, now_s() * 1000, now_s()).unwrap()
}

fn token(id: u64) -> Minted {
    token_by(SECRET.as_bytes(), id)
}

async fn one() -> (StandIn, NocoBase) {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({"nickname": "Root"}));
    (standin.clone(), client(&[standin.address], &rules(&[], false)).with_timeout(Duration::from_millis(500)))
}

/// A port on which nothing listens.
async fn closed_port() -> SocketAddr {
    tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

fn turn() -> Turn {
    Turn::of_call(Class::In)
}

#[tokio::test]
async fn check_returns_the_user_or_that_the_session_has_ended() {
    let (standin, nb) = one().await;
    let valid = CheckOutcome::Valid { user_id: user(1) };
    assert_eq!(nb.check(token(1).as_str(), turn()).await.plain(), Ok(valid));
    assert_eq!(
        nb.check(token(9).as_str(), turn()).await.plain(),
        Ok(CheckOutcome::Ended(Code::NotExistUser))
    );
    let expired = r#"{"errors":[{"message":"x","code":"EXPIRED_SESSION"}]}"#;
    standin.fail("auth:check", 401, expired, 1);
    assert_eq!(
        nb.check(token(1).as_str(), turn()).await.plain(),
        Ok(CheckOutcome::Ended(Code::ExpiredSession))
    );
}

#[tokio::test]
async fn r16_after_sign_out_every_token_of_the_session_is_refused() {
    let (_standin, nb) = one().await;
    nb.sign_out(token(1).as_str()).await.unwrap();
    assert_eq!(
        nb.check(token(1).as_str(), turn()).await.plain(),
        Ok(CheckOutcome::Ended(Code::BlockedToken))
    );
    assert_eq!(nb.sign_out(token(1).as_str()).await.plain(), Ok(()), "twice is fine");
}

#[tokio::test]
async fn r07_a_response_that_names_no_user_confirms_nothing() {
    let (standin, nb) = one().await;
    for body in [
        "{}",
        r#"{"data":null}"#,
        r#"{"data":{}}"#,
        r#"{"data":{"id":null}}"#,
        r#"{"data":{"id":0}}"#,
        "[]",
        "",
    ] {
        standin.fail("auth:check", 200, body, 1);
        assert_eq!(
            nb.check(token(1).as_str(), turn()).await.plain(),
            Err(Failure::NocoBaseBadAnswer),
            "{body}"
        );
    }
}

#[tokio::test]
async fn every_kind_of_error_has_its_failure() {
    use Failure::*;
    let (standin, nb) = one().await;
    let late = Fault::late(Duration::from_secs(2));
    for (fault, want) in [
        (Fault::response(503, r#"{"error":{"status":503,"code":"APP_PREPARING"}}"#), NocoBaseStarting),
        (Fault::response(200, "<!doctype html><html></html>"), NocoBaseBadAnswer),
        (Fault::response(502, "<html>Bad Gateway</html>"), NocoBaseBadAnswer),
        (Fault::response(404, "Not Found"), NocoBaseBadAnswer),
        (Fault::response(302, ""), NocoBaseBadAnswer),
        (Fault::response(500, r#"{"errors":[{"message":"boom"}]}"#), NocoBaseBadAnswer),
        (
            Fault::response(401, r#"{"errors":[{"message":"x","code":"TOKEN_RENEW_FAILED"}]}"#),
            NocoBaseBadAnswer,
        ),
        (Fault::response(401, "no"), NocoBaseBadAnswer),
        (late, NocoBaseTimeout),
    ] {
        standin.fault("auth:check", fault.clone(), 1);
        assert_eq!(nb.check(token(1).as_str(), turn()).await.plain(), Err(want));
        if fault.status != 200 {
            standin.fault("issuedTokens:create", fault, 1);
            let got = nb.register_session(SID, user(1), "wecom", 1).await.plain();
            if want != NocoBaseStarting && want != NocoBaseTimeout {
                assert_eq!(got, Err(NocoBaseBadAnswer));
            } else {
                assert_eq!(got, Err(want));
            }
        }
    }
    for fault in [
        Fault::response(403, r#"{"errors":[{"message":"No permissions"}]}"#),
        Fault::response(500, r#"{"errors":[{"message":"No permissions"}]}"#),
    ] {
        standin.fault("issuedTokens:create", fault, 1);
        let got = nb.register_session(SID, user(1), "wecom", 1).await.plain();
        assert_eq!(got, Err(NocoBaseServiceDenied));
    }
    assert!(nb.check(token(1).as_str(), turn()).await.is_ok(), "and then it works again");
}

#[tokio::test]
async fn a_wrong_secret_is_not_the_end_of_a_session() {
    let (_standin, nb) = one().await;
    let wrong = token_by(b"another secret", 1);
    assert_eq!(nb.check(wrong.as_str(), turn()).await.plain(), Err(Failure::NocoBaseSecretWrong));
    assert_eq!(nb.sign_out(wrong.as_str()).await.plain(), Err(Failure::NocoBaseSecretWrong));
}

#[tokio::test]
async fn an_invalid_service_account() {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    let mut conf = rules(&[], false);
    for (service, fault, want) in [
        (ServiceAccount::Token("garbage".to_owned().into()), None, Failure::NocoBaseSecretWrong),
        (ServiceAccount::Token("line\nbreak".to_owned().into()), None, Failure::NocoBaseSecretWrong),
        (ServiceAccount::Token("x".to_owned().into()), Some("BLOCKED_TOKEN"), Failure::NocoBaseServiceDenied),
        (ServiceAccount::User(1), Some("NOT_EXIST_USER"), Failure::NocoBaseServiceDenied),
        (ServiceAccount::User(1), Some("INVALID_TOKEN"), Failure::NocoBaseSecretWrong),
    ] {
        conf.service = service;
        if let Some(code) = fault {
            let body = format!(r#"{{"errors":[{{"message":"x","code":"{code}"}}]}}"#);
            standin.fail("users:get", 401, &body, 1);
        }
        assert_eq!(client(&[standin.address], &conf).roles(user(1)).await.plain(), Err(want));
    }
    conf.service = ServiceAccount::User(0);
    let upstream = crate::config::Upstream {
        nodes: vec![standin.address.to_string()],
        connect_timeout: Duration::from_secs(1),
        read_timeout: Duration::from_secs(1),
        health_interval: std::time::Duration::from_secs(2),
        max_requests: crate::config::MaxRequests::Auto,
    };
    let minter = std::sync::Arc::new(Minter::new(SECRET.as_bytes()));
    assert_eq!(NocoBase::new(&upstream, &conf, minter).err(), Some(Failure::Internal));
}

#[tokio::test]
async fn a_node_that_is_away_starting_or_stopping_is_passed_over() {
    let standin = StandIn::start().await;
    let other = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    let nb = client(&[closed_port().await, other.address, standin.address], &rules(&[], false));
    other.fail("auth:check", 503, "{}", 1);
    for _ in 0..3 {
        assert!(nb.check(token(1).as_str(), turn()).await.is_ok());
    }
    assert_eq!(other.calls("auth:check"), 1, "a node that answers is asked first from then on");
    let nb = client(&[other.address, standin.address], &rules(&[], false));
    let stopping = "ConnectionManager.getConnection was called after the connection manager was closed!";
    let stopping = format!(r#"{{"errors":[{{"message":"{stopping}"}}]}}"#);
    other.fail("auth:check", 500, &stopping, 1);
    assert!(nb.check(token(1).as_str(), turn()).await.is_ok());
    let nobody = client(&[closed_port().await, closed_port().await], &rules(&[], false));
    assert_eq!(nobody.check(token(1).as_str(), turn()).await.plain(), Err(Failure::NocoBaseUnreachable));
}

#[tokio::test]
async fn a_session_is_registered_once_however_often_it_is_asked_for() {
    let (standin, nb) = one().await;
    for _ in 0..3 {
        assert_eq!(nb.register_session(SID, user(1), "wecom", 1_800_000_000_123).await.plain(), Ok(()));
    }
    let want = serde_json::json!({
        "id": SID, "jti": SID, "userId": 1, "authenticator": "wecom",
        "signInTime": 1_800_000_000_123_u64, "issuedTime": 1_800_000_000_123_u64,
    });
    assert_eq!(standin.rows("issuedTokens"), [want]);
    // Refused for another reason.
    standin.fail("issuedTokens:create", 400, r#"{"errors":[{"message":"notNull"}]}"#, 1);
    let got = nb.register_session("another", user(1), "wecom", 1).await.plain();
    assert_eq!(got, Err(Failure::NocoBaseBadAnswer));
}

#[tokio::test]
async fn r17_an_endless_response_is_cut_off() {
    let (standin, nb) = one().await;
    standin.fail("auth:check", 200, &"x".repeat(3 << 20), 1);
    assert_eq!(nb.check(token(1).as_str(), turn()).await.plain(), Err(Failure::NocoBaseBadAnswer));
}

#[tokio::test]
async fn a_busy_database_is_waited_for_but_not_for_ever() {
    let (standin, nb) = one().await;
    let busy = Fault::response(500, r#"{"errors":[{"message":"SQLITE_BUSY: database is locked"}]}"#);
    standin.fault("issuedTokens:create", busy.clone(), 2);
    assert_eq!(nb.register_session(SID, user(1), "wecom", 1).await.plain(), Ok(()));
    standin.fault("auth:signOut", busy.clone(), 1);
    assert_eq!(nb.sign_out(token(1).as_str()).await.plain(), Ok(()));
    standin.fault("users:get", busy, 99);
    assert_eq!(nb.roles(user(1)).await.plain(), Err(Failure::NocoBaseBadAnswer));
    assert_eq!(standin.calls("users:get"), 6);
}

#[test]
fn spans_of_the_token_policy_are_read() {
    const S: Duration = Duration::from_secs(1);
    for (text, span) in [
        ("1d", Some(86_400 * S)),
        ("30m", Some(1800 * S)),
        ("10 minutes", Some(600 * S)),
        (" 4s ", Some(4 * S)),
        ("2H", Some(7200 * S)),
        ("1500", Some(Duration::from_millis(1500))),
        ("1w", Some(604_800 * S)),
        ("", None),
        ("d", None),
        ("-1d", None),
        ("1x", None),
        ("never", None),
        ("99999999999999999999s", None),
    ] {
        assert_eq!(super::token_policy::policy_span(text), span, "{text}");
    }
    assert!(super::token_policy::policy_span("9999999999999999y").is_some());
}

#[tokio::test]
async fn a_token_policy_counts_only_where_nocobase_shows_it() {
    let (standin, nb) = one().await;
    let minute = Duration::from_secs(60);
    let shown = r#"{"data":{"config":{"tokenExpirationTime":"1m"}}}"#;
    for (status, body, want) in [
        (200, shown, Some(minute)),
        (200, "{}", None),
        (200, r#"{"data":{"config":{"tokenExpirationTime":60}}}"#, None),
        (403, shown, None),
        (404, r#"{"errors":[{"message":"x"}]}"#, None),
    ] {
        standin.fail("tokenControlConfig:get", status, body, 1);
        assert_eq!(nb.token_expiration().await.plain(), Ok(want), "{status} {body}");
    }
    for policy in [Some((minute, true)), Some((minute, false)), None] {
        standin.data().token_policy = policy;
        let want = policy.filter(|(_, shown)| *shown).map(|(fresh, _)| fresh);
        assert_eq!(nb.token_expiration().await.plain(), Ok(want), "{policy:?}");
    }
}
