//! Redis, through which the nodes of the gate share state.

use prometheus::{IntCounterVec, IntGaugeVec, Result};

use super::registrar::Registrar;

/// What a command to Redis is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisOperation {
    /// A connection, and the commands that test it.
    Connect,
    /// WeCom's access token.
    Token,
    /// Whether a callback has been used on another node.
    Callback,
    /// Whether another node has asked WeCom about a member.
    MemberStatus,
    /// Whether another node has asked NocoBase about a session.
    SessionStatus,
    /// Publishing that a session has ended.
    Publish,
    /// Reading what the other nodes published.
    Listen,
    /// Refused sign-ins, for the console.
    Refusals,
    /// The certificate that one node orders for all.
    Acme,
    /// When each session was last used, for the console.
    LastUse,
    /// Attempts to link an account by its password.
    Link,
}

impl RedisOperation {
    const ALL: [RedisOperation; 11] = [
        RedisOperation::Connect,
        RedisOperation::Token,
        RedisOperation::Callback,
        RedisOperation::MemberStatus,
        RedisOperation::SessionStatus,
        RedisOperation::Publish,
        RedisOperation::Listen,
        RedisOperation::Refusals,
        RedisOperation::Acme,
        RedisOperation::LastUse,
        RedisOperation::Link,
    ];

    /// As used in labels.
    pub const fn name(self) -> &'static str {
        match self {
            RedisOperation::Connect => "connect",
            RedisOperation::Token => "token",
            RedisOperation::Callback => "callback",
            RedisOperation::MemberStatus => "standing",
            RedisOperation::SessionStatus => "session",
            RedisOperation::Publish => "tell",
            RedisOperation::Listen => "listen",
            RedisOperation::Refusals => "refusals",
            RedisOperation::Acme => "acme",
            RedisOperation::LastUse => "last_use",
            RedisOperation::Link => "link",
        }
    }
}

/// Counters of Redis. Clones share them.
#[derive(Clone)]
pub struct Redis {
    up: IntGaugeVec,
    errors: IntCounterVec,
    ignored: IntCounterVec,
}

impl Redis {
    pub(super) fn new(registrar: &mut Registrar) -> Result<Redis> {
        let me = Redis {
            up: registrar.gauges(
                "redis_up",
                "1 while this node shares with the others through Redis, 0 while it works alone.",
                &[],
            )?,
            errors: registrar.counters(
                "redis_errors_total",
                "Failed or late operations of Redis, by operation.",
                &["operation"],
            )?,
            ignored: registrar.counters(
                "redis_ignored_total",
                "Values in Redis ignored because they were not sealed with session.keys, by kind.",
                &["operation"],
            )?,
        };
        for operation in RedisOperation::ALL {
            let _ = me.errors.with_label_values(&[operation.name()]);
            let _ = me.ignored.with_label_values(&[operation.name()]);
        }
        Ok(me)
    }

    /// Whether it is connected; `None`: not configured.
    pub fn up(&self, up: Option<bool>) {
        match up {
            Some(up) => self.up.with_label_values::<&str>(&[]).set(i64::from(up)),
            None => self.up.reset(),
        }
    }

    /// A command failed.
    pub fn failed(&self, operation: RedisOperation) {
        self.errors.with_label_values(&[operation.name()]).inc();
    }

    /// Values that were not sealed with our keys.
    pub fn ignored(&self, operation: RedisOperation, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.ignored.with_label_values(&[operation.name()]).inc_by(count);
    }
}
