//! How many NocoBase users members can be matched with, before any member tries.

use serde_json::json;

use super::nocobase::Api;
use super::report::Verdict;
use crate::config::{MatchBy, NocoBase};
use crate::message::{Message, message};

/// NocoBase's users, as the service account sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Users {
    /// All of them, the service account included.
    all: u64,
    /// Users that have a value for each key of `match_by`, in its order.
    with: Vec<(MatchBy, u64)>,
}

/// Counts them. `None`: the service account may not see them (reported by `nocobase_rights`), or NocoBase returns no count.
pub(super) async fn count(api: &Api<'_>, node: &str, token: &str) -> Option<Users> {
    let ask = async |filter: serde_json::Value| {
        let filter: String = url::form_urlencoded::byte_serialize(filter.to_string().as_bytes()).collect();
        let path = format!("users:list?pageSize=1&fields=id&filter={filter}");
        let response = api.ask(node, &path, Some(token), None).await.ok().filter(|a| a.status == 200)?;
        response.json().pointer("/meta/count")?.as_u64()
    };
    let mut with = Vec::new();
    for key in &api.config.nocobase.match_by {
        let field = match key {
            MatchBy::Phone => "phone",
            MatchBy::Email => "email",
            MatchBy::Username => "username",
        };
        with.push((*key, ask(json!({ field: { "$notEmpty": true } })).await?));
    }
    Some(Users { all: ask(json!({})).await?, with })
}

impl Users {
    /// No user can be matched.
    pub(super) fn none(&self) -> bool {
        self.with.iter().all(|(_, count)| *count == 0)
    }

    /// `of 12 NocoBase users 3 have a phone number`.
    pub(super) fn sentence(&self) -> Message {
        let counts = self.with.iter().map(|(key, count)| {
            let count = *count;
            match key {
                MatchBy::Phone => message!("{count} have a phone number", count),
                MatchBy::Email => message!("{count} have an e-mail address", count),
                MatchBy::Username => message!("{count} have a user name", count),
            }
        });
        let counts = Message::joined(counts, |first, second| message!("{first}, {second}", first, second));
        message!("of {all} NocoBase users {counts}", all = self.all, counts)
    }
}

fn words(key: MatchBy) -> Message {
    match key {
        MatchBy::Phone => message!("a phone number"),
        MatchBy::Email => message!("an e-mail address"),
        MatchBy::Username => message!("a user name"),
    }
}

/// What happens to a member who matches no user.
pub(super) fn otherwise(rules: &NocoBase) -> Message {
    if rules.auto_create_user {
        message!("a user is created for a member who matches none")
    } else {
        message!("a member who matches none is refused (no_matching_user), on a page that names whom to ask")
    }
}

/// What to do if no user matches.
pub(super) fn remedy() -> Message {
    message!(
        "enter the members' phone numbers in NocoBase (Settings → Users & Permissions → Users), or set \
         nocobase.auto_create_user = true"
    )
}

/// The step `nocobase_users`.
pub(super) fn verdict(users: Option<&Users>, rules: &NocoBase) -> Verdict {
    let Some(users) = users else {
        return Verdict::skipped(message!("the service account cannot see how many users can be matched"));
    };
    let detail = message!("{first}; {second}", first = users.sentence(), second = otherwise(rules));
    if !users.none() || rules.auto_create_user {
        return Verdict::ok(detail);
    }
    let keys = users.with.iter().map(|(key, _)| words(*key));
    let what = message!(
        "no NocoBase user has {what}, so no member can be matched: everyone without a binding is refused (no_matching_user)",
        what = Message::joined(keys, |first, second| message!("{first} or {second}", first, second))
    );
    Verdict::warning("nocobase.match_by", what, remedy()).with_detail(detail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::links::tests::two;
    use crate::check::report::StepOutcome;

    #[test]
    fn no_user_to_match_is_a_warning() {
        let mut rules = two().nocobase;
        let users = |phone| Users { all: 12, with: vec![(MatchBy::Phone, phone)] };
        let some = verdict(Some(&users(3)), &rules);
        assert_eq!(some.outcome, StepOutcome::Ok);
        assert!(
            some.detail.to_string().starts_with("of 12 NocoBase users 3 have a phone number; a member who"),
            "{some:?}"
        );
        let none = verdict(Some(&users(0)), &rules);
        assert_eq!(none.outcome, StepOutcome::Warning);
        assert!(none.findings[0].what.to_string().contains("everyone without a binding"), "{none:?}");
        rules.auto_create_user = true;
        assert_eq!(verdict(Some(&users(0)), &rules).outcome, StepOutcome::Ok);
        assert_eq!(verdict(None, &rules).outcome, StepOutcome::Skipped);
        let both = Users { all: 2, with: vec![(MatchBy::Phone, 0), (MatchBy::Username, 1)] };
        assert!(
            !both.none()
                && both.sentence().to_string().ends_with("0 have a phone number, 1 have a user name")
        );
    }
}
