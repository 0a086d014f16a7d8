use std::time::Duration;

use super::super::session::{Member, Session};
use super::super::time::UnixMillis;
use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);

fn session() -> Arc<Session> {
    let member = Member {
        entry: "wecom".into(),
        corp_id: "ww1".into(),
        userid: "zhangsan".into(),
        name: "zhangsan".into(),
        user_id: 1,
    };
    Arc::new(Session::begin(member, NOW).unwrap())
}

fn cache() -> SessionCache {
    SessionCache::new(Duration::from_secs(604_800))
}

fn open(cache: &SessionCache, session: &Arc<Session>) -> Attached {
    let seen = cache.insert_checked(session, NOW);
    cache.attach(&seen, OpenStream::new(session.clone(), Vec::new(), 0))
}

/// The number of streams of each session that is checked.
fn listed(cache: &SessionCache) -> Vec<usize> {
    let mut all = Vec::new();
    cache.open_sessions(|_, streams| all.push(streams.len()));
    all
}

#[tokio::test]
async fn r32_streams_end_with_their_session_and_no_others_do() {
    let cache = cache();
    let (mine, other) = (session(), session());
    let (a, b, c) = (open(&cache, &mine), open(&cache, &mine), open(&cache, &other));
    let waiting = tokio::spawn({
        let stream = a.stream().clone();
        async move { stream.until_ended().await }
    });
    tokio::task::yield_now().await;
    assert!(!a.stream().is_ended());
    cache.end(mine.sid);
    waiting.await.unwrap();
    b.stream().until_ended().await;
    assert!(a.stream().is_ended() && b.stream().is_ended() && !c.stream().is_ended());
    // Late, as between the decision and the first byte.
    assert!(open(&cache, &mine).stream().is_ended());
}

#[test]
fn r32_only_what_is_open_is_looked_at() {
    let cache = cache();
    let (one, other) = (session(), session());
    let a = open(&cache, &one);
    let b = open(&cache, &one);
    drop(open(&cache, &other));
    let mut all = listed(&cache);
    all.sort_unstable();
    assert_eq!(all, [2], "who has none is left out");
    drop(a);
    assert_eq!(listed(&cache), [1]);
    let c = open(&cache, &other);
    assert_eq!(listed(&cache), [1, 1], "and is listed again with the next");
    drop((b, c));
    assert!(listed(&cache).is_empty());
    let _d = open(&cache, &one);
    assert_eq!(listed(&cache), [1]);
}

#[test]
fn r32_a_forgotten_session_with_an_open_stream_still_ends() {
    let cache = cache();
    let session = session();
    let stream = open(&cache, &session);
    let seen = cache.get(session.sid).unwrap();
    assert!(cache.keep(session.sid, &seen));
    cache.forget(session.sid);
    // The next request brings it back.
    assert!(cache.keep(session.sid, &seen));
    assert!(Arc::ptr_eq(&cache.get(session.sid).unwrap(), &seen));
    cache.end_member("wecom", "ZhangSan", NOW);
    assert!(stream.stream().is_ended());
    // It ended while it was forgotten.
    cache.forget(session.sid);
    cache.end(session.sid);
    assert!(!cache.keep(session.sid, &seen));

    let (session, cache) = (self::session(), self::cache());
    let stream = open(&cache, &session);
    let seen = cache.get(session.sid).unwrap();
    cache.forget(session.sid);
    cache.end_member("wecom", "ZhangSan", NOW);
    assert!(!stream.stream().is_ended(), "no node knew of it");
    assert!(!cache.keep(session.sid, &seen));
}

#[test]
fn r32_cookies_are_opened_again_under_each_new_configuration() {
    let stream = OpenStream::new(session(), Vec::new(), 1);
    assert!(stream.is_of(1) && !stream.is_of(2));
    stream.opened_under(2);
    assert!(stream.is_of(2) && !stream.is_of(1));
}

#[tokio::test]
async fn r32_the_sessions_are_rechecked_when_due() {
    let cache = cache();
    let waiting = tokio::spawn({
        let cache = cache.clone();
        async move { cache.changed().await }
    });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    cache.look_again();
    waiting.await.unwrap();
}
