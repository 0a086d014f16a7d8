use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use nocobase_standin::{NocoBase as StandIn, SECRET};
use tokio::io::AsyncReadExt as _;

use super::*;
use crate::config::MaxRequests;
use crate::nocobase::test_client::{client, rules};
use crate::nocobase::{Accounts, Class, Minter, Turn, UserId};

/// A NocoBase that has user 1.
async fn standin() -> StandIn {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    standin
}

fn token() -> String {
    let now = super::super::now_s();
    let user = UserId::new(1).unwrap();
    Minter::new(SECRET.as_bytes()).session(user, "a-session", now * 1000, now).unwrap().as_str().to_owned()
}

/// A node that accepts connections and closes each without a response, and the number of connections.
async fn breaks_off() -> (std::net::SocketAddr, Arc<AtomicUsize>) {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, count) = (listener.local_addr().unwrap(), Arc::new(AtomicUsize::new(0)));
    let counted = count.clone();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counted.fetch_add(1, Ordering::SeqCst);
            let _ = stream.read(&mut [0; 1024]).await;
        }
    });
    (address, count)
}

/// A node that is at its limit is skipped as long as it is.
#[tokio::test]
async fn a_call_goes_to_a_node_with_capacity() {
    let (first, second) = (standin().await, standin().await);
    let nocobase = client(&[first.address, second.address], &rules(&[], false));
    let asked = || (first.calls("auth:check"), second.calls("auth:check"));
    let check = async || nocobase.check(&token(), Turn::of_call(Class::In)).await.is_ok();
    assert!(check().await);
    assert_eq!(asked(), (1, 0));
    let limiter = &nocobase.nodes[0].limiter;
    limiter.set_limit(MaxRequests::Fixed(1));
    let held = limiter.enter(Turn::of_call(Class::In)).await.unwrap();
    assert!(check().await && check().await);
    assert_eq!(asked(), (1, 2));
    drop(held);
    assert!(check().await);
    assert_eq!(asked(), (2, 2));
}

/// The first call of a sign-in waits longer than one about a session that is seen for the first time.
#[tokio::test(start_paused = true)]
async fn a_sign_in_waits_longer_than_a_newcomer() {
    let conf = rules(&[], false);
    // Nothing is sent to this node.
    let nocobase = Arc::new(client(&[std::net::SocketAddr::from(([127, 0, 0, 1], 9))], &conf));
    let accounts = Accounts::new(nocobase.clone(), &conf);
    let limiter = &nocobase.nodes[0].limiter;
    limiter.set_limit(MaxRequests::Fixed(1));
    let _held = limiter.enter(Turn::of_call(Class::In)).await.unwrap();
    let began = tokio::time::Instant::now();
    let newcomer = nocobase.check(&token(), Turn::of_call(Class::New)).await.err();
    assert_eq!(newcomer.map(|failed| failed.failure), Some(Failure::NocoBaseBusy));
    assert_eq!(began.elapsed().as_secs(), 3);
    let sign_in = accounts.find_binding("wecom", "zhangsan").await.err();
    assert_eq!(sign_in.map(|failed| failed.failure), Some(Failure::NocoBaseBusy));
    assert_eq!(began.elapsed().as_secs(), 3 + 8);
}

/// A call that changes something may have been processed already: it is not sent to another node.
#[tokio::test]
async fn an_interrupted_call_is_repeated_only_if_it_changes_nothing() {
    let (broken, count) = breaks_off().await;
    let whole = standin().await;
    let nodes = [broken, whole.address];
    let nocobase = client(&nodes, &rules(&[], false));
    assert!(nocobase.check(&token(), Turn::of_call(Class::In)).await.is_ok());
    assert_eq!(whole.calls("auth:check"), 1);
    let nocobase = client(&nodes, &rules(&[], false));
    let before = count.load(Ordering::SeqCst);
    let failed =
        nocobase.register_session("a-session", UserId::new(1).unwrap(), "wecom", 1).await.unwrap_err();
    assert_eq!(failed.failure, Failure::NocoBaseUnreachable);
    assert!(failed.cause.reason.contains("was interrupted"), "{}", failed.cause.reason);
    assert_eq!(count.load(Ordering::SeqCst), before + 1);
    assert_eq!(whole.calls("issuedTokens:create"), 0);
}

/// The same content is understood if it is short.
#[tokio::test]
async fn r17_a_response_is_read_up_to_its_bound_and_not_beyond() {
    let standin = standin().await;
    let nocobase = client(&[standin.address], &rules(&[], false));
    let body = r#"{"data":{"id":1}}"#;
    for (length, is_read) in [(100, true), (MAX_ANSWER, true), (MAX_ANSWER + 1, false)] {
        standin.fail("auth:check", 200, &format!("{body}{}", " ".repeat(length - body.len())), 1);
        let checked = nocobase.check(&token(), Turn::of_call(Class::In)).await;
        assert_eq!(checked.is_ok(), is_read, "{length}");
    }
}

#[test]
fn each_result_has_its_name() {
    let of = |status| result(&Ok(Response { status, body: Vec::new() }));
    for (status, name) in [
        (200, "ok"),
        (304, "ok"),
        (400, "refused"),
        (401, "refused"),
        (499, "refused"),
        (500, "error"),
        (502, "error"),
        (503, "starting"),
        (504, "error"),
    ] {
        assert_eq!(of(status), name, "{status}");
    }
}
