//! What a department's list of members says about each of them. It can confirm a member, never condemn one: a member who is not on it, or
//! not as active, is asked about alone.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::member::{Details, Member, filled, is_userid, same_userid};
use super::responses;

/// The members of a department as WeCom lists them.
#[derive(Debug)]
pub(crate) struct MemberList {
    active: Vec<Member>,
    inactive: Vec<String>,
}

impl MemberList {
    /// Entries count only if they are as in WeCom's documentation: a userid of this company, listed once, in the department that
    /// was asked for.
    pub(super) fn read(list: responses::MemberList, department: u64) -> Self {
        let mut found: HashMap<String, Option<(Member, bool)>> = HashMap::new();
        for listed in list.userlist {
            let (userid, old) = (filled(listed.userid), filled(listed.old_userid));
            let contradicts = matches!((&userid, &old), (Some(a), Some(b)) if !same_userid(a, b));
            let Some(userid) = userid.or(old).filter(|userid| is_userid(userid)) else { continue };
            let departments = listed.department.unwrap_or_default();
            let clear = !contradicts && departments.contains(&department);
            let member = Member { name: userid.clone(), userid, departments, details: Details::default() };
            match found.entry(member.userid.to_ascii_lowercase()) {
                // Twice: which of the two holds?
                Entry::Occupied(mut twice) => _ = twice.insert(None),
                Entry::Vacant(new) => {
                    let status = listed.status.filter(|_| clear);
                    _ = new.insert(status.map(|status| (member, status == 1)));
                }
            }
        }
        let (active, inactive): (Vec<_>, Vec<_>) =
            found.into_values().flatten().partition(|(_, is_active)| *is_active);
        MemberList {
            active: active.into_iter().map(|(member, _)| member).collect(),
            inactive: inactive.into_iter().map(|(member, _)| member.userid).collect(),
        }
    }

    /// Active members, with what allow rules need to know: userid and departments.
    pub(crate) fn active(&self) -> &[Member] {
        &self.active
    }

    /// The userids of members who are listed as disabled, not activated, or as having left.
    pub(crate) fn inactive(&self) -> &[String] {
        &self.inactive
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The userids that this list confirms, and those that it names as not active.
    fn read(list: &str) -> (Vec<String>, Vec<String>) {
        let list = MemberList::read(serde_json::from_str(list).unwrap(), 3);
        let mut active: Vec<String> = list.active().iter().map(|member| member.userid.clone()).collect();
        active.sort();
        (active, list.inactive().to_vec())
    }

    #[test]
    fn r21_a_list_confirms_only_whom_it_names_once_clearly_and_as_active() {
        for (entries, active, inactive) in [
            (r#"{"userid":"ZhangSan","status":1,"department":[3]}"#, &["ZhangSan"][..], &[][..]),
            (r#"{"UserId":"ZhangSan","status":1,"department":[2,3]}"#, &["ZhangSan"], &[]),
            (r#"{"userid":"a","status":2,"department":[3]}"#, &[], &["a"]),
            (r#"{"userid":"a","status":4,"department":[3]}"#, &[], &["a"]),
            (r#"{"userid":"a","status":5,"department":[3]}"#, &[], &["a"]),
            (r#"{"userid":"a","status":0,"department":[3]}"#, &[], &["a"]),
            // No status, no department, another department.
            (r#"{"userid":"a","department":[3]}"#, &[], &[]),
            (r#"{"userid":"a","status":1}"#, &[], &[]),
            (r#"{"userid":"a","status":1,"department":[]}"#, &[], &[]),
            (r#"{"userid":"a","status":1,"department":[33]}"#, &[], &[]),
            // Members of another company, and texts that are no userids.
            (r#"{"userid":"ww1/a","status":1,"department":[3]}"#, &[], &[]),
            (r#"{"userid":"a b","status":1,"department":[3]}"#, &[], &[]),
            (r#"{"userid":"","status":1,"department":[3]}"#, &[], &[]),
            (r#"{"status":1,"department":[3]}"#, &[], &[]),
            (r#"{"userid":"a","UserId":"b","status":1,"department":[3]}"#, &[], &[]),
            // Twice, in another case: neither counts, and the others do.
            (
                r#"{"userid":"a","status":1,"department":[3]},{"userid":"A","status":2,"department":[3]},
                   {"userid":"b","status":1,"department":[3]}"#,
                &["b"],
                &[],
            ),
            (
                r#"{"userid":"a","status":1,"department":[3]},{"userid":"a","status":1,"department":[3]},
                   {"userid":"a","status":1,"department":[3]}"#,
                &[],
                &[],
            ),
        ] {
            assert_eq!(
                read(&format!(r#"{{"userlist":[{entries}]}}"#)),
                (owned(active), owned(inactive)),
                "{entries}"
            );
        }
    }

    fn owned(all: &[&str]) -> Vec<String> {
        all.iter().map(|one| (*one).to_owned()).collect()
    }
}
