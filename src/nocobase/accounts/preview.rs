//! What a member's first sign-in would lead to, found without writing anything.

use serde_json::json;

use super::query::text;
use super::{Accounts, Person, user_id_of};
use crate::config::MatchBy;
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::UserId;

/// The user that a sign-in would end with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Preview {
    /// Bound already.
    Bound(UserId),
    /// Would be bound to this user from now on.
    Match(UserId),
    /// A user would be created.
    Create,
    /// Unknown: phone or e-mail are needed, which WeCom returns only if the member consents at the sign-in.
    NeedsConsent,
}

impl Accounts {
    /// Follows the steps of a sign-in up to its first write.
    pub(crate) async fn preview(&self, person: &Person) -> Result<Preview, FailureWithCause> {
        if let Some(user) = self.find_binding(&person.entry, &person.userid).await? {
            return Ok(Preview::Bound(user));
        }
        if let Some(user) = self.match_silent(person).await? {
            return self.unbound(user, person).await;
        }
        let known = self.match_by.iter().any(|key| *key != MatchBy::Username && person.has(*key));
        if self.needs_consent() && !known {
            return Ok(Preview::NeedsConsent);
        }
        match self.match_full(person).await? {
            Some(user) => self.unbound(user, person).await,
            None if self.auto_create => Ok(Preview::Create),
            None => Err(Failure::NoMatchingUser.into()),
        }
    }

    /// A user who belongs to another member does not match.
    async fn unbound(&self, user: UserId, person: &Person) -> Result<Preview, FailureWithCause> {
        let filter = json!({ "$and": [{ "authenticator": person.entry }, { "userId": user }] });
        let fields = ["uuid", "userId", "authenticator"];
        let rows = self.nocobase.rows("usersAuthenticators:list", filter, &fields).await?;
        let taken = rows
            .iter()
            .filter(|r| text(r, "authenticator") == person.entry)
            .any(|r| r.get("userId").and_then(user_id_of) == Some(user));
        if taken { Err(Failure::AlreadyBound.into()) } else { Ok(Preview::Match(user)) }
    }
}

#[cfg(test)]
mod tests;
