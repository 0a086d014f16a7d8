//! From a WeCom member to a NocoBase user.

use super::sign_ins::SignIns;
use crate::audit::{Action, Actor, Record, Source};
use crate::config::{MatchBy, WeComEntry};
use crate::error::{Failure, FailureWithCause};
use crate::nocobase::Person;
use crate::nocobase::UserId;
use crate::session::{SignInRequest, Stage, Via};
use crate::wecom::{self, Details, Identity, Member};

/// What the search found.
pub(super) enum Account {
    /// This user.
    User(UserId),
    /// The member has to consent to giving the phone number.
    NeedsConsent,
}

impl SignIns {
    /// The user that this member is bound to; otherwise a matching or a new one, which is then bound.
    pub(super) async fn account(
        &self,
        entry: &WeComEntry,
        client: &wecom::Client,
        (request, source): (&SignInRequest, &Source),
        identity: &Identity,
        member: &Member,
    ) -> Result<Account, FailureWithCause> {
        let accounts = &self.sessions.accounts;
        if let Some(user) = accounts.find_binding(&entry.name, &identity.userid).await? {
            return Ok(Account::User(user));
        }
        // Apps created before June 2022 still get phone and e-mail from user/get.
        let mut person = person(entry, member, &member.details);
        if let Some(user) = accounts.match_silent(&person).await? {
            accounts.bind(user, &person).await?;
            self.record_binding(&person, user, (Actor::Gate, None), source);
            return Ok(Account::User(user));
        }
        let wants = |by| self.config.nocobase.match_by.contains(&by);
        let sensitive = wants(MatchBy::Phone) || wants(MatchBy::Email);
        let known = (wants(MatchBy::Phone) && person.mobile.is_some())
            || (wants(MatchBy::Email) && person.biz_mail.is_some());
        if sensitive && !known {
            match (request.stage, request.via, &identity.ticket) {
                (Stage::Silent, Via::WeCom, _) => return Ok(Account::NeedsConsent),
                (_, Via::Web, _) => return Err(Failure::FirstTimeInWeCom.into()),
                (Stage::Consent, Via::WeCom, None) => return Err(Failure::NothingToMatch.into()),
                (Stage::Consent, Via::WeCom, Some(ticket)) => {
                    let details = client.details(&identity.userid, ticket).await?;
                    person = self::person(entry, member, &details);
                }
            }
        }
        let user = accounts.match_or_create(&person).await?;
        self.record_binding(&person, user, (Actor::Gate, None), source);
        Ok(Account::User(user))
    }

    pub(super) fn record_binding(
        &self,
        person: &Person,
        user: UserId,
        (actor, reason): (Actor, Option<&str>),
        source: &Source,
    ) {
        let record = Record {
            entry: Some(person.entry.clone()),
            userid: Some(person.userid.clone()),
            name: Some(person.name.clone()),
            nocobase_user: Some(user.get()),
            reason: reason.map(str::to_owned),
            ..Record::new(Action::BindingMade, actor)
        };
        self.sessions.audit().write(source, &record);
    }
}

pub(crate) fn person(entry: &WeComEntry, member: &Member, details: &Details) -> Person {
    Person {
        entry: entry.name.clone(),
        userid: member.userid.clone(),
        name: member.name.clone(),
        avatar: details.avatar.clone().unwrap_or_default(),
        mobile: details.mobile.clone(),
        biz_mail: details.biz_mail.clone(),
    }
}
