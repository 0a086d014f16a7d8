use std::net::SocketAddr;
use std::path::Path;

use nocobase_standin::NocoBase as StandIn;
use serde_json::{Value, json};

use super::super::test_gate::{config, cookies, member};
use super::*;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::session::Keyring;

const SOON: Duration = Duration::from_secs(20);

/// The sessions of a gate with this configuration.
fn sessions_of(config: Config) -> Arc<Sessions> {
    let keyring = Arc::new(Keyring::new(&config.session.keys, &config.origin.url()).unwrap());
    let metrics = Arc::new(Metrics::new(&["wecom"]).unwrap());
    Arc::new(Sessions::after(None, Arc::new(config), metrics, &keyring).unwrap())
}

/// A NocoBase with user 7, and sessions of a gate that writes its audit log to this file.
async fn stage(audit: &Path) -> (StandIn, Arc<Sessions>) {
    let standin = StandIn::start().await;
    standin.user_with_id(1, json!({}));
    standin.user_with_id(7, json!({}));
    let mut config = (*config(standin.address)).clone();
    config.log.audit_file = Some(audit.to_owned());
    (standin, sessions_of(config))
}

async fn open(sessions: &Arc<Sessions>) -> Session {
    let entry = sessions.config.wecom[0].clone();
    *sessions.open(&entry, &member("zhangsan"), UserId::new(7).unwrap()).await.unwrap()
}

/// The records of the audit log, once it is closed.
fn records(sessions: &Sessions, path: &Path) -> Vec<Value> {
    sessions.audit.close();
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn shown(id: &str) -> Value {
    crate::audit::shown_of_session(id).into()
}

async fn eventually(what: &str, holds: impl Fn() -> bool) {
    let began = tokio::time::Instant::now();
    while !holds() {
        assert!(began.elapsed() < SOON, "never: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Without an error code that says why, only NocoBase knows.
#[tokio::test]
async fn r16_after_a_refusal_without_a_reason_nocobase_is_asked_and_its_response_counts() {
    let folder = tempfile::tempdir().unwrap();
    let (standin, sessions) = stage(&folder.path().join("audit.log")).await;
    for ended in [false, true] {
        let session = open(&sessions).await;
        let seen = sessions.cache.get(session.sid).unwrap();
        if ended {
            standin.data().blocked.insert(session.sid.to_string());
        }
        let asked = standin.calls("auth:check");
        sessions.refused_by_nocobase(&session, &seen, None);
        eventually("NocoBase is asked", || standin.calls("auth:check") > asked).await;
        if ended {
            eventually("it has ended", || seen.is_ended()).await;
        }
        assert_eq!(seen.is_ended(), ended);
    }
}

#[tokio::test]
async fn records_of_an_end_say_whose_session_it_was_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("audit.log");
    let (standin, sessions) = stage(&path).await;
    let session = open(&sessions).await;
    sessions.end_member("wecom", "ZhangSan", "deleted in WeCom");
    // A token whose id is too long for a sign-in at NocoBase's own form.
    let (id, at) = ("z".repeat(65), now());
    let own = sessions.minter.session(UserId::new(7).unwrap(), &id, at.0, at.as_secs()).unwrap();
    sessions.end_own("no token", &Source::default()).await;
    sessions.end_own(own.as_str(), &Source::default()).await;
    assert!(standin.data().blocked.contains(&id));
    let records = records(&sessions, &path);
    let fields = |record: &Value| {
        ["action", "actor", "entry", "userid", "nocobase_user", "session", "reason"]
            .map(|field| record[field].clone())
    };
    let none = Value::Null;
    assert_eq!(records.len(), 2, "{records:?}");
    assert_eq!(
        fields(&records[0]),
        [
            json!("session_ended"),
            json!("wecom"),
            json!("wecom"),
            json!("ZhangSan"),
            none.clone(),
            shown(&session.sid.to_string()),
            json!("deleted in WeCom")
        ]
    );
    assert_eq!(
        fields(&records[1]),
        [json!("sign_out"), json!("member"), none.clone(), none, json!(7), shown(&id), json!("signed out")]
    );
}

#[tokio::test]
async fn a_sign_out_deletes_what_there_is_below_nocobases_path() {
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    for (public_path, path) in [("/", "/"), ("/nb/", "/nb"), ("/a/b/", "/a/b")] {
        let mut config = (*config(address)).clone();
        config.nocobase.public_path = public_path.into();
        let sessions = sessions_of(config);
        let lines: Vec<String> = sessions.forget_nocobase().collect();
        let wanted = format!("; Path={path}; Max-Age=0; ");
        assert!(lines.len() == 4 && lines.iter().all(|line| line.contains(&wanted)), "{lines:?}");
    }
    let sessions = sessions_of((*config(address)).clone());
    let names = sessions.cookies.names();
    for (tries, count) in [(None, 2), (Some(1), 3)] {
        let own =
            cookies(&sessions, &tries.map(|tries| names.set_tries(tries)).into_iter().collect::<Vec<_>>());
        assert_eq!(sessions.signed_out_cookies(&own).len(), count);
    }
}

/// The calls that a stopping gate has to make.
async fn unsent(standin: &StandIn, sessions: &Arc<Sessions>, count: usize) -> Vec<Session> {
    let mut all = Vec::new();
    for _ in 0..count {
        let session = open(sessions).await;
        sessions.ends_here(&session);
        sessions.block_later(&block_of(&session));
        all.push(session);
    }
    assert_eq!((sessions.blocks.left(), standin.calls("auth:signOut")), (count, 0));
    all
}

async fn report_the_rest(sessions: &Arc<Sessions>, at_most: Duration) -> Duration {
    let began = tokio::time::Instant::now();
    sessions.report_the_rest(began + at_most).await;
    began.elapsed()
}

#[tokio::test]
async fn r36_before_a_stop_what_is_left_is_sent_and_nothing_is_waited_for_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let (standin, sessions) = stage(&folder.path().join("audit.log")).await;
    let hour = Duration::from_secs(3600);
    let waited = tokio::time::timeout(SOON, report_the_rest(&sessions, hour)).await;
    assert!(waited.is_ok(), "nothing is left");
    let sessions_ended = unsent(&standin, &sessions, 3).await;
    // Unavailable at first: one call per round is enough to notice, and the next round is half a second later.
    standin.fail("auth:signOut", 503, "{}", 3);
    let took = tokio::time::timeout(SOON, report_the_rest(&sessions, hour)).await.expect("all are sent");
    assert!(took >= 3 * BEFORE_STOP, "{took:?}");
    assert_eq!((sessions.blocks.left(), standin.calls("auth:signOut")), (0, 3 + 3));
    for session in sessions_ended {
        assert!(standin.data().blocked.contains(&session.sid.to_string()));
    }
}

/// If NocoBase cannot list bindings, one call fails each time. The others are made, and the wait ends in time.
#[tokio::test]
async fn r36_before_a_stop_a_failure_of_one_holds_up_no_other_and_the_end_of_the_wait_is_kept() {
    const MANY: usize = 20;
    let folder = tempfile::tempdir().unwrap();
    let (standin, sessions) = stage(&folder.path().join("audit.log")).await;
    standin.fail("usersAuthenticators:list", 400, r#"{"errors":[{"message":"no"}]}"#, usize::MAX);
    let block = |owner: &Owner| Block {
        id: uuid::Uuid::new_v4().to_string(),
        owner: owner.clone(),
        signed_in_at: now(),
    };
    let user = Owner::User(UserId::new(7).unwrap());
    let mut blocks: Vec<Block> = (0..MANY).map(|_| block(&user)).collect();
    blocks.push(block(&Owner::Member { entry: "wecom".into(), userid: "zhangsan".into() }));
    sessions.block_later(&blocks);
    let at_most = Duration::from_secs(4);
    assert!(report_the_rest(&sessions, at_most).await >= at_most, "one is left");
    assert_eq!((sessions.blocks.left(), standin.data().blocked.len()), (1, MANY));
}
