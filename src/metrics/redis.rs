//! What the nodes of the gate share through Redis, and whether they do.

use prometheus::{IntCounterVec, IntGaugeVec, Result};

use super::registrar::Registrar;

/// What Redis is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisOperation {
    /// A connection, with everything that has to work for it.
    Connect,
    /// WeCom's access token.
    Token,
    /// Whether a callback has been used on another node.
    Callback,
    /// To tell the other nodes that a session has ended.
    Tell,
    /// What the other nodes told.
    Listen,
}

impl RedisOperation {
    const ALL: [RedisOperation; 5] = [
        RedisOperation::Connect,
        RedisOperation::Token,
        RedisOperation::Callback,
        RedisOperation::Tell,
        RedisOperation::Listen,
    ];

    /// In labels.
    pub const fn name(self) -> &'static str {
        match self {
            RedisOperation::Connect => "connect",
            RedisOperation::Token => "token",
            RedisOperation::Callback => "callback",
            RedisOperation::Tell => "tell",
            RedisOperation::Listen => "listen",
        }
    }
}

/// Counters of Redis. A clone counts into the same.
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
                "1 while this node shares with the others through Redis, 0 while it goes on by itself.",
                &[],
            )?,
            errors: registrar.counters(
                "redis_errors_total",
                "What Redis did not do or not in time, by what it was asked for.",
                &["operation"],
            )?,
            ignored: registrar.counters(
                "redis_ignored_total",
                "Values in Redis that were not sealed with session.keys, and so ignored, by what they were found as.",
                &["operation"],
            )?,
        };
        for operation in RedisOperation::ALL {
            let _ = me.errors.with_label_values(&[operation.name()]);
            let _ = me.ignored.with_label_values(&[operation.name()]);
        }
        Ok(me)
    }

    /// Whether it is there; `None`: it is not configured.
    pub fn up(&self, up: Option<bool>) {
        match up {
            Some(up) => self.up.with_label_values::<&str>(&[]).set(i64::from(up)),
            None => self.up.reset(),
        }
    }

    /// It did not do this.
    pub fn failed(&self, operation: RedisOperation) {
        self.errors.with_label_values(&[operation.name()]).inc();
    }

    /// So many values that none of the nodes can have made.
    pub fn ignored(&self, operation: RedisOperation, count: usize) {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        self.ignored.with_label_values(&[operation.name()]).inc_by(count);
    }
}
