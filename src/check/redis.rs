//! The step `redis`: turns the result of the probe into a verdict.

use super::report::{Finding, StepOutcome, Verdict};
use crate::config::Redis;
use crate::message::{Message, message};
use crate::shared::{ProbeResult, RedisError};

/// Oldest major version that has streams.
const MIN_VERSION: u32 = 5;
const ABOUT: &str = "session.redis";
/// The rights of the gate's user in Redis.
const RIGHTS: &str =
    "ACL SETUSER <user> ~wecom-gate:* +set +get +del +expire +xadd +xread +xrevrange +select +info";
/// Those that the console needs in addition.
const RIGHTS_OF_CONSOLE: &str = "+rpush +ltrim +lrange";

pub(super) fn verdict(redis: &Redis, response: &Result<ProbeResult, RedisError>) -> Verdict {
    let at = &redis.address;
    let found = match response {
        Ok(found) => found,
        Err(why) => {
            let what = message!("Redis at {at}: {why}", at, why = why.message());
            return Verdict::failed(ABOUT, what, remedy(why));
        }
    };
    let mut findings: Vec<Finding> = Vec::new();
    let mut outcome = StepOutcome::Ok;
    for (command, why) in &found.refused {
        let refused = why.message();
        let what = message!("Redis at {at} refuses {command}: {why}", at, command = *command, why = refused);
        findings.push(Finding::new(ABOUT, what, remedy(why)));
        outcome = StepOutcome::Failed;
    }
    let version = found.version.as_deref();
    if version.is_some_and(|version| major(version).is_none_or(|major| major < MIN_VERSION)) {
        let version = version.unwrap_or_default();
        let what = message!("Redis at {at} has version {version}", at, version);
        findings.push(Finding::new(ABOUT, what, message!("install Redis 5 or newer, or Valkey")));
        outcome = StepOutcome::Failed;
    }
    if let Some(rule) = &found.eviction_policy {
        let what = message!("Redis at {at} discards keys when it is full ({rule})", at, rule);
        let remedy = message!(
            "set maxmemory-policy to noeviction, or give the gate a Redis of its own: the nodes then no longer share the \
             discarded data"
        );
        findings.push(Finding::new(ABOUT, what, remedy));
        if outcome == StepOutcome::Ok {
            outcome = StepOutcome::Warning;
        }
    }
    let seen = match version {
        Some(version) => message!("Redis {version} at {at}", version, at),
        None => message!("Redis at {at}; its version is unknown", at),
    };
    Verdict::found(outcome, findings).with_detail(seen)
}

fn major(version: &str) -> Option<u32> {
    version.split('.').next()?.parse().ok()
}

fn remedy(why: &RedisError) -> Message {
    match why {
        RedisError::NotYet | RedisError::Refused => message!(
            "start Redis; correct host and port; let Redis listen on that address (`bind` in redis.conf)"
        ),
        RedisError::Address => message!("correct session.redis"),
        RedisError::Slow => message!(
            "see whether a firewall is in between, another program listens there, or only one side speaks TLS (redis:// and \
             rediss:// are not the same)"
        ),
        RedisError::Io(_) => message!(
            "correct the host; redis:// and rediss:// (TLS) are not the same; with TLS, the system must trust its certificate"
        ),
        RedisError::Password => message!(
            "compare with requirepass or the ACL user in Redis: redis://user:password@host, special characters \
             percent-encoded; leave it out where Redis asks for none"
        ),
        RedisError::NoPassword => message!(
            "put the password into session.redis or a file for session.redis_file: redis://:password@host"
        ),
        RedisError::MayNot => message!(
            "give its user what the gate needs, in redis-cli: {command}, with access.admins also {more}",
            command = RIGHTS,
            more = RIGHTS_OF_CONSOLE
        ),
        RedisError::Replica => message!("name the primary"),
        RedisError::Cluster => {
            message!("use a single Redis, with replicas if you like; a cluster is not supported")
        }
        RedisError::NotRedis => {
            message!("another program listens there: correct host and port; TLS needs rediss://")
        }
        RedisError::Code(_) | RedisError::Other => message!("look at the log of Redis"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(response: Result<ProbeResult, RedisError>) -> Verdict {
        let redis = Redis { url: "redis://:CANARY@h".into(), address: "h:6379".into() };
        let verdict = verdict(&redis, &response);
        assert!(!format!("{verdict:?}").contains("CANARY"));
        assert!(verdict.findings.iter().all(|f| !f.remedy.is_empty()));
        verdict
    }
    fn found(version: &str) -> ProbeResult {
        ProbeResult { version: Some(version.into()), ..ProbeResult::default() }
    }

    #[test]
    fn all_steps_pass() {
        for version in ["5.0.14", "7.0.15", "8.2.0", "10.0"] {
            let verdict = of(Ok(found(version)));
            assert_eq!(
                (verdict.outcome, verdict.detail.to_string()),
                (StepOutcome::Ok, format!("Redis {version} at h:6379"))
            );
        }
        assert_eq!(
            of(Ok(ProbeResult::default())).outcome,
            StepOutcome::Ok,
            "a version that it keeps to itself"
        );
    }

    #[test]
    fn each_trouble_has_a_remedy() {
        for (why, what, remedy) in [
            (RedisError::Refused, "refused", "start Redis"),
            (RedisError::Slow, "no response within a second", "firewall"),
            (RedisError::Io("Name or service not known".into()), "Name or service", "correct the host"),
            (RedisError::Password, "the password is wrong", "requirepass"),
            (RedisError::NoPassword, "NOAUTH", "session.redis_file"),
            (RedisError::Replica, "READONLY", "primary"),
            (RedisError::Cluster, "cluster", "single Redis"),
            (RedisError::NotRedis, "not one of Redis", "another program"),
            (RedisError::Code("LOADING".into()), "LOADING", "log"),
        ] {
            let verdict = of(Err(why));
            assert_eq!(verdict.outcome, StepOutcome::Failed);
            let f = &verdict.findings[0];
            let shown = (f.what.to_string(), f.remedy.to_string());
            assert!(shown.0.contains(what) && shown.1.contains(remedy), "{f:?}");
        }
    }

    #[test]
    fn each_command_counts() {
        let refused = vec![("XADD", RedisError::MayNot), ("SET", RedisError::Code("OOM".into()))];
        let verdict = of(Ok(ProbeResult { refused, ..found("7.0.15") }));
        assert_eq!((verdict.outcome, verdict.findings.len()), (StepOutcome::Failed, 2));
        let shown = (verdict.findings[0].what.to_string(), verdict.findings[0].remedy.to_string());
        assert!(
            shown.0.contains("XADD") && shown.1.contains("+xadd") && shown.1.ends_with(RIGHTS_OF_CONSOLE)
        );
    }

    #[test]
    fn old_and_full() {
        for version in ["4.0.14", "2.8", "?"] {
            assert_eq!(of(Ok(found(version))).outcome, StepOutcome::Failed, "{version}");
        }
        let full = ProbeResult { eviction_policy: Some("allkeys-lru".into()), ..found("7.0.15") };
        assert_eq!(of(Ok(full)).outcome, StepOutcome::Warning);
    }
}
