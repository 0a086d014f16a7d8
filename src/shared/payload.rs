//! What is in Redis, before it is sealed: typed, each kind for a purpose of its own, bound to the name it is under.

use std::time::Duration;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::session::{Session, UnixMillis};

/// Sessions that have ended. To be told of it twice, or late, changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// This one.
    Session([u8; 16]),
    /// All of a member that began until then.
    Member {
        /// Name of the WeCom entry.
        entry: String,
        /// As WeCom says it.
        userid: String,
        /// When he left.
        at: UnixMillis,
    },
}

impl Ending {
    /// Of one session.
    pub fn of(sid: Uuid) -> Ending {
        Ending::Session(*sid.as_bytes())
    }
}

/// A callback that one node has begun to carry out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    /// Stands for code, state and browser.
    pub(super) callback: [u8; 32],
    pub(super) at: UnixMillis,
    /// What came of it, once that is known.
    pub(super) outcome: Option<CallbackOutcome>,
}

/// What came of a callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CallbackOutcome {
    /// Somebody is signed in.
    Session(Box<Session>),
    /// Something else, which the other nodes need not know.
    Other,
}

/// WeCom's access token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AccessToken {
    /// Whose: corp, app, its secret, and where it was asked for.
    pub(super) app: [u8; 32],
    pub(super) value: String,
    /// From then on it is fetched anew.
    pub(super) renew_at: UnixMillis,
    pub(super) end: UnixMillis,
}

impl AccessToken {
    /// How long it is good for, if it is worth taking.
    pub(super) fn life(&self, app: &[u8; 32], refused: Option<&str>, now: UnixMillis) -> Option<Duration> {
        let fits = self.app == *app && !self.value.is_empty() && refused != Some(self.value.as_str());
        (fits && now < self.renew_at && now < self.end).then(|| self.end.since(now))
    }
}

/// SHA-256 over the parts, each with its length before it (R13).
pub(super) fn fingerprint(parts: &[&str]) -> [u8; 32] {
    let mut context = Context::new(&SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_be_bytes());
        context.update(part.as_bytes());
    }
    let mut out = [0; 32];
    for (to, from) in out.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_700_000_000_000);

    fn token() -> AccessToken {
        let app = fingerprint(&["ww1", "1", "https://api", "secret"]);
        let end = NOW.plus(Duration::from_secs(7200));
        AccessToken { app, value: "t".into(), renew_at: NOW.plus(Duration::from_secs(7000)), end }
    }

    #[test]
    fn a_token_is_taken_only_where_it_is_good() {
        let token = token();
        let at = |s| NOW.plus(Duration::from_secs(s));
        assert_eq!(token.life(&token.app, None, NOW), Some(Duration::from_secs(7200)));
        assert_eq!(token.life(&token.app, Some("another"), at(6999)), Some(Duration::from_secs(201)));
        assert_eq!(token.life(&token.app, Some("t"), NOW), None, "WeCom has refused this one");
        for late in [7000, 7199, 7200, 9000] {
            assert_eq!(token.life(&token.app, None, at(late)), None, "to be renewed");
        }
        for other in [
            ["ww2", "1", "https://api", "secret"],
            ["ww1", "2", "https://api", "secret"],
            ["ww1", "1", "https://simulator", "secret"],
            ["ww1", "1", "https://api", "new secret"],
            ["ww11", "", "https://api", "secret"],
        ] {
            assert_eq!(token.life(&fingerprint(&other), None, NOW), None, "{other:?}");
        }
        let empty = AccessToken { value: String::new(), ..token };
        assert_eq!(empty.life(&empty.app, None, NOW), None);
    }

    #[test]
    fn an_ending_says_who() {
        let sid = Uuid::from_bytes([7; 16]);
        assert_eq!(Ending::of(sid), Ending::Session([7; 16]));
    }
}
