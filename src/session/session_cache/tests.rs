use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::member_check::MemberRecheck;
use super::super::session::Member;
use super::super::token::{Token, TokenCookies};
use super::*;

const NOW: UnixMillis = UnixMillis(1_800_000_000_000);
const EVERY: Duration = Duration::from_secs(900);

fn later(secs: u64) -> UnixMillis {
    NOW.plus(Duration::from_secs(secs))
}
fn store() -> SessionCache {
    SessionCache::new(Duration::from_secs(604_800))
}
fn session_of(entry: &str, userid: &str, signed_in_at: UnixMillis) -> Session {
    let member = Member {
        entry: entry.into(),
        corp_id: "ww1".into(),
        userid: userid.into(),
        name: userid.into(),
        user_id: 1,
    };
    Session::begin(member, signed_in_at).unwrap()
}
fn session() -> Session {
    session_of("wecom", "ZhangSan", NOW)
}
fn token(text: &str, now: UnixMillis) -> Result<Token, Failure> {
    Token::new(text, &TokenCookies::new("nb_auth_token_main", "nb_authenticator_main"), now)
}

/// For the other nodes: each session at most once a minute, and none that has ended.
#[test]
fn each_session_tells_its_last_use_once_a_minute() {
    let store = store();
    let (one, other) = (session(), session());
    let (seen, ended) = (store.insert_checked(&one, NOW), store.insert_checked(&other, NOW));
    assert!(store.unshared_uses().is_empty(), "not used yet");
    seen.used(later(1), || 7);
    ended.used(later(1), || 8);
    store.end(other.sid);
    assert_eq!(store.unshared_uses(), [(one.sid, NOW, 7)]);
    seen.used(later(59), || 9);
    assert!(store.unshared_uses().is_empty(), "the same minute");
    seen.used(later(60), || 9);
    assert_eq!(store.unshared_uses(), [(one.sid, later(60), 9)]);
}

#[test]
fn r16_an_end_is_remembered_for_good_also_before_first_sight() {
    let seen = store();
    let (a, b) = (session(), session());
    assert!(seen.get(a.sid).is_none());
    assert!(!seen.insert_checked(&a, NOW).is_ended());
    seen.end(a.sid);
    seen.end(b.sid);
    for s in [&a, &b] {
        assert!(seen.get(s.sid).unwrap().is_ended());
        // A response that was on its way when the session ended does not revive it.
        assert!(seen.insert_checked(s, later(1)).is_ended());
        assert!(seen.get(s.sid).unwrap().is_ended());
    }
}

#[test]
fn r21_a_member_who_leaves_loses_all_sessions_and_others_keep_theirs() {
    let seen = store();
    let mine = [session_of("wecom", "ZhangSan", NOW), session_of("wecom", "zhangsan", NOW)];
    let others = [
        session_of("wecom", "ZhangSan2", NOW),
        session_of("other", "ZhangSan", NOW),
        session_of("wecom", "ZhangSan ", NOW),
        session_of("wecom", "Zhang\u{17f}an", NOW), // long s: becomes s only in Unicode case folding
    ];
    for s in mine.iter().chain(&others) {
        seen.insert_checked(s, NOW);
    }
    assert_eq!((seen.members(), seen.count()), (1 + others.len(), 2 + others.len() as u64));
    let mut ended = seen.end_member("wecom", "ZHANGSAN", later(10));
    ended.sort();
    let mut expected: Vec<Uuid> = mine.iter().map(|s| s.sid).collect();
    expected.sort();
    assert_eq!(ended, expected);
    for s in &mine {
        assert!(seen.get(s.sid).unwrap().is_ended());
    }
    for s in &others {
        assert!(!seen.get(s.sid).unwrap().is_ended(), "{}", s.userid);
    }
    // A session of the same member, created earlier by another node, first seen here now.
    assert!(seen.insert_checked(&session_of("wecom", "zhangSan", later(9)), later(20)).is_ended());
    // The member is back.
    assert!(!seen.insert_checked(&session_of("wecom", "ZhangSan", later(11)), later(20)).is_ended());
}

#[test]
fn r21_an_event_that_arrives_late_or_twice_ends_only_what_began_before_it() {
    let seen = store();
    let (old, new) = (session(), session_of("wecom", "ZhangSan", later(20)));
    for s in [&old, &new] {
        seen.insert_checked(s, later(20));
    }
    assert_eq!(seen.end_member("wecom", "ZhangSan", later(10)), [old.sid]);
    assert!(seen.end_member("wecom", "ZhangSan", later(10)).is_empty(), "it has ended already");
    assert!(seen.get(old.sid).unwrap().is_ended() && !seen.get(new.sid).unwrap().is_ended());
    // A session that began at the moment of the event ends too.
    assert_eq!(seen.end_member("wecom", "ZhangSan", later(20)), [new.sid]);
}

#[test]
fn r32_a_forgotten_session_is_kept_again_unless_its_member_left_meanwhile() {
    let seen = store();
    let (old, new) = (session(), session_of("wecom", "ZhangSan", later(20)));
    for (s, stays) in [(&old, false), (&new, true)] {
        let known = seen.insert_checked(s, later(20));
        assert!(seen.keep(s.sid, &known), "not forgotten");
        seen.forget(s.sid);
        assert_eq!(seen.count(), 0);
        assert!(seen.keep(s.sid, &known), "nothing has happened");
        seen.forget(s.sid);
        seen.end_member("wecom", "zhangsan", later(10));
        assert_eq!(seen.keep(s.sid, &known), stays);
        seen.forget(s.sid);
    }
}

#[test]
fn recheck_is_due_once() {
    let seen = store();
    let mut s = session();
    s.sid = Uuid::from_bytes([0; 16]); // spread 0: exactly on time
    let seen = seen.insert_checked(&s, NOW);
    assert!(seen.due_recheck(later(899), EVERY).is_none());
    let order = seen.due_recheck(later(900), EVERY).unwrap();
    assert!(seen.due_recheck(later(901), EVERY).is_none(), "one at a time");
    order.passed(later(900));
    assert_eq!(seen.checked_at(), later(900));
    assert!(seen.due_recheck(later(1799), EVERY).is_none());
    // No response: again after half a minute.
    drop(seen.due_recheck(later(1800), EVERY).unwrap());
    assert!(seen.due_recheck(later(1829), EVERY).is_none());
    assert_eq!(seen.checked_at(), later(900));
    seen.due_recheck(later(1830), EVERY).unwrap().ended();
    assert!(seen.is_ended());
    assert!(seen.due_recheck(later(9999), EVERY).is_none(), "nothing to ask any more");
}

/// With two hundred threads: of those that see that a recheck is due, one gets the task; likewise for the recheck with WeCom,
/// which all sessions of the member share. Once it is completed or dropped, there is another, but only when it is due.
#[test]
fn r34_two_hundred_requests_at_once_are_one_recheck() {
    const MANY: usize = 200;
    let store = store();
    let sessions: Vec<_> = (0..4)
        .map(|number| {
            let mut s = session();
            s.sid = Uuid::from_bytes([number; 16]);
            store.insert_checked(&s, NOW)
        })
        .collect();
    let at_once = |now: UnixMillis| {
        let barrier = std::sync::Barrier::new(MANY);
        std::thread::scope(|scope| {
            let ask = |number: usize| {
                let seen = &sessions[number % sessions.len()];
                barrier.wait();
                (seen.due_recheck(now, EVERY), seen.due_member_recheck(now, EVERY))
            };
            let all: Vec<_> = (0..MANY).map(|number| scope.spawn(move || ask(number))).collect();
            let (own, member): (Vec<_>, Vec<_>) =
                all.into_iter().map(|thread| thread.join().unwrap()).unzip();
            (own.into_iter().flatten().collect::<Vec<_>>(), member.into_iter().flatten().collect::<Vec<_>>())
        })
    };
    let (own, member) = at_once(later(900));
    assert_eq!((own.len(), member.len()), (sessions.len(), 1));
    let (none, nor) = at_once(later(5000));
    assert_eq!((none.len(), nor.len()), (0, 0), "they are under way");
    drop(member);
    own.into_iter().for_each(|order| assert!(order.passed(later(900))));
    let (own, member) = at_once(later(930));
    assert_eq!((own.len(), member.len()), (0, 1), "the one that was given up");
    member.into_iter().for_each(MemberRecheck::answered);
    let (own, member) = at_once(later(1829));
    assert_eq!((own.len(), member.len()), (sessions.len(), 0));
}

#[test]
fn rechecks_spread_out_but_never_later() {
    let seen = store();
    let mut due_early = 0;
    for first in 0..=255_u8 {
        let mut s = session();
        s.sid = Uuid::from_bytes([first; 16]);
        let seen = seen.insert_checked(&s, NOW);
        assert!(seen.due_recheck(later(787), EVERY).is_none());
        if let Some(order) = seen.due_recheck(later(844), EVERY) {
            order.passed(later(844));
            due_early += 1;
        } else {
            assert!(seen.due_recheck(later(900), EVERY).is_some());
        }
    }
    assert!((120..=136).contains(&due_early), "half of them by half the window: {due_early}");
}

#[test]
fn each_session_has_its_turn_once_in_a_round() {
    let seen = store();
    let mut turns = [0; 16];
    for first in 0..=255_u8 {
        let mut s = session();
        s.sid = Uuid::from_bytes([first; 16]);
        let seen = seen.insert_checked(&s, NOW);
        for round in [0, 16, 1_600_000_000] {
            let mine: Vec<u64> = (0..16).filter(|second| seen.is_turn(round + second, 16)).collect();
            assert_eq!(mine, [u64::from(first) % 16]);
        }
        turns[usize::from(first) % 16] += 1;
    }
    assert_eq!(turns, [16; 16]);
}

#[test]
fn what_is_known_of_the_last_visit_only_goes_forward() {
    let seen = store().insert_checked(&session(), NOW);
    for (saw, known) in [(5, 5), (3, 5), (5, 5), (9, 9)] {
        seen.touch(later(saw));
        assert_eq!(seen.signed_in_at(), NOW);
        assert_eq!(seen.last_seen(), later(known));
    }
}

#[test]
fn exactly_one_of_many_threads_gets_the_order() {
    let seen = store().insert_checked(&session(), NOW);
    for round in 1..50 {
        let now = later(round * 900);
        let orders = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        if let Some(order) = seen.due_recheck(now, EVERY) {
                            orders.fetch_add(1, Ordering::SeqCst);
                            order.passed(now);
                        }
                    }
                });
            }
        });
        assert_eq!(orders.load(Ordering::SeqCst), 1);
    }
}

#[test]
fn tokens_are_minted_again_after_ten_minutes() {
    let store = store();
    let seen = store.insert_checked(&session(), NOW);
    let never = || -> Result<Token, Failure> { panic!("minted without need") };
    assert_eq!(store.token(&seen, NOW, || Err(Failure::Internal)).unwrap_err(), Failure::Internal);
    let first = store.token(&seen, NOW, || token("a.b.c", NOW)).unwrap();
    assert_eq!((first.minted_at(), first.bearer().to_str().unwrap()), (NOW, "Bearer a.b.c"));
    assert_eq!(first.jwt(), "a.b.c");
    assert_eq!(first.cookies().concat(), "nb_auth_token_main=a.b.c; nb_authenticator_main=basic");
    assert!(Arc::ptr_eq(&first, &store.token(&seen, later(599), never).unwrap()));
    assert_eq!(store.token(&seen, later(600), || token("d", later(600))).unwrap().jwt(), "d");
    seen.drop_token();
    assert_eq!(store.token(&seen, later(601), || token("e", later(601))).unwrap().jwt(), "e");
    store.forget_tokens();
    assert_eq!(store.token(&seen, later(601), || token("f", later(601))).unwrap().jwt(), "f");
    // The clock was set back.
    assert_eq!(store.token(&seen, NOW, || token("g", NOW)).unwrap().jwt(), "g");
}

#[test]
fn r27_tokens_stay_out_of_debug() {
    let store = store();
    let seen = store.insert_checked(&session(), NOW);
    let held = store.token(&seen, NOW, || token("canary", NOW)).unwrap();
    for shown in
        [format!("{held:?}"), format!("{seen:?}"), format!("{store:?}"), format!("{:?}", held.bearer())]
    {
        assert!(!shown.contains("canary"), "{shown}");
    }
    assert_eq!(token("a\nb", NOW).unwrap_err(), Failure::Internal);
}

#[test]
fn memory_is_bounded_the_index_too_and_newcomers_are_let_in() {
    let seen = SessionCache::with_capacity(EVERY, 100);
    for i in 0..2000 {
        let s = session_of("wecom", &format!("u{i}"), NOW);
        seen.insert_checked(&s, NOW);
        assert!(seen.get(s.sid).is_some(), "the newest is never the one to go");
    }
    // Each part has room for its share, rounded up.
    assert!((90..=128).contains(&seen.count()), "{}", seen.count());
    assert_eq!(seen.members() as u64, seen.count());
}

/// A session that is dropped and one that is inserted at the same moment: what is in the cache is in the index.
#[test]
fn r34_the_index_knows_every_session_whatever_is_dropped_meanwhile() {
    let seen = SessionCache::with_capacity(EVERY, 8);
    let sessions: Vec<_> = (0..64).map(|i| session_of("wecom", &format!("u{i}"), NOW)).collect();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (seen, sessions) = (&seen, &sessions);
            scope.spawn(move || {
                for round in 0..5_000 {
                    seen.insert_checked(&sessions[(round * 7 + thread * 13) % sessions.len()], NOW);
                }
            });
        }
    });
    for s in sessions.iter().filter(|s| seen.get(s.sid).is_some()) {
        assert_eq!(seen.end_member("wecom", &s.userid, later(1)), [s.sid]);
    }
}

#[test]
fn memory_for_tokens_is_bounded_and_given_back() {
    let store = store();
    let many: Vec<_> = (0..tokens::MOST + 10)
        .map(|i| {
            let seen = store.insert_checked(&session_of("wecom", &format!("u{i}"), NOW), NOW);
            store.token(&seen, NOW, || token("a", NOW)).unwrap();
            seen
        })
        .collect();
    let held = |now| many.iter().filter(|seen| seen.held_token(now).is_some()).count();
    assert_eq!(held(NOW), tokens::MOST);
    assert!(many[..10].iter().all(|seen| seen.held_token(NOW).is_none()), "the oldest are dropped");
    // It has a newer one by then.
    store.token(&many[20], later(599), || Err(())).unwrap();
    many[20].drop_token();
    store.token(&many[20], later(599), || token("b", later(599))).unwrap();
    while store.drop_expired(later(600)) {}
    assert_eq!(held(later(599)), 1);
}

#[test]
fn a_session_is_dropped_once_it_has_expired_in_any_case() {
    let seen = SessionCache::new(EVERY);
    let (old, new, unseen) = (session(), session_of("wecom", "lisi", later(1000)), session());
    seen.insert_checked(&old, NOW);
    seen.insert_checked(&new, later(1000));
    seen.end(unseen.sid);
    seen.drop_expired(later(1000));
    assert_eq!(seen.count(), 3, "clocks may differ by minutes");
    seen.drop_expired(later(4000));
    assert_eq!(seen.count(), 3, "looked at once an hour");
    seen.drop_expired(later(1000 + 3600));
    assert_eq!((seen.count(), seen.members()), (0, 0));
}

#[test]
fn absurd_durations_do_no_harm() {
    SessionCache::new(Duration::MAX).insert_checked(&session(), UnixMillis(u64::MAX));
}

#[tokio::test(flavor = "multi_thread")]
async fn first_sight_asks_once_for_many_requests() {
    let (seen, s, asked) = (store(), Arc::new(session()), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..130)
        .map(|_| {
            let (seen, s, asked) = (seen.clone(), Arc::clone(&s), Arc::clone(&asked));
            tokio::spawn(async move {
                let ask = async {
                    asked.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    Ok(Some(NOW))
                };
                seen.first_lookup(&s, ask).await.unwrap().is_ended()
            })
        })
        .collect();
    for task in tasks {
        assert!(!task.await.unwrap());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn first_sight_remembers_results_but_no_failures() {
    let (seen, s) = (store(), session());
    let down = async { Err(Failure::NocoBaseUnreachable) };
    assert_eq!(seen.first_lookup(&s, down).await.unwrap_err(), Failure::NocoBaseUnreachable);
    assert!(seen.get(s.sid).is_none());
    assert!(seen.first_lookup(&s, async { Ok(None) }).await.unwrap().is_ended());
    let again = async { panic!("asked again") };
    assert!(seen.first_lookup(&s, again).await.unwrap().is_ended());
}

/// The aim is half a KiB for all that is known of a session.
#[test]
fn a_session_without_a_token_needs_little() {
    // With its two counts of references: a size for which the allocator has a class.
    assert!(size_of::<CachedSession>() + 16 <= 96, "{}", size_of::<CachedSession>());
    // Of the index: the member and the session, without memory elsewhere.
    assert!(size_of::<(Arc<SeenMember>, by_member::Sids)>() <= 32);
    // Names, and what is known of the member in WeCom.
    assert!(size_of::<SeenMember>() + size_of::<MemberCheck>() + 32 <= 64 + 48);
}

#[test]
fn a_member_with_several_sessions_loses_those_that_end_from_the_index() {
    let store = store();
    let all: Vec<_> = (0..4).map(|_| session()).collect();
    let known = |store: &SessionCache| {
        let mut sids = store.by_member.of(&MemberKey::new("wecom", "zhangsan"));
        sids.sort();
        sids
    };
    let expected = |left: &[Session]| {
        let mut sids: Vec<Uuid> = left.iter().map(|s| s.sid).collect();
        sids.sort();
        sids
    };
    for (number, s) in all.iter().enumerate() {
        store.insert_checked(s, NOW);
        store.insert_checked(s, NOW);
        assert_eq!(known(&store), expected(&all[..=number]));
    }
    for number in 0..all.len() {
        store.forget(all[number].sid);
        assert_eq!(known(&store), expected(&all[number + 1..]));
    }
    assert_eq!(store.members(), 0);
}

#[tokio::test]
async fn r23_first_sight_given_up_by_one_request_is_taken_on_by_the_next() {
    let (seen, s) = (store(), session());
    let slow = seen.first_lookup(&s, async {
        std::future::pending::<()>().await;
        Ok(None)
    });
    let next = seen.first_lookup(&s, async { Ok(Some(NOW)) });
    assert!(tokio::time::timeout(Duration::from_millis(20), slow).await.is_err());
    assert!(!next.await.unwrap().is_ended());
}

#[tokio::test]
async fn an_end_during_first_sight_wins() {
    let (seen, s) = (store(), session());
    let ask = async {
        seen.end(s.sid);
        Ok(Some(NOW))
    };
    assert!(seen.first_lookup(&s, ask).await.unwrap().is_ended());
    let t = session();
    let ask = async {
        seen.end_member("wecom", "zhangsan", later(1));
        Ok(Some(NOW))
    };
    assert!(seen.first_lookup(&t, ask).await.unwrap().is_ended());
}

#[test]
fn r35_a_token_is_minted_as_often_as_it_says() {
    let store = store();
    let seen = store.insert_checked(&session(), NOW);
    let mint = |text: &'static str, now| {
        store.token(&seen, now, || token(text, now).map(|t| t.used_for(Duration::from_secs(5))))
    };
    assert_eq!(mint("a", NOW).unwrap().jwt(), "a");
    assert_eq!(mint("b", UnixMillis(NOW.0 + 4999)).unwrap().jwt(), "a");
    assert_eq!(mint("c", UnixMillis(NOW.0 + 5000)).unwrap().jwt(), "c");
}
