//! Sessions by member, for endings that name a member instead of a session.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use crate::session::member_check::MemberCheck;

/// A member of one entry, as named by events. WeCom's userids are case-insensitive: ASCII lower case here, no other folding
/// (R21).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) struct MemberKey {
    pub(super) entry: String,
    pub(super) userid: String,
}

impl MemberKey {
    pub(super) fn new(entry: &str, userid: &str) -> Self {
        MemberKey { entry: entry.to_owned(), userid: userid.to_ascii_lowercase() }
    }
}

/// Sessions by member.
#[derive(Debug, Default)]
pub(super) struct ByMember(Mutex<HashMap<MemberKey, SeenMember>>);

/// A member with sessions here.
#[derive(Debug)]
struct SeenMember {
    sids: Vec<Uuid>,
    check: Arc<MemberCheck>,
}

impl ByMember {
    /// `check`: for a member who has no session here yet.
    pub(super) fn add(
        &self,
        member: &MemberKey,
        sid: Uuid,
        check: impl FnOnce() -> Arc<MemberCheck>,
    ) -> Arc<MemberCheck> {
        let mut map = self.0.lock();
        let seen = map
            .entry(member.clone())
            .or_insert_with(|| SeenMember { sids: Vec::with_capacity(1), check: check() });
        if !seen.sids.contains(&sid) {
            seen.sids.push(sid);
        }
        seen.check.clone()
    }
    pub(super) fn remove(&self, member: &MemberKey, sid: Uuid) {
        let mut map = self.0.lock();
        if let Some(seen) = map.get_mut(member) {
            seen.sids.retain(|s| *s != sid);
            if seen.sids.is_empty() {
                map.remove(member);
            }
        }
    }
    pub(super) fn of(&self, member: &MemberKey) -> Vec<Uuid> {
        let map = self.0.lock();
        map.get(member).map(|seen| seen.sids.clone()).unwrap_or_default()
    }
    pub(super) fn count(&self) -> usize {
        self.0.lock().len()
    }
}
