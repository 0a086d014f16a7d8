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

/// The sessions of one member. Most have one: it needs no memory of its own.
#[derive(Debug)]
pub(super) enum Sids {
    One(Uuid),
    Several(Vec<Uuid>),
}

impl Sids {
    fn all(&self) -> &[Uuid] {
        match self {
            Sids::One(sid) => std::slice::from_ref(sid),
            Sids::Several(sids) => sids,
        }
    }
    fn add(&mut self, sid: Uuid) {
        if self.all().contains(&sid) {
            return;
        }
        match self {
            Sids::One(first) => *self = Sids::Several(vec![*first, sid]),
            Sids::Several(sids) => sids.push(sid),
        }
    }
    /// Without this one; `None` if there is no other.
    fn without(&self, sid: Uuid) -> Option<Sids> {
        let mut left = self.all().iter().copied().filter(|s| *s != sid);
        let (first, second) = (left.next()?, left.next());
        Some(match second {
            None => Sids::One(first),
            Some(second) => Sids::Several([first, second].into_iter().chain(left).collect()),
        })
    }
}

/// Sessions by member.
#[derive(Debug, Default)]
pub(super) struct ByMember(Mutex<HashMap<Arc<SeenMember>, Sids>>);

impl ByMember {
    /// The member as known here: `member`, unless there are sessions already.
    pub(super) fn add(&self, member: Arc<SeenMember>, sid: Uuid) -> Arc<SeenMember> {
        let mut map = self.0.lock();
        match map.entry(member) {
            Entry::Occupied(mut known) => {
                known.get_mut().add(sid);
                known.key().clone()
            }
            Entry::Vacant(new) => {
                let member = new.key().clone();
                new.insert(Sids::One(sid));
                member
            }
        }
    }
    pub(super) fn remove(&self, member: &MemberKey, sid: Uuid) {
        let mut map = self.0.lock();
        if let Some(sids) = map.get_mut(member) {
            match sids.without(sid) {
                Some(left) => *sids = left,
                None => _ = map.remove(member),
            }
        }
    }
    pub(super) fn of(&self, member: &MemberKey) -> Vec<Uuid> {
        let map = self.0.lock();
        map.get(member).map_or_else(Vec::new, |sids| sids.all().to_vec())
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
    /// What this node knows of the member's status in WeCom, if the member has sessions here.
    pub(super) fn check(&self, member: &MemberKey) -> Option<Arc<MemberCheck>> {
        self.0.lock().get_key_value(member).map(|(known, _)| known.check.clone())
    }
    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
