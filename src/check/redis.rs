//! What Redis says, and what to make of it.

use super::{Finding, Outcome, Verdict};
use crate::config::Redis;
use crate::shared::{Found, Why};

/// Streams came with this version.
const OLDEST: u32 = 5;
const ABOUT: &str = "session.redis";
const RIGHTS: &str = "give its user what the gate needs, in redis-cli: ACL SETUSER <user> ~wecom-gate:* +set +get +del \
    +expire +xadd +xread +xrevrange +select +info";

pub(super) fn verdict(redis: &Redis, answer: &Result<Found, Why>) -> Verdict {
    let at = &redis.address;
    let found = match answer {
        Ok(found) => found,
        Err(why) => return Verdict::failed(ABOUT, format!("Redis at {at}: {why}"), remedy(why)),
    };
    let mut findings: Vec<Finding> = Vec::new();
    let mut outcome = Outcome::Ok;
    for (command, why) in &found.refused {
        findings.push(Finding::new(
            ABOUT,
            format!("Redis at {at} does not do {command}: {why}"),
            remedy(why),
        ));
        outcome = Outcome::Failed;
    }
    let version = found.version.as_deref();
    if version.is_some_and(|version| major(version).is_none_or(|major| major < OLDEST)) {
        let what = format!("Redis at {at} is of version {}", version.unwrap_or_default());
        findings.push(Finding::new(ABOUT, what, "install Redis 5 or newer, or Valkey"));
        outcome = Outcome::Failed;
    }
    if let Some(rule) = &found.throws_away {
        let what = format!("Redis at {at} throws keys away when it is full ({rule})");
        let remedy = "set maxmemory-policy to noeviction, or give the gate a Redis of its own: \
            what is thrown away, the nodes do not know of each other";
        findings.push(Finding::new(ABOUT, what, remedy));
        if outcome == Outcome::Ok {
            outcome = Outcome::Warning;
        }
    }
    let seen = match version {
        Some(version) => format!("Redis {version} at {at}"),
        None => format!("Redis at {at}; it does not tell its version"),
    };
    Verdict::found(outcome, findings).seen(seen)
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn remedy(why: &Why) -> &'static str {
    match why {
        Why::NotYet | Why::Refused => {
            "start Redis; correct host and port; let Redis listen on that address (`bind` in redis.conf)"
        }
        Why::Address => "correct session.redis",
        Why::Slow => {
            "see whether a firewall is in between, another program listens there, or only one side speaks TLS (redis:// and \
             rediss:// are not the same)"
        }
        Why::Io(_) => {
            "correct the host; redis:// and rediss:// (TLS) are not the same; with TLS, the system must trust its certificate"
        }
        Why::Password => {
            "compare with requirepass or the ACL user in Redis: redis://user:password@host, special characters \
             percent-encoded; leave it out where Redis asks for none"
        }
        Why::NoPassword => {
            "put the password into session.redis or a file for session.redis_file: redis://:password@host"
        }
        Why::MayNot => RIGHTS,
        Why::Replica => "name the primary",
        Why::Cluster => "use a single Redis, with replicas if you like; a cluster is not supported",
        Why::NotRedis => "another program listens there: correct host and port; TLS needs rediss://",
        Why::Code(_) | Why::Other => "see what Redis' log says",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(answer: Result<Found, Why>) -> Verdict {
        let redis = Redis { url: "redis://:CANARY@h".into(), address: "h:6379".into() };
        let verdict = verdict(&redis, &answer);
        assert!(!format!("{verdict:?}").contains("CANARY"));
        assert!(verdict.findings.iter().all(|f| !f.remedy.is_empty()));
        verdict
    }
    fn found(version: &str) -> Found {
        Found { version: Some(version.into()), ..Found::default() }
    }

    #[test]
    fn all_is_well() {
        for version in ["5.0.14", "7.0.15", "8.2.0", "10.0"] {
            let verdict = of(Ok(found(version)));
            assert_eq!(
                (verdict.outcome, verdict.detail),
                (Outcome::Ok, format!("Redis {version} at h:6379"))
            );
        }
        assert_eq!(of(Ok(Found::default())).outcome, Outcome::Ok, "a version that it keeps to itself");
    }

    #[test]
    fn each_trouble_has_a_remedy() {
        for (why, what, remedy) in [
            (Why::Refused, "refused", "start Redis"),
            (Why::Slow, "no answer within a second", "firewall"),
            (Why::Io("Name or service not known".into()), "Name or service", "correct the host"),
            (Why::Password, "the password is wrong", "requirepass"),
            (Why::NoPassword, "NOAUTH", "session.redis_file"),
            (Why::Replica, "READONLY", "primary"),
            (Why::Cluster, "cluster", "single Redis"),
            (Why::NotRedis, "not as Redis", "another program"),
            (Why::Code("LOADING".into()), "LOADING", "log"),
        ] {
            let verdict = of(Err(why));
            assert_eq!(verdict.outcome, Outcome::Failed);
            let f = &verdict.findings[0];
            assert!(f.what.contains(what) && f.remedy.contains(remedy), "{f:?}");
        }
    }

    #[test]
    fn each_command_counts() {
        let refused = vec![("XADD", Why::MayNot), ("SET", Why::Code("OOM".into()))];
        let verdict = of(Ok(Found { refused, ..found("7.0.15") }));
        assert_eq!((verdict.outcome, verdict.findings.len()), (Outcome::Failed, 2));
        assert!(verdict.findings[0].what.contains("XADD") && verdict.findings[0].remedy.contains("+xadd"));
    }

    #[test]
    fn old_and_full() {
        for version in ["4.0.14", "2.8", "?"] {
            assert_eq!(of(Ok(found(version))).outcome, Outcome::Failed, "{version}");
        }
        let full = Found { throws_away: Some("allkeys-lru".into()), ..found("7.0.15") };
        assert_eq!(of(Ok(full)).outcome, Outcome::Warning);
    }
}
