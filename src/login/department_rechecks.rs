//! Asks WeCom about several members of one department at once, by the list of the department's members. The list can only confirm:
//! members whom it does not name as active, or whom an allow rule then refuses, are asked about alone.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::clock::now;
use super::member_rechecks::{known_elsewhere, log};
use super::recheck_queue::{Due, Group, Queue, is_overload};
use super::sessions::Sessions;
use crate::config::WeComEntry;
use crate::error::Failure;
use crate::session::UnixMillis;
use crate::shared::{Confirmed, Shared};
use crate::wecom::{Class, Client, MemberList, WeComError};

/// How long another node that requests the same list gets, before whom it has not confirmed is asked about here: as long as a call to
/// WeCom may take.
const ELSEWHERE: Duration = Duration::from_secs(8);
/// How often is looked whether it has published the list.
const PAUSE: Duration = Duration::from_secs(1);

impl Sessions {
    /// Requests the list of a department for those who wait for it, when it is this call's turn.
    pub(super) fn recheck_together(
        self: &Arc<Self>,
        department: u32,
        group: Arc<Group>,
        entry: &str,
        queue: &Arc<Queue>,
    ) {
        let wait = self.wait(queue);
        let (sessions, queue, entry) = (self.clone(), queue.clone(), entry.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(wait).await;
            for due in sessions.recheck_department(&entry, department, &group, &queue).await {
                sessions.recheck_alone(due, &queue);
            }
        });
    }

    /// Requests the list. Returns those who have to be asked about alone; a failure on WeCom's side ends no session.
    async fn recheck_department(
        self: &Arc<Self>,
        entry: &str,
        department: u32,
        group: &Group,
        queue: &Queue,
    ) -> Vec<Due> {
        let Some(client) = self.wecom.get(entry) else { return Vec::new() };
        if !self.is_ours(entry, department, group).await {
            return group.close();
        }
        let Ok(permit) = queue.at_once.acquire().await else { return Vec::new() };
        // Another list has been refused meanwhile.
        if !queue.lists.lock().are_requested(now()) {
            return group.close();
        }
        // If dropped, the rechecks are soon due again.
        let Some(ticket) = queue.begin() else { return Vec::new() };
        let began = now();
        let result = client.members_of(department).await;
        if let Some(news) = queue.end(&ticket, result.as_ref().err()) {
            log(entry, &news, result.as_ref().err());
        }
        drop(permit);
        let mut waiting = group.close();
        match result {
            Ok(list) => {
                let Listed { confirmed, admitted, is_whole } =
                    self.confirm(client, &list, department, began).await;
                // What the rules have kept it from is not the list's fault.
                let useful = if is_whole { confirmed.len() } else { confirmed.len().max(2) };
                if queue.lists.lock().listed(department, began, useful) {
                    tracing::info!(
                        event = "member_lists",
                        entry,
                        "the members of departments are listed again"
                    );
                }
                self.note_inactive(entry, &list, &waiting, began);
                let mut alone = Vec::new();
                for due in waiting {
                    match confirmed.contains(&due.session.userid.to_ascii_lowercase()) {
                        true => due.order.answered_at(began),
                        false => alone.push(due),
                    }
                }
                self.share_listed(entry, department, admitted, began);
                return alone;
            }
            Err(error) if error.is_too_long() => {
                queue.lists.lock().too_long(department, now());
                tracing::info!(event = "member_lists", entry, department, "{TOO_LONG}");
            }
            Err(error) => {
                if queue.lists.lock().refused(now()) {
                    log_refused(entry, department, &error);
                }
                if is_overload(&error) {
                    waiting.clear();
                }
            }
        }
        waiting
    }

    /// Whether this node requests the list. Those whom another node has confirmed meanwhile no longer wait.
    async fn is_ours(&self, entry: &str, department: u32, group: &Group) -> bool {
        let Some((shared, found)) = self.shared_entry(entry) else { return true };
        let (key, until) = (shared.department_key(found, department), Instant::now() + ELSEWHERE);
        loop {
            if self.drop_known(shared, found, group).await {
                return false;
            }
            if shared.lease(&key).await {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Those whom another node has confirmed no longer wait. Whether nobody does.
    async fn drop_known(&self, shared: &Shared, entry: &WeComEntry, group: &Group) -> bool {
        let mut unknown = Vec::new();
        for due in group.take() {
            let member = shared.member_key(entry, &due.session.userid);
            match shared.confirmed(&member, self.wanted(&entry.name, &due.order)).await {
                Some(confirmed) => known_elsewhere(due.order, confirmed),
                None => unknown.push(due),
            }
        }
        let is_empty = unknown.is_empty();
        group.put_back(unknown);
        is_empty
    }

    /// Whom the list confirms.
    async fn confirm(
        &self,
        client: &Client,
        list: &MemberList,
        department: u32,
        began: UnixMillis,
    ) -> Listed {
        let mut listed = Listed { is_whole: true, ..Listed::default() };
        let entry = client.entry();
        let with_ours = list.active().iter().map(|m| (m, self.cache.has_member(entry, &m.userid)));
        let (ours, others): (Vec<_>, Vec<_>) = with_ours.partition(|(_, is_ours)| *is_ours);
        // The others matter to other nodes only.
        let others = others.into_iter().filter(|_| self.shared.is_some());
        for (member, is_ours) in ours.into_iter().chain(others) {
            match client.admit(member).await {
                Ok(()) => {
                    let userid = member.userid.to_ascii_lowercase();
                    if !is_ours {
                        listed.admitted.push(userid);
                    } else if self.cache.member_listed(entry, &userid, department, began) {
                        listed.admitted.push(userid.clone());
                        listed.confirmed.insert(userid);
                    }
                }
                Err(error) if is_about_member(&error) => {}
                // The rules cannot be evaluated at present, for the others neither.
                Err(_) => {
                    listed.is_whole = false;
                    break;
                }
            }
        }
        listed
    }

    /// Members whom the list names as disabled or as having left, and who are not due yet: they are asked about soon.
    fn note_inactive(&self, entry: &str, list: &MemberList, waiting: &[Due], at: UnixMillis) {
        let waits = |userid: &str| waiting.iter().any(|due| due.session.userid.eq_ignore_ascii_case(userid));
        for userid in list.inactive().iter().filter(|userid| !waits(userid)) {
            self.cache.member_changed(entry, Some(userid), at);
        }
    }

    /// Lets the other nodes know. Nothing waits for that.
    fn share_listed(self: &Arc<Self>, entry: &str, department: u32, userids: Vec<String>, at: UnixMillis) {
        if self.shared.is_none() {
            return;
        }
        let (sessions, entry) = (self.clone(), entry.to_owned());
        tokio::spawn(async move {
            let Some((shared, found)) = sessions.shared_entry(&entry) else { return };
            let kept = sessions.config.session.recheck_with_events.unwrap_or(sessions.config.session.recheck);
            let confirmed = Confirmed { at, department: Some(department) };
            let members: Vec<_> = userids.iter().map(|userid| shared.member_key(found, userid)).collect();
            shared.good_by_list(&members, confirmed, kept).await;
        });
    }
}

/// What a list says; userids in lower case.
#[derive(Default)]
struct Listed {
    /// The members of this node whom it confirms.
    confirmed: HashSet<String>,
    /// The same, and members whom only other nodes may know.
    admitted: Vec<String>,
    /// The rules could be applied to all.
    is_whole: bool,
}

const TOO_LONG: &str =
    "the list of a department's members is longer than 1 MiB: for a day each of them is asked about alone";

/// Does this say something about the member, rather than about WeCom?
fn is_about_member(error: &WeComError) -> bool {
    error.class() == Class::User || error.failure() == Failure::RuleUnevaluable
}

/// What an administrator can do. Nothing has to be done for the rechecks to go on.
fn remedy(error: &WeComError) -> String {
    let remedy = match error.errcode() {
        // The app sees the member, but not the department.
        Some(60003 | 60011 | 60021 | 60123) => {
            "let the app see the whole department: console -> app -> visible range (可见范围)".to_owned()
        }
        _ => error.remedy(),
    };
    format!("none needed: all members are still rechecked. To save calls to WeCom: {remedy}")
}

fn log_refused(entry: &str, department: u32, error: &WeComError) {
    tracing::warn!(
        event = "member_lists",
        entry,
        department,
        class = error.class().name(),
        errcode = error.errcode(),
        errmsg = error.reason(),
        remedy = remedy(error),
        "the members of a department could not be listed: for an hour each member is asked about alone"
    );
}

#[cfg(test)]
mod tests;
