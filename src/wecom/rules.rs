//! Who may sign in, and who gets which role: users, departments, tags (docs 90196, 95350, 90213). A rule that cannot be evaluated
//! denies access (R22), and changes no role.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::api::{Api, Request};
use super::error::{Call, WeComError};
use super::member::{Member, same_userid};
use super::responses;
use crate::config::Group;
use crate::error::Failure;

/// How long departments and tags are cached.
const MEMORY: Duration = Duration::from_secs(5 * 60);
/// The root department (doc 95350).
const ROOT: u64 = 1;

/// The rules of one entry, and its cached departments and tags.
pub(super) struct Rules {
    api: Arc<Api>,
    departments: Cache<(), Arc<Tree>>,
    tags: Cache<u64, Arc<Bearers>>,
}

/// Department id -> id of its parent.
struct Tree(HashMap<u64, u64>);

/// Who has a tag.
struct Bearers {
    /// In ASCII lower case.
    users: HashSet<String>,
    departments: HashSet<u64>,
}

/// The departments that a member belongs to, directly or through sub-departments.
struct Ancestors {
    ids: HashSet<u64>,
    /// Every path ends at the root.
    complete: bool,
}

impl Tree {
    fn ancestors(&self, direct: &[u64]) -> Ancestors {
        let mut found = Ancestors { ids: HashSet::new(), complete: true };
        for start in direct {
            let mut id = *start;
            // Departments already in the set have been walked; this also ends cycles.
            while found.ids.insert(id) && id != ROOT {
                match self.0.get(&id) {
                    Some(0) => break,
                    Some(parent) => id = *parent,
                    None => {
                        found.complete = false;
                        break;
                    }
                }
            }
        }
        found
    }

    /// Whether "not a member of `id`" is certain enough to remove a role. WeCom lists only departments that the app sees, and a
    /// department of the member that is not listed is newer than the cache.
    fn knows(&self, member: &Member, id: u64) -> bool {
        self.0.contains_key(&id) && member.departments.iter().all(|d| self.0.contains_key(d))
    }

    /// Whether a member with these ancestors is below `id`; `None` if that cannot be known. If the app sees a department, it sees
    /// everything below it, so an incomplete path can only lead to one that it does not see.
    fn below(&self, ancestors: &Ancestors, id: u64) -> Option<bool> {
        if ancestors.ids.contains(&id) {
            Some(true)
        } else if ancestors.complete || self.0.contains_key(&id) {
            Some(false)
        } else {
            None
        }
    }
}

impl Rules {
    pub(super) fn new(api: Arc<Api>) -> Self {
        Self {
            api,
            departments: Cache::builder().max_capacity(1).time_to_live(MEMORY).build(),
            tags: Cache::builder().max_capacity(1000).time_to_live(MEMORY).build(),
        }
    }

    pub(super) fn forget(&self) {
        self.departments.invalidate_all();
        self.tags.invalidate_all();
    }

    pub(super) async fn admit(&self, member: &Member) -> Result<(), WeComError> {
        let (users, departments, tags) =
            (&self.api.entry.allow_users, &self.api.entry.allow_departments, &self.api.entry.allow_tags);
        if users.is_empty() && departments.is_empty() && tags.is_empty() {
            return Ok(());
        }
        if users.iter().any(|u| same_userid(u, &member.userid)) {
            return Ok(());
        }
        let groups =
            departments.iter().map(|id| Group::Department(*id)).chain(tags.iter().map(|id| Group::Tag(*id)));
        let mut unevaluable: Option<WeComError> = None;
        for group in groups {
            match self.is_in(member, group).await {
                Ok(true) => {
                    // Another rule lets the member in, but an operator should know.
                    if let Some(error) = unevaluable {
                        error.log(&self.api.entry.name);
                    }
                    return Ok(());
                }
                Ok(false) => {}
                Err(error) => unevaluable = unevaluable.or(Some(error)),
            }
        }
        Err(unevaluable.unwrap_or_else(|| {
            WeComError::person(Call::UserGet, Failure::NotAllowed)
                .because("in none of allow_users, allow_departments, allow_tags")
        }))
    }

    /// The roles of the rules that match. An error if one of the rules cannot be evaluated.
    pub(super) async fn roles(&self, member: &Member) -> Result<BTreeSet<&str>, WeComError> {
        let mut roles = BTreeSet::new();
        for rule in &self.api.entry.roles {
            if self.is_in(member, rule.group).await? {
                roles.insert(rule.role.as_str());
            } else {
                self.ensure_certain(member, rule.group).await?;
            }
        }
        Ok(roles)
    }

    /// An error unless it is certain that the member is not in this group.
    async fn ensure_certain(&self, member: &Member, group: Group) -> Result<(), WeComError> {
        let (ids, call) = match group {
            Group::Department(id) => (vec![id], Call::Departments),
            Group::Tag(id) => (self.tag(id).await?.departments.iter().copied().collect(), Call::Tag),
        };
        for id in ids {
            if !self.tree().await?.knows(member, id) {
                return Err(WeComError::rule_unevaluable(call, None).because("it is uncertain whether the member is in it: a department is new, or outside the app's visible range",
                ));
            }
        }
        Ok(())
    }

    pub(super) async fn is_in(&self, member: &Member, group: Group) -> Result<bool, WeComError> {
        match group {
            Group::Department(id) => self.is_below(member, &[id], Call::Departments).await,
            Group::Tag(id) => {
                let tag = self.tag(id).await?;
                if tag.users.contains(&member.userid.to_ascii_lowercase()) {
                    return Ok(true);
                }
                let ids: Vec<u64> = tag.departments.iter().copied().collect();
                self.is_below(member, &ids, Call::Tag).await
            }
        }
    }

    /// Is the member in one of these departments, or below one?
    async fn is_below(&self, member: &Member, ids: &[u64], call: Call) -> Result<bool, WeComError> {
        if ids.is_empty() {
            return Ok(false);
        }
        // Direct membership needs no call.
        if ids.iter().any(|id| member.departments.contains(id)) {
            return Ok(true);
        }
        let tree = self.tree().await?;
        let ancestors = tree.ancestors(&member.departments);
        let mut unknown = false;
        for id in ids {
            match tree.below(&ancestors, *id) {
                Some(true) => return Ok(true),
                Some(false) => {}
                None => unknown = true,
            }
        }
        if unknown {
            return Err(WeComError::rule_unevaluable(call, None).because("a department of the rule and the parents of the member's are outside the app's visible range",
            ));
        }
        Ok(false)
    }

    /// The app must see every id in the allow-lists.
    pub(super) async fn check(&self) -> Result<(), WeComError> {
        let groups = self.api.entry.allow_departments.iter().map(|id| Group::Department(*id));
        self.check_groups(groups.chain(self.api.entry.allow_tags.iter().map(|id| Group::Tag(*id)))).await
    }

    /// The same for the rules about roles.
    pub(super) async fn check_roles(&self) -> Result<(), WeComError> {
        self.check_groups(self.api.entry.roles.iter().map(|r| r.group)).await
    }

    async fn check_groups(&self, groups: impl Iterator<Item = Group>) -> Result<(), WeComError> {
        for group in groups {
            match group {
                Group::Department(id) => {
                    if !self.tree().await?.0.contains_key(&id) {
                        return Err(WeComError::rule_unevaluable(Call::Departments, None).because(format!(
                            "department {id} does not exist, or is outside the app's visible range"
                        )));
                    }
                }
                Group::Tag(id) => drop(self.tag(id).await?),
            }
        }
        Ok(())
    }

    /// All departments that the app sees.
    async fn fetch_departments(&self) -> Result<responses::Departments, WeComError> {
        self.api.call(&Request::get(Call::Departments, "/cgi-bin/department/simplelist", &[])).await
    }

    async fn fetch_tag(&self, id: u64) -> Result<responses::Tag, WeComError> {
        self.api.call(&Request::get(Call::Tag, "/cgi-bin/tag/get", &[("tagid", &id.to_string())])).await
    }

    async fn tree(&self) -> Result<Arc<Tree>, WeComError> {
        let fetch = async {
            let list = self.fetch_departments().await?.department_id;
            Ok(Arc::new(Tree(list.into_iter().map(|d| (d.id, d.parentid)).collect())))
        };
        self.departments.try_get_with((), fetch).await.map_err(|e| rule_error(&e))
    }

    async fn tag(&self, id: u64) -> Result<Arc<Bearers>, WeComError> {
        let fetch = async {
            let tag = self.fetch_tag(id).await?;
            Ok(Arc::new(Bearers {
                users: tag.userlist.into_iter().map(|u| u.userid.to_ascii_lowercase()).collect(),
                departments: tag.partylist.into_iter().collect(),
            }))
        };
        self.tags.try_get_with(id, fetch).await.map_err(|e| rule_error(&e))
    }
}

/// Tells a wrong rule from a temporary error of WeCom.
fn rule_error(error: &WeComError) -> WeComError {
    if error.invalidates_rule() {
        WeComError::rule_unevaluable(error.call(), error.errcode()).because(error.reason())
    } else {
        error.clone()
    }
}

#[cfg(test)]
mod tests;
