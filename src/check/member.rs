//! The sign-in of one member, up to the point where something would be written.

use serde_json::json;

use super::nocobase::Api;
use super::report::Verdict;
use super::users::{self, Users};
use crate::config::{Config, WeComEntry};
use crate::error::Failure;
use crate::message::message;
use crate::nocobase::{Accounts, Preview, UserId};
use crate::wecom::{self, Member, WeComError};

/// What the check found.
pub(super) enum MemberCheck {
    /// Refused by WeCom, or by the gate's rules.
    Refused(WeComError),
    /// Let in by WeCom, followed by NocoBase's result.
    Admitted(Member, Result<Preview, Failure>),
}

/// Asks WeCom and NocoBase.
pub(super) async fn preview(
    client: &wecom::Client,
    accounts: &Accounts,
    entry: &WeComEntry,
    userid: &str,
) -> MemberCheck {
    let member = match client.member(userid).await {
        Ok(member) => member,
        Err(error) => return MemberCheck::Refused(error),
    };
    if let Err(error) = client.admit(&member).await {
        return MemberCheck::Refused(error);
    }
    let person = crate::login::person(entry, &member, &member.details);
    let preview = accounts.preview(&person).await.map_err(|failed| failed.failure);
    MemberCheck::Admitted(member, preview)
}

/// The entry and userid of `--member [ENTRY/]USERID`; without an entry, the one with automatic sign-in.
pub(super) fn choose<'a, 'm>(
    config: &'a Config,
    member: &'m str,
) -> Result<(&'a WeComEntry, &'m str), Verdict> {
    let (name, userid) = member.split_once('/').map_or((None, member), |(e, u)| (Some(e), u));
    let entry = match name {
        Some(name) => config.entry(name),
        None => config.auto_entry().or(config.wecom.first()),
    };
    entry.map(|e| (e, userid)).ok_or_else(|| {
        let names = config.wecom.iter().map(|e| e.name.as_str()).collect::<Vec<_>>().join(", ");
        let what = message!("no [[wecom]] entry has this name");
        Verdict::failed("--member", what, message!("one of: {names}", names))
    })
}

/// NocoBase's name for the user of a preview, if the service account may see it.
pub(super) async fn name_of(api: &Api<'_>, node: &str, preview: &Preview) -> Option<String> {
    let (Preview::Bound(user) | Preview::Match(user)) = preview else { return None };
    let filter = json!({ "id": user }).to_string();
    let filter: String = url::form_urlencoded::byte_serialize(filter.as_bytes()).collect();
    let path = format!("users:list?pageSize=1&fields=nickname,username&filter={filter}");
    let response = api.ask(node, &path, Some(&api.service_token()?), None).await.ok()?.json();
    let text =
        |field: &str| response.pointer(&format!("/data/0/{field}"))?.as_str().filter(|t| !t.is_empty());
    text("nickname").or(text("username")).map(str::to_owned)
}

/// `name`: of the user that would be matched; `found`: the number of users to match with.
pub(super) fn verdict(
    way: &MemberCheck,
    userid: &str,
    config: &Config,
    name: Option<&str>,
    found: Option<&Users>,
) -> Verdict {
    let named = |user: &UserId| name.map_or_else(|| user.to_string(), |name| format!("{user} ({name})"));
    let see = |label: &str| message!("docs/troubleshooting.md, {label}", label);
    match way {
        MemberCheck::Refused(error) => {
            let label = error.failure().response().label;
            let remedy = match error.failure() {
                Failure::NotVisible => message!(
                    "is the userid right (通讯录, Contacts: 帐号, Account)? Then put the member into the app's visible range \
                     (可见范围)"
                ),
                _ if error.remedy().is_empty() => see(label),
                _ => error.remedy_message(),
            };
            Verdict::failed(userid, message!("would be refused: {label}", label), remedy)
        }
        MemberCheck::Admitted(member, preview) => {
            let who = format!("{userid} ({})", member.name);
            match preview {
                Ok(Preview::Bound(user)) => {
                    Verdict::ok(message!("{who} is bound to NocoBase user {user}", who, user = named(user)))
                }
                Ok(Preview::Match(user)) => Verdict::ok(message!(
                    "{who} would be bound to NocoBase user {user}",
                    who,
                    user = named(user)
                )),
                Ok(Preview::Create) => Verdict::ok(message!("{who} would get a new NocoBase user", who)),
                Ok(Preview::NeedsConsent)
                    if !config.nocobase.auto_create_user && found.is_some_and(Users::none) =>
                {
                    let what = message!(
                        "{who} is let in by WeCom, then refused: no_matching_user, because {why}",
                        who,
                        why = found.map(Users::sentence).unwrap_or_default()
                    );
                    Verdict::failed(userid, what, users::remedy())
                }
                Ok(Preview::NeedsConsent) => {
                    let first = message!(
                        "{who} is let in; the matching user shows at the first sign-in, when WeCom asks for consent to phone \
                         number and e-mail address",
                        who
                    );
                    let first = match found {
                        Some(users) => message!("{first}: {second}", first, second = users.sentence()),
                        None => first,
                    };
                    let second = users::otherwise(&config.nocobase);
                    Verdict::ok(message!("{first}; {second}", first, second))
                }
                Err(Failure::NoMatchingUser) => Verdict::failed(
                    userid,
                    message!(
                        "{who} is let in by WeCom, then refused: no_matching_user, because no NocoBase user matches and \
                         nocobase.auto_create_user is off",
                        who
                    ),
                    users::remedy(),
                ),
                Err(failure) => {
                    let label = failure.response().label;
                    let what = message!("{who} is let in by WeCom, then refused: {label}", who, label);
                    Verdict::failed(userid, what, see(label))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::links::tests::two;
    use crate::check::report::StepOutcome;
    use crate::wecom::Call;

    #[test]
    fn which_user_a_member_would_get() {
        let mut config = two();
        config.nocobase.auto_create_user = true;
        let member = Member {
            userid: "zhangsan".into(),
            name: "张三".into(),
            departments: vec![],
            details: wecom::Details { mobile: Some("13800000001".into()), ..Default::default() },
        };
        let user = UserId::new(7).unwrap();
        for (preview, want, words) in [
            (Ok(Preview::Bound(user)), StepOutcome::Ok, "is bound to NocoBase user 7"),
            (Ok(Preview::Match(user)), StepOutcome::Ok, "would be bound to NocoBase user 7"),
            (Ok(Preview::Create), StepOutcome::Ok, "new NocoBase user"),
            (Ok(Preview::NeedsConsent), StepOutcome::Ok, "a user is created"),
            (Err(Failure::NoMatchingUser), StepOutcome::Failed, "no_matching_user"),
            (Err(Failure::AlreadyBound), StepOutcome::Failed, "already_bound"),
            (Err(Failure::NocoBaseServiceDenied), StepOutcome::Failed, "nocobase_service_denied"),
        ] {
            let got =
                verdict(&MemberCheck::Admitted(member.clone(), preview), "zhangsan", &config, None, None);
            assert_eq!(got.outcome, want, "{preview:?}");
            let text = format!("{got:?}");
            assert!(text.contains(words) && text.contains("张三") && !text.contains("13800000001"), "{text}");
        }
        for (code, words) in [(60111, "not_visible"), (60020, "wecom_ip_not_trusted")] {
            let error = WeComError::from_errcode(Call::UserGet, code, "");
            let got = verdict(&MemberCheck::Refused(error), "lisi", &config, None, None);
            assert_eq!(got.outcome, StepOutcome::Failed);
            let finding = &got.findings[0];
            assert!(finding.what.to_string().contains(words) && !finding.remedy.is_empty(), "{got:?}");
        }
    }

    #[test]
    fn which_entry() {
        let config = two();
        assert_eq!(choose(&config, "lisi").unwrap().0.name, "wecom");
        let (entry, userid) = choose(&config, "other/lisi").unwrap();
        assert_eq!((entry.name.as_str(), userid), ("other", "lisi"));
        let wrong = choose(&config, "none/lisi").unwrap_err();
        assert!(wrong.findings[0].remedy.to_string().contains("wecom, other"));
    }
}
