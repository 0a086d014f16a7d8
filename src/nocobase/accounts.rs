//! From a WeCom member to a NocoBase user: the binding, the match, the new user.
//!
//! Matching is where accounts could be taken over, so every row that NocoBase returns is compared again here, by rules that do
//! not depend on its database (SQLite, PostgreSQL and MySQL fold letters differently), and every doubt ends in a refusal. Once
//! there is a binding, only the binding counts.

mod person;
mod preview;
mod profile;
mod query;

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::UserId;
use super::client::{Call, NocoBase, ServiceOutcome, bad_response, user_id_of};
use super::phone::Phone;
use crate::config::{self, MatchBy};
use crate::error::{Failure, FailureWithCause};

use person::MAX_TEXT;
pub(crate) use person::Person;
pub(crate) use preview::Preview;
use query::{one_of, text, user_in};

/// Finds, creates and binds NocoBase users.
#[derive(Debug, Clone)]
pub(crate) struct Accounts {
    nocobase: Arc<NocoBase>,
    match_by: Vec<MatchBy>,
    auto_create: bool,
    default_roles: Vec<String>,
}

impl Accounts {
    /// With the rules of `[nocobase]`.
    pub(crate) fn new(nocobase: Arc<NocoBase>, rules: &config::NocoBase) -> Self {
        Self {
            nocobase,
            match_by: rules.match_by.clone(),
            auto_create: rules.auto_create_user,
            default_roles: rules.default_roles.clone(),
        }
    }

    /// Whether matching may need data that WeCom returns only with the member's consent (phone number, e-mail address).
    pub(crate) fn needs_consent(&self) -> bool {
        self.match_by.iter().any(|key| *key != MatchBy::Username)
    }

    /// The user that this member is bound to. Userids are compared as WeCom does, ignoring the case of ASCII letters. A binding
    /// to a user that no longer exists does not count: NocoBase deletes bindings with their user, so such a row is a leftover; it
    /// is ignored, since the service account may not delete it.
    pub(crate) async fn find_binding(
        &self,
        entry: &str,
        userid: &str,
    ) -> Result<Option<UserId>, FailureWithCause> {
        if userid.is_empty() || entry.is_empty() {
            return Ok(None);
        }
        let mut users = Vec::new();
        let fields = ["uuid", "userId", "authenticator"];
        let of_entry = json!({ "authenticator": entry });
        for row in
            self.nocobase.rows_like("usersAuthenticators:list", of_entry, ("uuid", userid), &fields).await?
        {
            let same =
                text(&row, "authenticator") == entry && text(&row, "uuid").eq_ignore_ascii_case(userid);
            if let Some(user) = row.get("userId").and_then(user_id_of).filter(|_| same) {
                users.push(user);
            }
        }
        users.sort_unstable();
        users.dedup();
        if users.is_empty() {
            return Ok(None);
        }
        let filter = json!({ "id": { "$in": users } });
        let living: Vec<UserId> = self
            .nocobase
            .rows("users:list", filter, &["id"])
            .await?
            .iter()
            .filter_map(|row| row.get("id").and_then(user_id_of))
            .filter(|id| users.contains(id))
            .collect();
        if living.len() < users.len() {
            tracing::warn!(
                entry,
                userid,
                ?users,
                "a binding in usersAuthenticators refers to a user that does not exist"
            );
        }
        one_of(living, entry, userid, "bindings")
    }

    /// The user that matches by what is known without the member's consent: the user name. Only if `match_by` lists it first;
    /// otherwise a preferred key, not known yet, might lead to another user.
    pub(crate) async fn match_silent(&self, person: &Person) -> Result<Option<UserId>, FailureWithCause> {
        match self.match_by.first() {
            Some(MatchBy::Username) => self.match_key(MatchBy::Username, person).await.map(Option::flatten),
            _ => Ok(None),
        }
    }

    /// The user that matches by the keys of `match_by`, in their order.
    /// [`Failure::NothingToMatch`] if the person has none of them.
    pub(crate) async fn match_full(&self, person: &Person) -> Result<Option<UserId>, FailureWithCause> {
        let mut any = false;
        for key in &self.match_by {
            match self.match_key(*key, person).await? {
                Some(Some(user)) => return Ok(Some(user)),
                Some(None) => any = true,
                None => {}
            }
        }
        if any { Ok(None) } else { Err(Failure::NothingToMatch.into()) }
    }

    /// `None`: the person does not have this key. `Some(None)`: no user matches.
    async fn match_key(
        &self,
        key: MatchBy,
        person: &Person,
    ) -> Result<Option<Option<UserId>>, FailureWithCause> {
        match key {
            MatchBy::Phone => {
                let Some(phone) = person.phone() else { return Ok(None) };
                let filter = json!({ "phone": { "$in": phone.spellings() } });
                let rows = self.nocobase.rows("users:list", filter, &["id", "phone"]).await?;
                let same = |s: &str| Phone::parse(s).as_ref() == Some(&phone);
                user_in(&rows, "phone", same, person).map(Some)
            }
            MatchBy::Email => {
                let Some(email) = person.email() else { return Ok(None) };
                let rows = self
                    .nocobase
                    .rows_like("users:list", json!({}), ("email", email), &["id", "email"])
                    .await?;
                user_in(&rows, "email", |s| s.eq_ignore_ascii_case(email), person).map(Some)
            }
            // An exact comparison: in NocoBase `lisi` and `LiSi` can be two people.
            MatchBy::Username => {
                let Some(name) = person.username() else { return Ok(None) };
                let filter = json!({ "username": { "$in": [name] } });
                let rows = self.nocobase.rows("users:list", filter, &["id", "username"]).await?;
                user_in(&rows, "username", |s| s == name, person).map(Some)
            }
        }
    }

    /// Creates a user for this member, or finds the one that another node (or an earlier attempt) has just created. The user gets
    /// every key of `match_by` that the person has, so that it is found again if the binding cannot be written.
    pub(crate) async fn create(&self, person: &Person) -> Result<UserId, FailureWithCause> {
        let keys: Vec<MatchBy> = self.match_by.iter().copied().filter(|k| person.has(*k)).collect();
        if keys.is_empty() {
            return Err(Failure::NothingToMatch.into());
        }
        if !self.auto_create {
            return Err(Failure::NoMatchingUser.into());
        }
        let mut fields = vec![MatchBy::Phone, MatchBy::Email, MatchBy::Username];
        fields.retain(|k| person.has(*k));
        // First with all that is known; then without values that belong to others; then with only the keys.
        for attempt in 0..3 {
            let call = Call::post("users:create", Some(self.new_user(person, &fields)));
            let why = match self.nocobase.service(&call).await? {
                ServiceOutcome::Data(user) => return self.created(&call, &user, person),
                ServiceOutcome::Rejected(why) => why,
            };
            // Probably a duplicate: of a key (another node was faster), or of a field that is not a key.
            if let Some(user) = self.match_full(person).await? {
                tracing::info!(userid = person.userid, user = %user, "another node has just created the user");
                return Ok(user);
            }
            let before = fields.len();
            if attempt == 0 {
                for key in fields.clone() {
                    if !keys.contains(&key) && self.is_taken(key, person).await? {
                        tracing::warn!(userid = person.userid, field = ?key, "belongs to another user: left out");
                        fields.retain(|k| *k != key);
                    }
                }
            }
            if fields.len() == before {
                fields.retain(|k| keys.contains(k));
            }
            if fields.len() == before {
                return Err(bad_response(&call, 400, &why.summary()));
            }
        }
        Err(Failure::NocoBaseBadAnswer.into())
    }

    fn created(&self, call: &Call<'_>, user: &Value, person: &Person) -> Result<UserId, FailureWithCause> {
        let Some(id) = user.get("id").and_then(user_id_of) else {
            return Err(bad_response(call, 200, "no user id in the response"));
        };
        let roles = user.get("roles").and_then(Value::as_array).map_or(0, Vec::len);
        if roles < self.default_roles.len() {
            tracing::warn!(user = %id, wanted = ?self.default_roles,
                "NocoBase does not know every role of nocobase.default_roles");
        }
        tracing::info!(userid = person.userid, user = %id, "created a NocoBase user");
        Ok(id)
    }

    /// Body of `users:create`.
    fn new_user(&self, person: &Person, fields: &[MatchBy]) -> Value {
        let name = if person.name.trim().is_empty() { &person.userid } else { &person.name };
        let mut user = Map::new();
        user.insert("nickname".into(), name.chars().take(MAX_TEXT).collect::<String>().into());
        for field in fields {
            match field {
                MatchBy::Phone => user.insert("phone".into(), person.phone().map(|p| p.stored()).into()),
                MatchBy::Email => user.insert("email".into(), person.email().into()),
                MatchBy::Username => user.insert("username".into(), person.username().into()),
            };
        }
        // Without this, NocoBase assigns its default role.
        if !self.default_roles.is_empty() {
            user.insert("roles".into(), json!(self.default_roles));
        }
        Value::Object(user)
    }

    /// Whether a user has this value already.
    async fn is_taken(&self, key: MatchBy, person: &Person) -> Result<bool, FailureWithCause> {
        match self.match_key(key, person).await {
            Ok(user) => Ok(user.flatten().is_some()),
            Err(failed) if failed.failure == Failure::AmbiguousUser => Ok(true),
            Err(other) => Err(other),
        }
    }

    /// Writes the binding. If it exists already, that is a success. [`Failure::AlreadyBound`]: the user belongs to another member
    /// of this entry (phone numbers are reassigned). [`Failure::AmbiguousUser`]: the member has been bound to two users at once.
    pub(crate) async fn bind(&self, user: UserId, person: &Person) -> Result<(), FailureWithCause> {
        let Person { entry, userid, name, avatar, .. } = person;
        if userid.is_empty() {
            return Err(Failure::NotAMember.into());
        }
        let cut = |s: &str| s.chars().take(MAX_TEXT).collect::<String>();
        let row = json!({
            "userId": user, "uuid": userid, "authenticator": entry, "nickname": cut(name),
            // A truncated address is useless.
            "avatar": if avatar.chars().count() <= MAX_TEXT { avatar } else { "" },
            "meta": {},
        });
        let create = Call::post("usersAuthenticators:create", Some(row));
        if let ServiceOutcome::Rejected(why) = self.nocobase.service(&create).await? {
            // There is one row per user and authenticator: which member does it belong to?
            let filter = json!({ "$and": [{ "authenticator": entry }, { "userId": user }] });
            let fields = ["uuid", "userId", "authenticator"];
            let rows = self.nocobase.rows("usersAuthenticators:list", filter, &fields).await?;
            let mine = |r: &&Value| {
                text(r, "authenticator") == entry && r.get("userId").and_then(user_id_of) == Some(user)
            };
            let Some(row) = rows.iter().find(mine) else {
                return Err(bad_response(&create, 400, &why.summary()));
            };
            if !text(row, "uuid").eq_ignore_ascii_case(userid) {
                let mut failed = create.failed(
                    Failure::AlreadyBound,
                    "the matching NocoBase user is bound to another member already",
                );
                failed.cause.users = Some(user.to_string());
                failed.cause.bound_to = Some(text(row, "uuid").to_owned());
                return Err(failed);
            }
        }
        // NocoBase would allow two users for one member: another node may have bound another user meanwhile.
        match self.find_binding(entry, userid).await? {
            Some(bound) if bound == user => Ok(()),
            _ => Err(bad_response(&create, 200, "the binding just written does not exist")),
        }
    }

    /// Matches or creates a user, then binds it: what remains to be done once everything about a member without a binding is
    /// known.
    pub(crate) async fn match_or_create(&self, person: &Person) -> Result<UserId, FailureWithCause> {
        let user = match self.match_full(person).await? {
            Some(user) => user,
            None => self.create(person).await?,
        };
        self.bind(user, person).await?;
        Ok(user)
    }
}

#[cfg(test)]
mod tests;
