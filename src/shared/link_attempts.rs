//! Attempts to link an account by its password (`nocobase.link_by_password`), counted over all nodes: of each member, and for each
//! account, a few within some time; and one of a member at once.
//!
//! Each attempt takes a place, which is a key in Redis that expires; if all are taken, there were too many. A place is taken
//! before the password is tried (R34), and given back if the attempt was no guess. While Redis is unreachable each node has only
//! the limits of its own.

use std::time::Duration;

use redis::cmd;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::node::{Shared, now};
use crate::metrics::RedisOperation::Link as OPERATION;
use crate::session::{Purpose, UnixMillis};

/// How long a node may work on an attempt before another accepts one of the same member.
const LEASE: Duration = Duration::from_secs(60);

/// What is in a place. If its fields change, [`Purpose::LinkAttempt`] needs another label.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Taken {
    at: UnixMillis,
}

/// Whether an attempt may go on.
pub(crate) enum LinkTurn {
    /// Yes, also as far as the other nodes know. Must be followed by [`Shared::end_link`].
    Ours(LinkAttempt),
    /// No: there were too many, or another node works on one of this member.
    TooMany,
}

/// The places of an attempt, and the member's turn.
#[must_use = "give back what was taken"]
pub(crate) struct LinkAttempt {
    lease: String,
    until: Option<Instant>,
    places: Vec<String>,
}

impl Shared {
    /// An attempt begins. `counted`: what it counts for, the member first; `most` attempts for each within `span`.
    pub(crate) async fn begin_link(&self, counted: &[String], (most, span): (u32, Duration)) -> LinkTurn {
        let names: Vec<_> = counted.iter().map(|name| self.keyring.blind(&["link", name])).collect();
        let mut attempt = LinkAttempt { lease: String::new(), until: None, places: Vec::new() };
        if let Some(member) = names.first() {
            attempt.lease = self.names.link_lease(member);
            let asked_at = Instant::now();
            let mut take = cmd("SET");
            take.arg(&attempt.lease).arg("1").arg("NX").arg("EX").arg(LEASE.as_secs());
            match self.link.ask::<Option<String>>(OPERATION, &take).await {
                Some(None) => return LinkTurn::TooMany,
                Some(Some(_)) => attempt.until = Some(asked_at + LEASE),
                None => return LinkTurn::Ours(attempt),
            }
        }
        for name in &names {
            match self.place(name, most, span).await {
                Ok(place) => attempt.places.extend(place),
                Err(()) => {
                    self.end_link(attempt, false).await;
                    return LinkTurn::TooMany;
                }
            }
        }
        LinkTurn::Ours(attempt)
    }

    /// The attempt has ended. `wrong`: it counts.
    pub(crate) async fn end_link(&self, attempt: LinkAttempt, wrong: bool) {
        let mut del = cmd("DEL");
        let mut some = false;
        if !wrong {
            attempt.places.iter().for_each(|place| _ = del.arg(place));
            some = !attempt.places.is_empty();
        }
        // After that another node may hold it.
        if attempt.until.is_some_and(|until| Instant::now() < until) {
            del.arg(&attempt.lease);
            some = true;
        }
        if some {
            self.link.ask::<()>(OPERATION, &del).await;
        }
    }

    /// Takes a place; `Ok(None)`: Redis is unreachable.
    async fn place(&self, name: &[u8], most: u32, span: Duration) -> Result<Option<String>, ()> {
        for number in 0..most {
            let key = self.names.link_attempt(name, number);
            let Ok(sealed) = self.keyring.seal(Purpose::LinkAttempt, key.as_bytes(), &Taken { at: now() })
            else {
                return Ok(None);
            };
            let mut set = cmd("SET");
            set.arg(&key).arg(&sealed).arg("NX").arg("EX").arg(span.as_secs());
            match self.link.ask::<Option<String>>(OPERATION, &set).await {
                None => return Ok(None),
                Some(Some(_)) => return Ok(Some(key)),
                Some(None) => {}
            }
            // Someone who can write to Redis must not be able to refuse a member.
            let mut get = cmd("GET");
            get.arg(&key);
            let Some(text) = self.link.ask::<Option<Vec<u8>>>(OPERATION, &get).await else { return Ok(None) };
            let taken =
                text.map(|text| self.keyring.open::<Taken>(Purpose::LinkAttempt, key.as_bytes(), &text));
            match taken {
                Some(Some(taken)) if now().since(taken.at) < span => {}
                // It has expired meanwhile: the next one is tried.
                None => {}
                foreign => {
                    if foreign == Some(None) {
                        self.ignored(OPERATION, 1);
                    }
                    let mut set = cmd("SET");
                    set.arg(&key).arg(&sealed).arg("EX").arg(span.as_secs());
                    return Ok(self.link.ask::<()>(OPERATION, &set).await.map(|()| key));
                }
            }
        }
        Err(())
    }
}
