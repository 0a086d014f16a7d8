//! The values in Redis before they are sealed. Each kind has its own purpose and is bound to its key in Redis.

use std::time::Duration;

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::session::{Session, UnixMillis};

/// What nodes publish: above all sessions that have ended. An ending that arrives twice, or late, changes nothing. Add new kinds at the end: postcard numbers
/// them, and a node that does not know one ignores it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// One session.
    Session([u8; 16]),
    /// All sessions of a member that began until `at`.
    Member {
        /// Name of the WeCom entry.
        entry: String,
        /// As spelled by WeCom.
        userid: String,
        /// When the member left.
        at: UnixMillis,
    },
    /// One session that NocoBase still has to block.
    ToBlock(ToBlock),
    /// The session with this id: NocoBase has recorded its end.
    Blocked {
        /// The `jti` of its tokens.
        id: String,
    },
    /// No ending: WeCom's events arrive at a node, and this one reports a change.
    Event {
        /// Name of the WeCom entry.
        entry: String,
        /// Who has changed.
        change: Change,
        /// When it arrived.
        at: UnixMillis,
    },
    /// No ending: a node knows few sessions, and asks the others to publish those that they know.
    Cold {
        /// Number of the node.
        node: u64,
        /// What was known before that does not help it.
        since: UnixMillis,
    },
}

/// Whose status in WeCom may have changed, according to an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// No member's.
    None,
    /// This member's, as spelled by WeCom.
    Member(String),
    /// That of any member.
    Any,
}

/// A session that has ended and that NocoBase has to block, so that another node can take over (R36).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToBlock {
    /// The `jti` of its tokens.
    pub id: String,
    /// The user.
    pub owner: BlockOwner,
    /// When it began.
    pub signed_in_at: UnixMillis,
    /// After this time there is nothing to block.
    pub until: UnixMillis,
}

/// The user whose session it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockOwner {
    /// By NocoBase's id.
    User(u64),
    /// Bound to this member.
    Member {
        /// Name of the WeCom entry.
        entry: String,
        /// As spelled by WeCom.
        userid: String,
    },
}

impl Ending {
    /// The ending of one session.
    pub fn of(sid: Uuid) -> Ending {
        Ending::Session(*sid.as_bytes())
    }
}

/// A callback that a node has begun to process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Used {
    /// Hash of code, state and browser.
    pub(super) callback: [u8; 32],
    pub(super) at: UnixMillis,
    /// The result, once it is known.
    pub(super) outcome: Option<CallbackOutcome>,
}

/// The result of a callback.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum CallbackOutcome {
    /// A member is signed in.
    Session(Box<Session>),
    /// No session; the other nodes need no details.
    Other,
}

/// WeCom's access token.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct AccessToken {
    /// Hash of corp, app, secret and API address.
    pub(super) app: [u8; 32],
    pub(super) value: String,
    /// From then on another is fetched.
    pub(super) renew_at: UnixMillis,
    pub(super) end: UnixMillis,
}

impl AccessToken {
    /// How long it remains valid, if it can be used.
    pub(super) fn life(&self, app: &[u8; 32], refused: Option<&str>, now: UnixMillis) -> Option<Duration> {
        let fits = self.app == *app && !self.value.is_empty() && refused != Some(self.value.as_str());
        (fits && now < self.renew_at && now < self.end).then(|| self.end.since(now))
    }
}

/// SHA-256 over the parts, each preceded by its length (R13).
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
    fn a_token_is_used_only_by_its_app_and_while_valid() {
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

    /// What an older version has published stays readable.
    #[test]
    fn kinds_of_endings_keep_their_numbers() {
        let first = |ending: &Ending| postcard::to_stdvec(ending).unwrap()[0];
        let member = Ending::Member { entry: "a".into(), userid: "b".into(), at: NOW };
        let to_block = ToBlock { id: "i".into(), owner: BlockOwner::User(1), signed_in_at: NOW, until: NOW };
        let blocked = Ending::Blocked { id: "i".into() };
        let event = Ending::Event { entry: "a".into(), change: Change::None, at: NOW };
        let cold = Ending::Cold { node: 1, since: NOW };
        let all = [Ending::Session([1; 16]), member, Ending::ToBlock(to_block), blocked, event, cold];
        assert_eq!(all.each_ref().map(first), [0, 1, 2, 3, 4, 5]);
    }

    #[test]
    fn an_ending_holds_the_session_id() {
        let sid = Uuid::from_bytes([7; 16]);
        assert_eq!(Ending::of(sid), Ending::Session([7; 16]));
    }
}
