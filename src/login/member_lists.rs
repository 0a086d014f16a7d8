//! Which members are asked about together: through the list of their department's members, which costs WeCom one call for all of
//! them. Pure: the time is an argument.
//!
//! A list confirms every member of the department who has sessions here, so their next rechecks fall due together, and the first
//! of them makes the next list. Everything else is asked about alone, as if there were no lists.

use std::collections::HashMap;
use std::time::Duration;

use crate::session::UnixMillis;

/// Fewest members who are due within one `session.recheck` for whom a list is requested. From two on a list saves calls; with three it
/// still does if it turns out not to name one of them, who is then asked about alone.
const FEW: u32 = 3;
/// How long no list is requested after WeCom has refused one.
const REFUSED: Duration = Duration::from_secs(3600);
/// How long none is requested of a department whose list is too long, or does not name those who are in it.
const USELESS: Duration = Duration::from_secs(24 * 3600);

/// A member whose recheck is due.
#[derive(Debug, Clone, Copy)]
pub(super) struct DueMember {
    /// A department of the member; `None`: not known, or an event about the member has arrived.
    pub(super) department: Option<u32>,
    /// When WeCom last confirmed the member.
    pub(super) checked_at: UnixMillis,
}

/// Requests for lists, of one entry.
#[derive(Debug, Default)]
pub(super) struct MemberLists {
    /// None before this time.
    not_before: UnixMillis,
    /// The latest list was refused.
    refused: bool,
    departments: HashMap<u32, Department>,
}

#[derive(Debug, Default)]
struct Department {
    /// No list before this time.
    not_before: UnixMillis,
    /// When the latest list was requested.
    listed_at: UnixMillis,
    /// How many members it confirmed.
    confirmed: u32,
    /// Members who were due one by one, since when.
    due: (u32, UnixMillis),
}

impl MemberLists {
    /// The department whose list is requested for this member; `None`: the member is asked about alone.
    pub(super) fn choose(&mut self, member: DueMember, now: UnixMillis, every: Duration) -> Option<u32> {
        let id = member.department?;
        let department = self.departments.entry(id).or_default();
        if now.since(department.due.1) >= every {
            department.due = (0, now);
        }
        department.due.0 += 1;
        if now < department.not_before.max(self.not_before) {
            return None;
        }
        // Members who sign in meanwhile are asked about alone, once, and are on the next list.
        let is_recent = now.since(department.listed_at) < every / 2;
        let was_missing = member.checked_at < department.listed_at;
        let is_worth_it = department.due.0 >= FEW || department.confirmed >= FEW;
        (!is_recent && !was_missing && is_worth_it).then_some(id)
    }

    /// Whether lists are requested at all.
    pub(super) fn are_requested(&self, now: UnixMillis) -> bool {
        now >= self.not_before
    }

    /// WeCom has sent the list that was requested at `at`. It confirmed so many members of this node. Whether the previous list was
    /// refused.
    pub(super) fn listed(&mut self, department: u32, at: UnixMillis, confirmed: usize) -> bool {
        let it = self.departments.entry(department).or_default();
        it.listed_at = at;
        it.confirmed = u32::try_from(confirmed).unwrap_or(u32::MAX);
        it.due = (0, at);
        if confirmed < 2 {
            it.not_before = at.plus(USELESS);
        }
        std::mem::take(&mut self.refused)
    }

    /// The list of this department is longer than the gate reads.
    pub(super) fn too_long(&mut self, department: u32, now: UnixMillis) {
        self.departments.entry(department).or_default().not_before = now.plus(USELESS);
    }

    /// WeCom has refused a list. Whether this is news: the one before was not.
    pub(super) fn refused(&mut self, now: UnixMillis) -> bool {
        self.not_before = now.plus(REFUSED);
        !std::mem::replace(&mut self.refused, true)
    }
}

#[cfg(test)]
mod tests;
