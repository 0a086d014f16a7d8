use nocobase_standin::NocoBase as StandIn;
use wecom_sim::{Fault, FaultKind, Options, Running, Simulator};

use super::super::recheck_queue::Joined;
use super::super::test_gate::{config, member};
use super::*;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::nocobase::UserId;
use crate::session::{CachedSession, Keyring, Session};

const CORP: &str = "ww0123456789abcdef";
const DEPARTMENT: u32 = 2;
const USER_LIST: &str = "/cgi-bin/user/list";

/// Members of one department with a session each.
struct Stage {
    sim: Running,
    _nocobase: StandIn,
    sessions: Arc<Sessions>,
    members: Vec<(Box<Session>, Arc<CachedSession>)>,
}

impl Stage {
    async fn new() -> Stage {
        Self::with(|_| {}).await
    }

    async fn with(change: impl FnOnce(&mut WeComEntry)) -> Stage {
        let sim = Simulator::start(Options::default()).await.unwrap();
        let nocobase = StandIn::start().await;
        nocobase.user_with_id(1, serde_json::json!({}));
        let mut config = Config::clone(&config(nocobase.address));
        let secret = sim.handle.app(CORP, 1_000_002).unwrap().secret;
        (config.wecom[0].api_base, config.wecom[0].secret) = (sim.base().parse().unwrap(), secret.into());
        change(&mut config.wecom[0]);
        let keyring = Arc::new(Keyring::new(&config.session.keys, &config.origin.url()).unwrap());
        let metrics = Arc::new(Metrics::new(&["wecom"]).unwrap());
        let sessions = Arc::new(Sessions::after(None, Arc::new(config), metrics, &keyring).unwrap());
        let (entry, mut members) = (sessions.config.wecom[0].clone(), Vec::new());
        for (id, userid) in [(11, "one"), (12, "two"), (13, "three")] {
            let listed = wecom_sim::Member {
                userid: userid.into(),
                name: userid.into(),
                departments: vec![DEPARTMENT.into()],
                status: 1,
                ..wecom_sim::Member::default()
            };
            sim.handle.set_member(CORP, listed).unwrap();
            nocobase.user_with_id(id, serde_json::json!({}));
            let user = UserId::new(id).unwrap();
            let session = sessions.open(&entry, &member(userid), user).await.unwrap();
            let seen = sessions.cache.get(session.sid).unwrap();
            members.push((session, seen));
        }
        Stage { sim, _nocobase: nocobase, sessions, members }
    }

    /// Requests the list for the first two of them, for the `n`th time. Those who have to be asked about alone.
    async fn recheck(&self, n: u32) -> Vec<String> {
        let (every, queue) =
            (self.sessions.config.session.recheck, self.sessions.member_rechecks.of("wecom"));
        // By then these two are due.
        let later = now().plus(every * (n + 1));
        let mut due = self.members.iter().take(2).map(|(session, seen)| Due {
            session: Session::clone(session),
            order: seen.due_member_recheck(later, every).unwrap(),
        });
        let Joined::First(group) = queue.join(DEPARTMENT, 0, due.next().unwrap()) else { panic!() };
        assert!(matches!(queue.join(DEPARTMENT, 0, due.next().unwrap()), Joined::Waits));
        let alone = self.sessions.recheck_department("wecom", DEPARTMENT, &group, &queue).await;
        alone.into_iter().map(|due| due.session.userid).collect()
    }
}

/// Nothing is concluded from a list: WeCom is asked about the member.
#[tokio::test]
async fn r15_whom_a_list_names_as_disabled_is_asked_about_soon() {
    let stage = Stage::new().await;
    let (_, seen) = &stage.members[2];
    stage.sim.handle.set_status(CORP, "three", 2).unwrap();
    // After the first request, to the millisecond.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert!(stage.recheck(1).await.is_empty());
    assert!(!seen.is_ended() && seen.is_member_due(now(), stage.sessions.config.session.recheck));
    // And if it was due anyway.
    stage.sim.handle.set_status(CORP, "two", 2).unwrap();
    assert_eq!(stage.recheck(2).await, ["two"]);
    assert!(stage.members.iter().all(|(_, seen)| !seen.is_ended()));
}

/// Another department's list has been refused while this one waited for its turn.
#[tokio::test]
async fn no_list_is_requested_once_one_has_been_refused() {
    let stage = Stage::new().await;
    stage.sessions.member_rechecks.of("wecom").lists.lock().refused(now());
    assert_eq!(stage.recheck(1).await, ["one", "two"]);
    assert_eq!(stage.sim.handle.calls(USER_LIST), 0);
}

/// To ask about each of them would make it worse.
#[tokio::test]
async fn where_wecom_is_overloaded_nobody_is_asked_about_alone() {
    for (errcode, alone) in [(45009, vec![]), (60011, vec!["one", "two"])] {
        let stage = Stage::new().await;
        stage.sim.handle.add_fault(Fault::new(USER_LIST, FaultKind::Errcode(errcode)));
        assert_eq!(stage.recheck(1).await, alone, "{errcode}");
    }
}

/// The list says who is active, not who may use NocoBase.
#[tokio::test]
async fn r22_the_rules_apply_to_those_whom_a_list_names() {
    let stage = Stage::with(|entry| entry.allow_users = vec!["two".to_owned()]).await;
    assert_eq!(stage.recheck(1).await, ["one"]);
}
