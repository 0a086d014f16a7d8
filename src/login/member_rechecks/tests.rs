use std::time::Duration;

use nocobase_standin::NocoBase as StandIn;

use super::super::test_gate::{member, sessions};
use crate::nocobase::UserId;

use super::*;

/// Long after every session was last seen.
const LATER: Duration = Duration::from_secs(3600);

async fn open(sessions: &Arc<Sessions>) -> (Box<Session>, Arc<CachedSession>) {
    let entry = sessions.config.wecom[0].clone();
    let session = sessions.open(&entry, &member("zhangsan"), UserId::new(7).unwrap()).await.unwrap();
    let seen = sessions.cache.get(session.sid).unwrap();
    (session, seen)
}

#[tokio::test]
async fn wecom_that_is_away_pauses_the_rechecks_and_ends_no_session() {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    standin.user_with_id(7, serde_json::json!({}));
    let sessions = sessions(standin.address);
    let (one, other) = (open(&sessions).await, open(&sessions).await);
    let every = sessions.config.session.recheck;
    let later = now().plus(LATER);
    let order = one.1.due_member_recheck(later, every).unwrap();
    assert!(!other.1.is_member_due(later, every), "one member, one order");
    let asked = standin.calls("auth:check");
    let queue = sessions.member_rechecks.of("wecom");
    sessions.recheck_member(&one.0, &queue, order).await;
    assert!(!queue.allows(), "no further calls");
    assert!(!one.1.is_ended() && !other.1.is_ended());
    assert!(!one.1.is_member_due(later, every), "not again at once");
    assert!(one.1.is_member_due(later.plus(LATER), every), "but later");
    assert_eq!(standin.calls("auth:check"), asked, "NocoBase is not asked because WeCom failed");
}

#[tokio::test]
async fn a_member_who_is_gone_loses_every_session() {
    let standin = StandIn::start().await;
    standin.user_with_id(1, serde_json::json!({}));
    standin.user_with_id(7, serde_json::json!({}));
    let sessions = sessions(standin.address);
    let (one, other) = (open(&sessions).await, open(&sessions).await);
    sessions.member_gone(&one.0, Failure::NotVisible);
    assert!(one.1.is_ended() && other.1.is_ended());
}

#[tokio::test]
async fn the_queues_survive_a_reload() {
    let standin = StandIn::start().await;
    let before = sessions(standin.address);
    let queue = before.member_rechecks.of("wecom");
    let ticket = queue.begin().unwrap();
    let limited = WeComError::from_errcode(crate::wecom::Call::UserGet, 45009, "");
    assert_eq!(queue.end(&ticket, Some(&limited)), Some(News::Began));
    let keyring = Arc::new(
        crate::session::Keyring::new(&before.config.session.keys, &before.config.origin.url()).unwrap(),
    );
    let after =
        Sessions::after(Some(&before), before.config.clone(), before.metrics.clone(), &keyring).unwrap();
    assert!(!after.member_rechecks.of("wecom").allows());
    assert!(after.member_rechecks.of("other").allows());
}
