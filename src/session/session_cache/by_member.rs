//! Sessions by member, for endings that name a member instead of a session.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::session::member_check::MemberCheck;
use crate::session::time::UnixMillis;

/// A member of one entry, as named by events. WeCom's userids are case-insensitive: ASCII lower case here, no other folding
/// (R21).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct MemberKey {
    pub(super) entry: Box<str>,
    pub(super) userid: Box<str>,
}

impl MemberKey {
    pub(super) fn new(entry: &str, userid: &str) -> Self {
        MemberKey { entry: entry.into(), userid: userid.to_ascii_lowercase().into() }
    }
}

/// What all sessions of a member share, so that there is one copy of it.
#[derive(Debug)]
pub(super) struct SeenMember {
    pub(super) key: MemberKey,
    pub(super) check: Arc<MemberCheck>,
}

impl PartialEq for SeenMember {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}
impl Eq for SeenMember {}
impl Hash for SeenMember {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}
impl Borrow<MemberKey> for Arc<SeenMember> {
    fn borrow(&self) -> &MemberKey {
        &self.key
    }
}

/// Sessions by member.
#[derive(Debug, Default)]
pub(super) struct ByMember(Mutex<HashMap<Arc<SeenMember>, Vec<Uuid>>>);

impl ByMember {
    /// The member as known here: `member`, unless there are sessions already.
    pub(super) fn add(&self, member: Arc<SeenMember>, sid: Uuid) -> Arc<SeenMember> {
        let mut map = self.0.lock();
        match map.entry(member) {
            Entry::Occupied(mut known) => {
                if !known.get().contains(&sid) {
                    known.get_mut().push(sid);
                }
                known.key().clone()
            }
            Entry::Vacant(new) => {
                let member = new.key().clone();
                new.insert(vec![sid]);
                member
            }
        }
    }
    pub(super) fn remove(&self, member: &MemberKey, sid: Uuid) {
        let mut map = self.0.lock();
        if let Some(sids) = map.get_mut(member) {
            sids.retain(|s| *s != sid);
            if sids.is_empty() {
                map.remove(member);
            }
        }
    }
    pub(super) fn of(&self, member: &MemberKey) -> Vec<Uuid> {
        let map = self.0.lock();
        map.get(member).cloned().unwrap_or_default()
    }
    /// WeCom has reported a change of this member, or of any of the entry.
    pub(super) fn changed(&self, entry: &str, userid: Option<&str>, at: UnixMillis) {
        let map = self.0.lock();
        match userid {
            Some(userid) => {
                if let Some((member, _)) = map.get_key_value(&MemberKey::new(entry, userid)) {
                    member.check.changed(at);
                }
            }
            None => map.keys().filter(|m| &*m.key.entry == entry).for_each(|m| m.check.changed(at)),
        }
    }
    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
